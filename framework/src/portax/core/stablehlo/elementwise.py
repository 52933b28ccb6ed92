"""Ops that work on each element alone.

Operands of one op have one dtype. A rank-0 operand next to one of higher rank is broadcast to its shape; no other
shapes mix. How an op is spelled at given avals is worked out once in a process: writing an op is then a look-up and a
format.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.stablehlo.emitter import Emitter
from portax.core.stablehlo.types import (
    Value,
    dtype_of,
    element_type,
    integers_of,
    is_wide,
    keys_of,
    storage,
    type_of,
)

__all__ = ["Elementwise"]

_CHLO = frozenset(
    "acos acosh asin asinh atan atanh bessel_i1e conj cosh digamma erf erf_inv erfc is_inf is_neg_inf is_pos_inf "
    "lgamma next_after polygamma sinh square zeta".split()
)
_PREDICATES = frozenset(["is_finite", "is_inf", "is_neg_inf", "is_pos_inf"])
_BOOL = np.dtype(bool)
_REAL_OF = {np.dtype(np.complex64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype(np.float64)}
_COMPLEX_OF = {real: whole for whole, real in _REAL_OF.items()}
_FORMS = 1 << 13


@lru_cache(_FORMS)
def _unary_form(name: str, aval: Aval) -> tuple[Aval, str, str]:
    """Give the aval of the result, and what stands before and after the operand."""
    out = aval
    if name in _PREDICATES:
        out = Aval(aval.shape, _BOOL)
    elif name in ("abs", "real", "imag") and aval.dtype in _REAL_OF:
        out = Aval(aval.shape, _REAL_OF[aval.dtype])
    if name in _CHLO:
        return out, f"chlo.{name} ", f" : {type_of(aval)} -> {type_of(out)}"
    types = type_of(aval) if out is aval else f"({type_of(aval)}) -> {type_of(out)}"
    return out, f"stablehlo.{name} ", f" : {types}"


@lru_cache(_FORMS)
def _comparison_form(aval: Aval, total_order: bool) -> tuple[Aval, str]:
    spelled = element_type(aval.dtype)
    if spelled[0] in "fbc":
        kind = "TOTALORDER" if total_order else "FLOAT"
    else:
        kind = "UNSIGNED" if spelled[0] == "u" or spelled == "i1" else "SIGNED"
    out = Aval(aval.shape, _BOOL)
    return out, f", {kind} : ({type_of(aval)}, {type_of(aval)}) -> {type_of(out)}"


@lru_cache(_FORMS)
def _spread_form(aval: Aval, shape: tuple[int, ...]) -> tuple[Aval, str]:
    out = Aval(shape, aval.dtype)
    dims = f"[{len(shape)}]" if is_wide(aval.dtype) else "[]"
    return out, f", dims = {dims} : ({type_of(aval)}) -> {type_of(out)}"


@lru_cache(_FORMS)
def _conversion_form(aval: Aval, dtype: Any) -> tuple[str, Aval, str]:
    """Give the way: by another name, by a comparison with 0, by the real part, or the op with what stands after."""
    dtype, source = dtype_of(dtype), aval.dtype
    out = Aval(aval.shape, dtype)
    if storage(dtype) == storage(source):
        return "rename", out, ""
    if source in _REAL_OF and dtype not in _REAL_OF:
        return "real", out, ""
    if dtype == _BOOL:
        return "compare", out, ""
    return "convert", out, f" : ({type_of(aval)}) -> {type_of(out)}"


class Elementwise(Emitter):
    """The elementwise ops of a `Builder`."""

    __slots__ = ()

    def unary(self, name: str, x: Value) -> Value:
        """Append ``stablehlo.name``, or ``chlo.name`` where only that dialect has it.

        The result has the aval of ``x``, except that ``abs``, ``real``, ``imag`` of complex numbers are real and
        predicates are bool.
        """
        aval, before, after = _unary_form(name, x.aval)
        n = self._count
        self._count = n + 1
        out = f"%{n}"
        self.lines.append(f"{self._pad}{out} = {before}{x.name}{after}")
        return Value(out, aval)

    def binary(self, name: str, x: Value, y: Value) -> Value:
        """Append ``stablehlo.name``, or ``chlo.name`` where only that dialect has it, of two operands of one dtype."""
        spelled = x.type
        if spelled != y.type:
            x, y = self.same_shape(x, y)
            spelled = x.type
        if name in _CHLO:
            return self.chlo(name, x, y)
        n = self._count
        self._count = n + 1
        out = f"%{n}"
        self.lines.append(f"{self._pad}{out} = stablehlo.{name} {x.name}, {y.name} : {spelled}")
        return Value(out, x.aval, spelled)

    def chlo(self, name: str, *xs: Value) -> Value:
        """Append ``chlo.name`` of one operand or two of one type, for what StableHLO itself lacks."""
        if len(xs) == 2 and xs[0].type != xs[1].type:
            xs = self.same_shape(*xs)
        aval = xs[0].aval
        if name in _PREDICATES:
            aval = Aval(aval.shape, _BOOL)
        types = ", ".join([x.type for x in xs])
        return self.emit(aval, f"chlo.{name} {', '.join([x.name for x in xs])} : {types} -> {type_of(aval)}")

    def same_shape(self, *xs: Value) -> tuple[Value, ...]:
        """Broadcast the rank-0 values among ``xs`` to the shape of the others."""
        shape = max([x.aval.shape for x in xs], key=len)
        return tuple([self.scalar_to(x, shape) for x in xs])

    def scalar_to(self, x: Value, shape: tuple[int, ...]) -> Value:
        """Broadcast ``x`` to ``shape`` if its rank is 0 and the shape's is not."""
        if x.aval.shape or not shape:
            return x
        aval, after = _spread_form(x.aval, shape)
        return self.emit(aval, f"stablehlo.broadcast_in_dim {x.name}{after}")

    def compare(self, x: Value, y: Value, direction: str, total_order: bool = False) -> Value:
        """Append a comparison; ``direction`` is one of EQ NE LT LE GT GE, and complex numbers have EQ and NE only.

        With ``total_order`` floats are ordered as -NaN < -inf < ... < -0 < +0 < ... < inf < NaN.
        """
        if x.type != y.type:
            x, y = self.same_shape(x, y)
        if is_wide(x.aval.dtype):
            return self._compare_keys(x, y, direction)
        aval, after = _comparison_form(x.aval, total_order)
        return self.emit(aval, f"stablehlo.compare {direction}, {x.name}, {y.name}{after}")

    def _compare_keys(self, x: Value, y: Value, direction: str) -> Value:
        """Keys are equal where both of their integers are."""
        shape, halves = x.aval.shape, []
        each = self.compare(integers_of(x), integers_of(y), direction)
        for i in range(2):
            column, ranges = Aval((*shape, 1), _BOOL), ", ".join([*[f"0:{n}" for n in shape], f"{i}:{i + 1}"])
            half = self.emit(column, f"stablehlo.slice {each.name} [{ranges}] : ({each.type}) -> {type_of(column)}")
            halves.append(self._as(half, Aval(shape, _BOOL)))
        return self.binary("and" if direction == "EQ" else "or", *halves)

    def select(self, which: Value, on_true: Value, on_false: Value) -> Value:
        """Append ``on_true`` where ``which`` holds, ``on_false`` elsewhere; ``which`` may be of rank 0."""
        if on_true.type != on_false.type or (which.aval.shape and not on_true.aval.shape):
            shape = max([v.aval.shape for v in (which, on_true, on_false)], key=len)
            on_true, on_false = self.scalar_to(on_true, shape), self.scalar_to(on_false, shape)
        if which.aval.shape and is_wide(on_true.aval.dtype):
            shape = which.aval.shape
            twice, dims = Aval((*shape, 2), _BOOL), list(range(len(shape)))
            which = self.emit(
                twice, f"stablehlo.broadcast_in_dim {which.name}, dims = {dims} : ({which.type}) -> {type_of(twice)}"
            )
        return self.emit(
            on_true.aval,
            f"stablehlo.select {which.name}, {on_true.name}, {on_false.name} : {which.type}, {on_true.type}",
        )

    def clamp(self, low: Value, x: Value, high: Value) -> Value:
        """Append ``min(max(x, low), high)``; any of them may be of rank 0, each for itself."""
        x = self.scalar_to(x, low.aval.shape or high.aval.shape)
        if low.aval.shape != high.aval.shape:
            low, high = self.scalar_to(low, x.aval.shape), self.scalar_to(high, x.aval.shape)
        return self.emit(
            x.aval,
            f"stablehlo.clamp {low.name}, {x.name}, {high.name} : ({low.type}, {x.type}, {high.type}) -> {x.type}",
        )

    def convert(self, x: Value, dtype: Any) -> Value:
        """Append the conversion of ``x`` to ``dtype``.

        From complex to anything else: the real part alone. To bool: true where that is not 0. From float to integer:
        towards 0, saturating; NaN gives 0. Nothing is written where the dtype is the one ``x`` has.
        """
        if dtype is x.aval.dtype:
            return x
        way, aval, after = _conversion_form(x.aval, dtype)
        if way == "convert":
            return self.emit(aval, f"stablehlo.convert {x.name}{after}")
        if way == "compare":
            return self.compare(x, self.full(x.aval.shape, 0, x.aval.dtype), "NE")
        if way == "real":
            return self.convert(self.unary("real", x), dtype)
        return x if aval is x.aval else Value(x.name, aval, x.type)

    def bitcast(self, x: Value, shape: tuple[int, ...], dtype: Any) -> Value:
        """Append the bits of ``x`` read as ``dtype``.

        A narrower dtype adds a last axis to ``shape``, a wider one takes it away.
        """
        aval = Aval(tuple(shape), dtype_of(dtype))
        if is_wide(x.aval.dtype) != is_wide(aval.dtype):
            return self._open_keys(x, aval) if is_wide(x.aval.dtype) else self._close_keys(x, aval)
        spelled = type_of(aval)
        if spelled == x.type:
            return Value(x.name, aval, spelled)
        return self.emit(aval, f"stablehlo.bitcast_convert {x.name} : ({x.type}) -> {spelled}")

    def _open_keys(self, x: Value, aval: Aval) -> Value:
        """The bits of keys as numbers: those of each integer, one after the other."""
        whole, n = integers_of(x), dtypes.bits(dtypes.uint64) // dtypes.bits(aval.dtype)
        pieces = self.bitcast(whole, whole.aval.shape if n == 1 else (*whole.aval.shape, n), aval.dtype)
        return self._as(pieces, aval)

    def _close_keys(self, x: Value, aval: Aval) -> Value:
        """Keys of the bits of numbers along the last axis."""
        pairs, n = Aval((*aval.shape, 2), dtypes.uint64), dtypes.bits(dtypes.uint64) // dtypes.bits(x.aval.dtype)
        whole = x if n == 1 else self._as(x, Aval((*pairs.shape, n), x.aval.dtype))
        return keys_of(self.bitcast(whole, pairs.shape, pairs.dtype), aval.dtype)

    def _as(self, x: Value, aval: Aval) -> Value:
        """Elements in another shape."""
        if x.aval.shape == aval.shape:
            return x
        return self.emit(aval, f"stablehlo.reshape {x.name} : ({x.type}) -> {type_of(aval)}")

    def reduce_precision(self, x: Value, exponent_bits: int, mantissa_bits: int) -> Value:
        """Append ``x`` rounded to a float of that many bits, in the dtype of ``x``."""
        form = f"e{exponent_bits}m{mantissa_bits}"
        return self.emit(x.aval, f"stablehlo.reduce_precision {x.name}, format = {form} : {x.type}")

    def real(self, x: Value) -> Value:
        """Append the real part of a complex ``x``."""
        return self.unary("real", x)

    def imag(self, x: Value) -> Value:
        """Append the imaginary part of a complex ``x``."""
        return self.unary("imag", x)

    def complex(self, real: Value, imag: Value) -> Value:
        """Append the complex number of two float32 or two float64 parts."""
        if real.type != imag.type:
            real, imag = self.same_shape(real, imag)
        aval = Aval(real.aval.shape, _COMPLEX_OF[real.aval.dtype])
        return self.emit(aval, f"stablehlo.complex {real.name}, {imag.name} : {type_of(aval)}")
