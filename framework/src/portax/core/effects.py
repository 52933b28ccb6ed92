"""What equations do besides computing results: they call Python, or what is no Python.

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


class DebugEffect(CallbackEffect):
    """The program calls Python for a person to see."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("Debug", False)


class OrderedDebugEffect(CallbackEffect):
    """The program calls Python for a person to see, in order."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("OrderedDebug", True)


class ForeignEffect:
    """The program calls a function of another language that does something."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Foreign"


FOREIGN = ForeignEffect()
IO = CallbackEffect("IO", False)
ORDERED_IO = CallbackEffect("OrderedIO", True)
DEBUG = DebugEffect()
ORDERED_DEBUG = OrderedDebugEffect()


def calls_python(effects: Iterable[Any]) -> bool:
    """Whether one of the effects is a call of Python."""
    return any(isinstance(effect, CallbackEffect) for effect in effects)
