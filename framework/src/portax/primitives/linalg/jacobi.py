"""Jacobi's rotations: eigenvalues and singular values by turning pairs of columns until nothing is left to turn.

For devices that have no LAPACK. The columns stand in two rows of equal length; in a round each column of the upper row
is turned with the one below it, all pairs at once, and then all but the first move on by one place, so that in a sweep
of rounds every two have met once and all stand where they began. An odd number of columns is filled up with one of
zeros, which nothing turns.

References
----------
Brent and Luk, The solution of singular-value and symmetric eigenvalue problems on multiprocessor arrays, SIAM J. Sci.
Stat. Comput. 6, 1985; Golub and Van Loan, Matrix Computations, fourth edition, 2013, sections 8.5 and 8.6.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.primitives.arithmetic import abs_, add, div, mul, neg, sqrt, sub
from portax.primitives.broadcasting import broadcast_to, reduce_sum
from portax.primitives.comparison import eq, gt, lt
from portax.primitives.complex_parts import real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg.matrices import (
    adjoint,
    conjugate,
    count,
    eye,
    fori,
    hermitian,
    loop_while,
    on_diagonal,
    scale_columns,
    squares,
    take_columns,
    triu,
)
from portax.primitives.linalg.qr import geqrf, householder_product
from portax.primitives.reductions import reduce_max
from portax.primitives.slicing import concatenate, part
from portax.primitives.sorting import sort
from portax.primitives.zeros import zeros

#: Sweeps after which it ends in any case; six to ten are needed.
_SWEEPS = 24


def eigh(x: Any, lower: bool) -> tuple[Any, Any]:
    """``(vectors, values)`` of Hermitian matrices, of which one triangle is read; the values ascend."""
    aval = aval_of(x)
    n, dtype = aval.shape[-1], aval.dtype
    if not aval.size:
        w = real(x) if dtype.kind == "c" else x
        return x, zeros(Aval(aval.shape[:-1], w.dtype))
    x = hermitian(x, lower)
    half = (n + 1) // 2
    x = _filled(x, 2 * half, 2 * half)
    vectors = eye(x, n, 2 * half)
    total = _sum(squares(x))

    def not_done(x: Any, v: Any) -> Any:
        off = where(on_diagonal(aval_of(x).shape), np.zeros((), total.dtype), squares(x))
        small = mul(total, np.asarray(np.finfo(total.dtype).eps ** 2, total.dtype))
        return _any(gt(_sum(off), small))

    def sweep(_: Any, x: Any, v: Any) -> tuple[Any, Any]:
        return fori(2 * half - 1, round_, (x, v))

    def round_(_: Any, x: Any, v: Any) -> tuple[Any, Any]:
        a, d = _halves(_real_diagonal(x), half, -1)
        b = _diagonal(_halves(_halves(x, half, -2)[0], half, -1)[1])
        c, s = _rotation(a, b, d)
        x = _turned_columns(x, c, s, half)
        x = adjoint(_turned_columns(adjoint(x), c, s, half))
        return _next_columns(adjoint(_next_columns(adjoint(x), half)), half), _next_columns(
            _turned_columns(v, c, s, half), half
        )

    x, vectors = loop_while(not_done, _SWEEPS, sweep, (x, vectors))
    last = aval_of(x).ndim - 2
    w = part(_real_diagonal(x), last, 0, n)
    vectors = part(vectors, last + 1, 0, n)
    places = broadcast_to(count(n), aval_of(w).shape)
    w, order = sort(w, places, dimension=last, is_stable=True, num_keys=1)
    return take_columns(vectors, order), w


def svd(x: Any, full: bool) -> tuple[Any, Any, Any]:
    """``(values, left, right)``: ``x = left diag(values) right^H``, the values descending.

    ``left`` has as many columns as rows where ``full``, and so has ``right``.
    """
    aval = aval_of(x)
    m, n = aval.shape[-2:]
    if m < n:
        s, right, left = svd(adjoint(x), full)
        return s, left, right
    if not aval.size:
        s = zeros(Aval((*aval.shape[:-2], n), (real(x) if aval.dtype.kind == "c" else x).dtype))
        return s, eye(x, m, m if full else n), eye(x, n, n)
    half = (n + 1) // 2
    x = _filled(x, m, 2 * half)
    v = eye(x, n, 2 * half)
    axis = aval.ndim - 2

    def products(x: Any) -> tuple[Any, Any, Any]:
        one, two = _halves(x, half, -1)
        inner = reduce_sum(mul(conjugate(one), two), axes=(axis,))
        return *(reduce_sum(squares(y), axes=(axis,)) for y in (one, two)), inner

    def round_(_: Any, x: Any, v: Any, worst: Any) -> tuple[Any, ...]:
        a, d, b = products(x)
        c, s = _rotation(a, b, d)
        length = sqrt(mul(a, d))
        size = div(abs_(b), where(eq(length, zeros(Aval(length.shape, length.dtype))), np.ones((), a.dtype), length))
        worst = where(gt(_max(size), worst), _max(size), worst)
        return *(_next_columns(_turned_columns(y, c, s, half), half) for y in (x, v)), worst

    def sweep(_: Any, x: Any, v: Any, worst: Any) -> tuple[Any, ...]:
        return fori(2 * half - 1, round_, (x, v, np.zeros((), dtype)))

    dtype = real(x).dtype if aval.dtype.kind == "c" else x.dtype
    enough = np.asarray(np.finfo(dtype).eps, dtype)
    x, v, _ = loop_while(lambda x, v, worst: gt(worst, enough), _SWEEPS, sweep, (x, v, np.ones((), dtype)))
    x, v = part(x, axis + 1, 0, n), part(v, axis + 1, 0, n)
    lengths = sqrt(reduce_sum(squares(x), axes=(axis,)))
    _, order = sort(neg(lengths), broadcast_to(count(n), lengths.shape), dimension=axis, is_stable=True, num_keys=1)
    x, v = take_columns(x, order), take_columns(v, order)
    # The columns are orthogonal: their factors are a diagonal of lengths, and columns that complete the short ones.
    packed, taus = geqrf(x)
    k = m if full else n
    if k > n:
        packed_wide = concatenate(packed, zeros(Aval((*aval.shape[:-2], m, k - n), aval.dtype)), dimension=axis + 1)
    else:
        packed_wide = packed
    left = householder_product(packed_wide, taus)
    signs = _diagonal(triu(part(packed, axis, 0, n)))
    values = abs_(signs)
    turned = lt(real(signs) if aval.dtype.kind == "c" else signs, zeros(Aval(values.shape, dtype)))
    unit = where(turned, np.asarray(-1, aval.dtype), np.ones((), aval.dtype))
    if k > n:
        ones = broadcast_to(np.ones((), aval.dtype), (*aval.shape[:-2], k - n))
        unit = concatenate(unit, ones, dimension=axis)
    left = scale_columns(left, unit)
    _, order = sort(neg(values), broadcast_to(count(n), values.shape), dimension=axis, is_stable=True, num_keys=1)
    tail = [broadcast_to(add(count(k - n), np.asarray(n, np.int32)), (*aval.shape[:-2], k - n))] if k > n else []
    wide = concatenate(order, *tail, dimension=axis) if tail else order
    values = neg(sort(neg(values), dimension=axis, is_stable=True, num_keys=1)[0])
    return values, take_columns(left, wide), take_columns(v, order)


def _rotation(a: Any, b: Any, d: Any) -> tuple[Any, Any]:
    """``(c, s)``: the rotation ``[[c, s], [-conj(s), c]]`` that makes ``[[a, b], [conj(b), d]]`` diagonal."""
    size = abs_(b)
    none = eq(size, zeros(Aval(size.shape, size.dtype)))
    one = np.ones((), size.dtype)
    safe = where(none, one, size)
    tau = div(sub(d, a), add(safe, safe))
    root = sqrt(add(mul(tau, tau), broadcast_to(one, tau.shape)))
    t = div(broadcast_to(one, tau.shape), add(abs_(tau), root))
    t = where(lt(tau, zeros(Aval(tau.shape, tau.dtype))), neg(t), t)
    c = div(broadcast_to(one, t.shape), sqrt(add(mul(t, t), broadcast_to(one, t.shape))))
    s = mul(convert(mul(t, c), b.dtype), div(b, convert(safe, b.dtype)))
    return convert(where(none, one, c), b.dtype), where(none, np.zeros((), b.dtype), s)


def _turned_columns(x: Any, c: Any, s: Any, half: int) -> Any:
    """``x`` times the rotations of its pairs of columns."""
    one, two = _halves(x, half, -1)
    first = sub(scale_columns(one, c), scale_columns(two, conjugate(s)))
    second = add(scale_columns(one, s), scale_columns(two, c))
    return concatenate(first, second, dimension=aval_of(x).ndim - 1)


def _next_columns(x: Any, half: int) -> Any:
    """Every column but the first moves on by a place: along the upper row, and back along the lower."""
    if half == 1:
        return x
    axis = aval_of(x).ndim - 1
    one, two = _halves(x, half, -1)
    return concatenate(
        part(one, axis, 0, 1), part(two, axis, 0, 1), part(one, axis, 1, half - 1), part(two, axis, 1, half),
        part(one, axis, half - 1, half), dimension=axis,
    )  # fmt: skip


def _halves(x: Any, half: int, axis: int) -> tuple[Any, Any]:
    axis += aval_of(x).ndim
    return part(x, axis, 0, half), part(x, axis, half, 2 * half)


def _filled(x: Any, m: int, n: int) -> Any:
    """``x`` with zeros below and to the right up to ``m`` rows and ``n`` columns."""
    for axis, length in ((-1, n), (-2, m)):
        shape = list(aval_of(x).shape)
        if shape[axis] < length:
            shape[axis] = length - shape[axis]
            x = concatenate(x, zeros(Aval(tuple(shape), aval_of(x).dtype)), dimension=len(shape) + axis)
    return x


def _diagonal(x: Any) -> Any:
    shape = aval_of(x).shape
    return reduce_sum(where(on_diagonal(shape), x, np.zeros((), aval_of(x).dtype)), axes=(len(shape) - 2,))


def _real_diagonal(x: Any) -> Any:
    found = _diagonal(x)
    return real(found) if aval_of(found).dtype.kind == "c" else found


def _sum(x: Any) -> Any:
    n = aval_of(x).ndim
    return reduce_sum(x, axes=(n - 2, n - 1))


def _max(x: Any) -> Any:
    return reduce_max(x, axes=tuple(range(aval_of(x).ndim)))


def _any(x: Any) -> Any:
    return _max(x) if aval_of(x).ndim else x
