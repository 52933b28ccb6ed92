"""Discrete Fourier transforms of arrays along any axes.

All are ``lax.fft`` on the axes moved to the end. ``n`` and ``s`` cut an axis, or pad it with zeros, before. ``norm``
says where the factor 1/n goes: "backward" to the inverse, "forward" to the transform, "ortho" 1/sqrt(n) to both.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.dtypes import user_dtype
from portax.errors import ArgumentError, AxisError, ShapeError
from portax.lax.fourier import fft as _transform
from portax.lax.shaping import pad, transpose
from portax.lax.slicing import slice
from portax.numpy.axes import normalize_axis
from portax.numpy.creation import array
from portax.numpy.promotion import as_array
from portax.numpy.rounding import conjugate
from portax.numpy.turning import roll
from portax.numpy.ufuncs import multiply

_NORMS = ("backward", "ortho", "forward")


def _factor(norm: str | None, size: int, inverse: bool) -> float:
    """What to multiply with, where the inverse has 1/n already."""
    norm = "backward" if norm is None else norm
    if norm not in _NORMS:
        raise ArgumentError(wrong=f"there is no norm {norm!r} of a Fourier transform", fix=f"Give one of {_NORMS}")
    if norm == "backward" or not size:
        return 1.0
    power = 1.0 if norm == "forward" else 0.5
    return size**power if inverse else size**-power


def _swapped(norm: str | None) -> str:
    """The norm of the opposite direction."""
    norm = "backward" if norm is None else norm
    return {"backward": "forward", "forward": "backward"}.get(norm, norm)


def _axes(name: str, x: Any, s: Any, axes: Any) -> tuple[int, ...]:
    if axes is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise ShapeError(
                wrong=f"{name} was given {count} lengths for an array of {x.ndim} axes", fix="Give one for each axis"
            )
        return tuple(range(x.ndim - count, x.ndim))
    found = tuple([normalize_axis(operator.index(d), x.ndim, name) for d in axes])
    if len(set(found)) != len(found):
        raise AxisError(wrong=f"{name} was given axes {tuple(axes)}, one of them twice", fix="Name each axis once")
    if s is not None and len(s) != len(found):
        raise ShapeError(wrong=f"{name} was given lengths {tuple(s)} for axes {found}", fix="Give one for each axis")
    return found


def _resized(x: Any, axes: Sequence[int], lengths: Sequence[int]) -> Any:
    limits, config = list(x.shape), [(0, 0, 0)] * x.ndim
    for d, n in zip(axes, lengths, strict=True):
        config[d] = (0, max(n - x.shape[d], 0), 0)
        limits[d] = min(n, x.shape[d])
    if tuple(limits) != x.shape:
        x = slice(x, (0,) * x.ndim, limits)
    if any(high for _, high, _ in config):
        x = pad(x, np.zeros((), x.dtype), config)
    return x


def _fft(name: str, kind: str, a: Any, s: Any, axes: Any, norm: str | None) -> Any:
    x = as_array(a, f"fft.{name}")
    axes = _axes(f"fft.{name}", x, s, axes)
    if not axes:
        return x
    if s is None:
        lengths = [x.shape[d] for d in axes]
        if kind == "IRFFT":
            lengths[-1] = max(2 * (lengths[-1] - 1), 0)
    else:
        lengths = [operator.index(n) for n in s]
        if any(n < 1 for n in lengths):
            raise ShapeError(wrong=f"fft.{name} cannot have lengths {tuple(lengths)}", fix="Give lengths from 1 on")
        held = [*lengths[:-1], lengths[-1] // 2 + 1] if kind == "IRFFT" else lengths
        x = _resized(x, axes, held)
    order = (*[d for d in range(x.ndim) if d not in axes], *axes)
    out = transpose(_transform(transpose(x, order), kind, lengths), [int(d) for d in np.argsort(order)])
    factor = _factor(norm, math.prod(lengths), kind[0] == "I")
    return out if factor == 1.0 else multiply(out, factor)


_ONE = """{line}

    Parameters
    ----------
    a : array{real}
    n : int, optional
        Length of the axis in time; it is cut or padded with zeros to have it. Default: {default}.
    axis : int
    norm : "backward", "ortho", "forward" or None
        Where the factor goes: 1/n to the inverse (also None), 1/sqrt(n) to both, 1/n to the transform.

    Returns
    -------
    array, {returns}

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> {example}
    """

_MANY = """{line}

    Parameters
    ----------
    a : array{real}
    s : sequence of int, optional
        Lengths of the axes in time; they are cut or padded with zeros to have them.
    axes : sequence of int{axes}
        {which}
    norm : "backward", "ortho", "forward" or None
        Where the factor goes: 1/n to the inverse (also None), 1/sqrt(n) to both, 1/n to the transform.

    Returns
    -------
    array, {returns}

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> {example}
    """


def _single(name: str, axis: Any) -> int:
    if isinstance(axis, tuple | list):
        raise ArgumentError(wrong=f"fft.{name} works along one axis, got {axis}", fix="Use the function of many axes")
    return operator.index(axis)


def _one(name: str, kind: str, line: str, returns: str, example: str, default: str = "the axis as it is") -> Any:
    def function(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
        return _fft(name, kind, a, None if n is None else (n,), (_single(name, axis),), norm)

    return _named(function, name, _ONE, line, returns, example, kind, default=default)


def _named(function: Any, name: str, text: str, line: str, returns: str, example: str, kind: str, **more: str) -> Any:
    function.__name__ = function.__qualname__ = name
    real = " of real numbers" if kind == "RFFT" else ""
    function.__doc__ = text.format(line=line, returns=returns, example=example, real=real, **more)
    return function


def _two(name: str, kind: str, line: str, returns: str, example: str) -> Any:
    def function(a: Any, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
        if len(tuple(axes)) != 2:
            raise ArgumentError(wrong=f"fft.{name} works along two axes, got {tuple(axes)}", fix=f"Use {name[:-1]}n")
        return _fft(name, kind, a, s, axes, norm)

    return _named(function, name, _MANY, line, returns, example, kind, axes="", which="Two of them.")


def _many(name: str, kind: str, line: str, returns: str, example: str) -> Any:
    def function(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Any:
        return _fft(name, kind, a, s, axes, norm)

    which = "Default: the last ``len(s)``, or all."
    return _named(function, name, _MANY, line, returns, example, kind, axes=", optional", which=which)


fft = _one(
    "fft", "FFT", "The discrete Fourier transform along an axis.", "complex",
    "pnp.fft.fft(pnp.array([1.0, 0.0])).tolist()\n    [(1+0j), (1+0j)]",
)  # fmt: skip
ifft = _one(
    "ifft", "IFFT", "The inverse of `fft`.", "complex",
    "pnp.fft.ifft(pnp.array([2.0, 0.0])).tolist()\n    [(1+0j), (1+0j)]",
)  # fmt: skip
rfft = _one(
    "rfft", "RFFT", "The half that says all of the Fourier transform of real numbers along an axis.",
    "complex; the axis has ``n // 2 + 1`` elements", "pnp.fft.rfft(pnp.ones(4)).tolist()\n    [(4+0j), 0j, 0j]",
)  # fmt: skip
irfft = _one(
    "irfft", "IRFFT", "The inverse of `rfft`.", "real",
    "pnp.fft.irfft(pnp.array([4.0, 0.0, 0.0])).tolist()\n    [1.0, 1.0, 1.0, 1.0]",
    default="twice that of the axis, less 2",
)  # fmt: skip
fft2 = _two(
    "fft2", "FFT", "The discrete Fourier transform along two axes.", "complex",
    "pnp.fft.fft2(pnp.ones((2, 3)))[0, 0].item()\n    (6+0j)",
)  # fmt: skip
ifft2 = _two(
    "ifft2", "IFFT", "The inverse of `fft2`.", "complex",
    "pnp.fft.ifft2(pnp.ones((2, 3)))[0, 0].item()\n    (1+0j)",
)  # fmt: skip
rfft2 = _two(
    "rfft2", "RFFT", "The half that says all of the Fourier transform of real numbers along two axes.",
    "complex; the last of the axes has ``n // 2 + 1`` elements", "pnp.fft.rfft2(pnp.ones((2, 4))).shape\n    (2, 3)",
)  # fmt: skip
irfft2 = _two(
    "irfft2", "IRFFT", "The inverse of `rfft2`.", "real", "pnp.fft.irfft2(pnp.ones((2, 3))).shape\n    (2, 4)"
)
fftn = _many(
    "fftn", "FFT", "The discrete Fourier transform along some axes.", "complex",
    "pnp.fft.fftn(pnp.ones((2, 3)))[0, 0].item()\n    (6+0j)",
)  # fmt: skip
ifftn = _many(
    "ifftn", "IFFT", "The inverse of `fftn`.", "complex",
    "pnp.fft.ifftn(pnp.ones((2, 3)))[0, 0].item()\n    (1+0j)",
)  # fmt: skip
rfftn = _many(
    "rfftn", "RFFT", "The half that says all of the Fourier transform of real numbers along some axes.",
    "complex; the last of the axes has ``n // 2 + 1`` elements", "pnp.fft.rfftn(pnp.ones((2, 4))).shape\n    (2, 3)",
)  # fmt: skip
irfftn = _many(
    "irfftn", "IRFFT", "The inverse of `rfftn`.", "real", "pnp.fft.irfftn(pnp.ones((2, 3))).shape\n    (2, 4)"
)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The Fourier transform of a signal whose other half is the conjugate: it is real.

    Parameters
    ----------
    a : array
        The half that says all.
    n : int, optional
        Length of the result; default twice that of the axis, less 2.
    axis : int
    norm : "backward", "ortho", "forward" or None

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.fft.hfft(pnp.array([1.0, 0.0, 0.0])).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    x = conjugate(as_array(a, "fft.hfft"))
    return _fft("hfft", "IRFFT", x, None if n is None else (n,), (_single("hfft", axis),), _swapped(norm))


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of `hfft`: of real numbers, the half that says all.

    Parameters
    ----------
    a : array of real numbers
    n : int, optional
        The axis is cut or padded with zeros to this length.
    axis : int
    norm : "backward", "ortho", "forward" or None

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.fft.ihfft(pnp.ones(4)).real.tolist()
    [1.0, 0.0, 0.0]
    """
    lengths = None if n is None else (n,)
    return conjugate(_fft("ihfft", "RFFT", a, lengths, (_single("ihfft", axis),), _swapped(norm)))


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequency of each element of a transform, in cycles per unit of the sample spacing.

    Parameters
    ----------
    n : int
        Length of the transform.
    d : number
        The sample spacing.
    dtype : dtype, optional
    device : Device, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.fft.fftfreq(4).tolist()
    [0.0, 0.25, -0.5, -0.25]
    """
    return _frequencies("fftfreq", lambda n: np.fft.ifftshift(np.arange(-(n // 2), n - n // 2)), n, d, dtype, device)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequency of each element of a transform of real numbers, in cycles per unit of the sample spacing.

    Parameters
    ----------
    n : int
        Length of the signal.
    d : number
        The sample spacing.
    dtype : dtype, optional
    device : Device, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.fft.rfftfreq(4).tolist()
    [0.0, 0.25, 0.5]
    """
    return _frequencies("rfftfreq", lambda n: np.arange(n // 2 + 1), n, d, dtype, device)


def _frequencies(name: str, numbers: Any, n: Any, d: Any, dtype: Any, device: Any) -> Any:
    if isinstance(n, list | tuple) or isinstance(d, list | tuple):
        raise ArgumentError(wrong=f"fft.{name} takes one length and one spacing, got {n} and {d}", fix="Give numbers")
    wanted = user_dtype(float if dtype is None else dtype, f"fft.{name}")
    wide = wanted if dtypes.is_inexact(wanted) else np.dtype(np.float64)
    k = array(numbers(int(n)).astype(wide), dtype=None if dtypes.is_inexact(wanted) else wanted, device=device)
    return (k / (d * n)).astype(wanted)


def fftshift(x: Any, axes: int | Sequence[int] | None = None) -> Any:
    """The elements moved round so that frequency 0 is in the middle.

    Parameters
    ----------
    x : array
    axes : int or sequence of int, optional
        Default: all.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.fft.fftshift(pnp.fft.fftfreq(4)).tolist()
    [-0.5, -0.25, 0.0, 0.25]
    """
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: Any, axes: int | Sequence[int] | None = None) -> Any:
    """The inverse of `fftshift`.

    Parameters
    ----------
    x : array
    axes : int or sequence of int, optional
        Default: all.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.fft.ifftshift(pnp.array([-0.5, -0.25, 0.0, 0.25])).tolist()
    [0.0, 0.25, -0.5, -0.25]
    """
    return _shifted("ifftshift", x, axes, -1)


def _shifted(name: str, x: Any, axes: Any, sign: int) -> Any:
    x = as_array(x, f"fft.{name}")
    axes = range(x.ndim) if axes is None else (axes,) if isinstance(axes, int | np.integer) else axes
    for d in axes:
        d = normalize_axis(operator.index(d), x.ndim, f"fft.{name}")
        n = x.shape[d]
        x = roll(x, n // 2 if sign > 0 else -(n // 2), d)
    return x
