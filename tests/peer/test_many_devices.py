"""The programs for many devices are JAX programs: with nothing but import lines changed, JAX finds the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.peer

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted((EXAMPLES / "many_devices").glob("*.py"))


def changed(source: str) -> str:
    for old, new in (
        (r"^import portax as", "import jax as"),
        (r"^import portax\.", "import jax."),
        (r"^from portax\b", "from jax"),
    ):
        source = re.sub(old, new, source, flags=re.MULTILINE)
    return source


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_a_program_says_the_same_with_its_imports_changed(path, tmp_path):
    for file in (EXAMPLES / "digits.py", path):
        target = tmp_path / file.relative_to(EXAMPLES)
        target.parent.mkdir(exist_ok=True)
        target.write_text(changed(file.read_text("utf-8")), "utf-8")
    # Flags of XLA may say how many devices there are, too.
    settings = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / path.relative_to(EXAMPLES))],
        env={**settings, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("8 devices") and lines[-1].startswith("the same ")
