"""custom_vmap: a function whose batched version the user gives.

vmap(f)(xs) = rule(n, which_are_batched, xs).  The function runs as it is; only a trace that batches calls the rule.
Forward mode differentiates both; a function that also needs reverse mode wraps this one in a custom_vjp.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.aval import aval_of
from portax.core.primitive import Sample, registry
from portax.higher_order.checks import check_output
from portax.higher_order.closures import as_arrays, name_of, resolve
from portax.higher_order.custom_jvp import CustomCall
from portax.higher_order.loops import map as map_rows
from portax.transforms.batch import BatchTrace, materialize
from portax.transforms.jvp import jvp
from portax.transforms.stage import eval_closed, stage_closed


class CustomVmapCall(CustomCall):
    """A function with a batching rule of its own.

    Parameters
    ----------
    *operands : Arrays
    fun : callable, flat
    rule : callable, (size, batched, operands) -> (outs, which_are_batched), flat, batch axes at 0
    call_jaxpr : ClosedJaxpr or None
        The function once it is staged.
    """

    name = "custom_vmap_call"
    runs = "call_jaxpr"

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        return {k: params[k] for k in ("name", "call_jaxpr")}

    def with_leading(self, params: dict[str, Any], count: int) -> dict[str, Any]:
        rule, name = params["rule"], params["name"]

        def without(size: int, batched: Sequence[bool], operands: Sequence[Any]) -> Any:
            if any(batched[:count]):
                raise _closed_over(name)
            return rule(size, batched[count:], operands[count:])

        return {**params, "rule": without} if count else params

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, fun: Any, rule: Any, **params: Any) -> Any:
        n, moving = len(primals), [t is not None for t in tangents]
        out_moving: list[bool] = []

        def along(f: Callable[..., Any], xs: Sequence[Any]) -> list[Any]:
            given = iter(xs[n:])
            outs, dots = jvp(f, xs[:n], [next(given) if m else None for m in moving])
            out_moving[:] = [t is not None for t in dots]
            return [*outs, *(t for t in dots if t is not None)]

        def pushed_rule(size: int, batched: Sequence[bool], operands: Sequence[Any]) -> Any:
            of_tangents = iter(batched[n:])
            rows = [b | (next(of_tangents) if m else False) for b, m in zip(batched[:n], moving, strict=True)]
            wanted = [*rows, *(r for r, m in zip(rows, moving, strict=True) if m)]
            values = [materialize(x, b, size) if w else x for x, b, w in zip(operands, batched, wanted, strict=True)]
            flags: list[bool] = []

            def ruled(*xs: Any) -> list[Any]:
                outs, out_rows = rule(size, rows, xs)
                flags[:] = out_rows
                return outs

            outs = along(ruled, values)
            return outs, [*flags, *(b for b, m in zip(flags, out_moving, strict=True) if m)]

        moved = [t for t in tangents if t is not None]
        pushed = lambda *xs: along(fun, xs)
        outs = self.bind(*primals, *moved, fun=pushed, rule=pushed_rule, **{**params, "call_jaxpr": None})
        k = len(out_moving)
        dots = iter(outs[k:])
        return outs[:k], [next(dots) if m else None for m in out_moving]

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], *, name: str, **params: Any) -> Any:
        # The rule of a batch knows values and tangents together, and cannot be taken apart into either.
        raise errors.NotDifferentiableError(
            wrong=f"{name} has a custom_vmap rule; custom_vmap_call has no transpose, so no reverse-mode derivative",
            fix="Use forward mode (jvp, jacfwd), or give the function a rule with custom_vjp",
        )

    def batch_axis(
        self, trace: BatchTrace, batched: Sequence[bool], *operands: Any, fun: Any, rule: Any, **params: Any
    ) -> Any:
        if any(batched):
            return rule(trace.size, list(batched), operands)
        if params["call_jaxpr"] is not None:
            outs = self.bind(*operands, fun=fun, rule=rule, **params)
            return outs, [False] * len(outs)

        def one(*xs: Any) -> list[Any]:
            outs, found = trace.again(fun, xs, batched)
            if any(found):
                raise _closed_over(params["name"])
            return outs

        outs = self.bind(*operands, fun=one, rule=rule, **{**params, "call_jaxpr": None})
        return outs, [False] * len(outs)

    def samples(self, make: Any) -> Any:
        x, y = make((3,)), make((3,))
        aval = aval_of(x)
        closed = stage_closed(lambda x, y: [registry["mul"](x, y)], [aval, aval], "f")

        def rule(size: int, batched: Sequence[bool], operands: Sequence[Any]) -> Any:
            x, y = (materialize(x, b, size) for x, b in zip(operands, batched, strict=True))
            return [registry["mul"](x, y)], [True]

        yield Sample(x, y, fun=functools.partial(eval_closed, closed), rule=rule, call_jaxpr=closed, name="f")


def _closed_over(name: str) -> errors.NotBatchableError:
    return errors.NotBatchableError(
        wrong=f"the function {name} with a custom_vmap rule closes over a value that is being batched",
        fix="Pass the value as an argument, so that the rule can use it",
    )


custom_vmap_call_p = registry.add(CustomVmapCall())


class custom_vmap:
    """A function whose batched version is given by a rule, used as a decorator.

    Parameters
    ----------
    fun : callable

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> @portax.custom_batching.custom_vmap
    ... def f(x, y):
    ...     return x + y
    >>> @f.def_vmap
    ... def rule(axis_size, in_batched, xs, ys):
    ...     return xs * ys, True
    >>> portax.vmap(f)(pnp.arange(3), pnp.arange(3)).tolist()
    [0, 1, 4]
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.vmap_rule: Callable[..., Any] | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def def_vmap(self, vmap_rule: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
        """Give the rule: ``(axis_size, in_batched, *args) -> (out, out_batched)``.

        Parameters
        ----------
        vmap_rule : callable
            ``in_batched`` is a list of trees of bool, one an argument: which leaves have the batch axis, their first.
            ``out_batched`` has the tree of ``out``.
        """
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name, user_rule = name_of(self.fun), self.vmap_rule
        if user_rule is None:
            raise errors.ArgumentError(
                wrong=f"{name} was called and has no batching rule yet", fix=f"Give it one with {name}.def_vmap"
            )
        args = resolve(self.fun, args, kwargs)
        leaves, in_tree = tree.flatten(tuple(args))
        out_trees: list[Any] = []

        def fun(*xs: Any) -> list[Any]:
            outs, out_tree = tree.flatten(self.fun(*tree.unflatten(in_tree, xs)))
            out_trees[:] = [out_tree]
            for x in outs:
                check_output(x, name)
            return outs

        def rule(size: int, batched: Sequence[bool], operands: Sequence[Any]) -> Any:
            given = tree.unflatten(in_tree, as_arrays(operands, name))
            result = user_rule(size, list(tree.unflatten(in_tree, batched)), *given)
            if not isinstance(result, tuple | list) or len(result) != 2:
                raise errors.ArgumentError(
                    wrong=f"the batching rule of {name} must return a pair (out, out_batched), got {result!r}",
                    fix="Return both, trees of the same structure",
                )
            outs, out_tree = tree.flatten(result[0])
            flags, flag_tree = tree.flatten(result[1])
            if flag_tree != out_tree or (out_trees and out_tree != out_trees[0]):
                raise errors.ArgumentError(
                    wrong=f"the batching rule of {name} returned {out_tree}, and {flag_tree} for which are batched",
                    fix=f"Return two trees of the structure that {name} returns",
                )
            out_trees[:] = [out_tree]
            return outs, [bool(b) for b in flags]

        outs = custom_vmap_call_p.bind(*leaves, fun=fun, rule=rule, call_jaxpr=None, name=name)
        return tree.unflatten(out_trees[0], outs)


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """``f`` as a function that a batch calls row by row, in a loop.

    Parameters
    ----------
    f : callable

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> f = portax.custom_batching.sequential_vmap(lambda x: x + 1)
    >>> portax.vmap(f)(pnp.arange(3)).tolist()
    [1, 2, 3]
    """
    mapped = custom_vmap(f)

    def rule(axis_size: int, in_batched: Any, *args: Any) -> Any:
        flags = tree.leaves(in_batched)
        leaves, structure = tree.flatten(args)

        def row(moving: Sequence[Any]) -> Any:
            given = iter(moving)
            return mapped(*tree.unflatten(structure, [next(given) if b else x for x, b in zip(leaves, flags)]))

        out = map_rows(row, [x for x, b in zip(leaves, flags) if b])
        return out, tree.tree_map(lambda _: True, out)

    mapped.def_vmap(rule)
    return mapped
