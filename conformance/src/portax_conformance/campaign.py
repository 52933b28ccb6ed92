"""Some minutes of fuzzing: specimens tried in workers, what fails made small, shown at once and written down.

The same seed tries the same specimens in the same order; how far it comes depends on the minutes. A finding that is
made of the same primitives as one before is counted with it, and not made small again.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import shlex
import tempfile
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

import portax as px
from portax.errors import BackendError
from portax_conformance import outcomes
from portax_conformance.fuzz import saving
from portax_conformance.fuzz.cases import effort_of, found_id, number_of, specimen_id
from portax_conformance.fuzz.listing import listing
from portax_conformance.fuzz.reducing import reduced
from portax_conformance.fuzz.specimen import Specimen
from portax_conformance.fuzz.specimens import draw_specimen
from portax_conformance.outcomes import Result
from portax_conformance.workers import Pool

#: Specimens given out at once, seconds that one may take, and bytes that a worker may hold.
BATCH, LIMIT, MOST = 16, 300.0, 6 << 30
#: Seconds between lines that say how it goes, and those for which a failing program is made smaller.
TELL, REDUCE = 30.0, 180.0


@dataclasses.dataclass
class Finding:
    """What was found.

    Attributes
    ----------
    first : Result
        Of the specimen that failed.
    specimen : Specimen or None
        The smallest that fails alike; None where the program could not even be written.
    file : str
    again : str
        The command that tries it again.
    count : int
        How many specimens failed for what seems to be the same reason.
    """

    first: Result
    specimen: Specimen | None
    file: str
    again: str
    count: int = 1


@dataclasses.dataclass
class Campaign:
    """What was tried and found.

    Parameters
    ----------
    backend : str
    seed : int
    folder : str
        Where findings are written.
    console : Console
    workers : int
    """

    backend: str
    seed: int
    folder: str
    console: Console
    workers: int = 1
    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def run(self, minutes: float, most: int | None = None) -> None:
        """Try specimens for some minutes, or so many of them."""
        began = told = time.monotonic()
        with tempfile.TemporaryDirectory() as candidates:
            environment = {saving.MORE: os.pathsep.join([candidates, self.folder])}
            pool = Pool(self.workers, LIMIT, MOST, 0, environment)
            small = Pool(1, LIMIT, MOST, 0, environment)
            try:
                self._open(small)
                for batches in self._batches(most):
                    for result in pool.run(batches):
                        self._heard(result, small, candidates)
                        if time.monotonic() - told > TELL:
                            told = time.monotonic()
                            self._tell(told - began, minutes)
                    if time.monotonic() - began > 60 * minutes:
                        break
            finally:
                pool.close()
                small.close()
                self.seconds = time.monotonic() - began

    def _open(self, pool: Pool) -> None:
        """Raise where the driver does not open: nothing would be judged."""
        (opened,) = pool.run([[f"open/devices/any/L0/open:{self.backend}"]])
        if opened.bad:
            raise BackendError(
                wrong=f"{self.backend} does not open: {opened.words}", fix="See what happened with: portax doctor"
            )

    def _batches(self, most: int | None) -> Iterator[list[list[str]]]:
        ids = (specimen_id(self.seed, n, self.backend) for n in (itertools.count() if most is None else range(most)))
        while True:
            given = [list(itertools.islice(ids, BATCH)) for _ in range(self.workers)]
            if not any(given):
                return
            yield [g for g in given if g]

    def _heard(self, result: Result, small: Pool, candidates: str) -> None:
        self.counts[result.outcome] += 1
        if result.bad:
            self._found(result, small, candidates)

    def _found(self, result: Result, small: Pool, candidates: str) -> None:
        self.console.print(f"[bold red]{result.outcome}[/] {escape(result.id)}", highlight=False)
        number = number_of(result.id)
        try:
            with px.enable_x64(True):
                specimen: Specimen | None = draw_specimen(number)
        except Exception:  # it is a finding that it cannot be written; the worker has said why
            specimen = None
        effort = effort_of(number)
        # What takes too long is kept as it is: each step of making it small would take as long again.
        if specimen is not None and result.outcome != outcomes.TIMED_OUT:
            with px.enable_x64(True):
                question = Question(small, candidates, self.backend, effort, result.outcome)
                specimen = reduced(specimen, question, REDUCE)
        known = next((f for f in self.findings if _signature(f.specimen) == _signature(specimen)), None)
        if known is not None and specimen is not None:
            known.count += 1
            return
        self._keep(result, specimen, effort)

    def _keep(self, result: Result, specimen: Specimen | None, effort: str) -> None:
        if specimen is None:
            again = f"portax-conformance fuzz --backend {self.backend} --replay {shlex.quote(result.id)}"
            finding = Finding(result, None, "", again)
        else:
            with px.enable_x64(True):
                file = saving.save(specimen, self.folder, f"{self.backend}, {effort}: {result.words[:400]}")
                script = listing(specimen, self.backend, effort, f"{result.outcome} on {self.backend}.")
            with open(file.removesuffix(".json") + ".py", "w", encoding="utf-8") as out:
                out.write(script)
            self.console.print(escape(script), highlight=False, soft_wrap=True)
            again = f"portax-conformance fuzz --backend {self.backend} --replay {shlex.quote(file)}"
            finding = Finding(result, specimen, file, again)
        self.findings.append(finding)
        self.console.print(escape(result.words), highlight=False, soft_wrap=True)
        self.console.print(f"[dim]again:[/] {escape(finding.again)}", highlight=False, soft_wrap=True)

    def _tell(self, seconds: float, minutes: float) -> None:
        left = max(0.0, minutes - seconds / 60)
        self.console.print(
            f"{self.tried} tried, {self.counts[outcomes.UNSUPPORTED]} of them undecided or unsupported, "
            f"{len(self.findings)} findings, {left:.1f} minutes left",
            highlight=False,
        )

    @property
    def tried(self) -> int:
        """How many specimens."""
        return sum(self.counts.values())


@dataclasses.dataclass
class Question:
    """Whether specimens fail as one did: asked of a worker.

    Parameters
    ----------
    pool : Pool
    folder : str
        Where the worker finds them.
    backend, effort, outcome : str
    """

    pool: Pool
    folder: str
    backend: str
    effort: str
    outcome: str

    def __call__(self, specimens: Sequence[Specimen]) -> list[bool]:
        ids = []
        for specimen in specimens:
            name = os.path.basename(saving.save(specimen, self.folder)).removesuffix(".json")
            ids.append(found_id(name, specimen, self.backend, self.effort))
        results = {r.id: r.outcome for r in self.pool.run([list(dict.fromkeys(ids))])}
        return [results.get(id) == self.outcome for id in ids]


def _signature(specimen: Specimen | None) -> tuple[str, ...]:
    """The primitives of a program, which two findings of one mistake have in common."""
    return () if specimen is None else tuple(sorted({e.primitive.name for e in specimen.jaxpr.eqns}))
