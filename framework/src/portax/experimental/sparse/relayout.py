"""Axes of another kind: from the batch to sparse, from sparse to dense, and back.

To sparse, each element is told apart by one coordinate more. From sparse, every slice gets room for all the elements,
which can take far more memory: then it is refused, or warned of.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax.errors import ArgumentError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.layouts import BCOO, SparseEfficiencyError, SparseEfficiencyWarning
from portax.experimental.sparse.ordering import bounded


def bcoo_update_layout(
    mat: BCOO, *, n_batch: int | None = None, n_dense: int | None = None, on_inefficient: str | None = "error"
) -> BCOO:
    """The same array with other numbers of batch and dense axes.

    Parameters
    ----------
    mat : BCOO
    n_batch, n_dense : int, optional
        Default: as they are.
    on_inefficient : "error", "warn" or None
        What happens when the new layout has more numbers than the old.

    Raises
    ------
    SparseEfficiencyError
        The new layout takes more memory.
    ArgumentError
        There are not so many axes.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO.fromdense(pnp.ones((2, 3)), n_batch=1)
    >>> sparse.bcoo_update_layout(m, n_batch=0)
    BCOO(float32[2, 3], nse=6)
    """
    b = mat.n_batch if n_batch is None else int(n_batch)
    d = mat.n_dense if n_dense is None else int(n_dense)
    if min(b, d) < 0 or b + d > mat.ndim:
        raise ArgumentError(
            wrong=f"a sparse array of shape {mat.shape} has no {b} axes of a batch and {d} dense ones",
            fix="Give n_batch + n_dense of at most its rank",
        )
    if on_inefficient not in ("error", "warn", None):
        raise ArgumentError(
            wrong=f"on_inefficient is {on_inefficient!r}", fix='Give "error", "warn" or None'
        )  # fmt: skip
    _judge(mat, b, d, on_inefficient)
    while mat.n_dense > d:
        mat = _dense_to_sparse(mat)
    while mat.n_batch > b:
        mat = _batch_to_sparse(mat)
    while mat.n_dense < d:
        mat = _sparse_to_dense(mat)
    while mat.n_batch < b:
        mat = _sparse_to_batch(mat)
    return mat


def _judge(mat: BCOO, b: int, d: int, on_inefficient: str | None) -> None:
    if on_inefficient is None or (b <= mat.n_batch and d <= mat.n_dense):
        return
    nse = mat.nse * math.prod(mat.shape[b : mat.n_batch]) * math.prod(mat.shape[mat.ndim - mat.n_dense : mat.ndim - d])
    nse = min(nse, math.prod(mat.shape[b : mat.ndim - d]))
    count = math.prod(mat.shape[:b]) * nse * (math.prod(mat.shape[mat.ndim - d :]) + mat.ndim - b - d)
    now = mat.data.size + mat.indices.size
    if count <= now:
        return
    words = f"{mat!r} with n_batch={b} and n_dense={d} takes {count} numbers instead of {now}"
    if on_inefficient == "warn":
        warnings.warn(words, SparseEfficiencyWarning, stacklevel=3)
        return
    raise SparseEfficiencyError(words + '. Pass on_inefficient="warn" or None to have it all the same.')


def _dense_to_sparse(mat: BCOO) -> BCOO:
    """The first dense axis becomes the last sparse one."""
    data, indices = at.spread(mat)
    b, nse, n = mat.n_batch, mat.nse, mat.dense_shape[0]
    inside = pnp.repeat(at.present(indices, mat.sparse_shape), n, b)
    data = data.reshape((*mat.batch_shape, nse * n, *mat.dense_shape[1:]))
    column = pnp.tile(pnp.arange(n, dtype=indices.dtype), nse)
    column = pnp.broadcast_to(column, (*mat.batch_shape, nse * n))[..., None]
    indices = pnp.concatenate([pnp.repeat(indices, n, b), column], -1)
    data, indices = at.kept(data, indices, inside, (*mat.sparse_shape, n))
    return BCOO((data, indices), shape=mat.shape, unique_indices=mat.unique_indices)


def _batch_to_sparse(mat: BCOO) -> BCOO:
    """The last axis of the batch becomes the first sparse one."""
    data, indices = at.spread(mat)
    b, nse, n = mat.n_batch, mat.nse, mat.batch_shape[-1]
    inside = at.present(indices, mat.sparse_shape)
    own = at.batch_places(mat.batch_shape, indices.dtype)[-1]
    column = pnp.broadcast_to(own, indices.shape[:-1])[..., None]
    indices = pnp.concatenate([column, indices], -1)
    data, indices = at.kept(data, indices, inside, (n, *mat.sparse_shape))
    lead = (*mat.batch_shape[:-1], n * nse)
    data, indices = data.reshape(lead + data.shape[b + 1 :]), indices.reshape(lead + indices.shape[b + 1 :])
    return BCOO((data, indices), shape=mat.shape, unique_indices=mat.unique_indices)


def _sparse_to_dense(mat: BCOO) -> BCOO:
    """The last sparse axis becomes the first dense one."""
    data, indices = at.spread(mat)
    b, n = mat.n_batch, mat.sparse_shape[-1]
    inside = at.present(indices, mat.sparse_shape)
    hot = indices[..., -1:] == pnp.arange(n, dtype=indices.dtype)
    hot = (hot & inside[..., None]).reshape(hot.shape + (1,) * mat.n_dense)
    spread = pnp.expand_dims(data, b + 1)
    data = pnp.where(hot, spread, pnp.zeros((), data.dtype))
    data, indices = at.kept(data, indices[..., :-1], inside, mat.sparse_shape[:-1])
    return bounded(BCOO((data, indices), shape=mat.shape))


def _sparse_to_batch(mat: BCOO) -> BCOO:
    """The first sparse axis becomes the last of the batch."""
    data, indices = at.spread(mat)
    b, n = mat.n_batch, mat.sparse_shape[0]
    inside = at.present(indices, mat.sparse_shape)
    numbers = np.arange(n).reshape((n, 1))
    keep = (pnp.expand_dims(indices[..., 0], b) == numbers.astype(indices.dtype)) & pnp.expand_dims(inside, b)
    data, indices = (
        pnp.broadcast_to(pnp.expand_dims(x, b), x.shape[:b] + (n, *x.shape[b:])) for x in (data, indices[..., 1:])
    )  # fmt: skip
    data, indices = at.kept(data, indices, keep, mat.sparse_shape[1:])
    return bounded(BCOO((data, indices), shape=mat.shape, unique_indices=mat.unique_indices))


def flat(mat: BCOO) -> Any:
    """With sparse axes only."""
    return bcoo_update_layout(mat, n_batch=0, n_dense=0, on_inefficient=None)
