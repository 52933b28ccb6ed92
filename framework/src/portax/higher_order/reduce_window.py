"""reduce_window: fold every window of arrays to one value with a function the user gives.

out = f(f(...f(init, w0), w1)...) over the elements w of a window, in any order: f must be associative and commutative,
and ``init`` its identity. What the window covers beyond the rim counts for nothing. A function recognised as one of the
primitives' monoids becomes that primitive's windowed reduction; any other keeps its program, and has the derivative of
the fold written out as pairwise calls.
"""

from __future__ import annotations

import functools
import math
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.aval import Aval, aval_of
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.core.trace import Tracer, state
from portax.higher_order.closures import Staged, name_of, stage_function
from portax.higher_order.reduce import identity_of, monoid_of
from portax.primitives.arithmetic import add, mul
from portax.primitives.bits import and_, or_
from portax.primitives.broadcasting import broadcast_to, reshape
from portax.primitives.comparison import select_n
from portax.primitives.window_reductions import slid
from portax.primitives.windows import Axis, axes_of, check, counts_of, padded, view
from portax.runtime.lowering import lower_closed
from portax.runtime.reference import program_of
from portax.transforms.batch import batch
from portax.transforms.jvp import jvp as flat_jvp
from portax.transforms.linearize import TangentTrace
from portax.transforms.stage import eval_closed, stage_closed

_TRUE, _FALSE = np.asarray(True), np.asarray(False)


def _on_arrays(jaxpr: ClosedJaxpr) -> Callable[[Sequence[Any], Sequence[Any]], list[Any]]:
    """A program of scalars, run on each element of arrays."""

    def combine(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        shape = aval_of(a[0]).shape
        size = math.prod(shape)
        flat = [reshape(x, new_sizes=(size,), dimensions=None) for x in (*a, *b)]
        outs, flags = batch(lambda *xs: eval_closed(jaxpr, *xs), flat, [True] * len(flat), size)
        return [
            reshape(x if f else broadcast_to(x, (size,)), new_sizes=shape, dimensions=None)
            for x, f in zip(outs, flags, strict=True)
        ]

    return combine


class ReduceWindow(Primitive):
    """Every window of ``n`` arrays folded with a program of ``2 n`` scalars.

    Parameters
    ----------
    *operands : ``n`` arrays of one shape, then ``n`` scalars, the identities
    jaxpr : ClosedJaxpr
        From (accumulated, next) to accumulated; associative and commutative.
    window_dimensions, window_strides, base_dilation, window_dilation : tuples of positive int, static, for each axis
        The window's size, how far it moves, and how far elements and the window's places lie apart.
    padding : tuple of (low, high), static, for each axis; a negative one cuts off

    Returns
    -------
    list of ``n`` Arrays, with an element for each window
    """

    name = "reduce_window"
    accumulates = True
    dtypes = ("int", "uint", "float", "complex")
    budget = {"default": 16}
    multiple_results = True
    memoize = False

    def abstract(
        self, *avals: Aval, jaxpr: ClosedJaxpr, window_dimensions: Any, window_strides: Any, padding: Any,
        base_dilation: Any, window_dilation: Any,
    ) -> list[Aval]:  # fmt: skip
        given = {
            "window_dimensions": window_dimensions, "window_strides": window_strides, "padding": padding,
            "base_dilation": base_dilation, "window_dilation": window_dilation,
        }  # fmt: skip
        n = len(avals) // 2
        check(self.name, avals[0].shape, **given)
        axes = _axes(avals[0].shape, given)
        shape = counts_of(self.name, axes)
        return [Aval(shape, a.dtype, a.weak_type) for a in avals[:n]]

    def reference(self, *values: Any, jaxpr: ClosedJaxpr, **params: Any) -> list[Any]:
        n = len(values) // 2
        axes = _axes(values[0].shape, params)
        counts = tuple([a.count for a in axes])
        size = math.prod(counts)
        if not size:
            return [np.empty(counts, x.dtype) for x in values[:n]]
        rows = [view(padded(x, axes, i), axes).reshape(size, -1) for x, i in zip(values[:n], values[n:], strict=True)]
        there = view(padded(np.ones(values[0].shape, bool), axes, False), axes).reshape(size, -1)
        combine = _on_arrays(jaxpr)
        avals = [Aval((size,), x.dtype) for x in values[:n]] * 2
        step = program_of(stage_closed(lambda *xs: combine(xs[:n], xs[n:]), avals))
        held = [np.full(size, i) for i in values[n:]]
        for k in range(there.shape[1]):
            new = step([*held, *(np.ascontiguousarray(r[:, k]) for r in rows)])
            held = [np.where(there[:, k], a, b) for a, b in zip(new, held, strict=True)]
        return [x.reshape(counts) for x in held]

    def decompose(self, *operands: Any, jaxpr: ClosedJaxpr, **params: Any) -> list[Any]:
        n = len(operands) // 2
        xs, inits = operands[:n], operands[n:]
        axes = _axes(aval_of(xs[0]).shape, params)
        shape = tuple([a.count for a in axes])
        if not math.prod(shape):
            return [broadcast_to(i, shape) for i in inits]
        combine = _on_arrays(jaxpr)
        start = [broadcast_to(i, shape) for i in inits]
        if all(a.low <= 0 and a.high <= 0 and a.base == 1 for a in axes):
            return combine(start, slid(combine, xs, inits, axes))
        # What lies beyond the rim is not folded in, not even as the identity: init may move, and would move many times.
        there = broadcast_to(_TRUE, aval_of(xs[0]).shape)

        def of_those_there(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
            both, folded = and_(a[0], b[0]), combine(a[1:], b[1:])
            either = [select_n(a[0], y, x) for x, y in zip(a[1:], b[1:], strict=True)]
            return [or_(a[0], b[0]), *[select_n(both, e, f) for e, f in zip(either, folded, strict=True)]]

        some, *folded = slid(of_those_there, [there, *xs], [_FALSE, *inits], axes)
        return [select_n(some, i, x) for i, x in zip(start, combine(start, folded), strict=True)]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        slot = "linearize" if isinstance(state.trace, TangentTrace) else "jvp"
        return flat_jvp(lambda *xs: self.decompose(*xs, **params), primals, tangents, slot)

    linearize = jvp

    def batch(self, batched: Sequence[bool], *operands: Any, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        n = len(operands) // 2
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        if any(batched[n:]):
            return batch(lambda *xs: self.decompose(*xs, jaxpr=jaxpr, **params), operands, batched, size)
        shape = (size, *aval_of(operands[0]).shape[int(batched[0]) :])
        xs = [
            x if b else broadcast_to(reshape(x, new_sizes=(1, *shape[1:]), dimensions=None), shape)
            for x, b in zip(operands[:n], batched, strict=False)
        ]
        moved = {name: ((0, 0) if name == "padding" else 1, *value) for name, value in params.items()}
        return self.bind(*xs, *operands[n:], jaxpr=jaxpr, **moved), [True] * n

    def stablehlo(self, b: Any, *values: Any, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        n = len(values) // 2
        aval = values[0].aval
        axes = _axes(aval.shape, params)
        if not math.prod(a.count for a in axes) or not aval.size or not axes:
            return NotImplemented  # nothing to move along: a compiler may not take it
        return b.reduce_window(
            list(values[:n]), lambda b, *xs: lower_closed(b, jaxpr, xs), list(values[n:]), params["window_dimensions"],
            params["window_strides"], params["padding"], params["base_dilation"], params["window_dilation"],
        )  # fmt: skip

    def samples(self, make: Any) -> Any:
        x = make((3, 4), low=0.5, high=1.5)
        scalar = Aval((), x.dtype)
        one, zero = np.ones((), x.dtype), np.zeros((), x.dtype)
        closed = stage_closed(lambda a, b: [add(a, b)], [scalar, scalar])
        pair = stage_closed(lambda a, b, c, d: [add(a, c), mul(b, d)], [scalar] * 4)
        params = {
            "window_dimensions": (2, 3), "window_strides": (1, 2), "padding": ((0, 0), (1, 1)),
            "base_dilation": (1, 1), "window_dilation": (1, 1),
        }  # fmt: skip
        yield Sample(x, zero, jaxpr=closed, **params, id="one")
        yield Sample(x, x, zero, one, jaxpr=pair, **{**params, "base_dilation": (2, 1)}, id="pair")
        yield Sample(x, zero, jaxpr=closed, **{**params, "window_dimensions": (4, 3)}, id="no-window-fits")

    def refusals(self, make: Any) -> Any:
        x, zero = make((3,)), make(())
        closed = stage_closed(lambda a, b: [add(a, b)], [Aval((), x.dtype)] * 2)
        plain = {"window_strides": (1,), "padding": ((0, 0),), "base_dilation": (1,), "window_dilation": (1,)}
        bad = Sample(x, zero, jaxpr=closed, window_dimensions=(1, 2), **plain)
        yield Refusal(bad, errors.ShapeError, "reduce_window needs window_dimensions for each of 1 axes")


def _axes(shape: tuple[int, ...], params: dict[str, Any]) -> list[Axis]:
    return axes_of(
        shape, params["window_dimensions"], params["window_strides"], params["padding"], params["base_dilation"],
        params["window_dilation"],
    )  # fmt: skip


reduce_window_p = registry.add(ReduceWindow())

#: The windowed reduction that a monoid's primitive has.
_REDUCTIONS = {"add": "reduce_window_sum", "max": "reduce_window_max", "min": "reduce_window_min"}


def fold_windows(
    xs: list[Any], structure: Any, init_values: Any, computation: Callable[[Any, Any], Any], params: dict[str, Any]
) -> Any:
    """What ``lax.reduce_window`` does when its arguments are complete.

    Parameters
    ----------
    xs, structure : the operands' leaves, arrays, and how they lie in a tree
    init_values : tree of that structure
    params : the parameters of the windows, as the primitives take them
    """
    inits, init_structure = tree.flatten(init_values)
    if structure != init_structure:
        raise errors.ArgumentError(
            wrong=f"reduce_window was given operands of structure {structure} and init values of {init_structure}",
            fix="Give one init value for each operand, in the same tree",
        )
    avals = [x.aval for x in xs]
    if not avals or len({a.shape for a in avals}) != 1:
        raise errors.ShapeError(
            wrong=f"reduce_window needs operands of one shape, got {', '.join(map(str, avals)) or 'none'}",
            fix="Broadcast them first",
        )
    for k, (i, a) in enumerate(zip(inits, avals, strict=True)):
        if isinstance(i, bool | int | float | complex):
            inits[k] = np.asarray(i, a.dtype)
        elif aval_of(i).shape or aval_of(i).dtype != a.dtype:
            raise errors.ArgumentError(
                wrong=f"reduce_window was given an operand {a} and its init value {aval_of(i)}",
                fix="Give a scalar of the operand's dtype",
            )
    staged = _staged(computation, structure, tuple([a.dtype for a in avals]))
    if staged.consts:
        raise errors.ArgumentError(
            wrong=f"the computation of reduce_window, {name_of(computation)}, closes over a traced or large array",
            fix="Make it a function of its two arguments alone",
        )
    name = monoid_of(staged.closed) if len(xs) == 1 else None
    if name in _REDUCTIONS and not isinstance(inits[0], Tracer):
        primitive = registry[_REDUCTIONS[name]]
        if _takes(primitive, avals[0]) and bool(np.asarray(inits[0]) == _unit(name, avals[0].dtype)):
            return tree.unflatten(structure, [primitive(xs[0], **params)])
    return tree.unflatten(structure, reduce_window_p.bind(*xs, *inits, jaxpr=staged.closed, **params))


#: What folds were staged to before: by function, and by what it closes over and takes.
_folds: weakref.WeakKeyDictionary[Any, dict[Any, Staged]] = weakref.WeakKeyDictionary()
#: What cannot change where a function closes over it. The primitives' own functions close over no more than these.
_LASTING = (Primitive, str, bool, int, float, complex, type(None))


def _staged(computation: Callable[[Any, Any], Any], structure: Any, kinds: tuple[Any, ...]) -> Staged:
    """The program of a fold; a function that closes over nothing that can change is staged once for its operands."""

    def stage() -> Staged:
        one = tree.unflatten(structure, [0] * len(kinds))
        return stage_function(computation, tree.structure((one, one)), [Aval((), kind) for kind in kinds] * 2)

    if type(computation) is not types.FunctionType:
        return stage()
    held: list[Any] = []
    for cell in computation.__closure__ or ():
        held += [type(cell.cell_contents), cell.cell_contents]
        if not isinstance(cell.cell_contents, _LASTING):
            return stage()
    known, key = _folds.setdefault(computation, {}), (*held, structure, kinds, config.epoch)
    staged = known.get(key)
    if staged is None:
        staged = stage()
        if not staged.consts:
            known[key] = staged
    return staged


@functools.lru_cache(maxsize=256)
def _unit(name: str, dtype: Any) -> np.ndarray:
    """The identity of a monoid, of a dtype."""
    return np.asarray(identity_of(name, dtype)).astype(dtype)


def _takes(primitive: Primitive, aval: Aval) -> bool:
    return dtypes.kind(aval.dtype) in primitive.dtypes
