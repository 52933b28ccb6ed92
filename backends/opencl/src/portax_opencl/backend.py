"""The opencl backend: finds devices. What runs on them is the kernel toolkit's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

import pyopencl as cl

from portax.backend import BackendError, hookimpl
from portax.backend.kernels import KernelBackend, Launcher
from portax_opencl.launcher import OpenCLLauncher
from portax_opencl.processors import named
from portax_opencl.threads import Threads, running

VERSION = "0.1.0"
_NOWHERE = -1001  # what the loader says where no implementation is installed


class OpenCLBackend(KernelBackend):
    """All OpenCL devices of one platform.

    Parameters
    ----------
    options : mapping
        ``platform``: part of the name of the platform to use (default: the environment variable
        ``PORTAX_OPENCL_PLATFORM``, else the first that has devices). ``devices``: into how many devices its first one
        is divided (default: ``PORTAX_OPENCL_DEVICES``, else it is not divided).
    """

    name = "opencl"
    version = VERSION

    def launchers(self) -> Sequence[Launcher]:
        unknown = sorted(set(self.options) - {"devices", "platform"})
        if unknown:
            raise BackendError(
                wrong=f"the opencl backend has no option {unknown[0]!r}", fix="Its options are: 'devices', 'platform'"
            )
        before = running()
        found = self._found()
        if not found:
            return []
        workers = Threads(running() - before if found[0].type & cl.device_type.CPU else frozenset())
        for device in found:
            named(device)
        parts = self.options.get("devices") or os.environ.get("PORTAX_OPENCL_DEVICES") or ""
        if parts:
            found = divided(found[0], parts)
        context = cl.Context(found)
        return [OpenCLLauncher(context, device, workers) for device in found]

    def _found(self) -> list[Any]:
        """The devices of the platform that was asked for, or of the first that has any."""
        wanted = self.options.get("platform") or os.environ.get("PORTAX_OPENCL_PLATFORM") or ""
        platforms = installed()
        if wanted:
            chosen = [p for p in platforms if wanted.lower() in p.name.lower()]
            if not chosen:
                names = ", ".join(repr(p.name) for p in platforms) or "none"
                raise BackendError(
                    wrong=f"no OpenCL platform has {wanted!r} in its name; there are: {names}",
                    fix="Set PORTAX_OPENCL_PLATFORM to a part of one of these names, or leave it out",
                )
            platforms = chosen
        for platform in platforms:
            if runs_here(platform):
                devices = platform.get_devices()
                if devices:
                    return devices
        if any(not runs_here(p) for p in platforms):
            self.absence = "PoCL needs the linker ld at run time: install binutils and gcc, as by apt install gcc"
        else:
            self.absence = "no OpenCL device was found; for the processor: pip install 'portax-opencl[pocl]'"
        return []


def installed() -> list[Any]:
    """The OpenCL implementations of this machine."""
    try:
        return cl.get_platforms()
    except cl.LogicError as error:
        if error.code == _NOWHERE:
            return []
        raise BackendError(wrong=f"OpenCL does not answer: {error}", fix="See what clinfo says") from error


def runs_here(platform: Any) -> bool:
    """PoCL calls ld at its first launch, and ends the process where there is none."""
    return "portable computing language" not in platform.name.lower() or shutil.which("ld") is not None


def divided(device: Any, parts: str) -> list[Any]:
    """A device as several, which share its cores: to try out programs for many."""
    if not (parts.isdecimal() and int(parts) > 0):
        raise BackendError(
            wrong=f"PORTAX_OPENCL_DEVICES is {parts!r}, not a number of devices",
            fix="Set it to a whole number from 1, for example PORTAX_OPENCL_DEVICES=4",
        )
    try:
        share = [cl.device_partition_property.BY_COUNTS, 1]
        return [device.create_sub_devices(share)[0] for _ in range(int(parts))]
    except cl.Error as error:
        raise BackendError(
            wrong=f"{device.name} cannot be divided into {parts} devices: {error}",
            fix="Leave PORTAX_OPENCL_DEVICES out",
        ) from error


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("opencl", OpenCLBackend)
