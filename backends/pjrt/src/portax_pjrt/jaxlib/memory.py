"""Views of memory whose dtype NumPy's own readers do not know: bytes are bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.backend.dlpack import address
from portax_pjrt.jaxlib.versions import bindings


class _Memory:
    """Memory that NumPy may view, with what keeps it alive: a DLPack capsule, and a second handle on the array.

    jaxlib 0.10 ends the process when an array's last handle goes while a capsule of it exists. So this holds a
    handle of its own (the user may delete the other), and lets the capsule go first.
    """

    def __init__(self, array: Any) -> None:
        self._handle = array.clone()
        self._capsule = bindings.buffer_to_dlpack_managed_tensor(array)
        self.__array_interface__ = {
            "version": 3,
            "shape": array.aval.shape,
            "typestr": f"|V{array.aval.dtype.itemsize}",
            "data": (address(self._capsule), True),
        }

    def __del__(self) -> None:
        self._capsule = None
        self._handle = None


def from_address(array: Any, dtype: np.dtype) -> np.ndarray:
    """A read-only view of an array in the host's memory, whatever its dtype."""
    # NumPy's buffer protocol and its DLPack reader know neither bfloat16 nor float8.
    if 0 in array.aval.shape:
        return frozen(np.empty(array.aval.shape, dtype))
    return np.asarray(_Memory(array)).view(dtype)


def frozen(values: np.ndarray) -> np.ndarray:
    """The same array, which nobody may write to."""
    values.flags.writeable = False
    return values
