"""Which backends are judged, and what they declare about themselves.

A driver's declarations stand in ``portax_gaps.toml``, beside its manifest: error budgets wider than the primitives'
own, and known gaps, each with a reason. A gap is strict: what passes in spite of it fails.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import tomllib
from collections.abc import Sequence
from typing import Any

from portax.errors import BackendError
from portax.runtime import plugins

FILE = "portax_gaps.toml"


class Declared:
    """What a driver declares.

    Attributes
    ----------
    budgets : dict of (primitive, dtype) to units in the last place
    gaps : list of (pattern of case ids, reason)
    """

    def __init__(self, table: dict[str, Any]) -> None:
        self.budgets: dict[tuple[str, str], float] = {}
        for row in table.get("budget", ()):
            for dtype in row["dtypes"]:
                self.budgets[row["primitive"], dtype] = float(row["ulps"])
                if not row.get("reason"):
                    raise ValueError(f"{FILE}: the budget of {row['primitive']} gives no reason")
        self.gaps: list[tuple[str, str]] = []
        for row in table.get("gap", ()):
            if not row.get("reason"):
                raise ValueError(f"{FILE}: the gap {row['case']} gives no reason")
            self.gaps.append((row["case"], row["reason"]))

    def gap(self, case: str) -> str | None:
        """The reason why a case is known to fail, if it is."""
        return next((reason for pattern, reason in self.gaps if fnmatch.fnmatchcase(case, pattern)), None)


def declared(name: str) -> Declared:
    """The declarations of an installed backend; none for one without the file."""
    plugin = plugins.installed().found.get(name)
    if plugin is None:
        return Declared({})
    top = plugin.target.partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(top)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        file = os.path.join(folder, FILE)
        if os.path.isfile(file):
            with open(file, "rb") as text:
                return Declared(tomllib.load(text))
    return Declared({})


def judged(names: Sequence[str] | None) -> list[str]:
    """The backends to judge: those named, or all that open on this machine."""
    if names:
        for name in names:
            plugins.installed().open(name)
        return list(names)
    found: list[str] = []
    for name in plugins.installed().names():
        try:
            if plugins.installed().open(name).devices():
                found.append(name)
        except BackendError:
            continue
    return found
