"""Sines, cosines, tangents and angles of real numbers, from + - * / and selects.

An argument of any size is divided by pi/2 exactly enough: its digits are multiplied, as integers, with those binary
digits of 2/pi that matter for it, so there is one way for all arguments and no loss far from 0. What is left of a
quarter turn is a pair of numbers (``doubled``), and its sine and cosine are short polynomials.

References
----------
Payne and Hanek, Radian reduction for trigonometric functions, ACM SIGNUM Newsletter 18, 1983.
Muller, Elementary Functions: Algorithms and Implementation, 3rd edition, 2016, chapter 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from portax.backend.kernels.coefficients import TWO_OVER_PI
from portax.backend.kernels.doubled import Pair, ordered_sum, product, sum_of
from portax.backend.kernels.layouts import fitted, negated, pair, sign_bit
from portax.core import dtypes
from portax.primitives.arithmetic import abs_, add, div, max_, min_, mul, neg, sub
from portax.primitives.bits import and_, or_, pattern, shift_left, shift_right_arithmetic, shift_right_logical, xor
from portax.primitives.comparison import eq, lt, ne
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.decomposing import where
from portax.primitives.elementwise import like

U32, U64, I32, I64 = dtypes.uint32, dtypes.uint64, dtypes.int32, dtypes.int64


# -- the digits of 2 / pi ---------------------------------------------------------------------------------------------
class _Split:
    """How numbers of a dtype are divided by pi/2.

    Attributes
    ----------
    least : int
        The exponent, as it is stored, from which on numbers are divided; sin x is x below, and cos x is 1.
    words : int
        How many words of 2/pi count for one number: two digits, those of the number itself, those by which it may come
        near a multiple of pi/2 (62, and 30 of float32), those of the result, and some to spare.
    """

    def __init__(self, dtype: Any) -> None:
        double = dtype == dtypes.float64
        self.bits, self.mantissa, self.stored = (U64, 52, 11) if double else (U32, 23, 8)
        self.least, self.words = (1023 - 27, 6) if double else (127 - 12, 3)
        # The digit of weight 2^-j is number j - first of the table; the first ones, before the point, are 0.
        self.first = self.least - (1023 if double else 127) - self.mantissa - 1
        table, whole = [0] * ((1 - self.first) // 32), (1 - self.first) % 32
        carried = 0
        for word in TWO_OVER_PI:
            table.append((carried << (32 - whole) | word >> whole) & 0xFFFFFFFF)
            carried = word & ((1 << whole) - 1)
        most = (1 << self.stored) - 2 - self.least
        self.table = table[: most // 32 + self.words + 1]
        assert len(self.table) == most // 32 + self.words + 1


def _window(place: Any, split: _Split) -> list[Any]:
    """The words of 2/pi from the digit ``place`` on, the greatest first, as integers of 64 bits."""
    words: list[Any] = [pattern(w, U32) for w in split.table]
    which = shift_right_logical(place, pattern(5, U32))
    most = len(split.table) - split.words - 1
    for bit in reversed(range(most.bit_length())):
        step = 1 << bit
        far = ne(and_(which, pattern(step, U32)), pattern(0, U32))
        needed = split.words + 1 + min(step - 1, most)
        moved = [words[min(k + step, len(words) - 1)] for k in range(min(needed, len(words)))]
        words = [where(far, there, here) for here, there in zip(words, moved)]
    wide = [convert(w, U64) for w in words[: split.words + 1]]
    shift = convert(and_(place, pattern(31, U32)), U64)
    joined = [or_(shift_left(a, pattern(32, U64)), b) for a, b in zip(wide, wide[1:])]
    return [shift_right_logical(shift_left(j, shift), pattern(32, U64)) for j in joined]


def _product(digits: Any, window: Sequence[Any]) -> list[Any]:
    """The first words of the product of a number's digits and a window, without what are whole turns.

    In units of a quarter turn, two binary digits stand before the point. Four words are enough, of fewer digits three.
    """
    low, half = pattern(0xFFFFFFFF, U64), pattern(32, U64)
    kept = min(len(window), 4)
    parts = [digits] if kept < 4 else [and_(digits, low), shift_right_logical(digits, half)]
    # Terms by word, the greatest first.
    columns: list[list[Any]] = [[] for _ in range(kept)]
    for k, part in enumerate(parts):
        for i, word in enumerate(window[: kept + 1 + k]):
            column = i - k
            if column < 0:
                continue
            both = mul(part, word)
            if column < kept:
                columns[column].append(and_(both, low))
            if column:
                columns[column - 1].append(shift_right_logical(both, half))
    out: list[Any] = []
    for terms in reversed(columns):
        total = terms[0]
        for term in terms[1:]:
            total = add(total, term)
        if out:
            total = add(total, shift_right_logical(out[-1], half))
        out.append(total)
    return [and_(total, low) for total in reversed(out)]


def _quarters(x: Any) -> tuple[Any, Any, Any]:
    """``(n, high, low)``: ``|x| = (n + high + low) pi/2`` up to whole turns, ``n`` whole and ``|high| <= 1/2``."""
    split = _Split(x.dtype)
    double = x.dtype == dtypes.float64
    bits = bitcast_convert_type(abs_(x), new_dtype=split.bits)
    exponent = convert(shift_right_logical(bits, pattern(split.mantissa, split.bits)), I32)
    # Where it is not finite the result is not this one.
    most = (1 << split.stored) - 2
    place = sub(min_(max_(exponent, pattern(split.least, I32)), pattern(most, I32)), pattern(split.least, I32))
    leading = pattern(1 << split.mantissa, split.bits)
    digits = or_(and_(bits, pattern((1 << split.mantissa) - 1, split.bits)), leading)
    window = _window(convert(place, U32), split)
    first, then, *later = _product(convert(digits, U64), window)
    first = or_(shift_left(first, pattern(32, U64)), then)
    turned = add(first, pattern(1 << 61, U64))
    n = convert(shift_right_logical(turned, pattern(62, U64)), I32)
    rest = sub(first, and_(turned, pattern(3 << 62, U64)))
    signed = bitcast_convert_type(rest, new_dtype=I64)
    if double:
        pieces = [
            (convert(shift_right_arithmetic(signed, pattern(32, I64)), I32), 30),
            (convert(and_(rest, pattern(0xFFFFFFFF, U64)), U32), 62),
            *[(convert(word, U32), 94 + 32 * k) for k, word in enumerate(later)],
        ]
    else:  # so few digits to a piece that none is rounded
        pieces = [
            (convert(shift_right_arithmetic(signed, pattern(40, I64)), I32), 22),
            (convert(and_(shift_right_logical(rest, pattern(16, U64)), pattern(0xFFFFFF, U64)), I32), 46),
            (convert(and_(rest, pattern(0xFFFF, U64)), I32), 62),
        ]
    a, b, *more = (mul(convert(p, x.dtype), like(x, math.ldexp(1.0, -k))) for p, k in pieces)
    high, low_part = ordered_sum(a, b)
    for piece in more:
        low_part = add(low_part, piece)
    return n, *ordered_sum(high, low_part)


def _sine_and_cosine(x: Any) -> tuple[Any, Pair, Pair]:
    """``(n, sin r, cos r)`` of ``|x| = n pi/2 + r``, as pairs."""
    n, high, low = _quarters(x)
    square = mul(high, high)
    turn, rest = pair("HALF_PI", x)
    first, lost = product(high, turn)
    small = add(lost, add(mul(high, rest), mul(low, turn)))
    sine = ordered_sum(first, add(small, mul(mul(high, square), fitted("SIN", square))))
    square = add(square, mul(mul(high, low), like(x, 2)))
    return n, sine, ordered_sum(like(x, 1), mul(square, fitted("COS", square)))


def _bit(n: Any, k: int) -> Any:
    return ne(and_(n, pattern(k, I32)), pattern(0, I32))


def _tiny(x: Any) -> Any:
    """Where sin x is x and cos x is 1, to the last digit."""
    return lt(abs_(x), like(x, math.ldexp(1.0, -27 if x.dtype == dtypes.float64 else -12)))


def _of_finite(x: Any, out: Any) -> Any:
    return where(eq(sub(x, x), like(x, 0)), out, like(x, math.nan))


def sin(x: Any) -> Any:
    n, (sine, _), (cosine, _) = _sine_and_cosine(x)
    out = negated(_bit(n, 2), where(_bit(n, 1), cosine, sine))
    return _of_finite(x, where(_tiny(x), x, negated(sign_bit(x), out)))


def cos(x: Any) -> Any:
    n, (sine, _), (cosine, _) = _sine_and_cosine(x)
    n = add(n, where(_bit(n, 1), pattern(2, I32), pattern(0, I32)))  # cos(r + pi/2) = -sin r
    return _of_finite(x, where(_tiny(x), like(x, 1), negated(_bit(n, 2), where(_bit(n, 1), sine, cosine))))


def tan(x: Any) -> Any:
    n, (sine, sine_rest), (cosine, cosine_rest) = _sine_and_cosine(x)
    odd = _bit(n, 1)
    over, over_rest = where(odd, cosine, sine), where(odd, cosine_rest, sine_rest)
    under, under_rest = where(odd, neg(sine), cosine), where(odd, neg(sine_rest), cosine_rest)
    q = div(over, under)
    out = add(q, div(sub(over_rest, mul(q, under_rest)), under))
    return _of_finite(x, where(_tiny(x), x, negated(sign_bit(x), out)))


def atan2(y: Any, x: Any) -> Any:
    """``atan q`` with ``q`` the less over the greater of ``|x|`` and ``|y|``, and the angle where its octant begins.

    What rounding leaves over of ``q`` is added to the small terms.
    """
    a, b = abs_(y), abs_(x)
    steep = lt(b, a)
    less, more = where(steep, b, a), where(steep, a, b)
    infinite = eq(more, like(x, math.inf))
    both = eq(less, like(x, math.inf))
    # Brought to where no product vanishes or overflows; 0 / 1 where there is nothing, 1 / 1 between infinities.
    lift = 2.0**512 if x.dtype == dtypes.float64 else 2.0**64
    down, up, one = like(x, 1 / lift), like(x, lift), like(x, 1)
    factor = where(lt(up, more), down, where(lt(more, one), up, one))
    more = where(infinite, one, mul(more, factor))
    more = where(eq(more, like(x, 0)), one, more)
    less = where(both, one, where(infinite, like(x, 0), mul(less, factor)))
    q = div(less, more)
    back, rest = product(q, more)
    left = div(sub(sub(less, back), rest), more)
    square = mul(q, q)
    small = add(mul(mul(q, square), fitted("ATAN", square)), div(left, add(square, one)))
    below = sign_bit(x)
    turn, turn_rest = pair("HALF_PI", x)
    # The angle of a diagonal is right to the last digit, as those of the axes are.
    diagonal, half = eq(less, more), like(x, 0.5)
    q, small = where(diagonal, mul(turn, half), q), where(diagonal, mul(turn_rest, half), small)
    whole, whole_rest = pair("PI", x)
    zero = like(x, 0)
    base = where(steep, turn, where(below, whole, zero))
    base_rest = where(steep, turn_rest, where(below, whole_rest, zero))
    # pi/2 - atan q, pi - atan q, pi/2 + atan q by octant.
    minus = xor(steep, below)
    q, small = negated(minus, q), negated(minus, small)
    total, lost = sum_of(base, q)
    out = add(total, add(lost, add(base_rest, small)))
    out = negated(sign_bit(y), out)
    return where(eq(y, y), where(eq(x, x), out, x), y)
