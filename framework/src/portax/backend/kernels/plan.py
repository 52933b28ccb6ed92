"""A compiled program as a list of steps, and how it runs.

The steps walk a frame of blocks, as the reference device walks a frame of arrays: launch a stage, hand a block on,
drop what nobody reads any more. Loops and branches are decided on the host, which reads one number back each time;
a loop with a known number of turns reads nothing. A block whose last reader has been launched goes back to the pool at
once: the queue runs in order, so its next user cannot overtake.

Invariant: a block is held by exactly as many frames and buffers as its ``holders`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.backend.kernels.emit import Functions, numbers_of
from portax.backend.kernels.memory import Block, Pool
from portax.backend.kernels.program import Program, Value
from portax.backend.kernels.schedule import Schedule, Step


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
    kernels : list of Kernel
        Of this plan and of those inside it.
    """

    def __init__(self, program: Program, functions: Functions, kernels: list[Any]) -> None:
        self.program = program
        self.schedule = Schedule(program, functions)
        for step in self.schedule.steps:
            if step.kernel is not None:
                step.stage = len(kernels)
                step.kernel.name = f"stage{step.stage}"
                kernels.append(step.kernel)
        self.inside = {
            id(step): [Plan(p, functions, kernels) for p in step.operation.programs]
            for step in self.schedule.steps
            if step.operation is not None
        }
        self.constants: list[tuple[int, np.ndarray]] = []
        read = {v.number for s in self.schedule.steps for v in s.reads} | {v.number for v in program.outputs}
        for v in program.values:
            if v.constant is not None and v.number in read:
                self.constants.append((v.number, np.ascontiguousarray(v.constant)))
        self.last: dict[int, int] = {}
        for i, step in enumerate(self.schedule.steps):
            for v in (*step.reads, *step.writes):
                self.last[v.number] = i
        for v in program.outputs:
            self.last[v.number] = len(self.schedule.steps)
        self.ends: list[list[int]] = [[] for _ in self.schedule.steps]
        for number, i in self.last.items():
            if i < len(self.schedule.steps):
                self.ends[i].append(number)
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
        for block in frame.values():
            pool.hold(block)
        try:
            self._steps(runner, frame, pool)
            return [pool.hold(frame[v.number]) for v in self.program.outputs]
        finally:
            for block in frame.values():
                pool.drop(block)

    def _steps(self, runner: Runner, frame: dict[int, Block], pool: Pool) -> None:
        for step, ends in zip(self.schedule.steps, self.ends, strict=True):
            if step.operation is not None:
                runner.control(self, step, frame)
            else:
                for v in step.writes:
                    frame[v.number] = pool.take(bytes_of(v))
                if step.kernel is not None:
                    blocks = [frame[v.number].memory for v in (*step.reads, *step.writes)]
                    runner.launch(step, blocks)
            for number in ends:
                pool.drop(frame.pop(number))


class Runner:
    """Runs plans of one program on one device."""

    def __init__(self, pool: Pool, program: Any) -> None:
        self.pool, self.program = pool, program
        self.launcher = pool.launcher

    def launch(self, step: Step, blocks: Sequence[Any]) -> None:
        """One stage."""
        assert step.kernel is not None
        self.launcher.launch(self.program, step.stage, blocks, step.kernel.items)

    def number(self, block: Block, dtype: Any) -> Any:
        """A number, read back from the device."""
        out = np.empty((), dtype)
        self.launcher.read(block.memory, out)
        return out.item()

    def control(self, plan: Plan, step: Step, frame: dict[int, Block]) -> None:
        """A loop or a branch."""
        op = step.operation
        assert op is not None
        given = [frame[v.number] for v in op.operands]
        outs = getattr(self, f"_{op.name}")(op, plan.inside[id(step)], given)
        for v, block in zip(op.results, outs, strict=True):
            frame[v.number] = block

    def _while(self, op: Any, plans: list[Plan], given: list[Block]) -> list[Block]:
        cond, body = plans
        a, b = op.params["cond_nconsts"], op.params["body_nconsts"]
        cond_consts, body_consts, carry = given[:a], given[a : a + b], given[a + b :]
        for block in carry:
            self.pool.hold(block)
        while True:
            (told,) = cond.run(self, [*cond_consts, *carry])
            go_on = self.number(told, np.dtype(bool))
            self.pool.drop(told)
            if not go_on:
                return list(carry)
            fresh = body.run(self, [*body_consts, *carry])
            for block in carry:
                self.pool.drop(block)
            carry = fresh

    def _cond(self, op: Any, plans: list[Plan], given: list[Block]) -> list[Block]:
        index, *rest = given
        which = int(self.number(index, op.operands[0].dtype))
        return plans[min(max(which, 0), len(plans) - 1)].run(self, rest)

    def _scan(self, op: Any, plans: list[Plan], given: list[Block]) -> list[Block]:
        """Each turn reads its rows of ``xs`` and writes its rows of ``ys``, copied on the device."""
        params, (body,) = op.params, plans
        a = params["num_consts"]
        b = a + params["num_carry"]
        consts, carry, xs = given[:a], given[a:b], given[b:]
        for block in carry:
            self.pool.hold(block)
        length = params["length"]
        rows = [bytes_of(v) // max(length, 1) for v in op.operands[b:]]
        ys = op.results[b - a :]
        made = [self.pool.take(bytes_of(y)) for y in ys]
        sizes = [bytes_of(y) // max(length, 1) for y in ys]
        for turn in range(length - 1, -1, -1) if params["reverse"] else range(length):
            parts = [self.pool.take(n) for n in rows]
            for x, part, n in zip(xs, parts, rows, strict=True):
                if n:
                    self.launcher.copy(x.memory, part.memory, n, turn * n, 0)
            outs = body.run(self, [*consts, *carry, *parts])
            for block in (*carry, *parts):
                self.pool.drop(block)
            carry, fresh = outs[: b - a], outs[b - a :]
            for y, target, n in zip(fresh, made, sizes, strict=True):
                if n:
                    self.launcher.copy(y.memory, target.memory, n, 0, turn * n)
                self.pool.drop(y)
        return [*carry, *made]
