"""``portax-conformance run``: tries cases on drivers."""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
from collections.abc import Sequence

import click
import pytest
from rich.console import Console

from portax_conformance import report
from portax_conformance.conductor import NAME, Conductor
from portax_conformance.journal import Journal
from portax_conformance.outcomes import LEVELS
from portax_conformance.progress import Screen, summary, table_of
from portax_conformance.report import Run
from portax_conformance.report_page import FILE as PAGE
from portax_conformance.report_page import page

#: Seconds that a case may take, in a quick run, in a full one, and at a stretch of all numbers.
LIMITS = {"quick": 30.0, "full": 120.0, "exhaustive": 1200.0}


def cores() -> int:
    """How many cores this process may use; two where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


# fmt: off
@click.command("run")
@click.option("--backend", "backends", multiple=True, metavar="NAME",
              help="What is judged, several with commas or by repetition; all that are installed by default.")
@click.option("--level", type=click.Choice(LEVELS), default="L3", show_default=True, help="Up to which level.")
@click.option("--quick", "effort", flag_value="quick", default="quick", help="A sample: a minute. The default.")
@click.option("--full", "effort", flag_value="full", help="Every case.")
@click.option("--exhaustive", "effort", flag_value="exhaustive",
              help="Every number of the narrow dtypes, and of float32: days. Name some: --only 'exhaustive/exp-*'.")
@click.option("--only", multiple=True, metavar="PATTERN",
              help="All cases whose id this names, as file names are (cumsum/*/L1/*), or is part of; may be repeated.")
@click.option("--seed", default=0, metavar="N", help="Draw other data, and another sample.")
@click.option("--report", "folder", metavar="DIR", help=f"Write {report.FILE} and {PAGE} there.")
@click.option("--resume", metavar="FILE", help="Keep results there, and go on from those that are there.")
@click.option("--workers", type=click.IntRange(min=1), default=cores, metavar="N", help="One for each core by default.")
@click.option("--limit", type=float, metavar="SECONDS", help="That a case may take (default: 30, 120 or 1200).")
@click.option("--memory", default=4096, show_default=True, metavar="MB", help="That a worker may hold.")
@click.pass_context
def command(
    context: click.Context, backends: Sequence[str], level: str, effort: str, only: Sequence[str], seed: int,
    folder: str | None, resume: str | None, workers: int, limit: float | None, memory: int,
) -> None:
    """Try cases on drivers.

    The exit status is 1 where something is bad, or nothing was tried.
    """
    asked = Run(effort, level, seed, list(only))
    names = list(dict.fromkeys(n.strip() for name in backends for n in name.split(",") if n.strip()))
    console = Console(width=None if sys.stdout.isatty() else 120)
    screen = Screen(console, seed)
    journal = Journal(resume, seed) if resume else None
    conductor = Conductor(asked, names, screen, workers, limit or LIMITS[effort], memory << 20, journal)
    context.exit(run(conductor, folder))


# fmt: on


def run(conductor: Conductor, folder: str | None) -> int:
    """Try what is asked for; 0 where something ran and nothing is bad."""
    asked, screen = conductor.run, conductor.screen
    # Settings of the folder that it is started in are its tests', and not ours.
    with tempfile.TemporaryDirectory() as place, screen:
        settings = os.path.join(place, "pytest.ini")
        with open(settings, "w", encoding="utf-8") as out:
            out.write("[pytest]\n")
        status = pytest.main(
            ["-c", settings, "--rootdir", place, "-p", "no:cacheprovider", "-p", "no:warnings", "-qq", "--no-header",
             "--no-summary", "--tb=short", "--pyargs", "portax_conformance.test_laws"],
            plugins=[_Named(conductor)],
        )  # fmt: skip
    content = report.data(asked, datetime.datetime.now(datetime.UTC))
    screen.console.print(table_of(asked))
    for line in summary(asked, content["verdicts"]):
        screen.console.print(line, highlight=False, soft_wrap=True)
    if folder:
        files = report.write(folder, content), report.write_text(os.path.join(folder, PAGE), page(content))
        for file in files:
            screen.console.print(f"written: {file}", highlight=False, soft_wrap=True)
    return int(bool(status) or not asked.success)


class _Named:
    """Registers the conductor under a name by which the suite finds it."""

    def __init__(self, conductor: Conductor) -> None:
        self.conductor = conductor

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self.conductor, NAME)
