"""Schur forms and eigenvectors of general matrices in other primitives, for devices that have no LAPACK.

A matrix is brought to Hessenberg form by reflections, and then QR steps chase a bulge along its subdiagonal until it
has fallen apart: two rows at a time with one shift where numbers are complex, three with a pair of shifts where they
are real. Each matrix falls apart in its own way, so those of a stack are done one after the other.

References
----------
Golub and Van Loan, Matrix Computations, fourth edition, 2013, sections 7.5 and 7.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.primitives.arithmetic import abs_, add, div, max_, min_, mul, neg, rem, sqrt, sub
from portax.primitives.bits import and_, not_, or_
from portax.primitives.broadcasting import broadcast_to, reduce_sum, reshape
from portax.primitives.comparison import eq, ge, gt, le, lt, ne
from portax.primitives.complex_parts import imag, real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.dynamic_slicing import dynamic_slice, dynamic_update_slice
from portax.primitives.linalg.matrices import (
    COMPLEX,
    INT32,
    adjoint,
    as_columns,
    as_rows,
    conjugate,
    count,
    eye,
    fori,
    line,
    matmul,
    on_diagonal,
    places,
    scalar,
    scale_columns,
    squares,
    triu,
    with_line,
)
from portax.primitives.linalg.qr import householder_product
from portax.primitives.linalg.schur import hessenberg
from portax.primitives.reductions import argmax, reduce_max
from portax.primitives.slicing import concatenate, part
from portax.primitives.terms import loops
from portax.primitives.zeros import zeros

_STEPS, _TIRED = 30, 10


def schur(x: Any) -> list[Any]:
    """``[T, Z]``."""
    aval = aval_of(x)
    n = aval.shape[-1]
    if not aval.size:
        return [x, x]
    flat = (math.prod(aval.shape[:-2]), n, n)
    h, z = _hessenberg(reshape(x, new_sizes=flat, dimensions=None))
    steps = _complex_steps if aval.dtype.kind == "c" else _real_steps

    def one(i: Any, h: Any, z: Any) -> tuple[Any, Any]:
        own = [reshape(line(y, i, -3), new_sizes=(n, n), dimensions=None) for y in (h, z)]
        done = steps(*own)
        return tuple(  # pyright: ignore[reportReturnType]
            with_line(y, reshape(d, new_sizes=(1, n, n), dimensions=None), i, -3)
            for y, d in zip((h, z), done, strict=True)
        )

    return [reshape(y, new_sizes=aval.shape, dimensions=None) for y in fori(flat[0], one, (h, z))]


def eig(x: Any, left: bool, right: bool) -> list[Any]:
    """``[w]``, and the left and right eigenvectors where asked for."""
    aval = aval_of(x)
    dtype = COMPLEX[aval.dtype.name]
    x = convert(x, dtype)
    n = aval.shape[-1]
    if not aval.size:
        return [reshape(x, new_sizes=aval.shape[:-1], dimensions=None), *[x] * (left + right)]
    t, z = schur(x)
    on = on_diagonal(aval.shape)
    w = reduce_sum(where(on, t, np.zeros((), dtype)), axes=(aval.ndim - 2,))
    greatest = reduce_max(abs_(t), axes=(aval.ndim - 2, aval.ndim - 1))
    least = mul(greatest, scalar(greatest, np.finfo(dtype).eps))
    least = max_(least, scalar(least, np.finfo(dtype).tiny))
    least = broadcast_to(reshape(least, new_sizes=(*aval.shape[:-2], 1, 1), dimensions=None), (*aval.shape[:-2], 1, n))
    found = [w]
    if left:
        found.append(_normal(matmul(z, _vectors(adjoint(t), conjugate(w), least, lower=True))))
    if right:
        found.append(_normal(matmul(z, _vectors(t, w, least, lower=False))))
    return found


def _vectors(t: Any, w: Any, least: Any, lower: bool) -> Any:
    """The eigenvectors of triangular matrices with the diagonals ``w``, one elementwise 1, by substitution."""
    aval = aval_of(t)
    n, dtype = aval.shape[-1], aval.dtype
    row = (*aval.shape[:-2], 1, n)
    values = reshape(w, new_sizes=row, dimensions=None)

    def step(k: Any, x: Any) -> tuple[Any]:
        r = k if lower else sub(np.asarray(n - 1, INT32), k)
        gap = sub(values, broadcast_to(line(line(t, r, -2), r, -1), row))
        gap = where(lt(abs_(gap), least), convert(least, dtype), gap)
        found = div(matmul(line(t, r, -2), x), gap)
        at, column = broadcast_to(r, row), places(row, -1)
        mine = lt(column, at) if lower else gt(column, at)
        own = where(eq(column, at), np.ones((), dtype), np.zeros((), dtype))
        return (with_line(x, where(mine, found, own), r, -2),)

    return fori(n, step, (zeros(Aval(aval.shape, dtype)),))[0]


def _normal(v: Any) -> Any:
    """Columns of length 1 whose greatest elements are real."""
    shape, rank = aval_of(v).shape, aval_of(v).ndim
    most = reduce_max(abs_(v), axes=(rank - 2,))
    v = scale_columns(v, convert(div(scalar(most, 1), most), aval_of(v).dtype))
    length = sqrt(reduce_sum(squares(v), axes=(rank - 2,)))
    greatest = argmax(squares(v), axes=(rank - 2,), index_dtype=INT32)
    here = eq(places(shape, -2), as_columns(greatest, shape[-2]))
    element = reduce_sum(where(here, v, np.zeros((), v.dtype)), axes=(rank - 2,))
    turn = div(conjugate(element), convert(mul(abs_(element), length), v.dtype))
    v = scale_columns(v, turn)
    return where(here, convert(real(v), v.dtype), v)


def _hessenberg(x: Any) -> tuple[Any, Any]:
    """``(H, Q)``, unpacked."""
    aval = aval_of(x)
    n = aval.shape[-1]
    packed, taus = hessenberg(x)
    if n < 2:
        return x, eye(x, n, n)
    low = part(part(packed, aval.ndim - 2, 1, n), aval.ndim - 1, 0, n - 1)
    q = householder_product(low, taus)
    first = part(eye(x, n, n), aval.ndim - 1, 0, 1)
    rest = concatenate(part(eye(x, n, n), aval.ndim - 2, 0, 1), eye(x, n, n), dimension=aval.ndim - 2)
    above = part(part(rest, aval.ndim - 2, 0, 1), aval.ndim - 1, 1, n)
    q = concatenate(first, concatenate(above, q, dimension=aval.ndim - 2), dimension=aval.ndim - 1)
    return triu(packed, -1), q


# -- the steps of one matrix ------------------------------------------------------------------------------------------
def _int(value: int) -> Any:
    return np.asarray(value, INT32)


def _at(h: Any, i: Any, j: Any) -> Any:
    return reshape(dynamic_slice(h, i, j, slice_sizes=(1, 1)), new_sizes=(), dimensions=None)


def _cut(h: Any, last: Any) -> tuple[Any, Any]:
    """``(h, first)``: with zeros for what does not count on the subdiagonal; from which row on the last stand alone."""
    aval = aval_of(h)
    n = aval.shape[-1]
    size = abs_(h)
    on, under = on_diagonal(aval.shape), eq(places(aval.shape, -2), add(places(aval.shape, -1), scalar_int(aval, 1)))
    none = np.zeros((), size.dtype)
    diagonal = reduce_sum(where(on, size, none), axes=(1,))
    joint = reduce_sum(where(under, size, none), axes=(1,))
    before = concatenate(np.zeros(1, size.dtype), part(diagonal, 0, 0, n - 1), dimension=0)
    near = add(diagonal, before)
    small = le(joint, mul(near, scalar(near, np.finfo(aval.dtype).eps)))
    place = count(n)
    counts = and_(small, le(place, broadcast_to(last, (n,))))
    first = reduce_max(where(counts, place, _int(0)), axes=(0,))
    off = and_(under, as_rows(small, n))
    return where(off, np.zeros((), aval.dtype), h), first


def scalar_int(aval: Aval, value: int) -> Any:
    """A number spread to the shape of an array, int32."""
    return broadcast_to(_int(value), aval.shape)


def _run(h: Any, z: Any, step: Callable[..., tuple[Any, ...]]) -> tuple[Any, Any]:
    """``step(h, z, last, tired)`` until all rows have fallen off; NaN where they do not."""
    n = aval_of(h).shape[-1]

    def going(c: Any) -> Any:
        return and_(gt(c[2], _int(0)), lt(c[4], _int(_STEPS * max(10, n))))

    def body(c: Any) -> Any:
        h, z, last, tired, total = c
        return *step(h, z, last, add(tired, _int(1))), add(total, _int(1))

    h, z, last, _, _ = loops["while"](going, body, (h, z, _int(n - 1), _int(0), _int(0)))
    bad = gt(last, _int(0))
    dtype = aval_of(h).dtype
    nan = np.asarray(complex(np.nan, np.nan) if dtype.kind == "c" else np.nan, dtype)
    return where(bad, nan, h), where(bad, nan, z)


def _loop(start: Any, stop: Any, body: Callable[..., tuple[Any, ...]], init: tuple[Any, ...]) -> tuple[Any, ...]:
    out = loops["while"](
        lambda c: lt(c[0], stop), lambda c: (add(c[0], _int(1)), *body(c[0], *c[1:])), (start, *init)
    )
    return tuple(out[1:])


def _rows(h: Any, k: Any, many: int, turn: Any) -> Any:
    """``h`` with ``many`` rows from ``k`` on multiplied by ``turn``."""
    n = aval_of(h).shape[-1]
    own = dynamic_slice(h, k, _int(0), slice_sizes=(many, n))
    return dynamic_update_slice(h, matmul(turn, own), k, _int(0))


def _columns(h: Any, k: Any, many: int, turn: Any) -> Any:
    m = aval_of(h).shape[-2]
    own = dynamic_slice(h, _int(0), k, slice_sizes=(m, many))
    return dynamic_update_slice(h, matmul(own, turn), _int(0), k)


def _matrix(rows: list[list[Any]]) -> Any:
    lines = [
        concatenate(*(reshape(x, new_sizes=(1, 1), dimensions=None) for x in row), dimension=1) for row in rows
    ]
    return concatenate(*lines, dimension=0)


def _complex_steps(h: Any, z: Any) -> tuple[Any, Any]:
    dtype = aval_of(h).dtype
    if aval_of(h).shape[-1] == 1:
        return h, z
    one, none = np.ones((), dtype), np.zeros((), dtype)
    half = np.asarray(0.5, dtype)

    def step(h: Any, z: Any, last: Any, tired: Any) -> tuple[Any, ...]:
        h, first = _cut(h, last)
        done = eq(first, last)
        before = max_(sub(last, _int(1)), _int(0))
        a, b, c, d = (_at(h, i, j) for i, j in ((before, before), (before, last), (last, before), (last, last)))
        # Of the eigenvalues of the last two rows, the one nearer to the last element.
        middle = mul(sub(a, d), half)
        root = sqrt(add(mul(middle, middle), mul(b, c)))
        along = add(mul(real(middle), real(root)), mul(imag(middle), imag(root)))
        root = where(lt(along, np.zeros((), along.dtype)), neg(root), root)
        below = add(middle, root)
        nothing = eq(below, none)
        shift = sub(d, where(nothing, none, div(mul(b, c), where(nothing, one, below))))
        odd = eq(rem(tired, _int(_TIRED)), _int(0))
        shift = where(odd, add(d, convert(abs_(c), dtype)), shift)

        def chase(k: Any, h: Any, z: Any) -> tuple[Any, Any]:
            after, previous = add(k, _int(1)), max_(sub(k, _int(1)), _int(0))
            start = eq(k, first)
            x = where(start, sub(_at(h, k, k), shift), _at(h, k, previous))
            y = where(start, _at(h, after, k), _at(h, after, previous))
            length = sqrt(add(squares(x), squares(y)))
            flat = eq(length, np.zeros((), length.dtype))
            safe = convert(where(flat, np.ones((), length.dtype), length), dtype)
            x, y = where(flat, one, div(x, safe)), where(flat, none, div(y, safe))
            turn = _matrix([[conjugate(x), conjugate(y)], [neg(y), x]])
            back = adjoint(turn)
            h = _columns(_rows(h, k, 2, turn), k, 2, back)
            # What the rotation made zero is zero.
            shape = aval_of(h).shape
            row, column = places(shape, -2), places(shape, -1)
            at = and_(eq(row, broadcast_to(after, shape)), eq(column, broadcast_to(previous, shape)))
            h = where(and_(at, broadcast_to(not_(start), shape)), none, h)
            return h, _columns(z, k, 2, back)

        h, z = _loop(first, last, chase, (h, z))
        return h, z, where(done, sub(last, _int(1)), last), where(done, _int(0), tired)

    h, z = _run(h, z, step)
    return triu(h), z


def _real_steps(h: Any, z: Any) -> tuple[Any, Any]:
    n, dtype = aval_of(h).shape[-1], aval_of(h).dtype
    if n == 1:
        return h, z
    one, none = np.ones((), dtype), np.zeros((), dtype)
    # A row and a column of zeros past the end, so that three rows may be taken wherever two are left.
    h = concatenate(h, np.zeros((n, 1), dtype), dimension=1)
    h = concatenate(h, np.zeros((1, n + 1), dtype), dimension=0)
    z = concatenate(z, np.zeros((n, 1), dtype), dimension=1)

    def step(h: Any, z: Any, last: Any, tired: Any) -> tuple[Any, ...]:
        h, first = _cut(h, last)
        before = max_(sub(last, _int(1)), _int(0))
        single, pair = eq(first, last), eq(first, before)
        a, b, c, d = (_at(h, i, j) for i, j in ((before, before), (before, last), (last, before), (last, last)))
        total, det = add(a, d), sub(mul(a, d), mul(b, c))
        odd = eq(rem(tired, _int(_TIRED)), _int(0))
        s = abs_(c)
        total = where(odd, mul(np.asarray(1.5, dtype), add(s, d)), total)
        det = where(odd, add(mul(add(s, d), add(s, d)), mul(s, s)), det)
        # The first column of h h - total h + det.
        i1, i2 = (min_(add(first, _int(k)), _int(n)) for k in (1, 2))
        f00, f01, f10, f11, f21 = (
            _at(h, i, j) for i, j in ((first, first), (first, i1), (i1, first), (i1, i1), (i2, i1))
        )
        start = (
            add(sub(add(mul(f00, f00), mul(f01, f10)), mul(total, f00)), det),
            mul(f10, sub(add(f00, f11), total)),
            mul(f10, f21),
        )

        def chase(k: Any, h: Any, z: Any) -> tuple[Any, Any]:
            previous, begins = max_(sub(k, _int(1)), _int(0)), eq(k, first)
            u = [
                where(begins, s, _at(h, add(k, _int(i)), previous)) if i < 2 else
                where(begins, s, _at(h, min_(add(k, _int(2)), _int(n)), previous))
                for i, s in enumerate(start)
            ]  # fmt: skip
            u[2] = where(lt(add(k, _int(1)), last), u[2], none)
            scale = add(add(abs_(u[0]), abs_(u[1])), abs_(u[2]))
            flat = eq(add(abs_(u[1]), abs_(u[2])), none)
            safe = where(flat, one, scale)
            u = [div(y, safe) for y in u]
            length = sqrt(add(add(mul(u[0], u[0]), mul(u[1], u[1])), mul(u[2], u[2])))
            alpha = where(lt(u[0], none), neg(length), length)
            first_element = add(u[0], alpha)
            square = add(add(mul(first_element, first_element), mul(u[1], u[1])), mul(u[2], u[2]))
            v = [first_element, u[1], u[2]]
            factor = where(flat, none, div(np.asarray(2, dtype), where(flat, one, square)))
            turn = _matrix([
                [sub(one if i == j else none, mul(factor, mul(v[i], v[j]))) for j in range(3)] for i in range(3)
            ])  # fmt: skip
            # k + 2 <= n, for k < last < n.
            h = _columns(_rows(h, k, 3, turn), k, 3, turn)
            shape = aval_of(h).shape
            row, column = places(shape, -2), places(shape, -1)
            under = and_(gt(row, broadcast_to(k, shape)), le(row, broadcast_to(add(k, _int(2)), shape)))
            clear = and_(and_(under, eq(column, broadcast_to(previous, shape))), broadcast_to(not_(begins), shape))
            return where(clear, none, h), _columns(z, k, 3, turn)

        stop = where(or_(single, pair), first, last)
        h, z = _loop(first, stop, chase, (h, z))
        # Two rows that have fallen off take their standard form.
        turn, block = _standard(a, b, c, d)
        back = adjoint(turn)
        form, vectors = _columns(_rows(h, before, 2, turn), before, 2, back), _columns(z, before, 2, back)
        form = dynamic_update_slice(form, block, before, before)
        two = and_(pair, not_(single))
        h, z = where(two, form, h), where(two, vectors, z)
        done = or_(single, pair)
        return h, z, where(done, sub(first, _int(1)), last), where(done, _int(0), tired)

    h, z = _run(h, z, step)
    return triu(part(part(h, 0, 0, n), 1, 0, n), -1), part(z, 1, 0, n)


def _standard(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    """The rotation that brings a block of two rows to its standard form, and the form; see `host.schur.standard`."""
    dtype = aval_of(a).dtype
    zero, one, half = np.zeros((), dtype), np.ones((), dtype), np.asarray(0.5, dtype)

    def positive(x: Any) -> Any:  # the sign, that of 0 being 1
        return where(lt(x, zero), np.asarray(-1, dtype), one)

    gap = sub(a, d)
    p = mul(gap, half)
    big, small = max_(abs_(b), abs_(c)), mul(min_(abs_(b), abs_(c)), mul(positive(b), positive(c)))
    scale = max_(abs_(p), big)
    scale = where(eq(scale, zero), one, scale)
    disc = add(mul(div(p, scale), p), mul(div(big, scale), small))
    # Two real eigenvalues: w is the greater part of their distance.
    w = add(p, mul(positive(p), sqrt(mul(scale, max_(disc, zero)))))
    length = sqrt(add(mul(c, c), mul(w, w)))
    length = where(eq(length, zero), one, length)
    cos_r, sin_r = div(w, length), div(c, length)
    # Else equal diagonal elements.
    sigma = add(b, c)
    spread = sqrt(add(mul(sigma, sigma), mul(gap, gap)))
    spread = where(eq(spread, zero), one, spread)
    cos_c = sqrt(mul(half, add(one, div(abs_(sigma), spread))))
    sin_c = neg(mul(div(p, mul(spread, cos_c)), positive(sigma)))
    is_real = ge(disc, np.asarray(4 * np.finfo(dtype).eps, dtype))
    cos, sin = where(is_real, cos_r, cos_c), where(is_real, sin_r, sin_c)
    swap = and_(eq(b, zero), ne(c, zero))
    cos, sin = where(swap, zero, cos), where(swap, one, sin)
    ready = or_(eq(c, zero), and_(and_(eq(gap, zero), ne(positive(b), positive(c))), ne(b, zero)))
    cos, sin = where(ready, one, cos), where(ready, zero, sin)
    turn = _matrix([[cos, sin], [neg(sin), cos]])
    block = matmul(turn, matmul(_matrix([[a, b], [c, d]]), adjoint(turn)))
    a, b, c, d = (_at(block, _int(i), _int(j)) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    level = and_(and_(not_(is_real), not_(swap)), not_(ready))
    middle = mul(half, add(a, d))
    a, d = where(level, middle, a), where(level, middle, d)
    # Nearly equal ones may have off them numbers of one sign: then they are real after all.
    same = and_(and_(level, ne(c, zero)), eq(positive(b), positive(c)))
    root_b, root_c = sqrt(abs_(b)), sqrt(abs_(c))
    offset = mul(positive(c), mul(root_b, root_c))
    inverse = div(one, where(same, sqrt(abs_(add(b, c))), one))
    cos1, sin1 = mul(root_b, inverse), mul(root_c, inverse)
    a, d = where(same, add(a, offset), a), where(same, sub(d, offset), d)
    b = where(same, sub(b, c), b)
    cut = or_(or_(and_(is_real, not_(ready)), swap), same)
    c = where(cut, zero, c)
    turned_cos, turned_sin = sub(mul(cos, cos1), mul(sin, sin1)), add(mul(cos, sin1), mul(sin, cos1))
    cos, sin = where(same, turned_cos, cos), where(same, turned_sin, sin)
    return _matrix([[cos, sin], [neg(sin), cos]]), _matrix([[a, b], [c, d]])
