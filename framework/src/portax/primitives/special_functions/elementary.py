"""Elementary functions where NumPy has none, or is wrong at some operand.

Real ones are computed in float64 and rounded once like the special functions. Complex ones follow Kahan and annex G
of C99 at signed zeros and infinities, which NumPy does except where it has no function (``exp2``, ``rsqrt``,
``logistic``, complex ``cbrt``) or a formula that loses digits (``log1p``, ``expm1``, ``tan`` of complex operands).

References
----------
Kahan, Branch cuts for complex elementary functions, or much ado about nothing's sign bit, 1987.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._common import reference

# Largest error seen against mpmath at the rounded inputs, rounded up, in units in the last place of each dtype; of a
# complex result, in ULP of the larger of its parts (log1p, expm1: of each part).
BUDGET = {
    "logistic": {
        "float64": 3.0,
        "float32": 0.51,
        "float16": 0.51,
        "bfloat16": 0.51,
        "complex128": 6.0,
        "complex64": 0.6,
    },
    "cbrt": {"float64": 1.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "exp2": {"float64": 1.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51, "complex128": 4.0, "complex64": 0.6},
    "rsqrt": {"float64": 1.5, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51, "complex128": 6.0, "complex64": 0.6},
    "log1p": {"float64": 1.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51, "complex128": 6.0, "complex64": 0.6},
    "expm1": {"float64": 1.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51, "complex128": 6.0, "complex64": 0.6},
}

_LN2 = (0.6931471805599453, 2.3190468138462996e-17)


Complex = NDArray[np.complex128]


def _is_complex(x: np.ndarray) -> bool:
    return np.asarray(x).dtype.kind == "c"


def _from_parts(real: np.ndarray, imag: np.ndarray) -> Complex:
    out = np.empty(np.shape(real), np.complex128)
    out.real, out.imag = real, imag
    return out


def _complex(function: Callable[[Complex], Complex], x: np.ndarray) -> np.ndarray:
    """``function`` of a complex array, computed in complex128 and rounded once."""
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        return np.asarray(function(x.astype(np.complex128))).astype(x.dtype)


@reference
def _logistic(x: np.ndarray) -> np.ndarray:
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, decay) / (1.0 + decay)


def _logistic_complex(z: Complex) -> Complex:
    left = z.real < 0.0
    # Of the two forms the one whose exponential cannot overflow.
    w: Complex = np.where(left, z, -z)
    decay: Complex = np.exp(w)
    # 1 + exp(w), whose zeros at odd multiples of i pi are poles here: (1 - exp(x)) + exp(x) (1 + cos(y)).
    below = -np.expm1(w.real) + 2.0 * np.exp(w.real) * np.cos(0.5 * w.imag) ** 2
    return np.where(left, decay, 1.0) / _from_parts(below, decay.imag)


@reference
def cbrt(x: np.ndarray) -> np.ndarray:
    """Real cube root, negative for negative ``x``, of the sign of ``x`` at zero.

    Parameters
    ----------
    x : ndarray, any real floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``
    """
    return np.cbrt(x)


def logistic(x: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-x))``, accurate for large negative ``x`` too.

    Parameters
    ----------
    x : ndarray, any floating or complex dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``
    """
    return _complex(_logistic_complex, x) if _is_complex(x) else _logistic(x)


_exp2_real = reference(np.exp2)
_log1p_real = reference(np.log1p)
_expm1_real = reference(np.expm1)


def _two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``a * b`` and its rounding error (Dekker)."""
    splitter = 134217729.0
    p = a * b
    ah, bh = a * splitter, b * splitter
    ah, bh = ah - (ah - a), bh - (bh - b)
    al, bl = a - ah, b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def _exp2_complex(z: Complex) -> Complex:
    angle, low = _two_product(z.imag, np.full(z.shape, _LN2[0]))
    low = np.where(np.abs(z.imag) < 1e15, low + z.imag * _LN2[1], 0.0)
    scale = np.exp2(z.real)
    turn = _from_parts(np.cos(angle) - low * np.sin(angle), np.sin(angle) + low * np.cos(angle))
    # A real operand has a real result, also where the scale is infinite.
    imag = np.where(z.imag == 0.0, z.imag, scale * turn.imag)
    return _from_parts(scale * np.where(z.imag == 0.0, 1.0, turn.real), imag)


def exp2(x: np.ndarray) -> np.ndarray:
    """``2`` to the power ``x``.

    Parameters
    ----------
    x : ndarray, any floating or complex dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``
    """
    return _complex(_exp2_complex, x) if _is_complex(x) else _exp2_real(x)


@reference
def _rsqrt(x: np.ndarray) -> np.ndarray:
    return 1.0 / np.sqrt(x)


def _rsqrt_complex(z: Complex) -> Complex:
    # Scaled by an even power of two, so that neither the root nor its reciprocal leaves the range.
    root: Complex = np.sqrt(z)
    size = np.maximum(np.abs(root.real), np.abs(root.imag))
    safe = np.where((size > 0.0) & np.isfinite(size), size, 1.0)
    real, imag = root.real / safe, root.imag / safe
    norm = (real * real + imag * imag) * safe
    out = _from_parts(real / norm, -imag / norm)
    out = np.where(np.isinf(z.real) | np.isinf(z.imag), _from_parts(np.zeros(z.shape), np.copysign(0.0, -z.imag)), out)
    return np.where(z == 0.0, _from_parts(np.full(z.shape, np.inf), np.copysign(0.0, -z.imag)), out)


def rsqrt(x: np.ndarray) -> np.ndarray:
    """``1 / sqrt(x)``, the principal branch; ``inf`` of the sign of ``x`` at zero.

    Parameters
    ----------
    x : ndarray, any floating or complex dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``
    """
    return _complex(_rsqrt_complex, x) if _is_complex(x) else _rsqrt(x)


def _log1p_complex(z: Complex) -> Complex:
    x, y = z.real, z.imag
    # log |1 + z| = log1p(2x + x^2 + y^2) / 2; near the unit circle about -1 the sum cancels, so it is kept in double
    # length.
    moderate = (np.abs(x) < 1e5) & (np.abs(y) < 1e5)
    u, v = np.where(moderate, x, 0.0), np.where(moderate, y, 0.0)
    xx, xe = _two_product(u, u)
    yy, ye = _two_product(v, v)
    parts = np.sort(np.stack([2.0 * u, xx, yy]), axis=0)
    total, error = np.zeros_like(u), xe + ye
    for part in parts:
        s = total + part
        back = s - total
        error = error + ((total - (s - back)) + (part - back))
        total = s
    near = 0.5 * np.log1p(total + error)
    far = np.log(np.hypot(1.0 + x, y))
    # Next to -1 the sum is almost -1, where log1p would magnify its rounding: there 1 + x is exact.
    close = moderate & (total + error > -0.5)
    return _from_parts(np.where(close, near, far), np.arctan2(y, 1.0 + x))


def log1p(x: np.ndarray) -> np.ndarray:
    """``log(1 + x)``, accurate for small ``x``.

    Parameters
    ----------
    x : ndarray, any floating or complex dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``

    References
    ----------
    Dekker, A floating-point technique for extending the available precision, Numerische Mathematik 18, 1971.
    """
    return _complex(_log1p_complex, x) if _is_complex(x) else _log1p_real(x)


def _expm1_complex(z: Complex) -> Complex:
    x, y = z.real, z.imag
    half = np.sin(0.5 * y)
    scale = np.exp(x)
    # exp(x) cos(y) - 1 = expm1(x) cos(y) - 2 sin(y/2)^2
    on_axis = y == 0.0
    real = np.where(on_axis, np.expm1(x), np.where(np.isneginf(x), -1.0, np.expm1(x) * np.cos(y) - 2.0 * half * half))
    imag = np.where(on_axis, y, scale * np.sin(y))
    # An infinite real part stays what it is at an angle that is not known: -1 to the left, infinite to the right.
    lost = ~np.isfinite(y)
    real = np.where(lost & np.isinf(x), np.where(x < 0, -1.0, np.inf), real)
    return _from_parts(real, np.where(lost & np.isneginf(x), 0.0, imag))


def expm1(x: np.ndarray) -> np.ndarray:
    """``exp(x) - 1``, accurate for small ``x``; a zero imaginary part stays zero.

    Parameters
    ----------
    x : ndarray, any floating or complex dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``
    """
    return _complex(_expm1_complex, x) if _is_complex(x) else _expm1_real(x)
