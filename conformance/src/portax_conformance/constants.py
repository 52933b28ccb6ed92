"""Constants: every bit of a number written into a program comes out of it again.

A constant reaches a device in three ways: as a literal inside an equation (a scalar), as text in the program (a small
array), as data passed beside it (a large one). Each dtype is tried in all three, with the numbers that text spoils
most easily: both zeros, infinities, NaN, the least and the greatest, the least normal and the least of all.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.jaxpr import ClosedJaxpr
from portax.runtime.contract import Device
from portax.runtime.programs import Options, prepare
from portax.transforms.stage import LARGE, StageTrace

#: Every dtype an array may have, keys apart.
DTYPES = dtypes.ALL


def special(dtype: Any) -> np.ndarray:
    """The numbers of a dtype that text spoils most easily; all of them where it has no more than 256."""
    kind = dtypes.kind(dtype)
    if kind == "complex":
        parts = special(np.zeros((), dtype).real.dtype)
        out = np.empty((parts.size, parts.size), dtype)
        out.real, out.imag = parts[:, None], parts[None, :]
        return out.reshape(-1)
    if kind == "bool":
        return np.array([False, True])
    if dtypes.bits(dtype) <= 8:
        if kind == "float" and dtype.itemsize == 1 and dtypes.bits(dtype) == 8:
            return np.arange(256, dtype=np.uint8).view(dtype)
        if kind == "float":
            return np.arange(1 << dtypes.bits(dtype), dtype=np.uint8).view(dtype)
        info = ml_dtypes.iinfo(dtype)
        return np.arange(int(info.min), int(info.max) + 1).astype(dtype)
    if kind in ("int", "uint"):
        info = ml_dtypes.iinfo(dtype)
        return np.array([0, 1, info.min, info.max, info.max // 3], dtype)
    info = ml_dtypes.finfo(dtype)
    return np.array(
        [0.0, -0.0, 1.0, -1.0, 1 / 3, np.inf, -np.inf, np.nan, info.max, info.min, info.tiny, info.smallest_subnormal],
        dtype,
    )


def check(dtype: Any, device: Device) -> None:
    """Run a program that returns constants of a dtype, and compare bytes."""
    numbers = special(dtype)
    large = np.resize(numbers, (LARGE,))
    trace = StageTrace("constants")
    scalars = [np.asarray(x, dtype) for x in numbers[:16]]
    given = [*scalars, numbers, numbers[:2].reshape(2, 1), numbers[:0], large]
    closed = ClosedJaxpr(*trace.jaxpr([], given))
    run = prepare(closed, device, Options("constants", effort="fast"))
    for x, buffer in zip(given, run([]), strict=True):
        got = np.asarray(device.host(buffer))
        assert got.shape == x.shape and got.dtype == x.dtype, f"{got.dtype}{got.shape}, not {x.dtype}{x.shape}"
        assert got.tobytes() == x.tobytes(), f"{dtype.name}: {got!r}, not {x!r}"
