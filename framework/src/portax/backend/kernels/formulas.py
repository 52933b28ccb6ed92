"""Functions of real numbers from + - * / and selects, so that they give the same bits on every device.

Each is written in primitives on numbers of 32 or 64 bits and staged for scalars. The coefficients are fitted by
``tools/fit_formulas.py``. Angles and powers have files of their own.

References
----------
Muller, Elementary Functions: Algorithms and Implementation, 3rd edition, 2016, chapters 5 and 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from portax.backend.kernels import angles, powers
from portax.backend.kernels.layouts import Layout, exponent_and_fraction, fitted, power_of_two, reduced, scaled
from portax.primitives.arithmetic import add, div, max_, min_, mul, neg, sub
from portax.primitives.bits import and_, not_, or_, pattern
from portax.primitives.comparison import eq, lt
from portax.primitives.conversion import bitcast_convert_type
from portax.primitives.decomposing import where
from portax.primitives.elementwise import like


def _bounded(x: Any) -> Any:
    """``x`` where its exponential neither overflows nor vanishes, else where it first does. NaN stays NaN."""
    most = Layout(x.dtype).most
    below = where(lt(like(x, most), x), like(x, most), x)
    return where(lt(below, like(x, -most)), like(x, -most), below)


def exp(x: Any) -> Any:
    """``2^n e^r``. Of NaN, ``r`` is NaN, whatever ``n`` is."""
    n, less = reduced(_bounded(x))
    return scaled(add(less, like(x, 1)), n)


def expm1(x: Any) -> Any:
    """``2^n (e^r - 1) + (2^n - 1)``, where no digits cancel; from ``|n| = 60`` on, one of the terms hardly counts."""
    n, less = reduced(_bounded(x))
    most = pattern(60, n.dtype)
    scale = power_of_two(max_(min_(n, most), neg(most)), x.dtype)
    out = add(mul(scale, less), sub(scale, like(x, 1)))
    out = where(lt(n, most), out, scaled(add(less, like(x, 1)), n))
    return where(eq(x, like(x, 0)), x, out)  # and its sign


def tanh(x: Any) -> Any:
    """``k / (2 - k)`` with ``k = 1 - e^(-2|x|)``: the half of it that neither overflows nor has two branches."""
    words, far = Layout(x.dtype).words, like(x, Layout(x.dtype).flat)
    sign = pattern(1 << (8 * x.dtype.itemsize - 1), words)
    bits = bitcast_convert_type(x, new_dtype=words)
    size = bitcast_convert_type(and_(bits, not_(sign)), new_dtype=x.dtype)
    n, less = reduced(mul(where(lt(far, size), far, size), like(x, -2)))
    scale = power_of_two(n, x.dtype)
    k = sub(sub(like(x, 1), scale), mul(scale, less))
    out = bitcast_convert_type(div(k, sub(like(x, 2), k)), new_dtype=words)
    return bitcast_convert_type(or_(out, and_(bits, sign)), new_dtype=x.dtype)


def log(x: Any) -> Any:
    """``e ln 2 + log m`` with ``x = 2^e m``; ``log m = 2 atanh((m - 1) / (m + 1))`` for ``m`` around 1."""
    e, m = exponent_and_fraction(x)
    f = sub(m, like(x, 1))
    s = div(f, add(f, like(x, 2)))
    square = mul(s, s)
    series = mul(square, fitted("LOG", square))
    head, tail = Layout(x.dtype).ln2
    half = mul(mul(f, f), like(x, 0.5))
    # log(1 + f) = f - half + s (half + series): the great parts are added last.
    low = add(mul(s, add(half, series)), mul(e, like(x, tail)))
    out = add(mul(e, like(x, head)), sub(f, sub(half, low)))
    out = where(eq(x, like(x, math.inf)), x, out)
    out = where(lt(x, like(x, 0)), like(x, math.nan), out)
    out = where(eq(x, like(x, 0)), like(x, -math.inf), out)
    return where(eq(x, x), out, x)


#: By primitive, a function of portax scalars of 32 or 64 bits.
RULES: dict[str, Callable[..., Any]] = {
    "exp": exp, "expm1": expm1, "tanh": tanh, "log": log, "pow": powers.pow_,
    "sin": angles.sin, "cos": angles.cos, "tan": angles.tan, "atan2": angles.atan2,
}  # fmt: skip
