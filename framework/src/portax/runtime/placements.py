"""An array that lies on several devices, seen as an array on one.

A placement is a device whose memory is that of several: what is put on it is cut as a sharding says, and each part goes
to its device. So an array needs to know nothing of shardings: it has a buffer on a device like any other. What a buffer
is depends on the backend: what its ``join`` gives, or where it runs programs on one device at a time, a tuple of
the parts' buffers.

Some of the devices may belong to other processes. Then each process holds, puts and reads the parts on its own, and all
of them run the same programs; the whole is read only where this process has all of it.

Placements are interned by the sharding and the rank of the arrays on it: equal ones are the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core.jaxpr import ClosedJaxpr
from portax.core.lazy import lazy
from portax.errors import DeviceError, ProcessError
from portax.runtime.contract import Buffer, Device, Tiling

spread = lazy("portax.runtime.spread")

Index = tuple[slice, ...]


class Placement(Device):
    """Several devices as one.

    Attributes
    ----------
    sharding : Sharding
    tiling : Tiling
        What the sharding is for arrays of the placement's rank.
    members : tuple of Device
    own : tuple of Device
        Those of this process, whose buffers ``parts`` gives.
    own_places : list of tuple of int
        For each of these the place of its part in the grid of the tiling.
    has_all : bool
        This process has every part, so it can read the whole.
    joins : bool
        The backend runs programs on several devices at once, and has buffers that lie on several.
    alone : bool
        There is one device, and a buffer is the device's own.
    """

    host_memory = False

    def __init__(self, sharding: Any, rank: int) -> None:
        self.sharding, self.rank = sharding, rank
        self.members: tuple[Device, ...] = sharding.device_list
        self.tiling: Tiling = sharding.tiling(rank)
        first = self.members[0]
        mine = first.backend.process_index
        numbers = [i for i, device in enumerate(self.members) if device.process_index == mine]
        if len(numbers) < len(self.members):
            first = self._first_own(numbers)
        self.own = tuple([self.members[i] for i in numbers])
        self.id, self.kind, self.platform, self.backend = first.id, first.kind, first.platform, first.backend
        self.process_index = first.process_index
        self.alone = len(self.members) == 1
        self.joins = not self.alone and first.backend.capabilities.multi_device
        self._places = self.tiling.places()
        self.own_places = [self._places[i] for i in numbers]
        self._distinct = dict(zip(reversed(self.own_places), reversed(range(len(numbers))), strict=True))
        self.has_all = len(self._distinct) * self.tiling.copies == len(self.members)

    def _first_own(self, numbers: list[int]) -> Device:
        """The first device of this process, of those with these numbers."""
        if not numbers:
            raise ProcessError(
                wrong=f"{self.sharding} is on devices of other processes only, and this is process "
                f"{self.members[0].backend.process_index}",
                fix="Use shardings over portax.local_devices(), or over devices of which each process has some",
            )
        return self.members[numbers[0]]

    # -- parts --------------------------------------------------------------------------------------------------------
    def indices(self, shape: Sequence[int]) -> list[Index]:
        """For each of the own members, which part of an array of that shape it holds."""
        steps = [n // parts for n, parts in zip(shape, self._cuts(len(shape)).parts, strict=True)]
        return [tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, steps)) for place in self.own_places]

    def _cuts(self, rank: int) -> Tiling:
        """How buffers of that rank are cut: of keys of 128 bits they have an axis more, which is whole."""
        tiling = self.tiling
        return tiling if rank == self.rank else Tiling((*tiling.parts, *(1,) * (rank - self.rank)), tiling.order)

    def parts(self, buffer: Buffer) -> list[Buffer]:
        """The buffer of each of the own members."""
        if self.alone:
            return [buffer]
        return self.backend.parts(buffer) if self.joins else list(buffer)

    def joined(self, shape: tuple[int, ...], dtype: np.dtype, parts: list[Buffer]) -> Buffer:
        """One buffer of what the own members hold."""
        if self.alone:
            return parts[0]
        if self.joins:
            return self.backend.join(shape, dtype, self._cuts(len(shape)), self.members, parts)
        return tuple(parts)

    def made(self, shape: tuple[int, ...], dtype: np.dtype, part: Callable[[Index], np.ndarray]) -> Buffer:
        """A buffer of an array whose parts are asked for one by one; a part that several hold is asked for once.

        Where other processes have parts, this one asks for its own only.
        """
        known: dict[tuple[int, ...], np.ndarray] = {}
        buffers = []
        for place, index, device in zip(self.own_places, self.indices(shape), self.own, strict=True):
            if place not in known:
                known[place] = part(index)
            buffers.append(device.put(known[place], copy=False))
        return self.joined(shape, dtype, buffers)

    # -- a device -----------------------------------------------------------------------------------------------------
    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        if self.alone:
            return self.own[0].put(array, copy=copy)
        if copy:
            array = array.copy()
        return self.made(array.shape, array.dtype, lambda index: np.asarray(array[index], order="C"))

    def host(self, buffer: Buffer) -> np.ndarray:
        parts = self.parts(buffer)
        if not self.has_all:
            raise self._elsewhere()
        pieces = {place: self._of(self.own[i], "host", parts[i]) for place, i in self._distinct.items()}
        if len(pieces) == 1:
            [whole] = pieces.values()
            return whole
        piece = next(iter(pieces.values()))
        shape = tuple(n * parts for n, parts in zip(piece.shape, self._cuts(piece.ndim).parts, strict=True))
        whole = np.empty(shape, piece.dtype)
        for place, piece in pieces.items():
            index = tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, piece.shape))
            whole[index] = piece
        whole.flags.writeable = False
        return whole

    def _of(self, device: Device, what: str, part: Buffer) -> Any:
        """What a member does with its part; where each has its own programs, an error of one says whose it is."""
        try:
            return getattr(device, what)(part)
        except DeviceError as error:
            if self.joins or len(self.members) == 1:
                raise
            raise type(error)(wrong=f"on {device}: {error.wrong}", fix=error.fix, where=error.where) from error

    def _elsewhere(self) -> ProcessError:
        return ProcessError(
            wrong=f"the value of an array that lies as {self.sharding} was asked for, and parts of it are on devices "
            "of other processes",
            fix="Read x.addressable_shards, the parts on this process's devices; or have all processes call "
            "multihost_utils.process_allgather(x, tiled=True)",
        )

    def wait(self, buffer: Buffer) -> None:
        for device, part in self._held(buffer):
            self._of(device, "wait", part)

    def ready(self, buffer: Buffer) -> bool:
        return all([device.ready(part) for device, part in self._held(buffer)])

    def delete(self, buffer: Buffer) -> None:
        for device, part in self._held(buffer):
            device.delete(part)

    def deleted(self, buffer: Buffer) -> bool:
        return any([device.deleted(part) for device, part in self._held(buffer)])

    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        """A copy on another placement or device: part by part where it is cut alike, else by way of the host."""
        if self.alone or (type(device) is Placement and device.alone):
            return self._renamed(buffer, device)
        if isinstance(device, Placement) and device.tiling == self.tiling and device.backend is self.backend:
            if device.members == self.members:
                return buffer
            if len(device.members) == len(self.members):
                if any([d.process_index != e.process_index for d, e in zip(self.members, device.members, strict=True)]):
                    raise self._elsewhere()
                moved = [
                    source.copy_to(part, target)
                    for source, part, target in zip(self.own, self.parts(buffer), device.own, strict=True)
                ]
                piece = self.own[0].host(self.parts(buffer)[0])
                shape = tuple(n * parts for n, parts in zip(piece.shape, self._cuts(piece.ndim).parts, strict=True))
                return device.joined(shape, piece.dtype, moved)
        return device.put(self.host(buffer), copy=False)

    def _renamed(self, buffer: Buffer, device: Device) -> Buffer:
        """The same, where one side is a device under the name of a mesh."""
        source = self.own[0] if self.alone else self
        target = device.own[0] if type(device) is Placement and device.alone else device
        if source is target:
            return buffer
        if source is self or type(target) is Placement or source.backend is not target.backend:
            return target.put(source.host(buffer), copy=False)
        return source.copy_to(buffer, target)

    def pointer(self, buffer: Buffer) -> int:
        return self.own[0].pointer(self.parts(buffer)[0])

    def _held(self, buffer: Buffer) -> list[tuple[Device, Buffer]]:
        """What to ask about a buffer: itself, of any member, where it is one; else each member about its own."""
        if self.joins or self.alone:
            return [(self.own[0], buffer)]
        return list(zip(self.own, buffer, strict=True))

    def __repr__(self) -> str:
        return repr(self.sharding)


class _Named:
    """Whether any program may name a mesh: the modules of the operations that do say so when they are loaded."""

    __slots__ = ("any",)

    def __init__(self) -> None:
        self.any = False


meshes = _Named()


def is_spread(closed: ClosedJaxpr, arrays: Sequence[Any]) -> bool:
    """Whether a program is one for several devices: an argument lies on several, or an operation names them."""
    return (meshes.any and spread.mesh_of(closed) is not None) or any(
        [type(getattr(x, "_device", None)) is Placement for x in arrays]
    )


_placements: dict[tuple[Any, int], Placement] = {}

#: Placements kept; beyond, all are made anew, and programs for them looked up again.
KEPT = 4096


def placement(sharding: Any, rank: int) -> Placement:
    """The placement of arrays of that rank under a sharding: always the same object."""
    known = _placements.get((sharding, rank))
    if known is None:
        if len(_placements) >= KEPT:
            _placements.clear()
        known = _placements[sharding, rank] = Placement(sharding, rank)
    return known
