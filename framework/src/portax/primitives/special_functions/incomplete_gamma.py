"""The regularized incomplete gamma functions, their derivative in the order, and the derivative of a gamma sample.

The plane of order ``a`` and argument ``x`` is cut in four, as Gautschi did, and each piece gives both functions and
the derivative without subtracting nearly equal numbers:

- ``x <= 1.1`` or ``x < a + 1``: the power series of the lower function, all terms positive;
- the corner ``a < 1``, ``x <= 1.1`` of it: a series for the upper function, which ``1 - lower`` would lose;
- ``x >= a + 1``: Legendre's continued fraction of the upper function, evaluated from its tail;
- ``a >= 200`` with ``x`` within 30 % of ``a``: Temme's uniform expansion, since the others slow down like ``sqrt(a)``.

The common factor ``x^a e^-x / gamma(a+1)`` is written around its maximum ``x = a`` for large ``a``, after Loader; the
derivative of a sample divides it out, so it survives where the density underflows. The table is the Taylor series in
``eta`` of Temme's coefficients, from their recurrence in exact rational arithmetic.

References
----------
Gautschi, A computational procedure for incomplete gamma functions, ACM TOMS 5(4), 1979.
NIST Digital Library of Mathematical Functions, 8.7.1, 8.9.2, 8.11.4, 8.12.9 to 8.12.11.
Temme, The asymptotic expansion of the incomplete gamma functions, SIAM J. Math. Anal. 10(4), 1979.
Loader, Fast and accurate computation of binomial probabilities, 2000.
Figurnov, Mohamed and Mnih, Implicit reparameterization gradients, NeurIPS 2018 (the derivative of a sample).
"""

from __future__ import annotations

import numpy as np

from ._common import choose, horner, reference
from .error import erfc64
from .gamma import digamma64, gamma_plus_one, log_gamma_plus_one, stirling_error

# Largest error seen against mpmath at the rounded inputs for 1e-3 <= a <= 1e5 and results above 1e-30, rounded up, in
# units in the last place of each dtype.
BUDGET = {
    "igamma": {"float64": 512.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "igammac": {"float64": 512.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "igamma_grad_a": {"float64": 512.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
    "random_gamma_grad": {"float64": 128.0, "float32": 0.51, "float16": 0.51, "bfloat16": 0.51},
}

TEMME = (
    (
        -0.3333333333333333, 0.08333333333333333, -0.014814814814814815, 0.0011574074074074073, 0.0003527336860670194,
        -0.0001787551440329218, 3.919263178522438e-05, -2.185448510679992e-06, -1.85406221071516e-06,
        8.296711340953087e-07, -1.7665952736826078e-07, 6.707853543401498e-09, 1.0261809784240309e-08,
        -4.382036018453353e-09, 9.14769958223679e-10, -2.5514193994946248e-11, -5.830772132550426e-11,
        2.4361948020667415e-11, -5.0276692801141755e-12, 1.1004392031956135e-13,
    ),
    (
        -0.001851851851851852, -0.003472222222222222, 0.0026455026455026454, -0.0009902263374485596,
        0.00020576131687242798, -4.018775720164609e-07, -1.8098550334489977e-05, 7.64916091608111e-06,
        -1.6120900894563446e-06, 4.647127802807434e-09, 1.378633446915721e-07, -5.752545603517705e-08,
        1.1951628599778148e-08, -1.7543241719747647e-11, -1.0091543710600413e-09, 4.162792991842583e-10,
        -8.56390702649298e-11, 6.067215101604758e-14,
    ),
    (
        0.004133597883597883, -0.0026813271604938273, 0.0007716049382716049, 2.0093878600823047e-06,
        -0.0001073665322636516, 5.2923448829120125e-05, -1.2760635188618728e-05, 3.423578734096138e-08,
        1.3721957309062934e-06, -6.298992138380055e-07, 1.4280614206064242e-07, -2.0477098421990866e-10,
        -1.409252991086752e-08, 6.228974084922022e-09, -1.3670488396617114e-09, 9.428356159014678e-13,
    ),
    (
        0.0006494341563786008, 0.00022947209362139917, -0.0004691894943952557, 0.00026772063206283885,
        -7.561801671883977e-05, -2.396505113867297e-07, 1.1082654115347302e-05, -5.6749528269915965e-06,
        1.4230900732435883e-06, -2.7861080291528143e-11, -1.6958404091930278e-07, 8.099464905388083e-08,
        -1.9111168485973655e-08, 2.3928620439808118e-12,
    ),
    (
        -0.0008618882909167117, 0.0007840392217200666, -0.0002990724803031902, -1.4638452578843418e-06,
        6.641498215465122e-05, -3.968365047179435e-05, 1.1375726970678419e-05, 2.507497226237533e-10,
        -1.6954149536558305e-06, 8.907507532205309e-07, -2.292934834000805e-07, 2.956794137544049e-11,
    ),
    (
        -0.00033679855336635813, -6.972813758365857e-05, 0.0002772753244959392, -0.00019932570516188847,
        6.797780477937208e-05, 1.419062920643967e-07, -1.3594048189768693e-05, 8.018470256334202e-06,
        -2.291481176508095e-06, -3.252473551298454e-10,
    ),
    (
        0.0005313079364639922, -0.0005921664373536939, 0.0002708782096718045, 7.902353232660328e-07,
        -8.153969367561969e-05, 5.61168275310625e-05, -1.8329116582843375e-05, -3.0796134506033047e-09,
    ),
    (
        0.00034436760689237765, 5.171790908260592e-05, -0.00033493161081142234, 0.0002812695154763237,
        -0.00010976582244684731, -1.2741009095484485e-07,
    ),
)  # fmt: skip

LARGE = 200.0
NEAR = 0.3


def log_deviance(mu: np.ndarray) -> np.ndarray:
    """``mu - log(1 + mu)`` for ``mu > -1``, float64, without cancellation near zero."""
    # log(1 + mu) = 2 artanh(r) and mu - 2r = mu r.
    near = np.abs(mu) <= 0.5
    r = np.where(near, mu / (2.0 + mu), 0.0)
    series = horner([1.0 / (2 * k + 3) for k in range(17)], r * r)
    return np.where(near, mu * r - 2.0 * r**3 * series, mu - np.log1p(np.where(near, 0.0, mu)))


def _density(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``x^a e^-x / gamma(a+1)``."""

    def small(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        # e^-x is zero long before the cut, and x^a would overflow after it.
        x = np.minimum(x, 1e5)
        return np.power(x, a) * np.exp(-x) / gamma_plus_one(a)

    def large(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        mu = (x - a) / a
        # Far left, 1 + mu would round x away.
        deviance = np.where(mu < -0.5, mu - np.log(x / a), log_deviance(mu))
        return np.exp(-a * deviance) * np.exp(-stirling_error(a)) / np.sqrt(2.0 * np.pi * a)

    return choose(a, (a < 10.0, small), (a >= 10.0, large), inputs=(a, x))


def _series(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``S`` with ``lower = density * S``, and its derivative in ``a``."""
    term, total = np.ones_like(a), np.ones_like(a)
    harmonic, slope = np.zeros_like(a), np.zeros_like(a)
    for n in range(1, 4000):
        term = term * (x / (a + n))
        harmonic = harmonic + 1.0 / (a + n)
        total, slope = total + term, slope - term * harmonic
        if np.all((term <= 1e-17 * total) & (term * harmonic <= -1e-17 * slope)):
            break
    return total, slope


def _fraction(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``F`` with ``upper = density * a * F``, and its derivative in ``a``."""
    depth, previous = 16, np.full_like(a, np.nan)
    while True:
        f, slope = np.zeros_like(a), np.zeros_like(a)
        for n in range(depth, 0, -1):
            below = (x - a) + (2 * n + 1) + f
            f = -n * (n - a) / below
            slope = (n - f * (slope - 1.0)) / below
        below = (x - a) + 1.0 + f
        value, slope = 1.0 / below, (1.0 - slope) / below / below
        if depth >= 8192 or np.all(np.abs(slope - previous) <= 2e-16 * slope):
            return value, slope
        depth, previous = 2 * depth, slope


def _corner(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``upper`` for ``a < 1``, ``x <= 1.1``."""
    term, total = np.ones_like(a), np.zeros_like(a)
    for n in range(1, 24):
        term = term * (-x / n)
        total = total + term / (a + n)
    exponent = a * np.log(x) - log_gamma_plus_one(a)
    return -np.expm1(exponent) - np.exp(exponent) * a * total


def _eta(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mu = (x - a) / a
    return mu, np.copysign(np.sqrt(2.0 * log_deviance(mu)), mu)


def _temme_sum(a: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``T = sum C_k(eta) a^-k`` and its derivatives in ``a`` and in ``eta``."""
    rows = [horner(row, eta) for row in TEMME]
    slopes = [horner([k * c for k, c in enumerate(row)][1:], eta) for row in TEMME]
    inverse = 1.0 / a
    by_inverse = horner_arrays([k * row for k, row in enumerate(rows)][1:], inverse)
    return horner_arrays(rows, inverse), -by_inverse * inverse * inverse, horner_arrays(slopes, inverse)


def horner_arrays(rows: list[np.ndarray], t: np.ndarray) -> np.ndarray:
    """``sum_k rows[k] t^k`` with array coefficients."""
    total = rows[-1]
    for row in reversed(rows[:-1]):
        total = total * t + row
    return total


def _temme(a: np.ndarray, x: np.ndarray, side: float) -> np.ndarray:
    """``lower`` for ``side = -1``, ``upper`` for ``side = 1``."""
    _, eta = _eta(a, x)
    z = eta * np.sqrt(0.5 * a)
    remainder = np.exp(-z * z) / np.sqrt(2.0 * np.pi * a) * _temme_sum(a, eta)[0]
    return 0.5 * erfc64(side * z) + side * remainder


def _temme_slope(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Derivative of ``lower`` in ``a``, divided by ``exp(-a eta^2 / 2) / sqrt(2 pi a)``."""
    mu, eta = _eta(a, x)
    total, in_a, in_eta = _temme_sum(a, eta)
    at_centre = eta == 0.0
    ratio = np.where(at_centre, 1.0, mu / np.where(at_centre, 1.0, eta))
    return 0.5 * eta - ratio - total * (np.log1p(mu) - 0.5 / a) - in_a + in_eta * ratio / a


def _regions(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inside = (a > 0.0) & (x > 0.0) & np.isfinite(a) & np.isfinite(x)
    uniform = inside & (a >= LARGE) & (np.abs(x - a) <= NEAR * a)
    series = inside & ((x <= 1.1) | ((a >= 1.0) & (x < a + 1.0)))
    return uniform, series, inside


def _edges(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``lower`` on the boundary of its domain, NaN outside."""
    outside = np.isnan(a) | np.isnan(x) | (a < 0.0) | (x < 0.0) | ((a == 0.0) & (x == 0.0))
    one = (a == 0.0) | np.isposinf(x)
    return np.where(outside, np.nan, np.where(one, 1.0, 0.0))


def _lower(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    uniform, series, inside = _regions(a, x)
    return choose(
        a,
        (~inside, _edges),
        (uniform, lambda a, x: _temme(a, x, -1.0)),
        (series, lambda a, x: np.minimum(_density(a, x) * _series(a, x)[0], 1.0)),
        (inside, lambda a, x: 1.0 - _density(a, x) * a * _fraction(a, x)[0]),
        inputs=(a, x),
    )


def _upper(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    uniform, series, inside = _regions(a, x)
    return choose(
        a,
        (~inside, lambda a, x: 1.0 - _edges(a, x)),
        (uniform, lambda a, x: _temme(a, x, 1.0)),
        (series & (a < 1.0), _corner),
        (series, lambda a, x: 1.0 - _density(a, x) * _series(a, x)[0]),
        (inside, lambda a, x: _density(a, x) * a * _fraction(a, x)[0]),
        inputs=(a, x),
    )


def _slope_from_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Derivative of ``lower`` in ``a``, divided by the density."""
    total, slope = _series(a, x)
    return total * (np.log(x) - digamma64(a + 1.0)) + slope


def _slope_from_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    value, slope = _fraction(a, x)
    # a psi(a) = a psi(a+1) - 1: no pole at a = 0.
    return -(value * (a * np.log(x) - a * digamma64(a + 1.0) + 1.0) + a * slope)


def _grad_edges(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.where((a > 0.0) & (x == 0.0), 0.0, np.nan)


@reference
def igamma(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Regularized lower incomplete gamma function, the share of a gamma distribution of order ``a`` that lies below
    ``x``.

    0 at ``x = 0``, 1 at ``x = inf``; NaN for negative or NaN operands and for ``a = x = 0``. ``igamma(0, x) = 1`` and
    ``igamma(inf, x) = 0`` for finite positive ``x``, the limits.

    Parameters
    ----------
    a, x : ndarray, the same floating dtype, broadcast against each other

    Returns
    -------
    ndarray of that dtype, between 0 and 1

    References
    ----------
    See this module's.
    """
    return _lower(a, x)


@reference
def igammac(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Regularized upper incomplete gamma function ``1 - igamma(a, x)``, accurate where that difference is tiny.

    Parameters
    ----------
    a, x : ndarray, the same floating dtype, broadcast against each other

    Returns
    -------
    ndarray of that dtype, between 0 and 1

    References
    ----------
    See this module's.
    """
    return _upper(a, x)


@reference
def igamma_grad_a(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Derivative of ``igamma(a, x)`` in ``a``.

    0 at ``x = 0``; NaN outside ``a > 0``, ``x >= 0``, and at infinite operands.

    Parameters
    ----------
    a, x : ndarray, the same floating dtype, broadcast against each other

    Returns
    -------
    ndarray of that dtype, not positive

    References
    ----------
    See this module's.
    """
    uniform, series, inside = _regions(a, x)

    def near(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        _, eta = _eta(a, x)
        return _temme_slope(a, x) * np.exp(-0.5 * a * eta * eta) / np.sqrt(2.0 * np.pi * a)

    return choose(
        a,
        (~inside, _grad_edges),
        (uniform, near),
        (series, lambda a, x: _density(a, x) * _slope_from_series(a, x)),
        (inside, lambda a, x: _density(a, x) * _slope_from_fraction(a, x)),
        inputs=(a, x),
    )


@reference
def random_gamma_grad(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Derivative in ``a`` of a gamma sample ``x`` of order ``a`` whose ``igamma(a, x)`` is held fixed.

    It is ``-igamma_grad_a(a, x)`` divided by the density at ``x``. 0 at ``x = 0``; NaN outside ``a > 0``, ``x >= 0``,
    and at infinite operands.

    Parameters
    ----------
    a, x : ndarray, the same floating dtype, broadcast against each other

    Returns
    -------
    ndarray of that dtype, not negative

    References
    ----------
    See this module's.
    """
    uniform, series, inside = _regions(a, x)
    return choose(
        a,
        (~inside, _grad_edges),
        (uniform, lambda a, x: -_temme_slope(a, x) * (x / a) * np.exp(stirling_error(a))),
        (series, lambda a, x: -(x / a) * _slope_from_series(a, x)),
        (inside, lambda a, x: -(x / a) * _slope_from_fraction(a, x)),
        inputs=(a, x),
    )
