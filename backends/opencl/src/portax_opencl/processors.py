"""A name for processors that are younger than PoCL's compiler.

PoCL asks LLVM for the name of the processor and gives it to clang. LLVM calls one that it has not heard of "generic",
which clang refuses (pocl#1049): with the LLVM 14 of PoCL's wheel no program is built on any AMD processor of family 26.
No setting reaches that name: clang takes the last that it is given, and PoCL's comes last. So it is written over where
PoCL keeps it, before the first program is built: with that of the youngest processor all of whose instructions this one
has, which is also six times as fast as kernels for any x86-64.

Invariant: nothing is written unless the device says that it is "generic" and exactly one of its pointers leads to that
word. Memory is read and written as a file, where a wrong address is an error and not a crash.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

__all__ = ["named", "youngest"]

_UNKNOWN = b"generic\0"
#: No name is longer than the one that it is written over.
_KNOWN = (
    (b"skx\0", "adx avx512f avx512bw avx512cd avx512dq avx512vl"),
    (b"haswell\0", "abm avx2 bmi1 bmi2 f16c fma movbe"),
    (b"x86-64\0", ""),
)
#: More bytes than PoCL notes about a device.
_NOTES = 2048
_MEMORY, _PROCESSORS = "/proc/self/mem", "/proc/cpuinfo"


def youngest(described: str) -> bytes:
    """The name to write for a processor, of the system's words about it: one with all of the name's instructions."""
    flags = next((line.split(":")[1].split() for line in described.splitlines() if line.startswith("flags")), [])
    return next(name for name, needed in _KNOWN if set(needed.split()) <= set(flags))


def named(device: Any) -> bool:
    """Name a device's processor to its compiler, if it has no name; whether that was done."""
    if not device.version.endswith("x86_64-unknown-linux-gnu-generic"):
        return False
    try:
        memory = os.open(_MEMORY, os.O_RDWR)
    except OSError:  # a sandbox: programs will be refused, and the error says why
        return False
    try:
        notes = os.pread(memory, _NOTES, device.int_ptr)
        pointers = struct.unpack_from(f"{len(notes) // 8}Q", notes)
        places = {at for at in pointers if _word(memory, at) == _UNKNOWN}
        if len(places) != 1:
            return False
        name = youngest(Path(_PROCESSORS).read_text(encoding="utf-8"))
        return os.pwrite(memory, name, places.pop()) == len(name)
    except OSError:
        return False
    finally:
        os.close(memory)


def _word(memory: int, at: int) -> bytes:
    try:
        return os.pread(memory, len(_UNKNOWN), at) if at < 1 << 63 else b""
    except OSError:  # a number that is no address
        return b""
