"""Small kernels in a row are one launch, which changes no bit and mixes up no memory."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.lax as lax
import portax.numpy as pnp
from portax.backend.kernels import joining, plan
from portax.runtime.programs import Options, prepare


def compiled(f, device, *xs):
    return prepare(px.make_jaxpr(f)(*xs), device, Options("f", keep_unused=True)).executable


def run(f, device, *xs):
    out = px.jit(lambda *xs: f(*xs))(*[px.device_put(x, device) for x in xs])
    return [np.asarray(y) for y in px.tree.leaves(out)]


def chain(x, y):
    """Sorts and sums, each of which is a kernel, and whose results die on the way."""
    for _ in range(4):
        x = pnp.sort(x, axis=0) + pnp.cumsum(y, axis=1)
        y = y - x.sum(axis=0)
    return x, y, x.sum()


@pytest.fixture
def xs():
    draw = np.random.default_rng(0)
    return [draw.standard_normal((12, 9), np.float32) for _ in range(2)]


def test_small_kernels_in_a_row_are_one_launch_with_the_same_bits(device, xs, monkeypatch):
    executable = compiled(chain, device, *xs)
    (kernel,) = executable.kernels
    assert len(kernel.parts) > 8 and kernel.items == 1
    together = run(chain, device, *xs)
    monkeypatch.setattr(plan, "joined", list)
    assert len(compiled(chain, device, *xs).kernels) == len(kernel.parts)
    for a, b in zip(together, run(chain, device, *xs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_launch_has_no_more_buffers_than_devices_allow(device, xs, monkeypatch):
    monkeypatch.setattr(joining, "BUFFERS", 8)
    kernels = compiled(chain, device, *xs).kernels
    assert len(kernels) > 2 and all(len(k.parameters) <= 8 for k in kernels)


def test_buffers_of_a_launch_are_different_ones(device, xs):
    executable = compiled(chain, device, *xs)
    seen, launcher = [], device.launcher
    launch = launcher.launch
    try:
        launcher.launch = lambda program, stage, blocks, items: seen.append(blocks) or launch(
            program, stage, blocks, items
        )
        executable.run([device.put(x, copy=True) for x in xs])
    finally:
        del launcher.launch
    assert len(seen) == 1 and len({id(b) for b in seen[0]}) == len(seen[0])


def test_what_stands_between_is_in_the_way(device):
    def f(x):
        x = pnp.sort(x)
        x = lax.fori_loop(0, 2, lambda _, s: s + 1, x)
        return pnp.sort(-x)

    x = np.arange(8, dtype=np.float32)
    executable = compiled(f, device, x)
    assert [step.kernel is None for step in executable.plan.steps] == [False, True, False]
    assert run(f, device, x)[0].tolist() == sorted((-(x + 2)).tolist())


def test_large_kernels_are_launched_apart(monkeypatch):
    from kernels import plain_c

    dialect = plain_c.SeveralItems()
    dialect.items, dialect.worth = 4, 64

    class Other(plain_c.PlainCBackend):
        def launchers(self):
            return [plain_c.PlainC(dialect)]

    (device,) = Other({}).devices()
    x = np.random.default_rng(0).standard_normal((40, 33), np.float32)
    f = lambda x: (pnp.tanh(x - x[0].max()), pnp.sort(pnp.cumsum(x[0, :9])))
    kernels = compiled(f, device, x).kernels
    assert any(k.items > 1 for k in kernels) and all(k.items == 1 for k in kernels if k.parts)
    np.testing.assert_allclose(run(f, device, x)[0], np.tanh(x - x[0].max()), rtol=1e-5, atol=1e-6)
