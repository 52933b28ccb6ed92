"""Sets: arrays without repetition, sorted, and what two of them have in common.

How many elements a set has depends on values. So under ``jit`` a ``size`` is needed: the result is cut to it, or filled
up with ``fill_value``, which is the first element of the set unless it is given.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.config import config
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ConcretizationError
from portax.numpy import reductions
from portax.numpy.axes import normalize_axis
from portax.numpy.choosing import clip, isnan, nonzero
from portax.numpy.choosing import where as choose
from portax.numpy.filling import full
from portax.numpy.joining import concatenate
from portax.numpy.promotion import as_array, promote_dtypes
from portax.numpy.reductions import converted
from portax.numpy.searching import searchsorted
from portax.numpy.shaping import moveaxis


def _index_dtype() -> Any:
    return config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]


def _needs_size(name: str, size: int | None, *xs: Any) -> int | None:
    if size is None and any(isinstance(x, Tracer) for x in xs):
        raise ConcretizationError(
            wrong=f"{name} was given a traced array and no size; how many elements differ is not known while tracing",
            fix="Give size=, and fill_value= for the rest",
        )
    return None if size is None else operator.index(size)


def _new(ordered: Sequence[Any], equal_nan: bool) -> Any:
    """Where a sorted sequence of rows, given by columns, differs from the row before; True at first."""
    different: Any = None
    for x in ordered:
        change = x[1:] != x[:-1]
        if equal_nan and dtypes.is_inexact(x.dtype):
            change = change & ~(isnan(x[1:]) & isnan(x[:-1]))
        different = change if different is None else different | change
    head = np.ones(min(ordered[0].shape[0], 1), bool)
    return concatenate([as_array(head), different])


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, size: int | None = None, fill_value: Any = None,
    sorted: bool = True,
) -> Any:  # fmt: skip
    """The elements that differ, in ascending order.

    Parameters
    ----------
    ar : array
    return_index : bool
        Give the first place of each, too.
    return_inverse : bool
        Give, for each element of ``ar``, which of them it is.
    return_counts : bool
        Give how often each occurs.
    axis : int, optional
        Look at slices along this axis, not at elements.
    equal_nan : bool
        Whether all NaN are one.
    size : int, optional
        How many to give, needed under ``jit``.
    fill_value : scalar, optional
        What to put where there are fewer; by default the first of them.
    sorted : bool
        They are in order also where this is False.

    Returns
    -------
    Array, or a tuple of it and what was asked for

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.unique(pnp.array([3, 4, 1, 3, 1])).tolist()
    [1, 3, 4]
    """
    x = as_array(ar, "unique")
    size = _needs_size("unique", size, x)
    shape = x.shape
    if axis is None:
        x, d = x.ravel(), 0
    else:
        d = normalize_axis(axis, x.ndim, "unique")
        x = moveaxis(x, d, 0)
    n, rest = x.shape[0], x.shape[1:]
    index = _index_dtype()
    columns = [x] if not rest else list(x.reshape((n, math.prod(rest))).T)
    if not columns:  # slices without elements are all the same
        columns = [p.broadcast_in_dim(np.asarray(0, index), shape=(n,), broadcast_dimensions=())]
    places = p.iota(dtype=index, shape=(n,), dimension=0, sharding=None)
    *ordered, order = p.sort(*columns, places, dimension=0, is_stable=True, num_keys=len(columns)) if n else [
        *columns, places
    ]  # fmt: skip
    new = _new(ordered, equal_nan)
    # One more than asked for: where the last of them ends.
    (bounds,) = nonzero(new, size=None if size is None else size + 1, fill_value=n)
    if size is None:
        bounds = concatenate([bounds, as_array(np.asarray([n], index))])
    starts = bounds[:-1]
    found = starts.shape[0]
    known = starts < n
    if n:
        chosen = order[choose(known, starts, 0)]
        values = x[chosen]
        if size is not None and fill_value is not None:
            flags = known.reshape((-1, *(1,) * len(rest)))
            values = choose(flags, values, converted(as_array(fill_value, "unique"), x.dtype))
    else:
        chosen = starts
        values = full((found, *rest), 0 if fill_value is None else fill_value, x.dtype)
        if found and fill_value is None:
            raise ArgumentError(
                wrong=f"unique of {as_array(ar).aval}, which has no elements, was given size={size} and no fill_value",
                fix="Give fill_value=",
            )
    outs = [moveaxis(values, 0, d) if rest else values]
    if return_index:
        outs.append(chosen)
    if return_inverse:
        rank = reductions.cumsum(converted(new, index)) - 1
        inverse = p.broadcast_in_dim(np.asarray(0, index), shape=(n,), broadcast_dimensions=()).at[order].set(rank)
        outs.append(inverse.reshape(shape) if axis is None else inverse)
    if return_counts:
        outs.append(bounds[1:] - starts)
    return outs[0] if len(outs) == 1 else tuple(outs)


class UniqueAll(NamedTuple):
    """What ``unique_all`` gives."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What ``unique_counts`` gives."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What ``unique_inverse`` gives."""

    values: Any
    inverse_indices: Any


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAll:
    """The elements that differ, their first places, which of them each element is, and how often each occurs.

    Parameters
    ----------
    x : array
    size, fill_value : optional
        As for ``unique``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.unique_all(pnp.array([3, 1, 3])).counts.tolist()
    [1, 2]
    """
    return UniqueAll(*unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value))


def unique_counts(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueCounts:
    """The elements that differ, and how often each occurs; parameters as for ``unique_all``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.unique_counts(pnp.array([3, 1, 3])).counts.tolist()
    [1, 2]
    """
    return UniqueCounts(*unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_inverse(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueInverse:
    """The elements that differ, and which of them each element is; parameters as for ``unique_all``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.unique_inverse(pnp.array([3, 1, 3])).inverse_indices.tolist()
    [1, 0, 1]
    """
    return UniqueInverse(*unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The elements that differ; parameters as for ``unique_all``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.unique_values(pnp.array([3, 1, 3])).tolist()
    [1, 3]
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The elements of either array.

    Parameters
    ----------
    ar1, ar2 : arrays
    size, fill_value : optional
        As for ``unique``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.union1d(pnp.array([1, 2]), pnp.array([2, 3])).tolist()
    [1, 2, 3]
    """
    x, y = promote_dtypes("union1d", ar1, ar2)
    _needs_size("union1d", size, x, y)
    return unique(concatenate([x.ravel(), y.ravel()]), size=size, fill_value=fill_value)


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, method: str = "auto"
) -> Any:
    """Whether each element is one of others.

    Parameters
    ----------
    element : array
    test_elements : array
    assume_unique : bool
        Not looked at.
    invert : bool
        Whether it is none of them.
    method : str
        Not looked at: the others are sorted and searched.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.isin(pnp.array([1, 2, 3]), pnp.array([3, 1])).tolist()
    [True, False, True]
    """
    x, others = promote_dtypes("isin", element, test_elements)
    others = others.ravel()
    n = others.shape[0]
    if not n:
        return full(x.shape, invert, bool)
    if n <= 16 or dtypes.is_complex(x.dtype):
        found = reductions.any(x[..., None] == others, -1)
    else:
        [ordered] = p.sort(others, dimension=0, is_stable=True, num_keys=1)
        found = ordered[clip(searchsorted(ordered, x), 0, n - 1)] == x
    return ~found if invert else found


def _filled(name: str, x: Any, keep: Any, size: int | None, fill_value: Any) -> tuple[Any, Any]:
    """The elements of a sorted array to keep, and their places: all of them, or ``size``."""
    (places,) = nonzero(keep, size=size, fill_value=x.shape[0])
    if size is None:
        return x[places], places
    known = places < x.shape[0]
    values = x.at[places].get(mode="clip") if x.shape[0] else full(size, 0, x.dtype)
    if fill_value is None:
        zero = np.asarray(0).astype(x.dtype)
        fill_value = choose(known[:1], values[:1], zero) if size else zero
    return choose(known, values, converted(as_array(fill_value, name), x.dtype)), places


def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False, *, size: int | None = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    """The elements that two arrays have in common.

    Parameters
    ----------
    ar1, ar2 : arrays
    assume_unique : bool
        No element is repeated within an array.
    return_indices : bool
        Give the first place of each in both arrays, too.
    size, fill_value : optional
        As for ``unique``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.intersect1d(pnp.array([1, 2, 3]), pnp.array([3, 2, 7])).tolist()
    [2, 3]
    """
    x, y = (z.ravel() for z in promote_dtypes("intersect1d", ar1, ar2))
    size = _needs_size("intersect1d", size, x, y)
    index = _index_dtype()
    n = x.shape[0]
    both = concatenate([x, y])
    if not both.shape[0]:
        out = full(size or 0, 0 if fill_value is None else fill_value, x.dtype)
        none = full(size or 0, n, index)
        return (out, none, none) if return_indices else out
    places = p.iota(dtype=index, shape=both.shape, dimension=0, sharding=None)
    ordered, order = p.sort(both, places, dimension=0, is_stable=True, num_keys=1)
    # Of equal elements those of ar1 come first: one is common where the last of ar1 meets the first of ar2.
    meets = (ordered[1:] == ordered[:-1]) & (order[:-1] < n) & (order[1:] >= n)
    keep = concatenate([meets, as_array(np.zeros(1, bool))])
    values, at = _filled("intersect1d", ordered, keep, size, fill_value)
    if not return_indices:
        return values
    first = order[searchsorted(ordered, ordered)]  # the first place of each of equal elements
    left, right = first.at[at].get(mode="clip"), order.at[at + 1].get(mode="clip") - n
    if size is not None:
        known = at < both.shape[0]
        left, right = choose(known, left, n), choose(known, right, y.shape[0])
    return values, left, right


def setdiff1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """The elements of one array that are not in another.

    Parameters
    ----------
    ar1, ar2 : arrays
    assume_unique : bool
        No element is repeated within an array: ``ar1`` keeps its order.
    size, fill_value : optional
        As for ``unique``, but the rest is 0 unless ``fill_value`` is given.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.setdiff1d(pnp.array([1, 2, 3]), pnp.array([2])).tolist()
    [1, 3]
    """
    x, y = as_array(ar1, "setdiff1d").ravel(), as_array(ar2, "setdiff1d")
    size = _needs_size("setdiff1d", size, x, y)
    fill = 0 if fill_value is None else fill_value
    if assume_unique:
        return _filled("setdiff1d", x, isin(x, y, invert=True), size, fill)[0]
    if not x.shape[0]:
        return full(size or 0, fill, x.dtype)
    [ordered] = p.sort(x, dimension=0, is_stable=True, num_keys=1)
    return _filled("setdiff1d", ordered, _new([ordered], True) & isin(ordered, y, invert=True), size, fill)[0]


def setxor1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """The elements that are in one of two arrays and not in the other.

    Parameters
    ----------
    ar1, ar2 : arrays
    assume_unique : bool
        No element is repeated within an array.
    size, fill_value : optional
        As for ``unique``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.setxor1d(pnp.array([1, 2]), pnp.array([2, 3])).tolist()
    [1, 3]
    """
    x, y = (z.ravel() for z in promote_dtypes("setxor1d", ar1, ar2))
    size = _needs_size("setxor1d", size, x, y)
    both = concatenate([x, y])
    if not both.shape[0]:
        return full(size or 0, 0 if fill_value is None else fill_value, x.dtype)
    side = np.repeat(np.array([0, 1], np.int32), [x.shape[0], y.shape[0]])
    ordered, side = p.sort(both, side, dimension=0, is_stable=True, num_keys=1)
    # Equal elements stand together, those of ar1 first: one is in both where the first and the last are of two sides.
    ends = searchsorted(ordered, ordered, "right") - 1
    alone = side == side.at[ends].get(mode="clip")
    keep = _new([ordered], True) & alone
    if dtypes.is_inexact(ordered.dtype):  # NaN of one side equals none of the other
        keep = choose(isnan(ordered), _new([ordered, side], True), keep)
    return _filled("setxor1d", ordered, keep, size, fill_value)[0]
