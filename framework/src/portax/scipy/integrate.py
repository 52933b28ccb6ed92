"""Integrals of sampled functions."""

from __future__ import annotations

from typing import Any

from portax import numpy as pnp


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
    return pnp.trapezoid(y, x, dx, axis)
