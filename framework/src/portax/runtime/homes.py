"""Where an array is, from the sharding under which it lies.

A sharding that is just a device has the device for its home; every other has a placement. A mesh of one device is such
another: arrays there are on that device and nowhere else, but keep the name that their user gave to the place. Whatever
is computed on one device is computed as on the device itself, and its results are named afterwards, like operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.partition import PartitionSpec
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.runtime.placements import Placement, placement
from portax.runtime.shardings import NamedSharding, Sharding, SingleDeviceSharding


def home(sharding: Sharding, rank: int) -> Device:
    """Where arrays of that rank are that lie under a sharding."""
    if type(sharding) is SingleDeviceSharding:
        return sharding.device_list[0]
    return placement(sharding, rank)


def sharding_at(place: Device) -> Sharding:
    """The sharding of arrays whose home it is."""
    return place.sharding if type(place) is Placement else SingleDeviceSharding(place)


def named_like(where: Sequence[Any], ranks: Sequence[int], rank: int, mesh: Any, device: Device) -> Device:
    """The home of a result of that rank on one device, where nobody said what it is called.

    Parameters
    ----------
    where : sequence of Sharding or None
        Where operands are that were told to be there.
    ranks : sequence of int
        Theirs.
    rank : int
    mesh : Mesh or None
        That names places.
    device : Device

    Notes
    -----
    The first operand that was told to be somewhere says whether results are named. A result then lies as the first
    operand of its rank, if that was named too, and else whole.
    """
    first = next((s for s in where if s is not None), None)
    if mesh is None or type(first) is SingleDeviceSharding:
        return device
    like = next((s for s, n in zip(where, ranks, strict=True) if n == rank), None)
    return placement(like if isinstance(like, NamedSharding) else NamedSharding(mesh, PartitionSpec()), rank)


def alone(place: Any) -> bool:
    """Whether it is a device under the name of a mesh."""
    return type(place) is Placement and place.alone


def unnamed(x: Any) -> Any:
    """An operand without the name of its place: on the device itself."""
    if type(x) is not ConcreteArray or not alone(x._device):  # pyright: ignore[reportPrivateUsage]
        return x
    return ConcreteArray(x.aval, x._host, x._buffer, x._device.members[0], x.committed)  # pyright: ignore


def named(outs: Sequence[ConcreteArray], operands: Sequence[Any]) -> list[ConcreteArray]:
    """Results on one device, called as the operands were."""
    homes = [x._device if type(x) is ConcreteArray and x.committed else None for x in operands]  # pyright: ignore
    where = [None if d is None else sharding_at(d) for d in homes]
    ranks = [getattr(x, "ndim", 0) for x in operands]
    mesh = next((s.mesh for s in where if isinstance(s, NamedSharding)), None)
    found = []
    for out in outs:
        place = named_like(where, ranks, out.aval.ndim, mesh, out._device)  # pyright: ignore
        found.append(ConcreteArray(out.aval, out._host, out._buffer, place, True))  # pyright: ignore
    return found
