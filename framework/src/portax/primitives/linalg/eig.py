"""Eigenvalues and eigenvectors of general square matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.lazy import lazy
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import DtypeError, NotDifferentiableError, ShapeError
from portax.primitives.arithmetic import add, div, mul, neg, sub
from portax.primitives.broadcasting import broadcast_to, reduce_sum, reshape
from portax.primitives.comparison import eq
from portax.primitives.complex_parts import complex_, imag, real
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.linalg import lapack
from portax.primitives.linalg.eigh import projections
from portax.primitives.linalg.lu import lu
from portax.primitives.linalg.matrices import (
    COMPLEX,
    INT32,
    MatrixPrimitive,
    adjoint,
    as_columns,
    as_rows,
    check_dtype,
    check_matrix,
    conjugate,
    each,
    matmul,
    nan_like,
    narrow,
    on_diagonal,
    places,
    scale_columns,
    squares,
    take_rows,
    widened,
)
from portax.primitives.linalg.triangular import triangular_solve
from portax.primitives.reductions import argmax
from portax.primitives.sorting import sort
from portax.primitives.zeros import zeros

steps = lazy("portax.primitives.linalg.unsymmetric")


class Eig(MatrixPrimitive):
    """Eigenvalues and eigenvectors: ``x vr[:, i] = w[i] vr[:, i]`` and ``vl[:, i]^H x = w[i] vl[:, i]^H``.

    An eigenvector has length 1, and its greatest element is real; it is right up to its sign. The eigenvalues come in
    no order that is promised. NaN where the algorithm does not converge.

    Parameters
    ----------
    x : Array of shape (..., n, n), float32, float64, complex64 or complex128
    compute_left_eigenvectors, compute_right_eigenvectors : bool, static
    enable_eigvec_derivs : bool, static
        Eigenvectors have derivatives, right where no eigenvalue is double and each vector has one greatest element.
    implementation : None, static

    Returns
    -------
    list of
        w : complex Array of shape (..., n)
        vl : complex Array of shape (..., n, n), where asked for
        vr : complex Array of shape (..., n, n), where asked for

    References
    ----------
    Golub and Van Loan, Matrix Computations, fourth edition, 2013, sections 7.2 and 7.6; Giles, Collected matrix
    derivative results for forward and reverse mode algorithmic differentiation, 2008, section 3.1; Boeddeker et al.,
    On the computation of complex-valued gradients with application to statistically optimum beamforming, 2017.
    """

    name = "eig"
    multiple_results = True
    custom_calls = lapack.PREFIX

    def abstract(
        self, x: Aval, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
        enable_eigvec_derivs: bool = False, implementation: Any = None,
    ) -> list[Aval]:  # fmt: skip
        check_matrix("eig", x, square=True)
        check_dtype("eig", x)
        dtype = COMPLEX[x.dtype.name]
        w, v = x.update(shape=x.shape[:-1], dtype=dtype), x.update(dtype=dtype)
        return [w, *[v] * (compute_left_eigenvectors + compute_right_eigenvectors)]

    def reference(
        self, x: np.ndarray, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
        enable_eigvec_derivs: bool = False, implementation: Any = None,
    ) -> list[np.ndarray]:  # fmt: skip
        dtype = COMPLEX[x.dtype.name]
        if not x.size:
            empty = x.astype(dtype)
            return [empty.reshape(x.shape[:-1]), *[empty] * (compute_left_eigenvectors + compute_right_eigenvectors)]
        w, right = each(np.linalg.eig, widened(x), lambda a: nan_like(a[..., 0] + 0j, a + 0j))
        found = [w]
        if compute_left_eigenvectors:
            found.append(_left_of(widened(x), w))
        if compute_right_eigenvectors:
            found.append(right)
        return [y.astype(dtype) for y in found]

    def jvp(
        self, primals: Any, tangents: Any, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
        enable_eigvec_derivs: bool = False, implementation: Any = None,
    ) -> Any:  # fmt: skip
        left, right = compute_left_eigenvectors, compute_right_eigenvectors
        if (left or right) and not enable_eigvec_derivs and aval_of(primals[0]).size:
            raise NotDifferentiableError(
                wrong="eig has no derivative of eigenvectors unless it is asked for: there is none where an eigenvalue "
                "is double or two elements of an eigenvector are the greatest",
                fix="Take the eigenvalues alone, or call lax.linalg.eig with enable_eigvec_derivs=True",
            )
        params: dict[str, Any] = {"enable_eigvec_derivs": enable_eigvec_derivs, "implementation": implementation}
        if not aval_of(primals[0]).size:
            out = eig(*primals, compute_left_eigenvectors=left, compute_right_eigenvectors=right, **params)
            return out, [None] * len(out)
        w, *found = eig(
            *primals, compute_left_eigenvectors=left, compute_right_eigenvectors=True, **params
        )
        v = found[-1]
        dx = convert(tangents[0], v.dtype)
        # v^-1 dx v has dw on its diagonal.
        inner = _solve(v, matmul(dx, v))
        shape = aval_of(inner).shape
        on = on_diagonal(shape)
        dw = reduce_sum(where(on, inner, np.zeros((), v.dtype)), axes=(len(shape) - 2,))
        outs, dots = [w], [dw]
        if left:
            # They are the right eigenvectors of the adjoint.
            u = found[0]
            outs.append(u)
            dots.append(_moved(u, conjugate(w), _solve(u, matmul(adjoint(dx), u))))
        if right:
            outs.append(v)
            dots.append(_moved(v, w, inner))
        return outs, dots

    def determined(self, operands: Any, results: Any, **params: Any) -> list[Any]:
        w, *vectors = results
        order = _order_of(w)
        out = [_sorted(w, order)]
        for v in vectors:
            found = projections(v, v)
            flat = (*found.shape[:-2], found.shape[-1] ** 2)
            out.append(take_rows(_reshaped(found, flat), order))
        return out

    def decompose(
        self, x: Any, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
        enable_eigvec_derivs: bool = False, implementation: Any = None,
    ) -> list[Any]:  # fmt: skip
        return steps.eig(x, compute_left_eigenvectors, compute_right_eigenvectors)

    def stablehlo(
        self, b: Any, x: Any, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
        enable_eigvec_derivs: bool = False, implementation: Any = None,
    ) -> Any:  # fmt: skip
        shape, dtype = x.aval.shape, x.aval.dtype
        stack, wide = shape[:-2], COMPLEX[dtype.name]
        values = [Aval(shape[:-1], dtype)] * (1 if dtype.kind == "c" else 2)
        results = (*values, Aval(shape, wide), Aval(shape, wide), lapack.info(stack))
        config = {
            "compute_left": lapack.letter("V" if compute_left_eigenvectors else "N"),
            "compute_right": lapack.letter("V" if compute_right_eigenvectors else "N"),
        }
        *w, left, right, info = lapack.call(b, "geev", len(stack), (x,), results, config)
        values = w[0] if dtype.kind == "c" else b.complex(*w)
        found = [values]
        if compute_left_eigenvectors:
            found.append(left)
        if compute_right_eigenvectors:
            found.append(right)
        return [lapack.or_nan(b, info, y) for y in found]

    def tried(self, make: Any) -> Any:
        def params(left: bool, right: bool, derivs: bool = False) -> dict[str, Any]:
            return {
                "compute_left_eigenvectors": left, "compute_right_eigenvectors": right,
                "enable_eigvec_derivs": derivs, "implementation": None,
            }  # fmt: skip

        yield Sample(_apart(make, 4), **params(False, False), id="values")
        yield Sample(_apart(make, 3, 2), **params(False, True, True), id="right")
        yield Sample(_apart(make, 4), **params(True, True, True), id="both")
        yield Sample(_apart(make, 1), **params(True, False, True), id="smallest")
        yield Sample(make((2, 0, 0)), **params(False, True), id="empty")

    def refusals(self, make: Any) -> Any:
        params: dict[str, Any] = {"compute_left_eigenvectors": False, "compute_right_eigenvectors": True}
        yield Refusal(Sample(make((2, 3)), **params), ShapeError, "eig works on square matrices")
        yield Refusal(Sample(narrow(make), **params), DtypeError, "not on float16[2,2]")


def _left_of(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The left eigenvectors of eigenvalues in this order: those of the adjoint, each with the one it is nearest to."""
    out = np.full(x.shape, complex(np.nan, np.nan))
    for index in np.ndindex(x.shape[:-2]):
        if not np.isfinite(w[index]).all():
            continue
        values, vectors = np.linalg.eig(np.conj(x[index]).T)
        left = list(range(len(values)))
        for i, value in enumerate(w[index]):
            nearest = min(left, key=lambda j: abs(np.conj(values[j]) - value))
            left.remove(nearest)
            out[(*index, slice(None), i)] = vectors[:, nearest]
    return out


def _solve(a: Any, b: Any) -> Any:
    """``a^-1 b``."""
    factors, _, order = lu(a)
    flags = {"left_side": True, "transpose_a": False, "conjugate_a": False}
    b = triangular_solve(factors, take_rows(b, order), lower=True, unit_diagonal=True, **flags)
    return triangular_solve(factors, b, lower=False, unit_diagonal=False, **flags)


def _moved(v: Any, w: Any, inner: Any) -> Any:
    """How the eigenvectors ``v`` move, when ``v^-1 dx v`` is ``inner``."""
    shape, n = aval_of(v).shape, aval_of(v).shape[-1]
    rank = len(shape)
    on, one, none = on_diagonal(shape), np.ones((), v.dtype), np.zeros((), v.dtype)
    gaps = where(on, one, sub(as_columns(w, n), as_rows(w, n)))
    free = matmul(v, where(on, none, div(inner, gaps)))
    # To which a multiple of v itself is added, so that lengths stay 1 and the greatest elements stay real.
    along = reduce_sum(mul(conjugate(v), free), axes=(rank - 2,))
    greatest = argmax(squares(v), axes=(rank - 2,), index_dtype=INT32)
    here = eq(places(shape, -2), as_columns(greatest, shape[-2]))
    of_v, of_free = (reduce_sum(where(here, y, none), axes=(rank - 2,)) for y in (v, free))
    size = real(of_v)
    safe = where(eq(size, zeros(Aval(size.shape, size.dtype))), np.ones((), size.dtype), size)
    multiple = complex_(neg(real(along)), neg(div(imag(of_free), safe)))
    return add(free, scale_columns(v, multiple))


def _apart(make: Any, n: int, *lead: int) -> np.ndarray:
    """A sample: eigenvalues far apart, and eigenvectors with one greatest element."""
    a = make((*lead, n, n), -0.5, 0.5)
    return (a + np.diag(3.0 * np.arange(n) - n)).astype(a.dtype)


def _order_of(w: Any) -> Any:
    """The order in which the real parts ascend."""
    from_zero = broadcast_to(places(aval_of(w).shape, -1), aval_of(w).shape)
    return sort(real(w), from_zero, dimension=aval_of(w).ndim - 1, is_stable=True, num_keys=1)[1]


def _sorted(w: Any, order: Any) -> Any:
    return _reshaped(take_rows(_reshaped(w, (*aval_of(w).shape, 1)), order), aval_of(w).shape)


def _reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    return reshape(x, new_sizes=shape, dimensions=None)


eig = registry.add(Eig())
