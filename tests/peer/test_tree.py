"""Trees against JAX: the same leaves, structures, paths, rebuilt trees and refusals for generated trees."""

import collections
import dataclasses
import functools
import operator

import jax
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from portax import tree, tree_util

pytestmark = pytest.mark.peer

Point = collections.namedtuple("Point", "x y")


class Pair:
    def __init__(self, a, b, name):
        self.a, self.b, self.name = a, b, name

    def __eq__(self, other):
        return type(other) is Pair and (self.a, self.b, self.name) == (other.a, other.b, other.name)

    def tree_flatten(self):
        return (self.a, self.b), self.name

    @classmethod
    def tree_unflatten(cls, name, children):
        return cls(*children, name)


class Step:
    """A key that neither library knows."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"->{self.name}"

    def __eq__(self, other):
        return type(other) is Step and self.name == other.name

    def __hash__(self):
        return hash(self.name)


class Named(Pair):
    def tree_flatten_with_keys(self):
        return ((Step("a"), self.a), (Step("b"), self.b)), self.name


@dataclasses.dataclass
class Layer:
    weights: object
    bias: object
    kind: str = dataclasses.field(default="relu", metadata={"static": True})


for lib in (jax.tree_util, tree_util):
    lib.register_pytree_node_class(Pair)
    lib.register_pytree_with_keys_class(Named)
    lib.register_dataclass(Layer)

names = st.sampled_from(["a", "b", "c", "w", "z"])
leaf = st.integers(0, 9) | st.text("xy", max_size=2) | st.floats(0, 1)


def nodes(children):
    several = st.lists(children, max_size=3)
    items = st.lists(st.tuples(names, children), max_size=4, unique_by=operator.itemgetter(0))
    return st.one_of(
        several,
        several.map(tuple),
        items.map(dict),
        st.dictionaries(st.integers(0, 5), children, max_size=3),
        items.map(collections.OrderedDict),
        items.map(lambda kv: collections.defaultdict(int, kv)),
        st.builds(Point, children, children),
        st.builds(Pair, children, children, names),
        st.builds(Named, children, children, st.tuples(names, st.booleans())),
        st.builds(Layer, children, children, names),
        several.map(lambda xs: collections.deque(xs)),  # a leaf in both
        st.none(),
    )


trees = st.recursive(leaf | st.none(), nodes, max_leaves=12)


def none(x):
    return x is None


def predicate(x):
    return x is None or isinstance(x, (Point, list))


@given(trees)
def test_leaves_and_structure(t):
    ours, our_def = tree.flatten(t)
    theirs, their_def = jax.tree.flatten(t)
    assert ours == theirs
    assert repr(our_def) == repr(their_def)
    assert (our_def.num_leaves, our_def.num_nodes) == (their_def.num_leaves, their_def.num_nodes)
    assert [repr(c) for c in our_def.children()] == [repr(c) for c in their_def.children()]
    assert our_def.node_data() == their_def.node_data()


@given(trees)
def test_leaves_where_a_predicate_stops(t):
    ours, our_def = tree.flatten(t, is_leaf=predicate)
    theirs, their_def = jax.tree.flatten(t, is_leaf=predicate)
    assert ours == theirs
    assert repr(our_def) == repr(their_def)
    assert tree_util.all_leaves(ours) == jax.tree_util.all_leaves(theirs)
    assert tree_util.all_leaves(ours, none) == jax.tree_util.all_leaves(theirs, none)


@given(trees)
def test_paths(t):
    ours, our_def = tree.flatten_with_path(t)
    theirs, their_def = jax.tree.flatten_with_path(t)
    assert repr(our_def) == repr(their_def)
    assert [tree_util.keystr(p) for p, _ in ours] == [jax.tree_util.keystr(p) for p, _ in theirs]
    simple = {"simple": True, "separator": "/"}
    assert [tree_util.keystr(p, **simple) for p, _ in ours] == [jax.tree_util.keystr(p, **simple) for p, _ in theirs]
    assert [repr(p) for p, _ in ours] == [repr(p) for p, _ in theirs]
    assert [x for _, x in ours] == [x for _, x in theirs]


@given(trees)
def test_paths_where_a_predicate_of_the_path_stops(t):
    def stop(path, x):
        return len(path) == 1 and not isinstance(x, tuple)

    ours = tree.leaves_with_path(t, is_leaf=stop, is_leaf_takes_path=True)
    theirs = jax.tree.leaves_with_path(t, is_leaf=stop, is_leaf_takes_path=True)
    assert [(repr(p), x) for p, x in ours] == [(repr(p), x) for p, x in theirs]


@given(trees)
def test_rebuilding(t):
    for _ in range(6):  # structures used often are rebuilt by a function of their own
        ours = tree.map(lambda x: (x, x), t)
    theirs = jax.tree.map(lambda x: (x, x), t)
    assert repr(jax.tree.structure(ours)) == repr(jax.tree.structure(theirs))
    assert jax.tree.leaves(ours) == jax.tree.leaves(theirs)
    if isinstance(t, dict):
        assert list(ours) == list(theirs)


def outcome(f):
    try:
        return f()
    except (ValueError, TypeError):
        return "refused"


def same(ours, theirs):
    return ours == theirs or (
        repr(jax.tree.structure(ours)) == repr(jax.tree.structure(theirs))
        and jax.tree.leaves(ours) == jax.tree.leaves(theirs)
    )


@given(trees, trees)
@settings(max_examples=200)
def test_mapping_over_two(a, b):
    def f(x, y):
        return [x, y]

    assert same(outcome(lambda: tree.map(f, a, b)), outcome(lambda: jax.tree.map(f, a, b)))
    up_to = outcome(lambda: tree.structure(a).flatten_up_to(b)), outcome(lambda: jax.tree.structure(a).flatten_up_to(b))
    assert up_to[0] == up_to[1]
    equal = tree.structure(a) == tree.structure(b)
    assert equal == (jax.tree.structure(a) == jax.tree.structure(b))
    if equal:
        assert hash(tree.structure(a)) == hash(tree.structure(b))


@given(trees, st.data())
@settings(max_examples=200)
def test_mapping_over_a_tree_and_one_that_goes_deeper(t, data):
    treedef = jax.tree.structure(t)
    deeper = treedef.unflatten([data.draw(nodes(leaf)) for _ in range(treedef.num_leaves)])
    assert tree.structure(t).flatten_up_to(deeper) == treedef.flatten_up_to(deeper)
    assert same(tree.broadcast(t, deeper), jax.tree.broadcast(t, deeper))
    assert repr(tree.structure(t).compose(tree.structure((0, [0])))) == repr(
        treedef.compose(jax.tree.structure((0, [0])))
    )


@given(trees, trees)
@settings(max_examples=200)
def test_broadcasting(prefix, full):
    assert same(outcome(lambda: tree.broadcast(prefix, full)), outcome(lambda: jax.tree.broadcast(prefix, full)))
    ours = outcome(lambda: tree.broadcast(prefix, full, none))
    assert same(ours, outcome(lambda: jax.tree.broadcast(prefix, full, none)))


@given(trees, trees)
def test_transposing(outer, inner):
    outer_def, inner_def = jax.tree.structure(outer), jax.tree.structure(inner)
    numbers = iter(range(1000))
    row = [None] * inner_def.num_leaves
    rows = [inner_def.unflatten([next(numbers) for _ in row]) for _ in range(outer_def.num_leaves)]
    whole = outer_def.unflatten(rows)
    assume(outer_def.num_leaves)  # without, the result is clear and portax gives it; JAX refuses
    ours = outcome(lambda: tree.transpose(tree.structure(outer), tree.structure(inner), whole))
    assert same(ours, outcome(lambda: jax.tree.transpose(outer_def, inner_def, whole)))


@given(trees)
def test_folding(t):
    def join(a, b):
        return f"({a},{b})"

    assert outcome(lambda: tree.reduce(join, t)) == outcome(lambda: jax.tree.reduce(join, t))
    assert tree.reduce(join, t, "start") == jax.tree.reduce(join, t, "start")
    ours = tree.reduce_associative(lambda a, b: a + b, tree.map(str, t), identity="")
    assert ours == jax.tree.reduce_associative(lambda a, b: a + b, jax.tree.map(str, t), identity="")
    assert tree.all(t) == jax.tree.all(t)


@given(trees)
def test_one_level(t):
    def listed(lib):
        children, data = lib.flatten_one_level(t)
        return list(children), data

    assert outcome(lambda: listed(tree_util)) == outcome(lambda: listed(jax.tree_util))
    assert tree_util.is_tree_node(type(t)) == jax.tree_util.is_tree_node(type(t))


@pytest.mark.parametrize("key", ["SequenceKey", "DictKey", "GetAttrKey", "FlattenedIndexKey"])
def test_keys(key):
    value = "a" if key == "GetAttrKey" else 1
    ours, theirs = getattr(tree_util, key)(value), getattr(jax.tree_util, key)(value)
    assert (repr(ours), str(ours)) == (repr(theirs), str(theirs))
    field = theirs.__match_args__[0]
    assert getattr(ours, field) == getattr(theirs, field)
    assert ours == getattr(tree_util, key)(value)


@pytest.mark.parametrize("nested", [False, True])
def test_partials(nested):
    inner = functools.partial(pow, 2) if nested else pow
    ours, theirs = (lib.Partial(inner, 3, mod=5) for lib in (tree_util, jax.tree_util))
    assert tree.leaves(ours) == jax.tree.leaves(theirs)
    assert ours.args == theirs.args
    assert ours.keywords == theirs.keywords


def test_every_public_name_is_there():
    missing = {n for n in dir(jax.tree) if n[0] != "_"} - set(dir(tree))
    assert not missing
    missing = {n for n in dir(jax.tree_util) if n[0] != "_"} - set(dir(tree_util))
    assert not missing


def test_methods_of_structures():
    missing = {n for n in dir(jax.tree.structure(0)) if n[0] != "_"} - set(dir(tree.structure(0)))
    assert not missing


@pytest.mark.parametrize(
    "tree",
    [1, None, (), {}, [], (1, {"a": 2}, [None, 3]), {"b": {"a": 1, "b": ()}, "a": [{}]}, tuple(range(300))],
    ids=lambda t: str(t)[:24],
)
def test_the_bytes_of_a_structure_are_jaxs(tree):
    ours, theirs = tree_util.tree_structure(tree), jax.tree_util.tree_structure(tree)
    assert ours.serialize_using_proto() == theirs.serialize_using_proto()
    assert tree_util.PyTreeDef.deserialize_using_proto(None, theirs.serialize_using_proto()) == ours
