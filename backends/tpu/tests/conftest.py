"""What holds for the tests of portax-tpu: without it they cannot be read, and the header of a run says so."""

from __future__ import annotations

from importlib.util import find_spec

HERE = find_spec("portax_tpu") is not None

collect_ignore_glob = [] if HERE else ["test_*.py"]


def pytest_report_header() -> list[str]:
    return [] if HERE else ["tests of portax-tpu: left out, it is not installed here (tox -e aot installs it)"]
