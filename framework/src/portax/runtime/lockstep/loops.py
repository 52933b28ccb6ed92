"""Loops and branches whose programs speak: steps of programs of steps.

All members make the same turns and take the same branches, for each turn and branch may be one in which they speak. A
member whose own condition has ended, or which chose another branch, goes along and keeps what it had. So none waits for
another in vain, and the result is that of the same program on a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.dtypes import KeyDtype
from portax.core.jaxpr import ClosedJaxpr, Eqn, Var
from portax.primitives.arithmetic import add
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.collectives import take_slice
from portax.primitives.slicing import concatenate
from portax.runtime import programs
from portax.runtime.contract import Buffer, Device
from portax.runtime.lockstep.steps import Parts, Step, fetch, put, told
from portax.runtime.lockstep.team import Team
from portax.transforms.stage import eval_closed, stage_closed

Prepare = Callable[[ClosedJaxpr], Any]
"""From a program of parts to the same in steps: ``run(values) -> values``."""

_COUNTER = Aval((), np.dtype(np.int32))
#: Rows that one program lays one after the other.
_AT_ONCE = 32


class Turns(Step):
    """A scan: every member makes all turns, and counts them itself."""

    def __init__(self, eqn: Eqn, operands: list[Var], team: Team, prepare: Prepare, options: Any) -> None:
        params = eqn.params
        self.operands, self.results, self.team, self.options = operands, list(eqn.outvars), team, options
        self.length, self.reverse = params["length"], params["reverse"]
        self.consts, self.carried = params["num_consts"], params["num_carry"]
        #: A loop of no turns may have nothing to take a slice of.
        self.body = prepare(_one_turn(params)) if self.length else None
        begin = np.asarray(self.length - 1 if self.reverse else 0, np.int32)
        self.begin = [put(d, begin, _COUNTER) for d in team.members]
        self.rows = [Aval((1, *a.shape), a.dtype) for a in params["jaxpr"].out_avals[self.carried :]]

    def run(self, values: list[Parts]) -> list[Parts]:
        first = self.consts + self.carried
        fixed, carry, slices = values[: self.consts], values[self.consts : first], values[first:]
        counter: Parts = self.begin
        rows: list[list[Parts]] = [[] for _ in self.rows]
        for _ in range(self.length):
            assert self.body is not None
            counter, *outs = self.body.run([counter, *fixed, *carry, *slices])
            carry = outs[: self.carried]
            for made, row in zip(rows, outs[self.carried :], strict=True):
                made.append(row)
        if self.reverse:
            rows = [made[::-1] for made in rows]
        return [*carry, *[self._laid(made, aval) for made, aval in zip(rows, self.rows, strict=True)]]

    def _laid(self, rows: list[Parts], aval: Aval) -> Parts:
        """The rows of all turns one after the other."""
        if not rows:
            dtype = aval.dtype.storage if isinstance(aval.dtype, KeyDtype) else aval.dtype
            return [put(d, np.empty((0, *aval.shape[1:]), dtype), aval) for d in self.team.members]
        return [joined_rows([row[k] for row in rows], aval, d, self.options) for k, d in enumerate(self.team.members)]


def _one_turn(params: dict[str, Any]) -> ClosedJaxpr:
    """From (counter, constants, carry, whole sequences) to (next counter, carry, a row of each result)."""
    jaxpr: ClosedJaxpr = params["jaxpr"]
    first = params["num_consts"] + params["num_carry"]
    whole = [a.update(shape=(params["length"], *a.shape)) for a in jaxpr.in_avals[first:]]

    def turn(i: Any, *xs: Any) -> list[Any]:
        outs = eval_closed(jaxpr, *xs[:first], *[take_slice(x, i, 0) for x in xs[first:]])
        step = np.asarray(-1 if params["reverse"] else 1, np.int32)
        return [add(i, step), *outs[: params["num_carry"]], *[_as_row(y) for y in outs[params["num_carry"] :]]]

    return stage_closed(turn, [_COUNTER, *jaxpr.in_avals[:first], *whole], jaxpr.jaxpr.name)


def _as_row(y: Any) -> Any:
    aval = aval_of(y)
    return broadcast_in_dim(y, shape=(1, *aval.shape), broadcast_dimensions=tuple(range(1, aval.ndim + 1)))


def joined_rows(rows: list[Buffer], aval: Aval, device: Device, options: Any) -> Buffer:
    """Buffers of one row each as one, by programs that take some at a time."""
    pieces = [(row, 1) for row in rows]
    while len(pieces) > 1:
        after: list[tuple[Buffer, int]] = []
        for begin in range(0, len(pieces), _AT_ONCE):
            some = pieces[begin : begin + _AT_ONCE]
            if len(some) == 1:
                after += some
                continue
            closed = _concatenation(aval, tuple([n for _, n in some]))
            program = programs.prepare(closed, device, programs.Options("rows", options.effort))
            [whole] = program.run([*program.extra, *[piece for piece, _ in some]])
            after.append((whole, sum([n for _, n in some])))
        pieces = after
    return pieces[0][0]


_concatenations: dict[Any, ClosedJaxpr] = {}


def _concatenation(aval: Aval, lengths: tuple[int, ...]) -> ClosedJaxpr:
    key = (aval, lengths)
    if key not in _concatenations:
        if len(_concatenations) >= 1024:
            _concatenations.clear()
        avals = [Aval((n, *aval.shape[1:]), aval.dtype) for n in lengths]
        _concatenations[key] = stage_closed(lambda *xs: [concatenate(*xs, dimension=0)], avals, "rows")
    return _concatenations[key]


class Repetition(Step):
    """A while loop: turns are made as long as any member wants one; the others keep their carry meanwhile."""

    def __init__(self, eqn: Eqn, operands: list[Var], team: Team, prepare: Prepare) -> None:
        self.eqn, self.operands, self.results, self.team = eqn, operands, list(eqn.outvars), team
        self.condition, self.body = prepare(eqn.params["cond_jaxpr"]), prepare(eqn.params["body_jaxpr"])
        self.first, self.second = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        self.answer = eqn.params["cond_jaxpr"].out_avals[0]

    def run(self, values: list[Parts]) -> list[Parts]:
        n = self.first + self.second
        of_condition, of_body, carry = values[: self.first], values[self.first : n], values[n:]
        while True:
            [answers] = self.condition.run([*of_condition, *carry])
            going = [bool(x) for x in read(self.eqn, self.team, answers, self.answer)]
            if not any(going):
                return carry
            made = self.body.run([*of_body, *carry])
            if all(going):
                carry = made
            else:
                carry = [_chosen(going, new, old) for new, old in zip(made, carry, strict=True)]


class Branch(Step):
    """A choice between programs: every branch that a member chose is run by all, and each keeps what it chose."""

    def __init__(self, eqn: Eqn, operands: list[Var], team: Team, prepare: Prepare) -> None:
        self.eqn, self.operands, self.results, self.team = eqn, operands, list(eqn.outvars), team
        self.branches = [prepare(branch) for branch in eqn.params["branches"]]

    def run(self, values: list[Parts]) -> list[Parts]:
        last = len(self.branches) - 1
        given = read(self.eqn, self.team, values[0], self.operands[0].aval)
        chosen = [min(max(int(i), 0), last) for i in given]
        out: list[Parts] = []
        for i in sorted(set(chosen)):
            made = self.branches[i].run(values[1:])
            out = [_chosen([c == i for c in chosen], new, old) for new, old in zip(made, out or made, strict=True)]
        return out


def read(eqn: Eqn, team: Team, parts: Parts, aval: Aval) -> list[np.ndarray]:
    """What each member has of a value that decides how the program goes on."""
    found = []
    for device, part in zip(team.members, parts, strict=True):
        try:
            found.append(fetch(device, part, aval))
        except Exception as error:
            raise told(error, device, [eqn]) from error
    return found


def _chosen(which: list[bool], new: Parts, old: Parts) -> Parts:
    return [a if w else b for w, a, b in zip(which, new, old, strict=True)]
