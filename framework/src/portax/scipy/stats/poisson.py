"""The Poisson distribution: the probability of ``k`` is ``mu^k exp(-mu) / k!``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.lax.elementwise import lgamma
from portax.scipy.special.common import is_double
from portax.scipy.special.entropy import xlogy
from portax.scipy.special.gamma import gammaincc
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of("the Poisson distribution", "3.0", mu="The mean, at least 0.")


def _log(k: Any, mu: Any) -> Any:
    return xlogy(k, mu) - mu - lgamma(k + 1)


@_of
def logpmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    (k, mu, loc), back = floats("poisson.logpmf", k, mu, loc)
    x = k - loc
    inside = (x >= 0) & (x == pnp.floor(x))
    return back(pnp.where(inside, _log(pnp.where(inside, x, 0), mu), -math.inf))


@_of
def pmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    return pnp.exp(logpmf(k, mu, loc))


@_of
def cdf(k: Any, mu: Any, loc: Any = 0) -> Any:
    (k, mu, loc), back = floats("poisson.cdf", k, mu, loc)
    x = pnp.floor(k - loc)
    inside = x >= 0
    return back(pnp.where(inside, gammaincc(pnp.where(inside, x, 0) + 1, mu), 0))


@_of
def entropy(mu: Any, loc: Any = 0) -> Any:
    (mu, loc), back = floats("poisson.entropy", mu, loc)
    mu = pnp.broadcast_to(mu, np.broadcast_shapes(mu.shape, loc.shape))
    # The sum itself where the mean is small; else a series in 1 / mu (Evans and Boersma, SIAM Review 30(2), 1988).
    least, terms = (300.0, 520) if is_double(mu) else (30.0, 110)
    small = mu < least
    safe = pnp.where(small, mu, 1)[..., None]
    logs = _log(pnp.arange(terms, dtype=mu.dtype), safe)
    summed = -pnp.sum(pnp.exp(logs) * pnp.where(logs == -math.inf, 0, logs), -1)
    large = pnp.where(small, least, mu)
    inverse = 1 / large
    series = 0.5 * pnp.log(2 * math.pi * math.e * large)
    series = series - inverse * (1 / 12 + inverse * (1 / 24 + inverse * (19 / 360)))
    out = pnp.where(small, summed, series)
    return back(pnp.where(mu == 0, 0, pnp.where(mu > 0, out, math.nan)))
