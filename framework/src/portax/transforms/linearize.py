"""Reverse mode, first half: run the primal now, and stage what depends on the tangents.

f(x + e t) = f(x) + e J t + O(e^2).  The forward-mode trace runs with tracers of a ``TangentTrace`` as its tangents. An
operation without such a tracer belongs to the primal and goes to the parent at once; one with a tracer is linear in it
and is recorded. What the recorded program needs from the primal computation becomes its constants: the residuals.
There is no separate partial evaluator: knownness is being no tracer of this trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax.core.aval import Aval, aval_of, in_order, weak_scalar
from portax.core.jaxpr import ClosedJaxpr, Jaxpr
from portax.core.primitive import Primitive, registry
from portax.core.trace import Trace, push, state
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.zeros import zero
from portax.transforms.dce import dce_closed, without_unread
from portax.transforms.jvp import jvp, moves, tangent_aval
from portax.transforms.stage import StageTrace, StageTracer, eval_closed


class TangentTrace(StageTrace):
    """Records operations on tangents; hands all others to the parent."""

    __slots__ = ("parent",)

    def __init__(self, parent: Trace, name: str = "") -> None:
        super().__init__(name)
        self.parent = parent

    def process(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        for x in operands:
            if type(x) is StageTracer and x._trace is self:  # pyright: ignore[reportPrivateUsage]
                if primitive.opens_for_tangents:
                    # A user's rule called a program on primals and tangents at once: each equation goes its own way.
                    return eval_closed(params["jaxpr"], *operands)
                return super().process(primitive, operands, params)
        state.trace = self.parent
        try:
            return self.parent.process(primitive, operands, params)
        finally:
            state.trace = self

    def zeros(self, aval: Aval) -> Any:
        """The zero tangent of a value, made in the recorded program: as a residual it would be kept, and stacked."""
        start = weak_scalar(0, aval.dtype) if aval.weak_type else zero(aval.dtype)
        if aval.ndim:
            start = self.record(broadcast_in_dim, (start,), {"shape": aval.shape, "broadcast_dimensions": ()})
        return self.record(registry["pvary"], (start,), {"axes": in_order(aval.varying)}) if aval.varying else start


class Linear:
    """The derivative of a function at a point, as a program from tangents to tangents.

    Attributes
    ----------
    jaxpr : Jaxpr
        Constants are the residuals; inputs are the tangents that move; outputs those of the results that move.
    residuals : list
    moving_in, moving_out : list of bool
        Which inputs and results have a tangent at all.
    """

    __slots__ = ("jaxpr", "moving_in", "moving_out", "residuals")

    def __init__(self, jaxpr: Jaxpr, residuals: list[Any], moving_in: list[bool], moving_out: list[bool]) -> None:
        self.jaxpr, self.residuals = jaxpr, residuals
        self.moving_in, self.moving_out = moving_in, moving_out


def linearize(
    f: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    moving: Sequence[bool] | None = None,
    instantiated: Sequence[bool] | None = None,
) -> tuple[list[Any], Linear]:
    """``(outs, linear)``: the flat function ``f`` at ``primals``, and its derivative there.

    Parameters
    ----------
    moving : which inputs may move; by default all that are floating point or complex
    instantiated : for which results a tangent is wanted even if it is zero
    """
    avals = [aval_of(x) for x in primals]
    moving = [moves(a) for a in avals] if moving is None else list(moving)
    trace = TangentTrace(state.trace)
    inputs = [trace.argument(tangent_aval(a)) if m else None for a, m in zip(avals, moving, strict=True)]
    try:
        with push(trace):
            outs, dots = jvp(f, primals, inputs, slot="linearize")
            if instantiated is not None:
                dots = [
                    trace.zeros(aval_of(x)) if t is None and w and moves(aval_of(x)) else t
                    for x, t, w in zip(outs, dots, instantiated, strict=True)
                ]
            jaxpr, residuals = without_unread(
                *trace.jaxpr([t for t in inputs if t is not None], [t for t in dots if t is not None])
            )
    finally:
        trace.invalidate()
    return outs, Linear(jaxpr, residuals, moving, [t is not None for t in dots])


class LinearizedJaxpr:
    """A program split in two: the primal, which also gives the residuals, and the linear rest.

    Attributes
    ----------
    primal : ClosedJaxpr
        Inputs of the original to its outputs, followed by the residuals.
    linear : ClosedJaxpr
        Residuals, then the moving tangents, to the moving tangents of the outputs.
    moving_out : list of bool
    forwarded : list of int or None
        For each residual the input of the original it merely is, or None.
    """

    __slots__ = ("forwarded", "linear", "moving_out", "primal")

    def __init__(
        self, primal: ClosedJaxpr, linear: ClosedJaxpr, moving_out: list[bool], forwarded: list[int | None]
    ) -> None:
        self.primal, self.linear = primal, linear
        self.moving_out, self.forwarded = moving_out, forwarded

    def primal_without(self, known: Sequence[bool]) -> ClosedJaxpr:
        """The primal without the residuals that are ``known``: who runs it has them already."""
        if not any(known):
            return self.primal
        key = ("primal without", tuple(known))
        if key not in self.primal.memo:
            jaxpr = self.primal.jaxpr
            n = len(jaxpr.outvars) - len(known)
            rest = [v for v, k in zip(jaxpr.outvars[n:], known, strict=True) if not k]
            smaller = jaxpr.replace(outvars=[*jaxpr.outvars[:n], *rest])
            self.primal.memo[key] = ClosedJaxpr(smaller, self.primal.consts)
        return self.primal.memo[key]


def linearize_jaxpr(
    closed: ClosedJaxpr, moving: Sequence[bool], instantiated: Sequence[bool] | bool = False
) -> LinearizedJaxpr:
    """Split a program into its primal and its linear part; cached with the program."""
    wanted = tuple([instantiated] * len(closed.out_avals) if isinstance(instantiated, bool) else instantiated)
    key = ("linearize", tuple(moving), wanted)
    known = closed.memo.get(key)
    if known is not None:
        return known
    # What nobody reads need have no derivative.
    whole, closed = closed, dce_closed(closed)
    name = closed.jaxpr.name
    trace = StageTrace(name)
    inputs = [trace.argument(aval) for aval in closed.in_avals]
    try:
        with push(trace):
            outs, linear = linearize(lambda *xs: eval_closed(closed, *xs), inputs, moving, wanted)
            # What was there before stays a constant of the linear program; only what this very trace computes is a
            # residual.
            own = [type(r) is StageTracer and r._trace is trace for r in linear.residuals]  # pyright: ignore
            residuals = [r for r, o in zip(linear.residuals, own, strict=True) if o]
            jaxpr, consts = trace.jaxpr(inputs, [*outs, *residuals])
    finally:
        trace.invalidate()
    place = {id(t.variable): i for i, t in enumerate(inputs)}
    forwarded = [place.get(id(v)) for v in jaxpr.outvars[len(outs) :]]
    constvars = linear.jaxpr.constvars
    opened = linear.jaxpr.replace(
        constvars=[v for v, o in zip(constvars, own, strict=True) if not o],
        invars=[*(v for v, o in zip(constvars, own, strict=True) if o), *linear.jaxpr.invars],
        name=name,
    )
    rest = ClosedJaxpr(opened, [r for r, o in zip(linear.residuals, own, strict=True) if not o])
    result = LinearizedJaxpr(ClosedJaxpr(jaxpr, consts), rest, linear.moving_out, forwarded)
    whole.memo[key] = result
    return result
