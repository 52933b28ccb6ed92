"""How many cases each public function has in a run, printed at its end.

A case is a test, or an example of a hypothesis test, that uses a public function in jax and in portax alike; or a
drawn case of a table, which says so itself. Modules of both libraries note which names a test takes from them: only
while a test runs, and only for code of the tests.

A test's cases travel with its report, so that they arrive where the run is summed up, also from the processes of
pytest-xdist.
"""

from __future__ import annotations

import collections
import functools
import sys
import types
from collections.abc import Iterable
from typing import Any

#: Cases of the run so far, by path below the library: those of tests, and those that a table drew.
BY_TESTS: collections.Counter[str] = collections.Counter()
DRAWN: collections.Counter[str] = collections.Counter()
LEAST = 40

#: What a report calls its test's cases.
PROPERTY = "cases beside jax"

_used: collections.Counter[str] = collections.Counter()  # of the test that runs
_drawn: collections.Counter[str] = collections.Counter()

_seen: dict[str, set[str]] | None = None


def add(path: str, cases: int) -> None:
    """Note cases that a table drew."""
    _drawn[path] += cases


def take() -> tuple[str, list[dict[str, int]]]:
    """The cases of the test that ran, as its report carries them; what was noted is forgotten."""
    found = PROPERTY, [dict(_used), dict(_drawn)]
    _used.clear()
    _drawn.clear()
    return found


def receive(properties: Iterable[tuple[str, Any]]) -> None:
    """Count the cases that a report brought."""
    for name, value in properties:
        if name == PROPERTY:
            used, drawn = value
            BY_TESTS.update(used)
            DRAWN.update(drawn)


def begin() -> None:
    """A test, or an example of one, begins."""
    global _seen
    _seen = {"jax": set(), "portax": set()}


def end() -> None:
    """It ends: what it took from both libraries, it compared."""
    global _seen
    if _seen is not None:
        _used.update(_seen["jax"] & _seen["portax"])
    _seen = None


def each_example(test: Any) -> None:
    """Let every example of a hypothesis test be a case; of other tests this changes nothing."""
    handle = getattr(test, "hypothesis", None)
    if handle is None or hasattr(handle.inner_test, "counted"):
        return
    inner = handle.inner_test

    @functools.wraps(inner)
    def one(*args: Any, **named: Any) -> Any:
        begin()
        try:
            return inner(*args, **named)
        finally:
            end()

    one.counted = True  # pyright: ignore[reportFunctionMemberAccess]
    handle.inner_test = one


class Watched(types.ModuleType):
    """A module that notes which of its names the code of a test takes."""

    def __getattribute__(self, name: str) -> Any:
        if _seen is not None and name[:2] != "__":
            code = sys._getframe(1).f_code.co_filename
            if ("/tests/peer/" in code and "/support/" not in code) or not code.endswith(".py"):
                library, _, path = object.__getattribute__(self, "__dict__")["__name__"].partition(".")
                _seen[library].add(f"{path}.{name}" if path else name)
        return super().__getattribute__(name)


def watch(modules: Iterable[str]) -> None:
    """Note uses of these modules' names from now on, in jax and in portax."""
    for path in modules:
        for library in ("jax", "portax"):
            module = sys.modules.get(f"{library}.{path}" if path else library)
            if type(module) is types.ModuleType:
                module.__class__ = Watched
