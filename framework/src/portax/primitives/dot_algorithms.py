"""How the products of a contraction are made and added: algorithms by name.

An algorithm says what the factors are rounded to and in what the sum is kept. Here it means the same on every device:
factors are rounded by ``reduce_precision``, multiplied exactly, and added in a dtype no narrower than it says. Where an
algorithm cuts factors into several components to win their digits back, they are not rounded at all.

References
----------
Henry, Tang and Heinecke, Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations,
ARITH 2019: products of components.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.errors import DtypeError


class DotAlgorithm(NamedTuple):
    """What factors are rounded to, and in what their products are added.

    Attributes
    ----------
    lhs_precision_type, rhs_precision_type : dtype
    accumulation_type : dtype
    lhs_component_count, rhs_component_count : int
        Into how many components a factor is cut.
    num_primitive_operations : int
        How many products of components are added.
    allow_imprecise_accumulation : bool
        Whether a device may add in fewer bits for some steps; here none does.
    """

    lhs_precision_type: Any
    rhs_precision_type: Any
    accumulation_type: Any
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False

    @property
    def swapped(self) -> DotAlgorithm:
        """The same with the factors exchanged."""
        return self._replace(
            lhs_precision_type=self.rhs_precision_type, rhs_precision_type=self.lhs_precision_type,
            lhs_component_count=self.rhs_component_count, rhs_component_count=self.lhs_component_count,
        )  # fmt: skip


class DotAlgorithmPreset(enum.Enum):
    """Algorithms by name: the dtypes of the factors, then that of the sum; ``X3`` cuts factors into components.

    ``DEFAULT`` is what a device does unasked. ``ANY_F8`` takes factors of any dtype of 8 bits.
    """

    DEFAULT = 1
    ANY_F8_ANY_F8_F32 = 2
    ANY_F8_ANY_F8_F32_FAST_ACCUM = 3
    ANY_F8_ANY_F8_ANY = 4
    ANY_F8_ANY_F8_ANY_FAST_ACCUM = 5
    F16_F16_F16 = 6
    F16_F16_F32 = 7
    BF16_BF16_BF16 = 8
    BF16_BF16_F32 = 9
    BF16_BF16_F32_X3 = 10
    BF16_BF16_F32_X6 = 11
    BF16_BF16_F32_X9 = 12
    TF32_TF32_F32 = 13
    TF32_TF32_F32_X3 = 14
    F32_F32_F32 = 15
    F64_F64_F64 = 16

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __str__(self) -> str:
        return self.name

    @property
    def swapped(self) -> DotAlgorithmPreset:
        """The same with the factors exchanged: they are alike."""
        return self


class Steps(NamedTuple):
    """An algorithm as what is done.

    Attributes
    ----------
    left, right : (exponent bits, mantissa bits) the factors are rounded to, or None
    wide : dtype in which products are added
    total : (exponent bits, mantissa bits) the sum is rounded to, or None
    """

    left: tuple[int, int] | None
    right: tuple[int, int] | None
    wide: np.dtype
    total: tuple[int, int] | None


_BITS = {"F16": (5, 10), "BF16": (8, 7), "TF32": (8, 10), "F32": None, "F64": None}
_SHORT = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}


def steps_of(algorithm: DotAlgorithm | DotAlgorithmPreset, left: Any, right: Any) -> Steps:
    """What is done with factors of two dtypes.

    Raises
    ------
    DtypeError
        The algorithm is not made for them.
    """
    if isinstance(algorithm, DotAlgorithmPreset):
        names = algorithm.name.split("_")
        if names[0] == "ANY":
            if any(dtypes.bits(d) != 8 or not dtypes.is_float(d) for d in (left, right)):
                raise _not_made(algorithm, left, right)
            return Steps(None, None, np.dtype(np.float32), None)
        a, b, total = names[:3]
        whole = len(names) == 3
    else:
        kinds = algorithm[:3]
        names = [_SHORT.get(np.dtype(d).name) for d in kinds]
        if any(n is None for n in names):
            raise DtypeError(
                wrong=f"there is no dot algorithm of {', '.join(np.dtype(d).name for d in kinds)}",
                fix=f"Give dtypes among {', '.join(_SHORT)}, or a DotAlgorithmPreset",
            )
        a, b, total = (str(n) for n in names)
        whole = algorithm.num_primitive_operations == 1
    if not all(dtypes.is_float(d) for d in (left, right)):
        raise _not_made(algorithm, left, right)
    wide = np.dtype(np.float64 if "F64" in (a, b, total) else np.float32)
    wide = max(wide, *[dtypes.accumulator(d) for d in (left, right)], key=dtypes.bits)
    rounded = [_BITS[n] if whole else None for n in (a, b)]
    if whole and wide == np.float64:
        rounded = [(8, 23) if n == "F32" else bits for n, bits in zip((a, b), rounded, strict=True)]
    return Steps(rounded[0], rounded[1], wide, _BITS[total])


def _not_made(algorithm: Any, left: Any, right: Any) -> DtypeError:
    return DtypeError(
        wrong=f"the dot algorithm {algorithm} is not made for factors of {left} and {right}",
        fix="Convert the factors, or leave precision out",
    )


def needs_rounding(dtype: Any, bits: tuple[int, int] | None) -> bool:
    """Whether numbers of ``dtype`` may have more digits than ``bits``, or a greater range."""
    info = ml_dtypes.finfo(dtype)
    return bits is not None and (info.nmant > bits[1] or info.nexp > bits[0])
