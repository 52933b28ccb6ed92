"""The beta-binomial distribution: the binomial one, its probability drawn from a beta distribution."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.special.gamma import betaln
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "the beta-binomial distribution",
    "5, 2.0, 3.0",
    n="Trials.",
    a="The first order of the beta distribution.",
    b="The second order.",
)

@_of
def logpmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    (k, n, a, b, loc), back = floats("betabinom.logpmf", k, n, a, b, loc)
    y = pnp.floor(k) - loc
    inside = (y >= 0) & (y <= n)
    y = pnp.where(inside, y, 0)
    log = -pnp.log1p(n) - betaln(n - y + 1, y + 1) + betaln(y + a, n - y + b) - betaln(a, b)
    log = pnp.where(inside, log, -math.inf)
    return back(pnp.where((n < 0) | (a <= 0) | (b <= 0), math.nan, log))


@_of
def pmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    return pnp.exp(logpmf(k, n, a, b, loc))
