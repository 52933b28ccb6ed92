"""Calling compiled functions of other languages, which the user brings, from programs.

A function of XLA's foreign function interface is registered under a name for a platform, and called by that name::

    library = ctypes.cdll.LoadLibrary("./libsums.so")
    portax.ffi.register_ffi_target("my_sum", portax.ffi.pycapsule(library.MySum), platform="cpu")
    y = portax.ffi.ffi_call("my_sum", portax.ShapeDtypeStruct((), x.dtype))(x)
"""

from portax.ffi.calls import ffi_call, ffi_call_p
from portax.ffi.lowering import build_ffi_lowering_function, ffi_lowering
from portax.ffi.registration import (
    TypeRegistration,
    include_dir,
    pycapsule,
    register_ffi_target,
    register_ffi_target_as_batch_partitionable,
    register_ffi_type,
    register_ffi_type_id,
)
