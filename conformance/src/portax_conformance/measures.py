"""What laws measure on their way, and what they saw where one is broken.

A law only holds or does not. How far off a result was, beside how far off it may be, is noted here, and the worker
takes it after each case; a process tries one case at a time. Where results are too far off, `Off` holds the numbers
in parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes

#: Characters of one part that are kept, and how many elements that differ are shown.
MOST, SHOWN = 2000, 6

_farthest: list[float] = []


def note(ulps: float, allowed: float, dtype: Any) -> None:
    """A result of floats was so many units in the last place off; of one case the farthest is kept."""
    if dtypes.is_inexact(dtype) and (not _farthest or ulps > _farthest[0]):
        _farthest[:] = [float(ulps), float(allowed)]


def take() -> list[float]:
    """The farthest and what was allowed, and nothing the next time; empty where nothing was measured."""
    found = list(_farthest)
    _farthest.clear()
    return found


class Off(AssertionError):
    """A result that is not what it should be.

    Attributes
    ----------
    detail : dict of str
        Its parts, each cut to what a person reads: operands, parameters, expected, got, and, of arrays, differs.
    """

    def __init__(self, words: str, operands: Any, parameters: Any, expected: Any, got: Any) -> None:
        parts = {"operands": operands, "parameters": parameters, "expected": expected, "got": got}
        self.detail = {name: cut(str(part)) for name, part in parts.items()}
        if isinstance(got, np.ndarray) and isinstance(expected, np.ndarray) and got.size > 1:
            self.detail["differs"] = differing(got, expected)
        super().__init__("\n".join([words, *[f"{name} {part}" for name, part in self.detail.items()]]))


def cut(text: str) -> str:
    """The beginning of a text, and how much is left out."""
    return text if len(text) <= MOST else f"{text[:MOST]} … and {len(text) - MOST} characters more"


def differing(got: np.ndarray, expected: np.ndarray) -> str:
    """Where two arrays of one shape have other numbers: how many, and the first of them."""
    same = (got == expected) | ((got != got) & (expected != expected))
    if dtypes.kind(got.dtype) == "float":  # a zero of the other sign differs, too
        same &= (got != 0) | (np.signbit(got) == np.signbit(expected))
    places = np.argwhere(~same)
    rows = [f"{p.tolist()}: {got[tuple(p)]}, not {expected[tuple(p)]}" for p in places[:SHOWN]]
    more = ["…"] if len(places) > SHOWN else []
    return "\n".join([f"{len(places)} of {got.size} elements", *rows, *more])
