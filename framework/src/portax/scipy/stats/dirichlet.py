"""Dirichlet's distribution on the simplex: density proportional to ``prod(x_i^(alpha_i - 1))``."""

from __future__ import annotations

import math
from typing import Any

from portax.errors import ShapeError
from portax.lax.elementwise import lgamma
from portax.numpy.promotion import promote_dtypes_inexact
from portax.scipy.special.entropy import xlogy
from portax.scipy.stats.common import pnp


def logpdf(x: Any, alpha: Any) -> Any:
    """The logarithm of the density of Dirichlet's distribution.

    Parameters
    ----------
    x : array of shape (n, ...) or (n - 1, ...)
        Nonnegative numbers along the first axis, whose sum is 1; without the last it is what is missing.
    alpha : array of shape (n,)
        The orders, positive.

    Returns
    -------
    Array of shape (...), floating point

    Raises
    ------
    ShapeError
        ``alpha`` has not one axis, or ``x`` not as many numbers.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.stats import dirichlet
    >>> round(float(dirichlet.logpdf(pnp.array([0.25, 0.75]), pnp.ones(2))), 6)
    0.0
    """
    x, alpha = promote_dtypes_inexact("dirichlet.logpdf", x, alpha)
    if alpha.ndim != 1:
        raise ShapeError(wrong=f"dirichlet needs alpha of one axis, got {alpha.aval}", fix="Give a vector")
    if not x.ndim or x.shape[0] not in (alpha.shape[0], alpha.shape[0] - 1):
        raise ShapeError(
            wrong=f"dirichlet needs as many numbers along the first axis of x: {x.aval} as there are in "
            f"alpha: {alpha.aval}, or one less",
            fix="Move the axis of the simplex to the front",
        )
    if x.shape[0] != alpha.shape[0]:
        x = pnp.concatenate([x, 1 - pnp.sum(x, 0, keepdims=True)])
    column = pnp.reshape(alpha, (-1,) + (1,) * (x.ndim - 1))
    constant = lgamma(pnp.sum(alpha)) - pnp.sum(lgamma(alpha))
    inside = pnp.all(x >= 0, 0) & (pnp.abs(pnp.sum(x, 0) - 1) < 1e-6)
    log = constant + pnp.sum(xlogy(column - 1, pnp.where(inside, x, 0.5)), 0)
    return pnp.where(inside, log, -math.inf)


def pdf(x: Any, alpha: Any) -> Any:
    """The density of Dirichlet's distribution; parameters as for ``logpdf``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.stats import dirichlet
    >>> round(float(dirichlet.pdf(pnp.array([0.25, 0.75]), pnp.ones(2))), 6)
    1.0
    """
    return pnp.exp(logpdf(x, alpha))
