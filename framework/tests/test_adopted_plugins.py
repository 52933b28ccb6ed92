"""Plugins made for another host: found without being imported, and opened for the first time where they do no harm."""

from __future__ import annotations

import os
import sys

import pytest
from fake_plugins import HOST, doctor, flat, plugins_of, site  # noqa: F401, `site` is a fixture

from portax.errors import BackendError, BackendRefused
from portax.runtime import plugins as room
from portax.runtime.adoption import Adopts, foundlings
from portax.runtime.discovery import State, discover, read_manifest

MANIFEST = """
name = "adopter"
interface = ["1.1", "1.4"]
opset = [2, 3]
priority = 7
[adopts]
entry_points = "other_plugins"
package = "other_plugins"
variable = "OTHER_PLUGINS"
call = "announce"
"""

DRIVER = """
import importlib
from portax.backend import Backend, BackendError, Capabilities, Device, hookimpl

class Taken(Backend):
    version, about = "1", "other host 3.2"
    def __init__(self, name, source, options):
        self.name = name
        importlib.import_module(source).start()
    @property
    def capabilities(self):
        return Capabilities()
    def devices(self):
        device = type("D", (Device,), dict.fromkeys(Device.__abstractmethods__))()
        device.id, device.kind, device.platform, device.backend = 0, "imaginary", self.name, self
        return (device,)
    def compile(self, program, options, devices):
        raise NotImplementedError

@hookimpl
def portax_register_backend(register, adopted):
    for name, source in adopted.items():
        register(name, lambda options: Taken(name, source, options))
"""

QUIET = "import os, pathlib; pathlib.Path(os.environ['IMPORTS']).open('a').write(__name__ + ' ')\n"
STARTS = QUIET + "def start(): pass\ndef go():\n    announce(\n        'abacus', library='x')\n"
ABORTS = QUIET + "def start():\n    import os; os.abort()\n"
HANGS = QUIET + "def start():\n    import time; time.sleep(600)\n"
RAISES = QUIET + "def start():\n    raise RuntimeError('the beads are\\n stuck')\n"


@pytest.fixture
def other(site, monkeypatch):  # noqa: F811
    """A function that writes a plugin of the other host; the driver that adopts such is installed."""
    monkeypatch.delenv("OTHER_PLUGINS", raising=False)
    site("adopter", DRIVER, manifest=MANIFEST)
    (site.folder / "other_plugins").mkdir()

    def write(module, code=STARTS, *, distribution=None, entry=None):
        (site.folder / "other_plugins" / f"{module}.py").write_text(code)
        if distribution:
            info = site.folder / f"{distribution.replace('-', '_')}-3.2.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 3.2\n")
            (info / "entry_points.txt").write_text(f"[other_plugins]\n{entry or module} = other_plugins.{module}\n")

    yield write
    for name in [n for n in sys.modules if n.startswith(("other_plugins", "portax_adopter"))]:
        del sys.modules[name]


def found(site):  # noqa: F811
    return {p.name: p for p in discover(HOST, [str(site.folder)])}


def test_what_is_adopted_is_found_and_not_imported(site, other):  # noqa: F811
    other("beads", distribution="vendor-beads")
    plugin = found(site)["abacus"]
    assert (plugin.distribution, plugin.version, plugin.source) == ("vendor-beads", "3.2", "other_plugins.beads")
    assert (plugin.state, plugin.priority, plugin.target) == (State.FOUND, 7, "portax_adopter")
    assert not site.imports.exists()


def test_a_driver_that_adopts_is_no_backend_itself(site, other):  # noqa: F811
    assert found(site) == {}
    other("beads", distribution="vendor-beads")
    assert list(found(site)) == ["abacus"]


def test_a_device_whose_name_is_not_in_the_source_is_called_as_its_entry_point(site, other):  # noqa: F811
    other("beads", "NAME = 'abacus'\ndef start(): announce(NAME)", distribution="vendor-beads", entry="counting")
    assert list(found(site)) == ["counting"]


def test_a_plugin_may_announce_several_devices(site, other):  # noqa: F811
    other("beads", 'def start():\n    announce("big")\n    announce(name="small")\n', distribution="vendor-beads")
    assert sorted(found(site)) == ["big", "small"]


def test_a_module_of_the_namespace_needs_no_entry_point(site, other):  # noqa: F811
    other("beads")
    assert found(site)["abacus"].distribution == "other_plugins.beads"
    other("wires", "def start(): pass", distribution="vendor-wires")
    assert sorted(found(site)) == ["abacus", "wires"]


def test_libraries_are_named_by_a_variable(site, other, monkeypatch):  # noqa: F811
    monkeypatch.setenv("OTHER_PLUGINS", f"slide{os.pathsep}/opt/slide.so,broken")
    plugins = found(site)
    assert (plugins["slide"].source, plugins["slide"].version) == ("/opt/slide.so", "slide.so")
    assert plugins["broken"].state is State.REFUSED
    with pytest.raises(BackendRefused, match="OTHER_PLUGINS says 'broken', which is not name"):
        plugins_of(site).open("broken")


def test_a_driver_of_portax_comes_before_a_plugin_of_its_name(site, other):  # noqa: F811
    other("beads", distribution="vendor-beads")
    site("abacus", priority=1)
    plugins = found(site)
    assert plugins["abacus"].distribution == "portax-abacus"
    left = plugins["abacus (vendor-beads)"]
    assert left.problem == "portax-abacus drives 'abacus' here, and vendor-beads is left to it"
    assert left.fix.startswith("pip uninstall portax-abacus, if")


def test_two_plugins_of_one_name_are_told_apart(site, other, monkeypatch):  # noqa: F811
    other("beads", distribution="vendor-beads")
    other("copy")
    monkeypatch.setenv("OTHER_PLUGINS", f"abacus{os.pathsep}/opt/slide.so")
    plugins = found(site)
    assert plugins["abacus"].distribution == "vendor-beads"
    assert plugins["abacus (other_plugins.copy)"].fix == "remove other_plugins.copy from the path"
    assert plugins["abacus (OTHER_PLUGINS)"].fix == "unset OTHER_PLUGINS"


def test_an_adopted_plugin_is_opened_by_the_driver(site, other):  # noqa: F811
    other("beads", distribution="vendor-beads")
    backend = plugins_of(site).open("abacus")
    assert (backend.name, backend.about) == ("abacus", "other host 3.2")


def test_a_plugin_is_tried_elsewhere_once_and_then_trusted(site, other):  # noqa: F811
    other("beads", distribution="vendor-beads")
    plugins_of(site).open("abacus")
    assert site.imports.read_text().split() == ["other_plugins.beads"] * 2
    del sys.modules["other_plugins.beads"]
    plugins_of(site).open("abacus")
    assert site.imports.read_text().split() == ["other_plugins.beads"] * 3


def test_another_state_of_a_library_is_tried_anew(site, other, monkeypatch, tmp_path):  # noqa: F811
    library = tmp_path / "slide.so"
    library.write_text("one")
    monkeypatch.setenv("OTHER_PLUGINS", f"slide{os.pathsep}{library}")
    mark = room._Mark(found(site)["slide"])
    mark.prove()
    assert room._Mark(found(site)["slide"]).proven()
    library.write_text("another")
    assert not room._Mark(found(site)["slide"]).proven()


@pytest.mark.parametrize(
    "code, words",
    [
        pytest.param(ABORTS, r"it ended the process while loading \(signal 6\)", id="ends the process"),
        pytest.param(RAISES, "RuntimeError: the beads are stuck", id="raises"),
    ],
)
def test_a_plugin_that_does_harm_is_refused_in_a_line(site, other, code, words):  # noqa: F811
    other("beads", code, distribution="vendor-beads", entry="abacus")
    plugins = plugins_of(site)
    with pytest.raises(BackendError, match=r"the backend 'abacus' \(vendor-beads 3.2\) did not load: " + words):
        plugins.open("abacus")
    assert plugins.found["abacus"].state is State.FAILED
    assert "other_plugins.beads" not in sys.modules


def test_a_plugin_that_hangs_is_refused_after_a_while(site, other, monkeypatch):  # noqa: F811
    monkeypatch.setattr(room, "_LONG_PATIENCE", 3.0)
    other("beads", HANGS, distribution="vendor-beads", entry="abacus")
    with pytest.raises(BackendError, match="did not finish loading within 3 seconds"):
        plugins_of(site).open("abacus")


def test_doctor_says_what_an_adopted_plugin_runs_on(site, other):  # noqa: F811
    other("beads", distribution="vendor-beads")
    told = flat(doctor(site).output)
    assert "vendor-beads 3.2" in told and "other host 3.2" in told and "works" in told


@pytest.mark.parametrize(
    "table, words",
    [
        ("adopts = 3", "'adopts' must be a table of texts"),
        ("[adopts]\ncall = 3", "'adopts' must be a table of texts"),
        ("[adopts]\nfolder = 'x'", "'adopts' has no entry 'folder', only"),
    ],
)
def test_a_table_that_is_wrong_is_refused(table, words):
    head = 'name = "x"\ninterface = ["1.0", "1.0"]\nopset = [1, 1]\n'
    with pytest.raises(ValueError, match=words):
        read_manifest(head + table)


def test_nothing_is_looked_for_where_nothing_is_said(monkeypatch):
    monkeypatch.setenv("OTHER_PLUGINS", "a:b")
    assert list(foundlings(Adopts(), (), sys.path)) == []
