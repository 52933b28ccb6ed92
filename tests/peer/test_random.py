"""Random bits are JAX's, and samples are to the last bits, whether a function is run step by step or compiled."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import random

pytestmark = pytest.mark.peer

SEEDS = (0, 1, -1, 2**31 - 1, 123456789)
SHAPES = ((), (1,), (3,), (0,), (2, 0), (17, 31), (1000,))
TRIALS = [0.0, 1.0, 5.0, 100.0, 1000.0, 30.0, -1.0, math.inf]
CHANCES = [0.3, 0.9, 0.5, 0.2, 0.7, 1.0, 0.5, 0.5]
LOGITS = [[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]

#: Distributions that are integers or orders: no difference is allowed. ``r`` is random, ``n`` numpy of either.
EXACT = {
    "bernoulli": lambda r, n, k: r.bernoulli(k, 0.3, (1000,)),
    "bernoulli-high": lambda r, n, k: r.bernoulli(k, 0.3, (1000,), mode="high"),
    "rademacher": lambda r, n, k: r.rademacher(k, (1000,)),
    "randint": lambda r, n, k: r.randint(k, (1000,), -5, 1000),
    "randint-arrays": lambda r, n, k: r.randint(k, (4, 3), n.arange(3), n.array([2, 9, 1])),
    "randint-int8": lambda r, n, k: r.randint(k, (1000,), -5, 1000, "int8"),
    "randint-all-of-uint8": lambda r, n, k: r.randint(k, (1000,), 0, 256, "uint8"),
    "randint-uint32": lambda r, n, k: r.randint(k, (1000,), 0, 2**31 - 1, "uint32"),
    "categorical": lambda r, n, k: r.categorical(k, n.array(LOGITS), shape=(50, 2)),
    "categorical-axis-0": lambda r, n, k: r.categorical(k, n.array(LOGITS), axis=0),
    "categorical-without-replacement": lambda r, n, k: r.categorical(k, n.array(LOGITS), shape=(2, 2), replace=False),
    "permutation-of-int": lambda r, n, k: r.permutation(k, 100),
    "permutation-of-array": lambda r, n, k: r.permutation(k, n.arange(12.0).reshape(3, 4), axis=1),
    "permutation-independent": lambda r, n, k: r.permutation(k, n.arange(12.0).reshape(3, 4), 1, independent=True),
    "choice": lambda r, n, k: r.choice(k, 10, (3, 5)),
    "choice-of-rows": lambda r, n, k: r.choice(k, n.arange(12.0).reshape(3, 4), (2,), axis=1, replace=False),
    "choice-weighted": lambda r, n, k: r.choice(k, n.arange(4.0), (100,), p=n.array([0.125, 0.25, 0.5, 0.125])),
    "choice-weighted-once": lambda r, n, k: r.choice(k, 4, (3,), replace=False, p=n.array([0.1, 0.2, 0.3, 0.4])),
    "poisson": lambda r, n, k: r.poisson(k, n.array([0.0, 0.5, 3.0, 9.9, 10.0, 50.0, 1000.0]), (40, 7)),
    "poisson-int8": lambda r, n, k: r.poisson(k, 3.0, (40,), "int8"),
    "poisson-of-ints": lambda r, n, k: r.poisson(k, n.arange(4)),
    "binomial": lambda r, n, k: r.binomial(k, n.array(TRIALS), n.array(CHANCES), (40, 8)),
    "binomial-edges": lambda r, n, k: r.binomial(k, 10, n.array([0.0, 1.0, -0.1, 1.1, math.nan, 0.5])),
    "multinomial": lambda r, n, k: r.multinomial(k, 20, n.array([0.1, 0.2, 0.3, 0.4]), shape=(30, 4)),
    "multinomial-rows": lambda r, n, k: r.multinomial(k, n.array([5.0, 100.0]), n.array([[0.1, 0.2, 0.7], [0, 0, 1]])),
    "geometric": lambda r, n, k: r.geometric(k, n.array([0.1, 0.5, 1.0]), (50, 3)),
    "uniform": lambda r, n, k: r.uniform(k, (1000,)),
    "uniform-float16": lambda r, n, k: r.uniform(k, (1000,), "float16"),
    "normal-bfloat16": lambda r, n, k: r.normal(k, (1000,), "bfloat16"),
    "uniform-bfloat16": lambda r, n, k: r.uniform(k, (1000,), "bfloat16"),
}
#: Distributions with functions of floats in them.
CLOSE = {
    "uniform-between": lambda r, n, k: r.uniform(k, (1000,), minval=2.0, maxval=5.0),
    "normal": lambda r, n, k: r.normal(k, (1000,)),
    "normal-complex": lambda r, n, k: n.abs(r.normal(k, (1000,), "complex64")),
    "truncated_normal": lambda r, n, k: r.truncated_normal(k, -1.0, 2.0, (1000,)),
    "lognormal": lambda r, n, k: r.lognormal(k, shape=(1000,)),
    "exponential": lambda r, n, k: r.exponential(k, (1000,)),
    "gumbel": lambda r, n, k: r.gumbel(k, (1000,)),
    "gumbel-high": lambda r, n, k: r.gumbel(k, (1000,), mode="high"),
    "laplace": lambda r, n, k: r.laplace(k, (1000,)),
    "logistic": lambda r, n, k: r.logistic(k, (1000,)),
    "cauchy": lambda r, n, k: r.cauchy(k, (1000,)),
    "pareto": lambda r, n, k: r.pareto(k, 2.0, (1000,)),
    "rayleigh": lambda r, n, k: r.rayleigh(k, n.array(2.0), (1000,)),
    "weibull_min": lambda r, n, k: r.weibull_min(k, 2.0, 3.0, (1000,)),
    "maxwell": lambda r, n, k: r.maxwell(k, (1000,)),
    "double_sided_maxwell": lambda r, n, k: r.double_sided_maxwell(k, 1.0, 2.0, (1000,)),
    "gamma": lambda r, n, k: r.gamma(k, n.array([0.1, 0.5, 1.0, 2.0, 30.0]), (200, 5)),
    "loggamma": lambda r, n, k: r.loggamma(k, n.array([0.1, 0.5, 1.0, 2.0, 30.0]), (200, 5)),
    "beta": lambda r, n, k: r.beta(k, 2.0, 3.0, (100,)),
    "dirichlet": lambda r, n, k: r.dirichlet(k, n.array([0.5, 2.0, 30.0]), (50,)),
    "chisquare": lambda r, n, k: r.chisquare(k, 3.0, (100,)),
    "f": lambda r, n, k: r.f(k, 3.0, 4.0, (100,)),
    "t": lambda r, n, k: r.t(k, 3.0, (100,)),
    "wald": lambda r, n, k: r.wald(k, n.array(2.0), (1000,)),
    "triangular": lambda r, n, k: r.triangular(k, 0.0, 1.0, 3.0, (1000,)),
    "generalized_normal": lambda r, n, k: r.generalized_normal(k, 3.0, (100,)),
    "ball": lambda r, n, k: r.ball(k, 4, 1.5, (30,)),
    "multivariate_normal": lambda r, n, k: r.multivariate_normal(k, n.arange(2.0), n.array(COVARIANCE), (20,)),
    "multivariate_normal-of-many": lambda r, n, k: r.multivariate_normal(k, n.ones((3, 2)), n.array(COVARIANCE)),
    "orthogonal": lambda r, n, k: r.orthogonal(k, 4),
    "orthogonal-tall": lambda r, n, k: r.orthogonal(k, 4, (2,), m=3),
    "orthogonal-wide": lambda r, n, k: r.orthogonal(k, 3, m=5),
}
#: Where XLA, given these programs, rounds otherwise than given JAX's: by products and sums that it joins, or does not.
ROUNDED = {"maxwell", "double_sided_maxwell", "beta", "f", "generalized_normal", "ball"}
#: What goes through a factorisation of matrices, which rounds otherwise than the peer's.
FACTORED = {"multivariate_normal", "multivariate_normal-of-many", "orthogonal", "orthogonal-tall", "orthogonal-wide"}
COVARIANCE = [[2.0, 0.5], [0.5, 1.0]]



def same(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_array_equal(ours, theirs)


def close(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_keys_hold_the_same_words(seed):
    ours, theirs = random.key(seed), jax.random.key(seed)
    same(random.key_data(ours), jax.random.key_data(theirs))
    same(random.PRNGKey(seed), jax.random.PRNGKey(seed))
    same(random.key_data(random.fold_in(ours, 77)), jax.random.key_data(jax.random.fold_in(theirs, 77)))
    for shape in SHAPES:
        same(random.key_data(random.split(ours, shape)), jax.random.key_data(jax.random.split(theirs, shape)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_are_the_same(shape, dtype):
    same(random.bits(random.key(3), shape, dtype), jax.random.bits(jax.random.key(3), shape, dtype))


@pytest.mark.parametrize("name", EXACT)
def test_integers_orders_and_uniform_floats_are_the_same(name):
    draw = EXACT[name]
    theirs = draw(jax.random, jnp, jax.random.key(5))
    same(draw(random, pnp, random.key(5)), theirs)
    same(portax.jit(lambda key: draw(random, pnp, key))(random.key(5)), theirs)


@pytest.mark.parametrize("name", CLOSE)
def test_other_floats_are_the_same_compiled_and_up_to_rounding_on_the_host(name):
    draw = CLOSE[name]
    theirs = draw(jax.random, jnp, jax.random.key(5))
    close(draw(random, pnp, random.key(5)), theirs)
    compiled = portax.jit(lambda key: draw(random, pnp, key))(random.key(5))
    (close if name in ROUNDED | FACTORED else same)(compiled, theirs)


@pytest.mark.parametrize("method", ["eigh", "svd"])
def test_a_factor_of_the_covariance_may_be_found_otherwise(method):
    ours = random.multivariate_normal(random.key(1), pnp.zeros(2), pnp.array(COVARIANCE), (500,), method=method)
    theirs = jax.random.multivariate_normal(
        jax.random.key(1), jnp.zeros(2), jnp.array(COVARIANCE), (500,), method=method
    )
    close(ours, theirs)


def test_the_derivative_of_gamma_is_the_same():
    order = [0.1, 0.5, 1.0, 2.0, 30.0]
    for name in ("gamma", "loggamma"):
        ours = portax.grad(lambda a, name=name: getattr(random, name)(random.key(2), a).sum())(pnp.array(order))
        theirs = jax.grad(lambda a, name=name: getattr(jax.random, name)(jax.random.key(2), a).sum())(jnp.array(order))
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2e-5)


def test_samples_under_vmap_over_keys_are_the_same():
    ours, theirs = random.split(random.key(1), 5), jax.random.split(jax.random.key(1), 5)
    same(
        portax.vmap(lambda key: random.bits(key, (7,)))(ours), jax.vmap(lambda key: jax.random.bits(key, (7,)))(theirs)
    )
    same(
        portax.vmap(lambda key: random.permutation(key, 9))(ours),
        jax.vmap(lambda key: jax.random.permutation(key, 9))(theirs),
    )
    same(
        random.key_data(portax.vmap(random.fold_in)(ours, pnp.arange(5))),
        jax.random.key_data(jax.vmap(jax.random.fold_in)(theirs, jnp.arange(5))),
    )


STATE = np.array([1, 2, 0xFFFFFFFE, 4], np.uint32)
BIT_SHAPES = ((8,), (3, 3), (3, 4), (5, 3, 2), (3, 5, 7), (), (7,), (0,))


@pytest.mark.parametrize("algorithm", ["RNG_DEFAULT", "RNG_PHILOX", "RNG_THREE_FRY"])
def test_bits_of_a_state_and_what_follows_it_are_the_same(algorithm):
    for shape in BIT_SHAPES:
        for dtype in ("uint8", "uint16", "uint32"):
            theirs = jax.lax.rng_bit_generator(
                jnp.asarray(STATE), shape, dtype, getattr(jax.lax.RandomAlgorithm, algorithm)
            )

            def make(state, shape=shape, dtype=dtype):
                return portax.lax.rng_bit_generator(
                    state, shape, dtype, getattr(portax.lax.RandomAlgorithm, algorithm)
                )

            for ours in (make(pnp.asarray(STATE)), portax.jit(make)(pnp.asarray(STATE))):
                same(ours[0], theirs[0])
                same(ours[1], theirs[1])


def test_each_state_has_bits_of_its_own_under_vmap():
    states = pnp.stack([pnp.asarray(STATE), pnp.asarray(STATE + np.uint32(9))])
    for algorithm in portax.lax.RandomAlgorithm:
        def make(state, algorithm=algorithm):
            return portax.lax.rng_bit_generator(state, (3, 5), "uint32", algorithm)

        many = portax.vmap(make)(states)
        for i in range(2):
            for a, b in zip(many, make(states[i]), strict=True):
                same(a[i], b)


#: Functions of one key: ``r`` is random.
OF_KEYS = {
    "split": lambda r, k: r.key_data(r.split(k, 3)),
    "split-shape": lambda r, k: r.key_data(r.split(k, (2, 3))),
    "fold_in": lambda r, k: r.key_data(r.fold_in(k, 2**32 - 1)),
    "key_data": lambda r, k: r.key_data(k),
    "clone": lambda r, k: r.key_data(r.clone(k)),
    "wrap": lambda r, k: r.key_data(r.wrap_key_data(r.key_data(k), impl="threefry2x32")),
    "bits": lambda r, k: r.bits(k, (3,)),
}


@pytest.mark.parametrize("kind", ["typed", "raw"])
@pytest.mark.parametrize("name", OF_KEYS)
def test_keys_are_the_same_compiled_and_mapped(name, kind):
    def all_ways(r, t):
        key = r.key(3) if kind == "typed" else r.PRNGKey(3)

        def f(k):
            return OF_KEYS[name](r, k)

        return f(key), t.jit(f)(key), t.vmap(f)(r.split(key, 4))

    for ours, theirs in zip(all_ways(random, portax), all_ways(jax.random, jax), strict=True):
        same(ours, theirs)


def test_keys_name_their_generator_and_their_dtype():
    assert random.key_impl(random.key(0)) == str(jax.random.key_impl(jax.random.key(0))) == "threefry2x32"
    assert random.key_impl(random.PRNGKey(0)) == "threefry2x32"
    assert str(random.key(0).dtype) == str(jax.random.key(0).dtype)
    assert portax.numpy.issubdtype(random.key(0).dtype, portax.dtypes.prng_key)
    for seed in (np.int64(-5), np.uint8(200), np.arange(3)[1]):
        same(random.key_data(random.key(seed)), jax.random.key_data(jax.random.key(seed)))
