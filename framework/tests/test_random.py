"""Random functions: what they refuse, and that a small sample compiles nothing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import portax as px
from portax import errors, lax, random, vmap
from portax.core import dtypes
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
        (lambda: random.key(0, impl="rbg"), errors.GapError, "'rbg' is not implemented"),
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
            errors.ArgumentError, "rng_bit_generator was given out_sharding",
        ),
        (lambda: random.normal(KEY, out_sharding=1), errors.ArgumentError, "was given out_sharding"),
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
