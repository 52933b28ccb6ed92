"""Products of arrays: dot, matmul, tensordot, einsum and their relatives, each one ``dot_general`` where it can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.lazy import lazy
from portax.errors import ArgumentError, ShapeError
from portax.lax.products import dot_general
from portax.numpy.axes import normalize_axis
from portax.numpy.joining import stack
from portax.numpy.promotion import as_array, common_shape, promote_dtypes, spread
from portax.numpy.shaping import moveaxis

laying = lazy("portax.higher_order.laying")


def _product(x: Any, y: Any, contracting: Any, batch: Any, precision: Any, preferred: Any) -> Any:
    return dot_general(x, y, (contracting, batch), precision, preferred)


def _times(x: Any, y: Any) -> Any:
    """Element by element; bools are true together."""
    return p.and_(x, y) if x.dtype == bool else p.mul(x, y)


def _fits(name: str, x: Any, y: Any, a: int, b: int) -> None:
    if x.shape[a] != y.shape[b]:
        raise ShapeError(
            wrong=f"{name} cannot multiply {x.aval} by {y.aval}: axis {a} and axis {b} differ",
            fix="Make the axes that are summed over equally long",
        )


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None) -> Any:
    """The dot product: sums of products over the last axis of ``a`` and the last but one of ``b``.

    Parameters
    ----------
    a, b : arrays
        Scalars multiply.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional
        Of the result and its sums.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.dot(pnp.array([1.0, 2.0]), pnp.array([3.0, 4.0])))
    11.0
    """
    if out_sharding is not None:
        return laying.laid(dot(a, b, precision=precision, preferred_element_type=preferred_element_type), out_sharding)
    x, y = promote_dtypes("dot", a, b)
    if not x.ndim or not y.ndim:
        return _times(x, y)
    j = 0 if y.ndim == 1 else y.ndim - 2
    _fits("dot", x, y, x.ndim - 1, j)
    return _product(x, y, ((x.ndim - 1,), (j,)), ((), ()), precision, preferred_element_type)


def matmul(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None
) -> Any:
    """The matrix product; leading axes broadcast.

    Parameters
    ----------
    a, b : arrays of at least one axis
        A vector is a row on the left, a column on the right, and its axis is dropped from the result.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.matmul(pnp.eye(2), pnp.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    if out_sharding is not None:
        return laying.laid(
            matmul(a, b, precision=precision, preferred_element_type=preferred_element_type), out_sharding
        )
    x, y = promote_dtypes("matmul", a, b)
    for z in (x, y):
        if not z.ndim:
            raise ShapeError(
                wrong=f"matmul multiplies matrices and vectors, got {x.aval} and {y.aval}",
                fix="Give arrays of at least one axis; multiply scalars with *",
            )
    i, j = x.ndim - 1, 0 if y.ndim == 1 else y.ndim - 2
    _fits("matmul", x, y, i, j)
    if x.ndim <= 2 and y.ndim <= 2:
        return _product(x, y, ((i,), (j,)), ((), ()), precision, preferred_element_type)
    lead_x, lead_y = x.shape[:-2], y.shape[:-2]
    if y.ndim <= 2:
        return _product(x, y, ((i,), (j,)), ((), ()), precision, preferred_element_type)
    lead = common_shape("matmul", [lead_x, lead_y])
    if x.ndim <= 2:
        out = _product(x, y, ((i,), (j,)), ((), ()), precision, preferred_element_type)
        if x.ndim == 1:
            return out
        n = out.ndim
        return p.transpose(out, permutation=(*range(1, n - 1), 0, n - 1))
    x, y = spread(x, (*lead, *x.shape[-2:])), spread(y, (*lead, *y.shape[-2:]))
    axes = tuple(range(len(lead)))
    return _product(x, y, ((x.ndim - 1,), (y.ndim - 2,)), (axes, axes), precision, preferred_element_type)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The dot product of two arrays taken as vectors, the first conjugated.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.vdot(pnp.ones((2, 2)), pnp.ones((2, 2))))
    4.0
    """
    x, y = as_array(a, "vdot"), as_array(b, "vdot")
    if x.dtype.kind == "c":
        x = p.conj(x, input_dtype=x.dtype)
    flat = [p.reshape(z, new_sizes=(z.size,), dimensions=None) for z in (x, y)]
    return dot(*flat, precision=precision, preferred_element_type=preferred_element_type)


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sums of products over the last axes of both arrays.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.inner(pnp.ones(3), pnp.ones(3)))
    3.0
    """
    x, y = promote_dtypes("inner", a, b)
    if not x.ndim or not y.ndim:
        return _times(x, y)
    _fits("inner", x, y, x.ndim - 1, y.ndim - 1)
    return _product(x, y, ((x.ndim - 1,), (y.ndim - 1,)), ((), ()), precision, preferred_element_type)


def outer(a: Any, b: Any, out: None = None) -> Any:
    """All products of an element of ``a`` and one of ``b``, both taken as vectors.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.outer(pnp.array([1, 2]), pnp.array([3, 4])).tolist()
    [[3, 4], [6, 8]]
    """
    if out is not None:
        raise ArgumentError(wrong="outer was given out=, and arrays do not change", fix="Use the result")
    x, y = promote_dtypes("outer", a, b)
    n, m = x.size, y.size
    x = p.reshape(x, new_sizes=(n, 1), dimensions=None)
    y = p.reshape(y, new_sizes=(1, m), dimensions=None)
    return _times(spread(x, (n, m)), spread(y, (n, m)))


def tensordot(
    a: Any,
    b: Any,
    axes: Any = 2,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sums of products over the axes given.

    Parameters
    ----------
    a, b : arrays
    axes : int, or a pair of sequences of int
        How many of the last axes of ``a`` and the first of ``b``, or which ones of each.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.tensordot(pnp.ones((2, 3)), pnp.ones((2, 3)), axes=2))
    6.0
    """
    if out_sharding is not None:
        return laying.laid(
            tensordot(a, b, axes, precision=precision, preferred_element_type=preferred_element_type), out_sharding
        )
    x, y = promote_dtypes("tensordot", a, b)
    if isinstance(axes, int | np.integer):
        n = int(axes)
        if n > min(x.ndim, y.ndim):
            raise ShapeError(wrong=f"tensordot was asked for {n} axes of {x.aval} and {y.aval}", fix="Give fewer axes")
        left, right = tuple(range(x.ndim - n, x.ndim)), tuple(range(n))
    else:
        given = [z if isinstance(z, tuple | list) else (z,) for z in axes]
        if len(given) != 2 or len(given[0]) != len(given[1]):
            raise ArgumentError(
                wrong=f"tensordot was given axes {axes!r}", fix="Give an int, or two sequences of equal length"
            )
        left = tuple(normalize_axis(d, x.ndim, "tensordot") for d in given[0])
        right = tuple(normalize_axis(d, y.ndim, "tensordot") for d in given[1])
    for i, j in zip(left, right, strict=True):
        _fits("tensordot", x, y, i, j)
    return _product(x, y, (left, right), ((), ()), precision, preferred_element_type)


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: ``b`` in place of each element of ``a``, times it.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.kron(pnp.array([1, 10]), pnp.array([1, 2])).tolist()
    [1, 2, 10, 20]
    """
    x, y = promote_dtypes("kron", a, b)
    n = max(x.ndim, y.ndim)
    sx, sy = (1,) * (n - x.ndim) + x.shape, (1,) * (n - y.ndim) + y.shape
    wide_x = tuple(k for s in sx for k in (s, 1))
    wide_y = tuple(k for s in sy for k in (1, s))
    full = tuple(k for pair in zip(sx, sy, strict=True) for k in pair)
    left = spread(p.reshape(x, new_sizes=wide_x, dimensions=None), full)
    right = spread(p.reshape(y, new_sizes=wide_y, dimensions=None), full)
    shape = tuple(s * t for s, t in zip(sx, sy, strict=True))
    assert math.prod(shape) == math.prod(full)
    return p.reshape(_times(left, right), new_sizes=shape, dimensions=None)


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors of length 3; of length 2, the third component alone.

    Parameters
    ----------
    a, b : arrays
        Vectors along an axis of length 2 or 3; the other axes broadcast.
    axisa, axisb, axisc : int
        The axis of the vectors in ``a``, in ``b`` and in the result.
    axis : int, optional
        In place of all three.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.cross(pnp.array([1, 0, 0]), pnp.array([0, 1, 0])).tolist()
    [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promote_dtypes("cross", a, b)
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ShapeError(
            wrong=f"cross was given vectors of lengths {x.shape[-1]} and {y.shape[-1]}", fix="Give lengths of 2 or 3"
        )
    u, v = ([z[..., k] for k in range(z.shape[-1])] for z in (x, y))
    third = u[0] * v[1] - u[1] * v[0]
    if len(u) == len(v) == 2:
        return third
    # A missing third component is 0.
    first = u[1] * v[2] if len(u) == 2 else -u[2] * v[1] if len(v) == 2 else u[1] * v[2] - u[2] * v[1]
    second = -u[0] * v[2] if len(u) == 2 else u[2] * v[0] if len(v) == 2 else u[2] * v[0] - u[0] * v[2]
    return stack([first, second, third], axisc)


def _with_axes(name: str, x: Any, axes: int) -> Any:
    if x.ndim < axes:
        raise ShapeError(
            wrong=f"{name} needs {'a matrix' if axes == 2 else 'a vector'}, got {x.aval}",
            fix=f"Give an array of at least {axes} {'axes' if axes > 1 else 'axis'}",
        )
    return x


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The dot products of vectors along an axis, the first ones conjugated; other axes broadcast.

    Parameters
    ----------
    x1, x2 : arrays
    axis : int
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.vecdot(pnp.array([[1, 2], [3, 4]]), pnp.array([1, 1])).tolist()
    [3, 7]
    """
    x, y = promote_dtypes("vecdot", x1, x2)
    x, y = (moveaxis(z, axis, -1) for z in (x, y))
    _fits("vecdot", x, y, x.ndim - 1, y.ndim - 1)
    if dtypes.is_complex(x.dtype):
        x = p.conj(x, input_dtype=x.dtype)
    out = matmul(x[..., None, :], y[..., None], precision=precision, preferred_element_type=preferred_element_type)
    return out[..., 0, 0]


def matvec(x1: Any, x2: Any, /) -> Any:
    """The products of matrices and vectors; leading axes broadcast.

    Parameters
    ----------
    x1 : array of shape (..., m, n)
    x2 : array of shape (..., n)

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.matvec(pnp.eye(2), pnp.array([[3.0, 4.0]])).tolist()
    [[3.0, 4.0]]
    """
    x, y = promote_dtypes("matvec", x1, x2)
    x, y = _with_axes("matvec", x, 2), _with_axes("matvec", y, 1)
    _fits("matvec", x, y, x.ndim - 1, y.ndim - 1)
    return matmul(x, y[..., None])[..., 0]


def vecmat(x1: Any, x2: Any, /) -> Any:
    """The products of vectors, conjugated, and matrices; leading axes broadcast.

    Parameters
    ----------
    x1 : array of shape (..., n)
    x2 : array of shape (..., n, m)

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.vecmat(pnp.array([3.0, 4.0]), pnp.eye(2)).tolist()
    [3.0, 4.0]
    """
    x, y = promote_dtypes("vecmat", x1, x2)
    x, y = _with_axes("vecmat", x, 1), _with_axes("vecmat", y, 2)
    _fits("vecmat", x, y, x.ndim - 1, y.ndim - 2)
    if dtypes.is_complex(x.dtype):
        x = p.conj(x, input_dtype=x.dtype)
    return matmul(x[..., None, :], y)[..., 0, :]
