"""NVIDIA's compiler as a library, from its wheel: it needs neither a GPU nor a driver."""

from __future__ import annotations

import ctypes
import importlib.metadata
from typing import Any

WHEELS = {"nvidia-cuda-nvrtc-cu12": "libnvrtc.so.12", "nvidia-cuda-nvrtc": "libnvrtc.so.13"}


class Refused(Exception):
    """What the compiler said."""


def library() -> ctypes.CDLL | None:
    """The compiler, or None where it is not installed."""
    for wheel, name in WHEELS.items():
        try:
            files = importlib.metadata.files(wheel) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == name:
                return ctypes.CDLL(str(file.locate()))
    return None


class Compiler:
    """Compiles programs for GPUs.

    Parameters
    ----------
    options : sequence of str
        What the driver tells it.
    """

    def __init__(self, found: ctypes.CDLL, options: tuple[str, ...]) -> None:
        self.library, self.options = found, options

    def __call__(self, text: str, gpu: str) -> tuple[str, bytes]:
        """PTX, and the machine code of a GPU such as ``sm_90``."""
        call, program = self.library, ctypes.c_void_p()
        assert call.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"program.cu", 0, None, None) == 0
        try:
            options = [option.encode() for option in (*self.options, f"--gpu-architecture={gpu}")]
            status = call.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
            if status:
                raise Refused(self._taken("ProgramLog", program).decode(errors="replace"))
            return self._taken("PTX", program).decode().rstrip("\0"), self._taken("CUBIN", program)
        finally:
            call.nvrtcDestroyProgram(ctypes.byref(program))

    def _taken(self, what: str, program: Any) -> bytes:
        size = ctypes.c_size_t()
        assert getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
        out = ctypes.create_string_buffer(size.value)
        assert getattr(self.library, f"nvrtcGet{what}")(program, out) == 0
        return out.raw
