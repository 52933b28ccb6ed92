"""`scipy.linalg` beside jax.scipy's: values, dtypes, structure, derivatives, batches, refusals."""

from __future__ import annotations

from typing import Any

import jax
import jax.scipy.linalg
import numpy as np
import pytest

import portax
import portax.scipy.linalg

pytestmark = pytest.mark.peer

#: `a` is square, `s` positive definite, `h` Hermitian with eigenvalues far apart, `t` tall, `b` a stack, `c` another
#: square matrix, `v` a vector, `l` a triangle far from singular.
CASES = [
    "m.sp.cholesky((s + s.conj().T) / 2, lower=True)",
    "m.sp.cho_solve(m.sp.cho_factor((s + s.conj().T) / 2), v)",
    "m.sp.cho_solve((l, True), a)",
    "m.sp.cho_solve((l.conj().T, False), v)",
    "m.sp.det(a)",
    "m.sp.inv(a)",
    "m.sp.solve(a, v)",
    "m.sp.solve(a, a)",
    # Of complex matrices JAX's cotangents are not the adjoint of its derivative, see below.
    "m.sp.solve((s.real + s.real.T) / 2, v.real, assume_a='pos')",
    "m.sp.solve((s.real + s.real.T) / 2, a.real, assume_a='pos', lower=True)",
    "m.sp.solve(s, v, assume_a='sym')",
    "m.sp.solve_triangular(l, v, lower=True)",
    "m.sp.solve_triangular(l, a, trans='T', lower=True)",
    "m.sp.solve_triangular(l.T, a, trans=2)",
    "m.sp.solve_triangular(l.T, a, unit_diagonal=True)",
    "m.sp.lu_solve(m.sp.lu_factor(a), v)",
    "m.sp.lu_solve(m.sp.lu_factor(a), c, trans=1)",
    "m.sp.lu_solve(m.sp.lu_factor(a), v, trans=2)",
    "m.sp.lu(a)",
    "m.sp.lu(t)",
    "m.sp.lu(t.T, permute_l=True)",
    "m.sp.qr(a)",
    "m.sp.qr(t, mode='economic')",
    "m.sp.svd(t, compute_uv=False)",
    "m.sp.eigh(h, eigvals_only=True)",
    "m.sp.expm(a)",
    "m.sp.expm(0.01 * a)",
    "m.sp.expm(8 * a / abs(a).max())",
    "m.sp.expm(l.T, upper_triangular=True)",
    "m.sp.expm_frechet(a, c)",
    "m.sp.polar(t, method='svd')",
    "m.sp.polar(t.T, side='left', method='svd')",
    "m.sp.toeplitz(v)",
    "m.sp.toeplitz(v, a[0])",
    "m.sp.toeplitz(a[:2], v)",
    "m.sp.hankel(v, a[0])",
    "m.sp.hankel(v)",
    "m.sp.circulant(a)",
    "m.sp.companion(a)",
    "m.sp.fiedler_companion(v)",
    "m.sp.fiedler_companion(m.np.concatenate([v, v]))",
    "m.sp.fiedler(v)",
    "m.sp.leslie(v, v[1:])",
    "m.sp.convolution_matrix(v, 3)",
    "m.sp.convolution_matrix(v, 6, 'same')",
    "m.sp.convolution_matrix(a, 6, 'valid')",
    "m.sp.block_diag(a, v, t, 2.0)",
]

PLAIN = [
    "m.sp.cholesky(s)",
    "m.sp.cho_factor(s, lower=True)",
    "m.sp.lu_factor(t)",
    "m.sp.qr(t)",
    "m.sp.qr(t, mode='r')",
    "m.sp.qr(t, pivoting=True)",
    "m.sp.qr(a, mode='economic', pivoting=True)",
    "m.sp.svd(h)[1]",
    "m.sp.eigh(a + a.conj().T)[0]",
    "m.sp.eigh(a)[0]",
    "m.sp.eigh_tridiagonal(v.real, a[0, :3].real, eigvals_only=True)",
    "m.sp.eigh_tridiagonal(v.real, a[0, :3].real, eigvals_only=True, select='i', select_range=(1, 2))",
    "abs(m.sp.eigh_tridiagonal(v.real, a[0, :3].real)[1])",
    "m.sp.hessenberg(a)",
    "m.sp.hessenberg(a, calc_q=True)",
    "(lambda t, z: (z @ t @ z.conj().T, m.np.tril(t, -2)))(*m.sp.schur(a))",
    "(lambda t, z: (z @ t @ z.conj().T, m.np.tril(t, -1)))(*m.sp.schur(a, 'complex'))",
    "m.sp.polar(t)",
    "m.sp.polar(a)",
    "m.sp.polar(t.T, side='left')",
    "m.sp.sqrtm(s)",
    "(lambda r: r @ r)(m.sp.sqrtm(a))",  # of an eigenvalue on the cut, either root is right
    "m.sp.funm(h, m.np.sin)",
    "m.sp.funm(h, lambda x: m.np.exp(x / 10), disp=False)[0]",
    "m.sp.solve_sylvester(a, s, c)",
    "m.sp.solve_sylvester(a, l, c, method='eigen')",
    "m.sp.solve_sylvester(m.np.diag(v), -m.np.diag(v), c)",
    "m.sp.qr_multiply(a, c)",
    "m.sp.qr_multiply(t, v)",
    "m.sp.qr_multiply(t, a, conjugate=True)",
    "m.sp.qr_multiply(t, a[:3], mode='left')",
    "m.sp.qr_multiply(t, v[:3], mode='left')",
    "m.sp.qr_multiply(t, a, pivoting=True)",
    "m.sp.expm(100 * a)",
    "m.sp.expm(100 * a, max_squarings=3)",
    "m.sp.expm(0 * a)",
    "m.sp.expm(m.np.array([[1, 2], [3, 4]]))",
    "m.sp.expm(a[:0, :0])",
    "m.sp.sqrtm(0 * a)",
    "m.sp.dft(5)",
    "m.sp.dft(4, 'sqrtn')",
    "m.sp.dft(4, 'n')",
    "m.sp.dft(0)",
    "m.sp.hadamard(8)",
    "m.sp.hadamard(2, complex)",
    "m.sp.helmert(4)",
    "m.sp.helmert(4, full=True)",
    "m.sp.hilbert(5)",
    "m.sp.hilbert(0)",
    "m.sp.invhilbert(5)",
    "m.np.round(m.sp.pascal(6)).astype('f')",  # in JAX always float32, which holds whole numbers to 2^24
    "m.np.round(m.sp.pascal(5, 'lower')).astype('f')",
    "m.np.round(m.sp.pascal(5, 'upper')).astype('f')",
    "m.sp.invpascal(5)",
    "m.sp.invpascal(5, 'lower')",
    "m.sp.invpascal(5, 'upper')",
    # Integers and scalars.
    "m.sp.toeplitz(m.np.arange(3), m.np.arange(4.0))",
    "m.sp.toeplitz(3.0)",
    "m.sp.circulant(m.np.arange(3))",
    "m.sp.companion(m.np.arange(1, 4))",
    "m.sp.fiedler(m.np.arange(3))",
    "m.sp.fiedler_companion(m.np.arange(1, 7))",
    "m.sp.fiedler_companion(m.np.ones(1))",
    "m.sp.fiedler_companion(m.np.ones(2))",
    "m.sp.leslie(m.np.arange(3), m.np.ones(2))",
    "m.sp.leslie(m.np.arange(3), m.np.ones(2, int))",
    "m.sp.convolution_matrix(m.np.arange(3), 2)",
    "m.sp.hankel(m.np.arange(3), m.np.arange(4.0))",
    "m.sp.block_diag()",
    "m.sp.block_diag(m.np.ones((2, 2), int), 1)",
    "m.sp.block_diag(m.np.ones((2, 0)), m.np.ones(2))",
    "m.sp.det(m.np.array([[2, 1], [1, 1]]))",
    "m.sp.lu(m.np.array([[2, 1], [1, 1]]))",
    "m.sp.solve(m.np.array([[2, 1], [1, 1]]), m.np.array([1, 2]))",
]

REFUSED = [
    "m.sp.eigh(m.np.eye(2), m.np.eye(2))",
    "m.sp.eigh(m.np.eye(2), eigvals=(0, 1))",
    "m.sp.eigh(m.np.eye(2), type=2)",
    "m.sp.qr(m.np.eye(2), mode='x')",
    "m.sp.qr(m.np.eye(2), mode='raw')",
    "m.sp.schur(m.np.eye(2), 'x')",
    "m.sp.polar(m.np.eye(2), side='x')",
    "m.sp.polar(m.np.eye(2), method='x')",
    "m.sp.polar(m.np.eye(2), side='left')",
    "m.sp.polar(m.np.ones((2, 3)))",
    "m.sp.sqrtm(m.np.eye(2), 2)",
    "m.sp.solve(m.np.eye(2), m.np.ones(2), assume_a='x')",
    "m.sp.solve(m.np.eye(2), m.np.ones(3))",
    "m.sp.solve_triangular(m.np.eye(2), m.np.ones(2), trans='x')",
    "m.sp.lu_solve(m.sp.lu_factor(m.np.eye(2)), m.np.ones(2), trans=3)",
    "m.sp.solve_sylvester(m.np.eye(2), m.np.eye(2), m.np.eye(2), method='x')",
    "m.sp.solve_sylvester(m.np.eye(2), m.np.eye(2), m.np.eye(3))",
    "m.sp.eigh_tridiagonal(m.np.ones(3), m.np.ones(2), eigvals_only=True, select='v', select_range=(0, 1))",
    "m.sp.eigh_tridiagonal(m.np.ones(3), m.np.ones(2), eigvals_only=True, select='x')",
    "m.sp.expm(m.np.ones((2, 3)))",
    "m.sp.funm(m.np.ones((2, 3)), m.np.sin)",
    "m.sp.hadamard(3)",
    "m.sp.helmert(0)",
    "m.sp.dft(2, 'x')",
    "m.sp.pascal(2, 'x')",
    "m.sp.invpascal(2, 'x')",
    "m.sp.convolution_matrix(m.np.ones(2), 0)",
    "m.sp.convolution_matrix(m.np.ones(2), 2, 'x')",
    "m.sp.companion(m.np.ones(1))",
    "m.sp.fiedler_companion(m.np.ones(0))",
    "m.sp.leslie(m.np.ones(3), m.np.ones(3))",
    "m.sp.block_diag(m.np.ones((2, 2, 2)))",
    "m.sp.cholesky(m.np.ones((2, 3)))",
    "m.sp.qr_multiply(m.np.eye(2), m.np.eye(3))",
    "m.sp.qr_multiply(m.np.eye(2), m.np.eye(2), mode='x')",
]


def arrays(make: Any) -> dict[str, np.ndarray]:
    a = make(4, 4)
    return {
        "a": a,
        "s": (a @ a.conj().T + 4 * np.eye(4)).astype(a.dtype),
        "h": (a + a.conj().T + np.diag([1, 5, 9, 14])).astype(a.dtype),
        "t": make(4, 3),
        "b": make(2, 3, 3),
        "c": make(4, 4),
        "v": make(4),
        "l": (np.tril(make(4, 4)) / 2 + 2 * np.eye(4)).astype(a.dtype),
    }


def read(expression: str, given: dict[str, np.ndarray]) -> tuple[Any, list[np.ndarray]]:
    """The function of both libraries that an expression is, and the arrays it takes."""
    code = compile(expression, expression, "eval")
    names = [n for n in given if n in code.co_names]

    def f(m: Any, *xs: Any) -> Any:
        return eval(code, {"m": m, "abs": abs, **dict(zip(names, xs, strict=True))})

    return f, [given[n] for n in names]


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("expression", [*CASES, *PLAIN])
def test_values_are_those_of_jax(beside: Any, expression: str, dtype: str) -> None:
    with jax.enable_x64(True), portax.enable_x64(True):
        f, given = read(expression, arrays(beside.draw("scipy", dtype)))
        beside.agree(f, given, 30 * beside.TOLERANCE[dtype], compiled="cho_factor(s" not in expression)


@pytest.mark.parametrize("expression", CASES)
def test_derivatives_are_those_of_jax(beside: Any, expression: str) -> None:
    for dtype in ("float64", "complex128"):
        with jax.enable_x64(True), portax.enable_x64(True):
            f, given = read(expression, arrays(beside.draw("scipy", dtype)))
            beside.derivatives_agree(f, given, 1e-9, expression)


@pytest.mark.parametrize("expression", [e for e in PLAIN if "np.a" in e or "(0)" in e or "(5" in e or "(4" in e])
def test_without_64_bits_results_are_those_of_jax(beside: Any, expression: str) -> None:
    f, given = read(expression, arrays(beside.draw("scipy", "float32")))
    beside.agree(f, given, 1e-4, compiled=False)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_jax_refuses_is_refused(beside: Any, expression: str) -> None:
    f, _ = read(expression, {})
    for lib in (beside.THEIRS, beside.OURS):
        found = beside.outcome(f, lib, [])
        assert isinstance(found, str), f"{lib.lib.__name__} does not refuse it, and gives {found}"


def test_the_complex_form_of_a_real_schur_form_is_one(beside: Any) -> None:
    with portax.enable_x64(True):
        for seed in range(4):
            a = beside.draw(f"rsf2csf{seed}", "float64")(2, 5, 5)
            real = portax.scipy.linalg.schur(portax.numpy.asarray(a))
            t, z = (np.asarray(x) for x in portax.scipy.linalg.rsf2csf(*real))
            np.testing.assert_allclose(z @ t @ np.conj(np.swapaxes(z, -1, -2)), a, atol=1e-12)
            np.testing.assert_allclose(np.conj(np.swapaxes(z, -1, -2)) @ z, np.eye(5) + 0 * z, atol=1e-12)
            assert not np.tril(t, -1).any()


def test_one_triangle_that_is_read_is_what_has_a_derivative(beside: Any) -> None:
    """JAX's derivative of a factor of one triangle is that of a symmetric matrix, whatever is read."""
    with portax.enable_x64(True):
        s = beside.draw("triangle", "float64")(3, 3)
        s = s @ s.T + 3 * np.eye(3)
        f = lambda x: portax.scipy.linalg.cholesky(x, lower=True).sum()
        found = np.asarray(portax.grad(f)(portax.numpy.asarray(s)))
        assert not np.triu(found, 1).any()
        step = 1e-6 * np.eye(3)[1][:, None] * np.eye(3)[0]
        slope = (float(f(portax.numpy.asarray(s + step))) - float(f(portax.numpy.asarray(s - step)))) / 2e-6
        np.testing.assert_allclose(found[1, 0], slope, rtol=1e-6)


def test_cotangents_of_a_positive_definite_system_are_the_adjoint_of_its_derivative(beside: Any) -> None:
    """Of complex matrices JAX's are not: it takes the matrix for its own transpose."""
    make = beside.draw("positive", "complex128")
    s, v, t, c = make(3, 3), make(3), make(3, 3), make(3)
    s = s @ s.conj().T + 3 * np.eye(3)
    with jax.enable_x64(True), portax.enable_x64(True):
        for m, right in ((beside.OURS, True), (beside.THEIRS, False)):
            x, along, back = (m.np.asarray(y) for y in (s, t, c))

            def f(x: Any, m: Any = m) -> Any:
                return m.sp.solve((x + x.conj().T) / 2, m.np.asarray(v), assume_a="pos")

            _, moved = m.lib.jvp(f, (x,), (along,))
            [ct] = m.lib.vjp(f, x)[1](back)
            pairing = np.sum(np.asarray(moved) * c).real, np.sum(np.asarray(ct) * t).real
            assert np.isclose(*pairing, rtol=1e-10) == right, (m.lib.__name__, pairing)


def test_names_are_those_of_jax() -> None:
    public = {n for n in dir(jax.scipy.linalg) if not n.startswith("_")}
    assert public <= set(dir(portax.scipy.linalg)), public - set(dir(portax.scipy.linalg))
