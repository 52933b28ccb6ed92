"""Programs that close over tracers, and who binds them.

f closing over s = (lambda s, x. f_s(x))(s).  A transformed program may hold a tracer among its constants: a user's rule
ran while it was being transformed, and read a value of the trace outside. No trace looks into the constants of a
program, so before an operation is bound they become operands of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.jaxpr import ClosedJaxpr, Var
from portax.core.primitive import Primitive
from portax.core.trace import Tracer, state


def closes(closed: ClosedJaxpr) -> bool:
    """Whether a program has a tracer among its constants."""
    return any(isinstance(c, Tracer) for c in closed.consts)


def hoisted(closed: ClosedJaxpr) -> tuple[ClosedJaxpr, list[Any]]:
    """``(program, tracers)``: the program whose first inputs are the tracers it closed over; kept with the program."""
    key = "hoisted"
    if key not in closed.memo:
        jaxpr = closed.jaxpr
        own = [isinstance(c, Tracer) for c in closed.consts]
        first = [v for v, o in zip(jaxpr.constvars, own, strict=True) if o]
        rest = [v for v, o in zip(jaxpr.constvars, own, strict=True) if not o]
        opened = jaxpr.replace(constvars=rest, invars=[*first, *jaxpr.invars])
        program = ClosedJaxpr(opened, [c for c, o in zip(closed.consts, own, strict=True) if not o])
        closed.memo[key] = program, [c for c, o in zip(closed.consts, own, strict=True) if o]
    return closed.memo[key]


def hoisted_alike(programs: Sequence[ClosedJaxpr]) -> tuple[tuple[ClosedJaxpr, ...], list[Any]]:
    """The same of programs that take the same operands: each takes the tracers of all, and ignores the others'."""
    pairs = [hoisted(p) for p in programs]
    avals = [[x.aval for x in tracers] for _, tracers in pairs]
    results: list[ClosedJaxpr] = []
    for i, (program, tracers) in enumerate(pairs):
        key = ("hoisted beside", i, tuple(map(tuple, avals)))
        if key not in program.memo:
            n, jaxpr = len(tracers), program.jaxpr
            before = [Var(a) for group in avals[:i] for a in group]
            after = [Var(a) for group in avals[i + 1 :] for a in group]
            invars = [*before, *jaxpr.invars[:n], *after, *jaxpr.invars[n:]]
            program.memo[key] = ClosedJaxpr(jaxpr.replace(invars=invars), program.consts)
        results.append(program.memo[key])
    return tuple(results), [x for _, tracers in pairs for x in tracers]


class Hoisting(Primitive):
    """A primitive whose parameters hold programs that may close over tracers."""

    spreads = True

    def closing(self, params: dict[str, Any]) -> bool:
        """Whether a program in the parameters has a tracer among its constants."""
        return closes(params["jaxpr"])

    def opened(self, operands: Sequence[Any], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The operation, with those tracers as operands."""
        raise NotImplementedError

    def bind(self, *operands: Any, **params: Any) -> Any:
        if self.closing(params):
            operands, params = self.opened(operands, params)
        return state.trace.process(self, operands, params)

    __call__ = bind
