"""Functions between the points of a grid."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.errors import ArgumentError, ShapeError
from portax.numpy.promotion import as_array, promote_dtypes_inexact

_METHODS = ("linear", "nearest")


class RegularGridInterpolator:
    """A function known at the points of a grid, read anywhere.

    Parameters
    ----------
    points : sequence of arrays of one axis
        For each axis of the grid its places, ascending.
    values : array
        At the points; further axes are values of their own.
    method : "linear" or "nearest"
    bounds_error : bool
        Only False: under a transformation no error can depend on values.
    fill_value : number or None
        What lies outside the grid; None extrapolates.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.interpolate import RegularGridInterpolator
    >>> f = RegularGridInterpolator((pnp.array([0.0, 1.0, 3.0]),), pnp.array([0.0, 10.0, 30.0]))
    >>> f(pnp.array([[0.5], [2.0]])).tolist()
    [5.0, 20.0]
    """

    def __init__(
        self, points: Sequence[Any], values: Any, method: str = "linear", bounds_error: bool = False,
        fill_value: Any = np.nan,
    ) -> None:  # fmt: skip
        _check_method(method)
        if bounds_error:
            raise ArgumentError(
                wrong="RegularGridInterpolator raises no error that depends on values", fix="Leave bounds_error False"
            )
        self.method = method
        self.bounds_error = bounds_error
        self.fill_value = fill_value
        self.grid = tuple([as_array(p, "RegularGridInterpolator") for p in points])
        [self.values] = promote_dtypes_inexact("RegularGridInterpolator", values)
        lengths = tuple([p.shape[0] if p.ndim == 1 else -1 for p in self.grid])
        if self.values.shape[: len(lengths)] != lengths:
            raise ShapeError(
                wrong=f"RegularGridInterpolator was given points of {', '.join(str(p.aval) for p in self.grid)} and "
                f"values: {self.values.aval}",
                fix="Give for each axis of the grid an array of one axis, as long as that of values",
            )

    def __call__(self, xi: Any, method: str | None = None) -> Any:
        """The function at ``xi``.

        Parameters
        ----------
        xi : array of shape (..., axes of the grid), or a tuple of arrays that broadcast
        method : "linear" or "nearest", optional
        """
        method = self.method if method is None else method
        _check_method(method)
        count = len(self.grid)
        if isinstance(xi, tuple):
            xi = pnp.stack(pnp.broadcast_arrays(*[as_array(x, "xi") for x in xi]), axis=-1)
        [x] = promote_dtypes_inexact("RegularGridInterpolator", xi)
        if x.ndim < 2:  # one place, or places along the only axis
            x = x.reshape(-1, 1) if count == 1 else x[None]
        if x.shape[-1:] != (count,):
            raise ShapeError(
                wrong=f"RegularGridInterpolator of {count} axes was asked at {x.aval}",
                fix=f"Give places along a last axis of length {count}",
            )
        shape, x = x.shape[:-1], x.reshape(-1, count)
        found, outside = [], pnp.zeros(x.shape[:1], bool)
        for d, grid in enumerate(self.grid):
            place = x[:, d]
            low = pnp.clip(pnp.sum(grid[None, :] <= place[:, None], axis=1) - 1, 0, max(grid.shape[0] - 2, 0))
            left = grid[low]
            width = grid[pnp.minimum(low + 1, grid.shape[0] - 1)] - left
            found.append((low, (place - left) / pnp.where(width == 0, 1, width)))
            outside = outside | (place < grid[0]) | (place > grid[-1])
        out = self._linear(found) if method == "linear" else self._nearest(found)
        if self.fill_value is not None:
            out = pnp.where(outside.reshape(-1, *[1] * (out.ndim - 1)), self.fill_value, out)
        return out.reshape(*shape, *self.values.shape[count:])

    def _linear(self, found: Sequence[tuple[Any, Any]]) -> Any:
        extra = [1] * (self.values.ndim - len(found))
        total: Any = 0
        for corner in itertools.product((0, 1), repeat=len(found)):
            index, weight = [], None
            for up, (low, part), grid in zip(corner, found, self.grid, strict=True):
                index.append(pnp.minimum(low + up, grid.shape[0] - 1))
                w = part if up else 1 - part
                weight = w if weight is None else weight * w
            total = total + self.values[tuple(index)] * pnp.reshape(weight, (-1, *extra))
        return total

    def _nearest(self, found: Sequence[tuple[Any, Any]]) -> Any:
        pairs = zip(found, self.grid, strict=True)
        index = [pnp.where(part <= 0.5, low, pnp.minimum(low + 1, g.shape[0] - 1)) for (low, part), g in pairs]
        return self.values[tuple(index)]


def _check_method(method: Any) -> None:
    if method not in _METHODS:
        raise ArgumentError(
            wrong=f"RegularGridInterpolator has no method {method!r}", fix="Give 'linear' or 'nearest'"
        )
