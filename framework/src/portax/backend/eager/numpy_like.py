"""The required primitives for a library that is like NumPy: a table to start from.

What differs between NumPy and portax is settled here once: division by zero, shifts by more than the width, conversions
out of range, windows that reach outside. A driver takes the table and puts its own functions in place of these, one by
one; each is an example of what the primitive means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any
Functions = dict[str, Callable[..., Any]]


def functions(xp: Any) -> Functions:
    """A function for each primitive that a driver must have.

    Parameters
    ----------
    xp : module
        It has functions under NumPy's names, among them ``arange``, ``full``, ``where`` and ``take_along_axis``. Its
        arrays have ``shape``, ``dtype`` and ``ndim``, are indexed as NumPy's are, and have the methods ``astype``,
        ``copy``, ``reshape``, ``transpose`` and ``view``. Dtypes are NumPy's.

    Returns
    -------
    dict of str to callable
        By the name of the primitive.

    Examples
    --------
    >>> from portax.backend.eager import numpy_like
    >>> table = numpy_like.functions(np)
    >>> table["div"](np.array([7, -7, 7]), np.array([2, 2, 0]))
    array([ 3, -3, -1])
    """
    same = {
        "add": "add", "mul": "multiply", "neg": "negative", "max": "maximum", "sqrt": "sqrt", "exp": "exp",
        "log": "log", "sin": "sin", "cos": "cos", "floor": "floor", "eq": "equal", "lt": "less", "and": "bitwise_and",
        "xor": "bitwise_xor", "real": "real", "imag": "imag",
    }  # fmt: skip
    found: Functions = {name: getattr(xp, function) for name, function in same.items()}
    for family in (_arithmetic, _conversion, _layout, _reductions, _windows):
        found |= family(xp)
    return found


def _wide(dtype: Any) -> Any:
    """What many numbers of a dtype are added in: 16 bits are too few."""
    return np.dtype(np.float32) if dtype.itemsize < 4 and dtype.kind not in "biu" else dtype


def _arithmetic(xp: Any) -> Functions:
    def divided(x: Array, y: Array) -> tuple[Array, Array]:
        """Of integers; by zero all bits are set, and the remainder is ``x``."""
        by_zero = y == 0
        negated = xp.equal(y, -1) if x.dtype.kind == "i" else xp.not_equal(y, y)  # the least by -1 would trap
        safe = xp.where(by_zero | negated, xp.ones_like(y), y)
        rest = xp.fmod(x, safe)
        quotient = xp.where(negated, xp.negative(x), xp.floor_divide(x - rest, safe))
        return xp.where(by_zero, ~xp.zeros_like(y), quotient), xp.where(by_zero, x, rest)

    def div(x: Array, y: Array) -> Array:
        return divided(x, y)[0] if x.dtype.kind in "iu" else xp.true_divide(x, y).astype(x.dtype)

    def rem(x: Array, y: Array) -> Array:
        return divided(x, y)[1] if x.dtype.kind in "iu" else xp.fmod(x, y)

    def power(x: Array, y: Array) -> Array:
        return xp.power(x, y).astype(x.dtype)

    def complex_(x: Array, y: Array) -> Array:
        parts = xp.stack(tuple(xp.broadcast_arrays(x, y)), -1)
        return parts.view(np.result_type(x.dtype, np.complex64)).reshape(parts.shape[:-1])

    def atan2(y: Array, x: Array) -> Array:
        if y.dtype.kind != "c":
            return xp.arctan2(y, x)
        i = y.dtype.type(1j)
        return -i * xp.log((x + i * y) / xp.sqrt(x * x + y * y))

    def select_n(which: Array, *cases: Array) -> Array:
        out = cases[0]
        for i, case in enumerate(cases[1:], 1):
            out = xp.where(which >= i, case, out)
        return out

    def shifted(shift: Callable[..., Any]) -> Callable[..., Any]:
        # NumPy's shifts by at least the width give 0, as portax's do; the amount is read without sign.
        def f(x: Array, y: Array) -> Array:
            unsigned = np.dtype(f"u{x.dtype.itemsize}")
            return shift(x.view(unsigned), y.view(unsigned)).view(x.dtype)

        return f

    return {
        "div": div, "rem": rem, "pow": power, "complex": complex_, "select_n": select_n,
        "shift_left": shifted(xp.left_shift), "shift_right_logical": shifted(xp.right_shift),
        "atan2": atan2,
    }  # fmt: skip


def _conversion(xp: Any) -> Functions:
    def convert(x: Array, new_dtype: Any) -> Array:
        if x.dtype.kind == "c":
            if new_dtype.kind == "b":
                return xp.not_equal(x, 0)
            x = x if new_dtype.kind == "c" else xp.real(x)
        if new_dtype.kind not in "iu" or x.dtype.kind in "biu":
            return x.astype(new_dtype)
        # A float becomes the nearest integer that there is, and NaN becomes 0.
        least, most = np.iinfo(new_dtype).min, np.iinfo(new_dtype).max
        x = x.astype(_wide(x.dtype))
        number = xp.where(xp.isnan(x), xp.zeros_like(x), x)
        low, high = number <= float(least), number >= float(most)
        out = xp.where(low | high, xp.zeros_like(x), number).astype(new_dtype)
        return xp.where(high, xp.full((), most, new_dtype), xp.where(low, xp.full((), least, new_dtype), out))

    def bitcast(x: Array, new_dtype: Any) -> Array:
        old, new = x.dtype.itemsize, new_dtype.itemsize
        if old > new:
            return x.copy().reshape((*x.shape, 1)).view(new_dtype)
        return x.view(new_dtype) if old == new else x.copy().view(new_dtype).reshape(x.shape[:-1])

    return {"convert_element_type": convert, "bitcast_convert_type": bitcast}


def _layout(xp: Any) -> Functions:
    def broadcast_in_dim(x: Array, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> Array:
        lengths = [1] * len(shape)
        for n, d in zip(x.shape, broadcast_dimensions, strict=True):
            lengths[d] = n
        return xp.broadcast_to(x.reshape(tuple(lengths)), tuple(shape))

    def iota(dtype: Any, shape: Sequence[int], dimension: int) -> Array:
        return broadcast_in_dim(xp.arange(shape[dimension]).astype(dtype), shape, (dimension,))

    def slice_(x: Array, start_indices: Any, limit_indices: Any, strides: Any) -> Array:
        return x[tuple(map(slice, start_indices, limit_indices, strides or (1,) * x.ndim))]

    def pad(x: Array, value: Array, padding_config: Sequence[tuple[int, int, int]]) -> Array:
        """``(low, high, between)`` for each axis; a negative low or high cuts off."""
        for axis, (low, high, between) in enumerate(padding_config):
            n = x.shape[axis] + max(x.shape[axis] - 1, 0) * between
            shape, at = list(x.shape), [slice(None)] * x.ndim
            shape[axis] = max(low, 0) + n + max(high, 0)
            spread = xp.full(tuple(shape), value, x.dtype)
            at[axis] = slice(max(low, 0), max(low, 0) + n, between + 1)
            spread[tuple(at)] = x
            at[axis] = slice(max(-low, 0), shape[axis] - max(-high, 0))
            x = spread[tuple(at)]
        return x

    def window(x: Array, sizes: Sequence[int], starts: Sequence[Array]) -> tuple[slice, ...]:
        """Where a window lies, moved so that all of it is inside."""
        first = [min(max(int(s), 0), n - size) for s, n, size in zip(starts, x.shape, sizes, strict=True)]
        return tuple(slice(s, s + size) for s, size in zip(first, sizes, strict=True))

    def dynamic_update_slice(x: Array, update: Array, *starts: Array) -> Array:
        out = x.copy()
        out[window(x, update.shape, starts)] = update
        return out

    return {
        "broadcast_in_dim": broadcast_in_dim, "iota": iota, "slice": slice_, "pad": pad,
        "reshape": lambda x, new_sizes: x.reshape(tuple(new_sizes)),
        "transpose": lambda x, permutation: x.transpose(tuple(permutation)),
        "rev": lambda x, dimensions: xp.flip(x, tuple(dimensions)),
        "concatenate": lambda *xs, dimension: xp.concatenate(xs, dimension),
        "dynamic_slice": lambda x, *starts, slice_sizes: x[window(x, slice_sizes, starts)],
        "dynamic_update_slice": dynamic_update_slice,
    }  # fmt: skip


def _least(dtype: Any) -> Any:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return {"b": False, "c": complex(-math.inf, -math.inf)}.get(dtype.kind, -math.inf)


def _reductions(xp: Any) -> Functions:
    def reduce_sum(x: Array, axes: Sequence[int]) -> Array:
        return xp.sum(x, axis=tuple(axes), dtype=_wide(x.dtype)).astype(x.dtype)

    def reduce_max(x: Array, axes: Sequence[int]) -> Array:
        wide = x.astype(_wide(x.dtype))
        return xp.max(wide, axis=tuple(axes), initial=_least(x.dtype)).astype(x.dtype)

    def dot_general(x: Array, y: Array, dimension_numbers: Any, preferred_element_type: Any = None) -> Array:
        (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
        result = x.dtype if preferred_element_type is None else preferred_element_type
        x_free = [d for d in range(x.ndim) if d not in (*x_sum, *x_batch)]
        y_free = [d for d in range(y.ndim) if d not in (*y_sum, *y_batch)]
        batch, terms = [x.shape[d] for d in x_batch], math.prod(x.shape[d] for d in x_sum)
        rows, columns = [x.shape[d] for d in x_free], [y.shape[d] for d in y_free]
        left = x.astype(_wide(result)).transpose((*x_batch, *x_free, *x_sum))
        right = y.astype(_wide(result)).transpose((*y_batch, *y_sum, *y_free))
        out = xp.matmul(
            left.reshape((*batch, math.prod(rows), terms)), right.reshape((*batch, terms, math.prod(columns)))
        )
        return out.reshape((*batch, *rows, *columns)).astype(result)

    def sort(*xs: Array, dimension: int, is_stable: bool, num_keys: int) -> list[Array]:
        """NaN comes last, and the zeros of both signs are equal; complex numbers go by their real parts first."""
        keys = [k for x in xs[:num_keys] for k in ((xp.real(x), xp.imag(x)) if x.dtype.kind == "c" else (x,))]
        keys = [k.astype(_wide(k.dtype)) for k in keys]
        order = xp.lexsort(tuple(keys[::-1]), axis=dimension)
        return [xp.take_along_axis(x, order, dimension) for x in xs]

    return {"reduce_sum": reduce_sum, "reduce_max": reduce_max, "dot_general": dot_general, "sort": sort}


def _fill(dtype: Any) -> Any:
    """What is read outside, where nothing else is asked for."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
    return True if dtype.kind == "b" else math.nan


def _windows(xp: Any) -> Functions:
    def places(
        shape: Any, indices: Array, sizes: Any, kept: Any, index_axes: Any, batching: Any, index_batching: Any
    ) -> tuple[list[Array], Array | None]:
        """For each axis where the windows lie, moved inside, and which lay inside; the windows' axes come last."""
        lead, rank = indices.ndim - 1, indices.ndim - 1 + len(kept)
        found: list[Array] = []
        whole: Array | None = None

        def along(n: int, axis: int) -> Array:
            return xp.arange(n).reshape(tuple(-1 if d == axis else 1 for d in range(rank)))

        for axis, n in enumerate(shape):
            at = along(1, 0) if rank else xp.arange(1).reshape(())
            if axis in index_axes:
                start = indices[..., list(index_axes).index(axis)]
                if start.dtype == np.uint64:
                    start = xp.minimum(start, xp.full((), 2**62, np.dtype(np.uint64)))
                start = start.astype(np.dtype(np.int64)).reshape((*start.shape, *[1] * len(kept)))
                fits = (start >= 0) & (start <= n - sizes[axis])
                whole = fits if whole is None else whole & fits
                at = xp.clip(start, 0, max(n - sizes[axis], 0))
            elif axis in batching:
                at = along(n, list(index_batching)[list(batching).index(axis)])
            if axis in kept:
                at = at + along(sizes[axis], lead + kept.index(axis))
            found.append(at)
        return found, whole

    def gather(
        x: Array, indices: Array, dimension_numbers: Any, slice_sizes: Any, mode: Any, fill_value: Any = None,
        unique_indices: bool = False, indices_are_sorted: bool = False,
    ) -> Array:  # fmt: skip
        d = dimension_numbers
        kept = [a for a in range(x.ndim) if a not in (*d.collapsed_slice_dims, *d.operand_batching_dims)]
        at, whole = places(x.shape, indices, slice_sizes, kept, d.start_index_map, d.operand_batching_dims,
                           d.start_indices_batching_dims)  # fmt: skip
        shape = (*indices.shape[:-1], *(slice_sizes[a] for a in kept))
        out = x[tuple(xp.broadcast_to(i, shape) for i in at)] if at else xp.broadcast_to(x, shape)
        if whole is not None and mode.name in ("FILL_OR_DROP", "ONE_HOT"):
            fill = _fill(x.dtype) if fill_value is None else fill_value
            out = xp.where(whole, out, xp.full((), fill, x.dtype))
        lead, offset = iter(range(indices.ndim - 1)), list(d.offset_dims)
        return out.transpose(tuple(
            indices.ndim - 1 + offset.index(a) if a in offset else next(lead) for a in range(len(shape))
        ))  # fmt: skip

    def scatter(join: Any) -> Callable[..., Array]:
        def f(x: Array, indices: Array, updates: Array, dimension_numbers: Any, mode: Any, **promises: Any) -> Array:
            d = dimension_numbers
            kept = [a for a in range(x.ndim) if a not in (*d.inserted_window_dims, *d.operand_batching_dims)]
            spans = dict(zip(kept, (updates.shape[a] for a in d.update_window_dims), strict=True))
            at, whole = places(x.shape, indices, [spans.get(a, 1) for a in range(x.ndim)], kept,
                               d.scatter_dims_to_operand_dims, d.operand_batching_dims,
                               d.scatter_indices_batching_dims)  # fmt: skip
            lead = [a for a in range(updates.ndim) if a not in d.update_window_dims]
            updates = updates.transpose((*lead, *d.update_window_dims))
            at = [xp.broadcast_to(i, updates.shape) for i in at]
            if whole is not None and mode.name != "CLIP":  # what reaches outside is dropped whole
                whole = xp.broadcast_to(whole, updates.shape)
                at, updates = [i[whole] for i in at], updates[whole]
            out = x.copy()
            if join is None:
                out[tuple(at)] = updates
            else:
                join.at(out, tuple(at), updates)  # one after the other, where several meet
            return out

        return f

    return {
        "gather": gather, "scatter": scatter(None), "scatter-add": scatter(xp.add), "scatter-mul": scatter(xp.multiply),
        "scatter-max": scatter(xp.maximum),
    }  # fmt: skip
