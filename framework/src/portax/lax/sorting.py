"""Sorting along an axis."""

from __future__ import annotations

import operator
from typing import Any

from portax import primitives as p
from portax.lax.operands import as_operand, axis_of

Operand = Any


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort along an axis; of several arrays the first ``num_keys`` decide, and the others follow.

    Examples
    --------
    >>> lax.sort(np.float32([3.0, 1.0, 2.0]))
    Array([1., 2., 3.], dtype=float32)
    """
    many = isinstance(operand, tuple | list)
    xs = [as_operand(x, "sort") for x in (operand if many else [operand])]
    axis = axis_of("sort", dimension, xs[0].ndim)
    outs = p.sort(*xs, dimension=axis, is_stable=bool(is_stable), num_keys=int(num_keys))
    return tuple(outs) if many else outs[0]


def sort_key_val(keys: Operand, values: Operand, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """Sort ``keys`` along an axis, and put ``values`` in the same order.

    Examples
    --------
    >>> lax.sort_key_val(np.int32([3, 1]), np.float32([0.3, 0.1]))
    (Array([1, 3], dtype=int32), Array([0.1, 0.3], dtype=float32))
    """
    return sort((keys, values), dimension, is_stable, 1)


def top_k(operand: Operand, k: int, *, axis: int = -1) -> list[Any]:
    """The ``k`` greatest elements along an axis, greatest first, and their places.

    Examples
    --------
    >>> lax.top_k(np.float32([3.0, 1.0, 2.0]), 2)
    [Array([3., 2.], dtype=float32), Array([0, 2], dtype=int32)]
    """
    x = as_operand(operand, "top_k")
    return list(p.top_k(x, k=operator.index(k), axis=axis_of("top_k", axis, x.ndim)))
