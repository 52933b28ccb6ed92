"""What is done with trees: mapping, folding, spreading a prefix, naming the places, and saying where two differ.

Everything is built on ``flatten`` and ``PyTreeDef.unflatten`` of `portax.core.treedef`. Nothing here looks for a
mismatch before it has happened: the fast way is tried, and only when it fails is the first difference searched for.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from portax.core.treeclasses import (
    Partial,
    register_dataclass,
    register_pytree_node,
    register_pytree_node_class,
    register_pytree_with_keys,
    register_pytree_with_keys_class,
    register_static,
)
from portax.core.treedef import (
    LEAF,
    IsLeaf,
    Leaf,
    Mismatch,
    PyTreeDef,
    flatten,
    flatten_one_level,
    make,
    split,
)
from portax.core.treediff import Difference, difference, keystr
from portax.core.treenodes import (
    TUPLE,
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    Key,
    KeyPath,
    SequenceKey,
    child_keys,
    kinds,
)
from portax.errors import ArgumentError, TreeError

__all__ = [
    "LEAF",
    "DictKey",
    "Difference",
    "FlattenedIndexKey",
    "GetAttrKey",
    "Key",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "broadcast_prefix",
    "compare",
    "difference",
    "flatten",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "flatten_with_path",
    "is_tree_node",
    "keystr",
    "leaves",
    "leaves_with_path",
    "map_with_path",
    "paths",
    "prefix_to_leaves",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "structure",
    "tree_all",
    "tree_broadcast",
    "tree_map",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_transpose",
    "treedef_tuple",
    "unflatten",
]

_NO_VALUE: Any = object()


def leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Leaf]:
    """The leaves of a tree, from left to right.

    Examples
    --------
    >>> leaves({"b": 1, "a": (2, None)})
    [2, 1]
    """
    return flatten(tree, is_leaf)[0]


def structure(tree: Any, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of a tree, without its leaves.

    Examples
    --------
    >>> structure({"b": 1, "a": (2, None)})
    PyTreeDef({'a': (*, None), 'b': *})
    """
    return flatten(tree, is_leaf)[1]


def unflatten(treedef: PyTreeDef, leaves: Iterable[Leaf]) -> Any:
    """The tree of a structure with new leaves; the inverse of `flatten`.

    Raises
    ------
    TreeError
        There are too few leaves, or too many.

    Examples
    --------
    >>> leaves, treedef = portax.tree.flatten({"a": 1, "b": 2})
    >>> portax.tree.unflatten(treedef, [10, 20])
    {'a': 10, 'b': 20}
    """
    return treedef.unflatten(leaves)


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether no element is a node.

    Examples
    --------
    >>> all_leaves([1, 2]), all_leaves([1, (2,)]), all_leaves([1, None])
    (True, False, False)
    """
    if is_leaf is None:
        return all(kinds[type(x)] is None for x in iterable)
    return all(kinds[type(x)] is None or is_leaf(x) for x in iterable)


def is_tree_node(typ: type) -> bool:
    """Whether values of this type are nodes.

    Examples
    --------
    >>> portax.tree_util.is_tree_node(list), portax.tree_util.is_tree_node(int)
    (True, False)
    """
    return kinds[typ] is not None


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """The tree of ``f(x, *xs)``, where ``x`` is a leaf of ``tree`` and ``xs`` stand in its place in the other trees.

    Raises
    ------
    TreeError
        Another tree is built differently than ``tree`` above the leaves of ``tree``; the message names the place.

    Examples
    --------
    >>> tree_map(lambda x, y: x + y, {"a": 1, "b": (2,)}, {"a": 10, "b": (20,)})
    {'a': 11, 'b': (22,)}
    """
    own, treedef = flatten(tree, is_leaf)
    if not rest:
        return treedef.unflatten([f(x) for x in own])
    columns = [own, *[_up_to(treedef, other, i, is_leaf) for i, other in enumerate(rest, 2)]]
    return treedef.unflatten([f(*xs) for xs in zip(*columns, strict=True)])


def _up_to(treedef: PyTreeDef, other: Any, number: int, is_leaf: IsLeaf = None) -> list[Any]:
    """What stands in ``other`` at the leaves of ``treedef``; ``number`` says which tree it is, for the message."""
    try:
        return split(treedef, other)
    except Mismatch:
        found = difference(treedef, structure(other), prefix=True)
    if found is None:  # metadata that compares unequal to itself
        found = Difference((), "metadata", "metadata that compares unequal to it")
    raise TreeError(
        wrong=f"tree {number} has {found.there} at tree{keystr(found.path)}, where tree 1 has {found.here}",
        fix="Give trees that are built alike",
    )


def tree_reduce(
    function: Callable[[Any, Any], Any], tree: Any, initializer: Any = _NO_VALUE, is_leaf: IsLeaf = None
) -> Any:
    """``function`` folded over the leaves from left to right.

    Examples
    --------
    >>> tree_reduce(lambda total, x: total + x, (1, {"a": 2}), 10)
    13
    """
    if initializer is _NO_VALUE:
        return functools.reduce(function, leaves(tree, is_leaf))
    return functools.reduce(function, leaves(tree, is_leaf), initializer)


def tree_reduce_associative(
    operation: Callable[[Any, Any], Any], tree: Any, *, identity: Any = _NO_VALUE, is_leaf: IsLeaf = None
) -> Any:
    """An associative operation over the leaves, taken in pairs: rounding grows with the logarithm of their number.

    Examples
    --------
    >>> tree_reduce_associative(lambda x, y: x + y, ["a", ("b", "c")], identity="")
    'abc'
    """
    level = leaves(tree, is_leaf)
    if not level:
        if identity is _NO_VALUE:
            raise ArgumentError(wrong="the tree has no leaves to reduce", fix="Give identity=")
        return identity
    while len(level) > 1:
        level = [operation(*level[i : i + 2]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


def tree_all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
    """Whether every leaf is true.

    Examples
    --------
    >>> tree_all([True, {"a": False}])
    False
    """
    return all(leaves(tree, is_leaf))


def tree_transpose(outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any) -> Any:
    """A tree of trees with inner and outer exchanged: a tuple of dictionaries becomes a dictionary of tuples.

    Parameters
    ----------
    outer_treedef : PyTreeDef
    inner_treedef : PyTreeDef or None
        None: taken from the first inner tree.

    Examples
    --------
    >>> tree_transpose(structure((0, 0)), None, ({"x": 1, "y": 2}, {"x": 3, "y": 4}))
    {'x': (1, 3), 'y': (2, 4)}
    """
    rows = _up_to(outer_treedef, pytree_to_transpose, 2)
    if inner_treedef is None:
        if not rows:
            raise ArgumentError(wrong="the outer tree has no leaves to take a structure from", fix="Give inner_treedef")
        inner_treedef = structure(rows[0])
    parts = [_up_to(inner_treedef, row, 2) for row in rows]
    columns = zip(*parts, strict=True) if parts else [()] * inner_treedef.num_leaves
    return inner_treedef.unflatten([outer_treedef.unflatten(column) for column in columns])


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple of trees.

    Examples
    --------
    >>> one, many = portax.tree.structure(0), portax.tree.structure([0])
    >>> portax.tree.unflatten(portax.tree_util.treedef_tuple([one, many]), [1, 2])
    (1, [2])
    """
    return make(TUPLE, None, tuple(treedefs))


# Prefixes.


def prefix_to_leaves(prefix: Any, treedef: PyTreeDef, *, what: str = "the prefix", is_leaf: IsLeaf = None) -> list[Any]:
    """One value per leaf of a structure, from a tree that may stop early: a leaf counts for all that is below it.

    Parameters
    ----------
    prefix : tree
        Such as ``in_axes``: ``(0, None)`` for two arguments, each of which may be a tree.
    treedef : PyTreeDef
    what : str
        What the user calls the prefix, for the message.
    is_leaf : function, optional
        True for a subtree of ``prefix`` that counts as one value, such as ``lambda x: x is None``.

    Raises
    ------
    TreeError
        The prefix is built differently than the structure.
    """
    values: list[Any] = []
    if not _spread(prefix, treedef, is_leaf, values):
        found = difference(structure(prefix, is_leaf), treedef, prefix=True)
        found = found or Difference((), "metadata", "other metadata")
        raise TreeError(
            wrong=f"{what} has {found.here} at {what}{keystr(found.path)}, where the values have {found.there}",
            fix=f"Build {what} like the values, or stop earlier: one entry may stand for a whole subtree",
        )
    return values


def _spread(prefix: Any, node: PyTreeDef, is_leaf: IsLeaf, values: list[Any]) -> bool:
    kind = kinds[type(prefix)]
    if kind is None or (is_leaf is not None and is_leaf(prefix)):
        values.extend(itertools.repeat(prefix, node.num_leaves))
        return True
    if kind is not node.kind:
        return False
    children, data = kind.flatten(prefix)
    children = list(children)
    if len(children) != len(node.kids) or not (data is node.data or data == node.data):
        return False
    return all(_spread(child, kid, is_leaf, values) for child, kid in zip(children, node.kids, strict=True))


def broadcast_prefix(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """One value per leaf of ``full_tree``, from a tree that may stop early; ``is_leaf`` is about that tree.

    Examples
    --------
    >>> broadcast_prefix((0, None), ({"a": 1, "b": 2}, 3), is_leaf=lambda x: x is None)
    [0, 0, None]
    """
    return prefix_to_leaves(prefix_tree, structure(full_tree), is_leaf=is_leaf)


def tree_broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """The tree built like ``full_tree`` whose leaves come from ``prefix_tree``, which ``is_leaf`` is about.

    Examples
    --------
    >>> tree_broadcast({"a": 1, "b": 2}, {"a": (0, 0), "b": [0]})
    {'a': (1, 1), 'b': [2]}
    """
    treedef = structure(full_tree)
    return treedef.unflatten(prefix_to_leaves(prefix_tree, treedef, is_leaf=is_leaf))


# Where two structures differ.


def compare(a: PyTreeDef, b: PyTreeDef, *, wrong: str, fix: str, prefix: bool = False) -> None:
    """Raise a `TreeError` that names the first difference, if there is one.

    Parameters
    ----------
    wrong : str
        With the fields ``{path}``, ``{here}`` and ``{there}``.
    """
    found = difference(a, b, prefix=prefix)
    if found is not None:
        raise TreeError(
            wrong=wrong.format(path=keystr(found.path) or "the root", here=found.here, there=found.there), fix=fix
        )


# Key paths.


def _with_path(
    tree: Any, path: KeyPath, is_leaf: Callable[..., bool] | None, takes_path: bool, out: list[tuple[KeyPath, Any]]
) -> PyTreeDef:
    kind = kinds[type(tree)]
    if kind is None or (is_leaf is not None and (is_leaf(path, tree) if takes_path else is_leaf(tree))):
        out.append((path, tree))
        return LEAF
    children, data = kind.flatten(tree)
    children = list(children)
    keys = child_keys(kind, tree, len(children))
    kids = [_with_path(c, (*path, k), is_leaf, takes_path, out) for k, c in zip(keys, children, strict=True)]
    return make(kind, data, tuple(kids))


def flatten_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """The leaves of a tree, each with the keys that lead to it, and the tree's structure.

    Examples
    --------
    >>> flatten_with_path({"a": [5]})[0]
    [((DictKey(key='a'), SequenceKey(idx=0)), 5)]
    """
    out: list[tuple[KeyPath, Any]] = []
    treedef = _with_path(tree, (), is_leaf, is_leaf_takes_path, out)
    return out, treedef


def leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The leaves of a tree, each with the keys that lead to it.

    Examples
    --------
    >>> [leaf for path, leaf in portax.tree.leaves_with_path({"a": 1, "b": 2})]
    [1, 2]
    """
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def paths(tree: Any, is_leaf: IsLeaf = None) -> list[str]:
    """The key path of each leaf, as text."""
    return [keystr(path) for path, _ in leaves_with_path(tree, is_leaf)]


def map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """`tree_map` of a function whose first argument is the key path of the leaf.

    Examples
    --------
    >>> portax.tree.map_with_path(lambda path, x: portax.tree_util.keystr(path) + str(x), {"a": 1})
    {'a': "['a']1"}
    """
    own, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = [_up_to(treedef, other, i) for i, other in enumerate(rest, 2)]
    return treedef.unflatten([f(path, x, *xs) for (path, x), *xs in zip(own, *columns, strict=True)])


def flatten_one_level_with_keys(tree: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """The children of a tree's root, each with its key, and its metadata.

    Examples
    --------
    >>> list(portax.tree_util.flatten_one_level_with_keys({"a": 1})[0])
    [(DictKey(key='a'), 1)]
    """
    children, data = flatten_one_level(tree)
    children = list(children)
    kind = kinds[type(tree)]
    assert kind is not None
    return list(zip(child_keys(kind, tree, len(children)), children, strict=True)), data
