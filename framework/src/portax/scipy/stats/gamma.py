"""The gamma distribution.

The density is ``z^(a - 1) exp(-z) / (gamma(a) scale)`` with ``z = (x - loc) / scale``, ``z >= 0``.
"""

from __future__ import annotations

import math
from typing import Any

from portax.lax.elementwise import lgamma
from portax.scipy.special.entropy import xlogy
from portax.scipy.special.gamma import gammainc, gammaincc
from portax.scipy.stats.common import functions_of, pnp, standardized

_of = functions_of(
    "the gamma distribution",
    "2.0",
    a="The order, positive.",
)

@_of
def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale, a], back = standardized("gamma.logpdf", x, a, loc, scale)
    below = z < 0
    safe = pnp.where(below, 1, z)
    return back(pnp.where(below, -math.inf, xlogy(a - 1, safe) - safe - lgamma(a) - pnp.log(scale)))


@_of
def pdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, a, loc, scale))


@_of
def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _, a], back = standardized("gamma.cdf", x, a, loc, scale)
    return back(gammainc(a, pnp.maximum(z, 0)))


@_of
def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.log(cdf(x, a, loc, scale))


@_of
def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _, a], back = standardized("gamma.sf", x, a, loc, scale)
    return back(gammaincc(a, pnp.maximum(z, 0)))


@_of
def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.log(sf(x, a, loc, scale))
