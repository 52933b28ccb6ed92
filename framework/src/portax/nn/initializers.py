"""Initial weights: functions that make one from a key, a shape and a dtype.

A variance is ``scale`` over the number of inputs, of outputs, or their mean; then numbers are drawn whose variance that
is. The draws are JAX's, bit for bit where they run compiled.

References
----------
Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from portax import numpy as pnp
from portax import random
from portax.core import dtypes
from portax.core.config import config
from portax.core.lazy import lazy
from portax.errors import ArgumentError, ShapeError

laying = lazy("portax.higher_order.laying")

Axes = int | Sequence[int]


@runtime_checkable
class Initializer(Protocol):
    """A function that makes initial weights."""

    def __call__(self, key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        """Weights of ``shape`` and ``dtype``, drawn by ``key``."""
        ...


def _dtype(dtype: Any, name: str) -> Any:
    """The dtype asked for, by default the default floating one."""
    return config.scalar_dtypes[float] if dtype is None else dtypes.user_dtype(dtype, name)


def zeros(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """Zeros; the key is not used.

    Parameters
    ----------
    key : Array or None
    shape : tuple of int
    dtype : dtype, optional

    Examples
    --------
    >>> from portax.nn import initializers
    >>> initializers.zeros(None, (2,)).tolist()
    [0.0, 0.0]
    """
    if out_sharding is not None:
        return laying.laid(zeros(key, shape, dtype), out_sharding)
    return pnp.zeros(shape, _dtype(dtype, "zeros"))


def ones(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """Ones; the key is not used.

    Parameters
    ----------
    key : Array or None
    shape : tuple of int
    dtype : dtype, optional

    Examples
    --------
    >>> from portax.nn import initializers
    >>> initializers.ones(None, (2,)).tolist()
    [1.0, 1.0]
    """
    if out_sharding is not None:
        return laying.laid(ones(key, shape, dtype), out_sharding)
    return pnp.ones(shape, _dtype(dtype, "ones"))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """An initializer that gives ``value`` everywhere.

    Parameters
    ----------
    value : number or array that broadcasts to the shape
    dtype : dtype, optional
        Where the initializer is given none.

    Examples
    --------
    >>> from portax.nn import initializers
    >>> initializers.constant(7.0)(None, (2,)).tolist()
    [7.0, 7.0]
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laying.laid(init(key, shape, dtype), out_sharding)
        return pnp.full(shape, value, _dtype(dtype, "constant"))

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """An initializer that gives numbers in [0, scale).

    Parameters
    ----------
    scale : number
    dtype : dtype, optional
        Where the initializer is given none.

    Examples
    --------
    >>> from portax import random
    >>> from portax.nn import initializers
    >>> initializers.uniform(10.0)(random.key(0), (2, 3)).shape
    (2, 3)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laying.laid(init(key, shape, dtype), out_sharding)
        dtype = _dtype(dtype, "uniform")
        return random.uniform(key, shape, dtype) * pnp.asarray(scale, dtype)

    return init


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """An initializer that gives normal numbers.

    Parameters
    ----------
    stddev : number
        Their standard deviation.
    dtype : dtype, optional
        Where the initializer is given none.

    Examples
    --------
    >>> from portax import random
    >>> from portax.nn import initializers
    >>> initializers.normal(5.0)(random.key(0), (2, 3)).shape
    (2, 3)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laying.laid(init(key, shape, dtype), out_sharding)
        dtype = _dtype(dtype, "normal")
        return random.normal(key, shape, dtype) * pnp.asarray(stddev, dtype)

    return init


def truncated_normal(stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0) -> Initializer:
    """An initializer that gives normal numbers between two bounds.

    Parameters
    ----------
    stddev : number
        The standard deviation before truncation.
    dtype : dtype, optional
        Where the initializer is given none.
    lower, upper : number
        The bounds, before the numbers are multiplied by ``stddev``.

    Examples
    --------
    >>> from portax import random
    >>> from portax.nn import initializers
    >>> bool(abs(initializers.truncated_normal(1.0)(random.key(0), (9,))).max() < 2)
    True
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laying.laid(init(key, shape, dtype), out_sharding)
        dtype = _dtype(dtype, "truncated_normal")
        return random.truncated_normal(key, lower, upper, shape, dtype) * pnp.asarray(stddev, dtype)

    return init


# -- by the numbers of inputs and outputs -----------------------------------------------------------------------------
def _product(shape: Sequence[int], axes: Axes) -> int:
    return math.prod(shape[a] for a in ([axes] if isinstance(axes, int) else axes))


def _fans(shape: Sequence[int], in_axis: Axes, out_axis: Axes, batch_axis: Axes) -> tuple[float, float]:
    """How many inputs an output has, and how many outputs an input; a kernel's places count for both.

    Raises
    ------
    ShapeError
        The shape has not the axes that are named.
    """
    if len(shape) <= 1 and not (isinstance(in_axis, int) and -len(shape) <= in_axis < len(shape)):
        raise ShapeError(
            wrong=f"weights of shape {tuple(shape)} have no axis {in_axis} of inputs",
            fix="Give a shape of at least two axes, or in_axis",
        )
    try:
        inputs, outputs, batch = (_product(shape, axes) for axes in (in_axis, out_axis, batch_axis))
    except IndexError as error:
        raise ShapeError(
            wrong=f"weights of shape {tuple(shape)} have not all of the axes in_axis={in_axis}, out_axis={out_axis}, "
            f"batch_axis={batch_axis}",
            fix="Name axes that the shape has",
        ) from error
    places = math.prod(shape) / inputs / outputs / batch
    return inputs * places, outputs * places


_MODES: dict[str, Callable[[float, float], float]] = {
    "fan_in": lambda inputs, outputs: inputs,
    "fan_out": lambda inputs, outputs: outputs,
    "fan_avg": lambda inputs, outputs: (inputs + outputs) / 2,
    "fan_geo_avg": lambda inputs, outputs: (inputs * outputs) ** 0.5,
}
#: Standard deviations of the normal distribution cut off at 2, and of the complex one cut off at magnitude 2.
_CUT, _COMPLEX_CUT = 0.87962566103423978, 0.95311164380491208


def _complex(key: Any, shape: Any, dtype: Any, magnitude: Callable[[Any], Any]) -> Any:
    """Complex numbers of random phase, whose magnitude is a function of uniform numbers."""
    real = dtypes.real_dtype(dtype)
    for_size, for_angle = random.split(key)
    size = magnitude(random.uniform(for_size, shape, real)).astype(dtype)
    angle = 2 * np.pi * random.uniform(for_angle, shape, real).astype(dtype)
    return size * pnp.exp(1j * angle)


def _cut_normal(key: Any, shape: Any, dtype: Any) -> Any:
    if not dtypes.is_complex(dtype):
        return random.truncated_normal(key, -2, 2, shape, dtype)
    inside = (1 - pnp.exp(pnp.asarray(-4, dtype))).astype(dtype)
    return _complex(key, shape, dtype, lambda u: pnp.sqrt(-pnp.log(1 - inside * u.astype(dtype))))


def _disk(key: Any, shape: Any, dtype: Any) -> Any:
    return _complex(key, shape, dtype, lambda u: pnp.sqrt(2 * u))


def variance_scaling(
    scale: Any, mode: str, distribution: str, in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:  # fmt: skip
    """An initializer that gives numbers of mean 0 and variance ``scale / n``.

    Parameters
    ----------
    scale : number
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        What ``n`` is: how many inputs an output has, how many outputs an input has, or a mean of both.
    distribution : {"truncated_normal", "normal", "uniform"}
        The normal distribution cut off at 2 standard deviations, the whole, or equal probability between two bounds
        (in a disk, if the dtype is complex).
    in_axis, out_axis : int or sequence of int
        The axes of inputs and of outputs; those named nowhere are the places of a kernel.
    batch_axis : int or sequence of int
        Axes that count for neither.
    dtype : floating or complex dtype, optional
        Where the initializer is given none.

    Raises
    ------
    ArgumentError
        There is no such mode or distribution.

    Examples
    --------
    >>> from portax import random
    >>> from portax.nn import initializers
    >>> initializers.variance_scaling(1.0, "fan_in", "normal")(random.key(0), (2, 3)).shape
    (2, 3)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laying.laid(init(key, shape, dtype), out_sharding)
        if mode not in _MODES:
            raise ArgumentError(
                wrong=f"variance_scaling knows no mode {mode!r}", fix=f"Give one of {', '.join(_MODES)}"
            )
        if distribution not in ("truncated_normal", "normal", "uniform"):
            raise ArgumentError(
                wrong=f"variance_scaling knows no distribution {distribution!r}",
                fix='Give "truncated_normal", "normal" or "uniform"',
            )
        dtype, shape = _dtype(dtype, "variance_scaling"), tuple(operator.index(n) for n in shape)
        variance = pnp.asarray(scale / _MODES[mode](*_fans(shape, in_axis, out_axis, batch_axis)), dtype)
        if distribution == "normal":
            return random.normal(key, shape, dtype) * pnp.sqrt(variance)
        if distribution == "uniform" and dtypes.is_complex(dtype):
            return _disk(key, shape, dtype) * pnp.sqrt(variance)
        if distribution == "uniform":
            return random.uniform(key, shape, dtype, -1) * pnp.sqrt(3 * variance)
        cut = _COMPLEX_CUT if dtypes.is_complex(dtype) else _CUT
        return _cut_normal(key, shape, dtype) * (pnp.sqrt(variance) / pnp.asarray(cut, dtype))

    return init


def _scaled(name: str, scale: float, mode: str, distribution: str, words: str) -> Callable[..., Initializer]:
    def function(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{words}: ``variance_scaling({scale}, {mode!r}, {distribution!r})``.

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        As for ``variance_scaling``.
    dtype : floating or complex dtype, optional
        Where the initializer is given none.

    Examples
    --------
    >>> from portax import random
    >>> from portax.nn import initializers
    >>> initializers.{name}()(random.key(0), (2, 3)).shape
    (2, 3)
    """
    return function


glorot_normal = xavier_normal = _scaled("glorot_normal", 1.0, "fan_avg", "truncated_normal", "Glorot's normal weights")
glorot_uniform = xavier_uniform = _scaled("glorot_uniform", 1.0, "fan_avg", "uniform", "Glorot's uniform weights")
lecun_normal = _scaled("lecun_normal", 1.0, "fan_in", "truncated_normal", "LeCun's normal weights")
lecun_uniform = _scaled("lecun_uniform", 1.0, "fan_in", "uniform", "LeCun's uniform weights")
he_normal = kaiming_normal = _scaled("he_normal", 2.0, "fan_in", "truncated_normal", "He's normal weights")
he_uniform = kaiming_uniform = _scaled("he_uniform", 2.0, "fan_in", "uniform", "He's uniform weights")


# -- orthogonal -------------------------------------------------------------------------------------------------------
def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """An initializer that gives orthogonal matrices: orthonormal rows or columns, whichever are fewer.

    Parameters
    ----------
    scale : number
        What they are multiplied by.
    column_axis : int
        The axis along which the columns are counted; the others together count the rows.
    dtype : floating or complex dtype, optional
        Where the initializer is given none.

    References
    ----------
    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks,
    arXiv:1312.6120, 2013.

    Examples
    --------
    >>> from portax import random
    >>> from portax.nn import initializers
    >>> initializers.orthogonal()(random.key(0), (2, 3)).shape
    (2, 3)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laying.laid(init(key, shape, dtype), out_sharding)
        dtype = _dtype(dtype, "orthogonal")
        if len(shape) < 2:
            raise ShapeError(
                wrong=f"orthogonal weights need at least two axes, and were asked for shape {tuple(shape)}",
                fix="Give the shape of a matrix",
            )
        columns = shape[column_axis]
        rows = math.prod(shape) // columns
        matrix = random.orthogonal(key, rows, (), dtype, columns)
        rest = [n for a, n in enumerate(shape) if a != column_axis % len(shape)]
        return pnp.moveaxis(pnp.reshape(matrix, (*rest, columns)), -1, column_axis) * pnp.asarray(scale, dtype)

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """An initializer of convolution kernels: an orthogonal matrix at the middle place, zeros elsewhere.

    Parameters
    ----------
    scale : number
        What the matrix is multiplied by.
    column_axis : int
        The axis along which its columns are counted, one of the last two.
    dtype : floating or complex dtype, optional
        Where the initializer is given none.

    References
    ----------
    Xiao et al., Dynamical isometry and a mean field theory of CNNs, arXiv:1806.05393, 2018.

    Examples
    --------
    >>> from portax import random
    >>> from portax.nn import initializers
    >>> initializers.delta_orthogonal()(random.key(0), (3, 2, 2))[0].tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = default, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laying.laid(init(key, shape, dtype), out_sharding)
        dtype = _dtype(dtype, "delta_orthogonal")
        if len(shape) not in (3, 4, 5):
            raise ShapeError(
                wrong=f"delta_orthogonal weights have 3 to 5 axes, and were asked for shape {tuple(shape)}",
                fix="Give places of the kernel, inputs, outputs",
            )
        if shape[-1] < shape[-2]:
            raise ShapeError(
                wrong=f"delta_orthogonal weights need at least as many outputs as inputs, not shape {tuple(shape)}",
                fix="Make the last axis at least as long as the one before",
            )
        matrix = orthogonal(scale, column_axis, dtype)(key, shape[-2:])
        middle = tuple((n - 1) // 2 for n in shape[:-2])
        return pnp.zeros(shape, dtype).at[middle].set(matrix)

    return init
