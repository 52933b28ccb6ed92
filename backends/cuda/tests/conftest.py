"""These tests need a compiler of C++, and no GPU: kernels run on the processor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

#: What the kernels are judged by: every case of what each driver must run, and once of each primitive what it means.
CASES = {"must": ("--level", "L0", "--full"), "meaning": ("--level", "L1", "--only", "*/value:cuda")}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the programs of this run are kept."""
    return str(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="session")
def device(folder):
    import portax_cuda

    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("there is no compiler of C++ here: apt install g++")
    return portax_cuda.CUDABackend({"shim": folder}).devices()[0]


@pytest.fixture(scope="session")
def judged(device, folder, tmp_path_factory):
    """Runs cases of the conformance suite on these kernels, once: the report, by the name in ``CASES``."""
    pytest.importorskip("portax_conformance", reason="the suite is not installed: pip install portax-conformance")
    known = {}

    def run(name):
        if name not in known:
            at = tmp_path_factory.mktemp("report")
            order = ["run", "--backend", "cuda", "--limit", "1200", "--report", str(at), *CASES[name]]
            done = subprocess.run(
                [sys.executable, "-m", "portax_conformance", *order],
                capture_output=True, text=True, env={**os.environ, "PORTAX_CUDA_SHIM": folder},
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            known[name] = json.loads((at / "report.json").read_text())
        return known[name]

    return run
