"""What the page shows, computed from a report: cells, histograms, failures, timings, gaps. No markup stands here."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import fnmatch
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from portax_conformance import outcomes
from portax_conformance.outcomes import Result

#: Columns of the map; what is tried at none of these stands in the last one.
DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128", "key",
)  # fmt: skip
OTHER = "other"
#: Each outcome has a sign besides its colour, and a name that style sheets can use.
SIGNS = {
    outcomes.PASS: "✓", outcomes.FAIL: "✕", outcomes.CRASHED: "!", outcomes.TIMED_OUT: "…",
    outcomes.EXPECTED: "○", outcomes.UNSUPPORTED: "–",
}  # fmt: skip
KEYS = {outcome: outcome.replace(" ", "-") for outcome in outcomes.ALL}
#: What is worst comes first: that is the colour of a cell.
WORST = (
    outcomes.FAIL, outcomes.CRASHED, outcomes.TIMED_OUT, outcomes.EXPECTED, outcomes.PASS, outcomes.UNSUPPORTED,
)  # fmt: skip
#: Upper ends of the bars of a histogram, in units in the last place.
ENDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, math.inf)
#: Shares of a budget at which a passing cell gets another shade.
SHADES = (0.0, 0.25, 0.5, 0.75)
#: Failures that a page shows in full, and rows of the lists of what took long.
FAILURES, LONGEST = 500, 12


@dataclasses.dataclass(frozen=True)
class Case:
    """One case as a report has it."""

    result: Result
    primitive: str
    sample: str
    dtype: str

    @property
    def where(self) -> str:
        """Its name without what a cell says already."""
        return f"{self.sample}, {self.result.law}"


@dataclasses.dataclass(frozen=True)
class Cell:
    """What became of a primitive at a dtype."""

    outcome: str
    counts: dict[str, int]
    farthest: Case | None
    shade: int

    @property
    def key(self) -> str:
        return KEYS[self.outcome]

    @property
    def sign(self) -> str:
        return SIGNS[self.outcome]

    @property
    def words(self) -> str:
        """Counts, and how far results were off."""
        said = ", ".join(f"{n} {outcome}" for outcome, n in self.counts.items() if n)
        if self.farthest is None:
            return said
        ulps, allowed = self.farthest.result.off
        return f"{said}\nfarthest {number(ulps)} of {number(allowed)} ULP allowed ({self.farthest.where})"


@dataclasses.dataclass(frozen=True)
class Line:
    """A row of the map: a primitive."""

    primitive: str
    cells: list[Cell | None]

    @property
    def keys(self) -> str:
        """The outcomes that any of its cases had."""
        found = {outcome for cell in self.cells if cell for outcome, n in cell.counts.items() if n}
        return " ".join(KEYS[outcome] for outcome in WORST if outcome in found)


@dataclasses.dataclass(frozen=True)
class Bar:
    """A bar of a histogram: how many cases, and how many of them beyond what is allowed. Heights are of 0 to 1."""

    label: str
    count: int
    beyond: int
    height: float
    red: float


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How far off the results of a primitive were."""

    primitive: str
    bars: list[Bar]
    farthest: Case
    count: int

    @property
    def share(self) -> float:
        """Of the budget, by the case that comes nearest to it, or goes beyond."""
        return share(self.farthest.result)

    @property
    def words(self) -> str:
        ulps, allowed = self.farthest.result.off
        return f"{number(ulps)} of {number(allowed)} ULP, {self.farthest.dtype}"

    @property
    def spoken(self) -> str:
        """The bars, for those who do not see them."""
        return "; ".join(f"{bar.label}: {bar.count}" for bar in self.bars if bar.count)


@dataclasses.dataclass(frozen=True)
class Failure:
    """A failure, with all that is known of it."""

    number: int
    case: Case
    words: str
    replay: str
    detail: dict[str, str]

    @property
    def headline(self) -> str:
        """The first line of its words, without what stands beside it."""
        line = re.sub(r"^(AssertionError|[\w.]*\.Off): ", "", self.words.partition("\n")[0])
        name = self.case.result.id.rsplit("/", 2)[0]
        return line.removeprefix(f"{name}: ") or self.case.result.outcome

    @property
    def way(self) -> str:
        """Of words whose numbers are shown in parts, what else they have: the lines of code."""
        if not self.detail:
            return self.words
        return "\n".join(line for line in self.words.splitlines() if line.startswith("  ") and ".py:" in line)


@dataclasses.dataclass(frozen=True)
class Long:
    """What took long: a primitive or a case."""

    name: str
    primitive: str
    seconds: float
    share: float


@dataclasses.dataclass(frozen=True)
class Gap:
    """A declared gap, and how many cases it let fail."""

    case: str
    reason: str
    link: str
    count: int


@dataclasses.dataclass(frozen=True)
class Section:
    """What there is to say of one backend."""

    verdict: dict[str, Any]
    headline: str
    stamp: list[tuple[str, str]]
    counts: dict[str, int]
    levels: list[tuple[str, dict[str, int]]]
    columns: list[str]
    lines: list[Line]
    histograms: list[Histogram]
    spent: list[Long]
    slowest: list[Long]
    gaps: list[Gap]
    lacking: list[tuple[str, int]]


# -- small things -----------------------------------------------------------------------------------------------------
def number(x: float) -> str:
    """A distance as it is read."""
    return "∞" if math.isinf(x) else "0" if not x else f"{x:.2g}" if x < 10 else f"{x:.0f}" if x < 1e6 else f"{x:.1e}"


def seconds(x: float) -> str:
    """A time as it is read."""
    minutes, rest = divmod(round(x), 60)
    return f"{minutes} min {rest} s" if minutes else f"{x:.1f} s" if x >= 1 else f"{x * 1000:.0f} ms"


def share(result: Result) -> float:
    """How much of its budget a result uses; more than one is too much."""
    ulps, allowed = result.off
    return ulps / allowed if allowed else math.inf if ulps else 0.0


def cases(report: Mapping[str, Any]) -> list[Case]:
    """All cases of a report."""
    found: list[Case] = []
    for id, (outcome, took) in report["cases"].items():
        primitive, sample, dtype, *_ = id.split("/")
        off = tuple(float(x) for x in report["ulps"].get(id, ()))
        found.append(Case(Result(id, outcome, took, off=off), primitive, sample, dtype))
    return found


def counts(found: Iterable[Case]) -> dict[str, int]:
    """How many there are of each outcome."""
    return outcomes.counts(case.result for case in found)


# -- the map ----------------------------------------------------------------------------------------------------------
def cell(found: list[Case], backend: str) -> Cell:
    """What became of cases, of which those of the backend decide where nothing is bad."""
    own = [case for case in found if case.result.backend == backend]
    present = {case.result.outcome for case in (own or found)} | {c.result.outcome for c in found if c.result.bad}
    worst = next(outcome for outcome in WORST if outcome in present)
    measured = [case for case in own if case.result.off]
    farthest = max(measured, key=lambda case: share(case.result), default=None)
    shade = sum(share(farthest.result) > limit for limit in SHADES) if farthest is not None else 0
    return Cell(worst, counts(found), farthest, shade)


def lines(found: list[Case], backend: str) -> tuple[list[str], list[Line]]:
    """The columns of a map, and its rows."""
    grid: dict[str, dict[str, list[Case]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for case in found:
        grid[case.primitive][case.dtype if case.dtype in DTYPES else OTHER].append(case)
    present = {dtype for row in grid.values() for dtype in row}
    columns = [dtype for dtype in (*DTYPES, OTHER) if dtype in present]
    rows = [
        Line(name, [cell(row[dtype], backend) if dtype in row else None for dtype in columns])
        for name, row in sorted(grid.items())
    ]
    return columns, rows


# -- how far off ------------------------------------------------------------------------------------------------------
def histograms(found: Iterable[Case]) -> list[Histogram]:
    """One for each primitive of which distances were measured; those nearest to their budgets first."""
    groups: dict[str, list[Case]] = collections.defaultdict(list)
    for case in found:
        if case.result.off:
            groups[case.primitive].append(case)
    made = [
        Histogram(name, bars(group), max(group, key=lambda case: share(case.result)), len(group))
        for name, group in groups.items()
    ]
    return sorted(made, key=lambda h: (-h.share, h.primitive))


def bars(group: Iterable[Case]) -> list[Bar]:
    """Cases by their distance; heights are logarithmic, so that one of a thousand is seen."""
    within, beyond = [0] * len(ENDS), [0] * len(ENDS)
    for case in group:
        bar = next(i for i, end in enumerate(ENDS) if case.result.off[0] <= end)
        (beyond if share(case.result) > 1 else within)[bar] += 1
    most = math.log1p(max(w + b for w, b in zip(within, beyond, strict=True)))
    found: list[Bar] = []
    for i, (w, b) in enumerate(zip(within, beyond, strict=True)):
        label = "exact" if not i else f"over {number(ENDS[i - 1])}, up to {number(ENDS[i])} ULP"
        height = math.log1p(w + b) / most
        found.append(Bar(label, w + b, b, height, height * b / (w + b) if b else 0.0))
    return found


# -- the rest ---------------------------------------------------------------------------------------------------------
def spent(found: Iterable[Case]) -> list[Long]:
    """The time that each primitive took, the longest first."""
    total: dict[str, float] = collections.defaultdict(float)
    for case in found:
        total[case.primitive] += case.result.seconds
    return _ranked((took, name, name) for name, took in total.items())


def slowest(found: Iterable[Case]) -> list[Long]:
    """The time that each case took, the longest first."""
    return _ranked((case.result.seconds, case.result.id, case.primitive) for case in found)


def _ranked(given: Iterable[tuple[float, str, str]]) -> list[Long]:
    first = sorted(given, key=lambda row: (-row[0], row[1]))
    return [Long(name, primitive, took, took / (first[0][0] or 1.0)) for took, name, primitive in first]


def failures(report: Mapping[str, Any], by_id: Mapping[str, Case]) -> list[Failure]:
    """What failed, with its detail, as far as a page has room for it."""
    found: list[Failure] = []
    for number, given in enumerate(report["failures"][:FAILURES], 1):
        primitive, sample, dtype, *_ = given["id"].split("/")
        case = by_id.get(given["id"]) or Case(Result(given["id"], given["outcome"]), primitive, sample, dtype)
        found.append(Failure(number, case, given["words"], given["replay"], dict(given["detail"])))
    return found


def gaps(rows: Iterable[Mapping[str, str]], found: Iterable[Case]) -> list[Gap]:
    """The declared gaps. What a driver calls a link is followed only where it leads to a page."""
    failed = [case for case in found if case.result.outcome == outcomes.EXPECTED]
    names = [f"{case.primitive}/{case.sample}/{case.dtype}/{_law(case)}" for case in failed]
    made: list[Gap] = []
    for row in rows:
        link = row["link"] if row["link"].startswith(("https://", "http://")) else ""
        made.append(Gap(row["case"], row["reason"], link, len(fnmatch.filter(names, row["case"]))))
    return made


def _law(case: Case) -> str:
    return case.result.id.split("/")[4].partition(":")[0]


def extent(report: Mapping[str, Any]) -> str:
    """How much of the suite a run was."""
    return "all" if report["whole"] else "a part" if report["only"] else "a sample"


def headline(verdict: Mapping[str, Any], tried: str, count: Mapping[str, int]) -> str:
    """The verdict, as one says it."""
    name, level = verdict["backend"], verdict["level"]
    if not sum(n for outcome, n in count.items() if outcome != outcomes.UNSUPPORTED):
        return f"Nothing was tried on {name}"
    if verdict["verdict"] == "pass":
        return f"{name} keeps level {level}" if level else f"{name} passes {tried}"
    return f"{name} keeps level {level}, and fails beyond" if level else f"{name} fails"


def day(date: str) -> str:
    """A date as a person reads it."""
    try:
        return f"{datetime.datetime.fromisoformat(date).astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return date


def stamp(verdict: Mapping[str, Any], tried: str) -> list[tuple[str, str]]:
    """What identifies a verdict."""
    level = verdict["level"] or ("none" if tried == "all" else f"none is claimed of {tried}")
    given = {"level": level, **{key: verdict[key] for key in ("suite", "opset", "profile", "device", "date", "hash")}}
    return [(key, day(str(value)) if key == "date" else str(value)) for key, value in given.items()]


def sections(report: Mapping[str, Any]) -> list[Section]:
    """What there is to say of each backend."""
    every, tried = cases(report), extent(report)
    made: list[Section] = []
    for verdict in report["verdicts"]:
        name = verdict["backend"]
        found = [case for case in every if case.result.backend in (name, "")]
        own = [case for case in found if case.result.backend == name]
        columns, rows = lines(found, name)
        count = counts(found)
        levels = [(level, counts(c for c in found if c.result.level == level)) for level in outcomes.LEVELS]
        made.append(
            Section(
                verdict, headline(verdict, tried, count), stamp(verdict, tried), count,
                [(level, row) for level, row in levels if sum(row.values())], columns, rows, histograms(own),
                spent(found)[:LONGEST], slowest(found)[:LONGEST], gaps(report["gaps"].get(name, ()), own),
                list(report["lacking"].get(name, {}).items()),
            )
        )  # fmt: skip
    return made
