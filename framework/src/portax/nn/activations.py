"""Activation functions: the elementwise nonlinearities of neural networks.

Derivatives at kinks are JAX's: those of ``relu`` and ``relu6`` are 0 there. Integers are taken as floats first where a
sum or a power of theirs could wrap around.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.higher_order.custom_jvp import custom_jvp
from portax.lax.elementwise import erf, logistic
from portax.numpy.promotion import promote_args_inexact


@custom_jvp
def _relu6(x: Any) -> Any:
    return pnp.minimum(pnp.maximum(x, 0), 6.0)


@_relu6.defjvp
def _relu6_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _relu6(x), pnp.where((x > 0) & (x < 6), t, pnp.zeros_like(t))


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``; its derivative at 0 and at 6 is 0.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.relu6(8.0))
    6.0
    """
    return _relu6(pnp.asarray(x))


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
    x = pnp.asarray(x)
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


def _unwrapped(x: Any) -> Any:
    """``x``; an unsigned one, whose sums and negatives would wrap around, as floats."""
    x = pnp.asarray(x)
    return promote_args_inexact("activation", x)[0] if dtypes.is_unsigned(x.dtype) else x


def soft_sign(x: Any) -> Any:
    """``x / (|x| + 1)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.soft_sign(1.0))
    0.5
    """
    x = _unwrapped(x)
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
    [x] = promote_args_inexact("squareplus", x)
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
    x = pnp.asarray(x)
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
    x = pnp.asarray(x)
    return pnp.where(x >= 0, x, negative_slope * x)


def elu(x: Any, alpha: Any = 1.0) -> Any:
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``.

    Examples
    --------
    >>> import portax
    >>> float(portax.nn.elu(2.0))
    2.0
    """
    x = pnp.asarray(x)
    safe = pnp.where(x > 0, 0.0, x)
    return pnp.where(x > 0, x, alpha * pnp.expm1(safe))


@custom_jvp
def _log1mexp(x: Any) -> Any:
    # Each formula keeps its digits where the other loses them.
    return pnp.where(x < np.log(2.0).astype(x.dtype), pnp.log(-pnp.expm1(-x)), pnp.log1p(-pnp.exp(-x)))


@_log1mexp.defjvp
def _log1mexp_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _log1mexp(x), t / pnp.expm1(x)


def log1mexp(x: Any) -> Any:
    """``log(1 - exp(-x))`` for ``x >= 0``, accurate for small and for large ``x``.

    Parameters
    ----------
    x : array
        Negative numbers give NaN.

    Returns
    -------
    Array of the shape of ``x``, floating point

    References
    ----------
    Mächler, Accurately computing log(1 - exp(-|a|)), vignette of the R package Rmpfr, 2012.

    Examples
    --------
    >>> import portax
    >>> round(float(portax.nn.log1mexp(1.0)), 4)
    -0.4587
    """
    [x] = promote_args_inexact("log1mexp", x)
    return _log1mexp(x)


def sparse_plus(x: Any) -> Any:
    """0 up to -1, ``(x + 1)**2 / 4`` up to 1, and ``x`` from there: ``softplus`` with exact zeros.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> import portax
    >>> portax.nn.sparse_plus(portax.numpy.array([-2.0, 0.0, 2.0])).tolist()
    [0.0, 0.25, 2.0]
    """
    x = pnp.asarray(x)
    return pnp.where(x <= -1.0, 0.0, pnp.where(x >= 1.0, x, (x + 1.0) ** 2 / 4))


def sparse_sigmoid(x: Any) -> Any:
    """``(x + 1) / 2`` limited to 0 and 1: the derivative of ``sparse_plus``.

    Parameters
    ----------
    x : array

    Returns
    -------
    Array of the shape of ``x``, floating point

    Examples
    --------
    >>> import portax
    >>> portax.nn.sparse_sigmoid(portax.numpy.array([-2.0, 0.0, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return 0.5 * pnp.clip(pnp.asarray(x) + 1.0, 0.0, 2.0)


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
