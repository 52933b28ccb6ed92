"""Faults of linear algebra: which triangle, which side, which order, and what is left of conjugation."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax_conformance.mutants.fault import Arrays, Call, Fault

DTYPES = ("float32", "float64", "complex64")


def _turned(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(x, -1, -2)


def _matrix_read_in_columns(call: Call) -> Arrays:
    """The first operand is read in columns."""
    x = call.operands[0]
    square = x.ndim >= 2 and x.shape[-1] == x.shape[-2]
    return call.right([_turned(x).copy() if square else x, *call.operands[1:]], call.params)


def _first_of_batch(call: Call) -> Arrays:
    """Every matrix of a batch is the first one."""
    x = call.operands[0]
    if x.ndim < 3 or not x.size:
        return call()
    return call.right([np.broadcast_to(x[:1], x.shape).copy(), *call.operands[1:]], call.params)


def _result(place: int, f: Any) -> Any:
    def wrong(call: Call) -> Arrays:
        outs = call()
        if place < len(outs):
            outs[place] = np.asarray(f(outs[place])).astype(outs[place].dtype).reshape(outs[place].shape)
        return outs

    return wrong


def _last_row_zero(x: np.ndarray) -> np.ndarray:
    out = np.array(x)
    if out.size and out.ndim:
        out[..., -1:] = np.zeros((), x.dtype)
    return out


def _rolled(x: np.ndarray) -> np.ndarray:
    return np.roll(x, 1, -1) if x.ndim else x


def _flip_columns(x: np.ndarray) -> np.ndarray:
    return np.flip(x, -1) if x.ndim else x


def _swap_sign(x: np.ndarray) -> np.ndarray:
    return x if x.dtype == bool or dtypes.is_unsigned(x.dtype) else -x


def _times_a_bit(x: np.ndarray) -> np.ndarray:
    return x * 1.25 if dtypes.is_inexact(x.dtype) else x + 1


_COMMON = (
    Fault("read-in-columns", "the matrix is read in columns", _matrix_read_in_columns, dtypes=DTYPES),
    Fault("first-of-batch", "every matrix of a batch is the first one", _first_of_batch, ("value", "rows"), DTYPES),
    Fault(
        "last-column-lost",
        "the last column of the first result is not written",
        _result(0, _last_row_zero),
        dtypes=DTYPES,
    ),
    Fault("columns-moved", "columns of the first result are moved by one", _result(0, _rolled), dtypes=DTYPES),
    Fault("scaled", "the first result is too large", _result(0, _times_a_bit), dtypes=DTYPES),
    Fault("second-scaled", "the second result is too large", _result(1, _times_a_bit), dtypes=DTYPES),
)


def _flag(name: str) -> Any:
    """A flag is taken the other way about."""

    def wrong(call: Call) -> Arrays:
        value = call.params.get(name)
        if not isinstance(value, bool):
            return call()
        try:
            outs = call(**{name: not value})
        except (ValueError, IndexError, np.linalg.LinAlgError):
            return call()
        stated = call()
        fits = len(outs) == len(stated) and all(a.shape == b.shape for a, b in zip(outs, stated, strict=True))
        return outs if fits else stated

    return wrong


def _conjugation_forgotten(call: Call) -> Arrays:
    return call(conjugate_a=False)


MEANINGS: dict[str, tuple[Fault, ...]] = {
    "cholesky": (
        *_COMMON[:5],
        Fault("upper", "the other triangle is given", _result(0, lambda x: np.conj(_turned(x))), dtypes=DTYPES),
        Fault(
            "upper-not-cleared",
            "what lies above the diagonal is not cleared",
            lambda c: [x + np.triu(c.operands[0], 1).astype(x.dtype) for x in c()],
            dtypes=DTYPES,
        ),
    ),
    "cholesky_update": (
        *_COMMON[1:5],
        Fault(
            "downdate",
            "the vector is taken away",
            lambda c: [(2 * c.operands[0] - x).astype(x.dtype) for x in c()],
            dtypes=DTYPES,
        ),
    ),
    "symmetric_product": (
        *_COMMON[1:5],
        Fault("no-beta", "what is to be added is not scaled", lambda c: c(beta=1.0), dtypes=DTYPES),
        Fault("no-alpha", "the product is not scaled", lambda c: c(alpha=1.0), dtypes=DTYPES),
    ),
    "triangular_solve": (
        *_COMMON[1:5],
        Fault("other-triangle", "the other triangle is read", _flag("lower"), dtypes=DTYPES),
        Fault(
            "not-transposed",
            "whether it is transposed is taken the other way about",
            _flag("transpose_a"),
            dtypes=DTYPES,
        ),
        Fault(
            "conjugate-forgotten",
            "it is not conjugated",
            _conjugation_forgotten,
            ("value",),
            ("complex64", "complex128"),
        ),
        Fault("diagonal-read", "a unit diagonal is read", _flag("unit_diagonal"), dtypes=DTYPES),
        Fault("other-side", "the unknown stands on the other side", _flag("left_side"), dtypes=DTYPES),
    ),
    "lu": (
        *_COMMON[:5],
        Fault("pivots-from-one", "pivots count from one", _result(1, lambda x: x + 1), dtypes=DTYPES),
        Fault("permutation-reversed", "the permutation is backwards", _result(2, _flip_columns), dtypes=DTYPES),
    ),
    "lu_pivots_to_permutation": (
        Fault("from-one", "pivots count from one", lambda c: [np.roll(x, 1, -1) for x in c()], dtypes=("int32",)),
        Fault(
            "pivots-as-they-are",
            "pivots are given as the permutation",
            lambda c: [np.resize(c.operands[0], x.shape).astype(x.dtype) for x in c()],
            dtypes=("int32",),
        ),
        Fault(
            "inverse",
            "the inverse permutation is given",
            lambda c: [np.argsort(x, -1).astype(x.dtype) for x in c()],
            dtypes=("int32",),
        ),
        Fault(
            "last-swap-lost",
            "the last pivot is not applied",
            lambda c: c.right([_own_last(c.operands[0])], c.params),
            dtypes=("int32",),
        ),
        Fault(
            "nothing-moves",
            "the permutation is the identity",
            lambda c: [np.broadcast_to(np.arange(x.shape[-1], dtype=x.dtype), x.shape).copy() for x in c()],
            dtypes=("int32",),
        ),
    ),
    "qr": (
        *_COMMON,
        Fault(
            "transposed",
            "the first result is transposed",
            _result(0, lambda x: _turned(x) if x.shape[-1] == x.shape[-2] else np.flip(x)),
            dtypes=DTYPES,
        ),
    ),
    "geqrf": _COMMON,
    "geqp3": (
        *_COMMON,
        Fault("places-from-one", "permuted columns count from one", _result(1, lambda x: x + 1), dtypes=DTYPES),
    ),
    "householder_product": (
        *_COMMON[1:5],
        Fault(
            "factors-conjugated",
            "scalar factors are conjugated, or negated",
            lambda c: c.right([c.operands[0], -np.conj(c.operands[1])], c.params),
            dtypes=DTYPES,
        ),
    ),
    "ormqr": (
        *_COMMON[1:5],
        Fault(
            "not-transposed", "whether it is transposed is taken the other way about", _flag("transpose"), dtypes=DTYPES
        ),
        Fault("other-side", "it is applied from the other side", _flag("left"), dtypes=DTYPES),
    ),
    "eigh": (
        *_COMMON[1:],
        Fault("other-triangle", "the other triangle is read", _flag("lower"), dtypes=DTYPES),
        Fault(
            "descending",
            "eigenvalues come out from the greatest",
            lambda c: [np.flip(x, -1).copy() for x in c()],
            dtypes=DTYPES,
        ),
        Fault(
            "values-reversed",
            "eigenvalues come out in another order than vectors",
            _result(0, _flip_columns),
            dtypes=DTYPES,
        ),
    ),
    "eig": (*_COMMON, Fault("conjugated", "eigenvalues are conjugated", _result(0, np.conj), dtypes=DTYPES)),
    "schur": (*_COMMON, Fault("vectors-transposed", "vectors are transposed", _result(1, _turned), dtypes=DTYPES)),
    "hessenberg": _COMMON,
    "svd": (
        *_COMMON,
        Fault("ascending", "singular values come out from the least", _result(0, _flip_columns), dtypes=DTYPES),
        Fault("negative", "singular values are negative", _result(0, _swap_sign), dtypes=DTYPES),
        Fault(
            "right-not-transposed",
            "right vectors are not transposed",
            _result(2, lambda x: _turned(x) if x.shape[-1] == x.shape[-2] else np.flip(x)),
            dtypes=DTYPES,
        ),
    ),
    "tridiagonal": (*_COMMON, Fault("other-triangle", "the other triangle is read", _flag("lower"), dtypes=DTYPES)),
    "tridiagonal_solve": (
        *_COMMON[2:5],
        Fault(
            "diagonals-swapped",
            "the lower and the upper diagonal are taken in the wrong order",
            lambda c: c.right([c.operands[2], c.operands[1], c.operands[0], *c.operands[3:]], c.params),
            dtypes=DTYPES,
        ),
        Fault(
            "lower-not-moved",
            "the lower diagonal is read one too early",
            lambda c: c.right([np.roll(c.operands[0], -1, -1), *c.operands[1:]], c.params),
            dtypes=DTYPES,
        ),
    ),
}


def _own_last(x: np.ndarray) -> np.ndarray:
    out = np.array(x)
    if out.size:
        out[..., -1] = out.shape[-1] - 1
    return out
