"""The coverage of JAX's documented API: what is absent or refuses is found, and what is right is not."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from portax_conformance import coverage
from portax_conformance.coverage import Row, find, refused


def f(a, b=1, *, c=2): ...


def g(a, /, b, *rest, **named): ...


def h(b, a): ...


def needs(a, b, c): ...


@pytest.mark.parametrize(
    ("parameters", "function", "words"),
    [
        ("a, b=, *, c=", f, ""),
        ("a, b=", f, ""),
        ("a", f, ""),
        ("()", f, "a call without a"),
        ("a, b=, c=", f, "c as argument 3"),
        ("a, b=, *, d=", f, "d by name"),
        ("x, b=", f, "x by name"),
        ("x, /, b=", f, ""),
        ("a, b, c, d", g, ""),
        ("a, /, b, c, d", g, ""),
        ("a, /, b, *, anything=", g, ""),
        ("a, b", h, "a as argument 1, where b stands"),
        ("a, /, b=", needs, "a call without b"),
        ("a, b", needs, "a call without c"),
        ("a, b, c, _private=", needs, ""),
        ("*args, **kwargs", needs, ""),
    ],
)
def test_what_a_documented_call_would_meet_is_named(parameters, function, words):
    assert refused(parameters, inspect.signature(function)) == words


def test_rows_are_found_where_they_belong():
    rows = coverage.table()
    assert len({r.path for r in rows}) == len(rows) > 2000
    by_path = {r.path: r for r in rows}
    for path in ("numpy.sin", "lax.scan", "jit", "Array.at[...].set", "jit(f).lower", "Array.shape"):
        (found,) = coverage.findings([by_path[path]])
        assert found.compatible, found
    (found,) = coverage.findings([Row("numpy", "no_such_function", "function", "x", "A")])
    assert not found.present and not found.compatible
    assert not find(Row("numpy", "sin", "function", "x", "A"), None, {}).present


def test_a_difference_is_accounted_for_by_its_reason():
    row = Row("numpy", "no_such_function", "function", "x", "A")
    assert find(row, None, {"numpy.no_*": "left out"}).reason == "left out"
    assert find(row, None, {"lax.*": "left out"}).reason == ""


def test_every_difference_has_a_reason_and_names_something():
    paths = [r.path for r in coverage.table()]
    for pattern, reason in coverage.differences().items():
        assert len(reason) > 10, pattern
        assert any(coverage.fnmatch.fnmatchcase(p, pattern) for p in paths), f"{pattern} names nothing"


def test_there_are_few_reasons_and_no_two_are_alike():
    reasons = [reason for _, reason in coverage.reasons()]
    assert len(reasons) < 15 and len(set(reasons)) == len(reasons)
    paths = [path for some, _ in coverage.reasons() for path in some]
    assert len(set(paths)) == len(paths)


def test_the_page_about_differences_is_what_the_table_says(capsys):
    assert coverage.main(["--differences"]) == 0
    printed = capsys.readouterr().out
    assert all(f"`{path}`" in printed for path in coverage.differences())
    page = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"
    assert page.read_text("utf-8") == printed, (
        f"make it anew: python -m portax_conformance.coverage --differences > {page}"
    )


def test_the_command_prints_counts_and_what_is_absent(capsys):
    status = coverage.main(["tree"])
    out = capsys.readouterr().out
    assert status == 0 and "portax.tree" in out and "absent from" not in out
    assert coverage.main(["tree", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows and all(r["compatible"] for r in rows)
    with pytest.raises(SystemExit):
        coverage.main(["no.such.module"])
