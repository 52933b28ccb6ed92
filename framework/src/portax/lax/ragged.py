"""Contractions of several pairs of arrays that lie in one, and of arrays with scales of their own.

A ragged contraction cuts an axis of ``lhs`` into groups of different lengths, one after the other. Each is
``dot_general`` of ``lhs`` with an axis of groups, zero outside of each.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.lax.creation import broadcasted_iota, full_like
from portax.lax.elementwise import bitwise_and, convert_element_type, ge, lt, mul, select, sub
from portax.lax.operands import as_operand
from portax.lax.products import dot_general
from portax.lax.reductions import cumsum
from portax.lax.shaping import broadcast_in_dim, expand_dims, reshape, transpose

laying = lazy("portax.higher_order.laying")

Operand = Any


@dataclasses.dataclass(frozen=True)
class RaggedDotDimensionNumbers:
    """Which axes a ragged contraction sums, batches, and cuts into groups.

    Attributes
    ----------
    dot_dimension_numbers : ((lhs contracting, rhs contracting), (lhs batch, rhs batch))
    lhs_ragged_dimensions : sequence of one int
        The axis of ``lhs`` that falls into groups.
    rhs_group_dimensions : sequence of at most one int
        The axis of ``rhs`` that runs over groups, where the ragged axis is neither contracting nor batch.
    """

    dot_dimension_numbers: Any
    lhs_ragged_dimensions: Any
    rhs_group_dimensions: Any

    def __post_init__(self) -> None:
        (a, b), (c, d) = self.dot_dimension_numbers
        numbers = (tuple(map(int, a)), tuple(map(int, b))), (tuple(map(int, c)), tuple(map(int, d)))
        object.__setattr__(self, "dot_dimension_numbers", numbers)
        object.__setattr__(self, "lhs_ragged_dimensions", tuple(map(int, self.lhs_ragged_dimensions)))
        object.__setattr__(self, "rhs_group_dimensions", tuple(map(int, self.rhs_group_dimensions)))


_MATRICES = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))


def ragged_dot(
    lhs: Operand, rhs: Operand, group_sizes: Operand, precision: Any = None, preferred_element_type: Any = None,
    group_offset: Operand | None = None, out_sharding: Any = None,
) -> Any:  # fmt: skip
    """The product of each group of rows of ``lhs`` with a matrix of its own.

    Parameters
    ----------
    lhs : array of shape (m, k)
    rhs : array of shape (groups, k, n)
    group_sizes : array of int, shape (groups,)
        How many rows of ``lhs`` belong to each; rows beyond their sum give zeros.
    precision : Precision, str, pair of them, or None
    preferred_element_type : dtype, optional
        Of the result and of the sums.
    group_offset : None
        There for JAX's sake; there is no other yet.

    Returns
    -------
    array of shape (m, n)

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> rhs = pnp.array([[[1.0]], [[10.0]]])
    >>> lax.ragged_dot(pnp.array([[1.0], [2.0], [3.0]]), rhs, pnp.array([1, 2])).tolist()
    [[1.0], [20.0], [30.0]]
    """
    if out_sharding is not None:
        return laying.laid(
            ragged_dot(lhs, rhs, group_sizes, precision, preferred_element_type, group_offset), out_sharding
        )
    return ragged_dot_general(lhs, rhs, group_sizes, _MATRICES, precision, preferred_element_type, group_offset)


def ragged_dot_general(
    lhs: Operand, rhs: Operand, group_sizes: Operand, ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: Any = None, preferred_element_type: Any = None, group_offset: Operand | None = None,
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """``dot_general`` of groups of ``lhs``, each with another part of ``rhs`` or on its own.

    Parameters
    ----------
    lhs, rhs : arrays
    group_sizes : array of int, shape (groups,) or (batch axes..., groups)
    ragged_dot_dimension_numbers : RaggedDotDimensionNumbers
        A ragged axis that is free meets an axis of groups of ``rhs``, and the result has the shape of ``dot_general``
        without that axis. A ragged axis that is summed gives a result for each group, on a new first axis. A ragged
        axis that is a batch axis changes nothing.
    precision : Precision, str, pair of them, or None
    preferred_element_type : dtype, optional
        Of the result and of the sums.
    group_offset : None
        There for JAX's sake; there is no other yet.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> summed = lax.RaggedDotDimensionNumbers((((1,), (0,)), ((), ())), [1], [])
    >>> lax.ragged_dot_general(pnp.ones((1, 3)), pnp.ones((3, 1)), pnp.array([1, 2]), summed).tolist()
    [[[1.0]], [[2.0]]]
    """
    if out_sharding is not None:
        return laying.laid(
            ragged_dot_general(
                lhs, rhs, group_sizes, ragged_dot_dimension_numbers, precision, preferred_element_type, group_offset
            ),
            out_sharding,
        )
    name = "ragged_dot_general"
    x, y, sizes = as_operand(lhs, name), as_operand(rhs, name), as_operand(group_sizes, name)
    if group_offset is not None:
        raise ArgumentError(wrong=f"{name} has no group_offset yet", fix="Leave it out, and give all groups")
    numbers = ragged_dot_dimension_numbers
    (x_sum, y_sum), (x_batch, y_batch) = numbers.dot_dimension_numbers
    if len(numbers.lhs_ragged_dimensions) != 1:
        raise ArgumentError(
            wrong=f"{name} was given ragged axes {numbers.lhs_ragged_dimensions} of lhs", fix="Give one ragged axis"
        )
    [ragged] = numbers.lhs_ragged_dimensions
    free = ragged not in x_sum and ragged not in x_batch
    if len(numbers.rhs_group_dimensions) != free:
        raise ArgumentError(
            wrong=f"{name} was given group axes {numbers.rhs_group_dimensions} of rhs for the ragged axis {ragged}",
            fix="Give one group axis where the ragged axis is neither contracting nor batch, and else none",
        )
    if not dtypes.is_integer(sizes.dtype):
        raise DtypeError(wrong=f"{name} was given group_sizes: {sizes.aval}", fix="Give integers")
    if ragged in x_batch:
        return dot_general(x, y, numbers.dot_dimension_numbers, precision, preferred_element_type)
    groups = sizes.shape[-1] if sizes.ndim else 0
    lead = tuple([x.shape[d] for d in x_batch])
    if sizes.ndim == 0 or sizes.shape[:-1] not in ((), lead):
        raise ShapeError(
            wrong=f"{name} was given group_sizes: {sizes.aval} for batch axes of {lead}",
            fix="Give one size for each group, the same for all batches or after the batch axes",
        )
    if free and y.shape[numbers.rhs_group_dimensions[0]] != groups:
        raise ShapeError(
            wrong=f"{name} was given {groups} group sizes for axis {numbers.rhs_group_dimensions[0]} of rhs: {y.aval}",
            fix="Give a size for each group of rhs",
        )
    # lhs with an axis of groups in front, zero where an element belongs to another one
    member = _members(x, sizes, ragged, x_batch)
    cut = broadcast_in_dim(x, (groups, *x.shape), range(1, x.ndim + 1))
    cut = select(member, cut, full_like(cut, 0))

    def up(axes: Sequence[int]) -> tuple[int, ...]:
        return tuple([d + 1 for d in axes])

    if free:
        dims = ((0, *up(x_sum)), (*numbers.rhs_group_dimensions, *y_sum)), (up(x_batch), y_batch)
        return dot_general(cut, y, dims, precision, preferred_element_type)
    out = dot_general(cut, y, ((up(x_sum), y_sum), (up(x_batch), y_batch)), precision, preferred_element_type)
    place = len(x_batch)  # of the axis of groups: the first free one
    return transpose(out, (place, *[d for d in range(out.ndim) if d != place]))


def _members(x: Any, sizes: Any, ragged: int, batch: Sequence[int]) -> Any:
    """Which elements belong to each group: of the shape (groups, *x.shape)."""
    last = sizes.ndim - 1
    ends = cumsum(sizes, last)
    starts = sub(ends, sizes)
    shape = (sizes.shape[last], *x.shape)
    axes = (*([d + 1 for d in batch] if last else []), 0)
    places = broadcasted_iota(sizes.dtype, shape, ragged + 1)

    def spread(v: Any) -> Any:
        order = np.argsort(axes)
        return broadcast_in_dim(transpose(v, [int(d) for d in order]), shape, sorted(axes))

    return bitwise_and(ge(places, spread(starts)), lt(places, spread(ends)))


def scaled_dot(
    lhs: Operand, rhs: Operand, *, lhs_scale: Operand | None = None, rhs_scale: Operand | None = None,
    dimension_numbers: Any = None, preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """``dot_general`` of arrays whose elements have a scale in common, a block along the contracting axis at a time.

    Parameters
    ----------
    lhs, rhs : arrays
    lhs_scale, rhs_scale : arrays, optional
        Of the shape of their operand, but for the contracting axis: it is a fraction of the operand's, a half at most.
    dimension_numbers : ((lhs contracting, rhs contracting), (lhs batch, rhs batch)), optional
        Default: products of matrices, or of stacks of them.
    preferred_element_type : dtype, optional
        Of the result and of all that is computed; default bfloat16.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> x, scale = pnp.ones((1, 4)), pnp.array([[1.0, 10.0]])
    >>> float(lax.scaled_dot(x, x.T, lhs_scale=scale)[0, 0])
    22.0
    """
    x, y = as_operand(lhs, "scaled_dot"), as_operand(rhs, "scaled_dot")
    wanted = user_dtype(dtypes.bfloat16 if preferred_element_type is None else preferred_element_type, "scaled_dot")
    if dimension_numbers is None:
        if x.ndim != y.ndim or x.ndim not in (2, 3):
            raise ShapeError(
                wrong=f"scaled_dot was given lhs: {x.aval} and rhs: {y.aval}",
                fix="Give matrices or stacks of them, or dimension_numbers",
            )
        lead = tuple(range(x.ndim - 2))
        dimension_numbers = ((x.ndim - 1,), (x.ndim - 2,)), (lead, lead)
    (x_sum, y_sum), _ = dimension_numbers
    a = _scaled(x, lhs_scale, x_sum, wanted, "lhs")
    b = _scaled(y, rhs_scale, y_sum, wanted, "rhs")
    return dot_general(a, b, dimension_numbers, None, wanted)


def _scaled(x: Any, scale: Any, axes: Sequence[int], dtype: Any, which: str) -> Any:
    x = convert_element_type(x, dtype)
    if scale is None:
        return x
    s = as_operand(scale, "scaled_dot")
    [axis] = axes if len(axes) == 1 else [operator.index(axes[0])]
    fits = s.ndim == x.ndim and all(s.shape[d] == x.shape[d] for d in range(x.ndim) if d != axis)
    blocks = s.shape[axis] if fits else 0
    if not fits or not blocks or x.shape[axis] % blocks or x.shape[axis] // blocks < 2:
        raise ShapeError(
            wrong=f"scaled_dot was given {which}: {x.aval} and its scale: {s.aval}, along axis {axis}",
            fix="Give a scale for each block of at least 2 elements along that axis, and of equal shape else",
        )
    size = x.shape[axis] // blocks
    shape = (*x.shape[:axis], blocks, size, *x.shape[axis + 1 :])
    assert math.prod(shape) == x.size
    spread = expand_dims(convert_element_type(s, dtype), (axis + 1,))
    spread = broadcast_in_dim(spread, shape, range(len(shape)))
    return reshape(mul(reshape(x, shape), spread), x.shape)
