"""One measurement of one side in a process of its own: ``python -m benchmarks.child NAME --framework portax|jax``.

Prints one line of JSON. Of what this file imports, only the framework itself is heavy, and every clock starts after it.
"""

from __future__ import annotations

import argparse
import json
import platform

from benchmarks.framework import Framework
from benchmarks.rows import MEASUREMENTS

__all__ = ["main"]


def main() -> None:
    programs = {m.name: m.program for m in MEASUREMENTS if m.program is not None}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.child")
    parser.add_argument("name", choices=[*programs, "versions"])
    parser.add_argument("--framework", required=True)
    args = parser.parse_args()
    fw = Framework(args.framework)
    if args.name == "versions":
        print(json.dumps({**fw.versions(), "python": platform.python_version()}))
    else:
        print(json.dumps(programs[args.name](fw)))


if __name__ == "__main__":
    main()
