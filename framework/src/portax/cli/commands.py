"""The ``portax`` command and its subcommands."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.table import Table

from portax.cli import compile as compile_room
from portax.cli import demo, scaffold
from portax.cli import doctor as doctor_room
from portax.errors import BackendError
from portax.runtime.plugins import State, installed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """portax: JAX's programming model on any device."""


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--timeout", default=30.0, show_default=True, metavar="SECONDS", help="Time a plugin may take to load.")
@click.option("-v", "--verbose", is_flag=True, help="Show also what a failing plugin printed.")
def doctor(as_json: bool, timeout: float, verbose: bool) -> None:
    """Say which backends work, and what to type about the others.

    Each plugin is loaded in a process of its own. The exit status is 1 when one of them is broken.
    """
    data = doctor_room.report(installed(), timeout)
    if as_json:
        click.echo(json.dumps(data, indent=2))
    else:
        doctor_room.show(data, Console(), verbose)
    if any(f["verdict"] not in ("works", "no device") for f in data["backends"]):
        sys.exit(1)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the devices as JSON.")
def devices(as_json: bool) -> None:
    """List the devices of every backend that loads, the default's first."""
    plugins = installed()
    rows, problems = [], []
    for name in plugins.names():
        try:
            for device in plugins.open(name).devices():
                memory = "the host's" if device.host_memory else "its own"
                rows.append({"device": repr(device), "kind": device.kind, "memory": memory})
        except BackendError as error:
            problems.append(error.wrong)
    problems += [p.problem for p in plugins.found.values() if p.state is State.REFUSED]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
        for title in ("device", "kind", "memory"):
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*row.values())
        Console().print(table)
    for problem in dict.fromkeys(problems):
        click.echo(f"{problem}; see: portax doctor", err=True)


main.add_command(demo.command)
main.add_command(compile_room.command)
main.add_command(compile_room.list_targets)
main.add_command(scaffold.command)
