"""Programs as data: make_jaxpr, eval_shape, closure_convert."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.aval import Aval, aval_of
from portax.core.jaxpr import ClosedJaxpr
from portax.core.refs import Cell
from portax.core.trace import Tracer, state
from portax.higher_order.checks import check_output
from portax.higher_order.closures import name_of
from portax.higher_order.jitted import argument_places
from portax.higher_order.references import Inside
from portax.higher_order.stages import ShapeDtypeStruct
from portax.transforms.jvp import moves
from portax.transforms.stage import eval_jaxpr, stage


def _stage(
    fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], static: Sequence[int] = (), refs: bool = False
) -> tuple[Any, list[Any], Any]:
    """``(jaxpr, consts, out_tree)``; with ``refs`` the function may touch references, as a jitted one may."""
    fixed = {i % len(args): args[i] for i in static} if args else {}
    dynamic = tuple(x for i, x in enumerate(args) if i not in fixed)
    leaves, structure = tree.flatten((dynamic, kwargs))
    inside = Inside(leaves)
    avals = inside.avals_of(leaves, name_of(fun))
    out_tree: list[Any] = []

    def flat(*xs: Any) -> list[Any]:
        given, named = tree.unflatten(structure, inside.arguments(xs))
        rest = iter(given)
        full = [fixed[i] if i in fixed else next(rest) for i in range(len(args))]
        outs, out = tree.flatten(fun(*full, **named))
        for x in outs:
            check_output(x, name_of(fun))
        out_tree.append(out)
        return [*outs, *inside.values()]

    jaxpr, consts = stage(flat, avals, name_of(fun), inside.scope if refs else None)
    return jaxpr, consts, out_tree[0]


def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Iterable[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
) -> Callable[..., Any]:
    """A function that shows the program ``fun`` is, instead of running it.

    Parameters
    ----------
    fun : callable
    static_argnums : int or several
        Arguments that are part of the program.
    return_shape : bool
        Also give the tree of ShapeDtypeStructs that ``fun`` would return.

    Returns
    -------
    callable
        Called with arrays or ShapeDtypeStructs; gives a ClosedJaxpr. A mutable reference is its value there: those that
        ``fun`` closes over come before the arguments, and what is written is given after the results.

    Examples
    --------
    >>> import portax
    >>> print(portax.make_jaxpr(lambda x: 2.0 * x)(1.0))
    { lambda ; a:f32[]. let b:f32[] = mul 2.0:f32[] a in (b,) }
    """
    numbers, _ = argument_places(
        fun, static_argnums if isinstance(static_argnums, int) else tuple(static_argnums), None
    )

    @functools.wraps(fun)
    def made(*args: Any, **kwargs: Any) -> Any:
        saved = state.axes
        state.axes = saved + tuple(axis_env or ())
        try:
            jaxpr, consts, out_tree = _stage(fun, args, kwargs, numbers, refs=True)
        finally:
            state.axes = saved
        closed = ClosedJaxpr(jaxpr, consts)
        if return_shape:
            return closed, _structs(out_tree, closed.out_avals)
        return closed

    return made


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of what ``fun`` would return; nothing is computed.

    Parameters
    ----------
    fun : callable
    *args, **kwargs : trees of arrays or ShapeDtypeStructs

    Returns
    -------
    tree of ShapeDtypeStruct

    Examples
    --------
    >>> import portax
    >>> portax.eval_shape(lambda x: x @ x, portax.ShapeDtypeStruct((3, 3), "float32"))
    ShapeDtypeStruct(shape=(3, 3), dtype=float32)
    """
    jaxpr, _, out_tree = _stage(fun, args, kwargs, refs=True)
    return _structs(out_tree, jaxpr.out_avals)


def _structs(out_tree: Any, avals: Sequence[Aval]) -> Any:
    """What a function returns, as structs: first of all that its program gives."""
    return tree.unflatten(out_tree, [ShapeDtypeStruct.of(a) for a in avals[: out_tree.num_leaves]])


def typeof(x: Any) -> Any:
    """What is known of ``x`` without its value: shape, dtype, and whether the dtype is weak.

    Parameters
    ----------
    x : array, tracer, NumPy array or number

    Raises
    ------
    DtypeError
        ``x`` is no array.

    Examples
    --------
    >>> import portax
    >>> print(portax.typeof(1.0))
    float32[]
    """
    return x.aval if isinstance(x, Cell) else aval_of(x)


def closure_convert(fun: Callable[..., Any], *example_args: Any) -> tuple[Callable[..., Any], list[Any]]:
    """``fun`` without its closure over values that are being differentiated or traced.

    Parameters
    ----------
    fun : callable
    *example_args : trees of arrays
        Only shapes and dtypes matter.

    Returns
    -------
    (converted, consts)
        ``converted(*args, *consts)`` is ``fun(*args)``.

    Examples
    --------
    >>> import portax
    >>> def outer(a):
    ...     f, consts = portax.closure_convert(lambda x: a * x, 1.0)
    ...     return f(3.0, *consts)
    >>> float(portax.grad(outer)(2.0))
    3.0
    """
    return _opened(fun, example_args, lambda c: isinstance(c, Tracer) and moves(aval_of(c)))


def closure_of(fun: Callable[..., Any], *example_args: Any) -> tuple[Callable[..., Any], list[Any]]:
    """As ``closure_convert``, but everything that is an array becomes an argument."""
    return _opened(fun, example_args, lambda _: True)


def _opened(
    fun: Callable[..., Any], example_args: Sequence[Any], opens: Callable[[Any], bool]
) -> tuple[Callable[..., Any], list[Any]]:
    in_tree = tree.structure(tuple(example_args))
    jaxpr, consts, out_tree = _stage(fun, example_args, {})
    hoisted = [opens(c) for c in consts]
    given = [c for c, h in zip(consts, hoisted, strict=True) if h]

    def converted(*args_and_consts: Any) -> Any:
        n = len(args_and_consts) - len(given)
        flat, structure = tree.flatten(tuple(args_and_consts[:n]))
        if structure != in_tree:
            raise errors.ArgumentError(
                wrong=f"a function converted with arguments of structure {in_tree} was given {structure}, before its "
                f"{len(given)} constants",
                fix="Give arguments of the tree it was converted with, then the constants",
            )
        rest = iter(args_and_consts[n:])
        values = [next(rest) if h else c for c, h in zip(consts, hoisted, strict=True)]
        return tree.unflatten(out_tree, eval_jaxpr(jaxpr, values, *flat))

    return converted, given
