"""What is left of a run: ``report.json``, whose first lines are the verdict.

Everything that is shown later, by a page, a badge or a comparison, is made from what is written here and from nothing
else, so that a report can be kept, sent and read again where there is no driver.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from portax.testing import opset
from portax_conformance import outcomes
from portax_conformance.outcomes import Result

FILE = "report.json"
#: Of what is written. Greater numbers are of later releases, and are refused.
FORMAT = 1
#: By a driver that keeps the budgets as they are; one that declares wider ones says which.
EXACT_PROFILE, WIDER_PROFILE = "exact", "wider budgets"


@dataclasses.dataclass
class Run:
    """What a run was asked for, and what it found.

    Attributes
    ----------
    effort, level, seed, only
        As asked.
    drivers : dict of backend to what it says of itself
    not_tested : dict of installed backends that were not run, to why
    unlisted : dict of backends whose cases could not be listed, to why: whatever else they pass is no success
    gaps : dict of backend to list of (pattern, reason, link)
    results : list of Result
    seconds : float
    restarts : int
        Of workers.
    """

    effort: str
    level: str
    seed: int
    only: Sequence[str]
    drivers: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    not_tested: dict[str, str] = dataclasses.field(default_factory=dict)
    unlisted: dict[str, str] = dataclasses.field(default_factory=dict)
    gaps: dict[str, list[tuple[str, str, str]]] = dataclasses.field(default_factory=dict)
    budgets: dict[str, int] = dataclasses.field(default_factory=dict)
    results: list[Result] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    restarts: int = 0

    @property
    def whole(self) -> bool:
        """Every case of the levels asked for was tried. Of a sample, no level is claimed."""
        return self.effort == "full" and not self.only

    @property
    def success(self) -> bool:
        """Something ran, all that was asked for could be, and nothing is bad."""
        return not outcomes.nothing_tried(self.results) and not self.unlisted and not any(r.bad for r in self.results)

    def of(self, backend: str) -> list[Result]:
        """The results that judge a backend: its own, and those of the primitives."""
        return [r for r in self.results if r.backend in (backend, "")]


def replay(result: Result, seed: int = 0) -> str:
    """The command that tries one case alone."""
    backend = f" --backend {result.backend}" if result.backend else ""
    return f"portax-conformance run{backend} --only '{result.id}'" + (f" --seed {seed}" if seed else "")


def digest(results: Sequence[Result]) -> str:
    """Of what became of every case: equal where two runs found the same."""
    text = "\n".join(sorted(f"{r.id} {r.outcome}" for r in results))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def verdict(run: Run, backend: str, now: datetime.datetime) -> dict[str, Any]:
    """The first lines: what a driver reached."""
    found = run.of(backend)
    listed = backend not in run.unlisted
    good = listed and not any(r.bad for r in found) and not outcomes.nothing_tried(found)
    return {
        "verdict": "pass" if good else "fail",
        "backend": backend,
        "level": outcomes.level_reached(found) if run.whole and listed else None,
        "suite": importlib.metadata.version("portax-conformance"),
        "opset": opset.VERSION,
        "profile": WIDER_PROFILE if run.budgets.get(backend) else EXACT_PROFILE,
        "device": run.drivers.get(backend, {}).get("device", ""),
        "date": now.isoformat(timespec="seconds"),
        "hash": digest(found),
    }


def data(run: Run, now: datetime.datetime) -> dict[str, Any]:
    """Everything, as JSON can say it; the verdicts first."""
    verdicts = [verdict(run, backend, now) for backend in run.drivers]
    return {
        "verdicts": verdicts,
        "format": FORMAT,
        "whole": run.whole,
        "success": run.success,
        "effort": run.effort,
        "asked_level": run.level,
        "seed": run.seed,
        "only": list(run.only),
        "seconds": round(run.seconds, 1),
        "worker_restarts": run.restarts,
        "counts": {b: outcomes.counts([r for r in run.results if r.backend == b]) for b in (*run.drivers, "")},
        "drivers": run.drivers,
        "not_tested": run.not_tested,
        "gaps": {
            backend: [{"case": case, "reason": reason, "link": link} for case, reason, link in rows]
            for backend, rows in run.gaps.items()
        },
        "lacking": {backend: _reasons(run, backend) for backend in run.drivers},
        "failures": [
            {"id": r.id, "outcome": r.outcome, "words": r.words, "replay": replay(r, run.seed), "detail": r.detail}
            for r in run.results
            if r.bad
        ],
        "cases": {r.id: [r.outcome, round(r.seconds, 4)] for r in run.results},
        "ulps": {r.id: [_number(x) for x in r.off] for r in run.results if r.off},
    }


def _reasons(run: Run, backend: str) -> dict[str, int]:
    """What a driver lacks, in its words, and for how many cases; the most frequent first."""
    found = [r.words for r in run.results if r.backend == backend and r.outcome == outcomes.UNSUPPORTED]
    return dict(collections.Counter(found).most_common())


def _number(x: float) -> float | str:
    """A number as JSON has it, which knows no infinity."""
    return float(f"{x:.4g}") if math.isfinite(x) else "inf"


def write(folder: str, content: Mapping[str, Any]) -> str:
    """Write the report into a folder; gives the file's path."""
    os.makedirs(folder, exist_ok=True)
    return write_text(os.path.join(folder, FILE), json.dumps(content, indent=1) + "\n")


def write_text(file: str, text: str) -> str:
    """Write a file, all of it or nothing; gives its path."""
    temporary = f"{file}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
    return file
