"""Kernels need a C compiler to be tried, and the driver that `plain_c` takes from the examples of this tree."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from portax.backend.kernels import products
from portax.runtime import plugins

EXAMPLE = Path(__file__).parents[3] / "examples" / "new_driver"

if not EXAMPLE.exists() or not (shutil.which("cc") or shutil.which("gcc")):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def device():
    """The processor, driven by kernels in plain C."""
    from kernels import plain_c

    plain_c.register(plugins)
    return plugins.installed().open("plain_c").devices()[0]


@pytest.fixture
def everywhere(monkeypatch):
    """Small products are worth it too, so that every edge can be tried."""
    for name in ("LEAST_WORK", "LEAST_ROWS", "LEAST_COLUMNS", "LEAST_SUM"):
        monkeypatch.setattr(products, name, 1)
