"""The first step of training in a new process.

``python -m benchmarks.first_step --framework portax|jax|tinygrad NAME`` prints the loss once all that the step changes
is changed; whoever started the process took the time.
"""

from __future__ import annotations

import argparse
import importlib

from benchmarks.framework import Framework
from benchmarks.programs.kernels import STEPS

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--framework", required=True)
    parser.add_argument("name", choices=STEPS)
    args = parser.parse_args()
    if args.framework == "tinygrad":
        print(importlib.import_module("benchmarks.programs.kernels_tinygrad").first_step(args.name), flush=True)
        return
    fw, case = Framework(args.framework), STEPS[args.name]
    state, value = fw.px.jit(case.make(fw), donate_argnums=0)(*case.arguments(fw))
    fw.px.block_until_ready(state)
    print(float(value), flush=True)


if __name__ == "__main__":
    main()
