"""A step of training on a slice of a pod, to be compiled where there is no pod.

A deep network of feed-forward blocks: its matrices are divided over four chips, where there are as many, and the batch
over all others (Shoeybi et al., Megatron-LM, arXiv:1909.08053). Nothing is computed here: shapes say what the arguments
are.

    portax compile examples/ahead/pod_slice.py:step --target tpu:v5e:4x4
"""

from __future__ import annotations

import numpy as np

import portax as px
import portax.numpy as jnp
from portax import lax, nn
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

LAYERS, WIDTH, HIDDEN, EXAMPLES, RATE = 4, 4096, 16384, 65536, 1e-3

devices = np.array(px.devices())
mesh = Mesh(devices.reshape(-1, 4 if len(devices) % 4 == 0 else 1), ("data", "model"))


def on(*entries):
    return NamedSharding(mesh, P(*entries))


def block(w, x):
    """``x``: bfloat16[examples, WIDTH]; the matrices are float32 and used as bfloat16."""
    up, down = w["up"].astype(x.dtype), w["down"].astype(x.dtype)
    return lax.with_sharding_constraint(x + nn.relu(x @ up) @ down, on("data"))


def loss(params, x, y):
    for w in params:
        x = block(w, x)
    return jnp.mean((x - y).astype("float32") ** 2)


def step(params, x, y):
    value, slopes = px.value_and_grad(loss)(params, x, y)
    return px.tree.map(lambda p, s: p - RATE * s, params, slopes), value


places = [{"up": on(None, "model"), "down": on("model", None)}] * LAYERS
step = px.jit(step, in_shardings=(places, on("data"), on("data")), out_shardings=(places, None), donate_argnums=0)


def arguments():
    """Shapes of the parameters, and of a batch."""
    w = {"up": px.ShapeDtypeStruct((WIDTH, HIDDEN), "float32"), "down": px.ShapeDtypeStruct((HIDDEN, WIDTH), "float32")}
    batch = px.ShapeDtypeStruct((EXAMPLES, WIDTH), "bfloat16")
    return [w] * LAYERS, batch, batch


step.example_args = arguments
