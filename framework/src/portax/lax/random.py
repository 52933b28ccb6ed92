"""Random bits from a state, by the generators that StableHLO names."""

from __future__ import annotations

from typing import Any

from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.lax.operands import as_operand
from portax.lax.requests import RandomAlgorithm
from portax.primitives import rng_bit_generator as primitive

laying = lazy("portax.higher_order.laying")


def rng_bit_generator(
    key: Any, shape: Any, dtype: Any = "uint32", algorithm: Any = RandomAlgorithm.RNG_DEFAULT, *,
    out_sharding: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Random bits, and the state from which further ones are made; the bits are those of JAX on the CPU.

    Parameters
    ----------
    key : array uint32[4] or uint64[2]
        The state. Under ``vmap`` each state gives its own bits, where JAX takes all from the first.
    shape : tuple of int
    dtype : {"uint8", "uint16", "uint32", "uint64"}
    algorithm : RandomAlgorithm
    out_sharding : Sharding or PartitionSpec, optional
        How the bits are to lie on their devices.

    Returns
    -------
    Two Arrays: the new state, and bits of ``shape`` and ``dtype``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> state, bits = lax.rng_bit_generator(pnp.arange(4, dtype="uint32"), (2,))
    >>> bits.shape, state.tolist()
    ((2,), [0, 1, 3, 3])
    """
    after, bits = primitive(
        as_operand(key, "rng_bit_generator"), shape=tuple(int(n) for n in shape),
        dtype=user_dtype(dtype, "rng_bit_generator"), algorithm=RandomAlgorithm(algorithm).name,
    )  # fmt: skip
    return after, bits if out_sharding is None else laying.laid(bits, out_sharding)
