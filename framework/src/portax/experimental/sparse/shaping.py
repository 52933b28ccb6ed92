"""Axes moved, joined, split, made longer: indices are computed anew, data mostly stay.

Batch, sparse and dense axes stay of their kind: an axis cannot be moved among those of another. Change the kind first,
with `bcoo_update_layout`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax.errors import ArgumentError, AxisError, GapError, ShapeError
from portax.experimental.sparse import places as at
from portax.experimental.sparse.layouts import BCOO


def like(mat: BCOO, **changes: Any) -> BCOO:
    """The same indices in the same order, other data."""
    return BCOO(
        (changes.get("data", mat.data), mat.indices), shape=changes.get("shape", mat.shape),
        indices_sorted=mat.indices_sorted, unique_indices=mat.unique_indices,
    )  # fmt: skip


def bcoo_transpose(mat: BCOO, *, permutation: Sequence[int]) -> BCOO:
    """The axes in another order, each among those of its kind.

    Parameters
    ----------
    mat : BCOO
    permutation : sequence of int
        Axis k of the result is axis ``permutation[k]`` of ``mat``.

    Raises
    ------
    AxisError
        It is no permutation of the axes.
    GapError
        It would mix batch, sparse and dense axes.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> sparse.bcoo_transpose(sparse.BCOO.fromdense(pnp.ones((2, 3))), permutation=(1, 0)).shape
    (3, 2)
    """
    perm = tuple(int(p) + (mat.ndim if p < 0 else 0) for p in permutation)
    if sorted(perm) != list(range(mat.ndim)):
        raise AxisError(
            wrong=f"{tuple(permutation)} is no permutation of the axes of a sparse array of shape {mat.shape}",
            fix=f"Give each of 0 to {mat.ndim - 1} once",
        )
    b, s = mat.n_batch, mat.n_batch + mat.n_sparse
    batch, sparse, dense = perm[:b], perm[b:s], perm[s:]
    if sorted(batch) != list(range(b)) or sorted(dense) != list(range(s, mat.ndim)):
        raise GapError(
            wrong=f"bcoo_transpose cannot mix batch, sparse and dense axes: permutation {perm} of {mat!r}",
            fix="Change the kind of its axes first, with update_layout",
        )
    data = mat.data.transpose((*batch, b, *(d - mat.n_sparse + 1 for d in dense)))
    indices = mat.indices.transpose((*batch, b, b + 1))
    if sparse != tuple(range(b, s)):
        indices = indices[..., np.array([d - b for d in sparse], np.int32)]
    same = sparse == tuple(range(b, s))
    return BCOO(
        (data, indices), shape=[mat.shape[p] for p in perm], indices_sorted=mat.indices_sorted and same,
        unique_indices=mat.unique_indices,
    )  # fmt: skip


def bcoo_reshape(
    mat: BCOO, *, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None, sharding: Any = None
) -> BCOO:
    """The same elements in another shape, counted in rows.

    Parameters
    ----------
    mat : BCOO
    new_sizes : sequence of int
    dimensions : sequence of int, optional
        The order in which the axes are counted. Default: as they stand.

    Raises
    ------
    ShapeError
        The sizes differ, or batch, sparse and dense axes would be mixed.
    """
    del sharding
    if dimensions is not None:
        mat = bcoo_transpose(mat, permutation=dimensions)
    new = tuple(int(n) for n in new_sizes)
    if math.prod(new) != mat.size:
        raise ShapeError(
            wrong=f"a sparse array of shape {mat.shape} has not the size of {new}", fix="Give a shape of the same size"
        )
    cuts = _cuts(mat, new)
    if cuts is None:
        raise ShapeError(
            wrong=f"bcoo_reshape cannot mix batch, sparse and dense axes: {mat!r} to {new}",
            fix="Change the kind of its axes first, with update_layout",
        )
    b, s = cuts
    data, indices = at.spread(mat) if new[:b] != mat.batch_shape else (mat.data, mat.indices)
    inside = at.present(indices, mat.sparse_shape)
    counted = at.ravel(indices, mat.sparse_shape)
    fresh = at.unravel(counted, new[b:s], indices.dtype)
    fresh = pnp.where(inside[..., None], fresh, np.asarray(new[b:s], indices.dtype))
    if s == b and mat.n_sparse:
        data = at.zeroed(data, inside, mat.n_batch)
    if new[:b] != mat.batch_shape:
        data, fresh = (x.reshape(new[:b] + x.shape[mat.n_batch :]) for x in (data, fresh))
    return BCOO((data.reshape(data.shape[: b + 1] + new[s:]), fresh), shape=new)


def _cuts(mat: BCOO, new: tuple[int, ...]) -> tuple[int, int] | None:
    """Where the batch ends in a new shape, and where the dense axes begin."""
    sizes = math.prod(mat.batch_shape), math.prod(mat.sparse_shape), math.prod(mat.dense_shape)
    for b, s in itertools.product(reversed(range(len(new) + 1)), reversed(range(len(new) + 1))):
        parts = new[:b], new[b:s], new[s:]
        # A leading axis of length 1 becomes one of the batch; a trailing one stays sparse.
        if b <= s and tuple(map(math.prod, parts)) == sizes and (mat.n_dense or not parts[2]):
            return b, s
    return None


def bcoo_broadcast_in_dim(
    mat: BCOO, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], sharding: Any = None
) -> BCOO:
    """The elements repeated along new axes, and along axes of length 1.

    Parameters
    ----------
    mat : BCOO
    shape : sequence of int
    broadcast_dimensions : sequence of int
        Axis k of ``mat`` becomes axis ``broadcast_dimensions[k]``. New axes before the sparse ones are of the batch,
        those behind them dense, those between sparse.

    Raises
    ------
    ShapeError
        The shape does not fit.
    """
    del sharding
    new, dims = tuple(int(n) for n in shape), tuple(int(d) for d in broadcast_dimensions)
    fits = len(dims) == mat.ndim and list(dims) == sorted(set(dims)) and all(0 <= d < len(new) for d in dims)
    if not fits or any(n not in (1, new[d]) for n, d in zip(mat.shape, dims, strict=True)):
        raise ShapeError(
            wrong=f"a sparse array of shape {mat.shape} does not broadcast to {new} along axes {dims}",
            fix="Give the axis each of its axes becomes, in order, of the same length or where it has length 1",
        )
    of_batch, of_sparse = dims[: mat.n_batch], dims[mat.n_batch :][: mat.n_sparse]
    of_dense = dims[mat.n_batch + mat.n_sparse :]
    if of_sparse:
        b, s = of_sparse[0], of_sparse[-1] + 1
    else:
        b = s = of_dense[0] if of_dense else len(new)
        if of_batch and of_dense:
            b = s = of_batch[-1] + 1
    data, indices, nse = mat.data, mat.indices, mat.nse
    # The batch: an axis of length 1 stands for all of a new one.
    lead = [mat.data.shape[of_batch.index(d)] if d in of_batch else 1 for d in range(b)]
    lead_i = [mat.indices.shape[of_batch.index(d)] if d in of_batch else 1 for d in range(b)]
    kept_dense = [mat.dense_shape[of_dense.index(d)] if d in of_dense else 1 for d in range(s, len(new))]
    data = data.reshape((*lead, nse, *kept_dense))
    data = pnp.broadcast_to(data, (*lead, nse, *new[s:]))
    indices = indices.reshape((*lead_i, nse, mat.n_sparse))
    # Sparse axes that become longer: an element for each place along them.
    longer = [d for d in range(b, s) if d not in of_sparse or mat.shape[dims.index(d)] != new[d]]
    times = math.prod(new[d] for d in longer)
    inside = pnp.repeat(at.present(indices, mat.sparse_shape), times, b)
    data, indices = pnp.repeat(data, times, b), pnp.repeat(indices, times, b)
    grid = at.unravel(pnp.arange(times, dtype=indices.dtype), [new[d] for d in longer], indices.dtype)
    grid = pnp.tile(grid, (nse, 1))
    columns = []
    for d in range(b, s):
        if d in longer:
            column = pnp.broadcast_to(grid[:, longer.index(d)], indices.shape[:-1])
        else:
            column = indices[..., of_sparse.index(d)]
        columns.append(pnp.where(inside, column, np.asarray(new[d], indices.dtype)))
    if columns:
        indices = pnp.stack(columns, -1)
    return BCOO((data, indices), shape=new, unique_indices=mat.unique_indices)


def bcoo_concatenate(operands: Sequence[BCOO], *, dimension: int) -> BCOO:
    """Sparse arrays one behind the other.

    Parameters
    ----------
    operands : sequence of BCOO
        With equally many batch and dense axes, and shapes that differ along ``dimension`` at most.
    dimension : int

    Raises
    ------
    ArgumentError
        There is nothing to join, or the layouts differ.
    ShapeError
        The shapes differ elsewhere.
    """
    if not operands:
        raise ArgumentError(wrong="bcoo_concatenate was given nothing to join", fix="Give one sparse array or more")
    first = operands[0]
    if len({(m.n_batch, m.n_dense, m.ndim) for m in operands}) > 1:
        raise ArgumentError(
            wrong=f"bcoo_concatenate was given sparse arrays of different layouts: {', '.join(map(repr, operands))}",
            fix="Give them equally many batch and dense axes, with update_layout",
        )
    d = dimension + first.ndim if dimension < 0 else dimension
    if not 0 <= d < first.ndim:
        raise AxisError(wrong=f"there is no axis {dimension} in {first!r}", fix=f"Give 0 <= axis < {first.ndim}")
    if len({m.shape[:d] + m.shape[d + 1 :] for m in operands}) > 1:
        raise ShapeError(
            wrong=f"sparse arrays of shapes {', '.join(str(m.shape) for m in operands)} do not join along axis {d}",
            fix="Give shapes that differ along this axis only",
        )
    dtype = pnp.result_type(*(m.data for m in operands))
    width = pnp.result_type(*(m.indices.dtype for m in operands))
    offsets = [0, *itertools.accumulate(m.shape[d] for m in operands)]
    shape = (*first.shape[:d], offsets[-1], *first.shape[d + 1 :])
    sparse = shape[first.n_batch :][: first.n_sparse]
    nse = max(m.nse for m in operands)
    parts = []
    for m, start in zip(operands, offsets, strict=False):
        data, indices = at.spread(m)
        inside = at.present(indices, m.sparse_shape)
        data, indices = data.astype(dtype), indices.astype(width)
        axis = d - m.n_batch
        if 0 <= axis < m.n_sparse:
            indices = indices.at[..., axis].add(start)
        data, indices = at.kept(data, indices, inside, sparse)
        if axis < 0:
            room = [(0, 0)] * indices.ndim
            room[m.n_batch] = (0, nse - m.nse)
            data = pnp.pad(data, room[:-1] + [(0, 0)] * m.n_dense)
            fill = pnp.broadcast_to(
                np.asarray(sparse, width), (*m.batch_shape, nse - m.nse, m.n_sparse)
            )  # fmt: skip
            indices = pnp.concatenate([indices, fill], m.n_batch)
        elif axis >= m.n_sparse:
            room = [(0, 0)] * data.ndim
            room[d - m.n_sparse + 1] = (start, offsets[-1] - start - m.shape[d])
            data = pnp.pad(data, room)
        parts.append((data, indices))
    along = d if d < first.n_batch else first.n_batch
    data, indices = (pnp.concatenate(xs, along) for xs in zip(*parts, strict=True))
    return BCOO((data, indices), shape=shape)


def bcoo_squeeze(arr: BCOO, *, dimensions: Sequence[int]) -> BCOO:
    """Without some axes of length 1.

    Raises
    ------
    ShapeError
        One of the axes is longer.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> sparse.bcoo_squeeze(sparse.BCOO.fromdense(pnp.ones((1, 3))), dimensions=(0,)).shape
    (3,)
    """
    dims = {axis_of(d, arr) for d in dimensions}
    if any(arr.shape[d] != 1 for d in dims):
        raise ShapeError(
            wrong=f"axes {sorted(dims)} of a sparse array of shape {arr.shape} are not all of length 1",
            fix="Squeeze axes of length 1 only",
        )
    b, s = arr.n_batch, arr.n_batch + arr.n_sparse
    batch = tuple(d for d in sorted(dims) if d < b)
    dense = tuple(d - arr.n_sparse + 1 for d in sorted(dims) if d >= s)
    rest = [d for d in range(b, s) if d not in dims]
    data, indices = arr.data, arr.indices
    if len(rest) < arr.n_sparse:
        inside = at.present(indices, arr.sparse_shape)
        if data.shape[:b] != inside.shape[:b]:
            data, _ = at.spread(arr)
            inside = pnp.broadcast_to(inside, data.shape[: b + 1])
            indices = pnp.broadcast_to(indices, data.shape[: b + 1] + indices.shape[-1:])
        indices = indices[..., np.array([d - b for d in rest], np.int32)] if rest else indices[..., :0]
        data, indices = at.kept(data, indices, inside, [arr.shape[d] for d in rest])
    data, indices = pnp.squeeze(data, batch + dense), pnp.squeeze(indices, batch)
    shape = [n for d, n in enumerate(arr.shape) if d not in dims]
    return BCOO((data, indices), shape=shape, unique_indices=arr.unique_indices)


def bcoo_rev(operand: BCOO, dimensions: Sequence[int]) -> BCOO:
    """With some axes in the opposite order.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> print(sparse.bcoo_rev(sparse.BCOO(([1, 2], [[0], [1]]), shape=(3,)), (0,)).todense())
    [0 2 1]
    """
    dims = sorted({axis_of(d, operand) for d in dimensions})
    b, s = operand.n_batch, operand.n_batch + operand.n_sparse
    batch = tuple(d for d in dims if d < b)
    data = pnp.flip(operand.data, batch + tuple(d - operand.n_sparse + 1 for d in dims if d >= s))
    indices = pnp.flip(operand.indices, batch)
    sparse = [d - b for d in dims if b <= d < s]
    if sparse:
        inside = at.present(indices, operand.sparse_shape)
        last = np.asarray([n - 1 for n in operand.sparse_shape], indices.dtype)
        turned = np.isin(np.arange(operand.n_sparse), sparse)
        indices = pnp.where(turned & inside[..., None], last - indices, indices)
    return BCOO(
        (data, indices), shape=operand.shape, indices_sorted=operand.indices_sorted and not sparse,
        unique_indices=operand.unique_indices,
    )  # fmt: skip


def axis_of(axis: int, mat: BCOO) -> int:
    """An axis counted from the front."""
    if not -mat.ndim <= axis < mat.ndim:
        raise AxisError(
            wrong=f"there is no axis {axis} in a sparse array of shape {mat.shape}",
            fix=f"Give {-mat.ndim} <= axis < {mat.ndim}",
        )
    return int(axis) % mat.ndim
