"""Windows that move along the axes of an array: how many there are, and what each of them covers.

An axis of ``n`` elements is first spread (``base`` - 1 holes between neighbours), then padded; a negative padding cuts
off. The window has ``size`` places, ``spread`` apart, and moves by ``stride``. Convolutions and windowed reductions
share this arithmetic, and the two ways to hold all windows at once: a view in NumPy, a gather on a device.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portax.core.aval import aval_of
from portax.errors import ShapeError
from portax.primitives.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from portax.primitives.slicing import pad

Shape = tuple[int, ...]


class Axis(NamedTuple):
    """A window along one axis.

    Attributes
    ----------
    n : int
        The length of the axis.
    size, stride, spread : int
        Places in the window, how far it moves, and how far its places lie apart.
    low, high : int
        Padding before and after.
    base : int
        How far the elements of the axis lie apart.
    """

    n: int
    size: int
    stride: int = 1
    low: int = 0
    high: int = 0
    base: int = 1
    spread: int = 1

    @property
    def length(self) -> int:
        """Of the axis when it is spread and padded."""
        return reach(self.n, self.base) + self.low + self.high

    @property
    def count(self) -> int:
        """How many windows there are."""
        return count_of(self.length, self.size, self.stride, self.spread)

    @property
    def trivial(self) -> bool:
        """Whether window i is element i."""
        return self[1:] == (1, 1, 0, 0, 1, 1) or (self.size == 1 and self[2:6] == (1, 0, 0, 1))

    @property
    def pads(self) -> tuple[int, int, int]:
        """What `pad` calls it."""
        return self.low, self.high, self.base - 1

    @property
    def adjoint(self) -> Axis:
        """The windows that for each element gather from all windows that hold it: stride and base change places."""
        low = (self.size - 1) * self.spread - self.low
        high = reach(self.n, self.base) + self.low - reach(self.count, self.stride)
        return Axis(self.count, self.size, self.base, low, high, self.stride, self.spread)


def reach(n: int, spread: int) -> int:
    """How far ``n`` places extend that lie ``spread`` apart."""
    return (n - 1) * spread + 1 if n else 0


def count_of(length: int, size: int, stride: int, spread: int) -> int:
    """How many windows of ``size`` places there are along an axis, spread and padded to ``length``."""
    free = length - reach(size, spread)
    return free // stride + 1 if length > 0 and free >= 0 else 0


def axes_of(
    shape: Shape, sizes: Sequence[int], strides: Sequence[int], padding: Any, base: Sequence[int], spread: Sequence[int]
) -> list[Axis]:
    """The windows along all axes of ``shape``."""
    return [
        Axis(n, k, s, low, high, b, d)
        for n, k, s, (low, high), b, d in zip(shape, sizes, strides, padding, base, spread, strict=True)
    ]


def check(name: str, shape: Shape, **given: Any) -> None:
    """Refuse parameters that are no windows of ``shape``.

    ``given`` are the parameters under their users' names: pairs of whole numbers under ``padding``, positive whole
    numbers under all others, one for each axis.

    Raises
    ------
    ShapeError
    """
    for what, values in given.items():
        if len(values) != len(shape):
            raise ShapeError(
                wrong=f"{name} needs {what} for each of {len(shape)} axes, got {tuple(values)}",
                fix=f"Give {len(shape)} of them",
            )
        if what == "padding":
            if not {2}.issuperset(map(len, values)):
                raise ShapeError(
                    wrong=f"{name} pads each axis before and after, got {tuple(values)}",
                    fix="Give a pair (low, high) for each axis",
                )
        elif values and min(map(operator.index, values)) < 1:
            raise ShapeError(
                wrong=f"{name} needs positive {what}, got {tuple(values)}", fix="Give whole numbers from 1 on"
            )


def counts_of(name: str, axes: Sequence[Axis]) -> Shape:
    """How many windows there are along each axis.

    Raises
    ------
    ShapeError
        A negative padding cuts off more than there is.
    """
    counts: list[int] = []
    for n, size, stride, low, high, base, spread in axes:
        length = reach(n, base) + low + high
        if length < 0:
            raise ShapeError(
                wrong=f"{name} with padding ({low}, {high}) cuts more off than the {reach(n, base)} places of an axis",
                fix="Give a padding that leaves no axis a negative length",
            )
        counts.append(count_of(length, size, stride, spread))
    return tuple(counts)


def padded(x: np.ndarray, axes: Sequence[Axis], value: Any) -> np.ndarray:
    """The array spread and padded with ``value``."""
    if all(a.pads == (0, 0, 0) for a in axes):
        return x
    return pad.reference(x, np.asarray(value, x.dtype), padding_config=tuple([a.pads for a in axes]))


def view(x: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """All windows of an array spread and padded already: of shape (counts, sizes), without a copy."""
    counts, sizes = tuple([a.count for a in axes]), tuple([a.size for a in axes])
    steps = tuple([s * a.stride for s, a in zip(x.strides, axes, strict=True)])
    inner = tuple([s * a.spread for s, a in zip(x.strides, axes, strict=True)])
    return np.lib.stride_tricks.as_strided(x, counts + sizes, steps + inner, writeable=False)


def gathered(x: Any, place: int, axis: Axis) -> Any:
    """An array spread and padded already, its axis ``place`` replaced by two: windows, and places in them."""
    starts, offsets = np.arange(axis.count) * axis.stride, np.arange(axis.size) * axis.spread
    index = np.asarray(np.add.outer(starts, offsets), np.int32)[..., None]
    shape = aval_of(x).shape
    rank = len(shape)
    numbers = GatherDimensionNumbers(
        offset_dims=tuple([d for d in range(rank + 1) if d not in (place, place + 1)]),
        collapsed_slice_dims=(place,),
        start_index_map=(place,),
    )
    sizes = tuple([1 if d == place else n for d, n in enumerate(shape)])
    return gather(
        x, index, dimension_numbers=numbers, slice_sizes=sizes, indices_are_sorted=False, unique_indices=False,
        mode=GatherScatterMode.PROMISE_IN_BOUNDS, fill_value=None,
    )  # fmt: skip
