"""Gamma numbers and what is made of them.

A gamma number is drawn by rejection, each element with a key of its own and as many draws as it needs; elements that
are done wait for the others. The sample is differentiable in the distribution's parameter, its probability held fixed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.aval import aval_of
from portax.core.lazy import lazy
from portax.errors import ShapeError
from portax.higher_order import custom_jvp, while_loop
from portax.higher_order.composed import Composed
from portax.numpy.promotion import as_array
from portax.primitives.arithmetic import add, div, max_, mul, neg, sqrt, sub
from portax.primitives.barriers import stop_gradient
from portax.primitives.bits import and_
from portax.primitives.broadcasting import broadcast_in_dim, broadcast_to, reduce_sum, reshape
from portax.primitives.comparison import eq, ge, le
from portax.primitives.conversion import convert
from portax.primitives.decomposing import constant, where
from portax.primitives.elementwise import like
from portax.primitives.exponential import exp, log, pow_
from portax.primitives.random_bits import random_split
from portax.primitives.reductions import reduce_max, reduce_or
from portax.primitives.slicing import part
from portax.primitives.special import random_gamma_grad
from portax.random.continuous import exponential_of
from portax.random.normal import real_normal
from portax.random.sampling import (
    Shape,
    common_shape,
    dtype_for,
    parameters,
    sampler,
    spread,
    typed_key,
)
from portax.random.uniform import split_key, unit
from portax.transforms.batch import batch

laying = lazy("portax.higher_order.laying")


def _split_each(keys: Any, n: int) -> list[Any]:
    """``n`` arrays of keys from one array of rank 1."""
    many = random_split(keys, shape=(n,))
    return [reshape(part(many, 1, i, i + 1), new_sizes=keys.aval.shape, dimensions=None) for i in range(n)]


def _some(which: Any) -> Any:
    return reduce_or(which, axes=(0,), out_sharding=None)


def _draw(keys: Any, alpha: Any, log_space: bool) -> Any:
    """Gamma numbers of the orders ``alpha``, one for each key.

    References
    ----------
    Marsaglia, Tsang, A simple method for generating gamma variables, ACM TOMS 26(3), 2000. Orders below 1 are drawn at
    1 more, and multiplied by ``u**(1 / alpha)``.
    """
    n, dtype = alpha.aval.shape, alpha.dtype
    one, third = like(alpha, 1), constant(dtype, 1 / 3)
    large = ge(alpha, one)
    d = sub(where(large, alpha, add(alpha, one)), third)
    c = div(third, sqrt(d))

    def full(value: float) -> Any:
        return broadcast_in_dim(constant(dtype, value), shape=n, broadcast_dimensions=())

    def outside(state: Any) -> Any:
        return le(state[2], like(alpha, 0))

    def try_normal(state: Any) -> Any:
        todo = outside(state)
        key, once = _split_each(state[0], 2)
        x = real_normal(once, (), dtype)
        new = (key, x, add(one, mul(x, c)))
        return tuple(where(todo, a, b) for a, b in zip(new, state, strict=True))

    def rejected(state: Any) -> Any:
        _, x, v, u = state
        squeeze = sub(one, mul(constant(dtype, 0.0331), mul(x, x)))
        bound = add(mul(x, like(x, 0.5)), mul(d, add(sub(one, v), log(v))))
        return and_(ge(u, squeeze), ge(log(u), bound))

    def attempt(state: Any) -> Any:
        todo = rejected(state)
        key, for_x, for_u = _split_each(state[0], 3)
        # Elements that are done start the inner loop as done: they must not hold it up.
        start = (for_x, full(0), where(todo, full(-1), full(1)))
        _, x, v = while_loop(lambda s: _some(outside(s)), try_normal, start)
        new = (key, mul(x, x), mul(mul(v, v), v), unit(for_u, (), dtype))
        return tuple(where(todo, a, b) for a, b in zip(new, state, strict=True))

    key, last = _split_each(keys, 2)
    _, _, v, _ = while_loop(lambda s: _some(rejected(s)), attempt, (key, full(0), full(1), full(2)))
    if not log_space:
        boost = pow_(sub(one, unit(last, (), dtype)), div(one, alpha))
        return mul(mul(d, v), where(large, full(1), boost))
    logs = neg(exponential_of(last, (), dtype))
    none = where(large, large, eq(logs, like(logs, 0)))
    return add(add(log(d), log(v)), where(none, full(0), mul(logs, div(one, alpha))))


@custom_jvp
def _attached(sample: Any, alpha: Any) -> Any:
    return sample


@_attached.defjvp
def _attached_jvp(primals: Any, tangents: Any) -> Any:
    sample, alpha = primals
    return sample, mul(tangents[1], random_gamma_grad(alpha, sample))


@custom_jvp
def _attached_log(sample: Any, alpha: Any) -> Any:
    return sample


@_attached_log.defjvp
def _attached_log_jvp(primals: Any, tangents: Any) -> Any:
    sample, alpha = primals
    whole = exp(sample)
    # d log(x) = dx / x; an x too small for its dtype counts as the smallest normal number.
    whole = where(eq(whole, like(whole, 0)), np.asarray(dtypes.finfo(whole.dtype).tiny, whole.dtype), whole)
    return sample, mul(tangents[1], div(random_gamma_grad(alpha, whole), whole))


def gamma_of(key: Any, a: Any, shape: Shape, dtype: Any, log_space: bool) -> Any:
    """Gamma numbers, or their logarithms, for formulas."""
    a = broadcast_to(convert(a, dtype), shape)
    n = math.prod(shape)
    if not n:
        return a
    flat = reshape(stop_gradient(a), new_sizes=(n,), dimensions=None)
    sample = reshape(_draw(random_split(key, shape=(n,)), flat, log_space), new_sizes=shape, dimensions=None)
    return (_attached_log if log_space else _attached)(sample, a)


@sampler
def _gamma(key: Any, a: Any, *, shape: Shape, dtype: Any, log_space: bool) -> Any:
    return gamma_of(key, a, shape, dtype, log_space)


@sampler
def _beta(key: Any, a: Any, b: Any, *, shape: Shape, dtype: Any) -> Any:
    logs = [gamma_of(k, x, shape, dtype, True) for k, x in zip(split_key(key), (a, b), strict=True)]
    greater = max_(*logs)
    first, second = (exp(sub(x, greater)) for x in logs)
    return div(first, add(first, second))


@sampler
def _dirichlet(key: Any, alpha: Any, *, shape: Shape, dtype: Any) -> Any:
    logs = gamma_of(key, alpha, shape, dtype, True)
    last = len(shape) - 1

    def along(x: Any) -> Any:
        return broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(last)))

    parts = exp(sub(logs, along(stop_gradient(reduce_max(logs, axes=(last,), out_sharding=None)))))
    return div(parts, along(reduce_sum(parts, axes=(last,), out_sharding=None)))


def chisquare_of(key: Any, df: Any, shape: Shape, dtype: Any) -> Any:
    """Chi-square numbers, for formulas."""
    two = constant(dtype, 2)
    return mul(exp(gamma_of(key, div(df, two), shape, dtype, True)), two)


@sampler
def _chisquare(key: Any, df: Any, *, shape: Shape, dtype: Any) -> Any:
    return chisquare_of(key, convert(df, dtype), shape, dtype)


@sampler
def _f(key: Any, dfnum: Any, dfden: Any, *, shape: Shape, dtype: Any) -> Any:
    dfnum, dfden = (convert(x, dtype) for x in (dfnum, dfden))
    below, above = split_key(key)
    num = div(chisquare_of(above, dfnum, shape, dtype), spread(dfnum, shape))
    return div(num, div(chisquare_of(below, dfden, shape, dtype), spread(dfden, shape)))


@sampler
def _t(key: Any, df: Any, *, shape: Shape, dtype: Any) -> Any:
    first, second = split_key(key)
    half = div(convert(df, dtype), constant(dtype, 2))
    g = gamma_of(second, half, shape, dtype, False)
    return mul(real_normal(first, shape, dtype), sqrt(div(spread(half, shape), g)))


def gamma(key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Gamma numbers of order ``a``: the density is proportional to ``x**(a - 1) exp(-x)``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    a : number or Array
        Positive. The sample is differentiable in it.
    shape : tuple of int, optional
        By default the shape of ``a``.
    dtype : floating dtype, optional

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> portax.random.gamma(portax.random.key(0), 2.0, (2,)).shape
    (2,)
    """
    return _gammas("gamma", key, a, shape, dtype, out_sharding, False)


def loggamma(key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Logarithms of gamma numbers: exact where the numbers themselves would vanish, at small ``a``.

    Examples
    --------
    >>> portax.random.loggamma(portax.random.key(0), 2.0, (2,)).shape
    (2,)
    """
    return _gammas("loggamma", key, a, shape, dtype, out_sharding, True)


def _gammas(name: str, key: Any, a: Any, shape: Any, dtype: Any, out_sharding: Any, log_space: bool) -> Array:
    if out_sharding is not None:
        return laying.laid(_gammas(name, key, a, shape, dtype, None, log_space), out_sharding)
    key, _ = typed_key(key, name)
    a, dtype = as_array(a, name), dtype_for(dtype, name)
    return _gamma(key, a, shape=common_shape(shape, name, a.shape), dtype=dtype, log_space=log_space)


def _parametric(name: str, draw: Any, key: Any, xs: Any, shape: Any, dtype: Any, out_sharding: Any) -> Array:
    if out_sharding is not None:
        return laying.laid(_parametric(name, draw, key, xs, shape, dtype, None), out_sharding)
    key, _ = typed_key(key, name)
    dtype = dtype_for(dtype, name)
    arrays = parameters(name, dtype, *xs)
    return draw(key, *arrays, shape=common_shape(shape, name, *(x.shape for x in arrays)), dtype=dtype)


def beta(key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Beta numbers: the density is proportional to ``x**(a - 1) (1 - x)**(b - 1)``, 0 <= x <= 1.

    Examples
    --------
    >>> portax.random.beta(portax.random.key(0), 2.0, 3.0, (2,)).shape
    (2,)
    """
    return _parametric("beta", _beta, key, (a, b), shape, dtype, out_sharding)


def chisquare(key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Chi-square numbers with ``df`` degrees of freedom.

    Examples
    --------
    >>> portax.random.chisquare(portax.random.key(0), 3.0, shape=(2,)).shape
    (2,)
    """
    return _parametric("chisquare", _chisquare, key, (df,), shape, dtype, out_sharding)


def f(key: Any, dfnum: Any, dfden: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """F numbers with ``dfnum`` and ``dfden`` degrees of freedom.

    Examples
    --------
    >>> portax.random.f(portax.random.key(0), 2.0, 3.0, shape=(2,)).shape
    (2,)
    """
    return _parametric("f", _f, key, (dfnum, dfden), shape, dtype, out_sharding)


def t(key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Student's t numbers with ``df`` degrees of freedom.

    Examples
    --------
    >>> portax.random.t(portax.random.key(0), 3.0, (2,)).shape
    (2,)
    """
    return _parametric("t", _t, key, (df,), shape, dtype, out_sharding)


def dirichlet(key: Any, alpha: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Points of a simplex: nonnegative numbers along the last axis whose sum is 1.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    alpha : Array of shape (..., n)
    shape : tuple of int, optional
        Without the last axis; by default that of ``alpha``.
    dtype : floating dtype, optional

    Examples
    --------
    >>> portax.random.dirichlet(portax.random.key(0), np.ones(3, np.float32), (2,)).shape
    (2, 3)
    """
    if out_sharding is not None:
        return laying.laid(dirichlet(key, alpha, shape, dtype), out_sharding)
    key, _ = typed_key(key, "dirichlet")
    alpha, dtype = as_array(alpha, "dirichlet"), dtype_for(dtype, "dirichlet")
    if not alpha.ndim:
        raise ShapeError(wrong="dirichlet needs alpha of at least one axis, got a scalar", fix="Give a vector")
    lead = common_shape(shape, "dirichlet", alpha.shape[:-1])
    return _dirichlet(key, alpha, shape=(*lead, alpha.shape[-1]), dtype=dtype)


def _gammas_of_keys(key: Any, a: Any, *, log_space: bool = False) -> Any:
    """Gamma numbers of orders ``a``, or their logarithms, with one key, or one for each along the first axes."""
    shape, leading = aval_of(a).shape, aval_of(key).ndim
    if not leading:
        return gamma_of(key, a, shape, aval_of(a).dtype, log_space)
    rows = lambda key, a: [_gammas_of_keys(key, a, log_space=log_space)]
    [out], _ = batch(rows, [key, a], [True, True], shape[0])
    return out


random_gamma_p = Composed("random_gamma", _gammas_of_keys)
