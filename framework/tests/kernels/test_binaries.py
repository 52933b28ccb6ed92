"""Programs of kernels on disk: compiled once for all processes, and again where what was kept is not as it was."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from portax.backend import CompileError
from portax.backend.kernels import Dialect, KernelBackend, Launcher, binaries
from portax.cli import doctor
from portax.core.config import override
from portax.runtime.cache import disk_cache, entry_key, opened

HERE = Path(__file__).parents[1]


class Toy(Launcher):
    """A device whose programs are their own text, backwards. It counts what is asked of it."""

    dialect = Dialect()
    kind = "toy"
    key = b"compiler 1"
    gives, takes = True, True

    def __init__(self):
        self.compiled = self.loaded = self.built = 0

    def cache_key(self):
        return self.key

    def compile(self, text):
        if text == "wrong":
            raise CompileError(wrong="it is wrong", fix="Write another")
        self.compiled += 1
        return text[::-1].encode() if self.gives else None

    def load(self, binary):
        if not self.takes:
            raise RuntimeError("this is not of mine")
        self.loaded += 1
        return binary.decode()[::-1]

    def build(self, text):
        self.built += 1
        return text

    allocate = release = write = read = copy = launch = wait = None


class ToyBackend(KernelBackend):
    """A backend of toys."""

    name, version = "toy", "1"

    def launchers(self):
        return [Toy()]


def started(backend: type[KernelBackend] = ToyBackend, **settings):
    """A device as a new process has it."""
    device = backend({}).devices()[0]
    for name, value in settings.items():
        setattr(device.launcher, name, value)
    return device


def asked(device, text="a program"):
    """What building a program asked of a launcher: compiled, loaded, built in one go."""
    assert device.backend.built(device, text) == text
    return device.launcher.compiled, device.launcher.loaded, device.launcher.built


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The cache, on, in an empty folder."""
    monkeypatch.delenv("PORTAX_CACHE", raising=False)
    opened.cache_clear()
    with override("compilation_cache_dir", str(tmp_path / "compiled")):
        yield tmp_path / "compiled"
    opened.cache_clear()


def test_a_second_process_asks_no_compiler(folder):
    assert asked(started()) == (1, 1, 0)
    assert asked(started()) == (0, 1, 0)
    assert (disk_cache().stats.hits, disk_cache().stats.misses) == (1, 1)


def test_a_process_builds_a_program_once(folder):
    device = started()
    assert asked(device) == asked(device) == (1, 1, 0)


class NewerBackend(ToyBackend):
    """The same of another version."""

    version = "2"


@pytest.mark.parametrize(
    ("backend", "settings", "text"),
    [
        (ToyBackend, {}, "another program"),
        (ToyBackend, {"key": b"compiler 2"}, "a program"),
        (ToyBackend, {"kind": "another toy"}, "a program"),
        (NewerBackend, {}, "a program"),
    ],
    ids=["text", "compiler", "device", "driver"],
)
def test_what_was_kept_for_another_is_not_used(folder, backend, settings, text):
    asked(started())
    assert asked(started(backend, **settings), text) == (1, 1, 0)
    assert asked(started(backend, **settings), text) == (0, 1, 0)
    assert asked(started()) == (0, 1, 0)
    assert len(disk_cache()) == 2


def test_what_was_kept_on_a_machine_with_another_processor_is_not_used(folder, monkeypatch):
    asked(started())
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(binaries, "processor", lambda: "another")
        assert asked(started()) == (1, 1, 0)
    assert asked(started()) == (0, 1, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a processor can do")
def test_a_processor_is_told_by_what_it_can_do_and_not_by_how_it_is():
    told = binaries.processor()
    assert told == binaries.processor.__wrapped__() and "MHz" not in told
    assert "flags" in told or "Features" in told or platform.machine() not in ("x86_64", "aarch64")


def cut(data):
    return data[: len(data) // 2]


def garbled(data):
    return data[:-3] + bytes(b ^ 1 for b in data[-3:])


def foreign(data):
    return b"something else altogether " * 20


def emptied(data):
    return b""


@pytest.mark.parametrize("damage", [cut, garbled, foreign, emptied])
def test_a_damaged_entry_is_made_again(folder, damage):
    asked(started())
    [file] = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert asked(started()) == (1, 1, 0)
    assert disk_cache().stats.damaged == 1
    assert file.read_bytes() == whole
    assert asked(started()) == (0, 1, 0)


def test_an_entry_of_another_program_under_its_name_is_made_again(folder):
    asked(started())
    [first] = folder.iterdir()
    asked(started(), "another program")
    [second] = set(folder.iterdir()) - {first}
    os.replace(second, first)
    assert asked(started()) == (1, 1, 0)


def test_what_a_device_does_not_take_is_made_again(folder):
    asked(started())
    # Nothing that could be compiled now would be taken either: the program is built in one go, and not kept.
    assert asked(started(takes=False)) == (1, 0, 1)
    assert len(disk_cache()) == 0 and disk_cache().stats.damaged == 1
    told = disk_cache().stats.problem
    assert told == "toy:0 does not load what its compiler made, so it is not kept: this is not of mine"
    assert asked(started()) == (1, 1, 0)


@pytest.mark.parametrize("settings", [{"gives": False}, {"key": b""}], ids=["no bytes", "nothing said"])
def test_a_launcher_that_gives_no_bytes_or_does_not_say_on_what_they_depend_has_nothing_kept(folder, settings):
    for _ in range(2):
        assert asked(started(**settings))[1:] == (0, 1)
    assert not folder.exists()


def test_off_by_a_setting_nothing_is_written_or_read(folder):
    asked(started())
    with override("enable_compilation_cache", False):
        assert asked(started()) == (0, 0, 1)
        assert asked(started(), "another program") == (0, 0, 1)
    assert len(disk_cache()) == 1


def test_off_by_the_environment_nothing_is_written(folder, monkeypatch):
    monkeypatch.setenv("PORTAX_CACHE", "0")
    assert asked(started()) == (0, 0, 1)
    assert not folder.exists()


def test_what_the_compiler_refuses_is_told_and_nothing_is_kept(folder):
    device = started()
    with pytest.raises(CompileError, match="it is wrong"):
        device.backend.built(device, "wrong")
    assert not folder.exists()
    assert asked(device) == (1, 1, 0)


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_cache(folder):
    folder.write_text("in the way")
    assert asked(started()) == asked(started()) == (1, 1, 0)
    assert "cannot be written" in disk_cache().stats.problem


def test_programs_of_kernels_are_among_those_that_doctor_counts(folder):
    asked(started())
    asked(started(), "another program")
    told = doctor._cache(disk_cache())
    assert (told["folder"], told["entries"]) == (str(folder), 2)


def test_what_was_kept_goes_by_the_size_of_all(folder):
    with override("compilation_cache_max_size", 100_000):
        for i in range(20):
            asked(started(), str(i) * 9000)
        assert 0 < disk_cache().size() <= 100_000
        assert asked(started(), str(19) * 9000) == (0, 1, 0)
        assert asked(started(), str(0) * 9000) == (1, 1, 0)


def test_an_entry_of_a_whole_program_is_another(folder):
    asked(started())
    disk_cache().put(entry_key("a program", b"", b"toy 1"), b"an executable")
    assert len(disk_cache()) == 2


class Half(Toy):
    """Neither `build` nor `compile`, or no `load`."""

    compile, build, load = Launcher.compile, Launcher.build, Launcher.load


def test_a_launcher_that_does_not_build_is_told_what_it_lacks():
    with pytest.raises(NotImplementedError, match="Half has neither `build` nor `compile` and `load`"):
        Half().build("a program")
    with pytest.raises(NotImplementedError, match="Half compiles programs, and has no `load` for them"):
        Half().load(b"")


def test_a_launcher_builds_what_it_compiled_unless_it_says_otherwise():
    assert Launcher.build(Toy(), "a program") == "a program"


BUILDER = """
import sys
from kernels.test_binaries import asked, started
from portax.core.config import override
from portax.runtime.cache import disk_cache
with override("compilation_cache_dir", sys.argv[1]), override("compilation_cache_max_size", 200_000):
    for turn in range(15):
        device = started()
        for name in range(12):
            asked(device, f"{name} " * 6000)
    assert disk_cache().stats.damaged == 0, disk_cache().stats
"""


def test_processes_that_build_the_same_at_once_find_whole_entries_only(folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILDER, str(folder)], env=environment, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for builder in builders:
        _, said = builder.communicate(timeout=600)
        assert builder.returncode == 0, said.decode()
    assert not list(folder.glob("*.tmp")) and 0 < disk_cache().size() <= 200_000
