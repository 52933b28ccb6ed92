"""What equations do besides computing results: they call Python.

An effect is a member of an equation's ``effects`` and so of its program's. Named axes stand in the same sets, as names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class CallbackEffect:
    """The program calls a Python function that does something."""

    __slots__ = ("name", "ordered")

    def __init__(self, name: str, ordered: bool) -> None:
        self.name, self.ordered = name, ordered

    def __repr__(self) -> str:
        return self.name


IO = CallbackEffect("IO", False)
ORDERED_IO = CallbackEffect("OrderedIO", True)
DEBUG = CallbackEffect("Debug", False)
ORDERED_DEBUG = CallbackEffect("OrderedDebug", True)


def calls_python(effects: Iterable[Any]) -> bool:
    """Whether one of the effects is a call of Python."""
    return any(isinstance(effect, CallbackEffect) for effect in effects)
