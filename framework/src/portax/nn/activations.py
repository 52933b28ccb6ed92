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


