"""What the primitives of linear algebra share: stacks of matrices, and the small words their rules are written in.

A matrix is the last two axes of an array; the axes before them are a stack, and every operation is done for each matrix
of the stack. So a batch axis is one more axis of the stack, and one batching rule serves all. They work in the dtypes
that LAPACK has; what holds numbers more narrowly is converted first, by whoever calls.

Where results are determined only up to a choice (the sign of an eigenvector), a primitive says in ``determined`` what
of them is not: that is what devices are compared by, and what is differentiated in tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import add, mul
from portax.primitives.bits import and_
from portax.primitives.broadcasting import broadcast_in_dim, broadcast_to, reduce_sum, reshape, transpose
from portax.primitives.comparison import eq, ge, lt
from portax.primitives.complex_parts import conj, imag, real
from portax.primitives.contraction import dot_general
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.dynamic_slicing import dynamic_slice, dynamic_update_slice
from portax.primitives.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from portax.primitives.iota import iota
from portax.primitives.slicing import batch_size, spread
from portax.primitives.terms import loops
from portax.primitives.zeros import zeros

INT32 = np.dtype(np.int32)
BOOL = np.dtype(np.bool_)
#: The dtypes of LAPACK.
NAMES = ("float32", "float64", "complex64", "complex128")
#: The real dtype of each.
REAL: dict[str, Any] = {
    "float32": np.dtype("f4"), "complex64": np.dtype("f4"), "float64": np.dtype("f8"), "complex128": np.dtype("f8"),
}  # fmt: skip
#: The complex dtype of each.
COMPLEX: dict[str, Any] = {n: np.dtype("c8") if REAL[n] == "f4" else np.dtype("c16") for n in NAMES}


class MatrixPrimitive(Primitive):
    """An operation on each matrix of a stack."""

    dtypes = ("float", "complex")
    accumulates = True
    budget = {"default": 64}

    def batch(self, batched: Any, *xs: Any, **params: Any) -> Any:
        size = batch_size(batched, xs)
        out = self.bind(*(spread(x, b, size) for x, b in zip(xs, batched, strict=True)), **params)
        return (out, [True] * len(out)) if self.multiple_results else out

    def tried(self, make: Callable[..., Any]) -> Any:
        """The samples at a dtype it takes."""
        return ()

    def samples(self, make: Callable[..., Any]) -> Any:
        return self.tried(make) if make(()).dtype.name in NAMES else ()


# -- what may come in -------------------------------------------------------------------------------------------------
def check_dtype(name: str, *avals: Aval) -> None:
    """Refuse what LAPACK has no dtype for, and mixtures."""
    for x in avals:
        if x.dtype.name not in NAMES:
            raise DtypeError(
                wrong=f"{name} works in float32, float64, complex64 and complex128, not on {x}",
                fix="Convert the array to one of these first",
            )
        if x.dtype != avals[0].dtype:
            raise DtypeError(
                wrong=f"{name} needs operands of one dtype, got {' and '.join(map(str, avals))}",
                fix="Convert them to a common one first",
            )


def check_matrix(name: str, x: Aval, *, square: bool = False) -> tuple[int, int]:
    """``(rows, columns)`` of each matrix of ``x``."""
    if x.ndim < 2:
        raise ShapeError(
            wrong=f"{name} works on matrices, the last two axes of an array, and {x} has no two",
            fix="Give an array of at least two axes",
        )
    m, n = x.shape[-2:]
    if square and m != n:
        raise ShapeError(wrong=f"{name} works on square matrices, got {x}", fix="Make the last two axes equally long")
    return m, n


def check_stack(name: str, **avals: Any) -> None:
    """Refuse stacks of different shapes: ``x=(aval, axes_of_one)``."""
    leads = {who: a.shape[: a.ndim - k] for who, (a, k) in avals.items()}
    if len(set(leads.values())) > 1:
        words = " and ".join(f"{who}: {a}" for who, (a, _) in avals.items())
        raise ShapeError(
            wrong=f"{name} needs stacks of one shape, got {words}", fix="Broadcast the leading axes to one shape first"
        )


# -- words of rules and decompositions --------------------------------------------------------------------------------
def mT(x: Any) -> Any:
    """Each matrix transposed."""
    n = aval_of(x).ndim
    return transpose(x, permutation=(*range(n - 2), n - 1, n - 2))


def conjugate(x: Any) -> Any:
    """The complex conjugate; ``x`` itself where it is real."""
    dtype = aval_of(x).dtype
    return conj(x, input_dtype=dtype) if dtypes.is_complex(dtype) else x


def adjoint(x: Any) -> Any:
    """Each matrix transposed and conjugated."""
    return conjugate(mT(x))


def matmul(x: Any, y: Any) -> Any:
    """The product of each matrix of a stack with that of another."""
    n = aval_of(x).ndim
    lead = tuple(range(n - 2))
    return dot_general(
        x, y, dimension_numbers=(((n - 1,), (n - 2,)), (lead, lead)), precision=None, preferred_element_type=None,
        out_sharding=None,
    )  # fmt: skip


def squares(x: Any) -> Any:
    """The square of each magnitude, real."""
    if dtypes.is_complex(aval_of(x).dtype):
        a, b = real(x), imag(x)
        return add(mul(a, a), mul(b, b))
    return mul(x, x)


def scalar(x: Any, value: Any) -> Any:
    """A number in the dtype of ``x``, spread to its shape."""
    aval = aval_of(x)
    return broadcast_to(np.asarray(value, aval.dtype), aval.shape)


def count(n: int) -> Any:
    """``0, 1, ..., n - 1``, int32."""
    return iota(dtype=INT32, shape=(n,), dimension=0, sharding=None)


def places(shape: tuple[int, ...], axis: int) -> Any:
    """Of each element its place along ``axis``, counted from the end, int32."""
    return iota(dtype=INT32, shape=shape, dimension=len(shape) + axis, sharding=None)


def below(shape: tuple[int, ...], k: int = 0) -> Any:
    """Whether an element lies on or below the ``k``-th diagonal."""
    rows, columns = places(shape, -2), places(shape, -1)
    if k:
        rows = add(rows, broadcast_to(np.asarray(k, INT32), shape))
    return ge(rows, columns)


def tril(x: Any, k: int = 0) -> Any:
    """Zero above the ``k``-th diagonal."""
    aval = aval_of(x)
    return where(below(aval.shape, k), x, np.zeros((), aval.dtype))


def triu(x: Any, k: int = 0) -> Any:
    """Zero below the ``k``-th diagonal."""
    aval = aval_of(x)
    return where(below(aval.shape, k - 1), np.zeros((), aval.dtype), x)


def eye(x: Any, m: int, n: int) -> Any:
    """For each matrix of the stack ``x`` the identity of ``m`` rows and ``n`` columns, in its dtype."""
    aval = aval_of(x)
    shape = (*aval.shape[:-2], m, n)
    on = eq(places(shape, -2), places(shape, -1))
    return where(on, np.ones((), aval.dtype), np.zeros((), aval.dtype))


def hermitian(x: Any, lower: bool) -> Any:
    """The Hermitian matrix of which ``x`` holds one triangle; of its diagonal the real part."""
    dtype = aval_of(x).dtype
    half = tril(x, -1) if lower else triu(x, 1)
    diagonal = convert(real(x), dtype) if dtypes.is_complex(dtype) else x
    return where(on_diagonal(aval_of(x).shape), diagonal, add(half, adjoint(half)))


def on_diagonal(shape: tuple[int, ...]) -> Any:
    """Whether an element lies on the diagonal."""
    return eq(places(shape, -2), places(shape, -1))


def as_columns(v: Any, m: int) -> Any:
    """A vector for each matrix, as the rows of a matrix of ``m`` rows: ``out[..., i, j] = v[..., j]``."""
    shape = aval_of(v).shape
    rank = len(shape)
    return broadcast_in_dim(
        v, shape=(*shape[:-1], m, shape[-1]), broadcast_dimensions=(*range(rank - 1), rank)
    )


def as_rows(v: Any, n: int) -> Any:
    """``out[..., i, j] = v[..., i]``, with ``n`` columns."""
    shape = aval_of(v).shape
    return broadcast_in_dim(v, shape=(*shape, n), broadcast_dimensions=tuple(range(len(shape))))


def take_rows(x: Any, rows: Any) -> Any:
    """Of each matrix some rows: ``out[..., i, :] = x[..., rows[i], :]``, where all of ``rows`` are inside."""
    shape, many = aval_of(x).shape, aval_of(rows).shape
    lead, n = len(shape) - 2, shape[-1]
    if 0 in (*shape, *many):
        return zeros(Aval((*many, n), aval_of(x).dtype))
    axes = tuple(range(lead))
    numbers = GatherDimensionNumbers((lead + 1,), (lead,), (lead,), axes, axes)
    return gather(
        x, reshape(rows, new_sizes=(*many, 1), dimensions=None), dimension_numbers=numbers,
        slice_sizes=(*(1,) * lead, 1, n), unique_indices=False, indices_are_sorted=False,
        mode=GatherScatterMode.PROMISE_IN_BOUNDS, fill_value=None,
    )  # fmt: skip


def take_columns(x: Any, columns: Any) -> Any:
    """Of each matrix the columns whose places ``columns`` says."""
    return mT(take_rows(mT(x), columns))


def exchanged(x: Any, i: Any, j: Any, axis: int) -> Any:
    """``x`` with its parts ``i`` and ``j`` along ``axis`` exchanged; ``j`` may differ from matrix to matrix.

    ``i`` is a scalar, ``j`` has the rank of ``x`` and length 1 along ``axis``, and broadcasts along the others.
    """
    shape = aval_of(x).shape
    here = eq(places(shape, axis), broadcast_to(i, shape))
    there = eq(places(shape, axis), broadcast_to(j, shape))
    dtype = aval_of(x).dtype
    far = where(there, x, np.zeros((), dtype))
    kept = tuple(1 if a == len(shape) + axis else n for a, n in enumerate(shape))
    far = reshape(reduce_sum(far, axes=(len(shape) + axis,)), new_sizes=kept, dimensions=None)
    near = line(x, i, axis)
    return where(here, broadcast_to(far, shape), where(there, broadcast_to(near, shape), x))


def scale_columns(x: Any, v: Any) -> Any:
    """``x`` times a diagonal matrix."""
    return mul(x, as_columns(v, aval_of(x).shape[-2]))


def scale_rows(x: Any, v: Any) -> Any:
    """A diagonal matrix times ``x``."""
    return mul(x, as_rows(v, aval_of(x).shape[-1]))


# -- decompositions count their steps ---------------------------------------------------------------------------------
def fori(n: int, body: Callable[..., tuple[Any, ...]], init: tuple[Any, ...]) -> tuple[Any, ...]:
    """``init = body(i, *init)`` for ``i`` from 0 to ``n - 1``."""
    if n <= 0:
        return init
    out = loops["while"](
        lambda c: lt(c[0], np.asarray(n, INT32)),
        lambda c: (add(c[0], np.asarray(1, INT32)), *body(c[0], *c[1:])),
        (np.asarray(0, INT32), *init),
    )
    return tuple(out[1:])


def loop_while(
    cond: Callable[..., Any], n: int, body: Callable[..., tuple[Any, ...]], init: tuple[Any, ...]
) -> tuple[Any, ...]:
    """As `fori`, while ``cond(*init)`` holds too."""
    out = loops["while"](
        lambda c: and_(lt(c[0], np.asarray(n, INT32)), cond(*c[1:])),
        lambda c: (add(c[0], np.asarray(1, INT32)), *body(c[0], *c[1:])),
        (np.asarray(0, INT32), *init),
    )
    return tuple(out[1:])


def _starts(rank: int, at: dict[int, Any]) -> list[Any]:
    zero = np.asarray(0, INT32)
    return [at.get(axis - rank, zero) for axis in range(rank)]


def line(x: Any, i: Any, axis: int) -> Any:
    """The part of length 1 at ``i`` along ``axis``, counted from the end."""
    shape = list(aval_of(x).shape)
    shape[axis] = 1
    return dynamic_slice(x, *_starts(len(shape), {axis: i}), slice_sizes=tuple(shape))


def with_line(x: Any, part: Any, i: Any, axis: int) -> Any:
    """``x`` with that part replaced."""
    return dynamic_update_slice(x, part, *_starts(aval_of(x).ndim, {axis: i}))


# -- NumPy ------------------------------------------------------------------------------------------------------------
def widened(x: np.ndarray) -> np.ndarray:
    """In the widest dtype of its kind: what is computed there is rounded once."""
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def in_a_row(x: np.ndarray, axes: int) -> np.ndarray:
    """The stack as one axis, before the last ``axes``."""
    lead = x.ndim - axes
    return x.reshape(math.prod(x.shape[:lead]), *x.shape[lead:])


def each(
    f: Callable[[np.ndarray], Sequence[np.ndarray]], x: np.ndarray, failed: Callable[[np.ndarray], Sequence[np.ndarray]]
) -> list[np.ndarray]:
    """``f`` of a stack; where it does not converge for all, of each matrix, and ``failed`` of those it fails on."""
    try:
        return list(f(x))
    except np.linalg.LinAlgError:
        pass
    lead = x.shape[:-2]
    results: list[Sequence[np.ndarray]] = []
    for matrix in in_a_row(x, 2):
        try:
            results.append(f(matrix))
        except np.linalg.LinAlgError:
            results.append(failed(matrix))
    return [np.stack(parts).reshape(*lead, *parts[0].shape) for parts in zip(*results, strict=True)]


def nan_like(*results: np.ndarray) -> list[np.ndarray]:
    """NaN in place of every number."""
    return [np.full_like(x, complex(np.nan, np.nan) if x.dtype.kind == "c" else np.nan) for x in results]


def positive(make: Callable[..., Any], n: int, *lead: int) -> np.ndarray:
    """A sample: well-conditioned positive definite matrices."""
    a = make((*lead, n, n), -1.0, 1.0)
    out = a @ np.conj(np.swapaxes(a, -1, -2)) + 2 * np.eye(n)
    return out.astype(a.dtype)


def regular(make: Callable[..., Any], n: int, *lead: int) -> np.ndarray:
    """A sample: well-conditioned matrices, no entry of which is special."""
    a = make((*lead, n, n), -1.0, 1.0)
    return (a + n * np.eye(n)[..., ::-1]).astype(a.dtype)


def narrow(make: Callable[..., Any]) -> Any:
    """A matrix of a dtype that is refused."""
    return np.asarray(make((2, 2)), np.float16)

