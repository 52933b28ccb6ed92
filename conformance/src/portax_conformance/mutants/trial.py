"""One mutant, tried: the suite's cases, likely ones first, until one fails.

A case kills a mutant only where the correct driver passes it, which is tried at once. So what kills proves besides that
the mutant differs from the correct driver. A mutant that ends its process, or that does not come to an end, is caught
by the runner, as any driver would be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from portax_conformance import rows
from portax_conformance.mutants.driver import NAME, MutantBackend, opened
from portax_conformance.mutants.fault import Mutant
from portax_conformance.mutants.zoo import zoo
from portax_conformance.rows import Row

#: The first part of the ids under which mutants are tried.
FAMILY = "mutants"
#: Cases, and seconds, that a quick run spends on one mutant.
QUICK_CASES, QUICK_SECONDS = 120, 20.0


class Killed(Exception):
    """A case failed, as it should."""


@dataclasses.dataclass(frozen=True)
class Death:
    """What killed a mutant.

    Attributes
    ----------
    case : str
        The id of the case.
    words : str
        How it failed.
    tried : int
        The cases that were tried, with this one.
    """

    case: str
    words: str
    tried: int

    def text(self) -> str:
        """As a line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, text: str) -> Death:
        """The inverse of ``text``."""
        return cls(**json.loads(text))


@functools.lru_cache(maxsize=64)
def cases_of(family: str) -> tuple[Row, ...]:
    """The cases of a family that judge a driver."""
    opened()
    judging = [row for row in rows.family(family, (NAME,)) if row.backend == NAME and row.law != "stablehlo"]
    return tuple([row for row in judging if row.gap is None])


def ordered(mutant: Mutant) -> list[Row]:
    """The cases that touch a mutant, in the order in which they are tried."""
    laws, dtypes = mutant.fault.laws, mutant.fault.dtypes

    def rank(row: Row) -> Any:
        dtype = row.name.rpartition("/")[2]
        law = laws.index(row.law) if row.law in laws else len(laws)
        return law, dtypes.index(dtype) if dtype in dtypes else len(dtypes), not row.plain

    return sorted([row for family in mutant.families for row in cases_of(family)], key=rank)


def attempt(row: Row) -> str:
    """Why a case fails on the driver as it is; empty where it passes, or says nothing."""
    try:
        if not row.lacks():
            row.check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def tried(mutant: Mutant, full: bool) -> Death | None:
    """What kills the mutant; None where nothing does."""
    backend, began = opened(), time.monotonic()
    for number, row in enumerate(ordered(mutant), 1):
        if not full and (number > QUICK_CASES or time.monotonic() - began > QUICK_SECONDS):
            return None
        with faulty(backend, mutant):
            words = attempt(row)
        if words and not attempt(row):
            return Death(row.id, words.splitlines()[0][:300], number)
    return None


@contextlib.contextmanager
def faulty(backend: MutantBackend, mutant: Mutant) -> Iterator[None]:
    """Inside, the driver has the mutant's fault; after it, none, and remembers nothing."""
    backend.become(mutant)
    try:
        yield
    finally:
        backend.become(None)


def _check(mutant: Mutant, full: bool) -> None:
    death = tried(mutant, full)
    if death is not None:
        raise Killed(death.text())


def id_of(name: str, full: bool) -> str:
    """The id under which a worker tries a mutant: of five parts, as all ids are."""
    return f"{FAMILY}/{name}/all/L2/{'full' if full else 'quick'}"


def made(backends: Sequence[str]) -> Iterable[Row]:
    """A row for each mutant and effort."""
    for name, mutant in zoo().items():
        for full in (False, True):
            effort = "full" if full else "quick"
            yield Row(f"{FAMILY}/{name}/all", "L2", effort, "", functools.partial(_check, mutant, full), False)


rows.ADDED[FAMILY] = made
