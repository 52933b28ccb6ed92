"""Grids of the devices there are, and arrays that lie on them.

A case for many devices names its grid and not how many devices it has: the same case runs on two devices and on a
thousand. Devices of a grid need not stand in the order in which their backend counts them, and one of the grids is
there to see that nobody takes them to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import portax as px
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.sharding import Mesh, NamedSharding, PartitionSpec

#: The labels of all grids, and the axes of each.
AXES: dict[str, tuple[str, ...]] = {"line": ("i",), "turned": ("i",), "grid": ("i", "j")}


def lacking(label: str, devices: Sequence[Device]) -> str:
    """Why devices make no such grid, in words; empty where they do."""
    if len(devices) < 2:
        return "one device is declared"
    if label == "grid" and (len(devices) < 4 or len(devices) % 2):
        return f"{len(devices)} devices are declared, of which no grid can be made"
    return ""


def grid(label: str, devices: Sequence[Device]) -> Mesh:
    """The grid of that label, of all the devices."""
    members = np.array(devices, object)
    if label == "turned":
        members = members[::-1]
    return Mesh(members.reshape(2, -1) if label == "grid" else members, AXES[label])


def lay(x: Any, mesh: Mesh, *entries: Any) -> Any:
    """An array as the entries of its spec say."""
    return px.device_put(x, NamedSharding(mesh, PartitionSpec(*entries)))


def cutting(mesh: Mesh, length: int) -> tuple[str, ...]:
    """The axes of a grid that cut an array's axis of that length into most parts."""
    names, found = mesh.axis_names, ()
    for wanted in (*[(name,) for name in names], tuple(names)):
        parts = int(np.prod([mesh.shape[name] for name in wanted]))
        most = int(np.prod([mesh.shape[name] for name in found]))
        if length and length % parts == 0 and parts > most:
            found = wanted
    return found


def whole(array: Any) -> np.ndarray:
    """What an array holds, put together on the host by its parts; each part is where its sharding says, and as it says.

    Raises
    ------
    AssertionError
        A part is on another device, of another shape, or is not what another copy of it holds.
    """
    sharding, shape = array.sharding, array.shape
    told = sharding.devices_indices_map(shape)
    found: dict[Any, np.ndarray] = {}
    shards = array.addressable_shards
    assert len(shards) == len(told), f"{len(shards)} parts on {len(told)} devices"
    out = np.empty(shape, _bytes(shards[0].data).dtype)
    for shard in shards:
        index = told[shard.device]
        assert shard.data.device is shard.device, f"the part of {shard.device} is on {shard.data.device}"
        part = _bytes(shard.data)
        assert part.shape == out[index].shape, f"{shard.device} holds {part.shape} of {shape}, told to hold {index}"
        key = repr(index)
        if key in found:
            assert part.tobytes() == found[key].tobytes(), f"copies of the part {index} differ"
        found[key] = part
        out[index] = part
    return out


def _bytes(array: Any) -> np.ndarray:
    """An array on the host, keys as they are stored."""
    assert isinstance(array, ConcreteArray)
    return np.asarray(array.host())


def assert_whole(array: Any) -> None:
    """The parts of an array make it up."""
    assert whole(array).tobytes() == np.ascontiguousarray(_bytes(array)).tobytes(), "the parts are not the array's"
