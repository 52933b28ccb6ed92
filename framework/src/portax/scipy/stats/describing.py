"""Descriptions of data: the most common value, ranks, the standard error of the mean."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError
from portax.lax.reductions import cummax
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import promote_dtypes_inexact


class ModeResult(NamedTuple):
    """The most common value, and how often it occurs."""

    mode: Any
    count: Any


def _policy(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ArgumentError(
            wrong=f"{name} knows no nan_policy {given!r}", fix=f"Give one of {', '.join(map(repr, known))}"
        )


def mode(a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False) -> ModeResult:
    """The most common value along an axis, the least of several, and how often it occurs.

    Parameters
    ----------
    a : array
    axis : int, or None for the flattened array
    nan_policy : {"propagate"}
    keepdims : bool
        Keep the axis with length 1.

    Returns
    -------
    ModeResult
        ``mode`` of the dtype of ``a``, ``count`` of the default integer dtype.

    Raises
    ------
    ArgumentError
        ``nan_policy`` is another.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import stats
    >>> [int(v) for v in stats.mode(pnp.array([3, 1, 3, 2]))]
    [3, 2]
    """
    _policy("mode", nan_policy, ("propagate",))
    x = pnp.asarray(a)
    rank = x.ndim
    if axis is None:
        x = pnp.ravel(x)
    place = 0 if axis is None else normalize_axis(axis, x.ndim, "mode")
    ordered = pnp.sort(pnp.moveaxis(x, place, -1), -1)
    n = ordered.shape[-1]
    if not n:
        nothing = pnp.full(ordered.shape[:-1], math.nan)
        return ModeResult(nothing, pnp.zeros_like(nothing))
    # Where a run of equal values starts; a run's length is known at its last element.
    index = pnp.arange(n)
    equal = ordered[..., 1:] == ordered[..., :-1]
    if dtypes.is_inexact(x.dtype):
        equal = equal | (pnp.isnan(ordered[..., 1:]) & pnp.isnan(ordered[..., :-1]))
    first = pnp.concatenate([pnp.ones((*ordered.shape[:-1], 1), bool), ~equal], -1)
    start = pnp.where(first, index, 0)
    length = index + 1 - _running_max(start)
    at = pnp.argmax(length, -1)[..., None]
    value, count = pnp.take_along_axis(ordered, at, -1), pnp.take_along_axis(length, at, -1)
    if keepdims:
        if axis is None:
            return ModeResult(*(pnp.reshape(v, (1,) * rank) for v in (value, count)))
        return ModeResult(*(pnp.moveaxis(v, -1, place) for v in (value, count)))
    return ModeResult(value[..., 0], count[..., 0])


def _running_max(x: Any) -> Any:
    """The greatest so far along the last axis."""
    return cummax(x, x.ndim - 1)


def rankdata(
    a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate"
) -> Any:
    """The place of each element in order, from 1.

    Parameters
    ----------
    a : array
    method : {"average", "min", "max", "dense", "ordinal"}
        What equal elements get: the mean, the least or the greatest of their places, the number of different values
        up to theirs, or a place each.
    axis : int, or None for the flattened array
    nan_policy : {"propagate"}
        Where one is NaN all are.

    Returns
    -------
    Array, floating point

    Raises
    ------
    ArgumentError
        There is no such method or policy.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import stats
    >>> stats.rankdata(pnp.array([10, 30, 20, 30])).tolist()
    [1.0, 3.5, 2.0, 3.5]
    """
    _policy("rankdata", nan_policy, ("propagate",))
    if method not in ("average", "min", "max", "dense", "ordinal"):
        raise ArgumentError(
            wrong=f"rankdata knows no method {method!r}",
            fix='Give "average", "min", "max", "dense" or "ordinal"',
        )
    x = pnp.asarray(a)
    if axis is None:
        x, axis = pnp.ravel(x), 0
    place = normalize_axis(axis, x.ndim, "rankdata")
    x = pnp.moveaxis(x, place, -1)
    order = pnp.argsort(x, -1, stable=True)
    back = pnp.argsort(order, -1, stable=True)
    n = x.shape[-1]
    floating = pnp.asarray(0.0).dtype
    if method == "ordinal":
        ranks = back + 1
    else:
        ordered = pnp.take_along_axis(x, order, -1)
        ends = pnp.ones((*x.shape[:-1], 1), bool)
        differs = ordered[..., 1:] != ordered[..., :-1]
        first, last = pnp.concatenate([ends, differs], -1), pnp.concatenate([differs, ends], -1)
        index = pnp.arange(n)
        low = _running_max(pnp.where(first, index, 0)) + 1
        high = n - pnp.flip(_running_max(pnp.where(pnp.flip(last, -1), index, 0)), -1)
        chosen = {
            "min": low, "max": high, "dense": pnp.cumsum(first, -1), "average": (low + high) / 2,
        }[method]  # fmt: skip
        ranks = pnp.take_along_axis(chosen, back, -1)
    ranks = ranks.astype(floating)
    if dtypes.is_inexact(x.dtype):
        ranks = pnp.where(pnp.any(pnp.isnan(x), -1, keepdims=True), math.nan, ranks)
    return pnp.moveaxis(ranks, -1, place)


def sem(
    a: Any, axis: int | None = 0, ddof: int = 1, nan_policy: str = "propagate", *, keepdims: bool = False
) -> Any:
    """The standard error of the mean: the standard deviation over the root of the number of elements.

    Parameters
    ----------
    a : array
    axis : int, or None for all
    ddof : int
        Taken off the number of elements that the squares are divided by.
    nan_policy : {"propagate", "omit"}
        With "omit" NaN does not count.
    keepdims : bool
        Keep the axis with length 1.

    Returns
    -------
    Array, floating point

    Raises
    ------
    ArgumentError
        ``nan_policy`` is another.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import stats
    >>> float(stats.sem(pnp.array([1.0, 3.0])))
    1.0
    """
    _policy("sem", nan_policy, ("propagate", "omit"))
    [x] = promote_dtypes_inexact("sem", a)
    if nan_policy == "propagate":
        size = x.size if axis is None else x.shape[normalize_axis(axis, x.ndim, "sem")]
        return pnp.std(x, axis, ddof=ddof, keepdims=keepdims) / pnp.sqrt(pnp.asarray(size, x.dtype))
    count = ~pnp.isnan(x)
    size = pnp.sum(count, axis, keepdims=keepdims).astype(dtypes.real_dtype(x.dtype))
    return pnp.std(x, axis, ddof=ddof, keepdims=keepdims, where=count) / pnp.sqrt(size)
