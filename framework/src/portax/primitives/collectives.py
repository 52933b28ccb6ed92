"""Collectives: operations along a named axis that some enclosing transformation has mapped.

The operand is one slice; the operation consults the others. Whoever maps the axis owns it. A batching trace gives the
operation its meaning in ``batch_axis``, where the slices lie along axis 0 of one array: there each collective is
an ordinary operation on that array, and is differentiated and batched like it. Where the axis is one of a mesh of
devices, each device has its slice, and ``stablehlo`` makes them talk. Outside of its axis an operation is refused when
it is staged or run.
"""

from __future__ import annotations

import math
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
from portax.primitives.arithmetic import add, mul
from portax.primitives.broadcasting import broadcast_in_dim, reduce_sum
from portax.primitives.iota import iota
from portax.primitives.reductions import reduce_max, reduce_min
from portax.primitives.slicing import concatenate, slice_


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


def names_in(axis_name: Any) -> tuple[Any, ...]:
    """The names of one or several axes."""
    return axis_name if isinstance(axis_name, tuple) else (axis_name,)


def length_of(axis_name: Any, groups: Any = None) -> int:
    """How many slices talk to each other along one or several axes, or within a group of them."""
    size = math.prod([size_of(name) for name in names_in(axis_name)])
    return size if groups is None else len(groups[0])


def place_along(axis_name: Any) -> Any:
    """The number of this slice along one or several named axes, of which the first counts slowest."""
    place: Any = None
    for name in names_in(axis_name):
        mine = axis_index(axis_name=name)
        place = mine if place is None else add(mul(place, np.asarray(size_of(name), np.int32)), mine)
    return place


def _outside(primitive: Primitive, names: Sequence[Any]) -> errors.ArgumentError:
    return errors.ArgumentError(
        wrong=f"{primitive.name} was run outside of the axis {', '.join(map(repr, names))} it works along",
        fix="Map the function over the axis, for example with vmap(f, axis_name=...)",
    )


class Collective(Primitive):
    """What all collectives share: the axis names among the parameters are their effects.

    A subclass has ``along``, its meaning on slices that are stacked, and ``by_axis``, which takes several axes one
    after the other.
    """

    memoize = False

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        """Each slice gets its own, along the axes where that matters."""
        return operands | (state.alike & frozenset(self.names(params)))

    def names(self, params: dict[str, Any]) -> tuple[Any, ...]:
        """The named axes an operation with these parameters works along."""
        return names_in(params["axis_name"])

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

    def batch_axis(self, trace: Any, batched: Any, x: Any, **params: Any) -> Any:
        names, groups = self.names(params), params.get("axis_index_groups")
        whole = aval_of(x)
        self.abstract(whole.update(shape=whole.shape[1:]) if batched[0] else whole, **params)  # refuses what is wrong
        if len(names) > 1:
            [out], [many] = trace.again(lambda y: [self.by_axis(y, names, **params)], [x], batched)
            return out, many
        if groups is not None:
            return self._in_groups(stacked(x, batched[0], trace.size), groups, params), True
        return self.along(x, batched[0], trace.size, **params)

    def along(self, x: Any, many: bool, size: int, **params: Any) -> tuple[Any, bool]:
        """``(result, whether slices differ)`` where slices are stacked along axis 0; not ``many``: all have ``x``."""
        raise NotImplementedError(self.name)

    def by_axis(self, x: Any, names: tuple[Any, ...], **params: Any) -> Any:
        """The same along several axes, with operations along one."""
        raise NotImplementedError(self.name)

    def _in_groups(self, x: Any, groups: Sequence[Sequence[int]], params: dict[str, Any]) -> Any:
        """Each group of slices among themselves."""
        params = {**params, "axis_index_groups": None}
        found: dict[int, Any] = {}
        for group in groups:
            out, many = self.along(concatenate(*[row(x, i) for i in group], dimension=0), True, len(group), **params)
            out = stacked(out, many, len(group))
            found.update((i, row(out, k)) for k, i in enumerate(group))
        return concatenate(*[found[i] for i in sorted(found)], dimension=0)


def stacked(x: Any, many: bool, size: int) -> Any:
    """Slices along axis 0, where all have ``x`` if not ``many``."""
    if many:
        return x
    aval = aval_of(x)
    return broadcast_in_dim(x, shape=(size, *aval.shape), broadcast_dimensions=tuple(range(1, aval.ndim + 1)))


def grouped(rows: np.ndarray, groups: Sequence[Sequence[int]] | None) -> np.ndarray:
    """The devices that talk to each other, a group to a row; ``rows`` are those of a whole axis. -1 fills up."""
    if groups is None:
        return rows
    longest = max(map(len, groups))
    found = [[*devices[list(group)], *[-1] * (longest - len(group))] for devices in rows for group in groups]
    return np.asarray(found, rows.dtype)


class Reduction(Collective):
    """Slices combined into one value that all of them get.

    Parameters
    ----------
    x : Array
    axes : tuple of axis names
    axis_index_groups : tuple of tuples of int, or None
        Slices combine with those of their group only; together the groups have each slice of the one axis once.
    """

    combine: Any = None
    combining: str

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        """All slices get the same, unless there are groups."""
        if params.get("axis_index_groups") is not None:
            return super().varies(operands, params)
        return operands - frozenset(params["axes"])

    def names(self, params: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(params["axes"])

    def abstract(self, x: Aval, *, axes: Any, axis_index_groups: Any = None) -> Aval:
        for name in axes:
            size_of(name)
        return Aval(x.shape, x.dtype)

    def batch(self, batched: Any, x: Any, **params: Any) -> Any:
        return self.bind(x, **params)

    def batch_axis(self, trace: Any, batched: Any, x: Any, **params: Any) -> Any:
        rest = tuple(a for a in params["axes"] if a != trace.axis_name)
        if not rest:
            return super().batch_axis(trace, batched, x, **params)
        out, _ = self.along(x, batched[0], trace.size)
        return self.bind(out, **{**params, "axes": rest}), False

    def along(self, x: Any, many: bool, size: int, **params: Any) -> tuple[Any, bool]:
        return type(self).combine(x, axes=(0,)) if many else self.repeated(x, size), False

    def repeated(self, x: Any, size: int) -> Any:
        """The result where every slice has the same value."""
        return x

    def between_devices(
        self, b: Any, grid: Any, names: list[str], x: Any, *, axis_index_groups: Any = None, **params: Any
    ) -> Any:
        return divided.all_reduce(b, x, grouped(grid.groups(names), axis_index_groups), self.combining)


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

    def batch_axis(self, trace: Any, batched: Any, *operands: Any, axis_name: Any) -> Any:
        return iota(dtype=dtypes.int32, shape=(trace.size,), dimension=0, sharding=None), True

    def between_devices(self, b: Any, grid: Any, names: list[str], **params: Any) -> Any:
        return divided.place(b, grid, names)


def row(x: Any, i: int) -> Any:
    """The slice number ``i`` of stacked ones, still along axis 0."""
    shape = aval_of(x).shape
    return slice_(x, start_indices=(i,) + (0,) * (len(shape) - 1), limit_indices=(i + 1, *shape[1:]), strides=None)


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
