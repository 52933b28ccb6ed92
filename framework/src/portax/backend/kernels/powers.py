"""Powers of real numbers, from + - * / and selects: ``x^y = e^(y log x)``, the logarithm with half as many digits more.

An error of the exponent is magnified by its size, which has up to 11 binary digits; so the logarithm is a pair of
numbers (``doubled``), and so is its product with ``y``.

References
----------
Muller, Elementary Functions: Algorithms and Implementation, 3rd edition, 2016, chapter 5.
ISO/IEC 9899:2011 (C11), annex F.10.4.4: what powers of zeros, infinities and negative numbers are.
"""

from __future__ import annotations

import math
from typing import Any

from portax.backend.kernels.doubled import Pair, ordered_sum, product, sum_of
from portax.backend.kernels.layouts import (
    Layout,
    exponent_and_fraction,
    fitted,
    negated,
    pair,
    reduced,
    scaled,
    sign_bit,
)
from portax.primitives.arithmetic import abs_, add, div, floor, mul, sub
from portax.primitives.bits import and_, not_, or_, xor
from portax.primitives.comparison import eq, lt, ne
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.elementwise import like


def log_pair(x: Any) -> Pair:
    """The natural logarithm of a positive finite number."""
    e, m = exponent_and_fraction(x)
    f = sub(m, like(x, 1))
    # s = f / (m + 1) as a pair.
    d, d_rest = sum_of(m, like(x, 1))
    s = div(f, d)
    back, back_rest = product(s, d)
    s_rest = div(sub(sub(sub(f, back), back_rest), mul(s, d_rest)), d)
    z, z_rest = product(s, s)
    z_rest = add(z_rest, mul(mul(s, s_rest), like(x, 2)))
    # log m = 2 s (1 + z (1/3 + z rest)).
    third, third_rest = pair("THIRD", x)
    t, t_rest = ordered_sum(third, add(mul(z, fitted("LOG_REST", z)), third_rest))
    u, u_rest = product(z, t)
    u_rest = add(u_rest, add(mul(z, t_rest), mul(z_rest, t)))
    w, w_rest = ordered_sum(like(x, 1), u)
    w_rest = add(w_rest, u_rest)
    twice, twice_rest = mul(s, like(x, 2)), mul(s_rest, like(x, 2))
    g, g_rest = product(twice, w)
    g_rest = add(g_rest, add(mul(twice, w_rest), mul(twice_rest, w)))
    head, tail = Layout(x.dtype).ln2
    total, rest = sum_of(mul(e, like(x, head)), g)
    return ordered_sum(total, add(rest, add(mul(e, like(x, tail)), g_rest)))


def _size(x: Any, y: Any) -> Any:
    """``x^y`` of a positive finite ``x``."""
    log, log_rest = log_pair(x)
    rough = mul(y, log)
    beyond = lt(like(x, Layout(x.dtype).most), abs_(rough))
    # Also where y is infinite: an infinite or vanishing power, unless the logarithm is 0.
    near = where(beyond, like(x, 0), y)
    p, p_rest = product(near, log)
    p_rest = add(p_rest, mul(near, log_rest))
    n, less = reduced(p, p_rest)
    out = scaled(add(less, like(x, 1)), n)
    return where(beyond, where(lt(rough, like(x, 0)), like(x, 0), like(x, math.inf)), out)


def pow_(x: Any, y: Any) -> Any:
    y = convert(y, x.dtype)
    zero, one, infinity = like(x, 0), like(x, 1), like(x, math.inf)
    a = abs_(x)
    nothing, everything = eq(a, zero), eq(a, infinity)
    edge = or_(nothing, everything)
    out = _size(where(edge, one, a), y)
    falls = lt(y, zero)
    out = where(edge, where(xor(nothing, falls), zero, infinity), out)
    out = where(eq(a, one), one, out)
    half = mul(y, like(x, 0.5))
    whole = eq(floor(y), y)
    odd = and_(whole, ne(floor(half), half))
    out = negated(and_(sign_bit(x), odd), out)
    # A root of a negative number.
    out = where(and_(lt(x, zero), not_(or_(whole, everything))), like(x, math.nan), out)
    out = where(eq(x, x), where(eq(y, y), out, y), x)
    return where(or_(eq(y, zero), eq(x, one)), one, out)
