"""Faults of random bits: keys, counters, rounds, and how bits become numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax_conformance.mutants.fault import Arrays, Call, Fault

KEYS = ("key", "uint32")


def _key(f: Any) -> Any:
    """The key is another."""
    return lambda call: call.right(
        [
            np.asarray(f(call.operands[0])).astype(call.operands[0].dtype).reshape(call.operands[0].shape),
            *call.operands[1:],
        ],
        call.params,
    )


def _out(f: Any) -> Any:
    return lambda call: [np.asarray(f(x)).astype(x.dtype).reshape(x.shape) for x in call()]


def _swapped_words(x: np.ndarray) -> np.ndarray:
    return ((x >> np.uint64(32)) | (x << np.uint64(32))) if x.dtype == np.uint64 else x


def _rolled(x: np.ndarray) -> np.ndarray:
    return np.roll(x.reshape(-1), 1)


def _repeated(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(-1)
    return np.resize(flat[: max(flat.size // 2, 1)], flat.shape) if flat.size else flat


def _first_for_all(x: np.ndarray) -> np.ndarray:
    return np.full_like(x, x.reshape(-1)[0]) if x.size else x


def _pairs_swapped(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(-1).copy()
    n = flat.size // 2 * 2
    flat[:n] = flat[:n].reshape(-1, 2)[:, ::-1].reshape(-1)
    return flat


def _low_bit_lost(x: np.ndarray) -> np.ndarray:
    return x & ~np.ones((), x.dtype) if x.dtype.kind in "iu" else x


def _folded_twice(call: Call) -> Arrays:
    (out,) = call()
    if out.shape != np.broadcast_shapes(out.shape, call.operands[1].shape):
        return [out]
    return call.right([out, *call.operands[1:]], call.params)


def _hash(change: Any) -> Any:
    """The two words of the key, or of the counter, otherwise."""
    return lambda call: call.right(change(*call.operands), call.params)


def _wrapped_late(call: Call) -> Arrays:
    """Sums are taken in 64 bits and cut at the end: the carry reaches the other word."""
    outs = call()
    return [(x + (x < x.dtype.type(1 << 31))).astype(x.dtype) for x in outs]


_BITS = (
    Fault("key-ignored", "the key counts as zero", _key(np.zeros_like), dtypes=KEYS),
    Fault("words-swapped", "the words of the key are taken in the other order", _key(_swapped_words), dtypes=KEYS),
    Fault("second-half-repeats", "the second half of the bits is the first again", _out(_repeated), dtypes=KEYS),
    Fault("counter-plus-one", "places count from one", _out(_rolled), dtypes=KEYS),
    Fault("low-bit-lost", "the lowest bit is always 0", _out(_low_bit_lost), dtypes=KEYS),
    Fault("first-for-all", "every element has the bits of the first", _out(_first_for_all), dtypes=KEYS),
)

MEANINGS: dict[str, tuple[Fault, ...]] = {
    "random_bits": (*_BITS, Fault("pairs-swapped", "neighbours are swapped", _out(_pairs_swapped), dtypes=KEYS)),
    "random_split": _BITS[:4] + _BITS[5:],
    "random_seed": (
        Fault("seed-ignored", "every seed gives the same key", _key(np.zeros_like), dtypes=("uint32", "int32")),
        Fault("seed-plus-one", "the seed is one more", _key(lambda x: x + x.dtype.type(1)), dtypes=("uint32", "int32")),
        Fault(
            "words-swapped",
            "the words of the key are in the other order",
            _out(_swapped_words),
            dtypes=("uint32", "int32", "int64", "uint64"),
        ),
        Fault(
            "high-word-lost",
            "of a long seed the upper word is lost",
            _out(lambda x: x >> np.uint64(32) << np.uint64(32) if x.dtype == np.uint64 else x),
            dtypes=("int64", "uint64"),
        ),
        Fault(
            "sign-spreads",
            "of a negative seed the sign fills the upper word",
            _out(
                lambda x: np.where(x >> np.uint64(63) != 0, x | np.uint64(0xFFFFFFFF), x) if x.dtype == np.uint64 else x
            ),
            dtypes=("int32", "uint32"),
        ),
    ),
    "random_fold_in": (
        Fault("key-ignored", "the key counts as zero", _key(np.zeros_like), dtypes=KEYS),
        Fault(
            "number-ignored",
            "the number counts as zero",
            lambda c: c.right([c.operands[0], np.zeros_like(c.operands[1])], c.params),
            dtypes=KEYS,
        ),
        Fault("folded-twice", "the number is folded in twice", _folded_twice, dtypes=KEYS),
        Fault("words-swapped", "the words of the key are in the other order", _out(_swapped_words), dtypes=KEYS),
        Fault(
            "nothing",
            "the key is given back",
            lambda c: [np.broadcast_to(c.operands[0], c()[0].shape).copy()],
            dtypes=KEYS,
        ),
    ),
    "random_wrap": (
        Fault("words-swapped", "the words are in the other order", _out(_swapped_words), dtypes=KEYS),
        Fault("first-for-all", "every key is the first one", _out(_first_for_all), dtypes=KEYS),
        Fault(
            "high-word-lost",
            "the second word is lost",
            _out(lambda x: x & np.uint64(0xFFFFFFFF) if x.dtype == np.uint64 else np.zeros_like(x)),
            dtypes=KEYS,
        ),
    ),
    "random_unwrap": (
        Fault(
            "words-swapped",
            "the words are in the other order",
            _out(lambda x: np.flip(x, -1) if x.ndim else x),
            dtypes=KEYS,
        ),
        Fault("first-for-all", "every key is the first one", _out(_first_for_all), dtypes=KEYS),
        Fault(
            "low-word-lost",
            "the first word is lost",
            _out(lambda x: x * (np.arange(x.shape[-1]) > 0).astype(x.dtype) if x.ndim else x),
            dtypes=KEYS,
        ),
    ),
    "random_clone": (
        Fault("zero", "nothing is written", _out(np.zeros_like), dtypes=KEYS),
        Fault("words-swapped", "the words are in the other order", _out(_swapped_words), dtypes=KEYS),
        Fault("first-for-all", "every key is the first one", _out(_first_for_all), dtypes=KEYS),
        Fault("plus-one", "it is another key", _out(lambda x: x + x.dtype.type(1)), dtypes=KEYS),
    ),
    "threefry2x32": (
        Fault(
            "key-words-swapped",
            "the words of the key are taken in the other order",
            _hash(lambda a, b, x, y: [b, a, x, y]),
            dtypes=KEYS,
        ),
        Fault(
            "counter-words-swapped",
            "the words of the counter are taken in the other order",
            _hash(lambda a, b, x, y: [a, b, y, x]),
            dtypes=KEYS,
        ),
        Fault(
            "results-swapped", "the words of the result come out in the other order", lambda c: c()[::-1], dtypes=KEYS
        ),
        Fault(
            "key-ignored",
            "the key counts as zero",
            _hash(lambda a, b, x, y: [np.zeros_like(a), np.zeros_like(b), x, y]),
            dtypes=KEYS,
        ),
        Fault("carry-spreads", "a carry reaches the other word", _wrapped_late, dtypes=KEYS),
        Fault(
            "last-round-lost", "the last round's mixing is left out", lambda c: [c()[0], c()[1] ^ c()[0]], dtypes=KEYS
        ),
    ),
    "rng_bit_generator": (
        Fault("state-ignored", "the state counts as zero", _key(np.zeros_like), dtypes=KEYS),
        Fault(
            "state-not-moved",
            "the state comes out as it went in",
            lambda c: [c.operands[0].copy().reshape(c()[0].shape), *c()[1:]],
            dtypes=KEYS,
        ),
        Fault(
            "second-half-repeats",
            "the second half of the bits is the first again",
            lambda c: [c()[0], *[_repeated(x).astype(x.dtype).reshape(x.shape) for x in c()[1:]]],
            dtypes=KEYS,
        ),
        Fault(
            "low-bit-lost",
            "the lowest bit is always 0",
            lambda c: [c()[0], *[_low_bit_lost(x) for x in c()[1:]]],
            dtypes=KEYS,
        ),
        Fault(
            "pairs-swapped",
            "neighbours are swapped",
            lambda c: [c()[0], *[_pairs_swapped(x).reshape(x.shape) for x in c()[1:]]],
            dtypes=KEYS,
        ),
    ),
}
