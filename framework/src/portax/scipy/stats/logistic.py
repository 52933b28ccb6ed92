"""The logistic distribution: ``cdf(x) = 1 / (1 + exp(-z))`` with ``z = (x - loc) / scale``."""

from __future__ import annotations

from typing import Any

from portax.lax.elementwise import logistic as _logistic
from portax.scipy.special.entropy import logit
from portax.scipy.stats.common import floats, functions_of, pnp, standardized

_of = functions_of("the logistic distribution", "")

@_of
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale], back = standardized("logistic.logpdf", x, loc, scale)
    size = pnp.abs(z)  # the density is even
    return back(-size - 2 * pnp.log1p(pnp.exp(-size)) - pnp.log(scale))


@_of
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, loc, scale))


@_of
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("logistic.cdf", x, loc, scale)
    return back(_logistic(z))


@_of
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("logistic.sf", x, loc, scale)
    return back(_logistic(-z))


@_of
def ppf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, loc, scale), back = floats("logistic.ppf", x, loc, scale)
    return back(logit(x) * scale + loc)


@_of
def isf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, loc, scale), back = floats("logistic.isf", x, loc, scale)
    return back(-logit(x) * scale + loc)
