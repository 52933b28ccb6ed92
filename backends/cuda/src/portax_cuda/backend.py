"""The cuda backend: finds GPUs. What runs on them is the kernel toolkit's."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

from portax.backend import BackendError, hookimpl
from portax.backend.kernels import KernelBackend, Launcher
from portax_cuda.launcher import CUDALauncher
from portax_cuda.shim import ShimLauncher

VERSION = "0.1.0"
_INSTALL = "pip install 'portax-cuda[cuda12]', or [cuda13], whichever nvidia-smi names"
#: CUDA's numbers for: the driver is absent, or older than the library; there is no GPU.
_OLD_DRIVER, _NO_GPU = 35, 100


class CUDABackend(KernelBackend):
    """All of NVIDIA's GPUs that CUDA sees, by way of cupy; ``CUDA_VISIBLE_DEVICES`` restricts them.

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
        try:
            cupy: Any = importlib.import_module("cupy")
        except ModuleNotFoundError as error:
            if error.name != "cupy":
                raise
            self.absence = f"cupy, which drives the GPU, is not installed: {_INSTALL}"
            return []
        return [CUDALauncher(cupy, number) for number in range(self._count(cupy))]

    def _count(self, cupy: Any) -> int:
        """How many GPUs there are."""
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            if error.status == _OLD_DRIVER:
                self.absence = f"NVIDIA's driver is absent, or older than cupy {cupy.__version__} needs: see nvidia-smi"
                return 0
            if error.status != _NO_GPU:
                raise BackendError(wrong=f"CUDA does not answer: {error}", fix="See what nvidia-smi says") from error
            count = 0
        if not count:
            self.absence = "CUDA finds no GPU; see nvidia-smi, and whether CUDA_VISIBLE_DEVICES leaves any"
        return count


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("cuda", CUDABackend)
