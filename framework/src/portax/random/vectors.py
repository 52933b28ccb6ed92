"""Points and directions: normal numbers in several dimensions, the ball, orthogonal matrices."""

from __future__ import annotations

from typing import Any

from portax import numpy as pnp
from portax.core import dtypes
from portax.core.array import Array
from portax.core.lazy import lazy
from portax.errors import ArgumentError, ShapeError
from portax.numpy.promotion import as_array, promote_dtypes_inexact
from portax.random.continuous import exponential_of
from portax.random.gamma import gamma_of
from portax.random.normal import any_normal
from portax.random.sampling import Shape, common_shape, dtype_for, sampler, sizes, typed_key
from portax.random.uniform import split_key, unit

#: Few programs draw by matrices, and its import is long.
laying = lazy("portax.higher_order.laying")
linalg = lazy("portax.numpy.linalg")


def _generalized(key: Any, p: Any, shape: Shape, dtype: Any) -> Any:
    """Gamma numbers of order ``1 / p``, to the power ``1 / p``, with random signs."""
    for_size, for_sign = split_key(key)
    own = dtype_for(None, "generalized_normal")
    size = gamma_of(for_size, 1 / p, shape, dtype, False)
    sign = 2 * (unit(for_sign, shape, own) < 0.5).astype(dtype) - 1
    return sign * size ** (1 / p).astype(dtype)


@sampler
def _generalized_normal(key: Any, p: Any, *, shape: Shape, dtype: Any) -> Any:
    return _generalized(key, p, shape, dtype)


@sampler
def _ball(key: Any, p: Any, *, shape: Shape, d: int, dtype: Any) -> Any:
    for_point, for_radius = split_key(key)
    point = _generalized(for_point, p, (*shape, d), dtype)
    extra = exponential_of(for_radius, shape, dtype)
    length = (pnp.sum(pnp.abs(point) ** p.astype(dtype), -1) + extra) ** (1 / p).astype(dtype)
    return point / length[..., None]


def generalized_normal(key: Any, p: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Generalized normal numbers: the density is proportional to ``exp(-abs(x)**p)``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    p : float
    shape : tuple of int
    dtype : floating dtype, optional

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from portax import random
    >>> random.generalized_normal(random.key(0), 3.0, (2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(generalized_normal(key, p, shape, dtype), out_sharding)
    key, _ = typed_key(key, "generalized_normal")
    shape, dtype = sizes(shape, "generalized_normal"), dtype_for(dtype, "generalized_normal")
    return _generalized_normal(key, pnp.asarray(p, dtype_for(None, "p")), shape=shape, dtype=dtype)


def ball(key: Any, d: int, p: Any = 2, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Points of the ball of radius 1 in ``d`` dimensions, each with the same probability.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    d : int
    p : float
        The ball is that of the norm ``sum(abs(x)**p)**(1 / p)``.
    shape : tuple of int
        Of the array of points.
    dtype : floating dtype, optional

    Returns
    -------
    Array of shape (*shape, d) and ``dtype``

    Raises
    ------
    ArgumentError
        ``d`` is no positive int.

    References
    ----------
    Barthe, Guédon, Mendelson and Naor, A probabilistic approach to the geometry of the l_p^n-ball, 2005.

    Examples
    --------
    >>> from portax import random
    >>> random.ball(random.key(0), 3, shape=(2,)).shape
    (2, 3)
    """
    if out_sharding is not None:
        return laying.laid(ball(key, d, p, shape, dtype), out_sharding)
    key, _ = typed_key(key, "ball")
    if not isinstance(d, int) or d < 1:
        raise ArgumentError(wrong=f"ball was asked for {d!r} dimensions", fix="Give an int of at least 1")
    shape, dtype = sizes(shape, "ball"), dtype_for(dtype, "ball")
    return _ball(key, pnp.asarray(p, dtype_for(None, "p")), shape=shape, d=d, dtype=dtype)


# -- by matrices ------------------------------------------------------------------------------------------------------
@sampler
def _multivariate_normal(key: Any, mean: Any, cov: Any, *, shape: Shape, dtype: Any, method: str) -> Any:
    mean, cov = promote_dtypes_inexact("multivariate_normal", mean, cov)
    if method == "cholesky":
        factor = linalg.cholesky(cov)
    elif method == "eigh":
        squares, vectors = linalg.eigh(cov)
        factor = vectors * pnp.sqrt(squares[..., None, :])
    else:
        vectors, squares, _ = linalg.svd(cov)
        factor = vectors * pnp.sqrt(squares[..., None, :])
    n = mean.aval.shape[-1]
    out = mean + pnp.einsum("...ij,...j->...i", factor, any_normal(key, (*shape, n), dtype))
    return out.astype(dtype)


def multivariate_normal(
    key: Any, mean: Any, cov: Any, shape: Any = None, dtype: Any = None, method: str = "cholesky", *,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """Normal numbers in n dimensions, of a given mean and covariance.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    mean : Array of shape (..., n)
    cov : Array of shape (..., n, n)
    shape : tuple of int, optional
        Without the last axis; by default what ``mean`` and ``cov`` spread to.
    dtype : floating dtype, optional
    method : {"cholesky", "eigh", "svd"}
        How a factor of the covariance is found; the last two also where it is singular.

    Returns
    -------
    Array of shape (*shape, n) and ``dtype``

    Raises
    ------
    ArgumentError
        There is no such method.
    ShapeError
        The shapes do not fit together.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import random
    >>> random.multivariate_normal(random.key(0), pnp.zeros(2), pnp.eye(2), (3,)).shape
    (3, 2)
    """
    if out_sharding is not None:
        return laying.laid(multivariate_normal(key, mean, cov, shape, dtype, method), out_sharding)
    key, _ = typed_key(key, "multivariate_normal")
    if method not in ("cholesky", "eigh", "svd"):
        raise ArgumentError(
            wrong=f"multivariate_normal knows no method {method!r}", fix='Give "cholesky", "eigh" or "svd"'
        )
    mean, cov = as_array(mean, "multivariate_normal"), as_array(cov, "multivariate_normal")
    # Where no dtype is asked for, it is that of the parameters.
    own = promote_dtypes_inexact("multivariate_normal", mean, cov)[0].dtype
    dtype = own if dtype is None else dtype_for(dtype, "multivariate_normal")
    if not mean.ndim or cov.ndim < 2 or cov.shape[-2:] != (mean.shape[-1],) * 2:
        raise ShapeError(
            wrong=f"multivariate_normal needs a mean (..., n) and a cov (..., n, n), got {mean.aval} and {cov.aval}",
            fix="Give one matrix for each vector",
        )
    lead = common_shape(shape, "multivariate_normal", mean.shape[:-1], cov.shape[:-2])
    return _multivariate_normal(key, mean, cov, shape=lead, dtype=dtype, method=method)


@sampler
def _orthogonal(key: Any, *, shape: Shape, n: int, m: int, dtype: Any) -> Any:
    q, r = linalg.qr(any_normal(key, (*shape, max(n, m), min(n, m)), dtype))
    # The factorisation is unique up to these signs; with them every orthogonal matrix has the same probability.
    q = q * pnp.sign(pnp.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    if n >= m:
        return q
    return pnp.conj(pnp.swapaxes(q, -1, -2)) if dtypes.is_complex(dtype) else pnp.swapaxes(q, -1, -2)


def orthogonal(
    key: Any, n: int, shape: Any = (), dtype: Any = None, m: int | None = None, *, out_sharding: Any = None
) -> Array:
    """Orthogonal (or unitary) matrices, each with the same probability.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    n : int
        Rows.
    shape : tuple of int
        Of the array of matrices.
    dtype : floating or complex dtype, optional
    m : int, optional
        Columns, as many as rows by default; the rows or the columns are orthonormal, whichever are fewer.

    Returns
    -------
    Array of shape (*shape, n, m) and ``dtype``

    References
    ----------
    Mezzadri, How to generate random matrices from the classical compact groups, Notices of the AMS 54(5), 2007.

    Examples
    --------
    >>> from portax import random
    >>> random.orthogonal(random.key(0), 3).shape
    (3, 3)
    """
    if out_sharding is not None:
        return laying.laid(orthogonal(key, n, shape, dtype, m), out_sharding)
    key, _ = typed_key(key, "orthogonal")
    shape, dtype = sizes(shape, "orthogonal"), dtype_for(dtype, "orthogonal", "inexact")
    return _orthogonal(key, shape=shape, n=int(n), m=int(n if m is None else m), dtype=dtype)
