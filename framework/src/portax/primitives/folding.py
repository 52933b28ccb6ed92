"""Decompositions of complex functions, from a formula in one quadrant: `quadrants` on portax arrays.

A formula takes and gives real and imaginary parts. It is asked above the real axis only, or in the first quadrant where
the function is odd or even, and signs are put on afterwards, bit for bit: so it need not care for the sign of a zero,
and what it says at infinities and NaN is mended by a few selects, the same ones that mend a compiler's result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax.primitives.arithmetic import abs_, neg
from portax.primitives.bits import and_, not_, or_, xor
from portax.primitives.comparison import eq, is_finite, lt, ne
from portax.primitives.complex_parts import complex_, imag, real
from portax.primitives.conversion import bitcast_convert_type
from portax.primitives.decomposing import where
from portax.primitives.elementwise import like
from portax.primitives.quadrants import Edges

Formula = Callable[[Any, Any], tuple[Any, Any]]


class ArrayParts:
    """The words of `quadrants.Parts`, for conditions on portax arrays."""

    def eq(self, x: Any, value: float) -> Any:
        return eq(x, like(x, value))

    def is_nan(self, x: Any) -> Any:
        return ne(x, x)

    def finite(self, x: Any) -> Any:
        return is_finite(x)

    def sign_bit(self, x: Any) -> Any:
        bits = bitcast_convert_type(x, new_dtype=np.dtype(f"i{x.dtype.itemsize}"))
        return lt(bits, like(bits, 0))

    def both(self, p: Any, q: Any) -> Any:
        return and_(p, q)

    def either(self, p: Any, q: Any) -> Any:
        return or_(p, q)

    def no(self, p: Any) -> Any:
        return not_(p)

    def where(self, which: Any, on_true: Any, on_false: Any) -> Any:
        """A number may stand for an array full of it."""
        some = on_false if isinstance(on_true, float) else on_true
        return where(which, *(like(some, x) if isinstance(x, float) else x for x in (on_true, on_false)))

    def flip(self, which: Any, x: Any) -> Any:
        return where(which, neg(x), x)


AT = ArrayParts()


def by_quadrant(f: Formula, edges: Edges, parity: str | None = None) -> Callable[..., Any]:
    """The ``decompose`` slot of a complex function: ``f`` where symmetries lead to, ``edges``, and the signs.

    Parameters
    ----------
    f : function (x, y) -> (p, q) of parts
        Of ``y >= 0``; of ``x >= 0`` too where there is a parity; or of NaN.
    edges : function
        Mends the result's parts at infinities, NaN and zeros, given folded arguments.
    parity : "odd", "even" or None
        Which of ``f(-z) = -f(z)`` and ``f(-z) = f(z)`` holds.
    """

    def decompose(z: Any, **_: Any) -> Any:
        x, y = real(z), imag(z)
        left, below = AT.sign_bit(x), AT.sign_bit(y)
        u, v = abs_(x) if parity else x, abs_(y)
        p, q = edges(AT, u, v, *f(u, v))  # pyright: ignore[reportArgumentType]
        if parity == "odd":
            p = AT.flip(left, p)
        if parity == "even":
            below = xor(left, below)
        return complex_(p, AT.flip(below, q))

    return decompose
