"""What portax tells through Python's ``logging``, under the name ``portax``: only what a setting asked for."""

from __future__ import annotations

import logging

log = logging.getLogger("portax")


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


def joined(name: str, members: object, what: object) -> None:
    """A program on devices that run programs one by one: operations that each of them does on whole arrays."""
    log.warning(
        "%s runs on %s, and these operations on whole arrays on each of them: %s", name or "a program", members, what
    )
