"""CUDA's kernels on the processor: for trying them out where there is no GPU.

The text that a GPU would be given is compiled as C++, with `shim.hpp` before it for the words that C++ lacks, and its
threads run one after the other. The compiler's checks are on: an overflow that C++ does not define, a shift too far or
a place outside a local array ends the process. Memory is filled with NaN before it is used.

This shows that kernels compute the right numbers, whatever the order of their threads. It shows nothing of what is
particular to a GPU: threads at the same time, its driver, its speed.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.backend import BackendError, CompileError
from portax.backend.kernels import Launcher
from portax_cuda.dialect import CUDADialect

#: Few enough that a small array is divided among several blocks, and not so that the last block is full.
THREADS, ITEMS = 32, 200
FLAGS = (
    "-std=c++17", "-O1", "-ffp-contract=off", "-fno-math-errno", "-w", "-shared", "-fPIC",
    "-fsanitize=undefined,float-cast-overflow", "-fno-sanitize=vptr", "-fsanitize-undefined-trap-on-error",
)  # fmt: skip
_KERNEL = re.compile(r'^extern "C" __global__ void (\w+)\(', re.MULTILINE)
_HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shim.hpp")


class ShimLauncher(Launcher):
    """The processor, one thread of it, as a device for CUDA's kernels.

    Parameters
    ----------
    folder : str
        Where programs are kept: the text of each, as a GPU would be given it, and what was compiled from it.
    backwards : bool
        The last thread of a launch runs first. Where results then differ, threads get in each other's way.
    """

    kind = "CUDA's kernels on the processor, one thread after the other"

    def __init__(self, folder: str, backwards: bool = False) -> None:
        self.folder, self.backwards = folder, backwards
        self.dialect = CUDADialect(ITEMS)
        self.compiler = shutil.which("g++") or shutil.which("c++")
        if self.compiler is None:
            raise BackendError(
                wrong="there is no compiler of C++ here, and kernels cannot be run on the processor without one",
                fix="Install g++, as by apt install g++, or leave PORTAX_CUDA_SHIM out",
            )
        os.makedirs(folder, exist_ok=True)
        with open(_HEADER) as file:
            self.header = file.read()
        version = subprocess.run([self.compiler, "-v"], capture_output=True, text=True).stderr
        self.how = hashlib.sha256("\0".join([self.header, self.compiler, version, *FLAGS]).encode()).hexdigest()[:8]

    def allocate(self, size: int) -> Any:
        return np.full(size, 0xFF, np.uint8)  # what is read before it was written shows as NaN

    def release(self, block: Any) -> None:
        pass

    def write(self, block: Any, array: np.ndarray) -> None:
        block[: array.nbytes] = array.reshape(-1).view(np.uint8)

    def read(self, block: Any, array: np.ndarray) -> None:
        array.reshape(-1).view(np.uint8)[:] = block[: array.nbytes]

    def copy(self, source: Any, target: Any, size: int, start: int = 0, at: int = 0) -> None:
        target[at : at + size] = source[start : start + size]

    def build(self, text: str) -> Any:
        stem = os.path.join(self.folder, hashlib.sha256(text.encode()).hexdigest()[:32])
        library = f"{stem}-{self.how}.so"
        if not _whole(library):
            _write(stem + ".cu", text)
            entries = "".join(f"PX_KERNEL({name})\n" for name in _KERNEL.findall(text))
            _write(stem + ".cpp", self.header + text + entries)
            # Under a name of its own until it is whole: other processes look into the same folder.
            fresh = f"{library}.{os.getpid()}"
            command = [str(self.compiler), *FLAGS, stem + ".cpp", "-o", fresh]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise CompileError(
                    wrong=f"{self.compiler} refused a program: {done.stderr[:2000]}",
                    fix="Report it with the program: the toolkit wrote what is no CUDA, or what the shim lacks",
                )
            with open(fresh, "rb+") as file:
                file.write(hashlib.sha256(file.read()).digest())
            os.replace(fresh, library)
        return ctypes.CDLL(library)

    def launch(self, program: Any, stage: int, blocks: Sequence[Any], items: int) -> None:
        n = ctypes.c_longlong(items)
        addresses = [ctypes.c_void_p(block.ctypes.data) for block in blocks]
        given = (ctypes.c_void_p * (1 + len(blocks)))(*(ctypes.addressof(x) for x in (n, *addresses)))
        program[f"launch_stage{stage}"](-(-items // THREADS), THREADS, given, int(self.backwards))

    def wait(self) -> None:
        pass


def _whole(library: str) -> bool:
    """Whether a library is there as it was written: its checksum stands behind it, where no loader looks."""
    try:
        with open(library, "rb") as file:
            data = file.read()
    except OSError:
        return False
    return hashlib.sha256(data[:-32]).digest() == data[-32:]


def _write(path: str, text: str) -> None:
    """Write a file that is whole as soon as it is there."""
    fresh = f"{path}.{os.getpid()}"
    with open(fresh, "w") as file:
        file.write(text)
    os.replace(fresh, path)
