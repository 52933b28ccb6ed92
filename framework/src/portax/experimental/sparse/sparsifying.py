"""A function of dense arrays made one of sparse arrays: its program is run with a sparse rule for each primitive.

What maps zero to zero works on the data; what moves or joins elements has a function of its own; products are those of
`products`. What would make a dense array of a sparse one is refused, never done in silence.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax.numpy as pnp
from portax import lax
from portax.core import tree
from portax.core.aval import Aval, aval_of
from portax.core.jaxpr import ClosedJaxpr, Eqn, Literal
from portax.core.trace import state
from portax.errors import GapError
from portax.experimental.sparse import slicing
from portax.experimental.sparse.conversion import bcoo_todense
from portax.experimental.sparse.layouts import BCOO, BCSR, JAXSparse
from portax.experimental.sparse.ordering import bcoo_sum_duplicates
from portax.experimental.sparse.products import (
    at_elements,
    bcoo_dot_general,
    bcoo_multiply_dense,
    bcoo_multiply_sparse,
    bcoo_reduce_sum,
)
from portax.experimental.sparse.relayout import bcoo_update_layout
from portax.experimental.sparse.rows import bcsr_sum_duplicates, to_bcoo
from portax.experimental.sparse.shaping import (
    bcoo_broadcast_in_dim,
    bcoo_concatenate,
    bcoo_reshape,
    bcoo_rev,
    bcoo_squeeze,
    bcoo_transpose,
)
from portax.higher_order import jit
from portax.higher_order.closures import name_of
from portax.transforms.stage import stage_open

#: They map zero to zero and a sum to the sum: elements with equal indices may stay apart.
_LINEAR = frozenset("neg real imag conj copy copy_p stop_gradient reduce_precision name optimization_barrier".split())
#: They map zero to zero.
_KEEPING = frozenset(
    "abs asin asinh atan atanh cbrt ceil convert_element_type expm1 floor log1p round sign sin sinh sqrt "
    "square tan tanh erf erf_inv".split()
)

Rule = Callable[..., list[Any]]


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a sparse array."""
    return isinstance(x, JAXSparse)


def with_data(x: Any, data: Any) -> Any:
    """The same sparse array with other data."""
    children, static = x.tree_flatten()
    return type(x).tree_unflatten(static, (data, *children[1:]))


def as_bcoo(x: Any) -> Any:
    """With coordinates, where it is sparse."""
    if isinstance(x, BCOO) or not is_sparse(x):
        return x
    return to_bcoo(x) if isinstance(x, BCSR) else x.to_bcoo()


def _dense(x: Any) -> Any:
    return bcoo_todense(x) if isinstance(x, BCOO) else x


# -- elementwise ------------------------------------------------------------------------------------------------------
def _on_data(eqn: Eqn, xs: Sequence[Any], linear: bool) -> list[Any]:
    (x,) = xs
    if not linear and not getattr(x, "unique_indices", False):
        x = bcsr_sum_duplicates(x, x.nse) if isinstance(x, BCSR) else bcoo_sum_duplicates(as_bcoo(x), x.nse)
    out = state.trace.process(eqn.primitive, (x.data,), eqn.params)
    return [with_data(x, out[0] if eqn.primitive.multiple_results else out)]


def _scalars(xs: Sequence[Any]) -> list[Any]:
    """The operands, those of rank 0 dense."""
    return [_dense(as_bcoo(x)) if not len(x.shape) else as_bcoo(x) for x in map(_array, xs)]


def _array(x: Any) -> Any:
    return x if is_sparse(x) else pnp.asarray(x)


def _add(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    a, b = _scalars(xs)
    if not (is_sparse(a) and is_sparse(b)):
        a, b = (a, b) if is_sparse(a) else (b, a)
        if is_sparse(a) and b.shape != a.shape:
            raise GapError(
                wrong=f"a sparse array of shape {a.shape} plus a dense one of shape {b.shape} would be dense",
                fix="Add to .todense(), if that is meant",
            )
        return [_dense(a) + b]
    if a.indices is b.indices and a.shape == b.shape:
        return [with_data(a, a.data + b.data)]
    batch, dense = min(a.n_batch, b.n_batch), min(a.n_dense, b.n_dense)
    a, b = (bcoo_update_layout(m, n_batch=batch, n_dense=dense, on_inefficient=None) for m in (a, b))
    dtype, width = pnp.result_type(a.data, b.data), pnp.result_type(a.indices.dtype, b.indices.dtype)
    pairs = []
    for m in (a, b):
        data = pnp.broadcast_to(m.data, m.batch_shape + m.data.shape[batch:]).astype(dtype)
        indices = pnp.broadcast_to(m.indices, m.batch_shape + m.indices.shape[batch:]).astype(width)
        pairs.append((data, indices))
    data, indices = (pnp.concatenate(both, batch) for both in zip(*pairs, strict=True))
    return [BCOO((data, indices), shape=a.shape)]


def _sub(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    a, b = _scalars(xs)
    return _add(eqn, [a, with_data(b, -b.data) if is_sparse(b) else -b])


def _mul(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    a, b = _scalars(xs)
    if is_sparse(a) and is_sparse(b):
        if a.indices is b.indices and a.unique_indices and b.unique_indices:
            return [with_data(a, a.data * b.data)]
        return [bcoo_multiply_sparse(a, b)]
    a, b = (a, b) if is_sparse(a) else (b, a)
    return [with_data(a, bcoo_multiply_dense(a, b))] if is_sparse(a) else [a * b]


def _div(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    a, b = _scalars(xs)
    if is_sparse(b):
        raise GapError(
            wrong="division by a sparse array would be dense: it divides by zero where nothing is specified",
            fix="Divide by .todense(), if that is meant",
        )
    if not is_sparse(a):
        return [lax.div(a, b)]
    return [with_data(a, lax.div(*pnp.broadcast_arrays(a.data, b if not b.ndim else at_elements(a, b, fill=1))))]


def _integer_pow(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    if eqn.params["y"] <= 0:
        raise GapError(
            wrong=f"a sparse array to the power {eqn.params['y']} would be dense", fix="Take the power of .todense()"
        )
    return _on_data(eqn, xs, False)


# -- what moves and joins ---------------------------------------------------------------------------------------------
def _reduce_sum(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    out = bcoo_reduce_sum(xs[0], axes=eqn.params["axes"])
    return [_dense(out) if not out.shape else out]


def _dot_general(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    p = eqn.params
    return [
        bcoo_dot_general(
            *xs, dimension_numbers=p["dimension_numbers"], precision=p.get("precision"),
            preferred_element_type=p.get("preferred_element_type"),
        )
    ]  # fmt: skip


def _concatenate(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    if not all(map(is_sparse, xs)):
        raise GapError(
            wrong="sparse and dense arrays cannot be joined without making one of them the other",
            fix="Make all of them sparse with BCOO.fromdense, or dense with .todense()",
        )
    return [bcoo_concatenate(xs, dimension=eqn.params["dimension"])]


def _gather(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    p = eqn.params
    if is_sparse(xs[1]):
        raise GapError(wrong="a sparse array was given as an index", fix="Index with .todense() of it")
    return [
        slicing.bcoo_gather(
            xs[0], xs[1], p["dimension_numbers"], p["slice_sizes"], mode=p["mode"], fill_value=p["fill_value"]
        )
    ]


def _same(function: Callable[..., Any], *names: str) -> Rule:
    """The rule of a function whose keywords are parameters of the primitive."""

    def rule(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
        return [function(xs[0], **{name: eqn.params[name] for name in names})]

    return rule


# -- programs inside --------------------------------------------------------------------------------------------------
def _programs(eqn: Eqn) -> list[ClosedJaxpr]:
    return [x for x in eqn.params.values() if isinstance(x, ClosedJaxpr)]


def _inline(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    """A program that is run once, run here: a custom derivative rule of it does not outlive the sparse operands."""
    return evaluate(_programs(eqn)[0], xs)


def _jit(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    closed = eqn.params["jaxpr"]
    if "sparsified" not in closed.memo:
        closed.memo["sparsified"] = jit(lambda *xs: evaluate(closed, xs))
    return closed.memo["sparsified"](*xs)


def _cond(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    branches = [functools.partial(lambda b, *xs: evaluate(b, xs), b) for b in eqn.params["branches"]]
    return lax.switch(pnp.asarray(xs[0]).astype(np.int32), branches, *xs[1:])


def _while(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    p = eqn.params
    i, j = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]
    return lax.while_loop(
        lambda carry: evaluate(p["cond_jaxpr"], [*xs[:i], *carry])[0],
        lambda carry: evaluate(p["body_jaxpr"], [*xs[i:j], *carry]),
        list(xs[j:]),
    )


def _scan(eqn: Eqn, xs: Sequence[Any]) -> list[Any]:
    p = eqn.params
    i, j = p["num_consts"], p["num_consts"] + p["num_carry"]
    if any(is_sparse(x) and not getattr(as_bcoo(x), "n_batch", 0) for x in xs[j:]):
        raise GapError(
            wrong="scan was given a sparse array to walk along, and its first axis is not of the batch",
            fix="Make it one with update_layout(n_batch=1)",
        )

    def turn(carry: Any, x: Any) -> tuple[Any, Any]:
        outs = evaluate(p["jaxpr"], [*xs[:i], *carry, *x])
        return outs[: j - i], outs[j - i :]

    carry, ys = lax.scan(turn, list(xs[i:j]), list(xs[j:]), length=p["length"], reverse=p["reverse"])
    return [*carry, *ys]


_RULES: dict[str, Rule] = {
    **{name: functools.partial(_on_data, linear=True) for name in _LINEAR},
    **{name: functools.partial(_on_data, linear=False) for name in _KEEPING},
    "integer_pow": _integer_pow,
    "add": _add,
    "add_any": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "reduce_sum": _reduce_sum,
    "dot_general": _dot_general,
    "concatenate": _concatenate,
    "gather": _gather,
    "broadcast_in_dim": _same(bcoo_broadcast_in_dim, "shape", "broadcast_dimensions"),
    "reshape": _same(bcoo_reshape, "new_sizes", "dimensions"),
    "transpose": _same(bcoo_transpose, "permutation"),
    "squeeze": _same(bcoo_squeeze, "dimensions"),
    "rev": _same(bcoo_rev, "dimensions"),
    "slice": _same(slicing.bcoo_slice, "start_indices", "limit_indices", "strides"),
    "dynamic_slice": lambda eqn, xs: [slicing.bcoo_dynamic_slice(xs[0], xs[1:], eqn.params["slice_sizes"])],
    "jit": _jit,
    "cond": _cond,
    "while": _while,
    "scan": _scan,
    "checkpoint": _inline,
    "custom_jvp_call": _inline,
    "custom_vjp_call": _inline,
}
#: These keep the format of their operand; all others work with coordinates.
_ANY_FORMAT = _LINEAR | _KEEPING | {"integer_pow", "jit", "cond", "while", "scan", "custom_jvp_call", "custom_vjp_call"}


def evaluate(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    """A program run on arrays of which some are sparse."""
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(closed.jaxpr.invars, args, strict=True))
    for eqn in closed.eqns:
        xs = [a.val if isinstance(a, Literal) else values[a] for a in eqn.invars]
        values.update(zip(eqn.outvars, _equation(eqn, xs), strict=True))
    return [a.val if isinstance(a, Literal) else values[a] for a in closed.jaxpr.outvars]


def _equation(eqn: Eqn, xs: list[Any]) -> Sequence[Any]:
    if not any(map(is_sparse, xs)):
        out = state.trace.process(eqn.primitive, tuple(xs), eqn.params)
        return out if eqn.primitive.multiple_results else [out]
    name = eqn.primitive.name
    rule = _RULES.get(name)
    if rule is None:
        raise GapError(
            wrong=f"there is no sparse rule for {name}: of a sparse array it would make a dense one, or is not linear",
            fix="Convert with .todense() first, if that is meant",
        )
    return rule(eqn, xs if name in _ANY_FORMAT else [as_bcoo(x) for x in xs])


def _aval(x: Any) -> Any:
    if not is_sparse(x):
        return aval_of(x)
    aval = aval_of(x.data)
    return Aval(tuple(x.shape), aval.dtype, aval.weak_type)


def sparsify(f: Callable[..., Any], use_tracer: bool = False) -> Callable[..., Any]:
    """A function of dense arrays, made one that takes and returns sparse ones too.

    Parameters
    ----------
    f : callable
        Of trees of arrays. It sees the shapes and dtypes of its arguments, and calls functions of ``portax.numpy``.
    use_tracer : bool
        Accepted as in JAX, where it chooses between two ways to the same result.

    Returns
    -------
    callable
        It may be jitted, mapped and differentiated.

    Raises
    ------
    GapError
        ``f`` computes what has no sparse rule.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental import sparse
    >>> m = sparse.BCOO.fromdense(pnp.eye(3))
    >>> sparse.sparsify(lambda x: 2 * pnp.sin(x).T)(m)
    BCOO(float32[3, 3], nse=3)
    >>> print(sparse.sparsify(lambda x, v: x @ v)(m, pnp.arange(3.0)))
    [0. 1. 2.]
    """
    del use_tracer

    @functools.wraps(f)
    def sparse(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs), is_leaf=is_sparse)
        out_tree: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            args, kwargs = tree.unflatten(structure, xs)
            outs, out = tree.flatten(f(*args, **kwargs))
            out_tree.append(out)
            return [pnp.asarray(x) for x in outs]

        closed, consts = stage_open(flat, [_aval(x) for x in leaves], name_of(f))
        outs = evaluate(closed, [*consts, *leaves])
        return tree.unflatten(out_tree[-1], [_array(x) for x in outs])

    return sparse
