"""The modified Bessel functions of the first kind, of order 0 and 1, times ``exp(-|x|)``.

Up to 20 the power series, whose terms are all positive; beyond it Hankel's expansion, whose smallest term is then
below rounding.

References
----------
NIST Digital Library of Mathematical Functions, 10.25.2 and 10.40.1.
"""

from __future__ import annotations

import numpy as np

from ._common import choose, horner, reference

# Largest error seen against mpmath at the rounded inputs, rounded up, in units in the last place of each dtype.
BUDGET = {
    "bessel_i0e": {"float64": 8.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "bessel_i1e": {"float64": 9.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
}

SPLIT = 20.0


def power_series(order: int, terms: int) -> list[float]:
    """Coefficients of ``I_order(x) / (x/2)^order`` in powers of ``x*x/4``."""
    coefficients = [1.0]
    for k in range(1, terms):
        coefficients.append(coefficients[-1] / (k * (k + order)))
    return coefficients


def hankel_series(order: int, terms: int) -> list[float]:
    """Coefficients of ``sqrt(2 pi x) exp(-x) I_order(x)`` in powers of ``1/x``."""
    coefficients = [1.0]
    for k in range(1, terms):
        coefficients.append(-coefficients[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))
    return coefficients


_POWERS = tuple(power_series(order, 50) for order in (0, 1))
_HANKEL = tuple(hankel_series(order, 30) for order in (0, 1))


def _scaled(order: int, x: np.ndarray) -> np.ndarray:
    """``exp(-x) I_order(x)`` for ``x >= 0``."""
    return choose(
        x,
        (x <= SPLIT, lambda x: (0.5 * x) ** order * horner(_POWERS[order], 0.25 * x * x) * np.exp(-x)),
        (x > SPLIT, lambda x: horner(_HANKEL[order], 1.0 / x) / np.sqrt(2.0 * np.pi) / np.sqrt(x)),
        inputs=(x,),
    )


@reference
def bessel_i0e(x: np.ndarray) -> np.ndarray:
    """``exp(-|x|) I_0(x)``: even, 1 at zero, 0 at both infinities.

    Parameters
    ----------
    x : ndarray, any floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``

    References
    ----------
    See this module's.
    """
    return _scaled(0, np.abs(x))


@reference
def bessel_i1e(x: np.ndarray) -> np.ndarray:
    """``exp(-|x|) I_1(x)``: odd, signed zero at both zeros and at both infinities.

    Parameters
    ----------
    x : ndarray, any floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``

    References
    ----------
    See this module's.
    """
    return np.copysign(_scaled(1, np.abs(x)), x)
