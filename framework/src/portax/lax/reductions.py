"""Reductions and running reductions along axes, without promotion of dtypes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from portax import primitives as p
from portax.core import dtypes
from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.core.primitive import registry
from portax.errors import DtypeError
from portax.lax.examples import example_of
from portax.lax.operands import as_operand, axis_of

laying = lazy("portax.higher_order.laying")

Operand = Any


def _reduction(name: str) -> Any:
    primitive = registry[name]

    def function(operand: Operand, axes: Sequence[int]) -> Any:
        x = as_operand(operand, name)
        return primitive(x, axes=tuple(axis_of(name, d, x.ndim) for d in axes))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = inspect.cleandoc(primitive.__doc__ or "") + "\n" + example_of(name)
    return function


reduce_and = _reduction("reduce_and")
reduce_max = _reduction("reduce_max")
reduce_min = _reduction("reduce_min")
reduce_or = _reduction("reduce_or")
reduce_prod = _reduction("reduce_prod")
reduce_xor = _reduction("reduce_xor")


def reduce_sum(operand: Operand, axes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """The sum of ``operand`` over ``axes``, in its own dtype.

    Examples
    --------
    >>> lax.reduce_sum(np.float32([3.0, 1.0, 2.0]), (0,))
    Array(6., dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(reduce_sum(operand, axes), out_sharding)
    x = as_operand(operand, "reduce_sum")
    if x.dtype == dtypes.bool_:
        raise DtypeError(
            wrong=f"reduce_sum was given {x.aval}, and the sum of bools is not one",
            fix="Convert it to an integer dtype, or use reduce_or or reduce_xor",
        )
    return p.reduce_sum(x, axes=tuple(axis_of("reduce_sum", d, x.ndim) for d in axes))


def argmax(operand: Operand, axis: int, index_dtype: Any) -> Any:
    """The place of the greatest element along an axis, the first of equals; NaN counts as greatest.

    Examples
    --------
    >>> lax.argmax(np.float32([3.0, 1.0, 2.0]), 0, "int32")
    Array(0, dtype=int32)
    """
    x = as_operand(operand, "argmax")
    return p.argmax(x, axes=(axis_of("argmax", axis, x.ndim),), index_dtype=user_dtype(index_dtype, "argmax"))


def argmin(operand: Operand, axis: int, index_dtype: Any) -> Any:
    """The place of the least element along an axis, the first of equals; NaN counts as least.

    Examples
    --------
    >>> lax.argmin(np.float32([3.0, 1.0, 2.0]), 0, "int32")
    Array(1, dtype=int32)
    """
    x = as_operand(operand, "argmin")
    return p.argmin(x, axes=(axis_of("argmin", axis, x.ndim),), index_dtype=user_dtype(index_dtype, "argmin"))


def _cumulative(name: str) -> Any:
    primitive = registry[name]

    def function(operand: Operand, axis: int = 0, reverse: bool = False) -> Any:
        x = as_operand(operand, name)
        return primitive(x, axis=axis_of(name, axis, x.ndim), reverse=bool(reverse))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = inspect.cleandoc(primitive.__doc__ or "") + "\n" + example_of(name)
    return function


cumlogsumexp = _cumulative("cumlogsumexp")
cummax = _cumulative("cummax")
cummin = _cumulative("cummin")
cumprod = _cumulative("cumprod")
cumsum = _cumulative("cumsum")
