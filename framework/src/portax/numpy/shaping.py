"""The same elements in another shape, or with their axes in another order: reshape, transpose, broadcast.

Each is one or two structural primitives. An array that has the wanted shape already is returned itself.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.array import Array
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ArgumentError, AxisError, ConcretizationError, ShapeError
from portax.numpy.axes import normalize_axes, normalize_axis
from portax.numpy.filling import as_shape
from portax.numpy.promotion import as_array
from portax.primitives import broadcasting
from portax.primitives.broadcasting import broadcast_in_dim

laying = lazy("portax.higher_order.laying")

Shape = tuple[int, ...]


# -- shape ------------------------------------------------------------------------------------------------------------
def reshape(a: Any, shape: Any, order: str = "C", *, copy: bool | None = None, out_sharding: Any = None) -> Array:
    """The elements of an array in another shape.

    Parameters
    ----------
    a : Array
    shape : int or tuple of int
        One length may be -1: it follows from the others.
    order : "C" or "F"
        Whether elements are read and written with the last index running fastest (C) or the first (F).
    copy : bool, optional
        Arrays are immutable, so it makes no difference.

    Returns
    -------
    Array of the dtype of ``a``

    Raises
    ------
    ShapeError
        The lengths do not multiply to the number of elements.

    Examples
    --------
    >>> pnp.reshape(pnp.arange(6), (2, -1))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(reshape(a, shape, order, copy=copy), out_sharding)
    a = as_array(a, "reshape")
    wanted = _reshape_lengths(a.aval, shape)
    if order == "F":
        rank = len(wanted)
        back = reshape(transpose(a), wanted[::-1])
        return transpose(back) if rank > 1 else back
    if order != "C":
        raise ArgumentError(wrong=f"reshape does not know order {order!r}", fix='Give "C" or "F"')
    if wanted == a.aval.shape:
        return a
    return broadcasting.reshape(a, new_sizes=wanted, dimensions=None, sharding=None)


_wanted: dict[Any, Shape] = {}


def _reshape_lengths(aval: Any, shape: Any) -> Shape:
    """The lengths meant, with -1 worked out; remembered for tuples of ints."""
    key = (aval, shape) if type(shape) is tuple or type(shape) is int else None
    if key is not None:
        try:
            return _wanted[key]
        except (KeyError, TypeError):
            pass
    size = aval.size
    given: tuple[Any, ...]
    if isinstance(shape, int) or (hasattr(shape, "__index__") and not getattr(shape, "ndim", 0)):
        given = (shape,)
    else:
        given = tuple(shape)
    lengths = []
    for n in given:
        if isinstance(n, Tracer):
            raise ConcretizationError(
                wrong=f"reshape was given a traced array ({n.aval}) as a length",
                fix="Make the argument static, so that its value is known while tracing",
            )
        try:
            lengths.append(operator.index(n))
        except TypeError:
            raise ShapeError(wrong=f"reshape needs integer lengths, not {n!r}", fix="Give integers") from None
    if lengths.count(-1) > 1:
        raise ShapeError(wrong=f"reshape can work out only one length, got {tuple(lengths)}", fix="Give one -1")
    wanted = tuple(lengths)
    if -1 in lengths:
        rest = -math.prod(lengths)
        if rest == 0 or size % rest:
            raise _cannot_reshape(aval, wanted)
        wanted = tuple([size // rest if n == -1 else n for n in lengths])
    if math.prod(wanted) != size or any(n < 0 for n in wanted):
        raise _cannot_reshape(aval, tuple(lengths))
    if key is not None and all(type(n) is int for n in given):
        if len(_wanted) > 4096:
            _wanted.clear()
        _wanted[key] = wanted
    return wanted


def _cannot_reshape(aval: Any, shape: Shape) -> ShapeError:
    return ShapeError(
        wrong=f"reshape cannot put the {aval.size} elements of an array of shape {aval.shape} into shape {shape}",
        fix=f"Give lengths that multiply to {aval.size}; one may be -1, if the others divide it",
    )


def ravel(a: Any, order: str = "C", *, out_sharding: Any = None) -> Array:
    """The elements of an array along one axis.

    Parameters
    ----------
    a : Array
    order : "C" or "F"
        Whether the last index runs fastest (C) or the first (F).

    Examples
    --------
    >>> pnp.ravel(pnp.array([[1, 2], [3, 4]]))
    Array([1, 2, 3, 4], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(ravel(a, order), out_sharding)
    a = as_array(a, "ravel")
    return reshape(a, (a.size,), "C" if order in ("A", "C") else order)


def ndim(a: Any) -> int:
    """Number of axes of an array.

    Examples
    --------
    >>> pnp.ndim(pnp.zeros((2, 3)))
    2
    """
    return len(shape(a))


def shape(a: Any) -> Shape:
    """Lengths of the axes of an array.

    Examples
    --------
    >>> pnp.shape(pnp.zeros((2, 3)))
    (2, 3)
    """
    found = getattr(a, "shape", None)
    if found is not None:
        return tuple(found)
    if isinstance(a, (list, tuple)):
        warnings.warn(
            "shape, size and ndim of a list will be an error in future; make it an array first.",
            DeprecationWarning,
            stacklevel=3,
        )
        return np.shape(a)
    return as_array(a, "shape").shape


def size(a: Any, axis: int | Sequence[int] | None = None) -> int:
    """Number of elements of an array, or along some of its axes.

    Examples
    --------
    >>> pnp.size(pnp.zeros((2, 3))), pnp.size(pnp.zeros((2, 3)), 1)
    (6, 3)
    """
    lengths = shape(a)
    if axis is None:
        return math.prod(lengths)
    return math.prod([lengths[d] for d in normalize_axes(axis, len(lengths), "size")])


def expand_dims(a: Any, axis: int | Sequence[int]) -> Array:
    """An array with new axes of length 1.

    Parameters
    ----------
    a : Array
    axis : int or tuple of int
        Where the new axes are in the result.

    Examples
    --------
    >>> pnp.expand_dims(pnp.arange(3), 0).shape
    (1, 3)
    """
    a = as_array(a, "expand_dims")
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    rank = a.ndim + len(given)
    new = normalize_axes(given, rank, "expand_dims")
    if not new:
        return a
    old = iter(a.shape)
    lengths = tuple([1 if d in new else next(old) for d in range(rank)])
    kept = tuple([d for d in range(rank) if d not in new])
    return broadcast_in_dim(a, shape=lengths, broadcast_dimensions=kept, sharding=None)


def squeeze(a: Any, axis: int | Sequence[int] | None = None) -> Array:
    """An array without axes of length 1.

    Parameters
    ----------
    a : Array
    axis : int or tuple of int, optional
        The axes to drop, by default all of length 1.

    Raises
    ------
    ShapeError
        An axis to be dropped has another length.

    Examples
    --------
    >>> pnp.squeeze(pnp.zeros((1, 3, 1))).shape
    (3,)
    """
    a = as_array(a, "squeeze")
    if axis is None:
        drop = tuple([d for d, n in enumerate(a.shape) if n == 1])
    else:
        drop = normalize_axes(axis, a.ndim, "squeeze")
        for d in drop:
            if a.shape[d] != 1:
                raise ShapeError(
                    wrong=f"squeeze cannot drop axis {d} of an array of shape {a.shape}: its length is not one",
                    fix="Name axes of length 1",
                )
    return broadcasting.squeeze(a, dimensions=drop) if drop else a


def broadcast_to(array: Any, shape: Any, *, out_sharding: Any = None) -> Array:
    """An array repeated along new axes, and along axes of length 1, to reach a shape.

    Parameters
    ----------
    array : Array
    shape : int or tuple of int

    Raises
    ------
    ShapeError
        The shapes do not fit: counted from the last, lengths must be equal, or 1 in ``array``.

    Examples
    --------
    >>> pnp.broadcast_to(pnp.arange(3), (2, 3))
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    if out_sharding is not None:
        return laying.laid(broadcast_to(array, shape), out_sharding)
    x = as_array(array, "broadcast_to")
    wanted = as_shape(shape)
    own = x.shape
    if own == wanted:
        return x
    lead = len(wanted) - len(own)
    if lead < 0 or any(n not in (1, m) for n, m in zip(own, wanted[lead:], strict=True)):
        raise ShapeError(
            wrong=f"broadcast_to cannot spread an array of shape {own} to shape {wanted}",
            fix="Counted from the last axis, lengths must be equal, or 1 in the array",
        )
    return broadcast_in_dim(x, shape=wanted, broadcast_dimensions=tuple(range(lead, len(wanted))), sharding=None)


def broadcast_shapes(*shapes: Any) -> Shape:
    """The shape that arrays of these shapes broadcast to.

    Examples
    --------
    >>> pnp.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    given = [as_shape(s) for s in shapes]
    rank = max(map(len, given), default=0)
    out = []
    for d in range(-rank, 0):
        lengths = {s[d] for s in given if len(s) >= -d} - {1}
        if len(lengths) > 1:
            raise ShapeError(
                wrong=f"broadcast_shapes was given shapes that do not fit: {', '.join(map(str, given))}",
                fix="Counted from the last axis, lengths must be equal, or 1",
            )
        out.append(lengths.pop() if lengths else 1)
    return tuple(out)


def broadcast_arrays(*args: Any) -> list[Array]:
    """Arrays repeated until they have one shape.

    Examples
    --------
    >>> [x.shape for x in pnp.broadcast_arrays(pnp.zeros((2, 1)), pnp.zeros(3))]
    [(2, 3), (2, 3)]
    """
    arrays = [as_array(x, "broadcast_arrays") for x in args]
    common = broadcast_shapes(*[x.shape for x in arrays])
    return [broadcast_to(x, common) for x in arrays]


def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least one axis: a scalar gets one of length 1.

    Examples
    --------
    >>> pnp.atleast_1d(pnp.array(2.0)).shape
    (1,)
    """
    out = [expand_dims(x, 0) if not x.ndim else x for x in [as_array(x, "atleast_1d") for x in arys]]
    return out[0] if len(out) == 1 else out


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two axes: new ones are put in front.

    Examples
    --------
    >>> pnp.atleast_2d(pnp.arange(3)).shape
    (1, 3)
    """
    out = [as_array(x, "atleast_2d") for x in arys]
    out = [expand_dims(x, tuple(range(2 - x.ndim))) if x.ndim < 2 else x for x in out]
    return out[0] if len(out) == 1 else out


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three axes: shape (n,) becomes (1, n, 1), and (m, n) becomes (m, n, 1).

    Examples
    --------
    >>> pnp.atleast_3d(pnp.arange(3)).shape
    (1, 3, 1)
    """
    where = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}
    out = [as_array(x, "atleast_3d") for x in arys]
    out = [expand_dims(x, where[x.ndim]) if x.ndim < 3 else x for x in out]
    return out[0] if len(out) == 1 else out


# -- order of axes ----------------------------------------------------------------------------------------------------
def transpose(a: Any, axes: Sequence[int] | None = None) -> Array:
    """An array with its axes in another order.

    Parameters
    ----------
    a : Array
    axes : sequence of int, optional
        Which axis of ``a`` each axis of the result is; by default they are reversed.

    Raises
    ------
    ShapeError
        ``axes`` does not name each axis once.

    Examples
    --------
    >>> pnp.transpose(pnp.zeros((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    a = as_array(a, "transpose")
    rank = a.ndim
    if axes is None:
        order = tuple(range(rank))[::-1]
    else:
        order = tuple([normalize_axis(d, rank, "transpose") for d in axes])
        if sorted(order) != list(range(rank)):
            raise ShapeError(
                wrong=f"transpose was given axes {tuple(axes)} for an array of shape {a.shape}",
                fix=f"Name each of its {rank} axes once",
            )
    return a if order == tuple(range(rank)) else broadcasting.transpose(a, permutation=order)


def permute_dims(a: Any, /, axes: Sequence[int]) -> Array:
    """An array with its axes in another order: `transpose` under the name of the array API.

    Examples
    --------
    >>> pnp.permute_dims(pnp.zeros((2, 3)), (1, 0)).shape
    (3, 2)
    """
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Array:
    """An array with its last two axes exchanged.

    Examples
    --------
    >>> pnp.matrix_transpose(pnp.zeros((5, 2, 3))).shape
    (5, 3, 2)
    """
    x = as_array(x, "matrix_transpose")
    if x.ndim < 2:
        raise ShapeError(
            wrong=f"matrix_transpose needs at least two axes, not shape {x.shape}", fix="Add one with x[None]"
        )
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """An array with two axes exchanged.

    Examples
    --------
    >>> pnp.swapaxes(pnp.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    a = as_array(a, "swapaxes")
    first, second = normalize_axis(axis1, a.ndim, "swapaxes"), normalize_axis(axis2, a.ndim, "swapaxes")
    order = list(range(a.ndim))
    order[first], order[second] = order[second], order[first]
    return transpose(a, order)


def moveaxis(a: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """An array with some axes moved, the others keeping their order.

    Parameters
    ----------
    a : Array
    source, destination : int or sequence of int
        Where the axes are, and where they go.

    Examples
    --------
    >>> pnp.moveaxis(pnp.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    a = as_array(a, "moveaxis")
    origins, targets = normalize_axes(source, a.ndim, "moveaxis"), normalize_axes(destination, a.ndim, "moveaxis")
    if len(origins) != len(targets):
        raise ArgumentError(
            wrong=f"moveaxis was given {len(origins)} sources and {len(targets)} destinations", fix="Give one for each"
        )
    order = [d for d in range(a.ndim) if d not in origins]
    for target, origin in sorted(zip(targets, origins, strict=True)):
        order.insert(target, origin)
    return transpose(a, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """An array with one axis moved in front of another. ``moveaxis`` is easier to read.

    Examples
    --------
    >>> pnp.rollaxis(pnp.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    a = as_array(a, "rollaxis")
    axis = normalize_axis(axis, a.ndim, "rollaxis")
    if not -a.ndim <= start <= a.ndim:
        raise AxisError(
            wrong=f"rollaxis cannot put an axis before {start} of {a.ndim}", fix=f"Give {-a.ndim} to {a.ndim}"
        )
    start = start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if start > axis else start)
