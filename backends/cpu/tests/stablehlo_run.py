"""Programs that the StableHLO builder wrote, compiled and run by XLA on ndarrays."""

from __future__ import annotations

import os
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import ml_dtypes
import numpy as np
from jaxlib import _jax
from jaxlib import xla_client as xc

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.stablehlo import Module, Value

CLIENT = xc.make_cpu_client(num_devices=1)
DEVICE = CLIENT.devices()[0]
DEVICES = xc.DeviceList((DEVICE,))
NO_CHECKS = [True] if xc._version < 480 else []

FLOATS = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
SEEN = np.random.default_rng(0)


def sharding():
    return xc.GSPMDSharding(DEVICES, xc.HloSharding.replicate())


def put(x):
    spelled = SimpleNamespace(shape=x.shape, dtype=x.dtype, weak_type=False)
    copies = xc.HostBufferSemantics.IMMUTABLE_ONLY_DURING_CALL
    return _jax.batched_device_put(spelled, sharding(), [np.ascontiguousarray(x)], [DEVICE], True, True, copies, True)


def get(array):
    return np.asarray(memoryview(array.block_until_ready())).copy()


def carried(b, value):
    """The value in a dtype that NumPy can take from a device, which not every jaxlib can hand out otherwise."""
    dtype = value.dtype
    if dtypes.is_key(dtype) or dtype.isbuiltin == 1:
        return value
    if dtype in dtypes.NARROW_SIGNED or dtype in dtypes.NARROW_UNSIGNED:
        return b.convert(value, np.int8 if dtype in dtypes.NARROW_SIGNED else np.uint8)
    if dtypes.bits(dtype) == 6:
        return b.convert(value, np.float32)
    if dtypes.bits(dtype) == 4:
        return b.convert(b.bitcast(value, value.shape, ml_dtypes.uint4), np.uint8)
    return b.bitcast(value, value.shape, {1: np.uint8, 2: np.uint16}[dtype.itemsize])


def uncarried(array, dtype):
    if dtype in dtypes.NARROW_SIGNED or dtype in dtypes.NARROW_UNSIGNED or dtypes.bits(dtype) == 6:
        return array.astype(dtype)
    return array.view(dtype) if array.dtype != dtype else array


def compiled(text):
    try:
        return CLIENT.compile_and_load(text.encode(), DEVICES, xc.CompileOptions())
    except Exception as error:
        raise AssertionError(f"{error}\n{text}") from None


def run_text(text, operands, avals):
    handlers = [
        _jax.array_result_handler(
            SimpleNamespace(shape=a.shape, dtype=a.dtype, weak_type=False), sharding(), True, *NO_CHECKS
        )
        for a in avals
    ]
    outs = compiled(text).execute_sharded([put(x) for x in operands]).consume_with_handlers(handlers)
    return [get(out) for out in outs]


def run(body, *operands):
    """Compile ``body(b, *values)``, run it on ndarrays, and give the results in the dtypes that were promised."""
    operands = [np.asarray(x) for x in operands]
    raw = [x.view(np.uint16) if x.dtype == ml_dtypes.bfloat16 else x for x in operands]
    promised, written = [], []

    def whole(b, *values):
        values = [
            b.bitcast(v, x.shape, x.dtype) if v.dtype != x.dtype else v for v, x in zip(values, operands, strict=True)
        ]
        out = body(b, *values)
        promised.extend([out] if isinstance(out, Value) else out)
        written.extend([carried(b, v) for v in promised])
        return written

    text = Module("test").main([Aval(x.shape, x.dtype) for x in raw], whole)
    arrays = run_text(text, raw, [v.aval for v in written])
    outs = [uncarried(array, getattr(v.dtype, "storage", v.dtype)) for array, v in zip(arrays, promised, strict=True)]
    assert [out.shape for out in outs] == [v.shape for v in promised]
    return outs[0] if len(outs) == 1 else outs


def same(got, want):
    want = np.asarray(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes(), (got, want)


def close(got, want, rtol=1e-5, atol=1e-6):
    want = np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.astype(np.result_type(want.dtype)), want, rtol=rtol, atol=atol)


def normal(*shape, dtype=np.float32):
    return SEEN.standard_normal(shape).astype(dtype)


def padded(x, value, config):
    for axis, (low, high, interior) in enumerate(config):
        n = x.shape[axis]
        spread = np.full([*x.shape[:axis], max(0, n + max(n - 1, 0) * interior), *x.shape[axis + 1 :]], value, x.dtype)
        spread[(slice(None),) * axis + (slice(None, None, interior + 1),)] = x
        widths = [(0, 0)] * x.ndim
        widths[axis] = max(low, 0), max(high, 0)
        spread = np.pad(spread, widths, constant_values=value)
        x = spread[(slice(None),) * axis + (slice(max(-low, 0), max(spread.shape[axis] - max(-high, 0), 0)),)]
    return np.ascontiguousarray(x)
