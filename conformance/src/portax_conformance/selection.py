"""Which cases a quick run tries: the same for the same seed, some of every law and of every primitive."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Sequence

#: Cases of a quick run, and how many of each law are among them, whatever the draw.
QUICK, OF_EACH_LAW = 900, 8


def _rank(seed: int, id: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{id}".encode(), digest_size=8).digest()


def sampled(ids: Sequence[str], seed: int, count: int = QUICK) -> list[str]:
    """At most ``count`` of the ids, in their order.

    One of each family comes first, and a few of each law on each backend; the rest is drawn. Another seed draws others.
    """
    drawn = sorted(ids, key=lambda id: _rank(seed, id))
    chosen: dict[str, None] = {}
    families: set[str] = set()
    laws: collections.Counter[str] = collections.Counter()
    for id in drawn:
        family, law = id.partition("/")[0], id.rpartition("/")[2]
        if family not in families or laws[law] < OF_EACH_LAW:
            families.add(family)
            laws[law] += 1
            chosen[id] = None
    for id in drawn:
        if len(chosen) >= count:
            break
        chosen[id] = None
    kept = set(list(chosen)[:count])
    return [id for id in ids if id in kept]


def batches(ids: Sequence[str], workers: int, most: int = 64) -> list[list[str]]:
    """The ids in portions, each of neighbours, which share what they compile; small enough for all to end together."""
    size = max(1, min(most, len(ids) // (4 * workers) or 1))
    return [list(ids[i : i + size]) for i in range(0, len(ids), size)]
