"""What is kept rather than computed again: in memory, for other kernels, or as a row, within one.

A value that several kernels need is computed by each of them, unless that is dearer than to write and read it. A row
that a reduction takes in, and that is needed once more when its result is there, as softmax needs its exponentials, is
kept by the work-item that computed it.

Invariant: what is kept changes no bit of any result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from portax.backend.kernels import partials, products, reductions, scalars
from portax.backend.kernels.emit import RULES
from portax.backend.kernels.program import Operation, Program, Value
from portax.core import dtypes
from portax.primitives.elementwise import Elementwise

__all__ = ["FREE", "Kept", "worth_keeping"]

#: A chain of operations dearer than this, needed in several kernels, is kept in memory.
DEAR = 16.0
#: So many uses of each element are many: half as dear a chain is then kept.
MANY = 8
#: Multiplications that are not left to a reduction, which may be the work of one work-item.
HEAVY = 1 << 15
#: Operations after which a chain is cut.
LONG = 64
#: A row cheaper than this is computed again.
ROW = 8.0

FREE = frozenset({"reshape", "broadcast_in_dim", "squeeze", "transpose", "slice", "rev", "iota", "real", "imag"})
_DEAR = frozenset({"div", "sqrt", "rem", "gather", "dynamic_slice", "concatenate", "pad"})


class Kept(NamedTuple):
    """Numbers of values.

    Attributes
    ----------
    stored : set of int
        Which have a buffer, whoever reads them.
    rows : set of int
        Of which a kernel that reduces a row keeps that row.
    """

    stored: set[int]
    rows: set[int]


def worth_keeping(program: Program, scratch: int) -> Kept:
    """Values that are dear to compute and needed in several places, and rows of at most ``scratch`` bytes.

    What is stored is what no one kernel has in common. And one in every long chain, however it is used: kernels are
    written by walking down chains. What a product needs again and again is stored too: by one in tiles whatever it
    costs, by another where it is dear. So is a product that only a reduction needs, which may have fewer work-items
    than the product has work for.
    """
    home: dict[int, object] = {v.number: v.number for v in program.outputs}
    several: set[int] = set()
    for op in reversed(program.operations):
        for value in op.results:
            if value.number in home:
                continue
            homes = {_home(user, value, home) for user in value.users}
            if len(homes) == 1:
                home[value.number] = next(iter(homes))
            else:
                home[value.number] = value.number
                several.add(value.number)
    again: set[int] = set()
    kept: set[int] = set()
    for op in program.operations:
        out = op.results[0]
        if products.is_tiled(out):
            kept.add(out.number)
            kept.update(v.number for v in products.operands_to_store(out))
        elif partials.in_parts(op):
            kept.add(out.number)
        elif op.name == "dot_general":
            work = out.size * math.prod(op.operands[0].shape[d] for d in op.params["dimension_numbers"][0][0])
            again.update(x.number for x in op.operands if work >= MANY * x.size)
            if out.size > 1 and work >= HEAVY and _ends_in_sum(out, home, program):
                kept.add(out.number)
    cost: dict[int, float] = {}
    length: dict[int, int] = {}
    for op in program.operations:
        dear = _weight(op)
        long = 1 + max([length.get(x.number, 0) for x in op.operands if x.number not in kept], default=0)
        for x in dict.fromkeys(op.operands):
            if x.number not in kept:
                hoisted = op.results[0].size >= 2 * max(x.size, 1)
                dear += 0.25 if hoisted else cost.get(x.number, 0.0)
        if op.name in ("reduce_sum", "dot_general") or op.name.startswith("reduce_"):
            dear *= max(2.0, op.operands[0].size / max(op.results[0].size, 1))
        for value in op.results:
            cost[value.number] = min(dear, 1e6)
            limit = DEAR if value.size > 1 else 1000.0
            length[value.number] = long
            needed = value.number in several and dear > limit
            if needed or (value.number in again and dear > limit / 2) or long > LONG:
                kept.add(value.number)
    return Kept(kept, {v.number for v in _reduced_rows(program, scratch) if cost[v.number] >= ROW} - kept)


def _reduced_rows(program: Program, scratch: int) -> list[Value]:
    """What is reduced along rows that lie together, and is needed for more than that."""
    found = []
    for op in program.operations:
        if op.name not in reductions.JOINED or tuple(op.params["axes"]) != (len(op.operands[0].shape) - 1,):
            continue
        x = op.operands[0]
        alone = dtypes.is_float(x.dtype) and x.dtype.itemsize >= 4
        fits = x.shape[-1] * x.dtype.itemsize <= scratch
        if alone and fits and x.source is not None and isinstance(x.source.primitive, Elementwise) and len(x.users) > 1:
            found.append(x)
    return found


def _home(user: Operation, value: Value, home: dict[int, object]) -> object:
    out = user.results[0]
    alike = (isinstance(user.primitive, Elementwise) and out.shape == value.shape) or user.name == "reshape"
    return home.get(out.number, out.number) if alike and not user.by_host else ("use", out.number)


def _ends_in_sum(value: Value, home: dict[int, object], program: Program) -> bool:
    """Whether all uses of a value end in one reduction or product, whose work-items would compute it as they go."""
    place = home[value.number]
    while isinstance(place, tuple):
        op = program.values[place[1]].source
        assert op is not None
        if op.name not in FREE:
            return op.name in reductions.JOINED or op.name == "dot_general"
        place = home[place[1]]
    return False


def _weight(op: Operation) -> float:
    if op.name in FREE:
        return 0.25
    if op.name in _DEAR:
        return 3.0
    table = (scalars.ARITHMETIC, scalars.EXACT, scalars.COMPARISONS)
    plain = any(op.name in t for t in table) or op.name in ("select_n", "convert_element_type", "bitcast_convert_type")
    return 1.0 if plain or op.name in RULES else 12.0
