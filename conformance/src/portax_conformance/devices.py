"""Which backends are judged, and what they declare about themselves.

A driver's declarations stand in ``portax_gaps.toml``, beside its manifest: error budgets wider than the primitives'
own, and known gaps, each with a reason::

    [[budget]]
    primitive = "exp"
    dtypes = ["float32"]
    ulps = 8
    reason = "the device's exp is good to 6 units"

    [[gap]]
    case = "sort/*/complex64/value"
    reason = "no complex numbers yet"
    link = "https://example.org/driver/issues/1"

A gap names cases as ``primitive/sample/dtype/law``, with ``*`` and ``?`` as in file names. Both are strict: a case that
passes in spite of its gap fails, and so does a budget wider than needed.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import tomllib
from collections.abc import Sequence
from typing import Any

from portax.errors import ArgumentError, BackendError
from portax.runtime import plugins

FILE = "portax_gaps.toml"
_NEEDED = {"budget": {"primitive", "dtypes", "ulps", "reason"}, "gap": {"case", "reason"}}
#: Where a gap of a driver is known: an issue, or the line of a library.
LINK = "link"


class Declared:
    """What a driver, or portax itself, declares.

    Attributes
    ----------
    budgets : dict of (primitive, dtype) to units in the last place
    gaps : list of (pattern of cases with their law, reason)
    links : dict of pattern to where the gap is known
    """

    def __init__(self, table: dict[str, Any], origin: str = FILE) -> None:
        for section, rows in table.items():
            for row in rows:
                needed = _NEEDED.get(section, set())
                given = set(row) - {LINK} if section == "gap" else set(row)
                if given != needed or not row["reason"].strip():
                    raise ArgumentError(
                        wrong=f"{origin} has [[{section}]] with {', '.join(sorted(row))}",
                        fix="Write [[budget]] with primitive, dtypes, ulps, reason or [[gap]] with case, reason, link",
                    )
        self.budgets = {
            (row["primitive"], dtype): float(row["ulps"]) for row in table.get("budget", ()) for dtype in row["dtypes"]
        }
        self.gaps: list[tuple[str, str]] = [(row["case"], row["reason"]) for row in table.get("gap", ())]
        self.links: dict[str, str] = {row["case"]: row[LINK] for row in table.get("gap", ()) if LINK in row}

    def gap(self, case: str) -> str | None:
        """The reason why a case is known to fail under a law, if it is."""
        return next((reason for pattern, reason in self.gaps if fnmatch.fnmatchcase(case, pattern)), None)


def read(file: str) -> Declared:
    """The declarations in a file."""
    with open(file, "rb") as text:
        return Declared(tomllib.load(text), os.path.basename(file))


def declared(name: str) -> Declared:
    """The declarations of an installed backend; none for one without the file."""
    plugin = plugins.installed().found.get(name)
    if plugin is None:
        return Declared({})
    spec = importlib.util.find_spec(plugin.target.partition(":")[0].partition(".")[0])
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        file = os.path.join(folder, FILE)
        if os.path.isfile(file):
            found = read(file)
            for pattern, _ in found.gaps:
                if not found.links.get(pattern, "").startswith(("https://", "http://")):
                    raise ArgumentError(
                        wrong=f"{FILE} of {name!r} has a gap {pattern!r} without a link",
                        fix="Write link = with the address of the issue, or of the line, where it is known",
                    )
            return found
    return Declared({})


#: What primitives themselves are known to lack, on every device.
KNOWN = read(os.path.join(os.path.dirname(__file__), "known_gaps.toml"))


def judged(names: Sequence[str]) -> list[str]:
    """The backends to judge: those named (``"a"`` or ``"a,b"``), or all that open on this machine."""
    wanted = list(dict.fromkeys(n.strip() for name in names for n in name.split(",") if n.strip()))
    for name in wanted:
        plugins.installed().open(name)
    if wanted:
        return wanted
    found: list[str] = []
    for name in plugins.installed().names():
        try:
            if plugins.installed().open(name).devices():
                found.append(name)
        except BackendError:
            continue  # `portax doctor` says why; to judge it all the same, name it
    return found
