"""Images scaled, moved and resized: each axis is a product with a matrix of weights.

An output element lies at some place of the input; it is the mean of the input elements there, weighted by a kernel of
their distance. Where an image shrinks and is antialiased, the kernel is widened so that it reaches all elements that
fall together. Weights of an element add up to 1, also at the rim, where part of the kernel sees nothing.

References
----------
Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. ASSP-29, 1981.
Turkowski, Filters for common resampling tasks, Graphics Gems I, 1990.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError, ShapeError
from portax.lax.products import dot_general
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array, promote_dtypes_inexact
from portax.primitives.contraction import Precision


class ResizeMethod(enum.Enum):
    """How an element is made of its neighbours.

    ``NEAREST`` takes the nearest one, ``LINEAR`` weighs by a triangle, ``CUBIC`` by Keys' cubic, ``LANCZOS3`` and
    ``LANCZOS5`` by a sinc windowed by another, of 3 and 5 lobes. ``AREA`` takes the mean of what an element covers.
    ``CUBIC_PYTORCH`` is PyTorch's cubic: without antialiasing a steeper one, that repeats the elements at the rim.
    """

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of that name.

        Examples
        --------
        >>> from portax.image import ResizeMethod
        >>> ResizeMethod.from_string("bilinear").name
        'LINEAR'
        """
        if s not in _NAMES:
            raise ArgumentError(wrong=f"there is no resize method {s!r}", fix=f"Give one of {', '.join(_NAMES)}")
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    "lanczos3": ResizeMethod.LANCZOS3, "lanczos5": ResizeMethod.LANCZOS5, "area": ResizeMethod.AREA,
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
}  # fmt: skip


def _triangle(x: Any) -> Any:
    return pnp.maximum(0, 1 - x)


def _cubic(x: Any) -> Any:
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return pnp.where(x >= 2, 0, pnp.where(x >= 1, far, near))


def _lanczos(lobes: int) -> Callable[[Any], Any]:
    def kernel(x: Any) -> Any:
        product = lobes * pnp.sin(np.pi * x) * pnp.sin(np.pi * x / lobes)
        # Near 0 the quotient loses its digits, and is 1.
        inside = pnp.where(x > 1e-3, product / pnp.where(x != 0, np.pi**2 * x**2, 1), 1)
        return pnp.where(x > lobes, 0, inside)

    return kernel


_KERNELS = {
    ResizeMethod.LINEAR: _triangle, ResizeMethod.CUBIC: _cubic, ResizeMethod.LANCZOS3: _lanczos(3),
    ResizeMethod.LANCZOS5: _lanczos(5), ResizeMethod.CUBIC_PYTORCH: _cubic,
}  # fmt: skip


def _weights(n: int, m: int, scale: Any, translation: Any, kernel: Callable[[Any], Any], antialias: bool) -> Any:
    """The (n, m) matrix that makes m elements of n."""
    dtype = dtypes.accumulator(scale.dtype)
    inverse = 1 / scale.astype(dtype)
    widened = pnp.maximum(inverse, 1) if antialias else 1.0
    places = (np.arange(m, dtype=dtype) + 0.5) * inverse - translation.astype(dtype) * inverse - 0.5
    distance = pnp.abs(places[None, :] - np.arange(n, dtype=dtype)[:, None]) / widened
    weights = kernel(distance)
    total = pnp.sum(weights, axis=0, keepdims=True)
    some = pnp.abs(total) > 1000 * float(dtypes.finfo(np.dtype(np.float32)).eps)
    weights = pnp.where(some, weights / pnp.where(total != 0, total, 1), 0)
    there = (places >= -0.5) & (places <= n - 0.5)
    return pnp.where(there[None, :], weights, 0)


#: Methods that only stretch an image to its new shape.
_OF_RESIZE = (ResizeMethod.NEAREST, ResizeMethod.AREA, ResizeMethod.CUBIC_PYTORCH)


def _covered(n: int, m: int) -> np.ndarray:
    """The (n, m) matrix of how much of each output element each input element covers."""
    edges, places = np.arange(n)[:, None], np.arange(m) * n / m
    overlap = np.minimum(edges + 1, places + n / m) - np.maximum(edges, places)
    return np.maximum(overlap, 0) * m / max(n, 1)


def _repeating_cubic(n: int, m: int) -> np.ndarray:
    """The (n, m) matrix of the cubic with slope -0.75, beyond the rim the elements at the rim."""
    place = (np.arange(m) + 0.5) * n / m - 0.5
    weights = np.zeros((n, m))
    for j in range(-1, 3):
        taken = np.floor(place) + j
        x = np.abs(place - taken)
        near = (1.25 * x - 2.25) * x * x + 1
        far = ((-0.75 * x + 3.75) * x - 6) * x + 3
        weights[np.clip(taken, 0, n - 1).astype(int), np.arange(m)] += np.where(x < 1, near, np.where(x < 2, far, 0))
    return weights


def _method(method: Any) -> ResizeMethod:
    return method if isinstance(method, ResizeMethod) else ResizeMethod.from_string(method)


def _shape(name: str, image: Any, shape: Any) -> tuple[int, ...]:
    found = tuple([operator.index(n) for n in shape])
    if len(found) != image.ndim:
        raise ShapeError(
            wrong=f"{name} was given shape {found} for an image {image.aval}", fix="Give a length for each axis"
        )
    return found


def _scaled(
    x: Any, shape: Sequence[int], dims: Sequence[int], scale: Any, translation: Any, method: ResizeMethod,
    antialias: bool, precision: Any,
) -> Any:  # fmt: skip
    for i, d in enumerate(dims):
        n, m = x.shape[d], shape[d]
        if method is ResizeMethod.AREA:
            weights = _covered(n, m)
        elif method is ResizeMethod.CUBIC_PYTORCH and not antialias:
            weights = _repeating_cubic(n, m)
        else:
            weights = _weights(n, m, scale[i], translation[i], _KERNELS[method], antialias)
        out = dot_general(x, weights.astype(x.dtype), (((d,), (0,)), ((), ())), precision)
        x = pnp.moveaxis(out, -1, d)
    return x


def scale_and_translate(
    image: Any, shape: Sequence[int], spatial_dims: Sequence[int], scale: Any, translation: Any,
    method: str | ResizeMethod, antialias: bool = True, precision: Any = Precision.HIGHEST,
) -> Any:  # fmt: skip
    """An image scaled and moved: the input's place ``x`` lands on ``x * scale + translation``.

    Parameters
    ----------
    image : array
    shape : sequence of int
        Of the result; axes that are not in ``spatial_dims`` keep their length.
    spatial_dims : sequence of int
    scale, translation : arrays with an element for each of ``spatial_dims``
        A place is in units of elements, counted from the rim of the first.
    method : str or ResizeMethod
        "linear", "cubic", "lanczos3" or "lanczos5".
    antialias : bool
        Widen the kernel where the image shrinks.
    precision : Precision, str or pair, optional

    Returns
    -------
    array, floating or complex
        Where it shows what lies beyond the image it is 0.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import image
    >>> image.scale_and_translate(pnp.arange(3.0), (4,), (0,), pnp.ones(1), pnp.ones(1), "linear").tolist()
    [0.0, 0.0, 1.0, 2.0]
    """
    [x] = promote_dtypes_inexact("scale_and_translate", image)
    shape, kind = _shape("scale_and_translate", x, shape), _method(method)
    if kind in _OF_RESIZE:
        raise ArgumentError(
            wrong=f"scale_and_translate has no method {kind.name}", fix="Use resize, or the method 'linear'"
        )
    dims = [normalize_axis(d, x.ndim, "scale_and_translate") for d in spatial_dims]
    scale, translation = (as_array(v, "scale_and_translate") for v in (scale, translation))
    scale, translation = promote_dtypes_inexact("scale_and_translate", scale, translation)
    if scale.shape != (len(dims),) or translation.shape != (len(dims),):
        raise ShapeError(
            wrong=f"scale_and_translate along axes {tuple(dims)} was given scale: {scale.aval} and translation: "
            f"{translation.aval}",
            fix="Give an element for each of spatial_dims",
        )
    for d in range(x.ndim):
        if d not in dims and shape[d] != x.shape[d]:
            raise ShapeError(
                wrong=f"scale_and_translate along axes {tuple(dims)} cannot make shape {shape} of {x.aval}",
                fix="Name every axis whose length changes in spatial_dims",
            )
    return _scaled(x, shape, dims, scale, translation, kind, antialias, precision)


def resize(
    image: Any, shape: Sequence[int], method: str | ResizeMethod, antialias: bool = True,
    precision: Any = Precision.HIGHEST,
) -> Any:  # fmt: skip
    """An image stretched to another shape.

    Parameters
    ----------
    image : array
    shape : sequence of int
    method : str or ResizeMethod
        "nearest", "linear", "cubic", "lanczos3", "lanczos5", "area" or "cubic-pytorch".
    antialias : bool
        Widen the kernel where the image shrinks; the nearest element is not antialiased.
    precision : Precision, str or pair, optional

    Returns
    -------
    array
        Of the dtype of ``image`` for the nearest element, else floating or complex.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import image
    >>> image.resize(pnp.array([1.0, 3.0]), (4,), "linear").tolist()
    [1.0, 1.5, 2.5, 3.0]
    """
    x, kind = as_array(image, "resize"), _method(method)
    shape = _shape("resize", x, shape)
    dims = [d for d in range(x.ndim) if shape[d] != x.shape[d]]
    if kind is ResizeMethod.NEAREST:
        for d in dims:
            n, m = x.shape[d], shape[d]
            places = (np.arange(m, dtype=np.float32) + np.float32(0.5)) * np.float32(n) / np.float32(m)
            x = pnp.take(x, np.floor(places).astype(np.int32), axis=d)
        return x
    [x] = promote_dtypes_inexact("resize", x)
    scale = as_array(np.asarray([shape[d] / x.shape[d] if x.shape[d] else 1.0 for d in dims], np.float32), "resize")
    return _scaled(x, shape, dims, scale, scale * 0, kind, antialias, precision)
