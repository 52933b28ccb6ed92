"""Gathering slices at computed places: gather, its dimension numbers, and what happens out of range.

A gather reads one window of the operand for each index vector. Every window is ``base + offsets``: where it starts,
plus a pattern of distances that is the same for all of them. `Windows` holds that split once for given shapes, and
scattering, the adjoint, uses the same one. The index vectors lie along the last axis of the indices.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.primitives.broadcasting import reshape
from portax.primitives.zeros import zeros

Shape = tuple[int, ...]


class GatherDimensionNumbers(NamedTuple):
    """How the axes of a gather's operand, indices and result belong together.

    Attributes
    ----------
    offset_dims : tuple of int
        Axes of the result that run inside a window, increasing; one for each axis of the operand that is neither
        collapsed nor a batching axis. The others run over the index vectors.
    collapsed_slice_dims : tuple of int
        Axes of the operand, increasing, along which a window has length 1 and which the result does not have.
    start_index_map : tuple of int
        The axis of the operand each component of an index vector counts along.
    operand_batching_dims, start_indices_batching_dims : tuple of int
        Pairs of axes of the operand and the indices that run together: row ``b`` of the indices reads row ``b`` only.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class GatherScatterMode(enum.Enum):
    """What an index out of range means.

    ``CLIP`` moves the window inside. ``FILL_OR_DROP`` fills what is gathered and drops what is scattered, the whole
    window if any of it is outside. ``PROMISE_IN_BOUNDS`` says that there is none; here it clips gathers and drops
    scatters, so that a broken promise does no harm. ``ONE_HOT`` fills with zeros.
    """

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()
    ONE_HOT = enum.auto()

    @staticmethod
    def from_any(mode: str | GatherScatterMode | None) -> GatherScatterMode:
        """The mode of that name; None is ``FILL_OR_DROP``."""
        if isinstance(mode, GatherScatterMode):
            return mode
        try:
            return _MODES[mode]
        except (KeyError, TypeError):
            raise ArgumentError(
                wrong=f"there is no gather mode {mode!r}", fix=f"Give one of: {', '.join(repr(m) for m in _MODES if m)}"
            ) from None


_MODES: dict[str | None, GatherScatterMode] = {
    None: GatherScatterMode.FILL_OR_DROP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "drop": GatherScatterMode.FILL_OR_DROP,
    "clip": GatherScatterMode.CLIP,
    "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
    "one_hot": GatherScatterMode.ONE_HOT,
}
CLIP, FILL_OR_DROP, PROMISE_IN_BOUNDS, ONE_HOT = GatherScatterMode


class Windows:
    """The places that index vectors pick in an operand of one shape.

    Parameters
    ----------
    operand : shape of the operand
    indices : shape of the indices, the last axis the index vector
    sizes : length of a window along each axis of the operand
    kept : axes of the operand that a window spans
    start_map : axis of the operand for each component of an index vector
    operand_batching, indices_batching : axes that run together

    Attributes
    ----------
    limits : int64 array, the greatest start of a window for each component
    offsets : int64 array of shape (1, w), distances within a window, in elements
    """

    __slots__ = (
        "base", "batch_shape", "bounds", "count", "limits", "offsets", "sizes", "start_map", "strides", "window_shape"
    )  # fmt: skip

    def __init__(
        self,
        operand: Shape,
        indices: Shape,
        sizes: Shape,
        kept: Sequence[int],
        start_map: Sequence[int],
        operand_batching: Sequence[int],
        indices_batching: Sequence[int],
    ) -> None:
        strides = [math.prod(operand[d + 1 :]) for d in range(len(operand))]
        self.start_map = tuple(start_map)
        self.strides = np.array([strides[d] for d in start_map], np.int64)
        self.limits = np.array([operand[d] - sizes[d] for d in start_map], np.int64)
        self.bounds = [(d, operand[d] - sizes[d]) for d in start_map]
        self.sizes = sizes
        self.batch_shape = indices[:-1]
        self.count = math.prod(self.batch_shape)
        self.window_shape = tuple(sizes[d] for d in kept)
        offsets = np.zeros((), np.int64)
        for d in kept:
            offsets = offsets[..., None] + np.arange(sizes[d]) * strides[d]
        self.offsets = offsets.reshape(1, -1)
        base = np.zeros(self.batch_shape, np.int64)
        for d, axis in zip(operand_batching, indices_batching, strict=True):
            row = np.arange(self.batch_shape[axis]) * strides[d]
            base += row.reshape([-1 if a == axis else 1 for a in range(len(self.batch_shape))])
        self.base = base.reshape(-1) if operand_batching else None

    def starts(self, indices: np.ndarray) -> np.ndarray:
        """The index vectors, one a row, as int64."""
        if indices.dtype == np.uint64:
            indices = np.minimum(indices, np.uint64(2**62))
        return indices.reshape(self.count, len(self.start_map)).astype(np.int64, copy=False)

    def only(self, indices: np.ndarray) -> tuple[tuple[slice, ...], bool]:
        """Where the window is, moved inside, and whether it was inside: for indices that hold one vector.

        Most programs read and write one place at a time, and then slices cost half of what places do.
        """
        first = [0] * len(self.sizes)
        inside = True
        for i, (d, limit) in zip(indices.reshape(-1).tolist(), self.bounds, strict=True):
            first[d] = i if 0 <= i <= limit else limit if i > limit else 0
            inside = inside and first[d] == i
        return tuple([slice(i, i + n) for i, n in zip(first, self.sizes, strict=True)]), inside

    def clipped(self, starts: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(starts, 0), self.limits)

    def inside(self, starts: np.ndarray) -> np.ndarray:
        """Which windows lie inside the operand."""
        return np.all((starts >= 0) & (starts <= self.limits), axis=1)

    def places(self, starts: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Flat places in the operand, of shape (windows, w); of the windows ``rows`` only if that is given."""
        base = starts @ self.strides
        if self.base is not None:
            base += self.base
        if rows is not None:
            base = base[rows]
        return base[:, None] + self.offsets


@functools.lru_cache(1024)
def _gather_plan(
    operand: Shape, indices: Shape, d: GatherDimensionNumbers, sizes: Shape
) -> tuple[Windows, tuple[int, ...] | None, Shape]:
    """The windows, the permutation from (vectors, window) to the axes of the result (None if they agree), its shape."""
    gone = {*d.collapsed_slice_dims, *d.operand_batching_dims}
    kept = [a for a in range(len(operand)) if a not in gone]
    windows = Windows(
        operand, indices, sizes, kept, d.start_index_map, d.operand_batching_dims, d.start_indices_batching_dims
    )
    lead, order = 0, []
    rank = len(indices) - 1
    for axis in range(rank + len(kept)):
        if axis in d.offset_dims:
            order.append(rank + d.offset_dims.index(axis))
        else:
            order.append(lead)
            lead += 1
    shape = windows.batch_shape + windows.window_shape
    return windows, None if order == sorted(order) else tuple(order), tuple([shape[a] for a in order])


def check_axes(name: str, what: str, axes: Sequence[int], rank: int) -> None:
    """Refuse ``axes`` that are not increasing axes of an array of that rank."""
    if any(not 0 <= a < rank for a in axes) or any(not a < b for a, b in zip(axes, axes[1:], strict=False)):
        raise ShapeError(
            wrong=f"{name} needs increasing axes between 0 and {rank - 1} as {what}, got {tuple(axes)}",
            fix=f"Sort {what} and name each axis once",
        )


def check_indices(
    name: str, x: Aval, indices: Aval, index_map: Sequence[int], x_batching: Sequence[int], i_batching: Sequence[int]
) -> None:
    """What gather and scatter ask of their indices alike."""
    if not dtypes.is_integer(indices.dtype):
        raise DtypeError(wrong=f"{name} needs integer indices, got {indices}", fix="Convert the indices to int32")
    if indices.ndim == 0 or indices.shape[-1] != len(index_map):
        raise ShapeError(
            wrong=f"{name} maps {len(index_map)} index components to axes, but its indices are {indices}",
            fix=f"Give indices whose last axis has length {len(index_map)}",
        )
    if len(set(index_map)) != len(index_map) or any(not 0 <= d < x.ndim for d in index_map):
        raise ShapeError(
            wrong=f"{name} cannot count along axes {tuple(index_map)} of {x}", fix="Name distinct axes of the operand"
        )
    if set(index_map) & set(x_batching):
        raise ShapeError(
            wrong=f"{name} counts along a batching axis: {tuple(index_map)} and {tuple(x_batching)}",
            fix="An axis is either indexed or a batching axis",
        )
    sizes = [x.shape[d] for d in x_batching]
    if len(x_batching) != len(i_batching) or sizes != [indices.shape[d] for d in i_batching]:
        raise ShapeError(
            wrong=f"{name} cannot pair batching axes {tuple(x_batching)} of {x} with {tuple(i_batching)} of {indices}",
            fix="Give pairs of axes of equal length",
        )


def default_fill(dtype: Any) -> Any:
    """What an index out of range reads: NaN, the least signed, the greatest unsigned number, or True."""
    kind = dtypes.kind(dtype)
    if kind in ("float", "complex"):
        return np.nan
    if kind == "bool":
        return True
    if kind == "int":
        return int(dtypes.iinfo(dtype).min)
    return int(dtypes.iinfo(getattr(dtype, "storage", dtype)).max)


class Gather(Primitive):
    """Windows of ``operand``, one for each vector along the last axis of ``start_indices``.

    ``out[i, w] = operand[start_indices[i] + w]``, the axes arranged as ``dimension_numbers`` say.

    Parameters
    ----------
    operand : Array, any dtype
    start_indices : Array, any integer dtype; the last axis holds index vectors. A negative index is out of range.
    dimension_numbers : GatherDimensionNumbers, static
    slice_sizes : tuple of int, static, the window's length along each axis of ``operand``; 1 along collapsed and
        batching axes
    unique_indices, indices_are_sorted : bool, static, promises about the indices
    mode : GatherScatterMode, static
    fill_value : number or None, static: what windows out of range hold under ``FILL_OR_DROP``; None is NaN for
        floating point, the least signed and the greatest unsigned integer, True for bool

    Returns
    -------
    Array of the dtype of ``operand``
    """

    name = "gather"
    dtypes = (*Primitive.dtypes, "key")
    required = True

    def shape(self, x: Aval, indices: Aval, *, dimension_numbers: Any, slice_sizes: Any, **_: Any) -> Shape:
        d = dimension_numbers
        check_axes(self.name, "collapsed_slice_dims", d.collapsed_slice_dims, x.ndim)
        check_axes(self.name, "operand_batching_dims", d.operand_batching_dims, x.ndim)
        check_indices(
            self.name, x, indices, d.start_index_map, d.operand_batching_dims, d.start_indices_batching_dims
        )
        gone = {*d.collapsed_slice_dims, *d.operand_batching_dims}
        if len(gone) != len(d.collapsed_slice_dims) + len(d.operand_batching_dims):
            raise ShapeError(wrong="gather collapses a batching axis", fix="Name each axis of the operand once")
        if len(slice_sizes) != x.ndim or any(not 0 <= s <= n for s, n in zip(slice_sizes, x.shape, strict=True)):
            raise ShapeError(
                wrong=f"gather cannot take slices of {tuple(slice_sizes)} from operand: {x}",
                fix="Give one size for each axis, between 0 and its length",
            )
        if any(slice_sizes[a] != 1 for a in d.collapsed_slice_dims) or any(
            slice_sizes[a] > 1 for a in d.operand_batching_dims
        ):
            raise ShapeError(
                wrong=f"gather drops an axis along which its slices {tuple(slice_sizes)} are not of length 1",
                fix="Give slice size 1 along collapsed and batching axes",
            )
        if len(d.offset_dims) != x.ndim - len(gone):
            raise ShapeError(
                wrong=f"gather needs {x.ndim - len(gone)} offset_dims for operand: {x}, got {d.offset_dims}",
                fix="Give one for each axis that is neither collapsed nor batching",
            )
        rank = len(d.offset_dims) + indices.ndim - 1
        check_axes(self.name, "offset_dims", d.offset_dims, rank)
        window = iter([s for a, s in enumerate(slice_sizes) if a not in gone])
        batch = iter(indices.shape[:-1])
        return tuple([next(window) if a in d.offset_dims else next(batch) for a in range(rank)])

    def dtype(self, x: Aval, indices: Aval, **_: Any) -> Any:
        return x.dtype

    def weak_type(self, x: Aval, indices: Aval, **_: Any) -> bool:
        return x.weak_type

    def reference(
        self,
        x: np.ndarray,
        indices: np.ndarray,
        *,
        dimension_numbers: Any,
        slice_sizes: Any,
        mode: Any,
        fill_value: Any = None,
        unique_indices: bool = False,
        indices_are_sorted: bool = False,
    ) -> np.ndarray:
        windows, order, shape = _gather_plan(x.shape, indices.shape, dimension_numbers, slice_sizes)
        if windows.count == 1:
            window, whole = windows.only(indices)
            if whole or (mode is not FILL_OR_DROP and mode is not ONE_HOT):
                return x[window].reshape(shape)
            return np.full(shape, _fill(x.dtype, mode, fill_value))
        starts = windows.starts(indices)
        inside = windows.clipped(starts)
        out = x.reshape(-1)[windows.places(inside)]
        if mode is FILL_OR_DROP or mode is ONE_HOT:
            outside = (starts != inside).any(1)
            if outside.any():
                out[outside] = _fill(x.dtype, mode, fill_value)
        out = out.reshape(windows.batch_shape + windows.window_shape)
        return out if order is None else out.transpose(order)

    def jvp(self, primals: Any, tangents: Any, *, fill_value: Any = None, **params: Any) -> Any:
        x, indices = primals
        out = gather(x, indices, fill_value=fill_value, **params)
        t = tangents[0]
        return out, None if t is None else gather(t, indices, fill_value=0, **params)

    def transpose(
        self,
        ct: Any,
        x: Any,
        indices: Any,
        *,
        dimension_numbers: Any,
        mode: Any,
        unique_indices: bool = False,
        indices_are_sorted: bool = False,
        **_: Any,
    ) -> Any:
        back = registry["scatter-add"](
            zeros(x.aval.strip_weak_type()),
            indices,
            ct,
            dimension_numbers=adjoint_of_gather(dimension_numbers),
            indices_are_sorted=indices_are_sorted,
            unique_indices=unique_indices,
            mode=mode,
            update_jaxpr=None,
            update_consts=(),
        )
        return back, None

    def batch(
        self,
        batched: Any,
        x: Any,
        indices: Any,
        *,
        dimension_numbers: Any,
        slice_sizes: Any,
        unique_indices: bool = False,
        indices_are_sorted: bool = False,
        **params: Any,
    ) -> Any:
        d = dimension_numbers
        offset = tuple(a + 1 for a in d.offset_dims)
        if not batched[1]:
            numbers = GatherDimensionNumbers(
                (0, *offset), up(d.collapsed_slice_dims), up(d.start_index_map), up(d.operand_batching_dims),
                d.start_indices_batching_dims,
            )  # fmt: skip
            sizes = (x.shape[0], *slice_sizes)
        elif not batched[0]:
            numbers = GatherDimensionNumbers(
                offset, d.collapsed_slice_dims, d.start_index_map, d.operand_batching_dims,
                up(d.start_indices_batching_dims),
            )  # fmt: skip
            sizes, unique_indices, indices_are_sorted = slice_sizes, False, False
        else:
            numbers = GatherDimensionNumbers(
                offset, up(d.collapsed_slice_dims), up(d.start_index_map), (0, *up(d.operand_batching_dims)),
                (0, *up(d.start_indices_batching_dims)),
            )  # fmt: skip
            sizes, indices_are_sorted = (min(1, x.shape[0]), *slice_sizes), False
        return gather(
            x, indices, dimension_numbers=numbers, slice_sizes=sizes, unique_indices=unique_indices,
            indices_are_sorted=indices_are_sorted, **params,
        )  # fmt: skip

    def stablehlo(
        self,
        b: Any,
        x: Any,
        indices: Any,
        *,
        dimension_numbers: Any,
        slice_sizes: Any,
        mode: Any,
        fill_value: Any = None,
        indices_are_sorted: bool = False,
        **_: Any,
    ) -> Any:
        d = dimension_numbers
        indices = wide_indices(b, indices)
        out = b.gather(x, indices, d, slice_sizes, indices_are_sorted=indices_are_sorted)  # StableHLO's gather clips
        if (mode is not FILL_OR_DROP and mode is not ONE_HOT) or not d.start_index_map:
            return out
        limits = [x.aval.shape[a] - slice_sizes[a] for a in d.start_index_map]
        limit = index_limits(b, indices, limits)
        zero = b.full((), 0, indices.aval.dtype)
        inside = b.binary("and", b.compare(indices, zero, "GE"), b.compare(indices, limit, "LE"))
        inside = b.reduce(inside, True, [indices.aval.ndim - 1], "and")
        shape = out.aval.shape
        inside = b.broadcast_in_dim(inside, shape, [a for a in range(len(shape)) if a not in d.offset_dims])
        storage = getattr(x.aval.dtype, "storage", x.aval.dtype)
        return b.select(inside, out, b.full(shape, _fill(storage, mode, fill_value), x.aval.dtype))

    def samples(self, make: Any) -> Any:
        rows = GatherDimensionNumbers((1,), (0,), (0,))
        points = GatherDimensionNumbers((), (0, 1), (0, 1))
        windows = GatherDimensionNumbers((0, 2), (), (0, 1))
        paired = GatherDimensionNumbers((), (1,), (1,), (0,), (0,))
        some = np.array([[2], [0], [2]], np.int32)
        wild = np.array([[1], [-1], [7]], np.int32)
        for mode in (CLIP, FILL_OR_DROP, PROMISE_IN_BOUNDS):
            yield _sample(make((4, 3)), some, rows, (1, 3), mode, id=f"rows-{mode.name.lower()}")
        yield _sample(make((4, 3)), wild, rows, (1, 3), CLIP, id="out-of-range-clipped")
        yield _sample(make((4, 3)), wild, rows, (1, 3), FILL_OR_DROP, fill_value=1, id="out-of-range-filled")
        if not dtypes.is_inexact(make(()).dtype):  # elsewhere NaN, which has no differences to compare a tangent with
            yield _sample(make((4, 3)), wild, rows, (1, 3), FILL_OR_DROP, id="default-fill")
        yield _sample(make((4, 3)), np.array([[1, 2], [0, 0]], np.int8), points, (1, 1), CLIP, id="points")
        yield _sample(make((5, 4)), np.array([[1, 2], [4, 3]], np.int32), windows, (2, 2), CLIP, id="windows")
        far = np.array([[1, 2], [4, 3]])
        yield _sample(make((5, 4)), far, windows, (2, 2), FILL_OR_DROP, fill_value=0, id="windows-filled")
        yield _sample(make((2, 4)), np.array([[[3], [1]], [[0], [9]]], np.uint8), paired, (1, 1), CLIP, id="paired")
        yield _sample(make((4, 0)), some, rows, (1, 0), CLIP, id="empty-rows")
        yield _sample(make((4, 3)), np.zeros((0, 1), np.int32), rows, (1, 3), FILL_OR_DROP, id="no-indices")
        start = GatherDimensionNumbers((0,), (), ())
        yield _sample(make((3,)), np.zeros((0,), np.int32), start, (2,), CLIP, id="no-components")

    def refusals(self, make: Any) -> Any:
        rows = GatherDimensionNumbers((1,), (0,), (0,))
        some = np.array([[2], [0]], np.int32)
        yield Refusal(_sample(make((4, 3)), some, rows, (1, 5), CLIP), ShapeError, "cannot take slices of (1, 5)")
        yield Refusal(_sample(make((4, 3)), some, rows, (2, 3), CLIP), ShapeError, "not of length 1")
        yield Refusal(_sample(make((4, 3)), some.astype(np.float32), rows, (1, 3), CLIP), DtypeError, "integer indices")
        yield Refusal(_sample(make((4, 3)), some[:, 0], rows, (1, 3), CLIP), ShapeError, "maps 1 index components")
        many = GatherDimensionNumbers((0, 1), (0,), (0,))
        yield Refusal(_sample(make((4, 3)), some, many, (1, 3), CLIP), ShapeError, "needs 1 offset_dims")


def _sample(x: Any, indices: Any, numbers: Any, sizes: Any, mode: Any, fill_value: Any = None, id: str = "") -> Sample:
    return Sample(
        x, indices, dimension_numbers=numbers, slice_sizes=sizes, unique_indices=False, indices_are_sorted=False,
        mode=mode, fill_value=fill_value, id=id,
    )  # fmt: skip


def _fill(dtype: Any, mode: GatherScatterMode, fill_value: Any) -> Any:
    if dtype.names is not None:  # a record: keys of 128 bits
        number = 0 if mode is ONE_HOT else 2 ** (8 * dtype.itemsize) - 1 if fill_value is None else int(fill_value)
        return np.frombuffer(number.to_bytes(dtype.itemsize, "little"), dtype)[0]
    if mode is ONE_HOT:
        return 0
    value = default_fill(dtype) if fill_value is None else fill_value
    return np.asarray(value).astype(dtype)


def up(axes: Sequence[int]) -> tuple[int, ...]:
    """The axes, one further to the right."""
    return tuple([a + 1 for a in axes])


def adjoint_of_gather(d: GatherDimensionNumbers) -> Any:
    """The numbers of the scatter that writes where this gather reads."""
    return ScatterDimensionNumbers(
        d.offset_dims,
        d.collapsed_slice_dims,
        d.start_index_map,
        d.operand_batching_dims,
        d.start_indices_batching_dims,
    )


class ScatterDimensionNumbers(NamedTuple):
    """How the axes of a scatter's operand, indices and updates belong together.

    Attributes
    ----------
    update_window_dims : tuple of int
        Axes of the updates that run inside a window, increasing. The others run over the index vectors.
    inserted_window_dims : tuple of int
        Axes of the operand, increasing, along which a window has length 1 and which the updates do not have.
    scatter_dims_to_operand_dims : tuple of int
        The axis of the operand each component of an index vector counts along.
    operand_batching_dims, scatter_indices_batching_dims : tuple of int
        Pairs of axes of the operand and the indices that run together: row ``b`` of the indices writes row ``b`` only.
    """

    update_window_dims: Sequence[int]
    inserted_window_dims: Sequence[int]
    scatter_dims_to_operand_dims: Sequence[int]
    operand_batching_dims: Sequence[int] = ()
    scatter_indices_batching_dims: Sequence[int] = ()


def wide_indices(b: Any, indices: Any) -> Any:
    """Indices in at least 32 bits: a compiler counts in the dtype it is given, and the axes may be longer than it."""
    if indices.aval.dtype.itemsize >= 4:
        return indices
    return b.convert(indices, np.int32)


def index_limits(b: Any, indices: Any, limits: Sequence[int]) -> Any:
    """The greatest allowed starts, in the shape and dtype of ``indices``."""
    rank = indices.aval.ndim
    greatest = int(dtypes.iinfo(indices.aval.dtype).max)
    row = b.constant(np.array([min(n, greatest) for n in limits], indices.aval.dtype))
    return b.broadcast_in_dim(row, indices.aval.shape, (rank - 1,))


gather = registry.add(Gather())


def take_along(x: Any, places: Any, axis: int) -> Any:
    """``out[..., i, ...] = x[..., places[..., i, ...], ...]`` along ``axis``; ``places`` has the rank of ``x``.

    The places are known to be inside, and the other axes of both have the same length.
    """
    if 0 in places.shape:
        return zeros(Aval(places.shape, x.dtype))
    others = tuple(a for a in range(places.ndim) if a != axis)
    numbers = GatherDimensionNumbers((), (axis,), (axis,), others, others)
    column = reshape(places, new_sizes=(*places.shape, 1), dimensions=None)
    return gather(
        x,
        column,
        dimension_numbers=numbers,
        slice_sizes=(1,) * x.ndim,
        unique_indices=True,
        indices_are_sorted=False,
        mode=PROMISE_IN_BOUNDS,
        fill_value=None,
    )
