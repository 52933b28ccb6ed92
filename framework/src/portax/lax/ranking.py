"""The greatest and least elements of an axis, under the names of their approximate forms; here they are exact."""

from __future__ import annotations

import operator
from typing import Any

from portax.core import dtypes
from portax.errors import ArgumentError, DtypeError
from portax.lax.elementwise import neg
from portax.lax.operands import as_operand, axis_of
from portax.primitives.sorting import top_k

Operand = Any


def approx_max_k(
    operand: Operand, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
    reduction_input_size_override: int = -1, aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:  # fmt: skip
    """The ``k`` greatest elements along an axis, descending, and their places.

    Parameters
    ----------
    operand : array, floating
    k : int
    reduction_dimension : int
    recall_target : float from 0 to 1
        The share that would have to be found; all are.
    reduction_input_size_override : int
        Of no consequence, since all are found.
    aggregate_to_topk : bool
        False allows for more than ``k`` elements: all are given, ordered.

    Returns
    -------
    values : array
    places : array of int32

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> values, places = lax.approx_max_k(pnp.array([3.0, 1.0, 4.0, 1.0]), 2)
    >>> values.tolist(), places.tolist()
    ([4.0, 3.0], [2, 0])
    """
    del reduction_input_size_override
    x, count, axis = _checked("approx_max_k", operand, k, reduction_dimension, recall_target, aggregate_to_topk)
    values, places = top_k(x, k=count, axis=axis)
    return values, places


def approx_min_k(
    operand: Operand, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
    reduction_input_size_override: int = -1, aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:  # fmt: skip
    """The ``k`` least elements along an axis, ascending, and their places: `approx_max_k` has the parameters.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.approx_min_k(pnp.array([3.0, 1.0, 4.0, 2.0]), 2)[0].tolist()
    [1.0, 2.0]
    """
    del reduction_input_size_override
    x, count, axis = _checked("approx_min_k", operand, k, reduction_dimension, recall_target, aggregate_to_topk)
    values, places = top_k(neg(x), k=count, axis=axis)
    return neg(values), places


def _checked(name: str, operand: Any, k: Any, axis: Any, recall: float, aggregate: bool) -> tuple[Any, int, int]:
    x, k = as_operand(operand, name), operator.index(k)
    if not dtypes.is_float(x.dtype):
        raise DtypeError(wrong=f"{name} takes floating point numbers, got {x.aval}", fix="Convert with .astype")
    axis = axis_of(name, axis, x.ndim)
    if not 0 <= k <= x.shape[axis]:
        raise ArgumentError(
            wrong=f"{name} cannot find {k} of the {x.shape[axis]} elements along axis {axis}",
            fix=f"Give 0 <= k <= {x.shape[axis]}",
        )
    if not 0 < recall <= 1:
        raise ArgumentError(wrong=f"{name} has no recall_target {recall}", fix="Give a share, above 0 and at most 1")
    return x, k if aggregate else x.shape[axis], axis
