"""What changed between two reports, and the badge of one."""

from __future__ import annotations

import datetime
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from portax_conformance import report
from portax_conformance.cli import main
from portax_conformance.outcomes import Result
from portax_conformance.report import Run

NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)
#: Outcome, seconds and distance by id, for a backend that is put in.
CASES = {
    "open/devices/any/L0/open": ("pass", 0.1),
    "exp/plain/float32/L0/value": ("pass", 2.0, 1.0),
    "exp/plain/float32/L1/exact": ("pass", 2.0, 1.5),
    "neg/plain/int32/L0/value": ("pass", 0.1),
    "sort/plain/complex64/L1/value": ("expected failure", 0.1),
    "sort/plain/key/L1/value": ("unsupported", 0.0),
}


def write(folder, change=None, backend="one", effort="full", seed=0, level="L2"):
    """A report of the cases above, some of them changed; None takes one away."""
    run = Run(effort, level, seed, [], seconds=5.0)
    run.drivers[backend] = {"device": "a chip"}
    for id, given in {**CASES, **(change or {})}.items():
        if given is not None:
            outcome, seconds, *off = given
            run.results.append(Result(f"{id}:{backend}", outcome, seconds, "words", (off[0], 4.0) if off else ()))
    return report.write(str(folder), report.data(run, NOW))


def compare(*arguments):
    done = CliRunner().invoke(main, ["compare", *arguments], env={"COLUMNS": "200"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


# -- compare ----------------------------------------------------------------------------------------------------------
def test_a_report_is_no_worse_than_itself(tmp_path):
    file = write(tmp_path / "a")
    done = compare(file, file)
    assert done.exit_code == 0 and done.output.endswith("\nnothing is worse\n")
    assert "- one: pass, L1, suite 0.1.0, opset 1, 2026-05-04 03:02 UTC, " in done.output
    assert "6 cases in both, 0 in the first alone, 0 in the second alone" in done.output


@pytest.mark.parametrize(("change", "words"), [
    ({"neg/plain/int32/L0/value": ("fail", 0.1)},
     ("level: 1 changed, 1 for the worse", "! one: L1 -> no level", "! neg/plain/int32/L0/value: pass -> fail")),
    ({"neg/plain/int32/L0/value": ("unsupported", 0.1)}, ("! neg/plain/int32/L0/value: pass -> unsupported",)),
    ({"sort/plain/key/L1/value": ("crashed", 0.1)}, ("! sort/plain/key/L1/value: unsupported -> crashed",)),
    ({"exp/plain/float32/L1/exact": ("pass", 2.0, 2.5)},
     ("units in the last place: 1 changed, 1 for the worse", "! exp/plain/float32/L1/exact: 1.5 -> 2.5")),
    ({"exp/plain/float32/L1/exact": ("fail", 2.0, float("inf"))}, ("! exp/plain/float32/L1/exact: 1.5 -> ∞",)),
    ({"exp/plain/float32/L1/exact": None},
     ("0 in the second alone", "! exp/plain/float32/L1/exact: pass -> not tried")),
])  # fmt: skip
def test_what_is_worse_is_named_and_the_status_says_so(tmp_path, change, words):
    before, after = write(tmp_path / "a"), write(tmp_path / "b", change)
    done = compare(before, after)
    assert done.exit_code == 1 and done.output.endswith("\nworse\n"), done.output
    assert all(w in done.output for w in words), done.output
    assert compare(after, before).exit_code == 0


@pytest.mark.parametrize("change", [
    {"sort/plain/complex64/L1/value": ("pass", 0.1)}, {"exp/plain/float32/L1/exact": ("pass", 2.0, 0.0)},
    {"exp/plain/float32/L1/exact": ("pass", 2.0, 1.9)}, {"cos/plain/float32/L1/exact": ("pass", 2.0, 1.9)},
])  # fmt: skip
def test_what_is_better_or_new_or_little_is_not_worse(tmp_path, change):
    assert compare(write(tmp_path / "a"), write(tmp_path / "b", change)).exit_code == 0


def test_a_new_case_that_fails_is_worse_where_it_costs_a_level(tmp_path):
    done = compare(write(tmp_path / "a"), write(tmp_path / "b", {"cos/plain/float32/L1/exact": ("fail", 2.0, 9.0)}))
    assert done.exit_code == 1 and "! one: L1 -> L0" in done.output


def test_a_limit_for_distances_may_be_given(tmp_path):
    before, after = write(tmp_path / "a"), write(tmp_path / "b", {"exp/plain/float32/L1/exact": ("pass", 2.0, 1.9)})
    assert compare(before, after, "--ulps", "0.1").exit_code == 1


def test_time_is_told_and_counts_where_a_limit_is_given(tmp_path):
    before, after = write(tmp_path / "a"), write(tmp_path / "b", {"exp/plain/float32/L1/exact": ("pass", 7.0, 1.5)})
    done = compare(before, after)
    assert done.exit_code == 0 and "  exp: 4.0 s -> 9.0 s" in done.output
    done = compare(before, after, "--slower", "2")
    assert done.exit_code == 1 and "! exp: 4.0 s -> 9.0 s" in done.output
    assert compare(before, after, "--slower", "3").exit_code == 0


def test_of_samples_and_of_other_seeds_no_more_is_compared_than_is_known(tmp_path):
    before = write(tmp_path / "a")
    sample = write(tmp_path / "b", {"neg/plain/int32/L0/value": None}, effort="quick")
    done = compare(before, sample)
    assert done.exit_code == 0 and "1 in the first alone" in done.output and "not tried" not in done.output
    other = write(tmp_path / "c", {"exp/plain/float32/L1/exact": ("pass", 2.0, 3.5)}, seed=7)
    done = compare(before, other)
    assert done.exit_code == 0 and "the seeds differ: distances are of other data" in done.output


def test_two_drivers_are_compared_case_by_case(tmp_path):
    done = compare(write(tmp_path / "a"), write(tmp_path / "b", {"neg/plain/int32/L0/value": ("crashed", 1.0)}, "two"))
    assert done.exit_code == 1 and "6 cases in both" in done.output
    assert "! neg/plain/int32/L0/value: pass -> crashed" in done.output


def test_json_has_all_of_it(tmp_path):
    change = {"neg/plain/int32/L0/value": ("fail", 0.1), "exp/plain/float32/L1/exact": ("fail", 2.0, float("inf"))}
    done = compare(write(tmp_path / "a"), write(tmp_path / "b", change), "--json")
    found = json.loads(done.output)
    assert done.exit_code == 1 and found["worse"] is True and found["common"] == 6
    assert {"name": "neg/plain/int32/L0/value", "before": "pass", "after": "fail", "worse": True} in found["outcomes"]
    assert found["ulps"] == [{"name": "exp/plain/float32/L1/exact", "before": 1.5, "after": "inf", "worse": True}]
    assert [v["backend"] for v in found["verdicts"]] == ["one", "one"]


def test_what_is_no_report_is_refused_with_another_status_than_what_is_worse(tmp_path):
    (tmp_path / "other.json").write_text('{"results": []}')
    done = compare(write(tmp_path / "a"), str(tmp_path / "other.json"))
    assert done.exit_code == 2 and "is no report of portax-conformance" in done.output


@pytest.mark.parametrize("command", ["badge", "compare"])
def test_of_several_verdicts_one_is_named(tmp_path, command):
    run = Run("full", "L2", 0, [])
    run.drivers |= {"one": {"device": ""}, "two": {"device": ""}}
    file = report.write(str(tmp_path), report.data(run, NOW))
    files = [file] * (2 if command == "compare" else 1)
    done = CliRunner().invoke(main, [command, *files])
    assert done.exit_code == 2 and "judges 'one', 'two'.\n    Name one with --backend." in done.output
    done = CliRunner().invoke(main, [command, *files, "--backend", "three"])
    assert done.exit_code == 2 and "does not judge 'three'.\n    It judges 'one', 'two'." in done.output


def test_the_page_of_the_documentation_shows_what_is_printed(tmp_path):
    change = {
        "neg/plain/int32/L0/value": ("pass", 0.1), "sort/last-axis/int8/L1/value": ("fail", 0.1),
        "exp/plain/float32/L1/exact": ("pass", 2.0, 2.5), "exp/plain/float32/L0/value": ("pass", 2.0, 0.25),
    }  # fmt: skip
    was = {"sort/last-axis/int8/L1/value": ("pass", 0.1)}
    done = compare(write(tmp_path / "a", was), write(tmp_path / "b", change))
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text("utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert done.output == shown


# -- the badge --------------------------------------------------------------------------------------------------------
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("given", "words"), [
    ({"change": {"sort/plain/complex64/L1/value": ("pass", 0.1)}}, "L1 · 100 %"),
    ({}, "L1 · 80 %"),
    ({"effort": "quick"}, "sample · 80 %"),
    ({"change": {"exp/plain/float32/L1/exact": ("crashed", 0.1)}}, "L0, failing beyond · 60 %"),
    ({"change": {"exp/plain/float32/L0/value": ("fail", 0.1)}}, "failing · 60 %"),
    ({"change": dict.fromkeys(CASES)}, "failing · nothing tried"),
])  # fmt: skip
def test_a_badge_claims_no_more_than_the_report(tmp_path, given, words):
    file, badge = write(tmp_path, **given), tmp_path / "badge.svg"
    done = CliRunner().invoke(main, ["badge", file, "-o", str(badge)])
    assert done.exit_code == 0 and done.output == f"written: {badge} (portax opset 1 {words})\n"
    picture = ET.parse(badge).getroot()
    left, right = (text.text for text in picture.iter(f"{SVG}text"))
    assert (left, right) == ("portax opset 1", words)
    assert picture.get("aria-label") == picture.findtext(f"{SVG}title") == f"one: {left}: {right}"
    colours = {rect.get("fill") for rect in picture.iter(f"{SVG}rect")}
    assert ("#b3261e" in colours) == ("failing" in words) and ("#1c7a3a" in colours) == words.startswith("L1")


def test_a_share_is_rounded_down(tmp_path):
    many = {f"neg/s{i}/int32/L0/value": ("pass", 0.0) for i in range(3000)}
    file, badge = write(tmp_path, many), tmp_path / "badge.svg"
    done = CliRunner().invoke(main, ["badge", file, "-o", str(badge)])
    assert "L1 · 99.9 %" in done.output


def test_a_text_of_a_badge_is_no_markup(tmp_path):
    file, badge = write(tmp_path, backend="<b>&"), tmp_path / "badge.svg"
    assert CliRunner().invoke(main, ["badge", file, "-o", str(badge)]).exit_code == 0
    assert ET.parse(badge).getroot().attrib["aria-label"].startswith("<b>&: portax")
