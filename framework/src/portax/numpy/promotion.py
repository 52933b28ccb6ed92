"""Operands as `portax.numpy` reads them: anything like an array, of one dtype, of shapes that fit together.

A Python number is a *literal*: a weakly typed array of rank 0 in the dtype that promotion gives it. Rank 0 stays so,
because elementwise primitives read a scalar at every element, in every trace, without spreading it. So most calls
convert nothing and broadcast nothing, and what decides that is a function of the operands' avals alone: who calls often
keeps the decision (see `families`).

Literals are cached by value: the same number in a program is the same object, which a trace need look at only once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes, promotion
from portax.core.array import Array
from portax.core.aval import Aval
from portax.core.config import config
from portax.errors import DtypeError, ShapeError
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.conversion import convert_element_type
from portax.runtime.array import ConcreteArray

#: Types of Python numbers, exactly: numpy.float64 is a subclass of float and is no Python number.
PYTHON_NUMBERS = frozenset((bool, int, float, complex))
#: Those whose dtype is weak: what stands beside an array as a literal.
WEAK_NUMBERS = frozenset((int, float, complex))
#: What `as_array` takes besides arrays.
HOST_TYPES = (np.ndarray, np.generic, bool, int, float, complex)

_LITERALS: dict[Any, ConcreteArray] = {}
_BOUND = 4096
_SHAPES: dict[tuple[tuple[int, ...], ...], tuple[int, ...]] = {}


def literal(value: Any, dtype: Any) -> ConcreteArray:
    """The Python number ``value`` as a weakly typed scalar of ``dtype``, for use as an operand, never as a result."""
    # 0.0 equals -0.0, and only their texts tell them apart; complex numbers have two signs and are not kept.
    key = (dtype, value) if value else (dtype, repr(value))
    known = _LITERALS.get(key)
    # An array that was moved to a device would draw other operands there.
    if known is not None and known._device is None:  # pyright: ignore[reportPrivateUsage]
        return known
    made = _literal(value, dtype)
    if type(value) is not complex:
        if len(_LITERALS) >= _BOUND:
            _LITERALS.clear()
        _LITERALS[key] = made
    return made


def _literal(value: Any, dtype: Any) -> ConcreteArray:
    own = dtypes.dtype_of_python_scalar(value)
    host = np.asarray(value, own)
    if own != dtype:
        with np.errstate(all="ignore"):
            host = host.astype(dtype)
    return ConcreteArray(Aval((), dtype, dtype != dtypes.bool_), host)


def as_array(x: Any, name: str = "this function") -> Array:
    """``x`` as an array: itself if it is one; NumPy arrays, numbers, and objects with ``__jax_array__``.

    Raises
    ------
    DtypeError
        ``x`` is a list, None, a string or another object that is no array.
    """
    if isinstance(x, Array):
        return x
    if type(x) in PYTHON_NUMBERS:
        dtype = dtypes.dtype_of_python_scalar(x)
        return ConcreteArray(Aval((), dtype, type(x) is not bool), np.asarray(x, dtype))
    if isinstance(x, (np.ndarray, np.generic)):
        return _from_host(x, name)
    convert = getattr(x, "__jax_array__", None)
    if convert is not None and not isinstance(x, type):
        return as_array(convert(), name)
    if isinstance(x, (bool, int, float, complex)):  # an enumeration's member, say
        return as_array({bool: bool, int: int, float: float, complex: complex}[dtypes_kind(x)](x), name)
    raise not_an_array(x, name)


def dtypes_kind(x: Any) -> type:
    """Which of the Python number types ``x`` derives from."""
    return next(t for t in (bool, int, float, complex) if isinstance(x, t))


def _from_host(x: Any, name: str) -> ConcreteArray:
    dtype = dtypes.canonicalize_dtype(x.dtype)
    if not dtypes.is_supported(dtype):
        raise DtypeError(
            wrong=f"{name} was given an array of dtype {x.dtype}, which no array here can have",
            fix="Convert it to a boolean, integer, floating or complex dtype",
        )
    host = np.asarray(x, dtype)
    return ConcreteArray(Aval(host.shape, dtype), host)


def not_an_array(x: Any, name: str) -> DtypeError:
    """The error for an operand that is no array."""
    if isinstance(x, (list, tuple)):
        return DtypeError(
            wrong=f"{name} takes arrays and numbers, not a {type(x).__name__}",
            fix="Make an array of it first, with portax.numpy.array",
        )
    return DtypeError(
        wrong=f"{name} takes arrays and numbers, not {x!r} of type {type(x).__name__}",
        fix="Give an array, a NumPy array or a number",
    )


# One dtype.


def _described(x: Any, name: str) -> tuple[Any, tuple[Any, bool]]:
    """``x`` as an array or a Python number, and its dtype and whether it is weak."""
    if isinstance(x, Array):
        aval = x.aval
        return x, (aval.dtype, aval.weak_type)
    kind = type(x)
    if kind in PYTHON_NUMBERS:
        return x, (config.scalar_dtypes[kind], kind is not bool)  # pyright: ignore[reportAttributeAccessIssue]
    x = as_array(x, name)
    return x, (x.aval.dtype, x.aval.weak_type)


def converted(x: Any, dtype: Any, weak: bool) -> Array:
    """An array or a Python number in ``dtype``; an array that has it stays itself, whether weak or not."""
    if not isinstance(x, Array):
        if type(x) is not bool or dtype == dtypes.bool_:
            return literal(x, dtype)
        x = as_array(x)  # a bool is firm, so what it becomes is as weak as the others are
    if x.aval.dtype == dtype:
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=weak, sharding=None)


def promote_dtypes(name: str, *xs: Any, to: Callable[[Any], Any] | None = None) -> list[Array]:
    """Arrays of one dtype: the join of all, or what ``to`` makes of it.

    Parameters
    ----------
    name : str
        The function whose operands these are, for errors.
    to : function of a dtype, optional
        Such as ``dtypes.to_inexact``.
    """
    described = [_described(x, name) for x in xs]
    dtype, weak = promotion.result_type([d for _, d in described])
    if to is not None:
        found = to(dtype)
        if found is not dtype:
            dtype, weak = found, weak and found != dtypes.bool_
    return [converted(x, dtype, weak) for x, _ in described]


def promote_dtypes_inexact(name: str, *xs: Any) -> list[Array]:
    """Arrays of one floating or complex dtype."""
    return promote_dtypes(name, *xs, to=dtypes.to_inexact)


def promote_dtypes_numeric(name: str, *xs: Any) -> list[Array]:
    """Arrays of one dtype that is not bool."""
    return promote_dtypes(name, *xs, to=dtypes.to_numeric)


# Shapes that fit.


def common_shape(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that operands of ``shapes`` broadcast to.

    Raises
    ------
    ShapeError
        Two axes have different lengths, neither of them 1.
    """
    key = tuple(shapes)
    known = key[0] if len(key) == 2 and key[0] == key[1] else _SHAPES.get(key)
    if known is None:
        rank = max((len(s) for s in shapes), default=0)
        out: list[int] = []
        for axis in range(-rank, 0):
            lengths = {s[axis] for s in shapes if len(s) >= -axis} - {1}
            if len(lengths) > 1:
                given = " and ".join([", ".join(map(str, shapes[:-1])), str(shapes[-1])])
                raise ShapeError(
                    wrong=f"{name} cannot broadcast the shapes {given} together",
                    fix="Axes are matched from the last; the lengths must be equal, or one of them 1",
                )
            out.append(lengths.pop() if lengths else 1)
        known = tuple(out)
        if len(_SHAPES) >= _BOUND:
            _SHAPES.clear()
        _SHAPES[key] = known
    if config.numpy_rank_promotion != "allow":
        _check_ranks(name, shapes)
    return known


def _check_ranks(name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    if len({len(s) for s in shapes if s}) < 2:
        return
    wrong = f"{name} was given shapes of different ranks: {', '.join(map(str, shapes))}"
    if config.numpy_rank_promotion == "raise":
        raise ShapeError(
            wrong=f'{wrong}, and the setting numpy_rank_promotion is "raise"',
            fix="Add axes of length 1 yourself, for example with x[None]",
        )
    warnings.warn(f"{wrong}; axes of length 1 were added in front.", stacklevel=5)


def spread(x: Array, shape: tuple[int, ...]) -> Array:
    """``x`` broadcast to ``shape``; itself if it has that shape."""
    own = x.aval.shape
    if own == shape:
        return x
    lead = len(shape) - len(own)
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(lead, len(shape))), sharding=None)


def fit_shapes(name: str, xs: Sequence[Array]) -> list[Array]:
    """Arrays of one shape, but for scalars, which stay scalars."""
    shapes = [x.aval.shape for x in xs]
    ranked = {s for s in shapes if s}
    if len(ranked) < 2:
        return list(xs)
    shape = common_shape(name, shapes)
    return [spread(x, shape) if x.aval.shape else x for x in xs]


def promote_args(name: str, *xs: Any, to: Callable[[Any], Any] | None = None) -> list[Array]:
    """Operands for an elementwise primitive: of one dtype, and of one shape or scalars."""
    return fit_shapes(name, promote_dtypes(name, *xs, to=to))


def promote_args_inexact(name: str, *xs: Any) -> list[Array]:
    """As `promote_args`, floating or complex."""
    return fit_shapes(name, promote_dtypes(name, *xs, to=dtypes.to_inexact))


def promote_args_numeric(name: str, *xs: Any) -> list[Array]:
    """As `promote_args`, not bool."""
    return fit_shapes(name, promote_dtypes(name, *xs, to=dtypes.to_numeric))
