"""Reductions: axes folded away by a sum, a product, an extreme, a mean.

Each is a primitive's reduction on the array that promotion gives: small integers and bools add up in the default
integer, floats in at least float32 and rounded once. ``where`` puts the reduction's identity in the places left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes
from portax.core.config import config
from portax.core.dtypes import user_dtype
from portax.errors import ArgumentError
from portax.numpy.axes import normalize_axes, normalize_axis
from portax.numpy.choosing import where as choose
from portax.numpy.promotion import as_array, common_shape, spread

Axis = Any


def _axes(axis: Axis, ndim: int, name: str) -> tuple[int, ...]:
    return tuple(range(ndim)) if axis is None else normalize_axes(axis, ndim, name)


def _kept(out: Any, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> Any:
    if not keepdims or not axes:
        return out
    sizes = tuple(1 if d in axes else n for d, n in enumerate(shape))
    return p.reshape(out, new_sizes=sizes, dimensions=None)


def no_out(name: str, out: Any) -> None:
    """Refuse ``out``, which NumPy's functions write to."""
    if out is not None:
        raise ArgumentError(wrong=f"{name} was given out=, and arrays do not change", fix="Use the result")


def converted(x: Any, dtype: Any) -> Any:
    """``x`` in ``dtype`` and firm: what a reduction gives is never weak."""
    return (
        x
        if x.dtype == dtype and not x.aval.weak_type
        else p.convert_element_type(x, new_dtype=dtype, weak_type=False, sharding=None)
    )


def sum_dtype(dtype: Any) -> Any:
    """The dtype a sum or product of ``dtype`` is given in: integers at least as wide as the default one."""
    kind = dtypes.kind(dtype)
    if kind == "bool":
        return config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]
    if kind in ("int", "uint"):
        default = config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]
        if dtypes.bits(dtype) < dtypes.bits(default):
            return default if kind == "int" else np.dtype(f"uint{dtypes.bits(default)}")
    return dtype


def mask_of(where: Any, name: str) -> Any:
    """What a function was given as ``where=``, as an array of bool."""
    mask = as_array(where, name)
    if mask.dtype != bool:
        raise ArgumentError(
            wrong=f"{name} was given where={mask.aval}", fix="Give an array of bool, for example by comparing with 0"
        )
    return mask


def _masked(x: Any, where: Any, identity: Any, name: str) -> Any:
    if where is None:
        return x
    mask = mask_of(where, name)
    shape = common_shape(name, [x.shape, mask.shape])
    return choose(mask, spread(x, shape), np.asarray(identity).astype(x.dtype))


def _fold(
    name: str, primitive: Any, x: Any, axis: Axis, keepdims: bool, initial: Any, where: Any, identity: Any, join: Any
) -> Any:
    x = _masked(x, where, identity if initial is None or identity is not None else initial, name)
    axes = _axes(axis, x.ndim, name)
    out = _kept(primitive(x, axes=axes), x.shape, axes, keepdims)
    if initial is not None:
        out = join(out, converted(as_array(initial, name), out.dtype))
    return out


def sum(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None, promote_integers: bool = True,
) -> Any:  # fmt: skip
    """The sum of array elements over axes.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    dtype : dtype, optional
        Of the sum; by default integers are at least as wide as the default integer.
    keepdims : bool
        Keep the summed axes with length 1.
    initial : scalar, optional
        Added to the sum.
    where : array of bool, optional
        Which elements to add.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.sum(pnp.array([1.0, 2.0])))
    3.0
    """
    no_out("sum", out)
    x = as_array(a, "sum")
    target = user_dtype(dtype, "sum") if dtype is not None else sum_dtype(x.dtype) if promote_integers else (
        config.scalar_dtypes[int] if x.dtype == bool else x.dtype  # pyright: ignore[reportAttributeAccessIssue]
    )
    return _fold("sum", p.reduce_sum, converted(x, target), axis, keepdims, initial, where, 0, p.add)


def prod(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None, promote_integers: bool = True,
) -> Any:  # fmt: skip
    """The product of array elements over axes; parameters as for ``sum``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> int(pnp.prod(pnp.array([2, 3])))
    6
    """
    no_out("prod", out)
    x = as_array(a, "prod")
    target = user_dtype(dtype, "prod") if dtype is not None else sum_dtype(x.dtype) if promote_integers else (
        config.scalar_dtypes[int] if x.dtype == bool else x.dtype  # pyright: ignore[reportAttributeAccessIssue]
    )
    return _fold("prod", p.reduce_prod, converted(x, target), axis, keepdims, initial, where, 1, p.mul)


def _extreme(name: str, primitive: Any, join: Any, word: str) -> Callable[..., Any]:
    def function(
        a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
    ) -> Any:
        no_out(name, out)
        x = as_array(a, name)
        x = converted(x, x.dtype)
        if where is not None and initial is None:
            raise ArgumentError(wrong=f"{name} was given where= and no initial=", fix="Give initial= as well")
        axes = _axes(axis, x.ndim, name)
        if initial is None and math.prod(x.shape[d] for d in axes) == 0:
            raise ArgumentError(
                wrong=f"{name} of no elements was asked for: {x.aval} over axes {axes}", fix="Give initial="
            )
        return _fold(name, primitive, x, axis, keepdims, initial, where, initial, join)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {word} of array elements over axes; NaN if one is NaN.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.
    initial : scalar, optional
        A value to compare with; needed where there are no elements.
    where : array of bool, optional
        Which elements to look at.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.{name}(pnp.array([2.0, 2.0])))
    2.0
    """
    return function


max = amax = _extreme("max", p.reduce_max, p.max_, "greatest")
min = amin = _extreme("min", p.reduce_min, p.min_, "least")


def _logical(name: str, primitive: Any, identity: bool, words: str) -> Callable[..., Any]:
    def function(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Any:
        no_out(name, out)
        x = as_array(a, name)
        if x.dtype != bool:
            x = p.ne(x, np.zeros((), x.dtype))
        return _fold(name, primitive, x, axis, keepdims, None, where, identity, None)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Whether {words} of the elements over axes are true (not zero).

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.
    where : array of bool, optional
        Which elements to look at.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> bool(pnp.{name}(pnp.array([True, True])))
    True
    """
    return function


all = _logical("all", p.reduce_and, True, "all")
any = _logical("any", p.reduce_or, False, "any")


def mean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    """The arithmetic mean over axes.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    dtype : dtype, optional
        Of the mean; floating point by default.
    keepdims : bool
        Keep the axes with length 1.
    where : array of bool, optional
        Which elements to look at.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.mean(pnp.array([1.0, 2.0])))
    1.5
    """
    no_out("mean", out)
    x = as_array(a, "mean")
    target = user_dtype(dtype, "mean") if dtype is not None else dtypes.to_inexact(x.dtype)
    # A mean in an integer dtype is that of the converted elements, cut off.
    wide = dtypes.accumulator(dtypes.to_inexact(target))
    x = converted(converted(x, target), wide)
    total = sum(x, axis, None, None, keepdims, None, where)
    if where is None:
        axes = _axes(axis, x.ndim, "mean")
        count: Any = np.asarray(math.prod(x.shape[d] for d in axes)).astype(wide)
    else:
        mask = spread(mask_of(where, "mean"), x.shape)
        count = converted(sum(mask, axis, None, None, keepdims), wide)
    return converted(p.div(total, count), target)


def var(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The variance over axes: the mean squared distance from the mean.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    dtype : dtype, optional
    ddof, correction : number
        Taken off the number of elements divided by.
    keepdims : bool
        Keep the axes with length 1.
    where : array of bool, optional
    mean : array, optional
        The mean, with the axes kept, where it is known.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.var(pnp.array([1.0, 3.0])))
    1.0
    """
    no_out("var", out)
    x = as_array(a, "var")
    if ddof and correction is not None:
        raise ArgumentError(
            wrong=f"var was given ddof={ddof!r} and correction={correction!r}, two names of one number",
            fix="Give one of them",
        )
    less = ddof if correction is None else correction
    target = variance_dtype(x.dtype, dtype, "var")
    if dtypes.is_integer(target) or target == dtypes.bool_:
        x, target = converted(x, target), dtypes.to_inexact(target)
    wide = dtypes.accumulator(target)
    x = converted(x, wide)
    axes = _axes(axis, x.ndim, "var")
    center = _mean(x, axes, None, None, True, where=where) if mean is None else converted(as_array(mean, "var"), wide)
    off = p.sub(x, spread(center, x.shape))
    square = squared(off)
    wide = dtypes.real_dtype(wide)
    if dtype is None:
        target = dtypes.real_dtype(target)
    total = sum(square, axes, None, None, keepdims, None, where)
    if where is None:
        size = math.prod(x.shape[d] for d in axes) - less
        count: Any = np.asarray(size).astype(wide)
        defined: Any = None if size > 0 else np.asarray(False)
    else:
        mask = spread(mask_of(where, "var"), x.shape)
        count = p.sub(converted(sum(mask, axes, None, None, keepdims), wide), np.asarray(less, wide))
        defined = p.gt(count, np.asarray(0, wide))
    result = p.div(total, count)
    # Where nothing is left to divide by, the result is NaN whatever x is: it does not move with x.
    return converted(result if defined is None else choose(defined, result, np.asarray(np.nan, wide)), target)


_mean = mean


def variance_dtype(own: Any, dtype: Any, name: str) -> Any:
    """The dtype a variance of ``own`` is asked for in."""
    if dtype is None:
        return dtypes.to_inexact(own)
    target = user_dtype(dtype, name)
    if dtypes.is_complex(own) and not dtypes.is_complex(target):
        raise ArgumentError(
            wrong=f"{name} of a {dtypes.name_of(own)} array was asked for in {dtypes.name_of(target)}",
            fix="Leave dtype out: the variance of complex numbers is real",
        )
    return target


def squared(x: Any) -> Any:
    """The square of the absolute value."""
    return p.add(p.square(p.real(x)), p.square(p.imag(x))) if dtypes.is_complex(x.dtype) else p.square(x)


def std(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The standard deviation over axes: the square root of the variance; parameters as for ``var``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.std(pnp.array([1.0, 3.0])))
    1.0
    """
    if dtype is not None and not dtypes.is_inexact(user_dtype(dtype, "std")):
        raise ArgumentError(
            wrong=f"std was asked for in {dtypes.name_of(user_dtype(dtype, 'std'))}",
            fix="Give a floating point or complex dtype",
        )
    return p.sqrt(var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


def _place(name: str, primitive: Any, word: str) -> Callable[..., Any]:
    def function(a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Any:
        no_out(name, out)
        x = as_array(a, name)
        shape = x.shape
        if axis is None:
            x, place = p.reshape(x, new_sizes=(x.size,), dimensions=None), 0
        else:
            place = normalize_axis(axis, x.ndim, name)
        if x.shape[place] == 0:
            raise ArgumentError(
                wrong=f"{name} of no elements was asked for: {x.aval}", fix="Give an array with elements"
            )
        index = config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]
        result = primitive(x, axes=(place,), index_dtype=index)
        if not keepdims:
            return result
        sizes = tuple(1 if axis is None or d == place else n for d, n in enumerate(shape))
        return p.reshape(result, new_sizes=sizes, dimensions=None)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The place of the {word} element along an axis, the first of equals; NaN counts as it.

    Parameters
    ----------
    a : array
    axis : int, or None for the place in the flattened array
    keepdims : bool
        Keep the axis with length 1.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> int(pnp.{name}(pnp.array([5.0, 5.0])))
    0
    """
    return function


argmax = _place("argmax", p.argmax, "greatest")
argmin = _place("argmin", p.argmin, "least")


def _running(name: str, primitive: Any, word: str) -> Callable[..., Any]:
    def function(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
        no_out(name, out)
        x = as_array(a, name)
        target = user_dtype(dtype, name) if dtype is not None else (
            config.scalar_dtypes[int] if x.dtype == bool else x.dtype  # pyright: ignore[reportAttributeAccessIssue]
        )
        x = converted(x, target)
        if axis is None:
            x, place = p.reshape(x, new_sizes=(x.size,), dimensions=None), 0
        else:
            place = normalize_axis(axis, x.ndim, name)
        return primitive(x, axis=place, reverse=False)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The running {word} along an axis.

    Parameters
    ----------
    a : array
    axis : int, or None for the flattened array
    dtype : dtype, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.{name}(pnp.array([1, 1])).tolist()[0]
    1
    """
    return function


cumsum = _running("cumsum", p.cumsum, "sum")
cumprod = _running("cumprod", p.cumprod, "product")


def ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Any:
    """The range of array elements over axes: the greatest less the least.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> int(pnp.ptp(pnp.array([4, 9, 5])))
    5
    """
    no_out("ptp", out)
    x = as_array(a, "ptp")
    return p.sub(max(x, axis, None, keepdims), min(x, axis, None, keepdims))


def count_nonzero(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many elements over axes are not zero.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> int(pnp.count_nonzero(pnp.array([0, 3, 4])))
    2
    """
    x = as_array(a, "count_nonzero")
    return sum(p.ne(x, np.zeros((), x.dtype)), axis, config.scalar_dtypes[int], None, keepdims)  # pyright: ignore[reportAttributeAccessIssue]
