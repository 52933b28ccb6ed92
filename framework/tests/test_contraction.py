"""What is particular about dot_general: the dtype it sums in, wrapping integers, names of precisions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.core.aval import Aval
from portax.core.primitive import Undefined
from portax.errors import ArgumentError, DtypeError
from portax.primitives.contraction import Precision, canonical_precision, dot_general
from portax.runtime.reference import host_value as host

MATRICES = (((1,), (0,)), ((), ()))


def dot(x, y, **params):
    defaults = {"dimension_numbers": MATRICES, "precision": None, "preferred_element_type": None}
    return dot_general(x, y, **defaults | params)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_sums_of_narrow_floats_are_kept_in_float32_and_rounded_once(dtype):
    ones = np.ones((1, 3000), dtype)
    assert host(dot(ones, ones.T))[0, 0] == np.float32(3000).astype(dtype)


@pytest.mark.parametrize(("dtype", "bits"), [("int8", 8), ("uint8", 8), ("int32", 32), (ml_dtypes.int4, 4)])
def test_integers_wrap(dtype, bits):
    rng = np.random.default_rng(0)
    high = 2 ** (bits - 1)
    x, y = rng.integers(0, high, (3, 40)), rng.integers(0, high, (40, 2))
    out = host(dot(x.astype(dtype), y.astype(dtype)))
    exact = x.astype(object) @ y.astype(object)
    assert [int(v) % 2**bits for v in out.reshape(-1)] == [int(v) % 2**bits for v in exact.reshape(-1)]


def test_products_of_bool_are_any_of_all():
    x = np.array([[True, False], [False, False]])
    np.testing.assert_array_equal(dot(x, np.array([[True], [True]])), [[True], [False]])


def test_operands_of_two_dtypes_meet_in_their_common_one():
    x, y = np.ones((2, 2), ml_dtypes.bfloat16), np.ones((2, 2), np.float32)
    assert host(dot(x, y)).dtype == np.float32


def test_operands_of_two_dtypes_give_one_of_them_even_where_a_third_would_hold_both():
    x, y = np.ones((2, 2), ml_dtypes.float8_e4m3fn), np.ones((2, 2), ml_dtypes.float8_e5m2)
    assert host(dot(x, y)).dtype == ml_dtypes.float8_e5m2  # the one of wider range
    assert host(dot(x.astype(np.int8), y.astype(np.uint8))).dtype == np.int8
    assert host(dot(x, y, preferred_element_type=np.dtype(np.float32))).dtype == np.float32


def test_a_preferred_dtype_that_cannot_hold_the_products_is_refused():
    x = np.ones((2, 2), np.float32)
    with pytest.raises(DtypeError, match="cannot sum products of float32"):
        dot(x, x, preferred_element_type=np.dtype(np.int32))


def test_cotangents_have_the_dtype_of_their_operand_when_the_sum_is_wider():
    y, ct = np.full((3, 2), 2, ml_dtypes.bfloat16), np.ones((4, 2), np.float32)
    operand = Undefined(Aval((4, 3), np.dtype(ml_dtypes.bfloat16)))
    params = {"dimension_numbers": MATRICES, "precision": None, "preferred_element_type": np.dtype(np.float32)}
    back, other = dot_general.transpose(ct, operand, y, **params)
    assert other is None
    assert host(back).dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(host(back).astype(np.float32), np.full((4, 3), 4))


@pytest.mark.parametrize(
    ("name", "precision"),
    [("default", Precision.DEFAULT), ("fastest", Precision.DEFAULT), ("bfloat16", Precision.DEFAULT),
     ("high", Precision.HIGH), ("tensorfloat32", Precision.HIGH), ("highest", Precision.HIGHEST),
     ("float32", Precision.HIGHEST), (Precision.HIGH, Precision.HIGH)],
)  # fmt: skip
def test_precisions_have_names(name, precision):
    assert canonical_precision(name) == (precision, precision)
    assert canonical_precision((name, "highest")) == (precision, Precision.HIGHEST)


def test_no_precision_is_none_and_a_wrong_one_is_refused():
    assert canonical_precision(None) is None
    with pytest.raises(ArgumentError, match="no precision 'sharp'"):
        canonical_precision("sharp")
    with pytest.raises(ArgumentError, match="each of two operands"):
        canonical_precision(("high",) * 3)


def test_the_precision_that_is_not_given_is_a_setting():
    x = pnp.ones((2, 2))
    with px.default_matmul_precision("high"):
        text = str(px.make_jaxpr(lambda x: x @ x)(x))
        own = str(px.make_jaxpr(lambda x: pnp.matmul(x, x, precision="highest"))(x))
    assert "HIGH" in text and "HIGHEST" not in text
    assert "HIGHEST" in own
    assert "HIGH" not in str(px.make_jaxpr(lambda x: x @ x)(x))
