"""The normal distribution: density ``exp(-z^2 / 2) / (sqrt(2 pi) scale)`` with ``z = (x - loc) / scale``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.special.normal import log_ndtr, ndtr, ndtri
from portax.scipy.stats.common import floats, functions_of, pnp, standardized

_of = functions_of("the normal distribution", "")

@_of
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale], back = standardized("norm.logpdf", x, loc, scale)
    return back(-0.5 * (z * z + math.log(2 * math.pi)) - pnp.log(scale))


@_of
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, loc, scale))


@_of
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("norm.cdf", x, loc, scale)
    return back(ndtr(z))


@_of
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("norm.logcdf", x, loc, scale)
    return back(log_ndtr(z))


@_of
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("norm.sf", x, loc, scale)
    return back(ndtr(-z))


@_of
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("norm.logsf", x, loc, scale)
    return back(log_ndtr(-z))


@_of
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (q, loc, scale), back = floats("norm.ppf", q, loc, scale)
    return back(ndtri(q) * scale + loc)


@_of
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (q, loc, scale), back = floats("norm.isf", q, loc, scale)
    return back(-ndtri(q) * scale + loc)
