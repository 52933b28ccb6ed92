"""Functions along an axis: means of exponentials, standardization, one-hot coding."""

from __future__ import annotations

from typing import Any

from portax import numpy as pnp
from portax.core import dtypes
from portax.core.dtypes import user_dtype
from portax.errors import ArgumentError, ShapeError
from portax.lax.collectives import axis_index, axis_size
from portax.lax.elementwise import rsqrt
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import promote_args_inexact
from portax.numpy.softmax import logsumexp

Axis = Any


def logmeanexp(x: Any, axis: Axis = None, where: Any = None, keepdims: bool = False) -> Any:
    """``log(mean(exp(x)))`` along an axis, without overflow.

    Parameters
    ----------
    x : array
    axis : int, tuple of int, or None for all
    where : array of bool, optional
        Elements to count.
    keepdims : bool
        Keep the axes with length 1.

    Returns
    -------
    Array, floating point

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.logmeanexp(portax.numpy.ones(3)))
    1.0
    """
    x = pnp.asarray(x)
    total = logsumexp(x, axis, where=where, keepdims=keepdims)
    mask = pnp.ones_like(x, dtype=bool) if where is None else pnp.broadcast_to(pnp.asarray(where), x.shape)
    count = pnp.sum(mask, axis, dtype=dtypes.real_dtype(total.dtype), keepdims=keepdims)
    return total - pnp.log(count)


def standardize(
    x: Any, axis: Axis = -1, mean: Any = None, variance: Any = None, epsilon: Any = 1e-5, where: Any = None, *,
    algorithm: str = "fast",
) -> Any:  # fmt: skip
    """``x`` less its mean, over its standard deviation.

    Parameters
    ----------
    x : array
    axis : int, tuple of int, or None for all
    mean, variance : array, optional
        Where they are known; they broadcast against ``x``.
    epsilon : number
        Added to the variance.
    where : array of bool, optional
        Elements that count for mean and variance.
    algorithm : {"fast", "stable"}
        The variance as the mean square less the squared mean, in one pass but with cancellation, or as the mean
        squared distance from the mean.

    Returns
    -------
    Array of the shape of ``x``, floating point

    Raises
    ------
    ArgumentError
        There is no such ``algorithm``.

    Examples
    --------
    >>> import portax
    >>> [round(v, 2) for v in portax.nn.standardize(portax.numpy.array([1.0, 3.0])).tolist()]
    [-1.0, 1.0]
    """
    if algorithm not in ("fast", "stable"):
        raise ArgumentError(
            wrong=f"standardize knows no algorithm {algorithm!r}", fix='Give "fast" or "stable"'
        )
    [x] = promote_args_inexact("standardize", x)
    if mean is None:
        mean = pnp.mean(x, axis, keepdims=True, where=where)
    if variance is None and algorithm == "stable":
        variance = pnp.mean(_squared(x - mean), axis, keepdims=True, where=where)
    elif variance is None:
        variance = pnp.mean(_squared(x), axis, keepdims=True, where=where) - _squared(pnp.asarray(mean))
        variance = pnp.maximum(variance, 0)
    return (x - pnp.asarray(mean)) * rsqrt(pnp.asarray(variance) + epsilon)


def _squared(x: Any) -> Any:
    """The squared magnitude."""
    return pnp.square(pnp.abs(x)) if dtypes.is_complex(x.dtype) else pnp.square(x)


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: Any = -1) -> Any:
    """1 at the place each number says, 0 elsewhere, along a new axis.

    Parameters
    ----------
    x : array
        Places; a number that is none of them gives all zeros.
    num_classes : int
        Length of the new axis.
    dtype : dtype, optional
        Floating point by default.
    axis : int, or the name of a mapped axis
        Where the new axis stands in the result. A named axis must have ``num_classes`` places, each of which gets
        its own class.

    Returns
    -------
    Array of one more axis than ``x``, or, along a named axis, of its shape

    Raises
    ------
    ShapeError
        The named axis is not ``num_classes`` long.

    Examples
    --------
    >>> import portax
    >>> portax.nn.one_hot(portax.numpy.array([0, 1]), 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x = pnp.asarray(x)
    dtype = float if dtype is None else user_dtype(dtype, "one_hot")
    if not isinstance(axis, int):
        if axis_size(axis) != num_classes:
            raise ShapeError(
                wrong=f"one_hot was asked for {num_classes} classes along the axis {axis!r}, which has "
                f"{axis_size(axis)} places",
                fix="Map over as many places as there are classes",
            )
        return pnp.equal(x, axis_index(axis)).astype(dtype)
    place = normalize_axis(axis, x.ndim + 1, "one_hot")
    shape = tuple(num_classes if a == place else 1 for a in range(x.ndim + 1))
    classes = pnp.reshape(pnp.arange(num_classes, dtype=x.dtype), shape)
    return pnp.equal(pnp.expand_dims(x, place), classes).astype(dtype)
