"""Primitives composed of others inside of programs, and what is refused of them and of linear_call."""

from __future__ import annotations

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors, lax
from portax.custom_derivatives import linear_call, remat_opt_p
from portax.extend import core

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def program():
    """A program with ``tile`` as an equation, as a library would write it."""
    around = portax.make_jaxpr(lambda x: x * 2)(X)
    middle = core.Var(around.jaxpr.outvars[0].aval)
    out = core.Var(lax.tile_p.abstract(middle.aval, reps=(2, 1)))
    eqns = [
        around.jaxpr.eqns[0].replace(outvars=[middle]),
        core.new_jaxpr_eqn([middle], [out], lax.tile_p, {"reps": (2, 1)}),
    ]
    return core.ClosedJaxpr(around.jaxpr.replace(eqns=eqns, outvars=[out]), around.consts)


def test_an_equation_with_one_goes_through_every_transformation():
    f = lambda x: core.jaxpr_as_fun(program())(x)[0]
    want = np.tile(2 * X, (2, 1))
    np.testing.assert_array_equal(f(pnp.asarray(X)), want)
    np.testing.assert_array_equal(portax.jit(f)(X), want)
    np.testing.assert_array_equal(portax.vmap(f)(pnp.asarray(X)[None])[0], want)
    np.testing.assert_array_equal(portax.grad(lambda x: f(x).sum())(pnp.asarray(X)), np.full_like(X, 4))
    assert "tile" in str(program()) and "tile" not in str(portax.make_jaxpr(f)(X))


def test_what_must_be_kept_is_kept():
    f = lambda x: (lax.dce_sink(x + 1), 2 * x)[1]
    assert "dce_sink" in str(portax.make_jaxpr(portax.jit(f))(1.0))
    assert float(portax.jit(f)(3.0)) == float(f(3.0)) == 6.0
    assert float(portax.grad(f)(3.0)) == 2.0
    np.testing.assert_array_equal(portax.vmap(f)(X), 2 * X)
    kept = portax.jit(lambda x: (lax.dce_sink(x + 1, prevent_mlir_dce=True), x)[1])
    assert "optimization_barrier" in kept.lower(X).as_text()


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3, 5)])
def test_uniform_numbers_are_in_their_interval_and_others_each_time(jit, low, high):
    draw = lambda: lax.rng_uniform(low, high, (2000,))
    draw = portax.jit(draw) if jit else draw
    one, other = np.asarray(draw()), np.asarray(draw())
    assert one.min() >= low and one.max() < high and not np.array_equal(one, other)
    assert abs(one.mean() - (low + high - isinstance(low, int)) / 2) < 0.1 * (high - low)


def test_uniform_numbers_need_two_numbers():
    with pytest.raises(errors.ArgumentError, match="rng_uniform needs two numbers of one"):
        lax.rng_uniform(pnp.zeros(2), 1.0, (3,))


def test_tokens_have_their_primitives():
    assert lax.after_all_p.bind(lax.create_token_p.bind(), lax.create_token()) == lax.create_token()


def test_windows_and_source_must_fit():
    add = portax.make_jaxpr(lambda a, b: a + b)(1.0, 1.0)
    with pytest.raises(errors.ShapeError, match=r"select_and_scatter has \(1, 2\) windows"):
        lax.select_and_scatter_p.bind(
            X, X, 0.0, select_jaxpr=add, scatter_jaxpr=add, window_dimensions=(2, 2), window_strides=(1, 1),
            padding=((0, 0), (0, 0)),
        )  # fmt: skip


def test_remat_opt_is_its_program():
    twice = portax.make_jaxpr(lambda x: 2 * x)(1.0)
    assert float(remat_opt_p.bind(3.0, jaxpr=twice)[0]) == 6.0


def test_a_transpose_must_give_what_the_function_takes():
    with pytest.raises(errors.ArgumentError, match="the transpose of a linear_call of <lambda> gives"):
        linear_call(lambda r, x: r * x, lambda r, ct: (ct, ct), 2.0, X)
    with pytest.raises(errors.ArgumentError, match="the transpose of a linear_call of <lambda> gives"):
        linear_call(lambda r, x: r * x.sum(), lambda r, ct: ct, 2.0, X)


def test_residuals_are_differentiated_forward_and_not_transposed():
    f = lambda r: linear_call(lambda r, x: r * x, lambda r, ct: r * ct, r, 3.0)
    assert [float(y) for y in portax.jvp(f, (2.0,), (1.0,))] == [6.0, 3.0]
    assert float(portax.grad(f)(2.0)) == 3.0
    with pytest.raises(errors.NotDifferentiableError, match="transposed with respect to its residuals"):
        portax.linear_transpose(f, 2.0)(1.0)


def test_a_linear_call_is_batched_in_all_its_arguments():
    f = lambda r, x: linear_call(lambda r, x: r * x, lambda r, ct: 3 * r * ct, r, x)
    np.testing.assert_array_equal(portax.vmap(f, (None, 0))(2.0, pnp.asarray(X)), 2 * X)
    np.testing.assert_array_equal(portax.vmap(f, (0, None))(X[0], X[1]), X[0][:, None] * X[1])
    back = portax.vmap(portax.grad(lambda x: f(2.0, x).sum()))(pnp.asarray(X))
    np.testing.assert_array_equal(back, np.full_like(X, 6))
    both = portax.vmap(portax.grad(lambda x, r: f(r, x).sum()))(pnp.asarray(X), X[:, 0])
    np.testing.assert_array_equal(both, np.broadcast_to(3 * X[:, :1], X.shape))
