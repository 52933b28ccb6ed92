"""Places in sorted arrays: searchsorted, digitize, and interpolation between them.

A place is found by halving what is left, all values at once; NaN is greater than every number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.config import config
from portax.errors import ArgumentError, ShapeError
from portax.numpy.choosing import clip
from portax.numpy.choosing import where as choose
from portax.numpy.composition import composite
from portax.numpy.joining import concatenate
from portax.numpy.promotion import as_array, promote_dtypes, promote_dtypes_inexact
from portax.numpy.reductions import converted
from portax.numpy.sorting import argsort
from portax.numpy.taking import take
from portax.primitives.indexing import PROMISE_IN_BOUNDS

METHODS = ("scan", "scan_unrolled", "sort", "compare_all")


def _index_dtype() -> Any:
    return config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]


def searchsorted(
    a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan"
) -> Any:
    """The places in a sorted array before which values belong.

    Parameters
    ----------
    a : array of one axis, in ascending order
    v : array
    side : "left" or "right"
        Before the elements that equal a value, or after them.
    sorter : array of int, optional
        An order in which ``a`` is sorted.
    method : "scan", "scan_unrolled", "sort" or "compare_all"
        How jax is told to search; the result is the same, and so is the way here.

    Returns
    -------
    Array of the shape of ``v``, integers from 0 to ``len(a)``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.searchsorted(pnp.array([1, 2, 2, 3]), pnp.array([2, 9])).tolist()
    [1, 4]
    """
    if side not in ("left", "right"):
        raise ArgumentError(wrong=f"searchsorted has no side {side!r}", fix="Give 'left' or 'right'")
    if method not in METHODS:
        raise ArgumentError(wrong=f"searchsorted has no method {method!r}", fix=f"Give one of {', '.join(METHODS)}")
    x, v = promote_dtypes("searchsorted", a, v)
    if x.ndim != 1:
        raise ShapeError(wrong=f"searchsorted looks through one axis, got {x.aval}", fix="Flatten it, or use vmap")
    if dtypes.is_complex(x.dtype):
        raise ArgumentError(wrong=f"searchsorted was given {x.aval}, and v {v.aval}", fix="Give real numbers")
    if sorter is not None:
        x = take(x, sorter, 0, mode="clip")
    return _SIDES[side](x, v)


def _places(x: Any, v: Any, side: str) -> Any:
    n, index = x.shape[0], _index_dtype()
    is_float = dtypes.is_float(x.dtype)
    place = p.broadcast_in_dim(np.asarray(0, index), shape=v.shape, broadcast_dimensions=())
    numbers = p.GatherDimensionNumbers((), (0,), (0,))
    beyond = p.ne(v, v) if is_float else None

    def before(ahead: int) -> Any:
        """Whether the element so many places ahead comes before the value."""
        at = p.add(place, np.asarray(ahead, index)) if ahead else place
        found = p.gather(
            x, p.reshape(at, new_sizes=(*v.shape, 1), dimensions=None), dimension_numbers=numbers, slice_sizes=(1,),
            mode=PROMISE_IN_BOUNDS, fill_value=None, unique_indices=False, indices_are_sorted=False,
        )  # fmt: skip
        if side == "left":
            # NaN comes last: a number is not after it, and it is after each number.
            return p.and_(p.not_(p.ge(found, v)), p.eq(found, found)) if is_float else p.lt(found, v)
        return p.le(found, v) if beyond is None else p.or_(p.le(found, v), beyond)

    # Invariant: the value's place is one of the `left + 1` places from `place` on, all of them in the array.
    left = n
    while left:
        step = (left + 1) // 2
        place = p.select_n(before(step - 1), place, p.add(place, np.asarray(step, index)))
        left -= step
    return place


def _on_host(side: Any) -> Callable[[np.ndarray, np.ndarray], Any]:
    def host(x: np.ndarray, v: np.ndarray) -> Any:
        if x.dtype.kind not in "biuf":
            return None  # a dtype that NumPy does not know has no order there
        return np.asarray(np.searchsorted(x, v, side), _index_dtype())

    return host


def _left(x: Any, v: Any) -> Any:
    return _places(x, v, "left")


def _right(x: Any, v: Any) -> Any:
    return _places(x, v, "right")


_left.host, _right.host = _on_host("left"), _on_host("right")
_SIDES = {"left": composite(_left), "right": composite(_right)}


def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Any:
    """The numbers of the bins that values fall into.

    Parameters
    ----------
    x : array
    bins : array of one axis
        Edges, ascending or descending.
    right : bool
        Whether a bin contains its right edge, not its left one.
    method : str, optional
        As for ``searchsorted``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.digitize(pnp.array([0.5, 1.0, 7.0]), pnp.array([0.0, 1.0, 2.0])).tolist()
    [1, 2, 3]
    """
    x, edges = as_array(x, "digitize"), as_array(bins, "digitize")
    if edges.ndim != 1:
        raise ShapeError(wrong=f"digitize was given bins {edges.aval}", fix="Give edges along one axis")
    if dtypes.is_complex(x.dtype):
        raise ArgumentError(wrong=f"digitize was given {x.aval}", fix="Give real numbers")
    n = edges.shape[0]
    if not n:
        return p.broadcast_in_dim(np.asarray(0, _index_dtype()), shape=x.shape, broadcast_dimensions=())
    side = "left" if right else "right"
    ascending = searchsorted(edges, x, side)
    descending = n - searchsorted(edges[::-1], x, side)
    return choose(edges[-1] >= edges[0], ascending, descending)


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Values of a function between points where it is known, on straight lines.

    Parameters
    ----------
    x : array
        Where to.
    xp : array of one axis, ascending
    fp : array of one axis
        The values at ``xp``.
    left, right : number or "extrapolate", optional
        The value below ``xp[0]`` and above ``xp[-1]``: by default that at the end.
    period : number, optional
        ``xp`` need not ascend then.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.interp(2.5, pnp.array([1.0, 2.0, 3.0]), pnp.array([3.0, 2.0, 0.0])))
    1.0
    """
    known = as_array(xp, "interp"), as_array(fp, "interp")
    if known[0].ndim != 1 or known[0].shape != known[1].shape or not known[0].size:
        raise ShapeError(
            wrong=f"interp was given points {known[0].aval} and values {known[1].aval}",
            fix="Give as many values as points, along one axis, at least one",
        )
    for side, given in (("left", left), ("right", right)):
        if isinstance(given, str) and given != "extrapolate":
            raise ArgumentError(
                wrong=f"interp was given {side}={given!r}", fix="Give a number or 'extrapolate'"
            )
    x, px = promote_dtypes_inexact("interp", x, known[0])
    fx = promote_dtypes_inexact("interp", known[1])[0]
    if dtypes.is_complex(x.dtype):
        raise ArgumentError(wrong="interp was given complex points", fix="Give real ones")
    if period is not None:
        period = abs(converted(as_array(period, "interp"), x.dtype))
        x, px = x % period, px % period
        order = argsort(px)
        px, fx = px[order], fx[order]
        px = concatenate([px[-1:] - period, px, px[:1] + period])
        fx = concatenate([fx[-1:], fx, fx[:1]])
        left = right = None
    n = px.shape[0]
    if n == 1:
        out = p.broadcast_in_dim(fx[0], shape=x.shape, broadcast_dimensions=())
    else:
        i = clip(searchsorted(px, x, "right"), 1, n - 1)
        x0, f0 = px[i - 1], fx[i - 1]
        dx, df = px[i] - x0, fx[i] - f0
        flat = abs(dx) <= np.spacing(np.asarray(dtypes.finfo(dx.dtype).eps))
        slope = choose(flat, np.asarray(0).astype(df.dtype), df / choose(flat, np.asarray(1).astype(dx.dtype), dx))
        out = f0 + (x - x0) * slope
    if not isinstance(left, str):
        out = choose(x < px[0], fx[0] if left is None else left, out)
    if not isinstance(right, str):
        out = choose(x > px[-1], fx[-1] if right is None else right, out)
    return out
