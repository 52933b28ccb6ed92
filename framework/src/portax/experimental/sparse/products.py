"""Products: each element meets what it meets of the other operand, and is added where it belongs.

A sparse array times a dense one is a gather, a product, and a scatter that adds. Nothing of the size of the dense
equivalent is made, and the derivative is again such a product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax import lax
from portax.errors import ShapeError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.layouts import BCOO
from portax.experimental.sparse.ordering import bounded
from portax.experimental.sparse.relayout import bcoo_update_layout, flat
from portax.experimental.sparse.shaping import axis_of, bcoo_broadcast_in_dim, like

DotDimensionNumbers = Any


class Dims:
    """The axes of a product, and its shape: batch axes, then the free ones of each operand."""

    def __init__(self, numbers: DotDimensionNumbers, lhs: Sequence[int], rhs: Sequence[int], name: str) -> None:
        (lc, rc), (lb, rb) = (tuple(tuple(int(d) for d in side) for side in pair) for pair in numbers)
        for which, axes, shape in (("left", lc + lb, lhs), ("right", rc + rb, rhs)):
            if len(set(axes)) != len(axes) or any(not 0 <= d < len(shape) for d in axes):
                raise ShapeError(
                    wrong=f"{name} was given axes {axes} of the {which} operand, of shape {tuple(shape)}",
                    fix="Give each contracted and batch axis once, counted from 0",
                )
        self.lc, self.rc, self.lb, self.rb = lc, rc, lb, rb
        pairs = [*zip(lc, rc, strict=False), *zip(lb, rb, strict=False)]
        if len(lc) != len(rc) or len(lb) != len(rb) or any(lhs[a] != rhs[b] for a, b in pairs):
            raise ShapeError(
                wrong=f"{name} cannot join axes {lc + lb} of {tuple(lhs)} with axes {rc + rb} of {tuple(rhs)}",
                fix="Join axes of equal lengths",
            )
        self.lf = tuple(d for d in range(len(lhs)) if d not in lc + lb)
        self.rf = tuple(d for d in range(len(rhs)) if d not in rc + rb)
        self.shape = tuple([lhs[d] for d in lb + self.lf] + [rhs[d] for d in self.rf])
        #: The axis of the right operand that an axis of the left one meets.
        self.meets = dict(zip(lc + lb, rc + rb, strict=True))


def bcoo_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: DotDimensionNumbers,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The product of two arrays of which one or both are sparse, summed over some axes.

    Parameters
    ----------
    lhs, rhs : BCOO or Array
    dimension_numbers : ((lhs contracted, rhs contracted), (lhs batch, rhs batch))
        As for `portax.lax.dot_general`.
    precision : optional
        As for `portax.lax.dot_general`; used along dense axes.
    preferred_element_type : dtype, optional
        Of the result.

    Returns
    -------
    Array, or BCOO where both are sparse

    Raises
    ------
    ShapeError
        The axes do not fit.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO.fromdense(pnp.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> print(sparse.bcoo_dot_general(m, pnp.ones(2), dimension_numbers=(([1], [0]), ([], []))))
    [2. 3.]
    """
    del out_sharding
    if isinstance(lhs, BCOO) and isinstance(rhs, BCOO):
        out = _sparse_sparse(lhs, rhs, Dims(dimension_numbers, lhs.shape, rhs.shape, "bcoo_dot_general"))
    elif isinstance(lhs, BCOO):
        rhs = pnp.asarray(rhs)
        dims = Dims(dimension_numbers, lhs.shape, rhs.shape, "bcoo_dot_general")
        out = _sparse_dense(lhs, rhs, dims, precision)
    elif isinstance(rhs, BCOO):
        lhs = pnp.asarray(lhs)
        (lc, rc), (lb, rb) = dimension_numbers
        dims = Dims(((rc, lc), (rb, lb)), rhs.shape, lhs.shape, "bcoo_dot_general")
        out = _sparse_dense(rhs, lhs, dims, precision)
        # The free axes of the dense operand go first.
        b, f = len(dims.lb), len(dims.lf)
        out = out.transpose((*range(b), *range(b + f, out.ndim), *range(b, b + f)))
    else:
        return lax.dot_general(
            lhs, rhs, dimension_numbers, precision=precision, preferred_element_type=preferred_element_type
        )
    return out if preferred_element_type is None else _as_type(out, preferred_element_type)


def _as_type(x: Any, dtype: Any) -> Any:
    return like(x, data=x.data.astype(dtype)) if isinstance(x, BCOO) else x.astype(dtype)


def _sparse_dense(lhs: BCOO, rhs: Any, dims: Dims, precision: Any) -> Any:
    dtype = pnp.result_type(lhs.data, rhs)
    data, indices = at.spread(lhs)
    b, s = lhs.n_batch, lhs.n_batch + lhs.n_sparse
    if lhs.n_sparse:
        data = at.zeroed(data, at.present(indices, lhs.sparse_shape), b)
    data, rhs = data.astype(dtype), rhs.astype(dtype)
    where = at.places(indices, lhs.batch_shape)
    lead = data.shape[: b + 1]
    # What each element meets: the axes of rhs that are joined to axes with coordinates go first, and are looked up.
    looked = [d for d in range(s) if d in dims.meets]
    rest = [d for d in range(rhs.ndim) if d not in {dims.meets[d] for d in looked}]
    met = rhs.transpose([dims.meets[d] for d in looked] + rest)
    if looked:
        met = met.at[tuple(where[d] for d in looked)].get(mode="fill", fill_value=0)
        gathered = pnp.broadcast_shapes(*(where[d].shape for d in looked))
        met = pnp.broadcast_to(met, (*lead, *met.shape[len(gathered) :]))
        many = tuple(range(len(lead)))
    else:
        many = ()
    # The product along the dense axes, for each element.
    of_data = {d: d - lhs.n_sparse + 1 for d in range(s, lhs.ndim)}
    of_rest = {d: k + len(many) for k, d in enumerate(rest)}
    contracted = [d for d in dims.lc if d >= s]
    batch = [d for d in dims.lb if d >= s]
    numbers = (
        ([of_data[d] for d in contracted], [of_rest[dims.meets[d]] for d in contracted]),
        ([*many, *(of_data[d] for d in batch)], [*many, *(of_rest[dims.meets[d]] for d in batch)]),
    )
    product = lax.dot_general(data, met, numbers, precision=precision)
    if not many and batch:
        # The batch axes came first: behind the elements they belong.
        k = len(batch)
        product = product.transpose((*range(k, k + len(lead)), *range(k), *range(k + len(lead), product.ndim)))
    # Now of shape lead + dense batch + dense free + rhs free. Elements are added where they belong.
    out_axes = [d for d in dims.lb + dims.lf if d < s]
    others = [*batch, *(d for d in dims.lf if d >= s)]
    tail = tuple(lhs.shape[d] for d in others) + tuple(rhs.shape[d] for d in dims.rf)
    summed = [d for d in range(b) if d not in out_axes]
    if all(d < b for d in out_axes):
        out = product.sum((*summed, b), dtype=dtype)
        order = sorted(out_axes)
    else:
        out = pnp.zeros((*(lhs.shape[d] for d in out_axes), *tail), dtype)
        # An index of its own for each element: those along summed axes of the batch meet at one place.
        out = out.at[tuple(pnp.broadcast_to(where[d], lead) for d in out_axes)].add(product, mode="drop")
        order = out_axes
    order = [*order, *others]
    final = [order.index(d) for d in dims.lb + dims.lf]
    return out.transpose((*final, *range(len(final), out.ndim)))


def _sparse_sparse(lhs: BCOO, rhs: BCOO, dims: Dims) -> BCOO:
    """All pairs of elements that agree along the joined axes."""
    n = lhs.n_batch
    shared = n == rhs.n_batch and dims.lb[:n] == dims.rb[:n] == tuple(range(n)) and not lhs.n_dense + rhs.n_dense
    if not shared:
        lhs, rhs, n = flat(lhs), flat(rhs), 0
    (ld, li), (rd, ri) = at.spread(lhs), at.spread(rhs)
    pairs = at.present(li, lhs.sparse_shape)[..., :, None] & at.present(ri, rhs.sparse_shape)[..., None, :]
    for a, b in dims.meets.items():
        if a >= n:
            pairs &= li[..., :, None, a - n] == ri[..., None, :, b - n]
    dtype = pnp.result_type(ld, rd)
    data = ld.astype(dtype)[..., :, None] * rd.astype(dtype)[..., None, :]
    lead = (*lhs.batch_shape, lhs.nse * rhs.nse)
    width = pnp.result_type(li.dtype, ri.dtype)
    columns = [pnp.broadcast_to(li[..., :, None, d - n], pairs.shape) for d in dims.lb + dims.lf if d >= n]
    columns += [pnp.broadcast_to(ri[..., None, :, d - n], pairs.shape) for d in dims.rf]
    indices = [c.astype(width).reshape(lead) for c in columns]
    indices = pnp.stack(indices, -1) if indices else pnp.zeros((*lead, 0), width)
    data, indices = at.kept(data.reshape(lead), indices, pairs.reshape(lead), dims.shape[n:])
    return bounded(BCOO((data, indices), shape=dims.shape))


def bcoo_dot_general_sampled(A: Any, B: Any, indices: Any, *, dimension_numbers: DotDimensionNumbers) -> Any:
    """The product of two dense arrays, at some places only.

    Parameters
    ----------
    A, B : Arrays
    indices : Array of whole numbers, of shape ``batch + (nse, n_sparse)``
        Into the product; its other axes, if there are more, are dense.
    dimension_numbers : ((A contracted, B contracted), (A batch, B batch))

    Returns
    -------
    Array of shape ``batch + (nse,) + dense``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> a, at = pnp.arange(6.0).reshape(2, 3), pnp.array([[0, 1]])
    >>> print(sparse.bcoo_dot_general_sampled(a, a, at, dimension_numbers=(([1], [1]), ([], []))))
    [14.]
    """
    A, B, indices = pnp.asarray(A), pnp.asarray(B), pnp.asarray(indices)
    dims = Dims(dimension_numbers, A.shape, B.shape, "bcoo_dot_general_sampled")
    n, count = indices.ndim - 2, indices.shape[-1]
    if n < 0 or n + count > len(dims.shape):
        raise ShapeError(
            wrong=f"bcoo_dot_general_sampled was given indices of shape {indices.shape} into shape {dims.shape}",
            fix="Give an index for some of the leading axes",
        )
    dtype = pnp.result_type(A, B)
    where = at.places(indices, dims.shape[:n])
    lead = (*dims.shape[:n], indices.shape[-2])
    of_a = [*dims.lb, *dims.lf]
    looked_a = {of_a[k]: where[k] for k in range(min(len(where), len(of_a)))}
    looked_b = {dims.rb[k]: where[k] for k in range(min(len(where), len(dims.rb)))}
    looked_b |= {dims.rf[k - len(of_a)]: where[k] for k in range(len(of_a), len(where))}

    def rows(x: Any, looked: dict[int, Any]) -> tuple[Any, list[int]]:
        rest = [d for d in range(x.ndim) if d not in looked]
        x = x.astype(dtype).transpose([*looked, *rest])
        if looked:
            whole = tuple(pnp.broadcast_to(w, lead) for w in looked.values())
            x = x.at[whole].get(mode="fill", fill_value=0)
        else:
            x = pnp.broadcast_to(x, (*lead, *x.shape))
        return x, rest

    (a, rest_a), (b, rest_b) = rows(A, looked_a), rows(B, looked_b)
    m, many = len(lead), list(range(len(lead)))
    loose = [(p, q) for p, q in zip(dims.lb, dims.rb, strict=True) if p not in looked_a]
    numbers = (
        ([rest_a.index(d) + m for d in dims.lc], [rest_b.index(d) + m for d in dims.rc]),
        (many + [rest_a.index(p) + m for p, _ in loose], many + [rest_b.index(q) + m for _, q in loose]),
    )
    return lax.dot_general(a, b, numbers)


def at_elements(mat: BCOO, v: Any, fill: int = 0) -> Any:
    """The values of a dense array, broadcast to the shape of ``mat``, that the elements meet."""
    v = pnp.asarray(v)
    if v.ndim > mat.ndim or any(n not in (1, m) for n, m in zip(v.shape[::-1], mat.shape[::-1], strict=False)):
        raise ShapeError(
            wrong=f"an array of shape {v.shape} does not broadcast to a sparse array of shape {mat.shape}",
            fix="Give a shape that broadcasts to it, or use .todense()",
        )
    v = v.reshape((1,) * (mat.ndim - v.ndim) + v.shape)
    indices = pnp.broadcast_to(mat.indices, mat.batch_shape + mat.indices.shape[mat.n_batch :])
    where = at.places(indices, mat.batch_shape)
    if not where:
        return v[None]
    inside = [pnp.zeros_like(w) if n == 1 else w for w, n in zip(where, v.shape, strict=False)]
    return v.at[tuple(inside)].get(mode="fill", fill_value=fill)


def bcoo_multiply_dense(sp_mat: BCOO, v: Any) -> Any:
    """The data of a sparse array times a dense one, element by element: the indices stay.

    Parameters
    ----------
    sp_mat : BCOO
    v : Array
        Of a shape that broadcasts to that of ``sp_mat``.

    Returns
    -------
    Array
        The data.

    Raises
    ------
    ShapeError
        ``v`` does not broadcast to the shape.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO(([1.0, 2.0], [[0], [2]]), shape=(3,))
    >>> import portax.numpy as pnp
    >>> print(sparse.bcoo_multiply_dense(m, pnp.array([5.0, 6.0, 7.0])))
    [ 5. 14.]
    """
    v = pnp.asarray(v)
    if not v.ndim:
        return sp_mat.data * v
    return sp_mat.data * at_elements(sp_mat, v)


def bcoo_multiply_sparse(lhs: BCOO, rhs: BCOO) -> BCOO:
    """The product of two sparse arrays, element by element.

    Parameters
    ----------
    lhs, rhs : BCOO
        Of equal rank, and shapes that broadcast.

    Returns
    -------
    BCOO
        With the elements of ``lhs``, each times what ``rhs`` has at its indices.

    Raises
    ------
    ShapeError
        The shapes do not broadcast, or differ in rank.

    Notes
    -----
    JAX makes room for every pair of elements, ``lhs.nse * rhs.nse`` of them.
    """
    if lhs.ndim != rhs.ndim or any(len({m, n, 1}) > 2 for m, n in zip(lhs.shape, rhs.shape, strict=True)):
        raise ShapeError(
            wrong=f"bcoo_multiply_sparse was given shapes {lhs.shape} and {rhs.shape}",
            fix="Give shapes of equal rank that broadcast",
        )
    shape = tuple(max(m, n) if 0 not in (m, n) else 0 for m, n in zip(lhs.shape, rhs.shape, strict=True))
    dims = tuple(range(len(shape)))
    lhs, rhs = (
        m if m.shape == shape else bcoo_broadcast_in_dim(m, shape=shape, broadcast_dimensions=dims)
        for m in (lhs, rhs)
    )  # fmt: skip
    n = min(lhs.n_batch, rhs.n_batch)
    dense = min(lhs.n_dense, rhs.n_dense)
    lhs, rhs = (bcoo_update_layout(m, n_batch=n, n_dense=dense, on_inefficient=None) for m in (lhs, rhs))
    (ld, li), (rd, ri) = at.spread(lhs), at.spread(rhs)
    dtype = pnp.result_type(ld, rd)
    equal = (li[..., :, None, :] == ri[..., None, :, :]).all(-1) & at.present(li, lhs.sparse_shape)[..., None]
    size = math.prod(lhs.dense_shape)
    met = lax.dot_general(
        equal.astype(dtype), rd.astype(dtype).reshape((*rhs.batch_shape, rhs.nse, size)),
        (([n + 1], [n]), (list(range(n)), list(range(n)))),
    )  # fmt: skip
    return like(lhs, data=ld.astype(dtype) * met.reshape(ld.shape))


def bcoo_reduce_sum(mat: BCOO, *, axes: Sequence[int]) -> BCOO:
    """The sum along some axes: the elements stay, and lose coordinates.

    Parameters
    ----------
    mat : BCOO
    axes : sequence of int

    Returns
    -------
    BCOO
        Its indices need not be unique.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> print(sparse.bcoo_reduce_sum(sparse.BCOO.fromdense(pnp.eye(3)), axes=(0,)).todense())
    [1. 1. 1.]
    """
    gone = {axis_of(d, mat) for d in axes}
    b, s = mat.n_batch, mat.n_batch + mat.n_sparse
    data, indices = at.spread(mat) if gone & set(range(s)) else (mat.data, mat.indices)
    dense = tuple(d - mat.n_sparse + 1 for d in gone if d >= s)
    data = data.sum(dense, dtype=data.dtype) if dense else data
    left = [d - b for d in range(b, s) if d not in gone]
    if len(left) < mat.n_sparse:
        inside = at.present(indices, mat.sparse_shape)
        indices = indices[..., np.array(left, np.int32)] if left else indices[..., :0]
        data, indices = at.kept(data, indices, inside, [mat.shape[d + b] for d in left])
    batch = [d for d in range(b) if d in gone]
    if batch:
        stay = [d for d in range(b) if d not in gone]
        lead = tuple(mat.shape[d] for d in stay)
        count = math.prod(mat.shape[d] for d in batch) * mat.nse
        data, indices = (
            x.transpose((*stay, *batch, *range(b, x.ndim))).reshape((*lead, count, *x.shape[b + 1 :]))
            for x in (data, indices)
        )  # fmt: skip
    return BCOO((data, indices), shape=[n for d, n in enumerate(mat.shape) if d not in gone])
