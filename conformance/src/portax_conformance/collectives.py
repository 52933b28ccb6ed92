"""What collectives mean, on host data: slices of a named axis, stacked, before and after.

Each meaning is written once, in NumPy, for a stack of slices along axis 0. It knows nothing of batching and nothing of
devices, so it judges both: `between_laws` compares with it what devices give that talk to each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.primitives.collectives import Collective

MOVED = ("bool", "int", "uint", "float", "complex")
ADDED = ("int", "uint", "float", "complex")
ORDERED = ("int", "uint", "float")


@dataclasses.dataclass(frozen=True)
class Talk:
    """One way to use a collective.

    Attributes
    ----------
    primitive, label : str
    shape : callable
        ``(n) -> shape`` of one slice of an axis of length ``n``.
    params : callable
        ``(names, n) -> dict``: what is bound, where the axes have those names, and that length altogether.
    meaning : callable
        ``(stack) -> stack``, along axis 0.
    kinds : of dtypes
    adds : it adds, and so rounds
    several : it may work along several axes at once
    typed : its derivative is that of values of which types tell on which devices they are alike
    special : infinities and NaN are among its numbers; of zeros of both signs, either is the greater
    """

    primitive: str
    label: str
    shape: Callable[[int], tuple[int, ...]]
    params: Callable[[tuple[str, ...], int], dict[str, Any]]
    meaning: Callable[[np.ndarray], np.ndarray]
    kinds: tuple[str, ...] = MOVED
    adds: bool = False
    several: bool = False
    special: bool = False
    typed: bool = False


def _everywhere(x: np.ndarray, count: int) -> np.ndarray:
    return np.broadcast_to(x, (count, *x.shape)).copy()


def _total(stack: np.ndarray) -> np.ndarray:
    """The sum over slices, rounded once."""
    kind = dtypes.kind(stack.dtype)
    wide = {"float": np.float64, "complex": np.complex128}.get(kind, stack.dtype)
    return stack.astype(wide).sum(0, dtype=wide).astype(stack.dtype)


def _reduction(name: str, label: str, of: Callable[[np.ndarray], np.ndarray], kinds: Any, **more: Any) -> Talk:
    return Talk(
        name, label, lambda n: (3, 2), lambda names, n: {"axes": names, "axis_index_groups": None},
        lambda stack: _everywhere(of(stack), len(stack)), kinds, several=True, **more,
    )  # fmt: skip


def _greatest(stack: np.ndarray) -> np.ndarray:
    return np.maximum.reduce(stack, 0)


def _least(stack: np.ndarray) -> np.ndarray:
    return np.minimum.reduce(stack, 0)


def _gather(label: str, dimension: int, tiled: bool, name: str = "all_gather", typed: bool = False) -> Talk:
    def meaning(stack: np.ndarray) -> np.ndarray:
        join = np.concatenate if tiled else np.stack
        return _everywhere(join(list(stack), dimension), len(stack))

    return Talk(
        name, label, lambda n: (3, 2),
        lambda names, n: {
            "all_gather_dimension": dimension, "axis_name": names[0], "axis_size": n, "tiled": tiled,
        },
        meaning, typed=typed,
    )  # fmt: skip


def _scatter(label: str, dimension: int, tiled: bool) -> Talk:
    def shape(n: int) -> tuple[int, ...]:
        length = 2 * n if tiled else n
        return (length, 3) if dimension == 0 else (3, length)

    def meaning(stack: np.ndarray) -> np.ndarray:
        pieces = np.stack(np.split(_total(stack), len(stack), dimension))
        return pieces if tiled else pieces.squeeze(dimension + 1)

    return Talk(
        "reduce_scatter", label, shape,
        lambda names, n: {
            "axis_name": names[0], "axis_size": n, "scatter_dimension": dimension, "tiled": tiled,
        },
        meaning, ADDED, adds=True,
    )  # fmt: skip


def _permute(label: str, pairs: Callable[[int], list[tuple[int, int]]]) -> Talk:
    def meaning(stack: np.ndarray) -> np.ndarray:
        out = np.zeros_like(stack)
        for source, target in pairs(len(stack)):
            out[target] = stack[source]
        return out

    return Talk(
        "ppermute", label, lambda n: (2, 3), lambda names, n: {"axis_name": names[0], "perm": tuple(pairs(n))}, meaning
    )


def _exchange(label: str, split: int, concat: int) -> Talk:
    def shape(n: int) -> tuple[int, ...]:
        rest = [2, 3]
        rest.insert(split, n)
        return tuple(rest)

    def meaning(stack: np.ndarray) -> np.ndarray:
        parts = np.moveaxis(stack, split + 1, 0)  # to whom, from whom, the rest
        return np.moveaxis(parts, 1, concat + 1)

    return Talk(
        "all_to_all", label, shape,
        lambda names, n: {"axis_name": names[0], "split_axis": split, "concat_axis": concat}, meaning,
    )  # fmt: skip


def _numbered(stack: np.ndarray) -> np.ndarray:
    return np.arange(len(stack), dtype=np.int32)


#: The one list. A test holds that every collective of the registry is in it.
TALKS: tuple[Talk, ...] = (
    _reduction("psum", "sum", _total, ADDED, adds=True),
    _reduction("pmax", "greatest", _greatest, ORDERED),
    _reduction("pmax", "special", _greatest, ("float",), special=True),
    _reduction("pmin", "least", _least, ORDERED),
    _reduction("pmin", "special", _least, ("float",), special=True),
    Talk("axis_index", "number", lambda n: (), lambda names, n: {"axis_name": names[0]}, _numbered, ("int",)),
    Talk(
        "psum_invariant",
        "sum",
        lambda n: (3, 2),
        lambda names, n: {"axes": names},
        lambda stack: _everywhere(_total(stack), len(stack)),
        ADDED,
        adds=True,
        several=True,
        typed=True,
    ),
    Talk(
        "pvary",
        "same",
        lambda n: (3, 2),
        lambda names, n: {"axes": names},
        lambda stack: stack,
        several=True,
        typed=True,
    ),
    _gather("stacked", 0, False, "all_gather_invariant", True),
    _gather("tiled-last", 1, True, "all_gather_invariant", True),
    _gather("stacked", 0, False),
    _gather("stacked-last", 2, False),
    _gather("tiled", 0, True),
    _gather("tiled-last", 1, True),
    _scatter("pieces", 0, False),
    _scatter("pieces-last", 1, False),
    _scatter("tiled", 0, True),
    _scatter("tiled-last", 1, True),
    _permute("ring", lambda n: [(k, (k + 1) % n) for k in range(n)]),
    _permute("turned", lambda n: [(k, n - 1 - k) for k in range(n)]),
    _permute("in-part", lambda n: [(0, n - 1)]),
    _permute("nobody", lambda n: []),
    _exchange("first", 0, 0),
    _exchange("to-last", 0, 2),
    _exchange("from-middle", 1, 0),
)


def without_meaning(registry: Any) -> set[str]:
    """The collectives of a registry that nothing here says anything about."""
    return {p.name for p in registry if isinstance(p, Collective)} - {t.primitive for t in TALKS}
