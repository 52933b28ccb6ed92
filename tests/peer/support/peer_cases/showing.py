"""Which known differences showed themselves in a run.

A row of ``differences.toml`` marked ``rare`` shows itself with some cases of its functions and not with others, so one
test cannot say that it has gone. The run can: once all its functions' tables were compared, in both widths, a row that
no case showed is known no longer, and the run fails until it is taken out.

What a test saw travels with its report, as `counting`'s cases do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from peer_cases import known, tables

#: What a report calls what its test saw.
PROPERTY = "known differences beside jax"

#: Of the run so far: keys of rows that showed themselves, and tables' rows that were compared, by id and width.
SHOWN: set[str] = set()
COMPARED: set[tuple[str, bool]] = set()

_shown: set[str] = set()  # of the test that runs
_compared: set[tuple[str, bool]] = set()


def key(row: known.Known) -> str:
    return f"{row.function} {row.what}"


def note(table_row: str, x64: bool, shown: Iterable[known.Known]) -> None:
    """A table's row was compared, and these rows of the file were seen."""
    _compared.add((table_row, x64))
    _shown.update(map(key, shown))


def take() -> tuple[str, list[Any]]:
    """What the test that ran saw, as its report carries it; it is forgotten."""
    found = PROPERTY, [sorted(_shown), sorted(_compared)]
    _shown.clear()
    _compared.clear()
    return found


def receive(properties: Iterable[tuple[str, Any]]) -> None:
    """Note what a report brought."""
    for name, value in properties:
        if name == PROPERTY:
            shown, compared = value
            SHOWN.update(shown)
            COMPARED.update((i, bool(x64)) for i, x64 in compared)


def gone() -> list[known.Known]:
    """Rare rows that no case showed, though every case that could was compared."""
    if not COMPARED:
        return []
    asked = [k for k in known.rows() if k.rare and k.now() and key(k) not in SHOWN]
    ids = {r.id for r in tables.all_rows()} if asked else set()

    def whole(row: known.Known) -> bool:
        return all((i, x64) in COMPARED for i in ids if known.is_about(row, i) for x64 in (False, True))

    return [k for k in asked if whole(k)]


def lines() -> list[str]:
    """What the end of a run says of them."""
    return [f"no case showed it, so its row can go: {k.function}: {k.what!r} ({k.reason})" for k in gone()]
