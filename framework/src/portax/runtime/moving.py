"""Moving an array whose parts lie in several processes: a program that all of them run, and that computes nothing.

What lies in one process is copied part by part, or by way of the host. Of an array that spans processes nobody has the
whole, so the compiler moves it: its program has the array where it is, and the result where it is to be.
"""

from __future__ import annotations

import functools
from typing import Any

from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Var
from portax.core.lazy import lazy
from portax.errors import ProcessError
from portax.runtime.array import ConcreteArray
from portax.runtime.programs import Options

spread = lazy("portax.runtime.spread")


@functools.lru_cache(1024)
def _identity(aval: Aval) -> ClosedJaxpr:
    var = Var(aval)
    return ClosedJaxpr(Jaxpr([], [var], [var], [], name="move"))


def moved(x: ConcreteArray, sharding: Any) -> ConcreteArray:
    """An array that spans processes, lying as another sharding over the same devices says.

    Raises
    ------
    ProcessError
        The sharding is over other devices.
    """
    if set(x.sharding.device_list) != set(sharding.device_list):
        raise ProcessError(
            wrong=f"an array that lies in several processes as {x.sharding} was to be moved to {sharding}, which is "
            "over other devices",
            fix="Use a sharding over the same devices; or have all processes call "
            "multihost_utils.process_allgather(x, tiled=True), and put the result where it is wanted",
        )
    [out] = spread.run_spread(_identity(x.aval), [x], Options("move"), None, [sharding])
    return out
