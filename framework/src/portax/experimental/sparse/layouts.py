"""How sparse arrays are kept, and nothing else: what is done with them stands in the files beside.

A sparse array of shape ``batch + sparse + dense`` is a tree of dense arrays, and a static shape. How many elements are
specified (``nse``) is part of the shapes of those arrays, so it is static too. An element whose index is outside of the
shape is padding: it is nowhere, whatever its value. Elements with equal indices add up.

The shape of the batch follows the arrays: a transformation that takes an axis from the arrays of a sparse array, or
gives them one, takes it from the front of its shape. So `vmap` and `scan` map over a batch without knowing of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

import portax.numpy as pnp
from portax.core.tree import register_pytree_with_keys
from portax.core.treenodes import GetAttrKey
from portax.errors import ArgumentError, DtypeError, ShapeError

Shape = tuple[int, ...]


class SparseEfficiencyError(ValueError):
    """What was asked for would need more memory than what there is."""


class SparseEfficiencyWarning(UserWarning):
    """What was asked for needs more memory than what there is."""


class CuSparseEfficiencyWarning(SparseEfficiencyWarning):
    """A kernel for sparse arrays could not be used on a CUDA device. portax compiles its own, and never warns so."""


class SparseInfo(NamedTuple):
    """What is static of a sparse array.

    Attributes
    ----------
    shape : tuple of int
    indices_sorted, unique_indices : bool
        What is known of the indices; False where nothing is.
    """

    shape: Shape
    indices_sorted: bool = False
    unique_indices: bool = False


def _rank(x: Any) -> int | None:
    """The rank of an array; None for what stands in for one while a tree is taken apart."""
    shape = getattr(x, "shape", None)
    return len(shape) if isinstance(shape, tuple) else None


class JAXSparse:
    """What all sparse arrays have in common. Make a `BCOO` or a `BCSR`.

    Attributes
    ----------
    shape : tuple of int
    """

    #: The names of the arrays, in the order they are given.
    parts: tuple[str, ...] = ()
    #: NumPy asks the sparse array for the product, instead of going through it as a list.
    __array_ufunc__ = None
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    data: Any
    shape: Shape

    def __init__(self, args: Sequence[Any], *, shape: Sequence[int]) -> None:
        self.shape = tuple(int(n) for n in shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Elements of the dense array of this shape."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    @property
    def nse(self) -> int:
        """How many elements are specified, in each batch."""
        raise NotImplementedError

    def block_until_ready(self) -> Self:
        """Itself, once its arrays are computed."""
        for name in self.parts:
            getattr(self, name).block_until_ready()
        return self

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """The arrays, and what is static."""
        return tuple(getattr(self, name) for name in self.parts), self._static()

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Sequence[Any]) -> Any:
        """The sparse array of these arrays. They are not looked at, but for how many axes they have."""
        self = object.__new__(cls)
        for name, child in zip(cls.parts, children, strict=True):
            setattr(self, name, child)
        self._restore(aux_data, children)
        return self

    def _static(self) -> Any:
        return self.shape

    def _restore(self, static: Any, children: Sequence[Any]) -> None:
        self.shape = static

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            layout = "".join(
                f", {k}={v}" for k, v in ((k, getattr(self, k, 0)) for k in ("n_batch", "n_dense")) if v
            )  # fmt: skip
            return f"{name}({self.dtype.name}{list(self.shape)}, nse={self.nse}{layout})"
        except Exception:
            return f"{name}(<invalid>)"

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError(wrong=f"a sparse array of rank 0 has no length: {self!r}", fix="Use .size")
        return self.shape[0]


class _Batched(JAXSparse):
    """A sparse array with axes of a batch before the sparse ones, and dense axes behind."""

    indices: Any
    indices_sorted: bool
    unique_indices: bool
    #: Axes of ``indices`` that are not of the batch.
    own: int = 2

    def __init__(
        self,
        args: Sequence[Any],
        *,
        shape: Sequence[int],
        indices_sorted: bool = False,
        unique_indices: bool = False,
    ) -> None:
        super().__init__(args, shape=shape)
        given = tuple(args)
        if len(given) != len(self.parts):
            raise ArgumentError(
                wrong=f"{type(self).__name__} is made of {len(self.parts)} arrays, not {len(given)}",
                fix=f"Give ({', '.join(self.parts)})",
            )
        for name, x in zip(self.parts, given, strict=True):
            setattr(self, name, pnp.asarray(x))
        self.indices_sorted, self.unique_indices = bool(indices_sorted), bool(unique_indices)
        self._check()

    def _check(self) -> None:
        name = type(self).__name__
        for part in self.parts[1:]:
            if not np.issubdtype(getattr(self, part).dtype, np.integer):
                raise DtypeError(
                    wrong=f"the {part} of a {name} are whole numbers, not {getattr(self, part).dtype.name}",
                    fix="Convert them with .astype(int)",
                )
        wrong = self._misfit()
        if wrong:
            raise ShapeError(
                wrong=f"{wrong}, in a {name} of shape {self.shape}",
                fix="Give data of shape batch + (nse,) + dense, and indices to it; see its docstring",
            )

    def _misfit(self) -> str | None:
        raise NotImplementedError

    @property
    def n_batch(self) -> int:
        """Axes of the batch."""
        return self.indices.ndim - self.own

    @property
    def n_dense(self) -> int:
        """Axes that are kept dense."""
        return self.data.ndim - 1 - self.n_batch

    @property
    def n_sparse(self) -> int:
        """Axes along which elements are specified."""
        return self.ndim - self.n_batch - self.n_dense

    @property
    def nse(self) -> int:
        return self.data.shape[self.n_batch]

    @property
    def batch_shape(self) -> Shape:
        return self.shape[: self.n_batch]

    @property
    def sparse_shape(self) -> Shape:
        return self.shape[self.n_batch : self.n_batch + self.n_sparse]

    @property
    def dense_shape(self) -> Shape:
        return self.shape[self.n_batch + self.n_sparse :]

    @property
    def _info(self) -> SparseInfo:
        return SparseInfo(self.shape, self.indices_sorted, self.unique_indices)

    def _static(self) -> Any:
        rank = _rank(self.indices)
        return self.shape, self.indices_sorted, self.unique_indices, 0 if rank is None else rank - self.own

    def _restore(self, static: Any, children: Sequence[Any]) -> None:
        shape, self.indices_sorted, self.unique_indices, n_batch = static
        rank = _rank(children[1])
        if rank is not None:
            more = rank - self.own - n_batch
            shape = tuple(children[1].shape[:more]) + shape if more > 0 else shape[-more:]
        self.shape = shape


class BCOO(_Batched):
    """A sparse array as a list of elements with their coordinates, for each batch.

    Parameters
    ----------
    args : (data, indices)
        ``data`` of shape ``batch + (nse,) + dense``; ``indices``, whole numbers, of shape ``batch + (nse, n_sparse)``.
        An axis of the batch may have length 1 in one of them, which then stands for all.
    shape : sequence of int
        ``batch + sparse + dense``.
    indices_sorted, unique_indices : bool
        A promise about the indices.

    Notes
    -----
    It is a tree of its two arrays: ``jit``, ``vmap`` and the like take and return it. `portax.experimental.sparse.grad`
    differentiates with respect to the data.

    Raises
    ------
    ArgumentError
        There are not two arrays.
    ShapeError
        They do not fit each other, or the shape.
    DtypeError
        The indices are not whole numbers.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO(([1.0, 2.0], [[0, 1], [1, 2]]), shape=(2, 3))
    >>> m
    BCOO(float32[2, 3], nse=2)
    >>> print(m.todense())
    [[0. 1. 0.]
     [0. 0. 2.]]
    >>> print(m @ pnp.ones(3))
    [1. 2.]
    """

    parts = ("data", "indices")

    def _misfit(self) -> str | None:
        data, indices, n_batch = self.data.shape, self.indices.shape, self.indices.ndim - 2
        if n_batch < 0 or len(data) < n_batch + 1:
            return f"data of shape {data} and indices of shape {indices} have too few axes"
        n_sparse = indices[-1]
        n_dense = len(data) - n_batch - 1
        if n_batch + n_sparse + n_dense != self.ndim:
            return (
                f"data of shape {data} and indices of shape {indices} are of {n_batch} + {n_sparse} + {n_dense} axes"
            )  # fmt: skip
        if data[n_batch] != indices[n_batch]:
            return f"data of shape {data} has {data[n_batch]} elements, indices of shape {indices} {indices[n_batch]}"
        for n, d, i in zip(self.shape[:n_batch], data, indices, strict=False):
            if d not in (1, n) or i not in (1, n):
                return f"data of shape {data} or indices of shape {indices} have another batch"
        if data[n_batch + 1 :] != self.shape[n_batch + n_sparse :]:
            return f"data of shape {data} has other dense axes"
        return None


class BCSR(_Batched):
    """A sparse matrix by rows, for each batch: the elements of a row stand together.

    Parameters
    ----------
    args : (data, indices, indptr)
        ``data`` of shape ``batch + (nse,) + dense``; ``indices``, the columns, of shape ``batch + (nse,)``; ``indptr``
        of shape ``batch + (rows + 1,)``: row r has the elements from ``indptr[r]`` up to ``indptr[r + 1]``. Elements
        from ``indptr[rows]`` on are padding.
    shape : sequence of int
        ``batch + (rows, columns) + dense``.
    indices_sorted, unique_indices : bool
        A promise about the columns of each row.

    Examples
    --------
    >>> from portax.experimental import sparse
    >>> m = sparse.BCSR(([1.0, 2.0, 3.0], [0, 2, 1], [0, 2, 3]), shape=(2, 3))
    >>> print(m.todense())
    [[1. 0. 2.]
     [0. 3. 0.]]
    """

    parts = ("data", "indices", "indptr")
    own = 1
    indptr: Any

    def _misfit(self) -> str | None:
        data, indices, indptr = self.data.shape, self.indices.shape, self.indptr.shape
        n_batch = len(indices) - 1
        if n_batch < 0 or len(data) < n_batch + 1 or len(indptr) != n_batch + 1:
            return f"data, indices and indptr of shapes {data}, {indices} and {indptr} have axes that do not fit"
        n_dense = len(data) - n_batch - 1
        if n_batch + 2 + n_dense != self.ndim:
            return f"data of shape {data} and indices of shape {indices} are of {n_batch} + 2 + {n_dense} axes"
        if data[n_batch] != indices[n_batch]:
            return f"data of shape {data} has {data[n_batch]} elements, indices of shape {indices} {indices[n_batch]}"
        for k, n in enumerate(self.shape[:n_batch]):
            if not {data[k], indices[k], indptr[k]} <= {1, n}:
                return f"data, indices or indptr of shapes {data}, {indices} and {indptr} have another batch"
        if indptr[-1] != self.shape[n_batch] + 1:
            return f"indptr of shape {indptr} is not one longer than the rows"
        if data[n_batch + 1 :] != self.shape[n_batch + 2 :]:
            return f"data of shape {data} has other dense axes"
        return None


def register(cls: type[JAXSparse]) -> None:
    keys = tuple(GetAttrKey(name) for name in cls.parts)

    def with_keys(x: Any) -> tuple[Any, Any]:
        children, static = x.tree_flatten()
        return tuple(zip(keys, children, strict=True)), static

    register_pytree_with_keys(cls, with_keys, cls.tree_unflatten, lambda x: x.tree_flatten())


register(BCOO)
register(BCSR)
