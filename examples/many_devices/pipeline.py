"""Layers on different devices: batches follow each other through them as through a pipe.

Each device has one layer. A batch is cut into portions; at every tick each device passes what it has made to the next,
the first takes a new portion in, and the last puts a finished one down (Huang et al., GPipe, arXiv:1811.06965). With n
devices and m portions there are m + n - 1 ticks. Results, and gradients of all layers, are those of the layers one
after the other on one device.

    PORTAX_CPU_DEVICES=8 python examples/many_devices/pipeline.py
"""

from __future__ import annotations

import sys

import numpy as np

import portax as px
import portax.numpy as jnp
from portax import lax
from portax.sharding import Mesh
from portax.sharding import PartitionSpec as P

WIDTH, PORTIONS, EACH, BOUND = 16, 6, 4, 1e-5


def layer(w, x):
    return x + jnp.tanh(x @ w["inner"] + w["shift"]) @ w["outer"]


def start(key, count):
    inner, shift, outer = px.random.split(key, 3)
    return {
        "inner": px.random.normal(inner, (count, WIDTH, WIDTH)) / WIDTH**0.5,
        "shift": px.random.normal(shift, (count, WIDTH)),
        "outer": px.random.normal(outer, (count, WIDTH, WIDTH)) / WIDTH**0.5,
    }


def one_after_the_other(layers, portions):
    """On one device: a scan over layers."""
    return lax.scan(lambda x, w: (layer(w, x), None), portions, layers)[0]


def pipe(layers, portions):
    """On every device of the axis "stage": ``layers`` has its own layer, ``portions`` is the whole batch."""
    stages, stage = lax.axis_size("stage"), lax.axis_index("stage")
    w = px.tree.map(lambda leaf: leaf[0], layers)

    def tick(state, time):
        passed, done = state
        taken = portions[jnp.minimum(time, PORTIONS - 1)]
        made = layer(w, jnp.where(stage == 0, taken, passed))
        # The last stage finishes portion 0 at tick ``stages - 1``; until then it writes what will be written over.
        done = done.at[jnp.maximum(time - stages + 1, 0)].set(made)
        return (lax.ppermute(made, "stage", [(i, i + 1) for i in range(stages - 1)]), done), None

    # What is carried along differs between stages, and is said to from the first.
    begin = lax.pcast((jnp.zeros_like(portions[0]), jnp.zeros_like(portions)), "stage", to="varying")
    (_, done), _ = lax.scan(tick, begin, jnp.arange(PORTIONS + stages - 1))
    return lax.psum(jnp.where(stage == stages - 1, done, 0), "stage")  # from the last to all


def main() -> dict[str, float]:
    count = px.device_count()
    mesh = Mesh(np.array(px.devices()), ("stage",))
    key, drawn = px.random.split(px.random.key(0))
    layers, portions = start(key, count), px.random.normal(drawn, (PORTIONS, EACH, WIDTH))
    piped = px.shard_map(pipe, mesh=mesh, in_specs=(P("stage"), P()), out_specs=P())

    def loss(layers, f):
        y = f(layers, portions)
        return jnp.mean(y**2), y

    def with_gradient(f):
        return px.jit(lambda layers: px.value_and_grad(loss, has_aux=True)(layers, f))(layers)

    (_, y), grads = with_gradient(piped)
    (_, expected), expected_grads = with_gradient(one_after_the_other)
    gaps = px.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), grads, expected_grads)
    figures = {
        "devices": count,
        "ticks": PORTIONS + count - 1,
        "value": float(np.abs(np.asarray(y) - np.asarray(expected)).max()),
        "gradient": max(px.tree.leaves(gaps)),
    }
    print(f"{count} devices, a layer on each, {PORTIONS} portions, {figures['ticks']} ticks")
    print(f"largest difference from layers in turn: {figures['value']:.1e}, of gradients {figures['gradient']:.1e}")
    return figures


if __name__ == "__main__":
    found = main()
    right = max(found["value"], found["gradient"]) <= BOUND
    print("the same layers" if right else f"NOT the same layers within {BOUND}")
    sys.exit(not right)
