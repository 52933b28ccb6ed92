"""The bytes of an array read otherwise: the methods ``view`` and ``byteswap``.

What has no fixed bits of its own goes by way of what has: truth values are bytes that are 0 or not, a complex number is
a pair of floating ones. Rows stay rows: only the last axis changes its length.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ShapeError
from portax.numpy.joining import stack
from portax.numpy.shaping import reshape
from portax.numpy.turning import flip
from portax.primitives import complex_parts
from portax.primitives.comparison import ne
from portax.primitives.conversion import bitcast_convert_type, convert


def view(x: Array, dtype: Any = None) -> Array:
    """The bytes of an array read as another dtype.

    Parameters
    ----------
    x : Array of shape (..., n)
    dtype : dtype, optional
        The array's own if None. Where its elements are ``k`` times smaller, the last axis is ``k`` times longer; where
        they are ``k`` times larger, ``k`` times shorter. Read as bool, an element is true unless it is 0.

    Raises
    ------
    ShapeError
        The bytes of a row are not whole elements of ``dtype``.

    Examples
    --------
    >>> pnp.array([1.0, 2.0]).view(pnp.int32)
    Array([1065353216, 1073741824], dtype=int32)
    """
    new = x.dtype if dtype is None else dtypes.user_dtype(dtype, "view")
    if new == x.dtype:
        return x
    old_bits, new_bits = dtypes.bits(x.dtype), dtypes.bits(new)
    if not x.ndim:
        if old_bits != new_bits:
            raise ShapeError(
                wrong=f"an array of rank 0 ({x.aval}) is no row of {dtypes.name_of(new)}, of another size",
                fix="Reshape it to one axis first, with .reshape(1)",
            )
        return reshape(view(reshape(x, (1,)), new), ())
    if x.shape[-1] * old_bits % new_bits:
        raise ShapeError(
            wrong=f"rows of {x.aval} are not whole elements of {dtypes.name_of(new)}: {x.shape[-1]} times {old_bits} "
            f"bits is no multiple of {new_bits}",
            fix="Give a dtype whose size divides the row's, or reshape first",
        )
    return _from_bits(_with_bits(x), new)


def byteswap(x: Array) -> Array:
    """An array with the bytes of each element (of each part, where complex) in the other order.

    Examples
    --------
    >>> pnp.array([1, 256], dtype=pnp.int16).byteswap()
    Array([256,   1], dtype=int16)
    """
    size = dtypes.bits(dtypes.real_dtype(x.dtype)) // 8
    if size < 2:
        return x
    if not x.ndim:
        return reshape(byteswap(reshape(x, (1,))), ())
    parts = _with_bits(x)
    octets = bitcast_convert_type(parts, new_dtype=np.dtype(np.uint8))
    return _from_bits(bitcast_convert_type(flip(octets, -1), new_dtype=parts.dtype), x.dtype)


def _with_bits(x: Array) -> Array:
    """``x`` as elements whose bits are fixed: a complex row as real and imaginary parts in turn."""
    if dtypes.kind(x.dtype) == "complex":
        pairs = stack([complex_parts.real(x), complex_parts.imag(x)], -1)
        return reshape(pairs, (*x.shape[:-1], 2 * x.shape[-1]))
    return convert(x, np.dtype(np.uint8)) if x.dtype == dtypes.bool_ else x


def _from_bits(x: Array, new: Any) -> Array:
    """Rows of elements whose bits are fixed, read as ``new``."""
    if new == dtypes.bool_:
        octets = _from_bits(x, np.dtype(np.uint8))
        return ne(octets, np.uint8(0))
    if dtypes.kind(new) == "complex":
        parts = _from_bits(x, dtypes.real_dtype(new))
        pairs = reshape(parts, (*parts.shape[:-1], parts.shape[-1] // 2, 2))
        return complex_parts.complex_(pairs[..., 0], pairs[..., 1])
    old_bits, new_bits = dtypes.bits(x.dtype), dtypes.bits(new)
    rows = (*x.shape[:-1], x.shape[-1] * old_bits // new_bits)
    if new_bits > old_bits:
        x = reshape(x, (*rows, new_bits // old_bits))
    return reshape(bitcast_convert_type(x, new_dtype=new), rows)
