"""Ops that move elements and compute nothing: broadcasting, slicing, padding, joining, gathering.

As with elementwise ops, what depends only on avals and parameters is worked out once in a process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.stablehlo.elementwise import Elementwise
from portax.core.stablehlo.types import (
    Value,
    array_attribute,
    dtype_of,
    integers_of,
    is_wide,
    joined_types,
    keys_of,
    list_attribute,
    type_of,
)

__all__ = ["Shaping"]

_FORMS = 1 << 13
_Ints = tuple[int, ...]


@lru_cache(_FORMS)
def _broadcast_form(aval: Aval, shape: _Ints, dims: _Ints) -> tuple[Aval, str]:
    out = Aval(shape, aval.dtype)
    if is_wide(aval.dtype):
        dims = (*dims, len(shape))
    return out, f", dims = {list_attribute(dims)} : ({type_of(aval)}) -> {type_of(out)}"


@lru_cache(_FORMS)
def _reshape_form(aval: Aval, shape: _Ints) -> tuple[Aval, str]:
    out = Aval(shape, aval.dtype)
    return out, f" : ({type_of(aval)}) -> {type_of(out)}"


@lru_cache(_FORMS)
def _transpose_form(aval: Aval, permutation: _Ints) -> tuple[Aval, str]:
    out = Aval(tuple([aval.shape[i] for i in permutation]), aval.dtype)
    if is_wide(aval.dtype):
        permutation = (*permutation, len(permutation))
    return out, f", dims = {list_attribute(permutation)} : ({type_of(aval)}) -> {type_of(out)}"


@lru_cache(_FORMS)
def _slice_form(aval: Aval, starts: _Ints, limits: _Ints, strides: _Ints) -> tuple[Aval, str]:
    parts = list(zip(starts, limits, strides, strict=True))
    out = Aval(tuple([-(-(stop - start) // step) for start, stop, step in parts]), aval.dtype)
    if is_wide(aval.dtype):
        parts.append((0, 2, 1))
    ranges = ", ".join([f"{start}:{stop}" + (f":{step}" if step != 1 else "") for start, stop, step in parts])
    return out, f" [{ranges}] : ({type_of(aval)}) -> {type_of(out)}"


@lru_cache(_FORMS)
def _pad_form(aval: Aval, config: tuple[tuple[int, int, int], ...]) -> tuple[Aval | None, str]:
    """Give the aval and the spelling; no aval where an axis loses more than there is, which StableHLO cannot say."""
    shape = tuple(
        [low + high + n + max(n - 1, 0) * interior for n, (low, high, interior) in zip(aval.shape, config, strict=True)]
    )
    if any(n < 0 for n in shape):
        return None, ""
    out = Aval(shape, aval.dtype)
    low, high, interior = [list_attribute([entry[i] for entry in config]) for i in range(3)]
    words = f", low = {low}, high = {high}, interior = {interior}"
    return out, f"{words} : ({type_of(aval)}, {type_of(Aval((), aval.dtype))}) -> {type_of(out)}"


@lru_cache(_FORMS)
def _iota_form(shape: _Ints, axis: int, dtype: Any) -> tuple[Aval, str]:
    out = Aval(shape, dtype_of(dtype))
    return out, f"stablehlo.iota dim = {axis} : {type_of(out)}"


class Shaping(Elementwise):
    """The ops of a `Builder` that rearrange arrays."""

    __slots__ = ()

    def broadcast_in_dim(self, x: Value, shape: Sequence[int], dims: Sequence[int]) -> Value:
        """Append ``x`` repeated to ``shape``; axis ``i`` of ``x``, of size 1 or full, becomes axis ``dims[i]``."""
        shape = tuple(shape)
        if shape == x.aval.shape and tuple(dims) == tuple(range(len(shape))):
            return x
        aval, after = _broadcast_form(x.aval, shape, tuple(dims))
        return self.emit(aval, f"stablehlo.broadcast_in_dim {x.name}{after}")

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Append ``x`` with its elements, in row-major order, in another shape."""
        shape = tuple(shape)
        if shape == x.aval.shape:
            return x
        aval, after = _reshape_form(x.aval, shape)
        return self.emit(aval, f"stablehlo.reshape {x.name}{after}")

    def transpose(self, x: Value, permutation: Sequence[int]) -> Value:
        """Append ``x`` with axis ``permutation[i]`` as axis ``i``."""
        aval, after = _transpose_form(x.aval, tuple(permutation))
        return self.emit(aval, f"stablehlo.transpose {x.name}{after}")

    def reverse(self, x: Value, axes: Sequence[int]) -> Value:
        """Append ``x`` backwards along ``axes``."""
        return self.emit(x.aval, f"stablehlo.reverse {x.name}, dims = {list_attribute(axes)} : {x.type}")

    def slice(
        self, x: Value, starts: Sequence[int], limits: Sequence[int], strides: Sequence[int] | None = None
    ) -> Value:
        """Append ``x[starts[0]:limits[0]:strides[0], ...]``."""
        aval, after = _slice_form(x.aval, tuple(starts), tuple(limits), tuple(strides or (1,) * len(starts)))
        return self.emit(aval, f"stablehlo.slice {x.name}{after}")

    def pad(self, x: Value, value: Any, config: Sequence[tuple[int, int, int]]) -> Value:
        """Append ``x`` with ``value`` around and between its elements.

        ``config`` has ``(low, high, interior)`` for each axis; negative low and high cut elements off.
        """
        aval, after = _pad_form(x.aval, tuple([tuple(entry) for entry in config]))
        if aval is not None and is_wide(aval.dtype):
            return self._pad_keys(x, self.scalar(value, aval.dtype), config)
        if aval is None:
            sizes = [low + high + n + max(n - 1, 0) * k for n, (low, high, k) in zip(x.aval.shape, config, strict=True)]
            return self.full([max(n, 0) for n in sizes], 0, x.aval.dtype)
        value = self.scalar(value, x.aval.dtype)
        return self.emit(aval, f"stablehlo.pad {x.name}, {value.name}{after}")

    def _pad_keys(self, x: Value, value: Value, config: Sequence[tuple[int, int, int]]) -> Value:
        """Each of the two integers of keys padded with its own."""
        whole, fill, shape, halves = integers_of(x), integers_of(value), x.aval.shape, []
        for i in range(2):
            half = self.slice(whole, (*[0 for _ in shape], i), (*shape, i + 1))
            around = self.reshape(self.slice(fill, (i,), (i + 1,)), ())
            halves.append(self.pad(half, around, [*config, (0, 0, 0)]))
        return keys_of(self.concatenate(halves, len(shape)), x.aval.dtype)

    def concatenate(self, xs: Sequence[Value], axis: int) -> Value:
        """Append the arrays ``xs`` joined along ``axis``."""
        if len(xs) == 1:
            return xs[0]
        shape = list(xs[0].aval.shape)
        shape[axis] = sum(x.aval.shape[axis] for x in xs)
        aval = Aval(tuple(shape), xs[0].aval.dtype)
        return self.emit(
            aval,
            f"stablehlo.concatenate {', '.join([x.name for x in xs])}, dim = {axis} : "
            f"({joined_types(xs)}) -> {type_of(aval)}",
        )

    def iota(self, shape: Sequence[int], axis: int, dtype: Any) -> Value:
        """Append the array of ``shape`` whose elements are their index along ``axis``."""
        return self.emit(*_iota_form(tuple(shape), axis, dtype))

    def dynamic_slice(self, x: Value, indices: Sequence[Value], sizes: Sequence[int]) -> Value:
        """Append the part of ``x`` of that size whose first element is at ``indices``, moved inside where it is not.

        The indices are rank-0 values of one integer dtype, one for each axis.
        """
        if is_wide(x.aval.dtype):
            first = self.full((), 0, indices[0].aval.dtype if indices else np.int32)
            return keys_of(self.dynamic_slice(integers_of(x), [*indices, first], [*sizes, 2]), x.aval.dtype)
        aval = Aval(tuple(sizes), x.aval.dtype)
        names = "".join([f", {i.name}" for i in indices])
        return self.emit(
            aval,
            f"stablehlo.dynamic_slice {x.name}{names}, sizes = {list_attribute(sizes)} : "
            f"({joined_types([x, *indices])}) -> {type_of(aval)}",
        )

    def dynamic_update_slice(self, x: Value, update: Value, indices: Sequence[Value]) -> Value:
        """Append ``x`` with ``update`` in place of the part of its size that `dynamic_slice` would give."""
        if is_wide(x.aval.dtype):
            first = self.full((), 0, indices[0].aval.dtype if indices else np.int32)
            whole = self.dynamic_update_slice(integers_of(x), integers_of(update), [*indices, first])
            return keys_of(whole, x.aval.dtype)
        operands = [x, update, *indices]
        return self.emit(
            x.aval,
            f"stablehlo.dynamic_update_slice {', '.join([v.name for v in operands])} : "
            f"({joined_types(operands)}) -> {x.type}",
        )

    def gather(
        self,
        x: Value,
        indices: Value,
        dimension_numbers: Any,
        slice_sizes: Sequence[int],
        *,
        index_vector_dim: int | None = None,
        indices_are_sorted: bool = False,
    ) -> Value:
        """Append slices of ``x`` that start at ``indices``, moved inside where they are not.

        Parameters
        ----------
        x : Value
        indices : Value of an integer dtype
        dimension_numbers : object
            With ``offset_dims``, ``collapsed_slice_dims``, ``start_index_map``, and where there is batching
            ``operand_batching_dims`` and ``start_indices_batching_dims``, as `lax.GatherDimensionNumbers`.
        slice_sizes : sequence of int
            One for each axis of ``x``.
        index_vector_dim : int, optional
            The axis of ``indices`` that holds one index into ``x``; default the last.
        """
        d = dimension_numbers
        batching = tuple(getattr(d, "operand_batching_dims", ()))
        vector = len(indices.aval.shape) - 1 if index_vector_dim is None else index_vector_dim
        gone = {*d.collapsed_slice_dims, *batching}
        window = iter([n for axis, n in enumerate(slice_sizes) if axis not in gone])
        batch = iter([n for axis, n in enumerate(indices.aval.shape) if axis != vector])
        rank = len(d.offset_dims) + len(indices.aval.shape) - (vector < len(indices.aval.shape))
        offsets = set(d.offset_dims)
        shape = tuple([next(window) if axis in offsets else next(batch) for axis in range(rank)])
        operand, out, offset_dims = x, Aval(shape, x.aval.dtype), d.offset_dims
        if is_wide(x.aval.dtype):  # both integers of a key are in its window
            operand, offset_dims, slice_sizes = integers_of(x), (*d.offset_dims, rank), (*slice_sizes, 2)
        numbers = (
            f"#stablehlo.gather<offset_dims = {list_attribute(offset_dims)}, "
            f"collapsed_slice_dims = {list_attribute(d.collapsed_slice_dims)}, "
            f"operand_batching_dims = {list_attribute(batching)}, "
            f"start_indices_batching_dims = {list_attribute(getattr(d, 'start_indices_batching_dims', ()))}, "
            f"start_index_map = {list_attribute(d.start_index_map)}, index_vector_dim = {vector}>"
        )
        [gathered] = self.generic(
            "stablehlo.gather",
            (operand, indices),
            (out,),
            f"dimension_numbers = {numbers}, indices_are_sorted = {str(indices_are_sorted).lower()}, "
            f"slice_sizes = {array_attribute(slice_sizes)}",
        )
        return gathered

    def optimization_barrier(self, *xs: Value) -> tuple[Value, ...]:
        """Append a wall: no op that uses a result is moved before any op that made an operand."""
        if not xs:
            return ()
        names = ", ".join([x.name for x in xs])
        return self.emit_many([x.aval for x in xs], f"stablehlo.optimization_barrier {names} : {joined_types(xs)}")
