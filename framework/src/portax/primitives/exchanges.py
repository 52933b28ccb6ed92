"""Exchanges along named axes: slices gathered, sums shared out, slices sent on, parts swapped.

They are collectives (``portax.primitives.collectives``) whose results differ from slice to slice, or hold all slices.
The family is closed under transposition: what is gathered comes back as a sum that is shared out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import errors
from portax.core.aval import Aval, Axes, aval_of
from portax.core.primitive import registry
from portax.core.stablehlo import divided
from portax.primitives.arithmetic import mul
from portax.primitives.broadcasting import reduce_sum, reshape, squeeze, transpose
from portax.primitives.collectives import Collective, grouped, length_of, place_along, row, size_of, stacked, take_slice
from portax.primitives.comparison import select_n
from portax.primitives.slicing import concatenate
from portax.primitives.zeros import zeros


def _cut(x: Any, axis: int, *sizes: int) -> Any:
    """One axis as several, which the last of these sizes follows."""
    shape = aval_of(x).shape
    rest = shape[axis] // int(np.prod(sizes))
    return reshape(x, new_sizes=(*shape[:axis], *sizes, rest, *shape[axis + 1 :]), dimensions=None)


def _joined(x: Any, axis: int, count: int = 2) -> Any:
    """``count`` axes as one."""
    shape = aval_of(x).shape
    whole = int(np.prod(shape[axis : axis + count]))
    return reshape(x, new_sizes=(*shape[:axis], whole, *shape[axis + count :]), dimensions=None)


def _moved(x: Any, source: int, target: int) -> Any:
    order = [d for d in range(aval_of(x).ndim) if d != source]
    order.insert(target, source)
    return x if source == target else transpose(x, permutation=tuple(order))


class AllGather(Collective):
    """All slices of named axes, stacked on a new axis or, ``tiled``, laid one after the other along one.

    Parameters
    ----------
    x : Array
    all_gather_dimension : int
    axis_name : name or tuple of names
    axis_size : int, how many slices are gathered
    tiled : bool
    axis_index_groups : tuple of tuples of int, or None
        Slices gather from their own group only.
    """

    name = "all_gather"
    linear_in = (0,)
    shown_as_none = ("axis_index_groups",)

    def abstract(
        self, x: Aval, *, all_gather_dimension: int, axis_name: Any, axis_size: int, tiled: bool,
        axis_index_groups: Any = None,
    ) -> Aval:  # fmt: skip
        d, shape = all_gather_dimension, list(x.shape)
        if tiled:
            shape[d] *= axis_size
        else:
            shape.insert(d, axis_size)
        return Aval(tuple(shape), x.dtype)

    def transpose(self, ct: Any, x: Any, *, all_gather_dimension: int, **params: Any) -> Any:
        return reduce_scatter(ct, scatter_dimension=all_gather_dimension, **params)

    def batch(self, batched: Any, x: Any, *, all_gather_dimension: int, **params: Any) -> Any:
        return self.bind(x, all_gather_dimension=all_gather_dimension + 1, **params)

    def along(
        self, x: Any, many: bool, size: int, *, all_gather_dimension: int, tiled: bool, **params: Any
    ) -> tuple[Any, bool]:
        out = _moved(stacked(x, many, size), 0, all_gather_dimension)
        return _joined(out, all_gather_dimension) if tiled else out, False

    def by_axis(self, x: Any, names: tuple[Any, ...], *, all_gather_dimension: int, tiled: bool, **params: Any) -> Any:
        d = all_gather_dimension
        if not tiled:
            shape = aval_of(x).shape
            x = reshape(x, new_sizes=(*shape[:d], 1, *shape[d:]), dimensions=None)
        for name in reversed(names):
            x = self.bind(x, all_gather_dimension=d, axis_name=name, axis_size=size_of(name), tiled=True)
        return x

    def between_devices(
        self, b: Any, grid: Any, names: list[str], x: Any, *, all_gather_dimension: int, tiled: bool,
        axis_index_groups: Any = None, **params: Any,
    ) -> Any:  # fmt: skip
        d = all_gather_dimension
        if not tiled:
            x = b.reshape(x, (*x.shape[:d], 1, *x.shape[d:]))
        return divided.all_gather(b, x, grouped(grid.groups(names), axis_index_groups), d)


class AllGatherInvariant(AllGather):
    """All slices along mesh axes, as a value of which types tell that all devices have it alike.

    Parameters
    ----------
    x : Array
    all_gather_dimension : int
    axis_name : name or tuple of names
    axis_size : int
    tiled : bool
    """

    name = "all_gather_invariant"
    shown_as_none = ()

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return operands - frozenset(self.names(params))

    def transpose(
        self, ct: Any, x: Any, *, all_gather_dimension: int, axis_name: Any, axis_size: int, tiled: bool
    ) -> Any:
        d = all_gather_dimension
        return take_slice(_cut(ct, d, axis_size) if tiled else ct, place_along(axis_name), d)


class ReduceScatter(Collective):
    """The sum over all slices of named axes, of which each slice gets its share.

    Parameters
    ----------
    x : Array, whose axis ``scatter_dimension`` is cut into as many shares as there are slices
    axis_name : name or tuple of names
    scatter_dimension : int
    axis_size : int
    tiled : bool
        Shares are pieces of the axis; otherwise the axis is as long as there are slices, and goes.
    axis_index_groups : tuple of tuples of int, or None
        The sum is over the slices of a group, which share it.
    """

    name = "reduce_scatter"
    linear_in = (0,)
    shown_as_none = ("axis_index_groups",)

    def abstract(
        self, x: Aval, *, axis_name: Any, scatter_dimension: int, axis_size: int, tiled: bool,
        axis_index_groups: Any = None,
    ) -> Aval:  # fmt: skip
        length_of(axis_name)
        d, shape = scatter_dimension, list(x.shape)
        if shape[d] % axis_size or not (tiled or shape[d] == axis_size):
            raise errors.ShapeError(
                wrong=f"psum_scatter shares out axis {d} of {x} among the {axis_size} slices of {_said(axis_name)}",
                fix=f"Make that axis of length {axis_size}, or with tiled=True of a multiple of it",
            )
        if tiled:
            shape[d] //= axis_size
        else:
            del shape[d]
        return Aval(tuple(shape), x.dtype)

    def transpose(self, ct: Any, x: Any, *, scatter_dimension: int, **params: Any) -> Any:
        return all_gather(ct, all_gather_dimension=scatter_dimension, **params)

    def batch(self, batched: Any, x: Any, *, scatter_dimension: int, **params: Any) -> Any:
        return self.bind(x, scatter_dimension=scatter_dimension + 1, **params)

    def along(
        self, x: Any, many: bool, size: int, *, scatter_dimension: int, tiled: bool, **params: Any
    ) -> tuple[Any, bool]:
        d = scatter_dimension
        total = reduce_sum(x, axes=(0,)) if many else mul(x, np.asarray(size).astype(aval_of(x).dtype))
        out = _moved(_cut(total, d, size), d, 0)
        return out if tiled else squeeze(out, dimensions=(d + 1,)), True

    def by_axis(self, x: Any, names: tuple[Any, ...], *, scatter_dimension: int, tiled: bool, **params: Any) -> Any:
        d = scatter_dimension
        for name in names:
            x = self.bind(x, scatter_dimension=d, axis_name=name, axis_size=size_of(name), tiled=True)
        return x if tiled else squeeze(x, dimensions=(d,))

    def between_devices(
        self, b: Any, grid: Any, names: list[str], x: Any, *, scatter_dimension: int, tiled: bool,
        axis_index_groups: Any = None, **params: Any,
    ) -> Any:  # fmt: skip
        out = divided.reduce_scatter(b, x, grouped(grid.groups(names), axis_index_groups), scatter_dimension, "add")
        if not tiled:
            out = b.reshape(out, (*out.shape[:scatter_dimension], *out.shape[scatter_dimension + 1 :]))
        return out


def _said(axis_name: Any) -> str:
    """One or several axes in words."""
    return ", ".join(map(repr, axis_name)) if isinstance(axis_name, tuple) else repr(axis_name)


class Ppermute(Collective):
    """Slices sent along named axes: slice ``j`` gets the value of ``i`` for each ``(i, j)`` in ``perm``, others 0.

    Parameters
    ----------
    x : Array
    axis_name : name or tuple of names
    perm : tuple of (int, int)
    """

    name = "ppermute"
    linear_in = (0,)

    def abstract(self, x: Aval, *, axis_name: Any, perm: Any) -> Aval:
        size = length_of(axis_name)
        sources, targets = [i for i, _ in perm], [j for _, j in perm]
        if len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
            raise errors.ArgumentError(
                wrong=f"ppermute sends twice from or to one slice: {tuple(perm)}",
                fix="Name each source and target once",
            )
        if any(not 0 <= k < size for k in (*sources, *targets)):
            raise errors.ArgumentError(
                wrong=f"ppermute names slices outside of the axis {_said(axis_name)} of length {size}: {tuple(perm)}",
                fix=f"Give numbers from 0 to {size - 1}",
            )
        return Aval(x.shape, x.dtype)

    def transpose(self, ct: Any, x: Any, *, axis_name: Any, perm: Any) -> Any:
        return self.bind(ct, axis_name=axis_name, perm=tuple((j, i) for i, j in perm))

    def batch(self, batched: Any, x: Any, **params: Any) -> Any:
        return self.bind(x, **params)

    def along(self, x: Any, many: bool, size: int, *, axis_name: Any, perm: Any) -> tuple[Any, bool]:
        x = stacked(x, many, size)
        aval = aval_of(x)
        source = {j: i for i, j in perm}
        nothing = zeros(Aval((1, *aval.shape[1:]), aval.dtype))
        rows = [row(x, source[j]) if j in source else nothing for j in range(size)]
        return concatenate(*rows, dimension=0), True

    def by_axis(self, x: Any, names: tuple[Any, ...], *, axis_name: Any, perm: Any) -> Any:
        size = length_of(names)
        everything = all_gather(x, all_gather_dimension=0, axis_name=names, axis_size=size, tiled=False)
        source = {j: i for i, j in perm}
        here = place_along(names)
        chosen = take_slice(np.asarray([source.get(j, 0) for j in range(size)], np.int32), here, 0)
        arrives = take_slice(np.asarray([j in source for j in range(size)]), here, 0)
        return select_n(arrives, zeros(aval_of(x)), take_slice(everything, chosen, 0))

    def between_devices(self, b: Any, grid: Any, names: list[str], x: Any, *, perm: Any, **params: Any) -> Any:
        groups = grid.groups(names)
        pairs = [(group[i], group[j]) for group in groups for i, j in perm]
        return divided.collective_permute(b, x, np.array(pairs, np.int64).reshape(-1, 2))


class AllToAll(Collective):
    """Slices exchange parts: part ``k`` of slice ``i`` becomes part ``i`` of slice ``k``.

    Parameters
    ----------
    x : Array, axis ``split_axis`` as long as there are slices
    axis_name : name or tuple of names
    split_axis, concat_axis : int
    axis_index_groups : tuple of tuples of int, or None
        Slices exchange within their group.
    """

    name = "all_to_all"
    linear_in = (0,)
    shown_as_none = ("axis_index_groups",)

    def abstract(
        self, x: Aval, *, axis_name: Any, split_axis: int, concat_axis: int, axis_index_groups: Any = None
    ) -> Aval:
        size = length_of(axis_name, axis_index_groups)
        if x.shape[split_axis] != size:
            raise errors.ShapeError(
                wrong=f"all_to_all splits axis {split_axis} of {x} among the {size} slices of {_said(axis_name)}",
                fix=f"Make that axis of length {size}",
            )
        rest = [n for d, n in enumerate(x.shape) if d != split_axis]
        rest.insert(concat_axis, size)
        return Aval(tuple(rest), x.dtype)

    def transpose(self, ct: Any, x: Any, *, split_axis: int, concat_axis: int, **params: Any) -> Any:
        return self.bind(ct, split_axis=concat_axis, concat_axis=split_axis, **params)

    def batch(self, batched: Any, x: Any, *, split_axis: int, concat_axis: int, **params: Any) -> Any:
        return self.bind(x, split_axis=split_axis + 1, concat_axis=concat_axis + 1, **params)

    def along(
        self, x: Any, many: bool, size: int, *, split_axis: int, concat_axis: int, **params: Any
    ) -> tuple[Any, bool]:
        x = stacked(x, many, size)
        rest = [d for d in range(1, aval_of(x).ndim) if d != split_axis + 1]
        rest.insert(concat_axis, 0)
        return transpose(x, permutation=(split_axis + 1, *rest)), True

    def by_axis(self, x: Any, names: tuple[Any, ...], *, split_axis: int, concat_axis: int, **params: Any) -> Any:
        s, sizes = split_axis, [size_of(name) for name in names]
        shape = aval_of(x).shape
        x = reshape(x, new_sizes=(*shape[:s], *sizes, *shape[s + 1 :]), dimensions=None)
        for k, name in enumerate(names):
            x = self.bind(x, axis_name=name, split_axis=s + k, concat_axis=s + k)
        return _moved(_joined(x, s, len(sizes)), s, concat_axis)

    def between_devices(
        self, b: Any, grid: Any, names: list[str], x: Any, *, split_axis: int, concat_axis: int,
        axis_index_groups: Any = None, **params: Any,
    ) -> Any:  # fmt: skip
        groups = grouped(grid.groups(names), axis_index_groups)
        out = divided.all_to_all(b, x, groups, split_axis, split_axis)
        order = [d for d in range(x.ndim) if d != split_axis]
        order.insert(concat_axis, split_axis)
        return b.transpose(out, order)


all_gather = registry.add(AllGather())
all_gather_invariant = registry.add(AllGatherInvariant())
reduce_scatter = registry.add(ReduceScatter())
ppermute = registry.add(Ppermute())
all_to_all = registry.add(AllToAll())
