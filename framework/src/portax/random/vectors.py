"""Points and directions: generalized normal numbers, the ball."""

from __future__ import annotations

from typing import Any

from portax import numpy as pnp
from portax.core.array import Array
from portax.errors import ArgumentError
from portax.random.continuous import exponential_of
from portax.random.gamma import gamma_of
from portax.random.sampling import Shape, dtype_for, sampler, sizes, typed_key, unsharded
from portax.random.uniform import split_key, unit


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


def generalized_normal(
    key: Any, p: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
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
    unsharded("generalized_normal", out_sharding)
    key, _ = typed_key(key, "generalized_normal")
    shape, dtype = sizes(shape, "generalized_normal"), dtype_for(dtype, "generalized_normal")
    return _generalized_normal(key, pnp.asarray(p, dtype_for(None, "p")), shape=shape, dtype=dtype)


def ball(
    key: Any, d: int, p: Any = 2, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
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
    unsharded("ball", out_sharding)
    key, _ = typed_key(key, "ball")
    if not isinstance(d, int) or d < 1:
        raise ArgumentError(wrong=f"ball was asked for {d!r} dimensions", fix="Give an int of at least 1")
    shape, dtype = sizes(shape, "ball"), dtype_for(dtype, "ball")
    return _ball(key, pnp.asarray(p, dtype_for(None, "p")), shape=shape, d=d, dtype=dtype)
