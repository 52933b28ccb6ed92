"""Arrays on several devices: one jaxlib array with a sharding over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax_pjrt.jaxlib.errors import check_alive, translate
from portax_pjrt.jaxlib.shardings import Aval
from portax_pjrt.jaxlib.versions import VERSION, XLAError, bindings, xc

_SHARED = xc.HostBufferSemantics.ZERO_COPY


def join(aval: Aval, sharding: Any, parts: Sequence[Any], devices: Sequence[Any], where: str) -> Any:
    """One array of the parts that lie on ``devices`` of this process. It has handles of its own on their memory."""
    try:
        return bindings.batched_device_put(aval, sharding, list(parts), list(devices), True, False, _SHARED, True)
    except XLAError as error:
        raise translate(error, where, parts) from None


def parts_of(array: Any) -> list[Any]:
    """The arrays that an array on several devices consists of, on devices of this process.

    jaxlib offers them under one name only, and makes them with an aval of jax's if that is installed, and without any
    if it is not. So each gets ours; where newer versions do not let an aval be set, in another handle on its memory.
    """
    check_alive(array)
    aval = Aval(array.aval.part, array.aval.dtype, spans=array.aval.spans)
    parts = list(array._arrays)
    if VERSION >= 480:
        return [_again(part, aval) for part in parts]
    for part in parts:
        part.aval = aval
    return parts


def _again(part: Any, aval: Aval) -> Any:
    [device] = part._sharding._internal_device_list
    return bindings.batched_device_put(aval, part._sharding, [part], [device], True, False, _SHARED, True)
