"""The same cases for tinygrad, as its users write them: ``TinyJit`` around a function of ``Tensor``s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyopencl  # pyright: ignore[reportMissingImports]  # so that the driver in its wheel is found
from tinygrad import Device, Tensor, TinyJit  # pyright: ignore[reportMissingImports]

from benchmarks.programs.kernels import CASES, LAYERS
from benchmarks.programs.transformer import BATCH, HEADS, LENGTH, WIDTH, drawn

__all__ = ["FUNCTIONS", "first_step", "ready", "wait"]

assert pyopencl


def _norm(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdim=True)
    return centred * ((centred * centred).mean(axis=-1, keepdim=True) + 1e-5).rsqrt() * scale + shift


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gelu(x a + b), 16M": lambda x, a, b: (x * a + b).gelu(),
    "softmax 4096 x 4096": lambda x: x.softmax(axis=-1),
    "layer norm 4096 x 4096": _norm,
    "row sum 4096 x 4096": lambda x: x.sum(axis=-1),
}


def ready(name: str) -> Callable[[], Any]:
    """A call without arguments, compiled."""
    given = [np.asarray(x) for x in CASES[name].arguments()]
    arrays = [Tensor(x).realize() for x in given if x.ndim]
    numbers = [float(x) for x in given if not x.ndim]  # which TinyJit takes as what they are
    jitted = TinyJit(lambda *xs: FUNCTIONS[name](*xs, *numbers).realize())
    for _ in range(3):  # the first two calls record
        jitted(*arrays)
    return lambda: jitted(*arrays)


# -- first steps ------------------------------------------------------------------------------------------------------
def _network() -> Any:
    draw = np.random.default_rng(0)
    first, last = draw.standard_normal((64, 128)) * 0.15, draw.standard_normal((128, 10)) * 0.1
    params = [_trained(x) for x in (first, np.zeros(128), last, np.zeros(10))]
    momentum = [Tensor(np.zeros(p.shape, np.float32)) for p in params]
    images, labels = Tensor(draw.random((32, 64), np.float32)), Tensor(draw.integers(0, 10, 32).astype(np.int32))
    hidden = (images @ params[0] + params[1]).gelu()
    loss = (hidden @ params[2] + params[3]).sparse_categorical_crossentropy(labels)
    loss.backward()
    fresh = []
    for p, m in zip(params, momentum, strict=True):
        moved = 0.9 * m + p.grad
        fresh += [moved, p.detach() - 0.05 * moved]
    return loss, fresh


def _trained(x: Any) -> Any:
    made = Tensor(np.asarray(x, np.float32))
    made.requires_grad = True
    return made


def _transformer() -> Any:
    tree, text = drawn(LAYERS)
    flat: dict[str, Any] = {}

    def leaves(prefix: str, node: Any) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                leaves(f"{prefix}{key}.", value)
            else:
                flat[f"{prefix}{key}"] = _trained(value)

    leaves("", tree)
    tokens, targets = Tensor(text[:, :-1].copy()), Tensor(text[:, 1:].copy())
    dense = lambda name, x: x @ flat[f"{name}.w"] + flat[f"{name}.b"]
    norm = lambda name, x: _norm(x, flat[f"{name}.scale"], flat[f"{name}.shift"])
    x = flat["embedding"][tokens] + flat["position"][:LENGTH]
    mask = Tensor(np.tril(np.ones((LENGTH, LENGTH), bool)))
    for layer in range(LAYERS):
        at = f"layer_{layer:02}"
        qkv = dense(f"{at}.qkv", norm(f"{at}.norm_1", x)).reshape(BATCH, LENGTH, 3, HEADS, WIDTH // HEADS)
        query, key, value = (qkv[:, :, i].transpose(1, 2) for i in range(3))
        scores = query @ key.transpose(-1, -2) / float(np.sqrt(WIDTH // HEADS))
        mixed = mask.where(scores, -1e9).softmax(axis=-1) @ value
        x = x + dense(f"{at}.out", mixed.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH))
        x = x + dense(f"{at}.down", dense(f"{at}.up", norm(f"{at}.norm_2", x)).gelu())
    loss = (norm("last_norm", x) @ flat["head"]).sparse_categorical_crossentropy(targets)
    loss.backward()
    fresh = []
    for p in flat.values():
        mean, square = 0.1 * p.grad, 0.001 * p.grad * p.grad
        step = (mean / (1 - 0.9)) / ((square / (1 - 0.999)).sqrt() + 1e-8)
        fresh += [mean, square, p.detach() - 1e-3 * step]
    return loss, fresh


def first_step(name: str) -> float:
    """The loss of the first step, when all that it changes is changed."""
    loss, fresh = {"network": _network, "transformer": _transformer}[name]()
    Tensor.realize(loss, *fresh)
    return float(loss.item())


def wait() -> None:
    """Return when all that was asked for is done."""
    Device[Device.DEFAULT].synchronize()
