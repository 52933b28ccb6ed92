"""Sorting: short runs by insertion, then merged two by two.

The result of a merge is made in chunks, each by whoever is free: how many of the elements before a chunk are of the
left run is found by bisection, and from there on the lesser of two goes next. Those of the left run go before equal
ones of the right, so the sort is stable. Any number of operands is carried along.

References
----------
Green, McColl and Bader, GPU Merge Path: A GPU Merging Algorithm, ICS 2012.
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

#: Elements that are sorted by insertion, and those of a chunk of a merge.
RUN, CHUNK = 16, 256
#: Chunks that are merged side by side, since each step of a merge waits for the one before it; where there are so many.
ABREAST, MANY = 2, 64


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


class _Chunk:
    """A chunk of a merge: what stands before its loop is written first, then a turn of the loop."""

    def __init__(self, em: Emitter, op: Operation, scope: Scope, start: Index, at: Any) -> None:
        self.em, self.op, self.start, self.at = em, op, start, at
        self.keys, self.n = op.params["num_keys"], op.operands[0].shape[op.params["dimension"]]
        width, n = op.params["width"], self.n
        pair, _ = em.divmod(start, 2 * width)
        base = (pair * (2 * width)).text()
        # Where the runs end; the right one may be cut off, or not be there.
        self.middle = middle = self._counter(scope, f"{base} + {width} < {n} ? {base} + {width} : {n}")
        self.end = end = self._counter(scope, f"{base} + {2 * width} < {n} ? {base} + {2 * width} : {n}")
        before = self._counter(scope, f"{start.text()} - ({base})")
        # Of the elements before the chunk, the left run has ``low``: the fewest such that the next of it is not passed
        # over by the last of the right run's.
        low = self._counter(scope, f"{before} > {end} - {middle} ? {before} - ({end} - {middle}) : 0")
        high = self._counter(scope, f"{before} < {middle} - ({base}) ? {before} : {middle} - ({base})")
        search = Scope(scope)
        search.body.append(Leave(f"{low} < {high}"))
        half = self._counter(search, f"({low} + {high}) / 2")
        mine = self._loaded(self._counter(search, f"{base} + {half}"), search, op.operands[: self.keys])
        last = self._counter(search, f"{middle} + {before} - 1 - {half}")
        passed = comes_before(em, self._loaded(last, search, op.operands[: self.keys]), mine).text
        search.body.append(Assign(high, f"{passed} ? {half} : {high}"))
        search.body.append(Assign(low, f"{passed} ? {low} : {half} + 1"))
        scope.body.append(Forever(search.body))
        self.left = self._counter(scope, f"{base} + {low}")
        self.right = self._counter(scope, f"{middle} + {before} - {low}")

    def _counter(self, within: Scope, text: str) -> str:
        name = self.em.names("s")
        within.body.append(Counter(name, text))
        return name

    def _loaded(self, name: str, within: Scope, values: Sequence[Value]) -> list[Element]:
        place = Index([(Atom(name, 0, self.n - 1, within), 1)])
        return [self.em.load(v, self.at(place), within) for v in values]

    def turn(self, turn: Scope, here: Index, whole: bool) -> None:
        """The lesser of the next two goes to its place, which may lie beyond the row where chunks are not ``whole``."""
        em, op, n = self.em, self.op, self.n
        left, right, middle, end = self.left, self.right, self.middle, self.end
        nearest = [f"{left} < {middle} ? {left} : {middle} - 1", f"{right} < {end} ? {right} : {end} - 1"]
        mine, other = [self._loaded(self._counter(turn, text), turn, op.operands[: self.keys]) for text in nearest]
        later = comes_before(em, other, mine).text
        taken = self._counter(turn, f"({left} >= {middle}) | (({right} < {end}) & {later})")
        source = self._counter(turn, f"{taken} ? {right} : {left}")
        if not whole:  # both runs may be at their ends
            source = self._counter(turn, f"{source} < {n} ? {source} : {n - 1}")
        place = self.start + here
        found = self._loaded(source, turn, op.operands)
        target, inside = (place, turn) if whole else (em.clamped(place, 0, n - 1), Scope(turn))
        for out, e in zip(op.results, found, strict=True):
            em.store(out, self.at(target), e, inside)
        if not whole:
            turn.body.append(If(f"{place.text()} < {n}", inside.body))
        turn.body.append(Assign(left, f"{taken} ? {left} : {left} + 1"))
        turn.body.append(Assign(right, f"{taken} ? {right} + 1 : {right}"))


@custom("merge_runs")
def _write_merge_runs(em: Emitter, op: Operation) -> int:
    n, width = op.operands[0].shape[op.params["dimension"]], op.params["width"]
    size = min(CHUNK, 2 * width)
    count = -(-n // size)
    several = ABREAST if count >= MANY else 1
    scope, piece, at = _rows(em, op, -(-count // several))
    chunks = [_Chunk(em, op, scope, piece * (several * size) + i * size, at) for i in range(several)]
    turn = Scope(scope, size)
    here = loop_atom(em.names("k"), size, turn)
    for chunk in chunks:
        chunk.turn(turn, Index([(here, 1)]), whole=n % (several * size) == 0)
    scope.body.append(em.loop(here, turn))
    em.close_rows()
    return op.operands[0].size * 2
