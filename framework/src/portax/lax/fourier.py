"""The discrete Fourier transform, of any dtype that has one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax import primitives as p
from portax.core import dtypes
from portax.errors import DtypeError
from portax.lax.elementwise import convert_element_type
from portax.lax.operands import as_operand, shape_of
from portax.primitives.fourier import FftType

Operand = Any


def fft(x: Operand, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Any:
    """The discrete Fourier transform along the last axes.

    Parameters
    ----------
    x : array
        Real numbers for RFFT, any other type converts to complex ones.
    fft_type : FftType or str
        "FFT", "IFFT" (with a factor 1/n), "RFFT" (of real numbers: the half that says all), "IRFFT" (from that half).
    fft_lengths : sequence of int
        The length of each of the last axes as it is in time.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.fft(pnp.array([1.0, 0.0, 0.0, 0.0]), "RFFT", (4,)).real.tolist()
    [1.0, 1.0, 1.0]
    """
    operand = as_operand(x, "fft")
    kind = FftType.from_any(fft_type)
    dtype = operand.dtype
    if kind == FftType.RFFT:
        if dtypes.is_complex(dtype):
            raise DtypeError(wrong=f"RFFT takes real numbers, got {operand.aval}", fix="Use FFT, or take the real part")
        wanted = dtypes.to_inexact(dtype)
    else:
        wanted = dtypes.to_complex(dtype)
    if wanted != dtype:
        operand = convert_element_type(operand, wanted)
    return p.fft(operand, fft_type=kind, fft_lengths=shape_of(fft_lengths))
