"""What the page on compiling ahead shows of TPUs is what libtpu says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from portax.cli import compile as compile_room
from portax.cli.commands import main

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "compile-ahead.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "ahead" / "pod_slice.py"

pytestmark = pytest.mark.aot


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    """Without how long it took, and without padding."""
    return [" ".join(line.split()) for line in text.splitlines() if "lowered in" not in line]


@pytest.mark.parametrize(("function", "target"), [("step.py:step", "tpu:v5e:1x1"), ("many.py:divided", "tpu:v5e:2x2")])
def test_a_report_is_the_one_on_the_page(tmp_path, monkeypatch, function, target) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    texts = fenced("text")
    (tmp_path / "step.py").write_text(fenced("python")[0])
    (tmp_path / "many.py").write_text(next(text for text in texts if text.startswith("import")))
    done = CliRunner().invoke(main, ["compile", function, "--target", target])
    shown = next(text for text in texts if text.startswith(f"step for {target} "))
    assert done.exit_code == 0 and lines(done.output) == lines(shown)


def test_a_row_of_the_table_is_what_libtpu_predicts() -> None:
    rows = re.findall(r"^\| `v5e:(\w+)` \| (\d+) \| ([\d.]+) GiB \| ([\d.]+) \| ([\d.]+) ms \|", PAGE, re.MULTILINE)
    assert len(rows) >= 4
    shape, chips, memory, operations, time = next(row for row in rows if row[0] == "2x2")
    found = compile_room.report(f"{EXAMPLE}:step", f"tpu:v5e:{shape}")
    assert found.devices == int(chips)
    assert found.flops is not None and found.flops / 1e12 == pytest.approx(float(operations), rel=0.01)
    assert found.predicted is not None and found.predicted * 1e3 == pytest.approx(float(time), rel=0.01)
    used = sum(found.memory[part] for part in ("arguments", "results", "temporaries")) - found.memory["shared by both"]
    assert used / 2**30 == pytest.approx(float(memory), rel=0.01)


def test_a_program_that_does_not_fit_is_refused_with_how_much_it_wants(tmp_path) -> None:
    (tmp_path / "big.py").write_text("def f(x): return (x @ x, x @ x.T)\n")
    done = CliRunner().invoke(
        main, ["compile", f"{tmp_path / 'big.py'}:f", "--target", "tpu:v5e:1x1", "--args", "f32[65536,65536]"]
    )
    assert done.exit_code == 1
    assert "a program does not fit into the memory of tpu:v5e:1x1" in done.output and "Traceback" not in done.output
