"""Which primitives each public function is made of: those that its documented example asks for.

The example is run, operation by operation, and every primitive that is bound on the way is noted; what a transformation
or control flow does itself is the core's business, and left out. ``uses.tsv`` is made so, and checked in:
``python -m portax_conformance.uses conformance/src/portax_conformance/uses.tsv``.
"""

from __future__ import annotations

import contextlib
import csv
import doctest
import importlib.resources
import inspect
import io
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

import portax
import portax.lax as lax
import portax.numpy as pnp
from portax.core.primitive import Primitive, registry
from portax_conformance import coverage
from portax_conformance.report import write_text

FILE = "uses.tsv"


def functions() -> dict[str, Any]:
    """The public functions by their paths; one of several names for the same function."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    owners: dict[str, Any] = {}
    for row in coverage.table():
        if row.module not in owners:
            owners[row.module] = coverage.owner(row.module)
        one = coverage.look_up(row, owners[row.module])
        if inspect.ismodule(owners[row.module]) and inspect.isroutine(one) and id(one) not in seen:
            if not isinstance(one, Primitive):
                seen.add(id(one))
                found[row.path] = one
    return found


@contextlib.contextmanager
def noted() -> Iterator[set[str]]:
    """Names of the primitives that are bound meanwhile, in this thread or another."""
    names: set[str] = set()
    bind, call = Primitive.bind, Primitive.__call__

    def noting(self: Primitive, *operands: Any, **params: Any) -> Any:
        names.add(str(self.name))
        return bind(self, *operands, **params)

    Primitive.bind = Primitive.__call__ = noting
    try:
        yield names
    finally:
        Primitive.bind, Primitive.__call__ = bind, call


def used(function: Any) -> set[str] | None:
    """What the example of a function asks for; None where it has none that runs."""
    names = {**getattr(function, "__globals__", {}), "portax": portax, "pnp": pnp, "lax": lax, "np": np}
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(function) or "")
    if not examples:
        return None
    with noted() as found, portax.disable_jit(), contextlib.redirect_stdout(io.StringIO()):
        for example in examples:
            try:
                exec(compile(example.source, "<example>", "single"), names)
            except Exception:
                if example.exc_msg is None:
                    return None
    return {name for name in found if name in registry and is_written(registry[name])}


def is_written(primitive: Primitive) -> bool:
    """A driver may write it; the others are the core's own: calls, loops, branches, collectives, callbacks."""
    return primitive.required or primitive.decompose is not None


def made() -> str:
    """The table, from all the examples."""
    lines = ["function\tprimitives"]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for path, function in functions().items():
            found = used(function)
            if found:
                lines.append(f"{path}\t{' '.join(sorted(found))}")
    return "\n".join(lines) + "\n"


def table() -> dict[str, frozenset[str]]:
    """By public function the primitives that its example asks for, as checked in."""
    text = importlib.resources.files("portax_conformance").joinpath(FILE).read_text("utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {row["function"]: frozenset(row["primitives"].split()) for row in rows}


if __name__ == "__main__":
    write_text(sys.argv[1], made())
