"""Constants and elementwise operations that the builder writes are those of NumPy, bit by bit."""

from __future__ import annotations

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from stablehlo_run import FLOATS, SEEN, close, normal, run, same

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.stablehlo import Builder, Module, type_of

# ------------------------------------------------------------------------------------------------------- constants
BYTES = {d: d.itemsize for d in dtypes.ALL}
ROUND_TRIP = [d for d in dtypes.ALL if d.name not in ("int1", "uint1")]


def bit_patterns(dtype, n):
    """``n`` elements whose bits are arbitrary but legal: every element for bytes and less."""
    if dtype.kind == "b":
        return np.resize([True, False, False], n)
    info = ml_dtypes.iinfo(dtype) if dtypes.issubdtype(dtype, np.integer) else None
    if info is not None:
        low, high = int(info.min), int(info.max)
        wide = np.int64 if low < 0 else np.uint64
        return np.concatenate([np.array([low, high, 0, 1], wide), SEEN.integers(low, high, n, wide, True)])[:n].astype(
            dtype
        )
    bits = dtype.itemsize * 8
    width = {"float4_e2m1fn": 4, "float6_e2m3fn": 6, "float6_e3m2fn": 6}.get(dtype.name, bits)
    raw = SEEN.integers(0, 256, (n, dtype.itemsize), dtype=np.uint8)
    if width <= 8:
        raw &= (1 << width) - 1
    return np.ascontiguousarray(raw).reshape(-1).view(dtype)


def special_values(dtype):
    """Numbers that are hard to spell."""
    if dtype.kind == "b" or dtypes.issubdtype(dtype, np.integer):
        return bit_patterns(dtype, 4)
    if dtype.kind == "c":
        part = {8: np.float32, 16: np.float64}[dtype.itemsize]
        values = special_values(np.dtype(part))
        return np.array([complex(a, b) for a, b in zip(values, values[::-1], strict=True)], dtype)
    info = ml_dtypes.finfo(dtype)
    with np.errstate(all="ignore"):
        values = [0.0, -0.0, 1.0, 0.1, np.inf, -np.inf, np.nan, -np.nan, 1e-5, 1e16, math.pi]
        return np.concatenate(
            [
                np.array(values).astype(dtype),
                np.array([info.max, info.min, info.tiny, info.smallest_subnormal, info.eps], dtype),
            ]
        )


def constant_back(x, dtype=None):
    """The bits that a program returns which does nothing but hold the constant."""
    return run(lambda b: b.constant(x, dtype))


@pytest.mark.parametrize("dtype", ROUND_TRIP, ids=str)
def test_an_array_constant_keeps_its_bits(dtype):
    x = bit_patterns(dtype, 24).reshape(2, 3, 4)
    same(constant_back(x), x)


@pytest.mark.parametrize("dtype", ROUND_TRIP, ids=str)
def test_scalars_and_splats_keep_their_bits(dtype):
    values = special_values(dtype)
    outs = run(lambda b: [c for v in values for c in (b.constant(v), b.constant(np.full((3, 2), v, dtype)))])
    for value, scalar, splat in zip(values, outs[::2], outs[1::2], strict=True):
        same(scalar, value)
        same(splat, np.full((3, 2), value, dtype))


@pytest.mark.parametrize("dtype", ROUND_TRIP, ids=str)
def test_special_values_keep_their_bits_inside_an_array(dtype):
    x = special_values(dtype)
    same(constant_back(x), x)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (1,), (1, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "complex64"])
def test_constants_without_elements_or_with_one(dtype, shape):
    x = np.ones(shape, dtype)
    same(constant_back(x), x)


@pytest.mark.parametrize("n", [2, 7, 8, 9, 16, 17, 100])
def test_boolean_arrays_of_any_length(n):
    x = SEEN.integers(0, 2, n).astype(bool)
    same(constant_back(x), x)


def test_nan_payloads_survive():
    x = np.array([0x7FC00001, 0xFFC12345, 0x7FC00000], np.uint32).view(np.float32)
    same(constant_back(x), x)
    same(constant_back(x[1]), x[1])


def test_strided_constants_are_written_in_order():
    x = np.arange(24, dtype=np.int32).reshape(4, 6)[::-2, 1::3].T
    same(constant_back(x), np.ascontiguousarray(x))


def test_python_numbers_take_the_dtype_asked_for():
    outs = run(
        lambda b: [
            b.full((2,), 1, np.float32),
            b.full((2,), True, np.int8),
            b.full((), -0.0, np.float32),
            b.full((), 0.0, np.float32),
            b.full((0, 2), 1, np.int32),
            b.full((), 2**64 - 1, np.uint64),
        ]
    )
    wanted = [
        np.ones(2, np.float32),
        np.ones(2, np.int8),
        np.float32(-0.0),
        np.float32(0.0),
        np.ones((0, 2), np.int32),
        np.uint64(2**64 - 1),
    ]
    for got, want in zip(outs, wanted, strict=True):
        same(got, want)


def test_a_number_that_does_not_fit_is_refused():
    b = Builder(Module())
    with pytest.raises(OverflowError):
        b.full((), -1, np.uint32)


def test_keys_are_stored_as_integers():
    key = dtypes.KeyDtype("threefry2x32")
    assert type_of(Aval((2,), key)) == "tensor<2xui64>"
    x = np.array([1, 2**63], np.uint64)

    def body(b):
        keys = b.concatenate([b.constant(x, key), b.full((1,), 7, key)], 0)
        assert keys.dtype is key
        return b.bitcast(keys, (3, 2), np.uint32), b.convert(keys, np.uint64)

    bits, words = run(body)
    same(words, np.array([1, 2**63, 7], np.uint64))
    same(bits, np.array([1, 2**63, 7], np.uint64).view(np.uint32).reshape(3, 2))


# ----------------------------------------------------------------------------------------------------- elementwise
UNARY = {
    "abs": np.abs,
    "cbrt": np.cbrt,
    "ceil": np.ceil,
    "cosine": np.cos,
    "exponential": np.exp,
    "exponential_minus_one": np.expm1,
    "floor": np.floor,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "negate": np.negative,
    "round_nearest_even": np.rint,
    "sign": np.sign,
    "sine": np.sin,
    "tan": np.tan,
    "tanh": np.tanh,
    "acos": lambda x: np.arccos(np.clip(x, -1, 1)),
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "cosh": np.cosh,
    "sinh": np.sinh,
    "square": np.square,
    "erf": np.vectorize(math.erf),
    "erfc": np.vectorize(math.erfc),
    "conj": np.conj,
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    x = np.clip(normal(3, 5), -0.9, 0.9) if name == "acos" else normal(3, 5)
    close(run(lambda b, x: b.unary(name, x), x), UNARY[name](x))


@pytest.mark.parametrize("name", ["log", "log_plus_one", "rsqrt", "sqrt", "lgamma", "digamma", "acosh", "bessel_i1e"])
def test_unary_on_positive_numbers(name):
    mpmath = pytest.importorskip("mpmath", reason="mpmath is not installed: pip install mpmath")
    truth = {
        "log": mpmath.log,
        "log_plus_one": mpmath.log1p,
        "rsqrt": lambda x: 1 / mpmath.sqrt(x),
        "sqrt": mpmath.sqrt,
        "lgamma": mpmath.loggamma,
        "digamma": mpmath.digamma,
        "acosh": mpmath.acosh,
        "bessel_i1e": lambda x: mpmath.besseli(1, x) * mpmath.exp(-x),
    }[name]
    x = np.linspace(1.1, 5, 7).astype(np.float32)
    close(run(lambda b, x: b.unary(name, x), x), [float(truth(float(v))) for v in x], rtol=3e-5)


def test_inverse_functions_of_the_chlo_dialect():
    x = np.linspace(-0.9, 0.9, 7).astype(np.float32)
    names = ["erf_inv", "asin", "atanh"]
    inverse, asin, atanh = run(lambda b, x: [b.unary(name, x) for name in names], x)
    close(np.vectorize(math.erf)(inverse), x)
    close(asin, np.arcsin(x))
    close(atanh, np.arctanh(x))


def test_functions_to_another_dtype():
    x = np.array([1.0, np.inf, -np.inf, np.nan], np.float32)
    names = ["is_finite", "is_inf", "is_pos_inf", "is_neg_inf"]
    outs = run(lambda b, x: [b.unary(name, x) for name in names], x)
    for out, want in zip(outs, [np.isfinite(x), np.isinf(x), np.isposinf(x), np.isneginf(x)], strict=True):
        same(out, want)
    z = np.array([3 + 4j, 1 - 2j], np.complex64)
    size, real, imag = run(lambda b, z: [b.unary("abs", z), b.real(z), b.imag(z)], z)
    close(size, np.abs(z))
    same(real, z.real.copy())
    same(imag, z.imag.copy())


def test_complex_numbers_are_made_of_parts():
    x = np.arange(3, dtype=np.float64)
    same(run(lambda b, x: b.complex(x, b.full((), -1, np.float64)), x), x - 1j)


def test_integer_functions():
    x = np.array([0, 1, 7, 2**31], np.uint32)
    ones, zeros, flipped = run(lambda b, x: [b.unary(n, x) for n in ("popcnt", "count_leading_zeros", "not")], x)
    same(ones, np.array([0, 1, 3, 1], np.uint32))
    same(zeros, np.array([32, 31, 29, 0], np.uint32))
    same(flipped, ~x)


BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "atan2": np.arctan2,
    "next_after": np.nextafter,
    "remainder": np.fmod,
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3), ()), ((), (2, 3)), ((), ())], ids=str)
def test_binary_broadcasts_scalars(name, shapes):
    x, y = normal(*shapes[0]), normal(*shapes[1])
    close(run(lambda b, x, y: b.binary(name, x, y), x, y), BINARY[name](x, y))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_binary_in_every_float(dtype):
    x, y = normal(4).astype(dtype), normal(4).astype(dtype)
    same(run(lambda b, x, y: b.binary("add", x, y), x, y), x + y)


def test_binary_on_integers_and_booleans():
    x, y = np.array([5, 7, 255], np.uint8), np.array([1, 3, 7], np.uint8)
    names = {
        "and": x & y,
        "or": x | y,
        "xor": x ^ y,
        "shift_left": x << y,
        "shift_right_logical": x >> y,
        "power": x**y,
    }
    for out, want in zip(run(lambda b, x, y: [b.binary(n, x, y) for n in names], x, y), names.values(), strict=True):
        same(out, want)
    p, q = np.array([True, True, False]), np.array([True, False, False])
    same(run(lambda b, p, q: b.binary("xor", p, q), p, q), p ^ q)


def test_zeta_and_polygamma():
    mpmath = pytest.importorskip("mpmath", reason="mpmath is not installed: pip install mpmath")
    x, q = np.float32([2, 3, 4]), np.float32([1, 2.5, 3])
    n = np.float32([1, 2, 3])
    zeta, poly = run(lambda b, x, q, n: [b.binary("zeta", x, q), b.chlo("polygamma", n, q)], x, q, n)
    close(zeta, [float(mpmath.zeta(float(a), float(c))) for a, c in zip(x, q, strict=True)], rtol=1e-4)
    close(poly, [float(mpmath.polygamma(int(a), float(c))) for a, c in zip(n, q, strict=True)], rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint8, np.uint64, np.float32, ml_dtypes.bfloat16], ids=str)
def test_compare(dtype):
    x = np.array([0, 1, 2, 250]).astype(dtype)
    y = np.array([0, 2, 1, 3]).astype(dtype)
    order = ["EQ", "NE", "LT", "LE", "GT", "GE"]
    wanted = [x == y, x != y, x < y, x <= y, x > y, x >= y]
    for out, want in zip(run(lambda b, x, y: [b.compare(x, y, d) for d in order], x, y), wanted, strict=True):
        same(out, want)


def test_compare_with_a_scalar_with_complex_and_in_total_order():
    x = np.float32([1, 2, 3])
    same(run(lambda b, x: b.compare(x, b.full((), 2, x.dtype), "LT"), x), x < 2)
    same(run(lambda b, x: b.compare(b.full((), 2, x.dtype), x, "LT"), x), 2 < x)
    z, w = np.complex64([1 + 1j, 2]), np.complex64([1 + 1j, 3])
    same(run(lambda b, z, w: b.compare(z, w, "EQ"), z, w), z == w)
    low, high = np.float32([-np.nan, -0.0, np.inf, np.nan]), np.float32([-np.inf, 0.0, np.nan, np.nan])
    low[0] = np.uint32(0xFFC00000).view(np.float32)
    same(run(lambda b, x, y: b.compare(x, y, "LT", total_order=True), low, high), np.array([True, True, True, False]))
    same(run(lambda b, x, y: b.compare(x, y, "LT", total_order=True), np.int32([1]), np.int32([2])), np.array([True]))


@pytest.mark.parametrize("shape", [(), (3,)], ids=str)
def test_select(shape):
    x, y = normal(3), normal(3)
    for which in (np.full(shape, True), np.full(shape, False), np.resize([True, False], shape)):
        same(run(lambda b, p, x, y: b.select(p, x, y), which, x, y), np.where(which, x, y))
    got = run(lambda b, p, x: b.select(p, x, b.full((), 0, x.dtype)), np.array([True, False, True]), x)
    same(got, np.where([True, False, True], x, np.float32(0)))
    got = run(lambda b, p: b.select(p, b.full((), 1, np.int32), b.full((), 2, np.int32)), np.array([True, False]))
    same(got, np.int32([1, 2]))


def test_clamp():
    x = normal(5)
    low, high = np.float32(-0.5), np.full(5, 0.25, np.float32)
    for lo, hi in itertools.product([low, np.full(5, low)], [high, high[0]]):
        same(run(lambda b, lo, x, hi: b.clamp(lo, x, hi), lo, x, hi), np.clip(x, low, high))


CONVERTED = [
    "bool",
    "int8",
    "uint8",
    "int32",
    "int64",
    "uint32",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
]


@pytest.mark.parametrize("target", CONVERTED)
@pytest.mark.parametrize("source", CONVERTED)
def test_convert(source, target):
    x = np.array([0, 1, 3, 100]).astype(source)
    if x.dtype.kind == "c":
        x = x + np.complex64(2j)
    want = (x.real if x.dtype.kind == "c" and np.dtype(target).kind != "c" else x).astype(target)
    same(run(lambda b, x: b.convert(x, target), x), want)


def test_convert_to_bool_is_true_for_anything_but_zero():
    x = np.float32([0.25, -0.0, np.nan, np.inf, -3])
    same(run(lambda b, x: b.convert(x, bool), x), x != 0)
    same(run(lambda b, x: b.convert(x, bool), np.int32([256, 0])), np.array([True, False]))


def test_convert_to_integers_saturates():
    x = np.float32([1e10, -1e10, np.nan, np.inf, -2.7])
    same(run(lambda b, x: b.convert(x, np.int32), x), np.int32([2**31 - 1, -(2**31), 0, 2**31 - 1, -2]))


def test_converting_to_the_same_dtype_writes_nothing():
    b = Builder(Module())
    x = b.full((2,), 1, np.float32)
    assert b.convert(x, np.float32) is x
    assert len(b.lines) == 1


def test_bitcast():
    x = normal(2, 3)
    same(run(lambda b, x: b.bitcast(x, (2, 3), np.int32), x), x.view(np.int32))
    same(run(lambda b, x: b.bitcast(x, (2, 3, 2), np.uint16), x), x.view(np.uint16).reshape(2, 3, 2))
    y = x.view(np.uint8).reshape(2, 3, 4)
    same(run(lambda b, y: b.bitcast(y, (2, 3), np.float32), y), x)


def test_reduce_precision():
    x = normal(6)
    same(run(lambda b, x: b.reduce_precision(x, 5, 10), x), x.astype(np.float16).astype(np.float32))
