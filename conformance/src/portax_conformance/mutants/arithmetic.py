"""Faults of single operations: division, shifts, rounding, comparison of bits, and conversion."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax_conformance.mutants.changes import (
    EXTREME,
    FLOATS,
    INTS,
    at,
    floating,
    naive,
    of_complex,
    only_if,
    swapped,
    where,
    whole,
    width,
)
from portax_conformance.mutants.fault import Arrays, Call, Fault


def _scalar_once(call: Call) -> Arrays:
    """A scalar beside an array is read for the first element, and zero for others."""
    x, y = call.operands
    if bool(x.ndim) == bool(y.ndim):
        return call()
    shape = x.shape or y.shape
    spread = []
    for z in (x, y):
        if not z.ndim:
            z = np.concatenate([z.reshape(1), np.zeros(max(int(np.prod(shape)) - 1, 0), z.dtype)])[
                : int(np.prod(shape))
            ].reshape(shape)
        spread.append(z)
    return call.right(spread, call.params)


def _floored(call: Call) -> Arrays:
    """Whole numbers are divided toward minus infinity."""
    x, y = (z.astype(object) for z in call.operands)
    (out,) = call()
    wrong = [
        [
            a // b if b else o
            for a, b, o in zip(*map(np.ravel, np.broadcast_arrays(x, y, out.astype(object))), strict=True)
        ]
    ]
    return [np.array(wrong, object).reshape(out.shape).astype(out.dtype)]


def _modulo(call: Call) -> Arrays:
    """The remainder has the sign of the divisor."""
    x, y = call.operands
    (out,) = call()
    with np.errstate(all="ignore"):
        other = np.where(y == 0, out, np.mod(x, np.where(y == 0, np.ones((), y.dtype), y)))
    return [other.astype(out.dtype)]


def _by_reciprocal(call: Call) -> Arrays:
    x, y = (z.astype(np.float32) if z.dtype != np.float64 else z for z in call.operands)
    (out,) = call()
    with np.errstate(all="ignore"):
        return [np.asarray(x * (1 / y)).astype(out.dtype)]


def _shift_by(call: Call) -> Arrays:
    """The count is taken modulo the width, as a processor does."""
    x, n = call.operands
    mask = np.array(width(x) - 1, n.dtype)
    return call.right([x, n & mask], call.params)


def _shift_plus(call: Call) -> Arrays:
    x, n = call.operands
    return call.right([x, (n + np.ones((), n.dtype)).astype(n.dtype)], call.params)


def _as_signed(call: Call, name: str) -> Arrays:
    x, n = call.operands
    (out,) = call()
    with np.errstate(all="ignore"):
        count = np.clip(n.astype(np.int64), 0, width(x) - 1)
        over = (n.astype(np.int64) >= width(x)) | (n.astype(np.int64) < 0)
    kind = {8: (np.int8, np.uint8), 16: (np.int16, np.uint16), 32: (np.int32, np.uint32), 64: (np.int64, np.uint64)}
    signed, unsigned = kind[width(x)]
    wanted = signed if name == "arithmetic" else unsigned
    other = (np.broadcast_to(x, out.shape).astype(x.dtype).view(wanted) >> count.astype(wanted)).view(x.dtype)
    return [np.where(over, out, other).astype(out.dtype)]


def _half_up(call: Call) -> Arrays:
    x = call.operands[0].astype(np.float64)
    (out,) = call()
    return [np.floor(x + 0.5).astype(out.dtype)]


def _half_away(call: Call) -> Arrays:
    x = call.operands[0].astype(np.float64)
    (out,) = call()
    return [(np.sign(x) * np.floor(np.abs(x) + 0.5)).astype(out.dtype)]


def _half_even(call: Call) -> Arrays:
    (out,) = call()
    return [np.rint(call.operands[0].astype(np.float64)).astype(out.dtype)]


def _toward_zero(call: Call) -> Arrays:
    (out,) = call()
    return [np.trunc(call.operands[0].astype(np.float64)).astype(out.dtype)]


def _through_int32(call: Call) -> Arrays:
    """Whole numbers are found by way of int32, which large ones do not fit."""
    x = call.operands[0].astype(np.float64)
    (out,) = call()
    with np.errstate(all="ignore"):
        beyond = ~(np.abs(x) < 2.0**31)
    return [np.where(beyond, np.float64(-(2.0**31)), out.astype(np.float64)).astype(out.dtype)]


def _by_logarithm(call: Call) -> Arrays:
    """``exp(y log x)``."""
    x, (out,) = call.operands[0], call()
    if not floating(x):
        return [out]
    with np.errstate(all="ignore"):
        return [np.exp(call.params["y"] * np.log(x.astype(np.float64))).astype(out.dtype)]


def _convert(change: Any) -> Any:
    def wrong(call: Call) -> Arrays:
        (out,) = call()
        x = call.operands[0]
        with np.errstate(all="ignore"):
            made = change(x, out)
        return [out if made is None else np.asarray(made).astype(out.dtype).reshape(out.shape)]

    return wrong


def _rounded_to_int(x: np.ndarray, out: np.ndarray) -> Any:
    return np.where(np.isfinite(x), np.rint(x.astype(np.float64)), out) if floating(x) and whole(out) else None


def _wrapped(x: np.ndarray, out: np.ndarray) -> Any:
    """A float beyond a whole dtype wraps, where it stops at the end."""
    if not (floating(x) and whole(out)):
        return None
    wide = np.where(np.isfinite(x), x.astype(np.float64), 0)
    return np.where(np.abs(wide) < 2.0**62, wide.astype(np.int64).astype(out.dtype), out)


def _truth_of_byte(x: np.ndarray, out: np.ndarray) -> Any:
    """Truth is what the lowest byte says."""
    return (x.astype(np.int64) & 1).astype(bool) if out.dtype == bool and whole(x) else None


def _sign_kept(x: np.ndarray, out: np.ndarray) -> Any:
    """Unsigned to wider: the top bit spreads."""
    signed = {"uint8": np.int8, "uint16": np.int16, "uint32": np.int32}.get(x.dtype.name)
    return x.view(signed).astype(out.dtype) if signed is not None and x.ndim else None


def _down(x: np.ndarray, out: np.ndarray) -> Any:
    if not (floating(x) and floating(out)) or out.dtype.itemsize >= x.dtype.itemsize:
        return None
    off = np.abs(out.astype(np.float64)) > np.abs(x.astype(np.float64))
    return np.where(off, np.nextafter(out, np.zeros((), out.dtype)), out)


_ARITHMETIC = (Fault("scalar-for-one", "a scalar beside an array is read for the first element alone", _scalar_once),)
_ROUND = (
    Fault("through-int32", "it goes by way of int32", _through_int32, EXTREME, FLOATS),
    Fault("toward-zero", "it rounds toward zero", _toward_zero, EXTREME, FLOATS),
)

MEANINGS: dict[str, tuple[Fault, ...]] = {
    "add": _ARITHMETIC,
    "add_any": _ARITHMETIC,
    "sub": (*_ARITHMETIC, Fault("operands-swapped", "the operands are taken in the wrong order", swapped)),
    "mul": (
        *_ARITHMETIC,
        Fault(
            "part-by-part",
            "complex numbers are multiplied part by part",
            of_complex(lambda x, y: x.real * y.real + 1j * (x.imag * y.imag)),
            ("value",),
            ("complex64",),
        ),
        Fault(
            "zero-wins",
            "zero times infinity is zero: the product is folded away",
            at(lambda x, y: (x == 0) | (y == 0), 0.0),
            ("extreme",),
            FLOATS,
        ),
    ),
    "div": (
        *_ARITHMETIC,
        Fault("floors", "whole numbers are divided toward minus infinity", only_if(whole, _floored), EXTREME, INTS),
        Fault("operands-swapped", "the operands are taken in the wrong order", swapped),
        Fault(
            "by-reciprocal",
            "it multiplies with a reciprocal",
            only_if(lambda x: x.dtype == np.float32, _by_reciprocal),
            ("extreme", "exact"),
            ("float32",),
        ),
        Fault(
            "by-zero-is-zero",
            "a whole number by zero is zero",
            only_if(whole, lambda c: where(c, lambda x, y: y == 0, 0)),
            EXTREME,
            INTS,
        ),
        Fault(
            "least-by-minus-one",
            "the least number by -1 is zero",
            only_if(
                lambda x: whole(x) and dtypes.is_signed(x.dtype),
                lambda c: where(c, lambda x, y: (y == -1) & (x == ml_dtypes.iinfo(x.dtype).min), 0),
            ),
            EXTREME,
            ("int32", "int64", "int8"),
        ),
    ),
    "rem": (
        *_ARITHMETIC,
        Fault(
            "sign-of-divisor",
            "the remainder has the sign of the divisor",
            lambda c: _modulo(c),
            EXTREME,
            ("int32", "float32"),
        ),
        Fault("operands-swapped", "the operands are taken in the wrong order", swapped),
        Fault(
            "by-zero-is-zero",
            "a whole number modulo zero is zero",
            only_if(whole, lambda c: where(c, lambda x, y: y == 0, 0)),
            EXTREME,
            INTS,
        ),
        Fault(
            "of-quotient",
            "it is x - y * trunc(x / y), which large quotients round",
            only_if(floating, naive(lambda x, y: x - y * np.trunc(x / y))),
            ("exact", "extreme"),
            FLOATS,
        ),
    ),
    "neg": (
        Fault(
            "from-zero",
            "it is 0 - x, and zero keeps its sign",
            naive(lambda x: np.zeros((), x.dtype) - x),
            ("extreme",),
            FLOATS,
        ),
        Fault("nothing", "it does nothing", lambda c: [c.operands[0].copy()]),
    ),
    "abs": (
        Fault("negative-zero", "minus zero stays", at(lambda x: (x == 0) & np.signbit(x), -0.0), ("extreme",), FLOATS),
        Fault(
            "of-real-part",
            "of a complex number it is that of the real part",
            of_complex(lambda x: np.abs(x.real)),
            ("value",),
            ("complex64",),
        ),
        Fault(
            "overflows",
            "the square of a complex number's size overflows",
            of_complex(lambda x: np.sqrt((x.real * x.real + x.imag * x.imag).astype(x.real.dtype))),
            ("extreme", "exact"),
            ("complex64", "complex128"),
        ),
        Fault(
            "least-is-greatest",
            "of the least whole number it is the greatest",
            only_if(
                lambda x: whole(x) and dtypes.is_signed(x.dtype),
                lambda c: where(c, lambda x: x == ml_dtypes.iinfo(x.dtype).min, lambda x: ml_dtypes.iinfo(x.dtype).max),
            ),
            EXTREME,
            ("int32", "int8"),
        ),
    ),
    "sign": (
        Fault("nan-is-one", "of NaN it is 1", at(np.isnan, 1.0), ("extreme",), FLOATS),
        Fault("zero-is-one", "of zero it is 1", lambda c: where(c, lambda x: x == 0, 1), EXTREME),
        Fault(
            "of-parts",
            "of a complex number it is that of each part",
            of_complex(lambda x: np.sign(x.real) + 1j * np.sign(x.imag)),
            ("value",),
            ("complex64",),
        ),
    ),
    "square": (
        Fault(
            "of-size",
            "of a complex number it is that of its size",
            of_complex(lambda x: np.abs(x) ** 2),
            ("value",),
            ("complex64",),
        ),
    ),
    "integer_pow": (
        Fault("sign-of-exponent-lost", "negative exponents count as positive ones", lambda c: c(y=abs(c.params["y"]))),
        Fault(
            "by-exp-and-log",
            "it is exp(y log x), which negative numbers have not",
            _by_logarithm,
            ("value", "extreme"),
            FLOATS,
        ),
        Fault(
            "one-too-few",
            "one multiplication is left out",
            lambda c: c(y=c.params["y"] - 1 if c.params["y"] > 0 else c.params["y"]),
        ),
    ),
    "sqrt": (
        Fault(
            "of-size",
            "of negative numbers it is that of their size",
            naive(lambda x: np.sqrt(np.abs(x))),
            ("extreme",),
            FLOATS,
        ),
        Fault(
            "other-branch",
            "of complex numbers the other root is given where the imaginary part is negative",
            of_complex(lambda x: np.where(x.imag < 0, -np.sqrt(x), np.sqrt(x))),
            ("value",),
            ("complex64",),
        ),
        Fault(
            "zero-is-nan",
            "it is x * rsqrt(x), which zero and infinity do not survive",
            naive(lambda x: x * (1 / np.sqrt(x))),
            ("extreme",),
            FLOATS,
        ),
    ),
    "rsqrt": (Fault("zero-is-zero", "of zero it is zero", at(lambda x: x == 0, 0.0), ("extreme",), FLOATS),),
    "cbrt": (
        Fault(
            "negative-is-nan",
            "it is a power, which negative numbers have not",
            naive(lambda x: np.power(x.astype(np.float64), 1 / 3)),
            ("value", "extreme"),
            FLOATS,
        ),
        Fault(
            "of-size",
            "of negative numbers it is positive",
            naive(lambda x: np.cbrt(np.abs(x.astype(np.float64)))),
            ("value",),
            FLOATS,
        ),
    ),
    "floor": (
        *_ROUND,
        Fault(
            "off-at-whole",
            "of whole negative numbers it is one less",
            at(lambda x: (x < 0) & (x == np.rint(x)) & np.isfinite(x), lambda x: x - 1),
            EXTREME,
            FLOATS,
        ),
    ),
    "ceil": (
        *_ROUND,
        Fault(
            "one-above-floor",
            "of whole numbers it is one more",
            at(lambda x: (x == np.rint(x)) & np.isfinite(x) & (x != 0), lambda x: x + 1),
            EXTREME,
            FLOATS,
        ),
    ),
    "round": (
        *_ROUND,
        Fault("half-up", "halves are rounded up", _half_up, ("extreme", "value"), FLOATS),
        Fault(
            "half-away",
            "halves are rounded away from zero, whatever is asked for",
            _half_away,
            ("extreme", "value"),
            FLOATS,
        ),
        Fault(
            "half-even", "halves are rounded to even, whatever is asked for", _half_even, ("extreme", "value"), FLOATS
        ),
    ),
    "shift_left": (
        Fault("count-modulo-width", "the count is taken modulo the width", _shift_by, EXTREME, INTS),
        Fault("one-more", "it shifts by one more", _shift_plus),
    ),
    "shift_right_logical": (
        Fault("count-modulo-width", "the count is taken modulo the width", _shift_by, EXTREME, INTS),
        Fault("sign-spreads", "the sign is shifted in", lambda c: _as_signed(c, "arithmetic"), EXTREME, INTS),
        Fault("one-more", "it shifts by one more", _shift_plus),
    ),
    "shift_right_arithmetic": (
        Fault("count-modulo-width", "the count is taken modulo the width", _shift_by, EXTREME, INTS),
        Fault("zeros-shifted-in", "zeros are shifted in", lambda c: _as_signed(c, "logical"), EXTREME, INTS),
        Fault("one-more", "it shifts by one more", _shift_plus),
    ),
    "and": (
        Fault("or", "it is the other operation", lambda c: [np.asarray(c.operands[0] | c.operands[1])]),
        *_ARITHMETIC,
    ),
    "or": (
        Fault("xor", "both is neither", lambda c: [np.asarray(c.operands[0] ^ c.operands[1])], EXTREME),
        *_ARITHMETIC,
    ),
    "xor": (Fault("or", "both is one", lambda c: [np.asarray(c.operands[0] | c.operands[1])], EXTREME), *_ARITHMETIC),
    "not": (
        Fault(
            "logical",
            "whole numbers are negated as truth values",
            only_if(whole, lambda c: [(c.operands[0] == 0).astype(c.operands[0].dtype)]),
            EXTREME,
            INTS,
        ),
        Fault(
            "negative",
            "it is -x",
            only_if(whole, lambda c: [(np.zeros((), c.operands[0].dtype) - c.operands[0]).astype(c.operands[0].dtype)]),
            EXTREME,
            INTS,
        ),
        Fault(
            "truth-by-bits",
            "truth values are negated bit by bit, and 254 is true",
            lambda c: (
                [(~np.ascontiguousarray(c.operands[0]).view(np.uint8)).view(bool).reshape(c.operands[0].shape)]
                if c.operands[0].dtype == bool
                else c()
            ),
            ("value",),
            ("bool",),
        ),
    ),
    "population_count": (
        Fault(
            "low-half",
            "the upper half of the bits is not counted",
            lambda c: c.right([(c.operands[0] & c.operands[0].dtype.type((1 << (width(c.operands[0]) // 2)) - 1))], {}),
            EXTREME,
            INTS,
        ),
        Fault("of-zero-bits", "bits that are 0 are counted", lambda c: c.right([~c.operands[0]], {})),
    ),
    "clz": (
        Fault(
            "of-32-bits",
            "narrow numbers are counted in 32 bits",
            lambda c: (
                [(c()[0] + c.operands[0].dtype.type(32 - width(c.operands[0]))).astype(c.operands[0].dtype)]
                if width(c.operands[0]) < 32
                else c()
            ),
            ("value",),
            ("int8", "uint8"),
        ),
        Fault("zero-is-zero", "of zero it is 0", lambda c: where(c, lambda x: x == 0, 0), EXTREME, INTS),
        Fault(
            "trailing",
            "zeros are counted from the other end",
            lambda c: [
                np.array(
                    [
                        width(c.operands[0]) if not v else (int(v) & -int(v)).bit_length() - 1
                        for v in c.operands[0].reshape(-1)
                    ],
                    c.operands[0].dtype,
                ).reshape(c.operands[0].shape)
            ],
        ),
    ),
    "mulhi": (
        Fault("low-half", "the lower half is given", lambda c: [np.asarray(np.multiply(*c.operands))]),
        Fault(
            "rounds-to-zero",
            "of a negative product it is one more",
            lambda c: [(c()[0] + (c()[0] < 0)).astype(c()[0].dtype)],
        ),
    ),
    "convert_element_type": (
        Fault(
            "rounds-to-nearest",
            "floats become the nearest whole number",
            _convert(_rounded_to_int),
            ("value", "extreme"),
            FLOATS,
        ),
        Fault("wraps", "floats beyond a whole dtype wrap", _convert(_wrapped), ("extreme", "value"), FLOATS),
        Fault("truth-of-lowest-bit", "truth is the lowest bit", _convert(_truth_of_byte), ("value",), INTS),
        Fault(
            "sign-spreads",
            "unsigned numbers are widened as signed ones",
            _convert(_sign_kept),
            ("extreme", "value"),
            ("uint8", "uint32", "uint16"),
        ),
        Fault(
            "rounds-down",
            "narrow floats are rounded toward zero",
            _convert(_down),
            ("value", "extreme"),
            ("float32", "float64"),
        ),
        Fault(
            "nan-is-greatest",
            "NaN becomes the greatest whole number",
            _convert(
                lambda x, out: (
                    np.where(np.isnan(x), ml_dtypes.iinfo(out.dtype).max, out) if floating(x) and whole(out) else None
                )
            ),
            ("extreme",),
            FLOATS,
        ),
    ),
    "bitcast_convert_type": (
        Fault(
            "converts",
            "the number is converted, and not its bits",
            lambda c: [c.operands[0].astype(c()[0].dtype)] if c.operands[0].shape == c()[0].shape else c(),
            ("value",),
            (*FLOATS, "int32"),
        ),
        Fault(
            "bytes-swapped",
            "bytes come out in the other order",
            lambda c: [x.byteswap() if x.dtype.itemsize > 1 and x.dtype.kind in "iufc" else x for x in c()],
            ("value",),
            (*FLOATS, "int32", "uint32"),
        ),
        Fault(
            "narrow-parts-reversed",
            "parts come out in the other order",
            lambda c: [np.flip(x, -1) if x.ndim > c.operands[0].ndim else x for x in c()],
            ("value",),
            ("float32", "int32", "uint32", "int64"),
        ),
    ),
    "reduce_precision": (
        Fault(
            "cut",
            "bits are cut off",
            lambda c: [
                np.where(
                    np.abs(c()[0].astype(np.float64)) > np.abs(c.operands[0].astype(np.float64)), c.operands[0], c()[0]
                ).astype(c()[0].dtype)
            ],
            ("value",),
            FLOATS,
        ),
        Fault(
            "range-kept",
            "the exponent keeps its bits",
            lambda c: [
                np.where(np.isinf(c()[0]) & np.isfinite(c.operands[0]), c.operands[0], c()[0]).astype(c()[0].dtype)
            ],
            ("extreme", "value"),
            FLOATS,
        ),
        Fault("nothing", "it does nothing", lambda c: [c.operands[0].copy()], ("value",), FLOATS),
    ),
    "nextafter": (
        Fault("stays-at-zero", "from zero it does not move", at(lambda x, y: x == 0, 0.0), ("extreme",), FLOATS),
        Fault(
            "moves-when-equal",
            "it moves from a number to itself",
            at(lambda x, y: x == y, lambda x, y: np.nextafter(x, np.full((), np.inf, x.dtype))),
            ("extreme",),
            FLOATS,
        ),
        Fault(
            "two-steps", "it moves by two", naive(lambda x, y: np.nextafter(np.nextafter(x, y), y)), ("value",), FLOATS
        ),
        Fault(
            "always-up",
            "it always moves up",
            naive(lambda x, y: np.nextafter(x, np.full((), np.inf, x.dtype))),
            ("value",),
            FLOATS,
        ),
    ),
    "real": (Fault("size", "the size is given", lambda c: [np.abs(c.operands[0]).astype(c()[0].dtype)]),),
    "imag": (
        Fault("angle", "the angle is given", lambda c: [np.angle(c.operands[0]).astype(c()[0].dtype)]),
        Fault("sign", "its sign is the other", lambda c: [-x for x in c()]),
    ),
    "conj": (
        Fault("nothing", "it does nothing", lambda c: [c.operands[0].astype(c()[0].dtype)], ("value",), ("complex64",)),
        Fault(
            "negated",
            "the real part is negated",
            lambda c: [(-x).astype(x.dtype) for x in c()],
            ("value",),
            ("complex64", "float32"),
        ),
    ),
    "complex": (
        Fault("parts-swapped", "the parts are taken in the wrong order", swapped),
        Fault(
            "by-arithmetic",
            "it is x + 1j * y, which NaN and signs do not survive",
            lambda c: [np.asarray(c.operands[0] + 1j * c.operands[1]).astype(c()[0].dtype)],
            ("extreme",),
            ("float32", "float64"),
        ),
    ),
    "copy": (
        Fault(
            "shares-memory",
            "it gives the operand's memory, reversed",
            lambda c: [x[::-1].copy() if x.ndim else x for x in c()],
        ),
    ),
}
