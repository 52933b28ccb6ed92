"""Running a program: equation by equation, with whatever interprets operations now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Literal, Var
from portax.core.trace import state


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], *args: Any, propagate_source_info: bool = True) -> list[Any]:
    """Run a program with the current trace, equation by equation.

    Examples
    --------
    >>> import portax
    >>> program = portax.make_jaxpr(lambda x: 2.0 * x)(1.0)
    >>> [float(x) for x in portax.core.eval_jaxpr(program.jaxpr, program.consts, 3.0)]
    [6.0]
    """
    del propagate_source_info  # a program that is staged again belongs to the line that runs it
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    process = state.trace.process
    last = last_uses(jaxpr)
    for i, eqn in enumerate(jaxpr.eqns):
        # No Literal is left: `type() is` narrows less than isinstance, and is faster.
        operands = tuple(
            # No Literal is left: `type() is` narrows less than isinstance, and is faster.
            [a.val if type(a) is Literal else env[a] for a in eqn.invars]  # pyright: ignore[reportArgumentType]
        )
        out = process(eqn.primitive, operands, eqn.params)
        if eqn.primitive.multiple_results:
            env.update(zip(eqn.outvars, out, strict=True))
        else:
            env[eqn.outvars[0]] = out
        for var in last[i]:
            env.pop(var, None)
    return [a.val if isinstance(a, Literal) else env[a] for a in jaxpr.outvars]


def last_uses(jaxpr: Jaxpr) -> list[list[Var]]:
    """For each equation the variables that nobody reads after it, so an interpreter can drop them."""
    known = jaxpr.memo.get("last_uses")
    if known is None:
        seen: set[Var] = {v for v in jaxpr.outvars if isinstance(v, Var)}
        known = []
        for eqn in reversed(jaxpr.eqns):
            ends = [v for v in {*eqn.invars, *eqn.outvars} if isinstance(v, Var) and v not in seen]
            seen.update(ends)
            known.append(ends)
        known.reverse()
        jaxpr.memo["last_uses"] = known
    return known


def eval_closed(closed: ClosedJaxpr, *args: Any) -> list[Any]:
    """Run a closed program with the current trace."""
    return eval_jaxpr(closed.jaxpr, closed.consts, *args)
