"""The steps of a program that several devices run together.

A value is a list with one buffer for each member of the team: its part. A step takes such values and gives such values;
it does for all members the same. ``Segment`` runs operations on each member alone, as one program. ``Exchange`` is a
collective: members speak to each other, by the driver's own means where it claims them, else by way of the host.

Everything is asked of the devices from one thread, in order: an error on one of them ends the program on all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from portax import errors
from portax.core.aval import Aval
from portax.core.dtypes import KeyDtype
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Var
from portax.core.primitive import Primitive
from portax.runtime import devices, programs
from portax.runtime.lockstep.claimed import claim
from portax.runtime.lockstep.team import Team
from portax.runtime.reference import run_reference
from portax.transforms.batch import batch
from portax.transforms.stage import stage_closed

if TYPE_CHECKING:
    from portax.runtime.contract import Buffer, Device

Parts = list[Any]
"""One buffer for each member."""


class Step:
    """What all members do at once.

    Attributes
    ----------
    operands, results : list of Var
    """

    operands: list[Var]
    results: list[Var]

    def run(self, values: list[Parts]) -> list[Parts]:
        raise NotImplementedError


# -- alone ------------------------------------------------------------------------------------------------------------
class Segment(Step):
    """Operations that each member does on its own, as one program."""

    def __init__(
        self, eqns: Sequence[Eqn], operands: list[Var], results: list[Var], consts: Sequence[tuple[Var, Any]],
        team: Team, options: Any,
    ) -> None:  # fmt: skip
        self.operands, self.results, self.team, self.eqns = operands, results, team, list(eqns)
        jaxpr = Jaxpr([v for v, _ in consts], operands, results, eqns, name=options.name)
        self.closed = ClosedJaxpr(jaxpr, [c for _, c in consts])
        self.programs = prepared(self.closed, team.members, options)

    def run(self, values: list[Parts]) -> list[Parts]:
        made: list[list[Buffer]] = []
        for k, program in enumerate(self.programs):
            mine = values if program.kept is None else [values[i] for i in program.kept]
            try:
                made.append(program.run([*program.extra, *[parts[k] for parts in mine]]))
            except Exception as error:
                raise told(error, self.team.members[k], self.eqns) from error
        return [list(parts) for parts in zip(*made, strict=True)]


def prepared(closed: ClosedJaxpr, members: Sequence[Device], options: Any) -> list[programs.Program]:
    """The program for each member."""
    own = programs.Options(options.name, options.effort)
    return [programs.prepare(closed, device, own) for device in members]


def told(error: Exception, where: Device | Team, eqns: Sequence[Eqn]) -> Exception:
    """The error of one member, with its name and the user's line."""
    sources = [eqn.source for eqn in eqns if eqn.source is not None]
    first = sources[0] if sources else None
    if not isinstance(error, errors.DeviceError):
        error.add_note(f"On {where}" + (f", which ran the operations from {first}." if first else "."))
        return error
    place = None if first is None else (first.file, first.line, first.function)
    return type(error)(wrong=f"on {where}: {error.wrong}", fix=error.fix, where=place)


class First(Step):
    """A program that the first member runs, and whose results all get."""

    def __init__(self, eqn: Eqn, operands: list[Var], team: Team, options: Any) -> None:
        self.eqn, self.operands, self.results, self.team = eqn, operands, list(eqn.outvars), team
        [self.program] = prepared(eqn.params["jaxpr"], team.members[:1], options)

    def run(self, values: list[Parts]) -> list[Parts]:
        first, program = self.team.members[0], self.program
        mine = values if program.kept is None else [values[i] for i in program.kept]
        try:
            outs = program.run([*program.extra, *[parts[0] for parts in mine]])
            found = [fetch(first, x, v.aval) for x, v in zip(outs, self.results, strict=True)]
        except Exception as error:
            raise told(error, first, [self.eqn]) from error
        return [[put(d, x, v.aval) for d in self.team.members] for x, v in zip(found, self.results, strict=True)]


# -- together ---------------------------------------------------------------------------------------------------------
class Exchange(Step):
    """A collective: for each group of members, what each gets from the values of all.

    By way of the host the values of a group are stacked along its axes, and the meaning of the collective on such a
    stack, which is its batching rule, says what comes out.
    """

    def __init__(self, eqn: Eqn, operands: list[Var], team: Team, options: Any) -> None:
        self.eqn, self.team, self.operands, self.results = eqn, team, operands, list(eqn.outvars)
        self.names: tuple[Any, ...] = eqn.primitive.names(eqn.params)  # pyright: ignore[reportAttributeAccessIssue]
        self.groups = team.groups(self.names)
        self.claimed = claim(eqn, team, self.groups, options.effort)
        if self.claimed is None:
            axes = [(name, team.sizes[name]) for name in self.names]
            self.meaning, self.differing = stacked_meaning(eqn.primitive, [v.aval for v in operands], eqn.params, axes)

    def run(self, values: list[Parts]) -> list[Parts]:
        members = self.team.members
        if self.claimed is not None:
            try:
                return [self.claimed(values[0])]
            except Exception as error:
                raise told(error, self.team, [self.eqn]) from error
        out: list[Parts] = [[None] * len(members) for _ in self.results]
        for group in self.groups:
            stacks = [self._stacked(parts, v.aval, group) for v, parts in zip(self.operands, values, strict=True)]
            found = run_reference(self.meaning, *stacks)
            for made, axes, var, whole in zip(out, self.differing, self.results, found, strict=True):
                for member in group:
                    place = tuple([self.team.place(member, name) for name in axes])
                    made[member] = put(members[member], whole[place], var.aval)
        return out

    def _stacked(self, parts: Parts, aval: Aval, group: Sequence[int]) -> np.ndarray:
        """What the members of a group have, along an axis for each name."""
        rows = []
        for member in group:
            device = self.team.members[member]
            try:
                rows.append(fetch(device, parts[member], aval))
            except Exception as error:
                raise told(error, device, [self.eqn]) from error
        return np.stack(rows).reshape(*[self.team.sizes[name] for name in self.names], *aval.shape)


def stacked_meaning(
    primitive: Primitive, avals: Sequence[Aval], params: dict[str, Any], axes: Sequence[tuple[Any, int]]
) -> tuple[ClosedJaxpr, list[list[Any]]]:
    """``(program, named)``: a collective on operands stacked along ``axes``, and along which of them results differ."""
    many = primitive.multiple_results
    named: list[list[Any]] = []

    def along(rest: Sequence[tuple[Any, int]], xs: Sequence[Any]) -> list[Any]:
        if not rest:
            out = primitive.bind(*xs, **params)
            named[:] = [[] for _ in range(len(out) if many else 1)]
            return list(out) if many else [out]
        (name, size), *inner = rest
        outs, batched = batch(lambda *ys: along(inner, ys), xs, [True] * len(xs), size, name)
        for mine, flag in zip(named, batched, strict=True):
            if flag:
                mine.insert(0, name)
        return outs

    lengths = [size for _, size in axes]
    closed = stage_closed(
        lambda *xs: along(axes, xs), [a.update(shape=(*lengths, *a.shape)) for a in avals], primitive.name
    )
    return closed, named


def fetch(device: Device, buffer: Buffer, aval: Aval) -> np.ndarray:
    """A part, as the host stores it."""
    value = device.host(buffer)
    if type(aval.dtype) is KeyDtype and devices.compiles(device):
        return aval.dtype.from_compiler(value)
    return value


def put(device: Device, value: np.ndarray, aval: Aval) -> Buffer:
    """A part that the host made, on its device. Nobody writes to it after."""
    if type(aval.dtype) is KeyDtype and devices.compiles(device):
        value = aval.dtype.for_compiler(value)
    return device.put(np.asarray(value, order="C"), copy=False)
