"""The driver is judged as any other is: a sample of what every driver must run, each case in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip(
    "portax_opencl", reason="OpenCL is not installed: pip install 'portax-opencl[pocl]'", exc_type=ImportError
)
pytest.importorskip("portax_conformance", reason="the suite is not installed: pip install portax-conformance")


def test_it_runs_what_every_driver_must(device, tmp_path):
    """Several minutes: a compiler of OpenCL takes a third of a second for the smallest program."""
    asked = ["run", "--backend", "opencl", "--level", "L0", "--full", "--limit", "600", "--report", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "portax_conformance", *asked], capture_output=True, text=True, timeout=7200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "report.json").read_text())
    assert [v["verdict"] for v in content["verdicts"] if v["backend"] == "opencl"] == ["pass"]
    assert content["counts"]["opencl"]["pass"] > 500 and not content["counts"]["opencl"]["unsupported"]
