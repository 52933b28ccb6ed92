"""The polar decomposition by products and QR factorisations alone: Halley's steps, weighted.

Every step brings all singular values nearer to 1 and keeps the vectors. Where the least of them is tiny beside 1 a step
takes a QR factorisation, which is stable; near 1 a Cholesky factorisation does.

References
----------
Nakatsukasa, Bai and Gygi, Optimizing Halley's iteration for computing the matrix polar decomposition, SIAM J. Matrix
Anal. Appl. 31, 2010; Nakatsukasa and Higham, Stable and efficient spectral divide and conquer algorithms for the
symmetric eigenvalue decomposition and the SVD, SIAM J. Sci. Comput. 35, 2013.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.array import Array
from portax.errors import ArgumentError, ShapeError
from portax.higher_order import cond, while_loop
from portax.lax.operands import as_operand
from portax.primitives.decomposing import where
from portax.primitives.linalg.matrices import (
    INT32,
    adjoint,
    check_dtype,
    eye,
    matmul,
    places,
    scalar,
    squares,
)
from portax.primitives.slicing import part

#: Where the weight of a step is greater, it takes a QR factorisation.
_UNEASY = 100.0


def qdwh(
    x: Any,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[Any, Any] | None = None,
) -> tuple[Array, Array, Array, Array]:
    """The polar decomposition ``x = u h`` with orthonormal columns in ``u`` and ``h`` positive semidefinite.

    Parameters
    ----------
    x : Array of shape (m, n), ``m >= n``, of full rank
    is_hermitian : bool
        Makes no difference here.
    max_iterations : int, optional
        10 by default; 6 are enough in float64.
    eps : float, optional
        It ends when a step changes ``u`` by less than ``(4 eps)^(1/3)`` of it; the dtype's own epsilon by default.
    dynamic_shape : (rows, columns), optional
        How much of ``x`` counts; beyond it is as if zero.

    Returns
    -------
    u : Array of shape (m, n)
    h : Array of shape (n, n)
    num_iters : int32[]
    is_converged : bool[]

    Raises
    ------
    ShapeError, ArgumentError
        ``x`` has fewer rows than columns, or is no matrix; ``max_iterations`` is not positive.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> u, h, steps, converged = lax.linalg.qdwh(pnp.array([[0.0, -2.0], [1.0, 0.0]]))
    >>> bool(converged), float(h[1, 1].round(2))
    (True, 2.0)
    """
    x = as_operand(x, "qdwh")
    if x.ndim != 2 or x.shape[0] < x.shape[1]:
        raise ShapeError(
            wrong=f"qdwh needs one matrix with no fewer rows than columns, got {x.aval}",
            fix="Decompose the adjoint, or map over a stack with vmap",
        )
    check_dtype("qdwh", x.aval)
    limit = 10 if max_iterations is None else int(max_iterations)
    if limit < 1:
        raise ArgumentError(wrong=f"qdwh was given max_iterations={max_iterations}", fix="Give 1 or more")
    real = dtypes.to_real(x.dtype)
    eps = float(np.finfo(real).eps) if eps is None else float(eps)
    if dynamic_shape is not None:
        inside = [p.lt(places(x.shape, axis - 2), _spread(n, INT32, x.shape)) for axis, n in enumerate(dynamic_shape)]
        x = where(p.and_(*inside), x, np.zeros((), x.dtype))
    # No singular value is greater than this.
    size = p.abs_(x)
    columns = p.reduce_max(p.reduce_sum(size, axes=(0,)), axes=(0,)) if x.size else np.ones((), real)
    rows = p.reduce_max(p.reduce_sum(size, axes=(1,)), axes=(0,)) if x.size else np.ones((), real)
    norm = p.sqrt(p.mul(columns, rows))
    norm = where(p.eq(norm, np.zeros((), real)), np.ones((), real), norm)
    u = p.div(x, _spread(norm, x.dtype, x.shape))
    enough = np.asarray((4 * eps) ** (1 / 3), real)

    def going(carry: Any) -> Any:
        _, _, k, done = carry
        return p.and_(p.not_(done), p.lt(k, np.asarray(limit, INT32)))

    def step(carry: Any) -> Any:
        u, l, k, _ = carry
        a, b, c, l = _weights(l)
        new = cond(p.gt(c, np.asarray(_UNEASY, real)), _by_qr, _by_cholesky, u, a, b, c)
        moved = _length(p.sub(new, u))
        done = p.and_(
            p.lt(moved, p.mul(_length(new), enough)),
            p.lt(p.sub(np.ones((), real), l), np.asarray(4 * eps, real)),
        )
        return new, l, p.add(k, np.asarray(1, INT32)), done

    start = (u, np.asarray(eps, real), np.asarray(0, INT32), np.asarray(False))
    u, _, k, done = while_loop(going, step, start) if x.size else (u, None, start[2], np.asarray(True))
    # A last step of Newton and Schulz takes out what rounding has left.
    gram = matmul(adjoint(u), u)
    u = p.sub(p.mul(u, scalar(u, 1.5)), p.mul(matmul(u, gram), scalar(u, 0.5)))
    h = matmul(adjoint(u), x)
    h = p.mul(p.add(h, adjoint(h)), scalar(h, 0.5))
    return u, h, as_operand(k, "qdwh"), as_operand(done, "qdwh")


def _spread(x: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    x = as_operand(x, "qdwh")
    x = x if x.dtype == dtype else p.convert_element_type(x, new_dtype=dtype, weak_type=False, sharding=None)
    return p.broadcast_in_dim(x, shape=shape, broadcast_dimensions=())


def _length(x: Any) -> Any:
    return p.sqrt(p.reduce_sum(squares(x), axes=(0, 1)))


def _weights(l: Any) -> tuple[Any, Any, Any, Any]:
    """``(a, b, c, l)``: the best weights where the least singular value is ``l``, and what it becomes.

    A singular value s becomes ``s (a + b s^2) / (1 + c s^2)``.
    """
    dtype = l.dtype

    def number(value: float) -> Any:
        return np.asarray(value, dtype)

    one, square = number(1), p.mul(l, l)
    d = p.cbrt(p.div(p.div(p.mul(number(4), p.sub(one, square)), square), square), accuracy=None)
    root = p.sqrt(p.add(one, d))
    rest = p.div(p.mul(number(8), p.sub(number(2), square)), p.mul(square, root))
    a = p.add(root, p.mul(number(0.5), p.sqrt(p.add(p.sub(number(8), p.mul(number(4), d)), rest))))
    b = p.mul(number(0.25), p.mul(p.sub(a, one), p.sub(a, one)))
    c = p.sub(p.add(a, b), one)
    new = p.div(p.mul(l, p.add(a, p.mul(b, square))), p.add(one, p.mul(c, square)))
    return a, b, c, p.min_(new, one)


def _joined(u: Any, new: Any, a: Any, b: Any, c: Any, scale: Any) -> Any:
    """``(b / c) u + scale (a - b / c) new``."""
    ratio = p.div(b, c)
    weight = p.mul(scale, p.sub(a, ratio))
    return p.add(p.mul(u, _spread(ratio, u.dtype, u.shape)), p.mul(new, _spread(weight, u.dtype, u.shape)))


def _by_qr(u: Any, a: Any, b: Any, c: Any) -> Any:
    m, n = u.shape
    root = p.sqrt(c)
    both = p.concatenate(p.mul(u, _spread(root, u.dtype, u.shape)), eye(u, n, n), dimension=0)
    q, _ = p.qr(both, pivoting=False, full_matrices=False, use_magma=None)
    above, below = part(q, 0, 0, m), part(q, 0, m, m + n)
    return _joined(u, matmul(above, adjoint(below)), a, b, c, p.div(np.ones((), c.dtype), root))


def _by_cholesky(u: Any, a: Any, b: Any, c: Any) -> Any:
    n = u.shape[-1]
    gram = matmul(adjoint(u), u)
    factor = p.cholesky(p.add(eye(u, n, n), p.mul(gram, _spread(c, u.dtype, gram.shape))))
    flags = {"left_side": False, "lower": True, "unit_diagonal": False}
    new = p.triangular_solve(factor, u, transpose_a=True, conjugate_a=True, **flags)
    new = p.triangular_solve(factor, new, transpose_a=False, conjugate_a=False, **flags)
    return _joined(u, new, a, b, c, np.ones((), c.dtype))
