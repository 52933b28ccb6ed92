"""What holds for the tests of portax-pjrt: what was compiled ahead of time is counted at a run's end."""

from __future__ import annotations

import ahead_cases
import pytest


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter) -> None:
    ahead_cases.summary(terminalreporter, "cuda")
