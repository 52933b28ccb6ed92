"""Which values get buffers, and which kernel computes them.

Kernels are written from the last to the first. The values that must be in memory are pending: at first the program's
outputs. The last of them gets a kernel, together with all others of its shape on which nothing else pending depends;
writing it shows which further values it needs in memory, and these become pending. So what is fused follows from
how elements are used, not from a list of patterns: a value that is only ever needed where another is computed never
exists in memory.

Invariant: when a kernel is written, all kernels that read what it computes have been written already. Reversed, the
list is an order in which they can run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from portax.backend.kernels import nest, products, reductions
from portax.backend.kernels.emit import RULES, Emitter, Functions
from portax.backend.kernels.indexes import Index, Indices, Place
from portax.backend.kernels.keeping import FREE, worth_keeping
from portax.backend.kernels.nest import Kernel, Loop, Scope, loop_atom
from portax.backend.kernels.program import Operation, Program, Value

#: Operations that write a kernel of their own: ``(emitter, operation) -> work``, in elements.
CUSTOM: dict[str, Callable[[Emitter, Operation], int]] = {}

#: Values that one kernel computes at most; each has a buffer or more, and devices limit how many a kernel may have.
TOGETHER = 16


def custom(*names: str) -> Callable[[Callable[[Emitter, Operation], int]], Callable[[Emitter, Operation], int]]:
    """Register the writer of a kernel for some primitives."""

    def register(f: Callable[[Emitter, Operation], int]) -> Callable[[Emitter, Operation], int]:
        for name in names:
            CUSTOM[name] = f
        return f

    return register


class Step:
    """One step of a program: a kernel, or what the host does.

    Attributes
    ----------
    kernel : Kernel or None
    stage : int
        The kernel's number in the program's text.
    reads, writes : list of Value
    operation : Operation or None
        Control flow, or a call of Python.
    call : Call or None
        Of a library's routine.
    """

    __slots__ = ("call", "kernel", "operation", "reads", "stage", "writes")

    def __init__(
        self, reads: list[Value], writes: list[Value], kernel: Kernel | None = None, operation: Operation | None = None
    ) -> None:
        self.reads, self.writes, self.kernel, self.operation = reads, writes, kernel, operation
        self.stage = -1
        self.call: Any = None


class _NotTogether(Exception):
    """A value cannot be computed by the kernel that it was put into."""

    def __init__(self, value: Value) -> None:
        self.value = value


class Schedule:
    """The steps of one program.

    Parameters
    ----------
    program : Program
    functions : Functions
        Shared by all kernels of one text.
    """

    def __init__(self, program: Program, functions: Functions) -> None:
        self.program, self.functions = program, functions
        #: Numbers of the values that have, or will have, a buffer.
        self.buffers: set[int] = set()
        self.tiled = any(products.is_tiled(op.results[0]) for op in program.operations)
        self.kept, self.rows = worth_keeping(program, functions.dialect.scratch)
        self.steps: list[Step] = []
        self._run()
        self.steps.reverse()

    def _run(self) -> None:
        ends = [v for v in (*self.program.outputs, self.program.happened) if v is not None]
        pending = {v.number: v for v in ends if v.source is not None}
        self.buffers.update(pending)
        while pending:
            last = pending[max(pending)]
            op = last.source
            assert op is not None
            if op.by_host:
                step = Step(list(op.operands), list(op.results), operation=op)
            elif op.name in CUSTOM:
                step = self._custom(op)
            else:
                step = self._group(last, pending)
            self.steps.append(step)
            for v in step.writes:
                pending.pop(v.number, None)
            for v in step.reads:
                if v.source is not None:
                    pending[v.number] = v
                    self.buffers.add(v.number)

    def stored(self, value: Value) -> bool:
        """Whether a value is read from memory rather than computed where it is needed."""
        op = value.source
        if op is None:
            return True
        if op.name in CUSTOM or op.by_host or products.is_tiled(value):
            return True
        return value.number in self.kept or (value.number in self.buffers and op.name not in FREE)

    # -- kernels ------------------------------------------------------------------------------------------------------
    def _custom(self, op: Operation) -> Step:
        em = Emitter(self.functions, self.stored, self.rows)
        work = CUSTOM[op.name](em, op) if any(v.size for v in op.results) else 0
        step = self._step(em, op.results, op.name, self._items(em, work))
        step.call = op.params.get("call")
        if step.call is not None:  # a routine has its own order of operands, one perhaps twice
            step.reads = list(op.operands)
        return step

    def _group(self, last: Value, pending: dict[int, Value]) -> Step:
        others = [v for v in pending.values() if v is not last]
        group = [last]
        through = self._products_reached(last)
        for v in sorted(others, key=lambda v: -v.number):
            assert v.source is not None
            if v.shape != last.shape or v.source.name in CUSTOM or v.source.by_host:
                continue
            if self._products_reached(v) != through:
                continue
            outside = [w for w in others if w is not v and w not in group]
            if not any(w.before >> v.number & 1 for w in outside) and len(group) < TOGETHER:
                group.append(v)
        while True:
            try:
                return self._write(sorted(group, key=lambda v: v.number))
            except _NotTogether as clash:
                group = [v for v in group if v is not clash.value]
                # What it depended on may be needed by it now, so they cannot stay either.
                group = [v for v in group if v is last or not clash.value.before >> v.number & 1]

    def _write(self, group: list[Value]) -> Step:
        flat = self._is_flat(group)
        product = self._product(group, flat)
        if product is not None:
            return self._in_tiles(group, product, flat)
        if reductions.expects_lanes(group[-1]):
            return self._nest(group, flat, lanes=True)
        try:
            return self._nest(group, flat, lanes=False)
        except reductions.InLanes:
            return self._nest(group, flat, lanes=True)

    def _reached(self, group: list[Value], flat: bool) -> dict[int, Value]:
        """The values that a kernel of a group computes at the place of its elements, products in tiles among them."""
        numbers = {v.number for v in group}
        seen: dict[int, Value] = {}
        waiting = list(group)
        while waiting:
            v = waiting.pop()
            op = v.source
            inside = v.number in numbers or products.is_tiled(v) or not self.stored(v)
            if op is None or v.number in seen or not inside:
                continue
            seen[v.number] = v
            if op.name not in RULES or (flat and op.name == "reshape"):
                waiting += [x for x in op.operands if flat or x.shape == v.shape]
        return seen

    def _product(self, group: list[Value], flat: bool) -> Value | None:
        """The product in tiles that is computed with a group: it is one of the group, or nobody else needs it."""
        if not self.tiled:
            return None
        numbers = {v.number for v in group}
        seen = self._reached(group, flat)

        def ends_here(v: Value) -> bool:
            outs = [user.results[0] for user in v.users]
            return all(x.number in seen and (x.number in numbers or ends_here(x)) for x in outs)

        found = [
            v for v in seen.values()
            if products.is_tiled(v) and (v.number in numbers or (v.number not in self.buffers and ends_here(v)))
        ]  # fmt: skip
        return max(found, key=lambda v: v.number, default=None)

    def _products_reached(self, value: Value) -> set[int]:
        if not self.tiled:
            return set()
        return {v.number for v in self._reached([value], flat=True).values() if products.is_tiled(v)}

    def _in_tiles(self, group: list[Value], product: Value, flat: bool) -> Step:
        em = Emitter(self.functions, lambda v: v is not product and self.stored(v), self.rows)
        work = products.write_tiles(em, group, product, flat)
        return self._together(em, group, work, [product, *group])

    def _nest(self, group: list[Value], flat: bool, lanes: bool) -> Step:
        shape = group[0].shape
        em = Emitter(self.functions, self.stored, self.rows)
        size = group[0].size
        if size:
            _loops(em, group, (size,) if flat else shape, flat, lanes, self.functions.dialect.lanes)
        return self._together(em, group, max([size, *(v.size for v in em.values.values())], default=0), group)

    def _together(self, em: Emitter, group: list[Value], work: int, of: list[Value]) -> Step:
        for v in reversed(group):
            if v.number in em.demanded:
                raise _NotTogether(v)
            if any(x.before >> v.number & 1 for x in em.demanded.values()):
                raise _NotTogether(v)
        return self._step(em, group, _note(of), self._items(em, work))

    def _items(self, em: Emitter, work: int) -> int:
        """Into how many work-items a kernel that goes through ``work`` elements is divided."""
        dialect = self.functions.dialect
        return max(1, min(work // dialect.worth, dialect.items, em.rows))

    def _step(self, em: Emitter, writes: Iterable[Value], note: str, items: int) -> Step:
        writes = list(writes)
        reads = [v for v in em.values.values() if not em.parameters[v.number].written]
        if not em.root.body:
            return Step(reads, writes)
        ordered = [em.parameters[v.number] for v in (*reads, *(w for w in writes if w.number in em.parameters))]
        kernel = Kernel("", ordered, em.root.body, items, note)
        return Step(reads, writes, kernel)

    def _is_flat(self, group: list[Value]) -> bool:
        numbers, seen = {v.number for v in group}, set[int]()
        return bool(group[0].shape) and all(self._flat(v, group[0].size, numbers, seen) for v in group)

    def _flat(self, value: Value, size: int, group: set[int], seen: set[int]) -> bool:
        """Whether an element is computed from elements at the same place alone: then one loop will do."""
        if value.number in seen or not value.shape:
            return True
        seen.add(value.number)
        if value.size != size:
            return False
        op = value.source
        if op is None or products.is_tiled(value) or (value.number not in group and self.stored(value)):
            return True
        if op.name == "reshape":
            return not op.params.get("dimensions") and self._flat(op.operands[0], size, group, seen)
        if op.name in RULES:
            return False
        return all(self._flat(x, size, group, seen) for x in op.operands)


def _loops(em: Emitter, group: list[Value], shape: tuple[int, ...], flat: bool, lanes: bool, width: int) -> None:
    """The loops of a kernel around the elements it stores: rows are divided among work-items."""
    axes = [d for d, n in enumerate(shape) if n != 1]
    if not axes:
        em.innermost = em.root
        _store(em, group, Place((Index(),)) if flat else (Index(),) * len(shape), em.root)
        return
    em.divided = em.functions.dialect.items > 1
    *outer, inner = axes
    n = shape[inner]
    em.may_block = n >= 8 and not lanes
    if outer:
        rows, sizes = math.prod(shape[d] for d in outer), [shape[d] for d in outer]

        def at(index: Index, lead: Indices) -> Indices:
            known = dict(zip(outer, lead, strict=True))
            return tuple(index if d == inner else known.get(d, Index()) for d in range(len(shape)))

        if not lanes:
            scope, row = em.divide(rows)
            lead = em.indices_of(Index([(row, 1)]), sizes)
            body = Scope(scope, n)
            em.innermost = body
            column = loop_atom(em.names("j"), n, body)
            _store(em, group, at(Index([(column, 1)]), lead), body)
            scope.body.append(Loop(column.name, "0", str(n), body.body))
            em.close_rows()
            return
        # All rows of one block before the next block: what they share stays near.
        blocks, rest = n // width, n % width
        if blocks:
            scope, row = em.divide(blocks * rows)
            block, *lead = em.indices_of(Index([(row, 1)]), [blocks, *sizes])
            _block(em, group, scope, width, lambda i: at(i, tuple(lead)), block * width)
            em.close_rows()
        if rest:
            scope, row = em.divide(rows)
            last = em.indices_of(Index([(row, 1)]), sizes)
            _block(em, group, scope, rest, lambda i: at(i, last), Index((), blocks * width))
            em.close_rows()
        return

    def alone(index: Index) -> Indices:
        return Place((index,)) if flat else tuple(index if d == inner else Index() for d in range(len(shape)))

    if lanes:
        blocks, rest = n // width, n % width
        em.rows = max(blocks, 1)
        if blocks:
            scope, row = em.divide(blocks)
            _block(em, group, scope, width, alone, Index([(row, width)]))
            em.close_rows()
        if rest:  # the last work-item does what is left over
            tail = Scope(em.root)
            _block(em, group, tail, rest, alone, Index((), blocks * width))
            em.root.body.append(nest.If("w == n - 1", tail.body))
        return
    scope, row = em.divide(n)
    em.innermost = scope
    _store(em, group, alone(Index([(row, 1)])), scope)
    em.close_rows()


def _block(
    em: Emitter, group: list[Value], block: Scope, width: int, at: Callable[[Index], Indices], first: Index
) -> None:
    """A block of neighbours, each a lane."""
    body = Scope(block, width)
    em.innermost = body
    lane = loop_atom(em.names("l"), width, body, lane=True)
    indices = at(first + Index([(lane, 1)]))
    em.own = {}
    _store(em, group, indices, body)
    block.body.append(Loop(lane.name, "0", str(width), body.body))


def _store(em: Emitter, group: list[Value], indices: Indices, scope: Scope) -> None:
    em.own = {v.number: indices for v in group}
    for v in group:
        em.store(v, indices, em.element(v, indices), scope)


def _note(group: list[Value]) -> str:
    names = dict.fromkeys(v.source.name for v in group if v.source is not None)
    return ", ".join(names)
