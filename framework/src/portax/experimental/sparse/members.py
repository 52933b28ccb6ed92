"""What sparse arrays do as objects: methods and operators, put on the classes once.

A method is the function of its name; an operator is that of dense arrays, made sparse. They are put on from here since
the functions need the classes, and the methods the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax.core.array import Array
from portax.errors import ArgumentError
from portax.experimental.sparse import making, rows
from portax.experimental.sparse.conversion import bcoo_fromdense, bcoo_todense
from portax.experimental.sparse.layouts import BCOO, BCSR, JAXSparse
from portax.experimental.sparse.ordering import bcoo_sort_indices, bcoo_sum_duplicates, without_zeros
from portax.experimental.sparse.relayout import bcoo_update_layout
from portax.experimental.sparse.shaping import bcoo_transpose
from portax.experimental.sparse.slicing import bcoo_take_axis
from portax.experimental.sparse.sparsifying import as_bcoo, sparsify, with_data

_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": pnp.add,
    "sub": pnp.subtract,
    "mul": pnp.multiply,
    "truediv": pnp.divide,
    "pow": pnp.power,
    "matmul": pnp.matmul,
}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "eq": pnp.equal,
    "ne": pnp.not_equal,
    "lt": pnp.less,
    "le": pnp.less_equal,
    "gt": pnp.greater,
    "ge": pnp.greater_equal,
}


def _taken(x: Any) -> bool:
    return isinstance(x, JAXSparse | Array | np.ndarray | np.generic | int | float | complex)


def _operator(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    def operator(self: Any, other: Any) -> Any:
        if not _taken(other):
            return NotImplemented
        if function is pnp.power and not reflected and isinstance(other, int):
            return sparsify(lambda x: x**other)(self)
        return sparsify(function)(other, self) if reflected else sparsify(function)(self, other)

    return operator


def _getitem(self: Any, key: Any) -> Any:
    return sparsify(lambda x: x[key])(self)


def _iter(self: Any) -> Iterator[Any]:
    len(self)
    return iter(bcoo_take_axis(as_bcoo(self), 0))


def _sum(self: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Any:
    """The sum along axes; sparse, unless it is one number."""
    if out is not None:
        raise ArgumentError(wrong="sum was given an array to write into", fix="Leave out away: arrays never change")
    return sparsify(lambda x: pnp.sum(x, axis, dtype, keepdims=keepdims))(self)


def _reshape(self: Any, *args: Any, order: str = "C") -> Any:
    """The same elements in another shape."""
    shape = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
    return sparsify(lambda x: pnp.reshape(x, shape, order=order))(self)


def _astype(self: Any, dtype: Any) -> Any:
    """The same array with data of another dtype."""
    return with_data(self, self.data.astype(dtype))


def _transpose(self: BCOO, axes: Sequence[int] | None = None) -> BCOO:
    """The axes in another order, each among those of its kind; by default all reversed."""
    return bcoo_transpose(self, permutation=range(self.ndim)[::-1] if axes is None else axes)


def _sum_duplicates(self: BCOO, nse: int | None = None, remove_zeros: bool = True) -> BCOO:
    """No two elements at equal indices, and no room for zeros; see `bcoo_sum_duplicates`."""
    return without_zeros(self, nse) if remove_zeros else bcoo_sum_duplicates(self, nse)


def _update_layout(
    self: BCOO, *, n_batch: int | None = None, n_dense: int | None = None, on_inefficient: str | None = "error"
) -> BCOO:
    """Other numbers of batch and dense axes; see `bcoo_update_layout`."""
    return bcoo_update_layout(self, n_batch=n_batch, n_dense=n_dense, on_inefficient=on_inefficient)


def _bcoo_fromdense(
    mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32, n_dense: int = 0, n_batch: int = 0
) -> BCOO:
    """The elements of a dense array that are not zero; see `bcoo_fromdense`."""
    return bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype, n_dense=n_dense, n_batch=n_batch)


def _bcsr_fromdense(
    mat: Any, *, nse: int | None = None, index_dtype: Any = np.int32, n_dense: int = 0, n_batch: int = 0
) -> BCSR:
    """The elements of a dense array that are not zero, by rows; see `bcsr_fromdense`."""
    return rows.bcsr_fromdense(mat, nse=nse, index_dtype=index_dtype, n_dense=n_dense, n_batch=n_batch)


def _bcsr_sum_duplicates(self: BCSR, nse: int | None = None, remove_zeros: bool = True) -> BCSR:
    """No two elements at equal indices, and no room for zeros."""
    return rows.from_bcoo(_sum_duplicates(rows.to_bcoo(self), nse, remove_zeros))


def _bcsr_transpose(self: BCSR, axes: Sequence[int] | None = None) -> BCSR:
    """The axes in another order, each among those of its kind; by default rows and columns exchanged."""
    if axes is None:
        n = self.n_batch
        axes = [*range(n), n + 1, n, *range(n + 2, self.ndim)]
    return rows.from_bcoo(bcoo_transpose(rows.to_bcoo(self), permutation=axes))


def _put(cls: type, **members: Any) -> None:
    for name, member in members.items():
        function = getattr(member, "__func__", member)
        if callable(function):
            function.__name__, function.__qualname__ = name, f"{cls.__name__}.{name}"
        setattr(cls, name, member)


def install() -> None:
    """Put the methods and operators on the classes."""
    for name, function in _OPERATORS.items():
        setattr(JAXSparse, f"__{name}__", _operator(function))
        setattr(JAXSparse, f"__r{name}__", _operator(function, reflected=True))
    for name, function in _COMPARISONS.items():
        setattr(JAXSparse, f"__{name}__", _operator(function))
    _put(
        JAXSparse,
        __neg__=lambda self: with_data(self, -self.data),
        __pos__=lambda self: self,
        __abs__=lambda self: sparsify(pnp.abs)(self),
        __getitem__=_getitem,
        __iter__=_iter,
        __bool__=_bool,
        sum=_sum,
    )
    JAXSparse.T = property(lambda self: self.transpose(), doc="The transpose.")  # pyright: ignore[reportAttributeAccessIssue]
    _put(BCOO, transpose=_transpose, sum_duplicates=_sum_duplicates, update_layout=_update_layout)
    _put(BCOO, reshape=_reshape, astype=_astype)
    BCOO.todense = bcoo_todense  # pyright: ignore[reportAttributeAccessIssue]
    BCOO.sort_indices = bcoo_sort_indices  # pyright: ignore[reportAttributeAccessIssue]
    BCOO.fromdense = staticmethod(_bcoo_fromdense)  # pyright: ignore[reportAttributeAccessIssue]
    BCOO.from_scipy_sparse = staticmethod(making.bcoo_from_scipy)  # pyright: ignore[reportAttributeAccessIssue]
    _put(BCSR, transpose=_bcsr_transpose, sum_duplicates=_bcsr_sum_duplicates, astype=lambda self, d: _astype(self, d))
    BCSR.todense = rows.bcsr_todense  # pyright: ignore[reportAttributeAccessIssue]
    BCSR.to_bcoo = rows.to_bcoo  # pyright: ignore[reportAttributeAccessIssue]
    BCSR.fromdense = staticmethod(_bcsr_fromdense)  # pyright: ignore[reportAttributeAccessIssue]
    BCSR.from_bcoo = staticmethod(rows.from_bcoo)  # pyright: ignore[reportAttributeAccessIssue]
    BCSR.from_scipy_sparse = staticmethod(making.bcsr_from_scipy)  # pyright: ignore[reportAttributeAccessIssue]


def _bool(self: Any) -> bool:
    if self.size != 1:
        raise ArgumentError(
            wrong=f"a sparse array of {self.size} elements is neither true nor false",
            fix="Use .todense().any()",
        )
    return bool(making.todense(self).ravel()[0])


install()
