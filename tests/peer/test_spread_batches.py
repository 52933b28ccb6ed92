"""Batches of functions that run on several devices, beside JAX on eight of them."""

from __future__ import annotations

import types
from typing import Any

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

NAMES = ("x", "y")
THEIRS = types.SimpleNamespace(
    lib=jax, np=jnp, lax=jax.lax, P=jax.P, NamedSharding=jax.NamedSharding,
    mesh=jax.sharding.Mesh(np.array(jax.devices()[:8]).reshape(4, 2), NAMES),
)  # fmt: skip
OURS = types.SimpleNamespace(
    lib=portax, np=pnp, lax=portax.lax, P=PartitionSpec, NamedSharding=NamedSharding,
    mesh=Mesh(np.array(CPUBackend({"devices": "8"}).devices(), object).reshape(4, 2), NAMES),
)  # fmt: skip
X = np.random.default_rng(0).standard_normal((8, 4, 6)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)


def mapped(lib: Any, f: Any, ins: Any, outs: Any, check: bool = True) -> Any:
    return lib.lib.shard_map(f, mesh=lib.mesh, in_specs=ins, out_specs=outs, check_vma=check)


def _in_jit(lib, check):
    total = lib.lib.jit(lambda x: lib.lax.psum(lib.np.sin(x), "y"))
    return mapped(lib, total, lib.P("y"), lib.P(), check)


def _in_scan(lib, check):
    def f(x):
        return lib.lax.scan(lambda c, r: (c + r, lib.lax.psum(c, "y")), lib.np.zeros_like(x[0]), x)

    return lambda x: sum(lib.np.sum(part) for part in mapped(lib, f, lib.P("y"), (lib.P("y"), lib.P()), check)(x))


def _with_what_is_alike(lib, check):
    inner = mapped(lib, lambda w, x: lib.lax.psum(lib.np.tanh(w.T @ x), "y"), (lib.P("y"), lib.P("y")), lib.P(), check)
    return lambda x: inner(W, x)


CASES = {
    "a sum": lambda lib, check: mapped(lib, lambda x: lib.lax.psum(x * 2, "y"), lib.P("y"), lib.P(), check),
    "parts": lambda lib, check: mapped(
        lib, lambda x: lib.np.sin(x) * lib.lax.axis_index("y"), lib.P(None, "y"), lib.P(None, "y"), check
    ),
    "in jit": _in_jit,
    "in scan": _in_scan,
    "with what is alike": _with_what_is_alike,
}  # fmt: skip
checked = pytest.mark.parametrize("check", [True, False], ids=["checked", "unchecked"])


def both(f: Any, *arrays: np.ndarray) -> None:
    expected = THEIRS.lib.tree.leaves(f(THEIRS)(*arrays))
    got = OURS.lib.tree.leaves(f(OURS)(*arrays))
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape
        np.testing.assert_allclose(np.asarray(g), np.asarray(e), rtol=3e-5, atol=3e-5)


@checked
@pytest.mark.parametrize("spmd", ["x", None])
@pytest.mark.parametrize("way", ["value", "gradient"])
@pytest.mark.parametrize("name", CASES)
def test_a_batch_of_mapped_functions(name, way, spmd, check):
    def f(lib):
        batched = lib.lib.vmap(CASES[name](lib, check), spmd_axis_name=spmd)
        return lib.lib.jit(batched if way == "value" else lib.lib.grad(lambda x: (batched(x) ** 2).sum()))

    if (name, spmd, check) == ("in scan", "x", True):
        with pytest.raises(ValueError, match="varying manual axes to match"):  # a fault of JAX's own
            both(f, X)
        unchecked = CASES[name](THEIRS, False)
        whole = jax.vmap(unchecked)
        expected = (whole if way == "value" else jax.grad(lambda x: (whole(x) ** 2).sum()))(X)
        np.testing.assert_allclose(np.asarray(f(OURS)(X)), np.asarray(expected), rtol=3e-5, atol=3e-4)
        return
    both(f, X)


@checked
def test_a_batch_of_gradients_of_mapped_functions(check):
    def f(lib):
        inner = CASES["with what is alike"](lib, check)
        return lib.lib.jit(lib.lib.vmap(lib.lib.grad(lambda x: (inner(x) ** 2).sum()), spmd_axis_name="x"))

    both(f, X)


def test_a_batch_lies_where_it_is_spread():
    for lib in (THEIRS, OURS):
        at = lib.NamedSharding(lib.mesh, lib.P("y"))
        f = lib.lib.jit(
            lib.lib.vmap(lambda x, lib=lib, at=at: lib.lax.with_sharding_constraint(x + 1, at), spmd_axis_name="x")
        )
        assert str(f(X).sharding.spec).startswith("PartitionSpec('x', 'y'") or str(f(X).sharding.spec) == "P('x', 'y')"
        inner = lib.lib.jit(lambda x, lib=lib, at=at: lib.lax.with_sharding_constraint(x + 1, at))
        out = lib.lib.jit(lib.lib.vmap(lambda x, inner=inner: inner(x) * 2, spmd_axis_name="x"))(X)
        assert out.sharding.shard_shape(out.shape) == (2, 2, 6)


def test_collectives_over_the_batch_and_the_mesh():
    def f(lib):
        inner = lib.lib.vmap(lambda r: lib.lax.psum(lib.lax.psum(r, "y"), "v") * r, axis_name="v")
        return lib.lib.jit(mapped(lib, inner, lib.P(None, "y"), lib.P(None, "y"), False))

    both(f, X)

    def outside(lib):
        inner = mapped(lib, lambda r: lib.lax.psum(lib.lax.psum(r, "y"), "v") * r, lib.P("y"), lib.P("y"), False)
        return lib.lib.jit(lib.lib.vmap(inner, axis_name="v"))

    both(outside, X)
