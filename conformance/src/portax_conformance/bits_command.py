"""``portax-conformance bits``: whether devices give the same bits.

Each device computes in a process of its own, with an environment of its own: which implementation of OpenCL is opened,
for one, a variable says once for a whole process.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import click

import portax as px
from portax.errors import ArgumentError
from portax.runtime import plugins
from portax_conformance import bits
from portax_conformance.bits import Answers, Comparison

#: Differences of a pair that are printed.
SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Place:
    """A backend, what it is called here, and the environment that it is opened in."""

    name: str
    backend: str
    environment: dict[str, str]


def place(said: str) -> Place:
    """What ``LABEL=BACKEND@VARIABLE=VALUE@...`` means; the label, and what stands after the backend, may be left out.

    Raises
    ------
    ArgumentError
    """
    head, *settings = said.split("@")
    label, _, backend = head.rpartition("=")
    pairs = [setting.partition("=") for setting in settings]
    if not backend or any(not name or not equal for name, equal, _ in pairs):
        raise ArgumentError(
            wrong=f"{said!r} is no backend with settings",
            fix="Write its name, and each variable of its environment after a @: NAME@VARIABLE=value",
        )
    return Place(label or said, backend, {name: value for name, _, value in pairs})


def _computed(backend: str, only: Sequence[str], full: bool, programs: bool) -> Answers:
    """What the first device of a backend gives, in this process."""
    devices = plugins.installed().open(backend).devices()
    if not devices:
        raise ArgumentError(
            wrong=f"{backend} has no device here", fix="See what portax doctor says of it, or name another backend"
        )
    with px.enable_x64(True):
        return bits.answers(devices[0], bits.questions(only, full, primitives=not programs))


def _elsewhere(at: Place, file: str, asked: Sequence[str]) -> Answers:
    """The same in a process of its own."""
    order = [sys.executable, "-m", "portax_conformance", "bits", "--backend", at.backend, "--save", file, *asked]
    done = subprocess.run(order, env={**os.environ, **at.environment}, capture_output=True, text=True, errors="replace")
    if not os.path.exists(file):
        said = (done.stderr or done.stdout).strip()[-4000:]
        raise click.ClickException(f"{at.name}: its process ended with status {done.returncode}\n{said}")
    return bits.load(file)


def _told(name: str, answers: Answers) -> str:
    count = len({a.name for a in answers.arrays})
    said = f"{name} ({answers.device}): {len(answers.arrays):,} arrays of {count:,} cases"
    if answers.left_out:
        said += f", {len(answers.left_out):,} not declared"
    if answers.failed:
        said += f", {len(answers.failed):,} failed"
    return said


def _show(names: Sequence[str], found: Comparison) -> None:
    said = f"{found.arrays:,} arrays, {found.numbers:,} numbers compared, {len(found.differences):,} arrays differ"
    extra = [f"{found.nans:,} with NaN of another pattern"] if found.nans else []
    extra += [f"{found.alone:,} given by one alone"] if found.alone else []
    click.echo(f"{' / '.join(names)}: {said}" + (f" ({', '.join(extra)})" if extra else ""))
    for difference in found.differences[:SHOWN]:
        click.echo(f"  {difference}")
    if len(found.differences) > SHOWN:
        click.echo(f"  and {len(found.differences) - SHOWN:,} more (--json has them all)")


# fmt: off
@click.command("bits")
@click.option("--backend", "backends", multiple=True, required=True,
              metavar="[LABEL=]NAME[@VARIABLE=VALUE]...",
              help="A backend, and what to set in the environment for it. May be repeated: all pairs are compared.")
@click.option("--only", multiple=True, metavar="PATTERN",
              help="What is asked, by its name: add/*/float32. May be repeated.")
@click.option("--programs", is_flag=True, help="The programs alone, without samples of primitives.")
@click.option("--full", is_flag=True, help="Every sample of every primitive.")
@click.option("--with", "files", multiple=True, metavar="FILE", type=click.Path(),
              help="Compare with what --save kept, of another machine as well.")
@click.option("--save", metavar="FILE", type=click.Path(), help="Keep the results; of one backend.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Devices that compute at once.")
@click.option("--json", "report", metavar="FILE", type=click.Path(), help="Write the counts and all differences there.")
@click.pass_context
def command(context: click.Context, backends: Sequence[str], only: Sequence[str], programs: bool, full: bool,
            files: Sequence[str], save: str | None, workers: int, report: str | None) -> None:
    """Say whether devices give the same bits.

    Every program of the suite, and samples of every primitive, are computed on the first device of each backend, and
    compared bit for bit; only of a NaN any pattern will do. The exit status is 1 where bits differ, where a device
    fails, or where nothing could be compared.
    """
    # fmt: on
    places = [place(said) for said in backends]
    if len(places) + len(files) < 2 and not save:
        raise click.UsageError("one backend alone is compared with nothing: name another, or --with, or --save")
    if save and len(places) > 1:
        raise click.UsageError("--save keeps the results of one backend")
    asked = [f"--only={pattern}" for pattern in only] + ["--programs"] * programs + ["--full"] * full
    kept = [bits.load(file) for file in files]
    names = [*[at.name for at in places], *files]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        if len(places) == 1 and not places[0].environment:
            found = [_computed(places[0].backend, only, full, programs)]
        else:
            at = [(p, os.path.join(folder, f"{i}.npz"), asked) for i, p in enumerate(places)]
            found = list(pool.map(lambda given: _elsewhere(*given), at))
    if save:
        bits.save(found[0], save)
    everyone = [*found, *kept]
    for name, answers in zip(names, everyone, strict=True):
        click.echo(_told(name, answers))
        for question, words in answers.failed.items():
            click.echo(f"  {question}: {words}")
    pairs = [(i, j, bits.compare(everyone[i], everyone[j])) for i, j in itertools.combinations(range(len(everyone)), 2)]
    for i, j, pair in pairs:
        _show((names[i], names[j]), pair)
    if report:
        with open(report, "w", encoding="utf-8") as out:
            json.dump({
                "devices": [{"name": n, "device": a.device, "arrays": len(a.arrays), "left_out": a.left_out,
                             "failed": a.failed} for n, a in zip(names, everyone, strict=True)],
                "pairs": [{"names": [names[i], names[j]], **dataclasses.asdict(pair)} for i, j, pair in pairs],
            }, out, indent=1)  # fmt: skip
    bad = any(a.failed for a in everyone) or any(p.differences or not p.arrays for _, _, p in pairs)
    context.exit(int(bad or not all(a.arrays for a in everyone)))
