"""Is a program well formed? Asked between passes in tests, never in a user's run.

A jaxpr promises: every variable is bound once, before it is read; every equation's results have the avals that its
primitive's rule gives for its operands and parameters, and the effects; programs inside parameters keep the same
promises. A pass that breaks one is found where it happened, not three passes later.
"""

from __future__ import annotations

from typing import Any

from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.core.trace import state
from portax.errors import JaxprTypeError

FIX = "This is a mistake in a transformation or a primitive's rule, not in your program; please report it"


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Raise if the program is not well formed.

    Raises
    ------
    JaxprTypeError
        With the equation that breaks a promise, and the user's line it came from.
    """
    bound: set[Var] = set()
    for var in (*jaxpr.constvars, *jaxpr.invars):
        if var in bound:
            raise JaxprTypeError(wrong=f"an input is bound twice in the program {jaxpr.name!r}", fix=FIX)
        bound.add(var)
    for eqn in jaxpr.eqns:
        _check_eqn(eqn, bound)
    for atom in jaxpr.outvars:
        if isinstance(atom, Var) and atom not in bound:
            raise JaxprTypeError(wrong=f"an output of the program {jaxpr.name!r} was never computed", fix=FIX)


def _check_eqn(eqn: Eqn, bound: set[Var]) -> None:
    for atom in eqn.invars:
        if isinstance(atom, Literal):
            if atom.val.shape != atom.aval.shape:
                raise _broken(eqn, f"writes a literal of shape {atom.val.shape} for {atom.aval}")
        elif atom not in bound:
            raise _broken(eqn, "reads a variable that was never computed")
    saved, told = (state.axes, state.alike), eqn.primitive.alike_inside(eqn.params)
    state.axes = state.axes + eqn.primitive.axes_inside(eqn.params)
    state.alike = state.alike if told is None else told
    try:
        for inner in programs_in(eqn.params):
            check_jaxpr(inner)
    finally:
        state.axes, state.alike = saved
    operands = tuple([a.aval for a in eqn.invars])
    expected = eqn.primitive.abstract(*operands, **eqn.params)
    avals = eqn.primitive.typed(
        operands, eqn.params, tuple(expected) if eqn.primitive.multiple_results else (expected,)
    )
    given = tuple(v.aval for v in eqn.outvars)
    if avals != given:
        rule, results = ", ".join(map(repr, avals)), ", ".join(map(repr, given))
        raise _broken(eqn, f"has results {results}, and its rule gives {rule}")
    effects = eqn.primitive.effects(**eqn.params)
    if eqn.effects != effects:
        raise _broken(eqn, f"has the effects {sorted(map(str, eqn.effects))}, and its rule {sorted(map(str, effects))}")
    for var in eqn.outvars:
        if var in bound:
            raise _broken(eqn, "binds a variable that is bound already")
        bound.add(var)


def programs_in(params: dict[str, Any]) -> list[Jaxpr]:
    """The programs among an equation's parameters."""
    found: list[Jaxpr] = []
    for value in params.values():
        for x in value if isinstance(value, tuple | list) else (value,):
            if isinstance(x, ClosedJaxpr):
                if len(x.consts) != len(x.jaxpr.constvars):
                    raise JaxprTypeError(wrong="a closed program has not one value for each constant", fix=FIX)
                found.append(x.jaxpr)
            elif isinstance(x, Jaxpr):
                found.append(x)
    return found


def _broken(eqn: Eqn, how: str) -> JaxprTypeError:
    where = (eqn.source.file, eqn.source.line, eqn.source.function) if eqn.source is not None else None
    return JaxprTypeError(wrong=f"the equation\n{eqn}\n{how}", fix=FIX, where=where)
