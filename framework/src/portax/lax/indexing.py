"""Gather and scatter, with their modes spelled as users spell them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.primitive import registry
from portax.lax.elementwise import convert_element_type
from portax.lax.operands import as_operand
from portax.lax.shaping import shape_of
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
    return function


scatter = _scatter("scatter", "scatter", "``operand`` with windows replaced by ``updates``.")
scatter_add = _scatter("scatter_add", "scatter-add", "``operand`` with ``updates`` added to windows of it.")
scatter_sub = _scatter("scatter_sub", "scatter-sub", "``operand`` with ``updates`` subtracted from windows of it.")
scatter_mul = _scatter("scatter_mul", "scatter-mul", "``operand`` with windows of it multiplied by ``updates``.")
scatter_min = _scatter("scatter_min", "scatter-min", "``operand`` with the lesser of windows of it and ``updates``.")
scatter_max = _scatter("scatter_max", "scatter-max", "``operand`` with the greater of windows of it and ``updates``.")
