"""Arithmetic of complex numbers, which are pairs of real ones: formulas over the parts.

Each is what the primitive says for complex operands, written in primitives of real numbers. It is staged for scalars
and becomes part of a kernel; ``real``, ``imag`` and ``complex`` cost nothing there.

References
----------
ISO/IEC 9899:2011 (C11), annex G.
Smith, Algorithm 116: Complex division, CACM 5(8), 1962.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from portax.core import dtypes
from portax.core.primitive import registry
from portax.primitives.arithmetic import abs_, add, div, max_, min_, mul, neg, sqrt, sub
from portax.primitives.comparison import eq, is_finite, lt
from portax.primitives.complex_parts import complex_, imag, real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import by_parts, where
from portax.primitives.elementwise import like
from portax.primitives.exponential import exp, log, log1p
from portax.primitives.trigonometric import atan2, cos, sin


def _and(*xs: Any) -> Any:
    out = xs[0]
    for x in xs[1:]:
        out = registry["and"](out, x)
    return out


def _or(*xs: Any) -> Any:
    out = xs[0]
    for x in xs[1:]:
        out = registry["or"](out, x)
    return out


def _mul(z: Any, w: Any) -> Any:
    a, b, c, d = real(z), imag(z), real(w), imag(w)
    return complex_(sub(mul(a, c), mul(b, d)), add(mul(a, d), mul(b, c)))


def _div(z: Any, w: Any) -> Any:
    """Smith's formula: divided by the greater part of the divisor first, so that nothing overflows on the way."""
    a, b, c, d = real(z), imag(z), real(w), imag(w)
    flat = registry["le"](abs_(d), abs_(c))
    big, small = where(flat, c, d), where(flat, d, c)
    ratio = div(small, big)
    scale = add(big, mul(small, ratio))
    x = where(flat, add(a, mul(b, ratio)), add(mul(a, ratio), b))
    y = where(flat, sub(b, mul(a, ratio)), sub(mul(b, ratio), a))
    p, q = div(x, scale), div(y, scale)
    nothing = _and(eq(c, like(c, 0)), eq(d, like(d, 0)))
    # What is divided by 0 goes to infinity on the side of the zero's sign.
    p, q = where(nothing, div(a, c), p), where(nothing, div(b, c), q)
    infinite = _or(eq(abs_(c), like(c, math.inf)), eq(abs_(d), like(d, math.inf)))
    vanishes = _and(infinite, is_finite(a), is_finite(b))
    return complex_(where(vanishes, like(p, 0), p), where(vanishes, like(q, 0), q))


def _exp(x: Any, y: Any) -> tuple[Any, Any]:
    size = exp(x)
    flat = eq(y, like(y, 0))
    lost = registry["not"](is_finite(y))
    gone, far = _and(lost, eq(x, like(x, -math.inf))), _and(lost, eq(x, like(x, math.inf)))
    p = where(gone, like(x, 0), where(far, like(x, math.inf), where(flat, size, mul(size, cos(y)))))
    return p, where(flat, y, where(gone, like(x, 0), mul(size, sin(y))))


def _log(x: Any, y: Any) -> tuple[Any, Any]:
    """log |z| = log(big) + log1p((small / big)^2) / 2, and near the unit circle log1p(|z|^2 - 1) / 2, uncancelled."""
    a, b = abs_(x), abs_(y)
    big, small = max_(a, b), min_(a, b)
    empty = eq(big, like(x, 0))
    safe = where(empty, like(x, 1), big)
    ratio = div(small, safe)
    far = add(log(safe), mul(like(x, 0.5), log1p(mul(ratio, ratio))))
    near = _and(lt(like(x, 0.5), big), lt(big, like(x, 2)))
    middle = where(near, big, like(x, 1))
    excess = add(mul(sub(middle, like(x, 1)), add(middle, like(x, 1))), mul(small, small))
    close = _and(near, lt(like(x, -0.75), excess))
    out = where(close, mul(like(x, 0.5), log1p(where(close, excess, like(x, 0)))), far)
    infinite = _or(eq(a, like(x, math.inf)), eq(b, like(x, math.inf)))
    out = where(infinite, like(x, math.inf), where(empty, like(x, -math.inf), out))
    return out, atan2(y, x)


def _sqrt(x: Any, y: Any) -> tuple[Any, Any]:
    """sqrt((|z| + |x|) / 2), and y over twice that; scaled so that |z| neither overflows nor vanishes."""
    a, b = abs_(x), abs_(y)
    big = max_(a, b)
    empty = eq(big, like(x, 0))
    safe = where(_or(empty, registry["not"](is_finite(big))), like(x, 1), big)
    u, v = div(a, safe), div(b, safe)
    size = sqrt(add(mul(u, u), mul(v, v)))
    root = mul(sqrt(mul(add(size, u), like(x, 0.5))), sqrt(safe))
    other = div(b, mul(like(x, 2), where(eq(root, like(x, 0)), like(x, 1), root)))
    left = lt(x, like(x, 0))
    p, q = where(left, other, root), where(left, root, other)
    p, q = where(empty, like(x, 0), p), where(empty, like(x, 0), q)
    above = eq(b, like(x, math.inf))
    right, far = eq(x, like(x, math.inf)), eq(x, like(x, -math.inf))
    lost = registry["ne"](y, y)
    none = registry["ne"](x, x)
    p = where(right, x, where(far, where(lost, y, like(x, 0)), where(none, x, where(lost, y, p))))
    q = where(right, where(lost, y, like(x, 0)), where(far, like(x, math.inf), where(none, x, where(lost, y, q))))
    p, q = where(above, b, p), where(above, b, q)
    below = lt(_signed_one(y), like(y, 0))
    return p, where(below, neg(q), q)


def _signed_one(y: Any) -> Any:
    """1 with the sign of ``y``, which a zero has too."""
    words = dtypes.int64 if y.dtype == dtypes.float64 else dtypes.int32
    bits = registry["bitcast_convert_type"](y, new_dtype=words)
    return where(lt(bits, like(bits, 0)), like(y, -1), like(y, 1))


def _sin(z: Any) -> Any:
    """``-i sinh(i z)``, which is mended at the edges already."""
    w = registry["sinh"](complex_(neg(imag(z)), real(z)))
    return complex_(imag(w), neg(real(w)))


def _cos(z: Any) -> Any:
    return registry["cosh"](complex_(neg(imag(z)), real(z)))


def _pow(z: Any, w: Any) -> Any:
    w = convert(w, z.dtype)
    zero = _and(eq(real(z), like(real(z), 0)), eq(imag(z), like(real(z), 0)))
    none = _and(eq(real(w), like(real(z), 0)), eq(imag(w), like(real(z), 0)))
    one = complex_(like(real(z), 1), like(real(z), 0))
    safe = where(zero, one, z)
    out = exp(mul(w, log(safe)))
    nothing = complex_(like(real(z), 0), like(real(z), 0))
    return where(none, one, where(zero, nothing, out))


def _atan2(y: Any, x: Any) -> Any:
    """``-i log((x + i y) / sqrt(x^2 + y^2))``."""
    turned = complex_(neg(imag(y)), real(y))
    w = log(_div(add(x, turned), registry["sqrt"](add(mul(x, x), mul(y, y)))))
    return complex_(imag(w), neg(real(w)))


#: By primitive, a function of portax arrays.
RULES: dict[str, Callable[..., Any]] = {
    "mul": _mul, "div": _div, "exp": by_parts(_exp), "log": by_parts(_log), "sqrt": by_parts(_sqrt),
    "sin": _sin, "cos": _cos, "pow": _pow, "atan2": _atan2,
}  # fmt: skip
