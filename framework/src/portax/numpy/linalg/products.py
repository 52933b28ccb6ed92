"""Products of arrays, by the names they have in the array API's linear algebra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.array import Array
from portax.core.lazy import lazy
from portax.errors import ShapeError
from portax.numpy import diagonals, shaping
from portax.numpy import products as all_products
from portax.numpy.axes import normalize_axis
from portax.numpy.einsums import einsum
from portax.numpy.promotion import as_array, promote_dtypes_numeric

laying = lazy("portax.higher_order.laying")


def matmul(x1: Any, x2: Any, /, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The matrix product; leading axes broadcast.

    Parameters
    ----------
    x1, x2 : Arrays of at least one axis
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional

    Examples
    --------
    >>> pnp.linalg.matmul(pnp.eye(2), pnp.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    return all_products.matmul(x1, x2, precision=precision, preferred_element_type=preferred_element_type)


def tensordot(
    x1: Any, x2: Any, /, *, axes: Any = 2, precision: Any = None, preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """Sums of products over the axes given.

    Parameters
    ----------
    x1, x2 : Arrays
    axes : int, or a pair of sequences of int
        How many of the last axes of ``x1`` and the first of ``x2``, or which ones of each.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional

    Examples
    --------
    >>> float(pnp.linalg.tensordot(pnp.ones((2, 3)), pnp.ones((2, 3))))
    6.0
    """
    if out_sharding is not None:
        return laying.laid(
            tensordot(x1, x2, axes=axes, precision=precision, preferred_element_type=preferred_element_type),
            out_sharding,
        )
    return all_products.tensordot(x1, x2, axes=axes, precision=precision, preferred_element_type=preferred_element_type)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The dot products of vectors, those of ``x1`` conjugated.

    Parameters
    ----------
    x1, x2 : Arrays whose other axes broadcast
    axis : int
        Of the vectors.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional

    Returns
    -------
    Array without that axis

    Raises
    ------
    ShapeError
        The vectors are not equally long.

    Examples
    --------
    >>> pnp.linalg.vecdot(pnp.array([[1, 2], [3, 4]]), pnp.array([1, 1])).tolist()
    [3, 7]
    """
    return all_products.vecdot(x1, x2, axis=axis, precision=precision, preferred_element_type=preferred_element_type)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of three elements.

    Parameters
    ----------
    x1, x2 : Arrays whose other axes broadcast
    axis : int
        Of the vectors.

    Returns
    -------
    Array

    Raises
    ------
    ShapeError
        The vectors have other than three elements.

    Examples
    --------
    >>> pnp.linalg.cross(pnp.array([1, 0, 0]), pnp.array([0, 1, 0])).tolist()
    [0, 0, 1]
    """
    x, y = promote_dtypes_numeric("cross", x1, x2)
    lengths = [z.shape[normalize_axis(axis, z.ndim, "cross")] for z in (x, y)]
    if lengths != [3, 3]:
        raise ShapeError(
            wrong=f"cross multiplies vectors of three elements, got {lengths[0]} and {lengths[1]} along axis {axis}",
            fix="Give arrays of length 3 along that axis",
        )
    return all_products.cross(x, y, axis=axis)


def outer(x1: Any, x2: Any, /) -> Array:
    """All products of an element of one vector and one of another.

    Parameters
    ----------
    x1, x2 : Arrays of one axis

    Returns
    -------
    Array of shape (n, m)

    Raises
    ------
    ShapeError
        One has other than one axis.

    Examples
    --------
    >>> pnp.linalg.outer(pnp.array([1, 2]), pnp.array([3, 4])).tolist()
    [[3, 4], [6, 8]]
    """
    x, y = as_array(x1, "outer"), as_array(x2, "outer")
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(wrong=f"outer multiplies vectors, got {x.aval} and {y.aval}", fix="Give arrays of one axis")
    return all_products.outer(x, y)


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Array:
    """The product of several matrices, in the order that costs least.

    Parameters
    ----------
    arrays : sequence of Arrays of two axes; the first and the last may be vectors
    precision : Precision, str or pair, optional

    Returns
    -------
    Array

    Raises
    ------
    ShapeError
        They cannot be multiplied one with the next.

    References
    ----------
    Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, third edition, 2009, section 15.2.

    Examples
    --------
    >>> pnp.linalg.multi_dot([pnp.ones((2, 3)), pnp.ones((3, 4)), pnp.ones(4)]).tolist()
    [12.0, 12.0]
    """
    xs = [as_array(x, "multi_dot") for x in arrays]
    if not xs:
        raise ShapeError(wrong="multi_dot was given no arrays", fix="Give at least one")
    ends = {0, len(xs) - 1}
    shapes = ", ".join(str(x.shape) for x in xs)
    if any(x.ndim != 2 and not (x.ndim == 1 and i in ends) for i, x in enumerate(xs)):
        raise ShapeError(
            wrong=f"multi_dot multiplies matrices, and vectors at both ends, got shapes {shapes}",
            fix="Give arrays of two axes",
        )
    if any(x.shape[-1] != y.shape[0] for x, y in zip(xs, xs[1:], strict=False)):
        raise ShapeError(
            wrong=f"multi_dot cannot multiply arrays of shapes {shapes}",
            fix="The last axis of each must be as long as the first of the next",
        )
    names = "".join(chr(ord("a") + i) if i < 26 else chr(0x100 + i) for i in range(len(xs) + 1))
    terms = [names[i : i + 2] for i in range(len(xs))]
    first, last = xs[0].ndim == 1, xs[-1].ndim == 1
    if first:
        terms[0] = names[1]
    if last:
        terms[-1] = terms[-1][0]
    output = ("" if first else names[0]) + ("" if last else names[-1])
    return einsum(f"{','.join(terms)}->{output}", *xs, optimize="optimal" if len(xs) < 6 else "auto",
                               precision=precision)  # fmt: skip


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of a diagonal of each matrix.

    Parameters
    ----------
    x : Array of shape (..., m, n)
    offset : int
    dtype : dtype, optional

    Returns
    -------
    Array of shape (...)

    Examples
    --------
    >>> float(pnp.linalg.trace(pnp.eye(3)))
    3.0
    """
    return diagonals.trace(x, offset=offset, axis1=-2, axis2=-1, dtype=dtype)


def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """A diagonal of each matrix.

    Parameters
    ----------
    x : Array of shape (..., m, n)
    offset : int

    Returns
    -------
    Array of shape (..., k)

    Examples
    --------
    >>> pnp.linalg.diagonal(pnp.array([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    return diagonals.diagonal(x, offset=offset, axis1=-2, axis2=-1)


def matrix_transpose(x: Any, /) -> Array:
    """Each matrix with its rows and columns exchanged.

    Parameters
    ----------
    x : Array of shape (..., m, n)

    Examples
    --------
    >>> pnp.linalg.matrix_transpose(pnp.array([[1, 2], [3, 4]])).tolist()
    [[1, 3], [2, 4]]
    """
    return shaping.matrix_transpose(x)
