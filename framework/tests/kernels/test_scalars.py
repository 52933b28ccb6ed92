"""Arithmetic means on every device what the opset says, where C says nothing or something else."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import portax as px
import portax.lax as lax


def on(device, f, *xs):
    with px.enable_x64(True):
        return np.asarray(px.jit(f)(*[px.device_put(np.asarray(x), device) for x in xs]))


def test_integers_are_divided_without_a_trap(device):
    x = np.array([7, -7, 7, -(2**31), 5], np.int32)
    y = np.array([2, 2, 0, -1, -1], np.int32)
    assert on(device, lax.div, x, y).tolist() == [3, -3, -1, -(2**31), -5]
    assert on(device, lax.rem, x, y).tolist() == [1, -1, 7, 0, 0]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_integers_go_around(device, dtype):
    most = np.iinfo(dtype).max
    x = np.array([most, most, 3], dtype)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(on(device, lax.add, x, x), x + x)
        np.testing.assert_array_equal(on(device, lax.mul, x, x), x * x)
        np.testing.assert_array_equal(on(device, lax.sub, x * 0, x), x * 0 - x)


def test_shifts_beyond_the_width_leave_nothing(device):
    x, s = np.array([-5, -5, 9, 9], np.int32), np.array([32, 1, 33, -1], np.int32)
    assert on(device, lax.shift_left, x, s).tolist() == [0, -10, 0, 0]
    assert on(device, lax.shift_right_arithmetic, x, s).tolist() == [-1, -3, 0, 0]
    assert on(device, lax.shift_right_logical, x, s).tolist() == [0, 2**31 - 3, 0, 0]


def test_nan_wins_in_maxima_from_either_side(device):
    x, y = np.array([np.nan, 1, 2], np.float32), np.array([1, np.nan, 3], np.float32)
    np.testing.assert_array_equal(on(device, lax.max, x, y), [np.nan, np.nan, 3])
    np.testing.assert_array_equal(on(device, lax.min, x, y), [np.nan, np.nan, 2])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64])
def test_floats_become_the_nearest_integer_there_is(device, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, -0.5, 300.7, -3.9], np.float32)
    info = np.iinfo(dtype)
    wanted = [0, info.max, info.min, info.max, info.min, 0, min(300, info.max), max(-3, info.min)]
    assert on(device, lambda x: lax.convert_element_type(x, dtype), x).tolist() == wanted


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_every_number_of_16_bits_is_read_and_rounded_right(device, dtype):
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    got = on(device, lambda x: lax.convert_element_type(x, np.float32), x)
    np.testing.assert_array_equal(got, x.astype(np.float32))
    with np.errstate(all="ignore"):
        left, right = x[:-1].astype(np.float32), x[1:].astype(np.float32)
        between = left * np.float32(0.37) + right * np.float32(0.63)
    got = on(device, lambda x: lax.convert_element_type(x, dtype), between)
    np.testing.assert_array_equal(got.astype(np.float32), between.astype(dtype).astype(np.float32))


def test_sums_in_16_bits_round_after_each_operation(device):
    x = np.array([2048.0], np.float16)
    assert on(device, lambda x: (x + np.float16(1)) - x, x).tolist() == [0.0]


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_our_own_are_within_three_units(device, name, dtype):
    from mpmath import mp

    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-80, 80, 200), rng.uniform(-1, 1, 200), 10.0 ** rng.uniform(-30, 1, 100)])
    x = np.abs(x).astype(dtype) if name == "log" else x.astype(dtype)
    got = on(device, getattr(lax, name), x)
    with mp.workprec(160):
        for a, b in zip(x.tolist(), got, strict=True):
            exact = getattr(mp, name)(mp.mpf(a))
            assert abs(mp.mpf(float(b)) - exact) <= 3 * mp.mpf(float(np.spacing(abs(b)))), (a, b, exact)


def test_infinities_zeros_and_nan_come_out_as_they_should(device):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0], np.float32)
    np.testing.assert_array_equal(on(device, lax.exp, x[:5]), np.exp(x[:5]))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(on(device, lax.log, x), np.log(x))
    floored = on(device, lax.floor, np.array([-0.0, -0.5, 2.5, 1e30, np.nan], np.float32))
    assert np.signbit(floored[0]) and floored[1:4].tolist() == [-1.0, 2.0, np.float32(1e30)] and np.isnan(floored[4])


@pytest.mark.parametrize(("f", "by_numpy"), [(lax.max, np.maximum), (lax.min, np.minimum)])
def test_of_complex_numbers_one_with_a_nan_part_wins_and_of_two_the_first(device, f, by_numpy):
    parts = [0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]
    numbers = np.array([complex(a, b) for a in parts for b in parts], np.complex64)
    x, y = np.repeat(numbers, len(numbers)), np.tile(numbers, len(numbers))
    got, expected = on(device, f, x, y), by_numpy(x, y)
    np.testing.assert_array_equal(got.view(np.float32), expected.view(np.float32))


def test_the_negative_of_a_negative_constant_is_written_as_two_signs(device):
    for x in (np.float32(-1.5), np.complex64(-1.5 + 2j), np.float16(-3), np.int32(-7)):
        with px.default_device(device):
            assert np.asarray(px.jit(lambda x=x: -px.numpy.asarray(x))()) == -x
