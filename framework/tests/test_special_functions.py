"""Special functions against mpmath at the rounded inputs, at special values, and the portable forms against both."""

from __future__ import annotations

import math
import types
from functools import cache

import ml_dtypes
import mpmath as mp
import numpy as np
import pytest

from portax.primitives.special_functions import bessel, beta, elementary, error, gamma, incomplete_gamma, portable

FAMILIES = (bessel, beta, error, gamma, incomplete_gamma)
BUDGET = {name: budget for family in FAMILIES for name, budget in family.BUDGET.items()}
FUNCTION = {name: getattr(family, name) for family in FAMILIES for name in family.BUDGET}
DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
inf, nan = math.inf, math.nan
N = 60


def log_uniform(rng, low, high, n=N):
    return np.exp(rng.uniform(math.log(low), math.log(high), n))


def scaled_bessel(order, x):
    # Far out mpmath is slow; there three terms of Hankel's expansion are exact.
    if abs(x) > 1e5:
        t = 1 / (8 * abs(x))
        value = (1 - (4 * order**2 - 1) * t + (4 * order**2 - 1) * (4 * order**2 - 9) * t**2 / 2) / mp.sqrt(
            2 * mp.pi * abs(x)
        )
        return value * mp.sign(x) ** order
    return mp.besseli(order, x) * mp.exp(-abs(x))


def lower(a, x):
    return mp.exp(a * mp.log(x) - x - mp.loggamma(a + 1)) * mp.hyp1f1(1, a + 1, x)


def upper(a, x):
    return mp.gammainc(a, x, mp.inf, regularized=True)


def slope(a, x):
    with mp.workdps(60):
        h = a * mp.mpf(10) ** -15
        if x < a + 30:
            return (lower(a + h, x) - lower(a - h, x)) / (2 * h)
        return -(upper(a + h, x) - upper(a - h, x)) / (2 * h)


def sample_slope(a, x):
    return -slope(a, x) / mp.exp((a - 1) * mp.log(x) - x - mp.loggamma(a))


ORACLE = {
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erf_inv": mp.erfinv,
    "lgamma": lambda x: mp.re(mp.loggamma(x)),
    "digamma": mp.digamma,
    "zeta": mp.zeta,
    "polygamma": lambda n, x: mp.psi(int(n), x),
    "bessel_i0e": lambda x: scaled_bessel(0, x),
    "bessel_i1e": lambda x: scaled_bessel(1, x),
    "igamma": lower,
    "igammac": upper,
    "igamma_grad_a": slope,
    "random_gamma_grad": sample_slope,
    "regularized_incomplete_beta": lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
}


def inputs(name):
    """float64 operands that cover every branch of the function."""
    rng = np.random.default_rng(sum(map(ord, name)))
    join = np.concatenate
    if name in ("erf", "erfc"):
        return [join([rng.uniform(-7, 27, 2 * N), log_uniform(rng, 1e-7, 1), -log_uniform(rng, 1e-7, 1)])]
    if name == "erf_inv":
        return [join([rng.uniform(-1, 1, 2 * N), 1 - log_uniform(rng, 2e-16, 0.5), log_uniform(rng, 1e-300, 1)])]
    if name in ("lgamma", "digamma"):
        near = [
            1 + rng.uniform(-0.1, 0.1, N),
            2 + rng.uniform(-0.1, 0.1, N),
            1.4616321449683622 + rng.uniform(-1e-7, 1e-7, N),
        ]
        return [join([rng.uniform(0, 12, 2 * N), log_uniform(rng, 1e-30, 1e30), *near])]
    if name.startswith("bessel"):
        return [join([rng.uniform(-40, 40, 2 * N), log_uniform(rng, 1e-30, 1e30)])]
    if name == "zeta":
        return [
            join([1 + log_uniform(rng, 1e-2, 40), rng.uniform(1.5, 10, N)]),
            join([log_uniform(rng, 1e-1, 1e3), rng.uniform(0.1, 20, N)]),
        ]
    if name == "polygamma":
        return [np.repeat([4.0, 30.0], N) // rng.uniform(1, 4, 2 * N), rng.uniform(0.1, 30, 2 * N)]
    if name == "regularized_incomplete_beta":
        a, b = log_uniform(rng, 1e-2, 1e3, 2 * N), log_uniform(rng, 1e-2, 1e3, 2 * N)
        spread = a[N:] / (a[N:] + b[N:]) * (1 + 0.1 * rng.normal(size=N))
        return [a, b, join([rng.uniform(0, 1, N), np.clip(spread, 1e-9, 1 - 1e-9)])]
    a = join([log_uniform(rng, 1e-3, 10), log_uniform(rng, 1, 1e3), log_uniform(rng, 10, 1e4)])
    near = np.abs(a[2 * N :] + 3 * rng.normal(size=N) * np.sqrt(a[2 * N :]))
    return [a, join([log_uniform(rng, 1e-3, 30), a[N : 2 * N] * log_uniform(rng, 0.3, 3), near])]


@cache
def case(name, dtype):
    """Operands in ``dtype`` and the exact results at them."""
    with np.errstate(over="ignore", under="ignore"):
        operands = [x.astype(DTYPES[dtype]) for x in inputs(name)]
    # What overflowed or vanished in a narrow dtype belongs to the special values.
    keep = np.all([np.isfinite(x.astype(float)) & (x != 0) for x in operands], axis=0)
    operands = [x[keep] for x in operands]
    exact = []
    with mp.workdps(40):
        for values in zip(*(x.astype(float).tolist() for x in operands), strict=True):
            try:
                exact.append(ORACLE[name](*map(mp.mpf, values)))
            except (ValueError, ZeroDivisionError, mp.libmp.NoConvergence):
                exact.append(mp.nan)
    assert sum(map(mp.isnan, exact)) <= 0.2 * len(exact), "the oracle left too few cases"
    return operands, exact


def ulp_errors(got, exact, dtype, above):
    """Errors in ULP where the exact result is normal in ``dtype`` and larger than ``above``."""
    info = ml_dtypes.finfo(DTYPES[dtype])
    errors = []
    for g, w in zip(got.astype(float).tolist(), exact, strict=True):
        if mp.isnan(w) or not max(float(info.tiny), above) <= abs(w) < float(info.max):
            continue
        unit = mp.mpf(2) ** (math.frexp(float(w))[1] - 1 - info.nmant)
        errors.append(float(abs(mp.mpf(g) - w) / unit))
    assert len(errors) >= 20
    return np.array(errors)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BUDGET)
def test_the_result_is_within_its_budget_of_the_exact_one(name, dtype):
    operands, exact = case(name, dtype)
    got = FUNCTION[name](*operands)
    assert got.dtype == DTYPES[dtype] and got.shape == operands[0].shape
    errors = ulp_errors(got, exact, dtype, above=1e-30 if len(operands) > 1 else 0.0)
    assert errors.max() <= BUDGET[name][dtype]


@pytest.mark.parametrize("name", ["lgamma", "digamma", "polygamma"])
def test_the_negative_axis_is_accurate_in_the_scale_of_one(name):
    x = np.random.default_rng(3).uniform(-30, 0, 200)
    orders = np.resize([1.0, 2.0, 3.0, 4.0], x.shape)
    got = FUNCTION[name](orders, x) if name == "polygamma" else FUNCTION[name](x)
    with mp.workdps(40):
        exact = [
            ORACLE[name](*v) for v in (zip(orders, x, strict=True) if name == "polygamma" else zip(x, strict=True))
        ]
    error_in_ulp = [abs(mp.mpf(g) - w) / max(1, abs(w)) / 2**-52 for g, w in zip(got.tolist(), exact, strict=True)]
    assert max(error_in_ulp) <= 60


SPECIAL = {
    "erf": [((0.0,), 0.0), ((-0.0,), -0.0), ((inf,), 1.0), ((-inf,), -1.0), ((nan,), nan)],
    "erfc": [((0.0,), 1.0), ((inf,), 0.0), ((-inf,), 2.0), ((nan,), nan), ((-30.0,), 2.0)],
    "erf_inv": [((-0.0,), -0.0), ((1.0,), inf), ((-1.0,), -inf), ((1.5,), nan), ((inf,), nan), ((nan,), nan)],
    "lgamma": [
        ((0.0,), inf),
        ((-0.0,), inf),
        ((-1.0,), inf),
        ((-2.0,), inf),
        ((inf,), inf),
        ((-inf,), inf),
        ((nan,), nan),
        ((1.0,), 0.0),
        ((2.0,), 0.0),
    ],
    "digamma": [((0.0,), nan), ((-0.0,), nan), ((-1.0,), nan), ((inf,), inf), ((-inf,), nan), ((nan,), nan)],
    "bessel_i0e": [((0.0,), 1.0), ((-0.0,), 1.0), ((inf,), 0.0), ((-inf,), 0.0), ((nan,), nan)],
    "bessel_i1e": [((0.0,), 0.0), ((-0.0,), -0.0), ((inf,), 0.0), ((-inf,), -0.0), ((nan,), nan)],
    "zeta": [
        ((1.0, 2.0), inf),
        ((0.5, 2.0), nan),
        ((2.0, 0.0), inf),
        ((2.0, -3.0), inf),
        ((3.0, -3.0), nan),
        ((0.0, -1.0), inf),
        ((2.5, -0.5), nan),
        ((2.0, inf), nan),
        ((inf, 2.0), nan),
        ((nan, 1.0), nan),
        ((2.0, nan), nan),
        ((1.0, nan), inf),
    ],
    "polygamma": [
        ((-1.0, 1.0), nan),
        ((0.5, 1.0), nan),
        ((1.0, 0.0), inf),
        ((1.0, -2.0), inf),
        ((2.0, -2.0), nan),
        ((0.0, 0.0), nan),
        ((1.0, nan), nan),
        ((nan, 1.0), nan),
        ((inf, 1.0), nan),
    ],
    "igamma": [
        ((0.5, 0.0), 0.0),
        ((0.5, -0.0), 0.0),
        ((0.5, inf), 1.0),
        ((-1.0, 1.0), nan),
        ((1.0, -1.0), nan),
        ((nan, 1.0), nan),
        ((1.0, nan), nan),
        ((0.0, 0.0), nan),
        ((0.0, 2.0), 1.0),
        ((0.0, 0.5), 1.0),
        ((inf, 1.0), 0.0),
        ((inf, 5.0), 0.0),
        ((inf, inf), 1.0),
    ],
    "igammac": [
        ((0.5, 0.0), 1.0),
        ((0.5, inf), 0.0),
        ((-1.0, 1.0), nan),
        ((1.0, -1.0), nan),
        ((nan, 1.0), nan),
        ((1.0, nan), nan),
        ((0.0, 0.0), nan),
        ((0.0, 2.0), 0.0),
        ((0.0, 0.5), 0.0),
        ((inf, 1.0), 1.0),
        ((inf, 5.0), 1.0),
        ((inf, inf), 0.0),
    ],
    "igamma_grad_a": [
        ((2.0, 0.0), 0.0),
        ((0.0, 1.0), nan),
        ((-1.0, 1.0), nan),
        ((1.0, -1.0), nan),
        ((1.0, inf), nan),
        ((inf, 1.0), nan),
        ((inf, 0.0), 0.0),
        ((nan, 1.0), nan),
        ((1.0, nan), nan),
    ],
    "random_gamma_grad": [
        ((2.0, 0.0), 0.0),
        ((0.0, 1.0), nan),
        ((-1.0, 1.0), nan),
        ((1.0, -1.0), nan),
        ((1.0, inf), nan),
        ((inf, 1.0), nan),
        ((inf, 0.0), 0.0),
        ((nan, 1.0), nan),
        ((1.0, nan), nan),
    ],
    "regularized_incomplete_beta": [
        ((0.5, 0.5, 0.0), 0.0),
        ((0.5, 0.5, 1.0), 1.0),
        ((0.5, 0.5, -0.1), nan),
        ((0.5, 0.5, 1.1), nan),
        ((-1.0, 1.0, 0.5), nan),
        ((1.0, -1.0, 0.5), nan),
        ((0.0, 1.0, 0.0), 0.0),
        ((0.0, 1.0, 0.5), 1.0),
        ((1.0, 0.0, 0.5), 0.0),
        ((1.0, 0.0, 1.0), 1.0),
        ((0.0, 0.0, 0.5), nan),
        ((inf, inf, 0.5), nan),
        ((inf, 1.0, 0.5), 0.0),
        ((1.0, inf, 0.5), 1.0),
        ((nan, 1.0, 0.5), nan),
        ((1.0, nan, 0.5), nan),
        ((1.0, 1.0, nan), nan),
    ],
}


def assert_same_bits_or_nan(got, want):
    got, want = float(got), float(want)
    assert (math.isnan(got) and math.isnan(want)) or (got == want and math.copysign(1, got) == math.copysign(1, want))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values_have_the_stated_results(name, dtype):
    for operands, want in SPECIAL[name]:
        got = FUNCTION[name](*(np.asarray(x, DTYPES[dtype]) for x in operands))
        assert got.shape == ()
        assert_same_bits_or_nan(got, want)


def test_operands_broadcast_and_empty_arrays_stay_empty():
    grid = gamma.zeta(np.full((3, 1), 2.0), np.ones(4))
    assert grid.shape == (3, 4) and np.allclose(grid, math.pi**2 / 6)
    assert incomplete_gamma.igamma(np.ones((0, 2)), np.ones((0, 2))).shape == (0, 2)


def test_extreme_orders_end_and_are_right():
    big = np.array([1e10, 1e100, 1e300])
    assert np.allclose(incomplete_gamma.igamma(big, big), 0.5, atol=1e-5)
    assert np.array_equal(incomplete_gamma.igamma(big, big / 2), [0.0, 0.0, 0.0])
    assert np.array_equal(incomplete_gamma.igammac(big, big * 2), [0.0, 0.0, 0.0])
    # upper(a, x) -> a E1(x): 1 - lower would be zero.
    assert incomplete_gamma.igammac(np.array([1e-300]), np.array([0.5]))[0] == pytest.approx(
        1e-300 * float(mp.e1(0.5)), rel=1e-14
    )


def test_high_derivatives_of_digamma_neither_overflow_nor_vanish_early():
    n, x = np.array([200.0, 171.0, 50.0, 300.0]), np.array([100.0, 30.5, -2.5, 150.25])
    with mp.workdps(60):
        exact = [float(mp.psi(int(k), mp.mpf(v))) for k, v in zip(n, x, strict=True)]
    assert np.isfinite(exact).all()
    np.testing.assert_allclose(gamma.polygamma(n, x), exact, rtol=1e-11)
    assert gamma.polygamma(np.array([1e4]), np.array([1.5]))[0] == -inf


def while_loop(cond, body, init):
    while cond(init):
        init = body(init)
    return init


def where(c, x, y):
    dtype = np.result_type(*(v for v in (x, y) if isinstance(v, np.ndarray | np.generic)))
    return np.where(c, np.asarray(x, dtype), np.asarray(y, dtype))


NUMPY_OPS = types.SimpleNamespace(
    abs=np.abs,
    exp=np.exp,
    expm1=np.expm1,
    log=np.log,
    log1p=np.log1p,
    sqrt=np.sqrt,
    floor=np.floor,
    any=np.any,
    where=where,
    lgamma=gamma.lgamma,
    digamma=gamma.digamma,
    erfc=error.erfc,
    while_loop=while_loop,
    convert=lambda x, dtype: x.astype(dtype),
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", portable.BUDGET)
def test_the_portable_form_is_within_its_budget_of_the_exact_result(name, dtype):
    operands, exact = case(name, dtype)
    with np.errstate(all="ignore"):
        got = getattr(portable, name)(NUMPY_OPS, *operands)
    assert got.dtype == DTYPES[dtype]
    above = {"float64": 1e-30, "float32": 1e-10}.get(dtype, 1e-4)
    assert ulp_errors(got, exact, dtype, above).max() <= portable.BUDGET[name][dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", portable.BUDGET)
def test_the_portable_form_has_the_same_special_values(name, dtype):
    for operands, want in SPECIAL[name]:
        with np.errstate(all="ignore"):
            got = getattr(portable, name)(NUMPY_OPS, *(np.full((1,), x, DTYPES[dtype]) for x in operands))
        if want == 0.0:
            assert got[0] == 0.0  # the sign of a zero is not promised here
        else:
            assert_same_bits_or_nan(got[0], want)


COMPLEX = {
    "exp2": lambda z: mp.power(2, z),
    "rsqrt": lambda z: 1 / mp.sqrt(z),
    "logistic": lambda z: 1 / (1 + mp.exp(-z)),
    "log1p": lambda z: mp.log(1 + z),
    "expm1": lambda z: mp.exp(z) - 1,
}


def complex_points():
    rng = np.random.default_rng(5)

    def spread():
        return rng.choice([-1, 1], 150) * log_uniform(rng, 1e-12, 20, 150)

    circle = np.exp(1j * rng.uniform(-3, 3, 50)) - 1
    return np.concatenate([spread() + 1j * spread(), circle, -1 + 1e-9 * (spread() + 1j * spread())])


@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
@pytest.mark.parametrize("name", COMPLEX)
def test_complex_elementary_functions_are_within_their_budget(name, dtype):
    z = complex_points().astype(dtype)
    got = getattr(elementary, name)(z)
    assert got.dtype == z.dtype
    digits = np.finfo(got.real.dtype).nmant
    with mp.workdps(60):
        for g, point in zip(got.tolist(), z.tolist(), strict=True):
            w = COMPLEX[name](mp.mpc(point))
            unit = mp.mpf(2) ** (math.frexp(max(abs(float(w.real)), abs(float(w.imag))))[1] - 1 - digits)
            assert max(abs(g.real - w.real), abs(g.imag - w.imag)) <= elementary.BUDGET[name][dtype] * unit, point


@pytest.mark.parametrize(
    "name, function, points, exact",
    [
        ("logistic", elementary.logistic, [-740.0, -40.0, -1e-9, 0.3, 30.0], lambda x: 1 / (1 + mp.exp(-x))),
        ("cbrt", elementary.cbrt, [-27.0, 1e-300, 2.0, 1e300], lambda x: mp.sign(x) * mp.cbrt(abs(x))),
        ("rsqrt", elementary.rsqrt, [1e-300, 0.3, 2.0, 1e300], lambda x: 1 / mp.sqrt(x)),
        ("exp2", elementary.exp2, [-3.3, 0.1, 10.7], lambda x: mp.power(2, x)),
    ],
)
def test_real_elementary_functions_are_within_their_budget(name, function, points, exact):
    for x in points:
        got, want = float(function(np.float64(x))), exact(mp.mpf(x))
        assert abs(got - want) <= elementary.BUDGET[name]["float64"] * math.ulp(float(want))


def test_complex_elementary_functions_keep_real_operands_real():
    for x in (inf, -inf, 1e300, 3.0):
        for function in (elementary.exp2, elementary.expm1):
            got = function(np.array([complex(x, 0.0), complex(x, -0.0)]))
            assert not np.isnan(got).any() and np.array_equal(got.imag, [0.0, 0.0])
            assert np.array_equal(np.signbit(got.imag), [False, True])
    assert elementary.rsqrt(np.array([0j]))[0] == complex(inf, -0.0)
    assert elementary.log1p(np.array([1e-300 + 0j]))[0] == 1e-300
    assert elementary.logistic(np.array([-800 + 1j]))[0] == 0
