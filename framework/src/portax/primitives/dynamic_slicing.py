"""Cutting out and writing a slice at a place computed on the way: dynamic_slice, dynamic_update_slice.

A slice that would reach outside is moved inside. Each is the other's adjoint. Where the start differs from row to row
of a batch, the slice becomes a gather and the update a scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.broadcasting import broadcast_in_dim, reshape
from portax.primitives.indexing import CLIP, GatherDimensionNumbers, ScatterDimensionNumbers, gather
from portax.primitives.scattering import scatter
from portax.primitives.slicing import batch_size, concatenate, spread
from portax.primitives.zeros import zero, zeros

Shape = tuple[int, ...]


def _check_starts(name: str, x: Aval, starts: Sequence[Aval]) -> None:
    if len(starts) != x.ndim:
        raise ShapeError(
            wrong=f"{name} needs a start index for each axis of x: {x}, got {len(starts)}", fix=f"Give {x.ndim}"
        )
    if any(s.ndim or not dtypes.is_integer(s.dtype) for s in starts) or len({s.dtype for s in starts}) > 1:
        raise DtypeError(
            wrong=f"{name} needs integer scalars of one dtype as start indices, got {', '.join(map(str, starts))}",
            fix="Convert them to int32",
        )


def _clipped(starts: Sequence[np.ndarray], shape: Shape, sizes: Shape) -> tuple[slice, ...]:
    first = [min(max(int(i), 0), n - s) for i, n, s in zip(starts, shape, sizes, strict=True)]
    return tuple([slice(i, i + s) for i, s in zip(first, sizes, strict=True)])


def _wide(b: Any, starts: Sequence[Any]) -> list[Any]:
    """Start indices in at least 32 bits: a compiler counts in the dtype it is given."""
    return [b.convert(i, np.int32) if i.aval.dtype.itemsize < 4 else i for i in starts]


def _index_vectors(starts: Sequence[Any], batched: Sequence[bool], size: int) -> Any:
    """The start indices as index vectors, one a row of the batch."""
    columns = []
    for i, b in zip(starts, batched, strict=True):
        if b:
            columns.append(reshape(i, new_sizes=(size, 1), dimensions=None))
        else:
            columns.append(broadcast_in_dim(i, shape=(size, 1), broadcast_dimensions=()))
    return concatenate(*columns, dimension=1)


class DynamicSlice(Primitive):
    """The part of ``operand`` of ``slice_sizes`` that starts at ``start_indices``, moved inside where it is not.

    Parameters
    ----------
    operand : Array, any dtype
    *start_indices : scalars of one integer dtype, one for each axis; a negative one counts as 0
    slice_sizes : tuple of int, static, ``0 <= size <= length`` for each axis

    Returns
    -------
    Array of shape ``slice_sizes`` and the dtype of ``operand``
    """

    name = "dynamic_slice"
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0,)

    def shape(self, x: Aval, *starts: Aval, slice_sizes: Any) -> Shape:
        _check_starts(self.name, x, starts)
        if len(slice_sizes) != x.ndim or any(not 0 <= s <= n for s, n in zip(slice_sizes, x.shape, strict=True)):
            raise ShapeError(
                wrong=f"dynamic_slice cannot take {tuple(slice_sizes)} from x: {x}",
                fix="Give one size for each axis, between 0 and its length",
            )
        return tuple(slice_sizes)

    def dtype(self, x: Aval, *starts: Aval, **_: Any) -> Any:
        return x.dtype

    def weak_type(self, x: Aval, *starts: Aval, **_: Any) -> bool:
        return x.weak_type

    def reference(self, x: np.ndarray, *starts: np.ndarray, slice_sizes: Any) -> np.ndarray:
        return x[_clipped(starts, x.shape, slice_sizes)]

    def transpose(self, ct: Any, x: Any, *starts: Any, slice_sizes: Any) -> tuple[Any, ...]:
        back = dynamic_update_slice(zeros(x.aval.strip_weak_type()), ct, *starts)
        return (back, *(None,) * len(starts))

    def batch(self, batched: Any, x: Any, *starts: Any, slice_sizes: Any) -> Any:
        if not any(batched[1:]):
            return dynamic_slice(x, _zero_like(starts), *starts, slice_sizes=(x.shape[0], *slice_sizes))
        size = batch_size(batched, (x, *starts))
        lead = 1 if batched[0] else 0
        rank = len(slice_sizes)
        axes = tuple(range(lead, rank + lead))
        numbers = GatherDimensionNumbers(tuple(range(1, rank + 1)), (), axes, (0,) * lead, (0,) * lead)
        return gather(
            x,
            _index_vectors(starts, batched[1:], size),
            dimension_numbers=numbers,
            slice_sizes=(*(min(1, size),) * lead, *slice_sizes),
            unique_indices=False,
            indices_are_sorted=False,
            mode=CLIP,
            fill_value=None,
        )

    def stablehlo(self, b: Any, x: Any, *starts: Any, slice_sizes: Any) -> Any:
        return b.dynamic_slice(x, _wide(b, starts), slice_sizes) if starts else x

    def samples(self, make: Any) -> Any:
        def at(*index: int) -> list[np.ndarray]:
            return [np.array(i, np.int32) for i in index]

        yield Sample(make((4, 5)), *at(1, 2), slice_sizes=(2, 3), id="inside")
        yield Sample(make((4, 5)), *at(-1, 4), slice_sizes=(2, 3), id="moved-inside")
        yield Sample(make((300,)), np.array(250, np.uint8), slice_sizes=(3,), id="narrow-index")
        yield Sample(make((4, 5)), *at(1, 2), slice_sizes=(0, 3), id="to-empty")
        yield Sample(make(()), slice_sizes=(), id="scalar")

    def refusals(self, make: Any) -> Any:
        one = np.array(1, np.int32)
        yield Refusal(Sample(make((4,)), one, slice_sizes=(5,)), ShapeError, "cannot take (5,) from x")
        yield Refusal(Sample(make((4, 2)), one, slice_sizes=(1, 1)), ShapeError, "a start index for each axis")
        yield Refusal(Sample(make((4,)), np.float32(1), slice_sizes=(1,)), DtypeError, "integer scalars of one dtype")


def _zero_like(starts: Sequence[Any]) -> np.ndarray:
    return zero(aval_of(starts[0]).dtype if starts else np.dtype(np.int32))


class DynamicUpdateSlice(Primitive):
    """``operand`` with ``update`` in place of the part that a dynamic_slice of its size would give.

    Parameters
    ----------
    operand : Array, any dtype
    update : Array of the same dtype and rank, no longer along any axis
    *start_indices : scalars of one integer dtype, one for each axis; moved inside where they are not

    Returns
    -------
    Array of the shape and dtype of ``operand``
    """

    name = "dynamic_update_slice"
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0, 1)

    def shape(self, x: Aval, update: Aval, *starts: Aval) -> Shape:
        _check_starts(self.name, x, starts)
        if update.ndim != x.ndim or any(m > n for m, n in zip(update.shape, x.shape, strict=True)):
            raise ShapeError(
                wrong=f"dynamic_update_slice cannot put update: {update} into x: {x}",
                fix="Give an update of the same rank, no longer along any axis",
            )
        return x.shape

    def dtype(self, x: Aval, update: Aval, *starts: Aval) -> Any:
        if x.dtype != update.dtype:
            raise DtypeError(
                wrong=f"dynamic_update_slice needs an update of the operand's dtype, got {update} for {x}",
                fix="Convert the update with .astype",
            )
        return x.dtype

    def weak_type(self, x: Aval, update: Aval, *starts: Aval) -> bool:
        return False

    def reference(self, x: np.ndarray, update: np.ndarray, *starts: np.ndarray) -> np.ndarray:
        out = x.copy()
        out[_clipped(starts, x.shape, update.shape)] = update
        return out

    def transpose(self, ct: Any, x: Any, update: Any, *starts: Any) -> tuple[Any, ...]:
        aval = update.aval if type(update) is Undefined else aval_of(update)
        back_x = back_update = None
        if type(x) is Undefined:
            back_x = dynamic_update_slice(ct, zeros(aval.strip_weak_type()), *starts)
        if type(update) is Undefined:
            back_update = dynamic_slice(ct, *starts, slice_sizes=aval.shape)
        return (back_x, back_update, *(None,) * len(starts))

    def batch(self, batched: Any, x: Any, update: Any, *starts: Any) -> Any:
        size = batch_size(batched, (x, update, *starts))
        x, update = spread(x, batched[0], size), spread(update, batched[1], size)
        if not any(batched[2:]):
            return dynamic_update_slice(x, update, _zero_like(starts), *starts)
        axes = tuple(range(1, x.ndim))
        return scatter(
            x,
            _index_vectors(starts, batched[2:], size),
            update,
            dimension_numbers=ScatterDimensionNumbers(axes, (), axes, (0,), (0,)),
            indices_are_sorted=True,
            unique_indices=True,
            mode=CLIP,
            update_jaxpr=None,
            update_consts=(),
        )

    def stablehlo(self, b: Any, x: Any, update: Any, *starts: Any) -> Any:
        return b.dynamic_update_slice(x, update, _wide(b, starts)) if starts else update

    def samples(self, make: Any) -> Any:
        def at(*index: int) -> list[np.ndarray]:
            return [np.array(i, np.int32) for i in index]

        yield Sample(make((4, 5)), make((2, 3)), *at(1, 2), id="inside")
        yield Sample(make((4, 5)), make((2, 3)), *at(-1, 4), id="moved-inside")
        yield Sample(make((300,)), make((3,)), np.array(250, np.uint8), id="narrow-index")
        yield Sample(make((4, 5)), make((0, 3)), *at(1, 2), id="empty")
        yield Sample(make(()), make(()), id="scalar")

    def refusals(self, make: Any) -> Any:
        one = np.array(1, np.int32)
        yield Refusal(Sample(make((4,)), make((5,)), one), ShapeError, "cannot put update")
        yield Refusal(Sample(make((4,)), make((2,))), ShapeError, "a start index for each axis")


dynamic_slice = registry.add(DynamicSlice())
dynamic_update_slice = registry.add(DynamicUpdateSlice())
