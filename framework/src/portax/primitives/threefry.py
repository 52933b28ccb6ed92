"""The Threefry-2x32 hash, on the host and as a primitive.

A key is two words, stored as one uint64 with word 0 in the low half. Bits are ``hash(key, counter)``, where the counter
is the element's place in row-major order: each element is made from the key and its place alone, so no device and no
sharding can change it.

The reference has two ways to the same words. NumPy's fixed price for an operation is what few elements cost, so those
are hashed as one long Python integer with a 64-bit slot for each; many go through NumPy in blocks that fit the cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import add
from portax.primitives.bits import or_, shift_left, shift_right_logical, xor
from portax.primitives.elementwise import Elementwise, like

U32, U64 = np.dtype(np.uint32), np.dtype(np.uint64)
WORD = 0xFFFFFFFF
_PARITY = 0x1BD11BDA
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
#: Up to this many elements Python's integers are faster than NumPy.
FEW = 512
_BLOCK = 1 << 14


# -- the hash on the host ---------------------------------------------------------------------------------------------
@functools.cache
def _ones(n: int) -> int:
    """1 in each of ``n`` slots of 64 bits."""
    return int.from_bytes(np.ones(n, U64).tobytes(), "little")


@functools.cache
def _places(n: int) -> int:
    """0, 1, 2, ... in ``n`` slots."""
    return int.from_bytes(np.arange(n, dtype=U64).tobytes(), "little")


def _slots(x: Any, n: int) -> int:
    """Words in ``n`` slots: a number in all of them, or an array of ``n``."""
    if isinstance(x, np.ndarray) and x.size == n:
        return int.from_bytes(x.astype(U64).tobytes(), "little")
    return int(x) * _ones(n)


def _words(slots: int, n: int) -> np.ndarray:
    """The slots as uint64."""
    return np.frombuffer(slots.to_bytes(8 * n, "little"), U64)


def _hash_few(k1: int, k2: int, x1: int, x2: int, n: int) -> tuple[int, int]:
    """The hash of ``n`` slots at once.

    Only ``x2`` is cut to a word in each round: ``x1`` gains fewer than six bits in all, which its slot has room for.
    """
    ones = _ones(n)
    mask = WORD * ones
    keys = (k1, k2, k1 ^ k2 ^ (_PARITY * ones))
    x1 += k1
    x2 = (x2 + k2) & mask
    for i in range(5):
        for r in _ROTATIONS[i & 1]:
            x1 += x2
            x2 <<= r
            x2 = ((x2 | (x2 >> 32)) ^ x1) & mask
        x1 += keys[(i + 1) % 3]
        x2 = (x2 + keys[(i + 2) % 3] + (i + 1) * ones) & mask
    return x1 & mask, x2


def _hash_block(keys: Sequence[Any], x1: np.ndarray, x2: np.ndarray) -> None:
    """The hash of one block, in place."""
    x1 += keys[0]
    x2 += keys[1]
    turned = np.empty_like(x2)
    for i in range(5):
        for r in _ROTATIONS[i & 1]:
            x1 += x2
            np.left_shift(x2, np.uint32(r), out=turned)
            np.right_shift(x2, np.uint32(32 - r), out=x2)
            x2 |= turned
            x2 ^= x1
        x1 += keys[(i + 1) % 3]
        x2 += keys[(i + 2) % 3]
        x2 += np.uint32(i + 1)


def hash_words(k1: Any, k2: Any, x1: Any, x2: Any) -> tuple[np.ndarray, np.ndarray]:
    """Threefry-2x32 of uint32 arrays that broadcast to one shape: the two words at each element."""
    k1, k2, x1, x2 = (np.asarray(v) for v in (k1, k2, x1, x2))
    shape = np.broadcast_shapes(k1.shape, k2.shape, x1.shape, x2.shape)
    n = math.prod(shape)
    if n <= FEW:
        full = (v if not v.ndim else np.broadcast_to(v, shape) for v in (k1, k2, x1, x2))
        a, b = _hash_few(*[_slots(v, n) for v in full], n=n)
        return _words(a, n).astype(U32).reshape(shape), _words(b, n).astype(U32).reshape(shape)
    y1, y2 = (np.array(np.broadcast_to(v, shape), order="C").reshape(-1) for v in (x1, x2))
    keys = [v if not v.ndim else np.broadcast_to(v, shape).reshape(-1) for v in (k1, k2)]
    keys.append(keys[0] ^ keys[1] ^ np.uint32(_PARITY))
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        _hash_block([k[part] if k.ndim else k for k in keys], y1[part], y2[part])
    return y1.reshape(shape), y2.reshape(shape)


def _hash_places(keys: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """``hash(key, place)`` for every stored key and every place in ``shape``, as two uint32 of keys.shape + shape."""
    n = math.prod(shape)
    places = np.arange(n, dtype=U64 if n > WORD else U32).reshape(shape)
    column = keys.reshape(keys.shape + (1,) * len(shape)) if keys.ndim else keys
    high = (places >> np.uint64(32)).astype(U32) if n > WORD else np.uint32(0)
    return hash_words(*halves(column), high, places.astype(U32, copy=False))


def halves(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two words of stored keys."""
    return keys.astype(U32), (keys >> np.uint64(32)).astype(U32)


def joined(word0: np.ndarray, word1: np.ndarray) -> np.ndarray:
    """Stored keys of two words."""
    return word0.astype(U64) | (word1.astype(U64) << np.uint64(32))


def split_stored(keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Stored keys of shape keys.shape + ``shape``, made from each key."""
    n = math.prod(shape)
    if not keys.ndim and n <= FEW:
        key = int(keys)
        ones = _ones(n)
        a, b = _hash_few((key & WORD) * ones, (key >> 32) * ones, 0, _places(n), n)
        return _words(a | (b << 32), n).reshape(shape)
    return joined(*_hash_places(keys, shape))


UNSIGNED = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16), 32: U32, 64: U64}


def bits_of_stored(keys: np.ndarray, bit_width: int, shape: tuple[int, ...]) -> np.ndarray:
    """Random bits of shape keys.shape + ``shape``."""
    n = math.prod(shape)
    dtype = UNSIGNED[bit_width]
    if not keys.ndim and n <= FEW:
        key = int(keys)
        ones = _ones(n)
        a, b = _hash_few((key & WORD) * ones, (key >> 32) * ones, 0, _places(n), n)
        slots = b | (a << 32) if bit_width == 64 else a ^ b
        return _words(slots, n).astype(dtype).reshape(shape)
    a, b = _hash_places(keys, shape)
    return joined(b, a) if bit_width == 64 else (a ^ b).astype(dtype, copy=False)


# -- threefry2x32 -----------------------------------------------------------------------------------------------------
class Threefry2x32(Elementwise):
    """The Threefry-2x32 hash with 20 rounds, of the counter ``(x1, x2)`` under the key ``(k1, k2)``.

    Parameters
    ----------
    k1, k2, x1, x2 : Arrays of uint32, of one shape or scalars

    Returns
    -------
    list of two Arrays of uint32

    References
    ----------
    Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
    """

    name = "threefry2x32"
    multiple_results = True
    dtypes = ("uint",)

    def __init__(self) -> None:
        super().__init__("threefry2x32", hash_words, arity=4, doc=type(self).__doc__ or "", kinds=("uint",))

    def abstract(self, *avals: Aval, **params: Any) -> Any:
        if any(a.dtype != U32 for a in avals):
            raise DtypeError(
                wrong=f"threefry2x32 hashes words, got {', '.join(map(str, avals))}", fix="Convert to uint32"
            )
        out = super().abstract(*avals, **params)
        return [out, out]

    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        return super().batch(batched, *operands, **params), (True, True)

    def decompose(self, k1: Any, k2: Any, x1: Any, x2: Any) -> list[Any]:
        def word(value: int) -> Any:
            return like(k1, value)

        keys = (k1, k2, xor(xor(k1, k2), word(_PARITY)))
        x1, x2 = add(x1, k1), add(x2, k2)
        for i in range(5):
            for r in _ROTATIONS[i & 1]:
                x1 = add(x1, x2)
                x2 = xor(or_(shift_left(x2, word(r)), shift_right_logical(x2, word(32 - r))), x1)
            x1 = add(x1, keys[(i + 1) % 3])
            x2 = add(add(x2, keys[(i + 2) % 3]), word(i + 1))
        return [x1, x2]

    def stablehlo(self, b: Any, k1: Any, k2: Any, x1: Any, x2: Any) -> Any:
        keys = (k1, k2, b.binary("xor", b.binary("xor", k1, k2), b.full((), _PARITY, U32)))
        x1, x2 = b.binary("add", x1, k1), b.binary("add", x2, k2)
        if not x1.aval.ndim or not x2.aval.ndim:
            x1, x2 = b.same_shape(x1, x2)
        shape = x1.aval.shape
        keys = tuple(b.scalar_to(k, shape) for k in keys)
        for i in range(5):
            for r in _ROTATIONS[i & 1]:
                x1 = b.binary("add", x1, x2)
                left = b.binary("shift_left", x2, b.full(shape, r, U32))
                right = b.binary("shift_right_logical", x2, b.full(shape, 32 - r, U32))
                x2 = b.binary("xor", b.binary("or", left, right), x1)
            x1 = b.binary("add", x1, keys[(i + 1) % 3])
            x2 = b.binary("add", b.binary("add", x2, keys[(i + 2) % 3]), b.full(shape, i + 1, U32))
        return x1, x2

    def samples(self, make: Any) -> Any:
        key = np.uint32(0x13198A2E), np.uint32(0x03707344)
        x = np.arange(6, dtype=U32).reshape(2, 3)
        yield Sample(*key, np.uint32(0x243F6A88), np.uint32(0x85A308D3), id="scalars")
        yield Sample(*key, x, x + np.uint32(0xFFFFFFFD), id="one-key")
        yield Sample(x, x[::-1].copy(), np.uint32(0), x, id="many-keys")
        yield Sample(*key, x[:0], x[:0], id="empty")

    def refusals(self, make: Any) -> Any:
        x = np.arange(3, dtype=U32)
        yield Refusal(Sample(x, x, x, x.astype(np.int32)), DtypeError, "threefry2x32 hashes words")
        yield Refusal(Sample(x, x, x, x[:2]), ShapeError, "operands of one shape")


threefry2x32 = registry.add(Threefry2x32())
