"""Convolutions as products in tiles whose rows are windows, which are nowhere laid out.

A convolution is the product of its windows, each a row, with its weights, as the decomposition says. Here the windows
are read where they lie: the left operand of the tiles is the image, spread and padded once, and an element of a row is
the image's at the window's place and the step's. So what is stored is of the image's size and not of as many times that
as a window has places. The result is stored where it belongs, whatever the order of its axes.

Invariant: a convolution is written so exactly where the product in its decomposition would be in tiles, and is then
summed in the same order, over the features and then the places of a window: its bits are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from portax.backend.kernels.emit import Emitter
from portax.backend.kernels.indexes import Index, Indices
from portax.backend.kernels.nest import Element
from portax.backend.kernels.products import TILES, Keep, Moves, is_worth
from portax.backend.kernels.program import REWRITTEN, Value
from portax.backend.kernels.reductions import accumulator
from portax.core.aval import Aval
from portax.primitives.windows import Axis, axes_of


class Windows:
    """Rows that are windows of an image.

    Parameters
    ----------
    lhs, out : sequences of int
        The axes of the image, and of the result, for batch, feature, and each spatial axis.
    axes : sequence of Axis
        The windows along each spatial axis.
    groups : (int, int)
        Of the batch, and of features.
    batch, features : int
        Of one group of the image.
    """

    def __init__(
        self, lhs: Sequence[int], out: Sequence[int], axes: Sequence[Axis], groups: tuple[int, int], batch: int,
        features: int,
    ) -> None:  # fmt: skip
        self.lhs, self.out, self.axes, self.groups = tuple(lhs), tuple(out), tuple(axes), groups
        self.batch, self.features = batch, features
        self.rows = (batch, *[a.count for a in axes])

    def steps(self, inner: int) -> Sequence[int]:
        return (self.features, *[a.size for a in self.axes])

    def factor(self, em: Emitter, x: Value, batch: Index, row: Index, ks: Indices) -> Element:
        of_batch, of_features = em.indices_of(batch, self.groups)
        n, *windows = em.indices_of(row, self.rows)
        feature, *places = ks
        at = [Index()] * len(self.lhs)
        at[self.lhs[0]] = of_batch * self.batch + n
        at[self.lhs[1]] = of_features * self.features + feature
        for d, a, window, step in zip(self.lhs[2:], self.axes, windows, places, strict=True):
            at[d] = window * a.stride + step * a.spread
        return em.element(x, tuple(at))

    def places(self, em: Emitter, shape: Sequence[int], batch: Index, row: Index, column: Index) -> Indices:
        n, *windows = em.indices_of(row, self.rows)
        at = [Index()] * len(shape)
        at[self.out[0]] = n
        at[self.out[1]] = batch * (shape[self.out[1]] // math.prod(self.groups)) + column
        for d, window in zip(self.out[2:], windows, strict=True):
            at[d] = window
        return tuple(at)

    def to_store(self, left: Value) -> list[Value]:
        return [left]


def _rewritten(
    keep: Keep, zero: Callable[[Any], Value], operands: Sequence[Value], params: dict[str, Any], out: Aval
) -> Value | None:
    """The convolution in tiles; None where it stays as it is."""
    x, w = operands
    lhs, rhs, outs = params["dimension_numbers"]
    groups = params["batch_group_count"], params["feature_group_count"]
    axes = axes_of(
        tuple([x.shape[d] for d in lhs[2:]]), [w.shape[d] for d in rhs[2:]], params["window_strides"],
        params["padding"], params["lhs_dilation"], params["rhs_dilation"],
    )  # fmt: skip
    if all(a.size == 1 for a in axes):  # windows of one place are no more than the image: a product of matrices
        return None
    batch, features = x.shape[lhs[0]] // groups[0], x.shape[lhs[1]] // groups[1]
    every = math.prod(groups)
    rows, columns = batch * math.prod([a.count for a in axes]), w.shape[rhs[0]] // every
    inner = features * math.prod([a.size for a in axes])
    wide = accumulator(out.dtype)
    if not is_worth(wide, every, rows, columns, inner):
        return None
    moves = Moves(keep, zero)
    config = [(0, 0, 0)] * len(x.shape)
    for d, a in zip(lhs[2:], axes, strict=True):
        config[d] = a.pads
    image = moves.padded(moves.converted(x, wide), config)
    # (features out, then what is summed) to (groups, what is summed, features out of a group)
    weights = moves.reshaped(moves.turned(moves.converted(w, wide), rhs), every, columns, inner)
    packed = moves.panels(moves.turned(weights, (0, 2, 1)))
    sides = every, rows, columns, inner, packed.shape[-1]
    layout = Windows(lhs, outs, axes, groups, batch, features)
    return keep(TILES, [image, packed], {"sides": sides, "layout": layout}, out)


REWRITTEN["conv_general_dilated"] = _rewritten
