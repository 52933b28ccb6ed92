"""The golden driver stays as it was and is served as it was; the driver that runs nothing is found out."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import portax as px
from portax.runtime import plugins
from portax_conformance import rows

DRIVERS = Path(__file__).with_name("drivers")

#: Of the golden driver's files. It was written once. Where it does not do any more, portax broke a promise: a change of
#: the interface or of the opset has a new version, and old drivers are served as before.
GOLDEN = "bd149f297918527c524c61c56ace4972461ed5f56c48fa20dfdc413a7951b838"


def digest(folder):
    """Of all files in a folder, with their names."""
    total = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts):
        total.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


@pytest.fixture
def drivers(monkeypatch, tmp_path):
    """Both are found in this process."""
    monkeypatch.syspath_prepend(str(DRIVERS))
    monkeypatch.setenv("PORTAX_PLUGINS", "portax_golden,portax_null")
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path))
    before = plugins.installed()
    plugins.install(plugins.Plugins(before.host, before.builtin))
    yield plugins.installed()
    plugins.install(before)
    for cached in (rows.family, rows._by_id, rows.declarations_of):
        cached.cache_clear()


def outcomes(name, *only):
    """What becomes of cases of the first level, and what they say."""
    found = {}
    with px.enable_x64(True):
        for row in rows.rows([name], "L0", True, only):
            if row.backend and not row.lacks():
                try:
                    row.check()
                    found[row.id] = ""
                except Exception as error:
                    found[row.id] = f"{type(error).__name__}: {error}"
    return found


def test_the_golden_driver_is_never_edited():
    assert digest(DRIVERS / "portax_golden") == GOLDEN, "the golden driver was edited: put it back as it was"


def test_an_edit_would_be_seen(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    before = digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert digest(tmp_path) != before


def test_the_golden_driver_is_served(drivers):
    found = outcomes(
        "golden", "open/*", "constant/*", "add/*", "gather/*/L0/*", "sort/carried/*", "dot_general/batch/*"
    )
    assert not {id: words for id, words in found.items() if words}
    assert len(found) > 40 and len({id.partition("/")[0] for id in found}) == 6


@pytest.mark.slow
def test_the_golden_driver_keeps_the_first_level():
    path = os.pathsep.join(filter(None, [str(DRIVERS), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-m", "portax_conformance", "run", "--backend", "golden", "--level", "L0", "--full"],
        env={**os.environ, "PYTHONPATH": path, "PORTAX_PLUGINS": "portax_golden"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass golden: level L0" in done.stdout


def test_a_driver_that_runs_nothing_is_found_out(drivers):
    found = outcomes("null", "open/*", "add/vector/*", "exp/vector/*", "constant/*", "iota/vector/float32/*")
    passed = {id for id, words in found.items() if not words}
    assert passed == {"open/devices/any/L0/open:null"}
    assert "units in the last place" in found["add/vector/float32/L0/value:null"]


def test_a_driver_that_runs_nothing_gives_zeros_and_keeps_arrays(drivers):
    device = drivers.open("null").devices()[0]
    x = px.device_put(np.arange(3.0, dtype=np.float32), device)
    np.testing.assert_array_equal(np.asarray(x), [0, 1, 2])
    y = px.jit(lambda x: x + 1)(x)
    assert y.device is device
    np.testing.assert_array_equal(np.asarray(y), [0, 0, 0])
