"""Where there is no unique solution: least squares, pseudo-inverses, rank and condition, all by singular values."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError, ShapeError
from portax.higher_order import custom_jvp
from portax.numpy.choosing import isnan, where
from portax.numpy.filling import zeros
from portax.numpy.grids import eye
from portax.numpy.linalg.equations import inv
from portax.numpy.linalg.factors import eigvalsh, inexact, matrices, svd, svdvals
from portax.numpy.linalg.norms import norm
from portax.numpy.promotion import promote_dtypes_inexact
from portax.numpy.reductions import amax, sum
from portax.numpy.reductions import any as any_of
from portax.numpy.shaping import broadcast_to
from portax.primitives.linalg.matrices import adjoint


def _pinv_of(hermitian: bool) -> Any:
    """The pseudo-inverse of general, or of Hermitian matrices, with its derivative."""

    def f(a: Array, rtol: Array) -> Array:
        u, s, vh = svd(a, full_matrices=False, hermitian=hermitian)
        s = where(s > rtol[..., None] * s[..., :1], s, np.inf).astype(u.dtype)
        return adjoint(vh) @ (adjoint(u) / s[..., None])

    def rule(primals: Any, tangents: Any) -> Any:
        # dP = -P da P + P P^H da^H (1 - a P) + (1 - P a) da^H P^H P
        (a, rtol), (da, _) = primals, tangents
        da = (da + adjoint(da)) / 2 if hermitian else da
        out = by_svd(a, rtol)
        back, m, n = adjoint(da), a.shape[-2], a.shape[-1]
        left, right = eye(m, dtype=a.dtype) - a @ out, eye(n, dtype=a.dtype) - out @ a
        return out, -out @ da @ out + out @ (adjoint(out) @ (back @ left)) + (right @ back) @ adjoint(out) @ out

    by_svd = custom_jvp(f)
    by_svd.defjvp(rule)
    return by_svd


_pinv_general, _pinv_hermitian = _pinv_of(False), _pinv_of(True)


def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Array:
    """The inverse of what a matrix does to the vectors that it does not send to zero (Moore and Penrose).

    Parameters
    ----------
    a : Array of shape (..., m, n)
    rtol : number or Array of shape (...), optional
        Singular values that are not greater than this times the greatest count as zero;
        ``10 * max(m, n) * eps`` by default.
    hermitian : bool
        ``a`` is Hermitian.
    rcond : number or Array, optional
        Another name for ``rtol``.

    Returns
    -------
    Array of shape (..., n, m)

    References
    ----------
    Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate, SIAM J. Numer. Anal. 10, 1973.

    Examples
    --------
    >>> pnp.linalg.pinv(pnp.array([[2.0, 0.0], [0.0, 0.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    x = matrices("pinv", a, square=hermitian)
    m, n = x.shape[-2:]
    if not x.size:
        return zeros((*x.shape[:-2], n, m), x.dtype)
    if rcond is not None:
        if rtol is not None:
            raise ArgumentError(wrong="pinv was given both rtol and rcond, two names of one number", fix="Give rtol")
        rtol = rcond
    real = dtypes.to_real(x.dtype)
    if rtol is None:
        rtol = 10.0 * max(m, n) * float(np.finfo(real).eps)
    rtol = broadcast_to(inexact("pinv", rtol).astype(real), x.shape[:-2])
    return (_pinv_hermitian if hermitian else _pinv_general)(x, rtol)


def matrix_rank(M: Any, rtol: Any = None, *, hermitian: bool = False, tol: Any = None) -> Array:
    """How many singular values of a matrix are not negligible.

    Parameters
    ----------
    M : Array of shape (..., m, n); of fewer axes, whether any element is not 0
    rtol : number or Array of shape (...), optional
        Singular values that are not greater than this times the greatest count as zero; ``max(m, n) * eps`` by default.
    hermitian : bool
        ``M`` is Hermitian.
    tol : number or Array of shape (...), optional
        Another name for ``rtol``.

    Notes
    -----
    In JAX ``rtol`` is what its documentation and NumPy's say only where it is left out; given, it is compared with the
    singular values themselves.

    Returns
    -------
    integer Array of shape (...)

    Examples
    --------
    >>> int(pnp.linalg.matrix_rank(pnp.array([[1.0, 2.0], [2.0, 4.0]])))
    1
    """
    x = inexact("matrix_rank", M)
    if tol is not None:
        if rtol is not None:
            raise ArgumentError(wrong="matrix_rank was given both rtol and tol", fix="Give rtol")
        rtol = tol
    if x.ndim < 2:
        return any_of(x != 0).astype(dtypes.canonicalize_dtype(np.int32))
    s = abs(eigvalsh(matrices("matrix_rank", x, square=True))) if hermitian else svdvals(x)
    if rtol is None:
        rtol = max(x.shape[-2:]) * float(np.finfo(s.dtype).eps)
    greatest = amax(s, axis=-1, keepdims=True, initial=0)
    limit = greatest * inexact("matrix_rank", rtol).astype(s.dtype)[..., None]
    return sum(s > limit, axis=-1)


def cond(x: Any, p: Any = None) -> Array:
    """How much a matrix can enlarge a relative error: its norm times that of its inverse.

    Parameters
    ----------
    x : Array of shape (..., m, n), square unless ``p`` is None, 2 or -2
    p : None, 1, -1, 2, -2, inf, -inf or "fro"
        The norm, see `norm`; 2 by default.

    Returns
    -------
    real Array of shape (...); infinite where the matrix is singular

    Raises
    ------
    ShapeError
        The array is empty.

    Examples
    --------
    >>> float(pnp.linalg.cond(pnp.array([[2.0, 0.0], [0.0, 4.0]])))
    2.0
    """
    a = matrices("cond", x)
    if not a.size:
        raise ShapeError(wrong=f"cond was given an array without elements, {a.aval}", fix="Give one that has some")
    if p in (None, 2, -2):
        s = svdvals(a)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    a = matrices("cond", a, square=True)
    found = norm(a, ord=p, axis=(-2, -1)) * norm(inv(a), ord=p, axis=(-2, -1))
    return where(isnan(found) & ~any_of(isnan(a), axis=(-2, -1)), np.inf, found).astype(found.dtype)


def lstsq(
    a: Any, b: Any, rcond: float | None = None, *, numpy_resid: bool = False
) -> tuple[Array, Array, Array, Array]:
    """The ``x`` for which ``a x`` is as near to ``b`` as can be, and of those the shortest.

    Parameters
    ----------
    a : Array of shape (m, n)
    b : Array of shape (m,) or (m, k)
    rcond : number, optional
        Singular values below this times the greatest count as zero; ``max(m, n) * eps`` by default, ``eps`` where
        it is negative.
    numpy_resid : bool
        Give no residuals where NumPy gives none: where ``a`` has fewer independent columns than columns, or no more
        rows than columns. Not under ``jit``, for it makes a shape depend on values.

    Returns
    -------
    x : Array of shape (n,) or (n, k)
    residuals : real Array of shape (k,), the squared distances
    rank : integer Array of shape ()
    s : real Array of shape (min(m, n),), the singular values

    Raises
    ------
    ShapeError
        The shapes do not fit.

    Examples
    --------
    >>> x, *_ = pnp.linalg.lstsq(pnp.array([[1.0], [1.0]]), pnp.array([1.0, 3.0]))
    >>> x.round(4).tolist()
    [2.0]
    """
    x, y = promote_dtypes_inexact("lstsq", a, b)
    if x.ndim != 2 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise ShapeError(
            wrong=f"lstsq needs a matrix, and a right side with as many rows, got {x.aval} and {y.aval}",
            fix="Give a of shape (m, n) and b of shape (m,) or (m, k)",
        )
    m, n = x.shape
    dtype, real = x.dtype, dtypes.to_real(x.dtype)
    column = y[:, None] if y.ndim == 1 else y
    if not x.size:
        s = zeros(min(m, n), real)
        rank = zeros((), dtypes.canonicalize_dtype(np.int64))
        solution = zeros((n, column.shape[1]), dtype)
    else:
        eps = float(np.finfo(real).eps)
        limit = eps * max(m, n) if rcond is None else rcond
        limit = inexact("lstsq", limit).astype(real)
        limit = where(limit < 0, eps, limit).astype(real)
        u, s, vh = svd(x, full_matrices=False)
        kept = (s >= limit * s[0]) & (s > 0)
        rank = sum(kept)
        safe = where(kept, s, 1).astype(dtype)
        scale = where(kept, 1, 0).astype(dtype) / safe
        solution = adjoint(vh) @ (scale[:, None] * (adjoint(u) @ column))
    rest = column - x @ solution
    residuals = sum((rest * rest.conj()).real, axis=0)
    if numpy_resid and (int(rank) < n or m <= n):
        residuals = zeros((0,))
    return (solution[:, 0] if y.ndim == 1 else solution), residuals, rank, s
