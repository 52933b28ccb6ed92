"""Arrays joined to longer ones, and cut apart: concatenate, stack, block, split and their kin."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationError, ShapeError
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array, promote_dtypes
from portax.numpy.shaping import atleast_1d, atleast_2d, atleast_3d, expand_dims, ravel, squeeze
from portax.primitives import slicing
from portax.primitives.conversion import convert_element_type


# -- joining ----------------------------------------------------------------------------------------------------------
def _several(name: str, arrays: Any, dtype: Any) -> list[Array]:
    """The arrays to be joined, of one dtype."""
    given = list(arrays) if isinstance(arrays, (list, tuple)) else _rows(name, arrays)
    if not given:
        raise ArgumentError(wrong=f"{name} was given no array; it needs at least one array", fix="Give one or more")
    if dtype is None:
        return promote_dtypes(name, *given)
    wanted = dtypes.user_dtype(dtype, name)
    return [_firm(as_array(x, name), wanted) for x in given]


def _rows(name: str, x: Any) -> list[Any]:
    if isinstance(x, (Array, np.ndarray)):
        return list(unstack(x))
    raise ArgumentError(wrong=f"{name} needs a list or tuple of arrays, not {type(x).__name__}", fix="Write list(...)")


def _firm(x: Array, dtype: Any) -> Array:
    if x.dtype == dtype and not x.weak_type:
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=False, sharding=None)


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Array:
    """Arrays joined along an axis they have.

    Parameters
    ----------
    arrays : sequence of Array
        Their shapes are equal but for ``axis``.
    axis : int, or None to join the raveled arrays
    dtype : dtype, optional
        Of the result, by default the promoted one.

    Raises
    ------
    ShapeError
        The other axes differ.

    Examples
    --------
    >>> pnp.concatenate([pnp.arange(2), pnp.array([7, 8])])
    Array([0, 1, 7, 8], dtype=int32)
    """
    return joined("concatenate", _several("concatenate", arrays, dtype), axis)


def joined(name: str, given: list[Array], axis: int | None) -> Array:
    if axis is None:
        return joined(name, [ravel(x) for x in given], 0)
    rank = given[0].ndim
    if not rank:
        raise ShapeError(wrong=f"{name} cannot join zero-dimensional arrays", fix="Use stack, or hstack")
    axis = normalize_axis(axis, rank, name)
    shape = given[0].shape
    for x in given:
        if x.ndim != rank or any(n != m for d, (n, m) in enumerate(zip(x.shape, shape, strict=True)) if d != axis):
            raise ShapeError(
                wrong=f"{name} cannot join arrays of shapes {', '.join(str(x.shape) for x in given)} along axis {axis}",
                fix="All axes but that one must have equal lengths",
            )
    return given[0] if len(given) == 1 else slicing.concatenate(*given, dimension=axis)


def concat(arrays: Any, /, *, axis: int | None = 0) -> Array:
    """Arrays joined along an axis they have: `concatenate` under the name of the array API.

    Examples
    --------
    >>> pnp.concat([pnp.arange(2), pnp.array([7])])
    Array([0, 1, 7], dtype=int32)
    """
    return concatenate(arrays, axis)


def stack(arrays: Any, axis: int = 0, out: None = None, dtype: Any = None) -> Array:
    """Arrays of one shape joined along a new axis.

    Parameters
    ----------
    arrays : sequence of Array
    axis : int
        Where the new axis is in the result.
    dtype : dtype, optional
        Of the result, by default the promoted one.

    Examples
    --------
    >>> pnp.stack([pnp.arange(2), pnp.array([7, 8])], axis=1)
    Array([[0, 7],
           [1, 8]], dtype=int32)
    """
    if out is not None:
        raise ArgumentError(wrong="stack was given out=, but arrays are immutable", fix="Use the result")
    given = _several("stack", arrays, dtype)
    shape = given[0].shape
    if any(x.shape != shape for x in given):
        raise ShapeError(
            wrong=f"stack needs arrays of one shape, got {', '.join(str(x.shape) for x in given)}",
            fix="Broadcast or pad them first",
        )
    axis = normalize_axis(axis, len(shape) + 1, "stack")
    return joined("stack", [expand_dims(x, axis) for x in given], axis)


def hstack(tup: Any, dtype: Any = None) -> Array:
    """Arrays joined along axis 1, vectors and scalars along axis 0.

    Examples
    --------
    >>> pnp.hstack([pnp.arange(2), 7])
    Array([0, 1, 7], dtype=int32)
    """
    given = [atleast_1d(x) for x in _several("hstack", tup, dtype)]
    return joined("hstack", given, 0 if given[0].ndim == 1 else 1)


def vstack(tup: Any, dtype: Any = None) -> Array:
    """Arrays joined along axis 0, vectors being rows.

    Examples
    --------
    >>> pnp.vstack([pnp.arange(2), pnp.array([7, 8])])
    Array([[0, 1],
           [7, 8]], dtype=int32)
    """
    return joined("vstack", [atleast_2d(x) for x in _several("vstack", tup, dtype)], 0)


def dstack(tup: Any, dtype: Any = None) -> Array:
    """Arrays joined along axis 2, vectors and matrices getting new axes as in ``atleast_3d``.

    Examples
    --------
    >>> pnp.dstack([pnp.arange(2), pnp.array([7, 8])]).shape
    (1, 2, 2)
    """
    return joined("dstack", [atleast_3d(x) for x in _several("dstack", tup, dtype)], 2)


def column_stack(tup: Any) -> Array:
    """Arrays joined along axis 1, vectors being columns.

    Examples
    --------
    >>> pnp.column_stack([pnp.arange(2), pnp.array([7, 8])])
    Array([[0, 7],
           [1, 8]], dtype=int32)
    """
    given = _several("column_stack", tup, None)
    return joined("column_stack", [x if x.ndim > 1 else expand_dims(atleast_1d(x), 1) for x in given], 1)


def block(arrays: Any) -> Array:
    """An array put together from blocks in nested lists: the innermost lists are joined along the last axis.

    Parameters
    ----------
    arrays : Array, or nested lists of them of one depth

    Examples
    --------
    >>> one, none = pnp.ones((1, 1)), pnp.zeros((1, 1))
    >>> pnp.block([[one, none], [none, one]])
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return _block(arrays)[0]


def _block(blocks: Any) -> tuple[Array, int]:
    """The array, and the depth of the lists it was made of."""
    if isinstance(blocks, tuple):
        raise ArgumentError(wrong="block takes nested lists, and was given a tuple", fix="Write lists")
    if not isinstance(blocks, list):
        return as_array(blocks, "block"), 0
    if not blocks:
        raise ArgumentError(wrong="block was given an empty list", fix="Leave it out")
    parts = [_block(b) for b in blocks]
    depths = {depth for _, depth in parts}
    if len(depths) > 1:
        raise ArgumentError(wrong="block was given lists of different depths", fix="Nest all blocks equally deep")
    depth = depths.pop() + 1
    arrays = promote_dtypes("block", *[x for x, _ in parts])
    rank = max(depth, *[x.ndim for x in arrays])
    arrays = [expand_dims(x, tuple(range(rank - x.ndim))) if x.ndim < rank else x for x in arrays]
    return joined("block", arrays, -depth), depth


def append(arr: Any, values: Any, axis: int | None = None) -> Array:
    """An array with values joined to its end.

    Parameters
    ----------
    arr, values : Array
    axis : int, or None to join the raveled arrays

    Examples
    --------
    >>> pnp.append(pnp.arange(2), 7)
    Array([0, 1, 7], dtype=int32)
    """
    return concatenate([arr, values], axis)


# -- cutting apart ----------------------------------------------------------------------------------------------------
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """An array cut into parts of lengths as equal as can be, the longer ones first.

    Parameters
    ----------
    ary : Array
    indices_or_sections : int, the number of parts; or sequence of int, where to cut
    axis : int

    Examples
    --------
    >>> pnp.array_split(pnp.arange(3), 2)
    [Array([0, 1], dtype=int32), Array([2], dtype=int32)]
    """
    return _split("array_split", ary, indices_or_sections, axis, even=False)


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """An array cut into parts.

    Parameters
    ----------
    ary : Array
    indices_or_sections : int, the number of parts of equal length; or increasing sequence of int, where to cut
    axis : int

    Raises
    ------
    ShapeError
        The length is no multiple of the number of parts, or a cut lies outside.

    Examples
    --------
    >>> pnp.split(pnp.arange(4), [1, 3])
    [Array([0], dtype=int32), Array([1, 2], dtype=int32), Array([3], dtype=int32)]
    """
    return _split("split", ary, indices_or_sections, axis, even=True)


def _split(name: str, ary: Any, where: Any, axis: int, even: bool) -> list[Array]:
    x = as_array(ary, name)
    axis = normalize_axis(axis, x.ndim, name)
    n = x.shape[axis]
    if isinstance(where, Tracer) or (isinstance(where, (list, tuple)) and any(isinstance(c, Tracer) for c in where)):
        raise ConcretizationError(
            wrong=f"{name} was told by a traced array where to cut",
            fix="Make the argument static, so that its value is known while tracing",
        )
    if isinstance(where, (list, tuple)) or getattr(where, "ndim", 0):
        cuts = [operator.index(c) for c in (np.asarray(where).reshape(-1) if not isinstance(where, list) else where)]
        bounds = [0, *cuts, n]
        sizes = [b - a for a, b in itertools.pairwise(bounds)]
        if any(s < 0 for s in sizes):
            raise ShapeError(
                wrong=f"{name} cannot cut an axis of length {n} at {cuts}",
                fix=f"Give increasing places between 0 and {n}",
            )
    else:
        parts = operator.index(where)
        if parts < 1:
            raise ArgumentError(wrong=f"{name} was asked for {parts} parts", fix="Ask for at least one")
        length, rest = divmod(n, parts)
        if even and rest:
            raise ShapeError(
                wrong=f"{name} does not result in an equal division: {n} elements in {parts} parts leave {rest}",
                fix="Use array_split, which makes parts of nearly equal length",
            )
        sizes = [length + 1] * rest + [length] * (parts - rest)
    if len(sizes) == 1:
        return [x]
    return slicing.split(x, sizes=tuple(sizes), axis=axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """An array cut along axis 1, a vector along axis 0.

    Examples
    --------
    >>> pnp.hsplit(pnp.arange(4), 2)[1]
    Array([2, 3], dtype=int32)
    """
    x = as_array(ary, "hsplit")
    return _split("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1, even=True)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """An array cut along axis 0.

    Examples
    --------
    >>> pnp.vsplit(pnp.zeros((4, 2)), 2)[0].shape
    (2, 2)
    """
    return _split("vsplit", ary, indices_or_sections, 0, even=True)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """An array cut along axis 2.

    Examples
    --------
    >>> pnp.dsplit(pnp.zeros((1, 2, 4)), 2)[0].shape
    (1, 2, 2)
    """
    return _split("dsplit", ary, indices_or_sections, 2, even=True)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices of an array along an axis, without it: the inverse of `stack`.

    Examples
    --------
    >>> pnp.unstack(pnp.array([[1, 2], [3, 4]]))
    (Array([1, 2], dtype=int32), Array([3, 4], dtype=int32))
    """
    x = as_array(x, "unstack")
    axis = normalize_axis(axis, x.ndim, "unstack")
    n = x.shape[axis]
    if not n:
        return ()
    parts = slicing.split(x, sizes=(1,) * n, axis=axis) if n > 1 else [x]
    return tuple([squeeze(p, axis) for p in parts])
