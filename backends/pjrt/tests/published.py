"""Wheels of plugins as their makers publish them: fetched from a package index once, and unpacked, not installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("PORTAX_TEST_WHEELS") or Path(tempfile.gettempdir()) / "portax-test-wheels")


def unpacked(requirement: str) -> Path:
    """The folder with the contents of a wheel; the test is skipped where the wheel cannot be had."""
    folder = FOLDER / requirement.replace("==", "-")
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        done = subprocess.run(
            [*command, "--dest", str(folder), requirement], capture_output=True, text=True, timeout=600
        )
        wheels = list(folder.glob("*.whl"))
        if done.returncode or not wheels:
            pytest.skip(f"{requirement} cannot be had here: {done.stderr.strip()[-300:]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(folder)
        wheels[0].unlink()
        (folder / "complete").touch()
    return folder
