"""The driver: finds devices. The kernels that run on them are written by portax's toolkit."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from typing import Any

from portax.backend import hookimpl
from portax.backend.kernels import KernelBackend, Launcher
from portax_onecore.launcher import OneCoreLauncher


class OneCoreBackend(KernelBackend):
    """One device, where there is a C compiler: ``cc``, or what the environment variable ``CC`` says."""

    name, version = "onecore", "0.1.0"

    def launchers(self) -> Sequence[Launcher]:
        compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
        if shutil.which(compiler[0]) is None:
            self.absence = (
                f"kernels are compiled by the system's C compiler, and there is no {compiler[0]} here: "
                "apt install gcc, or name another in CC"
            )
            return []
        return [OneCoreLauncher(compiler)]


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("onecore", OneCoreBackend)
