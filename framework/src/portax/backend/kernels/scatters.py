"""Scatters, which have a kernel of their own.

The operand is copied, and then meets one update after the other, in their order, as one work-item: where several write
to one place the result is the reference's, and the same on every device.
"""

from __future__ import annotations

import numpy as np

from portax.backend.kernels import scalars
from portax.backend.kernels.emit import Emitter
from portax.backend.kernels.indexes import Index
from portax.backend.kernels.nest import Element, If, Loop, Scalar, Scope, loop_atom
from portax.backend.kernels.program import Operation, Value
from portax.backend.kernels.reductions import joined
from portax.backend.kernels.schedule import custom
from portax.primitives.indexing import CLIP
from portax.primitives.scattering import window_sizes

_JOINED = {"scatter": "", "scatter-add": "add", "scatter-mul": "mul", "scatter-max": "max", "scatter-min": "min"}


def loops_over(
    em: Emitter, scope: Scope, shape: tuple[int, ...]
) -> tuple[Scope, list[Index], list[tuple[str, int, Scope]]]:
    """Nested loops over a shape: the innermost body, the indices, and the loops to close, outermost first."""
    opened: list[tuple[str, int, Scope]] = []
    indices: list[Index] = []
    for n in shape:
        scope = Scope(scope, n)
        atom = loop_atom(em.names("i"), n, scope)
        opened.append((atom.name, n, scope))
        indices.append(Index([(atom, 1)]))
    return scope, indices, opened


def close(opened: list[tuple[str, int, Scope]]) -> None:
    """Put the loops into each other."""
    for name, n, body in reversed(opened):
        assert body.parent is not None
        body.parent.body.append(Loop(name, "0", str(n), body.body))


def _copied(em: Emitter, x: Value, out: Value) -> None:
    inner, indices, opened = loops_over(em, em.root, x.shape)
    em.store(out, tuple(indices), em.element(x, tuple(indices)), inner)
    close(opened)


@custom(*_JOINED)
def _scatter(em: Emitter, op: Operation) -> int:
    x, vectors, updates = op.operands
    (out,) = op.results
    _copied(em, x, out)
    if not updates.size:
        return 1
    d, mode = op.params["dimension_numbers"], op.params["mode"]
    sizes = window_sizes(x.shape, updates.shape, d)
    gone = {*d.inserted_window_dims, *d.operand_batching_dims}
    # Window after window: where they overlap, the last one wins.
    order = [a for a in range(len(updates.shape)) if a not in d.update_window_dims] + list(d.update_window_dims)
    inner, turned, opened = loops_over(em, em.root, tuple(updates.shape[a] for a in order))
    indices = [turned[order.index(a)] for a in range(len(order))]
    window = dict(zip([a for a in range(len(x.shape)) if a not in gone], [indices[a] for a in d.update_window_dims]))
    lead = [i for a, i in enumerate(indices) if a not in d.update_window_dims]
    paired = dict(zip(d.operand_batching_dims, d.scatter_indices_batching_dims))
    component = {a: k for k, a in enumerate(d.scatter_dims_to_operand_dims)}
    clip = mode is CLIP and all(x.shape[a] >= sizes[a] for a in component)
    tests: list[str] = []
    at: list[Index] = []
    for a, n in enumerate(x.shape):
        start = Index()
        if a in component:
            (given,) = em.element(vectors, (*lead, Index((), component[a])))
            most = n - sizes[a]
            if not clip:
                tests += _inside(em, given, most)
            start = em.as_index(given, 0, max(most, 0))
        elif a in paired:
            start = lead[paired[a]]
        at.append(start + window[a] if a in window else start)
    fresh = em.element(updates, tuple(indices))
    body = inner
    if tests:
        body = Scope(inner)
    how = _JOINED[op.name]
    if how:
        fresh = _met(em, how, _now(em, out, tuple(at), body), fresh, body)
    em.store(out, tuple(at), fresh, body)
    if tests:
        inner.body.append(If(" && ".join(tests), body.body))
    close(opened)
    return 1


def _inside(em: Emitter, given: Scalar, most: int) -> list[str]:
    low = em.op("ge", scalars.BOOL, given, em.literal(0, given.dtype))
    if most < 0:
        return ["0"]
    high = em.op("le", scalars.BOOL, given, em.literal(min(most, int(np.iinfo(given.dtype).max)), given.dtype))
    return [low.text, high.text]


def _now(em: Emitter, out: Value, at: tuple[Index, ...], scope: Scope) -> Element:
    """What lies in the result at a place so far."""
    em.parameter(out, written=True)
    # Not remembered: it changes from turn to turn.
    return em.load(out, at, scope)


def _met(em: Emitter, how: str, old: Element, new: Element, scope: Scope) -> Element:
    anchored = tuple(Scalar(x.text, x.dtype, scope) for x in old)
    if len(old) == 1 and scalars.half(old[0].dtype) and how in ("add", "mul"):
        return (scalars.arithmetic(em, how, [anchored[0], new[0]], old[0].dtype),)
    return joined(em, how, anchored, new)
