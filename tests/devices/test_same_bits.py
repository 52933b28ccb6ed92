"""One function is the same bits on every device that takes kernels, however different their compilers are.

    pytest -m devices -s tests/devices

The suite's programs, and samples of every primitive. What is installed of ``implementations.py`` is compared, each
with each; three of them must be there.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from implementations import ABSENT, implementations

pytestmark = pytest.mark.devices

MUST = ("PoCL, from pip", "CUDA's words", "plain C")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """What the command found, and the devices by name."""
    folder = tmp_path_factory.mktemp("bits")
    there = implementations(str(folder / "cuda"))
    for name, said in there.items():
        if not said:
            print(f"\n{name} is absent: {ABSENT[name]}")
    lacking = [f"{name}: {ABSENT[name]}" for name in MUST if not there[name]]
    assert not lacking, f"what must be installed is not: {lacking}"
    said = [f"--backend={name}={at}" for name, at in there.items() if at]
    report = folder / "report.json"
    order = [sys.executable, "-W", "ignore", "-m", "portax_conformance", "bits", *said, "--json", str(report)]
    done = subprocess.run([*order, "--workers", "2"], capture_output=True, text=True)
    print("\n" + done.stdout)
    assert report.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(report.read_text()), [name for name, at in there.items() if at]


def test_every_device_answers(compared):
    report, names = compared
    for name, device in zip(names, report["devices"], strict=True):
        assert not device["failed"], f"{name}: {device['failed']}"
        assert device["arrays"] > 3000, f"{name}: {device['arrays']} arrays"


def test_what_they_answer_is_the_same_bits(compared):
    report, names = compared
    assert len(report["pairs"]) == len(names) * (len(names) - 1) // 2
    for pair in report["pairs"]:
        assert pair["arrays"] > 3000 and pair["alone"] == 0, f"{pair['names']}: {pair['arrays']} arrays"
        assert not pair["differences"], f"{pair['names']}: {pair['differences'][:5]}"
