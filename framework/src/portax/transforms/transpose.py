"""Reverse mode, second half: run a linear program backwards.

<J t, c> = <t, J^T c>.  Every equation of a linear program is linear in what it takes from the tangents; its
primitive's ``transpose`` sends the cotangent of the result to cotangents of those operands. A variable read in several
places adds up what comes back from each. A cotangent that is zero is None, and an equation that gets only zeros is
skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax import errors
from portax.core.aval import NOWHERE, Aval, Axes, aval_of
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.core.primitive import Undefined
from portax.core.refs import Cell, Scope
from portax.core.trace import state
from portax.primitives.zeros import add_any, zeros
from portax.transforms.alike import added, lifted, matched
from portax.transforms.stage import stage


def transpose(
    jaxpr: Jaxpr, consts: Sequence[Any], operands: Sequence[Any], cts: Sequence[Any], apart: Axes = NOWHERE
) -> list[Any]:
    """Cotangents of the ``Undefined`` operands of a linear program, given those of its results.

    Parameters
    ----------
    operands : values, or ``Undefined`` for the inputs the program is linear in
    cts : cotangents of the results, None for zero
    apart : mesh axes along which cotangents may stay in parts, one on each device, that somebody else will add up

    Returns
    -------
    list
        One entry an operand: its cotangent, None where that is zero or the operand is known.
    """
    alike = state.alike
    known: dict[Var, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    known.update((v, x) for v, x in zip(jaxpr.invars, operands, strict=True) if type(x) is not Undefined)
    linear = _run_known(jaxpr, known)
    pending: dict[Var, Any] = {}

    for atom, ct in zip(jaxpr.outvars, cts, strict=True):
        if ct is not None and type(atom) is not Literal and atom not in known:
            _accumulate(pending, atom, ct)
    for eqn in reversed(linear):
        back = [pending.pop(v, None) for v in eqn.outvars]
        if all(ct is None for ct in back):
            continue
        if alike:
            back = _ready(eqn, back)
        given = [a.val if type(a) is Literal else known[a] if a in known else Undefined(a.aval) for a in eqn.invars]
        rule = eqn.primitive.transpose
        if rule is None:
            raise errors.NotDifferentiableError(
                wrong=f"{eqn.primitive.name} has no transpose, so it has no reverse-mode derivative",
                fix="Use forward mode (jvp, jacfwd), or give the function a rule with custom_vjp",
            )
        out = rule(back if eqn.primitive.multiple_results else back[0], *given, **eqn.params)
        if not isinstance(out, tuple | list):
            out = (out,)
        assert len(out) == len(given), f"transpose of {eqn.primitive.name} must answer for each operand"
        for atom, x, ct in zip(eqn.invars, given, out, strict=True):
            if ct is not None and type(x) is Undefined:
                assert isinstance(atom, Var)
                _accumulate(pending, atom, ct)
    found = [pending.get(v) if type(x) is Undefined else None for v, x in zip(jaxpr.invars, operands, strict=True)]
    if alike:
        found = [
            ct if ct is None else matched(ct, v.aval.varying | apart) for v, ct in zip(jaxpr.invars, found, strict=True)
        ]
    return found


def _run_known(jaxpr: Jaxpr, known: dict[Var, Any]) -> list[Eqn]:
    """Run the equations whose operands are all known, and return the others, which are linear."""
    linear: list[Eqn] = []
    for eqn in jaxpr.eqns:
        if not all(type(a) is Literal or a in known for a in eqn.invars):
            linear.append(eqn)
            continue
        # No Literal is left: `type() is` narrows less than isinstance, and is faster.
        operands = tuple(
            # No Literal is left: `type() is` narrows less than isinstance, and is faster.
            [a.val if type(a) is Literal else known[a] for a in eqn.invars]  # pyright: ignore[reportArgumentType]
        )
        out = state.trace.process(eqn.primitive, operands, eqn.params)
        known.update(zip(eqn.outvars, out if eqn.primitive.multiple_results else [out], strict=True))
    return linear


def _ready(eqn: Eqn, cts: Sequence[Any]) -> list[Any]:
    """Cotangents of an equation's results as its rule takes them: only what devices do alike takes parts."""
    whole = eqn.effects or (eqn.primitive.multiple_results and not eqn.primitive.takes_parts)
    fit = matched if whole else lifted
    return [ct if ct is None else fit(ct, v.aval.varying) for v, ct in zip(eqn.outvars, cts, strict=True)]


def parts_of(cts: Sequence[Any], avals: Sequence[Aval]) -> Axes:
    """The mesh axes along which devices have parts of these cotangents of values of ``avals``."""
    found = [aval_of(ct).varying - a.varying for ct, a in zip(cts, avals, strict=True) if ct is not None]
    return NOWHERE.union(*found)


def _accumulate(pending: dict[Var, Any], var: Any, ct: Any) -> None:
    other = pending.get(var)
    if other is not None:
        if state.alike:
            other, ct = added(other, ct, var.aval)
        ct = add_any(other, ct)
    pending[var] = ct


def transpose_jaxpr(
    closed: ClosedJaxpr, linear: Sequence[bool], moving: Sequence[bool], cts: Sequence[Any] = (), apart: Axes = NOWHERE
) -> ClosedJaxpr:
    """The program from the known inputs and the cotangents that are not zero to those of the linear inputs.

    Parameters
    ----------
    linear : which inputs the program is linear in
    moving : which results have a cotangent
    cts : those cotangents, or the mesh axes along which they vary, where those may be others than of the results
    apart : mesh axes along which those of the inputs may stay in parts

    Returns
    -------
    ClosedJaxpr
        Zeros are instantiated: one output for each linear input. Cached with the program.

    Raises
    ------
    RefError
        A user's rule in it touches a mutable reference.
    """
    back, cells = transpose_touching(closed, linear, moving, cts, apart)
    if cells:
        raise errors.RefError(
            wrong=f"a rule of its own touches a reference ({cells[0][0].aval}) on the way back through a branch or a "
            "solver, which cannot hand it on",
            fix="Return from the differentiated function what the rule should see",
        )
    return back


def transpose_touching(
    closed: ClosedJaxpr, linear: Sequence[bool], moving: Sequence[bool], cts: Sequence[Any] = (), apart: Axes = NOWHERE
) -> tuple[ClosedJaxpr, list[tuple[Cell, bool]]]:
    """``(program, cells)``: as ``transpose_jaxpr``, where users' rules may touch references.

    The program takes their values first, and ends with those of the ones that are written, which come last.
    """
    varying = tuple([ct if type(ct) is frozenset else aval_of(ct).varying for ct in cts])
    if not any(varying):
        varying = ()
    key = ("transpose", tuple(linear), tuple(moving), varying, apart)
    known = closed.memo.get(key)
    if known is not None:
        return known
    avals = closed.in_avals

    def backward(*args: Any) -> list[Any]:
        given = iter(args)
        operands = [Undefined(a) if lin else next(given) for a, lin in zip(avals, linear, strict=True)]
        cts = [next(given) if m else None for m in moving]
        back = transpose(closed.jaxpr, closed.consts, operands, cts, apart)
        return [
            zeros(a.vary(a.varying | apart)) if ct is None else ct
            for ct, a, lin in zip(back, avals, linear, strict=True)
            if lin
        ]

    given = [a for a, m in zip(closed.out_avals, moving, strict=True) if m]
    if varying:
        given = [a.vary(a.varying | v) for a, v in zip(given, varying, strict=True)]
    inputs = [*(a for a, lin in zip(avals, linear, strict=True) if not lin), *given]
    scope = Scope()
    result = ClosedJaxpr(*stage(backward, inputs, closed.jaxpr.name, scope)), scope.cells
    closed.memo[key] = result
    return result
