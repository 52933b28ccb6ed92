"""custom_vjp: a function whose reverse-mode derivative the user gives.

f(x) = y;  fwd(x) = (y, r);  bwd(r, ct_y) = ct_x.  Differentiating calls ``fwd`` now and stages one linear operation,
``custom_lin``, that stands for the derivative: it can be transposed, which calls ``bwd``, and nothing else. So forward
mode is refused where it would need to run that operation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.aval import Aval, Axes, aval_of
from portax.core.primitive import Primitive, Sample, registry
from portax.core.refs import Cell
from portax.core.trace import Tracer
from portax.core.tree import tree_map
from portax.higher_order.checks import check_output
from portax.higher_order.closures import apart, as_arrays, merge, name_of, positions_of, resolve
from portax.higher_order.custom_jvp import (
    CustomCall,
    Rows,
    SymbolicZero,
    float0_zeros,
    product_without_derivative,
    taken_tangent,
)
from portax.primitives.arithmetic import mul
from portax.primitives.broadcasting import reduce_sum
from portax.primitives.zeros import zeros
from portax.transforms.batch import BatchTrace, batch, materialize
from portax.transforms.jvp import moves, tangent_aval
from portax.transforms.stage import eval_closed


class CustomVJPCall(CustomCall):
    """A function with a reverse-mode rule of its own.

    Parameters
    ----------
    *operands : Arrays
    fun : callable, flat
    fwd : callable, (primals, moving) -> (outs, residuals), flat
    bwd : callable, (residuals, cts) -> cts of the operands, flat; zeros are None
    call_jaxpr : ClosedJaxpr or None
        The function once it is staged.
    """

    name = "custom_vjp_call"
    runs = "call_jaxpr"

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        return {k: params[k] for k in ("name", "call_jaxpr")}

    def with_leading(self, params: dict[str, Any], count: int) -> dict[str, Any]:
        if not count:
            return params
        fwd, bwd, name = params["fwd"], params["bwd"], params["name"]

        def fwd_without(primals: Sequence[Any], moving: Sequence[bool]) -> Any:
            if any(moving[:count]):
                raise errors.NotDifferentiableError(
                    wrong=f"the function {name} with a custom_vjp rule closes over a value that is being "
                    "differentiated",
                    fix="Pass the value as an argument, so that the rule can give its derivative",
                )
            return fwd(primals[count:], moving[count:])

        def bwd_without(residuals: Sequence[Any], cts: Sequence[Any]) -> Any:
            return [*[None] * count, *bwd(residuals, cts)]

        return {**params, "fwd": fwd_without, "bwd": bwd_without}

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, fwd: Any, bwd: Any, name: str, **_: Any) -> Any:
        moving = [t is not None for t in tangents]
        outs, residuals = fwd(list(primals), moving)
        out_avals = tuple(aval_of(x) for x in outs)
        in_avals = tuple(tangent_aval(aval_of(x)) for x in primals)
        moved = [t for t in tangents if t is not None]
        dots = iter(
            custom_lin_p.bind(
                *residuals, *moved, bwd=bwd, count=len(residuals), moving=tuple(moving), in_avals=in_avals,
                out_avals=tuple(tangent_aval(a) for a in out_avals if moves(a)),
                live=tuple(moves(a) for a in out_avals), name=name,
            )
        )  # fmt: skip
        return outs, [next(dots) if moves(a) else None for a in out_avals]

    def batch_axis(
        self, trace: BatchTrace, batched: Sequence[bool], *operands: Any, fun: Any, fwd: Any, bwd: Any, **params: Any
    ) -> Any:
        if params["call_jaxpr"] is not None and not any(batched):
            outs = self.bind(*operands, fun=fun, fwd=fwd, bwd=bwd, **params)
            return outs, [False] * len(outs)
        size = trace.size
        rows = Rows(any(batched), params["name"])
        flags: list[bool] = []

        def spread(outs: Sequence[Any], found: Sequence[bool]) -> list[Any]:
            return [materialize(x, b, size) if w else x for x, b, w in zip(outs, found, rows.of(found), strict=True)]

        def many(*xs: Any) -> list[Any]:
            return spread(*trace.again(fun, xs, batched))

        def many_fwd(primals: Sequence[Any], moving: Sequence[bool]) -> Any:
            count: list[int] = []

            def f(*xs: Any) -> list[Any]:
                outs, residuals = fwd(list(xs), moving)
                count[:] = [len(outs)]
                return [*outs, *residuals]

            results, found = trace.again(f, primals, batched)
            n = count[0]
            flags[:] = found[n:]
            return spread(results[:n], found[:n]), results[n:]

        def many_bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> Any:
            live = [ct is not None for ct in cts]
            moved: list[bool] = []

            def f(*xs: Any) -> list[Any]:
                given = iter(xs[len(residuals) :])
                back = bwd(list(xs[: len(residuals)]), [next(given) if m else None for m in live])
                moved[:] = [ct is not None for ct in back]
                return [ct for ct in back if ct is not None]

            values = [*residuals, *(ct for ct in cts if ct is not None)]
            of_cts = [w for w, ct in zip(rows.flags, cts, strict=True) if ct is not None]
            outs, found = trace.again(f, values, [*flags, *of_cts])
            back = iter(zip(outs, found, strict=True))
            # An operand that all rows share gets the sum of what each row sends back.
            return [
                None if not m else materialize(*next(back), size) if b else summed(*next(back))
                for m, b in zip(moved, batched, strict=True)
            ]

        def summed(ct: Any, many: bool) -> Any:
            # Where no result carries the batch axis, there is one row and no more.
            shared = not any(rows.flags)
            return ct if shared and not many else reduce_sum(materialize(ct, many, size), axes=(0,))

        outs = self.bind(*operands, fun=many, fwd=many_fwd, bwd=many_bwd, **{**params, "call_jaxpr": None})
        return outs, rows.of([False] * len(outs))

    def samples(self, make: Any) -> Any:
        x, y = make((3,)), make((3,))
        closed = product_without_derivative(x)

        def fwd(primals: Sequence[Any], moving: Sequence[bool]) -> Any:
            return eval_closed(closed, *primals), list(primals)

        def bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            (x, y), (ct,) = residuals, cts
            return [None, None] if ct is None else [mul(ct, y), mul(ct, x)]

        fun = functools.partial(eval_closed, closed)
        yield Sample(x, y, fun=fun, fwd=fwd, bwd=bwd, call_jaxpr=closed, name="f")


class CustomLin(Primitive):
    """The derivative of a function with a reverse-mode rule: known only by its transpose.

    Parameters
    ----------
    *operands : ``count`` residuals, then the tangents that move
    bwd : callable, (residuals, cts) -> cts
    """

    name = "custom_lin"
    multiple_results = True
    memoize = False

    def abstract(self, *avals: Aval, out_avals: Any, **_: Any) -> list[Aval]:
        return list(out_avals)

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return None

    def impl(self, *operands: Any, name: str, **_: Any) -> Any:
        raise _forward_refused(name)

    def reference(self, *operands: Any, name: str, **_: Any) -> Any:
        raise _forward_refused(name)

    def stablehlo(self, b: Any, *values: Any, name: str, **_: Any) -> Any:
        raise _forward_refused(name)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, name: str, **_: Any) -> Any:
        raise _forward_refused(name)

    def transpose(
        self, cts: Sequence[Any], *operands: Any, bwd: Any, count: int, moving: Any, in_avals: Any, out_avals: Any,
        live: Any, name: str,
    ) -> Any:  # fmt: skip
        residuals = operands[:count]
        given = iter(cts)
        all_cts = [next(given) if m else None for m in live]
        back = bwd(list(residuals), all_cts)
        return [*[None] * count, *(ct for ct, m in zip(back, moving, strict=True) if m)]

    def batch(
        self, batched: Sequence[bool], *operands: Any, bwd: Any, count: int, moving: Any, in_avals: Any, out_avals: Any,
        live: Any, name: str,
    ) -> Any:  # fmt: skip
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        operands = tuple(materialize(x, b, size) for x, b in zip(operands, batched, strict=True))
        rows = lambda avals: tuple(Aval((size, *a.shape), a.dtype, a.weak_type) for a in avals)

        def many_bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> Any:
            alive = [ct is not None for ct in cts]
            moved: list[bool] = []

            def f(*xs: Any) -> list[Any]:
                given = iter(xs[len(residuals) :])
                back = bwd(list(xs[: len(residuals)]), [next(given) if m else None for m in alive])
                moved[:] = [ct is not None for ct in back]
                return [ct for ct in back if ct is not None]

            values = [*residuals, *(ct for ct in cts if ct is not None)]
            outs, flags = batch(f, values, [True] * len(values), size)
            given = iter(materialize(x, b, size) for x, b in zip(outs, flags, strict=True))
            return [next(given) if m else None for m in moved]

        outs = self.bind(
            *operands, bwd=many_bwd, count=count, moving=moving, in_avals=rows(in_avals), out_avals=rows(out_avals),
            live=live, name=name,
        )  # fmt: skip
        return outs, [True] * len(outs)


def _forward_refused(name: str) -> errors.NotDifferentiableError:
    return errors.NotDifferentiableError(
        wrong=f"forward-mode differentiation of {name} was asked for, and it has only a custom_vjp rule",
        fix="Use reverse mode (grad, vjp, jacrev), or give it a custom_jvp rule",
    )


custom_vjp_call_p = registry.add(CustomVJPCall())
custom_lin_p = registry.add(CustomLin())


class CustomVJPPrimal:
    """An argument of a ``fwd`` rule with symbolic zeros: its value, and whether it is being differentiated.

    Attributes
    ----------
    value : Array
    perturbed : bool
    """

    __slots__ = ("perturbed", "value")

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value, self.perturbed = value, perturbed


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """A tree of arguments of a ``fwd`` rule with symbolic zeros, as the values alone.

    Examples
    --------
    >>> @portax.custom_vjp
    ... def product(x, y):
    ...     return x * y
    >>> def fwd(x, y):
    ...     x, y = custom_vjp_primal_tree_values((x, y))
    ...     return x * y, (x, y)
    >>> product.defvjp(fwd, lambda kept, ct: (ct * kept[1], ct * kept[0]), symbolic_zeros=True)
    >>> float(portax.grad(product)(2.0, 3.0))
    3.0
    """
    return tree_map(lambda x: x.value, tree)


class custom_vjp:
    """A function whose reverse-mode derivative is given by two rules, used as a decorator.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : sequence of int
        Arguments that are not differentiated, such as functions; ``bwd`` gets them first.

    Examples
    --------
    >>> import portax
    >>> @portax.custom_vjp
    ... def f(x, y):
    ...     return x * y
    >>> f.defvjp(lambda x, y: (x * y, (x, y)), lambda r, ct: (10.0 * ct * r[1], ct * r[0]))
    >>> float(portax.grad(f)(2.0, 3.0))
    30.0
    """

    def __init__(
        self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()
    ) -> None:
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = tuple(sorted({*nondiff_argnums, *positions_of(fun, nondiff_argnames)}))
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Give the rules.

        Parameters
        ----------
        fwd : callable, same arguments as the function -> (out, residuals)
        bwd : callable, (nondiff arguments..., residuals, cotangent of out) -> tuple of cotangents, one an argument;
            None stands for zero
        symbolic_zeros : bool
            ``fwd`` gets objects with ``.value`` and ``.perturbed``; cotangents that are zero are
            ``SymbolicZero``.
        optimize_remat : bool
            Accepted; the rules are always inlined where they are recomputed.
        """
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = name_of(self.fun)
        if self.fwd is None or self.bwd is None:
            raise errors.ArgumentError(
                wrong=f"{name} was called and has no derivative rules yet", fix=f"Give them with {name}.defvjp"
            )
        args = resolve(self.fun, args, kwargs)
        fixed = {i: args[i] for i in self.nondiff_argnums if i < len(args)}
        if any(isinstance(x, Tracer) for x in tree.leaves(tuple(fixed.values()))):
            raise errors.ArgumentError(
                wrong=f"{name} was given a traced value as an argument that its rules do not differentiate",
                fix="Leave it out of nondiff_argnums, and return None for its cotangent",
            )
        rest = tuple(x for i, x in enumerate(args) if i not in fixed)
        leaves, in_tree = tree.flatten(rest)
        # The rules outlive this call, and must not hold its arguments: of those they know the structure only.
        arity = len(args)
        # References are no operands: the function and its rules know them as they are.
        refs, leaves = apart(leaves)
        count = len(refs) + len(leaves)
        kept: dict[int, Cell] = {}
        out_trees: list[Any] = []
        residual_trees: list[Any] = []
        user_fwd, user_bwd, symbolic = self.fwd, self.bwd, self.symbolic_zeros
        in_avals = [aval_of(x) for x in leaves]

        def fun(*xs: Any) -> list[Any]:
            given = tree.unflatten(in_tree, merge(refs, xs, count))
            outs, out_tree = tree.flatten(self.fun(*merge(fixed, given, arity)))
            out_trees[:] = [out_tree]
            for x in outs:
                check_output(x, name)
            return outs

        def fwd(primals: Sequence[Any], moving: Sequence[bool]) -> Any:
            primals = as_arrays(primals, name)
            if symbolic:
                primals = [CustomVJPPrimal(x, m) for x, m in zip(primals, moving, strict=True)]
            given = tree.unflatten(in_tree, merge(refs, primals, count))
            result = user_fwd(*merge(fixed, given, arity))
            if not isinstance(result, tuple | list) or len(result) != 2:
                raise errors.ArgumentError(
                    wrong=f"the fwd rule of {name} must return a pair (out, residuals), got {result!r}",
                    fix="Return both, the residuals as any tree of arrays",
                )
            outs, out_tree = tree.flatten(result[0])
            residuals, residual_tree = tree.flatten(result[1])
            out_trees[:] = [out_tree]
            residual_trees[:] = [residual_tree]
            found, residuals = apart(residuals)
            kept.clear()
            kept.update(found)
            return outs, residuals

        out_avals: list[Aval] = []

        def fwd_seen(primals: Sequence[Any], moving: Sequence[bool]) -> Any:
            outs, residuals = fwd(primals, moving)
            out_avals[:] = [aval_of(x) for x in outs]
            return outs, residuals

        def bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            residuals = as_arrays(residuals, name)
            given = [
                as_arrays([ct], name)[0] if ct is not None
                else SymbolicZero(tangent_aval(a)) if symbolic
                else as_arrays([zeros(tangent_aval(a))], name)[0] if moves(a)
                else float0_zeros(a)
                for ct, a in zip(cts, out_avals, strict=True)
            ]  # fmt: skip
            back = user_bwd(
                *fixed.values(),
                tree.unflatten(residual_trees[0], merge(kept, residuals, len(kept) + len(residuals))),
                tree.unflatten(out_trees[0], given),
            )
            return _cotangents(back, in_tree, in_avals, name, refs)

        outs = custom_vjp_call_p.bind(*leaves, fun=fun, fwd=fwd_seen, bwd=bwd, call_jaxpr=None, name=name)
        return tree.unflatten(out_trees[0], outs)


def _cotangents(back: Any, in_tree: Any, in_avals: Sequence[Aval], name: str, refs: dict[int, Cell]) -> list[Any]:
    """What ``bwd`` returned, one entry a leaf of the arguments that is an array; None for zero."""
    args = in_tree.children()
    if isinstance(back, list):
        back = tuple(back)
    if not isinstance(back, tuple) or len(back) != len(args):
        given = f"{len(back)} of them" if isinstance(back, tuple) else f"{type(back).__name__}"
        raise errors.ArgumentError(
            wrong=f"the bwd rule of {name} must return a tuple of {len(args)} cotangents, one for each argument "
            f"that is differentiated, got {given}",
            fix="Return a tuple; None stands for a cotangent that is zero",
        )
    leaves: list[Any] = []
    for structure, ct in zip(args, back, strict=True):
        if ct is None:
            leaves += [None] * structure.num_leaves
            continue
        try:
            found = structure.flatten_up_to(ct)
        except errors.TreeError:
            found = None
        if found is None or not all(x is None or isinstance(x, SymbolicZero) or tree.all_leaves([x]) for x in found):
            raise errors.ArgumentError(
                wrong=f"the bwd rule of {name} returned a cotangent of structure {tree.structure(ct)} for an argument "
                f"of structure {structure}",
                fix="Return a cotangent of the argument's structure, with None for what is zero",
            )
        leaves += found
    for i, ref in refs.items():
        if leaves[i] is not None:
            raise errors.RefError(
                wrong=f"the bwd rule of {name} returned a cotangent for a reference ({ref.aval})",
                fix="Return None there, and write to the reference",
            )
    leaves = [ct for i, ct in enumerate(leaves) if i not in refs]
    where = f"a cotangent that the bwd rule of {name} returned"
    return [taken_tangent(ct, a, where) for ct, a in zip(leaves, in_avals, strict=True)]
