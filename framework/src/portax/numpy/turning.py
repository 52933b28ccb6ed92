"""The same elements in another order along axes that stay what they are: flip, turn by quarters, roll.

Each is one or two structural primitives. What moves nothing returns the array itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.array import Array
from portax.core.trace import Tracer
from portax.errors import AxisError, ShapeError
from portax.numpy.axes import normalize_axes, normalize_axis
from portax.numpy.indexing import index
from portax.numpy.promotion import as_array
from portax.numpy.shaping import ravel, reshape, swapaxes
from portax.primitives import slicing
from portax.primitives.conversion import convert
from portax.primitives.dynamic_slicing import dynamic_slice

_INT32 = np.dtype(np.int32)


def flip(m: Any, axis: int | Sequence[int] | None = None) -> Array:
    """An array backwards along some axes.

    Parameters
    ----------
    m : Array
    axis : int or tuple of int, optional
        By default all.

    Examples
    --------
    >>> pnp.flip(pnp.arange(3))
    Array([2, 1, 0], dtype=int32)
    """
    m = as_array(m, "flip")
    axes = tuple(range(m.ndim)) if axis is None else normalize_axes(axis, m.ndim, "flip")
    return slicing.rev(m, dimensions=axes) if axes else m


def fliplr(m: Any) -> Array:
    """An array backwards along axis 1.

    Examples
    --------
    >>> pnp.fliplr(pnp.array([[1, 2], [3, 4]]))
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    return flip(m, 1)


def flipud(m: Any) -> Array:
    """An array backwards along axis 0.

    Examples
    --------
    >>> pnp.flipud(pnp.array([[1, 2], [3, 4]]))
    Array([[3, 4],
           [1, 2]], dtype=int32)
    """
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """An array turned by quarter turns in the plane of two axes, from the first towards the second.

    Parameters
    ----------
    m : Array
    k : int, number of quarter turns
    axes : two int

    Examples
    --------
    >>> pnp.rot90(pnp.array([[1, 2], [3, 4]]))
    Array([[2, 4],
           [1, 3]], dtype=int32)
    """
    m = as_array(m, "rot90")
    if len(axes) != 2 or axes[0] % max(m.ndim, 1) == axes[1] % max(m.ndim, 1):
        raise AxisError(wrong=f"rot90 needs two different axes, got {tuple(axes)}", fix="Give two axes of the array")
    first, second = normalize_axes(axes, m.ndim, "rot90")
    k = k % 4
    if k == 0:
        return m
    if k == 2:
        return flip(m, (first, second))
    return swapaxes(flip(m, second), first, second) if k == 1 else flip(swapaxes(m, first, second), second)


def roll(a: Any, shift: Any, axis: int | Sequence[int] | None = None) -> Array:
    """An array whose elements are moved along axes, those that leave at one end coming back at the other.

    Parameters
    ----------
    a : Array
    shift : int, or as many as there are axes; may be traced
    axis : int or tuple of int, optional
        By default the elements are moved in row-major order, over the ends of the axes.

    Examples
    --------
    >>> pnp.roll(pnp.arange(5), 2)
    Array([3, 4, 0, 1, 2], dtype=int32)
    """
    a = as_array(a, "roll")
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), a.shape)
    axes = [normalize_axis(d, a.ndim, "roll") for d in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    shifts = _shifts(shift)
    if len(shifts) != len(axes) and 1 not in (len(shifts), len(axes)):
        raise ShapeError(wrong=f"roll was given {len(shifts)} shifts for {len(axes)} axes", fix="Give one for each")
    count = max(len(shifts), len(axes)) if shifts and axes else 0
    for k in range(count):
        a = _rolled(a, shifts[k % len(shifts)], axes[k % len(axes)])
    return a


def _shifts(shift: Any) -> list[Any]:
    if isinstance(shift, (tuple, list)):
        return [s for part in shift for s in _shifts(part)]
    if isinstance(shift, Tracer):
        flat = ravel(shift)
        return [index(flat, k) for k in range(flat.size)]
    return [int(s) for s in np.asarray(shift).reshape(-1)]


def _rolled(a: Array, shift: Any, axis: int) -> Array:
    n = a.shape[axis]
    if isinstance(shift, Tracer):
        if n == 0:
            return a
        shift = convert(shift, _INT32)
        double = slicing.concatenate(a, a, dimension=axis)
        start = (n - shift % n) % n  # pyright: ignore[reportOperatorIssue]
        origin = np.zeros((), _INT32)
        starts = [start if d == axis else origin for d in range(a.ndim)]
        return dynamic_slice(double, *starts, slice_sizes=a.shape)
    shift = shift % n if n else 0
    if not shift:
        return a
    return slicing.concatenate(slicing.part(a, axis, n - shift, n), slicing.part(a, axis, 0, n - shift), dimension=axis)
