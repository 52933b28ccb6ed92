"""Elimination with row exchanges: the LU factors, and the order of rows that exchanges lead to."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import abs_, add, div, mul, sub
from portax.primitives.bits import and_
from portax.primitives.broadcasting import broadcast_to, reshape
from portax.primitives.comparison import eq, gt
from portax.primitives.complex_parts import imag, real
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.matrices import (
    INT32,
    MatrixPrimitive,
    check_dtype,
    check_matrix,
    count,
    exchanged,
    eye,
    fori,
    line,
    matmul,
    narrow,
    places,
    regular,
    take_rows,
    tril,
    triu,
    with_line,
)
from portax.primitives.linalg.triangular import triangular_solve
from portax.primitives.reductions import argmax
from portax.primitives.slicing import concatenate, part
from portax.primitives.zeros import zeros

host = lazy("portax.primitives.linalg.host")

_SOLVE = {"conjugate_a": False, "transpose_a": False}


class LU(MatrixPrimitive):
    """``x[permutation] = L U`` with ``L`` lower triangular with ones on its diagonal, and ``U`` upper triangular.

    In each column the greatest element that is left leads; a complex one is measured by the sum of the magnitudes of
    its parts. A column of zeros is left as it is.

    Parameters
    ----------
    x : Array of shape (..., m, n), float32, float64, complex64 or complex128

    Returns
    -------
    list of
        lu : Array of the shape and dtype of ``x``: ``U`` and, below its diagonal, ``L``
        pivots : int32[..., min(m, n)], with which row each row was exchanged, in turn
        permutation : int32[..., m]

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 3.4; de Hoog, Anderssen and Lukas,
    Differentiation of matrix functionals using triangular factorization, Mathematics of Computation 80, 2011.
    """

    name = "lu"
    multiple_results = True
    numpy_until = 1 << 14

    def abstract(self, x: Aval) -> list[Aval]:
        m, n = check_matrix("lu", x)
        check_dtype("lu", x)
        stack = x.shape[:-2]
        return [x, Aval((*stack, min(m, n)), INT32), Aval((*stack, m), INT32)]

    def reference(self, x: np.ndarray) -> list[np.ndarray]:
        factors, pivots = host.lu(x)
        return [factors.astype(x.dtype), pivots, host.permutation(pivots, x.shape[-2])]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        # With P dx = dL U + L dU:  L^-1 P dx U^-1 = L^-1 dL + dU U^-1, strictly lower and upper triangular. Factors
        # that are not square are filled up with ones on the diagonal.
        factors, pivots, order = lu(*primals)
        m, n = aval_of(factors).shape[-2:]
        k = min(m, n)
        lower = add(tril(part(factors, factors.ndim - 1, 0, k), -1), eye(factors, m, k))
        upper = triu(part(factors, factors.ndim - 2, 0, k))
        if m > k:
            lower = concatenate(lower, _corner(factors, m, m - k), dimension=factors.ndim - 1)
        if n > k:
            upper = concatenate(upper, _corner_rows(factors, n, n - k), dimension=factors.ndim - 2)
        inner = take_rows(tangents[0], order)
        inner = triangular_solve(lower, inner, left_side=True, lower=True, unit_diagonal=True, **_SOLVE)
        inner = triangular_solve(upper, inner, left_side=False, lower=False, unit_diagonal=False, **_SOLVE)
        moved = add(matmul(lower, tril(inner, -1)), matmul(triu(inner), upper))
        return [factors, pivots, order], [moved, None, None]

    def decompose(self, x: Any) -> list[Any]:
        aval = aval_of(x)
        m, n = aval.shape[-2:]
        stack, k, dtype = aval.shape[:-2], min(m, n), aval.dtype
        zero = np.zeros((), dtype)

        def step(j: Any, x: Any, pivots: Any, order: Any) -> tuple[Any, ...]:
            column = line(x, j, -1)
            size = add(abs_(real(column)), abs_(imag(column))) if dtype.kind == "c" else abs_(column)
            left = gt(broadcast_to(j, size.shape), places(size.shape, -2))
            size = where(left, np.asarray(-1, size.dtype), size)
            best = argmax(size, axes=(size.ndim - 2,), index_dtype=INT32)  # (..., 1)
            pivots = with_line(pivots, best, j, -1)
            order = exchanged(order, j, best, -1)
            best = reshape(best, new_sizes=(*stack, 1, 1), dimensions=None)
            x = exchanged(x, j, best, -2)
            row, column = line(x, j, -2), line(x, j, -1)
            pivot = line(row, j, -1)
            safe = where(eq(pivot, zeros(Aval(pivot.shape, dtype))), np.ones((), dtype), pivot)
            under = gt(places(column.shape, -2), broadcast_to(j, column.shape))
            factor = where(under, div(column, broadcast_to(safe, column.shape)), zero)
            column = where(under, factor, column)
            right = where(gt(places(row.shape, -1), broadcast_to(j, row.shape)), row, zero)
            x = with_line(x, column, j, -1)
            # Rows above have a factor of 0, which an infinity would not survive.
            inside = and_(
                gt(places(aval.shape, -2), broadcast_to(j, aval.shape)),
                gt(places(aval.shape, -1), broadcast_to(j, aval.shape)),
            )
            product = mul(broadcast_to(factor, aval.shape), broadcast_to(right, aval.shape))
            return where(inside, sub(x, product), x), pivots, order

        order = broadcast_to(count(m), (*stack, m)) if m else zeros(Aval((*stack, m), INT32))
        return list(fori(k if aval.size else 0, step, (x, zeros(Aval((*stack, k), INT32)), order)))

    custom_calls = lapack.PREFIX

    def stablehlo(self, b: Any, x: Any) -> Any:
        stack, (m, n) = x.aval.shape[:-2], x.aval.shape[-2:]
        results = (Aval(x.aval.shape, x.aval.dtype), Aval((*stack, min(m, n)), INT32), lapack.info(stack))
        factors, pivots, _ = lapack.call(b, "getrf", len(stack), (x,), results, aliases={0: 0})
        pivots = b.binary("subtract", pivots, b.full(pivots.aval.shape, 1, INT32))  # LAPACK counts from 1
        return factors, pivots, _order(b, pivots, m)

    def tried(self, make: Any) -> Any:
        yield Sample(regular(make, 4), id="square")
        yield Sample(regular(make, 5)[:, :3].copy(), id="tall")
        yield Sample(regular(make, 5)[:3].copy(), id="wide")
        yield Sample(regular(make, 3, 2, 2), id="stack")
        yield Sample(make((2, 0, 3)), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,))), ShapeError, "lu works on matrices")
        yield Refusal(Sample(narrow(make)), DtypeError, "not on float16[2,2]")


def _corner(x: Any, m: int, k: int) -> Any:
    """The last ``k`` columns of the identity of ``m`` rows."""
    return part(eye(x, m, m), aval_of(x).ndim - 1, m - k, m)


def _corner_rows(x: Any, n: int, k: int) -> Any:
    return part(eye(x, n, n), aval_of(x).ndim - 2, n - k, n)


def _order(b: Any, pivots: Any, size: int) -> Any:
    """The order of rows that exchanges in turn lead to, as a loop of StableHLO."""
    stack, k = pivots.aval.shape[:-1], pivots.aval.shape[-1]
    shape, one, rank = (*stack, size), (*stack, 1), len(stack)
    rows, zero = b.iota(shape, rank, INT32), b.full((), 0, INT32)

    def scalar_to(b: Any, x: Any) -> Any:
        return b.broadcast_in_dim(x, shape, ())

    def step(b: Any, i: Any, order: Any) -> Any:
        other = b.dynamic_slice(pivots, [zero] * rank + [i], one)
        near = b.dynamic_slice(order, [zero] * rank + [i], one)
        there = b.compare(rows, b.broadcast_in_dim(other, shape, tuple(range(rank + 1))), "EQ")
        none = b.full((), 0, INT32)
        far = b.reduce(b.select(there, order, b.full(shape, 0, INT32)), none, (rank,), "add")
        far = b.broadcast_in_dim(far, shape, tuple(range(rank)))
        near = b.broadcast_in_dim(near, shape, tuple(range(rank + 1)))
        here = b.compare(rows, scalar_to(b, i), "EQ")
        return b.binary("add", i, b.full((), 1, INT32)), b.select(here, far, b.select(there, near, order))

    out = b.while_loop([zero, rows], lambda b, i, _: b.compare(i, b.full((), k, INT32), "LT"), step)
    return out[1]


class LUPivotsToPermutation(MatrixPrimitive):
    """The order of rows that exchanging row ``i`` with row ``pivots[i]``, in turn, leads to.

    Parameters
    ----------
    pivots : int32[..., k], each below ``permutation_size``
    permutation_size : int, static, at least k

    Returns
    -------
    int32[..., permutation_size]
    """

    name = "lu_pivots_to_permutation"
    dtypes = ("int",)
    accumulates = False
    budget = {}

    def shape(self, pivots: Aval, *, permutation_size: int) -> tuple[int, ...]:
        if pivots.ndim < 1:
            raise ShapeError(
                wrong=f"lu_pivots_to_permutation takes a vector of exchanges for each matrix, got pivots: {pivots}",
                fix="Give an array of at least one axis",
            )
        if permutation_size < pivots.shape[-1]:
            raise ShapeError(
                wrong=f"lu_pivots_to_permutation cannot order {permutation_size} rows by {pivots.shape[-1]} exchanges",
                fix="Give a permutation_size of at least the number of pivots",
            )
        return (*pivots.shape[:-1], permutation_size)

    def dtype(self, pivots: Aval, **_: Any) -> Any:
        if pivots.dtype != INT32:
            raise DtypeError(
                wrong=f"lu_pivots_to_permutation takes exchanges as int32, got pivots: {pivots}",
                fix="Convert them to int32",
            )
        return INT32

    def reference(self, pivots: np.ndarray, *, permutation_size: int) -> np.ndarray:
        return host.permutation(pivots, permutation_size)

    def decompose(self, pivots: Any, *, permutation_size: int) -> Any:
        shape = aval_of(pivots).shape
        out = (*shape[:-1], permutation_size)
        if 0 in out:
            return zeros(Aval(out, INT32))
        order = broadcast_to(count(permutation_size), out)
        return fori(shape[-1], lambda i, order: (exchanged(order, i, line(pivots, i, -1), -1),), (order,))[0]

    def samples(self, make: Any) -> Any:
        if make(()).dtype != INT32:
            return
        yield Sample(np.array([2, 2, 3], np.int32), permutation_size=4, id="one")
        yield Sample(np.array([[1, 1], [0, 3]], np.int32), permutation_size=4, id="stack")
        yield Sample(np.zeros((2, 0), np.int32), permutation_size=3, id="none")
        yield Sample(np.zeros((0,), np.int32), permutation_size=0, id="empty")

    def refusals(self, make: Any) -> Any:
        one = np.zeros(2, np.int32)
        yield Refusal(Sample(one, permutation_size=1), ShapeError, "cannot order 1 rows by 2 exchanges")
        yield Refusal(Sample(one[0], permutation_size=1), ShapeError, "a vector of exchanges")
        yield Refusal(Sample(one.astype("i1"), permutation_size=2), DtypeError, "exchanges as int32")


lu = registry.add(LU())
lu_pivots_to_permutation = registry.add(LUPivotsToPermutation())
