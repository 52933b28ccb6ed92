"""What a program in steps takes on each of its devices, as far as their driver knows it of the programs between.

Devices do the same, so the first stands for all. Values that wait between steps are held on the device; a step's own
memory comes on top. As everywhere, a turn of a loop counts once, and of branches the dearest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from portax.core.aval import Aval
from portax.core.dtypes import KeyDtype
from portax.runtime.contract import Device, Executable, MemoryUse
from portax.runtime.lockstep.claimed import asked
from portax.runtime.lockstep.cutting import Lockstep
from portax.runtime.lockstep.loops import Branch, Repetition, Turns
from portax.runtime.lockstep.steps import Exchange, First, Segment, Step


class SteppedExecutable(Executable):
    """The steps of a program as one executable, to be looked at. What runs them is the program that they belong to.

    Parameters
    ----------
    lockstep : Lockstep
    told : str
        The program, for people.
    run : callable
    """

    def __init__(self, lockstep: Lockstep, told: str, run: Any) -> None:
        self.lockstep, self.told, self.run = lockstep, told, run
        self.devices: tuple[Device, ...] = tuple(lockstep.team.members)
        self.results = tuple([(v.aval.shape, v.aval.dtype) for v in lockstep.outputs])

    def cost_analysis(self) -> Mapping[str, float]:
        return dict(_costs(self.lockstep))

    def collectives(self) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for kind, size in _exchanges(self.lockstep):
            count, sizes = found.get(kind, (0, 0))
            found[kind] = count + 1, sizes + size
        return found

    def memory_analysis(self) -> MemoryUse | None:
        most = _most(self.lockstep)
        if most is None:
            return None
        arguments = sum([_bytes(v.aval) for v in self.lockstep.inputs])
        results = sum([_bytes(v.aval) for v in self.lockstep.outputs])
        return MemoryUse(arguments, results, max(most - arguments - results, 0))

    def report(self) -> str:
        return "\n".join(_told(self.lockstep))

    def text(self) -> str:
        parts = [p.executable.text() for p in _programs(self.lockstep) if p.executable is not None]
        return "\n\n".join([self.told, *parts])


#: What steps with programs inside are called.
_LOOPS: dict[type[Step], str] = {Turns: "scan", Repetition: "while", Branch: "cond"}


def _bytes(aval: Aval) -> int:
    dtype = aval.dtype.storage if isinstance(aval.dtype, KeyDtype) else aval.dtype
    return aval.size * dtype.itemsize


def _inside(step: Step) -> list[Lockstep]:
    """The programs of a step, in steps themselves."""
    if isinstance(step, Turns):
        return [step.body] if step.body is not None else []
    if isinstance(step, Repetition):
        return [step.condition, step.body]
    return list(step.branches) if isinstance(step, Branch) else []


def _alone(step: Step) -> list[Any]:
    """The program that the first member runs by itself."""
    return step.programs[:1] if isinstance(step, Segment) else [step.program] if isinstance(step, First) else []


def _programs(lockstep: Lockstep) -> list[Any]:
    """All programs that the first member runs by itself, in order."""
    found: list[Any] = []
    for step in lockstep.steps:
        found += _alone(step)
        for inner in _inside(step):
            found += _programs(inner)
    return found


def _costs(lockstep: Lockstep) -> Counter[str]:
    total: Counter[str] = Counter()
    for step in lockstep.steps:
        for program in _alone(step):
            if program.executable is not None:
                total.update(program.executable.cost_analysis())
        found = [_costs(inner) for inner in _inside(step)]
        for costs in [max(found, key=lambda c: c["flops"])] if isinstance(step, Branch) else found:
            total.update(costs)
    return total


def _kind(step: Exchange) -> str:
    """What is asked for, in the words of the contract; where it has none, the primitive's name."""
    found = asked(step.eqn, step.groups)
    return step.eqn.primitive.name if found is None else found.kind


def _exchanges(lockstep: Lockstep) -> list[tuple[str, int]]:
    """Every collective: its kind, and the bytes of its results."""
    found: list[tuple[str, int]] = []
    for step in lockstep.steps:
        if isinstance(step, Exchange):
            found.append((_kind(step), sum([_bytes(v.aval) for v in step.results])))
        for inner in _inside(step):
            found += _exchanges(inner)
    return found


def _most(lockstep: Lockstep) -> int | None:
    """What is held when most is held, arguments among it; None where a driver does not say what its programs take."""
    frame = {v: _bytes(v.aval) for v in (*lockstep.known, *lockstep.inputs)}
    most = sum(frame.values())
    for step, ends in zip(lockstep.steps, lockstep.ends, strict=True):
        own = _own(step)
        if own is None:
            return None
        most = max(most, sum(frame.values()) + own)
        frame.update({v: _bytes(v.aval) for v in step.results})
        for v in ends:
            frame.pop(v, None)
    return most


def _own(step: Step) -> int | None:
    """What a step takes beside its operands: results, and what it needs meanwhile."""
    taken = sum([_bytes(v.aval) for v in step.results])
    for program in _alone(step):
        memory = None if program.executable is None else program.executable.memory_analysis()
        if memory is None:
            return None
        taken = max(taken, memory.output_size_in_bytes + memory.temp_size_in_bytes)
    for inner in _inside(step):
        most = _most(inner)
        if most is None:
            return None
        taken = max(taken, sum([_bytes(v.aval) for v in step.results]) + most)
    return taken


def _told(lockstep: Lockstep, depth: int = 0) -> list[str]:
    """The steps, for people."""
    pad, lines = "  " * depth, []
    for step in lockstep.steps:
        if isinstance(step, Exchange):
            how = "by way of the host" if step.claimed is None else "by the driver"
            named = ", ".join([repr(name) for name in step.names])
            lines.append(f"{pad}together, {how}: {step.eqn.primitive.name} along {named}")
        for program in _alone(step):
            told = "" if program.executable is None else program.executable.report()
            lines.append(f"{pad}{'the first alone' if isinstance(step, First) else 'each alone'}:")
            lines += [f"{pad}  {line}" for line in told.splitlines()]
        inside = _inside(step)
        if inside:
            lines.append(f"{pad}{_LOOPS[type(step)]}: decided on the host")
            for inner in inside:
                lines += [f"{pad}  program:", *_told(inner, depth + 2)]
    return lines


def executable_of(lockstep: Lockstep, told: str, run: Any) -> SteppedExecutable | None:
    """The steps as an executable; None on devices that run primitives one by one."""
    if not lockstep.team.members[0].backend.compiles:
        return None
    return SteppedExecutable(lockstep, told, run)
