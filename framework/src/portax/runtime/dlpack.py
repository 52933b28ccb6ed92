"""Host memory given to other libraries, and taken from them, by the DLPack protocol.

NumPy speaks DLPack too, but for its own dtypes only, and not for read-only arrays where the other side asks in the old
way. So the structures of the protocol are filled in and read here. Who exports keeps the array alive until the other
side calls the deleter; who imports calls the other side's deleter when the last view of the memory is gone.

Arrays are immutable and their memory is shared: a capsule says read-only where the protocol can (version 1), and who
asks in the old way is trusted not to write.
"""

from __future__ import annotations

import ctypes
import itertools
import weakref
from typing import Any

import ml_dtypes
import numpy as np

from portax.errors import DtypeError
from portax.runtime.dlpack_tensor import Tensor, pointer

CPU = 1
_HOST_KINDS = (1, 3, 11)  # the host's memory: plain, pinned by CUDA, pinned by ROCm
_READ_ONLY, _COPIED = 1, 2
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_BFLOAT = 4

_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", _Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


_python = ctypes.pythonapi
_new = _python.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_valid = _python.PyCapsule_IsValid
_valid.restype, _valid.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)
_rename = _python.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)

_OLD, _NEW = b"dltensor", b"dltensor_versioned"
_USED = {_OLD: b"used_dltensor", _NEW: b"used_dltensor_versioned"}
_LAYOUTS: dict[bytes, type[_Managed] | type[_Versioned]] = {_OLD: _Managed, _NEW: _Versioned}

#: What the other side holds, by the address of its structure: the structure, and all that it points to.
_lent: dict[int, tuple[Any, ...]] = {}


@_Deleter
def _returned(address: int) -> None:
    _lent.pop(address, None)


# A capsule that nobody consumed still has its first name when it dies.
@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
def _dropped(capsule: int) -> None:
    for name in (_OLD, _NEW):
        if _raw_valid(capsule, name):
            _lent.pop(_raw_pointer(capsule, name), None)


_raw_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _python))
_raw_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _python))


def supports(dtype: Any) -> bool:
    """Whether the protocol has a word for a dtype that both sides understand."""
    return dtype == ml_dtypes.bfloat16 or (dtype.isbuiltin == 1 and dtype.kind in _CODES)


def lend(value: np.ndarray, max_version: tuple[int, int] | None = None, copied: bool = False) -> Any:
    """A capsule of the protocol that shares the memory of ``value``.

    Raises
    ------
    DtypeError
        The protocol has no word for the dtype.
    """
    if not supports(value.dtype):
        raise DtypeError(
            wrong=f"DLPack cannot say {value.dtype.name}, so an array of it cannot be shared",
            fix="Convert it, for example with .astype('float32'), or pass its bits with .view('uint8')",
        )
    shape = (ctypes.c_int64 * value.ndim)(*value.shape)
    strides = (ctypes.c_int64 * value.ndim)(*(s // value.itemsize for s in value.strides))
    code = _BFLOAT if value.dtype == ml_dtypes.bfloat16 else _CODES[value.dtype.kind]
    tensor = Tensor(value.ctypes.data, CPU, 0, value.ndim, code, value.itemsize * 8, 1, shape, strides, 0)
    new = max_version is not None and max_version[0] >= 1
    managed: _Managed | _Versioned
    if new:
        flags = (0 if value.flags.writeable else _READ_ONLY) | (_COPIED if copied else 0)
        managed = _Versioned(1, 0, None, _returned, flags, tensor)
    else:
        managed = _Managed(tensor, None, _returned)
    address = ctypes.addressof(managed)
    _lent[address] = (managed, value, shape, strides)
    return _new(address, _NEW if new else _OLD, ctypes.cast(_dropped, ctypes.c_void_p))


def borrow(capsule: Any) -> np.ndarray:
    """The memory of a capsule as a read-only NumPy array, which returns it when its last view is gone.

    Raises
    ------
    DtypeError
        Elements of a kind that NumPy and ml_dtypes do not have.
    BufferError
        The capsule was consumed already, or is not in the host's memory.
    """
    name = next((n for n in (_NEW, _OLD) if _valid(capsule, n)), None)
    if name is None:
        raise BufferError("the DLPack capsule was consumed before, or is none")
    address = pointer(capsule, name)
    managed = _LAYOUTS[name].from_address(address)
    tensor = managed.tensor
    if tensor.device_type not in _HOST_KINDS:
        raise BufferError(f"the DLPack capsule is on a device of type {tensor.device_type}, not in the host's memory")
    dtype = _dtype_of(tensor)
    shape = tuple(tensor.shape[: tensor.ndim])
    steps = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else _dense(shape)
    _rename(capsule, _USED[name])
    if 0 in shape:
        value = np.empty(shape, dtype)
        _give_back(address, name)
    else:
        begin = tensor.data + tensor.byte_offset
        low = sum(min(0, (n - 1) * s) for n, s in zip(shape, steps, strict=True))
        high = sum(max(0, (n - 1) * s) for n, s in zip(shape, steps, strict=True))
        memory = (ctypes.c_char * ((high - low + 1) * dtype.itemsize)).from_address(begin + low * dtype.itemsize)
        weakref.finalize(memory, _give_back, address, name)
        flat = np.frombuffer(memory, np.uint8)  # pyright: ignore[reportCallIssue, reportArgumentType]
        value = np.ndarray(shape, dtype, flat, -low * dtype.itemsize, tuple(s * dtype.itemsize for s in steps))
    value.flags.writeable = False
    return value


def _give_back(address: int, name: bytes) -> None:
    deleter = _LAYOUTS[name].from_address(address).deleter
    if deleter:
        deleter(address)


def _dtype_of(tensor: Tensor) -> np.dtype[Any]:
    code, bits = tensor.code, tensor.bits
    if tensor.lanes == 1 and bits % 8 == 0:
        if code == _BFLOAT and bits == 16:
            return np.dtype(ml_dtypes.bfloat16)
        letter = next((k for k, c in _CODES.items() if c == code), None)
        if letter is not None:
            try:
                return np.dtype(f"{letter}{bits // 8}") if letter != "b" else np.dtype(bool)
            except TypeError:
                pass
    raise DtypeError(
        wrong=f"the DLPack capsule has elements of kind {code}, {bits} bits and {tensor.lanes} lanes: no dtype is that",
        fix="Convert the array in the library it comes from",
    )


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of an array in row-major order."""
    return tuple(itertools.accumulate(reversed(shape[1:]), lambda a, b: a * b, initial=1))[::-1] if shape else ()


def taken(x: Any, copy: bool | None = None) -> np.ndarray:
    """The memory of another library's array in host memory, as a NumPy array; copied where asked for."""
    if type(x) is np.ndarray:  # NumPy 2.0 has no capsule for one that may not be written to
        return x.copy() if copy else x.view()
    try:
        capsule = x.__dlpack__(max_version=(1, 0))
    except TypeError:  # it speaks the protocol as it was before versions
        capsule = x.__dlpack__()
    value = borrow(capsule)
    return value.copy() if copy else value
