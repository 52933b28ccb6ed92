"""All of the contract that a driver cannot do without, and nothing behind it.

Arrays are kept as they are put. A program is not looked at: its results are zeros of the avals that it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import (
    Backend,
    Capabilities,
    CompileError,
    CompileOptions,
    DeletedArrayError,
    Device,
    Executable,
    hookimpl,
)

DTYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16",
     "float32", "float64", "complex64", "complex128"]
)  # fmt: skip


class Buffer:
    def __init__(self, array: np.ndarray) -> None:
        self.array: np.ndarray | None = array


class NullDevice(Device):
    platform, kind, id = "null", "nothing", 0

    def __init__(self, backend: NullBackend) -> None:
        self.backend = backend

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        kept = array.copy()
        kept.flags.writeable = False
        return Buffer(kept)

    def host(self, buffer: Buffer) -> np.ndarray:
        if buffer.array is None:
            raise DeletedArrayError(wrong="an array was deleted or donated", fix="Keep a copy, or do not donate it")
        return buffer.array

    def wait(self, buffer: Buffer) -> None:
        self.host(buffer)

    def ready(self, buffer: Buffer) -> bool:
        self.host(buffer)
        return True

    def delete(self, buffer: Buffer) -> None:
        buffer.array = None

    def deleted(self, buffer: Buffer) -> bool:
        return buffer.array is None

    def copy_to(self, buffer: Buffer, device: Device) -> Any:
        return device.put(self.host(buffer), copy=True)


class NullExecutable(Executable):
    def __init__(self, program: Any, options: CompileOptions, devices: Sequence[Device]) -> None:
        self.devices = tuple(devices)
        # Random keys are stored as numbers.
        self.results = tuple((a.shape, getattr(a.dtype, "storage", a.dtype)) for a in program.out_avals)
        zeros = [np.zeros(shape, dtype) for shape, dtype in self.results]
        for array in zeros:
            array.flags.writeable = False
        donated = options.donated

        def run(buffers: list[Buffer]) -> list[Buffer]:
            for i in donated:
                buffers[i].array = None
            return [Buffer(array) for array in zeros]

        self.run = run


class NullBackend(Backend):
    name, version = "null", "1.0"
    way = "eager"  # programs come as jaxprs

    def __init__(self, options: Mapping[str, str]) -> None:
        self._devices = (NullDevice(self),)

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(dtypes=DTYPES, deterministic=True)

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise CompileError(wrong="null takes no StableHLO", fix="Give the program to portax.jit")

    def compile_program(self, program: Any, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        return NullExecutable(program, options, devices)


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("null", NullBackend)
