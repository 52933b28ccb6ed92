"""The cuda backend: finds devices. What runs on them is the kernel toolkit's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from portax.backend import BackendError, hookimpl
from portax.backend.kernels import KernelBackend, Launcher
from portax_cuda.shim import ShimLauncher

VERSION = "0.1.0"


class CUDABackend(KernelBackend):
    """CUDA's kernels.

    Parameters
    ----------
    options : mapping
        ``shim``: a folder; kernels then run on the processor, and are kept there (default: the environment variable
        ``PORTAX_CUDA_SHIM``).
    """

    name = "cuda"
    version = VERSION

    def launchers(self) -> Sequence[Launcher]:
        unknown = sorted(set(self.options) - {"shim"})
        if unknown:
            raise BackendError(wrong=f"the cuda backend has no option {unknown[0]!r}", fix="Its option is: 'shim'")
        folder = self.options.get("shim") or os.environ.get("PORTAX_CUDA_SHIM") or ""
        if folder:
            return [ShimLauncher(folder)]
        self.absence = "this release drives no GPU yet; to run its kernels on the processor set PORTAX_CUDA_SHIM=FOLDER"
        return []


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("cuda", CUDABackend)
