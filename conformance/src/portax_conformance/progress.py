"""What a person sees of a run: a bar with counts and the time left, failures as they come, and a table at the end."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from portax_conformance import outcomes
from portax_conformance.outcomes import Result
from portax_conformance.report import Run, replay

COLOURS = {
    outcomes.PASS: "green", outcomes.FAIL: "bold red", outcomes.CRASHED: "bold magenta",
    outcomes.TIMED_OUT: "bold yellow", outcomes.EXPECTED: "cyan", outcomes.UNSUPPORTED: "dim",
}  # fmt: skip


class Screen:
    """The progress of one run.

    Parameters
    ----------
    console : Console
    seed : int
        For the commands that try a case again.
    """

    def __init__(self, console: Console, seed: int = 0) -> None:
        self.console, self.seed = console, seed
        self._counts: collections.Counter[str] = collections.Counter()
        columns = (
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[counts]}"), TimeElapsedColumn(),
            TextColumn("[dim]left[/]"), TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, console=console, transient=True)
        self._task: Any = None

    def __enter__(self) -> Screen:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def expect(self, count: int) -> None:
        """So many cases are to come."""
        self._task = self._bar.add_task("", total=count, counts="")

    def show(self, result: Result) -> None:
        """One more is done; what is bad is told at once."""
        self._counts[result.outcome] += 1
        counts = " ".join(f"[{COLOURS[o]}]{self._counts[o]} {o}[/]" for o in outcomes.ALL if self._counts[o])
        self._bar.update(self._task, advance=1, counts=counts)
        if result.bad:
            self._bar.console.print(told(result, self.seed), highlight=False, soft_wrap=True)


def told(result: Result, seed: int = 0) -> str:
    """A bad result, as it is printed."""
    words = "\n".join(f"    {line}" for line in result.words.splitlines())
    colour = COLOURS[result.outcome]
    again = f"    [dim]again:[/] {escape(replay(result, seed))}"
    return f"[{colour}]{result.outcome}[/] [bold]{escape(result.id)}[/]\n{escape(words)}\n{again}"


def table_of(run: Run) -> Table:
    """Counts by law and backend."""
    table = Table(title=f"conformance, {run.effort}, up to {run.level}")
    table.add_column("level")
    table.add_column("law", no_wrap=True)
    table.add_column("backend", no_wrap=True)
    for outcome in outcomes.ALL:
        table.add_column(outcome, justify="right", style=COLOURS[outcome])
    groups: dict[tuple[str, str, str], list[Result]] = collections.defaultdict(list)
    for result in run.results:
        groups[result.level, result.law, result.backend].append(result)
    for key, found in sorted(groups.items()):
        table.add_row(*key, *(str(n) if n else "" for n in outcomes.counts(found).values()))
    table.add_section()
    table.add_row("", "all", "", *map(str, outcomes.counts(run.results).values()))
    return table


def summary(run: Run, verdicts: Sequence[dict[str, Any]]) -> list[str]:
    """The last lines: a verdict for each backend, and what was not tested."""
    lines = []
    for found in verdicts:
        colour = "bold green" if found["verdict"] == "pass" else "bold red"
        none = "no level" if run.whole else "no level is claimed of a sample"
        reached = f"level {found['level']}" if found["level"] else none
        lines.append(f"[{colour}]{found['verdict']}[/] {found['backend']}: {reached}, {escape(found['device'])}")
    for name, why in run.unlisted.items():
        lines.append(f"[bold red]not listed[/] {name}: {escape(why)}")
    for name, why in run.not_tested.items():
        lines.append(f"[yellow]not tested[/] {name}: {escape(why)}")
    if outcomes.nothing_tried(run.results):
        lines.append("[bold red]nothing was tried[/]: no case ran, or none that the driver supports")
    return lines
