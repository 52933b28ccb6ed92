"""Forward mode: push a tangent alongside each value.

jvp(f)(x, t) = f(x), f'(x) t.  A value that does not move carries no tangent (None), so constants cost nothing. The
trace asks each primitive for its rule; what a primitive left out is derived here from ``derivatives`` or ``linear_in``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr
from portax.core.lazy import lazy
from portax.core.primitive import Primitive
from portax.core.trace import Trace, Tracer, push, state
from portax.primitives.zeros import add_any, zeros
from portax.transforms.alike import lifted
from portax.transforms.dce import dce_closed
from portax.transforms.stage import eval_closed, stage_closed

leaks = lazy("portax.transforms.leaks")


class JVPTracer(Tracer):
    """A value that moves: ``primal`` and its ``tangent``."""

    __slots__ = ("_trace", "aval", "primal", "tangent")

    def __init__(self, trace: JVPTrace, primal: Any, tangent: Any) -> None:
        self._trace, self.primal, self.tangent = trace, primal, tangent
        self.aval: Aval = aval_of(primal)


class JVPTrace(Trace):
    """Runs each primitive's derivative rule in the parent trace."""

    __slots__ = ("alive", "parent", "slot")

    def __init__(self, parent: Trace, slot: str = "jvp") -> None:
        self.parent, self.slot, self.alive = parent, slot, True

    def process(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        primals: list[Any] = []
        tangents: list[Any] = []
        moving = False
        for x in operands:
            if type(x) is JVPTracer and x._trace is self:  # pyright: ignore[reportPrivateUsage]
                primals.append(x.primal)
                tangents.append(x.tangent)
                moving = True
            else:
                primals.append(x)
                tangents.append(None)
        state.trace = parent = self.parent
        try:
            if not moving:
                return parent.process(primitive, tuple(primals), params)
            try:
                rule = primitive.derived[self.slot]
            except KeyError:
                rule = primitive.derived[self.slot] = tangent_rule(primitive, self.slot)
            out, dot = rule(primals, tangents, **params)
        finally:
            state.trace = self
        if primitive.multiple_results:
            return [x if t is None else JVPTracer(self, x, t) for x, t in zip(out, dot, strict=True)]
        return out if dot is None else JVPTracer(self, out, dot)

    def moved(self, x: Any) -> tuple[Any, Any]:
        """The primal and the tangent of a value, the tangent None where it does not move."""
        if type(x) is JVPTracer and x._trace is self:  # pyright: ignore[reportPrivateUsage]
            return x.primal, x.tangent
        return x, None

    def invalidate(self) -> None:
        self.alive = False


def tangent_rule(primitive: Primitive, slot: str) -> Callable[..., Any]:
    """The primitive's own rule in ``slot``, or the one that follows from its other slots."""
    if slot == "linearize" and primitive.linearize is not None:
        return primitive.linearize
    if primitive.jvp is not None:
        return primitive.jvp
    if primitive.derivatives is not None:
        return _from_derivatives(primitive, tuple(primitive.derivatives))
    if primitive.linear_in:
        return _from_linearity(primitive, primitive.linear_in)
    return _refuse(primitive)


def _from_derivatives(primitive: Primitive, rules: tuple[Callable[..., Any] | None, ...]) -> Callable[..., Any]:
    def jvp(primals: list[Any], tangents: list[Any], **params: Any) -> tuple[Any, Any]:
        out = primitive.bind(*primals, **params)
        total = None
        for rule, t in zip(rules, tangents, strict=True):
            if t is not None and rule is not None:
                term = rule(t, out, *primals, **params)
                if term is not None:
                    total = term if total is None else add_any(total, term)
        return out, total

    return jvp


def _from_linearity(primitive: Primitive, linear_in: tuple[int, ...]) -> Callable[..., Any]:
    def jvp(primals: list[Any], tangents: list[Any], **params: Any) -> tuple[Any, Any]:
        out = primitive.bind(*primals, **params)
        if all(tangents[i] is None for i in linear_in):
            return out, [None] * len(out) if primitive.multiple_results else None
        moved = list(primals)
        for i in linear_in:
            moved[i] = instantiate(tangents[i], aval_of(primals[i]))
        return out, primitive.bind(*moved, **params)

    return jvp


def _refuse(primitive: Primitive) -> Callable[..., Any]:
    """No rule at all: fine as long as no result could move."""

    def jvp(primals: list[Any], tangents: list[Any], **params: Any) -> tuple[Any, Any]:
        out = primitive.bind(*primals, **params)
        for x in out if primitive.multiple_results else [out]:
            if moves(aval_of(x)):
                raise errors.NotDifferentiableError(
                    wrong=f"{primitive.name} has no derivative",
                    fix="Keep it out of the differentiated part, for example with stop_gradient, "
                    "or give the function a rule with custom_jvp",
                )
        return out, [None] * len(out) if primitive.multiple_results else None

    return jvp


def moves(aval: Aval) -> bool:
    """Whether values of this aval have tangents: floating point and complex ones do."""
    return dtypes.is_inexact(aval.dtype)


def tangent_aval(aval: Aval) -> Aval:
    """The aval of the tangents of values of ``aval``: the same, weak where they are."""
    return aval


def instantiate(tangent: Any, aval: Aval) -> Any:
    """The tangent, or zeros where it is None."""
    return zeros(tangent_aval(aval)) if tangent is None else tangent


def jvp(
    f: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any], slot: str = "jvp"
) -> tuple[list[Any], list[Any]]:
    """``(outs, tangents)`` of the flat function ``f``; a tangent that is zero is None, on the way in and out."""
    if state.alike:
        tangents = _varying_with(primals, tangents)
    trace = JVPTrace(state.trace, slot)
    inputs = [x if t is None else JVPTracer(trace, x, t) for x, t in zip(primals, tangents, strict=True)]
    try:
        with push(trace):
            outs = f(*inputs)
    finally:
        trace.invalidate()
    pairs = [trace.moved(x) for x in outs]
    if config.check_tracer_leaks:
        watched = leaks.watch(trace)
        del trace, inputs, outs
        leaks.check(watched, "")
    values, dots = [x for x, _ in pairs], [t for _, t in pairs]
    return values, _varying_with(values, dots) if state.alike else dots


def _varying_with(values: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Tangents that vary along the mesh axes along which their values do."""
    return [t if t is None else lifted(t, aval_of(x).varying) for x, t in zip(values, tangents, strict=True)]


def jvp_jaxpr(
    closed: ClosedJaxpr, moving: Sequence[bool], instantiated: Sequence[bool] | bool = False
) -> tuple[ClosedJaxpr, list[bool]]:
    """``(program, moving_out)``: the program from primals and the tangents that move to the same of the results.

    Parameters
    ----------
    moving : which inputs have a tangent
    instantiated : for which outputs a tangent is wanted even if it is zero
    """
    n = len(closed.out_avals)
    wanted = tuple([instantiated] * n if isinstance(instantiated, bool) else instantiated)
    key = ("jvp", tuple(moving), wanted)
    if key in closed.memo:
        return closed.memo[key]
    out_moving: list[bool] = []

    def f(*args: Any) -> list[Any]:
        primals, given = args[: len(moving)], iter(args[len(moving) :])
        tangents = [next(given) if m else None for m in moving]
        # What nobody reads need have no derivative.
        outs, dots = jvp(lambda *xs: eval_closed(dce_closed(closed), *xs), primals, tangents)
        dots = [
            instantiate(t, aval) if w and moves(aval) else t
            for t, w, aval in zip(dots, wanted, closed.out_avals, strict=True)
        ]
        out_moving[:] = [t is not None for t in dots]
        return [*outs, *(t for t in dots if t is not None)]

    avals = [*closed.in_avals, *(tangent_aval(a) for a, m in zip(closed.in_avals, moving, strict=True) if m)]
    result = stage_closed(f, avals, closed.jaxpr.name), out_moving
    closed.memo[key] = result
    return result
