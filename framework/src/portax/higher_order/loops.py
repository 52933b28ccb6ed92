"""Loops made of scan and while_loop: fori_loop, map, associative_scan."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.array import Array
from portax.core.aval import Aval, aval_of
from portax.core.trace import Tracer
from portax.higher_order.closures import avals_of
from portax.higher_order.scanning import scan
from portax.higher_order.while_loop import while_loop
from portax.primitives.arithmetic import add
from portax.primitives.broadcasting import reshape
from portax.primitives.comparison import lt
from portax.primitives.conversion import convert_element_type
from portax.primitives.slicing import concatenate, rev, slice_
from portax.transforms.batch import batch, materialize


def _is_static(x: Any) -> bool:
    if isinstance(x, Tracer):
        return False
    return isinstance(x, int | np.integer) or (isinstance(x, Array | np.ndarray) and aval_of(x).shape == ())


def _common_dtype(lower: Aval, upper: Aval) -> Any:
    """The dtype that a loop counts in: that of both bounds, where a Python number takes the other's."""
    for a, b in ((lower, upper), (upper, lower)):
        if a.dtype == b.dtype or (a.weak_type and not b.weak_type and dtypes.is_signed(b.dtype)):
            return b.dtype
    raise errors.DtypeError(
        wrong=f"fori_loop was given bounds of different dtypes, lower: {lower} and upper: {upper}",
        fix="Convert one to the dtype of the other",
    )


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any, *, unroll: Any = None) -> Any:
    """Apply ``body_fun(i, value)`` for ``i`` from ``lower`` to ``upper - 1``.

    With Python numbers as bounds the loop is a scan, and has a reverse-mode derivative; with traced bounds it is a
    while_loop.

    Parameters
    ----------
    lower, upper : int or Array of an integer dtype, shape ()
    body_fun : callable, (i, value) -> value
        Keeps the value's tree, shapes and dtypes.
    init_val : tree of arrays
    unroll : int or bool, optional
        As in ``scan``; only for bounds that are Python numbers.

    Raises
    ------
    ArgumentError
        A bound is no whole number, or is traced where ``unroll`` is given.
    DtypeError
        The bounds have different dtypes.

    Examples
    --------
    >>> from portax import lax
    >>> int(lax.fori_loop(0, 5, lambda i, x: x + i, 0))
    10
    """
    for name, x in (("lower", lower), ("upper", upper)):
        aval = aval_of(x)
        if aval.shape or not dtypes.is_integer(aval.dtype):
            raise errors.ArgumentError(
                wrong=f"fori_loop counts in whole numbers, and {name} is {aval}", fix="Give integers of shape ()"
            )
    if _is_static(lower) and _is_static(upper):
        _common_dtype(aval_of(lower), aval_of(upper))
        first, last = operator.index(np.asarray(lower).item()), operator.index(np.asarray(upper).item())

        def step(carry: Any, _: Any) -> Any:
            i, value = carry
            return (add(i, 1), body_fun(i, value)), None

        step.__name__ = getattr(body_fun, "__name__", "body")
        (_, out), _ = scan(step, (first, init_val), None, length=max(last - first, 0), unroll=unroll or 1)
        return out
    if unroll not in (None, False, 1):
        raise errors.ArgumentError(
            wrong="fori_loop cannot unroll a loop whose bounds are traced", fix="Give Python numbers as bounds"
        )
    dtype = _common_dtype(aval_of(lower), aval_of(upper))
    start, stop = [
        x if aval_of(x).dtype == dtype else convert_element_type(x, new_dtype=dtype, weak_type=False, sharding=None)
        for x in (lower, upper)
    ]
    one = np.ones((), dtype)

    def go_on(state: Any) -> Any:
        return lt(state[0], state[1])

    def turn(state: Any) -> Any:
        i, stop, value = state
        return add(i, one), stop, body_fun(i, value)

    return while_loop(go_on, turn, (start, stop, init_val))[2]


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply ``f`` to each slice along axis 0, one after the other, and stack the results.

    Parameters
    ----------
    f : callable, one argument
    xs : tree of arrays with equal lengths of axis 0
    batch_size : int, optional
        Take so many slices at a time, with ``vmap``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.map(lambda x: x + 1, pnp.arange(3)).tolist()
    [1, 2, 3]
    """
    if batch_size is None:
        return scan(lambda _, x: ((), f(x)), (), xs)[1]
    leaves, structure = tree.flatten(xs)
    if not leaves:
        raise errors.ArgumentError(wrong="map was given no arrays", fix="Give a tree with at least one array")
    n = aval_of(leaves[0]).shape[0]
    whole = n // batch_size * batch_size
    out_tree: list[Any] = []

    def many(part: Any) -> Any:
        rows, _ = tree.flatten(part)
        size = aval_of(rows[0]).shape[0]

        def flat(*xs: Any) -> list[Any]:
            outs, out = tree.flatten(f(tree.unflatten(structure, xs)))
            out_tree[:] = [out]
            return outs

        outs, flags = batch(flat, rows, [True] * len(rows), size)
        return tree.unflatten(out_tree[0], [materialize(x, b, size) for x, b in zip(outs, flags, strict=True)])

    head = [reshape(_cut(x, 0, whole), new_sizes=(n // batch_size, batch_size, *aval_of(x).shape[1:]), dimensions=None)
            for x in leaves]  # fmt: skip
    parts: list[Any] = []
    if whole:
        mapped = scan(lambda _, x: ((), many(x)), (), tree.unflatten(structure, head))[1]
        parts.append(
            tree.tree_map(lambda x: reshape(x, new_sizes=(whole, *aval_of(x).shape[2:]), dimensions=None), mapped)
        )
    if whole < n or not parts:
        parts.append(many(tree.unflatten(structure, [_cut(x, whole, n) for x in leaves])))
    if len(parts) == 1:
        return parts[0]
    return tree.tree_map(lambda a, b: concatenate(a, b, dimension=0), *parts)


def _cut(x: Any, start: int, stop: int, step: int = 1, axis: int = 0) -> Any:
    shape = aval_of(x).shape
    starts = [0] * len(shape)
    limits, strides = list(shape), [1] * len(shape)
    starts[axis], limits[axis], strides[axis] = start, stop, step
    return slice_(x, start_indices=tuple(starts), limit_indices=tuple(limits), strides=tuple(strides))


def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative operation, in a logarithmic number of steps.

    ``out[i] = fn(...fn(fn(x[0], x[1]), x[2])..., x[i])``, evaluated as a tree.

    Parameters
    ----------
    fn : callable, (a, b) -> c on trees of arrays
        Associative; works on many pairs at once along ``axis``.
    elems : tree of arrays with equal lengths of ``axis``
    reverse : bool
        Go from the last element to the first.
    axis : int

    References
    ----------
    Blelloch, Prefix Sums and Their Applications, CMU-CS-90-190, 1990.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.associative_scan(pnp.add, pnp.arange(5)).tolist()
    [0, 1, 3, 6, 10]
    """
    if not callable(fn):
        raise errors.ArgumentError(wrong=f"associative_scan needs a function, got {fn!r}", fix="Give a callable")
    leaves, structure = tree.flatten(elems)
    avals = avals_of(leaves, "associative_scan")
    if not leaves:
        return elems
    if any(not -a.ndim <= axis < a.ndim for a in avals):
        raise errors.AxisError(
            wrong=f"associative_scan has no axis {axis} in {', '.join(str(a) for a in avals)}",
            fix="Give an axis of all",
        )
    axes = [axis % a.ndim for a in avals]
    lengths = {a.shape[d] for a, d in zip(avals, axes, strict=True)}
    if len(lengths) != 1:
        raise errors.ShapeError(
            wrong=f"associative_scan needs one length of axis {axis}, got {', '.join(str(a) for a in avals)}",
            fix="Make the lengths equal",
        )
    axis = axes[0]
    if reverse:
        leaves = [_flip(x, axis) for x in leaves]

    def combine(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return tree.leaves(fn(tree.unflatten(structure, a), tree.unflatten(structure, b)))

    def solve(xs: Sequence[Any]) -> list[Any]:
        n = aval_of(xs[0]).shape[axis]
        if n < 2:
            return list(xs)
        # Combine neighbours, solve the half as long problem for the odd places, then fill the even ones in between.
        pairs = combine([_cut(x, 0, n - 1, 2, axis) for x in xs], [_cut(x, 1, n, 2, axis) for x in xs])
        odd = solve(pairs)
        if n % 2 == 0:
            before = [_cut(o, 0, aval_of(o).shape[axis] - 1, 1, axis) for o in odd]
        else:
            before = odd
        even = combine(before, [_cut(x, 2, n, 2, axis) for x in xs]) if n > 2 else []
        first = [_cut(x, 0, 1, 1, axis) for x in xs]
        even = [concatenate(f, e, dimension=axis) for f, e in zip(first, even, strict=True)] if even else first
        return [_interleave(e, o, axis) for e, o in zip(even, odd, strict=True)]

    outs = solve(leaves)
    if reverse:
        outs = [_flip(x, axis) for x in outs]
    return tree.unflatten(structure, outs)


def _flip(x: Any, axis: int) -> Any:
    return rev(x, dimensions=(axis,))


def _interleave(even: Any, odd: Any, axis: int) -> Any:
    """``even[0], odd[0], even[1], ...``; ``even`` may have one more."""
    shape = aval_of(odd).shape
    n = shape[axis]
    single = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    pairs = concatenate(
        *(reshape(_cut(x, 0, n, 1, axis), new_sizes=single, dimensions=None) for x in (even, odd)), dimension=axis + 1
    )
    merged = reshape(pairs, new_sizes=(*shape[:axis], 2 * n, *shape[axis + 1 :]), dimensions=None)
    if aval_of(even).shape[axis] == n:
        return merged
    return concatenate(merged, _cut(even, n, n + 1, 1, axis), dimension=axis)
