"""Spectra of signals cut into windows: csd, welch, stft, and istft, which puts a signal together again.

References
----------
Welch, The use of the fast Fourier transform for the estimation of power spectra, IEEE Trans. AU-15, 1967.
Griffin and Lim, Signal estimation from modified short-time Fourier transform, IEEE Trans. ASSP-32, 1984.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from portax.core import dtypes
from portax.errors import ArgumentError, ShapeError
from portax.numpy import fft
from portax.numpy.axes import normalize_axis
from portax.numpy.choosing import where
from portax.numpy.filling import zeros
from portax.numpy.grids import arange
from portax.numpy.padding import pad
from portax.numpy.promotion import as_array, promote_dtypes_inexact
from portax.numpy.reductions import mean, sum
from portax.numpy.rounding import conjugate, real
from portax.numpy.shaping import moveaxis
from portax.numpy.sorting import sort
from portax.numpy.ufuncs import multiply
from portax.scipy.signal.trends import detrend as without_trend
from portax.scipy.signal.window_functions import window_of


class Segments(NamedTuple):
    """How a signal is cut.

    Attributes
    ----------
    size, overlap : int
        Elements of a segment, and how many it shares with the next.
    window : ndarray of float64
    length : int
        Of the transform.
    """

    size: int
    overlap: int
    window: Any
    length: int

    @property
    def step(self) -> int:
        return self.size - self.overlap


def _positive(name: str, what: str, n: Any) -> int:
    n = operator.index(n)
    if n < 1:
        raise ArgumentError(wrong=f"{name} needs a positive {what}, not {n}", fix="Give a whole number from 1 on")
    return n


def _segments(name: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, n: int) -> Segments:
    """How a signal of ``n`` elements is cut."""
    size = None if nperseg is None else _positive(name, "nperseg", nperseg)
    if isinstance(window, str | tuple | float | int):
        size = 256 if size is None else size
        if size > n:
            warnings.warn(f"{name}: nperseg = {size} is more than the signal's {n} elements, and {n} is taken",
                          stacklevel=4)  # fmt: skip
            size = n
        weights = window_of(window, size)
    else:
        weights = as_array(window, name)
        if weights.ndim != 1:
            raise ShapeError(wrong=f"{name} was given a window {weights.aval}", fix="Give an array of one axis")
        if size is not None and size != weights.shape[0]:
            raise ShapeError(
                wrong=f"{name} was given nperseg = {size} and a window of {weights.shape[0]} elements",
                fix="Leave nperseg out, or make them equal",
            )
        size = weights.shape[0]
        if size > n:
            raise ShapeError(
                wrong=f"{name} was given a window of {size} elements for a signal of {n}", fix="Give a shorter window"
            )
    overlap = size // 2 if noverlap is None else operator.index(noverlap)
    if not 0 <= overlap < size:
        raise ArgumentError(
            wrong=f"{name} cannot overlap segments of {size} elements by {overlap}", fix=f"Give 0 to {size - 1}"
        )
    length = size if nfft is None else operator.index(nfft)
    if length < size:
        raise ArgumentError(
            wrong=f"{name} cannot transform segments of {size} elements in {length}", fix=f"Give nfft from {size} on"
        )
    return Segments(size, overlap, weights, length)


def _cut(x: Any, s: Segments) -> Any:
    """The segments along the last axis, which becomes two: segments, elements."""
    count = (x.shape[-1] - s.overlap) // s.step
    places = np.arange(count)[:, None] * s.step + np.arange(s.size)
    return x[..., places]


_BOUNDARIES = {"zeros": "constant", "constant": "edge", "even": "reflect", "odd": "reflect"}


def _extended(name: str, x: Any, boundary: str | None, n: int) -> Any:
    """The signal with ``n`` more elements before and after its last axis."""
    if boundary is None or not n:
        return x
    if boundary not in _BOUNDARIES:
        raise ArgumentError(
            wrong=f"{name} has no boundary {boundary!r}", fix=f"Give {', '.join(map(repr, _BOUNDARIES))}, or None"
        )
    widths = [(0, 0)] * (x.ndim - 1) + [(n, n)]
    more = {"reflect_type": "odd"} if boundary == "odd" else {}
    return pad(x, widths, mode=_BOUNDARIES[boundary], **more)


def _detrender(name: str, detrend: Any) -> Callable[[Any], Any]:
    if not detrend:
        return lambda x: x
    if callable(detrend):
        return detrend
    if isinstance(detrend, str):
        return lambda x: without_trend(x, axis=-1, type=detrend)
    raise ArgumentError(wrong=f"{name} has no detrend {detrend!r}", fix="Give 'constant', 'linear', or a function")


class Spectra(NamedTuple):
    """Of each segment its spectrum: (..., frequency, time), with the values of both axes."""

    frequencies: Any
    times: Any
    values: Any


def _spectra(
    name: str, x: Any, y: Any, fs: Any, window: Any, nperseg: Any, noverlap: Any, nfft: Any, detrend: Any,
    onesided: bool, scaling: str, axis: int, boundary: str | None, padded: bool, power: bool,
) -> Spectra:  # fmt: skip
    if scaling not in ("density", "spectrum"):
        raise ArgumentError(wrong=f"{name} has no scaling {scaling!r}", fix="Give 'density' or 'spectrum'")
    if boundary is not None and boundary not in _BOUNDARIES:
        _extended(name, x, boundary, 1)
    same = y is None
    arrays = promote_dtypes_inexact(name, x) if same else promote_dtypes_inexact(name, x, y)
    axis = normalize_axis(axis, arrays[0].ndim, name)
    arrays = [moveaxis(a, axis, -1) for a in arrays]
    complex_dtype = dtypes.to_complex(arrays[0].dtype)
    if not same:
        arrays = _equally_long(arrays)
    lead = arrays[0].shape[:-1] if same else np.broadcast_shapes(*[a.shape[:-1] for a in arrays])
    if any(a.size == 0 for a in arrays):
        nothing = zeros((*lead, arrays[0].shape[-1]), complex_dtype if not power else dtypes.to_real(complex_dtype))
        nothing = moveaxis(nothing, -1, axis)
        return Spectra(nothing, nothing, nothing)
    s = _segments(name, window, nperseg, noverlap, nfft, arrays[0].shape[-1])
    real_dtype = dtypes.to_real(complex_dtype)
    weights = as_array(s.window, name).astype(real_dtype)
    arrays = [_extended(name, a, boundary, s.size // 2) for a in arrays]
    if padded:
        missing = -(arrays[0].shape[-1] - s.size) % s.step % s.size
        arrays = [pad(a, [(0, 0)] * (a.ndim - 1) + [(0, missing)]) for a in arrays]
    onesided = onesided and not any(dtypes.is_complex(a.dtype) for a in arrays)
    transform = fft.rfft if onesided else fft.fft
    level = _detrender(name, detrend)
    spectra = [transform(multiply(level(_cut(a, s)).astype(a.dtype), weights), n=s.length) for a in arrays]
    total = sum(multiply(weights, weights)) * fs if scaling == "density" else sum(weights) ** 2
    if power:
        values = multiply(conjugate(spectra[0]), spectra[-1]) / total
        if onesided:  # each element but the first, and the last of an even length, stands for two
            stop = None if s.length % 2 else -1
            values = values.at[..., 1:stop].multiply(2)
    else:
        values = spectra[0] / total**0.5
    values = values.astype(complex_dtype)
    freqs = (fft.rfftfreq if onesided else fft.fftfreq)(s.length, 1 / fs, dtype=real_dtype)
    times = arange(s.size / 2, arrays[0].shape[-1] - s.size / 2 + 1, s.step).astype(real_dtype) / fs
    if boundary is not None:
        times = times - (s.size / 2) / fs
    values = moveaxis(values, -1, axis if axis < values.ndim - 2 else -2)
    return Spectra(freqs, times, values)


def _equally_long(arrays: list[Any]) -> list[Any]:
    n = max(a.shape[-1] for a in arrays)
    return [pad(a, [(0, 0)] * (a.ndim - 1) + [(0, n - a.shape[-1])]) if a.shape[-1] < n else a for a in arrays]


def stft(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int = 256, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = False, return_onesided: bool = True, boundary: str | None = "zeros",
    padded: bool = True, axis: int = -1,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The Fourier transform of each segment of a signal: its spectrum as it changes.

    Parameters
    ----------
    x : array
    fs : number
        Elements of the signal per second.
    window : str, tuple of a name and parameters, or array
        What a segment is weighted with.
    nperseg, noverlap : int
        Elements of a segment, and how many it shares with the next, default half.
    nfft : int, optional
        Length of the transform, if more than the segment's.
    detrend : "constant", "linear", a function of segments, or False
        What is taken off each segment first.
    return_onesided : bool
        Of a real signal, only the half of a spectrum that says all.
    boundary : "zeros", "constant", "even", "odd" or None
        How the signal goes on for half a segment at both ends.
    padded : bool
        Add zeros to fill the last segment.
    axis : int

    Returns
    -------
    frequencies, times : arrays
        In units of ``fs`` and its inverse.
    spectra : array
        Complex; ``axis`` is that of frequencies, times come last.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> f, t, z = portax.scipy.signal.stft(pnp.ones(16), nperseg=8)
    >>> z.shape
    (5, 5)
    """
    return tuple(
        _spectra("stft", x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, "spectrum", axis,
                 boundary, padded, power=False)
    )  # fmt: skip


def csd(
    x: Any, y: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density",
    axis: int = -1, average: str = "mean",
) -> tuple[Any, Any]:  # fmt: skip
    """The cross spectral density of two signals, averaged over segments.

    Parameters
    ----------
    x, y : arrays
        The shorter is filled up with zeros; ``y`` may be None for ``x`` itself.
    fs, window, nperseg, noverlap, nfft, detrend, return_onesided, axis
        As for `stft`; segments have 256 elements unless told.
    scaling : "density" or "spectrum"
        Power per unit of frequency, or power.
    average : "mean" or "median"

    Returns
    -------
    frequencies : array
    density : array, complex, or real where ``y`` is None; ``axis`` is that of frequencies

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> f, p = portax.scipy.signal.csd(pnp.ones(16), pnp.ones(16), nperseg=8)
    >>> p.shape
    (5,)
    """
    if average not in ("mean", "median"):
        raise ArgumentError(wrong=f"csd has no average {average!r}", fix="Give 'mean' or 'median'")
    spectra = _spectra(
        "csd", x, x if y is None else y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis,
        None, False, power=True,
    )  # fmt: skip
    values = spectra.values
    if values.ndim >= 2 and values.size > 0:
        values = values[..., 0] if values.shape[-1] == 1 else _average(values, average)
    if y is None:
        values = real(values)
    return spectra.frequencies, values


def _average(values: Any, average: str) -> Any:
    if average == "mean":
        return mean(values, axis=-1)
    # The median of an exponential distribution lies below its mean by this factor.
    n = values.shape[-1]
    bias = 1 + np.sum(1.0 / np.arange(3, n + 1, 2) - 1.0 / np.arange(2, n, 2)) if n > 1 else 1.0
    middle = median(real(values))
    if dtypes.is_complex(values.dtype):
        middle = middle + 1j * median(values.imag)
    return middle / float(bias)


def median(x: Any) -> Any:
    """The median along the last axis."""
    ordered = sort(x, axis=-1)
    n = x.shape[-1]
    return (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2


def welch(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density",
    axis: int = -1, average: str = "mean",
) -> tuple[Any, Any]:  # fmt: skip
    """The power spectral density of a signal, averaged over segments.

    Parameters
    ----------
    x : array
    fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average
        As for `csd`.

    Returns
    -------
    frequencies : array
    density : array, real; ``axis`` is that of frequencies

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> f, p = portax.scipy.signal.welch(pnp.ones(16), nperseg=8)
    >>> p.dtype
    dtype('float32')
    """
    return csd(x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average)


def istft(
    Zxx: Any, fs: Any = 1.0, window: Any = "hann", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, input_onesided: bool = True, boundary: bool = True, time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Any, Any]:  # fmt: skip
    """The signal whose short-time Fourier transform this is, or is nearest to in least squares.

    Parameters
    ----------
    Zxx : array of spectra
    fs, window, noverlap
        As they were for `stft`.
    nperseg, nfft : int, optional
        As they were for `stft`; default what the number of frequencies says.
    input_onesided : bool
        Spectra are halves that say all.
    boundary : bool
        The signal was extended at both ends.
    time_axis, freq_axis : int

    Returns
    -------
    times : array
        As in SciPy, for each element of the first axis of the signal: right where that axis is time.
    signal : array; time is its last axis

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> _, _, z = portax.scipy.signal.stft(pnp.arange(16.0), nperseg=8)
    >>> pnp.round(portax.scipy.signal.istft(z)[1][1:4], 4).tolist()
    [1.0, 2.0, 3.0]
    """
    [z] = promote_dtypes_inexact("istft", Zxx)
    if z.ndim < 2:
        raise ShapeError(wrong=f"istft needs axes of frequency and time, got {z.aval}", fix="Give what stft gives")
    f, t = normalize_axis(freq_axis, z.ndim, "istft"), normalize_axis(time_axis, z.ndim, "istft")
    if f == t:
        raise ArgumentError(wrong=f"istft was given axis {f} for frequency and time", fix="Name two axes")
    z = moveaxis(z.astype(dtypes.to_complex(z.dtype)), (f, t), (-2, -1))
    whole = 2 * (z.shape[-2] - 1) if input_onesided else z.shape[-2]
    size = whole if nperseg is None else _positive("istft", "nperseg", nperseg)
    length = nfft
    if length is None:
        length = size if input_onesided and size == whole + 1 else whole
    segments = _segments("istft", window, size, noverlap, length, max(size, 1))
    weights = as_array(segments.window, "istft").astype(dtypes.to_real(z.dtype))
    pieces = (fft.irfft if input_onesided else fft.ifft)(z, n=segments.length, axis=-2)[..., :size, :]
    # (..., elements, segments) to (..., segments, elements), each then added where it was cut from.
    pieces = multiply(moveaxis(pieces, -1, -2), weights)
    count = pieces.shape[-2]
    places = np.arange(count)[:, None] * segments.step + np.arange(size)
    n = size + (count - 1) * segments.step
    signal = zeros((*pieces.shape[:-2], n), pieces.dtype).at[..., places].add(pieces)
    norm = zeros((n,), weights.dtype).at[places].add(multiply(weights, weights))
    signal = signal * sum(weights)
    if boundary:
        inside = slice(size // 2, n - size // 2)
        signal, norm = signal[..., inside], norm[inside]
    signal = signal / where(norm > 1e-10, norm, 1.0)
    if signal.ndim > 1 and t != z.ndim - 1:
        signal = moveaxis(signal, -1, t - (1 if f < t else 0))
    return arange(signal.shape[0]).astype(norm.dtype) / fs, signal
