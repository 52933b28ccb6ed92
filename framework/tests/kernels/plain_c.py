"""A device for tests: the toolkit's plain C, compiled by the system's compiler and called in this process."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import CompileError
from portax.backend.kernels import Dialect, KernelBackend, Launcher

COMPILER = shutil.which("cc") or shutil.which("gcc")
FLAGS = ["-O1", "-std=gnu11", "-ffp-contract=off", "-fwrapv", "-fno-math-errno", "-shared", "-fPIC"]


@functools.cache
def _folder() -> str:
    return tempfile.mkdtemp(prefix="portax-plain-c-")


class SeveralItems(Dialect):
    """Plain C whose launches are divided, one item after the other, as a device with many would."""

    items = 3


class PlainC(Launcher):
    """The processor, one thread of it."""

    kind = "plain C"

    def __init__(self, dialect: Dialect | None = None) -> None:
        self.dialect = SeveralItems() if dialect is None else dialect

    def allocate(self, size: int) -> Any:
        return np.full(size, 0xFF, np.uint8)  # so that what is read before it was written shows as NaN

    def release(self, block: Any) -> None:
        pass

    def write(self, block: Any, array: np.ndarray) -> None:
        block[: array.nbytes] = array.reshape(-1).view(np.uint8)

    def read(self, block: Any, array: np.ndarray) -> None:
        array.reshape(-1).view(np.uint8)[:] = block[: array.nbytes]

    def copy(self, source: Any, target: Any, size: int, start: int = 0, at: int = 0) -> None:
        target[at : at + size] = source[start : start + size]

    def build(self, text: str) -> Any:
        stem = os.path.join(_folder(), hashlib.sha256(text.encode()).hexdigest()[:32])
        if not os.path.exists(stem + ".so"):
            with open(stem + ".c", "w") as file:
                file.write(text)
            assert COMPILER is not None
            done = subprocess.run(
                [COMPILER, *FLAGS, stem + ".c", "-o", stem + ".so", "-lm"], capture_output=True, text=True
            )
            if done.returncode:
                raise CompileError(wrong=done.stderr[:2000], fix="Report it: the toolkit wrote a wrong program")
        return ctypes.CDLL(stem + ".so").portax_stage

    def launch(self, program: Any, stage: int, blocks: Sequence[Any], items: int) -> None:
        given = (ctypes.c_void_p * len(blocks))(*[b.ctypes.data for b in blocks])
        for w in range(items):
            program(stage, ctypes.c_long(w), ctypes.c_long(items), given)

    def wait(self) -> None:
        pass


class PlainCBackend(KernelBackend):
    """The backend of these."""

    name = "plain_c"
    version = "0"

    def launchers(self) -> Sequence[Launcher]:
        return [PlainC()]


def register(plugins: Any) -> None:
    """Make it known under its name."""

    def opened(options: Mapping[str, str]) -> PlainCBackend:
        return PlainCBackend(options)

    plugins.installed().builtin["plain_c"] = opened
