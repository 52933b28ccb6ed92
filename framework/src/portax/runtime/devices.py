"""Which devices there are, and which one a computation goes to when nobody said.

Opening a backend costs up to half a second, so it is put off as long as the answer cannot matter: an eager operation
on values in host memory needs to know only whether the default device shares the host's memory, and that stands in the
backend's manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.config import config
from portax.errors import ArgumentError, CompileError
from portax.runtime import plugins
from portax.runtime.contract import Backend, Buffer, Capabilities, CompileOptions, Device, Executable

_default: Device | None = None


def default_device() -> Device:
    """Where a computation goes when none of its operands says otherwise."""
    chosen = config.default_device
    if chosen is not None:
        return as_device(chosen)
    global _default
    if _default is None:
        _default = plugins.installed().open(plugins.installed().default()).devices()[0]
    return _default


def default_is_host() -> bool:
    """Whether the default device's memory is the host's; opens nothing if the manifest says so."""
    global _default_is_host
    chosen = config.default_device
    if chosen is not None:
        return as_device(chosen).host_memory
    if _default_is_host is None:
        _default_is_host = plugins.installed().default_shares_host_memory()
    return _default_is_host


_default_is_host: bool | None = None


def forget() -> None:
    """Look for backends afresh at the next question."""
    global _default, _default_is_host
    _default = _default_is_host = None
    plugins.installed().refresh()


def compiles(device: Device | None) -> bool:
    """Whether the device takes StableHLO; False for one that runs primitives one by one."""
    return (default_device() if device is None else device).backend.compiles


def devices(backend: str | None = None) -> list[Device]:
    """All devices of a backend, by default of the default one.

    Parameters
    ----------
    backend : str, optional
        Its name, such as ``"cpu"``.
    """
    if backend is None:
        return list(default_device().backend.devices())
    return list(plugins.installed().open(backend).devices())


def as_device(x: Any) -> Device:
    """The device meant by a device, a backend's name (its first device), or ``"name:index"``."""
    if isinstance(x, Device):
        return x
    if isinstance(x, str):
        name, _, index = x.partition(":")
        found = plugins.installed().open(name).devices()
        if index and not (index.isdecimal() and int(index) < len(found)):
            raise ArgumentError(
                wrong=f"the backend {name!r} has no device {index}; it has {len(found)}",
                fix=f"Give {name}:0 to {name}:{len(found) - 1}",
            )
        return found[int(index or 0)]
    inner = getattr(x, "device", None) or getattr(x, "_device", None)
    if isinstance(inner, Device):
        return inner
    raise ArgumentError(wrong=f"{x!r} is not a device", fix="Give one of portax.devices()")


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
        ``devices``: how many devices to pretend there are (default 1), for programs meant for several.
    """

    name = "reference"
    version = np.__version__
    compiles = False

    def __init__(self, options: Mapping[str, str]) -> None:
        count = int(options.get("devices", "1"))
        self._devices = tuple(ReferenceDevice(self, i) for i in range(count))

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @property
    def capabilities(self) -> Capabilities:
        names = frozenset(d.name for d in dtypes.ALL)
        return Capabilities(dtypes=names, denormals=names, deterministic=True, multi_device=True)

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise CompileError(
            wrong="the reference device runs primitives one by one and takes no StableHLO",
            fix="Give the program to portax.jit, which hands it over as a jaxpr",
        )
