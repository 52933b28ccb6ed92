"""How far a result is from what it should be, in units in the last place.

One unit in the last place of a number is the gap between it and its neighbour in its own dtype. Results below the least
normal number count as if they were it, since a device may flush them to zero.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes


def ulps(got: np.ndarray, expected: np.ndarray, least: float = 0.0) -> float:
    """The greatest distance in units in the last place of ``expected``; infinite where one alone is NaN or infinite.

    Whole numbers and truth values are equal or infinitely far apart. A complex result is as exact as its greater part:
    each part is measured on the scale of the whole.

    Parameters
    ----------
    least : float
        Results below it are measured on its scale: of a sum that cancels, no more is known than its terms allow.
    """
    if got.size == 0:
        return 0.0
    kind = dtypes.kind(expected.dtype)
    if kind == "complex":
        pairs = [(part(got), part(expected)) for part in (np.real, np.imag)]
        scale = np.maximum(np.maximum(*(np.abs(e) for _, e in pairs)), least)
        return max(_distance(g, e, scale, e.dtype) for g, e in pairs)
    if kind != "float":
        return 0.0 if np.array_equal(got, expected) else np.inf
    return _distance(got, expected, np.maximum(np.abs(expected).astype(np.float64), least), expected.dtype)


def _distance(got: np.ndarray, expected: np.ndarray, scale: np.ndarray, dtype: Any) -> float:
    info = ml_dtypes.finfo(dtype)
    g, e = got.astype(np.float64), expected.astype(np.float64)
    same = (g == e) | (np.isnan(g) & np.isnan(e))
    wild = ~same & ~(np.isfinite(g) & np.isfinite(e))
    if wild.any():
        return np.inf
    scale = scale.astype(np.float64)
    size = np.maximum(np.where(np.isfinite(scale), scale, 0), float(info.tiny))
    exponent = np.minimum(np.floor(np.log2(size)), 1023.0)  # of the greatest float64 the logarithm is rounded up
    unit = 2.0**exponent * float(info.eps)
    off = np.abs(np.where(same, 0.0, g) - np.where(same, 0.0, e))
    return float(np.max(off / unit, initial=0.0))


def zeros_of_other_sign(got: np.ndarray, expected: np.ndarray) -> int:
    """How many zeros have the other sign than the zeros expected in their place."""
    if dtypes.kind(expected.dtype) == "complex":
        return sum(zeros_of_other_sign(part(got), part(expected)) for part in (np.real, np.imag))
    if dtypes.kind(expected.dtype) != "float":
        return 0
    return int(np.sum((got == 0) & (expected == 0) & (np.signbit(got) != np.signbit(expected))))
