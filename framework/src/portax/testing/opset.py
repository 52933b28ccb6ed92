"""The opset as data: what a driver may rely on, written down so that no change goes unseen.

Everything here is read off the registry; a file made from it is checked in, and a test compares the two. Make it anew,
after thinking about versions, with ``python -m portax.testing.opset framework/opset/opset-1.json``.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from typing import Any

from portax.core.primitive import Primitive, registry
from portax.higher_order import constraint, shard_map

VERSION = 1

#: Rooms that load late, and bring primitives.
LATE = (constraint, shard_map)


def parameters(primitive: Primitive) -> list[str]:
    """The names of a primitive's static parameters, by the signature of its meaning and of its rules."""
    names: set[str] = set()
    for rule in (primitive.reference, type(primitive).shape, type(primitive).abstract, *(primitive.derivatives or ())):
        if not (inspect.isfunction(rule) or inspect.ismethod(rule)):
            continue  # one of NumPy's own functions, whose keywords are none of the primitive's business
        found = inspect.signature(rule).parameters.values()
        names |= {p.name for p in found if p.kind is p.KEYWORD_ONLY}
    return sorted(names)


def row(primitive: Primitive) -> dict[str, Any]:
    """One primitive's entry."""
    derived = primitive.decompose is not None and not primitive.required
    return {
        "version": primitive.version,
        "parameters": parameters(primitive),
        "kinds": list(primitive.dtypes),
        "multiple_results": primitive.multiple_results,
        "required": primitive.required,
        "derived": derived,
        "budget": {name: float(ulps) for name, ulps in sorted(primitive.budget.items())},
    }


def table() -> dict[str, Any]:
    """The whole opset."""
    rows = {p.name: row(p) for p in sorted(registry, key=lambda p: p.name)}
    return {"opset": VERSION, "primitives": rows}


def text() -> str:
    """The opset as the file holds it."""
    return json.dumps(table(), indent=1, sort_keys=True) + "\n"


def write(file: str) -> None:
    """Write the opset to ``file``, all of it or nothing."""
    temporary = f"{file}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as out:
        out.write(text())
    os.replace(temporary, file)


if __name__ == "__main__":
    write(sys.argv[1])
