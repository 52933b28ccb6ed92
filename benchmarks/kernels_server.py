"""One side of the comparison of kernels: ``python -m benchmarks.kernels_server --framework portax|numpy|tinygrad``.

Which device portax takes is the environment's to say. A side holds one case at a time: some have 200 MB of arrays.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks.clock import once
from benchmarks.framework import Framework
from benchmarks.programs import kernels_numpy
from benchmarks.programs.kernels import CASES, ready
from benchmarks.server import serve

__all__ = ["KernelsServer", "opencl_library"]

#: The environment variable that tells portax's side to write over its last result.
OVER = "BENCHMARK_WRITES_OVER"


def opencl_library() -> str:
    """Where pyopencl's wheel keeps the loader of OpenCL drivers; empty where it has none of its own."""
    try:
        files = metadata.files("pyopencl") or []
    except metadata.PackageNotFoundError:
        return ""
    return next((str(f.locate()) for f in files if f.name.startswith("libOpenCL")), "")


class KernelsServer:
    """The requests, by name; each takes and gives what JSON can say."""

    def __init__(self, framework: str) -> None:
        self.framework = framework
        self.fw = Framework("portax") if framework == "portax" else None
        self.tinygrad: Any = None
        if framework == "tinygrad":  # not installed as a rule
            self.tinygrad = importlib.import_module("benchmarks.programs.kernels_tinygrad")
        self.call: Callable[[], Any] = lambda: None

    def versions(self) -> dict[str, str]:
        if self.fw is not None:
            found = {"portax": metadata.version("portax"), "device": str(self.fw.px.devices()[0])}
            name = "jaxlib" if "cpu" in found["device"] else "pyopencl"
            return {**found, name: metadata.version(name)}
        return {self.framework: metadata.version(self.framework)}

    def prepare(self, name: str) -> dict[str, Any]:
        """Compile a case; gives numbers that depend on what it computes."""
        self.call = lambda: None  # what the last case held is free
        if self.fw is not None:
            self.call = ready(self.fw, CASES[name], bool(os.environ.get(OVER)))
        elif self.tinygrad is not None:
            self.call = self.tinygrad.ready(name)
        else:
            arrays = [np.asarray(x) for x in CASES[name].arguments()]
            self.call = functools.partial(kernels_numpy.FUNCTIONS[name], np.zeros_like(arrays[0]), *arrays)
        out = self.call()
        out = out.numpy() if self.tinygrad is not None else np.asarray(out)
        return {"witness": [float(np.mean(np.abs(out), dtype=np.float64))]}

    def _wait(self, out: Any) -> None:
        if self.fw is not None:
            self.fw.px.block_until_ready(out)
        elif self.tinygrad is not None:
            self.tinygrad.wait()

    def time(self, calls: int) -> dict[str, float]:
        """Seconds per call of a batch of calls, all of them done."""

        def batch() -> None:
            for _ in range(calls):
                out = self.call()
            self._wait(out)

        return {"wall": once(batch)[0] / calls}


if __name__ == "__main__":
    serve(KernelsServer)
