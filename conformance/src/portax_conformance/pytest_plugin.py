"""What the suite adds to pytest: options, cases for each judged backend, and a summary that counts."""

from __future__ import annotations

import collections
from typing import Any

import pytest


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("portax conformance")
    group.addoption("--backend", action="append", default=[], help="backend to judge; all that open by default")
    group.addoption("--level", default="quick", choices=["quick", "L0", "L1"], help="which dtypes to try values at")


def pytest_configure(config: Any) -> None:
    config.stash[_COUNTS] = collections.Counter()


_COUNTS: pytest.StashKey[collections.Counter[str]] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Any:
    report = yield
    if call.when == "call" and (law := getattr(item.obj, "law", None)):
        item.config.stash[_COUNTS][f"{law}: {report.outcome}"] += 1
    return report


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    counts = config.stash[_COUNTS]
    if counts:
        terminalreporter.section("conformance")
        for law, n in sorted(counts.items()):
            terminalreporter.write_line(f"{n:6d}  {law}")
