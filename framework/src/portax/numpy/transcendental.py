"""Exponentials, logarithms, trigonometric and hyperbolic functions, and angles.

All are floating point: integers and bools are read as float32, or float64 where they have 64 bits.
"""

from __future__ import annotations

import math
from typing import Any

from portax.core import dtypes
from portax.core.array import Array
from portax.core.aval import aval_of
from portax.higher_order.custom_jvp import custom_jvp
from portax.numpy.families import binary, by_kind, refused, unary
from portax.numpy.promotion import as_array, literal, promote_args_inexact, spread
from portax.primitives import bits, comparison, complex_parts, exponential, special, trigonometric
from portax.primitives.arithmetic import abs_, add, div, max_, min_, mul, neg, round_, sqrt, square, sub
from portax.primitives.comparison import select_n
from portax.primitives.conversion import convert_element_type
from portax.primitives.elementwise import like
from portax.primitives.zeros import zeros

_RADIANS = "Any shape; an angle in radians."


def _row(name: str, primitive: Any, line: str, example: str, **slots: Any) -> Any:
    return unary(name, primitive, line, f">>> pnp.{name}{example}", to=dtypes.to_inexact, **slots)


exp = _row(
    "exp", exponential.exp, "e to the power of each element.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([1.   , 2.718], dtype=float32)",
)  # fmt: skip
exp2 = _row(
    "exp2", exponential.exp2, "2 to the power of each element.",
    "(pnp.array([3.0, 0.5])).round(3)\nArray([8.   , 1.414], dtype=float32)",
)  # fmt: skip
expm1 = _row(
    "expm1", exponential.expm1, "``exp(x) - 1``, accurate near 0 too.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 1.718], dtype=float32)",
)  # fmt: skip
log = _row(
    "log", exponential.log, "Natural logarithm of each element: NaN for negative real ``x``, -inf at 0.",
    "(pnp.array([1.0, 10.0])).round(3)\nArray([0.   , 2.303], dtype=float32)",
)  # fmt: skip
log1p = _row(
    "log1p", exponential.log1p, "``log(1 + x)``, accurate near 0 too.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 0.693], dtype=float32)",
)  # fmt: skip


def _logarithm(base: float) -> Any:
    def f(x: Array) -> Array:
        y, scale = exponential.log(x), math.log(base)
        if dtypes.is_complex(y.dtype):
            # Part by part: an infinite part must not make the other one NaN.
            return complex_parts.complex_(
                *(div(p, like(p, scale)) for p in (complex_parts.real(y), complex_parts.imag(y)))
            )
        return div(y, like(y, scale))

    return lambda dtype: f


log2 = _row(
    "log2", _logarithm(2.0), "Logarithm to the base 2.",
    "(pnp.array([1.0, 8.0]))\nArray([0., 3.], dtype=float32)", firm=True,
)  # fmt: skip
log10 = _row(
    "log10", _logarithm(10.0), "Logarithm to the base 10.",
    "(pnp.array([1.0, 100.0]))\nArray([0., 2.], dtype=float32)", firm=True,
)  # fmt: skip

sin = _row(
    "sin", trigonometric.sin, "Sine of an angle in radians.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 0.841], dtype=float32)", x=_RADIANS,
)  # fmt: skip
cos = _row(
    "cos", trigonometric.cos, "Cosine of an angle in radians.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([1.  , 0.54], dtype=float32)", x=_RADIANS,
)  # fmt: skip
tan = _row(
    "tan", trigonometric.tan, "Tangent of an angle in radians.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 1.557], dtype=float32)", x=_RADIANS,
)  # fmt: skip
arcsin = asin = _row(
    "arcsin", trigonometric.asin, "The angle in [-pi/2, pi/2] radians whose sine is ``x``.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 1.571], dtype=float32)",
)  # fmt: skip
arccos = acos = _row(
    "arccos", trigonometric.acos, "The angle in [0, pi] radians whose cosine is ``x``.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([1.571, 0.   ], dtype=float32)",
)  # fmt: skip
arctan = atan = _row(
    "arctan", trigonometric.atan, "The angle in (-pi/2, pi/2) radians whose tangent is ``x``.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 0.785], dtype=float32)",
)  # fmt: skip
sinh = _row(
    "sinh", trigonometric.sinh, "Hyperbolic sine of each element.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 1.175], dtype=float32)",
)  # fmt: skip
cosh = _row(
    "cosh", trigonometric.cosh, "Hyperbolic cosine of each element.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([1.   , 1.543], dtype=float32)",
)  # fmt: skip
tanh = _row(
    "tanh", trigonometric.tanh, "Hyperbolic tangent of each element.",
    "(pnp.array([0.0, 20.0]))\nArray([0., 1.], dtype=float32)",
)  # fmt: skip
arcsinh = asinh = _row(
    "arcsinh", trigonometric.asinh, "The number whose hyperbolic sine is ``x``.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([0.   , 0.881], dtype=float32)",
)  # fmt: skip
arccosh = acosh = _row(
    "arccosh", trigonometric.acosh, "The number, not negative, whose hyperbolic cosine is ``x``.",
    "(pnp.array([1.0, 2.0])).round(3)\nArray([0.   , 1.317], dtype=float32)",
)  # fmt: skip
arctanh = atanh = _row(
    "arctanh", trigonometric.atanh, "The number whose hyperbolic tangent is ``x``.",
    "(pnp.array([0.0, 0.5])).round(3)\nArray([0.   , 0.549], dtype=float32)",
)  # fmt: skip
arctan2 = atan2 = binary(
    "arctan2",
    trigonometric.atan2,
    "The angle in [-pi, pi] radians of the point with ordinate ``x1`` and abscissa ``x2``.",
    ">>> pnp.arctan2(pnp.array([1.0, -1.0]), 0.0)\nArray([ 1.5707964, -1.5707964], dtype=float32)",
    to=dtypes.to_inexact,
    notes="Signed zeros tell the side of the negative axis: of ``(0.0, -1.0)`` it is pi, of ``(-0.0, -1.0)`` -pi.",
)


def _scaled(factor: float) -> Any:
    return lambda dtype: lambda x: mul(x, _weakly(x, factor))


def _weakly(x: Array, value: float) -> Any:
    return literal(value, x.dtype)


deg2rad = radians = _row(
    "deg2rad", _scaled(math.pi / 180), "Degrees as radians.",
    "(pnp.array([0.0, 180.0])).round(3)\nArray([0.   , 3.142], dtype=float32)", x="Any shape; an angle in degrees.",
)  # fmt: skip
rad2deg = degrees = _row(
    "rad2deg", _scaled(180 / math.pi), "Radians as degrees.",
    "(pnp.array([0.0, pnp.pi]))\nArray([  0., 180.], dtype=float32)", x=_RADIANS,
)  # fmt: skip


def _hypotenuse(x: Array, y: Array) -> Array:
    x, y = abs_(x), abs_(y)
    infinite = bits.or_(comparison.eq(x, like(x, math.inf)), comparison.eq(y, like(y, math.inf)))
    large, small = max_(x, y), min_(x, y)
    still = comparison.eq(large, like(large, 0))
    ratio = div(small, select_n(still, large, like(large, 1)))
    length = mul(large, sqrt(add(square(ratio), like(large, 1))))
    length = select_n(still, length, large)
    return select_n(infinite, length, like(length, math.inf))


def _no_complex(name: str) -> Any:
    def f(*xs: Array) -> Array:
        raise refused(name, xs[0].dtype, "Take real numbers, such as magnitudes or real parts")

    return f


hypot = binary(
    "hypot",
    by_kind(float=_hypotenuse, complex=_no_complex("hypot")),
    "Length of the hypotenuse, ``sqrt(x1**2 + x2**2)``, without overflow on the way.",
    ">>> pnp.hypot(pnp.array([3.0, 5.0]), pnp.array([4.0, 12.0]))\nArray([ 5., 13.], dtype=float32)",
    to=dtypes.to_inexact,
    notes="Infinite where either operand is, also beside NaN.",
)


def _sum_of_exponentials(x: Array, y: Array, exp: Any, log1p: Any) -> Array:
    """max + log1p(exp(-|x - y|)); where both are the same infinity, that infinity."""
    top, gap = max_(x, y), sub(x, y)
    if dtypes.is_complex(gap.dtype):
        first = comparison.eq(top, x)
        gap = select_n(first, neg(gap), gap)
        apart = select_n(comparison.ne(gap, gap), add(top, log1p(exp(neg(gap)))), add(x, y))
        imaginary = complex_parts.imag(apart)
        turn = like(imaginary, 2 * math.pi)
        inside = sub(imaginary, mul(turn, _nearest(div(imaginary, turn))))
        return complex_parts.complex_(complex_parts.real(apart), inside)
    return select_n(comparison.ne(gap, gap), add(top, log1p(exp(neg(abs_(gap))))), add(x, y))


def _nearest(x: Array) -> Array:
    return round_(x, rounding_method=1)


def _share(x: Array, out: Array, exp: Any) -> Array:
    """exp(x - out), the derivative of the sum with respect to ``x``; 0 where x is -inf, whatever the sum."""
    if dtypes.is_complex(x.dtype):
        return exp(sub(x, out))
    top = like(x, math.inf)
    gap = sub(x, select_n(comparison.eq(out, like(x, -math.inf)), out, like(x, 0)))
    return exp(select_n(comparison.eq(x, top), gap, like(x, 0)))


@custom_jvp
def _logaddexp(x: Array, y: Array) -> Array:
    return _sum_of_exponentials(x, y, exponential.exp, exponential.log1p)


@_logaddexp.defjvp
def _logaddexp_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, y), (t, u) = map(as_array, primals), tangents
    out = _logaddexp(x, y)
    return out, add(mul(t, _share(x, out, exponential.exp)), mul(u, _share(y, out, exponential.exp)))


@custom_jvp
def _logaddexp2(x: Array, y: Array) -> Array:
    return _sum_of_exponentials(x, y, exponential.exp2, lambda v: div(exponential.log1p(v), like(v, math.log(2))))


@_logaddexp2.defjvp
def _logaddexp2_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, y), (t, u) = map(as_array, primals), tangents
    out = _logaddexp2(x, y)
    return out, add(mul(t, _share(x, out, exponential.exp2)), mul(u, _share(y, out, exponential.exp2)))


def _spread_to(f: Any) -> Any:
    def g(x: Array, y: Array) -> Array:
        shape = x.shape or y.shape
        return f(spread(x, shape), spread(y, shape))

    return lambda dtype: g


logaddexp = binary(
    "logaddexp",
    _spread_to(_logaddexp),
    "``log(exp(x1) + exp(x2))``, without overflow.",
    ">>> pnp.logaddexp(pnp.array([0.0, 9.0]), pnp.array([0.0, 9.0])).round(3)\nArray([0.693, 9.693], dtype=float32)",
    to=dtypes.to_inexact,
)
logaddexp2 = binary(
    "logaddexp2",
    _spread_to(_logaddexp2),
    "``log2(2**x1 + 2**x2)``, without overflow.",
    ">>> pnp.logaddexp2(pnp.array([0.0, 1.0]), pnp.array([0.0, 1.0]))\nArray([1., 2.], dtype=float32)",
    to=dtypes.to_inexact,
)


def _cardinal_sine(x: Array) -> Array:
    centre = comparison.eq(x, like(x, 0))
    turned = mul(like(x, math.pi), x)
    safe = select_n(centre, turned, like(x, 1))
    # At 0 the Taylor series stands in, so the derivatives hold there too.
    z = square(select_n(centre, like(x, 0), turned))
    series = like(x, 1 / math.factorial(9))
    for k in (7, 5, 3, 1):
        series = sub(like(x, 1 / math.factorial(k)), mul(z, series))
    return select_n(centre, div(trigonometric.sin(safe), safe), series)


sinc = _row(
    "sinc", lambda dtype: _cardinal_sine, "``sin(pi x) / (pi x)``, and 1 at 0.",
    "(pnp.array([0.0, 0.5])).round(3)\nArray([1.   , 0.637], dtype=float32)",
    notes="Derivatives up to the eighth order hold at 0.",
)  # fmt: skip
i0 = _row(
    "i0",
    by_kind(float=lambda x: mul(exponential.exp(abs_(x)), special.bessel_i0e(x)), complex=_no_complex("i0")),
    "Modified Bessel function of the first kind, of order 0.",
    "(pnp.array([0.0, 1.0])).round(3)\nArray([1.   , 1.266], dtype=float32)",
)


def angle(z: Any, deg: bool = False) -> Array:
    """The angle of complex numbers in the plane, in (-pi, pi] radians; in degrees with ``deg``.

    Parameters
    ----------
    z : Array or number
        Real numbers are 0 or pi.

    Returns
    -------
    Array of the shape of ``z``, floating point

    Examples
    --------
    >>> pnp.angle(pnp.array([1.0 + 1.0j, -2.0])).round(3)
    Array([0.785, 3.142], dtype=float32)
    """
    given = as_array(z, "angle")
    (z,) = promote_args_inexact("angle", given)
    if dtypes.is_complex(z.dtype):
        re, im = complex_parts.real(z), complex_parts.imag(z)
    else:
        wide = z.dtype if given.ndim and dtypes.is_inexact(given.dtype) else dtypes.canonicalize_dtype(float)
        re = convert_element_type(z, new_dtype=wide, weak_type=False, sharding=None)
        im = zeros(aval_of(re))
    out = trigonometric.atan2(im, re)
    return rad2deg(out) if deg else out
