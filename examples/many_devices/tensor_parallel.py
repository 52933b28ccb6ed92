"""A transformer block whose matrices are divided over devices: each has some of the heads and of the hidden units.

The first matrix of each pair is cut by columns and the second by rows, so a device needs no other one between the two,
and their results are added once for attention and once for the network after it (Shoeybi et al., Megatron-LM,
arXiv:1909.08053). The block is written for whole arrays; shardings say how they lie, and the compiler adds. The
examples of a batch are divided too, along another axis of the mesh. Values and gradients are those of the undivided
block, to 1e-5 of the largest.

    PORTAX_CPU_DEVICES=8 python examples/many_devices/tensor_parallel.py
"""

from __future__ import annotations

import sys

import numpy as np

import portax as px
import portax.numpy as jnp
from portax import lax
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

EXAMPLES, LENGTH, WIDTH, HEADS, BOUND = 4, 16, 32, 4, 1e-5

#: How the matrices lie: cut by the axis "model" of the mesh.
SPECS = {
    "query": P(None, "model"), "key": P(None, "model"), "value": P(None, "model"), "out": P("model", None),
    "up": P(None, "model"), "down": P("model", None),
}  # fmt: skip


def start(key):
    shapes = dict.fromkeys(SPECS, (WIDTH, WIDTH)) | {"up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH)}
    keys = px.random.split(key, len(shapes))
    return {name: px.random.normal(k, s) / s[0] ** 0.5 for k, (name, s) in zip(keys, shapes.items())}


def norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)


def block(w, x, lies=lambda x, *spec: x):
    """``x`` of shape (EXAMPLES, LENGTH, WIDTH), after attention and a network; ``lies(x, *spec)`` says how x lies."""

    def heads(x):
        return lies(x.reshape(*x.shape[:2], HEADS, -1), "data", None, "model", None)

    normed = norm(x)
    query, key, value = [heads(normed @ w[name]) for name in ("query", "key", "value")]
    scores = jnp.einsum("bihd,bjhd->bhij", query, key) / query.shape[-1] ** 0.5
    weights = px.nn.softmax(jnp.where(jnp.tri(LENGTH, dtype=bool), scores, -jnp.inf))
    mixed = jnp.einsum("bhij,bjhd->bihd", weights, value).reshape(x.shape)
    x = lies(x + mixed @ w["out"], "data")
    hidden = lies(px.nn.gelu(norm(x) @ w["up"]), "data", None, "model")
    return lies(x + hidden @ w["down"], "data")


def main() -> dict[str, float]:
    count = px.device_count()
    mesh = Mesh(np.array(px.devices()).reshape(2, -1), ("data", "model"))
    key, drawn = px.random.split(px.random.key(0))
    w, x = start(key), px.random.normal(drawn, (EXAMPLES, LENGTH, WIDTH))

    def lies(x, *spec):
        return lax.with_sharding_constraint(x, NamedSharding(mesh, P(*spec)))

    def loss(w, x, *how):
        y = block(w, x, *how)
        return jnp.mean(jnp.sin(y)), y

    cut = {name: NamedSharding(mesh, spec) for name, spec in SPECS.items()}
    divided = px.jit(
        lambda w, x: px.value_and_grad(loss, has_aux=True)(w, x, lies),
        in_shardings=(cut, NamedSharding(mesh, P("data"))),
        out_shardings=(None, cut),
    )
    (_, y), grads = divided(w, x)
    (_, expected), expected_grads = px.jit(px.value_and_grad(loss, has_aux=True))(w, x)

    def gap(found, expected):
        return float(np.abs(np.asarray(found) - np.asarray(expected)).max() / np.abs(np.asarray(expected)).max())

    part = grads["up"].addressable_shards[0].data.shape
    figures = {
        "devices": count,
        "value": gap(y, expected),
        "gradient": max(gap(grads[name], expected_grads[name]) for name in SPECS),
        "columns_of_a_device": part[1],
    }
    print(f"{count} devices as {dict(mesh.shape)}: each has {part[1]} of {4 * WIDTH} hidden units")
    print(f"largest difference from the whole block: {figures['value']:.1e}, of gradients {figures['gradient']:.1e}")
    return figures


if __name__ == "__main__":
    found = main()
    right = max(found["value"], found["gradient"]) <= BOUND
    print("the same block" if right else f"NOT the same block within {BOUND}")
    sys.exit(not right)
