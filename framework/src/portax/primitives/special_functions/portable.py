"""The special functions no backend is sure to have, written in elementary operations and one ``while_loop``.

Each function takes a namespace ``ops`` first, then arrays of one shape and one floating dtype. Of the arrays it asks
Python's arithmetic, comparison and logical operators with each other and with Python numbers (which must not widen
the dtype) and a NumPy ``dtype``; of ``ops``:

    abs exp expm1 log log1p sqrt floor     elementwise
    lgamma digamma erfc                    elementwise, as in this package
    where(c, x, y), convert(x, dtype)      elementwise; x or y may be a Python number
    any(c)                                 a boolean array of rank 0
    while_loop(cond, body, init)           over a tuple of arrays of fixed shapes and dtypes

The mathematics is that of the reference functions, which see. Here both sides of every case are computed and one is
selected, so each side is first given operands at which it is harmless. Invariant: loops end after a number of steps
bounded by the dtype alone, and float16 and bfloat16 are computed in float32 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import ml_dtypes
import numpy as np

from .bessel import SPLIT
from .bessel import hankel_series as _hankel_series
from .gamma import STIRLING
from .incomplete_gamma import LARGE, NEAR, TEMME

# Largest error seen against mpmath for orders up to 1e4 and results above 1e-30 (float64) or 1e-10 (float32), rounded
# up, in units in the last place, when every function of ``ops`` is within 4 ULP.
BUDGET = {
    "bessel_i0e": {"float64": 8.0, "float32": 8.0, "float16": 0.51, "bfloat16": 0.51},
    "bessel_i1e": {"float64": 10.0, "float32": 10.0, "float16": 0.51, "bfloat16": 0.51},
    "igamma": {"float64": 512.0, "float32": 128.0, "float16": 1.0, "bfloat16": 0.6},
    "igammac": {"float64": 512.0, "float32": 128.0, "float16": 1.0, "bfloat16": 0.6},
    "igamma_grad_a": {"float64": 512.0, "float32": 128.0, "float16": 1.0, "bfloat16": 0.6},
    "random_gamma_grad": {"float64": 256.0, "float32": 128.0, "float16": 1.0, "bfloat16": 0.6},
    "regularized_incomplete_beta": {"float64": 1024.0, "float32": 512.0, "float16": 1.0, "bfloat16": 0.6},
}

Array = Any
Ops = Any


def _in_float32_or_wider(function: Callable[..., Array]) -> Callable[..., Array]:
    @wraps(function)
    def widened(ops: Ops, *operands: Array) -> Array:
        dtype = np.dtype(operands[0].dtype)
        if dtype.itemsize >= 4:
            return function(ops, *operands)
        wide = np.dtype(np.float32)
        return ops.convert(function(ops, *(ops.convert(x, wide) for x in operands)), dtype)

    return widened


def _epsilon(x: Array) -> float:
    return float(ml_dtypes.finfo(np.dtype(x.dtype)).eps)


def _horner(coefficients: Sequence[Any], t: Array) -> Array:
    total = t * 0.0 + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * t + c
    return total


def _finite(x: Array) -> Array:
    return x - x == 0.0


# Modified Bessel functions.


def _bessel(ops: Ops, order: int, x: Array) -> Array:
    double = _epsilon(x) < 1e-10
    near = x <= SPLIT
    u = ops.where(near, x, 1.0)
    square = u * u * 0.25
    series = square * 0.0 + 1.0
    # Nested, so that no coefficient underflows in float32.
    for k in range(50 if double else 32, 0, -1):
        series = series * square * (1.0 / (k * (k + order))) + 1.0
    if order:
        series = series * u * 0.5
    far = ops.where(near, SPLIT, x)
    hankel = (
        _horner(_hankel_series(order, 30 if double else 12), 1.0 / far)
        / ops.sqrt(far)
        * (1.0 / math.sqrt(2.0 * math.pi))
    )
    return ops.where(x != x, x, ops.where(near, series * ops.exp(-u), hankel))


@_in_float32_or_wider
def bessel_i0e(ops: Ops, x: Array) -> Array:
    """``exp(-|x|) I_0(x)``."""
    return _bessel(ops, 0, ops.abs(x))


@_in_float32_or_wider
def bessel_i1e(ops: Ops, x: Array) -> Array:
    """``exp(-|x|) I_1(x)``."""
    size = _bessel(ops, 1, ops.abs(x))
    # At both zeros the result is x itself, sign included.
    return ops.where(x == 0.0, x, ops.where(x < 0.0, -size, size))


# Pieces shared by the incomplete functions.


def _stirling_error(a: Array) -> Array:
    return _horner(STIRLING, 1.0 / a / a) / a


def _log_deviance(ops: Ops, mu: Array) -> Array:
    near = ops.abs(mu) <= 0.5
    safe = ops.where(near, mu, 0.0)
    r = safe / (safe + 2.0)
    series = _horner([1.0 / (2 * k + 3) for k in range(17)], r * r)
    return ops.where(near, safe * r - r * r * r * series * 2.0, mu - ops.log1p(ops.where(near, 1.0, mu)))


def _log_gamma_ratio(ops: Ops, a: Array, b: Array) -> Array:
    """``lgamma(a + b) - lgamma(a)``, relative to its zero at ``b = 0``."""
    steps = a * 0.0
    shift = ops.where(a < 10.0, 10.0 - ops.floor(a), 0.0)
    for k in range(10):
        steps = steps + ops.where(shift > k, ops.log1p(b / (a + k)), 0.0)
    a = a + shift
    correction = _stirling_error(a + b) - _stirling_error(a)
    return (a - 0.5) * ops.log1p(b / a) + b * ops.log(a + b) - b + correction - steps


def _density(ops: Ops, a: Array, x: Array) -> Array:
    """``x^a e^-x / gamma(a+1)``."""
    small = a < 10.0
    low, high = ops.where(small, a, 1.0), ops.where(small, 10.0, a)
    direct = ops.exp(low * ops.log(x) - x - ops.lgamma(low + 1.0))
    mu = (x - high) / high
    deviance = ops.where(mu < -0.5, mu - ops.log(x / high), _log_deviance(ops, mu))
    centred = ops.exp(-high * deviance) * ops.exp(-_stirling_error(high)) / ops.sqrt(high * (2.0 * math.pi))
    return ops.where(small, direct, centred)


def _series(ops: Ops, a: Array, x: Array) -> tuple[Array, Array]:
    epsilon = 0.1 * _epsilon(a)

    def unsettled(state: tuple[Array, ...]) -> Array:
        n, term, total, harmonic, slope = state
        more = (term > total * epsilon) | (term * harmonic > -slope * epsilon)
        return ops.any(more & (n < 2000.0))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        n, term, total, harmonic, slope = state
        n = n + 1.0
        term = term * (x / (a + n))
        harmonic = harmonic + 1.0 / (a + n)
        return n, term, total + term, harmonic, slope - term * harmonic

    zero = a * 0.0
    _, _, total, _, slope = ops.while_loop(unsettled, step, step((zero, zero + 1.0, zero + 1.0, zero, zero)))
    return total, slope


def _fraction(ops: Ops, a: Array, x: Array) -> tuple[Array, Array]:
    # From the tail inwards; so deep that x = 1.1, where it converges slowest, is settled.
    depth = 256.0 if _epsilon(a) < 1e-10 else 64.0

    def unfinished(state: tuple[Array, ...]) -> Array:
        return ops.any(state[0] > 0.0)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        n, f, slope = state
        below = (x - a) + (n * 2.0 + 1.0) + f
        f = -n * (n - a) / below
        return n - 1.0, f, (n - f * (slope - 1.0)) / below

    zero = a * 0.0
    _, f, slope = ops.while_loop(unfinished, step, (zero + depth, zero, zero))
    below = (x - a) + 1.0 + f
    return 1.0 / below, (1.0 - slope) / below / below


def _corner(ops: Ops, a: Array, x: Array) -> Array:
    """The upper function for ``a < 1``, ``x <= 1.1``."""
    term, total = a * 0.0 + 1.0, a * 0.0
    for n in range(1, 24):
        term = term * (x * (-1.0 / n))
        total = total + term / (a + n)
    log_gamma = _log_gamma_ratio(ops, a * 0.0 + 1.0, a)
    exponent = a * ops.log(x) - log_gamma
    return -ops.expm1(exponent) - ops.exp(exponent) * a * total


def _temme_sum(a: Array, eta: Array) -> tuple[Array, Array, Array]:
    rows = [_horner(row, eta) for row in TEMME]
    slopes = [_horner([k * c for k, c in enumerate(row)][1:], eta) for row in TEMME]
    inverse = 1.0 / a
    by_inverse = _horner([row * float(k) for k, row in enumerate(rows)][1:], inverse)
    return _horner(rows, inverse), -by_inverse * inverse * inverse, _horner(slopes, inverse)


class _Cut:
    """The regions of the ``(a, x)`` plane, and operands that are harmless in each."""

    def __init__(self, ops: Ops, a: Array, x: Array) -> None:
        self.inside = (a > 0.0) & (x > 0.0) & _finite(a) & _finite(x)
        self.uniform = self.inside & (a >= LARGE) & (ops.abs(x - a) <= a * NEAR)
        self.series = self.inside & ~self.uniform & ((x <= 1.1) | ((a >= 1.0) & (x < a + 1.0)))
        self.fraction = self.inside & ~self.uniform & ~self.series
        self.of_series = ops.where(self.series, a, 1.0), ops.where(self.series, x, 1.0)
        self.of_fraction = ops.where(self.fraction, a, 1.0), ops.where(self.fraction, x, 3.0)
        self.of_uniform = ops.where(self.uniform, a, LARGE), ops.where(self.uniform, x, LARGE)
        corner = self.series & (a < 1.0)
        self.corner, self.of_corner = corner, (ops.where(corner, a, 0.5), ops.where(corner, x, 0.5))

    def eta(self, ops: Ops) -> tuple[Array, Array, Array]:
        """``mu``, ``eta``, and ``mu / eta`` in Temme's region."""
        a, x = self.of_uniform
        mu = (x - a) / a
        root = ops.sqrt(_log_deviance(ops, mu) * 2.0)
        eta = ops.where(mu < 0.0, -root, root)
        centre = eta == 0.0
        return mu, eta, ops.where(centre, 1.0, mu / ops.where(centre, 1.0, eta))


def _halves(ops: Ops, a: Array, x: Array, side: float) -> Array:
    """The lower function for ``side = -1``, the upper for ``side = 1``."""
    cut = _Cut(ops, a, x)
    _, eta, _ = cut.eta(ops)
    z = eta * ops.sqrt(cut.of_uniform[0] * 0.5)
    remainder = ops.exp(-z * z) / ops.sqrt(cut.of_uniform[0] * (2.0 * math.pi)) * _temme_sum(cut.of_uniform[0], eta)[0]
    uniform = ops.erfc(z * side) * 0.5 + remainder * side
    lower = _density(ops, *cut.of_series) * _series(ops, *cut.of_series)[0]
    upper = _density(ops, *cut.of_fraction) * cut.of_fraction[0] * _fraction(ops, *cut.of_fraction)[0]
    outside = ~((a >= 0.0) & (x >= 0.0)) | ((a == 0.0) & (x == 0.0))
    full = (a == 0.0) | ((x > 0.0) & ~_finite(x))
    zero = cut.of_series[0] * 0.0
    if side < 0.0:
        edge = ops.where(full, zero + 1.0, 0.0)
        series, fraction = ops.where(lower > 1.0, 1.0, lower), 1.0 - upper
    else:
        edge = ops.where(full, zero, 1.0)
        series, fraction = ops.where(cut.corner, _corner(ops, *cut.of_corner), 1.0 - lower), upper
    value = ops.where(cut.series, series, ops.where(cut.fraction, fraction, ops.where(cut.uniform, uniform, edge)))
    return ops.where(outside, math.nan, value)


@_in_float32_or_wider
def igamma(ops: Ops, a: Array, x: Array) -> Array:
    """Regularized lower incomplete gamma function."""
    return _halves(ops, a, x, -1.0)


@_in_float32_or_wider
def igammac(ops: Ops, a: Array, x: Array) -> Array:
    """Regularized upper incomplete gamma function."""
    return _halves(ops, a, x, 1.0)


def _slopes(ops: Ops, cut: _Cut) -> tuple[Array, Array, Array]:
    """Derivative of the lower function in ``a``, over the density; Temme's over its own factor."""
    a, x = cut.of_series
    total, slope = _series(ops, a, x)
    series = total * (ops.log(x) - ops.digamma(a + 1.0)) + slope
    a, x = cut.of_fraction
    value, slope = _fraction(ops, a, x)
    fraction = -(value * (a * ops.log(x) - a * ops.digamma(a + 1.0) + 1.0) + a * slope)
    a, x = cut.of_uniform
    mu, eta, ratio = cut.eta(ops)
    total, in_a, in_eta = _temme_sum(a, eta)
    uniform = eta * 0.5 - ratio - total * (ops.log1p(mu) - 0.5 / a) - in_a + in_eta * ratio / a
    return series, fraction, uniform


def _pieced(ops: Ops, cut: _Cut, a: Array, x: Array, series: Array, fraction: Array, uniform: Array) -> Array:
    value = ops.where(cut.series, series, ops.where(cut.fraction, fraction, ops.where(cut.uniform, uniform, math.nan)))
    return ops.where((a > 0.0) & (x == 0.0), 0.0, value)


@_in_float32_or_wider
def igamma_grad_a(ops: Ops, a: Array, x: Array) -> Array:
    """Derivative of ``igamma(a, x)`` in ``a``."""
    cut = _Cut(ops, a, x)
    series, fraction, uniform = _slopes(ops, cut)
    _, eta, _ = cut.eta(ops)
    order = cut.of_uniform[0]
    uniform = uniform * ops.exp(order * eta * eta * -0.5) / ops.sqrt(order * (2.0 * math.pi))
    series, fraction = series * _density(ops, *cut.of_series), fraction * _density(ops, *cut.of_fraction)
    return _pieced(ops, cut, a, x, series, fraction, uniform)


@_in_float32_or_wider
def random_gamma_grad(ops: Ops, a: Array, x: Array) -> Array:
    """Derivative in ``a`` of a gamma sample ``x`` of order ``a``."""
    cut = _Cut(ops, a, x)
    series, fraction, uniform = _slopes(ops, cut)
    uniform = -uniform * (cut.of_uniform[1] / cut.of_uniform[0]) * ops.exp(_stirling_error(cut.of_uniform[0]))
    series = -series * (cut.of_series[1] / cut.of_series[0])
    fraction = -fraction * (cut.of_fraction[1] / cut.of_fraction[0])
    return _pieced(ops, cut, a, x, series, fraction, uniform)


# The incomplete beta function.


def _beta_factor(ops: Ops, a: Array, b: Array, x: Array, y: Array) -> Array:
    """``x^a y^b / (a B(a, b))`` with ``y = 1 - x``.

    The gamma function of the smaller shape is taken one further on: that of the least numbers has no finite value, and
    its reciprocal is lost where denormal numbers are.
    """
    both = (a >= 10.0) & (b >= 10.0)
    p, q = ops.where(both, 1.0, a), ops.where(both, 1.0, b)
    low, high = ops.where(p < q, p, q), ops.where(p < q, q, p)
    log_x = ops.where(x < 0.5, ops.log(x), ops.log1p(-y))
    log_y = ops.where(y < 0.5, ops.log(y), ops.log1p(-x))
    small = ops.exp(_log_gamma_ratio(ops, high, low) - ops.lgamma(low + 1.0) + p * log_x + q * log_y) * (low / p)
    p, q = ops.where(both, a, 10.0), ops.where(both, b, 10.0)
    shift = q * x - p * y
    left, right = shift / p, -shift / q
    first = ops.where(left < -0.5, left - ops.log(x * (q / p + 1.0)), _log_deviance(ops, left))
    second = ops.where(right < -0.5, right - ops.log(y * (p / q + 1.0)), _log_deviance(ops, right))
    correction = _stirling_error(p + q) - _stirling_error(p) - _stirling_error(q)
    scale = ops.sqrt(p / (p / q + 1.0) * (0.5 / math.pi))
    return ops.where(both, ops.exp(-p * first - q * second) * ops.exp(correction) * scale / p, small)


def _beta_fraction(ops: Ops, a: Array, b: Array, x: Array) -> Array:
    epsilon = _epsilon(x)
    tiny = 1e-30

    def away(v: Array) -> Array:
        return ops.where(v == 0.0, tiny, v)

    def unsettled(state: tuple[Array, ...]) -> Array:
        m, _, _, _, busy = state
        return ops.any((busy > 0.0) & (m < 2000.0))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        m, c, d, h, busy = state
        even = m * (b - m) * x / ((a + m * 2.0 - 1.0) * (a + m * 2.0))
        odd = -(a + m) * (a + b + m) * x / ((a + m * 2.0) * (a + m * 2.0 + 1.0))
        d = 1.0 / away(even * d + 1.0)
        c = away(even / c + 1.0)
        change = c * d
        d = 1.0 / away(odd * d + 1.0)
        c = away(odd / c + 1.0)
        change = change * (c * d)
        h = ops.where(busy > 0.0, h * change, h)
        return m + 1.0, c, d, h, ops.where(ops.abs(change - 1.0) > epsilon * 2.5, busy, 0.0)

    one = x * 0.0 + 1.0
    first = 1.0 / away(1.0 - (a + b) * x / (a + 1.0))
    return ops.while_loop(unsettled, step, (one, one, first, first, one))[3]


def _beta_corner(ops: Ops, a: Array, b: Array, y: Array) -> Array:
    """``1 - I_y(b, a)`` for ``b < 1``, ``a y < 1``."""
    epsilon = 0.1 * _epsilon(y)

    def unsettled(state: tuple[Array, ...]) -> Array:
        n, term, total = state
        return ops.any((ops.abs(term) > ops.abs(total) * epsilon) & (n < 200.0))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        n, term, total = state
        n = n + 1.0
        term = term * ((n - a) / n) * y
        return n, term, total + term / (b + n)

    zero = y * 0.0
    total = ops.while_loop(unsettled, step, step((zero, zero + 1.0, zero)))[2]
    exponent = b * ops.log(y) + _log_gamma_ratio(ops, a, b) - _log_gamma_ratio(ops, zero + 1.0, b)
    return -ops.expm1(exponent) - ops.exp(exponent) * b * total


@_in_float32_or_wider
def regularized_incomplete_beta(ops: Ops, a: Array, b: Array, x: Array) -> Array:
    """Share of a beta distribution of shapes ``a`` and ``b`` that lies below ``x``."""
    inside = (a > 0.0) & (b > 0.0) & _finite(a) & _finite(b) & (x > 0.0) & (x < 1.0)
    p, q, u = ops.where(inside, a, 1.0), ops.where(inside, b, 1.0), ops.where(inside, x, 0.25)
    v = 1.0 - u
    swap = u > (p + 1.0) / (p + q + 2.0)
    corner = swap & (q < 1.0) & (p * v < 1.0) & (v < 0.7)
    at_corner = _beta_corner(ops, ops.where(corner, p, 1.0), ops.where(corner, q, 0.5), ops.where(corner, v, 0.25))
    p, q, u, v = ops.where(swap, q, p), ops.where(swap, p, q), ops.where(swap, v, u), ops.where(swap, u, v)
    part = _beta_factor(ops, p, q, u, v) * _beta_fraction(ops, p, q, u)
    value = ops.where(corner, at_corner, ops.where(swap, 1.0 - part, part))
    infinite_a, infinite_b = ~_finite(a), ~_finite(b)
    domain = (a >= 0.0) & (b >= 0.0) & (x >= 0.0) & (x <= 1.0)
    domain = domain & ~((a == 0.0) & (b == 0.0)) & ~(infinite_a & infinite_b)
    middle = ops.where((a == 0.0) | infinite_b, x * 0.0 + 1.0, 0.0)
    edge = ops.where(x <= 0.0, 0.0, ops.where(x >= 1.0, 1.0, middle))
    return ops.where(inside, value, ops.where(domain, edge, math.nan))
