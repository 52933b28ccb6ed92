"""Trees of arrays: the names of ``jax.tree_util``, among them those that make classes nodes of trees."""

from collections.abc import Iterable as _Iterable
from typing import Any as _Any

from portax.core.tree import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    Key,
    KeyPath,
    Partial,
    PyTreeDef,
    SequenceKey,
    all_leaves,
    broadcast_prefix,
    flatten_one_level,
    flatten_one_level_with_keys,
    is_tree_node,
    keystr,
    register_dataclass,
    register_pytree_node,
    register_pytree_node_class,
    register_pytree_with_keys,
    register_pytree_with_keys_class,
    register_static,
    tree_all,
    tree_broadcast,
    tree_map,
    tree_reduce,
    tree_reduce_associative,
    tree_transpose,
    treedef_tuple,
)
from portax.core.tree import flatten as tree_flatten
from portax.core.tree import flatten_with_path as tree_flatten_with_path
from portax.core.tree import leaves as tree_leaves
from portax.core.tree import leaves_with_path as tree_leaves_with_path
from portax.core.tree import map_with_path as tree_map_with_path
from portax.core.tree import structure as tree_structure
from portax.core.tree import unflatten as tree_unflatten

KeyEntry = Key

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "broadcast_prefix",
    "default_registry",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "keystr",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the root's children.

    Examples
    --------
    >>> len(portax.tree_util.treedef_children(portax.tree_util.tree_structure((1, [2, 3]))))
    2
    """
    return treedef.children()


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is a single leaf, or a node without children.

    Examples
    --------
    >>> portax.tree_util.treedef_is_leaf(portax.tree.structure(1))
    True
    """
    return treedef.num_nodes == 1


class Registry:
    """The table of node types as an object, for programs that pass it on. There is one."""

    def flatten(self, tree: _Any, is_leaf: _Any = None) -> tuple[list[_Any], PyTreeDef]:
        """As `tree_flatten`."""
        return tree_flatten(tree, is_leaf)

    def flatten_with_path(self, tree: _Any, is_leaf: _Any = None) -> tuple[list[tuple[KeyPath, _Any]], PyTreeDef]:
        """As `tree_flatten_with_path`."""
        return tree_flatten_with_path(tree, is_leaf)

    def flatten_one_level(self, tree: _Any) -> tuple[_Iterable[_Any], _Any] | None:
        """As `flatten_one_level`, but None for a leaf."""
        return flatten_one_level(tree) if is_tree_node(type(tree)) else None

    def flatten_one_level_with_keys(self, tree: _Any) -> tuple[_Iterable[_Any], _Any] | None:
        """As `flatten_one_level_with_keys`, but None for a leaf."""
        return flatten_one_level_with_keys(tree) if is_tree_node(type(tree)) else None

    def is_node(self, tree: _Any) -> bool:
        """Whether a value is a node."""
        return is_tree_node(type(tree))


default_registry = Registry()
