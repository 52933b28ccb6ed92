"""Where the elements of a sparse array are: what all the functions on coordinates share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax import lax
from portax.errors import ArgumentError
from portax.experimental.sparse.layouts import BCOO


def spread(mat: BCOO) -> tuple[Any, Any]:
    """``(data, indices)`` with every axis of the batch at its full length."""
    n, batch = mat.n_batch, mat.batch_shape
    data = pnp.broadcast_to(mat.data, batch + mat.data.shape[n:])
    return data, pnp.broadcast_to(mat.indices, batch + mat.indices.shape[n:])


def batch_places(batch: Sequence[int], dtype: Any = np.int32) -> list[Any]:
    """For each axis of the batch, the place along it: of shape ``(1, ..., n, ..., 1, 1)``, the last for elements."""
    rank = len(batch) + 1
    return [
        lax.broadcasted_iota(dtype, tuple(n if k == axis else 1 for k in range(rank)), axis)
        for axis, n in enumerate(batch)
    ]


def places(indices: Any, batch: Sequence[int]) -> tuple[Any, ...]:
    """An index for each axis of the batch and each sparse axis, all of which broadcast to ``batch + (nse,)``."""
    columns = [indices[..., k] for k in range(indices.shape[-1])]
    lead = batch_places(batch, indices.dtype)
    if lead and not columns:
        # Without a sparse axis nothing else says how many elements there are.
        lead[0] = pnp.broadcast_to(lead[0], (*lead[0].shape[:-1], indices.shape[-2]))
    return (*lead, *columns)


def present(indices: Any, shape: Sequence[int]) -> Any:
    """Bool of shape ``batch + (nse,)``: whether an element is inside of the sparse shape, and no padding."""
    limits = np.asarray(shape, indices.dtype)
    return ((indices >= 0) & (indices < limits)).all(-1)


def kept(data: Any, indices: Any, keep: Any, shape: Sequence[int]) -> tuple[Any, Any]:
    """The elements, those that are not kept made padding: zero, and outside of ``shape``."""
    outside = np.asarray(shape, indices.dtype)
    indices = pnp.where(keep[..., None], indices, outside)
    return zeroed(data, keep, indices.ndim - 2), indices


def zeroed(data: Any, keep: Any, n_batch: int) -> Any:
    """The data, zero where ``keep`` does not hold."""
    n_dense = data.ndim - n_batch - 1
    keep = keep.reshape(keep.shape + (1,) * n_dense)
    return pnp.where(keep, data, pnp.zeros((), data.dtype))


def unravel(places: Any, shape: Sequence[int], dtype: Any) -> Any:
    """The coordinates, along a last axis, of places in an array of this shape counted in rows."""
    columns = []
    for n in reversed(shape):
        n = max(n, 1)
        columns.append(places % n)
        places = places // n
    if not columns:
        return pnp.zeros((*places.shape, 0), dtype)
    return pnp.stack(columns[::-1], -1).astype(dtype)


def ravel(indices: Any, shape: Sequence[int]) -> Any:
    """The opposite of `unravel`."""
    if math.prod(shape) > np.iinfo(indices.dtype).max:
        raise ArgumentError(
            wrong=f"the elements of the sparse shape {tuple(shape)} cannot be counted in {indices.dtype.name}",
            fix="Give the indices a wider dtype",
        )
    total = pnp.zeros(indices.shape[:-1], indices.dtype)
    for k, n in enumerate(shape):
        total = total * n + indices[..., k]
    return total


def add_at(shape: Sequence[int], where: tuple[Any, ...], data: Any) -> Any:
    """Zeros with ``data`` added at its places; what is outside is dropped. Bools are joined by "or"."""
    if not where:
        return data.any(0) if data.dtype == np.bool_ else data.sum(0, dtype=data.dtype)
    out = pnp.zeros(tuple(shape), data.dtype).at[where]
    return out.max(data, mode="drop") if data.dtype == np.bool_ else out.add(data, mode="drop")
