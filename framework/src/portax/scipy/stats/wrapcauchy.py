"""Cauchy's distribution wrapped around the circle.

The density is ``(1 - c^2) / (2 pi (1 + c^2 - 2 c cos(x)))``, ``x`` in [0, 2 pi].
"""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "the wrapped Cauchy distribution",
    "0.5",
    c="The concentration, between 0 and 1.",
)

@_of
def logpdf(x: Any, c: Any) -> Any:
    (x, c), back = floats("wrapcauchy.logpdf", x, c)
    log = pnp.log1p(-c * c) - math.log(2 * math.pi) - pnp.log(1 + c * c - 2 * c * pnp.cos(x))
    log = pnp.where((x >= 0) & (x <= 2 * math.pi), log, -math.inf)
    return back(pnp.where((c > 0) & (c < 1), log, math.nan))


@_of
def pdf(x: Any, c: Any) -> Any:
    return pnp.exp(logpdf(x, c))
