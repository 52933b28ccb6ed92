"""How a reference special function meets its dtypes: compute in float64, round once.

Every function of this package is written once, for flat float64 arrays of one common shape. ``reference`` lifts it to
the floating dtypes of the opset: operands are widened exactly, broadcast against each other, and the result is rounded
to the operands' dtype a single time. So float16, bfloat16 and float32 results are correctly rounded but for the rare
case in which the float64 error crosses a rounding boundary.

Invariant: a lifted function returns a new array of the operands' dtype and broadcast shape, raises no floating-point
warning, and does not alter its operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

import numpy as np

Function = Callable[..., np.ndarray]


def reference(function: Function) -> Function:
    """``function`` on flat float64 arrays, made to accept any floating dtype and any broadcastable shapes."""

    @wraps(function)
    def lifted(*operands: np.ndarray) -> np.ndarray:
        arrays = [np.asarray(operand) for operand in operands]
        dtype, shape = arrays[0].dtype, np.broadcast_shapes(*(array.shape for array in arrays))
        wide = [np.broadcast_to(array.astype(np.float64), shape).reshape(-1) for array in arrays]
        with np.errstate(all="ignore"):
            return np.asarray(function(*wide)).astype(dtype).reshape(shape)

    return lifted


def chebyshev(coefficients: Sequence[float], t: np.ndarray) -> np.ndarray:
    """``sum_k c_k T_k(t)`` for ``-1 <= t <= 1`` by Clenshaw's recurrence.

    References
    ----------
    Clenshaw, A note on the summation of Chebyshev series, MTAC 9(51), 1955.
    """
    above = np.zeros_like(t)
    here = np.zeros_like(t)
    for c in reversed(coefficients[1:]):
        here, above = 2.0 * t * here - above + c, here
    return t * here - above + coefficients[0]


def horner(coefficients: Sequence[float], t: np.ndarray) -> np.ndarray:
    """``sum_k c_k t^k``."""
    total = np.full_like(t, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * t + c
    return total


def choose(shape_like: np.ndarray, *cases: tuple[np.ndarray, Function], inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """The value of the first case whose mask holds; each function sees only its own elements. NaN where none holds."""
    out = np.full(shape_like.shape, np.nan)
    free = np.ones(shape_like.shape, bool)
    for mask, function in cases:
        here = mask & free
        if here.any():
            out[here] = function(*(x[here] for x in inputs))
        free &= ~here
    return out


def sin_pi(x: np.ndarray) -> np.ndarray:
    """``sin(pi x)``, exactly zero at integers: the argument is reduced before pi is rounded."""
    r = np.fmod(np.abs(x), 2.0)
    sign = np.where(x < 0, -1.0, 1.0) * np.where(r >= 1.0, -1.0, 1.0)
    r = np.where(r >= 1.0, r - 1.0, r)
    r = np.where(r > 0.5, 1.0 - r, r)
    return sign * np.where(r > 0.25, np.cos(np.pi * (0.5 - r)), np.sin(np.pi * r))


def exp_minus_square(x: np.ndarray) -> np.ndarray:
    """``exp(-x*x)`` to a few ULP: the square is split, because rounding it alone would cost ``x*x`` ULP."""
    head = (x.view(np.uint64) & np.uint64(0xFFFFFFFFF8000000)).view(np.float64)
    return np.exp(-head * head) * np.exp(-(x - head) * (x + head))
