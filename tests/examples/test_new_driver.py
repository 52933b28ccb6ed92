"""The driver that shows vendors the kernel-language way: short, behind the one door, and what goes wrong told in words.

It is taken from where it lies, so nothing needs to be installed but a C compiler. All of its second level is slow.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.runtime import discovery, plugins

FOLDER = Path(__file__).parents[2] / "examples" / "new_driver"
DRIVER = FOLDER / "src" / "portax_onecore"
FILES = sorted(DRIVER.glob("*.py"))

compiles = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler: cc")


@pytest.fixture
def found(monkeypatch, tmp_path):
    """This process, and those it starts, find the driver though it is not installed."""
    monkeypatch.syspath_prepend(str(FOLDER / "src"))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER / "src"), prepend=os.pathsep)
    monkeypatch.setenv("PORTAX_PLUGINS", "portax_onecore")
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("CC", raising=False)
    before = plugins.installed()
    plugins.install(plugins.Plugins(before.host, before.builtin))
    yield
    plugins.install(before)


@pytest.fixture
def device(found):
    [device] = px.devices("onecore")
    return device


def suite(*asked: str, report: Path) -> tuple[dict[str, int], dict[str, int]]:
    """How many cases ended how, of a run that must pass, and what was unsupported of how many."""
    command = [sys.executable, "-m", "portax_conformance", "run", "--backend", "onecore", "--report", str(report)]
    done = subprocess.run([*command, *asked], cwd=report.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((report / "report.json").read_text("utf-8"))
    return content["counts"]["onecore"], content["lacking"]["onecore"]


def doubled(device):
    return np.asarray(px.jit(lambda x: x * 2)(px.device_put(np.ones(3, np.float32), device)))


def test_a_vendor_writes_fewer_than_200_lines():
    lines = {file.name: len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert set(lines) == {"__init__.py", "backend.py", "dialect.py", "launcher.py"} and sum(lines.values()) < 200, lines


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_enters_by_the_one_door(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                assert not name.startswith("portax.") or name in ("portax.backend", "portax.backend.kernels"), name
                assert name not in ("portax", "portax_conformance"), name


def test_it_is_a_whole_distribution():
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["portax.backends"] == {"onecore": "portax_onecore"}
    for name in ("README.md", "LICENSE", "src/portax_onecore/portax_gaps.toml"):
        assert (FOLDER / name).exists(), name
    manifest = discovery.read_manifest((DRIVER / "portax_backend.toml").read_text("utf-8"))
    host = discovery.this_portax()
    assert manifest.name == "onecore"
    assert manifest.interface.meets(host.interface) and manifest.opset.meets(host.opset)


@compiles
def test_a_loop_a_sort_and_a_gradient_are_as_on_the_reference_device(device):
    def f(w, x):
        turned = lax.fori_loop(0, 3, lambda i, y: pnp.tanh(y @ w), x)
        return pnp.sort(turned, axis=0)[0].sum() + pnp.cumsum(turned).max()

    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    w = np.linspace(0.5, -1, 9, dtype=np.float32).reshape(3, 3)
    [reference] = px.devices("reference")[:1]
    for program in (f, px.jacfwd(f), lambda w, x: (x.astype(pnp.bfloat16) * 3, w.astype(pnp.complex64) * 1j)):
        got = px.jit(program)(px.device_put(w, device), px.device_put(x, device))
        expected = px.jit(program)(px.device_put(w, reference), px.device_put(x, reference))
        for a, b in zip(px.tree.leaves(got), px.tree.leaves(expected), strict=True):
            assert a.device is device and a.dtype == b.dtype
            exact = complex if a.dtype == np.complex64 else float
            np.testing.assert_allclose(np.asarray(a).astype(exact), np.asarray(b).astype(exact), rtol=1e-4, atol=1e-5)


@compiles
def test_it_is_the_dialect_that_the_compiler_is_given(device):
    text = px.jit(lambda x: x > 2).trace(px.device_put(np.ones(3, np.uint16), device)).lower().compile().as_text()
    assert "#include <stdint.h>" in text and "void onecore_run(int32_t stage, int64_t n, void *const *b)" in text
    assert "const uint16_t *restrict" in text and "uint8_t *restrict" in text


@compiles
def test_the_suite_passes_a_handful_of_cases(found, tmp_path):
    only = ["add/*/L0/value*", "sort/*/complex64/*/value*"]
    asked = ["--level", "L1", "--workers", "1", "--limit", "600"]
    counts, lacking = suite(*asked, *[part for one in only for part in ("--only", one)], report=tmp_path / "report")
    assert counts["pass"] > 9 and not lacking, (counts, lacking)


def test_without_a_compiler_there_is_no_device_and_doctor_says_why(found, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    assert px.devices("onecore") == [] and px.devices("reference")
    monkeypatch.setenv("PORTAX_PLATFORMS", "onecore")
    with pytest.raises(px.errors.BackendError, match="'onecore' finds no device on this machine"):
        plugins.installed().default()
    monkeypatch.delenv("PORTAX_PLATFORMS")
    tried = plugins.probe(plugins.installed().found["onecore"], plugins.installed().host, 600)
    assert tried.verdict == "no device" and "there is no no-such-compiler here" in tried.detail


@compiles
def test_what_the_compiler_refuses_is_told_and_the_device_lives_on(device):
    with pytest.raises(px.errors.CompileError, match="cc refused a program: ") as told:
        device.launcher.build("void onecore_run(int stage) { this is no C }")
    assert "program.c:1:" in str(told.value) and "Report it with the program" in str(told.value)
    np.testing.assert_array_equal(doubled(device), [2, 2, 2])


@compiles
def test_a_compiler_that_went_away_is_told_and_the_device_lives_on(device, monkeypatch):
    with monkeypatch.context() as gone:
        gone.setattr(device.launcher, "compiler", ["/gone/cc"])
        with pytest.raises(px.errors.CompileError, match=r"the C compiler does not start: .*/gone/cc") as told:
            doubled(device)
        assert "Install it, or name another: CC=gcc" in str(told.value)
    np.testing.assert_array_equal(doubled(device), [2, 2, 2])


@compiles
def test_a_compiler_that_writes_nothing_is_told(device, monkeypatch):
    monkeypatch.setattr(device.launcher, "compiler", ["true"])  # it ends well
    with pytest.raises(px.errors.CompileError, match="true refused a program: "):
        doubled(device)


@compiles
def test_a_program_that_cannot_be_loaded_is_told(device):
    with pytest.raises(px.errors.CompileError, match="a program that was built cannot be loaded: ") as told:
        device.launcher.load(b"no library")
    assert "Set TMPDIR to a folder from which programs may be run" in str(told.value)


STARTED = """
import numpy as np, portax as px
from portax.runtime.cache import disk_cache
[device] = px.devices("onecore")
y = px.jit(lambda x: x * 2 + 1)(px.device_put(np.arange(3, dtype=np.float32), device))
print(np.asarray(y).tolist(), disk_cache() and vars(disk_cache().stats))
"""


@compiles
def test_a_second_process_compiles_nothing_and_another_compiler_does(found, tmp_path):
    starts = tmp_path / "starts"  # of the compiler, a line each
    compiler = tmp_path / "counted"
    compiler.write_text(f"#!/bin/sh\necho \"$*\" >> {starts}\nexec cc \"$@\"\n")
    compiler.chmod(0o755)

    def started(**settings):
        environment = {**os.environ, "CC": str(compiler), **settings}
        done = subprocess.run([sys.executable, "-c", STARTED], env=environment, capture_output=True, text=True)
        assert done.stdout.startswith("[1.0, 3.0, 5.0]"), done.stdout + done.stderr
        compiled = sum("program.c" in line for line in starts.read_text().splitlines()) if starts.exists() else 0
        starts.unlink(missing_ok=True)
        return compiled

    entries = tmp_path / "cache" / "compiled"
    assert started(PORTAX_CACHE="0") == 1 and not entries.exists()
    assert [started(), started()] == [1, 0]
    [entry] = entries.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1000])
    assert [started(), started()] == [1, 0]
    assert started(CC=f"{compiler} -O1") == 1 and len(list(entries.iterdir())) == 2


@compiles
def test_arrays_that_do_not_fit_are_refused_and_the_device_lives_on(device, monkeypatch):
    launcher = device.launcher
    with pytest.raises(px.errors.OutOfDeviceMemory, match=f"larger than the {launcher.limit} that one core, by cc"):
        px.jit(lambda x: pnp.zeros((launcher.limit,), np.int16) + x)(px.device_put(np.int16(1), device))
    with pytest.raises(px.errors.OutOfDeviceMemory, match=r"there is no room for .* bytes"):
        launcher.allocate(1 << 62)
    np.testing.assert_array_equal(doubled(device), [2, 2, 2])


@compiles
@pytest.mark.slow
def test_it_reaches_the_second_level(found, tmp_path):
    """Every primitive at every dtype. An hour on two cores, nearly all of it in the compiler."""
    counts, lacking = suite("--level", "L1", "--full", "--limit", "1200", report=tmp_path / "report")
    # Kernels hold no keys of 128 bits, and no numbers of less than a byte or of ml_dtypes' narrowest: all else they do.
    narrow = re.compile(r"(void128|u?int[124]|float[468]_\w+) is not declared")
    assert counts["pass"] > 10000 and all(map(narrow.fullmatch, lacking)), (counts, lacking)
