"""Bits and uniform numbers, from which all other samples are made.

A float in [0, 1) is made of random mantissa bits under the exponent of 1, minus 1: all floats made are equally spaced
and equally likely. A random integer is a remainder of twice as many random bits as its dtype has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.lazy import lazy
from portax.errors import DtypeError
from portax.numpy.promotion import as_array
from portax.primitives.arithmetic import add, max_, mul, rem, sub
from portax.primitives.bits import and_, or_, shift_right_logical
from portax.primitives.broadcasting import reshape
from portax.primitives.comparison import clamp, gt, le
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.decomposing import constant, where
from portax.primitives.elementwise import like
from portax.primitives.random_bits import random_bits, random_split, stored_bits
from portax.primitives.slicing import part
from portax.random.sampling import Shape, common_shape, dtype_for, sampler, sizes, spread, typed_key

laying = lazy("portax.higher_order.laying")


# -- for the formulas of other samplers -------------------------------------------------------------------------------
def row(x: Any, i: int) -> Any:
    """``x[i]``."""
    return reshape(part(x, 0, i, i + 1), new_sizes=x.aval.shape[1:], dimensions=None)


def split_key(key: Any, n: int = 2) -> list[Any]:
    """``n`` keys from one."""
    keys = random_split(key, shape=(n,))
    return [row(keys, i) for i in range(n)]


def unit(key: Any, shape: Shape, dtype: Any) -> Any:
    """Floats in [0, 1)."""
    width, mantissa = dtypes.bits(dtype), int(dtypes.finfo(dtype).nmant)
    words = np.dtype(f"uint{width}")
    drawn = 8 if mantissa < 8 else width
    bits = convert(random_bits(key, bit_width=drawn, shape=shape), words)
    one = np.ones((), dtype)
    bits = or_(shift_right_logical(bits, like(bits, drawn - mantissa)), constant(words, int(one.view(words))))
    return sub(bitcast_convert_type(bits, new_dtype=dtype), one)


def unit_on_host(key: np.ndarray, shape: Shape, dtype: Any) -> np.ndarray:
    """``unit`` of a stored key, by NumPy."""
    width, mantissa = dtypes.bits(dtype), int(dtypes.finfo(dtype).nmant)
    words = np.dtype(f"uint{width}")
    drawn = 8 if mantissa < 8 else width
    bits = stored_bits(key, drawn, shape).astype(words, copy=False)
    one = np.ones((), dtype)
    bits = (bits >> words.type(drawn - mantissa)) | one.view(words)
    return bits.view(dtype) - one


def between(key: Any, shape: Shape, dtype: Any, low: Any, high: Any) -> Any:
    """Floats in [low, high), whose dtype is ``dtype`` and which are scalars or spread to ``shape``."""
    low, high = (spread(as_array(x), shape) for x in (low, high))
    return max_(low, add(mul(unit(key, shape, dtype), sub(high, low)), low))


# -- for users --------------------------------------------------------------------------------------------------------
@sampler
def _bits(key: Any, *, bit_width: int, shape: Shape) -> Any:
    return random_bits(key, bit_width=bit_width, shape=shape)


def bits(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Random bits as unsigned integers.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    shape : tuple of int
    dtype : dtype, optional
        uint8, uint16, uint32 or uint64; uint32 by default, uint64 with ``enable_x64``.

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from portax import random
    >>> random.bits(random.key(0), (2,))
    Array([4070199207, 4202968722], dtype=uint32)
    """
    if out_sharding is not None:
        return laying.laid(bits(key, shape, dtype), out_sharding)
    key, _ = typed_key(key, "bits")
    dtype = dtype_for(dtype, "bits", "uint")
    if dtypes.is_narrow(dtype):
        raise DtypeError(wrong=f"bits gives dtypes of 8 bits and more, not {dtype.name}", fix="Ask for uint8")
    return _bits(key, bit_width=dtypes.bits(dtype), shape=sizes(shape, "bits"))


@sampler
def _uniform(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return unit(key, shape, dtype)


@sampler
def _uniform_between(key: Any, low: Any, high: Any, *, shape: Shape, dtype: Any) -> Any:
    return between(key, shape, dtype, convert(low, dtype), convert(high, dtype))


def uniform(
    key: Any, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0, *, out_sharding: Any = None
) -> Array:
    """Floats in [minval, maxval), each with the same probability.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    shape : tuple of int
    dtype : floating dtype, optional
    minval, maxval : numbers or Arrays that spread to ``shape``

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from portax import random
    >>> random.uniform(random.key(0), (2,))
    Array([0.947667 , 0.9785799], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(uniform(key, shape, dtype, minval, maxval), out_sharding)
    key, _ = typed_key(key, "uniform")
    dtype, shape = dtype_for(dtype, "uniform"), sizes(shape, "uniform")
    # Scaling by 1 and adding 0 changes nothing, so it is left out where that is known.
    if type(minval) in (int, float) and type(maxval) in (int, float) and minval == 0 and maxval == 1:
        return _uniform(key, shape=shape, dtype=dtype)
    low, high = as_array(minval, "uniform"), as_array(maxval, "uniform")
    common_shape(shape, "uniform", low.shape, high.shape)
    return _uniform_between(key, low, high, shape=shape, dtype=dtype)


def _clipped(x: Any, dtype: Any) -> Any:
    """Integers in another dtype, the nearest where they do not fit."""
    own, new = dtypes.iinfo(x.dtype), dtypes.iinfo(dtype)
    low, high = max(int(own.min), int(new.min)), min(int(own.max), int(new.max))
    if (low, high) != (int(own.min), int(own.max)):
        x = clamp(constant(x.dtype, low), x, constant(x.dtype, high))
    return convert(x, dtype)


@sampler
def _randint(key: Any, low: Any, high: Any, *, shape: Shape, dtype: Any) -> Any:
    sampled = dtype
    if dtypes.bits(dtype) < 32:
        # At least 32 bits are drawn twice, or the remainder would favour small numbers.
        info, sampled = dtypes.iinfo(dtype), dtypes.int32
        low = convert(low, sampled).clip(int(info.min), int(info.max))
        high = convert(high, sampled).clip(int(info.min), int(info.max) + 1)
    width = dtypes.bits(sampled)
    words = np.dtype(f"uint{width}")
    beyond = gt(high, _clipped(constant(sampled, int(dtypes.iinfo(sampled).max)), high.dtype))
    low, high = spread(_clipped(low, sampled), shape), spread(_clipped(high, sampled), shape)
    first, second = (random_bits(k, bit_width=width, shape=shape) for k in split_key(key))
    span = convert(sub(high, low), words)
    one = like(span, 1)
    span = where(le(high, low), one, span)
    # A range that ends beyond the dtype is longer by one; where that is all of it, 0 stands for no remainder taken.
    span = where(and_(spread(beyond, shape), gt(high, low)), add(span, one), span)
    # (a * b) mod n from a mod n and b mod n; b is how many values the low word has.
    weight = rem(constant(words, 1 << (width // 2)), span)
    weight = rem(mul(weight, weight), span)
    offset = rem(add(mul(rem(first, span), weight), rem(second, span)), span)
    return convert(add(low, convert(offset, sampled)), dtype)


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Integers in [minval, maxval), each with nearly the same probability.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    shape : tuple of int
    minval, maxval : integers or Arrays that spread to ``shape``
        Bounds outside the dtype are drawn to its ends; where ``maxval <= minval`` the result is ``minval``.
    dtype : integer dtype, optional

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from portax import random
    >>> random.randint(random.key(0), (4,), 0, 10).shape
    (4,)
    """
    if out_sharding is not None:
        return laying.laid(randint(key, shape, minval, maxval, dtype), out_sharding)
    key, _ = typed_key(key, "randint")
    dtype, shape = dtype_for(dtype, "randint", "int"), sizes(shape, "randint")
    low, high = (as_array(x, "randint") for x in (minval, maxval))
    default = dtype_for(None, "randint", "int")
    low, high = (x if dtypes.is_integer(x.dtype) else convert(x, default) for x in (low, high))
    common_shape(shape, "randint", low.shape, high.shape)
    return _randint(key, low, high, shape=shape, dtype=dtype)
