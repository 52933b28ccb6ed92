"""`lax.linalg` beside JAX: values, dtypes, structure, derivatives both ways, batches, singular and empty matrices."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import portax

pytestmark = pytest.mark.peer


def hermitian(x: np.ndarray) -> np.ndarray:
    return (x + np.conj(np.swapaxes(x, -1, -2))) / 2


def positive(x: np.ndarray) -> np.ndarray:
    n = x.shape[-1]
    return (x @ np.conj(np.swapaxes(x, -1, -2)) + n * np.eye(n)).astype(x.dtype)


def far(x: np.ndarray) -> np.ndarray:
    """Eigenvalues or singular values far apart."""
    return (x + np.eye(*x.shape[-2:]) * (4.0 * np.arange(1, x.shape[-1] + 1))).astype(x.dtype)


#: name: (function of both libraries, arrays from make(*shape), whether it has derivatives)
CASES: dict[str, Any] = {
    "cholesky": (lambda m, a: m.lax.cholesky(a), lambda make: [positive(make(4, 4))], True),
    "cholesky of an unsymmetric matrix": (
        lambda m, a: m.lax.cholesky(a),
        lambda make: [positive(make(3, 3)) + 0.1 * make(3, 3)],
        True,
    ),
    "cholesky of one triangle": (
        lambda m, a: m.lax.cholesky(a, symmetrize_input=False),
        lambda make: [positive(make(4, 4)) + np.triu(make(4, 4), 1)],
        False,
    ),
    "cholesky of a stack": (lambda m, a: m.lax.cholesky(a), lambda make: [positive(make(2, 3, 3))], True),
    "cholesky of no matrix": (lambda m, a: m.lax.cholesky(a), lambda make: [make(2, 0, 0)], False),
    "cholesky that fails": (
        lambda m, a: m.lax.cholesky(a),
        lambda make: [np.stack([-np.eye(2), np.eye(2)]).astype(make(1).dtype)],
        False,
    ),
    "cholesky of nan": (lambda m, a: m.lax.cholesky(a), lambda make: [np.full((2, 2), np.nan, make(1).dtype)], False),
    "lu": (lambda m, a: m.lax.lu(a), lambda make: [make(4, 4)], True),
    "lu tall": (lambda m, a: m.lax.lu(a), lambda make: [make(5, 3)], True),
    "lu wide": (lambda m, a: m.lax.lu(a), lambda make: [make(3, 5)], True),
    "lu of a stack": (lambda m, a: m.lax.lu(a), lambda make: [make(2, 3, 3)], True),
    "lu of zeros": (lambda m, a: m.lax.lu(a), lambda make: [make(3, 3) * 0], False),
    "lu of a singular matrix": (
        lambda m, a: m.lax.lu(a),
        lambda make: [np.array([[1, 2], [2, 4]]).astype(make(1).dtype)],
        False,
    ),
    "lu empty": (lambda m, a: m.lax.lu(a), lambda make: [make(0, 3)], False),
    "qr": (lambda m, a: m.lax.qr(a), lambda make: [make(4, 4)], True),
    "qr reduced": (lambda m, a: m.lax.qr(a, full_matrices=False), lambda make: [make(5, 3)], True),
    "qr full": (lambda m, a: m.lax.qr(a), lambda make: [make(5, 3)], False),
    "qr wide": (lambda m, a: m.lax.qr(a, full_matrices=False), lambda make: [make(3, 5)], True),
    "qr of a stack": (lambda m, a: m.lax.qr(a, full_matrices=False), lambda make: [make(2, 4, 2)], True),
    "qr pivoting": (lambda m, a: m.lax.qr(a, pivoting=True, full_matrices=False), lambda make: [make(5, 3)], True),
    "qr pivoting wide": (lambda m, a: m.lax.qr(a, pivoting=True), lambda make: [make(2, 3, 4)], False),
    "qr empty": (lambda m, a: m.lax.qr(a), lambda make: [make(2, 0)], False),
    "householder_product": (lambda m, a, t: m.lax.householder_product(a, t), lambda make: [make(4, 3), make(3)], False),
    "householder_product of few": (
        lambda m, a, t: m.lax.householder_product(a, t),
        lambda make: [make(4, 3), make(2)],
        False,
    ),
    "ormqr": (lambda m, a, t, c: m.lax.ormqr(a, t, c), lambda make: [make(4, 3), make(3), make(4, 2)], False),
    "ormqr right adjoint": (
        lambda m, a, t, c: m.lax.ormqr(a, t, c, left=False, transpose=True),
        lambda make: [make(2, 4, 3), make(2, 3), make(2, 5, 4)],
        False,
    ),
    "eigh": (lambda m, a: m.lax.eigh(a), lambda make: [far(hermitian(make(4, 4)))], False),
    "eigh, its derivative": (
        lambda m, a: (abs(m.lax.eigh(a)[0]) ** 2, m.lax.eigh(a)[1]),
        lambda make: [far(hermitian(make(4, 4)))],
        True,
    ),
    "eigh of a stack": (lambda m, a: m.lax.eigh(a)[1], lambda make: [far(hermitian(make(2, 3, 3)))], True),
    "eigh of one triangle": (
        lambda m, a: m.lax.eigh(a, lower=False, symmetrize_input=False)[1],
        lambda make: [far(make(3, 3))],
        False,
    ),
    "eigh empty": (lambda m, a: m.lax.eigh(a), lambda make: [make(0, 0)], False),
    "eigh of nan": (lambda m, a: m.lax.eigh(a), lambda make: [np.full((2, 2), np.nan, make(1).dtype)], False),
    "svd": (lambda m, a: m.lax.svd(a), lambda make: [far(make(4, 4))], False),
    "svd full": (lambda m, a: m.lax.svd(a), lambda make: [far(make(4, 3))], False),
    "svd, its derivative": (
        lambda m, a: (lambda u, s, v: (abs(u) ** 2, s, abs(v) ** 2))(*m.lax.svd(a, full_matrices=False)),
        lambda make: [far(make(5, 3))],
        True,
    ),
    "svd wide": (
        lambda m, a: (lambda u, s, v: ((u * s[..., None, :]) @ v, s))(*m.lax.svd(a, full_matrices=False)),
        lambda make: [far(make(2, 3, 4))],
        True,
    ),
    "svd by QR": (lambda m, a: m.lax.svd(a, algorithm=m.lax.SvdAlgorithm.QR), lambda make: [far(make(3, 3))], False),
    "singular values": (lambda m, a: m.lax.svd(a, compute_uv=False), lambda make: [make(4, 3)], True),
    "svd empty": (lambda m, a: m.lax.svd(a), lambda make: [make(2, 0)], False),
    "svd of nan": (lambda m, a: m.lax.svd(a), lambda make: [np.full((2, 3), np.nan, make(1).dtype)], False),
    "eig right": (  # each vector is right up to its sign
        lambda m, a: (lambda w, r: (w, r[:, None] * r.conj()))(*m.lax.eig(a, compute_left_eigenvectors=False)),
        lambda make: [make(4, 4)],
        False,
    ),
    "eig left": (
        lambda m, a: (lambda w, l, r: (w, abs(l), abs(r)))(*m.lax.eig(a)),
        lambda make: [make(4, 4)],
        False,
    ),
    "eigenvalues": (
        lambda m, a: m.lax.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False),
        lambda make: [make(2, 3, 3)],
        True,
    ),
    "eig, its derivative": (
        lambda m, a: (lambda w, l, r: (w, abs(l), abs(r)))(*m.lax.eig(a, enable_eigvec_derivs=True)),
        lambda make: [far(make(4, 4))],
        True,
    ),
    "eig empty": (lambda m, a: m.lax.eig(a), lambda make: [make(0, 0)], False),
    "eig of nan": (lambda m, a: m.lax.eig(a), lambda make: [np.full((2, 2), np.nan, make(1).dtype)], False),
    "schur": (
        lambda m, a: (lambda t, z: (m.np.tril(t, -2), z @ t @ z.conj().T, abs(m.np.sort(m.np.diag(t).real))))(
            *m.lax.schur(a)
        ),
        lambda make: [make(4, 4)],
        False,
    ),
    "schur, the form alone": (
        lambda m, a: [x.shape for x in m.lax.schur(a, compute_schur_vectors=False)],
        lambda make: [make(2, 3, 3)],
        False,
    ),
    "hessenberg": (lambda m, a: m.lax.hessenberg(a), lambda make: [make(5, 5)], False),
    "hessenberg of a stack": (lambda m, a: m.lax.hessenberg(a), lambda make: [make(2, 3, 3)], False),
    "tridiagonal": (lambda m, a: m.lax.tridiagonal(a), lambda make: [hermitian(make(5, 5))], False),
    "tridiagonal upper": (
        lambda m, a: m.lax.tridiagonal(a, lower=False),
        lambda make: [hermitian(make(2, 4, 4))],
        False,
    ),
    "tridiagonal_solve": (
        lambda m, l, d, u, b: m.lax.tridiagonal_solve(l, d, u, b),
        lambda make: [make(5), make(5) + 4, make(5), make(5, 2)],
        True,
    ),
    "tridiagonal_solve with exchanges": (
        lambda m, l, d, u, b: m.lax.tridiagonal_solve(l, d, u, b),
        lambda make: [make(2, 5), make(2, 5) / 4, make(2, 5), make(2, 5, 1)],
        True,
    ),
    "tridiagonal_solve singular": (
        lambda m, l, d, u, b: m.lax.tridiagonal_solve(l, d, u, b),
        lambda make: [make(3), make(3) * 0, make(3), make(3, 1)],
        False,
    ),
    "qdwh": (lambda m, a: (lambda u, h, k, c: (u, h, c))(*m.lax.qdwh(a)), lambda make: [make(5, 3)], False),
}
for left in (True, False):
    for lower in (True, False):
        for how in ("plain", "transposed", "conjugated", "adjoint", "unit"):
            flags = {
                "left_side": left, "lower": lower, "transpose_a": how in ("transposed", "adjoint"),
                "conjugate_a": how in ("conjugated", "adjoint"), "unit_diagonal": how == "unit",
            }  # fmt: skip
            name = f"triangular_solve {'left' if left else 'right'} {'lower' if lower else 'upper'} {how}"
            CASES[name] = (
                lambda m, a, b, flags=flags: m.lax.triangular_solve(a, b, **flags),
                lambda make, left=left: [
                    make(3, 3) / 3 + 2 * np.eye(3, dtype=make(1).dtype),
                    make(3, 2) if left else make(2, 3),
                ],
                True,
            )
CASES["triangular_solve of a vector"] = (
    lambda m, a, b: m.lax.triangular_solve(a, b, left_side=True),
    lambda make: [make(3, 3) + 3 * np.eye(3, dtype=make(1).dtype), make(3)],
    True,
)
CASES["triangular_solve of a stack"] = (
    lambda m, a, b: m.lax.triangular_solve(a, b, left_side=True),
    lambda make: [make(2, 3, 3) + 3 * np.eye(3, dtype=make(1).dtype), make(2, 3, 2)],
    True,
)
CASES["triangular_solve singular"] = (
    lambda m, a, b: m.lax.triangular_solve(a, b, left_side=True),
    lambda make: [np.zeros((2, 2), make(1).dtype), np.ones((2, 1), make(1).dtype)],
    False,
)

REAL: dict[str, Any] = {
    "cholesky_update": (
        lambda m, r, w: m.lax.cholesky_update(r, w),
        lambda make: [np.triu(positive(make(4, 4))), make(4)],
        False,
    ),
    "cholesky_update of negative diagonals": (
        lambda m, r, w: m.lax.cholesky_update(r, w),
        lambda make: [np.triu(make(3, 3)) - 3 * np.eye(3, dtype=make(1).dtype), make(3)],
        False,
    ),
    "symmetric_product": (
        lambda m, a, c: m.lax.symmetric_product(a, c, alpha=0.5, beta=2.0, symmetrize_output=True),
        lambda make: [make(3, 4), hermitian(make(3, 3))],
        False,
    ),
}

DTYPES = ("float32", "complex128")
#: Those tried at one dtype: there are many of them.
MANY = "triangular_solve "


def parameters(cases: dict[str, Any], dtypes: tuple[str, ...], derivatives: bool = False) -> list[Any]:
    """Each case at each dtype, each with its own id."""
    return [
        pytest.param(name, dtype, id=f"{name}-{dtype}")
        for name, (_, _, differentiable) in cases.items() for dtype in dtypes
        if (differentiable or not derivatives) and (dtype == dtypes[-1] or not name.startswith(MANY))
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "dtype"), parameters(CASES, DTYPES) + parameters(REAL, ("float32", "float64")))
def test_values_are_those_of_jax(beside: Any, name: str, dtype: str) -> None:
    f, arrays, _ = (CASES | REAL)[name]
    with jax.enable_x64(True), portax.enable_x64(True):
        beside.agree(f, arrays(beside.draw(name, dtype)), beside.TOLERANCE[dtype])


@pytest.mark.parametrize(("name", "dtype"), parameters(CASES, ("float64", "complex128"), derivatives=True))
def test_derivatives_are_those_of_jax(beside: Any, name: str, dtype: str) -> None:
    f, arrays, _ = CASES[name]
    with jax.enable_x64(True), portax.enable_x64(True):
        beside.derivatives_agree(f, arrays(beside.draw(name, dtype)), 1e-10, name)


@pytest.mark.parametrize("name", [n for n, (_, _, d) in CASES.items() if d and not n.startswith(MANY)])
def test_a_mapped_function_is_that_of_jax(beside: Any, name: str) -> None:
    f, arrays, _ = CASES[name]
    make = beside.draw(name + "/mapped", "float64")
    with jax.enable_x64(True), portax.enable_x64(True):
        rows = [np.stack(x, axis=-1) for x in zip(*(arrays(make) for _ in range(2)), strict=True)]
        ours = portax.vmap(lambda *xs: f(beside.OURS, *xs), in_axes=-1)(*rows)
        theirs = jax.vmap(lambda *xs: f(beside.THEIRS, *xs), in_axes=-1)(*rows)
        beside.same(ours, theirs, 1e-11, "mapped")


REFUSED = {
    "not square": lambda m: m.lax.cholesky(m.np.ones((2, 3))),
    "eigh not square": lambda m: m.lax.eigh(m.np.ones((2, 3))),
    "a vector": lambda m: m.lax.qr(m.np.ones(3)),
    "integers": lambda m: m.lax.qr(m.np.ones((3, 3), int)),
    "integers in lu": lambda m: m.lax.lu(m.np.ones((3, 3), int)),
    "integers in svd": lambda m: m.lax.svd(m.np.ones((3, 3), int)),
    "half": lambda m: m.lax.qr(m.np.ones((3, 3), m.np.float16)),
    "bfloat16": lambda m: m.lax.cholesky(m.np.ones((3, 3), m.np.bfloat16)),
    "shapes that do not fit": lambda m: m.lax.triangular_solve(m.np.ones((3, 3)), m.np.ones((2, 2)), left_side=True),
    "dtypes that differ": lambda m: m.lax.triangular_solve(m.np.ones((3, 3)), m.np.ones((3, 2), int), left_side=True),
    "a wide product": lambda m: m.lax.householder_product(m.np.ones((2, 3)), m.np.ones(2)),
    "ordered schur": lambda m: m.lax.schur(m.np.ones((3, 3)), sort_eig_vals=True),
    "complex update": lambda m: m.lax.cholesky_update(m.np.ones((2, 2), complex), m.np.ones(2, complex)),
    "derivative of eigenvectors": lambda m: m.lib.jvp(m.lax.eig, (m.np.eye(3),), (m.np.eye(3),)),
    "derivative of schur": lambda m: m.lib.jvp(m.lax.schur, (m.np.eye(3),), (m.np.eye(3),)),
    "derivative of full svd": lambda m: m.lib.jvp(m.lax.svd, (m.np.ones((3, 2)),), (m.np.ones((3, 2)),)),
    "eigenvalues by another way": lambda m: m.lax.eigh(m.np.eye(3), implementation=m.lax.EighImplementation.QDWH),
    "singular values by another way": lambda m: m.lax.svd(m.np.eye(3), algorithm=m.lax.SvdAlgorithm.POLAR),
    "too few rows to order": lambda m: m.lax.lu_pivots_to_permutation(m.np.zeros(3, int), 2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_jax_refuses_is_refused(beside: Any, name: str) -> None:
    f = REFUSED[name]
    for lib in (beside.THEIRS, beside.OURS):
        found = beside.outcome(f, lib, [])
        assert isinstance(found, str), f"{lib.lib.__name__} does not refuse it, and gives {found}"


def test_names_and_permutations_are_those_of_jax(beside: Any) -> None:
    public = {n for n in dir(jax.lax.linalg) if not n.startswith("_")}
    assert public <= set(dir(portax.lax.linalg)), public - set(dir(portax.lax.linalg))
    pivots = np.array([[2, 2, 3], [0, 1, 2]], np.int32)
    beside.agree(lambda m, p: m.lax.lu_pivots_to_permutation(p, 4), [pivots], 0)
