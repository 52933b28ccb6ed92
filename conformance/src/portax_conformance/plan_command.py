"""``portax-conformance plan``: the plan of a driver, for its writer."""

from __future__ import annotations

import dataclasses
import json
import sys

import click
from rich.console import Console
from rich.table import Table

from portax.runtime import plugins
from portax_conformance import plan
from portax_conformance.plan import COUNTED, Plan


def show(found: Plan, count: int, console: Console) -> None:
    """Print a plan for a person."""

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    (runs, cases), (works, functions) = found.cases, found.functions
    counted = ", ".join(found.dtypes)
    line(f"{found.backend} runs {runs} of {cases} cases ({counted}), and {works} of {functions} functions.")
    if found.steps:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
        table.add_column("write next")
        for title in ("cases it unlocks", "functions", "cases that need it"):
            table.add_column(title, justify="right")
        for step in found.steps[:count]:
            table.add_row(step.primitive, str(step.cases), str(step.functions), str(step.needed))
        console.print(table)
        rest = found.steps[count:]
        if rest:
            line(f"and then {len(rest)} more: {', '.join(step.primitive for step in rest)}")
    else:
        line("Nothing is missing: every primitive runs, or is taken apart to such as run.")
        if found.apart:
            most = ", ".join(f"{name} ({n})" for name, n in found.apart[:count])
            line(f"Taken apart, and quicker with a function of their own (functions that use them): {most}")
    if found.undeclared:
        line(f"dtypes that are not declared: {', '.join(found.undeclared)}")


@click.command("plan")
@click.option("--backend", required=True, metavar="NAME", help="Whose plan.")
@click.option("--level", type=click.Choice(list(COUNTED)), default="L1", show_default=True, help="Whose cases count.")
@click.option("--count", type=click.IntRange(min=1), default=15, show_default=True, help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(backend: str, level: str, count: int, as_json: bool) -> None:
    """Say which primitives to write next, by how many cases and public functions each unlocks.

    A primitive that the driver lacks is taken apart; missing is what has no decomposition. Functions are those of the
    public API whose documented example runs.
    """
    found = plan.plan_of(plugins.installed().open(backend), level)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        show(found, count, Console(width=None if sys.stdout.isatty() else 120))
