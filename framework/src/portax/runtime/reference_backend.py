"""The reference device as a backend: it shows the contract's face, and is handed jaxprs instead of StableHLO.

How it runs them stands in ``runtime.reference``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from portax.core import dtypes
from portax.errors import BackendError, CompileError
from portax.runtime.contract import Backend, Capabilities, CompileOptions, Device, Executable
from portax.runtime.host_devices import HostDevice


class ReferenceDevice(HostDevice):
    """The host itself."""

    def __init__(self, backend: Backend, index: int) -> None:
        super().__init__(backend, index, "NumPy")


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
        return Capabilities(dtypes=names, denormals=names, deterministic=True, callbacks=True)

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise CompileError(
            wrong="the reference device runs primitives one by one and takes no StableHLO",
            fix="Give the program to portax.jit, which hands it over as a jaxpr",
        )
