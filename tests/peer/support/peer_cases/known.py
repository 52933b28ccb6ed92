"""Differences from jax that are known: rows of ``tests/peer/differences.toml``, each with its reason.

A row with ``what`` is about drawn cases of a function, a row with ``test`` about a test, which is expected to fail:
both are strict, and what no longer differs fails until its row is taken out. A row with ``held_by`` is about what a
file of tests holds to by itself.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import tomllib
from pathlib import Path

import jax

FILE = Path(__file__).parents[2] / "differences.toml"


@dataclasses.dataclass(frozen=True)
class Known:
    """A row of the file.

    Attributes
    ----------
    function : str
        Patterns of paths below ``jax``, separated by spaces.
    test : str
        The id of a test, from ``tests/peer`` on.
    what : str
        What the report of the difference has in it.
    held_by : str
        A file of ``tests/peer``.
    reason : str
        For users: what differs and why.
    jax : str
        The first and last release of jax it was seen with, as ``"0.10"`` or ``"0.10-0.12"``; empty is any.
    rare : bool
        Whether it need not show itself in each part of a row's cases; in a whole run it must (`showing`).
    """

    reason: str
    function: str = ""
    test: str = ""
    what: str = ""
    held_by: str = ""
    jax: str = ""
    rare: bool = False

    def now(self) -> bool:
        """Whether the row is about the jax that is installed."""
        if not self.jax:
            return True
        first, _, last = self.jax.partition("-")
        here = tuple(int(n) for n in jax.__version__.split(".")[:2])
        low, high = (tuple(int(n) for n in v.split(".")) for v in (first, last or first))
        return low <= here <= high


@functools.cache
def rows() -> tuple[Known, ...]:
    found = tomllib.loads(FILE.read_text("utf-8"))["difference"]
    return tuple(Known(**row) for row in found)


def of_function(path: str) -> list[Known]:
    """The rows about a function's drawn cases."""
    return [k for k in rows() if k.what and k.now() and is_about(k, path)]


def is_about(row: Known, path: str) -> bool:
    """Whether a row is about a function."""
    return any(fnmatch.fnmatchcase(path, p) for p in row.function.split())


def of_test(node: str) -> list[Known]:
    """The rows about a test."""
    return [k for k in rows() if k.test and k.now() and node == k.test]


def page() -> str:
    """The page for users, ``docs/reference/values.md``."""
    by_reason: dict[str, list[str]] = {}
    for k in rows():
        names = by_reason.setdefault(k.reason, [])
        names += [n for n in k.function.split() if n not in names]
    lines = [
        f"| {'any' if names == ['*'] else ', '.join(f'`{n}`' for n in names)} | {reason} |"
        for reason, names in by_reason.items()
    ]
    return (
        "# Values that differ from JAX\n\n"
        "What gives another value, dtype, weak type or refusal than real JAX for the same call. The tests against\n"
        "JAX hold to this list: what differs and is not here fails, and so does what is here and differs no longer.\n"
        "Names that are left out altogether are on the page of [differences](differences.md). This page is made from\n"
        "`tests/peer/differences.toml`.\n\n| function | what differs, and why |\n|---|---|\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    print(page(), end="")
