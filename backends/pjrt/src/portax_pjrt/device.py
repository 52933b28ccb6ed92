"""A device of a client. A buffer is a jaxlib array, never wrapped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from portax.backend import Backend, Buffer, CompileError, CompileOptions, Device, DeviceError, ProcessError, Watch
from portax_pjrt.jaxlib import arrays, lifetime
from portax_pjrt.jaxlib.dtypes import DTYPES
from portax_pjrt.jaxlib.shardings import sharding_on

#: Seconds in which the news of a process's end comes, after a program failed because of it.
NEWS = 3.0


class PJRTDevice(Device):
    """One of a client's devices.

    Parameters
    ----------
    backend : Backend
    raw : object
        jaxlib's device.
    dtypes : collection of dtype, optional
        What may be put on it.
    """

    def __init__(self, backend: Backend, raw: Any, dtypes: Collection[np.dtype] = DTYPES) -> None:
        self.backend, self.raw, self.platform = backend, raw, backend.name
        self.id, self.kind, self.process_index = raw.id, raw.device_kind, raw.process_index
        self._own = raw.process_index == backend.process_index
        self._put = arrays.putter(raw, backend.name, dtypes) if self._own else self._refuse
        self._sharding = sharding_on(raw)
        self._watch: Watch | None = getattr(backend, "watch", None)

    def _refuse(self, *_: object) -> Any:
        raise ProcessError(
            wrong=f"an array was to be put on the device {self}, which is of process {self.process_index}, and this is "
            f"process {self.backend.process_index}",
            fix="Use one of portax.local_devices(), or a sharding over devices of which each process has some",
        )

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        return self._put(array, copy)

    def host(self, buffer: Buffer) -> np.ndarray:
        if self._watch is not None and buffer.aval.spans:
            self._wait_for_others(buffer, self._watch)
        return arrays.host(buffer, self.platform)

    def wait(self, buffer: Buffer) -> None:
        if self._watch is not None and buffer.aval.spans:
            self._wait_for_others(buffer, self._watch)
        else:
            lifetime.wait(buffer, self.platform)

    def _wait_for_others(self, buffer: Buffer, watch: Watch) -> None:
        """Wait for what other processes compute too, as long as they are there."""
        try:
            lifetime.wait_watching(buffer, self.platform, watch.check)
        except DeviceError:
            watch.check_within(NEWS)
            raise

    def ready(self, buffer: Buffer) -> bool:
        return lifetime.is_ready(buffer)

    def delete(self, buffer: Buffer) -> None:
        lifetime.delete(buffer)

    def deleted(self, buffer: Buffer) -> bool:
        return lifetime.is_deleted(buffer)

    def pointer(self, buffer: Buffer) -> int:
        return arrays.pointer(buffer, self.platform)

    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        assert isinstance(device, PJRTDevice)
        if not device._own:
            device._refuse()
        return arrays.copy_to(buffer, device.raw, device._sharding, self.platform)


def raw_devices(devices: Sequence[Device], options: CompileOptions | None = None) -> list[Any]:
    """jaxlib's devices, over which a program for ``options`` is divided."""
    if options is not None and (options.num_replicas != 1 or options.num_partitions != len(devices)):
        raise CompileError(
            wrong=f"the {devices[0].platform} backend was asked for {options.num_replicas} replicas of "
            f"{options.num_partitions} partitions on {len(devices)} devices, and it runs one partition on each",
            fix="Ask for one replica, and as many partitions as there are devices",
        )
    return [device.raw for device in devices if isinstance(device, PJRTDevice)]
