"""Rounding, the parts of numbers, and floats taken apart: floor, round, real, modf, frexp, ldexp, signbit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError
from portax.numpy.composition import composite
from portax.numpy.families import binary, by_kind, refused, unary
from portax.numpy.promotion import as_array, fit_shapes, promote_args_inexact, promote_dtypes
from portax.primitives import arithmetic, bits, comparison, complex_parts, conversion
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.comparison import select_n
from portax.primitives.conversion import bitcast_convert_type, convert, convert_element_type
from portax.primitives.elementwise import like
from portax.primitives.zeros import zero


def _itself(x: Array) -> Array:
    return x


def _no_complex(name: str) -> Any:
    def f(*xs: Array) -> Array:
        raise refused(name, xs[0].dtype, "Work on the real and imaginary parts")

    return f


def _nearest_even(x: Array) -> Array:
    return arithmetic.round_(x, rounding_method=1)


def _towards_zero(x: Array) -> Array:
    return select_n(comparison.lt(x, like(x, 0)), arithmetic.floor(x), arithmetic.ceil(x))


def _each_part(f: Any) -> Any:
    return lambda z: complex_parts.complex_(f(complex_parts.real(z)), f(complex_parts.imag(z)))


def _rounding(name: str, of_float: Any, line: str, example: str) -> Any:
    return unary(
        name,
        by_kind(float=of_float, complex=_no_complex(name), otherwise=_itself),
        line,
        f">>> pnp.{name}(pnp.array([1.5, -1.5]))\nArray({example}, dtype=float32)",
        notes="Integers and bools are returned as they are. The derivative is 0.",
    )


floor = _rounding("floor", arithmetic.floor, "The greatest whole number not above each element.", "[ 1., -2.]")
ceil = _rounding("ceil", arithmetic.ceil, "The least whole number not below each element.", "[ 2., -1.]")
trunc = _rounding("trunc", _towards_zero, "Each element without its fraction: rounded towards 0.", "[ 1., -1.]")


def rint(x: Any, /) -> Array:
    """Each element rounded to the nearest whole number, ties to the even one; floating point for integers too.

    Examples
    --------
    >>> pnp.rint(pnp.array([0.5, 1.5, -1.2]))
    Array([ 0.,  2., -1.], dtype=float32)
    """
    x = as_array(x, "rint")
    if not dtypes.is_inexact(x.dtype):
        return convert_element_type(x, new_dtype=dtypes.canonicalize_dtype(float), weak_type=False, sharding=None)
    return _each_part(_nearest_even)(x) if dtypes.is_complex(x.dtype) else _nearest_even(x)


def round(a: Any, decimals: int = 0, out: None = None) -> Array:
    """Each element rounded to a number of decimals, ties to the even neighbour.

    Parameters
    ----------
    a : Array or number, not bool
    decimals : int
        Negative ones round to tens, hundreds and so on, for floating point only.
    out : None
        Kept for programs that name it.

    Examples
    --------
    >>> pnp.round(pnp.array([1.25, 2.34]), 1)
    Array([1.2, 2.3], dtype=float32)
    """
    if out is not None:
        raise ArgumentError(wrong="round was given out=, and arrays are immutable", fix="Use the result")
    a = as_array(a, "round")
    decimals = int(decimals)
    if a.dtype == dtypes.bool_:
        raise refused("round", a.dtype, "Convert to a number first, with .astype(int)")
    if dtypes.is_integer(a.dtype):
        if decimals < 0:
            raise ArgumentError(
                wrong=f"round cannot round integers ({a.aval}) to {decimals} decimals", fix="Convert to floating point"
            )
        return a
    one = lambda x: _to_decimals(x, decimals)
    return _each_part(one)(a) if dtypes.is_complex(a.dtype) else one(a)


def _to_decimals(x: Array, decimals: int) -> Array:
    if not decimals:
        return _nearest_even(x)
    factor = 10.0**decimals
    wide = convert(x, dtypes.float32) if x.dtype == dtypes.float16 or x.dtype == dtypes.bfloat16 else x
    wide = arithmetic.div(_nearest_even(arithmetic.mul(wide, like(wide, factor))), like(wide, factor))
    return convert_element_type(wide, new_dtype=x.dtype, weak_type=x.weak_type) if wide.dtype != x.dtype else wide


around = round


# Complex numbers.

real = unary(
    "real",
    by_kind(complex=complex_parts.real, otherwise=_itself),
    "The real part of each element.",
    ">>> pnp.real(pnp.array([1.0 + 2.0j]))\nArray([1.], dtype=float32)",
    returns="Array of the shape of ``x``, real",
)


def _zeros_like(x: Array) -> Array:
    if not x.ndim:
        return arithmetic.sub(x, x) if x.dtype != dtypes.bool_ and not dtypes.is_inexact(x.dtype) else _firm_zero(x)
    return broadcast_in_dim(zero(x.dtype), shape=x.shape, broadcast_dimensions=(), sharding=None)


def _firm_zero(x: Array) -> Array:
    value = as_array(np.zeros((), x.dtype))
    return convert_element_type(value, new_dtype=x.dtype, weak_type=True) if x.weak_type else value


imag = unary(
    "imag",
    by_kind(complex=complex_parts.imag, otherwise=_zeros_like),
    "The imaginary part of each element; zeros for real ``x``.",
    ">>> pnp.imag(pnp.array([1.0 + 2.0j]))\nArray([2.], dtype=float32)",
    returns="Array of the shape of ``x``, real",
)
conjugate = conj = unary(
    "conjugate",
    by_kind(complex=lambda x: complex_parts.conj(x, input_dtype=x.dtype), otherwise=_itself),
    "The complex conjugate of each element; real numbers as they are.",
    ">>> pnp.conjugate(pnp.array([1.0 + 2.0j]))\nArray([1.-2.j], dtype=complex64)",
)


# Floats taken apart.


def modf(x: Any, /, out: None = None) -> tuple[Array, Array]:
    """The fraction and the whole part of each element, both with its sign.

    Returns
    -------
    (Array, Array) of floating point

    Examples
    --------
    >>> pnp.modf(pnp.array([1.5, -2.25]))
    (Array([ 0.5 , -0.25], dtype=float32), Array([ 1., -2.], dtype=float32))
    """
    if out is not None:
        raise ArgumentError(wrong="modf was given out=, and arrays are immutable", fix="Use the result")
    (x,) = promote_args_inexact("modf", x)
    if dtypes.is_complex(x.dtype):
        raise refused("modf", x.dtype, "Work on the real and imaginary parts")
    whole = _towards_zero(x)
    return arithmetic.sub(x, whole), whole


def _unsigned_bits(x: Array) -> Array:
    return bitcast_convert_type(x, new_dtype=np.dtype(f"uint{dtypes.bits(x.dtype)}"))


def _sign_bit(x: Array) -> Array:
    words = _unsigned_bits(x)
    top = np.asarray(1 << (dtypes.bits(words.dtype) - 1), words.dtype)
    return comparison.ge(words, top)


signbit = unary(
    "signbit",
    by_kind(
        bool=lambda x: bits.and_(x, bits.not_(x)),
        int=lambda x: comparison.lt(x, like(x, 0)),
        float=_sign_bit,
        complex=_no_complex("signbit"),
    ),
    "Whether the sign of each element is minus; also of -0.0 and of NaN.",
    ">>> pnp.signbit(pnp.array([1.0, -0.0]))\nArray([False,  True], dtype=bool)",
    returns="Array of bool, of the shape of ``x``",
)


copysign = binary(
    "copysign",
    by_kind(
        float=lambda x, y: select_n(comparison.ne(_sign_bit(x), _sign_bit(y)), x, arithmetic.neg(x)),
        complex=_no_complex("copysign"),
    ),
    "The magnitude of ``x1`` with the sign of ``x2``.",
    ">>> pnp.copysign(pnp.array([1.0, -2.0]), -0.0)\nArray([-1., -2.], dtype=float32)",
    to=dtypes.to_inexact,
)


nextafter = binary(
    "nextafter",
    conversion.nextafter,
    "The float next to ``x1`` on the way to ``x2``.",
    ">>> pnp.nextafter(pnp.array([1.0, 1.0]), pnp.array([2.0, 0.0]))\nArray([1.0000001 , 0.99999994], dtype=float32)",
    to=dtypes.to_inexact,
)


def spacing(x: Any, /) -> Array:
    """The distance from each element to the next float away from 0, with the sign of the element.

    Returns
    -------
    Array of the shape of ``x``, floating point; NaN for infinities

    Examples
    --------
    >>> pnp.spacing(pnp.array([1.0, 1024.0]))
    Array([1.1920929e-07, 1.2207031e-04], dtype=float32)
    """
    (x,) = promote_args_inexact("spacing", x)
    if dtypes.is_complex(x.dtype):
        raise refused("spacing", x.dtype, "Work on the real and imaginary parts")
    return _step_away(convert_element_type(x, new_dtype=x.dtype, weak_type=False) if x.weak_type else x)


@composite
def _step_away(x: Array) -> Array:
    outwards = select_n(_sign_bit(x), like(x, math.inf), like(x, -math.inf))
    return arithmetic.sub(conversion.nextafter(x, outwards), x)


def _layout(dtype: Any) -> tuple[Any, int, int, int]:
    """The integer dtype of a float's width, its mantissa bits, the mask of its exponent, and its bias."""
    info = dtypes.finfo(dtype)
    exponent_bits = int(info.bits) - 1 - int(info.nmant)
    return np.dtype(f"int{int(info.bits)}"), int(info.nmant), (1 << exponent_bits) - 1, (1 << (exponent_bits - 1)) - 1


def frexp(x: Any, /) -> tuple[Array, Array]:
    """Each element as a fraction, of magnitude in [0.5, 1), times a power of 2.

    Returns
    -------
    (Array, Array of int32)
        The fraction and the exponent. 0, infinities and NaN are their own fraction, with exponent 0.

    Examples
    --------
    >>> pnp.frexp(pnp.array([8.0, -0.75]))
    (Array([ 0.5 , -0.75], dtype=float32), Array([4, 0], dtype=int32))
    """
    (x,) = promote_args_inexact("frexp", x)
    if dtypes.is_complex(x.dtype):
        raise refused("frexp", x.dtype, "Work on the real and imaginary parts")
    x = convert_element_type(x, new_dtype=x.dtype, weak_type=False) if x.weak_type else x
    words, mantissa, mask, bias = _layout(x.dtype)
    # Numbers below the normal range are lifted into it first, where the exponent can be read off.
    lift = mantissa + 1
    small = comparison.lt(arithmetic.abs_(x), np.asarray(dtypes.finfo(x.dtype).smallest_normal, x.dtype))
    lifted = select_n(small, x, arithmetic.mul(x, like(x, 2.0**lift)))
    pattern = bitcast_convert_type(lifted, new_dtype=words)
    field = bits.and_(bits.shift_right_logical(pattern, np.asarray(mantissa, words)), np.asarray(mask, words))
    special = bits.or_(comparison.eq(x, like(x, 0)), comparison.eq(field, np.asarray(mask, words)))
    cleared = bits.and_(pattern, np.asarray(~(mask << mantissa), words))
    half = bits.or_(cleared, np.asarray((bias - 1) << mantissa, words))
    fraction = select_n(special, bitcast_convert_type(half, new_dtype=x.dtype), x)
    exponent = arithmetic.sub(convert(field, dtypes.int32), np.asarray(bias - 1, np.int32))
    exponent = select_n(small, exponent, arithmetic.sub(exponent, np.asarray(lift, np.int32)))
    return fraction, select_n(special, exponent, np.asarray(0, np.int32))


def ldexp(x1: Any, x2: Any, /) -> Array:
    """``x1`` times 2 to the integer power ``x2``, rounded once.

    Examples
    --------
    >>> pnp.ldexp(pnp.array([0.5, -0.75]), pnp.array([4, 1]))
    Array([ 8. , -1.5], dtype=float32)
    """
    a, n = as_array(x1, "ldexp"), as_array(x2, "ldexp")
    if dtypes.is_complex(a.dtype) or dtypes.is_inexact(n.dtype):
        raise refused("ldexp", a.dtype if dtypes.is_complex(a.dtype) else n.dtype, "Give a real number and an integer")
    (a,) = promote_dtypes("ldexp", a, to=dtypes.to_inexact)
    a = convert_element_type(a, new_dtype=a.dtype, weak_type=False) if a.weak_type else a
    dtype = a.dtype
    wide = dtype if dtypes.bits(dtype) >= 32 else dtypes.float32
    a, n = fit_shapes("ldexp", [convert(a, wide), convert(n, dtypes.int32)])
    words, mantissa, _, bias = _layout(wide)
    # Any float, times any of these, is finite, 0 or right: the product is taken in three steps that fit the exponent.
    most = np.asarray(3 * (bias - 1), np.int32)
    n = arithmetic.max_(arithmetic.min_(n, most), arithmetic.neg(most))
    third = arithmetic.div(n, np.asarray(3, np.int32))
    last = arithmetic.sub(n, arithmetic.add(third, third))
    for k in (third, third, last):
        power = bits.shift_left(arithmetic.add(convert(k, words), np.asarray(bias, words)), np.asarray(mantissa, words))
        a = arithmetic.mul(a, bitcast_convert_type(power, new_dtype=wide))
    return convert(a, dtype)
