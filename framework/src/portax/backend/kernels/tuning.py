"""How many rows the tiles of a product have, by trying: a few are timed on the device, once for all products alike.

Which tiles are quickest follows from registers, caches and what a compiler makes of loops, none of which a device says.
The number of rows changes no bit of a result and nothing of what is stored, so it may be found out by timing. Products
whose sides have the same powers of two, of one dtype, are alike. The answer is kept in the compile cache, under what it
depends on: the kernel's text, the device, its driver's version, the machine's processor.

Invariant: a process tries one number that was not tried before, and others as long as they are expected to end within
``BUDGET``; what there was no time for the next process tries. The dialect's own number stays unless another is clearly
quicker.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from portax.backend.kernels.binaries import processor
from portax.backend.kernels.emit import Functions
from portax.backend.kernels.plan import Plan, bytes_of
from portax.backend.kernels.products import TILES, Rows
from portax.backend.kernels.program import Operation, Program, Value
from portax.core import dtypes
from portax.core.aval import Aval
from portax.errors import CompileError, DeviceError, OutOfDeviceMemory
from portax.runtime.cache import disk_cache, entry_key

if TYPE_CHECKING:
    from portax.backend.kernels.device import KernelDevice

#: Of what is kept; another number forgets all answers.
EDITION = 1
#: Multiplications below which a product is not worth a trial, and to which a trial's sides are brought down.
LEAST, MOST = 1 << 26, 1 << 28
#: Seconds in which all trials of one kind are to be done, compilers included.
BUDGET = 1.0
#: How often each is timed, and how much quicker than the dialect's own another has to be.
TIMES, CLEARLY = 3, 0.97

#: (dtype, groups, rows, columns, sum, columns of a panel); sides are powers of two.
Kind = tuple[str, int, int, int, int, int]


class Tuner:
    """The answers for one device.

    Attributes
    ----------
    known : dict of Kind to int
    clock : callable
    """

    clock = staticmethod(time.perf_counter)

    def __init__(self, device: KernelDevice) -> None:
        self.device, self.known = device, dict[Kind, int]()
        self._lock = threading.Lock()

    def choosing(self, told: dict[str, int]) -> Callable[[Operation], int]:
        """The rows of a product's tiles, by the product. ``told`` gets what was found out by timing, in words."""

        def rows(op: Operation) -> int:
            kind = kind_of(op)
            if kind is None:
                return self.device.launcher.dialect.tile
            groups, lines, columns, inner, _ = op.params["sides"]
            told[f"{groups} times {lines} x {inner} by {inner} x {columns}"] = found = self.rows(kind)
            return found

        return rows

    def rows(self, kind: Kind) -> int:
        """The quickest of products of a kind."""
        with self._lock:
            if kind not in self.known:
                self.known[kind] = self._kept(kind)
        return self.known[kind]

    def _kept(self, kind: Kind) -> int:
        """From disk as far as it was tried before, and measured as far as it was not."""
        cache, candidates = disk_cache(), self.candidates()
        if cache is None:
            return self._measured(kind, candidates, [])[0]
        first = Trial(self.device, kind, candidates[0])
        key = entry_key(first.text, repr(("tiles", EDITION, kind, candidates)).encode(), self._device())
        best, *tried = _numbers(cache.get(key), candidates) or [candidates[0]]
        left = [rows for rows in candidates if rows not in tried]
        if left:
            best, *now = self._measured(kind, [best, *[rows for rows in left if rows != best]], tried)
            cache.put(key, " ".join(map(str, [best, *dict.fromkeys([*tried, *now])])).encode())
        return best

    def _device(self) -> bytes:
        launcher = self.device.launcher
        said = processor(), launcher.kind, launcher.edition, self.device.toolchain, self.device.backend.cache_key()
        return repr(said).encode()

    def candidates(self) -> list[int]:
        """The numbers of rows to try, the dialect's own first."""
        own = self.device.launcher.dialect.tile
        return list(dict.fromkeys([own, own + own // 2, max(own // 2, 1)]))

    def _measured(self, kind: Kind, candidates: list[int], before: list[int]) -> list[int]:
        """The quickest, and all that were tried: one at least that was not ``before``, then as there is time.

        What cannot be tried, for want of memory or registers, is not the quickest.
        """
        tried: list[int] = []
        best, least = candidates[0], math.inf
        began = last = self.clock()
        for rows in candidates:
            now = self.clock()
            if set(tried) - set(before) and now - began + (now - last) > BUDGET:  # it may take as long as the last did
                break
            last = now
            tried.append(rows)
            try:
                seconds = self.seconds(kind, rows)
            except (CompileError, DeviceError, OutOfDeviceMemory):
                continue
            if seconds < least:
                best, least = rows, seconds * (CLEARLY if len(tried) == 1 else 1)
        return [best, *tried]

    def seconds(self, kind: Kind, rows: int) -> float:
        """How long a product of a kind takes."""
        return Trial(self.device, kind, rows).seconds()


def _numbers(blob: bytes | None, candidates: list[int]) -> list[int]:
    """What was kept: the quickest, and what was tried. Nothing where it is none of ours."""
    found = [int(word) for word in (blob or b"").split() if word.isdigit()]
    return found if len(found) > 1 and set(found) <= set(candidates) else []


def kind_of(op: Operation) -> Kind | None:
    """Of a product worth a trial."""
    *sides, width = op.params["sides"]
    dtype = op.operands[1].dtype
    if type(op.params["layout"]) is not Rows or not dtypes.is_float(dtype) or math.prod(sides) < LEAST:
        return None
    groups, rows, columns, inner = [1 << (n.bit_length() - 1) for n in sides]
    while groups * rows * columns * inner > MOST:  # of the longest side half is as good
        longest = max(groups, rows, columns, inner)
        if groups == longest:
            groups //= 2
        elif rows == longest:
            rows //= 2
        elif inner == longest:
            inner //= 2
        else:
            columns //= 2
    return dtype.name, groups, rows, columns, inner, width


class Trial:
    """A product of some kind by itself, in tiles of some rows."""

    def __init__(self, device: KernelDevice, kind: Kind, rows: int) -> None:
        name, groups, lines, columns, inner, width = kind
        dtype = np.dtype(name)
        shapes = (groups, lines, inner), (groups, -(-columns // width), inner, width), (groups, lines, columns)
        self.device, self.program = device, Program()
        left, packed = self.program.inputs = [Value(Aval(s, dtype), i) for i, s in enumerate(shapes[:2])]
        said = {"sides": (groups, lines, columns, inner, width), "layout": Rows((1, 1))}
        op = Operation(TILES, [left, packed], said, None)
        out = Value(Aval(shapes[2], dtype), 2, op)
        out.before |= left.before | packed.before
        left.users, packed.users, op.results = [op], [op], [out]
        self.program.operations, self.program.outputs, self.program.values = [op], [out], [left, packed, out]
        dialect = device.launcher.dialect
        functions = Functions(dialect)
        functions.rows = lambda op: rows
        kernels: list[Any] = []
        self.plan = Plan(self.program, functions, kernels)
        self.text = dialect.program(kernels, functions.written)

    def seconds(self) -> float:
        """How long it takes, at best; with its compilation done before."""
        launcher, pool = self.device.launcher, self.device.pool
        program = self.device.backend.built(self.device, self.text)  # pyright: ignore[reportAttributeAccessIssue]
        (step,) = self.plan.steps
        values = [*step.reads, *step.writes]
        assert step.kernel is not None
        with _blocks(pool, [bytes_of(v) for v in values]) as blocks:
            for block, v in zip(blocks[:2], values, strict=False):
                launcher.write(block.memory, np.zeros(v.shape, v.dtype))  # numbers that no processor is slow with
            least = math.inf
            for turn in range(1 + TIMES):
                launcher.wait()
                began = time.perf_counter()
                launcher.launch(program, 0, [block.memory for block in blocks], step.kernel.items)
                launcher.wait()
                if turn:  # the first also compiles, on some devices
                    least = min(least, time.perf_counter() - began)
        return least


class _blocks:
    """Memory for a while."""

    def __init__(self, pool: Any, sizes: list[int]) -> None:
        self.pool, self.sizes = pool, sizes

    def __enter__(self) -> list[Any]:
        self.held = [self.pool.take(size) for size in self.sizes]
        return self.held

    def __exit__(self, *what: Any) -> None:
        self.pool.drop_all(self.held)

