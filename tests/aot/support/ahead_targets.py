"""What the tests here compile for, and what the compilers are known to refuse.

A target is left out where the distribution that offers it is not installed. What a compiler refuses stands in a file
for each kind of target, with words of its message::

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
import functools
import importlib
import tomllib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from portax.errors import CompileError
from portax.runtime import targets
from portax.runtime.contract import Backend

HERE = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Gap:
    """What a compiler refuses: cases by patterns, words of its message, and why."""

    cases: list[str]
    says: str
    reason: str


def gap_of(name: str, gaps: Sequence[Gap]) -> Gap | None:
    """The gap that a case has."""
    return next((gap for gap in gaps if any(fnmatch.fnmatchcase(name, case) for case in gap.cases)), None)


@dataclasses.dataclass(frozen=True)
class Target:
    """One kind of device to compile for.

    Attributes
    ----------
    one, four : str
        A single device and a slice of four, as users type them.
    module : str
        Its function ``capabilities`` knows what programs for them may be, without the compiler.
    """

    one: str
    four: str
    module: str

    @property
    def kind(self) -> str:
        """What users type before the colon."""
        return self.one.partition(":")[0]

    @property
    def stored(self) -> frozenset[str]:
        """The dtypes of its arrays."""
        return importlib.import_module(self.module).capabilities().dtypes

    @functools.cached_property
    def gaps(self) -> list[Gap]:
        """What its compiler refuses."""
        rows = tomllib.loads((HERE / f"{self.kind}_refuses.toml").read_text("utf-8")).get("gap", [])
        return [Gap(**row) for row in rows]

    def __repr__(self) -> str:
        return self.kind


KNOWN = (
    Target("tpu:v5e:1x1", "tpu:v5e:2x2", "portax_tpu.chips"),
    Target("cuda:sm_90", "cuda:sm_90:4", "portax_pjrt.cuda_targets"),
)
TARGETS = [target for target in KNOWN if find_spec(target.module.partition(".")[0]) is not None]
ABSENT = [target for target in KNOWN if target not in TARGETS]


@functools.cache
def opened(name: str) -> Backend:
    """The backend of a target, once."""
    return targets.backend_for(name)


# -- what compilers say -----------------------------------------------------------------------------------------------
@dataclasses.dataclass
class Count:
    """Of one kind of program for one target: how many compiled, how many are known gaps, and of how many primitives."""

    compiled: int = 0
    gaps: int = 0
    primitives: set[str] = dataclasses.field(default_factory=set)


#: By target and kind of program; printed at the end of a run.
COUNTS: dict[str, dict[str, Count]] = collections.defaultdict(lambda: collections.defaultdict(Count))


def refusal(compile_it: Callable[[], Any]) -> str | None:
    """What the compiler says against it; None where it compiles."""
    try:
        compile_it()
    except CompileError as error:
        return "\n".join([error.wrong, *getattr(error, "__notes__", ())])
    return None


def check(name: str, what: str, programs: dict[str, Callable[[], Any]], gaps: Sequence[Gap]) -> None:
    """Compile all for a target, each under its name: what has a gap is refused with its words, and nothing else is.

    A gap whose case begins with ``what`` and a slash has to name one of them.

    Raises
    ------
    AssertionError
        It is otherwise; all that is otherwise is named.
    """
    count = COUNTS[name][what.partition("/")[0]]
    wrong = [
        f"the gap {case!r} names nothing" for gap in gaps for case in gap.cases
        if case.startswith(what + "/") and not any(fnmatch.fnmatchcase(program, case) for program in programs)
    ]  # fmt: skip
    for program, compile_it in programs.items():
        gap, said = gap_of(program, gaps), refusal(compile_it)
        if said is None and gap is None:
            count.compiled += 1
        elif gap is None:
            wrong.append(f"{program} is refused: {str(said)[:600]}")
        elif said is None:
            wrong.append(f"{program} compiles: its gap is closed, take it out")
        elif gap.says not in said:
            wrong.append(f"{program} is refused with other words than {gap.says!r}: {said[:600]}")
        else:
            count.gaps += 1
    assert not wrong, "\n".join(wrong)


def summary() -> list[str]:
    """The counts, a line for each target and kind of program."""
    lines = []
    for name, counts in sorted(COUNTS.items()):
        for what, count in sorted(counts.items()):
            told = f"samples of {len(count.primitives)} primitives" if count.primitives else what
            lines.append(f"{name:14s} {told:32s} {count.compiled:6d} compiled {count.gaps:5d} known gaps")
    return lines
