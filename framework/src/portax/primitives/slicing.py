"""Cutting arrays apart at places known beforehand, and joining them: pad, slice, concatenate, split, rev.

The family is closed under transposition: what a slice cuts out its adjoint pads, what is joined is cut apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.broadcasting import broadcast_in_dim, reduce_sum, reshape, squeeze
from portax.primitives.comparison import select_n
from portax.primitives.zeros import zero, zeros

Shape = tuple[int, ...]
_TRUE, _FALSE = np.array(True), np.array(False)


def spread(x: Any, batched: bool, size: int) -> Any:
    """``x`` with a batch axis at 0."""
    if batched:
        return x
    aval = aval_of(x)
    return broadcast_in_dim(x, shape=(size, *aval.shape), broadcast_dimensions=tuple(range(1, aval.ndim + 1)))


def batch_size(batched: Sequence[bool], operands: Sequence[Any]) -> int:
    return next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)


class Pad(Primitive):
    """``operand`` with ``padding_value`` around and between its elements.

    ``out[low + i * (interior + 1)] = operand[i]``; a negative low or high cuts elements off.

    Parameters
    ----------
    operand : Array, any dtype
    padding_value : scalar Array of the same dtype
    padding_config : tuple of (low, high, interior), static, one for each axis; ``interior >= 0``

    Returns
    -------
    Array; an axis of length n has ``low + high + n + max(n - 1, 0) * interior``, which must not be negative
    """

    name = "pad"
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0, 1)

    def shape(self, x: Aval, value: Aval, *, padding_config: Any) -> Shape:
        if value.ndim:
            raise ShapeError(wrong=f"pad needs a scalar to fill with, got {value}", fix="Give an array of shape ()")
        if len(padding_config) != x.ndim or any(interior < 0 for _, _, interior in padding_config):
            raise ShapeError(
                wrong=f"pad needs (low, high, interior) with interior >= 0 for each axis of x: {x}, "
                f"got {tuple(padding_config)}",
                fix=f"Give {x.ndim} such triples",
            )
        shape = tuple(
            [lo + hi + n + max(n - 1, 0) * mid for n, (lo, hi, mid) in zip(x.shape, padding_config, strict=True)]
        )
        if any(n < 0 for n in shape):
            raise ShapeError(
                wrong=f"pad cuts more off than there is: x: {x} with {tuple(padding_config)} would have shape {shape}",
                fix="Give low and high that leave no axis a negative length",
            )
        return shape

    def dtype(self, x: Aval, value: Aval, **_: Any) -> Any:
        if x.dtype != value.dtype:
            raise DtypeError(
                wrong=f"pad needs operands of one dtype, got {x} and {value}", fix="Convert the padding value"
            )
        return x.dtype

    def reference(self, x: np.ndarray, value: np.ndarray, *, padding_config: Any) -> np.ndarray:
        shape, into, source = [], [], []
        for n, (lo, hi, mid) in zip(x.shape, padding_config, strict=True):
            step = mid + 1
            length = lo + hi + n + max(n - 1, 0) * mid
            first = -(lo // step) if lo < 0 else 0  # the first element that is not cut off
            last = min(n, (length - lo + mid) // step)
            shape.append(length)
            source.append(slice(first, max(last, first)))
            into.append(slice(lo + first * step, lo + first * step + max(last - first, 0) * step, step))
        out = np.full(shape, value, x.dtype)
        if out.size:
            out[tuple(into)] = x[tuple(source)]
        return out

    def transpose(self, ct: Any, x: Any, value: Any, *, padding_config: Any) -> tuple[Any, Any]:
        aval = x.aval if type(x) is Undefined else aval_of(x)
        back_x = back_value = None
        if type(x) is Undefined:
            cut = tuple((-lo, -hi, 0) for lo, hi, _ in padding_config)
            back_x = pad(ct, zero(aval.dtype), padding_config=cut)
            if any(mid for _, _, mid in padding_config):
                back_x = slice_(
                    back_x,
                    start_indices=(0,) * aval.ndim,
                    limit_indices=back_x.shape,
                    strides=tuple(mid + 1 for _, _, mid in padding_config),
                )
        if type(value) is Undefined:
            outside = select_n(_inside(aval.shape, padding_config), ct, zeros(aval_of(ct)))
            back_value = reduce_sum(outside, axes=tuple(range(aval.ndim)))
        return back_x, back_value

    def batch(self, batched: Any, x: Any, value: Any, *, padding_config: Any) -> Any:
        config = ((0, 0, 0), *padding_config)
        if not batched[1]:
            return pad(x, value, padding_config=config)
        size = batch_size(batched, (x, value))
        x = spread(x, batched[0], size)
        dtype = aval_of(x).dtype
        # What fills it at first is seen nowhere, so any value will do; keys have no zero.
        if not dtypes.is_key(dtype):
            any_value = zero(dtype)
        elif size:
            any_value = _first(value)
        else:  # nor is there one among none, and there is nothing to fill
            shape = self.shape(aval_of(x), Aval((), dtype), padding_config=config)
            return reshape(x, new_sizes=shape, dimensions=None)
        out = pad(x, any_value, padding_config=config)
        fill = broadcast_in_dim(value, shape=out.shape, broadcast_dimensions=(0,))
        return select_n(_inside(x.shape, config), fill, out)

    def stablehlo(self, b: Any, x: Any, value: Any, *, padding_config: Any) -> Any:
        return b.pad(x, value, padding_config)

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3)), make(()), padding_config=((1, 2, 0), (0, 1, 0)), id="around")
        yield Sample(make((3, 2)), make(()), padding_config=((0, 0, 2), (1, 0, 1)), id="between")
        yield Sample(make((4, 3)), make(()), padding_config=((-1, 2, 0), (1, -2, 0)), id="cut")
        yield Sample(make((5,)), make(()), padding_config=((-3, -2, 2),), id="cut-between")
        yield Sample(make((2,)), make(()), padding_config=((-1, 3, 1),), id="cut-and-between")
        yield Sample(make((0, 2)), make(()), padding_config=((2, 1, 3), (0, 0, 0)), id="empty")
        yield Sample(make((3,)), make(()), padding_config=((-3, 0, 0),), id="to-empty")
        yield Sample(make((2,)), make(()), padding_config=((4, -5, 0),), id="all-cut")
        yield Sample(make(()), make(()), padding_config=(), id="scalar")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2,)), make((2,)), padding_config=((0, 1, 0),)), ShapeError, "scalar to fill with")
        yield Refusal(Sample(make((2,)), make(()), padding_config=((-2, -1, 0),)), ShapeError, "more off than there is")
        yield Refusal(Sample(make((2,)), make(()), padding_config=((0, 0, -1),)), ShapeError, "interior >= 0")


def _first(x: Any) -> Any:
    """The first element of an array of rank 1."""
    return squeeze(slice_(x, start_indices=(0,), limit_indices=(1,), strides=None), dimensions=(0,))


def _inside(shape: Shape, config: Any) -> Any:
    """Where a pad with ``config`` puts elements, not padding."""
    return pad(broadcast_in_dim(_TRUE, shape=shape, broadcast_dimensions=()), _FALSE, padding_config=config)


class Slice(Primitive):
    """``operand[start:limit:stride, ...]``.

    Parameters
    ----------
    operand : Array, any dtype
    start_indices, limit_indices : tuple of int, static, ``0 <= start <= limit <= length`` for each axis
    strides : tuple of positive int, or None for all 1, static

    Returns
    -------
    Array; an axis has length ``ceil((limit - start) / stride)``
    """

    name = "slice"
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0,)

    def shape(self, x: Aval, *, start_indices: Any, limit_indices: Any, strides: Any) -> Shape:
        steps = (1,) * x.ndim if strides is None else strides
        if not len(start_indices) == len(limit_indices) == len(steps) == x.ndim:
            raise ShapeError(
                wrong=f"slice needs a start, a limit and a stride for each axis of x: {x}, got {tuple(start_indices)}, "
                f"{tuple(limit_indices)}, {strides}",
                fix=f"Give {x.ndim} of each",
            )
        shape = []
        for n, start, limit, step in zip(x.shape, start_indices, limit_indices, steps, strict=True):
            if not 0 <= start <= limit <= n:
                raise ShapeError(
                    wrong=f"slice cannot take {start}:{limit} of an axis of length {n} in x: {x}",
                    fix="Give 0 <= start <= limit <= length",
                )
            if step < 1:
                raise ShapeError(wrong=f"slice cannot step by {step}", fix="Give positive strides, and use rev")
            shape.append((limit - start + step - 1) // step)
        return tuple(shape)

    def dtype(self, x: Aval, **_: Any) -> Any:
        return x.dtype

    def reference(self, x: np.ndarray, *, start_indices: Any, limit_indices: Any, strides: Any) -> np.ndarray:
        return x[tuple(map(slice, start_indices, limit_indices, strides or (1,) * x.ndim))]

    def transpose(self, ct: Any, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
        config = []
        for n, m, start, step in zip(x.shape, ct.shape, start_indices, strides or (1,) * x.ndim, strict=True):
            end = start + (1 + (m - 1) * step if m else 0)
            config.append((start, n - end, step - 1))
        return pad(ct, zero(ct.dtype), padding_config=tuple(config))

    def batch(self, batched: Any, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
        return slice_(
            x,
            start_indices=(0, *start_indices),
            limit_indices=(x.shape[0], *limit_indices),
            strides=None if strides is None else (1, *strides),
        )

    def stablehlo(self, b: Any, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
        return b.slice(x, start_indices, limit_indices, strides)

    def samples(self, make: Any) -> Any:
        yield Sample(make((4, 5)), start_indices=(1, 0), limit_indices=(3, 5), strides=None, id="rows")
        yield Sample(make((7, 5)), start_indices=(1, 0), limit_indices=(6, 5), strides=(2, 3), id="strides")
        yield Sample(make((7,)), start_indices=(0,), limit_indices=(7,), strides=(4,), id="uneven")
        yield Sample(make((3, 2)), start_indices=(2, 0), limit_indices=(2, 2), strides=(2, 1), id="to-empty")
        yield Sample(make(()), start_indices=(), limit_indices=(), strides=None, id="scalar")

    def refusals(self, make: Any) -> Any:
        bad = Sample(make((4,)), start_indices=(1,), limit_indices=(5,), strides=None)
        yield Refusal(bad, ShapeError, "cannot take 1:5 of an axis of length 4")
        bad = Sample(make((4,)), start_indices=(1,), limit_indices=(3,), strides=(0,))
        yield Refusal(bad, ShapeError, "cannot step by 0")
        bad = Sample(make((4, 2)), start_indices=(1,), limit_indices=(3,), strides=None)
        yield Refusal(bad, ShapeError, "for each axis")


class Concatenate(Primitive):
    """``operands`` joined along ``dimension``, in order.

    Parameters
    ----------
    *operands : Arrays of one dtype, whose shapes are equal but for ``dimension``
    dimension : int, static

    Returns
    -------
    Array
    """

    name = "concatenate"
    dtypes = (*Primitive.dtypes, "key")
    required = True

    def shape(self, *xs: Aval, dimension: int) -> Shape:
        if not xs:
            raise ShapeError(wrong="concatenate was given nothing to join", fix="Give at least one array")
        first = xs[0].shape
        if not 0 <= dimension < len(first):
            raise ShapeError(
                wrong=f"concatenate has no axis {dimension} in {xs[0]}", fix=f"Give 0 <= dimension < {len(first)}"
            )
        rest = first[:dimension], first[dimension + 1 :]
        total = 0
        for x in xs:
            if len(x.shape) != len(first) or (x.shape[:dimension], x.shape[dimension + 1 :]) != rest:
                raise ShapeError(
                    wrong=f"concatenate cannot join {', '.join(map(str, xs))} along axis {dimension}",
                    fix="All other axes must have equal lengths",
                )
            total += x.shape[dimension]
        return (*rest[0], total, *rest[1])

    def dtype(self, *xs: Aval, dimension: int) -> Any:
        if any(x.dtype != xs[0].dtype for x in xs):
            raise DtypeError(
                wrong=f"concatenate needs operands of one dtype, got {', '.join(map(str, xs))}",
                fix="Convert them with .astype, or use the function of portax.numpy, which promotes",
            )
        return xs[0].dtype

    def reference(self, *xs: np.ndarray, dimension: int) -> np.ndarray:
        return np.concatenate(xs, axis=dimension)

    def jvp(self, primals: Any, tangents: Any, *, dimension: int) -> Any:
        out = concatenate(*primals, dimension=dimension)
        if all(t is None for t in tangents):
            return out, None
        moved = [
            zeros(aval_of(x).strip_weak_type()) if t is None else t for x, t in zip(primals, tangents, strict=True)
        ]
        return out, concatenate(*moved, dimension=dimension)

    def transpose(self, ct: Any, *xs: Any, dimension: int) -> tuple[Any, ...]:
        back: list[Any] = []
        start = 0
        for x in xs:
            shape = x.aval.shape if type(x) is Undefined else aval_of(x).shape
            stop = start + shape[dimension]
            back.append(part(ct, dimension, start, stop) if type(x) is Undefined else None)
            start = stop
        return tuple(back)

    def batch(self, batched: Any, *xs: Any, dimension: int) -> Any:
        size = batch_size(batched, xs)
        return concatenate(
            *(spread(x, b, size) for x, b in zip(xs, batched, strict=True)), dimension=dimension + 1
        )

    def stablehlo(self, b: Any, *xs: Any, dimension: int) -> Any:
        # Empty operands stay out: jaxlib 0.10 aborts in simplifying a slice of a concatenation that has one.
        return b.concatenate([x for x in xs if x.aval.size] or xs, dimension)

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3)), make((1, 3)), dimension=0, id="two")
        yield Sample(make((2, 1)), make((2, 0)), make((2, 3)), dimension=1, id="three")
        yield Sample(make((4,)), dimension=0, id="one")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2, 3)), make((1, 2)), dimension=0), ShapeError, "cannot join")
        yield Refusal(Sample(make((2,)), dimension=1), ShapeError, "concatenate has no axis 1")


def part(x: Any, axis: int, start: int, stop: int) -> Any:
    """``x[start:stop]`` along ``axis``."""
    shape = x.shape
    if start == 0 and stop == shape[axis]:
        return x
    starts, limits = [0] * len(shape), list(shape)
    starts[axis], limits[axis] = start, stop
    return slice_(x, start_indices=tuple(starts), limit_indices=tuple(limits), strides=None)


class Split(Primitive):
    """``operand`` cut along ``axis`` into parts of ``sizes``; the inverse of concatenate.

    Parameters
    ----------
    operand : Array, any dtype
    sizes : tuple of int, static, adding up to the length of ``axis``
    axis : int, static

    Returns
    -------
    list of Array
    """

    name = "split"
    dtypes = (*Primitive.dtypes, "key")
    multiple_results = True
    linear_in = (0,)

    def abstract(self, x: Aval, *, sizes: Any, axis: int) -> list[Aval]:
        if not 0 <= axis < x.ndim:
            raise ShapeError(wrong=f"split has no axis {axis} in x: {x}", fix=f"Give 0 <= axis < {x.ndim}")
        if sum(sizes) != x.shape[axis] or any(s < 0 for s in sizes):
            raise ShapeError(
                wrong=f"split cannot cut axis {axis} of x: {x} into parts of {tuple(sizes)}",
                fix=f"Give sizes that add up to {x.shape[axis]}",
            )
        return [x.update(shape=(*x.shape[:axis], s, *x.shape[axis + 1 :])) for s in sizes]

    def reference(self, x: np.ndarray, *, sizes: Any, axis: int) -> list[np.ndarray]:
        return np.split(x, np.cumsum(sizes[:-1]), axis) if sizes else []

    def transpose(self, ct: Any, x: Any, *, sizes: Any, axis: int) -> Any:
        aval = x.aval.strip_weak_type()
        parts = [
            zeros(aval.update(shape=(*aval.shape[:axis], s, *aval.shape[axis + 1 :]))) if c is None else c
            for c, s in zip(ct, sizes, strict=True)
        ]
        return concatenate(*parts, dimension=axis)

    def batch(self, batched: Any, x: Any, *, sizes: Any, axis: int) -> Any:
        return split(x, sizes=sizes, axis=axis + 1), [True] * len(sizes)

    def decompose(self, x: Any, *, sizes: Any, axis: int) -> list[Any]:
        parts, start = [], 0
        for s in sizes:
            parts.append(part(x, axis, start, start + s))
            start += s
        return parts

    def samples(self, make: Any) -> Any:
        yield Sample(make((5, 2)), sizes=(2, 0, 3), axis=0, id="uneven")
        yield Sample(make((2, 4)), sizes=(2, 2), axis=1, id="even")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((5,)), sizes=(2, 2), axis=0), ShapeError, "into parts of (2, 2)")
        yield Refusal(Sample(make((5,)), sizes=(5,), axis=1), ShapeError, "split has no axis 1")


class Rev(Primitive):
    """``operand`` backwards along ``dimensions``.

    Parameters
    ----------
    operand : Array, any dtype
    dimensions : tuple of int, static, distinct

    Returns
    -------
    Array of the shape and dtype of ``operand``
    """

    name = "rev"
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0,)

    def shape(self, x: Aval, *, dimensions: Any) -> Shape:
        if any(not 0 <= d < x.ndim for d in dimensions) or len(set(dimensions)) != len(dimensions):
            raise ShapeError(
                wrong=f"rev cannot reverse axes {tuple(dimensions)} of x: {x}", fix=f"Name distinct axes below {x.ndim}"
            )
        return x.shape

    def dtype(self, x: Aval, *, dimensions: Any) -> Any:
        return x.dtype

    def reference(self, x: np.ndarray, *, dimensions: Any) -> np.ndarray:
        return np.flip(x, dimensions)

    def transpose(self, ct: Any, x: Any, *, dimensions: Any) -> Any:
        return rev(ct, dimensions=dimensions)

    def batch(self, batched: Any, x: Any, *, dimensions: Any) -> Any:
        return rev(x, dimensions=tuple(d + 1 for d in dimensions))

    def stablehlo(self, b: Any, x: Any, *, dimensions: Any) -> Any:
        return b.reverse(x, dimensions)

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3)), dimensions=(1,), id="one")
        yield Sample(make((2, 3, 2)), dimensions=(2, 0), id="two")
        yield Sample(make((0,)), dimensions=(0,), id="empty")
        yield Sample(make((2,)), dimensions=(), id="none")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((5,)), dimensions=(1,)), ShapeError, "cannot reverse axes (1,)")


pad = registry.add(Pad())
slice_ = registry.add(Slice())
concatenate = registry.add(Concatenate())
split = registry.add(Split())
rev = registry.add(Rev())
