"""What the suite adds to pytest: options, and a summary that counts cases by law and backend."""

from __future__ import annotations

import collections
from typing import Any

import pytest

#: Outcomes by (law, backend).
_COUNTS: pytest.StashKey[dict[tuple[str, str], collections.Counter[str]]] = pytest.StashKey()


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("portax conformance")
    group.addoption(
        "--backend", action="append", default=[], metavar="NAME",
        help="backend to judge, several with commas or by repetition; all that open by default",
    )  # fmt: skip
    group.addoption(
        "--level", choices=["L0", "L1", "L2", "L3"], default="L2",
        help="up to which: L0, what is required at bool, int32, float32; L1, every primitive and dtype; L2, "
        "transformations too (default); L3, many devices too",
    )  # fmt: skip
    group.addoption(
        "--only", action="append", default=[], metavar="PATTERN",
        help="cases whose id this names, as file names are (cumsum/*/L1/*), or is part of; may be repeated",
    )  # fmt: skip
    group.addoption("--full", action="store_true", help="every case; without it, a dtype of each kind")


def pytest_configure(config: Any) -> None:
    config.stash[_COUNTS] = {}
    config.addinivalue_line("markers", "exhaustive: every combination, minutes (-m exhaustive, or --full)")


def asked(config: Any) -> tuple[str, str, list[str]]:
    """The level; how much of it: "plain", "full", or "marked" for the marker ``exhaustive``; which cases."""
    words = config.getoption("markexpr", "").replace("not exhaustive", "")
    effort = "full" if config.getoption("--full") else "marked" if "exhaustive" in words else "plain"
    return config.getoption("--level"), effort, config.getoption("--only")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Any:
    report = yield
    tried = dict(item.user_properties).get("portax")
    if tried is not None and (call.when == "call" or report.outcome != "passed"):
        outcome = "known gap" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        outcome = "unsupported" if outcome == "skipped" else outcome
        item.config.stash[_COUNTS].setdefault(tuple(tried), collections.Counter())[outcome] += 1
    return report


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    counts = config.stash[_COUNTS]
    if not counts:
        return
    terminalreporter.section("conformance")
    order = ("passed", "failed", "known gap", "unsupported")
    terminalreporter.write_line(f"{'law':12s} {'backend':12s}" + "".join(f"{o:>13s}" for o in order))
    for (law, backend), found in sorted(counts.items()):
        row = "".join(f"{found[o]:13d}" for o in order)
        terminalreporter.write_line(f"{law:12s} {backend:12s}{row}")
    total = sum((c for c in counts.values()), collections.Counter())
    terminalreporter.write_line(f"{'all':12s} {'':12s}" + "".join(f"{total[o]:13d}" for o in order))
