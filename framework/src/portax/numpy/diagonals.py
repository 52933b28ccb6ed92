"""Diagonals and triangles of matrices: their elements, and where they are."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ShapeError
from portax.numpy.axes import normalize_axes
from portax.numpy.choosing import nonzero
from portax.numpy.index_updates import IndexUpdate
from portax.numpy.indexing import index
from portax.numpy.promotion import as_array
from portax.numpy.shaping import moveaxis, ravel, reshape, shape
from portax.primitives import broadcasting, slicing
from portax.primitives.arithmetic import add
from portax.primitives.broadcasting import reduce_sum
from portax.primitives.comparison import eq, select_n
from portax.primitives.conversion import convert
from portax.primitives.iota import iota
from portax.primitives.zeros import zero, zeros
from portax.runtime import eager

_INT32 = np.dtype(np.int32)


def _diagonal_length(rows: int, columns: int, offset: int) -> int:
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements ``a[..., i, i + offset]`` of two axes, along a new last axis.

    Parameters
    ----------
    a : Array with at least two axes
    offset : int, how far right of the main diagonal
    axis1, axis2 : int

    Examples
    --------
    >>> pnp.diagonal(pnp.array([[1, 2], [3, 4]]))
    Array([1, 4], dtype=int32)
    """
    a = as_array(a, "diagonal")
    if a.ndim < 2:
        raise ShapeError(
            wrong=f"diagonal needs at least two axes, not shape {a.shape}", fix="Use diag to make a matrix"
        )
    first, second = normalize_axes((axis1, axis2), a.ndim, "diagonal")
    a = moveaxis(a, (first, second), (-2, -1))
    offset = operator.index(offset)
    height, width = a.shape[-2:]
    rows = np.arange(_diagonal_length(height, width, offset), dtype=_INT32)
    return index(a, (Ellipsis, rows + max(-offset, 0), rows + max(offset, 0)))


def diag(v: Any, k: int = 0) -> Array:
    """The diagonal of a matrix, or the matrix with a given diagonal.

    Parameters
    ----------
    v : Array with one axis (a diagonal) or two (a matrix)
    k : int, how far right of the main diagonal

    Examples
    --------
    >>> pnp.diag(pnp.array([1, 2]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    v = as_array(v, "diag")
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ShapeError(wrong=f"diag takes one or two axes, not shape {v.shape}", fix="Use diagonal, or diagflat")
    n, k = v.shape[0], operator.index(k)
    m = n + abs(k)
    # Row by row, the elements lie m + 1 apart: pad between them, and cut into rows.
    low = k if k >= 0 else -k * m
    between = n + max(n - 1, 0) * m
    if m == 0 or low + between > m * m:
        return reshape(v, (m, m)) if m == n else zeros(v.aval.update(shape=(m, m), weak_type=False))
    flat = slicing.pad(v, zero(v.dtype), padding_config=((low, m * m - low - between, m),))
    return broadcasting.reshape(flat, new_sizes=(m, m), dimensions=None, sharding=None)


def diagflat(v: Any, k: int = 0) -> Array:
    """The matrix whose diagonal holds all elements of an array.

    Examples
    --------
    >>> pnp.diagflat(pnp.array([[1, 2]]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    return diag(ravel(as_array(v, "diagflat")), k)


def trace(
    a: Any, offset: Any = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None
) -> Array:
    """Sum of a diagonal.

    Parameters
    ----------
    a : Array with at least two axes
    offset : int, how far right of the main diagonal; may be traced
    axis1, axis2 : int
    dtype : dtype, optional
        Of the sum: by default that of ``a``, integers of fewer than 32 bits and bools being counted in 32.

    Examples
    --------
    >>> pnp.trace(pnp.array([[1, 2], [3, 4]]))
    Array(5, dtype=int32)
    """
    if out is not None:
        raise ArgumentError(wrong="trace was given out=, but arrays are immutable", fix="Use the result")
    a = as_array(a, "trace")
    first, second = normalize_axes((axis1, axis2), a.ndim, "trace")
    wanted = _sum_dtype(a.dtype) if dtype is None else dtypes.user_dtype(dtype, "trace")
    if isinstance(offset, Tracer):
        a = moveaxis(a, (first, second), (-2, -1))
        row, column = (iota(dtype=_INT32, shape=a.shape, dimension=d, sharding=None) for d in (a.ndim - 2, a.ndim - 1))
        on = eq(add(row, convert(offset, _INT32)), column)
        return reduce_sum(
            convert(select_n(on, zeros(a.aval.strip_weak_type()), a), wanted), axes=(a.ndim - 2, a.ndim - 1)
        )
    values = diagonal(a, offset, first, second)
    return reduce_sum(convert(values, wanted), axes=(values.ndim - 1,), out_sharding=None)


def _sum_dtype(dtype: Any) -> Any:
    """The dtype that elements of ``dtype`` are added in."""
    if dtypes.is_bool(dtype):
        return dtypes.dtype_of_python_scalar(int)
    if dtypes.is_integer(dtype) and dtype.itemsize < dtypes.dtype_of_python_scalar(int).itemsize:
        name = dtypes.dtype_of_python_scalar(int).name
        return np.dtype(name if dtypes.is_signed(dtype) else "u" + name)
    return dtype


# -- where they are ---------------------------------------------------------------------------------------------------
def _places(*arrays: np.ndarray) -> tuple[Array, ...]:
    dtype = dtypes.dtype_of_python_scalar(int)
    return tuple([eager.asarray(np.asarray(a).astype(dtype, copy=False)) for a in arrays])


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The index of the main diagonal of an array with ``ndim`` axes of length ``n``.

    Examples
    --------
    >>> rows, columns = pnp.diag_indices(2)
    >>> pnp.zeros((2, 2)).at[rows, columns].set(1.0)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    n, ndim = _count(n, "diag_indices", "n"), _count(ndim, "diag_indices", "ndim")
    return _places(np.arange(n)) * ndim


def _count(n: Any, name: str, what: str) -> int:
    n = operator.index(n)
    if n < 0:
        raise ArgumentError(wrong=f"{name} was given {what}={n}", fix="Give 0 or more")
    return n


def diag_indices_from(arr: Any) -> tuple[Array, ...]:
    """The index of the main diagonal of an array all of whose axes have one length.

    Examples
    --------
    >>> pnp.diag_indices_from(pnp.zeros((2, 2)))[0]
    Array([0, 1], dtype=int32)
    """
    lengths = shape(arr)
    if len(lengths) < 2 or len(set(lengths)) > 1:
        raise ShapeError(
            wrong=f"diag_indices_from needs two or more axes of one length, not shape {lengths}",
            fix="Use diag_indices(min(x.shape))",
        )
    return diag_indices(lengths[0], len(lengths))


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The index of the elements on and below a diagonal of an ``n`` by ``m`` matrix.

    Parameters
    ----------
    n : int, number of rows
    k : int, the diagonal, counted to the right from the main one
    m : int, number of columns, by default ``n``

    Examples
    --------
    >>> pnp.tril_indices(2)
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    rows, columns = np.tril_indices(operator.index(n), operator.index(k), None if m is None else operator.index(m))
    return _places(rows, columns)  # pyright: ignore[reportReturnType]


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """`tril_indices` for a matrix.

    Examples
    --------
    >>> pnp.tril_indices_from(pnp.zeros((2, 2)))[0]
    Array([0, 1, 1], dtype=int32)
    """
    return tril_indices(*_matrix(arr, "tril_indices_from", k))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The index of the elements on and above a diagonal of an ``n`` by ``m`` matrix.

    Parameters
    ----------
    n : int, number of rows
    k : int, the diagonal, counted to the right from the main one
    m : int, number of columns, by default ``n``

    Examples
    --------
    >>> pnp.triu_indices(2)
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    rows, columns = np.triu_indices(operator.index(n), operator.index(k), None if m is None else operator.index(m))
    return _places(rows, columns)  # pyright: ignore[reportReturnType]


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """`triu_indices` for a matrix.

    Examples
    --------
    >>> pnp.triu_indices_from(pnp.zeros((2, 2)))[0]
    Array([0, 0, 1], dtype=int32)
    """
    return triu_indices(*_matrix(arr, "triu_indices_from", k))


def _matrix(arr: Any, name: str, k: int) -> tuple[int, int, int]:
    lengths = shape(arr)
    if len(lengths) != 2:
        raise ShapeError(wrong=f"{name} needs a matrix, not shape {lengths}", fix="Give an array with two axes")
    return lengths[0], k, lengths[1]


def mask_indices(n: int, mask_func: Any, k: Any = 0, *, size: int | None = None) -> tuple[Array, Array]:
    """The index of the elements that a masking function such as ``triu`` keeps of an ``n`` by ``n`` matrix.

    Parameters
    ----------
    n : int
    mask_func : callable, (matrix, k) -> matrix that is zero where nothing is kept
    k : passed to ``mask_func``
    size : int, optional
        Number of places in the result, needed where the mask is traced.

    Examples
    --------
    >>> pnp.mask_indices(2, pnp.triu)[0]
    Array([0, 0, 1], dtype=int32)
    """
    ones = eager.asarray(np.ones((n, n), dtypes.dtype_of_python_scalar(int)))
    return nonzero(mask_func(ones, k), size=size)  # pyright: ignore[reportReturnType]


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Array:
    """An array with the elements ``a[i, i, ...]`` replaced.

    Parameters
    ----------
    a : Array with at least two axes, all of one length where there are more than two
    val : Array or number, repeated along the diagonal
    wrap : bool
        Whether the diagonal begins again below a matrix higher than wide.
    inplace : bool
        Must be False: arrays are immutable.

    Examples
    --------
    >>> pnp.fill_diagonal(pnp.zeros((2, 2)), 1.0, inplace=False)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    immutable("fill_diagonal", inplace)
    a = as_array(a, "fill_diagonal")
    if a.ndim < 2:
        raise ShapeError(wrong=f"fill_diagonal needs at least two axes, not shape {a.shape}", fix="Add an axis")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ShapeError(
            wrong=f"fill_diagonal needs axes of one length where there are more than two, not shape {a.shape}",
            fix="Index the elements yourself: x.at[i, i, i].set(value)",
        )
    value = ravel(as_array(val, "fill_diagonal"))
    if a.ndim == 2:
        columns = a.shape[1]
        step = columns + 1
        end = None if wrap else columns * columns
        places = np.arange(a.size)[:end:step]
    else:
        n = a.shape[0]
        places = np.arange(n) * sum(n**d for d in range(a.ndim))
    if not places.size or not value.size:
        return a
    repeated = index(value, np.arange(places.size) % value.size) if value.size > 1 else reshape(value, ())
    return reshape(IndexUpdate(ravel(a), places).set(repeated, unique_indices=True), a.shape)


def immutable(name: str, inplace: bool) -> None:
    """Refuse an update in place."""
    if inplace:
        raise ArgumentError(
            wrong=f"{name} was asked to change an array in place, but arrays are immutable",
            fix=f"Write x = pnp.{name}(x, ..., inplace=False)",
        )
