"""What became of mutants, as a page: figures first, then families, primitives, public bugs, and survivors."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import Any

from portax_conformance.mutants.zoo import bugs

HEAD = """# Mutants: the suite's own test

A conformance suite is as good as the bugs it finds. So it is tried on drivers that are wrong on purpose: a correct
driver, made of the primitives' NumPy meanings, with one plausible bug in one place. There are two kinds:

- a *kernel* is wrong: the sign of zero is lost, NaN is dropped, halves are rounded up, the last tile is not written, a
  sort is not stable, a count of bits to shift by is taken modulo the width, a loop runs one turn short;
- the *driver* around its kernels is wrong: a buffer is read before it is written, donated memory is used too early, a
  transfer forgets strides, an error is swallowed, a collective misses a device.

A mutant is killed when a case of the suite fails on it that the correct driver passes. That proves the mutant differs
from the correct driver, too: none is counted that nobody could tell apart. Faults of numbers and of meaning are taken
into the zoo only where they were seen to change a result.

```console
$ portax-conformance mutants --quick             # a sample of every primitive: at least 99 % must be killed
$ portax-conformance mutants --full              # every mutant: all must be killed
$ portax-conformance mutants --only 'sort.*'     # those of one primitive
$ portax-conformance mutants --report DIR        # mutants.json, this page, and mutants.tsv: what killed each
```

How a mutant is written, and how to add one, stands in `portax_conformance.mutants`: a row with a name, words, a
function that is given the call of a kernel, and the laws and dtypes at which it is likely to show.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """A table of Markdown."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(x).replace("|", "\\|") for x in row) + " |"


def page(content: dict[str, Any]) -> str:
    """The whole page."""
    return "\n".join(_lines(content)) + "\n"


def _lines(content: dict[str, Any]) -> Iterator[str]:
    yield HEAD
    yield "## Figures\n"
    yield (
        f"{content['killed']} of {content['count']} mutants are killed ({100 * content['share']:.2f} %), of "
        f"{len(content['primitives'])} primitives (the driver counts as one). {content['public']} of them recreate "
        f"bugs that were reported in public. It was a {content['effort']} run.\n"
    )
    yield "### By the law that killed\n"
    yield from table(("law", "mutants"), list(content["laws"].items()))
    yield "\n### By fault\n"
    families: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    words: dict[str, str] = {}
    for row in content["mutants"]:
        family = row["mutant"].partition(".")[2]
        families[family][0] += row["killed"]
        families[family][1] += 1
        words.setdefault(family, row["fault"])
    often = sorted(families.items(), key=lambda pair: (-pair[1][1], pair[0]))
    shared = [(name, words[name], f"{k} of {n}") for name, (k, n) in often if n >= 5]
    yield from table(("fault", "what goes wrong", "killed"), shared)
    yield f"\nAnd {len(often) - len(shared)} faults that fewer than five primitives have.\n"
    yield "### By primitive\n"
    yield from table(
        ("primitive", "killed"), [(f"`{name}`", f"{k} of {n}") for name, (k, n) in content["primitives"].items()]
    )
    yield "\n## Bugs that were reported in public\n"
    yield "Each of these was found in a published library, and a driver with the like is caught.\n"
    known = bugs()
    rows = [
        (f"`{row['mutant']}`", row["fault"], f"{where}: {title}", "yes" if row["killed"] else "no")
        for row in content["mutants"]
        for where, title in known.get(row["mutant"], [])
    ]
    yield from table(("mutant", "what goes wrong", "reported", "killed"), rows)
    survivors = [row for row in content["mutants"] if not row["killed"]]
    yield "\n## Survivors\n"
    if survivors:
        rows = [(f"`{r['mutant']}`", r["fault"], r["words"]) for r in survivors]
        yield from table(("mutant", "what goes wrong", "why it survives"), rows)
    else:
        yield "None."
