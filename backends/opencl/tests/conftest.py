"""These tests need pyopencl and one OpenCL device; the extra ``pocl`` brings both."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def backend():
    import portax_opencl

    opened = portax_opencl.OpenCLBackend({})
    if not opened.devices():
        pytest.skip(f"there is no OpenCL device here: {opened.absence}")
    return opened


@pytest.fixture(scope="session")
def device(backend):
    return backend.devices()[0]
