"""Activation functions: elementwise nonlinearities of neural networks, and the softmax family."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core.dtypes import user_dtype
from portax.higher_order.custom_jvp import custom_jvp
from portax.lax.elementwise import erf, logistic
from portax.lax.shaping import stop_gradient
from portax.numpy.promotion import promote_args_inexact

Axis = Any


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.relu6(8.0))
    6.0
    """
    return pnp.minimum(pnp.maximum(x, 0), 6.0)


def hard_sigmoid(x: Any) -> Any:
    """``relu6(x + 3) / 6``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.hard_sigmoid(0.0))
    0.5
    """
    return relu6(pnp.asarray(x) + 3.0) / 6.0


def hard_silu(x: Any) -> Any:
    """``x * hard_sigmoid(x)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.hard_silu(3.0))
    3.0
    """
    [x] = promote_args_inexact("hard_silu", x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def hard_tanh(x: Any) -> Any:
    """``x`` limited to -1 and 1.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.hard_tanh(3.0))
    1.0
    """
    x = pnp.asarray(x)
    return pnp.where(x > 1, 1, pnp.where(x < -1, -1, x))


def soft_sign(x: Any) -> Any:
    """``x / (|x| + 1)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.soft_sign(1.0))
    0.5
    """
    [x] = promote_args_inexact("soft_sign", x)
    return x / (pnp.abs(x) + 1)


def celu(x: Any, alpha: Any = 1.0) -> Any:
    """``x`` where it is positive, else ``alpha * (exp(x / alpha) - 1)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.celu(2.0))
    2.0
    """
    return pnp.maximum(x, 0.0) + alpha * pnp.expm1(pnp.minimum(x, 0.0) / alpha)


def selu(x: Any) -> Any:
    """The exponential linear unit whose outputs keep mean 0 and variance 1.

    References
    ----------
    Klambauer et al., Self-Normalizing Neural Networks, arXiv:1706.02515, 2017.

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.selu(1.0)), 4)
    1.0507
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def glu(x: Any, axis: int = -1) -> Any:
    """The first half along an axis times the sigmoid of the second.

    Examples
    --------
    >>> import portax
    >>> portax.nn.glu(portax.numpy.array([2.0, 0.0])).tolist()
    [1.0]
    """
    [x] = promote_args_inexact("glu", x)
    first, gate = pnp.split(x, 2, axis)
    return first * sigmoid(gate)


def squareplus(x: Any, b: Any = 4) -> Any:
    """``(x + sqrt(x**2 + b)) / 2``, a smooth ``relu``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.squareplus(0.0))
    1.0
    """
    x, b = promote_args_inexact("squareplus", x, b)
    return (x + pnp.sqrt(pnp.square(x) + b)) / 2


def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``.

    References
    ----------
    Misra, Mish: A Self Regularized Non-Monotonic Activation Function, arXiv:1908.08681, 2019.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.mish(0.0))
    0.0
    """
    [x] = promote_args_inexact("mish", x)
    return x * pnp.tanh(softplus(x))


def identity(x: Any) -> Any:
    """``x`` itself, as an array.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.identity(2.0))
    2.0
    """
    return pnp.asarray(x)


def standardize(
    x: Any, axis: Axis = -1, mean: Any = None, variance: Any = None, epsilon: Any = 1e-5, where: Any = None
) -> Any:
    """``x`` less its mean, over its standard deviation.

    Parameters
    ----------
    x : array
    axis : int or tuple of int
    mean, variance : array, optional
        Where they are known; they broadcast against ``x``.
    epsilon : number
        Added to the variance.
    where : array of bool, optional
        Elements that count for mean and variance.

    Examples
    --------
    >>> import portax
    >>> [round(v, 2) for v in portax.nn.standardize(portax.numpy.array([1.0, 3.0])).tolist()]
    [-1.0, 1.0]
    """
    [x] = promote_args_inexact("standardize", x)
    if mean is None:
        mean = pnp.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        variance = pnp.mean(pnp.square(pnp.abs(x)), axis, keepdims=True, where=where) - pnp.square(pnp.abs(mean))
    return (x - pnp.asarray(mean)) / pnp.sqrt(pnp.asarray(variance) + epsilon)


@custom_jvp
def _relu(x: Any) -> Any:
    return pnp.maximum(x, 0)


@_relu.defjvp
def _relu_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _relu(x), pnp.where(x > 0, t, pnp.zeros_like(t))


def relu(x: Any) -> Any:
    """``max(x, 0)``; its derivative at 0 is 0.

    Parameters
    ----------
    x : array

    Examples
    --------
    >>> import portax
    >>> portax.nn.relu(portax.numpy.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return _relu(pnp.asarray(x))


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.sigmoid(0.0))
    0.5
    """
    [x] = promote_args_inexact("sigmoid", x)
    return logistic(x)


def silu(x: Any) -> Any:
    """``x * sigmoid(x)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.silu(0.0))
    0.0
    """
    [x] = promote_args_inexact("silu", x)
    return x * logistic(x)


swish = silu


def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.tanh(0.0))
    0.0
    """
    return pnp.tanh(x)


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``.

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.softplus(0.0)), 4)
    0.6931
    """
    return pnp.logaddexp(x, 0)


def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, without overflow.

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.log_sigmoid(0.0)), 4)
    -0.6931
    """
    [x] = promote_args_inexact("log_sigmoid", x)
    return -softplus(-x)


def leaky_relu(x: Any, negative_slope: Any = 1e-2) -> Any:
    """``x`` where it is not negative, else ``negative_slope * x``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.leaky_relu(-1.0, 0.5))
    -0.5
    """
    [x] = promote_args_inexact("leaky_relu", x)
    return pnp.where(x >= 0, x, negative_slope * x)


def elu(x: Any, alpha: Any = 1.0) -> Any:
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.elu(2.0))
    2.0
    """
    [x] = promote_args_inexact("elu", x)
    safe = pnp.where(x > 0, 0.0, x)
    return pnp.where(x > 0, x, alpha * pnp.expm1(safe))


def gelu(x: Any, approximate: bool = True) -> Any:
    """The Gaussian error linear unit: ``x`` times the normal distribution function at ``x``.

    Parameters
    ----------
    x : array
    approximate : bool
        By the tangent formula, else exactly by ``erf``.

    References
    ----------
    Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.gelu(0.0))
    0.0
    """
    [x] = promote_args_inexact("gelu", x)
    if approximate:
        root = np.sqrt(2 / np.pi).astype(x.dtype)
        return x * (0.5 * (1.0 + pnp.tanh(root * (x + 0.044715 * (x**3)))))
    half = np.sqrt(0.5).astype(x.dtype)
    return 0.5 * x * (1.0 + erf(x * half))


def softmax(x: Any, axis: Axis = -1, where: Any = None) -> Any:
    """``exp(x)`` scaled so that it sums to 1 along an axis.

    Parameters
    ----------
    x : array
    axis : int or tuple of int
    where : array of bool, optional
        Elements to count; the others get 0.

    Examples
    --------
    >>> import portax
    >>> portax.nn.softmax(portax.numpy.zeros(2)).tolist()
    [0.5, 0.5]
    """
    top = pnp.max(x, axis, keepdims=True, initial=None if where is None else -np.inf, where=where)
    shifted = pnp.exp(x - stop_gradient(top))
    if where is not None:
        shifted = pnp.where(where, shifted, 0)
    return shifted / pnp.sum(shifted, axis, keepdims=True)


def log_softmax(x: Any, axis: Axis = -1, where: Any = None) -> Any:
    """The logarithm of ``softmax``, without overflow; parameters as there.

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.log_softmax(portax.numpy.zeros(2))[0]), 4)
    -0.6931
    """
    top = pnp.max(x, axis, keepdims=True, initial=None if where is None else -np.inf, where=where)
    shifted = x - stop_gradient(top)
    total = pnp.log(pnp.sum(pnp.exp(shifted), axis, keepdims=True, where=where))
    out = shifted - total
    return out if where is None else pnp.where(where, out, -np.inf)


def logsumexp(
    a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, where: Any = None
) -> Any:
    """``log(sum(b * exp(a)))`` along an axis, without overflow.

    Parameters
    ----------
    a : array
    axis : int, tuple of int, or None for all
    b : array, optional
        Factors.
    keepdims, return_sign : bool
    where : array of bool, optional

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.logsumexp(portax.numpy.zeros(2))), 4)
    0.6931
    """
    [x] = promote_args_inexact("logsumexp", a)
    if b is not None:
        b = pnp.asarray(b)
        x = pnp.where(b != 0, x, -np.inf)
    top = pnp.max(x, axis, keepdims=True, initial=-np.inf, where=where)
    top = stop_gradient(pnp.where(pnp.isfinite(top), top, 0))
    terms = pnp.exp(x - top)
    if b is not None:
        terms = terms * b
    total = pnp.sum(terms, axis, keepdims=keepdims, where=where)
    top = top if keepdims else pnp.reshape(top, total.shape)
    sign = pnp.sign(total)
    if return_sign:
        return pnp.log(pnp.abs(total)) + top, sign
    return pnp.log(total) + top


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Any:
    """1 at the place each number says, 0 elsewhere, along a new axis.

    Parameters
    ----------
    x : array of integers
    num_classes : int
        Length of the new axis; numbers outside of it give all zeros.
    dtype : dtype, optional
        Floating point by default.
    axis : int

    Examples
    --------
    >>> import portax
    >>> portax.nn.one_hot(portax.numpy.array([0, 1]), 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x = pnp.asarray(x)
    place = axis % (x.ndim + 1)
    shape = [1] * (x.ndim + 1)
    shape[place] = num_classes
    classes = pnp.reshape(pnp.arange(num_classes, dtype=x.dtype), tuple(shape))
    hot = pnp.expand_dims(x, place) == classes
    return hot.astype(float if dtype is None else user_dtype(dtype, "one_hot"))


