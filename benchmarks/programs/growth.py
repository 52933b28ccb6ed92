"""Tracing must be linear: an equation costs the same in a long program as in a short one."""

from __future__ import annotations

import numpy as np

from benchmarks.clock import Outcome, once
from benchmarks.framework import Framework

__all__ = ["linear_tracing"]


def linear_tracing(fw: Framework) -> Outcome:
    """Seconds per equation of ``make_jaxpr`` at 1,000 and at 10,000 equations, the quickest of several each."""
    lax = fw.lax
    x = fw.numpy.asarray(np.ones(4, np.float32))

    def trace(equations):
        def chain(x):
            y = x
            for _ in range(equations // 2):
                y = lax.mul(lax.sin(y), x)
            return y

        return len(fw.px.make_jaxpr(chain)(x).jaxpr.eqns)

    counts = [trace(1_000), trace(10_000)]
    if counts != [1_000, 10_000]:
        raise AssertionError(f"expected 1,000 and 10,000 equations, traced {counts}")
    short = min(once(lambda: trace(1_000))[0] for _ in range(12)) / 1_000
    long = min(once(lambda: trace(10_000))[0] for _ in range(4)) / 10_000
    return {"seconds": {"at 1,000": short, "at 10,000": long}, "witness": counts}
