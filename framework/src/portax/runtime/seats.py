"""Programs for a mesh that has no devices.

An ``AbstractMesh`` says how many devices there are and what their axes are called, which is all that the text of a
program says of them. To write it, each device has a stand-in, a `Seat`, of the default device's kind. Nothing is put on
seats and nothing runs on them: a program is compiled once it is told which devices sit down.

Where some of what a program is given names devices, those sit down at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core.partition import AbstractMesh
from portax.runtime import devices
from portax.runtime.contract import Device
from portax.runtime.meshes import Mesh
from portax.runtime.shardings import NamedSharding


def _nothing_there(self: Any, *_: Any, **__: Any) -> Any:
    raise errors.ArgumentError(
        wrong=f"{self} of an AbstractMesh was used as a device, and it is none",
        fix="Use a Mesh, which is made of devices, or compile for some: lowered.compile(device_assignment=devices)",
    )


class Seat(Device):
    """The place of a device in a program that is written for no devices in particular.

    Parameters
    ----------
    number : int
    like : Device
        Of the kind that will sit there.
    """

    def __init__(self, number: int, like: Device) -> None:
        self.id, self.kind, self.platform, self.backend = number, like.kind, like.platform, like.backend
        self.process_index = like.process_index

    put: Any = _nothing_there
    host = wait = ready = delete = deleted = copy_to = pointer = put

    def __repr__(self) -> str:
        return f"place {self.id}"


#: The same seats for the same number of devices, so that a mesh of them is the same mesh.
_seats: dict[tuple[int, Any], tuple[Device, ...]] = {}
_seated: dict[tuple[AbstractMesh, int], tuple[tuple[Device, ...], Mesh]] = {}
KEPT = 64


def seats(count: int, like: Device) -> tuple[Device, ...]:
    """Places for so many devices."""
    key = count, like.backend
    if key not in _seats:
        if len(_seats) >= KEPT:
            _seats.clear()
        _seats[key] = tuple([Seat(i, like) for i in range(count)])
    return _seats[key]


def seated(mesh: AbstractMesh, members: tuple[Device, ...]) -> Mesh:
    """The mesh with devices in its places."""
    # By the identity of the members, whom the entry keeps: to hash thousands of them takes longer than all the rest.
    key = mesh, id(members)
    known = _seated.get(key)
    if known is None:
        if len(_seated) >= KEPT:
            _seated.clear()
        grid = np.empty(len(members), object)
        grid[:] = members
        made = Mesh(grid.reshape(mesh.axis_sizes), mesh.axis_names, mesh.axis_types)
        known = _seated[key] = members, made
    return known[1]


def is_abstract(sharding: Any) -> bool:
    """Whether a sharding is over a mesh that has no devices."""
    return isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, AbstractMesh)


def take_seats(
    given: Sequence[Sequence[Any]], named: Sequence[AbstractMesh], chosen: Sequence[Device] | None, name: str
) -> tuple[list[list[Any]], Mesh, bool]:
    """``(shardings, mesh, vacant)``: shardings of which none is abstract, the first mesh with its places taken, and
    whether it is seats that take them.

    Parameters
    ----------
    given : sequence of sequences of Sharding or None
    named : sequence of AbstractMesh
        That operations of the program name.
    chosen : sequence of Device, optional
        Those that the program is compiled for.
    name : str
        Of the function, for errors.
    """
    meshes = [*named, *[s.mesh for shardings in given for s in shardings if is_abstract(s)]]
    count = meshes[0].size
    for mesh in meshes:
        if mesh.size != count:
            raise errors.ArgumentError(
                wrong=f"{name or 'a program'} was given {meshes[0]}, which is for {count} devices, and {mesh}, "
                f"which is for {mesh.size}",
                fix="Use meshes for the same number of devices",
            )
    there = next((s for ss in given for s in ss if s is not None and s.num_devices > 1 and not is_abstract(s)), None)
    members = there.device_list if there is not None else None if chosen is None else tuple(chosen)
    vacant = members is None
    if members is None:
        members = seats(count, devices.default_device())
    if len(members) != count:
        raise errors.ArgumentError(
            wrong=f"{name or 'a program'} was given {meshes[0]}, which is for {count} devices, and runs on "
            f"{len(members)}",
            fix=f"Give {count} devices, or a mesh for {len(members)}",
        )
    known: dict[Any, Any] = {None: None}
    for s in [s for shardings in given for s in shardings]:
        known[s] = NamedSharding(seated(s.mesh, members), s.spec) if is_abstract(s) else s
    return [[known[s] for s in shardings] for shardings in given], seated(meshes[0], members), vacant
