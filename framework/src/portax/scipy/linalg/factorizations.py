"""Factorisations with SciPy's arguments and results."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError, GapError, ShapeError
from portax.higher_order import fori_loop
from portax.lax import linalg as lax_linalg
from portax.numpy.choosing import where
from portax.numpy.filling import zeros
from portax.numpy.grids import eye, tril, triu
from portax.numpy.joining import concatenate
from portax.numpy.linalg.factors import inexact, matrices
from portax.numpy.promotion import common_shape, promote_dtypes_inexact, spread
from portax.primitives.linalg.matrices import adjoint


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The triangular factor of positive definite matrices: ``a = U^H U``, or ``a = L L^H`` if ``lower``.

    Parameters
    ----------
    a : Array of shape (..., n, n), of which one triangle is read
    lower : bool
    overwrite_a, check_finite : bool
        Make no difference.

    Returns
    -------
    Array of the shape of ``a``; NaN, with zeros in the other triangle, where ``a`` is not positive definite

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.cholesky(pnp.array([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 1.0], [0.0, 2.0]]
    """
    x = matrices("cholesky", a, square=True)
    found = lax_linalg.cholesky(x if lower else adjoint(x), symmetrize_input=False)
    return found if lower else adjoint(found)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Array, bool]:
    """The triangular factor of positive definite matrices, as `cho_solve` takes it.

    Parameters
    ----------
    a : Array of shape (..., n, n), of which one triangle is read
    lower : bool
    overwrite_a, check_finite : bool
        Make no difference.

    Returns
    -------
    (Array of the shape of ``a``, ``lower``)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> factor, lower = linalg.cho_factor(pnp.array([[4.0, 2.0], [2.0, 5.0]]))
    >>> factor.tolist(), lower
    ([[2.0, 1.0], [0.0, 2.0]], False)
    """
    return cholesky(a, lower=lower), lower


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """The singular value decomposition ``a = U diag(s) Vh``.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    full_matrices : bool
        All m columns of ``U`` and n rows of ``Vh``, or ``min(m, n)`` of both.
    compute_uv : bool
        The vectors too.
    overwrite_a, check_finite, lapack_driver
        Make no difference.

    Returns
    -------
    ``(U, s, Vh)``, or ``s`` alone unless ``compute_uv``

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.svd(pnp.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False).tolist()
    [4.0, 3.0]
    """
    return lax_linalg.svd(matrices("svd", a), full_matrices=full_matrices, compute_uv=compute_uv)


def eigh(
    a: Any, b: Any = None, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, turbo: bool = True, eigvals: None = None, type: int = 1, check_finite: bool = True,
) -> Any:  # fmt: skip
    """Eigenvalues, ascending, and eigenvectors of Hermitian matrices.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    b : None
    lower : bool
        The mean of ``a`` and its adjoint is taken, so it makes no difference.
    eigvals_only : bool
    eigvals : None
    type : 1
    overwrite_a, overwrite_b, turbo, check_finite : bool
        Make no difference.

    Returns
    -------
    ``(w, v)``, or ``w`` if ``eigvals_only``

    Raises
    ------
    GapError
        The generalised problem, or a part of the eigenvalues, is asked for.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.eigh(pnp.array([[2.0, 0.0], [0.0, 1.0]]), eigvals_only=True).tolist()
    [1.0, 2.0]
    """
    for asked, words in (
        (b is not None, "with a second matrix b"), (eigvals is not None, "for some eigenvalues"),
        (type != 1, f"of type {type}"),
    ):  # fmt: skip
        if asked:
            raise GapError(wrong=f"eigh was asked for the problem {words}, which it does not solve", fix="Leave it out")
    v, w = lax_linalg.eigh(matrices("eigh", a, square=True), lower=lower)
    return w if eigvals_only else (w, v)


def eigh_tridiagonal(
    d: Any, e: Any, *, eigvals_only: bool = False, select: str = "a", select_range: tuple[float, float] | None = None,
    tol: float | None = None, key: Any = None,
) -> Any:  # fmt: skip
    """Eigenvalues, ascending, and eigenvectors of a real symmetric matrix of three diagonals.

    Parameters
    ----------
    d : Array of shape (n,), the diagonal
    e : Array of shape (n - 1,), the one beside it
    eigvals_only : bool
    select : {"a", "i"}
        All eigenvalues, or those from one index to another, both included.
    select_range : (first, last), where ``select`` is "i"
    tol, key
        Make no difference: all is computed to the dtype's own precision, and nothing is drawn.

    Returns
    -------
    ``(w, v)``, or ``w`` if ``eigvals_only``

    Raises
    ------
    GapError, ArgumentError, ShapeError
        Eigenvalues are selected by value; there is no such selection; the lengths do not fit.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.eigh_tridiagonal(pnp.array([1.0, 1.0]), pnp.array([1.0]), eigvals_only=True).round(4).tolist()
    [0.0, 2.0]
    """
    if select == "v":
        raise GapError(
            wrong="eigh_tridiagonal cannot select eigenvalues by value", fix='Select "a", and choose among them'
        )
    if select not in ("a", "i"):
        raise ArgumentError(wrong=f"eigh_tridiagonal knows no selection {select!r}", fix='Give "a" or "i"')
    diagonal, beside = promote_dtypes_inexact("eigh_tridiagonal", d, e)
    n = diagonal.shape[-1] if diagonal.ndim else 0
    if diagonal.ndim != 1 or beside.shape != (max(n - 1, 0),) or not n:
        raise ShapeError(
            wrong=f"eigh_tridiagonal needs a diagonal and one element less beside it, got {diagonal.aval} and "
            f"{beside.aval}",
            fix="Give d of shape (n,) and e of shape (n - 1,)",
        )
    if dtypes.is_complex(diagonal.dtype):
        diagonal, beside = diagonal.real, abs(beside)
    first, last = (0, n - 1) if select == "a" else select_range or (0, n - 1)
    i = np.arange(n - 1)
    whole: Any = zeros((n, n), diagonal.dtype)
    whole = whole.at[np.arange(n), np.arange(n)].set(diagonal).at[i + 1, i].set(beside)
    v, w = lax_linalg.eigh(whole, symmetrize_input=False)
    cut = slice(int(first), int(last) + 1)
    return w[cut] if eigvals_only else (w[cut], v[:, cut])


def lu(a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, ...]:
    """``a = P L U``, by elimination with row exchanges.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    permute_l : bool
        Give ``P L`` as one.
    overwrite_a, check_finite : bool
        Make no difference.

    Returns
    -------
    ``(P, L, U)``, or ``(P L, U)`` if ``permute_l``

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> permutation, l, u = linalg.lu(pnp.array([[1.0, 2.0], [2.0, 2.0]]))
    >>> permutation.tolist(), u.tolist()
    ([[0.0, 1.0], [1.0, 0.0]], [[2.0, 2.0], [0.0, 1.0]])
    """
    x = matrices("lu", a)
    m, n = x.shape[-2:]
    factors, _, order = lax_linalg.lu(x)
    k = min(m, n)
    real = dtypes.to_real(x.dtype)
    permutation = (order[..., None, :] == np.arange(m)[:, None]).astype(real)
    lower = tril(factors[..., :k], -1) + eye(m, k, dtype=x.dtype)
    upper = triu(factors[..., :k, :])
    if permute_l:
        return permutation.astype(x.dtype) @ lower, upper
    return permutation, lower, upper


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, Array]:
    """The LU factors of matrices, as `lu_solve` takes them.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    overwrite_a, check_finite : bool
        Make no difference.

    Returns
    -------
    lu : Array of the shape of ``a``
        ``U``, and ``L`` below its diagonal.
    piv : int32[..., min(m, n)]
        With which row each row was exchanged.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> factors, pivots = linalg.lu_factor(pnp.array([[1.0, 2.0], [2.0, 2.0]]))
    >>> pivots.tolist()
    [1, 1]
    """
    factors, pivots, _ = lax_linalg.lu(matrices("lu_factor", a))
    return factors, pivots


def qr(
    a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Array, ...]:  # fmt: skip
    """``a = Q R`` with orthonormal columns in ``Q`` and ``R`` upper triangular.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    mode : {"full", "r", "economic"}
        All m columns of ``Q``, ``R`` alone, or ``min(m, n)`` columns.
    pivoting : bool
        Factorize ``a[:, p]``, the columns in an order in which the diagonal of ``R`` does not grow.
    overwrite_a, lwork, check_finite
        Make no difference.

    Returns
    -------
    ``(Q, R)`` or ``(R,)``, and ``p`` after them where ``pivoting``

    Raises
    ------
    ArgumentError
        There is no such mode.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> q, r = linalg.qr(pnp.array([[3.0, 0.0], [4.0, 5.0]]))
    >>> pnp.abs(r).tolist()
    [[5.0, 4.0], [0.0, 3.0]]
    """
    if mode not in ("full", "r", "economic"):
        raise ArgumentError(wrong=f"qr does not know the mode {mode!r}", fix='Give "full", "r" or "economic"')
    q, *rest = lax_linalg.qr(matrices("qr", a), pivoting=pivoting, full_matrices=mode != "economic")
    return tuple(rest) if mode == "r" else (q, *rest)


def qr_multiply(
    a: Any, c: Any, mode: str = "right", pivoting: bool = False, conjugate: bool = False, overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
    """The product of ``c`` and the ``Q`` of ``a = Q R``, without making ``Q``, and ``R``.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    c : Array of shape (..., p, m), or (..., k, p) where ``mode`` is "left" and k is ``min(m, n)``; or a vector
    mode : {"right", "left"}
        ``c Q``, of shape (..., p, k), or ``Q c``, of shape (..., m, p).
    pivoting : bool
        Factorize ``a`` with its columns in another order, which is given too.
    conjugate : bool
        Multiply by the conjugate of ``Q``.
    overwrite_a, overwrite_c : bool
        Make no difference.

    Returns
    -------
    ``(product, R)``, or ``(product, R, p)`` where ``pivoting``

    Raises
    ------
    ArgumentError, ShapeError
        There is no such mode; the shapes do not fit.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> product, r = linalg.qr_multiply(pnp.array([[3.0], [4.0]]), pnp.array([3.0, 4.0]))
    >>> product.round(4).tolist()
    [-5.0]
    """
    if mode not in ("right", "left"):
        raise ArgumentError(wrong=f"qr_multiply does not know the mode {mode!r}", fix='Give "right" or "left"')
    x, y = promote_dtypes_inexact("qr_multiply", a, c)
    x = matrices("qr_multiply", x)
    m, n = x.shape[-2:]
    k, left, vector = min(m, n), mode == "left", y.ndim == 1
    if vector:
        y = y[:, None] if left else y[None, :]
    needed, axis = (k, -2) if left else (m, -1)
    if y.ndim < 2 or y.shape[axis] not in ({needed, m} if left else {needed}):
        raise ShapeError(
            wrong=f"qr_multiply needs a c of {needed} {'rows' if left else 'columns'}, got {y.aval} beside a: {x.aval}",
            fix="Change c, or mode",
        )
    lead = common_shape("qr_multiply", [x.shape[:-2], y.shape[:-2]])
    y = spread(y, (*lead, *y.shape[-2:]))
    order: tuple[Any, ...] = ()
    if pivoting:
        packed, places, taus = p.geqp3(x, zeros((*x.shape[:-2], n), np.int32))
        order = (places - 1,)
    else:
        packed, taus = p.geqrf(x)
    r = triu(packed[..., :k, :])
    packed, taus = spread(packed, (*lead, m, n)), spread(taus, (*lead, k))
    if left and y.shape[-2] < m:
        y = concatenate([y, zeros((*lead, m - y.shape[-2], y.shape[-1]), y.dtype)], axis=-2)
    y = y.conj() if conjugate else y
    product = lax_linalg.ormqr(packed, taus, y, left=left)
    product = product.conj() if conjugate else product
    product = product if left else product[..., :k]
    return (product.reshape(-1) if vector else product, r, *order)


def schur(a: Any, output: str = "real") -> list[Array]:
    """``a = Z T Z^H`` with ``Z`` unitary and ``T`` triangular.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    output : {"real", "complex"}
        Where ``a`` is real: a real ``T``, in which pairs of complex eigenvalues are blocks of two rows, or a
        complex one.

    Returns
    -------
    ``[T, Z]``

    Raises
    ------
    ArgumentError
        There is no such output.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> t, z = linalg.schur(pnp.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> t.tolist()
    [[1.0, 2.0], [0.0, 3.0]]
    """
    if output not in ("real", "complex"):
        raise ArgumentError(wrong=f"schur knows no output {output!r}", fix='Give "real" or "complex"')
    x = matrices("schur", a, square=True)
    return lax_linalg.schur(x.astype(dtypes.to_complex(x.dtype)) if output == "complex" else x)


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """The complex Schur form from the real one.

    Parameters
    ----------
    T, Z : Arrays of shape (..., n, n)
    check_finite : bool
        Makes no difference.

    Returns
    -------
    ``(T, Z)``, complex, ``T`` triangular

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 7.4.1.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> t, z = linalg.rsf2csf(*linalg.schur(pnp.array([[0.0, -1.0], [1.0, 0.0]])))
    >>> sorted(pnp.diagonal(t).imag.round(4).tolist())
    [-1.0, 1.0]
    """
    t, z = promote_dtypes_inexact("rsf2csf", T, Z)
    t, z = matrices("rsf2csf", t, square=True), matrices("rsf2csf", z, square=True)
    if t.shape[-1] != z.shape[-1]:
        raise ShapeError(
            wrong=f"rsf2csf needs T and Z of one size, got {t.aval} and {z.aval}", fix="Give both results of schur"
        )
    lead = common_shape("rsf2csf", [t.shape[:-2], z.shape[:-2]])
    n, dtype = t.shape[-1], dtypes.to_complex(t.dtype)
    t, z = (spread(x, (*lead, n, n)).astype(dtype) for x in (t, z))
    eps = float(np.finfo(dtype).eps)
    rows = np.arange(n)

    def picked(x: Any, i: Any, j: Any) -> Any:
        here = (rows[:, None] == i) & (rows == j)
        return where(here, x, 0).sum(axis=(-2, -1), keepdims=True)

    def step(k: Any, carry: Any) -> Any:
        # The rotation that puts an eigenvalue of rows m - 1 and m on the diagonal.
        t, z = carry
        m = n - 1 - k
        a, b, c, d = (picked(t, *at) for at in ((m - 1, m - 1), (m - 1, m), (m, m - 1), (m, m)))
        half = (a - d) / 2
        mu = half + p.sqrt(half * half + b * c)
        joined = abs(c) > eps * (abs(a) + abs(d))
        length = p.sqrt((mu * mu.conj()).real + (c * c.conj()).real)
        safe = where(joined, length, 1).astype(dtype)
        cos, sin = where(joined, mu / safe, 1), where(joined, c / safe, 0)
        first, second = rows == m - 1, rows == m
        turn = where(first[:, None] & first, cos.conj(), 0) + where(second[:, None] & second, cos, 0)
        turn = turn + where(first[:, None] & second, sin, 0) - where(second[:, None] & first, sin, 0)
        turn = turn + where((rows[:, None] == rows) & ~(first | second), 1, 0)
        turn = turn.astype(dtype)
        t = turn @ t @ adjoint(turn)
        t = where(second[:, None] & first, 0, t)
        return t, z @ adjoint(turn)

    t, z = fori_loop(0, max(n - 1, 0), step, (t, z))
    return triu(t), z


def hessenberg(a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``a = Q H Q^H`` with ``Q`` unitary and ``H`` zero below its first subdiagonal.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    calc_q : bool
    overwrite_a, check_finite : bool
        Make no difference.

    Returns
    -------
    ``H``, or ``(H, Q)`` if ``calc_q``

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.hessenberg(pnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    x = matrices("hessenberg", a, square=True)
    n, stack = x.shape[-1], x.shape[:-2]
    packed, taus = lax_linalg.hessenberg(x)
    h = triu(packed, -1)
    if not calc_q:
        return h
    if n < 2:
        return h, spread(eye(n, dtype=x.dtype), x.shape)
    q = lax_linalg.householder_product(packed[..., 1:, :-1], taus)
    row, column = zeros((*stack, 1, n - 1), x.dtype), zeros((*stack, n - 1, 1), x.dtype)
    one = spread(eye(1, dtype=x.dtype), (*stack, 1, 1))
    return h, concatenate([concatenate([one, row], axis=-1), concatenate([column, q], axis=-1)], axis=-2)


def polar(
    a: Any, side: str = "right", *, method: str = "qdwh", eps: float | None = None, max_iterations: int | None = None
) -> tuple[Array, Array]:
    """``a = u p`` with orthonormal columns (or rows) in ``u`` and ``p`` positive semidefinite.

    Parameters
    ----------
    a : Array of shape (m, n)
    side : {"right", "left"}
        ``a = u p`` or ``a = p u``.
    method : {"qdwh", "svd"}
        By QR factorisations, for which ``a`` must have full rank, and no fewer rows than columns where ``side`` is
        "right", fewer where it is "left"; or by singular values.
    eps, max_iterations : optional
        When "qdwh" ends, see `lax.linalg.qdwh`.

    Returns
    -------
    ``(u, p)``

    Raises
    ------
    ArgumentError, GapError
        There is no such side or method; "qdwh" does not fit the shape.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> u, h = linalg.polar(pnp.array([[0.0, -2.0], [1.0, 0.0]]), method="svd")
    >>> abs(h).round(4).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = inexact("polar", a)
    if x.ndim != 2:
        raise ShapeError(wrong=f"polar takes one matrix, got {x.aval}", fix="Map over a stack with vmap")
    if side not in ("right", "left"):
        raise ArgumentError(wrong=f"polar knows no side {side!r}", fix='Give "right" or "left"')
    if method not in ("qdwh", "svd"):
        raise ArgumentError(wrong=f"polar knows no method {method!r}", fix='Give "qdwh" or "svd"')
    m, n = x.shape
    if method == "qdwh":
        if (m < n) == (side == "right"):
            raise GapError(
                wrong=f"polar by qdwh takes no fewer rows than columns on the right side, and fewer on the left, got "
                f"{x.aval} on the {side}",
                fix='Give method="svd"',
            )
        found = lax_linalg.qdwh(x if side == "right" else adjoint(x), eps=eps, max_iterations=max_iterations)
        u, h = found[:2]
        return (u, h) if side == "right" else (adjoint(u), h)
    u, s, vh = lax_linalg.svd(x, full_matrices=False)
    scale = s.astype(x.dtype)
    if side == "right":
        return u @ vh, (adjoint(vh) * scale) @ vh
    return u @ vh, (u * scale) @ adjoint(u)
