"""The program for several processes finds what one finds, and says so in each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "many_hosts" / "train_across_processes.py"


def test_two_processes_find_what_one_finds():
    settings = {**os.environ, "PORTAX_PLATFORMS": "cpu", "PORTAX_CPU_DEVICES": "2"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], env=settings, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    for me in range(2):  # XLA's own lines may stand before these, on the same line
        assert f"process {me} of 2, 4 devices, 2 of them here\n" in done.stdout
    assert done.stdout.count("the same parameters") == 2  # with or without the end of its line between
