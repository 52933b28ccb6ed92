"""portax's contract for devices that are not here: programs are compiled for them, and nothing runs.

A value that is put on such a device stays a NumPy array. So a program may say how values lie, and small operations
outside of programs are NumPy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import (
    Backend,
    BackendError,
    Buffer,
    Capabilities,
    CompileError,
    CompileOptions,
    Device,
    DeviceError,
    Executable,
    HostDevice,
    ShapeDtype,
    Tiling,
)
from portax_pjrt.jaxlib import collectives, programs, signature, topologies


class AheadBackend(Backend):
    """A backend of devices that a compiler knows and this machine does not have.

    Parameters
    ----------
    raw : sequence
        The devices of a topology (``topologies.devices``).
    target : str
        As users type it.
    version : str
        Of the compiler.
    capabilities : Capabilities
    """

    def __init__(self, raw: Sequence[Any], *, target: str, version: str, capabilities: Capabilities) -> None:
        self.name, self.target, self.version = target.partition(":")[0], target, version
        self._capabilities = capabilities
        self._devices = tuple(AheadDevice(self, one) for one in raw)

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        if options.num_replicas != 1 or options.num_partitions != len(devices):
            raise CompileError(
                wrong=f"{self.target} was asked for {options.num_replicas} replicas of {options.num_partitions} "
                f"partitions on {len(devices)} devices, and a program has one partition on each",
                fix="Ask for one replica, and as many partitions as there are devices",
            )
        raw = [device.raw for device in devices if isinstance(device, AheadDevice)]
        compiled = topologies.compile_ahead(program, raw, self.target, fast=options.effort == "fast")
        results = signature.results_of(program, compiled)
        tilings = signature.tilings_of(compiled, results, len(raw)) if len(raw) > 1 else None
        return AheadExecutable(compiled, results, devices, tilings)

    def join(
        self, shape: tuple[int, ...], dtype: np.dtype, tiling: Tiling, devices: Sequence[Device], parts: list[Buffer]
    ) -> Buffer:
        return tuple(parts)

    def parts(self, buffer: Buffer) -> list[Buffer]:
        return list(buffer)


class AheadDevice(HostDevice):
    """A device that is not here. A buffer is a NumPy array, or a tuple of them where it lies on several."""

    def __init__(self, backend: AheadBackend, raw: Any) -> None:
        super().__init__(backend, raw.id, raw.device_kind)  # of whichever host: this process compiles for all of them
        self.raw = raw

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        stored = self.backend.capabilities.dtypes
        if array.dtype.name not in stored:
            raise BackendError(
                wrong=f"{self.platform} devices do not store {array.dtype}",
                fix=f"Convert it to one of: {', '.join(sorted(stored))}",
            )
        return super().put(array, copy=copy)


class AheadExecutable(Executable):
    """A program that is compiled, and can be looked at and not run."""

    def __init__(
        self, compiled: Any, results: tuple[ShapeDtype, ...], devices: Sequence[Device],
        tilings: tuple[Tiling, ...] | None,
    ) -> None:  # fmt: skip
        self._compiled, self.results, self.devices, self.tilings = compiled, results, tuple(devices), tilings
        self.run = self._refuse

    def _refuse(self, buffers: list[Buffer]) -> list[Buffer]:
        backend: Any = self.devices[0].backend
        raise DeviceError(
            wrong=f"a program was to run on {backend.target}, which is compiled for and is not here",
            fix="Give shapes (portax.ShapeDtypeStruct) instead of arrays that programs compute, "
            'and keep what runs below: if __name__ == "__main__":',
        )

    def cost_analysis(self) -> Mapping[str, float]:
        return topologies.costs(self._compiled)

    def memory_analysis(self) -> Any:
        return self._compiled.get_compiled_memory_stats()

    def collectives(self) -> Mapping[str, tuple[int, int]]:
        return collectives.collectives_in(self.text())

    def text(self) -> str:
        return programs.hlo_text(self._compiled)
