"""The table of kernels: OpenCL on this machine's processor, beside XLA on the same processor and beside others.

    python -m benchmarks opencl

Each side is a process, and they take turns as in `benchmarks.functions`. XLA's side is portax too, with portax-cpu: the
same programs, and both write over their last results. NumPy's figures are there for scale. tinygrad runs on the same
OpenCL device, where it is installed. Below stand first steps of training, each in a process of its own: from nothing to
the loss, with empty caches and with those that the last such process left.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from benchmarks.functions import Side, in_microseconds, same
from benchmarks.kernels_server import OVER, opencl_library
from benchmarks.programs import kernels_numpy
from benchmarks.programs.kernels import CASES, STEPS, Case
from benchmarks.race import ROOT, ChildFailed

__all__ = ["Figures", "main", "table_of"]

SERVER = "benchmarks.kernels_server"
SUBJECT, PEERS = "portax-opencl", ("xla", "tinygrad", "numpy")
#: What tinygrad has been written for.
OF_TINYGRAD = [name for name, case in CASES.items() if "tinygrad" in case.musts]
#: Seconds that a batch should take, and the longest that a first step may.
BATCH, PATIENCE = 0.1, 600.0
#: Ratios of first steps: what is measured and what it is measured against, by the names of `first_steps`.
FIRST: tuple[tuple[str, str, float, float], ...] = (
    ("portax-opencl, empty caches", "jax, empty caches", 2.5, 1.0),
    ("portax-opencl, warm caches", "jax, empty caches", 0.8, 0.4),
    ("portax-opencl, empty caches", "tinygrad, empty caches", 0.25, 0.1),
)


def environments() -> dict[str, tuple[str, dict[str, str]]]:
    """For each side that can be measured here, its framework and what it needs in its environment."""
    found = {
        SUBJECT: ("portax", {"PORTAX_PLATFORMS": "opencl", OVER: "1"}),
        "xla": ("portax", {"PORTAX_PLATFORMS": "cpu", OVER: "1"}),
        "numpy": ("numpy", {}),
    }
    if importlib.util.find_spec("tinygrad") is not None:
        found["tinygrad"] = "tinygrad", {"DEV": "CL", "OPENCL_PATH": opencl_library()}
    return found


@contextlib.contextmanager
def sides() -> Iterator[dict[str, Side]]:
    """A new process for each, while the context lasts."""
    made = {name: Side(framework, SERVER, more) for name, (framework, more) in environments().items()}
    try:
        yield made
    finally:
        for side in made.values():
            side.close()


class Figures:
    """What was measured of one row: of each round the seconds of each side, or why there is nothing."""

    def __init__(self, label: str, musts: dict[str, tuple[float, float]]) -> None:
        self.label, self.musts = label, musts
        self.rounds: list[dict[str, float]] = []
        self.trouble: dict[str, str] = {}

    def seconds(self, side: str) -> float | None:
        """The median over the rounds; None where the side was not measured."""
        found = [r[side] for r in self.rounds if side in r]
        return median(found) if found else None

    def ratios(self, peer: str) -> list[float]:
        """The subject beside a peer, of each round, in order of size."""
        return sorted(r[SUBJECT] / r[peer] for r in self.rounds if SUBJECT in r and peer in r)

    def met(self, peer: str) -> str:
        """In a word whether the must is met, and the aim; empty where there is nothing to judge."""
        ratios, (must, aim) = self.ratios(peer), self.musts[peer]
        if not ratios:
            return ""
        return "no" if median(ratios) > must else "aim" if median(ratios) <= aim else "yes"


def takes_part(side: str, case: Case) -> bool:
    """Whether a side has the case written for it."""
    return {"tinygrad": case.name in OF_TINYGRAD, "numpy": case.name in kernels_numpy.FUNCTIONS}.get(side, True)


def measure(case: Case, made: dict[str, Side], rounds: int) -> Figures:
    """One case on all sides that have it, in turns."""
    figures = Figures(case.name, case.musts)
    taking: dict[str, Side] = {}
    witnesses: dict[str, list[float]] = {}
    for name, side in made.items():
        if not takes_part(name, case):
            continue
        try:
            witnesses[name] = side.ask("prepare", name=case.name)["witness"]
            side.ask("time", calls=1)
            taking[name] = side
        except ChildFailed as failed:
            figures.trouble[name] = str(failed)
    for name in list(taking):
        if SUBJECT in witnesses and not same(witnesses[SUBJECT], witnesses[name]):
            figures.trouble[name] = f"the sides did different work: {witnesses}"
            del taking[name]
    calls = {name: max(1, int(BATCH / max(s.ask("time", calls=1)["wall"], 1e-6))) for name, s in taking.items()}
    for number in range(rounds):
        order = list(taking) if number % 2 else list(taking)[::-1]
        figures.rounds.append({name: taking[name].ask("time", calls=calls[name])["wall"] for name in order})
    return figures


# -- first steps ------------------------------------------------------------------------------------------------------
def first_step(framework: str, name: str, more: dict[str, str], folder: str) -> float:
    """Seconds from the start of a process to its first loss; what it keeps goes into ``folder``."""
    kept = {"XDG_CACHE_HOME": folder, "PORTAX_CACHE_DIR": f"{folder}/portax", "POCL_CACHE_DIR": f"{folder}/pocl"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.first_step", "--framework", framework, name],
        cwd=ROOT, env={**os.environ, **more, **kept}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, complaint = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise ChildFailed(f"{framework}: no step after {PATIENCE:.0f} s") from None
    if process.returncode or not out.strip():
        raise ChildFailed(f"{framework}: {(complaint.strip().splitlines() or ['no loss'])[-1]}")
    return time.perf_counter() - start


def first_steps(name: str, rounds: int) -> Figures:
    """The first step of one program in new processes, by side and state of the caches."""
    figures = Figures(f"first step of the {name}", {})
    known = environments()
    wanted = {
        "portax-opencl": known[SUBJECT],
        "jax": ("jax", {"JAX_PLATFORMS": "cpu"}),
        **({"tinygrad": known["tinygrad"]} if "tinygrad" in known else {}),
    }
    for number in range(rounds):
        found: dict[str, float] = {}
        for side in list(wanted) if number % 2 else list(wanted)[::-1]:
            if side in figures.trouble or (side == "tinygrad" and number):  # minutes: once is enough
                continue
            framework, more = wanted[side]
            try:
                with tempfile.TemporaryDirectory() as folder:
                    found[f"{side}, empty caches"] = first_step(framework, name, more, folder)
                    if side != "jax":  # which keeps nothing unless it is told to
                        found[f"{side}, warm caches"] = first_step(framework, name, more, folder)
            except ChildFailed as failed:
                figures.trouble[side] = str(failed)
        figures.rounds.append(found)
    return figures


# -- the tables -------------------------------------------------------------------------------------------------------
def _judged(value: float | None, must: float, aim: float) -> list[str]:
    if value is None:
        return ["-", "", ""]
    met = "no" if value > must else "aim" if value <= aim else "yes"
    red = ("[bold red]", "[/]") if met == "no" else ("", "")
    return [f"{red[0]}{value:.2f}{red[1]}", f"{must:g} / {aim:g}", f"{red[0]}{met}{red[1]}"]


def table_of(rows: list[Figures], peers: tuple[str, ...], rounds: int) -> Table:
    table = Table(title=f"{SUBJECT} beside others on the same processor, median of {rounds} rounds")
    table.add_column("figure", no_wrap=True)
    for side in (SUBJECT, *peers):
        table.add_column(f"{side}, us", justify="right", no_wrap=True)
    for peer in PEERS[:2]:
        if peer in peers:
            for heading in (f"/ {peer}", "must / aim", "met"):
                table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        figures = [row.seconds(side) for side in (SUBJECT, *peers)]
        cells = ["-" if s is None else in_microseconds(s) for s in figures]
        for peer in PEERS[:2]:
            if peer in peers:
                ratios = row.ratios(peer)
                middle = median(ratios) if ratios else None
                cells += _judged(middle, *row.musts[peer]) if peer in row.musts else [""] * 3
        table.add_row(row.label, *cells)
    return table


def first_table(rows: list[Figures]) -> Table:
    table = Table(title="from the start of a process to the loss of its first step")
    for heading, justify in (("figure", "left"), ("seconds", "right"), ("beside", "left"), ("seconds", "right"),
                             ("ratio", "right"), ("must / aim", "right"), ("met", "right")):  # fmt: skip
        table.add_column(heading, justify=justify, no_wrap=True)  # pyright: ignore[reportArgumentType]
    for row in rows:
        for subject, peer, must, aim in FIRST:
            a, b = row.seconds(subject), row.seconds(peer)
            shown = ["-" if s is None else f"{s:.2f}" for s in (a, b)]
            ratio = a / b if a is not None and b is not None else None
            table.add_row(f"{row.label}: {subject}", shown[0], peer, shown[1], *_judged(ratio, must, aim))
    return table


def over(rows: list[Figures], first: list[Figures]) -> list[str]:
    """The rows whose ratios are above their musts, in words."""
    found = [f"{r.label} beside {peer}" for r in rows for peer in r.musts if r.met(peer) == "no"]
    for row in first:
        for subject, peer, must, _ in FIRST:
            a, b = row.seconds(subject), row.seconds(peer)
            if a is not None and b is not None and a / b > must:
                found.append(f"{row.label}: {subject} beside {peer}")
    return found


def as_data(rows: list[Figures], about: dict[str, Any]) -> dict[str, Any]:
    """Everything measured, for a later run to be compared with."""
    return {
        "versions": about,
        "rows": [{"label": r.label, "musts": r.musts, "rounds": r.rounds, "trouble": r.trouble} for r in rows],
    }


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks opencl", description="Kernels beside others'.")
    parser.add_argument("--only", metavar="PART", action="append", help="rows whose label has this in it; or several")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--first-rounds", type=int, default=3, help="of first steps; 0 leaves them out (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's figures here")
    parser.add_argument("--strict", action="store_true", help="status 1 where a ratio is over its must")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    args = arguments(given)
    console = Console(width=None if sys.stdout.isatty() else 150)
    asked = lambda label: not args.only or any(part in label for part in args.only)
    wanted = [case for case in CASES.values() if asked(case.name)]
    starting = [name for name in STEPS if args.first_rounds and asked(f"first step of the {name}")]
    rows: list[Figures] = []
    about: dict[str, Any] = {}
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=len(wanted) + len(starting))
            with sides() as made:
                about = {name: side.ask("versions") for name, side in made.items()}
                for case in wanted:
                    progress.update(task, description=case.name)
                    rows.append(measure(case, made, args.rounds))
                    progress.advance(task)
            first = []
            for name in starting:
                progress.update(task, description=f"first steps of the {name}")
                first.append(first_steps(name, args.first_rounds))
                progress.advance(task)
    except ChildFailed as failed:
        console.print(f"[bold red]cannot measure:[/] {escape(str(failed))}", highlight=False)
        return 1
    for side, found in about.items():
        words = ", ".join(f"{name} {version}" for name, version in found.items())
        console.print(f"[bold]{side}[/]: {words}", highlight=False)
    if rows:
        console.print(table_of(rows, tuple([p for p in PEERS if p in about]), args.rounds))
    if first:
        console.print(first_table(first))
    for row in (*rows, *first):
        for side, trouble in row.trouble.items():
            console.print(f"[bold red]{escape(row.label)}, {side}[/]: {escape(trouble)}", highlight=False)
    found = over(rows, first)
    for label in found:
        console.print(f"over its must: [bold]{escape(label)}[/]", highlight=False)
    if args.json:
        args.json.write_text(json.dumps(as_data([*rows, *first], about), indent=1) + "\n", "utf-8")
    failed = any(row.trouble.keys() - {"tinygrad"} for row in (*rows, *first))
    return int(failed or (args.strict and bool(found)))
