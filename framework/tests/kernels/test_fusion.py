"""What is computed together follows from how elements are used."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.nn
import portax.numpy as pnp
from portax.runtime.programs import Options, prepare


def compiled(f, device, *xs):
    """The executable of a function at some operands."""
    return prepare(px.make_jaxpr(f)(*xs), device, Options("f", keep_unused=True)).executable


def run(f, device, *xs):
    """What a function gives on the device."""
    return np.asarray(px.jit(f)(*[px.device_put(x, device) for x in xs]))


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((48, 200), np.float32)


def kernels(f, device, *xs):
    """How many there are, whether they are launched together or not."""
    return sum(len(k.parts) or 1 for k in compiled(f, device, *xs).kernels)


def test_a_chain_of_elementwise_and_layout_operations_is_one_kernel(device, x):
    def f(x):
        return pnp.flip(pnp.pad(pnp.exp(x).T, 2), 0)[1:].reshape(-1, 12) + pnp.arange(12)

    x = x[:12, :45]
    assert kernels(f, device, x) == 1
    np.testing.assert_allclose(run(f, device, x), f(x), rtol=1e-6)


def test_softmax_is_one_kernel(device, x):
    assert kernels(lambda x: px.nn.softmax(x, axis=-1), device, x) == 1
    np.testing.assert_allclose(
        run(lambda x: px.nn.softmax(x, axis=-1), device, x), px.nn.softmax(x, axis=-1), rtol=2e-6
    )


def test_layer_norm_is_one_kernel(device, x):
    def f(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / pnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)

    assert kernels(f, device, x) == 1
    np.testing.assert_allclose(run(f, device, x), f(x), rtol=1e-5, atol=1e-6)


def test_a_product_of_matrices_takes_what_comes_before_and_after_it(device, x):
    def f(x, w, b):
        return pnp.maximum((x + 1) @ w + b, 0)

    # Too few rows for tiles, whose operands are stored first.
    x, w, b = x[:8], x[:, :40].repeat(5, 0)[:200], x[0, :40].copy()
    assert kernels(f, device, x, w, b) == 1
    np.testing.assert_allclose(run(f, device, x, w, b), f(x, w, b), rtol=1e-4, atol=1e-4)


def test_results_of_one_shape_share_a_kernel(device, x):
    def step(p, m, v, g):
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        return p - 0.1 * m / (pnp.sqrt(v) + 1e-8), m, v

    assert kernels(step, device, x, x, x * x, x) == 1


def test_a_sum_that_every_element_needs_is_computed_first(device, x):
    f = lambda x: x / x.sum()
    assert kernels(f, device, x) == 2
    np.testing.assert_allclose(run(f, device, x), f(x), rtol=1e-4)


def test_a_result_that_depends_on_another_through_a_sum_has_a_kernel_of_its_own(device, x):
    def f(x):
        y = pnp.exp(x)
        return y, y - y.sum(0)

    out = px.jit(f)(px.device_put(x, device))
    for got, wanted in zip(out, f(x), strict=True):
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-5, atol=1e-3)


def test_results_that_read_each_other_at_other_places_are_computed_apart(device, x):
    def f(x):
        y = x[:20, :20] + 1
        return y, y.T * 2, y[::-1] @ y

    out = px.jit(f)(px.device_put(x, device))
    for got, wanted in zip(out, f(x), strict=True):
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-5, atol=1e-5)


def test_a_long_chain_needed_in_two_places_is_computed_once(device, x):
    def f(x):
        y = pnp.tanh(pnp.exp(x) + pnp.log1p(x * x))
        return y.T @ y

    computed = [k for k in compiled(f, device, x).kernels if "log1p" in repr(k.body)]
    assert len(computed) == 1
    np.testing.assert_allclose(run(f, device, x), f(x), rtol=1e-4, atol=1e-4)


def test_equal_programs_are_written_alike(device, x):
    f = lambda x: px.nn.softmax(x @ x.T, axis=-1).sum(0)
    g = lambda x: px.nn.softmax(x @ x.T, axis=-1).sum(0)
    assert compiled(f, device, x).source == compiled(g, device, x).source


def test_a_report_names_kernels_and_what_they_move(device, x):
    text = compiled(lambda x: pnp.sort(x, 1).sum(), device, x[:, :20]).report()
    assert "kernel 0: 3 kernels in one launch; reads 4 KiB, writes 8 KiB; 1 work-items" in text
    assert "\n  sort_runs\n  merge_runs\n  reduce_sum" in text
    text = compiled(lambda x: x + 1, device, x).report()
    assert "kernel 0: add; reads 38 KiB, writes 38 KiB; 1 work-items" in text
