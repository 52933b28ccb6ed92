"""The normal distribution cut off at ``loc + a scale`` and ``loc + b scale``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.special.normal import log_ndtr
from portax.scipy.stats import norm
from portax.scipy.stats.common import functions_of, pnp, standardized

_of = functions_of(
    "the truncated normal distribution",
    "-1.0, 2.0",
    a="The lower bound, in units of ``scale`` from ``loc``.",
    b="The upper bound, likewise.",
)

def _log_difference(high: Any, low: Any) -> Any:
    """``log(exp(high) - exp(low))``."""
    gap = low - high
    # Each formula keeps its digits where the other loses them.
    near = gap > -math.log(2)
    return high + pnp.where(near, pnp.log(-pnp.expm1(gap)), pnp.log1p(-pnp.exp(gap)))


def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of the normal distribution's part between ``a`` and ``b``, by the tail they are nearer to."""
    flip = a > 0
    a, b = pnp.where(flip, -b, a), pnp.where(flip, -a, b)
    left = b <= 0
    in_tail = _log_difference(log_ndtr(pnp.where(left, b, 0)), log_ndtr(pnp.where(left, a, -1)))
    low, high = pnp.where(left, -1, a), pnp.where(left, 1, b)
    across = pnp.log1p(-pnp.exp(log_ndtr(low)) - pnp.exp(log_ndtr(-high)))
    return pnp.where(left, in_tail, across)


@_of
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale, a, b], back = standardized("truncnorm.logpdf", x, a, b, loc, scale)
    out = norm.logpdf(z) - _log_mass(a, b) - pnp.log(scale)
    out = pnp.where((z < a) | (z > b), -math.inf, out)
    return back(pnp.where(a >= b, math.nan, out))


@_of
def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, a, b, loc, scale))


@_of
def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _, a, b], back = standardized("truncnorm.logcdf", x, a, b, loc, scale)
    inside = (z > a) & (z < b)
    out = _log_mass(a, pnp.where(inside, z, b)) - _log_mass(a, b)
    out = pnp.where(inside, out, pnp.where(z >= b, 0, -math.inf))
    return back(pnp.where((a >= b) | pnp.isnan(z), math.nan, out))


@_of
def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logcdf(x, a, b, loc, scale))


@_of
def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _, a, b], back = standardized("truncnorm.logsf", x, a, b, loc, scale)
    inside = (z > a) & (z < b)
    out = _log_mass(pnp.where(inside, z, a), b) - _log_mass(a, b)
    out = pnp.where(inside, out, pnp.where(z <= a, 0, -math.inf))
    return back(pnp.where((a >= b) | pnp.isnan(z), math.nan, out))


@_of
def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logsf(x, a, b, loc, scale))
