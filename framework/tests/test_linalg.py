"""Linear algebra keeps the identities that define it, on the reference device, and in the steps it decomposes to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.core.aval import Aval
from portax.core.primitive import registry
from portax.errors import ArgumentError, DtypeError, GapError, NotDifferentiableError, ShapeError
from portax.runtime.lowering import decomposition, lower
from portax.runtime.reference import run_reference
from portax.scipy import linalg as sp
from portax.transforms.stage import stage_closed

generated = settings(max_examples=40, deadline=None, derandomize=True, database=None)

#: Matrices that are easy, and that are not: special structure, few distinct numbers, zeros.
KINDS = ("normal", "whole", "sparse", "symmetric", "triangular", "ones", "zero", "defective", "scaled")


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True):
        yield


def matrix(kind: str, m: int, n: int, complex_: bool, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((m, n))
    if complex_:
        x = x + 1j * draw.standard_normal((m, n))
    k = min(m, n)
    if kind == "whole":
        x = np.round(2 * x)
    elif kind == "sparse":
        x = np.where(draw.random((m, n)) < 0.6, 0, x)
    elif kind == "symmetric" and m == n:
        x = x + x.conj().T
    elif kind == "triangular":
        x = np.triu(x)
    elif kind == "ones":
        x = np.ones_like(x)
    elif kind == "zero":
        x = np.zeros_like(x)
    elif kind == "defective":
        x = np.zeros_like(x)
        x[:k, :k] = 2 * np.eye(k) + np.eye(k, k, 1)
    elif kind == "scaled":
        x = x * 10.0 ** np.arange(n)
    return x


def adjoint(x):
    return np.conj(np.swapaxes(np.asarray(x), -1, -2))


def close(x, y, a, factor=200.0):
    """Equal up to rounding of numbers as great as those of ``a``."""
    scale = max(1.0, float(np.max(np.abs(a), initial=0.0)))
    np.testing.assert_allclose(np.asarray(x), y, rtol=0, atol=factor * np.finfo(np.float64).eps * scale)


def both(name, *operands, **params):
    """A primitive by its NumPy meaning, and by the steps it decomposes to, as the reference device runs them."""
    primitive = registry[name]
    yield [np.asarray(x) for x in primitive.bind(*map(pnp.asarray, operands), **params)]
    closed = decomposition(primitive, [Aval(x.shape, x.dtype) for x in operands], params)
    yield [np.asarray(x) for x in run_reference(closed, *operands)]


anything = given(
    st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 2**20)
)
square = given(st.sampled_from(KINDS), st.integers(1, 6), st.booleans(), st.integers(0, 2**20))


@anything
@generated
def test_lu_gives_back_the_matrix(kind, m, n, complex_, seed):
    a = matrix(kind, m, n, complex_, seed)
    k = min(m, n)
    for factors, pivots, order in both("lu", a):
        l, u = np.tril(factors[:, :k], -1) + np.eye(m, k), np.triu(factors[:k])
        close(l @ u, a[order], a)
        size = np.abs(l.real) + np.abs(l.imag)
        # A complex number is measured by its parts, whose sizes add up to twice the quotient's at most.
        assert (size <= (2 if complex_ else 1)).all(), "an element below the diagonal is greater than its pivot"
        assert sorted(order) == list(range(m)) and (pivots >= np.arange(k)).all()


@anything
@generated
def test_qr_gives_back_the_matrix(kind, m, n, complex_, seed):
    a = matrix(kind, m, n, complex_, seed)
    for pivoting in (False, True):
        for full in (False, True):
            for q, r, *order in both("qr", a, pivoting=pivoting, full_matrices=full, use_magma=None):
                close(q @ r, a[:, order[0]] if pivoting else a, a)
                close(adjoint(q) @ q, np.eye(q.shape[1]), 1)
                assert not np.tril(r, -1).any()
                if pivoting:
                    d = np.abs(np.diagonal(r))
                    assert (d[1:] <= d[:-1] * (1 + 1e-10) + 1e-10).all(), "the diagonal of R grows"


@square
@generated
def test_eigh_gives_back_the_matrix(kind, n, complex_, seed):
    a = matrix(kind, n, n, complex_, seed)
    a = a + adjoint(a)
    params = {"lower": True, "sort_eigenvalues": True, "subset_by_index": None, "algorithm": None}
    for v, w in both("eigh", a, **params):
        close((v * w) @ adjoint(v), a, a)
        close(adjoint(v) @ v, np.eye(n), 1)
        assert (np.diff(w) >= 0).all()


@anything
@generated
def test_svd_gives_back_the_matrix(kind, m, n, complex_, seed):
    a = matrix(kind, m, n, complex_, seed)
    for full in (False, True):
        params = {"full_matrices": full, "compute_uv": True, "subset_by_index": None, "algorithm": None}
        for s, u, vh in both("svd", a, **params):
            k = min(m, n)
            close((u[:, :k] * s) @ vh[:k], a, a)
            close(adjoint(u) @ u, np.eye(u.shape[1]), 1)
            close(vh @ adjoint(vh), np.eye(vh.shape[0]), 1)
            assert (np.diff(s) <= 0).all() and (s >= 0).all()


@square
@generated
def test_schur_gives_back_the_matrix(kind, n, complex_, seed):
    a = matrix(kind, n, n, complex_, seed)
    params = {"compute_schur_vectors": True, "sort_eig_vals": False, "select_callable": None}
    for t, z in both("schur", a, **params):
        close(z @ t @ adjoint(z), a, a, 1000)
        close(adjoint(z) @ z, np.eye(n), 1)
        assert not np.tril(t, -1 if complex_ else -2).any()
        if not complex_:
            under = np.diagonal(t, -1)
            assert not (under[1:] * under[:-1]).any(), "two blocks of two rows overlap"
            for i in np.nonzero(under)[0]:
                assert t[i, i] == t[i + 1, i + 1] and t[i, i + 1] * t[i + 1, i] < 0, "a block is not in standard form"


@square
@generated
def test_eigenvectors_are_turned_into_multiples_of_themselves(kind, n, complex_, seed):
    a = matrix(kind, n, n, complex_, seed)
    params = {
        "compute_left_eigenvectors": True, "compute_right_eigenvectors": True, "enable_eigvec_derivs": False,
        "implementation": None,
    }  # fmt: skip
    for w, left, right in both("eig", a, **params):
        close(a @ right, right * w, a, 1e5)
        if kind != "defective":
            close(adjoint(left) @ a, w[:, None] * adjoint(left), a, 1e6)
        np.testing.assert_allclose(np.linalg.norm(right, axis=0), 1, rtol=1e-12)
        greatest = right[np.argmax(np.abs(right), axis=0), np.arange(n)]
        np.testing.assert_allclose(greatest.imag, 0, atol=1e-10)


@square
@generated
def test_reduced_forms_are_similar_to_the_matrix(kind, n, complex_, seed):
    a = matrix(kind, n, n, complex_, seed)
    h, q = (np.asarray(x) for x in sp.hessenberg(pnp.asarray(a), calc_q=True))
    close(q @ h @ adjoint(q), a, a)
    for packed, taus in both("hessenberg", a):
        close(np.abs(np.triu(packed, -1)), np.abs(h), a)  # where a reflection begins at 0, rounding gives it its sign
        assert taus.shape == (n - 1,)
    a = a + adjoint(a)
    for below in (True, False):
        for _, d, e, _ in both("tridiagonal", a, lower=below):
            t = np.diag(d) + np.diag(e, 1) + np.diag(e, -1)
            close(np.linalg.eigvalsh(t), np.linalg.eigvalsh(a), a)


@given(st.integers(1, 7), st.integers(0, 3), st.booleans(), st.integers(0, 2**20))
@generated
def test_a_tridiagonal_system_is_solved(n, k, complex_, seed):
    dl, d, du = (matrix("normal", 1, n, complex_, seed + i)[0] for i in range(3))
    d[np.abs(d) < 0.3] = 0.5
    b = matrix("normal", n, k, complex_, seed)
    whole = np.diag(d) + np.diag(dl[1:], -1) + np.diag(du[:-1], 1)
    condition = np.linalg.cond(whole)
    for params in ({"perturb_singular": False}, {"perturb_singular": True}):
        primitive = registry["tridiagonal_solve"]
        closed = decomposition(primitive, [Aval(x.shape, x.dtype) for x in (dl, d, du, b)], params)
        for x in (primitive.bind(*map(pnp.asarray, (dl, d, du, b)), **params), *run_reference(closed, dl, d, du, b)):
            close(whole @ np.asarray(x), b, condition * max(1.0, np.max(np.abs(np.asarray(x)), initial=0.0)), 1e3)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_what_is_not_read_of_a_diagonal_is_not_in_a_cholesky_factor(dtype):
    x = matrix("normal", 4, 4, True, 3)
    x = (x @ x.conj().T + 4 * np.eye(4)).astype(dtype)
    odd = x + 3j * np.eye(4, dtype=dtype)
    for found, wanted in zip(both("cholesky", odd), both("cholesky", x), strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert (np.diagonal(np.asarray(found).reshape(4, 4)).imag == 0).all()


@pytest.mark.parametrize("n", [30, 97])
def test_large_matrices_are_worked_on_in_blocks(n):
    a = matrix("normal", n, n, False, n)
    l = np.tril(a) / n + np.eye(n)
    close(l @ np.asarray(sp.solve_triangular(pnp.asarray(l), pnp.asarray(a), lower=True)), a, n)
    with px.default_device(px.devices("reference")[0]):
        factors, _, order = lax.linalg.lu(pnp.asarray(a))
    factors = np.asarray(factors)
    close((np.tril(factors, -1) + np.eye(n)) @ np.triu(factors), a[np.asarray(order)], n)


def test_a_stack_is_its_matrices_one_by_one():
    stack = np.stack([matrix(kind, 4, 4, False, 3) for kind in KINDS])
    for f in (pnp.linalg.inv, pnp.linalg.det, lambda x: lax.linalg.lu(x)[0], lambda x: lax.linalg.schur(x)[0], sp.expm):
        whole = np.asarray(f(pnp.asarray(stack)))
        for i, a in enumerate(stack):
            np.testing.assert_allclose(whole[i], np.asarray(f(pnp.asarray(a))), rtol=1e-12, atol=1e-12)


def test_matrices_of_a_stack_fail_one_by_one():
    stack = pnp.asarray(np.stack([np.eye(2), -np.eye(2), np.full((2, 2), np.nan)]))
    found = np.asarray(lax.linalg.cholesky(stack))
    assert np.array_equal(found[0], np.eye(2)) and np.isnan(found[1:, 1]).all() and not found[1:, 0, 1].any()
    v, w = lax.linalg.eigh(stack)
    v, w = np.asarray(v), np.asarray(w)
    assert np.isfinite(w[:2]).all() and np.isnan(w[2]).all() and np.isnan(v[2]).all()


def test_a_device_that_claims_no_lapack_is_given_the_steps():
    def f(x):
        return lax.linalg.qr(x), lax.linalg.schur(x), lax.linalg.svd(x)

    closed = stage_closed(lambda x: [y for part in f(x) for y in part], [Aval((3, 3), np.float64)], "f")
    assert "lapack" not in lower(closed, "f")
    assert lower(closed, "f", custom_calls=("lapack_",)).count("@lapack_") == 4  # geqrf, orgqr, gees, gesdd


def test_nothing_is_called_for_nothing():
    closed = stage_closed(lambda x: list(lax.linalg.qr(x)), [Aval((0, 3), np.float64)], "f")
    assert "lapack" not in lower(closed, "f", custom_calls=("lapack_",))


def test_the_exponential_of_large_matrices_is_derived_without_overflow():
    a = pnp.asarray(np.diag([-50.0, 1.0]))
    slope = px.grad(lambda t: sp.expm(t * a)[1, 1])(1.0)
    np.testing.assert_allclose(slope, np.exp(1.0), rtol=1e-10)


E = np.eye(2)
WORDS = {
    "solve takes a b": (ShapeError, lambda: pnp.linalg.solve(pnp.ones((4, 2, 2)), pnp.ones((4, 2)))),
    "solve needs square matrices": (ShapeError, lambda: pnp.linalg.solve(pnp.ones((2, 3)), pnp.ones(2))),
    "solve needs a b with as many rows": (ShapeError, lambda: pnp.linalg.solve(E, pnp.ones(3))),
    "inv works on matrices": (ShapeError, lambda: pnp.linalg.inv(pnp.ones(2))),
    "inv works on square": (ShapeError, lambda: pnp.linalg.inv(pnp.ones((2, 3)))),
    "slogdet knows no method": (ArgumentError, lambda: pnp.linalg.slogdet(E, method="x")),
    "matrix_power works on square": (ShapeError, lambda: pnp.linalg.matrix_power(pnp.ones((2, 3)), 2)),
    "a whole number as the power": (DtypeError, lambda: pnp.linalg.matrix_power(E, 1.5)),
    "a positive number of axes": (ArgumentError, lambda: pnp.linalg.tensorinv(E, 0)),
    "as many elements in the first": (ShapeError, lambda: pnp.linalg.tensorinv(pnp.ones((2, 3)), 1)),
    "tensorsolve needs an a": (ShapeError, lambda: pnp.linalg.tensorsolve(pnp.ones((2, 3)), pnp.ones(2))),
    "both rtol and rcond": (ArgumentError, lambda: pnp.linalg.pinv(E, 0.1, rcond=0.1)),
    "both rtol and tol": (ArgumentError, lambda: pnp.linalg.matrix_rank(E, 0.1, tol=0.1)),
    "cond was given an array without": (ShapeError, lambda: pnp.linalg.cond(pnp.ones((0, 2)))),
    "lstsq needs a matrix": (ShapeError, lambda: pnp.linalg.lstsq(pnp.ones(2), pnp.ones(2))),
    "qr does not know the mode": (ArgumentError, lambda: pnp.linalg.qr(E, "x")),
    "was given UPLO": (ArgumentError, lambda: pnp.linalg.eigh(E, "X")),
    "norm 'fro' of vectors": (ArgumentError, lambda: pnp.linalg.norm(pnp.ones(2), "fro")),
    "norm 3 of matrices": (ArgumentError, lambda: pnp.linalg.norm(E, 3)),
    "norm works along one axis or two": (ArgumentError, lambda: pnp.linalg.norm(pnp.ones((2, 2, 2)), 2)),
    "norm was given axis 0 twice": (ArgumentError, lambda: pnp.linalg.norm(E, axis=(0, 0))),
    "multi_dot was given no arrays": (ShapeError, lambda: pnp.linalg.multi_dot([])),
    "multi_dot multiplies matrices": (ShapeError, lambda: pnp.linalg.multi_dot([E, pnp.ones(2), E])),
    "multi_dot cannot multiply": (ShapeError, lambda: pnp.linalg.multi_dot([E, pnp.ones((3, 3))])),
    "outer multiplies vectors": (ShapeError, lambda: pnp.linalg.outer(E, E)),
    "vectors of three elements": (ShapeError, lambda: pnp.linalg.cross(pnp.ones(2), pnp.ones(2))),
    "eigh has no implementation": (
        ArgumentError, lambda: lax.linalg.eigh(E, implementation=lax.linalg.EighImplementation.QDWH)
    ),
    "eig has no implementation": (ArgumentError, lambda: lax.linalg.eig(E, use_magma=True)),
    "qdwh needs one matrix": (ShapeError, lambda: lax.linalg.qdwh(pnp.ones((2, 3)))),
    "qdwh was given max_iterations": (ArgumentError, lambda: lax.linalg.qdwh(E, max_iterations=0)),
    "no derivative of eigenvectors": (NotDifferentiableError, lambda: px.jvp(pnp.linalg.eig, (E,), (E,))),
    "qr has no derivative with full": (
        NotDifferentiableError, lambda: px.jvp(lax.linalg.qr, (pnp.ones((3, 2)),), (pnp.ones((3, 2)),))
    ),
    "svd has no derivative with full": (
        NotDifferentiableError, lambda: px.jvp(lax.linalg.svd, (pnp.ones((3, 2)),), (pnp.ones((3, 2)),))
    ),
    "with a second matrix b": (GapError, lambda: sp.eigh(E, E)),
    "select eigenvalues by value": (GapError, lambda: sp.eigh_tridiagonal(E[0], E[0, :1], select="v")),
    "eigh_tridiagonal knows no selection": (ArgumentError, lambda: sp.eigh_tridiagonal(E[0], E[0, :1], select="x")),
    "eigh_tridiagonal needs a diagonal": (ShapeError, lambda: sp.eigh_tridiagonal(E[0], E[0])),
    "sqrtm works without blocks": (GapError, lambda: sp.sqrtm(E, 2)),
    "funm takes one square matrix": (ShapeError, lambda: sp.funm(np.stack([E, E]), pnp.sin)),
    "polar takes one matrix": (ShapeError, lambda: sp.polar(np.stack([E, E]))),
    "polar knows no side": (ArgumentError, lambda: sp.polar(E, "x")),
    "polar knows no method": (ArgumentError, lambda: sp.polar(E, method="x")),
    "polar by qdwh": (GapError, lambda: sp.polar(pnp.ones((2, 3)))),
    "schur knows no output": (ArgumentError, lambda: sp.schur(E, "x")),
    "T and Z of one size": (ShapeError, lambda: sp.rsf2csf(E, np.eye(3))),
    "does not know the mode 'raw'": (ArgumentError, lambda: sp.qr(E, mode="raw")),
    "qr_multiply does not know the mode": (ArgumentError, lambda: sp.qr_multiply(E, E, mode="x")),
    "qr_multiply needs a c": (ShapeError, lambda: sp.qr_multiply(E, np.eye(3))),
    "solve knows no assumption": (ArgumentError, lambda: sp.solve(E, E, assume_a="x")),
    "solve_triangular was given trans": (ArgumentError, lambda: sp.solve_triangular(E, E, trans="x")),
    "lu_solve was given trans": (ArgumentError, lambda: sp.lu_solve(sp.lu_factor(E), E, trans=3)),
    "solve_sylvester knows no method": (ArgumentError, lambda: sp.solve_sylvester(E, E, E, method="x")),
    "solve_sylvester cannot add": (ShapeError, lambda: sp.solve_sylvester(E, E, np.eye(3))),
    "expm_frechet needs a direction": (ShapeError, lambda: sp.expm_frechet(E, np.eye(3))),
    "no such Hadamard matrix": (ArgumentError, lambda: sp.hadamard(3)),
    "helmert was given the size 0": (ArgumentError, lambda: sp.helmert(0)),
    "dft knows no scale": (ArgumentError, lambda: sp.dft(2, "x")),
    "pascal knows no kind": (ArgumentError, lambda: sp.pascal(2, "x")),
    "convolution_matrix knows no mode": (ArgumentError, lambda: sp.convolution_matrix(pnp.ones(2), 2, "x")),
    "convolution_matrix was given an empty": (ArgumentError, lambda: sp.convolution_matrix(pnp.ones(0), 2)),
    "companion needs two coefficients": (ShapeError, lambda: sp.companion(pnp.ones(1))),
    "fiedler_companion needs coefficients": (ShapeError, lambda: sp.fiedler_companion(pnp.ones(0))),
    "leslie needs one birth rate more": (ShapeError, lambda: sp.leslie(pnp.ones(3), pnp.ones(3))),
    "block_diag takes arrays of at most": (ShapeError, lambda: sp.block_diag(pnp.ones((2, 2, 2)))),
}  # fmt: skip


@pytest.mark.parametrize("words", WORDS)
def test_a_wrong_request_is_refused_in_words(words):
    error, f = WORDS[words]
    with pytest.raises(error) as caught:
        f()
    assert words in str(caught.value), f"it says: {caught.value}"
    assert caught.value.fix
