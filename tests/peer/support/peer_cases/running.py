"""The cases of a row, run in either library: many signatures are one compiled program, which runs once for each style.

Of a signature comes a flat list of leaves, or the exception by which it was refused. The same program holds the
derivatives, so that compiling, which is what takes the time, happens once or twice for a row.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

import portax
from peer_cases.rows import Signature
from portax.core.config import override

#: What asks jax for values that a tracer has not.
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError, jax.errors.NonConcreteBooleanIndexError,
)  # fmt: skip

#: Quick to compile; none of it changes what a program means.
QUICKLY: dict[str, Any] = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}

#: The styles at which derivatives are compared: smooth points, and points with ties and kinks.
AT = ("smooth", "ties")


@contextlib.contextmanager
def width(x64: bool) -> Iterator[None]:
    """Both libraries with 64-bit types, or without, and without their warnings."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), jax.enable_x64(x64), override("enable_x64", x64):
        warnings.simplefilter("ignore")
        yield


@dataclasses.dataclass
class Leaf:
    """A part of a result: its value and type."""

    value: Any
    dtype: str
    shape: tuple[int, ...]
    weak: bool


@dataclasses.dataclass
class Result:
    """What a signature gives at one style: its parts and how they are arranged."""

    leaves: list[Leaf]
    structure: str


def is_array(lib: Any, x: Any) -> bool:
    return isinstance(x, lib.Array)


def flat(lib: Any, out: Any) -> tuple[list[Any], str]:
    leaves, tree = jax.tree.flatten(out, is_leaf=lambda x: isinstance(x, (portax.Array, jax.Array)))
    # Named tuples are named by each library as it likes.
    return leaves, re.sub(r"\w+\(", "(", str(jax.tree.unflatten(tree, ["*"] * len(leaves))))


def as_leaf(lib: Any, x: Any) -> Leaf:
    if is_array(lib, x):
        value = x
        if "key" in str(x.dtype):
            value = lib.random.key_data(x)
        return Leaf(np.asarray(value), str(x.dtype), tuple(x.shape), bool(getattr(x, "weak_type", False)))
    if isinstance(x, (np.ndarray, np.generic)):
        return Leaf(np.asarray(x), str(x.dtype), x.shape, False)
    return Leaf(x, type(x).__name__, (), False)


def moving(signature: Signature) -> list[int]:
    """The places of operands along which derivatives are taken."""
    wide = ("float64", "complex128") if signature.x64 else ("float32", "complex64")
    return [i for i, o in enumerate(signature.operands) if o.moves and o.dtype.name in wide]


def directions(signature: Signature, style: str) -> list[np.ndarray]:
    rng = np.random.default_rng(signature.index + 17)
    # Some functions take only certain matrices; a direction among them is the difference of two.
    out = []
    for o in (signature.operands[i] for i in moving(signature)):
        out.append(np.array((o.fill(rng, "smooth") - o.fill(rng, "smooth")).astype(o.dtype)).reshape(o.shape))
    return out


def derivatives(lib: Any, signature: Signature, arrays: Sequence[Any], dots: Sequence[Any]) -> list[Any]:
    """Tangents along ``dots``, cotangents back from ones, and the change of those along ``dots``."""
    places = moving(signature)

    def f(*xs: Any) -> list[Any]:
        full = list(arrays)
        for i, x in zip(places, xs, strict=True):
            full[i] = x
        leaves, _ = flat(lib, signature.run(lib, full))
        return [o for o in leaves if is_array(lib, o) and np.dtype(o.dtype).kind in "fc"]

    def back(*xs: Any) -> tuple[Any, ...]:
        outs, pull = lib.vjp(f, *xs)
        jnp = lib.numpy
        return pull([jnp.asarray((np.arange(o.size).reshape(o.shape) % 3 + 1).astype(np.dtype(o.dtype))) for o in outs])

    xs = [arrays[i] for i in places]
    _, forward = lib.jvp(f, tuple(xs), tuple(dots))
    if not signature.row.second:
        return [list(forward), list(back(*xs))]
    reverse, second = lib.jvp(back, tuple(xs), tuple(dots))
    return [list(forward), list(reverse), list(second)]


@dataclasses.dataclass
class Job:
    """One thing a program computes: a signature's result, or its derivatives."""

    signature: Signature
    derived: bool

    def inputs(self, style: str) -> list[np.ndarray]:
        xs = self.signature.values(style)
        return [*xs, *directions(self.signature, style)] if self.derived else xs

    def run(self, lib: Any, arrays: Sequence[Any]) -> Any:
        if not self.derived:
            return self.signature.run(lib, arrays)
        n = len(self.signature.operands)
        return derivatives(lib, self.signature, arrays[:n], arrays[n:])


Outcome = dict[str, Result] | Exception  # by style, or how it was refused


def at_once(lib: Any, job: Job, styles: Sequence[str]) -> Outcome:
    """A job's results, each operation run as it comes."""
    found: dict[str, Result] = {}
    for style in styles:
        try:
            out = job.run(lib, [lib.numpy.asarray(x) for x in job.inputs(style)])
        except Exception as error:
            return error
        leaves, structure = flat(lib, out)
        found[style] = Result([as_leaf(lib, x) for x in leaves], structure)
    return found


def compiled(lib: Any, jobs: Sequence[Job], styles: dict[int, Sequence[str]]) -> list[Outcome]:
    """Results of all jobs, compiled as one program; where that fails, as two halves."""
    refused: dict[int, Exception] = {}
    needs_values: set[int] = set()
    known: dict[int, tuple[list[Any], str]] = {}

    def program(inputs: list[list[Any]]) -> list[list[Any]]:
        outs: list[list[Any]] = []
        for i, (job, arrays) in enumerate(zip(jobs, inputs, strict=True)):
            mine: list[Any] = []
            try:
                leaves, structure = flat(lib, job.run(lib, arrays))
                mine = [x for x in leaves if is_array(lib, x)]
                known[i] = ([None if is_array(lib, x) else as_leaf(lib, x) for x in leaves], structure)
            except NEEDS_VALUES:
                needs_values.add(i)
            except Exception as error:
                refused[i] = error
            outs.append(mine)
        return outs

    options: dict[str, Any] = {"compiler_options": QUICKLY} if lib is jax else {"effort": "fast"}
    run = lib.jit(program, **options)
    found: list[Outcome] = [{} for _ in jobs]
    try:
        for style in dict.fromkeys(s for i in range(len(jobs)) for s in styles[i]):
            # A job is filled in its own styles alone; elsewhere it has its first filling again.
            inputs = [j.inputs(style if style in styles[i] else styles[i][0]) for i, j in enumerate(jobs)]
            outs = run(inputs)
            for i, mine in enumerate(outs):
                got = found[i]
                if i in known and style in styles[i] and isinstance(got, dict):
                    given = iter(mine)
                    parts, structure = known[i]
                    got[style] = Result([as_leaf(lib, next(given)) if p is None else p for p in parts], structure)
    except Exception as error:
        if len(jobs) == 1:
            return [error]
        half = len(jobs) // 2
        first = compiled(lib, jobs[:half], styles)
        return first + compiled(lib, jobs[half:], {i - half: s for i, s in styles.items() if i >= half})
    for i, error in refused.items():
        found[i] = error
    for i in needs_values:
        found[i] = at_once(lib, jobs[i], styles[i]) if lib is jax else NotImplementedError("needs values")
    return found


def looped(signature: Signature, results: dict[str, Result]) -> tuple[list[Leaf], list[Leaf]] | None:
    """What ``vmap`` gives for a stack of the styles, and the stack of what each gave; None where that has no batch."""
    if not signature.operands:
        return None
    rows = [signature.values(s) for s in results]
    stacked = [np.stack(x) for x in zip(*rows, strict=True)]

    def f(*xs: Any) -> list[Any]:
        return [x for x in flat(portax, signature.run(portax, xs))[0] if is_array(portax, x)]

    many = portax.vmap(f)(*map(portax.numpy.asarray, stacked))
    alone = [[leaf for leaf in r.leaves if isinstance(leaf.value, np.ndarray)] for r in results.values()]
    wanted = [
        Leaf(np.stack([leaf.value for leaf in col]), col[0].dtype, (len(rows), *col[0].shape), col[0].weak)
        for col in zip(*alone, strict=True)
    ]
    return [as_leaf(portax, x) for x in many], wanted
