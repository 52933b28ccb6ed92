"""Substitution and elimination: triangular systems, LU with row exchanges, tridiagonal systems.

References
----------
Golub and Van Loan, Matrix Computations, fourth edition, 2013, sections 3.1 to 3.4 and 4.3.
"""

from __future__ import annotations

import numpy as np

from portax.primitives.linalg.matrices import in_a_row, widened

#: Below this many rows a triangle is solved row by row, above it in two halves joined by a product.
_FEW = 24
#: Columns that are eliminated one by one before the rest of the matrix hears of it.
_PANEL = 32


def solve_triangular(a: np.ndarray, b: np.ndarray, lower: bool, unit_diagonal: bool) -> np.ndarray:
    """The ``x`` with ``a x = b``, in the wide dtype; one triangle of ``a`` is read."""
    x = np.array(widened(b), order="C")
    if x.size:
        _substitute(widened(a), x, lower, unit_diagonal)
    return x


def _substitute(a: np.ndarray, x: np.ndarray, lower: bool, unit: bool) -> None:
    n = a.shape[-1]
    if n > _FEW:
        h = n // 2
        first, second = (slice(None, h), slice(h, None))[:: 1 if lower else -1]
        _substitute(a[..., first, first], x[..., first, :], lower, unit)
        x[..., second, :] -= a[..., second, first] @ x[..., first, :]
        _substitute(a[..., second, second], x[..., second, :], lower, unit)
        return
    for i in range(n) if lower else range(n - 1, -1, -1):
        known = slice(None, i) if lower else slice(i + 1, None)
        if 0 < i < n - 1 or (n > 1 and (i > 0) == lower):
            x[..., i, :] -= (a[..., i : i + 1, known] @ x[..., known, :])[..., 0, :]
        if not unit:
            x[..., i, :] /= a[..., i, i, None]


def lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(factors, pivots)``: both triangles in one matrix, and with which row each row was exchanged, in turn.

    The greatest element of a column leads, a complex one by the sum of its parts' magnitudes, as in LAPACK.
    """
    lead, (m, n) = a.shape[:-2], a.shape[-2:]
    x = np.array(in_a_row(widened(a), 2))
    k, every = min(m, n), np.arange(x.shape[0])
    pivots = np.zeros((x.shape[0], k), np.int32)
    for start in range(0, k, _PANEL):
        stop = min(start + _PANEL, k)
        for j in range(start, stop):
            column = x[:, j:, j]
            size = _size(column)
            best = j + np.argmax(size, axis=1) if every.size else np.zeros(0, int)
            pivots[:, j] = best
            x[every, best], x[every, j] = x[every, j], x[every, best]
            pivot = x[:, j, j, None]
            x[:, j + 1 :, j] /= np.where(pivot == 0, 1, pivot)
            x[:, j + 1 :, j + 1 : stop] -= x[:, j + 1 :, j, None] * x[:, j, None, j + 1 : stop]
        if stop < n:
            right = x[:, start:stop, stop:]
            right[...] = solve_triangular(x[:, start:stop, start:stop], right, True, True)
            x[:, stop:, stop:] -= x[:, stop:, start:stop] @ right
    return x.reshape(*lead, m, n), pivots.reshape(*lead, k)


def permutation(pivots: np.ndarray, size: int) -> np.ndarray:
    """The order of rows that exchanges in turn lead to."""
    flat = in_a_row(pivots, 1)
    every = np.arange(flat.shape[0])
    out = np.tile(np.arange(size, dtype=np.int32), (flat.shape[0], 1))
    for i in range(flat.shape[1]):
        other = flat[:, i]
        out[every, i], out[every, other] = out[every, other], out[every, i]
    return out.reshape(*pivots.shape[:-1], size)


def solve_tridiagonal(
    dl: np.ndarray, d: np.ndarray, du: np.ndarray, b: np.ndarray, eps: float | None = None
) -> np.ndarray:
    """The ``x`` with ``A x = b``, where ``A`` has three diagonals: elimination with exchanges of neighbouring rows.

    NaN where ``A`` is singular; with ``eps``, pivots are at least that times the greatest element that is left.
    """
    n = d.shape[-1]
    lower, diagonal, upper, x = (np.array(widened(v)) for v in (dl, d, du, b))
    second = np.zeros_like(upper)  # what an exchange brings in, two places beside the diagonal
    for i in range(n - 1):
        # Row i is (diagonal[i], upper[i], second[i]), row i + 1 is (lower[i + 1], diagonal[i + 1], upper[i + 1]).
        swap = _size(lower[..., i + 1]) > _size(diagonal[..., i])
        under = (lower[..., i + 1].copy(), diagonal[..., i + 1].copy(), upper[..., i + 1].copy())
        own = (diagonal[..., i].copy(), upper[..., i].copy(), np.zeros_like(upper[..., i]))
        top = [np.where(swap, u, o) for u, o in zip(under, own, strict=True)]
        rest = [np.where(swap, o, u) for u, o in zip(under, own, strict=True)]
        factor = np.where(rest[0] == 0, 0, rest[0] / top[0])
        diagonal[..., i], upper[..., i], second[..., i] = top
        diagonal[..., i + 1] = rest[1] - factor * top[1]
        upper[..., i + 1] = rest[2] - factor * top[2]
        row, next_row = x[..., i, :].copy(), x[..., i + 1, :].copy()
        x[..., i, :] = np.where(swap[..., None], next_row, row)
        x[..., i + 1, :] = np.where(swap[..., None], row, next_row) - factor[..., None] * x[..., i, :]
    upper[..., n - 1 :] = 0
    if eps is None:
        diagonal[np.any(diagonal == 0, axis=-1)] = np.nan
    else:
        left = np.maximum(np.maximum(np.abs(diagonal), np.abs(upper)), np.abs(second))
        least = eps * np.max(left, axis=-1, keepdims=True, initial=0.0)
        diagonal = np.where(np.abs(diagonal) < least, np.where(np.real(diagonal) < 0, -least, least), diagonal)
    for i in range(n - 1, -1, -1):
        if i + 1 < n:
            x[..., i, :] -= upper[..., i, None] * x[..., i + 1, :]
        if i + 2 < n:
            x[..., i, :] -= second[..., i, None] * x[..., i + 2, :]
        x[..., i, :] /= diagonal[..., i, None]
    return x


def _size(x: np.ndarray) -> np.ndarray:
    return np.abs(np.real(x)) + np.abs(np.imag(x)) if x.dtype.kind == "c" else np.abs(x)
