"""Which values of a function of parts are the same on all devices along a mesh axis.

varies(out) = the union of varies(in) over the operands, but collectives along an axis change it: what psum gives is
alike along its axes. The rule is on the safe side: a value of which it says that it is alike is; others may be too.
Programs inside of operations are looked into; of a loop's carry, until nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax import errors
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal

Axes = frozenset[Any]

#: Collectives after which all slices have the same.
_JOINING = ("psum", "pmax", "pmin")


def varying(closed: ClosedJaxpr, inputs: Sequence[Axes]) -> list[Axes]:
    """For each result the mesh axes along which it may differ."""
    return _walk(closed.jaxpr, inputs)


def _walk(jaxpr: Jaxpr, inputs: Sequence[Axes]) -> list[Axes]:
    found: dict[Any, Axes] = dict.fromkeys(jaxpr.constvars, frozenset())
    found.update(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> Axes:
        return frozenset() if isinstance(atom, Literal) else found[atom]

    for eqn in jaxpr.eqns:
        for var, axes in zip(eqn.outvars, _results(eqn, [read(a) for a in eqn.invars]), strict=True):
            found[var] = axes
    return [read(a) for a in jaxpr.outvars]


def _results(eqn: Eqn, operands: Sequence[Axes]) -> list[Axes]:
    name, params = eqn.primitive.name, eqn.params
    every: Axes = frozenset().union(*operands)
    if name in _JOINING and params.get("axis_index_groups") is None:
        return [every - frozenset(params["axes"])]
    if name == "axis_index":
        return [frozenset({params["axis_name"]})]
    if name == "jit" or (name.startswith("custom_") and isinstance(params.get("jaxpr"), ClosedJaxpr)):
        inner = params["jaxpr"]
        if len(inner.in_avals) == len(operands) and len(inner.out_avals) == len(eqn.outvars):
            return _walk(inner.jaxpr, operands)
    if name == "scan":
        return _scan(params, operands)
    # Whatever it does, and whatever names its programs consult.
    return [every | frozenset(eqn.effects)] * len(eqn.outvars)


def _scan(params: dict[str, Any], operands: Sequence[Axes]) -> list[Axes]:
    consts, carried = params["num_consts"], params["num_carry"]
    fixed, carry, xs = operands[:consts], list(operands[consts : consts + carried]), operands[consts + carried :]
    while True:
        outs = _walk(params["jaxpr"].jaxpr, [*fixed, *carry, *xs])
        grown = [old | new for old, new in zip(carry, outs, strict=False)]
        if grown == carry:
            return [*carry, *outs[carried:]]
        carry = grown


def check_replicated(
    closed: ClosedJaxpr, in_specs: Sequence[Any], out_specs: Sequence[Any], manual: Sequence[Any], name: str
) -> None:
    """Refuse results that may differ along a mesh axis which their spec does not name.

    Raises
    ------
    ArgumentError
    """
    inputs = [frozenset([n for names in spec for n in names]) for spec in in_specs]
    for number, (axes, spec) in enumerate(zip(varying(closed, inputs), out_specs, strict=True)):
        left = (axes & frozenset(manual)) - {n for names in spec for n in names}
        if left:
            words = ", ".join(sorted(map(repr, left)))
            raise errors.ArgumentError(
                wrong=f"result {number} of shard_map({name}) may differ along the mesh axis {words}, which its spec in "
                "out_specs does not name",
                fix="Name the axis in the spec, make the result the same with psum or pmean, or give check_vma=False",
            )
