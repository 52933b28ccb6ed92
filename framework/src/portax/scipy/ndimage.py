"""Images read at places between their elements."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError, ShapeError
from portax.numpy.promotion import as_array


def _mirrored(index: Any, n: int) -> Any:
    """The element met on the way back and forth between the first and the last."""
    last = n - 1
    return last - pnp.abs(index % (2 * last) - last) if last else pnp.zeros_like(index)


#: From an index and a length to the element that stands there.
_BEYOND = {
    "constant": lambda i, n: i,
    "nearest": lambda i, n: pnp.clip(i, 0, n - 1),
    "wrap": lambda i, n: i % n,
    "mirror": _mirrored,
    # Each element at the rim is met twice: as a mirror's in steps of half an element.
    "reflect": lambda i, n: pnp.floor_divide(_mirrored(2 * i + 1, 2 * n + 1), 2),
}  # fmt: skip


def _nearest(x: Any) -> Any:
    """The nearest whole number, of two the one farther from 0."""
    return pnp.sign(x) * pnp.floor(pnp.abs(x) + 0.5)


def map_coordinates(
    input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0
) -> Any:
    """An array read at any places, the nearest element or a mean of its neighbours.

    Parameters
    ----------
    input : array
    coordinates : sequence of arrays of one shape
        For each axis of ``input``, where along it to read.
    order : 0 or 1
        The nearest element, or the mean of neighbours weighted by distance.
    mode : "constant", "nearest", "wrap", "mirror" or "reflect"
        What lies beyond the rim: ``cval``, the last element, the array again, or the array backwards, without or with
        the last element twice.
    cval : number

    Returns
    -------
    array of the shape of the coordinates and the dtype of ``input``
        Means of integers are rounded.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import ndimage
    >>> ndimage.map_coordinates(pnp.array([0.0, 10.0, 20.0]), [pnp.array([0.5, 1.25])], order=1).tolist()
    [5.0, 12.5]
    """
    x = as_array(input, "map_coordinates")
    places = [as_array(c, "map_coordinates") for c in coordinates]
    cval = as_array(cval, "map_coordinates").astype(x.dtype)
    if len(places) != x.ndim:
        raise ShapeError(
            wrong=f"map_coordinates needs coordinates for each axis of input: {x.aval}, got {len(places)}",
            fix=f"Give a sequence of {x.ndim} arrays",
        )
    if mode not in _BEYOND:
        raise ArgumentError(
            wrong=f"map_coordinates has no mode {mode!r}", fix=f"Give one of {', '.join(map(repr, _BEYOND))}"
        )
    if order not in (0, 1):
        raise ArgumentError(wrong=f"map_coordinates has no order {order!r}", fix="Give 0, the nearest, or 1, linear")
    corners = [_corners(c, n, order, mode) for c, n in zip(places, x.shape, strict=True)]
    terms = []
    for corner in itertools.product(*corners):
        index = tuple([i for i, _, _ in corner])
        value = x[index]
        if mode == "constant":
            value = pnp.where(functools.reduce(operator.and_, [there for _, _, there in corner]), value, cval)
        weights = [w for _, w, _ in corner if w is not None]
        terms.append(functools.reduce(operator.mul, [value, *weights]))
    out = functools.reduce(operator.add, terms) if terms else x
    if dtypes.is_integer(x.dtype) and not dtypes.is_integer(out.dtype):
        out = _nearest(out)
    return out.astype(x.dtype)


def _corners(place: Any, n: int, order: int, mode: str) -> list[tuple[Any, Any, Any]]:
    """The elements to read along an axis: index, weight (None is 1), and whether there is such an element."""
    if order == 0:
        near = place if dtypes.is_integer(place.dtype) else _nearest(place)
        found = [(near, None)]
    else:
        low = pnp.floor(place)
        part = place - low
        found = [(low, 1 - part), (low + 1, part)]
    corners = []
    for index, weight in found:
        index = index.astype(dtypes.int32)
        there = (index >= 0) & (index < n) if mode == "constant" else None
        fixed = pnp.clip(index, 0, max(n - 1, 0)) if mode == "constant" else _BEYOND[mode](index, n)
        corners.append((fixed, weight, there))
    return corners
