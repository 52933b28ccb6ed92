"""Cauchy's distribution: density ``1 / (pi scale (1 + z^2))`` with ``z = (x - loc) / scale``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.stats.common import floats, functions_of, pnp, standardized

_of = functions_of("Cauchy's distribution", "")

def _inverse(q: Any) -> Any:
    """``tan(pi (q - 1/2))``, infinite at 0 and 1, NaN beyond."""
    inside = (q > 0) & (q < 1)
    ends = pnp.where(q == 0, -math.inf, pnp.where(q == 1, math.inf, math.nan))
    q = pnp.where(inside, q, 0.5)
    low = pnp.minimum(q, 1 - q)
    tail = low < 0.25
    # In the tails the cotangent, which does not lose the digits of a small q.
    far = 1 / pnp.tan(math.pi * pnp.where(tail, low, 0.25))
    near = pnp.tan(math.pi * (pnp.where(tail, 0.5, q) - 0.5))
    return pnp.where(inside, pnp.where(tail, pnp.where(q < 0.5, -far, far), near), ends)


@_of
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale], back = standardized("cauchy.logpdf", x, loc, scale)
    return back(-(math.log(math.pi) + pnp.log(scale) + pnp.log1p(z * z)))


@_of
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, loc, scale))


@_of
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("cauchy.cdf", x, loc, scale)
    # atan(z) + pi/2, without cancellation far below.
    return back(pnp.arctan2(1, -z) / math.pi)


@_of
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.log(cdf(x, loc, scale))


@_of
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("cauchy.sf", x, loc, scale)
    return back(pnp.arctan2(1, z) / math.pi)


@_of
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.log(sf(x, loc, scale))


@_of
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (q, loc, scale), back = floats("cauchy.ppf", q, loc, scale)
    return back(loc + scale * _inverse(q))


@_of
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (q, loc, scale), back = floats("cauchy.isf", q, loc, scale)
    return back(loc - scale * _inverse(q))
