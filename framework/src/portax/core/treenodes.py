"""The types that are nodes of trees, and the names of the steps from a node to its children.

A `Kind` says all that is known of one type of node. Types are matched exactly: a subclass of dict is a leaf until it is
registered. Named tuples are the exception, their kind is made when one is first met.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from portax.errors import ArgumentError, TreeError

BOUND = 20_000
"""How many types, forms and shared descriptions are kept before starting anew."""


# Key paths.


class Key:
    """One step of the way from a tree's root to a subtree."""

    __slots__ = ("_value",)
    __match_args__: tuple[str, ...] = ()

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        # Of one class, so alike.
        return type(self) is type(other) and self._value == other._value  # pyright: ignore[reportAttributeAccessIssue]

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__match_args__[0]}={self._value!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._value,)

    @property
    def simple(self) -> str:
        """The step without punctuation: ``a`` for ``['a']``."""
        return str(self._value)


class SequenceKey(Key):
    """The step to element ``idx`` of a tuple or list: ``[0]``."""

    __slots__ = ()
    __match_args__ = ("idx",)

    def __init__(self, idx: int) -> None:
        super().__init__(idx)

    idx = property(lambda self: self._value)

    def __str__(self) -> str:
        return f"[{self._value!r}]"


class DictKey(Key):
    """The step to the value of ``key`` in a dictionary: ``['a']``."""

    __slots__ = ()
    __match_args__ = ("key",)

    def __init__(self, key: Hashable) -> None:
        super().__init__(key)

    key = property(lambda self: self._value)

    def __str__(self) -> str:
        return f"[{self._value!r}]"


class GetAttrKey(Key):
    """The step to the attribute ``name`` of an object: ``.a``."""

    __slots__ = ()
    __match_args__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(name)

    name = property(lambda self: self._value)

    def __str__(self) -> str:
        return f".{self._value}"


class FlattenedIndexKey(Key):
    """The step to child number ``key`` of a node that names its children in no better way."""

    __slots__ = ()
    __match_args__ = ("key",)

    def __init__(self, key: int) -> None:
        super().__init__(key)

    key = property(lambda self: self._value)

    def __str__(self) -> str:
        return f"[<flat index {self._value}>]"


KeyPath = tuple[Any, ...]


# Kinds of nodes.


class Kind:
    """What is known of one type of node: how to take it apart, put it together, and name its children.

    Parameters
    ----------
    type : type
    flatten : function of a node, giving its children and its metadata
    build : function of the metadata and a list of children, giving a node
    keys : function of a node, giving one `Key` per child, or None where they have none but their number
    """

    __slots__ = ("build", "flatten", "keys", "own", "type")

    def __init__(
        self,
        type: type,
        flatten: Callable[[Any], tuple[Iterable[Any], Any]],
        build: Callable[[Any, list[Any]], Any],
        keys: Callable[[Any], Iterable[Any]] | None,
        own: bool = False,
    ) -> None:
        self.type = type
        self.flatten = flatten
        self.build = build
        self.keys = keys
        self.own = own

    def __repr__(self) -> str:
        return f"<tree node {self.type.__name__}>"


def sorted_keys(mapping: Any) -> tuple[Any, ...]:
    """The keys of a dictionary in the order of its children."""
    try:
        return tuple(sorted(mapping))
    except TypeError:
        raise TreeError(
            wrong=f"a dictionary in a tree has keys that cannot be sorted: {', '.join(map(repr, mapping))}",
            fix="Use keys of one type, or an OrderedDict, whose order is its own",
        ) from None


def _dict_parts(x: Any) -> tuple[list[Any], tuple[Any, ...]]:
    keys = sorted_keys(x)
    return [x[k] for k in keys], keys


def _ordered_parts(x: Any) -> tuple[list[Any], tuple[Any, ...]]:
    return list(x.values()), tuple(x)


def _default_parts(x: Any) -> tuple[list[Any], tuple[Any, ...]]:
    keys = sorted_keys(x)
    return [x[k] for k in keys], (x.default_factory, keys)


def _sequence_keys(x: Any) -> list[SequenceKey]:
    return [SequenceKey(i) for i in range(len(x))]


LEAF_KIND = Kind(object, lambda x: ((), None), lambda data, children: None, None, own=True)
NONE = Kind(type(None), lambda x: ((), None), lambda data, children: None, None, own=True)
TUPLE = Kind(tuple, lambda x: (x, None), lambda data, children: tuple(children), _sequence_keys, own=True)
LIST = Kind(list, lambda x: (x, None), lambda data, children: children, _sequence_keys, own=True)
DICT = Kind(
    dict,
    _dict_parts,
    lambda data, children: dict(zip(data, children, strict=True)),
    lambda x: [DictKey(k) for k in sorted_keys(x)],
    own=True,
)
ORDERED = Kind(
    collections.OrderedDict,
    _ordered_parts,
    lambda data, children: collections.OrderedDict(zip(data, children, strict=True)),
    lambda x: [DictKey(k) for k in x],
    own=True,
)
DEFAULT = Kind(
    collections.defaultdict,
    _default_parts,
    lambda data, children: collections.defaultdict(data[0], zip(data[1], children, strict=True)),
    lambda x: [DictKey(k) for k in sorted_keys(x)],
    own=True,
)


def _namedtuple_kind(cls: Any) -> Kind:
    return Kind(
        cls,
        lambda x: (x, None),
        lambda data, children: cls(*children),
        lambda x: [GetAttrKey(name) for name in cls._fields],
        own=True,
    )


registered: dict[type, Kind] = {
    type(None): NONE,
    tuple: TUPLE,
    list: LIST,
    dict: DICT,
    collections.OrderedDict: ORDERED,
    collections.defaultdict: DEFAULT,
}


class _Kinds(dict[type, Kind | None]):
    """The kind of each type met so far; None for leaves."""

    def __missing__(self, cls: type) -> Kind | None:
        kind = registered.get(cls)
        if kind is None and issubclass(cls, tuple) and hasattr(cls, "_fields"):
            kind = _namedtuple_kind(cls)
        if len(self) > BOUND:
            self.clear()
        # setdefault: two threads that meet a named tuple first must leave with the same kind.
        return self.setdefault(cls, kind)


kinds = _Kinds()


def child_keys(kind: Kind, node: Any, count: int) -> list[Any]:
    """One key per child of a node."""
    if kind.keys is None:
        return [FlattenedIndexKey(i) for i in range(count)]
    keys = list(kind.keys(node))
    if len(keys) != count:
        raise ArgumentError(
            wrong=f"{kind.type.__name__} names {len(keys)} children with keys but has {count} without",
            fix="Let both functions given to register_pytree_with_keys return the same children",
        )
    return keys
