"""Faults of arithmetic: what becomes of NaN, zeros, denormals and infinities, of rounding, and of overflow.

They are made around a kernel, on what goes in or comes out, as a compiler flag or a narrow register would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.primitive import registry
from portax_conformance.mutants.fault import Arrays, Call, Fault

FLOATS = ("float32", "float64", "bfloat16", "float16", "complex64", "complex128")


def _parts(x: np.ndarray, f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """``f`` of a float array, or of both parts of a complex one; others as they are."""
    if dtypes.is_complex(x.dtype):
        out: Any = np.array(x)
        out.real, out.imag = f(np.real(x).copy()), f(np.imag(x).copy())
        return out
    return np.asarray(f(x)).astype(x.dtype) if dtypes.is_float(x.dtype) else x


def _plain_zero(x: np.ndarray) -> np.ndarray:
    return np.where(x == 0, np.abs(x), x)


def _flushed(x: np.ndarray) -> np.ndarray:
    tiny = ml_dtypes.finfo(x.dtype).tiny
    return np.where(np.abs(x) < tiny, np.copysign(np.zeros((), x.dtype), x), x)


def _no_nan(x: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x), np.zeros((), x.dtype), x)


def _finite(x: np.ndarray) -> np.ndarray:
    most = ml_dtypes.finfo(x.dtype).max
    return np.where(np.isinf(x), np.copysign(most, x), x)


def _on_results(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[Call], Arrays]:
    return lambda call: [_parts(x, f) for x in call()]


def _on_operands(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[Call], Arrays]:
    return lambda call: call.right([_parts(x, f) for x in call.operands], call.params)


def budget(name: str, dtype: Any) -> float:
    """What the primitive is allowed, in units in the last place."""
    own = registry[name].budget
    stated = own.get(np.dtype(dtype).name, own.get("default", 1.0))
    if not registry[name].memoize:  # as programs are allowed
        stated = max(stated, 4.0)
    return min(stated, 4.0) if np.dtype(dtype).name in ("float16", "bfloat16") else stated


def twice_the_budget(call: Call) -> Arrays:
    """One number in a while is off by twice what is allowed, and a little."""
    made: Arrays = []
    for x in call():
        if dtypes.is_inexact(x.dtype) and x.size:
            units = 2 * budget(call.name, x.dtype) + 2
            off = 1 + units * float(ml_dtypes.finfo(x.dtype).eps)
            flat = np.array(x).reshape(-1)
            wide = flat.astype(np.complex128 if dtypes.is_complex(x.dtype) else np.float64)
            flat[::3] = (wide[::3] * off).astype(x.dtype)
            x = flat.reshape(x.shape)
        made.append(x)
    return made


def _narrower(call: Call, wide: str, narrow: Any) -> Arrays:
    """Operands of a wide dtype are rounded to a narrow one before anything is computed."""
    wanted = dtypes.user_dtype(wide, "narrower")
    return call.right(
        [x.astype(narrow).astype(x.dtype) if x.dtype == wanted else x for x in call.operands], call.params
    )


def _cut_off(x: np.ndarray, bits: int, whole: Any) -> np.ndarray:
    return (x.view(whole) & whole(~((1 << bits) - 1))).view(x.dtype)


def passes(call: Call) -> Arrays:
    """float32 in one pass of bfloat16."""
    return _narrower(call, "float32", ml_dtypes.bfloat16)


def tf32(call: Call) -> Arrays:
    """float32 with ten bits of mantissa."""
    given = [
        _cut_off(np.ascontiguousarray(x), 13, np.int32) if x.dtype == np.float32 and x.ndim else x
        for x in call.operands
    ]
    return call.right(given, call.params)


def as_single(call: Call) -> Arrays:
    """float64 through float32, complex128 through complex64."""
    given = [
        x.astype({"float64": np.float32, "complex128": np.complex64}.get(x.dtype.name, x.dtype)).astype(x.dtype)
        for x in call.operands
    ]
    return call.right(given, call.params)


def _saturated(call: Call) -> Arrays:
    """Whole numbers stop at the greatest, or the least, where they wrap."""
    outs = call()
    wide = call.right([x.astype(object) if dtypes.is_integer(x.dtype) else x for x in call.operands], call.params)
    made: Arrays = []
    for x, w in zip(outs, wide, strict=True):
        if dtypes.is_integer(x.dtype):
            info = ml_dtypes.iinfo(x.dtype)
            w = np.asarray(np.clip(w, int(info.min), int(info.max))).astype(x.dtype)
            x = w.reshape(x.shape)
        made.append(x)
    return made


def long_numbers_cut(call: Call) -> Arrays:
    """int64 and uint64 through 32 bits."""
    cut = {"int64": np.int32, "uint64": np.uint32}
    given = [x.astype(cut[x.dtype.name]).astype(x.dtype) if x.dtype.name in cut else x for x in call.operands]
    return call.right(given, call.params)


def unsigned_as_signed(call: Call) -> Arrays:
    """Unsigned numbers are compared, divided and shifted as signed ones."""
    signed = {"uint8": np.int8, "uint16": np.int16, "uint32": np.int32, "uint64": np.int64}
    given = [x.view(signed[x.dtype.name]) if x.dtype.name in signed else x for x in call.operands]
    outs, stated = call.right(given, call.params), call()
    return [np.asarray(x).astype(y.dtype).reshape(y.shape) for x, y in zip(outs, stated, strict=True)]


def truth_as_255(call: Call) -> Arrays:
    """True is stored with all its bits set."""
    made: Arrays = []
    for x in call():
        if x.dtype == bool:
            x = (np.ascontiguousarray(x).view(np.uint8) * np.uint8(255)).view(bool).reshape(x.shape)
        made.append(x)
    return made


def imaginary_lost(call: Call) -> Arrays:
    return [np.asarray(np.real(x)).astype(x.dtype) if dtypes.is_complex(x.dtype) else x for x in call()]


def conjugated(call: Call) -> Arrays:
    return [np.conj(x) if dtypes.is_complex(x.dtype) else x for x in call()]


#: Where floats go in or come out.
FLOAT = (
    Fault(
        "sign-of-zero-lost",
        "a negative zero comes out as a positive one",
        _on_results(_plain_zero),
        ("extreme", "value"),
        FLOATS,
    ),
    Fault(
        "denormals-flushed-out",
        "results below the least normal number are zero",
        _on_results(_flushed),
        ("extreme",),
        FLOATS,
    ),
    Fault(
        "denormals-flushed-in",
        "operands below the least normal number count as zero",
        _on_operands(_flushed),
        ("extreme",),
        FLOATS,
    ),
    Fault("nan-becomes-zero", "NaN comes out as zero", _on_results(_no_nan), ("extreme",), FLOATS),
    Fault("no-infinities", "infinities come out as the greatest number", _on_results(_finite), ("extreme",), FLOATS),
    Fault(
        "double-as-single", "float64 is computed in float32", as_single, ("exact", "value"), ("float64", "complex128")
    ),
    Fault("one-bfloat16-pass", "float32 is rounded to bfloat16 first", passes, ("exact", "value")),
)
COMPUTED = (
    Fault("twice-the-budget", "results are off by twice the budget", twice_the_budget, ("exact", "value"), FLOATS),
    Fault("ten-bits", "float32 is cut to the ten bits of a tensor unit first", tf32, ("exact", "value")),
)
WHOLE = (
    Fault(
        "long-cut-to-32-bits", "int64 goes through int32", long_numbers_cut, ("extreme", "value"), ("int64", "uint64")
    ),
    Fault(
        "saturates",
        "whole numbers stop at the greatest where they wrap",
        _saturated,
        ("extreme", "value"),
        ("int32", "uint8", "int8"),
    ),
    Fault(
        "unsigned-as-signed",
        "unsigned numbers count as signed ones",
        unsigned_as_signed,
        ("extreme", "value"),
        ("uint32", "uint8", "uint64"),
    ),
)
TRUTH = (
    Fault("true-is-255", "true is stored with all bits set", truth_as_255, ("extreme", "value"), ("bool", "float32")),
)
COMPLEX = (
    Fault(
        "imaginary-part-lost",
        "the imaginary part of a result is zero",
        imaginary_lost,
        ("value",),
        ("complex64", "complex128"),
    ),
    Fault(
        "conjugated",
        "a result is the conjugate of what it should be",
        conjugated,
        ("value",),
        ("complex64", "complex128"),
    ),
)
