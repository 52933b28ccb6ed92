"""Small kernels in a row as one launch.

A launch costs as much as a kernel of some ten thousand elements. Kernels that one work-item does anyway are therefore
launched together where nothing comes between them: the work-item does one after the other.

Invariant: the buffers of a launch are different ones, as each kernel was promised. So what is only needed on the way is
kept until the launch is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from portax.backend.kernels import nest
from portax.backend.kernels.program import Value
from portax.backend.kernels.schedule import Step

#: Buffers of one launch at most: each is an argument to be set, and devices limit how many there are.
BUFFERS = 40


def joined(steps: Sequence[Step]) -> list[Step]:
    """The steps, those in a row put together that may be."""
    made: list[Step] = []
    row: list[Step] = []
    for step in steps:
        small = step.kernel is not None and step.kernel.items == 1
        if row and not (small and len(_buffers([*row, step])) <= BUFFERS):
            made.append(_together(row))
            row = []
        if small:
            row.append(step)
        else:
            made.append(step)
    return [*made, _together(row)] if row else made


def _buffers(row: Iterable[Step]) -> dict[int, Value]:
    """The values that have a buffer in some steps, by number."""
    return {v.number: v for step in row for v in (*step.reads, *step.writes)}


def _together(row: list[Step]) -> Step:
    if len(row) == 1:
        return row[0]
    written = {v.number for step in row for v in step.writes}
    values = _buffers(row)
    reads = [v for v in values.values() if v.number not in written]
    writes = [v for v in values.values() if v.number in written]
    names: dict[int, nest.Parameter] = {}
    parts: list[nest.Kernel] = []
    body: list[nest.Statement] = []
    for step in row:
        kernel = step.kernel
        assert kernel is not None
        own = [*step.reads, *step.writes]
        assert len(own) == len(kernel.parameters), f"{kernel.note}: a buffer that is no parameter"
        for v, parameter in zip(own, kernel.parameters, strict=True):
            names.setdefault(v.number, nest.Parameter(f"p{len(names)}", parameter.dtype, v.number in written))
        body.append(nest.Run(kernel, [names[v.number].name for v in own]))
        parts.append(kernel)
    note = ", then ".join([kernel.note for kernel in parts])
    ordered = [names[v.number] for v in (*reads, *writes)]
    return Step(reads, writes, nest.Kernel("", ordered, body, 1, note))
