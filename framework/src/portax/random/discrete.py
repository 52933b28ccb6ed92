"""Choices: coins, categories, shuffles, draws from an array.

A category is drawn as the greatest of its log-probabilities plus Gumbel noise; several without replacement are the
greatest few. A shuffle is a sort by random words, repeated until two elements with equal words are unlikely.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.config import config
from portax.core.lazy import lazy
from portax.errors import ArgumentError, AxisError, DtypeError, ShapeError
from portax.numpy.promotion import as_array
from portax.primitives.arithmetic import add, div, floor, mul, neg, sub
from portax.primitives.broadcasting import broadcast_in_dim, broadcast_to, reshape, transpose
from portax.primitives.comparison import eq, le, lt, select_n
from portax.primitives.conversion import convert
from portax.primitives.cumulative import cumsum
from portax.primitives.decomposing import constant, where
from portax.primitives.elementwise import like
from portax.primitives.exponential import log, log1p
from portax.primitives.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from portax.primitives.iota import iota
from portax.primitives.random_bits import random_bits
from portax.primitives.reductions import argmax
from portax.primitives.slicing import part
from portax.primitives.sorting import sort, top_k
from portax.random.continuous import gumbel_noise
from portax.random.sampling import Shape, common_shape, dtype_for, sampler, sizes, spread, typed_key
from portax.random.uniform import randint, row, split_key, unit

laying = lazy("portax.higher_order.laying")

_INT32 = np.dtype(np.int32)


# -- coins ------------------------------------------------------------------------------------------------------------
@sampler
def _bernoulli(key: Any, p: Any, *, shape: Shape, mode: str) -> Any:
    dtype, p = p.dtype, spread(p, shape)
    if mode == "low":
        return lt(unit(key, shape, dtype), p)
    pair = unit(key, (2, *shape), dtype)
    fine = mul(row(pair, 1), constant(dtype, 2.0 ** -int(dtypes.finfo(dtype).nmant)))
    return lt(fine, sub(p, row(pair, 0)))


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low", *, out_sharding: Any = None) -> Array:
    """True with probability ``p``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    p : float or floating Array
    shape : tuple of int, optional
        By default the shape of ``p``.
    mode : {"low", "high"}
        "high" tells apart probabilities that differ by less than the spacing of floats just below 1.

    Returns
    -------
    Array of bool

    Examples
    --------
    >>> from portax import random
    >>> random.bernoulli(random.key(0), 0.5, (3,)).shape
    (3,)
    """
    if out_sharding is not None:
        return laying.laid(bernoulli(key, p, shape, mode), out_sharding)
    if mode not in ("low", "high"):
        raise ArgumentError(wrong=f"bernoulli knows no mode {mode!r}", fix='Give "low" or "high"')
    key, _ = typed_key(key, "bernoulli")
    p = as_array(p, "bernoulli")
    if not dtypes.is_float(p.dtype):
        raise DtypeError(wrong=f"bernoulli needs a floating probability p, got {p.aval}", fix="Give a float")
    return _bernoulli(key, p, shape=common_shape(shape, "bernoulli", p.shape), mode=mode)


@sampler
def _rademacher(key: Any, *, shape: Shape, dtype: Any) -> Any:
    heads = convert(lt(unit(key, shape, dtype_for(None, "rademacher")), constant(dtype_for(None, ""), 0.5)), dtype)
    return sub(mul(like(heads, 2), heads), like(heads, 1))


def rademacher(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """1 or -1, each with probability 1/2.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    shape : tuple of int
    dtype : numeric dtype, optional

    Examples
    --------
    >>> portax.random.rademacher(portax.random.key(0), (2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(rademacher(key, shape, dtype), out_sharding)
    key, _ = typed_key(key, "rademacher")
    return _rademacher(key, shape=sizes(shape, "rademacher"), dtype=dtype_for(dtype, "rademacher", "number"))


@sampler
def _geometric(key: Any, p: Any, *, shape: Shape, dtype: Any) -> Any:
    u = unit(key, shape, p.dtype)
    u = where(eq(u, like(u, 0)), like(u, 1), u)
    g = floor(div(log(u), spread(log1p(neg(p)), shape)))
    return convert(add(g, like(g, 1)), dtype)


def geometric(key: Any, p: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """How many trials it takes until the first success, each with probability ``p``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    p : number or Array
    shape : tuple of int, optional
        By default the shape of ``p``.
    dtype : integer dtype, optional

    Examples
    --------
    >>> portax.random.geometric(portax.random.key(0), 0.5, (2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(geometric(key, p, shape, dtype), out_sharding)
    key, _ = typed_key(key, "geometric")
    dtype = dtype_for(dtype, "geometric", "int")
    p = inexact(as_array(p, "geometric"))
    return _geometric(key, p, shape=common_shape(shape, "geometric", p.shape), dtype=dtype)


def inexact(x: Any) -> Any:
    """``x``, in the default floating dtype if it is an integer."""
    return x if dtypes.is_inexact(x.dtype) else convert(x, dtypes.canonicalize_dtype(dtypes.to_inexact(x.dtype)))


# -- categories -------------------------------------------------------------------------------------------------------
@sampler
def _categorical(key: Any, logits: Any, *, shape: Shape, axis: int, mode: str) -> Any:
    """The greatest along ``axis``, an axis of the logits counted from the end."""
    own = logits.aval.shape
    rank = len(own)
    lead = shape[: len(shape) - rank + 1]
    drawn = list(shape[len(shape) - rank + 1 :])
    drawn.insert(axis % rank, own[axis])
    drawn = (*lead, *drawn)
    total = add(gumbel_noise(key, drawn, logits.dtype, mode), broadcast_to(logits, drawn))
    return argmax(total, axes=(len(drawn) + axis,), index_dtype=dtypes.canonicalize_dtype(int))


@sampler
def _categories(key: Any, logits: Any, *, shape: Shape, axis: int, mode: str) -> Any:
    """The greatest few along ``axis``, foremost axes of ``shape``."""
    own = logits.aval.shape
    rank = len(own)
    axis %= rank
    total = add(logits, gumbel_noise(key, own, logits.dtype, mode))
    order = (*(a for a in range(rank) if a != axis), axis)
    k = math.prod(shape[: len(shape) - rank + 1])
    _, places = top_k(transpose(total, permutation=order), k=k, axis=rank - 1)
    places = transpose(places, permutation=(rank - 1, *range(rank - 1)))
    return reshape(places, new_sizes=shape, dimensions=None)


def categorical(
    key: Any, logits: Any, axis: int = -1, shape: Any = None, replace: bool = True, mode: str | None = None, *,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """Categories, each with probability ``softmax(logits, axis)``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    logits : floating Array
        Logarithms of the probabilities, up to a constant.
    axis : int
        The axis of ``logits`` that counts the categories.
    shape : tuple of int, optional
        By default the shape of ``logits`` without ``axis``, to which it must end.
    replace : bool
        Without replacement the draws along the foremost axes of ``shape`` differ.
    mode : {"low", "high"}, optional
        As for ``gumbel``.

    Returns
    -------
    Array of ints

    References
    ----------
    Kool, van Hoof, Welling, Stochastic beams and where to find them, ICML 2019.

    Examples
    --------
    >>> portax.random.categorical(portax.random.key(0), np.zeros(3, np.float32), shape=(2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(categorical(key, logits, axis, shape, replace, mode), out_sharding)
    key, _ = typed_key(key, "categorical")
    logits = as_array(logits, "categorical")
    rank = logits.ndim
    if not -rank <= axis < rank:
        raise AxisError(
            wrong=f"categorical has no axis {axis} in logits: {logits.aval}", fix=f"Give an axis below {rank}"
        )
    if not dtypes.is_float(logits.dtype):
        raise DtypeError(wrong=f"categorical needs floating logits, got {logits.aval}", fix="Give logarithms")
    axis = axis % rank - rank
    batch = tuple(n for a, n in enumerate(logits.shape) if a != axis + rank)
    shape = common_shape(shape, "categorical", batch)
    mode = gumbel_mode(mode, "categorical")
    if replace:
        return _categorical(key, logits, shape=shape, axis=axis, mode=mode)
    k, n = math.prod(shape[: len(shape) - len(batch)]), logits.shape[axis]
    if k > n:
        raise ArgumentError(
            wrong=f"categorical cannot draw {k} of {n} categories without replacement", fix=f"Draw at most {n}"
        )
    return _categories(key, logits, shape=shape, axis=axis, mode=mode)


def gumbel_mode(mode: str | None, name: str) -> str:
    """The mode asked for, or the one that is set."""
    if mode is None:
        return "high" if config.high_dynamic_range_gumbel else "low"  # pyright: ignore[reportAttributeAccessIssue]
    if mode not in ("low", "high", "highest"):
        raise ArgumentError(wrong=f"{name} knows no mode {mode!r}", fix='Give "low" or "high"')
    return mode


# -- shuffles ---------------------------------------------------------------------------------------------------------
def shuffled(key: Any, x: Any, axis: int) -> Any:
    """``x`` in random order along ``axis``, each line along it for itself."""
    shape = x.aval.shape
    rounds = math.ceil(3 * math.log(max(1, x.aval.size)) / math.log(2**32 - 1))
    for _ in range(rounds):
        key, once = split_key(key)
        _, x = sort(random_bits(once, bit_width=32, shape=shape), x, dimension=axis, is_stable=True, num_keys=1)
    return x


def take(x: Any, places: Any, axis: int) -> Any:
    """``x`` at ``places`` along ``axis``, all of which are inside."""
    rank, extra = x.aval.ndim, places.aval.ndim
    numbers = GatherDimensionNumbers(
        offset_dims=(*range(axis), *range(axis + extra, rank + extra - 1)),
        collapsed_slice_dims=(axis,), start_index_map=(axis,),
    )  # fmt: skip
    sizes_ = tuple(1 if a == axis else n for a, n in enumerate(x.aval.shape))
    indices = reshape(places, new_sizes=(*places.aval.shape, 1), dimensions=None)
    return gather(
        x, indices, dimension_numbers=numbers, slice_sizes=sizes_, unique_indices=False, indices_are_sorted=False,
        mode=GatherScatterMode.CLIP, fill_value=None,
    )  # fmt: skip


@sampler
def _shuffled_range(key: Any, *, n: int, dtype: Any) -> Any:
    return shuffled(key, iota(dtype=dtype, shape=(n,), dimension=0, sharding=None), 0)


@sampler
def _permutation(key: Any, x: Any, *, axis: int, independent: bool) -> Any:
    if independent or x.aval.ndim == 1:
        return shuffled(key, x, axis)
    n = x.aval.shape[axis]
    places = iota(dtype=dtypes.canonicalize_dtype(int), shape=(n,), dimension=0, sharding=None)
    return take(x, shuffled(key, places, 0), axis) if x.aval.size else x


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False, *, out_sharding: Any = None) -> Array:
    """``x`` in random order along an axis, or a random order of ``range(x)``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    x : int or Array
    axis : int
    independent : bool
        Each line along the axis is shuffled for itself.

    Examples
    --------
    >>> from portax import random
    >>> sorted(random.permutation(random.key(0), 4).tolist())
    [0, 1, 2, 3]
    """
    if out_sharding is not None:
        return laying.laid(permutation(key, x, axis, independent), out_sharding)
    key, _ = typed_key(key, "permutation")
    array = as_array(x, "permutation")
    rank = array.ndim or 1
    if not -rank <= axis < rank:
        raise AxisError(wrong=f"permutation has no axis {axis} in x: {array.aval}", fix=f"Give an axis below {rank}")
    if array.ndim:
        return _permutation(key, array, axis=axis % rank, independent=bool(independent))
    return _shuffled_range(key, n=_length(x, array, "permutation"), dtype=dtypes.canonicalize_dtype(int))


def _length(x: Any, array: Any, name: str) -> int:
    if not dtypes.is_integer(array.dtype):
        raise DtypeError(
            wrong=f"{name} takes an int or an array of at least one axis, got {array.aval}", fix="Give an int"
        )
    return operator.index(x)


@sampler
def _draw(key: Any, p: Any, *, shape: Shape, dtype: Any) -> Any:
    """Places in ``p``, each with that probability: the first whose running sum reaches a uniform number."""
    sums = cumsum(p, axis=0, reverse=False)
    n = p.aval.shape[0]
    u = unit(key, shape, p.dtype)
    target = mul(reshape(part(sums, 0, n - 1, n), new_sizes=(), dimensions=None), sub(like(u, 1), u))
    low = broadcast_in_dim(constant(_INT32, 0), shape=shape, broadcast_dimensions=())
    high = broadcast_in_dim(constant(_INT32, n), shape=shape, broadcast_dimensions=())
    for _ in range(math.ceil(math.log2(n + 1))):
        middle = add(low, div(sub(high, low), constant(_INT32, 2)))
        left = le(target, take(sums, middle, 0))
        low, high = select_n(left, middle, low), select_n(left, high, middle)
    return convert(high, dtype)


@sampler
def _draw_without(key: Any, p: Any, *, k: int, dtype: Any, mode: str) -> Any:
    _, places = top_k(add(gumbel_noise(key, p.aval.shape, p.dtype, mode), log(p)), k=k, axis=0)
    return convert(places, dtype)


@sampler
def _taken(x: Any, places: Any, *, axis: int) -> Any:
    return take(x, places, axis)


@sampler
def _first(x: Any, *, axis: int, k: int, shape: Shape) -> Any:
    return reshape(part(x, axis, 0, k), new_sizes=shape, dimensions=None)


def choice(
    key: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: int = 0, mode: str | None = None
) -> Array:
    """Elements of an array, or of ``range(a)``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    a : int or Array
    shape : tuple of int
    replace : bool
        An element may be drawn again.
    p : Array, optional
        Probabilities of the elements; equal by default.
    axis : int
        The axis of ``a`` along which elements are counted.
    mode : {"low", "high"}, optional
        As for ``gumbel``, for draws without replacement.

    Returns
    -------
    Array of the dtype of ``a``, with ``shape`` in the place of ``axis``

    Raises
    ------
    ArgumentError
        More elements are asked for than there are.

    Examples
    --------
    >>> portax.random.choice(portax.random.key(0), 5, (2,), replace=False).shape
    (2,)
    """
    key, _ = typed_key(key, "choice")
    shape = sizes(shape, "choice")
    array, count, integer = as_array(a, "choice"), math.prod(shape), dtypes.canonicalize_dtype(int)
    rank = array.ndim or 1
    if not -rank <= axis < rank:
        raise AxisError(wrong=f"choice has no axis {axis} in a: {array.aval}", fix=f"Give an axis below {rank}")
    axis %= rank
    n = array.shape[axis] if array.ndim else _length(a, array, "choice")
    if not count:
        return broadcast_in_dim(constant(array.dtype, 0), shape=shape, broadcast_dimensions=())
    if n <= 0:
        raise ArgumentError(wrong="choice was asked to draw from no elements", fix="Give a with at least one element")
    if not replace and count > n:
        raise ArgumentError(
            wrong=f"choice cannot draw {count} of {n} elements without replacement", fix=f"Draw at most {n}"
        )
    whole = (*array.shape[:axis], *shape, *array.shape[axis + 1 :]) if array.ndim else shape
    if p is None and not replace:
        order = permutation(key, array if array.ndim else n, axis)
        return _first(order, axis=axis, k=count, shape=whole)
    if p is None:
        places = randint(key, shape, 0, n)
    else:
        weights = inexact(as_array(p, "choice"))
        if weights.shape != (n,):
            raise ShapeError(
                wrong=f"choice was given probabilities p: {weights.aval} for {n} elements", fix="Give one for each"
            )
        if replace:
            places = _draw(key, weights, shape=shape, dtype=integer)
        else:
            places = _draw_without(key, weights, k=count, dtype=integer, mode=gumbel_mode(mode, "choice"))
            places = _first(places, axis=0, k=count, shape=shape)
    return _taken(array, places, axis=axis) if array.ndim else places
