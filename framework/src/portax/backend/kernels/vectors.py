"""Which loops may be made vectors of without a question: their turns know nothing of each other.

A compiler judges for itself how wide its vectors are, and on processors whose widest ones once were slow it takes half
of them. Where a device says that it has wider ones, loops are marked that can only gain: all they read and write lies
together, no operation in them has to leave the vector, and nothing is carried from turn to turn.

Invariant: no marked loop adds to a number that outlives its turn. A compiler that is told how wide to be takes that for
leave to add in another order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from portax.backend.kernels import nest
from portax.core import dtypes

#: Narrower numbers are left to the compiler: with them it is memory that takes the time.
_LEAST = 4
#: A loop of fewer vectors has little to gain. How many turns a share of the rows has is not known here.
_MANY = 4
#: Chains of steps that wait for each other, side by side.
CHAINS = 4
_NAME = re.compile(r"[A-Za-z_]\w*")


def lanes_of(loop: nest.Loop, width: int) -> int:
    """How many turns of a loop make one vector of ``width`` bytes; 0 where it is not such a loop."""
    if loop.unrolled:  # of a product in tiles: each lane adds to sums of its own
        lanes = width // max([s.dtype.itemsize for s in loop.body if type(s) is nest.Load], default=width)
        return 0 if int(loop.stop) % lanes else lanes
    if loop.serial or loop.step != "1":
        return 0
    widest, own = 0, list[str]()
    for s in loop.body:
        if type(s) is nest.Let:
            if s.op == "rem" or (s.op == "div" and not dtypes.is_float(s.dtype)):  # of one number at a time
                return 0
        elif type(s) is nest.Whole:
            own.append(s.name)
        elif type(s) is nest.Load or type(s) is nest.Store:
            apart = _step(s.place, loop.name, own)
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


def _step(place: str, name: str, own: Sequence[str]) -> int:
    """How far a place moves in one turn: 0, 1, or 2 for anything else, such as a place named within the turn."""
    names = _NAME.findall(place)
    if any(n in names for n in own):
        return 2
    if name not in names:
        return 0
    return 1 if names.count(name) == place.split(" + ").count(name) == 1 else 2


def together(loop: nest.Loop) -> int:
    """How many vectors are best computed at a time.

    A function of floats is a long chain, each step of which waits for the one before: processors look ahead only so
    far, and of one chain after the other they see little more than one.
    """
    calls = [s for s in loop.body if type(s) is nest.Let and s.op.startswith("px_") and dtypes.is_float(s.dtype)]
    return CHAINS if calls and not loop.unrolled else 1
