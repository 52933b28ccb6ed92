"""``portax-conformance seeds``: a correct driver passes whatever data are drawn.

A case is drawn from a seed of its own name, so that it is the same in every run; another seed draws other data for all
of them. A law that holds for most data only would fail a correct driver some day, and send its maker after a bug that
is not there. So every seed of many is tried, each on cases of its own choice.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click
from rich.console import Console

from portax_conformance import rows
from portax_conformance.outcomes import BAD, Result
from portax_conformance.runner import cores
from portax_conformance.selection import rank
from portax_conformance.workers import Pool, Worker, ask

#: Seconds that a worker may take to list the cases.
PATIENCE = 1800.0
#: Families whose data are not drawn.
FIXED = ("open", "constant", "memory", "declared", "device", "array")


def listed(backend: str, level: str, full: bool) -> list[str]:
    """The cases whose data are drawn, those with a known gap left out."""
    worker = Worker()
    try:
        said = ask(worker, {"do": "list", "backend": backend, "level": level, "full": full, "only": []}, PATIENCE)
    finally:
        worker.close()
    if said.get("died") or said["closed"]:
        raise click.ClickException(f"{backend}: {said.get('died') or said['closed']}")
    return [id for id, _, gap in said["listed"] if gap is None and id.partition("/")[0] not in FIXED]


def chosen(ids: Sequence[str], seed: int, families: int, cases: int) -> list[str]:
    """Some cases of a few families, others for each seed; neighbours stay together, since they share what they draw."""
    names = sorted({id.partition("/")[0] for id in ids}, key=lambda name: rank(seed, name))[:families]
    of = [id for id in ids if id.partition("/")[0] in names]
    kept = set(sorted(of, key=lambda id: rank(seed, id))[:cases])
    return [id for id in of if id in kept]


# fmt: off
@click.command("seeds")
@click.option("--backend", required=True, metavar="NAME", help="The driver, which is said to be correct.")
@click.option("--first", default=1, show_default=True, metavar="N", help="The first seed.")
@click.option("--count", default=1000, show_default=True, metavar="N", help="How many seeds.")
@click.option("--families", default=4, show_default=True, metavar="N", help="Families of cases for each seed.")
@click.option("--cases", default=24, show_default=True, metavar="N", help="Cases for each seed.")
@click.option("--level", type=click.Choice(rows.LEVELS), default="L2", show_default=True, help="Up to which level.")
@click.option("--full", is_flag=True, help="Draw them from every case, and not from those of a plain run.")
@click.option("--minutes", type=float, metavar="N", help="End after so many, whatever seeds are left.")
@click.option("--workers", type=click.IntRange(min=1), default=cores, metavar="N", help="One for each core by default.")
@click.pass_context
def command(context: click.Context, backend: str, first: int, count: int, families: int, cases: int, level: str,
            full: bool, minutes: float | None, workers: int) -> None:
    """Try many seeds on a correct driver.

    The exit status is 1 where a case fails.
    """
    # fmt: on
    console = Console(width=None if sys.stdout.isatty() else 120)
    ids = listed(backend, level, full)
    pool = Pool(workers, 120.0, 4 << 30, first)
    bad: list[tuple[int, Result]] = []
    began, tried, seeds = time.monotonic(), 0, 0
    try:
        for seed in range(first, first + count):
            pool.seed = seed
            some = chosen(ids, seed, families, cases)
            half = -(-len(some) // workers)
            for result in pool.run([some[i : i + half] for i in range(0, len(some), half)]):
                tried += 1
                if result.outcome in BAD:
                    bad.append((seed, result))
                    said = f"seed {seed}: {result.id}: {result.outcome}\n{result.words}"
                    console.print(said, highlight=False, markup=False)
            seeds += 1
            if minutes is not None and time.monotonic() - began > 60 * minutes:
                break
            if seeds % 100 == 0:
                console.print(f"{seeds} seeds, {tried} cases, {len(bad)} bad", highlight=False)
    finally:
        pool.close()
    console.print(
        f"{backend}: {seeds} seeds from {first}, {tried} cases of {len(ids)}, {len(bad)} bad, "
        f"in {time.monotonic() - began:.0f} s", highlight=False, soft_wrap=True,
    )  # fmt: skip
    context.exit(int(bool(bad) or not tried))
