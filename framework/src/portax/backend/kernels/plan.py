"""A compiled program as a list of steps, and how it runs.

The steps walk a frame of blocks, as the reference device walks a frame of arrays: launch a stage, hand a block on,
drop what nobody reads any more. Loops and branches are decided on the host, which reads one number back each time;
a loop with a known number of turns reads nothing. A call of Python reads its operands back, and writes what it gives;
what was to happen before has then happened. A block whose last reader has been launched goes back to the pool at
once: the queue runs in order, so its next user cannot overtake.

Invariant: a block is held by exactly as many frames and buffers as its ``holders`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.backend.kernels.emit import Functions, numbers_of
from portax.backend.kernels.joining import joined
from portax.backend.kernels.memory import Block, Pool, rounded
from portax.backend.kernels.program import Operation, Program, Value
from portax.backend.kernels.schedule import Schedule, Step
from portax.core.dtypes import KeyDtype
from portax.runtime.contract import ShapeDtype


def bytes_of(value: Value) -> int:
    """How much memory an array takes."""
    number, count = numbers_of(value.dtype)
    return value.size * number.itemsize * count


class Plan:
    """The steps of one program.

    Attributes
    ----------
    inputs, outputs : list of int
        Places in the frame.
    constants : list of (place, ndarray)
    steps : list of Step
    inside : dict of step to list of Plan
        The programs of control flow.
    """

    def __init__(self, program: Program, functions: Functions, kernels: list[Any]) -> None:
        self.program = program
        self.steps = joined(Schedule(program, functions).steps)
        for step in self.steps:
            if step.kernel is not None:
                step.stage = len(kernels)
                step.kernel.name = f"stage{step.stage}"
                for i, part in enumerate(step.kernel.parts):
                    part.name = f"stage{step.stage}_{i}"
                kernels.append(step.kernel)
        self.inside = {
            id(step): [Plan(p, functions, kernels) for p in step.operation.programs]
            for step in self.steps
            if step.operation is not None
        }
        self.constants: list[tuple[int, np.ndarray]] = []
        read = {v.number for s in self.steps for v in s.reads} | {v.number for v in program.outputs}
        for v in program.values:
            if v.constant is not None and v.number in read:
                self.constants.append((v.number, np.ascontiguousarray(v.constant)))
        self.last: dict[int, int] = {}
        for i, step in enumerate(self.steps):
            for v in (*step.reads, *step.writes):
                self.last[v.number] = i
        for v in program.outputs:
            self.last[v.number] = len(self.steps)
        self.ends: list[list[int]] = [[] for _ in self.steps]
        for number, i in self.last.items():
            if i < len(self.steps):
                self.ends[i].append(number)
        #: For each step, what is made for it, as numbers and sizes, what it is launched on, and what ends with it.
        self.turns: list[tuple[Step, list[int], list[int], list[int], list[int]]] = [
            (
                step,
                [] if step.operation is not None else [v.number for v in step.writes],
                [] if step.operation is not None else [rounded(bytes_of(v)) for v in step.writes],
                [v.number for v in (*step.reads, *step.writes)],
                ends,
            )
            for step, ends in zip(self.steps, self.ends, strict=True)
        ]
        self.kept: dict[int, Block] = {}

    def place_constants(self, pool: Pool) -> None:
        """Put the constants into the device's memory."""
        for number, array in self.constants:
            block = self.kept[number] = pool.take(array.nbytes)
            if array.nbytes:
                pool.launcher.write(block.memory, array)
        for plans in self.inside.values():
            for plan in plans:
                plan.place_constants(pool)

    def run(self, runner: Runner, given: Sequence[Block]) -> list[Block]:
        """The outputs' blocks, each held for the caller. Those given stay the caller's."""
        frame: dict[int, Block] = dict(self.kept)
        for v, block in zip(self.program.inputs, given, strict=True):
            frame[v.number] = block
        pool = runner.pool
        pool.hold_all(frame.values())
        try:
            self._steps(runner, frame, pool)
            outs = [frame[v.number] for v in self.program.outputs]
            pool.hold_all(outs)
            return outs
        finally:
            pool.drop_all(frame.values())

    def _steps(self, runner: Runner, frame: dict[int, Block], pool: Pool) -> None:
        for step, made, sizes, given, ends in self.turns:
            if step.operation is not None:
                runner.by_host(self, step, frame)
            else:
                frame.update(zip(made, pool.take_all(sizes), strict=True))
                if step.kernel is not None:
                    runner.launch(step, [frame[number].memory for number in given])
                elif step.call is not None:
                    step.call.routine.call([frame[number].memory for number in given])
            if ends:
                pool.drop_all([frame.pop(number) for number in ends])


class Runner:
    """Runs plans of one program on one device."""

    def __init__(self, pool: Pool, program: Any) -> None:
        self.pool, self.program = pool, program
        self.launcher = pool.launcher

    def launch(self, step: Step, blocks: Sequence[Any]) -> None:
        """One stage."""
        assert step.kernel is not None
        self.launcher.launch(self.program, step.stage, blocks, step.kernel.items)

    def array(self, block: Block, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array, read back from the device when all that was launched before is done."""
        out = np.empty(shape, dtype)
        if out.nbytes:
            self.launcher.read(block.memory, out)
        return out

    def by_host(self, plan: Plan, step: Step, frame: dict[int, Block]) -> None:
        """A loop, a branch, or a call of Python."""
        op = step.operation
        assert op is not None
        given = [frame[v.number] for v in op.given]
        if op.primitive.on_host:
            outs = self._called(op, given)
        else:
            outs = getattr(self, f"_{op.name}")(op, plan.inside[id(step)], given)
        if op.ordering:
            outs.append(self.pool.take(0))
        for v, block in zip(op.results, outs, strict=True):
            frame[v.number] = block

    def _called(self, op: Operation, given: list[Block]) -> list[Block]:
        values = [self.array(block, *stored_as(v.shape, v.dtype)) for v, block in zip(op.given, given, strict=True)]
        outs: list[Block] = []
        for x in op.primitive.reference(*values, **op.params):
            outs.append(self.pool.take(x.nbytes))
            if x.nbytes:
                self.launcher.write(outs[-1].memory, np.ascontiguousarray(x))
        return outs

    def _while(self, op: Operation, plans: list[Plan], given: list[Block]) -> list[Block]:
        cond, body = plans
        a, b = op.params["cond_nconsts"], op.params["body_nconsts"]
        cond_consts, body_consts = given[:a], given[a : a + b]
        carry = [self.pool.hold(block) for block in given[a + b :]]
        try:
            while self._goes_on(cond, [*cond_consts, *carry]):
                before, carry = carry, body.run(self, [*body_consts, *carry])
                self.pool.drop_all(before)
        except BaseException:
            self.pool.drop_all(carry)
            raise
        return carry

    def _goes_on(self, cond: Plan, given: list[Block]) -> bool:
        told = cond.run(self, given)
        try:
            return self.array(told[0], (), np.dtype(bool)).item()
        finally:
            self.pool.drop_all(told)

    def _cond(self, op: Operation, plans: list[Plan], given: list[Block]) -> list[Block]:
        index, *rest = given
        which = int(self.array(index, (), op.operands[0].dtype))
        return plans[min(max(which, 0), len(plans) - 1)].run(self, rest)

    def _scan(self, op: Operation, plans: list[Plan], given: list[Block]) -> list[Block]:
        """Each turn reads its rows of ``xs`` and writes its rows of ``ys``, copied on the device."""
        params, (body,) = op.params, plans
        a = params["num_consts"]
        b = a + params["num_carry"]
        consts, xs, length = given[:a], given[b:], params["length"]
        rows = [bytes_of(v) // max(length, 1) for v in op.given[b:]]
        ys = op.made[b - a :]
        sizes = [bytes_of(y) // max(length, 1) for y in ys]
        carry = [self.pool.hold(block) for block in given[a:b]]
        made = [self.pool.take(bytes_of(y)) for y in ys]
        try:
            for turn in range(length - 1, -1, -1) if params["reverse"] else range(length):
                parts = [self.pool.take(n) for n in rows]
                try:
                    for x, part, n in zip(xs, parts, rows, strict=True):
                        if n:
                            self.launcher.copy(x.memory, part.memory, n, turn * n, 0)
                    outs = body.run(self, [*consts, *carry, *parts])
                finally:
                    self.pool.drop_all(parts)
                before, carry, fresh = carry, outs[: b - a], outs[b - a :]
                self.pool.drop_all(before)
                for y, target, n in zip(fresh, made, sizes, strict=True):
                    if n:
                        self.launcher.copy(y.memory, target.memory, n, 0, turn * n)
                self.pool.drop_all(fresh)
        except BaseException:
            self.pool.drop_all([*carry, *made])
            raise
        return [*carry, *made]


def stored_as(shape: tuple[int, ...], dtype: Any) -> ShapeDtype:
    """How an array is handed to the host: keys as integers."""
    if not isinstance(dtype, KeyDtype):
        return shape, dtype
    number, count = numbers_of(dtype)
    return ((*shape, count) if count > 1 else shape), number
