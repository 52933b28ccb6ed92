"""The command ``portax-conformance``."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence

import pytest
from rich.console import Console

from portax_conformance import report
from portax_conformance.conductor import NAME, Conductor
from portax_conformance.outcomes import LEVELS
from portax_conformance.progress import Screen, summary, table_of
from portax_conformance.report import Run

#: Seconds that a case may take, in a quick run and in a full one.
LIMITS = {"quick": 30.0, "full": 120.0}


def cores() -> int:
    """How many cores this process may use; two where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    top = argparse.ArgumentParser(prog="portax-conformance", description="Judges drivers of portax.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="try cases on a driver", description="Tries cases on a driver.")
    run.add_argument(
        "--backend", action="append", default=[], metavar="NAME",
        help="what is judged, several with commas or by repetition; all that are installed by default",
    )  # fmt: skip
    run.add_argument("--level", choices=LEVELS, default="L3", help="up to which level (default: L3)")
    effort = run.add_mutually_exclusive_group()
    effort.add_argument("--quick", dest="effort", action="store_const", const="quick", help="a sample: a minute")
    effort.add_argument("--full", dest="effort", action="store_const", const="full", help="every case")
    run.add_argument(
        "--only", action="append", default=[], metavar="PATTERN",
        help="all cases whose id this names, as file names are (cumsum/*/L1/*), or is part of; may be repeated",
    )  # fmt: skip
    run.add_argument("--seed", type=int, default=0, metavar="N", help="draw other data, and another sample")
    run.add_argument("--report", metavar="DIR", help=f"write {report.FILE} there")
    run.add_argument("--workers", type=int, default=cores(), metavar="N", help="default: one for each core")
    run.add_argument("--limit", type=float, metavar="SECONDS", help="that a case may take (default: 30, or 120)")
    run.add_argument(
        "--memory", type=int, default=4096, metavar="MB", help="that a worker may hold (default: %(default)s)"
    )
    run.set_defaults(effort="quick")
    return top


def run(args: argparse.Namespace, console: Console) -> int:
    """Try what is asked for; 0 where something ran and nothing is bad."""
    asked = Run(args.effort, args.level, args.seed, args.only)
    backends = list(dict.fromkeys(n.strip() for name in args.backend for n in name.split(",") if n.strip()))
    screen = Screen(console, args.seed)
    limit = args.limit or LIMITS[args.effort]
    conductor = Conductor(asked, backends, screen, max(1, args.workers), limit, args.memory << 20)
    # Settings of the folder that it is started in are its tests', and not ours.
    with tempfile.TemporaryDirectory() as folder, screen:
        settings = os.path.join(folder, "pytest.ini")
        with open(settings, "w", encoding="utf-8") as out:
            out.write("[pytest]\n")
        status = pytest.main(
            ["-c", settings, "--rootdir", folder, "-p", "no:cacheprovider", "-p", "no:warnings", "-qq", "--no-header",
             "--no-summary", "--tb=short", "--pyargs", "portax_conformance.test_laws"],
            plugins=[_Named(conductor)],
        )  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    content = report.data(asked, now)
    console.print(table_of(asked))
    for line in summary(asked, content["verdicts"]):
        console.print(line, highlight=False, soft_wrap=True)
    if args.report:
        console.print(f"written: {report.write(args.report, content)}", highlight=False, soft_wrap=True)
    return int(bool(status) or not asked.success)


class _Named:
    """Registers the conductor under a name by which the suite finds it."""

    def __init__(self, conductor: Conductor) -> None:
        self.conductor = conductor

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self.conductor, NAME)


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; gives its status."""
    args = parser().parse_args(given)
    return run(args, Console(width=None if sys.stdout.isatty() else 120))


if __name__ == "__main__":
    sys.exit(main())
