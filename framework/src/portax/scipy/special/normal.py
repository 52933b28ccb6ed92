"""The error function and its kin: the normal distribution, Dawson's and Faddeeva's functions, Owen's T.

All rest on ``erfcx(x) = exp(x^2) erfc(x)``, which neither overflows nor vanishes for positive ``x``; so logarithms and
quotients of tails keep their digits however far out they are.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError
from portax.lax import elementwise as lax
from portax.numpy.promotion import promote_args_inexact
from portax.primitives.special_functions.error import _ERFCX
from portax.scipy.special.common import chebyshev, derived, floats, is_double
from portax.scipy.special.tables import DAWSN

_ROOT_2, _ROOT_PI = math.sqrt(2), math.sqrt(math.pi)


def erf(x: Any) -> Any:
    """The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to ``x``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.erf(0.0))
    0.0
    """
    [x] = promote_args_inexact("erf", x)
    return lax.erf(x)


def erfc(x: Any) -> Any:
    """``1 - erf(x)``, accurate where that difference is tiny.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.erfc(0.0))
    1.0
    """
    [x] = promote_args_inexact("erfc", x)
    return lax.erfc(x)


def erfinv(x: Any) -> Any:
    """The number whose error function is ``x``: infinite at -1 and 1, NaN beyond.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.erfinv(0.0))
    0.0
    """
    [x] = promote_args_inexact("erfinv", x)
    return lax.erf_inv(x)


def _exp_square(x: Any) -> Any:
    """``exp(x^2)``: the head's square is exact, what it leaves out is small."""
    scale = float(1 << (20 if is_double(x) else 7))
    head = pnp.floor(x * scale) / scale
    return pnp.exp(head * head) * pnp.exp((x - head) * (x + head))


def _right(x: Any) -> Any:
    """``erfcx`` for ``x >= 0``."""
    return chebyshev(_ERFCX, 1 - 7.5 / (x + 3.75)) / (2 * x + 1)


@derived(lambda out, x: 2 * x * out - 2 / _ROOT_PI)
def _erfcx(x: Any) -> Any:
    right = _right(pnp.abs(x))
    left = x < 0
    return pnp.where(left, 2 * _exp_square(pnp.clip(pnp.where(left, x, 0), -30, None)) - right, right)


def erfcx(x: Any) -> Any:
    """``exp(x**2) erfc(x)``, the scaled complementary error function.

    Parameters
    ----------
    x : array, real or complex

    Returns
    -------
    Array of the shape of ``x``, floating point or complex

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.erfcx(0.0))
    1.0
    """
    [x] = promote_args_inexact("erfcx", x)
    if dtypes.is_complex(x.dtype):
        return _faddeeva(x * 1j)
    [x], back = floats("erfcx", x)
    return back(_erfcx(x))


@derived(lambda out, x: 1 - 2 * x * out)
def _dawsn(x: Any) -> Any:
    square = pnp.minimum(x * x, float(dtypes.finfo(x.dtype).max))
    ratio = pnp.where(square < 1e12, (square - 12) / (square + 12), 1)
    far = pnp.abs(x) > 1e6
    safe = pnp.where(far, 1, x)
    near = chebyshev(DAWSN, ratio) * safe / (1 + 2 * pnp.where(far, 1, square))
    return pnp.where(far, 0.5 / pnp.where(far, x, 1), near)


def dawsn(x: Any) -> Any:
    """Dawson's integral, ``exp(-x**2)`` times the integral of ``exp(t**2)`` from 0 to ``x``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.dawsn(1.0)), 4)
    0.5381
    """
    [x], back = floats("dawsn", x)
    return back(_dawsn(x))


# -- the normal distribution ------------------------------------------------------------------------------------------
def ndtr(x: Any) -> Any:
    """The normal distribution function: how much of it lies below ``x``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.ndtr(0.0))
    0.5
    """
    [x], back = floats("ndtr", x)
    return back(0.5 * lax.erfc(-x * math.sqrt(0.5)))


def _tail_slope(x: Any) -> Any:
    """The derivative of ``log(ndtr(x))``: the density over the distribution."""
    left = _erfcx(-x / _ROOT_2)
    return math.sqrt(2 / math.pi) / left


@derived(lambda out, x: _tail_slope(x))
def _log_ndtr(x: Any) -> Any:
    left = x < -1
    low, high = pnp.where(left, x, -1), pnp.where(left, 0, x)
    below = pnp.log(0.5 * _right(-low / _ROOT_2)) - 0.5 * low * low
    return pnp.where(left, below, pnp.log1p(-0.5 * lax.erfc(high / _ROOT_2)))


def log_ndtr(x: Any, series_order: int = 3) -> Any:
    """The logarithm of ``ndtr(x)``, accurate however small that is.

    Parameters
    ----------
    x : array
    series_order : int, from 0 to 30
        Has no effect: no series is cut off here.

    Returns
    -------
    Array of the shape of ``x``, floating point

    Raises
    ------
    ArgumentError
        ``series_order`` is none.

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.log_ndtr(-40.0)), 3)
    -804.608
    """
    if not isinstance(series_order, int) or not 0 <= series_order <= 30:
        raise ArgumentError(
            wrong=f"log_ndtr was given series_order={series_order!r}", fix="Give an int from 0 to 30, or leave it out"
        )
    [x], back = floats("log_ndtr", x)
    return back(_log_ndtr(x))


@derived(lambda out, p: math.sqrt(2 * math.pi) * pnp.exp(0.5 * out * out))
def _ndtri(p: Any) -> Any:
    low = pnp.minimum(p, 1 - p)
    inside = (low > 0) & (low <= 0.5)
    centre = inside & (low > 0.1)
    near = _ROOT_2 * lax.erf_inv(pnp.where(centre, 2 * p - 1, 0))
    log = pnp.log(pnp.where(inside & ~centre, low, 0.05))
    # A start good to three digits, and steps of Newton on log(ndtr(x)) = log(p), which is nearly a parabola.
    t = pnp.sqrt(-2 * log)
    x = (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t)) - t
    for _ in range(3 if is_double(p) else 2):
        x = x - (_log_ndtr(x) - log) / _tail_slope(x)
    x = pnp.where(p > 0.5, -x, x)
    out = pnp.where(centre, near, pnp.where(inside, x, math.nan))
    return pnp.where(p == 0, -math.inf, pnp.where(p == 1, math.inf, out))


def ndtri(p: Any) -> Any:
    """The number below which the part ``p`` of the normal distribution lies; NaN outside [0, 1].

    Parameters
    ----------
    p : array

    Returns
    -------
    Array of the shape of ``p``, floating point

    References
    ----------
    Abramowitz and Stegun, Handbook of mathematical functions, 26.2.22, for the first guess in the tails.

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.ndtri(0.5))
    0.0
    """
    [p], back = floats("ndtri", p)
    return back(_ndtri(p))


# -- Owen's T ---------------------------------------------------------------------------------------------------------
def _owens_core(h: Any, a: Any) -> Any:
    """``T(h, a)`` for ``0 <= a <= 1``, by Gauss' formula over the angle ``atan(x)``."""
    nodes, weights = np.polynomial.legendre.leggauss(24 if is_double(h) else 13)
    angle = pnp.arctan(a)
    total = pnp.zeros_like(angle * h)
    for x, w in zip((nodes + 1) / 2, weights / 2, strict=True):
        cosine = pnp.cos(angle * float(x))
        total = total + float(w) * pnp.exp(-0.5 * (h / cosine) ** 2)
    return total * angle / (2 * math.pi)


@derived(
    lambda out, h, a: -pnp.exp(-0.5 * h * h) / (2 * math.sqrt(2 * math.pi)) * lax.erf(a * h / _ROOT_2),
    lambda out, h, a: pnp.exp(-0.5 * h * h * (1 + a * a)) / (2 * math.pi * (1 + a * a)),
)
def _owens_t(h: Any, a: Any) -> Any:
    sign, a, h = pnp.sign(a), pnp.abs(a), pnp.abs(h)
    large = a > 1
    safe = pnp.where(large, a, 1)
    ah = pnp.where(h == 0, 0, safe * h)
    first, second = lax.erfc(h / _ROOT_2), lax.erfc(ah / _ROOT_2)
    core = _owens_core(pnp.where(large, pnp.where(pnp.isinf(ah), 1, ah), h), pnp.where(large, 1 / safe, a))
    core = pnp.where(large & pnp.isinf(ah), 0, core)
    return sign * pnp.where(large, 0.25 * (first + second - first * second) - core, core)


def owens_t(h: Any, a: Any) -> Any:
    """Owen's T: the integral of ``exp(-h**2 (1 + x**2) / 2) / (1 + x**2)`` from 0 to ``a``, over ``2 pi``.

    Parameters
    ----------
    h, a : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    References
    ----------
    Owen, Tables for computing bivariate normal probabilities, Annals of Mathematical Statistics 27(4), 1956.

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.owens_t(0.0, 1.0)), 6)
    0.125
    """
    (h, a), back = floats("owens_t", h, a)
    shape = np.broadcast_shapes(h.shape, a.shape)
    return back(_owens_t(pnp.broadcast_to(h, shape), pnp.broadcast_to(a, shape)))


# -- Faddeeva's function ----------------------------------------------------------------------------------------------
@functools.cache
def _weideman(n: int) -> tuple[float, list[float]]:
    """The length L, and the coefficients of ``((L + iz) / (L - iz))^k``.

    References
    ----------
    Weideman, Computation of the complex error function, SIAM Journal on Numerical Analysis 31(5), 1994.
    """
    m = 2 * n
    length = math.sqrt(n / _ROOT_2)
    t = length * np.tan(np.arange(-m + 1, m) * np.pi / m / 2)
    values = np.concatenate([[0.0], np.exp(-(t**2)) * (length**2 + t**2)])
    spectrum = np.real(np.fft.fft(np.fft.fftshift(values))) / (2 * m)
    return length, [float(c) for c in spectrum[1 : n + 1]]


def _upper(z: Any) -> Any:
    """``w(z)`` in the upper half plane."""
    length, coefficients = _weideman(40 if is_double(z) else 20)
    far = pnp.abs(z.real) + pnp.abs(z.imag) > 12
    near = pnp.where(far, 1j, z)
    denominator = length - 1j * near
    ratio = (length + 1j * near) / denominator
    total = pnp.full_like(ratio, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * ratio + c
    inner = 2 * total / denominator**2 + (1 / _ROOT_PI) / denominator
    # Laplace's continued fraction, from its tail.
    z = pnp.where(far, z, 12.0)
    tail = pnp.zeros_like(z)
    for k in range(12, 0, -1):
        tail = (k / 2) / (z - tail)
    return pnp.where(far, 1j / _ROOT_PI / (z - tail), inner)


@derived(lambda out, z: 2j / _ROOT_PI - 2 * z * out)
def _faddeeva(z: Any) -> Any:
    low = z.imag < 0
    upper = _upper(pnp.where(low, -z, z))
    back = pnp.where(low, z, 0)
    return pnp.where(low, 2 * pnp.exp(-(back * back)) - upper, upper)


def wofz(z: Any) -> Any:
    """Faddeeva's function ``exp(-z**2) erfc(-iz)``.

    Parameters
    ----------
    z : array, real or complex

    Returns
    -------
    Array of the shape of ``z``, complex

    Examples
    --------
    >>> from portax.scipy import special
    >>> complex(special.wofz(0.0))
    (1+0j)
    """
    [z] = promote_args_inexact("wofz", z)
    if dtypes.is_complex(z.dtype):
        return _faddeeva(z)
    [z], _ = floats("wofz", z)
    return lax.complex(pnp.exp(-(z * z)), (2 / _ROOT_PI) * _dawsn(z))
