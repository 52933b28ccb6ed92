"""vmap for functions of trees: batch axes are found, moved to the front, and put where the results want them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.aval import aval_of
from portax.core.refs import Cell, inner_aval
from portax.higher_order.checks import check_output
from portax.higher_order.closures import apart, argument_names, as_arrays, avals_of, check_distinct, merge, name_of
from portax.primitives.broadcasting import transpose
from portax.transforms.batch import batch, materialize

Axes = Any


def move_axis(x: Any, source: int, target: int) -> Any:
    """``x`` with one axis moved; ``x`` itself where it is there already."""
    if source == target:
        return x
    order = [d for d in range(aval_of(x).ndim) if d != source]
    order.insert(target, source)
    return transpose(x, permutation=tuple(order))


def _is_axis(x: Any) -> bool:
    return x is None or isinstance(x, int)


def _spread(axes: Axes, structure: Any, what: str, name: str) -> list[int | None]:
    """One axis for each leaf, from a prefix of the tree."""
    leaves = tree.prefix_to_leaves(axes, structure, what=f"{what} of vmap({name})", is_leaf=lambda x: x is None)
    for axis in leaves:
        if not _is_axis(axis) or isinstance(axis, bool):
            raise errors.ArgumentError(
                wrong=f"{what} of vmap({name}) has {axis!r} in it", fix="Give whole numbers and None, or trees of them"
            )
    return leaves


def vmap(
    fun: Callable[..., Any],
    in_axes: Axes = 0,
    out_axes: Axes = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    sum_match: bool = False,
) -> Callable[..., Any]:
    """A version of ``fun`` that runs on every slice of its arguments at once.

    Parameters
    ----------
    fun : callable
    in_axes : int, None, or a sequence with one entry for each positional argument
        Which axis of an argument to map over; None passes the whole argument to every slice. An entry may be a tree
        that is a prefix of the argument. Keyword arguments are mapped over axis 0.
    out_axes : int, None, or a tree that is a prefix of the result
        Where the mapped axis goes in the results; None for results that are the same for every slice.
    axis_name : hashable, optional
        A name under which collectives inside ``fun`` find the axis.
    axis_size : int, optional
        Needed where no argument is mapped.
    spmd_axis_name : hashable or tuple, optional
        Mesh axes the mapped axis is spread over, for programs on several devices.

    Raises
    ------
    ArgumentError
        The axes do not fit the arguments, or the mapped axes have different lengths.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.vmap(lambda x, y: x * y, in_axes=(0, None))(pnp.arange(3.0), 2.0).tolist()
    [0.0, 2.0, 4.0]
    """
    if not callable(fun):
        raise errors.ArgumentError(wrong=f"vmap needs a function, got {fun!r}", fix="Give a callable")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (_is_axis(in_axes) or isinstance(in_axes, tuple)):
        raise errors.ArgumentError(
            wrong=f"in_axes of vmap({name_of(fun)}) is {in_axes!r}", fix="Give an int, None, or a tuple of them"
        )
    del sum_match

    @functools.wraps(fun)
    def vmapped(*args: Any, **kwargs: Any) -> Any:
        name = name_of(fun)
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise errors.ArgumentError(
                wrong=f"vmap({name}) has in_axes for {len(in_axes)} arguments and was called with {len(args)}",
                fix="Give one entry for each positional argument",
            )
        leaves, structure = tree.flatten((args, kwargs))
        _, args_structure = tree.flatten(args)
        arg_axes = _spread(in_axes, args_structure, "in_axes", name)
        axes = [*arg_axes, *[0] * (len(leaves) - len(arg_axes))]
        size = _mapped_size(fun, leaves, axes, axis_size, args, kwargs)
        refs, _ = apart(leaves)
        held = [x.read() if isinstance(x, Cell) else x for x in leaves]
        values, flags = _to_front(as_arrays(held, f"vmap({name})"), axes)
        mapped = {i: ref for i, ref in refs.items() if flags[i]}
        if mapped:
            check_distinct(f"vmap({name})", list(refs.values()))
        inside: dict[int, Cell] = {}
        written: list[int] = []
        out_trees: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            if refs:
                inside.update((i, ref.again(aval_of(xs[i]), xs[i])) for i, ref in mapped.items())
                xs = tuple(merge({**refs, **inside}, [x for i, x in enumerate(xs) if i not in refs], len(xs)))
            given, named = tree.unflatten(structure, xs)
            outs, out_tree = tree.flatten(fun(*given, **named))
            for x in outs:
                check_output(x, name)
            out_trees.append(out_tree)
            rows_of = [ref.value for ref in inside.values()]
            written.extend(i for i, ref in inside.items() if ref.written)
            inside.clear()  # they are the trace's, which is about to end
            return [*outs, *rows_of]

        outs, rows = batch(flat, values, flags, size, axis_name, spmd_axis_name)
        n = len(outs) - len(mapped)
        for (i, ref), x, b in zip(mapped.items(), outs[n:], rows[n:], strict=True):
            if i in written:
                ref.write(move_axis(materialize(x, b, size), 0, axes[i] % ref.aval.ndim))
        outs, rows = outs[:n], rows[:n]
        targets = _spread(out_axes, out_trees[0], "out_axes", name)
        results = [_to_place(name, x, b, target, size) for x, b, target in zip(outs, rows, targets, strict=True)]
        return tree.unflatten(out_trees[0], results)

    return vmapped


def _to_front(leaves: Sequence[Any], axes: Sequence[int | None]) -> tuple[list[Any], list[bool]]:
    values = [
        x if axis is None else move_axis(x, axis % aval_of(x).ndim, 0) for x, axis in zip(leaves, axes, strict=True)
    ]
    return values, [axis is not None for axis in axes]


def _to_place(name: str, x: Any, batched: bool, target: int | None, size: int) -> Any:
    if target is None:
        if batched:
            raise errors.ArgumentError(
                wrong=f"vmap({name}) was told by out_axes=None that a result is the same for every slice, "
                "and it is not",
                fix="Give the axis it should have in out_axes",
            )
        return x
    if getattr(x, "dtype", None) == dtypes.float0:  # the tangent of a whole number: the same for every slice
        x = np.zeros((size, *x.shape), x.dtype)
    else:
        x = materialize(x, batched, size)
    ndim = x.ndim if isinstance(x, np.ndarray) else aval_of(x).ndim
    if not -ndim <= target < ndim:
        raise errors.AxisError(
            wrong=f"out_axes of vmap({name}) is {target}, and the result with the mapped axis has {ndim} axes",
            fix=f"Give -{ndim} to {ndim - 1}",
        )
    return np.moveaxis(x, 0, target) if isinstance(x, np.ndarray) else move_axis(x, 0, target % ndim)


def _mapped_size(
    fun: Any, leaves: Sequence[Any], axes: Sequence[int | None], axis_size: int | None, args: Any, kwargs: Any
) -> int:
    name = name_of(fun)
    sizes: dict[int, int] = {}
    for i, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        aval = x.aval if isinstance(x, Cell) else avals_of([x], f"vmap({name})")[0]
        if not -aval.ndim <= axis < aval.ndim:
            where = argument_names(fun, args, kwargs)[i]
            raise errors.AxisError(
                wrong=f"vmap({name}) was asked to map axis {axis} of {where}, which is {aval}",
                fix="Give None for an argument to pass it whole, or an axis it has",
            )
        sizes[i] = aval.shape[axis]
    found = set(sizes.values())
    if axis_size is not None:
        found.add(axis_size)
    if not found:
        raise errors.ArgumentError(
            wrong=f"vmap({name}) maps over none of its arguments",
            fix="Give in_axes with at least one axis, or axis_size=",
        )
    if len(found) > 1:
        where = argument_names(fun, args, kwargs)
        shown = "; ".join(
            f"{where[i]} is {inner_aval(leaves[i])} with axis {axes[i]} of length {n}" for i, n in sizes.items()
        )
        asked = f" (axis_size={axis_size})" if axis_size is not None else ""
        raise errors.ArgumentError(
            wrong=f"vmap({name}) needs mapped axes of one length{asked}: {shown}",
            fix="Make the lengths equal, or give None in in_axes for arguments to pass whole",
        )
    return found.pop()
