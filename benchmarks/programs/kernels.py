"""What kernels are judged by: passes over memory, products, scans and sorts, and steps of training.

Each case is written once for portax and jax, for every device they have; some are written again for NumPy and for
tinygrad beside this file. ``reuses``: portax and its peer write over their last result; a fresh one of 64 MB would cost
more in page faults and in cold memory than its arithmetic does.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.framework import Framework
from benchmarks.programs import transformer

__all__ = ["CASES", "STEPS", "Case"]

LARGE, ROWS, SORTED, TABLE, BINS = 1 << 24, 4096, 1 << 22, 1 << 20, 1 << 16
LAYERS = 2


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes
    ----------
    name : str
    make : callable
        ``(framework) -> function`` of arrays, or for steps of a state and data.
    arguments : callable
        ``() -> list`` of NumPy arrays; for steps ``(framework) -> (state, data)``.
    musts : dict of peer to (must, aim)
        The greatest ratio that will do, and the one aimed at.
    reuses : bool
        The result has the shape and dtype of the first argument.
    step : bool
        The function gives a new state, which the next call is given.
    """

    name: str
    make: Callable[[Framework], Callable[..., Any]]
    arguments: Callable[..., Any]
    musts: dict[str, tuple[float, float]]
    reuses: bool = False
    step: bool = False


def _normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _whole(size: int, below: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, below, size, np.int32)


# -- passes over memory -----------------------------------------------------------------------------------------------
def _gelu(fw: Framework) -> Callable[..., Any]:
    return lambda x, a, b: fw.nn.gelu(x * a + b)


def _softmax(fw: Framework) -> Callable[..., Any]:
    return lambda x: fw.nn.softmax(x, axis=-1)


def _layer_norm(fw: Framework) -> Callable[..., Any]:
    def norm(x: Any, scale: Any, shift: Any) -> Any:
        centred = x - fw.numpy.mean(x, axis=-1, keepdims=True)
        variance = fw.numpy.mean(centred * centred, axis=-1, keepdims=True)
        return centred * fw.lax.rsqrt(variance + 1e-5) * scale + shift

    return norm


def _convolution(fw: Framework) -> Callable[..., Any]:
    return lambda x, w: fw.lax.conv_general_dilated(x, w, (1, 1), "SAME")


def _bits(fw: Framework) -> Callable[..., Any]:
    # What was drawn last is no operand: two halves of the key are, so that a call is a call.
    return lambda x, seed: fw.random.bits(fw.random.wrap_key_data(seed), (LARGE,), "uint32")


# -- steps ------------------------------------------------------------------------------------------------------------
def digits_step(fw: Framework) -> Callable[..., Any]:
    """A step of the demo's network: 64, 128 and 10 numbers, a batch of 32, momentum."""
    px, jnp, nn, tree = fw.px, fw.numpy, fw.nn, fw.tree

    def loss(params: Any, images: Any, labels: Any) -> Any:
        hidden = nn.gelu(images @ params["hidden"]["w"] + params["hidden"]["b"])
        scores = nn.log_softmax(hidden @ params["out"]["w"] + params["out"]["b"])
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=-1))

    def step(state: Any, data: Any) -> Any:
        params, momentum = state
        value, grads = px.value_and_grad(loss)(params, *data)
        momentum = tree.map(lambda m, g: 0.9 * m + g, momentum, grads)
        return (tree.map(lambda p, m: p - 0.05 * m, params, momentum), momentum), value

    return step


def digits_arguments(fw: Framework) -> tuple[Any, Any]:
    """``(state, data)``."""
    draw = np.random.default_rng(0)
    params = {
        "hidden": {"w": (draw.standard_normal((64, 128)) * 0.15).astype(np.float32), "b": np.zeros(128, np.float32)},
        "out": {"w": (draw.standard_normal((128, 10)) * 0.1).astype(np.float32), "b": np.zeros(10, np.float32)},
    }
    data = draw.random((32, 64), np.float32), draw.integers(0, 10, 32).astype(np.int32)
    state = params, fw.tree.map(np.zeros_like, params)
    return fw.tree.map(fw.numpy.asarray, state), fw.tree.map(fw.numpy.asarray, data)


def transformer_step(fw: Framework) -> Callable[..., Any]:
    """A step of two layers of a transformer, with Adam."""
    inner = transformer.make_step(fw, LAYERS)

    def step(state: Any, data: Any) -> Any:
        params, adam, value = inner(*state, *data)
        return (params, adam), value

    return step


def transformer_arguments(fw: Framework) -> tuple[Any, Any]:
    """``(state, data)``."""
    params, adam, tokens, targets = transformer.arguments(fw, LAYERS)
    return (params, adam), (tokens, targets)


PASS = {"xla": (1.25, 0.9), "tinygrad": (0.33, 0.2)}
EVEN = {"xla": (1.4, 1.0)}
SCAN = {"xla": (0.25, 0.1)}
PICK = {"xla": (1.0, 0.5)}
STEADY = {"xla": (2.0, 1.2)}


def _product(n: int) -> Callable[[], list[np.ndarray]]:
    return lambda: [_normal(n, n), _normal(n, n, seed=1)]


def _multiply(fw: Framework) -> Callable[..., Any]:
    return lambda a, b: a @ b


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("gelu(x a + b), 16M", _gelu, lambda: [_normal(LARGE), np.float32(1.5), np.float32(0.1)], PASS, True),
        Case("softmax 4096 x 4096", _softmax, lambda: [_normal(ROWS, ROWS)], PASS, True),
        Case(
            "layer norm 4096 x 4096", _layer_norm,
            lambda: [_normal(ROWS, ROWS), _normal(ROWS, seed=1), _normal(ROWS, seed=2)], PASS, True,
        ),
        Case("row sum 4096 x 4096", lambda fw: lambda x: fw.numpy.sum(x, axis=-1), lambda: [_normal(ROWS, ROWS)], PASS),
        Case("matmul 1024", _multiply, _product(1024), EVEN, True),
        Case("matmul 2048", _multiply, _product(2048), EVEN, True),
        Case("matmul 1000", _multiply, _product(1000), {"xla": (2.0, 1.2)}, True),
        Case(
            "convolution 3 x 3, 16 x 64 x 56 x 56", _convolution,
            lambda: [_normal(16, 64, 56, 56), _normal(64, 64, 3, 3, seed=1)], {"xla": (1.0, 0.5)}, True,
        ),
        Case("random bits, 16M", _bits, lambda: [np.zeros(LARGE, np.uint32), np.array([1, 2], np.uint32)], SCAN, True),
        Case("cumsum, 16M", lambda fw: fw.numpy.cumsum, lambda: [_normal(LARGE)], SCAN, True),
        Case("sort, 4M", lambda fw: fw.numpy.sort, lambda: [_normal(SORTED)], SCAN, True),
        Case(
            "gather 16M of 1M", lambda fw: lambda _, x, i: x[i],
            lambda: [np.zeros(LARGE, np.float32), _normal(TABLE), _whole(LARGE, TABLE)], PICK, True,
        ),
        Case(
            "scatter-add 4M into 64K", lambda fw: lambda x, i, v: x.at[i].add(v),
            lambda: [np.zeros(BINS, np.float32), _whole(SORTED, BINS), _normal(SORTED)], PICK,
        ),
        Case("step of the demo's network", digits_step, digits_arguments, STEADY, step=True),
        Case("step of two transformer layers", transformer_step, transformer_arguments, STEADY, step=True),
    )
}  # fmt: skip
#: Names under which the first steps of new processes are timed.
STEPS: dict[str, Case] = {
    "network": CASES["step of the demo's network"],
    "transformer": CASES["step of two transformer layers"],
}


def ready(fw: Framework, case: Case, over: bool) -> Callable[[], Any]:
    """A call without arguments: the compiled case on the default device, again and again.

    ``over``: results are written over the last ones, where the case allows it.
    """
    f = case.make(fw)
    if case.step:
        state, data = case.arguments(fw)
        step, place = fw.px.jit(f, donate_argnums=0), {"state": state}

        def go_on() -> Any:
            place["state"], value = step(place["state"], data)
            return value

        return go_on
    arrays = [fw.numpy.asarray(x) for x in case.arguments()]
    if not (over and case.reuses):
        return functools.partial(fw.px.jit(f), *arrays)
    jitted = fw.px.jit(lambda last, *xs: f(*xs), donate_argnums=0, keep_unused=True)
    place = {"last": fw.numpy.zeros_like(arrays[0])}

    def again() -> Any:
        place["last"] = jitted(place["last"], *arrays)
        return place["last"]

    return again
