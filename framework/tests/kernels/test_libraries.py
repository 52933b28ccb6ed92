"""A launcher's library takes products where results need not be those of other devices, and kernels take the rest."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c
from kernels.test_products import compiled, in_order, notes, numbers, run

import portax as px
import portax.lax as lax
import portax.numpy as pnp
from portax.backend.kernels import Routine
from portax.core.config import override


class WithLibrary(plain_c.PlainC):
    """Plain C, and NumPy as the library: it sums from the end, so that its results show."""

    def __init__(self):
        super().__init__()
        self.asked, self.calls, self.why = [], 0, ""

    def library(self, name, avals, params):
        self.asked.append((name, tuple(avals), params["dimension_numbers"]))
        x, y = avals
        if self.why or x.dtype != np.float32:
            return self.why or f"it has no {x.dtype}"
        ((k,), (j,)), batch = params["dimension_numbers"]
        assert batch == ((0,), (0,)) and len(x.shape) == len(y.shape) == 3 and x.shape[k] == y.shape[j]
        assert params["preferred_element_type"] == np.float32

        def call(blocks):
            self.calls += 1
            a, b = (
                block[: 4 * aval.size].view(np.float32).reshape(aval.shape)
                for block, aval in zip(blocks, avals, strict=False)
            )
            a, b = a if k == 2 else a.swapaxes(1, 2), b if j == 1 else b.swapaxes(1, 2)
            out = backwards(a, b)
            blocks[2][: out.nbytes] = out.reshape(-1).view(np.uint8)

        return Routine("backwards", call)


def backwards(a, b):
    return in_order(a[..., ::-1], b[..., ::-1, :])


class Backend(plain_c.PlainCBackend):
    def launchers(self):
        return [WithLibrary()]


@pytest.fixture
def able():
    return Backend({}).devices()[0]


@pytest.fixture
def off():
    with override("reproducible", False):
        yield


X, Y = numbers(40, 24), numbers(24, 32, seed=1)


def test_no_library_is_asked_where_results_are_to_be_reproducible(able):
    np.testing.assert_array_equal(run(lambda x, y: x @ y, able, X, Y), in_order(X, Y))
    assert not able.launcher.asked and not able.launcher.calls


def test_a_library_takes_a_product_and_is_asked_once(able, off):
    f, xs = px.jit(lambda x, y: x @ y), [px.device_put(x, able) for x in (X, Y)]
    assert (backwards(X, Y) != in_order(X, Y)).any()
    for _ in range(3):
        np.testing.assert_array_equal(np.asarray(f(*xs)), backwards(X, Y))
    assert len(able.launcher.asked) == 1 and able.launcher.calls == 3


def test_what_stands_around_a_product_is_computed_by_kernels(able, off):
    def f(x, y):
        return pnp.tanh(pnp.sin(x) @ (y * 2)).sum(0)

    got = run(f, able, X, Y)
    np.testing.assert_allclose(got, np.tanh(np.sin(X) @ (Y * 2)).sum(0), rtol=1e-4, atol=1e-4)
    assert able.launcher.calls == 1


def test_products_of_any_form_are_stacks_of_matrices_and_none_is_moved_that_lies_well(able, off):
    x, y = numbers(3, 20, 24), numbers(3, 24, 16, seed=1)
    turned = [np.ascontiguousarray(np.swapaxes(a, 1, 2)) for a in (x, y)]
    last = [np.ascontiguousarray(np.moveaxis(a, 0, -1)) for a in (x, y)]
    cases = [
        (lambda x, y: x @ y, (x, y), backwards(x, y), 0),
        (lambda x, y: pnp.swapaxes(x, 1, 2) @ y, (turned[0], y), backwards(x, y), 0),
        (lambda x, y: lax.dot_general(x, y, (((1,), (1,)), ((0,), (0,)))), (turned[0], y), backwards(x, y), 0),
        (lambda x, y: lax.dot_general(x, y, (((2,), (2,)), ((0,), (0,)))), (x, turned[1]), backwards(x, y), 0),
        (lambda x, y: lax.dot_general(x, y, (((1,), (2,)), ((0,), (0,)))), turned, backwards(x, y), 0),
        (lambda x, y: pnp.einsum("mkb,knb->bmn", x, y), last, backwards(x, y), 3),
        (lambda x, y: pnp.tensordot(x, y, 1), (x, y[0]), backwards(x.reshape(60, 24), y[0]).reshape(3, 20, 16), 0),
        (lambda x, y: x.reshape(60, 24) @ y, (x, y[0]), backwards(x.reshape(60, 24), y[0]), 0),
        (lambda x: x @ x.T, (x[0],), backwards(x[0], x[0].T), 0),
    ]
    for i, (f, given, wanted, moved) in enumerate(cases):
        np.testing.assert_array_equal(run(f, able, *given), wanted, err_msg=str(i))
        assert len(notes(f, able, *given)) <= moved, i
    asked = [(numbers[0], [aval.shape for aval in avals]) for _, avals, numbers in able.launcher.asked[:8:2]]
    assert asked == [
        (((2,), (1,)), [(3, 20, 24), (3, 24, 16)]),
        (((1,), (1,)), [(3, 24, 20), (3, 24, 16)]),
        (((1,), (1,)), [(3, 24, 20), (3, 24, 16)]),
        (((2,), (2,)), [(3, 20, 24), (3, 16, 24)]),
    ]


def test_a_refused_product_is_computed_by_kernels_and_explain_says_why(able, off):
    able.launcher.why = "its licence has run out"
    np.testing.assert_array_equal(run(lambda x, y: x @ y, able, X, Y), in_order(X, Y))
    told = compiled(lambda x, y: x @ y, able, X, Y).report()
    assert "dot_general of float32[40,24] and float32[24,32]: by kernels, since its licence has run out" in told
    assert not able.launcher.calls


def test_a_device_without_a_library_says_so(device, off):
    told = compiled(lambda x, y: x @ y, device, X, Y).report()
    assert f"by kernels, since the driver of {device.kind} has no library for it" in told


def test_explain_says_which_library_takes_a_product(able, off):
    program = compiled(lambda x, y: x @ y + 1, able, X, Y)
    told = program.report()
    assert "backwards: dot_general of float32[40,24] and float32[24,32]; reads 7 KiB, writes 5 KiB" in told
    assert program.cost_analysis()["flops"] == 2 * 40 * 24 * 32 + 40 * 32
    assert program.memory_analysis().output_size_in_bytes == 4 * 40 * 32


def test_what_is_small_or_asks_for_an_algorithm_is_not_given_away(able, off):
    run(lambda x, y: x @ y, able, X[:3, :3], Y[:3, :3])
    assert not able.launcher.asked
    f = lambda x, y: lax.dot(x, y, precision=lax.DotAlgorithmPreset.F32_F32_F32)
    np.testing.assert_allclose(run(f, able, X, Y), X @ Y, rtol=1e-5, atol=1e-3)
    assert "by kernels, since it asks for an algorithm of its own" in compiled(f, able, X, Y).report()
    assert not able.launcher.asked
    run(lambda x, y: x @ y, able, X.astype(np.int32), Y.astype(np.int32))
    assert len(able.launcher.asked) == 1 and not able.launcher.calls


def test_products_inside_loops_and_branches_are_given_away_too(able, off):
    w = numbers(24, 24, seed=2) / 50

    def f(x, w):
        x = lax.fori_loop(0, 3, lambda i, x: x @ w, x)
        return lax.cond(x[0, 0] > 1e9, lambda x: x, lambda x: x @ w, x)

    wanted = X
    for _ in range(4):
        wanted = backwards(wanted, w)
    np.testing.assert_array_equal(run(f, able, X, w), wanted)
    assert able.launcher.calls == 4


def test_gradients_and_batches_go_through(able, off):
    def loss(w, x):
        return (pnp.tanh(x @ w) ** 2).sum()

    got = run(px.grad(loss), able, Y, X)
    np.testing.assert_allclose(got, np.asarray(px.grad(loss)(Y, X)), rtol=1e-3, atol=1e-3)
    assert able.launcher.calls == 2
    x = np.stack([X, X * 2])
    np.testing.assert_array_equal(run(px.vmap(lambda x, y: x @ y, (0, None)), able, x, Y), backwards(x, Y))
