"""Counts: Poisson, binomial and multinomial numbers, drawn by waiting times where few are expected, else by rejection.

All elements are drawn together; those that are done wait for the others. Each of the two ways runs with operands at
which it is quick where the other one's result is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.core.array import Array
from portax.core.lazy import lazy
from portax.errors import GapError, ShapeError
from portax.higher_order import scan, while_loop
from portax.lax.elementwise import clamp, lgamma
from portax.numpy.promotion import as_array
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.conversion import convert
from portax.random.sampling import Shape, common_shape, dtype_for, sampler, typed_key
from portax.random.uniform import split_key, unit

laying = lazy("portax.higher_order.laying")

#: Where an expected count is at least this, rejection is quicker than waiting.
_MANY = 10


def _until_all(accepted: Callable[..., tuple[Any, Any]], key: Any, shape: Shape, dtype: Any) -> Any:
    """Numbers from ``accepted(u, v) -> (k, taken)``, drawn again until every element has been taken."""

    def attempt(state: Any) -> Any:
        out, done, key = state
        key, first, second = split_key(key, 3)
        k, taken = accepted(unit(first, shape, dtype), unit(second, shape, dtype))
        return pnp.where(taken, k, out), done | taken, key

    start = pnp.full(shape, -1, dtype), pnp.zeros(shape, bool), key
    return while_loop(lambda s: pnp.any(~s[1]), attempt, start)[0]


# -- Poisson ----------------------------------------------------------------------------------------------------------
def _poisson_by_waiting(key: Any, rate: Any) -> Any:
    """How many exponential waiting times fit into ``rate``.

    References
    ----------
    Knuth, The Art of Computer Programming 2, 3.4.1, 1969; with logarithms of products.
    """

    def step(state: Any) -> Any:
        k, key, logs = state
        key, once = split_key(key)
        k = pnp.where(logs > -rate, k + 1, k)
        return k, key, logs + pnp.log(unit(once, rate.shape, rate.dtype))

    start = pnp.zeros(rate.shape, "int32"), key, pnp.zeros(rate.shape, rate.dtype)
    return while_loop(lambda s: pnp.any(s[2] > -rate), step, start)[0] - 1


def _poisson_by_rejection(key: Any, rate: Any) -> Any:
    """
    References
    ----------
    Hörmann, The transformed rejection method for generating Poisson random variables, 1993: algorithm PTRS.
    """
    log_rate = pnp.log(rate)
    b = 0.931 + 2.53 * pnp.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    limit = 0.9277 - 3.6224 / (b - 2)

    def accepted(u: Any, v: Any) -> tuple[Any, Any]:
        u = u - 0.5
        us = 0.5 - pnp.abs(u)
        k = pnp.floor((2 * a / us + b) * u + rate + 0.43)
        left = pnp.log(v * inverse_alpha / (a / (us * us) + b))
        right = -rate + k * log_rate - lgamma(k + 1)
        impossible = (k < 0) | ((us < 0.013) & (v > us))
        return k, ((us >= 0.07) & (v <= limit)) | (~impossible & (left <= right))

    return convert(_until_all(accepted, key, rate.shape, rate.dtype), np.dtype(np.int32))


@sampler
def _poisson(key: Any, rate: Any, *, shape: Shape, dtype: Any) -> Any:
    rate = broadcast_to(rate, shape)
    few = pnp.isnan(rate) | (rate < _MANY)
    by_waiting = _poisson_by_waiting(key, pnp.where(few, rate, 0.0))
    by_rejection = _poisson_by_rejection(key, pnp.where(few, 1e5, rate))
    out = pnp.where(rate == 0, 0, pnp.where(few, by_waiting, by_rejection))
    return convert(out, dtype)


def poisson(key: Any, lam: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Poisson numbers: the probability of ``k`` is ``lam**k exp(-lam) / k!``.

    Parameters
    ----------
    key : Array
        A key, typed or raw, of the generator threefry2x32.
    lam : number or Array
        The mean.
    shape : tuple of int, optional
        By default the shape of ``lam``.
    dtype : integer dtype, optional

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Raises
    ------
    GapError
        The key is of another generator.

    Examples
    --------
    >>> from portax import random
    >>> random.poisson(random.key(0), 3.0, (4,)).shape
    (4,)
    """
    if out_sharding is not None:
        return laying.laid(poisson(key, lam, shape, dtype), out_sharding)
    key, _ = typed_key(key, "poisson")
    if key.dtype.impl != "threefry2x32":
        raise GapError(
            wrong=f"poisson is not implemented for the random generator {key.dtype.impl!r}",
            fix="Use a key of threefry2x32, the default",
        )
    dtype, lam = dtype_for(dtype, "poisson", "int"), as_array(lam, "poisson")
    shape = common_shape(shape, "poisson", lam.shape)
    return _poisson(key, convert(lam, dtypes.float32), shape=shape, dtype=dtype)


# -- binomial ---------------------------------------------------------------------------------------------------------
def _binomial_by_waiting(key: Any, count: Any, prob: Any) -> Any:
    """How many geometric waiting times fit into ``count`` trials.

    References
    ----------
    Devroye, Non-uniform random variate generation, 1986, X.4.
    """
    log1_p = pnp.log1p(-prob)

    def step(state: Any) -> Any:
        k, trials, key = state
        once, key = split_key(key)
        k = pnp.where(trials <= count, k + 1, k)
        return k, trials + pnp.ceil(pnp.log(unit(once, count.shape, count.dtype)) / log1_p), key

    start = pnp.zeros_like(count), pnp.zeros_like(count), key
    return while_loop(lambda s: pnp.any(s[1] <= count), step, start)[0] - 1


#: ``log(k!)`` less Stirling's formula for ``(k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2``, for k = 0 ... 9.
_TAILS = np.array([
    math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi)) for k in range(10)
])  # fmt: skip


def _tail(k: Any) -> Any:
    """What Stirling's formula lacks at ``k``."""
    near = clamp(0.0, k, 9.0)
    known = pnp.take(pnp.asarray(_TAILS, k.dtype), pnp.floor(near).astype("int32"))
    squared = (near + 1) * (near + 1)
    # The series is taken at the limited number, which makes it 0.008 from there on: only so are the draws JAX's. Of
    # four tails two count against the other two, so acceptance is off by less, and only near 0 and ``count``.
    series = (1 / 12 - (1 / 360 - 1 / 1260 / squared) / squared) / (near + 1)
    return pnp.where(k <= 9, known, series)


def _binomial_by_rejection(key: Any, count: Any, prob: Any) -> Any:
    """
    References
    ----------
    Hörmann, The generation of binomial random variates, Journal of Statistical Computation and Simulation 46, 1993:
    algorithm BTRS.
    """
    deviation = pnp.sqrt(count * prob * (1 - prob))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    c = count * prob + 0.5
    limit = 0.92 - 4.2 / b
    odds = prob / (1 - prob)
    alpha = (2.83 + 5.1 / b) * deviation
    middle = pnp.floor((count + 1) * prob)

    def accepted(u: Any, v: Any) -> tuple[Any, Any]:
        u = u - 0.5
        us = 0.5 - pnp.abs(u)
        k = pnp.floor((2 * a / us + b) * u + c)
        impossible = (k < 0) | (k > count)
        left = pnp.log(v * alpha / (a / (us * us) + b))
        right = (
            (middle + 0.5) * pnp.log((middle + 1) / (odds * (count - middle + 1)))
            + (count + 1) * pnp.log((count - middle + 1) / (count - k + 1))
            + (k + 0.5) * pnp.log(odds * (count - k + 1) / (k + 1))
            + _tail(middle) + _tail(count - middle) - _tail(k) - _tail(count - k)
        )  # fmt: skip
        return k, ((us >= 0.07) & (v <= limit)) | (~impossible & (left <= right))

    return _until_all(accepted, key, count.shape, count.dtype)


def binomial_of(key: Any, count: Any, prob: Any) -> Any:
    """Binomial numbers of arrays of one shape and dtype, for formulas."""
    rare = prob < 0.5
    q = pnp.where(rare, prob, 1 - prob)
    no_count = pnp.isnan(count) | (count < 0)
    endless = pnp.isinf(count)
    no_prob = pnp.isnan(q) | (q < 0)
    q = pnp.where(no_prob, 0.01, q)
    few = no_count | (count * q <= _MANY)
    whole = pnp.floor(count)
    by_waiting = _binomial_by_waiting(key, pnp.where(few, whole, 0.0), q)
    by_rejection = _binomial_by_rejection(key, pnp.where(few, 1e4, whole), pnp.where(few, 0.5, q))
    out = pnp.where(few, by_waiting, by_rejection)
    bad = no_prob | pnp.isnan(prob) | no_count
    out = pnp.where(bad, np.nan, out)
    out = pnp.where(endless & ~bad, np.inf, out)
    return pnp.where(rare | no_count | no_prob | endless, out, whole - out)


def _drawn_in(p: Any) -> Any:
    """The dtype that binomial numbers are drawn in, whatever they are asked for in: that of the probability."""
    return dtypes.to_inexact(p.dtype)


@sampler
def _binomial(key: Any, n: Any, p: Any, *, shape: Shape, dtype: Any) -> Any:
    drawn = _drawn_in(p)
    out = binomial_of(key, broadcast_to(convert(n, drawn), shape), broadcast_to(convert(p, drawn), shape))
    return convert(out, dtype)


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Array:
    """Binomial numbers: how many of ``n`` trials succeed, each with probability ``p``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    n, p : number or Array
        NaN comes of a negative ``n``, or of a ``p`` outside [0, 1].
    shape : tuple of int, optional
        By default what the parameters spread to.
    dtype : floating dtype, optional

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> from portax import random
    >>> random.binomial(random.key(0), 5, 1.0, (2,)).tolist()
    [5.0, 5.0]
    """
    key, _ = typed_key(key, "binomial")
    dtype = dtype_for(dtype, "binomial")
    n, p = as_array(n, "binomial"), as_array(p, "binomial")
    return _binomial(key, n, p, shape=common_shape(shape, "binomial", n.shape, p.shape), dtype=dtype)


@sampler
def _multinomial(key: Any, n: Any, p: Any, *, shape: Shape, dtype: Any, unroll: int | bool) -> Any:
    """One outcome after another: each a binomial number of the trials left, given the outcomes before."""
    drawn = _drawn_in(p)
    left = broadcast_to(convert(n, drawn), shape[:-1])
    p = pnp.moveaxis(broadcast_to(convert(p, drawn), shape), -1, 0)
    rest = pnp.flip(pnp.cumsum(pnp.flip(p, 0), 0), 0)
    given = p / pnp.where(rest == 0, 1, rest)

    def draw(left: Any, step: Any) -> tuple[Any, Any]:
        share, key = step
        found = binomial_of(key, left, pnp.clip(share, 0, 1))
        return left - found, found

    keys = pnp.stack(split_key(key, shape[-1])) if shape[-1] else None
    if keys is None:
        return pnp.zeros(shape, dtype)
    return convert(pnp.moveaxis(scan(draw, left, (given, keys), unroll=unroll)[1], 0, -1), dtype)


def multinomial(key: Any, n: Any, p: Any, *, shape: Any = None, dtype: Any = None, unroll: int | bool = 1) -> Array:
    """How often each outcome comes of ``n`` trials.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    n : number or Array of shape (...)
        Trials.
    p : Array of shape (..., k)
        Probabilities of the outcomes, up to a factor.
    shape : tuple of int, optional
        Of the result, with the last axis; by default what the parameters spread to.
    dtype : floating dtype, optional
    unroll : int or bool
        Outcomes drawn in one step of the compiled loop.

    Returns
    -------
    Array of shape (..., k) and ``dtype``

    Raises
    ------
    ShapeError
        ``p`` has no axis, or the shapes do not fit.

    Examples
    --------
    >>> from portax import numpy as pnp, random
    >>> float(random.multinomial(random.key(0), 5, pnp.array([0.2, 0.8])).sum())
    5.0
    """
    key, _ = typed_key(key, "multinomial")
    dtype = dtype_for(dtype, "multinomial")
    n, p = as_array(n, "multinomial"), as_array(p, "multinomial")
    if not p.ndim:
        raise ShapeError(wrong="multinomial needs p of at least one axis, got a scalar", fix="Give a vector")
    whole = common_shape(shape, "multinomial", p.shape, (*n.shape, 1))
    if not whole or whole[-1] != p.shape[-1]:
        raise ShapeError(
            wrong=f"multinomial was asked for shape {whole}, and p has {p.shape[-1]} outcomes",
            fix="End the shape with the number of outcomes",
        )
    return _multinomial(key, n, p, shape=whole, dtype=dtype, unroll=unroll)
