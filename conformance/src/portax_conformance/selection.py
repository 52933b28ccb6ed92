"""Which cases a quick run tries: every law of every primitive once, at a sample and dtype that the seed draws.

Laws that compile the same program take the same case, and so compile it once. The same seed draws the same cases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

#: Laws for which the same program is compiled: they take the same case where they can.
SHARED = {"value": "program", "stablehlo": "program"}
#: Families of which all is tried: they are no primitive's, and quick.
WHOLE = ("open", "memory", "constant")


def rank(seed: int, words: str) -> bytes:
    """A number drawn for words from a seed, to sort by."""
    return hashlib.blake2b(f"{seed}/{words}".encode(), digest_size=8).digest()


def sampled(ids: Sequence[str], seed: int) -> list[str]:
    """Of the ids one of each law of each family, on each backend, in their order. Another seed draws others."""
    best: dict[tuple[str, str], tuple[bytes, str]] = {}
    kept: set[str] = set()
    for id in ids:
        name, law = id.rpartition("/")[0], id.rpartition("/")[2]
        family = id.partition("/")[0]
        if family in WHOLE:
            kept.add(id)
            continue
        plain, _, backend = law.partition(":")
        group = SHARED.get(plain, plain)
        drawn = rank(seed, f"{name.rpartition('/')[0]}/{group}:{backend}")
        known = best.get((family, law))
        if known is None or drawn < known[0]:
            best[family, law] = drawn, id
    kept.update(id for _, id in best.values())
    return [id for id in ids if id in kept]


def batches(ids: Sequence[str], workers: int, most: int = 64) -> list[list[str]]:
    """The ids in portions, each of neighbours, which share what they compile; small enough for all to end together."""
    size = max(1, min(most, len(ids) // (4 * workers) or 1))
    return [list(ids[i : i + size]) for i in range(0, len(ids), size)]
