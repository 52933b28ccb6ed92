"""Factorisations of `portax.lax.linalg` with NumPy's arguments, results and promotion."""

from __future__ import annotations

from typing import Any, NamedTuple

from portax import primitives as p
from portax.core.array import Array
from portax.errors import ArgumentError, ShapeError
from portax.lax import linalg as lax_linalg
from portax.numpy.promotion import promote_dtypes_inexact
from portax.numpy.shaping import matrix_transpose
from portax.primitives.linalg.matrices import INT32, adjoint, scale_columns, take_columns


class EigResult(NamedTuple):
    """What `eig` gives."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Array
    S: Array
    Vh: Array


def inexact(name: str, x: Any) -> Any:
    """``x`` as a floating or complex array."""
    [out] = promote_dtypes_inexact(name, x)
    return out


def matrices(name: str, x: Any, square: bool = False) -> Any:
    """``x`` as a stack of floating or complex matrices."""
    x = inexact(name, x)
    if x.ndim < 2:
        raise ShapeError(
            wrong=f"{name} works on matrices, the last two axes of an array, and {x.aval} has no two",
            fix="Give an array of at least two axes",
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            wrong=f"{name} works on square matrices, got {x.aval}", fix="Make the last two axes equally long"
        )
    return x


def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Array:
    """The triangular factor of positive definite matrices: ``a = L L^H``, or ``a = U^H U`` if ``upper``.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    upper : bool
    symmetrize_input : bool
        Factorize the mean of ``a`` and its adjoint. Where False, one triangle is read: that of the result.

    Returns
    -------
    Array of the shape of ``a``; NaN, with zeros in the other triangle, where ``a`` is not positive definite

    Raises
    ------
    ShapeError
        The last two axes are not equally long.

    Examples
    --------
    >>> pnp.linalg.cholesky(pnp.array([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    x = matrices("cholesky", a, square=True)
    lower = lax_linalg.cholesky(adjoint(x) if upper else x, symmetrize_input=symmetrize_input)
    return adjoint(lower) if upper else lower


def qr(a: Any, mode: str = "reduced") -> Any:
    """``a = Q R`` with orthonormal columns in ``Q`` and ``R`` upper triangular.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    mode : {"reduced", "complete", "r", "raw"}
        ``min(m, n)`` columns of ``Q``, all m of them, ``R`` alone, or the packed factorisation, transposed, and the
        scales of its reflections.

    Returns
    -------
    QRResult of ``Q`` and ``R``, or ``R``

    Raises
    ------
    ArgumentError
        There is no such mode.

    Examples
    --------
    >>> q, r = pnp.linalg.qr(pnp.array([[3.0, 0.0], [4.0, 5.0]]))
    >>> pnp.abs(r).tolist()
    [[5.0, 4.0], [0.0, 3.0]]
    """
    x = matrices("qr", a)
    if mode == "raw":
        packed, taus = p.geqrf(x)
        return QRResult(matrix_transpose(packed), taus)
    if mode not in ("reduced", "complete", "full", "r"):
        raise ArgumentError(
            wrong=f"qr does not know the mode {mode!r}", fix='Give "reduced", "complete", "r" or "raw"'
        )
    q, r = lax_linalg.qr(x, full_matrices=mode in ("complete", "full"))
    return r if mode == "r" else QRResult(q, r)


def _triangle(UPLO: Any, name: str) -> bool:
    if UPLO not in (None, "L", "U"):
        raise ArgumentError(wrong=f"{name} was given UPLO={UPLO!r}", fix='Give "L" or "U", the triangle that is read')
    return UPLO != "U"


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Eigenvalues, ascending, and eigenvectors of Hermitian matrices.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    UPLO : {"L", "U"}, optional
        Which triangle is read where ``symmetrize_input`` is False; the lower one by default.
    symmetrize_input : bool
        Take the mean of ``a`` and its adjoint.

    Returns
    -------
    EighResult of eigenvalues, real of shape (..., n), and eigenvectors, the columns of shape (..., n, n)

    Raises
    ------
    ArgumentError
        There is no such triangle.

    Examples
    --------
    >>> pnp.linalg.eigh(pnp.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues.tolist()
    [1.0, 2.0]
    """
    lower = _triangle(UPLO, "eigh")
    v, w = lax_linalg.eigh(matrices("eigh", a, square=True), lower=lower, symmetrize_input=symmetrize_input)
    return EighResult(w, v)


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Array:
    """Eigenvalues of Hermitian matrices, ascending.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    UPLO : {"L", "U"}, optional
        Which triangle is read where ``symmetrize_input`` is False.
    symmetrize_input : bool
        Take the mean of ``a`` and its adjoint.

    Returns
    -------
    real Array of shape (..., n)

    Examples
    --------
    >>> pnp.linalg.eigvalsh(pnp.array([[2.0, 0.0], [0.0, 1.0]])).tolist()
    [1.0, 2.0]
    """
    return eigh(a, UPLO, symmetrize_input).eigenvalues


def eig(a: Any) -> EigResult:
    """Eigenvalues and eigenvectors of general square matrices.

    Parameters
    ----------
    a : Array of shape (..., n, n)

    Returns
    -------
    EigResult of eigenvalues, complex of shape (..., n), and eigenvectors, the columns of shape (..., n, n)

    Notes
    -----
    The eigenvalues have derivatives; for those of the eigenvectors see ``lax.linalg.eig``.

    Examples
    --------
    >>> pnp.linalg.eig(pnp.array([[0.0, -1.0], [1.0, 0.0]])).eigenvalues.imag.tolist()
    [1.0, -1.0]
    """
    w, v = lax_linalg.eig(matrices("eig", a, square=True), compute_left_eigenvectors=False)
    return EigResult(w, v)


def eigvals(a: Any) -> Array:
    """Eigenvalues of general square matrices, in no order that is promised.

    Parameters
    ----------
    a : Array of shape (..., n, n)

    Returns
    -------
    complex Array of shape (..., n)

    Examples
    --------
    >>> pnp.linalg.eigvals(pnp.array([[1.0, 5.0], [0.0, 2.0]])).real.tolist()
    [1.0, 2.0]
    """
    x = matrices("eigvals", a, square=True)
    return lax_linalg.eig(x, compute_left_eigenvectors=False, compute_right_eigenvectors=False)[0]


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """The singular value decomposition ``a = U diag(S) Vh``.

    Parameters
    ----------
    a : Array of shape (..., m, n)
    full_matrices : bool
        All m columns of ``U`` and n rows of ``Vh``, or ``min(m, n)`` of both.
    compute_uv : bool
        The vectors too.
    hermitian : bool
        ``a`` is Hermitian: its eigenvalues are computed instead, which is cheaper.
    subset_by_index : (start, stop), optional
        Of the descending singular values, those from ``start`` to ``stop - 1``; with ``full_matrices=False``.

    Returns
    -------
    SVDResult of ``U``, ``S`` and ``Vh``, or ``S`` alone unless ``compute_uv``

    Examples
    --------
    >>> pnp.linalg.svd(pnp.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False).tolist()
    [4.0, 3.0]
    """
    x = matrices("svd", a, square=hermitian)
    if hermitian:
        v, w = lax_linalg.eigh(x)
        size = abs(w)
        axis = size.ndim - 1
        if not compute_uv:
            return -p.sort(-size, dimension=axis, is_stable=True, num_keys=1)[0]
        places = p.broadcast_in_dim(
            p.iota(dtype=INT32, shape=(x.shape[-1],), dimension=0, sharding=None), shape=size.shape,
            broadcast_dimensions=(axis,),
        )  # fmt: skip
        negative, order = p.sort(-size, places, dimension=axis, is_stable=True, num_keys=1)
        u = take_columns(v, order)
        turned = take_columns(scale_columns(v, p.sign(w).astype(v.dtype)), order)
        out = SVDResult(turned, -negative, adjoint(u))
        if subset_by_index is not None:
            cut = slice(*subset_by_index)
            out = SVDResult(out.U[..., cut], out.S[..., cut], out.Vh[..., cut, :])
        return out
    found = lax_linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv, subset_by_index=subset_by_index)
    return SVDResult(*found) if compute_uv else found


def svdvals(x: Any, /) -> Array:
    """Singular values, descending.

    Parameters
    ----------
    x : Array of shape (..., m, n)

    Returns
    -------
    real Array of shape (..., min(m, n))

    Examples
    --------
    >>> pnp.linalg.svdvals(pnp.array([[3.0, 0.0], [0.0, 4.0]])).tolist()
    [4.0, 3.0]
    """
    return svd(x, compute_uv=False)
