"""Drivers and portax of different ages: they work together, or the driver is refused in one line. Nothing ever crashes.

The drivers are real: the golden one, which is as old as the interface, and those that ``portax new-backend`` writes
today. Hosts are this portax as it was, or as it may become.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import portax as px
from portax.backend import BackendError, BackendRefused
from portax.cli import scaffold
from portax.runtime import plugins
from portax.runtime.discovery import Host, Span, State, this_portax
from portax.runtime.plugins import Plugins
from portax.runtime.reference_backend import ReferenceBackend

DRIVERS = Path(__file__).with_name("drivers")

#: This portax, and others: versions of the interface and of the opset that they serve.
HOSTS = {
    "this": this_portax(),
    "later": Host("0.9", Span((1, 0), (1, 7)), Span((1,), (3,))),
    "before": Host("0.0.1", Span((0, 1), (0, 9)), Span((0,), (0,))),
    "before-the-opset": Host("0.0.9", Span((1, 0), (1, 0)), Span((0,), (0,))),
    "after": Host("3.0", Span((2, 0), (2, 4)), Span((1,), (9,))),
    "after-the-opset": Host("4.0", Span((1, 0), (2, 4)), Span((5,), (9,))),
}
UPGRADE, UPGRADE_PORTAX = "pip install --upgrade portax_{name}", "pip install --upgrade portax"
#: What each host says of a driver for interface 1.0 and opset 1; None where it takes it.
SAID = {
    "this": None,
    "later": None,
    "before": (
        "is too new: it is written for interface 1.0, and portax 0.0.1 has interface 0.1 to 0.9",
        UPGRADE_PORTAX,
    ),
    "before-the-opset": ("is too new: it is written for opset 1, and portax 0.0.9 has opset 0", UPGRADE_PORTAX),
    "after": ("is too old: it is written for interface 1.0, and portax 3.0 has interface 2.0 to 2.4", UPGRADE),
    "after-the-opset": ("is too old: it is written for opset 1, and portax 4.0 has opset 5 to 9", UPGRADE),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the drivers that are written today lie, and the golden one."""
    made = tmp_path_factory.mktemp("drivers")
    for way in scaffold.WAYS:
        for path, text in scaffold.files_of(f"new_{way}", way):
            if path.startswith("src/"):
                file = made / path.removeprefix("src/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
    return made


@pytest.fixture
def found(folder, monkeypatch, tmp_path):
    """A function that gives the plugins of a host which finds one driver."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.syspath_prepend(str(DRIVERS))
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("PORTAX_PLATFORMS", raising=False)
    before = plugins.installed()

    def look(host, name):
        monkeypatch.setenv("PORTAX_PLUGINS", f"portax_{name}")
        plugins.install(Plugins(HOSTS[host], {"reference": ReferenceBackend}, path=[]))
        return plugins.installed()

    yield look
    plugins.install(before)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", ["golden", "new_eager", "new_kernels", "new_compiler"])
def test_a_driver_is_taken_or_refused_in_one_line(found, name, host):
    here = found(host, name)
    driver = here.found[name]
    if SAID[host] is None:
        assert driver.state is State.FOUND
        return
    words, fix = SAID[host]
    with pytest.raises(BackendRefused) as refused:
        here.open(name)
    assert refused.value.wrong == f"portax_{name} under development {words}"
    assert refused.value.fix == f"Mend it with: {fix.format(name=name)}"
    assert "\n" not in refused.value.wrong
    assert f"portax_{name}" not in sys.modules or name == "golden"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert here.default() == "reference"


@pytest.mark.parametrize("host", [host for host, said in SAID.items() if said is None])
def test_the_oldest_driver_computes_for_every_portax_that_takes_it(found, host):
    device = found(host, "golden").open("golden").devices()[0]
    x = px.device_put(np.arange(6.0, dtype=np.float32).reshape(2, 3), device)
    got = px.jit(px.grad(lambda x: (px.numpy.tanh(x) @ x.T).sum()))(x)
    assert got.device is device and np.isfinite(np.asarray(got)).all()


@pytest.mark.parametrize("host", [host for host, said in SAID.items() if said is not None])
def test_programs_run_on_what_is_left(found, host):
    here = found(host, "golden")
    device = here.open(here.default()).devices()[0]
    assert float(px.jit(lambda x: x * 2)(px.device_put(np.float32(2), device))) == 4


# -- jaxlib -----------------------------------------------------------------------------------------------------------
def versions(monkeypatch, version, number, **bindings):
    """``portax_pjrt.jaxlib.versions`` as it is read beside a jaxlib made up here."""
    spec = importlib.util.find_spec("portax_pjrt")
    if spec is None or spec.origin is None:
        pytest.skip("portax-pjrt is not installed")
    parts = {"version": {"__version__": version}, "xla_client": {"_version": number}, "_jax": bindings, "_hlo": {}}
    top = types.ModuleType("jaxlib")
    top.__path__ = []
    monkeypatch.setitem(sys.modules, "jaxlib", top)
    for name, contents in parts.items():
        module = types.ModuleType(f"jaxlib.{name}")
        module.__dict__.update(contents)
        setattr(top, name, module)
        monkeypatch.setitem(sys.modules, f"jaxlib.{name}", module)
    file = Path(spec.origin).with_name("jaxlib") / "versions.py"
    made = importlib.util.spec_from_file_location("versions_beside_another_jaxlib", file)
    assert made is not None and made.loader is not None
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


def test_a_jaxlib_that_is_too_old_is_refused_by_its_version(monkeypatch):
    with pytest.raises(BackendError) as refused:
        versions(monkeypatch, "0.4.30", 270, JaxRuntimeError=RuntimeError)
    assert refused.value.wrong == "portax needs jaxlib 0.10 or newer for this device, and this is jaxlib 0.4.30"
    assert "pip install --upgrade jaxlib" in refused.value.fix


def test_a_jaxlib_older_than_the_names_that_are_needed_is_too_old(monkeypatch):
    with pytest.raises(BackendError, match=r"portax needs jaxlib 0\.10 or newer for this device, .* jaxlib 0\.4\.1"):
        versions(monkeypatch, "0.4.1", 130)


def test_a_jaxlib_that_is_too_new_is_refused_by_its_version(monkeypatch):
    with pytest.raises(BackendError) as refused:
        versions(monkeypatch, "7.0.0", 9000)
    assert refused.value.wrong.startswith("portax does not know jaxlib 7.0.0, which lacks what it needs: ")
    assert "JaxRuntimeError" in refused.value.wrong and "\n" not in refused.value.wrong
    assert "pip install 'jaxlib>=0.10,<0.13'" in refused.value.fix


def test_a_jaxlib_that_is_newer_and_has_all_that_is_needed_is_taken(monkeypatch):
    assert versions(monkeypatch, "0.13.0", 9000, JaxRuntimeError=RuntimeError).JAXLIB == "0.13.0"


@pytest.mark.slow
@pytest.mark.parametrize(("version", "number", "words"), [
    ("0.4.30", 270, "portax needs jaxlib 0.10 or newer for this device, and this is jaxlib 0.4.30"),
    ("7.0.0", 9000, "portax does not know jaxlib 7.0.0"),
])  # fmt: skip
def test_doctor_says_so_and_portax_goes_on_without(tmp_path, version, number, words):
    """In a process that has such a jaxlib: the default is what is left, and doctor names the version."""
    if importlib.util.find_spec("portax_cpu") is None:
        pytest.skip("portax-cpu is not installed")
    other = tmp_path / "jaxlib"
    other.mkdir()
    for name, text in {"__init__": "", "version": f"__version__ = {version!r}", "xla_client": f"_version = {number}",
                       "_jax": "", "_hlo": ""}.items():  # fmt: skip
        (other / f"{name}.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PORTAX_CACHE_DIR": str(tmp_path / "cache")}
    told = subprocess.run(
        [sys.executable, "-m", "portax", "doctor"], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1 and words in re.sub(r"\s+", " ", told.stdout), told.stdout + told.stderr
    code = "import portax.numpy as pnp; print(float(pnp.arange(4.).sum()), pnp.ones(2).device)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.split() == ["6.0", "reference:0"], done.stdout + done.stderr
