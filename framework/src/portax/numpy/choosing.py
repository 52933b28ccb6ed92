"""Choosing between values, and asking about them: where, select, clip, isnan, isclose, nonzero and their kin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.config import config
from portax.core.trace import state
from portax.errors import ArgumentError, ConcretizationError, ShapeError
from portax.numpy.composition import composite
from portax.numpy.families import binary, by_kind, refused, unary
from portax.numpy.promotion import (
    WEAK_NUMBERS,
    as_array,
    converted,
    fit_shapes,
    literal,
    promote_args,
    promote_dtypes,
    spread,
)
from portax.numpy.ufuncs import truth
from portax.primitives import arithmetic, bits, comparison, complex_parts
from portax.primitives.broadcasting import broadcast_in_dim, reshape
from portax.primitives.comparison import select_n
from portax.primitives.elementwise import like
from portax.primitives.iota import iota
from portax.primitives.reductions import reduce_and
from portax.primitives.slicing import pad, slice_
from portax.primitives.sorting import sort
from portax.runtime.array import ConcreteArray

#: By the avals, or types of numbers, of what ``where`` was given: the dtype that its numbers take.
_known: dict[Any, Any] = {}
_BOUND = 2048


def where(condition: Any, x: Any = None, y: Any = None, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """``x`` where the condition holds, ``y`` where it does not; with the condition alone, the places where it holds.

    Parameters
    ----------
    condition : Array of bool, or of numbers that hold where they are not 0
    x, y : Array or number
        All three shapes broadcast together. Both are computed in full, and a NaN in the derivative of the one not
        chosen still counts: mend the operand, not the result.
    size, fill_value
        As in ``nonzero``, for the form with one argument.

    Returns
    -------
    Array of the broadcast shape, in the promoted dtype of ``x`` and ``y``; or a tuple of arrays, see ``nonzero``

    Examples
    --------
    >>> x = pnp.array([1.0, -2.0])
    >>> pnp.where(x > 0, x, 0.0)
    Array([1., 0.], dtype=float32)
    """
    kinds = None
    if isinstance(condition, Array):
        # Kept as in `families`: what is here needs no conversion and no spreading.
        kinds = (
            condition.aval,
            x.aval if isinstance(x, Array) else type(x),
            y.aval if isinstance(y, Array) else type(y),
            config.epoch,
        )
        dtype = _known.get(kinds)
        if dtype is not None:
            x = x if isinstance(x, Array) else literal(x, dtype)
            y = y if isinstance(y, Array) else literal(y, dtype)
            return state.trace.process(select_n, (condition, y, x), {})
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ArgumentError(
            wrong="where was given one of x and y", fix="Give both, or the condition alone for the places it holds"
        )
    if size is not None or fill_value is not None:
        raise ArgumentError(
            wrong="where was given size or fill_value together with x and y", fix="They are for where(condition) alone"
        )
    a, b = promote_dtypes("where", x, y)
    which, a, b = fit_shapes("where", [truth(condition, "where"), a, b])
    if which is condition and all(u is v or type(v) in WEAK_NUMBERS for u, v in ((a, x), (b, y))):
        if len(_known) >= _BOUND:
            _known.clear()
        _known[kinds] = a.dtype
    return select_n(which, b, a)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    """From a list of arrays, element by element, the first whose condition holds.

    Parameters
    ----------
    condlist : sequence of Array of bool
    choicelist : sequence of Array, as many
    default : Array or number
        Where no condition holds.

    Returns
    -------
    Array of the broadcast shape and promoted dtype of all choices

    Examples
    --------
    >>> x = pnp.arange(4)
    >>> pnp.select([x < 1, x < 3], [10 * x, x], default=-1)
    Array([ 0,  1,  2, -1], dtype=int32)
    """
    if len(condlist) != len(choicelist):
        raise ArgumentError(
            wrong=f"select was given {len(condlist)} conditions and {len(choicelist)} choices",
            fix="Give one choice for each condition",
        )
    if not condlist:
        raise ArgumentError(wrong="select was given no condition", fix="Give at least one")
    *choices, out = promote_dtypes("select", *choicelist, default)
    fitted = fit_shapes("select", [*(truth(c, "select") for c in condlist), *choices, out])
    conditions, choices, out = fitted[: len(condlist)], fitted[len(condlist) : -1], fitted[-1]
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        out = select_n(condition, out, choice)
    return out


def clip(arr: Any = None, /, min: Any = None, max: Any = None) -> Array:
    """The elements limited to an interval.

    Parameters
    ----------
    arr : Array or number, not complex
    min, max : Array or number, optional
        Bounds; None for no bound. Where ``min > max`` the result is ``max``.

    Returns
    -------
    Array of the broadcast shape and promoted dtype

    Examples
    --------
    >>> pnp.clip(pnp.array([-1.0, 0.5, 2.0]), 0.0, 1.0)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    if arr is None:
        raise ArgumentError(wrong="clip was given no array", fix="Give the array first: clip(x, low, high)")
    out = as_array(arr, "clip")
    for bound in (out, min, max):
        if isinstance(bound, complex) or (isinstance(bound, Array) and dtypes.is_complex(bound.dtype)):
            raise refused("clip", dtypes.complex64, "Complex numbers have no order; clip the real and imaginary parts")
    if min is not None:
        out = arithmetic.max_(*promote_args("clip", min, out))
    if max is not None:
        out = arithmetic.min_(*promote_args("clip", max, out))
    return out


def _step(x: Array, y: Array) -> Array:
    zero = like(x, 0)
    at_zero = select_n(comparison.eq(x, zero), x, y)  # NaN stays NaN
    out = select_n(comparison.gt(x, zero), at_zero, like(x, 1))
    return select_n(comparison.lt(x, zero), out, zero)


def _refuse_step(x: Array, y: Array) -> Array:
    raise refused("heaviside", x.dtype, "Complex numbers have no order; work on the real and imaginary parts")


heaviside = binary(
    "heaviside",
    by_kind(complex=_refuse_step, otherwise=_step),
    "The step function: 0 where ``x1`` is negative, 1 where it is positive, ``x2`` at 0.",
    ">>> pnp.heaviside(pnp.array([-1.0, 0.0, 2.0]), 0.5)\nArray([0. , 0.5, 1. ], dtype=float32)",
    to=dtypes.to_inexact,
)


# Asking about values.


def _nothing(answer: bool) -> Any:
    value = np.asarray(answer)
    return lambda x: broadcast_in_dim(value, shape=x.shape, broadcast_dimensions=(), sharding=None)


def _infinite(x: Array) -> Array:
    return comparison.eq(arithmetic.abs_(x), like(x, math.inf))


def _of_parts(primitive: Any, join: Any) -> Any:
    return lambda x: join(primitive(complex_parts.real(x)), primitive(complex_parts.imag(x)))


_BOOL = "Array of bool, of the shape of ``x``"

isfinite = unary(
    "isfinite",
    by_kind(float=comparison.is_finite, complex=_of_parts(comparison.is_finite, bits.and_), otherwise=_nothing(True)),
    "Whether each element is neither infinite nor NaN.",
    ">>> pnp.isfinite(pnp.array([1.0, pnp.inf, pnp.nan]))\nArray([ True, False, False], dtype=bool)",
    returns=_BOOL,
)
isnan = unary(
    "isnan",
    by_kind(float=lambda x: comparison.ne(x, x), complex=lambda x: comparison.ne(x, x), otherwise=_nothing(False)),
    "Whether each element is NaN.",
    ">>> pnp.isnan(pnp.array([1.0, pnp.nan]))\nArray([False,  True], dtype=bool)",
    returns=_BOOL,
)
isinf = unary(
    "isinf",
    by_kind(float=_infinite, complex=_of_parts(_infinite, bits.or_), otherwise=_nothing(False)),
    "Whether each element is infinite, of either sign.",
    ">>> pnp.isinf(pnp.array([1.0, -pnp.inf]))\nArray([False,  True], dtype=bool)",
    returns=_BOOL,
)


def _no_sign(name: str) -> Any:
    def f(x: Array) -> Array:
        raise refused(name, x.dtype, "Ask of the real part, x.real")

    return f


isposinf = unary(
    "isposinf",
    by_kind(
        float=lambda x: comparison.eq(x, like(x, math.inf)), complex=_no_sign("isposinf"), otherwise=_nothing(False)
    ),
    "Whether each element is plus infinity.",
    ">>> pnp.isposinf(pnp.array([pnp.inf, -pnp.inf]))\nArray([ True, False], dtype=bool)",
    returns=_BOOL,
)
isneginf = unary(
    "isneginf",
    by_kind(
        float=lambda x: comparison.eq(x, like(x, -math.inf)), complex=_no_sign("isneginf"), otherwise=_nothing(False)
    ),
    "Whether each element is minus infinity.",
    ">>> pnp.isneginf(pnp.array([pnp.inf, -pnp.inf]))\nArray([False,  True], dtype=bool)",
    returns=_BOOL,
)
isreal = unary(
    "isreal",
    by_kind(
        complex=lambda x: comparison.eq(complex_parts.imag(x), like(complex_parts.imag(x), 0)), otherwise=_nothing(True)
    ),
    "Whether each element has no imaginary part.",
    ">>> pnp.isreal(pnp.array([1.0, 2.0j]))\nArray([ True, False], dtype=bool)",
    returns=_BOOL,
)
iscomplex = unary(
    "iscomplex",
    by_kind(
        complex=lambda x: comparison.ne(complex_parts.imag(x), like(complex_parts.imag(x), 0)),
        otherwise=_nothing(False),
    ),
    "Whether each element has an imaginary part.",
    ">>> pnp.iscomplex(pnp.array([1.0, 2.0j]))\nArray([False,  True], dtype=bool)",
    returns=_BOOL,
)


def isrealobj(x: Any) -> bool:
    """Whether the dtype of ``x`` is not complex.

    Examples
    --------
    >>> pnp.isrealobj(pnp.array([1.0]))
    True
    """
    return not iscomplexobj(x)


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype of ``x`` is complex.

    Examples
    --------
    >>> pnp.iscomplexobj(pnp.array([1.0 + 0.0j]))
    True
    """
    if x is None:
        return False
    dtype = getattr(x, "dtype", None)
    return dtypes.is_complex(np.asarray(x).dtype if dtype is None else dtype)


def isscalar(element: Any) -> bool:
    """Whether ``element`` is a number, or an array of rank 0.

    Examples
    --------
    >>> pnp.isscalar(2.5), pnp.isscalar(pnp.array([2.5]))
    (True, False)
    """
    if isinstance(element, (np.ndarray, Array)) or hasattr(element, "__jax_array__"):
        return as_array(element).ndim == 0 if not isinstance(element, np.ndarray) else element.ndim == 0
    return bool(np.isscalar(element))


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Array:
    """NaN and infinities replaced by numbers.

    Parameters
    ----------
    x : Array or number
    nan : number
        Instead of NaN.
    posinf, neginf : number, optional
        Instead of the infinities; by default the largest and the least number of the dtype.

    Examples
    --------
    >>> pnp.nan_to_num(pnp.array([1.0, pnp.nan]))
    Array([1., 0.], dtype=float32)
    """
    x = as_array(x, "nan_to_num")
    if not dtypes.is_inexact(x.dtype):
        return x
    if dtypes.is_complex(x.dtype):
        parts = (complex_parts.real(x), complex_parts.imag(x))
        return complex_parts.complex_(*(nan_to_num(p, copy, nan, posinf, neginf) for p in parts))
    info = dtypes.finfo(x.dtype)
    highest = np.asarray(info.max, x.dtype) if posinf is None else posinf
    lowest = np.asarray(info.min, x.dtype) if neginf is None else neginf
    firm = x.dtype
    out = where(comparison.ne(x, x), _in(nan, firm), x)
    out = where(comparison.eq(out, like(out, math.inf)), _in(highest, firm), out)
    return where(comparison.eq(out, like(out, -math.inf)), _in(lowest, firm), out)


def _in(x: Any, dtype: Any) -> Array:
    return converted(as_array(x), dtype, False)


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Array:
    """Whether ``|a - b| <= atol + rtol * |b|``, element by element.

    Parameters
    ----------
    a, b : Array or number
        Shapes that broadcast together.
    rtol, atol : Array or number
    equal_nan : bool
        Whether NaN is close to NaN.

    Returns
    -------
    Array of bool, of the broadcast shape

    Examples
    --------
    >>> pnp.isclose(pnp.array([1.0, 2.0]), pnp.array([1.000001, 2.1]))
    Array([ True, False], dtype=bool)
    """
    a, b = promote_args("isclose", a, b)
    if a.dtype == dtypes.bool_:
        return comparison.eq(a, b)
    if dtypes.is_integer(a.dtype):
        a, b = promote_dtypes("isclose", a, b, to=dtypes.to_inexact)
    real = dtypes.real_dtype(a.dtype)
    operands = fit_shapes("isclose", [a, b, _in(rtol, real), _in(atol, real)])
    return _close(*operands, equal_nan=bool(equal_nan))


@composite
def _close(a: Array, b: Array, rtol: Array, atol: Array, *, equal_nan: bool) -> Array:
    apart = arithmetic.abs_(arithmetic.sub(a, b))
    allowed = arithmetic.add(atol, arithmetic.mul(rtol, arithmetic.abs_(b)))
    out = bits.and_(comparison.le(apart, allowed), bits.and_(isfinite(a), isfinite(b)))
    out = bits.or_(out, comparison.eq(a, b))
    if equal_nan:
        out = bits.or_(out, bits.and_(comparison.ne(a, a), comparison.ne(b, b)))
    return out


def _all(x: Array) -> Array:
    return reduce_and(x, axes=tuple(range(x.ndim)), out_sharding=None)


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Array:
    """Whether all elements are close, see ``isclose``.

    Returns
    -------
    Array of bool, of rank 0

    Examples
    --------
    >>> pnp.allclose(pnp.array([1.0, 2.0]), pnp.array([1.000001, 2.0]))
    Array(True, dtype=bool)
    """
    return _all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Array:
    """Whether two arrays have the same shape and equal elements.

    Parameters
    ----------
    a1, a2 : Array or number
    equal_nan : bool
        Whether NaN equals NaN.

    Returns
    -------
    Array of bool, of rank 0

    Examples
    --------
    >>> pnp.array_equal(pnp.array([1, 2]), pnp.array([1, 2]))
    Array(True, dtype=bool)
    """
    a, b = as_array(a1, "array_equal"), as_array(a2, "array_equal")
    if a.shape != b.shape:
        return as_array(False)
    a, b = promote_dtypes("array_equal", a, b)
    same = comparison.eq(a, b)
    if equal_nan and dtypes.is_inexact(a.dtype):
        same = bits.or_(same, bits.and_(comparison.ne(a, a), comparison.ne(b, b)))
    return _all(same)


def array_equiv(a1: Any, a2: Any) -> Array:
    """Whether two arrays, broadcast together, have equal elements; False where they do not broadcast.

    Examples
    --------
    >>> pnp.array_equiv(pnp.array([1, 1]), pnp.array([[1, 1], [1, 1]]))
    Array(True, dtype=bool)
    """
    a, b = as_array(a1, "array_equiv"), as_array(a2, "array_equiv")
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return as_array(False)
    return _all(comparison.eq(*promote_args("array_equiv", a, b)))


# Places.


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
    """The indices of the elements that are not 0, in row-major order.

    Parameters
    ----------
    a : Array of rank 1 or more
    size : int, optional
        How many indices to give. While tracing it is required, because a traced array has no values to count.
    fill_value : number, or tuple with one for each axis
        What stands for an index where fewer are found than ``size``; 0 by default.

    Returns
    -------
    tuple of Array of int32, one for each axis (int64 with 64-bit dtypes)

    Raises
    ------
    ConcretizationError
        ``a`` is traced and ``size`` is not given.
    ShapeError
        ``a`` has rank 0: it has no axis that an index could be along.

    Examples
    --------
    >>> pnp.nonzero(pnp.array([0, 3, 0, 5]))
    (Array([1, 3], dtype=int32),)
    >>> pnp.nonzero(pnp.array([0, 3, 0, 5]), size=3, fill_value=-1)
    (Array([ 1,  3, -1], dtype=int32),)
    """
    a = as_array(a, "nonzero")
    if not a.ndim:
        raise ShapeError(
            wrong=f"nonzero was given an array of rank 0: {a.aval}", fix="Give atleast_1d(a), or ask for a != 0"
        )
    whole = dtypes.int64 if dtypes.canonicalize_dtype(int) == dtypes.int64 else dtypes.int32
    if size is None:
        if not isinstance(a, ConcreteArray):
            raise ConcretizationError(
                wrong=f"nonzero was given a traced array ({a.aval}); how many elements are not 0 is not known "
                "while tracing",
                fix="Give size=, the number of indices wanted, or use where(condition, x, y), which keeps the shape",
            )
        return tuple(as_array(i.astype(whole)) for i in np.nonzero(a.host()))
    if size < 0:
        raise ArgumentError(wrong=f"nonzero was asked for size {size}", fix="Give a size of 0 or more")
    fills = fill_value if isinstance(fill_value, tuple) else (0 if fill_value is None else fill_value,) * a.ndim
    if len(fills) != a.ndim:
        raise ArgumentError(
            wrong=f"nonzero was given {len(fills)} fill values for {a.ndim} axes", fix="Give one for each axis"
        )
    total = a.size
    flat = reshape(truth(a), new_sizes=(total,), dimensions=None)
    places = iota(dtype=whole, shape=(total,), dimension=0, sharding=None)
    # Places that do not hold sort behind all that do.
    found = sort(select_n(flat, np.asarray(total, whole), places), dimension=0, is_stable=True, num_keys=1)[0]
    if size <= total:
        found = slice_(found, start_indices=(0,), limit_indices=(size,), strides=None)
    else:
        found = pad(found, np.asarray(total, whole), padding_config=((0, size - total, 0),))
    empty = comparison.eq(found, np.asarray(total, whole))
    out: list[Array] = []
    stride = total
    for n, fill in zip(a.shape, fills, strict=True):
        stride = stride // n if n else 1
        index = arithmetic.rem(arithmetic.div(found, np.asarray(max(stride, 1), whole)), np.asarray(max(n, 1), whole))
        out.append(select_n(empty, index, spread(_in(fill, whole), ())))
    return tuple(out)


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The indices into ``ravel(a)`` of the elements that are not 0; see ``nonzero``.

    Examples
    --------
    >>> pnp.flatnonzero(pnp.array([[0, 3], [5, 0]]))
    Array([1, 2], dtype=int32)
    """
    a = as_array(a, "flatnonzero")
    return nonzero(reshape(a, new_sizes=(a.size,), dimensions=None), size=size, fill_value=fill_value)[0]
