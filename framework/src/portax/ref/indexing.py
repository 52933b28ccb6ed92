"""What an index of a reference means: parts of arrays that are read, and replaced.

Where an array forgives, a reference does not: what is written has the shape and the dtype of the part it replaces, and
a number known beforehand that is out of range is an error. `ds` is an index besides those of arrays: a window whose
start may be traced.
"""

from __future__ import annotations

import operator
from typing import Any, TypeGuard

import numpy as np

from portax import errors
from portax.core.aval import Aval, aval_of
from portax.core.trace import Tracer
from portax.higher_order.closures import as_arrays
from portax.numpy.grids import arange
from portax.primitives.conversion import convert_element_type
from portax.primitives.dynamic_slicing import dynamic_slice, dynamic_update_slice


class Slice:
    """A window of an axis: ``size`` elements from ``start`` on, every ``stride``-th. Made by ``ds``."""

    __slots__ = ("size", "start", "stride")

    def __init__(self, start: Any, size: int, stride: int = 1) -> None:
        self.start, self.size, self.stride = start, size, stride

    def __repr__(self) -> str:
        return f"Slice(start={self.start}, size={self.size}, stride={self.stride})"


def ds(start: Any, size: int | None = None, stride: int | None = None) -> Slice | slice:
    """A window of an axis, as an index of a reference: its start may be traced.

    Parameters
    ----------
    start : int or Array of an integer dtype, shape (), or None for all of the axis
    size : int, optional
        Number of elements; given alone, ``ds(size)`` starts at 0.
    stride : int, optional
        Every how many-th element, by default each.

    Raises
    ------
    ArgumentError
        ``size`` or ``stride`` is not a positive whole number.

    Examples
    --------
    >>> import portax
    >>> ref = portax.new_ref(portax.numpy.arange(5))
    >>> ref[portax.ds(1, 3)].tolist()
    [1, 2, 3]
    """
    if start is None:
        return slice(None)
    if size is None:
        start, size = 0, start
    stride = 1 if stride is None else stride
    if not _is_static(size) or not _is_static(stride) or size < 0 or stride < 1:
        raise errors.ArgumentError(
            wrong=f"ds was given size {size!r} and stride {stride!r}",
            fix="Give whole numbers; only start may be traced",
        )
    return Slice(start, int(size), int(stride))


def _is_static(x: Any) -> TypeGuard[int]:
    return isinstance(x, int | np.integer)


def take(x: Any, idx: Any) -> Any:
    """The part of an array that an index means."""
    windows, rest = _read(x, idx)
    for axis, window in windows:
        x = _cut(x, axis, window)
    return x[rest]


def replaced(x: Any, idx: Any, value: Any, what: str, *, add: bool = False) -> Any:
    """The array with another part, or with ``value`` added to it; that has its shape and dtype."""
    windows, rest = _read(x, idx)
    if not windows and all(entry is Ellipsis for entry in rest):
        value = fitting(value, aval_of(x), what)
        return x + value if add else value
    wholes: list[Any] = []
    part = x
    for axis, window in windows:
        wholes.append(part)
        part = _cut(part, axis, window)
    inner = aval_of(part[rest])
    value = fitting(value, inner, what)
    part = part.at[rest].add(value) if add else part.at[rest].set(value)
    for (axis, window), whole in zip(reversed(windows), reversed(wholes), strict=True):
        part = _pasted(whole, axis, window, part)
    return part


def fitting(value: Any, aval: Aval, what: str) -> Any:
    """``value`` as an array of just that aval, but for its weakness.

    Raises
    ------
    ShapeError, DtypeError
        It has another shape or dtype.
    """
    [value] = as_arrays([value], what)
    given = aval_of(value)
    if given.shape != aval.shape:
        raise errors.ShapeError(
            wrong=f"{what} was given {given} for a part of a reference that is {aval}",
            fix="Give a value of that shape; broadcast_to makes one",
        )
    if given.dtype != aval.dtype:
        raise errors.DtypeError(
            wrong=f"{what} was given {given} for a part of a reference that is {aval}",
            fix="Convert the value with astype: references convert nothing",
        )
    if given.weak_type != aval.weak_type:
        return convert_element_type(value, new_dtype=aval.dtype, weak_type=aval.weak_type, sharding=None)
    return value


def _read(x: Any, idx: Any) -> tuple[list[tuple[int, Slice]], tuple[Any, ...]]:
    """``(windows, rest)``: the windows of an index with their axes, and the index of what they leave."""
    if idx is None:
        return [], (Ellipsis,)
    entries = idx if isinstance(idx, tuple) else (idx,)
    shape = aval_of(x).shape
    taken = sum(_axes(e) for e in entries)
    windows: list[tuple[int, Slice]] = []
    rest: list[Any] = []
    axis = 0
    for entry in entries:
        if entry is Ellipsis:
            axis += len(shape) - taken
        elif isinstance(entry, Slice):
            if axis < len(shape):
                windows.append((axis, entry))
            entry = slice(None)
            axis += 1
        else:
            _check_place(entry, axis, shape)
            axis += _axes(entry)
        rest.append(entry)
    return windows, tuple(rest)


def _axes(entry: Any) -> int:
    if entry is Ellipsis or entry is None or isinstance(entry, bool | np.bool):
        return 0
    mask = getattr(entry, "dtype", None) == np.dtype(bool)
    return entry.ndim if mask else 1


def _check_place(entry: Any, axis: int, shape: tuple[int, ...]) -> None:
    if isinstance(entry, int | np.integer) and not isinstance(entry, bool) and axis < len(shape):
        n = shape[axis]
        if not -n <= entry < n:
            raise errors.IndexingError(
                wrong=f"index {entry} is out of range for axis {axis} of a reference of shape {shape}",
                fix=f"Give -{n} to {n - 1}" if n else "The axis is empty",
            )


def _start(x: Any, axis: int, window: Slice) -> Any:
    n, start = aval_of(x).shape[axis], window.start
    reach = (window.size - 1) * window.stride + 1 if window.size else 0
    if not isinstance(start, Tracer):
        start = operator.index(np.asarray(start).item())
        if not 0 <= start <= n - reach:
            raise errors.IndexingError(
                wrong=f"the window ds({start}, {window.size}, {window.stride}) reaches out of an axis of length {n}",
                fix="Make it smaller, or let it start elsewhere",
            )
    elif reach > n:
        raise errors.IndexingError(
            wrong=f"a window of {window.size} elements does not fit in an axis of length {n}", fix="Make it smaller"
        )
    return start


def _starts(x: Any, axis: int, start: Any) -> list[Any]:
    dtype = aval_of(start).dtype if isinstance(start, Tracer) else np.dtype(np.int32)
    zero = np.zeros((), dtype)
    first = start if isinstance(start, Tracer) else np.asarray(start, dtype)
    return [first if d == axis else zero for d in range(aval_of(x).ndim)]


def _cut(x: Any, axis: int, window: Slice) -> Any:
    start, shape = _start(x, axis, window), aval_of(x).shape
    if window.stride > 1:
        return x[(*[slice(None)] * axis, start + arange(window.size) * window.stride)]
    sizes = (*shape[:axis], window.size, *shape[axis + 1 :])
    return dynamic_slice(x, *_starts(x, axis, start), slice_sizes=sizes)


def _pasted(x: Any, axis: int, window: Slice, part: Any) -> Any:
    start = _start(x, axis, window)
    if window.stride > 1:
        return x.at[(*[slice(None)] * axis, start + arange(window.size) * window.stride)].set(part)
    return dynamic_update_slice(x, part, *_starts(x, axis, start))
