"""pad: an array with more elements around it, in every way NumPy knows.

Modes that repeat the array's own elements (edge, reflect, symmetric, wrap) are read off a map of places, which NumPy
makes. The map consists of stretches that run up, down or stand still; each becomes a slice, a slice backwards, or a
repeated slice, and the stretches are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationError
from portax.numpy.applying import apply_along_axis
from portax.numpy.grids import linspace
from portax.numpy.index_entries import host_value
from portax.numpy.indexing import index
from portax.numpy.joining import joined
from portax.numpy.promotion import as_array
from portax.numpy.rounding import round as rounded
from portax.numpy.shaping import broadcast_to
from portax.numpy.ufuncs import add, divide, multiply, subtract
from portax.primitives import slicing
from portax.primitives.broadcasting import broadcast_in_dim, reduce_sum
from portax.primitives.conversion import convert, convert_element_type, converted
from portax.primitives.reductions import reduce_max, reduce_min
from portax.primitives.sorting import sort

#: Stretches that are joined; a map of more of them becomes one gather.
STRETCHES = 16

_OPTIONS: dict[str, tuple[str, ...]] = {
    "constant": ("constant_values",),
    "edge": (),
    "empty": (),
    "linear_ramp": ("end_values",),
    "maximum": ("stat_length",),
    "mean": ("stat_length",),
    "median": ("stat_length",),
    "minimum": ("stat_length",),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
    "wrap": (),
}


def pad(array: Any, pad_width: Any, mode: str | Callable[..., Any] = "constant", **kwargs: Any) -> Array:
    """An array with more elements before and after its own.

    Parameters
    ----------
    array : Array
    pad_width : int, (before, after), or one such pair for each axis; or a dict from axes to them
    mode : str or callable
        ``"constant"``: ``constant_values`` (0). ``"empty"``: zeros. ``"edge"``: the outermost element.
        ``"linear_ramp"``: a straight line to ``end_values`` (0). ``"maximum"``, ``"minimum"``, ``"mean"``,
        ``"median"``: of the ``stat_length`` outermost elements (all). ``"wrap"``: the other end.
        ``"reflect"``, ``"symmetric"``: mirrored at the outermost element, or behind it; with ``reflect_type="odd"``
        also turned over. A callable gets ``(vector, pad_width, axis, kwargs)`` for each vector and returns it padded.
    constant_values, end_values, stat_length
        One for all, (before, after), or one such pair for each axis.

    Returns
    -------
    Array of the dtype of ``array``

    Raises
    ------
    ArgumentError
        A negative width, an unknown mode, or an option of another mode.

    Examples
    --------
    >>> pnp.pad(pnp.array([1, 2, 3]), (1, 2))
    Array([0, 1, 2, 3, 0, 0], dtype=int32)
    >>> pnp.pad(pnp.array([1, 2, 3]), 2, mode="reflect")
    Array([3, 2, 1, 2, 3, 2, 1], dtype=int32)
    """
    x = as_array(array, "pad")
    widths = _widths(pad_width, x.ndim)
    if callable(mode):
        return _pad_with(x, widths, mode, kwargs)
    if mode not in _OPTIONS:
        raise ArgumentError(wrong=f"pad has no mode {mode!r}", fix=f"Give one of: {', '.join(_OPTIONS)}")
    unknown = set(kwargs) - set(_OPTIONS[mode])
    if unknown:
        raise ArgumentError(
            wrong=f"pad with mode {mode!r} was given unsupported keyword arguments: {', '.join(sorted(unknown))}",
            fix=f"It takes {', '.join(_OPTIONS[mode]) or 'none'}",
        )
    if not any(w for pair in widths for w in pair):
        return x
    if mode == "constant":
        return _constant(x, widths, kwargs.get("constant_values", 0))
    if mode == "empty":
        return _constant(x, widths, 0)
    if mode == "linear_ramp":
        return _as_firm_as(x, _ramp(x, widths, kwargs.get("end_values", 0)))
    for d, pair in enumerate(widths):
        if any(pair) and not x.shape[d]:
            raise ArgumentError(
                wrong=f"pad cannot apply mode {mode!r} to axis {d}, which is empty (shape {x.shape})",
                fix='Use mode="constant"',
            )
    if mode in ("maximum", "minimum", "mean", "median"):
        return _as_firm_as(x, _statistic(x, widths, mode, kwargs.get("stat_length")))
    kind = kwargs.get("reflect_type", "even")
    if kind not in ("even", "odd"):
        raise ArgumentError(wrong=f"pad has no reflect_type {kind!r}", fix='Give "even" or "odd"')
    for d, pair in enumerate(widths):
        if any(pair):
            x = _odd(x, d, pair, mode) if kind == "odd" else _stretched(x, d, _map(x.shape[d], pair, mode))
    return x


def _as_firm_as(x: Array, out: Array) -> Array:
    """``out``, weakly typed where ``x`` is."""
    if out.weak_type == x.weak_type:
        return out
    return convert_element_type(out, new_dtype=x.dtype, weak_type=x.weak_type, sharding=None)


Widths = list[tuple[int, int]]


def _widths(pad_width: Any, rank: int) -> Widths:
    if isinstance(pad_width, dict):
        table = np.zeros((rank, 2), np.int64)
        for axis, pair in pad_width.items():
            table[axis] = pair
        pad_width = table
    found = _pairs(pad_width, rank, "pad_width")
    if isinstance(found, Array):
        raise ConcretizationError(
            wrong="pad was given a traced pad_width, so the shape of the result is not known",
            fix="Make the argument static",
        )
    if found.dtype.kind not in "iub":
        raise ArgumentError(wrong=f"pad_width must be of integral type, not {found.dtype}", fix="Give integers")
    if (found < 0).any():
        raise ArgumentError(wrong="pad_width can't contain negative values", fix="Cut with a slice instead")
    return [(int(a), int(b)) for a, b in found]


def _pairs(value: Any, rank: int, name: str) -> Any:
    """``value`` for each axis before and after: a NumPy array of shape (rank, 2), or an array if it is traced."""
    if isinstance(value, (list, tuple)):
        leaves = [v for part in value for v in (part if isinstance(part, (list, tuple)) else (part,))]
        if any(isinstance(v, Tracer) for v in leaves):
            rows = [as_array(v, "pad") for v in leaves]
            flat = joined("pad", [broadcast_to(v, (1,)) for v in rows], 0)
            nested = isinstance(value[0], (list, tuple))
            shape = (len(value), len(value[0])) if nested else (len(value),)
            value = index(flat, np.arange(len(leaves)).reshape(shape))
        else:
            value = np.asarray([[np.asarray(v) for v in p] if isinstance(p, (list, tuple)) else np.asarray(p)
                                for p in value])  # fmt: skip
    elif not isinstance(value, Tracer):
        known = host_value(value)
        value = np.asarray(value) if known is None else known
    shape = value.shape
    if shape not in ((), (1,), (2,), (1, 2), (rank, 2), (rank, 1), (1, 1)):
        raise ArgumentError(
            wrong=f"pad was given {name} of shape {shape} for an array with {rank} axes",
            fix="Give one number, a pair (before, after), or such a pair for each axis",
        )
    return broadcast_to(value, (rank, 2)) if isinstance(value, Array) else np.broadcast_to(value, (rank, 2))


def _config(rank: int, axis: int, before: int, after: int) -> tuple[tuple[int, int, int], ...]:
    return tuple([(before, after, 0) if d == axis else (0, 0, 0) for d in range(rank)])


def _constant(x: Array, widths: Widths, values: Any) -> Array:
    table = _pairs(values, x.ndim, "constant_values")
    if isinstance(table, np.ndarray):
        with np.errstate(all="ignore"):
            # On the host even while a function is traced: what is known stays known.
            fills = converted(np.ascontiguousarray(table), x.dtype) if table.size else table
        if not fills.size or (fills == fills.flat[0]).all():
            fill = fills.flat[0] if fills.size else np.zeros((), x.dtype)
            return slicing.pad(
                x, np.asarray(fill, x.dtype), padding_config=tuple([(before, after, 0) for before, after in widths])
            )
        table = fills
    else:
        table = convert(table, x.dtype)
    for d, (before, after) in enumerate(widths):
        for side, (low, high) in enumerate(((before, 0), (0, after))):
            if low or high:
                fill = np.asarray(table[d, side]) if isinstance(table, np.ndarray) else index(table, (d, side))
                x = slicing.pad(x, fill, padding_config=_config(x.ndim, d, low, high))
    return x


def _edge(x: Array, axis: int, at: int) -> Array:
    return slicing.part(x, axis, at, at + 1)


def _ramp(x: Array, widths: Widths, ends: Any) -> Array:
    table = _pairs(ends, x.ndim, "end_values")
    for d, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        n = x.shape[d]
        if not n:
            raise ArgumentError(wrong=f"pad cannot apply mode 'linear_ramp' to the empty axis {d}", fix="Use constant")
        parts = [x]
        for side, width in enumerate((before, after)):
            end = index(table, (d, side)) if isinstance(table, Array) else np.asarray(table[d, side])
            if not width:
                continue
            edge = _edge(x, d, 0 if side == 0 else n - 1)
            edge = _without(edge, d)
            end = broadcast_to(convert(as_array(end), x.dtype), edge.shape)
            ramp = linspace(end, edge, width, endpoint=False, dtype=x.dtype, axis=d)
            parts = [ramp, *parts] if side == 0 else [*parts, slicing.rev(ramp, dimensions=(d,))]
        x = joined("pad", parts, d)
    return x


def _without(x: Array, axis: int) -> Array:
    return index(x, (*[slice(None)] * axis, 0))


def _statistic(x: Array, widths: Widths, mode: str, lengths: Any) -> Array:
    table = None if lengths is None else _pairs(lengths, x.ndim, "stat_length")
    if isinstance(table, Array):
        raise ConcretizationError(wrong="pad was given a traced stat_length", fix="Make the argument static")
    if table is not None and (table < 1).any():
        raise ArgumentError(wrong="pad was given a stat_length below 1", fix="Give 1 or more")
    for d, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        n = x.shape[d]
        parts = [x]
        for side, width in enumerate((before, after)):
            if not width:
                continue
            length = n if table is None else min(int(table[d, side]), n)
            outer = slicing.part(x, d, 0, length) if side == 0 else slicing.part(x, d, n - length, n)
            value = convert(_reduced(outer, d, mode), x.dtype)
            shape = (*x.shape[:d], width, *x.shape[d + 1 :])
            kept = tuple([a for a in range(x.ndim) if a != d])
            value = broadcast_in_dim(value, shape=shape, broadcast_dimensions=kept, sharding=None)
            parts = [value, *parts] if side == 0 else [*parts, value]
        x = joined("pad", parts, d)
    return x


def _reduced(x: Array, axis: int, mode: str) -> Array:
    if mode == "maximum":
        return reduce_max(x, axes=(axis,), out_sharding=None)
    if mode == "minimum":
        return reduce_min(x, axes=(axis,), out_sharding=None)
    exact = not dtypes.is_inexact(x.dtype)
    wide = convert(x, dtypes.to_inexact(x.dtype))
    n = x.shape[axis]
    if mode == "mean":
        value = divide(reduce_sum(wide, axes=(axis,), out_sharding=None), float(n))
    else:
        (ordered,) = sort(wide, dimension=axis, is_stable=True, num_keys=1)
        low, high = (_without(slicing.part(ordered, axis, k, k + 1), axis) for k in ((n - 1) // 2, n // 2))
        value = low if n % 2 else multiply(add(low, high), 0.5)
    return rounded(value) if exact else value


# -- the array's own elements -----------------------------------------------------------------------------------------
def _map(n: int, pair: tuple[int, int], mode: str) -> np.ndarray:
    """Which element of an axis of length ``n`` each place of the padded axis holds."""
    places = np.arange(-pair[0], n + pair[1])
    if mode == "edge" or (mode == "reflect" and n == 1):
        return np.clip(places, 0, n - 1)
    if mode == "wrap":
        return places % n
    period = 2 * n - 2 if mode == "reflect" else 2 * n
    places = places % period
    return np.where(places < n, places, (2 * n - 2 if mode == "reflect" else 2 * n - 1) - places)


def _stretched(x: Array, axis: int, places: np.ndarray) -> Array:
    """``x`` at ``places`` along an axis."""
    stretches = _stretches(places)
    if len(stretches) > STRETCHES:
        return index(x, (*[slice(None)] * axis, places.astype(np.int32)))
    parts = []
    for first, step, count in stretches:
        if step == 0:
            shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            dims = tuple(range(x.ndim))
            one = slicing.part(x, axis, first, first + 1)
            parts.append(broadcast_in_dim(one, shape=shape, broadcast_dimensions=dims, sharding=None))
        elif step > 0:
            parts.append(slicing.part(x, axis, first, first + count))
        else:
            parts.append(slicing.rev(slicing.part(x, axis, first - count + 1, first + 1), dimensions=(axis,)))
    return joined("pad", parts, axis)


def _stretches(places: Sequence[int] | np.ndarray) -> list[tuple[int, int, int]]:
    """(first, step, count) of the stretches a map of places consists of, their step 0, 1 or -1."""
    found: list[tuple[int, int, int]] = []
    for p in map(int, places):
        if found:
            first, step, count = found[-1]
            last = first + step * (count - 1)
            if count == 1 and p - last in (-1, 0, 1):
                found[-1] = (first, p - last, 2)
                continue
            if count > 1 and p - last == step:
                found[-1] = (first, step, count + 1)
                continue
        found.append((p, 1, 1))
    return found


def _odd(x: Array, axis: int, pair: tuple[int, int], mode: str) -> Array:
    """Mirrored and turned over: beyond an edge e the values are 2 e - x, and so on beyond their edges."""
    n = x.shape[axis]
    even = _stretched(x, axis, _map(n, pair, mode))
    if n == 1 and mode == "reflect":
        return even
    period = 2 * n - 2 if mode == "reflect" else 2 * n
    laps, rest = np.divmod(np.arange(-pair[0], n + pair[1]), period)
    shape = [1] * x.ndim
    shape[axis] = laps.size
    back = (rest >= n).reshape(shape)
    first, last = _edge(x, axis, 0), _edge(x, axis, n - 1)
    sign = np.where(back, -1, 1).astype(x.dtype)
    rise = subtract(last, first)
    base = add(
        multiply(rise, (2 * laps).reshape(shape).astype(x.dtype)), multiply(last, np.where(back, 2, 0).astype(x.dtype))
    )
    return add(multiply(even, sign), base)


def _pad_with(x: Array, widths: Widths, function: Callable[..., Any], options: dict[str, Any]) -> Array:
    x = _constant(x, widths, 0)
    for d in range(x.ndim):
        x = apply_along_axis(lambda v, d=d: function(v, widths[d], d, options), d, x)
    return x
