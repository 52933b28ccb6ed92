"""Sums of two numbers that stand for one of twice the digits: what formulas need where a rounding would be magnified.

A pair ``(high, low)`` is the sum of its parts, and the low part is hardly more than half a unit in the last place of
the high one. All of it is additions and products of the dtype itself, and a mask that cuts a number in two; no device
needs a fused product or a wider dtype for it.

References
----------
Dekker, A floating-point technique for extending the available precision, Numerische Mathematik 18, 1971.
Knuth, The Art of Computer Programming, volume 2, section 4.2.2, theorem B.
"""

from __future__ import annotations

from typing import Any

from portax.core import dtypes
from portax.primitives.arithmetic import add, mul, sub
from portax.primitives.bits import and_, pattern
from portax.primitives.conversion import bitcast_convert_type

Pair = tuple[Any, Any]


def halves(x: Any) -> Pair:
    """``x`` as the sum of two numbers with half of its digits each."""
    words, cut = (dtypes.uint64, 27) if x.dtype == dtypes.float64 else (dtypes.uint32, 12)
    bits = and_(bitcast_convert_type(x, new_dtype=words), pattern(-1 << cut, words))
    high = bitcast_convert_type(bits, new_dtype=x.dtype)
    return high, sub(x, high)


def sum_of(x: Any, y: Any) -> Pair:
    """``x + y``, exactly."""
    total = add(x, y)
    of_y = sub(total, x)
    return total, add(sub(x, sub(total, of_y)), sub(y, of_y))


def ordered_sum(x: Any, y: Any) -> Pair:
    """``x + y``, exactly, where ``x`` is 0 or no smaller than ``y``."""
    total = add(x, y)
    return total, sub(y, sub(total, x))


def product(x: Any, y: Any) -> Pair:
    """``x y``, exactly, where nothing overflows or vanishes."""
    (a, b), (c, d) = halves(x), halves(y)
    total = mul(x, y)
    rest = add(add(sub(mul(a, c), total), add(mul(a, d), mul(b, c))), mul(b, d))
    return total, rest
