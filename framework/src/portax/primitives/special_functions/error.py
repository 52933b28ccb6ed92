"""The error function, its complement and its inverse.

Near zero ``erf(x)/x`` is one Chebyshev series in ``x*x``. Everywhere else the scaled complement ``exp(x*x) erfc(x)`` is
one Chebyshev series over the whole half line, so ``erfc`` keeps its relative accuracy down to the last subnormal. The
inverse is Halley's iteration on whichever of the two is not rounded: ``erf`` for small arguments, ``erfc`` of the exact
difference ``1 - |y|`` for large ones. The tables were computed from these definitions with 60 digits.
"""

from __future__ import annotations

import numpy as np

from ._common import chebyshev, choose, exp_minus_square, reference

# Largest error seen against mpmath at the rounded inputs, rounded up, in units in the last place of each dtype.
BUDGET = {
    "erf": {"float64": 3.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "erfc": {"float64": 6.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "erf_inv": {"float64": 4.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
}

_ERF = (
    0.9754769393826541, -0.14226120510371365, 0.010035582187599796, -0.0005768764699767485, 2.741993125219606e-05,
    -1.1043175507344507e-06, 3.8488755420345036e-08, -1.1808582533875466e-09, 3.2334215826050907e-11,
    -7.991015947004549e-13, 1.7990725113961456e-14, -3.718635487818693e-16, 7.103599003714253e-18,
)  # fmt: skip
_ERFCX = (
    1.1775789345674017, -0.004590054580646478, -0.08424913336651792, 0.05920993999819189, -0.026658668435305753,
    0.009074997670705265, -0.002413163540417608, 0.0004907758365258086, -6.916973302501207e-05, 4.13902798607301e-06,
    7.74038306619849e-07, -2.1886401049234397e-07, 1.076499946567091e-08, 4.521959811218287e-09,
    -7.754400208831351e-10, -6.318088340886684e-11, 2.86879501093067e-11, 1.9455868545777347e-13,
    -9.65469674843344e-13, 3.25254814814874e-14, 3.3478119482868056e-14, -1.864562880419313e-15,
    -1.2507950530688648e-15, 7.418235256624044e-17, 5.068148904796111e-17, -2.2370566594359995e-18,
    -2.187342944303018e-18,
)  # fmt: skip


def scaled_complement(x: np.ndarray) -> np.ndarray:
    """``exp(x*x) erfc(x)`` for ``x >= 0``, float64."""
    t = np.where(np.isinf(x), 1.0, (x - 3.75) / (x + 3.75))
    return chebyshev(_ERFCX, t) / (1.0 + 2.0 * x)


def _erf_small(x: np.ndarray) -> np.ndarray:
    return x * chebyshev(_ERF, 2.0 * x * x - 1.0)


def _erfc_positive(x: np.ndarray) -> np.ndarray:
    return exp_minus_square(x) * scaled_complement(x)


def erf64(x: np.ndarray) -> np.ndarray:
    """``erf`` of flat float64 arrays."""
    return choose(
        x,
        (np.abs(x) <= 1.0, _erf_small),
        (np.abs(x) < 6.0, lambda x: np.copysign(1.0 - _erfc_positive(np.abs(x)), x)),
        (np.abs(x) >= 6.0, lambda x: np.copysign(np.ones_like(x), x)),
        inputs=(x,),
    )


def erfc64(x: np.ndarray) -> np.ndarray:
    """``erfc`` of flat float64 arrays."""
    return choose(
        x,
        (np.abs(x) <= 0.5, lambda x: 1.0 - _erf_small(x)),
        (x >= 28.0, np.zeros_like),
        (x > 0.0, _erfc_positive),
        (x <= 0.0, lambda x: 1.0 + erf64(-x)),
        inputs=(x,),
    )


def _erf_inv_central(y: np.ndarray) -> np.ndarray:
    x = y * (0.886226925452758 + 0.2320136665 * y * y + 0.12756 * y**4)
    for _ in range(3):
        residual = (_erf_small(x) - y) * (np.sqrt(np.pi) / 2.0) * np.exp(x * x)
        x = x - residual / (1.0 + x * residual)
    return x


def _erf_inv_tail(y: np.ndarray) -> np.ndarray:
    q = 1.0 - np.abs(y)
    # Winitzki's closed form starts within 1 %.
    log_term = np.log(q * (2.0 - q))
    mean = 2.0 / (np.pi * 0.147) + log_term / 2.0
    x = np.sqrt(np.sqrt(mean * mean - log_term / 0.147) - mean)
    for _ in range(3):
        # f = erfc(x) - q and f'' / f' = -2x: Halley's step in a form that never leaves the scale of q.
        residual = (1.0 - q / _erfc_positive(x)) * scaled_complement(x) * (np.sqrt(np.pi) / 2.0)
        x = x + residual / (1.0 - x * residual)
    return np.copysign(x, y)


def _erf_inv_edge(y: np.ndarray) -> np.ndarray:
    return np.where(np.abs(y) == 1.0, np.copysign(np.inf, y), np.nan)


@reference
def erf(x: np.ndarray) -> np.ndarray:
    """Error function, ``2/sqrt(pi)`` times the integral of ``exp(-t*t)`` from 0 to ``x``.

    Odd, ``erf(-0.0) = -0.0``, ``erf(inf) = 1``.

    Parameters
    ----------
    x : ndarray, any floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``

    References
    ----------
    Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < inf, Mathematics of
    Computation 36(153), 1981.
    """
    return erf64(x)


@reference
def erfc(x: np.ndarray) -> np.ndarray:
    """Complementary error function ``1 - erf(x)``, accurate where that difference is tiny.

    Parameters
    ----------
    x : ndarray, any floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``, from 2 at ``-inf`` to 0 at ``inf``

    References
    ----------
    Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < inf, Mathematics of
    Computation 36(153), 1981.
    """
    return erfc64(x)


@reference
def erf_inv(x: np.ndarray) -> np.ndarray:
    """The ``y`` with ``erf(y) = x``.

    ``erf_inv(1) = inf``, ``erf_inv(-1) = -inf``, NaN outside ``[-1, 1]``, ``erf_inv(-0.0) = -0.0``.

    Parameters
    ----------
    x : ndarray, any floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``

    References
    ----------
    Winitzki, A handy approximation for the error function and its inverse, 2008 (the starting value); Halley's method.
    """
    return choose(
        x,
        (np.abs(x) <= 0.5, _erf_inv_central),
        (np.abs(x) < 1.0, _erf_inv_tail),
        (np.abs(x) >= 1.0, _erf_inv_edge),
        inputs=(x,),
    )
