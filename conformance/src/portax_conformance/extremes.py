"""Extreme numbers: what samples drawn from a range never hold.

Zeros of both signs, infinities, NaN, the least and the greatest of a dtype, halves between whole numbers, shifts by as
many bits as there are. Elementwise functions of two operands are tried at every pair of them; primitives that move,
order or pick numbers have their own samples filled with them. What a primitive gives there is its NumPy meaning, bit
for bit as far as it is settled: ``UNSETTLED`` names what is not, and why.
"""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.primitive import Primitive, Sample
from portax.primitives.elementwise import Elementwise
from portax_conformance.cases import ALL, KEY, Case, drawn, dtypes_of
from portax_conformance.constants import special

#: Of cases made here, and of the law that is tried on them.
EXTREME = "extreme"

#: Primitives that move, order or pick numbers and compute none: NaN, signs and infinities come through, and bits do.
MOVERS = (
    "broadcast_in_dim", "reshape", "transpose", "squeeze", "pad", "slice", "concatenate", "split", "rev", "gather",
    "scatter", "dynamic_slice", "dynamic_update_slice", "select_n", "copy", "stop_gradient", "name",
    "optimization_barrier", "real", "imag", "conj", "complex", "bitcast_convert_type",
)  # fmt: skip
ORDERS = (
    "clamp", "max", "min", "reduce_max", "reduce_min", "argmax", "argmin", "sort", "cummax", "cummin", "scatter-max",
    "scatter-min", "reduce_window_max", "reduce_window_min",
)  # fmt: skip
#: Of zeros of both signs, either is the greater.
EITHER_ZERO = ("clamp", "max", "min", "reduce_max", "reduce_min", "cummax", "cummin", "scatter-max", "scatter-min",
               "reduce_window_max", "reduce_window_min")  # fmt: skip
#: Of most numbers they say the same: wherever they are tried, extreme ones are among the numbers.
TESTS = ("is_finite",)
#: One operand, whatever comes out.
CONVERSIONS = ("convert_element_type",)
WHOLE = ("reduce_and", "reduce_or", "reduce_xor", "reduce_sum", "reduce_prod", "cumsum", "cumprod", "scatter-add")

#: What a primitive gives at some of these numbers is not settled between devices, at these kinds of dtype.
UNSETTLED: dict[str, tuple[str, ...]] = {
    # Beyond their domain functions of two parameters and more give what their series give.
    **dict.fromkeys(
        ("polygamma", "zeta", "igamma", "igammac", "igamma_grad_a", "random_gamma_grad", "regularized_incomplete_beta"),
        ("float",),
    ),
    # Of an infinite part some make what C's annex G says and some what the formula gives; the formula itself overflows,
    # or cancels, long before its result would.
    **dict.fromkeys(
        ("mul", "div", "square", "integer_pow", "pow", "rsqrt", "exp2", "log1p", "logistic", "sin", "sinh", "asin",
         "acos", "atan", "atan2", "asinh", "acosh", "atanh"),
        ("complex",),
    ),
}  # fmt: skip


def numbers(dtype: Any) -> np.ndarray:
    """The extreme numbers of a dtype, and some at which functions turn."""
    kind, found = dtypes.kind(dtype), special(dtype)
    if kind in ("int", "uint") and dtypes.bits(dtype) > 8:
        bits = dtypes.bits(dtype)
        more = [2, 3, 5, bits - 1, bits, bits + 1, *([-1, -2, -7] if kind == "int" else [])]
        return np.concatenate([found, np.array(more, dtype)])
    if kind in ("int", "uint"):
        info = ml_dtypes.iinfo(dtype)
        return np.array(
            [
                0,
                1,
                2,
                3,
                7,
                8,
                9,
                info.min,
                info.max,
                info.max - 1,
                info.max // 3,
                *([-1, -7] if kind == "int" else []),
            ],
            dtype,
        )
    if kind == "float":
        info = ml_dtypes.finfo(dtype)
        small = float(np.log(float(info.tiny))) - 2  # of this an exponential is below the least normal number
        more = [0.5, -0.5, 1.5, 2.5, -2.5, 3.5, 7.0, small, float(info.tiny) / 2, -float(info.tiny) * 0.75]
        return np.concatenate([found, np.array(more, dtype)])
    return found


def without_denormals(x: np.ndarray) -> np.ndarray:
    """The numbers with the least normal one in place of what lies below it."""
    if dtypes.is_complex(x.dtype):
        out: Any = x.copy()
        out.real, out.imag = without_denormals(np.real(x)), without_denormals(np.imag(x))
        return out
    if not dtypes.is_float(x.dtype):
        return x
    tiny = ml_dtypes.finfo(x.dtype).tiny
    with np.errstate(invalid="ignore"):
        below = (np.abs(x) < tiny) & (x != 0)
    return np.where(below, np.copysign(tiny, x), x).astype(x.dtype)


def _pairs(primitive: Elementwise, dtype: str, params: dict[str, Any], tail: str) -> Case:
    found = numbers(dtypes.user_dtype(dtype, "extremes"))
    params = {**drawn(primitive, dtype)[0][1].params, **params}
    if primitive.arity == 1:
        operands = [found]
    elif primitive.arity == 2 and found.size <= 32:
        operands = [np.repeat(found, found.size), np.tile(found, found.size)]
    else:  # by turns: every number meets several others
        turns = (0, 1, 5, 11)
        operands = [np.concatenate([np.roll(found, i * turn) for turn in turns]) for i in range(primitive.arity)]
    id = f"{primitive.name}/extreme{tail}/{dtype}"
    return Case(primitive, Sample(*operands, id=f"extreme{tail}", **params), dtype, id, origin=EXTREME)


def _filled(primitive: Primitive, dtype: str) -> list[Case]:
    """Its own samples, with extreme numbers in place of what was drawn at the dtype under test."""
    made: list[Case] = []
    wanted = dtypes.user_dtype(dtype, "extremes")
    found = numbers(wanted)
    for number, (label, sample) in enumerate(drawn(primitive, dtype)):
        filled = False
        case = Case(primitive, sample, dtype, f"{primitive.name}/extreme-{label}/{dtype}", number, origin=EXTREME)
        offset = 5 * number  # others for each sample: it may look at a few of its numbers only
        for i, x in enumerate(case.operands):
            if x.dtype == wanted and x.size > 0 and not (i and dtypes.is_integer(wanted) and _indexes(primitive, i)):
                case.operands[i] = np.resize(np.roll(found, -offset), x.shape)
                offset, filled = offset + x.size, True
        if filled:
            made.append(case)
    return made


def _converted(primitive: Primitive, dtype: str) -> list[Case]:
    """All extreme numbers, with the parameters of each of its samples."""
    found = numbers(dtypes.user_dtype(dtype, "extremes"))
    return [
        Case(primitive, Sample(found, **s.params), dtype, f"{primitive.name}/extreme-{label}/{dtype}", origin=EXTREME)
        for label, s in drawn(primitive, dtype)
    ]


def _indexes(primitive: Primitive, operand: int) -> bool:
    """Whether an operand says where, not what."""
    where = {"gather": (1,), "scatter": (1,), "scatter-max": (1,), "scatter-min": (1,), "scatter-add": (1,)}
    if primitive.name == "dynamic_slice":
        return operand >= 1
    if primitive.name == "dynamic_update_slice":
        return operand >= 2
    return operand in where.get(primitive.name, ())


def tried(primitive: Primitive, dtype: str) -> bool:
    """Whether what the primitive gives at extreme numbers of a dtype is settled."""
    if dtype == KEY:
        return False
    return dtypes.kind(dtypes.user_dtype(dtype, "extremes")) not in UNSETTLED.get(primitive.name, ())


@functools.lru_cache(maxsize=512)
def cases(primitive: Primitive, names: tuple[str, ...] = ALL) -> list[Case]:
    """``primitive/extreme.../dtype``."""
    made: list[Case] = []
    for dtype in dtypes_of(primitive, names):
        if not tried(primitive, dtype):
            continue
        whole = dtypes.kind(dtypes.user_dtype(dtype, "extremes")) in ("bool", "int", "uint")
        if primitive.name in (*MOVERS, *ORDERS) or (whole and primitive.name in WHOLE):
            made += _filled(primitive, dtype)
        if primitive.name in CONVERSIONS:
            made += _converted(primitive, dtype)
        if isinstance(primitive, Elementwise) and not primitive.mixed and _uniform(primitive, dtype):
            several = len(primitive.sample_params) > 1
            for i, params in enumerate(primitive.sample_params):
                made.append(_pairs(primitive, dtype, params, f"-{i}" if several else ""))
    return made


def _uniform(primitive: Elementwise, dtype: str) -> bool:
    """Its operands are as many as it says, and all of the dtype."""
    samples = drawn(primitive, dtype)
    if not samples:
        return False
    sample = samples[0][1]
    kinds = {getattr(x, "dtype", None) for x in sample.operands}
    return len(sample.operands) == primitive.arity and kinds == {dtypes.user_dtype(dtype, "extremes")}
