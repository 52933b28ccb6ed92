"""Linear algebra of sparse matrices: a system solved, and the greatest eigenvalues of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import portax.numpy as pnp
from portax import lax
from portax.errors import ArgumentError, ShapeError
from portax.experimental.sparse.layouts import BCSR
from portax.experimental.sparse.rows import bcsr_todense

__all__ = ["lobpcg_standard", "spsolve"]


def spsolve(data: Any, indices: Any, indptr: Any, b: Any, tol: float = 1e-6, reorder: int = 1) -> Any:
    """The solution of ``A x = b`` for a square matrix by rows.

    Parameters
    ----------
    data, indices, indptr : Arrays
        Of a `BCSR` without a batch.
    b : Array of shape (n,)
    tol, reorder
        Accepted as in JAX, where they steer a factorisation on CUDA devices.

    Returns
    -------
    Array of shape (n,)

    Raises
    ------
    ShapeError
        ``b`` is no vector of as many numbers as there are rows.

    Notes
    -----
    The matrix is made dense and factored: it takes memory for n * n numbers. For greater ones there are the
    iterations of `portax.scipy.sparse.linalg`, which need products only.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCSR.fromdense(pnp.array([[2.0, 0.0], [1.0, 4.0]]))
    >>> print(sparse.linalg.spsolve(m.data, m.indices, m.indptr, pnp.array([2.0, 9.0])))
    [1. 2.]
    """
    del tol, reorder
    b, indptr = pnp.asarray(b), pnp.asarray(indptr)
    if b.ndim != 1 or indptr.shape != (b.shape[0] + 1,):
        raise ShapeError(
            wrong=f"spsolve was given b of shape {b.shape} and row pointers of shape {indptr.shape}",
            fix="Give a vector of n numbers and a matrix of n rows, with n + 1 pointers",
        )
    return pnp.linalg.solve(bcsr_todense(BCSR((data, indices, indptr), shape=(b.shape[0],) * 2)), b)


def lobpcg_standard(
    A: Any | Callable[[Any], Any], X: Any, m: int = 100, tol: Any = None
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The greatest eigenvalues of a symmetric matrix that is given by its products, and their vectors.

    Parameters
    ----------
    A : Array of shape (n, n), sparse array, or callable of an Array of shape (n, k)
    X : Array of shape (n, k)
        Where the search begins: k independent vectors, with ``5 k < n``.
    m : int
        Steps at most.
    tol : float, optional
        What a residual may be, relative to the greatest eigenvalue and to ``10 n``. Default: the dtype's precision.

    Returns
    -------
    theta : Array of shape (k,)
        Greatest first.
    U : Array of shape (n, k)
        Orthonormal.
    i : int32 Array
        The steps taken.

    Raises
    ------
    ShapeError
        ``X`` is no matrix.
    ArgumentError
        There are too many vectors.

    References
    ----------
    Knyazev, Toward the Optimal Preconditioned Eigensolver: Locally Optimal Block Preconditioned Conjugate Gradient
    Method, SIAM Journal on Scientific Computing 23(2), 2001.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental.sparse.linalg import lobpcg_standard
    >>> theta, _, _ = lobpcg_standard(pnp.diag(pnp.arange(20.0)), pnp.eye(20, 2) + 0.1)
    >>> print(theta.round(3))
    [19. 18.]
    """
    X = pnp.asarray(X)
    if X.ndim != 2:
        raise ShapeError(wrong=f"lobpcg_standard was given vectors of shape {X.shape}", fix="Give a matrix (n, k)")
    n, k = X.shape
    if not 0 < 5 * k < n:
        raise ArgumentError(
            wrong=f"lobpcg_standard was given {k} vectors of length {n}, and needs 0 < 5 k < n",
            fix="Give fewer vectors, or use portax.numpy.linalg.eigh",
        )
    tol = pnp.finfo(X.dtype).eps if tol is None else tol
    product: Callable[[Any], Any] = A if callable(A) else lambda x: A @ x

    def best(basis: Any) -> tuple[Any, Any]:
        """The greatest eigenvalues within a space, and their vectors in its basis."""
        h = basis.T @ product(basis)
        values, vectors = pnp.linalg.eigh((h + h.T) / 2)
        return values[::-1][:k], vectors[:, ::-1][:, :k]

    def residual(x: Any, theta: Any) -> Any:
        return product(x) - x * theta

    def going(carry: Any) -> Any:
        _, _, theta, r, i = carry
        wrong = pnp.linalg.norm(r, axis=0) > 10 * n * tol * abs(theta).max()
        return (i < m) & wrong.any()

    def step(carry: Any) -> Any:
        x, p, theta, r, i = carry
        # Householder's QR gives an orthonormal basis also where the vectors depend on each other; the first k of it
        # span what x spans, so what they leave of the new vectors is the direction of the step.
        basis, _ = pnp.linalg.qr(pnp.concatenate([x, r / _length(r), p / _length(p)], 1))
        theta, v = best(basis)
        x, p = basis @ v, basis[:, k:] @ v[k:]
        x, _ = pnp.linalg.qr(x)
        return x, p, theta, residual(x, theta), i + 1

    x, _ = pnp.linalg.qr(X)
    theta, v = best(x)
    x = x @ v
    start = (x, pnp.zeros_like(x), theta, residual(x, theta), pnp.zeros((), pnp.int32))
    x, _, theta, _, i = lax.while_loop(going, step, start)
    return theta, x, i


def _length(x: Any) -> Any:
    size = pnp.linalg.norm(x, axis=0)
    return pnp.where(size > 0, size, pnp.ones_like(size))
