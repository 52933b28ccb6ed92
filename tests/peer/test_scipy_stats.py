"""Distributions and descriptions of data against JAX: values over and beyond the support, dtypes, derivatives.

Densities and probabilities must be SciPy's at the rounded operands, or else JAX's. ``multinomial`` checks each row's
sum, where JAX compares ``n`` with the sum of all rows.
"""

from __future__ import annotations

import inspect
import math

import jax
import jax.numpy as jnp
import jax.scipy.stats as theirs
import numpy as np
import pytest
import scipy.stats as truth

import portax
import portax.numpy as pnp
from portax import random
from portax.core.config import override
from portax.scipy import stats as ours

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

X = np.array([-40, -7.3, -2.0, -1, -0.2, 0, 0.1, 0.5, 0.9, 1, 1.7, 2.5, 4, 9, 30, math.inf, -math.inf, math.nan])
K = np.array([-2, -1, 0, 1, 2, 3, 4, 5, 6, 9, 20.0])
Q = np.array([0, 1e-6, 0.01, 0.3, 0.5, 0.7, 0.99, 1, -0.1, 1.1])
#: {distribution: parameters besides the first argument, each a set}; the last two are loc and scale where it has them.
PARAMETERS = {
    "bernoulli": [(0.3,), (1.0,), (0.4, 1.0)],
    "beta": [(2.0, 3.0), (0.5, 1.0), (0.7, 20.0, 0.5, 2.0)],
    "betabinom": [(5.0, 2.0, 3.0), (9.0, 0.5, 0.7, 1.0)],
    "binom": [(5.0, 0.3), (9.0, 1.0), (20.0, 0.5, 1.0)],
    "cauchy": [(), (0.5, 2.0)],
    "chi2": [(3.0,), (0.5, 0.5, 2.0)],
    "expon": [(), (0.5, 2.0)],
    "gamma": [(2.0,), (0.4, 0.5, 2.0)],
    "gennorm": [(2.0,), (0.7,)],
    "geom": [(0.3,), (0.9, 1.0)],
    "gumbel_l": [(), (0.5, 2.0)],
    "gumbel_r": [(), (0.5, 2.0)],
    "laplace": [(), (0.5, 2.0)],
    "logistic": [(), (0.5, 2.0)],
    "nbinom": [(3.0, 0.3), (0.5, 0.8, 1.0)],
    "norm": [(), (0.5, 2.0)],
    "pareto": [(2.0,), (0.7, -1.0, 2.0)],
    "poisson": [(2.0,), (0.3, 1.0), (15.0,)],
    "t": [(3.0,), (0.5, 0.5, 2.0)],
    "truncnorm": [(-1.0, 2.0), (1.0, 3.0, 0.5, 2.0), (-4.0, -2.0)],
    "uniform": [(), (0.5, 2.0)],
    "vonmises": [(2.0,), (0.1,)],
    "wrapcauchy": [(0.5,), (0.1,)],
}  # fmt: skip
FUNCTIONS = [
    (name, function)
    for name in PARAMETERS
    for function in sorted(dir(getattr(theirs, name)))
    if function in ("cdf", "isf", "logcdf", "logpdf", "logpmf", "logsf", "pdf", "pmf", "ppf", "sf")
]
RTOL = {"float32": 1e-4, "float64": 1e-8}


def first_argument(name, function):
    if function in ("ppf", "isf"):
        return Q
    return K if hasattr(getattr(theirs, name), "pmf") else X


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"), override("enable_x64", request.param == "float64"):
        yield request.param


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_values_are_the_peers_or_scipys(name, function, dtype):
    mine, other = (getattr(getattr(s, name), function) for s in (ours, theirs))
    assert list(inspect.signature(mine).parameters) == list(inspect.signature(other).parameters)
    x = first_argument(name, function).astype(dtype)
    for parameters in PARAMETERS[name]:
        if len(parameters) > len(inspect.signature(other).parameters) - 1:
            continue
        given = [np.asarray(p, dtype) for p in parameters]
        a = mine(pnp.asarray(x), *[pnp.asarray(p) for p in given])
        assert (str(a.dtype), a.shape) == (dtype, x.shape)
        a = np.asarray(a, np.float64)
        true = getattr(getattr(truth, name), function)(x.astype(np.float64), *[float(p) for p in given])
        true = true.astype(dtype).astype(np.float64)
        wrong = ~np.isclose(a, true, rtol=RTOL[dtype], atol=1e-30, equal_nan=True)
        if wrong.any():  # where SciPy says otherwise, JAX must say the same
            b = np.asarray(other(jnp.asarray(x), *[jnp.asarray(p) for p in given]), np.float64)
            wrong &= ~np.isclose(a, b, rtol=RTOL[dtype], atol=1e-30, equal_nan=True)
            assert not wrong.any(), [(parameters, x[i], a[i], b[i], true[i]) for i in np.flatnonzero(wrong)[:5]]


INSIDE = {
    "bernoulli": [1.0], "beta": [0.6, 0.9], "uniform": [0.6, 0.9], "pareto": [2.2, 5], "truncnorm": [1.7, 1.8],
    "wrapcauchy": [0.6, 3], "gamma": [0.7, 4], "chi2": [0.7, 4], "expon": [0.7, 4],
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_gradients_are_the_peers(name):
    function = "logpmf" if hasattr(getattr(theirs, name), "pmf") else "logpdf"
    parameters = PARAMETERS[name][0]
    with jax.enable_x64(True), override("enable_x64", True):
        x = np.array(INSIDE.get(name, [2.0, 4.0]), np.float64)
        places = tuple(range(1 if function == "logpmf" else 0, 1 + len(parameters)))
        if not places:
            return

        def slopes(t, s, n):
            f = getattr(getattr(s, name), function)
            return t.grad(lambda *xs: f(*xs).sum(), places)(n.asarray(x), *[n.asarray(p) for p in parameters])

        for a, b in zip(slopes(portax, ours, pnp), slopes(jax, theirs, jnp), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", [(2,), (3,)], ids=["whole", "all-but-one"])
def test_vectors_have_the_densities_of_the_peer(shape):
    rng = np.random.default_rng(0)
    points = rng.dirichlet(np.ones(3), 4).T.astype(np.float32)
    x = points if shape == (3,) else points[:2]
    alpha = np.array([0.5, 2, 3], np.float32)
    np.testing.assert_allclose(
        np.asarray(ours.dirichlet.logpdf(pnp.asarray(x), pnp.asarray(alpha))),
        np.asarray(theirs.dirichlet.logpdf(jnp.asarray(x), jnp.asarray(alpha))), rtol=2e-5,
    )  # fmt: skip


def test_counts_have_the_probabilities_of_the_peer():
    x, p = np.array([[1, 2, 0], [0, 0, 3], [1, 1, 0]], np.int32), np.array([0.2, 0.3, 0.5], np.float32)
    for function in ("logpmf", "pmf"):
        np.testing.assert_allclose(
            np.asarray(getattr(ours.multinomial, function)(pnp.asarray(x), 3, pnp.asarray(p))),
            getattr(truth.multinomial, function)(x, 3, p.astype(float) / p.astype(float).sum()), rtol=1e-5,
        )  # fmt: skip
        for row in x:
            a = getattr(ours.multinomial, function)(pnp.asarray(row), 3, pnp.asarray(p))
            b = getattr(theirs.multinomial, function)(jnp.asarray(row), 3, jnp.asarray(p))
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


NORMALS = {
    "one": ((3,), (3,), (3, 3)),
    "many-points": ((5, 3), (3,), (3, 3)),
    "many-all": ((5, 3), (5, 3), (5, 3, 3)),
    "scalar-cov": ((5, 3), (3,), ()),
    "scalar": ((5,), (), ()),
}


@pytest.mark.parametrize("case", NORMALS)
def test_the_normal_density_in_several_dimensions_is_the_peers(case):
    rng = np.random.default_rng(1)
    shapes = NORMALS[case]
    x, mean = (rng.normal(size=s).astype(np.float32) for s in shapes[:2])
    cov = np.float32(0.7)
    if shapes[2]:
        root = rng.normal(size=shapes[2]).astype(np.float32)
        cov = root @ root.swapaxes(-1, -2) + np.eye(3, dtype=np.float32)
    for function in ("logpdf", "pdf"):
        a = getattr(ours.multivariate_normal, function)(*map(pnp.asarray, (x, mean, cov)))
        b = getattr(theirs.multivariate_normal, function)(*map(jnp.asarray, (x, mean, cov)))
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4)


def test_the_entropy_of_the_poisson_distribution_is_right():
    mu = np.array([0, 1e-3, 0.5, 3, 9, 20, 29.9, 30.1, 99, 101, 1000])
    for dtype, rtol in (("float32", 2e-5), ("float64", 1e-9)):
        with override("enable_x64", dtype == "float64"):
            mine = np.asarray(ours.poisson.entropy(pnp.asarray(mu.astype(dtype))))
        np.testing.assert_allclose(mine, [float(truth.poisson(m).entropy()) if m else 0 for m in mu], rtol=rtol)
    a, b = ours.poisson.entropy(pnp.array([3.0, -1.0])), theirs.poisson.entropy(jnp.array([3.0, -1.0]))
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


TABLE = np.array([[2, 4, 1, 1, 3], [4, 4, 2, 3, 3], [1, 4, 2, 2, 2]], np.int32)
FLOATS = np.array([[2, 4, math.nan, 1, 3], [4, 4, 2, 3, 3.5], [1, 4, 2, 2, math.nan]], np.float32)
DESCRIBED = {
    "mode": lambda s, n: s.mode(n.asarray(TABLE)),
    "mode-axis": lambda s, n: s.mode(n.asarray(TABLE), axis=1, keepdims=True),
    "mode-all": lambda s, n: s.mode(n.asarray(TABLE), axis=None),
    "mode-all-kept": lambda s, n: s.mode(n.asarray(TABLE), axis=None, keepdims=True),
    **{f"rank-{m}": lambda s, n, m=m: s.rankdata(n.asarray(TABLE), m)
       for m in ("average", "min", "max", "dense", "ordinal")},
    **{f"rank-{m}-axis": lambda s, n, m=m: s.rankdata(n.asarray(TABLE), m, axis=1)
       for m in ("average", "min", "max", "dense", "ordinal")},
    "sem": lambda s, n: s.sem(n.asarray(TABLE)),
    "sem-axis": lambda s, n: s.sem(n.asarray(TABLE), axis=1, ddof=0, keepdims=True),
    "sem-all": lambda s, n: s.sem(n.asarray(TABLE), axis=None),
    "sem-nan": lambda s, n: s.sem(n.asarray(FLOATS)),
    "sem-omit": lambda s, n: s.sem(n.asarray(FLOATS), nan_policy="omit"),
    "rank-nan": lambda s, n: s.rankdata(n.asarray(FLOATS), axis=1),
}  # fmt: skip


@pytest.mark.parametrize("case", DESCRIBED)
def test_descriptions_of_data_are_the_peers(case):
    mine, other = DESCRIBED[case](ours, pnp), DESCRIBED[case](theirs, jnp)
    for a, b in zip(portax.tree.leaves(mine), jax.tree.leaves(other), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6)


ESTIMATES = {
    "plain": {},
    "silverman": {"bw_method": "silverman"},
    "number": {"bw_method": 0.3},
    "function": {"bw_method": lambda kde: kde.neff ** (-1 / 3)},
    "weighted": {"weights": np.array([1, 2, 3, 1, 1, 0.5, 2], np.float32)},
}


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("case", ESTIMATES)
def test_estimates_of_densities_are_the_peers(case, d):
    rng = np.random.default_rng(2)
    data, points = rng.normal(size=(d, 7)).astype(np.float32), rng.normal(size=(d, 5)).astype(np.float32)

    def said(s, n, key):
        kde = s.gaussian_kde(n.asarray(data), **ESTIMATES[case])
        other = s.gaussian_kde(n.asarray(points))
        out = [
            kde.neff, kde.covariance, kde.inv_cov, kde.evaluate(n.asarray(points)), kde.logpdf(n.asarray(points)),
            kde(n.asarray(points[:, :1])), kde.integrate_gaussian(n.ones(d), n.eye(d)), kde.integrate_kde(other),
            kde.resample(key, (4,)),
        ]  # fmt: skip
        return out if d > 1 else [*out, kde.integrate_box_1d(-0.5, 1.0)]

    for a, b in zip(said(ours, pnp, random.key(1)), said(theirs, jnp, jax.random.key(1)), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)


def test_an_estimate_is_a_tree_of_arrays():
    data = np.random.default_rng(3).normal(size=(2, 6)).astype(np.float32)
    kde = ours.gaussian_kde(pnp.asarray(data))
    value = portax.jit(lambda k: k.evaluate(pnp.zeros(2)))(kde)
    np.testing.assert_allclose(np.asarray(value), np.asarray(kde.evaluate(pnp.zeros(2))), rtol=1e-5)
