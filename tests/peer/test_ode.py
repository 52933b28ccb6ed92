"""odeint beside jax.experimental.ode: solutions, derivatives of everything, batches; and against known solutions."""

from __future__ import annotations

import jax
import jax.experimental.ode as jax_ode
import jax.numpy as jnp
import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.experimental.ode import odeint

pytestmark = pytest.mark.peer


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True), jax.enable_x64(True):
        yield


def problems(np_):
    return {
        "pendulum": (
            lambda y, t, m, g: {"angle": y["speed"], "speed": -m * y["speed"] - g * np_.sin(y["angle"])},
            {"angle": 1.0, "speed": np.array(0.25)}, np.linspace(0.0, 4.0, 5), (0.2, 9.8),
        ),
        "forced": (
            lambda y, t, a: (a @ y) * np_.cos(t), np.array([1.0, -0.5, 2.0]), np.array([0.5, 0.6, 3.0]),
            (np.array([[0.0, 1.0, 0.1], [-1.0, 0.0, 0.3], [0.2, 0.0, -0.5]]),),
        ),
        "blow up": (lambda y, t, r: y * y * r, 0.5, np.array([0.0, 1.0, 1.5]), (0.7,)),
        "one time": (lambda y, t, r: -r * y, np.ones((2, 2)), np.array([1.0]), (0.7,)),
    }  # fmt: skip


def run(lib, np_, solve, name):
    f, y0, t, args = problems(np_)[name]

    def loss(y0, t, args):
        ys = solve(f, y0, t, *args)
        return sum(np_.sum(np_.sin(leaf)) for leaf in lib.tree_util.tree_leaves(ys)), ys

    return lib.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(y0, t, args)


@pytest.mark.parametrize("name", problems(np))
def test_solutions_and_derivatives_are_those_of_jax(name):
    ours, theirs = run(px, pnp, odeint, name), run(jax, jnp, jax_ode.odeint, name)
    left, right = px.tree.leaves(px.tree.map(np.asarray, ours)), jax.tree.leaves(theirs)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=1e-6)


def test_a_batch_is_solved_as_each_alone_and_in_compiled_programs():
    f = lambda y, t, r: -r * y * (1 + pnp.cos(t))
    t = pnp.linspace(0.0, 2.0, 4)
    rates = pnp.array([0.1, 1.0, 5.0])
    many = px.jit(px.vmap(lambda r: odeint(f, 1.0, t, r)))(rates)
    exact = np.exp(-np.asarray(rates)[:, None] * (np.asarray(t) + np.sin(t)))
    np.testing.assert_allclose(many, exact, rtol=1e-6, atol=1e-8)
    slopes = px.vmap(px.grad(lambda r: odeint(f, 1.0, t, r)[-1]))(rates)
    np.testing.assert_allclose(slopes, -(2 + np.sin(2)) * exact[:, -1], rtol=1e-5, atol=1e-7)


def test_values_from_outside_are_differentiated_too():
    t = pnp.array([0.0, 1.0])
    slope = px.grad(lambda r: odeint(lambda y, t: -r * y, 2.0, t)[-1])(0.5)
    np.testing.assert_allclose(slope, -2 * np.exp(-0.5), rtol=1e-6)


def test_whole_numbers_among_the_arguments_do_not_move():
    t = pnp.array([0.0, 1.0])
    f = lambda y, t, n, r: -r * y * n
    slope = px.grad(lambda r: odeint(f, 2.0, t, 3, r)[-1])(0.5)
    np.testing.assert_allclose(slope, -6 * np.exp(-1.5), rtol=1e-6)


def test_tolerances_are_kept():
    f = lambda y, t: pnp.stack([y[1], -y[0]])
    t = pnp.linspace(0.0, 10.0, 7)
    exact = np.stack([np.cos(t), -np.sin(t)], axis=1)
    errors = []
    for tolerance in (1e-4, 1e-8, 1e-12):
        ys = odeint(f, pnp.array([1.0, 0.0]), t, rtol=tolerance, atol=tolerance)
        errors.append(np.abs(np.asarray(ys) - exact).max())
        assert errors[-1] < 100 * tolerance
    assert errors[0] > errors[1] > errors[2]


def test_steps_may_be_bounded():
    f = lambda y, t: -y
    stopped = odeint(f, 1.0, pnp.array([0.0, 100.0]), mxstep=3)
    assert float(stopped[-1]) > 0.1
    short = odeint(f, 1.0, pnp.array([0.0, 1.0]), hmax=0.01)
    np.testing.assert_allclose(short[-1], np.exp(-1), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: odeint(lambda y, t: y, 1.0, 2.0), ShapeError, r"needs one axis of times, got t: float64\[\]"),
        (lambda: odeint(lambda y, t: y, 1, pnp.array([0.0, 1.0])), DtypeError, "floating point states"),
        (lambda: odeint(3, 1.0, pnp.array([0.0, 1.0])), ArgumentError, "needs a function of y and t, got 3"),
        (lambda: odeint(lambda y, t: pnp.ones(2), 1.0, pnp.array([0.0, 1.0])), ShapeError, "has not the shapes"),
    ],
)
def test_a_wrong_call_says_so(call, error, words):
    with pytest.raises(error, match=words):
        call()
