"""The random bit generators that StableHLO names: Philox and Threefry over a state that is handed on.

A state is a key of 64 bits and a counter of 64 bits. Each block of bits is a hash of the counter under the key, and the
new state's counter is beyond the blocks that were made. Philox counts in 128 bits: above the counter stands the key.
StableHLO leaves the order of the bits open; here it is XLA's on the CPU, so the bits are JAX's there, and the same on
every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError
from portax.primitives.arithmetic import add, mul
from portax.primitives.bits import and_, mulhi, or_, shift_left, xor
from portax.primitives.broadcasting import broadcast_in_dim, broadcast_to, reshape
from portax.primitives.comparison import eq, lt
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.elementwise import like
from portax.primitives.iota import iota
from portax.primitives.slicing import concatenate, part
from portax.primitives.threefry import U32, U64, UNSIGNED, WORD, hash_words, threefry2x32

ALGORITHMS = ("RNG_DEFAULT", "RNG_THREE_FRY", "RNG_PHILOX")
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85


def _layout(shape: Sequence[int], words: int, algorithm: str) -> tuple[tuple[int, ...], int, int]:
    """``(places, axis, blocks)``: how many blocks there are, and where the words of a block stand.

    Philox fills the array in order, four words to a block. A Threefry block's two words are neighbours along the first
    axis of even length, or along the longest, if no length is even.
    """
    if algorithm != "RNG_THREE_FRY":
        blocks = -(-math.prod(shape) * words // 4)
        return (blocks,), 0, blocks
    if words == 2 or not shape:
        return tuple(shape), 0, math.prod(shape)
    even = [a for a, n in enumerate(shape) if n % 2 == 0]
    axis = even[0] if even else max(range(len(shape)), key=lambda a: shape[a])
    places = tuple((n + 1) // 2 if a == axis else n for a, n in enumerate(shape))
    return places, axis, math.prod(places)


class RngBitGenerator(Primitive):
    """Random bits, and the state from which further ones are made.

    Parameters
    ----------
    key : Array of uint32 of shape (4,), or of uint64 of shape (2,)
        The state: a key, then a counter.
    shape : tuple of int, static
    dtype : unsigned dtype, static
    algorithm : str, static
        "RNG_THREE_FRY", or "RNG_PHILOX", which is also "RNG_DEFAULT".

    Returns
    -------
    list of two Arrays : the new state, and bits of ``shape`` and ``dtype``

    References
    ----------
    Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
    """

    name = "rng_bit_generator"
    multiple_results = True
    dtypes = ("uint",)

    def abstract(self, key: Aval, *, shape: Any, dtype: Any, algorithm: Any, out_sharding: Any = None) -> list[Aval]:
        if (key.dtype, key.shape) not in ((U32, (4,)), (U64, (2,))):
            raise DtypeError(
                wrong=f"rng_bit_generator needs a state uint32[4] or uint64[2], got {key}",
                fix="Give two words of key and two of counter",
            )
        if dtype not in UNSIGNED.values():
            raise DtypeError(
                wrong=f"rng_bit_generator gives uint8, uint16, uint32 or uint64, and was asked for {dtype}",
                fix="Ask for one of them, and convert",
            )
        if algorithm not in ALGORITHMS:
            raise ArgumentError(
                wrong=f"rng_bit_generator knows no algorithm {algorithm!r}", fix=f"Give one of {', '.join(ALGORITHMS)}"
            )
        return [Aval(key.shape, key.dtype), Aval(tuple(shape), dtype)]

    def reference(
        self, key: np.ndarray, *, shape: Any, dtype: Any, algorithm: Any, out_sharding: Any = None
    ) -> list[np.ndarray]:
        state = np.ascontiguousarray(key).view(U64)
        words = 2 if dtype == U64 else 1
        places, axis, blocks = _layout(shape, words, algorithm)
        after = np.array([state[0], state[1] + np.uint64(blocks)], U64).view(key.dtype)
        if algorithm != "RNG_THREE_FRY":
            return [after, philox_bits(state.view(U32), tuple(shape), dtype)]
        counters = state[1] + np.arange(blocks, dtype=U64)
        k0, k1 = np.ascontiguousarray(state[:1]).view(U32)
        made = list(hash_words(k0, k1, counters.astype(U32), (counters >> np.uint64(32)).astype(U32)))
        if words == 2:
            made = [a | (b.astype(U64) << np.uint64(32)) for a, b in zip(made[::2], made[1::2], strict=True)]
        if len(made) == 1 or not shape:
            return [after, made[0].reshape(-1)[: math.prod(shape)].reshape(shape).astype(dtype)]
        pairs = np.stack([m.reshape(places) for m in made], axis + 1)
        whole = pairs.reshape(tuple(2 * n if a == axis else n for a, n in enumerate(places)))
        return [after, whole[tuple(slice(n) for n in shape)].astype(dtype)]

    def batch(self, batched: Any, key: Any, **params: Any) -> Any:
        return generate(key, **params), (True, True)

    def decompose(self, key: Any, **params: Any) -> list[Any]:
        return generate(key, **params)

    def samples(self, make: Any) -> Any:
        state = np.array([1, 2, 0xFFFFFFFE, 4], U32)
        for algorithm in ("RNG_THREE_FRY", "RNG_PHILOX"):
            for shape in ((8,), (3, 3), (5, 4, 3), (), (0,)):
                yield Sample(state, shape=shape, dtype=U32, algorithm=algorithm, id=f"{algorithm}-{shape}")
            for dtype in UNSIGNED.values():
                yield Sample(state, shape=(3, 2), dtype=dtype, algorithm=algorithm, id=f"{algorithm}-{dtype.name}")
            yield Sample(state.view(U64), shape=(5,), dtype=U64, algorithm=algorithm, id=f"{algorithm}-wide-state")
        yield Sample(state, shape=(2,), dtype=U32, algorithm="RNG_DEFAULT", id="default")
        full = np.array([0xFFFFFFFF, 6, 0xFFFFFFFE, 0xFFFFFFFF], U32)
        for algorithm in ("RNG_THREE_FRY", "RNG_PHILOX"):
            yield Sample(full, shape=(16,), dtype=U32, algorithm=algorithm, id=f"{algorithm}-carry")

    def refusals(self, make: Any) -> Any:
        state = np.zeros(4, U32)
        yield Refusal(
            Sample(state[:2], shape=(2,), dtype=U32, algorithm="RNG_DEFAULT"), DtypeError, "a state uint32[4]"
        )
        yield Refusal(
            Sample(state, shape=(2,), dtype=np.dtype(np.int32), algorithm="RNG_DEFAULT"), DtypeError, "asked for int32"
        )
        yield Refusal(
            Sample(state, shape=(2,), dtype=U32, algorithm="RNG_MINE"), ArgumentError, "knows no algorithm 'RNG_MINE'"
        )


def generate(
    key: Any, *, shape: Any, dtype: Any, algorithm: Any, out_sharding: Any = None, start: int = 0, step: int = 1
) -> list[Any]:
    """New states and bits of one state, or of each of an array of them.

    With ``start`` and ``step``, every ``step``-th block from ``start`` on, and the state as if there were no such.
    """
    own, lead = aval_of(key).dtype, aval_of(key).shape[:-1]
    rank, words = len(lead), key
    if own == U64:
        words = reshape(bitcast_convert_type(key, new_dtype=U32), new_sizes=(*lead, 4), dimensions=None)
    k0, k1, c0, c1 = (reshape(part(words, rank, i, i + 1), new_sizes=lead, dimensions=None) for i in range(4))
    width = 2 if dtype == U64 else 1
    places, axis, blocks = _layout(shape, width, algorithm)
    axis += rank
    index = iota(dtype=U32, shape=(blocks,), dimension=0, sharding=None)
    if (start, step) != (0, 1):
        index = add(mul(index, like(index, step)), like(index, start))
    index = broadcast_to(index, (*lead, blocks))
    key0, key1, low, high = (
        broadcast_in_dim(w, shape=(*lead, blocks), broadcast_dimensions=tuple(range(rank))) for w in (k0, k1, c0, c1)
    )
    moved = add(index, low)
    high = add(convert(lt(moved, low), U32), high)
    if algorithm == "RNG_THREE_FRY":
        made = threefry2x32(key0, key1, moved, high)
    else:
        over = and_(convert(lt(moved, low), U32), convert(eq(high, like(high, 0)), U32))
        above = add(key0, over)
        made = _philox(key0, key1, [moved, high, above, add(key1, and_(over, convert(lt(above, key0), U32)))])
    # A counter of 64 bits.
    end = add(c0, like(c0, blocks & WORD))
    above = add(add(c1, convert(lt(end, c0), U32)), like(c1, blocks >> 32))
    column = (*lead, 1)
    after = concatenate(*(reshape(v, new_sizes=column, dimensions=None) for v in (k0, k1, end, above)), dimension=rank)
    if own == U64:
        after = bitcast_convert_type(reshape(after, new_sizes=(*lead, 2, 2), dimensions=None), new_dtype=U64)
    if width == 2:
        shift = like(convert(k0, U64), 32)
        pairs = zip(made[::2], made[1::2], strict=True)
        made = [or_(convert(a, U64), shift_left(convert(b, U64), shift)) for a, b in pairs]
    if algorithm == "RNG_THREE_FRY" and shape and len(made) > 1:
        sizes = (*lead, *places)
        split = [reshape(m, new_sizes=(*sizes[: axis + 1], 1, *sizes[axis + 1 :]), dimensions=None) for m in made]
        doubled = tuple(2 * m if a == axis else m for a, m in enumerate(sizes))
        whole = reshape(concatenate(*split, dimension=axis + 1), new_sizes=doubled, dimensions=None)
        whole = part(whole, axis, 0, shape[axis - rank])
    else:
        columns = [reshape(m, new_sizes=(*lead, blocks, 1), dimensions=None) for m in made]
        whole = concatenate(*columns, dimension=rank + 1) if len(columns) > 1 else columns[0]
        flat = reshape(whole, new_sizes=(*lead, blocks * len(columns)), dimensions=None)
        whole = reshape(part(flat, rank, 0, math.prod(shape)), new_sizes=(*lead, *shape), dimensions=None)
    return [after, convert(whole, dtype)]


def _philox(k0: Any, k1: Any, c: list[Any]) -> list[Any]:
    """Philox-4x32 with 10 rounds, of the four words of a counter."""
    for i in range(10):
        if i:
            k0, k1 = add(k0, like(k0, _WEYL[0])), add(k1, like(k1, _WEYL[1]))
        m0, m1 = like(k0, _MULTIPLIERS[0]), like(k0, _MULTIPLIERS[1])
        c = [
            xor(xor(mulhi(c[2], m1), c[1]), k0), mul(c[2], m1),
            xor(xor(mulhi(c[0], m0), c[3]), k1), mul(c[0], m0),
        ]  # fmt: skip
    return c


def philox_bits(
    words: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, start: int = 0, step: int = 1
) -> np.ndarray:
    """Bits of many states, uint32 of shape (..., 4), on the host: an array of shape (..., *shape).

    Of each state's stream of blocks they are every ``step``-th from ``start`` on.
    """
    lead, width = words.shape[:-1], 2 if dtype == U64 else 1
    blocks = -(-math.prod(shape) * width // 4)
    index = np.arange(blocks, dtype=U64) * np.uint64(step) + np.uint64(start)
    state = np.ascontiguousarray(words).view(U64)
    low = state[..., 1:] + index
    high = state[..., :1] + (low < state[..., 1:]).astype(U64)
    counter = [w for c in (low, high) for w in (c.astype(U32), (c >> np.uint64(32)).astype(U32))]
    made = _philox_on_host(words[..., 0:1], words[..., 1:2], counter)
    if width == 2:
        made = [a | (b.astype(U64) << np.uint64(32)) for a, b in zip(made[::2], made[1::2], strict=True)]
    flat = np.stack(made, -1).reshape((*lead, blocks * len(made)))[..., : math.prod(shape)]
    return flat.reshape((*lead, *shape)).astype(dtype, copy=False)


def _philox_on_host(k0: Any, k1: Any, c: list[np.ndarray]) -> list[np.ndarray]:
    for i in range(10):
        if i:
            k0, k1 = (k + np.uint32(w) for k, w in zip((k0, k1), _WEYL, strict=True))
        p0, p1 = (x.astype(U64) * np.uint64(m) for x, m in zip((c[0], c[2]), _MULTIPLIERS, strict=True))
        high0, high1 = ((p >> np.uint64(32)).astype(U32) for p in (p0, p1))
        c = [high1 ^ c[1] ^ k0, p1.astype(U32), high0 ^ c[3] ^ k1, p0.astype(U32)]
    return c


rng_bit_generator = registry.add(RngBitGenerator())
