"""Constants as StableHLO text, exact to the bit for every dtype.

A scalar, and an array whose elements all have the same bits, is one readable literal (a splat). Anything else is the
little-endian bytes of the array in hexadecimal, which the parser copies without converting a number. Two spellings are
not trusted to the parser: elements narrower than a byte (packed by one version, not by another) are lists of words, and
numbers that are not finite are their bits.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from portax.core.stablehlo.types import storage

__all__ = ["as_ndarray", "dense", "scalar_literal", "splat"]

_NARROW_INTS = {np.dtype(getattr(ml_dtypes, n)) for n in ("int2", "int4", "uint2", "uint4") if hasattr(ml_dtypes, n)}


def as_ndarray(value: Any, dtype: Any) -> np.ndarray:
    """Give ``value`` as an array of the storage of ``dtype``; a Python integer out of range is an OverflowError."""
    return np.asarray(value, storage(dtype))


def _decimal(number: float) -> str:
    # The grammar wants a point before an exponent, which repr leaves out.
    text = repr(number)
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


def _bits(item: np.ndarray) -> str:
    return f"0x{int.from_bytes(item.tobytes(), 'little'):0{2 * item.itemsize}X}"


def _float_literal(item: np.ndarray) -> str:
    number = float(item)
    # x - x is 0 for finite numbers only.
    return _decimal(number) if number - number == 0.0 else _bits(item)


def scalar_literal(item: np.ndarray) -> str:
    """Spell one element, given as an array with one element, as it stands between ``dense<`` and ``>``."""
    dtype = item.dtype
    kind = dtype.kind
    if kind == "f":
        return _float_literal(item)
    if kind == "b":
        return "true" if item else "false"
    if kind in "iu" or dtype in _NARROW_INTS:
        return str(int(item))
    if kind == "c":
        return f"({_float_literal(np.real(item))}, {_float_literal(np.imag(item))})"
    return _float_literal(item)


def splat(array: np.ndarray) -> np.ndarray | None:
    """Give the one element of which ``array`` is a repetition, bit for bit, or None."""
    size = array.size
    if size == 0:
        return None
    if size == 1:
        return array.reshape(())
    raw = array.tobytes()
    width = array.dtype.itemsize
    if raw[:width] != raw[-width:] or raw != raw[:width] * size:
        return None
    return array.reshape(-1)[:1].reshape(())


def _words(array: np.ndarray) -> str:
    words = [scalar_literal(item) for item in array] if array.ndim == 1 else [_words(row) for row in array]
    return f"[{', '.join(words)}]"


def dense(array: np.ndarray) -> str:
    """Spell an array as it stands between ``dense<`` and ``>``; its type gives the shape."""
    if array.size == 0:
        return ""
    item = splat(array)
    if item is not None:
        return scalar_literal(item)
    if array.dtype.kind == "b" or array.dtype in _NARROW_INTS:
        return _words(array)
    return f'"0x{array.tobytes().hex().upper()}"'
