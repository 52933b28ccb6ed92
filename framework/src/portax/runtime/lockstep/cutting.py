"""Programs of parts on several devices that are driven one by one: all of them make the same steps.

A program of parts is what one member of a team does with its parts of the operands; it speaks to the others in
collectives, along axes that the team has names for. It is cut at those into steps (``runtime.lockstep.steps``): between
two collectives each member runs a program of its own, compiled for it. Loops and branches whose programs speak are cut
as well (``runtime.lockstep.loops``); all others stay within the programs.

An operation goes into the earliest step in which its operands are known, so collectives that do not need each other are
not kept apart by what stands between them. Operations that call Python keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core.effects import calls_python
from portax.core.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.primitives.collectives import Collective
from portax.runtime.lockstep.apart import on_first
from portax.runtime.lockstep.loops import Branch, Repetition, Turns
from portax.runtime.lockstep.steps import Exchange, First, Parts, Segment, Step, put
from portax.runtime.lockstep.team import Team
from portax.runtime.programs import Options
from portax.runtime.reference import host_value


class Lockstep:
    """A program of parts, prepared for the members of a team.

    Parameters
    ----------
    closed : ClosedJaxpr
        Of parts.
    team : Team
    options : Options

    Attributes
    ----------
    steps : list of Step
    """

    def __init__(self, closed: ClosedJaxpr, team: Team, options: Options) -> None:
        self.team, self.options = team, options
        self.closed = closed = flat(closed, team)
        jaxpr = closed.jaxpr
        #: Values that every member has from the start.
        self.known: dict[Var, Parts] = {}
        self.values: dict[Var, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        self.steps = self._steps(jaxpr)
        self.outputs = [self._var(a) for a in jaxpr.outvars]
        self.inputs = list(jaxpr.invars)
        #: For each step the values that nobody reads after it.
        self.ends = self._ends()

    def run(self, values: Sequence[Parts]) -> list[Parts]:
        """The results for operands; each is a list with a buffer for each member."""
        frame: dict[Var, Parts] = {**self.known, **dict(zip(self.inputs, values, strict=True))}
        for step, ends in zip(self.steps, self.ends, strict=True):
            frame.update(zip(step.results, step.run([frame[v] for v in step.operands]), strict=True))
            for v in ends:
                frame.pop(v, None)
        return [frame[v] for v in self.outputs]

    # -- cutting ------------------------------------------------------------------------------------------------------
    def _steps(self, jaxpr: Jaxpr) -> list[Step]:
        level: dict[Var, int] = dict.fromkeys(jaxpr.invars, 0)
        alone: list[list[Eqn]] = [[]]
        together: list[list[Eqn]] = [[]]
        ordered = 0
        for eqn in jaxpr.eqns:
            if eqn.primitive.name == "axis_index":
                self._index(eqn)
                level[eqn.outvars[0]] = 0
                continue
            at = max([level.get(a, 0) for a in eqn.invars if isinstance(a, Var)], default=0)
            speaks = self._speaks(eqn)
            if calls_python(eqn.effects):
                at = max(at, ordered)
                ordered = at + 1 if speaks else at
            while len(alone) <= at + 1:
                alone.append([])
                together.append([])
            (together if speaks else alone)[at].append(eqn)
            level.update(dict.fromkeys(eqn.outvars, at + 1 if speaks else at))
        # Values that are read outside of the segment that makes them.
        wanted = {a for a in jaxpr.outvars if isinstance(a, Var)}
        wanted.update(a for eqns in together for eqn in eqns for a in eqn.invars if isinstance(a, Var))
        for at, eqns in enumerate(alone):
            wanted.update(a for eqn in eqns for a in eqn.invars if isinstance(a, Var) and level.get(a, at) < at)
        steps: list[Step] = []
        for mine, speaking in zip(alone, together, strict=True):
            if mine:
                steps.append(self._segment(mine, wanted))
            steps += [self._together(eqn) for eqn in speaking]
        return steps

    def _speaks(self, eqn: Eqn) -> bool:
        return any(name in self.team.sizes for name in eqn.effects)

    def _segment(self, eqns: Sequence[Eqn], wanted: set[Var]) -> Segment:
        made = {v for eqn in eqns for v in eqn.outvars}
        read: dict[Var, None] = {}
        for eqn in eqns:
            read.update(dict.fromkeys([a for a in eqn.invars if isinstance(a, Var) and a not in made]))
        consts = [(v, self.values[v]) for v in read if v in self.values]
        operands = [v for v in read if v not in self.values]
        results = [v for eqn in eqns for v in eqn.outvars if v in wanted]
        return Segment(eqns, operands, results, consts, self.team, self.options)

    def _together(self, eqn: Eqn) -> Step:
        operands = [self._var(a) for a in eqn.invars]
        name = eqn.primitive.name
        if isinstance(eqn.primitive, Collective):
            return Exchange(eqn, operands, self.team, self.options)
        if name == "scan":
            return Turns(eqn, operands, self.team, self._inner, self.options)
        if name == "while":
            return Repetition(eqn, operands, self.team, self._inner)
        if name == "cond":
            return Branch(eqn, operands, self.team, self._inner)
        if eqn.primitive is on_first:
            return First(eqn, operands, self.team, self.options)
        axes = ", ".join([repr(name) for name in eqn.effects if name in self.team.sizes])
        source = eqn.source
        raise errors.GapError(
            wrong=f"{name} has a program in it that speaks along the axis {axes}, and devices that run programs one by "
            "one cannot stop within it",
            fix="Take the collective out of it, or run it on a device that compiles for several",
            where=None if source is None else (source.file, source.line, source.function),
        )

    def _inner(self, closed: ClosedJaxpr) -> Lockstep:
        return Lockstep(closed, self.team, self.options)

    # -- values known from the start ----------------------------------------------------------------------------------
    def _var(self, atom: Atom) -> Var:
        """The variable of an atom that a step other than a segment, or the caller, reads."""
        if isinstance(atom, Var) and atom not in self.values:
            return atom
        var = Var(atom.aval) if isinstance(atom, Literal) else atom
        if var not in self.known:
            value = np.asarray(atom.val) if isinstance(atom, Literal) else host_value(self.values[atom])
            self.known[var] = [put(d, value, var.aval) for d in self.team.members]
        return var

    def _index(self, eqn: Eqn) -> None:
        names = eqn.primitive.names(eqn.params)  # pyright: ignore[reportAttributeAccessIssue]
        [var] = eqn.outvars
        self.known[var] = [
            put(d, np.asarray(self.team.number(k, names), np.int32), var.aval) for k, d in enumerate(self.team.members)
        ]

    def _ends(self) -> list[list[Var]]:
        later: set[Var] = {*self.outputs, *self.known}
        ends: list[list[Var]] = []
        for step in reversed(self.steps):
            mine = [v for v in dict.fromkeys([*step.operands, *step.results]) if v not in later]
            later.update(mine)
            ends.append(mine)
        return ends[::-1]


def called(eqn: Eqn) -> ClosedJaxpr | None:
    """The program that an equation runs, if that is all it does."""
    closed = eqn.params[eqn.primitive.runs] if eqn.primitive.runs else None
    if (
        not isinstance(closed, ClosedJaxpr)
        or len(closed.in_avals) != len(eqn.invars)
        or len(closed.out_avals) != len(eqn.outvars)
    ):
        return None
    return closed


def flat(closed: ClosedJaxpr, team: Team) -> ClosedJaxpr:
    """The program with the calls of programs that speak written out."""
    if not any(called(e) is not None and any(n in team.sizes for n in e.effects) for e in closed.jaxpr.eqns):
        return closed
    consts: dict[Var, Any] = {}
    eqns: list[Eqn] = []

    def write(closed: ClosedJaxpr, env: dict[Var, Atom], inner: bool) -> list[Atom]:
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            env[var] = Var(var.aval) if inner else var
            consts[env[var]] = value  # pyright: ignore[reportArgumentType]

        def read(atom: Atom) -> Atom:
            return atom if isinstance(atom, Literal) else env.get(atom, atom)

        for eqn in closed.jaxpr.eqns:
            operands = [read(a) for a in eqn.invars]
            program = called(eqn) if any(name in team.sizes for name in eqn.effects) else None
            if program is not None:
                outs = write(program, dict(zip(program.jaxpr.invars, operands, strict=True)), True)
                env.update(zip(eqn.outvars, outs, strict=True))
                continue
            if inner:
                fresh = [Var(v.aval) for v in eqn.outvars]
                env.update(zip(eqn.outvars, fresh, strict=True))
                eqns.append(eqn.replace(invars=operands, outvars=fresh))
            else:
                eqns.append(eqn.replace(invars=operands))
        return [read(a) for a in closed.jaxpr.outvars]

    outvars = write(closed, {}, False)
    jaxpr = closed.jaxpr.replace(constvars=list(consts), eqns=eqns, outvars=outvars)
    return ClosedJaxpr(jaxpr, list(consts.values()))
