"""Functions with rules of their own: what a wrong rule is told, and what a right one may do."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors
from portax.custom_batching import custom_vmap, sequential_vmap
from portax.flatten_util import ravel_pytree
from portax.higher_order.custom_jvp import Rows

X = np.array([0.3, -0.7, 1.2], np.float32)


def reversed_by(bwd, over=1.0, **options):
    f = px.custom_vjp(lambda x, y: x * y * over, **options)
    f.defvjp(lambda x, y: (x * y, (x, y)), bwd)
    return f


def batched_by(rule):
    f = custom_vmap(lambda x, y: x + y)
    if rule is not None:
        f.def_vmap(rule)
    return f


def _batched_by_rule_only():
    """A rule meets a batched value that the function, whose results are known to be shared by all rows, did not."""
    rows = Rows(False, "f")
    rows.of([False])
    rows.of([True])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: px.jit(lambda n: reversed_by(lambda n, r, ct: (ct,), nondiff_argnums=(0,))(n, 2.0))(1.0),
            errors.ArgumentError,
            "was given a traced value as an argument that its rules do not differentiate",
        ),
        (
            lambda: px.grad(reversed_by(lambda r, ct: ((ct, ct), ct)))(1.0, 2.0),
            errors.ArgumentError,
            "returned a cotangent of structure .* for an argument of structure",
        ),
        (lambda: px.vmap(batched_by(None))(X, X), errors.ArgumentError, "has no batching rule yet"),
        (lambda: px.vmap(batched_by(lambda n, b, x, y: x))(X, X), errors.ArgumentError, "must return a pair"),
        (
            lambda: px.vmap(batched_by(lambda n, b, x, y: ((x, y), True)))(X, X),
            errors.ArgumentError,
            "for which are batched",
        ),
        (
            lambda: px.vmap(lambda a: px.jit(_over(a))(1.0))(X),
            errors.NotBatchableError,
            "closes over a value that is being batched",
        ),
        (
            lambda: px.vmap(lambda a: _over(a)(1.0))(X),
            errors.NotBatchableError,
            "closes over a value that is being batched",
        ),
        (
            lambda: px.grad(lambda a: reversed_by(lambda r, ct: (ct, ct), over=a)(1.0, 2.0))(3.0),
            errors.LeakedTracerError,
            "by a function with rules of its own that closes over it while it is differentiated",
        ),
        (
            lambda: px.jit(px.grad(lambda a: reversed_by(lambda r, ct: (ct, ct), over=a)(1.0, 2.0)))(3.0),
            errors.LeakedTracerError,
            "by a function with rules of its own that closes over it while it is differentiated",
        ),
        (_batched_by_rule_only, errors.NotBatchableError, "rule of .* closes over a value that is being batched, and"),
        (lambda: ravel_pytree({"a": X})[1](X[:2]), errors.ArgumentError, r"unravel takes a vector float32\[3\]"),
    ],
)
def test_a_wrong_rule_is_answered_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def _over(a):
    f = custom_vmap(lambda x: a * x)
    f.def_vmap(lambda n, b, x: (x, b[0]))
    return f


def test_a_batch_calls_the_batching_rule():
    f = batched_by(lambda n, b, x, y: (x * y + n, True))
    np.testing.assert_allclose(px.vmap(f)(X, X), X * X + 3)
    np.testing.assert_allclose(px.jit(px.vmap(px.jit(f)))(X, X), X * X + 3)
    np.testing.assert_allclose(f(X, X), X + X)


def test_a_batching_rule_is_differentiated_forward():
    f = batched_by(lambda n, b, x, y: (pnp.sin(x) * y, True))
    _, t = px.vmap(lambda x: px.jvp(lambda v: f(v, 2.0), (x,), (1.0,)))(X)
    np.testing.assert_allclose(t, 2 * np.cos(X), rtol=1e-6)
    with pytest.raises(errors.NotDifferentiableError, match="custom_vmap_call has no transpose"):
        px.grad(f)(1.0, 2.0)
    for g in (px.grad(px.jit(f)), px.jit(px.grad(f)), px.grad(px.checkpoint(f)), px.grad(px.grad(px.jit(f)))):
        with pytest.raises(errors.NotDifferentiableError, match="has a custom_vmap rule"):
            g(1.0, 2.0)
    np.testing.assert_allclose(
        px.grad(lambda x: px.vmap(px.jit(f), (0, None))(x, 2.0).sum())(X), 2 * np.cos(X), rtol=1e-6
    )


def test_a_loop_takes_the_place_of_a_batch():
    seen = []
    f = sequential_vmap(lambda x, y: seen.append(x.shape) or x * y)
    np.testing.assert_allclose(px.vmap(f, (0, None))(X, 2.0), 2 * X)
    assert set(seen) == {()}


def test_a_rule_gets_traced_values_for_arguments_it_does_not_differentiate():
    def f(n, x):
        return n * x

    f = px.custom_jvp(f, nondiff_argnums=(0,))
    f.defjvp(lambda n, primals, tangents: (n * primals[0], 3 * n * tangents[0]))
    np.testing.assert_allclose(px.vmap(lambda n: f(n, 2.0))(X), 2 * X)
    np.testing.assert_allclose(px.vmap(lambda n: px.grad(f, 1)(n, 2.0))(X), 3 * X, rtol=1e-6)
    assert float(px.grad(f)(2.0, 3.0)) == 0.0


def _sine_times(a):
    f = px.custom_jvp(lambda x: pnp.sin(x) * a)
    f.defjvp(lambda primals, tangents: (pnp.sin(primals[0]) * a, 7 * pnp.cos(primals[0]) * a * tangents[0]))
    return f


@pytest.mark.parametrize("around", [lambda f: f, px.jit], ids=["eager", "jit"])
def test_a_function_with_a_rule_closes_over_a_batched_value(around):
    slope = 7 * np.cos(0.5) * X
    np.testing.assert_allclose(around(px.vmap(lambda a: _sine_times(a)(0.5)))(X), np.sin(0.5) * X, rtol=1e-6)
    np.testing.assert_allclose(around(px.vmap(lambda a: _sine_times(a)(a)))(X), np.sin(X) * X, rtol=1e-6)
    np.testing.assert_allclose(around(px.vmap(lambda a: px.grad(_sine_times(a))(0.5)))(X), slope, rtol=1e-6)
    total = px.grad(lambda t: px.vmap(lambda a: _sine_times(a)(t))(X).sum())
    np.testing.assert_allclose(around(total)(0.5), slope.sum(), rtol=1e-6)


def test_a_rule_under_a_scan_closes_over_a_batched_value():
    turns = lambda a, x: px.lax.scan(lambda c, _: (_sine_times(a)(c), None), x, None, length=1)[0]
    np.testing.assert_allclose(px.vmap(lambda a: px.grad(turns, 1)(a, 0.5))(X), 7 * np.cos(0.5) * X, rtol=1e-6)


def test_a_result_that_no_row_changes_is_not_batched():
    f = px.custom_jvp(lambda x: pnp.sin(x))
    f.defjvp(lambda primals, tangents: (pnp.sin(primals[0]), tangents[0]))
    assert px.vmap(lambda a: f(0.5), out_axes=None)(X).shape == ()
