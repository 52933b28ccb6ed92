"""``portax-conformance badge``: a report's verdict as a small picture for a README.

A badge claims a level only where the report does, which is where every case of it was tried; of a sample it says so.
The share is of the cases that the driver supports, rounded down, so that 100 % means all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from portax_conformance import outcomes, report_views
from portax_conformance.report import write_text
from portax_conformance.report_file import load, only_verdict
from portax_conformance.report_page import environment

FILE = "conformance.svg"
#: Colours on which white text is read well: a level, a sample, and what fails.
GOOD, PART, BAD = "#1c7a3a", "#33658a", "#b3261e"
#: Width of a letter, in pixels, at the size that is drawn: the text is stretched to it, whatever the font.
LETTER = {**dict.fromkeys("il.,:'|! ", 3.6), **dict.fromkeys("mwMW%", 9.6)}
PLAIN = 6.6


def share(report: Mapping[str, Any], backend: str) -> tuple[int, int]:
    """How many cases passed, and how many the driver supports."""
    found = [case for case in report_views.cases(report) if case.result.backend in (backend, "")]
    count = report_views.counts(found)
    return count[outcomes.PASS], sum(count.values()) - count[outcomes.UNSUPPORTED]


def words(report: Mapping[str, Any], verdict: Mapping[str, Any]) -> tuple[str, str, str]:
    """What stands at the left, what at the right, and its colour."""
    passed, tried = share(report, verdict["backend"])
    percent = f"{1000 * passed // tried / 10:g} %" if tried else "nothing tried"
    left, level = f"portax opset {verdict['opset']}", verdict["level"]
    if verdict["verdict"] != "pass":
        return left, f"{f'{level}, failing beyond' if level else 'failing'} · {percent}", BAD
    if level:
        return left, f"{level} · {percent}", GOOD
    return left, f"{report_views.extent(report).split()[-1]} · {percent}", PART


def width(text: str) -> int:
    """Pixels that a text takes."""
    return round(sum(LETTER.get(letter, PLAIN) for letter in text))


def svg(report: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """The picture."""
    left, right, colour = words(report, verdict)
    about = f"{verdict['backend']}: {left}: {right}"
    return environment().get_template("badge.svg").render(
        about=about, left=left, right=right, colour=colour, widths=(width(left), width(right))
    )  # fmt: skip


@click.command("badge")
@click.argument("report", metavar="REPORT.JSON", type=click.Path())
@click.option("-o", "--output", metavar="FILE", type=click.Path(), default=FILE, show_default=True, help="Where to.")
@click.option("--backend", metavar="NAME", help="Whose verdict, where there are several.")
def command(report: str, output: str, backend: str | None) -> None:
    """Write a badge for a README: the level, the opset, and the share of cases that pass.

    A level is claimed of whole runs only. The badge of a report that fails says so.
    """
    found = load(report)
    verdict = only_verdict(found, backend, report)
    click.echo(f"written: {write_text(output, svg(found, verdict))} ({' '.join(words(found, verdict)[:2])})")
