"""Sums and their like: reductions over axes, and contractions.

A long reduction along the axis that lies together in memory keeps as many partial results as the dialect has lanes and
joins them in a tree; a compiler may then compute lanes at once without changing a bit. A reduction along another axis
keeps one result for each of a block of neighbours, and runs through their rows together. Which of the two is chosen
depends on shapes alone, so every device adds in the same order.

A reduction may stand inside another kernel's loops, where what it gives is needed once: so softmax is one kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from portax.backend.kernels import nest, scalars
from portax.backend.kernels.emit import Emitter, numbers_of, rule
from portax.backend.kernels.indexes import ZERO, Atom, Index, Indices
from portax.backend.kernels.nest import Assign, Element, Loop, Scope, Variable, loop_atom
from portax.backend.kernels.program import Value
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import registry
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset, needs_rounding, steps_of

Combine = Callable[[Emitter, Element, Element], Element]
Body = Callable[[Indices, Indices], Element]


class InLanes(Exception):
    """A reduction stands in the innermost loop: the kernel is to be written with blocks of lanes."""


#: How many rows a block takes in before its results go back to memory. They are added one after the other all the same.
_AT_ONCE = 4
#: Below so many elements a reduction inside another kernel may be done by every work-item anew.
_AGAIN = 1024


def elsewhere(em: Emitter, value: Value, indices: Indices, elements: int) -> bool:
    """Whether a reduction is to be computed by another kernel: here it would be computed more than once."""
    if value.number in em.own:
        return False
    scope = nest.scope_of(indices, em.root)
    return scope.times > max(value.size, 1) or (scope is em.root and em.divided and elements > _AGAIN)


def accumulate(
    em: Emitter, indices: Indices, extents: Sequence[int], start: Element, body: Body, combine: Combine, along: bool
) -> Element:
    """Combine the elements ``body(indices, ks)`` for all ``ks`` within ``extents``.

    Parameters
    ----------
    start : the result where there are none
    along : bool
        The last of the extents lies together in memory, rather than the last of the indices.
    """
    scope = nest.scope_of(indices, em.root)
    if not math.prod(extents):
        return start
    lanes = em.functions.dialect.lanes
    if along and extents and extents[-1] >= 2 * lanes:
        return _in_partials(em, scope, indices, extents, start, body, combine, lanes)
    lane = next((a for i in indices for a, _ in i.terms if a.lane), None)
    if em.may_block and not along and scope is em.innermost and math.prod(extents) > 1:
        raise InLanes
    if lane is not None and not along and math.prod(extents) > 1:
        block = lane.scope.parent
        known = {a.scope.depth for i in indices for a, _ in i.terms if a is not lane}
        if block is not None and lane.scope is scope and max(known, default=0) <= block.depth:
            return _in_block(em, block, lane, indices, extents, start, body, combine)
    accs = [em.variable(scope, x) for x in start]
    inner, ks, close = _loops(em, scope, extents, _rounds(start))
    _step(em, inner, [a.text for a in accs], [a.dtype for a in accs], body(indices, ks), combine)
    close()
    return tuple(em.read(a.text, a.dtype, scope) for a in accs)


def _step(em: Emitter, inner: Scope, names: list[str], kinds: list[Any], x: Element, combine: Combine) -> None:
    now = tuple(em.read(name, dtype, inner) for name, dtype in zip(names, kinds, strict=True))
    then = combine(em, now, x)
    for name, new in zip(names, then, strict=True):
        if new.text != name:
            inner.body.append(Assign(name, new.text))


def _rounds(start: Element) -> bool:
    """Whether the order matters in which it is added to."""
    return any(dtypes.is_float(x.dtype) for x in start)


def _loops(
    em: Emitter, scope: Scope, extents: Sequence[int], serial: bool
) -> tuple[Scope, Indices, Callable[[], None]]:
    """Nested loops inside a scope: the innermost body, the indices, and what closes them."""
    opened: list[tuple[Scope, Atom, int]] = []
    ks: list[Index] = []
    inner = scope
    for n in extents:
        if n == 1:
            ks.append(ZERO)
            continue
        inner = Scope(inner, n)
        atom = loop_atom(em.names("k"), n, inner)
        opened.append((inner, atom, n))
        ks.append(Index([(atom, 1)]))

    def close() -> None:
        for body, atom, n in reversed(opened):
            assert body.parent is not None
            body.parent.body.append(Loop(atom.name, "0", str(n), body.body, serial=serial))

    if inner is scope:  # one element: a scope of its own all the same, since variables change in it
        inner = Scope(scope)

        def close() -> None:
            scope.body.extend(inner.body)

    return inner, tuple(ks), close


def _in_partials(
    em: Emitter, scope: Scope, indices: Indices, extents: Sequence[int], start: Element, body: Body, combine: Combine,
    lanes: int,
) -> Element:  # fmt: skip
    """Lane ``l`` takes the elements ``l``, ``l + lanes``, ... of the last axis; then the lanes are joined in a tree."""
    names = [em.names("p") for _ in start]
    kinds = [x.dtype for x in start]
    for name, x in zip(names, start, strict=True):
        scope.body.append(Variable(name, x.dtype, x.text, lanes))
    serial = _rounds(start)
    outer, ks, close = _loops(em, scope, extents[:-1], serial)
    n = extents[-1]
    whole = n // lanes

    def turn(parent: Scope, count: int, first: Index) -> None:
        inner = Scope(parent, count)
        atom = loop_atom(em.names("l"), count, inner)
        x = body(indices, (*ks, first + Index([(atom, 1)])))
        _step(em, inner, [f"{name}[{atom.name}]" for name in names], kinds, x, combine)
        parent.body.append(Loop(atom.name, "0", str(count), inner.body))

    blocks = Scope(outer, whole)
    block = loop_atom(em.names("k"), whole, blocks)
    turn(blocks, lanes, Index([(block, lanes)]))
    outer.body.append(Loop(block.name, "0", str(whole), blocks.body, serial=serial))
    if n % lanes:
        turn(outer, n % lanes, Index((), whole * lanes))
    close()
    width = lanes // 2
    while width:
        inner = Scope(scope, width)
        atom = em.names("l")
        far = tuple(em.read(f"{name}[{atom} + {width}]", kind, inner) for name, kind in zip(names, kinds, strict=True))
        _step(em, inner, [f"{name}[{atom}]" for name in names], kinds, far, combine)
        scope.body.append(Loop(atom, "0", str(width), inner.body))
        width //= 2
    return tuple(em.read(f"{name}[0]", kind, scope) for name, kind in zip(names, kinds, strict=True))


def _in_block(
    em: Emitter, block: Scope, lane: Atom, indices: Indices, extents: Sequence[int], start: Element, body: Body,
    combine: Combine,
) -> Element:  # fmt: skip
    """One result for each lane of the block, all of them carried through the reduction together."""
    count = lane.high + 1
    names = [em.names("p") for _ in start]
    kinds = [x.dtype for x in start]
    for name, x in zip(names, start, strict=True):
        block.body.append(Variable(name, x.dtype, x.text, count))
    serial = _rounds(start)
    outer, ks, close = _loops(em, block, extents[:-1], serial)
    n = extents[-1]

    def turn(parent: Scope, steps: Sequence[Index]) -> None:
        inner = Scope(parent, count)
        atom = loop_atom(em.names("l"), count, inner, lane=True)
        at = tuple(i.renamed(lane, atom) for i in indices)
        now = tuple(em.read(f"{name}[{atom.name}]", kind, inner) for name, kind in zip(names, kinds, strict=True))
        for k in steps:
            now = combine(em, now, body(at, (*ks, k)))
        inner.body += [Assign(f"{name}[{atom.name}]", x.text) for name, x in zip(names, now, strict=True)]
        parent.body.append(Loop(atom.name, "0", str(count), inner.body))

    whole = n // _AT_ONCE
    if whole:
        rows = Scope(outer, whole)
        row = loop_atom(em.names("k"), whole, rows)
        turn(rows, [Index([(row, _AT_ONCE)], i) for i in range(_AT_ONCE)])
        outer.body.append(Loop(row.name, "0", str(whole), rows.body, serial=serial))
    if n % _AT_ONCE:
        turn(outer, [Index((), whole * _AT_ONCE + i) for i in range(n % _AT_ONCE)])
    close()
    return tuple(em.read(f"{name}[{lane.name}]", kind, lane.scope) for name, kind in zip(names, kinds, strict=True))


# -- reductions over axes ---------------------------------------------------------------------------------------------
#: The operation that joins two elements.
JOINED = {
    "reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "max", "reduce_min": "min", "reduce_and": "and",
    "reduce_or": "or", "reduce_xor": "xor",
}  # fmt: skip


def accumulator(dtype: Any) -> Any:
    """What results of a dtype are added up in."""
    return scalars.FLOAT32 if scalars.half(dtype) else dtype


def joined(em: Emitter, op: str, x: Element, y: Element) -> Element:
    """Two elements joined by addition, multiplication, ..."""
    if len(x) == 2:
        if op in ("max", "min"):
            return scalars.extreme_pair(em, op, x, y)
        if op == "mul":
            (a, b), (c, d), real = x, y, x[0].dtype
            products = [em.op("mul", real, p, q) for p, q in ((a, c), (b, d), (a, d), (b, c))]
            return em.op("sub", real, *products[:2]), em.op("add", real, *products[2:])
        return tuple(em.op(op, a.dtype, a, b) for a, b in zip(x, y, strict=True))
    dtype = x[0].dtype
    if dtypes.kind(dtype) == "bool":
        op = {"max": "or", "min": "and"}.get(op, op)
    return (em.op(op, dtype, x[0], y[0]),)


def multiplied(em: Emitter, total: Element, x: Element, y: Element) -> Element:
    """``total + x * y``, rounded once; twice where the device lacks the instruction, and then ``explain`` says so."""
    c = total[0]
    if len(total) > 1 or not dtypes.is_float(c.dtype):
        return joined(em, "add", total, joined(em, "mul", x, y))
    if c.dtype.name not in em.functions.dialect.fused:
        em.functions.twice.add(c.dtype.name)
        return joined(em, "add", total, joined(em, "mul", x, y))
    return (em.op("fma", c.dtype, x[0], y[0], c),)


def started(em: Emitter, value: Any, dtype: Any) -> Element:
    """A real number as an element to start from."""
    number, count = numbers_of(dtype)
    return (em.literal(value, number), *[em.literal(0, number)] * (count - 1))


def _identity(primitive: Any, dtype: Any) -> Any:
    """What no elements reduce to."""
    return 0 if primitive.name == "reduce_sum" else primitive.identity(dtype)


@rule(*JOINED)
def _reduce(em: Emitter, value: Value, indices: Indices) -> Element:
    assert value.source is not None
    (x,), axes = value.source.operands, value.source.params["axes"]
    if elsewhere(em, value, indices, x.size):
        return em.load(value, indices)
    op = JOINED[value.source.name]
    wide = accumulator(value.dtype)
    row = em.row(x, indices) if tuple(axes) == (len(x.shape) - 1,) else None

    def body(indices: Indices, ks: Indices) -> Element:
        inner, outer = iter(ks), iter(indices)
        at = tuple(next(inner) if d in axes else next(outer) for d in range(len(x.shape)))
        found = em.element(x, at)
        if row is not None:
            row.put(at[-1], found[0], nest.scope_of(at, em.root))
        return scalars.convert(em, found, wide)

    order = sorted(axes)
    total = accumulate(
        em, indices, [x.shape[d] for d in order], started(em, _identity(value.source.primitive, wide), wide), body,
        lambda em, a, b: joined(em, op, a, b), along=not axes or len(x.shape) - 1 in axes or not indices,
    )  # fmt: skip
    if row is not None:
        row.is_full()
    return scalars.convert(em, total, value.dtype)


def expects_lanes(value: Value) -> bool:
    """Whether the kernel of a value is sure to be written in blocks: then it is not tried otherwise first."""
    op = value.source
    if op is None or op.name != "dot_general" or not value.shape or value.shape[-1] < 8:
        return False
    (x_sum, y_sum), _ = op.params["dimension_numbers"]
    y = op.operands[1]
    free = len(y.shape) - len(y_sum) - len(op.params["dimension_numbers"][1][1])
    return (
        free > 0
        and bool(x_sum)
        and y_sum[-1] != len(y.shape) - 1
        and op.operands[0].size > value.size // value.shape[-1]
    )


@rule("dot_general")
def _dot_general(em: Emitter, value: Value, indices: Indices) -> Element:
    assert value.source is not None
    (x, y), params = value.source.operands, value.source.params
    (x_sum, y_sum), (x_batch, y_batch) = params["dimension_numbers"]
    x_free = [d for d in range(len(x.shape)) if d not in x_sum and d not in x_batch]
    y_free = [d for d in range(len(y.shape)) if d not in y_sum and d not in y_batch]
    extents = [x.shape[d] for d in x_sum]
    if elsewhere(em, value, indices, math.prod(extents) * max(value.size, 1)):
        return em.load(value, indices)
    precision = params.get("precision")
    steps = None
    if isinstance(precision, DotAlgorithm | DotAlgorithmPreset):
        steps = steps_of(precision, x.dtype, y.dtype)
    wide = accumulator(value.dtype) if steps is None else steps.wide

    def body(indices: Indices, ks: Indices) -> Element:
        batch = len(x_batch)
        at_x = {**dict(zip(x_batch, indices)), **dict(zip(x_sum, ks)), **dict(zip(x_free, indices[batch:]))}
        rest = indices[batch + len(x_free) :]
        at_y = {**dict(zip(y_batch, indices)), **dict(zip(y_sum, ks)), **dict(zip(y_free, rest))}
        a = em.element(x, tuple(at_x[d] for d in range(len(x.shape))))
        b = em.element(y, tuple(at_y[d] for d in range(len(y.shape))))
        if steps is not None:
            a, b = _cut(em, a, steps.left, wide), _cut(em, b, steps.right, wide)
        a, b = scalars.convert(em, a, wide), scalars.convert(em, b, wide)
        return joined(em, "and" if dtypes.kind(wide) == "bool" else "mul", a, b)

    along = not indices or (bool(y_sum) and y_sum[-1] == len(y.shape) - 1)
    op = "or" if dtypes.kind(wide) == "bool" else "add"
    total = accumulate(em, indices, extents, started(em, 0, wide), body, lambda em, a, b: joined(em, op, a, b), along)
    if steps is not None:
        total = _cut(em, total, steps.total, wide)
    return scalars.convert(em, total, value.dtype)


def _cut(em: Emitter, x: Element, bits: tuple[int, int] | None, wide: Any) -> Element:
    """A number rounded to fewer digits, where it may have more."""
    needed = needs_rounding(x[0].dtype, bits)
    x = scalars.convert(em, x, wide)
    if bits is None or not needed:
        return x
    params = {"exponent_bits": bits[0], "mantissa_bits": bits[1]}
    return scalars.elementwise(em, registry["reduce_precision"], params, [x], [Aval((), wide)], wide)
