"""The names of dtypes: classes that make arrays when called and stand for their dtype everywhere else.

``pnp.float32(3)`` is an array; ``pnp.float32 == np.float32``, and any function that takes a dtype takes the class.
They are no NumPy scalar types: nothing is an instance of them.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.dtypes import result_type
from portax.numpy.creation import asarray


class _ScalarType(type):
    """The metaclass of the names of dtypes: two are equal where their dtypes are."""

    dtype: np.dtype

    def __call__(cls, x: Any = 0) -> Array:
        return asarray(x, dtype=cls.dtype)

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __eq__(cls, other: Any) -> bool:
        if cls is other:
            return True
        try:
            return bool(cls.dtype == other)
        except TypeError:
            return False

    def __ne__(cls, other: Any) -> bool:
        return not cls == other

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, cls.dtype.type)

    def __repr__(cls) -> str:
        return f"<class 'portax.numpy.{cls.__name__}'>"


def _named(name: str, dtype: Any) -> Any:
    doc = f"The dtype {dtype.name}; called, an array of it.\n\nExamples\n--------\n>>> pnp.{name}(1).dtype\n{dtype!r}\n"
    if (dtype.itemsize == 8 and dtype != dtypes.complex64) or dtype == dtypes.complex128:
        doc = f"The dtype {dtype.name}, of 64-bit numbers; needs the setting ``enable_x64``."
    return _ScalarType(name, (), {"dtype": dtype, "__module__": __name__, "__doc__": doc})


bool_ = _named("bool_", dtypes.bool_)
int8, int16, int32, int64 = (_named(f"int{n}", np.dtype(f"int{n}")) for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (_named(f"uint{n}", np.dtype(f"uint{n}")) for n in (8, 16, 32, 64))
float16, float32, float64 = (_named(f"float{n}", np.dtype(f"float{n}")) for n in (16, 32, 64))
complex64, complex128 = (_named(f"complex{n}", np.dtype(f"complex{n}")) for n in (64, 128))
bfloat16 = _named("bfloat16", dtypes.bfloat16)
_narrow = {d.name: _named(d.name, d) for d in (*dtypes.NARROW_FLOATS, *dtypes.NARROW_SIGNED, *dtypes.NARROW_UNSIGNED)}
int2, int4, uint2, uint4 = (_narrow[n] for n in ("int2", "int4", "uint2", "uint4"))
float4_e2m1fn, float8_e3m4, float8_e4m3, float8_e8m0fnu = (
    _narrow[n] for n in ("float4_e2m1fn", "float8_e3m4", "float8_e4m3", "float8_e8m0fnu")
)
float8_e4m3b11fnuz, float8_e4m3fn, float8_e4m3fnuz = (
    _narrow[n] for n in ("float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz")
)
globals().update(_narrow)  # and those that only a newer ml_dtypes has
float8_e5m2, float8_e5m2fnuz = _narrow["float8_e5m2"], _narrow["float8_e5m2fnuz"]

single, double, csingle, cdouble = float32, float64, complex64, complex128
int_, uint, float_, complex_ = int64, uint64, float64, complex128

generic, number, inexact, flexible = np.generic, np.number, np.inexact, np.flexible
integer, signedinteger, unsignedinteger = np.integer, np.signedinteger, np.unsignedinteger
floating, complexfloating, character, object_ = np.floating, np.complexfloating, np.character, np.object_

dtype = np.dtype


class finfo:
    """The limits of a floating dtype, or of the parts of a complex one.

    Parameters
    ----------
    dtype : dtype or array

    Attributes
    ----------
    bits : int
    eps, max, min, smallest_normal, tiny, ... : number
        As ``numpy.finfo`` and ``ml_dtypes.finfo`` have them.
    dtype : numpy.dtype
        That of the parts.

    Notes
    -----
    *Differences from JAX*: of float32 and complex64 the numbers are Python's, as the array API standard says, so
    they promote no array of a narrower dtype.

    Examples
    --------
    >>> pnp.finfo("complex64").eps, pnp.finfo(pnp.ones(3)).bits
    (1.1920928955078125e-07, 32)
    """

    __slots__ = ("_limits",)

    def __init__(self, dtype: Any) -> None:
        self._limits = dtypes.finfo(np.dtype(getattr(dtype, "dtype", dtype)))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._limits, name)
        return float(value) if type(value) is np.float32 else value

    def __repr__(self) -> str:
        return repr(self._limits)


class iinfo:
    """The limits of an integer dtype.

    Parameters
    ----------
    int_type : dtype or array

    Attributes
    ----------
    bits, max, min : int
    dtype : numpy.dtype
    kind : str
        "i" with a sign, "u" without.

    Examples
    --------
    >>> pnp.iinfo("int8").max, pnp.iinfo(pnp.arange(3)).bits
    (127, 32)
    """

    __slots__ = ("_limits",)

    def __init__(self, int_type: Any) -> None:
        self._limits = dtypes.iinfo(np.dtype(getattr(int_type, "dtype", int_type)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._limits, name)

    def __repr__(self) -> str:
        return repr(self._limits)


isdtype = dtypes.isdtype
issubdtype = dtypes.issubdtype


def promote_types(a: Any, b: Any) -> Any:
    """The dtype of the result of an operation on arrays of two dtypes.

    Parameters
    ----------
    a, b : dtype
        Python's ``int``, ``float`` and ``complex`` stand for weak types.

    Examples
    --------
    >>> pnp.promote_types("int8", "float16")
    dtype('float16')
    """
    return result_type(*(x if isinstance(x, type) and x in (int, float, complex) else np.dtype(x) for x in (a, b)))


def can_cast(from_: Any, to: Any, casting: Literal["no", "equiv", "safe", "same_kind", "unsafe"] = "safe") -> bool:
    """Whether a dtype may be converted to another by NumPy's rules for casting.

    Parameters
    ----------
    from_ : dtype or Array
    to : dtype
    casting : {"no", "equiv", "safe", "same_kind", "unsafe"}

    Examples
    --------
    >>> pnp.can_cast("int8", "int16"), pnp.can_cast("int32", "float32")
    (True, False)
    """
    held = getattr(from_, "dtype", None)  # of NumPy's own scalar types it is a descriptor
    return bool(np.can_cast(held if isinstance(held, np.dtype) else from_, to, casting=casting))
