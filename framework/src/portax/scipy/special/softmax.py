"""The softmax functions with SciPy's defaults: over all axes, and ``axis`` by keyword."""

from __future__ import annotations

from typing import Any

from portax.numpy import softmax as shared


def softmax(x: Any, /, *, axis: Any = None) -> Any:
    """``exp(x)`` scaled so that it sums to 1.

    Parameters
    ----------
    x : array
    axis : int, tuple of int, or None for all

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import special
    >>> special.softmax(pnp.zeros((2, 2))).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    return shared.softmax(x, axis)


def log_softmax(x: Any, /, *, axis: Any = None) -> Any:
    """The logarithm of ``softmax``, accurate where that is tiny.

    Parameters
    ----------
    x : array
    axis : int, tuple of int, or None for all

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import special
    >>> round(float(special.log_softmax(pnp.zeros(2))[0]), 4)
    -0.6931
    """
    return shared.log_softmax(x, axis)
