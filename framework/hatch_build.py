"""Compiles the one C file of portax when it is installed or a wheel is made.

Without a C compiler, or Python's headers, portax installs as well and takes the same way in Python; ``portax doctor``
says so.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CompileError, LinkError

SOURCE = Path("src/portax/runtime/_ready.c")


class CompileReadyCall(BuildHookInterface):
    """Puts the compiled module beside its source, where an editable install finds it and a wheel takes it from."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        name = ".".join(SOURCE.with_suffix("").parts[1:])
        command = build_ext(Distribution({"name": "portax", "ext_modules": [Extension(name, [str(SOURCE)])]}))
        command.inplace = False
        try:
            with tempfile.TemporaryDirectory() as objects:
                command.build_lib, command.build_temp = "src", objects
                command.ensure_finalized()
                command.run()
        except (BaseError, CompileError, LinkError) as error:
            print(f"portax is installed without its C part: {error}", file=sys.stderr)
            return
        build_data["artifacts"] += [f"src/{command.get_ext_filename(name)}"]
        build_data["pure_python"], build_data["infer_tag"] = False, True
