"""Every case of every primitive, to be compiled for a device that is not here.

Cases are those of the conformance suite. All of a primitive at one dtype are one program, since a compiler takes as
long to begin as to compile ten of them; where it is refused, each is compiled alone to know which it was.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

import ahead_targets
import pytest
from ahead_targets import Gap, Target

import portax as px
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Primitive, registry
from portax.primitives.collectives import Collective
from portax.runtime.contract import Backend, CompileOptions
from portax.runtime.lowering import lower
from portax.transforms.stage import StageTrace
from portax_conformance.cases import ALL, KEY, Case, cases_of, dtypes_of

#: What a plain run compiles: the dtypes a program mostly has. A primitive that takes none of them has its first.
PLAIN = ("bool", "int32", "float32", "bfloat16", "complex64", KEY)
#: Primitives whose decompositions are long programs, which compilers take many seconds for: a plain run has them in
#: single precision. `-m "aot and exhaustive"` compiles the rest, at every other dtype too.
LONG = frozenset({
    "eig", "eigh", "fft", "geqp3", "hessenberg", "igamma", "igamma_grad_a", "igammac", "lu", "polygamma", "qr",
    "random_gamma_grad", "regularized_incomplete_beta", "schur", "svd", "tridiagonal", "tridiagonal_solve", "zeta",
})  # fmt: skip

#: Primitives that have no cases, since they are nothing alone. Those that devices speak by are compiled on several.
SPEAKING = frozenset(p.name for p in registry if isinstance(p, Collective))
#: What calls Python has no program that could leave the process.
CALLING = frozenset({"debug_callback", "debug_print", "io_callback", "pure_callback"})
#: What marks a place for a transformation is in no compiled program.
MARKS = frozenset({"custom_lin", "saved"})


def names_of(target: Target) -> list[str]:
    """The dtypes of cases that a target stores."""
    return [d for d in ALL if d == KEY or d in target.stored]


def rows(target: Target) -> Iterator[Any]:
    """A parameter for each primitive and dtype of a target: what a plain run leaves out is ``exhaustive``."""
    names = names_of(target)
    for primitive in registry:
        if primitive.name in SPEAKING | CALLING | MARKS:
            continue
        with px.enable_x64(True):
            taken = dtypes_of(primitive, names)
        plain = [d for d in taken if d in PLAIN and (d == "float32" or primitive.name not in LONG)] or taken[:1]
        for dtype in taken:
            marks = () if dtype in plain else (pytest.mark.exhaustive,)
            yield pytest.param(target, primitive, dtype, id=f"{target}-{primitive.name}-{dtype}", marks=marks)


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


def check_cases(target: Target, primitive: Primitive, dtype: str) -> None:
    """Compile all cases of a primitive at a dtype: those without a gap together, if that goes well."""
    backend = ahead_targets.opened(target.one)
    count = ahead_targets.COUNTS[target.one]["primitives"]
    with px.enable_x64(True):
        cases = list(cases_of(primitive, [dtype]))
        easy = [case for case in cases if ahead_targets.gap_of(case.id, target.gaps) is None]
        if len(easy) > 1 and ahead_targets.refusal(lambda: compile_cases(backend, easy)) is None:
            count.compiled += len(easy)
            cases = [case for case in cases if case not in easy]
        alone = {case.id: lambda case=case: compile_cases(backend, [case]) for case in cases}
        ahead_targets.check(target.one, "primitives", alone, target.gaps)
    count.primitives.add(primitive.name)


def unused(gaps: Sequence[Gap], names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Cases of gaps that name no case of a primitive at these dtypes; ``others`` begin like nothing of theirs."""
    with px.enable_x64(True):
        known = [case.id for primitive in registry for case in cases_of(primitive, names)]
    return [
        case for gap in gaps for case in gap.cases
        if not case.startswith(tuple(others)) and not any(fnmatch.fnmatchcase(name, case) for name in known)
    ]  # fmt: skip
