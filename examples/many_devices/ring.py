"""Add up over devices by hand: a ring in which each speaks to the next alone, beside ``psum``.

Every device has numbers of its own, in as many pieces as there are devices. On the first way round the ring a piece
passes all devices and collects what each has of it, until device ``i`` has the sum of all pieces ``i + 1``. On the
second way round these pass all devices, which keep a copy. Each device sends 2 (n - 1) / n of its numbers, so hardly
more for more devices (Patarasuk and Yuan, J. Parallel Distrib. Comput. 69, 2009). The gradient goes round as well.

    PORTAX_CPU_DEVICES=8 python examples/many_devices/ring.py
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np

import portax as px
from portax import lax
from portax.sharding import Mesh
from portax.sharding import PartitionSpec as P

BOUND = 1e-5


def add_in_a_ring(x, axis):
    """The same as ``lax.psum(x, axis)`` for an array whose first axis has a multiple of the ring's devices."""
    n, me = lax.axis_size(axis), lax.axis_index(axis)
    to_the_next = partial(lax.ppermute, axis_name=axis, perm=[(i, (i + 1) % n) for i in range(n)])
    pieces = x.reshape(n, -1, *x.shape[1:])

    def collect(turn, piece):
        return to_the_next(piece) + pieces[(me - turn) % n]

    def hand_out(turn, state):
        kept, piece = state
        piece = to_the_next(piece)
        return kept.at[(me - turn + 1) % n].set(piece), piece

    mine = lax.fori_loop(1, n, collect, pieces[me])
    kept, _ = lax.fori_loop(1, n, hand_out, (pieces.at[(me + 1) % n].set(mine), mine))
    return kept.reshape(x.shape)


def main(rows: int = 4) -> dict[str, float]:
    count = px.device_count()
    mesh = Mesh(np.array(px.devices()), ("ring",))
    x = np.random.default_rng(0).standard_normal((count * count * rows, 3)).astype(np.float32)

    def on_every_device(f):
        return px.jit(px.shard_map(f, mesh=mesh, in_specs=P("ring"), out_specs=P("ring")))

    found = on_every_device(lambda part: add_in_a_ring(part, "ring"))(x)
    expected = on_every_device(lambda part: lax.psum(part, "ring"))(x)
    by_hand = np.tile(x.reshape(count, -1, 3).sum(0), (count, 1))
    slopes = [
        px.grad(lambda x, f=f: (on_every_device(f)(x) ** 2).sum())(x)
        for f in (lambda part: add_in_a_ring(part, "ring"), lambda part: lax.psum(part, "ring"))
    ]

    figures = {
        "devices": count,
        "psum": float(np.abs(np.asarray(found) - np.asarray(expected)).max()),
        "numpy": float(np.abs(np.asarray(found) - by_hand).max()),
        "gradient": float((np.abs(np.asarray(slopes[0]) - np.asarray(slopes[1])) / count).max()),
    }
    print(f"{count} devices, {x.size // count} numbers on each, {2 * (count - 1)} turns")
    print(f"largest difference from psum {figures['psum']:.1e}, of gradients {figures['gradient']:.1e}")
    print(f"largest difference from NumPy {figures['numpy']:.1e}")
    return figures


if __name__ == "__main__":
    found = main()
    right = max(found["psum"], found["numpy"], found["gradient"]) <= BOUND
    print("the same sums" if right else f"NOT the same sums within {BOUND}")
    sys.exit(not right)
