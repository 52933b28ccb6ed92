"""Sorting: short runs by insertion, then merged two by two.

In a merge every element finds its own place: its place in its run, and the number of elements of the other run that
come before it, found by bisection. So all elements move at once, none of them waits, and since those of the left run
come before equal ones of the right the sort is stable. Any number of operands is carried along.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from portax.backend.kernels import scalars
from portax.backend.kernels.emit import Emitter
from portax.backend.kernels.indexes import Atom, Index, Indices
from portax.backend.kernels.nest import Assign, Counter, Element, Forever, If, Leave, Scalar, Scope, loop_atom
from portax.backend.kernels.program import STEPS, Operation, Value
from portax.backend.kernels.schedule import custom
from portax.core import dtypes
from portax.core.primitive import Primitive

#: Elements that are sorted by insertion.
RUN = 16


class _SortRuns(Primitive):
    """Sort each run of ``RUN`` elements."""

    name = "sort_runs"


class _MergeRuns(Primitive):
    """Merge sorted runs of ``width`` elements two by two."""

    name = "merge_runs"


_sort_runs, _merge_runs = _SortRuns(), _MergeRuns()


def _steps(operands: Sequence[Value], params: dict[str, Any]) -> Iterator[tuple[Primitive, dict[str, Any]]]:
    n, width = operands[0].shape[params["dimension"]], RUN
    yield _sort_runs, params
    while width < n:
        yield _merge_runs, {**params, "width": width}
        width *= 2


STEPS["sort"] = _steps


def comes_before(em: Emitter, xs: Sequence[Element], ys: Sequence[Element]) -> Scalar:
    """Whether keys come before others: by the first in which they differ. NaN comes last."""
    pairs = [pair for x, y in zip(xs, ys, strict=True) for pair in zip(x, y, strict=True)]
    before: Scalar | None = None
    for x, y in reversed(pairs):
        less = _less(em, x, y)
        if before is not None:
            tied = em.op("not", scalars.BOOL, _less(em, y, x))
            less = em.op("or", scalars.BOOL, less, em.op("and", scalars.BOOL, tied, before))
        before = less
    assert before is not None
    return before


def _less(em: Emitter, x: Scalar, y: Scalar) -> Scalar:
    less = em.op("lt", scalars.BOOL, x, y)
    if not dtypes.is_float(x.dtype):
        return less
    number = em.op("eq", scalars.BOOL, x, x)
    last = em.op("and", scalars.BOOL, number, em.op("ne", scalars.BOOL, y, y))
    return em.op("or", scalars.BOOL, less, last)


def _rows(em: Emitter, op: Operation, pieces: int) -> tuple[Scope, Index, Any]:
    """A loop over the pieces of all rows: its body, which piece of its row, and the indices of a place in the row."""
    d = op.params["dimension"]
    shape = op.operands[0].shape
    others = [n for a, n in enumerate(shape) if a != d]
    scope, row = em.divide(math.prod(others) * pieces)
    *lead, piece = em.indices_of(Index([(row, 1)]), [*others, pieces])

    def at(index: Index) -> Indices:
        return (*lead[:d], index, *lead[d:])

    return scope, piece, at


def _there(em: Emitter, value: Value, at: Indices, scope: Scope) -> Element:
    """An element of a result so far; not remembered, since it changes."""
    em.parameter(value, written=True)
    return em.load(value, at, scope)


@custom("sort_runs")
def _write_sort_runs(em: Emitter, op: Operation) -> int:
    n, keys = op.operands[0].shape[op.params["dimension"]], op.params["num_keys"]
    scope, piece, at = _rows(em, op, -(-n // RUN))
    first = piece * RUN
    turn = Scope(scope, min(n, RUN))
    here = loop_atom(em.names("k"), min(n, RUN), turn)
    place = first + Index([(here, 1)])
    if n % RUN and n > RUN:
        turn.body.append(Leave(f"{place.text()} < {n}"))
    inside = em.clamped(place, 0, n - 1) if place.high >= n else place
    fresh = [em.element(x, at(inside)) for x in op.operands]
    hole = em.names("s")
    turn.body.append(Counter(hole, inside.text()))
    search = Scope(turn)
    spot = Index([(Atom(hole, 1, n - 1, search), 1)])
    search.body.append(Leave(f"{hole} > {first.text()}"))
    kept = [_there(em, out, at(spot + -1), search) for out in op.results[:keys]]
    before = comes_before(em, fresh[:keys], kept)
    search.body.append(Leave(before.text))
    for i, out in enumerate(op.results):
        em.store(out, at(spot), kept[i] if i < keys else _there(em, out, at(spot + -1), search), search)
    search.body.append(Assign(hole, f"{hole} - 1"))
    turn.body.append(Forever(search.body))
    end = Index([(Atom(hole, 0, n - 1, turn), 1)])
    for out, e in zip(op.results, fresh, strict=True):
        em.store(out, at(end), e, turn)
    scope.body.append(em.loop(here, turn))
    em.close_rows()
    return op.operands[0].size


@custom("merge_runs")
def _write_merge_runs(em: Emitter, op: Operation) -> int:
    d, keys, width = op.params["dimension"], op.params["num_keys"], op.params["width"]
    n = op.operands[0].shape[d]
    scope, place, at = _rows(em, op, n)
    x = [em.element(v, at(place)) for v in op.operands]
    pair, _ = em.divmod(place, 2 * width)
    start = (pair * (2 * width)).text()
    low, high, left = em.names("s"), em.names("s"), em.names("s")
    mine = place.text()
    body = scope.body
    body.append(Counter(left, f"{mine} - ({start}) < {width}"))
    # The other run: of a left element the right one, cut off where the row ends.
    body.append(Counter(low, f"{left} ? {start} + {width} : {start}"))
    body.append(Counter(high, f"{left} ? {start} + {2 * width} : {start} + {width}"))
    for name in (low, high):
        body.append(If(f"{name} > {n}", [Assign(name, str(n))]))
    first = em.names("s")
    body.append(Counter(first, low))
    search = Scope(scope)
    search.body.append(Leave(f"{low} < {high}"))
    middle = Atom(em.names("m"), 0, n - 1, search)
    search.body.append(Counter(middle.name, f"({low} + {high}) / 2"))
    other = [em.load(v, at(Index([(middle, 1)])), search) for v in op.operands[:keys]]
    ahead, behind = comes_before(em, other, x[:keys]), comes_before(em, x[:keys], other)
    passed = em.names("s")
    search.body.append(Counter(passed, f"{left} ? {ahead.text} : !{behind.text}"))
    search.body.append(Assign(low, f"{passed} ? {middle.name} + 1 : {low}"))
    search.body.append(Assign(high, f"{passed} ? {high} : {middle.name}"))
    body.append(Forever(search.body))
    target = Atom(em.names("s"), 0, n - 1, scope)
    body.append(Counter(target.name, f"{mine} + {low} - {first} - ({left} ? 0 : {width})"))
    for out, e in zip(op.results, x, strict=True):
        em.store(out, at(Index([(target, 1)])), e, scope)
    em.close_rows()
    return op.operands[0].size * 8
