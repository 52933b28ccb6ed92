"""What an index means for an array of one shape: which elements, and how a slice, a gather or a scatter finds them.

An index is read once, by `index_entries.read`, into entries that say for every axis of the array what becomes of it.
From the entries come three ways. A `BasicPlan` holds ints and slices known beforehand: cut, reverse, drop and insert
axes. A `take_window` is for scalars among them that are known only later: one window at a computed place. A
`VectorPlan` covers the rest: an index vector for each window, which a gather reads and a scatter writes alike.

Invariant: with the same entries all ways give the same elements in the same order, so whoever has several may take
the cheapest. Basic plans are kept by (aval, index): reading an index costs more than following it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portax import errors
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.config import config
from portax.core.trace import state
from portax.numpy.index_entries import Entry, Flag, Shape, check_int, is_picking, read, run_of, within
from portax.primitives.arithmetic import add
from portax.primitives.broadcasting import broadcast_in_dim, reshape, squeeze
from portax.primitives.comparison import lt, select_n
from portax.primitives.conversion import convert
from portax.primitives.dynamic_slicing import dynamic_slice
from portax.primitives.indexing import GatherDimensionNumbers
from portax.primitives.slicing import concatenate, rev, slice_
from portax.runtime.eager import EvalTrace

#: Plans kept; past it the memo starts afresh.
PLANS = 8192
#: Index arrays of at most this many elements are worked out while tracing, larger ones by the program.
SMALL = 1024

_INT32 = np.dtype(np.int32)
_INT64 = np.dtype(np.int64)


# -- ints and slices known beforehand ---------------------------------------------------------------------------------
class BasicPlan:
    """Which part of the array ints and slices mean, with ints out of range moved inside.

    Attributes
    ----------
    aval : Aval of the result
    host : what to index a NumPy array with to get the same
    cut : (starts, limits, strides) of a slice, or None where everything is taken
    reversed, squeezed : axes of the array
    inserted : axes of the result that the array does not have
    whole : whether nothing is left out, moved or added
    in_bounds : whether no int was out of range
    vectors : the `VectorPlan` of the same index, made when first asked for
    """

    __slots__ = ("aval", "cut", "entries", "host", "in_bounds", "inserted", "reversed", "squeezed", "whole", "_vectors")

    def __init__(self, aval: Aval, entries: Sequence[Entry]) -> None:
        starts, limits, strides = [], [], []
        host: list[Any] = []
        shape: list[int] = []
        inserted, squeezed, backwards = [], [], []
        in_bounds = True
        axis = 0
        for e in entries:
            if e is None:
                inserted.append(len(shape))
                shape.append(1)
                host.append(None)
                continue
            n = aval.shape[axis]
            if type(e) is int:
                i = within(e, axis, n, aval.shape)
                at = min(max(i, 0), n - 1)
                in_bounds = in_bounds and i == at
                starts.append(at)
                limits.append(at + 1)
                strides.append(1)
                squeezed.append(axis)
                host.append(at)
            else:
                run = run_of(e, n)
                low, step = run.low, abs(run.step)
                stop = run.start + run.size * run.step
                starts.append(low)
                limits.append(min(low + run.size * step, n) if run.size else low)
                strides.append(step)
                if run.step < 0:
                    backwards.append(axis)
                host.append(slice(run.start, None if stop < 0 else stop, run.step))
                shape.append(run.size)
            axis += 1
        self.aval = Aval(tuple(shape), aval.dtype, aval.weak_type)
        self.host = (*host, Ellipsis)
        uncut = not any(starts) and tuple(limits) == aval.shape and strides == [1] * len(strides)
        stepped = any(step != 1 for step in strides)
        self.cut = None if uncut else (tuple(starts), tuple(limits), tuple(strides) if stepped else None)
        self.reversed, self.squeezed, self.inserted = tuple(backwards), tuple(squeezed), tuple(inserted)
        self.whole = uncut and not (backwards or squeezed or inserted)
        self.in_bounds = in_bounds
        self.entries = entries
        self._vectors: VectorPlan | None = None

    def take(self, x: Any) -> Any:
        """The elements, by slice, rev, squeeze and reshape."""
        if self.cut is not None:
            starts, limits, strides = self.cut
            x = slice_(x, start_indices=starts, limit_indices=limits, strides=strides)
        if self.reversed:
            x = rev(x, dimensions=self.reversed)
        return arrange(x, self.aval.shape, self.squeezed, self.inserted)

    def vectors(self, shape: Shape) -> VectorPlan:
        """The same elements as windows, for an array of ``shape``."""
        if self._vectors is None:
            self._vectors = VectorPlan(shape, self.entries)
        return self._vectors


def arrange(x: Any, shape: Shape, dropped: Sequence[int], inserted: Sequence[int]) -> Any:
    """``x`` in ``shape``, which lacks its axes ``dropped`` of length 1 and has new ones at ``inserted``."""
    if not inserted:
        return squeeze(x, dimensions=tuple(dropped)) if dropped else x
    if dropped:
        return reshape(x, new_sizes=shape, dimensions=None, sharding=None)
    kept = tuple([d for d in range(len(shape)) if d not in inserted])
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=kept, sharding=None)


_plans: dict[Any, BasicPlan] = {}


def static_key(idx: Any) -> Any:
    """What a plan for an index of ints, slices, None and ... is kept under; None for any other index."""
    if type(idx) is not tuple:
        idx = (idx,)
    parts: list[Any] = []
    for i in idx:
        kind = type(i)
        if kind is int or i is None or i is Ellipsis:
            parts.append(i)
        elif kind is slice:
            bounds = (i.start, i.stop, i.step)
            # 1.0 and True are equal to 1, and are not the same index.
            for bound in bounds:
                if bound is not None and type(bound) is not int:
                    return None
            parts.append(bounds)
        else:
            return None
    return tuple(parts)


def basic_plan(aval: Aval, idx: Any) -> BasicPlan | None:
    """The kept plan of an index of ints, slices, None and ...; None for any other index."""
    key = static_key(idx)
    if key is None:
        return None
    plan = _plans.get((aval, key))
    if plan is None:
        plan = BasicPlan(aval, read(aval.shape, idx))
        if len(_plans) >= PLANS:
            _plans.clear()
        _plans[aval, key] = plan
    elif not plan.in_bounds and config.check_static_indices:
        return BasicPlan(aval, read(aval.shape, idx))  # which raises: the setting was off when the plan was made
    return plan


def is_static(entries: Sequence[Entry]) -> bool:
    """Whether a `BasicPlan` can hold the entries."""
    return all(e is None or type(e) is int or type(e) is slice for e in entries)


# -- scalars known later ----------------------------------------------------------------------------------------------
def is_window(entries: Sequence[Entry]) -> bool:
    """Whether the entries are ints, slices and scalar arrays only, so that one window holds all they take."""
    return not any(map(is_picking, entries))


def index_dtype(shape: Shape, entries: Sequence[Any]) -> np.dtype:
    """int32, or int64 where an axis or an index needs it."""
    if any(n > 0x7FFFFFFF for n in shape) or any(hasattr(e, "dtype") and e.dtype.itemsize == 8 for e in entries):
        return _INT64
    return _INT32


def counted_from_front(i: Any, n: int, dtype: np.dtype, wrap: bool = True) -> Any:
    """An integer array in ``dtype``, negative elements counted from the end of an axis of length ``n``."""
    signed = dtypes.is_signed(i.dtype)
    i = convert(i, dtype)
    if not signed or not wrap:
        return i
    return select_n(lt(i, dtype.type(0)), i, add(i, dtype.type(n)))


def take_window(x: Any, entries: Sequence[Entry], wrap: bool = True) -> Any:
    """The elements of ``x`` that ints, slices and scalar arrays take, by ``dynamic_slice``."""
    dtype = index_dtype(x.shape, entries)
    starts: list[Any] = []
    sizes, strides, shape = [], [], []
    dropped, inserted, backwards = [], [], []
    axis = 0
    for e in entries:
        if e is None:
            inserted.append(len(shape))
            shape.append(1)
            continue
        n = x.shape[axis]
        if type(e) is slice:
            run = run_of(e, n)
            step = abs(run.step)
            starts.append(np.asarray(run.low, dtype))
            sizes.append((run.size - 1) * step + 1 if run.size else 0)
            strides.append(step)
            shape.append(run.size)
            if run.step < 0:
                backwards.append(axis)
        else:
            i = within(0 if type(e) is not int else e, axis, n, x.shape, wrap)
            starts.append(np.asarray(i, dtype) if type(e) is int else counted_from_front(e, n, dtype, wrap))
            sizes.append(1)
            strides.append(1)
            dropped.append(axis)
        axis += 1
    out = dynamic_slice(x, *starts, slice_sizes=tuple(sizes))
    if any(step != 1 for step in strides):
        out = slice_(out, start_indices=(0,) * out.ndim, limit_indices=out.shape, strides=tuple(strides))
    if backwards:
        out = rev(out, dimensions=tuple(backwards))
    return arrange(out, tuple(shape), dropped, inserted)


# -- everything else --------------------------------------------------------------------------------------------------
class Column(NamedTuple):
    """One component of the index vectors: positions along ``axis``, whose own axes are the axes ``dims`` of them."""

    value: Any
    axis: int
    dims: tuple[int, ...]
    given: bool


class VectorPlan:
    """An index as vectors: one for each window that is read or written.

    Parameters
    ----------
    shape : of the array
    entries : from `read`
    wrap : whether negative positions count from the end

    Attributes
    ----------
    operand : shape of the array with the axes that scalar bools add, None if there are none
    numbers, sizes : of the gather
    batch : shape of the index vectors, their last axis left out
    out : shape of the gather's result
    reversed : axes of ``out`` that run backwards
    inserted : axes of ``shape``, the final shape, that ``out`` does not have
    unique, ordered : whether the windows do not meet, and come in order: there is no array among the indices
    """

    __slots__ = (
        "_known", "batch", "columns", "dtype", "inserted", "lengths", "numbers", "operand", "ordered", "out",
        "reversed", "shape", "sizes", "unique", "wrap",
    )  # fmt: skip

    def __init__(self, shape: Shape, entries: Sequence[Entry], wrap: bool = True) -> None:
        arrays = [is_picking(e) for e in entries]
        # Beside arrays, ints count as arrays: that decides where the axes of the arrays go.
        group = [
            a or (any(arrays) and not (e is None or e is Ellipsis or type(e) is slice))
            for a, e in zip(arrays, entries, strict=True)
        ]
        members = [k for k, g in enumerate(group) if g]
        together = bool(members) and members[-1] - members[0] + 1 == len(members)
        common = _common_shape(shape, [_shape_of(e) for e, g in zip(entries, group, strict=True) if g])
        lengths: list[int] = []
        final: list[int] = []
        out: list[int] = []
        sizes: list[int] = []
        windows: list[int] = []
        collapsed: list[int] = []
        backwards, inserted = [], []
        falling = False
        first = 0  # where the axes of the arrays begin in ``out``
        if members and not together:
            final += common
            out += common
        pending: list[tuple[Any, int, int | None, bool]] = []  # position or run, axis, axis of out, given by the user
        source = iter(shape)
        for k, e in enumerate(entries):
            if e is Ellipsis:
                continue
            if e is None:
                inserted.append(len(final))
                final.append(1)
                continue
            axis = len(lengths)
            n = 1 if type(e) is Flag else next(source)
            lengths.append(n)
            if together and members[0] == k:
                first = len(out)
                final += common
                out += common
            if type(e) is slice:
                run = run_of(e, n)
                if abs(run.step) == 1:
                    sizes.append(run.size)
                    windows.append(len(out))
                    if run.size != n:
                        pending.append((run.low, axis, None, False))
                    if run.step < 0:
                        backwards.append(len(out))
                else:
                    sizes.append(1)
                    collapsed.append(axis)
                    falling = falling or run.step < 0
                    steps = run.start + run.step * np.arange(run.size, dtype=np.int64)
                    pending.append((steps, axis, len(out), False))
                final.append(run.size)
                out.append(run.size)
                continue
            sizes.append(1)
            collapsed.append(axis)
            if type(e) is Flag:
                e = np.zeros(int(e.value), np.int32)
            elif type(e) is int:
                check_int(e)
            pending.append((e, axis, None, True))
        self.lengths = tuple(lengths)
        self.operand = self.lengths if self.lengths != shape else None
        self.sizes, self.out, self.shape = tuple(sizes), tuple(out), tuple(final)
        self.reversed, self.inserted = tuple(backwards), tuple(inserted)
        self.batch = tuple([s for d, s in enumerate(out) if d not in windows])
        place = {d: k for k, d in enumerate([d for d in range(len(out)) if d not in windows])}
        columns: list[Column] = []
        for value, axis, dim, given in pending:
            rank = 0 if type(value) is int else value.ndim
            if dim is not None:
                dims = (place[dim],)
            else:
                dims = tuple([place[first + len(common) - rank + r] for r in range(rank)]) if rank else ()
            columns.append(Column(value, axis, dims, given))
        columns.sort(key=lambda c: c.axis)
        self.columns, self.wrap = columns, wrap
        self.unique = not any(arrays)
        self.ordered = self.unique and not falling
        self.numbers = GatherDimensionNumbers(
            tuple(windows),
            tuple(collapsed),
            tuple([c.axis for c in columns]),
        )
        self.dtype = index_dtype(self.lengths, [c.value for c in columns if c.given])
        self._known: np.ndarray | None = None

    def at(self, value: Any) -> VectorPlan:
        """The same plan for another array of the same shape and dtype, where there is but one."""
        plan = object.__new__(VectorPlan)
        for name in VectorPlan.__slots__:
            setattr(plan, name, getattr(self, name))
        plan.columns = [Column(value, *self.columns[0][1:])]
        plan._known = None
        return plan

    def vectors(self) -> Any:
        """The index vectors, of shape ``(*batch, components)``."""
        if self._known is not None:
            return self._known
        tracing = not isinstance(state.trace, EvalTrace)
        for c in self.columns:
            if type(c.value) is not int and not (
                isinstance(c.value, np.ndarray) and (c.value.size <= SMALL or not tracing)
            ):
                return self._computed()
        dtype = self.dtype
        known = np.empty((*self.batch, len(self.columns)), dtype)
        rank = len(self.batch)
        for k, c in enumerate(self.columns):
            value, n = c.value, self.lengths[c.axis]
            if type(value) is int:
                known[..., k] = value + n if value < 0 and self.wrap else value
                continue
            if c.given and self.wrap and dtypes.is_signed(value.dtype):
                value = value.astype(dtype)
                value = np.where(value < 0, value + dtype.type(n), value)
            lengths = [1] * rank
            for length, d in zip(value.shape, c.dims, strict=True):
                lengths[d] = length
            known[..., k] = value.reshape(lengths)
        self._known = known
        return known

    def _computed(self) -> Any:
        """The index vectors, by operations of the program."""
        dtype, shape = self.dtype, (*self.batch, 1)
        parts = []
        for c in self.columns:
            value, n = c.value, self.lengths[c.axis]
            if type(value) is int:
                value = np.asarray(value + n if value < 0 and self.wrap else value, dtype)
            elif c.given:
                value = counted_from_front(value, n, dtype, self.wrap)
            else:
                value = value.astype(dtype)
            parts.append(_column(value, shape, c.dims))
        return parts[0] if len(parts) == 1 else concatenate(*parts, dimension=len(self.batch))

    def check_lengths(self) -> None:
        """Refuse to pick an element of an axis that has none."""
        for c in self.columns:
            if not self.lengths[c.axis] and self.sizes[c.axis]:
                raise errors.IndexingError(
                    wrong=f"an index picks elements of axis {c.axis}, which has length 0 (shape {self.lengths})",
                    fix="Check the length first, or pick with an empty array of integers",
                )


_rows: dict[Any, VectorPlan] = {}


def rows_plan(shape: Shape, i: Any, wrap: bool = True) -> VectorPlan:
    """The plan of an index that is one array of ints: kept, since only the array itself is new each time."""
    key = (shape, i.shape, i.dtype, wrap)
    plan = _rows.get(key)
    if plan is None:
        plan = VectorPlan(shape, [i, *[slice(None)] * (len(shape) - 1)], wrap)
        if len(_rows) >= PLANS:
            _rows.clear()
        _rows[key] = plan.at(np.zeros(0, np.int32))  # a kept plan must not keep an array alive
    return plan if plan.columns[0].value is i else plan.at(i)


def vector_plan(shape: Shape, entries: list[Entry], wrap: bool = True) -> VectorPlan:
    """The plan of the entries."""
    if entries and len(entries) == len(shape) and getattr(entries[0], "ndim", 0):
        if all(type(e) is slice and e == _ALL for e in entries[1:]):
            return rows_plan(shape, entries[0], wrap)
    return VectorPlan(shape, entries, wrap)


_ALL = slice(None)


def _column(value: Any, shape: Shape, dims: tuple[int, ...]) -> Any:
    """``value`` with its axes at ``dims`` of ``shape``, where its axes of length 1 are repeated."""
    return broadcast_in_dim(value, shape=shape, broadcast_dimensions=dims, sharding=None)


def _shape_of(e: Entry) -> Shape:
    if type(e) is Flag:
        return (int(e.value),)
    return () if type(e) is int else e.shape


def _common_shape(shape: Shape, shapes: Sequence[Shape]) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise errors.IndexingError(
            wrong=f"index arrays of shapes {' and '.join(map(str, shapes))} do not fit together",
            fix="Their axes are matched from the last; the lengths must be equal or 1. "
            "Use pnp.ix_ to pick rows and columns independently",
        ) from None
