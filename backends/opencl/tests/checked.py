"""Runs cases of the suite on Oclgrind, an OpenCL device that watches what kernels do with memory, and reads its log.

``python checked.py LOG COUNT`` is a process of its own, since what OpenCL opens is settled once for a process. It
prints a line of JSON for each thing that it ran: what became of it, and what Oclgrind said meanwhile.

Some things are done so that little can hide. Blocks of memory are just as large as was asked, and none is used a second
time: a place beyond the end is nobody's. Each is filled with ones, which is NaN for floats: of a block that comes from
the system the checker does not always know that nothing was written yet, but a case that reads it then gives a wrong
result. Every element is worth a work-item, as on graphics cards, since work-items race with others only; by turns
neighbours take neighbouring rows, and blocks of rows.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

import portax as px
from portax.backend.kernels import memory, plan
from portax_conformance import bits, rows, worker
from portax_conformance.outcomes import PASS, UNSUPPORTED
from portax_conformance.selection import rank

#: Families that ask for thousands of calls, or for devices that Oclgrind does not have.
LEFT_OUT = ("memory", "declared", "open")
#: Laws that several threads try at once: Oclgrind is made for one.
ALONE = ("threads",)

#: Faults that a kernel can have, each in a program as the launcher takes it, and what the checker says of each.
HEAD = """
__kernel void portax_stage(const int stage, __global uchar *b0, __global uchar *b1) {
  const long w = get_global_id(0);
  __global float *x = (__global float *)b0, *y = (__global float *)b1;
"""
PLANTED = {
    "nothing": ("y[w] = x[w];", ""),
    "a place beyond the end is written": ("y[w + 1] = x[w];", "Invalid write"),
    "a place beyond the end is read": ("y[w] = x[w + 1];", "Invalid read"),
    "two work-items write to one place": ("y[w / 2] = x[w];", "data race"),
    "one work-item reads what another writes": ("y[w] = w ? y[w - 1] : x[w];", "data race"),
    "a local array is read before it is written": ("float a[4]; a[1] = x[w]; y[w] = a[w % 4];", "Uninitialized"),
}


class Log:
    """What Oclgrind wrote since it was last asked."""

    def __init__(self, path: str) -> None:
        self.path, self.at = path, 0

    def fresh(self) -> str:
        if not os.path.exists(self.path):
            return ""
        with open(self.path, errors="replace") as file:
            file.seek(self.at)
            said = file.read()
            self.at = file.tell()
        return said.strip()


class Poisoned(memory.Pool):
    """Memory that is given out once, filled with ones."""

    def take_all(self, sizes: Sequence[int]) -> list[memory.Block]:
        blocks = [memory.Block(self._fresh(size), size) for size in sizes]
        for block in blocks:
            self.launcher.write(block.memory, np.full(block.size, 0xFF, np.uint8))
        with self.lock:
            self.in_use += sum(sizes)
        return blocks

    def drop_all(self, blocks: Iterable[memory.Block]) -> None:
        with self.lock:
            for block in blocks:
                block.holders -= 1
                if not block.holders:
                    self.in_use -= block.size
                    self.launcher.release(block.memory)


def exact(size: int) -> int:
    """The size of the block for so many bytes: no larger, for a place beyond the end to be nobody's."""
    return max(size, 1)


class Counting:
    """A launcher, and how many kernels it launched."""

    def __init__(self, launcher: Any) -> None:
        self.count, self._launch = 0, launcher.launch
        launcher.launch = self

    def __call__(self, *given: Any) -> None:
        self.count += 1
        self._launch(*given)


def by_host(launcher: Any) -> Any:
    """How a launcher copies, by way of the host: of a copy on the device the checker does not see that it writes."""

    def copy(source: Any, target: Any, size: int, start: int = 0, at: int = 0) -> None:
        ends = [np.empty(n, np.uint8) for n in (start + size, at + size)]
        launcher.read(source, ends[0])
        launcher.read(target, ends[1])
        ends[1][at:] = ends[0][start:]
        launcher.write(target, ends[1])

    return copy


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def chosen() -> Iterator[str]:
    """Ids of the suite's cases on one device: one of each family by turns, in an order drawn for them."""
    with px.enable_x64(True):
        found = rows.rows(["opencl"], "L2")
    of: dict[str, list[str]] = {}
    for row in sorted(found, key=lambda row: rank(0, row.id)):
        family = row.id.partition("/")[0]
        if row.backend and row.gap is None and row.law not in ALONE and family not in LEFT_OUT:
            of.setdefault(family, []).append(row.id)
    for turn in range(max(map(len, of.values()))):
        for ids in of.values():
            if turn < len(ids):
                yield ids[turn]


def cases(log: Log, turns: Iterator[bool], device: Any, kernels: Counting, count: int) -> None:
    """So many cases that launch kernels."""
    left = count
    for id in chosen():
        if not left:
            break
        tell(begun=id)
        device.launcher.dialect.strided, before = next(turns), kernels.count
        with px.enable_x64(True):
            told = worker.attempt(id)
        if told["outcome"] == PASS and kernels.count == before:
            continue  # its law only compiles
        if told["outcome"] != UNSUPPORTED:
            left -= 1
            count = kernels.count - before
            tell(id=id, outcome=told["outcome"], words=told["words"], kernels=count, reports=log.fresh())


def programs(log: Log, turns: Iterator[bool], device: Any, kernels: Counting) -> None:
    """The programs of the suite, differentiated."""
    for group in bits.questions(["*/gradient/float32"], primitives=False):
        device.launcher.dialect.strided, before = next(turns), kernels.count
        found = bits.answers(device, iter([group]))
        whole = bool(found.arrays) and all(np.isfinite(a.value).all() for a in found.arrays)
        words = "; ".join(found.failed.values()) or ("" if whole else "it gives what is no finite number")
        outcome, count = "fail" if words else PASS, kernels.count - before
        tell(id=group[0].name, outcome=outcome, words=words, kernels=count, reports=log.fresh())


def planted(log: Log, device: Any) -> None:
    """What the checker says of faults."""
    launcher = device.launcher
    for name, (line, expected) in PLANTED.items():
        built = launcher.build(f"{HEAD}  {line}\n}}\n")
        x, y = (launcher.allocate(32) for _ in range(2))
        for block in (x, y):
            launcher.write(block, np.arange(8, dtype=np.float32))
        launcher.launch(built, 0, [x, y], 8)
        launcher.wait()
        tell(planted=name, expected=expected, reports=log.fresh())


def main(path: str, count: str) -> None:
    log = Log(path)
    (device,) = px.devices("opencl")
    tell(device=device.kind)
    planted(log, device)
    device.pool, kernels, turns = Poisoned(device.launcher), Counting(device.launcher), itertools.cycle((True, False))
    device.launcher.copy = by_host(device.launcher)
    memory.rounded = plan.rounded = exact
    device.launcher.dialect.worth, device.launcher.dialect.items = 1, 64
    programs(log, turns, device, kernels)
    cases(log, turns, device, kernels, int(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
