"""Axes as users give them: negative ones count from the end, and each must exist."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from portax.errors import ArgumentError, AxisError


def normalize_axis(axis: Any, ndim: int, name: str) -> int:
    """``axis`` counted from the front.

    Parameters
    ----------
    axis : int, from ``-ndim`` to ``ndim - 1``
    ndim : int
    name : str, of the function it was given to

    Raises
    ------
    AxisError
        There is no such axis.
    """
    if type(axis) is not int:
        try:
            axis = operator.index(axis)
        except TypeError:
            raise ArgumentError(wrong=f"{name} needs an integer as axis, not {axis!r}", fix="Give an int") from None
    if not -ndim <= axis < ndim:
        raise AxisError(
            wrong=f"{name} was given axis {axis}, which is out of bounds for an array of dimension {ndim}",
            fix=f"Give an axis from {-ndim} to {ndim - 1}" if ndim else "Give an array with at least one axis",
        )
    return axis + ndim if axis < 0 else axis


def normalize_axes(axes: Any, ndim: int, name: str) -> tuple[int, ...]:
    """One axis or several distinct ones, counted from the front.

    Raises
    ------
    AxisError
        There is no such axis, or one is named twice.
    """
    given: Sequence[Any] = axes if isinstance(axes, (tuple, list)) or getattr(axes, "ndim", 0) else (axes,)
    found = tuple([normalize_axis(a, ndim, name) for a in given])
    if len(set(found)) != len(found):
        raise AxisError(wrong=f"{name} was given an axis twice: {tuple(given)}", fix="Name each axis once")
    return found
