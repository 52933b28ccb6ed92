"""Derivatives with respect to sparse arrays: those with respect to their data, at the same indices.

So the derivative of a function by a sparse array is sparse, and what is not specified counts as constant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import portax.numpy as pnp
from portax import api
from portax.core import tree
from portax.errors import GapError
from portax.experimental.sparse.layouts import BCOO
from portax.experimental.sparse.sparsifying import is_sparse, with_data

Function = Callable[..., Any]


class _Parts:
    """The arguments of a call that are differentiated, their sparse arrays apart from their data."""

    def __init__(self, args: Sequence[Any], argnums: int | Sequence[int]) -> None:
        self.args = args
        self.single = isinstance(argnums, int)
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self.numbers = [n % max(len(args), 1) for n in numbers]
        chosen = tuple(args[n] for n in self.numbers)
        self.leaves, self.structure = tree.flatten(chosen, is_leaf=is_sparse)
        self.data = [x.data if is_sparse(x) else x for x in self.leaves]

    def rebuilt(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments that are differentiated, with these values."""
        pairs = zip(self.leaves, values, strict=True)
        return tree.unflatten(self.structure, [with_data(x, v) if is_sparse(x) else v for x, v in pairs])

    def called(self, fun: Function, values: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        args = list(self.args)
        for n, x in zip(self.numbers, self.rebuilt(values), strict=True):
            args[n] = x
        return fun(*args, **kwargs)

    def result(self, values: Sequence[Any]) -> Any:
        """The derivatives, for one argument or a tuple of them."""
        out = self.rebuilt(values)
        return out[0] if self.single else out

    def jacobian(self, values: Sequence[Any]) -> Any:
        out = tree.unflatten(self.structure, [_placed(x, j) for x, j in zip(self.leaves, values, strict=True)])
        return out[0] if self.single else out


def _placed(x: Any, j: Any) -> Any:
    """The derivative of an array by a sparse one: the axes of the array are of the batch."""
    if not is_sparse(x):
        return j
    if not isinstance(x, BCOO):
        raise GapError(
            wrong=f"a Jacobian by a {type(x).__name__} has no layout of its own", fix="Convert it with .to_bcoo()"
        )
    lead = j.ndim - x.data.ndim
    indices = x.indices.reshape((1,) * lead + x.indices.shape)
    return BCOO(
        (j, indices), shape=j.shape[:lead] + x.shape, indices_sorted=x.indices_sorted, unique_indices=x.unique_indices
    )  # fmt: skip


def value_and_grad(
    fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any
) -> Callable[..., tuple[Any, Any]]:
    """As `portax.value_and_grad`, also with respect to sparse arrays.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO.fromdense(pnp.eye(2))
    >>> value, slope = sparse.value_and_grad(lambda m: (m @ pnp.array([3.0, 4.0])).sum())(m)
    >>> print(value, slope.data)
    7.0 [3. 4.]
    """

    @functools.wraps(fun)
    def both(*args: Any, **keywords: Any) -> tuple[Any, Any]:
        parts = _Parts(args, argnums)
        out, slopes = api.value_and_grad(
            lambda data: parts.called(fun, data, keywords), has_aux=has_aux, **kwargs
        )(parts.data)  # fmt: skip
        return out, parts.result(slopes)

    return both


def grad(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any) -> Function:
    """As `portax.grad`, also with respect to sparse arrays: the gradient has their indices.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO.fromdense(pnp.eye(2))
    >>> print(sparse.grad(lambda m: (m @ pnp.array([3.0, 4.0])).sum())(m).data)
    [3. 4.]
    """
    both = value_and_grad(fun, argnums, has_aux, **kwargs)

    @functools.wraps(fun)
    def slope(*args: Any, **keywords: Any) -> Any:
        out, slopes = both(*args, **keywords)
        return (slopes, out[1]) if has_aux else slopes

    return slope


def _jacobian(
    transform: Function, fun: Function, argnums: int | Sequence[int], has_aux: bool, kwargs: dict[str, Any]
) -> Function:
    @functools.wraps(fun)
    def jacobian(*args: Any, **keywords: Any) -> Any:
        parts, out_tree = _Parts(args, argnums), []

        def of_data(data: Any) -> Any:
            out = parts.called(fun, data, keywords)
            out, aux = out if has_aux else (out, None)
            leaves, structure = tree.flatten(out, is_leaf=is_sparse)
            if any(map(is_sparse, leaves)):
                raise GapError(
                    wrong="the function to differentiate returns a sparse array, whose derivative has no layout",
                    fix="Return .todense(), or the data of it",
                )
            out_tree.append(structure)
            return ([pnp.asarray(x) for x in leaves], aux) if has_aux else [pnp.asarray(x) for x in leaves]

        out = transform(of_data, has_aux=has_aux, **kwargs)(parts.data)
        rows, aux = out if has_aux else (out, None)
        result = tree.unflatten(out_tree[-1], [parts.jacobian(row) for row in rows])
        return (result, aux) if has_aux else result

    return jacobian


def jacfwd(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any) -> Function:
    """As `portax.jacfwd`, also with respect to sparse arrays.

    Returns
    -------
    callable
        By a BCOO, the derivative is a BCOO: its batch axes are those of the result, and those of the argument.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO.fromdense(pnp.eye(2))
    >>> sparse.jacfwd(lambda m: m @ pnp.array([3.0, 4.0]))(m)
    BCOO(float32[2, 2, 2], nse=2, n_batch=1)
    """
    return _jacobian(api.jacfwd, fun, argnums, has_aux, kwargs)


def jacrev(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs: Any) -> Function:
    """As `portax.jacrev`, also with respect to sparse arrays; see `jacfwd`."""
    return _jacobian(api.jacrev, fun, argnums, has_aux, kwargs)


jacobian = jacrev
