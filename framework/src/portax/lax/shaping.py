"""Shapes, slices, reductions, products: each function checks and completes its arguments and binds a primitive."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes, tree
from portax.core.aval import aval_of
from portax.core.dtypes import user_dtype
from portax.core.primitive import registry
from portax.errors import ArgumentError, AxisError, DtypeError, ShapeError
from portax.lax.elementwise import convert_element_type
from portax.lax.examples import example_of
from portax.lax.operands import as_operand, operands
from portax.primitives.contraction import fits, product_dtype

Operand = Any


def axis_of(name: str, axis: Any, ndim: int) -> int:
    """A whole axis number in ``[0, ndim)``."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise AxisError(
            wrong=f"{name} has no axis {axis} in an array of {ndim} axes", fix=f"Give -{ndim} to {ndim - 1}"
        )
    return axis % ndim


def shape_of(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of int."""
    return tuple(operator.index(n) for n in shape)


# -- making arrays ----------------------------------------------------------------------------------------------------
def iota(dtype: Any, size: int) -> Any:
    """``[0, 1, ..., size - 1]`` of a dtype.

    Examples
    --------
    >>> lax.iota("int32", 3)
    Array([0, 1, 2], dtype=int32)
    """
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int, *, out_sharding: Any = None) -> Any:
    """An array of ``shape`` in which each element is its index along ``dimension``.

    Examples
    --------
    >>> lax.broadcasted_iota("int32", (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    shape = shape_of(shape)
    return p.iota(
        dtype=user_dtype(dtype, "iota"), shape=shape, dimension=axis_of("iota", dimension, len(shape)), sharding=None
    )


def full(shape: Sequence[int], fill_value: Operand, dtype: Any = None, *, sharding: Any = None) -> Any:
    """An array of ``shape`` with one value everywhere.

    Examples
    --------
    >>> lax.full((2,), 1.5)
    Array([1.5, 1.5], dtype=float32, weak_type=True)
    """
    value = as_operand(fill_value, "full")
    if value.ndim:
        raise ShapeError(wrong=f"full takes one value, got {value.aval}", fix="Give a scalar, or use broadcast_in_dim")
    if dtype is not None:
        value = convert_element_type(value, dtype)
    return p.broadcast_in_dim(value, shape=shape_of(shape), broadcast_dimensions=())


def full_like(x: Operand, fill_value: Operand, dtype: Any = None, shape: Any = None, sharding: Any = None) -> Any:
    """An array like ``x`` with one value everywhere.

    Parameters
    ----------
    x : array, or anything with shape and dtype
    fill_value : scalar
    dtype, shape : optional, in place of those of ``x``

    Examples
    --------
    >>> lax.full_like(np.float32([3.0, 1.0, 2.0]), 7)
    Array([7., 7., 7.], dtype=float32)
    """
    aval = aval_of(x)
    if dtypes.is_key(aval.dtype) and dtype is None:
        if not aval_of(fill_value).shape and aval_of(fill_value).dtype == aval.dtype:
            wanted = shape_of(aval.shape if shape is None else shape)
            return p.broadcast_in_dim(fill_value, shape=wanted, broadcast_dimensions=())
        raise ArgumentError(
            wrong=f"full_like cannot fill an array of random keys ({aval})", fix="Give a key to fill it with, or dtype="
        )
    shape = shape_of(aval.shape if shape is None else shape)
    if dtype is not None or not aval.weak_type:
        return full(shape, fill_value, aval.dtype if dtype is None else dtype)
    value = convert_element_type(fill_value, aval.dtype)
    weak = p.convert_element_type(value, new_dtype=aval.dtype, weak_type=True, sharding=None)
    return p.broadcast_in_dim(weak, shape=shape, broadcast_dimensions=())


def empty(shape: Sequence[int], dtype: Any, *, out_sharding: Any = None) -> Any:
    """An array of ``shape``; its elements are zero.

    Examples
    --------
    >>> lax.empty((2, 3), "float32").shape
    (2, 3)
    """
    return full(shape, 0, dtype)


# -- shapes -----------------------------------------------------------------------------------------------------------
def broadcast_in_dim(
    operand: Operand, shape: Sequence[int], broadcast_dimensions: Sequence[int], *, out_sharding: Any = None
) -> Any:
    """``operand`` repeated to ``shape``, its axis ``i`` becoming axis ``broadcast_dimensions[i]``.

    Examples
    --------
    >>> lax.broadcast_in_dim(np.float32([3.0, 1.0, 2.0]), (2, 3), (1,)).shape
    (2, 3)
    """
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
    start, stop, _ = slice_type(start_dimension, stop_dimension).indices(x.ndim)
    if stop < start:
        raise ArgumentError(
            wrong=f"collapse was given axes from {start_dimension} up to {stop_dimension} of {x.aval}",
            fix="Give a start that is not after the stop",
        )
    if stop - start == 1:
        return x
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start:stop]), *x.shape[stop:]))


slice_type = slice


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


def unstack(x: Operand, axis: int = 0) -> tuple[Any, ...]:
    """The slices of ``x`` along an axis, without it.

    Examples
    --------
    >>> lax.unstack(np.int32([[1, 2], [3, 4]]))
    (Array([1, 2], dtype=int32), Array([3, 4], dtype=int32))
    """
    x = as_operand(x, "unstack")
    axis = axis_of("unstack", axis, x.ndim)
    return tuple(index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis]))


def split(operand: Operand, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """``operand`` cut along an axis into parts of ``sizes``.

    Examples
    --------
    >>> lax.split(np.int32([1, 2, 3]), (1, 2))
    [Array([1], dtype=int32), Array([2, 3], dtype=int32)]
    """
    x = as_operand(operand, "split")
    return list(p.split(x, sizes=shape_of(sizes), axis=axis_of("split", axis, x.ndim)))


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


# -- slices -----------------------------------------------------------------------------------------------------------
def slice(
    operand: Operand, start_indices: Sequence[int], limit_indices: Sequence[int], strides: Sequence[int] | None = None
) -> Any:
    """Elements from ``start_indices`` up to ``limit_indices``, every ``strides``-th, along each axis.

    Examples
    --------
    >>> lax.slice(np.float32([3.0, 1.0, 2.0]), (1,), (3,))
    Array([1., 2.], dtype=float32)
    """
    return p.slice_(
        as_operand(operand, "slice"),
        start_indices=shape_of(start_indices),
        limit_indices=shape_of(limit_indices),
        strides=None if strides is None else shape_of(strides),
    )


def slice_in_dim(
    operand: Operand, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0
) -> Any:
    """A slice along one axis; negative and missing bounds as in Python.

    Examples
    --------
    >>> lax.slice_in_dim(np.float32([3.0, 1.0, 2.0]), 0, 3, stride=2)
    Array([3., 2.], dtype=float32)
    """
    x = as_operand(operand, "slice_in_dim")
    axis = axis_of("slice_in_dim", axis, x.ndim)
    n = x.shape[axis]
    start = 0 if start_index is None else start_index + n if start_index < 0 else start_index
    limit = n if limit_index is None else limit_index + n if limit_index < 0 else limit_index
    starts, limits, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], limits[axis], strides[axis] = start, limit, stride
    return slice(x, starts, limits, strides)


def index_in_dim(operand: Operand, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """One slice along an axis.

    Examples
    --------
    >>> lax.index_in_dim(np.float32([3.0, 1.0, 2.0]), 1, keepdims=False)
    Array(1., dtype=float32)
    """
    x = as_operand(operand, "index_in_dim")
    axis = axis_of("index_in_dim", axis, x.ndim)
    n = x.shape[axis]
    if not -n <= index < n:
        raise ArgumentError(
            wrong=f"index_in_dim has no index {index} along axis {axis} of {x.aval}", fix=f"Give -{n} to {n - 1}"
        )
    cut = slice_in_dim(x, index % n, index % n + 1, 1, axis)
    return cut if keepdims else squeeze(cut, (axis,))


def _starts(name: str, x: Any, indices: Any, wrap: Any) -> list[Any]:
    """Start indices as scalars of one dtype; negative ones count from the end."""
    if hasattr(indices, "ndim") and getattr(indices, "ndim", 0) == 1:
        indices = list(unstack(indices, 0))
    indices = list(indices)
    if len(indices) != x.ndim:
        raise ShapeError(
            wrong=f"{name} needs one start index for each axis of {x.aval}, got {len(indices)}", fix=f"Give {x.ndim}"
        )
    flags = [wrap] * len(indices) if isinstance(wrap, bool) else list(wrap)
    starts: list[Any] = []
    for i, n, w in zip(indices, x.shape, flags, strict=True):
        if isinstance(i, int | np.integer) and not isinstance(i, bool):
            if i < 0 and not w:
                raise ArgumentError(
                    wrong=f"{name} was given the start index {i} for an axis of length {n}, and "
                    "allow_negative_indices=False",
                    fix="Count from the front, or leave allow_negative_indices at True",
                )
            starts.append(np.asarray(i + n if w and i < 0 else i, np.int32))
            continue
        i = as_operand(i, name)
        if i.ndim or not dtypes.is_integer(i.dtype):
            raise ArgumentError(wrong=f"{name} was given {i.aval} as a start index", fix="Give integers of shape ()")
        if w and dtypes.kind(i.dtype) == "int":
            limit = np.asarray(n, i.dtype) if n <= np.iinfo(i.dtype).max else None
            if limit is not None:
                i = p.select_n(p.lt(i, np.zeros((), i.dtype)), i, p.add(i, limit))
        starts.append(i)
    found = {aval_of(s).dtype for s in starts}
    if len(found) > 1:
        widest = np.dtype(np.int64) if any(d.itemsize == 8 for d in found) else np.dtype(np.int32)
        starts = [
            np.asarray(s, widest) if isinstance(s, np.ndarray) else convert_element_type(s, widest) for s in starts
        ]
    return starts


def dynamic_slice(
    operand: Operand, start_indices: Any, slice_sizes: Sequence[int], *, allow_negative_indices: Any = True
) -> Any:
    """A window of fixed size at a place known when the program runs; moved inside where it would stick out.

    Examples
    --------
    >>> lax.dynamic_slice(np.float32([3.0, 1.0, 2.0]), (1,), (2,))
    Array([1., 2.], dtype=float32)
    """
    x = as_operand(operand, "dynamic_slice")
    starts = _starts("dynamic_slice", x, start_indices, allow_negative_indices)
    return registry["dynamic_slice"](x, *starts, slice_sizes=shape_of(slice_sizes))


def dynamic_slice_in_dim(
    operand: Operand, start_index: Operand, slice_size: int, axis: int = 0, *, allow_negative_indices: bool = True
) -> Any:
    """A window along one axis; see ``dynamic_slice``.

    Examples
    --------
    >>> lax.dynamic_slice_in_dim(np.float32([3.0, 1.0, 2.0]), 1, 2)
    Array([1., 2.], dtype=float32)
    """
    x = as_operand(operand, "dynamic_slice_in_dim")
    axis = axis_of("dynamic_slice_in_dim", axis, x.ndim)
    starts: list[Any] = [0] * x.ndim
    sizes = list(x.shape)
    starts[axis], sizes[axis] = start_index, operator.index(slice_size)
    return dynamic_slice(x, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Operand, index: Operand, axis: int = 0, keepdims: bool = True, *, allow_negative_indices: bool = True
) -> Any:
    """One slice along an axis, at a place known when the program runs.

    Examples
    --------
    >>> lax.dynamic_index_in_dim(np.float32([3.0, 1.0, 2.0]), 2)
    Array([2.], dtype=float32)
    """
    x = as_operand(operand, "dynamic_index_in_dim")
    axis = axis_of("dynamic_index_in_dim", axis, x.ndim)
    cut = dynamic_slice_in_dim(x, index, 1, axis, allow_negative_indices=allow_negative_indices)
    return cut if keepdims else squeeze(cut, (axis,))


def dynamic_update_slice(
    operand: Operand, update: Operand, start_indices: Any, *, allow_negative_indices: Any = True
) -> Any:
    """``operand`` with a window replaced by ``update`` at a place known when the program runs.

    Examples
    --------
    >>> lax.dynamic_update_slice(np.float32([3.0, 1.0, 2.0]), np.float32([9.0]), (1,))
    Array([3., 9., 2.], dtype=float32)
    """
    x, update = as_operand(operand, "dynamic_update_slice"), as_operand(update, "dynamic_update_slice")
    starts = _starts("dynamic_update_slice", x, start_indices, allow_negative_indices)
    return registry["dynamic_update_slice"](x, update, *starts)


def dynamic_update_slice_in_dim(
    operand: Operand, update: Operand, start_index: Operand, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """``operand`` with a window along one axis replaced; see ``dynamic_update_slice``.

    Examples
    --------
    >>> lax.dynamic_update_slice_in_dim(np.float32([3.0, 1.0, 2.0]), np.float32([9.0]), 1, 0)
    Array([3., 9., 2.], dtype=float32)
    """
    x = as_operand(operand, "dynamic_update_slice_in_dim")
    starts: list[Any] = [0] * x.ndim
    starts[axis_of("dynamic_update_slice_in_dim", axis, x.ndim)] = start_index
    return dynamic_update_slice(x, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(
    operand: Operand, update: Operand, index: Operand, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """``operand`` with one slice along an axis replaced.

    Examples
    --------
    >>> lax.dynamic_update_index_in_dim(np.float32([3.0, 1.0, 2.0]), np.float32(9.0), 1, 0)
    Array([3., 9., 2.], dtype=float32)
    """
    x, update = as_operand(operand, "dynamic_update_index_in_dim"), as_operand(update, "dynamic_update_index_in_dim")
    axis = axis_of("dynamic_update_index_in_dim", axis, x.ndim)
    if update.ndim != x.ndim:
        update = expand_dims(update, (axis,))
    return dynamic_update_slice_in_dim(x, update, index, axis, allow_negative_indices=allow_negative_indices)


# -- reductions -------------------------------------------------------------------------------------------------------
def _reduction(name: str) -> Any:
    primitive = registry[name]

    def function(operand: Operand, axes: Sequence[int]) -> Any:
        x = as_operand(operand, name)
        return primitive(x, axes=tuple(axis_of(name, d, x.ndim) for d in axes))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = inspect.cleandoc(primitive.__doc__ or "") + "\n" + example_of(name)
    return function


reduce_and = _reduction("reduce_and")
reduce_max = _reduction("reduce_max")
reduce_min = _reduction("reduce_min")
reduce_or = _reduction("reduce_or")
reduce_prod = _reduction("reduce_prod")
reduce_xor = _reduction("reduce_xor")


def reduce_sum(operand: Operand, axes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """The sum of ``operand`` over ``axes``, in its own dtype.

    Examples
    --------
    >>> lax.reduce_sum(np.float32([3.0, 1.0, 2.0]), (0,))
    Array(6., dtype=float32)
    """
    x = as_operand(operand, "reduce_sum")
    if x.dtype == dtypes.bool_:
        raise DtypeError(
            wrong=f"reduce_sum was given {x.aval}, and the sum of bools is not one",
            fix="Convert it to an integer dtype, or use reduce_or or reduce_xor",
        )
    return p.reduce_sum(x, axes=tuple(axis_of("reduce_sum", d, x.ndim) for d in axes))


def argmax(operand: Operand, axis: int, index_dtype: Any) -> Any:
    """The place of the greatest element along an axis, the first of equals; NaN counts as greatest.

    Examples
    --------
    >>> lax.argmax(np.float32([3.0, 1.0, 2.0]), 0, "int32")
    Array(0, dtype=int32)
    """
    x = as_operand(operand, "argmax")
    return p.argmax(x, axes=(axis_of("argmax", axis, x.ndim),), index_dtype=user_dtype(index_dtype, "argmax"))


def argmin(operand: Operand, axis: int, index_dtype: Any) -> Any:
    """The place of the least element along an axis, the first of equals; NaN counts as least.

    Examples
    --------
    >>> lax.argmin(np.float32([3.0, 1.0, 2.0]), 0, "int32")
    Array(1, dtype=int32)
    """
    x = as_operand(operand, "argmin")
    return p.argmin(x, axes=(axis_of("argmin", axis, x.ndim),), index_dtype=user_dtype(index_dtype, "argmin"))


def _cumulative(name: str) -> Any:
    primitive = registry[name]

    def function(operand: Operand, axis: int = 0, reverse: bool = False) -> Any:
        x = as_operand(operand, name)
        return primitive(x, axis=axis_of(name, axis, x.ndim), reverse=bool(reverse))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = inspect.cleandoc(primitive.__doc__ or "") + "\n" + example_of(name)
    return function


cumlogsumexp = _cumulative("cumlogsumexp")
cummax = _cumulative("cummax")
cummin = _cumulative("cummin")
cumprod = _cumulative("cumprod")
cumsum = _cumulative("cumsum")


# -- order ------------------------------------------------------------------------------------------------------------
def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort along an axis; of several arrays the first ``num_keys`` decide, and the others follow.

    Examples
    --------
    >>> lax.sort(np.float32([3.0, 1.0, 2.0]))
    Array([1., 2., 3.], dtype=float32)
    """
    many = isinstance(operand, tuple | list)
    xs = [as_operand(x, "sort") for x in (operand if many else [operand])]
    axis = axis_of("sort", dimension, xs[0].ndim)
    outs = p.sort(*xs, dimension=axis, is_stable=bool(is_stable), num_keys=int(num_keys))
    return tuple(outs) if many else outs[0]


def sort_key_val(keys: Operand, values: Operand, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """Sort ``keys`` along an axis, and put ``values`` in the same order.

    Examples
    --------
    >>> lax.sort_key_val(np.int32([3, 1]), np.float32([0.3, 0.1]))
    (Array([1, 3], dtype=int32), Array([0.1, 0.3], dtype=float32))
    """
    return sort((keys, values), dimension, is_stable, 1)


def top_k(operand: Operand, k: int, *, axis: int = -1) -> list[Any]:
    """The ``k`` greatest elements along an axis, greatest first, and their places.

    Examples
    --------
    >>> lax.top_k(np.float32([3.0, 1.0, 2.0]), 2)
    [Array([3., 2.], dtype=float32), Array([0, 2], dtype=int32)]
    """
    x = as_operand(operand, "top_k")
    return list(p.top_k(x, k=operator.index(k), axis=axis_of("top_k", axis, x.ndim)))


# -- products ---------------------------------------------------------------------------------------------------------
def _axes(axes: Any) -> tuple[int, ...]:
    return tuple(int(d) for d in axes)


def dot_general(
    lhs: Operand, rhs: Operand, dimension_numbers: Any, precision: Any = None, preferred_element_type: Any = None, *,
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Sums of products over contracting axes, for each element of the batch axes.

    Parameters
    ----------
    lhs, rhs : arrays
    dimension_numbers : ((lhs contracting, rhs contracting), (lhs batch, rhs batch))
    precision : Precision, str, pair of them, or None
        None is the precision of the dtypes.
    preferred_element_type : dtype, optional
        Of the result and of the sums; one of a lesser kind than theirs is only the result's.

    Examples
    --------
    >>> x, y = np.ones((4, 2, 3), np.float32), np.ones((4, 3, 5), np.float32)
    >>> lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,)))).shape
    (4, 2, 5)
    """
    x, y = as_operand(lhs, "dot_general"), as_operand(rhs, "dot_general")
    (xc, yc), (xb, yb) = dimension_numbers
    own = product_dtype(x.dtype, y.dtype)
    wanted = own if preferred_element_type is None else user_dtype(preferred_element_type, "dot_general")
    width = dtypes.bits(dtypes.real_dtype(own))
    if not dtypes.is_float(own) and dtypes.bits(dtypes.real_dtype(wanted)) < width:
        raise DtypeError(
            wrong=f"dot_general cannot sum products of {x.aval} and {y.aval} in {wanted}, which is narrower than {own}",
            fix=f"Give a preferred_element_type of at least {width} bits, or convert the operands",
        )
    # A lesser kind is no dtype to sum in: the sum is converted to it.
    lesser = not (fits(x.dtype, wanted) and fits(y.dtype, wanted))
    out = p.dot_general(
        x, y, dimension_numbers=((_axes(xc), _axes(yc)), (_axes(xb), _axes(yb))),
        precision=p.canonical_precision(precision), preferred_element_type=own if lesser else wanted,
        out_sharding=None,
    )  # fmt: skip
    return convert_element_type(out, wanted) if lesser else out


def dot(
    lhs: Operand, rhs: Operand, *args: Any, dimension_numbers: Any = None, precision: Any = None,
    preferred_element_type: Any = None, out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Vector and matrix products, or ``dot_general`` where ``dimension_numbers`` are given.

    Examples
    --------
    >>> lax.dot(np.ones((2, 3), np.float32), np.ones(3, np.float32))
    Array([3., 3.], dtype=float32)
    """
    for name, value in zip(("precision", "preferred_element_type"), args, strict=False):
        if name == "precision":
            precision = value
        else:
            preferred_element_type = value
    x, y = as_operand(lhs, "dot"), as_operand(rhs, "dot")
    if dimension_numbers is None:
        if not (1 <= x.ndim <= 2 and 1 <= y.ndim <= 2 and x.shape[-1] == y.shape[0]):
            raise ShapeError(
                wrong=f"dot cannot multiply {x.aval} by {y.aval}",
                fix="Give vectors or matrices whose inner lengths agree, or dimension_numbers",
            )
        dimension_numbers = (((x.ndim - 1,), (0,)), ((), ()))
    return dot_general(x, y, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Operand, rhs: Operand, precision: Any = None) -> Any:
    """Matrix products over equal leading axes.

    Examples
    --------
    >>> lax.batch_matmul(np.ones((4, 2, 3), np.float32), np.ones((4, 3, 5), np.float32)).shape
    (4, 2, 5)
    """
    x, y = as_operand(lhs, "batch_matmul"), as_operand(rhs, "batch_matmul")
    if x.ndim != y.ndim or x.ndim < 2:
        raise ShapeError(
            wrong=f"batch_matmul cannot multiply {x.aval} by {y.aval}", fix="Give equal ranks of at least 2"
        )
    lead = tuple(range(x.ndim - 2))
    return dot_general(x, y, (((x.ndim - 1,), (x.ndim - 2,)), (lead, lead)), precision)


# -- for compilers and transformations --------------------------------------------------------------------------------
def stop_gradient(x: Any) -> Any:
    """A tree of arrays as constants: differentiation stops here.

    Examples
    --------
    >>> import portax
    >>> float(portax.grad(lambda x: x * portax.lax.stop_gradient(x))(3.0))
    3.0
    """

    def stop(leaf: Any) -> Any:
        if not hasattr(leaf, "aval") and not isinstance(leaf, np.ndarray | np.generic | int | float | complex):
            return leaf
        leaf = as_operand(leaf, "stop_gradient")
        return p.stop_gradient(leaf) if dtypes.is_inexact(leaf.dtype) else leaf

    return tree.tree_map(stop, x)


def optimization_barrier(operand: Any, /) -> Any:
    """A tree of arrays, none of them available to the compiler before all are.

    Examples
    --------
    >>> lax.optimization_barrier(np.float32([1.0]))
    Array([1.], dtype=float32)
    """
    leaves, structure = tree.flatten(operand)
    return tree.unflatten(structure, p.optimization_barrier(*[as_operand(x, "optimization_barrier") for x in leaves]))


def dtype(x: Any) -> Any:
    """The dtype of an array or number.

    Examples
    --------
    >>> lax.dtype(np.float32(1.0))
    dtype('float32')
    """
    return aval_of(x).dtype


