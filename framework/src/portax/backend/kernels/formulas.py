"""Functions of real numbers from + - * / and selects, so that they give the same bits on every device.

Each is written in primitives on numbers of 32 or 64 bits and staged for scalars. The coefficients are those of the
Taylor series on an interval so short that they are as good as any: nothing is fitted, nothing is copied.

References
----------
Muller, Elementary Functions: Algorithms and Implementation, 3rd edition, 2016, chapters 5 and 11.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.primitives.arithmetic import add, div, floor, max_, min_, mul, sub
from portax.primitives.bits import pattern, shift_left, shift_right_arithmetic
from portax.primitives.comparison import eq, lt
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.decomposing import where
from portax.primitives.elementwise import like

_LN2 = math.log(2.0)
#: To more digits than float64 has: what its head leaves over must be right to that dtype's own precision.
_LN2_DIGITS = decimal.Decimal("0.693147180559945309417232121458176568075500134360255")


def _split_ln2(bits: int) -> tuple[float, float]:
    """ln 2 as a head with ``bits`` bits, so that its product with a small whole number is exact, and the rest."""
    head = math.ldexp(math.floor(math.ldexp(_LN2, bits)), -bits)
    return head, float(_LN2_DIGITS - decimal.Decimal(head))


class _Layout:
    """Of a floating dtype: integers of its width, and where the exponent lies."""

    def __init__(self, dtype: Any) -> None:
        self.double = dtype == dtypes.float64
        self.words = dtypes.int64 if self.double else dtypes.int32
        self.mantissa, self.bias = (52, 1023) if self.double else (23, 127)
        #: exp overflows or vanishes beyond these, and half their power of two is still a number.
        self.most = 1400.0 if self.double else 150.0
        # A whole number up to 2100 (220) times the head has no more bits than the dtype.
        self.ln2 = _split_ln2(40 if self.double else 14)


def _polynomial(x: Any, coefficients: list[float]) -> Any:
    """``sum_k c_k x^k`` by Horner's rule."""
    total = like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = add(mul(total, x), like(x, c))
    return total


def _power_of_two(n: Any, dtype: Any, layout: _Layout) -> Any:
    bits = shift_left(add(n, pattern(layout.bias, layout.words)), pattern(layout.mantissa, layout.words))
    return bitcast_convert_type(bits, new_dtype=dtype)


def _reduced(x: Any, layout: _Layout) -> tuple[Any, Any, Any]:
    """``(n, r, e^r - 1)`` with ``x = n ln 2 + r``, ``n`` whole and ``|r| <= ln 2 / 2``, where the series is short."""
    safe = max_(min_(x, like(x, layout.most)), like(x, -layout.most))
    safe = where(eq(x, x), safe, like(x, 0))
    n = floor(add(mul(safe, like(x, 1 / _LN2)), like(x, 0.5)))
    head, tail = layout.ln2
    r = sub(sub(safe, mul(n, like(x, head))), mul(n, like(x, tail)))
    terms = 14 if layout.double else 8
    rest = _polynomial(r, [1 / math.factorial(k) for k in range(2, terms)])
    return n, r, add(mul(mul(r, r), rest), r)


def exp(x: Any) -> Any:
    """``2^n e^r``."""
    layout = _Layout(x.dtype)
    n, _, less = _reduced(x, layout)
    out = add(less, like(x, 1))
    # In two steps: neither factor leaves the exponent's range where the result is denormal or infinite.
    whole = convert(n, layout.words)
    first = shift_right_arithmetic(whole, pattern(1, layout.words))
    out = mul(out, _power_of_two(first, x.dtype, layout))
    out = mul(out, _power_of_two(sub(whole, first), x.dtype, layout))
    return where(eq(x, x), out, x)


def expm1(x: Any) -> Any:
    """``2^n (e^r - 1) + (2^n - 1)``, where no digits cancel; from ``|n| = 60`` on, one of the terms hardly counts."""
    layout = _Layout(x.dtype)
    n, _, less = _reduced(x, layout)
    whole = convert(max_(min_(n, like(x, 60)), like(x, -60)), layout.words)
    scale = _power_of_two(whole, x.dtype, layout)
    out = add(mul(scale, less), sub(scale, like(x, 1)))
    out = where(lt(n, like(x, 60)), out, exp(x))
    out = where(eq(x, like(x, 0)), x, out)  # and its sign
    return where(eq(x, x), out, x)


def log(x: Any) -> Any:
    """``e ln 2 + log m`` with ``x = 2^e m``; ``log m = 2 atanh((m - 1) / (m + 1))`` for ``m`` around 1."""
    layout = _Layout(x.dtype)
    words, shift = layout.words, pattern(layout.mantissa, layout.words)
    tiny = lt(x, like(x, math.ldexp(1.0, 2 - layout.bias)))
    lift = layout.mantissa + 2
    lifted = where(tiny, mul(x, like(x, math.ldexp(1.0, lift))), x)
    bits = bitcast_convert_type(lifted, new_dtype=words)
    middle = np.asarray(math.sqrt(0.5), x.dtype).view(words).item()
    exponent = shift_right_arithmetic(sub(bits, pattern(middle, words)), shift)
    m = bitcast_convert_type(sub(bits, shift_left(exponent, shift)), new_dtype=x.dtype)
    e = convert(sub(exponent, where(tiny, pattern(lift, words), pattern(0, words))), x.dtype)
    f = sub(m, like(x, 1))
    s = div(f, add(f, like(x, 2)))
    square = mul(s, s)
    terms = 12 if layout.double else 6
    series = mul(square, _polynomial(square, [2 / (2 * k + 3) for k in range(terms)]))
    head, tail = layout.ln2
    half = mul(mul(f, f), like(x, 0.5))
    # log(1 + f) = f - half + s (half + series): the great parts are added last.
    low = add(mul(s, add(half, series)), mul(e, like(x, tail)))
    out = add(mul(e, like(x, head)), sub(f, sub(half, low)))
    out = where(eq(x, like(x, math.inf)), x, out)
    out = where(lt(x, like(x, 0)), like(x, math.nan), out)
    out = where(eq(x, like(x, 0)), like(x, -math.inf), out)
    return where(eq(x, x), out, x)


#: By primitive, a function of portax scalars of 32 or 64 bits.
RULES: dict[str, Callable[..., Any]] = {"exp": exp, "expm1": expm1, "log": log}
