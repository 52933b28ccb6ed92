"""Sparse arrays from nothing, and from SciPy's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax.errors import ArgumentError, GapError
from portax.experimental.sparse.conversion import bcoo_todense
from portax.experimental.sparse.coordinate import COO, CSC, CSR
from portax.experimental.sparse.layouts import BCOO, BCSR, JAXSparse
from portax.experimental.sparse.relayout import bcoo_update_layout
from portax.experimental.sparse.rows import from_bcoo
from portax.experimental.sparse.sparsifying import as_bcoo


def in_format(mat: BCOO, sparse_format: str) -> Any:
    """The same array in the format of this name."""
    if sparse_format == "bcoo":
        return mat
    if sparse_format == "bcsr":
        return from_bcoo(mat)
    if sparse_format == "coo":
        return COO((mat.data, mat.indices[:, 0], mat.indices[:, 1]), shape=mat.shape, rows_sorted=True)
    if sparse_format == "csr":
        m = from_bcoo(mat)
        return CSR((m.data, m.indices, m.indptr), shape=m.shape)
    if sparse_format == "csc":
        m = from_bcoo(BCOO((mat.data, mat.indices[:, ::-1]), shape=mat.shape[::-1]))
        return CSC((m.data, m.indices, m.indptr), shape=mat.shape)
    raise ArgumentError(
        wrong=f"there is no sparse format called {sparse_format!r}", fix='Give "bcoo", "bcsr", "coo", "csr" or "csc"'
    )


def empty(
    shape: Sequence[int], dtype: Any = None, index_dtype: Any = "int32", sparse_format: str = "bcoo", **kwds: Any
) -> Any:
    """A sparse array with nothing specified.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype, optional
        Default: float.
    index_dtype : dtype
    sparse_format : "bcoo", "bcsr", "coo", "csr" or "csc"
    **kwds : int
        ``n_batch``, ``n_dense``, and ``nse``: room for so many elements.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> sparse.empty((2, 3))
    BCOO(float32[2, 3], nse=0)
    """
    shape = tuple(int(n) for n in shape)
    unknown = set(kwds) - {"n_batch", "n_dense", "nse"}
    if unknown:
        raise ArgumentError(
            wrong=f"empty has no argument {sorted(unknown)[0]}", fix="Give n_batch, n_dense or nse"
        )  # fmt: skip
    b, d, nse = kwds.get("n_batch", 0), kwds.get("n_dense", 0), kwds.get("nse", 0)
    if min(b, d) < 0 or b + d > len(shape):
        raise ArgumentError(
            wrong=f"shape {shape} has no {b} axes of a batch and {d} dense ones",
            fix="Give n_batch + n_dense of at most its rank",
        )
    sparse = shape[b : len(shape) - d]
    data = pnp.zeros((*shape[:b], nse, *shape[len(shape) - d :]), dtype)
    indices = pnp.broadcast_to(pnp.asarray(np.asarray(sparse), index_dtype), (*shape[:b], nse, len(sparse)))
    return in_format(
        BCOO((data, indices), shape=shape, indices_sorted=True, unique_indices=True), sparse_format
    )  # fmt: skip


def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = None,
    index_dtype: Any = "int32",
    sparse_format: str = "bcoo",
    **kwds: Any,
) -> Any:
    """A sparse matrix with ones on a diagonal.

    Parameters
    ----------
    N, M : int
        Rows and columns. Default of ``M``: ``N``.
    k : int
        Which diagonal: above the main one where it is positive.
    dtype : dtype, optional
        Default: float.
    index_dtype : dtype
    sparse_format : "bcoo", "bcsr", "coo", "csr" or "csc"
    **kwds : int
        ``n_batch``, ``n_dense``.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> print(sparse.eye(2, 3, k=1).todense())
    [[0. 1. 0.]
     [0. 0. 1.]]
    """
    M = N if M is None else M
    unknown = set(kwds) - {"n_batch", "n_dense"}
    if unknown:
        raise ArgumentError(wrong=f"eye has no argument {sorted(unknown)[0]}", fix="Give n_batch or n_dense")
    rows = np.arange(max(0, -k), max(max(0, -k), min(N, M - k)))
    indices = np.stack([rows, rows + k], -1)
    mat = BCOO(
        (pnp.ones(len(rows), dtype), pnp.asarray(indices, index_dtype)), shape=(N, M), indices_sorted=True,
        unique_indices=True,
    )  # fmt: skip
    if kwds.get("n_batch") or kwds.get("n_dense"):
        mat = bcoo_update_layout(mat, n_batch=kwds.get("n_batch"), n_dense=kwds.get("n_dense"), on_inefficient=None)
    return in_format(mat, sparse_format)


def todense(arr: Any) -> Any:
    """The dense array of a sparse one; of a dense one, itself.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> print(sparse.todense(sparse.eye(2)))
    [[1. 0.]
     [0. 1.]]
    """
    return bcoo_todense(as_bcoo(arr)) if isinstance(arr, JAXSparse) else pnp.asarray(arr)


def bcoo_from_scipy(mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0) -> BCOO:
    """A BCOO of one of SciPy's sparse matrices.

    Raises
    ------
    GapError
        A batch or dense axes are asked for.
    """
    _no_layout(n_dense, n_batch)
    mat = mat.tocoo()
    coordinates = np.stack([mat.row, mat.col], -1)
    indices = pnp.asarray(coordinates.astype(np.int32 if index_dtype is None else index_dtype))
    return BCOO((pnp.asarray(mat.data), indices), shape=mat.shape)


def bcsr_from_scipy(mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0) -> BCSR:
    """A BCSR of one of SciPy's sparse matrices."""
    _no_layout(n_dense, n_batch)
    mat = mat.tocsr()
    width = np.int32 if index_dtype is None else index_dtype
    parts = (pnp.asarray(mat.data), pnp.asarray(mat.indices.astype(width)), pnp.asarray(mat.indptr.astype(width)))
    return BCSR(parts, shape=mat.shape)


def _no_layout(n_dense: int, n_batch: int) -> None:
    if n_dense or n_batch:
        raise GapError(
            wrong=f"a matrix of SciPy has no batch and no dense axes, and not n_batch={n_batch}, n_dense={n_dense}",
            fix="Convert it, and call update_layout",
        )
