"""Functions that read elements at places given as arrays: take, choose, compress and their kin.

They differ from indexing in what a place out of range means: reads give NaN by default, as ``mode="fill"`` says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationTypeError, DtypeError, GapError, IndexingError, ShapeError
from portax.numpy.axes import normalize_axis
from portax.numpy.choosing import nonzero
from portax.numpy.filling import as_shape
from portax.numpy.index_entries import host_value
from portax.numpy.index_plans import VectorPlan, counted_from_front
from portax.numpy.indexing import fill_number, index, take_vectors
from portax.numpy.joining import stack
from portax.numpy.promotion import as_array, promote_dtypes
from portax.numpy.shaping import broadcast_arrays, broadcast_shapes, expand_dims, ravel, reshape
from portax.numpy.ufuncs import divmod as floor_divmod
from portax.numpy.ufuncs import remainder, truth
from portax.primitives import arithmetic, comparison
from portax.primitives.comparison import select_n
from portax.primitives.conversion import convert, convert_element_type
from portax.primitives.indexing import (
    CLIP,
    FILL_OR_DROP,
    PROMISE_IN_BOUNDS,
    GatherDimensionNumbers,
    GatherScatterMode,
    gather,
)
from portax.primitives.zeros import zeros

_INT32 = np.dtype(np.int32)


def integers(x: Any, name: str, what: str = "indices") -> Array:
    """``x`` as an array, which must be of integers."""
    x = as_array(x, name)
    if not dtypes.is_integer(x.dtype):
        raise DtypeError(
            wrong=f"{name} needs {what} of an integer type, not {x.aval}", fix="Convert them with .astype(int)"
        )
    return x


def _refuse_out(name: str, out: Any) -> None:
    if out is not None:
        raise ArgumentError(wrong=f"{name} was given out=, but arrays are immutable", fix="Use the result")


# -- reading ----------------------------------------------------------------------------------------------------------
def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Array:
    """Slices of an array along an axis, at given places.

    Parameters
    ----------
    a : Array
    indices : Array of int; negative ones count from the end, except under ``"clip"``
    axis : int, or None for elements of the raveled array
    mode : "fill", "clip" or "wrap"
        What a place out of range reads: ``fill_value``, the nearest element, or the one as many lengths away.
        ``"fill"`` by default.
    unique_indices, indices_are_sorted : bool
        Promises that may make it faster.
    fill_value : number, optional
        By default NaN; the least signed, and the greatest unsigned integer.

    Returns
    -------
    Array of the dtype of ``a``, the axes of ``indices`` in place of ``axis``

    Examples
    --------
    >>> pnp.take(pnp.array([1.0, 2.0, 3.0]), pnp.array([2, -1, 5]))
    Array([ 3.,  3., nan], dtype=float32)
    """
    _refuse_out("take", out)
    x = as_array(a, "take")
    places = as_array(indices, "take")
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "take")
    if places.dtype == np.bool_:
        places = convert(places, _INT32)
    places = integers(places, "take")
    n = x.shape[axis]
    if not n and places.size:
        raise IndexingError(
            wrong=f"take cannot pick elements of axis {axis}, which is empty (shape {x.shape})",
            fix="Check the length first",
        )
    if mode == "raise":
        raise GapError(wrong="take does not support mode 'raise'", fix="Use mode='fill', and look for NaN")
    if mode not in (None, "fill", "clip", "wrap"):
        raise ArgumentError(wrong=f"take has no mode {mode!r}", fix='Give "fill", "clip" or "wrap"')
    wrap = mode != "clip"
    if mode == "wrap" and n:
        places = remainder(places, n)
    way = FILL_OR_DROP if mode in (None, "fill") else CLIP if mode == "clip" else PROMISE_IN_BOUNDS
    known = host_value(places)
    entry: Any = places if known is None else known if known.ndim else int(known)
    if type(entry) is int:
        at = entry + n if entry < 0 and wrap else min(max(entry, 0), n - 1) if not wrap else entry
        if 0 <= at < n:
            return index(x, (*[slice(None)] * axis, at))
    plan = VectorPlan(x.shape, [*[slice(None)] * axis, entry, *[slice(None)] * (x.ndim - axis - 1)], wrap)
    return take_vectors(x, plan, way, fill_number(fill_value), indices_are_sorted, unique_indices)


def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool | None = None,
) -> Array:
    """Elements at given places of each vector along an axis: ``out[..., i] = arr[..., indices[..., i]]``.

    Parameters
    ----------
    arr : Array
    indices : Array of int with as many axes; the others than ``axis`` broadcast with those of ``arr``
    axis : int, or None for the raveled array
    mode : str, optional
        As in ``x.at[...].get``; ``"fill"`` by default.
    fill_value : number, optional
        What places out of range read: NaN by default; the least signed, and the greatest unsigned integer.
    wrap_negative_indices : bool
        Whether negative places count from the end; by default they do.

    Examples
    --------
    >>> x = pnp.array([[3, 1, 2], [6, 5, 4]])
    >>> pnp.take_along_axis(x, pnp.array([[1], [2]]), axis=1)
    Array([[1],
           [4]], dtype=int32)
    """
    x = as_array(arr, "take_along_axis")
    places = integers(indices, "take_along_axis")
    if axis is None:
        x, axis = ravel(x), 0
    if x.ndim != places.ndim:
        raise ShapeError(
            wrong=f"take_along_axis needs arrays with equally many axes, not shapes {x.shape} and {places.shape}",
            fix="Add axes to the indices, for example with pnp.expand_dims(indices, axis)",
        )
    rank = x.ndim
    axis = normalize_axis(axis, rank, "take_along_axis")
    way = FILL_OR_DROP if mode is None else GatherScatterMode.from_any(mode)
    own, theirs = x.shape, places.shape
    others = [d for d in range(rank) if d != axis]
    both = broadcast_shapes(
        *[tuple([1 if d == axis else s[d] for d in range(rank)]) for s in (own, theirs)]
    )
    shape = tuple([theirs[d] if d == axis else both[d] for d in range(rank)])
    if not math.prod(shape):
        return zeros(x.aval.update(shape=shape, weak_type=False))
    if not own[axis]:
        raise IndexingError(
            wrong=f"take_along_axis cannot pick elements of axis {axis}, which is empty (shape {own})",
            fix="Check the length first",
        )
    # An axis that only the array has runs inside the window, one that only the indices have leaves the array alone.
    windows = [d for d in others if theirs[d] == 1 and own[d] != 1]
    paired = [d for d in others if own[d] == theirs[d]]
    dtype = np.dtype(np.int64) if places.dtype.itemsize == 8 or own[axis] > 0x7FFFFFFF else _INT32
    places = counted_from_front(places, own[axis], dtype, wrap_negative_indices is not False)
    kept = [d for d in range(rank) if d not in windows]
    places = reshape(places, (*[theirs[d] for d in kept], 1))
    numbers = GatherDimensionNumbers(
        tuple(windows),
        tuple([d for d in range(rank) if d not in windows and d not in paired]),
        (axis,),
        tuple(paired),
        tuple([kept.index(d) for d in paired]),
    )
    return gather(
        x,
        places,
        dimension_numbers=numbers,
        slice_sizes=tuple([own[d] if d in windows else 1 for d in range(rank)]),
        unique_indices=False,
        indices_are_sorted=False,
        mode=way,
        fill_value=fill_number(fill_value),
    )


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Array:
    """For each place the element of one of several arrays: ``out[i] = choices[a[i]][i]``.

    Parameters
    ----------
    a : Array of int
    choices : sequence of Array, or an Array whose first axis runs over them; all broadcast together
    mode : "raise", "wrap" or "clip"
        What a number without an array means: an error (not while tracing), one counted modulo their number, or the
        nearest.

    Examples
    --------
    >>> pnp.choose(pnp.array([0, 1, 0]), [pnp.array([1, 2, 3]), pnp.array([10, 20, 30])])
    Array([ 1, 20,  3], dtype=int32)
    """
    _refuse_out("choose", out)
    which = as_array(a, "choose")
    if not dtypes.is_integer(which.dtype):
        raise ArgumentError(wrong=f"choose needs integers, not {which.aval}", fix="Convert them with .astype(int)")
    rows = list(choices) if isinstance(choices, (list, tuple)) else [choices[k] for k in range(len(choices))]
    if not rows:
        raise ArgumentError(wrong="choose was given no array to choose from", fix="Give at least one")
    if mode not in ("raise", "wrap", "clip"):
        raise ArgumentError(wrong=f"choose has no mode {mode!r}", fix='Give "raise", "wrap" or "clip"')
    count = len(rows)
    if mode == "raise":
        which = _checked(which, count, "choose", "choice array")
    elif mode == "wrap":
        which = remainder(which, count)
    else:
        which = _clipped(which, count)
    arrays = broadcast_arrays(which, *promote_dtypes("choose", *rows))
    which, table = arrays[0], stack(arrays[1:])
    return reshape(take_along_axis(table, expand_dims(which, 0), 0, mode="promise_in_bounds"), which.shape)


def _clipped(x: Array, count: int) -> Array:
    """Indices moved into ``range(count)``."""
    low, high = _bounds(x.dtype, count)
    return comparison.clamp(low, x, high)


def _bounds(dtype: Any, count: int) -> tuple[Any, Any]:
    return np.zeros((), dtype), np.asarray(min(count - 1, int(dtypes.iinfo(dtype).max)), dtype)


def _checked(x: Array, count: int, name: str, what: str) -> Array:
    """Refuse numbers outside of ``range(count)``."""
    known = host_value(x)
    if known is None and not isinstance(x, Tracer):
        known = np.asarray(x)
    if known is None:
        raise ConcretizationTypeError(
            wrong=f"{name} with mode 'raise' needs to know its indices, but they are traced ({x.aval})",
            fix="Give mode='wrap' or mode='clip'",
        )
    if ((known < 0) | (known >= count)).any():
        raise ArgumentError(
            wrong=f"invalid entry in {what}: {name} was given an index outside of 0 to {count - 1}",
            fix="Give mode='wrap' or mode='clip', or mend the indices",
        )
    return x


def compress(
    condition: Any, a: Any, axis: int | None = None, *, size: int | None = None, fill_value: Any = 0, out: None = None
) -> Array:
    """The slices of an array along an axis where a condition holds.

    Parameters
    ----------
    condition : Array of bool with one axis, at most as long as ``axis``
    a : Array
    axis : int, or None for elements of the raveled array
    size : int, optional
        How many slices the result has; needed where the condition is traced. Those missing are ``fill_value``.

    Examples
    --------
    >>> pnp.compress(pnp.array([True, False, True]), pnp.arange(3))
    Array([0, 2], dtype=int32)
    """
    _refuse_out("compress", out)
    holds, x = truth(as_array(condition, "compress"), "compress"), as_array(a, "compress")
    if holds.ndim != 1:
        raise ShapeError(wrong=f"compress needs a condition with one axis, not shape {holds.shape}", fix="Use extract")
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "compress")
    n = x.shape[axis]
    if holds.shape[0] > n:
        beyond = host_value(index(holds, slice(n, None)))
        if beyond is not None and beyond.any():
            raise ArgumentError(
                wrong=f"condition contains entries that are out of bounds: compress has {n} slices along axis {axis}",
                fix="Give a condition of that length",
            )
        holds = index(holds, slice(0, n))
    if size is not None and not 0 <= size <= holds.shape[0]:
        raise ArgumentError(
            wrong=f"compress was asked for size={size} slices of an axis of length {holds.shape[0]}",
            fix="Give a size that is positive and not greater than the length",
        )
    (places,) = nonzero(holds, size=size, fill_value=None if size is None else n)
    return take(x, places, axis, mode="fill", fill_value=fill_value)


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Array:
    """The elements of an array where a condition holds.

    Parameters
    ----------
    condition : Array of bool
    arr : Array
    size : int, optional
        How many elements the result has; needed where the condition is traced. Those missing are ``fill_value``.

    Examples
    --------
    >>> x = pnp.arange(4)
    >>> pnp.extract(x > 1, x)
    Array([2, 3], dtype=int32)
    """
    return compress(ravel(as_array(condition, "extract")), ravel(as_array(arr, "extract")), size=size,
                    fill_value=fill_value)  # fmt: skip


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The places of the elements that are not 0, one a row.

    Parameters
    ----------
    a : Array
    size : int, optional
        How many rows the result has; needed where ``a`` is traced.
    fill_value : int, optional
        What missing rows hold, by default 0.

    Examples
    --------
    >>> pnp.argwhere(pnp.array([[0, 1], [2, 0]]))
    Array([[0, 1],
           [1, 0]], dtype=int32)
    """
    x = as_array(a, "argwhere")
    if not x.ndim:
        (found,) = nonzero(reshape(x, (1,)), size=size, fill_value=fill_value)
        return zeros(found.aval.update(shape=(found.shape[0], 0), weak_type=False))
    return stack(nonzero(x, size=size, fill_value=fill_value), axis=1)


# -- places as one number or several ----------------------------------------------------------------------------------
def unravel_index(indices: Any, shape: Any) -> tuple[Array, ...]:
    """Places in an array of some shape, from places in the raveled array.

    Parameters
    ----------
    indices : Array of int; negative ones count from the end, those out of range become the nearest
    shape : int or tuple of int

    Returns
    -------
    tuple of Array, one for each axis

    Examples
    --------
    >>> pnp.unravel_index(pnp.array([1, 5]), (2, 3))
    (Array([0, 1], dtype=int32), Array([1, 2], dtype=int32))
    """
    x = integers(indices, "unravel_index")
    lengths = as_shape(shape)
    total = math.prod(lengths)
    low, high = _bounds(x.dtype, total)
    if dtypes.is_signed(x.dtype):
        least = np.asarray(max(-total, int(dtypes.iinfo(x.dtype).min)), x.dtype)
        x = comparison.clamp(least, x, high)
        x = select_n(comparison.lt(x, low), x, arithmetic.add(x, np.asarray(total).astype(x.dtype)))
    else:
        x = comparison.clamp(low, x, high)
    weak = as_array(indices).weak_type
    found: list[Array] = []
    for n in reversed(lengths):
        x, rest = floor_divmod(x, np.asarray(n, x.dtype))
        if weak:
            rest = convert_element_type(rest, new_dtype=rest.dtype, weak_type=True, sharding=None)
        found.append(rest)
    return tuple(found[::-1])


def ravel_multi_index(
    multi_index: Sequence[Any], dims: Sequence[int], mode: str = "raise", order: str = "C", *, dtype: Any = None
) -> Array:
    """Places in the raveled array, from places in an array of some shape.

    Parameters
    ----------
    multi_index : tuple of Array of int, one for each axis
    dims : tuple of int
    mode : "raise", "wrap" or "clip"
        What a place out of range means: an error (not while tracing), one counted modulo the length, or the nearest.
    order : "C" or "F"
    dtype : integer dtype, optional
        Of the result.

    Examples
    --------
    >>> pnp.ravel_multi_index((pnp.array([0, 1]), pnp.array([1, 2])), (2, 3))
    Array([1, 5], dtype=int32)
    """
    lengths = as_shape(dims)
    if len(multi_index) != len(lengths):
        raise ArgumentError(
            wrong=f"ravel_multi_index was given {len(multi_index)} arrays for {len(lengths)} axes", fix="Give one each"
        )
    if mode not in ("raise", "wrap", "clip"):
        raise ArgumentError(wrong=f"ravel_multi_index has no mode {mode!r}", fix='Give "raise", "wrap" or "clip"')
    if order not in ("C", "F"):
        raise ArgumentError(wrong=f"ravel_multi_index does not know order {order!r}", fix='Give "C" or "F"')
    wanted = dtypes.dtype_of_python_scalar(int) if dtype is None else dtypes.user_dtype(dtype, "ravel_multi_index")
    if not dtypes.is_integer(wanted):
        raise ArgumentError(wrong=f"ravel_multi_index cannot count in {wanted.name}", fix="Give an integer dtype")
    total: Any = np.zeros((), wanted)
    pairs = list(zip(multi_index, lengths, strict=True))
    for k, (i, n) in enumerate(pairs if order == "C" else reversed(pairs)):
        i = as_array(i, "ravel_multi_index")
        if not dtypes.is_integer(i.dtype):
            raise ArgumentError(
                wrong=f"ravel_multi_index was given places that are not integers: {i.aval}", fix="Use .astype(int)"
            )
        if mode == "raise":
            i = _checked(i, n, "ravel_multi_index", "coordinates array")
        elif mode == "wrap":
            i = remainder(i, n)
        else:
            i = _clipped(i, n)
        i = convert_element_type(i, new_dtype=wanted, weak_type=False, sharding=None)
        if not k:
            total = i
            continue
        total, i = broadcast_arrays(arithmetic.mul(total, np.asarray(n, wanted)), i)
        total = arithmetic.add(total, i)
    return as_array(total)
