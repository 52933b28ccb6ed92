"""What nobody reads is left out of programs, and of programs inside their equations."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.transforms.dce import dce_closed, dce_jaxpr

X = np.array([0.3, -0.7, 1.2], np.float32)


def names(jaxpr):
    """The primitives of a program and of those inside it."""
    found = []
    for eqn in jaxpr.eqns:
        found.append(eqn.primitive.name)
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if hasattr(inner, "eqns"):
                    found += names(inner)
    return found


def pair_of(x):
    return pnp.sin(x), pnp.exp(pnp.tanh(x))


PROGRAMS = {
    "jit": lambda x: px.jit(pair_of)(x),
    "checkpoint": lambda x: px.checkpoint(pair_of)(x),
    "cond": lambda x: px.lax.cond(x[0] > 0, pair_of, lambda x: (pnp.cos(x), pnp.tanh(x)), x),
    "scan-carry": lambda x: px.lax.scan(lambda c, _: (pair_of(c[0]), None), (x, x), None, length=3)[0],
    "scan-results": lambda x: px.lax.scan(lambda c, t: (c, pair_of(t)), 0.0, x)[1],
    "jit-in-scan": lambda x: px.lax.scan(lambda c, t: (c, px.jit(pair_of)(t)), 0.0, x)[1],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_makes_a_result_nobody_reads_is_left_out_inside(program):
    f = PROGRAMS[program]
    closed = px.make_jaxpr(f)(X)
    smaller = dce_closed(closed, [True, False])
    assert {"exp", "tanh"} <= set(names(closed)) and not {"exp", "tanh"} & set(names(smaller)), smaller
    out = px.core.eval_jaxpr(smaller.jaxpr, smaller.consts, X)
    np.testing.assert_array_equal(out[0], f(X)[0])


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_read_stays(program):
    closed = px.make_jaxpr(PROGRAMS[program])(X)
    assert names(dce_closed(closed)) == names(closed)


def test_a_carry_stays_where_a_later_turn_reads_it():
    f = lambda x: px.lax.scan(lambda c, _: ((c[1], pnp.sin(c[1]), pnp.exp(c[2])), None), (x, x, x), None, length=3)[0]
    smaller = dce_closed(px.make_jaxpr(f)(X), [True, False, False])
    assert "sin" in names(smaller) and "exp" not in names(smaller)
    np.testing.assert_array_equal(px.core.eval_jaxpr(smaller.jaxpr, smaller.consts, X)[0], f(X)[0])


def test_operands_that_only_fed_it_are_read_no_more():
    closed = px.make_jaxpr(lambda x, y: px.jit(lambda x, y: (pnp.sin(x), pnp.exp(y)))(x, y))(X, X)
    assert dce_jaxpr(closed.jaxpr, [True, False])[1] == [True, False]


def test_effects_stay_and_so_does_what_they_read():
    def f(x):
        px.debug.callback(lambda v: None, pnp.exp(x))
        return pnp.sin(x), pnp.tanh(x)

    smaller = dce_closed(px.make_jaxpr(px.jit(f))(X), [True, False])
    assert "exp" in names(smaller)


def test_a_composite_keeps_its_results():
    f = px.lax.composite(pair_of, "tests.pair")
    assert "exp" in names(dce_closed(px.make_jaxpr(f)(X), [True, False]))
