"""Products of block-scaled low precision numbers.

A block is a run of numbers along the last axis that share a scale: the number meant is the stored one times the scale.
Where a device has no instruction for such products, which is everywhere so far, the numbers meant are multiplied in
float32: the results are those of the definition, without its speed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.core.dtypes import user_dtype
from portax.errors import ArgumentError, ShapeError
from portax.higher_order.custom_vjp import custom_vjp
from portax.lax.elementwise import bitcast_convert_type
from portax.lax.products import dot_general

_E2M1, _E4M3, _E8M0 = (
    user_dtype(name, "scaled_dot_general") for name in ("float4_e2m1fn", "float8_e4m3fn", "float8_e8m0fnu")
)


@dataclasses.dataclass
class BlockScaleConfig:
    """How to quantize an operand to blocks.

    Attributes
    ----------
    mode : {"mxfp8", "nvfp4"}
    block_size : int
        Numbers that share a scale.
    data_type, scale_type : dtype
    global_scale : Array of shape (1,), or None
        A scale shared by all blocks.
    infer_only : bool
        No derivative is asked for.
    """

    mode: str
    block_size: int
    data_type: Any
    scale_type: Any
    global_scale: Any
    infer_only: bool = False


def get_scaled_dot_general_config(mode: str, global_scale: Any = None) -> BlockScaleConfig:
    """How ``scaled_dot_general`` quantizes an operand.

    Parameters
    ----------
    mode : {"mxfp8", "nvfp4"}
        Blocks of 32 numbers float8_e4m3fn with scales float8_e8m0fnu, powers of two; or of 16 numbers float4_e2m1fn
        with scales float8_e4m3fn.
    global_scale : Array of shape (1,), optional
        With "nvfp4": divides all numbers first; 1 by default.

    Raises
    ------
    ArgumentError
        There is no such mode, or "mxfp8" was given a ``global_scale``.

    References
    ----------
    Open Compute Project, Microscaling formats (MX) specification, version 1.0, 2023.

    Examples
    --------
    >>> import portax
    >>> portax.nn.get_scaled_dot_general_config("mxfp8").block_size
    32
    """
    if mode == "mxfp8":
        if global_scale is not None:
            raise ArgumentError(wrong='the mode "mxfp8" has no global_scale', fix='Leave it out, or use "nvfp4"')
        return BlockScaleConfig(mode, 32, _E4M3, _E8M0, None)
    if mode == "nvfp4":
        scale = pnp.ones((1,), dtypes.float32) if global_scale is None else global_scale
        return BlockScaleConfig(mode, 16, _E2M1, _E4M3, scale)
    raise ArgumentError(
        wrong=f"get_scaled_dot_general_config knows no mode {mode!r}", fix='Give "mxfp8" or "nvfp4"'
    )


def scaled_matmul(
    lhs: Any, rhs: Any, lhs_scales: Any, rhs_scales: Any, preferred_element_type: Any = np.float32
) -> Any:
    """The products of rows of ``lhs`` and rows of ``rhs``, each number times the scale of its block.

    Parameters
    ----------
    lhs : array of shape (B, M, K)
    rhs : array of shape (B, N, K)
    lhs_scales : array of shape (B, M, K / block)
    rhs_scales : array of shape (B, N, K / block)
    preferred_element_type : dtype
        Of the result; the sums are made in float32.

    Returns
    -------
    Array of shape (B, M, N)

    Raises
    ------
    ShapeError
        The shapes do not fit together.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import nn
    >>> a, b, half = pnp.array([[[1, 2, 3]]]), pnp.array([[[4, 5, 6]]]), pnp.array([[[0.5]]])
    >>> nn.scaled_matmul(a, b, half, half).tolist()
    [[[8.0]]]
    """
    a, b, a_scales, b_scales = (pnp.asarray(x) for x in (lhs, rhs, lhs_scales, rhs_scales))
    given = ", ".join(str(x.aval) for x in (a, b, a_scales, b_scales))
    if any(x.ndim != 3 for x in (a, b, a_scales, b_scales)):
        raise ShapeError(wrong=f"scaled_matmul takes arrays of three axes, got {given}", fix="Add a batch axis")
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[2]:
        raise ShapeError(
            wrong=f"scaled_matmul needs lhs and rhs of one batch size and one length of rows, got {given}",
            fix="Give (B, M, K) and (B, N, K)",
        )
    blocks = a_scales.shape[2]
    fits = a_scales.shape == (*a.shape[:2], blocks) and b_scales.shape == (*b.shape[:2], blocks)
    if not fits or not blocks or a.shape[2] % blocks:
        raise ShapeError(
            wrong=f"scaled_matmul needs scales for equal blocks of each row, got {given}",
            fix="Give (B, M, K / block) and (B, N, K / block)",
        )
    wide = dtypes.float32
    a, b = (
        (pnp.reshape(x.astype(wide), (*scales.shape, -1)) * scales.astype(wide)[..., None]).reshape(x.shape)
        for x, scales in ((a, a_scales), (b, b_scales))
    )
    out = dot_general(a, b, (((2,), (2,)), ((0,), (0,))), preferred_element_type=wide)
    return out.astype(user_dtype(preferred_element_type, "scaled_matmul"))


def scaled_dot_general(
    lhs: Any, rhs: Any, dimension_numbers: Any, preferred_element_type: Any = np.float32,
    configs: Sequence[BlockScaleConfig] | None = None, implementation: str | None = None,
) -> Any:  # fmt: skip
    """``lax.dot_general`` of operands quantized to blocks, and differentiable as if quantizing changed nothing.

    Parameters
    ----------
    lhs, rhs : arrays
    dimension_numbers : ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))
        As for ``lax.dot_general``.
    preferred_element_type : dtype
        Of the result.
    configs : three of `get_scaled_dot_general_config`, optional
        For ``lhs``, ``rhs`` and the cotangent. Without them nothing is quantized.
    implementation : ignored

    Returns
    -------
    Array: batch axes, then the other axes of ``lhs``, then those of ``rhs``

    Raises
    ------
    ShapeError
        The length of the contraction is no multiple of the block.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import nn
    >>> configs = [nn.get_scaled_dot_general_config("mxfp8")] * 3
    >>> x = pnp.ones((2, 32))
    >>> nn.scaled_dot_general(x, x, (((1,), (1,)), ((), ())), configs=configs).tolist()
    [[32.0, 32.0], [32.0, 32.0]]
    """
    lhs, rhs = pnp.asarray(lhs), pnp.asarray(rhs)
    dtype = user_dtype(preferred_element_type, "scaled_dot_general")
    if configs is None:
        return dot_general(lhs, rhs, dimension_numbers, preferred_element_type=dtype)
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = dimension_numbers
    a, batch, lhs_free = _rows(lhs, lhs_contract, lhs_batch)
    b, _, rhs_free = _rows(rhs, rhs_contract, rhs_batch)
    out = _scaled_rows(tuple(configs), dtype)(a, b)
    return pnp.reshape(out, (*batch, *lhs_free, *rhs_free))


def _rows(x: Any, contract: Sequence[int], batch: Sequence[int]) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """``x`` as (batch, free, contracted), and the lengths of the axes gathered in the first two."""
    contract, batch = [a % x.ndim for a in contract], [a % x.ndim for a in batch]
    free = [a for a in range(x.ndim) if a not in contract and a not in batch]
    lengths = [tuple(x.shape[a] for a in axes) for axes in (batch, free, contract)]
    rows = pnp.transpose(x, (*batch, *free, *contract))
    return pnp.reshape(rows, tuple(int(np.prod(n)) for n in lengths)), lengths[0], lengths[1]


def _scaled_rows(configs: tuple[BlockScaleConfig, ...], dtype: Any) -> Any:
    """The differentiable product of the rows of (B, M, K) and (B, N, K)."""

    def product(a: Any, b: Any, of_a: BlockScaleConfig, of_b: BlockScaleConfig) -> Any:
        out = scaled_matmul(*_interleaved(_quantized(a, of_a), _quantized(b, of_b)), dtype)
        if of_a.global_scale is None or of_b.global_scale is None:
            return out
        return out * (of_a.global_scale * of_b.global_scale).astype(out.dtype)

    @custom_vjp
    def rows(a: Any, b: Any) -> Any:
        return product(a, b, configs[0], configs[1])

    def forward(a: Any, b: Any) -> Any:
        return rows(a, b), (a, b)

    def backward(operands: Any, ct: Any) -> Any:
        a, b = operands
        if configs[2].mode == "nvfp4":
            # Four bits are too few for cotangents: the products are plain, and stop where numbers are cut off.
            to_a, to_b = _plain(ct, b), _plain(pnp.swapaxes(ct, 1, 2), a)
            to_a, to_b = (_within(x, g, c) for x, g, c in zip((a, b), (to_a, to_b), configs[:2], strict=True))
        else:
            to_a = product(ct, pnp.swapaxes(b, 1, 2), configs[2], configs[1])
            to_b = product(pnp.swapaxes(ct, 1, 2), pnp.swapaxes(a, 1, 2), configs[2], configs[0])
        return to_a.astype(a.dtype), to_b.astype(b.dtype)

    rows.defvjp(forward, backward)
    return rows


def _plain(a: Any, b: Any) -> Any:
    """(B, M, N) times (B, N, K)."""
    return dot_general(a.astype(b.dtype), b, (((2,), (1,)), ((0,), (0,))), preferred_element_type=dtypes.float32)


def _within(x: Any, ct: Any, config: BlockScaleConfig) -> Any:
    """``ct`` where ``x`` is not beyond the greatest number that can be stored."""
    greatest = float(dtypes.finfo(config.data_type).max) * float(dtypes.finfo(config.scale_type).max)
    return pnp.where(pnp.abs(x) <= greatest * config.global_scale, ct, 0)


def _interleaved(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    return a[0], b[0], a[1], b[1]


def _quantized(x: Any, config: BlockScaleConfig) -> tuple[Any, Any]:
    """The stored numbers and the scales of their blocks."""
    size, n = config.block_size, x.shape[-1]
    if n % size:
        raise ShapeError(
            wrong=f"{config.mode} needs contractions whose length is a multiple of {size}, got {x.aval}",
            fix="Pad the contracted axis with zeros; derivatives contract the other axes, so they count too",
        )
    blocks = pnp.reshape(x, (*x.shape[:-1], n // size, size)).astype(dtypes.float32)
    if config.global_scale is not None:
        blocks = blocks / config.global_scale
    limit = float(dtypes.finfo(config.data_type).max)
    scale = pnp.max(pnp.abs(blocks), -1, keepdims=True) / limit
    if config.scale_type == _E8M0:
        stored, scale = _power_of_two(scale)
    else:
        stored = pnp.clip(scale, 0, float(dtypes.finfo(config.scale_type).max)).astype(config.scale_type)
        scale = stored.astype(dtypes.float32)
        scale = pnp.where(scale == 0, 1, scale)  # a block of zeros
    numbers = pnp.clip(blocks / scale, -limit, limit).astype(config.data_type)
    return pnp.reshape(numbers, x.shape), stored[..., 0]


def _power_of_two(x: Any) -> tuple[Any, Any]:
    """The next power of two at or above ``x``, as float8_e8m0fnu and as float32."""
    bits = bitcast_convert_type(x, dtypes.uint32)
    exponent, mantissa = bits >> 23, bits & 0x7FFFFF
    # Below 2**-127, the least power, nothing is to be rounded up; above the greatest there is none.
    up = (mantissa > 0) & (exponent != 254) & ~((exponent == 0) & (mantissa <= 0x400000))
    exponent = exponent + up.astype(dtypes.uint32)
    value = bitcast_convert_type(exponent << 23, dtypes.float32)
    stored = bitcast_convert_type(exponent.astype(dtypes.uint8), _E8M0)
    return stored, pnp.where(exponent == 0, 2.0**-127, value)
