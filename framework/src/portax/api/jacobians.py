"""Jacobians and Hessians: all directions of forward or of reverse mode at once.

The directions are the unit vectors of the arguments, or of the value, and are a batch. Rows of what comes out are cut
into one block for each leaf, whose axes are those of the value and then those of the argument.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.api.autodiff import check_callable, check_inputs, flat_function, linear_of, partial_of, shown
from portax.api.autodiff import pull as pull_back
from portax.core import dtypes, tree
from portax.core.aval import Aval, aval_of
from portax.higher_order.closures import as_arrays, name_of
from portax.primitives.broadcasting import reshape
from portax.primitives.broadcasting import transpose as permute
from portax.primitives.conversion import convert_element_type
from portax.primitives.slicing import slice_
from portax.primitives.zeros import zeros
from portax.transforms.batch import batch, materialize
from portax.transforms.jvp import jvp as flat_jvp
from portax.transforms.jvp import moves


def _basis(avals: Sequence[Aval]) -> tuple[list[Any], int]:
    """All unit vectors of a list of arrays, stacked: one array of rows for each."""
    total = sum(a.size for a in avals)
    rows: list[Any] = []
    start = 0
    for a in avals:
        block = np.zeros((total, a.size), a.dtype)
        block[np.arange(start, start + a.size), np.arange(a.size)] = 1
        rows.append(_like(block.reshape(total, *a.shape), a))
        start += a.size
    return rows, total


def _like(x: Any, aval: Aval) -> Any:
    """``x``, weak where values of ``aval`` are."""
    return convert_element_type(x, new_dtype=aval.dtype, weak_type=True, sharding=None) if aval.weak_type else x


def _still(out: Aval, given: Sequence[Aval]) -> list[Any]:
    """Blocks of the Jacobian of whole numbers, or with respect to them: whole zeros."""
    whole = dtypes.dtype_of_python_scalar(0)
    avals = [Aval((*out.shape, *a.shape), whole, a.weak_type and not moves(a)) for a in given]
    return as_arrays([zeros(a) for a in avals], "jacobian")


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

    check_callable("jacfwd", fun)

    @functools.wraps(fun)
    def jacfwd_f(*args: Any, **kwargs: Any) -> Any:
        _, chosen, partial = partial_of(fun, argnums, args, kwargs, "jacfwd")
        leaves, in_tree = tree.flatten(chosen)
        leaves = as_arrays(leaves, f"jacfwd of {name_of(fun)}")
        avals = [aval_of(x) for x in leaves]
        check_inputs(fun, leaves, "jacfwd", holomorphic, False)
        flat, seen = flat_function(partial, in_tree, has_aux)
        rows, total = _basis(avals)

        def push(*dots: Any) -> list[Any]:
            outs, out_dots = flat_jvp(flat, leaves, list(dots))
            n = seen[1]
            return [*(shown(t, x) for t, x in zip(out_dots[:n], outs[:n], strict=True)), *outs[n:]]

        results, flags = batch(push, rows, [True] * len(rows), total)
        out_tree, n, aux_tree = seen
        per_out = []
        for x, b in zip(results[:n], flags[:n], strict=True):
            if x.dtype == dtypes.float0:
                per_out.append(tree.unflatten(in_tree, _still(Aval(x.shape, x.dtype), avals)))
                continue
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

    check_callable("jacrev", fun)

    @functools.wraps(fun)
    def jacrev_f(*args: Any, **kwargs: Any) -> Any:
        _, chosen, partial = partial_of(fun, argnums, args, kwargs, "jacrev")
        leaves, in_tree = tree.flatten(chosen)
        check_inputs(fun, leaves, "jacrev", holomorphic, allow_int)
        leaves, linear, in_tree, outs, (out_tree, n, aux_tree) = linear_of(partial, chosen, has_aux)
        in_avals, out_avals = [aval_of(x) for x in leaves], [aval_of(x) for x in outs[:n]]
        for a in out_avals:
            if not holomorphic and not dtypes.is_float(a.dtype):
                raise errors.DtypeError(
                    wrong=f"jacrev needs real floating point values, and {name_of(fun)} returned {a}",
                    fix="Return floats; for a holomorphic function give holomorphic=True",
                )
        rows, total = _basis(out_avals)

        def pull(*cts: Any) -> list[Any]:
            back = pull_back(linear, in_avals, list(cts))
            return [shown(c, x) for c, x in zip(back, leaves, strict=True)]

        results, flags = batch(pull, rows, [True] * len(rows), total)
        per_in = []
        for x, b, given in zip(results, flags, in_avals, strict=True):
            if not moves(given):
                per_in.append([_still(a, [given])[0] for a in out_avals])
                continue
            x = materialize(x, b, total)
            per_in.append(_columns(x, out_avals, aval_of(x).shape[1:], at_end=False))
        per_out = [tree.unflatten(in_tree, [column[i] for column in per_in]) for i in range(n)]
        if isinstance(argnums, int | np.integer):
            per_out = [p[0] for p in per_out]
        result = tree.unflatten(out_tree, per_out)
        return (result, tree.unflatten(aux_tree, outs[n:])) if has_aux else result

    return jacrev_f


#: JAX's other name for it.
jacobian = jacrev


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
