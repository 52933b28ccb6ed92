"""Running the two sides against each other.

Each measurement of each side is a process of its own. The sides take turns, and the order turns round from round
to round, so that a machine which slows down slows both. A ratio is taken within a round; the median over the rounds
is what is judged. One round before them is run and not counted: it fills the caches that a second start would find
(byte code, pages of the disk), on both sides alike. Caches of compiled code are left at each side's defaults.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.clock import Outcome
from benchmarks.rows import Line, Measurement, figure

__all__ = ["ChildFailed", "Result", "race", "versions"]

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT = 180.0


class ChildFailed(Exception):
    """A measuring process ended badly; the message is what it said last."""


@dataclass
class Result:
    """What the rounds of one measurement gave: an outcome per side and round, or why there is none."""

    measurement: Measurement
    sides: tuple[str, ...]
    rounds: list[tuple[Outcome, ...]] = field(default_factory=list)
    trouble: str = ""

    def figures(self, line: Line, side: int) -> list[float]:
        return [figure(outcomes[side]["seconds"], line.key) for outcomes in self.rounds]

    def ratio(self, line: Line) -> float | None:
        """Median over the rounds of subject / peer."""
        if len(self.sides) < 2 or not self.rounds:
            return None
        return median(a / b for a, b in zip(self.figures(line, 0), self.figures(line, 1)))

    def judged(self, line: Line) -> float | None:
        """The number that ``must`` and ``aim`` are about."""
        if line.own:
            return median(self.figures(line, 0)) if self.rounds else None
        return self.ratio(line)

    def verdict(self, line: Line) -> str:
        if self.trouble:
            return "failed"
        value = self.judged(line)
        if line.must is None or value is None:
            return ""
        if line.aim is not None and value <= line.aim:
            return "aim"
        return "must" if value <= line.must else "over"


def run(command: list[str]) -> str:
    # Installers write byte code for what they install; a source tree writes its own at the first start, unless told not
    # to. Both sides start from byte code.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=TIME_LIMIT, env=environment
        )
    except subprocess.TimeoutExpired as late:
        raise ChildFailed(f"no result after {TIME_LIMIT:.0f} s") from late
    if done.returncode:
        words = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise ChildFailed(words[-1] if words else f"ended with status {done.returncode}")
    return done.stdout


def child(name: str, side: str) -> dict[str, Any]:
    return json.loads(run([sys.executable, "-m", "benchmarks.child", name, "--framework", side]).splitlines()[-1])


def versions(side: str) -> dict[str, str]:
    """What is measured: the versions of its distributions and its device, as the process that runs it sees them."""
    return child("versions", side)


def measure(measurement: Measurement, side: str) -> Outcome:
    if measurement.program is not None:
        return child(measurement.name, side)
    start = time.perf_counter()
    run([sys.executable, "-c", f"import {side}"])
    return {"seconds": {"": time.perf_counter() - start}, "witness": []}


def same_work(a: Outcome, b: Outcome) -> str:
    """Words for how the witnesses of two sides differ; empty where they agree."""
    left, right = a["witness"], b["witness"]
    if len(left) != len(right):
        return f"the sides did different work: {len(left)} and {len(right)} numbers to compare"
    for x, y in zip(left, right):
        if not math.isclose(x, y, rel_tol=2e-3, abs_tol=1e-4):
            return f"the sides did different work: {x:.6g} and {y:.6g}"
    return ""


def race(
    measurements: tuple[Measurement, ...], sides: tuple[str, ...], rounds: int, tick: Callable[[str, str], None]
) -> Iterator[Result]:
    """Yields each result as soon as its rounds are done; ``tick(name, side)`` is called before each process."""
    for measurement in measurements:
        result = Result(measurement, sides)
        for number in range(-1, rounds):
            order = range(len(sides)) if number % 2 else reversed(range(len(sides)))
            outcomes: dict[int, Outcome] = {}
            for side in order:
                tick(measurement.name, sides[side])
                # What only runs compiled code finds nothing warmer in a second process: its round -1 is left out.
                if number < 0 and not starts_cold(measurement):
                    continue
                try:
                    outcomes[side] = measure(measurement, sides[side])
                except ChildFailed as failed:
                    result.trouble = f"{sides[side]}: {failed}"
            if result.trouble:
                break
            if number >= 0:
                result.rounds.append(tuple(outcomes[side] for side in range(len(sides))))
                if len(sides) == 2:
                    result.trouble = same_work(*result.rounds[-1])
                if result.trouble:
                    break
        yield result


def starts_cold(measurement: Measurement) -> bool:
    return measurement.name in ("import", "first_eager", "first_grad")
