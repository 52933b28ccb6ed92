"""Functions of matrices: the exponential by scaling and squaring, others by the Schur form.

References
----------
Higham, The scaling and squaring method for the matrix exponential revisited, SIAM J. Matrix Anal. Appl. 26, 2005;
Higham, Functions of Matrices, SIAM, 2008; Bjorck and Hammarling, A Schur method for the square root of a matrix, Linear
Algebra and its Applications 52/53, 1983; Parlett, A recurrence among the elements of functions of triangular matrices,
Linear Algebra and its Applications 14, 1976.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.array import Array
from portax.errors import GapError, ShapeError
from portax.higher_order import cond, fori_loop, scan
from portax.lax import linalg as lax_linalg
from portax.numpy import linalg as np_linalg
from portax.numpy.choosing import where
from portax.numpy.grids import eye, triu
from portax.numpy.linalg.factors import matrices
from portax.numpy.linalg.norms import norm
from portax.numpy.promotion import promote_dtypes_inexact
from portax.numpy.reductions import amax, amin
from portax.numpy.reductions import any as any_of
from portax.primitives.linalg.matrices import adjoint
from portax.scipy.linalg.factorizations import schur
from portax.transforms.batch import batch, materialize
from portax.transforms.jvp import jvp

#: The coefficients of the numerators of Pade approximants of exp; up to which norm they are as exact as the dtype.
_SEVEN = (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0)
_THIRTEEN = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_REACH = {7: 3.925724783138660, 13: 5.371920351148152}


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Array:
    """The exponential of square matrices.

    Parameters
    ----------
    A : Array of shape (..., n, n)
    upper_triangular : bool
        ``A`` is, which saves a factorisation.
    max_squarings : int
        Where more would be needed, which is for norms beyond about ``2^max_squarings``, the result is NaN.

    Returns
    -------
    Array of the shape of ``A``

    Raises
    ------
    ShapeError
        The last two axes are not equally long.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.expm(pnp.array([[0.0, 1.0], [0.0, 0.0]])).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    x: Any = matrices("expm", A, square=True)
    dtype = x.dtype
    if not x.size:
        return x
    real = dtypes.to_real(dtype)
    coefficients = _SEVEN if real == np.float32 else _THIRTEEN
    reach = _REACH[len(coefficients) - 1]
    size = amax(abs(x).sum(axis=-2), axis=-1)
    needed = p.ceil(p.log(size / reach, accuracy=None) / np.asarray(np.log(2.0), real))
    needed = where(needed > 0, needed, 0)  # NaN counts as none, and goes its way
    squarings = where(needed > max_squarings, 0, needed)
    scaled = x / (2**squarings).astype(dtype)[..., None, None]
    above, below = _pade(scaled, coefficients)
    if upper_triangular:
        out = lax_linalg.triangular_solve(below, above, left_side=True)
    else:
        out = np_linalg.solve(below, above)

    def square(y: Any, k: Any) -> Any:
        wanted = (k < squarings)[..., None, None]

        def f(y: Any) -> Any:
            # What is not to be squared is not: its derivative would be that of an overflow.
            used = where(wanted, y, 0)
            return where(wanted, used @ used, y)

        return cond(any_of(k < squarings), f, lambda y: y, y), None

    out, _ = scan(square, out, np.arange(max_squarings, dtype=np.int32))
    return where((needed > max_squarings)[..., None, None], np.nan, out).astype(dtype)


def _pade(x: Any, c: tuple[float, ...]) -> tuple[Any, Any]:
    """Numerator and denominator, which differ in the sign of the odd powers."""
    one = eye(x.shape[-1], dtype=x.dtype)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x2 @ x4
    if len(c) == 8:
        odd = x @ (c[7] * x6 + c[5] * x4 + c[3] * x2 + c[1] * one)
        even = c[6] * x6 + c[4] * x4 + c[2] * x2 + c[0] * one
    else:
        odd = x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2)
        odd = x @ (odd + c[7] * x6 + c[5] * x4 + c[3] * x2 + c[1] * one)
        even = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2)
        even = even + c[6] * x6 + c[4] * x4 + c[2] * x2 + c[0] * one
    return even + odd, even - odd


def expm_frechet(A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True) -> Any:
    """The derivative of the exponential of square matrices, along a direction.

    Parameters
    ----------
    A, E : Arrays of shape (..., n, n)
    method
        Makes no difference.
    compute_expm : bool
        Give the exponential too.

    Returns
    -------
    ``(expm(A), derivative)``, or the derivative alone unless ``compute_expm``

    Raises
    ------
    ShapeError
        The arrays have other than one shape.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.expm_frechet(pnp.zeros((1, 1)), pnp.ones((1, 1)), compute_expm=False).tolist()
    [[1.0]]
    """
    x, e = promote_dtypes_inexact("expm_frechet", A, E)
    x, e = matrices("expm_frechet", x, square=True), matrices("expm_frechet", e, square=True)
    if x.shape != e.shape:
        raise ShapeError(
            wrong=f"expm_frechet needs a direction of the shape of the matrix, got {x.aval} and {e.aval}",
            fix="Broadcast them first",
        )
    [out], [moved] = jvp(lambda y: [expm(y)], [x], [e])
    return (out, moved) if compute_expm else moved


def _columns(n: int, t: Any, column: Callable[[Any, Any], Any], start: Any) -> Any:
    """A triangular matrix, column by column: ``column(j, known)`` gives column ``j``, of which what is above counts."""
    rows = np.arange(n)

    def step(j: Any, known: Any) -> Any:
        return where((rows == j) & (rows[:, None] < j), column(j, known), known)

    return fori_loop(1, n, step, start) if n > 1 else start


def _column(x: Any, j: Any) -> Any:
    return where(np.arange(x.shape[-1]) == j, x, 0).sum(axis=-1, keepdims=True)


def _solved(shifted: Any, right: Any, j: Any) -> Any:
    """The triangular system of the rows above ``j``; a zero on the diagonal divides by 1."""
    rows = np.arange(shifted.shape[-1])
    inside = (rows < j) & (rows[:, None] < j)
    on = rows[:, None] == rows
    shifted = where(inside, where(on & (shifted == 0), 1, shifted), where(on, 1, 0))
    return lax_linalg.triangular_solve(shifted, where(rows[:, None] < j, right, 0), left_side=True)


def sqrtm(A: Any, blocksize: int = 1) -> Array:
    """The square root of square matrices, whose eigenvalues have no negative real part.

    Parameters
    ----------
    A : Array of shape (..., n, n)
    blocksize : 1

    Returns
    -------
    complex Array of the shape of ``A``

    Raises
    ------
    GapError
        Another block size is asked for.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.sqrtm(pnp.array([[4.0, 0.0], [0.0, 9.0]])).real.tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    if blocksize > 1:
        raise GapError(wrong=f"sqrtm works without blocks, not with blocksize={blocksize}", fix="Leave it out")
    x = matrices("sqrtm", A, square=True)
    t, z = schur(x, "complex")
    n = x.shape[-1]
    on = np.eye(n, dtype=bool)
    roots = where(on, p.sqrt(t), 0)

    def column(j: Any, r: Any) -> Any:
        # (r + r[j, j]) r[:, j] = t[:, j], of the rows above j.
        own = where(np.arange(n) == j, np_linalg.diagonal(roots), 0).sum(axis=-1)[..., None, None]
        return _solved(r + own * eye(n, dtype=t.dtype), _column(t, j), j)

    r = _columns(n, t, column, roots)
    return z @ r @ adjoint(z)


def funm(A: Any, func: Callable[[Any], Any], disp: bool = True) -> Any:
    """A function of one square matrix: the matrix with the same eigenvectors and the function of its eigenvalues.

    Parameters
    ----------
    A : Array of shape (n, n)
    func : callable, complex scalar -> scalar
    disp : bool
        Where False, an estimate of the error is given too. Nothing is shown in any case.

    Returns
    -------
    complex Array of shape (n, n), and a real scalar unless ``disp``

    Raises
    ------
    ShapeError
        ``A`` is not one square matrix.

    Notes
    -----
    Where eigenvalues are equal or close the result is not exact: use `expm` and `sqrtm` where they fit.

    Examples
    --------
    >>> from portax.scipy import linalg
    >>> linalg.funm(pnp.array([[4.0, 0.0], [0.0, 9.0]]), pnp.sqrt).real.tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    x = matrices("funm", A, square=True)
    if x.ndim != 2:
        raise ShapeError(wrong=f"funm takes one square matrix, got {x.aval}", fix="Map over a stack with vmap")
    t, z = schur(x, "complex")
    n, dtype = x.shape[-1], t.dtype
    d: Any = np_linalg.diagonal(t)
    [values], [batched] = batch(lambda v: [func(v)], [d], [True], n) if n else ([d], [True])
    values = materialize(values, batched, n).astype(dtype)
    on = np.eye(n, dtype=bool)

    def column(j: Any, f: Any) -> Any:
        # f and t commute: (t - t[j, j]) f[:, j] = (f - f[j, j]) t[:, j], of the rows above j.
        here = np.arange(n) == j
        of_t, of_f = (where(here, y, 0).sum() for y in (d, values))
        above = where(np.arange(n)[:, None] < j, _column(t, j), 0)
        return _solved(t - of_t * eye(n, dtype=dtype), f @ above - of_f * above, j)

    f = _columns(n, t, column, where(on, values, 0).astype(dtype))
    out = z @ f @ adjoint(z)
    if disp:
        return out
    eps = float(np.finfo(dtype).eps)
    gaps = where(np.arange(n)[:, None] < np.arange(n), abs(d - d[:, None]), np.inf)
    least = amin(gaps, initial=abs(t[0, 0])) if n else abs(d).sum()
    least = where(least == 0, eps, least)
    error = where(eps > eps / least * norm(triu(t, 1), 1), eps, eps / least * norm(triu(t, 1), 1))
    return out, where(error < 1, error, 1).astype(dtypes.to_real(dtype))
