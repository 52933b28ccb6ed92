"""Averages, quantiles and covariances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.config import config
from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.errors import ArgumentError, ShapeError
from portax.numpy import reductions
from portax.numpy.axes import normalize_axes
from portax.numpy.choosing import clip, isnan
from portax.numpy.choosing import where as choose
from portax.numpy.composition import composite
from portax.numpy.products import dot
from portax.numpy.promotion import as_array, promote_dtypes_inexact, spread
from portax.numpy.reductions import Axis, converted, no_out
from portax.numpy.rounding import conj, imag, real
from portax.numpy.shaping import expand_dims, moveaxis, reshape
from portax.numpy.taking import take_along_axis
from portax.primitives.cumulative import cumsum

laying = lazy("portax.higher_order.laying")

#: How to choose between the two elements on either side of a place: see `quantile`.
METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The weighted mean over axes: ``sum(a * weights) / sum(weights)``.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    weights : array, optional
        Of the shape of ``a``, or of its lengths along ``axis``; equal ones by default.
    returned : bool
        Give the sums of weights, too.
    keepdims : bool
        Keep the axes with length 1.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.average(pnp.array([1.0, 2.0]), weights=pnp.array([3, 1])))
    1.25
    """
    if weights is None:
        x = as_array(a, "average")
        mean = reductions.mean(x, axis, None, None, keepdims)
        if not returned:
            return mean
        axes = tuple(range(x.ndim)) if axis is None else normalize_axes(axis, x.ndim, "average")
        count = np.asarray(math.prod(x.shape[d] for d in axes)).astype(mean.dtype)
        return mean, spread(as_array(count), mean.shape)
    x, w = promote_dtypes_inexact("average", a, weights)
    axes = None if axis is None else normalize_axes(axis, x.ndim, "average")
    if x.shape != w.shape:
        w = _weights_along(x, w, axes)
    total = reductions.sum(w, axes, None, None, keepdims)
    mean = reductions.sum(x * w, axes, None, None, keepdims) / total
    return (mean, spread(total, mean.shape)) if returned else mean


def _weights_along(x: Any, w: Any, axes: tuple[int, ...] | None) -> Any:
    """Weights along some axes of ``x``, in its shape."""
    if axes is None:
        raise ShapeError(
            wrong=f"average was given {x.aval} and weights {w.aval}, and no axis", fix="Give axis=, or equal shapes"
        )
    if w.shape != tuple(x.shape[d] for d in axes):
        raise ShapeError(
            wrong=f"average along the axes {axes} of {x.aval} was given weights {w.aval}",
            fix="Give one weight for each element along these axes",
        )
    order = tuple(int(i) for i in np.argsort(axes))
    w = p.transpose(w, permutation=order)
    return p.broadcast_in_dim(w, shape=x.shape, broadcast_dimensions=tuple(sorted(axes)))


# -- quantiles --------------------------------------------------------------------------------------------------------
def _quantile(
    name: str, a: Any, q: Any, axis: Axis, method: str, keepdims: bool, skip_nan: bool, weights: Any = None,
    share: int = 1,
) -> Any:  # fmt: skip
    if method not in METHODS and not (weights is not None and method == "inverted_cdf"):
        raise ArgumentError(wrong=f"{name} has no method {method!r}", fix=f"Give one of {', '.join(METHODS)}")
    if weights is not None and method != "inverted_cdf":
        raise ArgumentError(
            wrong=f"{name} was given weights and method={method!r}", fix="Give method='inverted_cdf' with weights"
        )
    [x], [q] = promote_dtypes_inexact(name, a), promote_dtypes_inexact(name, q)
    if dtypes.is_complex(x.dtype):
        raise ArgumentError(
            wrong=f"{name} was given {x.aval}, and complex numbers have no order", fix="Give real numbers"
        )
    if q.ndim > 1:
        raise ShapeError(wrong=f"{name} was given q of shape {q.shape}", fix="Give a number or a list of numbers")
    q = converted(q, dtypes.accumulator(x.dtype)) / share
    axes = tuple(range(x.ndim)) if axis is None else normalize_axes(axis, x.ndim, name)
    kept = tuple(d for d in range(x.ndim) if d not in axes)
    shape = tuple(x.shape[d] for d in kept)
    x = reshape(p.transpose(x, permutation=(*kept, *axes)), (*shape, math.prod(x.shape[d] for d in axes)))
    if not x.shape[-1]:
        raise ShapeError(wrong=f"{name} of no elements was asked for", fix="Give an array with elements")
    if weights is not None:
        w = as_array(weights, name)
        if w.ndim == 1 and len(axes) == 1:
            w = spread(w, x.shape)
        else:
            w = spread(w, tuple(x_shape for x_shape in as_array(a, name).shape))
            w = reshape(p.transpose(w, permutation=(*kept, *axes)), x.shape)
        out = _weighted(x, q, w)
    else:
        out = _between(x, q, method=method, skip_nan=skip_nan)
    out = moveaxis(out, -1, 0) if q.ndim else out
    if keepdims:
        lead = q.ndim
        out = expand_dims(out, tuple(d + lead for d in axes)) if axes else out
    return out


def _sorted(x: Any) -> Any:
    [out] = p.sort(x, dimension=x.ndim - 1, is_stable=True, num_keys=1)
    return out


@composite
def _between(x: Any, q: Any, *, method: str, skip_nan: bool) -> Any:
    """Quantiles along the last axis; those of each row along a last axis, if ``q`` has one."""
    missing = isnan(x)
    n = x.shape[-1]
    ordered = _sorted(x)  # NaN comes last
    if skip_nan:
        count = reductions.sum(p.not_(missing), -1, q.dtype)
    else:
        any_missing = reductions.any(missing, -1)
        count = spread(as_array(np.asarray(n).astype(q.dtype)), x.shape[:-1])
    if q.ndim:
        count = expand_dims(count, -1)
    place = q * (count - 1)
    low, high = p.floor(place), p.ceil(place)
    upper_weight = place - low
    top = count - 1
    index = config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]
    low, high = (converted(clip(v, 0, top), index) for v in (low, high))
    low_value, high_value = _at(ordered, low, q.ndim), _at(ordered, high, q.ndim)
    if method == "linear":
        out = converted(low_value * (1 - upper_weight) + high_value * upper_weight, x.dtype)
    elif method == "lower":
        out = low_value
    elif method == "higher":
        out = high_value
    elif method == "nearest":
        out = choose(upper_weight <= 0.5, low_value, high_value)
    else:
        out = (low_value + high_value) * 0.5
    nan = np.asarray(np.nan).astype(x.dtype)
    if skip_nan:
        return choose(count > 0, out, nan)
    return choose(expand_dims(any_missing, -1) if q.ndim else any_missing, nan, out)


def _at(ordered: Any, places: Any, many: int) -> Any:
    """The elements at ``places`` along the last axis."""
    if not many:
        return take_along_axis(ordered, expand_dims(places, -1), -1, mode="clip")[..., 0]
    return take_along_axis(ordered, places, -1, mode="clip")


def _weighted(x: Any, q: Any, w: Any) -> Any:
    """The first element whose share of the weights, with that of those before it, reaches ``q``."""
    last = x.ndim - 1
    ordered, weight = p.sort(x, converted(w, q.dtype), dimension=last, is_stable=True, num_keys=1)
    share = cumsum(weight, axis=last, reverse=False)
    share = share / share[..., -1:]
    wanted = q if q.ndim else q[None]
    before = reductions.sum(share[..., None, :] < wanted[:, None], -1)
    before = clip(before, 0, x.shape[-1] - 1)
    out = take_along_axis(ordered, before, -1, mode="clip")
    missing = reductions.any(isnan(x), -1, keepdims=True)
    out = choose(missing, np.asarray(np.nan).astype(x.dtype), out)
    return out if q.ndim else out[..., 0]


_QUANTILE_DOC = """The {what} over axes{nan}.

    Parameters
    ----------
    a : array of real numbers
    q : number or array of one axis, {range}
    axis : int, tuple of int, or None for all
    method : "linear", "lower", "higher", "midpoint" or "nearest"
        What to take between two elements; "inverted_cdf" with weights.
    keepdims : bool
        Keep the axes with length 1.
    weights : array, optional

    Returns
    -------
    Array whose first axis is that of ``q``, if it has one

    References
    ----------
    Hyndman and Fan, Sample Quantiles in Statistical Packages, The American Statistician 50(4), 1996: number 7.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.{name}(pnp.array([1.0, 2.0, 4.0]), {q}))
    3.0
    """


def _described(f: Callable[..., Any], name: str, share: int, skip_nan: bool) -> Callable[..., Any]:
    f.__name__ = f.__qualname__ = name
    f.__doc__ = _QUANTILE_DOC.format(
        what="quantiles" if share == 1 else "percentiles", nan=", NaN left out" if skip_nan else "; NaN if one is NaN",
        range="from 0 to 1" if share == 1 else "from 0 to 100", name=name, q="0.75" if share == 1 else "75",
    )  # fmt: skip
    return f


def _quantiles(name: str, share: int, skip_nan: bool) -> Callable[..., Any]:
    def function(
        a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: bool = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        no_out(name, out)
        _no_overwriting(name, overwrite_input)
        return _quantile(name, a, q, axis, method, keepdims, skip_nan, weights, share)

    return _described(function, name, share, skip_nan)


def _no_overwriting(name: str, overwrite_input: bool) -> None:
    if overwrite_input:
        raise ArgumentError(
            wrong=f"{name} was given overwrite_input=True, and arrays do not change", fix="Leave it out"
        )


def _percentile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None, out_sharding: Any = None,
) -> Any:  # fmt: skip
    if out_sharding is not None:
        return laying.laid(
            _percentile(a, q, axis, out, overwrite_input, method, keepdims, weights=weights), out_sharding
        )
    return _fractions(a, q, axis, out, overwrite_input, method, keepdims, weights=weights)


_fractions = _quantiles("percentile", 100, False)
percentile = _described(_percentile, "percentile", 100, False)
quantile = _quantiles("quantile", 1, False)
nanquantile = _quantiles("nanquantile", 1, True)
nanpercentile = _quantiles("nanpercentile", 100, True)


def _median(name: str, skip_nan: bool) -> Callable[..., Any]:
    def function(
        a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
    ) -> Any:
        no_out(name, out)
        _no_overwriting(name, overwrite_input)
        return _quantile(name, a, 0.5, axis, "midpoint", keepdims, skip_nan)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The median over axes: the middle element, or the mean of the two in the middle.

    {"NaN is left out." if skip_nan else "It is NaN if an element is NaN."}

    Parameters
    ----------
    a : array of real numbers
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.{name}(pnp.array([1.0, 5.0, 3.0])))
    3.0
    """
    return function


median = _median("median", False)
nanmedian = _median("nanmedian", True)


# -- covariance -------------------------------------------------------------------------------------------------------
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
    aweights: Any = None, dtype: Any = None,
) -> Any:  # fmt: skip
    """The covariance of each two of several variables.

    Parameters
    ----------
    m : array of at most two axes
        A variable in each row, an observation in each column.
    y : array, optional
        More variables.
    rowvar : bool
        False: variables are in the columns.
    bias : bool
        Divide by the number of observations, not by one less.
    ddof : int, optional
        Taken off the number of observations, whatever ``bias`` says.
    fweights : array of int, optional
        How often each observation was made.
    aweights : array, optional
        How much each observation weighs.
    dtype : dtype, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.cov(pnp.array([[0.0, 2.0], [1.0, 5.0]])).tolist()
    [[2.0, 4.0], [4.0, 8.0]]
    """
    arrays = promote_dtypes_inexact("cov", *([m] if y is None else [m, y]))
    if dtype is not None:
        arrays = [converted(x, user_dtype(dtype, "cov")) for x in arrays]
    for x in arrays:
        if x.ndim > 2:
            raise ShapeError(wrong=f"cov was given {x.aval}", fix="Give an array of at most two axes")
    rows = [_rows(x, rowvar) for x in arrays]
    x = rows[0] if y is None else p.concatenate(*rows, dimension=0)
    if ddof is None:
        ddof = 0 if bias else 1
    w = _observation_weights(x, fweights, aweights)
    mean, total = average(x, 1, w, True)
    total = total[0]
    if w is None:
        divisor = x.shape[1] - ddof
    elif ddof == 0:
        divisor = total
    elif aweights is None:
        divisor = total - ddof
    else:
        divisor = total - ddof * reductions.sum(w * as_array(aweights, "cov")) / total
    x = x - mean[:, None]
    weighted = x if w is None else x * w
    product = dot(x, conj(weighted.T) if dtypes.is_complex(x.dtype) else weighted.T)
    return (product / divisor).squeeze()


def _rows(x: Any, rowvar: bool) -> Any:
    x = x.reshape((1, -1)) if x.ndim < 2 else x
    return x.T if not rowvar and x.shape[0] != 1 else x


def _observation_weights(x: Any, fweights: Any, aweights: Any) -> Any:
    w = None
    for what, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        given = as_array(given, "cov")
        if given.shape != x.shape[1:]:
            raise ShapeError(
                wrong=f"cov of {x.shape[1]} observations was given {what} of shape {given.shape}",
                fix="Give one number for each observation",
            )
        if what == "fweights" and not dtypes.is_integer(given.dtype):
            raise ArgumentError(
                wrong=f"cov was given fweights={given.aval}, which count observations", fix="Give integers"
            )
        w = abs(given) if w is None else w * abs(given)
    return w


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Any:
    """The correlation coefficient of each two of several variables.

    Parameters
    ----------
    x : array of at most two axes
        A variable in each row, an observation in each column.
    y : array, optional
        More variables.
    rowvar : bool
        False: variables are in the columns.
    dtype : dtype, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.corrcoef(pnp.array([[0.0, 2.0], [1.0, 5.0]])).round(3).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    spread_of = p.sqrt(real(c.diagonal()))
    c = c / spread_of[:, None] / spread_of[None, :]
    if not dtypes.is_complex(c.dtype):
        return clip(c, -1, 1)
    return p.complex_(clip(real(c), -1, 1), clip(imag(c), -1, 1))
