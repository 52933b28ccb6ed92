"""What a traced function may return, and what of it is no part of the program."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.array import Array
from portax.core.aval import aval_of
from portax.core.refs import Cell


def check_output(x: Any, name: str) -> None:
    """Raise if a result of a traced function is not an array."""
    if isinstance(x, Array | np.ndarray | np.generic | bool | int | float | complex):
        return
    if isinstance(x, Cell):
        raise errors.RefError(
            wrong=f"{name} returned a reference ({x.aval}), and only arrays leave a traced function",
            fix="Return what it holds, freeze(ref) or ref[...]; one that came as an argument need not be returned",
        )
    try:
        aval_of(x)
    except errors.DtypeError:
        raise errors.ArgumentError(
            wrong=f"{name} returned {x!r} of type {type(x).__name__}, which is not an array",
            fix="Return arrays, or trees of arrays",
        ) from None


class Still:
    """Stands for tangents of whole numbers, which have one value, in the result of a program: a node without leaves."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


tree.register_pytree_node(Still, lambda x: ((), x.shape), lambda shape, _: np.zeros(shape, dtypes.float0))


def without_float0(result: Any) -> Any:
    """The result of a traced function with its arrays of dtype float0 hidden: unflattening its tree gives them back."""
    leaves, structure = tree.flatten(result)
    if not any(getattr(x, "dtype", None) == dtypes.float0 for x in leaves):
        return result
    return tree.unflatten(
        structure, [Still(x.shape) if getattr(x, "dtype", None) == dtypes.float0 else x for x in leaves]
    )
