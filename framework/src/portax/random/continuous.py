"""Distributions that are a formula of one or two uniform or normal numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.config import config
from portax.core.lazy import lazy
from portax.errors import ArgumentError
from portax.numpy.promotion import as_array
from portax.primitives.arithmetic import abs_, add, div, integer_pow, mul, neg, sign, sqrt, sub
from portax.primitives.broadcasting import broadcast_to, reduce_sum
from portax.primitives.comparison import ge, le, lt, select_n
from portax.primitives.conversion import convert
from portax.primitives.decomposing import constant, where
from portax.primitives.elementwise import like
from portax.primitives.exponential import exp, log, log1p, pow_
from portax.primitives.trigonometric import tan
from portax.random.normal import real_normal
from portax.random.sampling import (
    Shape,
    common_shape,
    dtype_for,
    parameters,
    sampler,
    sizes,
    spread,
    typed_key,
)
from portax.random.uniform import between, row, split_key, unit

laying = lazy("portax.higher_order.laying")

_COMMON = """

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    {parameters}shape : tuple of int{optional}
    dtype : floating dtype, optional

    Returns
    -------
    Array of ``shape`` and ``dtype``
    """


# -- formulas ---------------------------------------------------------------------------------------------------------
def exponential_of(key: Any, shape: Shape, dtype: Any) -> Any:
    """``-log(1 - u)``."""
    return neg(log1p(neg(unit(key, shape, dtype))))


def gumbel_noise(key: Any, shape: Shape, dtype: Any, mode: str) -> Any:
    """``-log(-log(u))``; "high" makes ``u`` of two uniforms, so that the tail reaches twice as far."""
    info = dtypes.finfo(dtype)
    if mode == "low":
        u = between(key, shape, dtype, np.asarray(info.tiny, dtype), np.ones((), dtype))
        return neg(log(neg(log(u))))
    pair = unit(key, (2, *shape), dtype)
    high, low = row(pair, 0), row(pair, 1)
    fine = mul(constant(dtype, 2.0 ** -int(info.nmant)), low)
    x = where(ge(high, like(high, 0.5)), high, add(add(high, fine), np.asarray(info.tiny, dtype)))
    return neg(log(neg(log1p(neg(x)))))


@sampler
def _exponential(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return exponential_of(key, shape, dtype)


@sampler
def _gumbel(key: Any, *, shape: Shape, dtype: Any, mode: str) -> Any:
    return gumbel_noise(key, shape, dtype, mode)


@sampler
def _laplace(key: Any, *, shape: Shape, dtype: Any) -> Any:
    low = np.asarray(-1.0 + float(dtypes.finfo(dtype).epsneg), dtype)
    u = between(key, shape, dtype, low, np.ones((), dtype))
    return mul(sign(u), log1p(neg(abs_(u))))


@sampler
def _logistic(key: Any, *, shape: Shape, dtype: Any) -> Any:
    u = between(key, shape, dtype, np.asarray(dtypes.finfo(dtype).tiny, dtype), np.ones((), dtype))
    return sub(log(u), log1p(neg(u)))


@sampler
def _cauchy(key: Any, *, shape: Shape, dtype: Any) -> Any:
    u = between(key, shape, dtype, np.asarray(dtypes.finfo(dtype).eps, dtype), np.ones((), dtype))
    return tan(mul(constant(dtype, float(np.pi)), sub(u, like(u, 0.5))))


@sampler
def _pareto(key: Any, b: Any, *, shape: Shape, dtype: Any) -> Any:
    return exp(div(exponential_of(key, shape, dtype), spread(convert(b, dtype), shape)))


@sampler
def _rayleigh(key: Any, scale: Any, *, shape: Shape, dtype: Any) -> Any:
    u = unit(key, shape, dtype)
    return mul(spread(convert(scale, dtype), shape), sqrt(mul(log(u), like(u, -2))))


@sampler
def _weibull_min(key: Any, scale: Any, concentration: Any, *, shape: Shape, dtype: Any) -> Any:
    e = exponential_of(key, shape, dtype)
    scale, concentration = (spread(convert(x, dtype), shape) for x in (scale, concentration))
    return mul(pow_(e, broadcast_to(div(like(e, 1), concentration), shape)), scale)


def maxwell_of(key: Any, shape: Shape, dtype: Any) -> Any:
    """The length of three normal numbers."""
    x = real_normal(key, (*shape, 3), dtype)
    return sqrt(reduce_sum(mul(x, x), axes=(len(shape),), out_sharding=None))


@sampler
def _maxwell(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return maxwell_of(key, shape, dtype)


@sampler
def _double_sided_maxwell(key: Any, loc: Any, scale: Any, *, shape: Shape, dtype: Any) -> Any:
    first, second = split_key(key)
    own = dtype_for(None, "double_sided_maxwell")
    heads = convert(lt(unit(second, shape, own), constant(own, 0.5)), dtype)
    signs = sub(mul(like(heads, 2), heads), like(heads, 1))
    loc, scale = (spread(convert(x, dtype), shape) for x in (loc, scale))
    return add(mul(mul(signs, maxwell_of(first, shape, dtype)), scale), loc)


@sampler
def _wald(key: Any, mean: Any, *, shape: Shape, dtype: Any) -> Any:
    first, second = split_key(key)
    mean = broadcast_to(convert(mean, dtype), shape)
    y = integer_pow(real_normal(first, shape, dtype), y=2)
    z = unit(second, shape, dtype)
    squared, two, four = integer_pow(mean, y=2), like(mean, 2), like(mean, 4)
    root = sqrt(add(mul(mul(four, mean), y), mul(squared, integer_pow(y, y=2))))
    x = sub(add(mean, div(mul(squared, y), two)), mul(div(mean, two), root))
    return select_n(le(z, div(mean, add(mean, x))), div(squared, x), x)


@sampler
def _triangular(key: Any, left: Any, mode: Any, right: Any, *, shape: Shape, dtype: Any) -> Any:
    left, mode, right = (broadcast_to(convert(x, dtype), shape) for x in (left, mode, right))
    u = unit(key, shape, dtype)
    width = sub(right, left)
    below = add(left, sqrt(mul(mul(u, width), sub(mode, left))))
    above = sub(right, sqrt(mul(mul(sub(like(u, 1), u), width), sub(right, mode))))
    return select_n(lt(u, div(sub(mode, left), width)), above, below)


# -- for users --------------------------------------------------------------------------------------------------------
def _plain(name: str, draw: Any, doc: str) -> Any:
    """A function of a key, a shape and a dtype."""

    def function(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Array:
        if out_sharding is not None:
            return laying.laid(function(key, shape, dtype), out_sharding)
        key, _ = typed_key(key, name)
        return draw(key, shape=sizes(shape, name), dtype=dtype_for(dtype, name))

    function.__name__ = function.__qualname__ = name
    example = f"""
    Examples
    --------
    >>> portax.random.{name}(portax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    function.__doc__ = doc + _COMMON.format(parameters="", optional="") + example
    return function


def _with_one(name: str, parameter: str, draw: Any, doc: str) -> Any:
    """A function of a key, one parameter, a shape and a dtype."""

    def run(key: Any, x: Any, shape: Any, dtype: Any, out_sharding: Any) -> Array:
        if out_sharding is not None:
            return laying.laid(run(key, x, shape, dtype, None), out_sharding)
        key, _ = typed_key(key, name)
        dtype = dtype_for(dtype, name)
        (x,) = parameters(name, dtype, x)
        return draw(key, x, shape=common_shape(shape, name, x.shape), dtype=dtype)

    return run


exponential = _plain("exponential", _exponential, "Exponential numbers of mean 1: the density is ``exp(-x)``, x >= 0.")
laplace = _plain("laplace", _laplace, "Laplace numbers: the density is ``exp(-abs(x)) / 2``.")
logistic = _plain("logistic", _logistic, "Logistic numbers: the density is ``exp(-x) / (1 + exp(-x))**2``.")
cauchy = _plain("cauchy", _cauchy, "Cauchy numbers: the density is ``1 / (pi (1 + x**2))``.")
maxwell = _plain("maxwell", _maxwell, "Maxwell numbers, the lengths of vectors of three normal numbers.")

_run_pareto = _with_one("pareto", "b", _pareto, "")
_run_rayleigh = _with_one("rayleigh", "scale", _rayleigh, "")
_run_wald = _with_one("wald", "mean", _wald, "")


def pareto(key: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Pareto numbers of shape ``b``: the density is ``b / x**(b + 1)``, x >= 1.

    Examples
    --------
    >>> portax.random.pareto(portax.random.key(0), 2.0, (2,)).shape
    (2,)
    """
    return _run_pareto(key, b, shape, dtype, out_sharding)


def rayleigh(key: Any, scale: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Rayleigh numbers, the lengths of vectors of two normal numbers, times ``scale``.

    Examples
    --------
    >>> portax.random.rayleigh(portax.random.key(0), 1.0, (2,)).shape
    (2,)
    """
    return _run_rayleigh(key, scale, shape, dtype, out_sharding)


def wald(key: Any, mean: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Array:
    """Wald (inverse Gaussian) numbers of mean ``mean`` and scale 1.

    References
    ----------
    Michael, Schucany, Haas, Generating random variates using transformations with multiple roots, 1976.

    Examples
    --------
    >>> portax.random.wald(portax.random.key(0), 1.0, (2,)).shape
    (2,)
    """
    return _run_wald(key, mean, shape, dtype, out_sharding)


def gumbel(key: Any, shape: Any = (), dtype: Any = None, mode: str | None = None, *, out_sharding: Any = None) -> Array:
    """Gumbel numbers: the density is ``exp(-(x + exp(-x)))``.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    shape : tuple of int
    dtype : floating dtype, optional
    mode : {"low", "high"}, optional
        With "low" no float32 sample exceeds 16, with "high" none exceeds 32, at twice the random bits.

    Returns
    -------
    Array of ``shape`` and ``dtype``

    Examples
    --------
    >>> portax.random.gumbel(portax.random.key(0), (2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(gumbel(key, shape, dtype, mode), out_sharding)
    key, _ = typed_key(key, "gumbel")
    if mode is None:
        mode = "high" if config.high_dynamic_range_gumbel else "low"  # pyright: ignore[reportAttributeAccessIssue]
    if mode not in ("low", "high"):
        raise ArgumentError(wrong=f"gumbel knows no mode {mode!r}", fix='Give "low" or "high"')
    return _gumbel(key, shape=sizes(shape, "gumbel"), dtype=dtype_for(dtype, "gumbel"), mode=mode)


def weibull_min(key: Any, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None) -> Array:
    """Weibull numbers: ``scale * e**(1 / concentration)`` of exponential numbers ``e``.

    Examples
    --------
    >>> portax.random.weibull_min(portax.random.key(0), 1.0, 2.0, (2,)).shape
    (2,)
    """
    key, _ = typed_key(key, "weibull_min")
    scale, concentration = (as_array(x, "weibull_min") for x in (scale, concentration))
    shape = common_shape(shape, "weibull_min", scale.shape, concentration.shape)
    return _weibull_min(key, scale, concentration, shape=shape, dtype=dtype_for(dtype, "weibull_min"))


def double_sided_maxwell(key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None) -> Array:
    """Maxwell numbers with random signs, times ``scale`` plus ``loc``; the parameters' shape comes after ``shape``.

    Examples
    --------
    >>> portax.random.double_sided_maxwell(portax.random.key(0), 0.0, 1.0, (2,)).shape
    (2,)
    """
    key, _ = typed_key(key, "double_sided_maxwell")
    loc, scale = (as_array(x, "double_sided_maxwell") for x in (loc, scale))
    own = common_shape(None, "double_sided_maxwell", loc.shape, scale.shape)
    shape = (*(sizes(shape, "double_sided_maxwell") or own), *own)
    return _double_sided_maxwell(key, loc, scale, shape=shape, dtype=dtype_for(dtype, "double_sided_maxwell"))


def triangular(
    key: Any, left: Any, mode: Any, right: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Triangular numbers: the density rises linearly from ``left`` to ``mode`` and falls from there to ``right``.

    Examples
    --------
    >>> portax.random.triangular(portax.random.key(0), 0.0, 0.5, 1.0, (2,)).shape
    (2,)
    """
    if out_sharding is not None:
        return laying.laid(triangular(key, left, mode, right, shape, dtype), out_sharding)
    key, _ = typed_key(key, "triangular")
    dtype = dtype_for(dtype, "triangular")
    xs = parameters("triangular", dtype, left, mode, right)
    return _triangular(key, *xs, shape=common_shape(shape, "triangular", *(x.shape for x in xs)), dtype=dtype)
