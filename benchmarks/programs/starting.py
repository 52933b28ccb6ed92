"""What a new process pays: the clock starts after the import and stops when results are there."""

from __future__ import annotations

import numpy as np

from benchmarks.clock import Outcome, once
from benchmarks.framework import Framework

__all__ = ["first_eager", "first_grad"]


def first_eager(fw: Framework) -> Outcome:
    """The first ten eager operations of a process, each read back as a NumPy array at the end."""
    jnp = fw.numpy

    def work():
        x = jnp.arange(6.0)
        table = x.reshape(2, 3)
        shifted = table + 1.5
        product = shifted @ shifted.T
        total = jnp.sum(product)
        kept = jnp.where(shifted > 3.0, shifted, 0.0)
        grown = jnp.exp(kept)
        corner = grown[1, 2]
        written = grown.at[0].set(0.0)
        return [np.asarray(v) for v in (total, corner, written)]

    seconds, values = once(work)
    return {"seconds": {"": seconds}, "witness": [float(v.sum()) for v in values]}


def first_grad(fw: Framework) -> Outcome:
    """The first gradient of a process: a small regression loss, not compiled by the user."""
    jnp = fw.numpy
    features = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    targets = np.linspace(0, 1, 4, dtype=np.float32)

    def loss(weights, bias):
        predicted = jnp.tanh(features @ weights + bias)
        return jnp.mean((predicted - targets) ** 2)

    def work():
        weights, bias = jnp.ones(3), jnp.zeros(())
        return [np.asarray(g) for g in fw.px.grad(loss, argnums=(0, 1))(weights, bias)]

    seconds, values = once(work)
    return {"seconds": {"": seconds}, "witness": [float(v.sum()) for v in values]}
