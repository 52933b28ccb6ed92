"""Cases: every sample of every primitive, at every dtype it takes, under a stable name.

Nothing is listed here: a primitive's class states its samples and the kinds of dtype it takes, and a case is one of
them. Its name is ``primitive/sample/dtype``; its data are drawn from a generator seeded with the name, so a case is the
same in every run, on every machine, alone as in company, and whatever samples are added beside it.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.primitives.random_bits import StoredKeys
from portax.testing import opset  # noqa: F401, for the primitives that rooms which load late bring

#: The dtype under test of primitives that take random keys.
KEY = "key"
#: Everything portax computes in.
ALL = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128", KEY,
)  # fmt: skip
#: What a driver's bring-up runs.
BRING_UP = ("bool", "int32", "float32")
#: One dtype of each kind and width class: what a plain run of the tests tries.
QUICK = ("bool", "int32", "uint8", "float32", "bfloat16", "complex64", KEY)


#: Mixed into every draw; 0 stands for none, and gives every case the data that its name alone gives.
_seed = [0]


def generator(text: str) -> np.random.Generator:
    """Random numbers for one purpose, the same for the same words in a run with the same seed."""
    seed = _seed[0]
    return np.random.default_rng(zlib.crc32((f"{seed}/{text}" if seed else text).encode()))


def reseed(seed: int) -> bool:
    """Draw all data anew from another seed; whether it is another. What was drawn before is forgotten."""
    changed = seed != _seed[0]
    if changed:
        _seed[0] = seed
        drawn.cache_clear()
    return changed


class Case:
    """One sample of one primitive at one dtype.

    Attributes
    ----------
    id : str
        ``primitive/sample/dtype``.
    avals : list of Aval
    operands : list of numpy arrays
        In the storage dtype of their avals.
    params : dict
    many : bool
        It is no sample, but many numbers at once, to be compared with exact values.
    origin : str
        Where it comes from; empty for samples of the primitive's own, and for many numbers.
    """

    def __init__(
        self,
        primitive: Primitive,
        sample: Sample,
        dtype: str,
        id: str,
        number: int = 0,
        many: bool = False,
        origin: str = "",
    ) -> None:
        self.primitive, self.dtype, self.id, self.number, self.many = primitive, dtype, id, number, many
        self.origin = origin
        self.avals: list[Aval] = [aval_of(x).strip_weak_type() for x in sample.operands]
        self.operands = [_stored(x, a) for x, a in zip(sample.operands, self.avals, strict=True)]
        self.params = sample.params

    def results(self, out: Any) -> list[Any]:
        """What the primitive gave, as a list."""
        return list(out) if self.primitive.multiple_results else [out]

    @functools.cached_property
    def held(self) -> list[str]:
        """Names of the dtypes that a device must have for it: of operands, as they are stored, and of results.

        Keys among the results are left out: how they lie on a device is the driver's own.
        """
        outs = self.primitive.out_avals(tuple(self.avals), self.params)
        given = [getattr(a.dtype, "storage", a.dtype) for a in self.avals]
        return [d.name for d in (*given, *(a.dtype for a in outs if not dtypes.is_key(a.dtype)))]

    def again(self, name: str) -> list[np.ndarray]:
        """Other operands of the same avals: the sample, drawn from a seed of another name."""
        sample = drawn(self.primitive, self.dtype, name)[self.number][1]
        return [_stored(x, a) for x, a in zip(sample.operands, self.avals, strict=True)]

    def generator(self, name: str) -> np.random.Generator:
        """Random numbers of this case's own, for one purpose."""
        return generator(f"{self.id}/{name}")

    def __repr__(self) -> str:
        return self.id


def _stored(x: Any, aval: Aval) -> np.ndarray:
    return np.asarray(x, aval.dtype.storage if isinstance(aval.dtype, dtypes.KeyDtype) else aval.dtype)


class Maker:
    """``make(shape, low=, high=, dtype=)``: data from the range given, the same for the same seed."""

    def __init__(self, dtype: str, seed: str = "") -> None:
        self.dtype = dtype
        self.seed(seed)

    def seed(self, text: str) -> None:
        self._generator = generator(text)

    def __call__(self, shape: Sequence[int], low: float = -3.0, high: float = 3.0, dtype: Any = None) -> Any:
        draw, shape = self._generator, tuple(shape)
        dtype = self.dtype if dtype is None else dtype
        if dtype == KEY:
            # Few keys, so that equal ones meet.
            return np.asarray(draw.integers(1, 4, shape, np.uint64) << np.uint64(32)).view(StoredKeys)
        dtype = dtypes.user_dtype(dtype, "make")
        kind = dtypes.kind(dtype)
        if kind == "bool":
            return np.asarray(draw.random(shape) < 0.5)
        if kind in ("int", "uint"):
            least = max(int(np.ceil(low)), 0) if kind == "uint" else int(np.ceil(low))
            return np.asarray(draw.integers(least, max(int(high), least) + 1, shape)).astype(dtype)
        real = np.asarray(draw.uniform(low, high, shape))
        if kind == "complex":
            return (real + 1j * draw.uniform(low, high, shape)).astype(dtype)
        return real.astype(dtype)


def dtypes_of(primitive: Primitive, names: Sequence[str]) -> list[str]:
    """Those of ``names`` whose kind the primitive takes."""
    return [n for n in names if (n if n == KEY else dtypes.kind(dtypes.user_dtype(n, "cases"))) in primitive.dtypes]


@functools.lru_cache(maxsize=64)
def drawn(primitive: Primitive, dtype: str, name: str = "") -> list[tuple[str, Sample]]:
    """The samples of a primitive at a dtype, each under a label of its own and drawn from a seed of its own."""
    labels: list[str] = []
    for sample in primitive.samples(Maker(dtype)):
        label = sample.id or "plain"
        count = sum(known.partition("~")[0] == label for known in labels)
        labels.append(f"{label}~{count + 1}" if count else label)
    make = Maker(dtype)
    samples = iter(primitive.samples(make))
    found: list[tuple[str, Sample]] = []
    for label in labels:
        make.seed("/".join(filter(None, (primitive.name, label, dtype, name))))
        found.append((label, next(samples)))
    return found


def cases_of(primitive: Primitive, names: Sequence[str]) -> Iterator[Case]:
    """The cases of one primitive at the dtypes named."""
    for dtype in dtypes_of(primitive, names):
        for number, (label, sample) in enumerate(drawn(primitive, dtype)):
            yield Case(primitive, sample, dtype, f"{primitive.name}/{label}/{dtype}", number)


def cases(names: Sequence[str], only: Callable[[Primitive], bool] = lambda _: True) -> Iterator[Case]:
    """All cases at the dtypes named, of the primitives chosen."""
    for primitive in registry:
        if only(primitive):
            yield from cases_of(primitive, names)


def refusals_of(primitive: Primitive) -> Iterator[tuple[str, Primitive, Refusal]]:
    """The refusals of one primitive, each with its name, at the first dtype that the primitive takes."""
    for dtype in dtypes_of(primitive, ("float32", "int32", "bool", "complex64", "uint32", KEY))[:1]:
        for i, refusal in enumerate(primitive.refusals(Maker(dtype, f"{primitive.name}/refusals/{dtype}"))):
            yield f"{primitive.name}/refusal{i}/{dtype}", primitive, refusal


def refusals() -> Iterator[tuple[str, Primitive, Refusal]]:
    """All refusals, of all primitives."""
    for primitive in registry:
        yield from refusals_of(primitive)
