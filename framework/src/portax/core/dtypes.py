"""The dtypes, how they are named, and what they become when 64 bits are off. Which dtype comes of two: `promotion`.

Every dtype is a ``numpy.dtype`` object, those of ml_dtypes included, but for the dtypes of typed random keys, which are
`KeyDtype` objects: one per generator, printed ``key<fry>``, and stored as an ordinary dtype.

Invariant: everything here is a pure function of its arguments and of ``enable_x64``.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from portax.core.config import config, derive
from portax.errors import ArgumentError, DtypeError, ScalarRangeError

DType = Any
"""A ``numpy.dtype`` or a `KeyDtype`."""


# The dtypes.


def _present(*names: str) -> tuple[np.dtype, ...]:
    """Those of the named dtypes that the installed ml_dtypes has."""
    return tuple(np.dtype(getattr(ml_dtypes, n)) for n in names if hasattr(ml_dtypes, n))


bool_ = np.dtype("bool")
int8, int16, int32, int64 = map(np.dtype, ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = map(np.dtype, ("uint8", "uint16", "uint32", "uint64"))
float16, float32, float64 = map(np.dtype, ("float16", "float32", "float64"))
complex64, complex128 = map(np.dtype, ("complex64", "complex128"))
bfloat16 = np.dtype(ml_dtypes.bfloat16)
int4, uint4 = np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)
float8_e4m3fn, float8_e5m2 = np.dtype(ml_dtypes.float8_e4m3fn), np.dtype(ml_dtypes.float8_e5m2)

#: The dtype of the tangent of something that has none: integers, booleans, keys. It takes no memory.
float0 = np.dtype([("float0", np.void, 0)])

NARROW_SIGNED = _present("int1", "int2", "int4")
NARROW_UNSIGNED = _present("uint1", "uint2", "uint4")
NARROW_FLOATS = _present(
    "float4_e2m1fn",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e8m0fnu",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
)
"""Dtypes with no implicit promotion to any other: they are for storage and for the operands of products."""

SIGNED = (*NARROW_SIGNED, int8, int16, int32, int64)
UNSIGNED = (*NARROW_UNSIGNED, uint8, uint16, uint32, uint64)
FLOATS = (*NARROW_FLOATS, bfloat16, float16, float32, float64)
COMPLEX = (complex64, complex128)
ALL = (bool_, *UNSIGNED, *SIGNED, *FLOATS, *COMPLEX)

_SIGNED, _UNSIGNED, _FLOAT, _COMPLEX = map(frozenset, (SIGNED, UNSIGNED, FLOATS, COMPLEX))
_INTEGER = _SIGNED | _UNSIGNED
_INEXACT = _FLOAT | _COMPLEX
_NUMERIC = _INTEGER | _INEXACT
_KNOWN = frozenset(ALL)
NARROW = frozenset((*NARROW_SIGNED, *NARROW_UNSIGNED, *NARROW_FLOATS))
BY_SIZE = {bool: (bool_, bool_), int: (int32, int64), float: (float32, float64), complex: (complex64, complex128)}
TO_32: dict[Any, DType] = {int64: int32, uint64: uint32, float64: float32, complex128: complex64}


class extended(np.generic):
    """Abstract scalar type of the dtypes that NumPy does not know."""


class prng_key(extended):
    """Abstract scalar type of random keys: ``issubdtype(key.dtype, prng_key)`` is true."""


class KeyDtype:
    """The dtype of random keys for one generator; there is one object per generator.

    Parameters
    ----------
    impl : str
        The generator: ``threefry2x32``, ``rbg`` or ``unsafe_rbg``.

    Attributes
    ----------
    name : str
        ``key<fry>``.
    words : int
        How many uint32 words a key has.
    storage : numpy.dtype
        The dtype of one key in host memory, so that a key array of shape ``s`` is stored as an array of shape ``s``.
        For threefry a uint64, the bits of two uint32 words; for keys of four words a record of two uint64.
    wide : bool
        A key has 128 bits. Compilers have no such dtype: to them an array of keys has a last axis of two uint64.
    """

    __slots__ = ("impl", "itemsize", "name", "storage", "wide", "words")

    _tags: Mapping[str, tuple[str, int]] = {"threefry2x32": ("fry", 2), "rbg": ("rbg", 4), "unsafe_rbg": ("urbg", 4)}
    _made: dict[str, KeyDtype] = {}

    type = prng_key
    kind = "V"
    impl: str
    name: str
    words: int
    itemsize: int
    storage: np.dtype
    wide: bool

    def __new__(cls, impl: str = "threefry2x32") -> KeyDtype:
        known = cls._made.get(impl)
        if known is not None:
            return known
        if impl not in cls._tags:
            raise ArgumentError(
                wrong=f"there is no random generator {impl!r}", fix=f"Name one of: {', '.join(map(repr, cls._tags))}"
            )
        self = object.__new__(cls)
        tag, self.words = cls._tags[impl]
        self.impl, self.name, self.itemsize = impl, f"key<{tag}>", 4 * self.words
        self.wide = self.words == 4
        self.storage = np.dtype([(impl, np.uint64, 2)]) if self.wide else uint64
        return cls._made.setdefault(impl, self)

    def for_compiler(self, stored: np.ndarray) -> np.ndarray:
        """Stored keys as compiled programs take them; the same memory."""
        if not self.wide or stored.dtype != self.storage:
            return stored
        return np.ascontiguousarray(stored).reshape((*stored.shape, 1)).view(uint64)

    def from_compiler(self, stored: np.ndarray) -> np.ndarray:
        """Stored keys as they are on the host, from what a compiled program gave; the same memory."""
        if not self.wide or stored.dtype == self.storage:
            return stored
        return np.ascontiguousarray(stored).view(self.storage).reshape(stored.shape[:-1])

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyDtype, (self.impl,)

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__


# Kinds. The predicates take dtype objects; `issubdtype` takes anything that names a dtype.


def is_bool(dtype: DType) -> bool:
    return dtype == bool_


def is_signed(dtype: DType) -> bool:
    """Whether it is a signed integer dtype."""
    return dtype in _SIGNED


def is_unsigned(dtype: DType) -> bool:
    return dtype in _UNSIGNED


def is_integer(dtype: DType) -> bool:
    """Whether it is an integer dtype; bool is none."""
    return dtype in _INTEGER


def is_float(dtype: DType) -> bool:
    """Whether it is a real floating dtype, those of ml_dtypes included."""
    return dtype in _FLOAT


def is_complex(dtype: DType) -> bool:
    return dtype in _COMPLEX


def is_inexact(dtype: DType) -> bool:
    """Whether it is floating, real or complex."""
    return dtype in _INEXACT


def is_numeric(dtype: DType) -> bool:
    """Whether it is an integer or floating dtype."""
    return dtype in _NUMERIC


def is_narrow(dtype: DType) -> bool:
    """Whether it is a dtype of 8 bits or fewer from ml_dtypes, which promotes to nothing else."""
    return dtype in NARROW


def is_key(dtype: DType) -> bool:
    return type(dtype) is KeyDtype


def is_supported(dtype: DType) -> bool:
    """Whether arrays may have this dtype."""
    return dtype in _KNOWN or type(dtype) is KeyDtype or dtype == float0


def kind(dtype: DType) -> str:
    """``bool``, ``uint``, ``int``, ``float``, ``complex``, ``key`` or ``void``."""
    return _KINDS.get(dtype) or ("key" if type(dtype) is KeyDtype else "void")


_KINDS: dict[DType, str] = {
    bool_: "bool",
    **dict.fromkeys(UNSIGNED, "uint"),
    **dict.fromkeys(SIGNED, "int"),
    **dict.fromkeys(FLOATS, "float"),
    **dict.fromkeys(COMPLEX, "complex"),
}
_PYTHON = {"bool": bool, "uint": int, "int": int, "float": float, "complex": complex}

# Abstract scalar types above those of ml_dtypes, whose classes do not derive from NumPy's.
_ABOVE: dict[type, frozenset[type]] = {
    **{d.type: frozenset({d.type, np.signedinteger, np.integer, np.number, np.generic}) for d in NARROW_SIGNED},
    **{d.type: frozenset({d.type, np.unsignedinteger, np.integer, np.number, np.generic}) for d in NARROW_UNSIGNED},
    **{d.type: frozenset({d.type, np.floating, np.inexact, np.number, np.generic}) for d in (*NARROW_FLOATS, bfloat16)},
}

_ARRAY_API_KINDS: dict[str, frozenset[Any]] = {
    "bool": frozenset({bool_}),
    "signed integer": _SIGNED,
    "unsigned integer": _UNSIGNED,
    "integral": _INTEGER,
    "real floating": _FLOAT,
    "complex floating": _COMPLEX,
    "numeric": _NUMERIC,
}


def _scalar_type(x: Any) -> type:
    if isinstance(x, type) and issubclass(x, np.generic):
        return x
    if type(x) is KeyDtype:
        return prng_key
    return np.dtype(x).type


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether dtype ``arg1`` lies at or below ``arg2`` in NumPy's hierarchy, with places for ml_dtypes and keys.

    Examples
    --------
    >>> issubdtype(bfloat16, np.floating), issubdtype(KeyDtype(), prng_key)
    (True, True)
    """
    if type(arg2) is KeyDtype:
        return arg1 is arg2
    low, high = _scalar_type(arg1), _scalar_type(arg2)
    above = _ABOVE.get(low)
    return high in above if above is not None else bool(np.issubdtype(low, high))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of one of the array API's kinds, such as ``"real floating"``, or equals a dtype given.

    ``kind`` may be a tuple of kinds and dtypes: whether any of them fits.

    Examples
    --------
    >>> pnp.isdtype(pnp.float32, "real floating"), pnp.isdtype("int8", ("bool", "unsigned integer"))
    (True, False)
    """
    own = dtype if type(dtype) is KeyDtype else np.dtype(dtype)
    for k in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(k, str) and k in _ARRAY_API_KINDS:
            if own in _ARRAY_API_KINDS[k]:
                return True
            continue
        try:
            same = own == (k if type(k) is KeyDtype else np.dtype(k))
        except TypeError:
            raise ArgumentError(
                wrong=f"{k!r} is neither a dtype nor a kind of dtype",
                fix=f"Give a dtype or one of: {', '.join(map(repr, _ARRAY_API_KINDS))}",
            ) from None
        if same:
            return True
    return False


# Names and sizes.

finfo = ml_dtypes.finfo
iinfo = ml_dtypes.iinfo


class _ShortNames(dict[Any, str]):
    def __missing__(self, dtype: DType) -> str:
        name = "float0" if dtype == float0 else dtype.name
        if dtype in _KNOWN:
            for word, letter in (("float", "f"), ("uint", "u"), ("int", "i"), ("complex", "c")):
                if word in name:
                    name = name.replace(word, letter)
                    break
        self[dtype] = name
        return name


#: ``short_name(dtype)`` is the name that jaxprs print: ``f32``, ``bf16``, ``i32``, ``u8``, ``bool``, ``key<fry>``.
short_name = _ShortNames().__getitem__


def name_of(dtype: DType) -> str:
    """The full name, ``float32``; ``float0`` for the dtype that NumPy would call void."""
    return "float0" if dtype == float0 else dtype.name


@functools.cache
def bits(dtype: DType) -> int:
    """Bits of one element by its meaning: 4 for int4, though NumPy stores it in a byte; 8 for bool."""
    if dtype in _INTEGER:
        return int(iinfo(dtype).bits)
    if dtype in _FLOAT:
        return int(finfo(dtype).bits)
    return 8 * dtype.itemsize


# The x64 setting, and the dtypes of Python numbers.


class _Canonical(dict[Any, DType]):
    """From anything that names a dtype to the dtype object it stands for under one setting of ``enable_x64``."""

    def __init__(self, x64: bool) -> None:
        known = {d: d if x64 else TO_32.get(d, d) for d in ALL}
        super().__init__(known)
        self.update({d.type: c for d, c in known.items()})
        self.update({python: small_large[x64] for python, small_large in BY_SIZE.items()})
        self.x64 = x64

    def __missing__(self, dtype: Any) -> DType:
        if type(dtype) is KeyDtype:
            return dtype
        try:
            found = np.dtype(dtype)
        except TypeError:
            raise DtypeError(
                wrong=f"{dtype!r} is not a dtype",
                fix="Give a NumPy dtype, its name, or a scalar type such as pnp.float32",
            ) from None
        if not found.isnative:
            found = found.newbyteorder("=")
        result = found if self.x64 else TO_32.get(found, found)
        if type(dtype) is str and result in _KNOWN:
            self[dtype] = result
        return result


_canonical = {x64: _Canonical(x64) for x64 in (False, True)}
_scalars = {x64: {python: both[x64] for python, both in BY_SIZE.items()} for x64 in (False, True)}
derive("canonical_dtypes", lambda settings: _canonical[settings["enable_x64"]])
derive("scalar_dtypes", lambda settings: _scalars[settings["enable_x64"]])


def canonicalize_dtype(dtype: Any) -> DType:
    """The dtype object that ``dtype`` stands for: native byte order, and 32 bits for 64 unless ``enable_x64``.

    Raises
    ------
    DtypeError
        ``dtype`` names no dtype.

    Examples
    --------
    >>> canonicalize_dtype(float), canonicalize_dtype("int64")
    (dtype('float32'), dtype('int32'))
    """
    try:
        return config.canonical_dtypes[dtype]
    except TypeError:  # not hashable, such as a list that describes a structured dtype
        return _canonical[config.enable_x64].__missing__(dtype)


def user_dtype(dtype: Any, function: str = "") -> DType:
    """The dtype a user asked for, as the current settings give it.

    Raises
    ------
    DtypeError
        No array can have it (strings, objects, dates), or it has 64 bits and ``explicit_x64_dtypes`` is "error".

    Warns
    -----
    UserWarning
        It has 64 bits and ``enable_x64`` is off.
    """
    found = canonicalize_dtype(dtype)
    if found not in _KNOWN and not is_supported(found):
        raise DtypeError(
            wrong=f"arrays cannot have the dtype {found}" + (f", asked for in {function}" if function else ""),
            fix="Use a boolean, integer, floating or complex dtype",
        )
    if config.enable_x64 or (isinstance(dtype, type) and dtype in BY_SIZE) or type(found) is KeyDtype:
        return found
    asked = np.dtype(dtype)
    if asked not in TO_32:
        return found
    mode = config.explicit_x64_dtypes
    wrong = f"the dtype {asked.name}" + (f" asked for in {function}" if function else "") + " has 64 bits"
    if mode == "error":
        raise DtypeError(wrong=wrong, fix='Turn them on: portax.config.update("enable_x64", True)')
    if mode == "warn":
        warnings.warn(
            f"{wrong}, and the result is {found.name} instead, because enable_x64 is off. "
            f'Turn it on with portax.config.update("enable_x64", True), or ask for {found.name}.',
            stacklevel=4,
        )
        return found
    return asked


def dtype_of_python_scalar(x: Any) -> np.dtype:
    """The dtype of a Python number, or of a Python number type.

    Raises
    ------
    ScalarRangeError
        An integer that does not fit.
    DtypeError
        ``x`` is no Python number.
    """
    dtypes = config.scalar_dtypes
    dtype = dtypes.get(type(x))
    if dtype is None:
        if isinstance(x, type) and x in BY_SIZE:
            return dtypes[x]
        for python in (bool, int, float, complex):
            if isinstance(x, python):
                dtype = dtypes[python]
                break
        else:
            raise DtypeError(wrong=f"{x!r} is not a Python number", fix="Give a bool, int, float or complex")
    n: Any = x
    if (dtype is int32 and not -0x80000000 <= n <= 0x7FFFFFFF) or (dtype is int64 and not -(2**63) <= n < 2**63):
        raise ScalarRangeError(
            wrong=f"the Python int {x} is too large to convert to {dtype.name}",
            fix="Give a float, or a NumPy array with the dtype you want"
            if dtype is int64
            else 'Turn on 64-bit dtypes, portax.config.update("enable_x64", True), or give a float',
        )
    return dtype


def python_type(dtype: DType) -> type:
    """bool, int, float or complex: what one element is in Python."""
    try:
        return _PYTHON[kind(dtype)]
    except KeyError:
        raise DtypeError(wrong=f"{name_of(dtype)} has no Python number", fix="Use a numeric or boolean dtype") from None


def default_like(dtype: DType) -> np.dtype:
    """The default dtype of the same kind: float32 for bfloat16, int32 for uint8; 64 bits with ``enable_x64``."""
    return config.scalar_dtypes[python_type(dtype)]


def to_inexact(dtype: DType) -> DType:
    """The floating dtype for a function such as ``sin`` at integers: float64 for 64-bit integers, else float32."""
    if dtype in _INEXACT:
        return dtype
    return float64 if dtype in (int64, uint64) else float32


def to_real(dtype: DType) -> DType:
    """The dtype of the magnitude: float32 for complex64."""
    return float32 if dtype == complex64 else float64 if dtype == complex128 else to_inexact(dtype)


def real_dtype(dtype: DType) -> DType:
    """The dtype of the real part: float32 for complex64, any other dtype itself."""
    return float32 if dtype == complex64 else float64 if dtype == complex128 else dtype


def accumulator(dtype: DType) -> DType:
    """The dtype in which a sum of many is kept: at least float32 for floating point, itself for the others."""
    return float32 if dtype in _FLOAT and dtype.itemsize < 4 else dtype


def to_complex(dtype: DType) -> DType:
    """The complex dtype that holds it: complex128 for 64-bit dtypes, else complex64."""
    return complex128 if to_real(to_inexact(dtype)) == float64 else complex64


def to_numeric(dtype: DType) -> DType:
    """int32 for bool, else itself."""
    return int32 if dtype == bool_ else dtype


def tangent_dtype(dtype: DType) -> DType:
    """The dtype of tangents: itself if floating, else float0."""
    return dtype if dtype in _INEXACT else float0
