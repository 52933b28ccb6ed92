"""``check_tracer_leaks``: whether a traced value outlives the function that was being traced.

When a trace has ended, nothing of it may be alive but what its results were turned into. So the trace object itself
must be gone; where it is not, some tracer of it is, and whoever holds that tracer is named.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Callable
from typing import Any
from weakref import ref

from portax.core.trace import Trace, Tracer
from portax.errors import LeakedTracerError


def check(watched: Callable[[], Trace | None], name: str) -> None:
    """Raise where the trace is still alive.

    Raises
    ------
    LeakedTracerError
        With the traced value, and what holds it.
    """
    if watched() is None:
        return
    gc.collect()  # tracers in circles that nobody holds are no leak
    trace = watched()
    if trace is None:
        return
    found = gc.get_referrers(trace)
    for x in found:
        if isinstance(x, Tracer):
            where = _holder(x, found)
            raise LeakedTracerError(
                wrong=f"a traced value ({x.aval}) outlives {name or 'the function'} that was being traced{where}",
                fix="Return it from the function instead of keeping it in a list, an attribute or a global",
            )


def _holder(x: Any, ours: list[Any]) -> str:
    """Who holds a tracer besides ourselves, in words."""
    for holder in gc.get_referrers(x):
        if isinstance(holder, types.FrameType) or holder is ours:
            continue
        if isinstance(holder, types.CellType):
            return ": a function that was defined in it refers to it"
        if isinstance(holder, dict):
            for key, value in holder.items():  # no generator: it would hold the tracer too
                if value is x:
                    return f": it is kept under the name {key!r}"
        if not isinstance(holder, types.GeneratorType):
            return f": it is kept in a {type(holder).__name__}"
    return ""


def watch(trace: Trace) -> Callable[[], Trace | None]:
    """What ``check`` needs to know of a trace once all else has forgotten it."""
    return ref(trace)
