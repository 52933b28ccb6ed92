"""Triangular systems: forward and back substitution.

Linear in the right side, so closed under transposition: the cotangent of the right side solves with the transpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import div, neg, sub
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.linalg import lapack
from portax.primitives.linalg.matrices import (
    MatrixPrimitive,
    check_dtype,
    check_matrix,
    check_stack,
    conjugate,
    fori,
    line,
    matmul,
    mT,
    narrow,
    tril,
    triu,
    with_line,
)
from portax.primitives.slicing import rev
from portax.primitives.zeros import add_any, zeros

host = lazy("portax.primitives.linalg.host")


class TriangularSolve(MatrixPrimitive):
    """The ``x`` with ``op(a) x = b``, or ``x op(a) = b`` unless ``left_side``.

    ``op(a)`` is ``a``, transposed if ``transpose_a``, conjugated if ``conjugate_a``. One triangle of ``a`` is read,
    without its diagonal if ``unit_diagonal``: that counts as ones. A zero on the diagonal divides like any number.

    Parameters
    ----------
    a : Array of shape (..., n, n), float32, float64, complex64 or complex128
    b : Array of shape (..., n, k), or (..., k, n) unless ``left_side``, of the same dtype
    left_side, lower, transpose_a, conjugate_a, unit_diagonal : bool, static

    Returns
    -------
    Array of the shape and dtype of ``b``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 3.1; Giles, Collected matrix derivative
    results for forward and reverse mode algorithmic differentiation, 2008, section 2.3.
    """

    name = "triangular_solve"

    def shape(self, a: Aval, b: Aval, *, left_side: bool, **_: Any) -> tuple[int, ...]:
        n, _n = check_matrix("triangular_solve", a, square=True)
        check_matrix("triangular_solve", b)
        if b.shape[-2 if left_side else -1] != n:
            which = "rows" if left_side else "columns"
            raise ShapeError(
                wrong=f"triangular_solve needs a b with as many {which} as a has, got a: {a} and b: {b}",
                fix=f"Give a b of {n} {which}, or change left_side",
            )
        check_stack("triangular_solve", a=(a, 2), b=(b, 2))
        return b.shape

    def dtype(self, a: Aval, b: Aval, **_: Any) -> Any:
        check_dtype("triangular_solve", a, b)
        return b.dtype

    def reference(
        self, a: np.ndarray, b: np.ndarray, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool,
        unit_diagonal: bool,
    ) -> np.ndarray:  # fmt: skip
        if conjugate_a:
            a = np.conj(a)
        if not left_side:  # x a = b is a^T x^T = b^T
            b, transpose_a = np.swapaxes(b, -1, -2), not transpose_a
        if transpose_a:
            a, lower = np.swapaxes(a, -1, -2), not lower
        out = host.solve_triangular(a, b, lower, unit_diagonal)
        return (out if left_side else np.swapaxes(out, -1, -2)).astype(b.dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        (a, b), (ta, tb) = primals, tangents
        out = triangular_solve(a, b, **params)
        # op(a) dx = db - op(da) x: of da, only what is read of a counts.
        right = tb
        if ta is not None:
            part = tril if params["lower"] else triu
            k = -1 if params["unit_diagonal"] else 0
            da = part(ta, k if params["lower"] else -k)
            da = mT(da) if params["transpose_a"] else da
            da = conjugate(da) if params["conjugate_a"] else da
            term = neg(matmul(da, out) if params["left_side"] else matmul(out, da))
            right = term if right is None else add_any(right, term)
        return out, None if right is None else triangular_solve(a, right, **params)

    def transpose(self, ct: Any, a: Any, b: Any, *, transpose_a: bool, **params: Any) -> Any:
        return None, triangular_solve(a, ct, transpose_a=not transpose_a, **params)

    def decompose(
        self, a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool, unit_diagonal: bool
    ) -> Any:
        if conjugate_a:
            a = conjugate(a)
        if not left_side:
            b, transpose_a = mT(b), not transpose_a
        if transpose_a:
            a, lower = mT(a), not lower
        rank = aval_of(a).ndim
        if not lower:  # the other way about
            a, b = rev(a, dimensions=(rank - 2, rank - 1)), rev(b, dimensions=(rank - 2,))
        n, strict = aval_of(a).shape[-1], tril(a, -1)

        def step(i: Any, x: Any) -> tuple[Any]:
            rest = sub(line(b, i, -2), matmul(line(strict, i, -2), x))
            if not unit_diagonal:
                pivot = line(line(a, i, -2), i, -1)
                rest = div(rest, broadcast_to(pivot, aval_of(rest).shape))
            return (with_line(x, rest, i, -2),)

        aval = aval_of(b)
        [x] = fori(n, step, (zeros(Aval(aval.shape, aval.dtype)),))
        if not lower:
            x = rev(x, dimensions=(rank - 2,))
        return x if left_side else mT(x)

    def stablehlo(
        self, b: Any, a: Any, y: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool,
        unit_diagonal: bool,
    ) -> Any:  # fmt: skip
        if conjugate_a and a.aval.dtype.kind == "c":
            if not transpose_a:
                a = b.complex(b.real(a), b.unary("negate", b.imag(a)))
        else:
            conjugate_a = False
        how = ("C" if conjugate_a else "T") if transpose_a else "N"
        if not b.claims(lapack.PREFIX) or not a.aval.size or not y.aval.size:
            return b.triangular_solve(
                a, y, left_side=left_side, lower=lower, transpose=how, unit_diagonal=unit_diagonal
            )
        config = {
            "diag": lapack.letter("U" if unit_diagonal else "N"),
            "side": lapack.letter("L" if left_side else "R"),
            "trans_x": lapack.letter(how),
            "uplo": lapack.letter("L" if lower else "U"),
        }
        aval = Aval(y.aval.shape, y.aval.dtype)
        [out] = lapack.call(b, "trsm", aval.ndim - 2, (a, y), (aval,), config, {1: 0})
        return out

    def tried(self, make: Any) -> Any:
        def solve(a: Any, b: Any, *flags: str, id: str) -> Sample:
            names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
            return Sample(a, b, id=id, **{name: name in flags for name in names})

        def triangle(n: int, *lead: int) -> np.ndarray:  # far from singular, and the other triangle is no zero
            a = make((*lead, n, n), -0.5, 0.5)
            return (a + 2 * np.eye(n)).astype(a.dtype)

        yield solve(triangle(4), make((4, 3)), "left_side", "lower", id="lower")
        yield solve(triangle(4), make((4, 3)), "left_side", id="upper")
        yield solve(triangle(3), make((4, 3)), "lower", id="right")
        yield solve(triangle(3), make((4, 3)), "transpose_a", id="right-transposed")
        yield solve(triangle(3, 2), make((2, 3, 2)), "left_side", "lower", "transpose_a", "conjugate_a", id="adjoint")
        yield solve(triangle(3), make((3, 1)), "left_side", "conjugate_a", id="conjugated")
        yield solve(triangle(3, 2), make((2, 3, 2)), "left_side", "lower", "unit_diagonal", id="unit-lower")
        yield solve(triangle(3), make((2, 3)), "unit_diagonal", id="unit-right")
        yield solve(make((0, 0)), make((0, 2)), "left_side", "lower", id="empty")
        yield solve(triangle(2), make((2, 0)), "left_side", "lower", id="no-right-side")

    def refusals(self, make: Any) -> Any:
        plain: dict[str, Any] = dict.fromkeys(("lower", "transpose_a", "conjugate_a", "unit_diagonal"), False)
        left: dict[str, Any] = {**plain, "left_side": True}
        right: dict[str, Any] = {**plain, "left_side": False}
        yield Refusal(Sample(make((3, 2)), make((3, 2)), **left), ShapeError, "works on square matrices")
        yield Refusal(Sample(make((3, 3)), make((3,)), **left), ShapeError, "works on matrices")
        yield Refusal(Sample(make((3, 3)), make((2, 3)), **left), ShapeError, "as many rows as a has")
        yield Refusal(Sample(make((3, 3)), make((3, 2)), **right), ShapeError, "as many columns as a has")
        yield Refusal(Sample(make((2, 3, 3)), make((3, 3)), **left), ShapeError, "stacks of one shape")
        yield Refusal(Sample(narrow(make), narrow(make), **left), DtypeError, "not on float16[2,2]")
        mixed = Sample(make((2, 2)), np.asarray(make((2, 2)), np.float64), **left)
        yield Refusal(mixed, DtypeError, "operands of one dtype")


triangular_solve = registry.add(TriangularSolve())
