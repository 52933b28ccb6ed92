"""Pareto's distribution: density ``b / (z^(b + 1) scale)`` with ``z = (x - loc) / scale``, ``z >= 1``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.stats.common import floats, functions_of, pnp, standardized

_of = functions_of(
    "Pareto's distribution",
    "2.0",
    b="The shape, positive.",
)

@_of
def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale, b], back = standardized("pareto.logpdf", x, b, loc, scale)
    below = z < 1
    log = pnp.log(b) - (b + 1) * pnp.log(pnp.where(below, 1, z)) - pnp.log(scale)
    return back(pnp.where(below, -math.inf, log))


@_of
def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, b, loc, scale))


@_of
def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return -pnp.expm1(logsf(x, b, loc, scale))


@_of
def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    log = logsf(x, b, loc, scale)
    # Each formula keeps its digits where the other loses them.
    return pnp.where(log > -math.log(2), pnp.log(-pnp.expm1(log)), pnp.log1p(-pnp.exp(log)))


@_of
def sf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logsf(x, b, loc, scale))


@_of
def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _, b], back = standardized("pareto.logsf", x, b, loc, scale)
    return back(-b * pnp.log(pnp.maximum(z, 1)))


@_of
def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (q, b, loc, scale), back = floats("pareto.ppf", q, b, loc, scale)
    return back(pnp.where((q >= 0) & (q <= 1), loc + scale * pnp.exp(-pnp.log1p(-q) / b), math.nan))
