"""The logarithm of the gamma function and its derivatives.

``lgamma`` and ``digamma`` divide out their zeros on the positive axis (1 and 2, and 1.4616...), so the quotient is a
smooth function with a short Chebyshev series and the result keeps its relative accuracy at the zeros. From there they
go left by recurrence and reflection, right by recurrence, and far right by Stirling's series. The Hurwitz zeta function
is Euler-Maclaurin summation. The tables were computed from these definitions with 60 digits.

On the negative axis the zeros are not divided out: there the error is a few ULP of the two terms of the reflection,
not of their difference.
"""

from __future__ import annotations

import numpy as np

from ._common import chebyshev, choose, horner, reference, sin_pi

# Largest error seen against mpmath at the rounded inputs, rounded up, in units in the last place of each dtype. On the
# negative axis, in ULP of max(1, |result|), for the reason given above.
BUDGET = {
    "lgamma": {"float64": 6.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "digamma": {"float64": 6.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "zeta": {"float64": 8.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "polygamma": {"float64": 12.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
}

_LGAMMA_LOW = (
    0.5648434767519587, -0.09131720346474703, 0.010929797220955578, -0.0015261358226168861, 0.00023030762671456223,
    -3.636361784514376e-05, 5.911391896476034e-06, -9.80684269938384e-07, 1.651510128925228e-07,
    -2.8136352749158867e-08, 4.838207420427573e-09, -8.383298660375514e-10, 1.4619327833844367e-10,
    -2.5633862373120656e-11, 4.515997536106979e-12, -7.988917754428467e-13, 1.4184213222749012e-13,
    -2.5265614960520165e-14, 4.513506551197688e-15, -8.084112767881103e-16, 1.4513667353728083e-16,
    -2.6112927316154854e-17, 4.7074607642479166e-18, -8.501583835889328e-19,
)  # fmt: skip
_LGAMMA_HIGH = (
    0.40708363489205956, -0.06727175204439809, 0.007627939369125424, -0.000985676158621646, 0.00013667476108127202,
    -1.9791931854188872e-05, 2.95029866655462e-06, -4.4888253938032005e-07, 6.933652838857692e-08,
    -1.0834539671028884e-08, 1.7084869905069902e-09, -2.7139678244550886e-10, 4.3374125408079905e-11,
    -6.967374928802958e-12, 1.1240777117826463e-12, -1.820362991303608e-13, 2.957677869953836e-14,
    -4.819585241589139e-15, 7.874046155877505e-16, -1.2894414389126011e-16, 2.1160408514301974e-17,
    -3.479225253493602e-18, 5.730673760952479e-19,
)  # fmt: skip
_HALF_LOG_TWO_PI = 0.9189385332046728
# The positive zero of digamma as an unevaluated sum of two doubles.
_DIGAMMA_ZERO = (1.4616321449683622, 9.549995429965697e-17)
_DIGAMMA = (
    0.983570260441567, -0.2270640863346444, 0.03336889902393011, -0.005320077271596548, 0.0008788656937820505,
    -0.00014773492650606044, 2.5060543468359146e-05, -4.2721034029993324e-06, 7.302769272465923e-07,
    -1.2502886813559594e-07, 2.1425009322359472e-08, -3.673295918565179e-09, 6.299717236108931e-10,
    -1.080593028883266e-10, 1.853735192053638e-11, -3.18023536582553e-12, 5.456147570322795e-13,
    -9.360993131036438e-14, 1.606064636295075e-14, -2.7555431377438815e-15, 4.727736178601912e-16,
    -8.11148420346509e-17, 1.391707769474154e-17, -2.3877901082188625e-18,
)  # fmt: skip
# B_2k / (2k)! for k = 1, 2, ...: the weights of Euler-Maclaurin summation.
_BERNOULLI = (
    0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07, 2.08767569878681e-08,
    -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13, 8.586062056277845e-15,
    -2.174868698558062e-16, 5.5090028283602295e-18, -1.3954464685812522e-19, 3.534707039629467e-21,
)  # fmt: skip
# B_2k / (2k (2k-1)): Stirling's series. B_2k / 2k: its derivative.
STIRLING = (1/12, -1/360, 1/1260, -1/1680, 1/1188, -691/360360, 1/156, -3617/122400, 43867/244188)  # fmt: skip
_STIRLING_SLOPE = (1/12, -1/120, 1/252, -1/240, 1/132, -691/32760, 1/12, -3617/8160, 43867/14364)  # fmt: skip


def stirling_error(x: np.ndarray) -> np.ndarray:
    """``lgamma(x) - ((x - 1/2) log x - x + log(2 pi)/2)`` for ``x >= 10``, float64."""
    return horner(STIRLING, 1.0 / x / x) / x


def _lgamma_middle(x: np.ndarray) -> np.ndarray:
    """``lgamma`` on ``[0.7, 3]``, relative to its zeros at 1 and 2."""
    low = x < 1.5
    t = np.where(low, (x - 1.1) / 0.4, (x - 2.25) / 0.75)
    quotient = np.where(low, chebyshev(_LGAMMA_LOW, t), chebyshev(_LGAMMA_HIGH, t))
    return (x - 1.0) * (x - 2.0) * quotient + 0.0  # -0.0 at the zeros becomes 0.0


def _lgamma_down(x: np.ndarray) -> np.ndarray:
    """``lgamma`` on ``(3, 10)`` by ``gamma(x) = (x-1)(x-2)... gamma(r)`` with ``2 <= r <= 3``."""
    r, product = x, np.ones_like(x)
    for _ in range(7):
        step = r > 3.0
        r = np.where(step, r - 1.0, r)
        product = np.where(step, product * r, product)
    return np.log(product) + _lgamma_middle(r)


def _lgamma_far(x: np.ndarray) -> np.ndarray:
    # log x - 1 first: the two large terms of Stirling's formula would cancel. Beyond 1e305 the product may overflow
    # one step early, so it is halved.
    return 2.0 * ((0.5 * x - 0.25) * (np.log(x) - 1.0)) + (_HALF_LOG_TWO_PI - 0.5) + stirling_error(x)


def _lgamma_negative(x: np.ndarray) -> np.ndarray:
    # gamma(x) gamma(-x) = -pi / (x sin(pi x))
    return np.log(np.pi) - np.log(np.abs(sin_pi(x))) - np.log(-x) - lgamma64(-x)


def lgamma64(x: np.ndarray) -> np.ndarray:
    """``log |gamma(x)|`` of flat float64 arrays."""
    return choose(
        x,
        (np.isinf(x) | ((x <= 0.0) & (x == np.floor(x))), lambda x: np.full_like(x, np.inf)),
        ((x >= -1e-20) & (x <= 1e-20), lambda x: -np.log(np.abs(x))),
        (x < 0.0, _lgamma_negative),
        (x < 0.7, lambda x: _lgamma_middle(x + 1.0) - np.log(x)),
        (x <= 3.0, _lgamma_middle),
        (x < 10.0, _lgamma_down),
        (x >= 10.0, _lgamma_far),
        inputs=(x,),
    )


def log_gamma_ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``lgamma(a + b) - lgamma(a)`` for positive ``a`` and ``b``, float64, relative to its zero at ``b = 0``."""
    shift = np.clip(np.ceil(10.0 - a), 0.0, 10.0)
    steps = np.zeros_like(a)
    for k in range(10):
        steps = steps + np.where(k < shift, np.log1p(b / (a + k)), 0.0)
    a = a + shift
    return (a - 0.5) * np.log1p(b / a) + b * np.log(a + b) - b + (stirling_error(a + b) - stirling_error(a)) - steps


def gamma_plus_one(a: np.ndarray) -> np.ndarray:
    """``gamma(1 + a)`` for ``0 <= a <= 12``, float64, without the loss of ``exp(lgamma(...))``."""
    # 1 + a is not exact for small a: there the series about 1 is entered with a itself.
    r, product = a, np.ones_like(a)
    for _ in range(12):
        step = r > 1.0
        product = np.where(step, product * r, product)
        r = np.where(step, r - 1.0, r)
    return product * np.exp(log_gamma_plus_one(r))


def log_gamma_plus_one(a: np.ndarray) -> np.ndarray:
    """``lgamma(1 + a)`` for ``0 <= a <= 2``, float64, relative to its zero at ``a = 0``."""
    low = a < 0.5
    t = np.where(low, (a - 0.1) / 0.4, (a - 1.25) / 0.75)
    quotient = np.where(low, chebyshev(_LGAMMA_LOW, t), chebyshev(_LGAMMA_HIGH, t))
    return a * (a - 1.0) * quotient


def _digamma_middle(x: np.ndarray) -> np.ndarray:
    high, low = _DIGAMMA_ZERO
    return ((x - high) - low) * chebyshev(_DIGAMMA, 2.0 * x - 3.0)


def _digamma_down(x: np.ndarray) -> np.ndarray:
    r, total = x, np.zeros_like(x)
    for _ in range(8):
        step = r > 2.0
        r = np.where(step, r - 1.0, r)
        total = np.where(step, total + 1.0 / r, total)
    return total + _digamma_middle(r)


def _digamma_far(x: np.ndarray) -> np.ndarray:
    return np.log(x) - 0.5 / x - horner(_STIRLING_SLOPE, 1.0 / x / x) / x / x


def _digamma_negative(x: np.ndarray) -> np.ndarray:
    # psi(x) = psi(-x) - 1/x - pi cot(pi x)
    r = x - np.rint(x)
    return digamma64(-x) - 1.0 / x - np.pi / np.tan(np.pi * r)


def digamma64(x: np.ndarray) -> np.ndarray:
    """Derivative of ``lgamma`` on flat float64 arrays."""
    return choose(
        x,
        ((x <= 0.0) & (x == np.floor(x)), lambda x: np.full_like(x, np.nan)),
        (np.abs(x) < 1e-20, lambda x: -1.0 / x),
        (x < 0.0, _digamma_negative),
        (x < 1.0, lambda x: _digamma_middle(x + 1.0) - 1.0 / x),
        (x <= 2.0, _digamma_middle),
        (x < 10.0, _digamma_down),
        (x >= 10.0, _digamma_far),
        inputs=(x,),
    )


def _zeta_positive(s: np.ndarray, q: np.ndarray, unit: np.ndarray | float = 1.0) -> np.ndarray:
    """``sum_k ((q + k) / unit)^-s`` for finite ``s > 1`` and ``q > 0``.

    Terms are added until ``q + k`` exceeds ``10 + s`` or 40 are done: either way the rest is below rounding or the
    Euler-Maclaurin correction has converged.
    """
    # The smallest terms are added first; 41 rows at most.
    count = np.clip(np.ceil(10.0 + s - q), 0.0, 40.0)
    a = q + count
    power = np.power(a / unit, -s)
    tail = power * a / (s - 1.0) + 0.5 * power
    term = power * s / a
    correction = np.zeros_like(s)
    for k, weight in enumerate(_BERNOULLI):
        correction = correction + weight * term
        term = term * ((s + (2 * k + 1)) / a) * ((s + (2 * k + 2)) / a)
    total = correction + tail
    for k in range(int(count.max(initial=0.0)) - 1, -1, -1):
        total = total + np.where(k < count, np.power((q + k) / unit, -s), 0.0)
    return total


def _zeta_negative(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Integer ``s``, negative ``q``: the terms left of zero are themselves a difference of two zeta functions."""
    sign = np.where(np.fmod(s, 2.0) == 0.0, 1.0, -1.0)
    right, left = q - np.floor(q), np.ceil(q) - q
    # For odd s the first two are of opposite sign, and cancel exactly half way between the poles.
    return (_zeta_positive(s, right) + sign * _zeta_positive(s, left)) - sign * _zeta_positive(s, 1.0 - q)


def zeta64(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hurwitz zeta function of flat float64 arrays."""
    pole = (q <= 0.0) & (q == np.floor(q))
    return choose(
        s,
        (s == 1.0, lambda s, q: np.full_like(s, np.inf)),
        (np.isfinite(s) & pole, lambda s, q: np.where(np.fmod(s, 2.0) == 0.0, np.inf, np.nan)),
        (~(s > 1.0) | np.isinf(s) | ~np.isfinite(q), lambda s, q: np.full_like(s, np.nan)),
        (q > 0.0, _zeta_positive),
        (s == np.floor(s), _zeta_negative),
        inputs=(s, q),
    )


_FACTORIALS = np.cumprod(np.concatenate([[1.0], np.arange(1.0, 171.0)]))


def _polygamma(n: np.ndarray, x: np.ndarray) -> np.ndarray:
    sign = np.where(np.fmod(n, 2.0) == 0.0, -1.0, 1.0)
    z = zeta64(n + 1.0, x)
    small = n <= 170.0
    value = _FACTORIALS[np.where(small, n, 0.0).astype(np.int64)] * z
    # Beyond 170 the factorial overflows, or zeta underflows, though the product does neither.
    scaled = ~small & (x > 0.0) & np.isfinite(x)
    if scaled.any():
        n, x = n[scaled], x[scaled]
        log_zeta = np.log(_zeta_positive(n + 1.0, x, x)) - (n + 1.0) * np.log(x)
        value[scaled] = np.exp(lgamma64(n + 1.0) + log_zeta)
    return sign * value


@reference
def lgamma(x: np.ndarray) -> np.ndarray:
    """``log |gamma(x)|``; ``inf`` at the poles 0, -1, -2, ... and at both infinities.

    Parameters
    ----------
    x : ndarray, any floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``

    References
    ----------
    NIST Digital Library of Mathematical Functions, 5.5.1, 5.5.3 and 5.11.1.
    """
    return lgamma64(x)


@reference
def digamma(x: np.ndarray) -> np.ndarray:
    """Derivative of ``lgamma``; NaN at its poles 0, -1, -2, ... and at ``-inf``.

    Parameters
    ----------
    x : ndarray, any floating dtype

    Returns
    -------
    ndarray of the shape and dtype of ``x``

    References
    ----------
    NIST Digital Library of Mathematical Functions, 5.5.2, 5.5.4 and 5.11.2; Cody, Strecok and Thacher, Chebyshev
    approximations for the psi function, Mathematics of Computation 27(121), 1973 (dividing by the positive zero).
    """
    return digamma64(x)


@reference
def zeta(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hurwitz zeta function, the sum of ``(q + k)^-x`` over ``k = 0, 1, ...``.

    ``inf`` at ``x = 1``; NaN for ``x < 1``. At a pole ``q = 0, -1, -2, ...`` it is ``inf`` if ``x`` is an even
    integer, else NaN. For negative ``q`` between the poles ``x`` must be an integer, else NaN. NaN at infinite ``x``,
    and at ``q = inf``.

    Parameters
    ----------
    x, q : ndarray, the same floating dtype, broadcast against each other

    Returns
    -------
    ndarray of that dtype

    References
    ----------
    NIST Digital Library of Mathematical Functions, 25.11.1 and 25.11.7 (Euler-Maclaurin summation).
    """
    return zeta64(x, q)


@reference
def polygamma(n: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The ``n``-th derivative of ``digamma`` at ``x``: ``(-1)^(n+1) n! zeta(n+1, x)``.

    NaN unless ``n`` is a non-negative integer. ``n = 0`` is ``digamma``.

    Parameters
    ----------
    n, x : ndarray, the same floating dtype, broadcast against each other

    Returns
    -------
    ndarray of that dtype

    References
    ----------
    NIST Digital Library of Mathematical Functions, 5.15.1 and 25.11.12.
    """
    return choose(
        n,
        (n == 0.0, lambda n, x: digamma64(x)),
        ((n > 0.0) & (n == np.floor(n)) & np.isfinite(n), _polygamma),
        inputs=(n, x),
    )
