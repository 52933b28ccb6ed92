"""Operations that move elements: each says where an element of its result comes from.

None of them costs a pass over memory. A result outside every source (padding, an index out of range) is a select
between the element at the nearest place there is and the filling, so that nothing outside a buffer is ever read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.backend.kernels import nest, scalars
from portax.backend.kernels.emit import Emitter, numbers_of, rule
from portax.backend.kernels.indexes import Index, Indices, Place, place
from portax.backend.kernels.nest import Element, Scalar
from portax.backend.kernels.program import Value
from portax.core import dtypes
from portax.core.aval import Aval
from portax.primitives.indexing import CLIP, FILL_OR_DROP, ONE_HOT, default_fill
from portax.runtime.lowering import decomposition


def _operation(value: Value) -> tuple[list[Value], dict[str, Any]]:
    assert value.source is not None
    return value.source.operands, value.source.params


def _both(em: Emitter, tests: list[Scalar | None]) -> Scalar | None:
    found: Scalar | None = None
    for t in tests:
        if t is not None:
            found = t if found is None else em.op("and", scalars.BOOL, found, t)
    return found


def _choose(em: Emitter, inside: Scalar | None, there: Element, filling: Element) -> Element:
    if inside is None:
        return there
    return tuple(em.select(inside, a, b) for a, b in zip(there, filling, strict=True))


@rule("broadcast_in_dim")
def _broadcast_in_dim(em: Emitter, value: Value, indices: Indices) -> Element:
    (x, *_), params = _operation(value)
    at = [Index() if n == 1 else indices[d] for n, d in zip(x.shape, params["broadcast_dimensions"], strict=True)]
    return em.element(x, tuple(at))


@rule("reshape")
def _reshape(em: Emitter, value: Value, indices: Indices) -> Element:
    (x, *_), params = _operation(value)
    if type(indices) is Place:
        return em.element(x, indices if x.shape else ())
    order = params.get("dimensions")
    if order is None:
        return em.element(x, em.indices_of(place(indices, value.shape), x.shape))
    turned = em.indices_of(place(indices, value.shape), [x.shape[d] for d in order])
    return em.element(x, tuple(turned[list(order).index(d)] for d in range(len(x.shape))))


@rule("squeeze")
def _squeeze(em: Emitter, value: Value, indices: Indices) -> Element:
    (x,), params = _operation(value)
    kept = iter(indices)
    gone = {d % len(x.shape) for d in params["dimensions"]}
    return em.element(x, tuple(Index() if d in gone else next(kept) for d in range(len(x.shape))))


@rule("transpose")
def _transpose(em: Emitter, value: Value, indices: Indices) -> Element:
    (x,), params = _operation(value)
    permutation = list(params["permutation"])
    return em.element(x, tuple(indices[permutation.index(d)] for d in range(len(permutation))))


@rule("slice")
def _slice(em: Emitter, value: Value, indices: Indices) -> Element:
    (x,), params = _operation(value)
    steps = params["strides"] or (1,) * len(indices)
    return em.element(x, tuple(i * k + s for i, k, s in zip(indices, steps, params["start_indices"], strict=True)))


@rule("rev")
def _rev(em: Emitter, value: Value, indices: Indices) -> Element:
    (x,), params = _operation(value)
    turned = [i * -1 + (n - 1) if d in params["dimensions"] else i for d, (i, n) in enumerate(zip(indices, x.shape))]
    return em.element(x, tuple(turned))


@rule("iota")
def _iota(em: Emitter, value: Value, indices: Indices) -> Element:
    _, params = _operation(value)
    return scalars.convert(em, (em.number(indices[params["dimension"]], value.dtype),), value.dtype)


@rule("pad")
def _pad(em: Emitter, value: Value, indices: Indices) -> Element:
    (x, filling), params = _operation(value)
    fill = em.element(filling, ())
    tests: list[Scalar | None] = []
    at: list[Index] = []
    for index, n, (low, _, between) in zip(indices, x.shape, params["padding_config"], strict=True):
        if not n:
            return fill
        moved = index + -low
        last = (n - 1) * (between + 1)
        tests.append(em.within(moved, 0, last + 1))
        moved = em.clamped(moved, 0, last)
        if between:
            moved, rest = em.divmod(moved, between + 1)
            tests.append(em.within(rest, 0, 1))
        at.append(moved)
    return _choose(em, _both(em, tests), em.element(x, tuple(at)), fill)


@rule("concatenate")
def _concatenate(em: Emitter, value: Value, indices: Indices) -> Element:
    xs, params = _operation(value)
    d = params["dimension"]
    index, start, found = indices[d], 0, None
    for x in xs:
        n = x.shape[d]
        if not n or index.high < start or index.low >= start + n:
            start += n
            continue
        at = em.clamped(index + -start, 0, n - 1)
        here = em.element(x, (*indices[:d], at, *indices[d + 1 :]))
        found = here if found is None else _choose(em, em.within(index, start, value.shape[d]), here, found)
        start += n
    assert found is not None
    return found


def _starts(em: Emitter, starts: list[Value], limits: list[int]) -> list[Index]:
    """Where a window starts, moved inside."""
    return [em.as_index(em.element(s, ())[0], 0, most) for s, most in zip(starts, limits, strict=True)]


@rule("dynamic_slice")
def _dynamic_slice(em: Emitter, value: Value, indices: Indices) -> Element:
    (x, *starts), params = _operation(value)
    first = _starts(em, starts, [n - k for n, k in zip(x.shape, params["slice_sizes"], strict=True)])
    return em.element(x, tuple(i + s for i, s in zip(indices, first, strict=True)))


@rule("dynamic_update_slice")
def _dynamic_update_slice(em: Emitter, value: Value, indices: Indices) -> Element:
    (x, update, *starts), _ = _operation(value)
    if 0 in update.shape:
        return em.element(x, indices)
    first = _starts(em, starts, [n - k for n, k in zip(x.shape, update.shape, strict=True)])
    moved = [i + s * -1 for i, s in zip(indices, first, strict=True)]
    inside = _both(em, [em.within(i, 0, n) for i, n in zip(moved, update.shape, strict=True)])
    fresh = em.element(update, tuple(em.clamped(i, 0, n - 1) for i, n in zip(moved, update.shape, strict=True)))
    return fresh if inside is None else _choose(em, inside, fresh, em.element(x, indices))


@rule("gather")
def _gather(em: Emitter, value: Value, indices: Indices) -> Element:
    (x, vectors), params = _operation(value)
    d, sizes, mode = params["dimension_numbers"], params["slice_sizes"], params["mode"]
    gone = {*d.collapsed_slice_dims, *d.operand_batching_dims}
    window = dict(zip([a for a in range(len(x.shape)) if a not in gone], [indices[a] for a in d.offset_dims]))
    lead = [i for a, i in enumerate(indices) if a not in d.offset_dims]
    paired = dict(zip(d.operand_batching_dims, d.start_indices_batching_dims))
    tests: list[Scalar | None] = []
    at: list[Index] = []
    fill = params.get("fill_value")
    filling = 0 if mode is ONE_HOT else default_fill(value.dtype) if fill is None else fill
    outside = mode in (FILL_OR_DROP, ONE_HOT)
    component = {a: k for k, a in enumerate(d.start_index_map)}
    for a, n in enumerate(x.shape):
        start = Index()
        if a in component:
            (given,) = em.element(vectors, (*lead, Index((), component[a])))
            most = n - sizes[a]
            if outside:
                tests.append(_in_bounds(em, given, most))
            start = em.as_index(given, 0, max(most, 0))
        elif a in paired:
            start = lead[paired[a]]
        at.append(start + window[a] if a in window else start)
    if 0 in x.shape:
        return _filled(em, filling, value.dtype)
    inside = _both(em, tests)
    there = em.element(x, tuple(at))
    return there if inside is None else _choose(em, inside, there, _filled(em, filling, value.dtype))


def _in_bounds(em: Emitter, given: Scalar, most: int) -> Scalar:
    """Whether ``0 <= given <= most``."""
    if most < 0:
        return em.literal(False, scalars.BOOL)
    info = np.iinfo(given.dtype)
    low = em.op("ge", scalars.BOOL, given, em.literal(0, given.dtype)) if info.min < 0 else None
    high = em.op("le", scalars.BOOL, given, em.literal(most, given.dtype)) if most < info.max else None
    return _both(em, [low, high]) or em.literal(True, scalars.BOOL)


def _filled(em: Emitter, filling: Any, dtype: Any) -> Element:
    number, count = numbers_of(dtype)
    if dtypes.is_complex(dtype):
        z = complex(filling)
        return em.literal(z.real, number), em.literal(z.imag, number)
    return (em.literal(filling, number),) * count


assert CLIP is not None  # the mode that needs no test: the nearest window is read


@rule("bitcast_convert_type")
def _bitcast_convert_type(em: Emitter, value: Value, indices: Indices) -> Element:
    (x,), _ = _operation(value)
    old, new = numbers_of(x.dtype), numbers_of(value.dtype)
    old_bits, new_bits = (8 * dtype.itemsize * count for dtype, count in (old, new))
    if old_bits == new_bits:
        element = em.element(x, indices if x.shape else ())
        if old[1] == new[1]:
            return tuple(scalars.bitcast(em, part, new[0]) for part in element)
        return _regrouped(em, element, new[0])
    if old_bits > new_bits:
        *outer, which = indices
        pieces = _regrouped(em, em.element(x, tuple(outer)), new[0])
        found = pieces[0]
        for k, piece in enumerate(pieces[1:], 1):
            at = em.within(which, k, len(pieces)) if which.terms else None
            if at is not None:
                found = em.select(at, piece, found)
            elif which.low >= k:
                found = piece
        return (found,)
    ratio = new_bits // old_bits
    parts = [em.element(x, (*indices, Index((), k)))[0] for k in range(ratio)]
    return _regrouped(em, tuple(parts), new[0])


def _regrouped(em: Emitter, parts: Element, dtype: Any) -> Element:
    """The bits of some numbers, lowest first, as numbers of another width."""
    old, new = 8 * parts[0].dtype.itemsize, 8 * dtype.itemsize
    small, wide = np.dtype(f"uint{min(old, new)}"), np.dtype(f"uint{max(old, new)}")
    if old > new:
        out = []
        for part in parts:
            bits = scalars.bitcast(em, part, wide)
            for k in range(old // new):
                moved = em.op("shift_right_logical", wide, bits, em.literal(k * new, wide)) if k else bits
                out.append(scalars.bitcast(em, em.op("convert", small, moved), dtype))
        return tuple(out)
    out = []
    ratio = new // old
    for first in range(0, len(parts), ratio):
        total = None
        for k in range(ratio):
            bits = em.op("convert", wide, scalars.bitcast(em, parts[first + k], small))
            bits = em.op("shift_left", wide, bits, em.literal(k * old, wide)) if k else bits
            total = bits if total is None else em.op("or", wide, total, bits)
        assert total is not None
        out.append(scalars.bitcast(em, total, dtype))
    return tuple(out)


@rule("threefry2x32")
def _threefry2x32(em: Emitter, value: Value, indices: Indices) -> Element:
    """Its rounds are a program of scalars with two results, which know of each other."""
    op = value.source
    assert op is not None
    xs = [em.element(x, indices if x.shape else ()) for x in op.operands]
    closed = decomposition(op.primitive, [Aval((), x.dtype) for x in op.operands], op.params)
    outs = em.run_scalars(closed, xs)
    known = nest.scope_of(indices, em.root).known
    for result, out in zip(op.results, outs, strict=True):
        known[(result.number, *(i.key for i in indices))] = out
    return outs[op.results.index(value)]
