"""A backend made of a dialect and a launcher: all that a driver of the kernel-language kind leaves to the toolkit.

Buffers count the holders of their memory, so a program may hand an argument back as its result without copying it, and
what a program's last reader has been launched for goes to the next array at once.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import refusals
from portax.backend.kernels import convolutions, maps, partials, products, reductions, running, scatters, sorts
from portax.backend.kernels.analysis import costs_of, memory_of
from portax.backend.kernels.binaries import built
from portax.backend.kernels.emit import RULES, Functions
from portax.backend.kernels.launcher import Launcher
from portax.backend.kernels.libraries import Libraries
from portax.backend.kernels.memory import Block, Pool
from portax.backend.kernels.plan import Plan, Runner, bytes_of, stored_as
from portax.backend.kernels.program import Reader
from portax.backend.kernels.report import report
from portax.backend.kernels.schedule import CUSTOM
from portax.backend.kernels.tuning import Tuner
from portax.core.config import config
from portax.core.dtypes import KeyDtype
from portax.core.jaxpr import ClosedJaxpr
from portax.runtime.contract import (
    Backend,
    Buffer,
    Capabilities,
    CompileOptions,
    Device,
    Executable,
    MemoryUse,
    ShapeDtype,
)

# They register rules.
assert convolutions and maps and partials and products and reductions and running and scatters and sorts

NATIVE = frozenset(RULES) | frozenset(CUSTOM)

#: What the dialect of plain C can say; a driver takes away what its language or its device lacks.
DTYPES = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16",
     "float32", "float64", "complex64", "complex128"}
)  # fmt: skip


class KernelBuffer:
    """An array in a device's memory.

    Attributes
    ----------
    block : Block or None
        None once it was deleted.
    """

    __slots__ = ("block", "device", "dtype", "nbytes", "shape")

    def __init__(self, block: Block, shape: tuple[int, ...], dtype: Any, nbytes: int, device: KernelDevice) -> None:
        self.block: Block | None = block
        self.shape, self.dtype, self.nbytes, self.device = shape, dtype, nbytes, device

    def held(self) -> Block:
        """Its memory.

        Raises
        ------
        DeletedArrayError
            It was deleted or donated.
        """
        if self.block is None:
            raise refusals.deleted(self)
        return self.block

    def hold(self) -> Block:
        """Its memory, held once more: it is then not given away, whatever other threads do with the buffer."""
        pool = self.device.pool
        with pool.lock:
            return pool.hold(self.held())

    def release(self) -> None:
        """Let go of its memory."""
        pool = self.device.pool
        with pool.lock:
            block, self.block = self.block, None
            if block is not None:
                pool.drop(block)

    __del__ = release


class KernelDevice(Device):
    """A device that runs the toolkit's kernels.

    Parameters
    ----------
    backend : KernelBackend
    index : int
    launcher : Launcher
    """

    def __init__(self, backend: KernelBackend, index: int, launcher: Launcher) -> None:
        self.backend, self.id, self.launcher = backend, index, launcher
        self.platform, self.kind = backend.name, launcher.kind
        self.pool = Pool(launcher)
        self.tuner = Tuner(self)

    @functools.cached_property
    def toolchain(self) -> bytes:
        """The launcher's ``cache_key``, which may have to start a compiler to tell."""
        return self.launcher.cache_key()

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        contiguous = np.ascontiguousarray(array).reshape(array.shape)
        block = self.pool.take(contiguous.nbytes)
        if contiguous.nbytes:
            self.launcher.write(block.memory, contiguous)
        return KernelBuffer(block, array.shape, array.dtype, contiguous.nbytes, self)

    def host(self, buffer: Buffer) -> np.ndarray:
        block = buffer.hold()
        out = np.empty(buffer.shape, buffer.dtype)
        try:
            if buffer.nbytes:
                self.launcher.read(block.memory, out)
        finally:
            self.pool.drop(block)
        out.flags.writeable = False
        return out

    def wait(self, buffer: Buffer) -> None:
        buffer.held()
        self.launcher.wait()

    def ready(self, buffer: Buffer) -> bool:
        buffer.held()
        return self.launcher.idle()

    def delete(self, buffer: Buffer) -> None:
        buffer.release()

    def deleted(self, buffer: Buffer) -> bool:
        return buffer.block is None

    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        if device is not self:
            return device.put(self.host(buffer), copy=False)
        block = self.pool.take(buffer.nbytes)
        if buffer.nbytes:
            self.launcher.copy(buffer.held().memory, block.memory, buffer.nbytes)
        return KernelBuffer(block, buffer.shape, buffer.dtype, buffer.nbytes, self)

    def memory_stats(self) -> Mapping[str, int]:
        return {
            "bytes_in_use": self.pool.in_use,
            "peak_bytes_in_use": self.pool.most,
            "bytes_reserved": self.pool.in_use + self.pool.kept,
            "bytes_limit": self.launcher.limit,
        }


class KernelExecutable(Executable):
    """A program of kernels on one device."""

    def __init__(self, closed: ClosedJaxpr, options: CompileOptions, device: KernelDevice) -> None:
        backend = device.backend
        assert isinstance(backend, KernelBackend)
        dialect = device.launcher.dialect
        functions = Functions(dialect)
        self.tiles: dict[str, int] = {}
        if config.tune:
            functions.rows = device.tuner.choosing(self.tiles)
        self.libraries = None if options.reproducible else Libraries(device.launcher)
        self.program = Reader(NATIVE, backend.name, self.libraries).read(closed)
        self.kernels: list[Any] = []
        self.functions, self.twice = functions.written, functions.twice
        self.plan = Plan(self.program, functions, self.kernels)
        self.source = dialect.program(self.kernels, functions.written) if self.kernels else ""
        self.devices, self.tilings = (device,), None
        self.results: tuple[ShapeDtype, ...] = tuple(stored_as(v.shape, v.dtype) for v in self.program.outputs)
        built = backend.built(device, self.source) if self.kernels else None
        self.plan.place_constants(device.pool)
        runner = Runner(device.pool, built)
        results = [(*r, bytes_of(v)) for r, v in zip(self.results, self.program.outputs, strict=True)]
        plan, pool, donated = self.plan, device.pool, options.donated

        def run(buffers: list[Buffer]) -> list[Buffer]:
            held: list[Block] = []
            try:
                with pool.lock:
                    for buffer in buffers:
                        held.append(buffer.held())
                        held[-1].holders += 1
                outs = plan.run(runner, held)
            finally:
                pool.drop_all(held)
            for i in donated:
                buffers[i].release()
            return [KernelBuffer(b, s, d, n, device) for b, (s, d, n) in zip(outs, results, strict=True)]

        self.run = run

    def text(self) -> str:
        return self.source

    def cost_analysis(self) -> Mapping[str, float]:
        return costs_of(self.plan, self.functions)

    def memory_analysis(self) -> MemoryUse:
        return memory_of(self.plan)

    def report(self) -> str:
        """What is computed together, for people."""
        tried = [f"{what}: tiles of {rows} rows, as they were timed" for what, rows in self.tiles.items()]
        return "\n".join(report(self.plan, bytes_of) + tried + self.freedoms())

    def freedoms(self) -> list[str]:
        """What of results may differ from those of other devices, in words: as a rule nothing."""
        said = []
        if self.twice:
            said.append(
                f"products of {' and '.join(sorted(self.twice))} round each product and each sum: this device does not"
                " multiply and add at once, and those that do give other bits"
            )
        if self.libraries is not None:
            said += [f"{what}: by kernels, since {why}" for what, why in self.libraries.refused.items()]
            said.append("not reproducible on other devices, as asked for: libraries may compute products")
        return said


class KernelBackend(Backend):
    """A backend of the kernel-language kind. A driver subclasses it, names it, and opens its ``launchers``."""

    way = "kernels"

    def __init__(self, options: Mapping[str, str]) -> None:
        self.options = dict(options)
        self._programs: dict[tuple[KernelDevice, str], Any] = {}
        self._lock = threading.Lock()
        self._devices = tuple(KernelDevice(self, i, launcher) for i, launcher in enumerate(self.launchers()))

    def launchers(self) -> Sequence[Launcher]:
        """One launcher for each device there is."""
        raise NotImplementedError(f"{type(self).__name__} opens no devices")

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @functools.cached_property
    def capabilities(self) -> Capabilities:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What kernels can do, with the dtypes that all of the devices spell."""
        dialects = [d.launcher.dialect for d in self._devices]
        known = [name for name in DTYPES if all(dialect.spells(name) for dialect in dialects)]
        return Capabilities(
            dtypes=frozenset(known), deterministic=True, donation=True, callbacks=True, asynchronous=True
        )

    def built(self, device: KernelDevice, text: str) -> Any:
        """A program of the driver's language, built once in this process, and compiled once by all of them."""
        key = (device, text)
        known = self._programs.get(key)
        if known is None:
            with self._lock:
                known = self._programs.get(key)
                if known is None:
                    known = self._programs[key] = built(device, text)
        return known

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise refusals.stablehlo(self.name, "kernels")

    def compile_program(self, program: Any, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        device = refusals.the_one(devices, self.name)
        for aval in (*program.in_avals, *program.out_avals):
            if not isinstance(aval.dtype, KeyDtype) and aval.dtype.name not in self.capabilities.dtypes:
                raise refusals.dtype(self.name, aval.dtype.name)
        assert isinstance(device, KernelDevice)
        return KernelExecutable(program, options, device)
