"""These tests need a compiler of C++, and no GPU: kernels run on the processor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: What is judged: every case of what each driver must run, and once every law of each primitive, at any dtype.
CASES = {"must": ("--level", "L0", "--full"), "laws": ("--level", "L1", "--quick")}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the programs of this run are kept; a folder that the setting names saves compiling them again."""
    return os.environ.get("PORTAX_CUDA_SHIM") or str(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="session")
def device(folder):
    import portax_cuda

    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("there is no compiler of C++ here: apt install g++")
    return portax_cuda.CUDABackend({"shim": folder}).devices()[0]


@pytest.fixture(scope="session")
def judged(device, folder, tmp_path_factory):
    """Runs cases of the conformance suite, once: the report, by the name in ``CASES`` and by what runs the kernels.

    That is ``shim``, ``double``, which is the driver of GPUs on what stands in for cupy, or ``gpu``.
    """
    pytest.importorskip("portax_conformance", reason="the suite is not installed: pip install portax-conformance")
    paths = os.pathsep.join([str(HERE / "double"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {
        "shim": {"PORTAX_CUDA_SHIM": folder},
        "double": {"PORTAX_CUDA_SHIM": "", "PYTHONPATH": paths, "CUPY_DOUBLE_FOLDER": folder},
        "gpu": {"PORTAX_CUDA_SHIM": ""},
    }
    known = {}

    def run(cases, on="shim"):
        if (cases, on) not in known:
            at = tmp_path_factory.mktemp("report")
            order = ["run", "--backend", "cuda", "--limit", "1200", "--report", str(at), *CASES[cases]]
            done = subprocess.run(
                [sys.executable, "-m", "portax_conformance", *order],
                capture_output=True, text=True, env={**os.environ, **settings[on]},
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            known[cases, on] = json.loads((at / "report.json").read_text())
        return known[cases, on]

    return run
