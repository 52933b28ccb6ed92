"""What holds for the tests of the workspace."""

from __future__ import annotations

from importlib.util import find_spec

PEER = find_spec("jax") is not None
TPU = find_spec("portax_tpu") is not None

# Tests against a peer cannot even be read without it. The header says so: `tox -e peer` runs them.
collect_ignore = [] if PEER else ["peer"]


def pytest_report_header() -> list[str]:
    found = [] if PEER else ["peer tests: left out, jax is not installed here (tox -e peer installs it)"]
    if not TPU:
        found.append("tests/aot for TPUs: left out, portax-tpu is not installed here (tox -e aot installs it)")
    return found
