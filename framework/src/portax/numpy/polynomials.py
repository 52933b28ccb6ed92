"""Polynomials, as arrays of their coefficients, the highest power first."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from portax.errors import ArgumentError, ShapeError
from portax.numpy.convolving import convolve
from portax.numpy.creation import asarray
from portax.numpy.editing import trim_zeros
from portax.numpy.filling import ones, zeros
from portax.numpy.joining import concatenate
from portax.numpy.promotion import as_array, promote_dtypes, promote_dtypes_inexact
from portax.numpy.ufuncs import power


def _vector(name: str, x: Any) -> Any:
    x = as_array(x, name)
    if x.ndim > 1:
        raise ShapeError(wrong=f"{name} takes coefficients along one axis, got {x.aval}", fix="Flatten them")
    return x.ravel()


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Any:
    """The values of a polynomial, by Horner's rule.

    Parameters
    ----------
    p : array of shape (n,) or (n, ...)
        Coefficients, the highest power first.
    x : array
    unroll : int
        How jax is told to write the loop; here the steps are written out.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.polyval(pnp.array([1.0, 0.0, 2.0]), 3.0))
    11.0
    """
    coefficients, x = promote_dtypes("polyval", p, x)
    shape = np.broadcast_shapes(coefficients.shape[1:], x.shape)
    out = zeros(shape, x.dtype)
    for k in range(coefficients.shape[0]):
        out = out * x + coefficients[k]
    return out


def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials.

    Parameters
    ----------
    a1, a2 : arrays of one axis
        Coefficients, the highest power first.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.polyadd(pnp.array([1, 2]), pnp.array([9, 5, 4])).tolist()
    [9, 6, 6]
    """
    x, y = _aligned("polyadd", a1, a2)
    return x + y


def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials; parameters as for ``polyadd``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.polysub(pnp.array([1, 2]), pnp.array([9, 5, 4])).tolist()
    [-9, -4, -2]
    """
    x, y = _aligned("polysub", a1, a2)
    return x - y


def _aligned(name: str, a1: Any, a2: Any) -> list[Any]:
    x, y = promote_dtypes(name, a1, a2)
    n = max(x.shape[0], y.shape[0])
    return [concatenate([zeros(n - z.shape[0], z.dtype), z]) if z.shape[0] < n else z for z in (x, y)]


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Any:
    """The product of two polynomials.

    Parameters
    ----------
    a1, a2 : arrays of one axis
        Coefficients, the highest power first.
    trim_leading_zeros : bool
        Leave leading zeros of the factors out; not possible under ``jit``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.polymul(pnp.array([1.0, 2.0]), pnp.array([1.0, 3.0])).tolist()
    [1.0, 5.0, 6.0]
    """
    x, y = promote_dtypes_inexact("polymul", a1, a2)
    if trim_leading_zeros and (x.size > 1 or y.size > 1):
        x, y = trim_zeros(x, "f"), trim_zeros(y, "f")
    x = x if x.size else zeros(1, x.dtype)
    y = y if y.size else zeros(1, y.dtype)
    return convolve(x, y, "full")


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Any, Any]:
    """The quotient of two polynomials, and the remainder.

    Parameters
    ----------
    u, v : arrays of one axis
        Coefficients, the highest power first.
    trim_leading_zeros : bool
        Leave leading zeros of the remainder out; not possible under ``jit``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> [x.tolist() for x in pnp.polydiv(pnp.array([1.0, 5.0, 7.0]), pnp.array([1.0, 2.0]))]
    [[1.0, 3.0], [0.0, 0.0, 1.0]]
    """
    x, y = promote_dtypes_inexact("polydiv", u, v)
    m, n = x.shape[0] - 1, y.shape[0] - 1
    scale = 1.0 / y[0]
    quotient = zeros(max(m - n + 1, 1), x.dtype)
    for k in range(m - n + 1):
        d = scale * x[k]
        quotient = quotient.at[k].set(d)
        x = x.at[k : k + n + 1].add(-d * y)
    if trim_leading_zeros:
        x = trim_zeros(x, "f")
    return quotient, x


def polyder(p: Any, m: int = 1) -> Any:
    """The derivative of a polynomial.

    Parameters
    ----------
    p : array of one axis
        Coefficients, the highest power first.
    m : int
        How many times to differentiate.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.polyder(pnp.array([1.0, 1.0, 1.0])).tolist()
    [2.0, 1.0]
    """
    m = operator.index(m)
    if m < 0:
        raise ArgumentError(wrong=f"polyder was asked for derivative number {m}", fix="Give m >= 0")
    [x] = promote_dtypes_inexact("polyder", p)
    if not m:
        return x
    n = x.shape[0]
    factors = [float(np.prod(np.arange(k, k - m, -1.0))) for k in range(n - 1, m - 1, -1)]
    return x[: max(n - m, 0)] * asarray(np.array(factors)).astype(x.dtype)


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The integral of a polynomial.

    Parameters
    ----------
    p : array of one axis
        Coefficients, the highest power first.
    m : int
        How many times to integrate.
    k : number or sequence of m numbers
        The constants of integration; 0 by default.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.polyint(pnp.array([2.0, 1.0])).tolist()
    [1.0, 1.0, 0.0]
    """
    m = operator.index(m)
    if m < 0:
        raise ArgumentError(wrong=f"polyint was asked for integral number {m}", fix="Give m >= 0")
    k = zeros(m, int) if k is None else asarray(k).ravel()
    x, k = promote_dtypes_inexact("polyint", p, k)
    if not m:
        return x
    if k.shape[0] == 1 and m > 1:
        k = concatenate([k] * m)
    if k.shape[0] != m:
        raise ArgumentError(wrong=f"polyint was given {k.shape[0]} constants for m={m}", fix="Give one, or m of them")
    n = x.shape[0]
    whole = concatenate([x, k])
    # The coefficient of power j was integrated as often as it stands before the end, at most m times.
    factors = []
    for place in range(n + m):
        top = n + m - 1 - place
        times = min(m, m - max(place - n + 1, 0)) if place >= n else m
        factors.append(float(np.prod(np.arange(top, top - times, -1.0))) if times else 1.0)
    return whole / asarray(np.array(factors)).astype(x.dtype)


def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with given roots and leading coefficient 1.

    Parameters
    ----------
    seq_of_zeros : array of one axis
        The roots.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.poly(pnp.array([1.0, 2.0])).tolist()
    [1.0, -3.0, 2.0]
    """
    [roots] = promote_dtypes_inexact("poly", seq_of_zeros)
    roots = roots.reshape((1,)) if not roots.ndim else roots
    if roots.ndim != 1:
        raise ShapeError(
            wrong=f"poly was given {roots.aval}",
            fix="Give roots along one axis; of a matrix, its eigenvalues",
        )
    if not roots.shape[0]:
        return ones((), roots.dtype)
    out = ones(1, roots.dtype)
    for k in range(roots.shape[0]):
        out = concatenate([out, zeros(1, out.dtype)]) - concatenate([zeros(1, out.dtype), out * roots[k]])
    return out


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The Vandermonde matrix: in each row the powers of an element.

    Parameters
    ----------
    x : array of one axis
    N : int, optional
        How many powers, from 0 on; as many as elements by default.
    increasing : bool
        Power 0 comes first, not last.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.vander(pnp.array([2, 3]), 3).tolist()
    [[4, 2, 1], [9, 3, 1]]
    """
    x = as_array(x, "vander")
    if x.ndim != 1:
        raise ShapeError(wrong=f"vander takes elements along one axis, got {x.aval}", fix="Flatten them")
    n = x.shape[0] if N is None else operator.index(N)
    if n < 0:
        raise ArgumentError(wrong=f"vander was asked for {n} powers", fix="Give N >= 0")
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    return power(x[:, None], asarray(powers.astype(np.int32))[None, :])
