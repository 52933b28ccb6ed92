"""Random sparse arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax import random
from portax.errors import ArgumentError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.layouts import BCOO
from portax.experimental.sparse.ordering import bcoo_sort_indices


def random_bcoo(
    key: Any,
    shape: Sequence[int],
    *,
    dtype: Any = float,
    indices_dtype: Any = None,
    nse: float | int = 0.2,
    n_batch: int = 0,
    n_dense: int = 0,
    unique_indices: bool = True,
    sorted_indices: bool = False,
    generator: Callable[..., Any] = random.uniform,
    **kwds: Any,
) -> BCOO:
    """A sparse array with random elements at random places.

    Parameters
    ----------
    key : key
    shape : sequence of int
    dtype, indices_dtype : dtype
    nse : int or float
        Elements in each batch; below 1, the share of the places.
    n_batch, n_dense : int
    unique_indices, sorted_indices : bool
        No place is taken twice; the elements are in order.
    generator : callable
        ``generator(key, shape, dtype, **kwds)`` gives the elements.

    Raises
    ------
    ArgumentError
        There are fewer places than elements, or fewer axes than asked for.

    Examples
    --------
    >>> import portax
    >>> from portax.experimental import sparse
    >>> sparse.random_bcoo(portax.random.key(0), (3, 4), nse=0.5)
    BCOO(float32[3, 4], nse=6)
    """
    shape = tuple(int(n) for n in shape)
    n_sparse = len(shape) - n_batch - n_dense
    if min(n_batch, n_dense, n_sparse) < 0:
        raise ArgumentError(
            wrong=f"shape {shape} has no {n_batch} axes of a batch and {n_dense} dense ones",
            fix="Give n_batch + n_dense of at most its rank",
        )
    batch, sparse = shape[:n_batch], shape[n_batch : n_batch + n_sparse]
    size = math.prod(sparse)
    count = math.ceil(nse * size) if 0 <= nse < 1 else int(nse)
    if unique_indices and count > size:
        raise ArgumentError(
            wrong=f"random_bcoo cannot choose {count} different places of {size}",
            fix="Ask for fewer, or pass unique_indices=False",
        )
    of_places, of_data = random.split(key)
    width = np.dtype(np.int32 if indices_dtype is None else indices_dtype)
    if unique_indices:
        each = pnp.broadcast_to(pnp.arange(size, dtype=np.int32), (*batch, size))
        found = random.permutation(of_places, each, axis=-1, independent=True)[..., :count]
    else:
        found = random.randint(of_places, (*batch, count), 0, max(size, 1), np.int32)
    data = generator(of_data, (*batch, count, *shape[n_batch + n_sparse :]), dtype, **kwds)
    mat = BCOO((data, at.unravel(found, sparse, width)), shape=shape, unique_indices=unique_indices)
    return bcoo_sort_indices(mat) if sorted_indices else mat
