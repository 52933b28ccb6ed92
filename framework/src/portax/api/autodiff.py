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
from portax.core import dtypes, tree
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Undefined
from portax.core.trace import state
from portax.higher_order.checks import check_output
from portax.higher_order.closures import as_arrays, avals_of, name_of
from portax.higher_order.custom_jvp import float0_zeros
from portax.primitives.broadcasting import reshape
from portax.primitives.broadcasting import transpose as permute
from portax.primitives.conversion import convert_element_type
from portax.primitives.slicing import slice_
from portax.primitives.zeros import zeros
from portax.transforms.batch import batch, materialize
from portax.transforms.jvp import jvp as flat_jvp
from portax.transforms.jvp import moves, tangent_aval
from portax.transforms.linearize import Linear, TangentTrace
from portax.transforms.linearize import linearize as flat_linearize
from portax.transforms.stage import eval_jaxpr
from portax.transforms.transpose import transpose


def _flat(f: Callable[..., Any], in_tree: Any, has_aux: bool = False) -> tuple[Callable[..., list[Any]], list[Any]]:
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


def _tangent(what: str, x: Any, t: Any) -> Any:
    """A tangent the user gave for ``x``: None where ``x`` cannot move."""
    aval = aval_of(x)
    if not moves(aval):
        if getattr(t, "dtype", None) != dtypes.float0:
            raise errors.DtypeError(
                wrong=f"{what} was given a tangent for {aval}, which cannot move",
                fix="Give zeros of dtype float0 there, or a floating point primal",
            )
        return None
    if getattr(t, "dtype", None) == dtypes.float0:
        return None
    got = aval_of(t)
    if got.shape != aval.shape or (got.dtype != aval.dtype and not got.weak_type):
        raise errors.ArgumentError(
            wrong=f"{what} was given a primal {aval} and its tangent {got}", fix="Make their shapes and dtypes equal"
        )
    if got.dtype != aval.dtype or got.weak_type:
        return convert_element_type(t, new_dtype=aval.dtype, weak_type=False, sharding=None)
    return t


def _shown(t: Any, x: Any) -> Any:
    """A tangent as the user gets it: zeros where it is None."""
    return _shown_aval(aval_of(x)) if t is None else t


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """The value of ``f`` and its derivative along a direction.

    Parameters
    ----------
    f : callable
    primals : tuple or list
        Arguments of ``f``.
    tangents : tuple or list
        The direction: trees of the shapes and dtypes of ``primals``.
    has_aux : bool
        ``f`` returns a pair whose second part is not differentiated.

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
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise errors.ArgumentError(
            wrong=f"jvp was given {type(primals).__name__} and {type(tangents).__name__} as primals and tangents",
            fix="Give tuples or lists, one entry for each argument of the function",
        )
    primals, tangents = tuple(primals), tuple(tangents)
    _check_same("jvp", primals, tangents)
    leaves, in_tree = tree.flatten(primals)
    leaves = as_arrays(leaves, "jvp")
    dots = [_tangent("jvp", x, t) for x, t in zip(leaves, tree.leaves(tangents), strict=True)]
    flat, seen = _flat(f, in_tree, has_aux)
    outs, out_dots = flat_jvp(flat, leaves, dots)
    out_tree, n, aux_tree = seen
    result = (
        tree.unflatten(out_tree, outs[:n]),
        tree.unflatten(out_tree, [_shown(t, x) for t, x in zip(out_dots[:n], outs[:n], strict=True)]),
    )
    return (*result, tree.unflatten(aux_tree, outs[n:])) if has_aux else result


def _linear(
    f: Callable[..., Any], primals: Sequence[Any], has_aux: bool = False, moving: Sequence[bool] | None = None
) -> tuple[list[Any], Linear, Any, list[Any], list[Any]]:
    leaves, in_tree = tree.flatten(tuple(primals))
    leaves = as_arrays(leaves, name_of(f))
    flat, seen = _flat(f, in_tree, has_aux)
    outs, linear = flat_linearize(flat, leaves, moving)
    return leaves, linear, in_tree, outs, seen


def linearize(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of ``f`` and its derivative there, as a function of the direction.

    Parameters
    ----------
    f : callable
    *primals : trees of arrays
    has_aux : bool
        ``f`` returns a pair whose second part is not differentiated.

    Returns
    -------
    (out, f_jvp), and aux where ``has_aux``; ``f_jvp(*tangents)`` evaluates no part of ``f`` again.

    Examples
    --------
    >>> import portax
    >>> y, f_jvp = portax.linearize(lambda x: x * x, 3.0)
    >>> float(f_jvp(2.0))
    12.0
    """
    leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = _linear(f, primals, has_aux)
    out_avals = [aval_of(x) for x in outs[:n]]

    def f_jvp(*tangents: Any) -> Any:
        given = tree.structure(tuple(tangents))
        if given != in_tree:
            raise errors.ArgumentError(
                wrong=f"the linearized {name_of(f)} was given tangents of structure {given}, its primals were "
                f"{in_tree}",
                fix="Give a tangent for each primal, in the same tree",
            )
        dots = [_tangent(f"the linearized {name_of(f)}", x, t)
                for x, t in zip(leaves, tree.leaves(tuple(tangents)), strict=True)]  # fmt: skip
        moved = [
            zeros(tangent_aval(aval_of(x))) if t is None else t
            for x, t, m in zip(leaves, dots, linear.moving_in, strict=True)
            if m
        ]
        results = iter(eval_jaxpr(linear.jaxpr, linear.residuals, *moved))
        out_dots = [next(results) if m else None for m in linear.moving_out]
        return tree.unflatten(
            out_tree,
            [t if t is not None else _shown_aval(a) for t, a in zip(out_dots[:n], out_avals, strict=True)],
        )

    value = tree.unflatten(out_tree, outs[:n])
    return (value, f_jvp, tree.unflatten(aux_tree, outs[n:])) if has_aux else (value, f_jvp)


def _shown_aval(aval: Aval) -> Any:
    # A scalar zero is a literal inside; the user gets an array like any other.
    return as_arrays([zeros(tangent_aval(aval))], "zeros")[0] if moves(aval) else float0_zeros(aval)


def _pull(
    linear: Linear, leaves: Sequence[Any], cts: Sequence[Any], n: int
) -> list[Any]:
    """Cotangents of the leaves given those of the first ``n`` results; None where zero."""
    avals = [tangent_aval(aval_of(x)) for x in leaves]
    operands = [Undefined(a) for a, m in zip(avals, linear.moving_in, strict=True) if m]
    flat_cts = [*cts, *[None] * (len(linear.moving_out) - n)]
    given = [ct for ct, m in zip(flat_cts, linear.moving_out, strict=True) if m]
    back = iter(transpose(linear.jaxpr, linear.residuals, operands, given))
    return [next(back) if m else None for m in linear.moving_in]


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Sequence[Any] = ()) -> Any:
    """The value of ``f`` and the function that sends a cotangent of the value back to the arguments.

    Parameters
    ----------
    f : callable
    *primals : trees of arrays
    has_aux : bool
        ``f`` returns a pair whose second part is not differentiated.

    Returns
    -------
    (out, f_vjp), and aux where ``has_aux``; ``f_vjp(ct)`` gives a tuple, one entry for each argument

    Examples
    --------
    >>> import portax
    >>> y, f_vjp = portax.vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> [float(ct) for ct in f_vjp(1.0)]
    [4.0, 3.0]
    """
    leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = _linear(f, primals, has_aux)
    out_avals = [aval_of(x) for x in outs[:n]]
    in_avals = [aval_of(x) for x in leaves]
    del reduce_axes

    def f_vjp(ct: Any) -> Any:
        given, given_tree = tree.flatten(ct)
        if given_tree != out_tree:
            raise errors.ArgumentError(
                wrong=f"the vjp of {name_of(f)} was given a cotangent of structure {given_tree}, its value is "
                f"{out_tree}",
                fix="Give a cotangent for each output, in the same tree",
            )
        cts = [_cotangent(f, c, a) for c, a in zip(given, out_avals, strict=True)]
        back = _pull(linear, leaves, cts, n)
        return tree.unflatten(
            in_tree, [_shown_aval(a) if c is None else c for c, a in zip(back, in_avals, strict=True)]
        )

    value = tree.unflatten(out_tree, outs[:n])
    return (value, f_vjp, tree.unflatten(aux_tree, outs[n:])) if has_aux else (value, f_vjp)


def _cotangent(f: Any, ct: Any, aval: Aval) -> Any:
    if not moves(aval) or getattr(ct, "dtype", None) == dtypes.float0:
        return None
    got = aval_of(ct)
    if got.shape != aval.shape or (got.dtype != aval.dtype and not got.weak_type):
        raise errors.ArgumentError(
            wrong=f"the vjp of {name_of(f)} was given a cotangent {got} for an output {aval}",
            fix="Make their shapes and dtypes equal",
        )
    if got.dtype != aval.dtype or got.weak_type:
        return convert_element_type(ct, new_dtype=aval.dtype, weak_type=False, sharding=None)
    return ct


def _picked(fun: Callable[..., Any], argnums: int | Sequence[int], args: Sequence[Any], what: str) -> list[int]:
    numbers = [argnums] if isinstance(argnums, int | np.integer) else list(argnums)
    for i in numbers:
        if not isinstance(i, int | np.integer) or not -len(args) <= i < len(args):
            raise errors.ArgumentError(
                wrong=f"{what} of {name_of(fun)} was asked for argument {i!r}, and it was called with {len(args)} "
                "positional arguments",
                fix="Pass the argument by position, and give argnums within the number of arguments",
            )
    return [int(i) % len(args) for i in numbers]


def _check_inputs(fun: Any, leaves: Sequence[Any], what: str, holomorphic: bool, allow_int: bool) -> None:
    for x in leaves:
        aval = aval_of(x)
        if holomorphic:
            if not dtypes.is_complex(aval.dtype):
                raise errors.DtypeError(
                    wrong=f"{what} of {name_of(fun)} with holomorphic=True needs complex arguments, got {aval}",
                    fix="Convert the argument to a complex dtype, or leave holomorphic out",
                )
        elif dtypes.is_key(aval.dtype) or (not moves(aval) and not allow_int):
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
    if not callable(fun):
        raise errors.ArgumentError(wrong=f"grad needs a function, got {fun!r}", fix="Give a callable")
    del reduce_axes

    @functools.wraps(fun)
    def value_and_grad_f(*args: Any, **kwargs: Any) -> Any:
        numbers = _picked(fun, argnums, args, "grad")
        chosen = tuple(args[i] for i in numbers)

        def partial(*picked: Any) -> Any:
            full = list(args)
            for i, x in zip(numbers, picked, strict=True):
                full[i] = x
            return fun(*full, **kwargs)

        partial.__name__ = name_of(fun)
        leaves, _ = tree.flatten(chosen)
        avals_of(leaves, f"grad of {name_of(fun)}")
        _check_inputs(fun, leaves, "grad", holomorphic, allow_int)
        leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = _linear(partial, chosen, has_aux)
        out = outs[0] if n == 1 and out_tree == tree.LEAF else None
        aval = _check_scalar(fun, out, out_tree, holomorphic)
        back = _pull(linear, leaves, [np.ones((), aval.dtype)], n)
        grads = tree.unflatten(
            in_tree, [_shown(c, x) if c is None else c for c, x in zip(back, leaves, strict=True)]
        )
        gradient = grads[0] if isinstance(argnums, int | np.integer) else grads
        if has_aux:
            return (out, tree.unflatten(aux_tree, outs[n:])), gradient
        return out, gradient

    return value_and_grad_f


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


# -- Jacobians --------------------------------------------------------------------------------------------------------
def _basis(avals: Sequence[Aval]) -> tuple[list[Any], int]:
    """All unit vectors of a list of arrays, stacked: one array of rows for each."""
    total = sum(a.size for a in avals)
    rows: list[Any] = []
    start = 0
    for a in avals:
        block = np.zeros((total, a.size), a.dtype)
        block[np.arange(start, start + a.size), np.arange(a.size)] = 1
        rows.append(block.reshape(total, *a.shape))
        start += a.size
    return rows, total


def _columns(x: Any, avals: Sequence[Aval], shape: tuple[int, ...], at_end: bool) -> list[Any]:
    """Rows of one array cut into one block for each of ``avals``, the block's axes before or after ``shape``."""
    blocks: list[Any] = []
    start = 0
    for a in avals:
        limits = (start + a.size, *shape)
        starts = (start,) + (0,) * len(shape)
        block = slice_(x, start_indices=starts, limit_indices=limits, strides=None)
        block = reshape(block, new_sizes=(*a.shape, *shape), dimensions=None)
        if at_end:
            k, n = len(a.shape), len(shape)
            block = _permute(block, (*range(k, k + n), *range(k)))
        blocks.append(block)
        start += a.size
    return blocks


def _permute(x: Any, order: tuple[int, ...]) -> Any:
    return x if order == tuple(range(len(order))) else permute(x, permutation=order)


def jacfwd(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """A function that gives the Jacobian of ``fun``, a column at a time by forward mode: for few inputs.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic
        As for ``value_and_grad``, but the value may be any tree of arrays.

    Returns
    -------
    callable
        Gives the tree of the value, each leaf the tree of the argument, each leaf of shape
        ``value.shape + argument.shape``; with ``has_aux`` also aux.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.jacfwd(lambda x: x ** 2)(pnp.array([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    @functools.wraps(fun)
    def jacfwd_f(*args: Any, **kwargs: Any) -> Any:
        _, chosen, partial = _partial(fun, argnums, args, kwargs, "jacfwd")
        leaves, in_tree = tree.flatten(chosen)
        leaves = as_arrays(leaves, f"jacfwd of {name_of(fun)}")
        avals = [aval_of(x) for x in leaves]
        _check_inputs(fun, leaves, "jacfwd", holomorphic, False)
        flat, seen = _flat(partial, in_tree, has_aux)
        rows, total = _basis(avals)

        def push(*dots: Any) -> list[Any]:
            outs, out_dots = flat_jvp(flat, leaves, list(dots))
            n = seen[1]
            return [*(_shown(t, x) for t, x in zip(out_dots[:n], outs[:n], strict=True)), *outs[n:]]

        results, flags = batch(push, rows, [True] * len(rows), total)
        out_tree, n, aux_tree = seen
        per_out = []
        for x, b in zip(results[:n], flags[:n], strict=True):
            x = materialize(x, b, total)
            per_out.append(tree.unflatten(in_tree, _columns(x, avals, aval_of(x).shape[1:], at_end=True)))
        if isinstance(argnums, int | np.integer):
            per_out = [p[0] for p in per_out]
        result = tree.unflatten(out_tree, per_out)
        if has_aux:
            return result, tree.unflatten(aux_tree, results[n:])
        return result

    return jacfwd_f


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function that gives the Jacobian of ``fun``, a row at a time by reverse mode: for few outputs.

    Parameters and result as for ``jacfwd``.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.jacrev(lambda x: x[0] * x[1])(pnp.array([2.0, 3.0])).tolist()
    [3.0, 2.0]
    """

    @functools.wraps(fun)
    def jacrev_f(*args: Any, **kwargs: Any) -> Any:
        _, chosen, partial = _partial(fun, argnums, args, kwargs, "jacrev")
        leaves, in_tree = tree.flatten(chosen)
        _check_inputs(fun, leaves, "jacrev", holomorphic, allow_int)
        leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = _linear(partial, chosen, has_aux)
        out_avals = [aval_of(x) for x in outs[:n]]
        for a in out_avals:
            if not holomorphic and not dtypes.is_float(a.dtype):
                raise errors.DtypeError(
                    wrong=f"jacrev needs real floating point values, and {name_of(fun)} returned {a}",
                    fix="Return floats; for a holomorphic function give holomorphic=True",
                )
        rows, total = _basis(out_avals)

        def pull(*cts: Any) -> list[Any]:
            back = _pull(linear, leaves, list(cts), n)
            return [_shown(c, x) for c, x in zip(back, leaves, strict=True)]

        results, flags = batch(pull, rows, [True] * len(rows), total)
        per_in = []
        for x, b in zip(results, flags, strict=True):
            x = materialize(x, b, total) if aval_of(x).dtype != dtypes.float0 else x
            per_in.append(_columns(x, out_avals, aval_of(x).shape[1:], at_end=False))
        per_out = [tree.unflatten(in_tree, [column[i] for column in per_in]) for i in range(n)]
        if isinstance(argnums, int | np.integer):
            per_out = [p[0] for p in per_out]
        result = tree.unflatten(out_tree, per_out)
        return (result, tree.unflatten(aux_tree, outs[n:])) if has_aux else result

    return jacrev_f


#: JAX's other name for it.
jacobian = jacrev


def _partial(fun: Any, argnums: Any, args: Any, kwargs: Any, what: str) -> tuple[list[int], tuple[Any, ...], Any]:
    numbers = _picked(fun, argnums, args, what)

    def partial(*picked: Any) -> Any:
        full = list(args)
        for i, x in zip(numbers, picked, strict=True):
            full[i] = x
        return fun(*full, **kwargs)

    partial.__name__ = name_of(fun)
    return numbers, tuple(args[i] for i in numbers), partial


def hessian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """A function that gives the second derivatives of ``fun``: forward over reverse mode.

    Parameters as for ``jacfwd``.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.hessian(lambda x: x[0] * x[1])(pnp.array([2.0, 3.0])).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


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
    leaves, in_tree = tree.flatten(primals)
    avals = [tangent_aval(a) for a in avals_of(leaves, "linear_transpose")]
    flat, seen = _flat(fun, in_tree)
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
        given, given_tree = tree.flatten(ct)
        if given_tree != out_tree:
            raise errors.ArgumentError(
                wrong=f"the transpose of {name_of(fun)} was given a cotangent of structure {given_tree}, its value is "
                f"{out_tree}",
                fix="Give a cotangent for each output, in the same tree",
            )
        cts = [_cotangent(fun, c, a) for c, a in zip(given, out_avals, strict=True)]
        back = transpose(jaxpr, residuals, [Undefined(a) for a in avals], cts)
        return tree.unflatten(
            in_tree, [_shown_aval(a) if c is None else c for c, a in zip(back, avals, strict=True)]
        )

    return transposed


