"""A function of vectors, or of one axis, applied to whole arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from portax.core.array import Array
from portax.errors import ShapeError
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array
from portax.numpy.shaping import expand_dims, moveaxis, reshape
from portax.transforms.batch import batch, materialize


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Array:
    """A function of vectors applied to every slice of an array along an axis.

    Parameters
    ----------
    func1d : callable, (vector, *args, **kwargs) -> Array
        Called once, on all slices together.
    axis : int
    arr : Array

    Returns
    -------
    Array whose axes are those of ``arr``, the axes of the function's result in place of ``axis``

    Examples
    --------
    >>> pnp.apply_along_axis(lambda v: v[::-1], 1, pnp.array([[1, 2], [3, 4]]))
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    x = as_array(arr, "apply_along_axis")
    axis = normalize_axis(axis, x.ndim, "apply_along_axis")
    x = moveaxis(x, axis, -1)
    lead = x.shape[:-1]
    size = math.prod(lead)
    rows = reshape(x, (size, x.shape[-1]))
    (out,), (varies,) = batch(
        lambda v: [as_array(func1d(v, *args, **kwargs), "apply_along_axis")], [rows], [True], size
    )
    out = materialize(out, varies, size)
    rank = out.ndim - 1
    out = reshape(out, (*lead, *out.shape[1:]))
    return moveaxis(out, tuple(range(len(lead), len(lead) + rank)), tuple(range(axis, axis + rank)))


def apply_over_axes(func: Callable[[Any, int], Any], a: Any, axes: int | Sequence[int]) -> Array:
    """A function of an array and an axis applied along several axes in turn.

    Parameters
    ----------
    func : callable, (array, axis) -> Array with the axis of length 1, or without it
    a : Array
    axes : int or sequence of int

    Examples
    --------
    >>> pnp.apply_over_axes(lambda x, axis: pnp.take(x, 0, axis), pnp.ones((2, 3)), (0, 1)).shape
    (1, 1)
    """
    x = as_array(a, "apply_over_axes")
    for axis in axes if isinstance(axes, (tuple, list)) else (axes,):
        d = normalize_axis(axis, x.ndim, "apply_over_axes")
        out = as_array(func(x, d), "apply_over_axes")
        if out.ndim == x.ndim - 1:
            out = expand_dims(out, d)
        if out.ndim != x.ndim:
            raise ShapeError(
                wrong=f"apply_over_axes: the function turned shape {x.shape} into {out.shape} along axis {d}",
                fix="Return an array with that axis of length 1, or without it",
            )
        x = out
    return x
