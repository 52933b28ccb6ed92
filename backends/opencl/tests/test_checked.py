"""What kernels do with memory, as Oclgrind sees it: no place that is not theirs, nothing unwritten, no race.

    pip install "pyopencl[oclgrind]" && pytest -m devices -s backends/opencl/tests/test_checked.py

Minutes: each of a kernel's steps is interpreted.
"""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.devices

CASES = 150
#: What the checker is told. Its interpreter lacks words for ``restrict``, and for what a compiler makes of rotations.
SETTINGS = {
    "OCLGRIND_DATA_RACES": "1", "OCLGRIND_UNINITIALIZED": "1", "OCLGRIND_BUILD_OPTIONS": "-Drestrict= -cl-opt-disable",
    "PORTAX_CACHE": "0", "PYOPENCL_NO_CACHE": "1",
}  # fmt: skip


def library():
    """Oclgrind as an implementation of OpenCL: beside pyopencl, or the system's."""
    found = importlib.util.find_spec("pyopencl")
    beside = os.path.join(os.path.dirname(found.origin), ".libs") if found and found.origin else ""
    places = [f"{at}/liboclgrind-rt-icd*.so*" for at in (beside, "/usr/lib/*", "/usr/lib")]
    return next((file for place in places for file in sorted(glob.glob(place))), None)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What ``checked.py`` printed."""
    at = library()
    assert at, "Oclgrind is not installed: pip install 'pyopencl[oclgrind]', or apt install oclgrind"
    log = tmp_path_factory.mktemp("oclgrind") / "log"
    env = {**os.environ, **SETTINGS, "OCL_ICD_VENDORS": at, "OCLGRIND_LOG": str(log)}
    env.pop("OCLGRIND_MAX_ERRORS", None)  # once there were so many, the rest of the process is silent
    order = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("checked.py")), str(log), str(CASES)]
    done = subprocess.run(order, env=env, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert "Oclgrind" in lines[0]["device"], lines[0]
    return lines


def test_the_checker_reports_faults_and_nothing_else(told):
    """Else the other test would say nothing."""
    planted = [line for line in told if "planted" in line]
    assert len(planted) == 6
    for line in planted:
        said = line["reports"]
        assert (line["expected"] in said) if line["expected"] else not said, f"{line['planted']}: {said}"


def test_kernels_keep_to_their_memory_and_to_what_is_written_and_run_no_race(told):
    tried = [line for line in told if "id" in line]
    bad = [f"{line['id']}: {line['reports']}" for line in tried if line["reports"]]
    assert not bad, f"{len(bad)} of {len(tried)} cases: " + "\n\n".join(bad[:10])


def test_cases_pass_on_memory_that_is_filled_with_nan(told):
    """What reads memory that nobody wrote gives wrong numbers there."""
    tried = [line for line in told if "id" in line]
    wrong = [f"{line['id']}: {line['words']}" for line in tried if line["outcome"] != "pass"]
    assert not wrong, "\n\n".join(wrong)
    kernels = sum(line["kernels"] for line in tried)
    families = {line["id"].partition("/")[0] for line in tried}
    programs = sum(line["id"].endswith("/gradient/float32") for line in tried)
    count = len(tried) - programs
    print(f"\nOclgrind: {count} cases of {len(families) - programs} families, {programs} programs, {kernels} launches")
    assert count == CASES and programs >= 13 and kernels > CASES
