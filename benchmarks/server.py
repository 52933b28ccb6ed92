"""One side of the comparison of functions: a process that makes, traces and times what it is asked for.

``python -m benchmarks.server --framework portax|jax`` reads a line of JSON for each request and answers with one, so
that two such processes can take turns in one run. It does nothing between two requests.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.framework import Framework
from benchmarks.programs.functions import FUNCTIONS

__all__ = ["serve"]

BY_NAME = {f.name: f for f in FUNCTIONS}
#: Sizes beside the small one at which tracing is timed, each new to the process.
TRACED = range(3, 21, 2)


class Server:
    """The requests, by name; each takes and gives what JSON can say."""

    def __init__(self, framework: str) -> None:
        self.fw = Framework(framework)
        self.ready: dict[tuple[str, int], Any] = {}

    def versions(self) -> dict[str, str]:
        return {**self.fw.versions(), "python": platform.python_version()}

    def prepare(self, name: str, size: int) -> dict[str, Any]:
        """Compile a function at a size; gives numbers that depend on what it computes."""
        f, arrays = BY_NAME[name].make(self.fw, size)
        arrays = [self.fw.numpy.asarray(x) for x in arrays]
        jitted = self.fw.px.jit(f)
        out = self.fw.px.block_until_ready(jitted(*arrays))
        self.ready[name, size] = jitted, arrays
        leaves = [np.asarray(x) for x in self.fw.tree.leaves(out)]
        return {"witness": [float(np.mean(np.abs(x))) for x in leaves]}

    def time(self, name: str, size: int, calls: int) -> dict[str, float]:
        """Seconds per call of a batch of calls: on the clock, and of all threads' work."""
        jitted, arrays = self.ready[name, size]
        out = None
        worked, start = time.process_time(), time.perf_counter()
        for _ in range(calls):
            out = jitted(*arrays)
        self.fw.px.block_until_ready(out)
        end, after = time.perf_counter(), time.process_time()
        return {"wall": (end - start) / calls, "cpu": (after - worked) / calls}

    def trace(self, name: str) -> dict[str, Any]:
        """Seconds that a function takes while it is traced, at new sizes; and its equations, inner ones too."""
        entry, seconds, equations = BY_NAME[name], [], 0
        for more in (1, *TRACED):
            f, arrays = entry.make(self.fw, entry.small + more)
            arrays = [self.fw.numpy.asarray(x) for x in arrays]

            def timed(*xs: Any, f: Any = f) -> Any:
                start = time.perf_counter()
                out = f(*xs)
                seconds.append(time.perf_counter() - start)
                return out

            program = self.fw.px.make_jaxpr(timed)(*arrays)
            equations = count(program.jaxpr)
        # The first loads what it needs.
        return {"seconds": min(seconds[1:]), "first": seconds[0], "equations": equations}

    def forget(self, name: str, size: int) -> None:
        self.ready.pop((name, size), None)


def count(jaxpr: Any) -> int:
    """Equations of a program, and of the programs that are their parameters."""
    total = 0
    for eqn in jaxpr.eqns:
        total += 1
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    total += count(inner)
    return total


def serve(kind: Callable[[str], Any]) -> None:
    """Answer requests, as the methods of an object do that is made of the framework's name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--framework", required=True)
    server = kind(parser.parse_args().framework)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": getattr(server, request.pop("do"))(**request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(Server)
