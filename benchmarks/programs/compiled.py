"""Compiled code: what a call of it costs, and how fast it runs."""

from __future__ import annotations

import numpy as np

from benchmarks.clock import Outcome, per_call
from benchmarks.framework import Framework

__all__ = ["call_one", "call_tree", "gelu_chain", "matmul"]


def call_one(fw: Framework) -> Outcome:
    """A call of a compiled function that was called before: one array in, one out."""
    x = fw.numpy.asarray(np.arange(4, dtype=np.float32))
    f = fw.px.jit(lambda x: x + 1)
    seconds = per_call(lambda: f(x), fw.px.block_until_ready, budget=0.6)
    return {"seconds": {"": seconds}, "witness": np.asarray(f(x)).tolist()}


def call_tree(fw: Framework) -> Outcome:
    """The same with a dictionary of 24 arrays in and out: eight layers of three."""
    jnp, tree = fw.numpy, fw.tree
    params = {
        f"layer_{i}": {name: jnp.asarray(np.full(4, i, np.float32)) for name in ("weight", "bias", "scale")}
        for i in range(8)
    }
    f = fw.px.jit(lambda params: tree.map(lambda p: p + 1, params))
    seconds = per_call(lambda: f(params), fw.px.block_until_ready, budget=0.6)
    return {"seconds": {"": seconds}, "witness": [float(leaf[0]) for leaf in tree.leaves(f(params))]}


def matmul(fw: Framework) -> Outcome:
    """float32[1024,1024] @ float32[1024,1024], at the default precision."""
    draw = np.random.default_rng(0)
    a, b = (fw.numpy.asarray(draw.standard_normal((1024, 1024)).astype(np.float32)) for _ in range(2))
    f = fw.px.jit(lambda a, b: a @ b)
    seconds = per_call(lambda: f(a, b), fw.px.block_until_ready, budget=1.0, batch=0.05)
    return {"seconds": {"": seconds}, "witness": np.abs(np.asarray(f(a, b))[::256, ::256]).ravel().tolist()}


def gelu_chain(fw: Framework) -> Outcome:
    """Four gelus in a row on 4M float32: quick only where they are fused into one pass over memory."""
    draw = np.random.default_rng(0)
    x = fw.numpy.asarray(draw.standard_normal(4_000_000).astype(np.float32))
    scale = fw.numpy.asarray(np.float32(1.5))

    def chain(x, scale):
        for _ in range(4):
            x = fw.nn.gelu(x * scale + 0.1)
        return x

    f = fw.px.jit(chain)
    seconds = per_call(lambda: f(x, scale), fw.px.block_until_ready, budget=1.0, batch=0.05)
    return {"seconds": {"": seconds}, "witness": np.asarray(f(x, scale))[::400_000].tolist()}
