"""Gather and scatter, with their modes spelled as users spell them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core.primitive import registry
from portax.higher_order import while_loop
from portax.lax.creation import full, full_like
from portax.lax.elementwise import add, convert_element_type, gt, lt, rem, select, sub
from portax.lax.examples import example_of
from portax.lax.operands import as_operand, axis_of, shape_of
from portax.lax.reductions import reduce_max
from portax.lax.shaping import stack
from portax.primitives.indexing import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers

Operand = Any


def gather(
    operand: Operand, start_indices: Operand, dimension_numbers: GatherDimensionNumbers, slice_sizes: Sequence[int], *,
    unique_indices: bool = False, indices_are_sorted: bool = False, mode: Any = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    """Windows of ``operand`` at places given by an array of indices.

    Parameters
    ----------
    operand, start_indices : arrays
    dimension_numbers : GatherDimensionNumbers
    slice_sizes : sequence of int
    mode : GatherScatterMode or str, optional
        What happens to indices out of bounds: "fill" puts ``fill_value`` there, "clip" moves the window inside, and
        "promise_in_bounds" (the default) says that there are none.
    fill_value : scalar, optional
        NaN, or the least value of a signed and the greatest of an unsigned dtype.

    Examples
    --------
    >>> numbers = lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    >>> lax.gather(np.arange(6).reshape(3, 2), np.int32([[2], [0]]), numbers, slice_sizes=(1, 2))
    Array([[4, 5],
           [0, 1]], dtype=int32)
    """
    mode = GatherScatterMode.PROMISE_IN_BOUNDS if mode is None else GatherScatterMode.from_any(mode)
    return registry["gather"](
        as_operand(operand, "gather"), as_operand(start_indices, "gather"), dimension_numbers=dimension_numbers,
        slice_sizes=shape_of(slice_sizes), unique_indices=bool(unique_indices),
        indices_are_sorted=bool(indices_are_sorted), mode=mode, fill_value=fill_value,
    )  # fmt: skip


def _scatter(name: str, primitive_name: str, what: str) -> Any:
    primitive = registry[primitive_name]

    def function(
        operand: Operand, scatter_indices: Operand, updates: Operand, dimension_numbers: ScatterDimensionNumbers, *,
        indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
    ) -> Any:  # fmt: skip
        x = as_operand(operand, name)
        number = isinstance(updates, bool | int | float | complex)
        return primitive(
            x, as_operand(scatter_indices, name),
            convert_element_type(updates, x.dtype) if number else as_operand(updates, name),
            dimension_numbers=dimension_numbers, indices_are_sorted=bool(indices_are_sorted),
            unique_indices=bool(unique_indices), mode=GatherScatterMode.from_any(mode),
        )  # fmt: skip

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what}

    Parameters
    ----------
    operand, scatter_indices, updates : arrays
    dimension_numbers : ScatterDimensionNumbers
    indices_are_sorted, unique_indices : bool
        Promises that let a device be quicker.
    mode : GatherScatterMode or str, optional
        What happens to windows out of bounds: "drop" (the default), "clip", "promise_in_bounds".
    """
    function.__doc__ = inspect.cleandoc(function.__doc__ or "") + "\n" + example_of(name)
    return function


scatter = _scatter("scatter", "scatter", "``operand`` with windows replaced by ``updates``.")
scatter_add = _scatter("scatter_add", "scatter-add", "``operand`` with ``updates`` added to windows of it.")
scatter_sub = _scatter("scatter_sub", "scatter-sub", "``operand`` with ``updates`` subtracted from windows of it.")
scatter_mul = _scatter("scatter_mul", "scatter-mul", "``operand`` with windows of it multiplied by ``updates``.")
scatter_min = _scatter("scatter_min", "scatter-min", "``operand`` with the lesser of windows of it and ``updates``.")
scatter_max = _scatter("scatter_max", "scatter-max", "``operand`` with the greater of windows of it and ``updates``.")


def index_take(src: Operand, idxs: Sequence[Operand], axes: Sequence[int]) -> Any:
    """Elements or slices of ``src`` by number along some axes.

    Parameters
    ----------
    src : array
    idxs : sequence of arrays of int, of one shape
        A number along each of ``axes``, counted round and round: negative ones from the end.
    axes : sequence of int

    Returns
    -------
    array of the shape of the numbers, then the other axes of ``src``

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> x = pnp.arange(6).reshape(2, 3)
    >>> lax.index_take(x, (pnp.array([0, 1]), pnp.array([2, -3])), (0, 1)).tolist()
    [2, 3]
    """
    x = as_operand(src, "index_take")
    axes = tuple([axis_of("index_take", d, x.ndim) for d in axes])
    found = []
    for i, d in zip(idxs, axes, strict=True):
        index = convert_element_type(as_operand(i, "index_take"), np.int32)
        length = full_like(index, max(x.shape[d], 1))
        index = rem(index, length)
        found.append(select(lt(index, full_like(index, 0)), add(index, length), index))
    lead = found[0].ndim
    numbers = GatherDimensionNumbers(
        offset_dims=tuple(range(lead, lead + x.ndim - len(axes))), collapsed_slice_dims=tuple(sorted(axes)),
        start_index_map=axes,
    )  # fmt: skip
    sizes = [1 if d in axes else n for d, n in enumerate(x.shape)]
    return gather(x, stack(found, lead), numbers, sizes, mode="clip")


def scatter_apply(
    operand: Operand, scatter_indices: Operand, func: Callable[[Any], Any], dimension_numbers: ScatterDimensionNumbers,
    *, update_shape: Sequence[int] = (), indices_are_sorted: bool = False, unique_indices: bool = False,
    mode: Any = None,
) -> Any:  # fmt: skip
    """``operand`` with a function applied to windows of it, as often as a place is named.

    Parameters
    ----------
    operand, scatter_indices : arrays
    func : callable
        Elementwise, from an array to one of the same dtype.
    dimension_numbers : ScatterDimensionNumbers
    update_shape : sequence of int
        The shape that updates would have.
    indices_are_sorted, unique_indices : bool
        Promises that let a device be quicker.
    mode : GatherScatterMode or str, optional
        What happens to windows out of bounds: "drop" (the default), "clip", "promise_in_bounds".

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> rows = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> at = pnp.array([[0], [2], [2]])
    >>> lax.scatter_apply(pnp.ones(3), at, lambda x: 2 * x, rows, update_shape=(3,)).tolist()
    [2.0, 1.0, 4.0]
    """
    x = as_operand(operand, "scatter_apply")
    counts = scatter_add(
        full(x.shape, 0, np.int32), scatter_indices, full(shape_of(update_shape), 1, np.int32), dimension_numbers,
        indices_are_sorted=indices_are_sorted, unique_indices=unique_indices, mode=mode,
    )  # fmt: skip

    def again(state: tuple[Any, Any]) -> Any:
        return gt(reduce_max(state[1], tuple(range(x.ndim))), np.int32(0))

    def once(state: tuple[Any, Any]) -> Any:
        value, left = state
        some = gt(left, full_like(left, 0))
        return select(some, func(value), value), sub(left, full_like(left, 1))

    return while_loop(again, once, (x, counts))[0]
