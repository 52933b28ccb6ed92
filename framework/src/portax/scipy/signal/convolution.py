"""Convolution and correlation of arrays of any number of axes, directly or through Fourier transforms."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from portax.core import dtypes
from portax.errors import ArgumentError, AxisError, ShapeError
from portax.lax.shaping import rev
from portax.numpy import fft
from portax.numpy.convolving import check_mode, slide
from portax.numpy.promotion import promote_dtypes_inexact
from portax.numpy.rounding import conjugate
from portax.numpy.ufuncs import multiply


def _pair(name: str, in1: Any, in2: Any, mode: Any) -> tuple[Any, Any]:
    check_mode(name, mode)
    x, y = promote_dtypes_inexact(name, in1, in2)
    if x.ndim != y.ndim:
        raise ShapeError(
            wrong=f"{name} needs operands of as many axes, got in1: {x.aval} and in2: {y.aval}",
            fix="Give the smaller one axes of length 1",
        )
    return x, y


def _swaps(name: str, x: Any, y: Any, mode: str, axes: Sequence[int]) -> bool:
    """Whether the second is the greater one: the smaller must be inside the other for "valid"."""
    if mode != "valid" or all(x.shape[d] >= y.shape[d] for d in axes):
        return False
    if all(x.shape[d] <= y.shape[d] for d in axes):
        return True
    raise ShapeError(
        wrong=f"{name} finds neither of in1: {x.aval} and in2: {y.aval} inside the other",
        fix="Make one at least as long as the other in every axis, or use another mode",
    )


def _kept(mode: str, n: int, k: int) -> tuple[int, int]:
    """Where what a mode keeps of the ``n + k - 1`` elements of an axis starts, and how many there are."""
    return {"full": (0, n + k - 1), "same": ((k - 1) // 2, n), "valid": (k - 1, n - k + 1)}[mode]


def _direct(name: str, x: Any, y: Any, mode: str, precision: Any, late: bool = False) -> Any:
    if not x.size or not y.size:
        raise ShapeError(wrong=f"{name} cannot take an empty array: {x.aval}, {y.aval}", fix="Give elements")
    if _swaps(name, x, y, mode, range(x.ndim)):
        x, y = y, x
    pads = []
    for n, k in zip(x.shape, y.shape, strict=True):
        start, count = _kept(mode, n, k)
        if late and mode == "same":
            start = k // 2
        pads.append((k - 1 - start, count + start - n))
    return slide(x, rev(y, tuple(range(y.ndim))), pads, precision)


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The convolution of two arrays of as many axes.

    Parameters
    ----------
    in1, in2 : arrays
        Integers are converted to floating point.
    mode : "full", "same" or "valid"
        All places where they overlap, those of ``in1``, or those where the smaller one is inside.
    method : "auto", "direct" or "fft"
        By sums of products, or through Fourier transforms, quicker where both are large; "auto" is "direct".
    precision : Precision, str or pair, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> portax.scipy.signal.convolve(pnp.eye(2), pnp.ones((1, 2))).tolist()
    [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
    """
    _check_method("convolve", method)
    x, y = _pair("convolve", in1, in2, mode)
    if method == "fft":
        return fftconvolve(x, y, mode)
    return _direct("convolve", x, y, mode, precision)


def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: float = 0, precision: Any = None
) -> Any:
    """The convolution of two arrays of two axes.

    Parameters
    ----------
    in1, in2 : arrays
    mode : "full", "same" or "valid"
    boundary : "fill", fillvalue : 0
        Beyond the rim are zeros; there is nothing else yet.
    precision : Precision, str or pair, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> portax.scipy.signal.convolve2d(pnp.eye(2), pnp.ones((2, 2)), "valid").tolist()
    [[2.0]]
    """
    _check_flat("convolve2d", in1, in2, boundary, fillvalue)
    return _direct("convolve2d", *_pair("convolve2d", in1, in2, mode), mode, precision)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The correlation of two arrays of as many axes: a convolution with the second turned round and conjugated.

    Parameters
    ----------
    in1, in2 : arrays
        Integers are converted to floating point.
    mode : "full", "same" or "valid"
        All places where they overlap, those of ``in1``, or those where the smaller one is inside.
    method : "auto", "direct" or "fft"
        By sums of products, or through Fourier transforms, quicker where both are large; "auto" is "direct".
    precision : Precision, str or pair, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> portax.scipy.signal.correlate(pnp.array([1.0, 2.0, 3.0]), pnp.array([0.0, 1.0])).tolist()
    [1.0, 2.0, 3.0, 0.0]
    """
    _check_method("correlate", method)
    x, y = _pair("correlate", in1, in2, mode)
    turned = conjugate(rev(y, tuple(range(y.ndim))))
    return fftconvolve(x, turned, mode) if method == "fft" else _correlated("correlate", x, y, mode, precision)


def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: float = 0, precision: Any = None
) -> Any:
    """The correlation of two arrays of two axes.

    Parameters
    ----------
    in1, in2 : arrays
    mode : "full", "same" or "valid"
        Unlike with `correlate`, "same" starts half a window, rounded up, into the full result.
    boundary : "fill", fillvalue : 0
        Beyond the rim are zeros; there is nothing else yet.
    precision : Precision, str or pair, optional

    Notes
    -----
    As in SciPy, "valid" conjugates ``in1`` instead of ``in2`` where ``in2`` is the greater one.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> portax.scipy.signal.correlate2d(pnp.eye(2), pnp.eye(2), "valid").tolist()
    [[2.0]]
    """
    _check_flat("correlate2d", in1, in2, boundary, fillvalue)
    x, y = _pair("correlate2d", in1, in2, mode)
    if _swaps("correlate2d", x, y, mode, (0, 1)):
        x, y = conjugate(x), conjugate(y)
    return _correlated("correlate2d", x, y, mode, precision, late=True)


def _correlated(name: str, x: Any, y: Any, mode: str, precision: Any, late: bool = False) -> Any:
    every = tuple(range(x.ndim))
    if _swaps(name, x, y, mode, every):
        return rev(_direct(name, conjugate(y), rev(x, every), mode, precision), every)
    return _direct(name, x, conjugate(rev(y, every)), mode, precision, late)


def _check_method(name: str, method: Any) -> None:
    if method not in ("auto", "direct", "fft"):
        raise ArgumentError(wrong=f"{name} has no method {method!r}", fix="Give 'auto', 'direct' or 'fft'")


def _check_flat(name: str, in1: Any, in2: Any, boundary: Any, fillvalue: Any) -> None:
    if boundary != "fill" or fillvalue != 0:
        raise ArgumentError(
            wrong=f"{name} has no boundary {boundary!r} with fillvalue {fillvalue!r}",
            fix="Pad in1 with portax.numpy.pad, and keep what is 'valid'",
        )
    if not getattr(in1, "ndim", 0) == 2 == getattr(in2, "ndim", 0):
        raise ShapeError(wrong=f"{name} takes arrays of two axes", fix="Use the function without 2d")


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Sequence[int] | None = None) -> Any:
    """The convolution of two arrays through their Fourier transforms.

    Parameters
    ----------
    in1, in2 : arrays of as many axes
        Integers are converted to floating point.
    mode : "full", "same" or "valid"
        All places where they overlap, those of ``in1``, or those where the smaller one is inside.
    axes : sequence of int, optional
        The axes to convolve along, default all; along the others the arrays are equally long.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> import portax.scipy.signal
    >>> out = portax.scipy.signal.fftconvolve(pnp.array([1.0, 2.0]), pnp.array([1.0, 3.0]))
    >>> pnp.round(out, 4).tolist()
    [1.0, 5.0, 6.0]
    """
    x, y = _pair("fftconvolve", in1, in2, mode)
    found = range(x.ndim) if axes is None else [operator.index(d) for d in axes]
    if any(not -x.ndim <= d < x.ndim for d in found):
        raise AxisError(wrong=f"fftconvolve has no axes {tuple(found)} in {x.aval}", fix="Give axes that there are")
    found = sorted({d % x.ndim for d in found}) if x.ndim else []
    if any(x.shape[d] != y.shape[d] for d in range(x.ndim) if d not in found):
        raise ShapeError(
            wrong=f"fftconvolve along axes {tuple(found)} needs other axes of equal length, got in1: {x.aval} and "
            f"in2: {y.aval}",
            fix="Name the axes that differ, or make them equally long",
        )
    if not found:
        return multiply(x, y)
    if _swaps("fftconvolve", x, y, mode, found):
        x, y = y, x
    keep = [_kept(mode, x.shape[d], y.shape[d]) for d in found]
    lengths = [fast_length(x.shape[d] + y.shape[d] - 1) for d in found]
    real = not dtypes.is_complex(x.dtype)
    dtype = x.dtype
    if real and dtype not in (dtypes.float32, dtypes.float64):
        x, y = x.astype(dtypes.float32), y.astype(dtypes.float32)
    there, back = (fft.rfftn, fft.irfftn) if real else (fft.fftn, fft.ifftn)
    spectrum = multiply(there(x, lengths, found), there(y, lengths, found))
    full = back(spectrum, lengths, found)
    cut = [slice(None)] * full.ndim
    for d, (start, count) in zip(found, keep, strict=True):
        cut[d] = slice(start, start + count)
    return full[tuple(cut)].astype(dtype)


def fast_length(n: int) -> int:
    """The least length from ``n`` on whose only prime factors are 2, 3 and 5."""
    while True:
        rest = n
        for p in (2, 3, 5):
            while rest > 1 and rest % p == 0:
                rest //= p
        if rest <= 1:
            return n
        n += 1
