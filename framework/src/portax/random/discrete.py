"""Choices: coins, categories, orders, samples of a population; and the waiting times they are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.core.aval import aval_of
from portax.core.config import config
from portax.core.dtypes import user_dtype
from portax.errors import ArgumentError
from portax.lax.shaping import sort_key_val, top_k
from portax.random.keys import split
from portax.random.sampling import sizes
from portax.random.uniform import bits, randint, uniform

Shape = Any


def _float(dtype: Any, name: str) -> Any:
    return config.scalar_dtypes[float] if dtype is None else user_dtype(dtype, name)  # pyright: ignore


def bernoulli(key: Any, p: Any = 0.5, shape: Shape = None, *, out_sharding: Any = None) -> Any:
    """Coins: True with probability ``p``.

    Parameters
    ----------
    key : a random key
    p : float or array
    shape : tuple of int, optional
        The shape of ``p`` by default.

    Returns
    -------
    Array of bool

    Examples
    --------
    >>> import portax
    >>> portax.random.bernoulli(portax.random.key(0), 1.0, (2,)).tolist()
    [True, True]
    """
    p = pnp.asarray(p)
    p = p.astype(dtypes.to_inexact(p.dtype))
    return uniform(key, p.shape if shape is None else sizes(shape, "bernoulli"), p.dtype) < p


def gumbel(key: Any, shape: Shape = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """The greatest of many: ``-log(-log(u))`` for uniform ``u``.

    Examples
    --------
    >>> import portax
    >>> portax.random.gumbel(portax.random.key(0), (2,)).shape
    (2,)
    """
    kind = _float(dtype, "gumbel")
    u = uniform(key, shape, kind, minval=float(dtypes.finfo(kind).tiny), maxval=1.0)
    return -pnp.log(-pnp.log(u))


def exponential(key: Any, shape: Shape = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Waiting times of mean 1.

    Examples
    --------
    >>> import portax
    >>> bool(portax.random.exponential(portax.random.key(0)) > 0)
    True
    """
    return -pnp.log1p(-uniform(key, shape, _float(dtype, "exponential")))


def laplace(key: Any, shape: Shape = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Two-sided waiting times: density ``exp(-|x|) / 2``.

    Examples
    --------
    >>> import portax
    >>> portax.random.laplace(portax.random.key(0), (2,)).shape
    (2,)
    """
    kind = _float(dtype, "laplace")
    u = uniform(key, shape, kind, minval=-1.0 + float(dtypes.finfo(kind).epsneg), maxval=1.0)
    return pnp.sign(u) * pnp.log1p(-pnp.abs(u))


def categorical(
    key: Any, logits: Any, axis: int = -1, shape: Shape = None, *, replace: bool = True, out_sharding: Any = None
) -> Any:
    """Categories drawn with probabilities proportional to ``exp(logits)``.

    Parameters
    ----------
    key : a random key
    logits : array
    axis : int
        The axis of categories.
    shape : tuple of int, optional
        Of the result; it ends in the shape of ``logits`` without ``axis``, which is the default.
    replace : bool
        Whether a category may be drawn again.

    Returns
    -------
    Array of the default integer

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> int(portax.random.categorical(portax.random.key(0), pnp.array([-pnp.inf, 0.0])))
    1
    """
    logits = pnp.asarray(logits)
    place = axis if axis < 0 else axis - logits.ndim
    rows = tuple(n for d, n in enumerate(logits.shape) if d != place % logits.ndim)
    wanted = rows if shape is None else sizes(shape, "categorical")
    lead = wanted[: len(wanted) - len(rows)]
    if wanted[len(lead) :] != rows:
        raise ArgumentError(
            wrong=f"categorical was asked for shape {wanted}, and logits without axis {axis} have shape {rows}",
            fix=f"Give a shape that ends in {rows}",
        )
    if replace:
        noise = gumbel(key, (*lead, *logits.shape), logits.dtype)
        return pnp.argmax(noise + pnp.expand_dims(logits, tuple(range(len(lead)))), axis=place)
    noisy = logits + gumbel(key, logits.shape, logits.dtype)
    count = math.prod(lead)
    if count > logits.shape[place]:
        raise ArgumentError(
            wrong=f"categorical was asked for {count} different ones of {logits.shape[place]} categories",
            fix="Ask for fewer, or give replace=True",
        )
    _, places = top_k(pnp.moveaxis(noisy, place, -1), count)
    return pnp.reshape(pnp.moveaxis(places, -1, 0), (*lead, *rows))


def _shuffled(key: Any, x: Any, axis: int) -> Any:
    """Sort by random numbers, as often as makes equal orders of two equal numbers unlikely."""
    rounds = math.ceil(3 * math.log(max(1, x.size)) / math.log(2**32 - 1))
    for _ in range(rounds):
        key, sub = split(key)
        _, x = sort_key_val(bits(sub, x.shape, np.uint32), x, axis)
    return x


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False, *, out_sharding: Any = None) -> Any:
    """A random order: of ``range(x)``, or of the slices of an array along an axis.

    Parameters
    ----------
    key : a random key
    x : int or array
    axis : int
    independent : bool
        Order each line along the axis on its own.

    Examples
    --------
    >>> import portax
    >>> sorted(portax.random.permutation(portax.random.key(0), 3).tolist())
    [0, 1, 2]
    """
    if isinstance(x, int | np.integer) or aval_of(x).ndim == 0:
        if not dtypes.is_integer(aval_of(x).dtype):
            raise ArgumentError(wrong=f"permutation was given {x!r}", fix="Give a whole number or an array")
        return _shuffled(key, pnp.arange(int(x)), 0)
    x = pnp.asarray(x)
    axis = axis % x.ndim
    if independent or x.ndim == 1:
        return _shuffled(key, x, axis)
    return pnp.take(x, _shuffled(key, pnp.arange(x.shape[axis]), 0), axis=axis, unique_indices=True)


def choice(
    key: Any, a: Any, shape: Sequence[int] = (), replace: bool = True, p: Any = None, axis: int = 0, *,
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Draws from ``range(a)``, or from the slices of an array along an axis.

    Parameters
    ----------
    key : a random key
    a : int or array
    shape : tuple of int
        How many draws, in what arrangement.
    replace : bool
        Whether one may be drawn again.
    p : array, optional
        The probabilities.
    axis : int

    Examples
    --------
    >>> import portax
    >>> portax.random.choice(portax.random.key(0), 5, (3,)).shape
    (3,)
    """
    shape = sizes(shape, "choice")
    whole = isinstance(a, int | np.integer) or aval_of(a).ndim == 0
    source = None if whole else pnp.asarray(a)
    axis = 0 if source is None else axis % source.ndim
    n = int(a) if source is None else source.shape[axis]
    draws = math.prod(shape)
    if n < 1 and draws:
        raise ArgumentError(wrong=f"choice was asked for {draws} draws from nothing", fix="Give something to draw from")
    if not replace and draws > n:
        raise ArgumentError(
            wrong=f"choice was asked for {draws} different ones of {n}", fix="Ask for fewer, or give replace=True"
        )
    if p is None:
        if replace:
            places = randint(key, shape, 0, n)
        else:
            places = pnp.reshape(permutation(key, n)[:draws], shape)
            if source is not None:
                mixed = permutation(key, source, axis)
                cut = [slice(None)] * axis + [slice(draws)]
                return pnp.reshape(mixed[tuple(cut)], (*source.shape[:axis], *shape, *source.shape[axis + 1 :]))
    else:
        p = pnp.asarray(p)
        p = p.astype(dtypes.to_inexact(p.dtype))
        if p.shape != (n,):
            raise ArgumentError(wrong=f"choice was given {p.aval} as probabilities of {n}", fix=f"Give shape ({n},)")
        if replace:
            total = pnp.cumsum(p)
            r = total[-1] * (1 - uniform(key, shape, total.dtype))
            # The first place whose running total reaches r.
            places = pnp.sum(pnp.expand_dims(r, -1) > total, axis=-1)
        else:
            _, top = top_k(pnp.log(p) + gumbel(key, (n,), p.dtype), draws)
            places = pnp.reshape(top, shape)
    if source is None:
        return places
    return pnp.take(source, places, axis=axis)
