"""Faults of collectives: who is not heard, who gets nothing, in what order, and how numbers are combined."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax_conformance.mutants.fault import Hooks


def _less_one(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    """The last of each group is not heard: the first speaks for it."""
    heard = list(parts)
    for group in groups:
        heard[group[-1]] = parts[group[0]]
    return right(heard, groups, how)


def _silent_last(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    """The last of each group gets zeros."""
    outs = list(right(parts, groups, how))
    for group in groups:
        outs[group[-1]] = np.zeros_like(outs[group[-1]])
    return outs


def _own_part(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    """Nothing is exchanged, where the result has the shape of what is there."""
    outs = right(parts, groups, how)
    return [p if p.shape == o.shape else np.resize(p, o.shape) for p, o in zip(parts, outs, strict=True)]


def _backwards(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    """The order of a group is the other way about."""
    given = list(parts)
    for group in groups:
        for i, j in zip(group, reversed(group), strict=True):
            given[i] = parts[j]
    return right(given, groups, how)


def _one_group(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    """Who is in the first group is in all: groups are not told apart."""
    given = list(parts)
    for group in groups[1:]:
        for i, j in zip(group, groups[0], strict=True):
            given[i] = parts[j]
    return right(given, groups, how) if len(groups) > 1 else _less_one(right, world, parts, groups, how)


def _one_late(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    """Each gets what belongs to the one before it."""
    outs = list(right(parts, groups, how))
    for group in groups:
        moved = [outs[i] for i in group]
        for k, i in enumerate(group):
            outs[i] = moved[k - 1]
    return outs


def _talk(
    kind: str, primitives: tuple[str, ...], words: str, rows: tuple[tuple[str, str, Any], ...]
) -> list[tuple[str, Hooks]]:
    made: list[tuple[str, Hooks]] = []
    for primitive in primitives:
        for name, said, wrong in rows:
            made.append(
                (primitive, Hooks(f"{name}", f"{words}: {said}", {kind: wrong}, (primitive,), ("between", "pmap")))
            )
    return made


def _parts_zeroed(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    """Of every result the first number is lost."""
    outs = [np.array(x) for x in right(parts, groups, how)]
    for x in outs:
        if x.size:
            x[(0,) * x.ndim] = np.zeros((), x.dtype)
    return outs


_COMMON = (
    ("misses-one", "the last device is not heard", _less_one),
    ("last-gets-nothing", "the last device gets zeros", _silent_last),
    ("exchanges-nothing", "each device has its own part again", _own_part),
    ("groups-mixed", "all groups hear the first one", _one_group),
    ("first-number-lost", "the first number of what is got is lost", _parts_zeroed),
)
_ORDERED = (
    ("order-reversed", "devices are taken in the other order", _backwards),
    ("next-device", "each device gets what belongs to the one before it", _one_late),
)


def _adds_in_half(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    given = [
        x.astype(np.float16).astype(x.dtype)
        if dtypes.is_float(x.dtype)
        else (x // 2 * 2).astype(x.dtype)
        if x.dtype.kind in "iu"
        else x
        for x in parts
    ]
    return right(given, groups, how)


def _combines(name: str) -> Any:
    return lambda right, world, parts, groups, how: right(parts, groups, {**how, "combine": name})


def _nan_dropped(right: Any, world: dict[str, Any], parts: Any, groups: Any, how: Any) -> Any:
    lost = -np.inf if how["combine"] == "maximum" else np.inf
    given = [
        np.where(np.isnan(x), np.asarray(lost).astype(x.dtype), x).astype(x.dtype) if dtypes.is_float(x.dtype) else x
        for x in parts
    ]
    return right(given, groups, how)


#: Of collectives: the primitive, and the fault.
TALKS: list[tuple[str, Hooks]] = [
    *_talk(
        "all_reduce",
        ("psum", "psum_invariant"),
        "a sum over devices",
        (
            *_COMMON,
            ("in-half", "what is added is rounded to half the bits", _adds_in_half),
            ("maximum", "the greatest is taken", _combines("maximum")),
        ),
    ),
    *_talk(
        "all_reduce",
        ("pmax",),
        "the greatest over devices",
        (*_COMMON, ("least", "the least is taken", _combines("minimum")), ("nan-dropped", "NaN loses", _nan_dropped)),
    ),
    *_talk(
        "all_reduce",
        ("pmin",),
        "the least over devices",
        (
            *_COMMON,
            ("greatest", "the greatest is taken", _combines("maximum")),
            ("nan-dropped", "NaN loses", _nan_dropped),
        ),
    ),
    *_talk("all_gather", ("all_gather", "all_gather_invariant"), "gathering", (*_COMMON, *_ORDERED[:1])),
    *_talk(
        "reduce_scatter",
        ("reduce_scatter",),
        "scattered sums",
        (*_COMMON, *_ORDERED[1:], ("in-half", "what is added is rounded to half the bits", _adds_in_half)),
    ),
    *_talk("all_to_all", ("all_to_all",), "an exchange", (*_COMMON, *_ORDERED)),
    *_talk("collective_permute", ("ppermute",), "a permutation", (*_COMMON[1:3], *_COMMON[4:], *_ORDERED)),
]
