"""Singular values, and the vectors that go with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, NotDifferentiableError, ShapeError
from portax.primitives.arithmetic import add, div, mul, sub
from portax.primitives.broadcasting import broadcast_to, reduce_sum
from portax.primitives.comparison import eq
from portax.primitives.complex_parts import real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.eigh import projections
from portax.primitives.linalg.matrices import (
    REAL,
    MatrixPrimitive,
    adjoint,
    as_columns,
    as_rows,
    check_dtype,
    check_matrix,
    each,
    matmul,
    nan_like,
    narrow,
    on_diagonal,
    scale_columns,
    widened,
)
from portax.primitives.slicing import part
from portax.primitives.zeros import zeros

jacobi = lazy("portax.primitives.linalg.jacobi")

#: What a user may call the algorithms, and which of LAPACK's routines is meant.
ROUTINES = {None: "gesdd", "default": "gesdd", "divide_and_conquer": "gesdd", "QR": "gesvd"}


def routine(algorithm: Any) -> str:
    """LAPACK's routine for an algorithm, given as None, a name, or something with a ``value`` that is one."""
    known = ROUTINES.get(getattr(algorithm, "value", algorithm))
    if known is None:
        raise ArgumentError(
            wrong=f"svd knows no algorithm {algorithm}, or not on any device here",
            fix="Leave it out, or give 'QR' or 'divide_and_conquer'",
        )
    return known


class SVD(MatrixPrimitive):
    """``x = U diag(s) Vh`` with orthonormal columns in ``U`` and rows in ``Vh``, and ``s`` descending from above to 0.

    A column of ``U`` and the row of ``Vh`` beside it are right up to a phase that both share; those of equal singular
    values up to a rotation, and then their derivative is infinite. NaN where the algorithm does not converge.

    Parameters
    ----------
    x : Array of shape (..., m, n), float32, float64, complex64 or complex128
    full_matrices : bool, static; all columns of ``U`` and rows of ``Vh``, else the first ``min(m, n)``
    compute_uv : bool, static; the vectors too
    subset_by_index : None or (start, stop), static; of the singular values, those from ``start`` to ``stop - 1``
    algorithm : None or one of "QR", "divide_and_conquer", static; which of two routines LAPACK is asked for

    Returns
    -------
    list of
        s : Array of shape (..., k) and the real dtype of ``x``
        U : Array of shape (..., m, m) or (..., m, k) and the dtype of ``x``, where ``compute_uv``
        Vh : Array of shape (..., n, n) or (..., k, n) and that dtype, where ``compute_uv``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 8.6; Giles, Collected matrix derivative
    results for forward and reverse mode algorithmic differentiation, 2008, section 3.2; Townsend, Differentiating the
    singular value decomposition, 2016; Wan and Zhang, Automatic differentiation for complex valued SVD, arXiv
    1909.02659, 2019.
    """

    name = "svd"
    multiple_results = True
    custom_calls = lapack.PREFIX

    def abstract(
        self, x: Aval, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any = None, algorithm: Any = None
    ) -> list[Aval]:
        m, n = check_matrix("svd", x)
        check_dtype("svd", x)
        routine(algorithm)
        k = min(m, n)
        if subset_by_index is not None:
            start, stop = subset_by_index
            if not 0 <= start <= stop <= k:
                raise ArgumentError(
                    wrong=f"svd was asked for singular values {start} to {stop} of {k}",
                    fix=f"Give a range within 0 to {k}",
                )
            if full_matrices and (start, stop) != (0, k):
                raise ArgumentError(
                    wrong="svd was asked for some of the singular values, and for all of the vectors",
                    fix="Give full_matrices=False",
                )
            k = stop - start
        stack = x.shape[:-2]
        s = Aval((*stack, k), REAL[x.dtype.name], x.weak_type)
        if not compute_uv:
            return [s]
        rows, columns = (m, n) if full_matrices else (k, k)
        return [s, x.update(shape=(*stack, m, rows)), x.update(shape=(*stack, columns, n))]

    def reference(
        self, x: np.ndarray, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any = None,
        algorithm: Any = None,
    ) -> list[np.ndarray]:  # fmt: skip
        (m, n), k = x.shape[-2:], min(x.shape[-2:])
        real_dtype = REAL[x.dtype.name]

        def f(a: np.ndarray) -> list[np.ndarray]:
            if not a.size:
                stack, rows, columns = a.shape[:-2], m if full_matrices else k, n if full_matrices else k
                whole = [np.broadcast_to(np.eye(*s, dtype=a.dtype), (*stack, *s)) for s in ((m, rows), (columns, n))]
                return [np.zeros((*stack, k)), *whole]
            u, s, vh = np.linalg.svd(a, full_matrices=full_matrices)
            return [s, u, vh]

        def failed(a: np.ndarray) -> list[np.ndarray]:
            rows, columns = (m, n) if full_matrices else (k, k)
            return nan_like(np.empty(k), np.empty((m, rows), a.dtype), np.empty((columns, n), a.dtype))

        wide = widened(x)
        if not compute_uv and x.size:
            found = each(lambda a: [np.linalg.svd(a, compute_uv=False)], wide, lambda a: failed(a)[:1])
        else:
            found = each(f, wide, failed)[: 3 if compute_uv else 1]
        if subset_by_index is not None:
            cut = slice(*subset_by_index)
            found = [found[0][..., cut], *([found[1][..., cut], found[2][..., cut, :]] if compute_uv else [])]
        return [found[0].astype(real_dtype), *(y.astype(x.dtype) for y in found[1:])]

    def jvp(
        self, primals: Any, tangents: Any, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any = None,
        algorithm: Any = None,
    ) -> Any:  # fmt: skip
        [x], [dx] = primals, tangents
        m, n = aval_of(x).shape[-2:]
        if not aval_of(x).size:
            out = svd(
                x, full_matrices=full_matrices, compute_uv=compute_uv, subset_by_index=subset_by_index,
                algorithm=algorithm,
            )  # fmt: skip
            return out, [None] * len(out)
        if compute_uv and full_matrices and m != n:
            raise NotDifferentiableError(
                wrong=f"svd has no derivative with full_matrices of other than square matrices, as of {aval_of(x)}",
                fix="Ask for as many vectors as singular values: full_matrices=False",
            )
        params: dict[str, Any] = {"subset_by_index": None, "algorithm": algorithm}
        s, u, vh = svd(x, full_matrices=False, compute_uv=True, **params)
        v = adjoint(vh)
        inner = matmul(adjoint(u), matmul(dx, v))
        shape = inner.shape
        on, none = on_diagonal(shape), np.zeros((), s.dtype)
        diagonal = reduce_sum(where(on, inner, np.zeros((), inner.dtype)), axes=(len(shape) - 2,))
        ds = real(diagonal) if diagonal.dtype.kind == "c" else diagonal
        outs, dots = [s, u, vh], [ds]
        if compute_uv:
            # u^H du and v^H dv are skew; off the diagonal they solve  inner = u^H du s + s (v^H dv)^H.
            k = shape[-1]
            one = np.ones((), s.dtype)
            rows, columns = as_rows(s, k), as_columns(s, k)
            gap = where(on, one, mul(sub(columns, rows), add(columns, rows)))
            weight = where(on, none, div(broadcast_to(one, shape), gap))
            weight, rows, columns = (convert(y, inner.dtype) for y in (weight, rows, columns))
            right, left = mul(inner, columns), mul(rows, inner)
            turn_u = mul(weight, add(right, adjoint(right)))
            turn_v = mul(weight, add(left, adjoint(left)))
            safe = where(eq(s, zeros(Aval(s.shape, s.dtype))), one, s)
            inverse = where(eq(s, zeros(Aval(s.shape, s.dtype))), none, div(broadcast_to(one, s.shape), safe))
            inverse = convert(inverse, inner.dtype)
            if inner.dtype.kind == "c":  # the phase that both share is given to u
                phase = mul(sub(inner, adjoint(inner)), broadcast_to(np.asarray(0.5, inner.dtype), shape))
                turn_u = where(on, scale_columns(phase, inverse), turn_u)
            du, dv = matmul(u, turn_u), matmul(v, turn_v)
            if m > n:
                out = sub(matmul(dx, v), matmul(u, inner))
                du = add(du, scale_columns(out, inverse))
            if n > m:
                out = sub(matmul(adjoint(dx), u), matmul(v, adjoint(inner)))
                dv = add(dv, scale_columns(out, inverse))
            dots += [du, adjoint(dv)]
        if subset_by_index is not None:
            outs = _subset(outs, subset_by_index)
            dots = _subset(dots, subset_by_index)
        return outs[: len(dots)], dots

    def determined(self, operands: Any, results: Any, **params: Any) -> list[Any]:
        if len(results) == 1:
            return list(results)
        s, u, vh = results
        k, v = s.shape[-1], adjoint(vh)
        axis = u.ndim - 1
        first = projections(part(u, axis, 0, k), part(v, axis, 0, k))
        rest = [part(y, axis, k, y.shape[-1]) for y in (u, v)]  # what completes them spans what is left
        return [s, first, *(matmul(y, adjoint(y)) for y in rest if y.shape[-1])]

    def decompose(
        self, x: Any, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any = None, algorithm: Any = None
    ) -> list[Any]:
        s, u, v = jacobi.svd(x, full_matrices)
        out = [s, u, adjoint(v)]
        if subset_by_index is not None:
            out = _subset(out, subset_by_index)
        return out if compute_uv else out[:1]

    def stablehlo(
        self, b: Any, x: Any, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any = None,
        algorithm: Any = None,
    ) -> Any:  # fmt: skip
        shape, dtype = x.aval.shape, x.aval.dtype
        stack, (m, n) = shape[:-2], shape[-2:]
        k = min(m, n)
        rows, columns = (m, n) if full_matrices or not compute_uv else (k, k)
        mode = ("A" if full_matrices else "S") if compute_uv else "N"
        results = (
            Aval(shape, dtype), Aval((*stack, k), REAL[dtype.name]), lapack.matrix(stack, m, rows, dtype),
            lapack.matrix(stack, columns, n, dtype), lapack.info(stack),
        )  # fmt: skip
        name = routine(algorithm)
        _, s, u, vh, info = lapack.call(b, name, len(stack), (x,), results, {"mode": lapack.letter(mode)}, {0: 0})
        out = [lapack.or_nan(b, info, y) for y in ((s, u, vh) if compute_uv else (s,))]
        if subset_by_index is not None:
            out = [lapack.last(b, y, *subset_by_index, axis=-2 if i == 2 else -1) for i, y in enumerate(out)]
        return out

    def tried(self, make: Any) -> Any:
        def params(full: bool = False, uv: bool = True, subset: Any = None, algorithm: Any = None) -> dict[str, Any]:
            return {"full_matrices": full, "compute_uv": uv, "subset_by_index": subset, "algorithm": algorithm}

        yield Sample(_spread(make, 4, 4), **params(), id="square")
        yield Sample(_spread(make, 3, 3), **params(full=True), id="square-full")
        yield Sample(_spread(make, 5, 3, 2), **params(), id="tall")
        yield Sample(_spread(make, 3, 4), **params(algorithm="QR"), id="wide")
        yield Sample(_spread(make, 5, 3), **params(full=True), id="full")
        yield Sample(_spread(make, 4, 3), **params(uv=False), id="values")
        yield Sample(_spread(make, 4, 5), **params(subset=(1, 3)), id="subset")
        yield Sample(make((3, 0)), **params(full=True), id="empty")

    def refusals(self, make: Any) -> Any:
        plain: dict[str, Any] = {"full_matrices": True, "compute_uv": True}
        yield Refusal(Sample(make((3,)), **plain), ShapeError, "svd works on matrices")
        yield Refusal(Sample(narrow(make), **plain), DtypeError, "not on float16[2,2]")
        yield Refusal(Sample(make((2, 2)), **plain, algorithm="Jacobi"), ArgumentError, "no algorithm Jacobi")
        yield Refusal(
            Sample(make((2, 3)), **plain, subset_by_index=(1, 3)), ArgumentError, "singular values 1 to 3 of 2"
        )
        yield Refusal(
            Sample(make((2, 3)), **plain, subset_by_index=(0, 1)), ArgumentError, "some of the singular values"
        )


def _subset(out: list[Any], index: tuple[int, int]) -> list[Any]:
    axes = (-1, -1, -2)
    return [part(y, aval_of(y).ndim + axis, *index) for y, axis in zip(out, axes, strict=False)]


def _spread(make: Any, m: int, n: int, *lead: int) -> np.ndarray:
    """A sample: matrices whose singular values are far apart."""
    a = make((*lead, m, n), -0.5, 0.5)
    return (a + np.eye(m, n) * (3.0 * np.arange(1, n + 1))).astype(a.dtype)


svd = registry.add(SVD())
