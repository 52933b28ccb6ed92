"""Keys: made from a seed, split, folded in, and opened to their words.

A key is used once, then replaced by keys made from it. Typed keys come from ``key``; ``PRNGKey`` gives the raw words,
uint32[2], which every function takes as well and answers in kind.

There are three generators. ``threefry2x32``, the default, gives each number a hash of its own, so ``vmap`` over keys is
exact. ``rbg`` and ``unsafe_rbg`` give Philox's stream, from keys of four words: cheaper numbers, and a batch of keys
under ``vmap`` is answered out of the first key's stream. Raw words are taken for keys of ``jax_default_prng_impl``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.config import config
from portax.core.dtypes import KeyDtype
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.numpy.promotion import as_array
from portax.primitives.conversion import convert
from portax.primitives.random_bits import (
    random_clone,
    random_fold_in,
    random_seed,
    random_split,
    random_unwrap,
    random_wrap,
)
from portax.random.sampling import sizes, typed_key


def _generator(impl: Any, dtype: Any, name: str) -> str:
    """The generator asked for by name or by the dtype of its keys."""
    if impl is not None and dtype is not None:
        raise ArgumentError(wrong=f"{name} was given both impl and dtype", fix="Give one of them")
    asked = impl if dtype is None else dtype
    if asked is None:
        return config.default_prng_impl
    if type(asked) is KeyDtype:
        return asked.impl
    if not isinstance(asked, str):
        raise ArgumentError(
            wrong=f"{name} was asked for the random generator {asked!r}", fix='Name it, for example "threefry2x32"'
        )
    return KeyDtype(asked).impl


def key_dtype(impl_spec: Any = None) -> KeyDtype:
    """The dtype of the keys of a generator.

    Parameters
    ----------
    impl_spec : str, optional
        "threefry2x32", the default, "rbg" or "unsafe_rbg".

    Examples
    --------
    >>> key_dtype()
    key<fry>
    """
    return KeyDtype(_generator(impl_spec, None, "key_dtype"))


def _seeded(seed: Any, impl: str, name: str) -> Any:
    if isinstance(seed, int) and not isinstance(seed, bool):
        if not -(2**63) <= seed < 2**63:
            raise ArgumentError(
                wrong=f"{name} takes a seed of at most 64 bits, got {seed}",
                fix="Give an int between -2**63 and 2**63 - 1",
            )
        # Not as a Python number: where 64-bit dtypes are off a large one keeps its low half.
        whole = np.asarray(seed, np.int64)
        seed = as_array(whole if config.enable_x64 else whole.astype(np.int32), name)
    seed = as_array(seed, name)
    if dtypes.is_key(seed.dtype):
        raise DtypeError(wrong=f"{name} takes an integer seed, got a random key", fix="Use split or fold_in")
    if seed.shape:
        raise ShapeError(
            wrong=f"{name} takes one seed, got an array of shape {seed.shape}", fix="Use vmap over the seeds"
        )
    if config.random_seed_offset:  # pyright: ignore[reportAttributeAccessIssue]
        seed = seed + config.random_seed_offset  # pyright: ignore[reportAttributeAccessIssue]
    return random_seed(seed, impl=impl)


def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> Array:
    """A typed random key from an integer.

    Parameters
    ----------
    seed : int or integer array of rank 0
    impl : str, optional
        The generator: "threefry2x32", "rbg" or "unsafe_rbg"; by default what ``default_prng_impl`` says.
    dtype : key dtype or str, optional
        The same said by the dtype of the key.

    Returns
    -------
    Array of rank 0, of a key dtype

    Raises
    ------
    DtypeError
        ``seed`` is no integer.
    ShapeError
        It is more than one.

    Examples
    --------
    >>> from portax import random
    >>> random.key(0)
    Array(key<fry>[])
    """
    return _seeded(seed, _generator(impl, dtype, "key"), "key")


def PRNGKey(seed: Any, *, impl: Any = None) -> Array:
    """A raw random key from an integer: uint32[2], or of ``rbg`` and ``unsafe_rbg`` uint32[4]. ``key`` is typed.

    Parameters
    ----------
    seed : int or integer array of rank 0
    impl : str, optional

    Examples
    --------
    >>> from portax import random
    >>> random.PRNGKey(0)
    Array([0, 0], dtype=uint32)
    """
    made = _seeded(seed, _generator(impl, None, "PRNGKey"), "PRNGKey")
    return made if config.enable_custom_prng else random_unwrap(made)  # pyright: ignore[reportAttributeAccessIssue]


def split(key: Any, num: int | Sequence[int] = 2) -> Array:
    """New keys from a key, which must not be used again.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    num : int or tuple of int
        How many, or the shape of the array of keys.

    Returns
    -------
    Array of keys, of shape (num,) or ``num``; raw keys have one more axis, of their words

    Examples
    --------
    >>> from portax import random
    >>> random.split(random.key(0), 3).shape
    (3,)
    """
    typed, raw = typed_key(key, "split")
    keys = random_split(typed, shape=sizes(num if isinstance(num, tuple | list) else (num,), "split"))
    return random_unwrap(keys) if raw else keys


def fold_in(key: Any, data: Any) -> Array:
    """A new key from a key and an integer, for example the number of a step.

    Parameters
    ----------
    key : Array
        A key, typed or raw.
    data : int or integer array of rank 0
        Its low 32 bits count.

    Examples
    --------
    >>> portax.random.key_data(portax.random.fold_in(portax.random.key(0), 7)).shape
    (2,)
    """
    typed, raw = typed_key(key, "fold_in")
    if type(data) is int:
        if not 0 <= data <= 0xFFFFFFFF:
            raise ArgumentError(wrong=f"fold_in takes 32-bit data, got {data}", fix="Give 0 <= data < 2**32")
        data = as_array(np.asarray(data, np.uint32), "fold_in")
    data = as_array(data, "fold_in")
    if data.shape:
        raise ShapeError(
            wrong=f"fold_in takes one integer, got an array of shape {data.shape}", fix="Use vmap over the data"
        )
    folded = random_fold_in(typed, convert(data, dtypes.uint32))
    return random_unwrap(folded) if raw else folded


def key_data(keys: Any) -> Array:
    """The words of keys, uint32 of shape (*keys.shape, 2), or (*keys.shape, 4) of ``rbg`` and ``unsafe_rbg``.

    Examples
    --------
    >>> from portax import random
    >>> random.key_data(random.key(7))
    Array([0, 7], dtype=uint32)
    >>> random.key_data(random.key(7, impl="rbg"))
    Array([0, 7, 0, 7], dtype=uint32)
    """
    return random_unwrap(typed_key(keys, "key_data", batched=True)[0])


def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> Array:
    """Typed keys from their words.

    Parameters
    ----------
    key_bits_array : Array of uint32, of shape (..., 2), or (..., 4) for ``rbg`` and ``unsafe_rbg``
    impl, dtype : optional
        The generator, as for ``key``.

    Examples
    --------
    >>> portax.random.wrap_key_data(np.zeros(2, np.uint32)).shape
    ()
    """
    return random_wrap(
        as_array(key_bits_array, "wrap_key_data"), impl=_generator(impl, dtype, "wrap_key_data")
    )


def key_impl(keys: Any) -> str:
    """The name of the keys' generator.

    Examples
    --------
    >>> from portax import random
    >>> random.key_impl(random.key(0))
    'threefry2x32'
    """
    return typed_key(keys, "key_impl", batched=True)[0].dtype.impl


def clone(key: Any) -> Array:
    """The same key, for a second use that is meant.

    Parameters
    ----------
    key : Array
        Keys, typed or raw.

    Returns
    -------
    Array of keys, typed or raw as given

    Examples
    --------
    >>> from portax import random
    >>> random.clone(random.PRNGKey(7)).tolist()
    [0, 7]
    """
    typed, raw = typed_key(key, "clone", batched=True)
    cloned = random_clone(typed)
    return random_unwrap(cloned) if raw else cloned
