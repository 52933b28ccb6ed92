"""Floating numbers taken apart and put together: exponents and fractions, powers of two, polynomials.

What formulas share. All of it is written in primitives on numbers of 32 or 64 bits, and staged for scalars.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.backend.kernels.coefficients import FITTED, PAIRS
from portax.core import dtypes
from portax.primitives.arithmetic import add, mul, neg, sub
from portax.primitives.bits import pattern, shift_left, shift_right_arithmetic
from portax.primitives.comparison import lt
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


class Layout:
    """Of a floating dtype: integers of its width, and where the exponent lies."""

    def __init__(self, dtype: Any) -> None:
        self.double = dtype == dtypes.float64
        self.words = dtypes.int64 if self.double else dtypes.int32
        self.mantissa, self.bias = (52, 1023) if self.double else (23, 127)
        #: exp overflows or vanishes beyond these, and half their power of two is still a number.
        self.most = 1400.0 if self.double else 150.0
        #: From here on tanh is 1.
        self.flat = 20.0 if self.double else 10.0
        # A whole number up to 2100 (220) times the head has no more bits than the dtype.
        self.ln2 = _split_ln2(40 if self.double else 14)


# -- numbers of a table -----------------------------------------------------------------------------------------------
def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """``sum_k c_k x^k`` by Horner's rule."""
    total = like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = add(mul(total, x), like(x, c))
    return total


def _known_as(x: Any) -> str:
    return "float64" if x.dtype == dtypes.float64 else "float32"


def fitted(name: str, x: Any) -> Any:
    """One of the fitted polynomials at ``x``."""
    return polynomial(x, FITTED[name][_known_as(x)])


def pair(name: str, x: Any) -> tuple[Any, Any]:
    """A number of more digits as the sum of two of the dtype of ``x``."""
    high, low = PAIRS[name][_known_as(x)]
    return like(x, high), like(x, low)


# -- parts of numbers -------------------------------------------------------------------------------------------------
def sign_bit(x: Any) -> Any:
    """Whether the sign bit is set, that of a zero too."""
    words = Layout(x.dtype).words
    return lt(bitcast_convert_type(x, new_dtype=words), pattern(0, words))


def negated(where_: Any, x: Any) -> Any:
    """``-x`` where that holds, else ``x``."""
    return where(where_, neg(x), x)


def power_of_two(n: Any, dtype: Any) -> Any:
    """``2^n`` of an integer ``n`` within the exponent's range."""
    layout = Layout(dtype)
    bits = shift_left(add(n, pattern(layout.bias, layout.words)), pattern(layout.mantissa, layout.words))
    return bitcast_convert_type(bits, new_dtype=dtype)


def scaled(x: Any, n: Any) -> Any:
    """``x 2^n`` of an integer, in two steps: no factor leaves the exponent's range though the result may."""
    first = shift_right_arithmetic(n, pattern(1, Layout(x.dtype).words))
    return mul(mul(x, power_of_two(first, x.dtype)), power_of_two(sub(n, first), x.dtype))


def nearest(x: Any) -> tuple[Any, Any]:
    """The whole number nearest to ``x``, as a float and as an integer; of sizes up to 2^21.

    Beside a number so great that its last place counts units, the sum is rounded to it, and its bits count on from
    that number's.
    """
    layout = Layout(x.dtype)
    great = np.asarray(math.ldexp(1.5, layout.mantissa), x.dtype)
    sum_ = add(x, like(x, float(great)))
    bits = pattern(great.view(layout.words).item(), layout.words)
    return sub(sum_, like(x, float(great))), sub(bitcast_convert_type(sum_, new_dtype=layout.words), bits)


def exponent_and_fraction(x: Any) -> tuple[Any, Any]:
    """``(e, m)`` with ``x = m 2^e``, of a positive finite number: ``e`` whole and ``m`` from 1/sqrt 2 to sqrt 2."""
    layout = Layout(x.dtype)
    words, shift = layout.words, pattern(layout.mantissa, layout.words)
    tiny = lt(x, like(x, math.ldexp(1.0, 2 - layout.bias)))
    lift = layout.mantissa + 2
    bits = bitcast_convert_type(where(tiny, mul(x, like(x, math.ldexp(1.0, lift))), x), new_dtype=words)
    middle = np.asarray(math.sqrt(0.5), x.dtype).view(words).item()
    exponent = shift_right_arithmetic(sub(bits, pattern(middle, words)), shift)
    m = bitcast_convert_type(sub(bits, shift_left(exponent, shift)), new_dtype=x.dtype)
    return convert(sub(exponent, where(tiny, pattern(lift, words), pattern(0, words))), x.dtype), m


def reduced(x: Any, rest: Any = None) -> tuple[Any, Any]:
    """``(n, e^r - 1)`` with ``x + rest = n ln 2 + r``, ``n`` an integer and ``|r| <= ln 2 / 2``."""
    n, whole = nearest(mul(x, like(x, 1 / _LN2)))
    head, tail = Layout(x.dtype).ln2
    r = sub(sub(x, mul(n, like(x, head))), mul(n, like(x, tail)))
    if rest is not None:
        r = add(r, rest)
    return whole, add(mul(mul(r, r), fitted("EXP", r)), r)
