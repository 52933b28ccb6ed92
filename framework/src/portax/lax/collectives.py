"""Collectives on trees: sums, extremes, and which slice this is, along named axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import dtypes, tree
from portax.core.aval import aval_of
from portax.core.trace import state
from portax.errors import ArgumentError, GapError
from portax.lax.operands import as_operand
from portax.primitives.collectives import length_of, names_in, place_along, size_of
from portax.primitives.conversion import convert

Names = Any


def as_names(axis_name: Names) -> tuple[Any, ...]:
    """One or several names as a tuple."""
    return tuple(axis_name) if isinstance(axis_name, tuple | list) else (axis_name,)


def groups_of(name: str, groups: Any, axis_name: Any, even: bool = True) -> Any:
    """``axis_index_groups`` as a parameter of an operation: None, or tuples that have each slice once.

    Raises
    ------
    ArgumentError
        A slice is in no group or in several, several axes are named, or groups differ in length where they may not.
    """
    if groups is None:
        return None
    if len(names_in(axis_name)) > 1:
        raise ArgumentError(
            wrong=f"{name} was given axis_index_groups and the axes {names_in(axis_name)}",
            fix="Give groups along one axis",
        )
    rows = tuple([tuple([int(i) for i in group]) for group in groups])
    size = size_of(*names_in(axis_name))
    if sorted([i for row in rows for i in row]) != list(range(size)):
        raise ArgumentError(
            wrong=f"{name} was given axis_index_groups {rows}, which do not have each of the {size} slices once",
            fix=f"Put each number from 0 to {size - 1} into one group",
        )
    if even and len({len(row) for row in rows}) > 1:
        raise ArgumentError(
            wrong=f"{name} was given axis_index_groups {rows} of different lengths, and its results would differ "
            "in shape",
            fix="Make the groups equally long",
        )
    return rows


def sum_over(x: Any, names: Sequence[Any], groups: Any = None) -> Any:
    """The sum over slices; along mesh axes where types tell what devices have alike, they are told."""
    if groups is not None:
        return p.psum(x, axes=tuple(names), axis_index_groups=groups)
    told = tuple([n for n in names if n in state.alike])
    if told:
        x = p.psum_invariant(x, axes=told)
    rest = tuple([n for n in names if n not in state.alike])
    return p.psum(x, axes=rest, axis_index_groups=None) if rest or not told else x


def psum(x: Any, axis_name: Names, *, axis_index_groups: Any = None) -> Any:
    """The sum of a tree of arrays over the slices of one or several named axes.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> f = portax.vmap(lambda x: x / portax.lax.psum(x, "i"), axis_name="i")
    >>> f(pnp.array([1.0, 3.0])).tolist()
    [0.25, 0.75]
    """
    names = as_names(axis_name)
    groups = groups_of("psum", axis_index_groups, names, even=False)

    def total(leaf: Any) -> Any:
        even = groups is None or len({len(group) for group in groups}) == 1
        if isinstance(leaf, int | float) and not isinstance(leaf, bool) and even:
            return leaf * length_of(names, groups)  # a constant: known while tracing
        return sum_over(as_operand(leaf, "psum"), names, groups)

    return tree.tree_map(total, x)


def pmean(x: Any, axis_name: Names, *, axis_index_groups: Any = None) -> Any:
    """The mean of a tree of arrays over the slices of one or several named axes.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.vmap(lambda x: portax.lax.pmean(x, "i"), axis_name="i")(pnp.array([1.0, 3.0])).tolist()
    [2.0, 2.0]
    """
    size = psum(1, axis_name, axis_index_groups=axis_index_groups)

    def mean(leaf: Any) -> Any:
        summand = as_operand(leaf, "pmean")
        # The mean of integers is none.
        dtype = dtypes.to_inexact(aval_of(summand).dtype)
        total = convert(psum(summand, axis_name, axis_index_groups=axis_index_groups), dtype)
        return p.div(total, np.asarray(size).astype(dtype) if isinstance(size, int) else convert(size, dtype))

    return tree.tree_map(mean, x)


def _extreme(name: str, primitive: Any, word: str, example: float) -> Callable[..., Any]:
    def function(x: Any, axis_name: Names, *, axis_index_groups: Any = None) -> Any:
        names = as_names(axis_name)
        groups = groups_of(name, axis_index_groups, names, even=False)
        return tree.tree_map(lambda leaf: primitive(as_operand(leaf, name), axes=names, axis_index_groups=groups), x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {word} of a tree of arrays over the slices of one or several named axes.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.vmap(lambda x: portax.lax.{name}(x, "i"), axis_name="i")(pnp.array([1.0, 3.0])).tolist()
    {[example, example]}
    """
    return function


pmax = _extreme("pmax", p.pmax, "greatest", 3.0)
pmin = _extreme("pmin", p.pmin, "least", 1.0)


def axis_index(axis_name: Names) -> Any:
    """The number of this slice along a named axis; of several axes the first counts slowest.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.vmap(lambda x: x * portax.lax.axis_index("i"), axis_name="i")(pnp.ones(3)).tolist()
    [0.0, 1.0, 2.0]
    """
    return place_along(as_names(axis_name))


def axis_size(axis_name: Names) -> int:
    """How many slices one or several named axes have.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.vmap(lambda x: x * portax.lax.axis_size("i"), axis_name="i")(pnp.ones(3)).tolist()
    [3.0, 3.0, 3.0]
    """
    return length_of(as_names(axis_name))


def pcast(x: Any, axis_name: Any, *, to: str) -> Any:
    """A tree of arrays, as values that may differ from device to device along mesh axes. The values stay.

    Within ``shard_map`` types tell along which mesh axes a value varies. A loop's first carry must vary as what comes
    out of its body does, and a branch of ``cond`` as the others do.

    Parameters
    ----------
    x : tree of arrays
    axis_name : name or tuple of names
    to : {"varying"}

    Raises
    ------
    ArgumentError
        ``to`` is another word, or an array varies along the axis already.
    GapError
        ``to`` is "reduced" or "unreduced": what axes of meshes are that are explicit.

    Notes
    -----
    Where nothing is told by types, as within ``vmap`` or where ``shard_map`` has ``check_vma=False``, it is ``x``.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> from portax.sharding import PartitionSpec as P
    >>> def total(rows):
    ...     first = portax.lax.pcast(pnp.zeros(2), "i", to="varying")
    ...     return portax.lax.psum(portax.lax.scan(lambda c, row: (c + row, None), first, rows)[0], "i")
    >>> mesh = portax.make_mesh((1,), ("i",))
    >>> portax.shard_map(total, mesh=mesh, in_specs=P("i"), out_specs=P())(pnp.ones((3, 2))).tolist()
    [3.0, 3.0]
    """
    names = as_names(axis_name)
    for name in names:
        size_of(name)
    if to in ("reduced", "unreduced"):
        raise GapError(
            wrong=f"pcast was asked for {to!r}, which only axes of explicit meshes can be",
            fix='Give "varying"; sum with psum',
        )
    if to != "varying":
        raise ArgumentError(wrong=f"pcast knows no kind {to!r}", fix='Give "varying"')
    told = tuple([n for n in names if n in state.alike])

    def cast(leaf: Any) -> Any:
        if not told:
            return leaf
        leaf = as_operand(leaf, "pcast")
        already = [n for n in told if n in leaf.aval.varying]
        if already:
            raise ArgumentError(
                wrong=f"pcast was given {leaf.aval}, which varies along {', '.join(map(repr, already))} already",
                fix="Leave that axis out of axis_name",
            )
        return p.pvary(leaf, axes=told)

    return tree.tree_map(cast, x)
