"""custom_jvp: a function whose forward-mode derivative the user gives.

jvp(f)(x, t) = rule(x, t).  The function runs as it is; only a trace that differentiates calls the rule. Since the rule
is linear in the tangents, reverse mode follows from it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.aval import Aval, Axes, aval_of
from portax.core.jaxpr import ClosedJaxpr, Effects
from portax.core.primitive import Primitive, Sample, registry
from portax.core.trace import Tracer
from portax.higher_order.checks import check_output
from portax.higher_order.closures import as_arrays, avals_of, merge, name_of, positions_of, resolve
from portax.primitives.arithmetic import add, mul
from portax.primitives.barriers import stop_gradient
from portax.primitives.conversion import convert_element_type
from portax.primitives.zeros import zeros
from portax.runtime.lowering import lower_closed
from portax.runtime.reference import run_reference
from portax.transforms.batch import BatchTrace, materialize
from portax.transforms.jvp import moves, tangent_aval
from portax.transforms.stage import StageTrace, eval_closed, stage_closed, stage_open


class CustomCall(Primitive):
    """What custom_jvp_call and custom_vjp_call share: a Python function until it is staged, a program afterwards."""

    multiple_results = True
    memoize = False
    holds_functions = True
    dtypes = ("int", "uint", "float", "complex")

    def abstract(self, *avals: Aval, call_jaxpr: ClosedJaxpr, **_: Any) -> list[Aval]:
        return call_jaxpr.out_avals

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return None

    def effects(self, *, call_jaxpr: ClosedJaxpr | None, **_: Any) -> Effects:
        return call_jaxpr.effects if call_jaxpr is not None else frozenset()

    def reference(self, *values: Any, call_jaxpr: ClosedJaxpr, **_: Any) -> list[Any]:
        return run_reference(call_jaxpr, *values)

    def impl(self, *operands: Any, fun: Callable[..., Any], **_: Any) -> list[Any]:
        return list(fun(*operands))

    def stage(self, trace: StageTrace, operands: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        if params["call_jaxpr"] is not None:
            return trace.record(self, operands, params)
        avals = [aval_of(x) for x in operands]
        closed, moved = stage_open(params["fun"], avals, params["name"])
        params = {**self.with_leading(params, len(moved)), "call_jaxpr": closed}
        params["fun"] = functools.partial(eval_closed, closed)
        return trace.record(self, [*moved, *operands], params)

    def with_leading(self, params: dict[str, Any], count: int) -> dict[str, Any]:
        """The parameters where that many operands the user's rules know nothing of come first."""
        raise NotImplementedError

    def stablehlo(self, b: Any, *values: Any, call_jaxpr: ClosedJaxpr, **_: Any) -> Any:
        return lower_closed(b, call_jaxpr, values)


class Rows:
    """Which results of a function with rules carry the batch axis, which its rules then have to agree with.

    All of them where an operand does. Else the function or a rule may still close over a value that does: whichever
    runs first says.
    """

    __slots__ = ("flags", "known", "name")

    def __init__(self, every: bool, name: str) -> None:
        self.known, self.name = every, name
        self.flags: list[bool] = []

    def of(self, found: Sequence[bool]) -> list[bool]:
        """The flags of all results, where a function or rule gave ``found``."""
        if not self.flags:
            self.flags[:] = [self.known or f for f in found]
        if any(f and not w for f, w in zip(found, self.flags, strict=True)):
            raise errors.NotBatchableError(
                wrong=f"a rule of {self.name} closes over a value that is being batched, and the function does not",
                fix="Pass the value as an argument",
            )
        return self.flags


class CustomJVPCall(CustomCall):
    """A function with a forward-mode rule of its own.

    Parameters
    ----------
    *operands : Arrays
    fun : callable, flat
    rule : callable, (primals, tangents) -> (outs, tangents), flat; a tangent that is zero is None where
        ``symbolic_zeros``, and in the results
    call_jaxpr : ClosedJaxpr or None
        The function once it is staged.
    """

    name = "custom_jvp_call"
    runs = "call_jaxpr"

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        return {k: params[k] for k in ("name", "call_jaxpr", "symbolic_zeros")}

    def with_leading(self, params: dict[str, Any], count: int) -> dict[str, Any]:
        rule = params["rule"]
        if not count:
            return params

        def without(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            for t in tangents[:count]:
                if t is not None:
                    raise errors.NotDifferentiableError(
                        wrong=f"the function {params['name']} with a custom_jvp rule closes over a value that is "
                        "being differentiated",
                        fix="Pass the value as an argument, so that the rule can give its derivative",
                    )
            return rule(primals[count:], tangents[count:])

        return {**params, "rule": without}

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, rule: Any, symbolic_zeros: bool, **_: Any) -> Any:
        return rule(list(primals), list(tangents))

    def batch_axis(
        self, trace: BatchTrace, batched: Sequence[bool], *operands: Any, fun: Any, rule: Any, **params: Any
    ) -> Any:
        if params["call_jaxpr"] is not None and not any(batched):
            outs = self.bind(*operands, fun=fun, rule=rule, **params)
            return outs, [False] * len(outs)
        rows = Rows(any(batched), params["name"])

        def spread(outs: Sequence[Any], found: Sequence[bool], wanted: Sequence[bool]) -> list[Any]:
            return [materialize(x, b, trace.size) if w else x for x, b, w in zip(outs, found, wanted, strict=True)]

        def many(*xs: Any) -> list[Any]:
            outs, found = trace.again(fun, xs, batched)
            return spread(outs, found, rows.of(found))

        def many_rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            moving = [t is not None for t in tangents]
            out_moving: list[bool] = []

            def both(*xs: Any) -> list[Any]:
                n = len(primals)
                given = iter(xs[n:])
                outs, dots = rule(list(xs[:n]), [next(given) if m else None for m in moving])
                out_moving[:] = [t is not None for t in dots]
                return [*outs, *(t for t in dots if t is not None)]

            values = [*primals, *(t for t in tangents if t is not None)]
            flags = [*batched, *(b for b, m in zip(batched, moving, strict=True) if m)]
            results, found = trace.again(both, values, flags)
            n = len(out_moving)
            of_dots = iter(found[n:])
            wanted = rows.of([b | (m and next(of_dots)) for b, m in zip(found[:n], out_moving, strict=True)])
            dots = iter(spread(results[n:], found[n:], [w for w, m in zip(wanted, out_moving, strict=True) if m]))
            return spread(results[:n], found[:n], wanted), [next(dots) if m else None for m in out_moving]

        outs = self.bind(*operands, fun=many, rule=many_rule, **{**params, "call_jaxpr": None})
        return outs, rows.of([False] * len(outs))

    def samples(self, make: Any) -> Any:
        x, y = make((3,)), make((3,))
        closed = product_without_derivative(x)

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            (x, y), (s, t) = primals, tangents
            terms = [mul(a, b) for a, b in ((s, y), (t, x)) if a is not None]
            return eval_closed(closed, x, y), [functools.reduce(add, terms)]

        fun = functools.partial(eval_closed, closed)
        yield Sample(x, y, fun=fun, rule=rule, call_jaxpr=closed, symbolic_zeros=True, name="f")


def product_without_derivative(x: np.ndarray) -> ClosedJaxpr:
    """A program that multiplies two arrays like ``x`` and hides how: only a user's rule can give its derivative."""
    aval = Aval(x.shape, x.dtype)
    return stage_closed(lambda x, y: [mul(stop_gradient(x), stop_gradient(y))], [aval, aval], "f")


custom_jvp_call_p = registry.add(CustomJVPCall())


class SymbolicZero:
    """Stands for a tangent or cotangent that is zero: only its aval is known.

    Attributes
    ----------
    aval : Aval
    """

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    @classmethod
    def from_primal_value(cls, val: Any) -> SymbolicZero:
        """The zero tangent of a value; of an integer or boolean one, the tangent of dtype float0.

        Examples
        --------
        >>> from portax.custom_derivatives import SymbolicZero
        >>> SymbolicZero.from_primal_value(2.0).shape
        ()
        """
        aval = aval_of(val)
        return cls(tangent_aval(aval) if moves(aval) else Aval(aval.shape, dtypes.float0, aval.weak_type))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval})"


def float0_zeros(aval: Aval) -> np.ndarray:
    """The tangent of an integer or boolean value: zeros of the dtype with one value."""
    return np.zeros(aval.shape, dtypes.float0)


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangent of a value: an array, or a ``SymbolicZero`` where ``symbolic_zeros``.

    Examples
    --------
    >>> zero_from_primal(pnp.ones(2))
    Array([0., 0.], dtype=float32)
    """
    return given_tangent(None, val, symbolic_zeros)


def given_tangent(t: Any, x: Any, symbolic: bool) -> Any:
    """A tangent as a user's rule gets it: zeros, or a symbolic zero, where it is None."""
    if t is not None:
        return as_arrays([t], "a derivative rule")[0]
    aval = aval_of(x)
    if symbolic:
        return SymbolicZero(tangent_aval(aval))
    return as_arrays([zeros(tangent_aval(aval))], "a derivative rule")[0] if moves(aval) else float0_zeros(aval)


def taken_tangent(t: Any, aval: Aval, where: str, exact: bool = False) -> Any:
    """A tangent (or cotangent) as a user's rule gave it: None where it is zero; checked.

    A cotangent of another dtype of the same kind, or a number, is converted; a tangent must have the dtype (``exact``).
    """
    if t is None or isinstance(t, SymbolicZero) or getattr(t, "dtype", None) == dtypes.float0:
        return None
    if not moves(aval):
        return None
    [got] = avals_of([t], where)
    if got.shape != aval.shape:
        raise errors.ShapeError(wrong=f"{where} has the shape of {got}, the value is {aval}", fix="Return equal shapes")
    if got.dtype != aval.dtype:
        if not exact and (got.weak_type or dtypes.kind(got.dtype) == dtypes.kind(aval.dtype)):
            return convert_element_type(t, new_dtype=aval.dtype, weak_type=False, sharding=None)
        raise errors.DtypeError(wrong=f"{where} is {got}, the value is {aval}", fix="Return equal dtypes")
    return t


class custom_jvp:
    """A function whose derivative is given by a rule, used as a decorator.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : sequence of int
        Arguments that are not differentiated, such as functions; the rule gets them first.
    nondiff_argnames : sequence of str

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> @portax.custom_jvp
    ... def f(x):
    ...     return pnp.sin(x)
    >>> @f.defjvp
    ... def f_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return f(x), 2.0 * t
    >>> float(portax.grad(f)(1.0))
    2.0
    """

    def __init__(
        self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()
    ) -> None:
        functools.update_wrapper(self, fun)
        self.fun = fun
        names = positions_of(fun, nondiff_argnames)
        self.nondiff_argnums = tuple(sorted({*nondiff_argnums, *names}))
        self.jvp: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Give the rule: ``(primals, tangents) -> (out, tangent_out)``, after the nondiff arguments.

        Parameters
        ----------
        symbolic_zeros : bool
            Tangents that are zero arrive as ``SymbolicZero`` instead of arrays of zeros.
        """
        self.jvp, self.symbolic_zeros = jvp, symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Give one rule for each argument: ``(tangent, out, *primals) -> term``; None where it does not matter."""

        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            out = self(*primals)
            terms = [rule(t, out, *primals) for rule, t in zip(jvps, tangents, strict=True) if rule is not None]
            return out, functools.reduce(lambda a, b: tree.tree_map(add, a, b), terms) if terms else tree.tree_map(
                lambda x: zeros(tangent_aval(aval_of(x))), out
            )

        self.defjvp(jvp)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise errors.ArgumentError(
                wrong=f"{name_of(self.fun)} was called and has no derivative rule yet",
                fix=f"Give it one with {name_of(self.fun)}.defjvp",
            )
        args = resolve(self.fun, args, kwargs)
        fixed = {i: args[i] for i in self.nondiff_argnums if i < len(args)}
        moving = [x for i, x in enumerate(args) if i not in fixed]
        leaves, in_tree = tree.flatten(tuple(moving))
        out_trees: list[Any] = []
        # Traced values among the arguments that are not differentiated are operands, and constant to all derivatives.
        held, held_tree = tree.flatten(tuple(fixed.values()))
        traced = [i for i, x in enumerate(held) if isinstance(x, Tracer)]
        count = len(traced)

        def fixed_with(xs: Sequence[Any]) -> dict[int, Any]:
            if not traced:
                return fixed
            values = list(held)
            for i, x in zip(traced, xs, strict=True):
                values[i] = x
            return dict(zip(fixed, tree.unflatten(held_tree, values), strict=True))

        def fun(*xs: Any) -> list[Any]:
            given = tree.unflatten(in_tree, xs[count:])
            outs, out_tree = tree.flatten(self.fun(*merge(fixed_with(xs[:count]), given, len(args))))
            out_trees.append(out_tree)
            for x in outs:
                check_output(x, name)
            return outs

        name = name_of(self.fun)
        jvp, symbolic = self.jvp, self.symbolic_zeros

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            primals = as_arrays(primals, name)
            held_values, primals, tangents = fixed_with(primals[:count]), primals[count:], tangents[count:]
            dots = [given_tangent(t, x, symbolic) for t, x in zip(tangents, primals, strict=True)]
            result = jvp(*held_values.values(), tree.unflatten(in_tree, primals), tree.unflatten(in_tree, dots))
            if not isinstance(result, tuple | list) or len(result) != 2:
                raise errors.ArgumentError(
                    wrong=f"the jvp rule of {name} must return a pair (out, tangent_out), got {result!r}",
                    fix="Return both, trees of the same structure",
                )
            outs, out_tree = tree.flatten(result[0])
            dots_out, dot_tree = tree.flatten(result[1])
            if dot_tree != out_tree:
                raise errors.ArgumentError(
                    wrong=f"the jvp rule of {name} returned {out_tree} and a tangent of structure {dot_tree}",
                    fix="Return a tangent for each output",
                )
            out_trees.append(out_tree)
            where = f"a tangent that the jvp rule of {name} returned"
            return outs, [taken_tangent(t, aval_of(x), where, exact=True) for t, x in zip(dots_out, outs, strict=True)]

        outs = custom_jvp_call_p.bind(
            *(stop_gradient(held[i]) for i in traced), *leaves,
            fun=fun, rule=rule, call_jaxpr=None, symbolic_zeros=symbolic, name=name,
        )  # fmt: skip
        return tree.unflatten(out_trees[-1], outs)
