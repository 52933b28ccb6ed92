"""What the StableHLO builder writes is compiled by XLA and compared with NumPy, op by op and bit by bit."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import time
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import ml_dtypes
import numpy as np
import pytest
from jaxlib import _jax
from jaxlib import xla_client as xc

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.stablehlo import TOKEN, Builder, Module, Value, type_of
from portax.errors import DtypeError

CLIENT = xc.make_cpu_client(num_devices=1)
DEVICE = CLIENT.devices()[0]
DEVICES = xc.DeviceList((DEVICE,))
NO_CHECKS = [True] if xc._version < 480 else []

FLOATS = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
SEEN = np.random.default_rng(0)


def sharding():
    return xc.GSPMDSharding(DEVICES, xc.HloSharding.replicate())


def put(x):
    spelled = SimpleNamespace(shape=x.shape, dtype=x.dtype, weak_type=False)
    copies = xc.HostBufferSemantics.IMMUTABLE_ONLY_DURING_CALL
    return _jax.batched_device_put(spelled, sharding(), [np.ascontiguousarray(x)], [DEVICE], True, True, copies, True)


def get(array):
    return np.asarray(memoryview(array.block_until_ready())).copy()


def carried(b, value):
    """The value in a dtype that NumPy can take from a device, which not every jaxlib can hand out otherwise."""
    dtype = value.dtype
    if dtypes.is_key(dtype) or dtype.isbuiltin == 1:
        return value
    if dtype in dtypes.NARROW_SIGNED or dtype in dtypes.NARROW_UNSIGNED:
        return b.convert(value, np.int8 if dtype in dtypes.NARROW_SIGNED else np.uint8)
    if dtypes.bits(dtype) == 6:
        return b.convert(value, np.float32)
    if dtypes.bits(dtype) == 4:
        return b.convert(b.bitcast(value, value.shape, ml_dtypes.uint4), np.uint8)
    return b.bitcast(value, value.shape, {1: np.uint8, 2: np.uint16}[dtype.itemsize])


def uncarried(array, dtype):
    if dtype in dtypes.NARROW_SIGNED or dtype in dtypes.NARROW_UNSIGNED or dtypes.bits(dtype) == 6:
        return array.astype(dtype)
    return array.view(dtype) if array.dtype != dtype else array


def compiled(text):
    try:
        return CLIENT.compile_and_load(text.encode(), DEVICES, xc.CompileOptions())
    except Exception as error:
        raise AssertionError(f"{error}\n{text}") from None


def run_text(text, operands, avals):
    handlers = [
        _jax.array_result_handler(
            SimpleNamespace(shape=a.shape, dtype=a.dtype, weak_type=False), sharding(), True, *NO_CHECKS
        )
        for a in avals
    ]
    outs = compiled(text).execute_sharded([put(x) for x in operands]).consume_with_handlers(handlers)
    return [get(out) for out in outs]


def run(body, *operands):
    """Compile ``body(b, *values)``, run it on ndarrays, and give the results in the dtypes that were promised."""
    operands = [np.asarray(x) for x in operands]
    raw = [x.view(np.uint16) if x.dtype == ml_dtypes.bfloat16 else x for x in operands]
    promised, written = [], []

    def whole(b, *values):
        values = [
            b.bitcast(v, x.shape, x.dtype) if v.dtype != x.dtype else v for v, x in zip(values, operands, strict=True)
        ]
        out = body(b, *values)
        promised.extend([out] if isinstance(out, Value) else out)
        written.extend([carried(b, v) for v in promised])
        return written

    text = Module("test").main([Aval(x.shape, x.dtype) for x in raw], whole)
    arrays = run_text(text, raw, [v.aval for v in written])
    outs = [uncarried(array, getattr(v.dtype, "storage", v.dtype)) for array, v in zip(arrays, promised, strict=True)]
    assert [out.shape for out in outs] == [v.shape for v in promised]
    return outs[0] if len(outs) == 1 else outs


def same(got, want):
    want = np.asarray(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes(), (got, want)


def close(got, want, rtol=1e-5, atol=1e-6):
    want = np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.astype(np.result_type(want.dtype)), want, rtol=rtol, atol=atol)


def normal(*shape, dtype=np.float32):
    return SEEN.standard_normal(shape).astype(dtype)


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
    mpmath = pytest.importorskip("mpmath")
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
    mpmath = pytest.importorskip("mpmath")
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


# ----------------------------------------------------------------------------------------------------------- shape
def test_broadcast_in_dim():
    x = normal(3, 1)
    same(
        run(lambda b, x: b.broadcast_in_dim(x, (3, 2, 4), (0, 2)), x),
        np.ascontiguousarray(np.broadcast_to(x[:, None], (3, 2, 4))),
    )
    same(run(lambda b, x: b.broadcast_in_dim(x, [3, 1], [0, 1]), x), x)
    same(run(lambda b, x: b.broadcast_in_dim(x, (1, 3, 1), (1, 2)), x), x[None])


def test_reshape_transpose_reverse():
    x = normal(2, 3, 4)
    same(run(lambda b, x: b.reshape(x, [4, 6]), x), x.reshape(4, 6))
    same(run(lambda b, x: b.transpose(x, (2, 0, 1)), x), np.ascontiguousarray(x.transpose(2, 0, 1)))
    same(run(lambda b, x: b.reverse(x, (0, 2)), x), np.ascontiguousarray(x[::-1, :, ::-1]))
    same(run(lambda b, x: b.reverse(x, ()), x), x)


@pytest.mark.parametrize(
    ("starts", "limits", "strides"), [((0, 0), (5, 6), None), ((1, 2), (4, 6), (2, 3)), ((2, 3), (2, 3), None)]
)
def test_slice(starts, limits, strides):
    x = normal(5, 6)
    want = x[tuple(slice(*s) for s in zip(starts, limits, strides or (1, 1), strict=True))]
    same(run(lambda b, x: b.slice(x, starts, limits, strides), x), np.ascontiguousarray(want))


def padded(x, value, config):
    for axis, (low, high, interior) in enumerate(config):
        n = x.shape[axis]
        spread = np.full([*x.shape[:axis], max(0, n + max(n - 1, 0) * interior), *x.shape[axis + 1 :]], value, x.dtype)
        spread[(slice(None),) * axis + (slice(None, None, interior + 1),)] = x
        widths = [(0, 0)] * x.ndim
        widths[axis] = max(low, 0), max(high, 0)
        spread = np.pad(spread, widths, constant_values=value)
        x = spread[(slice(None),) * axis + (slice(max(-low, 0), max(spread.shape[axis] - max(-high, 0), 0)),)]
    return np.ascontiguousarray(x)


@pytest.mark.parametrize(
    "config",
    [
        ((1, 2, 0), (0, 0, 0)),
        ((-1, 0, 0), (1, -2, 0)),
        ((0, 0, 2), (1, 1, 1)),
        ((-1, 1, 1), (2, -1, 3)),
        ((-2, -3, 0), (0, 0, 0)),
    ],
    ids=str,
)
def test_pad(config):
    x = normal(3, 4)
    same(run(lambda b, x: b.pad(x, 7.0, config), x), padded(x, 7.0, config))


def test_pad_with_a_value_and_of_nothing():
    x = np.zeros((0,), np.int32)
    same(run(lambda b, x, v: b.pad(x, v, [(1, 2, 3)]), x, np.int32(9)), np.int32([9, 9, 9]))


def test_concatenate_iota():
    x, y = normal(2, 3), normal(2, 1)
    same(run(lambda b, x, y: b.concatenate([x, y, x], 1), x, y), np.concatenate([x, y, x], 1))
    same(run(lambda b, x: b.concatenate([x], 0), x), x)
    for dtype in (np.int32, np.uint8, np.float32, ml_dtypes.bfloat16, np.complex64):
        same(
            run(lambda b, dtype=dtype: b.iota((2, 3), 1, dtype)),
            np.ascontiguousarray(np.broadcast_to(np.arange(3).astype(dtype), (2, 3))),
        )


def test_dynamic_slices_are_moved_inside():
    x, u = normal(5, 6), normal(2, 3)
    for i, j in [(1, 2), (4, 5), (-3, 0)]:
        at = (min(max(i, 0), 3), min(max(j, 0), 3))
        place = tuple(slice(k, k + n) for k, n in zip(at, (2, 3), strict=True))
        same(run(lambda b, x, i, j: b.dynamic_slice(x, [i, j], (2, 3)), x, np.int32(i), np.int32(j)), x[place].copy())
        want = x.copy()
        want[place] = u
        got = run(lambda b, x, u, i, j: b.dynamic_update_slice(x, u, [i, j]), x, u, np.int32(i), np.int32(j))
        same(got, want)
    same(run(lambda b, x: b.dynamic_slice(x, [], ()), np.float32(3)), np.float32(3))


def gather_numbers(**fields):
    return SimpleNamespace(**{"operand_batching_dims": (), "start_indices_batching_dims": (), **fields})


def test_gather():
    x, i = normal(5, 4), np.int32([[0], [4], [2], [9]])
    rows = gather_numbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    same(run(lambda b, x, i: b.gather(x, i, rows, (1, 4)), x, i), x[[0, 4, 2, 4]])
    columns = gather_numbers(offset_dims=(0,), collapsed_slice_dims=(1,), start_index_map=(1,))
    got = run(lambda b, x, i: b.gather(x, i, columns, (5, 1), index_vector_dim=1, indices_are_sorted=False), x, i)
    same(got, np.ascontiguousarray(x[:, [0, 3, 2, 3]]))
    flat = run(lambda b, x, i: b.gather(x, i, columns, (5, 1), index_vector_dim=1), x, np.int32([1, 3]))
    same(flat, np.ascontiguousarray(x[:, [1, 3]]))


def test_gather_with_batching():
    x, i = normal(3, 5), np.int32([[[1], [0]], [[4], [2]], [[3], [3]]])
    numbers = gather_numbers(
        offset_dims=(),
        collapsed_slice_dims=(1,),
        start_index_map=(1,),
        operand_batching_dims=(0,),
        start_indices_batching_dims=(0,),
    )
    same(run(lambda b, x, i: b.gather(x, i, numbers, (1, 1)), x, i), np.take_along_axis(x, i[..., 0], 1))


def test_optimization_barrier():
    x, y = normal(2), normal(3)
    for out, want in zip(run(lambda b, x, y: b.optimization_barrier(x, y), x, y), (x, y), strict=True):
        same(out, want)
    same(run(lambda b, x: b.optimization_barrier(x), x), x)


# ------------------------------------------------------------------------------------------ programs as parameters
@pytest.mark.parametrize("axes", [(), (0,), (1, 2), (0, 1, 2)], ids=str)
def test_reduce_by_name_and_by_body(axes):
    x = normal(2, 3, 4)
    close(run(lambda b, x: b.reduce(x, 0, axes, "add"), x), x.sum(axes))
    close(run(lambda b, x: b.reduce(x, 1, axes, lambda b, p, q: b.binary("multiply", p, q)), x), x.prod(axes))
    same(run(lambda b, x: b.reduce(x, -np.inf, axes, "maximum"), x), x.max(axes))


def test_reduce_of_several_arrays():
    x = normal(3, 5)

    def argmax(b, best, where, x, i):
        better = b.binary(
            "or", b.compare(x, best, "GT"), b.binary("and", b.compare(x, best, "EQ"), b.compare(i, where, "LT"))
        )
        return b.select(better, x, best), b.select(better, i, where)

    def body(b, x):
        i = b.iota(x.shape, 1, np.int32)
        return b.reduce((x, i), (-np.inf, 2**31 - 1), (1,), argmax)

    best, where = run(body, x)
    same(best, x.max(1))
    same(where, x.argmax(1).astype(np.int32))


def test_a_body_may_use_constants_that_the_function_has_too():
    x = np.float32([1, 2, 3])

    def body(b, x):
        two = b.full((), 2, x.dtype)
        doubled = b.binary("multiply", x, two)
        return b.reduce(
            doubled, 0, (0,), lambda b, p, q: b.binary("add", p, b.binary("multiply", q, b.full((), 2, q.dtype)))
        )

    # XLA may fold in any order, so the sum is only bounded.
    assert run(body, x) >= 12


def test_reduce_of_nothing_gives_the_init():
    same(run(lambda b, x: b.reduce(x, 5, (0,), "add"), np.zeros((0, 2), np.int32)), np.int32([5, 5]))


def test_reduce_of_booleans():
    x = np.array([[True, False], [False, False]])
    same(run(lambda b, x: b.reduce(x, False, (1,), "or"), x), x.any(1))
    same(run(lambda b, x: b.reduce(x, True, (1,), "and"), x), x.all(1))


def test_reduce_window():
    x = normal(3, 8)
    same(
        run(lambda b, x: b.reduce_window(x, "add", 0, {1: 8}, padding={1: (7, 0)}), np.arange(16).reshape(2, 8)),
        np.cumsum(np.arange(16).reshape(2, 8), 1),
    )
    got = run(lambda b, x: b.reduce_window(x, "maximum", -np.inf, window=(2, 3), strides=(1, 2)), x)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3))[:, ::2]
    same(got, np.ascontiguousarray(windows.max((2, 3))))
    got = run(
        lambda b, x: b.reduce_window(
            x, lambda b, p, q: b.binary("minimum", p, q), np.inf, {1: 3}, window_dilation={1: 2}
        ),
        x,
    )
    same(got, np.minimum(np.minimum(x[:, :4], x[:, 2:6]), x[:, 4:]))
    got = run(lambda b, x: b.reduce_window(x, "add", 0, {1: 2}, base_dilation={1: 2}), np.arange(4)[None])
    same(got, np.array([[0, 1, 1, 2, 2, 3]]))
    both = run(
        lambda b, x: b.reduce_window(
            (x, x), lambda b, p, q, x, y: (b.binary("add", p, x), b.binary("maximum", q, y)), (0, -9), (2,)
        ),
        np.int32([1, 5, 2]),
    )
    same(both[0], np.int32([6, 7]))
    same(both[1], np.int32([5, 5]))


def test_select_and_scatter():
    x, source = np.float32([1, 5, 2, 7, 3, 4]), np.float32([10, 20, 30])
    got = run(lambda b, x, s: b.select_and_scatter(x, s, 0, "GE", "add", (2,), (2,)), x, source)
    same(got, np.float32([0, 10, 0, 20, 0, 30]))


def scatter_numbers(**fields):
    return SimpleNamespace(**{"operand_batching_dims": (), "scatter_indices_batching_dims": (), **fields})


ROWS = scatter_numbers(update_window_dims=(1,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))


def test_scatter():
    x, i, u = normal(4, 3), np.int32([[2], [0], [2], [9]]), normal(4, 3)
    want = x.copy()
    np.add.at(want, [2, 0, 2], u[:3])
    close(run(lambda b, x, i, u: b.scatter(x, i, u, ROWS, "add"), x, i, u), want)
    close(run(lambda b, x, i, u: b.scatter(x, i, u, ROWS, lambda b, p, q: b.binary("add", p, q)), x, i, u), want)
    want = x.copy()
    want[[3, 1]] = u[:2]
    got = run(lambda b, x, i, u: b.scatter(x, i, u, ROWS, unique_indices=True), x, np.int32([[3], [1]]), u[:2])
    same(got, want)


def test_scatter_of_several_arrays():
    x, y, u = np.int32([1, 2, 3]), np.float32([1, 2, 3]), np.int32([7])
    numbers = scatter_numbers(update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))

    def body(b, x, y, u):
        i = b.full((1, 1), 1, np.int32)
        return b.scatter(
            (x, y), i, (u, b.convert(u, np.float32)), numbers, lambda b, p, q, u, v: (b.binary("add", p, u), v)
        )

    ints, floats = run(body, x, y, u)
    same(ints, np.int32([1, 9, 3]))
    same(floats, np.float32([1, 7, 3]))


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.bool_, np.float32, ml_dtypes.bfloat16, np.complex64], ids=str)
def test_sort_ascends(dtype):
    x = normal(3, 7)
    x = (x + 1j * normal(3, 7)).astype(dtype) if dtype is np.complex64 else np.abs(x * 10).astype(dtype)
    same(run(lambda b, x: b.sort(x, 1), x), np.sort(x, 1))


def test_sort_puts_nan_last_and_does_not_tell_zeros_apart():
    x = np.float32([np.nan, 0.0, -0.0, 1, -np.inf, -np.nan, 0.0])
    values, order = run(lambda b, x: b.sort((x, b.iota(x.shape, 0, np.int32)), 0, stable=True), x)
    same(order, np.int32([4, 1, 2, 6, 3, 0, 5]))
    same(values, x[order])


def test_sort_by_two_keys_and_by_a_comparator():
    x, y = np.int32([2, 1, 2, 1]), np.float32([1, 3, 0, 2])
    first, second, order = run(lambda b, x, y: b.sort((x, y, b.iota((4,), 0, np.int32)), 0, keys=2), x, y)
    same(order, np.int32([3, 1, 2, 0]))
    same(first, x[order])
    same(second, y[order])
    same(run(lambda b, x: b.sort(x, 0, comparator=lambda b, p, q: b.compare(p, q, "GT")), y), np.float32([3, 2, 1, 0]))
    z = np.complex64([1 + 2j, 1 + 1j, 0 + 5j])
    same(run(lambda b, z: b.sort(z, 0), z), np.sort(z))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, ml_dtypes.bfloat16, np.uint8], ids=str)
def test_top_k(dtype):
    x = np.abs(normal(3, 9) * 20).astype(dtype)
    values, where = run(lambda b, x: b.top_k(x, 4), x)
    order = np.argsort(-x.astype(np.float64), 1, kind="stable")[:, :4]
    same(where, order.astype(np.int32))
    same(values, np.take_along_axis(x, order, 1))


def test_while_loop_uses_values_around_it():
    def body(b, n, x):
        def cond(b, i, y):
            return b.compare(i, n, "LT")

        def step(b, i, y):
            return b.binary("add", i, b.full((), 1, np.int32)), b.binary("multiply", y, x)

        return b.while_loop((b.full((), 0, np.int32), b.full(x.shape, 1, np.float32)), cond, step)

    i, y = run(body, np.int32(5), np.float32([2, 3]))
    same(i, np.int32(5))
    same(y, np.float32([32, 243]))


def test_loops_nest():
    def body(b, n):
        zero, one = b.full((), 0, np.int32), b.full((), 1, np.int32)

        def outer(b, i, total):
            def inner(b, j, total):
                return b.binary("add", j, one), b.binary("add", total, b.binary("multiply", i, j))

            _, total = b.while_loop((zero, total), lambda b, j, total: b.compare(j, n, "LT"), inner)
            return b.binary("add", i, one), total

        return b.while_loop((zero, zero), lambda b, i, total: b.compare(i, n, "LT"), outer)[1]

    same(run(body, np.int32(4)), np.int32(36))


@pytest.mark.parametrize(("index", "want"), [(0, 12), (1, 7), (2, 3), (-1, 3), (9, 3)])
def test_case(index, want):
    branches = [
        lambda b, x, y: (b.binary("multiply", x, y), x),
        lambda b, x, y: (b.binary("add", x, y), x),
        lambda b, x, y: (x, y),
    ]
    out, _ = run(lambda b, i, x, y: b.case(i, branches, (x, y)), np.int32(index), np.float32(3), np.float32(4))
    same(out, np.float32(want))


@pytest.mark.parametrize("which", [True, False])
def test_if(which):
    def body(b, p, x):
        return b.if_(p, lambda b: b.binary("add", x, x), lambda b: x)

    same(run(body, np.bool_(which), np.float32([1, 2])), np.float32([2, 4] if which else [1, 2]))


def test_map_scalars():
    x, y = normal(2, 3), normal(2, 3)
    same(run(lambda b, x, y: b.map_scalars((x, y), lambda b, p, q: b.compare(p, q, "LT")), x, y), x < y)


# -------------------------------------------------------------------------------------------------- linear algebra
@pytest.mark.parametrize("precision", [None, "HIGHEST", ("default", "highest"), SimpleNamespace(name="HIGH")], ids=str)
def test_dot_general(precision):
    x, y = normal(5, 2, 3), normal(5, 3, 4)
    got = run(lambda b, x, y: b.dot_general(x, y, (((2,), (1,)), ((0,), (0,))), precision), x, y)
    close(got, x @ y)


def test_dot_general_of_any_axes():
    x, y = normal(2, 3, 4), normal(4, 3, 5)
    close(run(lambda b, x, y: b.dot_general(x, y, (((1, 2), (1, 0)), ((), ()))), x, y), np.einsum("abc,cbd->ad", x, y))
    close(run(lambda b, x, y: b.dot_general(x, y, [[[2], [0]], [[1], [1]]]), x, y), np.einsum("abc,cbd->bad", x, y))
    v = normal(4)
    close(run(lambda b, x, y: b.dot_general(x, y, (((0,), (0,)), ((), ()))), v, v), v @ v)


def test_dot_general_with_another_dtype_for_the_result():
    x = SEEN.integers(-128, 127, (4, 8)).astype(np.int8)
    got = run(lambda b, x: b.dot_general(x, x, (((1,), (1,)), ((), ())), preferred=np.int32), x)
    same(got, x.astype(np.int32) @ x.astype(np.int32).T)
    h = normal(4, 8).astype(ml_dtypes.bfloat16)
    got = run(lambda b, x: b.dot_general(x, x, (((1,), (1,)), ((), ())), preferred=np.float32), h)
    close(got, h.astype(np.float32) @ h.astype(np.float32).T)


def test_convolution():
    x, k = normal(2, 3, 8), normal(4, 3, 3)
    numbers = ((0, 1, 2), (0, 1, 2), (0, 1, 2))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), (1, 1)]), 3, axis=2)
    want = np.einsum("bnwk,onk->bow", windows, k)
    close(run(lambda b, x, k: b.convolution(x, k, numbers, padding=[(1, 1)]), x, k), want)
    close(run(lambda b, x, k: b.convolution(x, k, numbers, padding=[(1, 1)], strides=(3,)), x, k), want[:, :, ::3])
    got = run(lambda b, x, k: b.convolution(x, k, numbers, padding=[(1, 1)], reverse=[True]), x, k)
    close(got, np.einsum("bnwk,onk->bow", windows, k[..., ::-1]))
    got = run(lambda b, x, k: b.convolution(x, k, numbers, kernel_dilation=(2,)), x, k)
    spread = np.lib.stride_tricks.sliding_window_view(x, 5, axis=2)[..., ::2]
    close(got, np.einsum("bnwk,onk->bow", spread, k))
    got = run(lambda b, x, k: b.convolution(x, k, numbers, x_dilation=(2,)), x, k)
    wide = padded(x, 0, ((0, 0, 0), (0, 0, 0), (0, 0, 1)))
    close(got, np.einsum("bnwk,onk->bow", np.lib.stride_tricks.sliding_window_view(wide, 3, axis=2), k))


def test_convolution_in_another_layout_and_in_groups():
    x, k = normal(2, 6, 5, 4), normal(3, 2, 2, 6)
    numbers = ((0, 3, 1, 2), (3, 2, 0, 1), (3, 0, 1, 2))  # the result is (feature, height, width, batch)
    got = run(lambda b, x, k: b.convolution(x, k, numbers, feature_groups=2), x, k)
    want = np.empty((6, 4, 4, 2), np.float32)
    for i, j in np.ndindex(4, 4):
        patch = x[:, i : i + 3, j : j + 2]
        for g in range(2):
            out = np.einsum("bijc,ijco->ob", patch[..., 2 * g : 2 * g + 2], k[..., 3 * g : 3 * g + 3])
            want[3 * g : 3 * g + 3, i, j] = out
    close(got, want)


@pytest.mark.parametrize("kind", ["FFT", "IFFT", "RFFT", "IRFFT"])
def test_fft(kind):
    real = normal(3, 4, 6)
    x = real if kind == "RFFT" else (real + 1j * normal(3, 4, 6)).astype(np.complex64)
    lengths = (4, 10) if kind == "IRFFT" else (4, 6)
    if kind == "IRFFT":
        x = np.fft.rfftn(normal(3, 4, 10), axes=(1, 2)).astype(np.complex64)
    close(
        run(lambda b, x: b.fft(x, kind, lengths), x),
        getattr(np.fft, f"{kind.lower()}n")(x, lengths, (1, 2)),
        rtol=1e-4,
        atol=1e-4,
    )


def test_cholesky_and_triangular_solve():
    a = normal(2, 4, 4)
    a = a @ a.transpose(0, 2, 1) + 4 * np.eye(4, dtype=np.float32)
    y = normal(2, 4, 3)
    factor = run(lambda b, a: b.cholesky(a), a)
    want = np.linalg.cholesky(a)
    close(np.tril(factor), want, rtol=1e-4)
    upper = run(lambda b, a: b.cholesky(a, lower=False), a)
    close(np.triu(upper), want.transpose(0, 2, 1), rtol=1e-4)
    close(want @ run(lambda b, a, y: b.triangular_solve(a, y), want, y), y, rtol=1e-4, atol=1e-4)
    got = run(lambda b, a, y: b.triangular_solve(a, y, transpose="T"), want, y)
    close(want.transpose(0, 2, 1) @ got, y, rtol=1e-4, atol=1e-4)
    right = np.ascontiguousarray(y.transpose(0, 2, 1))
    got = run(lambda b, a, y: b.triangular_solve(a, y, left_side=False, unit_diagonal=True), want, right)
    unit = np.tril(want, -1) + np.eye(4, dtype=np.float32)
    close(got @ unit, right, rtol=1e-4, atol=1e-4)


def test_rng_bit_generator():
    state = np.array([1, 2], np.uint64)
    after, bits = run(lambda b, s: b.rng_bit_generator(s, (1000,), np.uint32, "THREE_FRY"), state)
    assert after.shape == (2,)
    assert (after != state).any()
    assert len(set(bits.tolist())) > 990


# ----------------------------------------------------------------------------------------------------------- calls
def test_a_function_is_written_once_and_called_often():
    calls = []

    def helper(b, x):
        calls.append(x)
        return b.binary("add", x, b.full((), 1, x.dtype)), x

    def body(b, x):
        y, _ = b.call("k", "<lambda>", [x], None, helper)
        y, _ = b.call("k", "<lambda>", [y], [x.aval, x.aval], helper)
        z, _ = b.call("other", "<lambda>", [y], None, helper)
        return z

    same(run(body, np.float32([1, 2])), np.float32([4, 5]))
    assert len(calls) == 2


def test_calls_nest_and_stand_in_loops():
    def double(b, x):
        return b.binary("add", x, x)

    def quadruple(b, x):
        [y] = b.call("double", "double", [x], None, double)
        return b.call("double", "double", [y], None, double)

    def body(b, x):
        def step(b, i, y):
            return b.binary("add", i, b.full((), 1, np.int32)), *b.call("quadruple", "main", [y], None, quadruple)

        return b.while_loop(
            (b.full((), 0, np.int32), x), lambda b, i, y: b.compare(i, b.full((), 3, np.int32), "LT"), step
        )[1]

    same(run(body, np.float32(1)), np.float32(64))


def test_a_function_without_results_or_arguments():
    assert run_text(Module().main([], lambda b: b.call("k", "nothing", [], None, lambda b: ())), [], []) == []


@pytest.mark.parametrize("name", ["<lambda>", "", "3d", "été", "a.b", "main", "f\n}", '"'])
def test_any_name_is_made_legal(name):
    module = Module(name)
    aval = Aval((2,), np.dtype(np.float32))
    compiled(module.main([aval], lambda b, x: b.call("k", name, [x], None, lambda b, x: x)))


def test_custom_call():
    mode = {"mode": np.uint8(86), "flag": True, "n": 3, "x": 1e-30, "raw": "76 : ui8", "text": '"a"'}
    x = Aval((3, 4), np.dtype(np.float32))
    text = Module().main(
        [x],
        lambda b, x: b.custom_call(
            "some.target-x",
            [x, b.create_token()],
            [x.aval, TOKEN],
            backend_config=mode,
            has_side_effect=True,
            operand_layouts=[(0, 1), None],
            result_layouts=[(0, 1), None],
            aliases={0: 0},
        )[:1],
    )
    with pytest.raises(_jax.JaxRuntimeError, match=r"some\.target-x"):
        CLIENT.compile_and_load(text.encode(), DEVICES, xc.CompileOptions())


def test_tokens():
    def body(b, x):
        b.after_all(b.create_token(), b.after_all())
        return x

    same(run(body, np.float32(1)), np.float32(1))


def test_any_op_can_be_written_in_its_generic_form():
    def body(b, x):
        return b.generic("stablehlo.reverse", [x], [x.aval], "dimensions = array<i64: 0>")

    same(run(body, np.int32([1, 2, 3])), np.int32([3, 2, 1]))


# --------------------------------------------------------------------------------------------------------- modules
def test_attributes_of_the_module_its_arguments_and_results():
    aval = Aval((4,), np.dtype(np.float32))
    text = Module("m", {"mhlo.num_partitions": "1 : i32"}, ['sdy.mesh @mesh = <["x"=1]>']).main(
        [aval, aval],
        lambda b, x, y: (b.binary("add", x, y), x),
        donate={0: 0, 1: None},
        argument_attributes={1: 'mhlo.sharding = "{replicated}"'},
        result_attributes={1: 'jax.result_info = "second"'},
    )
    assert "tf.aliasing_output = 0 : i32" in text
    a, b = put(np.ones(4, np.float32)), put(np.ones(4, np.float32))
    compiled(text).execute_sharded([a, b])
    assert a.is_deleted()


def busy(b, x, y):
    x = b.sort(b.binary("add", x, b.full((), 1, x.dtype)), 0)
    [x, _] = b.while_loop((x, b.full((), 0, np.int32)), lambda b, x, i: b.compare(i, y, "LT"), lambda b, x, i: (x, y))
    return b.call(object(), "f", [x], None, lambda b, x: b.unary("erf", x))


def test_the_same_program_gives_the_same_text():
    avals = [Aval((3,), np.dtype(np.float32)), Aval((), np.dtype(np.int32))]
    assert Module("m").main(avals, busy) == Module("m").main(avals, busy)


PROGRAM = """
import numpy as np
from portax.core.aval import Aval
from portax.core.stablehlo import Module
x = Aval((3,), np.dtype("float32"))
print(Module("m").main([x], lambda b, x: b.sort(b.binary("add", x, b.constant(np.float32([1, 2, 3]))), 0)))
"""


def test_the_text_does_not_depend_on_the_process():
    texts = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        texts.add(
            subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, check=True, text=True).stdout
        )
    assert len(texts) == 1


def test_an_op_fails_before_it_is_written_for_a_dtype_without_a_spelling():
    with pytest.raises(DtypeError, match="no spelling for float0"):
        type_of(Aval((2,), dtypes.float0))


def test_writing_takes_microseconds_an_op():
    aval = Aval((32, 32), np.dtype(np.float32))

    def chain(b, x):
        for _ in range(300):
            x = b.dot_general(b.unary("tanh", b.binary("add", x, x)), x, (((1,), (0,)), ((), ())))
        return x

    times = []
    for _ in range(20):
        start = time.perf_counter()
        Module("m").main([aval], chain)
        times.append((time.perf_counter() - start) / 900)
    # About 1 microsecond on a quiet machine; ten leave room for a busy one.
    assert min(times) < 10e-6
