"""What holds for the tests of the framework: programs are checked between passes."""

from __future__ import annotations

import fake_plugins
import pytest

import portax as px

site = fake_plugins.site


@pytest.fixture(autouse=True, scope="session")
def checks_between_passes():
    before = px.config.enable_checks
    px.config.update("enable_checks", True)
    yield
    px.config.update("enable_checks", before)
