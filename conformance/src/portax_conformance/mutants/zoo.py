"""All mutants, by name.

A mutant is a primitive with a fault of its own meaning, or one of the faults that many kernels can have: those of work
for every kernel, those of numbers where a kernel takes or gives such numbers. ``zoo.txt`` keeps, of the latter, those
that were seen to differ from the right kernel (``python -m portax_conformance.mutants.zoo`` writes it anew): a
fault that nobody can notice is none. ``bugs.tsv`` says which mutants recreate bugs that were reported in public.
"""

from __future__ import annotations

import functools
import os
import sys
import zlib
from collections.abc import Callable, Iterator

import numpy as np

import portax as px
from portax.core import dtypes
from portax.core.primitive import Primitive, registry
from portax.runtime.eager import quietly
from portax_conformance import extremes, lengths, oracles
from portax_conformance.cases import ALL, Case, cases_of, dtypes_of
from portax_conformance.mutants import (
    algebra,
    arithmetic,
    calls,
    drivers,
    functions,
    moving,
    numbers,
    ordering,
    programs,
    randomness,
    summing,
    talks,
    work,
)
from portax_conformance.mutants.driver import right
from portax_conformance.mutants.fault import Arrays, Call, Fault, Mutant

FOLDER = os.path.dirname(__file__)
LIST, BUGS = (os.path.join(FOLDER, name) for name in ("zoo.txt", "bugs.tsv"))
#: Fewest of a quick run, and how many faults of work and of numbers it takes of each primitive.
QUICK_OF_EACH = 2
#: Primitives that are no kernels: what they do is done before a driver is asked, or by Python.
NO_KERNEL: dict[str, str] = {
    **dict.fromkeys(("saved", "custom_lin"), "it is gone before a program is compiled"),
    **dict.fromkeys(("axis_index", "pvary"), "it is a constant of each device's part of a program"),
    "check": "it has no results, and a compiled program does not raise",
    "platform_index": "it is a constant of a program that is compiled for one platform",
}
#: Of many rows at once another primitive is made: no program has a long result of these.
SHORT = (
    "cond", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call", "composite", "checkpoint", "shard_map",
    "sharding_constraint", "custom_linear_solve", "jit", "reduce", "reduce_window",
)  # fmt: skip
#: What nobody can tell from the correct driver, though bits may differ, and why: by names of primitives, and of faults.
SAME: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("iota",), ("stale-result", "result-in-used-memory"), "it gives the same each time"),
    (("threefry2x32",), ("long-cut-to-32-bits",), "its numbers have 32 bits"),
    (("scatter",), ("operand-lost",), "updates take the place of what was there"),
    (
        ("sign", "sqrt", "rsqrt", "cos", "acos", "cosh", "acosh"),
        ("denormals-flushed-out",),
        "no result is so small, and a part of a complex one counts on the scale of the whole",
    ),
    (("logistic", "acos"), ("denormals-flushed-in",), "near zero it is a half, or half of pi, but for a rounding"),
    (("householder_product",), ("twice-the-budget",), "its budget is on the scale of the greatest number"),
    (("eigh",), ("sign-of-zero-lost",), "an eigenvector is right up to a factor"),
    (("cond", "custom_vmap_call", "reduce"), ("empty-grid",), "of no rows another primitive is made"),
    (extremes.EITHER_ZERO, ("sign-of-zero-lost",), "of zeros of both signs, either is the greater"),
    (
        ("copy", "name", "stop_gradient", "random_clone", "optimization_barrier", "sharding_constraint"),
        ("operand-overwritten",),
        "what is written over the operand is the operand",
    ),
)
#: What devices tell each other, and what calls Python: their faults are the driver's.
TALKS = frozenset(name for name, _ in (*talks.TALKS, *calls.CALLS))


def meanings() -> dict[str, list[Fault]]:
    """The faults of single primitives."""
    found: dict[str, list[Fault]] = {}
    for module in (arithmetic, functions, ordering, moving, summing, algebra, programs, randomness):
        for name, faults in module.MEANINGS.items():
            for fault in faults:
                if all(fault.name != known.name for known in found.setdefault(name, [])):
                    found[name].append(fault)
    return found


def of_work(primitive: Primitive) -> tuple[Fault, ...]:
    """Those of work, which any kernel can have."""
    found = [*work.ANY, *(() if primitive.name in ("iota", "random_seed") else work.WITH_OPERANDS)]
    if primitive.name in SHORT:
        found = [f for f in found if f.name not in ("beyond-a-block", "index-of-8-bits")]
    return tuple(found)


def of_numbers(primitive: Primitive) -> tuple[Fault, ...]:
    """Those of numbers, where its dtypes can have them."""
    kinds = primitive.dtypes
    found: list[Fault] = []
    if "float" in kinds:
        found += [*numbers.FLOAT, *numbers.COMPUTED]
    if "int" in kinds or "uint" in kinds:
        found += numbers.WHOLE
    if "complex" in kinds:
        found += numbers.COMPLEX
    return (*found, *numbers.TRUTH)


@functools.lru_cache(maxsize=1)
def listed() -> frozenset[str]:
    """The mutants of numbers and meanings that differ, by the file."""
    with open(LIST, encoding="utf-8") as file:
        return frozenset(line.strip() for line in file if line.strip())


def candidates(primitive: Primitive) -> Iterator[tuple[str, Fault]]:
    """Names and faults of a primitive, before it is known whether they show."""
    if primitive.name in NO_KERNEL or primitive.name in TALKS:
        return
    taken = {f for names, faults, _ in SAME if primitive.name in names for f in faults}
    for fault in (*meanings().get(primitive.name, ()), *of_work(primitive), *of_numbers(primitive)):
        if fault.name not in taken:
            taken.add(fault.name)
            yield f"{primitive.name}.{fault.name}", fault


@functools.lru_cache(maxsize=1)
def zoo() -> dict[str, Mutant]:
    """Every mutant, by name, in the order of primitives."""
    found: dict[str, Mutant] = {}
    shown = listed()
    for primitive in registry:
        for name, fault in candidates(primitive):
            if name in shown:
                found[name] = Mutant(name, primitive.name, fault, (primitive.name,))
    for primitive, hooks in (*talks.TALKS, *calls.CALLS):
        name = f"{primitive}.{hooks.name}"
        found[name] = Mutant(name, primitive, hooks, hooks.families)
    for hooks in drivers.DRIVER:
        name = f"driver.{hooks.name}"
        found[name] = Mutant(name, "driver", hooks, hooks.families)
    return found


def quick() -> list[Mutant]:
    """A sample: all of the driver and of collectives, all that recreate public bugs, some of every primitive."""
    everything, public = zoo(), bugs()
    general = {
        f.name
        for f in (
            *work.ANY,
            *work.WITH_OPERANDS,
            *numbers.FLOAT,
            *numbers.COMPUTED,
            *numbers.WHOLE,
            *numbers.COMPLEX,
            *numbers.TRUTH,
        )
    }
    taken: dict[str, int] = {}
    chosen: set[str] = set()
    for name in sorted(everything, key=lambda n: zlib.crc32(n.encode())):
        mutant = everything[name]
        if mutant.family not in general or name in public:
            chosen.add(name)
        elif taken.setdefault(mutant.primitive, 0) < QUICK_OF_EACH:
            taken[mutant.primitive] += 1
            chosen.add(name)
    return [m for name, m in everything.items() if name in chosen]


@functools.lru_cache(maxsize=1)
def bugs() -> dict[str, list[tuple[str, str]]]:
    """``{mutant: [(where it was reported, title)]}``."""
    found: dict[str, list[tuple[str, str]]] = {}
    with open(BUGS, encoding="utf-8") as file:
        for line in file:
            name, where, title = line.rstrip("\n").split("\t")
            found.setdefault(name, []).append((where, title))
    return found


# -- whether a fault shows --------------------------------------------------------------------------------------------
def tried_on(primitive: Primitive, fault: Fault) -> Iterator[Case]:
    """Cases at the fault's dtypes, likely ones first; at others where it has none of them."""
    named = tuple([d for d in fault.dtypes if d in ALL])
    for some in (named, ALL) if not dtypes_of(primitive, named) else (named,):
        yield from extremes.cases(primitive, some)
        yield from cases_of(primitive, some)
        yield from lengths.cases(primitive, tuple([d for d in lengths.FULL if d in some]))
        yield from oracles.cases(primitive, tuple([d for d in oracles.FULL if d in some]))


@functools.lru_cache(maxsize=256)
def _expected(case: Case) -> Arrays:
    return right(case.primitive)([x.copy() for x in case.operands], case.params)


def differs(primitive: Primitive, fault: Fault, case: Case) -> bool:
    """Whether the faulty kernel gives other bits, or fails, where the right one gives a result."""
    kernel = right(primitive)
    expected = _expected(case)
    try:
        call = Call(primitive.name, [x.copy() for x in case.operands], case.params, kernel, {"late": []})
        got = quietly(fault.wrong, call)
    except (AssertionError, TypeError):
        raise
    except Exception:
        return True
    if len(got) != len(expected):
        return True
    return any(
        g.shape != e.shape or g.dtype != e.dtype or _bits(g) != _bits(e) for g, e in zip(got, expected, strict=True)
    )


def _bits(x: np.ndarray) -> bytes:
    if dtypes.is_inexact(x.dtype):  # which NaN it is, is nobody's business here
        x = np.where(np.isnan(x), np.asarray(np.nan).astype(x.dtype), x)
    return np.ascontiguousarray(x).tobytes()


def shows(primitive: Primitive, fault: Fault) -> bool:
    """Whether there is a case at which the fault differs from the right kernel."""
    if any(fault.name == f.name for f in (*work.ANY, *work.WITH_OPERANDS)):
        return True  # at a second call, other strides, a longer array: any kernel shows these
    return any(differs(primitive, fault, case) for case in tried_on(primitive, fault))


def seen(primitive: Primitive, fault: Fault, say: Callable[[str], object] = lambda words: None) -> bool:
    """The same; a fault that cannot be made in this primitive is none, and why is said."""
    try:
        return shows(primitive, fault)
    except Exception as error:
        say(f"{primitive.name}.{fault.name}: {type(error).__name__}: {error}\n")
        return False


def main() -> None:
    """Write ``zoo.txt`` anew."""
    kept: list[str] = []
    with px.enable_x64(True):
        for primitive in registry:
            for name, fault in candidates(primitive):
                if seen(primitive, fault, sys.stderr.write):
                    kept.append(name)
            with open(LIST, "w", encoding="utf-8") as file:
                file.write("\n".join(kept) + "\n")
    sys.stdout.write(f"{len(kept)} mutants of kernels\n")


if __name__ == "__main__":
    main()
