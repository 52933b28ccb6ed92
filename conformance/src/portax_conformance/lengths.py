"""Lengths around the sizes of blocks: what small samples never reach.

A kernel works in blocks and tiles, and is wrong at the seam: the last element of a length that is no multiple, the
first beyond one block, the second level of a reduction. So primitives that go along an axis are tried on long ones.
The numbers are small and whole: what is added up is exact in every dtype, and an order of adding makes no difference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import Primitive, Sample
from portax.primitives.elementwise import Elementwise
from portax_conformance import extremes
from portax_conformance.cases import KEY, Case, drawn, dtypes_of, generator

#: Of cases made here, and of the law that is tried on them.
LONG = "long"
#: One under a power of two, one over, and more than most blocks hold.
LENGTHS = (255, 257, 1025)
#: Dtypes of a whole run.
FULL = ("bool", "int32", "uint8", "uint32", "float32", "bfloat16", "float16", "complex64")
I32 = np.dtype(np.int32)

Make = Callable[[tuple[int, ...]], np.ndarray]


def _along(**params: Any) -> Callable[[Make, int], Iterator[Sample]]:
    def samples(make: Make, n: int) -> Iterator[Sample]:
        yield Sample(make((n, 2)), axis=0, **params, id=f"rows-{n}")
        yield Sample(make((2, n)), axis=1, **params, id=f"columns-{n}")

    return samples


def _cumulative(make: Make, n: int) -> Iterator[Sample]:
    yield from _along(reverse=False)(make, n)
    yield Sample(make((n,)), axis=0, reverse=True, id=f"reverse-{n}")


def _reduction(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n, 2)), axes=(0,), id=f"rows-{n}")
    yield Sample(make((2, n)), axes=(1,), id=f"columns-{n}")
    yield Sample(np.ones((n,), make(()).dtype), axes=(0,), id=f"ones-{n}")


def _search(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((2, n)), axes=(1,), index_dtype=I32, id=f"columns-{n}")
    yield Sample(make((n, 2)), axes=(0,), index_dtype=I32, id=f"rows-{n}")


def _sort(make: Make, n: int) -> Iterator[Sample]:
    places = np.arange(n, dtype=np.int32)
    yield Sample(make((n,)), places, dimension=0, is_stable=True, num_keys=1, id=f"carried-{n}")


def _top_k(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((2, n)), k=9, axis=1, id=f"last-{n}")


def _ends(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n,)), make(()), padding_config=((3, 2, 1),), id=f"between-{n}")


def _slice(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n,)), start_indices=(1,), limit_indices=(n,), strides=(2,), id=f"strides-{n}")


def _turned(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n, 3)), permutation=(1, 0), id=f"turned-{n}")


def _backwards(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n, 2)), dimensions=(0,), id=f"rows-{n}")


def _joined(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n,)), make((3,)), make((n + 1,)), dimension=0, id=f"three-{n}")


def _parted(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n,)), sizes=(n - 3, 3), axis=0, id=f"uneven-{n}")


def _spread(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n,)), shape=(n, 3), broadcast_dimensions=(0,), sharding=None, id=f"rows-{n}")


def _shaped(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n, 4)), new_sizes=(2 * n, 2), dimensions=None, sharding=None, id=f"rows-{n}")


def _taken(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n,)), np.array(n - 4, np.int32), slice_sizes=(3,), id=f"end-{n}")


def _put(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(make((n,)), make((3,)), np.array(n - 4, np.int32), id=f"end-{n}")


def _counted(make: Make, n: int) -> Iterator[Sample]:
    yield Sample(dtype=make(()).dtype, shape=(n,), dimension=0, sharding=None, id=f"vector-{n}")


#: By primitive; elementwise ones are tried without being listed.
SAMPLES: dict[str, Callable[[Make, int], Iterator[Sample]]] = {
    **dict.fromkeys(("cumsum", "cummax", "cummin"), _cumulative),
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_xor"), _reduction),
    **dict.fromkeys(("argmax", "argmin"), _search),
    "sort": _sort, "top_k": _top_k, "pad": _ends, "slice": _slice, "transpose": _turned, "rev": _backwards,
    "iota": _counted, "concatenate": _joined, "split": _parted, "dynamic_slice": _taken, "dynamic_update_slice": _put,
}  # fmt: skip


def _maker(dtype: Any, name: str) -> Make:
    draw = generator(name)

    def make(shape: tuple[int, ...]) -> np.ndarray:
        if dtypes.kind(dtype) == "bool":
            return np.asarray(draw.random(shape) < 0.5)
        least = 0 if dtypes.kind(dtype) == "uint" else -4
        x = draw.integers(least, 5, shape).astype(np.float64)
        return np.asarray(x + 1j * draw.integers(-4, 5, shape) if dtypes.is_complex(dtype) else x).astype(dtype)

    return make


def _elementwise(primitive: Elementwise, dtype: str) -> Iterator[tuple[str, Sample]]:
    """Its first sample, over and over: what is right at a few numbers is right at many."""
    named = dict(reversed(drawn(primitive, dtype)))
    sample = named.get("vector", named.get("vector-0"))
    if sample is None or any(np.shape(x) != (5,) for x in sample.operands):
        return
    for n in LENGTHS:
        given = [np.resize(x, (n,)) for x in sample.operands]
        if primitive.name in extremes.TESTS:
            given = [np.resize(extremes.numbers(x.dtype), (n,))[::-1].copy() for x in sample.operands]
            given[0][-1] = np.nan
        yield f"long-{n}", Sample(*given, **sample.params)


def _bits(primitive: Primitive, dtype: str) -> Iterator[tuple[str, Sample]]:
    """Its first sample, asked for many numbers."""
    (_, sample), *_ = drawn(primitive, dtype)
    for n in LENGTHS:
        yield f"long-{n}", Sample(*sample.operands, **{**sample.params, "shape": (n,)})


@functools.lru_cache(maxsize=512)
def cases(primitive: Primitive, names: tuple[str, ...] = FULL) -> list[Case]:
    """``primitive/long-.../dtype``."""
    made: list[Case] = []
    for dtype in dtypes_of(primitive, names):
        if dtype == KEY:
            continue
        found: list[tuple[str, Sample]] = []
        if primitive.name in SAMPLES:
            real = dtypes.user_dtype(dtype, "lengths")
            for n in LENGTHS:
                make = _maker(real, f"{primitive.name}/long-{n}/{dtype}")
                found += [(f"long-{s.id}", s) for s in SAMPLES[primitive.name](make, n)]
        elif primitive.name == "rng_bit_generator":
            found += _bits(primitive, dtype)
        elif isinstance(primitive, Elementwise):
            found += _elementwise(primitive, dtype)
        made += [Case(primitive, s, dtype, f"{primitive.name}/{label}/{dtype}", origin=LONG) for label, s in found]
    return made
