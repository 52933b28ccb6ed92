"""Random functions: what they refuse, and that a small sample compiles nothing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import portax as px
from portax import errors, lax, random, vmap
from portax.core import dtypes
from portax.primitives.random_bits import random_bits, random_fold_in, random_split, random_unwrap
from portax.random.normal import _normal, _normal_on_host
from portax.runtime.reference import run_reference
from portax.transforms.stage import stage_closed

KEY = random.key(0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: random.normal(0), errors.DtypeError, "normal needs a random key, got 0 of type int"),
        (lambda: random.normal(np.zeros(2, np.float32)), errors.DtypeError, "needs a random key, got float32[2]"),
        (lambda: random.normal(random.split(KEY)), errors.ShapeError, "takes one key, got an array of keys"),
        (lambda: random.normal(KEY, 3), errors.ShapeError, "normal needs a shape, a tuple of ints, got 3"),
        (lambda: random.normal(KEY, (-1,)), errors.ShapeError, "asked for shape (-1,)"),
        (lambda: random.normal(KEY, (2,), "int32"), errors.DtypeError, "gives a floating or complex dtype"),
        (lambda: random.bits(KEY, (2,), "int32"), errors.DtypeError, "gives an unsigned dtype"),
        (lambda: random.uniform(KEY, (2,), minval=np.zeros(3)), errors.ShapeError, "do not spread to"),
        (lambda: random.randint(KEY, (2,), 0, 5, "float32"), errors.DtypeError, "gives an integer dtype"),
        (lambda: random.key(1.5), errors.DtypeError, "seed must be an integer"),
        (lambda: random.key(2**64), errors.ArgumentError, "at most 64 bits"),
        (lambda: random.key(KEY), errors.DtypeError, "integer seed, got a random key"),
        (lambda: random.key(np.arange(3)), errors.ShapeError, "takes one seed, got an array of shape (3,)"),
        (lambda: random.key(0, impl="mine"), errors.ArgumentError, "no random generator 'mine'"),
        (
            lambda: random.bits(np.zeros(4, np.uint32)),
            errors.DtypeError, "a raw key of threefry2x32 is uint32[2]",
        ),
        (
            lambda: random.wrap_key_data(np.zeros(2, np.uint32), impl="rbg"),
            errors.DtypeError, "key is uint32[4], got uint32[2]",
        ),
        (lambda: random.fold_in(KEY, -1), errors.ArgumentError, "takes 32-bit data, got -1"),
        (lambda: random.bernoulli(KEY, 1), errors.DtypeError, "needs a floating probability p"),
        (lambda: random.bernoulli(KEY, 0.5, mode="mid"), errors.ArgumentError, "knows no mode 'mid'"),
        (lambda: random.choice(KEY, 3, (4,), replace=False), errors.ArgumentError, "cannot draw 4 of 3 elements"),
        (lambda: random.choice(KEY, 3, (2,), p=np.ones(2, "f")), errors.ShapeError, "for 3 elements"),
        (lambda: random.categorical(KEY, np.ones(3, "f"), axis=1), errors.AxisError, "has no axis 1"),
        (lambda: random.permutation(KEY, 1.5), errors.DtypeError, "permutation takes an int or an array"),
        (lambda: random.ball(KEY, 0), errors.ArgumentError, "asked for 0 dimensions"),
        (lambda: random.multinomial(KEY, 3, 0.5), errors.ShapeError, "needs p of at least one axis"),
        (lambda: random.multinomial(KEY, 3, np.ones(2, "f"), shape=(3, 1)), errors.ShapeError, "do not spread to"),
        (lambda: random.multinomial(KEY, 3, np.ones(1, "f"), shape=(3,)), errors.ShapeError, "p has 1 outcomes"),
        (
            lambda: lax.rng_bit_generator(np.zeros(4, np.uint32), (2,), out_sharding=1),
            errors.ArgumentError, "out_sharding has 1 in it",
        ),
        (lambda: random.normal(KEY, out_sharding=1), errors.ArgumentError, "out_sharding has 1 in it"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused_in_words(call, error, words):
    with pytest.raises(error) as refusal:
        call()
    assert words in str(refusal.value)


def test_raw_keys_give_what_typed_keys_give():
    raw = random.PRNGKey(7)
    assert raw.dtype == np.uint32
    assert random.split(raw).dtype == np.uint32
    np.testing.assert_array_equal(random.key_data(random.split(random.key(7))), random.split(raw))
    np.testing.assert_array_equal(random.normal(raw, (5,)), random.normal(random.key(7), (5,)))


def test_key_data_and_wrap_key_data_are_inverse():
    keys = random.split(KEY, (2, 3))
    data = random.key_data(keys)
    assert data.shape == (2, 3, 2)
    np.testing.assert_array_equal(random.key_data(random.wrap_key_data(data)), data)


def test_vmap_over_keys_gives_each_key_its_own_sample():
    keys = random.split(KEY, 4)
    many = vmap(lambda k: random.normal(k, (3,)))(keys)
    for i in range(4):
        np.testing.assert_array_equal(many[i], random.normal(keys[i], (3,)))


WIDE = np.arange(48, dtype=np.uint32).reshape(3, 4, 4) * np.uint32(0x9E3779B1)
#: What moves elements about, as functions of an array of them and one of them; ``xs`` has shape (3, 4).
MOVES = {
    "pad": lambda xs, x: lax.pad(xs, x, ((1, 0, 1), (0, 2, 0))),
    "pad-cut": lambda xs, x: lax.pad(xs, x, ((-1, 2, 0), (1, -2, 1))),
    "slice": lambda xs, x: lax.slice(xs, (1, 0), (3, 4), (1, 2)),
    "reverse": lambda xs, x: lax.rev(xs, (1,)),
    "transpose": lambda xs, x: xs.T,
    "reshape": lambda xs, x: xs.reshape(2, 6),
    "broadcast": lambda xs, x: px.numpy.broadcast_to(x, (2, 3)),
    "concatenate": lambda xs, x: px.numpy.concatenate([xs, xs[:1]], 0),
    "gather": lambda xs, x: xs[np.array([2, 0]), :, None][:, np.array([3, 1, 1])],
    "scatter": lambda xs, x: xs.at[np.array([2, 0]), 1:3].set(x),
    "dynamic-slice": lambda xs, x: px.jit(lambda i: lax.dynamic_slice(xs, (i, i), (2, 2)))(1),
    "dynamic-update": lambda xs, x: px.jit(lambda i: lax.dynamic_update_slice(xs, xs[:1, :2], (i, i)))(2),
    "select": lambda xs, x: px.numpy.where(np.eye(3, 4) > 0, xs, x),
    "select-of-three": lambda xs, x: lax.select_n(np.array([[0, 1, 2, 1]] * 3, np.int32), xs, xs[::-1], xs[:, ::-1]),
    "squeeze": lambda xs, x: xs[:, :1].squeeze(1),
    "scan": lambda xs, x: lax.scan(lambda c, row: (row[0], row.at[1].set(c)), x, xs)[1],
    "cond": lambda xs, x: lax.cond(True, lambda: xs, lambda: xs[::-1]),
    "while": lambda xs, x: lax.fori_loop(0, 3, lambda i, c: px.numpy.roll(c, 1), xs),
    "vmap-pad": lambda xs, x: vmap(lambda r, v: lax.pad(r, v, ((2, 1, 0),)))(xs, xs[:, 2]),
    "vmap-gather": lambda xs, x: vmap(lambda r, i: r[i])(xs, np.array([3, 0, 2])),
    "barrier": lambda xs, x: lax.optimization_barrier(xs),
}


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
@pytest.mark.parametrize("name", MOVES)
def test_keys_move_as_their_places_do(name, impl):
    words = WIDE[..., :2] if impl == "threefry2x32" else WIDE
    keys, places = random.wrap_key_data(words, impl=impl), px.numpy.arange(12).reshape(3, 4)
    f = MOVES[name]
    moved = np.asarray(f(places, places[1, 2]))
    expected = words.reshape(12, -1)[moved]
    for g in (f, px.jit(f), px.jit(f, effort="interpret")):
        assert np.array_equal(random.key_data(g(keys, keys[1, 2])), expected)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_each_of_an_array_of_keys_has_bits_and_keys_of_its_own_where_nothing_is_mapped(impl):
    keys = random.wrap_key_data(WIDE[0], impl=impl)
    words = np.arange(4, dtype=np.uint32)
    for f in (
        lambda k, i: random_bits(k, bit_width=32, shape=(5,)),
        lambda k, i: random_unwrap(random_split(k, shape=(2, 3))),
        lambda k, i: random_unwrap(random_fold_in(k, i)),
    ):
        for g in (f, px.jit(f)):
            many = g(keys, words)
            for i in range(4):
                assert np.array_equal(many[i], f(keys[i], words[i]))


def test_a_callback_and_a_print_get_keys_of_four_words():
    keys, seen = random.wrap_key_data(WIDE[0], impl="rbg"), []

    def look(ks):
        seen.append(np.asarray(random.key_data(ks)))
        return np.float32(1)

    def f(ks):
        return px.pure_callback(look, px.ShapeDtypeStruct((), np.float32), ks)

    f(keys), px.jit(f)(keys).block_until_ready()
    assert len(seen) == 2 and all(np.array_equal(s, WIDE[0]) for s in seen)
    assert str(WIDE[0, 0, 3]) in str(keys)


def test_large_constants_of_keys_of_four_words_reach_a_compiled_program():
    keys = random.split(random.key(1, impl="unsafe_rbg"), 70000)
    at = px.jit(lambda i: keys[i])
    assert np.array_equal(random.key_data(at(69999)), random.key_data(keys)[69999])


def test_a_small_sample_in_a_new_process_opens_no_compiler():
    sample = "import sys; from portax import random; random.normal(random.key(0), (3,))"
    program = f"{sample}; assert 'jaxlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("device", ["reference", "reference:0"])
def test_a_default_device_may_be_named(device):
    with px.default_device(device):
        drawn = px.random.normal(px.random.key(0), (3,))
    assert drawn.tolist() == px.random.normal(px.random.key(0), (3,)).tolist()
    assert drawn.device.platform == "reference"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_short_way_to_small_normal_samples_gives_the_bits_of_the_staged_program(dtype):
    dtype = dtypes.user_dtype(dtype, "normal")
    for shape in ((), (3,), (2000,), (20, 30), (0,)):
        key = random.key(len(shape))
        closed = stage_closed(lambda k, s=shape: [_normal.fun(k, shape=s, dtype=dtype)], (key.aval,), "normal")
        (walked,) = run_reference(closed, key.host())
        short = _normal_on_host(key.host(), shape=shape, dtype=dtype)
        assert (short.dtype, short.shape) == (walked.dtype, walked.shape)
        np.testing.assert_array_equal(short, walked)
