"""What holds for tests that compile ahead of time: what compiled is counted at a run's end."""

from __future__ import annotations

import ahead_targets
import pytest


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter) -> None:
    lines = ahead_targets.summary()
    if lines:
        terminalreporter.section("compiled ahead of time")
        for line in lines:
            terminalreporter.write_line(line)
