"""portax's contract, met with a client of jaxlib. A driver is a client, a name, and what its devices can do.

What is not in jaxlib (names, options, the blob's header) is here; all that touches jaxlib is in ``portax_pjrt.jaxlib``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from portax.backend import (
    Backend,
    Buffer,
    Capabilities,
    CompileOptions,
    Device,
    Executable,
    ForeignFunction,
    ForeignType,
    Tiling,
    Watch,
)
from portax_pjrt.coordination import COORDINATION
from portax_pjrt.device import PJRTDevice, raw_devices
from portax_pjrt.executable import About, PJRTExecutable
from portax_pjrt.jaxlib import clients, foreign, programs, several, shardings, signature
from portax_pjrt.jaxlib.dtypes import DTYPE_NAMED
from portax_pjrt.jaxlib.shardings import span

#: In the key of all that is kept, so that what was written with another header is not read.
HEADER = 2


class PJRTBackend(Backend):
    """A backend whose devices are those of a client.

    Parameters
    ----------
    client : object, or None
        jaxlib's client; None where there are no devices.
    name : str
        What users call the device; errors say it.
    version : str
        Of the driver.
    capabilities : Capabilities
        Its ``dtypes`` are what may be put on a device.

    Attributes
    ----------
    device : type
        The class of its devices.
    """

    device: ClassVar[type[PJRTDevice]] = PJRTDevice
    coordination = COORDINATION
    #: Where its devices are of several processes: what is known of these.
    watch: Watch | None = None

    def __init__(self, client: Any, *, name: str, version: str, capabilities: Capabilities) -> None:
        self.client, self.name, self.version, self._capabilities = client, name, version, capabilities
        place = COORDINATION.place
        if client is not None and place is not None and span(client.devices()):
            self.process_index, self.process_count, self.watch = place.index, place.count, COORDINATION.watch
        stored = frozenset(DTYPE_NAMED[n] for n in capabilities.dtypes if n in DTYPE_NAMED)
        found = () if client is None else client.devices()
        self._devices = tuple(self.device(self, raw, stored) for raw in found)
        self._cache_key: bytes | None = None
        self._shardings: dict[Any, Any] = {}

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    # What a driver may say of its programs.

    def artifact(self, program: str) -> bytes | None:
        """The program in the form that the compiler wants. None: text will do."""
        return None

    def libraries(self, program: str) -> tuple[str, ...]:
        """Names of what has to be loaded before the program may run."""
        return ()

    def ready(self, libraries: Sequence[str]) -> None:
        """Load them, unless that was done before."""

    # The contract.

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raw, libraries = raw_devices(devices, options), self.libraries(program)
        self.ready(libraries)
        loaded = programs.compile_program(
            self.client, program, raw, self.name,
            fast=options.effort != "full", callbacks=options.callbacks, artifact=self.artifact(program),
        )  # fmt: skip
        results = signature.results_of(program, loaded)
        about = About(
            results=results,
            donated=signature.donated_by(program),
            libraries=libraries,
            tilings=signature.tilings_of(loaded, results, len(raw)) if len(raw) > 1 else None,
            keep=not options.callbacks,  # a Python function does not survive the process
        )
        return PJRTExecutable(loaded, about, devices)

    def deserialize(self, blob: bytes, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        head, _, body = blob.partition(b"\n")
        about = About.read(head)
        self.ready(about.libraries)
        raw = raw_devices(devices, options)
        loaded = programs.load_program(self.client, body, raw, self.name, fast=options.effort != "full")
        return PJRTExecutable(loaded, about, devices)

    def join(
        self, shape: tuple[int, ...], dtype: np.dtype, tiling: Tiling, devices: Sequence[Device], parts: list[Buffer]
    ) -> Buffer:
        key = (tiling, tuple(devices))
        sharding = self._shardings.get(key)
        raw = raw_devices(devices)
        own = raw if self.process_count == 1 else [d for d in raw if d.process_index == self.process_index]
        if sharding is None:
            if len(self._shardings) >= 4096:
                self._shardings.clear()
            sharding = self._shardings[key] = shardings.sharding_over(raw, tiling)
        aval = shardings.Aval(shape, dtype, tiling, len(own) < len(raw))
        return several.join(aval, sharding, parts, own, self.name)

    def parts(self, buffer: Buffer) -> list[Buffer]:
        return several.parts_of(buffer)

    def register_foreign(self, given: ForeignFunction | ForeignType) -> None:
        if isinstance(given, ForeignType):
            foreign.register_type(given, self.name)
        else:
            foreign.register_function(given, self.name)

    def foreign_headers(self) -> str | None:
        return foreign.HEADERS if self.capabilities.foreign else None

    def cache_key(self) -> bytes:
        if self._cache_key is None:
            self._cache_key = f"{self.name} {self.version} {HEADER} {clients.environment(self.client)}".encode()
        return self._cache_key
