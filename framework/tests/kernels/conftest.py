"""Kernels need a C compiler, and nothing else, to be tried: the device is `plain_c`."""

from __future__ import annotations

import pytest
from kernels import plain_c

from portax.runtime import plugins

if plain_c.COMPILER is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def device():
    """The processor, driven by kernels in plain C."""
    plain_c.register(plugins)
    return plugins.installed().open("plain_c").devices()[0]
