"""Solvers of one's own, programs by platform, named parts: what they give, their derivatives, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors, lax

A = np.array([[3.0, 1.0, 0.5], [1.0, 4.0, 1.0], [0.0, 1.0, 2.0]], "f4")
B = np.array([1.0, 2.0, 3.0], "f4")


def conjugate_free(matvec, b, turns=60):
    """Richardson's iteration: a solver that is a while loop, and has no reverse-mode derivative of its own."""
    return lax.while_loop(lambda s: s[0] < turns, lambda s: (s[0] + 1, s[1] + 0.2 * (b - matvec(s[1]))), (0, b))[1]


def solve(a, b):
    return lax.custom_linear_solve(lambda x: a @ x, b, conjugate_free, conjugate_free)


def test_a_linear_system_is_solved_by_the_solver_given():
    np.testing.assert_allclose(solve(A, B), np.linalg.solve(A, B), rtol=1e-4)
    np.testing.assert_allclose(px.jit(solve)(A, B), np.linalg.solve(A, B), rtol=1e-4)


def test_its_derivatives_are_those_of_the_solution():
    loss = lambda a, b: (solve(a, b) ** 2).sum()
    exact = lambda a, b: (pnp.linalg.solve(a, b) ** 2).sum()
    for ours, theirs in zip(px.jit(px.grad(loss, (0, 1)))(A, B), px.grad(exact, (0, 1))(A, B), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(px.jvp(solve, (A, B), (A, B))[1], px.jvp(pnp.linalg.solve, (A, B), (A, B))[1], atol=1e-4)
    np.testing.assert_allclose(
        px.jit(px.hessian(lambda b: loss(A, b)))(B), px.hessian(lambda b: exact(A, b))(B), rtol=1e-2, atol=1e-4
    )


def test_a_batch_of_systems_is_solved_at_once():
    many = np.stack([A, A + np.eye(3, dtype="f4")])
    for axes, args in (
        ((0, None), (many, B)),
        ((None, 0), (A, np.stack([B, -B]))),
        ((0, 0), (many, np.stack([B, -B]))),
    ):
        rows = [solve(*[x if d is None else x[i] for x, d in zip(args, axes, strict=True)]) for i in range(2)]
        np.testing.assert_allclose(px.vmap(solve, axes)(*args), np.stack(rows), rtol=1e-5)
        gradient = px.grad(lambda a, b: solve(a, b).sum(), (0, 1))
        batched = px.vmap(gradient, axes)(*args)
        alone = gradient(*[x if d is None else x[1] for x, d in zip(args, axes, strict=True)])
        for many_rows, row in zip(batched, alone, strict=True):
            np.testing.assert_allclose(many_rows[1], row, rtol=1e-4, atol=1e-6)


def test_a_symmetric_system_of_trees_needs_one_solver():
    def f(a, b):
        out, turns = lax.custom_linear_solve(
            lambda x: {"u": a * x["u"], "v": 2 * x["v"]}, b,
            lambda mv, b: ({"u": b["u"] / a, "v": b["v"] / 2}, pnp.int32(7)), symmetric=True, has_aux=True,
        )  # fmt: skip
        return (out["u"] + out["v"].sum()), turns

    (value, turns), gradient = px.value_and_grad(f, argnums=(0, 1), has_aux=True)(2.0, {"u": 6.0, "v": pnp.ones(2)})
    assert float(value) == 4.0 and int(turns) == 7
    assert float(gradient[0]) == -1.5 and float(gradient[1]["u"]) == 0.5 and gradient[1]["v"].tolist() == [0.5, 0.5]


def root(a):
    def newton(f, x):
        return lax.while_loop(lambda s: s[0] < 12, lambda s: (s[0] + 1, s[1] - f(s[1]) / px.grad(f)(s[1])), (0, x))[1]

    return lax.custom_root(lambda x: x**3 - a, 1.0 + 0 * a, newton, lambda g, y: y / g(1.0))


def test_a_root_is_differentiated_by_its_equation():
    third = lambda a: -2 / 9 * a ** (-5 / 3)
    assert abs(float(root(8.0)) - 2) < 1e-5
    assert abs(float(px.grad(root)(8.0)) - 1 / 12) < 1e-6
    assert abs(float(px.jit(px.grad(px.grad(root)))(8.0)) - third(8.0)) < 1e-6
    np.testing.assert_allclose(px.vmap(px.grad(root))(np.array([1.0, 8.0], "f4")), [1 / 3, 1 / 12], rtol=1e-5)
    np.testing.assert_allclose(px.jvp(root, (8.0,), (2.0,))[1], 1 / 6, rtol=1e-5)


def test_a_root_may_come_with_more():
    def f(a):
        return lax.custom_root(
            lambda x: x - a, a, lambda f, x: (a, pnp.int32(3)), lambda g, y: y / g(1.0), has_aux=True
        )

    (value, turns), slope = px.value_and_grad(f, has_aux=True)(2.0)
    assert float(value) == 2.0 and int(turns) == 3 and float(slope) == 1.0


def test_the_platform_chooses_the_function():
    f = lambda x: lax.platform_dependent(x, reference=lambda x: 2 * x, default=lambda x: 3 * x)
    here = 2.0 if px.default_backend() == "reference" else 3.0
    for run in (lambda f: f, px.jit):
        assert float(run(f)(1.0)) == here and float(run(px.grad(f))(1.0)) == here
        assert run(px.vmap(f))(pnp.ones(2)).tolist() == [here, here]
    with px.default_device(px.devices("reference")[0]):
        assert float(f(1.0)) == 2.0 and float(px.jit(f)(1.0)) == 2.0
    assert float(lax.platform_dependent(1.0, default=lambda x: x)) == 1.0


def test_a_branch_of_another_platform_is_not_written():
    f = px.jit(lambda x: lax.platform_dependent(x, no_such_chip=pnp.sin, default=pnp.cos))
    text = f.lower(1.0).as_text()
    assert "cosine" in text and "sine(" not in text.replace("cosine", "") and "case" not in text


def test_a_composite_is_a_function_with_a_name():
    scaled = lax.composite(lambda x, y, *, by, how="up": pnp.sin(x) * by + y, "test.scaled", version=2)
    f = lambda x: scaled(x, x, by=2)
    np.testing.assert_allclose(px.jit(f)(0.5), f(0.5), rtol=1e-6)
    np.testing.assert_allclose(px.jit(px.grad(f))(0.5), 2 * np.cos(0.5) + 1, rtol=1e-6)
    np.testing.assert_allclose(px.vmap(f)(np.float32([0.5]))[0], f(0.5), rtol=1e-6)
    text = px.jit(f).lower(0.5).as_text()
    assert 'stablehlo.composite "test.scaled"' in text and "by = 2 : i64" in text and "version = 2 : i32" in text


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: lax.custom_linear_solve(lambda x: (x, x), 1.0, lambda f, b: b),
            errors.ArgumentError,
            "matvec of cust",
        ),
        (lambda: lax.custom_linear_solve(lambda x: x, 1.0, lambda f, b: pnp.ones(2)), errors.ArgumentError, "solve of"),
        (
            lambda: lax.custom_linear_solve(lambda x: x, 1.0, lambda f, b: (b,), has_aux=True),
            errors.ArgumentError,
            "has_aux returned",
        ),
        (
            lambda: px.grad(lambda b: lax.custom_linear_solve(lambda x: x, b, lambda f, b: b))(1.0),
            errors.NotDifferentiableError,
            "without a transpose_solve",
        ),
        (
            lambda: lax.custom_root(lambda x: (x, x), 1.0, lambda f, x: x, lambda g, y: y),
            errors.ArgumentError,
            "f of custom_root",
        ),
        (
            lambda: lax.custom_root(lambda x: x, 1.0, lambda f, x: (x, x), lambda g, y: y),
            errors.ArgumentError,
            "solve of custom_root",
        ),
        (
            lambda: lax.custom_root(lambda x: x, 1.0, lambda f, x: x, lambda g, y: y, has_aux=True),
            errors.ArgumentError,
            "with has_aux returned",
        ),
        (lambda: lax.platform_dependent(1.0), errors.ArgumentError, "was given no function"),
        (lambda: lax.platform_dependent(1.0, chip=3), errors.ArgumentError, "was given 3"),
        (lambda: lax.platform_dependent(1.0, chip=lambda x: x), errors.GapError, "only for 'chip'"),
        (lambda: lax.composite(3, "a.b"), errors.ArgumentError, "needs a function and a name"),
        (lambda: lax.composite(lambda x, k: x, "a.b")(1.0, k=pnp.ones(2)), errors.ArgumentError, "attribute k="),
    ],
)
def test_a_wrong_request_is_answered_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()
