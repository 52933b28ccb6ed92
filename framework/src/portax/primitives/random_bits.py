"""Random keys, and the bits they give.

What the operations mean is the generator's business: `GENERATORS` has one for each dtype of keys. No operation here has
a derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.dtypes import KeyDtype
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.primitives.bits import xor
from portax.primitives.broadcasting import broadcast_in_dim, broadcast_to, reshape
from portax.primitives.conversion import bitcast_convert_type
from portax.primitives.elementwise import Elementwise
from portax.primitives.generators import Generator, Threefry
from portax.primitives.rbg import SPACING, Rbg, UnsafeRbg
from portax.primitives.slicing import part
from portax.primitives.threefry import U32, U64, UNSIGNED

GENERATORS: dict[str, Generator] = {g.impl: g for g in (Threefry(), Rbg(), UnsafeRbg())}
_OF_STORAGE = {g.dtype.storage: g for g in GENERATORS.values()}


class StoredKeys(np.ndarray):
    """Keys as a NumPy array of their storage that says it holds keys: an operand where no portax array can be made."""

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, _OF_STORAGE[self.dtype].dtype)


def stored_keys(*words: tuple[int, ...], impl: str = "threefry2x32") -> Any:
    """The keys of these words, an array of rank 1."""
    return np.array(words, U32).view(KeyDtype(impl).storage).reshape(len(words)).view(StoredKeys)


def stored_bits(keys: np.ndarray, width: int, shape: tuple[int, ...]) -> np.ndarray:
    """Random bits of stored keys, on the host."""
    return _OF_STORAGE[keys.dtype].bits_on_host(keys, width, shape)


def _wide(impl: str) -> Any:
    """Two keys of four words, one of whose counters is about to carry."""
    return stored_keys((1, 2, 3, 4), (0xFFFFFFFF, 6, 0xFFFFFFFE, 0xFFFFFFFF), impl=impl)


def _generator(keys: Any) -> Generator:
    return GENERATORS[aval_of(keys).dtype.impl]


def _first(keys: Any) -> Any:
    """The first of keys of rank 1."""
    return reshape(part(keys, 0, 0, 1), new_sizes=(), dimensions=None)


def _check_keys(name: str, x: Aval) -> None:
    if not dtypes.is_key(x.dtype):
        raise DtypeError(
            wrong=f"{name} needs random keys, got {x}", fix="Make keys with random.key, or wrap_key_data for raw words"
        )


def _check_sizes(name: str, shape: Any) -> tuple[int, ...]:
    if any(n < 0 for n in shape):
        raise ShapeError(wrong=f"{name} was asked for shape {tuple(shape)}", fix="Give sizes of at least 0")
    return tuple(shape)


class RandomSeed(Primitive):
    """A key from each integer: word 1 is its low half, word 0 what a 64-bit integer has above it.

    A key of four words has these twice.

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
        return Aval(seeds.shape, KeyDtype(impl))

    def reference(self, seeds: np.ndarray, *, impl: str) -> np.ndarray:
        return GENERATORS[impl].seed_on_host(seeds)

    def batch(self, batched: Any, seeds: Any, *, impl: str) -> Any:
        return random_seed(seeds, impl=impl)

    def decompose(self, seeds: Any, *, impl: str) -> Any:
        return GENERATORS[impl].seed(seeds)

    def samples(self, make: Any) -> Any:
        yield Sample(make(()), impl="threefry2x32", id="scalar")
        yield Sample(make((2, 3)), impl="threefry2x32", id="several")
        yield Sample(np.array([2**40 + 5, -1]), impl="threefry2x32", id="64-bit")
        for impl in ("rbg", "unsafe_rbg"):
            yield Sample(make((2,)), impl=impl, id=impl)
            yield Sample(np.array([2**40 + 5, -1]), impl=impl, id=f"{impl}-64-bit")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.ones(2), impl="threefry2x32"), DtypeError, "seed must be an integer")
        yield Refusal(Sample(make(()), impl="mine"), ArgumentError, "no random generator 'mine'")


random_seed = registry.add(RandomSeed())


class RandomWrap(Primitive):
    """Keys from their words.

    Parameters
    ----------
    base_arr : Array of uint32, of shape (..., words); a key of threefry2x32 has 2 words, others have 4
    impl : str, static, the generator

    Returns
    -------
    Array of keys, of shape (...)
    """

    name = "random_wrap"
    dtypes = ("uint",)

    def abstract(self, base_arr: Aval, *, impl: str) -> Aval:
        dtype = KeyDtype(impl)
        if base_arr.dtype != U32 or base_arr.shape[-1:] != (dtype.words,):
            raise DtypeError(
                wrong=f"a {impl} key is uint32[{dtype.words}], got {base_arr}",
                fix="Make keys with random.key or random.PRNGKey",
            )
        return Aval(base_arr.shape[:-1], dtype)

    def reference(self, base_arr: np.ndarray, *, impl: str) -> np.ndarray:
        return np.ascontiguousarray(base_arr).view(KeyDtype(impl).storage).reshape(base_arr.shape[:-1])

    def batch(self, batched: Any, base_arr: Any, *, impl: str) -> Any:
        return random_wrap(base_arr, impl=impl)

    def decompose(self, base_arr: Any, *, impl: str) -> Any:
        return bitcast_convert_type(base_arr, new_dtype=KeyDtype(impl))

    def samples(self, make: Any) -> Any:
        words = np.arange(12, dtype=U32) + np.uint32(0xFFFFFFF8)
        yield Sample(words[:2], impl="threefry2x32", id="one")
        yield Sample(words.reshape(3, 2, 2), impl="threefry2x32", id="several")
        yield Sample(words[:4], impl="rbg", id="rbg")
        yield Sample(words.reshape(3, 1, 4), impl="unsafe_rbg", id="unsafe_rbg")

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
    Array of uint32, of shape (*keys.shape, words)
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
        yield Sample(stored_keys((1, 2, 3, 4), (5, 6, 7, 8), impl="rbg"), id="rbg")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.zeros(2, U32)), DtypeError, "random_unwrap needs random keys")


random_unwrap = registry.add(RandomUnwrap())


class RandomSplit(Primitive):
    """New keys from each key: ``out[..., i] = hash(key, i)``, with ``i`` the place in row-major order of ``shape``.

    A key of ``rbg`` hashes each half so. A key of ``unsafe_rbg`` gives block ``10 i`` of its Philox stream, and under
    ``vmap`` the keys share the stream of the first.

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
        return _OF_STORAGE[keys.dtype].split_on_host(keys, tuple(shape))

    def batch(self, batched: Any, keys: Any, *, shape: Any) -> Any:
        n, *inner = aval_of(keys).shape
        if n and not inner and not _generator(keys).vmap_exact_keys:
            return random_split(_first(keys), shape=(n, *shape))
        return random_split(keys, shape=shape)

    def decompose(self, keys: Any, *, shape: Any) -> Any:
        return _generator(keys).split(keys, tuple(shape))

    def samples(self, make: Any) -> Any:
        keys = stored_keys((1, 2), (3, 4), (0xFFFFFFFF, 0xFFFFFFFE))
        yield Sample(stored_keys((1, 2)).reshape(()), shape=(2,), id="two")
        yield Sample(keys, shape=(2, 3), id="several")
        yield Sample(keys, shape=(0,), id="none")
        for impl in ("rbg", "unsafe_rbg"):
            # Of rank 1: a batch of single keys is no loop over them.
            yield Sample(_wide(impl), shape=(3,), id=impl)
            yield Sample(_wide(impl), shape=(2, 2), id=f"{impl}-grid")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(np.zeros((), U64), shape=(2,)), DtypeError, "random_split needs random keys")
        yield Refusal(Sample(stored_keys((1, 2)), shape=(-1,)), ShapeError, "asked for shape (-1,)")


random_split = registry.add(RandomSplit())


class RandomFoldIn(Elementwise):
    """A new key from a key and a word: ``hash(key, word)``.

    A key of ``rbg`` hashes each half so. A key of ``unsafe_rbg`` is combined by xor with block 9 of the Philox stream
    whose key is made of the word as a seed; under ``vmap`` the words share the stream of the first.

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
            decompose=lambda keys, msgs: _generator(keys).fold_in(keys, msgs),
        )  # fmt: skip

    @staticmethod
    def _fold(keys: np.ndarray, msgs: np.ndarray) -> np.ndarray:
        return _OF_STORAGE[keys.dtype].fold_in_on_host(keys, msgs)

    def batch(self, batched: Any, keys: Any, msgs: Any, **params: Any) -> Any:
        n, *inner = aval_of(msgs).shape or (0,)
        if not batched[1] or not n or inner or _generator(keys).vmap_exact_keys:
            return super().batch(batched, keys, msgs, **params)
        words, seed = random_unwrap(keys), random_seed(_first(msgs), impl=_generator(keys).impl)
        stream = random_bits(seed, bit_width=32, shape=(n, SPACING, 4))
        own = aval_of(words).shape[batched[0] :]
        new = reshape(part(stream, 1, SPACING - 1, SPACING), new_sizes=(n, *(1,) * (len(own) - 1), 4), dimensions=None)
        new = broadcast_in_dim(new, shape=(n, *own), broadcast_dimensions=tuple(range(len(own) + 1)))
        return random_wrap(xor(broadcast_to(words, (n, *own)), new), impl=_generator(keys).impl)

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
        yield Sample(_wide("rbg"), np.array([7, 0xFFFFFFFF], U32), id="rbg")
        # Each with a batch of its own: a batch of single words is no loop over them.
        yield Sample(_wide("unsafe_rbg").reshape(1, 2), np.array([[7, 0xFFFFFFFF]], U32), id="unsafe_rbg")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(stored_keys((1, 2)), np.int32(1)), DtypeError, "folds in uint32, got int32[]")


random_fold_in = registry.add(RandomFoldIn())


class RandomBits(Primitive):
    """Random bits from each key: both words of ``hash(key, i)`` for 64 bits, their ``xor`` or its low bits for fewer.

    The keys of ``rbg`` and ``unsafe_rbg`` are states of Philox, and give its stream. Under ``vmap`` they share the
    stream of the first.

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
        return stored_bits(keys, bit_width, tuple(shape))

    def batch(self, batched: Any, keys: Any, *, bit_width: int, shape: Any) -> Any:
        n, *inner = aval_of(keys).shape
        if n and not inner and not _generator(keys).vmap_exact:
            return random_bits(_first(keys), bit_width=bit_width, shape=(n, *shape))
        return random_bits(keys, bit_width=bit_width, shape=shape)

    def decompose(self, keys: Any, *, bit_width: int, shape: Any) -> Any:
        return _generator(keys).bits(keys, bit_width, tuple(shape))

    def samples(self, make: Any) -> Any:
        keys = stored_keys((1, 2), (3, 4))
        for width in UNSIGNED:
            yield Sample(stored_keys((1, 2)).reshape(()), bit_width=width, shape=(5,), id=f"{width}-bit")
        yield Sample(keys, bit_width=32, shape=(2, 3), id="several-keys")
        yield Sample(stored_keys((1, 2)).reshape(()), bit_width=32, shape=(), id="one")
        yield Sample(keys, bit_width=32, shape=(0, 3), id="none")
        yield Sample(keys, bit_width=32, shape=(1000,), id="many")
        for width in UNSIGNED:
            yield Sample(_wide("rbg"), bit_width=width, shape=(5,), id=f"rbg-{width}-bit")
        yield Sample(_wide("unsafe_rbg"), bit_width=32, shape=(), id="unsafe_rbg")

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
