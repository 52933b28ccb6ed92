"""Shapes: the elements of arrays under another shape, order or neighbourhood."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core.aval import aval_of
from portax.core.lazy import lazy
from portax.errors import ArgumentError, AxisError, ShapeError
from portax.lax.operands import as_operand, axis_of, operands, shape_of

laying = lazy("portax.higher_order.laying")

Operand = Any


def broadcast_in_dim(
    operand: Operand, shape: Sequence[int], broadcast_dimensions: Sequence[int], *, out_sharding: Any = None
) -> Any:
    """``operand`` repeated to ``shape``, its axis ``i`` becoming axis ``broadcast_dimensions[i]``.

    Examples
    --------
    >>> lax.broadcast_in_dim(np.float32([3.0, 1.0, 2.0]), (2, 3), (1,)).shape
    (2, 3)
    """
    if out_sharding is not None:
        return laying.laid(broadcast_in_dim(operand, shape, broadcast_dimensions), out_sharding)
    x = as_operand(operand, "broadcast_in_dim")
    shape, dims = shape_of(shape), shape_of(broadcast_dimensions)
    if x.shape == shape and dims == tuple(range(len(shape))):
        return x
    return p.broadcast_in_dim(x, shape=shape, broadcast_dimensions=dims)


def broadcast(operand: Operand, sizes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """``operand`` with new leading axes of ``sizes``.

    Examples
    --------
    >>> lax.broadcast(np.float32([3.0, 1.0, 2.0]), (2,)).shape
    (2, 3)
    """
    if out_sharding is not None:
        return laying.laid(broadcast(operand, sizes), out_sharding)
    x = as_operand(operand, "broadcast")
    lead = shape_of(sizes)
    return broadcast_in_dim(x, (*lead, *x.shape), range(len(lead), len(lead) + x.ndim))


def broadcast_like(arr: Operand, like_arr: Operand) -> Any:
    """``arr`` spread to the shape of ``like_arr``, axes aligned at the end.

    Examples
    --------
    >>> lax.broadcast_like(np.float32(1.0), np.float32([3.0, 1.0, 2.0]))
    Array([1., 1., 1.], dtype=float32)
    """
    x, shape = as_operand(arr, "broadcast_like"), aval_of(like_arr).shape
    return broadcast_in_dim(x, shape, range(len(shape) - x.ndim, len(shape)))


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of ``shapes`` broadcast to.

    Examples
    --------
    >>> lax.broadcast_shapes((3, 1), (1, 4))
    (3, 4)
    """
    try:
        return tuple(int(n) for n in np.broadcast_shapes(*[tuple(s) for s in shapes]))
    except ValueError:
        raise ShapeError(
            wrong=f"the shapes {', '.join(map(str, shapes))} do not broadcast together",
            fix="Axes are matched from the last; the lengths must be equal, or one of them 1",
        ) from None


def broadcast_to_rank(x: Operand, rank: int) -> Any:
    """``x`` with leading axes of length 1 up to ``rank``.

    Examples
    --------
    >>> lax.broadcast_to_rank(np.float32([3.0, 1.0, 2.0]), 3).shape
    (1, 1, 3)
    """
    x = as_operand(x, "broadcast_to_rank")
    return expand_dims(x, range(rank - x.ndim)) if rank > x.ndim else x


def reshape(operand: Operand, new_sizes: Any, dimensions: Any = None, *, out_sharding: Any = None) -> Any:
    """The elements of ``operand``, in row-major order, in another shape; one size may be -1.

    Examples
    --------
    >>> lax.reshape(np.arange(6).reshape(2, 3), (3, 2)).shape
    (3, 2)
    """
    if out_sharding is not None:
        return laying.laid(reshape(operand, new_sizes, dimensions), out_sharding)
    x = as_operand(operand, "reshape")
    sizes = shape_of(new_sizes) if np.iterable(new_sizes) else (operator.index(new_sizes),)
    if dimensions is not None and tuple(dimensions) != tuple(range(x.ndim)):
        x = transpose(x, dimensions)
    if -1 in sizes:
        known = math.prod(n for n in sizes if n != -1)
        if sizes.count(-1) > 1 or not known or x.size % known:
            raise ShapeError(
                wrong=f"reshape cannot find the missing size of {sizes} for the {x.size} elements of {x.aval}",
                fix="Leave one size open, and make the others divide the number of elements",
            )
        sizes = tuple(x.size // known if n == -1 else n for n in sizes)
    return x if sizes == x.shape else p.reshape(x, new_sizes=sizes, dimensions=None)


def transpose(operand: Operand, permutation: Sequence[int]) -> Any:
    """``operand`` with its axes in the order ``permutation``.

    Examples
    --------
    >>> lax.transpose(np.ones((2, 3), np.float32), (1, 0)).shape
    (3, 2)
    """
    x = as_operand(operand, "transpose")
    order = tuple(int(d) for d in permutation)
    return x if order == tuple(range(x.ndim)) else p.transpose(x, permutation=order)


def expand_dims(array: Operand, dimensions: Sequence[int]) -> Any:
    """``array`` with axes of length 1 at ``dimensions`` of the result.

    Examples
    --------
    >>> lax.expand_dims(np.float32([3.0, 1.0, 2.0]), (0,)).shape
    (1, 3)
    """
    x = as_operand(array, "expand_dims")
    ndim = x.ndim + len(tuple(dimensions))
    new = {axis_of("expand_dims", d, ndim) for d in dimensions}
    if len(new) != ndim - x.ndim:
        raise AxisError(wrong=f"expand_dims names an axis twice: {tuple(dimensions)}", fix="Name each axis once")
    old = iter(x.shape)
    shape = tuple(1 if d in new else next(old) for d in range(ndim))
    return p.broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(d for d in range(ndim) if d not in new))


def squeeze(array: Operand, dimensions: Sequence[int]) -> Any:
    """``array`` without the axes ``dimensions``, each of length 1.

    Examples
    --------
    >>> lax.squeeze(np.ones((1, 3), np.float32), (0,)).shape
    (3,)
    """
    x = as_operand(array, "squeeze")
    dims = tuple(sorted(axis_of("squeeze", d, x.ndim) for d in dimensions))
    return p.squeeze(x, dimensions=dims) if dims else x


def collapse(operand: Operand, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """``operand`` with the axes from ``start_dimension`` up to ``stop_dimension`` made one (of length 1, if none).

    Examples
    --------
    >>> lax.collapse(np.ones((2, 3, 4), np.float32), 0, 2).shape
    (6, 4)
    """
    x = as_operand(operand, "collapse")
    start, stop, _ = slice(start_dimension, stop_dimension).indices(x.ndim)
    if stop < start:
        raise ArgumentError(
            wrong=f"collapse was given axes from {start_dimension} up to {stop_dimension} of {x.aval}",
            fix="Give a start that is not after the stop",
        )
    if stop - start == 1:
        return x
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start:stop]), *x.shape[stop:]))


def concatenate(operands: Any, dimension: int) -> Any:
    """Arrays one after the other along an axis.

    Examples
    --------
    >>> lax.concatenate([np.int32([1, 2]), np.int32([3])], 0)
    Array([1, 2, 3], dtype=int32)
    """
    xs = [as_operand(x, "concatenate") for x in operands]
    if not xs:
        raise ArgumentError(wrong="concatenate was given no arrays", fix="Give at least one")
    if len(xs) == 1:
        return xs[0]
    return p.concatenate(*xs, dimension=axis_of("concatenate", dimension, xs[0].ndim))


def stack(operands: Sequence[Operand], axis: int = 0) -> Any:
    """Arrays of one shape along a new axis.

    Examples
    --------
    >>> lax.stack([np.int32([1, 2]), np.int32([3, 4])])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    xs = [as_operand(x, "stack") for x in operands]
    if not xs:
        raise ArgumentError(wrong="stack was given no arrays", fix="Give at least one")
    axis = axis_of("stack", axis, xs[0].ndim + 1)
    return concatenate([expand_dims(x, (axis,)) for x in xs], axis)


def tile(operand: Operand, reps: Sequence[int]) -> Any:
    """``operand`` repeated ``reps[i]`` times along axis ``i``.

    Examples
    --------
    >>> lax.tile(np.int32([1, 2]), (2,))
    Array([1, 2, 1, 2], dtype=int32)
    """
    x, reps = as_operand(operand, "tile"), shape_of(reps)
    if len(reps) != x.ndim:
        raise ShapeError(wrong=f"tile needs one number for each axis of {x.aval}, got {reps}", fix="Give one for each")
    spread = tuple(n for pair in zip(reps, x.shape, strict=True) for n in pair)
    dims = tuple(range(1, 2 * x.ndim, 2))
    wide = p.broadcast_in_dim(x, shape=spread, broadcast_dimensions=dims)
    return reshape(wide, tuple(r * n for r, n in zip(reps, x.shape, strict=True)))


def pad(operand: Operand, padding_value: Operand, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """``operand`` with ``(low, high, interior)`` elements of ``padding_value`` around and between, for each axis.

    Examples
    --------
    >>> lax.pad(np.int32([1, 2]), np.int32(0), [(1, 0, 1)])
    Array([0, 1, 0, 2], dtype=int32)
    """
    x = as_operand(operand, "pad")
    _, value = operands("pad", x, padding_value)
    return p.pad(x, value, padding_config=tuple(shape_of(c) for c in padding_config))


def rev(operand: Operand, dimensions: Sequence[int]) -> Any:
    """``operand`` backwards along ``dimensions``.

    Examples
    --------
    >>> lax.rev(np.int32([1, 2, 3]), (0,))
    Array([3, 2, 1], dtype=int32)
    """
    return p.rev(as_operand(operand, "rev"), dimensions=shape_of(dimensions))
