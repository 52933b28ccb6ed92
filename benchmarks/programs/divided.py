"""Steps as people train them on many devices: batches divided, or the matrices of a transformer's block.

Each is a function for one device; how arguments lie on a mesh is said beside it. ``weak`` sizes grow with the number of
devices, so that each has the same work; ``strong`` ones do not, so that each has its share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.framework import Framework

__all__ = ["STEPS", "Step"]

Shapes = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of training.

    Attributes
    ----------
    name : str
    make : callable
        ``(framework) -> function`` of parameters and data: a new function each time.
    shapes : callable
        ``(devices, scaled) -> (parameters, data)``, dictionaries of shapes; ``scaled`` for as many devices.
    cut : dict of name to the axis that devices divide, of parameters and data
    """

    name: str
    make: Callable[[Framework], Callable[..., Any]]
    shapes: Callable[[int, bool], tuple[Shapes, Shapes]]
    cut: dict[str, int]

    def arguments(self, devices: int, scaled: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters and data, NumPy arrays of the shapes."""
        params, data = (_numbers(shapes) for shapes in self.shapes(devices, scaled))
        return params, data


def _numbers(shapes: Shapes) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    return {k: (draw.standard_normal(s) / max(1, s[0]) ** 0.5).astype(np.float32) for k, s in shapes.items()}


WIDTH, EXAMPLES = 256, 64


def _network(fw: Framework) -> Callable[..., Any]:
    jnp, tree = fw.numpy, fw.tree

    def loss(params: Any, data: Any) -> Any:
        x = data["x"]
        for name in ("first", "second", "third"):
            x = jnp.tanh(x @ params[name])
        return jnp.mean((x @ params["last"] - data["y"]) ** 2)

    def step(params: Any, data: Any) -> Any:
        value, slopes = fw.px.value_and_grad(loss)(params, data)
        return tree.map(lambda p, g: p - 0.01 * g, params, slopes), value

    return step


def _network_shapes(devices: int, scaled: bool) -> tuple[Shapes, Shapes]:
    rows = EXAMPLES * (devices if scaled else 8)
    params = {**dict.fromkeys(("first", "second", "third"), (WIDTH, WIDTH)), "last": (WIDTH, 10)}
    return params, {"x": (rows, WIDTH), "y": (rows, 10)}


LENGTH, BATCH, HEAD, MODEL = 64, 4, 16, 128


def _block(fw: Framework) -> Callable[..., Any]:
    jnp, nn, lax, tree = fw.numpy, fw.nn, fw.lax, fw.tree

    def norm(x: Any) -> Any:
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        return centred * lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)

    def loss(w: Any, data: Any) -> Any:
        x = data["x"]
        normed = norm(x)
        query, key, value = ((normed @ w[name]).reshape(*x.shape[:2], -1, HEAD) for name in ("query", "key", "value"))
        scores = jnp.einsum("bihd,bjhd->bhij", query, key) / 4
        weights = nn.softmax(jnp.where(jnp.tril(jnp.ones((LENGTH, LENGTH), bool)), scores, -1e9), axis=-1)
        x = x + jnp.einsum("bhij,bjhd->bihd", weights, value).reshape(*x.shape[:2], -1) @ w["out"]
        x = x + nn.gelu(norm(x) @ w["up"]) @ w["down"]
        return jnp.mean(jnp.sin(x))

    def step(w: Any, data: Any) -> Any:
        value, slopes = fw.px.value_and_grad(loss)(w, data)
        return tree.map(lambda p, g: p - 0.01 * g, w, slopes), value

    return step


def _block_shapes(devices: int, scaled: bool) -> tuple[Shapes, Shapes]:
    inner = HEAD * (devices if scaled else 8)
    wide = dict.fromkeys(("query", "key", "value"), (MODEL, inner))
    params = {**wide, "out": (inner, MODEL), "up": (MODEL, 4 * inner), "down": (4 * inner, MODEL)}
    return params, {"x": (BATCH, LENGTH, MODEL)}


STEPS = {
    step.name: step
    for step in (
        Step("data-parallel", _network, _network_shapes, {"x": 0, "y": 0}),
        Step(
            "tensor-parallel", _block, _block_shapes,
            {"query": 1, "key": 1, "value": 1, "out": 0, "up": 1, "down": 0},
        ),
    )
}  # fmt: skip
