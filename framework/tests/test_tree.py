"""Trees: laws, shared structures, the written functions, registration, and the words of refusals."""

import collections
import dataclasses
import enum
import functools
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portax import tree, tree_util
from portax.core import tree as room
from portax.core import treedef as structures
from portax.errors import ArgumentError, TreeError

Point = collections.namedtuple("Point", "x y")
names = st.sampled_from(["a", "b", "c", "z"])


def nodes(children):
    several = st.lists(children, max_size=3)
    items = st.lists(st.tuples(names, children), max_size=4, unique_by=lambda kv: kv[0])
    return st.one_of(
        several,
        several.map(tuple),
        items.map(dict),
        st.dictionaries(st.integers(0, 5), children, max_size=3),
        items.map(collections.OrderedDict),
        items.map(lambda kv: collections.defaultdict(list, kv)),
        st.builds(Point, children, children),
        st.none(),
    )


trees = st.recursive(st.integers() | st.none(), nodes, max_leaves=15)


@given(trees)
def test_unflatten_is_the_inverse_of_flatten(t):
    leaves, treedef = tree.flatten(t)
    for _ in range(6):
        again = treedef.unflatten(leaves)
        assert again == t
        assert type(again) is type(t)


@given(trees)
def test_two_trees_built_alike_are_described_alike(t):
    leaves, a = tree.flatten(t)
    b = tree.structure(a.unflatten([str(x) for x in leaves]))
    assert a == b
    assert hash(a) == hash(b)
    assert pickle.loads(pickle.dumps(a)) == a


@given(trees, trees)
def test_an_opener_takes_apart_what_is_built_alike_and_nothing_else(a, b):
    leaves, treedef = tree.flatten(a)
    opener = treedef.opener()
    assert opener(a) == leaves
    try:
        expected = treedef.flatten_up_to(b)
    except TreeError:
        expected = None
    assert opener(b) == expected


@given(trees, trees)
def test_a_difference_is_found_exactly_where_there_is_one(a, b):
    a, b = tree.structure(a), tree.structure(b)
    assert (room.difference(a, b) is None) == (a == b)


@given(trees)
def test_paths_lead_to_the_leaves(t):
    def follow(x, key):
        match key:
            case tree_util.SequenceKey(i) | tree_util.DictKey(i):
                return x[i]
            case tree_util.GetAttrKey(name):
                return getattr(x, name)

    for path, leaf in tree.leaves_with_path(t):
        assert functools.reduce(follow, path, t) is leaf


@given(trees)
def test_a_predicate_that_is_never_true_changes_nothing(t):
    assert tree.flatten(t, lambda x: False) == tree.flatten(t)


@given(st.lists(trees, max_size=3))
def test_a_tree_met_often_is_taken_apart_as_one_met_first(several):
    for _ in range(9):
        for t in several:
            assert tree.flatten(t) == tree.flatten(t, lambda x: False)


def test_a_tree_like_one_met_often_is_not_mistaken_for_it():
    for _ in range(20):
        tree.flatten(({"a": 1}, [2]))
    assert tree.leaves(({"a": (1, 3)}, [2])) == [1, 3, 2]
    assert tree.structure(({"a": None}, [2])) == tree.structure(({"a": None}, [0]))
    assert repr(tree.structure(({"a": None}, [2]))) == "PyTreeDef(({'a': None}, [*]))"
    assert tree.leaves(({"b": 1}, [2])) == [1, 2]
    assert repr(tree.structure(({"b": 1}, [2]))) == "PyTreeDef(({'b': *}, [*]))"
    cls = fresh()
    for _ in range(20):
        assert len(tree.leaves(({"a": cls(1, 2)}, [2]))) == 2
    tree_util.register_pytree_node(cls, lambda n: (n.xs, None), lambda _, xs: cls(*xs))
    assert tree.leaves(({"a": cls(1, 2)}, [3])) == [1, 2, 3]


def test_plain_structures_are_shared():
    def make():
        return {"w": [np.ones(2), (1, None)], "b": Point(1, 2)}

    assert tree.structure(make()) is tree.structure(make())


class Color(enum.StrEnum):
    RED = "red"


def test_what_is_equal_but_differs_is_not_shared():
    assert [type(k) for k in tree.map(str, {True: 1})] == [bool]
    assert [type(k) for k in tree.map(str, {1: 1})] == [int]
    assert [type(k) for k in tree.map(str, {1.0: 1})] == [float]
    assert tree.structure({1: 0}) == tree.structure({True: 0})
    assert tree.map(str, {Color.RED: 1}) == {"red": "1"}


def test_the_tables_are_bounded(monkeypatch):
    monkeypatch.setattr(structures, "BOUND", 50)
    first = tree.structure({"k0": (1, 2)})
    for i in range(500):
        tree.structure({f"k{i}": (1, [2] * i)})
        assert len(structures._shared) <= 52
        assert len(structures._dict_forms) <= 52
    again = tree.structure({"k0": (1, 2)})
    assert first == again
    assert hash(first) == hash(again)


def test_large_and_deep_trees_are_handled_without_written_functions():
    deep = functools.reduce(lambda t, _: [t], range(200), 1)
    wide = [{"a": i, "b": (i, i)} for i in range(2000)]
    for t in (deep, wide):
        leaves, treedef = tree.flatten(t)
        for _ in range(6):
            assert treedef.unflatten(leaves) == t
        assert treedef.opener()(t) == leaves
        assert treedef.opener()({"x": 1}) is None


def test_threads_agree_on_structures():
    seen = []

    def work():
        cls = collections.namedtuple("Fresh", "x")
        for i in range(200):
            seen.append((i, tree.structure({"k": [i] * i, "p": cls(i)}).num_leaves))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(seen) == 800
    assert all(n == i + 1 for i, n in seen)


def fresh(name="Node"):
    return type(name, (), {"__init__": lambda self, *xs: setattr(self, "xs", xs)})


def test_a_type_seen_as_a_leaf_before_it_is_registered():
    cls = fresh()
    x = [cls(1, 2)]
    assert len(tree.leaves(x)) == 1
    tree_util.register_pytree_node(cls, lambda n: (n.xs, None), lambda _, xs: cls(*xs))
    assert tree.leaves(x) == [1, 2]
    assert tree.leaves({"k": x[0]}) == [1, 2]


def test_metadata_may_be_unhashable_and_tells_structures_apart():
    cls = fresh()
    tree_util.register_pytree_node(cls, lambda n: (n.xs[:1], n.xs[1]), lambda m, xs: cls(*xs, m))
    a, b, c = (tree.structure(cls(1, m)) for m in ([1], [1], [2]))
    assert a == b != c
    assert hash(a) == hash(b)
    assert a.unflatten([5]).xs == (5, [1])


def test_children_and_keys_may_be_iterators():
    cls = fresh()
    tree_util.register_pytree_with_keys(
        cls, lambda n: (((tree_util.DictKey(i), x) for i, x in enumerate(n.xs)), None), lambda _, xs: cls(*xs)
    )
    assert [tree_util.keystr(p) for p, _ in tree.leaves_with_path(cls(1, (2,)))] == ["[0]", "[1][0]"]
    assert tree.map(str, cls(1, 2)).xs == ("1", "2")
    assert tree.map(lambda x, y: x + y, cls(1, 2), cls(3, 4)).xs == (4, 6)
    assert tree.structure(cls(1, 2)).opener()(cls(3, 4)) == [3, 4]


def test_keys_that_do_not_fit_the_children_are_refused():
    cls = fresh("Odd")
    tree_util.register_pytree_with_keys(
        cls, lambda n: ([("k", 1)], None), lambda _, xs: cls(*xs), lambda n: (n.xs, None)
    )
    with pytest.raises(ArgumentError, match="Odd names 1 children with keys but has 2 without"):
        tree.leaves_with_path(cls(1, 2))


def test_static_values_are_metadata():
    @tree_util.register_static
    @dataclasses.dataclass(frozen=True)
    class Mode:
        name: str

    assert tree.leaves((Mode("a"), 1)) == [1]
    assert tree.structure(Mode("a")) == tree.structure(Mode("a")) != tree.structure(Mode("b"))
    assert tree.unflatten(tree.structure(Mode("a")), []) == Mode("a")


def test_dataclasses_with_static_dropped_and_late_fields():
    @functools.partial(tree_util.register_dataclass, data_fields=["a"], meta_fields=["m"], drop_fields=["cache"])
    @dataclasses.dataclass
    class D:
        a: object
        m: str
        cache: object = None
        n: int = dataclasses.field(init=False, default=7)

    again = tree.map(str, D(1, "m", cache=object()))
    assert (again.a, again.m, again.cache, again.n) == ("1", "m", None, 7)
    assert [str(p[0]) for p, _ in tree.leaves_with_path(D(1, "m"))] == [".a"]


def test_a_partial_of_a_partial_keeps_the_inner_arguments_inside():
    p = tree_util.Partial(functools.partial(pow, 2), 5)
    assert p(7) == pow(2, 5, 7)
    assert tree.leaves(p) == [5]
    assert tree.map(lambda x: x + 1, p)(7) == pow(2, 6, 7)
    again = tree_util.Partial(functools.partial(pow, 2), 6)
    assert tree.structure(p) != tree.structure(again)  # functools.partial compares by identity


def test_values_of_a_prefix():
    treedef = tree.structure(({"a": 1, "b": [2, 3]}, 4))

    def none(x):
        return x is None

    assert room.prefix_to_leaves(7, treedef) == [7] * 4
    assert room.prefix_to_leaves((0, None), treedef, is_leaf=none) == [0, 0, 0, None]
    assert room.prefix_to_leaves(({"a": 0, "b": 1}, 2), treedef) == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: tree.map(max, {"w": 1, "b": (2, 3)}, {"w": 1, "b": (2,)}),
            r"tree 2 has a tuple of length 1 at tree\['b'\], where tree 1 has a tuple of length 2",
        ),
        (lambda: tree.map(max, [1], [1], (1,)), "tree 3 has a tuple of length 1 at tree, where tree 1 has a list"),
        (lambda: tree.map(max, (1, None), (1, 2)), r"tree 2 has a leaf at tree\[1\], where tree 1 has None"),
        (
            lambda: tree.map(max, {"p": {"a": 1}}, {"p": {"b": 1}}),
            r"a dict with the keys 'b' at tree\['p'\], where tree 1 has a dict with the keys 'a'",
        ),
        (lambda: tree.map(max, Point(1, {}), Point(1, 2)), r"a leaf at tree.y, where tree 1 has an empty dict"),
        (lambda: tree.structure([1]).flatten_up_to(3), "the tree has a leaf at tree, where a list of length 1"),
        (lambda: tree.unflatten(tree.structure((1, 2)), [1]), r"1 leaves were given to a tree of 2: PyTreeDef\(\(\*"),
        (lambda: tree.unflatten(tree.structure(1), iter([1, 2])), "2 leaves were given to a tree of 1"),
        (lambda: tree.leaves({1: 1, "a": 2}), "keys that cannot be sorted: 1, 'a'"),
        (lambda: tree_util.flatten_one_level(3), "3 is a leaf"),
        (lambda: tree_util.register_pytree_node(dict, None, None), "dict is already registered"),
        (
            lambda: tree_util.PyTreeDef.from_node_data_and_children(None, (int, None), []),
            "int is not a node of trees",
        ),
        (
            lambda: room.prefix_to_leaves((0, {"a": 1}), tree.structure((1, [2])), what="in_axes"),
            r"in_axes has a dict with the keys 'a' at in_axes\[1\], where the values have a list of length 1",
        ),
        (
            lambda: room.compare(
                tree.structure((1, 2)), tree.structure((1, [2])), wrong="at {path}: {here}, {there}", fix="Mend it"
            ),
            r"at \[1\]: a leaf, a list of length 1",
        ),
    ],
)
def test_a_refusal_names_the_place(call, words):
    with pytest.raises(TreeError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tree.reduce_associative(max, []), "no leaves to reduce"),
        (lambda: tree.transpose(tree.structure(()), None, ()), "no leaves to take a structure from"),
        (lambda: tree_util.register_dataclass(fresh("E")), "E is not a dataclass"),
        (
            lambda: tree_util.register_dataclass(fresh("E"), data_fields=["a"]),
            "only one of data_fields and meta_fields",
        ),
        (
            lambda: tree_util.register_dataclass(dataclasses.make_dataclass("E", ["a"]), ["b"], []),
            "not its own: without a with b",
        ),
    ],
)
def test_an_argument_is_refused(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()


def test_structures_compose_fold_and_come_from_their_data():
    outer, inner = tree.structure({"a": 0, "b": [0]}), tree.structure((0, None))
    whole = outer.compose(inner)
    assert repr(whole) == "PyTreeDef({'a': (*, None), 'b': [(*, None)]})"
    assert whole.walk(lambda kids, data: sum(kids), lambda x: 10 * x, [1, 2]) == 30
    again = tree_util.PyTreeDef.from_node_data_and_children(None, whole.node_data(), whole.children())
    assert again == whole
    assert tree_util.treedef_tuple([inner, inner]) == tree.structure(((0, None), (0, None)))
    assert tree_util.treedef_is_leaf(tree.structure(0))
    assert not tree_util.treedef_is_leaf(whole)
    assert whole != "something else"


def test_the_registry_object():
    registry = tree_util.default_registry
    assert registry.flatten({"a": 1})[0] == [1]
    assert registry.flatten_one_level(1) is None
    assert registry.flatten_one_level_with_keys({"a": 1}) == ([(tree_util.DictKey("a"), 1)], ("a",))
    assert registry.is_node(()) and not registry.is_node(1)
    assert registry.flatten_with_path([5])[0] == [((tree_util.SequenceKey(0),), 5)]
