"""Integrals of elementary functions: exponential, sine and cosine integrals, Fresnel's, the dilogarithm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.higher_order import fori_loop
from portax.lax import elementwise as lax
from portax.scipy.special.common import chebyshev, derived, floats, horner, is_double
from portax.scipy.special.tables import EI_6, EI_12, EI_24, EXP1, FRESNEL_F, FRESNEL_G, SINE_F, SINE_G

_EULER = 0.57721566490153286


def _entire(x: Any, terms: int) -> Any:
    """The sum of ``x^k / (k k!)`` over ``k = 1, 2, ...``."""
    return horner([0.0] + [1 / (k * math.factorial(k)) for k in range(1, terms)], x)


# -- exponential integrals --------------------------------------------------------------------------------------------
@derived(lambda out, x: -pnp.exp(-x) / x)
def _exp1(x: Any) -> Any:
    near = x <= 2
    small = pnp.where(near & (x > 0), x, 1)
    left = -_EULER - pnp.log(small) - _entire(-small, 26 if is_double(x) else 16)
    large = pnp.where(near, 2, x)
    right = chebyshev(EXP1, 4 / large - 1) * pnp.exp(-large) / large
    out = pnp.where(near, left, right)
    return pnp.where(x > 0, out, pnp.where(x == 0, math.inf, math.nan))


def exp1(x: Any) -> Any:
    """The integral of ``exp(-t) / t`` from ``x`` to infinity, ``x > 0``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.exp1(1.0)), 4)
    0.2194
    """
    [x], back = floats("exp1", x)
    return back(_exp1(x))


@derived(lambda out, x: pnp.exp(x) / x)
def _expi(x: Any) -> Any:
    left = -_exp1(pnp.where(x < 0, -x, 1))
    near = (x > 0) & (x <= 6)
    small = pnp.where(near, x, 1)
    series = _EULER + pnp.log(small) + _entire(small, 44 if is_double(x) else 30)
    large = pnp.where(x > 6, x, 6)
    inverse = 1 / large
    first = chebyshev(EI_6, pnp.clip(24 * inverse - 3, -1, 1))
    second = chebyshev(EI_12, pnp.clip(48 * inverse - 3, -1, 1))
    third = chebyshev(EI_24, pnp.clip(48 * inverse - 1, -1, 1))
    # In two halves, so that it is infinite only where the result is.
    half = pnp.exp(0.5 * large)
    far = half * (pnp.where(large <= 12, first, pnp.where(large <= 24, second, third)) * inverse) * half
    far = pnp.where(pnp.isinf(large), math.inf, far)
    out = pnp.where(x < 0, left, pnp.where(near, series, far))
    return pnp.where(x == 0, -math.inf, pnp.where(pnp.isnan(x), math.nan, out))


def expi(x: Any) -> Any:
    """The principal value of the integral of ``exp(t) / t`` from minus infinity to ``x``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.expi(1.0)), 4)
    1.8951
    """
    [x], back = floats("expi", x)
    return back(_expi(x))


def _expn_series(n: Any, x: Any, terms: int) -> Any:
    """``E_n(x)`` for ``n >= 1``, ``0 < x <= 1``."""
    log = pnp.log(x)
    psi = lax.digamma(n)
    sign = pnp.where(pnp.floor(n / 2) * 2 == n, -1, 1)
    out = sign * pnp.exp((n - 1) * log - lax.lgamma(n)) * (psi - log)
    power = pnp.ones_like(x)
    for m in range(terms):
        skipped = n == m + 1
        out = out - pnp.where(skipped, 0, power / pnp.where(skipped, 1, m + 1 - n))
        power = power * (-x / (m + 1))
    return out


def _expn_fraction(n: Any, x: Any, depth: int) -> Any:
    """``E_n(x)`` for ``x > 1``, by a continued fraction from its tail."""

    def step(i: Any, tail: Any) -> Any:
        k = (depth - i).astype(x.dtype)
        return k * (n + k - 1) / (x + n + 2 * k - tail)

    return pnp.exp(-x) / (x + n - fori_loop(0, depth, step, pnp.zeros_like(x)))


def _expn_whole(n: Any, x: Any) -> Any:
    double = is_double(x)
    none, near = n == 0, (x > 0) & (x <= 1)
    m = pnp.where(n >= 1, n, 1)
    series = _expn_series(m, pnp.where(near, x, 0.5), 22 if double else 14)
    fraction = _expn_fraction(m, pnp.where(x > 1, x, 1), 90 if double else 36)
    zeroth = pnp.exp(-x) / x
    out = pnp.where(none, zeroth, pnp.where(near, series, fraction))
    at_zero = pnp.where(n > 1, 1 / pnp.where(n > 1, n - 1, 1), math.inf)
    out = pnp.where(pnp.isinf(x), 0, pnp.where(x == 0, at_zero, out))
    return pnp.where((n < 0) | (x < 0) | pnp.isnan(x) | pnp.isnan(n), math.nan, out)


def _expn_slope(out: Any, n: Any, x: Any) -> Any:
    none = n == 0
    below = _expn(pnp.where(none, 0, n - 1), x)
    return -pnp.where(none, below * (1 + 1 / x), below)


@derived(None, _expn_slope)
def _expn(n: Any, x: Any) -> Any:
    return _expn_whole(n, x)


def expn(n: Any, x: Any) -> Any:
    """``x**(n - 1)`` times the integral of ``exp(-t) / t**n`` from ``x`` to infinity.

    Parameters
    ----------
    n : array of whole numbers of at least 0
        It has no derivative.
    x : array of numbers of at least 0

    Returns
    -------
    Array of the broadcast shape, floating point

    References
    ----------
    Abramowitz and Stegun, Handbook of mathematical functions, 5.1.12 and 5.1.22.

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.expn(2, 1.0)), 4)
    0.1485
    """
    (n, x), back = floats("expn", n, x)
    shape = np.broadcast_shapes(n.shape, x.shape)
    return back(_expn(pnp.broadcast_to(n, shape), pnp.broadcast_to(x, shape)))


# -- sine and cosine --------------------------------------------------------------------------------------------------
def _auxiliary(x: Any) -> tuple[Any, Any]:
    """``f`` and ``g`` for ``x >= 4``: both integrals without their oscillation."""
    inverse = 1 / x
    t = 32 * inverse * inverse - 1
    return chebyshev(SINE_F, t) * inverse, chebyshev(SINE_G, t) * inverse * inverse


@derived(lambda out, x: pnp.sinc(x / math.pi))
def _sine_integral(x: Any) -> Any:
    size = pnp.abs(x)
    near = size <= 4
    small = pnp.where(near, x, 1)
    coefficients = [(-1) ** k / ((2 * k + 1) * math.factorial(2 * k + 1)) for k in range(17 if is_double(x) else 11)]
    series = horner(coefficients, small * small) * small
    large = pnp.where(near, 4, size)
    f, g = _auxiliary(large)
    finite = pnp.where(pnp.isinf(large), 4, large)
    far = math.pi / 2 - f * pnp.cos(finite) - g * pnp.sin(finite)
    far = pnp.where(pnp.isinf(large), math.pi / 2, far)
    return pnp.where(near, series, pnp.where(x < 0, -far, far)) + 0 * pnp.where(pnp.isnan(x), x, 0)


@derived(lambda out, x: pnp.cos(x) / x)
def _cosine_integral(x: Any) -> Any:
    x = pnp.where(x == -math.inf, math.nan, pnp.abs(x))
    near = x <= 4
    small = pnp.where(near & (x > 0), x, 1)
    coefficients = [0.0] + [
        (-1) ** k / (2 * k * math.factorial(2 * k)) for k in range(1, 17 if is_double(x) else 11)
    ]
    series = _EULER + pnp.log(small) + horner(coefficients, small * small)
    large = pnp.where(near | pnp.isnan(x), 4, x)
    f, g = _auxiliary(large)
    finite = pnp.where(pnp.isinf(large), 4, large)
    far = pnp.where(pnp.isinf(large), 0, f * pnp.sin(finite) - g * pnp.cos(finite))
    out = pnp.where(near, series, far)
    return pnp.where(x > 0, out, pnp.where(x == 0, -math.inf, math.nan))


def sici(x: Any) -> tuple[Any, Any]:
    """The sine integral, of ``sin(t) / t`` from 0 to ``x``, and the cosine integral, whose slope is ``cos(x) / x``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Two Arrays of the shape of ``x``, floating point; the second is the real part for negative ``x``

    Examples
    --------
    >>> from portax.scipy import special
    >>> [round(float(v), 4) for v in special.sici(1.0)]
    [0.9461, 0.3374]
    """
    [x], back = floats("sici", x)
    return back(_sine_integral(x)), back(_cosine_integral(x))


# -- Fresnel ----------------------------------------------------------------------------------------------------------
def _quarter_turns(x: Any) -> tuple[Any, Any]:
    """``sin`` and ``cos`` of ``pi x^2 / 2``: the square is reduced by 4 before its digits are lost."""
    scale = 1 << (25 if is_double(x) else 11)
    wide = x * scale
    head = (wide + x) - wide  # Dekker: the upper half of the digits, whose square is exact
    tail = x - head
    turns = head * head
    rest = 2 * head * tail + tail * tail
    angle = (turns - 4 * pnp.floor(turns / 4) + (rest - 4 * pnp.floor(rest / 4))) * (math.pi / 2)
    return pnp.sin(angle), pnp.cos(angle)


def _fresnel_parts(x: Any) -> tuple[Any, Any]:
    size = pnp.abs(x)
    near = size <= 1.5
    small = pnp.where(near, size, 1)
    fourth = (0.5 * math.pi * small * small) ** 2
    terms = range(16 if is_double(x) else 10)
    sine = horner([(-1) ** k / (math.factorial(2 * k + 1) * (4 * k + 3)) for k in terms], fourth)
    cosine = horner([(-1) ** k / (math.factorial(2 * k) * (4 * k + 1)) for k in terms], fourth)
    sine, cosine = sine * (0.5 * math.pi) * small**3, cosine * small
    endless = size > 1e15
    large = pnp.where(near | endless, 1.5, size)
    t = 2 * (1.5 / large) ** 4 - 1
    f = chebyshev(FRESNEL_F, t) / (math.pi * large)
    g = chebyshev(FRESNEL_G, t) / (math.pi**2 * large**3)
    s, c = _quarter_turns(large)
    far_sine = pnp.where(endless, 0.5, 0.5 - f * c - g * s)
    far_cosine = pnp.where(endless, 0.5, 0.5 + f * s - g * c)
    nan = 0 * pnp.where(pnp.isnan(x), x, 0)
    sign = pnp.where(x < 0, -1, 1)
    return sign * pnp.where(near, sine, far_sine) + nan, sign * pnp.where(near, cosine, far_cosine) + nan


@derived(lambda out, x: pnp.sin(0.5 * math.pi * x * x))
def _fresnel_sine(x: Any) -> Any:
    return _fresnel_parts(x)[0]


@derived(lambda out, x: pnp.cos(0.5 * math.pi * x * x))
def _fresnel_cosine(x: Any) -> Any:
    return _fresnel_parts(x)[1]


def fresnel(x: Any) -> tuple[Any, Any]:
    """The integrals of ``sin(pi t**2 / 2)`` and of ``cos(pi t**2 / 2)`` from 0 to ``x``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Two Arrays of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> [round(float(v), 4) for v in special.fresnel(1.0)]
    [0.4383, 0.7799]
    """
    [x], back = floats("fresnel", x)
    return back(_fresnel_sine(x)), back(_fresnel_cosine(x))


# -- the dilogarithm --------------------------------------------------------------------------------------------------
#: ``B_2k / (2k + 1)!`` for k = 1 ...
_DEBYE = (
    2.7777777777777778e-2, -2.7777777777777778e-4, 4.7241118669690098e-6, -9.1857730746619635e-8,
    1.8978869988970999e-9, -4.0647616451442255e-11, 8.9216910204564526e-13, -1.9939295860721076e-14,
    4.5189800296199182e-16,
)  # fmt: skip


def _spence_slope(out: Any, x: Any) -> Any:
    one = x == 1
    return pnp.where(one, -1, -pnp.log(x) / pnp.where(one, 1, x - 1))


def _spence_middle(x: Any) -> Any:
    """For ``1/2 <= x <= 2``, by Debye's series in ``log(x)``."""
    u = -pnp.log(x)
    square = u * u
    return u * (1 + square * horner(_DEBYE, square)) - 0.25 * square


@derived(_spence_slope)
def _spence(x: Any) -> Any:
    large = x > 2
    # spence(x) = -log(x)^2 / 2 - spence(1 / x), and below 1/2 by spence(x) + spence(1 - x).
    y = pnp.where(large, 1 / pnp.where(large, x, 1), x)
    low = y < 0.5
    inside = low & (y > 0)
    safe = pnp.where(inside, y, 0.25)
    reflected = math.pi**2 / 6 - pnp.log(safe) * pnp.log1p(-safe) - _spence_middle(1 - safe)
    value = pnp.where(low, reflected, _spence_middle(pnp.where(low | pnp.isnan(y), 1, y)))
    value = pnp.where(y == 0, math.pi**2 / 6, value)
    log = pnp.log(pnp.where(large, x, 1))
    out = pnp.where(large, -0.5 * log * log - value, value)
    return pnp.where(x >= 0, out, math.nan)


def spence(x: Any) -> Any:
    """The integral of ``log(t) / (1 - t)`` from 1 to ``x``; NaN for negative ``x``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    References
    ----------
    Lewin, Polylogarithms and associated functions, North Holland, 1981.

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.spence(0.0)), 4)
    1.6449
    """
    [x], back = floats("spence", x)
    return back(_spence(x))
