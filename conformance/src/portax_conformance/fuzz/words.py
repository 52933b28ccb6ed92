"""What programs by chance are made of: the primitives, what their samples ask of operands, and what rounding does to
them.

Nothing is listed that a primitive's class says: an equation is a sample whose operands come from the program instead.
What no class says stands here: which primitives answer differently to numbers that are nearly the same, and which
operands only their own samples can give, such as matrices that have a factor.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import Primitive, registry
from portax.primitives.elementwise import Elementwise
from portax_conformance.cases import KEY, Case, cases_of, dtypes_of
from portax_conformance.oracles import ORACLES

#: Dtypes that programs begin with, the usual ones more often.
DTYPES = (
    "float32", "float32", "float32", "float64", "bfloat16", "float16", "complex64", "int32", "int32", "int64", "int8",
    "int16", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
#: Dtypes of equations.
SPOKEN = (*dict.fromkeys(DTYPES), "complex128", KEY)
#: It says where it runs, which no reference can know.
LEFT_OUT = ("platform_index",)
#: With a program inside, and tried by their samples like those without.
WITH_PROGRAMS = ("reduce", "reduce_window")
#: Numbers that are nearly the same may give others that are not.
STEPS = ("floor", "ceil", "round", "sign", "rem", "nextafter", "reduce_precision", "bitcast_convert_type", "sort",
         "top_k", "select_and_gather_add", "select_and_scatter_add")  # fmt: skip
#: And these have derivatives that do.
KINKS = (*STEPS, "abs", "max", "min", "clamp", "reduce_max", "reduce_min", "reduce_prod", "cumprod", "cummax", "cummin",
         "reduce_window_max", "reduce_window_min", "scatter-min", "scatter-max", "scatter-mul")  # fmt: skip
#: Of complex numbers these are left to their samples: atan2(0, x) is pi or minus pi, as the last bit of x / sqrt(x * x)
#: is above or below the real axis.
REAL_ONLY = ("atan2",)
#: What lies between spread elements and around them, devices multiply with infinities and NaN, or leave out.
WITH_HOLES = ("conv_general_dilated",)
#: Elements of an operand at most.
LARGEST = 1024


@functools.cache
def vocabulary() -> tuple[Primitive, ...]:
    """The primitives of equations: all that compute, and have no program inside."""
    found = [p for p in registry if p.reference is not None and (p.memoize or p.name in WITH_PROGRAMS)]
    return tuple(p for p in found if p.name not in LEFT_OUT and patterns(p))


@functools.cache
def spoken(primitive: Primitive) -> tuple[str, ...]:
    """The dtypes of equations of a primitive."""
    found = dtypes_of(primitive, SPOKEN)
    return tuple(d for d in found if primitive.name not in REAL_ONLY or not d.startswith("complex"))


@functools.lru_cache(maxsize=4096)
def patterns_at(primitive: Primitive, dtype: str) -> tuple[Case, ...]:
    """The samples of a primitive at a dtype that equations are made after."""
    return tuple(
        case
        for case in cases_of(primitive, (dtype,))
        if not primitive.effects(**case.params) and all(a.size <= LARGEST for a in case.avals)
    )


def patterns(primitive: Primitive) -> bool:
    """Whether there is a sample to make equations after."""
    return any(patterns_at(primitive, dtype) for dtype in spoken(primitive)[:1])


def rounds(primitive: Primitive) -> bool:
    """Whether results of floats are rounded, so that devices may differ in them."""
    if isinstance(primitive, Elementwise):
        return primitive.name in ORACLES
    return primitive.accumulates or any(primitive.budget.values())


def is_step(primitive: Primitive, operands: Sequence[Any], results: Sequence[Any], smooth: bool) -> bool:
    """Whether operands that are nearly the same may give results that are not; ``smooth``, or derivatives."""
    if not any(dtypes.is_inexact(stored(a.dtype)) for a in operands):
        return False
    named = primitive.name in (KINKS if smooth else STEPS)
    return named or any(not dtypes.is_inexact(stored(a.dtype)) for a in results)


def free_operands(case: Case) -> int:
    """How many operands, the first ones, need not be the sample's.

    None where only those will do: of a decomposition, and indices that promise something. What a reduction by a
    program begins with must be the program's identity.
    """
    promises = any(case.params.get(name) for name in ("indices_are_sorted", "unique_indices"))
    if promises or case.primitive.name == "scatter" or ".linalg." in type(case.primitive).__module__:
        return 0
    return len(case.avals) // 2 if case.primitive.name in WITH_PROGRAMS else len(case.avals)


def stored(dtype: Any) -> np.dtype[Any]:
    """The dtype in which the host stores another."""
    return dtype.storage if isinstance(dtype, dtypes.KeyDtype) else dtype


def interval(x: np.ndarray) -> tuple[float, float] | None:
    """The least and greatest number of an operand, between which others should lie; None of nothing, and of records."""
    if x.dtype.names is not None:
        return None
    if dtypes.kind(x.dtype) == "complex":
        x = np.stack([np.real(x), np.imag(x)])
    known = x[np.isfinite(x)] if dtypes.is_float(x.dtype) else x
    return (float(known.min()), float(known.max())) if known.size else None
