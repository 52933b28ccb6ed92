"""Arrays in and out of a device."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from portax.backend import BackendError
from portax_pjrt.jaxlib.dtypes import DTYPES, SUB_BYTE
from portax_pjrt.jaxlib.errors import check_alive, translate
from portax_pjrt.jaxlib.memory import from_address
from portax_pjrt.jaxlib.narrow import widened
from portax_pjrt.jaxlib.shardings import Aval, sharding_on
from portax_pjrt.jaxlib.versions import XLAError, bindings, xc

_SHARED = xc.HostBufferSemantics.ZERO_COPY
_COPIED = xc.HostBufferSemantics.IMMUTABLE_ONLY_DURING_CALL


def putter(
    device: Any, where: str, dtypes: Collection[np.dtype] = DTYPES
) -> Callable[[np.ndarray, bool], Any]:  # fmt: skip
    """A function that puts an ndarray on ``device``, with all that does not change from call to call bound."""
    sharding, devices, avals, put = sharding_on(device), [device], {}, bindings.batched_device_put

    def put_on(array: np.ndarray, copy: bool) -> Any:
        key = array.shape, array.dtype
        aval = avals.get(key)
        if aval is None:
            if array.dtype not in dtypes:
                raise BackendError(
                    wrong=f"the {where} device does not store {array.dtype}",
                    fix="Convert the array to one of the dtypes that portax.devices()[0] lists",
                )
            if len(avals) >= 4096:
                avals.clear()
            aval = avals[key] = Aval(*key)
        try:
            return put(aval, sharding, [array], devices, True, False, _COPIED if copy else _SHARED, True)
        except XLAError as error:
            raise translate(error, where) from None

    return put_on


def copy_to(array: Any, device: Any, sharding: Any, where: str) -> Any:
    """A copy of the array on another device of the same client."""
    check_alive(array)
    try:
        [copied] = bindings.batched_copy_array_to_devices_with_sharding(
            [array], [xc.DeviceList((device,))], [sharding], [bindings.ArrayCopySemantics.ALWAYS_COPY]
        )
    except XLAError as error:
        raise translate(error, where) from None
    return copied


def host(array: Any, where: str) -> np.ndarray:
    """A read-only view of an ``array`` in the host's memory; of the sub-byte dtypes, which NumPy stores otherwise, a
    copy."""
    dtype = array.aval.dtype
    try:
        if dtype.isbuiltin == 1:
            # Never np.asarray(array): when the array failed, NumPy swallows the error and makes an object array.
            return np.asarray(memoryview(array))
        check_alive(array)
        array.block_until_ready()
        if dtype in SUB_BYTE:
            return widened(array, dtype, where)
        return from_address(array, dtype)
    except (XLAError, BufferError) as error:
        raise translate(error, where, (array,)) from None


def pointer(array: Any, where: str) -> int:
    """Address of the first element. Not for the sub-byte dtypes, whose layout differs from version to version."""
    dtype = array.aval.dtype
    if dtype in SUB_BYTE:
        raise BackendError(
            wrong=f"an array of {dtype} has no address on the {where} device: how it is packed is XLA's affair",
            fix="Convert it to int8 or float32 first",
        )
    return host(array, where).__array_interface__["data"][0]
