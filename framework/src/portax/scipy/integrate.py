"""Integrals of sampled functions."""

from __future__ import annotations

from typing import Any

from portax import numpy as pnp
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import promote_dtypes_inexact


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of a function known at some places, straight between them.

    Parameters
    ----------
    y : array
        The function's values.
    x : array, optional
        The places, of one axis or of the shape of ``y``.
    dx : number
        How far places lie apart where ``x`` is not given.
    axis : int

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import integrate
    >>> float(integrate.trapezoid(pnp.array([0.0, 1.0, 4.0]), dx=0.5))
    1.5
    """
    if x is None:
        values, width = promote_dtypes_inexact("trapezoid", y, dx)
        values = pnp.moveaxis(values, normalize_axis(axis, values.ndim, "trapezoid"), -1)
    else:
        values, places = promote_dtypes_inexact("trapezoid", y, x)
        axis = normalize_axis(axis, values.ndim, "trapezoid")
        values = pnp.moveaxis(values, axis, -1)
        places = places if places.ndim < 2 else pnp.moveaxis(places, axis, -1)
        width = places[..., 1:] - places[..., :-1]
    return 0.5 * pnp.sum(width * (values[..., 1:] + values[..., :-1]), axis=-1)
