"""Hermitian matrices: their eigenvalues and eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.primitives.arithmetic import div, mul, sub
from portax.primitives.broadcasting import broadcast_to, reduce_sum
from portax.primitives.complex_parts import real
from portax.primitives.contraction import dot_general
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.matrices import (
    REAL,
    MatrixPrimitive,
    adjoint,
    as_columns,
    as_rows,
    check_dtype,
    check_matrix,
    conjugate,
    each,
    hermitian,
    matmul,
    nan_like,
    narrow,
    on_diagonal,
    widened,
)
from portax.primitives.slicing import part

jacobi = lazy("portax.primitives.linalg.jacobi")


def projections(v: Any, u: Any) -> Any:
    """For each column the matrix ``v_i u_i^H``: ``out[..., i, :, :]``. A phase shared by both columns is not in it."""
    n = aval_of(v).ndim
    batch = (*range(n - 2), n - 1)
    return dot_general(
        v, conjugate(u), dimension_numbers=(((), ()), (batch, batch)), precision=None, preferred_element_type=None,
        out_sharding=None,
    )  # fmt: skip


class Eigh(MatrixPrimitive):
    """Eigenvectors and eigenvalues of Hermitian matrices: ``x v[:, i] = w[i] v[:, i]``.

    One triangle of ``x`` is read, and of its diagonal the real part. The eigenvectors are orthonormal, each right up to
    a phase; those of equal eigenvalues up to a rotation, and then their derivative is infinite. NaN where the
    algorithm does not converge.

    Parameters
    ----------
    x : Array of shape (..., n, n), float32, float64, complex64 or complex128
    lower : bool, static; which triangle is read
    sort_eigenvalues : bool, static; they ascend here in any case
    subset_by_index : None or (start, stop), static; of the ascending eigenvalues, those from ``start`` to ``stop - 1``
    algorithm : None, static

    Returns
    -------
    list of
        v : Array of shape (..., n, k) and the dtype of ``x``
        w : Array of shape (..., k) and its real dtype

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, chapter 8; Giles, Collected matrix derivative results
    for forward and reverse mode algorithmic differentiation, 2008, section 3.1.
    """

    name = "eigh"
    multiple_results = True
    custom_calls = lapack.PREFIX

    def abstract(
        self, x: Aval, *, lower: bool, sort_eigenvalues: bool, subset_by_index: Any = None, algorithm: Any = None
    ) -> list[Aval]:
        n, _ = check_matrix("eigh", x, square=True)
        check_dtype("eigh", x)
        if algorithm is not None:
            raise ArgumentError(
                wrong=f"eigh knows no algorithm {algorithm!r}", fix="Leave it out: each device has one that fits it"
            )
        if subset_by_index is not None:
            start, stop = subset_by_index
            if not 0 <= start <= stop <= n:
                raise ArgumentError(
                    wrong=f"eigh was asked for eigenvalues {start} to {stop} of {n}",
                    fix=f"Give a range within 0 to {n}",
                )
            n = stop - start
        stack = x.shape[:-2]
        return [x.update(shape=(*x.shape[:-1], n)), Aval((*stack, n), REAL[x.dtype.name], x.weak_type)]

    def reference(
        self, x: np.ndarray, *, lower: bool, sort_eigenvalues: bool, subset_by_index: Any = None, algorithm: Any = None
    ) -> list[np.ndarray]:
        def f(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            w, v = np.linalg.eigh(a, "L" if lower else "U")
            return v, w

        v, w = each(f, widened(x), lambda a: nan_like(a, np.real(a[..., 0])))
        start, stop = subset_by_index or (0, x.shape[-1])
        return [v[..., start:stop].astype(x.dtype), w[..., start:stop].astype(REAL[x.dtype.name])]

    def jvp(self, primals: Any, tangents: Any, *, subset_by_index: Any = None, **params: Any) -> Any:
        # dw = diag(v^H dx v), dv = v (F o v^H dx v) with F[i, j] = 1 / (w[j] - w[i]) and 0 on the diagonal.
        v, w = eigh(*primals, subset_by_index=None, **params)
        dx = hermitian(tangents[0], params["lower"])
        inner = matmul(adjoint(v), matmul(dx, v))
        shape, n = inner.shape, inner.shape[-1]
        on, one = on_diagonal(shape), np.ones((), w.dtype)
        gaps = where(on, one, sub(as_columns(w, n), as_rows(w, n)))
        weights = where(on, np.zeros((), w.dtype), div(broadcast_to(one, shape), gaps))
        dv = matmul(v, mul(convert(weights, v.dtype), inner))
        diagonal = reduce_sum(where(on, inner, np.zeros((), inner.dtype)), axes=(len(shape) - 2,))
        dw = real(diagonal) if diagonal.dtype.kind == "c" else diagonal
        outs, dots = [v, w], [dv, dw]
        if subset_by_index is not None:
            outs, dots = ([part(x, x.ndim - 1, *subset_by_index) for x in xs] for xs in (outs, dots))
        return outs, dots

    def determined(self, operands: Any, results: Any, **params: Any) -> list[Any]:
        v, w = results
        return [projections(v, v), w]

    def decompose(
        self, x: Any, *, lower: bool, sort_eigenvalues: bool, subset_by_index: Any = None, algorithm: Any = None
    ) -> list[Any]:
        v, w = jacobi.eigh(x, lower)
        if subset_by_index is not None:
            v, w = (part(y, aval_of(y).ndim - 1, *subset_by_index) for y in (v, w))
        return [v, w]

    def stablehlo(
        self, b: Any, x: Any, *, lower: bool, sort_eigenvalues: bool, subset_by_index: Any = None, algorithm: Any = None
    ) -> Any:
        shape, dtype = x.aval.shape, x.aval.dtype
        stack = shape[:-2]
        results = (Aval(shape, dtype), Aval(shape[:-1], REAL[dtype.name]), lapack.info(stack))
        config = {"mode": lapack.letter("V"), "uplo": lapack.letter("L" if lower else "U")}
        v, w, info = lapack.call(b, "syevd", len(stack), (x,), results, config, {0: 0})
        v, w = lapack.or_nan(b, info, v), lapack.or_nan(b, info, w)
        if subset_by_index is not None:
            v, w = lapack.last(b, v, *subset_by_index), lapack.last(b, w, *subset_by_index)
        return v, w

    def tried(self, make: Any) -> Any:
        params: dict[str, Any] = {"sort_eigenvalues": True, "subset_by_index": None, "algorithm": None}
        yield Sample(apart(make, 4), lower=True, **params, id="lower")
        yield Sample(apart(make, 3, 2), lower=False, **params, id="upper")
        yield Sample(apart(make, 1), lower=True, **params, id="smallest")
        params["subset_by_index"] = (1, 3)
        yield Sample(apart(make, 5), lower=True, **params, id="subset")
        params["subset_by_index"] = None
        yield Sample(make((2, 0, 0)), lower=True, **params, id="empty")

    def refusals(self, make: Any) -> Any:
        params: dict[str, Any] = {"lower": True, "sort_eigenvalues": True}
        yield Refusal(Sample(make((2, 3)), **params), ShapeError, "eigh works on square matrices")
        yield Refusal(Sample(narrow(make), **params), DtypeError, "not on float16[2,2]")
        yield Refusal(Sample(make((2, 2)), **params, subset_by_index=(1, 3)), ArgumentError, "eigenvalues 1 to 3 of 2")
        yield Refusal(Sample(make((2, 2)), **params, algorithm="x"), ArgumentError, "no algorithm 'x'")


def apart(make: Any, n: int, *lead: int) -> np.ndarray:
    """A sample: matrices whose Hermitian part has eigenvalues far apart; no triangle is that of the other."""
    a = make((*lead, n, n), -0.5, 0.5)
    return (a + np.diag(3.0 * np.arange(n) - n)).astype(a.dtype)


eigh = registry.add(Eigh())
