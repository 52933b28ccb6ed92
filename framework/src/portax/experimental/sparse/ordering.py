"""Elements in the order of their indices, and those with equal indices made one.

The indices are sorted column by column, never counted through, so no shape is too large.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax import lax
from portax.errors import ArgumentError, ConcretizationError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.layouts import BCOO


def known(count: Any, what: str) -> int:
    """A number of elements that has to be known now."""
    try:
        return int(count)
    except ConcretizationError as unknown:
        raise ArgumentError(
            wrong=f"{what} has to count the elements, and their number is not known in a traced function",
            fix="Give nse, the number of elements to make room for",
        ) from unknown


def order_of(indices: Any) -> tuple[Any, Any]:
    """``(sorted indices, order)``: the order is of shape ``batch + (nse,)``, and stable."""
    count = indices.shape[-1]
    turn = lax.broadcasted_iota(np.int32, indices.shape[:-1], indices.ndim - 2)
    if not count:
        return indices, turn
    columns = [indices[..., k] for k in range(count)]
    *columns, order = lax.sort((*columns, turn), dimension=-1, num_keys=count)
    return pnp.stack(columns, -1), order


def _starts(indices: Any) -> Any:
    """Of sorted indices: which differ from those before."""
    differ = (indices[..., 1:, :] != indices[..., :-1, :]).any(-1)
    first = pnp.ones((*indices.shape[:-2], min(1, indices.shape[-2])), bool)
    return pnp.concatenate([first, differ], -1)


def first_of_equals(indices: Any) -> Any:
    """Bool of shape ``batch + (nse,)``: no element before has these indices."""
    ordered, order = order_of(indices)
    where = (*at.batch_places(indices.shape[:-2]), order)
    return pnp.zeros(order.shape, bool).at[where].set(_starts(ordered))


def taken_along(data: Any, order: Any, n_batch: int) -> Any:
    """The elements in this order."""
    return pnp.take_along_axis(data, order.reshape(order.shape + (1,) * (data.ndim - n_batch - 1)), n_batch)


def bcoo_sort_indices(mat: BCOO) -> BCOO:
    """The same array with its elements in the order of their indices.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> print(sparse.bcoo_sort_indices(sparse.BCOO(([1, 2], [[2], [0]]), shape=(3,))).indices)
    [[0]
     [2]]
    """
    data, indices = at.spread(mat)
    indices, order = order_of(indices)
    data = taken_along(data, order, mat.n_batch)
    return BCOO((data, indices), shape=mat.shape, indices_sorted=True, unique_indices=mat.unique_indices)


def bcoo_sum_duplicates(mat: BCOO, nse: int | None = None) -> BCOO:
    """The same array with no two elements at equal indices.

    Parameters
    ----------
    mat : BCOO
    nse : int, optional
        Room for so many elements in each batch; what does not fit is dropped, in the order of the indices. Default: as
        many as there are, which has to be known: under ``jit`` it must be given.

    Returns
    -------
    BCOO
        Sorted and unique, padding last.

    Raises
    ------
    ArgumentError
        ``nse`` is left out in a traced function.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> m = sparse.bcoo_sum_duplicates(sparse.BCOO(([1, 2, 3], [[1], [0], [1]]), shape=(3,)))
    >>> print(m.data, m.indices.ravel())
    [2 4] [0 1]
    """
    data, indices = at.spread(mat)
    shape, n_batch = mat.sparse_shape, mat.n_batch
    data, indices = at.kept(data, indices, at.present(indices, shape), shape)
    indices, order = order_of(indices)
    data = taken_along(data, order, n_batch)
    starts = _starts(indices)
    if nse is None:
        here = (starts & at.present(indices, shape)).sum(-1)
        nse = known(here.max(initial=0), "bcoo_sum_duplicates")
    slot = pnp.cumsum(starts, -1, dtype=np.int32) - 1
    where = (*at.batch_places(mat.batch_shape), slot)
    new = at.add_at((*mat.batch_shape, nse, *mat.dense_shape), where, data)
    outside = pnp.broadcast_to(np.asarray(shape, indices.dtype), (*mat.batch_shape, nse, len(shape)))
    indices = outside.at[where].set(indices, mode="drop")
    return BCOO((new, indices), shape=mat.shape, indices_sorted=True, unique_indices=True)


def without_zeros(mat: BCOO, nse: int | None = None) -> BCOO:
    """`bcoo_sum_duplicates`, where elements that are zero have no room."""
    data, indices = at.spread(mat)
    keep = (data != 0).any(tuple(range(mat.n_batch + 1, data.ndim))) if mat.n_dense else data != 0
    _, indices = at.kept(data, indices, keep, mat.sparse_shape)
    return bcoo_sum_duplicates(BCOO((data, indices), shape=mat.shape), nse)


def bounded(mat: BCOO) -> BCOO:
    """The same array with no more elements than its sparse shape has places."""
    most = math.prod(mat.sparse_shape)
    return mat if mat.nse <= most else bcoo_sum_duplicates(mat, most)
