"""The reference device as a backend: it shows the contract's face, and is handed jaxprs instead of StableHLO.

How it runs them stands in ``runtime.reference``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from portax.core import dtypes
from portax.errors import BackendError, CompileError
from portax.runtime.contract import Backend, Buffer, Capabilities, CompileOptions, Device, Executable


class ReferenceDevice(Device):
    """The host itself; a buffer is a NumPy array that nobody writes to."""

    platform = "reference"
    kind = "NumPy"
    host_memory = True

    def __init__(self, backend: Backend, index: int) -> None:
        self.backend, self.id = backend, index

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        return array.copy() if copy else array

    def host(self, buffer: Buffer) -> np.ndarray:
        return buffer

    def wait(self, buffer: Buffer) -> None:
        return None

    def ready(self, buffer: Buffer) -> bool:
        return True

    def delete(self, buffer: Buffer) -> None:
        """Nothing to do: the memory goes with the last reference."""

    def deleted(self, buffer: Buffer) -> bool:
        return False

    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        return buffer

    def pointer(self, buffer: Buffer) -> int:
        return buffer.ctypes.data


class ReferenceBackend(Backend):
    """Runs every primitive by its NumPy meaning.

    Parameters
    ----------
    options : mapping
        ``devices``: how many devices to pretend there are, for programs meant for several (default: the environment
        variable ``PORTAX_REFERENCE_DEVICES``, else 1).

    Raises
    ------
    BackendError
        That is no number of devices.
    """

    name = "reference"
    version = np.__version__
    compiles = False

    def __init__(self, options: Mapping[str, str]) -> None:
        given = options.get("devices") or os.environ.get("PORTAX_REFERENCE_DEVICES") or "1"
        if not (str(given).isdecimal() and int(given) > 0):
            raise BackendError(
                wrong=f"PORTAX_REFERENCE_DEVICES is {given!r}, not a number of devices",
                fix="Set it to a whole number from 1, for example PORTAX_REFERENCE_DEVICES=4",
            )
        self._devices = tuple(ReferenceDevice(self, i) for i in range(int(given)))

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @property
    def capabilities(self) -> Capabilities:
        names = frozenset(d.name for d in dtypes.ALL)
        return Capabilities(dtypes=names, denormals=names, deterministic=True)

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise CompileError(
            wrong="the reference device runs primitives one by one and takes no StableHLO",
            fix="Give the program to portax.jit, which hands it over as a jaxpr",
        )
