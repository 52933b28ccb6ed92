"""What becomes of a case, and what that says of a driver."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

PASS, FAIL, UNSUPPORTED, CRASHED, TIMED_OUT, EXPECTED = (
    "pass", "fail", "unsupported", "crashed", "timed out", "expected failure",
)  # fmt: skip
ALL = (PASS, FAIL, CRASHED, TIMED_OUT, EXPECTED, UNSUPPORTED)
#: Of a driver that is not as it should be.
BAD = (FAIL, CRASHED, TIMED_OUT)
LEVELS = ("L0", "L1", "L2", "L3")


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of one case.

    Attributes
    ----------
    id : str
    outcome : str
        One of ``ALL``.
    seconds : float
    words : str
        What was wrong, or what the driver lacks.
    off : tuple of float
        Units in the last place that its farthest result was off, and how many are allowed; empty where nothing was
        measured.
    detail : dict of str
        What was wrong, in parts (`measures.Off`).
    """

    id: str
    outcome: str
    seconds: float = 0.0
    words: str = ""
    off: tuple[float, ...] = ()
    detail: dict[str, str] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def bad(self) -> bool:
        """It counts against the driver."""
        return self.outcome in BAD

    @property
    def level(self) -> str:
        """The conformance level that its id names."""
        return self.id.split("/")[3]

    @property
    def law(self) -> str:
        """The law that its id names."""
        return self.id.split("/")[4].partition(":")[0]

    @property
    def backend(self) -> str:
        """The backend that its id names; empty where none is judged."""
        return self.id.partition(":")[2]


def judged(result: Result, gap: str | None) -> Result:
    """The result of a case that is known to fail: expected if it does, and a failure if it passes."""
    if gap is None or result.outcome == UNSUPPORTED:
        return result
    if result.outcome == PASS:
        words = f"it passes, and is declared a gap: {gap}. Take the declaration out."
        return dataclasses.replace(result, outcome=FAIL, words=words)
    return dataclasses.replace(result, outcome=EXPECTED, words=gap)


def counts(results: Iterable[Result]) -> dict[str, int]:
    """How many there are of each outcome, in the order of ``ALL``."""
    found = collections.Counter(r.outcome for r in results)
    return {outcome: found[outcome] for outcome in ALL}


def nothing_tried(results: Iterable[Result]) -> bool:
    """No case ran, or none that the driver supports: that is no success."""
    return not any(r.outcome != UNSUPPORTED for r in results)


def level_reached(results: Iterable[Result]) -> str | None:
    """The highest level up to which nothing is bad, and at which something passed; None where L0 is not kept."""
    found = list(results)
    reached: str | None = None
    for level in LEVELS:
        here = [r for r in found if r.level == level]
        if any(r.bad for r in here):
            break
        if any(r.outcome == PASS for r in here):
            reached = level
    return reached
