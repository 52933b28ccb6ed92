"""vmap: run a function once on values that carry one more axis.

vmap(f)(xs)[i] = f(xs[i]).  Inside, the batch axis is always axis 0 of a value that has one; ``vmap`` moves axes at its
door. A value without the batch axis is an ordinary value. An operation none of whose operands is batched is not
batched, and runs once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from portax import errors
from portax.core.aval import NOWHERE, Aval, Axes, aval_of
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr
from portax.core.lazy import lazy
from portax.core.primitive import Primitive
from portax.core.trace import Trace, Tracer, extend_axes, push, state
from portax.primitives.broadcasting import broadcast_in_dim
from portax.transforms.stage import eval_closed, stage_closed

leaks = lazy("portax.transforms.leaks")


class SpreadAxis(NamedTuple):
    """A batch axis that is spread over mesh axes.

    Attributes
    ----------
    name : its own name, or None
    spmd : name or tuple of names of the mesh axes; None where it is one device's already
    varying : mesh axes along which rows are therefore other rows
    """

    name: Any
    spmd: Any
    varying: Axes = NOWHERE


class BatchTracer(Tracer):
    """One row of ``value``, whichever: ``value`` has the batch axis at 0."""

    __slots__ = ("_trace", "aval", "value")

    def __init__(self, trace: BatchTrace, value: Any) -> None:
        self._trace, self.value = trace, value
        whole = aval_of(value)
        aval = Aval(whole.shape[1:], whole.dtype, whole.weak_type)
        self.aval: Aval = aval.vary(whole.varying) if whole.varying else aval


class BatchTrace(Trace):
    """Runs each primitive's batching rule in the parent trace."""

    __slots__ = ("alive", "axis_name", "parent", "size", "spmd_axis_name", "spread", "varying")

    def __init__(
        self, parent: Trace, size: int, axis_name: Any = None, spmd_axis_name: Any = None, varying: Axes = NOWHERE
    ) -> None:
        self.parent, self.size, self.alive = parent, size, True
        self.axis_name, self.spmd_axis_name, self.varying = axis_name, spmd_axis_name, varying
        #: There is more to say of the axis than its name.
        self.spread = spmd_axis_name is not None or bool(varying)

    @property
    def axis(self) -> Any:
        """The name of the axis, or all there is to say of it, as ``batch_jaxpr`` takes it."""
        return SpreadAxis(self.axis_name, self.spmd_axis_name, self.varying) if self.spread else self.axis_name

    def process(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values: list[Any] = []
        batched: list[bool] = []
        any_batched = False
        for x in operands:
            if type(x) is BatchTracer and x._trace is self:  # pyright: ignore[reportPrivateUsage]
                values.append(x.value)
                batched.append(True)
                any_batched = True
            else:
                values.append(x)
                batched.append(False)
        state.trace = parent = self.parent
        try:
            mine = primitive.holds_functions or (
                self.axis_name is not None and self.axis_name in primitive.effects(**params)
            )
            if mine or (self.spread and any_batched and primitive.spreads):
                out, flags = primitive.batch_axis(self, tuple(batched), *values, **params)
            elif not any_batched:
                return parent.process(primitive, tuple(values), params)
            elif primitive.batch is None:
                raise errors.NotBatchableError(
                    wrong=f"{primitive.name} has no batching rule",
                    fix="Loop over the axis with lax.map, or give the function a rule with custom_vmap",
                )
            elif primitive.multiple_results:
                out, flags = primitive.batch(tuple(batched), *values, **params)
            else:
                return BatchTracer(self, primitive.batch(tuple(batched), *values, **params))
        finally:
            state.trace = self
        if not primitive.multiple_results:
            return BatchTracer(self, out) if flags else out
        return [BatchTracer(self, x) if b else x for x, b in zip(out, flags, strict=True)]

    def row(self, x: Any) -> tuple[Any, bool]:
        """The value behind ``x``, and whether it carries the batch axis."""
        if type(x) is BatchTracer and x._trace is self:  # pyright: ignore[reportPrivateUsage]
            return x.value, True
        return x, False

    def again(
        self, f: Callable[..., Sequence[Any]], values: Sequence[Any], batched: Sequence[bool]
    ) -> tuple[list[Any], list[bool]]:
        """``(outs, which_are_batched)`` of a flat function that may close over tracers of this very trace.

        An operation that holds ``f`` went down from here; now the trace below asks for it, and this one stands on top
        of that once more. When this trace has ended there is nothing to close over.
        """
        if not self.alive:
            return batch(f, values, batched, self.size, self.axis_name)
        inputs = [BatchTracer(self, x) if b else x for x, b in zip(values, batched, strict=True)]
        parent, self.parent = self.parent, state.trace
        try:
            with push(self):
                outs = f(*inputs)
        finally:
            self.parent = parent
        rows = [self.row(x) for x in outs]
        return [x for x, _ in rows], [b for _, b in rows]

    def invalidate(self) -> None:
        self.alive = False


def batch(
    f: Callable[..., Sequence[Any]],
    values: Sequence[Any],
    batched: Sequence[bool],
    size: int,
    axis_name: Any = None,
    spmd_axis_name: Any = None,
    varying: Axes = NOWHERE,
) -> tuple[list[Any], list[bool]]:
    """``(outs, which_are_batched)`` of the flat function ``f``, batch axes at 0."""
    trace = BatchTrace(state.trace, size, axis_name, spmd_axis_name, varying)
    inputs = [BatchTracer(trace, x) if b else x for x, b in zip(values, batched, strict=True)]
    try:
        with push(trace), extend_axes(axis_name, size):
            outs = f(*inputs)
    finally:
        trace.invalidate()
    rows = [trace.row(x) for x in outs]
    if config.check_tracer_leaks:
        watched = leaks.watch(trace)
        del trace, inputs, outs
        leaks.check(watched, "")
    return [x for x, _ in rows], [b for _, b in rows]


def materialize(x: Any, batched: bool, size: int) -> Any:
    """``x`` with a batch axis at 0: itself if it has one, else ``size`` copies."""
    if batched:
        return x
    aval = aval_of(x)
    return broadcast_in_dim(x, shape=(size, *aval.shape), broadcast_dimensions=tuple(range(1, aval.ndim + 1)))


def batch_jaxpr(
    closed: ClosedJaxpr,
    size: int,
    batched: Sequence[bool],
    wanted: Sequence[bool] | bool = False,
    axis_name: Any = None,
) -> tuple[ClosedJaxpr, list[bool]]:
    """``(program, which_outputs_are_batched)``; cached with the program.

    Parameters
    ----------
    wanted : which outputs must carry the batch axis even where nothing batched reaches them
    axis_name : name of the batch axis, or a SpreadAxis
    """
    axis = axis_name if type(axis_name) is SpreadAxis else SpreadAxis(axis_name, None)
    force = tuple([wanted] * len(closed.out_avals) if isinstance(wanted, bool) else wanted)
    key = ("batch", size, tuple(batched), force, axis_name)
    if key in closed.memo:
        return closed.memo[key]
    flags: list[bool] = []

    def f(*args: Any) -> list[Any]:
        outs, out_batched = batch(
            lambda *xs: eval_closed(closed, *xs), args, batched, size, axis.name, axis.spmd, axis.varying
        )
        flags[:] = [b or w for b, w in zip(out_batched, force, strict=True)]
        return [materialize(x, b, size) if w else x for x, b, w in zip(outs, out_batched, flags, strict=True)]

    avals = [
        a.update(shape=(size, *a.shape)).vary(a.varying | axis.varying) if b else a
        for a, b in zip(closed.in_avals, batched, strict=True)
    ]
    result = stage_closed(f, avals, closed.jaxpr.name), flags
    closed.memo[key] = result
    return result
