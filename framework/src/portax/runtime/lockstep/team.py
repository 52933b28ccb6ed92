"""Devices that run one program together, each on its part, and the names by which the program tells them apart.

A team is a mesh seen from the runtime: members in the order of the program, and for each named axis where every member
stands along it. Members that differ along some axes only are a group: they speak to each other in a collective along
those axes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from portax.core.partition import AbstractMesh
from portax.core.trace import state
from portax.runtime.contract import Device


class Team:
    """The members, and their places along named axes.

    Parameters
    ----------
    members : sequence of Device
    axes : sequence of (name, size)
    order : sequence of int
        Numbers of members in the row-major order of the axes.

    Attributes
    ----------
    sizes : dict of name to size
    """

    __slots__ = ("_at", "_order", "axes", "members", "sizes")

    def __init__(self, members: Sequence[Device], axes: Sequence[tuple[Any, int]], order: Sequence[int]) -> None:
        self.members, self.axes = tuple(members), tuple(axes)
        self.sizes = dict(self.axes)
        self._order = np.asarray(order).reshape([size for _, size in self.axes])
        assert self._order.size == len(self.members), "a place for each member"
        #: For each member its place in the grid.
        self._at: list[tuple[int, ...]] = [()] * len(self.members)
        for place in np.ndindex(self._order.shape):
            self._at[int(self._order[place])] = place

    def cuts(self, names: Sequence[Any]) -> int:
        """Into how many parts these axes cut."""
        return math.prod([self.sizes[name] for name in names])

    def groups(self, names: Sequence[Any]) -> list[list[int]]:
        """The members that differ along ``names`` only, in the row-major order of those."""
        inner = [[name for name, _ in self.axes].index(name) for name in names]
        outer = [i for i in range(len(self.axes)) if i not in inner]
        return self._order.transpose(outer + inner).reshape(-1, self.cuts(names)).tolist()

    def number(self, member: int, names: Sequence[Any]) -> int:
        """The number of a member within its group of ``groups(names)``."""
        number = 0
        for name in names:
            number = number * self.sizes[name] + self.place(member, name)
        return number

    def place(self, member: int, name: Any) -> int:
        """Where a member stands along one axis."""
        return self._at[member][[known for known, _ in self.axes].index(name)]

    @contextlib.contextmanager
    def speaking(self) -> Generator[None]:
        """Inside, the axes of the team, and no others, are named axes of what is staged."""
        saved = state.axes, state.alike
        state.axes, state.alike = self.axes, frozenset()
        try:
            yield
        finally:
            state.axes, state.alike = saved

    def key(self) -> Any:
        """Equal for equal teams."""
        return self.members, self.axes, tuple(self._order.ravel().tolist())

    def __repr__(self) -> str:
        axes = ", ".join([f"{name!r}: {size}" for name, size in self.axes])
        return f"Team({list(self.members)}, {axes})"


def team_of(mesh: Any, members: Sequence[Device]) -> Team | None:
    """The members in the grid of a mesh; None where that is of other devices. Without devices it means these."""
    if isinstance(mesh, AbstractMesh):
        order = list(range(len(members)))
        if mesh.size != len(members):
            return None
    else:
        place = {id(d): i for i, d in enumerate(members)}
        order = [place.get(id(d), -1) for d in mesh.devices.flat]
        if len(order) != len(members) or -1 in order:
            return None
    return Team(members, mesh.shape_tuple, order)


# -- divisions by names, and as places --------------------------------------------------------------------------------
Names = tuple[tuple[Any, ...], ...]
"""For each axis of an array, the names of the team's axes that cut it, the first slowest."""

Places = tuple[tuple[int, ...], ...]
"""For each member, the place of its part in the grid of parts."""


def places_of(team: Team, spec: Names) -> Places:
    """Where the part of each member is under a division by names."""
    return tuple([tuple([team.number(k, names) for names in spec]) for k in range(len(team.members))])


def names_of(team: Team, parts: Sequence[int], places: Sequence[tuple[int, ...]]) -> Names | None:
    """The division by names under which parts are at those places; None where there is none.

    One step along an axis of the team moves the part by a stride along one axis of the array, or not at all. That tells
    which axis it cuts; of several that cut the same, the one with the longest stride cuts slowest.
    """
    first = next(k for k in range(len(team.members)) if not any(team.place(k, name) for name, _ in team.axes))
    found: list[list[tuple[int, Any]]] = [[] for _ in parts]
    for name, size in team.axes:
        if size == 1:
            continue
        [next_one] = [group[1] for group in team.groups([name]) if group[0] == first]
        for cuts, here, there in zip(found, places[first], places[next_one], strict=True):
            if there != here:
                cuts.append((there - here, name))
    spec = tuple([tuple([name for _, name in sorted(cuts, key=lambda c: c[0], reverse=True)]) for cuts in found])
    used = [name for names in spec for name in names]
    if len(set(used)) < len(used) or tuple([team.cuts(names) for names in spec]) != tuple(parts):
        return None
    return spec if places_of(team, spec) == tuple(places) else None
