"""The discrete Fourier transform: fft, in its four types.

``X[k] = sum over j of x[j] exp(-2 pi i j k / n)`` along each of the last axes. A real array has a spectrum of which
half says all: RFFT gives that half of the last axis, IRFFT takes it. The matrix of FFT is symmetric, so FFT and IFFT
are their own adjoints; those of RFFT and IRFFT are each other with weights, since the half not stored counts too.

A device without a transform of its own gets one by matrix products: a length is split into factors of at most 64, whose
transforms are matrices; of a large prime the transform is a convolution of a length that splits.

References
----------
Cooley and Tukey, An algorithm for the machine calculation of complex Fourier series, Math. Comp. 19, 1965.
Bluestein, A linear filtering approach to the computation of discrete Fourier transform, IEEE Trans. AU-18, 1970.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.primitives.arithmetic import mul
from portax.primitives.broadcasting import broadcast_to, reshape, transpose
from portax.primitives.complex_parts import complex_, conj, real
from portax.primitives.contraction import dot_general
from portax.primitives.slicing import concatenate, pad, part, rev
from portax.primitives.zeros import zero, zeros

Shape = tuple[int, ...]


class FftType(enum.IntEnum):
    """Which transform: of complex numbers, its inverse, of real numbers, its inverse."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3

    @classmethod
    def from_any(cls, kind: str | FftType) -> FftType:
        """The type of that name."""
        if isinstance(kind, str) and kind.upper() in cls.__members__:
            return cls[kind.upper()]
        if isinstance(kind, cls):
            return kind
        raise ArgumentError(wrong=f"there is no transform {kind!r}", fix=f"Give one of {', '.join(cls.__members__)}")


FFT, IFFT, RFFT, IRFFT = FftType


class Fft(Primitive):
    """The discrete Fourier transform of ``x`` along its last axes.

    FFT has ``exp(-2 pi i j k / n)`` and no factor, IFFT ``exp(2 pi i j k / n)`` and ``1 / n``. RFFT gives the first
    ``n // 2 + 1`` elements of the last axis, IRFFT takes them: of the first, and of the last where n is even, it uses
    the real part alone.

    Parameters
    ----------
    x : Array, complex; float32 or float64 for RFFT
    fft_type : FftType, static
    fft_lengths : tuple of int, static; the length of each of the last axes as it is in time

    Returns
    -------
    Array, complex; real for IRFFT
    """

    name = "fft"
    dtypes = ("float", "complex")
    linear_in = (0,)
    accumulates = True
    budget = {"default": 16}

    def growth(self, *, fft_type: Any, fft_lengths: Any) -> float:
        """Each result adds all elements, each turned: as n of them add up on a random walk."""
        n = math.prod(fft_lengths)
        return n**0.5 if fft_type in (FFT, RFFT) else max(n, 1) ** -0.5

    def shape(self, x: Aval, *, fft_type: Any, fft_lengths: Any) -> Shape:
        rank = len(fft_lengths)
        if not 1 <= rank <= x.ndim:
            raise ShapeError(
                wrong=f"fft cannot transform the last {rank} axes of x: {x}", fix=f"Give 1 to {x.ndim} fft_lengths"
            )
        n = fft_lengths[-1]
        least = 1 if fft_type == RFFT else 0
        if any(m < least for m in fft_lengths):
            raise ShapeError(wrong=f"fft cannot have lengths {fft_lengths}", fix=f"Give lengths from {least} on")
        half = 0 if fft_type == IRFFT and not n and not x.shape[-1] else n // 2 + 1
        expected = (*fft_lengths[:-1], half if fft_type == IRFFT else n)
        if x.shape[x.ndim - rank :] != expected:
            raise ShapeError(
                wrong=f"{fft_type.name} of lengths {fft_lengths} needs last axes of {expected}, got x: {x}",
                fix="Cut or pad x, or give the lengths it has",
            )
        last = half if fft_type == RFFT else n
        return (*x.shape[:-1], last)

    def dtype(self, x: Aval, *, fft_type: Any, fft_lengths: Any) -> Any:
        if fft_type == RFFT:
            if x.dtype not in (dtypes.float32, dtypes.float64):
                raise DtypeError(wrong=f"RFFT takes float32 or float64, got {x}", fix="Convert it with .astype")
            return dtypes.to_complex(x.dtype)
        if not dtypes.is_complex(x.dtype):
            raise DtypeError(wrong=f"{fft_type.name} takes complex numbers, got {x}", fix="Convert with .astype")
        return dtypes.to_real(x.dtype) if fft_type == IRFFT else x.dtype

    def reference(self, x: np.ndarray, *, fft_type: Any, fft_lengths: Any) -> np.ndarray:
        aval = Aval(x.shape, x.dtype)
        shape = self.shape(aval, fft_type=fft_type, fft_lengths=fft_lengths)
        dtype = self.dtype(aval, fft_type=fft_type, fft_lengths=fft_lengths)
        if not x.size or not math.prod(shape):
            return np.zeros(shape, dtype)
        axes = tuple(range(-len(fft_lengths), 0))
        wide = x.astype(np.float64 if fft_type == RFFT else np.complex128)
        out = getattr(np.fft, f"{fft_type.name.lower()}n")(wide, s=tuple(fft_lengths), axes=axes)
        return out.astype(dtype)

    def transpose(self, ct: Any, x: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
        if not ct.size or not x.aval.size:
            return zeros(x.aval)
        if fft_type in (FFT, IFFT):
            return fft(ct, fft_type=fft_type, fft_lengths=fft_lengths)
        n, size = fft_lengths[-1], math.prod(fft_lengths)
        # Of the elements of a half spectrum, all but the first, and the last where n is even, stand for two.
        twice = np.full(n // 2 + 1, 2.0)
        twice[0] = 1.0
        if n % 2 == 0:
            twice[-1] = 1.0
        if fft_type == RFFT:
            weighted = _times(_conj(ct), size / twice)
            return fft(weighted, fft_type=IRFFT, fft_lengths=fft_lengths)
        return _conj(_times(fft(ct, fft_type=RFFT, fft_lengths=fft_lengths), twice / size))

    def batch(self, batched: Any, x: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
        return fft(x, fft_type=fft_type, fft_lengths=fft_lengths)

    def decompose(self, x: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
        aval = aval_of(x)
        params = {"fft_type": fft_type, "fft_lengths": fft_lengths}
        shape, dtype = self.shape(aval, **params), self.dtype(aval, **params)
        if not aval.size or not math.prod(shape):
            return zeros(Aval(shape, dtype))
        axes = tuple(range(aval.ndim - len(fft_lengths), aval.ndim))
        if fft_type == IRFFT:
            x = _along(x, axes[:-1], 1)
            x = _along(_whole_spectrum(x, fft_lengths[-1]), axes[-1:], 1)
            return _times(real(x), np.asarray(1 / math.prod(fft_lengths)))
        if fft_type == RFFT:
            x = _along(complex_(x, zeros(aval)), axes[-1:], -1)
            return _along(part(x, aval.ndim - 1, 0, shape[-1]), axes[:-1], -1)
        x = _along(x, axes, -1 if fft_type == FFT else 1)
        return x if fft_type == FFT else _times(x, np.asarray(1 / math.prod(fft_lengths)))

    def stablehlo(self, b: Any, x: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
        params = {"fft_type": fft_type, "fft_lengths": fft_lengths}
        shape, dtype = self.shape(x.aval, **params), self.dtype(x.aval, **params)
        if not x.aval.size or not math.prod(shape):
            return b.full(shape, 0, dtype)
        # An op has at most three axes; the others are transformed like numbers that are complex, before or after.
        last, others = fft_lengths[-3:], fft_lengths[:-3]
        if not others:
            return b.fft(x, fft_type.name, last)
        complex_type = "IFFT" if fft_type in (IFFT, IRFFT) else "FFT"
        if fft_type == IRFFT:
            return b.fft(_lead(b, x, complex_type, others, len(last)), fft_type.name, last)
        return _lead(b, b.fft(x, fft_type.name, last), complex_type, others, len(last))

    def samples(self, make: Any) -> Any:
        dtype = make(()).dtype
        if dtype in (dtypes.float32, dtypes.float64):
            for shape, rank in (((2, 6), 1), ((5,), 1), ((3, 4, 7), 2), ((2, 1), 1), ((0, 4), 1), ((2, 3, 2, 2), 4)):
                yield Sample(make(shape), fft_type=RFFT, fft_lengths=shape[-rank:], id="x".join(map(str, shape)))
        if not dtypes.is_complex(dtype):
            return
        for kind in (FFT, IFFT):
            for shape, rank in (((2, 4), 1), ((3, 5, 6), 2), ((1,), 1), ((2, 0), 1), ((2, 2, 3, 2, 2), 4)):
                yield Sample(make(shape), fft_type=kind, fft_lengths=shape[-rank:], id="x".join(map(str, shape)))
            for n in (67, 130, 300, 521):
                yield Sample(make((n,)), fft_type=kind, fft_lengths=(n,), id=f"long-{n}")
        for shape, lengths in (((2, 4), (6,)), ((4,), (7,)), ((3, 4, 3), (4, 4)), ((2, 1), (1,)), ((0, 3), (4,))):
            yield Sample(make(shape), fft_type=IRFFT, fft_lengths=lengths, id="x".join(map(str, lengths)))
        yield Sample(make((2, 3, 2, 2)), fft_type=IRFFT, fft_lengths=(2, 3, 2, 2), id="2x3x2x2")

    def refusals(self, make: Any) -> Any:
        x, z = make((2, 4)), make((2, 4), dtype="complex64")
        yield Refusal(Sample(z, fft_type=FFT, fft_lengths=()), ShapeError, "cannot transform the last 0 axes")
        yield Refusal(Sample(z, fft_type=FFT, fft_lengths=(2, 2, 4)), ShapeError, "cannot transform the last 3 axes")
        yield Refusal(Sample(z, fft_type=FFT, fft_lengths=(3,)), ShapeError, "needs last axes of (3,)")
        yield Refusal(Sample(z, fft_type=IRFFT, fft_lengths=(5,)), ShapeError, "needs last axes of (3,)")
        yield Refusal(Sample(z, fft_type=FFT, fft_lengths=(-1,)), ShapeError, "cannot have lengths (-1,)")
        yield Refusal(Sample(x, fft_type=FFT, fft_lengths=(4,)), DtypeError, "FFT takes complex numbers")
        yield Refusal(Sample(z, fft_type=RFFT, fft_lengths=(4,)), DtypeError, "RFFT takes float32 or float64")


def _conj(x: Any) -> Any:
    return conj(x, input_dtype=aval_of(x).dtype)


def _times(x: Any, factor: np.ndarray) -> Any:
    """``x`` times numbers known now, one for each element of its last axes."""
    aval = aval_of(x)
    return mul(x, broadcast_to(np.asarray(factor).astype(aval.dtype), aval.shape))


def _lead(b: Any, x: Any, kind: str, lengths: Sequence[int], after: int) -> Any:
    """The op on axes that are not the last ones but lie before ``after`` others."""
    rank = x.aval.ndim
    while lengths:
        some = tuple(lengths[-3:])
        first = rank - after - len(some)
        order = [*range(first), *range(rank - after, rank), *range(first, rank - after)]
        moved = b.fft(b.transpose(x, order), kind, some)
        x = b.transpose(moved, [int(d) for d in np.argsort(order)])
        lengths, after = lengths[:-3], after + len(some)
    return x


# -- by matrix products -----------------------------------------------------------------------------------------------
def _along(x: Any, axes: Sequence[int], sign: int) -> Any:
    """The transform along some axes, without a factor; ``sign`` is that of the exponent."""
    rank = aval_of(x).ndim
    for d in axes:
        if d == rank - 1:
            x = _dft(x, sign)
        else:
            order = (*[e for e in range(rank) if e != d], d)
            back = tuple(int(e) for e in np.argsort(order))
            x = transpose(_dft(transpose(x, permutation=order), sign), permutation=back)
    return x


def _whole_spectrum(x: Any, n: int) -> Any:
    """The other half of the last axis put behind: conjugates, backwards."""
    last = aval_of(x).ndim - 1
    mirrored = part(x, last, 1, (n + 1) // 2)
    if not aval_of(mirrored).size:
        return x
    return concatenate(x, _conj(rev(mirrored, dimensions=(last,))), dimension=last)


_DIRECT = 64


def _dft(x: Any, sign: int) -> Any:
    """The transform along the last axis."""
    *lead, n = aval_of(x).shape
    dtype = aval_of(x).dtype
    if n == 1:
        return x
    if n <= _DIRECT:
        numbers = ((len(lead),), (0,)), ((), ())
        matrix = _roots(n, n, n, sign).astype(dtype)
        return dot_general(
            x, matrix, dimension_numbers=numbers, precision=None, preferred_element_type=None, out_sharding=None
        )
    a = _factor(n)
    if a == n:
        return _chirp(x, sign)
    # j = b j1 + j2 and k = k1 + a k2: a transforms of length a, a turn of each element, transforms of length b.
    b = n // a
    swap = (*range(len(lead)), len(lead) + 1, len(lead))
    x = transpose(reshape(x, new_sizes=(*lead, a, b), dimensions=None), permutation=swap)
    x = _times(_dft(x, sign), _roots(n, b, a, sign))
    x = _dft(transpose(x, permutation=swap), sign)
    return reshape(transpose(x, permutation=swap), new_sizes=(*lead, n), dimensions=None)


def _chirp(x: Any, sign: int) -> Any:
    """Of a prime length: ``j k = (j^2 + k^2 - (k - j)^2) / 2`` makes the sum a convolution."""
    *lead, n = aval_of(x).shape
    m = 1 << (2 * n - 2).bit_length()
    turns = np.exp(sign * 1j * np.pi * (np.arange(n) ** 2 % (2 * n)) / n)
    kernel = np.zeros(m, np.complex128)
    kernel[:n] = turns.conj()
    kernel[m - n + 1 :] = turns[:0:-1].conj()
    spectrum = np.fft.fft(kernel) / m
    x = pad(_times(x, turns), zero(aval_of(x).dtype), padding_config=(*[(0, 0, 0)] * len(lead), (0, m - n, 0)))
    x = _dft(_times(_dft(x, -1), spectrum), 1)
    return _times(part(x, len(lead), 0, n), turns)


@functools.lru_cache(64)
def _roots(n: int, rows: int, columns: int, sign: int) -> np.ndarray:
    """``exp(sign 2 pi i j k / n)``."""
    powers = np.multiply.outer(np.arange(rows), np.arange(columns)) % n
    return np.exp(sign * 2j * np.pi / n * powers)


def _factor(n: int) -> int:
    """The greatest factor of at most 64; the least prime where there is none."""
    for a in range(_DIRECT, 1, -1):
        if n % a == 0:
            return a
    a = _DIRECT + 1
    while n % a:
        a = a + 1 if a * a <= n else n
    return a


fft = registry.add(Fft())
