"""The normal distribution in several dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax import lax
from portax.errors import GapError, ShapeError
from portax.numpy.promotion import promote_dtypes_inexact
from portax.scipy.stats.common import pnp


def logpdf(x: Any, mean: Any, cov: Any, allow_singular: None = None) -> Any:
    """The logarithm of the density of the normal distribution in n dimensions.

    Parameters
    ----------
    x : array of shape (..., n)
    mean : array of shape (..., n)
    cov : array of shape (..., n, n), or a scalar
        The covariance, positive definite; a scalar stands for that multiple of the identity.
    allow_singular : None

    Returns
    -------
    Array of shape (...), floating point

    Raises
    ------
    GapError
        ``allow_singular`` was given.
    ShapeError
        The shapes do not fit together.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.stats import multivariate_normal
    >>> round(float(multivariate_normal.logpdf(pnp.zeros(2), pnp.zeros(2), pnp.eye(2))), 4)
    -1.8379
    """
    if allow_singular is not None:
        raise GapError(
            wrong="multivariate_normal has no density for singular covariances", fix="Leave allow_singular out"
        )
    x, mean, cov = promote_dtypes_inexact("multivariate_normal.logpdf", x, mean, cov)
    if not mean.ndim:
        off = x - mean
        return -0.5 * off * off / cov - 0.5 * (math.log(2 * math.pi) + pnp.log(cov))
    n = mean.shape[-1]
    if not cov.ndim:
        off = x - mean
        return -0.5 * pnp.einsum("...i,...i->...", off, off) / cov - 0.5 * n * (math.log(2 * math.pi) + pnp.log(cov))
    if cov.ndim < 2 or cov.shape[-2:] != (n, n):
        raise ShapeError(
            wrong=f"multivariate_normal needs cov of shape (..., {n}, {n}) beside mean: {mean.aval}, got {cov.aval}",
            fix="Give a matrix for each mean",
        )
    lower = lax.linalg.cholesky(cov)
    off = x - mean
    batch = np.broadcast_shapes(off.shape[:-1], cov.shape[:-2])
    off = pnp.broadcast_to(off, (*batch, n))[..., None]
    lower = pnp.broadcast_to(lower, (*batch, n, n))
    y = lax.linalg.triangular_solve(lower, off, left_side=True, lower=True)[..., 0]
    log_det = pnp.sum(pnp.log(pnp.diagonal(lower, axis1=-1, axis2=-2)), -1)
    return -0.5 * pnp.sum(y * y, -1) - 0.5 * n * math.log(2 * math.pi) - log_det


def pdf(x: Any, mean: Any, cov: Any) -> Any:
    """The density of the normal distribution in n dimensions; parameters as for ``logpdf``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.stats import multivariate_normal
    >>> round(float(multivariate_normal.pdf(pnp.zeros(2), pnp.zeros(2), pnp.eye(2))), 4)
    0.1592
    """
    return pnp.exp(logpdf(x, mean, cov))
