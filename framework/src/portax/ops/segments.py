"""Reductions of segments: rows that have one number are joined to one row.

Each is one scatter into rows of the identity. A number that names no segment is dropped, a negative one too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.lax.indexing import scatter_add, scatter_max, scatter_min, scatter_mul
from portax.numpy.promotion import as_array
from portax.primitives.indexing import GatherScatterMode, ScatterDimensionNumbers
from portax.primitives.reductions import highest, lowest

laying = lazy("portax.higher_order.laying")

_DOC = """The {what} of the rows of each segment.

    Parameters
    ----------
    data : array
        Its rows are along the first axis.
    segment_ids : array of int
        The segment of each row, in any order.
    num_segments : int, optional
        Default: one more than the greatest number, which must be known.
    indices_are_sorted, unique_indices : bool
        Promises that let a device be quicker.
    bucket_size : int, optional
        Join so many rows at a time, and then what they gave: more exact for sums of many.
    mode : "drop", "clip", "promise_in_bounds", GatherScatterMode or None
        What numbers below 0 and from ``num_segments`` on mean; None drops them.
    out_sharding : optional
        How the result lies on its devices.

    Returns
    -------
    array with ``num_segments`` rows
        {empty} where a segment has none.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> {example}
    """


def _segments(
    name: str, what: str, empty: str, example: str, scatter: Callable[..., Any], reduce: Callable[..., Any],
    identity: Callable[[Any], Any],
) -> Callable[..., Any]:  # fmt: skip
    def function(
        data: Any, segment_ids: Any, num_segments: int | None = None, indices_are_sorted: bool = False,
        unique_indices: bool = False, bucket_size: int | None = None, mode: Any = None, out_sharding: Any = None,
    ) -> Any:  # fmt: skip
        if out_sharding is not None:
            return laying.laid(
                function(data, segment_ids, num_segments, indices_are_sorted, unique_indices, bucket_size, mode),
                out_sharding,
            )
        rows, ids = as_array(data, name), as_array(segment_ids, name)
        count = _count(name, ids, num_segments)
        if not rows.ndim or ids.shape != rows.shape[:1]:
            raise ShapeError(
                wrong=f"{name} was given data: {rows.aval} and segment_ids: {ids.aval}",
                fix="Give a number for each row of data",
            )
        if not dtypes.is_integer(ids.dtype):
            raise DtypeError(wrong=f"{name} cannot number segments by {ids.aval}", fix="Give integers")
        how = {
            "indices_are_sorted": indices_are_sorted, "unique_indices": unique_indices,
            "mode": GatherScatterMode.from_any(mode),
        }  # fmt: skip
        fill = np.asarray(identity(rows.dtype)).astype(rows.dtype)
        more = tuple(range(1, rows.ndim))
        if bucket_size is None:
            numbers = ScatterDimensionNumbers(more, (0,), (0,))
            return scatter(pnp.full((count, *rows.shape[1:]), fill), ids[:, None], rows, numbers, **how)
        size = operator.index(bucket_size)
        if size < 1:
            raise ArgumentError(wrong=f"{name} cannot fill buckets of {size} rows", fix="Give a bucket_size from 1 on")
        buckets = max(-(-rows.shape[0] // size), 1)
        places = pnp.stack([np.arange(rows.shape[0], dtype=np.int32) // size, ids.astype(np.int32)], axis=1)
        numbers = ScatterDimensionNumbers(more, (0, 1), (0, 1))
        start = pnp.full((buckets, count, *rows.shape[1:]), fill)
        return reduce(scatter(start, places, rows, numbers, **how), axis=0)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(what=what, empty=empty, example=example)
    return function


def _count(name: str, ids: Any, given: Any) -> int:
    if given is not None:
        count = operator.index(given)
    elif isinstance(ids, Tracer):
        raise ArgumentError(
            wrong=f"{name} cannot know how many segments there are: segment_ids is traced", fix="Give num_segments"
        )
    else:
        count = int(np.max(np.asarray(ids), initial=-1)) + 1
    if count < 0:
        raise ArgumentError(wrong=f"{name} cannot make {count} segments", fix="Give num_segments from 0 on")
    return count


segment_sum = _segments(
    "segment_sum", "sum", "0",
    "portax.ops.segment_sum(pnp.array([1.0, 2.0, 3.0]), pnp.array([0, 1, 0])).tolist()\n    [4.0, 2.0]",
    scatter_add, pnp.sum, lambda dtype: 0,
)  # fmt: skip
segment_prod = _segments(
    "segment_prod", "product", "1",
    "portax.ops.segment_prod(pnp.array([1.0, 2.0, 3.0]), pnp.array([0, 1, 0])).tolist()\n    [3.0, 2.0]",
    scatter_mul, pnp.prod, lambda dtype: 1,
)  # fmt: skip
segment_max = _segments(
    "segment_max", "greatest", "-inf, the least integer or False",
    "portax.ops.segment_max(pnp.array([1.0, 2.0, 3.0]), pnp.array([0, 1, 0])).tolist()\n    [3.0, 2.0]",
    scatter_max, pnp.max, lowest,
)  # fmt: skip
segment_min = _segments(
    "segment_min", "least", "inf, the greatest integer or True",
    "portax.ops.segment_min(pnp.array([1.0, 2.0, 3.0]), pnp.array([0, 1, 0])).tolist()\n    [1.0, 2.0]",
    scatter_min, pnp.min, highest,
)  # fmt: skip
