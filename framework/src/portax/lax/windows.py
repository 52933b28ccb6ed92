"""Reductions of windows, with paddings by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import tree
from portax.core.aval import Aval
from portax.higher_order.reduce_window import fold_windows
from portax.lax.convolution import padtype_to_pads
from portax.lax.operands import as_operand, shape_of
from portax.primitives.windows import reach


def reduce_window(
    operand: Any, init_value: Any, computation: Callable[[Any, Any], Any], window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None, padding: Any = "VALID", base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """Fold every window of arrays to one value with a function.

    Parameters
    ----------
    operand : tree of arrays of one shape
    init_value : tree of scalars
        The identity of ``computation``.
    computation : callable, (tree, tree) -> tree
        Associative and commutative, on scalars.
    window_dimensions : sequence of int, one for each axis
    window_strides : sequence of int, optional
    padding : "VALID", "SAME", "SAME_LOWER", or a sequence of (low, high)
        What a window covers beyond the rim counts for nothing.
    base_dilation, window_dilation : sequences of int, optional
        How far elements, and places of the window, lie apart.

    Returns
    -------
    tree of arrays with an element for each window

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.reduce_window(pnp.array([1.0, 4.0, 2.0, 3.0]), -pnp.inf, lax.max, (2,), (2,), "VALID").tolist()
    [4.0, 3.0]
    """
    leaves, structure = tree.flatten(operand)
    xs = [as_operand(x, "reduce_window") for x in leaves]
    rank = xs[0].ndim if xs else 0
    window = shape_of(window_dimensions)
    strides = (1,) * rank if window_strides is None else shape_of(window_strides)
    base = (1,) * rank if base_dilation is None else shape_of(base_dilation)
    spread = (1,) * rank if window_dilation is None else shape_of(window_dilation)
    if isinstance(padding, str) and xs and len(window) == len(strides) == len(base) == len(spread) == rank:
        sizes = [reach(n, b) for n, b in zip(xs[0].shape, base, strict=True)]
        padding = padtype_to_pads(sizes, [reach(k, d) for k, d in zip(window, spread, strict=True)], strides, padding)
    elif isinstance(padding, str):
        padding = ((0, 0),) * rank  # the primitive says which of the others is wrong
    params = {
        "window_dimensions": window, "window_strides": strides, "padding": tuple([shape_of(pair) for pair in padding]),
        "base_dilation": base, "window_dilation": spread,
    }  # fmt: skip
    return fold_windows(xs, structure, init_value, computation, params)


def reduce_window_shape_tuple(
    operand_shape: Sequence[int], window_dimensions: Sequence[int], window_strides: Sequence[int], padding: Any,
    base_dilation: Sequence[int] | None = None, window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:  # fmt: skip
    """The shape of a windowed reduction.

    Examples
    --------
    >>> lax.reduce_window_shape_tuple((4, 4), (2, 2), (2, 2), [(0, 0), (0, 0)])
    (2, 2)
    """
    shape = shape_of(operand_shape)
    plain = (1,) * len(shape)
    return p.reduce_window_sum.shape(
        Aval(shape, np.dtype(np.float32)), window_dimensions=shape_of(window_dimensions),
        window_strides=shape_of(window_strides), padding=tuple([shape_of(pair) for pair in padding]),
        base_dilation=plain if base_dilation is None else shape_of(base_dilation),
        window_dilation=plain if window_dilation is None else shape_of(window_dilation),
    )  # fmt: skip
