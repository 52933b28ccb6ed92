"""The negative binomial distribution: how many trials fail before ``n`` have succeeded."""

from __future__ import annotations

import math
from typing import Any

from portax.lax.elementwise import lgamma
from portax.scipy.special.entropy import xlog1py
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "the negative binomial distribution",
    "5, 0.5",
    n="Successes.",
    p="Probability of success.",
)

@_of
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    (k, n, p, loc), back = floats("nbinom.logpmf", k, n, p, loc)
    y = k - loc
    inside = y >= 0
    y = pnp.where(inside, y, 0)
    log = lgamma(y + n) - lgamma(n) - lgamma(y + 1) + n * pnp.log(p) + xlog1py(y, -p)
    return back(pnp.where(inside, log, -math.inf))


@_of
def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    return pnp.exp(logpmf(k, n, p, loc))
