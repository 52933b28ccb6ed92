"""Normal numbers and what is made of them.

A normal number is ``sqrt(2) erf_inv(u)`` with ``u`` uniform in (-1, 1): one uniform for each, so samples keep their
places in the array. Up to float32, ``erf_inv`` is Giles' polynomial, which is also what XLA compiles the primitive to:
the samples are the same bits then, where a rounding differs within a few units in the last place.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.lazy import lazy
from portax.numpy.promotion import as_array
from portax.primitives.arithmetic import add, div, mul, neg, sqrt, sub
from portax.primitives.barriers import stop_gradient
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.comparison import clamp, lt
from portax.primitives.complex_parts import complex_
from portax.primitives.conversion import convert, nextafter
from portax.primitives.decomposing import constant, where
from portax.primitives.elementwise import like
from portax.primitives.exponential import exp, log1p
from portax.primitives.special import erf, erf_inv
from portax.random.sampling import (
    Shape,
    common_shape,
    dtype_for,
    parameters,
    sampler,
    sampler_with,
    sizes,
    spread,
    typed_key,
)
from portax.random.uniform import between, split_key, unit_on_host

laying = lazy("portax.higher_order.laying")

SQRT2 = float(np.sqrt(2))


@functools.cache
def _above_minus_one(dtype: Any) -> np.ndarray:
    """The float next to -1 on the way to 0."""
    return np.asarray(np.nextafter(np.asarray(-1, dtype), np.asarray(0, dtype)), dtype)


_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip


def _erf_inv(x: Any) -> Any:
    """``erf_inv`` in the open interval (-1, 1), to float32's precision.

    References
    ----------
    Giles, Approximating the erfinv function, GPU Computing Gems, 2010.
    """
    dtype = x.dtype
    if dtypes.bits(dtype) > 32:
        return erf_inv(x)
    x = convert(x, dtypes.float32)
    w = neg(log1p(neg(mul(x, x))))
    centre = lt(w, like(w, 5.0))
    t = where(centre, sub(w, like(w, 2.5)), sub(sqrt(w), like(w, 3.0)))
    p = where(centre, like(w, _CENTRE[0]), broadcast_to(like(w, _TAIL[0]), w.aval.shape))
    for a, b in zip(_CENTRE[1:], _TAIL[1:], strict=True):
        p = add(where(centre, like(w, a), broadcast_to(like(w, b), w.aval.shape)), mul(p, t))
    return convert(mul(p, x), dtype)


def real_normal(key: Any, shape: Shape, dtype: Any) -> Any:
    """Normal numbers of a real dtype, for formulas."""
    u = between(key, shape, dtype, _above_minus_one(dtype), np.ones((), dtype))
    return mul(constant(dtype, SQRT2), _erf_inv(u))


def any_normal(key: Any, shape: Shape, dtype: Any) -> Any:
    """Normal numbers; complex ones have variance 1/2 in each part."""
    if not dtypes.is_complex(dtype):
        return real_normal(key, shape, dtype)
    real = dtypes.real_dtype(dtype)
    parts = complex_(*(real_normal(k, shape, real) for k in split_key(key)))
    return div(parts, constant(dtype, SQRT2))


def _normal_on_host(key: np.ndarray, *, shape: Shape, dtype: Any) -> np.ndarray | None:
    """``real_normal`` operation by operation, but for this: only elements in the tail take the tail's polynomial.

    A small sample is a few dozen calls of NumPy at about a microsecond each; walking the staged program makes three
    times as many.
    """
    if dtypes.is_complex(dtype) or dtypes.bits(dtype) > 32:
        return None
    low, high = _above_minus_one(dtype), np.ones((), dtype)
    x = np.maximum(low, unit_on_host(key, shape, dtype) * (high - low) + low).astype(np.float32, copy=False)
    w = -np.log1p(-(x * x))
    p = _horner(_CENTRE, w - np.float32(2.5))
    tail = w >= np.float32(5.0)
    if tail.any():
        p = np.asarray(p)
        p[tail] = _horner(_TAIL, np.sqrt(w[tail]) - np.float32(3.0))
    return np.asarray(np.asarray(p * x).astype(dtype, copy=False) * constant(dtype, SQRT2))


def _horner(coefficients: tuple[float, ...], t: np.ndarray) -> np.ndarray:
    p = np.float32(coefficients[0]) * t
    for c in coefficients[1:-1]:
        p += np.float32(c)
        p *= t
    p += np.float32(coefficients[-1])
    return p


@sampler_with(_normal_on_host)
def _normal(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return any_normal(key, shape, dtype)


def normal(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Normal numbers of mean 0 and variance 1.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    shape : tuple of int
    dtype : floating or complex dtype, optional

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from portax import random
    >>> random.normal(random.key(0), (3,)).shape
    (3,)
    """
    if out_sharding is not None:
        return laying.laid(normal(key, shape, dtype), out_sharding)
    key, _ = typed_key(key, "normal")
    return _normal(key, shape=sizes(shape, "normal"), dtype=dtype_for(dtype, "normal", "inexact"))


@sampler
def _lognormal(key: Any, sigma: Any, *, shape: Shape, dtype: Any) -> Any:
    return exp(mul(any_normal(key, shape, dtype), spread(convert(sigma, dtype), shape)))


def lognormal(key: Any, sigma: Any = 1.0, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """``exp(sigma n)`` of normal numbers ``n``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    sigma : number or Array
    shape : tuple of int, optional
        By default the shape of ``sigma``.
    dtype : floating or complex dtype, optional

    Examples
    --------
    >>> portax.random.lognormal(portax.random.key(0), 1.0, (2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(lognormal(key, sigma, shape, dtype), out_sharding)
    key, _ = typed_key(key, "lognormal")
    dtype = dtype_for(dtype, "lognormal", "inexact")
    (sigma,) = parameters("lognormal", dtype, sigma)
    return _lognormal(key, sigma, shape=common_shape(shape, "lognormal", sigma.shape), dtype=dtype)


@sampler
def _truncated_normal(key: Any, lower: Any, upper: Any, *, shape: Shape, dtype: Any) -> Any:
    sqrt2, infinity = constant(dtype, SQRT2), np.asarray(np.inf, dtype)
    lower, upper = convert(lower, dtype), convert(upper, dtype)
    u = between(key, shape, dtype, erf(div(lower, sqrt2)), erf(div(upper, sqrt2)))
    out = mul(sqrt2, _erf_inv(u))
    # Rounding must not reach a bound.
    low = nextafter(stop_gradient(lower), infinity)
    high = nextafter(stop_gradient(upper), -infinity)
    return clamp(spread(low, shape), out, spread(high, shape))


def truncated_normal(
    key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Normal numbers, given that they lie in the open interval (lower, upper).

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    lower, upper : numbers or Arrays
    shape : tuple of int, optional
        By default what the bounds spread to.
    dtype : floating dtype, optional

    References
    ----------
    Inversion of the distribution function, erf being that of the normal distribution up to scale.

    Examples
    --------
    >>> portax.random.truncated_normal(portax.random.key(0), -1.0, 1.0, (2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(truncated_normal(key, lower, upper, shape, dtype), out_sharding)
    key, _ = typed_key(key, "truncated_normal")
    dtype = dtype_for(dtype, "truncated_normal")
    low, high = as_array(lower, "truncated_normal"), as_array(upper, "truncated_normal")
    shape = common_shape(shape, "truncated_normal", low.shape, high.shape)
    return _truncated_normal(key, low, high, shape=shape, dtype=dtype)
