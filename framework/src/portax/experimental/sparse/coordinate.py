"""The older formats, for matrices only: `COO`, `CSR`, `CSC`. `BCOO` and `BCSR` do all they do, and more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax.errors import ShapeError
from portax.experimental.sparse.conversion import bcoo_fromdense, bcoo_todense
from portax.experimental.sparse.layouts import BCOO, JAXSparse, register
from portax.experimental.sparse.products import bcoo_dot_general
from portax.experimental.sparse.rows import from_bcoo, rows_of


class _Matrix(JAXSparse):
    """A matrix of three arrays."""

    data: Any

    def __init__(self, args: Sequence[Any], *, shape: Sequence[int]) -> None:
        super().__init__(args, shape=shape)
        given = tuple(map(pnp.asarray, args))
        if len(given) != 3 or len(self.shape) != 2:
            raise ShapeError(
                wrong=f"a {type(self).__name__} is a matrix of three arrays, not of {len(given)} in shape {self.shape}",
                fix=f"Give ({', '.join(self.parts)}) and two lengths",
            )
        for name, x in zip(self.parts, given, strict=True):
            setattr(self, name, x)

    @property
    def nse(self) -> int:
        return self.data.shape[0]

    def to_bcoo(self) -> BCOO:
        """The same matrix with coordinates."""
        raise NotImplementedError

    def todense(self) -> Any:
        """The dense matrix."""
        return bcoo_todense(self.to_bcoo())


class COO(_Matrix):
    """A sparse matrix of elements, their rows and their columns.

    Parameters
    ----------
    args : (data, row, col), each of shape (nse,)
    shape : (rows, columns)
    rows_sorted, cols_sorted : bool
        A promise: the elements are in the order of the rows, or of the columns.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> print(sparse.COO(([1, 2], [0, 1], [1, 0]), shape=(2, 2)).todense())
    [[0 1]
     [2 0]]
    """

    parts = ("data", "row", "col")
    row: Any
    col: Any

    def __init__(
        self, args: Sequence[Any], *, shape: Sequence[int], rows_sorted: bool = False, cols_sorted: bool = False
    ) -> None:
        super().__init__(args, shape=shape)
        self._rows_sorted, self._cols_sorted = rows_sorted, cols_sorted

    def _static(self) -> Any:
        return self.shape, self._rows_sorted, self._cols_sorted

    def _restore(self, static: Any, children: Sequence[Any]) -> None:
        self.shape, self._rows_sorted, self._cols_sorted = static

    def to_bcoo(self) -> BCOO:
        return BCOO((self.data, pnp.stack([self.row, self.col], -1)), shape=self.shape)

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> COO:
        """The elements of a dense matrix that are not zero."""
        m = bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype)
        return cls((m.data, m.indices[:, 0], m.indices[:, 1]), shape=m.shape, rows_sorted=True)

    def transpose(self, axes: Sequence[int] | None = None) -> COO:
        """Rows and columns exchanged."""
        _only_exchange(axes)
        return COO(
            (self.data, self.col, self.row), shape=self.shape[::-1], rows_sorted=self._cols_sorted,
            cols_sorted=self._rows_sorted,
        )  # fmt: skip


class CSR(_Matrix):
    """A sparse matrix by rows.

    Parameters
    ----------
    args : (data, indices, indptr)
        As for `BCSR`, without a batch.
    shape : (rows, columns)
    """

    parts = ("data", "indices", "indptr")
    indices: Any
    indptr: Any

    def to_bcoo(self) -> BCOO:
        rows = rows_of(self.indptr, self.nse).astype(self.indices.dtype)
        return BCOO((self.data, pnp.stack([rows, self.indices], -1)), shape=self.shape)

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> CSR:
        """The elements of a dense matrix that are not zero."""
        m = from_bcoo(bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype))
        return cls((m.data, m.indices, m.indptr), shape=m.shape)

    def transpose(self, axes: Sequence[int] | None = None) -> CSC:
        """Rows and columns exchanged: rows are read as columns."""
        _only_exchange(axes)
        return CSC((self.data, self.indices, self.indptr), shape=self.shape[::-1])


class CSC(_Matrix):
    """A sparse matrix by columns: ``indices`` are rows, and ``indptr`` says where each column begins."""

    parts = ("data", "indices", "indptr")
    indices: Any
    indptr: Any

    def to_bcoo(self) -> BCOO:
        columns = rows_of(self.indptr, self.nse).astype(self.indices.dtype)
        return BCOO((self.data, pnp.stack([self.indices, columns], -1)), shape=self.shape)

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> CSC:
        """The elements of a dense matrix that are not zero."""
        return CSR.fromdense(pnp.asarray(mat).T, nse=nse, index_dtype=index_dtype).transpose()

    def transpose(self, axes: Sequence[int] | None = None) -> CSR:
        """Rows and columns exchanged: columns are read as rows."""
        _only_exchange(axes)
        return CSR((self.data, self.indices, self.indptr), shape=self.shape[::-1])


def _only_exchange(axes: Sequence[int] | None) -> None:
    if axes is not None and tuple(axes) != (1, 0):
        raise ShapeError(wrong=f"a matrix has no order of axes {tuple(axes)} to exchange", fix="Leave axes out")


for _cls in (COO, CSR, CSC):
    register(_cls)


def coo_fromdense(mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> COO:
    """`COO.fromdense`."""
    return COO.fromdense(mat, nse=nse, index_dtype=index_dtype)


def coo_todense(mat: COO) -> Any:
    """`COO.todense`."""
    return mat.todense()


def csr_fromdense(mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32) -> CSR:
    """`CSR.fromdense`."""
    return CSR.fromdense(mat, nse=nse, index_dtype=index_dtype)


def csr_todense(mat: CSR) -> Any:
    """`CSR.todense`."""
    return mat.todense()


def _product(mat: _Matrix, x: Any, transpose: bool, rank: int, name: str) -> Any:
    x = pnp.asarray(x)
    joined = 0 if transpose else 1
    if x.ndim != rank or x.shape[0] != mat.shape[joined]:
        raise ShapeError(
            wrong=f"{name} cannot multiply shape {x.shape} by a matrix of shape {mat.shape}"
            + (" transposed" if transpose else ""),
            fix=f"Give an array of rank {rank} with {mat.shape[joined]} rows",
        )
    return bcoo_dot_general(mat.to_bcoo(), x, dimension_numbers=(([joined], [0]), ([], [])))


def coo_matvec(mat: COO, v: Any, transpose: bool = False) -> Any:
    """The product of a matrix, or its transpose, and a vector.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> print(sparse.coo_matvec(sparse.COO(([1, 2], [0, 1], [1, 0]), shape=(2, 2)), [5, 7]))
    [ 7 10]
    """
    return _product(mat, v, transpose, 1, "coo_matvec")


def coo_matmat(mat: COO, B: Any, *, transpose: bool = False) -> Any:
    """The product of a matrix, or its transpose, and a dense matrix."""
    return _product(mat, B, transpose, 2, "coo_matmat")


def csr_matvec(mat: CSR, v: Any, transpose: bool = False) -> Any:
    """The product of a matrix, or its transpose, and a vector."""
    return _product(mat, v, transpose, 1, "csr_matvec")


def csr_matmat(mat: CSR, B: Any, *, transpose: bool = False) -> Any:
    """The product of a matrix, or its transpose, and a dense matrix."""
    return _product(mat, B, transpose, 2, "csr_matmat")
