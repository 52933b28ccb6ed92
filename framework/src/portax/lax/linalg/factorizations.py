"""Linear algebra on stacks of matrices, as `portax.lax` has it: no promotion, one function a factorisation.

A function checks and completes its arguments and binds one primitive. What is symmetric is made so first, unless the
caller says it is.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError
from portax.lax.operands import as_operand, operands
from portax.primitives.linalg.matrices import adjoint


class EigImplementation(enum.Enum):
    """Who computes eigenvalues of general matrices. Here it is LAPACK, or what a device has in its stead."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """How eigenvalues of Hermitian matrices are computed. QR is what LAPACK does."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """How singular values are computed. LAPACK knows two ways: QR, and DIVIDE_AND_CONQUER, which is the default."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


def _floating(x: Any, name: str) -> Any:
    """``x`` as an array; numbers that are not floating are made so."""
    x = as_operand(x, name)
    if dtypes.is_inexact(x.dtype):
        return x
    return p.convert_element_type(x, new_dtype=dtypes.to_inexact(x.dtype), weak_type=x.weak_type, sharding=None)


def symmetrize(x: Any) -> Any:
    """The Hermitian part of each matrix: the mean of it and its adjoint."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        return x  # the primitive says what is wrong
    two = p.broadcast_in_dim(np.asarray(2, x.dtype), shape=x.shape, broadcast_dimensions=())
    return p.div(p.add(x, adjoint(x)), two)


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular ``L`` with ``L L^H = x``.

    Parameters
    ----------
    x : Array of shape (..., n, n), positive definite
    symmetrize_input : bool
        Factorize the mean of ``x`` and its adjoint. Where False, only the lower triangle is read.

    Returns
    -------
    Array of the shape and dtype of ``x``; NaN, with zeros above the diagonal, where ``x`` is not positive definite

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.linalg.cholesky(pnp.array([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    x = _floating(x, "cholesky")
    return p.cholesky(symmetrize(x) if symmetrize_input else x)


def cholesky_update(r_matrix: Any, w_vector: Any) -> Array:
    """The upper triangular ``R'`` with ``R'^T R' = R^T R + w w^T``, in O(n^2) steps.

    Parameters
    ----------
    r_matrix : Array of shape (..., n, n), upper triangular, real
    w_vector : Array of shape (..., n), of the same dtype

    Returns
    -------
    Array of the shape and dtype of ``r_matrix``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.linalg.cholesky_update(pnp.array([[3.0]]), pnp.array([4.0])).tolist()
    [[5.0]]
    """
    return p.cholesky_update(*operands("cholesky_update", r_matrix, w_vector))


def symmetric_product(
    a_matrix: Any, c_matrix: Any, *, alpha: float = 1.0, beta: float = 0.0, symmetrize_output: bool = False
) -> Array:
    """``alpha A A^T + beta C``.

    Parameters
    ----------
    a_matrix : Array of shape (..., n, k)
    c_matrix : Array of shape (..., n, n), symmetric, of the same dtype
    alpha, beta : float
    symmetrize_output : bool
        Here the whole result is right in any case; it makes no difference.

    Returns
    -------
    Array of the shape and dtype of ``c_matrix``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.linalg.symmetric_product(pnp.ones((2, 3)), pnp.zeros((2, 2))).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    a, c = as_operand(a_matrix, "symmetric_product"), as_operand(c_matrix, "symmetric_product")
    return p.symmetric_product(a, c, alpha=float(alpha), beta=float(beta))


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """The ``x`` with ``op(a) x = b`` if ``left_side``, else with ``x op(a) = b``.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    b : Array of shape (..., n, k) if ``left_side``, else (..., k, n), of the same dtype
    lower : bool
        Which triangle of ``a`` is read.
    transpose_a, conjugate_a : bool
        What ``op`` does.
    unit_diagonal : bool
        The diagonal of ``a`` is not read; it counts as ones.

    Returns
    -------
    Array of the shape and dtype of ``b``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> a, b = pnp.array([[2.0, 0.0], [1.0, 4.0]]), pnp.array([[2.0], [5.0]])
    >>> lax.linalg.triangular_solve(a, b, left_side=True, lower=True).tolist()
    [[1.0], [1.0]]
    """
    a, b = as_operand(a, "triangular_solve"), as_operand(b, "triangular_solve")
    vector = b.ndim == a.ndim - 1 and b.ndim > 0
    if vector:  # a right side of one column is taken as a vector
        b = p.reshape(b, new_sizes=(*b.shape, 1) if left_side else (*b.shape[:-1], 1, b.shape[-1]), dimensions=None)
    out = p.triangular_solve(
        a, b, left_side=bool(left_side), lower=bool(lower), transpose_a=bool(transpose_a),
        conjugate_a=bool(conjugate_a), unit_diagonal=bool(unit_diagonal),
    )  # fmt: skip
    return p.squeeze(out, dimensions=(out.ndim - 1 if left_side else out.ndim - 2,)) if vector else out


def lu(x: Any) -> list[Array]:
    """``x[permutation] = L U``, by elimination with row exchanges.

    Parameters
    ----------
    x : Array of shape (..., m, n), floating or complex

    Returns
    -------
    list of
        lu : Array of the shape and dtype of ``x``
            ``U``, and ``L`` below its diagonal; the diagonal of ``L`` is ones.
        pivots : int32[..., min(m, n)]
            With which row each row was exchanged, in turn.
        permutation : int32[..., m]

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> factors, pivots, permutation = lax.linalg.lu(pnp.array([[1.0, 2.0], [2.0, 2.0]]))
    >>> factors.tolist(), pivots.tolist(), permutation.tolist()
    ([[2.0, 2.0], [0.5, 1.0]], [1, 1], [1, 0])
    """
    return p.lu(as_operand(x, "lu"))


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Array:
    """The order of rows that the exchanges of `lu` lead to.

    Parameters
    ----------
    pivots : int32[..., k]
    permutation_size : int, at least k

    Returns
    -------
    int32[..., permutation_size]

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.linalg.lu_pivots_to_permutation(pnp.array([2, 1, 2]), 3).tolist()
    [2, 1, 0]
    """
    return p.lu_pivots_to_permutation(
        as_operand(pivots, "lu_pivots_to_permutation"), permutation_size=int(permutation_size)
    )


def qr(
    x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None
) -> tuple[Array, ...]:
    """``x = Q R`` with orthonormal columns in ``Q`` and ``R`` upper triangular.

    Parameters
    ----------
    x : Array of shape (..., m, n)
    pivoting : bool
        Factorize ``x[:, p]``, the columns in an order in which the diagonal of ``R`` does not grow.
    full_matrices : bool
        All m columns of ``Q``, or only ``min(m, n)``.
    use_magma : None

    Returns
    -------
    ``(Q, R)``, or ``(Q, R, p)`` with int32[..., n] where ``pivoting``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> q, r = lax.linalg.qr(pnp.array([[3.0, 1.0], [4.0, 1.0]]))
    >>> bool(pnp.allclose(q @ r, pnp.array([[3.0, 1.0], [4.0, 1.0]]), atol=1e-6))
    True
    """
    x = as_operand(x, "qr")
    return tuple(p.qr(x, pivoting=bool(pivoting), full_matrices=bool(full_matrices), use_magma=use_magma))


def householder_product(a: Any, taus: Any) -> Array:
    """The product of the reflections of a packed factorisation, as many columns of it as ``a`` has.

    Parameters
    ----------
    a : Array of shape (..., m, n), ``m >= n``
    taus : Array of shape (..., k), ``k <= n``, of the same dtype

    Returns
    -------
    Array of the shape and dtype of ``a``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.linalg.householder_product(pnp.array([[1.0], [1.0]]), pnp.array([1.0])).tolist()
    [[0.0], [-1.0]]
    """
    return p.householder_product(as_operand(a, "householder_product"), as_operand(taus, "householder_product"))


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Array:
    """``Q c`` or ``c Q``, where ``Q`` is the product of the reflections of a packed factorisation.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    taus : Array of shape (..., k), of the same dtype
    c : Array of shape (..., m, p), or (..., p, m) unless ``left``, of the same dtype
    left : bool
    transpose : bool
        Multiply by the adjoint of ``Q``.

    Returns
    -------
    Array of the shape and dtype of ``c``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.linalg.ormqr(pnp.array([[1.0], [1.0]]), pnp.array([1.0]), pnp.eye(2)).tolist()
    [[0.0, -1.0], [-1.0, 0.0]]
    """
    a, taus, c = (as_operand(x, "ormqr") for x in (a, taus, c))
    return p.ormqr(a, taus, c, left=bool(left), transpose=bool(transpose))


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: EighImplementation | None = None,
) -> tuple[Array, Array]:
    """Eigenvectors and eigenvalues of Hermitian matrices.

    Parameters
    ----------
    x : Array of shape (..., n, n)
    lower : bool
        Which triangle is read, where ``symmetrize_input`` is False.
    symmetrize_input : bool
        Take the mean of ``x`` and its adjoint.
    sort_eigenvalues : bool
        They ascend in any case here.
    subset_by_index : (start, stop), optional
        Of the ascending eigenvalues, those from ``start`` to ``stop - 1``.
    implementation : EighImplementation.QR, optional

    Returns
    -------
    v : Array of shape (..., n, k)
        The eigenvectors, as columns.
    w : real Array of shape (..., k)

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> v, w = lax.linalg.eigh(pnp.array([[2.0, 0.0], [0.0, 1.0]]))
    >>> w.tolist()
    [1.0, 2.0]
    """
    if implementation is not None and implementation is not EighImplementation.QR:
        raise ArgumentError(
            wrong=f"eigh has no implementation {implementation} on any device here", fix="Leave it out, or give QR"
        )
    x = _floating(x, "eigh")
    v, w = p.eigh(
        symmetrize(x) if symmetrize_input else x, lower=bool(lower), sort_eigenvalues=bool(sort_eigenvalues),
        subset_by_index=None if subset_by_index is None else tuple(subset_by_index), algorithm=None,
    )  # fmt: skip
    return v, w


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: EigImplementation | None = None,
    use_magma: bool | None = None,
) -> list[Array]:
    """Eigenvalues and eigenvectors of general square matrices.

    Parameters
    ----------
    x : Array of shape (..., n, n), floating or complex
    compute_left_eigenvectors, compute_right_eigenvectors : bool
    enable_eigvec_derivs : bool
        Let eigenvectors have derivatives, which are right only where no eigenvalue is double and each eigenvector has
        one greatest element.
    implementation : EigImplementation.LAPACK, optional
    use_magma : None or False

    Returns
    -------
    list of
        w : complex Array of shape (..., n)
        vl : complex Array of shape (..., n, n), where asked for: ``vl[:, i]^H x = w[i] vl[:, i]^H``
        vr : complex Array of shape (..., n, n), where asked for: ``x vr[:, i] = w[i] vr[:, i]``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> w, vl, vr = lax.linalg.eig(pnp.array([[1.0, 1.0], [0.0, 2.0]]))
    >>> w.real.tolist()
    [1.0, 2.0]
    """
    if use_magma or implementation not in (None, EigImplementation.LAPACK):
        raise ArgumentError(
            wrong=f"eig has no implementation {implementation or 'MAGMA'} on any device here",
            fix="Leave it out, or give EigImplementation.LAPACK",
        )
    return p.eig(
        as_operand(x, "eig"), compute_left_eigenvectors=bool(compute_left_eigenvectors),
        compute_right_eigenvectors=bool(compute_right_eigenvectors), enable_eigvec_derivs=bool(enable_eigvec_derivs),
        implementation=None,
    )  # fmt: skip


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: SvdAlgorithm | None = None,
) -> Any:
    """The singular value decomposition ``x = U diag(s) Vh``.

    Parameters
    ----------
    x : Array of shape (..., m, n), floating or complex
    full_matrices : bool
        All m columns of ``U`` and n rows of ``Vh``, or ``min(m, n)`` of both.
    compute_uv : bool
        The vectors too.
    subset_by_index : (start, stop), optional
        Of the descending singular values, those from ``start`` to ``stop - 1``; with ``full_matrices=False``.
    algorithm : SvdAlgorithm, optional

    Returns
    -------
    ``(U, s, Vh)``, or ``s`` alone unless ``compute_uv``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.linalg.svd(pnp.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False).tolist()
    [4.0, 3.0]
    """
    subset = None if subset_by_index is None else tuple(subset_by_index)
    s, *vectors = p.svd(
        as_operand(x, "svd"), full_matrices=bool(full_matrices), compute_uv=bool(compute_uv), subset_by_index=subset,
        algorithm=None if algorithm is None else SvdAlgorithm(algorithm).value,
    )  # fmt: skip
    return (vectors[0], s, vectors[1]) if compute_uv else s


def schur(
    x: Any,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Callable[..., Any] | None = None,
) -> list[Array]:
    """The Schur form: ``x = Z T Z^H`` with ``Z`` unitary and ``T`` triangular, or nearly so where ``x`` is real.

    Parameters
    ----------
    x : Array of shape (..., n, n), floating or complex
    compute_schur_vectors : bool
    sort_eig_vals : False
    select_callable : None

    Returns
    -------
    ``[T, Z]``, or ``[T]`` unless ``compute_schur_vectors``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> t, z = lax.linalg.schur(pnp.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> t.tolist()
    [[1.0, 2.0], [0.0, 3.0]]
    """
    return p.schur(
        as_operand(x, "schur"), compute_schur_vectors=bool(compute_schur_vectors), sort_eig_vals=bool(sort_eig_vals),
        select_callable=select_callable,
    )  # fmt: skip


def hessenberg(a: Any) -> list[Array]:
    """The Hessenberg form of square matrices, packed: the reflections stand below the first subdiagonal.

    Parameters
    ----------
    a : Array of shape (..., n, n), floating or complex

    Returns
    -------
    list of
        packed : Array of the shape and dtype of ``a``
        taus : Array of shape (..., n - 1) of that dtype

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> packed, taus = lax.linalg.hessenberg(pnp.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> packed.tolist(), taus.tolist()
    ([[1.0, 2.0], [3.0, 4.0]], [0.0])
    """
    return p.hessenberg(as_operand(a, "hessenberg"))


def tridiagonal(a: Any, *, lower: bool = True) -> list[Array]:
    """The form of three diagonals of Hermitian matrices, packed: the reflections stand beyond the diagonals.

    Parameters
    ----------
    a : Array of shape (..., n, n), floating or complex
    lower : bool
        Which triangle is read and overwritten.

    Returns
    -------
    list of
        packed : Array of the shape and dtype of ``a``
        d : real Array of shape (..., n), the diagonal
        e : real Array of shape (..., n - 1), the one beside it
        taus : Array of shape (..., n - 1) of the dtype of ``a``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> packed, d, e, taus = lax.linalg.tridiagonal(pnp.array([[1.0, 2.0], [2.0, 4.0]]))
    >>> d.tolist(), e.tolist()
    ([1.0, 4.0], [2.0])
    """
    return p.tridiagonal(as_operand(a, "tridiagonal"), lower=bool(lower))


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Array:
    """The ``x`` with ``A x = b``, where ``A`` has three diagonals.

    Parameters
    ----------
    dl, d, du : Arrays of shape (..., n)
        Row ``i`` of ``A`` has ``dl[i]`` before the diagonal, ``d[i]`` on it and ``du[i]`` after it; ``dl[0]`` and
        ``du[n - 1]`` are not read.
    b : Array of shape (..., n, k), of the same dtype
    perturb_singular : bool
        Make pivots that are nearly zero a little greater, so that the result is finite.

    Returns
    -------
    Array of the shape and dtype of ``b``; NaN where ``A`` is singular

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> ones = pnp.ones(3)
    >>> lax.linalg.tridiagonal_solve(ones, 2 * ones, ones, pnp.array([[3.0], [4.0], [3.0]])).tolist()
    [[1.0], [1.0], [1.0]]
    """
    dl, d, du, b = (as_operand(x, "tridiagonal_solve") for x in (dl, d, du, b))
    return p.tridiagonal_solve(dl, d, du, b, perturb_singular=bool(perturb_singular))
