"""``scan`` as users call it: trees taken apart, the body traced, and what it touches made operands of the primitive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.aval import Aval
from portax.core.refs import Cell
from portax.higher_order.closures import (
    apart,
    avals_of,
    check_alike,
    check_distinct,
    name_of,
    paths_of,
    stage_function,
    write_all,
)
from portax.higher_order.scan import scan_p
from portax.higher_order.while_loop import settle, written_first


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
) -> tuple[Any, Any]:
    """Apply ``f`` to slice after slice of ``xs``, carrying a value along.

    Parameters
    ----------
    f : callable, (carry, x) -> (carry, y)
        Keeps the carry's tree, shapes and dtypes.
    init : tree of arrays
        The first carry.
    xs : tree of arrays with equal lengths of axis 0, or None
    length : int, optional
        Number of turns; needed where ``xs`` has no arrays.
    reverse : bool
        Go from the last slice to the first. ``ys`` are stacked in the order of ``xs`` all the same.
    unroll : int or bool
        Turns in one turn of the compiled loop; True writes out all.

    Returns
    -------
    carry : the last carry
    ys : tree of arrays
        The results, stacked on a new axis 0.

    Raises
    ------
    ArgumentError
        The lengths differ, or ``f`` changes the carry's tree, a shape or a dtype.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> total, sums = lax.scan(lambda c, x: (c + x, c + x), 0, pnp.arange(4))
    >>> sums.tolist()
    [0, 1, 3, 6]
    """
    if not callable(f):
        raise errors.ArgumentError(wrong=f"scan needs a function, got {f!r}", fix="Call scan(f, init, xs)")
    carry_leaves, carry_tree = tree.flatten(init)
    x_leaves, x_tree = tree.flatten(xs)
    mapped, _ = apart(x_leaves)
    x_leaves = [x.read() if isinstance(x, Cell) else x for x in x_leaves]
    carry_avals, x_avals = avals_of(carry_leaves, "scan"), avals_of(x_leaves, "scan")
    turns = _length(x_leaves, x_avals, length)
    rows = [a.update(shape=a.shape[1:]) for a in x_avals]
    in_tree = tree.structure((tree.unflatten(carry_tree, carry_leaves), tree.unflatten(x_tree, x_leaves)))
    outer: list[Any] = []

    def step(carry: Any, x: Any) -> Any:
        rows_of, x = _as_references(mapped, rows, x_tree, x)
        out = f(carry, x)
        if not isinstance(out, tuple | list) or len(out) != 2:
            raise errors.ArgumentError(
                wrong=f"the body of scan, {name_of(f)}, must return a pair (carry, y), got {out!r}",
                fix="Return carry, None where there is nothing to stack",
            )
        outer[:] = [tree.structure(out[0]), tree.structure(out[1])]
        return (*out, [r.value for r in rows_of])

    step.__name__ = name_of(f)
    n = len(carry_leaves)
    avals = [*carry_avals, *rows]
    staged = stage_function(step, in_tree, avals, refs=True)
    if outer[0] == carry_tree:
        avals, leaves, staged = settle(step, in_tree, avals, [*carry_leaves, *x_leaves], staged, n)
        carry_leaves = leaves[:n]
    _check_carry(f, carry_tree, outer[0], avals[:n], staged.out_avals[:n])
    if unroll is True:
        unroll = max(turns, 1)
    elif unroll is False:
        unroll = 1
    if unroll < 1:
        raise errors.ArgumentError(wrong=f"scan cannot unroll {unroll} turns", fix="Give a whole number from 1")
    if mapped:
        check_distinct("scan", [*mapped.values(), *(cell for cell, _ in staged.cells)])
    values = [cell.read() for cell, _ in staged.cells]
    written = staged.written
    w, last = len(written), len(staged.out_avals)
    outs = scan_p.bind(
        *staged.consts, *values, *carry_leaves, *x_leaves,
        jaxpr=written_first(staged), length=turns, reverse=bool(reverse),
        num_consts=len(staged.consts) + len(values) - w, num_carry=w + n, unroll=int(unroll),
    )  # fmt: skip
    write_all(written, outs[:w])
    write_all(list(mapped.values()), outs[w + last - len(mapped) :])
    return tree.unflatten(carry_tree, outs[w : w + n]), tree.unflatten(outer[1], outs[w + n : w + last - len(mapped)])


def _as_references(mapped: Mapping[int, Cell], rows: Sequence[Aval], x_tree: Any, x: Any) -> tuple[list[Cell], Any]:
    """The slices of one turn, where sequences were references: those are references to their slices."""
    if not mapped:
        return [], x
    leaves = tree.leaves(x)
    found = {i: cell.again(rows[i], leaves[i]) for i, cell in mapped.items()}
    return list(found.values()), tree.unflatten(x_tree, [found.get(i, leaf) for i, leaf in enumerate(leaves)])


def _length(leaves: Sequence[Any], avals: Sequence[Aval], length: int | None) -> int:
    for a in avals:
        if not a.ndim:
            raise errors.ArgumentError(
                wrong=f"scan slices axis 0 of every array in xs, and one of them is {a}", fix="Give arrays with an axis"
            )
    lengths = {a.shape[0] for a in avals}
    if length is not None:
        lengths.add(int(length))
    if len(lengths) > 1:
        given = ", ".join(map(str, avals)) + (f", length={length}" if length is not None else "")
        raise errors.ArgumentError(
            wrong=f"scan needs one length for all of xs, got {given}", fix="Make the lengths of axis 0 equal"
        )
    if not lengths:
        raise errors.ArgumentError(wrong="scan has no xs and no length", fix="Give length=, the number of turns")
    return lengths.pop()


def _check_carry(f: Any, before: Any, after: Any, ins: Sequence[Aval], outs: Sequence[Aval]) -> None:
    fix = "Make the body return the carry with the same tree, shapes and dtypes"
    if before != after:
        raise errors.ArgumentError(
            wrong=f"scan: the carry of {name_of(f)} is {before} going in and {after} coming out", fix=fix
        )
    for path, a, b in zip(paths_of(before), ins, outs, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            at = f" at {path}" if path else ""
            raise errors.ArgumentError(
                wrong=f"scan: the carry of {name_of(f)} is {a} going in and {b} coming out{at}",
                fix=fix,
            )
    check_alike("scan", ins, outs)
