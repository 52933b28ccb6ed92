"""Faults of how work is divided, ordered and addressed: any kernel can have them, whatever it computes.

The last tile, one block, an empty grid, strides, the cache of what was launched before, the memory that results go
to, and when they arrive there.
"""

from __future__ import annotations

import numpy as np

from portax.errors import DeviceError
from portax_conformance.mutants.fault import Arrays, Call, Fault, each

TILE, BLOCK = 32, 256


def _tail(x: np.ndarray) -> np.ndarray:
    flat = np.array(x).reshape(-1)
    if flat.size > 1 and flat.size % TILE:
        flat[flat.size - flat.size % TILE :] = np.zeros((), x.dtype)
    return flat


def tail(call: Call) -> Arrays:
    return each(call(), _tail)


def _last_of_few(x: np.ndarray) -> np.ndarray:
    flat = np.array(x).reshape(-1)
    if flat.size > 1:
        flat[-1] = flat[-2]
    return flat


def last(call: Call) -> Arrays:
    return each(call(), _last_of_few)


def _one_block(x: np.ndarray) -> np.ndarray:
    flat = np.array(x).reshape(-1)
    flat[BLOCK:] = np.zeros((), x.dtype)
    return flat


def one_block(call: Call) -> Arrays:
    return each(call(), _one_block)


def _narrow_index(x: np.ndarray) -> np.ndarray:
    """What lies beyond a number of 8 bits is read from where that number wraps."""
    flat = np.array(x).reshape(-1)
    return flat[np.arange(flat.size) % BLOCK] if flat.size else flat


def narrow_index(call: Call) -> Arrays:
    return each(call(), _narrow_index)


def empty(call: Call) -> Arrays:
    outs = call()
    if any(not x.size for x in outs):
        raise DeviceError(wrong=f"a kernel of {call.name} was launched on a grid of 0 blocks", fix="Launch none")
    return outs


def _unstrided(x: np.ndarray) -> np.ndarray:
    """The array as one reads it who takes its memory to lie in rows."""
    if x.flags.c_contiguous or not x.size:
        return x
    if min(x.strides) > 0:
        return np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape, x.dtype).strides)
    return np.flip(x, tuple([i for i, step in enumerate(x.strides) if step < 0])) if min(x.strides) < 0 else x


def strided(call: Call) -> Arrays:
    return call.right([_unstrided(x) for x in call.operands], call.params)


def stale(call: Call) -> Arrays:
    """What the same kernel gave for the same shapes the last time."""
    key = (call.name, repr(sorted(call.params.items(), key=str)), tuple([(x.shape, x.dtype) for x in call.operands]))
    outs = call.world.setdefault("stale", {})
    known = outs.get(key)
    made = call()
    if known is None:
        outs[key] = [x.copy() for x in made]
        return made
    return [x.copy() for x in known]


def in_place(call: Call) -> Arrays:
    """The result is written over the operand."""
    outs = call()
    for x in outs:
        for y in call.operands:
            if y.shape == x.shape and y.dtype == x.dtype and y.flags.writeable:
                y[...] = x
                return outs
    for y in call.operands:  # of another shape: the first number of it
        if y.size and y.flags.writeable:
            y[(0,) * y.ndim] = np.zeros((), y.dtype)
            return outs
    return outs


def late(call: Call) -> Arrays:
    """The next kernel starts before this one has written."""
    outs = call()
    places = [np.zeros_like(x) for x in outs]
    call.world["late"] += list(zip(places, outs, strict=True))
    return places


def reused(call: Call) -> Arrays:
    """Every call writes its results to the memory that the last call's results are in."""
    outs = call()
    known = call.world.setdefault("reused", {})
    key = (call.name, tuple([(x.shape, x.dtype) for x in outs]))
    places = known.setdefault(key, [np.empty_like(x) for x in outs])
    for place, x in zip(places, outs, strict=True):
        place[...] = x
    return places


#: In any kernel with results.
ANY = (
    Fault("last-tile-unwritten", "elements beyond the last whole tile of 32 are not written", tail),
    Fault("beyond-a-block", "elements beyond the first block of 256 are not written", one_block, ("long", "rows")),
    Fault("index-of-8-bits", "the index of an element is kept in 8 bits, and wraps", narrow_index, ("long", "rows")),
    Fault("last-repeats", "the last element is the one before it: the bound is off by one", last),
    Fault("empty-grid", "a kernel of no elements is launched, which the device refuses", empty, ("value", "rows")),
    Fault("stale-result", "what was computed for these shapes before is given again", stale, ("again", "value")),
    Fault("result-in-used-memory", "results go to the memory that holds the last results", reused, ("again", "inside")),
    Fault("arrives-late", "the next kernel reads before this one has written", late, ("inside",)),
)
#: In any kernel with operands.
WITH_OPERANDS = (
    Fault("strides-ignored", "operands are read as if they lay in rows", strided, ("layout",)),
    Fault("operand-overwritten", "the result is written over an operand that was not donated", in_place, ("again",)),
)
