"""The report and its page: what they say of a run, that nothing of it is markup, and what is no report is refused."""

from __future__ import annotations

import datetime
import html.parser
import json
import math

import pytest
from click.testing import CliRunner

from portax.errors import ArgumentError
from portax_conformance import report, report_file, report_page, report_views
from portax_conformance.cli import main
from portax_conformance.outcomes import Result
from portax_conformance.report import Run

NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)
DETAIL = {
    "operands": "[array([1.])]",
    "parameters": "{}",
    "expected": "[2.]",
    "got": "[<b>3.</b>]",
    "differs": "1 of 2",
}


def results(name="wobbly", bad=True):
    made = [
        Result(f"open/devices/any/L0/open:{name}", "pass", 0.5),
        Result(f"exp/plain/float32/L0/value:{name}", "pass", 0.25, off=(1.5, 4.0)),
        Result(f"exp/many/float32/L1/exact:{name}", "pass", 2.0, off=(3.5, 4.0)),
        Result(f"exp/plain/bfloat16/L1/value:{name}", "unsupported", 0.0, "bfloat16 is not declared"),
        Result(f"exp/plain/complex64/L1/value:{name}", "expected failure", 0.1, "no complex numbers"),
        Result(f"exp/plain/int8/L1/value:{name}", "unsupported", 0.0, "int8 is not declared"),
        Result("exp/plain/int8/L1/avals", "pass", 0.1),
        Result(f"neg/plain/int32/L0/value:{name}", "pass", 0.1),
    ]
    if bad:
        words = "a.measures.Off: sin/plain/float32: off by inf units\noperands x\n  laws.py:9, in value: raise Off"
        made += [
            Result(f"sin/plain/float32/L1/value:{name}", "fail", 0.3, words, (math.inf, 4.0), DETAIL),
            Result(
                f"sin/plain/float32/L1/stablehlo:{name}", "crashed", 0.3, "ended by SIGABRT\n<script>alert(1)</script>"
            ),
            Result(f"sin/plain/float64/L2/eager:{name}", "timed out", 30.0, "no end after 30 s"),
        ]
    return made


def made(effort="full", only=(), bad=True, seed=0, found=None):
    run = Run(effort, "L2", seed, list(only), seconds=75.0)
    run.drivers["wobbly"] = {"device": "wobbly: <i>one</i> chip"}
    run.not_tested["elsewhere"] = "not asked for"
    run.gaps["wobbly"] = [
        ("exp/*/complex64/value", "no complex numbers", "https://example.org/7"),
        ("exp/*/complex128/value", "none of these either", "javascript:alert(2)"),
    ]
    run.results = results(bad=bad) if found is None else found
    return report.data(run, NOW)


class Elements(html.parser.HTMLParser):
    """All elements with their attributes and the text in them, and a complaint where one is closed that is not open."""

    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), []))
        if tag not in self.VOID:
            self.open.append(self.found[-1])

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> in {[o[0] for o in self.open]}"
        self.open.pop()

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def all(self, tag, **given):
        wanted = {k.rstrip("_").replace("_", "-"): v for k, v in given.items()}
        return [(a, "".join(t)) for name, a, t in self.found if name == tag and wanted.items() <= a.items()]

    def one(self, tag, **given):
        (found,) = self.all(tag, **given)
        return found


@pytest.fixture(scope="module")
def elements():
    return Elements(report_page.page(made()))


def row(elements, primitive):
    """The cells of a row of the map, by dtype."""
    columns = [text for a, text in elements.all("th", scope="col")]
    columns = columns[columns.index("primitive") + 1 : columns.index("level")]
    place = next(i for i, (tag, a, _) in enumerate(elements.found) if tag == "tr" and a.get("data-p") == primitive)
    cells = []
    for tag, a, text in elements.found[place + 2 :]:
        if tag == "tr":
            break
        cells += [(a.get("class"), "".join(text), a.get("title"))] if tag == "td" else []
    return dict(zip(columns, cells[: len(columns)], strict=True))


# -- the report -------------------------------------------------------------------------------------------------------
def test_the_report_has_distances_details_and_what_is_lacking():
    found = made()
    assert found["format"] == report.FORMAT and found["whole"] is True
    assert found["ulps"]["exp/many/float32/L1/exact:wobbly"] == [3.5, 4.0]
    assert found["ulps"]["sin/plain/float32/L1/value:wobbly"] == ["inf", 4.0]
    assert found["failures"][0]["detail"] == DETAIL and found["failures"][1]["detail"] == {}
    assert found["lacking"] == {"wobbly": {"bfloat16 is not declared": 1, "int8 is not declared": 1}}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("effort", "only", "level"), [("full", (), "L1"), ("quick", (), None), ("full", ("exp",), None)]
)
def test_a_level_is_claimed_of_a_whole_run_only(effort, only, level):
    (verdict,) = made(effort, only, bad=False)["verdicts"]
    assert verdict["verdict"] == "pass" and verdict["level"] == level


# -- the page ---------------------------------------------------------------------------------------------------------
def test_the_page_begins_with_the_verdict_and_all_that_identifies_it(elements):
    _, headline = elements.one("h1")
    assert headline.split(maxsplit=1) == ["✕", "wobbly keeps level L0, and fails beyond"]
    names, values = [t for _, t in elements.all("dt")][:7], [t for _, t in elements.all("dd")][:7]
    assert names == ["level", "suite", "opset", "profile", "device", "date", "hash"]
    assert values[0] == "L0" and values[4] == "wobbly: <i>one</i> chip" and values[5] == "2026-05-04 03:02 UTC"
    tags = [tag for tag, _, _ in elements.found]
    assert tags.index("h1") < tags.index("input") < tags.index("table")


@pytest.mark.parametrize(("given", "headline"), [
    ({"bad": False}, "wobbly keeps level L1"), ({"bad": False, "effort": "quick"}, "wobbly passes a sample"),
    ({"effort": "quick"}, "wobbly fails"),
    ({"bad": False, "only": ["exp"]}, "wobbly passes a part"), ({"found": []}, "Nothing was tried on wobbly"),
])  # fmt: skip
def test_the_headline_says_no_more_than_is_known(given, headline):
    _, text = Elements(report_page.page(made(**given))).one("h1")
    assert text.split(maxsplit=1)[1] == headline


def test_a_cell_has_the_outcome_the_sign_and_the_figures_of_its_cases(elements):
    exp, sin = row(elements, "exp"), row(elements, "sin")
    assert exp["float32"] == ("o-pass r4", "✓", "2 pass\nfarthest 3.5 of 4 ULP allowed (many, exact)")
    assert exp["complex64"][:2] == ("o-expected-failure", "○")
    # That the primitive keeps its own laws does not make a driver support it.
    assert exp["int8"] == ("o-unsupported", "–", "1 pass, 1 unsupported")
    assert sin["float32"] == ("o-fail", "✕", "1 fail, 1 crashed\nfarthest ∞ of 4 ULP allowed (plain, value)")
    assert sin["float64"][:2] == ("o-timed-out", "…") and sin["int8"] == (None, "", None)
    assert row(elements, "open")["other"][:2] == ("o-pass", "✓")


def test_every_outcome_has_a_sign_of_its_own():
    assert len(set(report_views.SIGNS.values())) == len(report_views.SIGNS) == len(report_views.KEYS)


def test_a_failure_shows_its_numbers_and_its_command_and_is_no_markup(elements):
    first, second, _ = elements.all("details", class_="failure")
    assert first[0]["data-p"] == "sin" and first[0]["data-d"] == "float32" and first[0]["data-o"] == "fail"
    for words in ("[<b>3.</b>]", "1 of 2", "off by inf units", "laws.py:9, in value"):
        assert words in first[1]
    assert next(text for _, text in elements.all("p", class_="words")) == "off by inf units"
    assert "portax-conformance run --backend wobbly --only 'sin/plain/float32/L1/value:wobbly'" in first[1]
    assert "<script>alert(1)</script>" in second[1]
    assert len(elements.all("script")) == 1 and not elements.all("i", title="one") and not elements.all("b", title="3.")


def test_nothing_is_fetched_and_only_links_to_pages_are_followed(elements):
    policy, _ = elements.one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")
    assert not elements.all("link") + elements.all("img") + elements.all("iframe")
    assert not [a for _, a, _ in elements.found if "src" in a]
    links = [a["href"] for a, _ in elements.all("a")]
    assert [link for link in links if not link.startswith("#")] == ["https://example.org/7"]
    ids = {a.get("id") for _, a, _ in elements.found}
    assert {link[1:] for link in links if link.startswith("#")} <= ids and len(links) > 5


def test_gaps_what_is_lacking_and_what_was_not_tested_are_told(elements):
    said = " ".join(" ".join(text.split()) for _, text in elements.all("li"))
    assert "no complex numbers. https://example.org/7 1 case of this run" in said
    assert "none of these either. no cases of this run" in said
    assert "bfloat16 is not declared 1 case" in said and "elsewhere not asked for" in said


def test_histograms_begin_with_what_is_nearest_to_its_budget(elements):
    pictures = [a["aria-label"] for a, _ in elements.all("svg")]
    assert pictures == [
        "sin, 1 cases. over 64, up to ∞ ULP: 1", "exp, 2 cases. over 1, up to 2 ULP: 1; over 2, up to 4 ULP: 1"
    ]  # fmt: skip
    assert len([a for a, _ in elements.all("rect") if a.get("class") == "red"]) == 1


def test_a_page_of_many_failures_says_that_it_shows_some(monkeypatch):
    monkeypatch.setattr(report_views, "FAILURES", 2)
    found = Elements(report_page.page(made()))
    assert len(found.all("details", class_="failure")) == 2
    assert "The first 2 of 3 are shown" in found.one("section", id="failures")[1]


def test_two_backends_each_have_a_map():
    run = Run("full", "L2", 0, [])
    run.drivers |= {"one": {"device": "a"}, "two": {"device": "b"}}
    run.results = [*results("one"), *results("two", bad=False)]
    found = Elements(report_page.page(report.data(run, NOW)))
    assert [t.split(maxsplit=1)[1] for _, t in found.all("h1")] == [
        "one keeps level L0, and fails beyond",
        "two keeps level L1",
    ]
    assert [a["data-b"] for a, _ in found.all("table", class_="map")] == ["one", "two"]
    assert [t for _, t in found.all("option")] == ["all", "one", "two"]


def test_a_page_is_made_anew_from_a_report(tmp_path):
    report.write(str(tmp_path), made())
    done = CliRunner().invoke(main, ["page", str(tmp_path)])
    assert done.exit_code == 0 and done.output == f"written: {tmp_path / 'report.html'}\n"
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report_page.page(made())


@pytest.mark.parametrize(("x", "said"), [
    (0.0, "0"), (0.5, "0.5"), (3.25, "3.2"), (12.0, "12"), (3e9, "3.0e+09"), (math.inf, "∞"),
])  # fmt: skip
def test_a_distance_is_short(x, said):
    assert report_views.number(x) == said


@pytest.mark.parametrize(("x", "said"), [(0.0123, "12 ms"), (4.26, "4.3 s"), (75.0, "1 min 15 s")])
def test_a_time_is_short(x, said):
    assert report_views.seconds(x) == said


# -- bad input --------------------------------------------------------------------------------------------------------
def broken(change):
    found = made()
    change(found)
    return json.dumps(found)


@pytest.mark.parametrize(("text", "words", "fix"), [
    (json.dumps(made())[:400], "is cut off (", "written whole or not at all"),
    ("not a report", "is no report: it is no JSON", "Give the report.json"),
    ("[1, 2]", "is no report of portax-conformance: it has no verdicts and cases", "Give the report.json"),
    ('{"tests": 3}', "is no report of portax-conformance: it has no verdicts and cases", "Give the report.json"),
    (broken(lambda r: r.update(format=report.FORMAT + 1)), "has format 2, and this release reads up to 1",
     "pip install --upgrade portax-conformance"),
    (broken(lambda r: r.pop("format")), "says no format", "Run again"),
    (broken(lambda r: r.pop("gaps")), "is damaged: it has no gaps", "Give the report.json"),
    (broken(lambda r: r.update(cases=[])), "is damaged: it has a list as cases", "Give the report.json"),
    (broken(lambda r: r["verdicts"][0].pop("opset")), "is damaged: a verdict lacks some of", "Give the report.json"),
    (broken(lambda r: r["failures"][0].pop("id")), "is damaged: a failure lacks some of", "Give the report.json"),
    (broken(lambda r: r["cases"].update({"a/b/c/L0/d": ["good", 1]})), "case a/b/c/L0/d is", "Give the report.json"),
    (broken(lambda r: r["cases"].update({"a/b": ["pass", 1]})), "'a/b' is no name of a case", "Give the report.json"),
    (broken(lambda r: r["ulps"].update({"a": ["far", 1]})), "the distance of a is", "Give the report.json"),
])  # fmt: skip
def test_what_is_no_report_is_refused_in_words(tmp_path, text, words, fix):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ArgumentError) as caught:
        report_file.load(str(tmp_path / "report.json"))
    assert words in caught.value.wrong and fix in caught.value.fix
    done = CliRunner().invoke(main, ["page", str(tmp_path)])
    assert done.exit_code == 2 and words in done.output and "Traceback" not in done.output


def test_where_there_is_no_report_that_is_said(tmp_path):
    with pytest.raises(ArgumentError, match=r"there is no report in .*absent.json' \(No such file or directory\)"):
        report_file.load(str(tmp_path / "absent.json"))
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArgumentError, match="is no report: it is no text"):
        report_file.load(str(tmp_path / "binary.json"))
