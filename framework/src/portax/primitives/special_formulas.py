"""Error functions, gamma, digamma, zeta and polygamma for devices that have none: the reference's formulas, as terms.

Both sides of every case are computed and one is chosen, so each side is first given operands at which it is harmless.
Types below 32 bits are computed in float32. `special_functions.portable` has those XLA lacks too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from portax.core import dtypes
from portax.primitives.special_functions import error, gamma
from portax.primitives.terms import Algebra, Term


def _wide(formula: Callable[..., Term]) -> Callable[..., Term]:
    @functools.wraps(formula)
    def f(ops: Algebra, *xs: Term) -> Term:
        dtype = xs[0].dtype
        if dtypes.bits(dtype) >= 32:
            return formula(ops, *xs)
        return ops.convert(formula(ops, *(ops.convert(x, dtypes.float32) for x in xs)), dtype)

    return f


def _chebyshev(coefficients: Sequence[float], t: Term) -> Term:
    """Clenshaw's recurrence; coefficients below a float32's rounding are left out there."""
    least = float(dtypes.finfo(t.dtype).eps) / 64
    kept = [c for c in coefficients if abs(c) > least]
    above = here = t * 0.0
    for c in reversed(kept[1:]):
        here, above = t * 2.0 * here - above + c, here
    return t * here - above + kept[0]


def _horner(coefficients: Sequence[float], t: Term) -> Term:
    total = t * 0.0 + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * t + c
    return total


# The error functions.


def _erf_near(x: Term) -> Term:
    """``erf`` on [-1, 1]."""
    return x * _chebyshev(error._ERF, x * x * 2.0 - 1.0)


def _exp_minus_square(ops: Algebra, x: Term) -> Term:
    """``exp(-x^2)`` for ``0 <= x <= 30``: the head's square is exact, what it leaves out is small."""
    scale = float(1 << (20 if dtypes.bits(x.dtype) == 64 else 7))
    head = ops.floor(x * scale) * (1.0 / scale)
    return ops.exp(-(head * head)) * ops.exp(-((x - head) * (x + head)))


def _scaled_complement(x: Term) -> Term:
    """``exp(x^2) erfc(x)`` for ``x >= 0``."""
    return _chebyshev(error._ERFCX, (x - 3.75) / (x + 3.75)) / (x * 2.0 + 1.0)


def _erfc_right(ops: Algebra, x: Term) -> Term:
    return _exp_minus_square(ops, x) * _scaled_complement(x)


@_wide
def erf(ops: Algebra, x: Term) -> Term:
    """The error function."""
    a = ops.abs(x)
    near = a <= 1.0
    far = 1.0 - _erfc_right(ops, ops.where(near | ~(a < 6.0), 6.0, a))
    out = ops.where(near, _erf_near(ops.where(near, x, 0.0)), ops.where(x < 0.0, -far, far))
    return ops.where(x != x, x, out)


@_wide
def erfc(ops: Algebra, x: Term) -> Term:
    """``1 - erf(x)``."""
    a = ops.abs(x)
    near, lost = a <= 0.5, ~(a < 28.0)
    right = ops.where(lost, 0.0, _erfc_right(ops, ops.where(near | lost, 1.0, a)))
    out = ops.where(x < 0.0, 2.0 - right, right)
    return ops.where(x != x, x, ops.where(near, 1.0 - _erf_near(ops.where(near, x, 0.0)), out))


def _erf_inv_centre(ops: Algebra, y: Term) -> Term:
    square = y * y
    x = y * (square * (square * 0.12756 + 0.2320136665) + 0.886226925452758)
    for _ in range(3):
        residual = (_erf_near(x) - y) * ops.exp(x * x) * (math.sqrt(math.pi) / 2)
        x = x - residual / (x * residual + 1.0)
    return x


def _erf_inv_tail(ops: Algebra, a: Term) -> Term:
    q = 1.0 - a
    log_term = ops.log(q * (2.0 - q))
    mean = log_term * 0.5 + 2.0 / (math.pi * 0.147)
    x = ops.sqrt(ops.sqrt(mean * mean - log_term * (1.0 / 0.147)) - mean)
    for _ in range(3):
        residual = (1.0 - q / _erfc_right(ops, x)) * _scaled_complement(x) * (math.sqrt(math.pi) / 2)
        x = x + residual / (1.0 - x * residual)
    return x


@_wide
def erf_inv(ops: Algebra, x: Term) -> Term:
    """The inverse of ``erf``."""
    a = ops.abs(x)
    near, inside = a <= 0.75, a < 1.0
    tail = _erf_inv_tail(ops, ops.where(near | ~inside, 0.875, a))
    tail = ops.where(inside, tail, ops.where(a == 1.0, math.inf, a * math.nan))
    out = ops.where(near, _erf_inv_centre(ops, ops.where(near, x, 0.0)), ops.where(x < 0.0, -tail, tail))
    return ops.where(x == 0.0, x, out)


# Gamma and its logarithmic derivative.


def _sin_cos_pi(ops: Algebra, x: Term) -> tuple[Term, Term]:
    """``sin(pi r)`` and ``cos(pi r)`` with ``r = x - n`` in [-1/2, 1/2]: both up to one sign."""
    r = (x - ops.floor(x + 0.5)) * math.pi
    return ops.sin(r), ops.cos(r)


def _lgamma_middle(ops: Algebra, x: Term) -> Term:
    """``lgamma`` on [0.7, 3]."""
    low = x < 1.5
    left = _chebyshev(gamma._LGAMMA_LOW, (ops.where(low, x, 1.1) - 1.1) * 2.5)
    right = _chebyshev(gamma._LGAMMA_HIGH, (ops.where(low, 2.25, x) - 2.25) * (4 / 3))
    return (x - 1.0) * (x - 2.0) * ops.where(low, left, right) + 0.0


def _lgamma_right(ops: Algebra, x: Term) -> Term:
    """``lgamma`` for ``x > 0``."""
    small, far = x < 0.7, x >= 10.0
    r = ops.where(small, x + 1.0, ops.where(far, 10.0, x))
    product = r * 0.0 + 1.0
    for _ in range(7):
        step = r > 3.0
        r = ops.where(step, r - 1.0, r)
        product = ops.where(step, product * r, product)
    near = ops.log(product) + _lgamma_middle(ops, r) - ops.log(ops.where(small, x, 1.0))
    big = ops.where(far, x, 10.0)
    stirling = _horner(gamma.STIRLING, 1.0 / big / big) / big
    distant = (big * 0.5 - 0.25) * (ops.log(big) - 1.0) * 2.0 + (gamma._HALF_LOG_TWO_PI - 0.5) + stirling
    return ops.where(far, distant, near)


@_wide
def lgamma(ops: Algebra, x: Term) -> Term:
    """``log |gamma(x)|``."""
    a = ops.abs(x)
    tiny = a < 1e-20
    endless = (a == math.inf) | ((x <= 0.0) & (x == ops.floor(x)))
    safe = ops.where(endless | tiny | (x != x), 1.5, a)
    right = _lgamma_right(ops, safe)
    sine, _ = _sin_cos_pi(ops, safe)
    mirrored = math.log(math.pi) - ops.log(ops.abs(ops.where(x < 0.0, sine, 1.0))) - ops.log(safe) - right
    out = ops.where(tiny, -ops.log(ops.where(tiny, a, 1.0)), ops.where(x < 0.0, mirrored, right))
    return ops.where(x != x, x, ops.where(endless, math.inf, out))


def _digamma_right(ops: Algebra, x: Term) -> Term:
    """``digamma`` for ``x > 0``."""
    small, far = x < 1.0, x >= 10.0
    r = ops.where(small, x + 1.0, ops.where(far, 10.0, x))
    total = r * 0.0
    for _ in range(8):
        step = r > 2.0
        r = ops.where(step, r - 1.0, r)
        total = ops.where(step, total + 1.0 / r, total)
    high, low = gamma._DIGAMMA_ZERO
    if dtypes.bits(x.dtype) < 64:
        high, low = 1.4616321325302124, 1.2438145e-08  # the same zero, its head a float32
    near = total + ((r - high) - low) * _chebyshev(gamma._DIGAMMA, r * 2.0 - 3.0)
    near = near - ops.where(small, 1.0 / x, 0.0)
    big = ops.where(far, x, 10.0)
    distant = ops.log(big) - 0.5 / big - _horner(gamma._STIRLING_SLOPE, 1.0 / big / big) / big / big
    return ops.where(far, distant, near)


@_wide
def digamma(ops: Algebra, x: Term) -> Term:
    """The derivative of ``lgamma``."""
    a = ops.abs(x)
    tiny = a < 1e-20
    pole = (x <= 0.0) & (x == ops.floor(x))
    safe = ops.where(pole | tiny | (x != x), 1.5, a)
    sine, cosine = _sin_cos_pi(ops, ops.where(x < 0.0, safe, 0.25))
    # psi(x) = psi(-x) - 1/x - pi cot(pi x), and x is -safe.
    mirrored = _digamma_right(ops, safe) + 1.0 / safe + cosine * math.pi / sine
    out = ops.where(x < 0.0, mirrored, _digamma_right(ops, safe))
    out = ops.where(tiny, -1.0 / ops.where(tiny, x, 1.0), out)
    return ops.where(x != x, x, ops.where(pole, math.nan, out))


# Zeta and polygamma.


def _zeta_right(ops: Algebra, s: Term, q: Term) -> Term:
    """Hurwitz zeta for finite ``s > 1`` and ``q > 0``: up to 40 terms, then Euler and Maclaurin's correction."""
    count = -ops.floor(-(s + 10.0 - q))
    count = ops.where(count > 40.0, 40.0, ops.where(count < 0.0, 0.0, count))
    a = q + count
    power = ops.power(a, -s)
    total = power * a / (s - 1.0) + power * 0.5
    term = power * s / a
    correction = s * 0.0
    for k, weight in enumerate(gamma._BERNOULLI):
        correction = correction + term * weight
        term = term * ((s + float(2 * k + 1)) / a) * ((s + float(2 * k + 2)) / a)
    total = correction + total

    # The smallest terms are added first.
    def unfinished(values: tuple[Term, ...]) -> Term:
        return values[0].ops.any(values[0] > 0.0)

    def step(values: tuple[Term, ...]) -> tuple[Term, ...]:
        left, total, s, q = values
        inner = values[0].ops
        more = left > 0.0
        left = inner.where(more, left - 1.0, left)
        return left, total + inner.where(more, inner.power(q + left, -s), 0.0), s, q

    return ops.while_loop(unfinished, step, (count, total, s, q))[1]


def _even(ops: Algebra, n: Term) -> Term:
    half = n * 0.5
    return half == ops.floor(half)


@_wide
def zeta(ops: Algebra, s: Term, q: Term) -> Term:
    """Hurwitz' zeta function."""
    whole_q, whole_s = q == ops.floor(q), s == ops.floor(s)
    finite = (ops.abs(s) < math.inf) & (ops.abs(q) < math.inf)
    regular = finite & (s > 1.0) & ~((q <= 0.0) & whole_q)
    u = ops.where(regular, s, 2.0)
    v = ops.where(regular, q, 1.0)
    negative = v < 0.0
    sign = ops.where(_even(ops, u), u * 0.0 + 1.0, -1.0)
    right = _zeta_right(ops, u, ops.where(negative, v - ops.floor(v), v))
    left = _zeta_right(ops, u, ops.where(negative, -ops.floor(-v) - v, 1.0))
    past = _zeta_right(ops, u, ops.where(negative, 1.0 - v, 1.0))
    out = ops.where(negative, ops.where(whole_s, (right + sign * left) - sign * past, math.nan), right)
    pole = finite & (q <= 0.0) & whole_q
    out = ops.where(regular, out, math.nan)
    even = _even(ops, ops.where(finite, s, 1.0))
    out = ops.where(pole & even & (s != 1.0), math.inf, out)
    return ops.where(s == 1.0, math.inf, out)


@_wide
def polygamma(ops: Algebra, n: Term, x: Term) -> Term:
    """The derivative of order ``n`` of ``digamma``."""
    order = (n > 0.0) & (n == ops.floor(n)) & (n < math.inf)
    m = ops.where(order, n, 1.0)
    sign = ops.where(_even(ops, m), m * 0.0 - 1.0, 1.0)
    out = sign * ops.exp(lgamma(ops, m + 1.0)) * zeta(ops, m + 1.0, x)
    return ops.where(n == 0.0, digamma(ops, x), ops.where(order, out, math.nan))
