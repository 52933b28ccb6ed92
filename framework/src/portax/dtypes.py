"""Dtypes: the names of ``jax.dtypes``."""

from typing import Any as _Any

import numpy as _np
from ml_dtypes import bfloat16

from portax.core import dtypes as _core
from portax.core import promotion as _promotion
from portax.core.aval import aval_of as _aval_of
from portax.core.config import config as _config
from portax.core.dtypes import extended, finfo, float0, iinfo, issubdtype, prng_key
from portax.errors import DtypeError as _DtypeError
from portax.errors import TypePromotionError

__all__ = [
    "TypePromotionError",
    "bfloat16",
    "canonicalize_dtype",
    "extended",
    "finfo",
    "float0",
    "iinfo",
    "issubdtype",
    "itemsize_bits",
    "prng_key",
    "result_type",
    "scalar_type_of",
]

_PYTHON = (bool, int, float, complex)


def canonicalize_dtype(dtype: _Any, allow_extended_dtype: bool = False) -> _Any:
    """The dtype object that ``dtype`` names, with 32 bits for 64 unless ``enable_x64`` is on.

    Parameters
    ----------
    dtype : dtype, scalar type or name
    allow_extended_dtype : bool
        Whether the dtype of random keys may come back; else it is refused.

    Examples
    --------
    >>> from portax import dtypes
    >>> dtypes.canonicalize_dtype("int64")
    dtype('int32')
    """
    found = _core.canonicalize_dtype(dtype)
    if type(found) is _core.KeyDtype and not allow_extended_dtype:
        raise _DtypeError(wrong=f"{found} is not a NumPy dtype", fix="Give allow_extended_dtype=True")
    return found


def itemsize_bits(dtype: _Any) -> int:
    """Bits of one element: 4 for int4.

    Examples
    --------
    >>> from portax import dtypes
    >>> dtypes.itemsize_bits("int4"), dtypes.itemsize_bits("float32")
    (4, 32)
    """
    return _core.bits(dtype if type(dtype) is _core.KeyDtype else _np.dtype(dtype))


def _operand(x: _Any) -> tuple[_Any, bool]:
    """(dtype, weak) of an array, a Python number, a dtype, or whatever names a dtype."""
    if x is None:
        return _config.scalar_dtypes[float], False
    if type(x) in _PYTHON or (isinstance(x, type) and x in _PYTHON):
        return _core.dtype_of_python_scalar(x), x is not bool and type(x) is not bool
    if isinstance(x, (type, str, _np.dtype, _core.KeyDtype)):
        return _core.canonicalize_dtype(x), False
    aval = _aval_of(x)
    return aval.dtype, aval.weak_type


def result_type(*args: _Any, return_weak_type_flag: bool = False) -> _Any:
    """The dtype of the result of an operation on arrays, Python numbers and dtypes.

    Parameters
    ----------
    *args : array, number, dtype or None
        None stands for the default floating dtype.
    return_weak_type_flag : bool
        Whether to give the pair of the dtype and whether it is weak.

    Examples
    --------
    >>> import numpy as np
    >>> from portax import dtypes
    >>> dtypes.result_type(np.int8(1), 2.0)
    dtype('float32')
    """
    dtype, weak = _promotion.result_type([_operand(x) for x in args])
    dtype = _promotion.settled(dtype, weak)
    return (dtype, weak) if return_weak_type_flag else dtype


def scalar_type_of(x: _Any) -> type:
    """bool, int, float or complex: what an element of ``x`` is in Python.

    Examples
    --------
    >>> import numpy as np
    >>> from portax import dtypes
    >>> dtypes.scalar_type_of(np.zeros(3, "bfloat16"))
    <class 'float'>
    """
    return _core.python_type(_operand(x)[0])
