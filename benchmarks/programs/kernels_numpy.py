"""The same passes in NumPy, for scale: nobody is judged by them.

Where NumPy can write over an array that it is given, it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.programs.kernels import BINS, LARGE

__all__ = ["FUNCTIONS"]


def _gelu(out: Any, x: Any, a: Any, b: Any) -> Any:
    y = np.multiply(x, a, out=out)
    y += b
    y *= 0.5 * (1 + np.tanh(np.float32(0.7978845608) * (y + np.float32(0.044715) * y * y * y)))
    return y


def _softmax(out: Any, x: Any) -> Any:
    y = np.subtract(x, x.max(axis=-1, keepdims=True), out=out)
    np.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)
    return y


def _layer_norm(out: Any, x: Any, scale: Any, shift: Any) -> Any:
    y = np.subtract(x, x.mean(axis=-1, keepdims=True), out=out)
    y *= 1 / np.sqrt((y * y).mean(axis=-1, keepdims=True) + np.float32(1e-5))
    y *= scale
    y += shift
    return y


#: By the name of the case: ``f(out, *arrays)``, where ``out`` has the first array's shape.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gelu(x a + b), 16M": _gelu,
    "softmax 4096 x 4096": _softmax,
    "layer norm 4096 x 4096": _layer_norm,
    "row sum 4096 x 4096": lambda out, x: x.sum(axis=-1),
    "matmul 1024": lambda out, a, b: np.matmul(a, b, out=out),
    "matmul 2048": lambda out, a, b: np.matmul(a, b, out=out),
    "matmul 1000": lambda out, a, b: np.matmul(a, b, out=out),
    "random bits, 16M": lambda out, x, seed: np.random.default_rng(seed).integers(0, 1 << 32, LARGE, np.uint32),
    "cumsum, 16M": lambda out, x: np.cumsum(x, out=out),
    "sort, 4M": lambda out, x: np.sort(x),
    "gather 16M of 1M": lambda out, _, x, i: np.take(x, i, out=out, mode="clip"),
    "scatter-add 4M into 64K": lambda out, x, i, v: x + np.bincount(i, v, BINS).astype(np.float32),
}
