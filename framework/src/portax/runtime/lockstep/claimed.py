"""Collectives that a driver does itself.

A driver says in its capabilities which kinds of collectives it does (``Backend.collective``). What a program asks for
is one of those kinds, if need be with operations before and after that each device does alone: to gather on a new axis
is to gather along an axis of length 1. What cannot be said so, or is not claimed, goes by way of the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax.core.aval import Aval
from portax.core.jaxpr import Eqn
from portax.primitives.broadcasting import reshape, squeeze, transpose
from portax.runtime import programs
from portax.runtime.contract import Buffer
from portax.runtime.lockstep.team import Team
from portax.transforms.stage import stage_closed

Alone = Callable[[Any], Any]


class Asked:
    """What is asked of a driver.

    Attributes
    ----------
    kind : str
    how : dict
        Keywords of ``Backend.collective``.
    before, after : callables or None
        What each device does alone to its operand, and to its result.
    """

    __slots__ = ("after", "before", "how", "kind")

    def __init__(self, kind: str, before: Alone | None = None, after: Alone | None = None, **how: Any) -> None:
        self.kind, self.before, self.after, self.how = kind, before, after, how


def asked(eqn: Eqn, groups: Sequence[Sequence[int]]) -> Asked | None:
    """A collective as one of the kinds that a driver may claim; None for what is none of them."""
    rule = _RULES.get(eqn.primitive.name)
    if rule is None or eqn.params.get("axis_index_groups") is not None or len(eqn.invars) != 1:
        return None
    needs, make = rule
    if not needs <= eqn.params.keys():
        return None
    return make(eqn.invars[0].aval, groups, eqn.params)


def _all_gather(x: Aval, groups: Any, params: dict[str, Any]) -> Asked:
    d = params["all_gather_dimension"]
    if params["tiled"]:
        return Asked("all_gather", axis=d)
    longer = (*x.shape[:d], 1, *x.shape[d:])
    return Asked("all_gather", lambda v: reshape(v, new_sizes=longer, dimensions=None), axis=d)


def _reduce_scatter(x: Aval, groups: Any, params: dict[str, Any]) -> Asked:
    d = params["scatter_dimension"]
    after = None if params["tiled"] else lambda v: squeeze(v, dimensions=(d,))
    return Asked("reduce_scatter", None, after, combine="add", axis=d)


def _all_to_all(x: Aval, groups: Any, params: dict[str, Any]) -> Asked:
    split, concat = params["split_axis"], params["concat_axis"]
    order = [d for d in range(x.ndim) if d != split]
    order.insert(concat, split)
    after = None if split == concat else lambda v: transpose(v, permutation=tuple(order))
    return Asked("all_to_all", None, after, axis=split)


def _permute(x: Aval, groups: Any, params: dict[str, Any]) -> Asked:
    pairs = tuple([(group[i], group[j]) for group in groups for i, j in params["perm"]])
    return Asked("collective_permute", pairs=pairs)


def _reduction(combine: str) -> Any:
    return lambda x, groups, params: Asked("all_reduce", combine=combine)


_AXIS = {"axis_name"}
#: By primitive: the parameters it must have, and what is asked for.
_RULES: dict[Any, Any] = {
    **dict.fromkeys(("psum", "psum_invariant"), ({"axes"}, _reduction("add"))),
    "pmax": ({"axes"}, _reduction("maximum")),
    "pmin": ({"axes"}, _reduction("minimum")),
    **dict.fromkeys(("all_gather", "all_gather_invariant"), ({"all_gather_dimension", "tiled", *_AXIS}, _all_gather)),
    "reduce_scatter": ({"scatter_dimension", "tiled", *_AXIS}, _reduce_scatter),
    "all_to_all": ({"split_axis", "concat_axis", *_AXIS}, _all_to_all),
    "ppermute": ({"perm", *_AXIS}, _permute),
}


def claim(
    eqn: Eqn, team: Team, groups: Sequence[Sequence[int]], effort: str
) -> Callable[[list[Buffer]], list[Buffer]] | None:
    """A collective as the driver does it, from and to a buffer for each member; None where it does not."""
    backend = team.members[0].backend
    if not backend.capabilities.collectives:
        return None
    found = asked(eqn, groups)
    if found is None or found.kind not in backend.capabilities.collectives:
        return None
    before = _alone(found.before, eqn.invars[0].aval, team, effort)
    [out] = [v.aval for v in eqn.outvars]
    given = eqn.invars[0].aval if found.kind == "all_to_all" else out
    if found.kind == "reduce_scatter" and found.after is not None:
        d = found.how["axis"]
        given = out.update(shape=(*out.shape[:d], 1, *out.shape[d:]))
    after = _alone(found.after, given, team, effort)
    rows = [list(group) for group in groups]

    def run(parts: list[Buffer]) -> list[Buffer]:
        return after(backend.collective(found.kind, team.members, before(parts), rows, **found.how))

    return run


def _alone(f: Alone | None, aval: Aval, team: Team, effort: str) -> Callable[[list[Buffer]], list[Buffer]]:
    if f is None:
        return lambda parts: parts
    closed = stage_closed(lambda x: [f(x)], [aval], "part")
    made = [programs.prepare(closed, device, programs.Options("part", effort)) for device in team.members]

    def run(parts: list[Buffer]) -> list[Buffer]:
        return [program.run([*program.extra, part])[0] for program, part in zip(made, parts, strict=True)]

    return run
