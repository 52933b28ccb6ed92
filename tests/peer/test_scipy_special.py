"""Special functions: nowhere further from the truth than JAX, or within a few units in the last place of it.

The truth is SciPy's in float64 at the rounded operands. At special values the result is JAX's or SciPy's. Differences:
``spence(inf)`` is its limit -inf, where both have NaN; ``digamma(0)`` is NaN, as in JAX 0.10, infinite in 0.12;
``polygamma`` takes whole floats as orders; ``zeta`` has q = 1 by default; ``owens_t`` keeps halves; ``bessel_jn`` has
values at and near 0; ``hyp2f1`` has values left of -1.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import jax.scipy.special as theirs
import numpy as np
import pytest
import scipy.special as truth

import portax
import portax.numpy as pnp
from portax.core.config import override
from portax.scipy import special as ours

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

inf, nan = math.inf, math.nan
REALS = np.array([
    -inf, -100, -20.3, -7.5, -3, -2.5, -1.2, -1, -0.6, -0.3, -1e-3, -0.0, 0, 1e-5, 0.01, 0.2, 0.37, 0.5, 0.7, 1, 1.3,
    1.9, 2, 2.5, 3, 4.5, 6.5, 9, 13, 20, 30.5, 80, 200, 1e4, inf, nan,
])  # fmt: skip
MIDDLE = np.array([-0.6, -0.3, -1e-3, -0.0, 0, 1e-5, 0.01, 0.2, 0.37, 0.5, 0.7, 1])
POSITIVE = np.array([0, 1e-5, 0.01, 0.2, 0.5, 0.7, 1, 1.3, 2, 2.5, 3.7, 5, 8, 11, 20, 45, 100])
UNIT = np.array([0, 1e-10, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.6, 0.9, 0.99, 0.9999, 1])
SHAPES = np.array([0.5, 1, 2.3])


def grid(*axes):
    return [x.ravel() for x in np.meshgrid(*axes)]


POINTS = {
    **{
        name: [REALS]
        for name in (
            "dawsn", "digamma", "entr", "erf", "erfc", "erfcx", "exp1", "expi", "expit", "factorial", "fresnel",
            "gamma", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e", "log_ndtr", "loggamma", "ndtr", "sici", "spence",
        )
    },
    **{name: grid(MIDDLE, MIDDLE) for name in ("kl_div", "rel_entr", "xlog1py", "xlogy")},
    "beta": grid(POSITIVE[1:], POSITIVE[1:]),
    "betainc": grid(POSITIVE[2:12], POSITIVE[2:12], UNIT),
    "betaln": grid(POSITIVE[1:], POSITIVE[1:]),
    "boxcox": grid(POSITIVE, np.array([-2, -0.5, 0, 0.5, 1, 3])),
    "boxcox1p": grid(POSITIVE, np.array([-2, -0.5, 0, 0.5, 1, 3])),
    "comb": grid(np.arange(-1, 20.0), np.arange(-1, 8.0)),
    "erfinv": [np.r_[-UNIT, UNIT, 1.1]],
    "expn": grid(np.arange(0, 9.0), POSITIVE),
    "gammainc": grid(POSITIVE[1:], POSITIVE),
    "gammaincc": grid(POSITIVE[1:], POSITIVE),
    "hyp1f1": grid([0.5, 1, 2.3, 5], [0.5, 1, 3, 8], [0, 0.1, 1, 5, 20, 60, 150, -1, -10.0]),
    "hyp2f1": grid(SHAPES, SHAPES + 0.2, np.array([0.9, 1.5, 4, 8]), np.array([0, 0.1, 0.5, 0.9, 0.99, -0.5, -3, 1])),
    "logit": [np.r_[UNIT, -0.1, 1.1]],
    "ndtri": [np.r_[UNIT, 1e-30, -0.1, 1.1]],
    "owens_t": grid(np.array([-3, -0.5, 0, 0.1, 1, 2.5, 6, inf]), np.array([-5, -1, 0, 0.2, 0.9, 1, 1.5, 10, inf])),
    "poch": grid(np.array([0.5, 1, 2.5, 7]), np.array([0, 1, 2.5, 5])),
    "polygamma": grid(np.arange(0, 5.0), POSITIVE[2:]),
    "zeta": grid(np.array([1.1, 2, 3.5, 10]), POSITIVE[2:]),
}  # fmt: skip
#: Units in the last place from the truth that need no look at the peer.
ULPS = {"float32": 64, "float64": 512}
DIFFERENT = {("spence", inf), ("digamma", 0.0)}


def parts(x):
    return [np.asarray(v, np.float64) for v in (x if isinstance(x, tuple) else (x,))]


def peer_operands(name, operands):
    if name == "polygamma":
        return [operands[0].astype(np.int32), *operands[1:]]
    return operands


def ulps(value, true, dtype):
    unit = np.maximum(np.abs(true), np.finfo(dtype).tiny) * np.finfo(dtype).eps
    off = np.abs(value - true) / unit
    both = np.isfinite(value) & np.isfinite(true)
    return np.where((value == true) | (np.isnan(value) & np.isnan(true)), 0, np.where(both, off, inf))


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"), override("enable_x64", request.param == "float64"):
        yield request.param


@pytest.mark.parametrize("name", POINTS)
def test_values_are_no_further_from_the_truth_than_the_peers(name, dtype):
    operands = [x.astype(dtype) for x in POINTS[name]]
    mine = parts(getattr(ours, name)(*[pnp.asarray(x) for x in operands]))
    true = parts(getattr(truth, name)(*[x.astype(np.float64) for x in operands]))
    for place, (a, t) in enumerate(zip(mine, true, strict=True)):
        t = t.astype(dtype).astype(np.float64)
        off = ulps(a, t, dtype)
        known = np.array([(name, float(x)) in DIFFERENT for x in operands[0]])
        wrong = (off > ULPS[dtype]) & ~known
        if not wrong.any():
            continue
        b = parts(jax.jit(getattr(theirs, name))(*peer_operands(name, operands)))[place]
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        wrong &= ~same & ~((off <= ulps(b, t, dtype)) & np.isfinite(off))
        worst = [(*[float(x[i]) for x in operands], a[i], b[i], t[i]) for i in np.flatnonzero(wrong)]
        assert not worst, worst[:5]


#: Operands at which derivatives are compared: {function: (points, the operands that have one)}.
SLOPES = {
    **{
        name: ([np.array([-7.5, -2.5, -1.2, -0.6, -0.3, 0.01, 0.37, 0.7, 1, 1.3, 1.9, 2.5, 4.5, 6.5, 9, 13])], (0,))
        for name in (
            "dawsn", "digamma", "erf", "erfc", "erfcx", "expi", "expit", "gamma", "gammaln", "i0", "i0e", "i1", "i1e",
            "log_ndtr", "ndtr",
        )
    },
    **{
        name: ([np.array([0.01, 0.37, 0.7, 1, 1.3, 1.9, 2.5, 4.5, 6.5, 9])], (0,))
        for name in ("entr", "exp1", "loggamma", "spence")
    },
    **{name: ([np.array([0.001, 0.1, 0.3, 0.5, 0.6, 0.9, 0.99])], (0,)) for name in ("erfinv", "logit", "ndtri")},
    **{
        name: (grid(np.array([0.2, 1, 2.5, 11, 45]), np.array([0.3, 0.9, 2, 13])), (0, 1))
        for name in ("beta", "betaln", "boxcox", "boxcox1p", "gammainc", "gammaincc", "kl_div", "owens_t", "poch",
                     "rel_entr", "xlog1py", "xlogy")
    },
    "betainc": (grid(np.array([0.2, 1, 2.5]), np.array([0.3, 4]), np.array([0.1, 0.5, 0.9])), (2,)),
    "comb": (grid(np.array([9, 12.5]), np.array([2, 5.5])), (0, 1)),
    "expn": (grid(np.arange(0, 5.0), np.array([0.3, 0.9, 2, 13])), (1,)),
    "polygamma": (grid(np.arange(0, 4.0), np.array([0.3, 0.9, 2, 13])), (1,)),
    "hyp1f1": (grid(np.array([0.5, 2.3]), np.array([1.5, 3]), np.array([0.3, 4, -3])), (0, 1, 2)),
    "hyp2f1": (grid(SHAPES, np.array([0.7, 3]), np.array([1.5, 4]), np.array([0.1, 0.6, -0.4])), (0, 1, 2, 3)),
}  # fmt: skip


def numeric_slope(f, operands, place):
    """The derivative of SciPy's function by differences of the fourth order."""
    x = operands[place]
    h = 1e-3 * np.maximum(np.abs(x), 0.05) * (0.02 if x.size and np.abs(x).min() < 0.005 else 1)

    def at(step):
        return f(*[v if i != place else v + step * h for i, v in enumerate(operands)])

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


@pytest.mark.parametrize("name", SLOPES)
def test_gradients_are_the_peers_or_the_slope_of_the_truth(name):
    operands, places = SLOPES[name]
    with jax.enable_x64(True), override("enable_x64", True):
        arrays = [pnp.asarray(x) for x in operands]
        mine = portax.grad(lambda *xs: getattr(ours, name)(*xs).sum(), places)(*arrays)
        for place, a in zip(places, mine, strict=True):
            a = np.asarray(a)
            slope = numeric_slope(getattr(truth, name), operands, place)
            wrong = ~np.isclose(a, slope, rtol=1e-6, atol=1e-8)
            if not wrong.any():
                continue
            given = [jnp.asarray(x) for x in peer_operands(name, operands)]
            b = np.asarray(jax.grad(lambda *xs: getattr(theirs, name)(*xs).sum(), place)(*given))
            wrong &= ~np.isclose(a, b, rtol=1e-7, atol=1e-10)
            worst = [(*[float(x[i]) for x in operands], a[i], b[i], slope[i]) for i in np.flatnonzero(wrong)]
            assert not worst, (place, worst[:5])


COMPLEX = np.array([
    0.5 + 0.5j, -2.5 + 0.3j, -2.5 - 0.3j, 3 + 4j, -3 + 4j, 1e-3j, 2.2, 0.1 - 6j, -7.2 - 1e-3j, 20 + 15j, -12 + 8j,
    5.5 + 1e-4j,
])  # fmt: skip


@pytest.mark.parametrize("name", ["erfcx", "gamma", "loggamma", "wofz"])
def test_complex_values_are_true(name, dtype):
    dtype = {"float32": "complex64", "float64": "complex128"}[dtype]
    z = COMPLEX.astype(dtype)
    mine = getattr(ours, name)(pnp.asarray(z))
    assert mine.dtype == getattr(theirs, name)(jnp.asarray(z[:1])).dtype
    true = getattr(truth, name)(z.astype(np.complex128))
    finite = np.abs(true) < np.finfo(dtype).max
    off = np.abs(np.asarray(mine) - true) / np.abs(true)
    np.testing.assert_array_less(off[finite], 4096 * np.finfo(dtype).eps)


def test_wofz_of_real_numbers_is_complex():
    x = np.linspace(-30, 30, 41, dtype=np.float32)
    np.testing.assert_allclose(np.asarray(ours.wofz(pnp.asarray(x))), truth.wofz(x.astype(float)), rtol=2e-6, atol=1e-8)


#: Where the peer wants one dtype for all operands, or gives float32 for halves (``owens_t``).
NOT_HALF = ("betainc", "hyp1f1", "hyp2f1", "owens_t", "polygamma", "zeta")


def both(call):
    return call(ours, pnp), call(theirs, jnp)


POINTS_OF_LEGENDRE = np.linspace(-0.95, 0.95, 7).astype(np.float32)
CASES = {
    "bernoulli": lambda s, n: s.bernoulli(24),
    "bernoulli-few": lambda s, n: s.bernoulli(1),
    "bessel_jn": lambda s, n: s.bessel_jn(n.array([-20.0, -9.5, 6.5, 12.0]), v=4),
    "bessel_jn-iterations": lambda s, n: s.bessel_jn(n.array([[2.0, 3.0]]), v=2, n_iter=30),
    "log_softmax": lambda s, n: s.log_softmax(n.arange(6.0).reshape(2, 3)),
    "log_softmax-axis": lambda s, n: s.log_softmax(n.arange(6.0).reshape(2, 3), axis=0),
    "logsumexp": lambda s, n: s.logsumexp(n.arange(6.0).reshape(2, 3), 1, keepdims=True),
    "lpmn": lambda s, n: s.lpmn(5, 5, n.asarray(POINTS_OF_LEGENDRE)),
    "lpmn_values": lambda s, n: s.lpmn_values(5, 5, n.asarray(POINTS_OF_LEGENDRE), False),
    "lpmn_values-normalized": lambda s, n: s.lpmn_values(5, 5, n.asarray(POINTS_OF_LEGENDRE), True),
    "lpmn_values-0": lambda s, n: s.lpmn_values(0, 0, n.asarray(POINTS_OF_LEGENDRE), True),
    "multigammaln": lambda s, n: s.multigammaln(n.array([3.0, 5.5]), 4),
    "comb-repetition": lambda s, n: s.comb(n.arange(5.0)[:, None], n.arange(4.0), repetition=True),
    "comb-integers": lambda s, n: s.comb(n.arange(6), 2),
    "factorial-integers": lambda s, n: s.factorial(n.arange(6)),
    "softmax": lambda s, n: s.softmax(n.arange(6.0).reshape(2, 3)),
    "softmax-axis": lambda s, n: s.softmax(n.arange(6.0).reshape(2, 3), axis=-1),
    "sph_harm_y": lambda s, n: s.sph_harm_y(*map(n.asarray, HARMONICS)),
    "sph_harm_y-n_max": lambda s, n: s.sph_harm_y(*map(n.asarray, HARMONICS), n_max=4),
}
HARMONICS = (
    np.array([0, 1, 1, 2, 3, 3, 4]), np.array([0, 0, 1, -2, 3, -1, 2]),
    np.linspace(0.1, 3, 7, dtype=np.float32), np.linspace(0, 6, 7, dtype=np.float32),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_tables_and_sums_are_those_of_the_peer(case):
    mine, other = both(CASES[case])
    for a, b in zip(portax.tree.leaves(mine), jax.tree.leaves(other), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        scale = np.abs(np.asarray(b)).max()
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=4e-5, atol=2e-6 * max(scale, 1))


def test_bessel_functions_have_their_values_at_0_and_near_it():
    x = np.array([0, 1e-6, 0.1, 1], np.float32)
    mine = np.asarray(ours.bessel_jn(pnp.asarray(x), v=3))
    np.testing.assert_allclose(mine, truth.jv(np.arange(4)[:, None], x.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
@pytest.mark.parametrize("name", [n for n in POINTS if n not in NOT_HALF])
def test_dtypes_are_those_of_the_peer(name, dtype):
    arity = len(POINTS[name])
    mine = getattr(ours, name)(*[pnp.ones(2, dtype)] * arity)
    try:
        other = jax.eval_shape(getattr(theirs, name), *[jax.ShapeDtypeStruct((2,), dtype)] * arity)
    except (TypeError, ValueError, NotImplementedError):
        assert all(v.dtype == ("float32" if dtype == "int32" else dtype) for v in portax.tree.leaves(mine))
        return
    assert [v.dtype for v in portax.tree.leaves(mine)] == [v.dtype for v in jax.tree.leaves(other)]


@pytest.mark.parametrize("name", ["erfcx", "expn", "hyp1f1", "hyp2f1", "ndtri", "owens_t", "sici"])
def test_functions_agree_with_themselves_compiled_and_mapped(name):
    operands = [pnp.asarray(x.astype(np.float32)) for x in POINTS[name]]
    plain = getattr(ours, name)(*operands)
    for way in (portax.jit(getattr(ours, name)), portax.vmap(getattr(ours, name))):
        for a, b in zip(portax.tree.leaves(plain), portax.tree.leaves(way(*operands)), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=3e-5, atol=1e-30)
