"""A product of matrices that no device could hold: each has a share of both, and gets a share of the result.

The sum over the inner index is cut: a device has some columns of ``a`` and the same rows of ``b``. Their product has
the shape of the whole result, and is one term of it; ``psum_scatter`` adds the terms of all devices, and leaves on
each its rows of the sum. The way back costs as much: the transpose of adding and cutting is gathering.

    PORTAX_CPU_DEVICES=8 python examples/many_devices/product.py
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np

import portax as px
import portax.numpy as jnp
from portax import lax
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

ROWS, INNER, COLUMNS, BOUND = 64, 128, 48, 1e-4


def main() -> dict[str, float]:
    count = px.device_count()
    mesh = Mesh(np.array(px.devices()), ("i",))
    draw = np.random.default_rng(0)
    a = px.device_put(draw.standard_normal((ROWS, INNER)).astype(np.float32), NamedSharding(mesh, P(None, "i")))
    b = px.device_put(draw.standard_normal((INNER, COLUMNS)).astype(np.float32), NamedSharding(mesh, P("i", None)))

    @px.jit
    @partial(px.shard_map, mesh=mesh, in_specs=(P(None, "i"), P("i", None)), out_specs=P("i", None))
    def product(a, b):
        return lax.psum_scatter(a @ b, "i", scatter_dimension=0, tiled=True)

    ab = product(a, b)
    shapes = [x.addressable_shards[0].data.shape for x in (a, b, ab)]
    expected = np.asarray(a) @ np.asarray(b)
    slope = px.grad(lambda a: jnp.sum(product(a, b) ** 2))(a)
    figures = {
        "devices": count,
        "rows_of_a_device": shapes[2][0],
        "value": float(np.abs(np.asarray(ab) - expected).max()),
        "gradient": float(np.abs(np.asarray(slope) - 2 * expected @ np.asarray(b).T).max() / np.abs(slope).max()),
    }
    print(f"{count} devices: on each {shapes[0]} by {shapes[1]}, and of the result {shapes[2]} of {ab.shape}")
    print(f"largest difference from NumPy {figures['value']:.1e}, of gradients {figures['gradient']:.1e}")
    return figures


if __name__ == "__main__":
    found = main()
    right = max(found["value"], found["gradient"]) <= BOUND
    print("the same product" if right else f"NOT the same product within {BOUND}")
    sys.exit(not right)
