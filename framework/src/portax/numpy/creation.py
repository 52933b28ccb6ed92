"""Making arrays from values of Python, of NumPy and of other libraries.

They become concrete arrays at once, also while tracing. What a program can compute by itself (`filling`, `grids`) is an
operation instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from portax.core import dtypes, promotion
from portax.core.array import Array
from portax.core.aval import Aval
from portax.core.lazy import lazy
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.numpy.promotion import PYTHON_NUMBERS, as_array, not_an_array
from portax.primitives.barriers import copy as copy_p
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.conversion import convert_element_type
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
    out = from_object(object, None if dtype is None else dtypes.user_dtype(dtype, "array"), bool(copy))
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


def from_object(x: Any, dtype: Any, copy: bool) -> Array:
    """An array from whatever stands for one, of a dtype that is given, or of its own."""
    if isinstance(x, Array):
        return _from_array(x, dtype, copy)
    if type(x) in PYTHON_NUMBERS:
        if dtype is None:
            return as_array(x, "array")
        return from_host(_exact(x, dtype), dtype)
    if isinstance(x, (np.ndarray, np.generic)):
        return _from_numpy(x, dtype, copy)
    if isinstance(x, (list, tuple)):
        return _from_nested(x, dtype)
    if hasattr(x, "__jax_array__"):
        return from_object(x.__jax_array__(), dtype, copy)
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


def from_host(value: np.ndarray, dtype: Any) -> ConcreteArray:
    """A concrete array that holds a NumPy array of the host."""
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
        source = from_host(np.asarray(x, own), own)
        return convert_element_type(source, new_dtype=wanted, weak_type=False, sharding=None)
    value = np.array(x, wanted, order="C") if copy else np.asarray(x, wanted)
    return from_host(value, wanted)


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
        return from_host(_nested_host(x, dtype), dtype)
    parts = [from_object(v, None, False) for v in found]
    if dtype is None:
        weak = [(dtypes.dtype_of_python_scalar(k), k is not bool) for k in kinds]
        dtype = promotion.settled(*promotion.result_type([*((p.dtype, p.weak_type) for p in parts), *weak]))
    if all(isinstance(p, ConcreteArray) for p in parts):
        values = iter(parts)
        return from_host(_nested_host(_with_values(x, values), dtype), dtype)
    return _stacked([from_object(item, dtype, False) for item in x])


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
