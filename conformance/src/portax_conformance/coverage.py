"""How much of JAX's documented API is there: ``python -m portax_conformance.coverage``.

``api.tsv`` holds the names and parameters that JAX 0.10.2 documents, as data. Each row is looked up in portax and its
parameters are compared: everything the documented signature accepts, by name and by position, must be accepted. What
is left out on purpose stands in ``differences.toml``, each with its reason; nothing else may be absent silently.
"""

from __future__ import annotations

import argparse
import collections
import csv
import dataclasses
import fnmatch
import importlib
import importlib.resources
import inspect
import json
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rich
from rich.table import Table

import portax
import portax.numpy as pnp

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

#: Owners in the table that have no public name: a class met as the type of a value, or a value.
UNNAMED: dict[str, Callable[[], Any]] = {
    "Array": lambda: type(pnp.zeros(2)),
    "Array.at[...]": lambda: type(pnp.zeros(2).at[0]),  # pyright: ignore[reportAttributeAccessIssue]
    "Device": lambda: portax.devices()[0],
    "custom_jvp": lambda: portax.custom_jvp(lambda x: x),
    "jit(f)": lambda: portax.jit(lambda x: x),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A documented name.

    Attributes
    ----------
    module : str
        Where it belongs, under ``portax``: a module, or a class of it.
    name : str
    kind : str
    parameters : str
        As in a signature, without annotations; ``=`` follows what has a default. Empty where none is documented.
    tier : "A" or "B"
        A: three libraries or more of the JAX ecosystem use it.
    """

    module: str
    name: str
    kind: str
    parameters: str
    tier: str

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}" if self.module else self.name


@dataclasses.dataclass(frozen=True)
class Found:
    """What portax has for a row: whether it is there, and what its signature would refuse."""

    row: Row
    present: bool
    refused: str
    reason: str

    @property
    def compatible(self) -> bool:
        return self.present and not self.refused


def table() -> list[Row]:
    """The documented names in scope."""
    text = importlib.resources.files("portax_conformance").joinpath("api.tsv").read_text("utf-8")
    return [Row(**r) for r in csv.DictReader(text.splitlines(), delimiter="\t")]


def reasons() -> list[tuple[list[str], str]]:
    """The rows of ``differences.toml``: patterns of paths, and the reason that is theirs."""
    text = importlib.resources.files("portax_conformance").joinpath("differences.toml").read_text("utf-8")
    return [(row.get("paths") or [row["path"]], row["reason"]) for row in tomllib.loads(text).get("difference", [])]


def differences() -> dict[str, str]:
    """Patterns of paths that portax leaves out or does otherwise on purpose, with the reason."""
    return {path: reason for paths, reason in reasons() for path in paths}


def owner(module: str) -> Any:
    """The module or class that a row's module names, or None where there is none."""
    if module in UNNAMED:
        return UNNAMED[module]()
    parts = module.split(".") if module else []
    for i in range(len(parts), -1, -1):
        try:
            found: Any = importlib.import_module(".".join(["portax", *parts[:i]]))
        except ModuleNotFoundError:
            continue
        for name in parts[i:]:
            found = getattr(found, name, None)
        return found
    return None


def look_up(row: Row, among: Any) -> Any:
    """What the row's name means there; ``MISSING`` where it means nothing."""
    if among is None:
        return MISSING
    found = inspect.getattr_static(among, row.name, MISSING) if isinstance(among, type) else MISSING
    if found is not MISSING:  # a descriptor of a class
        return found.fget if isinstance(found, property) else getattr(among, row.name, found)
    found = getattr(among, row.name, MISSING)
    if found is MISSING and inspect.ismodule(among):
        try:
            return importlib.import_module(f"{among.__name__}.{row.name}")
        except ModuleNotFoundError:
            return MISSING
    return found


MISSING = object()


def refused(parameters: str, signature: inspect.Signature) -> str:
    """The first thing a documented signature accepts and another does not; empty where there is none.

    A documented ``*args`` or ``**kwargs`` promises nothing that could be checked, and is passed over.
    """
    ours = list(signature.parameters.values())
    kinds = {p.kind for p in ours}
    anything = inspect.Parameter.VAR_POSITIONAL in kinds
    any_name = inspect.Parameter.VAR_KEYWORD in kinds
    positional = [p for p in ours if p.kind in POSITIONAL]
    named = {p.name: p for p in ours if p.kind in NAMED}
    documented = [] if parameters in ("", "()") else parameters.split(", ")
    only_by_position = documented.index("/") if "/" in documented else 0
    place, keyword, vague = 0, False, False
    asked: set[str] = set()
    for i, text in enumerate(documented):
        name, optional = text.rstrip("="), text.endswith("=")
        if text == "/" or name.startswith("_"):
            continue
        if text == "*":
            keyword = True
            continue
        if text.startswith("*"):
            keyword, vague = True, True
            continue
        ours_here: inspect.Parameter | None = None
        if not keyword:
            if place < len(positional):
                ours_here = positional[place]
                asked.add(ours_here.name)
            elif not anything:
                return f"{name} as argument {place + 1}"
            place += 1
        if keyword or i >= only_by_position:
            if name not in named and not any_name:
                return f"{name} by name"
            by_name = named.get(name)
            if by_name is not None:
                asked.add(name)
                if not keyword and ours_here is not None and by_name is not ours_here:
                    return f"{name} as argument {place}, where {ours_here.name} stands"
                ours_here = ours_here or by_name
        required = ours_here is not None and ours_here.default is inspect.Parameter.empty
        if optional and required and ours_here is not None:
            return f"a call without {name}"
    for p in () if vague else ours:
        if p.default is inspect.Parameter.empty and p.kind in (*POSITIONAL, *NAMED) and p.name not in asked:
            return f"a call without {p.name}"
    return ""


def find(row: Row, among: Any, reasons: dict[str, str]) -> Found:
    reason = next((why for pattern, why in reasons.items() if fnmatch.fnmatchcase(row.path, pattern)), "")
    found = look_up(row, among)
    if found is MISSING:
        return Found(row, False, "", reason)
    # Python itself calls the methods with underscores.
    if not row.parameters or not callable(found) or (row.name.startswith("__") and row.name != "__call__"):
        return Found(row, True, "", reason)
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return Found(row, True, "its signature cannot be read", reason)
    ours = list(signature.parameters.values())
    documented = row.parameters.removeprefix("self, ").removeprefix("self")
    if isinstance(among, type) and ours and (ours[0].name == "self" or documented != row.parameters):
        signature = signature.replace(parameters=ours[1:])  # a method is called on its object
    return Found(row, True, refused(documented, signature), reason)


def findings(rows: Sequence[Row]) -> Iterator[Found]:
    owners: dict[str, Any] = {}
    reasons = differences()
    for row in rows:
        if row.module not in owners:
            owners[row.module] = owner(row.module)
        yield find(row, owners[row.module], reasons)


def page() -> str:
    """The page about differences, ``docs/reference/differences.md``."""
    rows = "\n".join(f"| {', '.join(f'`{path}`' for path in paths)} | {reason} |" for paths, reason in reasons())
    return (
        "# Differences from JAX\n\n"
        "Names of JAX's documented API that portax leaves out, or gives other arguments, on purpose. A `*`\n"
        "stands for any letters. This page is made from `differences.toml` of portax-conformance, by\n"
        "`python -m portax_conformance.coverage --differences`.\n\n| names | why |\n|---|---|\n" + rows + "\n"
    )


def show(found: Sequence[Found], absent: bool) -> None:
    """Print the table, and under it what is absent or refuses."""
    by_module: dict[str, list[Found]] = collections.defaultdict(list)
    for f in found:
        by_module[f.row.module].append(f)
    page = Table(title="JAX's documented API in portax", title_justify="left")
    page.add_column("module")
    for heading in ("in scope", "present", "compatible", "left out on purpose"):
        page.add_column(heading, justify="right")

    def line(name: str, some: Sequence[Found]) -> None:
        counts = (
            len(some), sum(f.present for f in some), sum(f.compatible for f in some),
            sum(bool(f.reason) and not f.compatible for f in some),
        )  # fmt: skip
        page.add_row(name, *map(str, counts))

    for module, some in sorted(by_module.items()):
        line(f"portax.{module}" if module else "portax", some)
    page.add_section()
    line("all", found)
    rich.print(page)
    for module, some in sorted(by_module.items()) if absent else ():
        gone = [f.row.name for f in some if not f.present and not f.reason]
        refuses = [f"{f.row.name} ({f.refused})" for f in some if f.refused and not f.reason]
        if gone:
            print(f"\nabsent from {module or 'portax'}: {', '.join(gone)}")
        if refuses:
            print(f"\nrefuse in {module or 'portax'}: {', '.join(refuses)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the coverage; 1 where something is absent or incompatible without a stated reason."""
    parser = argparse.ArgumentParser(prog="python -m portax_conformance.coverage", description=main.__doc__)
    parser.add_argument("modules", nargs="*", help="only these, such as numpy or scipy.special; '.' is portax itself")
    parser.add_argument("--tier", choices=["A", "B"], help="only what many libraries use (A), or the rest (B)")
    parser.add_argument("--summary", action="store_true", help="no lists of what is absent")
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of a table")
    parser.add_argument("--differences", action="store_true", help="print the page about differences, and nothing else")
    asked = parser.parse_args(arguments)
    if asked.differences:
        print(page(), end="")
        return 0
    modules = ["" if m == "." else m.removeprefix("portax.") for m in asked.modules]
    rows = [r for r in table() if (not modules or r.module in modules) and asked.tier in (None, r.tier)]
    if not rows:
        parser.error(f"no documented name is in {', '.join(asked.modules)}")
    found = list(findings(rows))
    if asked.json:
        print(json.dumps([{**dataclasses.asdict(f), "compatible": f.compatible} for f in found]))
    else:
        show(found, not asked.summary)
    return int(any(not f.compatible and not f.reason for f in found))


if __name__ == "__main__":
    sys.exit(main())
