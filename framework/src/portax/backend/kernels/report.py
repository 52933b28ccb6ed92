"""What a compiled program does, for people: its kernels, what each reads and writes, what was taken apart."""

from __future__ import annotations

from typing import Any


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def report(plan: Any, sizes: Any, depth: int = 0) -> list[str]:
    """The lines of a plan and of the plans inside it.

    Parameters
    ----------
    plan : Plan
    sizes : callable
        From a value to its bytes.
    """
    pad, lines = "  " * depth, []
    for step in plan.steps:
        read, written = sum(map(sizes, step.reads)), sum(map(sizes, step.writes))
        moved = f"reads {_size(read)}, writes {_size(written)}"
        if step.operation is not None and step.operation.primitive.on_host:
            lines.append(f"{pad}{step.operation.name}: done by Python on the host; {moved}")
        elif step.operation is not None:
            lines.append(f"{pad}{step.operation.name}: turn by turn, decided on the host")
            for inner in plan.inside[id(step)]:
                lines += [f"{pad}  program:", *report(inner, sizes, depth + 2)]
        elif step.call is not None:
            lines.append(f"{pad}{step.call.routine.library}: {step.call.what}; {moved}")
        elif step.kernel is None:
            lines.append(f"{pad}nothing to compute: {', '.join(map(repr, step.writes))}")
        else:
            parts = step.kernel.parts
            what = f"{len(parts)} kernels in one launch" if parts else step.kernel.note
            lines.append(f"{pad}kernel {step.stage}: {what}; {moved}; {step.kernel.items} work-items")
            lines += [f"{pad}  {part.note}" for part in parts]
    for name, times in sorted(plan.program.replaced.items()):
        lines.append(f"{pad}taken apart: {name}, {times} time{'s' if times > 1 else ''}")
    return lines
