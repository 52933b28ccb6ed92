"""Plugins that vendors publish for JAX, each a backend of portax under the name of its platform.

A plugin is opened in steps, and each may refuse in one line: its code registers it (``registrations``), its library is
loaded and speaks a version that jaxlib speaks, both sides agree on a version of StableHLO, its client starts, and its
devices are asked what they can do (``asking``). Nothing of it is assumed.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import (
    Backend,
    BackendError,
    Buffer,
    Capabilities,
    CompileOptions,
    Device,
    Executable,
    hookimpl,
)
from portax_pjrt import asking
from portax_pjrt.backend import PJRTBackend
from portax_pjrt.device import PJRTDevice
from portax_pjrt.jaxlib import plugins, programs
from portax_pjrt.registrations import Registration, registration


class PluginDevice(PJRTDevice):
    """A device of a plugin, whose memory may be anywhere."""

    backend: PluginBackend

    def host(self, buffer: Buffer) -> np.ndarray:
        return self.backend.read(buffer, self.platform)

    def pointer(self, buffer: Buffer) -> int:
        raise BackendError(
            wrong=f"arrays of the {self.platform} device have no address that portax knows",
            fix="Read the values with numpy.asarray",
        )


class PluginBackend(PJRTBackend):
    """The devices of a plugin.

    Parameters
    ----------
    found : Registration
    client : object
        jaxlib's client of it.
    name : str
    """

    device = PluginDevice

    def __init__(self, found: Registration, client: Any, name: str) -> None:
        self._said = plugins.attributes(client)
        self._words = plugins.agreed(self._said)
        interface = plugins.dotted(plugins.api_version(plugins.load(found.name, found.library)))
        self._library = _identity(found.library)

        def compile(program: str, raw: Sequence[Any]) -> Any:
            return programs.compile_program(client, program, raw, name, artifact=self.artifact(program))

        self.name = name
        able, self.read = asking.capabilities(client, name, compile)
        super().__init__(client, name=name, version=interface, capabilities=able)
        agreed = "text" if self._words is None else plugins.dotted(self._words)
        self.about = f"PJRT {interface}, StableHLO {agreed}"

    def artifact(self, program: str) -> bytes | None:
        if self._words is None:
            return None
        return plugins.artifact(program, self._words, self._said.shardy, self.name)

    def cache_key(self) -> bytes:
        return super().cache_key() + repr((self._library, self._words)).encode()


class Absent(Backend):
    """A plugin that loads and finds no device on this machine."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.version, self.absence = name, "", why

    def devices(self) -> tuple[Device, ...]:
        return ()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise BackendError(wrong=f"{self.name} has no device here: {self.absence}", fix="Choose another device")


#: How plugins say that all is well but there is nothing to drive.
_NOTHING_THERE = re.compile(r"\bno (\S+ )?(devices?|chips?|gpus?|tpus?|accelerators?)\b", re.IGNORECASE)


def open_plugin(name: str, source: str, options: Mapping[str, str]) -> Backend:
    """The backend of what ``source``, a module or a library, registers as ``name``.

    Raises
    ------
    BackendError
        In one line, what does not fit.
    """
    try:
        found = registration(name, source)
        client = found.client(options)
    except plugins.ClientError as error:
        if _NOTHING_THERE.search(str(error)):
            return Absent(name, str(error))
        raise BackendError(
            wrong=f"its client did not start: {error}", fix="Mend what it names, or remove the plugin"
        ) from None
    except BackendError as error:
        if _NOTHING_THERE.search(error.wrong):
            return Absent(name, error.wrong)
        raise
    if not client.local_devices():
        return Absent(name, "it starts, and has no device")
    return PluginBackend(found, client, name)


def _identity(library: str | None) -> tuple[str, int, int]:
    """What tells one build of a library from the next."""
    if library is None:
        return "", 0, 0
    file = os.stat(library)
    return os.path.basename(library), file.st_size, file.st_mtime_ns


@hookimpl
def portax_register_backend(register: Any, adopted: Mapping[str, str]) -> None:
    for name, source in adopted.items():
        register(name, functools.partial(open_plugin, name, source))
