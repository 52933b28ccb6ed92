"""A processor that PoCL's compiler has no name for gets one; nothing else is touched."""

from __future__ import annotations

import ctypes
import os
import types

import pytest

processors = pytest.importorskip(
    "portax_opencl.processors",
    reason="OpenCL is not installed: pip install 'portax-opencl[pocl]'",
    exc_type=ImportError,
)
UNNAMED = "OpenCL 3.0 PoCL HSTR: pthread-x86_64-unknown-linux-gnu-generic"
AVX512 = "adx abm avx2 bmi1 bmi2 f16c fma movbe avx512f avx512bw avx512cd avx512dq avx512vl"
needs_memory = pytest.mark.skipif(not os.access("/proc/self/mem", os.W_OK), reason="memory is no file on this system")


class Noted:
    """A device with notes in memory as PoCL's: numbers that are no addresses, and pointers to words."""

    def __init__(self, *words: bytes, version: str = UNNAMED) -> None:
        self.version = version
        self.words = [ctypes.create_string_buffer(word, 24) for word in words]
        numbers = [0, 7, 2**64 - 1, 2**63, *[ctypes.addressof(word) for word in self.words]]
        self.notes = (ctypes.c_uint64 * 256)(*numbers)
        self.int_ptr = ctypes.addressof(self.notes)

    def read(self) -> list[bytes]:
        return [word.value for word in self.words]


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        pytest.param(f"fpu sse2 {AVX512}", b"skx\0", id="avx512"),
        pytest.param(f"fpu sse2 {AVX512}".replace("avx512vl", ""), b"haswell\0", id="avx512-in-part"),
        pytest.param("fpu sse2 avx", b"x86-64\0", id="old"),
    ],
)
def test_the_name_is_of_a_processor_with_no_more_instructions(flags, name):
    assert processors.youngest(f"processor\t: 0\nmodel name\t: new\nflags\t\t: {flags}\nbugs\t\t:\n") == name


def test_where_the_system_says_nothing_any_processor_is_assumed():
    assert processors.youngest("") == b"x86-64\0"


@needs_memory
def test_the_name_is_written_where_the_device_keeps_it(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"flags : {AVX512}\n")
    monkeypatch.setattr(processors, "_PROCESSORS", str(tmp_path / "cpuinfo"))
    device = Noted(b"cpu", b"generic", b"generic-rv64")
    assert processors.named(device)
    assert device.read() == [b"cpu", b"skx", b"generic-rv64"]
    assert not processors.named(device), "it has a name now"


@needs_memory
@pytest.mark.parametrize(
    "device",
    [
        pytest.param(Noted(b"generic", version=UNNAMED.replace("generic", "znver3")), id="has-a-name"),
        pytest.param(Noted(b"generic", version="OpenCL 3.0 (Build 0)"), id="another-implementation"),
        pytest.param(Noted(b"generic", b"generic"), id="two-places"),
        pytest.param(Noted(b"cpu"), id="no-place"),
    ],
)
def test_nothing_is_written_elsewhere(device):
    before = device.read()
    assert not processors.named(device)
    assert device.read() == before


def test_where_memory_is_no_file_nothing_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr(processors, "_MEMORY", str(tmp_path / "none"))
    assert not processors.named(types.SimpleNamespace(version=UNNAMED, int_ptr=0))
