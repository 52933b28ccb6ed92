"""Slices: parts of arrays at places that are known when tracing, and at places that are arrays."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.aval import aval_of
from portax.core.primitive import registry
from portax.errors import ArgumentError, ShapeError
from portax.lax.elementwise import convert_element_type
from portax.lax.operands import as_operand, axis_of, shape_of
from portax.lax.shaping import expand_dims, squeeze

Operand = Any


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
