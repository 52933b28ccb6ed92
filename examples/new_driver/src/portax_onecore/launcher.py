"""How the device's library keeps memory and runs programs."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from portax.backend import CompileError, OutOfDeviceMemory
from portax.backend.kernels import Launcher
from portax_onecore.dialect import OneCoreDialect

#: A product and a sum are fused only where the toolkit says so, and no sum is taken in another order: then devices
#: round alike. What says so is ``fmaf``; ``-mfma`` makes it an instruction on processors of Intel and AMD, not a call.
FLAGS = ["-O2", "-std=gnu11", "-ffp-contract=off", "-fwrapv", "-fno-math-errno", "-shared", "-fPIC", "-w"]


class OneCoreLauncher(Launcher):
    """The core that asks. What is asked for is done when the call returns.

    Parameters
    ----------
    compiler : sequence of str
        How the C compiler is started.
    """

    dialect = OneCoreDialect()
    limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def __init__(self, compiler: Sequence[str]) -> None:
        self.compiler = list(compiler)
        self.kind = f"one core, by {Path(self.compiler[0]).name}"

    def allocate(self, size: int) -> Any:
        try:
            return np.empty(size, np.uint8)
        except MemoryError as error:
            raise OutOfDeviceMemory(
                wrong=f"there is no room for {size} bytes", fix="Free arrays that are no longer needed"
            ) from error

    def release(self, block: Any) -> None:
        """It goes with its last reference."""

    def write(self, block: Any, array: np.ndarray) -> None:
        block[: array.nbytes] = array.reshape(-1).view(np.uint8)

    def read(self, block: Any, array: np.ndarray) -> None:
        array.reshape(-1).view(np.uint8)[:] = block[: array.nbytes]

    def copy(self, source: Any, target: Any, size: int, start: int = 0, at: int = 0) -> None:
        target[at : at + size] = source[start : start + size]

    def cache_key(self) -> bytes:
        return repr((self.compiler, FLAGS, self._run("-v").stderr)).encode()

    def compile(self, text: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="portax-onecore-") as folder:
            source, library = Path(folder, "program.c"), Path(folder, "program.so")
            source.write_text(text, encoding="utf-8")
            done = self._run(*FLAGS, str(source), "-o", str(library), "-lm")
            if done.returncode or not library.exists():
                raise CompileError(
                    wrong=f"{self.compiler[0]} refused a program: {done.stderr[:2000]}",
                    fix="Report it with the program: the toolkit wrote what this compiler does not understand",
                )
            return library.read_bytes()

    def load(self, binary: bytes) -> Any:
        # The folder may go once the program is loaded: the system keeps the file for as long as it is mapped.
        with tempfile.TemporaryDirectory(prefix="portax-onecore-") as folder:
            library = Path(folder, "program.so")
            library.write_bytes(binary)
            try:
                return ctypes.CDLL(str(library)).onecore_run
            except OSError as error:
                raise CompileError(
                    wrong=f"a program that was built cannot be loaded: {error}",
                    fix="Set TMPDIR to a folder from which programs may be run",
                ) from error

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([*self.compiler, *arguments], capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise CompileError(
                wrong=f"the C compiler does not start: {error}", fix="Install it, or name another: CC=gcc"
            ) from error

    def launch(self, program: Any, stage: int, blocks: Sequence[Any], items: int) -> None:
        addresses = (ctypes.c_void_p * len(blocks))(*[block.ctypes.data for block in blocks])
        program(ctypes.c_int32(stage), ctypes.c_int64(items), addresses)

    def wait(self) -> None:
        """Nothing is under way."""
