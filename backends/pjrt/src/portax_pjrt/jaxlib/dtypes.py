"""The spelling of dtypes: in StableHLO's text, in XLA's, and for readers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import ml_dtypes
import numpy as np

from portax.backend import ShapeDtype

# The spelling of dtypes in StableHLO, of which these are stored and computed by all supported versions.
STABLEHLO_DTYPES: dict[str, np.dtype] = {
    "i1": np.dtype(np.bool_),
    **{f"i{n}": np.dtype(f"int{n}") for n in (8, 16, 32, 64)},
    **{f"ui{n}": np.dtype(f"uint{n}") for n in (8, 16, 32, 64)},
    "i2": np.dtype(ml_dtypes.int2),
    "i4": np.dtype(ml_dtypes.int4),
    "ui2": np.dtype(ml_dtypes.uint2),
    "ui4": np.dtype(ml_dtypes.uint4),
    "f16": np.dtype(np.float16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "complex<f32>": np.dtype(np.complex64),
    "complex<f64>": np.dtype(np.complex128),
    "f4E2M1FN": np.dtype(ml_dtypes.float4_e2m1fn),
    "f8E3M4": np.dtype(ml_dtypes.float8_e3m4),
    "f8E4M3": np.dtype(ml_dtypes.float8_e4m3),
    "f8E4M3FN": np.dtype(ml_dtypes.float8_e4m3fn),
    "f8E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "f8E4M3B11FNUZ": np.dtype(ml_dtypes.float8_e4m3b11fnuz),
    "f8E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "f8E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "f8E8M0FNU": np.dtype(ml_dtypes.float8_e8m0fnu),
}
DTYPES = frozenset(STABLEHLO_DTYPES.values())
DTYPE_NAMED = {dtype.name: dtype for dtype in DTYPES}

# Smaller than a byte. Newer versions pack them in memory and older ones do not, so nothing may look at their bytes.
# For each: its name, and the name and dtype of whole bytes that holds its values exactly.
SUB_BYTE: dict[np.dtype, tuple[str, str, np.dtype]] = {
    STABLEHLO_DTYPES[name]: (name, wide, STABLEHLO_DTYPES[wide])
    for name, wide in (("i2", "i8"), ("i4", "i8"), ("ui2", "ui8"), ("ui4", "ui8"), ("f4E2M1FN", "f32"))
}

#: StableHLO's name of each element that XLA names in the shapes of compiled programs.
XLA_ELEMENTS = {
    **{f"{kind}{n}": f"{kind}{n}" for kind, n in itertools.product("f", (16, 32, 64))},
    **{f"s{n}": f"i{n}" for n in (2, 4, 8, 16, 32, 64)},
    **{f"u{n}": f"ui{n}" for n in (2, 4, 8, 16, 32, 64)},
    **{name.lower(): name for name in STABLEHLO_DTYPES if name.startswith(("f4", "f8", "bf"))},
    "pred": "i1",
    "c64": "complex<f32>",
    "c128": "complex<f64>",
}


def shown(results: Sequence[ShapeDtype]) -> str:
    """Shapes and dtypes as users read them."""
    return "(" + ", ".join(f"{dtype}[{','.join(map(str, shape))}]" for shape, dtype in results) + ")"
