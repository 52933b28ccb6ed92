"""Which loops may be made vectors of without a question: their turns know nothing of each other.

A compiler judges for itself how wide its vectors are, and on processors whose widest ones once were slow it takes half
of them. Where a device says that it has wider ones, loops are marked that can only gain: all they read and write lies
together, no operation in them has to leave the vector, and nothing is carried from turn to turn.

Invariant: no marked loop adds to a number that outlives its turn. A compiler that is told how wide to be takes that for
leave to add in another order.
"""

from __future__ import annotations

import re

from portax.backend.kernels import nest
from portax.core import dtypes

#: Operations that processors have for one number only, or that are calls.
_ALONE = frozenset({"rem", "sqrt"})
#: Narrower numbers are left to the compiler: with them it is memory that takes the time.
_LEAST = 4
#: A loop of fewer vectors has little to gain. How many turns a share of the rows has is not known here.
_MANY = 4
_NAME = re.compile(r"[A-Za-z_]\w*")


def lanes_of(loop: nest.Loop, width: int) -> int:
    """How many turns of a loop make one vector of ``width`` bytes; 0 where it is not such a loop."""
    if loop.unrolled:  # of a product in tiles: each lane adds to sums of its own
        return width // max([s.dtype.itemsize for s in loop.body if type(s) is nest.Load], default=width)
    if loop.serial or loop.step != "1":
        return 0
    widest = 0
    for s in loop.body:
        if type(s) is nest.Let:
            if s.op in _ALONE or (s.op == "div" and not dtypes.is_float(s.dtype)):
                return 0
        elif type(s) is nest.Load or type(s) is nest.Store:
            apart = _step(s.place, loop.name)
            if apart != 1 and (apart or type(s) is nest.Store):
                return 0
            widest = max(widest, s.dtype.itemsize)
        elif type(s) is nest.Assign:  # to the lane of its own
            if not s.name.endswith(f"[{loop.name}]"):
                return 0
            widest = max(widest, _LEAST)
        else:
            return 0
    if widest < _LEAST:
        return 0
    lanes = width // widest
    many = int(loop.stop) >= _MANY * lanes if loop.stop.isdigit() else loop.stop.isidentifier()
    return lanes if many else 0


def _step(place: str, name: str) -> int:
    """How far a place moves in one turn: 0, 1, or 2 for anything else. Its other names do not change in the loop."""
    if name not in _NAME.findall(place):
        return 0
    terms = place.split(" + ")
    return 1 if terms.count(name) == 1 and _NAME.findall(place).count(name) == 1 else 2
