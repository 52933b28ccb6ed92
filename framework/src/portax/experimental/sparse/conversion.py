"""Dense to coordinates and back. Each function is one gather or one scatter, and has the derivative of that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax.errors import ArgumentError, ShapeError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.layouts import BCOO
from portax.experimental.sparse.ordering import first_of_equals, known

IndexDtype = Any


def bcoo_fromdense(
    mat: Any, *, nse: int | None = None, n_batch: int = 0, n_dense: int = 0, index_dtype: IndexDtype = np.int32
) -> BCOO:
    """The elements of a dense array that are not zero.

    Parameters
    ----------
    mat : Array of any shape
    nse : int, optional
        Room for so many elements in each batch: the first are taken, and what remains is padding. Default: as many as
        there are, which has to be known: under ``jit`` it must be given.
    n_batch, n_dense : int
        Leading axes that are a batch, trailing axes that stay dense.
    index_dtype : dtype

    Returns
    -------
    BCOO
        Its indices are sorted and unique.

    Raises
    ------
    ArgumentError
        ``nse`` is left out in a traced function, or the axes do not suffice.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> sparse.bcoo_fromdense(pnp.eye(3))
    BCOO(float32[3, 3], nse=3)
    """
    mat = pnp.asarray(mat)
    n_sparse = mat.ndim - n_batch - n_dense
    if min(n_batch, n_dense, n_sparse) < 0:
        raise ArgumentError(
            wrong=f"an array of shape {mat.shape} has no {n_batch} axes of a batch and {n_dense} dense ones",
            fix="Give n_batch + n_dense of at most its rank",
        )
    batch, sparse = mat.shape[:n_batch], mat.shape[n_batch : n_batch + n_sparse]
    size = math.prod(sparse)
    mask = mat != 0
    if n_dense:
        mask = mask.any(tuple(range(mat.ndim - n_dense, mat.ndim)))
    mask = mask.reshape((*batch, size))
    if nse is None:
        nse = known(mask.sum(-1).max(initial=0), "bcoo_fromdense")
    # An element's slot is how many come before it; the slots of zeros lie outside and are dropped.
    slot = pnp.where(mask, pnp.cumsum(mask, -1, dtype=np.int32) - 1, np.int32(nse))
    where = (*at.batch_places(batch), slot)
    counted = pnp.arange(size, dtype=index_dtype)
    found = pnp.full((*batch, nse), size, index_dtype).at[where].set(counted, mode="drop")
    indices = at.unravel(found, sparse, index_dtype)
    if n_sparse:
        indices = pnp.where((found < size)[..., None], indices, np.asarray(sparse, index_dtype))
    out = BCOO((_taken(mat, indices, batch), indices), shape=mat.shape, indices_sorted=True, unique_indices=True)
    if not n_sparse and nse > 1:
        out.data = at.zeroed(out.data, pnp.arange(nse) < 1, n_batch)
    return out


def _taken(arr: Any, indices: Any, batch: Any) -> Any:
    """The elements of ``arr`` at the indices, zero for padding."""
    where = at.places(indices, batch)
    nse = indices.shape[-2]
    if not where:
        return pnp.broadcast_to(arr, (nse, *arr.shape))
    shape = (*batch, nse, *arr.shape[len(where) :])
    return pnp.broadcast_to(arr.at[where].get(mode="fill", fill_value=0), shape)


def bcoo_todense(mat: BCOO) -> Any:
    """The dense array: elements at equal indices add up, padding is left out.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> print(sparse.bcoo_todense(sparse.BCOO(([1, 2, 9], [[0], [0], [3]]), shape=(3,))))
    [3 0 0]
    """
    data, indices = at.spread(mat)
    return at.add_at(mat.shape, at.places(indices, mat.batch_shape), data)


def bcoo_extract(sparr: BCOO, arr: Any, *, assume_unique: bool | None = None) -> BCOO:
    """The elements of a dense array at the indices of a sparse one.

    Parameters
    ----------
    sparr : BCOO
        Its data do not matter.
    arr : Array of the same shape
    assume_unique : bool, optional
        False: of elements with equal indices only the first gets the value, the others zero, so that they add up to it.
        True: all get it. Default: what ``sparr`` promises.

    Raises
    ------
    ShapeError
        The shapes differ.
    """
    arr = pnp.asarray(arr)
    if arr.shape != sparr.shape:
        raise ShapeError(
            wrong=f"bcoo_extract was given an array of shape {arr.shape} for a sparse one of shape {sparr.shape}",
            fix="Give an array of the same shape",
        )
    if assume_unique is None:
        assume_unique = sparr.unique_indices
    _, indices = at.spread(sparr)
    data = _taken(arr, indices, sparr.batch_shape)
    if not assume_unique:
        data = at.zeroed(data, first_of_equals(indices), sparr.n_batch)
    return BCOO(
        (data, sparr.indices), shape=sparr.shape, indices_sorted=sparr.indices_sorted,
        unique_indices=sparr.unique_indices,
    )  # fmt: skip
