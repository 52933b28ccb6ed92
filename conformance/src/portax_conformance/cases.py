"""Cases: every sample of every primitive, at every dtype it takes, under a stable name.

Nothing is listed here: a primitive's class states its samples and the kinds of dtype it takes, and a case is one of
them. Its name is ``primitive/sample/dtype``; its data are drawn from a generator seeded with the name, so a case is the
same in every run, on every machine, and alone as in company.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import Primitive, Refusal, Sample, registry

#: What a driver's bring-up runs, and what the whole suite runs.
LEVELS = {
    "L0": ("bool", "int32", "float32"),
    "L1": (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
    ),
    "quick": ("bool", "int32", "uint8", "float32", "bfloat16", "complex64"),
    "derivatives": ("float64", "complex128"),
}  # fmt: skip


class Case:
    """One sample of one primitive at one dtype.

    Attributes
    ----------
    id : str
        ``primitive/sample/dtype``.
    operands : list of numpy arrays
    params : dict
    """

    def __init__(self, primitive: Primitive, sample: Sample, dtype: str, id: str) -> None:
        self.primitive, self.dtype, self.id = primitive, dtype, id
        self.operands = [np.asarray(x) for x in sample.operands]
        self.params = sample.params

    @property
    def avals(self) -> list[Aval]:
        return [Aval(x.shape, x.dtype) for x in self.operands]

    def results(self, out: Any) -> list[Any]:
        """What the primitive gave, as a list."""
        return list(out) if self.primitive.multiple_results else [out]

    def __repr__(self) -> str:
        return self.id


def maker(seed: str, dtype: str) -> Callable[..., np.ndarray]:
    """``make(shape, low=, high=, dtype=)``: data from the range given, the same for the same seed."""
    generator = np.random.default_rng(zlib.crc32(seed.encode()))

    def make(shape: Sequence[int], low: float = -3.0, high: float = 3.0, dtype: Any = dtype) -> np.ndarray:
        kind = np.dtype(dtypes.user_dtype(dtype, "make")) if not isinstance(dtype, np.dtype) else dtype
        name = dtypes.kind(kind)
        shape = tuple(shape)
        if name == "bool":
            return generator.random(shape) < 0.5
        if name in ("int", "uint"):
            least = max(int(np.ceil(low)), 0 if name == "uint" else int(np.ceil(low)))
            return generator.integers(least, max(int(high), least) + 1, shape).astype(kind)
        real = generator.uniform(low, high, shape)
        if name == "complex":
            return (real + 1j * generator.uniform(low, high, shape)).astype(kind)
        return real.astype(kind)

    return make


def dtypes_of(primitive: Primitive, names: Sequence[str]) -> list[str]:
    """Those of ``names`` whose kind the primitive takes."""
    return [n for n in names if dtypes.kind(dtypes.user_dtype(n, "cases")) in primitive.dtypes]


def cases(names: Sequence[str], only: Callable[[Primitive], bool] = lambda _: True) -> Iterator[Case]:
    """All cases at the dtypes named, of the primitives chosen."""
    for primitive in registry:
        if not only(primitive):
            continue
        for dtype in dtypes_of(primitive, names):
            seed = f"{primitive.name}/{dtype}"
            seen: dict[str, int] = {}
            for sample in primitive.samples(maker(seed, dtype)):
                label = sample.id or "plain"
                seen[label] = seen.get(label, 0) + 1
                unique = label if seen[label] == 1 else f"{label}{seen[label]}"
                yield Case(primitive, sample, dtype, f"{primitive.name}/{unique}/{dtype}")


def refusals() -> Iterator[tuple[str, Primitive, Refusal]]:
    """All refusals, each with its name."""
    for primitive in registry:
        found = dtypes_of(primitive, ("float32", "int32", "bool", "complex64"))
        if not found:
            continue
        for i, refusal in enumerate(primitive.refusals(maker(f"{primitive.name}/refusals", found[0]))):
            yield f"{primitive.name}/refusal{i}/{found[0]}", primitive, refusal
