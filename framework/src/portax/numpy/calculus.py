"""Differences, gradients and integrals of sampled functions."""

from __future__ import annotations

import math
import operator
from typing import Any

from portax import primitives as p
from portax.core import dtypes
from portax.errors import ArgumentError, ShapeError
from portax.numpy import reductions
from portax.numpy.axes import normalize_axes, normalize_axis
from portax.numpy.choosing import where as choose
from portax.numpy.joining import concatenate
from portax.numpy.promotion import as_array, promote_dtypes_inexact
from portax.numpy.reductions import converted
from portax.numpy.shaping import moveaxis
from portax.numpy.ufuncs import floor_divide
from portax.primitives.slicing import part


def _steps(x: Any, axis: int) -> Any:
    """Each element less the one before it; whether they differ, for bools."""
    n = x.shape[axis]
    later, earlier = part(x, axis, 1, n), part(x, axis, 0, n - 1)
    return p.ne(later, earlier) if x.dtype == bool else p.sub(later, earlier)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The differences of neighbours along an axis.

    Parameters
    ----------
    a : array of at least one axis
    n : int
        How many times to take differences.
    axis : int
    prepend, append : scalar or array, optional
        What to put before and behind first.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.diff(pnp.array([1, 4, 9])).tolist()
    [3, 5]
    """
    x = as_array(a, "diff")
    n = operator.index(n)
    if n == 0:
        return x
    if n < 0:
        raise ArgumentError(wrong=f"diff was asked for differences of order {n}", fix="Give n >= 0")
    if not x.ndim:
        raise ShapeError(wrong="diff was given a scalar, which has no neighbours", fix="Give an array of an axis")
    axis = normalize_axis(axis, x.ndim, "diff")
    parts = []
    for given in (prepend, a, append):
        if given is None:
            continue
        given = as_array(given, "diff")
        if not given.ndim:
            shape = tuple(1 if d == axis else s for d, s in enumerate(x.shape))
            given = p.broadcast_in_dim(given, shape=shape, broadcast_dimensions=())
        parts.append(given)
    if len(parts) > 1:
        x = concatenate(parts, axis)
    for _ in range(n):
        if not x.shape[axis]:
            break
        x = _steps(x, axis)
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """The differences of neighbours in the flattened array.

    Parameters
    ----------
    ary : array
    to_end, to_begin : array, optional
        What to put behind and before the differences.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.ediff1d(pnp.array([1, 4, 9]), to_begin=pnp.array([0])).tolist()
    [0, 3, 5]
    """
    x = as_array(ary, "ediff1d").ravel()
    out = x[1:] - x[:-1]
    parts = [out]
    if to_begin is not None:
        parts.insert(0, converted(as_array(to_begin, "ediff1d").ravel(), out.dtype))
    if to_end is not None:
        parts.append(converted(as_array(to_end, "ediff1d").ravel(), out.dtype))
    return concatenate(parts) if len(parts) > 1 else out


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int | None = None) -> Any:
    """The slope of a sampled function along its axes: by central differences, one-sided ones at the ends.

    Parameters
    ----------
    f : array
        At least two samples along each axis.
    *varargs : number or array
        The distance of samples, or their coordinates: one for all axes, or one for each. 1 by default.
    axis : int or tuple of int, optional
        Along which axes; along all by default.

    Returns
    -------
    Array of the shape of ``f``, or a list of one for each axis

    References
    ----------
    Fornberg, Generation of Finite Difference Formulas on Arbitrarily Spaced Grids, Mathematics of Computation 51,
    1988.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.gradient(pnp.array([1.0, 2.0, 5.0])).tolist()
    [1.0, 2.0, 3.0]
    """
    if edge_order is not None and edge_order != 1:
        raise ArgumentError(wrong=f"gradient was given edge_order={edge_order!r}", fix="Leave it out, or give 1")
    [x] = promote_dtypes_inexact("gradient", f)
    axes = tuple(range(x.ndim)) if axis is None else normalize_axes(axis, x.ndim, "gradient")
    if any(x.shape[d] < 2 for d in axes):
        raise ShapeError(wrong=f"gradient needs two samples along an axis, got {x.aval}", fix="Give more samples")
    if len(varargs) not in (0, 1, len(axes)):
        raise ArgumentError(
            wrong=f"gradient along {len(axes)} axes was given {len(varargs)} spacings", fix="Give one, or one for each"
        )
    spacings = list(varargs or (1,)) * (1 if len(varargs) == len(axes) and varargs else len(axes))
    outs = [_slope(x, as_array(h, "gradient"), d) for h, d in zip(spacings, axes, strict=True)]
    return outs[0] if len(outs) == 1 else outs


def _slope(x: Any, h: Any, axis: int) -> Any:
    n = x.shape[axis]
    first, last = _steps(part(x, axis, 0, 2), axis), _steps(part(x, axis, n - 2, n), axis)
    if not h.ndim:
        inside = (part(x, axis, 2, n) - part(x, axis, 0, n - 2)) * 0.5
        return concatenate([first, inside, last], axis) / h
    if h.ndim != 1 or h.shape[0] != n:
        raise ShapeError(
            wrong=f"gradient along an axis of {n} samples was given coordinates {h.aval}",
            fix="Give a distance, or one coordinate for each sample",
        )
    steps = _steps(h, 0).reshape((-1, *(1,) * (x.ndim - 1 - axis)))
    lead = x.ndim - steps.ndim
    before, after = (part(steps, 0, 0, n - 2), part(steps, 0, 1, n - 1))
    a = -after / (before * (before + after))
    b = (after - before) / (before * after)
    c = before / (after * (before + after))
    inside = a * part(x, axis, 0, n - 2) + b * part(x, axis, 1, n - 1) + c * part(x, axis, 2, n)
    assert lead == axis
    return concatenate([first / steps[:1], inside, last / steps[-1:]], axis)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of a sampled function along an axis, by trapezia.

    Parameters
    ----------
    y : array
    x : array, optional
        The coordinates of the samples.
    dx : number
        The distance of samples, where no coordinates are given.
    axis : int

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.trapezoid(pnp.array([1.0, 2.0, 3.0])))
    4.0
    """
    if x is None:
        [v] = promote_dtypes_inexact("trapezoid", y)
        v = moveaxis(v, axis, -1)
        width: Any = as_array(dx, "trapezoid")
    else:
        v, x = promote_dtypes_inexact("trapezoid", y, x)
        v = moveaxis(v, axis, -1)
        if x.ndim == 1:
            width = diff(x)
        else:
            width = moveaxis(diff(x, axis=axis), axis, -1)
    return 0.5 * reductions.sum(width * (v[..., 1:] + v[..., :-1]), -1)


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * math.pi) -> Any:
    """Angles along an axis without jumps: neighbours differ by no more than half a period.

    Parameters
    ----------
    p : array of real numbers, in radians where ``period`` is not given
    discont : number, optional
        Smaller jumps than this stay.
    axis : int
    period : number

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.unwrap(pnp.array([0, 3, 2]), period=4).tolist()
    [0, -1, -2]
    """
    x = as_array(p, "unwrap")
    if not (dtypes.is_integer(x.dtype) or dtypes.is_float(x.dtype)):
        raise ArgumentError(wrong=f"unwrap was given {x.aval}", fix="Give real numbers")
    if not x.ndim or not x.shape[normalize_axis(axis, x.ndim, "unwrap")]:
        return x
    d = normalize_axis(axis, x.ndim, "unwrap")
    n = x.shape[d]
    steps = _steps(x, d)
    whole = dtypes.is_integer(x.dtype) and isinstance(period, int)
    half = floor_divide(period, 2) if whole else period / 2
    if not isinstance(period, (int, float)):
        period = as_array(period, "unwrap")
    wrapped = (steps + half) % period - half
    # Half a period up stays half a period up.
    wrapped = choose((wrapped == -half) & (steps > 0), half, wrapped)
    fix = wrapped - steps
    if discont is not None:
        fix = choose(abs(steps) < discont, 0, fix)
    fix = reductions.cumsum(fix, d)
    rest = part(x, d, 1, n) + fix
    return concatenate([part(x, d, 0, 1), converted(rest, x.dtype) if whole and rest.dtype != x.dtype else rest], d)
