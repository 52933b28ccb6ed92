"""Counting: bincount and histograms of one and more variables."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.config import config
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationError, DtypeError, GapError, ShapeError
from portax.numpy import reductions
from portax.numpy.calculus import diff
from portax.numpy.choosing import clip
from portax.numpy.choosing import where as choose
from portax.numpy.creation import asarray
from portax.numpy.filling import ones_like, zeros
from portax.numpy.grids import linspace
from portax.numpy.promotion import as_array, promote_dtypes_inexact, spread
from portax.numpy.reductions import converted
from portax.numpy.searching import searchsorted

laying = lazy("portax.higher_order.laying")


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None, out_sharding: Any = None
) -> Any:
    """How often each of the numbers 0, 1, 2, ... occurs.

    Parameters
    ----------
    x : array of integers, one axis
        Negative numbers count as 0.
    weights : array, optional
        What to add for each element in place of 1.
    minlength : int
        The least length of the result.
    length : int, optional
        The length of the result, needed under ``jit``; numbers beyond it are not counted.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.bincount(pnp.array([1, 3, 1])).tolist()
    [0, 2, 0, 1]
    """
    if out_sharding is not None:
        return laying.laid(bincount(x, weights, minlength, length=length), out_sharding)
    x = as_array(x, "bincount")
    if x.dtype == dtypes.bool_:
        x = converted(x, config.scalar_dtypes[int])  # pyright: ignore[reportAttributeAccessIssue]
    if not dtypes.is_integer(x.dtype):
        raise DtypeError(wrong=f"bincount counts integers, got {x.aval}", fix="Convert it with .astype(int)")
    if x.ndim != 1:
        raise ShapeError(wrong=f"bincount counts along one axis, got {x.aval}", fix="Flatten it with .ravel()")
    minlength = operator.index(minlength)
    if length is None:
        if isinstance(x, Tracer):
            raise ConcretizationError(
                wrong="bincount was given a traced array and no length; the greatest number is not known",
                fix="Give length=",
            )
        length = builtins.max(minlength, int(reductions.max(x, initial=-1)) + 1)
    else:
        length = operator.index(length)
    if weights is None:
        weights = np.asarray(1, config.scalar_dtypes[int])  # pyright: ignore[reportAttributeAccessIssue]
    elif np.shape(weights) != x.shape:
        raise ShapeError(
            wrong=f"bincount of {x.aval} was given weights of shape {np.shape(weights)}",
            fix="Give one weight for each element",
        )
    w = as_array(weights, "bincount")
    return zeros(length, w.dtype).at[clip(x, 0)].add(w, mode="drop")


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges of bins of equal width.

    Parameters
    ----------
    a : array
    bins : int, or the edges themselves
    range : pair of numbers, optional
        The first and the last edge: by default the least and the greatest element.
    weights : array, optional
        Not looked at.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.histogram_bin_edges(pnp.array([0.0, 4.0]), bins=2).tolist()
    [0.0, 2.0, 4.0]
    """
    if isinstance(bins, str):
        raise GapError(wrong=f"histograms here have no rule {bins!r} for the number of bins", fix="Give a number")
    x, edges = as_array(a, "histogram"), asarray(bins)
    dtype = dtypes.to_inexact(x.dtype)
    if edges.ndim == 1:
        return converted(edges, dtype)
    if range is None:
        low, high = reductions.min(x), reductions.max(x)
    else:
        low, high = asarray(range[0]), asarray(range[1])
    if low.ndim or high.ndim:
        raise ShapeError(wrong=f"a histogram was given the range {range!r}", fix="Give two numbers")
    low, high = converted(low, dtype), converted(high, dtype)
    # All in one place: a bin of width 1 about it.
    low, high = choose(high == low, low - 0.5, low), choose(high == low, high + 0.5, high)
    return linspace(low, high, operator.index(bins) + 1, dtype=dtype)


def _bin_of(x: Any, edges: Any) -> Any:
    """Numbers of bins from 1, the last with its right edge; what lies outside has 0 or one more."""
    n = edges.shape[0]
    found = searchsorted(edges, x, "right")
    return choose(x == edges[-1], np.asarray(n - 1, found.dtype), found)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Any, Any]:
    """How many elements fall into each bin.

    Parameters
    ----------
    a : array
    bins : int, or an array of edges
    range : pair of numbers, optional
    weights : array of the shape of ``a``, optional
        What to add for each element in place of 1.
    density : bool
        Give the density of probability, whose integral is 1.

    Returns
    -------
    counts, edges : arrays, one edge more than counts

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.histogram(pnp.array([1.0, 2.0, 1.0]), bins=pnp.array([0.0, 1.5, 3.0]))[0].tolist()
    [2.0, 1.0]
    """
    x = as_array(a, "histogram")
    if weights is None:
        [x] = promote_dtypes_inexact("histogram", x)
        w = ones_like(x)
    else:
        if np.shape(weights) != x.shape:
            raise ShapeError(
                wrong=f"histogram of {x.aval} was given weights of shape {np.shape(weights)}",
                fix="Give one weight for each element",
            )
        x, w = promote_dtypes_inexact("histogram", x, weights)
    edges = histogram_bin_edges(x, bins, range)
    counts = zeros(edges.shape[0], w.dtype).at[_bin_of(x.ravel(), edges)].add(w.ravel(), mode="drop")[1:]
    if density:
        counts = counts / diff(edges) / reductions.sum(counts)
    return counts, edges


def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Any, Any, Any]:
    """How many points of a plane fall into each box.

    Parameters
    ----------
    x, y : arrays of one axis
    bins : int, an array of edges, or one of either for each axis
    range : two pairs of numbers, optional
    weights : array, optional
    density : bool

    Returns
    -------
    counts, edges along x, edges along y

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.histogram2d(pnp.array([0.0, 1.0]), pnp.array([0.0, 1.0]), bins=2)[0].tolist()
    [[1, 0], [0, 1]]
    """
    x, y = promote_dtypes_inexact("histogram2d", x, y)
    if x.ndim != 1 or x.shape != y.shape:
        raise ShapeError(wrong=f"histogram2d was given {x.aval} and {y.aval}", fix="Give as many x as y")
    if (isinstance(bins, (list, tuple)) or np.ndim(bins) == 1) and len(bins) not in (1, 2):
        bins = [asarray(bins)] * 2
    sample = p.concatenate(x[:, None], y[:, None], dimension=1)
    counts, edges = histogramdd(sample, bins, range, weights, density)
    return counts, edges[0], edges[1]


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Any, list[Any]]:
    """How many points of a space fall into each box.

    Parameters
    ----------
    sample : array of shape (n, d)
        A point in each row.
    bins : int, or for each axis an int or an array of edges
    range : a pair of numbers for each axis, optional
    weights : array of shape (n,), optional
    density : bool

    Returns
    -------
    counts : array of d axes
    edges : list of d arrays

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.histogramdd(pnp.array([[0.0, 0.0], [1.0, 1.0]]), bins=2)[0].tolist()
    [[1, 0], [0, 1]]
    """
    if weights is None:
        [x] = promote_dtypes_inexact("histogramdd", sample)
    else:
        x, weights = promote_dtypes_inexact("histogramdd", sample, weights)
    if x.ndim != 2:
        raise ShapeError(wrong=f"histogramdd was given {x.aval}", fix="Give points in rows: shape (n, d)")
    count, rank = x.shape
    if weights is not None and weights.shape != (count,):
        raise ShapeError(
            wrong=f"histogramdd of {count} points was given weights {weights.aval}", fix="Give one for each point"
        )
    listed = isinstance(bins, (list, tuple)) or np.ndim(bins) > 0
    each: Sequence[Any] = list(bins) if listed else [bins] * rank
    if len(each) != rank:
        raise ArgumentError(wrong=f"histogramdd of {rank} axes was given bins for {len(each)}", fix="Give one for each")
    ranges = [None] * rank if range is None else list(range)
    if len(ranges) != rank:
        raise ArgumentError(
            wrong=f"histogramdd of {rank} axes was given ranges for {len(ranges)}", fix="Give one for each"
        )
    edges = [histogram_bin_edges(x[:, d], b, r) for d, (b, r) in enumerate(zip(each, ranges, strict=True))]
    # Every axis has a bin on either side for what lies outside, cut off in the end.
    sizes = tuple(e.shape[0] + 1 for e in edges)
    places = tuple(_bin_of(x[:, d], e) for d, e in enumerate(edges))
    whole = config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]
    ones = as_array(np.asarray(1, whole)) if weights is None else weights
    counts = zeros(sizes, ones.dtype).at[places].add(spread(ones, (count,)))
    counts = counts[(slice(1, -1),) * rank]
    if density:
        counts = counts / reductions.sum(counts)
        for d, e in enumerate(edges):
            counts = counts / diff(e).reshape((-1, *(1,) * (rank - 1 - d)))
    return counts, edges
