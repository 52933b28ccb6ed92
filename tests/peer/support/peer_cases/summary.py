"""The table printed at the end of a run: how many cases each documented function had."""

from __future__ import annotations

import collections
from typing import Any

from peer_cases import counting
from portax_conformance.coverage import table

#: Modules whose functions take arrays and give arrays: of each one at least `counting.LEAST` cases are drawn.
NUMERIC = (
    "image", "lax", "lax.linalg", "nn", "nn.initializers", "numpy", "numpy.fft", "numpy.linalg", "ops", "random",
    "scipy.cluster.vq", "scipy.fft", "scipy.integrate", "scipy.linalg", "scipy.ndimage", "scipy.optimize",
    "scipy.signal", "scipy.sparse.linalg", "scipy.special",
)  # fmt: skip


def functions() -> list[str]:
    """Paths of the documented functions."""
    rows = [r for r in table() if r.kind in ("function", "ufunc") and not r.name.startswith("_")]
    return [r.path for r in rows]


def numeric(path: str) -> bool:
    module = path.rpartition(".")[0]
    return module in NUMERIC or module.startswith("scipy.stats")


def lines(paths: list[str] | None = None) -> list[str]:
    """The summary of a run."""
    paths = functions() if paths is None else paths
    drawn, by_tests = counting.DRAWN, counting.BY_TESTS
    modules: dict[str, list[str]] = collections.defaultdict(list)
    for p in paths:
        modules[p.rpartition(".")[0]].append(p)
    head = f"{'module':34}{'functions':>10}{'drawn cases':>13}{'in tests':>10}{'fewest':>8}{'under 40':>10}{'none':>6}"
    out = [head]

    def cases(p: str) -> int:
        return drawn[p] + by_tests[p]

    def line(name: str, some: list[str]) -> str:
        counts: list[Any] = [len(some), sum(drawn[p] for p in some), sum(by_tests[p] for p in some)]
        counts += [min(map(cases, some)), sum(cases(p) < counting.LEAST for p in some), sum(not cases(p) for p in some)]
        return f"{name:34}" + "".join(f"{c:>{w}}" for c, w in zip(counts, (10, 13, 10, 8, 10, 6), strict=True))

    for module, some in sorted(modules.items()):
        out.append(line(f"jax.{module}" if module else "jax", some))
    out.append(line("all", paths))
    few = sorted((p for p in paths if numeric(p) and 0 < cases(p) < counting.LEAST), key=cases)
    out.append(f"fewest of arrays: {', '.join(f'{p} {cases(p)}' for p in few) or 'none has fewer than 40'}")
    none = [p for p in paths if not cases(p)]
    if 2 * len(none) > len(paths):  # a run of some tests only
        return out
    out.append(f"none, of arrays: {', '.join(p for p in none if numeric(p)) or 'no function'}")
    out.append(f"none, of other things: {', '.join(p for p in none if not numeric(p)) or 'no function'}")
    return out
