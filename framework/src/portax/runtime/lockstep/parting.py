"""From a program on whole arrays to what each of several devices does with its parts.

f on arrays that are divided by the axes of a team becomes a program of parts with collectives between: the same for all
members. It is no partitioner: nothing is searched for and nothing estimated. Equations are walked once, in order. One
whose operands are divided along axes that it treats slice by slice is done by every member on its slices
(``runtime.lockstep.rules``); what it adds over a divided axis is added over members afterwards. Every other one is done
whole by every member, and the parts of its operands are gathered before: such an equation is *joined*, and is told.

The program of parts is staged, so transformations of programs and the devices' own compilers take it like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import source
from portax.core.aval import Aval, aval_of
from portax.core.effects import calls_python
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.core.trace import push, state
from portax.primitives.arithmetic import add, mul
from portax.primitives.collectives import axis_index, psum
from portax.primitives.dynamic_slicing import dynamic_slice
from portax.primitives.exchanges import all_gather
from portax.runtime.lockstep.apart import on_first
from portax.runtime.lockstep.team import Names, Team
from portax.transforms.stage import stage_closed

Rule = Callable[["Parting", Eqn, "list[Part]"], "list[Part] | None"]
"""What members do with the parts of an equation's operands; None where it is to be joined."""


class Part:
    """A value of the program: what one member has of it, and how the whole is divided.

    Attributes
    ----------
    value : Array
    spec : Names
    again : callable or None
        Makes the part for another division, where that is less work than to cut the whole.
    """

    __slots__ = ("again", "spec", "value")

    def __init__(self, value: Any, spec: Names, again: Callable[[Names], Any] | None = None) -> None:
        self.value, self.spec, self.again = value, spec, again

    @property
    def divided(self) -> bool:
        """Whether a member has less than the whole."""
        return any(self.spec)


class Parting:
    """The walk over a program.

    Attributes
    ----------
    team : Team
    rules : mapping of primitive name to Rule
    manual : frozenset of names
        The axes along which the program itself sees parts: inside of a ``shard_map``.
    joined : list of Eqn
    """

    def __init__(self, team: Team, rule: Callable[[Any], Rule | None]) -> None:
        self.team, self.rule = team, rule
        self.manual: frozenset[Any] = frozenset()
        self.joined: list[Eqn] = []
        self._places: dict[Any, Any] = {}
        self._outermost: Any = None
        #: Whence the program is called: the line that operations recorded here get, until they get that of theirs.
        self.here = source.here()
        #: In a loop whose divisions are not settled yet: what is joined is told when they are.
        self.trying = 0

    # -- values -------------------------------------------------------------------------------------------------------
    def shape(self, part: Part) -> tuple[int, ...]:
        """The shape of the whole."""
        return tuple([n * self.team.cuts(names) for n, names in zip(aval_of(part.value).shape, part.spec, strict=True)])

    def fits(self, shape: Sequence[int], spec: Names) -> bool:
        """Whether a whole of that shape can be divided so."""
        return all(n % self.team.cuts(names) == 0 for n, names in zip(shape, spec, strict=True))

    def lay(self, part: Part, spec: Names) -> Part:
        """The value divided in another way: gathered along what no longer cuts it, cut along what newly does."""
        if part.spec == spec:
            return part
        if part.again is not None:
            return Part(part.again(spec), spec, part.again)
        value = part.value
        for d, (old, new) in enumerate(zip(part.spec, spec, strict=True)):
            for name in reversed(old[_common(old, new) :]):
                size = self.team.sizes[name]
                value = all_gather(value, all_gather_dimension=d, axis_name=name, axis_size=size, tiled=True)
        for d, (old, new) in enumerate(zip(part.spec, spec, strict=True)):
            names = new[_common(old, new) :]
            if names:
                value = self._piece(value, d, names)
        return Part(value, spec)

    def recut(self, part: Part, spec: Names | None) -> Part:
        """The value divided so once more, if it can be: what was gathered for one operation only."""
        if spec is None or len(spec) != len(part.spec) or not self.fits(self.shape(part), spec):
            return part
        return self.lay(part, spec)

    def _piece(self, x: Any, d: int, names: Sequence[Any]) -> Any:
        """The member's piece of a value along an axis."""
        shape = aval_of(x).shape
        length = shape[d] // self.team.cuts(names)
        begins = [self.begin(names, length) if k == d else np.zeros((), np.int32) for k in range(len(shape))]
        return dynamic_slice(x, *begins, slice_sizes=tuple([length if k == d else n for k, n in enumerate(shape)]))

    def whole(self, part: Part) -> Part:
        """The value, all of it at every member."""
        return self.lay(part, ((),) * len(part.spec))

    def place(self, name: Any) -> Any:
        """Where the member stands along an axis: asked for once, outside of all loops, which need not speak for it."""
        if name not in self._places:
            with push(self._outermost):
                self._places[name] = axis_index(axis_name=name)
        return self._places[name]

    def begin(self, names: Sequence[Any], length: int) -> Any:
        """Where the member's piece of an axis begins, which is cut by ``names`` into pieces of that length."""
        begin, size = None, length
        for name in reversed(names):
            mine = mul(self.place(name), np.asarray(size, np.int32))
            begin = mine if begin is None else add(begin, mine)
            size *= self.team.sizes[name]
        return begin

    def total(self, value: Any, names: Sequence[Any], spec: Names) -> Part:
        """The sum of what members have along ``names``."""
        return Part(psum(value, axes=tuple(names), axis_index_groups=None) if names else value, spec)

    # -- programs -----------------------------------------------------------------------------------------------------
    def program(
        self, closed: ClosedJaxpr, specs: Sequence[Names], wanted: Sequence[Names | None] | None = None
    ) -> tuple[ClosedJaxpr, list[Names]]:
        """``(program of parts, divisions of its results)`` for operands divided by ``specs``.

        Results are divided as is ``wanted``, or as they come where that is None.
        """
        outs: list[Names] = []

        def f(*xs: Any) -> list[Any]:
            if self._outermost is None:
                self._outermost = state.trace
            parts = self.run(closed, [Part(x, spec) for x, spec in zip(xs, specs, strict=True)])
            laid = [
                p if w is None else self.lay(p, w) for p, w in zip(parts, wanted or [None] * len(parts), strict=True)
            ]
            outs[:] = [p.spec for p in laid]
            return [p.value for p in laid]

        avals = [self.part_aval(a, spec) for a, spec in zip(closed.in_avals, specs, strict=True)]
        return stage_closed(f, avals, closed.jaxpr.name), outs

    def part_aval(self, aval: Aval, spec: Names) -> Aval:
        """The aval of what a member has."""
        lengths = [n // self.team.cuts(names) for n, names in zip(aval.shape, spec, strict=True)]
        return Aval(tuple(lengths), aval.dtype, aval.weak_type)

    def run(self, closed: ClosedJaxpr, operands: Sequence[Part]) -> list[Part]:
        """A program on parts, equation by equation."""
        env: dict[Var, Part] = {}
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            env[var] = Part(value, ((),) * var.aval.ndim)
        env.update(zip(closed.jaxpr.invars, operands, strict=True))

        def read(atom: Any) -> Part:
            return Part(atom.val, ((),) * atom.aval.ndim) if isinstance(atom, Literal) else env[atom]

        for eqn in closed.jaxpr.eqns:
            made = self._equation(eqn, [read(a) for a in eqn.invars])
            for var, part in zip(eqn.outvars, made, strict=True):
                assert self.shape(part) == var.aval.shape, (
                    f"{eqn.primitive}: parts of {self.shape(part)}, not {var.aval}"
                )
                env[var] = part
        return [read(a) for a in closed.jaxpr.outvars]

    def _equation(self, eqn: Eqn, parts: list[Part]) -> list[Part]:
        recorded: list[Eqn] = state.trace.eqns  # pyright: ignore[reportAttributeAccessIssue]
        begin = len(recorded)
        if not self.manual and (calls_python(eqn.effects) or eqn.primitive.name in _ONCE) and not _programs(eqn):
            made = self._once(eqn, parts)
        else:
            rule = self.rule(eqn.primitive)
            made = None if rule is None else rule(self, eqn, parts)
            if made is None:
                made = self.join(eqn, parts)
        for new in recorded[begin:]:
            if _same(new.source, self.here):  # not of a program that was written in place, whose lines are known
                new.source = eqn.source
        return made

    def join(self, eqn: Eqn, parts: list[Part]) -> list[Part]:
        """The equation on whole operands, at every member."""
        if any(p.divided for p in parts):
            self.joins(eqn)
        before = {self.shape(p): p.spec for p in reversed(parts) if p.divided}
        made = self.bind(eqn, [self.whole(p).value for p in parts], None)
        return [self.recut(p, before.get(self.shape(p))) for p in made]

    def joins(self, eqn: Eqn) -> None:
        """Every member does the equation whole, though operands were divided."""
        if not self.trying:
            self.joined.append(eqn)

    def bind(self, eqn: Eqn, values: Sequence[Any], specs: Sequence[Names] | None, **params: Any) -> list[Part]:
        """The equation's operation on values, with some parameters changed."""
        out = eqn.primitive.bind(*values, **{**eqn.params, **params})
        outs = out if eqn.primitive.multiple_results else [out]
        if specs is None:
            specs = [((),) * v.aval.ndim for v in eqn.outvars]
        return [Part(x, spec) for x, spec in zip(outs, specs, strict=True)]

    def _once(self, eqn: Eqn, parts: list[Part]) -> list[Part]:
        """What calls Python is done by the first member, which gives the results to all."""
        values = [self.whole(p).value for p in parts]
        one = Jaxpr([], ins := [Var(a.aval) for a in eqn.invars], eqn.outvars, [eqn.replace(invars=ins)])
        outs = on_first.bind(*values, jaxpr=ClosedJaxpr(one), axes=tuple(self.team.sizes))
        return [Part(x, ((),) * v.aval.ndim) for x, v in zip(outs, eqn.outvars, strict=True)]


#: Operations that call Python, with or without an effect.
_ONCE = frozenset({"pure_callback", "io_callback", "debug_callback", "debug_print"})


def _programs(eqn: Eqn) -> bool:
    """Whether an equation has programs among its parameters."""
    found = [x for v in eqn.params.values() for x in (v if isinstance(v, tuple | list) else (v,))]
    return any(isinstance(x, ClosedJaxpr | Jaxpr) for x in found)


def _same(a: Any, b: Any) -> bool:
    return a is b or (a is not None and b is not None and (a.code, a.lasti) == (b.code, b.lasti))


def _common(old: Sequence[Any], new: Sequence[Any]) -> int:
    """How many names two lists begin with alike."""
    n = 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        n += 1
    return n
