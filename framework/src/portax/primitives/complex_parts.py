"""Complex numbers and their parts: complex, real, imag, conj.

The family is closed under transposition. Cotangents follow the convention of holomorphic maps: a transpose is the plain
transpose, never the conjugate one, so ``real`` sends a cotangent ``c`` to ``c + 0i`` and ``imag`` to ``0 - ci``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import registry
from portax.errors import DtypeError
from portax.primitives.arithmetic import neg
from portax.primitives.elementwise import INEXACT, Elementwise, like


def real_part_dtype(x: Any, **_: Any) -> Any:
    """float32 for complex64, float64 for complex128."""
    return dtypes.float32 if x.dtype == dtypes.complex64 else dtypes.float64


def complex_dtype(x: Any, *_: Any, **__: Any) -> Any:
    """complex64 for float32 and complex64, else complex128."""
    return dtypes.complex64 if x.dtype in (dtypes.float32, dtypes.complex64) else dtypes.complex128


class _Parts(Elementwise):
    """A row whose real operands can only be float32 and float64: there are no other complex numbers."""

    def _check_dtypes(self, avals: Any) -> None:
        super()._check_dtypes(avals)
        first = avals[0]
        if dtypes.is_float(first.dtype) and first.dtype not in (dtypes.float32, dtypes.float64):
            raise DtypeError(
                wrong=f"{self.name} does not take {first.dtype.name}: no complex dtype has such parts",
                fix="Convert to float32 or float64 first",
            )

    def samples(self, make: Any) -> Any:
        if make(()).dtype in (dtypes.float32, dtypes.float64, *dtypes.COMPLEX):
            yield from super().samples(make)


real = registry.add(
    _Parts(
        "real",
        np.real,
        doc="""The real part of ``x``.

Parameters
----------
x : Array, complex64 or complex128

Returns
-------
Array, float32 or float64
""",
        kinds=("complex",),
        result=real_part_dtype,
        linear_in=(0,),
        transpose=lambda ct, x: complex_(ct, np.zeros((), ct.dtype)),
        stablehlo="real",
        required=True,
    )
)

imag = registry.add(
    _Parts(
        "imag",
        np.imag,
        doc="""The imaginary part of ``x``.

Parameters
----------
x : Array, complex64 or complex128

Returns
-------
Array, float32 or float64
""",
        kinds=("complex",),
        result=real_part_dtype,
        linear_in=(0,),
        transpose=lambda ct, x: complex_(np.zeros((), ct.dtype), neg(ct)),
        stablehlo="imag",
        required=True,
    )
)


def _complex_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Not x + 1j * y: that would turn an infinite y into NaN and lose the sign of zeros.
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), np.result_type(x.dtype, np.complex64))
    out.real, out.imag = x, y
    return out


complex_ = registry.add(
    _Parts(
        "complex",
        _complex_reference,
        arity=2,
        doc="""The complex number with real part ``x`` and imaginary part ``y``.

Parameters
----------
x, y : Arrays, both float32 or both float64

Returns
-------
Array, complex64 or complex128
""",
        kinds=("float",),
        result=complex_dtype,
        linear_in=(0, 1),
        transpose=lambda ct, x, y: (real(ct), neg(imag(ct))),
        stablehlo=lambda b, x, y: b.complex(x, y),
        required=True,
    )
)


def _conj_reference(x: np.ndarray, *, input_dtype: Any) -> np.ndarray:
    return np.conjugate(x).astype(complex_dtype(x), copy=False)


def _conj_steps(x: Any, *, input_dtype: Any) -> Any:
    return complex_(real(x), neg(imag(x))) if dtypes.is_complex(x.dtype) else complex_(x, like(x, 0))


def _conj_lowering(b: Any, x: Any, *, input_dtype: Any) -> Any:
    if dtypes.is_complex(x.aval.dtype):
        return b.complex(b.real(x), b.unary("negate", b.imag(x)))
    return b.complex(x, b.full(x.aval.shape, 0, x.aval.dtype))


class _Conj(_Parts):
    """``input_dtype`` tells the transpose what the operand was; samples fill it in."""

    def samples(self, make: Any) -> Any:
        for sample in super().samples(make):
            sample.params["input_dtype"] = sample.operands[0].dtype
            yield sample


conj = registry.add(
    _Conj(
        "conj",
        _conj_reference,
        doc="""The complex conjugate of ``x``, a complex number even where ``x`` is real.

Parameters
----------
x : Array, floating or complex
input_dtype : dtype, static; the dtype of ``x``

Returns
-------
Array, complex64 or complex128
""",
        kinds=INEXACT,
        result=complex_dtype,
        linear_in=(0,),
        transpose=lambda ct, x, input_dtype: conj(ct, input_dtype=ct.dtype)
        if dtypes.is_complex(x.dtype)
        else real(ct),
        decompose=_conj_steps,
        stablehlo=_conj_lowering,
    )
)
