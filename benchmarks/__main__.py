"""Print the table of figures.

    python -m benchmarks                       portax's figures
    python -m benchmarks --peer jax            with those of jax, and the ratios; under six minutes
    python -m benchmarks --peer jax --only eager --only matmul --rounds 3 --json figures.json
    python -m benchmarks --framework jax --peer jax      the harness against itself: every ratio should be near 1
    python -m benchmarks api --peer jax        sixty compiled functions instead (`benchmarks.functions`)
    python -m benchmarks devices --peer jax    steps divided over virtual devices (`benchmarks.devices`)
    python -m benchmarks opencl                kernels on an OpenCL device, beside XLA's (`benchmarks.kernels`)

Ends with status 1 where a measurement failed, and with --strict also where a ratio is over its must.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import devices, functions, kernels
from benchmarks.race import ChildFailed, Result, race, versions
from benchmarks.rows import MEASUREMENTS, Line

__all__ = ["main"]

STYLES = {"aim": "bold green", "must": "green", "over": "bold red", "failed": "bold red"}


def in_units(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def bare_number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def cells(result: Result, line: Line) -> list[str]:
    """Figure per side, ratio with its smallest and largest round, must, aim, verdict."""
    show = bare_number if line.key == "growth" else in_units
    verdict = result.verdict(line)
    if result.trouble and not result.rounds:
        figures, ratio = ["-"] * len(result.sides), "-"
    else:
        figures = [show(median(result.figures(line, side))) for side in range(len(result.sides))]
        middle = None if line.own else result.ratio(line)
        ratio = "" if middle is None else f"{middle:.3f}"
        if middle is not None and len(result.rounds) > 1:
            each = [a / b for a, b in zip(result.figures(line, 0), result.figures(line, 1))]
            ratio += f" [dim]({min(each):.2f}-{max(each):.2f})[/]"
    style = STYLES.get(verdict)
    return [
        line.label,
        *figures,
        ratio,
        bare_number(line.must),
        bare_number(line.aim),
        f"[{style}]{verdict}[/]" if style else verdict,
    ]


def table_of(results: list[Result], sides: tuple[str, ...], rounds: int) -> Table:
    table = Table(title=f"{' beside '.join(sides)}, median of {rounds}")
    table.add_column("figure")
    for side in sides:
        table.add_column(side, justify="right", no_wrap=True)
    table.add_column(" / ".join(sides) if len(sides) > 1 else "ratio", justify="right", no_wrap=True)
    for heading in ("must", "aim"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", no_wrap=True)
    for result in results:
        for line in result.measurement.lines:
            table.add_row(*cells(result, line))
    return table


def as_data(results: list[Result], about: dict[str, dict[str, str]], rounds: int) -> dict[str, Any]:
    """Everything measured, round by round, for a later run to be compared with."""
    return {
        "versions": about,
        "rounds": rounds,
        "lines": [
            {
                "measurement": result.measurement.name,
                "label": line.label.strip(),
                "figures": {f"{i}:{side}": result.figures(line, i) for i, side in enumerate(result.sides)},
                "ratio": result.ratio(line),
                "must": line.must,
                "aim": line.aim,
                "verdict": result.verdict(line),
                "trouble": result.trouble,
            }
            for result in results
            for line in result.measurement.lines
        ],
        "notes": {
            result.measurement.name: [outcome.get("notes", {}) for outcome in result.rounds[0]]
            for result in results
            if result.rounds
        },
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures of portax beside a peer.")
    parser.add_argument("--framework", default="portax", help="what is measured (default: portax)")
    parser.add_argument("--peer", help="what it is compared with, such as jax")
    parser.add_argument(
        "--only", action="append", metavar="NAME", choices=[m.name for m in MEASUREMENTS], help="may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's figures here")
    parser.add_argument("--strict", action="store_true", help="status 1 where a ratio is over its must")
    return parser.parse_args()


def main() -> int:
    if sys.argv[1:2] == ["api"]:
        return functions.main(sys.argv[2:])
    if sys.argv[1:2] == ["devices"]:
        return devices.main(sys.argv[2:])
    if sys.argv[1:2] == ["opencl"]:
        return kernels.main(sys.argv[2:])
    args = arguments()
    console = Console(width=None if sys.stdout.isatty() else 130)
    sides = (args.framework, args.peer) if args.peer else (args.framework,)
    chosen = tuple(m for m in MEASUREMENTS if not args.only or m.name in args.only)
    about = {}
    for side in sides:
        try:
            about[side] = versions(side)
        except ChildFailed as failed:
            console.print(f"[bold red]{side} cannot be measured here:[/] {escape(str(failed))}", highlight=False)
            return 1
        words = ", ".join(f"{name} {version}" for name, version in about[side].items())
        console.print(f"[bold]{side}[/]: {words}", highlight=False)
    results: list[Result] = []
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(chosen) * len(sides) * (args.rounds + 1))
        tick = lambda name, side: progress.update(task, advance=1, description=f"{name}, {side}")
        for done, result in enumerate(race(chosen, sides, args.rounds, tick), start=1):
            results.append(result)
            progress.update(task, completed=done * len(sides) * (args.rounds + 1))
    console.print(table_of(results, sides, args.rounds))
    for result in results:
        if result.trouble:
            console.print(f"[bold red]{result.measurement.name}[/]: {escape(result.trouble)}", highlight=False)
        elif result.rounds:
            for side, outcome in zip(sides, result.rounds[0]):
                for name, value in outcome.get("notes", {}).items():
                    console.print(f"[dim]{result.measurement.name}, {side}: {value:,} {name}[/]", highlight=False)
    if args.json:
        args.json.write_text(json.dumps(as_data(results, about, args.rounds), indent=1) + "\n", "utf-8")
    over = args.strict and any(r.verdict(line) == "over" for r in results for line in r.measurement.lines)
    return int(over or any(result.trouble for result in results))


if __name__ == "__main__":
    sys.exit(main())
