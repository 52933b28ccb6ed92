"""The lines of one function, and the scopes inside it.

An emitter appends finished lines to a list and hands out the next name; nothing is looked at twice. A region (the body
of a loop, a reducer) is written by the same emitter into a list of its own, which then becomes part of the op's text.

Two invariants. Names count up through the whole function, regions included, so no name is ever bound twice and the same
program gives the same text. Constants are shared within a region only: XLA takes no reducer that uses a value of
the function around it, not even a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.stablehlo.literals import as_ndarray, dense, scalar_literal
from portax.core.stablehlo.types import Value, dtype_of, is_wide, joined_types, type_of

__all__ = ["Body", "Emitter", "as_values"]

Body = Callable[..., Any]
"""A function that writes a region: ``body(b, *values)`` returns a Value, or a sequence of them."""

# Longer literals are not worth remembering: they are rarely met again, and the memory would hold them.
_LONGEST_SHARED = 64


@lru_cache(1 << 12)
def _full_form(shape: tuple[int, ...], value: Any, kind: Any, dtype: Any) -> tuple[Aval, str]:
    """Give the aval and the literal; ``kind`` says what the hash of ``value`` does not."""
    aval = Aval(shape, dtype_of(dtype))
    return aval, scalar_literal(as_ndarray(value, aval.dtype)) if aval.size else ""


def as_values(results: Any) -> tuple[Value, ...]:
    """Give what a body returned as a tuple."""
    if isinstance(results, Value):
        return (results,)
    return () if results is None else tuple(results)


class Emitter:
    """Writes the ops of one function."""

    __slots__ = ("_constants", "_count", "_pad", "lines", "order")

    def __init__(self, pad: str = "    ") -> None:
        self.lines: list[str] = []
        self._pad = pad
        self._count = 0
        self._constants: dict[tuple[str, Any], Value] = {}
        #: In a program with side effects, what the next one comes after.
        self.order: Value | None = None

    # ------------------------------------------------------------------------------------------- writing lines
    def emit(self, aval: Any, text: str) -> Value:
        """Append ``%n = text``, an op whose one result has ``aval``."""
        n = self._count
        self._count = n + 1
        name = f"%{n}"
        self.lines.append(f"{self._pad}{name} = {text}")
        return Value(name, aval)

    def emit_many(self, avals: Sequence[Any], text: str) -> tuple[Value, ...]:
        """Append ``text``, an op with as many results as there are avals."""
        if len(avals) == 1:
            return (self.emit(avals[0], text),)
        if not avals:
            self.lines.append(f"{self._pad}{text}")
            return ()
        n = self._count
        self._count = n + 1
        self.lines.append(f"{self._pad}%{n}:{len(avals)} = {text}")
        return tuple([Value(f"%{n}#{i}", aval) for i, aval in enumerate(avals)])

    def generic(
        self,
        name: str,
        operands: Sequence[Value],
        result_avals: Sequence[Any],
        attributes: str = "",
        regions: Sequence[str] = (),
    ) -> tuple[Value, ...]:
        """Append any op at all, in the form that needs no syntax of its own.

        Parameters
        ----------
        name : str
            With its dialect: ``stablehlo.all_reduce``.
        operands : sequence of Value
        result_avals : sequence of Aval
        attributes : str
            Between the braces: ``dimension = 0 : i64, is_stable = true``.
        regions : sequence of str
            As made by `region`.
        """
        inner = f" <{{{attributes}}}>" if attributes else ""
        bodies = f" ({', '.join(regions)})" if regions else ""
        return self.emit_many(
            result_avals,
            f'"{name}"({", ".join([v.name for v in operands])}){inner}{bodies} : '
            f"({joined_types(operands)}) -> ({', '.join([type_of(a) for a in result_avals])})",
        )

    def region(self, avals: Sequence[Any], body: Body) -> tuple[str, tuple[Value, ...]]:
        """Let ``body(b, *arguments)`` write a region; give its text and the values it returns.

        The values have names that mean nothing outside; their avals do.
        """
        outer_lines, outer_pad, outer_constants = self.lines, self._pad, self._constants
        self.lines, self._pad, self._constants = [], outer_pad + "    ", {}
        try:
            arguments = [Value(f"%{self._count + i}", aval) for i, aval in enumerate(avals)]
            self._count += len(arguments)
            results = as_values(body(self, *arguments))
            names = f" {', '.join([v.name for v in results])} : {joined_types(results)}" if results else ""
            head = f"{outer_pad}  ^bb0({', '.join([f'{v.name}: {v.type}' for v in arguments])}):\n" if arguments else ""
            lines = "\n".join([*self.lines, f"{self._pad}stablehlo.return{names}"])
        finally:
            self.lines, self._pad, self._constants = outer_lines, outer_pad, outer_constants
        return f"{{\n{head}{lines}\n{outer_pad}}}", results

    # ----------------------------------------------------------------------------------------------- constants
    def constant(self, value: Any, dtype: Any = None) -> Value:
        """Append an array or a number known now, exact to the bit.

        Parameters
        ----------
        value : ndarray or number
        dtype : dtype, optional
            Default: the array's own. A key dtype takes ``value`` as the integers it is stored in.
        """
        dtype = dtype_of(np.asarray(value).dtype if dtype is None else dtype)
        array = as_ndarray(value, dtype)
        literal = dense(dtype.for_compiler(array)) if is_wide(dtype) else dense(array)
        return self._constant(Aval(array.shape, dtype), literal)

    def full(self, shape: Sequence[int], value: Any, dtype: Any) -> Value:
        """Append an array of ``shape`` whose elements are all the number ``value``."""
        shape = tuple(shape)
        if is_wide(dtype):
            keys = np.frombuffer(bytes(dtype.itemsize), dtype.storage)[0] if type(value) is int else value
            return self.constant(np.broadcast_to(np.asarray(keys, dtype.storage), shape), dtype)
        # As keys -0.0 and 0.0 are one number, and so are 0 and False: the kind tells them apart.
        kind: Any = type(value)
        if kind is float:
            kind = float if value else str(value)
        elif kind is not int and kind is not bool:
            return self._constant(*_full_form.__wrapped__(shape, value, kind, dtype))
        return self._constant(*_full_form(shape, value, kind, dtype))

    def _constant(self, aval: Aval, literal: str) -> Value:
        key = literal, aval
        known = self._constants.get(key)
        if known is not None:
            return known
        value = self.emit(aval, f"stablehlo.constant dense<{literal}> : {type_of(aval)}")
        if len(literal) <= _LONGEST_SHARED:
            self._constants[key] = value
        return value

    def scalar(self, value: Any, dtype: Any) -> Value:
        """Give ``value`` as a rank-0 value: itself where it is one already, else a constant."""
        return value if isinstance(value, Value) else self.full((), value, dtype)
