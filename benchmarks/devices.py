"""The table of many devices: steps that are divided over virtual devices of one processor, beside the peer's.

    python -m benchmarks devices --peer jax

Two processes, one for each side, take turns as in `benchmarks.functions`, each with eight virtual devices, of which
meshes of 1, 2, 4 and 8 are made; they begin anew several times, for the reason given there. The devices share the
machine's processors: what is measured is not how much quicker eight of them are, but what dividing costs on either
side. A step is timed where each device keeps its work however many there are (weak), and where they share it (strong).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from benchmarks.functions import BATCH, Side, in_microseconds, same, sides_of
from benchmarks.programs.divided import STEPS
from benchmarks.race import ChildFailed

__all__ = ["COUNTS", "Row", "main", "table_of"]

COUNTS = (1, 2, 4, 8)
#: So many virtual devices are only lowered for.
MANY = 4096
MUST_RUN, MUST_DISPATCH, MUST_STAGE, MUST_MANY = 1.05, 1.0, 0.4, 1.5
AIM_RUN, AIM_DISPATCH, AIM_STAGE, AIM_MANY = 1.0, 0.95, 0.2, 1.1
SERVER = "benchmarks.devices_server"
#: Rounds of the price of a call for each of another row: eight threads wake each other for next to no work, and the
#: middle half of the ratios spans a fifth either way.
OF_A_CALL = 30


def environment(count: int) -> dict[str, str]:
    """What gives either side so many virtual devices."""
    return {
        "PORTAX_CPU_DEVICES": str(count),
        "JAX_NUM_CPU_DEVICES": str(count),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "",
    }


@dataclass
class Row:
    """A figure: for each round the seconds of each side, the most the judged ratio may be, and what it should be.

    ``own`` rows are judged by the ratio of the first side's figure to its figure in another row.
    """

    label: str
    must: float
    aim: float
    rounds: list[list[float]] = field(default_factory=list)
    own: float | None = None
    trouble: str = ""

    def seconds(self, side: int) -> float:
        """The median over the rounds."""
        return median(r[side] for r in self.rounds)

    def ratios(self) -> list[float]:
        """Of each round, in order of size."""
        if self.own is not None:
            return [self.own]
        return sorted(r[0] / r[1] for r in self.rounds if len(r) > 1)

    def over(self) -> bool:
        """Whether its ratio is above its must."""
        return bool(self.ratios()) and median(self.ratios()) > self.must

    def met(self) -> str:
        """In a word whether the must is met, and the aim; empty where there is nothing to judge."""
        if self.trouble or not self.ratios():
            return ""
        return "no" if self.over() else "aim" if median(self.ratios()) <= self.aim else "yes"


def _batches(row: Row, sides: list[Side], rounds: int) -> Row:
    """Times batches of calls of what the sides have prepared, in turns."""
    for _ in range(2):
        price = min(s.ask("time", calls=3)["wall"] for s in sides)
    calls = max(3, int(BATCH / max(price, 1e-6)))
    for number in range(rounds):
        order = range(len(sides)) if number % 2 else range(len(sides) - 1, -1, -1)
        times = {i: s.ask("time", calls=calls)["wall"] for i, s in ((i, sides[i]) for i in order)}
        row.rounds.append([times[i] for i in range(len(sides))])
    return row


def _prepared(row: Row, sides: list[Side], rounds: int, what: str, **request: Any) -> Row:
    try:
        witnesses = [s.ask(what, **request)["witness"] for s in sides]
        if not all(same(witnesses[0], w) for w in witnesses[1:]):
            raise ChildFailed(f"the sides did different work: {witnesses}")
        return _batches(row, sides, rounds)
    except ChildFailed as failed:
        row.trouble = str(failed)
        return row


def _staged(name: str, sides: list[Side], count: int, rounds: int) -> dict[str, list[list[float]]]:
    """For each figure, of each round the seconds of each side."""
    found: dict[str, list[list[float]]] = {"both": [], "trace": [], "lower": []}
    for number in range(rounds):
        order = range(len(sides)) if number % 2 else range(len(sides) - 1, -1, -1)
        times = {i: sides[i].ask("stage", name=name, count=count, again=3) for i in order}
        for key, rows in found.items():
            rows.append([times[i][key] for i in range(len(sides))])
    return found


def measure(sides: list[Side], rounds: int, tick: Any) -> list[Row]:
    """All figures but those of thousands of devices."""
    rows: list[Row] = []
    for name in STEPS:
        for scaled in (True, False):
            for count in COUNTS:
                how = "weak" if scaled else "strong"
                row = Row(f"{name} step, {how}, {count} devices", MUST_RUN, AIM_RUN)
                rows.append(_prepared(row, sides, rounds, "prepare", name=name, count=count, scaled=scaled))
                tick(row.label)
    row = Row("call of a jitted function on 8 devices", MUST_DISPATCH, AIM_DISPATCH)
    rows.append(_prepared(row, sides, OF_A_CALL * rounds, "prepare_tiny", count=8))
    tick(row.label)
    for name in STEPS:
        row = Row(f"{name} step, traced and lowered", MUST_STAGE, AIM_STAGE)
        try:
            row.rounds = _staged(name, sides, 8, max(3, rounds // 3))["both"]
        except ChildFailed as failed:
            row.trouble = str(failed)
        rows.append(row)
        tick(row.label)
    return rows


def joined(rows: list[Row], more: list[Row]) -> list[Row]:
    """The rounds of rows and of the same rows again; what failed once has failed."""
    for row, again in zip(rows, more):
        row.rounds += again.rounds
        row.trouble = row.trouble or again.trouble
    return rows or more


def measure_many(framework: str, rounds: int) -> list[Row]:
    """Lowering for thousands of devices beside lowering for eight, of one side alone, in turns."""
    rows = [Row(f"{name} step, lowered for {MANY:,} / for 8", MUST_MANY, AIM_MANY) for name in STEPS]
    sides = [Side(framework, SERVER, environment(count)) for count in (MANY, 8)]
    try:
        for row, name in zip(rows, STEPS):
            try:
                for _ in range(rounds):
                    lowered = [
                        side.ask("stage", name=name, count=count, again=5)["lower"]
                        for side, count in zip(sides, (MANY, 8))
                    ]
                    row.rounds.append(lowered)
            except ChildFailed as failed:
                row.trouble = str(failed)
    finally:
        for side in sides:
            side.close()
    for row in rows:
        if row.rounds:
            row.own = median(r[0] / r[1] for r in row.rounds)
    return rows


def cells(row: Row, sides: int) -> list[str]:
    """Label, seconds of each side, ratio with the middle half of the rounds, must and aim, and whether they are met."""
    judged = [f"{row.must:g}", f"{row.aim:g}", f"[bold red]{row.met()}[/]" if row.over() else row.met()]
    if row.trouble:
        return [row.label, *["-"] * sides, "[bold red]failed[/]", "", *judged]
    figures = [in_microseconds(row.seconds(i)) for i in range(min(sides, len(row.rounds[0])))]
    if row.own is not None:
        figures = [in_microseconds(row.seconds(0)), *[""] * (sides - 1)]
    ratios = row.ratios()
    if not ratios:
        return [row.label, *figures, "", "", *judged]
    middle, quarter = median(ratios), len(ratios) // 4
    text = f"[bold red]{middle:.2f}[/]" if row.over() else f"{middle:.2f}"
    return [row.label, *figures, text, f"[dim]{ratios[quarter]:.2f}-{ratios[-1 - quarter]:.2f}[/]", *judged]


def table_of(rows: list[Row], sides: list[str], times: int, rounds: int) -> Table:
    table = Table(title=f"many devices, {' beside '.join(sides)}, median of {times} times {rounds} rounds")
    table.add_column("figure", no_wrap=True)
    for side in sides:
        table.add_column(f"{side}, us", justify="right", no_wrap=True)
    for heading in ("ratio", "middle half", "must", "aim", "met"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*cells(row, len(sides)))
    return table


def as_data(rows: list[Row], about: dict[str, Any], times: int, rounds: int) -> dict[str, Any]:
    """Everything measured, for a later run to be compared with."""
    return {
        "versions": about,
        "times": times,
        "rounds": rounds,
        "rows": [
            {
                "label": r.label, "must": r.must, "aim": r.aim, "met": r.met(), "rounds": r.rounds, "over": r.over(),
                "trouble": r.trouble,
            }
            for r in rows
        ],
    }  # fmt: skip


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks devices", description="Many devices beside a peer's.")
    parser.add_argument("--framework", default="portax", help="what is measured (default: portax)")
    parser.add_argument("--peer", help="what it is compared with, such as jax")
    parser.add_argument("--times", type=int, default=12, help="how often new processes begin anew (default: 12)")
    parser.add_argument("--rounds", type=int, default=2, help="of each time (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's figures here")
    parser.add_argument("--strict", action="store_true", help="status 1 where a ratio is over its must")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    args = arguments(given)
    console = Console(width=None if sys.stdout.isatty() else 130)
    names = [args.framework, args.peer] if args.peer else [args.framework]
    about: dict[str, Any] = {}
    rows: list[Row] = []
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=args.times * (len(STEPS) * (2 * len(COUNTS) + 1) + 1))
            for _ in range(args.times):
                with sides_of(names, SERVER, environment(max(COUNTS))) as sides:
                    about = {f"{i}:{s.framework}": s.ask("versions") for i, s in enumerate(sides)}
                    tick = lambda label: progress.update(task, advance=1, description=label)
                    rows = joined(rows, measure(sides, args.rounds, tick))
    except ChildFailed as failed:
        console.print(f"[bold red]cannot measure:[/] {escape(str(failed))}", highlight=False)
        return 1
    for side, found in about.items():
        words = ", ".join(f"{name} {version}" for name, version in found.items())
        console.print(f"[bold]{side.partition(':')[2]}[/]: {words}", highlight=False)
    rows += measure_many(args.framework, max(3, args.rounds // 3))
    console.print(table_of(rows, names, args.times, args.rounds))
    for row in rows:
        if row.trouble:
            console.print(f"[bold red]{escape(row.label)}[/]: {escape(row.trouble)}", highlight=False)
    over = [row.label for row in rows if not row.trouble and row.over()]
    for label in over:
        console.print(f"over its must: [bold]{escape(label)}[/]", highlight=False)
    if args.json:
        args.json.write_text(json.dumps(as_data(rows, about, args.times, args.rounds), indent=1) + "\n", "utf-8")
    return int(any(row.trouble for row in rows) or (args.strict and bool(over)))
