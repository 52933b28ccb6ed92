"""The command ``portax-conformance``: a group, to which each subcommand's module adds one line at the end of this one.

What portax refuses in words is printed in those words, without a traceback, and ends the command with status 2;
status 1 is left to commands for what they found.
"""

from __future__ import annotations

from typing import Any

import click

from portax.errors import PortaxError
from portax_conformance import badge, bits_command, compare, fuzz_command, plan_command, report_page, runner, seeds
from portax_conformance.mutants import command as mutants_command


class Refused(click.ClickException):
    """What was asked for cannot be done."""

    exit_code = 2


class Commands(click.Group):
    """Subcommands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PortaxError as error:
            raise Refused(f"{error.wrong}.\n    {error.fix}.") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Judges drivers of portax."""


main.add_command(runner.command)
main.add_command(report_page.command)
main.add_command(badge.command)
main.add_command(compare.command)
main.add_command(bits_command.command)
main.add_command(fuzz_command.command)
main.add_command(plan_command.command)
main.add_command(mutants_command.command)
main.add_command(seeds.command)
