"""What is particular about sort and top_k: NaN, the two zeros, equal elements, dtypes that NumPy orders otherwise."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from portax.primitives.sorting import sort, top_k
from portax.runtime.reference import host_value as host
from portax.transforms.jvp import jvp

nan, inf = np.nan, np.inf


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_nan_of_either_sign_comes_last_and_zeros_of_both_signs_keep_their_order(dtype):
    x = np.array([-nan, 0.0, 1, nan, -0.0, -inf, 0.0], np.float64).astype(dtype)
    places = np.arange(7, dtype=np.int32)
    out, order = sort(x, places, dimension=0, is_stable=True, num_keys=1)
    np.testing.assert_array_equal(order, [5, 1, 4, 6, 2, 0, 3])
    np.testing.assert_array_equal(np.signbit(host(out).astype(np.float32))[1:4], [False, True, False])


def test_later_keys_decide_between_equal_earlier_ones():
    first, second = np.array([1, 0, 1, 0], np.int32), np.array([2, nan, 1, 5], np.float32)
    carried = np.arange(4, dtype=np.int32)
    _, _, order = sort(first, second, carried, dimension=0, is_stable=True, num_keys=2)
    np.testing.assert_array_equal(order, [3, 1, 2, 0])


def test_tangents_go_where_their_elements_go():
    x, t = np.array([3, 1, 1, 2], np.float32), np.array([30, 10, 11, 20], np.float32)
    _, dots = jvp(lambda x: sort(x, dimension=0, is_stable=True, num_keys=1), [x], [t])
    np.testing.assert_array_equal(dots[0], [10, 11, 20, 30])
    _, dots = jvp(lambda x: top_k(x, k=3, axis=0), [x], [t])
    np.testing.assert_array_equal(dots[0], [30, 20, 10])
    assert dots[1] is None


def test_top_k_gives_the_first_of_equal_elements_and_nan_before_all():
    values, places = top_k(np.array([1, 2, nan, 2, 3], np.float32), k=4, axis=0)
    np.testing.assert_array_equal(values, [nan, 3, 2, 2])
    np.testing.assert_array_equal(places, [2, 4, 1, 3])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_top_k_orders_floats_by_their_bits(dtype):
    x = np.array([-0.0, 0.0, -nan, -1, -0.0, 0.0, nan, -inf], np.float64).astype(dtype)
    for way in (top_k, top_k.decompose):
        values, places = way(x, k=8, axis=0)
        np.testing.assert_array_equal(places, [6, 1, 5, 0, 4, 3, 7, 2])
        np.testing.assert_array_equal(np.signbit(host(values).astype(np.float32))[1:5], [False, False, True, True])


def test_top_k_of_unsigned_and_least_integers_does_not_negate_them():
    np.testing.assert_array_equal(top_k(np.array([0, 255, 7], np.uint8), k=2, axis=0)[0], [255, 7])
    np.testing.assert_array_equal(top_k(np.array([-128, 127], np.int8), k=2, axis=0)[0], [127, -128])
