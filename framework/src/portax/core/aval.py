"""What is known of an array before it is computed: its shape, its dtype, and whether the dtype is firm.

Avals are interned: two avals with the same fields are the same object. So a cache may key on an aval and compare by
identity, which is what makes tracing and dispatch cheap. The table is never emptied, because identity is the promise;
an entry is about 200 bytes and a program meets few shapes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from portax.core import dtypes
from portax.errors import DtypeError

Shape = tuple[int, ...]


#: Named axes.
Axes = frozenset[Any]

#: A value that all devices have alike.
NOWHERE: Axes = frozenset()


class ManualAxisType(NamedTuple):
    """Along which mesh axes a part of an array may differ from device to device, as JAX spells it.

    ``unreduced`` and ``reduced`` are JAX's for meshes whose axes are explicit, and empty.
    """

    varying: Axes = NOWHERE
    unreduced: Axes = NOWHERE
    reduced: Axes = NOWHERE


class Aval:
    """Shape and dtype of an array not yet computed.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype or KeyDtype
    weak_type : bool
        True where the dtype came from a Python scalar and gives way to any array's dtype in promotion.

    Attributes
    ----------
    varying : frozenset of names
        Within ``shard_map`` that checks it, the mesh axes along which devices may have different values.
    """

    __slots__ = ("dtype", "ndim", "shape", "size", "varying", "weak_type", "_tangent")

    shape: Shape
    dtype: Any
    weak_type: bool
    ndim: int
    size: int
    varying: Axes

    def __new__(cls, shape: Shape, dtype: Any, weak_type: bool = False) -> Aval:
        try:
            return _interned[shape, dtype, weak_type]
        except (KeyError, TypeError):
            return _intern(shape, dtype, weak_type)

    def update(self, *, shape: Shape | None = None, dtype: Any = None, weak_type: bool | None = None) -> Aval:
        """The aval that differs from this one in the fields given."""
        aval = Aval(
            self.shape if shape is None else shape,
            self.dtype if dtype is None else dtype,
            self.weak_type if weak_type is None else weak_type,
        )
        return aval.vary(self.varying) if self.varying else aval

    def vary(self, axes: Iterable[Any]) -> Aval:
        """The aval that differs from this one in that its values vary along ``axes``, and along no others."""
        axes = frozenset(axes)
        if axes == self.varying:
            return self
        plain = Aval(self.shape, self.dtype, self.weak_type)
        return _varying(plain, axes) if axes else plain

    @property
    def manual_axis_type(self) -> ManualAxisType:
        """``varying`` as JAX spells it."""
        return ManualAxisType(self.varying)

    mat = manual_axis_type

    @property
    def vma(self) -> Axes:
        """``varying``, under its name in older releases of JAX."""
        return self.varying

    def strip_weak_type(self) -> Aval:
        """The same shape and dtype, firm."""
        return self.update(weak_type=False) if self.weak_type else self

    def update_weak_type(self, weak_type: bool) -> Aval:
        """The same shape and dtype, weak or firm."""
        return self.update(weak_type=weak_type)

    def to_tangent_aval(self) -> Aval:
        """The aval of tangents of such values: the same, firm; of dtype float0 where values cannot move."""
        return self.update(dtype=self.dtype if dtypes.is_inexact(self.dtype) else dtypes.float0, weak_type=False)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def str_short(self, short_dtypes: bool = False) -> str:
        """``float32[2,3]``, or ``f32[2,3]``."""
        return self.short() if short_dtypes else str(self)

    def short(self) -> str:
        """``f32[2,3]``, as jaxprs print it; ``f32[2,3]{V:x}`` where values vary along a mesh axis."""
        return f"{dtypes.short_name(self.dtype)}[{','.join(map(str, self.shape))}]{_along(self.varying)}"

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"Aval({self}{weak})"

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]{_along(self.varying)}"

    def __reduce__(self) -> tuple[Any, ...]:
        plain = Aval, (self.shape, self.dtype, self.weak_type)
        return (_varying, (Aval(*plain[1]), self.varying)) if self.varying else plain


class Described:
    """What has an aval and says of itself what the aval says. A subclass provides ``aval``."""

    __slots__ = ()

    aval: Any

    @property
    def shape(self) -> Shape:
        """Tuple of int: the length of each axis."""
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        """The element type."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.aval.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.aval.size

    @property
    def weak_type(self) -> bool:
        """True where the dtype came from a Python scalar and gives way in promotion."""
        return self.aval.weak_type


def max_dim(d1: int, d2: int) -> int:
    """The greater of two lengths of axes.

    Examples
    --------
    >>> import portax
    >>> portax.core.max_dim(2, 3)
    3
    """
    return max(d1, d2)


def min_dim(d1: int, d2: int) -> int:
    """The lesser of two lengths of axes.

    Examples
    --------
    >>> import portax
    >>> portax.core.min_dim(2, 3)
    2
    """
    return min(d1, d2)


#: The names of JAX's ``core``: there is one kind of aval.
ShapedArray = AbstractValue = Aval

_interned: dict[tuple[Shape, Any, bool], Aval] = {}


def _intern(shape: Any, dtype: Any, weak_type: bool) -> Aval:
    shape = tuple(map(operator.index, shape))
    if not isinstance(dtype, dtypes.KeyDtype):
        dtype = np.dtype(dtype)
    key = (shape, dtype, bool(weak_type))
    known = _interned.get(key)
    if known is not None:
        return known
    aval = object.__new__(Aval)
    aval.shape, aval.dtype, aval.weak_type = key
    aval.ndim, aval.size, aval.varying = len(shape), math.prod(shape), NOWHERE
    # setdefault: two threads that meet the same aval first must leave with the same object.
    return _interned.setdefault(key, aval)


#: Those of values that vary, by the aval without it.
_interned_varying: dict[tuple[Aval, Axes], Aval] = {}


def _varying(plain: Aval, axes: Axes) -> Aval:
    known = _interned_varying.get((plain, axes))
    if known is None:
        aval = object.__new__(Aval)
        aval.shape, aval.dtype, aval.weak_type = plain.shape, plain.dtype, plain.weak_type
        aval.ndim, aval.size, aval.varying = plain.ndim, plain.size, axes
        known = _interned_varying.setdefault((plain, axes), aval)
    return known


def in_order(axes: Iterable[Any]) -> tuple[Any, ...]:
    """Names in the same order in every run, as parameters of operations have them."""
    return tuple(sorted(axes, key=str))


def _along(axes: Axes) -> str:
    """How the axes are shown behind an aval."""
    names = list(map(str, in_order(axes)))
    return f"{{V:{names[0] if len(names) == 1 else '(' + ','.join(names) + ')'}}}" if names else ""


def _aval_of_host(x: np.ndarray | np.generic) -> Aval:
    return Aval(x.shape, dtypes.canonicalize_dtype(x.dtype))


def _aval_of_python(x: bool | int | float | complex) -> Aval:
    dtype = dtypes.dtype_of_python_scalar(x)
    return Aval((), dtype, type(x) is not bool)


class WeakScalar(np.ndarray):
    """A scalar on the host that gives way in promotion and whose dtype is fixed, as that of a Python number is not."""

    __slots__ = ()


def weak_scalar(value: Any, dtype: Any) -> WeakScalar:
    """``value`` as a weakly typed scalar of ``dtype``."""
    return np.asarray(value, dtype).view(WeakScalar)


def _aval_of_weak(x: WeakScalar) -> Aval:
    return Aval(x.shape, x.dtype, True)


#: How to read the aval of a value that is no portax array, by type. Runtime and libraries may add their own types.
aval_readers: dict[type, Callable[[Any], Aval]] = {
    np.ndarray: _aval_of_host,
    WeakScalar: _aval_of_weak,
    # Found before float, from which np.float64 derives: a NumPy scalar is firm.
    np.generic: _aval_of_host,
    bool: _aval_of_python,
    int: _aval_of_python,
    float: _aval_of_python,
    complex: _aval_of_python,
}


def aval_of(x: Any) -> Aval:
    """The aval of an array, a tracer, a NumPy array or a Python scalar.

    Raises
    ------
    DtypeError
        ``x`` is not an array.
    """
    try:
        aval = x.aval
        if type(aval) is Aval:
            return aval
    except AttributeError:
        pass
    for kind in type(x).__mro__:
        reader = aval_readers.get(kind)
        if reader is not None:
            return reader(x)
    if isinstance(x, np.generic):
        return _aval_of_host(x)
    raise DtypeError(
        wrong=f"{x!r} of type {type(x).__name__} is not an array",
        fix="Give an array, a NumPy array or a number",
    )
