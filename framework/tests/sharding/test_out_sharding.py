"""out_sharding: every function that takes it lays its result so, at once and in jit, and the values are the same."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import lax, ops, random
from portax.errors import ArgumentError, ShapeError
from portax.nn import initializers
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import AxisType, Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

GRID = Mesh(
    np.array(ReferenceBackend({"devices": "4"}).devices(), object).reshape(2, 2), ("x", "y"), (AxisType.Explicit,) * 2
)
X = np.arange(1, 17, dtype=np.float32).reshape(4, 4)
V, ONES, IDS = X[0], np.ones(4, np.float32), np.array([0, 1, 1, 3])
ROW = P("x")
KEY = random.key(0)
MATRICES = lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), [0], [0])

#: By function, a call with ``out_sharding``; results have a first axis that two devices share.
CALLS = {
    pnp.arange: lambda s: pnp.arange(4, out_sharding=s),
    pnp.array: lambda s: pnp.array(X, out_sharding=s),
    pnp.asarray: lambda s: pnp.asarray(X, out_sharding=s),
    pnp.bincount: lambda s: pnp.bincount(IDS, length=4, out_sharding=s),
    pnp.broadcast_to: lambda s: pnp.broadcast_to(V, (4, 4), out_sharding=s),
    pnp.dot: lambda s: pnp.dot(X, X, out_sharding=s),
    pnp.einsum: lambda s: pnp.einsum("ij,jk->ki", X, X, out_sharding=s),
    pnp.empty: lambda s: pnp.empty((4, 2), out_sharding=s),
    pnp.empty_like: lambda s: pnp.empty_like(X, out_sharding=s),
    pnp.full: lambda s: pnp.full((4,), 3.0, out_sharding=s),
    pnp.full_like: lambda s: pnp.full_like(X, 3, out_sharding=s),
    pnp.matmul: lambda s: pnp.matmul(X, X, out_sharding=s),
    pnp.ones: lambda s: pnp.ones((4, 2), out_sharding=s),
    pnp.ones_like: lambda s: pnp.ones_like(X, out_sharding=s),
    pnp.percentile: lambda s: pnp.percentile(X, 40, axis=0, out_sharding=s),
    pnp.ravel: lambda s: pnp.ravel(X, out_sharding=s),
    pnp.repeat: lambda s: pnp.repeat(V, 2, out_sharding=s),
    pnp.reshape: lambda s: pnp.reshape(X, (2, 8), out_sharding=s),
    pnp.tensordot: lambda s: pnp.tensordot(X, X, 1, out_sharding=s),
    pnp.zeros: lambda s: pnp.zeros((4, 2), out_sharding=s),
    pnp.zeros_like: lambda s: pnp.zeros_like(X, out_sharding=s),
    pnp.linalg.tensordot: lambda s: pnp.linalg.tensordot(X, X, axes=1, out_sharding=s),
    lax.broadcast: lambda s: lax.broadcast(V, (4,), out_sharding=s),
    lax.broadcast_in_dim: lambda s: lax.broadcast_in_dim(V, (4, 2), (0,), out_sharding=s),
    lax.broadcasted_iota: lambda s: lax.broadcasted_iota("int32", (4, 2), 0, out_sharding=s),
    lax.conv_general_dilated: lambda s: lax.conv_general_dilated(
        X[:, None], ONES[None, None, :2], (1,), "VALID", out_sharding=s
    ),
    lax.dot: lambda s: lax.dot(X, X, out_sharding=s),
    lax.dot_general: lambda s: lax.dot_general(X, X, (((1,), (1,)), ((), ())), out_sharding=s),
    lax.empty: lambda s: lax.empty((4, 2), np.float32, out_sharding=s),
    lax.ragged_dot: lambda s: lax.ragged_dot(X, np.stack([X, X]), np.array([1, 3]), out_sharding=s),
    lax.ragged_dot_general: lambda s: lax.ragged_dot_general(
        X, np.stack([X, X]), np.array([1, 3]), MATRICES, out_sharding=s
    ),
    lax.reduce: lambda s: lax.reduce(X, np.float32(0), lax.add, (1,), out_sharding=s),
    lax.reduce_sum: lambda s: lax.reduce_sum(X, (1,), out_sharding=s),
    lax.reshape: lambda s: lax.reshape(X, (2, 8), out_sharding=s),
    lax.rng_bit_generator: lambda s: lax.rng_bit_generator(np.arange(4, dtype=np.uint32), (4,), out_sharding=s)[1],
    random.ball: lambda s: random.ball(KEY, 2, shape=(4,), out_sharding=s),
    random.beta: lambda s: random.beta(KEY, 1.0, 2.0, (4,), out_sharding=s),
    random.categorical: lambda s: random.categorical(KEY, X, out_sharding=s),
    random.chisquare: lambda s: random.chisquare(KEY, 2.0, (4,), out_sharding=s),
    random.dirichlet: lambda s: random.dirichlet(KEY, ONES[:2], (4,), out_sharding=s),
    random.f: lambda s: random.f(KEY, 2.0, 3.0, (4,), out_sharding=s),
    random.gamma: lambda s: random.gamma(KEY, 2.0, (4,), out_sharding=s),
    random.generalized_normal: lambda s: random.generalized_normal(KEY, 2.0, (4,), out_sharding=s),
    random.geometric: lambda s: random.geometric(KEY, 0.5, (4,), out_sharding=s),
    random.loggamma: lambda s: random.loggamma(KEY, 2.0, (4,), out_sharding=s),
    random.lognormal: lambda s: random.lognormal(KEY, 2.0, (4,), out_sharding=s),
    random.multivariate_normal: lambda s: random.multivariate_normal(KEY, V[:2], np.eye(2), (4,), out_sharding=s),
    random.orthogonal: lambda s: random.orthogonal(KEY, 4, out_sharding=s),
    random.pareto: lambda s: random.pareto(KEY, 2.0, (4,), out_sharding=s),
    random.permutation: lambda s: random.permutation(KEY, X, out_sharding=s),
    random.poisson: lambda s: random.poisson(KEY, 2.0, (4,), out_sharding=s),
    random.randint: lambda s: random.randint(KEY, (4,), 0, 9, out_sharding=s),
    random.rayleigh: lambda s: random.rayleigh(KEY, 2.0, (4,), out_sharding=s),
    random.t: lambda s: random.t(KEY, 2.0, (4,), out_sharding=s),
    random.triangular: lambda s: random.triangular(KEY, 0.0, 1.0, 2.0, (4,), out_sharding=s),
    random.truncated_normal: lambda s: random.truncated_normal(KEY, -1.0, 1.0, (4,), out_sharding=s),
    random.wald: lambda s: random.wald(KEY, 2.0, (4,), out_sharding=s),
    **{
        f: lambda s, f=f: f(KEY, shape=(4, 2), out_sharding=s)
        for f in (
            random.bernoulli, random.bits, random.cauchy, random.exponential, random.gumbel, random.laplace,
            random.logistic, random.maxwell, random.normal, random.rademacher, random.uniform,
            initializers.ones, initializers.zeros,
        )
    },
    **{
        f: lambda s, f=f: f(X, IDS, 4, out_sharding=s)
        for f in (ops.segment_max, ops.segment_min, ops.segment_prod, ops.segment_sum)
    },
}  # fmt: skip

METHODS = {
    "dot": lambda s: pnp.array(X).dot(X, out_sharding=s),
    "flatten": lambda s: pnp.array(X).flatten(out_sharding=s),
    "ravel": lambda s: pnp.array(X).ravel(out_sharding=s),
    "repeat": lambda s: pnp.array(X).repeat(2, out_sharding=s),
    "reshape": lambda s: pnp.array(X).reshape(8, 2, out_sharding=s),
    "at.get": lambda s: pnp.array(X).at[IDS].get(out_sharding=s),
    **{
        f"at.{word}": lambda s, word=word: getattr(pnp.array(X).at[IDS[1:]], word)(2.0, out_sharding=s)
        for word in ("set", "add", "subtract", "multiply", "mul", "min", "max")
    },
    **{
        f"an initializer, {name}": lambda s, f=f: f(KEY, (4, 4), out_sharding=s)
        for name, f in {
            "constant": initializers.constant(2.0), "uniform": initializers.uniform(), "normal": initializers.normal(),
            "truncated_normal": initializers.truncated_normal(), "glorot_normal": initializers.glorot_normal(),
            "orthogonal": initializers.orthogonal(),
        }.items()
    },
}  # fmt: skip
ALL = {**{f"{f.__module__.removeprefix('portax.')}.{f.__name__}": call for f, call in CALLS.items()}, **METHODS}
assert len(ALL) == len(CALLS) + len(METHODS)


def takes_it(room):
    for name in dir(room):
        try:
            names = inspect.signature(getattr(room, name)).parameters
        except (TypeError, ValueError):
            continue
        if not name.startswith("_") and "out_sharding" in names:
            yield getattr(room, name)


def test_every_function_that_takes_it_is_tried():
    rooms = (pnp, pnp.linalg, lax, random, initializers, ops)
    assert {f for room in rooms for f in takes_it(room)} == set(CALLS)


@pytest.mark.parametrize("name", ALL)
def test_the_result_lies_as_told_and_is_the_same(name):
    call = ALL[name]
    expected = call(None)
    found = call(NamedSharding(GRID, ROW))
    assert found.sharding == NamedSharding(GRID, ROW)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", [n for n in ALL if n.endswith((".dot", ".zeros", ".normal", ".reduce", ".get"))])
def test_in_jit_a_spec_of_the_mesh_that_is_set_is_enough(name):
    with portax.set_mesh(GRID):
        found = portax.jit(lambda: ALL[name](ROW))()
        np.testing.assert_array_equal(found, portax.jit(lambda: ALL[name](None))())
    assert found.sharding == NamedSharding(GRID, ROW)


def test_a_spec_is_a_place_to_put_arrays():
    with portax.set_mesh(GRID):
        tree = portax.device_put({"a": X, "b": V}, {"a": P("x", "y"), "b": P()})
    assert [leaf.sharding.spec for leaf in tree.values()] == [P("x", "y"), P()]
    np.testing.assert_array_equal(tree["a"], X)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda: pnp.zeros(4, out_sharding=ROW),
            ArgumentError,
            "out_sharding was given a PartitionSpec, and no mesh is",
        ),
        (lambda: pnp.zeros(4, out_sharding="x"), ArgumentError, "out_sharding has 'x' in it"),
        (
            lambda: pnp.zeros(3, out_sharding=NamedSharding(GRID, ROW)),
            ShapeError,
            r"axis 0 of an array of shape \(3,\)",
        ),
        (lambda: portax.device_put(X, ROW), ArgumentError, "device_put was given a PartitionSpec, and no mesh is set"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
