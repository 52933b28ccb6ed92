"""Which dtype comes of two: the promotion lattice.

A dtype is *weak* when it came from a Python number; the pair (dtype, weak) is an element of the promotion lattice, and
the result of an operation has the least element above both operands. The lattice is drawn as edges in `_edges`, its
joins are computed when first asked for and kept in a table per setting. `config.promotions` is the table that belongs
to the current thread's settings, so that promotion is a dictionary look-up.

Invariant: everything here is a pure function of its arguments, ``enable_x64`` and ``numpy_dtype_promotion``.

References
----------
JAX's documentation, "Type promotion semantics", for the lattice.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from portax.core.config import config, derive
from portax.core.dtypes import (
    ALL,
    BY_SIZE,
    COMPLEX,
    FLOATS,
    NARROW,
    NARROW_FLOATS,
    NARROW_SIGNED,
    NARROW_UNSIGNED,
    SIGNED,
    TO_32,
    UNSIGNED,
    DType,
    bfloat16,
    bool_,
    complex64,
    complex128,
    default_like,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    is_key,
    kind,
    name_of,
    uint8,
    uint16,
    uint32,
    uint64,
)
from portax.errors import ArgumentError, TypePromotionError

_BOUND = 10_000
"""How many lists of operands are remembered before starting anew."""
_WEAK = {"int": int, "uint": int, "float": float, "complex": complex}


def _node(dtype: DType, weak: bool) -> Any:
    """The element of the lattice: a dtype, or a Python type for a weak one. A bool is never weak."""
    return _WEAK.get(kind(dtype), dtype) if weak else dtype


def _edges(strict: bool, x64: bool) -> dict[Any, tuple[Any, ...]]:
    """To each element those directly above it.

    ``strict``: only Python numbers give way. Without ``x64`` uint32 and int32 meet at int32, for there is no int64.
    """
    if strict:
        return {
            **dict.fromkeys(ALL, ()),
            int: (float, *SIGNED, *UNSIGNED),
            float: (complex, *FLOATS),
            complex: COMPLEX,
        }
    return {
        bool_: (int,),
        int: (uint8, int8, *NARROW_UNSIGNED, *NARROW_SIGNED),
        uint8: (int16, uint16),
        uint16: (int32, uint32),
        uint32: (int64 if x64 else int32, uint64),
        int8: (int16,),
        int16: (int32,),
        int32: (int64,),
        int64: (float,),
        uint64: (float,),
        float: (*NARROW_FLOATS, bfloat16, float16, complex),
        bfloat16: (float32,),
        float16: (float32,),
        float32: (float64, complex64),
        float64: (complex128,),
        complex: (complex64,),
        complex64: (complex128,),
        complex128: (),
        **dict.fromkeys(NARROW, ()),
    }


Operands = tuple[tuple[DType, bool], ...]


class _Promotions(dict[tuple[DType, bool, DType, bool], tuple[DType, bool]]):
    """Joins already computed, for one pair of settings; the others are computed when they are first looked up."""

    def __init__(self, strict: bool, x64: bool) -> None:
        super().__init__()
        self.strict, self.x64 = strict, x64
        self.above: dict[Any, frozenset[Any]] = {}
        self.many: dict[Operands, tuple[DType, bool]] = {}

    def __missing__(self, key: tuple[DType, bool, DType, bool]) -> tuple[DType, bool]:
        a, a_weak, b, b_weak = key
        self[key] = result = self.combine(((a, a_weak), (b, b_weak)))
        return result

    def combine(self, operands: Operands) -> tuple[DType, bool]:
        """The join of two or more operands, as a dtype, and whether it is weak."""
        first, all_weak = operands[0][0], all(weak for _, weak in operands)
        if not all_weak and all(dtype == first for dtype, _ in operands):
            return first, False  # also lets dtypes through that are not in the lattice, such as keys
        if all_weak and not self.strict:
            # Between weak operands the firm dtypes decide: weak int16 with weak int32 is weak int32, not "an integer".
            found, weak = functools.reduce(self.join, [dtype for dtype, _ in operands]), True
        else:
            found, weak = functools.reduce(self.join, [_node(*operand) for operand in operands]), False
        if isinstance(found, type):
            found, weak = BY_SIZE[found][self.x64], True
        elif not self.x64:
            # An array made under x64 keeps its dtype outside it, until it meets another dtype.
            found = TO_32.get(found, found)
        return found, weak and found != bool_

    def join(self, a: Any, b: Any) -> Any:
        """The least element above both."""
        if not self.above:
            edges = _edges(self.strict, self.x64)
            self.above = {node: _closure(node, edges) for node in edges}
        both = self.above.get(a, frozenset()) & self.above.get(b, frozenset())
        least = [node for node in both if both <= self.above[node]]
        if len(least) == 1:
            return least[0]
        names = [f"Python {x.__name__}" if isinstance(x, type) else name_of(x) for x in (a, b)]
        if self.strict:
            why = "dtypes do not mix while numpy_dtype_promotion is 'strict'"
        elif is_key(a) or is_key(b):
            why = "random keys are not numbers"
        elif a in NARROW or b in NARROW:
            why = "dtypes of 8 bits or fewer from ml_dtypes do not mix implicitly with others"
        else:
            why = "they are not both numbers"
        raise TypePromotionError(
            wrong=f"{names[0]} and {names[1]} have no common dtype: {why}",
            fix="Convert one of them first, for example with x.astype('float32')",
        )


def _closure(node: Any, edges: Mapping[Any, tuple[Any, ...]]) -> frozenset[Any]:
    reached, todo = {node}, [node]
    while todo:
        new = set(edges[todo.pop()]) - reached
        reached |= new
        todo += new
    return frozenset(reached)


_promotions = {
    (mode, x64): _Promotions(mode == "strict", x64) for mode in ("standard", "strict") for x64 in (False, True)
}
derive("promotions", lambda settings: _promotions[settings["numpy_dtype_promotion"], settings["enable_x64"]])


def promote(a: DType, a_weak: bool, b: DType, b_weak: bool) -> tuple[DType, bool]:
    """The dtype of the result of an operation on two operands, and whether it is weak.

    Raises
    ------
    TypePromotionError
        No dtype lies above both.

    Examples
    --------
    >>> promote(int32, False, float32, True)
    (dtype('float32'), True)
    """
    return config.promotions[a, a_weak, b, b_weak]


def result_type(operands: Iterable[tuple[DType, bool]]) -> tuple[DType, bool]:
    """The dtype of the result of an operation on any number of (dtype, weak) operands, and whether it is weak.

    With one operand it is that operand. With three and more it is not always what pairwise promotion gives, because
    between weak operands alone other rules hold.
    """
    all_operands = tuple(operands)
    if not all_operands:
        raise ArgumentError(wrong="no operand was given to take a dtype from", fix="Give at least one array or dtype")
    if len(all_operands) == 1:
        return all_operands[0]
    table = config.promotions
    result = table.many.get(all_operands)
    if result is None:
        if len(table.many) > _BOUND:
            table.many.clear()
        result = table.many[all_operands] = table.combine(all_operands)
    return result


def settled(dtype: DType, weak: bool) -> DType:
    """The dtype of an array made from a result of `result_type`: the default of its kind if weak, else itself."""
    return default_like(dtype) if weak else dtype


def can_promote(a: DType, a_weak: bool, b: DType, b_weak: bool) -> bool:
    """Whether an operand of dtype ``a`` may be converted to ``b`` implicitly, that is whether their join is ``b``."""
    try:
        return promote(a, a_weak, b, b_weak)[0] == b
    except TypePromotionError:
        return False
