"""linear_call: a linear function with a transpose of the user's own.

linear_call(f, t, r, x) = f(r, x), and its transpose is linear_call(t, f, r, ct).  As a primitive it holds both
programs; each takes the residuals and then what it is linear in, so transposing exchanges them. What depends on the
residuals is differentiated as the program says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.aval import aval_of
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Undefined
from portax.higher_order.calls import ProgramCall
from portax.higher_order.closures import avals_of, name_of, stage_function
from portax.higher_order.composed import Composed
from portax.primitives.zeros import add_any, zeros
from portax.runtime.lowering import lower_closed
from portax.transforms.batch import batch_jaxpr, materialize
from portax.transforms.jvp import instantiate, jvp_jaxpr
from portax.transforms.stage import eval_closed, stage_closed


class LinearCall(ProgramCall):
    """A linear program with its transpose.

    Parameters
    ----------
    *operands : Arrays, the residuals first
    jaxpr : ClosedJaxpr, of residuals and what it is linear in
    back : ClosedJaxpr, of residuals and cotangents of the results, to those of what ``jaxpr`` is linear in
    residuals : int
    """

    name = "linear_call"
    runs = "jaxpr"
    takes_parts = False
    linearize: Any = None  # its tangent is itself
    dce: Any = None  # pyright: ignore[reportIncompatibleMethodOverride]

    def impl(self, *operands: Any, jaxpr: ClosedJaxpr, **_: Any) -> list[Any]:
        return eval_closed(jaxpr, *operands)

    def decompose(self, *operands: Any, jaxpr: ClosedJaxpr, **_: Any) -> Sequence[Any]:  # pyright: ignore
        return eval_closed(jaxpr, *operands)

    def stablehlo(self, b: Any, *values: Any, jaxpr: ClosedJaxpr, **_: Any) -> Any:
        return lower_closed(b, jaxpr, values)

    def jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: ClosedJaxpr, residuals: int, **params: Any
    ) -> Any:
        given = {"jaxpr": jaxpr, "residuals": residuals, **params}
        outs, n = self.bind(*primals, **given), len(jaxpr.out_avals)
        dots: list[Any] = [None] * n
        if any(t is not None for t in tangents[residuals:]):
            moved = [instantiate(t, aval_of(x)) for x, t in zip(primals, tangents, strict=True)][residuals:]
            dots = list(self.bind(*primals[:residuals], *moved, **given))
        if any(t is not None for t in tangents[:residuals]):
            moving = [t is not None and i < residuals for i, t in enumerate(tangents)]
            pushed, out_moving = jvp_jaxpr(jaxpr, moving)
            moved = [t for t, m in zip(tangents, moving, strict=True) if m]
            more = iter(eval_closed(pushed, *primals, *moved)[n:])
            terms = [next(more) if m else None for m in out_moving]
            dots = [b if a is None else a if b is None else add_any(a, b) for a, b in zip(dots, terms, strict=True)]
        return outs, dots

    def transpose(
        self, cts: Sequence[Any], *operands: Any, jaxpr: ClosedJaxpr, back: ClosedJaxpr, residuals: int
    ) -> list[Any]:
        if any(type(x) is Undefined for x in operands[:residuals]):
            raise errors.NotDifferentiableError(
                wrong="a linear_call was transposed with respect to its residuals, in which it need not be linear",
                fix="Make them linear arguments",
            )
        given = [zeros(a) if ct is None else ct for a, ct in zip(jaxpr.out_avals, cts, strict=True)]
        outs = self.bind(*operands[:residuals], *given, jaxpr=back, back=jaxpr, residuals=residuals)
        return [None] * residuals + [
            ct if type(x) is Undefined else None for ct, x in zip(outs, operands[residuals:], strict=True)
        ]

    def batch(
        self, batched: Sequence[bool], *operands: Any, jaxpr: ClosedJaxpr, back: ClosedJaxpr, residuals: int
    ) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        shared = list(batched[:residuals])
        rows = [materialize(x, b, size) for x, b in zip(operands, batched, strict=True)][residuals:]
        many, _ = batch_jaxpr(jaxpr, size, shared + [True] * len(rows), wanted=True)
        many_back, _ = batch_jaxpr(back, size, shared + [True] * len(jaxpr.out_avals), wanted=True)
        outs = self.bind(*operands[:residuals], *rows, jaxpr=many, back=many_back, residuals=residuals)
        return outs, [True] * len(outs)


#: Not in the registry: what it holds is a pair of programs, and to every device it is the first of them.
linear_call_p = LinearCall()


def linear_call(
    fun: Callable[..., Any], fun_transpose: Callable[..., Any], residual_args: Any, linear_args: Any
) -> Any:
    """Call a linear function whose transpose is given.

    Parameters
    ----------
    fun : callable
        ``(residual_args, linear_args)``, linear in the second.
    fun_transpose : callable
        ``(residual_args, cotangents)`` gives a tree like ``linear_args``. Its own transpose is ``fun``.
    residual_args, linear_args : trees of arrays

    Raises
    ------
    ArgumentError
        ``fun_transpose`` gives something else than a tree like ``linear_args``.

    Examples
    --------
    >>> import portax
    >>> from portax.custom_derivatives import linear_call
    >>> f = lambda x: linear_call(lambda r, x: x / r, lambda r, ct: ct / r, 4.0, x)
    >>> float(f(12.0)), float(portax.grad(f)(12.0))
    (3.0, 0.25)
    """
    known = tree.leaves(residual_args)
    moving, moving_tree = tree.flatten(linear_args)
    known_avals, avals = avals_of(known, "linear_call"), avals_of(moving, "linear_call")
    forth = stage_function(lambda r, x: fun(r, x), tree.structure((residual_args, linear_args)), [*known_avals, *avals])
    cts = tree.unflatten(forth.out_tree, [0] * len(forth.closed.out_avals))
    out_avals = list(forth.closed.out_avals)
    back = stage_function(
        lambda r, ct: fun_transpose(r, ct), tree.structure((residual_args, cts)), [*known_avals, *out_avals]
    )
    found = [a.update(weak_type=False) for a in back.closed.out_avals]
    if back.out_tree != moving_tree or found != [a.update(weak_type=False) for a in avals]:
        raise errors.ArgumentError(
            wrong=f"the transpose of a linear_call of {name_of(fun)} gives "
            f"{tree.unflatten(back.out_tree, back.closed.out_avals)} for linear arguments "
            f"{tree.unflatten(moving_tree, avals)}",
            fix="Return a tree like the linear arguments, of their shapes and dtypes",
        )
    # Each program gets what either of them closes over.
    first, second = len(forth.consts), len(back.consts)
    held = [*forth.consts, *back.consts]
    shapes = [aval_of(c) for c in held]
    both = [
        stage_closed(lambda *xs: eval_closed(forth.closed, *xs[:first], *xs[first + second :]),
                     [*shapes, *known_avals, *avals], name_of(fun)),
        stage_closed(lambda *xs: eval_closed(back.closed, *xs[first:]),
                     [*shapes, *known_avals, *out_avals], name_of(fun_transpose)),
    ]  # fmt: skip
    outs = linear_call_p.bind(*held, *known, *moving, jaxpr=both[0], back=both[1], residuals=len(held) + len(known))
    return tree.unflatten(forth.out_tree, outs)


def _remat_opt(*operands: Any, jaxpr: ClosedJaxpr, **_: Any) -> Sequence[Any]:
    """The program, computed again where its derivative needs it."""
    return eval_closed(jaxpr, *operands)


remat_opt_p = Composed("remat_opt", _remat_opt, multiple_results=True)
