"""``portax new-backend`` writes a driver's package that runs as it is written, each way."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

import portax as px
import portax.numpy as pnp
from portax.cli import scaffold
from portax.cli.commands import main
from portax.runtime import discovery, plugins

try:
    import portax_pjrt
except ImportError:
    portax_pjrt = None

WAYS = [
    "eager",
    pytest.param("kernels", marks=pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler: cc")),
    pytest.param("compiler", marks=pytest.mark.skipif(portax_pjrt is None, reason="portax-pjrt is not installed")),
]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A function that writes a package, and lets this process find it."""
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path / "cache"))
    before = plugins.installed()

    def make(way):
        name = f"made_{way}"
        done = CliRunner().invoke(main, ["new-backend", name, "--way", way, "--folder", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        monkeypatch.syspath_prepend(str(tmp_path / name / "src"))
        monkeypatch.setenv("PORTAX_PLUGINS", f"portax_{name}")
        plugins.install(plugins.Plugins(before.host, before.builtin))
        return tmp_path / name

    yield make
    plugins.install(before)


@pytest.mark.parametrize("way", WAYS)
def test_the_package_runs_as_it_is_written(made, way):
    made(way)
    (device,) = plugins.installed().open(f"made_{way}").devices()
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)

    def loss(w):
        return (pnp.tanh(x @ w) ** 2).sum() + pnp.sort(w, axis=0)[0, 0]

    got = px.jit(px.grad(loss))(px.device_put(x.T, device))
    assert got.device is device
    np.testing.assert_allclose(np.asarray(got), np.asarray(px.grad(loss)(x.T)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", ["eager", "kernels", "compiler"])
def test_every_file_of_the_package_is_whole(tmp_path, way):
    written = scaffold.write("my_chip", way, tmp_path / "p")
    assert {"README.md", ".gitignore", "src/portax_my_chip/backend.py", "tests/test_portax_my_chip.py"} <= set(written)
    for path in written:
        text = (tmp_path / "p" / path).read_text("utf-8")
        assert "%{" not in text and "PACKAGE" not in path, path
        if path.endswith(".py"):
            ast.parse(text)
            assert all(len(line) <= 120 for line in text.splitlines()), path
    project = tomllib.loads((tmp_path / "p" / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "portax-my-chip"
    assert project["entry-points"]["portax.backends"] == {"my_chip": "portax_my_chip"}
    manifest = discovery.read_manifest((tmp_path / "p/src/portax_my_chip/portax_backend.toml").read_text("utf-8"))
    host = discovery.this_portax()
    assert manifest.name == "my_chip" and manifest.interface.meets(host.interface) and manifest.opset.meets(host.opset)
    readme = (tmp_path / "p" / "README.md").read_text("utf-8")
    assert "(conformance.svg)" in readme and "conformance.svg" in written
    assert "${{ matrix.python }}" in (tmp_path / "p/.github/workflows/conformance.yml").read_text("utf-8")


@pytest.mark.parametrize(("way", "most"), [("eager", 150), ("kernels", 200), ("compiler", 200)])
def test_a_driver_is_short(tmp_path, way, most):
    scaffold.write("mine", way, tmp_path / "p")
    lines = [len(f.read_text("utf-8").splitlines()) for f in (tmp_path / "p/src").rglob("*.py")]
    assert sum(lines) < most


def test_the_next_steps_are_said(tmp_path):
    done = CliRunner().invoke(main, ["new-backend", "mine", "--folder", str(tmp_path / "p")])
    assert f"written: {tmp_path / 'p' / 'pyproject.toml'}" in done.output
    assert "portax-conformance run --backend mine --level L0 --full" in done.output


@pytest.mark.parametrize("name", ["My-Chip", "1chip", "", "lambda", "a b"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    done = CliRunner().invoke(main, ["new-backend", name, "--folder", str(tmp_path / "p")])
    assert done.exit_code == 1
    assert f"{name!r} cannot be the name of a backend" in done.output
    assert "Give small letters, digits and underscores" in done.output
    assert not (tmp_path / "p").exists()


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "notes").write_text("mine")
    done = CliRunner().invoke(main, ["new-backend", "mine", "--folder", str(tmp_path)])
    assert done.exit_code == 1
    assert "is there already" in done.output and "Give another folder with --folder" in done.output
    assert [f.name for f in tmp_path.iterdir()] == ["notes"]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_package_passes_the_first_level_as_it_is_written(made, way, capsys):
    folder = made(way)
    path = os.pathsep.join(filter(None, [str(folder / "src"), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "portax_conformance", "run", "--backend", f"made_{way}", "--level", "L0", "--full"]
    began = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"pass made_{way}: level L0" in done.stdout
    with capsys.disabled():
        print(f"\n{way}: level L0 in {time.perf_counter() - began:.0f} s")
