"""A dialect: how a C-like language spells what kernels are made of.

This class writes plain C99, and holds all that the opset says about arithmetic: what divisions by zero, shifts beyond
the width, signed overflow, NaN in maxima and conversions out of range give. A language that looks like C changes the
few spellings at the top and inherits the rest; so the meaning is the toolkit's business, and never a driver's.

Every result has a statement of its own. A compiler that fuses a product and a sum only within one expression
therefore never does, and two devices round alike.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.backend.kernels import nest
from portax.backend.kernels.streams import in_blocks, is_streamed
from portax.backend.kernels.vectors import lanes_of, together
from portax.core import dtypes
from portax.errors import GapError

_INTEGERS = {
    "bool": "unsigned char", "int8": "signed char", "uint8": "unsigned char", "int16": "short",
    "uint16": "unsigned short", "int32": "int", "uint32": "unsigned int", "int64": "long", "uint64": "unsigned long",
}  # fmt: skip

#: Numbers of 16 bits are stored as these and computed with as float32.
_HALVES = {"float16": "f16", "bfloat16": "bf16"}

_SHARED = """\
{function} {u16} px_to_f16({f32} x) {{
  {u32} u = px_bits32(x), s = (u >> 16) & 0x8000u, a = u & 0x7fffffffu, r;
  if (a > 0x7f800000u) return ({u16})(s | 0x7e00u);
  if (a >= 0x47800000u) return ({u16})(s | 0x7c00u);
  if (a < 0x38800000u) return ({u16})(s | (px_bits32(px_float32(a) + 0.5f) - 0x3f000000u));
  r = a - 0x38000000u;
  r = r + 0xfffu + ((r >> 13) & 1u);
  return ({u16})(s | (r >> 13));
}}
{function} {f32} px_from_f16({u16} h) {{
  {u32} s = (({u32})h & 0x8000u) << 16, e = (({u32})h >> 10) & 31u, m = ({u32})h & 0x3ffu;
  if (e == 31u) return px_float32(s | 0x7f800000u | (m << 13));
  if (e == 0u) return px_float32(s | px_bits32(({f32})m * 5.9604644775390625e-08f));
  return px_float32(s | ((e + 112u) << 23) | (m << 13));
}}
{function} {u16} px_to_bf16({f32} x) {{
  {u32} u = px_bits32(x), r = u + 0x7fffu + ((u >> 16) & 1u);
  return (u & 0x7fffffffu) > 0x7f800000u ? ({u16})((u >> 16) | 0x40u) : ({u16})(r >> 16);
}}
{function} {f32} px_from_bf16({u16} h) {{ return px_float32(({u32})h << 16); }}
{function} {f32} px_floor32({f32} x) {{
  const {f32} c = (x > -8388608.0f) & (x < 8388608.0f) ? x : 0.0f;
  const {f32} t = ({f32})({i32})c;
  const {f32} f = t > c ? t - 1.0f : t;
  return (f < x) & (c == x) ? f : x;
}}
"""

_SHARED64 = """\
{function} {f64} px_floor64({f64} x) {{
  const {f64} c = (x > -4503599627370496.0) & (x < 4503599627370496.0) ? x : 0.0;
  const {f64} t = ({f64})({i64})c;
  const {f64} f = t > c ? t - 1.0 : t;
  return (f < x) & (c == x) ? f : x;
}}
"""


class Dialect:
    """Plain C, compiled by the machine's own compiler.

    Attributes
    ----------
    types : dict of dtype name to str
        How numbers are stored. ``float16`` and ``bfloat16`` need none: they are stored as ``uint16``.
    pointer : str
        Stands before the type of what a pointer in device memory points to.
    constant, restrict, function : str
        Qualifiers of what is not written, of pointers that do not overlap, and of functions.
    index : str
        A signed integer of 64 bits.
    math : dict of (name, dtype name) to str
        The functions of the language that take the place of a primitive: ``sqrt`` and ``fmod``, which give the number
        nearest to what they mean, and so the same everywhere.
    lanes : int
        Into how many partial results a long reduction is divided. A power of two.
    items : int
        The most work-items that one launch is divided into; 1 where the language has one thread.
    worth : int
        So many elements are worth a work-item of their own.
    streamed : int
        Bytes from which results are written by ``stream``; 0 where there is no such way.
    scratch : int
        Bytes of a row that a work-item may keep for itself.
    strided : bool
        Work-items take turns at the rows, as is best where neighbours run in step, instead of a block of rows each.
    tile : int
        How many rows of sums a work-item carries in registers that computes products of matrices.
    fused : set of dtype names
        Of which the device multiplies and adds at once, as ``fma`` is spelled: with one rounding. Products of matrices
        in tiles are computed so. Of a dtype that is not named they round twice, and are not those of other devices.
    unroll : str
        The line before a loop that tells the compiler to write it out.
    aligned : str
        What is said of an array that it may begin where a line of memory does.
    serial : str
        The line before a loop whose turns add to the same floats: it tells a compiler that would add in another order,
        whatever it was told of floats, to make no vectors of the turns.
    vector : int
        Bytes of the device's vectors, where its compiler is to be told of them: see ``in_vectors``.
    """

    types: dict[str, str] = {**_INTEGERS, "float32": "float", "float64": "double"}
    pointer = ""
    constant = "const "
    restrict = "restrict"
    function = "static inline"
    index = "long"
    lanes = 64
    items = 1
    worth = 32768
    tile = 4
    streamed = 0
    scratch = 0
    strided = False
    fused: frozenset[str] = frozenset()
    unroll = ""
    aligned = ""
    serial = ""
    vector = 0
    preamble = """\
#include <math.h>
#include <string.h>
static inline unsigned int px_bits32(float x) { unsigned int u; memcpy(&u, &x, 4); return u; }
static inline float px_float32(unsigned int u) { float x; memcpy(&x, &u, 4); return x; }
static inline unsigned long px_bits64(double x) { unsigned long u; memcpy(&u, &x, 8); return u; }
static inline double px_float64(unsigned long u) { double x; memcpy(&x, &u, 8); return x; }
"""

    # -- names --------------------------------------------------------------------------------------------------------
    def stored(self, dtype: Any) -> str:
        """The type of a number in memory."""
        name = dtype.name
        known = self.types.get("uint16" if name in _HALVES else name)
        if known is None:
            raise GapError(wrong=f"{name} has no spelling in kernels of this device", fix="Use another dtype there")
        return known

    def spells(self, name: str) -> bool:
        """Whether kernels can hold numbers of a dtype."""
        part = {"complex64": "float32", "complex128": "float64"}.get(name, name)
        return ("uint16" if part in _HALVES else part) in self.types

    def computed(self, dtype: Any) -> str:
        """The type of a number while it is computed with."""
        return self.types["float32"] if dtype.name in _HALVES else self.stored(dtype)

    def math(self, name: str, dtype: Any) -> str:
        """The language's own function for a primitive of real numbers."""
        return name + "f" if dtype.name == "float32" else name

    # -- literals -----------------------------------------------------------------------------------------------------
    def literal(self, value: Any, dtype: Any) -> str:
        """A number as it is written: exact, whatever it is."""
        kind = dtypes.kind(dtype)
        if kind == "bool":
            return "1" if value else "0"
        if kind in ("int", "uint"):
            return self._whole(int(value), dtype)
        x = float(value)
        wide = dtype.name == "float64"
        if math.isfinite(x):
            text = repr(x) + ("" if wide else "f")
            return f"({text})" if text[0] == "-" else text  # a sign before it would make another operator of both
        if wide:
            return f"px_float64({struct.unpack('<Q', struct.pack('<d', x))[0]:#x}ul)"
        return f"px_float32({int(np.float32(x).view(np.uint32)):#x}u)"

    def _whole(self, value: int, dtype: Any) -> str:
        wide = dtype.itemsize == 8
        if dtypes.kind(dtype) == "uint":
            return f"{value}u{'l' if wide else ''}"
        if value == -(1 << (8 * dtype.itemsize - 1)) and dtype.itemsize >= 4:
            return f"({value + 1}{'l' if wide else ''} - 1)"
        return f"{value}l" if wide else str(value) if value >= 0 else f"({value})"

    # -- operations ---------------------------------------------------------------------------------------------------
    def expression(self, let: nest.Let) -> str:
        """The right side of ``name = op(args)``."""
        return getattr(self, "_" + let.op, self._call)(let, *let.args)

    def _unsigned(self, dtype: Any) -> str:
        return self.types["u" + dtype.name.removeprefix("u")]

    def _wrapping(self, let: nest.Let, symbol: str, x: str, y: str) -> str:
        """Integers go around where they overflow. Signed ones must not, in C, and small ones are computed as int."""
        if dtypes.is_float(let.dtype) or let.dtype.name in ("uint32", "uint64"):
            return f"{x} {symbol} {y}"
        wide = self.types["uint64" if let.dtype.itemsize == 8 else "uint32"]
        return f"({self.stored(let.dtype)})(({wide}){x} {symbol} ({wide}){y})"

    def _add(self, let: nest.Let, x: str, y: str) -> str:
        return self._wrapping(let, "+", x, y)

    def _sub(self, let: nest.Let, x: str, y: str) -> str:
        return self._wrapping(let, "-", x, y)

    def _mul(self, let: nest.Let, x: str, y: str) -> str:
        return self._wrapping(let, "*", x, y)

    def _neg(self, let: nest.Let, x: str) -> str:
        return f"-{x}" if dtypes.is_float(let.dtype) else self._wrapping(let, "-", "0", x)

    def _div(self, let: nest.Let, x: str, y: str) -> str:
        if dtypes.is_float(let.dtype):
            return f"{x} / {y}"
        guarded = f"{x} / ({y} == 0 ? 1 : {y})"
        if dtypes.kind(let.dtype) == "uint":
            return f"({self.stored(let.dtype)})({y} == 0 ? {self.literal(_most(let.dtype), let.dtype)} : {guarded})"
        wide = self.types["uint64" if let.dtype.itemsize == 8 else "uint32"]
        negated = f"({self.stored(let.dtype)})(({wide})0 - ({wide}){x})"
        return f"({self.stored(let.dtype)})({y} == 0 ? -1 : {y} == -1 ? {negated} : {guarded})"

    def _rem(self, let: nest.Let, x: str, y: str) -> str:
        if dtypes.is_float(let.dtype):
            return f"{self.math('fmod', _wide(let.dtype))}({x}, {y})"
        guarded = f"{x} % ({y} == 0 ? 1 : {y})"
        special = f"{y} == 0 ? {x} : " + ("" if dtypes.kind(let.dtype) == "uint" else f"{y} == -1 ? 0 : ")
        return f"({self.stored(let.dtype)})({special}{guarded})"

    def _max(self, let: nest.Let, x: str, y: str) -> str:
        return self._extreme(let, ">", x, y)

    def _min(self, let: nest.Let, x: str, y: str) -> str:
        return self._extreme(let, "<", x, y)

    def _extreme(self, let: nest.Let, symbol: str, x: str, y: str) -> str:
        """NaN where either is; the language's own functions drop it."""
        if not dtypes.is_float(let.dtype):
            return f"{x} {symbol} {y} ? {x} : {y}"
        return f"({x} {symbol} {y}) | ({x} != {x}) ? {x} : {y}"

    def _compare(self, symbol: str, x: str, y: str) -> str:
        return f"{x} {symbol} {y}"

    def _eq(self, let: nest.Let, x: str, y: str) -> str:
        return self._compare("==", x, y)

    def _ne(self, let: nest.Let, x: str, y: str) -> str:
        return self._compare("!=", x, y)

    def _lt(self, let: nest.Let, x: str, y: str) -> str:
        return self._compare("<", x, y)

    def _le(self, let: nest.Let, x: str, y: str) -> str:
        return self._compare("<=", x, y)

    def _gt(self, let: nest.Let, x: str, y: str) -> str:
        return self._compare(">", x, y)

    def _ge(self, let: nest.Let, x: str, y: str) -> str:
        return self._compare(">=", x, y)

    def _and(self, let: nest.Let, x: str, y: str) -> str:
        return f"{x} & {y}"

    def _or(self, let: nest.Let, x: str, y: str) -> str:
        return f"{x} | {y}"

    def _xor(self, let: nest.Let, x: str, y: str) -> str:
        return f"{x} ^ {y}"

    def _not(self, let: nest.Let, x: str) -> str:
        return f"!{x}" if dtypes.kind(let.dtype) == "bool" else f"({self.stored(let.dtype)})~{x}"

    def _shift_left(self, let: nest.Let, x: str, s: str) -> str:
        bits = 8 * let.dtype.itemsize
        wide = self.types["uint64" if bits == 64 else "uint32"]
        own = self._unsigned(let.dtype)
        return f"({own}){s} < {bits}u ? ({self.stored(let.dtype)})(({wide}){x} << {s}) : 0"

    def _shift_right_logical(self, let: nest.Let, x: str, s: str) -> str:
        own = self._unsigned(let.dtype)
        return f"({own}){s} < {8 * let.dtype.itemsize}u ? ({self.stored(let.dtype)})(({own}){x} >> {s}) : 0"

    def _shift_right_arithmetic(self, let: nest.Let, x: str, s: str) -> str:
        bits = 8 * let.dtype.itemsize
        own = self._unsigned(let.dtype)
        if dtypes.kind(let.dtype) == "uint":
            signed = self.types[let.dtype.name.removeprefix("u")]
            return f"({self.stored(let.dtype)})(({signed}){x} >> (({own}){s} < {bits}u ? {s} : {bits - 1}))"
        return f"{x} >> (({own}){s} < {bits}u ? {s} : {bits - 1})"

    def _select(self, let: nest.Let, which: str, on_true: str, on_false: str) -> str:
        return f"{which} ? {on_true} : {on_false}"

    def _copy(self, let: nest.Let, x: str) -> str:
        return x

    def _floor(self, let: nest.Let, x: str) -> str:
        """By a conversion, which compilers make vectors of; the language's own function often stops them."""
        return f"px_floor{8 * _wide(let.dtype).itemsize}({x})"

    def _abs(self, let: nest.Let, x: str) -> str:
        """The sign bit is taken off, that of a NaN too."""
        if _wide(let.dtype).name == "float32":
            return f"px_float32(px_bits32({x}) & 0x7fffffffu)"
        return f"px_float64(px_bits64({x}) & 0x7ffffffffffffffful)"

    def _convert(self, let: nest.Let, x: str) -> str:
        """Between numbers; what does not fit an integer becomes its nearest, and NaN 0."""
        kind, given = dtypes.kind(let.dtype), let.given
        if kind == "bool":
            return f"{x} != 0"
        if kind == "float" or not dtypes.is_float(given):
            return f"({self.computed(let.dtype)}){x}"
        least, most = _least(let.dtype), _most(let.dtype)
        wide = _wide(given)
        # most + 1 is a power of two, and so is exact in every floating dtype.
        above, below = (self.literal(v, wide) for v in (float(most + 1), float(least)))
        high, low = self.literal(most, let.dtype), self.literal(least, let.dtype)
        inside = f"{x} >= {above} ? {high} : {x} <= {below} ? {low} : ({self.stored(let.dtype)}){x}"
        return f"{x} != {x} ? 0 : {inside}"

    def _round_half(self, let: nest.Let, x: str) -> str:
        """A float32 to the nearest number of 16 bits."""
        half = _HALVES[let.dtype.name]
        return f"px_from_{half}(px_to_{half}({x}))"

    def _bitcast(self, let: nest.Let, x: str) -> str:
        """The bits of a number as another of its width."""
        given, wanted = let.given, let.dtype
        if given.name in _HALVES:
            x, given = f"px_to_{_HALVES[given.name]}({x})", np.dtype("uint16")
        elif given.name in ("float32", "float64"):
            bits = 8 * given.itemsize
            x, given = f"px_bits{bits}({x})", np.dtype(f"uint{bits}")
        if wanted.name in _HALVES:
            return f"px_from_{_HALVES[wanted.name]}(({self.types['uint16']}){x})"
        if wanted.name in ("float32", "float64"):
            bits = 8 * wanted.itemsize
            return f"px_float{bits}(({self.types[f'uint{bits}']}){x})"
        return f"({self.stored(wanted)}){x}"

    def _call(self, let: nest.Let, *args: str) -> str:
        """A function: one that the toolkit wrote, or one of the language."""
        name = let.op if let.op.startswith("px_") else self.math(let.op, _wide(let.dtype))
        return f"{name}({', '.join(args)})"

    def in_vectors(self, lanes: int, together: int = 1) -> str:
        """The line before a loop that tells the compiler to make vectors of so many turns, some of them at a time."""
        return ""

    def stream(self, to: str, block: str, count: str, dtype: Any) -> str:
        """The line that writes so many elements of a work-item's own to memory, past the caches."""
        raise NotImplementedError(f"{type(self).__name__} sets `streamed`, and does not say how")

    # -- statements ---------------------------------------------------------------------------------------------------
    def write(self, statements: Sequence[nest.Statement], depth: int, out: list[str]) -> None:
        """Append the lines of some statements."""
        pad = "  " * depth
        for s in statements:
            if type(s) is nest.Let:
                out.append(f"{pad}const {self.computed(s.dtype)} {s.name} = {self.expression(s)};")
            elif type(s) is nest.Load:
                text = f"{s.parameter}[{s.place}]"
                if s.dtype.name in _HALVES:
                    text = f"px_from_{_HALVES[s.dtype.name]}({text})"
                out.append(f"{pad}const {self.computed(s.dtype)} {s.name} = {text};")
            elif type(s) is nest.Pointer:
                given = f"{self.pointer}{self.constant}{self.stored(s.dtype)}"
                out.append(f"{pad}{given} *{s.name} = {s.parameter} + {s.place};")
            elif type(s) is nest.Store:
                value = f"px_to_{_HALVES[s.dtype.name]}({s.value})" if s.dtype.name in _HALVES else s.value
                out.append(f"{pad}{s.parameter}[{s.place}] = {value};")
            elif type(s) is nest.Whole:
                out.append(f"{pad}const {self.index} {s.name} = {s.text};")
            elif type(s) is nest.Counter:
                out.append(f"{pad}{self.index} {s.name} = {s.text};")
            elif type(s) is nest.Loop:
                if s.serial and self.serial:
                    out.append(self.serial)
                lanes = lanes_of(s, self.vector) if self.vector else 0
                if lanes and is_streamed(s):
                    out += self._in_blocks(s, lanes, depth)
                    continue
                if lanes:
                    out.append(self.in_vectors(lanes, together(s)))
                elif s.unrolled and self.unroll:
                    out.append(self.unroll)
                step = f"{s.name}++" if s.step == "1" else f"{s.name} += {s.step}"
                out.append(f"{pad}for ({self.index} {s.name} = {s.start}; {s.name} < {s.stop}; {step}) {{")
                self.write(s.body, depth + 1, out)
                out.append(pad + "}")
            elif type(s) is nest.Variable:
                if s.size:
                    out.append(f"{pad}{self.computed(s.dtype)} {s.name}[{s.size}];")
                if s.size and s.value:
                    out.append(f"{pad}for (int l = 0; l < {s.size}; l++) {s.name}[l] = {s.value};")
                elif not s.size:
                    out.append(f"{pad}{self.computed(s.dtype)} {s.name} = {s.value};")
            elif type(s) is nest.Assign:
                out.append(f"{pad}{s.name} = {s.value};")
            elif type(s) is nest.If:
                out.append(f"{pad}if ({s.condition}) {{")
                self.write(s.body, depth + 1, out)
                out.append(pad + "}")
            elif type(s) is nest.Forever:
                out.append(pad + "for (;;) {")
                self.write(s.body, depth + 1, out)
                out.append(pad + "}")
            elif type(s) is nest.Run:
                out.append(f"{pad}{s.kernel.name}({', '.join(['0', '1', *s.buffers])});")
            else:
                assert type(s) is nest.Leave
                out.append(f"{pad}if (!({s.condition})) break;")

    def pointer_to(self, parameter: nest.Parameter) -> str:
        """The declaration of a pointer to a buffer's numbers."""
        qualifier = "" if parameter.written else self.constant
        return f"{self.pointer}{qualifier}{self.stored(parameter.dtype)} *{self.restrict} {parameter.name}"

    def function_text(self, function: nest.Function) -> str:
        """A function of scalars."""
        arguments = ", ".join(f"const {self.computed(dtype)} {name}" for name, dtype in function.arguments)
        lines = [f"{self.function} {self.computed(function.dtype)} {function.name}({arguments}) {{"]
        self.write(function.body, 1, lines)
        return "\n".join([*lines, f"  return {function.result};", "}\n"])

    def stage_text(self, kernel: nest.Kernel) -> str:
        """One stage, as a function of its buffers and of which work-item it is, of how many."""
        return self.part_text(kernel)

    def part_text(self, kernel: nest.Kernel) -> str:
        """The same, of a kernel that a stage runs among others."""
        arguments = ", ".join(
            [f"const {self.index} w", f"const {self.index} n", *map(self.pointer_to, kernel.parameters)]
        )
        lines = [f"// {kernel.note}"] if kernel.note else []
        lines.append(f"{self.function} void {kernel.name}({arguments}) {{")
        self.write(kernel.body, 1, lines)
        return "\n".join([*lines, "}\n"])

    def program(self, kernels: Sequence[nest.Kernel], functions: Sequence[nest.Function]) -> str:
        """A whole program: its functions, its stages, and the entry that runs the stage it is told to."""
        short = {"u16": "uint16", "u32": "uint32", "i32": "int32", "i64": "int64", "f32": "float32", "f64": "float64"}
        spelled = {k: self.types[v] for k, v in short.items() if v in self.types}
        shared = (_SHARED + _SHARED64 if "f64" in spelled else _SHARED).format(function=self.function, **spelled)
        parts = [self.preamble, shared, *map(self.function_text, functions)]
        for kernel in kernels:
            parts += [*map(self.part_text, kernel.parts), self.stage_text(kernel)]
        return "\n".join([*parts, self.entry(kernels)])

    def _in_blocks(self, loop: nest.Loop, lanes: int, depth: int) -> list[str]:
        def written(statements: Sequence[nest.Statement], depth: int) -> list[str]:
            lines: list[str] = []
            self.write(statements, depth, lines)
            return lines

        def declared(name: str, dtype: Any, size: int) -> str:
            return f"{self.stored(dtype)} {name}[{size}]{self.aligned};"

        before = self.in_vectors(lanes, together(loop))
        return in_blocks(loop, self.index, declared, self.stream, written, before, depth)

    def entry(self, kernels: Sequence[nest.Kernel]) -> str:
        """``void portax_stage(stage, w, n, buffers)``."""
        lines = ["void portax_stage(int stage, long w, long n, void **b) {", "  switch (stage) {"]
        for number, kernel in enumerate(kernels):
            given = [f"({self.stored(p.dtype)} *)b[{i}]" for i, p in enumerate(kernel.parameters)]
            lines.append(f"    case {number}: {kernel.name}({', '.join(['w', 'n', *given])}); break;")
        return "\n".join([*lines, "  }", "}", ""])


def _wide(dtype: Any) -> Any:
    """The dtype that a floating number is computed in."""
    return np.dtype(np.float32) if dtype.name in _HALVES else dtype


def _most(dtype: Any) -> int:
    return (1 << (8 * dtype.itemsize - (dtypes.kind(dtype) == "int"))) - 1


def _least(dtype: Any) -> int:
    return -(1 << (8 * dtype.itemsize - 1)) if dtypes.kind(dtype) == "int" else 0
