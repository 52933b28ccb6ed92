"""The page on compiling ahead: its script and its commands do what the page shows, for devices that are here.

What it shows of TPUs is compared in ``backends/tpu/tests``, where libtpu is.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from portax.cli.commands import main
from portax.errors import BackendError
from portax.runtime import targets

PAGE = (Path(__file__).parents[2] / "docs" / "compile-ahead.md").read_text("utf-8")


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The arguments of each `portax` that the page says to type, once."""
    lines = [line.partition("#")[0] for block in fenced("sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("portax ")]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "step.py").write_text(fenced("python")[0])
    (tmp_path / "many.py").write_text(next(block for block in fenced("text") if block.startswith("import")))


def compiles_here() -> bool:
    try:
        targets.backend_for("cpu")
    except BackendError:
        return False
    return True


@pytest.mark.skipif(not compiles_here(), reason="portax-cpu is not installed")
def test_the_scripts_compile_for_devices_that_are_here(here) -> None:
    shapes = ["--args", "f32[512,128],f32[64,512]"]
    for spec, more in (("step.py:step", []), ("step.py:step", shapes), ("many.py:divided", [])):
        done = CliRunner().invoke(main, ["compile", spec, "--target", "cpu", *more])
        assert done.exit_code == 0, done.output
        assert "it did not run" in done.output and "memory of arguments" in done.output


def test_every_command_of_the_page_is_one(here) -> None:
    found = commands()
    assert ["targets"] in found and len(found) >= 4
    for arguments in found:
        with main.make_context("portax", list(arguments), resilient_parsing=False) as context:
            name, command, rest = main.resolve_command(context, list(arguments))
            command.make_context(name, rest, parent=context)


def test_every_option_is_in_the_pages_table() -> None:
    listed = set(re.findall(r"^\| `(--\w+)", PAGE, re.MULTILINE))
    assert listed == {o for p in main.commands["compile"].params for o in p.opts if o.startswith("--")}
