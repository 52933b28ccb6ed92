"""The compile cache on disk: whole entries or none, whatever happens to the folder."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from portax.core.config import override
from portax.runtime.cache import (
    _HEADER,
    DiskCache,
    cache_folder,
    compile_cached,
    disk_cache,
    entry_key,
    opened,
)
from portax.runtime.contract import Backend, Capabilities, CompileOptions, Device, Executable

KEY = entry_key("program", b"options", b"backend")
OTHER = entry_key("program", b"options", b"another backend")


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "compiled")


def only_file(cache):
    [file] = cache.folder.iterdir()
    return file


def test_a_blob_comes_back_as_it_was_put(cache):
    blob = bytes(range(256)) * 100
    cache.put(KEY, blob)
    assert cache.get(KEY) == blob
    assert DiskCache(cache.folder).get(KEY) == blob
    assert (cache.stats.hits, cache.stats.misses, cache.stats.written) == (1, 0, 1)


def test_an_empty_blob_is_an_entry_too(cache):
    cache.put(KEY, b"")
    assert cache.get(KEY) == b""


def test_what_was_never_put_is_a_miss_and_makes_no_folder(cache):
    assert cache.get(KEY) is None
    assert cache.stats.misses == 1
    assert not cache.folder.exists()


@pytest.mark.parametrize("part", range(3))
def test_the_key_depends_on_every_part(part):
    parts = ["program", b"options", b"backend"]
    parts[part] = parts[part] + ("!" if part == 0 else b"!")
    assert entry_key(*parts) != KEY


def test_parts_of_a_key_do_not_run_together():
    assert entry_key("ab", b"c", b"") != entry_key("a", b"bc", b"")
    assert entry_key("", b"ab", b"c") != entry_key("", b"a", b"bc")


@pytest.mark.parametrize("place", [0, 8, 20, 45, 73, _HEADER.size, _HEADER.size + 99, -1])
def test_one_flipped_bit_anywhere_is_a_miss_and_the_entry_is_removed(cache, place):
    cache.put(KEY, b"native code " * 20)
    file = only_file(cache)
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    assert cache.get(KEY) is None
    assert cache.stats.damaged == 1
    assert not file.exists()


@pytest.mark.parametrize("length", [0, 5, _HEADER.size, _HEADER.size + 3])
def test_a_shortened_entry_is_a_miss(cache, length):
    cache.put(KEY, b"native code")
    file = only_file(cache)
    file.write_bytes(file.read_bytes()[:length])
    assert cache.get(KEY) is None
    assert not file.exists()


def test_an_entry_under_another_entrys_name_is_a_miss(cache):
    cache.put(KEY, b"native code")
    os.replace(only_file(cache), cache.folder / (OTHER.hex() + ".exe"))
    assert cache.get(OTHER) is None


def test_nobody_else_can_read_or_write_the_folder(cache):
    cache.put(KEY, b"native code")
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_costs_nothing_but_the_cache(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "compiled")
    cache.put(KEY, b"native code")
    assert cache.get(KEY) is None
    assert "cannot be written" in cache.stats.problem


def test_an_interrupted_writer_leaves_no_entry_and_its_remains_are_swept(cache):
    cache.put(KEY, b"native code")
    left = cache.folder / "abandoned.tmp"
    left.write_bytes(b"half an ent")
    assert cache.get(OTHER) is None
    assert len(cache) == 1 and left.exists()
    os.utime(left, (time.time() - 7200,) * 2)
    assert len(cache) == 1
    assert not left.exists()


def test_the_least_recently_used_entries_go_first(tmp_path):
    cache = DiskCache(tmp_path, limit=10 * (1000 + _HEADER.size))
    keys = [entry_key(str(i), b"", b"") for i in range(11)]
    for age, key in zip(range(100, 0, -10), keys[:10], strict=True):
        cache.put(key, bytes(1000))
        os.utime(tmp_path / (key.hex() + ".exe"), (time.time() - age,) * 2)
    assert cache.get(keys[0]) is not None  # the oldest, used just now
    cache.put(keys[10], bytes(1000))
    assert cache.size() <= cache.limit
    assert cache.get(keys[0]) is not None
    assert cache.get(keys[10]) is not None
    assert cache.get(keys[1]) is None


def test_what_is_larger_than_the_whole_cache_is_not_kept(tmp_path):
    cache = DiskCache(tmp_path, limit=1000)
    cache.put(KEY, bytes(1001))
    assert len(cache) == 0


def test_clear_removes_everything(cache):
    cache.put(KEY, b"1")
    cache.put(OTHER, b"2")
    cache.clear()
    assert len(cache) == 0 and cache.size() == 0


WRITER = """
import sys
from pathlib import Path
from portax.runtime.cache import DiskCache, entry_key
cache, me = DiskCache(Path(sys.argv[1]), limit=400_000), int(sys.argv[2])
for step in range(60):
    for name in range(8):
        key = entry_key(str(name), b"", b"")
        blob = cache.get(key)
        assert blob is None or (len(blob) == 20_000 + name and len(set(blob)) == 1), name
        cache.put(key, bytes([me]) * (20_000 + name))
assert cache.stats.damaged == 0, cache.stats
"""


def test_many_processes_share_a_folder(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(i)], env=environment) for i in range(4)
    ]
    assert [w.wait(120) for w in writers] == [0] * 4
    cache = DiskCache(tmp_path)
    assert len(cache) == 8
    assert not list(tmp_path.glob("*.tmp"))


# Where it is, and whether.


@pytest.fixture
def environment(monkeypatch):
    for name in ("PORTAX_CACHE", "PORTAX_CACHE_DIR", "PORTAX_CACHE_SIZE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    opened.cache_clear()
    yield monkeypatch
    opened.cache_clear()


def test_the_cache_is_on_unless_turned_off(environment, tmp_path):
    environment.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert disk_cache().folder == tmp_path / "portax" / "compiled"
    opened.cache_clear()
    environment.setenv("PORTAX_CACHE", "0")
    assert disk_cache() is None


def test_its_folder_and_size_can_be_given(environment, tmp_path):
    environment.setenv("PORTAX_CACHE_DIR", str(tmp_path))
    environment.setenv("PORTAX_CACHE_SIZE", "3")
    assert disk_cache().folder == tmp_path / "compiled"
    assert disk_cache().limit == 3 << 20


def test_a_program_may_turn_it_off_move_it_and_bound_it(environment, tmp_path):
    with override("enable_compilation_cache", False):
        assert disk_cache() is None
    with override("compilation_cache_dir", str(tmp_path)), override("compilation_cache_max_size", 999):
        assert (disk_cache().folder, disk_cache().limit) == (tmp_path, 999)


def test_a_folder_of_somebody_else_is_not_used(environment, tmp_path):
    environment.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "portax" / "compiled").mkdir(parents=True)
    environment.setattr(os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
    assert disk_cache() is None


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is that of Linux; other systems have another")
def test_without_settings_it_is_in_the_users_cache_folder(environment):
    environment.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/portax")


# Compiling through it, with a backend that counts.


class CountingExecutable(Executable):
    def __init__(self, program, devices):
        self.run, self.results, self.devices = (lambda buffers: buffers), (((), np.dtype("f4")),), tuple(devices)
        self.program = program

    def serialize(self):
        return self.program.encode()


class CountingBackend(Backend):
    name, version = "counting", "1"

    def __init__(self, options):
        self.compiled, self.loaded, self.refuse = 0, 0, False

    @property
    def capabilities(self):
        return Capabilities(serialization=True)

    def devices(self):
        return (CountingDevice(self),)

    def compile(self, program, options, devices):
        self.compiled += 1
        return CountingExecutable(program, devices)

    def deserialize(self, blob, options, devices):
        if self.refuse:
            raise RuntimeError("a blob of another version")
        self.loaded += 1
        return CountingExecutable(blob.decode(), devices)


class CountingDevice(Device):
    def __init__(self, backend):
        self.id, self.kind, self.platform, self.backend = 0, "counter", "counting", backend

    put = host = wait = ready = delete = deleted = copy_to = None


@pytest.fixture
def device():
    return CountingBackend({}).devices()[0]


def test_a_program_is_compiled_once(cache, device):
    for _ in range(3):
        assert compile_cached("text", CompileOptions(), (device,), cache).program == "text"
    assert (device.backend.compiled, device.backend.loaded) == (1, 2)


def test_other_options_are_another_entry(cache, device):
    compile_cached("text", CompileOptions(), (device,), cache)
    compile_cached("text", CompileOptions(effort="fast"), (device,), cache)
    compile_cached("text", CompileOptions(donated=(0,)), (device,), cache)
    assert device.backend.compiled == 3


def test_what_the_driver_cannot_load_is_compiled_again_and_replaced(cache, device):
    compile_cached("text", CompileOptions(), (device,), cache)
    device.backend.refuse = True
    assert compile_cached("text", CompileOptions(), (device,), cache).program == "text"
    assert (device.backend.compiled, cache.stats.damaged) == (2, 1)
    device.backend.refuse = False
    compile_cached("text", CompileOptions(), (device,), cache)
    assert (device.backend.compiled, device.backend.loaded) == (2, 1)


def test_without_a_cache_every_program_is_compiled(device):
    for _ in range(2):
        compile_cached("text", CompileOptions(), (device,), None)
    assert device.backend.compiled == 2


def test_the_key_of_options_names_every_field():
    changed = [
        CompileOptions(effort="fast"),
        CompileOptions(donated=(1,)),
        CompileOptions(donated=(1,), aliases=((1, 0),)),
        CompileOptions(num_replicas=2),
        CompileOptions(num_partitions=2),
        CompileOptions(reproducible=False),
    ]
    assert len({o.key() for o in (CompileOptions(), *changed)}) == 1 + len(changed)
    assert {f.name for f in dataclasses.fields(CompileOptions)} == {
        "effort", "donated", "aliases", "num_replicas", "num_partitions", "callbacks",
        "reproducible",
    }  # fmt: skip
