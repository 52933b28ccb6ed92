"""Orthogonal factors: QR by Householder's reflections, with or without exchange of columns.

A factorisation is first kept packed, as the reflections that made the zeros; ``householder_product`` unfolds them, and
``ormqr`` multiplies by them without unfolding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, NotDifferentiableError, ShapeError
from portax.primitives.arithmetic import add, div, mul, neg, sqrt, sub
from portax.primitives.bits import and_, or_
from portax.primitives.broadcasting import broadcast_to, reduce_sum, reshape
from portax.primitives.comparison import eq, ge, gt, lt, ne
from portax.primitives.complex_parts import real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.matrices import (
    INT32,
    MatrixPrimitive,
    adjoint,
    check_dtype,
    check_matrix,
    check_stack,
    conjugate,
    count,
    exchanged,
    eye,
    fori,
    line,
    matmul,
    narrow,
    on_diagonal,
    places,
    regular,
    scalar,
    squares,
    take_columns,
    tril,
    triu,
    with_line,
)
from portax.primitives.linalg.triangular import triangular_solve
from portax.primitives.reductions import argmax
from portax.primitives.slicing import concatenate, part
from portax.primitives.zeros import zeros

host = lazy("portax.primitives.linalg.host")


def reflection(column: Any, j: Any, axis: int = -2) -> tuple[Any, Any, Any]:
    """``(v, tau, beta)`` for the vector ``column``, of which only what is at ``j`` and after counts.

    ``column`` has length 1 along all but one of the axes of a matrix; ``tau`` and ``beta`` along both. See
    `host.reflections.reflector`.
    """
    shape, dtype = aval_of(column).shape, aval_of(column).dtype
    here = eq(places(shape, axis), broadcast_to(j, shape))
    after = gt(places(shape, axis), broadcast_to(j, shape))
    tail = where(after, column, np.zeros((), dtype))
    alpha = line(column, j, axis)
    one = aval_of(alpha).shape
    rest = reshape(reduce_sum(squares(tail), axes=(len(shape) + axis,)), new_sizes=one, dimensions=None)
    first = real(alpha) if dtype.kind == "c" else alpha
    none = eq(rest, zeros(Aval(one, rest.dtype)))
    if dtype.kind == "c":
        none = and_(none, eq(alpha, convert(first, dtype)))
    length = sqrt(add(squares(alpha), rest))
    # The sign of zero counts, as it does in LAPACK.
    zero, inverse = zeros(Aval(one, first.dtype)), div(scalar(first, 1), first)
    signed = where(or_(lt(first, zero), lt(inverse, zero)), length, neg(length))
    beta = where(none, first, signed)
    safe = convert(where(none, np.ones((), rest.dtype), beta), dtype)
    tau = where(none, np.zeros((), dtype), div(sub(safe, alpha), safe))
    scale = where(none, np.ones((), dtype), sub(alpha, safe))
    nothing = broadcast_to(none, shape)
    v = where(nothing, np.zeros((), dtype), div(tail, broadcast_to(scale, shape)))
    return where(here, np.ones((), dtype), v), tau, beta


def reflect_left(x: Any, v: Any, tau: Any) -> Any:
    """``(I - tau v v^H) x``, ``v`` a column."""
    return sub(x, matmul(mul(broadcast_to(tau, v.shape), v), matmul(adjoint(v), x)))


def reflect_right(x: Any, v: Any, tau: Any) -> Any:
    """``x (I - tau v v^H)``, ``v`` a column."""
    return sub(x, matmul(matmul(x, v), mul(broadcast_to(tau, v.shape[:-2] + v.shape[:-3:-1]), adjoint(v))))


def _fold(packed: Any, taus: Any, j: Any) -> tuple[Any, Any]:
    """One step of the factorisation of ``packed``: column ``j`` gets zeros below its diagonal."""
    shape, dtype = aval_of(packed).shape, aval_of(packed).dtype
    column = line(packed, j, -1)
    v, tau, beta = reflection(column, j)
    right = gt(places(shape, -1), broadcast_to(j, shape))
    moved = where(right, reflect_left(packed, v, conjugate(tau)), packed)
    below = gt(places(column.shape, -2), broadcast_to(j, column.shape))
    here = eq(places(column.shape, -2), broadcast_to(j, column.shape))
    column = where(below, v, where(here, broadcast_to(convert(beta, dtype), column.shape), column))
    taus = with_line(taus, reshape(tau, new_sizes=(*shape[:-2], 1), dimensions=None), j, -1)
    return with_line(moved, column, j, -1), taus


class Geqrf(MatrixPrimitive):
    """The QR factorisation, packed: ``R`` in the upper triangle, the reflections below it.

    Reflection ``i`` is ``I - taus[i] v v^H`` with ``v`` zero before its place ``i``, 1 there, and below it what stands
    in column ``i``. ``Q`` is their product in order.

    Parameters
    ----------
    a : Array of shape (..., m, n), float32, float64, complex64 or complex128

    Returns
    -------
    list of
        packed : Array of the shape and dtype of ``a``
        taus : Array of shape (..., min(m, n)) of that dtype

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 5.2.
    """

    name = "geqrf"
    multiple_results = True
    custom_calls = lapack.PREFIX

    def abstract(self, a: Aval) -> list[Aval]:
        m, n = check_matrix("geqrf", a)
        check_dtype("geqrf", a)
        return [a, Aval((*a.shape[:-2], min(m, n)), a.dtype, a.weak_type)]

    def reference(self, a: np.ndarray) -> list[np.ndarray]:
        return [x.astype(a.dtype) for x in host.qr_factors(a)]

    def decompose(self, a: Any) -> list[Any]:
        aval = aval_of(a)
        k = min(aval.shape[-2:])
        taus = zeros(Aval((*aval.shape[:-2], k), aval.dtype))
        return list(fori(k if aval.size else 0, lambda j, x, taus: _fold(x, taus, j), (a, taus)))

    def stablehlo(self, b: Any, a: Any) -> Any:
        stack = a.aval.shape[:-2]
        aval = Aval(a.aval.shape, a.aval.dtype)
        taus = Aval((*stack, min(aval.shape[-2:])), aval.dtype)
        return lapack.call(b, "geqrf", len(stack), (a,), (aval, taus), aliases={0: 0})

    def tried(self, make: Any) -> Any:
        yield Sample(regular(make, 4), id="square")
        yield Sample(make((5, 3)), id="tall")
        yield Sample(make((2, 3, 5)), id="wide")
        yield Sample(make((1, 1)), id="smallest")
        yield Sample(make((0, 3)), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,))), ShapeError, "geqrf works on matrices")
        yield Refusal(Sample(narrow(make)), DtypeError, "not on float16[2,2]")


class Geqp3(MatrixPrimitive):
    """As geqrf, of the matrix with its columns in an order in which the longest that is left comes next.

    Parameters
    ----------
    a : Array of shape (..., m, n), float32, float64, complex64 or complex128
    jpvt : int32[..., n]; a column whose number is not 0 is brought to the front and stays there

    Returns
    -------
    list of
        packed : Array of the shape and dtype of ``a``
        jpvt : int32[..., n], which column stands at each place, counted from 1
        taus : Array of shape (..., min(m, n)) of the dtype of ``a``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 5.4.2.
    """

    name = "geqp3"
    multiple_results = True
    custom_calls = lapack.PREFIX

    def abstract(self, a: Aval, jpvt: Aval) -> list[Aval]:
        m, n = check_matrix("geqp3", a)
        check_dtype("geqp3", a)
        if jpvt.dtype != INT32 or jpvt.shape != (*a.shape[:-2], n):
            raise ShapeError(
                wrong=f"geqp3 takes a number for each column of a: {a}, got jpvt: {jpvt}",
                fix=f"Give an int32 array of shape {(*a.shape[:-2], n)}",
            )
        return [a, jpvt, Aval((*a.shape[:-2], min(m, n)), a.dtype, a.weak_type)]

    def reference(self, a: np.ndarray, jpvt: np.ndarray) -> list[np.ndarray]:
        packed, taus, order = host.pivoted_qr(a, jpvt)
        return [packed.astype(a.dtype), order + np.int32(1), taus.astype(a.dtype)]

    def decompose(self, a: Any, jpvt: Any) -> list[Any]:
        aval = aval_of(a)
        (m, n), stack = aval.shape[-2:], aval.shape[:-2]
        k, one = min(m, n), np.asarray(1, INT32)
        order = broadcast_to(count(n), (*stack, n)) if n else zeros(Aval((*stack, n), INT32))

        def to_front(j: Any, order: Any, fixed: Any) -> tuple[Any, Any]:
            chosen = ne(line(jpvt, j, -1), zeros(Aval((*stack, 1), INT32)))
            moved = exchanged(order, j, fixed, -1)
            order = where(broadcast_to(chosen, order.shape), moved, order)
            return order, add(fixed, convert(chosen, INT32))

        order, fixed = fori(n if aval.size else 0, to_front, (order, zeros(Aval((*stack, 1), INT32))))
        x = take_columns(a, order) if aval.size else a

        def step(j: Any, x: Any, taus: Any, order: Any) -> tuple[Any, ...]:
            below = ge(places(aval.shape, -2), broadcast_to(j, aval.shape))
            left = reduce_sum(where(below, squares(x), np.zeros((), squares(x).dtype)), axes=(len(stack),))
            left = where(lt(places(left.shape, -1), broadcast_to(j, left.shape)), np.asarray(-1, left.dtype), left)
            best = argmax(left, axes=(len(stack),), index_dtype=INT32)
            best = reshape(best, new_sizes=(*stack, 1), dimensions=None)
            best = where(lt(broadcast_to(j, best.shape), fixed), broadcast_to(j, best.shape), best)
            order = exchanged(order, j, best, -1)
            x = exchanged(x, j, reshape(best, new_sizes=(*stack, 1, 1), dimensions=None), -1)
            return *_fold(x, taus, j), order

        taus = zeros(Aval((*stack, k), aval.dtype))
        x, taus, order = fori(k if aval.size else 0, step, (x, taus, order))
        return [x, add(order, broadcast_to(one, order.shape)), taus]

    def stablehlo(self, b: Any, a: Any, jpvt: Any) -> Any:
        stack = a.aval.shape[:-2]
        aval = Aval(a.aval.shape, a.aval.dtype)
        results = (aval, Aval(jpvt.aval.shape, INT32), Aval((*stack, min(aval.shape[-2:])), aval.dtype))
        return lapack.call(b, "geqp3", len(stack), (a, jpvt), results, aliases={0: 0, 1: 1})

    def tried(self, make: Any) -> Any:
        yield Sample(make((4, 4)), np.zeros(4, np.int32), id="square")
        yield Sample(make((5, 3)), np.array([0, 0, 1], np.int32), id="one-in-front")
        yield Sample(make((2, 3, 4)), np.array([[0, 1, 1, 0], [0, 0, 0, 0]], np.int32), id="stack")
        yield Sample(make((0, 3)), np.zeros(3, np.int32), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,)), np.zeros(3, np.int32)), ShapeError, "geqp3 works on matrices")
        yield Refusal(Sample(make((3, 2)), np.zeros(3, np.int32)), ShapeError, "a number for each column")
        yield Refusal(Sample(narrow(make), np.zeros(2, np.int32)), DtypeError, "not on float16[2,2]")


def _check_reflections(name: str, a: Aval, taus: Aval) -> None:
    m, n = check_matrix(name, a)
    if taus.ndim < 1 or taus.shape[-1] > min(m, n):
        raise ShapeError(
            wrong=f"{name} finds at most {min(m, n)} reflections in a: {a}, got taus: {taus}",
            fix="Give no more taus than a has rows and columns",
        )
    check_stack(name, a=(a, 2), taus=(taus, 1))
    check_dtype(name, a, taus)


def _vector(a: Any, i: Any) -> Any:
    """The vector of reflection ``i`` of a packed factorisation, as a column."""
    column = line(a, i, -1)
    shape, dtype = aval_of(column).shape, aval_of(column).dtype
    below = gt(places(shape, -2), broadcast_to(i, shape))
    here = eq(places(shape, -2), broadcast_to(i, shape))
    return where(below, column, where(here, np.ones((), dtype), np.zeros((), dtype)))


def _tau(taus: Any, i: Any) -> Any:
    out = line(taus, i, -1)
    return reshape(out, new_sizes=(*aval_of(out).shape, 1), dimensions=None)


class HouseholderProduct(MatrixPrimitive):
    """The first columns of the product of the reflections of a packed factorisation, as many as ``a`` has.

    Parameters
    ----------
    a : Array of shape (..., m, n), ``m >= n``, float32, float64, complex64 or complex128
    taus : Array of shape (..., k), ``k <= n``, of the same dtype

    Returns
    -------
    Array of the shape and dtype of ``a``, its columns orthonormal

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 5.1.6.
    """

    name = "householder_product"
    custom_calls = lapack.PREFIX

    def shape(self, a: Aval, taus: Aval) -> tuple[int, ...]:
        m, n = check_matrix("householder_product", a)
        if m < n:
            raise ShapeError(
                wrong=f"householder_product gives orthonormal columns, and a: {a} has more columns than rows",
                fix="Cut off the columns past the number of rows",
            )
        _check_reflections("householder_product", a, taus)
        return a.shape

    def dtype(self, a: Aval, taus: Aval) -> Any:
        return a.dtype

    def reference(self, a: np.ndarray, taus: np.ndarray) -> np.ndarray:
        return host.reflectors_product(a, taus).astype(a.dtype)

    def decompose(self, a: Any, taus: Any) -> Any:
        m, n = aval_of(a).shape[-2:]
        k = aval_of(taus).shape[-1]

        def step(i: Any, q: Any) -> tuple[Any]:
            i = sub(np.asarray(k - 1, INT32), i)
            return (reflect_left(q, _vector(a, i), _tau(taus, i)),)

        return fori(k if aval_of(a).size else 0, step, (eye(a, m, n),))[0]

    def stablehlo(self, b: Any, a: Any, taus: Any) -> Any:
        aval = Aval(a.aval.shape, a.aval.dtype)
        return lapack.call(b, "orgqr", aval.ndim - 2, (a, taus), (aval,), aliases={0: 0})

    def tried(self, make: Any) -> Any:
        yield Sample(*_packed(make((4, 4))), id="square")
        yield Sample(*_packed(make((2, 5, 3))), id="tall")
        a, taus = _packed(make((4, 3)))
        yield Sample(a, taus[:2].copy(), id="fewer-reflections")
        yield Sample(make((3, 0)), make((0,)), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,)), make((3,))), ShapeError, "householder_product works on matrices")
        yield Refusal(Sample(make((2, 3)), make((2,))), ShapeError, "more columns than rows")
        yield Refusal(Sample(make((3, 2)), make((3,))), ShapeError, "at most 2 reflections")
        yield Refusal(Sample(make((2, 3, 2)), make((2,))), ShapeError, "stacks of one shape")
        yield Refusal(Sample(narrow(make), narrow(make)[0]), DtypeError, "not on float16[2,2]")


class Ormqr(MatrixPrimitive):
    """``c`` times the product ``Q`` of the reflections of a packed factorisation, or its adjoint.

    Parameters
    ----------
    a : Array of shape (..., m, n), float32, float64, complex64 or complex128
    taus : Array of shape (..., k), ``k <= min(m, n)``, of the same dtype
    c : Array of shape (..., m, p), or (..., p, m) unless ``left``, of the same dtype
    left : bool, static; ``Q c``, else ``c Q``
    transpose : bool, static; the adjoint of ``Q``

    Returns
    -------
    Array of the shape and dtype of ``c``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 5.1.6.
    """

    name = "ormqr"
    custom_calls = lapack.PREFIX

    def shape(self, a: Aval, taus: Aval, c: Aval, *, left: bool, transpose: bool) -> tuple[int, ...]:
        _check_reflections("ormqr", a, taus)
        check_matrix("ormqr", c)
        if c.shape[-2 if left else -1] != a.shape[-2]:
            which = "rows" if left else "columns"
            raise ShapeError(
                wrong=f"ormqr multiplies a c with as many {which} as a has rows, got a: {a} and c: {c}",
                fix=f"Give a c of {a.shape[-2]} {which}, or change left",
            )
        check_stack("ormqr", a=(a, 2), c=(c, 2))
        return c.shape

    def dtype(self, a: Aval, taus: Aval, c: Aval, **_: Any) -> Any:
        check_dtype("ormqr", a, taus, c)
        return c.dtype

    def reference(
        self, a: np.ndarray, taus: np.ndarray, c: np.ndarray, *, left: bool, transpose: bool
    ) -> np.ndarray:
        return host.apply_reflectors(a, taus, c, left, transpose).astype(c.dtype)

    def decompose(self, a: Any, taus: Any, c: Any, *, left: bool, transpose: bool) -> Any:
        k = aval_of(taus).shape[-1]

        def step(i: Any, c: Any) -> tuple[Any]:
            if left != transpose:  # Q c and c Q^H begin with the last reflection
                i = sub(np.asarray(k - 1, INT32), i)
            tau = conjugate(_tau(taus, i)) if transpose else _tau(taus, i)
            return ((reflect_left if left else reflect_right)(c, _vector(a, i), tau),)

        return fori(k if aval_of(c).size else 0, step, (c,))[0]

    def stablehlo(self, b: Any, a: Any, taus: Any, c: Any, *, left: bool, transpose: bool) -> Any:
        aval = Aval(c.aval.shape, c.aval.dtype)
        config = {"left": left, "transpose": transpose}
        return lapack.call(b, "ormqr", aval.ndim - 2, (a, taus, c), (aval,), config, {2: 0})

    def tried(self, make: Any) -> Any:
        yield Sample(*_packed(make((4, 3))), make((4, 2)), left=True, transpose=False, id="left")
        yield Sample(*_packed(make((4, 3))), make((4, 2)), left=True, transpose=True, id="left-adjoint")
        yield Sample(*_packed(make((2, 3, 3))), make((2, 4, 3)), left=False, transpose=False, id="right")
        yield Sample(*_packed(make((3, 4))), make((2, 3)), left=False, transpose=True, id="right-adjoint")
        yield Sample(*_packed(make((3, 3))), make((3, 0)), left=True, transpose=False, id="empty")

    def refusals(self, make: Any) -> Any:
        a, taus = _packed(make((4, 3)))
        both: dict[str, Any] = {"left": True, "transpose": False}
        yield Refusal(Sample(a, taus, make((3, 2)), **both), ShapeError, "as many rows as a has rows")
        yield Refusal(Sample(a, make((4,)), make((4, 2)), **both), ShapeError, "at most 3 reflections")
        yield Refusal(Sample(a, taus, make((4,)), **both), ShapeError, "ormqr works on matrices")
        yield Refusal(Sample(a, taus, make((2, 4, 2)), **both), ShapeError, "stacks of one shape")
        n = narrow(make)
        yield Refusal(Sample(n, n[0], n, **both), DtypeError, "not on float16[2,2]")


def _packed(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A sample: the packed factorisation of ``a``."""
    packed, taus = host.qr_factors(a)
    return packed.astype(a.dtype), taus.astype(a.dtype)


class QR(MatrixPrimitive):
    """``x = Q R`` with orthonormal columns in ``Q`` and ``R`` upper triangular; of ``x[:, p]`` where ``pivoting``.

    The diagonal of ``R`` is real, and its signs are those that reflections give: against those of what they turn.

    Parameters
    ----------
    x : Array of shape (..., m, n), float32, float64, complex64 or complex128
    pivoting : bool, static; columns in an order in which the diagonal of ``R`` does not grow
    full_matrices : bool, static; ``Q`` has m columns and ``R`` m rows, else ``min(m, n)``
    use_magma : None, static

    Returns
    -------
    list of
        Q : Array of shape (..., m, m) or (..., m, min(m, n)) of the dtype of ``x``
        R : Array of shape (..., m, n) or (..., min(m, n), n) of that dtype
        p : int32[..., n], where ``pivoting``

    References
    ----------
    Walter and Lehmann, Algorithmic differentiation of linear algebra functions with application in optimum
    experimental design, 2018.
    """

    name = "qr"
    multiple_results = True

    def abstract(self, x: Aval, *, pivoting: bool, full_matrices: bool, use_magma: Any = None) -> list[Aval]:
        m, n = check_matrix("qr", x)
        check_dtype("qr", x)
        if use_magma:
            raise ArgumentError(wrong="qr was given use_magma, and no device here has MAGMA", fix="Leave it out")
        stack, k = x.shape[:-2], m if full_matrices else min(m, n)
        out = [x.update(shape=(*stack, m, k)), x.update(shape=(*stack, k, n))]
        return [*out, Aval((*stack, n), INT32)] if pivoting else out

    def reference(
        self, x: np.ndarray, *, pivoting: bool, full_matrices: bool, use_magma: Any = None
    ) -> list[np.ndarray]:
        m, n = x.shape[-2:]
        k = m if full_matrices else min(m, n)
        order: list[np.ndarray] = []
        if pivoting:
            packed, taus, places = host.pivoted_qr(x)
            order = [places]
        else:
            packed, taus = host.qr_factors(x)
        wide = np.zeros((*x.shape[:-2], m, k), packed.dtype)
        wide[..., : min(n, k)] = packed[..., :k]
        q = host.reflectors_product(wide, taus)
        return [q.astype(x.dtype), np.triu(packed[..., :k, :]).astype(x.dtype), *order]

    def jvp(self, primals: Any, tangents: Any, *, pivoting: bool, full_matrices: bool, use_magma: Any = None) -> Any:
        [x], [dx] = primals, tangents
        m, n = aval_of(x).shape[-2:]
        if not aval_of(x).size:
            out = qr(x, pivoting=pivoting, full_matrices=full_matrices, use_magma=use_magma)
            return out, [None] * len(out)
        if full_matrices and m > n:
            raise NotDifferentiableError(
                wrong=f"qr has no derivative with full_matrices of more rows than columns, as {aval_of(x)} has",
                fix='Ask for as many columns of Q as of the matrix: full_matrices=False, mode="reduced"',
            )
        out = qr(x, pivoting=pivoting, full_matrices=full_matrices, use_magma=use_magma)
        q, r, k = out[0], out[1], min(m, n)
        if pivoting:
            dx = take_columns(dx, out[2])
        # Of the square part: dx R^-1 = dQ + Q dR R^-1, where Q^H dQ is skew and dR R^-1 is upper triangular with a
        # real diagonal. The columns past it follow from R_2 = Q^H x_2.
        axis = aval_of(x).ndim - 1
        square, dsquare = part(r, axis, 0, k), part(dx, axis, 0, k)
        inner = triangular_solve(
            square, dsquare, left_side=False, lower=False, transpose_a=False, conjugate_a=False, unit_diagonal=False
        )
        along = matmul(adjoint(q), inner)
        low = tril(along, -1)
        skew = sub(low, adjoint(low))
        if aval_of(x).dtype.kind == "c":
            turn = sub(along, convert(real(along), along.dtype))
            skew = where(on_diagonal(along.shape), turn, skew)
        dq = add(matmul(q, sub(skew, along)), inner)
        dr = matmul(sub(along, skew), square)
        if n > k:
            rest, drest = part(r, axis, k, n), part(dx, axis, k, n)
            # dQ is Q times the skew part here, for Q is square.
            drest = sub(matmul(adjoint(q), drest), matmul(skew, rest))
            dr = concatenate(dr, drest, dimension=axis)
        return out, [dq, triu(dr), *([None] if pivoting else [])]

    def decompose(self, x: Any, *, pivoting: bool, full_matrices: bool, use_magma: Any = None) -> list[Any]:
        aval = aval_of(x)
        (m, n), stack = aval.shape[-2:], aval.shape[:-2]
        k = m if full_matrices else min(m, n)
        order: list[Any] = []
        if pivoting:
            packed, places, taus = geqp3(x, zeros(Aval((*stack, n), INT32)))
            order = [sub(places, broadcast_to(np.asarray(1, INT32), places.shape))]
        else:
            packed, taus = geqrf(x)
        axis = aval.ndim - 1
        if n >= k:
            wide = part(packed, axis, 0, k)
        else:
            wide = concatenate(packed, zeros(Aval((*stack, m, k - n), aval.dtype)), dimension=axis)
        q = householder_product(wide, taus)
        return [q, triu(part(packed, axis - 1, 0, k)), *order]

    def tried(self, make: Any) -> Any:
        def params(pivoting: bool = False, full: bool = False) -> dict[str, Any]:
            return {"pivoting": pivoting, "full_matrices": full, "use_magma": None}

        yield Sample(regular(make, 4), **params(), id="square")
        yield Sample(regular(make, 3, 2), **params(full=True), id="square-full")
        yield Sample(make((2, 5, 3)), **params(), id="tall")
        yield Sample(make((5, 3)), **params(full=True), id="full")
        yield Sample(make((3, 5)), **params(), id="wide")
        yield Sample(make((4, 3)), **params(pivoting=True), id="pivoting")
        yield Sample(make((0, 2)), **params(), id="empty")
        yield Sample(make((2, 0)), **params(full=True), id="no-columns")

    def refusals(self, make: Any) -> Any:
        plain: dict[str, Any] = {"pivoting": False, "full_matrices": False}
        yield Refusal(Sample(make((3,)), **plain), ShapeError, "qr works on matrices")
        yield Refusal(Sample(narrow(make), **plain), DtypeError, "not on float16[2,2]")
        yield Refusal(Sample(make((2, 2)), **plain, use_magma=True), ArgumentError, "no device here has MAGMA")


geqrf = registry.add(Geqrf())
geqp3 = registry.add(Geqp3())
householder_product = registry.add(HouseholderProduct())
ormqr = registry.add(Ormqr())
qr = registry.add(QR())
