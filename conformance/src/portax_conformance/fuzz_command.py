"""``portax-conformance fuzz``: programs by chance, on one driver, for some minutes."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape

import portax as px
from portax_conformance import outcomes
from portax_conformance.campaign import LIMIT, MOST, Campaign
from portax_conformance.fuzz import saving
from portax_conformance.fuzz.cases import EFFORTS, found_id
from portax_conformance.outcomes import Result
from portax_conformance.runner import cores
from portax_conformance.workers import Pool


# fmt: off
@click.command("fuzz")
@click.option("--backend", required=True, metavar="NAME", help="What is judged.")
@click.option("--minutes", type=click.FloatRange(min=0), default=10.0, show_default=True, help="How long.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Another seed tries other programs.")
@click.option("--programs", type=click.IntRange(min=1), metavar="N", help="Try so many, unless time is up before.")
@click.option("--report", "folder", default="fuzz-findings", show_default=True, metavar="DIR",
              help="Where findings are written: a file that the suite replays, and a script.")
@click.option("--workers", type=click.IntRange(min=1), default=cores, metavar="N", help="One for each core by default.")
@click.option("--replay", metavar="FILE|ID", help="Try one program again: a file, or the id of a specimen.")
@click.pass_context
def command(
    context: click.Context, backend: str, minutes: float, seed: int, programs: int | None, folder: str, workers: int,
    replay: str | None,
) -> None:
    """Try programs by chance on a driver, and make those that fail small.

    The exit status is 1 where something was found, or nothing was tried.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    if replay is not None:
        context.exit(again(replay, backend, console))
    campaign = Campaign(backend, seed, os.path.abspath(folder), console, workers)
    campaign.run(minutes, programs)
    context.exit(told(campaign))


# fmt: on


def told(campaign: Campaign) -> int:
    """Say what a campaign came to; 0 where something was judged and nothing found."""
    counts, console = campaign.counts, campaign.console
    judged = campaign.tried - counts[outcomes.UNSUPPORTED]
    console.print(
        f"{campaign.backend}: {campaign.tried} programs in {campaign.seconds / 60:.1f} minutes, "
        f"{judged} of them judged, {len(campaign.findings)} findings, seed {campaign.seed}",
        highlight=False,
    )
    for finding in campaign.findings:
        where = finding.file or "it could not be written"
        line = f"{finding.first.outcome} {finding.first.id}, {finding.count} like it: {where}"
        console.print(escape(line), highlight=False, soft_wrap=True)
    return int(not judged or bool(campaign.findings))


def again(what: str, backend: str, console: Console) -> int:
    """Try one program again, at each effort; 0 where all is right."""
    with tempfile.TemporaryDirectory() as folder:
        if what.startswith("fuzz/"):
            ids: Sequence[str] = [what.partition(":")[0] + f":{backend}"]
        else:
            with px.enable_x64(True):
                specimen = saving.read(what)
                name = os.path.basename(saving.save(specimen, folder)).removesuffix(".json")
            ids = [found_id(name, specimen, backend, effort) for effort in EFFORTS]
        pool = Pool(1, LIMIT, MOST, 0, {saving.MORE: folder})
        try:
            results: list[Result] = list(pool.run([ids]))
        finally:
            pool.close()
    for result in results:
        console.print(escape(f"{result.outcome} {result.id}\n{result.words}"), highlight=False, soft_wrap=True)
    return int(any(r.bad for r in results))
