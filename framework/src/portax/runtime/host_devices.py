"""Devices whose buffers are NumPy arrays: with nothing elsewhere, there is nothing to copy, wait for, or free.

The reference device is one. So are devices that programs are compiled for and that are not here: what a program says
of arrays on them is kept on the host.
"""

from __future__ import annotations

import numpy as np

from portax.runtime.contract import Backend, Buffer, Device


class HostDevice(Device):
    """A device in the host's memory; a buffer is a NumPy array that nobody writes to.

    Parameters
    ----------
    backend : Backend
        Gives the device its platform.
    id : int
    kind : str
        The product, as its maker calls it.

    Examples
    --------
    >>> import numpy as np, portax
    >>> from portax.backend import HostDevice
    >>> [device] = portax.devices("reference")
    >>> isinstance(device, HostDevice)
    True
    >>> x = np.arange(3)
    >>> device.host(device.put(x, copy=False)) is x
    True
    """

    host_memory = True

    def __init__(self, backend: Backend, id: int, kind: str) -> None:
        self.backend, self.platform, self.id, self.kind = backend, backend.name, id, kind

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
