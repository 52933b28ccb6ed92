"""A tree of arrays as one vector, and back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import errors
from portax import numpy as pnp
from portax.core import tree
from portax.core.aval import Aval, aval_of


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The leaves of a tree one after the other, and the function that makes such a tree of such a vector.

    Parameters
    ----------
    pytree : tree of arrays

    Returns
    -------
    vector : Array of shape (n,)
        Of the dtype that the leaves promote to; float32 for a tree without leaves.
    unravel : callable
        Takes a vector of that shape. Leaves of different dtypes get them back; else they have the vector's.

    Raises
    ------
    ArgumentError
        ``unravel`` is given another shape; or another dtype where the leaves differ in theirs.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.flatten_util import ravel_pytree
    >>> vector, unravel = ravel_pytree({"a": pnp.ones(2), "b": 3.0})
    >>> vector.tolist(), float(unravel(2 * vector)["b"])
    ([1.0, 1.0, 3.0], 6.0)
    """
    leaves, structure = tree.flatten(pytree)
    avals = [aval_of(x) for x in leaves]
    # Weakness is no matter here: the vector must hold every leaf.
    dtype = functools.reduce(pnp.promote_types, [a.dtype for a in avals]) if avals else np.dtype(np.float32)
    parts = [pnp.ravel(pnp.asarray(x, dtype)) for x in leaves]
    vector = pnp.concatenate(parts) if parts else pnp.zeros(0, dtype)
    mixed = any(a.dtype != dtype for a in avals)

    def unravel(flat: Any) -> Any:
        got = aval_of(flat)
        if got.shape != vector.shape or (mixed and got.dtype != dtype):
            raise errors.ArgumentError(
                wrong=f"unravel takes a vector {dtype.name}{list(vector.shape)}, got {got}",
                fix="Give the shape and dtype of the raveled tree",
            )
        parts = _cut(pnp.asarray(flat), avals)
        return tree.unflatten(structure, [x.astype(a.dtype) for x, a in zip(parts, avals)] if mixed else parts)

    return vector, unravel


def _cut(vector: Any, avals: list[Aval]) -> list[Any]:
    parts: list[Any] = []
    start = 0
    for a in avals:
        parts.append(vector[start : start + a.size].reshape(a.shape))
        start += a.size
    return parts
