"""``report.html``: a report as a person reads it, in one file that asks for nothing from elsewhere.

The page is whole without its script, which only filters, folds and brings details to where they were asked for. What a
driver says is text, and stays text: the template escapes everything, and the page's own policy lets it load nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click
import jinja2

from portax_conformance import outcomes, report_views
from portax_conformance.report import write_text
from portax_conformance.report_file import load

FILE = "report.html"


def environment() -> jinja2.Environment:
    """The templates, with the words they use."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("portax_conformance", "report_templates"),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    made.filters |= {"number": report_views.number, "seconds": report_views.seconds}
    made.globals |= {"OUTCOMES": outcomes.ALL, "SIGNS": report_views.SIGNS, "KEYS": report_views.KEYS}
    return made


def page(report: Mapping[str, Any]) -> str:
    """The page of a report."""
    every = report_views.cases(report)
    return environment().get_template("page.html").render(
        report=report,
        sections=report_views.sections(report),
        counts=report_views.counts(every),
        cases=len(every),
        failures=report_views.failures(report, {case.result.id: case for case in every}),
    )  # fmt: skip


@click.command("page")
@click.argument("report", metavar="REPORT.JSON", type=click.Path())
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help=f"Where to; by default {FILE} beside it.")
def command(report: str, output: str | None) -> None:
    """Make the page of a report anew."""
    found = load(report)
    folder = report if os.path.isdir(report) else os.path.dirname(report)
    click.echo(f"written: {write_text(output or os.path.join(folder, FILE), page(found))}")
