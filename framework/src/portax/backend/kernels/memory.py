"""Device memory, kept for the next array.

A fresh block costs the system a fault for every page, which for large arrays is most of the time a kernel takes; so
blocks that fell free are kept, by size. Sizes are rounded up to a quarter of a power of two: that wastes an eighth on
average, and a program's next run finds the blocks of its last.

Invariant: a block with no holders is in the pool or given back; what is held is never handed out again.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from portax.backend.kernels.launcher import Launcher
from portax.errors import OutOfDeviceMemory


class Block:
    """A piece of device memory.

    Attributes
    ----------
    memory : the driver's own object
    size : int
        In bytes; at least what was asked for.
    holders : int
    """

    __slots__ = ("holders", "memory", "size")

    def __init__(self, memory: Any, size: int) -> None:
        self.memory, self.size, self.holders = memory, size, 1


def rounded(size: int) -> int:
    """The size of the block that is taken for ``size`` bytes."""
    if size <= 256:
        return 256
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step


class Pool:
    """The memory of one device.

    Attributes
    ----------
    launcher : Launcher
    in_use, kept : int
        Bytes of blocks that are held, and of blocks that wait for their next use.
    """

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self.in_use = self.kept = self.most = 0
        self._free: dict[int, list[Any]] = collections.defaultdict(list)
        # A finaliser may run in the middle of any of these, in the same thread.
        self.lock = threading.RLock()

    def take(self, size: int) -> Block:
        """A block of at least ``size`` bytes, held once.

        Raises
        ------
        OutOfDeviceMemory
            There is no room, even after all that was kept has been given back.
        """
        return self.take_all([rounded(size)])[0]

    def take_all(self, sizes: Sequence[int]) -> list[Block]:
        """A block of each size, which `rounded` gave, held once."""
        blocks: list[Block] = []
        with self.lock:
            for size in sizes:
                waiting = self._free.get(size)
                if waiting:
                    memory = waiting.pop()
                    self.kept -= size
                else:
                    try:
                        memory = self._fresh(size)
                    except BaseException:
                        self.drop_all(blocks)
                        raise
                self.in_use += size
                blocks.append(Block(memory, size))
            self.most = max(self.most, self.in_use)
        return blocks

    def _fresh(self, size: int) -> Any:
        if size > self.launcher.limit:
            raise OutOfDeviceMemory(
                wrong=f"an array of {size} bytes is larger than the {self.launcher.limit} that {self.launcher.kind} "
                "allows in one piece",
                fix="Divide it, or compute on another device",
            )
        try:
            return self.launcher.allocate(size)
        except OutOfDeviceMemory:
            self.trim()
            return self.launcher.allocate(size)

    def hold(self, block: Block) -> Block:
        """One holder more."""
        with self.lock:
            block.holders += 1
        return block

    def hold_all(self, blocks: Iterable[Block]) -> None:
        """One holder more of each."""
        with self.lock:
            for block in blocks:
                block.holders += 1

    def drop(self, block: Block) -> None:
        """One holder less."""
        self.drop_all((block,))

    def drop_all(self, blocks: Iterable[Block]) -> None:
        """One holder less of each."""
        with self.lock:
            for block in blocks:
                block.holders -= 1
                if not block.holders:
                    self._free[block.size].append(block.memory)
                    self.in_use -= block.size
                    self.kept += block.size

    def trim(self) -> None:
        """Give back all that waits."""
        with self.lock:
            self.launcher.wait()
            for waiting in self._free.values():
                while waiting:
                    self.launcher.release(waiting.pop())
            self.kept = 0
