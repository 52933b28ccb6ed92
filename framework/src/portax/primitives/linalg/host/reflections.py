"""Householder's reflections: QR, and the forms a matrix takes when reflections are applied from both sides.

A reflection is ``I - tau v v^H``, with ``v`` 1 at its first place and its other elements stored where they made zeros.
Several of them in turn are ``I - V T V^H`` with a triangular ``T``, which is how they are applied.

References
----------
Golub and Van Loan, Matrix Computations, fourth edition, 2013, sections 5.1, 5.2, 5.4, 7.4 and 8.3; Schreiber and Van
Loan, A storage-efficient WY representation for products of Householder transformations, SIAM J. Sci. Stat. Comput. 10,
1989.
"""

from __future__ import annotations

import numpy as np

from portax.primitives.linalg.matrices import in_a_row, widened


def _adjoint(x: np.ndarray) -> np.ndarray:
    return np.conj(np.swapaxes(x, -1, -2))


def reflector(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(v, tau, beta)`` with ``(I - conj(tau) v v^H) x = beta e_1``, beta real, for each vector of a stack.

    Its sign is chosen against that of the first element, so nothing cancels; where there is nothing to make zero,
    tau is 0.
    """
    alpha = x[..., 0]
    # The scale keeps squares within range.
    scale = np.max(np.abs(x), axis=-1, initial=0.0)
    scale = np.where((scale == 0) | ~np.isfinite(scale), 1.0, scale)
    tail = x[..., 1:] / scale[..., None]
    rest = np.sqrt(np.sum(np.abs(tail) ** 2, axis=-1)) * scale
    first = np.real(alpha)
    none = (rest == 0) & (np.imag(alpha) == 0)
    beta = -np.copysign(np.hypot(np.abs(alpha), rest), first)
    beta = np.where(none, first, beta)
    safe = np.where(none, 1.0, beta)
    tau = np.where(none, 0.0, (safe - alpha) / safe)
    v = np.array(x)
    v[..., 0] = 1.0
    v[..., 1:] = np.where(none[..., None], 0.0, x[..., 1:] / np.where(none, 1.0, alpha - safe)[..., None])
    return v, tau.astype(x.dtype), beta


def _reflect_left(x: np.ndarray, v: np.ndarray, tau: np.ndarray) -> None:
    """``x = (I - tau v v^H) x`` in place."""
    x -= (tau[..., None] * v)[..., None] * (np.conj(v)[..., None, :] @ x)


def _reflect_right(x: np.ndarray, v: np.ndarray, tau: np.ndarray) -> None:
    """``x = x (I - tau v v^H)`` in place."""
    x -= (x @ v[..., None]) * (tau[..., None] * np.conj(v))[..., None, :]


def qr_factors(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(packed, taus)`` with R in the upper triangle and the reflections below it, by NumPy's LAPACK."""
    m, n = a.shape[-2:]
    if not a.size:
        return widened(a), np.zeros((*a.shape[:-2], min(m, n)), widened(a).dtype)
    packed, taus = np.linalg.qr(widened(a), mode="raw")
    return np.swapaxes(packed, -1, -2), taus


def pivoted_qr(a: np.ndarray, front: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(packed, taus, order)`` of the matrix with its columns in that order: the longest that is left comes next.

    Columns whose number in ``front`` is not 0 come first.
    """
    lead, (m, n) = a.shape[:-2], a.shape[-2:]
    x = np.array(in_a_row(widened(a), 2))
    k, every = min(m, n), np.arange(x.shape[0])
    taus = np.zeros((x.shape[0], k), x.dtype)
    order = np.tile(np.arange(n, dtype=np.int32), (x.shape[0], 1))
    fixed = np.zeros(x.shape[0], int)
    if front is not None:
        for j, chosen in enumerate(np.moveaxis(in_a_row(front, 1) != 0, -1, 0)):
            place = np.where(chosen, fixed, j)
            x[every, :, place], x[every, :, j] = x[every, :, j], x[every, :, place]
            order[every, place], order[every, j] = order[every, j], order[every, place]
            fixed += chosen
    for i in range(k if x.size else 0):
        lengths = np.sqrt(np.sum(np.abs(x[:, i:, i:]) ** 2, axis=1))
        best = np.where(i < fixed, i, i + np.argmax(lengths, axis=1))
        x[every, :, best], x[every, :, i] = x[every, :, i], x[every, :, best]
        order[every, best], order[every, i] = order[every, i], order[every, best]
        v, tau, beta = reflector(x[:, i:, i])
        _reflect_left(x[:, i:, i + 1 :], v, np.conj(tau))
        x[:, i + 1 :, i], x[:, i, i], taus[:, i] = v[:, 1:], beta, tau
    return x.reshape(*lead, m, n), taus.reshape(*lead, k), order.reshape(*lead, n)


def _block(a: np.ndarray, taus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(V, T)`` of the reflections stored below the diagonal of ``a``."""
    k, m = taus.shape[-1], a.shape[-2]
    v = np.tril(widened(a)[..., :k], -1) + np.eye(m, k)
    taus = widened(taus).astype(v.dtype)
    crossed = _adjoint(v) @ v
    t = np.zeros((*taus.shape, k), v.dtype)
    for i in range(k):
        t[..., i, i] = taus[..., i]
        if i:
            t[..., :i, i] = -taus[..., i, None] * (t[..., :i, :i] @ crossed[..., :i, i, None])[..., 0]
    return v, t


def reflectors_product(a: np.ndarray, taus: np.ndarray) -> np.ndarray:
    """The first columns, as many as ``a`` has, of the product of the reflections."""
    m, n = a.shape[-2:]
    v, t = _block(a, taus)
    return np.eye(m, n) - v @ (t @ _adjoint(v[..., :n, :]))


def apply_reflectors(a: np.ndarray, taus: np.ndarray, c: np.ndarray, left: bool, adjoint: bool) -> np.ndarray:
    """``c`` times the product of the reflections, or its adjoint, from the left or the right."""
    v, t = _block(a, taus)
    c = widened(c)
    t = _adjoint(t) if adjoint else t
    if left:
        return c - v @ (t @ (_adjoint(v) @ c))
    return c - ((c @ v) @ t) @ _adjoint(v)


def hessenberg(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(packed, taus)``: zero below the first subdiagonal but for the reflections kept there."""
    x = np.array(widened(a))
    n = x.shape[-1]
    taus = np.zeros((*x.shape[:-2], max(n - 1, 0)), x.dtype)
    for i in range(n - 1):
        v, tau, beta = reflector(x[..., i + 1 :, i])
        _reflect_right(x[..., :, i + 1 :], v, tau)
        _reflect_left(x[..., i + 1 :, i + 1 :], v, np.conj(tau))
        x[..., i + 2 :, i], x[..., i + 1, i], taus[..., i] = v[..., 1:], beta, tau
    return x, taus


def tridiagonal(a: np.ndarray, lower: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``(packed, d, e, taus)`` of Hermitian matrices, of which one triangle is read and overwritten."""
    kept = np.array(widened(a))
    x = _whole(kept, lower)
    n = x.shape[-1]
    taus = np.zeros((*x.shape[:-2], max(n - 1, 0)), x.dtype)
    e = np.zeros(taus.shape)
    for i in range(n - 1):
        if lower:
            v, tau, beta = reflector(x[..., i + 1 :, i])
            rest = x[..., i + 1 :, i + 1 :]
            kept[..., i + 2 :, i], kept[..., i + 1, i] = v[..., 1:], beta
            where = i
        else:  # from the last column up, the vector's 1 being its last element
            j = n - 1 - i
            v, tau, beta = reflector(x[..., j - 1 :: -1, j] if j > 0 else x[..., :0, j])
            v = v[..., ::-1]
            rest = x[..., :j, :j]
            kept[..., : j - 1, j], kept[..., j - 1, j] = v[..., :-1], beta
            where = j - 1
        _reflect_left(rest, v, np.conj(tau))
        _reflect_right(rest, v, tau)
        e[..., where], taus[..., where] = beta, tau
    d = np.real(np.diagonal(x, axis1=-2, axis2=-1)).copy()
    kept[..., np.arange(n), np.arange(n)] = d
    return kept, d, e, taus


def _whole(x: np.ndarray, lower: bool) -> np.ndarray:
    """The Hermitian matrix of which ``x`` holds one triangle."""
    half = np.tril(x, -1) if lower else np.triu(x, 1)
    n = x.shape[-1]
    return half + _adjoint(half) + np.real(np.diagonal(x, axis1=-2, axis2=-1))[..., None] * np.eye(n)
