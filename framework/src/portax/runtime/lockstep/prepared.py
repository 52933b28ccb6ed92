"""A program on several devices whose backend runs programs on one device at a time.

It is made a program of parts (``runtime.lockstep.parting``), which the devices run in lockstep
(``runtime.lockstep.cutting``). Arguments lie as they were told to; where no names of the team say how, they are
gathered first. Results lie as they come out, unless the user said how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Var
from portax.core.lazy import lazy
from portax.core.partition import PartitionSpec
from portax.runtime.contract import Device, Tiling
from portax.runtime.lockstep.cutting import Lockstep, called
from portax.runtime.lockstep.parting import Parting
from portax.runtime.lockstep.programs import rule_of, wanted_names
from portax.runtime.lockstep.team import Names, Team, places_of, team_of
from portax.runtime.meshes import Mesh
from portax.runtime.placements import Placement, placement
from portax.runtime.programs import Options
from portax.runtime.shardings import GSPMDSharding, NamedSharding
from portax.runtime.shardings import spec_of as named_spec
from portax.transforms.dce import dce_closed

logs = lazy("portax.runtime.logs")


class Stepped:
    """A program in steps, and what became of it on the way.

    Attributes
    ----------
    lockstep : Lockstep
    joined : list of Eqn
        Equations that every device runs on whole operands, some of which were divided.
    """

    def __init__(self, lockstep: Lockstep, joined: Sequence[Any]) -> None:
        self.lockstep, self.joined = lockstep, list(joined)

    def __str__(self) -> str:
        """The program that every device runs on its parts."""
        members = self.lockstep.team.members
        lines = [f"each of {len(members)} devices, {members[0]} to {members[-1]}, in {len(self.lockstep.steps)} steps:"]
        lines.append(str(self.lockstep.closed))
        lines += [f"on whole operands: {told(eqn)}" for eqn in self.joined]
        return "\n".join(lines)


def told(eqn: Any) -> str:
    """An equation, as it is told that it is joined."""
    return f"{eqn.primitive.name} of {', '.join([str(a.aval) for a in eqn.invars])}" + (
        f", {eqn.source}" if eqn.source is not None else ""
    )


def prepare(
    closed: ClosedJaxpr, arrangement: Any, options: Options
) -> tuple[Callable[[list[Any]], list[Any]], list[Placement], Stepped]:
    """``(run, results, report)``: from buffers on the arguments' placements to such on the results'."""
    members, places = arrangement.members, arrangement.places
    if len({d.process_index for d in members}) > 1:
        raise errors.GapError(
            wrong=f"{options.name or 'a program'} runs on devices of several processes, {list(members)}, and programs "
            "on them are driven one by one, which a process can do with its own alone",
            fix="Use devices of one process, or ones that compile for several",
        )
    team = _team(arrangement)
    at = Parting(team, rule_of)
    ins = [wanted_names(at, p.sharding, ((),) * p.rank) for p in places]
    specs: list[Names] = [((),) * p.rank if s is None else s for p, s in zip(places, ins, strict=True)]
    wanted = [
        None if s is None else wanted_names(at, s, ((),) * a.ndim) or ((),) * a.ndim
        for s, a in zip(arrangement.outs, closed.out_avals, strict=True)
    ]
    with team.speaking():
        parts, outs = at.program(closed, specs, wanted)
        lockstep = Lockstep(dce_closed(parts), team, options)
    stepped = Stepped(lockstep, at.joined)
    if at.joined:
        logs.joined(options.name, members, [told(eqn) for eqn in at.joined])
    made = [
        placement(_named(spec, team, arrangement.mesh), a.ndim) for spec, a in zip(outs, closed.out_avals, strict=True)
    ]
    results = [p if s is None else placement(s, p.rank) for p, s in zip(made, arrangement.outs, strict=True)]
    whole = [placement(_named(((),) * p.rank, team, arrangement.mesh), p.rank) for p in places]
    # Results that are no more than operands get buffers of their own: those of operands may be deleted.
    own = _handed_on(lockstep)

    def run(buffers: list[Any]) -> list[Any]:
        given = []
        for place, known, all_of_it, buffer in zip(places, ins, whole, buffers, strict=True):
            if known is None:
                place, buffer = all_of_it, place.copy_to(buffer, all_of_it)
            given.append(_in_order(place.parts(buffer), place.members, members))
        found = lockstep.run(given)
        laid: list[Any] = []
        for copied, place, target, mine in zip(own, made, results, found, strict=True):
            if copied:
                mine = [d.copy_to(part, d) for d, part in zip(members, mine, strict=True)]
            buffer = tuple(mine)
            if place is not target:
                same = places_of_placement(place, members) == places_of_placement(target, members)
                buffer = tuple(_in_order(mine, members, target.members)) if same else place.copy_to(buffer, target)
            laid.append(buffer)
        return laid

    return run, results, stepped


def with_wishes(
    closed: ClosedJaxpr, where: Sequence[Any], wanted: Sequence[Any], members: Sequence[Device]
) -> list[Any]:
    """``wanted``, and where nobody says how an argument lies, how a ``shard_map`` cuts it: a device gets its part."""
    if "wishes" not in closed.memo:
        closed.memo["wishes"] = _wishes(closed.jaxpr)
    return [
        w if w is not None or at is not None or wish is None or set(wish.device_list) != set(members) else wish
        for at, w, wish in zip(where, wanted, closed.memo["wishes"], strict=True)
    ]


def _wishes(jaxpr: Jaxpr) -> list[Any]:
    found: dict[Any, Any] = {}
    for eqn in jaxpr.eqns:
        inner = called(eqn)
        if inner is not None:
            mine = _wishes(inner.jaxpr)
        elif eqn.primitive.name == "shard_map" and isinstance(eqn.params["mesh"], Mesh):
            mesh, specs = eqn.params["mesh"], eqn.params["in_specs"]
            mine = [NamedSharding(mesh, PartitionSpec(*spec)) if any(spec) else None for spec in specs]
        else:
            continue
        for a, wish in zip(eqn.invars, mine, strict=True):
            if isinstance(a, Var):
                found.setdefault(a, wish)
    return [found.get(v) for v in jaxpr.invars]


def places_of_placement(place: Placement, members: Sequence[Device]) -> list[tuple[int, ...]]:
    """For each member of a team the place of its part."""
    return _in_order(place.tiling.places(), place.members, members)


def _in_order(values: Sequence[Any], given: Sequence[Device], wanted: Sequence[Device]) -> list[Any]:
    """What belongs to devices in one order, in another."""
    if tuple(given) == tuple(wanted):
        return list(values)
    place = {id(d): i for i, d in enumerate(given)}
    return [values[place[id(d)]] for d in wanted]


def _team(arrangement: Any) -> Team:
    """The devices in the grid of the program's mesh; without one, in a grid made for the first divided argument."""
    members = arrangement.members
    if arrangement.mesh is not None:
        team = team_of(arrangement.mesh, members)
        assert team is not None, "the program runs on the devices of its mesh"
        return team
    for place in arrangement.places:
        if any(n > 1 for n in place.tiling.parts):
            order = [members.index(place.members[i]) for i in place.tiling.order]
            axes = [(("part", d), n) for d, n in enumerate(place.tiling.parts)]
            return Team(members, [*axes, ("copy", place.tiling.copies)], order)
    return Team(members, [("copy", len(members))], range(len(members)))


def _named(spec: Names, team: Team, mesh: Any) -> Any:
    """The sharding of a result: what the mesh calls its division."""
    places = places_of(team, spec)
    parts = tuple([team.cuts(names) for names in spec])
    order = sorted(range(len(places)), key=lambda k: (places[k], k))
    tiling = Tiling(parts, tuple(order))
    found = None if mesh is None else named_spec(tiling, mesh)
    return GSPMDSharding(team.members, tiling) if found is None else NamedSharding(mesh, found)


def _handed_on(lockstep: Lockstep) -> list[bool]:
    """Which results are operands, constants, or results a second time."""
    seen: set[Var] = {*lockstep.inputs, *lockstep.known}
    found = []
    for var in lockstep.outputs:
        found.append(var in seen)
        seen.add(var)
    return found
