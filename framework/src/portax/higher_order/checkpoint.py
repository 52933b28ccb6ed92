"""checkpoint: forget what the way back needs, and compute it again.

Linearized, an ordinary program hands over every residual. A checkpointed one hands over its inputs (and what its policy
says is worth saving) and recomputes the rest when the linear part is transposed: memory is paid for with time. A
barrier in the compiled program keeps the compiler from recognising the second computation as the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from portax import errors
from portax.core import tree
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Var
from portax.core.primitive import Primitive, Sample, registry
from portax.higher_order.calls import ProgramCall
from portax.higher_order.checks import without_float0
from portax.higher_order.closures import apart, avals_of, name_of, stage_function, write_all
from portax.higher_order.jitted import argument_places
from portax.higher_order.scan import scan_p
from portax.primitives.arithmetic import mul
from portax.primitives.barriers import name as name_p
from portax.runtime.lowering import lower_closed
from portax.transforms.dce import dce_closed, narrowed, readers
from portax.transforms.jvp import tangent_aval
from portax.transforms.linearize import linearize_jaxpr
from portax.transforms.stage import eval_closed, stage_closed

Policy = Callable[..., Any]


class Offloadable(NamedTuple):
    """A policy's answer: keep the value, in another memory. Where that is the device's only one, it stays there.

    Attributes
    ----------
    src, dst : str
        Names of memories.
    """

    src: str
    dst: str


class Answer:
    """A policy's answer, as true or false as it is."""

    __slots__ = ("keeps", "name")

    def __init__(self, name: str, keeps: bool) -> None:
        self.name, self.keeps = name, keeps

    def __bool__(self) -> bool:
        return self.keeps

    def __repr__(self) -> str:
        return self.name


#: A policy may answer with these instead of True and False.
Saveable, Recompute = Answer("Saveable", True), Answer("Recompute", False)


class Checkpoint(ProgramCall):
    """A program whose residuals are computed again on the way back.

    Parameters
    ----------
    *operands : Arrays
    jaxpr : ClosedJaxpr
    policy : callable or None
        ``(primitive, *avals, **params) -> bool``: whether to save the results of an equation; None saves nothing.
    prevent_cse : bool
        Put a barrier before the recomputation.
    differentiated : bool
        This is the recomputation.
    """

    name = "checkpoint"
    runs = "jaxpr"
    dtypes = ("int", "uint", "float", "complex")

    def impl(self, *operands: Any, jaxpr: ClosedJaxpr, **_: Any) -> list[Any]:
        return eval_closed(jaxpr, *operands)

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        moving = [t is not None for t in tangents]
        n = len(jaxpr.out_avals)
        saving, again = _saved(jaxpr, params["policy"])
        n_in, n_saved = len(primals), len(saving.out_avals) - n
        linear, moving_out = _recomputing(again, [*moving, *[False] * n_saved])
        if not any(moving_out):
            return self.bind(*primals, jaxpr=jaxpr, **params), [None] * n
        moved = [t for t in tangents if t is not None]
        # What the policy saves and the way back does not read is not kept.
        everything = [True] * len(linear.out_avals)
        read = readers(linear, everything)[n_in : n_in + n_saved]
        saving, _ = narrowed(saving, [*[True] * n, *read], [True] * n_in)
        linear, _ = narrowed(linear, everything, [*[True] * n_in, *read, *[True] * len(moved)])
        outs = self.bind(*primals, jaxpr=saving, **params)
        outs, saved = outs[:n], outs[n:]
        dots = iter(self._staged([*primals, *saved, *moved], linear, {**params, "differentiated": True}))
        return outs, [next(dots) if m else None for m in moving_out]

    def stablehlo(
        self, b: Any, *values: Any, jaxpr: ClosedJaxpr, prevent_cse: bool, differentiated: bool, **_: Any
    ) -> Any:
        if prevent_cse and differentiated and values:
            values = b.optimization_barrier(*values)
        return lower_closed(b, jaxpr, values)

    def samples(self, make: Any) -> Any:
        x, y = make((3,)), make((3,))
        aval = Aval(x.shape, x.dtype)
        closed = stage_closed(lambda x, y: [mul(name_p(mul(x, x), name="kept"), mul(x, y)), x], [aval, aval], "f")
        common = {"jaxpr": closed, "differentiated": False}
        yield Sample(x, y, policy=None, prevent_cse=True, **common, id="all-again")
        yield Sample(x, y, policy=None, prevent_cse=False, **common, id="no-barrier")
        named = checkpoint_policies.save_only_these_names("kept")
        yield Sample(x, y, policy=named, prevent_cse=True, **common, id="some-kept")
        everything = checkpoint_policies.everything_saveable
        yield Sample(x, y, policy=everything, prevent_cse=True, **common, id="all-kept")


def _saved(closed: ClosedJaxpr, policy: Policy | None) -> tuple[ClosedJaxpr, ClosedJaxpr]:
    """``(saving, again)``: the program that also gives what the policy saves, and the one that takes that as inputs."""
    if policy is None:
        return closed, closed
    key = ("saved", policy)
    if key in closed.memo:
        return closed.memo[key]
    whole, closed = closed, _flat(closed)
    jaxpr = closed.jaxpr
    kept: list[Var] = []
    eqns: list[Eqn] = []
    inside: dict[Var, tuple[Eqn, list[Var]]] = {}
    for eqn in jaxpr.eqns:
        given = [a.aval for a in eqn.invars]
        if eqn.primitive is scan_p and eqn.outvars:
            first, second, stacked = _saved_turns(eqn, policy)
            if stacked:
                inside[eqn.outvars[0]] = second, stacked
                kept += stacked
            eqns.append(first)
        else:
            eqns.append(eqn)
        if policy(eqn.primitive, *given, **eqn.params):
            kept += eqn.outvars
    saving = jaxpr.replace(outvars=[*jaxpr.outvars, *kept], eqns=eqns)
    # What was saved is the same value, whose derivative still has to be found: it is recomputed as a linear map only.
    result = ClosedJaxpr(saving, closed.consts), _with_derivatives(closed, kept, inside)
    whole.memo[key] = result
    return result


def _saved_turns(eqn: Eqn, policy: Policy) -> tuple[Eqn, Eqn, list[Var]]:
    """``(first, second, stacked)``: a scan that also stacks what the policy saves of a turn, and one that reads it."""
    saving, again = _saved(eqn.params["jaxpr"], policy)
    length = eqn.params["length"]
    rows = saving.out_avals[len(eqn.outvars) :]
    stacked = [Var(a.update(shape=(length, *a.shape))) for a in rows]
    if not stacked:
        return eqn, eqn, []
    first = eqn.replace(outvars=[*eqn.outvars, *stacked], params={**eqn.params, "jaxpr": saving})
    second = eqn.replace(invars=[*eqn.invars, *stacked], params={**eqn.params, "jaxpr": again})
    return first, second, stacked


class Saved(Primitive):
    """A value that was saved, in the place of the equation that computes it: ``saved[jaxpr](value, *operands)``.

    Its value is the first operand; its derivative is that of the program on the others.
    """

    name = "saved"
    runs = "jaxpr"
    memoize = False
    multiple_results = True
    opens_for_tangents = False

    def abstract(self, *avals: Any, jaxpr: ClosedJaxpr, count: int) -> list[Any]:
        return jaxpr.out_avals

    def reference(self, *values: Any, jaxpr: ClosedJaxpr, count: int) -> list[Any]:
        return list(values[:count])

    def impl(self, *operands: Any, jaxpr: ClosedJaxpr, count: int) -> list[Any]:
        return list(operands[:count])

    def stablehlo(self, b: Any, *values: Any, jaxpr: ClosedJaxpr, count: int) -> Any:
        return values[:count]

    def linearize(self, primals: Any, tangents: Any, *, jaxpr: ClosedJaxpr, count: int) -> Any:
        split = linearize_jaxpr(jaxpr, [t is not None for t in tangents[count:]])
        n = len(jaxpr.out_avals)
        if not any(split.moving_out):
            return list(primals[:count]), [None] * n
        residuals = eval_closed(_residuals(split.primal, n), *primals[count:], *primals[:count])
        dots = iter(eval_closed(split.linear, *residuals, *(t for t in tangents[count:] if t is not None)))
        return list(primals[:count]), [next(dots) if m else None for m in split.moving_out]

    jvp = linearize


saved_p = registry.add(Saved())


def _residuals(primal: ClosedJaxpr, n: int) -> ClosedJaxpr:
    """From (operands, results) to the residuals: a program whose first ``n`` outputs are known already."""
    key = ("residuals", n)
    if key not in primal.memo:
        jaxpr = primal.jaxpr
        known: set[Var] = set()
        inputs: list[Var] = []
        for v in jaxpr.outvars[:n]:
            if isinstance(v, Var) and v not in known and v not in jaxpr.invars and v not in jaxpr.constvars:
                known.add(v)
                inputs.append(v)
            else:
                inputs.append(Var(v.aval))
        rest = [e for e in jaxpr.eqns if not all(v in known for v in e.outvars)]
        # An equation that makes other things as well stays, under other names for what is known.
        rest = [e.replace(outvars=[Var(v.aval) if v in known else v for v in e.outvars]) for e in rest]
        smaller = jaxpr.replace(invars=[*jaxpr.invars, *inputs], outvars=jaxpr.outvars[n:], eqns=rest)
        primal.memo[key] = dce_closed(ClosedJaxpr(smaller, primal.consts))
    return primal.memo[key]


def _flat(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The program with the programs it merely calls written out: a policy is asked about what they do."""
    if not any(eqn.primitive.calls for eqn in closed.eqns):
        return closed
    if "flat" not in closed.memo:
        closed.memo["flat"] = stage_closed(lambda *xs: _written_out(closed, xs), closed.in_avals, closed.jaxpr.name)
    return closed.memo["flat"]


def _written_out(closed: ClosedJaxpr, xs: Sequence[Any]) -> list[Any]:
    jaxpr = closed.jaxpr
    env: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*closed.consts, *xs), strict=True))
    for eqn in jaxpr.eqns:
        operands = [env[a] if isinstance(a, Var) else a.val for a in eqn.invars]
        if eqn.primitive.calls:
            out = _written_out(eqn.params["jaxpr"], operands)
        else:
            out = eqn.primitive.bind(*operands, **eqn.params)
            out = out if eqn.primitive.multiple_results else [out]
        env.update(zip(eqn.outvars, out, strict=True))
    return [env[a] if isinstance(a, Var) else a.val for a in jaxpr.outvars]


def _with_derivatives(whole: ClosedJaxpr, kept: Sequence[Var], inside: dict[Var, tuple[Eqn, list[Var]]]) -> ClosedJaxpr:
    """The program that reads saved values where they were computed, and still knows how they move.

    Parameters
    ----------
    kept : the saved values, which become inputs after those of the program
    inside : by its first result, what takes the place of an equation, and the saved values it reads besides
    """
    jaxpr = whole.jaxpr
    places = {v: i for i, v in enumerate(kept)}
    n = len(jaxpr.invars)

    def f(*xs: Any) -> list[Any]:
        inputs, values = xs[:n], xs[n:]
        env: dict[Any, Any] = dict(zip(jaxpr.constvars, whole.consts, strict=True))
        env.update(zip(jaxpr.invars, inputs, strict=True))
        for eqn in jaxpr.eqns:
            if eqn.outvars and eqn.outvars[0] in inside:
                eqn, stacked = inside[eqn.outvars[0]]
                env.update((v, values[places[v]]) for v in stacked)
            operands = [env[a] if isinstance(a, Var) else a.val for a in eqn.invars]
            if eqn.outvars and eqn.outvars[0] in places:
                one = Jaxpr([], [Var(a.aval) for a in eqn.invars], [], [])
                outvars = [Var(v.aval) for v in eqn.outvars]
                body = Jaxpr([], one.invars, outvars, [eqn.replace(invars=one.invars, outvars=outvars)])
                given = [values[places[v]] for v in eqn.outvars]
                out = saved_p.bind(*given, *operands, jaxpr=ClosedJaxpr(body), count=len(given))
            else:
                out = eqn.primitive.bind(*operands, **eqn.params)
                out = out if eqn.primitive.multiple_results else [out]
            env.update(zip(eqn.outvars, out, strict=True))
        return [env[a] if isinstance(a, Var) else a.val for a in jaxpr.outvars]

    return stage_closed(f, [*whole.in_avals, *(v.aval for v in kept)], jaxpr.name)


def _recomputing(closed: ClosedJaxpr, moving: Sequence[bool]) -> tuple[ClosedJaxpr, list[bool]]:
    """From (primals, tangents) to tangents: the primal again, then the linear part."""
    key = ("recomputing", tuple(moving))
    if key not in closed.memo:
        split = linearize_jaxpr(closed, moving)
        n_in, n_out = len(closed.in_avals), len(closed.out_avals)

        def f(*xs: Any) -> list[Any]:
            residuals = eval_closed(split.primal, *xs[:n_in])[n_out:]
            return eval_closed(split.linear, *residuals, *xs[n_in:])

        avals = [*closed.in_avals, *(tangent_aval(a) for a, m in zip(closed.in_avals, moving, strict=True) if m)]
        closed.memo[key] = dce_closed(stage_closed(f, avals, closed.jaxpr.name)), split.moving_out
    return closed.memo[key]


checkpoint_p = registry.add(Checkpoint())


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool = True,
    policy: Policy | None = None,
    static_argnums: int | tuple[int, ...] = (),
    static_argnames: str | Iterable[str] = (),
    concrete: bool = False,
) -> Any:
    """A version of ``fun`` whose intermediate values are computed again for the derivative instead of being kept.

    Parameters
    ----------
    fun : callable
    prevent_cse : bool
        Keep the compiler from merging the two computations. Not needed inside ``scan``.
    policy : callable, optional
        What to keep all the same; see ``checkpoint_policies``.
    static_argnums : int or tuple of int
        Arguments that are not arrays.
    static_argnames : str or several
        The same by name, for arguments given by keyword.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> f = portax.checkpoint(lambda x: pnp.sin(pnp.sin(x)))
    >>> round(float(portax.grad(f)(1.0)), 4)
    0.36
    """
    if fun is None:
        return functools.partial(
            checkpoint, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums,
            static_argnames=static_argnames,
        )  # fmt: skip
    if concrete:
        raise errors.ArgumentError(
            wrong="checkpoint has no concrete=True any more", fix="Name the arguments that must be concrete static"
        )
    numbers, _ = argument_places(fun, static_argnums, None)
    names = {static_argnames} if isinstance(static_argnames, str) else set(static_argnames)

    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        fixed = {i % len(args): args[i] for i in numbers}
        moving = tuple(x for i, x in enumerate(args) if i not in fixed)
        fixed_names = {k: v for k, v in kwargs.items() if k in names}
        leaves, in_tree = tree.flatten((moving, {k: v for k, v in kwargs.items() if k not in names}))

        def body(dynamic: Any, named: Any) -> Any:
            given = iter(dynamic)
            full = [fixed[i] if i in fixed else next(given) for i in range(len(args))]
            return without_float0(fun(*full, **named, **fixed_names))

        body.__name__ = name_of(fun)
        refs, leaves = apart(leaves)
        staged = stage_function(body, in_tree, avals_of(leaves, name_of(fun)), refs=True, fixed=refs)
        outs = checkpoint_p.bind(
            *staged.consts, *(cell.read() for cell, _ in staged.cells), *leaves,
            jaxpr=staged.closed, policy=policy, prevent_cse=prevent_cse, differentiated=False,
        )  # fmt: skip
        n = len(staged.out_avals)
        write_all(staged.written, outs[n:])
        return tree.unflatten(staged.out_tree, outs[:n])

    return wrapped


#: JAX's other name for it.
remat = checkpoint


def checkpoint_name(x: Any, name: str) -> Any:
    """``x``, under a name that a checkpoint policy can refer to.

    Parameters
    ----------
    x : tree of arrays
    name : str

    Examples
    --------
    >>> portax.ad_checkpoint.checkpoint_name(pnp.ones(2), "activations")
    Array([1., 1.], dtype=float32)
    """
    return tree.tree_map(lambda leaf: name_p.bind(leaf, name=name), x)


class checkpoint_policies:
    """What a checkpointed function may keep.

    Each is, or makes, a function ``(primitive, *avals, **params) -> bool``.
    """

    @staticmethod
    def everything_saveable(prim: Primitive, *_: Any, **__: Any) -> bool:
        """Keep all residuals: as without checkpoint."""
        return True

    @staticmethod
    def nothing_saveable(prim: Primitive, *_: Any, **__: Any) -> bool:
        """Keep nothing but the inputs."""
        return False

    @staticmethod
    def dots_saveable(prim: Primitive, *_: Any, **__: Any) -> bool:
        """Keep the results of matrix products."""
        return prim.name in ("dot_general", "conv_general_dilated")

    checkpoint_dots = dots_saveable

    @staticmethod
    def dots_with_no_batch_dims_saveable(prim: Primitive, *_: Any, **params: Any) -> bool:
        """Keep the results of matrix products without batch dimensions."""
        return prim.name == "dot_general" and not any(params["dimension_numbers"][1])

    checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable

    @staticmethod
    def save_only_these_names(*names: str) -> Policy:
        """Keep values named with ``checkpoint_name`` by one of ``names``."""

        def policy(prim: Primitive, *_: Any, **params: Any) -> bool:
            return prim is name_p and params["name"] in names

        return policy

    @staticmethod
    def save_anything_except_these_names(*names: str) -> Policy:
        """Keep everything but values named with ``checkpoint_name`` by one of ``names``."""

        def policy(prim: Primitive, *_: Any, **params: Any) -> bool:
            return not (prim is name_p and params["name"] in names)

        return policy

    @staticmethod
    def save_any_names_but_these(*names: str) -> Policy:
        """Keep values named with ``checkpoint_name``, but not by one of ``names``."""

        def policy(prim: Primitive, *_: Any, **params: Any) -> bool:
            return prim is name_p and params["name"] not in names

        return policy

    @staticmethod
    def save_and_offload_only_these_names(
        *,
        names_which_can_be_saved: Iterable[str],
        names_which_can_be_offloaded: Iterable[str],
        offload_src: str,
        offload_dst: str,
    ) -> Policy:
        """Keep values named with ``checkpoint_name`` by one of either list.

        Offloading is where a value is kept, not what it is: with one memory per device, both lists stay on the device.
        """
        del offload_src, offload_dst
        return checkpoint_policies.save_only_these_names(*names_which_can_be_saved, *names_which_can_be_offloaded)

    @staticmethod
    def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
        """Keep the results of matrix products without batch dimensions: on the device, which has one memory."""
        del offload_src, offload_dst
        return checkpoint_policies.dots_with_no_batch_dims_saveable

    @staticmethod
    def save_from_both_policies(policy_1: Policy, policy_2: Policy) -> Policy:
        """Keep what either policy keeps."""

        def policy(prim: Primitive, *avals: Any, **params: Any) -> bool:
            return policy_1(prim, *avals, **params) or policy_2(prim, *avals, **params)

        return policy
