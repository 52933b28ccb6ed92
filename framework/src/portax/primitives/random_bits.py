"""Random keys, and the bits they give.

A key split is the Threefry hash of the place of each new key, both words kept; random bits are one word of it, or what
the two make together. No operation here has a derivative.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.dtypes import KeyDtype
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, GapError, ShapeError
from portax.primitives.bits import and_, or_, shift_left, shift_right_logical, xor
from portax.primitives.broadcasting import broadcast_in_dim, reshape
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.elementwise import Elementwise
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


class StoredKeys(np.ndarray):
    """Keys as a NumPy array of their storage that says it holds keys: an operand where no portax array can be made."""

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, KeyDtype())


def stored_keys(*words: tuple[int, int]) -> Any:
    """The keys of these words, an array of rank 1."""
    return np.array([a | b << 32 for a, b in words], U64).view(StoredKeys)


class _Whole(np.ndarray):
    """A uint64 constant that stays one where 64-bit dtypes are turned off: what is stored does not depend on that."""

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, U64)


_HALF, _LOW = (np.array(v, U64).view(_Whole) for v in (32, WORD))
_ZERO = np.zeros((), U32)


def _to_words(keys: Any) -> tuple[Any, Any]:
    """The two words of each key, as uint32 arrays of the keys' shape."""
    whole = bitcast_convert_type(keys, new_dtype=U64)
    return convert(and_(whole, _LOW), U32), convert(shift_right_logical(whole, _HALF), U32)


def _to_keys(word0: Any, word1: Any) -> Any:
    """The keys of two uint32 arrays."""
    low, high = convert(word0, U64), convert(word1, U64)
    return bitcast_convert_type(or_(low, shift_left(high, _HALF)), new_dtype=KeyDtype())


def _counted(keys: Any, shape: tuple[int, ...]) -> list[Any]:
    """``hash(key, place)`` for every key and every place in ``shape``, as two arrays of shape keys.shape + shape."""
    lead = aval_of(keys).shape
    full, n = (*lead, *shape), math.prod(shape)
    places = iota(dtype=U64 if n > WORD else U32, shape=(n,), dimension=0, sharding=None)
    places = places if shape == (n,) else reshape(places, new_sizes=shape, dimensions=None)
    high = _ZERO
    if n > WORD:
        high, places = convert(shift_right_logical(places, _HALF), U32), convert(places, U32)
    words = _to_words(keys)
    if lead:
        along = tuple(range(len(lead), len(full)))
        places = broadcast_in_dim(places, shape=full, broadcast_dimensions=along)
        if n > WORD:
            high = broadcast_in_dim(high, shape=full, broadcast_dimensions=along)
        words = [broadcast_in_dim(w, shape=full, broadcast_dimensions=tuple(range(len(lead)))) for w in words]
    return threefry2x32(*words, high, places)


def _check_keys(name: str, x: Aval) -> None:
    if not dtypes.is_key(x.dtype):
        raise DtypeError(
            wrong=f"{name} needs random keys, got {x}", fix="Make keys with random.key, or wrap_key_data for raw words"
        )
    _check_impl(x.dtype.impl)


def _check_impl(impl: str) -> KeyDtype:
    if impl != "threefry2x32":
        raise GapError(
            wrong=f"the random generator {impl!r} is not implemented", fix='Use "threefry2x32", the default'
        )
    return KeyDtype(impl)


def _check_sizes(name: str, shape: Any) -> tuple[int, ...]:
    if any(n < 0 for n in shape):
        raise ShapeError(wrong=f"{name} was asked for shape {tuple(shape)}", fix="Give sizes of at least 0")
    return tuple(shape)


class RandomSeed(Primitive):
    """A key from each integer: word 1 is its low half, word 0 what a 64-bit integer has above it.

    Parameters
    ----------
    seeds : Array, any integer dtype
    impl : str, static, the generator

    Returns
    -------
    Array of keys, of the shape of ``seeds``
    """

    name = "random_seed"
    dtypes = ("int", "uint")

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        # As the dtype of its keys is printed.
        return {"impl": dtypes.short_name(KeyDtype(params["impl"])).removeprefix("key<").rstrip(">")}

    def abstract(self, seeds: Aval, *, impl: str) -> Aval:
        if not dtypes.is_integer(seeds.dtype):
            raise DtypeError(wrong=f"a random seed must be an integer, got {seeds}", fix="Give an int")
        return Aval(seeds.shape, _check_impl(impl))

    def reference(self, seeds: np.ndarray, *, impl: str) -> np.ndarray:
        whole = seeds.astype(U64)
        if dtypes.bits(seeds.dtype) < 64:
            return whole << np.uint64(32)
        return (whole >> np.uint64(32)) | (whole << np.uint64(32))

    def batch(self, batched: Any, seeds: Any, *, impl: str) -> Any:
        return random_seed(seeds, impl=impl)

    def decompose(self, seeds: Any, *, impl: str) -> Any:
        whole = convert(seeds, U64)
        key = shift_left(whole, _HALF)
        if dtypes.bits(seeds.dtype) == 64:
            key = or_(shift_right_logical(whole, _HALF), key)
        return bitcast_convert_type(key, new_dtype=KeyDtype(impl))

    def samples(self, make: Any) -> Any:
        yield Sample(make(()), impl="threefry2x32", id="scalar")
        yield Sample(make((2, 3)), impl="threefry2x32", id="several")
        yield Sample(np.array([2**40 + 5, -1]), impl="threefry2x32", id="64-bit")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.ones(2), impl="threefry2x32"), DtypeError, "seed must be an integer")
        yield Refusal(Sample(make(()), impl="rbg"), GapError, "'rbg' is not implemented")


random_seed = registry.add(RandomSeed())


class RandomWrap(Primitive):
    """Keys from their words.

    Parameters
    ----------
    base_arr : Array of uint32, of shape (..., 2)
    impl : str, static, the generator

    Returns
    -------
    Array of keys, of shape (...)
    """

    name = "random_wrap"
    dtypes = ("uint",)

    def abstract(self, base_arr: Aval, *, impl: str) -> Aval:
        dtype = _check_impl(impl)
        if base_arr.dtype != U32 or base_arr.shape[-1:] != (dtype.words,):
            raise DtypeError(
                wrong=f"a {impl} key is uint32[{dtype.words}], got {base_arr}",
                fix="Make keys with random.key or random.PRNGKey",
            )
        return Aval(base_arr.shape[:-1], dtype)

    def reference(self, base_arr: np.ndarray, *, impl: str) -> np.ndarray:
        return np.ascontiguousarray(base_arr).view(U64).reshape(base_arr.shape[:-1])

    def batch(self, batched: Any, base_arr: Any, *, impl: str) -> Any:
        return random_wrap(base_arr, impl=impl)

    def decompose(self, base_arr: Any, *, impl: str) -> Any:
        return bitcast_convert_type(base_arr, new_dtype=KeyDtype(impl))

    def samples(self, make: Any) -> Any:
        words = np.arange(12, dtype=U32) + np.uint32(0xFFFFFFF8)
        yield Sample(words[:2], impl="threefry2x32", id="one")
        yield Sample(words.reshape(3, 2, 2), impl="threefry2x32", id="several")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.zeros(3, U32), impl="threefry2x32"), DtypeError, "key is uint32[2], got uint32[3]")


random_wrap = registry.add(RandomWrap())


class RandomUnwrap(Primitive):
    """The words of keys.

    Parameters
    ----------
    keys : Array of keys

    Returns
    -------
    Array of uint32, of shape (*keys.shape, 2)
    """

    name = "random_unwrap"
    dtypes = ("key",)

    def abstract(self, keys: Aval) -> Aval:
        _check_keys(self.name, keys)
        return Aval((*keys.shape, keys.dtype.words), U32)

    def reference(self, keys: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(keys).reshape((*keys.shape, 1)).view(U32)

    def batch(self, batched: Any, keys: Any) -> Any:
        return random_unwrap(keys)

    def decompose(self, keys: Any) -> Any:
        return bitcast_convert_type(keys, new_dtype=U32)

    def samples(self, make: Any) -> Any:
        yield Sample(stored_keys((1, 2), (3, 4)), id="two")
        yield Sample(stored_keys((1, 2)).reshape(()), id="one")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.zeros(2, U32)), DtypeError, "random_unwrap needs random keys")


random_unwrap = registry.add(RandomUnwrap())


class RandomSplit(Primitive):
    """New keys from each key: ``out[..., i] = hash(key, i)``, with ``i`` the place in row-major order of ``shape``.

    Parameters
    ----------
    keys : Array of keys
    shape : tuple of int, static

    Returns
    -------
    Array of keys, of shape (*keys.shape, *shape)
    """

    name = "random_split"
    dtypes = ("key",)

    def abstract(self, keys: Aval, *, shape: Any) -> Aval:
        _check_keys(self.name, keys)
        return Aval((*keys.shape, *_check_sizes(self.name, shape)), keys.dtype)

    def reference(self, keys: np.ndarray, *, shape: Any) -> np.ndarray:
        return split_stored(keys, tuple(shape))

    def batch(self, batched: Any, keys: Any, *, shape: Any) -> Any:
        return random_split(keys, shape=shape)

    def decompose(self, keys: Any, *, shape: Any) -> Any:
        return _to_keys(*_counted(keys, tuple(shape)))

    def samples(self, make: Any) -> Any:
        keys = stored_keys((1, 2), (3, 4), (0xFFFFFFFF, 0xFFFFFFFE))
        yield Sample(stored_keys((1, 2)).reshape(()), shape=(2,), id="two")
        yield Sample(keys, shape=(2, 3), id="several")
        yield Sample(keys, shape=(0,), id="none")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.zeros((), U64), shape=(2,)), DtypeError, "random_split needs random keys")
        yield Refusal(Sample(stored_keys((1, 2)), shape=(-1,)), ShapeError, "asked for shape (-1,)")


random_split = registry.add(RandomSplit())


class RandomFoldIn(Elementwise):
    """A new key from a key and a word: ``hash(key, word)``.

    Parameters
    ----------
    keys : Array of keys
    msgs : Array of uint32, of the same shape, or one of the two a scalar

    Returns
    -------
    Array of keys
    """

    def __init__(self) -> None:
        super().__init__(
            "random_fold_in", self._fold, arity=2, doc=type(self).__doc__ or "", kinds=("key",), mixed=True,
            decompose=lambda keys, msgs: _to_keys(*threefry2x32(*_to_words(keys), _ZERO, msgs)),
        )  # fmt: skip

    @staticmethod
    def _fold(keys: np.ndarray, msgs: np.ndarray) -> np.ndarray:
        return joined(*hash_words(*halves(keys), np.uint32(0), msgs))

    def abstract(self, *avals: Aval, **params: Any) -> Aval:
        keys, msgs = avals
        _check_keys(self.name, keys)
        if msgs.dtype != U32:
            raise DtypeError(wrong=f"random_fold_in folds in uint32, got {msgs}", fix="Convert the data to uint32")
        return super().abstract(keys, msgs)

    def samples(self, make: Any) -> Any:
        keys = stored_keys((1, 2), (3, 4))
        yield Sample(stored_keys((1, 2)).reshape(()), np.uint32(7), id="scalar")
        yield Sample(keys, np.array([7, 0xFFFFFFFF], U32), id="pairs")
        yield Sample(keys, np.uint32(7), id="one-word")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(stored_keys((1, 2)), np.int32(1)), DtypeError, "folds in uint32, got int32[]")


random_fold_in = registry.add(RandomFoldIn())


class RandomBits(Primitive):
    """Random bits from each key: both words of ``hash(key, i)`` for 64 bits, their ``xor`` or its low bits for fewer.

    Parameters
    ----------
    keys : Array of keys
    bit_width : int, static: 8, 16, 32 or 64
    shape : tuple of int, static

    Returns
    -------
    Array of an unsigned dtype of that width, of shape (*keys.shape, *shape)
    """

    name = "random_bits"
    dtypes = ("key",)

    def abstract(self, keys: Aval, *, bit_width: int, shape: Any) -> Aval:
        _check_keys(self.name, keys)
        if bit_width not in UNSIGNED:
            raise ArgumentError(
                wrong=f"random_bits was asked for {bit_width} bits", fix="Ask for 8, 16, 32 or 64"
            )
        return Aval((*keys.shape, *_check_sizes(self.name, shape)), UNSIGNED[bit_width])

    def reference(self, keys: np.ndarray, *, bit_width: int, shape: Any) -> np.ndarray:
        return bits_of_stored(keys, bit_width, tuple(shape))

    def batch(self, batched: Any, keys: Any, *, bit_width: int, shape: Any) -> Any:
        return random_bits(keys, bit_width=bit_width, shape=shape)

    def decompose(self, keys: Any, *, bit_width: int, shape: Any) -> Any:
        a, b = _counted(keys, tuple(shape))
        if bit_width == 64:
            high = convert(a, U64)
            return or_(shift_left(high, _HALF), convert(b, U64))
        return convert(xor(a, b), UNSIGNED[bit_width])

    def samples(self, make: Any) -> Any:
        keys = stored_keys((1, 2), (3, 4))
        for width in UNSIGNED:
            yield Sample(stored_keys((1, 2)).reshape(()), bit_width=width, shape=(5,), id=f"{width}-bit")
        yield Sample(keys, bit_width=32, shape=(2, 3), id="several-keys")
        yield Sample(stored_keys((1, 2)).reshape(()), bit_width=32, shape=(), id="one")
        yield Sample(keys, bit_width=32, shape=(0, 3), id="none")
        yield Sample(keys, bit_width=32, shape=(1000,), id="many")

    def refusals(self, make: Any) -> Any:
        key = stored_keys((1, 2))
        yield Refusal(Sample(key, bit_width=7, shape=(2,)), ArgumentError, "asked for 7 bits")
        yield Refusal(Sample(np.zeros(2, U32), bit_width=8, shape=(2,)), DtypeError, "random_bits needs random keys")


random_bits = registry.add(RandomBits())


class RandomClone(Primitive):
    """The same keys, for those who track that no key is used twice.

    Parameters
    ----------
    keys : Array of keys
    """

    name = "random_clone"
    dtypes = ("key",)

    def abstract(self, keys: Aval) -> Aval:
        _check_keys(self.name, keys)
        return keys

    def reference(self, keys: np.ndarray) -> np.ndarray:
        return keys

    def batch(self, batched: Any, keys: Any) -> Any:
        return random_clone(keys)

    def decompose(self, keys: Any) -> Any:
        return keys

    def stablehlo(self, b: Any, keys: Any) -> Any:
        return keys

    def samples(self, make: Any) -> Any:
        yield Sample(stored_keys((1, 2), (3, 4)))

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.zeros(2, U32)), DtypeError, "random_clone needs random keys")


random_clone = registry.add(RandomClone())
