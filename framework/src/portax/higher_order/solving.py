"""Solutions of equations, differentiated by what they solve and not by how: custom_linear_solve, custom_root.

From A x = b follows A dx = db - dA x, so the tangent of a solution is a solution of the same system; transposed, it is
one of the transposed system. From f(x, a) = 0 follows (df/dx) dx = -(df/da) da. How the solver works, and whether it
has a derivative at all, does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from portax import errors
from portax.core import tree
from portax.core.aval import Aval, aval_of
from portax.core.jaxpr import Effects
from portax.core.primitive import Primitive, Sample, Undefined, registry
from portax.core.trace import state
from portax.higher_order.closures import Staged, as_arrays, avals_of, name_of, stage_function
from portax.higher_order.custom_jvp import custom_jvp, float0_zeros
from portax.primitives.arithmetic import div, mul, neg, sub
from portax.primitives.conversion import convert_element_type
from portax.primitives.zeros import zeros
from portax.runtime.lowering import lower_closed
from portax.runtime.reference import run_reference
from portax.transforms.batch import batch_jaxpr, materialize
from portax.transforms.jvp import instantiate, moves, tangent_aval
from portax.transforms.jvp import jvp as flat_jvp
from portax.transforms.linearize import TangentTrace
from portax.transforms.stage import eval_closed, stage_closed
from portax.transforms.transpose import transpose_jaxpr


class LinearSolve(NamedTuple):
    """One thing for each of the four programs: the map, its transpose, the solver of each."""

    matvec: Any
    vecmat: Any
    solve: Any
    transpose_solve: Any

    def transposed(self) -> LinearSolve:
        """The same for the transposed system."""
        return LinearSolve(self.vecmat, self.matvec, self.transpose_solve, self.solve)


class CustomLinearSolve(Primitive):
    """``x`` where ``matvec(x) = b``, by ``solve``.

    Parameters
    ----------
    *operands : the constants of the four programs, then the arrays of ``b``
    jaxprs : LinearSolve of ClosedJaxpr
        From (constants, arrays like ``b``) to arrays like ``b``; ``solve`` may give more, which has no derivative.
        ``vecmat`` and ``transpose_solve`` may be None: there is no reverse-mode derivative then.
    const_lengths : LinearSolve of int

    References
    ----------
    Christianson, Reverse accumulation and implicit functions, Optimization Methods and Software 9(4), 1998.
    """

    name = "custom_linear_solve"
    dtypes = ("float", "complex")
    multiple_results = True
    memoize = False

    def abstract(self, *avals: Aval, jaxprs: LinearSolve, **_: Any) -> list[Aval]:
        return jaxprs.solve.out_avals

    def effects(self, *, jaxprs: LinearSolve, **_: Any) -> Effects:
        return jaxprs.solve.effects

    def reference(self, *values: Any, jaxprs: LinearSolve, const_lengths: LinearSolve) -> list[Any]:
        consts, b = _parts(values, const_lengths)
        return run_reference(jaxprs.solve, *consts.solve, *b)

    def impl(self, *operands: Any, jaxprs: LinearSolve, const_lengths: LinearSolve) -> list[Any]:
        consts, b = _parts(operands, const_lengths)
        return eval_closed(jaxprs.solve, *consts.solve, *b)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return self._jvp(primals, tangents, "jvp", **params)

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return self._jvp(primals, tangents, "linearize", **params)

    def _jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any], slot: str, jaxprs: LinearSolve,
        const_lengths: LinearSolve,
    ) -> Any:  # fmt: skip
        outs = self.bind(*primals, jaxprs=jaxprs, const_lengths=const_lengths)
        consts, b = _parts(primals, const_lengths)
        const_dots, dots = _parts(tangents, const_lengths)
        n = len(b)
        x = outs[:n]
        # The solver's own constants are a means: their tangents do not matter.
        _, moved = flat_jvp(lambda *c: eval_closed(jaxprs.matvec, *c, *x), consts.matvec, const_dots.matvec, slot)
        if all(t is None for t in [*moved, *dots]):
            return outs, [None] * len(outs)
        right = [
            db if da is None else neg(da) if db is None else sub(db, da) for db, da in zip([*dots], moved, strict=True)
        ]
        right = [instantiate(t, aval_of(v)) for t, v in zip(right, b, strict=True)]
        flat = [c for part in consts for c in part]
        solved = self.bind(*flat, *right, jaxprs=jaxprs, const_lengths=const_lengths)
        return outs, [*solved[:n], *[None] * (len(outs) - n)]

    def transpose(self, cts: Sequence[Any], *operands: Any, jaxprs: LinearSolve, const_lengths: LinearSolve) -> Any:
        if jaxprs.transpose_solve is None:
            raise errors.NotDifferentiableError(
                wrong="reverse-mode differentiation of custom_linear_solve was asked for, without a transpose_solve",
                fix="Give transpose_solve, or symmetric=True where the map is its own transpose",
            )
        consts, b = _parts(operands, const_lengths)
        n = len(b)
        given = [instantiate(ct, x.aval) for ct, x in zip(cts[:n], b, strict=True)]
        turned = consts.transposed()
        outs = self.bind(
            *[c for part in turned for c in part], *given,
            jaxprs=jaxprs.transposed(), const_lengths=const_lengths.transposed(),
        )  # fmt: skip
        return [*[None] * sum(const_lengths), *[o if type(x) is Undefined else None for o, x in zip(outs, b)]]

    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        return self._batch(size, None, batched, operands, **params)

    def batch_axis(self, trace: Any, batched: Any, *operands: Any, **params: Any) -> Any:
        """Batching where one of the programs consults the batch axis by name."""
        return self._batch(trace.size, trace.axis, batched, operands, **params)

    def _batch(
        self, size: int, axis_name: Any, batched: Any, operands: Any, jaxprs: LinearSolve, const_lengths: LinearSolve
    ) -> Any:
        rows, b_rows = _parts(batched, const_lengths)
        consts, b = _parts(operands, const_lengths)
        all_rows = [True] * len(b)
        many = LinearSolve(*[
            None if jaxpr is None else batch_jaxpr(jaxpr, size, [*part, *all_rows], True, axis_name)[0]
            for jaxpr, part in zip(jaxprs, rows, strict=True)
        ])  # fmt: skip
        b = [materialize(x, r, size) for x, r in zip(b, b_rows, strict=True)]
        outs = self.bind(*[c for part in consts for c in part], *b, jaxprs=many, const_lengths=const_lengths)
        return outs, [True] * len(outs)

    def stablehlo(self, b: Any, *values: Any, jaxprs: LinearSolve, const_lengths: LinearSolve) -> Any:
        consts, right = _parts(values, const_lengths)
        return lower_closed(b, jaxprs.solve, [*consts.solve, *right])

    def samples(self, make: Any) -> Any:
        v = make((3,))
        aval, two = Aval(v.shape, v.dtype), np.asarray(2, v.dtype)
        # No constants: those of map and solver belong together, and a law that moves one alone would say nothing.
        product = stage_closed(lambda x: [mul(two, x)], [aval])
        quotient = stage_closed(lambda b: [div(b, two)], [aval])
        programs = LinearSolve(product, product, quotient, quotient)
        yield Sample(v, jaxprs=programs, const_lengths=LinearSolve(0, 0, 0, 0), id="diagonal")


def _parts(xs: Sequence[Any], lengths: LinearSolve) -> tuple[LinearSolve, Sequence[Any]]:
    """The constants of each program, and the rest."""
    found, at = [], 0
    for n in lengths:
        found.append(xs[at : at + n])
        at += n
    return LinearSolve(*found), xs[at:]


custom_linear_solve_p = registry.add(CustomLinearSolve())


def custom_linear_solve(
    matvec: Callable[[Any], Any], b: Any, solve: Callable[[Any, Any], Any],
    transpose_solve: Callable[[Any, Any], Any] | None = None, symmetric: bool = False, has_aux: bool = False,
) -> Any:  # fmt: skip
    """Solve ``matvec(x) = b`` with a solver of one's own; derivatives follow from the equation.

    Parameters
    ----------
    matvec : callable, linear, from trees like ``b`` to trees like ``b``
    b : tree of arrays
    solve : callable, ``solve(matvec, b)`` gives ``x``
        It needs no derivative.
    transpose_solve : callable, optional
        ``transpose_solve(vecmat, b)`` solves the transposed system; needed for reverse mode.
    symmetric : bool
        The map is its own transpose, so that ``solve`` solves both.
    has_aux : bool
        The solvers give a pair, whose second part has no derivative.

    Returns
    -------
    tree like ``b``, or the pair where ``has_aux``

    Raises
    ------
    ArgumentError
        One of the functions gives another tree, shapes or dtypes than ``b`` has.

    References
    ----------
    Christianson, Reverse accumulation and implicit functions, Optimization Methods and Software 9(4), 1998.

    Examples
    --------
    >>> import portax
    >>> from portax import lax
    >>> f = lambda a, b: lax.custom_linear_solve(lambda x: a * x, b, lambda mv, b: b / a, symmetric=True)
    >>> float(f(2.0, 6.0)), float(portax.grad(f)(2.0, 6.0))
    (3.0, -1.5)
    """
    if transpose_solve is None and symmetric:
        transpose_solve = solve
    leaves, structure = tree.flatten(b)
    leaves = [
        convert_element_type(x, new_dtype=aval_of(x).dtype, weak_type=False, sharding=None)
        if aval_of(x).weak_type else x for x in as_arrays(leaves, "custom_linear_solve")
    ]  # fmt: skip
    avals = avals_of(leaves, "custom_linear_solve")
    one = tree.structure((tree.unflatten(structure, leaves),))

    def staged(f: Callable[..., Any], what: str, aux: bool = False) -> Staged:
        made = stage_function(f, one, avals)
        out, outs = made.out_tree, made.out_avals
        if aux:
            parts = out.children()
            if len(parts) != 2:
                raise errors.ArgumentError(
                    wrong=f"{what} of custom_linear_solve with has_aux returned {out}, not a pair",
                    fix="Return the solution and what goes with it",
                )
            out, outs = parts[0], outs[: parts[0].num_leaves]
        given = [(a.shape, a.dtype) for a in outs]
        if out != structure or given != [(a.shape, a.dtype) for a in avals]:
            raise errors.ArgumentError(
                wrong=f"{what} of custom_linear_solve returned {out} of {_shown(outs)}, and b is {structure} of "
                f"{_shown(avals)}",
                fix="Return a tree like b, with the same shapes and dtypes",
            )
        return made

    forward = staged(matvec, "matvec")
    solver = staged(lambda b: solve(matvec, b), "solve", has_aux)
    backward = turned = None
    if transpose_solve is not None:
        n = len(forward.consts)
        if symmetric:
            backward = forward
        else:
            linear = [False] * n + [True] * len(avals)
            closed = transpose_jaxpr(forward.closed, linear, [True] * len(avals))
            backward = Staged(closed, forward.consts, structure)
        program = backward

        def vecmat(x: Any) -> Any:
            given = tree.leaves(x)
            return tree.unflatten(structure, eval_closed(program.closed, *program.consts, *given))

        turned = staged(lambda b: transpose_solve(vecmat, b), "transpose_solve", has_aux)
    programs = [forward, backward, solver, turned]
    consts = [[] if p is None else p.consts for p in programs]
    outs = custom_linear_solve_p.bind(
        *[c for part in consts for c in part], *leaves,
        jaxprs=LinearSolve(*[None if p is None else p.closed for p in programs]),
        const_lengths=LinearSolve(*map(len, consts)),
    )  # fmt: skip
    return tree.unflatten(solver.out_tree, outs)


def _shown(avals: Sequence[Aval]) -> str:
    return ", ".join(map(str, avals))


def custom_root(
    f: Callable[[Any], Any], initial_guess: Any, solve: Callable[[Any, Any], Any],
    tangent_solve: Callable[[Any, Any], Any], has_aux: bool = False,
) -> Any:  # fmt: skip
    """Solve ``f(x) = 0`` with a solver of one's own; derivatives, in what ``f`` closes over, follow from the equation.

    Parameters
    ----------
    f : callable, from trees like ``initial_guess`` to trees like it
    initial_guess : tree of arrays
        Has no derivative.
    solve : callable, ``solve(f, initial_guess)`` gives the root
        It needs no derivative.
    tangent_solve : callable, ``tangent_solve(g, y)`` solves ``g(x) = y`` for linear ``g``
    has_aux : bool
        ``solve`` gives a pair, whose second part has no derivative.

    Returns
    -------
    tree like ``initial_guess``, or the pair where ``has_aux``

    Raises
    ------
    ArgumentError
        ``f`` or ``solve`` gives another tree than ``initial_guess`` is.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2nd edition, SIAM, 2008, section 15.

    Examples
    --------
    >>> import portax
    >>> from portax import lax
    >>> def root(a):
    ...     solve = lambda f, x: lax.fori_loop(0, 20, lambda i, x: (x + a / x) / 2, x)
    ...     return lax.custom_root(lambda x: x * x - a, a, solve, lambda g, y: y / g(1.0))
    >>> float(root(4.0)), float(portax.grad(root)(4.0))
    (2.0, 0.25)
    """
    leaves, structure = tree.flatten(initial_guess)
    leaves = as_arrays(leaves, "custom_root")
    avals = avals_of(leaves, "custom_root")
    one = tree.structure((tree.unflatten(structure, leaves),))
    equation = stage_function(f, one, avals)
    _same_tree("f", name_of(f), equation.out_tree, structure)
    solver = stage_function(lambda x: solve(f, x), one, avals)
    out = solver.out_tree
    if has_aux:
        parts = out.children()
        if len(parts) != 2:
            raise errors.ArgumentError(
                wrong=f"solve of custom_root with has_aux returned {out}, not a pair",
                fix="Return the root and what goes with it",
            )
        out = parts[0]
    _same_tree("solve", name_of(solve), out, structure)
    n = len(leaves)

    # The rule outlives this call, and must not hold what the programs close over: those are its arguments.
    equation_program, solver_program = equation.closed, solver.closed

    @custom_jvp
    def root(consts: Any, solver_consts: Any, guess: Any) -> Any:
        return eval_closed(solver_program, *solver_consts, *guess)

    def rule(primals: Any, tangents: Any) -> Any:
        outs = root(*primals)
        consts, x = primals[0], outs[:n]
        dots = [t if moves(aval_of(c)) else None for c, t in zip(consts, tangents[0], strict=True)]
        slot = "linearize" if isinstance(state.trace, TangentTrace) else "jvp"
        values, moved = flat_jvp(lambda *c: eval_closed(equation_program, *c, *x), consts, dots, slot)
        right = [instantiate(None if t is None else neg(t), aval_of(v)) for t, v in zip(moved, values, strict=True)]

        def along(y: Any) -> Any:
            given = tree.leaves(y)
            outs, dots = flat_jvp(lambda *xs: eval_closed(equation_program, *consts, *xs), x, given, "jvp")
            return tree.unflatten(structure, [instantiate(t, aval_of(v)) for t, v in zip(dots, outs, strict=True)])

        dx = custom_linear_solve(along, tree.unflatten(structure, right), tangent_solve, tangent_solve)
        rest = [zeros(tangent_aval(aval_of(v))) if moves(aval_of(v)) else float0_zeros(aval_of(v)) for v in outs[n:]]
        return outs, [*tree.leaves(dx), *rest]

    root.defjvp(rule)
    outs = root(list(equation.consts), list(solver.consts), leaves)
    return tree.unflatten(solver.out_tree, outs)


def _same_tree(what: str, name: str, given: Any, wanted: Any) -> None:
    if given != wanted:
        raise errors.ArgumentError(
            wrong=f"{what} of custom_root, {name}, returned {given}, and initial_guess is {wanted}",
            fix="Return a tree like initial_guess",
        )
