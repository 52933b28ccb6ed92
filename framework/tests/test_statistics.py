"""What the functions of order, counting and statistics say to arguments that cannot be; and laws of their results."""

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.errors import ArgumentError, AxisError, ConcretizationError, DtypeError, GapError, ShapeError
from portax.scipy.stats import gaussian_kde

X = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]], np.float32)
V = X[0]
I = np.array([1, 2, 2, 0])
Z = X.astype(np.complex64)

REFUSED = [
    (lambda: pnp.sum(X, out=X), ArgumentError, "sum was given out="),
    (lambda: pnp.nanmax(X, out=X), ArgumentError, "nanmax was given out="),
    (lambda: pnp.sum(X, where=I), ArgumentError, "Give an array of bool"),
    (lambda: pnp.var(X, ddof=1, correction=1), ArgumentError, "two names of one number"),
    (lambda: pnp.var(Z, dtype="float32"), ArgumentError, "the variance of complex numbers is real"),
    (lambda: pnp.std(X, dtype="int32"), ArgumentError, "std was asked for in int32"),
    (lambda: pnp.cumulative_sum(X), ArgumentError, "was given no axis"),
    (lambda: pnp.cumulative_sum(1.0), ShapeError, "has no axis to run along"),
    (lambda: pnp.average(X, weights=V), ShapeError, "and no axis"),
    (lambda: pnp.average(X, axis=0, weights=V), ShapeError, "Give one weight for each element along these axes"),
    (lambda: pnp.quantile(X, 0.5, method="guess"), ArgumentError, "quantile has no method 'guess'"),
    (lambda: pnp.quantile(V, 0.5, weights=V), ArgumentError, "Give method='inverted_cdf' with weights"),
    (lambda: pnp.median(Z), ArgumentError, "complex numbers have no order"),
    (lambda: pnp.quantile(X, X), ShapeError, "was given q of shape"),
    (lambda: pnp.median(X[:0], axis=0), ShapeError, "median of no elements"),
    (lambda: pnp.median(X, overwrite_input=True), ArgumentError, "overwrite_input=True"),
    (lambda: pnp.percentile(X, 5, overwrite_input=True), ArgumentError, "percentile was given overwrite_input=True"),
    (lambda: pnp.cov(np.ones((2, 2, 2))), ShapeError, "at most two axes"),
    (lambda: pnp.cov(X, fweights=I), ShapeError, "fweights of shape"),
    (lambda: pnp.cov(X, fweights=V), ArgumentError, "which count observations"),
    (lambda: pnp.lexsort(()), ArgumentError, "lexsort was given no keys"),
    (lambda: pnp.lexsort((V, I)), ShapeError, "keys of one shape"),
    (lambda: pnp.sort(X, kind="stable"), ArgumentError, "sort takes no kind="),
    (lambda: pnp.partition(Z, 1), ArgumentError, "Use sort, which orders complex numbers"),
    (lambda: pnp.partition(X, 9), AxisError, "partition's kth"),
    (lambda: pnp.searchsorted(V, V, side="top"), ArgumentError, "no side 'top'"),
    (lambda: pnp.searchsorted(V, V, method="guess"), ArgumentError, "no method 'guess'"),
    (lambda: pnp.searchsorted(X, V), ShapeError, "looks through one axis"),
    (lambda: pnp.searchsorted(Z[0], V), ArgumentError, "Give real numbers"),
    (lambda: pnp.digitize(V, X), ShapeError, "digitize was given bins"),
    (lambda: pnp.digitize(Z, V), ArgumentError, "digitize was given complex64"),
    (lambda: pnp.interp(V, X, X), ShapeError, "as many values as points"),
    (lambda: pnp.interp(V, V, V, left="guess"), ArgumentError, "left='guess'"),
    (lambda: pnp.interp(Z[0], V, V), ArgumentError, "complex points"),
    (lambda: pnp.bincount(V), DtypeError, "bincount counts integers"),
    (lambda: pnp.bincount(np.ones((2, 2), int)), ShapeError, "counts along one axis"),
    (lambda: pnp.bincount(I, weights=V), ShapeError, "weights of shape"),
    (lambda: portax.jit(pnp.bincount)(I), ConcretizationError, "Give length="),
    (lambda: pnp.histogram(V, bins="auto"), GapError, "no rule 'auto'"),
    (lambda: pnp.histogram(V, range=(V, V)), ShapeError, "Give two numbers"),
    (lambda: pnp.histogram(V, weights=I), ShapeError, "histogram of float32"),
    (lambda: pnp.histogram2d(V, I), ShapeError, "as many x as y"),
    (lambda: pnp.histogramdd(V), ShapeError, "Give points in rows"),
    (lambda: pnp.histogramdd(X, weights=V), ShapeError, "histogramdd of 2 points"),
    (lambda: pnp.histogramdd(X, bins=[2, 2]), ArgumentError, "was given bins for 2"),
    (lambda: pnp.histogramdd(X, range=[(0, 1)]), ArgumentError, "was given ranges for 1"),
    (lambda: portax.jit(pnp.unique)(V), ConcretizationError, "Give size="),
    (lambda: pnp.unique(V[:0], size=2), ArgumentError, "and no fill_value"),
    (lambda: pnp.diff(V, n=-1), ArgumentError, "order -1"),
    (lambda: pnp.diff(1.0), ShapeError, "which has no neighbours"),
    (lambda: pnp.gradient(V, edge_order=2), ArgumentError, "edge_order=2"),
    (lambda: pnp.gradient(V[:1]), ShapeError, "two samples along an axis"),
    (lambda: pnp.gradient(X, 1, 2, 3), ArgumentError, "was given 3 spacings"),
    (lambda: pnp.gradient(X, X[:, :2], axis=1), ShapeError, "one coordinate for each sample"),
    (lambda: pnp.unwrap(Z), ArgumentError, "unwrap was given complex64"),
    (lambda: pnp.polyder(V, -1), ArgumentError, "derivative number -1"),
    (lambda: pnp.polyint(V, -1), ArgumentError, "integral number -1"),
    (lambda: pnp.polyint(V, 2, k=pnp.array([1, 2, 3])), ArgumentError, "3 constants for m=2"),
    (lambda: pnp.poly(X), ShapeError, "of a matrix, its eigenvalues"),
    (lambda: pnp.vander(X), ShapeError, "vander takes elements along one axis"),
    (lambda: pnp.vander(V, -1), ArgumentError, "-1 powers"),
    (lambda: pnp.polyfit(V, V, -1), ArgumentError, "degree -1"),
    (lambda: pnp.polyfit(X, V, 1), ShapeError, "was given places"),
    (lambda: pnp.polyfit(V, I, 1), ShapeError, "3 places and samples"),
    (lambda: pnp.polyfit(V, V, 1, w=I), ShapeError, "was given weights"),
    (lambda: pnp.polyfit(V, V, 2, cov=True), ArgumentError, "cannot find the covariance of 3 coefficients"),
    (lambda: portax.jit(pnp.roots)(V), ConcretizationError, "Give strip_zeros=False"),
    (lambda: pnp.hanning(-1), ArgumentError, "hanning was asked for -1 weights"),
    (lambda: pnp.packbits(V), DtypeError, "Give bools or integers"),
    (lambda: pnp.packbits(I, bitorder="middle"), ArgumentError, "no bitorder 'middle'"),
    (lambda: pnp.unpackbits(I), DtypeError, "Give an array of uint8"),
    (lambda: pnp.cross(I, I), ShapeError, "Give lengths of 2 or 3"),
    (lambda: pnp.matvec(V, V), ShapeError, "matvec needs a matrix"),
    (lambda: pnp.vectorize(lambda a: a, signature="n->n"), ArgumentError, "does not understand the signature"),
    (lambda: pnp.vectorize(lambda a: a, excluded={-1}), ArgumentError, "was given excluded="),
    (lambda: pnp.vectorize(lambda a: a, signature="(n)->(n)")(V, V), ArgumentError, "was given 2 arrays"),
    (lambda: pnp.vectorize(lambda a: a, signature="(n)->(n)")(1.0), ShapeError, "for the core axes"),
    (lambda: pnp.vectorize(lambda a: (a, a), signature="(n)->(n)")(V), ArgumentError, "gave 2 results"),
    (lambda: pnp.vectorize(lambda a: a, signature="(n)->()")(V), ShapeError, "the function gave float32[3]"),
    (lambda: pnp.vectorize(lambda a, b: a, signature="(n),(n)->(n)")(V, I), ShapeError, "with the lengths 3 and 4"),
    (lambda: pnp.__array_namespace_info__().dtypes(kind="text"), ArgumentError, "no kind 'text' of dtypes"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_what_cannot_be_is_refused_in_words(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_the_array_api_learns_what_this_namespace_can():
    info = pnp.__array_namespace_info__()
    assert info.default_device() is None and info.devices()
    assert info.default_dtypes()["integral"] == np.int32 and info.default_dtypes()["real floating"] == np.float32
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32"}
    assert set(info.dtypes(kind="integral")) == {"int8", "int16", "int32", "uint8", "uint16", "uint32"}


@pytest.mark.parametrize("kth", [0, 3, 8])
def test_a_partition_puts_one_element_in_its_place(kth):
    x = np.random.default_rng(0).permutation(9)
    for values in (np.asarray(pnp.partition(x, kth)), x[np.asarray(pnp.argpartition(x, kth))]):
        assert values[kth] == kth and (values[:kth] < kth).all() and (values[kth + 1 :] > kth).all()


def test_functions_whose_length_depends_on_values_work_under_jit_with_a_size():
    x = np.array([4, 1, 4, 2])
    values, counts = portax.jit(lambda x: pnp.unique(x, return_counts=True, size=5, fill_value=9))(x)
    assert values.tolist() == [1, 2, 4, 9, 9] and counts.tolist() == [1, 1, 2, 0, 0]
    assert portax.jit(lambda x: pnp.intersect1d(x, x[:2], size=2))(x).tolist() == [1, 4]
    assert portax.jit(lambda x: pnp.bincount(x, length=5))(x).tolist() == [0, 1, 1, 0, 2]
    roots = portax.jit(lambda p: pnp.roots(p, strip_zeros=False))(np.array([0.0, 1.0, -3.0, 2.0], np.float32))
    np.testing.assert_allclose(sorted(np.asarray(roots)[:2].real), [1, 2], rtol=1e-5)
    assert np.isnan(np.asarray(roots)[2])


def test_searches_find_what_numpy_finds_among_many_equal_elements():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 7, 8, 9, 100):
        x, v = np.sort(rng.integers(0, n, n)), rng.integers(-1, n + 1, 50)
        for side in ("left", "right"):
            assert pnp.searchsorted(x, v, side=side).tolist() == np.searchsorted(x, v, side=side).tolist()


def test_a_density_takes_its_points_by_name_and_says_what_it_keeps() -> None:
    kde = gaussian_kde(pnp.array([0.0, 1.0, 3.0]))
    np.testing.assert_array_equal(kde.pdf(x=pnp.array([0.5])), kde.evaluate(pnp.array([0.5])))
    assert all(hasattr(gaussian_kde, name) for name in ("covariance", "dataset", "inv_cov", "neff", "weights"))


@pytest.mark.parametrize("f", ["nanvar", "nanstd"])
@pytest.mark.parametrize("values", [[np.inf, 1.0], [np.inf, np.nan, 2.0], [-np.inf, np.inf], [np.nan, 1.0, 3.0]])
def test_infinities_have_no_spread_and_nan_is_left_out(f, values):
    with np.errstate(invalid="ignore"):
        expected = getattr(np, f)(np.array(values))
    np.testing.assert_array_equal(np.asarray(getattr(pnp, f)(pnp.array(values))), np.float32(expected))


@pytest.mark.parametrize("f", ["var", "nanvar"])
def test_a_variance_that_is_not_defined_does_not_move(f):
    variance = getattr(pnp, f)
    for x, ddof in ((pnp.zeros(0), 0), (pnp.array([1.0, 2.0]), 2)):
        value, dot = portax.jvp(lambda x, ddof=ddof: variance(x, ddof=ddof), (x,), (pnp.ones_like(x),))
        assert np.isnan(value) and float(dot) == 0.0


def test_numbers_between_two_python_numbers_are_firm():
    for make in (pnp.geomspace, pnp.linspace, pnp.logspace):
        assert not any(make(1.0, 2.0, n).weak_type for n in (0, 1, 2, 3))
