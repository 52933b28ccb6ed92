"""Making arrays that are filled with one value: of a shape that is given, or of that of another array.

A program can compute them by itself, so each is an operation: a traced program holds the recipe and not the data.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.config import config
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ConcretizationError, ShapeError
from portax.numpy.creation import from_host, from_object, placed
from portax.numpy.promotion import as_array, converted
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.conversion import bitcast_convert_type, convert_element_type
from portax.runtime.array import ConcreteArray

laying = lazy("portax.higher_order.laying")
constraint = lazy("portax.higher_order.constraint")


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape from an integer or a sequence of them.

    Raises
    ------
    ShapeError
        A length is negative or not an integer.
    ConcretizationError
        A length is a traced array.
    """
    if type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape):
        return shape
    alone = hasattr(shape, "__index__") and getattr(shape, "ndim", 0) == 0
    lengths: tuple[Any, ...] = (shape,) if alone else tuple(shape)
    out = []
    for n in lengths:
        if isinstance(n, Array) and not isinstance(n, ConcreteArray):
            raise ConcretizationError(
                wrong=f"a shape was given a traced array ({n.aval}) as a length",
                fix="Make the argument static, so that its value is known while tracing",
            )
        try:
            length = operator.index(n)
        except TypeError:
            raise ShapeError(wrong=f"a shape has integer lengths, not {n!r}", fix="Give integers") from None
        if length < 0:
            raise ShapeError(wrong=f"a shape has no negative lengths: {tuple(lengths)}", fix="Give 0 or more")
        out.append(length)
    return tuple(out)


#: Scalars to fill arrays with, by value, dtype as given, and settings.
_SCALARS: dict[Any, ConcreteArray] = {}


def _scalar(value: int, dtype: Any, name: str) -> ConcreteArray:
    try:
        known = _SCALARS.get((value, dtype, config.epoch))
    except TypeError:  # a dtype described by a list
        known = None
    # As with literals: one that was moved to a device would draw others there.
    if known is not None and known._device is None:  # pyright: ignore[reportPrivateUsage]
        return known
    wanted = dtypes.user_dtype(float if dtype is None else dtype, name)
    made = from_host(np.asarray(value, wanted), wanted)
    if wanted is dtype or dtype is None or isinstance(dtype, type):
        _SCALARS[value, dtype, config.epoch] = made
    return made


def _filled(shape: Any, value: int, dtype: Any, name: str, device: Any) -> Array:
    if dtypes.is_key(dtype) and not value:
        scalar = bitcast_convert_type(np.zeros(dtype.words, np.uint32), new_dtype=dtype)
    else:
        scalar = _scalar(value, dtype, name)
    return placed(broadcast_in_dim(scalar, shape=as_shape(shape), broadcast_dimensions=(), sharding=None), device)


def zeros(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array of zeros.

    Parameters
    ----------
    shape : int or sequence of int
    dtype : dtype, optional
        The default floating dtype if left out.

    Examples
    --------
    >>> pnp.zeros((2, 3))
    Array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(zeros(shape, dtype, device=device), out_sharding)
    return _filled(shape, 0, dtype, "zeros", device)


def ones(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array of ones.

    Parameters
    ----------
    shape : int or sequence of int
    dtype : dtype, optional
        The default floating dtype if left out.

    Examples
    --------
    >>> pnp.ones(3, dtype=int)
    Array([1, 1, 1], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(ones(shape, dtype, device=device), out_sharding)
    return _filled(shape, 1, dtype, "ones", device)


def empty(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array of a shape; its elements are zeros, since no array here is ever unset.

    Examples
    --------
    >>> pnp.empty(2)
    Array([0., 0.], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(empty(shape, dtype, device=device), out_sharding)
    return _filled(shape, 0, dtype, "empty", device)


def full(shape: Any, fill_value: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """An array filled with a value.

    Parameters
    ----------
    shape : int or sequence of int
    fill_value : number, or Array that broadcasts to ``shape``
    dtype : dtype, optional
        That of ``fill_value`` if left out.

    Examples
    --------
    >>> pnp.full((2,), 7)
    Array([7, 7], dtype=int32, weak_type=True)
    """
    if out_sharding is not None:
        return laying.laid(full(shape, fill_value, dtype, device=device), out_sharding)
    return _full(as_shape(shape), from_object(fill_value, None, False), dtype, "full", device)


def _full(shape: tuple[int, ...], value: Array, dtype: Any, name: str, device: Any, weak: bool | None = None) -> Array:
    if dtype is not None:
        wanted = dtypes.user_dtype(dtype, name)
        if value.dtype != wanted or value.weak_type:
            value = convert_element_type(value, new_dtype=wanted, weak_type=bool(weak), sharding=None)
    lead = len(shape) - value.ndim
    if lead < 0:
        raise ShapeError(wrong=f"{name} cannot spread a value of shape {value.shape} to {shape}", fix="Give a scalar")
    if value.shape != shape:
        dims = tuple(range(lead, len(shape)))
        value = broadcast_in_dim(value, shape=shape, broadcast_dimensions=dims, sharding=None)
    return placed(value, device)


def _like(a: Any, dtype: Any, shape: Any, name: str) -> tuple[tuple[int, ...], Any, bool]:
    """Shape, dtype and weakness of a new array that is to be like ``a``, which may be anything with a shape."""
    if not isinstance(a, Array) and not (hasattr(a, "shape") and hasattr(a, "dtype")):
        a = as_array(a, name)
    weak = bool(getattr(a, "weak_type", False)) and dtype is None
    wanted = dtypes.canonicalize_dtype(a.dtype) if dtype is None else dtypes.user_dtype(dtype, name)
    return tuple(a.shape) if shape is None else as_shape(shape), wanted, weak


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """An array filled with a value, of the shape and dtype of another.

    Parameters
    ----------
    a : Array, or anything with ``shape`` and ``dtype``
    fill_value : number or Array
    dtype, shape : optional
        Instead of those of ``a``.

    Examples
    --------
    >>> pnp.full_like(pnp.array([1.0, 2.0]), 7)
    Array([7., 7.], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(full_like(a, fill_value, dtype, shape, device=device), out_sharding)
    shape, dtype, weak = _like(a, dtype, shape, "full_like")
    value = from_object(fill_value, None, False)
    if value.dtype != dtype or value.weak_type != weak:
        value = convert_element_type(value, new_dtype=dtype, weak_type=weak, sharding=None)
    out = _full(shape, value, None, "full_like", device)
    return _beside(out, a, device)


def _filled_like(a: Any, value: int, dtype: Any, shape: Any, name: str, device: Any) -> Array:
    shape, dtype, weak = _like(a, dtype, shape, name)
    if weak:
        out = _full(shape, converted(value, dtype, True), None, name, device)
    else:
        out = _filled(shape, value, dtype, name, device)
    return _beside(out, a, device)


def _beside(out: Array, like: Any, device: Any) -> Array:
    """What was made like an array: where that one was told to be, if nothing else is said."""
    if device is None and ((type(like) is ConcreteArray and like.committed) or isinstance(like, Tracer)):
        return constraint.beside(out, like)
    return out


def zeros_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """Zeros of the shape and dtype of another array.

    Examples
    --------
    >>> pnp.zeros_like(pnp.array([1, 2]))
    Array([0, 0], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(zeros_like(a, dtype, shape, device=device), out_sharding)
    return _filled_like(a, 0, dtype, shape, "zeros_like", device)


def ones_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None) -> Array:
    """Ones of the shape and dtype of another array.

    Examples
    --------
    >>> pnp.ones_like(pnp.array([5, 6]))
    Array([1, 1], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(ones_like(a, dtype, shape, device=device), out_sharding)
    return _filled_like(a, 1, dtype, shape, "ones_like", device)


def empty_like(
    prototype: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """An array of the shape and dtype of another; its elements are zeros.

    Examples
    --------
    >>> pnp.empty_like(pnp.array([5, 6]))
    Array([0, 0], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(empty_like(prototype, dtype, shape, device=device), out_sharding)
    return _filled_like(prototype, 0, dtype, shape, "empty_like", device)
