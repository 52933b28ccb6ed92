"""Cosine transforms, of type 2, and their inverses.

``y[k] = 2 sum over n of x[n] cos(pi k (2 n + 1) / 2 N)``: the Fourier transform of the elements with even places in
order, then those with odd places backwards, turned by a quarter of a step.

References
----------
Makhoul, A fast cosine transform in one and two dimensions, IEEE Trans. ASSP-28, 1980.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError, ShapeError
from portax.numpy import fft
from portax.numpy.axes import normalize_axes, normalize_axis
from portax.numpy.promotion import promote_dtypes_inexact


def _check(name: str, type: Any, norm: Any) -> None:
    if type != 2:
        raise ArgumentError(wrong=f"{name} has no type {type!r}", fix="Give type=2, the one there is")
    if norm not in (None, "backward", "ortho"):
        raise ArgumentError(wrong=f"{name} has no norm {norm!r}", fix="Give None, 'backward' or 'ortho'")


def _resized(name: str, x: Any, n: Any, axis: int) -> Any:
    """``x`` cut, or padded with zeros, to length ``n``."""
    length = x.shape[axis] if n is None else operator.index(n)
    if length < 1:
        raise ShapeError(wrong=f"{name} cannot transform {length} elements", fix="Give an axis, or n, of at least 1")
    if length <= x.shape[axis]:
        return x[(slice(None),) * axis + (slice(0, length),)]
    widths = [(0, length - x.shape[axis]) if d == axis else (0, 0) for d in range(x.ndim)]
    return pnp.pad(x, widths)


def _real(f: Any, x: Any) -> Any:
    """A linear function of real arrays, of an array that may be complex or narrow."""
    if dtypes.is_complex(x.dtype):
        return f(x.real) + 1j * f(x.imag)
    return f(x.astype(dtypes.accumulator(x.dtype)))


def _turns(n: int, dtype: Any) -> np.ndarray:
    return np.exp(-0.5j * np.pi * np.arange(n) / n).astype(dtype)


def _scales(n: int, dtype: Any) -> np.ndarray:
    """What makes the transform orthogonal."""
    scales = np.full(n, np.sqrt(0.5 / n))
    scales[0] = np.sqrt(0.25 / n)
    return scales.astype(dtype)


def _forward(x: Any, norm: Any) -> Any:
    n = x.shape[-1]
    order = np.concatenate([np.arange(0, n, 2), np.arange(n - 1 - n % 2, 0, -2)])
    spectrum = fft.fft(x[..., order])
    y = 2 * (spectrum * _turns(n, spectrum.dtype)).real
    return y * _scales(n, y.dtype) if norm == "ortho" else y


def _backward(y: Any, norm: Any) -> Any:
    n = y.shape[-1]
    if norm == "ortho":
        y = y / _scales(n, y.dtype)
    mirrored = pnp.concatenate([pnp.zeros_like(y[..., :1]), y[..., :0:-1]], axis=-1)
    spectrum = y - 1j * mirrored
    x = fft.ifft(0.5 * spectrum / _turns(n, spectrum.dtype)).real
    place = np.empty(n, np.int32)
    place[np.concatenate([np.arange(0, n, 2), np.arange(n - 1 - n % 2, 0, -2)])] = np.arange(n)
    return x[..., place]


def _along(name: str, f: Any, x: Any, n: Any, axis: int, norm: Any) -> Any:
    x = pnp.moveaxis(_resized(name, x, n, axis), axis, -1)
    return pnp.moveaxis(_real(lambda v: f(v, norm), x), -1, axis)


def dct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The cosine transform along an axis.

    Parameters
    ----------
    x : array
    type : 2
    n : int, optional
        The axis is cut or padded with zeros to this length.
    axis : int
    norm : None, "backward" or "ortho"
        No factor, or those that make the transform orthogonal.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import fft
    >>> fft.dct(pnp.array([1.0, 1.0])).tolist()
    [4.0, 0.0]
    """
    _check("dct", type, norm)
    [x] = promote_dtypes_inexact("dct", x)
    return _along("dct", _forward, x, n, normalize_axis(axis, x.ndim, "dct"), norm)


def idct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of `dct`.

    Parameters
    ----------
    x : array
    type : 2
    n : int, optional
        The axis is cut or padded with zeros to this length.
    axis : int
    norm : None, "backward" or "ortho"

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import fft
    >>> fft.idct(pnp.array([4.0, 0.0])).tolist()
    [1.0, 1.0]
    """
    _check("idct", type, norm)
    [x] = promote_dtypes_inexact("idct", x)
    return _along("idct", _backward, x, n, normalize_axis(axis, x.ndim, "idct"), norm)


def _many(name: str, f: Any, x: Any, type: Any, s: Any, axes: Any, norm: Any) -> Any:
    _check(name, type, norm)
    [x] = promote_dtypes_inexact(name, x)
    if axes is None:
        axes = range(x.ndim - len(s), x.ndim) if s is not None else range(x.ndim)
    axes = normalize_axes(tuple(axes) if np.iterable(axes) else axes, x.ndim, name)
    if s is not None and len(s) != len(axes):
        raise ShapeError(wrong=f"{name} was given lengths {tuple(s)} for axes {axes}", fix="Give one for each axis")
    for i, axis in enumerate(axes):
        x = _along(name, f, x, None if s is None else s[i], axis, norm)
    return x


def dctn(
    x: Any, type: int = 2, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Any:
    """The cosine transform along some axes.

    Parameters
    ----------
    x : array
    type : 2
    s : sequence of int, optional
        The axes are cut or padded with zeros to these lengths.
    axes : sequence of int, optional
        Default: the last ``len(s)``, or all.
    norm : None, "backward" or "ortho"

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import fft
    >>> fft.dctn(pnp.ones((2, 2))).tolist()
    [[16.0, 0.0], [0.0, 0.0]]
    """
    return _many("dctn", _forward, x, type, s, axes, norm)


def idctn(
    x: Any, type: int = 2, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Any:
    """The inverse of `dctn`.

    Parameters
    ----------
    x : array
    type : 2
    s : sequence of int, optional
        The axes are cut or padded with zeros to these lengths.
    axes : sequence of int, optional
        Default: the last ``len(s)``, or all.
    norm : None, "backward" or "ortho"

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import fft
    >>> fft.idctn(pnp.array([[16.0, 0.0], [0.0, 0.0]])).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return _many("idctn", _backward, x, type, s, axes, norm)
