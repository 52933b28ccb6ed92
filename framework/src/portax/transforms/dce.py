"""Dropping what nobody reads.

dce(lambda a. let b = f a; c = g a in c) = lambda a. let c = g a in c.  Equations are walked from the last to the first;
one stays if a result of it is read, or if it has effects. Inputs stay, read or not: who binds the program passes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Var


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
        if eqn.effects or any(v in read for v in eqn.outvars):
            kept.append(eqn)
            read.update(a for a in eqn.invars if isinstance(a, Var))
    kept.reverse()
    smaller = jaxpr.replace(eqns=kept, outvars=outvars) if len(kept) < len(jaxpr.eqns) or used is not None else jaxpr
    return smaller, [v in read for v in jaxpr.invars]


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
