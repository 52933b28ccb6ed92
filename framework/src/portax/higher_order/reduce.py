"""reduce: fold axes away with a function the user gives.

out = f(f(...f(init, x0), x1)...), in any order: f must be associative and commutative, and ``init`` its identity. A
function recognised as one of the primitives' monoids becomes that primitive's reduction. Any other keeps its program;
its derivative is that of the same fold written out as a tree of pairwise calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.aval import Aval, aval_of
from portax.core.jaxpr import ClosedJaxpr
from portax.core.lazy import lazy
from portax.core.primitive import Primitive, Sample, registry
from portax.core.trace import Tracer, state
from portax.higher_order.closures import avals_of, name_of, stage_function
from portax.primitives.arithmetic import add, mul
from portax.primitives.broadcasting import broadcast_to, reshape, transpose
from portax.primitives.slicing import concatenate, slice_
from portax.runtime.lowering import lower_closed
from portax.runtime.reference import program_of
from portax.transforms.batch import batch
from portax.transforms.jvp import jvp as flat_jvp
from portax.transforms.linearize import TangentTrace
from portax.transforms.stage import eval_closed, stage_closed

laying = lazy("portax.higher_order.laying")


class Reduce(Primitive):
    """``n`` arrays folded along ``dimensions`` with a program of ``2 n`` scalars.

    Parameters
    ----------
    *operands : ``n`` arrays of one shape, then ``n`` scalars, the identities
    jaxpr : ClosedJaxpr
        From (accumulated, next) to accumulated; associative and commutative.
    dimensions : tuple of int, static
    """

    name = "reduce"
    accumulates = True
    dtypes = ("int", "uint", "float", "complex")
    budget = {"default": 16}
    multiple_results = True
    memoize = False

    def abstract(self, *avals: Aval, jaxpr: ClosedJaxpr, dimensions: Any, **_: Any) -> list[Aval]:
        n = len(avals) // 2
        shape = tuple(s for d, s in enumerate(avals[0].shape) if d not in dimensions)
        return [Aval(shape, a.dtype, a.weak_type) for a in avals[:n]]

    def reference(self, *values: Any, jaxpr: ClosedJaxpr, dimensions: Any, **_: Any) -> list[Any]:
        n = len(values) // 2
        step = program_of(jaxpr)
        xs, inits = values[:n], values[n:]
        rank = xs[0].ndim
        kept = [d for d in range(rank) if d not in dimensions]
        shape = tuple(xs[0].shape[d] for d in kept)
        rows = [np.transpose(x, [*kept, *dimensions]).reshape(*shape, -1) for x in xs]
        outs = [np.empty(shape, x.dtype) for x in xs]
        for place in np.ndindex(*shape):
            held = list(inits)
            for k in range(rows[0].shape[-1]):
                held = step([*held, *(np.asarray(r[place][k]) for r in rows)])
            for out, x in zip(outs, held, strict=True):
                out[place] = x
        return outs

    def decompose(self, *operands: Any, jaxpr: ClosedJaxpr, dimensions: Any, **_: Any) -> list[Any]:
        """Halve the folded axis again and again, combining the halves."""
        n = len(operands) // 2
        inits = operands[n:]
        avals = [aval_of(x) for x in operands[:n]]
        rank = avals[0].ndim
        kept = [d for d in range(rank) if d not in dimensions]
        shape = tuple(avals[0].shape[d] for d in kept)
        count = math.prod(avals[0].shape[d] for d in dimensions)
        order = (*dimensions, *kept)
        rows = [
            reshape(transpose(x, permutation=order), new_sizes=(count, math.prod(shape)), dimensions=None)
            for x in operands[:n]
        ]
        if count == 0:
            return [broadcast_to(x, shape) for x in inits]

        def combine(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
            flat = [reshape(x, new_sizes=(aval_of(x).size,), dimensions=None) for x in (*a, *b)]
            size = aval_of(flat[0]).shape[0]
            outs, flags = batch(lambda *xs: eval_closed(jaxpr, *xs), flat, [True] * len(flat), size)
            return [
                reshape(x if f else broadcast_to(x, (size,)), new_sizes=aval_of(y).shape, dimensions=None)
                for x, f, y in zip(outs, flags, a, strict=True)
            ]

        while count > 1:
            half = count // 2
            low = [_rows(x, 0, half) for x in rows]
            high = [_rows(x, half, 2 * half) for x in rows]
            merged = combine(low, high)
            if count % 2:
                merged = [
                    concatenate(m, _rows(x, count - 1, count), dimension=0) for m, x in zip(merged, rows, strict=True)
                ]
            rows, count = merged, half + count % 2
        rows = combine([broadcast_to(i, aval_of(r).shape) for i, r in zip(inits, rows, strict=True)], rows)
        return [reshape(x, new_sizes=shape, dimensions=None) for x in rows]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return flat_jvp(lambda *xs: self.decompose(*xs, **params), primals, tangents, self._slot())

    linearize = jvp

    def _slot(self) -> str:
        return "linearize" if isinstance(state.trace, TangentTrace) else "jvp"

    def batch(self, batched: Sequence[bool], *operands: Any, jaxpr: ClosedJaxpr, dimensions: Any, **params: Any) -> Any:
        n = len(operands) // 2
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        if any(batched[n:]):
            outs, flags = batch(
                lambda *xs: self.decompose(*xs, jaxpr=jaxpr, dimensions=dimensions), operands, batched, size
            )
            return outs, flags
        shape = (size, *aval_of(operands[0]).shape[int(batched[0]) :])
        xs = [broadcast_to(x, shape) for x in operands[:n]]
        outs = self.bind(*xs, *operands[n:], jaxpr=jaxpr, dimensions=tuple(d + 1 for d in dimensions), **params)
        return outs, [True] * n

    def stablehlo(self, b: Any, *values: Any, jaxpr: ClosedJaxpr, dimensions: Any, **_: Any) -> Any:
        n = len(values) // 2
        return b.reduce(list(values[:n]), list(values[n:]), dimensions, lambda b, *xs: lower_closed(b, jaxpr, xs))

    def samples(self, make: Any) -> Any:
        x = make((2, 3), low=0.5, high=1.5)
        scalar = Aval((), x.dtype)
        one, zero = np.ones((), x.dtype), np.zeros((), x.dtype)
        closed = stage_closed(lambda a, b: [add(a, b)], [scalar, scalar])
        pair = stage_closed(lambda a, b, c, d: [add(a, c), mul(b, d)], [scalar] * 4)
        yield Sample(x, zero, jaxpr=closed, dimensions=(1,), id="one")
        yield Sample(x, x, zero, one, jaxpr=pair, dimensions=(0, 1), id="pair")


def _rows(x: Any, start: int, stop: int) -> Any:
    return slice_(x, start_indices=(start, 0), limit_indices=(stop, aval_of(x).shape[1]), strides=None)


reduce_p = registry.add(Reduce())

_MONOIDS = {
    "add": ("reduce_sum", 0), "mul": ("reduce_prod", 1), "max": ("reduce_max", None), "min": ("reduce_min", None),
    "and": ("reduce_and", None), "or": ("reduce_or", None), "xor": ("reduce_xor", None),
}  # fmt: skip


def monoid_of(closed: ClosedJaxpr) -> str | None:
    """The primitive that a program of two scalars merely is."""
    eqns, jaxpr = closed.eqns, closed.jaxpr
    if len(eqns) != 1 or len(jaxpr.invars) != 2 or jaxpr.outvars != eqns[0].outvars:
        return None
    name = eqns[0].primitive.name
    return name if name in _MONOIDS and set(eqns[0].invars) == set(jaxpr.invars) else None


def identity_of(name: str, dtype: Any) -> Any:
    if name in ("max", "min"):
        # Max and min have it.
        return registry[_MONOIDS[name][0]].identity(dtype)  # pyright: ignore[reportAttributeAccessIssue]
    if name in ("and", "or", "xor"):
        value = -1 if name == "and" else 0
        return np.asarray(name == "and") if dtypes.is_bool(dtype) else np.asarray(value).astype(dtype)
    return np.asarray(_MONOIDS[name][1], dtype)


def reduce(
    operands: Any, init_values: Any, computation: Callable[[Any, Any], Any], dimensions: Sequence[int],
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Fold axes of arrays away with a function.

    Parameters
    ----------
    operands : tree of arrays of one shape
    init_values : tree of scalars
        The identity of ``computation``.
    computation : callable, (tree, tree) -> tree
        Associative and commutative, on scalars.
    dimensions : sequence of int
        The axes to fold.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> float(lax.reduce(pnp.array([1.0, 2.0, 3.0]), 0.0, lax.add, (0,)))
    6.0
    """
    if out_sharding is not None:
        return laying.laid(reduce(operands, init_values, computation, dimensions), out_sharding)
    xs, structure = tree.flatten(operands)
    inits, init_structure = tree.flatten(init_values)
    if structure != init_structure:
        raise errors.ArgumentError(
            wrong=f"reduce was given operands of structure {structure} and init_values of {init_structure}",
            fix="Give one init value for each operand, in the same tree",
        )
    avals = avals_of(xs, "reduce")
    if len({a.shape for a in avals}) != 1:
        raise errors.ShapeError(
            wrong=f"reduce needs operands of one shape, got {', '.join(map(str, avals))}", fix="Broadcast them first"
        )
    rank = avals[0].ndim
    axes = tuple(d % rank if -rank <= d < rank else d for d in dimensions)
    for d in axes:
        if not 0 <= d < rank:
            raise errors.AxisError(wrong=f"reduce has no axis {d} in {avals[0]}", fix=f"Give axes from 0 to {rank - 1}")
    inits = [
        np.asarray(i, a.dtype) if isinstance(i, bool | int | float | complex) else i
        for i, a in zip(inits, avals, strict=True)
    ]
    for i, a in zip(inits, avals, strict=True):
        if aval_of(i).shape or aval_of(i).dtype != a.dtype:
            raise errors.ArgumentError(
                wrong=f"reduce was given an operand {a} and its init value {aval_of(i)}",
                fix="Give a scalar of the operand's dtype",
            )
    scalars = [Aval((), a.dtype) for a in avals]
    pair = tree.structure((tree.unflatten(structure, xs), tree.unflatten(structure, xs)))
    staged = stage_function(computation, pair, [*scalars, *scalars])
    if staged.consts:
        raise errors.ArgumentError(
            wrong=f"the computation of reduce, {name_of(computation)}, closes over a traced or large array",
            fix="Make it a function of its two arguments alone",
        )
    name = monoid_of(staged.closed) if len(xs) == 1 else None
    if name is not None and not isinstance(inits[0], Tracer):
        if np.array_equal(np.asarray(inits[0]), identity_of(name, avals[0].dtype)):
            return tree.unflatten(structure, [registry[_MONOIDS[name][0]](xs[0], axes=axes)])
    outs = reduce_p.bind(*xs, *inits, jaxpr=staged.closed, dimensions=axes)
    return tree.unflatten(structure, outs)
