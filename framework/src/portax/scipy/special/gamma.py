"""The gamma function and its kin: logarithms, ratios, incomplete integrals, binomial coefficients."""

from __future__ import annotations

import fractions
import math
import operator
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax import primitives
from portax.core import dtypes
from portax.core.config import config
from portax.core.primitive import registry
from portax.errors import ArgumentError, GapError
from portax.lax import elementwise as lax
from portax.numpy.promotion import as_array, promote_args_inexact
from portax.primitives.special_functions.gamma import STIRLING
from portax.scipy.special.common import derived, floats, horner

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def gammaln(x: Any) -> Any:
    """The logarithm of the magnitude of the gamma function.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.gammaln(1.0))
    0.0
    """
    [x] = promote_args_inexact("gammaln", x)
    return lax.lgamma(x)


def gammasgn(x: Any) -> Any:
    """The sign of the gamma function: 1, -1, that of ``x`` at 0, NaN at negative integers and at -inf.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.gammasgn(-0.5))
    -1.0
    """
    [x], back = floats("gammasgn", x)
    floor = pnp.floor(x)
    # Even and odd floats differ in their halves, for all floats that have both.
    odd = floor != 2 * pnp.floor(floor / 2)
    signed = pnp.where((x < 0) & odd, -1, 1)
    signed = pnp.where((x < 0) & ((x == floor) | pnp.isinf(x)), math.nan, signed)
    signed = pnp.where(x == 0, pnp.where(pnp.signbit(x), -1, 1), signed)
    return back(pnp.where(pnp.isnan(x), x, signed).astype(x.dtype))


@derived(lambda out, x: out * lax.digamma(x))
def _gamma(x: Any) -> Any:
    return gammasgn(x) * pnp.exp(lax.lgamma(x))


@derived(lambda out, x: out * _complex_digamma(x))
def _complex_gamma(x: Any) -> Any:
    pole = (x.imag == 0) & (x.real <= 0) & (x.real == pnp.floor(x.real))
    return pnp.where(pole | pnp.isnan(x), complex(math.nan, math.nan), pnp.exp(_complex_loggamma(x)))


def gamma(x: Any) -> Any:
    """The gamma function: ``(x - 1)!`` for positive integers, NaN at negative ones.

    Parameters
    ----------
    x : array, real or complex

    Returns
    -------
    Array of the shape of ``x``, floating point or complex

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.gamma(5.0)), 3)
    24.0
    """
    [x] = promote_args_inexact("gamma", x)
    if dtypes.is_complex(x.dtype):
        return _complex_gamma(x)
    [x], back = floats("gamma", x)
    return back(_gamma(x))


# -- complex ----------------------------------------------------------------------------------------------------------
#: Stirling's series is good from here to the right, or this far above and below.
_FAR = 9


def _shifts(z: Any) -> Any:
    """How far to go right: enough for Stirling's series, in whole steps."""
    needed = pnp.ceil(_FAR - z.real)
    return pnp.where(pnp.abs(z.imag) >= _FAR, 0, pnp.clip(needed, 0, _FAR))


def _right_loggamma(z: Any) -> Any:
    """``loggamma`` where the real part is at least 0: Stirling's series, further right, less the steps there."""
    n = _shifts(z)
    steps = pnp.zeros_like(z)
    for k in range(_FAR):
        steps = steps + pnp.where(n > k, pnp.log(pnp.where(n > k, z + k, 1)), 0)
    far = z + n
    inverse = 1 / far
    series = horner(STIRLING, inverse * inverse) * inverse
    return (far - 0.5) * pnp.log(far) - far + _HALF_LOG_2PI + series - steps


def _log_sin_pi(z: Any) -> Any:
    """``log(sin(pi z))`` in the upper half plane: continuous there, 0 real part between 0 and 1 going up."""
    x, y = z.real, z.imag
    x = x - 2 * pnp.floor(x / 2)
    turned = 2j * math.pi * lax.complex(x, y)
    whole = -1j * math.pi * lax.complex(x - 0.5, y) - math.log(2)
    return whole + pnp.log1p(-pnp.exp(turned))


@derived(lambda out, z: _complex_digamma(z))
def _complex_loggamma(z: Any) -> Any:
    left = z.real < 0
    right = _right_loggamma(pnp.where(left, 1 - z, z))
    # In the lower half plane all is conjugate.
    below = pnp.signbit(z.imag)
    up = pnp.where(below, pnp.conj(z), z)
    up = pnp.where(left, up, 0.5 + 1j)
    turns = 2 * math.pi * pnp.floor(up.real / 2)
    sine = _log_sin_pi(up) - 1j * turns
    sine = pnp.where(below, pnp.conj(sine), sine)
    return pnp.where(left, math.log(math.pi) - sine - right, right)


def _complex_digamma(z: Any) -> Any:
    left = z.real < 0
    right = pnp.where(left, 1 - z, z)
    n = _shifts(right)
    steps = pnp.zeros_like(right)
    for k in range(_FAR):
        steps = steps + pnp.where(n > k, 1 / pnp.where(n > k, right + k, 1), 0)
    far = right + n
    inverse = 1 / far
    square = inverse * inverse
    # The derivative of Stirling's series, term by term.
    series = horner([-(2 * k + 1) * c for k, c in enumerate(STIRLING)], square) * square
    value = pnp.log(far) - 0.5 * inverse + series - steps
    return pnp.where(left, value - math.pi / pnp.tan(math.pi * pnp.where(left, z, 0.5)), value)


@derived(lambda out, x: lax.digamma(x))
def _real_loggamma(x: Any) -> Any:
    return pnp.where(x < 0, math.nan, lax.lgamma(pnp.where(x < 0, 1, x)))


def loggamma(x: Any) -> Any:
    """The logarithm of the gamma function, continued from the positive numbers; cut along the negative ones.

    Parameters
    ----------
    x : array, real or complex
        Negative real numbers give NaN, because the result is not real there.

    Returns
    -------
    Array of the shape of ``x``, floating point or complex

    References
    ----------
    Hare, Computing the principal branch of log-gamma, Journal of Algorithms 25(2), 1997.

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.loggamma(2.0))
    0.0
    """
    [x] = promote_args_inexact("loggamma", x)
    if dtypes.is_complex(x.dtype):
        return _complex_loggamma(x)
    [x], back = floats("loggamma", x)
    return back(_real_loggamma(x))


# -- derivatives and sums ---------------------------------------------------------------------------------------------
def digamma(x: Any) -> Any:
    """The derivative of ``gammaln``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.digamma(1.0)), 4)
    -0.5772
    """
    [x] = promote_args_inexact("digamma", x)
    return lax.digamma(x)


def polygamma(n: Any, x: Any) -> Any:
    """The derivative of order ``n`` of ``digamma``.

    Parameters
    ----------
    n : array of whole numbers
    x : array

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.polygamma(1, 1.0)), 4)
    1.6449
    """
    n, x = promote_args_inexact("polygamma", n, x)
    return primitives.polygamma(n, x)


def zeta(x: Any, q: Any = None) -> Any:
    """Hurwitz' zeta function, the sum of ``(q + k)**-x`` over ``k = 0, 1, ...``, for ``x > 1``.

    Parameters
    ----------
    x : array
    q : array, optional
        1 by default: Riemann's zeta function.

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.zeta(2.0, 1.0)), 4)
    1.6449
    """
    x, q = promote_args_inexact("zeta", x, 1 if q is None else q)
    return primitives.zeta(x, q)


def gammainc(a: Any, x: Any) -> Any:
    """The regularized lower incomplete gamma function, from 0 at ``x = 0`` to 1.

    Parameters
    ----------
    a, x : arrays that broadcast together, ``a > 0``, ``x >= 0``

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.gammainc(1.0, 1.0)), 4)
    0.6321
    """
    return primitives.igamma(*promote_args_inexact("gammainc", a, x))


def gammaincc(a: Any, x: Any) -> Any:
    """``1 - gammainc(a, x)``, accurate where that is tiny.

    Parameters
    ----------
    a, x : arrays that broadcast together, ``a > 0``, ``x >= 0``

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.gammaincc(1.0, 1.0)), 4)
    0.3679
    """
    return primitives.igammac(*promote_args_inexact("gammaincc", a, x))


# -- beta -------------------------------------------------------------------------------------------------------------
def _stirling(x: Any) -> Any:
    """What Stirling's formula for ``lgamma(x)`` lacks, ``x >= 8``."""
    inverse = 1 / x
    return horner(STIRLING, inverse * inverse) * inverse


def _lgamma_step(b: Any, a: Any) -> Any:
    """``lgamma(a + b) - lgamma(b)`` for ``b >= 8``, ``0 <= a <= b``, without cancellation."""
    whole = a + b
    return (b - 0.5) * pnp.log1p(a / b) + a * (pnp.log(whole) - 1) + (_stirling(whole) - _stirling(b))


@derived(
    lambda out, a, b: lax.digamma(a) - lax.digamma(a + b),
    lambda out, a, b: lax.digamma(b) - lax.digamma(a + b),
)
def _betaln(a: Any, b: Any) -> Any:
    low, high = pnp.minimum(a, b), pnp.maximum(a, b)
    large = (high >= 8) & (low >= 0)
    step = _lgamma_step(pnp.where(large, high, 8), pnp.where(large, low, 1))
    plain = lax.lgamma(high) - lax.lgamma(low + high)
    return lax.lgamma(low) + pnp.where(large, -step, plain)


def betaln(a: Any, b: Any) -> Any:
    """The logarithm of the magnitude of ``beta(a, b)``.

    Parameters
    ----------
    a, b : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.betaln(1.0, 1.0))
    0.0
    """
    (a, b), back = floats("betaln", a, b)
    return back(_betaln(a, b))


def beta(a: Any, b: Any) -> Any:
    """The beta function, ``gamma(a) gamma(b) / gamma(a + b)``.

    Parameters
    ----------
    a, b : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.beta(2.0, 3.0)), 6)
    0.083333
    """
    (a, b), back = floats("beta", a, b)
    return back(gammasgn(a) * gammasgn(b) * gammasgn(a + b) * pnp.exp(_betaln(a, b)))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularized incomplete beta function, from 0 at ``x = 0`` to 1 at ``x = 1``.

    Parameters
    ----------
    a, b, x : arrays that broadcast together, ``a, b > 0``, ``0 <= x <= 1``

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.betainc(1.0, 1.0, 0.25)), 6)
    0.25
    """
    return registry["regularized_incomplete_beta"](*promote_args_inexact("betainc", a, b, x))


# -- products ---------------------------------------------------------------------------------------------------------
def factorial(n: Any, exact: bool = False) -> Any:
    """``n!``, as a float; 0 for negative ``n``.

    Parameters
    ----------
    n : array
    exact : bool
        Only False.

    Returns
    -------
    Array of the shape of ``n``, floating point

    Raises
    ------
    GapError
        ``exact`` is True: no array holds integers of any size.

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.factorial(4)), 3)
    24.0
    """
    if exact:
        raise GapError(wrong="factorial was asked for exact results, integers of any size", fix="Use math.factorial")
    [n], back = floats("factorial", n)
    return back(pnp.where(n < 0, 0, pnp.exp(lax.lgamma(n + 1))))


def comb(N: Any, k: Any, *, repetition: bool = False) -> Any:
    """How many ways there are to take ``k`` of ``N`` things, as a float; 0 where there is none.

    Parameters
    ----------
    N, k : arrays that broadcast together
    repetition : bool
        A thing may be taken again.

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.comb(5, 2)), 3)
    10.0
    """
    (n, k), back = floats("comb", N, k)
    possible = (k >= 0) & (n >= 0) & ((k <= n) | bool(repetition))
    if repetition:
        n = pnp.where(n > 0, n + k - 1, 0)
    n, j = pnp.where(possible, n, 0), pnp.where(possible, k, 0)
    # 1 / ((n + 1) B(n - k + 1, k + 1)), which loses no digits where n is large.
    out = pnp.exp(-_betaln(*pnp.broadcast_arrays(n - j + 1, j + 1))) / (n + 1)
    return back(pnp.where(possible & ((n > 0) | (j == 0)), out, 0))


@derived(
    lambda out, z, m: out * (lax.digamma(z + m) - lax.digamma(z)),
    lambda out, z, m: out * lax.digamma(z + m),
)
def _poch(z: Any, m: Any) -> Any:
    sign = gammasgn(z + m) * gammasgn(z)
    return pnp.where(m == 0, 1, sign * pnp.exp(lax.lgamma(z + m) - lax.lgamma(z)))


def poch(z: Any, m: Any) -> Any:
    """Pochhammer's symbol, ``gamma(z + m) / gamma(z)``.

    Parameters
    ----------
    z, m : arrays that broadcast together

    Returns
    -------
    Array of the broadcast shape, floating point

    Examples
    --------
    >>> from portax.scipy import special
    >>> round(float(special.poch(2.0, 3.0)), 3)
    24.0
    """
    (z, m), back = floats("poch", z, m)
    return back(_poch(z, m))


def multigammaln(a: Any, d: Any) -> Any:
    """The logarithm of the multivariate gamma function of dimension ``d``.

    Parameters
    ----------
    a : array of numbers above ``(d - 1) / 2``
    d : int

    Returns
    -------
    Array of the shape of ``a``, floating point

    Raises
    ------
    ArgumentError
        ``d`` is no int of at least 1.

    Examples
    --------
    >>> from portax.scipy import special
    >>> float(special.multigammaln(2.0, 1))
    0.0
    """
    [a], back = floats("multigammaln", a)
    try:
        d = operator.index(d)
    except TypeError:
        d = 0
    if d < 1:
        raise ArgumentError(
            wrong="multigammaln needs a dimension d of at least 1, known before it runs", fix="Give an int"
        )
    steps = pnp.asarray(np.arange(d) / 2, a.dtype)
    total = pnp.sum(lax.lgamma(a[..., None] - steps), -1)
    return back(total + 0.25 * d * (d - 1) * math.log(math.pi))


def bernoulli(n: int) -> Any:
    """Bernoulli's numbers from the zeroth to the ``n``-th; that of 1 is -1/2.

    Parameters
    ----------
    n : int

    Returns
    -------
    Array of shape (n + 1,), of the default floating dtype

    Raises
    ------
    ArgumentError
        ``n`` is negative.

    Examples
    --------
    >>> from portax.scipy import special
    >>> special.bernoulli(2).tolist()[:2]
    [1.0, -0.5]
    """
    n = operator.index(n)
    if n < 0:
        raise ArgumentError(wrong=f"bernoulli was asked for the numbers up to {n}", fix="Give an int of at least 0")
    dtype = config.scalar_dtypes[float]  # pyright: ignore[reportAttributeAccessIssue]
    # B_k = -k! 2 (-1)^(k/2) zeta(k) / (2 pi)^k beyond the first few, which are found exactly.
    few = _first_bernoulli(min(n, 20))
    values = np.array([float(b) for b in few] + [_bernoulli_by_zeta(k) for k in range(21, n + 1)])
    with np.errstate(over="ignore"):
        return as_array(values.astype(dtype), "bernoulli")


def _first_bernoulli(n: int) -> list[fractions.Fraction]:
    out = [fractions.Fraction(1)]
    for m in range(1, n + 1):
        out.append(-sum((math.comb(m + 1, k) * out[k] for k in range(m)), fractions.Fraction(0)) / (m + 1))
    return out


def _bernoulli_by_zeta(k: int) -> float:
    if k % 2:
        return 0.0
    sign = 1.0 if k % 4 == 2 else -1.0
    zeta = 1 + 2.0**-k + 3.0**-k
    size = math.lgamma(k + 1) - k * math.log(2 * math.pi)
    return sign * 2 * zeta * math.exp(size) if size < 709 else sign * math.inf
