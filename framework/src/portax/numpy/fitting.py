"""Polynomials through linear algebra: those nearest to samples, and the roots of one."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationError, ShapeError
from portax.numpy import reductions
from portax.numpy.choosing import where as choose
from portax.numpy.diagonals import diag
from portax.numpy.filling import zeros
from portax.numpy.grids import arange
from portax.numpy.joining import concatenate
from portax.numpy.polynomials import vander
from portax.numpy.products import dot, outer
from portax.numpy.promotion import as_array, promote_dtypes_inexact
from portax.numpy.reductions import converted
from portax.numpy.sorting import argsort
from portax.numpy.taking import take
from portax.numpy.ufuncs import sqrt

linalg = lazy("portax.numpy.linalg")


def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """The polynomial nearest to samples, by least squares.

    Parameters
    ----------
    x : array of shape (n,)
        Where the samples are.
    y : array of shape (n,) or (n, k)
        One set of samples, or one in each column.
    deg : int
        The highest power.
    rcond : float, optional
        Singular values this much smaller than the greatest one count as zero; ``n`` times the precision by default.
    full : bool
        Give more about the fit: residuals, rank, singular values, and ``rcond``.
    w : array of shape (n,), optional
        What each distance is multiplied by.
    cov : bool or "unscaled"
        Give the covariance of the coefficients, too; unscaled: for weights that are one over the deviation.

    Returns
    -------
    Array of shape (deg + 1,) or (deg + 1, k), coefficients with the highest power first; or a tuple of it and more

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.polyfit(pnp.array([0.0, 1.0, 2.0]), pnp.array([1.0, 3.0, 5.0]), 1).round(3).tolist()
    [2.0, 1.0]
    """
    order = operator.index(deg) + 1
    if order < 1:
        raise ArgumentError(wrong=f"polyfit was asked for degree {deg}", fix="Give deg >= 0")
    x, y = promote_dtypes_inexact("polyfit", x, y)
    if x.ndim != 1 or not x.size:
        raise ShapeError(wrong=f"polyfit was given places {x.aval}", fix="Give at least one, along one axis")
    if y.ndim not in (1, 2) or y.shape[0] != x.shape[0]:
        raise ShapeError(wrong=f"polyfit was given {x.shape[0]} places and samples {y.aval}", fix="Give one for each")
    if rcond is None:
        rcond = x.shape[0] * float(dtypes.finfo(dtypes.real_dtype(x.dtype)).eps)
    left, right = vander(x, order), y
    if w is not None:
        [w] = promote_dtypes_inexact("polyfit", w)
        if w.shape != x.shape:
            raise ShapeError(
                wrong=f"polyfit of {x.shape[0]} samples was given weights {w.aval}", fix="Give one for each"
            )
        w = converted(w, x.dtype)
        left, right = left * w[:, None], right * (w[:, None] if y.ndim == 2 else w)
    # Columns of unit length, so that the powers' sizes do not decide what counts as zero.
    scale = sqrt(reductions.sum(left * left, 0))
    left = left / scale
    c, residuals, rank, singular = linalg.lstsq(left, right, rcond)
    c = (c.T / scale).T
    if full:
        return c, residuals, rank, singular, rcond
    if not cov:
        return c
    base = linalg.inv(dot(left.T, left)) / outer(scale, scale)
    if isinstance(cov, str) and cov == "unscaled":
        factor: Any = as_array(np.asarray(1).astype(base.dtype))
    else:
        if x.shape[0] <= order:
            raise ArgumentError(
                wrong=f"polyfit cannot find the covariance of {order} coefficients from {x.shape[0]} samples",
                fix="Give more samples, or cov='unscaled'",
            )
        factor = residuals / (x.shape[0] - order)
    return c, base * factor if y.ndim == 1 else base[:, :, None] * factor


def roots(p: Any, *, strip_zeros: bool = True) -> Any:
    """The roots of a polynomial, as the eigenvalues of its companion matrix.

    Parameters
    ----------
    p : array of one axis
        Coefficients, the highest power first.
    strip_zeros : bool
        Leave leading zeros out, which is not possible under ``jit``; False: there are as many NaN among the roots.

    Returns
    -------
    Array of complex dtype

    References
    ----------
    Horn and Johnson, Matrix Analysis, Cambridge University Press, 1999, 3.3.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> sorted(pnp.roots(pnp.array([1.0, -3.0, 2.0])).real.round(3).tolist())
    [1.0, 2.0]
    """
    [x] = promote_dtypes_inexact("roots", as_array(p, "roots").ravel())
    complex_dtype = dtypes.to_complex(x.dtype)
    if x.shape[0] < 2:
        return zeros(0, complex_dtype)
    if not strip_zeros:
        return _with_gaps(x, complex_dtype)
    if isinstance(x, Tracer):
        raise ConcretizationError(
            wrong="roots was given a traced array; how many leading coefficients are zero is not known while tracing",
            fix="Give strip_zeros=False",
        )
    there = np.flatnonzero(np.asarray(x))
    if not there.size:
        return zeros(0, complex_dtype)
    first, last = int(there[0]), int(there[-1])
    at_zero = zeros(x.shape[0] - 1 - last, complex_dtype)
    rest = x[first : last + 1]
    return concatenate([_eigenvalues(rest), at_zero]) if rest.shape[0] > 1 else at_zero


def _eigenvalues(x: Any) -> Any:
    """The roots of a polynomial whose leading coefficient is not zero."""
    n = x.shape[0] - 1
    companion = diag(as_array(np.ones(n - 1).astype(x.dtype)), -1) if n > 1 else zeros((1, 1), x.dtype)
    return linalg.eigvals(companion.at[0].set(-x[1:] / x[0]))


def _with_gaps(x: Any, complex_dtype: Any) -> Any:
    n = x.shape[0]
    leading = reductions.sum(reductions.cumsum(x != 0) == 0)
    # Shifted to the front, a polynomial has as many more roots at zero as it had leading zeros: the last by size.
    shifted = take(x, arange(n) + leading, 0, mode="fill", fill_value=0)
    found = _eigenvalues(shifted)
    found = found[argsort(-abs(found))]
    return choose(arange(n - 1) < n - 1 - leading, found, np.asarray(complex(np.nan, np.nan), complex_dtype))
