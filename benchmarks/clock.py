"""How a child process takes a time.

The figure of a child is the quickest of many batches: what disturbs a batch (another process, a page fault, a
frequency change) only ever adds to it. How much the children differ is for the parent, which reports a median.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["Outcome", "once", "per_call"]

Outcome = dict[str, Any]
"""What a program returns: ``seconds`` by figure name, ``witness`` (numbers both sides must agree on), ``notes``."""


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds one call takes, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def per_call(call: Callable[[], Any], settle: Callable[[Any], Any], budget: float = 0.8, batch: float = 0.02) -> float:
    """Seconds per call, from the quickest batch.

    Parameters
    ----------
    call : callable
        The work; called with nothing.
    settle : callable
        Waits for the result of the last call of a batch. Its time counts, so work left running is not hidden.
    budget : float
        Seconds to spend in all.
    batch : float
        Seconds a batch should take: long beside the clock's resolution, short beside a disturbance.
    """
    settle(call())
    single, result = once(lambda: settle(call()))
    del result
    repeat = max(1, int(batch / max(single, 1e-7)))
    best = float("inf")
    end = time.perf_counter() + budget
    batches = 0
    while batches < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(repeat):
            last = call()
        settle(last)
        best = min(best, (time.perf_counter() - start) / repeat)
        batches += 1
    return best
