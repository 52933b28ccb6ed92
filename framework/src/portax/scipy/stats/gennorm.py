"""The generalized normal distribution: density proportional to ``exp(-abs(x)^beta)``."""

from __future__ import annotations

from typing import Any

from portax.lax.elementwise import lgamma
from portax.scipy.special.gamma import gammaincc
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "the generalized normal distribution",
    "2.0",
    beta="The shape, positive.",
)

@_of
def logpdf(x: Any, beta: Any) -> Any:
    (x, beta), back = floats("gennorm.logpdf", x, beta)
    return back(pnp.log(0.5 * beta) - lgamma(1 / beta) - pnp.abs(x) ** beta)


@_of
def pdf(x: Any, beta: Any) -> Any:
    return pnp.exp(logpdf(x, beta))


@_of
def cdf(x: Any, beta: Any) -> Any:
    (x, beta), back = floats("gennorm.cdf", x, beta)
    tail = 0.5 * gammaincc(1 / beta, pnp.abs(x) ** beta)
    return back(pnp.where(x > 0, 1 - tail, tail))
