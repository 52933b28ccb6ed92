"""Equations, by factors that are given or found: general, triangular, positive definite, and Sylvester's."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError, ShapeError
from portax.higher_order import fori_loop
from portax.lax import linalg as lax_linalg
from portax.numpy import linalg as np_linalg
from portax.numpy.choosing import where
from portax.numpy.grids import eye
from portax.numpy.linalg.equations import with_factors
from portax.numpy.linalg.factors import matrices
from portax.numpy.promotion import as_array, common_shape, promote_dtypes_inexact, spread
from portax.numpy.reductions import amin
from portax.numpy.shaping import broadcast_to
from portax.primitives.linalg.matrices import adjoint
from portax.scipy.linalg.factorizations import cho_factor, schur


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinant of square matrices.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    overwrite_a, check_finite : bool
        Make no difference.

    Returns
    -------
    Array of shape (...)

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> float(linalg.det(pnp.array([[1.0, 2.0], [3.0, 4.0]])))
    -2.0
    """
    return np_linalg.det(a)


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The inverse of square matrices.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    overwrite_a, check_finite : bool
        Make no difference.

    Returns
    -------
    Array of the shape of ``a``

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.inv(pnp.array([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return np_linalg.inv(a)


def _pair(name: str, a: Any, b: Any) -> tuple[Array, Array, bool]:
    """``(a, b, vectors)``: of one dtype and one stack, a ``b`` of vectors made one of columns."""
    x, y = promote_dtypes_inexact(name, a, b)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            wrong=f"{name} needs square matrices on the left side, got {x.aval}",
            fix="Make the last two axes equally long",
        )
    vectors = y.ndim == 1 or y.ndim == x.ndim - 1
    if not y.ndim or y.shape[-1 if vectors else -2] != x.shape[-1]:
        raise ShapeError(
            wrong=f"{name} needs a b with as many rows as a has, got a: {x.aval} and b: {y.aval}",
            fix=f"Give a b of {x.shape[-1]} rows",
        )
    y = y[..., None] if vectors else y
    lead = common_shape(name, [x.shape[:-2], y.shape[:-2]])
    return spread(x, (*lead, *x.shape[-2:])), spread(y, (*lead, *y.shape[-2:])), vectors


def _answer(x: Array, vectors: bool) -> Array:
    return x[..., 0] if vectors else x


def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False, debug: bool = False,
    check_finite: bool = True, assume_a: str = "gen",
) -> Array:  # fmt: skip
    """The ``x`` with ``a x = b``.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    b : Array of shape (..., n) or (..., n, k)
    lower : bool
        Which triangle is read, where ``assume_a`` is "pos".
    overwrite_a, overwrite_b, debug, check_finite : bool
        Make no difference.
    assume_a : {"gen", "sym", "her", "pos"}
        What is known of ``a``: nothing, that it is symmetric, Hermitian, positive definite.

    Returns
    -------
    Array of the shape of ``b``

    Raises
    ------
    ArgumentError, ShapeError
        There is no such assumption; the shapes do not fit.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.solve(pnp.array([[2.0, 0.0], [0.0, 4.0]]), pnp.array([2.0, 8.0])).tolist()
    [1.0, 2.0]
    """
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise ArgumentError(
            wrong=f"solve knows no assumption {assume_a!r}", fix='Give "gen", "sym", "her" or "pos"'
        )
    x, y, vectors = _pair("solve", a, b)
    if assume_a == "pos":
        return _answer(cho_solve(cho_factor(x, lower=lower), y), vectors)
    return _answer(np_linalg.solve(x, y), vectors)


_TRANS = {0: (False, False), "N": (False, False), 1: (True, False), "T": (True, False), 2: (True, True),
          "C": (True, True)}  # fmt: skip


def solve_triangular(
    a: Any, b: Any, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    debug: Any = None, check_finite: bool = True,
) -> Array:  # fmt: skip
    """The ``x`` with ``op(a) x = b``, where ``a`` is triangular.

    Parameters
    ----------
    a : Array of shape (..., n, n), of which one triangle is read
    b : Array of shape (..., n) or (..., n, k)
    trans : {0, 1, 2, "N", "T", "C"}
        ``op(a)`` is ``a``, its transpose, or its adjoint.
    lower : bool
    unit_diagonal : bool
        The diagonal counts as ones and is not read.
    overwrite_b, debug, check_finite
        Make no difference.

    Returns
    -------
    Array of the shape of ``b``

    Raises
    ------
    ArgumentError, ShapeError
        There is no such ``trans``; the shapes do not fit.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.solve_triangular(pnp.array([[2.0, 0.0], [1.0, 4.0]]), pnp.array([2.0, 5.0]), lower=True).tolist()
    [1.0, 1.0]
    """
    if trans not in _TRANS:
        raise ArgumentError(wrong=f"solve_triangular was given trans={trans!r}", fix='Give "N", "T" or "C"')
    transpose, conjugate = _TRANS[trans]
    x, y, vectors = _pair("solve_triangular", a, b)
    out = lax_linalg.triangular_solve(
        x, y, left_side=True, lower=lower, transpose_a=transpose, conjugate_a=conjugate, unit_diagonal=unit_diagonal
    )
    return _answer(out, vectors)


def cho_solve(c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """The ``x`` with ``a x = b``, by the factor of `cho_factor`.

    Parameters
    ----------
    c_and_lower : (Array of shape (..., n, n), bool)
    b : Array of shape (..., n) or (..., n, k)
    overwrite_b, check_finite : bool
        Make no difference.

    Returns
    -------
    Array of the shape of ``b``

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> factor = linalg.cho_factor(pnp.array([[4.0, 0.0], [0.0, 1.0]]))
    >>> linalg.cho_solve(factor, pnp.array([4.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    c, lower = c_and_lower
    x, y, vectors = _pair("cho_solve", c, b)
    flags: dict[str, Any] = {"left_side": True, "lower": bool(lower)}
    for back in (not lower, lower):
        y = lax_linalg.triangular_solve(x, y, transpose_a=bool(back), conjugate_a=bool(back), **flags)
    return _answer(y, vectors)


def lu_solve(
    lu_and_piv: tuple[Any, Any], b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Array:
    """The ``x`` with ``op(a) x = b``, by the factors of `lu_factor`.

    Parameters
    ----------
    lu_and_piv : (Array of shape (..., n, n), int32[..., n])
    b : Array of shape (..., n) or (..., n, k)
    trans : {0, 1, 2}
        ``op(a)`` is ``a``, its transpose, or its adjoint.
    overwrite_b, check_finite : bool
        Make no difference.

    Returns
    -------
    Array of the shape of ``b``

    Raises
    ------
    ArgumentError
        There is no such ``trans``.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> factors = linalg.lu_factor(pnp.array([[0.0, 2.0], [4.0, 0.0]]))
    >>> linalg.lu_solve(factors, pnp.array([4.0, 4.0])).tolist()
    [1.0, 2.0]
    """
    if trans not in (0, 1, 2):
        raise ArgumentError(wrong=f"lu_solve was given trans={trans!r}", fix="Give 0, 1 or 2")
    factors, pivots = lu_and_piv
    x, y, vectors = _pair("lu_solve", factors, b)
    order = lax_linalg.lu_pivots_to_permutation(as_array(pivots, "lu_solve"), x.shape[-1])
    return _answer(with_factors(x, broadcast_to(order, x.shape[:-1]), y, trans), vectors)


def solve_sylvester(A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8) -> Array:
    """The ``X`` with ``A X + X B = C``.

    Parameters
    ----------
    A : Array of shape (..., m, m)
    B : Array of shape (..., n, n)
    C : Array of shape (..., m, n)
    method : {"schur", "eigen"}
        By triangular forms, or by eigenvalues, which is faster and less exact.
    tol : number
        Where an eigenvalue of ``A`` and one of ``B`` add up to less than this, the result is NaN.

    Returns
    -------
    Array of shape (..., m, n)

    Raises
    ------
    ArgumentError, ShapeError
        There is no such method; the shapes do not fit.

    References
    ----------
    Bartels and Stewart, Solution of the matrix equation AX + XB = C, CACM 15(9), 1972.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.solve_sylvester(pnp.array([[1.0]]), pnp.array([[2.0]]), pnp.array([[6.0]])).tolist()
    [[2.0]]
    """
    if method not in ("schur", "eigen"):
        raise ArgumentError(wrong=f"solve_sylvester knows no method {method!r}", fix='Give "schur" or "eigen"')
    a, b, c = promote_dtypes_inexact("solve_sylvester", A, B, C)
    a, b = matrices("solve_sylvester", a, square=True), matrices("solve_sylvester", b, square=True)
    c = matrices("solve_sylvester", c)
    m, n = c.shape[-2:]
    if a.shape[-1] != m or b.shape[-1] != n:
        raise ShapeError(
            wrong=f"solve_sylvester cannot add A: {a.aval} times and times B: {b.aval} to C: {c.aval}",
            fix="C must have as many rows as A and as many columns as B",
        )
    lead = common_shape("solve_sylvester", [x.shape[:-2] for x in (a, b, c)])
    a, b, c = (spread(x, (*lead, *x.shape[-2:])) for x in (a, b, c))
    if not c.size:
        return c
    dtype = dtypes.to_complex(c.dtype)
    if method == "eigen":
        (v, u), (w, z) = np_linalg.eig(a), np_linalg.eig(b)
        gaps = v[..., :, None] + w[..., None, :]
        x = u @ ((np_linalg.solve(u, c.astype(dtype)) @ z) / gaps) @ np_linalg.inv(z)
    else:
        (r, u), (s, z) = schur(a, "complex"), schur(b, "complex")
        v, w = np_linalg.diagonal(r), np_linalg.diagonal(s)
        gaps = v[..., :, None] + w[..., None, :]
        f = adjoint(u) @ c.astype(dtype) @ z

        def column(k: Any, y: Any) -> Any:
            # (r + s[k, k]) y[:, k] = f[:, k] - y[:, :k] s[:k, k], the columns of y that are not known yet being 0.
            right = _column(f, k) - y @ _column(s, k)
            shifted = r + _column(w[..., None, :], k) * eye(m, dtype=dtype)
            found = lax_linalg.triangular_solve(shifted, right, left_side=True)
            return where(np.arange(n) == k, found, y)

        x = u @ fori_loop(0, n, column, f * 0) @ adjoint(z)
    close = amin(abs(gaps), axis=(-2, -1), keepdims=True) < tol
    x = where(close, np.nan, x)
    return (x if dtypes.is_complex(c.dtype) else x.real).astype(c.dtype)


def _column(x: Any, k: Any) -> Any:
    """Column ``k`` of each matrix, as a matrix of one."""
    chosen = where(np.arange(x.shape[-1]) == k, x, 0)
    return chosen.sum(axis=-1, keepdims=True)
