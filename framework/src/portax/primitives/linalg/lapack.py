"""Calls of LAPACK, as StableHLO says them: custom calls by names that a driver claims.

A driver whose capabilities have ``custom_calls`` with the prefix ``lapack_`` runs ``lapack_<type><routine>_ffi``, XLA's
typed calls of LAPACK's routines. LAPACK keeps matrices by columns, so the call says that its operands and results lie
so, and whoever runs it brings them there. A call is made for something, never for nothing: where an operand has no
elements, a primitive is decomposed instead.

References
----------
Anderson et al., LAPACK Users' Guide, third edition, SIAM, 1999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval

#: The prefix that a driver claims.
PREFIX = "lapack_"
INT32 = np.dtype(np.int32)

_LETTER = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
#: Routines with another name where numbers are complex.
_COMPLEX_NAMES = {"orgqr": "ungqr", "ormqr": "unmqr", "syevd": "heevd", "sytrd": "hetrd"}


def letter(text: str) -> Any:
    """A parameter that LAPACK takes as a letter."""
    return np.uint8(ord(text))


def call(
    b: Any,
    routine: str,
    lead: int,
    operands: Sequence[Any],
    results: Sequence[Aval],
    config: Mapping[str, Any] | None = None,
    aliases: Mapping[int, int] | None = None,
) -> tuple[Any, ...]:
    """Append a call of a routine on a stack of matrices.

    Parameters
    ----------
    b : Builder
    routine : str
        Its name without the letter of its type.
    lead : int
        How many axes the stack has.
    operands : Values; the dtype of the first is that of the routine
    results : Avals
    config : mapping
        Parameters that are no arrays.
    aliases : mapping from operand to result
        Which operands LAPACK overwrites by which results.
    """
    dtype = operands[0].aval.dtype
    name = _COMPLEX_NAMES.get(routine, routine) if dtype.kind == "c" else routine
    return b.custom_call(
        f"{PREFIX}{_LETTER[dtype.name]}{name}_ffi",
        operands,
        results,
        backend_config=dict(config or {}),
        operand_layouts=[_layout(v.aval, lead) for v in operands],
        result_layouts=[_layout(a, lead) for a in results],
        aliases=aliases,
    )


def _layout(aval: Aval, lead: int) -> tuple[int, ...] | None:
    """Axes, the one that runs fastest first: matrices by columns, stacks and vectors in order."""
    if aval.ndim != lead + 2:
        return None
    return (lead, lead + 1, *reversed(range(lead)))


def matrix(stack: Sequence[int], m: int, n: int, dtype: Any) -> Aval:
    """The aval of a stack of matrices."""
    return Aval((*stack, m, n), dtype)


def info(stack: Sequence[int]) -> Aval:
    """The aval of what LAPACK says of success: 0 for each matrix where it had it."""
    return Aval(tuple(stack), INT32)


def or_nan(b: Any, said: Any, x: Any) -> Any:
    """``x`` where LAPACK had success, else NaN."""
    good = b.compare(said, b.full(said.aval.shape, 0, INT32), "EQ")
    shape, dtype = x.aval.shape, x.aval.dtype
    nan = complex(np.nan, np.nan) if dtype.kind == "c" else float("nan")
    good = b.broadcast_in_dim(good, shape, tuple(range(said.aval.ndim)))
    return b.select(good, x, b.full(shape, nan, dtype))


def masked(b: Any, x: Any, lower: bool, k: int = 0) -> Any:
    """``x`` with zeros above the ``k``-th diagonal where ``lower``, else below it."""
    shape = x.aval.shape
    rows, columns = b.iota(shape, len(shape) - 2, INT32), b.iota(shape, len(shape) - 1, INT32)
    if k:
        rows = b.binary("add", rows, b.full(shape, k, INT32))
    kept = b.compare(rows, columns, "GE" if lower else "LE")
    return b.select(kept, x, b.full(shape, 0, x.aval.dtype))


def last(b: Any, x: Any, start: int, stop: int, axis: int = -1) -> Any:
    """``x[start:stop]`` along an axis counted from the end."""
    shape = list(x.aval.shape)
    starts, limits = [0] * len(shape), shape
    starts[axis], limits[axis] = start, stop
    return b.slice(x, starts, limits)
