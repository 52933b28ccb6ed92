"""Hypergeometric functions, by their power series where all its terms have one sign, after a transformation elsewhere.

The derivative by a parameter is a series too: each term times the sum of ``1 / (a + j)`` over its factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.higher_order import while_loop
from portax.lax import elementwise as lax
from portax.scipy.special.common import derived, floats
from portax.scipy.special.gamma import gammasgn

#: Terms after which a series is given up: it has grown beyond the dtype, or converges hardly at all.
_MOST = 20000


def _series(above: Sequence[Any], below: Sequence[Any], x: Any, by: tuple[str, int] | None = None) -> Any:
    """The sum of ``prod (a)_k / prod (b)_k x^k / k!``, or its derivative by one of the parameters."""
    tiny = float(dtypes.finfo(x.dtype).eps) / 4
    zero = pnp.zeros_like(x)

    def step(state: Any) -> Any:
        k, term, factor, total, _ = state
        ratio = x / (k + 1)
        for a in above:
            ratio = ratio * (a + k)
        for b in below:
            ratio = ratio / (b + k)
        if by is None:
            term = pnp.where(ratio == 0, 0, term * ratio)
            added = term
        else:
            of = (above if by[0] == "above" else below)[by[1]]
            factor = factor + pnp.where(of + k == 0, 0, 1 / pnp.where(of + k == 0, 1, of + k))
            term = pnp.where(ratio == 0, 0, term * ratio)
            added = term * factor
        total = total + added
        small = (pnp.abs(added) <= tiny * pnp.abs(total)) & (pnp.abs(ratio) < 1)
        return k + 1, term, factor, total, small | ~pnp.isfinite(total) | (term == 0)

    start = (zero, zero + 1, zero, zero + (1 if by is None else 0), zero != 0)
    total = while_loop(lambda s: pnp.any(~s[4] & (s[0] < _MOST)), step, start)[3]
    return -total if by is not None and by[0] == "below" else total


def _one_shape(*xs: Any) -> list[Any]:
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    return [pnp.broadcast_to(x, shape) for x in xs]


# -- 1F1 --------------------------------------------------------------------------------------------------------------
def _kummer(a: Any, b: Any, x: Any, by: tuple[str, int] | None = None) -> Any:
    return _series([a], [b], x, by)


def _asymptotic_1f1(a: Any, b: Any, x: Any) -> Any:
    """For large positive ``x``: ``gamma(b) / gamma(a) exp(x) x^(a - b)`` times a series in ``1 / x``."""
    term, total = pnp.ones_like(x), pnp.ones_like(x)
    growing = pnp.zeros_like(x, dtype=bool)
    for k in range(40):
        after = term * (b - a + k) * (1 - a + k) / ((k + 1) * x)
        growing = growing | (pnp.abs(after) > pnp.abs(term))
        term = pnp.where(growing, 0, after)
        total = total + term
    size = lax.lgamma(b) - lax.lgamma(a) + x + (a - b) * pnp.log(x)
    return gammasgn(b) * gammasgn(a) * pnp.exp(size) * total


def _hyp1f1_value(a: Any, b: Any, x: Any) -> Any:
    # exp(x) 1F1(b - a; b; -x) where x is negative: its terms do not alternate.
    left = x < 0
    c, y = pnp.where(left, b - a, a), pnp.abs(x)
    far = (y > 100) & (c > 0) & (y > 4 * (pnp.abs(c) + 1) * (pnp.abs(b - c) + 1))
    near = _kummer(c, b, pnp.where(far, 1, y))
    scaled = pnp.where(left, pnp.exp(x), 1) * near
    one = pnp.ones_like(y)
    size = _asymptotic_1f1(pnp.where(far, c, one), pnp.where(far, b, one), pnp.where(far, y, 200.0))
    beyond = pnp.where(left, pnp.exp(x) * size, size)
    out = pnp.where(far, beyond, scaled)
    return pnp.where((a == b) & (a == 0), 1, out)


def _slope_1f1(name: str, place: int) -> Any:
    def slope(out: Any, a: Any, b: Any, x: Any) -> Any:
        left = x < 0
        c, y = pnp.where(left, b - a, a), pnp.abs(x)
        by_c, by_b = _kummer(c, b, y, ("above", 0)), _kummer(c, b, y, ("below", 0))
        scale = pnp.where(left, pnp.exp(x), 1)
        if name == "a":
            return pnp.where(left, -by_c, by_c) * scale
        return (pnp.where(left, by_c, 0) + by_b) * scale

    return slope


def _slope_1f1_x(out: Any, a: Any, b: Any, x: Any) -> Any:
    return pnp.where((a == 0) & (b == 0), 0, a / pnp.where(b == 0, 1, b) * _hyp1f1(a + 1, b + 1, x))


@derived(_slope_1f1("a", 0), _slope_1f1("b", 1), _slope_1f1_x)
def _hyp1f1(a: Any, b: Any, x: Any) -> Any:
    return _hyp1f1_value(a, b, x)


def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """Kummer's function, the sum of ``(a)_k / (b)_k x**k / k!``.

    Parameters
    ----------
    a, b, x : arrays that broadcast together
        Of negative ``a``, ``b`` or ``b - a`` digits are lost where terms of the sum cancel.

    Returns
    -------
    Array of the broadcast shape, floating point

    References
    ----------
    Abramowitz and Stegun, Handbook of mathematical functions, 13.1.

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.hyp1f1(1.0, 1.0, 1.0)), 4)
    2.7183
    """
    (a, b, x), back = floats("hyp1f1", a, b, x)
    return back(_hyp1f1(*_one_shape(a, b, x)))


# -- 2F1 --------------------------------------------------------------------------------------------------------------
def _gauss(a: Any, b: Any, c: Any) -> Any:
    """At ``x = 1``: ``gamma(c) gamma(c - a - b) / (gamma(c - a) gamma(c - b))``, infinite where that diverges."""
    excess = c - a - b
    fits = excess > 0
    safe = pnp.where(fits, excess, 1)
    poles = ((c - a <= 0) & (pnp.floor(c - a) == c - a)) | ((c - b <= 0) & (pnp.floor(c - b) == c - b))
    sign = gammasgn(c) * gammasgn(safe) * pnp.where(poles, 0, gammasgn(c - a) * gammasgn(c - b))
    size = lax.lgamma(c) + lax.lgamma(safe) - lax.lgamma(c - a) - lax.lgamma(c - b)
    return pnp.where(fits, pnp.where(poles, 0, sign * pnp.exp(pnp.where(poles, 0, size))), math.inf)


def _ends(a: Any) -> Any:
    """Whether the series with ``a`` above is a polynomial."""
    return (a <= 0) & (a == pnp.floor(a))


def _hyp2f1_value(a: Any, b: Any, c: Any, x: Any) -> Any:
    # Negative x: (1 - x)^-a F(a, c - b; c; x / (x - 1)), for which the argument is in [0, 1).
    left = (x < 0) & ~_ends(a) & ~_ends(b)
    y = pnp.where(left, x / pnp.where(left, x - 1, 1), x)
    d = pnp.where(left, c - b, b)
    # (1 - x)^(c - a - d) F(c - a, c - d; c; x) grows slower where c < a + d.
    steep = (c < a + d) & (y > 0.5) & (y < 1) & ~_ends(a) & ~_ends(d)
    p, q = pnp.where(steep, c - a, a), pnp.where(steep, c - d, d)
    polynomial = _ends(p) | _ends(q)
    inside = (pnp.abs(y) < 1) | polynomial
    value = _series([p, q], [c], pnp.where(inside, y, 0))
    value = value * pnp.where(steep, (1 - pnp.where(steep, y, 0)) ** (c - a - d), 1)
    value = pnp.where((y == 1) & ~polynomial, _gauss(a, d, c), pnp.where(inside, value, math.nan))
    return value * pnp.where(left, (1 - pnp.where(left, x, 0)) ** (-a), 1)


def _slope_2f1(place: tuple[str, int]) -> Any:
    def slope(out: Any, a: Any, b: Any, c: Any, x: Any) -> Any:
        inside = pnp.abs(x) < 1
        return pnp.where(inside, _series([a, b], [c], pnp.where(inside, x, 0), place), math.nan)

    return slope


def _slope_2f1_x(out: Any, a: Any, b: Any, c: Any, x: Any) -> Any:
    return a * b / c * _hyp2f1(a + 1, b + 1, c + 1, x)


@derived(
    _slope_2f1(("above", 0)),
    _slope_2f1(("above", 1)),
    _slope_2f1(("below", 0)),
    _slope_2f1_x,
)
def _hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    return _hyp2f1_value(a, b, c, x)


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """Gauss' hypergeometric function, the sum of ``(a)_k (b)_k / (c)_k x**k / k!``.

    Parameters
    ----------
    a, b, c, x : arrays that broadcast together, ``x <= 1``
        Digits are lost close to ``x = 1``, and where terms of the sum cancel.

    Returns
    -------
    Array of the broadcast shape, floating point; NaN for ``x > 1``

    References
    ----------
    Abramowitz and Stegun, Handbook of mathematical functions, 15.1 and 15.3.

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.hyp2f1(1.0, 1.0, 2.0, 0.5)), 4)
    1.3863
    """
    (a, b, c, x), back = floats("hyp2f1", a, b, c, x)
    return back(_hyp2f1(*_one_shape(a, b, c, x)))
