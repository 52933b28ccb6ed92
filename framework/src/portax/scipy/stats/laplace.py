"""Laplace's distribution: density ``exp(-abs(z)) / (2 scale)`` with ``z = (x - loc) / scale``."""

from __future__ import annotations

from typing import Any

from portax.scipy.stats.common import functions_of, pnp, standardized

_of = functions_of("Laplace's distribution", "")

@_of
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale], back = standardized("laplace.logpdf", x, loc, scale)
    return back(-pnp.abs(z) - pnp.log(2 * scale))


@_of
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, loc, scale))


@_of
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _], back = standardized("laplace.cdf", x, loc, scale)
    tail = 0.5 * pnp.exp(-pnp.abs(z))
    return back(pnp.where(z <= 0, tail, 1 - tail))
