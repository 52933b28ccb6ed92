"""Norms of vectors and of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError
from portax.numpy.axes import normalize_axis
from portax.numpy.linalg.factors import inexact, svd
from portax.numpy.reductions import amax, amin, sum
from portax.numpy.shaping import expand_dims, moveaxis, ravel, reshape
from portax.numpy.ufuncs import sqrt


def _squares(x: Array) -> Array:
    """The square of each magnitude, real."""
    return (x * x.conj()).real if dtypes.is_complex(x.dtype) else x * x


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    """The norm of a vector, or of a matrix.

    Parameters
    ----------
    x : Array
    ord : int, float, "fro" or "nuc", optional
        Of vectors, the power of the mean of magnitudes: 2 by default, ``inf`` for the greatest, ``-inf`` for the least,
        0 for how many are not 0. Of matrices, "fro" by default (the root of the sum of squares); 1 and ``inf``, the
        greatest sum of a column and of a row, -1 and ``-inf`` the least; 2 and -2, the greatest and the least
        singular value; "nuc" their sum.
    axis : int or pair of int, optional
        Along which there are vectors, or matrices. By default ``x`` is one vector or matrix, and of any rank where
        ``ord`` is not given either.
    keepdims : bool

    Returns
    -------
    real Array, without the axes of the vectors or matrices

    Raises
    ------
    ArgumentError
        There is no such norm, or it is asked for along more than two axes.

    Examples
    --------
    >>> float(pnp.linalg.norm(pnp.array([3.0, 4.0])))
    5.0
    >>> pnp.linalg.norm(pnp.array([[1.0, -2.0], [3.0, 4.0]]), ord=1, axis=1).tolist()
    [3.0, 7.0]
    """
    x = inexact("norm", x)
    if axis is None:
        if ord is None:
            return sqrt(sum(_squares(x), keepdims=keepdims))
        axes = tuple(range(x.ndim))
    else:
        axes = tuple(normalize_axis(a, x.ndim, "norm") for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(axes) == 1:
        return _of_vectors(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _of_matrices(x, ord, axes, keepdims)
    raise ArgumentError(
        wrong=f"norm works along one axis or two, not along {axes} of {x.aval}",
        fix="Give axis, or leave out ord for the root of the sum of all squares",
    )


def _of_vectors(x: Array, ord: Any, axis: int, keepdims: bool) -> Array:
    if ord is None or _equals(ord, 2):
        return sqrt(sum(_squares(x), axis=axis, keepdims=keepdims))
    if isinstance(ord, str):
        raise ArgumentError(
            wrong=f"there is no norm {ord!r} of vectors", fix="Give a number, or two axes for the norm of matrices"
        )
    size = abs(x)
    if _equals(ord, np.inf):
        return amax(size, axis=axis, keepdims=keepdims, initial=0)
    if _equals(ord, -np.inf):
        return amin(size, axis=axis, keepdims=keepdims)
    if _equals(ord, 0):
        return sum(x != 0, dtype=size.dtype, axis=axis, keepdims=keepdims)
    if _equals(ord, 1):
        return sum(size, axis=axis, keepdims=keepdims)
    power = inexact("norm", ord).astype(size.dtype)
    return sum(size**power, axis=axis, keepdims=keepdims) ** (1 / power)


def _equals(ord: Any, number: float) -> bool:
    """Whether a number that is known is this one."""
    return isinstance(ord, int | float | np.number | np.ndarray) and bool(ord == number)


def _of_matrices(x: Array, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Array:
    row, column = axes
    if row == column:
        raise ArgumentError(wrong=f"norm was given axis {row} twice", fix="Name two different axes")
    if ord is None or (isinstance(ord, str) and ord in ("f", "fro")):
        return sqrt(sum(_squares(x), axis=axes, keepdims=keepdims))
    by_sums = {
        1: (row, column, amax), -1: (row, column, amin), np.inf: (column, row, amax), -np.inf: (column, row, amin),
    }  # fmt: skip
    number = ord if isinstance(ord, int | float | np.number) else None
    if number in by_sums:
        along, across, extreme = by_sums[number]
        total = sum(abs(x), axis=along, keepdims=True)
        found = extreme(total, axis=across, keepdims=True, initial=0 if extreme is amax else None)
    elif number in (2, -2) or ord == "nuc":
        s = svd(moveaxis(x, axes, (-2, -1)), compute_uv=False)
        found = sum(s, axis=-1) if ord == "nuc" else amax(s, axis=-1, initial=0) if ord == 2 else amin(s, axis=-1)
        return expand_dims(found, axes) if keepdims else found
    else:
        raise ArgumentError(
            wrong=f"there is no norm {ord!r} of matrices", fix='Give 1, -1, 2, -2, inf, -inf, "fro" or "nuc"'
        )
    return found if keepdims else found.squeeze(axes)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The norm of each matrix of a stack.

    Parameters
    ----------
    x : Array of shape (..., m, n)
    keepdims : bool
    ord : 1, -1, 2, -2, inf, -inf, "fro" or "nuc"
        See `norm`.

    Returns
    -------
    real Array of shape (...)

    Examples
    --------
    >>> float(pnp.linalg.matrix_norm(pnp.array([[3.0, 0.0], [0.0, 4.0]])))
    5.0
    """
    return norm(x, ord=ord, keepdims=keepdims, axis=(-2, -1))


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """The norm of vectors.

    Parameters
    ----------
    x : Array
    axis : int or tuple of int, optional
        Along which there are vectors: all axes together by default.
    keepdims : bool
    ord : number
        See `norm`.

    Returns
    -------
    real Array

    Examples
    --------
    >>> float(pnp.linalg.vector_norm(pnp.array([[3.0, 0.0], [0.0, 4.0]])))
    5.0
    """
    x = inexact("vector_norm", x)
    if axis is None or isinstance(axis, tuple | list):
        given = range(x.ndim) if axis is None else axis
        axes = tuple(normalize_axis(a, x.ndim, "vector_norm") for a in given)
        left = tuple(a for a in range(x.ndim) if a not in axes)
        moved = moveaxis(x, left, tuple(range(len(left)))) if left else x
        flat = reshape(moved, (*(x.shape[a] for a in left), int(np.prod([x.shape[a] for a in axes], dtype=int))))
        found = norm(flat if left else ravel(x), ord=ord, axis=-1)
        return reshape(found, tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if keepdims else found
    return norm(x, ord=ord, axis=axis, keepdims=keepdims)
