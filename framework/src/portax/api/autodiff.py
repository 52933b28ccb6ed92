"""Derivatives of functions of trees: what a user calls of forward and reverse mode.

The transformations work on flat lists; here arguments are picked, trees are flattened, and results are checked, so
that a wrong request is answered in the words of the user's call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.api.pullbacks import VJP
from portax.core import dtypes, tree
from portax.core.aval import Aval, aval_of, weak_scalar
from portax.core.primitive import Undefined
from portax.core.trace import state
from portax.higher_order.checks import check_output
from portax.higher_order.closures import as_arrays, avals_of, name_of
from portax.higher_order.custom_jvp import float0_zeros
from portax.higher_order.jitted import jit
from portax.higher_order.references import Inside
from portax.primitives.zeros import zeros
from portax.transforms.jvp import jvp as flat_jvp
from portax.transforms.jvp import moves, tangent_aval
from portax.transforms.linearize import Linear, TangentTrace
from portax.transforms.linearize import linearize as flat_linearize
from portax.transforms.stage import eval_jaxpr
from portax.transforms.transpose import transpose


def flat_function(
    f: Callable[..., Any], in_tree: Any, has_aux: bool = False
) -> tuple[Callable[..., list[Any]], list[Any]]:
    """A flat version of ``f``, and a list that holds its out tree (and the tree and leaves of aux) once it ran."""
    seen: list[Any] = []

    def flat(*leaves: Any) -> list[Any]:
        out = f(*tree.unflatten(in_tree, leaves))
        aux = None
        if has_aux:
            if not isinstance(out, tuple | list) or len(out) != 2:
                raise errors.ArgumentError(
                    wrong=f"{name_of(f)} was differentiated with has_aux=True and returned {type(out).__name__}, not a "
                    "pair (value, aux)",
                    fix="Return a pair, or leave has_aux out",
                )
            out, aux = out
        outs, out_tree = tree.flatten(out)
        for x in outs:
            check_output(x, name_of(f))
        extra, aux_tree = tree.flatten(aux)
        seen[:] = [out_tree, len(outs), aux_tree]
        return [*outs, *extra]

    return flat, seen


def _check_same(what: str, primals: Any, tangents: Any) -> None:
    a, b = tree.structure(primals), tree.structure(tangents)
    if a != b:
        raise errors.ArgumentError(
            wrong=f"{what} was given primals of structure {a} and tangents of structure {b}",
            fix="Give a tangent for each primal, in the same tree",
        )


def check_callable(what: str, f: Any) -> None:
    """Raise if what a transformation was given to transform is no function."""
    if not callable(f):
        raise errors.ArgumentError(wrong=f"{what} needs a function, got {f!r}", fix="Give a callable")


def _tangent(what: str, aval: Aval, t: Any) -> Any:
    """A tangent the user gave for a primal of ``aval``: None where that cannot move."""
    zero = getattr(t, "dtype", None) == dtypes.float0
    if not moves(aval):
        if not zero:
            raise errors.DtypeError(
                wrong=f"{what} was given a tangent for {aval}, which cannot move",
                fix="Give zeros of dtype float0 there, or a floating point primal",
            )
        return None
    [got] = avals_of([t], what) if not zero else [Aval(np.shape(t), dtypes.float0)]
    if got.shape != aval.shape or got.dtype != aval.dtype:
        raise errors.ArgumentError(
            wrong=f"{what} was given a primal {aval} and its tangent {got}", fix="Make their shapes and dtypes equal"
        )
    return as_arrays([t], what)[0]


def shown(t: Any, x: Any) -> Any:
    """A tangent as the user gets it: zeros where it is None."""
    return zeros_for(aval_of(x)) if t is None else t


def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """The value of ``fun`` and its derivative along a direction.

    Parameters
    ----------
    fun : callable
    primals : tuple or list
        Arguments of ``fun``.
    tangents : tuple or list
        The direction: trees of the shapes and dtypes of ``primals``. The tangent of a reference is another, to which
        the tangent of what is written is written.
    has_aux : bool
        ``fun`` returns a pair whose second part is not differentiated.

    Returns
    -------
    (out, tangent_out), and aux where ``has_aux``

    Raises
    ------
    ArgumentError
        A tangent does not fit its primal.

    Examples
    --------
    >>> import portax
    >>> y, t = portax.jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(y), float(t)
    (9.0, 6.0)
    """
    check_callable("jvp", fun)
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise errors.ArgumentError(
            wrong=f"jvp was given {type(primals).__name__} and {type(tangents).__name__} as primals and tangents",
            fix="Give tuples or lists, one entry for each argument of the function",
        )
    _check_same("jvp", primals, tangents)
    primals, tangents = tuple(primals), tuple(tangents)
    leaves, in_tree = tree.flatten(primals)
    inside, given = Inside(leaves), tree.leaves(tangents)
    if inside.given:
        leaves, given = inside.read(leaves), inside.tangents(given)
    leaves = as_arrays(leaves, "jvp")
    dots = [_tangent("jvp", aval_of(x), t) for x, t in zip(leaves, given, strict=True)]
    flat, seen = flat_function(fun, in_tree, has_aux)
    if inside.given:
        outs, out_dots = flat_jvp(inside.around(flat), leaves, dots)
        outs, out_dots = inside.written_back(outs, out_dots)
    else:
        outs, out_dots = flat_jvp(flat, leaves, dots)
    out_tree, n, aux_tree = seen
    result = (
        tree.unflatten(out_tree, outs[:n]),
        tree.unflatten(out_tree, [shown(t, x) for t, x in zip(out_dots[:n], outs[:n], strict=True)]),
    )
    return (*result, tree.unflatten(aux_tree, outs[n:])) if has_aux else result


def linear_of(
    f: Callable[..., Any], primals: Sequence[Any], has_aux: bool = False, moving: Sequence[bool] | None = None
) -> tuple[list[Any], Linear, Any, list[Any], list[Any]]:
    """``(leaves, linear, in_tree, outs, seen)``: ``f`` linearized at trees; ``seen`` as of ``flat_function``."""
    leaves, in_tree = tree.flatten(tuple(primals))
    leaves = as_arrays(leaves, name_of(f))
    flat, seen = flat_function(f, in_tree, has_aux)
    outs, linear = flat_linearize(flat, leaves, moving)
    return leaves, linear, in_tree, outs, seen


class _Derivative:
    """What `linearize` and `vjp` know of a function at a point, but for the residuals.

    The functions they return are a ``Partial`` of one of the methods and the residuals: trees, so they go in and out of
    transformed functions.
    """

    __slots__ = ("in_avals", "in_tree", "linear", "name", "out_avals", "out_tree")

    def __init__(self, f: Any, linear: Linear, in_tree: Any, leaves: Sequence[Any], out_tree: Any, outs: Sequence[Any]):
        self.name, self.in_tree, self.out_tree = name_of(f), in_tree, out_tree
        self.in_avals, self.out_avals = [aval_of(x) for x in leaves], [aval_of(x) for x in outs]
        self.linear = Linear(linear.jaxpr, [], linear.moving_in, linear.moving_out)

    def push(self, residuals: Sequence[Any], *tangents: Any) -> Any:
        """Tangents of the value from those of the arguments."""
        what = f"the linearized {self.name}"
        given = tree.structure(tuple(tangents))
        if given != self.in_tree:
            raise errors.ArgumentError(
                wrong=f"{what} was given tangents of structure {given}, its primals were {self.in_tree}",
                fix="Give a tangent for each primal, in the same tree",
            )
        leaves = tree.leaves(tuple(tangents))
        dots = [_tangent(what, a, t) for a, t in zip(self.in_avals, leaves, strict=True)]
        moved = [
            zeros(tangent_aval(a)) if t is None else t
            for a, t, m in zip(self.in_avals, dots, self.linear.moving_in, strict=True)
            if m
        ]
        results = iter(eval_jaxpr(self.linear.jaxpr, residuals, *moved))
        out_dots = [next(results) if m else None for m in self.linear.moving_out]
        shown = [zeros_for(a) if t is None else t for t, a in zip(out_dots, self.out_avals, strict=False)]
        return tree.unflatten(self.out_tree, as_arrays(shown, what))

    def pull(self, residuals: Sequence[Any], ct: Any) -> Any:
        """Cotangents of the arguments from those of the value."""
        given, given_tree = tree.flatten(ct)
        if given_tree != self.out_tree:
            raise errors.ArgumentError(
                wrong=f"the vjp of {self.name} was given a cotangent of structure {given_tree}, its value is "
                f"{self.out_tree}",
                fix="Give a cotangent for each output, in the same tree",
            )
        what = f"the vjp of {self.name}"
        cts = [_cotangent(what, c, a) for c, a in zip(given, self.out_avals, strict=True)]
        linear = Linear(self.linear.jaxpr, list(residuals), self.linear.moving_in, self.linear.moving_out)
        back = pull(linear, self.in_avals, cts)
        return tree.unflatten(self.in_tree, [zeros_for(a) if c is None else c for c, a in zip(back, self.in_avals)])


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of ``fun`` and its derivative there, as a function of the direction.

    Parameters
    ----------
    fun : callable
    *primals : trees of arrays
    has_aux : bool
        ``fun`` returns a pair whose second part is not differentiated.

    Returns
    -------
    (out, f_jvp), and aux where ``has_aux``; ``f_jvp(*tangents)`` evaluates no part of ``fun`` again. ``f_jvp`` is a
    tree whose leaves are what it needs to know, so a jitted function may return it.

    Examples
    --------
    >>> import portax
    >>> y, f_jvp = portax.linearize(lambda x: x * x, 3.0)
    >>> float(f_jvp(2.0))
    12.0
    """
    check_callable("linearize", fun)
    leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = linear_of(fun, primals, has_aux)
    f_jvp = tree.Partial(_Derivative(fun, linear, in_tree, leaves, out_tree, outs[:n]).push, linear.residuals)
    value = tree.unflatten(out_tree, outs[:n])
    return (value, f_jvp, tree.unflatten(aux_tree, outs[n:])) if has_aux else (value, f_jvp)


def zeros_for(aval: Aval) -> Any:
    """The tangent of a value of ``aval`` that does not move, as the user gets it."""
    # A scalar zero is a literal inside; the user gets an array like any other.
    return as_arrays([zeros(tangent_aval(aval))], "zeros")[0] if moves(aval) else float0_zeros(aval)


def pull(linear: Linear, in_avals: Sequence[Aval], cts: Sequence[Any]) -> list[Any]:
    """Cotangents of the arguments given those of the first results; None where zero."""
    operands = [Undefined(tangent_aval(a)) for a, m in zip(in_avals, linear.moving_in, strict=True) if m]
    flat_cts = [*cts, *[None] * (len(linear.moving_out) - len(cts))]
    given = [ct for ct, m in zip(flat_cts, linear.moving_out, strict=True) if m]
    back = iter(transpose(linear.jaxpr, linear.residuals, operands, given))
    return [next(back) if m else None for m in linear.moving_in]


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Sequence[Any] = ()) -> Any:
    """The value of ``fun`` and the function that sends a cotangent of the value back to the arguments.

    Parameters
    ----------
    fun : callable
    *primals : trees of arrays
    has_aux : bool
        ``fun`` returns a pair whose second part is not differentiated.

    Returns
    -------
    (out, f_vjp), and aux where ``has_aux``; ``f_vjp(ct)`` gives a tuple, one entry for each argument. ``f_vjp`` is a
    tree whose leaves are what it needs to know, so a jitted function may return it; ``f_vjp.with_refs`` adds gradients
    to references instead of returning them.

    Examples
    --------
    >>> import portax
    >>> y, f_vjp = portax.vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> [float(ct) for ct in f_vjp(1.0)]
    [4.0, 3.0]
    """
    del reduce_axes
    check_callable("vjp", fun)
    leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = linear_of(fun, primals, has_aux)
    f_vjp = VJP(_Derivative(fun, linear, in_tree, leaves, out_tree, outs[:n]).pull, linear.residuals)
    value = tree.unflatten(out_tree, outs[:n])
    return (value, f_vjp, tree.unflatten(aux_tree, outs[n:])) if has_aux else (value, f_vjp)


def _cotangent(what: str, ct: Any, aval: Aval) -> Any:
    """A cotangent the user gave for an output of ``aval``: None where that cannot move."""
    if not moves(aval):
        return None
    zero = getattr(ct, "dtype", None) == dtypes.float0
    [got] = avals_of([ct], what) if not zero else [Aval(np.shape(ct), dtypes.float0)]
    if got.shape != aval.shape or got.dtype != aval.dtype:
        raise errors.ArgumentError(
            wrong=f"{what} was given a cotangent {got} for an output {aval}", fix="Make their shapes and dtypes equal"
        )
    return as_arrays([ct], what)[0]


def fwd_and_bwd(
    fun: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool = False, jitted: bool = True
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two halves of `vjp` as two functions, each staged once, whatever happens between their calls.

    Parameters
    ----------
    fun : callable
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        ``fun`` returns a pair whose second part is not differentiated.
    jitted : bool
        Give both functions jitted.

    Returns
    -------
    fwd : callable, ``fwd(*args)`` gives ``(out, residuals)``, and aux where ``has_aux``
    bwd : callable, ``bwd(residuals, ct)`` gives the cotangents of the arguments ``argnums``

    Examples
    --------
    >>> import portax
    >>> fwd, bwd = portax.fwd_and_bwd(lambda x, y: x * y, argnums=(0, 1))
    >>> y, residuals = fwd(3.0, 4.0)
    >>> [float(ct) for ct in bwd(residuals, 1.0)]
    [4.0, 3.0]
    """
    check_callable("fwd_and_bwd", fun)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        _, chosen, partial = partial_of(fun, argnums, args, kwargs, "fwd_and_bwd")
        return vjp(partial, *chosen, has_aux=has_aux)

    def bwd(residuals: Any, ct: Any) -> Any:
        back = residuals(ct)
        return back[0] if isinstance(argnums, int | np.integer) else back

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)


def picked_arguments(fun: Any, argnums: int | Sequence[int], args: Sequence[Any], what: str) -> list[int]:
    numbers: list[Any] = list(argnums) if isinstance(argnums, Sequence) else [argnums]
    if not numbers:
        raise errors.ArgumentError(
            wrong=f"{what} of {name_of(fun)} was asked for no argument", fix="Give one or more numbers in argnums"
        )
    for i in numbers:
        if not isinstance(i, int | np.integer) or not -len(args) <= i < len(args):
            raise errors.ArgumentError(
                wrong=f"{what} of {name_of(fun)} was asked for argument {i!r}, and it was called with {len(args)} "
                "positional arguments",
                fix="Pass the argument by position, and give argnums within the number of arguments",
            )
    places = [int(i) % len(args) for i in numbers]
    if len(set(places)) < len(places):
        raise errors.ArgumentError(
            wrong=f"{what} of {name_of(fun)} was asked for one argument twice, by argnums {tuple(numbers)}",
            fix="Name each argument once",
        )
    return places


def partial_of(fun: Any, argnums: Any, args: Any, kwargs: Any, what: str) -> tuple[list[int], tuple[Any, ...], Any]:
    """``(numbers, chosen, partial)``: the arguments that are asked for, and the function of them alone."""
    numbers = picked_arguments(fun, argnums, args, what)

    def partial(*picked: Any) -> Any:
        full = list(args)
        for i, x in zip(numbers, picked, strict=True):
            full[i] = x
        return fun(*full, **kwargs)

    partial.__name__ = name_of(fun)
    return numbers, tuple(args[i] for i in numbers), partial


def check_inputs(fun: Any, leaves: Sequence[Any], what: str, holomorphic: bool, allow_int: bool) -> None:
    for x in leaves:
        aval = aval_of(x)
        if holomorphic:
            if not dtypes.is_complex(aval.dtype):
                raise errors.DtypeError(
                    wrong=f"{what} of {name_of(fun)} with holomorphic=True needs complex arguments, got {aval}",
                    fix="Convert the argument to a complex dtype, or leave holomorphic out",
                )
        elif not moves(aval) and not allow_int:
            raise errors.DtypeError(
                wrong=f"{what} of {name_of(fun)} needs floating point arguments, got {aval}",
                fix="Convert the argument with astype(float), pick others with argnums, or give allow_int=True",
            )
        elif what != "grad" and dtypes.is_complex(aval.dtype) and what == "jacfwd":
            raise errors.DtypeError(
                wrong=f"jacfwd of {name_of(fun)} needs real arguments, got {aval}",
                fix="Give holomorphic=True if the function is holomorphic",
            )


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., Any]:
    """A function that gives the value of ``fun`` and its gradient.

    Parameters
    ----------
    fun : callable
        Its value is a scalar: a real floating point array of shape ().
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        ``fun`` returns a pair (value, aux), and aux is passed through.
    holomorphic : bool
        ``fun`` is complex differentiable; arguments and value are complex.
    allow_int : bool
        Integer arguments are allowed, and have gradients of dtype float0.

    Returns
    -------
    callable
        Gives ``(value, gradient)``; with ``has_aux`` ``((value, aux), gradient)``. The gradient is a tuple where
        ``argnums`` is a sequence, and has the trees of the arguments.

    Raises
    ------
    ArgumentError, DtypeError
        The value is not a scalar, or an argument cannot be differentiated.

    Examples
    --------
    >>> import portax
    >>> value, gradient = portax.value_and_grad(lambda x: x ** 2)(3.0)
    >>> float(value), float(gradient)
    (9.0, 6.0)
    """
    del reduce_axes
    check_callable("grad", fun)

    @functools.wraps(fun)
    def value_and_grad_f(*args: Any, **kwargs: Any) -> Any:
        _, chosen, partial = partial_of(fun, argnums, args, kwargs, "grad")
        leaves, _ = tree.flatten(chosen)
        avals_of(leaves, f"grad of {name_of(fun)}")
        check_inputs(fun, leaves, "grad", holomorphic, allow_int)
        leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = linear_of(partial, chosen, has_aux)
        out = outs[0] if n == 1 and out_tree == tree.LEAF else None
        aval = _check_scalar(fun, out, out_tree, holomorphic)
        back = pull(linear, [aval_of(x) for x in leaves], [one(aval)])
        grads = tree.unflatten(in_tree, [shown(c, x) for c, x in zip(back, leaves, strict=True)])
        gradient = grads[0] if isinstance(argnums, int | np.integer) else grads
        if has_aux:
            return (out, tree.unflatten(aux_tree, outs[n:])), gradient
        return out, gradient

    return value_and_grad_f


def one(aval: Aval) -> Any:
    """The scalar one of ``aval``."""
    return weak_scalar(1, aval.dtype) if aval.weak_type else np.ones((), aval.dtype)


def _check_scalar(fun: Any, out: Any, out_tree: Any, holomorphic: bool) -> Aval:
    if out is None:
        raise errors.ArgumentError(
            wrong=f"grad needs a function that returns one scalar, and {name_of(fun)} returned a tree {out_tree}",
            fix="Return a scalar, give has_aux=True for a pair (value, aux), or use jacrev",
        )
    aval = aval_of(out)
    if aval.shape:
        raise errors.ArgumentError(
            wrong=f"grad needs a function that returns one scalar, and {name_of(fun)} returned {aval}",
            fix="Reduce it, for example with .sum() or .mean(), or use jacrev",
        )
    if holomorphic and not dtypes.is_complex(aval.dtype):
        raise errors.DtypeError(
            wrong=f"grad with holomorphic=True needs a complex value, and {name_of(fun)} returned {aval}",
            fix="Return a complex scalar, or leave holomorphic out",
        )
    if not holomorphic and not dtypes.is_float(aval.dtype):
        raise errors.DtypeError(
            wrong=f"grad needs a real floating point value, and {name_of(fun)} returned {aval}",
            fix="Return a float; for a holomorphic function give holomorphic=True",
        )
    return aval


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., Any]:
    """A function that gives the gradient of ``fun``; see ``value_and_grad`` for the parameters.

    Returns
    -------
    callable
        Gives the gradient; with ``has_aux`` ``(gradient, aux)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.grad(lambda x: x ** 3)(2.0))
    12.0
    """
    both = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, reduce_axes)

    @functools.wraps(fun)
    def grad_f(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_f


def linear_transpose(fun: Callable[..., Any], *primals: Any, reduce_axes: Sequence[Any] = ()) -> Callable[..., Any]:
    """The transpose of a linear function: ``<f(x), c> = <x, f_transpose(c)>``.

    Parameters
    ----------
    fun : callable
        Linear in all its arguments.
    *primals : trees of arrays or of ShapeDtypeStruct
        Only shapes and dtypes matter.

    Returns
    -------
    callable
        Takes a cotangent of the value and gives a tuple, one entry for each argument.

    Raises
    ------
    NotDifferentiableError
        The function is not linear.

    Examples
    --------
    >>> import portax
    >>> back = portax.linear_transpose(lambda x: 3.0 * x, 1.0)
    >>> float(back(2.0)[0])
    6.0
    """
    del reduce_axes
    check_callable("linear_transpose", fun)
    leaves, in_tree = tree.flatten(primals)
    avals = avals_of(leaves, "linear_transpose")
    flat, seen = flat_function(fun, in_tree)
    trace = TangentTrace(state.trace, name_of(fun))
    inputs = [trace.argument(a) for a in avals]
    saved = state.trace
    state.trace = trace
    try:
        outs = flat(*inputs)
        jaxpr, residuals = trace.jaxpr(inputs, outs)
    finally:
        state.trace = saved
        trace.invalidate()
    out_tree = seen[0]
    out_avals = jaxpr.out_avals

    def transposed(ct: Any) -> Any:
        what = f"the transpose of {name_of(fun)}"
        given, given_tree = tree.flatten(ct)
        if given_tree != out_tree:
            raise errors.ArgumentError(
                wrong=f"{what} was given a cotangent of structure {given_tree}, its value is {out_tree}",
                fix="Give a cotangent for each output, in the same tree",
            )
        for aval, got in zip(out_avals, avals_of(given, what), strict=True):
            if got.shape != aval.shape or got.dtype != aval.dtype:
                raise errors.ArgumentError(
                    wrong=f"{what} was given a cotangent {got} for an output {aval}",
                    fix="Make their shapes and dtypes equal",
                )
        back = transpose(jaxpr, residuals, [Undefined(a) for a in avals], as_arrays(given, what))
        shown = [zeros(a) if c is None else c for c, a in zip(back, avals, strict=True)]
        return tree.unflatten(in_tree, as_arrays(shown, what))

    return transposed
