"""Bits as bytes and bytes as bits."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.errors import ArgumentError, DtypeError
from portax.numpy import reductions
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array
from portax.numpy.shaping import moveaxis

_ORDERS = ("big", "little")


def _weights(bitorder: str, name: str) -> np.ndarray:
    if bitorder not in _ORDERS:
        raise ArgumentError(wrong=f"{name} has no bitorder {bitorder!r}", fix="Give 'big' or 'little'")
    places = np.arange(8, dtype=np.uint8)
    return places[::-1] if bitorder == "big" else places


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Any:
    """Elements that are zero or not, eight in a byte; zeros fill the last one up.

    Parameters
    ----------
    a : array of bool or integers
    axis : int, or None for the flattened array
    bitorder : "big" or "little"
        Whether the first of eight is the highest bit or the lowest.

    Returns
    -------
    Array of uint8

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.packbits(pnp.array([0, 0, 0, 0, 0, 1, 0, 1])).tolist()
    [5]
    """
    x = as_array(a, "packbits")
    if not (dtypes.is_integer(x.dtype) or x.dtype == dtypes.bool_):
        raise DtypeError(wrong=f"packbits was given {x.aval}", fix="Give bools or integers")
    shifts = _weights(bitorder, "packbits")
    x = p.ne(x, np.zeros((), x.dtype)) if x.dtype != dtypes.bool_ else x
    x, d = (x.ravel(), 0) if axis is None else (x, normalize_axis(axis, x.ndim, "packbits"))
    x = moveaxis(x, d, -1)
    lack = -x.shape[-1] % 8
    if lack:
        sides = ((0, 0, 0),) * (x.ndim - 1) + ((0, lack, 0),)
        x = p.pad(x, np.zeros((), bool), padding_config=sides)
    x = x.reshape((*x.shape[:-1], x.shape[-1] // 8, 8)).astype(np.uint8) << shifts
    return moveaxis(reductions.sum(x, -1, np.uint8), -1, d)


def unpackbits(a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> Any:
    """The bits of bytes, one in an element.

    Parameters
    ----------
    a : array of uint8
    axis : int, or None for the flattened array
    count : int, optional
        How many bits to give: more are zero, and a negative number is taken off the end.
    bitorder : "big" or "little"
        Whether the highest bit comes first or the lowest.

    Returns
    -------
    Array of uint8

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.unpackbits(pnp.array([5], pnp.uint8)).tolist()
    [0, 0, 0, 0, 0, 1, 0, 1]
    """
    x = as_array(a, "unpackbits")
    if x.dtype != np.uint8:
        raise DtypeError(wrong=f"unpackbits was given {x.aval}", fix="Give an array of uint8")
    shifts = _weights(bitorder, "unpackbits")
    x, d = (x.ravel(), 0) if axis is None else (x, normalize_axis(axis, x.ndim, "unpackbits"))
    x = moveaxis(x, d, -1)
    bits = (x[..., None] >> shifts) & np.uint8(1)
    bits = bits.reshape((*x.shape[:-1], 8 * x.shape[-1]))
    if count is not None:
        count = operator.index(count)
        n = bits.shape[-1]
        if count > n:
            sides = ((0, 0, 0),) * (bits.ndim - 1) + ((0, count - n, 0),)
            bits = p.pad(bits, np.zeros((), np.uint8), padding_config=sides)
        else:
            bits = bits[..., :count]
    return moveaxis(bits, -1, d)
