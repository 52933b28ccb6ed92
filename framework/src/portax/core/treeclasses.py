"""Classes of one's own as nodes of trees: how they are registered, and `Partial`, which comes registered.

A registration is made once and for the process: `treedef.register` keeps it, with what is needed to find the names of
children for key paths.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from portax.core.treedef import register
from portax.core.treenodes import GetAttrKey, Kind
from portax.errors import ArgumentError

Cls = TypeVar("Cls", bound=type)


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Make a type a node of trees.

    Parameters
    ----------
    nodetype : type
        Matched exactly: its subclasses stay leaves.
    flatten_func : function of a node
        Gives its children and its metadata, which should be hashable and comparable.
    unflatten_func : function of the metadata and the tuple of children
        Gives a node. The children may be any objects, so it should not look at them.
    flatten_with_keys_func : function of a node, optional
        Gives (key, child) pairs and the metadata.

    Raises
    ------
    TreeError
        The type is a node already.

    Examples
    --------
    >>> class Pair:
    ...     def __init__(self, first, second):
    ...         self.first, self.second = first, second
    >>> portax.tree_util.register_pytree_node(Pair, lambda p: ((p.first, p.second), None), lambda _, two: Pair(*two))
    >>> portax.tree.map(lambda x: 10 * x, Pair(1, 2)).second
    20
    """
    keys = None if flatten_with_keys_func is None else _keys_of(flatten_with_keys_func)
    register(Kind(nodetype, flatten_func, lambda data, children: unflatten_func(data, tuple(children)), keys))


def _keys_of(flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]]) -> Callable[[Any], list[Any]]:
    return lambda node: [key for key, _ in flatten_with_keys(node)[0]]


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """Make a type a node of trees, whose children have names in key paths.

    Parameters
    ----------
    flatten_with_keys : function of a node
        Gives (key, child) pairs and the metadata; a key is a `GetAttrKey`, `DictKey` or anything with a good ``str``.
    flatten_func : function of a node, optional
        Gives the children without keys, faster.

    Examples
    --------
    >>> class Named:
    ...     def __init__(self, value):
    ...         self.value = value
    >>> with_keys = lambda n: ((("value", n.value),), None)
    >>> portax.tree_util.register_pytree_with_keys(Named, with_keys, lambda _, one: Named(*one))
    >>> portax.tree.leaves(Named(3))
    [3]
    """

    def without_keys(node: Any) -> tuple[list[Any], Any]:
        pairs, data = flatten_with_keys(node)
        return [child for _, child in pairs], data

    register_pytree_node(nodetype, flatten_func or without_keys, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: Cls) -> Cls:
    """Class decorator: the class takes itself apart with ``tree_flatten()`` and its class method ``tree_unflatten``.

    Examples
    --------
    >>> from portax.core.tree import leaves
    >>> @register_pytree_node_class
    ... class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    ...     def tree_flatten(self):
    ...         return (self.x, self.y), None
    ...     @classmethod
    ...     def tree_unflatten(cls, metadata, children):
    ...         return cls(*children)
    >>> leaves(Point(1, 2))
    [1, 2]
    """
    node: Any = cls
    register_pytree_node(node, operator.methodcaller("tree_flatten"), node.tree_unflatten)
    return cls


def register_pytree_with_keys_class(cls: Cls) -> Cls:
    """Class decorator as `register_pytree_node_class`, for a class with ``tree_flatten_with_keys()``.

    Examples
    --------
    >>> @portax.tree_util.register_pytree_with_keys_class
    ... class Box:
    ...     def __init__(self, value):
    ...         self.value = value
    ...     def tree_flatten_with_keys(self):
    ...         return ((portax.tree_util.GetAttrKey("value"), self.value),), None
    ...     @classmethod
    ...     def tree_unflatten(cls, _, children):
    ...         return cls(*children)
    >>> portax.tree.map(lambda x: x + 1, Box(3)).value
    4
    """
    without = operator.methodcaller("tree_flatten") if hasattr(cls, "tree_flatten") else None
    with_keys = operator.methodcaller("tree_flatten_with_keys")
    node: Any = cls
    register_pytree_with_keys(node, with_keys, node.tree_unflatten, without)
    return cls


def register_static(cls: Cls) -> Cls:
    """Class decorator: a value of the class is metadata as a whole, a node without children. It should be hashable.

    Examples
    --------
    >>> @portax.tree_util.register_static
    ... class Activation(str):
    ...     pass
    >>> portax.tree.leaves({"w": 1.0, "act": Activation("tanh")})
    [1.0]
    """
    register_pytree_node(cls, lambda x: ((), x), lambda x, children: x)
    return cls


def register_dataclass(
    nodetype: Cls,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Cls:
    """Make a dataclass a node of trees; also a class decorator.

    Parameters
    ----------
    nodetype : type
    data_fields : sequence of str, optional
        Attributes that are children. Default, for a dataclass: all that are not ``static`` in their metadata.
    meta_fields : sequence of str, optional
        Attributes that are metadata, hashable and comparable. Default: those with ``metadata={"static": True}``.
    drop_fields : sequence of str
        Attributes that are not passed on.

    Raises
    ------
    ArgumentError
        The names do not fit the class.

    Examples
    --------
    >>> import dataclasses
    >>> from portax.core.tree import structure
    >>> @register_dataclass
    ... @dataclasses.dataclass
    ... class Layer:
    ...     weights: list
    ...     activation: str = dataclasses.field(metadata={"static": True})
    >>> structure(Layer([1.0, 2.0], "relu"))
    PyTreeDef(CustomNode(Layer[('relu',)], [[*, *]]))
    """
    # Read without importing dataclasses: a field proper is marked by a sentinel of this name.
    declared = {
        f.name: f
        for f in getattr(nodetype, "__dataclass_fields__", {}).values()
        if f._field_type.name == "_FIELD" and f.init
    }
    is_dataclass = hasattr(nodetype, "__dataclass_fields__")
    if (data_fields is None) != (meta_fields is None):
        raise ArgumentError(
            wrong=f"register_dataclass was given only one of data_fields and meta_fields for {nodetype.__name__}",
            fix="Give both or neither",
        )
    if data_fields is None or meta_fields is None:
        if not is_dataclass:
            raise ArgumentError(
                wrong=f"{nodetype.__name__} is not a dataclass, so its fields are not known",
                fix="Give data_fields and meta_fields, or decorate it with dataclasses.dataclass first",
            )
        meta_fields = [n for n, f in declared.items() if f.metadata.get("static", False)]
        data_fields = [n for n in declared if n not in meta_fields and n not in drop_fields]
    data_names, meta_names = tuple(data_fields), tuple(meta_fields)
    if is_dataclass:
        missing = set(declared) - {*data_names, *meta_names, *drop_fields}
        unknown = {*data_names, *meta_names} - set(declared)
        if missing or unknown:
            raise ArgumentError(
                wrong=f"the fields given for {nodetype.__name__} are not its own:"
                + (f" without {', '.join(sorted(missing))}" if missing else "")
                + (f" with {', '.join(sorted(unknown))}" if unknown else ""),
                fix="Name each field with init=True once, or list it in drop_fields",
            )

    def children_of(x: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(x, n) for n in data_names], tuple([getattr(x, n) for n in meta_names])

    def build(meta: tuple[Any, ...], children: list[Any]) -> Any:
        given = dict(zip(data_names, children, strict=True))
        given.update(zip(meta_names, meta, strict=True))
        return nodetype(**given)

    register(Kind(nodetype, children_of, build, lambda x: [GetAttrKey(n) for n in data_names]))
    return nodetype


class _Wrapped:
    """A ``functools.partial`` inside a `Partial`: keeps its arguments out of the outer one's children."""

    __slots__ = ("function",)

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.function(*args, **keywords)

    def __eq__(self, other: object) -> bool:
        return type(other) is _Wrapped and self.function == other.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        return repr(self.function)


class Partial(functools.partial[Any]):
    """A ``functools.partial`` that is a node of trees: its arguments are children, its function is metadata.

    Examples
    --------
    >>> from portax.core.tree import leaves
    >>> power = Partial(pow, 2)
    >>> power(3), leaves(power)
    (8, [2])
    """

    def __new__(cls, func: Callable[..., Any], /, *args: Any, **keywords: Any) -> Partial:
        if isinstance(func, functools.partial):
            # functools would merge the two, and what was metadata of the inner would become children.
            func = _Wrapped(func)
        return super().__new__(cls, func, *args, **keywords)


register_pytree_with_keys(
    Partial,
    lambda p: (((GetAttrKey("args"), p.args), (GetAttrKey("keywords"), p.keywords)), p.func),
    lambda func, children: Partial(func, *children[0], **children[1]),
    lambda p: ((p.args, p.keywords), p.func),
)
