"""How primitives of a library's own are batched.

A rule is ``(operands, dims, **params) -> (out, dim)``: ``dims`` says of each operand along which axis it is batched, or
``not_mapped``; ``dim`` says it of the result, or of each in a list of results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from portax.core.aval import aval_of
from portax.core.primitive import Primitive
from portax.interpreters.rules import Rules
from portax.primitives.broadcasting import transpose
from portax.transforms.batch import materialize

#: In the place of an axis: not batched.
not_mapped = None


class AxisData(NamedTuple):
    """The axis of a batch.

    Attributes
    ----------
    name : object, by which collectives know it; None for one without a name
    size : int
    spmd_name : object or None
    explicit_mesh_axis : None
    """

    name: Any
    size: int
    spmd_name: Any
    explicit_mesh_axis: Any = None


def moveaxis(x: Any, source: int, destination: int) -> Any:
    """``x`` with one axis moved to another place."""
    rank = aval_of(x).ndim
    source, destination = source % rank, destination % rank
    order = [i for i in range(rank) if i != source]
    order.insert(destination, source)
    return x if source == destination else transpose(x, permutation=tuple(order))


def bdim_at_front(x: Any, bdim: int | None, size: int) -> Any:
    """``x`` with the axis of the batch in front, repeated along it where it has none."""
    return materialize(x, False, size) if bdim is None else moveaxis(x, bdim, 0)


def _results(primitive: Primitive, out: Any, dims: Any, size: int) -> Any:
    if not primitive.multiple_results:
        return bdim_at_front(out, dims, size)
    dims = [dims] * len(out) if dims is None or isinstance(dims, int) else dims
    outs = [x if d is None else moveaxis(x, d, 0) for x, d in zip(out, dims, strict=True)]
    return outs, [d is not None for d in dims]


def _install(primitive: Primitive, rule: Callable[..., Any]) -> None:
    def batch(batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        out, dims = rule(tuple(operands), tuple(0 if b else None for b in batched), **params)
        return _results(primitive, out, dims, size)

    primitive.batch = batch


def _install_with_axis(primitive: Primitive, rule: Callable[..., Any]) -> None:
    def batch_axis(trace: Any, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        if not any(batched):
            out = primitive.bind(*operands, **params)
            return (out, [False] * len(out)) if primitive.multiple_results else (out, False)
        axis = AxisData(trace.axis_name, trace.size, trace.spmd_axis_name)
        out, dims = rule(axis, tuple(operands), tuple(0 if b else None for b in batched), **params)
        done = _results(primitive, out, dims, trace.size)
        return done if primitive.multiple_results else (done, True)

    # The trace hands such a primitive every operation, with itself.
    primitive.holds_functions, primitive.batch_axis = True, batch_axis


primitive_batchers = Rules(_install)
#: Rules that are told of the axis first: ``(axis_data, operands, dims, **params)``.
axis_primitive_batchers = Rules(_install_with_axis)


def defvectorized(primitive: Primitive) -> None:
    """Say that it does the same to each element of operands of one shape."""

    def rule(operands: Sequence[Any], dims: Sequence[int | None], **params: Any) -> tuple[Any, Any]:
        size = next(aval_of(x).shape[d] for x, d in zip(operands, dims, strict=True) if d is not None)
        rows = [bdim_at_front(x, d, size) for x, d in zip(operands, dims, strict=True)]
        return primitive.bind(*rows, **params), 0

    primitive_batchers[primitive] = rule
