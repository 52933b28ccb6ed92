"""The geometric distribution: the number of the first trial that succeeds, each with probability ``p``."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.special.entropy import xlog1py
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "the geometric distribution",
    "0.5",
    p="Probability of success.",
)

@_of
def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    (k, p, loc), back = floats("geom.logpmf", k, p, loc)
    x = k - loc
    inside = x > 0
    return back(pnp.where(inside, xlog1py(pnp.where(inside, x - 1, 0), -p) + pnp.log(p), -math.inf))


@_of
def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    return pnp.exp(logpmf(k, p, loc))
