"""Laws of transformations one inside the other: each primitive under two or three of them at once.

A rule may be right alone and wrong where its operands are tracers: it looks at a value, forgets an axis, or makes a
constant of what moves. So derivatives are mapped, compiled, and differentiated again: in a plain run on one sample of
each primitive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax as px
from portax.core.aval import Aval
from portax.errors import NotDifferentiableError
from portax.runtime.array import ConcreteArray
from portax.runtime.reference import host_value
from portax.transforms.batch import batch, materialize
from portax.transforms.jvp import jvp, moves
from portax_conformance import laws
from portax_conformance.cases import Case, drawn
from portax_conformance.laws import SMOOTH, Law, Trial

ROWS = 2
#: Of results that the same rules give by the same steps, in another order at most.
EXACT = 1e-10


def typical(case: Case) -> bool:
    """One sample of each primitive: the second, since the first is often a scalar."""
    return case.number == min(1, len(drawn(case.primitive, case.dtype)) - 1)


class Derivative:
    """A primitive's derivative at a case, as functions of flat lists of arrays.

    Attributes
    ----------
    moving : operands that may move together
    live : results that move with them
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        try:
            dots, (_, got) = laws.directions(case, "composed", case.avals, self._push)[0]
        except NotDifferentiableError:  # it has reverse mode only
            dots = laws.direction(case, "composed", case.avals)
            outs = laws.determined_host(case, laws.reference(case))
            got = [x if moves(Aval(x.shape, x.dtype)) else None for x in outs]
        self.moving = [i for i, t in enumerate(dots) if t is not None]
        self.live = [i for i, t in enumerate(got) if t is not None]

    def _push(self, dots: Sequence[Any]) -> Any:
        return jvp(self.value, laws.concrete(self.case), dots)

    def value(self, *xs: Any) -> list[Any]:
        return laws.call_determined(self.case, *xs)

    def pushed(self, *xs_and_dots: Any) -> list[Any]:
        """The tangents of the live results; the operands, then the tangents of those that move."""
        n = len(self.case.operands)
        given = dict(zip(self.moving, xs_and_dots[n:], strict=True))
        _, got = jvp(self.value, xs_and_dots[:n], [given.get(i) for i in range(n)])
        return [got[i] for i in self.live]

    def pulled(self, *xs_and_cts: Any) -> list[Any]:
        """The cotangents of the operands that move; the operands, then the cotangents of the live results."""
        n = len(self.case.operands)
        xs = list(xs_and_cts[:n])

        def f(*moving: Any) -> list[Any]:
            for i, x in zip(self.moving, moving, strict=True):
                xs[i] = x
            outs = self.value(*xs)
            return [outs[i] for i in self.live]

        _, back = px.vjp(f, *[xs[i] for i in self.moving])
        return list(back(list(xs_and_cts[n:])))

    def cotangents(self, name: str) -> list[np.ndarray]:
        outs = laws.determined_host(self.case, laws.reference(self.case))
        avals = [Aval(outs[i].shape, outs[i].dtype) for i in self.live]
        return [c for c in laws.direction(self.case, name, avals) if c is not None]

    def tangents(self, name: str) -> list[np.ndarray]:
        found = laws.direction(self.case, name, [self.case.avals[i] for i in self.moving])
        return [t for t in found if t is not None]


def _arrays(*xs: Any) -> list[ConcreteArray]:
    return [ConcreteArray(Aval(x.shape, x.dtype), x) for x in xs]


def _same(case: Case, what: str, got: Sequence[Any], expected: Sequence[Any], rtol: float = EXACT) -> None:
    assert len(got) == len(expected), f"{case.id}: {what} gives {len(got)} results, not {len(expected)}"
    for g, e in zip(got, expected, strict=True):
        g, e = np.asarray(host_value(g)), np.asarray(host_value(e))
        words = f"{case.id}: {what} is {g.dtype}{g.shape}, not {e.dtype}{e.shape}"
        assert g.shape == e.shape and g.dtype == e.dtype, words
        size = 1 + float(np.abs(e[np.isfinite(e)]).max(initial=0))
        np.testing.assert_allclose(g, e, rtol=rtol, atol=rtol * size, err_msg=f"{case.id}: {what}")


def _mapped_is_a_loop(case: Case, f: Callable[..., list[Any]], rows: Sequence[Sequence[np.ndarray]], what: str) -> None:
    """``f`` of stacked rows gives the rows of ``f``, all of them stacked, or the last alone."""
    for flags in ([True] * len(rows), [i == len(rows) - 1 for i in range(len(rows))]):
        values = _arrays(*(np.stack(r) if b else r[0] for r, b in zip(rows, flags, strict=True)))
        outs, which = batch(f, values, flags, ROWS)
        found = [np.asarray(host_value(materialize(x, b, ROWS))) for x, b in zip(outs, which, strict=True)]
        for i in range(ROWS):
            alone = f(*_arrays(*(r[i if b else 0] for r, b in zip(rows, flags, strict=True))))
            _same(case, f"row {i} of {what}, batched {flags}", _arrays(*(x[i] for x in found)), alone)


def _operand_rows(case: Case) -> list[list[np.ndarray]]:
    return [[x, y] for x, y in zip(case.operands, case.again("second row"), strict=True)]


def tangent_batched(trial: Trial) -> None:
    """The tangents of a batch are those of its rows, and tangents of a mapped function are mapped tangents."""
    case, d = trial.case, Derivative(trial.case)
    dots = [[t, u] for t, u in zip(d.tangents("first"), d.tangents("second"), strict=True)]
    rows = [*_operand_rows(case), *dots]
    _mapped_is_a_loop(case, d.pushed, rows, "mapped tangents")
    n = len(case.operands)
    stacked = _arrays(*(np.stack(r) for r in rows))

    def mapped(*xs: Any) -> list[Any]:
        outs, which = batch(d.value, xs, [True] * n, ROWS)
        return [materialize(x, b, ROWS) for x, b in zip(outs, which, strict=True)]

    given = dict(zip(d.moving, stacked[n:], strict=True))
    _, outside = jvp(mapped, stacked[:n], [given.get(i) for i in range(n)])
    inside, which = batch(d.pushed, stacked, [True] * len(rows), ROWS)
    inside = [materialize(x, b, ROWS) for x, b in zip(inside, which, strict=True)]
    _same(case, "the tangent of the mapped function", [outside[i] for i in d.live], inside)


def adjoint_batched(trial: Trial) -> None:
    """The cotangents of a batch are those of its rows."""
    case, d = trial.case, Derivative(trial.case)
    cts = [[c, e] for c, e in zip(d.cotangents("first"), d.cotangents("second"), strict=True)]
    if cts:
        _mapped_is_a_loop(case, d.pulled, [*_operand_rows(case), *cts], "mapped cotangents")


def adjoint_tangent(trial: Trial) -> None:
    """How cotangents change along a direction, forward over reverse, is the limit of differences."""
    case, d = trial.case, Derivative(trial.case)
    xs, cts = list(case.operands), d.cotangents("first")
    if not cts:
        return
    given = dict(zip(d.moving, d.tangents("first"), strict=True))
    dots = [given.get(i) for i in range(len(xs))]

    def f(*given: Any) -> list[Any]:
        return d.pulled(*given, *_arrays(*cts))

    try:
        backs, got = jvp(f, _arrays(*xs), [None if t is None else _arrays(t)[0] for t in dots])
    except NotDifferentiableError as error:  # the first derivative may depend on an operand that has none
        words = f"{case.id}: refused in the words {error}"
        assert "has no derivative with respect to" in error.wrong and error.fix, words
        return

    def at(step: float) -> list[np.ndarray]:
        moved = [x if t is None else np.asarray(x + step * t).astype(x.dtype) for x, t in zip(xs, dots, strict=True)]
        return [np.asarray(host_value(x)) for x in f(*_arrays(*moved))]

    def check(step: float) -> None:
        values = zip(*(at(k * step) for k in (1, -1, 2, -2)), strict=True)
        for (a, b, c, e), back, t in zip(values, backs, got, strict=True):
            limit = (8 * (a - b) - (c - e)) / (12 * step)
            found = np.zeros(limit.shape, limit.dtype) if t is None else np.asarray(host_value(t))
            assert moves(Aval(found.shape, found.dtype)) and found.shape == np.asarray(host_value(back)).shape
            size = 1 + float(np.abs(limit).max(initial=0)) + float(np.abs(a).max(initial=0))
            np.testing.assert_allclose(found, limit, rtol=1e-5, atol=1e-6 * size, err_msg=case.id)

    laws.by_any_step(check)


def adjoint_jitted(trial: Trial) -> None:
    """Cotangents of a compiled function are those of the function, on the device."""
    case, device, d = trial.case, trial.device, Derivative(trial.case)
    assert device is not None
    cts = d.cotangents("first")
    if not cts:
        return
    arrays = _arrays(*case.operands, *cts)
    expected = d.pulled(*arrays)

    def compiled(*given: Any) -> list[Any]:
        return d.pulled(*given)

    with px.default_device(device):
        got = px.jit(compiled, effort="fast", keep_unused=True)(*(laws.on(device, x) for x in arrays))
    # The device's own rounding: a derivative is made of a few operations, each within its budget.
    _same(case, "the compiled cotangent", got, expected, rtol=1e-8)


def _law(name: str, check: Callable[[Trial], None], on_device: bool = False) -> Law:
    return Law(name, check, on_device, ("float64",), SMOOTH, applies=laws.differentiable, quick_on=typical)


LAWS = (
    _law("tangent.batched", tangent_batched),
    _law("adjoint.batched", adjoint_batched),
    _law("adjoint.tangent", adjoint_tangent),
    _law("adjoint.jitted", adjoint_jitted, on_device=True),
)
