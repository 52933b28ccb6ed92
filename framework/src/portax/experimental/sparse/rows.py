"""Sparse matrices by rows: what can be said of them alone, the rest through coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax import lax
from portax.errors import ArgumentError, GapError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.conversion import bcoo_extract, bcoo_fromdense, bcoo_todense
from portax.experimental.sparse.layouts import BCOO, BCSR
from portax.experimental.sparse.ordering import bcoo_sort_indices, bcoo_sum_duplicates
from portax.experimental.sparse.products import bcoo_dot_general
from portax.experimental.sparse.shaping import bcoo_broadcast_in_dim, bcoo_concatenate


def rows_of(indptr: Any, nse: int) -> Any:
    """The row of each element, of shape ``batch + (nse,)``; that of padding is behind the last."""
    batch = indptr.shape[:-1]
    where = (*at.batch_places(batch), indptr[..., 1:])
    ends = pnp.zeros((*batch, nse), indptr.dtype).at[where].add(1, mode="drop")
    return pnp.cumsum(ends, -1, dtype=indptr.dtype)


def to_bcoo(mat: BCSR) -> BCOO:
    """The same array with coordinates."""
    rows = rows_of(mat.indptr, mat.nse)
    rows = pnp.broadcast_to(rows, pnp.broadcast_shapes(rows.shape, mat.indices.shape))
    columns = pnp.broadcast_to(mat.indices, rows.shape)
    return BCOO(
        (mat.data, pnp.stack([rows.astype(columns.dtype), columns], -1)), shape=mat.shape,
        indices_sorted=mat.indices_sorted, unique_indices=mat.unique_indices,
    )  # fmt: skip


def from_bcoo(arr: BCOO) -> BCSR:
    """The same array by rows.

    Raises
    ------
    GapError
        It has not two sparse axes.
    """
    if arr.n_sparse != 2:
        raise GapError(
            wrong=f"a BCSR has two sparse axes, and {arr!r} has {arr.n_sparse}",
            fix="Change the kind of its axes first, with update_layout",
        )
    if not arr.indices_sorted:
        arr = bcoo_sort_indices(arr)
    n, rows = arr.n_batch, arr.sparse_shape[0]
    data, indices = at.spread(arr)
    inside = at.present(indices, arr.sparse_shape)
    _, tidy = at.kept(data, indices, inside, arr.sparse_shape)
    # Padding within a row is given the column behind the last, where it is nowhere.
    row = pnp.where((indices[..., 0] >= 0) & (indices[..., 0] < rows), indices[..., 0], rows)
    where = (*at.batch_places(arr.batch_shape), row + 1)
    counts = pnp.zeros((*arr.batch_shape, rows + 1), indices.dtype).at[where].add(1, mode="drop")
    indptr = pnp.cumsum(counts, n, dtype=indices.dtype)
    return BCSR(
        (data, tidy[..., 1], indptr), shape=arr.shape, indices_sorted=True, unique_indices=arr.unique_indices
    )  # fmt: skip


def bcsr_fromdense(
    mat: Any, *, nse: int | None = None, n_batch: int = 0, n_dense: int = 0, index_dtype: Any = np.int32
) -> BCSR:
    """The elements of a dense array that are not zero, by rows; see `bcoo_fromdense` for the parameters.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> print(sparse.bcsr_fromdense(pnp.eye(2)).indptr)
    [0 1 2]
    """
    mat = pnp.asarray(mat)
    if mat.ndim - n_batch - n_dense != 2:
        raise ArgumentError(
            wrong=f"bcsr_fromdense leaves {mat.ndim - n_batch - n_dense} sparse axes of shape {mat.shape}, not two",
            fix="Give n_batch and n_dense that leave rows and columns",
        )
    return from_bcoo(bcoo_fromdense(mat, nse=nse, n_batch=n_batch, n_dense=n_dense, index_dtype=index_dtype))


def bcsr_todense(mat: BCSR) -> Any:
    """The dense array."""
    return bcoo_todense(to_bcoo(mat))


def bcsr_extract(indices: Any, indptr: Any, mat: Any) -> Any:
    """The data of a dense array at the elements that columns and rows name.

    Parameters
    ----------
    indices, indptr : Arrays of whole numbers
        Of a `BCSR`.
    mat : Array

    Returns
    -------
    Array of shape ``batch + (nse,) + dense``
    """
    indices, indptr, mat = pnp.asarray(indices), pnp.asarray(indptr), pnp.asarray(mat)
    n = indices.ndim - 1
    data = pnp.zeros((*mat.shape[:n], indices.shape[-1], *mat.shape[n + 2 :]), mat.dtype)
    return bcoo_extract(to_bcoo(BCSR((data, indices, indptr), shape=mat.shape)), mat, assume_unique=True).data


def bcsr_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The product of a sparse matrix by rows and a dense array; see `bcoo_dot_general`."""
    del out_sharding
    if not isinstance(lhs, BCSR):
        return lax.dot_general(
            lhs, rhs, dimension_numbers, precision=precision, preferred_element_type=preferred_element_type
        )
    return bcoo_dot_general(
        to_bcoo(lhs), rhs, dimension_numbers=dimension_numbers, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def bcsr_broadcast_in_dim(
    mat: BCSR, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], sharding: Any = None
) -> BCSR:
    """See `bcoo_broadcast_in_dim`."""
    del sharding
    return from_bcoo(bcoo_broadcast_in_dim(to_bcoo(mat), shape=shape, broadcast_dimensions=broadcast_dimensions))


def bcsr_concatenate(operands: Sequence[BCSR], *, dimension: int) -> BCSR:
    """See `bcoo_concatenate`."""
    return from_bcoo(bcoo_concatenate([to_bcoo(m) for m in operands], dimension=dimension))


def bcsr_sum_duplicates(mat: BCSR, nse: int | None = None) -> BCSR:
    """See `bcoo_sum_duplicates`."""
    return from_bcoo(bcoo_sum_duplicates(to_bcoo(mat), nse))
