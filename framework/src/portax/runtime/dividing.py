"""From shardings to the text of a program: which grid of devices, and which axes of it cut which axis of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.partition import AbstractMesh, PartitionSpec
from portax.core.stablehlo.divided import Entry, Grid
from portax.runtime.contract import Device
from portax.runtime.shardings import NamedSharding

#: Grids by mesh and devices of the program: every array of a program asks for the same few, and each takes a look at
#: all devices. The key is their ids, which the entry keeps from being given again.
_grids: dict[tuple[int, int], tuple[Any, Sequence[Device], Grid | None]] = {}


def grid_of(mesh: Any, members: Sequence[Device]) -> Grid | None:
    """A mesh among the devices of a program, or None where it is not of exactly those."""
    key = id(mesh), id(members)
    known = _grids.get(key)
    if known is None:
        if len(_grids) >= 256:
            _grids.clear()
        known = _grids[key] = mesh, members, _grid(mesh, members)
    return known[2]


def _grid(mesh: Any, members: Sequence[Device]) -> Grid | None:
    if isinstance(mesh, AbstractMesh):  # a mesh without devices means the program's own, in their order
        order = tuple(range(len(members)))
        if mesh.size != len(members):
            return None
    else:
        place = {id(d): i for i, d in enumerate(members)}
        order = tuple([place.get(id(d), -1) for d in mesh.devices.flat])
        if len(order) != len(members) or -1 in order:
            return None
    return Grid(tuple([(str(name), size) for name, size in mesh.shape.items()]), order)


def entries_of_spec(spec: Any, rank: int) -> list[Entry]:
    """For each axis of an array the names of the mesh axes that cut it; None where the compiler may choose."""
    entries: list[Entry] = []
    for entry in spec:
        if entry is PartitionSpec.UNCONSTRAINED:
            entries.append(None)
        elif entry is None:
            entries.append(())
        else:
            entries.append(tuple([str(n) for n in entry]) if isinstance(entry, tuple) else (str(entry),))
    return entries + [()] * (rank - len(entries))


def division_of(sharding: Any, rank: int, members: Sequence[Device]) -> tuple[Grid, list[Entry]] | None:
    """How an array of ``rank`` axes lies under a sharding; None where that is not on exactly these devices."""
    if isinstance(sharding, NamedSharding):
        grid = grid_of(sharding.mesh, members)
        return None if grid is None else (grid, entries_of_spec(sharding.spec, rank))
    # A grid for this very division: an axis for each cut, and one for the copies.
    tiling = sharding.tiling(rank)
    place = {id(d): i for i, d in enumerate(members)}
    order = tuple([place.get(id(sharding.device_list[i]), -1) for i in tiling.order])
    if len(order) != len(members) or -1 in order:
        return None
    axes = tuple([(f"part_{i}", n) for i, n in enumerate(tiling.parts)])
    return Grid((*axes, ("copy", tiling.copies)), order), [(f"part_{i}",) for i in range(rank)]
