"""``portax-conformance compare``: what changed from one report to another.

Cases are matched by their ids, without the backend's name where each report judges one, so that two drivers can be
compared as well as two runs of one. Worse is: an outcome that is worse; a distance that grew; a case that passed
and was left out of a whole run. Time is told, and counts only where a limit is given, since machines are busy.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import click
from rich.console import Console

from portax_conformance import outcomes, report_views
from portax_conformance.report_file import load, only_verdict
from portax_conformance.report_views import Case, number

#: From worst to best; what is bad is equally so.
RANK = {**dict.fromkeys(outcomes.BAD, 0), outcomes.UNSUPPORTED: 1, outcomes.EXPECTED: 2, outcomes.PASS: 3}
#: Units in the last place that a distance may grow by, and rows of each list that are printed.
GROWTH, ROWS = 0.5, 20
#: Primitives that take less, in seconds, are not compared in time.
BRIEF = 1.0


@dataclasses.dataclass
class Change:
    """What became of one case, or one primitive's time: before and after."""

    name: str
    before: Any
    after: Any
    worse: bool


@dataclasses.dataclass
class Comparison:
    """What changed.

    Attributes
    ----------
    verdicts : two verdicts
    common, gone, new : int
        Cases in both, in the first alone, in the second alone.
    gone_counts : bool
        Both were whole runs up to the same level, so that a case that is gone should not be.
    seeds_differ : bool
        Then distances are of other data, and not compared.
    outcomes, ulps, gone_passing, times : list of Change
    """

    verdicts: list[dict[str, Any]]
    common: int
    gone: int
    new: int
    gone_counts: bool
    seeds_differ: bool
    seconds: tuple[float, float]
    level: list[Change] = dataclasses.field(default_factory=list)
    outcomes: list[Change] = dataclasses.field(default_factory=list)
    ulps: list[Change] = dataclasses.field(default_factory=list)
    lost: list[Change] = dataclasses.field(default_factory=list)
    times: list[Change] = dataclasses.field(default_factory=list)

    @property
    def worse(self) -> bool:
        """Something is worse than it was."""
        return any(c.worse for c in (*self.level, *self.outcomes, *self.ulps, *self.lost, *self.times))


def by_id(report: Mapping[str, Any], backend: str) -> dict[str, Case]:
    """The cases that judge a backend, by their ids without its name."""
    return {
        case.result.id.partition(":")[0]: case
        for case in report_views.cases(report)
        if case.result.backend in (backend, "")
    }


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], verdicts: list[dict[str, Any]],
    growth: float = GROWTH, slower: float | None = None,
) -> Comparison:  # fmt: skip
    """What changed from one report's verdict to another's.

    Parameters
    ----------
    growth : float
        Units in the last place that a distance may grow by.
    slower : float or None
        How many times as long a primitive may take.
    """
    old, new = (by_id(r, v["backend"]) for r, v in zip((before, after), verdicts, strict=True))
    common = [id for id in new if id in old]
    gone = [id for id in old if id not in new]
    whole = bool(before["whole"] and after["whole"] and before["asked_level"] == after["asked_level"])
    found = Comparison(
        verdicts, len(common), len(gone), len(new) - len(common), whole, before["seed"] != after["seed"],
        (before["seconds"], after["seconds"]),
    )  # fmt: skip
    was, now = (v["level"] for v in verdicts)
    if whole and was != now:
        found.level.append(Change(verdicts[1]["backend"], was, now, (was or "") > (now or "")))
    for id in common:
        a, b = old[id].result, new[id].result
        if a.outcome != b.outcome:
            found.outcomes.append(Change(id, a.outcome, b.outcome, RANK[b.outcome] < RANK[a.outcome]))
        if not found.seeds_differ and a.off and b.off and abs(b.off[0] - a.off[0]) > growth:
            found.ulps.append(Change(id, a.off[0], b.off[0], b.off[0] > a.off[0]))
    found.ulps.sort(key=lambda c: c.before - c.after)
    if whole:
        found.lost = [Change(id, outcomes.PASS, None, True) for id in gone if old[id].result.outcome == outcomes.PASS]
    found.times = _times([old[id] for id in common], [new[id] for id in common], slower)
    return found


def _times(old: list[Case], new: list[Case], slower: float | None) -> list[Change]:
    """Primitives whose cases took another time by a third or more; those that gained most time first."""
    a, b = ({row.name: row.seconds for row in report_views.spent(cases)} for cases in (old, new))
    made = [
        Change(name, a[name], b[name], slower is not None and b[name] > slower * a[name])
        for name in a
        if max(a[name], b[name]) > BRIEF and not 0.75 < b[name] / max(a[name], 1e-9) < 4 / 3
    ]
    return sorted(made, key=lambda c: (not c.worse, -abs(c.after - c.before)))


def plain(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON has it."""
    made = {"worse": found.worse, **dataclasses.asdict(found)}
    for row in made["ulps"]:
        row |= {key: "inf" if row[key] == float("inf") else row[key] for key in ("before", "after")}
    return made


def show(found: Comparison, console: Console) -> None:
    """Print a comparison."""

    def line(text: str, style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    for sign, verdict in zip("-+", found.verdicts, strict=True):
        level = verdict["level"] or "no level"
        line(f"{sign} {verdict['backend']}: {verdict['verdict']}, {level}, suite {verdict['suite']}, "
             f"opset {verdict['opset']}, {report_views.day(verdict['date'])}, {verdict['hash']}")  # fmt: skip
    line(f"{found.common:,} cases in both, {found.gone:,} in the first alone, {found.new:,} in the second alone")
    if found.seeds_differ:
        line("the seeds differ: distances are of other data, and are not compared")
    lists: list[tuple[str, list[Change], Callable[[Any], str]]] = [
        ("level", found.level, lambda x: x or "no level"),
        ("outcomes", found.outcomes, str),
        ("no longer tried", found.lost, lambda x: x or "not tried"),
        ("units in the last place", found.ulps, number),
        ("time", found.times, report_views.seconds),
    ]
    for title, changes, said in lists:
        if not changes:
            continue
        line(f"\n{title}: {len(changes):,} changed, {sum(c.worse for c in changes):,} for the worse", "bold")
        for change in sorted(changes, key=lambda c: not c.worse)[:ROWS]:
            sign, style = ("!", "red") if change.worse else (" ", None)
            line(f"  {sign} {change.name}: {said(change.before)} -> {said(change.after)}", style)
        if len(changes) > ROWS:
            line(f"    and {len(changes) - ROWS:,} more (--json has them all)")
    line(f"\n{'worse' if found.worse else 'nothing is worse'}", "bold red" if found.worse else "bold green")


@click.command("compare")
@click.argument("before", metavar="A.JSON", type=click.Path())
@click.argument("after", metavar="B.JSON", type=click.Path())
@click.option("--backend", metavar="NAME", help="Whose verdicts, where there are several.")
@click.option(
    "--ulps",
    "growth",
    default=GROWTH,
    show_default=True,
    metavar="N",
    help="Units in the last place that a distance may grow by.",
)
@click.option(
    "--slower",
    type=float,
    metavar="TIMES",
    help="It is worse, too, where a primitive takes so many times as long; by default time does not count.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what changed as JSON.")
@click.pass_context
def command(
    context: click.Context, before: str, after: str, backend: str | None, growth: float, slower: float | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Say what changed from one report to another: outcomes, distances, time.

    The exit status is 1 where something is worse.
    """
    reports = load(before), load(after)
    verdicts = [only_verdict(r, backend, file) for r, file in zip(reports, (before, after), strict=True)]
    found = compare(*reports, verdicts, growth, slower)
    if as_json:
        click.echo(json.dumps(plain(found), indent=1))
    else:
        show(found, Console())
    context.exit(int(found.worse))
