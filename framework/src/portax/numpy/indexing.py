"""Indexing arrays: ``x[idx]``, and with a say in what happens out of range, ``x.at[idx].get``.

It takes the cheapest way that `index_plans` offers: a slice where everything is known beforehand, a dynamic slice for
scalars known later, a gather for the rest. Updates are in `index_updates`.

On values in host memory an index known beforehand is NumPy's own: the result is a view. It is a copy where the view
would keep a much larger array alive, or where the memory is a device's to give away.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax import errors
from portax.core.array import Array
from portax.core.aval import Aval
from portax.core.config import config
from portax.core.trace import state
from portax.numpy.index_entries import read
from portax.numpy.index_plans import (
    BasicPlan,
    VectorPlan,
    arrange,
    basic_plan,
    is_static,
    is_window,
    take_window,
    vector_plan,
)
from portax.numpy.promotion import PYTHON_NUMBERS
from portax.primitives.broadcasting import reshape
from portax.primitives.conversion import convert_element_type
from portax.primitives.indexing import PROMISE_IN_BOUNDS, GatherScatterMode, gather
from portax.primitives.slicing import rev
from portax.primitives.zeros import zeros
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import EvalTrace

#: Elements from which a view may keep too much memory alive.
LARGE_BASE = 1024


def value_at_hand(x: ConcreteArray) -> np.ndarray | None:
    """The value of ``x``, if an operation on it now would happen in NumPy."""
    value = x._host  # pyright: ignore[reportPrivateUsage]
    if value is None or type(state.trace) is not EvalTrace or not config.undisturbed:
        return None
    device = x._device  # pyright: ignore[reportPrivateUsage]
    return value if device is None or device.host_memory else None


def index(x: Any, idx: Any) -> Array:
    """``x[idx]``: the elements of ``x`` that a NumPy index means.

    Parameters
    ----------
    x : Array
    idx : int, slice, ``...``, None, array of ints or bools, or a tuple of them
        Ints and arrays out of range read the element nearest to them: see ``x.at[idx].get`` for other ways.

    Returns
    -------
    Array of the dtype of ``x``

    Differences from NumPy
    ----------------------
    An index out of range is no error. A list is refused; make it an array or a tuple. While tracing, masks and the
    bounds of slices must be known.
    """
    aval: Aval = x.aval
    plan = basic_plan(aval, idx)
    if plan is None:
        picked = _picked_at_hand(x, idx)
        return take_entries(x, read(aval.shape, idx)) if picked is None else picked
    if plan.whole:
        return x
    if type(x) is ConcreteArray:
        value = value_at_hand(x)
        if value is not None:
            out = value[plan.host]
            size = aval.size
            owner = x._buffer is not None  # pyright: ignore[reportPrivateUsage]
            if owner or (size > LARGE_BASE and plan.aval.size * 4 < size):
                out = out.copy()
            return ConcreteArray(plan.aval, out, None, x._device, x.committed)  # pyright: ignore[reportPrivateUsage]
    return plan.take(x)


def array_at_hand(idx: Any) -> np.ndarray | None:
    """The value of an index that is one array of rank 1 or more, if it is in host memory already."""
    if type(idx) is np.ndarray:
        return idx if idx.ndim else None
    if type(idx) is ConcreteArray and idx.aval.ndim:
        return idx._host  # pyright: ignore[reportPrivateUsage]
    return None


def rows_at_hand(i: np.ndarray, n: int) -> np.ndarray | None:
    """Signed ints counted from the front of an axis of length ``n``; None for other dtypes."""
    if i.dtype.kind != "i" or not n or (i.dtype.itemsize == 8 and not config.enable_x64):
        return None
    i = i.astype(np.intp, copy=False)
    return np.where(i < 0, i + n, i)


def _picked_at_hand(x: Any, idx: Any) -> Array | None:
    """Rows by number, or elements by mask, in NumPy: None where it is not that."""
    i = array_at_hand(idx)
    if i is None or type(x) is not ConcreteArray:
        return None
    value = value_at_hand(x)
    if value is None:
        return None
    aval = x.aval
    if i.dtype.kind == "b":
        if aval.shape[: i.ndim] != i.shape:
            return None
        out = value[i]
    else:
        rows = rows_at_hand(i, aval.shape[0]) if aval.ndim else None
        if rows is None:
            return None
        out = value.take(rows, axis=0, mode="clip")
    return ConcreteArray(
        Aval(out.shape, aval.dtype, aval.weak_type), out, None, x._device, x.committed
    )  # fmt: skip


def take_entries(x: Any, entries: list[Any]) -> Any:
    """The elements of ``x`` that the entries of an index mean, the nearest one for what is out of range."""
    if is_static(entries):
        return BasicPlan(x.aval, entries).take(x)
    if is_window(entries):
        return take_window(x, entries)
    return take_vectors(x, vector_plan(x.aval.shape, entries), PROMISE_IN_BOUNDS)


def take_vectors(
    x: Any,
    plan: VectorPlan,
    mode: GatherScatterMode,
    fill_value: Any = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
) -> Any:
    """The elements of ``x`` that the plan means, by a gather."""
    if not math.prod(plan.out):
        out = zeros(Aval(plan.shape, x.dtype))
        return convert_element_type(out, new_dtype=x.dtype, weak_type=True, sharding=None) if x.weak_type else out
    plan.check_lengths()
    if plan.operand is not None:
        x = reshape(x, new_sizes=plan.operand, dimensions=None, sharding=None)
    out = gather(
        x,
        plan.vectors(),
        dimension_numbers=plan.numbers,
        slice_sizes=plan.sizes,
        unique_indices=unique_indices or plan.unique,
        indices_are_sorted=indices_are_sorted or plan.ordered,
        mode=mode,
        fill_value=fill_value,
    )
    if plan.reversed:
        out = rev(out, dimensions=plan.reversed)
    return arrange(out, plan.shape, (), plan.inserted)


def get(
    x: Any,
    idx: Any,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
    fill_value: Any = None,
    wrap_negative_indices: bool = True,
) -> Any:
    """``x.at[idx].get(...)``."""
    way = None if mode is None else GatherScatterMode.from_any(mode)
    if wrap_negative_indices:
        if way is None and not indices_are_sorted and not unique_indices:
            return index(x, idx)
        basic = basic_plan(x.aval, idx)
        if basic is not None:
            if way is None or basic.in_bounds:
                return index(x, idx)
            return take_vectors(x, basic.vectors(x.aval.shape), way, fill_number(fill_value))
    entries = read(x.aval.shape, idx)
    if way is None and is_window(entries):
        return take_window(x, entries, wrap_negative_indices)
    plan = vector_plan(x.aval.shape, entries, wrap_negative_indices)
    return take_vectors(
        x, plan, PROMISE_IN_BOUNDS if way is None else way, fill_number(fill_value), indices_are_sorted, unique_indices
    )


def fill_number(value: Any) -> Any:
    """A fill value as a Python number: it is a parameter, and must be known."""
    if value is None or type(value) in PYTHON_NUMBERS:
        return value
    try:
        return value.item()
    except AttributeError:
        raise errors.ArgumentError(wrong=f"fill_value is no number: {value!r}", fix="Give a Python number") from None
