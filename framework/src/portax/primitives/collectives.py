"""Collectives: operations along a named axis that some enclosing transformation has mapped.

The operand is one slice; the operation consults the others. Whoever maps the axis owns it. A batching trace gives the
operation its meaning in ``batch_axis``, where the slices lie along axis 0 of one array: there each collective is
an ordinary operation on that array, and is differentiated and batched like it. Where the axis is one of a mesh of
devices, each device has its slice, and ``stablehlo`` makes them talk. Outside of its axis an operation is refused when
it is staged or run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes
from portax.core.aval import Aval, Axes, aval_of
from portax.core.jaxpr import Effects
from portax.core.primitive import Primitive, registry
from portax.core.stablehlo import divided
from portax.core.trace import state
from portax.primitives.arithmetic import mul
from portax.primitives.broadcasting import broadcast_in_dim, reduce_sum, reshape, transpose
from portax.primitives.iota import iota
from portax.primitives.reductions import reduce_max, reduce_min
from portax.primitives.slicing import concatenate
from portax.primitives.zeros import zeros


def size_of(name: Any) -> int:
    """The length of a named axis in scope.

    Raises
    ------
    ArgumentError
        No axis of that name is in scope.
    """
    for known, size in reversed(state.axes):
        if known == name:
            return size
    inside = ", ".join(repr(n) for n, _ in state.axes) or "none"
    raise errors.ArgumentError(
        wrong=f"no axis is called {name!r} here; axes in scope: {inside}",
        fix="Map the function over the axis, for example with vmap(f, axis_name=...)",
    )


def _outside(primitive: Primitive, names: Sequence[Any]) -> errors.ArgumentError:
    return errors.ArgumentError(
        wrong=f"{primitive.name} was run outside of the axis {', '.join(map(repr, names))} it works along",
        fix="Map the function over the axis, for example with vmap(f, axis_name=...)",
    )


class Collective(Primitive):
    """What all collectives share: the axis names among the parameters are their effects.

    A subclass has ``names(params)``, ``without(params, name)`` and ``along``, its meaning on stacked slices.
    """

    memoize = False

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        """Each slice gets its own, along the axes where that matters."""
        return operands | (state.alike & frozenset(self.names(params)))

    def names(self, params: dict[str, Any]) -> tuple[Any, ...]:
        """The named axes an operation with these parameters works along."""
        return (params["axis_name"],)

    def effects(self, **params: Any) -> Effects:
        for name in self.names(params):
            size_of(name)
        return frozenset(self.names(params))

    def impl(self, *operands: Any, **params: Any) -> Any:
        raise _outside(self, self.names(params))

    def reference(self, *operands: Any, **params: Any) -> Any:
        raise _outside(self, self.names(params))

    def stablehlo(self, b: Any, *values: Any, **params: Any) -> Any:
        grid, names = b.module.manual, [str(name) for name in self.names(params)]
        if grid is None or any(name not in dict(grid.axes) for name in names):
            raise _outside(self, self.names(params))
        return self.between_devices(b, grid, names, *values, **params)

    def between_devices(self, b: Any, grid: Any, names: list[str], *values: Any, **params: Any) -> Any:
        """The text where the axes are of a mesh: ``names`` are those of ``grid``."""
        raise NotImplementedError(self.name)


class Reduction(Collective):
    """Slices combined into one value that all of them get.

    Parameters
    ----------
    x : Array
    axes : tuple of axis names
    axis_index_groups : None, kept for the form of JAX's programs
    """

    combine: Any = None
    combining: str

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        """All slices get the same."""
        return operands if params.get("axis_index_groups") is not None else operands - frozenset(params["axes"])

    def names(self, params: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(params["axes"])

    def abstract(self, x: Aval, *, axes: Any, axis_index_groups: Any = None) -> Aval:
        for name in axes:
            size_of(name)
        return Aval(x.shape, x.dtype)

    def batch(self, batched: Any, x: Any, **params: Any) -> Any:
        return self.bind(x, **params)

    def batch_axis(self, trace: Any, batched: Any, x: Any, *, axes: Any, axis_index_groups: Any = None) -> Any:
        rest = tuple(a for a in axes if a != trace.axis_name)
        out = type(self).combine(x, axes=(0,)) if batched[0] else self.repeated(x, trace.size)
        if rest:
            out = self.bind(out, axes=rest, axis_index_groups=axis_index_groups)
        return out, False

    def repeated(self, x: Any, size: int) -> Any:
        """The result where every slice has the same value."""
        return x

    def between_devices(self, b: Any, grid: Any, names: list[str], x: Any, **params: Any) -> Any:
        return divided.all_reduce(b, x, grid.groups(names), self.combining)


class Psum(Reduction):
    """The sum over all slices of a named axis."""

    name = "psum"
    linear_in = (0,)
    combine = staticmethod(reduce_sum)
    combining = "add"

    def repeated(self, x: Any, size: int) -> Any:
        return mul(x, np.asarray(size).astype(aval_of(x).dtype))

    def transpose(self, ct: Any, x: Any, **params: Any) -> Any:
        return self.bind(ct, **params)


class PsumInvariant(Psum):
    """The sum over all slices along mesh axes of which types tell that all devices have it alike.

    Parameters
    ----------
    x : Array
    axes : tuple of axis names
    """

    name = "psum_invariant"

    def transpose(self, ct: Any, x: Any, *, axes: Any, axis_index_groups: Any = None) -> Any:
        return pvary(ct, axes=axes)


class Pvary(Collective):
    """The operand itself, as a value that may differ from device to device along mesh axes.

    Parameters
    ----------
    x : Array
    axes : tuple of axis names
    """

    name = "pvary"
    linear_in = (0,)

    def names(self, params: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(params["axes"])

    def abstract(self, x: Aval, *, axes: Any) -> Aval:
        return x

    def transpose(self, ct: Any, x: Any, *, axes: Any) -> Any:
        # Where types tell, whoever collects cotangents adds up what devices have parts of.
        return ct if state.alike.issuperset(axes) else psum(ct, axes=axes, axis_index_groups=None)

    def batch(self, batched: Any, x: Any, **params: Any) -> Any:
        return self.bind(x, **params)

    def batch_axis(self, trace: Any, batched: Any, x: Any, *, axes: Any) -> Any:
        rest = tuple(a for a in axes if a != trace.axis_name)
        return self.bind(x, axes=rest) if rest else x, batched[0]

    def between_devices(self, b: Any, grid: Any, names: list[str], x: Any, **params: Any) -> Any:
        return x


class Pmax(Reduction):
    """The greatest over all slices of a named axis."""

    name = "pmax"
    combine = staticmethod(reduce_max)
    combining = "maximum"


class Pmin(Reduction):
    """The least over all slices of a named axis."""

    name = "pmin"
    combine = staticmethod(reduce_min)
    combining = "minimum"


class AxisIndex(Collective):
    """The number of this slice along a named axis.

    Parameters
    ----------
    axis_name : hashable

    Returns
    -------
    Array of int32, shape ()
    """

    name = "axis_index"

    def abstract(self, *, axis_name: Any) -> Aval:
        size_of(axis_name)
        return Aval((), dtypes.int32)

    def batch_axis(self, trace: Any, batched: Any, *, axis_name: Any) -> Any:
        return iota(dtype=dtypes.int32, shape=(trace.size,), dimension=0, sharding=None), True

    def between_devices(self, b: Any, grid: Any, names: list[str], **params: Any) -> Any:
        return divided.place(b, grid, names)


class AllGather(Collective):
    """All slices of a named axis, stacked on a new axis or, ``tiled``, laid one after the other along one.

    Parameters
    ----------
    x : Array
    all_gather_dimension : int
    axis_name : hashable
    axis_size : int
    tiled : bool
    """

    name = "all_gather"

    def abstract(self, x: Aval, *, all_gather_dimension: int, axis_name: Any, axis_size: int, tiled: bool) -> Aval:
        d, shape = all_gather_dimension, list(x.shape)
        if tiled:
            shape[d] *= axis_size
        else:
            shape.insert(d, axis_size)
        return Aval(tuple(shape), x.dtype)

    linear_in = (0,)

    def transpose(
        self, ct: Any, x: Any, *, all_gather_dimension: int, axis_name: Any, axis_size: int, tiled: bool
    ) -> Any:
        return reduce_scatter(
            ct, axis_name=axis_name, scatter_dimension=all_gather_dimension, axis_size=axis_size, tiled=tiled
        )

    def batch(self, batched: Any, x: Any, *, all_gather_dimension: int, **params: Any) -> Any:
        return self.bind(x, all_gather_dimension=all_gather_dimension + 1, **params)

    def batch_axis(
        self,
        trace: Any,
        batched: Any,
        x: Any,
        *,
        all_gather_dimension: int,
        axis_name: Any,
        axis_size: int,
        tiled: bool,
    ) -> Any:
        d = all_gather_dimension
        if not batched[0]:
            aval = aval_of(x)
            x = broadcast_in_dim(x, shape=(axis_size, *aval.shape), broadcast_dimensions=tuple(range(1, aval.ndim + 1)))
        ndim = aval_of(x).ndim
        order = (*range(1, d + 1), 0, *range(d + 1, ndim))
        out = transpose(x, permutation=order)
        if tiled:
            shape = aval_of(out).shape
            out = reshape(out, new_sizes=(*shape[:d], shape[d] * shape[d + 1], *shape[d + 2 :]), dimensions=None)
        return out, False

    def between_devices(
        self, b: Any, grid: Any, names: list[str], x: Any, *, all_gather_dimension: int, tiled: bool, **params: Any
    ) -> Any:
        d = all_gather_dimension
        if not tiled:
            x = b.reshape(x, (*x.shape[:d], 1, *x.shape[d:]))
        return divided.all_gather(b, x, grid.groups(names), d)


class AllGatherInvariant(AllGather):
    """All slices along a mesh axis, as a value of which types tell that all devices have it alike.

    Parameters
    ----------
    x : Array
    all_gather_dimension : int
    axis_name : hashable
    axis_size : int
    tiled : bool
    """

    name = "all_gather_invariant"

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return operands - frozenset(self.names(params))

    def transpose(
        self, ct: Any, x: Any, *, all_gather_dimension: int, axis_name: Any, axis_size: int, tiled: bool
    ) -> Any:
        d = all_gather_dimension
        if tiled:
            shape = aval_of(ct).shape
            ct = reshape(ct, new_sizes=(*shape[:d], axis_size, shape[d] // axis_size, *shape[d + 1 :]), dimensions=None)
        return take_slice(ct, axis_index(axis_name=axis_name), d)


class ReduceScatter(Collective):
    """The sum over all slices of a named axis, of which each slice gets its share.

    Parameters
    ----------
    x : Array, whose axis ``scatter_dimension`` is cut into as many shares as there are slices
    axis_name : hashable
    scatter_dimension : int
    axis_size : int
    tiled : bool
        Shares are pieces of the axis; otherwise the axis is as long as there are slices, and goes.
    """

    name = "reduce_scatter"
    linear_in = (0,)

    def abstract(self, x: Aval, *, axis_name: Any, scatter_dimension: int, axis_size: int, tiled: bool) -> Aval:
        size_of(axis_name)
        d, shape = scatter_dimension, list(x.shape)
        if shape[d] % axis_size or not (tiled or shape[d] == axis_size):
            raise errors.ShapeError(
                wrong=f"psum_scatter shares out axis {d} of {x} among the {axis_size} slices of {axis_name!r}",
                fix=f"Make that axis of length {axis_size}, or with tiled=True of a multiple of it",
            )
        if tiled:
            shape[d] //= axis_size
        else:
            del shape[d]
        return Aval(tuple(shape), x.dtype)

    def transpose(self, ct: Any, x: Any, *, axis_name: Any, scatter_dimension: int, axis_size: int, tiled: bool) -> Any:
        return all_gather(
            ct, all_gather_dimension=scatter_dimension, axis_name=axis_name, axis_size=axis_size, tiled=tiled
        )

    def batch(self, batched: Any, x: Any, *, scatter_dimension: int, **params: Any) -> Any:
        return self.bind(x, scatter_dimension=scatter_dimension + 1, **params)

    def batch_axis(
        self, trace: Any, batched: Any, x: Any, *, axis_name: Any, scatter_dimension: int, axis_size: int, tiled: bool
    ) -> Any:
        d = scatter_dimension
        aval = aval_of(x)
        total = reduce_sum(x, axes=(0,)) if batched[0] else mul(x, np.asarray(axis_size).astype(aval.dtype))
        shape = aval_of(total).shape
        cut = reshape(total, new_sizes=(*shape[:d], axis_size, shape[d] // axis_size, *shape[d + 1 :]), dimensions=None)
        order = (d, *[i for i in range(len(shape) + 1) if i != d])
        out = transpose(cut, permutation=order)
        if not tiled:
            out = reshape(out, new_sizes=(axis_size, *shape[:d], *shape[d + 1 :]), dimensions=None)
        return out, True

    def between_devices(
        self, b: Any, grid: Any, names: list[str], x: Any, *, scatter_dimension: int, tiled: bool, **params: Any
    ) -> Any:
        out = divided.reduce_scatter(b, x, grid.groups(names), scatter_dimension, "add")
        if not tiled:
            out = b.reshape(out, (*out.shape[:scatter_dimension], *out.shape[scatter_dimension + 1 :]))
        return out


class Ppermute(Collective):
    """Slices sent along a named axis: slice ``j`` gets the value of ``i`` for each ``(i, j)`` in ``perm``, others 0.

    Parameters
    ----------
    x : Array
    axis_name : hashable
    perm : tuple of (int, int)
    """

    name = "ppermute"
    linear_in = (0,)

    def abstract(self, x: Aval, *, axis_name: Any, perm: Any) -> Aval:
        size = size_of(axis_name)
        sources, targets = [i for i, _ in perm], [j for _, j in perm]
        if len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
            raise errors.ArgumentError(
                wrong=f"ppermute sends twice from or to one slice: {tuple(perm)}",
                fix="Name each source and target once",
            )
        if any(not 0 <= k < size for k in (*sources, *targets)):
            raise errors.ArgumentError(
                wrong=f"ppermute names slices outside of the axis {axis_name!r} of length {size}: {tuple(perm)}",
                fix=f"Give numbers from 0 to {size - 1}",
            )
        return Aval(x.shape, x.dtype)

    def transpose(self, ct: Any, x: Any, *, axis_name: Any, perm: Any) -> Any:
        return self.bind(ct, axis_name=axis_name, perm=tuple((j, i) for i, j in perm))

    def batch(self, batched: Any, x: Any, **params: Any) -> Any:
        return self.bind(x, **params)

    def batch_axis(self, trace: Any, batched: Any, x: Any, *, axis_name: Any, perm: Any) -> Any:
        aval = aval_of(x)
        self.abstract(aval, axis_name=axis_name, perm=perm)  # refuses what makes no sense
        if not batched[0]:
            x = broadcast_in_dim(
                x, shape=(trace.size, *aval.shape), broadcast_dimensions=tuple(range(1, aval.ndim + 1))
            )
            aval = aval_of(x)
        source = {j: i for i, j in perm}
        nothing = zeros(Aval((1, *aval.shape[1:]), aval.dtype))
        rows = [_row(x, source[j]) if j in source else nothing for j in range(trace.size)]
        return concatenate(*rows, dimension=0), True

    def between_devices(self, b: Any, grid: Any, names: list[str], x: Any, *, perm: Any, **params: Any) -> Any:
        groups = grid.groups(names)
        pairs = [(group[i], group[j]) for group in groups for i, j in perm]
        return divided.collective_permute(b, x, np.array(pairs, np.int64).reshape(-1, 2))


class AllToAll(Collective):
    """Slices exchange parts: part ``k`` of slice ``i`` becomes part ``i`` of slice ``k``.

    Parameters
    ----------
    x : Array, axis ``split_axis`` as long as the named axis
    axis_name : hashable
    split_axis, concat_axis : int
    """

    name = "all_to_all"
    linear_in = (0,)

    def abstract(self, x: Aval, *, axis_name: Any, split_axis: int, concat_axis: int) -> Aval:
        size = size_of(axis_name)
        if x.shape[split_axis] != size:
            raise errors.ShapeError(
                wrong=f"all_to_all splits axis {split_axis} of {x} among the {size} slices of {axis_name!r}",
                fix=f"Make that axis of length {size}",
            )
        rest = [n for d, n in enumerate(x.shape) if d != split_axis]
        rest.insert(concat_axis, size)
        return Aval(tuple(rest), x.dtype)

    def transpose(self, ct: Any, x: Any, *, axis_name: Any, split_axis: int, concat_axis: int) -> Any:
        return self.bind(ct, axis_name=axis_name, split_axis=concat_axis, concat_axis=split_axis)

    def batch(self, batched: Any, x: Any, *, axis_name: Any, split_axis: int, concat_axis: int) -> Any:
        return self.bind(x, axis_name=axis_name, split_axis=split_axis + 1, concat_axis=concat_axis + 1)

    def batch_axis(self, trace: Any, batched: Any, x: Any, *, axis_name: Any, split_axis: int, concat_axis: int) -> Any:
        aval = aval_of(x)
        if not batched[0]:
            x = broadcast_in_dim(
                x, shape=(trace.size, *aval.shape), broadcast_dimensions=tuple(range(1, aval.ndim + 1))
            )
        ndim = aval_of(x).ndim
        rest = [d for d in range(1, ndim) if d != split_axis + 1]
        rest.insert(concat_axis, 0)
        return transpose(x, permutation=(split_axis + 1, *rest)), True

    def between_devices(
        self, b: Any, grid: Any, names: list[str], x: Any, *, split_axis: int, concat_axis: int, **params: Any
    ) -> Any:
        out = divided.all_to_all(b, x, grid.groups(names), split_axis, split_axis)
        order = [d for d in range(x.ndim) if d != split_axis]
        order.insert(concat_axis, split_axis)
        return b.transpose(out, order)


def _row(x: Any, i: int) -> Any:
    shape = aval_of(x).shape
    return registry["slice"](
        x, start_indices=(i,) + (0,) * (len(shape) - 1), limit_indices=(i + 1, *shape[1:]), strides=None
    )


def take_slice(x: Any, i: Any, axis: int) -> Any:
    """The slice of ``x`` at a traced place along ``axis``, without the axis."""
    shape = aval_of(x).shape
    zero = np.zeros((), np.int32)
    starts = [i if d == axis else zero for d in range(len(shape))]
    sizes = tuple(1 if d == axis else n for d, n in enumerate(shape))
    return registry["squeeze"](registry["dynamic_slice"](x, *starts, slice_sizes=sizes), dimensions=(axis,))


psum = registry.add(Psum())
psum_invariant = registry.add(PsumInvariant())
pvary = registry.add(Pvary())
pmax = registry.add(Pmax())
pmin = registry.add(Pmin())
axis_index = registry.add(AxisIndex())
all_gather = registry.add(AllGather())
all_gather_invariant = registry.add(AllGatherInvariant())
reduce_scatter = registry.add(ReduceScatter())
ppermute = registry.add(Ppermute())
all_to_all = registry.add(AllToAll())
