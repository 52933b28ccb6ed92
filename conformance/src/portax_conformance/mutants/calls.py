"""Faults of calls of Python: not made, made again, made with what was there before, their errors lost.

As with what devices tell each other, the primitive has no kernel, and the fault is the driver's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax_conformance.mutants.fault import Arrays, Hooks

#: ``(right, world, name, operands, params) -> results``; ``right`` takes the last three.
Wrong = Callable[[Callable[..., Arrays], dict[Any, Any], str, Arrays, dict[str, Any]], Arrays]

LAWS = ("called", "threads")


def _zeros(params: dict[str, Any]) -> Arrays:
    return [np.zeros(a.shape, a.dtype) for a in params.get("result_avals", ())]


def _twice(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
    right(name, operands, params)
    return right(name, operands, params)


def _never(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
    return _zeros(params)


def _once(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
    key = id(params)
    if key not in world:
        world[key] = params, right(name, operands, params)
    return [x.copy() for x in world[key][1]]


def _reads_zeros(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
    return right(name, [np.zeros_like(x) for x in operands], params)


def _reads_the_last(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
    key = tuple([(x.shape, x.dtype) for x in operands])
    before, world[key] = world.get(key, operands), [x.copy() for x in operands]
    return right(name, before, params)


def _loses_the_last(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
    return [_last_lost(x) for x in right(name, operands, params)]


def _last_lost(x: np.ndarray) -> np.ndarray:
    flat = np.array(x).reshape(-1)
    flat[flat.size - 1 :] = np.zeros((), x.dtype)
    return flat.reshape(x.shape)


def _swallows(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
    try:
        return right(name, operands, params)
    except Exception:
        return _zeros(params)


FAULTS: dict[str, tuple[str, Wrong]] = {
    "called-twice": ("the function is called twice", _twice),
    "not-called": ("the function is not called, and its results are zeros", _never),
    "called-once": ("the function is called once, and what it gave is given ever after", _once),
    "operands-not-there": ("operands are read before they are written, and are zeros", _reads_zeros),
    "operands-of-the-last-call": ("operands are those of the last call of these shapes", _reads_the_last),
    "last-result-lost": ("the last element of a result is not written", _loses_the_last),
    "error-lost": ("what the function raises is lost", _swallows),
}
#: Of each primitive, those that show: a pure function may be called twice, and two of these have no results.
SHOWN: dict[str, tuple[str, ...]] = {
    "pure_callback": tuple([name for name in FAULTS if name != "called-twice"]),
    "io_callback": tuple(FAULTS),
    "debug_callback": tuple([name for name in FAULTS if name != "last-result-lost"]),
    "debug_print": ("called-twice", "not-called", "called-once", "operands-not-there", "operands-of-the-last-call"),
}


def _of(primitive: str, wrong: Wrong) -> dict[str, Callable[..., Any]]:
    def call(right: Any, world: dict[Any, Any], name: str, operands: Arrays, params: dict[str, Any]) -> Arrays:
        return wrong(right, world, name, operands, params) if name == primitive else right(name, operands, params)

    return {"call": call}


#: Pairs of a primitive and a fault of the driver.
CALLS: tuple[tuple[str, Hooks], ...] = tuple(
    [
        (primitive, Hooks(name, FAULTS[name][0], _of(primitive, FAULTS[name][1]), ("callback",), LAWS))
        for primitive, names in SHOWN.items()
        for name in names
    ]
)
