"""Trees of arrays: the names of ``jax.tree``.

A tree is a nest of tuples, lists, dictionaries, named tuples, None and registered classes; everything else is a leaf.
"""

import dataclasses as _dataclasses
from typing import Any as _Any

from portax.core.tree import (
    flatten,
    flatten_with_path,
    leaves,
    leaves_with_path,
    map_with_path,
    structure,
    unflatten,
)
from portax.core.tree import tree_all as all
from portax.core.tree import tree_broadcast as broadcast
from portax.core.tree import tree_map as map
from portax.core.tree import tree_reduce as reduce
from portax.core.tree import tree_reduce_associative as reduce_associative
from portax.core.tree import tree_transpose as transpose

__all__ = [
    "all",
    "broadcast",
    "flatten",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "reduce_associative",
    "static",
    "structure",
    "transpose",
    "unflatten",
]


def static(**keywords: _Any) -> _Any:
    """A dataclass field that is metadata for `portax.tree_util.register_dataclass`.

    It takes what ``dataclasses.field`` takes.

    Examples
    --------
    >>> import dataclasses
    >>> from portax import tree, tree_util
    >>> @tree_util.register_dataclass
    ... @dataclasses.dataclass
    ... class Scaled:
    ...     values: list
    ...     unit: str = tree.static(default="m")
    >>> tree.leaves(Scaled([1, 2]))
    [1, 2]
    """
    keywords["metadata"] = {**(keywords.get("metadata") or {}), "static": True}
    return _dataclasses.field(**keywords)
