"""What the functions of `portax.scipy.special` and `portax.scipy.stats` refuse, in words."""

from __future__ import annotations

import numpy as np
import pytest

import portax.numpy as pnp
from portax import errors, jit, random
from portax.nn import initializers
from portax.scipy import special, stats

KEY = random.key(0)
Z, ONE = pnp.array([0.5, 0.1]), pnp.array([1])
KDE = stats.gaussian_kde(pnp.array([[0.0, 1.0, 3.0], [1.0, 0.0, 0.5]]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: special.dawsn(1j), errors.DtypeError, "dawsn takes real numbers, got complex64[]"),
        (lambda: special.log_ndtr(1.0, 31), errors.ArgumentError, "log_ndtr was given series_order=31"),
        (lambda: special.factorial(3, exact=True), errors.GapError, "factorial was asked for exact results"),
        (lambda: special.multigammaln(3.0, 0), errors.ArgumentError, "multigammaln needs a dimension d"),
        (lambda: special.bernoulli(-1), errors.ArgumentError, "bernoulli was asked for the numbers up to -1"),
        (lambda: special.bessel_jn(1, v=1), errors.DtypeError, "bessel_jn takes an array of floats, got int32[]"),
        (lambda: special.bessel_jn(Z, v=-1), errors.ArgumentError, "bessel_jn needs an order v"),
        (lambda: special.lpmn(1, 1, ONE), errors.DtypeError, "lpmn takes points z of float32 or float64"),
        (lambda: special.lpmn(1, 1, Z[0]), errors.ShapeError, "lpmn takes points z of one axis"),
        (lambda: special.lpmn_values(1, 2, Z, True), errors.GapError, "asked for order 1 of degree 2"),
        (lambda: special.lpmn_values(-1, -1, Z, True), errors.ArgumentError, "asked for degrees up to -1"),
        (lambda: special.sph_harm_y(ONE, ONE, Z, Z, diff_n=1), errors.GapError, "sph_harm_y was given diff_n=1"),
        (
            lambda: jit(lambda n: special.sph_harm_y(n, n, Z[:1], Z[:1]))(ONE),
            errors.ConcretizationTypeError, "needs the greatest degree, and n (int32[1]) is traced",
        ),
        (lambda: stats.mode(Z, nan_policy="omit"), errors.ArgumentError, "mode knows no nan_policy 'omit'"),
        (lambda: stats.rankdata(Z, "mean"), errors.ArgumentError, "rankdata knows no method 'mean'"),
        (lambda: stats.sem(Z, nan_policy="raise"), errors.ArgumentError, "sem knows no nan_policy 'raise'"),
        (lambda: stats.dirichlet.pdf(Z, pnp.ones((2, 2))), errors.ShapeError, "dirichlet needs alpha of one axis"),
        (lambda: stats.dirichlet.pdf(Z, pnp.ones(4)), errors.ShapeError, "as many numbers along the first axis"),
        (
            lambda: stats.multivariate_normal.logpdf(Z, Z, pnp.eye(2), True),
            errors.GapError, "no density for singular covariances",
        ),
        (lambda: stats.multivariate_normal.pdf(Z, Z, pnp.eye(3)), errors.ShapeError, "cov of shape (..., 2, 2)"),
        (lambda: stats.gaussian_kde(Z * 1j), errors.DtypeError, "gaussian_kde takes real samples"),
        (lambda: stats.gaussian_kde(1.0), errors.ArgumentError, "needs more than one number"),
        (lambda: stats.gaussian_kde(Z, weights=pnp.eye(2)), errors.ShapeError, "weights of one axis"),
        (lambda: stats.gaussian_kde(Z, weights=pnp.ones(3)), errors.ShapeError, "3 weights for 2 samples"),
        (lambda: stats.gaussian_kde(Z, "best"), errors.ArgumentError, "knows no bw_method 'best'"),
        (lambda: KDE(pnp.ones((3, 4))), errors.ShapeError, "2 dimensions was given points float32[3,4]"),
        (lambda: KDE(Z * 1j), errors.DtypeError, "takes real points"),
        (lambda: KDE.integrate_gaussian(Z, pnp.eye(3)), errors.ShapeError, "was given mean: float32[2]"),
        (lambda: KDE.integrate_box_1d(0, 1), errors.GapError, "integrate_box_1d is for one dimension"),
        (lambda: stats.gaussian_kde(Z).integrate_box_1d(Z, 1), errors.ShapeError, "takes two scalars"),
        (lambda: KDE.integrate_box(0, 1), errors.GapError, "no integral over a box"),
        (lambda: KDE.integrate_kde(stats.gaussian_kde(Z)), errors.ShapeError, "have 2 and 1 dimensions"),
        (lambda: KDE.set_bandwidth(1), errors.GapError, "does not change its bandwidth"),
        (lambda: random.multivariate_normal(KEY, Z, pnp.eye(2), method="lu"), errors.ArgumentError, "no method 'lu'"),
        (lambda: random.multivariate_normal(KEY, Z, pnp.eye(3)), errors.ShapeError, "a cov (..., n, n), got"),
        (lambda: initializers.orthogonal()(KEY, (3,)), errors.ShapeError, "need at least two axes"),
        (lambda: initializers.delta_orthogonal()(KEY, (3, 3)), errors.ShapeError, "have 3 to 5 axes"),
        (lambda: initializers.delta_orthogonal()(KEY, (3, 3, 2)), errors.ShapeError, "as many outputs as inputs"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused_in_words(call, error, words):
    with pytest.raises(error) as refusal:
        call()
    assert words in str(refusal.value)


def test_large_bernoulli_numbers_leave_the_dtype():
    numbers = np.asarray(special.bernoulli(80))
    assert numbers[3::2].tolist() == [0.0] * 39
    assert np.isinf(numbers[72::2]).all() and np.sign(numbers[4::2]).tolist() == [-1, 1] * 19 + [-1]
