"""Elements repeated, taken out and put in: tile, repeat, resize, delete, insert, trim_zeros.

Where the places are known beforehand these are gathers and joins at constant places. Places known later are worked out
by counting, with the length of the result fixed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationError, ConcretizationTypeError, IndexingError, ShapeError
from portax.numpy.axes import normalize_axis
from portax.numpy.filling import as_shape
from portax.numpy.index_entries import host_value, run_of
from portax.numpy.index_updates import IndexUpdate
from portax.numpy.indexing import index
from portax.numpy.joining import joined
from portax.numpy.promotion import as_array
from portax.numpy.shaping import broadcast_to, expand_dims, moveaxis, ravel, reshape
from portax.primitives import arithmetic, comparison, slicing
from portax.primitives.broadcasting import broadcast_in_dim, reduce_sum
from portax.primitives.conversion import convert
from portax.primitives.cumulative import cumsum
from portax.primitives.sorting import sort
from portax.primitives.zeros import zeros

laying = lazy("portax.higher_order.laying")

_INT32 = np.dtype(np.int32)


# -- repeating --------------------------------------------------------------------------------------------------------
def tile(A: Any, reps: int | Sequence[int]) -> Array:
    """Copies of an array side by side.

    Parameters
    ----------
    A : Array
    reps : int or sequence of int, copies along each axis, aligned with the last

    Examples
    --------
    >>> pnp.tile(pnp.arange(2), (2, 2))
    Array([[0, 1, 0, 1],
           [0, 1, 0, 1]], dtype=int32)
    """
    x = as_array(A, "tile")
    counts = as_shape(reps)
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    own = (1,) * (rank - x.ndim) + x.shape
    if all(c == 1 for c in counts):
        return reshape(x, own)
    spread: list[int] = []
    kept: list[int] = []
    for d, (c, n) in enumerate(zip(counts, own, strict=True)):
        if c != 1:
            spread.append(c)
        if d >= rank - x.ndim:
            kept.append(len(spread))
            spread.append(n)
    out = broadcast_in_dim(x, shape=tuple(spread), broadcast_dimensions=tuple(kept), sharding=None)
    return reshape(out, tuple([c * n for c, n in zip(counts, own, strict=True)]))


def repeat(
    a: Any, repeats: Any, axis: int | None = None, *, total_repeat_length: int | None = None, out_sharding: Any = None
) -> Array:
    """An array with each element (or slice along an axis) several times in a row.

    Parameters
    ----------
    a : Array
    repeats : int, or Array of int with one for each element along the axis
    axis : int, or None to repeat the elements of the raveled array
    total_repeat_length : int, optional
        Length of the result along the axis; what is too much is cut off, and what is missing filled up with the last
        element. Needed where ``repeats`` is traced.

    Raises
    ------
    ConcretizationTypeError
        ``repeats`` is traced, and ``total_repeat_length`` is not given.

    Examples
    --------
    >>> pnp.repeat(pnp.arange(3), pnp.array([1, 0, 2]))
    Array([0, 2, 2], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(repeat(a, repeats, axis, total_repeat_length=total_repeat_length), out_sharding)
    x = as_array(a, "repeat")
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "repeat")
    n = x.shape[axis]
    counts = as_array(repeats, "repeat")
    if not dtypes.is_integer(counts.dtype) and counts.dtype != np.bool_:
        raise ArgumentError(wrong=f"repeat needs integers as repeats, not {counts.aval}", fix="Convert them with int()")
    if counts.ndim > 1 or (counts.ndim == 1 and counts.shape[0] not in (1, n)):
        raise ShapeError(
            wrong=f"repeat was given repeats of shape {counts.shape} for an axis of length {n}",
            fix=f"Give one number, or {n}",
        )
    known = host_value(counts)
    if known is None and not isinstance(counts, Tracer):
        known = np.asarray(counts)
    if known is None:
        if total_repeat_length is None:
            raise ConcretizationTypeError(
                wrong=f"repeat was given traced repeats ({counts.aval}), so the length of the result is not known",
                fix="Give total_repeat_length, or make the repeats static",
            )
        return _repeat_later(x, counts, axis, operator.index(total_repeat_length))
    if (known < 0).any():
        raise ArgumentError(wrong=f"repeat was given negative repeats: {known}", fix="Give 0 or more")
    if known.size == 1:
        out = _repeat_alike(x, int(known.reshape(())), axis)
        length = out.shape[axis]
        if total_repeat_length is None or total_repeat_length == length:
            return out
        return index(out, _along(axis, np.minimum(np.arange(total_repeat_length), max(length - 1, 0))))
    places = np.repeat(np.arange(n), known)
    if total_repeat_length is not None:
        last = places[-1] if places.size else n - 1
        missing = max(0, total_repeat_length - places.size)
        places = np.concatenate([places[:total_repeat_length], np.full(missing, last, places.dtype)])
    return index(x, _along(axis, places.astype(_INT32)))


def _along(axis: int, places: Any) -> tuple[Any, ...]:
    return (*[slice(None)] * axis, places)


def _repeat_alike(x: Array, count: int, axis: int) -> Array:
    if count == 1:
        return x
    shape = x.shape
    spread = (*shape[: axis + 1], count, *shape[axis + 1 :])
    kept = tuple([d for d in range(len(spread)) if d != axis + 1])
    out = broadcast_in_dim(x, shape=spread, broadcast_dimensions=kept, sharding=None)
    return reshape(out, (*shape[:axis], shape[axis] * count, *shape[axis + 1 :]))


def _repeat_later(x: Array, counts: Array, axis: int, total: int) -> Array:
    """Repeats known only later: place j of the result holds the element whose run it lies in."""
    n = x.shape[axis]
    counts = broadcast_to(convert(counts, _INT32), (n,))
    if not n or not total:
        return zeros(x.aval.update(shape=(*x.shape[:axis], total, *x.shape[axis + 1 :]), weak_type=False))
    ends = cumsum(counts, axis=0, reverse=False)
    # A run ends where the next begins: counting the ends up to j tells how many runs are over.
    steps = IndexUpdate(zeros(counts.aval.update(shape=(total,), weak_type=False)), ends).add(1)
    return index(x, _along(axis, cumsum(steps, axis=0, reverse=False)))


def resize(a: Any, new_shape: Any) -> Array:
    """An array of another shape, filled with the elements over and over.

    Parameters
    ----------
    a : Array
    new_shape : int or tuple of int

    Examples
    --------
    >>> pnp.resize(pnp.arange(3), (2, 2))
    Array([[0, 1],
           [2, 0]], dtype=int32)
    """
    x = ravel(as_array(a, "resize"))
    shape = as_shape(new_shape)
    wanted = math.prod(shape)
    if not wanted or not x.size:
        return zeros(x.aval.update(shape=shape, weak_type=False))
    copies = -(-wanted // x.size)
    return reshape(index(tile(x, copies), slice(0, wanted)), shape)


# -- taking out, putting in -------------------------------------------------------------------------------------------
def delete(arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False) -> Array:
    """An array without some of its slices along an axis.

    Parameters
    ----------
    arr : Array
    obj : int, slice, or Array of int or bool
        Which to leave out.
    axis : int, or None for elements of the raveled array
    assume_unique_indices : bool
        Whether traced indices, which are then allowed, are known to differ from each other.

    Raises
    ------
    AxisError, IndexingError
        An index is out of bounds.

    Examples
    --------
    >>> pnp.delete(pnp.arange(5), 1)
    Array([0, 2, 3, 4], dtype=int32)
    """
    x = as_array(arr, "delete")
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "delete")
    n = x.shape[axis]
    if isinstance(obj, slice):
        run = run_of(obj, n)
        gone = np.arange(run.size) * run.step + run.start
    else:
        which = as_array(obj, "delete")
        gone = host_value(which)
        if gone is None and not isinstance(which, Tracer):
            gone = np.asarray(which)
        if gone is None:
            return _delete_later(x, which, axis, assume_unique_indices)
        if not gone.ndim:
            gone = np.asarray([normalize_axis(int(gone), n, "delete")])
    keep = np.ones(n, bool)
    if gone.dtype == np.bool_:
        if gone.shape != (n,):
            raise IndexingError(
                wrong=f"delete was given a mask of shape {gone.shape} for an axis of length {n}", fix=f"Give {n} bools"
            )
        keep = ~gone
    else:
        bad = gone[(gone < -n) | (gone >= n)]
        if bad.size:
            raise IndexingError(
                wrong=f"delete was given index {bad.flat[0]}, out of bounds for axis {axis} with size {n}",
                fix=f"Give indices from {-n} to {n - 1}",
            )
        keep[gone] = False
    places = keep.nonzero()[0].astype(_INT32)
    if places.size == n:
        return x
    cut = np.flatnonzero(np.diff(places) != 1) + 1
    if places.size and cut.size < 2:
        # What remains is one or two stretches.
        runs = np.split(places, cut)
        return joined("delete", [slicing.part(x, axis, int(r[0]), int(r[-1]) + 1) for r in runs], axis)
    return index(x, _along(axis, places))


def _delete_later(x: Array, which: Array, axis: int, unique: bool) -> Array:
    """Indices known only later: as many elements go as there are indices."""
    if not (unique or which.size == 1) or which.dtype == np.bool_:
        raise ConcretizationError(
            wrong=f"delete was given traced indices ({which.aval}), so the length of the result is not known",
            fix="Give assume_unique_indices=True if no index is there twice, or make the indices static",
        )
    n = x.shape[axis]
    which = convert(ravel(which), _INT32)
    which = comparison.select_n(comparison.lt(which, np.int32(0)), which, arithmetic.add(which, np.int32(n)))
    (ordered,) = sort(which, dimension=0, is_stable=False, num_keys=1)
    size = which.size
    # Place j of the result holds element j + k, where k indices lie before it.
    before = arithmetic.sub(ordered, np.arange(size, dtype=_INT32))
    places = np.arange(max(n - size, 0), dtype=_INT32)
    table = (places.size, size)
    skipped = comparison.le(
        broadcast_in_dim(before, shape=table, broadcast_dimensions=(1,), sharding=None),
        broadcast_in_dim(places, shape=table, broadcast_dimensions=(0,), sharding=None),
    )
    count = reduce_sum(convert(skipped, _INT32), axes=(1,), out_sharding=None)
    return index(x, _along(axis, arithmetic.add(count, places)))


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Array:
    """An array with values put in before some of its places along an axis.

    Parameters
    ----------
    arr : Array
    obj : int, slice, or Array of int
        Before which element each value goes, counted in ``arr``; places past the end are the end.
    values : Array, converted to the dtype of ``arr``
    axis : int, or None for the raveled array

    Examples
    --------
    >>> pnp.insert(pnp.arange(3), 1, 9)
    Array([0, 9, 1, 2], dtype=int32)
    """
    x = as_array(arr, "insert")
    new = as_array(values, "insert")
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "insert")
    n = x.shape[axis]
    if isinstance(obj, slice):
        run = run_of(obj, n)
        where: Any = np.arange(run.size, dtype=_INT32) * run.step + run.start
        alone = False
    else:
        where = as_array(obj, "insert")
        if not dtypes.is_integer(where.dtype):
            raise ArgumentError(wrong=f"insert needs integers as places, not {where.aval}", fix="Use .astype(int)")
        alone = not where.ndim
        known = host_value(where)
        where = ravel(where) if known is None else known.reshape(-1)
    new = convert(new, x.dtype)
    if new.ndim < x.ndim:
        new = expand_dims(new, tuple(range(x.ndim - new.ndim)))
    if alone:
        new = moveaxis(new, 0, axis)
    count = where.shape[0]
    if count == 1:
        count = new.shape[axis]
        where = np.repeat(where, count) if isinstance(where, np.ndarray) else broadcast_to(where, (count,))
    if not count:
        return x
    if isinstance(where, np.ndarray):
        where = where.astype(np.int64)
        where = np.clip(np.where(where < 0, where + n, where), 0, n)
        order = np.argsort(where, kind="stable")
        places = np.empty(count, _INT32)
        places[order] = where[order] + np.arange(count)
        old: Any = np.delete(np.arange(n + count, dtype=_INT32), places)
    else:
        where = convert(where, _INT32)
        where = comparison.select_n(comparison.lt(where, np.int32(0)), where, arithmetic.add(where, np.int32(n)))
        where = comparison.clamp(np.int32(0), where, np.int32(n))
        ordered, order = sort(where, np.arange(count, dtype=_INT32), dimension=0, is_stable=True, num_keys=1)
        shifted = arithmetic.add(ordered, np.arange(count, dtype=_INT32))
        places = IndexUpdate(zeros(where.aval.strip_weak_type()), order).set(shifted, unique_indices=True)
        free = IndexUpdate(broadcast_to(np.ones((), _INT32), (n + count,)), places).set(0, unique_indices=True)
        # The k-th free place is where the count of free places first reaches k + 1.
        rank = arithmetic.sub(cumsum(free, axis=0, reverse=False), np.int32(1))
        rank = comparison.select_n(comparison.eq(free, np.int32(1)), np.int32(n + count), rank)
        target = broadcast_to(np.zeros((), _INT32), (n,))
        old = IndexUpdate(target, rank).set(np.arange(n + count, dtype=_INT32), mode="drop")
    shape = (*x.shape[:axis], n + count, *x.shape[axis + 1 :])
    out = zeros(x.aval.update(shape=shape, weak_type=False))
    out = IndexUpdate(out, _along(axis, old)).set(x, unique_indices=True)
    wanted = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    if new.ndim > len(wanted) or any(n not in (1, m) for n, m in zip(new.shape, wanted, strict=True)):
        raise ShapeError(
            wrong=f"insert cannot put values of shape {new.shape} at {count} places of an array of shape {x.shape}",
            fix=f"Give values that broadcast to {wanted}",
        )
    return IndexUpdate(out, _along(axis, places)).set(new, unique_indices=True)


def trim_zeros(filt: Any, trim: str = "fb", axis: int | Sequence[int] | None = None) -> Array:
    """An array without the zeros at its ends.

    Parameters
    ----------
    filt : Array, not traced: the shape of the result depends on its values
    trim : "f", "b" or "fb", at which ends: the front, the back, or both
    axis : int or tuple of int, optional
        Along which axes, by default all.

    Examples
    --------
    >>> pnp.trim_zeros(pnp.array([0, 1, 0, 2, 0]))
    Array([1, 0, 2], dtype=int32)
    """
    x = as_array(filt, "trim_zeros")
    if isinstance(x, Tracer):
        raise ConcretizationError(
            wrong=f"trim_zeros was given a traced array ({x.aval}), so the shape of the result is not known",
            fix="Call it outside of jit",
        )
    trim = trim.lower()
    if trim not in ("f", "b", "fb", "bf"):
        raise ArgumentError(wrong=f"trim_zeros does not know {trim!r}", fix='Give "f", "b" or "fb"')
    if axis is None:
        axes = range(x.ndim)
    else:
        axes = [normalize_axis(d, x.ndim, "trim_zeros") for d in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    places = np.nonzero(np.asarray(x))
    cut = [slice(None)] * x.ndim
    for d in axes:
        found = places[d]
        low = int(found.min()) if found.size else x.shape[d]
        high = int(found.max()) + 1 if found.size else 0
        start, stop = (low if "f" in trim else 0), (high if "b" in trim else x.shape[d])
        cut[d] = slice(start, max(start, stop))
    return index(x, tuple(cut))
