"""What types tell of values along mesh axes, and gradients inside of shard_map, beside JAX on eight devices.

A program is a loss ``f(lib, w, x)`` of what all devices have alike and of parts. Its gradients are taken inside, where
what they mean depends on which values are alike, and outside of the mapped function.
"""

from __future__ import annotations

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.errors import ArgumentError
from portax.sharding import Mesh, PartitionSpec
from portax_cpu import CPUBackend

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(len(jax.devices()) < 8, reason="JAX was started with fewer than eight devices"),
]

THEIRS = types.SimpleNamespace(lib=jax, np=jnp, lax=jax.lax, nn=jax.nn, P=jax.sharding.PartitionSpec)
OURS = types.SimpleNamespace(lib=portax, np=pnp, lax=portax.lax, nn=portax.nn, P=PartitionSpec)
NAMES = ("x", "y")
MESHES = {
    "theirs": jax.sharding.Mesh(np.array(jax.devices()[:8]).reshape(4, 2), NAMES),
    "ours": Mesh(np.array(CPUBackend({"devices": "8"}).devices(), object).reshape(4, 2), NAMES),
}


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


W, X = numbers(4, 4), numbers(16, 8, seed=1)
RING = [(i, (i + 1) % 4) for i in range(4)]


def both(f: Any, *arrays: np.ndarray, jitted: bool = True, rtol: float = 3e-5) -> None:
    """The results of ``f(lib, mesh, *arrays)`` agree."""

    def run(side: Any, mesh: Any, arrays: Any) -> Any:
        call = lambda *xs: f(side, mesh, *xs)
        return side.lib.tree.leaves((side.lib.jit(call) if jitted else call)(*arrays))

    expected = run(THEIRS, MESHES["theirs"], [jnp.asarray(a) for a in arrays])
    got = run(OURS, MESHES["ours"], [pnp.asarray(a) for a in arrays])
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape and g.dtype == e.dtype
        e = np.asarray(e)
        np.testing.assert_allclose(np.asarray(g), e, rtol=rtol, atol=rtol * max(1.0, np.abs(e).max(initial=0.0)))


def _scanned(lib, w, x):
    def turn(carry, _):
        total, x = carry
        x = lib.lax.ppermute(x, "x", RING)
        return (total + lib.np.tanh(x @ w), x), None

    zero = lib.np.zeros_like(x)
    (total, _), _ = lib.lax.scan(turn, (zero, x), None, length=4)
    return lib.lax.psum((total**2).sum(), "x")


def _scan_of_sums(lib, w, x):
    step = lambda c, row: (c + lib.lax.psum(lib.np.tanh(row @ w), "x"), None)
    start = lib.lax.psum(lib.np.zeros_like(x[0]), "x")
    return (lib.lax.scan(step, start, x)[0] ** 2).sum()


def _remat(lib, w, x):
    layer = lib.lib.checkpoint(lambda w, x: lib.np.sin(lib.lax.psum(x @ w, "x")) @ w)
    return (layer(w, x) ** 2).sum()


def _conditional(lib, w, x):
    some = lib.lax.psum(x.sum(), ("x", "y")) > 0
    return lib.lax.psum(lib.lax.cond(some, lambda: (x @ w).sum(), lambda: (x @ w**2).sum()), "x")


def _custom_jvp(lib, w, x):
    @lib.lib.custom_jvp
    def f(w, x):
        return w * x

    f.defjvp(lambda primals, dots: (primals[0] * primals[1], dots[0] * primals[1] * 2 + primals[0] * dots[1]))
    return lib.lax.psum(f(w.sum(), x).sum(), "x")


def _tensor_parallel(lib, w, x):
    """Columns, then rows of two matrices are divided over y."""
    mine = lib.lax.dynamic_slice_in_dim(w, lib.lax.axis_index("y") * 2, 2, 1)
    hidden = lib.np.tanh(x @ mine)
    back = lib.lax.dynamic_slice_in_dim(w, lib.lax.axis_index("y") * 2, 2, 0)
    out = lib.lax.psum(hidden @ back, "y")
    return lib.lax.pmean((out**2).mean(), "x")


LOSSES = {
    "local": lambda lib, w, x: (lib.np.tanh(x @ w) ** 2).sum(),
    "psum": lambda lib, w, x: lib.lax.psum((lib.np.tanh(x @ w) ** 2).sum(), "x"),
    "psum of both": lambda lib, w, x: lib.lax.psum((lib.np.tanh(x @ w) ** 2).sum(), ("x", "y")),
    "pmean": lambda lib, w, x: lib.lax.pmean((lib.np.tanh(x @ w) ** 2).mean(), ("x", "y")),
    "pmean in two": lambda lib, w, x: lib.lax.pmean(lib.np.sin(lib.lax.pmean(x @ w, "x")).sum(), "y"),
    "sum within": lambda lib, w, x: (lib.np.sin(lib.lax.psum(x @ w, "x")) * x).sum(),
    "sum of what is alike": lambda lib, w, x: lib.lax.psum((w**2).sum(), "x") * x.sum(),
    "a sum of sums": lambda lib, w, x: lib.lax.psum(lib.np.sin(lib.lax.psum(x @ w, "x")).sum(), "x"),
    "a bias": lambda lib, w, x: lib.lax.psum(lib.np.tanh(x + w[0]).sum(), "x"),
    "a value read twice": lambda lib, w, x: lib.lax.psum((x @ w).sum() + (w * 2).sum() + (w @ w).sum(), ("x", "y")),
    "alike only": lambda lib, w, x: (w**2).sum() + 0 * lib.lax.psum(x.sum(), ("x", "y")),
    "all_gather": lambda lib, w, x: lib.lax.psum((lib.lax.all_gather(x @ w, "x") ** 2).sum(), "x"),
    "all_gather tiled": lambda lib, w, x: (lib.lax.all_gather(x, "x", axis=0, tiled=True) @ w).sum() * x.sum(),
    "all_gather of what is alike": lambda lib, w, x: (lib.lax.all_gather(w, "x", axis=1, tiled=True) ** 3).sum(),
    "all_gather alike": lambda lib, w, x: (lib.lax.all_gather(x @ w, "y", to="invarying") ** 3).sum(),
    "psum_scatter": lambda lib, w, x: (lib.lax.psum_scatter(x @ w, "x", tiled=True) ** 2).sum(),
    "psum_scatter of what is alike": lambda lib, w, x: (lib.lax.psum_scatter(w, "x") ** 2).sum() * x.sum(),
    "all_to_all": lambda lib, w, x: (lib.lax.all_to_all(x @ w, "x", 1, 0, tiled=True) ** 2 * w[0, 0]).sum(),
    "ppermute": lambda lib, w, x: (lib.lax.ppermute(x @ w, "x", RING) * lib.np.sin(x)).sum(),
    "ppermute in part": lambda lib, w, x: (lib.lax.ppermute(x @ w, "x", [(0, 2), (3, 1)]) * lib.np.sin(x)).sum(),
    "ppermute of what is alike": lambda lib, w, x: (lib.lax.ppermute(w, "x", RING) ** 2).sum() * x.sum(),
    "axis_index": lambda lib, w, x: ((x @ w) * (lib.lax.axis_index("x") + 2.0 * lib.lax.axis_index("y"))).sum(),
    "pmax kept still": lambda lib, w, x: (x @ w - lib.lax.pmax(lib.lax.stop_gradient(x @ w), "x")).sum(),
    "softmax over devices": lambda lib, w, x: (
        lib.np.exp(x @ w) / lib.lax.psum(lib.np.exp(x @ w).sum(0), "x") * w[0]
    ).sum(),
    "pcast": lambda lib, w, x: lib.lax.psum((lib.lax.pcast(w, "x", to="varying") @ x.T).sum(), "x"),
    "jit within": lambda lib, w, x: lib.lib.jit(lambda w, x: lib.lax.psum(lib.np.sin(x @ w).sum(), "x"))(w, x),
    "jit of a part": lambda lib, w, x: lib.lax.psum(lib.lib.jit(lambda w, x: lib.np.sin(x @ w))(w, x).sum(), "x"),
    "vmap within": lambda lib, w, x: lib.lax.psum(lib.lib.vmap(lambda r: lib.np.sin(r @ w))(x).sum(), "x"),
    "a gradient within": lambda lib, w, x: (lib.lib.grad(lambda w: lib.lax.psum((x @ w**3).sum(), "x"))(w) ** 2).sum(),
    "scan with a ring": _scanned,
    "scan of sums": _scan_of_sums,
    "remat": _remat,
    "cond": _conditional,
    "custom_jvp": _custom_jvp,
    "tensor parallel": _tensor_parallel,
}  # fmt: skip


def stacked(lib, mesh, f, w, x, check):
    """What each device has of the results of ``f``, on top of each other."""
    parts = lambda w, x: lib.lib.tree.map(lambda r: r[None], f(w, x))
    return lib.lib.shard_map(
        parts, mesh=mesh, in_specs=(lib.P(), lib.P("x", "y")), out_specs=lib.P(NAMES), check_vma=check
    )(w, x)


checked = pytest.mark.parametrize("check", [True, False], ids=["checked", "unchecked"])


@checked
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_taken_inside(name, check):
    def f(lib, mesh, w, x):
        return stacked(lib, mesh, lib.lib.value_and_grad(lambda w, x: LOSSES[name](lib, w, x), (0, 1)), w, x, check)

    both(f, W, X)


@checked
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_taken_outside(name, check):
    def f(lib, mesh, w, x):
        total = lambda w, x: (stacked(lib, mesh, lambda w, x: LOSSES[name](lib, w, x), w, x, check) ** 2).sum()
        return lib.lib.grad(total, (0, 1))(w, x)

    both(f, W, X)


@pytest.mark.parametrize("name", LOSSES)
def test_forward_mode_and_second_derivatives_inside(name):
    def f(lib, mesh, w, x):
        loss = lambda w, x: LOSSES[name](lib, w, x)

        def inner(w, x):
            again = lambda w: (lib.lib.grad(loss)(w, x) ** 2).sum()
            return lib.lib.jvp(loss, (w, x), (w, x)), lib.lib.grad(again)(w)

        return stacked(lib, mesh, inner, w, x, True)

    both(f, W, X, rtol=2e-4)


TYPES = {
    "an operand": lambda lib, w, x: x,
    "one that is alike": lambda lib, w, x: w,
    "a sum of both": lambda lib, w, x: x + w[0],
    "psum": lambda lib, w, x: lib.lax.psum(x, "x"),
    "psum of both": lambda lib, w, x: lib.lax.psum(x, ("x", "y")),
    "pmax": lambda lib, w, x: lib.lax.pmax(x, "y"),
    "pmin": lambda lib, w, x: lib.lax.pmin(x, ("y", "x")),
    "pmean": lambda lib, w, x: lib.lax.pmean(x, "x"),
    "all_gather": lambda lib, w, x: lib.lax.all_gather(w, "y"),
    "all_gather alike": lambda lib, w, x: lib.lax.all_gather(x, "y", to="invarying"),
    "psum_scatter": lambda lib, w, x: lib.lax.psum_scatter(w, "x"),
    "all_to_all": lambda lib, w, x: lib.lax.all_to_all(w, "x", 0, 1),
    "ppermute": lambda lib, w, x: lib.lax.ppermute(w, "x", RING),
    "axis_index": lambda lib, w, x: lib.lax.axis_index("y"),
    "axis_index of both": lambda lib, w, x: lib.lax.axis_index(("x", "y")),
    "pcast": lambda lib, w, x: lib.lax.pcast(w, ("x", "y"), to="varying"),
    "zeros": lambda lib, w, x: lib.np.zeros((2,)),
    "zeros_like": lambda lib, w, x: lib.np.zeros_like(x),
    "ones_like": lambda lib, w, x: lib.np.ones_like(x),
    "full_like": lambda lib, w, x: lib.lax.full_like(x, 2.0),
    "where": lambda lib, w, x: lib.np.where(x > 0, 1.0, 0.0),
    "matmul": lambda lib, w, x: lib.lax.psum(x, "y") @ w,
    "gather": lambda lib, w, x: w[lib.lax.axis_index("x")],
    "sort": lambda lib, w, x: lib.np.sort(lib.lax.psum(x, "x")),
    "jit": lambda lib, w, x: lib.lib.jit(lambda x: lib.lax.psum(x, "x"))(x),
    "vmap": lambda lib, w, x: lib.lib.vmap(lambda r: r.sum())(lib.lax.psum(x, "x")),
    "scan carry": lambda lib, w, x: lib.lax.scan(lambda c, r: (c + 1, r), 0, x)[0],
    "scan results": lambda lib, w, x: lib.lax.scan(lambda c, r: (c + 1, r), 0, x)[1],
    "scan of a sum": lambda lib, w, x: lib.lax.scan(
        lambda c, r: (c + lib.lax.psum(r, ("x", "y")), None), lib.np.zeros(4), x
    )[0],
    "fori_loop": lambda lib, w, x: lib.lax.fori_loop(0, 3, lambda i, c: c + x, lib.np.zeros_like(x)),
    "while_loop": lambda lib, w, x: lib.lax.while_loop(lambda c: c.sum() < 1, lambda c: c + 1, w),
    "cond": lambda lib, w, x: lib.lax.cond(w.sum() > 0, lambda: x, lambda: 2 * x),
    "grad": lambda lib, w, x: lib.lib.grad(lambda w: (x @ w).sum())(w),
    "grad of a part": lambda lib, w, x: lib.lib.grad(lambda x: lib.lax.psum((x @ w).sum(), "x"))(x),
    "jvp": lambda lib, w, x: lib.lib.jvp(lambda x: x + w[0], (x,), (lib.np.ones_like(x),))[1],
    "checkpoint": lambda lib, w, x: lib.lib.checkpoint(lambda x: lib.lax.psum(x, "x"))(x),
    "hessian": lambda lib, w, x: lib.lib.hessian(lambda w: (x @ w**3).sum())(w),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_tell_along_which_axes_a_value_varies(name):
    def told(lib, mesh):
        found = []

        def f(w, x):
            out = TYPES[name](lib, w, x)
            found.append(lib.lib.typeof(out))
            return lib.lax.psum(x.sum(), ("x", "y"))

        lib.lib.jit(
            lib.lib.shard_map(f, mesh=mesh, in_specs=(lib.P(), lib.P("x", "y")), out_specs=lib.P())
        ).trace(W, X)  # fmt: skip
        return found[-1]

    theirs, ours = told(THEIRS, MESHES["theirs"]), told(OURS, MESHES["ours"])
    assert str(ours).lstrip("~") == str(theirs).lstrip("~")
    assert ours.mat.varying == theirs.mat.varying


REFUSED = {
    "scan": lambda lib, w, x: lib.lax.scan(lambda c, _: (c + x, None), lib.np.zeros(x.shape), None, length=2)[0],
    "scan the other way": lambda lib, w, x: lib.lax.scan(
        lambda c, _: (lib.lax.psum(c, NAMES), None), x, None, length=2
    )[0],
    "fori_loop": lambda lib, w, x: lib.lax.fori_loop(0, 3, lambda i, c: c + x, lib.np.zeros(x.shape)),
    "while_loop": lambda lib, w, x: lib.lax.while_loop(
        lambda c: c.sum() < 3, lambda c: c + x, lib.np.zeros(x.shape)
    ),
    "cond": lambda lib, w, x: lib.lax.cond(w.sum() > 2, lambda: x, lambda: lib.np.zeros(x.shape)),
    "switch": lambda lib, w, x: lib.lax.switch(
        1, [lambda: lib.np.zeros(x.shape), lambda: x, lambda: lib.np.zeros(x.shape)]
    ),
    "pcast": lambda lib, w, x: lib.lax.pcast(x, "x", to="varying"),
    "pcast to nothing known": lambda lib, w, x: lib.lax.pcast(x, "x", to="blue"),
    "all_gather to nothing known": lambda lib, w, x: lib.lax.all_gather(x, "x", to="blue"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_jax_refuses_is_refused(name):
    for lib, mesh, error in (
        (THEIRS, MESHES["theirs"], (TypeError, ValueError)),
        (OURS, MESHES["ours"], ArgumentError),
    ):
        f = lambda w, x, lib=lib: REFUSED[name](lib, w, x)
        with pytest.raises(error):
            lib.lib.shard_map(f, mesh=mesh, in_specs=(lib.P(), lib.P("x", "y")), out_specs=lib.P("x", "y"))(W, X)


@pytest.mark.parametrize("out", [(), ("x",), ("y",), (None, "y")], ids=str)
@pytest.mark.parametrize("name", ["local", "psum", "psum of both", "axis_index", "all_gather of what is alike"])
def test_out_specs_are_refused_where_jax_refuses_them(name, out):
    refused = []
    for lib, mesh, error in ((THEIRS, MESHES["theirs"], ValueError), (OURS, MESHES["ours"], ArgumentError)):
        f = lambda w, x, lib=lib: lib.np.ones((2, 2)) * LOSSES[name](lib, w, x)
        mapped = lib.lib.shard_map(f, mesh=mesh, in_specs=(lib.P(), lib.P("x", "y")), out_specs=lib.P(*out))
        try:
            mapped(W, X)
        except error:
            refused.append(True)
        else:
            refused.append(False)
    assert refused[0] == refused[1]
