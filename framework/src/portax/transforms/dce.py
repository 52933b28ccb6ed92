"""Dropping what nobody reads.

dce(lambda a. let b = f a; c = g a in c) = lambda a. let c = g a in c.  Equations are walked from the last to the first;
one stays if a result of it is read, or if it has effects. Of a program inside an equation stays what makes results that
are read; its primitive says how (``dce``). Inputs stay, read or not: who binds the program passes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Var

#: A program, and which of the inputs of the one it was made from it has.
Narrowed = tuple[ClosedJaxpr, list[bool]]


def dce_jaxpr(jaxpr: Jaxpr, used: Sequence[bool] | None = None) -> tuple[Jaxpr, list[bool]]:
    """``(program, which_inputs_are_read)``: the program for the outputs that are used, by default all.

    Parameters
    ----------
    jaxpr : Jaxpr
    used : sequence of bool, optional
        One for each output.
    """
    outvars = [v for v, u in zip(jaxpr.outvars, used, strict=True) if u] if used is not None else jaxpr.outvars
    read: set[Var] = {v for v in outvars if isinstance(v, Var)}
    kept: list[Eqn] = []
    for eqn in reversed(jaxpr.eqns):
        wanted = [v in read for v in eqn.outvars]
        if eqn.effects or any(wanted):
            if eqn.primitive.dce is not None and not eqn.effects:
                eqn = eqn.primitive.dce(wanted, eqn)
            kept.append(eqn)
            read.update(a for a in eqn.invars if isinstance(a, Var))
    kept.reverse()
    same = used is None and len(kept) == len(jaxpr.eqns) and all(a is b for a, b in zip(kept, jaxpr.eqns, strict=True))
    smaller = jaxpr if same else jaxpr.replace(eqns=kept, outvars=outvars)
    return smaller, [v in read for v in jaxpr.invars]


def narrowed(closed: ClosedJaxpr, used: Sequence[bool], inputs: Sequence[bool] | None = None) -> Narrowed:
    """The program for the outputs that are used, without the inputs it does not read; kept with the program.

    Parameters
    ----------
    inputs : sequence of bool, optional
        Which inputs stay, whether they are read or not; by default those that are read.
    """
    key = ("narrowed", tuple(used), None if inputs is None else tuple(inputs))
    if key not in closed.memo:
        jaxpr, read = dce_jaxpr(closed.jaxpr, None if all(used) else used)
        kept = read if inputs is None else list(inputs)
        if jaxpr is closed.jaxpr and all(kept):
            closed.memo[key] = closed, kept
        else:
            invars = [v for v, k in zip(jaxpr.invars, kept, strict=True) if k]
            closed.memo[key] = ClosedJaxpr(*without_unread(jaxpr.replace(invars=invars), closed.consts)), kept
    return closed.memo[key]


def readers(closed: ClosedJaxpr, used: Sequence[bool]) -> list[bool]:
    """Which inputs the used outputs of a program depend on; kept with the program."""
    key = ("readers", tuple(used))
    if key not in closed.memo:
        closed.memo[key] = dce_jaxpr(closed.jaxpr, used)[1]
    return closed.memo[key]


def dce_closed(closed: ClosedJaxpr, used: Sequence[bool] | None = None) -> ClosedJaxpr:
    """The closed program for the outputs that are used, with the same inputs."""
    jaxpr, _ = dce_jaxpr(closed.jaxpr, used)
    return closed if jaxpr is closed.jaxpr else ClosedJaxpr(jaxpr, closed.consts)


def without_unread(jaxpr: Jaxpr, consts: Sequence[Any]) -> tuple[Jaxpr, list[Any]]:
    """The program without equations and constants nobody reads, and the values of the constants that stay."""
    smaller, _ = dce_jaxpr(jaxpr)
    read: set[Any] = {a for eqn in smaller.eqns for a in eqn.invars}
    read.update(smaller.outvars)
    kept = [v in read for v in jaxpr.constvars]
    if all(kept):
        return smaller, list(consts)
    constvars = [v for v, k in zip(jaxpr.constvars, kept, strict=True) if k]
    return smaller.replace(constvars=constvars), [x for x, k in zip(consts, kept, strict=True) if k]
