"""Sixty functions that programs are made of, each at a small and a large size.

An entry gives, for a framework and a size, a function and its arguments, which are NumPy arrays drawn from a fixed
seed. What a size counts is the entry's business (elements, rows, the order of a matrix); a small size is one that a
call's fixed price shows at, a large one keeps the machine busy for a fraction of a millisecond or more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.framework import Framework

__all__ = ["FUNCTIONS", "Function"]

Call = Callable[..., Any]
Made = tuple[Call, tuple[Any, ...]]


@dataclass(frozen=True)
class Function:
    """``make(framework, size)`` gives what is jitted and called, and with which arguments."""

    name: str
    group: str
    small: int
    large: int
    make: Callable[[Framework, int], Made]


def drawn(n: int, *more: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    """Uniform numbers, float32."""
    return np.random.default_rng(seed).uniform(low, high, (n, *more)).astype(np.float32)


def whole(n: int, *more: int, below: int = 1000, seed: int = 1) -> np.ndarray:
    """Integers in [0, below)."""
    return np.random.default_rng(seed).integers(0, below, (n, *more)).astype(np.int32)


def definite(n: int) -> np.ndarray:
    """A symmetric matrix with eigenvalues well above 0."""
    x = drawn(n, n)
    return (x @ x.T / n + 2 * np.eye(n)).astype(np.float32)


def of(call: Callable[[Framework], Call], *arrays: Callable[[int], Any]) -> Callable[[Framework, int], Made]:
    """An entry whose arguments depend on the size alone."""
    return lambda fw, n: (call(fw), tuple(a(n) for a in arrays))


def vector(n: int) -> np.ndarray:
    return drawn(n)


def positive(n: int) -> np.ndarray:
    return drawn(n, low=0.1, high=3.0)


def square(n: int) -> np.ndarray:
    return drawn(n, n)


def rows(n: int) -> np.ndarray:
    return drawn(n, 64)


def places(n: int) -> np.ndarray:
    return whole(n, below=n)


def scanned(fw: Framework) -> Call:
    def step(carry: Any, x: Any) -> Any:
        carry = fw.numpy.tanh(carry + x)
        return carry, carry.sum()

    return lambda xs: fw.lax.scan(step, xs[0], xs)


def normalized(fw: Framework) -> Call:
    def layer(x: Any, scale: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred * fw.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale

    return layer


def convolved(fw: Framework) -> Call:
    kernel = drawn(3, 3, 8, 16, seed=3)
    numbers = ("NHWC", "HWIO", "NHWC")
    return lambda x: fw.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)


def pooled(fw: Framework) -> Call:
    return lambda x: fw.lax.reduce_window(x, -np.inf, fw.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def halved(fw: Framework) -> Call:
    return lambda x: fw.lax.while_loop(lambda s: s[0] < 10, lambda s: (s[0] + 1, s[1] * 0.5 + 1), (0, x))[1]


def special(fw: Framework) -> Any:
    return fw.room("scipy.special")


def keyed(call: Callable[[Any, Any, int], Any]) -> Callable[[Framework, int], Made]:
    """An entry that draws random numbers; its argument is the raw key, which both sides make alike."""
    return lambda fw, n: ((lambda key: call(fw.random, key, n)), (np.array([0, 7], np.uint32),))


def images(n: int) -> np.ndarray:
    return drawn(2, n, n, 8)


K, M = 1 << 10, 1 << 20

FUNCTIONS = (
    # Elementwise.
    Function("add", "numpy", K, M, of(lambda fw: fw.numpy.add, vector, positive)),
    Function("exp", "numpy", K, M, of(lambda fw: fw.numpy.exp, vector)),
    Function("tanh", "numpy", K, M, of(lambda fw: fw.numpy.tanh, vector)),
    Function("log1p", "numpy", K, M, of(lambda fw: fw.numpy.log1p, positive)),
    Function("power", "numpy", K, M, of(lambda fw: fw.numpy.power, positive, vector)),
    Function("arctan2", "numpy", K, M, of(lambda fw: fw.numpy.arctan2, vector, positive)),
    Function("where", "numpy", K, M, of(lambda fw: lambda x, y: fw.numpy.where(x > 0, x, y), vector, positive)),
    Function("clip", "numpy", K, M, of(lambda fw: lambda x: fw.numpy.clip(x, -1, 1), vector)),
    Function("remainder", "numpy", K, M, of(lambda fw: fw.numpy.remainder, vector, positive)),
    Function("floor_divide", "numpy", K, M, of(lambda fw: fw.numpy.floor_divide, vector, positive)),
    Function("isclose", "numpy", K, M, of(lambda fw: fw.numpy.isclose, vector, vector)),
    # Reductions and what runs along an axis.
    Function("sum", "numpy", K, M, of(lambda fw: fw.numpy.sum, vector)),
    Function("mean of rows", "numpy", 16, K << 4, of(lambda fw: lambda x: fw.numpy.mean(x, 1), rows)),
    Function("var", "numpy", 16, K << 4, of(lambda fw: lambda x: fw.numpy.var(x, 0), rows)),
    Function("max", "numpy", K, M, of(lambda fw: fw.numpy.max, vector)),
    Function("argmax", "numpy", 16, K << 4, of(lambda fw: lambda x: fw.numpy.argmax(x, 1), rows)),
    Function("cumsum", "numpy", K, K << 6, of(lambda fw: fw.numpy.cumsum, vector)),
    Function("norm", "numpy", K, M, of(lambda fw: fw.numpy.linalg.norm, vector)),
    Function("median", "numpy", K, K << 6, of(lambda fw: fw.numpy.median, vector)),
    Function("diff", "numpy", K, M, of(lambda fw: fw.numpy.diff, vector)),
    # Products.
    Function("matmul", "numpy", 32, 512, of(lambda fw: fw.numpy.matmul, square, square)),
    Function("batched matmul", "numpy", 4, 256, of(
        lambda fw: fw.numpy.matmul, lambda n: drawn(n, 64, 64), lambda n: drawn(n, 64, 64, seed=1))),
    Function("einsum", "numpy", 8, 128, of(
        lambda fw: lambda x, y: fw.numpy.einsum("bij,bkj->bik", x, y),
        lambda n: drawn(n, 32, 64), lambda n: drawn(n, 32, 64, seed=1))),
    Function("outer", "numpy", 32, K, of(lambda fw: fw.numpy.outer, vector, vector)),
    # Moving elements.
    Function("concatenate", "numpy", K, M, of(lambda fw: lambda x, y: fw.numpy.concatenate([x, y]), vector, vector)),
    Function("transpose", "numpy", 32, K, of(lambda fw: lambda x: fw.numpy.transpose(x) + 1, square)),
    Function("pad", "numpy", 32, K, of(lambda fw: lambda x: fw.numpy.pad(x, 3), square)),
    Function("roll", "numpy", K, M, of(lambda fw: lambda x: fw.numpy.roll(x, 5), vector)),
    Function("repeat", "numpy", K, M >> 2, of(lambda fw: lambda x: fw.numpy.repeat(x, 3), vector)),
    Function("tril", "numpy", 32, K, of(lambda fw: fw.numpy.tril, square)),
    # Indexing.
    Function("x[places]", "indexing", K, M >> 2, of(lambda fw: lambda x, i: x[i], vector, places)),
    Function("take rows", "indexing", 64, K << 4, of(lambda fw: lambda x, i: fw.numpy.take(x, i, 0), rows, places)),
    Function("take_along_axis", "indexing", 32, K, of(
        lambda fw: lambda x, i: fw.numpy.take_along_axis(x, i, 1), square, lambda n: whole(n, n, below=n))),
    Function("x.at[places].add", "indexing", K, K << 6, of(
        lambda fw: lambda x, i, y: fw.numpy.asarray(x).at[i].add(y), vector, places, positive)),
    Function("x[a:b, ::2]", "indexing", 64, K, of(lambda fw: lambda x: fw.numpy.asarray(x)[2:-2, ::2], square)),
    # Sorting and searching.
    Function("sort", "sorting", K, K << 6, of(lambda fw: fw.numpy.sort, vector)),
    Function("argsort", "sorting", K, K << 6, of(lambda fw: fw.numpy.argsort, vector)),
    Function("top_k", "sorting", 16, K, of(lambda fw: lambda x: fw.lax.top_k(x, 8)[0], rows)),
    Function("searchsorted", "sorting", K, K << 6, of(
        lambda fw: fw.numpy.searchsorted, lambda n: np.sort(drawn(n)), lambda n: drawn(n, seed=1))),
    Function("bincount", "sorting", K, K << 6, of(
        lambda fw: lambda x: fw.numpy.bincount(x, length=100), lambda n: whole(n, below=100))),
    # Control flow and windows.
    Function("scan", "lax", 32, K, of(scanned, rows)),
    Function("while_loop", "lax", K, M >> 2, of(halved, vector)),
    Function("conv_general_dilated", "lax", 8, 64, of(convolved, images)),
    Function("reduce_window", "lax", 8, 128, of(pooled, images)),
    # Networks.
    Function("gelu", "nn", K, M, of(lambda fw: fw.nn.gelu, vector)),
    Function("softmax", "nn", 16, K << 3, of(lambda fw: fw.nn.softmax, rows)),
    Function("logsumexp", "nn", 16, K << 3, of(lambda fw: lambda x: fw.nn.logsumexp(x, -1), rows)),
    Function("layer norm", "nn", 16, K << 3, of(normalized, rows, lambda n: drawn(64))),
    Function("one_hot", "nn", 64, K << 3, of(lambda fw: lambda i: fw.nn.one_hot(i, 64), lambda n: whole(n, below=64))),
    # Special functions.
    Function("erf", "special", K, M, of(lambda fw: special(fw).erf, vector)),
    Function("gammaln", "special", K, M >> 2, of(lambda fw: special(fw).gammaln, positive)),
    Function("digamma", "special", K, M >> 2, of(lambda fw: special(fw).digamma, positive)),
    Function("betainc", "special", 64, K << 2, of(
        lambda fw: special(fw).betainc, positive, positive, lambda n: drawn(n, low=0.0, high=1.0))),
    # Linear algebra, Fourier transforms.
    Function("solve", "linalg", 16, 256, of(lambda fw: fw.numpy.linalg.solve, definite, vector)),
    Function("cholesky", "linalg", 16, 256, of(lambda fw: fw.numpy.linalg.cholesky, definite)),
    Function("eigvalsh", "linalg", 16, 128, of(lambda fw: fw.numpy.linalg.eigvalsh, definite)),
    Function("fft", "fft", 256, K << 6, of(lambda fw: fw.numpy.fft.fft, vector)),
    # Random numbers.
    Function("uniform", "random", K, M >> 2, keyed(lambda random, key, n: random.uniform(key, (n,)))),
    Function("normal", "random", K, M >> 2, keyed(lambda random, key, n: random.normal(key, (n,)))),
    Function("permutation", "random", K, K << 5, keyed(lambda random, key, n: random.permutation(key, n))),
)  # fmt: skip
