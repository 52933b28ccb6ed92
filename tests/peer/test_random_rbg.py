"""The generators rbg and unsafe_rbg: keys and bits are JAX's, and so is what vmap makes of a batch of keys."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import lax, random

pytestmark = pytest.mark.peer

IMPLS = ("rbg", "unsafe_rbg")
WORDS = np.array([[1, 2, 3, 4], [0xFFFFFFFF, 0, 0xFFFFFFFE, 0xFFFFFFFF], [7, 8, 9, 10]], np.uint32)

#: Functions of one key and of the modules random and numpy of either, whose results must have the same bits.
OF_A_KEY = {
    "split": lambda r, n, k: r.key_data(r.split(k, 3)),
    "split-shape": lambda r, n, k: r.key_data(r.split(k, (2, 3))),
    "split-once": lambda r, n, k: r.key_data(r.split(k, ())),
    "split-none": lambda r, n, k: r.key_data(r.split(k, 0)),
    "split-twice": lambda r, n, k: r.key_data(r.split(r.split(k)[1])),
    "fold_in": lambda r, n, k: r.key_data(r.fold_in(k, 2**32 - 1)),
    "key_data": lambda r, n, k: r.key_data(k),
    "clone": lambda r, n, k: r.key_data(r.clone(k)),
    "bits": lambda r, n, k: r.bits(k, (3, 5)),
    "bits-8": lambda r, n, k: r.bits(k, (7,), "uint8"),
    "bits-16": lambda r, n, k: r.bits(k, (7,), "uint16"),
    "bits-one": lambda r, n, k: r.bits(k),
    "bits-none": lambda r, n, k: r.bits(k, (0, 3)),
    "bits-many": lambda r, n, k: r.bits(k, (1001,)),
    "rademacher": lambda r, n, k: r.rademacher(k, (100,)),
    "randint": lambda r, n, k: r.randint(k, (100,), -5, 1000),
    "categorical": lambda r, n, k: r.categorical(k, n.array([0.1, 0.2, 0.3]), shape=(50,)),
    "permutation": lambda r, n, k: r.permutation(k, 20),
    "choice": lambda r, n, k: r.choice(k, 10, (3, 5)),
    "choice-once": lambda r, n, k: r.choice(k, 10, (3,), replace=False),
    "uniform": lambda r, n, k: r.uniform(k, (100,)),
    "uniform-bfloat16": lambda r, n, k: r.uniform(k, (100,), "bfloat16"),
}
#: Distributions with functions of floats in them.
CLOSE = {
    "uniform-between": lambda r, n, k: r.uniform(k, (100,), minval=2.0, maxval=5.0),
    "normal": lambda r, n, k: r.normal(k, (100,)),
    "normal-complex": lambda r, n, k: r.normal(k, (50,), "complex64"),
    "truncated_normal": lambda r, n, k: r.truncated_normal(k, -1.0, 2.0, (100,)),
    "exponential": lambda r, n, k: r.exponential(k, (100,)),
    "gumbel": lambda r, n, k: r.gumbel(k, (100,)),
    "laplace": lambda r, n, k: r.laplace(k, (100,)),
    "logistic": lambda r, n, k: r.logistic(k, (100,)),
    "cauchy": lambda r, n, k: r.cauchy(k, (100,)),
    "gamma": lambda r, n, k: r.gamma(k, n.array([0.3, 1.0, 4.0]), (20, 3)),
    "loggamma": lambda r, n, k: r.loggamma(k, 0.1, (20,)),
    "dirichlet": lambda r, n, k: r.dirichlet(k, n.array([0.5, 1.0, 2.0]), (7,)),
    "t": lambda r, n, k: r.t(k, 3.0, (20,)),
    "multivariate_normal": lambda r, n, k: r.multivariate_normal(k, n.zeros(2), n.eye(2), (9,)),
    "orthogonal": lambda r, n, k: r.orthogonal(k, 3),
    "ball": lambda r, n, k: r.ball(k, 3, shape=(5,)),
}


def same(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert np.array_equal(ours, theirs), (ours, theirs)


def near(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=3e-5, atol=3e-6)


def keys(impl):
    """Three keys whose halves differ and whose counters are about to carry, of both libraries."""
    return random.wrap_key_data(WORDS, impl=impl), jax.random.wrap_key_data(jnp.asarray(WORDS), impl=impl)


def data(r, ks):
    return np.asarray(r.key_data(ks))


#: The two differ in how keys are made, and so in what makes keys.
KEYED = ("split", "split-shape", "split-once", "split-none", "split-twice", "fold_in", "bits", "randint", "permutation")
EACH = [(name, "rbg") for name in OF_A_KEY] + [(name, "unsafe_rbg") for name in KEYED]


@pytest.mark.parametrize(("name", "impl"), EACH)
def test_a_key_gives_the_same_bits_at_once_and_compiled(name, impl):
    f = OF_A_KEY[name]
    ours, theirs = keys(impl)
    expect = jax.jit(lambda k: f(jax.random, jnp, k))
    compiled = portax.jit(lambda k: f(random, pnp, k), effort="fast")
    for i in range(3):
        expected = expect(theirs[i])
        same(f(random, pnp, ours[i]), expected)
        same(compiled(ours[i]), expected)


#: The two differ in the keys that a distribution splits its own into.
PAIRED = [(name, "rbg") for name in CLOSE] + [(name, "unsafe_rbg") for name in ("normal", "gamma", "laplace", "ball")]


@pytest.mark.parametrize(("name", "impl"), PAIRED)
def test_a_key_gives_the_same_numbers_at_once_and_compiled(name, impl):
    f = CLOSE[name]
    ours, theirs = random.key(5, impl=impl), jax.random.key(5, impl=impl)
    expected = jax.jit(lambda k: f(jax.random, jnp, k))(theirs)
    near(f(random, pnp, ours), expected)
    near(portax.jit(lambda k: f(random, pnp, k), effort="fast")(ours), expected)


@pytest.mark.parametrize(("name", "impl"), [*EACH, ("normal", "unsafe_rbg"), ("gamma", "unsafe_rbg")])
def test_a_batch_of_keys_gives_the_same_under_vmap(name, impl):
    f = (OF_A_KEY | CLOSE)[name]
    ours, theirs = keys(impl)
    check = near if name in CLOSE else same
    expected = jax.jit(jax.vmap(lambda k: f(jax.random, jnp, k)))(theirs)
    mapped = portax.vmap(lambda k: f(random, pnp, k))
    check(mapped(ours), expected)
    check(portax.jit(mapped, effort="fast")(ours), expected)


@pytest.mark.parametrize("impl", IMPLS)
def test_a_batch_of_batches_gives_the_same_under_vmap(impl):
    ours, theirs = (r.split(r.key(3, impl=impl), (2, 3)) for r in (random, jax.random))
    for f in (
        lambda r, k: r.bits(k, (5,)),
        lambda r, k: r.key_data(r.split(k, 3)),
        lambda r, k: r.key_data(r.fold_in(k, 9)),
    ):
        same(
            portax.vmap(portax.vmap(lambda k, f=f: f(random, k)))(ours),
            jax.vmap(jax.vmap(lambda k, f=f: f(jax.random, k)))(theirs),
        )


@pytest.mark.parametrize("impl", IMPLS)
def test_a_batch_of_bits_is_the_stream_of_the_first_key(impl):
    ours, _ = keys(impl)
    many = portax.vmap(lambda k: random.bits(k, (4,)))(ours)
    same(many, random.bits(ours[0], (3, 4)))
    assert not np.array_equal(many[1], random.bits(ours[1], (4,)))


FOLDS = {
    "keys": lambda t, r, ks, n: t.vmap(lambda k: r.fold_in(k, 9))(ks),
    "words": lambda t, r, ks, n: t.vmap(lambda i: r.fold_in(ks[1], i))(n.arange(4)),
    "both": lambda t, r, ks, n: t.vmap(r.fold_in)(ks, n.arange(5, 8)),
    "grid": lambda t, r, ks, n: t.vmap(lambda k: t.vmap(lambda i: r.fold_in(k, i))(n.arange(4)))(ks),
    "grid-turned": lambda t, r, ks, n: t.vmap(lambda i: t.vmap(lambda k: r.fold_in(k, i))(ks))(n.arange(4)),
    "pairs": lambda t, r, ks, n: t.vmap(t.vmap(r.fold_in))(r.split(ks[0], (2, 3)), n.arange(6).reshape(2, 3)),
}


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("name", FOLDS)
def test_folding_in_is_the_same_under_vmap_over_keys_words_and_both(name, impl):
    ours, theirs = keys(impl)
    f = FOLDS[name]
    same(data(random, f(portax, random, ours, pnp)), data(jax.random, f(jax, jax.random, theirs, jnp)))


@pytest.mark.parametrize("impl", IMPLS)
def test_seeds_give_the_same_keys_one_by_one_and_under_vmap(impl):
    for seed in (0, 1, -1, 2**31 - 1, np.int64(-5), np.uint8(200)):
        expected = data(jax.random, jax.random.key(seed, impl=impl))
        same(data(random, random.key(seed, impl=impl)), expected)
        same(random.PRNGKey(seed, impl=impl), expected)
    same(
        data(random, portax.vmap(lambda i: random.key(i, impl=impl))(pnp.arange(3))),
        data(jax.random, jax.vmap(lambda i: jax.random.key(i, impl=impl))(jnp.arange(3))),
    )


@pytest.mark.parametrize("impl", IMPLS)
def test_seeds_and_bits_of_64_bits_are_the_same(impl):
    with jax.enable_x64(True), portax.enable_x64(True):
        for seed in (-7, 2**40 + 3, 2**63 - 1):
            ours, theirs = random.key(seed, impl=impl), jax.random.key(seed, impl=impl)
            same(data(random, ours), data(jax.random, theirs))
            for shape in ((5,), (), (2, 3)):
                expected = jax.random.bits(theirs, shape, "uint64")
                same(random.bits(ours, shape, "uint64"), expected)
                same(portax.jit(lambda k, s=shape: random.bits(k, s, "uint64"))(ours), expected)
            same(data(random, random.fold_in(ours, 2**31 + 3)), data(jax.random, jax.random.fold_in(theirs, 2**31 + 3)))
            near(random.normal(ours, (9,)), jax.random.normal(theirs, (9,)))


#: What moves keys about and computes nothing: ``n`` numpy, ``l`` lax, ``t`` the library, of three keys.
MOVES = {
    "index": lambda t, n, l, ks: ks[1],
    "index-negative": lambda t, n, l, ks: ks[-1],
    "slice": lambda t, n, l, ks: ks[::2],
    "gather": lambda t, n, l, ks: ks[n.array([2, 0, 0])],
    "take-outside": lambda t, n, l, ks: n.take(ks, n.array([1, 9])),
    "mask": lambda t, n, l, ks: n.where(n.array([True, False, True]), ks, ks[1]),
    "where-keys": lambda t, n, l, ks: n.where(n.array(True), ks[0], ks[1]),
    "reshape": lambda t, n, l, ks: ks.reshape(3, 1),
    "transpose": lambda t, n, l, ks: n.broadcast_to(ks, (2, 3)).T,
    "concatenate": lambda t, n, l, ks: n.concatenate([ks, ks[:1]]),
    "stack": lambda t, n, l, ks: n.stack([ks, ks[::-1]], axis=1),
    "expand": lambda t, n, l, ks: n.expand_dims(ks, 0),
    "roll": lambda t, n, l, ks: n.roll(ks, 1),
    "flip": lambda t, n, l, ks: n.flip(ks),
    "zeros_like": lambda t, n, l, ks: n.zeros_like(ks),
    "zeros": lambda t, n, l, ks: n.zeros((2, 3), ks.dtype),
    "empty_like": lambda t, n, l, ks: n.empty_like(ks),
    "lax-full_like": lambda t, n, l, ks: l.full_like(ks, ks[1]),
    "full_like": lambda t, n, l, ks: n.full_like(ks, ks[2]),
    "dynamic_slice": lambda t, n, l, ks: l.dynamic_slice(ks, (n.int32(1),), (2,)),
    "dynamic_update": lambda t, n, l, ks: l.dynamic_update_slice(ks, ks[:1], (n.int32(2),)),
    "dynamic_index": lambda t, n, l, ks: l.dynamic_index_in_dim(ks, 2, keepdims=False),
    "set": lambda t, n, l, ks: ks.at[1].set(ks[0]),
    "set-many": lambda t, n, l, ks: ks.at[n.array([2, 0])].set(ks[1]),
    "squeeze": lambda t, n, l, ks: n.squeeze(ks[None]),
    "scan": lambda t, n, l, ks: l.scan(lambda c, k: (k, c), ks[0], ks)[1],
    "cond": lambda t, n, l, ks: l.cond(n.array(False), lambda a, b: a, lambda a, b: b, ks[0], ks[1]),
    "switch": lambda t, n, l, ks: l.switch(n.int32(2), [lambda k: k[0], lambda k: k[1], lambda k: k[2]], ks),
    "while": lambda t, n, l, ks: l.fori_loop(0, 4, lambda i, c: n.roll(c, 1), ks),
    "map": lambda t, n, l, ks: l.map(lambda k: n.stack([k, k]), ks),
    "vmap": lambda t, n, l, ks: t.vmap(lambda k, i: n.where(i > 1, k, ks[0]))(ks, n.arange(3)),
    "vmap-index": lambda t, n, l, ks: t.vmap(lambda i: ks[i])(n.array([2, 2, 1])),
    "vmap-slice": lambda t, n, l, ks: t.vmap(lambda i: l.dynamic_slice(ks, (i,), (2,)))(n.array([1, 0])),
    "vmap-set": lambda t, n, l, ks: t.vmap(lambda i, k: ks.at[i].set(k))(n.arange(3), ks),
    "jit": lambda t, n, l, ks: t.jit(lambda k: k[::-1])(ks),
    "checkpoint": lambda t, n, l, ks: t.checkpoint(lambda k: k[1:])(ks),
}


@pytest.mark.parametrize(("name", "impl"), [(name, IMPLS[i % 2]) for i, name in enumerate(MOVES)])
def test_moving_keys_keeps_their_bits_at_once_and_compiled(name, impl):
    f = MOVES[name]
    ours, theirs = keys(impl)
    expected = data(jax.random, f(jax, jnp, jax.lax, theirs))
    moved = f(portax, pnp, lax, ours)
    assert str(moved.dtype) == str(theirs.dtype)
    same(data(random, moved), expected)
    for effort in ("fast", "interpret"):
        same(data(random, portax.jit(lambda k: f(portax, pnp, lax, k), effort=effort)(ours)), expected)


@pytest.mark.parametrize("impl", IMPLS)
def test_keys_are_equal_where_all_their_bits_are(impl):
    words = np.repeat(WORDS[:1], 5, 0)
    words[range(1, 5), range(4)] ^= np.uint32(0x80000000)
    ours = random.wrap_key_data(words, impl=impl)
    theirs = jax.random.wrap_key_data(jnp.asarray(words), impl=impl)
    for f in (lambda k: k == k[0], lambda k: k != k[0], lambda k: k[:, None] == k, lambda k: k[0] == k[1]):
        for g in (f, portax.jit(f)):
            same(g(ours), f(theirs))


@pytest.mark.parametrize("impl", IMPLS)
def test_raw_keys_are_of_the_default_generator(impl):
    with jax.default_prng_impl(impl), portax.default_prng_impl(impl):
        same(random.PRNGKey(3), jax.random.PRNGKey(3))
        for name in ("split", "split-shape", "fold_in", "bits", "randint", "permutation"):
            f = OF_A_KEY[name]
            same(f(random, pnp, random.PRNGKey(3)), f(jax.random, jnp, jax.random.PRNGKey(3)))
            same(f(random, pnp, random.key(3)), f(jax.random, jnp, jax.random.key(3)))
        assert random.key_impl(random.PRNGKey(0)) == str(jax.random.key_impl(jax.random.PRNGKey(0))) == impl
        same(
            portax.vmap(lambda k: random.normal(k, (3,)).shape[0] + random.bits(k))(random.split(random.PRNGKey(1), 4)),
            jax.vmap(lambda k: jax.random.normal(k, (3,)).shape[0] + jax.random.bits(k))(
                jax.random.split(jax.random.PRNGKey(1), 4)
            ),
        )


@pytest.mark.parametrize("impl", IMPLS)
def test_keys_name_their_generator_and_their_dtype(impl):
    ours, theirs = random.key(0, impl=impl), jax.random.key(0, impl=impl)
    assert random.key_impl(ours) == str(jax.random.key_impl(theirs)) == impl
    assert str(ours.dtype) == str(theirs.dtype)
    assert ours.dtype == random.key_dtype(impl) and ours.dtype.itemsize == theirs.dtype.itemsize
    assert pnp.issubdtype(ours.dtype, portax.dtypes.prng_key)
