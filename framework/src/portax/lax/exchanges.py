"""Exchanges on trees: slices gathered, sent on, swapped and shared out along named axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core import tree
from portax.core.aval import aval_of
from portax.core.trace import state
from portax.errors import ArgumentError, GapError, ShapeError
from portax.lax.collectives import as_names, groups_of, sum_over
from portax.lax.indexing import index_take
from portax.lax.operands import as_operand
from portax.primitives.collectives import length_of, place_along, take_slice
from portax.primitives.zeros import zeros


def all_gather(
    x: Any, axis_name: Any, *, axis_index_groups: Any = None, axis: int = 0, tiled: bool = False, to: str = "varying"
) -> Any:
    """All slices of a named axis, stacked on a new axis, or laid one after the other where ``tiled``.

    Parameters
    ----------
    x : tree of arrays
    axis_name : name or tuple of names
    axis_index_groups : sequence of sequences of int, optional
        Slices gather from their own group only.
    axis : int
        Where the slices are put.
    tiled : bool
    to : {"varying", "invarying"}
        Within ``shard_map``, what types tell of the result: that devices may have different ones, or all the same.

    Raises
    ------
    ArgumentError
        ``to`` is another word.
    GapError
        ``to`` is "reduced", as only axes of explicit meshes can be.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.vmap(lambda x: portax.lax.all_gather(x, "i"), axis_name="i")(pnp.arange(2.0)).tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    if to == "reduced":
        raise GapError(
            wrong="all_gather was asked for a reduced result, which only axes of explicit meshes can be",
            fix='Give "varying" or "invarying"',
        )
    if to not in ("varying", "invarying"):
        raise ArgumentError(wrong=f"all_gather knows no kind {to!r}", fix='Give "varying" or "invarying"')
    names = as_names(axis_name)
    groups = groups_of("all_gather", axis_index_groups, names)
    if groups is not None and to == "invarying":
        raise ArgumentError(
            wrong="all_gather was asked for what all devices have alike, and given axis_index_groups",
            fix='Leave one of them out: what is gathered in groups is "varying"',
        )
    size = length_of(names, groups)

    def gather(leaf: Any) -> Any:
        leaf = as_operand(leaf, "all_gather")
        params = {
            "all_gather_dimension": axis % (leaf.ndim + (not tiled)), "axis_name": names, "axis_size": size,
            "tiled": bool(tiled),
        }  # fmt: skip
        if to == "invarying":
            return p.all_gather_invariant(leaf, **params)
        return p.all_gather(leaf, axis_index_groups=groups, **params)

    return tree.tree_map(gather, x)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Slices sent along a named axis from source to target; a slice nobody sends to gets zeros.

    Parameters
    ----------
    x : tree of arrays
    axis_name : name or tuple of names
        Slices along several axes are numbered in the order in which these are in scope, outermost slowest, whatever
        the order of the names.
    perm : sequence of (source, target)

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> send = portax.vmap(lambda x: portax.lax.ppermute(x, "i", [(0, 1), (1, 2)]), axis_name="i")
    >>> send(pnp.array([1.0, 2.0, 3.0])).tolist()
    [0.0, 1.0, 2.0]
    """
    pairs = tuple((int(i), int(j)) for i, j in perm)
    names = as_names(axis_name)
    if len(names) > 1:  # slices are numbered in the order of the mesh, as in JAX
        scope = [name for name, _ in state.axes]
        names = tuple(sorted(names, key=lambda name: scope.index(name) if name in scope else -1))
    return tree.tree_map(lambda leaf: p.ppermute(as_operand(leaf, "ppermute"), axis_name=names, perm=pairs), x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Slices in another order: slice ``i`` gets the value of ``perm[i]``.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> shuffle = portax.vmap(lambda x: portax.lax.pshuffle(x, "i", [2, 0, 1]), axis_name="i")
    >>> shuffle(pnp.array([1.0, 2.0, 3.0])).tolist()
    [3.0, 1.0, 2.0]
    """
    return ppermute(x, axis_name, [(source, target) for target, source in enumerate(perm)])


def all_to_all(
    x: Any, axis_name: Any, split_axis: int, concat_axis: int, *, axis_index_groups: Any = None, tiled: bool = False
) -> Any:
    """Slices exchange parts along a named axis.

    Parameters
    ----------
    x : tree of arrays
    split_axis, concat_axis : int
        Where the parts are cut from, and where they are put.
    tiled : bool
        The split axis is cut into as many parts as there are slices, instead of being as long as there are slices.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> f = portax.vmap(lambda x: portax.lax.all_to_all(x, "i", 0, 0), axis_name="i")
    >>> f(pnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    names = as_names(axis_name)
    groups = groups_of("all_to_all", axis_index_groups, names)
    size = length_of(names, groups)
    # As JAX writes it: one name stands by itself.
    along = {"axis_name": names if len(names) != 1 else names[0], "axis_index_groups": groups}

    def exchange(leaf: Any) -> Any:
        leaf = as_operand(leaf, "all_to_all")
        s, c = split_axis % leaf.ndim, concat_axis % leaf.ndim
        if not tiled:
            return p.all_to_all(leaf, split_axis=s, concat_axis=c, **along)
        shape = leaf.shape
        parts = p.reshape(leaf, new_sizes=(*shape[:s], size, shape[s] // size, *shape[s + 1 :]), dimensions=None)
        out = p.all_to_all(parts, split_axis=s, concat_axis=c, **along)
        wide = aval_of(out).shape
        return p.reshape(out, new_sizes=(*wide[:c], wide[c] * wide[c + 1], *wide[c + 2 :]), dimensions=None)

    return tree.tree_map(exchange, x)


def psum_scatter(
    x: Any, axis_name: Any, *, scatter_dimension: int = 0, axis_index_groups: Any = None, tiled: bool = False
) -> Any:
    """The sum over the slices of a named axis, of which each slice gets its share.

    Parameters
    ----------
    x : tree of arrays
    axis_name : hashable
    scatter_dimension : int
        The axis that is shared out.
    tiled : bool
        The axis is cut into as many pieces as there are slices, instead of being as long as there are slices, and gone.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> f = portax.vmap(lambda x: portax.lax.psum_scatter(x, "i"), axis_name="i")
    >>> f(pnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [4.0, 6.0]
    """
    names = as_names(axis_name)
    groups = groups_of("psum_scatter", axis_index_groups, names)
    size = length_of(names, groups)

    def scatter(leaf: Any) -> Any:
        leaf = as_operand(leaf, "psum_scatter")
        d = scatter_dimension % leaf.ndim
        return p.reduce_scatter(
            leaf, axis_name=names, scatter_dimension=d, axis_size=size, tiled=bool(tiled), axis_index_groups=groups
        )

    return tree.tree_map(scatter, x)


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """The value that slice number ``source`` of a named axis has, for all slices.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.vmap(lambda x: portax.lax.pbroadcast(x, "i", 1), axis_name="i")(pnp.arange(3.0)).tolist()
    [1.0, 1.0, 1.0]
    """
    names = as_names(axis_name)
    size = length_of(names)
    if not 0 <= source < size:
        raise ArgumentError(
            wrong=f"pbroadcast was asked for slice {source} of the axis {axis_name!r}, which has {size}",
            fix=f"Give 0 to {size - 1}",
        )

    def chosen(leaf: Any) -> Any:
        leaf = as_operand(leaf, "pbroadcast")
        here = p.eq(place_along(names), np.asarray(source, np.int32))
        mine = p.select_n(here, zeros(leaf.aval), leaf)
        return sum_over(mine, names)

    return tree.tree_map(chosen, x)


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None) -> Any:
    """A named axis and an axis of the array change places; they have one length.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> f = portax.vmap(lambda x: portax.lax.pswapaxes(x, "i", 0), axis_name="i")
    >>> f(pnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def ragged_all_to_all(
    operand: Any,
    output: Any,
    input_offsets: Any,
    send_sizes: Any,
    output_offsets: Any,
    recv_sizes: Any,
    *,
    axis_name: Any,
    axis_index_groups: Any = None,
) -> Any:
    """Slices exchange pieces of different lengths along a named axis.

    A piece is some rows of ``operand``. With ``m`` pieces for each of the ``n`` slices, piece ``k`` goes to slice
    ``k // m``.

    Parameters
    ----------
    operand : array of shape (rows, ...)
    output : array of shape (places, ...)
        What the result has where no piece arrives.
    input_offsets : int array of shape (n m,)
        At which row of ``operand`` each piece begins.
    send_sizes : int array of shape (n m,)
        How many rows it has.
    output_offsets : int array of shape (n m,)
        At which row of the receiver's ``output`` it is written.
    recv_sizes : int array of shape (n m,)
        How many rows arrive, piece by piece: what the senders said, as ``all_to_all`` brings it.
    axis_name : hashable

    Returns
    -------
    array of the shape of ``output``

    Raises
    ------
    ShapeError
        The four tables differ in length, or the length is no multiple of the number of slices.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> f = portax.vmap(
    ...     lambda x, at: portax.lax.ragged_all_to_all(
    ...         x, pnp.zeros(2), pnp.array([0, 1]), pnp.array([1, 1]), at, pnp.array([1, 1]), axis_name="i"
    ...     ),
    ...     axis_name="i",
    ... )
    >>> f(pnp.array([[1.0, 2.0], [3.0, 4.0]]), pnp.array([[0, 0], [1, 1]])).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    names = as_names(axis_name)
    groups = groups_of("ragged_all_to_all", axis_index_groups, names)
    if groups is not None:
        raise GapError(
            wrong="ragged_all_to_all was given axis_index_groups, which it does not take",
            fix="Cut the axis in two, such as two axes of a mesh, and name the one that runs within a group",
        )
    size = length_of(names)
    operand, output = as_operand(operand, "ragged_all_to_all"), as_operand(output, "ragged_all_to_all")
    tables = [as_operand(t, "ragged_all_to_all") for t in (input_offsets, send_sizes, output_offsets, recv_sizes)]
    shapes = [t.shape for t in tables]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] % size:
        raise ShapeError(
            wrong=f"ragged_all_to_all was given tables of shapes {shapes} for the {size} slices of {axis_name!r}",
            fix=f"Give four of one length, a multiple of {size}",
        )
    pieces = shapes[0][0] // size

    def of_all(x: Any) -> Any:
        return p.all_gather(
            x, all_gather_dimension=0, axis_name=names, axis_size=size, tiled=False, axis_index_groups=None
        )

    def whole(x: Any) -> Any:
        return p.convert_element_type(x, new_dtype=np.dtype(np.int32), weak_type=False, sharding=None)

    rows, begins, sizes, places = of_all(operand), *[of_all(whole(t)) for t in tables[:3]]
    me = place_along(names)
    number = p.iota(dtype=np.dtype(np.int32), shape=(output.shape[0],), dimension=0, sharding=None)
    none = np.zeros((), np.int32)
    for source in range(size):
        theirs = _at(rows, source)
        for piece in range(pieces):
            k = p.add(p.mul(me, np.asarray(pieces, np.int32)), np.asarray(piece, np.int32))
            begin, count, place = [take_slice(_at(t, source), k, 0) for t in (begins, sizes, places)]
            row = p.sub(number, place)
            arrives = p.and_(p.ge(row, none), p.lt(row, count))
            last = np.asarray(max(theirs.shape[0] - 1, 0), np.int32)
            taken = index_take(theirs, [p.clamp(none, p.add(row, begin), last)], (0,))
            spread = p.broadcast_in_dim(arrives, shape=output.shape, broadcast_dimensions=(0,), sharding=None)
            output = p.select_n(spread, output, taken)
    return output


def _at(x: Any, i: int) -> Any:
    return take_slice(x, np.asarray(i, np.int32), 0)


def psend(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """The first half of ``ppermute``: what ``precv`` of the same ``perm`` gives.

    Parameters
    ----------
    x : tree of arrays
    axis_name : hashable
    perm : sequence of (source, target)

    Returns
    -------
    a token for ``precv``
        In portax it holds what was sent.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> def turn(x):
    ...     token = portax.lax.psend(x, "i", [(0, 1)])
    ...     return portax.lax.precv(token, x, "i", [(0, 1)])
    >>> portax.vmap(turn, axis_name="i")(pnp.array([1.0, 2.0])).tolist()
    [0.0, 1.0]
    """
    return ppermute(x, axis_name, perm)


def precv(token: Any, out_shape: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """The second half of ``ppermute``: what arrives of what ``psend`` of the same ``perm`` sent.

    Parameters
    ----------
    token : what ``psend`` gave
    out_shape : tree of ShapeDtypeStruct or of arrays
        Of what arrives.
    axis_name : hashable
    perm : sequence of (source, target)

    Returns
    -------
    tree of arrays
        Zeros where nobody sends to a slice.

    Raises
    ------
    ArgumentError
        ``out_shape`` is not what was sent.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> def turn(x):
    ...     token = portax.lax.psend(x, "i", [(0, 1), (1, 0)])
    ...     return portax.lax.precv(token, x, "i", [(0, 1), (1, 0)])
    >>> portax.vmap(turn, axis_name="i")(pnp.array([1.0, 2.0])).tolist()
    [2.0, 1.0]
    """
    del perm
    length_of(as_names(axis_name))
    sent = [(x.shape, x.dtype) for x in tree.leaves(token)]
    expected = [(tuple(x.shape), x.dtype) for x in tree.leaves(out_shape)]
    if sent != expected:
        raise ArgumentError(
            wrong=f"precv expects {expected}, and {sent} was sent",
            fix="Give the shapes and dtypes that psend was given",
        )
    return token
