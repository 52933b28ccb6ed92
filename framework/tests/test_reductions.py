"""What is particular about reductions and running reductions: derivatives at ties and zeros, and what is empty."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from portax.primitives.cumulative import cumlogsumexp, cumprod, cumsum
from portax.primitives.reductions import argmax, argmin, reduce_and, reduce_max, reduce_min, reduce_prod
from portax.runtime.reference import host_value as host
from portax.transforms.jvp import jvp

nan, inf = np.nan, np.inf
INT32 = np.dtype(np.int32)


def tangent(f, x, t):
    _, (dot,) = jvp(lambda x: [f(x)], [x], [t])
    return np.asarray(dot)


@pytest.mark.parametrize(
    ("reduce", "dtype", "value"),
    [
        (reduce_max, "float32", -inf), (reduce_min, "float32", inf), (reduce_max, "int8", -128),
        (reduce_min, "uint8", 255), (reduce_max, "bool", False), (reduce_min, "bool", True),
        (reduce_max, ml_dtypes.float8_e4m3fn, -448), (reduce_prod, "int32", 1), (reduce_and, "int16", -1),
    ],
)  # fmt: skip
def test_of_no_elements_a_reduction_gives_its_identity(reduce, dtype, value):
    out = host(reduce(np.zeros((0, 2), dtype), axes=(0,)))
    assert out.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(out.astype(np.float64), np.full(2, value, np.float64))


def test_equal_greatest_elements_share_the_tangent():
    x, t = np.array([3, 1, 3], np.float32), np.array([1, 10, 5], np.float32)
    assert tangent(lambda x: reduce_max(x, axes=(0,)), x, t) == 3


@pytest.mark.parametrize(("x", "dot"), [([2, 0, 5], 70), ([0, 0, 5], 0), ([2, 3, 5], 6 * 11 + 10 * 7 + 15 * 1)])
def test_the_tangent_of_a_product_is_exact_where_factors_are_zero(x, dot):
    x, t = np.array(x, np.float32), np.array([1, 7, 11], np.float32)
    assert tangent(lambda x: reduce_prod(x, axes=(0,)), x, t) == dot
    assert tangent(lambda x: cumprod(x, axis=0, reverse=False), x, t)[-1] == dot


@pytest.mark.parametrize("find", [argmax, argmin])
@pytest.mark.parametrize("dtype", ["float32", ml_dtypes.bfloat16, "complex64"])
def test_the_first_nan_is_found_before_all_numbers(find, dtype):
    x = np.array([1, inf, nan, -inf, nan]).astype(dtype)
    assert int(host(find(x, axes=(0,), index_dtype=INT32))) == 2


def test_complex_numbers_are_ordered_by_real_then_imaginary_part():
    x = np.array([1 + 2j, 1 + 3j, 0 + 9j], np.complex64)
    assert int(host(argmax(x, axes=(0,), index_dtype=INT32))) == 1
    assert host(reduce_max(x, axes=(0,))) == 1 + 3j
    assert host(reduce_min(x, axes=(0,))) == 9j


def test_a_running_sum_of_halves_does_not_stall():
    # Added up in float16 itself the sum would stop at 2048.
    x = np.ones(4096, np.float16)
    assert host(cumsum(x, axis=0, reverse=False))[-1] == 4096


@pytest.mark.parametrize("way", ["reference", "steps"])
def test_running_log_sum_exp_at_infinities_and_without_overflow(way):
    x = np.array([-inf, -inf, 1000, 1000, inf, inf, -inf], np.float32)
    f = cumlogsumexp if way == "reference" else cumlogsumexp.decompose
    out = host(f(x, axis=0, reverse=False))
    np.testing.assert_allclose(out, [-inf, -inf, 1000, 1000 + np.log(2), inf, inf, inf], rtol=1e-6)
    dot = tangent(lambda x: cumlogsumexp(x, axis=0, reverse=False), x[:4], np.ones(4, np.float32))
    np.testing.assert_allclose(dot[2:], [1, 1], rtol=1e-6)
