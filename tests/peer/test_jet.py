"""jet beside jax.experimental.jet: derivatives along curves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.jet import jet as theirs

import portax as px
import portax.numpy as pnp
from portax.errors import ArgumentError, TreeError
from portax.experimental.jet import jet as ours

pytestmark = pytest.mark.peer

FUNCTIONS = {
    "exp": lambda np_, x: np_.exp(x),
    "rational": lambda np_, x: x / (1 + x * x),
    "logistic": lambda np_, x: np_.log(1 + np_.exp(np_.sin(x))),
    "product": lambda np_, x: np_.tanh(x @ x.T).sum(axis=0),
    "several": lambda np_, x: {"a": np_.sqrt(x + 3), "b": x**3},
}


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True), jax.enable_x64(True):
        yield


@pytest.mark.parametrize("scaled", [True, False], ids=["derivatives", "coefficients"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_along_a_curve_are_those_of_jax(name, scaled):
    draw = np.random.default_rng(0)
    x, *terms = (draw.normal(size=(2, 2)) for _ in range(5))
    mine = ours(lambda x: FUNCTIONS[name](pnp, x), (x,), (terms,), factorial_scaled=scaled)
    peer = theirs(lambda x: FUNCTIONS[name](jnp, x), (x,), (terms,), factorial_scaled=scaled)
    left, right = px.tree.leaves(mine), jax.tree.leaves(peer)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_it_composes():
    f = lambda x: ours(pnp.sin, (x,), ((1.0, 0.0, 0.0),))[1][2]
    np.testing.assert_allclose(px.jit(px.vmap(px.grad(f)))(pnp.arange(3.0)), np.sin(np.arange(3.0)), rtol=1e-8)


def test_a_wrong_call_says_so():
    with pytest.raises(ArgumentError, match=r"jet was given 1 primals, and series of lengths \[1, 2\]"):
        ours(pnp.sin, (1.0,), ((1.0,), (1.0, 2.0)))
    with pytest.raises(TreeError, match="a term of a series is built as"):
        ours(lambda d: d["a"], ({"a": 1.0},), (((1.0,),),))
