"""The uniform distribution from ``loc`` to ``loc + scale``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of("the uniform distribution", "")

@_of
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, loc, scale), back = floats("uniform.logpdf", x, loc, scale)
    outside = (x < loc) | (x > loc + scale)
    return back(pnp.where(outside, -math.inf, -pnp.log(scale) + 0 * pnp.where(outside, 0, x - loc)))


@_of
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, loc, scale))


@_of
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, loc, scale), back = floats("uniform.cdf", x, loc, scale)
    return back(pnp.clip((x - loc) / scale, 0, 1))


@_of
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (q, loc, scale), back = floats("uniform.ppf", q, loc, scale)
    return back(pnp.where((q >= 0) & (q <= 1), q * scale + loc, math.nan))
