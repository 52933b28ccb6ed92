"""What jaxlib asks of an array's description: its aval, and on which devices it lies and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.backend import Tiling
from portax_pjrt.jaxlib.versions import hlo, xc


class Aval:
    """What jaxlib asks of an aval; and of an array on several devices, the shape of its parts.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    tiling : Tiling, optional
    spans : bool
        It lies in several processes, or is a part of such an array: to wait for it is to wait for them.
    """

    __slots__ = ("dtype", "part", "shape", "spans", "weak_type")

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype, tiling: Tiling | None = None, spans: bool = False
    ) -> None:
        self.shape, self.dtype, self.weak_type, self.spans = shape, dtype, False, spans
        self.part = None if tiling is None else tuple([n // k for n, k in zip(shape, tiling.parts, strict=True)])


def span(devices: Sequence[Any]) -> bool:
    """Whether devices are of several processes."""
    return any([device.process_index != devices[0].process_index for device in devices])


def sharding_on(device: Any) -> Any:
    """jaxlib's sharding of an array that lies on one device."""
    return xc.GSPMDSharding(xc.DeviceList((device,)), xc.HloSharding.replicate())


def sharding_over(devices: Sequence[Any], tiling: Tiling) -> Any:
    """jaxlib's sharding that divides an array as ``tiling`` says."""
    if all(n == 1 for n in tiling.parts):
        how = xc.HloSharding.replicate()
    else:
        proto = hlo.OpSharding()
        proto.type = hlo.OpSharding.Type.OTHER
        copied = [tiling.copies] if tiling.copies > 1 else []
        proto.tile_assignment_dimensions = [*tiling.parts, *copied]
        proto.tile_assignment_devices = list(tiling.order)
        proto.replicate_on_last_tile_dim = bool(copied)
        how = xc.HloSharding.from_proto(proto)
    return xc.GSPMDSharding(xc.DeviceList(tuple(devices)), how)


def tiling_of(proto: Any, rank: int, count: int) -> Tiling:
    """How XLA says that an array of ``rank`` axes is divided over ``count`` devices."""
    how = xc.HloSharding.from_proto(proto)
    if how.is_replicated() or not how.is_tiled():
        return Tiling((1,) * rank, tuple(range(count)))
    return Tiling(tuple(how.tile_assignment_dimensions()[:rank]), tuple(how.tile_assignment_devices()))
