"""The page on many devices prints what it shows on eight devices of either kind, and runs on fewer.

The run of all pages has the devices that its process has; this one starts processes with as many as it wants.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "many-devices.md"


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("kind", ["cpu", "reference"])
def test_the_page_prints_what_it_shows(kind, count):
    settings = {"PORTAX_PLATFORMS": kind, f"PORTAX_{kind.upper()}_DEVICES": str(count)}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(fenced("python"))],
        env={**os.environ, **settings}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{count} 0"
    if count == 8:
        assert done.stdout == "".join(fenced("text"))


def test_what_the_page_shows_is_found():
    assert len(fenced("python")) > 8 and len(fenced("text")) > 4
