"""Positive definite matrices: the Cholesky factor, its update by one vector, and products of a matrix with itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import add, div, mul, sqrt, sub
from portax.primitives.bits import and_
from portax.primitives.broadcasting import broadcast_to, reshape
from portax.primitives.comparison import eq, ge, gt
from portax.primitives.complex_parts import real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.matrices import (
    BOOL,
    MatrixPrimitive,
    adjoint,
    check_dtype,
    check_matrix,
    check_stack,
    each,
    fori,
    hermitian,
    line,
    matmul,
    mT,
    nan_like,
    narrow,
    on_diagonal,
    places,
    positive,
    scalar,
    tril,
    widened,
    with_line,
)
from portax.primitives.linalg.triangular import triangular_solve
from portax.primitives.zeros import add_any, zeros


class Cholesky(MatrixPrimitive):
    """The lower triangular ``L`` with ``L L^H = x`` and a positive diagonal.

    Of ``x``, the lower triangle is read, and of its diagonal the real part. A matrix that is not positive definite
    gives NaN, with zeros above the diagonal.

    Parameters
    ----------
    x : Array of shape (..., n, n), float32, float64, complex64 or complex128

    Returns
    -------
    Array of the shape and dtype of ``x``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, algorithm 4.2.1; Murray, Differentiation of the
    Cholesky decomposition, arXiv 1602.07527, 2016.
    """

    name = "cholesky"

    def shape(self, x: Aval) -> tuple[int, ...]:
        check_matrix("cholesky", x, square=True)
        return x.shape

    def dtype(self, x: Aval) -> Any:
        check_dtype("cholesky", x)
        return x.dtype

    def reference(self, x: np.ndarray) -> np.ndarray:
        [out] = each(lambda a: [np.linalg.cholesky(a)], widened(x), lambda a: [np.tril(nan_like(a)[0])])
        return out.astype(x.dtype)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        # dL = L Phi(L^-1 dx L^-H), Phi: the lower triangle with half of the diagonal. Of dx, what is read of x counts.
        l = cholesky(*primals)
        dx = hermitian(tangents[0], lower=True)
        inner = triangular_solve(l, dx, left_side=False, lower=True, transpose_a=True, conjugate_a=True,
                                 unit_diagonal=False)  # fmt: skip
        inner = triangular_solve(l, inner, left_side=True, lower=True, transpose_a=False, conjugate_a=False,
                                 unit_diagonal=False)  # fmt: skip
        halved = where(on_diagonal(inner.shape), mul(inner, scalar(inner, 0.5)), inner)
        return l, matmul(l, tril(halved))

    def decompose(self, x: Any) -> Any:
        aval = aval_of(x)
        n = aval.shape[-1]
        column = (*aval.shape[:-1], 1)

        def step(j: Any, l: Any, good: Any) -> tuple[Any, Any]:
            rest = sub(line(x, j, -1), matmul(l, adjoint(line(l, j, -2))))
            pivot = real(line(rest, j, -2)) if aval.dtype.kind == "c" else line(rest, j, -2)
            good = and_(good, gt(pivot, scalar(pivot, 0)))
            root = broadcast_to(convert(sqrt(pivot), aval.dtype), column)
            row, pivots = places(column, -2), broadcast_to(j, column)
            # On the diagonal stands the root itself: what is left there may have an imaginary part, which is not read.
            new = where(eq(row, pivots), root, div(rest, root))
            return with_line(l, where(ge(row, pivots), new, np.zeros((), aval.dtype)), j, -1), good

        ones = broadcast_to(np.ones((), BOOL), (*aval.shape[:-2], 1, 1))
        l, good = fori(n, step, (zeros(Aval(aval.shape, aval.dtype)), ones))
        bad = tril(scalar(l, complex(np.nan, np.nan) if aval.dtype.kind == "c" else np.nan))
        return where(broadcast_to(good, aval.shape), l, bad)

    def stablehlo(self, b: Any, x: Any) -> Any:
        shape, dtype = x.aval.shape, x.aval.dtype
        if not b.claims(lapack.PREFIX) or not x.aval.size:
            return lapack.masked(b, b.cholesky(x, lower=True), lower=True)
        stack = shape[:-2]
        l, info = lapack.call(
            b, "potrf", len(stack), (x,), (Aval(shape, dtype), lapack.info(stack)), {"uplo": lapack.letter("L")}, {0: 0}
        )
        return lapack.masked(b, lapack.or_nan(b, info, l), lower=True)

    def tried(self, make: Any) -> Any:
        yield Sample(positive(make, 4), id="one")
        yield Sample(positive(make, 3, 2, 2), id="stack")
        yield Sample(positive(make, 1), id="smallest")
        yield Sample(make((2, 0, 0)), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,))), ShapeError, "cholesky works on matrices")
        yield Refusal(Sample(make((2, 3))), ShapeError, "cholesky works on square matrices")
        yield Refusal(Sample(narrow(make)), DtypeError, "not on float16[2,2]")


class CholeskyUpdate(MatrixPrimitive):
    """The upper triangular ``R'`` with ``R'^T R' = R^T R + w w^T``.

    Parameters
    ----------
    r_matrix : Array of shape (..., n, n), upper triangular, float32 or float64
    w_vector : Array of shape (..., n), of the same dtype

    Returns
    -------
    Array of the shape and dtype of ``r_matrix``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 6.5.4.
    """

    name = "cholesky_update"
    dtypes = ("float",)

    def shape(self, r: Aval, w: Aval) -> tuple[int, ...]:
        n, _ = check_matrix("cholesky_update", r, square=True)
        if w.ndim < 1 or w.shape[-1] != n:
            raise ShapeError(
                wrong=f"cholesky_update adds one vector as long as the matrix, got r_matrix: {r} and w_vector: {w}",
                fix=f"Give a vector of {n} elements for each matrix",
            )
        check_stack("cholesky_update", r_matrix=(r, 2), w_vector=(w, 1))
        return r.shape

    def dtype(self, r: Aval, w: Aval) -> Any:
        check_dtype("cholesky_update", r, w)
        if r.dtype.kind == "c":
            raise DtypeError(wrong=f"cholesky_update works on real numbers, not on {r}", fix="Factorize the sum anew")
        return r.dtype

    def reference(self, r: np.ndarray, w: np.ndarray) -> np.ndarray:
        out, rest = widened(r), widened(w)
        for k in range(r.shape[-1]):
            diagonal, element = out[..., k, k].copy(), rest[..., k].copy()
            length = np.hypot(diagonal, element)
            none = length == 0
            c, s = (np.where(none, if_none, x / length)[..., None] for x, if_none in ((diagonal, 1.0), (element, 0.0)))
            row = out[..., k, :].copy()
            out[..., k, :] = c * row + s * rest
            rest = c * rest - s * row
        return out.astype(r.dtype)

    def decompose(self, r: Any, w: Any) -> Any:
        shape, dtype = aval_of(r).shape, aval_of(r).dtype
        row_shape = (*shape[:-2], 1, shape[-1])

        def step(k: Any, r: Any, rest: Any) -> tuple[Any, Any]:
            row = line(r, k, -2)
            diagonal, element = line(row, k, -1), line(rest, k, -1)
            length = sqrt(add(mul(diagonal, diagonal), mul(element, element)))
            none = gt(scalar(length, np.finfo(dtype).tiny), length)
            safe = where(none, np.ones((), dtype), length)
            c = broadcast_to(where(none, np.ones((), dtype), div(diagonal, safe)), row_shape)
            s = broadcast_to(where(none, np.zeros((), dtype), div(element, safe)), row_shape)
            turned = add(mul(c, row), mul(s, rest))
            return with_line(r, turned, k, -2), sub(mul(c, rest), mul(s, row))

        rest = reshape(w, new_sizes=row_shape, dimensions=None)
        return fori(shape[-1], step, (r, rest))[0]

    def tried(self, make: Any) -> Any:
        upper = np.triu(positive(make, 4))
        yield Sample(upper, make((4,)), id="one")
        yield Sample(np.stack([upper, 2 * upper]), make((2, 4)), id="stack")
        yield Sample(make((0, 0)), make((0,)), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2, 2)), make((3,))), ShapeError, "one vector as long as the matrix")
        yield Refusal(Sample(make((2, 3, 3)), make((3,))), ShapeError, "stacks of one shape")
        yield Refusal(Sample(narrow(make), narrow(make)[0]), DtypeError, "not on float16[2,2]")
        c = make((2, 2)) + 0j
        yield Refusal(Sample(c, c[0]), DtypeError, "works on real numbers")


class SymmetricProduct(MatrixPrimitive):
    """``alpha A A^T + beta C``, where ``C`` is symmetric.

    Parameters
    ----------
    a_matrix : Array of shape (..., n, k)
    c_matrix : Array of shape (..., n, n), of the same dtype
    alpha, beta : float, static

    Returns
    -------
    Array of the shape and dtype of ``c_matrix``
    """

    name = "symmetric_product"
    dtypes = ("float",)

    def shape(self, a: Aval, c: Aval, *, alpha: float, beta: float) -> tuple[int, ...]:
        check_matrix("symmetric_product", a)
        n, _ = check_matrix("symmetric_product", c, square=True)
        if a.shape[-2] != n:
            raise ShapeError(
                wrong=f"symmetric_product adds a product of a_matrix: {a} to c_matrix: {c}, which is of other size",
                fix="Give as many rows of both",
            )
        check_stack("symmetric_product", a_matrix=(a, 2), c_matrix=(c, 2))
        return c.shape

    def dtype(self, a: Aval, c: Aval, **_: Any) -> Any:
        check_dtype("symmetric_product", a, c)
        if c.dtype.kind == "c":
            raise DtypeError(wrong=f"symmetric_product works on real numbers, not on {c}", fix="Multiply with matmul")
        return c.dtype

    def reference(self, a: np.ndarray, c: np.ndarray, *, alpha: float, beta: float) -> np.ndarray:
        wide = widened(a)
        return (alpha * (wide @ np.swapaxes(wide, -1, -2)) + beta * widened(c)).astype(c.dtype)

    def jvp(self, primals: Any, tangents: Any, *, alpha: float, beta: float) -> Any:
        (a, c), (ta, tc) = primals, tangents
        out = symmetric_product(a, c, alpha=alpha, beta=beta)
        total = None if tc is None else mul(tc, scalar(tc, beta))
        if ta is not None:
            half = matmul(ta, mT(a))
            term = mul(add(half, mT(half)), scalar(half, alpha))
            total = term if total is None else add_any(total, term)
        return out, total

    def decompose(self, a: Any, c: Any, *, alpha: float, beta: float) -> Any:
        product = matmul(a, mT(a))
        return add(mul(product, scalar(product, alpha)), mul(c, scalar(c, beta)))

    def tried(self, make: Any) -> Any:
        c = positive(make, 3)
        yield Sample(make((3, 2)), c, alpha=1.0, beta=0.0, id="alone")
        yield Sample(make((2, 3, 5)), np.stack([c, c]), alpha=0.5, beta=2.0, id="added")
        yield Sample(make((3, 0)), c, alpha=1.0, beta=1.0, id="empty")

    def refusals(self, make: Any) -> Any:
        both: dict[str, Any] = {"alpha": 1.0, "beta": 0.0}
        yield Refusal(Sample(make((2, 3)), make((3, 3)), **both), ShapeError, "which is of other size")
        yield Refusal(Sample(make((3,)), make((3, 3)), **both), ShapeError, "works on matrices")
        yield Refusal(Sample(make((2, 3, 3)), make((3, 3)), **both), ShapeError, "stacks of one shape")
        yield Refusal(Sample(narrow(make), narrow(make), **both), DtypeError, "not on float16[2,2]")
        c = make((2, 2)) + 0j
        yield Refusal(Sample(c, c, **both), DtypeError, "works on real numbers")


cholesky = registry.add(Cholesky())
cholesky_update = registry.add(CholeskyUpdate())
symmetric_product = registry.add(SymmetricProduct())
