"""Arrays out of nothing: one value everywhere, or each element its own index."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from portax import primitives as p
from portax.core import dtypes
from portax.core.aval import aval_of
from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ShapeError
from portax.lax.elementwise import convert_element_type
from portax.lax.operands import as_operand, shape_of
from portax.runtime.array import ConcreteArray

laying = lazy("portax.higher_order.laying")
constraint = lazy("portax.higher_order.constraint")

Operand = Any


def iota(dtype: Any, size: int) -> Any:
    """``[0, 1, ..., size - 1]`` of a dtype.

    Examples
    --------
    >>> lax.iota("int32", 3)
    Array([0, 1, 2], dtype=int32)
    """
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int, *, out_sharding: Any = None) -> Any:
    """An array of ``shape`` in which each element is its index along ``dimension``, which counts from the front.

    Examples
    --------
    >>> lax.broadcasted_iota("int32", (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(broadcasted_iota(dtype, shape, dimension), out_sharding)
    return p.iota(
        dtype=user_dtype(dtype, "iota"), shape=shape_of(shape), dimension=operator.index(dimension), sharding=None
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
        return _beside(full(shape, fill_value, aval.dtype if dtype is None else dtype), x)
    value = convert_element_type(fill_value, aval.dtype)
    weak = p.convert_element_type(value, new_dtype=aval.dtype, weak_type=True, sharding=None)
    return _beside(p.broadcast_in_dim(weak, shape=shape, broadcast_dimensions=()), x)


def _beside(out: Any, like: Any) -> Any:
    if (type(like) is ConcreteArray and like.committed) or isinstance(like, Tracer):
        return constraint.beside(out, like)
    return out


def empty(shape: Sequence[int], dtype: Any, *, out_sharding: Any = None) -> Any:
    """An array of ``shape``; its elements are zero.

    Examples
    --------
    >>> lax.empty((2, 3), "float32").shape
    (2, 3)
    """
    if out_sharding is not None:
        return laying.laid(empty(shape, dtype), out_sharding)
    return full(shape, 0, dtype)
