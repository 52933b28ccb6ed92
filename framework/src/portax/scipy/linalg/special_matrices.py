"""Matrices of a given form: from a column and a row, from the coefficients of a polynomial, or from their size alone.

What depends on the size alone is computed exactly on the host and rounded once.

References
----------
Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 4.7; Choi, Tricks or treats with the Hilbert
matrix, American Mathematical Monthly 90, 1983; Fiedler, A note on companion matrices, Linear Algebra and its
Applications 372, 2003; Leslie, On the use of matrices in certain population mathematics, Biometrika 33, 1945.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError, ShapeError
from portax.numpy.creation import asarray
from portax.numpy.filling import zeros
from portax.numpy.joining import concatenate
from portax.numpy.promotion import as_array, common_shape, promote_dtypes, promote_dtypes_inexact, spread
from portax.numpy.shaping import atleast_1d, expand_dims
from portax.numpy.turning import flip


def _vector(name: str, x: Any) -> Array:
    return atleast_1d(as_array(x, name))


def _size(name: str, n: Any, least: int = 0) -> int:
    n = operator.index(n)
    if n < least:
        raise ArgumentError(wrong=f"{name} was given the size {n}", fix=f"Give {least} or more")
    return n


def _floating(values: Any) -> Array:
    """Known numbers in the default floating dtype."""
    return asarray(np.asarray(values, np.float64).astype(dtypes.canonicalize_dtype(np.float64)))


def _at(x: Array, places: np.ndarray) -> Array:
    """``out[..., i, j] = x[..., places[i, j]]``."""
    return x[..., places]  # pyright: ignore[reportIndexIssue]


def _differences(n: int, m: int) -> np.ndarray:
    return np.arange(n)[:, None] - np.arange(m)


# -- from a column and a row ------------------------------------------------------------------------------------------
def toeplitz(c: Any, r: Any = None) -> Array:
    """The matrix whose diagonals are constant.

    Parameters
    ----------
    c : Array of shape (..., n)
        The first column.
    r : Array of shape (..., m), optional
        The first row, of which the first element is not used; the conjugate of ``c`` by default.

    Returns
    -------
    Array of shape (..., n, m)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.toeplitz(pnp.array([1, 2, 3]), pnp.array([0, 4, 5])).tolist()
    [[1, 4, 5], [2, 1, 4], [3, 2, 1]]
    """
    column = _vector("toeplitz", c)
    row = column.conj() if r is None else _vector("toeplitz", r)
    column, row = promote_dtypes("toeplitz", column, row)
    lead = common_shape("toeplitz", [column.shape[:-1], row.shape[:-1]])
    column, row = spread(column, (*lead, column.shape[-1])), spread(row, (*lead, row.shape[-1]))
    n, m = column.shape[-1], row.shape[-1]
    if not n or not m:
        return zeros((*lead, n, m), column.dtype)
    values = concatenate([flip(row[..., 1:], -1), column], axis=-1)
    return _at(values, _differences(n, m) + m - 1)


def hankel(c: Any, r: Any = None) -> Array:
    """The matrix whose diagonals from below left to above right are constant.

    Parameters
    ----------
    c : Array of shape (..., n)
        The first column.
    r : Array of shape (..., m), optional
        The last row, of which the first element is not used; zeros, as many as ``c`` has, by default.

    Returns
    -------
    Array of shape (..., n, m)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.hankel(pnp.array([1, 2, 3])).tolist()
    [[1, 2, 3], [2, 3, 0], [3, 0, 0]]
    """
    column = _vector("hankel", c)
    row = zeros(column.shape, column.dtype) if r is None else _vector("hankel", r)
    column, row = promote_dtypes("hankel", column, row)
    lead = common_shape("hankel", [column.shape[:-1], row.shape[:-1]])
    column, row = spread(column, (*lead, column.shape[-1])), spread(row, (*lead, row.shape[-1]))
    n, m = column.shape[-1], row.shape[-1]
    if not n or not m:
        return zeros((*lead, n, m), column.dtype)
    values = concatenate([column, row[..., 1:]], axis=-1)
    return _at(values, np.arange(n)[:, None] + np.arange(m))


def circulant(c: Any) -> Array:
    """The matrix whose columns are its first column, turned on by a place each.

    Parameters
    ----------
    c : Array of shape (..., n)

    Returns
    -------
    Array of shape (..., n, n)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.circulant(pnp.array([1, 2, 3])).tolist()
    [[1, 3, 2], [2, 1, 3], [3, 2, 1]]
    """
    column = _vector("circulant", c)
    n = column.shape[-1]
    return _at(column, _differences(n, n) % n) if n else zeros((*column.shape[:-1], 0, 0), column.dtype)


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Array:
    """The matrix by which a vector is convolved with ``a``.

    Parameters
    ----------
    a : Array of shape (..., m)
    n : int
        How long the vector is.
    mode : {"full", "same", "valid"}
        Which rows: all ``m + n - 1``, the middle ``max(m, n)``, or those where both overlap wholly.

    Returns
    -------
    Array of shape (..., k, n)

    Raises
    ------
    ArgumentError
        There is no such mode, ``n`` is not positive, or ``a`` is empty.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.convolution_matrix(pnp.array([1, 2]), 2).tolist()
    [[1, 0], [2, 1], [0, 2]]
    """
    n = _size("convolution_matrix", n, 1)
    x = _vector("convolution_matrix", a)
    m = x.shape[-1]
    if not m:
        raise ArgumentError(wrong="convolution_matrix was given an empty array", fix="Give at least one element")
    cut = {"full": 0, "same": min(m, n) - 1, "valid": 2 * (min(m, n) - 1)}.get(mode)
    if cut is None:
        raise ArgumentError(
            wrong=f"convolution_matrix knows no mode {mode!r}", fix='Give "full", "same" or "valid"'
        )
    rows = m + n - 1
    places = _differences(rows, n)
    inside = (places >= 0) & (places < m)
    padded = concatenate([x, zeros((*x.shape[:-1], 1), x.dtype)], axis=-1)
    return _at(padded, np.where(inside, places, m)[cut // 2 : rows - (cut - cut // 2)])


def block_diag(*arrs: Any) -> Array:
    """The matrix with other matrices along its diagonal, and zeros beside them.

    Parameters
    ----------
    *arrs : Arrays of at most two axes
        A vector is a matrix of one row.

    Returns
    -------
    Array of two axes

    Raises
    ------
    ShapeError
        An array has more than two axes.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.block_diag(pnp.array([[1, 2]]), 3).tolist()
    [[1, 2, 0], [0, 0, 3]]
    """
    given = promote_dtypes("block_diag", *(arrs or (zeros((1, 0)),)))
    for i, x in enumerate(given):
        if x.ndim > 2:
            raise ShapeError(
                wrong=f"block_diag takes arrays of at most two axes, and argument {i} is {x.aval}",
                fix="Give matrices one by one",
            )
    blocks = [x if x.ndim == 2 else x.reshape(1, -1) for x in given]
    columns, done, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        m, n = x.shape
        rows.append(concatenate([zeros((m, done), x.dtype), x, zeros((m, columns - done - n), x.dtype)], axis=1))
        done += n
    return concatenate(rows, axis=0)


# -- from coefficients ------------------------------------------------------------------------------------------------
def _placed(parts: list[tuple[Any, np.ndarray, np.ndarray]], lead: tuple[int, ...], n: int, dtype: Any) -> Array:
    """A matrix of zeros with numbers put in: ``(numbers, rows, columns)``."""
    out: Any = zeros((*lead, n, n), dtype)
    for numbers, rows, columns in parts:
        if len(rows):
            out = out.at[..., rows, columns].set(numbers)
    return out


def companion(a: Any) -> Array:
    """The matrix whose eigenvalues are the roots of a polynomial.

    Parameters
    ----------
    a : Array of shape (..., n), n at least 2
        Its coefficients, that of the highest power first.

    Returns
    -------
    Array of shape (..., n - 1, n - 1); infinite or NaN where the first coefficient is 0

    Raises
    ------
    ShapeError
        There are fewer than two coefficients.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.companion(pnp.array([1.0, -3.0, 2.0])).tolist()
    [[3.0, -2.0], [1.0, 0.0]]
    """
    [x] = promote_dtypes_inexact("companion", a)
    if x.ndim < 1 or x.shape[-1] < 2:
        raise ShapeError(wrong=f"companion needs two coefficients or more, got {x.aval}", fix="Give a longer array")
    n = x.shape[-1] - 1
    first = -x[..., 1:] / x[..., :1]
    under = np.arange(n - 1)
    return _placed([(first, np.zeros(n, int), np.arange(n)), (1, under + 1, under)], x.shape[:-1], n, x.dtype)


def fiedler_companion(a: Any) -> Array:
    """A matrix of five diagonals whose eigenvalues are the roots of a polynomial.

    Parameters
    ----------
    a : Array of shape (..., n), n at least 1
        Its coefficients, that of the highest power first.

    Returns
    -------
    Array of shape (..., n - 1, n - 1); infinite or NaN where the first coefficient is 0

    Raises
    ------
    ShapeError
        There are no coefficients.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.fiedler_companion(pnp.array([1.0, -3.0, 2.0])).tolist()
    [[3.0, -2.0], [1.0, 0.0]]
    """
    [x] = promote_dtypes_inexact("fiedler_companion", a)
    if x.ndim < 1 or not x.shape[-1]:
        raise ShapeError(wrong=f"fiedler_companion needs coefficients, got {x.aval}", fix="Give a longer array")
    n = x.shape[-1] - 1
    minus = -x / x[..., :1]
    if n <= 1:
        return minus[..., 1:, None] if n else zeros((*x.shape[:-1], 0, 0), x.dtype)
    even, odd = np.arange(0, n - 1, 2), np.arange(1, n - 1, 2)
    parts = [
        (minus[..., 1:2], np.zeros(1, int), np.zeros(1, int)),
        (1, np.ones(1, int), np.zeros(1, int)),
        (minus[..., even + 2], even, even + 1),
        (minus[..., odd + 2], odd + 1, odd),
        (1, even[even < n - 2], even[even < n - 2] + 2),
        (1, odd[odd < n - 2] + 2, odd[odd < n - 2]),
    ]
    return _placed(parts, x.shape[:-1], n, x.dtype)


def fiedler(a: Any) -> Array:
    """The distances of every two elements of a vector.

    Parameters
    ----------
    a : Array of shape (..., n)

    Returns
    -------
    Array of shape (..., n, n)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.fiedler(pnp.array([1, 4])).tolist()
    [[0, 3], [3, 0]]
    """
    x = _vector("fiedler", a)
    return abs(expand_dims(x, -1) - expand_dims(x, -2))


def leslie(f: Any, s: Any) -> Array:
    """The matrix by which a population moves on: births in its first row, survivors below its diagonal.

    Parameters
    ----------
    f : Array of shape (..., n), n at least 2
    s : Array of shape (..., n - 1)

    Returns
    -------
    Array of shape (..., n, n)

    Raises
    ------
    ShapeError
        The lengths do not fit.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.leslie(pnp.array([0.5, 2.0]), pnp.array([0.25])).tolist()
    [[0.5, 2.0], [0.25, 0.0]]
    """
    births, survivors = promote_dtypes("leslie", f, s)
    births, survivors = atleast_1d(births), atleast_1d(survivors)
    n = births.shape[-1]
    if n < 2 or survivors.shape[-1] != n - 1:
        raise ShapeError(
            wrong=f"leslie needs one birth rate more than survival rates, and two at least, got {births.aval} and "
            f"{survivors.aval}",
            fix="Give f of length n and s of length n - 1",
        )
    lead = common_shape("leslie", [births.shape[:-1], survivors.shape[:-1]])
    under = np.arange(n - 1)
    parts = [(births, np.zeros(n, int), np.arange(n)), (survivors, under + 1, under)]
    return _placed(parts, lead, n, births.dtype)


# -- from their size --------------------------------------------------------------------------------------------------
def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Array:
    """The matrix of the discrete Fourier transform.

    Parameters
    ----------
    n : int
    scale : {"sqrtn", "n"}, optional
        Divide by the root of ``n``, which makes it unitary, or by ``n``.
    dtype : complex dtype, optional

    Returns
    -------
    complex Array of shape (n, n)

    Raises
    ------
    ArgumentError
        There is no such scale.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.dft(2).real.tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    """
    n = _size("dft", n)
    if scale not in (None, "sqrtn", "n"):
        raise ArgumentError(wrong=f"dft knows no scale {scale!r}", fix='Give "sqrtn" or "n", or leave it out')
    turns = np.outer(np.arange(n), np.arange(n)) % max(n, 1)
    values = np.exp(-2j * np.pi * turns / max(n, 1))
    values = values / {None: 1.0, "sqrtn": math.sqrt(n) or 1.0, "n": n or 1.0}[scale]
    wanted = np.complex128 if dtype is None else dtypes.user_dtype(dtype, "dft")
    return asarray(values.astype(dtypes.canonicalize_dtype(np.dtype(wanted))))


def hadamard(n: int, dtype: Any = int) -> Array:
    """Sylvester's matrix of ones and minus ones whose rows are orthogonal.

    Parameters
    ----------
    n : int, a power of 2
    dtype : dtype

    Returns
    -------
    Array of shape (n, n)

    Raises
    ------
    ArgumentError
        ``n`` is no power of 2.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.hadamard(2).tolist()
    [[1, 1], [1, -1]]
    """
    n = operator.index(n)
    if n < 1 or n & (n - 1):
        raise ArgumentError(wrong=f"there is no such Hadamard matrix of size {n}", fix="Give a power of 2")
    bits = np.bitwise_and.outer(np.arange(n), np.arange(n))
    odd = np.zeros((n, n), int)
    while bits.any():
        odd ^= bits & 1
        bits >>= 1
    return asarray((1 - 2 * odd).astype(dtypes.canonicalize_dtype(dtypes.user_dtype(dtype, "hadamard"))))


def helmert(n: int, full: bool = False) -> Array:
    """Helmert's matrix: orthonormal rows that sum to 0, and before them one of equal numbers if ``full``.

    Parameters
    ----------
    n : int, at least 1
    full : bool

    Returns
    -------
    Array of shape (n, n), or (n - 1, n) unless ``full``

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.helmert(2, full=True).round(2).shape
    (2, 2)
    """
    n = _size("helmert", n, 1)
    i = np.arange(1, n)
    rows = np.tril(np.ones((n - 1, n))) - np.eye(n - 1, n, 1) * i[:, None]
    rows /= np.sqrt(i * (i + 1.0))[:, None]
    if full:
        rows = np.concatenate([np.full((1, n), 1 / math.sqrt(n)), rows])
    return _floating(rows)


def hilbert(n: int) -> Array:
    """Hilbert's matrix: ``out[i, j] = 1 / (i + j + 1)``.

    Parameters
    ----------
    n : int

    Returns
    -------
    Array of shape (n, n)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.hilbert(2)[0].tolist()
    [1.0, 0.5]
    """
    n = _size("hilbert", n)
    return _floating(1.0 / (np.arange(n)[:, None] + np.arange(n) + 1))


def _table(n: int, entry: Any) -> Array:
    """Whole numbers, exact until they are rounded once."""
    return _floating([[float(entry(i, j)) for j in range(n)] for i in range(n)] or np.zeros((0, 0)))


def invhilbert(n: int) -> Array:
    """The inverse of Hilbert's matrix, whose elements are whole numbers.

    Parameters
    ----------
    n : int

    Returns
    -------
    Array of shape (n, n)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.invhilbert(2).tolist()
    [[4.0, -6.0], [-6.0, 12.0]]
    """
    n = _size("invhilbert", n)
    c = math.comb

    def entry(i: int, j: int) -> int:
        size = (i + j + 1) * c(n + i, n - j - 1) * c(n + j, n - i - 1) * c(i + j, i) ** 2
        return -size if (i + j) % 2 else size

    return _table(n, entry)


def _kind(name: str, kind: str | None) -> str:
    if kind not in (None, "symmetric", "lower", "upper"):
        raise ArgumentError(wrong=f"{name} knows no kind {kind!r}", fix='Give "symmetric", "lower" or "upper"')
    return kind or "symmetric"


def pascal(n: int, kind: str | None = None) -> Array:
    """Pascal's matrix, of binomial coefficients.

    Parameters
    ----------
    n : int
    kind : {"symmetric", "lower", "upper"}, optional
        The product of the lower triangle and the upper one, or one of them.

    Returns
    -------
    Array of shape (n, n)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.pascal(3).tolist()
    [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [1.0, 3.0, 6.0]]
    """
    n = _size("pascal", n)
    return _table(n, {
        "symmetric": lambda i, j: math.comb(i + j, i),
        "lower": lambda i, j: math.comb(i, j),
        "upper": lambda i, j: math.comb(j, i),
    }[_kind("pascal", kind)])  # fmt: skip


def invpascal(n: int, kind: str | None = None) -> Array:
    """The inverse of Pascal's matrix, whose elements are whole numbers.

    Parameters
    ----------
    n : int
    kind : {"symmetric", "lower", "upper"}, optional

    Returns
    -------
    Array of shape (n, n)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.invpascal(2).tolist()
    [[2.0, -1.0], [-1.0, 1.0]]
    """
    n = _size("invpascal", n)
    c = math.comb

    def signed(i: int, j: int, size: int) -> int:
        return -size if (i + j) % 2 else size

    return _table(n, {
        "symmetric": lambda i, j: signed(i, j, sum(c(k, i) * c(k, j) for k in range(n))),
        "lower": lambda i, j: signed(i, j, c(i, j)),
        "upper": lambda i, j: signed(i, j, c(j, i)),
    }[_kind("invpascal", kind)])  # fmt: skip
