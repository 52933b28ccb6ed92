"""Eager operations on tiny arrays, where all of the time is overhead."""

from __future__ import annotations

import numpy as np

from benchmarks.clock import Outcome, per_call
from benchmarks.framework import Framework

__all__ = ["eager"]


def eager(fw: Framework) -> Outcome:
    """Add, index, reshape, where and ``.at[].set`` on arrays of four numbers, after the first call of each."""
    jnp = fw.numpy
    x = jnp.asarray(np.arange(4, dtype=np.float32))
    y = jnp.asarray(np.ones(4, dtype=np.float32))
    mask = x > y
    operations = {
        "add": lambda: x + y,
        "index": lambda: x[2],
        "reshape": lambda: x.reshape(2, 2),
        "where": lambda: jnp.where(mask, x, y),
        ".at[].set": lambda: x.at[1].set(7.0),
    }
    ready = lambda value: value.block_until_ready()
    return {
        "seconds": {name: per_call(call, ready, budget=0.15) for name, call in operations.items()},
        "witness": [float(np.asarray(call()).sum()) for call in operations.values()],
    }
