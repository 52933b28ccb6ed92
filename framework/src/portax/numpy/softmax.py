"""Sums of exponentials and what is divided by them, without overflow.

``sum(exp(x)) = exp(c) sum(exp(x - c))``; with ``c`` the greatest ``x`` no term exceeds 1. The derivative does not
depend on ``c``, so none is taken through it. Shared by `portax.nn` and `portax.scipy.special`, neither of which may use
the other; that is why it lives here, under names that `portax.numpy` does not export.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.lax.values import stop_gradient
from portax.numpy.axes import normalize_axes
from portax.numpy.choosing import isfinite
from portax.numpy.choosing import where as choose
from portax.numpy.promotion import as_array, converted, promote_args_inexact, promote_dtypes_inexact
from portax.numpy.reductions import max, sum
from portax.numpy.rounding import real
from portax.numpy.shaping import reshape
from portax.numpy.transcendental import exp, log
from portax.numpy.ufuncs import abs, not_equal, sign

Axis = Any


def _greatest(x: Any, axis: Axis, mask: Any) -> Any:
    return max(x, axis, keepdims=True, initial=-np.inf, where=mask)


def _numbers(x: Any, name: str) -> Any:
    """``x`` as an array; booleans, which have no difference, as floats."""
    x = as_array(x, name)
    return converted(x, dtypes.to_inexact(x.dtype), False) if x.dtype == bool else x


def softmax(x: Any, axis: Axis = -1, where: Any = None) -> Any:
    """``exp(x)`` scaled so that it sums to 1 along an axis.

    Parameters
    ----------
    x : array
    axis : int, tuple of int, or None for all
    where : array of bool, optional
        Elements to count; the others get 0.

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> import portax
    >>> portax.nn.softmax(portax.numpy.zeros(2)).tolist()
    [0.5, 0.5]
    """
    x = _numbers(x, "softmax")
    if where is not None:
        x = choose(where, x, -np.inf)
    terms = exp(x - stop_gradient(_greatest(x, axis, where)))
    shares = terms / sum(terms, axis, keepdims=True, where=where)
    return shares if where is None else choose(where, shares, 0)


def log_softmax(x: Any, axis: Axis = -1, where: Any = None) -> Any:
    """The logarithm of ``softmax``, accurate where that is tiny.

    Parameters
    ----------
    x : array
    axis : int, tuple of int, or None for all
    where : array of bool, optional
        Elements to count; the others get -inf.

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.log_softmax(portax.numpy.zeros(2))[0]), 4)
    -0.6931
    """
    x = _numbers(x, "log_softmax")
    if where is not None:
        x = choose(where, x, -np.inf)
    shifted = x - stop_gradient(_greatest(x, axis, where))
    out = shifted - log(sum(exp(shifted), axis, keepdims=True, where=where))
    return out if where is None else choose(where, out, -np.inf)


def logsumexp(
    a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, where: Any = None
) -> Any:
    """``log(sum(b * exp(a)))`` along an axis, without overflow.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    b : array, optional
        Factors; where one is 0 its term is left out, whatever ``a`` is.
    keepdims : bool
        Keep the summed axes with length 1.
    return_sign : bool
        Return the logarithm of the sum's magnitude, and its sign. Without it a negative sum gives NaN.
    where : array of bool, optional
        Elements to count.

    Returns
    -------
    Array, or with ``return_sign`` two

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.logsumexp(portax.numpy.zeros(2))), 4)
    0.6931
    """
    if b is None:
        [x] = promote_dtypes_inexact("logsumexp", a)
    else:
        x, b = promote_args_inexact("logsumexp", a, b)
        x = choose(not_equal(b, 0), x, -np.inf)
    if where is not None:
        x = choose(where, x, 0)
    greatest = _greatest(real(x), axis, where)
    kept = greatest.shape
    if not keepdims:  # of the shape of the sum from here on, so that a compiler can add it where it takes the sum
        axes = range(x.ndim) if axis is None else normalize_axes(axis, x.ndim, "logsumexp")
        greatest = reshape(greatest, [n for d, n in enumerate(kept) if d not in axes])
    top = stop_gradient(choose(isfinite(greatest), greatest, 0))
    terms = exp(x - (top if keepdims else reshape(top, kept)))
    if b is not None:
        terms = terms * b
    total = sum(terms, axis, keepdims=keepdims, where=where)
    if return_sign:
        return log(abs(total)) + top, sign(total)
    if dtypes.is_complex(total.dtype):
        return log(total) + converted(top, total.dtype, False)
    if b is None:
        return log(total) + top
    return choose(sign(total) < 0, np.nan, log(abs(total)) + top)
