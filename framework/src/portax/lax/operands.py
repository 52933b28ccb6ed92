"""Operands as ``portax.lax`` reads them: arrays of one dtype already; only Python numbers adapt.

A Python number takes the dtype of the array beside it, where that is of a kind that can hold it. Everything else that
does not fit is refused by the primitive, with its words.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.aval import Aval, aval_of
from portax.core.config import config
from portax.errors import AxisError, DtypeError
from portax.primitives.broadcasting import broadcast_in_dim
from portax.runtime.array import ConcreteArray

_NUMBERS = frozenset((bool, int, float, complex))
_ORDER = {"bool": 0, "uint": 1, "int": 1, "float": 2, "complex": 3}


def as_operand(x: Any, name: str) -> Any:
    """``x`` as an array.

    Raises
    ------
    DtypeError
        It is none.
    """
    if isinstance(x, Array):
        return x
    if isinstance(x, np.ndarray | np.generic) or type(x) in _NUMBERS:
        aval = aval_of(x)
        return ConcreteArray(aval, np.asarray(x, aval.dtype))
    convert = getattr(x, "__jax_array__", None)
    if convert is not None and not isinstance(x, type):
        return as_operand(convert(), name)
    raise DtypeError(
        wrong=f"{name} takes arrays and numbers, not {x!r} of type {type(x).__name__}",
        fix="Give an array, a NumPy array or a number",
    )


def operands(name: str, *xs: Any) -> list[Any]:
    """Arrays of one dtype from arrays and Python numbers; axes of length 1 are spread where all else is equal."""
    numbers = [type(x) in _NUMBERS for x in xs]
    if not any(numbers):
        arrays = [as_operand(x, name) for x in xs]
    else:
        firm = [as_operand(x, name) for x, n in zip(xs, numbers, strict=True) if not n]
        dtype = firm[0].dtype if firm else _common([type(x) for x in xs])
        given = iter(firm)
        arrays = [_literal(x, dtype, name) if n else next(given) for x, n in zip(xs, numbers, strict=True)]
    shapes = {a.shape for a in arrays if a.ndim}
    if len(shapes) > 1 and len({len(s) for s in shapes}) == 1:
        arrays = _spread(arrays, shapes)
    return arrays


def _common(kinds: list[type]) -> Any:
    widest = max(kinds, key=[bool, int, float, complex].index)
    return config.scalar_dtypes[widest]  # pyright: ignore[reportAttributeAccessIssue]


def _literal(x: Any, dtype: Any, name: str) -> Any:
    kind = dtypes.kind(dtype)
    own = dtypes.kind(dtypes.dtype_of_python_scalar(x))
    if kind == "key" or _ORDER[own] > _ORDER[kind]:
        raise DtypeError(
            wrong=f"{name} was given {x!r} beside an array of {dtype.name}, which cannot hold it",
            fix="Convert the array first, or use the function of portax.numpy, which promotes",
        )
    return ConcreteArray(Aval((), dtype, own != "bool"), np.asarray(x).astype(dtype))


def _spread(arrays: list[Any], shapes: set[tuple[int, ...]]) -> list[Any]:
    lengths = [set(column) - {1} for column in zip(*shapes, strict=True)]
    if any(len(found) > 1 for found in lengths):
        return arrays  # the primitive says what is wrong
    shape = tuple(found.pop() if found else 1 for found in lengths)
    dims = tuple(range(len(shape)))
    return [
        a if not a.ndim or a.shape == shape else broadcast_in_dim(a, shape=shape, broadcast_dimensions=dims)
        for a in arrays
    ]


def axis_of(name: str, axis: Any, ndim: int) -> int:
    """A whole axis number in ``[0, ndim)``."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise AxisError(
            wrong=f"{name} has no axis {axis} in an array of {ndim} axes", fix=f"Give -{ndim} to {ndim - 1}"
        )
    return axis % ndim


def shape_of(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of int."""
    if type(shape) is tuple:
        for n in shape:
            if type(n) is not int:
                break
        else:
            return shape
    return tuple([operator.index(n) for n in shape])
