"""The cpu backend: XLA's client of the host's processor, with LAPACK. The rest is what all clients share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from portax.backend import (
    BackendError,
    Capabilities,
    CompileError,
    CompileOptions,
    Device,
    Executable,
    hookimpl,
)
from portax_pjrt import PJRTBackend, PJRTDevice
from portax_pjrt.coordination import COORDINATION
from portax_pjrt.jaxlib import clients, lapack
from portax_pjrt.jaxlib.dtypes import DTYPE_NAMED

VERSION = "0.1.0"

CAPABILITIES = Capabilities(
    dtypes=frozenset(DTYPE_NAMED),
    custom_calls=frozenset({"lapack_"}),
    alignment=64,
    denormals=frozenset({"float16"}),  # XLA lets the processor flush those of wider dtypes
    deterministic=True,
    multi_device=True,
    donation=True,
    serialization=True,
    callbacks=True,
    foreign=True,
    asynchronous=True,
)


#: Arrays of numbers of two bits, in a program's text.
_TWO_BITS = re.compile(r"[<x]u?i2>")


class CPUDevice(PJRTDevice):
    """One of the devices that XLA divides the processor into."""

    host_memory = True


class CPUBackend(PJRTBackend):
    """The host's processor, driven through XLA.

    Parameters
    ----------
    options : mapping
        ``devices``: how many devices the processor is divided into (default: the environment variable
        ``PORTAX_CPU_DEVICES``, else what ``XLA_FLAGS`` says, else 1).
    """

    name = "cpu"
    version = VERSION
    device = CPUDevice

    def __init__(self, options: Mapping[str, str]) -> None:
        joined, place = COORDINATION.job, COORDINATION.place
        others = () if joined is None or place is None else (joined, place.index, place.count)
        super().__init__(clients.cpu(_count(options), *others), name="cpu", version=VERSION, capabilities=CAPABILITIES)

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        if len(devices) > 1 and _TWO_BITS.search(program):
            raise CompileError(
                wrong=f"a program for {len(devices)} devices has numbers of two bits, and XLA damages the process's "
                "memory where it moves them from one device of a processor to another",
                fix="Convert them to four or eight bits, or run it on one device",
            )
        return super().compile(program, options, devices)

    def libraries(self, program: str) -> tuple[str, ...]:
        return ("lapack",) if lapack.needs_lapack(program) else ()

    def ready(self, libraries: Sequence[str]) -> None:
        if libraries:
            lapack.ready_lapack()


def _count(options: Mapping[str, str]) -> int | None:
    """How many devices are asked for, None where nobody asks for a number."""
    unknown = sorted(set(options) - {"devices"})
    if unknown:
        raise BackendError(wrong=f"the cpu backend has no option {unknown[0]!r}", fix="Its options are: 'devices'")
    given = options.get("devices") or os.environ.get("PORTAX_CPU_DEVICES") or None
    if given is not None and not (str(given).isdecimal() and int(given) > 0):
        raise BackendError(
            wrong=f"PORTAX_CPU_DEVICES is {given!r}, not a number of devices",
            fix="Set it to a whole number from 1, for example PORTAX_CPU_DEVICES=4",
        )
    return None if given is None else int(given)


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("cpu", CPUBackend)
