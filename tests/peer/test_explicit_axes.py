"""Programs for meshes of explicit axes, beside JAX on eight devices: values, and how results lie."""

from __future__ import annotations

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.sharding import Mesh, NamedSharding, PartitionSpec
from portax_cpu import CPUBackend

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(len(jax.devices()) < 8, reason="JAX was started with fewer than eight devices"),
]

X = np.arange(32, dtype=np.float32).reshape(8, 4) / 10
W = np.ones((4, 6), np.float32)
SHAPE, NAMES = (4, 2), ("x", "y")


def side(lib, np_, devices, mesh, named, spec):
    grid = mesh(np.array(devices, object).reshape(SHAPE), NAMES, (lib.sharding.AxisType.Explicit,) * 2)
    return types.SimpleNamespace(
        lib=lib, np=np_, lax=lib.lax, random=lib.random, nn=lib.nn, mesh=grid, named=named, P=spec
    )


SHARDING = jax.sharding
THEIRS = side(jax, jnp, jax.devices()[:8], SHARDING.Mesh, SHARDING.NamedSharding, SHARDING.PartitionSpec)
OURS = side(portax, pnp, CPUBackend({"devices": "8"}).devices(), Mesh, NamedSharding, PartitionSpec)
IDS = np.array([0, 1, 2, 3])

PROGRAMS = {
    "einsum": lambda at, x, w: at.np.einsum("ij,jk->ik", x, w, out_sharding=at.P("x")),
    "dot": lambda at, x, w: at.np.dot(x, w, out_sharding=at.P("x", "y")),
    "matmul": lambda at, x, w: at.np.matmul(x, w, out_sharding=at.P(None, "y")),
    "dot_general": lambda at, x, w: at.lax.dot_general(x, w, (((1,), (0,)), ((), ())), out_sharding=at.P("x")),
    "ones": lambda at, x, w: at.np.ones((8, 2), out_sharding=at.P("x")),
    "full": lambda at, x, w: at.np.full((8, 2), 3.0, out_sharding=at.P("x", "y")),
    "arange": lambda at, x, w: at.np.arange(8, out_sharding=at.P("x")),
    "iota": lambda at, x, w: at.lax.broadcasted_iota(np.int32, (8, 2), 0, out_sharding=at.P("x")),
    "broadcast_in_dim": lambda at, x, w: at.lax.broadcast_in_dim(at.np.ones(4), (8, 4), (1,), out_sharding=at.P("x")),
    "broadcast_to": lambda at, x, w: at.np.broadcast_to(at.np.ones(4), (8, 4), out_sharding=at.P("x")),
    "reshape": lambda at, x, w: at.np.reshape(x, (32,), out_sharding=at.P("x")),
    "lax.reshape": lambda at, x, w: at.lax.reshape(x, (4, 8), out_sharding=at.P("x")),
    "ravel": lambda at, x, w: x.ravel(out_sharding=at.P("x")),
    "at.get": lambda at, x, w: x.at[at.np.array(IDS)].get(out_sharding=at.P("x")),
    "at.set": lambda at, x, w: x.at[at.np.array(IDS[:2])].set(7.0, out_sharding=at.P("x", "y")),
    "at.add": lambda at, x, w: x.at[at.np.array(IDS[:2])].add(7.0, out_sharding=at.P("x", "y")),
    "normal": lambda at, x, w: at.random.normal(at.random.key(0), (8, 4), out_sharding=at.P("x", "y")),
    "uniform": lambda at, x, w: at.random.uniform(at.random.key(0), (8, 4), out_sharding=at.P("x")),
    "bits": lambda at, x, w: at.random.bits(at.random.key(0), (8, 4), out_sharding=at.P("x")),
    "an axis split": lambda at, x, w: x.reshape(8, 2, 2),
    "reshard": lambda at, x, w: at.lib.reshard(x, at.P(None, "y")),
    "elementwise": lambda at, x, w: at.np.tanh(x) * x + 1,
    "sums": lambda at, x, w: (x.sum(0), x.mean(1), x.sum(), at.nn.logsumexp(x, axis=1)),
    "transpose": lambda at, x, w: x.T,
    "softmax": lambda at, x, w: at.nn.softmax(x, axis=-1),
    "one_hot": lambda at, x, w: at.nn.one_hot(at.np.arange(8, out_sharding=at.P("x")), 4),
    "where": lambda at, x, w: at.np.where(x > 1, x, 0.0),
    "concatenate": lambda at, x, w: at.np.concatenate([x, x], axis=0),
    "vmap": lambda at, x, w: at.lib.vmap(lambda r: r * 2)(x),
    "scan": lambda at, x, w: at.lax.scan(lambda c, _: (at.np.tanh(c), c.sum(1)), x, None, length=2),
    "while_loop": lambda at, x, w: at.lax.while_loop(lambda c: c.sum() < 1000, lambda c: c * 2, x),
    "cond": lambda at, x, w: at.lax.cond(True, lambda x: x * 2, lambda x: x, x),
    "grad": lambda at, x, w: at.lib.grad(
        lambda x: (at.np.einsum("ij,jk->ik", x, w, out_sharding=at.P("x")) ** 2).sum()
    )(x),
    "jit": lambda at, x, w: at.lib.jit(lambda x, w: at.np.einsum("ij,jk->ik", x, w, out_sharding=at.P("x")))(x, w),
    "jit, told where results lie": lambda at, x, w: at.lib.jit(lambda x: x * 2, out_shardings=at.P("x"))(x),
    "shard_map": lambda at, x, w: at.lib.shard_map(
        lambda x: x * at.lax.axis_index("x"), in_specs=at.P("x", "y"), out_specs=at.P("x", "y")
    )(x),
    "smap": lambda at, x, w: at.lib.smap(lambda x: x * 2, in_axes=0, out_axes=0, axis_name="x")(x),
    "checkpoint": lambda at, x, w: at.lib.grad(
        lambda x: at.lib.checkpoint(lambda x: at.np.sin(at.np.sin(x)))(x).sum()
    )(x),
    "like another": lambda at, x, w: (at.np.zeros_like(x), at.np.full_like(x, 2.0)),
    "along one that is whole": lambda at, x, w: (
        at.np.cumsum(at.lib.reshard(x, at.P("x", None)), axis=1), at.np.sort(at.lib.reshard(x, at.P("x")), axis=1),
    ),
    "constraint": lambda at, x, w: at.lax.with_sharding_constraint(x, at.P("x", "y")),
}  # fmt: skip


def found(at, program):
    with at.lib.set_mesh(at.mesh):
        x, w = at.lib.device_put(X, at.P("x", "y")), at.lib.device_put(W, at.P("y", None))
        leaves = at.lib.tree.leaves(program(at, x, w))
    lies = []
    for leaf in leaves:
        places = leaf.sharding.devices_indices_map(leaf.shape)
        lies.append([[s.indices(n) for s, n in zip(places[d], leaf.shape, strict=True)] for d in at.mesh.devices.flat])
    return [np.asarray(leaf) for leaf in leaves], lies


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_those_of_jax_and_lie_as_there(name):
    expected, places = found(THEIRS, PROGRAMS[name])
    got, lies = found(OURS, PROGRAMS[name])
    for g, e in zip(got, expected, strict=True):
        assert g.dtype == e.dtype
        np.testing.assert_allclose(g, e, rtol=2e-6, atol=1e-6)
    assert lies == places
