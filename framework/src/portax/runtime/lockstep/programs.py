"""Operations with programs in them, and those that speak of devices, on parts.

A call is written out. The programs of loops and branches are parted like the one around them: a loop's carry must
come out divided as it went in, so what would not is made less divided until all does. A ``shard_map`` is the program of
parts that its user wrote; a constraint is a division that its user wants.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr
from portax.core.partition import AbstractMesh, PartitionSpec, cutting
from portax.core.primitive import Primitive
from portax.primitives.barriers import optimization_barrier
from portax.primitives.collectives import Collective
from portax.runtime.lockstep.cutting import called
from portax.runtime.lockstep.parting import Part, Parting, Rule
from portax.runtime.lockstep.rules import rule_of as first_order
from portax.runtime.lockstep.team import Names, names_of, team_of
from portax.runtime.shardings import NamedSharding

Parts = list[Part]


def rule_of(primitive: Primitive) -> Rule | None:
    """How members do an operation on parts; None where they do not."""
    if isinstance(primitive, Collective):
        return collective
    return call if primitive.runs else _RULES.get(primitive.name) or first_order(primitive)


def call(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    closed = called(eqn)
    if closed is None:
        return None
    if eqn.params.get("prevent_cse") and eqn.params["differentiated"] and parts:
        # A recomputation is not to be merged with what it computes again.
        values = optimization_barrier(*[p.value for p in parts])
        parts = [Part(x, p.spec) for x, p in zip(values, parts, strict=True)]
    return at.run(closed, parts)


def collective(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """Along axes of a ``shard_map``. By axes left open, values stay divided where it takes every element alike."""
    if eqn.primitive.name == "pvary":  # a word on types, which have done their work
        return parts
    if eqn.primitive.name in ("psum", "psum_invariant", "pmax", "pmin", "ppermute"):
        return at.bind(eqn, [p.value for p in parts], [p.spec for p in parts])
    if eqn.primitive.name == "axis_index" and eqn.params["axis_name"] in at.team.sizes:
        return [Part(at.place(eqn.params["axis_name"]), ())]
    if eqn.primitive.name in ("all_gather", "all_gather_invariant"):
        [part], d, tiled = parts, eqn.params["all_gather_dimension"], eqn.params["tiled"]
        laid = at.lay(part, tuple([() if tiled and k == d else names for k, names in enumerate(part.spec)]))
        spec = laid.spec if tiled else (*laid.spec[:d], (), *laid.spec[d:])
        return at.bind(eqn, [laid.value], [spec])
    return at.bind(eqn, [at.whole(p).value for p in parts], None)


# -- loops and branches -----------------------------------------------------------------------------------------------
def _met(old: Names, new: Names) -> Names:
    """What two divisions have in common, axis by axis."""
    return tuple([a if a == b else () for a, b in zip(old, new, strict=True)])


def scan(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    params = eqn.params
    jaxpr, n, m = params["jaxpr"], params["num_consts"], params["num_carry"]
    if not _concerns(at, eqn, parts):
        return None
    fixed, carry = [p.spec for p in parts[:n]], [p.spec for p in parts[n : n + m]]
    slices = [((), *p.spec[1:]) for p in parts[n + m :]]

    def body(carry: Sequence[Names], wanted: Any) -> Any:
        return at.program(jaxpr, [*fixed, *carry, *[s[1:] for s in slices]], wanted)

    carry = _settled(at, carry, lambda c: body(c, None)[1][:m])
    program, outs = body(carry, [*carry, *[None] * (len(jaxpr.out_avals) - m)])
    values = [at.lay(p, s).value for p, s in zip(parts, [*fixed, *carry, *slices], strict=True)]
    return at.bind(eqn, values, [*carry, *[((), *s) for s in outs[m:]]], jaxpr=program)


def repeat(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    params = eqn.params
    n, m = params["cond_nconsts"], params["body_nconsts"]
    if not _concerns(at, eqn, parts):
        return None
    asking, fixed = [p.spec for p in parts[:n]], [p.spec for p in parts[n : n + m]]

    def body(carry: Sequence[Names], wanted: Any) -> Any:
        return at.program(params["body_jaxpr"], [*fixed, *carry], wanted)

    carry = _settled(at, [p.spec for p in parts[n + m :]], lambda c: body(c, None)[1])
    condition, _ = at.program(params["cond_jaxpr"], [*asking, *carry], [()])
    program, _ = body(carry, carry)
    values = [at.lay(p, s).value for p, s in zip(parts, [*asking, *fixed, *carry], strict=True)]
    return at.bind(eqn, values, carry, cond_jaxpr=condition, body_jaxpr=program)


def _settled(at: Parting, carry: list[Names], after: Any) -> list[Names]:
    """The divisions of a carry that come out of a turn as they went in.

    What goes in whole and comes out divided is divided before; what is divided by less each turn settles at the least.
    """
    at.trying += 1
    try:
        carry = [old if any(old) else new for old, new in zip(carry, after(carry), strict=True)]
        while True:
            met = [_met(old, new) for old, new in zip(carry, after(carry), strict=True)]
            if met == carry:
                return carry
            carry = met
    finally:
        at.trying -= 1


def choose(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    branches = eqn.params["branches"]
    if not _concerns(at, eqn, parts):
        return None
    specs = [p.spec for p in parts[1:]]
    at.trying += 1
    try:
        found = [at.program(b, specs)[1] for b in branches]
    finally:
        at.trying -= 1
    wanted = found[0]
    for other in found[1:]:
        wanted = [_met(a, b) for a, b in zip(wanted, other, strict=True)]
    programs = tuple([at.program(b, specs, wanted)[0] for b in branches])
    return at.bind(eqn, [p.value for p in parts], wanted, branches=programs)


def _concerns(at: Parting, eqn: Eqn, parts: Sequence[Part]) -> bool:
    """Whether the programs of an equation see parts, or speak."""
    return any(p.divided for p in parts) or bool(eqn.effects) or any(names_devices(j) for j in programs_of(eqn))


def programs_of(eqn: Eqn) -> list[Jaxpr]:
    """The programs among the parameters of an equation."""
    found = [x for v in eqn.params.values() for x in (v if isinstance(v, tuple | list) else (v,))]
    return [x.jaxpr if isinstance(x, ClosedJaxpr) else x for x in found if isinstance(x, ClosedJaxpr | Jaxpr)]


def names_devices(jaxpr: Jaxpr) -> bool:
    """Whether operations of a program, inner ones included, say how values lie on devices; kept with the program."""
    if "names devices" not in jaxpr.memo:
        jaxpr.memo["names devices"] = any(
            eqn.primitive.name in ("shard_map", "sharding_constraint") or any(map(names_devices, programs_of(eqn)))
            for eqn in jaxpr.eqns
        )
    return jaxpr.memo["names devices"]


# -- said by the user -------------------------------------------------------------------------------------------------
def shard_map(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """The axes that it names cut as it says; others go on cutting within."""
    params = eqn.params
    manual = frozenset(params["manual"])
    if manual & at.manual or not _same_grid(at, params["mesh"]):
        return None
    ins: list[Names] = []
    for p, spec in zip(parts, params["in_specs"], strict=True):
        free = tuple([
            (*names, *[n for n in mine if n not in manual]) for names, mine in zip(spec, p.spec, strict=True)
        ])  # fmt: skip
        ins.append(free if at.fits(at.shape(p), free) else tuple(spec))
    laid = [at.lay(p, spec) for p, spec in zip(parts, ins, strict=True)]
    inside = [Part(p.value, _without(p.spec, manual)) for p in laid]
    before, at.manual = at.manual, at.manual | manual
    try:
        outs = at.run(params["jaxpr"], inside)
    finally:
        at.manual = before
    return [
        Part(p.value, tuple([(*names, *mine) for names, mine in zip(spec, p.spec, strict=True)]))
        for p, spec in zip(outs, params["out_specs"], strict=True)
    ]


def _without(spec: Names, names: frozenset[Any]) -> Names:
    return tuple([tuple([n for n in entry if n not in names]) for entry in spec])


def _same_grid(at: Parting, mesh: Any) -> bool:
    """Whether a mesh is the team's grid, or a part of it without devices of its own."""
    if isinstance(mesh, AbstractMesh):
        return all(at.team.sizes.get(name) == size for name, size in mesh.shape_tuple)
    team = team_of(mesh, at.team.members)
    return team is not None and team.key() == at.team.key()


def constraint(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    [part] = parts
    spec = None if at.manual else wanted_names(at, eqn.params["sharding"], part.spec)
    return [part if spec is None else at.lay(part, spec)]


def wanted_names(at: Parting, sharding: Any, now: Names) -> Names | None:
    """A sharding as names of the team; entries that leave it open are as they are ``now``. None where it has none."""
    rank = len(now)
    if isinstance(sharding, NamedSharding) and _same_grid(at, sharding.mesh):
        given = list(cutting(sharding.spec))
        given += [()] * (rank - len(given))
        used = {name for names in given for name in names}
        for d, entry in enumerate(itertools.islice(sharding.spec, rank)):
            if entry is PartitionSpec.UNCONSTRAINED and not used & set(now[d]):
                given[d] = now[d]
        return tuple(given)
    if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, AbstractMesh):
        return None
    place = {id(d): i for i, d in enumerate(at.team.members)}
    order = [place.get(id(d)) for d in sharding.device_list]
    if None in order or len(order) != len(place):
        return None
    tiling = sharding.tiling(rank)
    places: list[Any] = [()] * len(order)
    for i, where in zip(order, tiling.places(), strict=True):
        places[i] = where  # pyright: ignore[reportArgumentType, reportCallIssue]
    return names_of(at.team, tiling.parts, places)


_RULES: dict[Any, Rule] = {
    "scan": scan,
    "while": repeat,
    "cond": choose,
    "shard_map": shard_map,
    "sharding_constraint": constraint,
}
