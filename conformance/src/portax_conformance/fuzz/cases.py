"""Specimens as cases of the suite: those that a number stands for, and those that were found and written down.

``fuzz/<seed>-<n>/any/L2/chance:backend`` is a specimen by its number, ``fuzz/<hash>/<dtype>/L2/found:backend`` one in
a file. What rounding decides alone is unsupported: nothing can be asked there.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from portax.runtime.contract import Device
from portax_conformance.devices import Declared
from portax_conformance.fuzz import judging, saving
from portax_conformance.fuzz.specimen import Specimen, stored
from portax_conformance.fuzz.specimens import draw_specimen

FAMILY, CHANCE, FOUND, LEVEL = "fuzz", "chance", "found", "L2"
EFFORTS = ("full", "fast")
#: Runs with errors by which a finding is judged: it must be no accident.
CAREFUL = 16
UNDECIDED = "rounding decides what comes of it"


def specimen_id(seed: int, n: int, backend: str) -> str:
    """The id of the n-th specimen of a seed."""
    return f"{FAMILY}/{seed}-{n}/any/{LEVEL}/{CHANCE}:{backend}"


def number_of(id: str) -> int:
    """The number that an id of such a specimen stands for."""
    return zlib.crc32(f"fuzz/{id.split('/')[1]}".encode())


def effort_of(number: int) -> str:
    """What the compiler is asked for."""
    return EFFORTS[number % len(EFFORTS)]


def found_id(name: str, specimen: Specimen, backend: str, effort: str = "full") -> str:
    """The id of a specimen in a file."""
    dtype = stored(specimen.jaxpr.outvars[0].aval.dtype).name if specimen.jaxpr.outvars else "any"
    tail = "" if effort == "full" else f".{effort}"
    return f"{FAMILY}/{name}/{dtype}/{LEVEL}/{FOUND}{tail}:{backend}"


@functools.lru_cache(maxsize=4)
def _drawn(number: int) -> Specimen:
    return draw_specimen(number)


@functools.lru_cache(maxsize=4)
def _read(file: str) -> Specimen:
    return saving.read(file)


@functools.lru_cache(maxsize=4)
def _expected(specimen: Specimen, count: int, declared: Declared) -> judging.Expected:
    return judging.expected(specimen, declared.budgets, count)


Made = tuple[str, str, Callable[[Device, Declared], None], Callable[[Device, Declared], str]]


def found() -> Iterator[Made]:
    """``(name, law, check, lacks)`` of all that were written down, at each effort."""
    for name, file in saving.files().items():
        for effort in EFFORTS:
            _, name_, dtype, _, law = found_id(name, _read(file), "", effort).split("/")
            get = functools.partial(_read, file)
            yield (f"{FAMILY}/{name_}/{dtype}", law.partition(":")[0],
                   *judged(get, effort, CAREFUL))  # fmt: skip


def of_id(id: str) -> Made | None:
    """As `found`, the one of an id, whatever it is of; None if there is none."""
    parts = id.partition(":")[0].split("/")
    if len(parts) != 5 or parts[0] != FAMILY:
        return None
    name = "/".join(parts[:3])
    if parts[4] == CHANCE:
        number = number_of(id)
        return name, CHANCE, *judged(functools.partial(_drawn, number), effort_of(number), judging.RUNS)
    file = saving.files().get(parts[1])
    law, _, effort = parts[4].partition(".")
    if file is None or law != FOUND or (effort or "full") not in EFFORTS:
        return None
    return name, parts[4], *judged(functools.partial(_read, file), effort or "full", CAREFUL)


def judged(get: Callable[[], Specimen], effort: str, count: int) -> tuple[Any, Any]:
    """``(check, lacks)`` of a specimen."""

    def check(device: Device, declared: Declared) -> None:
        specimen = get()
        words = judging.compare(judging.run(specimen, device, effort), _expected(specimen, count, declared))
        assert not words, f"{words}\ninputs {list(specimen.inputs)}\n{specimen.closed}"

    def lacks(device: Device, declared: Declared) -> str:
        specimen = get()
        lacking = judging.lacking(specimen, device)
        return lacking or ("" if _expected(specimen, count, declared).judged else UNDECIDED)

    return check, lacks
