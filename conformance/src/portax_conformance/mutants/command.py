"""``portax-conformance mutants``: how many faulty drivers the suite catches, and by which case each."""

from __future__ import annotations

import collections
import datetime
import fnmatch
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from portax_conformance import outcomes
from portax_conformance.mutants import trial
from portax_conformance.mutants.fault import Mutant
from portax_conformance.mutants.pages import page
from portax_conformance.mutants.trial import Death
from portax_conformance.mutants.zoo import bugs, quick, zoo
from portax_conformance.outcomes import Result
from portax_conformance.runner import cores
from portax_conformance.worker import PRELOAD
from portax_conformance.workers import Pool

FILE, PAGE, TABLE = "mutants.json", "mutants.md", "mutants.tsv"
#: Of a quick run, what share must be killed; a whole one kills all.
SHARE = 0.99
#: Why a mutant survives, by effort.
REASONS = {
    "quick": f"none of the first {trial.QUICK_CASES} cases that touch it tells, and a quick run tries no more",
    "full": "no case that touches it tells it from the correct driver",
}
#: Seconds that a mutant may take in all.
LIMITS = {"quick": 300.0, "full": 1800.0}


def verdict(result: Result, effort: str) -> dict[str, Any]:
    """What became of a mutant, by what a worker said of its row."""
    found: dict[str, Any] = {"seconds": round(result.seconds, 3)}
    if result.outcome in (outcomes.CRASHED, outcomes.TIMED_OUT):
        return {**found, "killed": True, "case": result.outcome, "words": result.words.splitlines()[0], "tried": 0}
    head, _, said = result.words.partition(f"{trial.Killed.__name__}: ")
    if result.outcome == outcomes.FAIL and said and "\n" not in head:
        death = Death.read(said.splitlines()[0])
        return {**found, "killed": True, "case": death.case, "words": death.words, "tried": death.tried}
    return {**found, "killed": False, "case": "", "words": result.words or REASONS[effort], "tried": 0}


def chosen(effort: str, only: Sequence[str]) -> list[Mutant]:
    """The mutants asked for."""
    wanted = list(zoo().values()) if effort == "full" or only else quick()
    return [m for m in wanted if not only or any(_named(m.name, pattern) for pattern in only)]


def _named(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) if set(pattern) & set("*?[") else pattern in name


def portions(found: Sequence[Mutant], most: int = 24) -> list[list[Mutant]]:
    """Mutants of one primitive together, since they share its cases; not too many, so that all workers end together."""
    made: list[list[Mutant]] = []
    for mutant in found:
        if made and made[-1][-1].primitive == mutant.primitive and len(made[-1]) < most:
            made[-1].append(mutant)
        else:
            made.append([mutant])
    return made


def run(found: Sequence[Mutant], effort: str, workers: int, console: Console) -> dict[str, Any]:
    """Try mutants in workers; what became of each, and the figures."""
    full, began = effort == "full", time.monotonic()
    by_id = {trial.id_of(m.name, full): m for m in found}
    batches = [[trial.id_of(m.name, full) for m in portion] for portion in portions(found)]
    pool = Pool(min(workers, len(batches)), LIMITS[effort], 4 << 30, 0, {PRELOAD: trial.__name__})
    said: dict[str, dict[str, Any]] = {}
    try:
        for result in pool.run(batches):
            mutant = by_id[result.id]
            said[mutant.name] = verdict(result, effort)
            if not said[mutant.name]["killed"]:
                console.print(f"survives: {mutant.name}: {mutant.words}", highlight=False, soft_wrap=True)
            elif len(said) % 100 == 0:
                console.print(f"{len(said)} of {len(found)}", highlight=False)
    finally:
        pool.close()
    public = bugs()
    table = [
        {
            "mutant": m.name,
            "primitive": m.primitive,
            "fault": m.words,
            "public": [w for w, _ in public.get(m.name, [])],
            **said[m.name],
        }
        for m in found
    ]
    return {
        "suite": importlib.metadata.version("portax-conformance"),
        "effort": effort,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "mutants": table,
        **figures(table),
    }


def figures(table: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many there are, and were killed: of all, of each primitive, and by each law."""
    by: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    laws: collections.Counter[str] = collections.Counter()
    for row in table:
        by[row["primitive"]][0] += row["killed"]
        by[row["primitive"]][1] += 1
        if row["killed"]:
            laws[row["case"].rpartition("/")[2].partition(":")[0]] += 1
    killed = sum(row["killed"] for row in table)
    return {
        "count": len(table),
        "killed": killed,
        "share": killed / len(table) if table else 0.0,
        "public": sum(bool(row["public"]) for row in table),
        "primitives": {name: tuple(pair) for name, pair in sorted(by.items())},
        "laws": dict(laws.most_common()),
    }


def write(folder: str, content: dict[str, Any]) -> list[str]:
    """The report: as JSON, as a page of figures, and as a table of every mutant and what killed it."""
    os.makedirs(folder, exist_ok=True)
    columns = ("mutant", "killed", "case", "seconds", "tried", "fault", "words")
    rows = [columns, *[[row[name] for name in columns] for row in content["mutants"]]]
    texts = {
        FILE: json.dumps(content, indent=1),
        PAGE: page(content),
        TABLE: "".join("\t".join(str(x).replace("\t", " ").replace("\n", " ") for x in row) + "\n" for row in rows),
    }
    places: list[str] = []
    for name, text in texts.items():
        places.append(os.path.join(folder, name))
        with open(places[-1], "w", encoding="utf-8") as file:
            file.write(text)
    return places


# fmt: off
@click.command("mutants")
@click.option("--quick", "effort", flag_value="quick", default="quick",
              help="A sample of every primitive, the driver, and public bugs. The default.")
@click.option("--full", "effort", flag_value="full", help="Every mutant, and every case where it takes one.")
@click.option("--only", multiple=True, metavar="PATTERN",
              help="The mutants whose name this is, as file names are (sort.*), or is part of; may be repeated.")
@click.option("--report", "folder", metavar="DIR", help=f"Write {FILE}, {PAGE} and {TABLE} there.")
@click.option("--list", "listing", is_flag=True, help="Say what there is, and try nothing.")
@click.option("--workers", type=click.IntRange(min=1), default=cores, metavar="N", help="One for each core by default.")
@click.pass_context
def command(context: click.Context, effort: str, only: Sequence[str], folder: str | None, listing: bool,
            workers: int) -> None:
    """Prove the suite's strength: try it on drivers with one bug each.

    The exit status is 1 where too many survive: more than one in a hundred, or any where --full is asked for.
    """
    # fmt: on
    console = Console(width=None if sys.stdout.isatty() else 120)
    found = chosen(effort, only)
    if listing:
        for mutant in found:
            console.print(f"{mutant.name}: {mutant.words}", highlight=False, soft_wrap=True, markup=False)
        return
    if not found:
        raise click.UsageError("no mutant has such a name")
    content = run(found, effort, workers, console)
    survivors = [row for row in content["mutants"] if not row["killed"]]
    console.print(
        f"{content['killed']} of {content['count']} mutants killed ({100 * content['share']:.2f} %) "
        f"in {content['seconds']:.0f} s; {content['public']} recreate bugs that were reported in public",
        highlight=False, soft_wrap=True,
    )
    for row in survivors:
        said = f"survivor: {row['mutant']} ({row['fault']}): {row['words']}"
        console.print(said, highlight=False, soft_wrap=True, markup=False)
    if folder:
        for place in write(folder, content):
            console.print(f"written: {place}", highlight=False, soft_wrap=True)
    context.exit(int(content["share"] < (1.0 if effort == "full" else SHARE)))
