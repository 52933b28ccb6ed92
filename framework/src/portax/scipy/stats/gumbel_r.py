"""Gumbel's distribution of greatest numbers.

The density is ``exp(-(z + exp(-z))) / scale`` with ``z = (x - loc) / scale``.
"""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.stats.common import floats, functions_of, pnp, standardized

_of = functions_of("Gumbel's distribution of greatest numbers", "")

@_of
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale], back = standardized("gumbel_r.logpdf", x, loc, scale)
    return back(-(z + pnp.exp(-z)) - pnp.log(scale))


@_of
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, loc, scale))


@_of
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logcdf(x, loc, scale))


@_of
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("gumbel_r.logcdf", x, loc, scale)
    return back(-pnp.exp(-z))


@_of
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("gumbel_r.logsf", x, loc, scale)
    t = pnp.exp(-z)
    # Each formula keeps its digits where the other loses them.
    return back(pnp.where(t < math.log(2), pnp.log(-pnp.expm1(-t)), pnp.log1p(-pnp.exp(-t))))


@_of
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return -pnp.expm1(logcdf(x, loc, scale))


@_of
def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (p, loc, scale), back = floats("gumbel_r.ppf", p, loc, scale)
    return back(loc - scale * pnp.log(-pnp.log(p)))
