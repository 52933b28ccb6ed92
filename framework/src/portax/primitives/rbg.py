"""The generators ``rbg`` and ``unsafe_rbg``: numbers by Philox, from keys of four words.

A key is a state of the bit generator: two words of key, two of counter. ``rbg`` makes keys as threefry does, each half
of a key by itself; ``unsafe_rbg`` makes them with the bit generator too, every tenth block being a key, and nobody has
shown that such streams are independent.

Under ``vmap`` both answer a batch of keys out of the first key's stream, as JAX does. Without it each key has its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import aval_of
from portax.primitives.bit_generator import generate, philox_bits
from portax.primitives.bits import shift_right_logical, xor
from portax.primitives.broadcasting import broadcast_in_dim, broadcast_to, reshape, transpose
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.elementwise import like
from portax.primitives.generators import HALF, ZERO, Generator, hash_places
from portax.primitives.slicing import concatenate, part
from portax.primitives.threefry import U32, U64, UNSIGNED, hash_words, threefry2x32

#: ``unsafe_rbg`` uses one block in so many as a key.
SPACING = 10


def _shaped(x: Any, *sizes: int) -> Any:
    return reshape(x, new_sizes=sizes, dimensions=None)


def _stacked(*xs: Any) -> Any:
    """Arrays of one shape, along a new last axis."""
    shape = aval_of(xs[0]).shape
    return concatenate(*(_shaped(x, *shape, 1) for x in xs), dimension=len(shape))


class Rbg(Generator):
    """Bits by Philox, keys by threefry."""

    impl = "rbg"
    vmap_exact = False

    # -- on the host --------------------------------------------------------------------------------------------------
    def _opened_on_host(self, keys: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(keys).reshape((*keys.shape, 1)).view(U32)

    def _closed_on_host(self, words: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(words).view(self.dtype.storage).reshape(words.shape[:-1])

    def seed_on_host(self, seeds: np.ndarray) -> np.ndarray:
        whole = seeds.astype(U64)
        low = whole.astype(U32)
        high = (whole >> np.uint64(32)).astype(U32) if dtypes.bits(seeds.dtype) == 64 else np.zeros_like(low)
        return self._closed_on_host(np.stack([high, low, high, low], -1))

    def split_on_host(self, keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        n = math.prod(shape)
        pairs = self._opened_on_host(keys).reshape((*keys.shape, 1, 2, 2))
        places = np.arange(n, dtype=U64)[:, None]
        hashed = hash_words(pairs[..., 0], pairs[..., 1], (places >> np.uint64(32)).astype(U32), places.astype(U32))
        return self._closed_on_host(np.stack(hashed, -1).reshape((*keys.shape, *shape, 4)))

    def fold_in_on_host(self, keys: np.ndarray, words: np.ndarray) -> np.ndarray:
        pairs = self._opened_on_host(keys).reshape((*keys.shape, 2, 2))
        hashed = np.stack(hash_words(pairs[..., 0], pairs[..., 1], np.uint32(0), words[..., None]), -1)
        return self._closed_on_host(hashed.reshape((*hashed.shape[:-2], 4)))

    def bits_on_host(self, keys: np.ndarray, width: int, shape: tuple[int, ...]) -> np.ndarray:
        return philox_bits(self._opened_on_host(keys), shape, UNSIGNED[width])

    # -- as operations ------------------------------------------------------------------------------------------------
    def _opened(self, keys: Any) -> Any:
        return bitcast_convert_type(keys, new_dtype=U32)

    def _closed(self, words: Any) -> Any:
        return bitcast_convert_type(words, new_dtype=self.dtype)

    def _pairs(self, keys: Any) -> list[Any]:
        """The first and the second word of each half, of shape keys.shape + (2,)."""
        shape = aval_of(keys).shape
        words, rank = _shaped(self._opened(keys), *shape, 2, 2), len(shape)
        return [_shaped(part(words, rank + 1, i, i + 1), *shape, 2) for i in range(2)]

    def seed(self, seeds: Any) -> Any:
        whole = convert(seeds, U64)
        low = convert(whole, U32)
        high = like(low, 0) if dtypes.bits(seeds.dtype) < 64 else convert(shift_right_logical(whole, HALF), U32)
        high = broadcast_to(high, aval_of(low).shape)
        return self._closed(_stacked(high, low, high, low))

    def split(self, keys: Any, shape: tuple[int, ...]) -> Any:
        lead = aval_of(keys).shape
        rank, more = len(lead), len(shape)
        # keys.shape, the half, shape, the word: the half moves behind shape.
        words = _stacked(*hash_places(self._pairs(keys), shape))
        order = (*range(rank), *range(rank + 1, rank + 1 + more), rank, rank + 1 + more)
        return self._closed(_shaped(transpose(words, permutation=order), *lead, *shape, 4))

    def fold_in(self, keys: Any, words: Any) -> Any:
        shape = max(aval_of(keys).shape, aval_of(words).shape, key=len)
        pairs, full = self._pairs(keys), (*shape, 2)
        if len(aval_of(keys).shape) < len(shape):
            pairs = [broadcast_in_dim(w, shape=full, broadcast_dimensions=(len(shape),)) for w in pairs]
        along = tuple(range(len(aval_of(words).shape)))
        words = broadcast_in_dim(words, shape=full, broadcast_dimensions=along)
        return self._closed(_shaped(_stacked(*threefry2x32(*pairs, ZERO, words)), *shape, 4))

    def bits(self, keys: Any, width: int, shape: tuple[int, ...]) -> Any:
        return generate(self._opened(keys), shape=shape, dtype=UNSIGNED[width], algorithm="RNG_PHILOX")[1]


class UnsafeRbg(Rbg):
    """Bits and keys by Philox."""

    impl = "unsafe_rbg"
    vmap_exact_keys = False

    def split_on_host(self, keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        words = philox_bits(self._opened_on_host(keys), (*shape, 4), U32, step=SPACING)
        return self._closed_on_host(words)

    def fold_in_on_host(self, keys: np.ndarray, words: np.ndarray) -> np.ndarray:
        seeds = self._opened_on_host(self.seed_on_host(words))
        return self._closed_on_host(self._opened_on_host(keys) ^ philox_bits(seeds, (4,), U32, start=SPACING - 1))

    def split(self, keys: Any, shape: tuple[int, ...]) -> Any:
        words = generate(self._opened(keys), shape=(*shape, 4), dtype=U32, algorithm="RNG_PHILOX", step=SPACING)[1]
        return self._closed(words)

    def fold_in(self, keys: Any, words: Any) -> Any:
        seeds = self._opened(self.seed(words))
        new = generate(seeds, shape=(4,), dtype=U32, algorithm="RNG_PHILOX", start=SPACING - 1)[1]
        return self._closed(self._mixed(self._opened(keys), new))

    @staticmethod
    def _mixed(words: Any, new: Any) -> Any:
        """``words ^ new``, the one with fewer axes repeated."""
        shape = max(aval_of(words).shape, aval_of(new).shape, key=len)
        return xor(*(broadcast_to(x, shape) for x in (words, new)))
