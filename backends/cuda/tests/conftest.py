"""These tests need a compiler of C++, and no GPU: kernels run on the processor."""

from __future__ import annotations

import shutil

import pytest


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
