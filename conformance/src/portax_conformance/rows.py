"""All cases: a row for everything that can be tried, under a stable name.

A row's id is ``primitive/sample/dtype/level/law``, followed by ``:backend`` where a driver is judged. Rows are made a
family at a time, a family being all whose ids begin alike, so that one row can be had without all of them.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import portax as px
from portax.core import dtypes
from portax.core.primitive import Primitive, registry
from portax.runtime import plugins
from portax.runtime.contract import Device
from portax_conformance import (
    array_laws,
    between_laws,
    callback_laws,
    cases,
    compositions,
    constants,
    declarations,
    device_laws,
    exhaustive,
    extremes,
    grids,
    laws,
    lengths,
    memory,
    oracles,
    program_laws,
    running_laws,
    spread_laws,
)  # fmt: skip
from portax_conformance.cases import BRING_UP, Case, cases_of, refusals_of
from portax_conformance.devices import KNOWN, Declared, declared
from portax_conformance.fuzz import cases as fuzz_cases
from portax_conformance.laws import Law, Trial

LEVELS = ("L0", "L1", "L2", "L3")
#: Laws of single transformations and of several, on one device.
LAWS = (*laws.LAWS, *running_laws.LAWS, *compositions.LAWS)
#: Of those, the ones that judge more than one operation by itself.
TRANSFORMED = (
    "eager", "tangent", "adjoint", "batch",
    *[law.name for law in (*running_laws.LAWS, *compositions.LAWS) if law.name not in running_laws.VALUES],
)  # fmt: skip
#: Families that are no primitive's.
OTHERS = (
    "open", "constant", "memory", "declared", "device", "callback", "array", fuzz_cases.FAMILY,
    *[f"program-{p.name}" for p in program_laws.PROGRAMS],
)  # fmt: skip

#: Families that are no part of a run, by what their ids begin with: what gives their rows.
ADDED: dict[str, Callable[[Sequence[str]], Iterable[Row]]] = {}


@dataclasses.dataclass(frozen=True)
class Row:
    """Something to try.

    Attributes
    ----------
    name : str
        ``primitive/sample/dtype``.
    level, law : str
    backend : str
        Which is judged; empty where none is.
    check : callable
        Raises where the law is broken.
    plain : bool
        A plain run tries it.
    lacks : callable
        Why the driver is not tried, by what it declares, in words; empty where it is.
    """

    name: str
    level: str
    law: str
    backend: str
    check: Callable[[], None]
    plain: bool
    lacks: Callable[[], str] = lambda: ""

    @property
    def id(self) -> str:
        """``primitive/sample/dtype/level/law``, and ``:backend`` where one is judged."""
        return f"{self.name}/{self.level}/{self.law}" + (f":{self.backend}" if self.backend else "")

    @property
    def gap(self) -> str | None:
        """Why it is known to fail, if it is."""
        name = f"{self.name}/{self.law}"
        return KNOWN.gap(name) or (declarations_of(self.backend).gap(name) if self.backend else None)


def devices_of(name: str) -> tuple[Device, ...]:
    """The devices of a backend."""
    return plugins.installed().open(name).devices()


@functools.lru_cache(maxsize=16)
def declarations_of(name: str) -> Declared:
    """What a backend declares about itself."""
    return declared(name) if name else Declared({})


# -- one device -------------------------------------------------------------------------------------------------------
def level_of(law: Law, case: Case) -> str:
    """The conformance level that a law belongs to, on a case."""
    if law.name in TRANSFORMED:
        return "L2"
    return "L0" if law.name == "value" and case.primitive.required and case.dtype in BRING_UP else "L1"


def _missing(case: Case, name: str) -> str:
    """Which dtype a driver declares that it lacks."""
    if not name:
        return ""
    claimed = devices_of(name)[0].backend.capabilities.dtypes
    return next((f"{dtype} is not declared" for dtype in case.held if dtype not in claimed), "")


def _try_law(law: Law, case: Case, name: str) -> None:
    device = devices_of(name)[0] if name else None
    law.check(Trial(case, device, declarations_of(name)))


def _of_primitive(primitive: Primitive, backends: Sequence[str]) -> Iterator[Row]:
    if primitive.reference is None:
        return
    compiles = {name: devices_of(name)[0].backend.compiles for name in backends}
    made = (*oracles.cases(primitive), *extremes.cases(primitive), *lengths.cases(primitive))
    for case in (*cases_of(primitive, laws.ALL), *made):
        for law in LAWS:
            if (
                law.many != case.many
                or law.origin != case.origin
                or case.dtype not in law.full
                or not law.applies(case)
            ):
                continue
            plain = case.dtype in law.quick and law.quick_on(case)
            for name in backends if law.on_device else ("",):
                if not law.compiled or compiles[name]:
                    yield Row(case.id, level_of(law, case), law.name, name,
                              functools.partial(_try_law, law, case, name), plain,
                              functools.partial(_missing, case, name))  # fmt: skip
        if case.many or case.origin:
            continue
        for law, check, applies, full in spread_laws.LAWS:
            if case.dtype in full and applies(case):
                for name in backends:
                    yield Row(case.id, "L3", law, name, _spread(check, case, name), spread_laws.plain(law, case),
                              functools.partial(_missing_spread, case, name))  # fmt: skip


def _refusals(primitive: Primitive) -> Iterator[Row]:
    for id, _, stated in refusals_of(primitive):
        yield Row(id, "L1", "refusal", "", functools.partial(refused, primitive, stated), True)


def refused(primitive: Primitive, stated: Any) -> None:
    """A wrong request is refused in the words stated, at once and while tracing."""

    def f() -> Any:
        return primitive.bind(*stated.sample.operands, **stated.sample.params)

    for way, run in (("at once", f), ("in a program", lambda: px.make_jaxpr(f)())):
        try:
            run()
        except stated.error as error:
            assert stated.words in str(error), f"{way} it says: {error}"
        else:
            raise AssertionError(f"{way} it is not refused: {primitive.name}, {stated.sample}")


def _dtype_missing(dtype: Any, name: str) -> str:
    claimed = devices_of(name)[0].backend.capabilities.dtypes
    return "" if dtypes.is_key(dtype) or dtype.name in claimed else f"{dtype.name} is not declared"


def _open(name: str) -> None:
    devices = devices_of(name)
    assert devices, f"{name} opens, and has no device on this machine"
    for i, device in enumerate(devices):
        assert device.backend is devices[0].backend, f"{device} is of another backend than {devices[0]}"
        assert device.platform == name, f"{device} of {name} says that its platform is {device.platform!r}"
        assert len({d.id for d in devices[: i + 1]}) == i + 1, f"two devices have the number {device.id}"


def opening(backends: Sequence[str]) -> list[Row]:
    """That a backend opens and has a device: what is left to say of one that does not."""
    return [Row("open/devices/any", "L0", "open", name, functools.partial(_open, name), True) for name in backends]


def _constants(backends: Sequence[str]) -> Iterator[Row]:
    for dtype in constants.DTYPES:
        for name in backends:
            yield Row(
                f"constant/bits/{dtype.name}", "L0" if dtype.name in BRING_UP else "L1", "constants", name,
                lambda dtype=dtype, name=name: constants.check(dtype, devices_of(name)[0]), True,
                functools.partial(_dtype_missing, dtype, name),
            )  # fmt: skip


def _memory(backends: Sequence[str]) -> Iterator[Row]:
    for name in backends:
        for sample, check in memory.CHECKS:
            yield Row(f"memory/{sample}/float32", "L2", "growth", name,
                      lambda check=check, name=name: check(devices_of(name)[0]), True)  # fmt: skip


def _device(backends: Sequence[str]) -> Iterator[Row]:
    for sample, law, check in device_laws.CHECKS:
        for name in backends:
            yield Row(f"device/{sample}", "L2", law, name, lambda check=check, name=name: check(devices_of(name)[0]),
                      True)  # fmt: skip


def _callback(backends: Sequence[str]) -> Iterator[Row]:
    for sample, law, check in callback_laws.CHECKS:
        for name in backends:
            yield Row(f"callback/{sample}", "L2", law, name, lambda check=check, name=name: check(devices_of(name)[0]),
                      True, lambda name=name: callback_laws.missing(devices_of(name)[0]))  # fmt: skip
    for sample, check in callback_laws.TOGETHER:
        for name in backends:
            together = lambda check=check, name=name: check(devices_of(name))
            yield Row(f"callback/{sample}", "L3", "called", name, together, True, functools.partial(_not_called, name))


def _not_called(name: str) -> str:
    found = devices_of(name)
    return callback_laws.missing(found[0]) or grids.lacking("line", found)


def _declared(backends: Sequence[str]) -> Iterator[Row]:
    for name in backends:
        for sample, check in (("budgets", _budgets), ("gaps", _gaps)):
            yield Row(f"declared/{sample}/all", "L1", "declared", name, functools.partial(check, name), True)


def _budgets(name: str) -> None:
    declarations.budgets_are_needed(name, declarations_of(name), devices_of(name)[0])


def _gaps(name: str) -> None:
    every = (*rows([name], "L3", full=True), *family(exhaustive.FAMILY, (name,)))
    names = [f"{row.name}/{row.law}" for row in every]
    declarations.gaps_name_cases(name, declarations_of(name), names)


# -- many devices -----------------------------------------------------------------------------------------------------
def _spread(check: Callable[[Any, Any], None], trial: Any, name: str) -> Callable[[], None]:
    return lambda: check(trial, devices_of(name))


def _missing_spread(case: Case, name: str) -> str:
    return grids.lacking("line", devices_of(name)) or _missing(case, name)


def _lacking(label: str, dtype: Any, name: str) -> str:
    return grids.lacking(label, devices_of(name)) or _dtype_missing(dtype, name)


def _between(primitive: str, backends: Sequence[str]) -> Iterator[Row]:
    for law, check, quick, full in between_laws.LAWS:
        for trial in between_laws.trials(law, full, primitive):
            dtype = dtypes.user_dtype(trial.dtype, "rows")
            plain = trial.dtype in quick and between_laws.typical(trial)
            for name in backends:
                yield Row(trial.name, "L3", law, name, _spread(check, trial, name), plain,
                          functools.partial(_lacking, trial.label, dtype, name))  # fmt: skip


def _arrays(backends: Sequence[str]) -> Iterator[Row]:
    for law, check, full in array_laws.LAWS:
        for trial in array_laws.trials(full):
            for name in backends:
                yield Row(trial.name, "L3", law, name, _spread(check, trial, name), array_laws.typical(trial),
                          functools.partial(_lacking, trial.grid, trial.dtype, name))  # fmt: skip


def _found(backends: Sequence[str]) -> Iterator[Row]:
    for made in fuzz_cases.found():
        for name in backends:
            yield _fuzzed(made, name)


def _fuzzed(made: fuzz_cases.Made, backend: str) -> Row:
    name, law, check, lacks = made
    return Row(name, fuzz_cases.LEVEL, law, backend,
               lambda: check(devices_of(backend)[0], declarations_of(backend)), True,
               lambda: lacks(devices_of(backend)[0], declarations_of(backend)))  # fmt: skip


def _exhaustive(backends: Sequence[str]) -> Iterator[Row]:
    for name, dtype, check in exhaustive.cases():
        real = dtypes.user_dtype(dtype, "rows")
        for backend in backends:
            yield Row(name, exhaustive.LEVEL, exhaustive.LAW, backend,
                      functools.partial(_numbers, check, backend), False,
                      functools.partial(_dtype_missing, real, backend))  # fmt: skip


def _numbers(check: Callable[[Device, Declared], Any], backend: str) -> None:
    check(devices_of(backend)[0], declarations_of(backend))


def _program(family: str, backends: Sequence[str]) -> Iterator[Row]:
    for law, check, applies in program_laws.LAWS:
        for run in program_laws.runs():
            if f"program-{run.program.name}" != family or not applies(run.program):
                continue
            dtype = dtypes.user_dtype(run.dtype, "rows")
            for name in backends:
                yield Row(f"program-{run.name}", "L3", law, name, _spread(check, run, name), program_laws.typical(run),
                          functools.partial(_lacking, "line", dtype, name))  # fmt: skip


# -- all of them ------------------------------------------------------------------------------------------------------
def families() -> list[str]:
    """The first parts of all ids."""
    return [*[p.name for p in registry], *OTHERS]


@functools.lru_cache(maxsize=512)
def family(first: str, backends: tuple[str, ...]) -> tuple[Row, ...]:
    """The rows whose ids begin so."""
    with px.enable_x64(True):
        if first in registry:
            primitive = registry[first]
            found = [*_of_primitive(primitive, backends), *_refusals(primitive), *_between(first, backends)]
        else:
            make = {
                "open": opening,
                "constant": _constants,
                "memory": _memory,
                "declared": _declared,
                fuzz_cases.FAMILY: _found,
                exhaustive.FAMILY: _exhaustive,
                "device": _device,
                "callback": _callback,
                "array": _arrays,
                **ADDED,
            }.get(first)
            found = list(_program(first, backends) if make is None else make(backends))  # nothing, of no such family
    return tuple(found)


def wanted(id: str, only: Sequence[str]) -> bool:
    """Whether patterns name an id.

    A pattern is as of file names; one without ``*``, ``?`` and ``[`` is a whole id, or a part of one.
    """
    return not only or any(_named(id, pattern) for pattern in only)


def is_whole(pattern: str) -> bool:
    """Whether a pattern is the id of one case, with its backend or without."""
    return pattern.count("/") == 4 and not set(pattern) & set("*?[")


def _named(id: str, pattern: str) -> bool:
    if is_whole(pattern):
        return pattern in (id, id.partition(":")[0])
    if not set(pattern) & set("*?["):
        return pattern in id
    return any(fnmatch.fnmatchcase(part, pattern) for part in (id, id.partition(":")[0]))


def may_begin(first: str, only: Sequence[str]) -> bool:
    """Whether ids of a family can be among those wanted, by what their patterns begin with."""
    for pattern in only:
        plain = re.split(r"[*?[]", pattern)[0]
        if plain == pattern or (first == plain.partition("/")[0] if "/" in plain else first.startswith(plain)):
            return True
    return not only


def rows(backends: Sequence[str], level: str, full: bool = False, only: Sequence[str] = ()) -> list[Row]:
    """All rows up to a level that are wanted, in the order of families; those of a plain run, unless ``full``."""
    most, given = LEVELS.index(level), tuple(backends)
    return [
        row
        for first in families()
        if may_begin(first, only)
        for row in family(first, given)
        if (full or row.plain) and LEVELS.index(row.level) <= most and wanted(row.id, only)
    ]


def exhaustive_rows(backends: Sequence[str], level: str, only: Sequence[str] = ()) -> list[Row]:
    """The rows of every number there is, which are no part of any other run."""
    if LEVELS.index(level) < LEVELS.index(exhaustive.LEVEL):
        return []
    return [row for row in family(exhaustive.FAMILY, tuple(backends)) if wanted(row.id, only)]


def reseed(seed: int) -> None:
    """Draw all data from another seed: rows that were made before are forgotten."""
    if cases.reseed(seed):
        for known in (family, _by_id, oracles.cases, extremes.cases, lengths.cases, program_laws.expected):
            known.cache_clear()


def find(id: str) -> Row | None:
    """The row of that id."""
    _, _, backend = id.partition(":")
    first = id.partition("/")[0]
    if first == fuzz_cases.FAMILY:  # there is no end of them
        made = fuzz_cases.of_id(id)
        return None if made is None else _fuzzed(made, backend)
    return _by_id(first, backend).get(id)


@functools.lru_cache(maxsize=512)
def _by_id(first: str, backend: str) -> dict[str, Row]:
    return {row.id: row for row in family(first, (backend,) if backend else ())}
