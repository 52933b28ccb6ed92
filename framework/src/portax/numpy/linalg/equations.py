"""Equations, and what follows from solving them: inverses, powers, determinants.

A solution's derivative is a solution with the same factors: ``dx = a^-1 (db - da x)``. So it is stated, and the
factorisation itself is differentiated only for derivatives of second order.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.higher_order import custom_jvp
from portax.lax import linalg as lax_linalg
from portax.numpy.choosing import where
from portax.numpy.diagonals import diagonal
from portax.numpy.filling import ones, zeros
from portax.numpy.grids import eye, triu
from portax.numpy.linalg.factors import inexact, matrices
from portax.numpy.promotion import as_array, common_shape, promote_dtypes_inexact, spread
from portax.numpy.reductions import prod, sum
from portax.numpy.shaping import broadcast_to, ravel, reshape, transpose
from portax.numpy.ufuncs import sign
from portax.primitives.linalg.matrices import take_rows


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Array
    logabsdet: Array


# -- solutions ------------------------------------------------------------------------------------------------------
def with_factors(factors: Array, order: Array, b: Array, trans: int = 0) -> Array:
    """The ``x`` with ``a x = b``, of matrices, where ``factors`` and ``order`` are those of `lax.linalg.lu`.

    ``trans`` 1 solves with the transpose of ``a``, 2 with its adjoint.
    """
    flags = {"left_side": True, "conjugate_a": trans == 2}
    if trans == 0:
        b = take_rows(b, order)
        b = lax_linalg.triangular_solve(factors, b, lower=True, unit_diagonal=True, **flags)
        return lax_linalg.triangular_solve(factors, b, **flags)
    b = lax_linalg.triangular_solve(factors, b, transpose_a=True, **flags)
    b = lax_linalg.triangular_solve(factors, b, lower=True, unit_diagonal=True, transpose_a=True, **flags)
    back = p.sort(order, _counted(order), dimension=order.ndim - 1, is_stable=True, num_keys=1)[1]
    return take_rows(b, back)


def _counted(order: Array) -> Any:
    return p.iota(dtype=order.dtype, shape=order.shape, dimension=order.ndim - 1, sharding=None)


@custom_jvp
def _solution(a: Array, b: Array) -> Array:
    factors, _, order = p.lu(a)
    return with_factors(factors, order, b)


@_solution.defjvp
def _solution_jvp(primals: Any, tangents: Any) -> Any:
    (a, b), (da, db) = primals, tangents
    factors, _, order = p.lu(a)
    x = with_factors(factors, order, b)
    return x, with_factors(factors, order, db - da @ x)


def _one_stack(a: Array, b: Array, name: str) -> tuple[Array, Array]:
    """Matrices whose stacks are broadcast to one shape."""
    lead = common_shape(name, [a.shape[:-2], b.shape[:-2]])
    return spread(a, (*lead, *a.shape[-2:])), spread(b, (*lead, *b.shape[-2:]))


def solve(a: Any, b: Any) -> Array:
    """The ``x`` with ``a x = b``.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    b : Array of shape (n,), one right side, or (..., n, k)

    Returns
    -------
    Array of shape (..., n) or (..., n, k); infinite or NaN where ``a`` is singular

    Raises
    ------
    ShapeError
        The shapes do not fit.

    Examples
    --------
    >>> pnp.linalg.solve(pnp.array([[2.0, 0.0], [0.0, 4.0]]), pnp.array([2.0, 8.0])).tolist()
    [1.0, 2.0]
    """
    x, y = promote_dtypes_inexact("solve", a, b)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            wrong=f"solve needs square matrices on the left side, got {x.aval}",
            fix="Make the last two axes equally long; for others use lstsq",
        )
    if y.ndim > 1 and y.ndim == x.ndim - 1 and y.shape[-2] != x.shape[-1]:
        raise ShapeError(
            wrong=f"solve takes a b of two axes or more for matrices, and those of shape {y.shape} do not fit an a of "
            f"shape {x.shape}",
            fix="For vectors give b[..., None], and take the last axis off the result",
        )
    if not y.ndim or y.shape[-2 if y.ndim > 1 else 0] != x.shape[-1]:
        raise ShapeError(
            wrong=f"solve needs a b with as many rows as a has, got a: {x.aval} and b: {y.aval}",
            fix=f"Give a b of {x.shape[-1]} rows",
        )
    if y.ndim == 1:
        column = reshape(y, (*y.shape, 1))
        return _solution(*_one_stack(x, column, "solve"))[..., 0]
    return _solution(*_one_stack(x, y, "solve"))


def inv(a: Any) -> Array:
    """The inverse of square matrices.

    Parameters
    ----------
    a : Array of shape (..., n, n)

    Returns
    -------
    Array of the shape of ``a``; infinite or NaN where ``a`` is singular

    Raises
    ------
    ShapeError
        The last two axes are not equally long.

    Examples
    --------
    >>> pnp.linalg.inv(pnp.array([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    x = matrices("inv", a, square=True)
    return _solution(x, broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape))


# -- determinants -----------------------------------------------------------------------------------------------------
def _parity(pivots: Array) -> Array:
    """Whether the exchanges are odd in number."""
    return sum(pivots != _counted(pivots), axis=-1) % 2 == 1


def _signed(odd: Array, x: Array) -> Array:
    return where(odd, -x, x)


@custom_jvp
def _det_by_factors(a: Array) -> Array:
    factors, pivots, _ = p.lu(a)
    return _signed(_parity(pivots), prod(diagonal(factors, axis1=-2, axis2=-1), axis=-1))


@_det_by_factors.defjvp
def _det_jvp(primals: Any, tangents: Any) -> Any:
    # d det(a) = tr(adj(a) da), with a = P^T L U. Where U is regular, adj(a) = det(a) U^-1 L^-1 P. Where it has one zero
    # on its diagonal, at k, put 1 there: with that M, adj(U) is the product of the others times M^-1 e_k e_k^T M^-1.
    [a], [da] = primals, tangents
    factors, pivots, order = p.lu(a)
    n = a.shape[-1]
    d = diagonal(factors, axis1=-2, axis2=-1)
    zero = d == 0
    many = sum(zero, axis=-1)
    filled = where(zero, 1, d)
    others = _signed(_parity(pivots), prod(filled, axis=-1))
    out = where(many > 0, zeros((), a.dtype), others)
    on = eye(n, dtype=bool)
    upper = where(on, filled[..., None, :], factors)
    inner = take_rows(da, order)
    inner = lax_linalg.triangular_solve(factors, inner, left_side=True, lower=True, unit_diagonal=True)
    inner = lax_linalg.triangular_solve(upper, inner, left_side=True)
    regular = sum(diagonal(inner, axis1=-2, axis2=-1), axis=-1)
    beyond = lax_linalg.triangular_solve(upper, inner)
    singular = sum(where(zero, diagonal(beyond, axis1=-2, axis2=-1), 0), axis=-1)
    along = where(many == 0, regular, where(many == 1, singular, zeros((), a.dtype)))
    return out, others * along


def det(a: Any) -> Array:
    """The determinant of square matrices.

    Parameters
    ----------
    a : Array of shape (..., n, n)

    Returns
    -------
    Array of shape (...)

    Notes
    -----
    The derivative is right for singular matrices too, as long as elimination leaves one zero on the diagonal; where it
    leaves more, it is taken as 0.

    Raises
    ------
    ShapeError
        The last two axes are not equally long.

    Examples
    --------
    >>> float(pnp.linalg.det(pnp.array([[1.0, 2.0], [3.0, 4.0]])))
    -2.0
    """
    x = matrices("det", a, square=True)
    n = x.shape[-1]
    if n == 0:
        return ones(x.shape[:-2], x.dtype)
    e = [[x[..., i, j] for j in range(n)] for i in range(n)] if n <= 3 else []
    if n == 1:
        return e[0][0]
    if n == 2:
        return e[0][0] * e[1][1] - e[0][1] * e[1][0]
    if n == 3:
        return (
            e[0][0] * e[1][1] * e[2][2] + e[0][1] * e[1][2] * e[2][0] + e[0][2] * e[1][0] * e[2][1]
            - e[0][2] * e[1][1] * e[2][0] - e[0][0] * e[1][2] * e[2][1] - e[0][1] * e[1][0] * e[2][2]
        )  # fmt: skip
    return _det_by_factors(x)


def _log_of(d: Array, odd: Array) -> tuple[Array, Array]:
    """``(sign, logarithm of the magnitude)`` of the product of ``d``."""
    size = abs(d)
    signs = prod(where(d == 0, zeros((), d.dtype), d / where(size == 0, 1, size)), axis=-1)
    signs = sign(signs) if not dtypes.is_complex(d.dtype) else signs
    return _signed(odd, signs).astype(d.dtype), sum(p.log(size, accuracy=None), axis=-1)


@custom_jvp
def _slogdet_by_factors(a: Array) -> tuple[Array, Array]:
    factors, pivots, _ = p.lu(a)
    return _log_of(diagonal(factors, axis1=-2, axis2=-1), _parity(pivots))


@_slogdet_by_factors.defjvp
def _slogdet_jvp(primals: Any, tangents: Any) -> Any:
    [a], [da] = primals, tangents
    factors, pivots, order = p.lu(a)
    return _turned(factors, order, da, *_log_of(diagonal(factors, axis1=-2, axis2=-1), _parity(pivots)))


def _turned(factors: Array, order: Array, da: Array, signs: Array, logs: Array) -> Any:
    """Sign and logarithm, and how they move: d log det(a) = tr(a^-1 da), whose imaginary part turns the sign."""
    along = sum(diagonal(with_factors(factors, order, da), axis1=-2, axis2=-1), axis=-1)
    if dtypes.is_complex(da.dtype):
        turn = (along - along.real.astype(da.dtype)) * signs
        return (signs, logs), (turn, along.real)
    return (signs, logs), (zeros(signs.shape, signs.dtype), along)


@custom_jvp
def _slogdet_by_reflections(a: Array) -> tuple[Array, Array]:
    """By QR: the determinant of a reflection is ``1 - tau v^H v``."""
    packed, taus = p.geqrf(a)
    n = a.shape[-1]
    below = packed - triu(packed)
    lengths = 1 + sum((below * below.conj()).real, axis=-2)
    turned = prod(1 - taus * lengths.astype(a.dtype), axis=-1) if n else ones(a.shape[:-2], a.dtype)
    signs, logs = _log_of(diagonal(packed, axis1=-2, axis2=-1), zeros(a.shape[:-2], bool))
    return signs * turned, logs


@_slogdet_by_reflections.defjvp
def _slogdet_by_reflections_jvp(primals: Any, tangents: Any) -> Any:
    factors, _, order = p.lu(primals[0])
    return _turned(factors, order, tangents[0], *_slogdet_by_reflections(*primals))


def slogdet(a: Any, *, method: str | None = None) -> SlogdetResult:
    """The sign of the determinant of square matrices, and the logarithm of its magnitude.

    Parameters
    ----------
    a : Array of shape (..., n, n)
    method : {"lu", "qr"}, optional
        By which factorisation; elimination by default.

    Returns
    -------
    SlogdetResult of a sign, a number of magnitude 1 or 0 and of the dtype of ``a``, and a real logarithm

    Raises
    ------
    ArgumentError
        There is no such method.

    Examples
    --------
    >>> float(pnp.linalg.slogdet(pnp.array([[0.0, 1.0], [1.0, 0.0]])).sign)
    -1.0
    """
    x = matrices("slogdet", a, square=True)
    if method not in (None, "lu", "qr"):
        raise ArgumentError(wrong=f"slogdet knows no method {method!r}", fix='Give "lu" or "qr"')
    if not x.shape[-1]:
        return SlogdetResult(ones(x.shape[:-2], x.dtype), zeros(x.shape[:-2], dtypes.to_real(x.dtype)))
    return SlogdetResult(*(_slogdet_by_reflections if method == "qr" else _slogdet_by_factors)(x))


def matrix_power(a: Any, n: int) -> Array:
    """A square matrix multiplied by itself.

    Parameters
    ----------
    a : Array of shape (..., m, m)
    n : int
        How many times; of a negative power, the inverse.

    Returns
    -------
    Array of the shape of ``a``

    Raises
    ------
    ShapeError, DtypeError
        The matrices are not square, or the power is no integer.

    Examples
    --------
    >>> pnp.linalg.matrix_power(pnp.array([[1, 1], [0, 1]]), 5).tolist()
    [[1, 5], [0, 1]]
    """
    x = as_array(a, "matrix_power")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            wrong=f"matrix_power works on square matrices, got {x.aval}", fix="Make the last two axes equally long"
        )
    try:
        n = operator.index(n)
    except TypeError:
        raise DtypeError(
            wrong=f"matrix_power takes a whole number as the power, not {n!r}", fix="Give an int"
        ) from None
    if n == 0:
        return broadcast_to(eye(x.shape[-2], dtype=x.dtype), x.shape)
    if n < 0:
        x, n = inv(x), -n
    out = None
    while True:
        if n & 1:
            out = x if out is None else out @ x
        n >>= 1
        if not n:
            return out  # pyright: ignore[reportReturnType]
        x = x @ x


def tensorinv(a: Any, ind: int = 2) -> Array:
    """The inverse of `tensordot` with an array.

    Parameters
    ----------
    a : Array whose first ``ind`` axes have as many elements as the others
    ind : int
        How many of the first axes are rows.

    Returns
    -------
    Array of shape ``a.shape[ind:] + a.shape[:ind]``

    Raises
    ------
    ArgumentError, ShapeError
        ``ind`` is not positive, or the axes do not make a square matrix.

    Examples
    --------
    >>> pnp.linalg.tensorinv(2 * pnp.eye(4).reshape(2, 2, 4), ind=2).shape
    (4, 2, 2)
    """
    x = inexact("tensorinv", a)
    ind = operator.index(ind)
    if ind <= 0:
        raise ArgumentError(wrong=f"tensorinv takes a positive number of axes, got ind={ind}", fix="Give 1 or more")
    rows, columns = x.shape[:ind], x.shape[ind:]
    n = int(np.prod(rows, dtype=int))
    if n != int(np.prod(columns, dtype=int)):
        raise ShapeError(
            wrong=f"tensorinv needs as many elements in the first {ind} axes as in the others, got {x.aval}",
            fix="Change ind or the shape",
        )
    return reshape(inv(reshape(x, (n, n))), (*columns, *rows))


def tensorsolve(a: Any, b: Any, axes: tuple[int, ...] | None = None) -> Array:
    """The ``x`` with ``tensordot(a, x, x.ndim) = b``.

    Parameters
    ----------
    a : Array of shape ``b.shape + x.shape``
    b : Array
    axes : tuple of int, optional
        Axes of ``a`` that are put last first.

    Returns
    -------
    Array

    Raises
    ------
    ShapeError
        The axes do not make a square matrix.

    Examples
    --------
    >>> pnp.linalg.tensorsolve(2 * pnp.eye(4).reshape(2, 2, 4), pnp.ones((2, 2))).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    x, y = promote_dtypes_inexact("tensorsolve", a, b)
    if axes is not None:
        last = [operator.index(i) % x.ndim for i in axes]
        x = transpose(x, [*(i for i in range(x.ndim) if i not in last), *last])
    shape = x.shape[y.ndim :]
    n = int(np.prod(shape, dtype=int))
    if x.shape[: y.ndim] != y.shape or n != y.size:
        raise ShapeError(
            wrong="tensorsolve needs an a whose first axes are those of b and the others as many elements, got "
            f"{x.aval} and {y.aval}",
            fix="Change the shapes or give axes",
        )
    return reshape(solve(reshape(x, (n, n)), ravel(y)), shape)
