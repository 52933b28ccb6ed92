"""Trees of Python containers taken apart into a list of leaves and a description of the rest.

The idea: most containers hold leaves only. Whether one does is one set operation on the types of its children, and
then its description is looked up and its leaves are appended in one step; only containers of containers are walked.
The descriptions of ordinary containers are shared: two trees built alike have the same `PyTreeDef` object, so that
comparing them, as every call of a compiled function does, costs next to nothing.

A description that is used often writes two small Python functions for itself: one puts a tree together, and one
takes trees apart that are expected to be built like it. The latter are tried before a tree is walked: a program takes
the same few kinds of trees apart again and again.

Invariants: ``unflatten(flatten(x)) == x``, with the keys of dictionaries sorted. Sharing is only a matter of speed:
equality never depends on it, and nothing is shared between values that are equal but differ (``1`` and ``True``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portax.core.lazy import lazy
from portax.core.treediff import difference, keystr
from portax.core.treenodes import (
    BOUND,
    DEFAULT,
    DICT,
    LEAF_KIND,
    LIST,
    NONE,
    ORDERED,
    TUPLE,
    Kind,
    kinds,
    registered,
    sorted_keys,
)
from portax.core.treewriter import written_builder, written_opener
from portax.errors import TreeError

Leaf = Any
IsLeaf = Callable[[Any], bool] | None

_OFTEN, _MET_OFTEN = 3, 6
"""After how many uses a description writes its builder, and after how many walks its opener."""
_TRIED = 6
treebytes = lazy("portax.core.treebytes")
"""How many descriptions are tried on a tree before it is walked."""


# Descriptions.


class PyTreeDef:
    """How a tree is built, without its leaves.

    Two are equal when they have the same nodes with the same metadata in the same places. They are hashable, and
    print like ``PyTreeDef((*, {'a': *}))``, where a star is a leaf.

    Attributes
    ----------
    num_leaves, num_nodes : int
        Leaves, and nodes and leaves together.

    Examples
    --------
    >>> leaves, treedef = flatten(({"b": 1, "a": 2}, None))
    >>> treedef
    PyTreeDef(({'a': *, 'b': *}, None))
    >>> treedef.unflatten("xy")
    ({'a': 'x', 'b': 'y'}, None)
    """

    __slots__ = (
        "__weakref__",
        "_builder",
        "_hash",
        "_nodes",
        "_opener",
        "_uses",
        "data",
        "flat",
        "kids",
        "kind",
        "met",
        "num_leaves",
        "plain",
    )

    kind: Kind
    data: Any
    kids: tuple[PyTreeDef, ...]
    flat: bool
    num_leaves: int
    _hash: int | None
    _nodes: int | None
    _uses: int
    met: int
    plain: bool
    _builder: Callable[[Any], Any] | None
    _opener: Callable[[Any], list[Any] | None] | None

    @staticmethod
    def new(kind: Kind, data: Any, kids: tuple[PyTreeDef, ...]) -> PyTreeDef:
        """The structure with this root and these children, which shares nothing. `make` shares."""
        self = object.__new__(PyTreeDef)
        self.kind, self.data, self.kids = kind, data, kids
        self.num_leaves = sum(kid.num_leaves for kid in kids)
        self.flat = self.num_leaves == len(kids) and all(kid is LEAF for kid in kids)
        self._hash = self._nodes = self._builder = self._opener = None
        self._uses = self.met = 0
        # Whether what is built like this is described by this: no metadata that may be equal and yet differ.
        self.plain = (
            kind.own
            and (data is None or (kind is DICT and all(type(k) is str for k in data)))
            and all(kid.plain for kid in kids)
        )
        return self

    def unflatten(self, leaves: Iterable[Leaf], /) -> Any:
        """The tree of this structure with these leaves.

        Raises
        ------
        TreeError
            There are too few leaves, or too many.
        """
        if type(leaves) is not list and type(leaves) is not tuple:
            leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise TreeError(
                wrong=f"{len(leaves)} leaves were given to a tree of {self.num_leaves}: {self}",
                fix=f"Give {self.num_leaves}",
            )
        builder = self._builder
        if builder is not None:
            return builder(leaves)
        self._uses += 1
        if self._uses > _OFTEN and self is not LEAF:
            self._builder = written_builder(self)
        return leaves[0] if self is LEAF else _build(self, leaves, 0)

    def opener(self) -> Callable[[Any], list[Any] | None]:
        """A function that takes a tree apart which is expected to be built like this.

        It gives the list of what stands in the places of leaves, or None if some container differs. It does not ask
        whether what stands there is a leaf: the caller looks at each of them anyway.
        """
        if self._opener is None:
            self._opener = written_opener(self) or self._checked
        return self._opener

    def _checked(self, tree: Any) -> list[Any] | None:
        try:
            return split(self, tree)
        except Mismatch:
            return None

    def flatten_up_to(self, tree: Any, /) -> list[Any]:
        """The subtrees of ``tree`` that stand where this structure has its leaves.

        Raises
        ------
        TreeError
            ``tree`` is built differently above those places.
        """
        try:
            return split(self, tree)
        except Mismatch:
            found = difference(self, flatten(tree)[1], prefix=True)
        here, there, path = (
            (found.here, found.there, keystr(found.path)) if found else ("metadata", "other metadata", "")
        )
        raise TreeError(wrong=f"the tree has {there} at tree{path}, where {here} was expected", fix="Build it alike")

    def children(self) -> list[PyTreeDef]:
        """The structures of the root's children."""
        return list(self.kids)

    def node_data(self) -> tuple[type, Any] | None:
        """The root's type and metadata (for a dictionary, its keys); None for a leaf."""
        if self is LEAF:
            return None
        return self.kind.type, list(self.data) if self.kind is DICT else self.data

    @staticmethod
    def from_node_data_and_children(
        registry: Any, node_data: tuple[type, Any] | None, children: Iterable[PyTreeDef]
    ) -> PyTreeDef:
        """The structure with a root like `node_data` describes; the inverse of `node_data` and `children`."""
        if node_data is None:
            return LEAF
        kind = kinds[node_data[0]]
        if kind is None:
            raise TreeError(
                wrong=f"{node_data[0].__name__} is not a node of trees",
                fix="Register it with portax.tree_util.register_pytree_node",
            )
        return make(kind, tuple(node_data[1]) if kind is DICT else node_data[1], tuple(children))

    make_from_node_data_and_children = from_node_data_and_children

    def compose(self, inner: PyTreeDef, /) -> PyTreeDef:
        """This structure with ``inner`` in the place of each leaf."""
        if self is LEAF:
            return inner
        return make(self.kind, self.data, tuple([kid.compose(inner) for kid in self.kids]))

    def from_iterable_tree(self, xs: Iterable[Any], /) -> Any:
        """The tree of this structure whose leaves are those of a tree of iterables with as many children everywhere.

        Examples
        --------
        >>> flatten((1, {"a": 2}))[1].from_iterable_tree([5, [7]])
        (5, {'a': 7})
        """
        leaves: list[Any] = []

        def gather(node: PyTreeDef, x: Any) -> None:
            if node is LEAF:
                leaves.append(x)
                return
            children = list(x)
            if len(children) != len(node.kids):
                raise TreeError(
                    wrong=f"from_iterable_tree was given {len(children)} children for {node}",
                    fix=f"Give {len(node.kids)}",
                )
            for kid, child in zip(node.kids, children, strict=True):
                gather(kid, child)

        gather(self, xs)
        return self.unflatten(leaves)

    def serialize_using_proto(self) -> bytes:
        """The structure as bytes, which JAX reads too: of tuples, lists, None and dictionaries with strings for keys.

        Examples
        --------
        >>> kept = flatten((1, {"a": 2}))[1].serialize_using_proto()
        >>> PyTreeDef.deserialize_using_proto(None, kept)
        PyTreeDef((*, {'a': *}))
        """
        return treebytes.write(self)

    @staticmethod
    def deserialize_using_proto(registry: Any, data: bytes) -> PyTreeDef:
        """The structure that `serialize_using_proto` made bytes of. There is one registry, whatever is given."""
        return treebytes.read(data)

    def walk(
        self, f_node: Callable[[Any, Any], Any], f_leaf: Callable[[Any], Any] | None, leaves: Iterable[Any], /
    ) -> Any:
        """Fold the tree with these leaves from below: ``f_node(children, data)`` at nodes, ``f_leaf`` at leaves."""
        rest = iter(leaves)

        def fold(node: PyTreeDef) -> Any:
            if node is LEAF:
                leaf = next(rest)
                return leaf if f_leaf is None else f_leaf(leaf)
            return f_node(tuple([fold(kid) for kid in node.kids]), node.data)

        return fold(self)

    @property
    def num_nodes(self) -> int:
        if self._nodes is None:
            self._nodes = 1 + sum(kid.num_nodes for kid in self.kids)
        return self._nodes

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not PyTreeDef:
            return NotImplemented
        return (
            self.kind is other.kind
            and self.num_leaves == other.num_leaves
            and bool(self.data == other.data)
            and self.kids == other.kids
        )

    def __hash__(self) -> int:
        if self._hash is None:
            try:
                own = hash(self.data)
            except TypeError:  # equality still tells them apart
                own = 0
            self._hash = hash((id(self.kind), own, self.kids))
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        if self is LEAF:
            return _unpickled, (None, None, ())
        return _unpickled, (self.kind.type, self.data, self.kids)

    def __repr__(self) -> str:
        return f"PyTreeDef({self._inner()})"

    def _inner(self) -> str:
        kind, kids = self.kind, [kid._inner() for kid in self.kids]
        if self is LEAF:
            return "*"
        if kind is NONE:
            return "None"
        if kind is TUPLE:
            return f"({kids[0]},)" if len(kids) == 1 else f"({', '.join(kids)})"
        if kind is LIST:
            return f"[{', '.join(kids)}]"
        if kind is DICT:
            return "{" + ", ".join(f"{k!r}: {kid}" for k, kid in zip(self.data, kids, strict=True)) + "}"
        name = kind.type.__name__
        if kind.own and self.data is None:
            return f"CustomNode(namedtuple[{name}], [{', '.join(kids)}])"
        return f"CustomNode({name}[{self.data}], [{', '.join(kids)}])"


def _leaf() -> PyTreeDef:
    self = PyTreeDef.new(LEAF_KIND, None, ())
    self.num_leaves, self.flat = 1, False
    return self


#: The structure of a tree that is one leaf; there is only this one.
LEAF: PyTreeDef = _leaf()

_shared: dict[Any, PyTreeDef] = {}
_PLAIN = frozenset({str, int, bool, type(None), bytes})


def _signature(data: Any) -> Any:
    """A key under which metadata may be shared: equal keys mean that nobody can tell the metadata apart. Else None."""
    cls = type(data)
    if cls in _PLAIN:
        return cls
    if cls is tuple:
        classes = tuple(map(type, data))
        return classes if _PLAIN.issuperset(classes) else None
    return None


def make(kind: Kind, data: Any, kids: Sequence[PyTreeDef]) -> PyTreeDef:
    """The structure with this root and these children, shared where it can be."""
    signature = _signature(data)
    if signature is None:
        return PyTreeDef.new(kind, data, tuple(kids))
    # The table keeps the children alive, so their identities stay theirs.
    key = kind, signature, data, *map(id, kids)
    known = _shared.get(key)
    if known is None:
        if len(_shared) > BOUND:
            _shared.clear()
        known = _shared.setdefault(key, PyTreeDef.new(kind, data, tuple(kids)))
    return known


def _unpickled(cls: type | None, data: Any, kids: tuple[PyTreeDef, ...]) -> PyTreeDef:
    return PyTreeDef.from_node_data_and_children(None, None if cls is None else (cls, data), kids)


# Taking apart. A walker appends the leaves of a node to a list and returns the node's structure.

Walker = Callable[[Any, list[Any]], PyTreeDef]

_leaf_types: set[type] = set()
"""Types met so far whose values are leaves."""
_dict_forms: dict[tuple[str, ...], tuple[tuple[str, ...], bool, PyTreeDef]] = {}
"""From the keys of a dictionary, all of them strings: the keys as sorted, whether that is the order they were in, and
the structure if all values are leaves."""


def _walk_children(children: Iterable[Any], leaves: list[Any]) -> list[PyTreeDef]:
    structures = []
    for x in children:
        walker = _walkers[type(x)]
        if walker is None:
            leaves.append(x)
            structures.append(LEAF)
        else:
            structures.append(walker(x, leaves))
    return structures


def _walk_none(x: None, leaves: list[Any]) -> PyTreeDef:
    return _NONE_DEF


def _sequence_walker(kind: Kind) -> Walker:
    flat: dict[int, PyTreeDef] = {}

    def walk(x: Any, leaves: list[Any]) -> PyTreeDef:
        if _leaf_types.issuperset(map(type, x)):
            leaves.extend(x)
            n = len(x)
            known = flat.get(n)
            if known is None:
                if len(flat) > BOUND:
                    flat.clear()
                known = flat[n] = make(kind, None, (LEAF,) * n)
            return known
        return make(kind, None, _walk_children(x, leaves))

    return walk


def _walk_dict(x: dict[Any, Any], leaves: list[Any]) -> PyTreeDef:
    keys = tuple(x)
    known = _dict_forms.get(keys)
    if known is None:
        ordered = sorted_keys(x)
        if not all(type(k) is str for k in keys):
            return make(DICT, ordered, _walk_children([x[k] for k in ordered], leaves))
        if len(_dict_forms) > BOUND:
            _dict_forms.clear()
        known = _dict_forms[keys] = ordered, ordered == keys, make(DICT, ordered, (LEAF,) * len(keys))
    ordered, in_order, flat = known
    values = x.values() if in_order else [x[k] for k in ordered]
    if _leaf_types.issuperset(map(type, values)):
        leaves.extend(values)
        return flat
    return make(DICT, ordered, _walk_children(values, leaves))


def _custom_walker(kind: Kind) -> Walker:
    flatten_one = kind.flatten

    def walk(x: Any, leaves: list[Any]) -> PyTreeDef:
        children, data = flatten_one(x)
        return make(kind, data, _walk_children(children, leaves))

    return walk


class _Walkers(dict[type, Walker | None]):
    """The walker of each type met so far; None for leaves."""

    def __missing__(self, cls: type) -> Walker | None:
        kind = kinds[cls]
        walker: Walker | None
        if kind is None:
            walker = None
        elif kind is DICT:
            walker = _walk_dict
        elif kind is NONE:
            walker = _walk_none
        elif kind is ORDERED or kind is DEFAULT or not kind.own:
            walker = _custom_walker(kind)
        else:
            walker = _sequence_walker(kind)
        if len(self) > BOUND:
            self.clear()
            _leaf_types.clear()
        self[cls] = walker
        if walker is None:
            _leaf_types.add(cls)
        return walker


_walkers = _Walkers()
_NONE_DEF = make(NONE, None, ())


def _walk_until(x: Any, is_leaf: Callable[[Any], bool], leaves: list[Any]) -> PyTreeDef:
    kind = kinds[type(x)]
    if kind is None or is_leaf(x):
        leaves.append(x)
        return LEAF
    children, data = kind.flatten(x)
    return make(kind, data, tuple([_walk_until(c, is_leaf, leaves) for c in children]))


def flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Leaf], PyTreeDef]:
    """The leaves of a tree from left to right, and its structure.

    Parameters
    ----------
    tree : tree
        Tuples, lists, dictionaries (in the order of their sorted keys), ``OrderedDict``, ``defaultdict``, named tuples,
        None (a node without children) and registered types are nodes; anything else is a leaf.
    is_leaf : function, optional
        True for a subtree that shall count as a leaf.

    Examples
    --------
    >>> portax.tree.flatten({"a": 1, "b": (2, 3)})[0]
    [1, 2, 3]
    """
    if is_leaf is not None:
        leaves: list[Any] = []
        return leaves, _walk_until(tree, is_leaf, leaves)
    cls = type(tree)
    walker = _walkers[cls]
    if walker is None:
        return [tree], LEAF
    if cls is tuple or cls is dict or cls is list:
        for opener, structure in _expected.get((cls, len(tree)), ()):
            found = opener(tree)
            if found is not None and _leaf_types.issuperset(map(type, found)):
                return found, structure
    leaves = []
    structure = walker(tree, leaves)
    if not structure.flat and structure.plain:
        structure.met += 1
        if structure.met > _MET_OFTEN:
            _expect(structure, (cls, len(tree)))
    return leaves, structure


_expected: dict[tuple[type, int], tuple[tuple[Callable[[Any], list[Any] | None], PyTreeDef], ...]] = {}
"""By the type and length of a tree's root: structures met often, with their openers, the latest first."""


def _expect(structure: PyTreeDef, root: tuple[type, int]) -> None:
    """Have a structure tried before walking, in the place of the one that came in first."""
    structure.met = 0
    if len(_expected) > BOUND:
        _expected.clear()
    others = [pair for pair in _expected.get(root, ()) if pair[1] is not structure]
    _expected[root] = ((structure.opener(), structure), *others[: _TRIED - 1])


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Any]:
    """The children of a tree's root, and its metadata.

    Raises
    ------
    TreeError
        The tree is a leaf.

    Examples
    --------
    >>> list(portax.tree_util.flatten_one_level({"a": 1, "b": [2]})[0])
    [1, [2]]
    """
    kind = kinds[type(tree)]
    if kind is None:
        raise TreeError(wrong=f"{tree!r} is a leaf, it has no children", fix="Check with is_tree_node")
    children, data = kind.flatten(tree)
    return children, kind.type if kind.own and hasattr(kind.type, "_fields") else data


# Putting together, and splitting by a structure.


def _build(node: PyTreeDef, leaves: Sequence[Any], at: int) -> Any:
    if node.flat:
        return node.kind.build(node.data, list(leaves[at : at + node.num_leaves]))
    children = []
    for kid in node.kids:
        if kid is LEAF:
            children.append(leaves[at])
            at += 1
        else:
            children.append(_build(kid, leaves, at))
            at += kid.num_leaves
    return node.kind.build(node.data, children)


class Mismatch(Exception):
    """Inside this room: a tree is built differently than a structure. Shown to users as a `TreeError`."""


def split(treedef: PyTreeDef, tree: Any) -> list[Any]:
    """The subtrees that stand where a structure has its leaves; raises `Mismatch`."""
    parts: list[Any] = []
    _split(treedef, tree, parts)
    return parts


def _split(node: PyTreeDef, tree: Any, parts: list[Any]) -> None:
    if node is LEAF:
        parts.append(tree)
        return
    kind = node.kind
    if kinds[type(tree)] is not kind:
        raise Mismatch
    children, data = kind.flatten(tree)
    if type(children) is not list and type(children) is not tuple:
        children = list(children)
    if len(children) != len(node.kids) or not (data is node.data or data == node.data):
        raise Mismatch
    if node.flat:
        parts.extend(children)
    else:
        for kid, child in zip(node.kids, children, strict=True):
            _split(kid, child, parts)


def register(kind: Kind) -> None:
    """Make a type a node of trees.

    Raises
    ------
    TreeError
        It is one already.
    """
    if kind.type in registered:
        raise TreeError(
            wrong=f"{kind.type.__name__} is already registered as a node of trees",
            fix="Register a type once, where it is defined",
        )
    registered[kind.type] = kind
    for cache in (kinds, _walkers, _leaf_types):
        cache.clear()
