"""Arrays shared with other libraries through DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import numpy
from portax.core import dtypes
from portax.core.array import Array
from portax.runtime import dlpack

__all__ = ["from_dlpack", "is_supported_dtype"]


def from_dlpack(external_array: Any, device: Any = None, copy: bool | None = None) -> Array:
    """An array from another library's, in the same memory where both can use it.

    Parameters
    ----------
    external_array : object with ``__dlpack__`` and ``__dlpack_device__``
    device : Device, optional
        Where the array shall live.
    copy : bool, optional
        True copies always, False never; None copies where it must be.

    Raises
    ------
    DtypeError
        A 64-bit dtype while these are off.

    Examples
    --------
    >>> import numpy as np
    >>> from_dlpack(np.arange(3, dtype="float32"))
    Array([0., 1., 2.], dtype=float32)
    """
    return numpy.from_dlpack(external_array, device=device, copy=copy)


def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of a dtype can be passed through DLPack.

    Examples
    --------
    >>> is_supported_dtype("float32"), is_supported_dtype("float8_e5m2")
    (True, False)
    """
    return not dtypes.is_key(dtype) and dlpack.supports(np.dtype(dtype))
