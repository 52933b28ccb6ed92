"""Plugins that raise, hang or end the process: the next process is spared, doctor says why, portax survives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest
from click.testing import CliRunner
from fake_plugins import (
    ABORTS,
    BROKEN_IMPORT,
    EXITS,
    HANGS,
    HOST,
    NO_DEVICE,
    RAISES,
    WORKING,
    doctor,
    flat,
    plugins_of,
)

from portax.backend import BackendError
from portax.cli.commands import main
from portax.runtime import plugins as room
from portax.runtime.discovery import discover
from portax.runtime.plugins import Probe, probe

# Hanging and crashing.

CHILD = """
import json, sys, warnings
from portax.runtime.discovery import Host, Span
from portax.runtime.plugins import Plugins
from fake_plugins import Here
host = Host("2.5", interface=Span((1, 1), (1, 4)), opset=Span((2,), (3,)))
plugins = Plugins(host, {"reference": Here}, path=[sys.argv[1]])
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    print(json.dumps({"default": plugins.default(), "warnings": [str(w.message) for w in seen]}))
"""


def start_process(site):
    folders = [os.path.dirname(__file__), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(site.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )


def run_process(site):
    process = start_process(site)
    out, err = process.communicate(timeout=120)
    return process.returncode, json.loads(out) if out else None, err


def test_a_plugin_that_ended_a_process_is_not_the_default_of_the_next(site):
    site("fake", ABORTS, priority=90)
    site("good", priority=20)
    assert run_process(site)[0] < 0
    for _ in range(2):  # found out by a probe, then remembered
        code, said, err = run_process(site)
        assert (code, said["default"]) == (0, "good"), err
        assert said["warnings"] == [
            "the backend 'fake' (portax-fake 0.7) ended or hung the process that loaded it last, so it is not the "
            "default; see: portax doctor"
        ]


def test_a_plugin_that_hung_a_process_is_not_the_default_of_the_next(site, monkeypatch):
    site("fake", HANGS, priority=90)
    site("good", priority=20)
    hanging = start_process(site)
    marks = site.folder.parent / "cache" / "loading"
    deadline = time.monotonic() + 60
    while not (marks.exists() and any(f.read_text() for f in marks.iterdir())):
        assert time.monotonic() < deadline, "the plugin was never loaded"
        time.sleep(0.05)
    hanging.kill()
    hanging.communicate()
    monkeypatch.setattr(room, "_PATIENCE", 2.0)
    with pytest.warns(RuntimeWarning, match="ended or hung the process that loaded it last"):
        assert plugins_of(site).default() == "good"
    with pytest.warns(RuntimeWarning, match="ended or hung the process that loaded it last"):
        started = time.monotonic()
        assert plugins_of(site).default() == "good"
    assert time.monotonic() - started < 1.0


def test_a_process_killed_at_a_bad_moment_does_not_cost_the_default(site):
    site("good")
    plugins = plugins_of(site)
    mark = room._Mark(plugins.found["good"])
    mark.set()
    mark.file.write_text(str(2**22 + 1))  # no process has this number
    assert plugins.default() == "good"
    assert not mark.file.exists()


def test_a_suspect_plugin_is_forgiven_once_doctor_has_seen_it_load(site):
    site("good")
    plugins = plugins_of(site)
    room._Mark(plugins.found["good"]).condemn()
    with pytest.warns(RuntimeWarning, match="so it is not the default"):
        assert plugins.default() == "reference"
    assert "good (default)" in doctor(site).output
    assert plugins_of(site).default() == "good"


def test_loading_leaves_no_mark(site):
    site("fake")
    site("bad", RAISES)
    plugins = plugins_of(site)
    plugins.open("fake")
    with pytest.raises(BackendError):
        plugins.open("bad")
    assert not list((site.folder.parent / "cache" / "loading").iterdir())


PROBES = [
    pytest.param(WORKING, "works", "", "", id="working"),
    pytest.param(NO_DEVICE, "no device", "it loads, and finds no device on this machine", "", id="no-device"),
    pytest.param(
        BROKEN_IMPORT,
        "raises",
        "ModuleNotFoundError: No module named 'a_library_that_is_not_there'",
        "Install what it needs with: pip install a_library_that_is_not_there",
        id="broken-import",
    ),
    pytest.param(RAISES, "raises", "RuntimeError: the driver is of another kernel", "", id="raises"),
    pytest.param(EXITS, "raises", "SystemExit: 3", "", id="exits"),
    pytest.param(
        ABORTS,
        "crashes",
        "it ended the process while loading (signal 6)",
        "pip install --upgrade portax-fake, or remove it: pip uninstall portax-fake",
        id="aborts",
    ),
    pytest.param(
        "import os; os._exit(0)",
        "crashes",
        "it ended the process while loading (exit status 0)",
        "pip install --upgrade portax-fake, or remove it: pip uninstall portax-fake",
        id="leaves",
    ),
    pytest.param(
        HANGS,
        "hangs",
        "it did not finish loading within 5 seconds",
        "pip uninstall portax-fake, or leave it out: PORTAX_PLATFORMS=reference",
        id="hangs",
    ),
]


@pytest.mark.parametrize("code, verdict, detail, fix", PROBES)
def test_doctor_probes_every_plugin_and_survives_it(site, code, verdict, detail, fix):
    site("fake", code)
    # Only what hangs is cut short: on a busy machine the others may need their time.
    result = doctor(site, "--timeout", "5" if verdict == "hangs" else "60")
    healthy = verdict in ("works", "no device")
    assert result.exit_code == (0 if healthy else 1)
    assert "portax-fake 0.7" in result.output
    assert verdict in result.output
    assert detail in result.output
    assert f"To mend it: {fix}" in result.output if fix else "To mend it:" not in result.output
    assert ("fake (default)" in result.output) == (verdict == "works")
    assert ("reference (default)" in result.output) == (verdict != "works")
    assert "portax_fake" not in sys.modules


def test_a_probe_keeps_what_the_plugin_wrote(site):
    site("fake", "import sys; print('loading', file=sys.stderr); raise OSError('no')")
    [fake] = discover(HOST, [str(site.folder)])
    seen = probe(fake, HOST, path=[str(site.folder)])
    assert isinstance(seen, Probe)
    assert "loading" in seen.output and "OSError: no" in seen.output


def test_doctor_speaks_json(site):
    site("fake")
    site("bad", RAISES)
    result = doctor(site, "--json")
    said = json.loads(result.output)
    assert {b["name"]: b["verdict"] for b in said["backends"]} == {
        "fake": "works",
        "bad": "raises",
        "reference": "works",
    }
    assert said["default"] == "fake"
    assert (said["portax"], said["interface"], said["opset"]) == ("2.5", "1.1 to 1.4", "2 to 3")


def test_devices_lists_what_loads_and_tells_of_the_rest(site):
    site("fake")
    site("bad", RAISES)
    site("old", opset=(1, 1))
    before = room._installed
    room.install(plugins_of(site))
    try:
        result = CliRunner().invoke(main, ["devices"])
    finally:
        room.install(before)
    assert result.exit_code == 0
    assert "fake:0" in result.stdout and "reference:0" in result.stdout
    assert "the backend 'bad' (portax-bad 0.7) did not load: RuntimeError" in result.stderr
    assert "portax-old 0.7 is too old" in result.stderr


# The whole of portax beside plugins of every bad kind.

WHOLE = """
import portax
import portax.numpy as pnp
assert "portax_hanging" not in __import__("sys").modules
print(pnp.arange(3).sum(), [repr(d) for d in portax.devices("reference")])
"""


def test_portax_is_unharmed_by_plugins_of_every_kind(site, monkeypatch):
    kinds = {"hanging": HANGS, "crashing": ABORTS, "broken": BROKEN_IMPORT}
    for name, code in kinds.items():
        site(name, code, priority=1, interface=("1.0", "1.0"), opset=(1, 1))
    site("outdated", priority=900, interface=("0.1", "0.2"), opset=(1, 1))
    monkeypatch.setenv("PORTAX_PLATFORMS", "reference")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site.folder), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", WHOLE], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert flat(done.stdout) == "3 ['reference:0']"
    report = subprocess.run(
        [sys.executable, "-m", "portax", "doctor", "--timeout", "5", "--json"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    said = {b["name"]: b["verdict"] for b in json.loads(report.stdout)["backends"]}
    expected = {"hanging": "hangs", "crashing": "crashes", "broken": "raises", "outdated": "refused"}
    assert {name: said[name] for name in expected} == expected
    assert said["reference"] == "works"


def test_importing_portax_imports_no_plugin_and_no_command_line_library():
    script = textwrap.dedent("""
        import sys, portax
        unwanted = {"click", "rich", "jaxlib", "portax_cpu", "importlib.metadata"} & set(sys.modules)
        assert not unwanted, unwanted
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=120)


def test_without_its_libraries_the_command_says_what_to_install(tmp_path):
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('no', name='click')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-m", "portax", "doctor"], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "The portax command needs click. Install it with: pip install 'portax[cli]'"
