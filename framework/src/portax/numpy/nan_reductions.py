"""Reductions that leave NaN out: each puts what changes nothing in its place and reduces as `reductions` does.

Arrays of integers and bools have no NaN, and are reduced as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes, promotion
from portax.core.dtypes import user_dtype
from portax.numpy import reductions
from portax.numpy.choosing import isnan
from portax.numpy.choosing import where as choose
from portax.numpy.promotion import as_array
from portax.numpy.reductions import Axis


def _filled(x: Any, value: Any) -> Any:
    """``x`` with ``value`` in place of NaN."""
    return choose(isnan(x), np.asarray(value).astype(x.dtype), x) if dtypes.is_inexact(x.dtype) else x


def _extreme(name: str, plain: Any, value: float, word: str) -> Callable[..., Any]:
    def function(
        a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
    ) -> Any:
        reductions.no_out(name, out)
        x = as_array(a, name)
        if not dtypes.is_inexact(x.dtype):
            return plain(x, axis, None, keepdims, initial, where)
        # Only a set of nothing but NaN is NaN still; with a first value none is.
        result = plain(_filled(x, value), axis, None, keepdims, initial, where)
        if initial is not None:
            return result
        return choose(reductions.all(isnan(x), axis, None, keepdims), np.asarray(np.nan).astype(x.dtype), result)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {word} of array elements over axes, NaN left out; NaN where there is nothing else.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.
    initial : scalar, optional
        A value to compare with.
    where : array of bool, optional
        Which elements to look at.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.{name}(pnp.array([2.0, pnp.nan])))
    2.0
    """
    return function


nanmax = _extreme("nanmax", reductions.max, -np.inf, "greatest")
nanmin = _extreme("nanmin", reductions.min, np.inf, "least")


def _total(name: str, plain: Any, value: int, word: str) -> Callable[..., Any]:
    def function(
        a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
        where: Any = None,
    ) -> Any:  # fmt: skip
        reductions.no_out(name, out)
        return plain(_filled(as_array(a, name), value), axis, dtype, None, keepdims, initial, where)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {word} of array elements over axes, NaN left out; parameters as for ``sum``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.{name}(pnp.array([3.0, pnp.nan])))
    3.0
    """
    return function


nansum = _total("nansum", reductions.sum, 0, "sum")
nanprod = _total("nanprod", reductions.prod, 1, "product")


def _running(name: str, plain: Any, value: int, word: str) -> Callable[..., Any]:
    def function(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
        reductions.no_out(name, out)
        return plain(_filled(as_array(a, name), value), axis, dtype)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The running {word} along an axis, NaN left out; parameters as for ``cumsum``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.{name}(pnp.array([3.0, pnp.nan])).tolist()
    [3.0, 3.0]
    """
    return function


nancumsum = _running("nancumsum", reductions.cumsum, 0, "sum")
nancumprod = _running("nancumprod", reductions.cumprod, 1, "product")


def _counted(x: Any, axis: Axis, keepdims: bool, where: Any, dtype: Any) -> Any:
    """How many elements are not NaN."""
    return reductions.sum(p.not_(isnan(x)), axis, dtype, None, keepdims, None, where)


def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, where: Any = None
) -> Any:
    """The arithmetic mean over axes, NaN left out.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    dtype : dtype, optional
        Of the mean.
    keepdims : bool
        Keep the axes with length 1.
    where : array of bool, optional
        Which elements to look at.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.nanmean(pnp.array([1.0, pnp.nan, 3.0])))
    2.0
    """
    reductions.no_out("nanmean", out)
    x = as_array(a, "nanmean")
    if not dtypes.is_inexact(x.dtype):
        return reductions.mean(x, axis, dtype, None, keepdims, where=where)
    target = x.dtype if dtype is None else user_dtype(dtype, "nanmean")
    total = nansum(x, axis, target, None, keepdims, None, where)
    return reductions.converted(total / _counted(x, axis, keepdims, where, target), target)


def nanvar(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Any:  # fmt: skip
    """The variance over axes, NaN left out.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    dtype : dtype, optional
    ddof : int
        Taken off the number of elements divided by; NaN where nothing is left.
    keepdims : bool
        Keep the axes with length 1.
    where : array of bool, optional
    mean : array, optional
        The mean, with the axes kept, where it is known.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.nanvar(pnp.array([1.0, pnp.nan, 3.0])))
    1.0
    """
    reductions.no_out("nanvar", out)
    x = as_array(a, "nanvar")
    target = reductions.variance_dtype(x.dtype, dtype, "nanvar")
    wide = dtypes.accumulator(dtypes.to_inexact(promotion.promote(x.dtype, False, target, False)[0]))
    x = reductions.converted(x, wide)
    center = nanmean(x, axis, wide, None, True, where) if mean is None else as_array(mean, "nanvar")
    # What is NaN in x is left out; what becomes NaN here, as an infinity less its mean, is not.
    square = reductions.squared(choose(isnan(x), np.asarray(0, x.dtype), x - center))
    real = dtypes.real_dtype(wide)
    if dtype is None:
        target = dtypes.real_dtype(target)
    count = _counted(x, axis, keepdims, where, real) - ddof
    total = reductions.sum(square, axis, real, None, keepdims, None, where)
    # Where nothing is left to divide by, the result is NaN whatever x is: neither it nor its derivative is divided.
    defined = count > 0
    result = choose(defined, total, np.asarray(np.nan, real)) / choose(defined, count, np.asarray(1, real))
    return reductions.converted(result, target)


def nanstd(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Any:  # fmt: skip
    """The standard deviation over axes, NaN left out; parameters as for ``nanvar``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.nanstd(pnp.array([1.0, pnp.nan, 3.0])))
    1.0
    """
    return p.sqrt(nanvar(a, axis, dtype, out, ddof, keepdims, where, mean))


def _place(name: str, plain: Any, value: float, word: str) -> Callable[..., Any]:
    def function(a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Any:
        reductions.no_out(name, out)
        x = as_array(a, name)
        if not dtypes.is_inexact(x.dtype):
            return plain(x, axis, None, keepdims)
        found = plain(_filled(x, value), axis, None, keepdims)
        return choose(reductions.all(isnan(x), axis, None, bool(keepdims)), np.asarray(-1, found.dtype), found)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The place of the {word} element along an axis, NaN left out; -1 where there is nothing else.

    Parameters
    ----------
    a : array
    axis : int, or None for the place in the flattened array
    keepdims : bool
        Keep the axis with length 1.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> int(pnp.{name}(pnp.array([pnp.nan, 5.0])))
    1
    """
    return function


nanargmax = _place("nanargmax", reductions.argmax, -np.inf, "greatest")
nanargmin = _place("nanargmin", reductions.argmin, np.inf, "least")
