"""Making arrays: from values of Python and NumPy, filled, counted, and as grids.

Values from outside become concrete arrays at once, also while tracing. What a program can compute by itself (zeros,
counting) is an operation, so that a traced program holds the recipe and not the data.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from portax.core import dtypes, promotion
from portax.core.array import Array
from portax.core.aval import Aval
from portax.core.config import config
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationError, DtypeError, ShapeError
from portax.numpy.promotion import PYTHON_NUMBERS, as_array, converted, not_an_array
from portax.primitives.barriers import copy as copy_p
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.conversion import bitcast_convert_type, convert_element_type
from portax.primitives.slicing import concatenate
from portax.runtime import devices
from portax.runtime.array import ConcreteArray

laying = lazy("portax.higher_order.laying")
constraint = lazy("portax.higher_order.constraint")
dlpack = lazy("portax.runtime.dlpack")

newaxis = None
pi, e, euler_gamma, inf, nan = math.pi, math.e, float(np.euler_gamma), math.inf, math.nan


def placed(x: Array, device: Any) -> Array:
    """``x`` committed to a device, or lying as a sharding says, if one is given.

    A traced array stays on the device of its program, and is told of a sharding.
    """
    if hasattr(device, "device_list"):
        return constraint.placed(x, device) if isinstance(x, ConcreteArray) else constraint.constrain(x, device)
    if device is None or not isinstance(x, ConcreteArray):
        return x
    target = devices.as_device(device)
    return ConcreteArray(x.aval, None, x.buffer_on(target), target, True)


# From values.


def array(
    object: Any,
    dtype: Any = None,
    copy: bool = True,
    order: str | None = "K",
    ndmin: int = 0,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """An array from numbers, nested lists, NumPy arrays or arrays.

    Parameters
    ----------
    object : number, array, or nested lists and tuples of them
        The lists at one depth have one length.
    dtype : dtype, optional
        By default that of the values: float32 for Python floats, int32 for integers, and for several the promoted one.
        A single Python number gives a weakly typed array.
    copy : bool
        Whether the array must not share memory with ``object``.
    order : {"K", "C"}
        Kept for programs that name it; arrays are in row-major order.
    ndmin : int
        Axes of length 1 are added in front up to this rank.
    device : Device, str or Sharding, optional
        Where the array lives; the array is committed to it.

    Returns
    -------
    Array

    Raises
    ------
    DtypeError
        A value that is no number.
    OverflowError
        A Python integer that does not fit the dtype.

    Examples
    --------
    >>> pnp.array([1, 2.5])
    Array([1. , 2.5], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(array(object, dtype, copy, order, ndmin, device=device), out_sharding)
    if order not in (None, "K", "C", "A"):
        raise ArgumentError(wrong=f"arrays are in row-major order, not {order!r}", fix="Leave order out")
    out = _from_object(object, None if dtype is None else dtypes.user_dtype(dtype, "array"), bool(copy))
    if ndmin > out.ndim:
        shape = (1,) * (ndmin - out.ndim) + out.shape
        out = broadcast_in_dim(
            out, shape=shape, broadcast_dimensions=tuple(range(ndmin - out.ndim, ndmin)), sharding=None
        )
    return placed(out, device)


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """An array from numbers, nested lists or arrays; an array as it is.

    Parameters
    ----------
    a, dtype, device
        As in ``array``.
    copy : bool, optional
        True always copies, False never. Without it memory is shared with a NumPy array where its dtype allows: do not
        write to it afterwards.

    Raises
    ------
    ArgumentError
        ``copy=False``, and there is no array to share or it must be converted or moved.

    Notes
    -----
    *Differences from JAX*: ``copy=False`` of what has to be copied is refused, as the array API standard says.

    Examples
    --------
    >>> pnp.asarray(np.arange(3.0))
    Array([0., 1., 2.], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(asarray(a, dtype, order, copy=copy, device=device), out_sharding)
    if dtype is None and device is None and not copy and isinstance(a, Array):
        return a
    here = a.devices() if copy is False and isinstance(a, ConcreteArray) else None
    out = array(a, dtype, bool(copy), order or "K", device=device)
    if copy is False and not _shares(out, a, here):
        raise ArgumentError(
            wrong=f"asarray was to make {out.aval} of {_described(a)} without a copy, and cannot",
            fix="Leave copy=False out, or give an array of that dtype which is already there",
        )
    return out


def _shares(out: Array, source: Any, here: set[Any] | None) -> bool:
    """Whether an array was made of one that was ``here`` without copying elements, as far as is known."""
    if isinstance(source, Array):
        return source.dtype == out.dtype and (here is None or here == cast(ConcreteArray, out).devices())
    if isinstance(source, (bool, int, float, complex, list, tuple)) or not isinstance(out, ConcreteArray):
        return False
    return out.device.host_memory and out.dtype == getattr(source, "dtype", out.dtype)


def _described(x: Any) -> str:
    dtype = getattr(x, "dtype", None)
    return f"a {type(x).__name__}" + ("" if dtype is None else f" of {dtype}")


def _from_object(x: Any, dtype: Any, copy: bool) -> Array:
    if isinstance(x, Array):
        return _from_array(x, dtype, copy)
    if type(x) in PYTHON_NUMBERS:
        if dtype is None:
            return as_array(x, "array")
        return _from_host(_exact(x, dtype), dtype)
    if isinstance(x, (np.ndarray, np.generic)):
        return _from_numpy(x, dtype, copy)
    if isinstance(x, (list, tuple)):
        return _from_nested(x, dtype)
    if hasattr(x, "__jax_array__"):
        return _from_object(x.__jax_array__(), dtype, copy)
    if x is None or isinstance(x, (str, bytes, dict, set)):
        raise not_an_array(x, "array")
    if hasattr(x, "__array__") or hasattr(x, "__array_interface__"):
        return _from_numpy(np.asarray(x), dtype, copy)
    if hasattr(x, "__dlpack__"):
        return _from_numpy(dlpack.taken(x), dtype, copy)
    try:
        buffer = memoryview(x)
    except TypeError:
        if isinstance(x, (bool, int, float, complex)):
            return _from_array(as_array(x), dtype, False)
        if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
            return _from_nested(list(x), dtype)
        raise not_an_array(x, "array") from None
    return _from_numpy(np.asarray(buffer), dtype, copy)


def _from_array(x: Array, dtype: Any, copy: bool) -> Array:
    if dtype is not None and (x.dtype != dtype or x.weak_type):
        return convert_element_type(x, new_dtype=dtype, weak_type=False, sharding=None)
    if not copy:
        return x
    if isinstance(x, ConcreteArray) and (x._device is None or x._device.host_memory):
        return ConcreteArray(x.aval, x.host().copy(), None, x._device, x.committed)
    return copy_p(x)


def _from_host(value: np.ndarray, dtype: Any) -> ConcreteArray:
    return ConcreteArray(Aval(value.shape, dtype), value)


def _from_numpy(x: Any, dtype: Any, copy: bool) -> Array:
    wanted = dtypes.canonicalize_dtype(x.dtype) if dtype is None else dtype
    if x.dtype == object or x.dtype.kind in "OSUMm" or not dtypes.is_supported(dtypes.canonicalize_dtype(x.dtype)):
        raise DtypeError(
            wrong=f"array was given values of the NumPy dtype {x.dtype}, which no array here can have",
            fix="Give booleans, integers, floating or complex numbers",
        )
    own = dtypes.canonicalize_dtype(x.dtype)
    if own != wanted:
        source = _from_host(np.asarray(x, own), own)
        return convert_element_type(source, new_dtype=wanted, weak_type=False, sharding=None)
    value = np.array(x, wanted, order="C") if copy else np.asarray(x, wanted)
    return _from_host(value, wanted)


def _exact(x: Any, dtype: Any) -> np.ndarray:
    """Python numbers, nested or not, in ``dtype``; an integer that does not fit is refused, as NumPy does."""
    if dtypes.is_narrow(dtype) or dtype == dtypes.bfloat16:
        wide = np.asarray(x)
        return wide.astype(dtype)
    with np.errstate(all="ignore"):
        return np.asarray(x, dtype)


def _leaves(x: Any, kinds: set[type], found: list[Any]) -> None:
    """The types of what stands in nested lists, and those values that are no Python numbers."""
    if isinstance(x, (list, tuple)):
        for item in x:
            kind = type(item)
            if kind in PYTHON_NUMBERS:
                kinds.add(kind)
            else:
                _leaves(item, kinds, found)
    else:
        found.append(x)


def _from_nested(x: Any, dtype: Any) -> Array:
    kinds: set[type] = set()
    found: list[Any] = []
    _leaves(x, kinds, found)
    if not found:
        if dtype is None:
            widest = next((k for k in (complex, float, int, bool) if k in kinds), float)
            dtype = dtypes.dtype_of_python_scalar(widest)
        return _from_host(_nested_host(x, dtype), dtype)
    parts = [_from_object(v, None, False) for v in found]
    if dtype is None:
        weak = [(dtypes.dtype_of_python_scalar(k), k is not bool) for k in kinds]
        dtype = promotion.settled(*promotion.result_type([*((p.dtype, p.weak_type) for p in parts), *weak]))
    if all(isinstance(p, ConcreteArray) for p in parts):
        values = iter(parts)
        return _from_host(_nested_host(_with_values(x, values), dtype), dtype)
    return _stacked([_from_object(item, dtype, False) for item in x])


def _with_values(x: Any, values: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [item if type(item) in PYTHON_NUMBERS else _with_values(item, values) for item in x]
    return next(values).host()


def _nested_host(x: Any, dtype: Any) -> np.ndarray:
    try:
        return _exact(x, dtype)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ShapeError(
            wrong="array was given nested lists whose lengths differ", fix="Give all lists at one depth one length"
        ) from None


def _stacked(rows: Sequence[Array]) -> Array:
    shape = rows[0].shape
    for row in rows:
        if row.shape != shape:
            raise ShapeError(
                wrong=f"array was given rows of different shapes: {shape} and {row.shape}",
                fix="Give rows of one shape, or join them with concatenate",
            )
    dims = tuple(range(1, len(shape) + 1))
    lifted = [broadcast_in_dim(r, shape=(1, *shape), broadcast_dimensions=dims, sharding=None) for r in rows]
    return concatenate(*lifted, dimension=0) if len(lifted) > 1 else lifted[0]


def copy(a: Any, order: str | None = None) -> Array:
    """A copy of an array.

    Examples
    --------
    >>> pnp.copy(pnp.array([1, 2]))
    Array([1, 2], dtype=int32)
    """
    return array(a, copy=True, order=order)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Array:
    """An array from the bytes of an object with the buffer interface.

    Parameters
    ----------
    buffer : bytes, bytearray, memoryview
    dtype : dtype
    count : int
        How many elements; -1 for all.
    offset : int
        Bytes to leave out in front.

    Examples
    --------
    >>> pnp.frombuffer(b"abc", dtype="uint8")
    Array([97, 98, 99], dtype=uint8)
    """
    return array(np.frombuffer(buffer, dtype=dtypes.canonicalize_dtype(dtype), count=count, offset=offset))


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Array:
    """An array from numbers in a text.

    Examples
    --------
    >>> pnp.fromstring("1 2 3", dtype=int, sep=" ")
    Array([1, 2, 3], dtype=int32)
    """
    return array(np.fromstring(string, dtype=dtypes.canonicalize_dtype(dtype), count=count, sep=sep))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array from an object of another library that speaks DLPack, sharing its memory where both are on the host.

    Parameters
    ----------
    x : object with ``__dlpack__`` and ``__dlpack_device__``
    device : Device, optional
        Where the array shall live; by default where an array of portax is, else the default device.
    copy : bool, optional
        True copies always, False never.

    Raises
    ------
    BufferError
        The object's memory is not the host's, or is not to be copied and cannot be shared.
    DtypeError
        A dtype that no array here can have, or one of 64 bits while these are off.

    Examples
    --------
    >>> pnp.from_dlpack(np.arange(3, dtype="float32"))
    Array([0., 1., 2.], dtype=float32)
    """
    if isinstance(x, ConcreteArray):
        if copy is False and device is not None and x.devices() != {devices.as_device(device)}:
            raise BufferError(f"from_dlpack was not to copy, and moving from {x.device} to {device} does")
        return array(x, copy=bool(copy), device=device)
    if copy is False and not (devices.default_device() if device is None else devices.as_device(device)).host_memory:
        raise BufferError("from_dlpack was not to copy, and the array's device does not share the host's memory")
    value = dlpack.taken(x)
    if value.dtype != dtypes.canonicalize_dtype(value.dtype):
        raise DtypeError(
            wrong=f"from_dlpack was given {value.dtype.name}, and 64-bit dtypes are off",
            fix='Turn them on, portax.config.update("enable_x64", True), or convert first',
        )
    return placed(_from_numpy(value, None, bool(copy)), device)


def astype(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Array:
    """An array in another dtype.

    Parameters
    ----------
    x : Array or number
    dtype : dtype, or None for the default floating dtype
    copy : bool
        Copy also where the dtype is the same.

    Returns
    -------
    Array of ``dtype``; of a complex array made real the real part

    Examples
    --------
    >>> pnp.astype(pnp.array([1.5, -2.5]), int)
    Array([ 1, -2], dtype=int32)
    """
    x = as_array(x, "astype")
    wanted = dtypes.user_dtype(float if dtype is None else dtype, "astype")
    if x.dtype == wanted and not x.weak_type:
        return placed(array(x) if copy else x, device)
    return placed(convert_element_type(x, new_dtype=wanted, weak_type=False, sharding=None), device)


# Filled.


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
    made = _from_host(np.asarray(value, wanted), wanted)
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
    return _full(as_shape(shape), _from_object(fill_value, None, False), dtype, "full", device)


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
    value = _from_object(fill_value, None, False)
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
