"""Bitwise logic, shifts and counting bits.

An integer is its two's complement bits; signed or not only matters to ``shift_right_arithmetic`` (which copies the
top bit, whatever the dtype says) and to ``mulhi``. A shift amount is read without sign, and one of at least the
number of bits shifts everything out: the result is 0, or copies of the top bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import registry
from portax.primitives.arithmetic import add, mul, sub
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.comparison import lt, select_n
from portax.primitives.elementwise import Elementwise

BITS = ("bool", "int", "uint")
INTEGERS = ("int", "uint")

_UNSIGNED = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16), 4: np.dtype(np.uint32), 8: np.dtype(np.uint64)}
_SIGNED = {1: np.dtype(np.int8), 2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def _row(*args: Any, **slots: Any) -> Elementwise:
    return registry.add(Elementwise(*args, **slots))


def as_unsigned(x: np.ndarray) -> np.ndarray:
    """The bits as an unsigned integer; of dtypes below a byte, those of a byte with zeros above."""
    if dtypes.is_narrow(x.dtype):
        return x.astype(np.int8).view(np.uint8) & np.uint8((1 << dtypes.bits(x.dtype)) - 1)
    return x.view(_UNSIGNED[x.dtype.itemsize])


def as_signed(x: np.ndarray) -> np.ndarray:
    """The bits as a signed integer; the top bit of dtypes below a byte is copied upwards."""
    if dtypes.is_narrow(x.dtype):
        spare = np.int8(8 - dtypes.bits(x.dtype))
        return np.right_shift(np.left_shift(x.astype(np.int8), spare), spare)
    return x.view(_SIGNED[x.dtype.itemsize])


def _back(bits: np.ndarray, dtype: Any) -> np.ndarray:
    if not dtypes.is_narrow(dtype):
        return bits.view(dtype)
    spare = np.int8(8 - dtypes.bits(dtype))
    wide = np.left_shift(bits.view(np.int8), spare)
    if dtypes.is_signed(dtype):
        return np.right_shift(wide, spare).astype(dtype)
    return np.right_shift(wide.view(np.uint8), spare.view(np.uint8)).astype(dtype)


def pattern(bits: int, dtype: Any) -> np.ndarray:
    """The scalar of an integer dtype with these bits; those that do not fit are dropped."""
    width = dtypes.bits(dtype)
    bits &= (1 << width) - 1
    if dtypes.is_signed(dtype) and bits >> (width - 1):
        bits -= 1 << width
    return np.asarray(bits, np.int64 if dtypes.is_signed(dtype) else np.uint64).astype(dtype)


def _logic(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    def reference(*xs: np.ndarray) -> np.ndarray:
        dtype = xs[0].dtype
        if dtypes.is_narrow(dtype):
            return _back(ufunc(*(as_unsigned(x) for x in xs)), dtype)
        return ufunc(*xs)

    return reference


and_ = _row(
    "and",
    _logic(np.bitwise_and),
    arity=2,
    doc="``x & y``, bit by bit; of booleans whether both hold.\n",
    kinds=BITS,
    stablehlo="and",
    required=True,
)

xor = _row(
    "xor",
    _logic(np.bitwise_xor),
    arity=2,
    doc="``x ^ y``, bit by bit; of booleans whether they differ.\n",
    kinds=BITS,
    stablehlo="xor",
    required=True,
)

or_ = _row(
    "or",
    _logic(np.bitwise_or),
    arity=2,
    doc="``x | y``, bit by bit; of booleans whether one holds.\n",
    kinds=BITS,
    decompose=lambda x, y: xor(xor(x, y), and_(x, y)),
    stablehlo="or",
)

_ALL = {np.dtype(bool): np.asarray(True)}


def _ones(dtype: Any) -> np.ndarray:
    known = _ALL.get(dtype)
    return pattern(-1, dtype) if known is None else known


not_ = _row(
    "not",
    _logic(np.invert),
    doc="``~x``, bit by bit; of a boolean whether it does not hold.\n",
    kinds=BITS,
    decompose=lambda x: xor(x, _ones(x.dtype)),
    stablehlo="not",
)


# NumPy's shifts are total as ours are: an amount that is negative or too large shifts everything out.
def _left_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _back(np.left_shift(as_unsigned(x), as_unsigned(y)), x.dtype)


def _logical_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _back(np.right_shift(as_unsigned(x), as_unsigned(y)), x.dtype)


def _arithmetic_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    y = as_unsigned(y)
    # NumPy wants amounts of the dtype of x; one past the sign bit is as good as any larger.
    y = np.minimum(y, np.asarray(8 * y.dtype.itemsize - 1, y.dtype)).view(_SIGNED[y.dtype.itemsize])
    return _back(np.right_shift(as_signed(x), y), x.dtype)


_SHIFTS = {"arity": 2, "kinds": INTEGERS, "domain": ((-100, 100), (0, 9))}

shift_left = _row(
    "shift_left",
    _left_reference,
    doc="""``x`` moved ``y`` bits up, zeros moving in.

0 where ``y``, read without sign, is at least the number of bits.
""",
    stablehlo="shift_left",
    required=True,
    **_SHIFTS,
)

shift_right_logical = _row(
    "shift_right_logical",
    _logical_reference,
    doc="""``x`` moved ``y`` bits down, zeros moving in.

0 where ``y``, read without sign, is at least the number of bits.
""",
    stablehlo="shift_right_logical",
    required=True,
    **_SHIFTS,
)


def _top_bit(x: Any) -> Any:
    """Whether the highest bit is set."""
    if dtypes.is_signed(x.dtype):
        return lt(x, pattern(0, x.dtype))
    return lt(pattern((1 << (dtypes.bits(x.dtype) - 1)) - 1, x.dtype), x)


def _arithmetic_steps(x: Any, y: Any) -> Any:
    """Complementing a number with the top bit set before and after lets zeros move in as ones."""
    ones = _ones(x.dtype)
    top = _top_bit(x)
    plain, flipped = shift_right_logical(x, y), xor(shift_right_logical(xor(x, ones), y), ones)
    return select_n(broadcast_to(top, plain.shape), plain, flipped)


shift_right_arithmetic = _row(
    "shift_right_arithmetic",
    _arithmetic_reference,
    doc="""``x`` moved ``y`` bits down, copies of its top bit moving in.

Only copies of the top bit where ``y``, read without sign, is at least the number of bits. The top bit is copied for
unsigned dtypes too.
""",
    decompose=_arithmetic_steps,
    stablehlo="shift_right_arithmetic",
    **_SHIFTS,
)


def _count_reference(x: np.ndarray) -> np.ndarray:
    return np.bitwise_count(as_unsigned(x)).astype(x.dtype)


def _repeat(byte: int, width: int) -> int:
    return int.from_bytes(bytes([byte]) * max(width // 8, 1), "little")


def _count_steps(x: Any) -> Any:
    """Sums of neighbouring bits, pairs and nibbles, then all bytes added by one product."""
    dtype, width = x.dtype, dtypes.bits(x.dtype)

    def mask(byte: int) -> np.ndarray:
        return pattern(_repeat(byte, width), dtype)

    def down(v: Any, n: int) -> Any:
        return shift_right_logical(v, pattern(n, dtype))

    if width == 1:
        return x
    x = sub(x, and_(down(x, 1), mask(0x55)))
    if width == 2:
        return x
    x = add(and_(x, mask(0x33)), and_(down(x, 2), mask(0x33)))
    if width == 4:
        return x
    x = and_(add(x, down(x, 4)), mask(0x0F))
    return x if width == 8 else down(mul(x, mask(0x01)), width - 8)


population_count = _row(
    "population_count",
    _count_reference,
    doc="""The number of bits of ``x`` that are set, in the dtype of ``x``.

References
----------
Warren, Hacker's Delight, 5-1.
""",
    kinds=INTEGERS,
    decompose=_count_steps,
    stablehlo="popcnt",
)


def _bit_length(x: np.ndarray) -> np.ndarray:
    """How many bits of an unsigned integer are left without its leading zeros."""
    if x.dtype.itemsize == 8:
        high = (x >> np.uint64(32)).astype(np.uint32)
        low = x.astype(np.uint32)
        return np.where(high != 0, _bit_length(high) + 32, _bit_length(low))
    return np.frexp(x.astype(np.float64))[1]  # exact: 32 bits fit in a float64


def _clz_reference(x: np.ndarray) -> np.ndarray:
    return np.asarray(dtypes.bits(x.dtype) - _bit_length(as_unsigned(x))).astype(x.dtype)


def _clz_steps(x: Any) -> Any:
    """Copies the highest set bit to all places below it; what is then not set leads."""
    dtype, step = x.dtype, 1
    while step < dtypes.bits(dtype):
        x = or_(x, shift_right_logical(x, pattern(step, dtype)))
        step *= 2
    return population_count(not_(x))


def _clz_lowering(b: Any, x: Any) -> Any:
    """Of unsigned bits: where XLA computes it of a negative constant in advance, it counts wrongly."""
    if not dtypes.is_signed(x.dtype):
        return b.unary("count_leading_zeros", x)
    bits = b.bitcast(x, x.shape, np.dtype(f"uint{dtypes.bits(x.dtype)}"))
    return b.bitcast(b.unary("count_leading_zeros", bits), x.shape, x.dtype)


clz = _row(
    "clz",
    _clz_reference,
    doc="""The number of zero bits above the highest bit of ``x`` that is set; all bits where ``x`` is 0.

References
----------
Warren, Hacker's Delight, 5-3.
""",
    kinds=INTEGERS,
    decompose=_clz_steps,
    stablehlo=_clz_lowering,
)


def _mulhi_halves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The upper half of the product of two uint64."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    x0, x1, y0, y1 = x & low, x >> half, y & low, y >> half
    t = x1 * y0 + ((x0 * y0) >> half)
    w = x0 * y1 + (t & low)
    return x1 * y1 + (t >> half) + (w >> half)


def _mulhi_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    dtype = x.dtype
    width = dtypes.bits(dtype)
    if width < 64:
        wide = np.int64 if dtypes.is_signed(dtype) else np.uint64
        return np.right_shift(x.astype(wide) * y.astype(wide), wide(width)).astype(dtype)
    high = _mulhi_halves(as_unsigned(x), as_unsigned(y)).view(dtype)
    if not dtypes.is_signed(dtype):
        return high
    zero = np.int64(0)
    return high - np.where(x < 0, y, zero) - np.where(y < 0, x, zero)


def _mulhi_steps(x: Any, y: Any) -> Any:
    """Schoolbook multiplication of halves; a negative factor counts as 2^n more and is corrected for."""
    dtype = x.dtype
    half = dtypes.bits(dtype) // 2
    amount, mask = pattern(half, dtype), pattern((1 << half) - 1, dtype)

    def low(v: Any) -> Any:
        return and_(v, mask)

    def high(v: Any) -> Any:
        return shift_right_logical(v, amount)

    t = add(mul(high(x), low(y)), high(mul(low(x), low(y))))
    w = add(mul(low(x), high(y)), low(t))
    out = add(add(mul(high(x), high(y)), high(t)), high(w))
    if not dtypes.is_signed(dtype):
        return out
    sign = pattern(dtypes.bits(dtype) - 1, dtype)
    # All ones where the other factor is negative, so the product's correction is an `and`.
    out = sub(out, and_(shift_right_arithmetic(x, sign), y))
    return sub(out, and_(shift_right_arithmetic(y, sign), x))


mulhi = _row(
    "mulhi",
    _mulhi_reference,
    arity=2,
    doc="""The upper half of the bits of ``x * y``, taken at twice the width.

References
----------
Warren, Hacker's Delight, 8-2.
""",
    kinds=INTEGERS,
    decompose=_mulhi_steps,  # jaxlib 0.10.0 does not know chlo.mulhi
    domain=(-100, 100),
)

__all__ = [
    "BITS", "INTEGERS", "and_", "as_signed", "as_unsigned", "clz", "mulhi", "not_", "or_", "pattern",
    "population_count", "shift_left", "shift_right_arithmetic", "shift_right_logical", "xor",
]  # fmt: skip
