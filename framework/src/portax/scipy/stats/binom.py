"""The binomial distribution: how many of ``n`` trials succeed, each with probability ``p``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.special.entropy import xlog1py, xlogy
from portax.scipy.special.gamma import betaln
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "the binomial distribution",
    "5, 0.5",
    n="Trials.",
    p="Probability of success.",
)

@_of
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    (k, n, p, loc), back = floats("binom.logpmf", k, n, p, loc)
    y = k - loc
    inside = (y >= 0) & (y <= n)
    y = pnp.where(inside, y, 0)
    ways = -betaln(n - y + 1, y + 1) - pnp.log1p(n)
    return back(pnp.where(inside, ways + xlogy(y, p) + xlog1py(n - y, -p), -math.inf))


@_of
def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    return pnp.exp(logpmf(k, n, p, loc))
