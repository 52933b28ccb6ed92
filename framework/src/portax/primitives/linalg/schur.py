"""Forms that a square matrix takes under unitary similarity: triangular (Schur), and nearly so (Hessenberg)."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.primitives.arithmetic import add
from portax.primitives.broadcasting import broadcast_to, reshape
from portax.primitives.comparison import eq, gt
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.matrices import (
    INT32,
    MatrixPrimitive,
    adjoint,
    check_dtype,
    check_matrix,
    conjugate,
    fori,
    line,
    matmul,
    narrow,
    places,
    tril,
    with_line,
)
from portax.primitives.linalg.qr import reflect_left, reflect_right, reflection
from portax.primitives.zeros import zeros

host = lazy("portax.primitives.linalg.host")
steps = lazy("portax.primitives.linalg.unsymmetric")


class Schur(MatrixPrimitive):
    """``x = Z T Z^H`` with ``Z`` unitary and ``T`` triangular; where ``x`` is real, so are both, and ``T`` nearly so.

    A pair of complex eigenvalues of a real matrix stays a block of two rows, with equal diagonal elements and off them
    numbers of opposite sign. The eigenvalues come in no order that is promised, and columns of ``Z`` are right up to a
    phase. NaN where the algorithm does not converge.

    Parameters
    ----------
    x : Array of shape (..., n, n), float32, float64, complex64 or complex128
    compute_schur_vectors : bool, static
    sort_eig_vals : False, static
    select_callable : None, static

    Returns
    -------
    list of
        T : Array of the shape and dtype of ``x``
        Z : Array of the shape and dtype of ``x``, where ``compute_schur_vectors``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, chapter 7.
    """

    name = "schur"
    multiple_results = True
    custom_calls = lapack.PREFIX
    numpy_until = 1 << 10

    def abstract(
        self, x: Aval, *, compute_schur_vectors: bool, sort_eig_vals: bool = False, select_callable: Any = None
    ) -> list[Aval]:
        check_matrix("schur", x, square=True)
        check_dtype("schur", x)
        if sort_eig_vals or select_callable is not None:
            raise ArgumentError(
                wrong="schur was asked to order eigenvalues, which it does not",
                fix="Leave out sort_eig_vals and select_callable",
            )
        return [x, x] if compute_schur_vectors else [x]

    def reference(
        self, x: np.ndarray, *, compute_schur_vectors: bool, sort_eig_vals: bool = False, select_callable: Any = None
    ) -> list[np.ndarray]:
        return [y.astype(x.dtype) for y in host.schur(x)[: 2 if compute_schur_vectors else 1]]

    def determined(self, operands: Any, results: Any, **params: Any) -> list[Any]:
        t = results[0]
        below = tril(t, -1 if t.dtype.kind == "c" else -2)
        if len(results) == 1:
            return [below, matmul(adjoint(operands[0]), zeros(Aval(t.shape, t.dtype)))]
        z = results[1]
        return [below, matmul(z, matmul(t, adjoint(z))), matmul(z, adjoint(z))]

    def decompose(
        self, x: Any, *, compute_schur_vectors: bool, sort_eig_vals: bool = False, select_callable: Any = None
    ) -> list[Any]:
        return steps.schur(x)[: 2 if compute_schur_vectors else 1]

    def stablehlo(
        self, b: Any, x: Any, *, compute_schur_vectors: bool, sort_eig_vals: bool = False, select_callable: Any = None
    ) -> Any:
        aval = Aval(x.aval.shape, x.aval.dtype)
        stack = aval.shape[:-2]
        values = [Aval(aval.shape[:-1], aval.dtype)] * (1 if aval.dtype.kind == "c" else 2)
        results = (aval, aval, *values, lapack.info(stack), lapack.info(stack))
        config = {"mode": lapack.letter("V" if compute_schur_vectors else "N"), "sort": lapack.letter("N")}
        t, z, *_, info = lapack.call(b, "gees", len(stack), (x,), results, config, {0: 0})
        return [lapack.or_nan(b, info, y) for y in ((t, z) if compute_schur_vectors else (t,))]

    def tried(self, make: Any) -> Any:
        params: dict[str, Any] = {"sort_eig_vals": False, "select_callable": None}
        yield Sample(make((4, 4)), compute_schur_vectors=True, **params, id="one")
        yield Sample(make((2, 3, 3)), compute_schur_vectors=True, **params, id="stack")
        yield Sample(make((3, 3)), compute_schur_vectors=False, **params, id="form")
        yield Sample(make((1, 1)), compute_schur_vectors=True, **params, id="smallest")
        yield Sample(make((0, 0)), compute_schur_vectors=True, **params, id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2, 3)), compute_schur_vectors=True), ShapeError, "schur works on square matrices")
        yield Refusal(Sample(narrow(make), compute_schur_vectors=True), DtypeError, "not on float16[2,2]")
        asked = Sample(make((2, 2)), compute_schur_vectors=True, sort_eig_vals=True)
        yield Refusal(asked, ArgumentError, "asked to order eigenvalues")


class Hessenberg(MatrixPrimitive):
    """``a = Q H Q^H`` with ``H`` zero below its first subdiagonal, packed: there the reflections stand that made it so.

    Reflection ``i`` is ``I - taus[i] v v^H`` with ``v`` zero up to its place ``i``, 1 at ``i + 1``, and after it what
    stands in column ``i``. ``Q`` is their product in order.

    Parameters
    ----------
    a : Array of shape (..., n, n), float32, float64, complex64 or complex128

    Returns
    -------
    list of
        packed : Array of the shape and dtype of ``a``
        taus : Array of shape (..., n - 1) of that dtype

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 7.4.3.
    """

    name = "hessenberg"
    multiple_results = True
    custom_calls = lapack.PREFIX
    numpy_until = 1 << 12

    def abstract(self, a: Aval) -> list[Aval]:
        n, _ = check_matrix("hessenberg", a, square=True)
        check_dtype("hessenberg", a)
        return [a, a.update(shape=(*a.shape[:-2], max(n - 1, 0)))]

    def reference(self, a: np.ndarray) -> list[np.ndarray]:
        return [x.astype(a.dtype) for x in host.hessenberg(a)]

    def decompose(self, a: Any) -> list[Any]:
        aval = aval_of(a)
        n, stack, dtype = aval.shape[-1], aval.shape[:-2], aval.dtype

        def step(i: Any, x: Any, taus: Any) -> tuple[Any, Any]:
            after = add(i, np.asarray(1, INT32))
            column = line(x, i, -1)
            v, tau, beta = reflection(column, after)
            right = gt(places(aval.shape, -1), broadcast_to(i, aval.shape))
            moved = reflect_left(reflect_right(x, v, tau), v, conjugate(tau))
            # Columns before hold reflections, which are not to be turned.
            x = where(right, moved, x)
            return with_line(x, _packed(column, v, beta, after), i, -1), with_line(taus, _flat(tau, stack), i, -1)

        taus = zeros(Aval((*stack, max(n - 1, 0)), dtype))
        return list(fori(n - 1 if aval.size else 0, step, (a, taus)))

    def stablehlo(self, b: Any, a: Any) -> Any:
        aval = Aval(a.aval.shape, a.aval.dtype)
        stack, n = aval.shape[:-2], aval.shape[-1]
        taus = Aval((*stack, n - 1), aval.dtype)
        if n == 1:
            return a, b.full(taus.shape, 0, taus.dtype)
        config = {"low": np.int32(1), "high": np.int32(n)}
        packed, taus, info = lapack.call(
            b, "gehrd", len(stack), (a,), (aval, taus, lapack.info(stack)), config, {0: 0}
        )
        return lapack.or_nan(b, info, packed), lapack.or_nan(b, info, taus)

    def tried(self, make: Any) -> Any:
        yield Sample(make((4, 4)), id="one")
        yield Sample(make((2, 3, 3)), id="stack")
        yield Sample(make((2, 2)), id="two")
        yield Sample(make((1, 1)), id="smallest")
        yield Sample(make((0, 0)), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2, 3))), ShapeError, "hessenberg works on square matrices")
        yield Refusal(Sample(narrow(make)), DtypeError, "not on float16[2,2]")


def _packed(column: Any, v: Any, beta: Any, at: Any) -> Any:
    """``column`` with ``beta`` at a place and the vector after it."""
    shape, dtype = aval_of(column).shape, aval_of(column).dtype
    here = eq(places(shape, -2), broadcast_to(at, shape))
    after = gt(places(shape, -2), broadcast_to(at, shape))
    return where(after, v, where(here, broadcast_to(convert(beta, dtype), shape), column))


def _flat(tau: Any, stack: tuple[int, ...]) -> Any:
    return reshape(tau, new_sizes=(*stack, 1), dimensions=None)


schur = registry.add(Schur())
hessenberg = registry.add(Hessenberg())
