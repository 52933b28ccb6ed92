"""Reading arrays of dtypes smaller than a byte, whose layout in memory is XLA's affair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax_pjrt.jaxlib.dtypes import SUB_BYTE
from portax_pjrt.jaxlib.memory import frozen
from portax_pjrt.jaxlib.programs import compile_program, runner
from portax_pjrt.jaxlib.versions import VERSION

_widening: dict[tuple[int, tuple[int, ...], np.dtype], Callable[[list[Any]], list[Any]]] = {}


def widened(array: Any, dtype: np.dtype, where: str) -> np.ndarray:
    """Read a sub-byte array through a program that converts it to a dtype of whole bytes."""
    if VERSION >= 480:
        return frozen(array._to_np_array_did_copy()[0])
    [device] = array._sharding._internal_device_list
    name, wide, wide_dtype = SUB_BYTE[dtype]
    key = id(device), array.aval.shape, dtype
    if key not in _widening:
        if len(_widening) >= 256:
            _widening.clear()
        shape = "x".join((*map(str, array.aval.shape), ""))
        program = f"""module {{ func.func public @main(%x: tensor<{shape}{name}>) -> tensor<{shape}{wide}> {{
          %0 = stablehlo.convert %x : (tensor<{shape}{name}>) -> tensor<{shape}{wide}>
          return %0 : tensor<{shape}{wide}> }} }}"""
        loaded = compile_program(device.client, program, [device], where, fast=True)
        _widening[key] = runner(loaded, ((array.aval.shape, wide_dtype),), device, where)
    [wider] = _widening[key]([array])
    return frozen(np.asarray(memoryview(wider)).astype(dtype))
