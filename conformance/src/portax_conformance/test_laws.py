"""The suite as pytest sees it: one test, and every row of it a case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import portax as px
from portax_conformance import rows
from portax_conformance.conductor import NAME
from portax_conformance.devices import judged
from portax_conformance.pytest_plugin import asked
from portax_conformance.rows import Row


def pytest_generate_tests(metafunc: Any) -> None:
    conductor = metafunc.config.pluginmanager.get_plugin(NAME)
    if conductor is not None:  # what is run by workers is listed by one: nothing is opened here
        metafunc.parametrize("row", [pytest.param(row, id=row.id) for row in conductor.listed()])
    elif "row" in metafunc.fixturenames:
        metafunc.parametrize("row", parameters(judged(metafunc.config.getoption("--backend")), *asked(metafunc.config)))


def parameters(backends: list[str], level: str, effort: str, only: Sequence[str] = ()) -> list[Any]:
    """All rows up to a level that ``only`` names, the laws of one case after each other.

    ``effort`` is "plain", "full", or "marked", which is full with a mark on what a plain run leaves out.
    """
    assert backends, "no backend to judge: none that is installed opens on this machine (portax doctor says why)"
    found: list[Any] = []
    for row in rows.rows(backends, level, effort != "plain", only):
        gap = row.gap
        marks = [pytest.mark.xfail(reason=gap, strict=True, raises=Exception)] if gap else []
        marks += [pytest.mark.exhaustive] if effort == "marked" and not row.plain else []
        found.append(pytest.param(row, id=row.id, marks=marks))
    assert found, "no case to judge by, of those that were asked for"
    return found


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """64-bit dtypes exist."""
    with px.enable_x64(True):
        yield


def test_a_law_holds(row: Row, record_property: Any) -> None:
    record_property("portax", (row.law, row.backend))
    lacks = row.lacks()
    if lacks:
        pytest.skip(f"{row.backend}: {lacks}")
    row.check()
