"""What transformations and compilers are told of a value, and its dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes, tree
from portax.core.aval import aval_of
from portax.lax.operands import as_operand


def stop_gradient(x: Any) -> Any:
    """A tree of arrays as constants: differentiation stops here.

    Examples
    --------
    >>> import portax
    >>> float(portax.grad(lambda x: x * portax.lax.stop_gradient(x))(3.0))
    3.0
    """

    def stop(leaf: Any) -> Any:
        if not hasattr(leaf, "aval") and not isinstance(leaf, np.ndarray | np.generic | int | float | complex):
            return leaf
        leaf = as_operand(leaf, "stop_gradient")
        return p.stop_gradient(leaf) if dtypes.is_inexact(leaf.dtype) else leaf

    return tree.tree_map(stop, x)


def optimization_barrier(operand: Any, /) -> Any:
    """A tree of arrays, none of them available to the compiler before all are.

    Examples
    --------
    >>> lax.optimization_barrier(np.float32([1.0]))
    Array([1.], dtype=float32)
    """
    leaves, structure = tree.flatten(operand)
    return tree.unflatten(structure, p.optimization_barrier(*[as_operand(x, "optimization_barrier") for x in leaves]))


def dtype(x: Any) -> Any:
    """The dtype of an array or number.

    Examples
    --------
    >>> lax.dtype(np.float32(1.0))
    dtype('float32')
    """
    return aval_of(x).dtype
