"""cond and switch: one of several programs, chosen when the program runs.

cond[f0, ..., fn](i, xs) = fi(xs).  All branches take the same operands and give results of the same avals. A derivative
differentiates every branch and keeps the choice; branches that need different residuals share one list of them, each
filling the others' places with zeros. With a batch of choices every branch runs and the results are selected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.aval import Aval, Axes, aval_of, in_order
from portax.core.jaxpr import ClosedJaxpr, Effects, Eqn, Var
from portax.core.primitive import Sample, Undefined, registry
from portax.core.refs import Cell, inner_aval
from portax.higher_order.closures import (
    Staged,
    apart,
    avals_of,
    name_of,
    paths_of,
    stage_function,
    write_all,
)
from portax.higher_order.hoisting import Hoisting, closes, hoisted_alike
from portax.primitives.barriers import stop_gradient
from portax.primitives.comparison import clamp, ne, select_n
from portax.primitives.conversion import convert_element_type
from portax.primitives.zeros import zeros
from portax.runtime.lowering import lower_closed
from portax.runtime.reference import run_reference
from portax.transforms.batch import batch_jaxpr, materialize
from portax.transforms.dce import narrowed, readers
from portax.transforms.jvp import jvp_jaxpr, moves
from portax.transforms.linearize import linearize_jaxpr
from portax.transforms.stage import eval_closed, stage_closed
from portax.transforms.transpose import parts_of, transpose_jaxpr


class Cond(Hoisting):
    """The results of ``branches[index]`` at the other operands.

    Parameters
    ----------
    index : Array of int32, shape (), in ``[0, len(branches))``
    *operands : Arrays
    branches : tuple of ClosedJaxpr with equal input and output avals
    branches_platforms : tuple, optional
        For each branch the platforms it is meant for, None for all others: the others are not written at all.
    """

    name = "cond"
    dtypes = ("int", "uint", "float", "complex")
    multiple_results = True
    memoize = False
    takes_parts = True

    def closing(self, params: dict[str, Any]) -> bool:
        return any(closes(b) for b in params["branches"])

    def opened(self, operands: Sequence[Any], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        branches, first = hoisted_alike(params["branches"])
        return (operands[0], *first, *operands[1:]), {**params, "branches": branches}

    def abstract(self, index: Aval, *avals: Aval, branches: Any, **_: Any) -> list[Aval]:
        outs = branches[0].out_avals
        # Where devices choose differently they have different results.
        return [a.vary(a.varying | index.varying) for a in outs] if index.varying else outs

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return None

    def effects(self, *, branches: Sequence[ClosedJaxpr], **_: Any) -> Effects:
        return frozenset().union(*(b.effects for b in branches))

    def reference(self, index: np.ndarray, *values: Any, branches: Sequence[ClosedJaxpr], **_: Any) -> list[Any]:
        return run_reference(branches[int(np.clip(index, 0, len(branches) - 1))], *values)

    def impl(self, index: Any, *operands: Any, branches: Sequence[ClosedJaxpr], **_: Any) -> list[Any]:
        outs = eval_closed(branches[int(np.clip(np.asarray(index), 0, len(branches) - 1))], *operands)
        return [
            x if aval_of(x).weak_type == a.weak_type
            else convert_element_type(x, new_dtype=a.dtype, weak_type=a.weak_type, sharding=None)
            for x, a in zip(outs, branches[0].out_avals, strict=True)
        ]  # fmt: skip

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, branches: Any, **params: Any) -> Any:
        moving = [t is not None for t in tangents[1:]]
        wanted = _union([jvp_jaxpr(b, moving)[1] for b in branches])
        pushed = tuple(jvp_jaxpr(b, moving, wanted)[0] for b in branches)
        outs = self.bind(*primals, *(t for t in tangents[1:] if t is not None), branches=pushed, **params)
        n = len(wanted)
        dots = iter(outs[n:])
        return outs[:n], [next(dots) if w else None for w in wanted]

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], *, branches: Any, **params: Any) -> Any:
        index, *operands = primals
        moving = [t is not None for t in tangents[1:]]
        wanted = _union([linearize_jaxpr(b, moving).moving_out for b in branches])
        split = [linearize_jaxpr(b, moving, wanted) for b in branches]
        n = len(wanted)
        groups = [s.primal.out_avals[n:] for s in split]
        primal = tuple(_pad_outputs(s.primal, n, groups, i) for i, s in enumerate(split))
        outs = self.bind(index, *operands, branches=primal, **params)
        if not any(wanted):
            return outs[:n], [None] * n
        linear = tuple(_pad_inputs(s.linear, groups, i) for i, s in enumerate(split))
        moved = [t for t in tangents[1:] if t is not None]
        dots = iter(self.bind(index, *outs[n:], *moved, branches=linear, **params))
        return outs[:n], [next(dots) if w else None for w in wanted]

    def transpose(self, cts: Sequence[Any], index: Any, *operands: Any, branches: Any, **params: Any) -> list[Any]:
        linear = [type(x) is Undefined for x in operands]
        moving = [ct is not None for ct in cts]
        found = [c for c in cts if c is not None]
        # Devices that take different branches cannot add up within them what each has a part of.
        parts = aval_of(index).varying | parts_of(cts, branches[0].out_avals)
        back = tuple(transpose_jaxpr(b, linear, moving, found, parts) for b in branches)
        given = [x for x, lin in zip(operands, linear, strict=True) if not lin] + found
        outs = iter(self.bind(index, *given, branches=back, **params))
        return [None, *(next(outs) if lin else None for lin in linear)]

    def batch(self, batched: Sequence[bool], index: Any, *operands: Any, branches: Any, **params: Any) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip([index, *operands], batched, strict=True) if b)
        return self._batch(size, None, batched, index, operands, branches, params)

    def batch_axis(self, trace: Any, batched: Any, index: Any, *operands: Any, branches: Any, **params: Any) -> Any:
        """Batching where a branch consults the batch axis by name."""
        return self._batch(trace.size, trace.axis, batched, index, operands, branches, params)

    def _batch(
        self, size: int, axis_name: Any, batched: Any, index: Any, operands: Any, branches: Any, params: Any
    ) -> Any:
        rows = list(batched[1:])
        wanted = _union([batch_jaxpr(b, size, rows, axis_name=axis_name)[1] for b in branches])
        if not batched[0]:
            many = tuple(batch_jaxpr(b, size, rows, wanted, axis_name)[0] for b in branches)
            return self.bind(index, *operands, branches=many, **params), wanted
        wanted = [True] * len(wanted)
        rows = [True] * len(rows)
        operands = [materialize(x, b, size) for x, b in zip(operands, batched[1:], strict=True)]
        many = [batch_jaxpr(b, size, rows, wanted, axis_name)[0] for b in branches]
        results = [eval_closed(b, *_guarded(operands, index, i)) for i, b in enumerate(many)]
        chosen: list[Any] = []
        for cases in zip(*results, strict=True):
            which = materialize_like(index, cases[0])
            if len(cases) == 2:
                which = convert_element_type(which, new_dtype=np.dtype(bool), weak_type=False, sharding=None)
            first, *others = cases
            chosen.append(select_n(which, first, *others) if others else first)
        return chosen, wanted

    def dce(self, used: Sequence[bool], eqn: Eqn) -> Eqn:
        branches = eqn.params["branches"]
        read = _union([readers(b, used) for b in branches])
        smaller = tuple(narrowed(b, used, read)[0] for b in branches)
        if all(a is b for a, b in zip(smaller, branches, strict=True)):
            return eqn
        return eqn.replace(
            invars=[eqn.invars[0], *(a for a, r in zip(eqn.invars[1:], read, strict=True) if r)],
            outvars=[v for v, u in zip(eqn.outvars, used, strict=True) if u],
            params={**eqn.params, "branches": smaller},
        )

    def stablehlo(
        self, b: Any, index: Any, *values: Any, branches: Sequence[ClosedJaxpr], branches_platforms: Any = None
    ) -> Any:
        if branches_platforms is not None:
            return lower_closed(b, branches[place_of(b.platform, branches_platforms)], values)
        return b.case(index, [lambda b, c=c: lower_closed(b, c, values) for c in branches])

    def samples(self, make: Any) -> Any:
        x = make((3,))
        aval = Aval(x.shape, x.dtype)
        add = registry["add"]
        branches = (stage_closed(lambda x: [add(x, x)], [aval]), stage_closed(lambda x: [x], [aval]))
        yield Sample(np.int32(0), x, branches=branches, id="first")
        yield Sample(np.int32(1), x, branches=branches, id="second")


def _guarded(operands: Sequence[Any], index: Any, branch: int) -> list[Any]:
    """The operands of one branch, constant in the rows that take another.

    There the branch may have no derivative, as a square root at 0 has none, and the zero that comes back to it would
    become NaN.
    """
    if not any(moves(aval_of(x)) for x in operands):
        return list(operands)
    other = ne(index, np.asarray(branch, aval_of(index).dtype))
    return [select_n(materialize_like(other, x), x, stop_gradient(x)) if moves(aval_of(x)) else x for x in operands]


def place_of(platform: str, platforms: Sequence[Sequence[str] | None]) -> int:
    """Which of the branches is meant for a platform."""
    for i, names in enumerate(platforms):
        if names is None or platform in names:
            return i
    raise errors.GapError(
        wrong=f"platform_dependent was given no function for {platform!r}, only for "
        f"{', '.join(repr(n) for names in platforms for n in names or ())}",
        fix="Give default=, a function for all other platforms",
    )


def materialize_like(index: Any, case: Any) -> Any:
    """A batch of choices, spread over the axes of a batch of results."""
    shape = aval_of(case).shape
    return registry["broadcast_in_dim"](index, shape=shape, broadcast_dimensions=(0,)) if len(shape) > 1 else index


def _union(flags: Sequence[Sequence[bool]]) -> list[bool]:
    return [any(column) for column in zip(*flags, strict=True)]


def _pad_outputs(closed: ClosedJaxpr, n: int, groups: Sequence[Sequence[Aval]], mine: int) -> ClosedJaxpr:
    """The branch's primal, giving zeros for the residuals of the other branches."""
    key = ("pad outputs", n, tuple(tuple(g) for g in groups), mine)
    if key not in closed.memo:

        def f(*xs: Any) -> list[Any]:
            outs = eval_closed(closed, *xs)
            rest: list[Any] = []
            for i, group in enumerate(groups):
                rest += outs[n:] if i == mine else [zeros(a) for a in group]
            return [*outs[:n], *rest]

        closed.memo[key] = stage_closed(f, closed.in_avals, closed.jaxpr.name)
    return closed.memo[key]


def _pad_inputs(closed: ClosedJaxpr, groups: Sequence[Sequence[Aval]], mine: int) -> ClosedJaxpr:
    """The branch's linear part, taking and ignoring the residuals of the other branches."""
    key = ("pad inputs", tuple(tuple(g) for g in groups), mine)
    if key not in closed.memo:
        start = sum(len(g) for g in groups[:mine])
        own, total = len(groups[mine]), sum(len(g) for g in groups)

        def f(*xs: Any) -> list[Any]:
            return eval_closed(closed, *xs[start : start + own], *xs[total:])

        avals = [*(a for g in groups for a in g), *closed.in_avals[own:]]
        closed.memo[key] = stage_closed(f, avals, closed.jaxpr.name)
    return closed.memo[key]


cond_p = registry.add(Cond())


class _Missing:
    """Stands for an argument that was not given, where None may be."""

    def __repr__(self) -> str:
        return "<not given>"


MISSING: Any = _Missing()


def _with_operand(name: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    """The operands, where older programs give their only one by name."""
    if operand is MISSING:
        return operands
    if operands:
        raise errors.ArgumentError(
            wrong=f"{name} was given operands by position and operand=", fix="Give all of them by position"
        )
    return (operand,)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any, operand: Any = MISSING) -> Any:
    """Apply one of several functions, chosen when the program runs.

    Parameters
    ----------
    index : int or Array of an integer dtype, shape ()
        Clamped to ``[0, len(branches))``.
    branches : sequence of callables
        Each takes ``*operands`` and returns the same tree of the same shapes and dtypes.

    Raises
    ------
    ArgumentError
        The branches differ in what they return.

    Examples
    --------
    >>> from portax import lax
    >>> float(lax.switch(1, [lambda x: x, lambda x: 2 * x, lambda x: -x], 3.0))
    6.0
    """
    operands = _with_operand("switch", operands, operand)
    if not branches:
        raise errors.ArgumentError(wrong="switch was given no branches", fix="Give at least one function")
    for f in branches:
        if not callable(f):
            raise errors.ArgumentError(wrong=f"switch was given {f!r} as a branch", fix="Give functions")
    aval = aval_of(index)
    if aval.shape or not dtypes.is_integer(aval.dtype):
        raise errors.ArgumentError(
            wrong=f"switch chooses by a whole number of shape (), got {aval}", fix="Give an integer scalar"
        )
    if len(branches) == 1:
        return branches[0](*operands)
    if aval.dtype != np.int32:
        index = convert_element_type(index, new_dtype=np.dtype(np.int32), weak_type=False, sharding=None)
    which = clamp(np.zeros((), np.int32), index, np.asarray(len(branches) - 1, np.int32))
    return choose("switch", which, branches, operands)


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any, operand: Any = MISSING
) -> Any:
    """Apply ``true_fun`` or ``false_fun`` to ``operands``, chosen when the program runs.

    Parameters
    ----------
    pred : bool, or Array of shape ()
        A number counts as True unless it is 0.
    true_fun, false_fun : callables
        Take ``*operands`` and return the same tree of the same shapes and dtypes.

    Returns
    -------
    The chosen function's result.

    Raises
    ------
    ArgumentError
        ``pred`` is not a scalar, or the branches differ in what they return.

    Examples
    --------
    >>> from portax import lax
    >>> float(lax.cond(True, lambda x: x + 1, lambda x: x - 1, 3.0))
    4.0
    """
    operands = _with_operand("cond", operands, operand)
    if not callable(true_fun) or not callable(false_fun):
        raise errors.ArgumentError(
            wrong=f"cond needs two functions, got {true_fun!r} and {false_fun!r}",
            fix="Call cond(pred, f, g, *operands)",
        )
    aval = aval_of(pred)
    if aval.shape:
        raise errors.ArgumentError(
            wrong=f"cond chooses by a single value, got {aval}",
            fix="Reduce it with all() or any(), or choose element by element with where",
        )
    if aval.dtype != bool:
        pred = registry["ne"](pred, np.zeros((), aval.dtype))
    which = convert_element_type(pred, new_dtype=np.dtype(np.int32), weak_type=False, sharding=None)
    return choose("cond", which, (false_fun, true_fun), operands)


def choose(
    name: str, which: Any, branches: Sequence[Callable[..., Any]], operands: Sequence[Any], **params: Any
) -> Any:
    """Stage the branches, see that they agree, and bind ``cond``."""
    leaves, in_tree = tree.flatten(tuple(operands))
    fixed, leaves = apart(leaves)
    avals = avals_of(leaves, name)
    staged = [stage_function(f, in_tree, avals, refs=True, fixed=fixed) for f in branches]
    first = staged[0]
    for f, s in zip(branches[1:], staged[1:], strict=True):
        different = describe_difference(first, s)
        if different:
            raise errors.ArgumentError(
                wrong=f"the branches of {name} return different things: {name_of(branches[0])} and {name_of(f)} "
                f"{different}",
                fix="Make every branch return the same tree with the same shapes and dtypes",
            )
        for x, y in zip(first.out_avals, s.out_avals, strict=True):
            if x.varying != y.varying:
                less = branches[0] if y.varying - x.varying else f
                raise errors.ArgumentError(
                    wrong=f"devices have the results of the branches of {name} alike along other mesh axes: "
                    f"{name_of(branches[0])} gives {x} and {name_of(f)} {y}",
                    fix=f"Let the result of {name_of(less)} vary too: lax.pcast(x, {in_order(x.varying ^ y.varying)}, "
                    'to="varying")',
                )
    # Branches may differ in what is weak: the results are as weak as the first branch's. What several of them close
    # over is passed once, references too.
    own = [[*s.consts, *(cell for cell, _ in s.cells)] for s in staged]
    consts = list({id(c): c for cs in own for c in cs}.values())
    place = {id(c): i for i, c in enumerate(consts)}
    avals = [inner_aval(c) for c in consts]
    programs = [_reading(s.closed, avals, [place[id(c)] for c in cs]) for s, cs in zip(staged, own, strict=True)]
    written = list(dict.fromkeys(cell for s in staged for cell in s.written))
    if written:
        places = [place[id(cell)] for cell in written]
        programs = [_giving(p, s, written, places) for p, s in zip(programs, staged, strict=True)]
    values = [c.read() if isinstance(c, Cell) else c for c in consts]
    results = cond_p.bind(which, *values, *leaves, branches=tuple(programs), **params)
    n = len(results) - len(written)
    write_all(written, results[n:])
    return tree.unflatten(first.out_tree, results[:n])


def _giving(closed: ClosedJaxpr, staged: Staged, written: Sequence[Cell], places: Sequence[int]) -> ClosedJaxpr:
    """The branch that ends with the values of all references that some branch writes: its own, or what came in."""
    jaxpr, n = closed.jaxpr, len(staged.out_avals)
    own = dict(zip(staged.written, jaxpr.outvars[n:], strict=True))
    last = [own.get(cell) or jaxpr.invars[i] for cell, i in zip(written, places, strict=True)]
    return ClosedJaxpr(jaxpr.replace(outvars=[*jaxpr.outvars[:n], *last]), closed.consts)


def _reading(closed: ClosedJaxpr, avals: Sequence[Aval], places: Sequence[int]) -> ClosedJaxpr:
    """The program whose leading inputs are all branches' constants, of which it reads those at ``places``."""
    if list(places) == list(range(len(avals))):
        return closed
    jaxpr, n = closed.jaxpr, len(places)
    inputs = [Var(a) for a in avals]
    for i, var in zip(places, jaxpr.invars[:n], strict=True):
        inputs[i] = var
    return ClosedJaxpr(jaxpr.replace(invars=[*inputs, *jaxpr.invars[n:]]), closed.consts)


def describe_difference(a: Any, b: Any) -> str:
    """How the results of two staged functions differ; empty if they agree up to weak types."""
    if a.out_tree != b.out_tree:
        return f"return {a.out_tree} and {b.out_tree}"
    for path, x, y in zip(paths_of(a.out_tree), a.out_avals, b.out_avals, strict=True):
        if x.shape != y.shape or x.dtype != y.dtype:
            return f"return {x} and {y}" + (f" at {path}" if path else "")
    return ""
