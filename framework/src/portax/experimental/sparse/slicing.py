"""Parts of sparse arrays: of the batch and dense axes they are parts of the arrays, elsewhere elements are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax import lax
from portax.api import vmap
from portax.errors import ArgumentError, GapError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.layouts import BCOO
from portax.experimental.sparse.ordering import bounded
from portax.experimental.sparse.shaping import bcoo_squeeze


def bcoo_slice(
    mat: BCOO, *, start_indices: Sequence[int], limit_indices: Sequence[int], strides: Sequence[int] | None = None
) -> BCOO:
    """A part of a sparse array, every so many elements along each axis.

    Parameters
    ----------
    mat : BCOO
    start_indices, limit_indices : sequences of int
        Where it begins along each axis, and before which place it ends.
    strides : sequence of int, optional
        Default: 1 along each axis.

    Raises
    ------
    ArgumentError
        The bounds do not fit the shape.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO.fromdense(pnp.eye(3))
    >>> print(sparse.bcoo_slice(m, start_indices=(1, 0), limit_indices=(3, 2)).todense())
    [[0. 1.]
     [0. 0.]]
    """
    starts, limits = tuple(start_indices), tuple(limit_indices)
    steps = (1,) * mat.ndim if strides is None else tuple(strides)
    if not len(starts) == len(limits) == len(steps) == mat.ndim or not all(
        0 <= a <= b <= n and k > 0 for a, b, k, n in zip(starts, limits, steps, mat.shape, strict=True)
    ):
        raise ArgumentError(
            wrong=f"bcoo_slice from {starts} to {limits} by {steps} is not inside of shape {mat.shape}",
            fix="Give 0 <= start <= limit <= length for each axis, and positive strides",
        )
    cuts = [slice(a, b, k) for a, b, k in zip(starts, limits, steps, strict=True)]
    b, s = mat.n_batch, mat.n_batch + mat.n_sparse
    shape = [len(range(*cut.indices(n))) for cut, n in zip(cuts, mat.shape, strict=True)]
    # An axis of the batch that is 1 in an array stands for all of them.
    data, indices = (
        x[tuple(cut if x.shape[k] == mat.shape[k] else slice(None) for k, cut in enumerate(cuts[:b]))]
        for x in (mat.data, mat.indices)
    )
    data = data[(..., *cuts[s:])]
    if all(cut == slice(0, n, 1) for cut, n in zip(cuts[b:s], mat.sparse_shape, strict=True)):
        return BCOO(
            (data, indices), shape=shape, indices_sorted=mat.indices_sorted, unique_indices=mat.unique_indices
        )  # fmt: skip
    start, step = (np.asarray(x[b:s], indices.dtype) for x in (starts, steps))
    limit = np.asarray(limits[b:s], indices.dtype)
    inside = ((indices >= start) & (indices < limit) & ((indices - start) % step == 0)).all(-1)
    return _kept(mat, data, (indices - start) // step, inside, shape)


def _kept(mat: BCOO, data: Any, indices: Any, inside: Any, shape: Sequence[int]) -> BCOO:
    """The elements inside, in no more room than there are places."""
    b = mat.n_batch
    rest = pnp.broadcast_shapes(data.shape[:b], indices.shape[:b])
    data = pnp.broadcast_to(data, rest + data.shape[b:])
    indices = pnp.broadcast_to(indices, rest + indices.shape[b:])
    inside = pnp.broadcast_to(inside, indices.shape[:-1])
    data, indices = at.kept(data, indices, inside, shape[b:][: mat.n_sparse])
    return bounded(BCOO((data, indices), shape=shape, unique_indices=mat.unique_indices))


def bcoo_dynamic_slice(mat: BCOO, start_indices: Sequence[Any], slice_sizes: Sequence[int]) -> BCOO:
    """A part of a sparse array that begins where a program says.

    Parameters
    ----------
    mat : BCOO
    start_indices : sequence of int arrays of shape (), or Array of shape (ndim,)
        Moved so far that the part is inside, as `portax.lax.dynamic_slice` does.
    slice_sizes : sequence of int

    Raises
    ------
    ArgumentError
        There is not one start and one fitting size for each axis.
    """
    starts, sizes = list(start_indices), tuple(int(n) for n in slice_sizes)
    rank = mat.ndim
    if not len(starts) == len(sizes) == rank or any(not 0 <= k <= n for k, n in zip(sizes, mat.shape, strict=True)):
        raise ArgumentError(
            wrong=f"bcoo_dynamic_slice of sizes {sizes} with {len(starts)} starts does not fit shape {mat.shape}",
            fix="Give a start for each axis, and a size no greater than its length",
        )
    starts = [pnp.asarray(x) for x in starts]
    starts = [pnp.clip(x, 0, n - k).astype(np.int32) for x, n, k in zip(starts, mat.shape, sizes, strict=True)]
    b, s = mat.n_batch, mat.n_batch + mat.n_sparse
    data, indices = mat.data, mat.indices
    for d in range(b):
        if sizes[d] != mat.shape[d]:
            data, indices = (
                lax.dynamic_slice_in_dim(x, starts[d], sizes[d], d) if x.shape[d] > 1 else x for x in (data, indices)
            )  # fmt: skip
    for d in range(s, mat.ndim):
        data = lax.dynamic_slice_in_dim(data, starts[d], sizes[d], d - mat.n_sparse + 1)
    if sizes[b:s] == mat.sparse_shape:
        return BCOO(
            (data, indices), shape=sizes, indices_sorted=mat.indices_sorted, unique_indices=mat.unique_indices
        )  # fmt: skip
    start = pnp.stack(starts[b:s]).astype(indices.dtype)
    shifted = indices - start
    inside = ((shifted >= 0) & (shifted < np.asarray(sizes[b:s], indices.dtype))).all(-1)
    return _kept(mat, data, shifted, inside & at.present(indices, mat.sparse_shape), sizes)


def bcoo_gather(
    operand: BCOO,
    start_indices: Any,
    dimension_numbers: Any,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> BCOO:
    """Slices of a sparse array, one for each start: the places they are taken for become axes of the batch.

    The arguments are those of `portax.lax.gather`.

    Raises
    ------
    GapError
        The operand has a batch in the gather's own sense, what is outside is to be filled with something else than
        zero, or the slices' axes stand before those of the starts.
    """
    del unique_indices, indices_are_sorted
    numbers, starts, sizes = dimension_numbers, pnp.asarray(start_indices), tuple(slice_sizes)
    mode = lax.GatherScatterMode.from_any(mode)
    fills = mode == lax.GatherScatterMode.FILL_OR_DROP
    if numbers.operand_batching_dims or (fills and fill_value not in (None, 0)):
        raise GapError(
            wrong="bcoo_gather has no batching dimensions, and fills with nothing but zero",
            fix="Map it with vmap, or gather from .todense()",
        )
    lead = starts.ndim - 1
    if tuple(numbers.offset_dims) != tuple(range(lead, lead + len(numbers.offset_dims))):
        raise GapError(
            wrong=f"bcoo_gather puts the axes of the starts first, not slices along {numbers.offset_dims}",
            fix="Move the axes of the result afterwards, or gather from .todense()",
        )

    def one(start: Any) -> BCOO:
        first: list[Any] = [np.int32(0)] * operand.ndim
        for k, d in enumerate(numbers.start_index_map):
            first[d] = start[k]
        part = bcoo_dynamic_slice(operand, first, sizes)
        if fills:
            limit = np.asarray([operand.shape[d] - sizes[d] for d in numbers.start_index_map])
            inside = ((start >= 0) & (start <= limit)).all()
            part = BCOO((pnp.where(inside, part.data, pnp.zeros((), part.dtype)), part.indices), shape=part.shape)
        return bcoo_squeeze(part, dimensions=numbers.collapsed_slice_dims)

    for _ in range(lead):
        one = vmap(one)
    return one(starts)


def bcoo_take_axis(mat: BCOO, axis: int) -> list[BCOO]:
    """The parts of a sparse array along its first axis, one by one."""
    parts = []
    for k in range(mat.shape[axis]):
        starts = [k if d == axis else 0 for d in range(mat.ndim)]
        limits = [k + 1 if d == axis else n for d, n in enumerate(mat.shape)]
        parts.append(bcoo_squeeze(bcoo_slice(mat, start_indices=starts, limit_indices=limits), dimensions=(axis,)))
    return parts
