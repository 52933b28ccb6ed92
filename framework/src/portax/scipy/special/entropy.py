"""Logarithms of probabilities, entropies, and transformations of data."""

from __future__ import annotations

import math
from typing import Any

from portax import numpy as pnp
from portax.lax.elementwise import logistic
from portax.numpy.promotion import promote_args_inexact
from portax.scipy.special.common import derived, floats


def expit(x: Any) -> Any:
    """The logistic function ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.expit(0.0))
    0.5
    """
    [x] = promote_args_inexact("expit", x)
    return logistic(x)


@derived(lambda out, p: 1 / (p * (1 - p)))
def _logit(p: Any) -> Any:
    return pnp.log(p / (1 - p))


def logit(x: Any) -> Any:
    """``log(x / (1 - x))``, the inverse of ``expit``: NaN outside [0, 1].

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.logit(0.5))
    0.0
    """
    [x] = promote_args_inexact("logit", x)
    return _logit(x)


@derived(lambda out, x, y: pnp.log(y), lambda out, x, y: x / y)
def _xlogy(x: Any, y: Any) -> Any:
    none = x == 0
    return pnp.where(none, pnp.zeros_like(x), x * pnp.log(pnp.where(none & ~pnp.isnan(y), pnp.ones_like(y), y)))


def xlogy(x: Any, y: Any) -> Any:
    """``x log(y)``, and 0 where ``x`` is 0.

    Parameters
    ----------
    x, y : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.xlogy(0.0, 0.0))
    0.0
    """
    x, y = promote_args_inexact("xlogy", x, y)
    return _xlogy(x, y)


@derived(lambda out, x, y: pnp.log1p(y), lambda out, x, y: x / (1 + y))
def _xlog1py(x: Any, y: Any) -> Any:
    none = x == 0
    return pnp.where(none, pnp.zeros_like(x), x * pnp.log1p(pnp.where(none & ~pnp.isnan(y), pnp.zeros_like(y), y)))


def xlog1py(x: Any, y: Any) -> Any:
    """``x log(1 + y)``, and 0 where ``x`` is 0.

    Parameters
    ----------
    x, y : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.xlog1py(0.0, -1.0))
    0.0
    """
    x, y = promote_args_inexact("xlog1py", x, y)
    return _xlog1py(x, y)


def entr(x: Any) -> Any:
    """``-x log(x)``: 0 at 0, and -inf where ``x`` is negative.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.entr(1.0))
    -0.0
    """
    [x], back = floats("entr", x)
    return back(pnp.where(x < 0, -math.inf, -_xlogy(x, x)))


def rel_entr(p: Any, q: Any) -> Any:
    """``p log(p / q)``: 0 where ``p`` is 0 and ``q`` is not negative, inf where either is negative or ``q`` is 0.

    Parameters
    ----------
    p, q : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.rel_entr(2.0, 2.0))
    0.0
    """
    (p, q), back = floats("rel_entr", p, q)
    both, none = (p > 0) & (q > 0), (p == 0) & (q >= 0)
    a, b = pnp.where(both, p, 1), pnp.where(both, q, 1)
    out = pnp.where(both, a * pnp.log(a) - a * pnp.log(b), pnp.where(none, 0, math.inf))
    return back(pnp.where(pnp.isnan(p) | pnp.isnan(q), math.nan, out))


def kl_div(p: Any, q: Any) -> Any:
    """``p log(p / q) - p + q``, the elementwise Kullback-Leibler divergence; inf where either is negative.

    Parameters
    ----------
    p, q : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.kl_div(2.0, 2.0))
    0.0
    """
    p, q = promote_args_inexact("kl_div", p, q)
    return rel_entr(p, q) - p + q


# -- power transformations --------------------------------------------------------------------------------------------
def _power_slope(out: Any, log: Any, lmbda: Any, power: Any) -> Any:
    """The derivative of ``expm1(lmbda log) / lmbda`` by ``lmbda``."""
    near = pnp.abs(lmbda * log) < 1e-3
    safe = pnp.where(near, 1, lmbda)
    series = log * log * (0.5 + lmbda * log * (1 / 3 + lmbda * log / 8))
    return pnp.where(near, series, (log * power - out) / safe)


@derived(
    lambda out, x, lmbda: x ** (lmbda - 1),
    lambda out, x, lmbda: _power_slope(out, pnp.log(x), lmbda, x**lmbda),
)
def _boxcox(x: Any, lmbda: Any) -> Any:
    none = lmbda == 0
    log = pnp.log(x)
    return pnp.where(none, log, pnp.expm1(lmbda * log) / pnp.where(none, 1, lmbda))


def boxcox(x: Any, lmbda: Any) -> Any:
    """``(x**lmbda - 1) / lmbda``, and its limit ``log(x)`` where ``lmbda`` is 0.

    Parameters
    ----------
    x : array of positive numbers
    lmbda : array

    Returns
    -------
    Array of the broadcast shape, floating point

    References
    ----------
    Box and Cox, An analysis of transformations, Journal of the Royal Statistical Society B 26(2), 1964.

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.boxcox(3.0, 1.0)), float(special.boxcox(1.0, 0.0))
    (2.0, 0.0)
    """
    (x, lmbda), back = floats("boxcox", x, lmbda)
    return back(_boxcox(x, lmbda))


@derived(
    lambda out, x, lmbda: (1 + x) ** (lmbda - 1),
    lambda out, x, lmbda: _power_slope(out, pnp.log1p(x), lmbda, (1 + x) ** lmbda),
)
def _boxcox1p(x: Any, lmbda: Any) -> Any:
    none = lmbda == 0
    log = pnp.log1p(x)
    return pnp.where(none, log, pnp.expm1(lmbda * log) / pnp.where(none, 1, lmbda))


def boxcox1p(x: Any, lmbda: Any) -> Any:
    """``boxcox(1 + x, lmbda)``, accurate for small ``x``.

    Parameters
    ----------
    x : array of numbers above -1
    lmbda : array

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.boxcox1p(2.0, 1.0))
    2.0
    """
    (x, lmbda), back = floats("boxcox1p", x, lmbda)
    return back(_boxcox1p(x, lmbda))
