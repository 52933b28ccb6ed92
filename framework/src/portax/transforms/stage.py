"""Staging: run a function on tracers and keep the program it was.

f ~> { lambda a. let b = p a; ... in b }.  Every operation met while the trace is current becomes an equation, whether
its operands are traced or not, so the program holds all of f's arithmetic. Scalars are written into the equations;
other values from outside become constants of the jaxpr, each once. A constant may be a tracer of an outer trace: who
stages inside another transformation passes the constants as operands.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import source
from portax.core.aval import Aval, aval_of, weak_scalar
from portax.core.config import config
from portax.core.dtypes import KeyDtype
from portax.core.evaluation import eval_closed as eval_closed
from portax.core.evaluation import eval_jaxpr as eval_jaxpr
from portax.core.evaluation import last_uses as last_uses
from portax.core.jaxpr import NO_EFFECTS, Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.core.lazy import lazy
from portax.core.primitive import Primitive
from portax.core.refs import Scope
from portax.core.trace import Trace, Tracer, leaked, push, stands_on, state

checker = lazy("portax.core.checker")
leaks = lazy("portax.transforms.leaks")

#: Elements from which a constant is passed as data instead of being written into the program.
LARGE = 1024


class StageTracer(Tracer):
    """Stands for ``variable`` of the program being recorded. (Arrays have a method ``var``.)"""

    __slots__ = ("_trace", "aval", "variable")

    def __init__(self, trace: StageTrace, var: Var) -> None:
        self._trace, self.variable, self.aval = trace, var, var.aval


class StageTrace(Trace):
    """Records every operation as an equation."""

    __slots__ = ("alive", "constants", "eqns", "kept", "known", "name", "refs", "tracer")

    def __init__(self, name: str = "", refs: Scope | None = None) -> None:
        self.eqns: list[Eqn] = []
        self.constants: list[tuple[Var, Any]] = []
        self.known: dict[int, Atom] = {}
        #: Values whose id is a key of ``known``: they must live as long as it does.
        self.kept: list[Any] = []
        self.name = name
        #: Where references from outside are met; None where they may not be.
        self.refs = refs
        self.alive = True

    def argument(self, aval: Aval) -> StageTracer:
        """A tracer for an input of the program."""
        return StageTracer(self, Var(aval))

    def lift(self, x: Any) -> Atom:
        """The atom that stands for ``x`` in this program: a variable, a literal, or a new constant."""
        atom = self.known.get(id(x))
        if atom is not None:
            return atom
        if isinstance(x, Tracer):
            trace = x._trace  # pyright: ignore[reportPrivateUsage]
            if getattr(trace, "alive", True) is False or (trace is not self and stands_on(trace, self)):
                raise leaked(x)
            atom = self.constant(x, aval_of(x))
        else:
            aval = aval_of(x)
            if aval.ndim == 0 and not isinstance(aval.dtype, KeyDtype):
                value = weak_scalar(x, aval.dtype) if aval.weak_type else np.asarray(x, aval.dtype)
                atom = Literal(value, aval)
            else:
                atom = self.constant(x, aval)
        self.known[id(x)] = atom
        self.kept.append(x)
        return atom

    def constant(self, x: Any, aval: Aval) -> Var:
        var = Var(aval)
        self.constants.append((var, x))
        return var

    def process(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if primitive.stage is not None:
            return primitive.stage(self, operands, params)
        return self.record(primitive, operands, params)

    def record(self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Append ``primitive`` applied to ``operands`` and give tracers for its results."""
        atoms: list[Atom] = []
        for x in operands:
            if type(x) is StageTracer and x._trace is self:  # pyright: ignore[reportPrivateUsage]
                atoms.append(x.variable)
            else:
                atoms.append(self.lift(x))
        avals = primitive.out_avals(tuple([a.aval for a in atoms]), params)
        outvars = [Var(aval) for aval in avals]
        effects = primitive.effects(**params) if type(primitive).effects is not Primitive.effects else NO_EFFECTS
        self.eqns.append(Eqn(primitive, atoms, outvars, params, source.here(state.scope), effects))
        if primitive.multiple_results:
            return [StageTracer(self, v) for v in outvars]
        return StageTracer(self, outvars[0])

    def jaxpr(self, inputs: Sequence[StageTracer], outputs: Sequence[Any]) -> tuple[Jaxpr, list[Any]]:
        """The program from ``inputs`` to ``outputs``, and the values of its constants."""
        outvars: list[Atom] = []
        for x in outputs:
            own = type(x) is StageTracer and x._trace is self  # pyright: ignore[reportPrivateUsage]
            outvars.append(x.variable if own else self.lift(x))
        # Lifting may have met values that ended up as constants nobody uses; they cost nothing and stay.
        constvars = [v for v, _ in self.constants]
        jaxpr = Jaxpr(constvars, [t.variable for t in inputs], outvars, self.eqns, name=self.name)
        if config.enable_checks:
            checker.check_jaxpr(jaxpr)
        return jaxpr, [x for _, x in self.constants]

    def invalidate(self) -> None:
        self.alive = False
        self.known, self.kept = {}, []


def stage(
    f: Callable[..., Sequence[Any]], avals: Sequence[Aval], name: str = "", refs: Scope | None = None
) -> tuple[Jaxpr, list[Any]]:
    """The jaxpr of the flat function ``f`` at ``avals``, and its constants, which may be tracers of outer traces.

    References from outside that ``f`` touches are found in ``refs``: the program's first inputs, and last outputs.
    """
    trace = StageTrace(name, refs)
    inputs = [trace.argument(aval) for aval in avals]
    # Equations are many small objects that all survive: the cycle collector would walk them again and again, to find
    # nothing (docs/decisions/0007). It is paused by the outermost staging only.
    collecting = gc.isenabled()
    if collecting:
        gc.disable()
    try:
        with push(trace):
            outputs = f(*inputs)
            if refs is not None and refs.found:
                inputs, outputs = [*refs.inputs(), *inputs], [*outputs, *refs.outputs()]
                refs.close()
            jaxpr, consts = trace.jaxpr(inputs, outputs)
    finally:
        trace.invalidate()
        if collecting:
            gc.enable()
    if config.check_tracer_leaks:
        watched = leaks.watch(trace)
        del trace, inputs, outputs
        leaks.check(watched, name)
    return jaxpr, consts


def stage_closed(f: Callable[..., Sequence[Any]], avals: Sequence[Aval], name: str = "") -> ClosedJaxpr:
    """The closed jaxpr of the flat function ``f`` at ``avals``."""
    return ClosedJaxpr(*stage(f, avals, name))


def stage_open(
    f: Callable[..., Sequence[Any]], avals: Sequence[Aval], name: str = "", refs: Scope | None = None
) -> tuple[ClosedJaxpr, list[Any]]:
    """``(program, moved)``: as ``stage_closed``, but some constants become leading inputs, and are returned.

    Those that are tracers, so that the program may be cached; and large ones, so that they are passed as data wherever
    the program is written. Who binds the program passes ``moved`` first.
    """
    jaxpr, consts = stage(f, avals, name, refs)
    moved = [isinstance(c, Tracer) or v.aval.size >= LARGE for v, c in zip(jaxpr.constvars, consts, strict=True)]
    if not any(moved):
        return ClosedJaxpr(jaxpr, consts), []
    first = [v for v, m in zip(jaxpr.constvars, moved, strict=True) if m]
    rest = [v for v, m in zip(jaxpr.constvars, moved, strict=True) if not m]
    opened = jaxpr.replace(constvars=rest, invars=[*first, *jaxpr.invars])
    closed = ClosedJaxpr(opened, [c for c, m in zip(consts, moved, strict=True) if not m])
    return closed, [c for c, m in zip(consts, moved, strict=True) if m]
