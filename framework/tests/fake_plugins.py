"""Distributions made up for tests of plugins: a package, its manifest, and the metadata that pip would write."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from portax.backend import Backend, Capabilities, Device
from portax.cli.commands import main
from portax.runtime import plugins as room
from portax.runtime.discovery import Host, Span
from portax.runtime.plugins import Plugins

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
    """A function that installs a fake distribution in a temporary folder: its package, manifest and metadata."""
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
