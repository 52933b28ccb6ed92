"""What portax tells through Python's ``logging``, under the name ``portax``: only what a setting asked for,
and where a program is done in another way than its arrays lie."""

from __future__ import annotations

import logging
from collections.abc import Sequence

log = logging.getLogger("portax")

#: Operations listed in one line.
SHOWN = 5


def staged(name: str, seconds: float) -> None:
    """``log_compiles``: a function was traced."""
    log.warning("traced %s in %.4f s", name, seconds)


def compiled(name: str, device: object, seconds: float) -> None:
    """``log_compiles``: a program was compiled, or fetched from the cache on disk."""
    log.warning("compiled %s for %s in %.4f s", name, device, seconds)


def explained(words: str) -> None:
    """``explain_cache_misses``: why a function is traced."""
    log.warning("%s", words)


def transferred(direction: str, what: object) -> None:
    """``transfer_guard="log"``: an array went between host and device, or between devices."""
    log.warning("transfer from %s: %s", direction, what)


def joined(name: str, members: Sequence[object], what: Sequence[str]) -> None:
    """A program on devices that run programs one by one: operations that each of them does on whole arrays.

    Told once for each program, whatever the settings: nobody asked for them to be done so.
    """
    shown = "; ".join(what[:SHOWN])
    more = f"; and {len(what) - SHOWN} more" if len(what) > SHOWN else ""
    log.warning(
        "%s does on whole arrays, on each of %d devices: %s%s. The compiled program's as_text() shows all of it",
        name or "a program", len(members), shown, more,
    )  # fmt: skip
