"""Functions that write elements into a copy of an array, at places given as arrays: put, place and their kin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core.array import Array
from portax.errors import ArgumentError, GapError, ShapeError
from portax.numpy.axes import normalize_axis
from portax.numpy.diagonals import immutable
from portax.numpy.index_updates import IndexUpdate
from portax.numpy.indexing import index
from portax.numpy.promotion import as_array
from portax.numpy.shaping import broadcast_to, ravel, reshape
from portax.numpy.taking import integers
from portax.numpy.ufuncs import maximum, remainder, truth
from portax.primitives import arithmetic
from portax.primitives.comparison import select_n
from portax.primitives.conversion import convert, convert_element_type
from portax.primitives.cumulative import cumsum
from portax.transforms.batch import batch

_INT32 = np.dtype(np.int32)


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Array:
    """An array with values put at places of the raveled array.

    Parameters
    ----------
    a : Array
    ind : Array of int
    v : Array, repeated as often as there are places
    mode : "clip" or "wrap"
        What a place out of range means: the nearest (the default), or one as many elements away.
    inplace : bool
        Must be False: arrays are immutable.

    Examples
    --------
    >>> pnp.put(pnp.zeros(3), pnp.array([0, 2]), 5.0, inplace=False)
    Array([5., 0., 5.], dtype=float32)
    """
    immutable("put", inplace)
    x, places, values = as_array(a, "put"), ravel(integers(ind, "put")), ravel(as_array(v, "put"))
    if mode == "raise":
        raise GapError(wrong="put does not support mode 'raise'", fix="Use mode='clip' or mode='wrap'")
    if mode not in (None, "clip", "wrap"):
        raise ArgumentError(wrong=f"put has no mode {mode!r}", fix='Give "clip" or "wrap"')
    if not x.size or not places.size or not values.size:
        return x
    values = index(values, np.arange(places.size, dtype=_INT32) % values.size)
    if mode == "wrap":
        places = remainder(places, x.size)
    if mode == "clip":  # which leaves no meaning to negative indices: they are below the first place
        places = maximum(places, 0)
    return reshape(IndexUpdate(ravel(x), places).set(values, mode="clip"), x.shape)


def put_along_axis(
    arr: Any, indices: Any, values: Any, axis: int | None, inplace: bool = True, *, mode: str | None = None
) -> Array:
    """An array with values put at given places of each vector along an axis: the inverse of `take_along_axis`.

    Parameters
    ----------
    arr : Array
    indices : Array of int with as many axes; the others than ``axis`` broadcast with those of ``arr``
    values : Array that broadcasts with ``indices``
    axis : int, or None for the raveled array
    inplace : bool
        Must be False: arrays are immutable.
    mode : str, optional
        As in ``x.at[...].set``.

    Examples
    --------
    >>> pnp.put_along_axis(pnp.zeros((2, 2)), pnp.array([[0], [1]]), 9.0, axis=1, inplace=False)
    Array([[9., 0.],
           [0., 9.]], dtype=float32)
    """
    immutable("put_along_axis", inplace)
    x, places = as_array(arr, "put_along_axis"), integers(indices, "put_along_axis")
    if axis is None:
        new = as_array(values, "put_along_axis")
        flat = IndexUpdate(ravel(x), ravel(places)).set(ravel(new) if new.ndim else values, mode=mode)
        return reshape(flat, x.shape)
    if x.ndim != places.ndim:
        raise ShapeError(
            wrong=f"put_along_axis needs arrays with equally many axes, not shapes {x.shape} and {places.shape}",
            fix="Add axes to the indices, for example with pnp.expand_dims(indices, axis)",
        )
    axis = normalize_axis(axis, x.ndim, "put_along_axis")
    where: list[Any] = [
        places if d == axis else np.arange(n, dtype=_INT32).reshape([n if k == d else 1 for k in range(x.ndim)])
        for d, n in enumerate(x.shape)
    ]
    return IndexUpdate(x, tuple(where)).set(values, mode=mode)


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Array:
    """An array with values put, one after the other, where a mask holds.

    Parameters
    ----------
    arr : Array
    mask : Array of bool, of as many elements
    vals : Array, repeated as often as needed
    inplace : bool
        Must be False: arrays are immutable.

    Examples
    --------
    >>> x = pnp.arange(4)
    >>> pnp.place(x, x > 1, pnp.array([7, 8]), inplace=False)
    Array([0, 1, 7, 8], dtype=int32)
    """
    immutable("place", inplace)
    x, values = as_array(arr, "place"), ravel(as_array(vals, "place"))
    holds = truth(as_array(mask, "place"), "place")
    if x.size != holds.size:
        raise ArgumentError(
            wrong=f"place: arr and mask must be the same size, not {x.size} and {holds.size}", fix="Broadcast the mask"
        )
    if not values.size:
        raise ArgumentError(wrong="place cannot place values from an empty array", fix="Give at least one value")
    if not x.size:
        return x
    holds = ravel(holds)
    number = arithmetic.sub(cumsum(convert(holds, _INT32), axis=0, reverse=False), np.int32(1))
    new = index(values, remainder(number, values.size))
    return reshape(select_n(holds, ravel(x), convert(new, x.dtype)), x.shape)


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Array:
    """A function defined by cases: the value of the last function whose condition holds.

    Parameters
    ----------
    x : Array
    condlist : sequence of Array of bool, or one array whose first axis runs over them
    funclist : sequence of callables of a scalar, or of numbers
        One for each condition, and perhaps one more for where none holds (0 by default).
    *args, **kw : passed to the callables

    Returns
    -------
    Array of the shape and dtype of ``x``

    Examples
    --------
    >>> x = pnp.array([-2.0, 3.0])
    >>> pnp.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: 10 * v])
    Array([ 2., 30.], dtype=float32)
    """
    x = as_array(x, "piecewise")
    x = convert_element_type(x, new_dtype=x.dtype, weak_type=False, sharding=None) if x.weak_type else x
    if isinstance(condlist, (list, tuple)):
        conditions = [truth(as_array(c, "piecewise"), "piecewise") for c in condlist]
    else:
        whole = truth(as_array(condlist, "piecewise"), "piecewise")
        conditions = [index(whole, k) for k in range(whole.shape[0])] if whole.ndim else [whole]
    count = len(conditions)
    if len(funclist) not in (count, count + 1):
        raise ArgumentError(
            wrong=f"with {count} condition(s), either {count} or {count + 1} functions are expected; "
            f"piecewise got {len(funclist)}",
            fix="Give one function for each condition, and perhaps one for where none holds",
        )
    functions: list[Any] = list(funclist) if len(funclist) > count else [*funclist, 0]
    flat = ravel(x)

    def of(function: Callable[..., Any] | Any) -> Array:
        if callable(function):
            (out,), (varies,) = batch(
                lambda v: [as_array(function(v, *args, **kw), "piecewise")], [flat], [True], x.size
            )
            out = reshape(out, x.shape) if varies else broadcast_to(out, x.shape)
        else:
            out = broadcast_to(as_array(function, "piecewise"), x.shape)
        return convert_element_type(out, new_dtype=x.dtype, weak_type=False, sharding=None)

    out = of(functions[-1])
    for condition, function in zip(conditions, functions, strict=False):
        out = select_n(broadcast_to(condition, x.shape), out, of(function))
    return out
