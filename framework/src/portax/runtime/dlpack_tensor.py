"""How DLPack lays out an array, and where in memory a capsule of it begins.

Apart from `portax.runtime.dlpack`, which lends and borrows such memory: a driver whose library hands out capsules needs
the place alone, and loads this alone.
"""

from __future__ import annotations

import ctypes
from typing import Any


class Tensor(ctypes.Structure):
    """``DLTensor`` of the protocol. The structures around it changed with its versions, and this did not."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def address(capsule: Any) -> int:
    """Where the first element lies of the array in a capsule that nobody consumed, of the protocol before version 1.

    Parameters
    ----------
    capsule : capsule
        Keeps the memory alive for as long as it lives itself.
    """
    tensor = Tensor.from_address(pointer(capsule, b"dltensor"))  # a versioned structure does not begin with it
    return (tensor.data or 0) + tensor.byte_offset
