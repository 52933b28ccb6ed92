"""The multinomial distribution: how often each outcome comes of ``n`` trials."""

from __future__ import annotations

import math
from typing import Any

from portax.lax.elementwise import lgamma
from portax.numpy.promotion import promote_args_inexact
from portax.scipy.special.entropy import xlogy
from portax.scipy.stats.common import pnp


def logpmf(x: Any, n: Any, p: Any) -> Any:
    """The logarithm of the probability of the counts ``x``.

    Parameters
    ----------
    x : array of shape (..., k)
        Counts of the outcomes.
    n : array of shape (...)
        Trials; impossible where they are not the sum of the counts.
    p : array of shape (..., k)
        Probabilities of the outcomes.

    Returns
    -------
    Array of shape (...), floating point

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.stats import multinomial
    >>> round(float(multinomial.logpmf(pnp.array([1, 1]), 2, pnp.array([0.5, 0.5]))), 4)
    -0.6931
    """
    p = promote_args_inexact("multinomial.logpmf", p)[0]
    x, n = pnp.asarray(x).astype(p.dtype), pnp.asarray(n).astype(p.dtype)
    log = lgamma(n + 1) + pnp.sum(xlogy(x, p) - lgamma(x + 1), -1)
    return pnp.where(pnp.equal(n, pnp.sum(x, -1)), log, -math.inf)


def pmf(x: Any, n: Any, p: Any) -> Any:
    """The probability of the counts ``x``; parameters as for ``logpmf``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.stats import multinomial
    >>> round(float(multinomial.pmf(pnp.array([1, 1]), 2, pnp.array([0.5, 0.5]))), 4)
    0.5
    """
    return pnp.exp(logpmf(x, n, p))
