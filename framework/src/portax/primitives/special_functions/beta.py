"""The regularized incomplete beta function.

Left of the mean, ``x < (a+1)/(a+b+2)``, Lentz's evaluation of the continued fraction; right of it the same for the
reflected function, so neither is found as one minus almost one. The factor in front is written around its maximum
when ``a`` and ``b`` are large, as Loader does for binomial probabilities, because ``exp`` of a difference of three
``lgamma`` would lose as many digits as they have before the point. One corner needs more care: a small ``b`` puts the
distribution near 1, so the reflected function is almost one right of the mean too; there one minus its power series
is summed without its leading one.

References ---------- NIST Digital Library of Mathematical Functions, 8.17.7, 8.17.8 and 8.17.22. Didonato and Morris,
Algorithm 708: Significant digit computation of the incomplete beta function ratios, ACM TOMS 18(3), 1992. Loader,
Fast and accurate computation of binomial probabilities, 2000. Lentz, Generating Bessel functions in Mie scattering
calculations using continued fractions, Applied Optics 15(3), 1976.
"""

from __future__ import annotations

import numpy as np

from ._common import choose, reference
from .gamma import lgamma64, log_gamma_plus_one, log_gamma_ratio, stirling_error
from .incomplete_gamma import log_deviance

# Largest error seen against mpmath at the rounded inputs for 1e-2 <= a, b <= 1e4 and results above 1e-30, rounded up,
# in units in the last place of each dtype. The fraction is cut at 10000 steps, enough for a and b up to 1e6 at least.
BUDGET = {
    "regularized_incomplete_beta": {"float64": 512.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
}


def _factor(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``x^a y^b / B(a, b)`` with ``y = 1 - x``."""

    def small(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        log_y = np.where(y < 0.5, np.log(y), np.log1p(-x))
        log_x = np.where(x < 0.5, np.log(x), np.log1p(-y))
        low, high = np.minimum(a, b), np.maximum(a, b)
        return np.exp(log_gamma_ratio(high, low) - lgamma64(low) + a * log_x + b * log_y)

    def large(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        # x and y relative to the mean a/(a+b), b/(a+b); the linear parts of the two deviances cancel exactly.
        shift = b * x - a * y
        left, right = shift / a, -shift / b
        far_left, far_right = left < -0.5, right < -0.5
        first = np.where(far_left, left - np.log(x * (1.0 + b / a)), log_deviance(left))
        second = np.where(far_right, right - np.log(y * (1.0 + a / b)), log_deviance(right))
        correction = stirling_error(a + b) - stirling_error(a) - stirling_error(b)
        return np.exp(-a * first - b * second) * np.exp(correction) * np.sqrt(a / (2.0 * np.pi) / (1.0 + a / b))

    both = (a >= 10.0) & (b >= 10.0)
    return choose(a, (both, large), (~both, small), inputs=(a, b, x, y))


def _fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The continued fraction 8.17.22, by Lentz's method."""
    tiny = 1e-300
    c, d = np.ones_like(x), 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / np.where(d == 0.0, tiny, d)
    h = d
    busy = np.ones(x.shape, bool)
    for m in range(1, 10000):
        even = m * (b - m) * x / ((a + (2 * m - 1)) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + (2 * m + 1)))
        step = np.ones_like(h)
        for e in (even, odd):
            d = 1.0 + e * d
            c = 1.0 + e / c
            c = np.where(c == 0.0, tiny, c)
            d = 1.0 / np.where(d == 0.0, tiny, d)
            step = step * (c * d)
        # A settled element is left alone: each further step would only add its rounding.
        h = np.where(busy, h * step, h)
        busy &= np.abs(step - 1.0) > 5e-16
        if not busy.any():
            break
    return h


def _corner(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``1 - I_y(b, a)`` for ``b < 1`` and ``a y < 1``: 8.17.7 with its first term taken off by ``expm1``."""
    term, total = np.ones_like(a), np.zeros_like(a)
    for n in range(1, 200):
        term = term * ((n - a) / n) * y
        total = total + term / (b + n)
        if np.all(np.abs(term) <= 1e-17 * np.abs(total)):
            break
    exponent = b * np.log(y) + log_gamma_ratio(a, b) - log_gamma_plus_one(b)
    return -np.expm1(exponent) - np.exp(exponent) * b * total


def _inner(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = 1.0 - x
    swap = x > (a + 1.0) / (a + b + 2.0)
    p, q, u, v = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, y, x), np.where(swap, x, y)
    part = _factor(p, q, u, v) * _fraction(p, q, u) / p
    value = np.where(swap, 1.0 - part, part)
    corner = swap & (b < 1.0) & (a * y < 1.0) & (y < 0.7)
    if corner.any():
        value[corner] = _corner(a[corner], b[corner], y[corner])
    return value


def _edges(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    domain = (a >= 0.0) & (b >= 0.0) & (x >= 0.0) & (x <= 1.0)
    domain &= ~((a == 0.0) & (b == 0.0)) & ~(np.isinf(a) & np.isinf(b))
    # A distribution with a = 0 or b = inf sits at 0, one with b = 0 or a = inf sits at 1.
    at_zero = (a == 0.0) | np.isinf(b)
    value = np.where(x <= 0.0, 0.0, np.where(x >= 1.0, 1.0, np.where(at_zero, 1.0, 0.0)))
    return np.where(domain, value, np.nan)


@reference
def regularized_incomplete_beta(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Share of a beta distribution of shapes ``a`` and ``b`` that lies below ``x``.

    0 at ``x = 0``, 1 at ``x = 1``. ``a = 0`` or ``b = inf`` put the distribution at 0, ``b = 0`` or ``a = inf`` at 1.
    NaN for negative shapes, for ``x`` outside ``[0, 1]``, and where both shapes are zero or both infinite.

    Parameters
    ----------
    a, b, x : ndarray, the same floating dtype, broadcast against each other

    Returns
    -------
    ndarray of that dtype, between 0 and 1

    References
    ----------
    See this module's.
    """
    inside = (a > 0.0) & (b > 0.0) & np.isfinite(a) & np.isfinite(b) & (x > 0.0) & (x < 1.0)
    return choose(a, (~inside, _edges), (inside, _inner), inputs=(a, b, x))
