"""while: repeat a program as long as another says so.

while[cond, body](c) = c if not cond(c) else while[cond, body](body(c)).  The number of turns is known only when the
program runs, so there is a forward-mode derivative (the tangents ride along in the carry) and no reverse-mode one: the
way back would need to store a number of residuals nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import promotion, tree
from portax.core.aval import Aval, Axes, aval_of
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr, Effects, Var
from portax.core.primitive import Sample, registry
from portax.core.refs import Cell
from portax.higher_order.calls import run_operation
from portax.higher_order.closures import (
    Staged,
    avals_of,
    check_alike,
    describe_change,
    name_of,
    stage_function,
    write_all,
)
from portax.higher_order.hoisting import Hoisting, closes, hoisted
from portax.primitives.arithmetic import add
from portax.primitives.comparison import lt, select_n
from portax.primitives.conversion import convert_element_type
from portax.primitives.reductions import reduce_or
from portax.runtime.lowering import lower_closed
from portax.runtime.reference import program_of
from portax.transforms.batch import batch_jaxpr, materialize
from portax.transforms.jvp import instantiate, jvp_jaxpr
from portax.transforms.stage import eval_closed, stage_closed


class While(Hoisting):
    """``carry`` after ``body`` was applied as often as ``cond`` held.

    Parameters
    ----------
    *operands : the constants of ``cond``, the constants of ``body``, the carry
    cond_jaxpr, body_jaxpr : ClosedJaxpr
        From (constants, carry) to one bool, and to the next carry.
    cond_nconsts, body_nconsts : int
    """

    name = "while"
    accumulates = True
    dtypes = ("int", "uint", "float", "complex")
    multiple_results = True
    memoize = False

    def closing(self, params: dict[str, Any]) -> bool:
        return closes(params["cond_jaxpr"]) or closes(params["body_jaxpr"])

    def opened(self, operands: Sequence[Any], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        cond, first = hoisted(params["cond_jaxpr"])
        body, second = hoisted(params["body_jaxpr"])
        n, m = params["cond_nconsts"], params["body_nconsts"]
        changed = {
            "cond_jaxpr": cond, "body_jaxpr": body, "cond_nconsts": n + len(first), "body_nconsts": m + len(second),
        }  # fmt: skip
        return (*first, *operands[:n], *second, *operands[n:]), {**params, **changed}

    def abstract(self, *avals: Aval, cond_jaxpr: ClosedJaxpr, body_jaxpr: ClosedJaxpr, **_: Any) -> list[Aval]:
        outs, [going] = body_jaxpr.out_avals, cond_jaxpr.out_avals
        # Where devices go on for different numbers of turns they have different results.
        return [a.vary(a.varying | going.varying) for a in outs] if going.varying else outs

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return None

    def effects(self, *, cond_jaxpr: ClosedJaxpr, body_jaxpr: ClosedJaxpr, **_: Any) -> Effects:
        return cond_jaxpr.effects | body_jaxpr.effects

    def reference(
        self, *values: Any, cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int, body_nconsts: int
    ) -> list[Any]:
        cond_consts, body_consts, carry = _split(values, cond_nconsts, body_nconsts)
        proceed, step = program_of(cond_jaxpr), program_of(body_jaxpr)
        while proceed([*cond_consts, *carry])[0]:
            carry = step([*body_consts, *carry])
        return list(carry)

    def impl(self, *operands: Any, **params: Any) -> list[Any]:
        if config.disable_jit:
            cond_consts, body_consts, carry = _split(operands, params["cond_nconsts"], params["body_nconsts"])
            while np.asarray(eval_closed(params["cond_jaxpr"], *cond_consts, *carry)[0]):
                carry = eval_closed(params["body_jaxpr"], *body_consts, *carry)
            return list(carry)
        return run_operation(self, params["body_jaxpr"], operands, params)

    def jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any], *, cond_jaxpr: Any, body_jaxpr: Any,
        cond_nconsts: int, body_nconsts: int,
    ) -> Any:  # fmt: skip
        cond_consts, body_consts, carry = _split(primals, cond_nconsts, body_nconsts)
        _, body_dots, carry_dots = _split(tangents, cond_nconsts, body_nconsts)
        moving_consts = [t is not None for t in body_dots]
        moving = [t is not None for t in carry_dots]
        while True:
            pushed, out = jvp_jaxpr(body_jaxpr, [*moving_consts, *moving], moving)
            if out == moving:
                break
            moving = [a or b for a, b in zip(moving, out, strict=True)]
        n, c = len(carry), sum(moving_consts)
        dots = [instantiate(t, aval_of(x)) for t, x, m in zip(carry_dots, carry, moving, strict=True) if m]
        key = ("while jvp", tuple(moving_consts), tuple(moving))
        if key not in body_jaxpr.memo:
            # pushed takes primals before tangents; the loop wants constants of both kinds before the carry.
            body = _reordered(pushed, body_nconsts, n, c)
            body_jaxpr.memo[key] = body
        body = body_jaxpr.memo[key]
        cond = _ignoring(cond_jaxpr, cond_nconsts + n, pushed.out_avals[n:])
        outs = self.bind(
            *cond_consts, *body_consts, *(t for t in body_dots if t is not None), *carry, *dots,
            cond_jaxpr=cond, body_jaxpr=body, cond_nconsts=cond_nconsts, body_nconsts=body_nconsts + c,
        )  # fmt: skip
        rest = iter(outs[n:])
        return outs[:n], [next(rest) if m else None for m in moving]

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        # Two loops: one on the primals alone, now; one that carries the tangents along, staged.
        outs = self.bind(*primals, **params)
        _, dots = self.jvp(primals, tangents, **params)
        return outs, dots

    def transpose(self, cts: Sequence[Any], *operands: Any, **params: Any) -> Any:
        raise errors.NotDifferentiableError(
            wrong="reverse-mode differentiation of a while_loop (or a fori_loop whose bounds are traced) was asked "
            "for, and the number of its turns is not known in advance",
            fix="Use scan, or fori_loop with Python numbers as bounds, or forward mode (jvp, jacfwd)",
        )

    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        return self._batch(size, None, batched, operands, **params)

    def batch_axis(self, trace: Any, batched: Any, *operands: Any, **params: Any) -> Any:
        """Batching where the body consults the batch axis by name."""
        return self._batch(trace.size, trace.axis, batched, operands, **params)

    def _batch(
        self, size: int, axis_name: Any, batched: Any, operands: Any, *, cond_jaxpr: Any, body_jaxpr: Any,
        cond_nconsts: int, body_nconsts: int,
    ) -> Any:  # fmt: skip
        cond_consts, body_consts, carry = _split(operands, cond_nconsts, body_nconsts)
        cond_rows, body_rows, rows = _split(batched, cond_nconsts, body_nconsts)
        rows = list(rows)
        while True:
            body, out = batch_jaxpr(body_jaxpr, size, [*body_rows, *rows], rows, axis_name)
            if out == rows:
                break
            rows = out
        cond, [many] = batch_jaxpr(cond_jaxpr, size, [*cond_rows, *rows], False, axis_name)
        if many and not all(rows):
            rows = [True] * len(rows)
            body, _ = batch_jaxpr(body_jaxpr, size, [*body_rows, *rows], rows, axis_name)
            cond, [many] = batch_jaxpr(cond_jaxpr, size, [*cond_rows, *rows], False, axis_name)
        carry = [materialize(x, b, size) if r else x
                 for x, b, r in zip(carry, batched[cond_nconsts + body_nconsts :], rows, strict=True)]  # fmt: skip
        if not many:
            outs = self.bind(
                *cond_consts, *body_consts, *carry,
                cond_jaxpr=cond, body_jaxpr=body, cond_nconsts=cond_nconsts, body_nconsts=body_nconsts,
            )  # fmt: skip
            return outs, rows
        # Rows end at different turns: go on while any wants to, and hold still those that do not.
        key = ("while batch", size, tuple(cond_rows), tuple(body_rows), axis_name, id(body))
        if key not in cond_jaxpr.memo:
            cond_jaxpr.memo[key] = _any_of(cond), _held(cond, body, cond_nconsts, body_nconsts)
        any_cond, held = cond_jaxpr.memo[key]
        outs = self.bind(
            *cond_consts, *cond_consts, *body_consts, *carry,
            cond_jaxpr=any_cond, body_jaxpr=held, cond_nconsts=cond_nconsts, body_nconsts=cond_nconsts + body_nconsts,
        )  # fmt: skip
        return outs, rows

    def stablehlo(
        self, b: Any, *values: Any, cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int, body_nconsts: int
    ) -> Any:
        cond_consts, body_consts, carry = _split(values, cond_nconsts, body_nconsts)
        if not carry:
            return []
        return b.while_loop(
            list(carry),
            lambda b, *xs: lower_closed(b, cond_jaxpr, [*cond_consts, *xs]),
            lambda b, *xs: lower_closed(b, body_jaxpr, [*body_consts, *xs]),
        )

    def samples(self, make: Any) -> Any:
        x = make((3,), low=1.0, high=1.5)
        aval, turn = Aval(x.shape, x.dtype), Aval((), np.dtype(np.int32))
        cond = stage_closed(lambda i, x: [lt(i, np.asarray(3, np.int32))], [turn, aval])
        body = stage_closed(lambda i, x: [add(i, np.asarray(1, np.int32)), add(x, x)], [turn, aval])
        yield Sample(np.int32(0), x, cond_jaxpr=cond, body_jaxpr=body, cond_nconsts=0, body_nconsts=0, id="three-turns")
        yield Sample(np.int32(9), x, cond_jaxpr=cond, body_jaxpr=body, cond_nconsts=0, body_nconsts=0, id="no-turn")


def _split(xs: Sequence[Any], a: int, b: int) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    return xs[:a], xs[a : a + b], xs[a + b :]


def _reordered(pushed: ClosedJaxpr, consts: int, n: int, moved: int) -> ClosedJaxpr:
    """From (consts, carry, const tangents, carry tangents) to (consts, const tangents, carry, carry tangents)."""
    if not moved:
        return pushed

    def f(*xs: Any) -> list[Any]:
        c, dc, x, dx = xs[:consts], xs[consts : consts + moved], xs[consts + moved :][:n], xs[consts + moved + n :]
        return eval_closed(pushed, *c, *x, *dc, *dx)

    avals = pushed.in_avals
    order = [*avals[:consts], *avals[consts + n :][:moved], *avals[consts : consts + n], *avals[consts + n + moved :]]
    return stage_closed(f, order, pushed.jaxpr.name)


def _ignoring(cond: ClosedJaxpr, count: int, extra: Sequence[Aval]) -> ClosedJaxpr:
    """The condition on a carry with more in it, which it does not read."""
    if not extra:
        return cond
    key = ("ignoring", tuple(extra))
    if key not in cond.memo:
        cond.memo[key] = stage_closed(
            lambda *xs: eval_closed(cond, *xs[:count]), [*cond.in_avals, *extra], cond.jaxpr.name
        )
    return cond.memo[key]


def _any_of(cond: ClosedJaxpr) -> ClosedJaxpr:
    return stage_closed(lambda *xs: [reduce_or(eval_closed(cond, *xs)[0], axes=(0,))], cond.in_avals, cond.jaxpr.name)


def _held(cond: ClosedJaxpr, body: ClosedJaxpr, cond_nconsts: int, body_nconsts: int) -> ClosedJaxpr:
    """The body on a batch of carries, in which the rows whose condition no longer holds stay as they are."""
    cond_avals = cond.in_avals[:cond_nconsts]

    def f(*xs: Any) -> list[Any]:
        cond_consts, body_consts, carry = _split(xs, cond_nconsts, body_nconsts)
        [going] = eval_closed(cond, *cond_consts, *carry)
        after = eval_closed(body, *body_consts, *carry)
        held: list[Any] = []
        for old, new in zip(carry, after, strict=True):
            shape = aval_of(new).shape
            which = registry["broadcast_in_dim"](going, shape=shape, broadcast_dimensions=(0,))
            held.append(select_n(which, old, new))
        return held

    return stage_closed(f, [*cond_avals, *body.in_avals], body.jaxpr.name)


while_p = registry.add(While())


def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any) -> Any:
    """Apply ``body_fun`` to a value as long as ``cond_fun`` of it is true.

    Parameters
    ----------
    cond_fun : callable, carry -> bool of shape ()
    body_fun : callable, carry -> carry
        Keeps the tree, shapes and dtypes.
    init_val : tree of arrays

    Returns
    -------
    The last carry.

    Raises
    ------
    ArgumentError
        ``cond_fun`` does not give one bool, or ``body_fun`` changes the tree, a shape or a dtype.

    Examples
    --------
    >>> from portax import lax
    >>> int(lax.while_loop(lambda x: x < 100, lambda x: 2 * x, 3))
    192
    """
    leaves, in_tree = tree.flatten((init_val,))
    avals = avals_of(leaves, "while_loop")
    body = stage_function(body_fun, in_tree, avals, refs=True)
    avals, leaves, body = settle(body_fun, in_tree, avals, leaves, body, len(avals))
    different = describe_change("while_loop", "the carry", in_tree.children()[0], body.out_tree, avals, body.out_avals)
    if different:
        raise errors.ArgumentError(
            wrong=different, fix="Make the body return the carry with the same tree, shapes and dtypes"
        )
    check_alike("while_loop", avals, body.out_avals)
    cond = stage_function(cond_fun, in_tree, avals, refs=True)
    if len(cond.out_avals) != 1 or cond.out_avals[0].shape or cond.out_avals[0].dtype != bool:
        given = ", ".join(map(str, cond.out_avals))
        raise errors.ArgumentError(
            wrong=f"the condition of while_loop, {name_of(cond_fun)}, must give one bool of shape (), got {given}",
            fix="Return a comparison of scalars; reduce arrays with all() or any()",
        )
    if cond.written:
        raise errors.RefError(
            wrong=f"the condition of while_loop, {name_of(cond_fun)}, writes to a reference ({cond.written[0].aval})",
            fix="Write in the body; the condition may read",
        )
    written = body.written
    cond_consts = [*cond.consts, *(c.read() for c in cond.only_read if c not in written)]
    body_consts = [*body.consts, *(c.read() for c in body.only_read)]
    outs = while_p.bind(
        *cond_consts, *body_consts, *(c.read() for c in written), *leaves,
        cond_jaxpr=_reading_carried(cond, written), body_jaxpr=written_first(body),
        cond_nconsts=len(cond_consts), body_nconsts=len(body_consts),
    )  # fmt: skip
    write_all(written, outs[: len(written)])
    return tree.unflatten(body.out_tree, outs[len(written) :])


def written_first(body: Staged) -> ClosedJaxpr:
    """A loop's body that carries the references it writes before all else."""
    if not body.written:
        return body.closed
    jaxpr, n = body.closed.jaxpr, len(body.out_avals)
    return ClosedJaxpr(jaxpr.replace(outvars=[*jaxpr.outvars[n:], *jaxpr.outvars[:n]]), body.closed.consts)


def _reading_carried(cond: Staged, written: Sequence[Cell]) -> ClosedJaxpr:
    """A loop's condition, where the references that the body writes are carried first, read by it or not."""
    if not written:
        return cond.closed
    jaxpr, n = cond.closed.jaxpr, len(cond.consts)
    own = dict(zip(cond.only_read, jaxpr.invars[n:], strict=False))
    carried = [own.get(c) or Var(c.aval.inner_aval) for c in written]
    rest = [v for c, v in own.items() if c not in written]
    invars = [*jaxpr.invars[:n], *rest, *carried, *jaxpr.invars[n + len(own) :]]
    return ClosedJaxpr(jaxpr.replace(invars=invars), cond.closed.consts)


def settle(f: Callable[..., Any], in_tree: Any, avals: Any, leaves: Any, staged: Any, carry: int) -> Any:
    """``(avals, leaves, staged)`` where a weakly typed carry that comes out of another dtype is converted; staged anew.

    ``carry`` is how many of the first leaves and results are the carry. Weakness itself need not settle: a carry may go
    in weak and come out firm, or the reverse.
    """
    outs = staged.out_avals[:carry]
    if len(outs) < carry:
        return avals, leaves, staged
    fixed = [
        a.update(dtype=promotion.promote(a.dtype, True, b.dtype, b.weak_type)[0], weak_type=False)
        if a.weak_type and a.shape == b.shape and a.dtype != b.dtype
        else a
        for a, b in zip(avals[:carry], outs, strict=True)
    ]
    if fixed == list(avals[:carry]):
        return avals, leaves, staged
    leaves = [
        convert_element_type(x, new_dtype=b.dtype, weak_type=False, sharding=None) if a is not b else x
        for x, a, b in zip(leaves, avals, [*fixed, *avals[carry:]], strict=True)
    ]
    avals = [*fixed, *avals[carry:]]
    return avals, leaves, stage_function(f, in_tree, avals, refs=True)
