"""The Bernoulli distribution: 1 with probability ``p``, else 0."""

from __future__ import annotations

import math
from typing import Any

from portax.scipy.special.entropy import xlog1py, xlogy
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "the Bernoulli distribution",
    "0.5",
    p="Probability of 1.",
)

@_of
def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    (k, p, loc), back = floats("bernoulli.logpmf", k, p, loc)
    x = k - loc
    log = xlogy(x, p) + xlog1py(1 - x, -p)
    return back(pnp.where((x == 0) | (x == 1), log, -math.inf))


@_of
def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    return pnp.exp(logpmf(k, p, loc))


@_of
def cdf(k: Any, p: Any) -> Any:
    (k, p), back = floats("bernoulli.cdf", k, p)
    out = pnp.where(k < 0, 0, pnp.where(k < 1, 1 - p, 1))
    return back(pnp.where(pnp.isnan(k) | pnp.isnan(p) | (p < 0) | (p > 1), math.nan, out).astype(p.dtype))


@_of
def ppf(q: Any, p: Any) -> Any:
    (q, p), back = floats("bernoulli.ppf", q, p)
    out = pnp.where(q <= 1 - p, 0, 1)
    wrong = pnp.isnan(q) | pnp.isnan(p) | (p < 0) | (p > 1) | (q < 0) | (q > 1)
    return back(pnp.where(wrong, math.nan, out).astype(p.dtype))
