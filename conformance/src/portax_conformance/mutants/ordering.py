"""Faults of order: who is the greatest, which of equals comes first, and where NaN stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax_conformance.mutants.fault import Arrays, Call, Fault

FLOATS = ("float32", "float64", "bfloat16", "float16")
EXTREME = ("extreme",)


def _nan(x: np.ndarray) -> np.ndarray:
    return np.isnan(x) if dtypes.is_inexact(x.dtype) else np.zeros(x.shape, bool)


def _other_where_nan(call: Call) -> Arrays:
    """``x > y ? x : y``: NaN loses to the second."""
    x, y = np.broadcast_arrays(*call.operands)
    (out,) = call()
    return [np.where(_nan(x), y, np.where(_nan(y), y, out)).astype(out.dtype)]


def _number_where_nan(call: Call) -> Arrays:
    """As C's ``fmax``: the number, where the other is none."""
    x, y = np.broadcast_arrays(*call.operands)
    (out,) = call()
    return [np.where(_nan(x), y, np.where(_nan(y), x, out)).astype(out.dtype)]


def _replaced(call: Call, place: int, value: float) -> Arrays:
    """NaN in an operand counts as a number."""
    operands = list(call.operands)
    x = operands[place]
    if dtypes.is_float(x.dtype):
        operands[place] = np.where(_nan(x), np.asarray(value).astype(x.dtype), x)
    return call.right(operands, call.params)


def _swapped(call: Call) -> Arrays:
    return call.right([call.operands[1], call.operands[0], *call.operands[2:]], call.params)


def _last_of_ties(call: Call) -> Arrays:
    """The last place of the greatest, and not the first."""
    (axis,) = call.params["axes"]
    (flipped,) = call.right([np.flip(call.operands[0], axis)], call.params)
    n = call.operands[0].shape[axis]
    wide = flipped.astype(np.int64)
    return [(n - 1 - wide).astype(flipped.dtype)]


def _first_row(call: Call) -> Arrays:
    """Of the first half of the axis only: the second half's result is not combined with it."""
    (axis,) = call.params["axes"]
    x = call.operands[0]
    half = np.take(x, np.arange((x.shape[axis] + 1) // 2), axis)
    return call.right([half], call.params)


def _absolute(call: Call) -> Arrays:
    plain = [np.abs(x) if x.dtype != bool and not dtypes.is_complex(x.dtype) else x for x in call.operands]
    return call.right(plain, call.params)


def _unstable(call: Call) -> Arrays:
    """Equal keys come out in the opposite order."""
    d = call.params["dimension"]
    given = [np.flip(x, d) for x in call.operands]
    return call.right(given, call.params)


def _descending(call: Call) -> Arrays:
    return [np.flip(x, call.params["dimension"]) for x in call()]


def _one_key(call: Call) -> Arrays:
    """Further keys are carried, and not compared."""
    return call(num_keys=1)


def _carried_stay(call: Call) -> Arrays:
    """Only the keys are moved."""
    outs, n = call(), call.params["num_keys"]
    return [*outs[:n], *[x.copy() for x in call.operands[n:]]]


def _other_axis(call: Call) -> Arrays:
    d, x = call.params["dimension"], call.operands[0]
    return call(dimension=x.ndim - 1 - d)


def _by_bits(call: Call) -> Arrays:
    """Floats are sorted by their bits as signed integers: negative ones come out backwards."""
    x, d = call.operands[0], call.params["dimension"]
    whole: Any = {"float32": np.int32, "float64": np.int64, "float16": np.int16, "bfloat16": np.int16}.get(x.dtype.name)
    if whole is None or not x.size:
        return call()
    order = np.argsort(np.ascontiguousarray(x).view(whole).reshape(x.shape), d, kind="stable")
    return [np.take_along_axis(y, order, d) for y in call.operands]


def _nan_first(call: Call) -> Arrays:
    x, d = call.operands[0], call.params["dimension"]
    if not dtypes.is_float(x.dtype) or not x.size:
        return call()
    order = np.argsort(np.where(_nan(x), -np.inf, x.astype(np.float64)), d, kind="stable")
    return [np.take_along_axis(y, order, d) for y in call.operands]


def _top(call: Call, change: Any) -> Arrays:
    values, places = call()
    return change(values, places, call.params["axis"])


def _least(call: Call) -> Arrays:
    x = call.operands[0]
    if x.dtype == bool or dtypes.is_unsigned(x.dtype):
        return call.right([~x], call.params)
    values, places = call.right([-x], call.params)
    return [-values, places]


def _bounds_swapped(call: Call) -> Arrays:
    """``min(max(x, high), low)``."""
    low, x, high = call.operands
    return call.right([high, x, low], call.params)


def _nan_clamped(call: Call) -> Arrays:
    low, x, _ = call.operands
    (out,) = call()
    return [np.where(_nan(x), np.broadcast_to(low, x.shape), out).astype(out.dtype)]


def _nan_high(call: Call) -> Arrays:
    _, x, high = call.operands
    (out,) = call()
    return [np.where(_nan(x), np.broadcast_to(high, x.shape), out).astype(out.dtype)]


def _one_bound(place: int) -> Any:
    def wrong(call: Call) -> Arrays:
        (out,) = call()
        low, x, high = call.operands
        beyond = x < low if place == 0 else x > high
        return [np.where(beyond, x, out).astype(out.dtype)]

    return wrong


def _wrong_branch(call: Call) -> Arrays:
    which, *cases = call.operands
    other = ~which if which.dtype == bool else (len(cases) - 1 - which).astype(which.dtype)
    return call.right([other, *cases], call.params)


def _by_arithmetic(call: Call) -> Arrays:
    """``p * a + (1 - p) * b``: what is not picked must not be infinite or NaN."""
    which, *cases = call.operands
    (out,) = call()
    if which.dtype != bool or not dtypes.is_float(out.dtype):
        return [out]
    p = which.astype(np.float64)
    a, b = (c.astype(np.float64) for c in cases)
    return [np.asarray(p * b + (1 - p) * a).astype(out.dtype)]


def _scalar_first(call: Call) -> Arrays:
    """A scalar predicate picks for the first element alone."""
    which, *cases = call.operands
    if which.ndim or not cases[0].ndim:
        return call()
    (out,) = call()
    flat = np.array(cases[0]).reshape(-1)
    flat[:1] = out.reshape(-1)[:1]
    return [flat.reshape(out.shape)]


def _compared(f: Any) -> Any:
    return lambda call: [np.asarray(f(*call.operands))]


def _unordered(call: Call) -> Arrays:
    """The negation of the opposite comparison: true where one is NaN."""
    x, y = call.operands
    (out,) = call()
    return [out | _nan(np.asarray(x)) | _nan(np.asarray(y))]


def _nan_equal(call: Call) -> Arrays:
    x, y = call.operands
    (out,) = call()
    both = _nan(np.asarray(x)) & _nan(np.asarray(y))
    return [np.where(both, call.name == "eq", out)]


def _bits_equal(call: Call) -> Arrays:
    """Bits are compared: zeros of both signs differ."""
    x, y = call.operands
    (out,) = call()
    if not dtypes.is_float(x.dtype):
        return [out]
    zeros = (x == 0) & (y == 0) & (np.signbit(x) != np.signbit(y))
    return [np.where(zeros, call.name == "ne", out)]


def _half_compared(call: Call) -> Arrays:
    """Complex numbers are compared by their real parts."""
    x, y = call.operands
    if not dtypes.is_complex(x.dtype):
        return call()
    return call.right([np.real(x).copy(), np.real(y).copy()], call.params)


def _within(call: Call) -> Arrays:
    """Floats that are nearly equal count as equal."""
    x, y = call.operands
    (out,) = call()
    if not dtypes.is_float(x.dtype):
        return [out]
    with np.errstate(all="ignore"):
        near = np.abs(x.astype(np.float64) - y.astype(np.float64)) <= 0.3 * np.abs(y.astype(np.float64))
    return [np.where(near, call.name == "eq", out)]


_CLAMP = (
    Fault("nan-to-low", "NaN is clamped to the lower bound", _nan_clamped, EXTREME, FLOATS),
    Fault("nan-to-high", "NaN is clamped to the upper bound", _nan_high, EXTREME, FLOATS),
    Fault("bounds-swapped", "the bounds are taken in the wrong order", _bounds_swapped),
    Fault("no-low", "the lower bound is not looked at", _one_bound(0)),
    Fault("no-high", "the upper bound is not looked at", _one_bound(2)),
)
_REDUCED = (
    Fault(
        "nan-dropped",
        "NaN loses against every number",
        lambda c: _replaced(c, 0, -np.inf if "max" in c.name else np.inf),
        EXTREME,
        FLOATS,
    ),
    Fault(
        "second-half-lost",
        "what the second half of the axis gives is not combined",
        lambda c: _first_row(c) if len(c.params.get("axes", ())) == 1 else c(),
        ("value", "long"),
    ),
    Fault("of-magnitudes", "magnitudes are compared", _absolute),
    Fault(
        "starts-at-zero",
        "the running value starts at zero",
        lambda c: (
            [
                np.maximum(x, np.zeros((), x.dtype)) if "max" in c.name else np.minimum(x, np.zeros((), x.dtype))
                for x in c()
            ]
            if c.operands[0].dtype != bool and not dtypes.is_complex(c.operands[0].dtype)
            else c()
        ),
    ),
)
_SEARCHED = (
    Fault(
        "last-of-ties",
        "of equal elements the last is found",
        _last_of_ties,
        ("value", "long"),
        ("int32", "float32", "bool"),
    ),
    Fault(
        "nan-passed-over",
        "NaN is never found",
        lambda c: _replaced(c, 0, -np.inf if "max" in c.name else np.inf),
        EXTREME,
        FLOATS,
    ),
    Fault("second-half-lost", "only the first half of the axis is searched", _first_row, ("value", "long")),
    Fault("of-magnitudes", "magnitudes are compared", _absolute),
    Fault("place-plus-one", "places count from one", lambda c: [(x + 1).astype(x.dtype) for x in c()]),
)
_COMPARE = (
    Fault(
        "true-of-nan", "it is true where one is NaN: the opposite comparison is negated", _unordered, EXTREME, FLOATS
    ),
    Fault("operands-swapped", "the operands are taken in the wrong order", _swapped),
)

MEANINGS: dict[str, tuple[Fault, ...]] = {
    "max": (
        Fault("nan-loses-once", "the second is given where the first is NaN", _other_where_nan, EXTREME, FLOATS),
        Fault("nan-dropped", "the number is given where the other is NaN", _number_where_nan, EXTREME, FLOATS),
        Fault(
            "least",
            "the lesser is given",
            lambda c: [np.asarray(np.minimum(*c.operands))] if not dtypes.is_complex(c.operands[0].dtype) else c(),
        ),
        Fault("of-magnitudes", "magnitudes are compared", _absolute),
    ),
    "min": (
        Fault("nan-loses-once", "the second is given where the first is NaN", _other_where_nan, EXTREME, FLOATS),
        Fault("nan-dropped", "the number is given where the other is NaN", _number_where_nan, EXTREME, FLOATS),
        Fault(
            "greatest",
            "the greater is given",
            lambda c: [np.asarray(np.maximum(*c.operands))] if not dtypes.is_complex(c.operands[0].dtype) else c(),
        ),
        Fault("of-magnitudes", "magnitudes are compared", _absolute),
    ),
    "clamp": _CLAMP,
    "reduce_max": _REDUCED,
    "reduce_min": _REDUCED,
    "cummax": (
        Fault("nan-dropped", "NaN loses against every number", lambda c: _replaced(c, 0, -np.inf), EXTREME, FLOATS),
        Fault("direction-ignored", "it always runs forward", lambda c: c(reverse=False)),
    ),
    "cummin": (
        Fault("nan-dropped", "NaN loses against every number", lambda c: _replaced(c, 0, np.inf), EXTREME, FLOATS),
        Fault("direction-ignored", "it always runs forward", lambda c: c(reverse=False)),
    ),
    "argmax": _SEARCHED,
    "argmin": _SEARCHED,
    "sort": (
        Fault(
            "unstable",
            "equal elements come out in the opposite order",
            _unstable,
            ("value", "long"),
            ("int32", "float32"),
        ),
        Fault("descending", "the greatest comes first", _descending),
        Fault("one-key", "of several keys the first alone is compared", _one_key),
        Fault("carried-stay", "what is carried along stays where it was", _carried_stay, ("value", "long")),
        Fault("other-axis", "it sorts along the axis counted from the other end", _other_axis),
        Fault("by-bits", "floats are ordered by their bits", _by_bits),
        Fault("nan-first", "NaN stands before all numbers", _nan_first, EXTREME, FLOATS),
        Fault(
            "nan-stays",
            "NaN stays where it is, and what is around it is not in order",
            lambda c: c() if not _nan(c.operands[0]).any() else [x.copy() for x in c.operands],
            EXTREME,
            FLOATS,
        ),
    ),
    "top_k": (
        Fault(
            "ascending",
            "the least of them comes first",
            lambda c: _top(c, lambda v, i, d: [np.flip(v, d), np.flip(i, d)]),
        ),
        Fault("least", "the least elements are given", _least),
        Fault(
            "places-of-sorted",
            "places count in the result",
            lambda c: _top(
                c,
                lambda v, i, d: [
                    v,
                    np.broadcast_to(
                        np.arange(i.shape[d], dtype=i.dtype).reshape([-1 if k == d else 1 for k in range(i.ndim)]),
                        i.shape,
                    ).copy(),
                ],
            ),
        ),
        Fault(
            "nan-dropped", "NaN counts as the least", lambda c: _replaced(c, 0, -np.inf), ("value", *EXTREME), FLOATS
        ),
        Fault(
            "last-of-ties",
            "of equal elements the last come first",
            lambda c: [
                c()[0],
                (
                    c.operands[0].shape[c.params["axis"]]
                    - 1
                    - c.right([np.flip(c.operands[0], c.params["axis"])], c.params)[1]
                ).astype(np.int32),
            ],
            ("value", "long"),
            ("int32", "float32"),
        ),
    ),
    "select_n": (
        Fault("wrong-branch", "the other case is picked", _wrong_branch),
        Fault("by-arithmetic", "what is not picked is multiplied by zero", _by_arithmetic, EXTREME, FLOATS),
        Fault("scalar-for-one", "a scalar picks for the first element alone", _scalar_first),
        Fault(
            "first-always",
            "the first case is given",
            lambda c: [np.array(np.broadcast_to(c.operands[1], c()[0].shape))],
        ),
    ),
    "lt": _COMPARE,
    "le": _COMPARE,
    "gt": _COMPARE,
    "ge": _COMPARE,
    "eq": (
        Fault("nan-equals-nan", "NaN equals itself", _nan_equal, EXTREME, FLOATS),
        Fault("bits-compared", "zeros of both signs differ", _bits_equal, EXTREME, FLOATS),
        Fault(
            "real-parts",
            "complex numbers are compared by their real parts",
            _half_compared,
            ("value", *EXTREME),
            ("complex64",),
        ),
        Fault("nearly", "floats that are nearly equal are equal", _within, EXTREME, FLOATS),
    ),
    "ne": (
        Fault("nan-equals-nan", "NaN does not differ from itself", _nan_equal, EXTREME, FLOATS),
        Fault("bits-compared", "zeros of both signs differ", _bits_equal, EXTREME, FLOATS),
        Fault(
            "real-parts",
            "complex numbers are compared by their real parts",
            _half_compared,
            ("value", *EXTREME),
            ("complex64",),
        ),
        Fault("nearly", "floats that are nearly equal do not differ", _within, EXTREME, FLOATS),
    ),
    "is_finite": (
        Fault("nan-is-finite", "NaN is finite", lambda c: [~np.isinf(c.operands[0])], EXTREME, FLOATS),
        Fault(
            "one-infinity",
            "negative infinity is finite",
            lambda c: [c()[0] | (c.operands[0] == -np.inf)],
            EXTREME,
            FLOATS,
        ),
        Fault(
            "greatest-is-infinite",
            "the greatest number is no longer finite",
            lambda c: [c()[0] & (np.abs(c.operands[0]) < np.finfo(np.float32).max)],
            EXTREME,
            FLOATS,
        ),
    ),
}
