"""Taking the trend off a signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.errors import ArgumentError
from portax.numpy.axes import normalize_axis
from portax.numpy.joining import concatenate
from portax.numpy.promotion import promote_dtypes_inexact
from portax.numpy.reductions import mean, sum
from portax.numpy.shaping import moveaxis


def detrend(
    data: Any, axis: int = -1, type: str = "linear", bp: int | Sequence[int] | np.ndarray = 0,
    overwrite_data: None = None,
) -> Any:  # fmt: skip
    """A signal without its mean, or without the straight line nearest to it in least squares.

    Parameters
    ----------
    data : array
    axis : int
    type : "linear" or "constant"
    bp : int or sequence of int
        Where the line may break: each part between such places has its own.
    overwrite_data : None
        There for SciPy's sake.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> pnp.round(portax.scipy.signal.detrend(pnp.array([1.0, 2.0, 3.0])), 4).tolist()
    [0.0, 0.0, 0.0]
    """
    if overwrite_data is not None:
        raise ArgumentError(wrong="detrend overwrites nothing: arrays do not change", fix="Leave overwrite_data out")
    [x] = promote_dtypes_inexact("detrend", data)
    if type not in ("linear", "l", "constant", "c"):
        raise ArgumentError(wrong=f"detrend has no type {type!r}", fix="Give 'linear' or 'constant'")
    axis = normalize_axis(axis, x.ndim, "detrend")
    if type[0] == "c":
        return x - mean(x, axis=axis, keepdims=True)
    n = x.shape[axis]
    breaks = np.unique(np.concatenate([[0], np.ravel(np.asarray(bp)), [n]])).astype(int)
    if breaks[0] < 0 or breaks[-1] > n:
        raise ArgumentError(wrong=f"detrend cannot break {n} elements at {bp}", fix=f"Give places from 0 to {n}")
    x = moveaxis(x, axis, -1)
    parts = [_level(x[..., a:b]) for a, b in zip(breaks[:-1], breaks[1:], strict=True)]
    return moveaxis(concatenate(parts, axis=-1) if parts else x, -1, axis)


def _level(x: Any) -> Any:
    """The last axis without its straight line; about the middle, mean and slope are independent."""
    n = x.shape[-1]
    t = np.arange(n) - (n - 1) / 2
    x = x - mean(x, axis=-1, keepdims=True)
    if n < 2:
        return x
    weights = (t / np.sum(t * t)).astype(x.dtype)
    return x - sum(x * weights, axis=-1, keepdims=True) * t.astype(x.dtype)
