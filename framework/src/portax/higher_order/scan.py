"""scan: a loop of known length that carries a value along and stacks what each turn gives.

scan[f](c, [x0, ..., xn-1]) = (cn, [y0, ..., yn-1])  where  (c_{i+1}, y_i) = f(c_i, x_i).

Its derivative is a scan of the derivative. Linearized, it becomes two: one on the primals, which also stacks the
residuals of each turn (those that are the same at every turn are kept once), and a linear one on the tangents, which
reads them. Transposed, the linear scan runs the other way, carrying the cotangents of the carry and adding up those of
the constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval, Axes, aval_of
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr, Effects, Eqn
from portax.core.primitive import Sample, Undefined, registry
from portax.core.refs import Cell, Scope
from portax.core.trace import push, state
from portax.higher_order.calls import ProgramCall, run_operation
from portax.higher_order.closures import (
    write_all,
)
from portax.higher_order.hoisting import Hoisting, hoisted
from portax.primitives.arithmetic import add, mul
from portax.primitives.broadcasting import transpose as permute
from portax.primitives.zeros import add_any, zeros
from portax.runtime.lowering import lower_closed
from portax.runtime.reference import host_value, program_of
from portax.transforms.batch import batch_jaxpr, materialize
from portax.transforms.dce import narrowed, readers
from portax.transforms.jvp import instantiate, jvp_jaxpr, tangent_aval
from portax.transforms.linearize import TangentTrace, linearize_jaxpr
from portax.transforms.stage import eval_closed, stage, stage_closed
from portax.transforms.transpose import transpose


class Scan(Hoisting):
    """``length`` turns of ``jaxpr``: the last carry, and the stacked results of the turns.

    Parameters
    ----------
    *operands : ``num_consts`` constants, ``num_carry`` initial carries, and sequences with ``length`` slices on axis 0
    jaxpr : ClosedJaxpr
        From (constants, carry, slices) to (carry, results).
    length : int
    reverse : bool
        Turns go from the last slice to the first.
    num_consts, num_carry : int
    unroll : int
        Turns written out one after the other inside one turn of the compiled loop.
    """

    name = "scan"
    accumulates = True
    dtypes = ("int", "uint", "float", "complex")
    multiple_results = True
    memoize = False

    def opened(self, operands: Sequence[Any], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        closed, first = hoisted(params["jaxpr"])
        return (*first, *operands), {**params, "jaxpr": closed, "num_consts": params["num_consts"] + len(first)}

    def abstract(self, *avals: Aval, jaxpr: ClosedJaxpr, length: int, num_carry: int, **_: Any) -> list[Aval]:
        outs = jaxpr.out_avals
        return [*outs[:num_carry], *(a.update(shape=(length, *a.shape)) for a in outs[num_carry:])]

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return None

    def effects(self, *, jaxpr: ClosedJaxpr, **_: Any) -> Effects:
        return jaxpr.effects

    def reference(
        self, *values: Any, jaxpr: Any, length: int, reverse: bool, num_consts: int, num_carry: int, unroll: int
    ) -> list[Any]:
        consts, carry, xs = _split(values, num_consts, num_carry)
        step = program_of(jaxpr)
        out_avals = jaxpr.out_avals[num_carry:]
        ys = [np.empty((length, *a.shape), _storage(a)) for a in out_avals]
        for i in range(length - 1, -1, -1) if reverse else range(length):
            outs = step([*consts, *carry, *[x[i] if x.ndim > 1 else np.asarray(x[i]) for x in xs]])
            carry = outs[:num_carry]
            for y, out in zip(ys, outs[num_carry:], strict=True):
                y[i] = out
        return [*carry, *ys]

    def impl(self, *operands: Any, **params: Any) -> list[Any]:
        if config.disable_jit:
            return self._plainly(*operands, **params)
        return run_operation(self, params["jaxpr"], operands, params)

    def _plainly(
        self, *operands: Any, jaxpr: Any, length: int, reverse: bool, num_consts: int, num_carry: int, unroll: int
    ) -> list[Any]:
        """Turn by turn with the current trace: for debugging."""
        consts, carry, xs = _split(operands, num_consts, num_carry)
        rows: list[Any] = [None] * length
        for i in range(length - 1, -1, -1) if reverse else range(length):
            outs = eval_closed(jaxpr, *consts, *carry, *(host_value(x)[i] for x in xs))
            carry, rows[i] = outs[:num_carry], outs[num_carry:]
        ys = [
            np.stack([host_value(row[j]) for row in rows]) if length else np.empty((0, *a.shape), _storage(a))
            for j, a in enumerate(jaxpr.out_avals[num_carry:])
        ]
        return [*carry, *ys]

    # -- derivatives --------------------------------------------------------------------------------------------------
    def jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Any, num_consts: int, num_carry: int,
        **params: Any,
    ) -> Any:  # fmt: skip
        moving = [t is not None for t in tangents]
        const_moving, carry_moving, x_moving = map(list, _split(moving, num_consts, num_carry))
        n_ys = len(jaxpr.out_avals) - num_carry
        while True:
            force = [*carry_moving, *[False] * n_ys]
            pushed, out = jvp_jaxpr(jaxpr, [*const_moving, *carry_moving, *x_moving], force)
            if out[:num_carry] == carry_moving:
                break
            carry_moving = [a or b for a, b in zip(carry_moving, out, strict=False)]
        y_moving = out[num_carry:]
        dots = [
            instantiate(t, aval_of(x)) if m else None
            for t, x, m in zip(tangents, primals, [*const_moving, *carry_moving, *x_moving], strict=True)
        ]
        key = ("scan jvp", num_consts, num_carry, tuple(const_moving), tuple(carry_moving), tuple(x_moving))
        if key not in jaxpr.memo:
            jaxpr.memo[key] = _interleaved(pushed, jaxpr, num_consts, num_carry, const_moving, carry_moving, x_moving)
        body = jaxpr.memo[key]
        consts, carry, xs = _split(primals, num_consts, num_carry)
        dc, dx, ds = [[t for t in part if t is not None] for part in _split(dots, num_consts, num_carry)]
        outs = self.bind(
            *consts, *dc, *carry, *dx, *xs, *ds,
            jaxpr=body, num_consts=num_consts + len(dc), num_carry=num_carry + len(dx), **params,
        )  # fmt: skip
        k = len(dx)
        last, dlast = outs[:num_carry], iter(outs[num_carry : num_carry + k])
        ys, dys = outs[num_carry + k :][:n_ys], iter(outs[num_carry + k + n_ys :])
        return [*last, *ys], [
            *(next(dlast) if m else None for m in carry_moving),
            *(next(dys) if m else None for m in y_moving),
        ]

    def linearize(
        self, primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Any, num_consts: int, num_carry: int,
        **params: Any,
    ) -> Any:  # fmt: skip
        const_moving, carry_moving, x_moving = map(
            list, _split([t is not None for t in tangents], num_consts, num_carry)
        )
        n_outs = len(jaxpr.out_avals)
        while True:
            moving = [*const_moving, *carry_moving, *x_moving]
            split = linearize_jaxpr(jaxpr, moving, [*carry_moving, *[False] * (n_outs - num_carry)])
            if split.moving_out[:num_carry] == carry_moving:
                break
            carry_moving = [a or b for a, b in zip(carry_moving, split.moving_out, strict=False)]
        # A residual that is a constant of the loop need not be stacked, one that is a slice is stacked already.
        fixed = [p is not None and p < num_consts for p in split.forwarded]
        sliced = [p is not None and p >= num_consts + num_carry for p in split.forwarded]
        known = [f or s for f, s in zip(fixed, sliced, strict=True)]
        outs = self.bind(
            *primals, jaxpr=split.primal_without(known), num_consts=num_consts, num_carry=num_carry, **params
        )
        if not any(split.moving_out):
            return outs[:n_outs], [None] * n_outs
        stacked = iter(outs[n_outs:])
        residuals = [
            primals[p] if p is not None and k else next(stacked) for p, k in zip(split.forwarded, known, strict=True)
        ]
        body = _with_fixed_first(split.linear, fixed, sum(const_moving), sum(carry_moving))
        dots = [instantiate(t, aval_of(x)) if m else None for t, x, m in zip(tangents, primals, moving, strict=True)]
        dc, dx, ds = [[t for t in part if t is not None] for part in _split(dots, num_consts, num_carry)]
        first = [r for r, f in zip(residuals, fixed, strict=True) if f]
        rest = [r for r, f in zip(residuals, fixed, strict=True) if not f]
        results = iter(
            self.bind(
                *first, *dc, *dx, *rest, *ds,
                jaxpr=body, num_consts=len(first) + len(dc), num_carry=len(dx), **params,
            )
        )  # fmt: skip
        return outs[:n_outs], [next(results) if m else None for m in split.moving_out]

    def transpose(
        self, cts: Sequence[Any], *operands: Any, jaxpr: Any, length: int, reverse: bool, num_consts: int,
        num_carry: int, unroll: int,
    ) -> Any:  # fmt: skip
        linear = [type(x) is Undefined for x in operands]
        lin_consts, lin_carry, lin_xs = map(list, _split(linear, num_consts, num_carry))
        # A tangent may start at a known zero and move from the first turn on, or the other way round: its carry is
        # linear all the same.
        later = _carried(jaxpr, num_consts, num_carry, linear)[:num_carry]
        if not all(a or b for a, b in zip(lin_carry, later, strict=True)):
            return self._transpose_mixed(cts, operands, linear, jaxpr, length, reverse, num_consts, num_carry, unroll)
        consts, _, xs = _split(operands, num_consts, num_carry)
        ct_carry = [instantiate(ct, a) for ct, a in zip(cts[:num_carry], jaxpr.out_avals[:num_carry], strict=True)]
        ct_ys = cts[num_carry:]
        y_moving = [ct is not None for ct in ct_ys]
        known_consts = [x for x, lin in zip(consts, lin_consts, strict=True) if not lin]
        known_xs = [x for x, lin in zip(xs, lin_xs, strict=True) if not lin]
        key = ("scan transpose", num_consts, num_carry, tuple(linear), tuple(y_moving))
        if key not in jaxpr.memo:
            jaxpr.memo[key] = _backward(jaxpr, num_consts, num_carry, lin_consts, lin_xs, y_moving)
        body, cells = jaxpr.memo[key]
        written = [cell for cell, w in cells if w]
        read = [cell.read() for cell, w in cells if not w]
        sums = [zeros(tangent_aval(x.aval)) for x, lin in zip(consts, lin_consts, strict=True) if lin]
        outs = self.bind(
            *read, *known_consts, *(cell.read() for cell in written), *sums, *ct_carry,
            *(ct for ct in ct_ys if ct is not None), *known_xs,
            jaxpr=body, length=length, reverse=not reverse, num_consts=len(read) + len(known_consts),
            num_carry=len(written) + len(sums) + num_carry, unroll=unroll,
        )  # fmt: skip
        write_all(written, outs[: len(written)])
        back = iter(outs[len(written) :])
        ct_consts = [next(back) if lin else None for lin in lin_consts]
        ct_init = [ct if lin else None for ct, lin in zip([next(back) for _ in lin_carry], lin_carry, strict=True)]
        return [*ct_consts, *ct_init, *(next(back) if lin else None for lin in lin_xs)]

    def _transpose_mixed(
        self, cts: Any, operands: Any, linear: Any, jaxpr: Any, length: int, reverse: bool, num_consts: int,
        num_carry: int, unroll: int,
    ) -> Any:  # fmt: skip
        """A scan that carries known values beside linear ones, as in a loop with a counter: the known part runs first.

        Linearizing a linear map gives the map: the primal scan of that carries the known values and stacks what the
        linear part needs of them.
        """
        primals = [zeros(tangent_aval(x.aval)) if lin else x for x, lin in zip(operands, linear, strict=True)]
        trace_dots = [Undefined(tangent_aval(x.aval)) if lin else None for x, lin in zip(operands, linear, strict=True)]
        params = {
            "jaxpr": jaxpr,
            "length": length,
            "reverse": reverse,
            "num_consts": num_consts,
            "num_carry": num_carry,
            "unroll": unroll,
        }
        avals = [t.aval for t in trace_dots if t is not None]
        moving_out: list[bool] = []

        def tangents(*given: Any) -> list[Any]:
            rest = iter(given)
            dots = [next(rest) if t is not None else None for t in trace_dots]
            _, out = self.linearize(primals, dots, **params)
            moving_out[:] = [t is not None for t in out]
            return [t for t in out if t is not None]

        jaxpr_, consts = _linear_program(tangents, avals)
        back = iter(
            transpose(
                jaxpr_, consts, [Undefined(a) for a in avals], [c for c, m in zip(cts, moving_out, strict=True) if m]
            )
        )
        return [next(back) if lin else None for lin in linear]

    # -- batching -----------------------------------------------------------------------------------------------------
    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        return self._batch(size, None, batched, operands, **params)

    def batch_axis(self, trace: Any, batched: Any, *operands: Any, **params: Any) -> Any:
        """Batching where the body consults the batch axis by name."""
        return self._batch(trace.size, trace.axis, batched, operands, **params)

    def _batch(
        self, size: int, axis_name: Any, batched: Any, operands: Any, *, jaxpr: Any, num_consts: int, num_carry: int,
        **params: Any,
    ) -> Any:  # fmt: skip
        const_rows, carry_rows, x_rows = map(list, _split(batched, num_consts, num_carry))
        n_ys = len(jaxpr.out_avals) - num_carry
        while True:
            force = [*carry_rows, *[False] * n_ys]
            body, out = batch_jaxpr(jaxpr, size, [*const_rows, *carry_rows, *x_rows], force, axis_name)
            if out[:num_carry] == carry_rows:
                break
            carry_rows = out[:num_carry]
        consts, carry, xs = _split(operands, num_consts, num_carry)
        was = batched[num_consts : num_consts + num_carry]
        carry = [materialize(x, b, size) if r else x for x, b, r in zip(carry, was, carry_rows, strict=True)]
        # The scanned axis must lead, so the batch axis of a sequence goes second.
        xs = [swap_leading(x) if b else x for x, b in zip(xs, x_rows, strict=True)]
        outs = self.bind(*consts, *carry, *xs, jaxpr=body, num_consts=num_consts, num_carry=num_carry, **params)
        ys = [swap_leading(y) if b else y for y, b in zip(outs[num_carry:], out[num_carry:], strict=True)]
        return [*outs[:num_carry], *ys], out

    # -- what is read -------------------------------------------------------------------------------------------------
    def dce(self, used: Sequence[bool], eqn: Eqn) -> Eqn:
        closed, num_consts, num_carry = (eqn.params[k] for k in ("jaxpr", "num_consts", "num_carry"))
        # A carry is read if its last value is, or if a turn makes something of it that is.
        carry, ys = list(used[:num_carry]), list(used[num_carry:])
        while True:
            read = readers(closed, [*carry, *ys])
            after = [a or b for a, b in zip(carry, read[num_consts:], strict=False)]
            if after == carry:
                break
            carry = after
        kept = [*read[:num_consts], *carry, *read[num_consts + num_carry :]]
        smaller, _ = narrowed(closed, [*carry, *ys], kept)
        if smaller is closed:
            return eqn
        params = {**eqn.params, "jaxpr": smaller, "num_consts": sum(kept[:num_consts]), "num_carry": sum(carry)}
        return eqn.replace(
            invars=[a for a, k in zip(eqn.invars, kept, strict=True) if k],
            outvars=[v for v, k in zip(eqn.outvars, [*carry, *ys], strict=True) if k],
            params=params,
        )

    # -- lowering -----------------------------------------------------------------------------------------------------
    def stablehlo(
        self, b: Any, *values: Any, jaxpr: Any, length: int, reverse: bool, num_consts: int, num_carry: int,
        unroll: int,
    ) -> Any:  # fmt: skip
        consts, carry, xs = _split(values, num_consts, num_carry)
        index = np.dtype(np.int32)
        y_avals = [Aval((length, *a.shape), a.dtype) for a in jaxpr.out_avals[num_carry:]]
        ys = [b.full(a.shape, 0, a.dtype) for a in y_avals]
        if length == 0:
            return [*carry, *ys]

        def turn(b: Any, i: Any, carry: Any, ys: Any) -> Any:
            place = b.binary("subtract", b.constant(length - 1, index), i) if reverse else i
            zero = b.constant(0, index)
            slices = []
            for x in xs:
                row = x.aval.shape[1:]
                cut = b.dynamic_slice(x, [place] + [zero] * len(row), (1, *row))
                slices.append(b.reshape(cut, row))
            outs = lower_closed(b, jaxpr, [*consts, *carry, *slices])
            done = [
                b.dynamic_update_slice(y, b.reshape(o, (1, *o.aval.shape)), [place] + [zero] * o.aval.ndim)
                for y, o in zip(ys, outs[num_carry:], strict=True)
            ]
            return outs[:num_carry], done

        whole = max(1, min(unroll, length))

        def body(b: Any, i: Any, *state: Any) -> list[Any]:
            carry, ys = state[:num_carry], state[num_carry:]
            for step in range(whole):
                at = i if step == 0 else b.binary("add", i, b.constant(step, index))
                carry, ys = turn(b, at, carry, ys)
            return [b.binary("add", i, b.constant(whole, index)), *carry, *ys]

        turns = length // whole * whole
        state: list[Any] = [*carry, *ys]
        if turns == whole:
            _, *state = body(b, b.constant(0, index), *state)
        else:
            _, *state = b.while_loop(
                [b.constant(0, index), *state],
                lambda b, i, *_: b.compare(i, b.constant(turns, index), "LT"),
                body,
            )
        for i in range(turns, length):
            carry, ys = turn(b, b.constant(i, index), state[:num_carry], state[num_carry:])
            state = [*carry, *ys]
        return state

    def samples(self, make: Any) -> Any:
        c, xs = make((2,), low=-1.0, high=1.0), make((4, 2), low=-1.0, high=1.0)
        row = Aval(c.shape, c.dtype)
        body = stage_closed(lambda k, c, x: [add(mul(c, k), x), mul(c, x)], [row, row, row])
        common = {"jaxpr": body, "length": 4, "num_consts": 1, "num_carry": 1}
        yield Sample(c, c, xs, reverse=False, unroll=1, **common, id="forward")
        yield Sample(c, c, xs, reverse=True, unroll=1, **common, id="reverse")
        yield Sample(c, c, xs, reverse=False, unroll=3, **common, id="unrolled")
        empty = dict(common, length=0)
        yield Sample(c, c, xs[:0], reverse=False, unroll=1, **empty, id="no-turn")


def _storage(aval: Aval) -> Any:
    return getattr(aval.dtype, "storage", aval.dtype)


def _split(xs: Sequence[Any], a: int, b: int) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    return xs[:a], xs[a : a + b], xs[a + b :]


def swap_leading(x: Any) -> Any:
    """``x`` with its first two axes exchanged."""
    n = aval_of(x).ndim
    return permute(x, permutation=(1, 0, *range(2, n)))


def _carried(jaxpr: ClosedJaxpr, num_consts: int, num_carry: int, moving: Sequence[bool]) -> list[bool]:
    """Which results of a scan depend on the operands that are ``moving``, at its first turn or a later one."""
    flags = list(moving)
    while True:
        out = _reached(jaxpr, flags)
        after = [a or b for a, b in zip(flags[num_consts:], out[:num_carry], strict=False)]
        if after == flags[num_consts : num_consts + num_carry]:
            return out
        flags[num_consts : num_consts + num_carry] = after


def _reached(closed: ClosedJaxpr, moving: Sequence[bool]) -> list[bool]:
    """Which results of a program depend on the inputs that are ``moving``."""
    found = {v for v, m in zip(closed.jaxpr.invars, moving, strict=True) if m}
    for eqn in closed.eqns:
        ins = [a in found for a in eqn.invars]
        if not any(ins):
            continue
        if eqn.primitive is scan_p:
            outs = _carried(eqn.params["jaxpr"], eqn.params["num_consts"], eqn.params["num_carry"], ins)
        elif isinstance(eqn.primitive, ProgramCall):
            outs = _reached(eqn.params["jaxpr"], ins)
        else:
            outs = [True] * len(eqn.outvars)
        found.update(v for v, m in zip(eqn.outvars, outs, strict=True) if m)
    return [v in found for v in closed.jaxpr.outvars]


def _linear_program(f: Callable[..., Sequence[Any]], avals: Sequence[Aval]) -> tuple[Any, list[Any]]:
    """Record what ``f`` does to tangents, and run the rest of it now."""
    trace = TangentTrace(state.trace)
    inputs = [trace.argument(a) for a in avals]
    with push(trace):
        outs = f(*inputs)
        return trace.jaxpr(inputs, outs)


def _interleaved(
    pushed: ClosedJaxpr, jaxpr: ClosedJaxpr, num_consts: int, num_carry: int, mc: Any, mx: Any, ms: Any
) -> ClosedJaxpr:
    """From (c, x, s, dc, dx, ds) -> (x, y, dx, dy) to (c, dc, x, dx, s, ds) -> (x, dx, y, dy)."""
    avals = jaxpr.in_avals
    c, x, s = _split(avals, num_consts, num_carry)
    dc = [tangent_aval(a) for a, m in zip(c, mc, strict=True) if m]
    dx = [tangent_aval(a) for a, m in zip(x, mx, strict=True) if m]
    ds = [tangent_aval(a) for a, m in zip(s, ms, strict=True) if m]
    sizes = [len(c), len(dc), len(x), len(dx), len(s), len(ds)]
    n_outs = len(jaxpr.out_avals)

    def f(*args: Any) -> list[Any]:
        parts, at = [], 0
        for n in sizes:
            parts.append(args[at : at + n])
            at += n
        c, dc, x, dx, s, ds = parts
        outs = eval_closed(pushed, *c, *x, *s, *dc, *dx, *ds)
        first, dots = outs[:n_outs], outs[n_outs:]
        k = len(dx)
        return [*first[:num_carry], *dots[:k], *first[num_carry:], *dots[k:]]

    return stage_closed(f, [*c, *dc, *x, *dx, *s, *ds], jaxpr.jaxpr.name)


def _with_fixed_first(linear: ClosedJaxpr, fixed: Sequence[bool], n_consts: int, n_carry: int) -> ClosedJaxpr:
    """From (residuals, dc, dx, ds) to (fixed residuals, dc, dx, other residuals, ds)."""
    key = ("scan linear", tuple(fixed), n_consts, n_carry)
    if key in linear.memo:
        return linear.memo[key]
    n = len(fixed)
    first = [i for i, f in enumerate(fixed) if f]
    rest = [i for i, f in enumerate(fixed) if not f]
    order = [*first, *range(n, n + n_consts + n_carry), *rest, *range(n + n_consts + n_carry, len(linear.in_avals))]
    jaxpr = linear.jaxpr.replace(invars=[linear.jaxpr.invars[i] for i in order])
    linear.memo[key] = ClosedJaxpr(jaxpr, linear.consts)
    return linear.memo[key]


def _with_firm_carry(jaxpr: ClosedJaxpr, num_consts: int, num_carry: int) -> ClosedJaxpr:
    """``jaxpr`` where a carry that comes out firm goes in firm: its cotangent is, from the last turn on."""
    consts, carry, xs = _split(jaxpr.in_avals, num_consts, num_carry)
    firm = [a if o.weak_type else a.strip_weak_type() for a, o in zip(carry, jaxpr.out_avals, strict=False)]
    if firm == list(carry):
        return jaxpr
    return stage_closed(lambda *args: eval_closed(jaxpr, *args), [*consts, *firm, *xs], jaxpr.jaxpr.name)


def _backward(
    jaxpr: ClosedJaxpr, num_consts: int, num_carry: int, lin_consts: Any, lin_xs: Any, y_moving: Any
) -> tuple[ClosedJaxpr, list[tuple[Cell, bool]]]:
    """One turn back: (known consts, sums, ct carry, ct ys, known xs) -> (sums, ct carry, ct xs).

    References that a user's rule touches on the way are constants where they are read, and lead the carry where they
    are written; they are returned besides.
    """
    jaxpr = _with_firm_carry(jaxpr, num_consts, num_carry)
    consts, carry, xs = _split(jaxpr.in_avals, num_consts, num_carry)
    outs = jaxpr.out_avals
    known_consts = [a for a, lin in zip(consts, lin_consts, strict=True) if not lin]
    sums = [tangent_aval(a) for a, lin in zip(consts, lin_consts, strict=True) if lin]
    ct_carry = [tangent_aval(a) for a in outs[:num_carry]]
    ct_ys = [tangent_aval(a) for a, m in zip(outs[num_carry:], y_moving, strict=True) if m]
    known_xs = [a for a, lin in zip(xs, lin_xs, strict=True) if not lin]
    sizes = [len(known_consts), len(sums), len(ct_carry), len(ct_ys), len(known_xs)]

    def f(*args: Any) -> list[Any]:
        parts, at = [], 0
        for n in sizes:
            parts.append(iter(args[at : at + n]))
            at += n
        k, total, dc, dy, kx = parts
        operands = [
            *(Undefined(a) if lin else next(k) for a, lin in zip(consts, lin_consts, strict=True)),
            *(Undefined(a) for a in carry),
            *(Undefined(a) if lin else next(kx) for a, lin in zip(xs, lin_xs, strict=True)),
        ]
        cts = [*dc, *(next(dy) if m else None for m in y_moving)]
        back = transpose(jaxpr.jaxpr, jaxpr.consts, operands, cts)
        b_consts, b_carry, b_xs = _split(back, num_consts, num_carry)
        new_sums = [
            t if ct is None else add_any(t, ct)
            for t, ct in zip(total, [c for c, lin in zip(b_consts, lin_consts, strict=True) if lin], strict=True)
        ]
        return [
            *new_sums,
            *(instantiate(ct, a) for ct, a in zip(b_carry, carry, strict=True)),
            *(instantiate(ct, a) for ct, a, lin in zip(b_xs, xs, lin_xs, strict=True) if lin),
        ]

    scope = Scope()
    back, values = stage(f, [*known_consts, *sums, *ct_carry, *ct_ys, *known_xs], jaxpr.jaxpr.name, scope)
    written = sum(w for _, w in scope.cells)
    if written:
        first, n = len(scope.cells) - written, len(known_consts)
        ins, outs = back.invars, back.outvars
        carried, known = ins[first : first + written], ins[first + written : first + written + n]
        back = back.replace(
            invars=[*ins[:first], *known, *carried, *ins[first + written + n :]],
            outvars=[*outs[-written:], *outs[:-written]],
        )
    return ClosedJaxpr(back, values), scope.cells


scan_p = registry.add(Scan())
