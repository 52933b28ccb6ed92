"""Functions with rules of their own: what a wrong rule is told, and what a right one may do."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors
from portax.custom_batching import custom_vmap, sequential_vmap
from portax.flatten_util import ravel_pytree

X = np.array([0.3, -0.7, 1.2], np.float32)


def reversed_by(bwd, **options):
    f = px.custom_vjp(lambda x, y: x * y, **options)
    f.defvjp(lambda x, y: (x * y, (x, y)), bwd)
    return f


def batched_by(rule):
    f = custom_vmap(lambda x, y: x + y)
    if rule is not None:
        f.def_vmap(rule)
    return f


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
