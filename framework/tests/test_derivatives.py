"""Derivatives of whole programs: forward and reverse mode agree with each other and with differences."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors, lax
from portax.higher_order import checkpoint_name

X = np.array([0.3, -0.7, 1.2])


def scanned(x):
    carry, ys = lax.scan(lambda c, t: (c * t + pnp.sin(c), c * c), x[0], x)
    return carry + ys.sum()


def started(x):
    # The carry starts where nothing moves.
    carry, ys = lax.scan(lambda c, t: ((c[0] * t + pnp.sin(c[1]), c[1] + 1.0), c[0]), (0.5, 0.0), x)
    return carry[0] + (ys * x).sum()


def looped(x):
    return lax.fori_loop(0, 3, lambda i, c: pnp.sin(c) * x[i] + c, x.sum())


def chosen(x):
    return lax.cond(x[0] > 0, lambda v: (v**2).sum(), lambda v: pnp.cos(v).sum(), x)


def switched(x):
    return lax.switch(2, [lambda v: v.sum(), lambda v: (v * v).sum(), lambda v: (v**3).sum()], x)


def remembered(x):
    return px.checkpoint(lambda v: pnp.sin(pnp.sin(v)).sum())(x)




def jitted(x):
    inner = px.jit(lambda v, w: (v * w, pnp.exp(w)))
    a, b = inner(x, x[::-1])
    return (a * b).sum()


def indexed(x):
    return (x.at[1].set(x[0] * x[2]) * x[np.array([2, 0, 0])]).sum()


def mapped(x):
    return px.vmap(lambda t: pnp.tanh(t) * t)(x).sum()


def multiplied(x):
    m = pnp.outer(x, x) + 1.0
    return pnp.sum(m @ m * pnp.einsum("i,j->ji", x, pnp.cos(x)))


def sorted_(x):
    return (pnp.sort(x) * pnp.cumsum(x)).sum() + pnp.max(x) * pnp.prod(x)


def reduced(x):
    return lax.reduce(x, np.float64(0), lambda a, b: a + b + 0.0 * a * b, (0,))


def folded(x):
    return lax.associative_scan(lambda a, b: a * b + a + b, x).sum()


PROGRAMS = [
    scanned, started, looped, chosen, switched, remembered, jitted, indexed, mapped, multiplied, sorted_, reduced,
    folded,
]  # fmt: skip
every_program = pytest.mark.parametrize("f", PROGRAMS, ids=[f.__name__ for f in PROGRAMS])


@pytest.fixture(autouse=True)
def x64():
    with px.enable_x64(True):
        yield


def differences(f, x, h=1e-6):
    x = np.asarray(x)
    out = np.zeros_like(x)
    for i in range(x.size):
        step = np.zeros_like(x)
        step[i] = h
        out[i] = (float(f(pnp.asarray(x + step))) - float(f(pnp.asarray(x - step)))) / (2 * h)
    return out


@every_program
def test_the_gradient_is_the_limit_of_differences(f):
    np.testing.assert_allclose(px.grad(f)(pnp.asarray(X)), differences(f, X), rtol=1e-5, atol=1e-7)


@every_program
def test_forward_mode_agrees_with_reverse_mode(f):
    x = pnp.asarray(X)
    direction = pnp.asarray([0.5, -1.0, 2.0])
    _, forward = px.jvp(f, (x,), (direction,))
    np.testing.assert_allclose(float(forward), float((px.grad(f)(x) * direction).sum()), rtol=1e-10)


@every_program
def test_the_linearized_function_is_the_forward_derivative(f):
    x, t = pnp.asarray(X), pnp.asarray([1.0, 0.0, -2.0])
    value, f_jvp = px.linearize(f, x)
    expected, dot = px.jvp(f, (x,), (t,))
    np.testing.assert_allclose([float(value), float(f_jvp(t))], [float(expected), float(dot)], rtol=1e-12)


@every_program
def test_a_compiled_gradient_is_the_gradient(f):
    x = pnp.asarray(X)
    np.testing.assert_allclose(px.jit(px.grad(f))(x), px.grad(f)(x), rtol=1e-9, atol=1e-12)


@every_program
def test_a_batch_of_gradients_is_the_gradient_of_each(f):
    rows = pnp.asarray(np.stack([X, X[::-1], X * 0.5]))
    each = np.stack([np.asarray(px.grad(f)(row)) for row in rows])
    np.testing.assert_allclose(px.vmap(px.grad(f))(rows), each, rtol=1e-9, atol=1e-12)


@every_program
def test_the_hessian_is_symmetric_and_the_difference_of_gradients(f):
    x = pnp.asarray(X)
    h = np.asarray(px.hessian(f)(x))
    np.testing.assert_allclose(h, h.T, rtol=1e-8, atol=1e-10)
    eps = 1e-5
    for i in range(3):
        step = np.zeros(3)
        step[i] = eps
        row = (np.asarray(px.grad(f)(x + step)) - np.asarray(px.grad(f)(x - step))) / (2 * eps)
        np.testing.assert_allclose(h[i], row, rtol=1e-4, atol=1e-6)


@every_program
def test_second_derivatives_agree_whatever_mode_comes_first(f):
    x = pnp.asarray(X)
    h = px.jacfwd(px.jacfwd(f))(x)
    for second in (px.jacrev(px.jacfwd(f)), px.jacrev(px.jacrev(f)), px.jit(px.hessian(f))):
        np.testing.assert_allclose(second(x), h, rtol=1e-9, atol=1e-11)


def test_jacfwd_and_jacrev_give_the_same_tree():
    def f(d):
        return {"a": pnp.sin(d["x"])[:, None] * d["y"], "b": d["x"].sum()}

    d = {"x": pnp.arange(2.0), "y": pnp.arange(3.0)}
    forward, reverse = px.jacfwd(f)(d), px.jacrev(f)(d)
    assert px.tree.structure(forward) == px.tree.structure(reverse)
    assert forward["a"]["y"].shape == (2, 3, 3)
    for a, b in zip(px.tree.leaves(forward), px.tree.leaves(reverse), strict=True):
        np.testing.assert_allclose(a, b)


def test_aux_passes_through_and_argnums_choose():
    def f(x, y):
        return x * y, {"sum": x + y}

    (value, aux), (dx, dy) = px.value_and_grad(f, argnums=(0, 1), has_aux=True)(2.0, 3.0)
    assert (float(value), float(aux["sum"]), float(dx), float(dy)) == (6.0, 5.0, 3.0, 2.0)
    assert float(px.grad(lambda x, y: x * y, argnums=-1)(2.0, 3.0)) == 2.0


def test_a_holomorphic_function_has_a_complex_derivative():
    z = 1.0 + 2.0j
    np.testing.assert_allclose(complex(px.grad(lambda v: v**3, holomorphic=True)(z)), 3 * z**2)


def test_integers_have_gradients_of_one_value():
    g = px.grad(lambda n, x: n * x, argnums=(0, 1), allow_int=True)(3, 2.0)
    assert g[0].dtype == px.float0 and float(g[1]) == 3.0


def test_a_linear_function_is_transposed():
    m = pnp.asarray([[1.0, 2.0], [3.0, 4.0]])
    back = px.linear_transpose(lambda v: m @ v, pnp.zeros(2))
    np.testing.assert_allclose(back(pnp.asarray([1.0, 1.0]))[0], m.sum(0))


def test_a_loop_with_a_counter_is_transposed():
    def f(v):
        return lax.fori_loop(0, 3, lambda i, c: c * (i + 1.0), v)

    assert float(px.linear_transpose(f, 1.0)(2.0)[0]) == 12.0


def test_gradients_nest_to_any_depth():
    f = pnp.sin
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin, np.cos):
        f = px.grad(f)
        np.testing.assert_allclose(float(f(0.7)), expected(0.7), rtol=1e-12)


def test_perturbations_are_not_confused():
    assert float(px.grad(lambda x: x * px.grad(lambda y: x + y)(1.0))(1.0)) == 1.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: px.grad(lambda x: x)(pnp.ones(3)), errors.ArgumentError, r"returned float64\[3\]"),
        (lambda: px.grad(lambda x: (x, x))(1.0), errors.ArgumentError, "returned a tree"),
        (lambda: px.grad(lambda x: x)(3), errors.DtypeError, "needs floating point arguments, got int64"),
        (lambda: px.grad(lambda x: x * 1j)(1.0), errors.DtypeError, "needs a real floating point value"),
        (lambda: px.grad(lambda x: x, argnums=2)(1.0), errors.ArgumentError, "was asked for argument 2"),
        (lambda: px.grad(lambda x: x, has_aux=True)(1.0), errors.ArgumentError, "not a pair"),
        (lambda: px.grad(lambda x: x, holomorphic=True)(1.0), errors.DtypeError, "needs complex arguments"),
        (lambda: px.grad(3), errors.ArgumentError, "grad needs a function"),
        (lambda: px.grad(lambda x: x, argnums=())(1.0), errors.ArgumentError, "was asked for no argument"),
        (lambda: px.grad(lambda x: x, argnums=(0, 0))(1.0), errors.ArgumentError, "asked for one argument twice"),
        (lambda: px.vjp(3, 1.0), errors.ArgumentError, "vjp needs a function"),
        (lambda: px.jvp(lambda x: x, (1.0,), (1j,)), errors.ArgumentError, "its tangent complex"),
        (lambda: px.linear_transpose(lambda x: x, 1.0)(X), errors.ArgumentError, "was given a cotangent float"),
        (lambda: px.linear_transpose(lambda x: x, 1.0)((1.0,)), errors.ArgumentError, "a cotangent of structure"),
        (
            lambda: px.linear_transpose(lambda x, y: x * y, 1.0, 1.0)(1.0),
            errors.NotDifferentiableError,
            "a product of two values",
        ),
        (
            lambda: px.closure_convert(lambda x: x, 1.0)[0](1.0, 2.0),
            errors.ArgumentError,
            "a function converted with arguments of structure",
        ),
        (lambda: px.jvp(lambda x: x, (1.0,), (1.0, 2.0)), errors.ArgumentError, "primals of structure"),
        (lambda: px.jvp(lambda x: x, (1.0,), (np.ones(2),)), errors.ArgumentError, "its tangent float64"),
        (lambda: px.jvp(lambda x: x, 1.0, 1.0), errors.ArgumentError, "Give tuples or lists"),
        (lambda: px.jvp(lambda x: x, (1,), (1,)), errors.DtypeError, "cannot move"),
        (lambda: px.vjp(lambda x: x, 1.0)[1]((1.0, 2.0)), errors.ArgumentError, "was given a cotangent of structure"),
        (lambda: px.vjp(lambda x: x, 1.0)[1](np.ones(2)), errors.ArgumentError, "for an output float64"),
        (lambda: px.linearize(lambda x: x, 1.0)[1](1.0, 2.0), errors.ArgumentError, "tangents of structure"),
        (lambda: px.linear_transpose(pnp.sin, 1.0)(1.0), errors.NotDifferentiableError, "sin has no transpose"),
        (
            lambda: px.grad(lambda x: lax.while_loop(lambda c: c < 9, lambda c: c * 2, x))(1.0),
            errors.NotDifferentiableError,
            "number of its turns is not known",
        ),
    ],
)
def test_a_wrong_request_is_answered_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_policy_keeps_what_it_names_and_computes_the_rest_again():
    def f(v):
        return pnp.sin(checkpoint_name(pnp.sin(v), "middle")).sum()

    x = pnp.asarray(X)
    keep = px.checkpoint_policies.save_only_these_names("middle")
    sines = {}
    for name, g in (("all", f), ("none", px.checkpoint(f)), ("named", px.checkpoint(f, policy=keep))):
        np.testing.assert_allclose(px.grad(g)(x), px.grad(f)(x), rtol=1e-12)
        sines[name] = count(px.make_jaxpr(px.grad(g))(x), "sin")
    # Two on the way forward; on the way back again both, or only the one behind the saved value.
    assert sines["all"] == 2 and sines["none"] > sines["named"] >= 2


def count(closed, name):
    """How often a primitive stands in a program, its inner programs included."""
    total = 0
    for eqn in closed.eqns:
        total += eqn.primitive.name == name
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if hasattr(inner, "eqns"):
                    total += count(inner, name)
    return total
