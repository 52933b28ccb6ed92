"""Three diagonals: the form a Hermitian matrix takes under reflections, and systems of equations of that form."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import abs_, add, div, mul, neg, sub
from portax.primitives.broadcasting import broadcast_to, reduce_sum, reshape
from portax.primitives.comparison import eq, gt, lt
from portax.primitives.complex_parts import imag, real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.matrices import (
    INT32,
    REAL,
    MatrixPrimitive,
    as_rows,
    check_dtype,
    check_matrix,
    conjugate,
    fori,
    hermitian,
    line,
    narrow,
    on_diagonal,
    places,
    scalar,
    with_line,
)
from portax.primitives.linalg.qr import reflect_left, reflect_right, reflection
from portax.primitives.reductions import reduce_max
from portax.primitives.slicing import concatenate, part, rev
from portax.primitives.zeros import add_any, zeros

host = lazy("portax.primitives.linalg.host")


class Tridiagonal(MatrixPrimitive):
    """``a = Q T Q^H`` with ``a`` Hermitian and ``T`` real with three diagonals, packed.

    One triangle of ``a`` is read and overwritten: with the two diagonals of ``T`` that are in it, and beyond them with
    the reflections whose product is ``Q``. Where ``lower``, reflection ``i`` makes zeros in column ``i`` below its
    subdiagonal; else in column ``i + 1`` above its superdiagonal, the last column first.

    Parameters
    ----------
    a : Array of shape (..., n, n), float32, float64, complex64 or complex128
    lower : bool, static

    Returns
    -------
    list of
        packed : Array of the shape and dtype of ``a``
        d : Array of shape (..., n) of its real dtype, the diagonal
        e : Array of shape (..., n - 1) of its real dtype, the one beside it
        taus : Array of shape (..., n - 1) of the dtype of ``a``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 8.3.1.
    """

    name = "tridiagonal"
    multiple_results = True
    custom_calls = lapack.PREFIX
    numpy_until = 1 << 12

    def abstract(self, a: Aval, *, lower: bool) -> list[Aval]:
        n, _ = check_matrix("tridiagonal", a, square=True)
        check_dtype("tridiagonal", a)
        beside, real_dtype = (*a.shape[:-2], max(n - 1, 0)), REAL[a.dtype.name]
        d = a.update(shape=a.shape[:-1], dtype=real_dtype)
        return [a, d, a.update(shape=beside, dtype=real_dtype), a.update(shape=beside)]

    def reference(self, a: np.ndarray, *, lower: bool) -> list[np.ndarray]:
        packed, d, e, taus = host.tridiagonal(a, lower)
        real_dtype = REAL[a.dtype.name]
        return [packed.astype(a.dtype), d.astype(real_dtype), e.astype(real_dtype), taus.astype(a.dtype)]

    def decompose(self, a: Any, *, lower: bool) -> list[Any]:
        aval = aval_of(a)
        if not lower:  # the matrix seen from its other corner
            axes = (aval.ndim - 2, aval.ndim - 1)
            packed, *rest = self.decompose(rev(a, dimensions=axes), lower=True)
            return [rev(packed, dimensions=axes), *(rev(y, dimensions=axes[:1]) for y in rest)]
        n, stack, dtype, real_dtype = aval.shape[-1], aval.shape[:-2], aval.dtype, REAL[aval.dtype.name]
        one, none = np.asarray(1, INT32), np.zeros((), dtype)

        def step(i: Any, x: Any, packed: Any, e: Any, taus: Any) -> tuple[Any, ...]:
            after = add(i, one)
            column = line(x, i, -1)
            v, tau, beta = reflection(column, after)
            x = reflect_right(reflect_left(x, v, conjugate(tau)), v, tau)
            kept, shape = line(packed, i, -1), aval_of(column).shape
            below = gt(places(shape, -2), broadcast_to(after, shape))
            here = eq(places(shape, -2), broadcast_to(after, shape))
            kept = where(below, v, where(here, broadcast_to(convert(beta, dtype), shape), kept))
            flat = (*stack, 1)
            return (
                x, with_line(packed, kept, i, -1),
                with_line(e, reshape(beta, new_sizes=flat, dimensions=None), i, -1),
                with_line(taus, reshape(tau, new_sizes=flat, dimensions=None), i, -1),
            )  # fmt: skip

        beside = (*stack, max(n - 1, 0))
        init = (hermitian(a, lower=True), a, zeros(Aval(beside, real_dtype)), zeros(Aval(beside, dtype)))
        x, packed, e, taus = fori(n - 1 if aval.size else 0, step, init)
        on = on_diagonal(aval.shape)
        d = reduce_sum(where(on, x, none), axes=(aval.ndim - 2,))
        d = real(d) if dtype.kind == "c" else d
        return [where(on, convert(as_rows(d, n), dtype), packed), d, e, taus]

    def stablehlo(self, b: Any, a: Any, *, lower: bool) -> Any:
        aval = Aval(a.aval.shape, a.aval.dtype)
        stack, n, real_dtype = aval.shape[:-2], aval.shape[-1], REAL[aval.dtype.name]
        beside = (*stack, n - 1)
        if n == 1:
            d = b.reshape(b.real(a) if aval.dtype.kind == "c" else a, aval.shape[:-1])
            packed = b.reshape(b.convert(d, aval.dtype), aval.shape)
            return packed, d, b.full(beside, 0, real_dtype), b.full(beside, 0, aval.dtype)
        results = (
            aval, Aval(aval.shape[:-1], real_dtype), Aval(beside, real_dtype), Aval(beside, aval.dtype),
            lapack.info(stack),
        )  # fmt: skip
        *found, info = lapack.call(
            b, "sytrd", len(stack), (a,), results, {"uplo": lapack.letter("L" if lower else "U")}, {0: 0}
        )
        return [lapack.or_nan(b, info, y) for y in found]

    def tried(self, make: Any) -> Any:
        yield Sample(make((4, 4)), lower=True, id="lower")
        yield Sample(make((4, 4)), lower=False, id="upper")
        yield Sample(make((2, 3, 3)), lower=True, id="stack")
        yield Sample(make((1, 1)), lower=True, id="smallest")
        yield Sample(make((0, 0)), lower=True, id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2, 3)), lower=True), ShapeError, "tridiagonal works on square matrices")
        yield Refusal(Sample(narrow(make), lower=True), DtypeError, "not on float16[2,2]")


class TridiagonalSolve(MatrixPrimitive):
    """The ``x`` with ``A x = b``, where ``A`` has three diagonals, by elimination with exchange of neighbouring rows.

    Row ``i`` of ``A`` has ``dl[i]`` before the diagonal, ``d[i]`` on it and ``du[i]`` after it; ``dl[0]`` and
    ``du[n - 1]`` are not read. A singular ``A`` gives NaN.

    Parameters
    ----------
    dl, d, du : Arrays of shape (..., n), float32, float64, complex64 or complex128
    b : Array of shape (..., n, k), of the same dtype
    perturb_singular : bool, static
        A pivot that is tiny beside the greatest counts as that times the dtype's epsilon, so results are finite.

    Returns
    -------
    Array of the shape and dtype of ``b``

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, section 4.3.
    """

    name = "tridiagonal_solve"

    def shape(self, dl: Aval, d: Aval, du: Aval, b: Aval, *, perturb_singular: bool = False) -> tuple[int, ...]:
        check_matrix("tridiagonal_solve", b)
        if any(v.shape != b.shape[:-1] for v in (dl, d, du)):
            raise ShapeError(
                wrong=f"tridiagonal_solve takes diagonals as long as b has rows, got dl: {dl}, d: {d}, du: {du} and "
                f"b: {b}",
                fix=f"Give three arrays of shape {b.shape[:-1]}",
            )
        return b.shape

    def dtype(self, dl: Aval, d: Aval, du: Aval, b: Aval, **_: Any) -> Any:
        check_dtype("tridiagonal_solve", dl, d, du, b)
        return b.dtype

    def reference(
        self, dl: np.ndarray, d: np.ndarray, du: np.ndarray, b: np.ndarray, *, perturb_singular: bool = False
    ) -> np.ndarray:
        eps = float(np.finfo(b.dtype).eps) if perturb_singular else None
        return host.solve_tridiagonal(dl, d, du, b, eps).astype(b.dtype)

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        dl, d, du, _ = primals
        tl, td, tu, tb = tangents
        x = tridiagonal_solve(*primals, **params)
        right = tb
        # A dx = db - dA x
        for t, moved in ((tl, _shifted(x, 1)), (td, x), (tu, _shifted(x, -1))):
            if t is not None:
                term = neg(mul(as_rows(t, x.shape[-1]), moved))
                right = term if right is None else add_any(right, term)
        return x, None if right is None else tridiagonal_solve(dl, d, du, right, **params)

    def transpose(self, ct: Any, dl: Any, d: Any, du: Any, b: Any, **params: Any) -> Any:
        assert type(b) is Undefined, "tridiagonal_solve is linear in b alone"
        lower, upper = (_shifted_row(y, by) for y, by in ((du, 1), (dl, -1)))
        return None, None, None, tridiagonal_solve(lower, d, upper, ct, **params)

    def decompose(self, dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
        aval = aval_of(b)
        n, stack, dtype = aval.shape[-2], aval.shape[:-2], aval.dtype
        if not aval.size:
            return b
        one, none = np.asarray(1, INT32), np.zeros((), dtype)
        cell, row = (*stack, 1), (*stack, 1, aval.shape[-1])

        def spread(y: Any) -> Any:
            return broadcast_to(reshape(y, new_sizes=(*stack, 1, 1), dimensions=None), row)

        def forward(i: Any, low: Any, mid: Any, up: Any, far: Any, x: Any) -> tuple[Any, ...]:
            after = add(i, one)
            own = [line(mid, i, -1), line(up, i, -1), zeros(Aval(cell, dtype))]
            under = [line(low, after, -1), line(mid, after, -1), line(up, after, -1)]
            swap = gt(_size(under[0]), _size(own[0]))
            top = [where(swap, u, o) for u, o in zip(under, own, strict=True)]
            rest = [where(swap, o, u) for u, o in zip(under, own, strict=True)]
            nothing = eq(rest[0], zeros(Aval(cell, dtype)))
            factor = where(nothing, none, div(rest[0], where(nothing, np.ones((), dtype), top[0])))
            mid = with_line(mid, top[0], i, -1)
            mid = with_line(mid, sub(rest[1], mul(factor, top[1])), after, -1)
            up = with_line(up, top[1], i, -1)
            up = with_line(up, sub(rest[2], mul(factor, top[2])), after, -1)
            far = with_line(far, top[2], i, -1)
            first, second = line(x, i, -2), line(x, after, -2)
            swapped = broadcast_to(reshape(swap, new_sizes=(*stack, 1, 1), dimensions=None), row)
            lead, other = where(swapped, second, first), where(swapped, first, second)
            x = with_line(x, lead, i, -2)
            return low, mid, up, far, with_line(x, sub(other, mul(spread(factor), lead)), after, -2)

        far = zeros(Aval((*stack, n), dtype))
        _, mid, up, far, x = fori(n - 1, forward, (dl, d, du, far, b))
        last = eq(places((*stack, n), -1), broadcast_to(np.asarray(n - 1, INT32), (*stack, n)))
        up = where(last, none, up)
        singular = None
        if perturb_singular:
            greatest = None
            for y in (mid, up, far):
                most = reduce_max(abs_(y), axes=(len(stack),))
                greatest = most if greatest is None else where(gt(most, greatest), most, greatest)
            least = as_rows(mul(greatest, scalar(greatest, np.finfo(dtype).eps)), n)
            tiny = lt(abs_(mid), least)
            first = real(mid) if dtype.kind == "c" else mid
            signed = where(lt(first, zeros(Aval(first.shape, first.dtype))), neg(least), least)
            mid = where(tiny, convert(signed, dtype), mid)
        else:
            zero = eq(mid, zeros(Aval((*stack, n), dtype)))
            singular = gt(
                reduce_max(convert(zero, INT32), axes=(len(stack),)), broadcast_to(np.asarray(0, INT32), stack)
            )

        def backward(k: Any, x: Any) -> tuple[Any]:
            i = sub(np.asarray(n - 1, INT32), k)
            value = line(x, i, -2)
            # Rows past the end are read at the end, where they are multiplied by 0.
            for j, beside in ((1, up), (2, far)):
                past = gt(add(i, np.asarray(j, INT32)), np.asarray(n - 1, INT32))
                other = where(past, none, line(x, add(i, np.asarray(j, INT32)), -2))
                value = sub(value, mul(spread(line(beside, i, -1)), other))
            return (with_line(x, div(value, spread(line(mid, i, -1))), i, -2),)

        [x] = fori(n, backward, (x,))
        if singular is None:
            return x
        nan = np.asarray(complex(np.nan, np.nan) if dtypes.is_complex(dtype) else np.nan, dtype)
        singular = broadcast_to(reshape(singular, new_sizes=(*stack, 1, 1), dimensions=None), aval.shape)
        return where(singular, nan, x)

    def stablehlo(self, b: Any, dl: Any, d: Any, du: Any, y: Any, *, perturb_singular: bool = False) -> Any:
        stack = y.aval.shape[:-2]
        if y.aval.shape[-2] == 1:  # LAPACK has no diagonals beside the one
            x = b.binary("divide", y, b.broadcast_in_dim(d, y.aval.shape, tuple(range(len(stack) + 1))))
            zero = b.compare(d, b.full(d.aval.shape, 0, d.aval.dtype), "EQ")
            return lapack.or_nan(b, b.convert(b.reshape(zero, stack), INT32), x)
        results = [Aval(v.aval.shape, v.aval.dtype) for v in (dl, d, du, y)]
        *_, x, info = lapack.call(
            b, "gtsv", len(stack), (dl, d, du, y), (*results, lapack.info(stack)), {}, {0: 0, 1: 1, 2: 2, 3: 3}
        )
        return lapack.or_nan(b, info, x)

    custom_calls = lapack.PREFIX

    def tried(self, make: Any) -> Any:
        def system(n: int, k: int, *lead: int) -> list[Any]:
            d = make((*lead, n), -1.0, 1.0)
            d = (d + 4).astype(d.dtype)
            return [make((*lead, n), -1.0, 1.0), d, make((*lead, n), -1.0, 1.0), make((*lead, n, k))]

        yield Sample(*system(5, 2), perturb_singular=False, id="one")
        yield Sample(*system(4, 1, 2), perturb_singular=False, id="stack")
        exchanging = system(4, 2)
        exchanging[1] = (exchanging[1] * np.array([0.1, 1.0, 0.2, 1.0])).astype(exchanging[1].dtype)
        exchanging[0] = (exchanging[0] + 2).astype(exchanging[0].dtype)
        yield Sample(*exchanging, perturb_singular=False, id="exchanging")
        yield Sample(*system(1, 2), perturb_singular=False, id="smallest")
        yield Sample(*system(3, 0), perturb_singular=False, id="empty")

    def refusals(self, make: Any) -> Any:
        v, b = make((3,)), make((3, 2))
        yield Refusal(Sample(v, v, v, v, perturb_singular=False), ShapeError, "tridiagonal_solve works on matrices")
        yield Refusal(Sample(v, v[:2], v, b, perturb_singular=False), ShapeError, "diagonals as long as b has rows")
        n = narrow(make)
        yield Refusal(Sample(n[0], n[0], n[0], n, perturb_singular=False), DtypeError, "not on float16[2]")


def _size(x: Any) -> Any:
    return add(abs_(real(x)), abs_(imag(x))) if dtypes.is_complex(aval_of(x).dtype) else abs_(x)


def _shifted(x: Any, by: int) -> Any:
    """The rows moved down by one, or up, with a row of zeros where none comes from."""
    return _moved(x, by, aval_of(x).ndim - 2)


def _shifted_row(x: Any, by: int) -> Any:
    return _moved(x, by, aval_of(x).ndim - 1)


def _moved(x: Any, by: int, axis: int) -> Any:
    shape = list(aval_of(x).shape)
    n, shape[axis] = shape[axis], 1
    if n == 0:
        return x
    none = zeros(Aval(tuple(shape), aval_of(x).dtype))
    parts = (none, part(x, axis, 0, n - 1)) if by == 1 else (part(x, axis, 1, n), none)
    return concatenate(*parts, dimension=axis)


tridiagonal = registry.add(Tridiagonal())
tridiagonal_solve = registry.add(TridiagonalSolve())
