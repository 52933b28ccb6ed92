"""Ops that work on each element alone.

Operands of one op have one dtype. A rank-0 operand next to one of higher rank is broadcast to its shape; no other shapes mix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.stablehlo.emitter import Emitter
from portax.core.stablehlo.types import Value, dtype_of, element_type, storage, type_of

__all__ = ["Elementwise"]

_CHLO = frozenset(
    "acos acosh asin asinh atan atanh bessel_i1e conj cosh digamma erf erf_inv erfc is_inf is_neg_inf is_pos_inf lgamma "
    "mulhi next_after polygamma sinh square zeta".split()
)
_PREDICATES = frozenset(["is_finite", "is_inf", "is_neg_inf", "is_pos_inf"])
_BOOL = np.dtype(bool)
_REAL_OF = {np.dtype(np.complex64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype(np.float64)}
_COMPLEX_OF = {real: whole for whole, real in _REAL_OF.items()}


def _comparison(dtype: Any) -> str:
    spelled = element_type(dtype)
    if spelled[0] in "fbc":
        return "FLOAT"
    return "UNSIGNED" if spelled[0] == "u" or spelled == "i1" else "SIGNED"


class Elementwise(Emitter):
    """The elementwise ops of a `Builder`."""

    __slots__ = ()

    def unary(self, name: str, x: Value) -> Value:
        """Append ``stablehlo.name``, or ``chlo.name`` where only that dialect has it.

        The result has the aval of ``x``, except that ``abs``, ``real``, ``imag`` of complex numbers are real and predicates are
        bool.
        """
        if name in _CHLO:
            return self.chlo(name, x)
        aval = x.aval
        if name in _PREDICATES:
            return self.emit(Aval(aval.shape, _BOOL), f"stablehlo.{name} {x.name} : ({x.type}) -> {_mask(x)}")
        if aval.dtype in _REAL_OF and name in ("abs", "real", "imag"):
            real = Aval(aval.shape, _REAL_OF[aval.dtype])
            return self.emit(real, f"stablehlo.{name} {x.name} : ({x.type}) -> {type_of(real)}")
        n = self._count
        self._count = n + 1
        out = f"%{n}"
        self.lines.append(f"{self._pad}{out} = stablehlo.{name} {x.name} : {x.type}")
        return Value(out, aval, x.type)

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
        shape = max((x.aval.shape for x in xs), key=len)
        return tuple([self.scalar_to(x, shape) for x in xs])

    def scalar_to(self, x: Value, shape: tuple[int, ...]) -> Value:
        """Broadcast ``x`` to ``shape`` if its rank is 0 and the shape's is not."""
        if x.aval.shape or not shape:
            return x
        aval = Aval(shape, x.aval.dtype)
        return self.emit(aval, f"stablehlo.broadcast_in_dim {x.name}, dims = [] : ({x.type}) -> {type_of(aval)}")

    def compare(self, x: Value, y: Value, direction: str, total_order: bool = False) -> Value:
        """Append a comparison; ``direction`` is one of EQ NE LT LE GT GE, and complex numbers have EQ and NE only.

        With ``total_order`` floats are ordered as -NaN < -inf < ... < -0 < +0 < ... < inf < NaN.
        """
        if x.type != y.type:
            x, y = self.same_shape(x, y)
        kind = _comparison(x.aval.dtype)
        if total_order and kind == "FLOAT":
            kind = "TOTALORDER"
        return self.emit(
            Aval(x.aval.shape, _BOOL),
            f"stablehlo.compare {direction}, {x.name}, {y.name}, {kind} : ({x.type}, {y.type}) -> {_mask(x)}",
        )

    def select(self, which: Value, on_true: Value, on_false: Value) -> Value:
        """Append ``on_true`` where ``which`` holds, ``on_false`` elsewhere; ``which`` may be of rank 0."""
        if on_true.type != on_false.type or (which.aval.shape and not on_true.aval.shape):
            shape = max((v.aval.shape for v in (which, on_true, on_false)), key=len)
            on_true, on_false = self.scalar_to(on_true, shape), self.scalar_to(on_false, shape)
        return self.emit(
            on_true.aval,
            f"stablehlo.select {which.name}, {on_true.name}, {on_false.name} : {which.type}, {on_true.type}",
        )

    def clamp(self, low: Value, x: Value, high: Value) -> Value:
        """Append ``min(max(x, low), high)``; the bounds may be of rank 0, each for itself."""
        if low.aval.shape != high.aval.shape:
            low, high = self.scalar_to(low, x.aval.shape), self.scalar_to(high, x.aval.shape)
        return self.emit(
            x.aval,
            f"stablehlo.clamp {low.name}, {x.name}, {high.name} : ({low.type}, {x.type}, {high.type}) -> {x.type}",
        )

    def convert(self, x: Value, dtype: Any) -> Value:
        """Append the conversion of ``x`` to ``dtype``.

        To bool: true where ``x`` is not 0. From complex to real: the real part. From float to integer: towards 0, saturating;
        NaN gives 0. Nothing is written where the dtype is the one ``x`` has.
        """
        dtype, source = dtype_of(dtype), x.aval.dtype
        if dtype == source:
            return x
        if storage(dtype) == storage(source):
            return Value(x.name, Aval(x.aval.shape, dtype), x.type)
        if dtype == _BOOL:
            return self.compare(x, self.full(x.aval.shape, 0, source), "NE")
        if source in _REAL_OF and dtype not in _REAL_OF:
            return self.convert(self.unary("real", x), dtype)
        aval = Aval(x.aval.shape, dtype)
        return self.emit(aval, f"stablehlo.convert {x.name} : ({x.type}) -> {type_of(aval)}")

    def bitcast(self, x: Value, shape: tuple[int, ...], dtype: Any) -> Value:
        """Append the bits of ``x`` read as ``dtype``.

        A narrower dtype adds a last axis to ``shape``, a wider one takes it away.
        """
        aval = Aval(tuple(shape), dtype_of(dtype))
        out = Value("", aval)
        if out.type == x.type:
            return Value(x.name, aval, x.type)
        return self.emit(aval, f"stablehlo.bitcast_convert {x.name} : ({x.type}) -> {out.type}")

    def reduce_precision(self, x: Value, exponent_bits: int, mantissa_bits: int) -> Value:
        """Append ``x`` rounded to a float of that many bits, in the dtype of ``x``."""
        return self.emit(
            x.aval, f"stablehlo.reduce_precision {x.name}, format = e{exponent_bits}m{mantissa_bits} : {x.type}"
        )

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


def _mask(x: Value) -> str:
    return type_of(Aval(x.aval.shape, _BOOL))
