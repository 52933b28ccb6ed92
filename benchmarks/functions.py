"""The table of functions: how fast compiled functions run beside the peer's, and what tracing them costs.

    python -m benchmarks api --peer jax

Two processes, one for each side, live side by side and take turns: a batch of calls of one, then a batch of the same
number of calls of the other, the order turning round from round to round. A ratio is taken within a round, a fraction
of a second long, and the median over the rounds is judged, so that what slows the machine down slows both sides. The
time that all threads of a process worked is beside it: what waits for a processor does not count there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from benchmarks.programs.functions import FUNCTIONS, Function
from benchmarks.race import ROOT, ChildFailed

__all__ = ["Figures", "Side", "main", "same", "table_of"]

#: A ratio may not be greater, nor may an equation cost more microseconds to trace.
MUST, MUST_TRACE = 1.1, 100.0
#: Seconds that a batch should take.
BATCH = 0.02


class Side:
    """A process that measures one library: `benchmarks.server` or another, with more in its environment."""

    def __init__(
        self, framework: str, server: str = "benchmarks.server", environment: dict[str, str] | None = None
    ) -> None:
        self.framework = framework
        self.process = subprocess.Popen(
            [sys.executable, "-m", server, "--framework", framework],
            cwd=ROOT, env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def ask(self, do: str, **request: Any) -> Any:
        """The answer to a request; ChildFailed if it was an error, or none came."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ChildFailed(f"{self.framework} ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildFailed(f"{self.framework}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended by itself, which was said already
            self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def sides_of(names: list[str], *how: Any) -> Iterator[list[Side]]:
    """A new process for each library, while the context lasts; ``how`` are the other arguments of `Side`."""
    sides = [Side(name, *how) for name in names]
    try:
        yield sides
    finally:
        for side in sides:
            side.close()


@dataclass
class Figures:
    """What was measured of one function.

    ``rounds[size]`` holds a list of rounds, each of which has the seconds per call of each side, as ``(wall, cpu)``.
    """

    function: Function
    rounds: dict[int, list[list[tuple[float, float]]]] = field(default_factory=dict)
    trace: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""

    def seconds(self, size: int, side: int) -> float:
        return median(r[side][0] for r in self.rounds[size])

    def ratios(self, size: int, clock: int = 0) -> list[float]:
        """Subject / peer within each round, smallest first; by the wall clock, or (``clock`` 1) by work done."""
        # The clock of work done is coarse: a batch may have taken none.
        return sorted(a[clock] / b[clock] for a, b in self.rounds[size] if b[clock] > 0)

    def ratio(self, size: int, clock: int = 0) -> float:
        found = self.ratios(size, clock)
        return median(found) if found else math.nan

    def per_equation(self) -> float:
        """Microseconds of tracing for each equation."""
        return 1e6 * self.trace["seconds"] / max(self.trace["equations"], 1)

    def over(self) -> list[str]:
        """What is above its must."""
        found = [f"{n:,}" for n, rounds in self.rounds.items() if len(rounds[0]) > 1 and self.ratio(n) > MUST]
        return found + (["tracing"] if self.trace and self.per_equation() > MUST_TRACE else [])


def same(a: list[float], b: list[float]) -> bool:
    """Whether two sides' witnesses agree."""
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=2e-3, abs_tol=1e-4) for x, y in zip(a, b))


def measure(figures: Figures, sides: list[Side], rounds: int) -> None:
    """Add to the figures of a function: all sides in turns, at both sizes; then the first side's tracing."""
    function = figures.function
    try:
        for size in (function.small, function.large):
            witnesses = [s.ask("prepare", name=function.name, size=size)["witness"] for s in sides]
            if not all(same(witnesses[0], w) for w in witnesses[1:]):
                raise ChildFailed(f"at size {size:,} the sides did different work: {witnesses}")
            # The first calls are slow on either side; what they cost says how many make a batch.
            for _ in range(2):
                price = min(s.ask("time", name=function.name, size=size, calls=3)["wall"] for s in sides)
            calls = max(1, int(BATCH / max(price, 1e-6)))
            found = figures.rounds.setdefault(size, [])
            for number in range(rounds):
                order = range(len(sides)) if number % 2 else range(len(sides) - 1, -1, -1)
                times = {i: sides[i].ask("time", name=function.name, size=size, calls=calls) for i in order}
                found.append([(times[i]["wall"], times[i]["cpu"]) for i in range(len(sides))])
            for s in sides:
                s.ask("forget", name=function.name, size=size)
        trace = sides[0].ask("trace", name=function.name)
        if not figures.trace or trace["seconds"] < figures.trace["seconds"]:
            figures.trace = trace
    except ChildFailed as failed:
        figures.trouble = str(failed)


def in_microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}" if seconds < 1e-3 else f"{seconds * 1e6:,.0f}"


def judged(value: float, must: float, text: str) -> str:
    return f"[bold red]{text}[/]" if value > must else text


def cells(figures: Figures, size: int, sides: list[str]) -> list[str]:
    """A row: name, size, microseconds of each side, ratio, its middle half and range, ratio of work, tracing."""
    function = figures.function
    row = [escape(function.name) if size == function.small else "", f"{size:,}"]
    row += [in_microseconds(figures.seconds(size, i)) for i in range(len(sides))]
    if len(sides) > 1:
        ratios, middle = figures.ratios(size), figures.ratio(size)
        quarter = len(ratios) // 4
        row.append(judged(middle, MUST, f"{middle:.2f}"))
        row.append(f"[dim]{ratios[quarter]:.2f}-{ratios[-1 - quarter]:.2f}[/]")
        row.append(f"[dim]{figures.ratio(size, 1):.2f}[/]")
    if size == function.small and figures.trace:
        each = figures.per_equation()
        row += [judged(each, MUST_TRACE, f"{each:.0f}"), str(figures.trace["equations"])]
    else:
        row += ["", ""]
    return row


def table_of(results: list[Figures], sides: list[str], times: int, rounds: int) -> Table:
    how = f"median of {times} times {rounds} rounds"
    table = Table(title=f"compiled functions, {' beside '.join(sides)}, {how}")
    table.add_column("function", no_wrap=True)
    table.add_column("size", justify="right")
    for side in sides:
        table.add_column(f"{side}, us", justify="right", no_wrap=True)
    if len(sides) > 1:
        table.add_column("ratio", justify="right")
        table.add_column("middle half", justify="right", no_wrap=True)
        table.add_column("of work", justify="right")
    table.add_column("us/eqn", justify="right")
    table.add_column("eqns", justify="right")
    for figures in results:
        for size in figures.rounds if not figures.trouble else ():
            table.add_row(*cells(figures, size, sides))
        if figures.trouble:
            table.add_row(escape(figures.function.name), "[bold red]failed[/]")
    return table


def as_data(results: list[Figures], about: dict[str, Any], times: int, rounds: int) -> dict[str, Any]:
    """Everything measured, for a later run to be compared with."""
    return {
        "versions": about,
        "times": times,
        "rounds": rounds,
        "functions": [
            {
                "name": f.function.name,
                "sizes": {
                    str(n): {"ratio": f.ratio(n) if len(r[0]) > 1 else None, "rounds": r} for n, r in f.rounds.items()
                },
                "trace": f.trace,
                "over": f.over() if not f.trouble else [],
                "trouble": f.trouble,
            }
            for f in results
        ],
    }  # fmt: skip


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks api", description="Compiled functions beside a peer's.")
    parser.add_argument("--framework", default="portax", help="what is measured (default: portax)")
    parser.add_argument("--peer", help="what it is compared with, such as jax")
    parser.add_argument("--only", action="append", metavar="NAME", help="a function or a group; may be repeated")
    parser.add_argument("--times", type=int, default=3, help="how often new processes begin anew (default: 3)")
    parser.add_argument("--rounds", type=int, default=5, help="of each time (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's figures here")
    parser.add_argument("--strict", action="store_true", help="status 1 where a ratio or tracing is over its must")
    args = parser.parse_args(given)
    known = {f.name for f in FUNCTIONS} | {f.group for f in FUNCTIONS}
    for name in args.only or ():
        if name not in known:
            parser.error(f"no function or group is called {name!r}; there are {', '.join(sorted(known))}")
    return args


def main(given: list[str]) -> int:
    args = arguments(given)
    console = Console(width=None if sys.stdout.isatty() else 130)
    names = [args.framework, args.peer] if args.peer else [args.framework]
    chosen = [f for f in FUNCTIONS if not args.only or f.name in args.only or f.group in args.only]
    results = [Figures(f) for f in chosen]
    about: dict[str, Any] = {}
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=args.times * len(chosen))
            for _ in range(args.times):
                with sides_of(names) as sides:
                    about = {f"{i}:{s.framework}": s.ask("versions") for i, s in enumerate(sides)}
                    for figures in results:
                        progress.update(task, description=figures.function.name)
                        if not figures.trouble:
                            measure(figures, sides, args.rounds)
                        progress.advance(task)
    except ChildFailed as failed:
        console.print(f"[bold red]cannot measure:[/] {escape(str(failed))}", highlight=False)
        return 1
    for side, found in about.items():
        words = ", ".join(f"{name} {version}" for name, version in found.items())
        console.print(f"[bold]{side.partition(':')[2]}[/]: {words}", highlight=False)
    console.print(table_of(results, names, args.times, args.rounds))
    for figures in results:
        if figures.trouble:
            console.print(f"[bold red]{escape(figures.function.name)}[/]: {escape(figures.trouble)}", highlight=False)
    measured = [f for f in results if not f.trouble]
    over = {f.function.name: f.over() for f in measured if f.over()}
    for name, what in over.items():
        console.print(f"over its must: [bold]{escape(name)}[/], {', '.join(what)}", highlight=False)
    if len(sides) > 1 and measured:
        every = [f.ratio(n) for f in measured for n in f.rounds]
        mean = math.exp(sum(map(math.log, every)) / len(every))
        within = sum(r <= MUST for r in every)
        console.print(f"{within} of {len(every)} ratios within {MUST}; geometric mean {mean:.2f}", highlight=False)
    if args.json:
        args.json.write_text(json.dumps(as_data(results, about, args.times, args.rounds), indent=1) + "\n", "utf-8")
    return int(len(measured) < len(results) or (args.strict and bool(over)))
