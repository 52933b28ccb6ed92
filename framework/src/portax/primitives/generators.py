"""What a random generator is: how keys are made from seeds, split, folded into, and turned into bits.

Each of the four is there twice, for stored keys in NumPy (``..._on_host``) and as operations on keys, and both give the
same bits. `Threefry` is the default; `portax.primitives.rbg` has two more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.dtypes import KeyDtype
from portax.primitives.bits import and_, or_, shift_left, shift_right_logical, xor
from portax.primitives.broadcasting import broadcast_in_dim, reshape
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.iota import iota
from portax.primitives.threefry import (
    U32,
    U64,
    UNSIGNED,
    WORD,
    bits_of_stored,
    halves,
    hash_words,
    joined,
    split_stored,
    threefry2x32,
)


class _Whole(np.ndarray):
    """A uint64 constant that stays one where 64-bit dtypes are turned off: what is stored does not depend on that."""

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, U64)


HALF, _LOW = (np.array(v, U64).view(_Whole) for v in (32, WORD))
ZERO = np.zeros((), U32)


class Generator(ABC):
    """A generator of random bits.

    Attributes
    ----------
    impl : str
        Its name.
    vmap_exact : bool
        ``vmap`` gives each key the bits that it gives alone. Where it is false, a batch of keys is answered out of
        the first key's stream: bits come at the generator's speed, whatever the batch.
    vmap_exact_keys : bool
        The same of the keys that come of splitting and folding in.
    """

    impl: str
    vmap_exact = True
    vmap_exact_keys = True

    @property
    def dtype(self) -> KeyDtype:
        """The dtype of its keys."""
        return KeyDtype(self.impl)

    @abstractmethod
    def seed_on_host(self, seeds: np.ndarray) -> np.ndarray:
        """A key from each integer."""

    @abstractmethod
    def split_on_host(self, keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Keys of shape keys.shape + ``shape``."""

    @abstractmethod
    def fold_in_on_host(self, keys: np.ndarray, words: np.ndarray) -> np.ndarray:
        """A key from each key and word."""

    @abstractmethod
    def bits_on_host(self, keys: np.ndarray, width: int, shape: tuple[int, ...]) -> np.ndarray:
        """Bits of shape keys.shape + ``shape``."""

    @abstractmethod
    def seed(self, seeds: Any) -> Any:
        """`seed_on_host` as operations."""

    @abstractmethod
    def split(self, keys: Any, shape: tuple[int, ...]) -> Any:
        """`split_on_host` as operations."""

    @abstractmethod
    def fold_in(self, keys: Any, words: Any) -> Any:
        """`fold_in_on_host` as operations."""

    @abstractmethod
    def bits(self, keys: Any, width: int, shape: tuple[int, ...]) -> Any:
        """`bits_on_host` as operations."""


class Threefry(Generator):
    """Each new key and each number is the Threefry-2x32 hash of its place under the key."""

    impl = "threefry2x32"

    def seed_on_host(self, seeds: np.ndarray) -> np.ndarray:
        whole = seeds.astype(U64)
        if dtypes.bits(seeds.dtype) < 64:
            return whole << np.uint64(32)
        return (whole >> np.uint64(32)) | (whole << np.uint64(32))

    def split_on_host(self, keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return split_stored(keys, shape)

    def fold_in_on_host(self, keys: np.ndarray, words: np.ndarray) -> np.ndarray:
        return joined(*hash_words(*halves(keys), np.uint32(0), words))

    def bits_on_host(self, keys: np.ndarray, width: int, shape: tuple[int, ...]) -> np.ndarray:
        return bits_of_stored(keys, width, shape)

    def seed(self, seeds: Any) -> Any:
        whole = convert(seeds, U64)
        key = shift_left(whole, HALF)
        if dtypes.bits(seeds.dtype) == 64:
            key = or_(shift_right_logical(whole, HALF), key)
        return bitcast_convert_type(key, new_dtype=self.dtype)

    def split(self, keys: Any, shape: tuple[int, ...]) -> Any:
        return self._closed(*hash_places(self._opened(keys), shape))

    def fold_in(self, keys: Any, words: Any) -> Any:
        return self._closed(*threefry2x32(*self._opened(keys), ZERO, words))

    def bits(self, keys: Any, width: int, shape: tuple[int, ...]) -> Any:
        a, b = hash_places(self._opened(keys), shape)
        if width == 64:
            return or_(shift_left(convert(a, U64), HALF), convert(b, U64))
        return convert(xor(a, b), UNSIGNED[width])

    def _opened(self, keys: Any) -> tuple[Any, Any]:
        """The two words of each key, as uint32 arrays of the keys' shape."""
        whole = bitcast_convert_type(keys, new_dtype=U64)
        return convert(and_(whole, _LOW), U32), convert(shift_right_logical(whole, HALF), U32)

    def _closed(self, word0: Any, word1: Any) -> Any:
        """The keys of two uint32 arrays."""
        low, high = convert(word0, U64), convert(word1, U64)
        return bitcast_convert_type(or_(low, shift_left(high, HALF)), new_dtype=self.dtype)


def hash_places(words: Sequence[Any], shape: tuple[int, ...]) -> list[Any]:
    """``hash(key, place)`` for every key, given as two arrays of words, and every place in ``shape``.

    The result is two arrays of the keys' shape + ``shape``.
    """
    lead = aval_of(words[0]).shape
    full, n = (*lead, *shape), math.prod(shape)
    places = iota(dtype=U64 if n > WORD else U32, shape=(n,), dimension=0, sharding=None)
    places = places if shape == (n,) else reshape(places, new_sizes=shape, dimensions=None)
    high = ZERO
    if n > WORD:
        high, places = convert(shift_right_logical(places, HALF), U32), convert(places, U32)
    if lead:
        along = tuple(range(len(lead), len(full)))
        places = broadcast_in_dim(places, shape=full, broadcast_dimensions=along)
        if n > WORD:
            high = broadcast_in_dim(high, shape=full, broadcast_dimensions=along)
        words = [broadcast_in_dim(w, shape=full, broadcast_dimensions=tuple(range(len(lead)))) for w in words]
    return threefry2x32(*words, high, places)
