"""Bessel functions: the modified ones of orders 0 and 1, and those of the first kind of whole orders."""

from __future__ import annotations

import operator
from typing import Any

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError, DtypeError
from portax.lax import elementwise as lax
from portax.numpy.promotion import promote_args_inexact
from portax.scipy.special.common import derived, floats


@derived(lambda out, x: _i1(x))
def _i0(x: Any) -> Any:
    return pnp.exp(pnp.abs(x)) * lax.bessel_i0e(x)


def _i1_slope(out: Any, x: Any) -> Any:
    none = x == 0
    return pnp.where(none, 0.5, _i0(x) - out / pnp.where(none, 1, x))


@derived(_i1_slope)
def _i1(x: Any) -> Any:
    return pnp.exp(pnp.abs(x)) * lax.bessel_i1e(x)


def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind of order 0.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.i0(0.0))
    1.0
    """
    [x], back = floats("i0", x)
    return back(_i0(x))


def i1(x: Any) -> Any:
    """The modified Bessel function of the first kind of order 1.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.i1(0.0))
    0.0
    """
    [x], back = floats("i1", x)
    return back(_i1(x))


def i0e(x: Any) -> Any:
    """``exp(-abs(x)) i0(x)``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.i0e(0.0))
    1.0
    """
    [x] = promote_args_inexact("i0e", x)
    return lax.bessel_i0e(x)


def i1e(x: Any) -> Any:
    """``exp(-abs(x)) i1(x)``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.i1e(0.0))
    0.0
    """
    [x] = promote_args_inexact("i1e", x)
    return lax.bessel_i1e(x)


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Any:
    """Bessel functions of the first kind, of orders 0 to ``v``.

    Parameters
    ----------
    z : array
    v : int
    n_iter : int
        The order at which the recurrence starts, downwards. Accurate where ``abs(z)`` is well below it.

    Returns
    -------
    Array of shape (v + 1, *z.shape), of the dtype of ``z``

    Raises
    ------
    DtypeError
        ``z`` is no array of floats.
    ArgumentError
        ``v`` is no int of at least 0.

    References
    ----------
    Zhang and Jin, Computation of special functions, Wiley, 1996: backward recurrence, after J. C. P. Miller.

    Examples
    --------
    >>> from portax.scipy import special
    >>> [round(v, 4) for v in special.bessel_jn(1.0, v=1).tolist()]
    [0.7652, 0.4401]
    """
    z = pnp.asarray(z)
    if not dtypes.is_float(z.dtype):
        raise DtypeError(wrong=f"bessel_jn takes an array of floats, got {z.aval}", fix="Convert it")
    try:
        v, n_iter = operator.index(v), operator.index(n_iter)
    except TypeError:
        v = -1
    if v < 0:
        raise ArgumentError(wrong="bessel_jn needs an order v of at least 0, known before it runs", fix="Give an int")
    [x], back = floats("bessel_jn", z)
    zero = x == 0
    inverse = 2 / pnp.where(zero, 1, x)
    above, here = pnp.zeros_like(x), pnp.full_like(x, 1e-16)
    values: list[Any] = [None] * (v + 1)
    total = pnp.zeros_like(x)
    start = max(n_iter, v + 1)
    for k in range(start, -1, -1):
        # Where it grows too large all is scaled back; what has been kept with it.
        above, here = here, (k + 1) * inverse * here - above
        if k <= v:
            values[k] = here
        if k % 2 == 0:
            total = total + (here if k == 0 else 2 * here)
        big = pnp.abs(here) > 1e12
        scale = pnp.where(big, 1e-12, 1)
        above, here, total = above * scale, here * scale, total * scale
        values = [None if f is None else f * scale for f in values]
    out = pnp.stack(values) / total
    first = pnp.reshape(pnp.arange(v + 1) == 0, (v + 1,) + (1,) * x.ndim)
    return back(pnp.where(zero, first.astype(x.dtype), out))
