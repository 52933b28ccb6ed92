"""A device of a client. A buffer is a jaxlib array, never wrapped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from portax.backend import Backend, Buffer, CompileError, CompileOptions, Device
from portax_pjrt.jaxlib import arrays, lifetime
from portax_pjrt.jaxlib.dtypes import DTYPES
from portax_pjrt.jaxlib.shardings import sharding_on


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
        self._put = arrays.putter(raw, backend.name, dtypes)
        self._sharding = sharding_on(raw)

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        return self._put(array, copy)

    def host(self, buffer: Buffer) -> np.ndarray:
        return arrays.host(buffer, self.platform)

    def wait(self, buffer: Buffer) -> None:
        lifetime.wait(buffer, self.platform)

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
