"""Plugins that are missing, broken, too old, too new, that raise, hang or end the process: portax survives them all.

Each test builds distributions in a temporary folder: a package, its manifest, and the metadata that pip would write.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import textwrap
import time

import pytest
from click.testing import CliRunner

from portax.backend import Backend, BackendError, BackendRefused, Capabilities, Device, UnknownBackendError
from portax.cli.commands import main
from portax.runtime import plugins as room
from portax.runtime.discovery import Host, Manifest, Span, State, discover, read_manifest
from portax.runtime.plugins import Plugins, Probe, probe

HOST = Host("2.5", interface=Span((1, 1), (1, 4)), opset=Span((2,), (3,)))

WORKING = """
from portax.backend import Backend, Capabilities, Device, hookimpl

class OneDevice(Device):
    id, kind, platform, host_memory = 0, "imaginary", NAME, False
    put = host = wait = ready = delete = deleted = copy_to = None

class OneBackend(Backend):
    name, version = NAME, "1"
    def __init__(self, options):
        self.options, self.device = options, OneDevice()
    @property
    def capabilities(self):
        return Capabilities()
    def devices(self):
        return (self.device,)
    def compile(self, program, options, devices):
        raise NotImplementedError

@hookimpl
def portax_register_backend(register):
    register(NAME, OneBackend)
"""

NO_DEVICE = WORKING.replace("return (self.device,)", "return ()")
BROKEN_IMPORT = "import a_library_that_is_not_there"
RAISES = "raise RuntimeError('the driver is of\\n another kernel')"
EXITS = "import sys; sys.exit(3)"
ABORTS = "import os; os.abort()"
HANGS = "import time; time.sleep(600)"
OPEN_FAILS = WORKING.replace("self.options, self.device = options", "raise OSError('permission denied: /dev/fake0')#")
REGISTERS_NOTHING = "from portax.backend import hookimpl\n\n@hookimpl\ndef portax_register_backend(register): pass"
IMPORTS_TOLD = "import os, pathlib; pathlib.Path(os.environ['IMPORTS']).open('a').write(__name__ + ' ')\n" + WORKING


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A function that installs a fake distribution."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("IMPORTS", str(tmp_path / "imports"))
    for name in ("PORTAX_PLATFORMS", "PORTAX_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    names = []

    def install(
        name,
        code=WORKING,
        *,
        interface=("1.1", "1.4"),
        opset=(2, 3),
        priority=10,
        manifest=None,
        version="0.7",
        distribution=None,
        target=None,
        metadata=True,
        package=True,
    ):
        distribution = distribution or f"portax-{name}"
        top = distribution.replace("-", "_")
        if package:
            (folder / top).mkdir()
            (folder / top / "__init__.py").write_text(f"NAME = {name!r}\n{code}")
        names.append(top)
        if package and manifest is not False:
            text = manifest or (
                f"name = {name!r}\ninterface = {json.dumps(interface)}\n"
                f"opset = {json.dumps(opset)}\npriority = {priority}\n"
            )
            (folder / top / "portax_backend.toml").write_text(text)
        if metadata:
            info = folder / f"{top}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
            (info / "entry_points.txt").write_text(f"[portax.backends]\n{name} = {target or top}\n")
        return name

    install.folder, install.imports = folder, tmp_path / "imports"
    yield install
    for name in names:
        for module in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
            del sys.modules[module]


class HereDevice(Device):
    id, kind, platform, host_memory = 0, "NumPy", "reference", True
    put = host = wait = ready = delete = deleted = copy_to = None


class Here(Backend):
    name, version = "reference", "1"

    def __init__(self, options):
        self.device = HereDevice()

    @property
    def capabilities(self):
        return Capabilities()

    def devices(self):
        return (self.device,)

    def compile(self, program, options, devices):
        raise NotImplementedError


def plugins_of(site):
    return Plugins(HOST, {"reference": Here}, path=[str(site.folder)])


def doctor(site, *arguments):
    """What ``portax doctor`` prints and returns."""
    before = room._installed
    room.install(plugins_of(site))
    try:
        return CliRunner().invoke(main, ["doctor", *arguments])
    finally:
        room.install(before)


def flat(text):
    return " ".join(text.split())


# Finding.


def test_finding_and_judging_import_nothing(site):
    site("a", IMPORTS_TOLD)
    site("b", IMPORTS_TOLD, opset=(9, 9))
    assert [p.name for p in discover(HOST, [str(site.folder)])] == ["a", "b"]
    assert not site.imports.exists()
    assert "portax_a" not in sys.modules


def test_plugins_are_found_on_the_path_of_python(site):
    site("fake")
    [fake] = [p for p in discover(HOST) if p.name == "fake"]
    assert (fake.distribution, fake.version, fake.state) == ("portax-fake", "0.7", State.FOUND)


def test_what_is_found_agrees_with_the_standard_library(site):
    for name in ("a", "b"):
        site(name, target=f"portax_{name} [extra]")
    points = importlib.metadata.entry_points(group="portax.backends")
    expected = {(p.name, p.module, p.dist.name, p.dist.version) for p in points}
    found = {(p.name, p.target, p.distribution, p.version) for p in discover(HOST)}
    assert found == expected
    assert {"a", "b"} <= {name for name, *_ in found}


def test_a_distribution_that_is_installed_twice_counts_once(site, tmp_path):
    site("fake", version="0.7")
    other = tmp_path / "later" / "portax_fake-0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: Portax_Fake\nVersion: 0.1\n")
    (other / "entry_points.txt").write_text("[other]\nx = y\n\n[portax.backends]\n# a note\nfake = portax_fake\n")
    assert [p.version for p in discover(HOST, [str(site.folder), str(tmp_path / "later"), "/nowhere"])] == ["0.7"]


def test_only_the_plugin_that_is_needed_is_imported(site):
    site("a", IMPORTS_TOLD)
    site("b", IMPORTS_TOLD)
    plugins_of(site).open("b")
    assert site.imports.read_text().split() == ["portax_b"]


def test_a_plugin_under_development_is_named_by_an_environment_variable(site, monkeypatch):
    site("fresh", metadata=False)
    monkeypatch.setenv("PORTAX_PLUGINS", "portax_fresh")
    plugins = plugins_of(site)
    assert plugins.open("fresh").name == "fresh"
    assert plugins.found["fresh"].version == "under development"


def test_a_development_name_that_leads_nowhere_is_reported(site, monkeypatch):
    monkeypatch.setenv("PORTAX_PLUGINS", "portax_nowhere.plugin")
    [nowhere] = discover(HOST, [str(site.folder)])
    assert nowhere.state is State.REFUSED
    assert "there is no package called 'portax_nowhere'" in nowhere.problem


def test_the_manifest_says_all_that_is_needed():
    text = 'name = "x"\ninterface = ["1.0", "1.10"]\nopset = [1, 2]\npriority = 5\nhost_memory = true'
    assert read_manifest(text) == Manifest("x", Span((1, 0), (1, 10)), Span((1,), (2,)), 5, True)


@pytest.mark.parametrize(
    "text, words",
    [
        ('interface = ["1.0", "1.0"]\nopset = [1, 1]', "'name' must be the backend's name"),
        ('name = "x"\nopset = [1, 1]', r"'interface' must be \[oldest, newest\]"),
        ('name = "x"\ninterface = ["1.0", "1.0"]\nopset = 1', r"'opset' must be \[oldest, newest\]"),
        ('name = "x"\ninterface = ["1.0", "next"]\nopset = [1, 1]', "'next' is no version"),
        ('name = "x"\ninterface = ["1", "1"]\nopset = [1, 1]\npriority = "high"', "'priority' must be a whole number"),
    ],
)
def test_a_malformed_manifest_names_the_entry(text, words):
    with pytest.raises(ValueError, match=words):
        read_manifest(text)


# Negotiation: one line, both versions, one command.

REFUSALS = [
    pytest.param(
        {"interface": ("0.3", "1.0")},
        "portax-fake 0.7 is too old: it is written for interface 0.3 to 1.0, and portax 2.5 has interface 1.1 to 1.4",
        "pip install --upgrade portax-fake",
        id="too-old",
    ),
    pytest.param(
        {"interface": ("2.0", "2.0")},
        "portax-fake 0.7 is too new: it is written for interface 2.0, and portax 2.5 has interface 1.1 to 1.4",
        "pip install --upgrade portax",
        id="too-new",
    ),
    pytest.param(
        {"opset": (1, 1)},
        "portax-fake 0.7 is too old: it is written for opset 1, and portax 2.5 has opset 2 to 3",
        "pip install --upgrade portax-fake",
        id="opset-too-old",
    ),
    pytest.param(
        {"opset": (4, 9)},
        "portax-fake 0.7 is too new: it is written for opset 4 to 9, and portax 2.5 has opset 2 to 3",
        "pip install --upgrade portax",
        id="opset-too-new",
    ),
    pytest.param(
        {"manifest": False},
        "portax-fake 0.7 has no usable manifest: the package 'portax_fake' has no file portax_backend.toml",
        "pip install --upgrade portax-fake",
        id="no-manifest",
    ),
    pytest.param(
        {"manifest": "name = "},
        "portax-fake 0.7 has no usable manifest: Invalid value (at end of document)",
        "pip install --upgrade portax-fake",
        id="damaged-manifest",
    ),
    pytest.param(
        {"manifest": 'name = "other"\ninterface = ["1.1", "1.1"]\nopset = [2, 2]'},
        "portax-fake 0.7 installs 'fake' and its manifest calls it 'other'",
        "pip install --upgrade portax-fake",
        id="other-name",
    ),
    pytest.param(
        {"package": False},
        "portax-fake is damaged: there is no package called 'portax_fake'",
        "pip install --force-reinstall portax-fake",
        id="missing",
    ),
]


@pytest.mark.parametrize("how, problem, fix", REFUSALS)
def test_a_plugin_that_does_not_fit_is_refused_in_one_line(site, how, problem, fix):
    site("fake", IMPORTS_TOLD, **how)
    site("good")
    plugins = plugins_of(site)
    with pytest.raises(BackendRefused) as refused:
        plugins.open("fake")
    assert refused.value.wrong == problem
    assert refused.value.fix == f"Mend it with: {fix}"
    assert not site.imports.exists()
    assert plugins.default() == "good"


@pytest.mark.parametrize("how, problem, fix", REFUSALS)
def test_doctor_says_why_a_plugin_is_refused_and_what_to_type(site, how, problem, fix):
    site("fake", **how)
    result = doctor(site)
    assert result.exit_code == 1
    assert "fake: refused" in result.output
    assert problem in result.output
    assert f"To mend it: {fix}" in result.output


def test_a_plugin_for_an_overlapping_range_is_accepted(site):
    site("fake", interface=("0.9", "1.1"), opset=(3, 7))
    assert plugins_of(site).open("fake").name == "fake"


def test_of_two_plugins_with_one_name_the_first_is_used(site):
    site("fake", distribution="portax-fake")
    site("fake", distribution="portax-fake-too")
    plugins = plugins_of(site)
    states = {p.distribution: p.state for p in plugins.found.values()}
    assert sorted(s.name for s in states.values()) == ["FOUND", "REFUSED"]
    [second] = [p for p in plugins.found.values() if p.state is State.REFUSED]
    assert "two distributions provide a backend called 'fake'" in second.problem
    assert second.fix == f"pip uninstall {second.distribution}"
    assert plugins.open("fake").name == "fake"


# Loading.


def test_a_working_plugin_is_opened_once_with_its_options(site):
    site("fake")
    plugins = plugins_of(site)
    plugins.options["fake"] = {"speed": "11"}
    backend = plugins.open("fake")
    assert plugins.open("fake") is backend
    assert backend.options == {"speed": "11"}
    assert plugins.found["fake"].state is State.OPEN


def test_an_unknown_backend_names_those_that_are_installed(site):
    site("fake")
    with pytest.raises(UnknownBackendError) as unknown:
        plugins_of(site).open("opencl")
    assert unknown.value.wrong == "no backend is called 'opencl'; installed here: 'fake', 'reference'"
    assert unknown.value.fix == "Install it with: pip install portax-opencl"


FAILURES = [
    pytest.param(
        BROKEN_IMPORT,
        "ModuleNotFoundError: No module named 'a_library_that_is_not_there'",
        "pip install a_library_that_is_not_there",
        id="broken-import",
    ),
    pytest.param(RAISES, "RuntimeError: the driver is of another kernel", "portax doctor", id="raises"),
    pytest.param(EXITS, "SystemExit: 3", "portax doctor", id="exits"),
    pytest.param(OPEN_FAILS, "OSError: permission denied: /dev/fake0", "portax doctor", id="cannot-open"),
    pytest.param(REGISTERS_NOTHING, "registered nothing, not 'fake'", "portax doctor", id="registers-nothing"),
    pytest.param("x = 1", "registered nothing, not 'fake'", "portax doctor", id="no-hook"),
    pytest.param("def f(:", "SyntaxError: ", "portax doctor", id="syntax"),
]


@pytest.mark.parametrize("code, problem, fix", FAILURES)
def test_what_a_plugin_raises_is_caught_and_kept(site, code, problem, fix):
    site("fake", code)
    plugins = plugins_of(site)
    with pytest.raises(BackendError) as failed:
        plugins.open("fake")
    assert failed.value.wrong.startswith("the backend 'fake' (portax-fake 0.7) did not load: ")
    assert problem in failed.value.wrong
    assert "\n" not in failed.value.wrong
    assert fix in failed.value.fix
    fake = plugins.found["fake"]
    assert fake.state is State.FAILED
    assert "Traceback" in fake.trace


@pytest.mark.parametrize("code, problem, fix", FAILURES)
def test_a_plugin_that_fails_leaves_the_others_and_the_default_alone(site, code, problem, fix):
    site("fake", code, priority=90)
    site("good", priority=20)
    plugins = plugins_of(site)
    with pytest.warns(RuntimeWarning, match="the backend 'fake' .* did not load: .*; see: portax doctor"):
        assert plugins.default() == "good"
    assert plugins.open("reference").devices()[0].kind == "NumPy"


# The default.


def test_the_usable_backend_of_highest_priority_is_the_default(site):
    site("low", priority=5)
    site("high", priority=50)
    site("absent", NO_DEVICE, priority=70)
    assert plugins_of(site).default() == "high"


def test_without_a_usable_plugin_the_reference_device_is_the_default(site):
    assert plugins_of(site).default() == "reference"
    site("absent", NO_DEVICE)
    assert plugins_of(site).default() == "reference"


@pytest.mark.parametrize("wanted, chosen", [("low", "low"), ("absent,low,high", "low"), ("reference", "reference")])
def test_the_environment_restricts_and_orders_the_choice(site, monkeypatch, wanted, chosen):
    site("low", priority=5)
    site("high", IMPORTS_TOLD, priority=50)
    site("absent", NO_DEVICE)
    monkeypatch.setenv("PORTAX_PLATFORMS", wanted)
    assert plugins_of(site).default() == chosen
    assert not site.imports.exists()


def test_a_wanted_backend_that_is_not_usable_is_an_error(site, monkeypatch):
    site("absent", NO_DEVICE)
    monkeypatch.setenv("PORTAX_PLATFORMS", "absent")
    with pytest.raises(BackendError, match="PORTAX_PLATFORMS=absent: the backend 'absent' finds no device"):
        plugins_of(site).default()
    monkeypatch.setenv("PORTAX_PLATFORMS", "cuda")
    with pytest.raises(UnknownBackendError, match="PORTAX_PLATFORMS=cuda: no backend is called 'cuda'"):
        plugins_of(site).default()


def test_a_plugin_that_appears_is_seen_after_a_refresh(site):
    plugins = plugins_of(site)
    assert plugins.default() == "reference"
    site("fake")
    assert plugins.default() == "reference"
    plugins.refresh()
    assert plugins.default() == "fake"


# Hanging and crashing.

CHILD = """
import json, sys, warnings
from portax.runtime.discovery import Host, Span
from portax.runtime.plugins import Plugins
from test_plugins import Here
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
    result = doctor(site, "--timeout", "5")
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
