"""The same numbers, or the same bits, in another dtype; and rounding to fewer bits, and stepping by one.

Rounding is to nearest, ties to even. Conversions are total: a float too large for an integer dtype gives the nearest
integer there is, NaN gives 0, integers wrap around.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import add, neg, sub
from portax.primitives.bits import and_, or_, pattern, shift_right_logical, xor
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.comparison import eq, lt, ne, select_n
from portax.primitives.elementwise import ALL, Elementwise


def to_integers(x: np.ndarray, dtype: Any) -> np.ndarray:
    """Floats towards 0 as integers of ``dtype``, the nearest where they do not fit, 0 for NaN."""
    if dtypes.is_narrow(x.dtype) or x.dtype == dtypes.bfloat16:
        x = x.astype(np.float32)
    if not x.size:
        return x.astype(dtype)
    low, above, wide = _bounds(x.dtype, dtype)
    # False for NaN too. The rest is for the rare array in which something does not fit.
    if low <= np.minimum.reduce(x, axis=None) and np.maximum.reduce(x, axis=None) < above:
        return x.astype(wide).astype(dtype, copy=False)
    info = dtypes.iinfo(dtype)
    fits = np.where((x >= low) & (x < above), x, x.dtype.type(0)).astype(wide)
    out = np.where(x < low, wide.type(int(info.min)), np.where(x >= above, wide.type(int(info.max)), fits))
    return out.astype(dtype, copy=False)


@functools.cache
def _bounds(source: Any, dtype: Any) -> tuple[Any, Any, Any]:
    """The least value and the first too large, as floats, and a dtype that NumPy converts to.

    Both are powers of two or 0, so exact in every float dtype, or infinite where nothing but infinity is too large.
    """
    info = dtypes.iinfo(dtype)
    with np.errstate(over="ignore"):
        low, above = (np.float64(int(v)).astype(source) for v in (info.min, info.max + 1))
    return low, above, np.dtype(np.int8) if dtypes.is_narrow(dtype) else dtype


def converted(x: np.ndarray, dtype: Any) -> np.ndarray:
    """``x`` in another dtype, as ``convert_element_type`` defines it."""
    return _converter(x.dtype, dtype)(x)


@functools.cache
def _converter(source: Any, dtype: Any) -> Callable[[np.ndarray], np.ndarray]:
    """How arrays of one dtype become another; found out once."""
    if source == dtype or dtypes.is_key(dtype):
        return lambda x: x
    if dtypes.is_complex(source):
        if dtype == dtypes.bool_:
            return lambda x: x != 0
        if not dtypes.is_complex(dtype):
            of_real = _converter(dtypes.real_dtype(source), dtype)
            return lambda x: of_real(np.real(x))
    if dtypes.is_integer(dtype):
        if dtypes.is_float(source):
            return lambda x: to_integers(x, dtype)
        if dtypes.is_narrow(dtype):
            return lambda x: _wrapped(x, dtype)
    if dtypes.is_narrow(source) and dtypes.is_complex(dtype):
        return lambda x: x.astype(np.float32).astype(dtype)
    return lambda x: x.astype(dtype)


def _wrapped(x: np.ndarray, dtype: Any) -> np.ndarray:
    """The low bits of integers, as an integer dtype below a byte."""
    spare = np.int8(8 - dtypes.bits(dtype))
    wide = np.left_shift(x.astype(np.int8), spare)
    if dtypes.is_signed(dtype):
        return np.right_shift(wide, spare).astype(dtype)
    return np.right_shift(wide.view(np.uint8), spare.view(np.uint8)).astype(dtype)


class ConvertElementType(Elementwise):
    """``operand`` in another dtype.

    Integer to integer keeps the low bits. Floating point to integer rounds towards 0, gives the nearest integer of
    the dtype where that one does not fit, and 0 for NaN. To a floating dtype rounds to nearest, ties to even; what is
    too large becomes infinite, or NaN where the dtype has no infinity. To bool is ``operand != 0``. Complex to real
    takes the real part. bool counts as 0 and 1.

    Parameters
    ----------
    operand : Array, any dtype
    new_dtype : dtype, static
    weak_type : bool, static; whether the result gives way in promotion
    sharding : static; None, or how the result is laid out over devices

    Returns
    -------
    Array of the shape of ``operand``

    Notes
    -----
    A 64-bit number may be rounded twice, to float32 and then to a 16-bit or 8-bit float.
    """

    def abstract(self, *avals: Aval, new_dtype: Any, weak_type: bool = False, sharding: Any = None, **_: Any) -> Aval:
        (x,) = avals
        dtype = new_dtype if dtypes.is_key(new_dtype) else np.dtype(new_dtype)
        if dtypes.is_key(dtype) != dtypes.is_key(x.dtype) or (dtypes.is_key(dtype) and dtype != x.dtype):
            raise DtypeError(
                wrong=f"convert_element_type cannot turn {x.dtype.name} into {dtype.name}",
                fix="Use random.key_data and random.wrap_key_data to look inside random keys",
            )
        return Aval(x.shape, dtype, bool(weak_type))

    def samples(self, make: Any) -> Any:
        x = make((3, 4))
        if dtypes.is_key(aval_of(x).dtype):
            yield Sample(x, new_dtype=dtypes.KeyDtype(), weak_type=False, sharding=None, id="to-key")
            return
        for name in ("float32", "bfloat16", "int32", "uint8", "bool", "complex64"):
            yield Sample(make((3, 4)), new_dtype=np.dtype(name), weak_type=False, sharding=None, id=f"to-{name}")
        yield Sample(make((0, 2)), new_dtype=np.dtype("int8"), weak_type=False, sharding=None, id="empty")
        yield Sample(make(()), new_dtype=np.dtype("float32"), weak_type=True, sharding=None, id="weak")

    def refusals(self, make: Any) -> Any:
        bad = Sample(make((3,)), new_dtype=dtypes.KeyDtype(), weak_type=False, sharding=None)
        yield Refusal(bad, DtypeError, "into key<fry>")


def _convert_reference(x: np.ndarray, *, new_dtype: Any, weak_type: bool = False, sharding: Any = None) -> np.ndarray:
    return converted(x, new_dtype)


def _convert_stablehlo(b: Any, x: Any, *, new_dtype: Any, weak_type: bool = False, sharding: Any = None) -> Any:
    if new_dtype == dtypes.bool_ and dtypes.is_complex(x.aval.dtype):  # a compiler's conversion looks at the real part
        return b.compare(x, b.full(x.aval.shape, 0, x.aval.dtype), "NE")
    return b.convert(x, new_dtype)


def _convert_tangent(t: Any, out: Any, x: Any, *, new_dtype: Any, weak_type: bool = False, sharding: Any = None) -> Any:
    if not dtypes.is_inexact(new_dtype):
        return None
    return convert_element_type(t, new_dtype=new_dtype, weak_type=weak_type, sharding=sharding)


def _convert_transpose(ct: Any, x: Any, *, new_dtype: Any, weak_type: bool = False, sharding: Any = None) -> Any:
    return convert_element_type(ct, new_dtype=x.dtype, weak_type=x.aval.weak_type, sharding=None)


convert_element_type = registry.add(
    ConvertElementType(
        "convert_element_type",
        _convert_reference,
        doc=ConvertElementType.__doc__ or "",
        kinds=(*ALL, "key"),
        mixed=True,
        derivatives=[_convert_tangent],
        transpose=_convert_transpose,
        linear_in=(0,),
        stablehlo=_convert_stablehlo,
        budget={"default": 0, "float16": 1, "bfloat16": 1},
        required=True,
    )
)


def convert(x: Any, dtype: Any) -> Any:
    """``x`` in ``dtype``; ``x`` itself where it has it."""
    if x.dtype == dtype:
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=False, sharding=None)


def _narrow_bits(x: np.ndarray, width: int) -> np.ndarray:
    """The bits of each element, lowest first, along a new last axis."""
    raw = np.ascontiguousarray(x).reshape((*x.shape, 1)).view(np.uint8)
    return np.unpackbits(raw, axis=-1, bitorder="little")[..., :width]


def _from_narrow_bits(bits: np.ndarray, dtype: Any) -> np.ndarray:
    """The elements of ``dtype`` whose bits are along the last axis."""
    packed = np.packbits(bits, axis=-1, bitorder="little")
    if dtypes.is_signed(dtype):
        # A signed dtype below a byte is kept in a byte with copies of its top bit above.
        spare = np.int8(8 - bits.shape[-1])
        return np.right_shift(np.left_shift(packed[..., 0].view(np.int8), spare), spare).astype(dtype)
    return packed.view(dtype)[..., 0]


def _bitcast_reference(x: np.ndarray, *, new_dtype: Any) -> np.ndarray:
    storage = new_dtype.storage if dtypes.is_key(new_dtype) else new_dtype
    old, new = dtypes.bits(x.dtype), dtypes.bits(storage)
    if x.dtype == storage:
        return x
    if (old < 8 or new < 8) and old != new:
        bits = _narrow_bits(x, old)
        if old > new:
            return _from_narrow_bits(bits.reshape((*x.shape, old // new, new)), storage)
        bits = bits.reshape((*x.shape[:-1], new))
        return np.packbits(bits, axis=-1, bitorder="little").view(storage)[..., 0]
    if old == new:
        if old < 8:
            return _from_narrow_bits(_narrow_bits(x, old), storage)
        return x.view(storage) if x.ndim else x.reshape(1).view(storage).reshape(())
    if old > new:
        return np.ascontiguousarray(x).reshape((*x.shape, 1)).view(storage)
    return np.ascontiguousarray(x).view(storage).reshape(x.shape[:-1])


class BitcastConvertType(Elementwise):
    """The bits of ``operand`` read as another dtype.

    Parameters
    ----------
    operand : Array, any dtype
    new_dtype : dtype, static; bool and complex dtypes only where ``operand`` has the same

    Returns
    -------
    Array
        Of the shape of ``operand`` where both dtypes have the same width. A dtype ``k`` times narrower adds a last
        axis of length ``k``, lowest bits first; a dtype ``k`` times wider takes such an axis away.
    """

    def abstract(self, *avals: Aval, **params: Any) -> Aval:
        (x,), new = avals, params["new_dtype"]
        new = new if dtypes.is_key(new) else np.dtype(new)
        if x.dtype != new and {dtypes.kind(x.dtype), dtypes.kind(new)} & {"bool", "complex"}:
            raise DtypeError(
                wrong=f"bitcast_convert_type does not read {x.dtype.name} as {new.name}: "
                "bool and complex have no fixed bits",
                fix="Convert with .astype, or bitcast the real and imaginary parts",
            )
        width, wanted = dtypes.bits(x.dtype), dtypes.bits(new)
        if width == wanted:
            return Aval(x.shape, new)
        if width > wanted and width % wanted == 0:
            return Aval((*x.shape, width // wanted), new)
        if width < wanted and x.ndim and x.shape[-1] * width == wanted:
            return Aval(x.shape[:-1], new)
        needed = f"a last axis of length {wanted // width}" if wanted % width == 0 else "whole elements"
        raise ShapeError(
            wrong=f"bitcast_convert_type cannot read operand: {x} as {new.name}: {wanted} bits are not {needed}",
            fix="Reshape so that the bits of one new element are one row"
            if wanted % width == 0
            else "Name a dtype whose width divides, or is a multiple of, the operand's",
        )

    def samples(self, make: Any) -> Any:
        x = make((2, 3))
        if x.dtype.kind in "bc":
            yield Sample(x, new_dtype=x.dtype, id="same")
            return
        width = dtypes.bits(x.dtype)
        if width >= 8:
            yield Sample(x, new_dtype=np.dtype(f"uint{width}"), id="same-width")
        if width > 8:
            yield Sample(x, new_dtype=np.dtype("uint8"), id="to-bytes")
            yield Sample(make(()), new_dtype=np.dtype(f"int{width // 2}"), id="scalar-to-halves")
        if 8 <= width < 64:
            yield Sample(make((3, 2)), new_dtype=np.dtype(f"uint{2 * width}"), id="wider")
        yield Sample(make((0, 3)), new_dtype=x.dtype, id="empty")

    def refusals(self, make: Any) -> Any:
        x = make((2, 3))
        if x.dtype.kind == "f" and x.dtype.itemsize < 8:
            yield Refusal(Sample(x, new_dtype=np.dtype("uint64")), ShapeError, "a last axis of length")
        if x.dtype.kind not in "b":
            yield Refusal(Sample(x, new_dtype=np.dtype("bool")), DtypeError, "no fixed bits")


bitcast_convert_type = registry.add(
    BitcastConvertType(
        "bitcast_convert_type",
        _bitcast_reference,
        doc=BitcastConvertType.__doc__ or "",
        kinds=(*ALL, "key"),
        mixed=True,
        derivatives=[lambda t, out, x, new_dtype: None],
        stablehlo=lambda b, x, new_dtype: b.bitcast(
            x, bitcast_convert_type.abstract(x.aval, new_dtype=new_dtype).shape, new_dtype
        ),
        required=True,
    )
)


def _layout(dtype: Any) -> tuple[int, int]:
    """Exponent and mantissa bits of a floating dtype."""
    info = dtypes.finfo(dtype)
    return int(info.nexp), int(info.nmant)


def _reduce_precision_reference(x: np.ndarray, *, exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    dtype = x.dtype
    if dtypes.is_narrow(dtype):
        wide = _reduce_precision_reference(
            x.astype(np.float32), exponent_bits=exponent_bits, mantissa_bits=mantissa_bits
        )
        return wide.astype(dtype)
    nexp, nmant = _layout(dtype)
    width = 1 + nexp + nmant
    word = np.dtype(f"uint{width}")

    def bits(value: int) -> Any:
        return word.type(value)

    u = x.view(word) if x.ndim else x.reshape(1).view(word).reshape(())
    sign = u & bits(1 << (width - 1))
    magnitude = u ^ sign
    infinity = ((1 << nexp) - 1) << nmant
    drop = nmant - mantissa_bits
    if drop > 0:
        # Add just under half of the last kept bit, and the rest of the half where that bit is odd: ties go to even.
        odd = (magnitude >> bits(drop)) & bits(1)
        rounded = (magnitude + bits((1 << (drop - 1)) - 1) + odd) & bits(((1 << width) - 1) ^ ((1 << drop) - 1))
    else:
        rounded = magnitude
    if exponent_bits < nexp:
        bias, reach = (1 << (nexp - 1)) - 1, (1 << (exponent_bits - 1)) - 1
        exponent = rounded >> bits(nmant)
        rounded = np.where(exponent > bits(bias + reach), bits(infinity), rounded)
        rounded = np.where(exponent <= bits(bias - reach), bits(0), rounded)
    out = (rounded | sign).view(dtype) if x.ndim else np.asarray(rounded | sign).reshape(1).view(dtype).reshape(())
    return np.where(np.isnan(x), x, out)


def _reduce_precision_steps(x: Any, *, exponent_bits: int, mantissa_bits: int) -> Any:
    """As the reference does it, on the bits."""
    dtype = x.dtype
    if dtypes.bits(dtype) < 16:
        wide = convert(x, np.dtype(np.float32))
        return convert(_reduce_precision_steps(wide, exponent_bits=exponent_bits, mantissa_bits=mantissa_bits), dtype)
    nexp, nmant = _layout(dtype)
    width = dtypes.bits(dtype)
    words = np.dtype(f"uint{width}")

    def bits(value: int) -> Any:
        return pattern(value, words)

    u = bitcast_convert_type(x, new_dtype=words)
    sign = and_(u, bits(1 << (width - 1)))
    out = xor(u, sign)
    drop = nmant - mantissa_bits
    if drop > 0:
        odd = and_(shift_right_logical(out, bits(drop)), bits(1))
        out = and_(add(add(out, bits((1 << (drop - 1)) - 1)), odd), bits(-1 << drop))
    if exponent_bits < nexp:
        bias, reach = (1 << (nexp - 1)) - 1, (1 << (exponent_bits - 1)) - 1
        exponent = shift_right_logical(out, bits(nmant))
        out = select_n(lt(bits(bias + reach), exponent), out, bits(((1 << nexp) - 1) << nmant))
        out = select_n(lt(bits(bias - reach), exponent), bits(0), out)
    return select_n(ne(x, x), bitcast_convert_type(or_(out, sign), new_dtype=dtype), x)


def _reduce_precision_check(x: Aval, *, exponent_bits: int, mantissa_bits: int) -> Any:
    if exponent_bits < 1 or mantissa_bits < 0:
        raise DtypeError(
            wrong=f"reduce_precision was asked for {exponent_bits} exponent and {mantissa_bits} mantissa bits",
            fix="Give exponent_bits >= 1 and mantissa_bits >= 0",
        )
    return x.dtype


class _ReducePrecision(Elementwise):
    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,)), exponent_bits=0, mantissa_bits=3), DtypeError, "0 exponent and 3 mantissa")


reduce_precision = registry.add(
    _ReducePrecision(
        "reduce_precision",
        _reduce_precision_reference,
        doc="""``operand`` rounded to what a float of fewer bits can hold, in its own dtype.

To nearest, ties to even. What is too large becomes infinite, what lies below the smallest normal number of the format
a zero of the same sign. NaN stays NaN.

Parameters
----------
operand : Array, floating
exponent_bits : int, static, at least 1
mantissa_bits : int, static, at least 0
""",
        kinds=("float",),
        result=_reduce_precision_check,
        linear_in=(0,),
        transpose=lambda ct, x, exponent_bits, mantissa_bits: reduce_precision(
            ct, exponent_bits=exponent_bits, mantissa_bits=mantissa_bits
        ),
        decompose=_reduce_precision_steps,
        stablehlo=lambda b, x, exponent_bits, mantissa_bits: b.reduce_precision(x, exponent_bits, mantissa_bits),
        params=(
            {"exponent_bits": 5, "mantissa_bits": 10},
            {"exponent_bits": 8, "mantissa_bits": 7},
            {"exponent_bits": 4, "mantissa_bits": 0},
        ),
    )
)


def _nextafter_steps(x: Any, y: Any) -> Any:
    """As an integer a float steps by one away from zero when counted up, towards it when counted down."""
    words = np.dtype(f"int{dtypes.bits(x.dtype)}")
    zero, one = np.zeros((), x.dtype), np.ones((), words)
    shape = max((aval_of(v).shape for v in (x, y)), key=len)
    x, y = broadcast_to(x, shape), broadcast_to(y, shape)
    u = bitcast_convert_type(x, new_dtype=words)
    outward = eq(lt(x, y), lt(zero, x))
    stepped = bitcast_convert_type(select_n(outward, sub(u, one), add(u, one)), new_dtype=x.dtype)
    tiny = bitcast_convert_type(broadcast_to(one, shape), new_dtype=x.dtype)
    stepped = select_n(eq(x, zero), stepped, select_n(lt(y, zero), tiny, neg(tiny)))
    stepped = select_n(eq(x, y), stepped, y)
    stepped = select_n(ne(x, x), stepped, x)
    return select_n(ne(y, y), stepped, y)


def _nextafter(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Of half precision NumPy gives the first of two that are equal, of others the second: zeros have signs.
    return np.where(x == y, y, np.nextafter(x, y))


nextafter = registry.add(
    Elementwise(
        "nextafter",
        _nextafter,
        arity=2,
        doc="The float next to ``x`` on the way to ``y``; ``y`` where they are equal, NaN where one is.\n",
        kinds=("float",),
        decompose=_nextafter_steps,
        stablehlo="next_after",
    )
)
