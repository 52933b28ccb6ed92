"""Programs to compile for devices that are not here, and what compilers are known to refuse.

Cases are those of the conformance suite. All of a primitive at one dtype are one program, since a compiler takes as
long to begin as to compile ten of them; where it is refused, each is compiled alone to know which it was.

What a compiler refuses stands in a file for each target, with words of its message::

    [[gap]]
    cases = ["select_and_scatter_add/windows-of-padding/*"]
    says = "Padding in 1D select and scatter"
    reason = "libtpu has no padding there along a single axis"

It is strict: a case that compiles in spite of its gap fails, and so does an entry that names no case.
"""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import portax as px
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Primitive, registry
from portax.errors import CompileError
from portax.runtime.contract import Backend, CompileOptions
from portax.runtime.lowering import lower
from portax.transforms.stage import StageTrace
from portax_conformance.cases import ALL, KEY, Case, cases_of, dtypes_of

#: What a plain run compiles: the dtypes a program mostly has.
PLAIN = ("bool", "int32", "float32", "bfloat16", "complex64", KEY)
#: Primitives whose decompositions are long programs, which compilers take many seconds for: a plain run has them in
#: single precision. `-m "aot and exhaustive"` compiles the rest, at every other dtype too.
LONG = frozenset({
    "eig", "eigh", "fft", "geqp3", "hessenberg", "igamma", "igamma_grad_a", "igammac", "lu", "polygamma", "qr",
    "random_gamma_grad", "regularized_incomplete_beta", "schur", "svd", "tridiagonal", "tridiagonal_solve", "zeta",
})  # fmt: skip

#: Primitives that have no cases, since they are nothing alone: those that speak of an axis of devices are compiled on
#: several (`ahead_programs`), those that call Python or mark a place for a transformation are in no compiled program.
ALONE_NOTHING = frozenset({
    "all_gather", "all_gather_invariant", "all_to_all", "axis_index", "pmax", "pmin", "ppermute", "psum",
    "psum_invariant", "pvary", "reduce_scatter",
    "debug_callback", "debug_print", "io_callback", "pure_callback",
    "custom_lin", "saved",
})  # fmt: skip

#: How names of programs begin that are no cases of primitives; `check` sees to their gaps.
OTHERS = ("shard_map/", "divided/", "suite/", "example/")

#: Cases that compiled and known gaps, by target and what was compiled; printed at the end of a run.
COUNTS: dict[str, dict[str, collections.Counter[str]]] = {}


@dataclasses.dataclass(frozen=True)
class Gap:
    """What a compiler refuses: cases by patterns, words of its message, and why."""

    cases: list[str]
    says: str
    reason: str


def gaps_in(file: Path) -> list[Gap]:
    """The gaps of a target."""
    rows = tomllib.loads(file.read_text("utf-8")).get("gap", [])
    return [Gap(**row) for row in rows]


def gap_of(name: str, gaps: Sequence[Gap]) -> Gap | None:
    return next((gap for gap in gaps if any(fnmatch.fnmatchcase(name, case) for case in gap.cases)), None)


def without_cases() -> set[str]:
    """Primitives that have no case at any dtype."""
    with px.enable_x64(True):
        return {p.name for p in registry if not any(True for _ in cases_of(p, ALL))}


def rows(stored: frozenset[str]) -> Iterator[Any]:
    """A parameter for each primitive and dtype that a target stores: what a plain run leaves out is ``exhaustive``."""
    names = [d for d in ALL if d == KEY or d in stored]
    for primitive in registry:
        if primitive.name in ALONE_NOTHING:
            continue
        with px.enable_x64(True):
            taken = dtypes_of(primitive, names)
        for dtype in taken:
            plain = dtype in PLAIN and (dtype == "float32" or primitive.name not in LONG)
            marks = () if plain else (pytest.mark.exhaustive,)
            yield pytest.param(primitive, dtype, id=f"{primitive.name}/{dtype}", marks=marks)


def program_of(cases: Sequence[Case]) -> ClosedJaxpr:
    """The cases side by side: operands and results of all, one after the other."""
    trace = StageTrace("cases")
    inputs: list[Any] = []
    outs: list[Any] = []
    for case in cases:
        own = [trace.argument(aval) for aval in case.avals]
        inputs += own
        outs += case.results(trace.record(case.primitive, own, case.params))
    return ClosedJaxpr(*trace.jaxpr(inputs, outs))


def compile_cases(backend: Backend, cases: Sequence[Case]) -> None:
    """Compile cases as one program."""
    claimed = backend.capabilities.custom_calls
    text = lower(program_of(cases), cases[0].primitive.name, custom_calls=claimed, platform=backend.name)
    backend.compile(text, CompileOptions(), backend.devices()[:1])


def refusal(compile_it: Callable[[], Any]) -> str | None:
    """What the compiler says against it; None where it compiles."""
    try:
        compile_it()
    except CompileError as error:
        return "\n".join([error.wrong, *getattr(error, "__notes__", ())])
    return None


def counted(target: str, what: str) -> collections.Counter[str]:
    """The counts of a kind of program."""
    return COUNTS.setdefault(target, {}).setdefault(what.partition("/")[0], collections.Counter())


def check(target: str, what: str, compiled: dict[str, Callable[[], Any]], gaps: Sequence[Gap]) -> None:
    """Compile all, each under its name: what has a gap is refused with its words, and nothing else is.

    A gap whose case begins with ``what`` and a slash has to name one of them.

    Raises
    ------
    AssertionError
        It is otherwise; all that is otherwise is named.
    """
    counts = counted(target, what)
    wrong = [
        f"the gap {case!r} names nothing" for gap in gaps for case in gap.cases
        if case.startswith(what + "/") and not any(fnmatch.fnmatchcase(name, case) for name in compiled)
    ]  # fmt: skip
    for name, compile_it in compiled.items():
        gap, said = gap_of(name, gaps), refusal(compile_it)
        if said is None and gap is None:
            counts["compiled"] += 1
        elif gap is None:
            wrong.append(f"{name} is refused: {str(said)[:600]}")
        elif said is None:
            wrong.append(f"{name} compiles: its gap is closed, take it out")
        elif gap.says not in said:
            wrong.append(f"{name} is refused with other words than {gap.says!r}: {said[:600]}")
        else:
            counts["known gaps"] += 1
    assert not wrong, "\n".join(wrong)


def check_cases(target: str, backend: Backend, primitive: Primitive, dtype: str, gaps: Sequence[Gap]) -> None:
    """Compile all cases of a primitive at a dtype: those without a gap together, if that goes well."""
    with px.enable_x64(True):
        cases = list(cases_of(primitive, [dtype]))
        easy = [case for case in cases if gap_of(case.id, gaps) is None]
        if len(easy) > 1 and refusal(lambda: compile_cases(backend, easy)) is None:
            counted(target, "primitives")["compiled"] += len(easy)
            cases = [case for case in cases if case not in easy]
        alone = {case.id: lambda case=case: compile_cases(backend, [case]) for case in cases}
        check(target, "primitives", alone, gaps)


def unused(gaps: Sequence[Gap], stored: frozenset[str]) -> list[str]:
    """Entries that begin with a primitive's name and name no case of it, or begin with nothing that is known."""
    names = [d for d in ALL if d == KEY or d in stored]
    with px.enable_x64(True):
        known = [case.id for primitive in registry for case in cases_of(primitive, names)]
    return [
        case for gap in gaps for case in gap.cases
        if not case.startswith(OTHERS) and not any(fnmatch.fnmatchcase(name, case) for name in known)
    ]  # fmt: skip


def summary(writer: Any, kind: str) -> None:
    """Print the counts of the targets of a kind."""
    found = {target: counts for target, counts in COUNTS.items() if target.startswith(kind)}
    if not found:
        return
    writer.section(f"compiled ahead of time, {kind}")
    for target, counts in sorted(found.items()):
        for what, count in sorted(counts.items()):
            writer.write_line(
                f"{target:14s} {what:22s} {count['compiled']:6d} compiled {count['known gaps']:5d} known gaps"
            )
