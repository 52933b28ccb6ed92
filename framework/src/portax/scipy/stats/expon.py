"""The exponential distribution: density ``exp(-z) / scale`` with ``z = (x - loc) / scale``, ``z >= 0``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.stats.common import floats, functions_of, pnp, standardized

_of = functions_of("the exponential distribution", "")

@_of
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale], back = standardized("expon.logpdf", x, loc, scale)
    return back(pnp.where(z < 0, -math.inf, -z - pnp.log(scale)))


@_of
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, loc, scale))


@_of
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("expon.cdf", x, loc, scale)
    return back(-pnp.expm1(-pnp.maximum(z, 0)))


@_of
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("expon.logcdf", x, loc, scale)
    # Left of the support the result does not move, and no formula is to be asked there.
    out, z = z <= 0, pnp.where(z <= 0, 1, z)
    # Each formula keeps its digits where the other loses them.
    inside = pnp.where(z < math.log(2), pnp.log(-pnp.expm1(-z)), pnp.log1p(-pnp.exp(-z)))
    return back(pnp.where(out, -pnp.inf, inside))


@_of
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logsf(x, loc, scale))


@_of
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("expon.logsf", x, loc, scale)
    return back(-pnp.maximum(z, 0))


@_of
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (q, loc, scale), back = floats("expon.ppf", q, loc, scale)
    return back(pnp.where((q >= 0) & (q <= 1), loc - scale * pnp.log1p(-q), math.nan))
