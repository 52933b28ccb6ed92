"""Values of a StableHLO program, and how their types are spelled.

A ``Value`` is a name already bound in the text, with the aval it stands for and its type spelled once: an op that keeps
the type of its operand copies a reference, it formats nothing. The spelling of an aval is memoised for good, as the
aval itself is. Weak types do not exist in StableHLO; typed PRNG keys are spelled as the integer they are stored in.

A key of 128 bits is two integers, along a last axis that the aval does not show. Most ops need not know: the axis is
part of the type's spelling. An op that names axes or sees elements works on the integers (`integers_of`) and gives its
result back as keys (`keys_of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.errors import DtypeError

__all__ = [
    "ELEMENT_TYPES",
    "TOKEN",
    "Token",
    "Value",
    "array_attribute",
    "dtype_of",
    "element_type",
    "integers_of",
    "is_wide",
    "joined_types",
    "keys_of",
    "list_attribute",
    "scalar_of",
    "storage",
    "type_of",
]

_BUILTIN = {
    "bool": "i1",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "ui8",
    "uint16": "ui16",
    "uint32": "ui32",
    "uint64": "ui64",
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "complex64": "complex<f32>",
    "complex128": "complex<f64>",
}
_EXTENDED = {
    "int2": "i2",
    "int4": "i4",
    "uint2": "ui2",
    "uint4": "ui4",
    "bfloat16": "bf16",
    "float8_e3m4": "f8E3M4",
    "float8_e4m3": "f8E4M3",
    "float8_e4m3fn": "f8E4M3FN",
    "float8_e4m3fnuz": "f8E4M3FNUZ",
    "float8_e4m3b11fnuz": "f8E4M3B11FNUZ",
    "float8_e5m2": "f8E5M2",
    "float8_e5m2fnuz": "f8E5M2FNUZ",
    "float8_e8m0fnu": "f8E8M0FNU",
    "float6_e2m3fn": "f6E2M3FN",
    "float6_e3m2fn": "f6E3M2FN",
    "float4_e2m1fn": "f4E2M1FN",
}
ELEMENT_TYPES: dict[Any, str] = {np.dtype(name): spelled for name, spelled in _BUILTIN.items()} | {
    np.dtype(getattr(ml_dtypes, name)): spelled for name, spelled in _EXTENDED.items() if hasattr(ml_dtypes, name)
}
"""How StableHLO spells each dtype."""


def storage(dtype: Any) -> Any:
    """Give the dtype in which values of ``dtype`` are stored: ``uint64`` for typed PRNG keys, else ``dtype`` itself."""
    return getattr(dtype, "storage", dtype)


def dtype_of(dtype: Any) -> Any:
    """Normalise what stands for a dtype (``np.float32``, ``"int8"``, a key dtype) to the object avals carry."""
    return dtype if hasattr(dtype, "storage") else np.dtype(dtype)


def is_wide(dtype: Any) -> bool:
    """Whether elements are keys of 128 bits."""
    return type(dtype) is dtypes.KeyDtype and dtype.wide


def element_type(dtype: Any) -> str:
    """Spell a dtype as a StableHLO element type, ``f32`` or ``ui64``."""
    spelled = "ui64" if is_wide(dtype) else ELEMENT_TYPES.get(dtype) or ELEMENT_TYPES.get(storage(dtype))
    if spelled is None:
        raise DtypeError(
            wrong=f"StableHLO has no spelling for {dtypes.name_of(dtype)}",
            fix="Convert to a dtype that it has before this operation, or run on a device that does not compile",
        )
    return spelled


class Token:
    """Stands where an aval would for a value that only orders side effects."""

    shape: tuple[int, ...] = ()
    dtype = None
    weak_type = False


TOKEN = Token()
_types: dict[Any, str] = {TOKEN: "!stablehlo.token"}


def type_of(aval: Any) -> str:
    """Spell an aval as a StableHLO type: ``float32[2,3]`` is ``tensor<2x3xf32>``."""
    spelled = _types.get(aval)
    if spelled is None:
        shape = (*aval.shape, 2) if is_wide(aval.dtype) else aval.shape
        _types[aval] = spelled = f"tensor<{''.join([f'{n}x' for n in shape])}{element_type(aval.dtype)}>"
    return spelled


class Value:
    """A result of an op, or an argument, with the name by which later ops refer to it.

    Attributes
    ----------
    name : str
        As in the text, ``%12`` or ``%12#1``.
    aval : Aval
        Shape and dtype.
    type : str
        The aval as StableHLO spells it.
    """

    __slots__ = ("aval", "name", "type")

    def __init__(self, name: str, aval: Any, spelled: str | None = None) -> None:
        self.name = name
        self.aval = aval
        self.type = type_of(aval) if spelled is None else spelled

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the aval."""
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the aval."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.aval.shape)

    def __repr__(self) -> str:
        """Show name and type as the text would."""
        return f"{self.name}: {self.type}"


def integers_of(x: Value) -> Value:
    """Give the uint64 that keys of 128 bits are made of, two along a last axis; nothing is written."""
    return Value(x.name, Aval((*x.aval.shape, 2), dtypes.uint64), x.type)


def keys_of(x: Value, dtype: Any) -> Value:
    """Give the keys of ``dtype`` that are made of pairs of uint64 along the last axis; nothing is written."""
    return Value(x.name, Aval(x.aval.shape[:-1], dtype), x.type)


def joined_types(values: Iterable[Value]) -> str:
    """Spell the types of several values, separated by commas."""
    return ", ".join([v.type for v in values])


def scalar_of(aval: Any) -> Aval:
    """Give the rank-0 aval of the same dtype: what the body of a reduction sees."""
    return Aval((), aval.dtype)


def array_attribute(numbers: Sequence[int]) -> str:
    """Spell integers as the attribute generic ops take: ``array<i64: 1, 2>``."""
    return f"array<i64: {', '.join(map(str, numbers))}>" if len(numbers) else "array<i64>"


def list_attribute(numbers: Iterable[int]) -> str:
    """Spell integers between brackets, ``[0, 1]``."""
    return f"[{', '.join(map(str, numbers))}]"
