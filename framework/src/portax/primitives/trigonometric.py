"""Circular and hyperbolic functions and their inverses.

Angles are in radians. Real inverse functions give NaN outside their domain; complex ones follow the branch cuts of
C99, the sign of a zero telling the side of a cut. Derivatives of complex functions are the complex derivatives.

References
----------
Kahan, Branch Cuts for Complex Elementary Functions, 1987: the decompositions of complex inverse functions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import registry
from portax.primitives.arithmetic import abs_, add, div, modulus, mul, neg, sqrt, square, sub
from portax.primitives.bits import or_
from portax.primitives.comparison import eq, gt, lt
from portax.primitives.complex_parts import complex_, imag, real
from portax.primitives.decomposing import by_kind, where
from portax.primitives.elementwise import INEXACT, Elementwise, like
from portax.primitives.exponential import Accurate, exp, expm1, log, log1p, rsqrt
from portax.primitives.folding import AT, by_quadrant
from portax.primitives.quadrants import (
    Parts,
    acos_edges,
    acosh_edges,
    asin_edges,
    asinh_edges,
    atan_edges,
    atanh_edges,
    cosh_edges,
    folded,
    sinh_edges,
    symmetric,
    tan_edges,
    tanh_edges,
)

_COMPLEX = {"complex64": 32, "complex128": 32}


def _row(*args: Any, **slots: Any) -> Elementwise:
    slots.setdefault("kinds", INEXACT)
    slots["budget"] = {"default": 4, **_COMPLEX, **slots.get("budget", {})}
    return registry.add(Elementwise(*args, numpy_until=1 << 16, **slots))


def _accurate(*args: Any, **slots: Any) -> Elementwise:
    slots["budget"] = {"default": 4, **_COMPLEX, **slots.get("budget", {})}
    return registry.add(Accurate(*args, kinds=INEXACT, numpy_until=1 << 16, **slots))


def _with_sign_of(x: Any, out: Any) -> Any:
    """An odd function from its value at ``|x|``; zeros keep their sign."""
    return where(eq(x, like(x, 0)), x, where(lt(x, like(x, 0)), neg(out), out))


sin = _accurate(
    "sin",
    np.sin,
    doc="The sine of ``x`` radians; NaN for infinite real ``x``.\n",
    derivatives=[lambda t, out, x: mul(t, cos(x))],
    stablehlo=lambda b, x: _by_parts_lowering(b, x, "sine", _sin_parts_lowering, "odd"),
    required=True,
)

cos = _accurate(
    "cos",
    np.cos,
    doc="The cosine of ``x`` radians; NaN for infinite real ``x``.\n",
    derivatives=[lambda t, out, x: neg(mul(t, sin(x)))],
    stablehlo=lambda b, x: _by_parts_lowering(b, x, "cosine", _cos_parts_lowering, "even"),
    required=True,
)


def _by_parts_lowering(b: Any, x: Any, name: str, parts: Any, parity: str) -> Any:
    """XLA's own complex sine and cosine lose small imaginary parts and overflow early."""
    if not dtypes.is_complex(x.aval.dtype):
        return b.unary(name, x)

    def first_quadrant(z: Any) -> Any:
        u, v = b.real(z), b.imag(z)
        return b.complex(*parts(b, u, v, b.unary("sinh", v), b.unary("cosh", v)))

    return folded(b, x, first_quadrant, parity=parity)


def _lost_far_out(at: Parts, u: Any, v: Any, out: Any) -> Any:
    """Infinitely far from the real axis the part that grows is infinite, though the angle there is not known."""
    return at.where(at.both(at.no(at.finite(u)), at.eq(v, math.inf)), math.inf, out)


def _sin_parts_lowering(b: Any, u: Any, v: Any, sinh_v: Any, cosh_v: Any) -> tuple[Any, Any]:
    at = Parts(b, u)
    re, im = b.binary("multiply", b.unary("sine", u), cosh_v), b.binary("multiply", b.unary("cosine", u), sinh_v)
    # 0 times an infinite factor is 0 here: that part of the argument is exactly on an axis.
    return at.where(at.eq(u, 0.0), u, re), at.where(at.eq(v, 0.0), v, _lost_far_out(at, u, v, im))


def _cos_parts_lowering(b: Any, u: Any, v: Any, sinh_v: Any, cosh_v: Any) -> tuple[Any, Any]:
    at = Parts(b, u)
    re = _lost_far_out(at, u, v, b.binary("multiply", b.unary("cosine", u), cosh_v))
    im = b.binary("multiply", b.unary("sine", u), sinh_v)
    return re, b.unary("negate", at.where(at.either(at.eq(u, 0.0), at.eq(v, 0.0)), 0.0, im))


def _tan_parts(x: Any, y: Any) -> tuple[Any, Any]:
    return _tanh_parts(y, x)[::-1]


tan = _accurate(
    "tan",
    np.tan,
    doc="The tangent of ``x`` radians.\n",
    derivatives=[lambda t, out, x: mul(t, add(like(x, 1), square(out)))],
    decompose=by_kind(lambda x: div(sin(x), cos(x)), by_quadrant(_tan_parts, tan_edges, "odd")),
    stablehlo=symmetric("tan", tan_edges, "odd"),
    domain=(-1.5, 1.5),
)


def _atan2_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if not dtypes.is_complex(x.dtype):
        return np.arctan2(x, y)
    u, v = x.astype(np.complex128, copy=False), y.astype(np.complex128, copy=False)
    return (-1j * np.log((v + 1j * u) / np.sqrt(u * u + v * v))).astype(x.dtype, copy=False)


atan2 = _row(
    "atan2",
    _atan2_reference,
    arity=2,
    doc="""The angle in radians, from -pi to pi, of the point with ordinate ``x`` and abscissa ``y``.

Notes
-----
Signed zeros tell the side of the cut along the negative abscissa: ``atan2(0.0, -1.0)`` is pi, ``atan2(-0.0, -1.0)``
is -pi. For complex operands ``-i log((y + i x) / sqrt(x^2 + y^2))``.
""",
    derivatives=[
        lambda t, out, x, y: mul(t, div(y, add(square(x), square(y)))),
        lambda t, out, x, y: mul(t, div(neg(x), add(square(x), square(y)))),
    ],
    stablehlo="atan2",
    budget={"complex64": 64, "complex128": 64},
    required=True,
)


def _off_circle(x: Any) -> Any:
    """sqrt(1 - x^2), without the rounding of x^2."""
    one = like(x, 1)
    return sqrt(mul(sub(one, x), add(one, x)))


def _root_parts(x: Any, y: Any) -> tuple[Any, Any]:
    root = sqrt(complex_(x, y))
    return real(root), imag(root)


def _infinite(x: Any, y: Any) -> Any:
    return or_(AT.eq(abs_(x), math.inf), AT.eq(abs_(y), math.inf))


# The inverse functions of x + i y, from square roots a + i b of 1 - x - i y (x - 1 + i y for acosh) and c + i d of
# 1 + x + i y. At infinity one part is infinite and the other is the angle of the argument, which atan2 gives even
# between two infinities.


def _asinh_of_difference(a: Any, b: Any, c: Any, d: Any) -> Any:
    """asinh(a b - c d), also where that is twice the greatest number: then by its half."""
    half = sub(mul(mul(like(a, 0.5), a), b), mul(mul(like(a, 0.5), c), d))
    large = gt(abs_(half), like(a, 1e9))
    far = _with_sign_of(half, add(log(where(large, abs_(half), like(a, 1))), like(a, 2 * _LN2)))
    return where(large, far, asinh(mul(like(a, 2), where(large, like(a, 0), half))))


def _asin_parts(x: Any, y: Any) -> tuple[Any, Any]:
    one = like(x, 1)
    (a, b), (c, d) = _root_parts(sub(one, x), neg(y)), _root_parts(add(one, x), y)
    far = _infinite(x, y)
    return (
        where(far, atan2(x, y), atan2(x, sub(mul(a, c), mul(b, d)))),
        where(far, like(x, math.inf), _asinh_of_difference(a, d, b, c)),
    )


def _acos_parts(x: Any, y: Any) -> tuple[Any, Any]:
    one = like(x, 1)
    (a, b), (c, d) = _root_parts(sub(one, x), neg(y)), _root_parts(add(one, x), y)
    far = _infinite(x, y)
    return (
        where(far, atan2(y, x), mul(like(a, 2), atan2(a, c))),
        where(far, like(x, -math.inf), _asinh_of_difference(c, b, d, a)),
    )


asin = _row(
    "asin",
    np.arcsin,
    doc="The angle in radians, from -pi/2 to pi/2, whose sine is ``x``; NaN for real ``x`` beyond 1.\n",
    derivatives=[lambda t, out, x: mul(t, rsqrt(sub(like(x, 1), square(x))))],
    decompose=by_kind(lambda x: atan2(x, _off_circle(x)), by_quadrant(_asin_parts, asin_edges, "odd")),
    stablehlo=symmetric("asin", asin_edges, "odd"),
    domain=(-0.9, 0.9),
)

acos = _row(
    "acos",
    np.arccos,
    doc="The angle in radians, from 0 to pi, whose cosine is ``x``; NaN for real ``x`` beyond 1.\n",
    derivatives=[lambda t, out, x: mul(t, neg(rsqrt(sub(like(x, 1), square(x)))))],
    decompose=by_kind(lambda x: atan2(_off_circle(x), x), by_quadrant(_acos_parts, acos_edges)),
    stablehlo=symmetric("acos", acos_edges),
    domain=(-0.9, 0.9),
)


def _times_i(z: Any) -> Any:
    return complex_(neg(imag(z)), real(z))


def _over_i(z: Any) -> Any:
    return complex_(imag(z), neg(real(z)))


atan = _row(
    "atan",
    np.arctan,
    doc="The angle in radians, from -pi/2 to pi/2, whose tangent is ``x``.\n",
    derivatives=[lambda t, out, x: div(t, add(like(x, 1), square(x)))],
    decompose=by_kind(lambda x: atan2(x, like(x, 1)), lambda z: _over_i(atanh(_times_i(z)))),
    stablehlo=symmetric("atan", atan_edges, "odd"),
)

# Hyperbolic functions. Above this e^-2x is lost in rounding beside 1, in every dtype, and sinh x is e^x / 2.
_LARGE = 22.0


def _half_exp(x: Any) -> Any:
    """e^x / 2 without overflow where the half is finite."""
    root = exp(mul(like(x, 0.5), x))
    return mul(mul(like(x, 0.5), root), root)


def _sinh_real(x: Any) -> Any:
    """(m + m / (m + 1)) / 2 with m = e^|x| - 1."""
    a = abs_(x)
    m = expm1(a)
    near = mul(like(x, 0.5), add(m, div(m, add(m, like(x, 1)))))
    return _with_sign_of(x, where(gt(a, like(x, _LARGE)), _half_exp(a), near))


def _cosh_real(x: Any) -> Any:
    a = abs_(x)
    e = exp(a)
    half = like(x, 0.5)
    return where(gt(a, like(x, _LARGE)), _half_exp(a), add(mul(half, e), div(half, e)))


def _tanh_real(x: Any) -> Any:
    """-m / (m + 2) with m = e^(-2|x|) - 1."""
    m = expm1(mul(like(x, -2), abs_(x)))
    return _with_sign_of(x, neg(div(m, add(m, like(x, 2)))))


def _grown(x: Any, factor: Any, near: Any) -> Any:
    """``factor e^x / 2`` where x is large, without overflow where that is finite; else ``near``."""
    root = exp(mul(like(x, 0.5), x))
    return where(gt(x, like(x, _LARGE)), mul(mul(root, factor), mul(like(x, 0.5), root)), near)


def _sinh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    s, c = sin(y), cos(y)
    return _grown(x, c, mul(sinh(x), c)), _grown(x, s, mul(cosh(x), s))


def _cosh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    s, c = sin(y), cos(y)
    return _grown(x, c, mul(cosh(x), c)), _grown(x, s, mul(sinh(x), s))


def _cosh_ends(at: Any, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """As `cosh_edges`, but on the imaginary axis the zero keeps the sign that the sine gives it."""
    axis = at.either(at.both(at.eq(u, 0.0), at.no(at.finite(v))), at.eq(v, 0.0))
    return cosh_edges(at, u, v, p, q)[0], at.where(axis, 0.0, q)


def _tanh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """(t (1 + k^2), k (1 - t^2)) / (1 + t^2 k^2) with t = tanh x and k = tan y, written without the poles of tan."""
    s, c = sin(y), cos(y)
    far = gt(x, like(x, _LARGE))
    sh = sinh(where(far, like(x, _LARGE), x))
    ch = sqrt(add(like(x, 1), mul(sh, sh)))
    size = add(mul(c, c), mul(sh, sh))
    # Far out the real part is 1 and the imaginary part sin(2y) / 2 cosh^2 x, which e^-2x gives without overflow.
    tail = mul(mul(like(x, 4), mul(s, c)), exp(mul(like(x, -2), x)))
    re = where(far, like(x, 1), div(mul(sh, ch), size))
    im = where(far, tail, div(mul(s, c), size))
    # Of an angle that is not known nothing is left at infinity, and everything before it.
    lost, end = AT.no(AT.finite(y)), AT.eq(x, math.inf)
    return AT.where(AT.both(lost, AT.no(end)), math.nan, re), AT.where(AT.both(lost, end), 0.0, im)


sinh = _row(
    "sinh",
    np.sinh,
    doc="The hyperbolic sine of ``x``.\n",
    derivatives=[lambda t, out, x: mul(t, cosh(x))],
    decompose=by_kind(_sinh_real, by_quadrant(_sinh_parts, sinh_edges, "odd")),
    stablehlo=symmetric("sinh", sinh_edges, "odd"),
    budget={"default": 32},
)

cosh = _row(
    "cosh",
    np.cosh,
    doc="The hyperbolic cosine of ``x``.\n",
    derivatives=[lambda t, out, x: mul(t, sinh(x))],
    decompose=by_kind(_cosh_real, by_quadrant(_cosh_parts, _cosh_ends, "even")),
    stablehlo=symmetric("cosh", cosh_edges, "even"),
    budget={"default": 32},
)

tanh = _accurate(
    "tanh",
    np.tanh,
    doc="The hyperbolic tangent of ``x``.\n",
    # (t + t out) (1 - out): 1 - out^2 with less rounding where out is near 1.
    derivatives=[lambda t, out, x: mul(add(t, mul(t, out)), sub(like(x, 1), out))],
    decompose=by_kind(_tanh_real, by_quadrant(_tanh_parts, tanh_edges, "odd")),
    stablehlo=symmetric("tanh", tanh_edges, "odd"),
    budget={"default": 8},
)

_LN2 = math.log(2.0)


def _asinh_real(x: Any) -> Any:
    """log(1 + a + a^2 / (1 + sqrt(1 + a^2))); log a + log 2 where a^2 would overflow."""
    a = abs_(x)
    far = gt(a, like(x, 1e9))
    near = where(far, like(x, 1), a)
    s = mul(near, near)
    one = like(x, 1)
    small = log1p(add(near, div(s, add(one, sqrt(add(one, s))))))
    return _with_sign_of(x, where(far, add(log(a), like(x, _LN2)), small))


def _acosh_real(x: Any) -> Any:
    """log(1 + t + sqrt(2 t + t^2)) with t = x - 1; log x + log 2 where x^2 would overflow."""
    far = gt(x, like(x, 1e9))
    t = sub(where(far, like(x, 1), x), like(x, 1))
    small = log1p(add(t, sqrt(mul(t, add(like(x, 2), t)))))
    out = where(far, add(log(x), like(x, _LN2)), small)
    return where(lt(x, like(x, 1)), like(x, math.nan), out)


def _atanh_real(x: Any) -> Any:
    a = abs_(x)
    return _with_sign_of(x, mul(like(x, 0.5), log1p(div(mul(like(x, 2), a), sub(like(x, 1), a)))))


def _acosh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    one = like(x, 1)
    (a, b), (c, d) = _root_parts(sub(x, one), y), _root_parts(add(x, one), y)
    far = _infinite(x, y)
    return (
        where(far, like(x, math.inf), _asinh_of_difference(a, c, b, neg(d))),
        where(far, atan2(y, x), mul(like(a, 2), atan2(b, c))),
    )


def _atanh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """Far from 0, where squares would overflow, atanh z is 1/z + i pi/2 to the last bit."""
    one, two = like(x, 1), like(x, 2)
    far = or_(gt(x, like(x, 1e9)), gt(y, like(x, 1e9)))
    u, v = where(far, one, x), where(far, one, y)
    left = sub(one, u)
    off = add(mul(left, left), mul(v, v))
    re = mul(like(x, 0.25), log1p(div(mul(like(x, 4), u), off)))
    # Beside 1, where squares would vanish, it is log(2 / |1 - z|) / 2.
    beside = mul(like(x, 0.5), sub(like(x, _LN2), log(modulus(left, v))))
    re = where(lt(off, like(x, np.finfo(x.dtype).tiny / np.finfo(x.dtype).eps)), beside, re)
    im = mul(like(x, 0.5), atan2(mul(two, v), sub(mul(left, add(one, u)), mul(v, v))))
    size = modulus(where(far, x, one), where(far, y, one))
    re, im = where(far, div(div(x, size), size), re), where(far, like(x, math.pi / 2), im)
    return where(_infinite(x, y), like(x, 0), re), im


def _atanh_lowering(b: Any, x: Any) -> Any:
    """XLA's own is off by a hundred units at float64."""
    return NotImplemented if x.aval.dtype == dtypes.float64 else b.unary("atanh", x)


asinh = _row(
    "asinh",
    np.arcsinh,
    doc="The number whose hyperbolic sine is ``x``.\n",
    derivatives=[lambda t, out, x: mul(t, rsqrt(add(square(x), like(x, 1))))],
    decompose=by_kind(_asinh_real, lambda z: _over_i(asin(_times_i(z)))),
    stablehlo=symmetric("asinh", asinh_edges, "odd"),
    budget={"default": 8},
)

acosh = _row(
    "acosh",
    np.arccosh,
    doc="The number, at least 0, whose hyperbolic cosine is ``x``; NaN for real ``x`` below 1.\n",
    derivatives=[lambda t, out, x: mul(t, rsqrt(sub(square(x), like(x, 1))))],
    decompose=by_kind(_acosh_real, by_quadrant(_acosh_parts, acosh_edges)),
    stablehlo=symmetric("acosh", acosh_edges),
    domain=(1.1, 9.0),
    budget={"default": 8},
)

atanh = _row(
    "atanh",
    np.arctanh,
    doc="The number whose hyperbolic tangent is ``x``: infinite at -1 and 1, NaN for real ``x`` beyond.\n",
    derivatives=[lambda t, out, x: mul(div(like(x, 1), add(like(x, 1), x)), div(t, sub(like(x, 1), x)))],
    decompose=by_kind(_atanh_real, by_quadrant(_atanh_parts, atanh_edges, "odd")),
    stablehlo=symmetric("atanh", atanh_edges, "odd", real=_atanh_lowering),
    domain=(-0.9, 0.9),
    budget={"default": 8},
)
