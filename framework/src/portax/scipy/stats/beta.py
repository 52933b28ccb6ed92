"""The beta distribution.

The density is ``z^(a - 1) (1 - z)^(b - 1) / (beta(a, b) scale)`` with ``z = (x - loc) / scale`` in [0, 1].
"""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.special.entropy import xlog1py, xlogy
from portax.scipy.special.gamma import betainc, betaln
from portax.scipy.stats.common import functions_of, pnp, standardized

_of = functions_of(
    "the beta distribution",
    "2.0, 3.0",
    a="The first order, positive.",
    b="The second order, positive.",
)

@_of
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale, a, b], back = standardized("beta.logpdf", x, a, b, loc, scale)
    outside = (z < 0) | (z > 1)
    safe = pnp.where(outside, 0.5, z)
    log = xlogy(a - 1, safe) + xlog1py(b - 1, -safe) - betaln(a, b) - pnp.log(scale)
    return back(pnp.where(outside, -math.inf, log))


@_of
def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, a, b, loc, scale))


@_of
def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _, a, b], back = standardized("beta.cdf", x, a, b, loc, scale)
    return back(betainc(a, b, pnp.clip(z, 0, 1)))


@_of
def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.log(cdf(x, a, b, loc, scale))


@_of
def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, _, a, b], back = standardized("beta.sf", x, a, b, loc, scale)
    return back(betainc(b, a, 1 - pnp.clip(z, 0, 1)))


@_of
def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.log(sf(x, a, b, loc, scale))
