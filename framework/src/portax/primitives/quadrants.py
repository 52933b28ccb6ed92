"""Complex functions in StableHLO, from their values in one quadrant.

The compilers' own complex functions are accurate inside the plane and careless at its edges: they lose the sign of a
zero, which tells the side of a cut, and make NaN of an infinity that annex G of C99, and so the array API standard,
keeps. Where ``f(conj z) = conj f(z)`` the function is asked above the real axis only, and where it is odd or even in
the right half only; signs are put on afterwards, bit for bit. What is still wrong at infinities and NaN is a few
selects. The invariant: at ordinary numbers the result is the compiler's own.

References
----------
ISO/IEC 9899:2011 (C11), annex G.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes

#: From the parts of an argument, folded, and of the result there, the parts that the result must have.
Edges = Callable[["Parts", Any, Any, Any, Any], tuple[Any, Any]]


class Parts:
    """Words for conditions on real arrays of one aval, over the StableHLO builder ``b``."""

    def __init__(self, b: Any, x: Any) -> None:
        self.b, self.aval = b, x.aval
        self.words = np.dtype(np.int32 if x.aval.dtype == dtypes.float32 else np.int64)

    def full(self, value: float) -> Any:
        return self.b.full(self.aval.shape, value, self.aval.dtype)

    def eq(self, x: Any, value: float) -> Any:
        return self.b.compare(x, self.full(value), "EQ")

    def is_nan(self, x: Any) -> Any:
        return self.b.compare(x, x, "NE")

    def finite(self, x: Any) -> Any:
        return self.b.unary("is_finite", x)

    def sign_bit(self, x: Any) -> Any:
        bits = self.b.bitcast(x, self.aval.shape, self.words)
        return self.b.compare(bits, self.b.full(self.aval.shape, 0, self.words), "LT")

    def both(self, p: Any, q: Any) -> Any:
        return self.b.binary("and", p, q)

    def either(self, p: Any, q: Any) -> Any:
        return self.b.binary("or", p, q)

    def no(self, p: Any) -> Any:
        return self.b.unary("not", p)

    def where(self, which: Any, on_true: Any, on_false: Any) -> Any:
        """A number may stand for an array full of it."""
        on_true, on_false = (self.full(x) if isinstance(x, float) else x for x in (on_true, on_false))
        return self.b.select(which, on_true, on_false)

    def flip(self, which: Any, x: Any) -> Any:
        return self.b.select(which, self.b.unary("negate", x), x)


def folded(b: Any, z: Any, f: Callable[[Any], Any], edges: Edges | None = None, parity: str | None = None) -> Any:
    """``f(z)`` from ``f`` at the point of the upper half plane, or the first quadrant, that its symmetries lead to.

    Parameters
    ----------
    b : the StableHLO builder
    z : Value, complex
    f : function of a complex Value, with ``f(conj z) = conj f(z)``
    edges : function, optional
        Mends the result's parts at infinities, NaN and zeros, given folded arguments.
    parity : "odd", "even" or None
        Which of ``f(-z) = -f(z)`` and ``f(-z) = f(z)`` holds.
    """
    x, y = b.real(z), b.imag(z)
    parts = Parts(b, x)
    left, below = parts.sign_bit(x), parts.sign_bit(y)
    u, v = b.unary("abs", x) if parity else x, b.unary("abs", y)
    w = f(b.complex(u, v))
    p, q = b.real(w), b.imag(w)
    if edges is not None:
        p, q = edges(parts, u, v, p, q)
    if parity == "odd":
        p = parts.flip(left, p)
    if parity == "even":
        below = b.binary("xor", left, below)
    return b.complex(p, parts.flip(below, q))


def symmetric(name: str, edges: Edges | None = None, parity: str | None = None, real: Any = None) -> Any:
    """The lowering of an elementwise primitive: one operation, folded where the operand is complex.

    Parameters
    ----------
    name : str
        The operation of StableHLO or CHLO.
    edges, parity
        As `folded` takes them.
    real : function, optional
        The lowering for a real operand, where it is not the operation itself.
    """

    def lowering(b: Any, x: Any) -> Any:
        if dtypes.is_complex(x.aval.dtype):
            return folded(b, x, lambda z: b.unary(name, z), edges, parity)
        return real(b, x) if real is not None else b.unary(name, x)

    return lowering


# Each function's edges. u and v are the folded parts of the argument, p and q those of the compiler's result; a
# comment ``(u, v) -> (p, q)`` says what is put right.


def modulus_edges(b: Any, x: Any) -> Any:
    """|z|: (inf, nan) -> inf, either way round."""
    parts = Parts(b, b.real(x))
    infinite = parts.either(*(parts.eq(b.unary("abs", part), math.inf) for part in (b.real(x), b.imag(x))))
    return parts.where(infinite, math.inf, b.unary("abs", x))


def exp_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(-inf, inf or nan) -> (0, 0); (inf, inf or nan) -> (inf, nan)."""
    lost = at.no(at.finite(v))
    gone, far = at.both(lost, at.eq(u, -math.inf)), at.both(lost, at.eq(u, math.inf))
    return at.where(gone, 0.0, at.where(far, math.inf, p)), at.where(gone, 0.0, q)


def expm1_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(-inf, inf or nan) -> (-1, 0); (inf, inf or nan) -> (inf, nan)."""
    lost = at.no(at.finite(v))
    gone, far = at.both(lost, at.eq(u, -math.inf)), at.both(lost, at.eq(u, math.inf))
    return at.where(gone, -1.0, at.where(far, math.inf, p)), at.where(gone, 0.0, q)


def log_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(nan, inf) and (inf or -inf, nan) -> (inf, nan)."""
    infinite = at.either(at.eq(at.b.unary("abs", u), math.inf), at.eq(v, math.inf))
    return at.where(infinite, math.inf, p), q


def sqrt_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(any, inf) -> (inf, inf); (-inf, nan) -> (nan, inf); (inf, nan) -> (inf, nan)."""
    above, none = at.eq(v, math.inf), at.is_nan(v)
    p = at.where(at.either(above, at.both(none, at.eq(u, math.inf))), math.inf, p)
    return p, at.where(at.either(above, at.both(none, at.eq(u, -math.inf))), math.inf, q)


def sinh_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(0, inf or nan) -> (0, nan); (inf, inf or nan) -> (inf, nan); (0, v) -> (0, q); (u, 0) -> (p, 0)."""
    lost = at.both(at.no(at.finite(v)), at.either(at.eq(u, 0.0), at.eq(u, math.inf)))
    return at.where(lost, u, p), at.where(at.eq(v, 0.0), 0.0, q)


def cosh_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(0, any) and (any, 0) -> (p, 0); (inf, inf or nan) -> (inf, nan)."""
    lost = at.both(at.no(at.finite(v)), at.eq(u, math.inf))
    axis = at.either(at.eq(u, 0.0), at.eq(v, 0.0))
    return at.where(lost, math.inf, p), at.where(axis, 0.0, q)


def tanh_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(0, inf or nan) -> (0, nan); (0, v) -> (0, q); (u, 0) -> (p, 0)."""
    return at.where(at.eq(u, 0.0), 0.0, p), at.where(at.eq(v, 0.0), 0.0, q)


def tan_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """tanh turned by a right angle: the parts change places."""
    return tanh_edges(at, v, u, q, p)[::-1]


def asinh_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(nan, 0) -> (nan, 0)."""
    return p, at.where(at.eq(v, 0.0), 0.0, q)


def asin_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """asinh turned by a right angle: the parts change places."""
    return asinh_edges(at, v, u, q, p)[::-1]


def acos_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(0, nan) -> (pi / 2, nan)."""
    return at.where(at.both(at.eq(u, 0.0), at.is_nan(v)), math.pi / 2, p), q


def acosh_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(0, nan) -> (nan, pi / 2)."""
    return p, at.where(at.both(at.eq(u, 0.0), at.is_nan(v)), math.pi / 2, q)


def atanh_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """(0 or inf, nan) -> (0, nan); (any other, nan) and (nan, finite) -> (nan, nan)."""
    none = at.is_nan(v)
    kept = at.both(none, at.either(at.eq(u, 0.0), at.eq(u, math.inf)))
    lost = at.either(none, at.both(at.is_nan(u), at.finite(v)))
    return at.where(kept, 0.0, at.where(lost, math.nan, p)), at.where(lost, math.nan, q)


def atan_edges(at: Parts, u: Any, v: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """atanh turned by a right angle: the parts change places; and (u, 0) -> (p, 0)."""
    q, p = atanh_edges(at, v, u, q, p)
    return p, at.where(at.both(at.finite(u), at.eq(v, 0.0)), 0.0, q)
