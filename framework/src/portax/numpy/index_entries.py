"""Reading an index: what each of its elements says of an axis, before anybody asks how to follow it.

`read` turns whatever a user writes between the brackets into one entry for each axis: an int, a slice, an array of
ints, and between them None and `Flag`, which stand for axes that the array does not have. Masks are positions from
there on, and what cannot be an index is refused here.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portax import errors
from portax.core import dtypes, promotion
from portax.core.array import Array
from portax.core.config import config
from portax.core.trace import Tracer
from portax.numpy.promotion import as_array
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.conversion import convert
from portax.primitives.slicing import concatenate
from portax.runtime.array import ConcreteArray

Shape = tuple[int, ...]

_INT32 = np.dtype(np.int32)
_INT64 = np.dtype(np.int64)


class Flag(NamedTuple):
    """A scalar bool as index: an axis of length 1 or 0 that the array does not have."""

    value: bool


class Mask(NamedTuple):
    """An array of bools as index: it names as many axes as it has, and picks where it is true."""

    value: np.ndarray


#: One entry: None, a slice, an int, a NumPy array of ints of rank at least 1, an array of ints, or a `Flag`.
Entry = Any


def read(shape: Shape, idx: Any) -> list[Entry]:
    """The entries of ``idx`` for an array of ``shape``: None and `Flag` stand between axes, all others for one each.

    Raises
    ------
    DtypeError
        A list, a string, or an array that is neither integer nor bool.
    IndexingError
        More entries than axes, two ellipses, or a mask of another shape.
    NonConcreteBooleanIndexError
        A mask that is being traced.
    """
    given = [i if i is Ellipsis else _entry(i) for i in (idx if type(idx) is tuple else _alone(idx))]
    taken = sum(map(_width, given))
    if taken > len(shape):
        raise errors.IndexingError(
            wrong=f"the index has {taken} entries, but the array has {len(shape)} axes (shape {shape})",
            fix="Drop entries, or add axes with None",
        )
    full = [slice(None)] * (len(shape) - taken)
    places = [k for k, i in enumerate(given) if i is Ellipsis]
    if len(places) > 1:
        raise errors.IndexingError(wrong="the index has two ellipses (...)", fix="Keep one of them")
    place = places[0] if places else len(given)
    # An ellipsis keeps arrays on its two sides apart even where it stands for no axis.
    given[place : place + 1] = full if full or not places else [Ellipsis] if any(map(is_picking, given)) else []
    if not any(type(i) is Mask for i in given):
        return given
    entries: list[Entry] = []
    axis = 0
    for i in given:
        entries += _positions(i.value, shape, axis) if type(i) is Mask else [i]
        axis += _width(i)
    return entries


def _width(i: Any) -> int:
    """How many axes an element of an index names."""
    if i is None or i is Ellipsis or type(i) is Flag:
        return 0
    return i.value.ndim if type(i) is Mask else 1


def is_picking(i: Any) -> bool:
    """Whether an element of an index is an array of rank 1 or more, or a scalar bool."""
    return type(i) is Flag or type(i) is Mask or (hasattr(i, "ndim") and i.ndim > 0)


def _positions(mask: np.ndarray, shape: Shape, axis: int) -> tuple[np.ndarray, ...]:
    found = shape[axis : axis + mask.ndim]
    if found != mask.shape:
        raise errors.IndexingError(
            wrong=f"a mask of shape {mask.shape} cannot pick from axes of shape {found} "
            f"(axis {axis} on, of an array of shape {shape})",
            fix="Make the mask from the array itself, as in x[x > 0], or give it the shape of those axes",
        )
    dtype = _INT64 if any(n > 0x7FFFFFFF for n in shape) else _INT32
    return tuple([i.astype(dtype) for i in mask.nonzero()])


def _alone(idx: Any) -> tuple[Any, ...]:
    """The elements of an index that is no plain tuple."""
    if isinstance(idx, tuple):
        return tuple(idx)
    if isinstance(idx, (list, bytes)):
        raise errors.DtypeError(
            wrong=f"a {type(idx).__name__} cannot be an index: {_shown(idx)}",
            fix="Write x[pnp.array([...])] to pick elements, or x[tuple(...)] to index several axes",
        )
    return (idx,)


def _is_array(x: Any) -> bool:
    return isinstance(x, (Array, np.ndarray, np.generic)) or hasattr(x, "__jax_array__")


def _shown(x: Any) -> str:
    text = repr(x)
    return text if len(text) < 60 else text[:57] + "..."


def _entry(i: Any) -> Any:
    """One element of an index: None, a slice, an int, a NumPy array of ints, an array, a `Flag` or a `Mask`."""
    kind = type(i)
    if kind is int or kind is slice or i is None:
        return i
    if kind is bool or kind is np.bool_:
        return Flag(bool(i))
    if isinstance(i, str):
        raise errors.DtypeError(
            wrong=f"a string cannot be an index: {_shown(i)}", fix="Arrays have no named fields; use a dict of arrays"
        )
    if isinstance(i, (list, tuple)):
        i = _from_sequence(i)
    elif not _is_array(i):
        try:
            return operator.index(i)
        except TypeError:
            if isinstance(i, (float, complex)):
                raise _not_integer(i, type(i).__name__) from None
            raise errors.IndexingError(
                wrong=f"{_shown(i)} of type {type(i).__name__} cannot be an index",
                fix="Index with integers, slices, ..., None, and arrays of integers or bools",
            ) from None
    if not isinstance(i, (np.ndarray, np.generic)):
        i = as_array(i, "indexing")
    dtype = i.dtype
    if dtype == np.bool_:
        return _mask(i)
    if not dtypes.is_integer(dtype):
        raise _not_integer(i, str(dtypes.name_of(dtype)))
    host = host_value(i)
    if host is None:
        return i
    canonical = dtypes.canonicalize_dtype(host.dtype)
    if host.dtype != canonical:
        host = host.astype(canonical)
    if host.ndim:
        return host
    # As in an array, unsigned numbers beyond the index dtype wrap around.
    return int(host.astype(_INT64 if host.dtype.itemsize == 8 else _INT32))


def _not_integer(i: Any, dtype: str) -> errors.DtypeError:
    return errors.DtypeError(
        wrong=f"an index must be integer or bool, not {dtype}: {_shown(i)}", fix="Convert it with .astype(int) or int()"
    )


def _from_sequence(i: Sequence[Any]) -> Any:
    """A list within an index, as an array."""
    if not len(i):
        return np.zeros(0, np.int32)
    rows = [_from_sequence(v) if isinstance(v, (list, tuple)) else v for v in i]
    if not any(isinstance(v, Array) for v in rows):
        return np.asarray(rows)
    values = [host_value(as_array(v, "indexing")) for v in rows]
    known = [v for v in values if v is not None]
    if len(known) == len(rows):
        return np.stack(known)
    arrays = [as_array(v, "indexing") for v in rows]
    dtype = promotion.result_type([(v.dtype, v.weak_type) for v in arrays])[0]
    rows = [broadcast_in_dim(convert(v, dtype), shape=(1, *v.shape), broadcast_dimensions=tuple(range(1, v.ndim + 1)))
            for v in arrays]  # fmt: skip
    return concatenate(*rows, dimension=0)


def host_value(i: Any) -> np.ndarray | None:
    """The value of an array that is in host memory already, or can be viewed from there; else None."""
    if isinstance(i, (np.ndarray, np.generic)):
        return np.asarray(i)
    if type(i) is ConcreteArray:
        device = i._device  # pyright: ignore[reportPrivateUsage]
        if i._host is not None or device is None or device.host_memory:  # pyright: ignore[reportPrivateUsage]
            return i.host()
    return None


def concrete_value(x: Any) -> ConcreteArray | None:
    """The concrete array behind ``x``: itself, or the primal of a value being differentiated; None if only traced."""
    while not isinstance(x, ConcreteArray):
        x = getattr(x, "primal", None)
        if x is None:
            return None
    return x


def _mask(i: Any) -> Flag | Mask:
    if isinstance(i, Array):
        value = concrete_value(i)
        if value is None:
            raise errors.NonConcreteBooleanIndexError(
                wrong=f"a traced mask ({i.aval}) cannot be an index: how many elements it picks is not known "
                "while tracing",
                fix="Keep the shape and mask the values, pnp.where(mask, x, 0); or say how many there are at most, "
                "x[pnp.nonzero(mask, size=n)]",
            )
        i = value.host()
    return Mask(np.asarray(i)) if i.ndim else Flag(bool(i))


class Run(NamedTuple):
    """A slice along an axis: ``size`` elements from ``start`` on, ``step`` apart (which may be negative)."""

    start: int
    size: int
    step: int

    @property
    def low(self) -> int:
        """The least position taken."""
        return self.start if self.step > 0 else self.start + (self.size - 1) * self.step


def run_of(s: slice, n: int) -> Run:
    """The elements that ``s`` takes of an axis of length ``n``."""
    try:
        start, stop, step = s.indices(n)
    except TypeError as error:
        traced = next((b for b in (s.start, s.stop, s.step) if isinstance(b, Tracer)), None)
        if traced is not None:
            raise errors.NonConcreteSliceError(
                wrong=f"a slice was given a traced bound ({traced.aval}); the length of the result must be known "
                "while tracing",
                fix="Use lax.dynamic_slice(x, (start,), (size,)) with a fixed size, or make the bound static",
            ) from error
        raise errors.DtypeError(
            wrong=f"{s} cannot be an index: its bounds must be integers or None", fix="Convert them with int()"
        ) from None
    except ValueError:
        raise errors.ArgumentError(wrong=f"{s} has step 0", fix="Give a step other than 0") from None
    size = len(range(start, stop, step))
    return Run(start if size else 0, size, step if size > 1 else 1)


def check_int(i: int) -> None:
    """Refuse a Python int that no index dtype holds."""
    if not -0x80000000 <= i <= 0x7FFFFFFF:
        dtypes.dtype_of_python_scalar(i)


def within(i: int, axis: int, n: int, shape: Shape, wrap: bool = True) -> int:
    """An int counted from the front, perhaps out of range; the axis must have elements."""
    if not n:
        raise errors.IndexingError(
            wrong=f"index {i} is out of bounds: axis {axis} of the array (shape {shape}) has length 0",
            fix="Check the length first, or take an empty slice",
        )
    check_int(i)
    if config.check_static_indices and wrap and not -n <= i < n:
        raise errors.IndexingError(
            wrong=f"index {i} is out of bounds: axis {axis} of the array (shape {shape}) has length {n}",
            fix=f"Give {-n} to {n - 1}, or turn check_static_indices off to read the element nearest to it",
        )
    return i + n if i < 0 and wrap else i
