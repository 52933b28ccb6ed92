"""Programs on several devices as text: meshes, how values are divided over them, and what devices say to each other.

Two worlds. Outside of a manual region a value is a whole array, and an annotation says how it lies on the devices; the
compiler divides the work. Inside (``manual_computation``) a value is one device's part, and collectives name the groups
of devices that exchange parts. Invariant: a collective is written inside of a manual region only, with a channel and
with global device numbers; XLA ends the process otherwise.

The dialect is Shardy's (``sdy``).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.stablehlo.emitter import as_values
from portax.core.stablehlo.module import Builder, Module
from portax.core.stablehlo.types import Value, is_wide, joined_types, type_of

Axes = tuple[tuple[str, int], ...]
Entry = tuple[str, ...] | None


class _Key:
    """What a mesh is known by. Hashed once: a program asks for its mesh for every value, and there may be thousands of
    devices in it."""

    __slots__ = ("_hash", "axes", "order")

    def __init__(self, axes: Axes, order: tuple[int, ...]) -> None:
        self.axes, self.order = axes, order
        self._hash = hash((axes, order))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, _Key) and (self._hash, self.axes, self.order) == (other._hash, other.axes, other.order)
        )

    def __hash__(self) -> int:
        return self._hash


@dataclasses.dataclass(frozen=True)
class Grid:
    """Devices in a grid with named axes, as the text of a program knows them.

    Attributes
    ----------
    axes : tuple of (name, size)
    order : tuple of int
        Numbers of the program's devices in the row-major order of the grid.
    free : tuple of str
        Within a manual region, the axes along which the compiler divides the work there.
    """

    axes: Axes
    order: tuple[int, ...]
    free: tuple[str, ...] = ()

    @functools.cached_property
    def key(self) -> _Key:
        """Equal for grids of the same axes and order, whatever is free."""
        return _Key(self.axes, self.order)

    @functools.cached_property
    def plain(self) -> bool:
        """Whether the program's devices are in the order of the grid."""
        return self.order == tuple(range(len(self.order)))

    def groups(self, names: Sequence[str]) -> np.ndarray:
        """The devices that differ along the axes ``names`` only, a group to a row, in the order of those axes."""
        known = [name for name, _ in self.axes]
        grid = np.asarray(self.order).reshape([size for _, size in self.axes])
        inner = [known.index(name) for name in names]
        outer = [i for i in range(len(known)) if i not in inner]
        count = int(np.prod([self.axes[i][1] for i in inner]))
        return grid.transpose(outer + inner).reshape(-1, count)

    def places(self, names: Sequence[str]) -> np.ndarray:
        """For each device of the program, its number within its group of ``groups``."""
        groups = self.groups(names)
        places = np.empty(groups.size, np.int32)
        places[groups] = np.arange(groups.shape[1], dtype=np.int32)
        return places


def mesh(module: Module, grid: Grid) -> str:
    """The name of a mesh in the text, declared the first time it is asked for."""
    known = module.meshes.get(grid.key)
    if known is None:
        known = module.meshes[grid.key] = "@mesh" if not module.meshes else f"@mesh_{len(module.meshes)}"
        sizes = ", ".join([f'"{name}"={size}' for name, size in grid.axes])
        ids = "" if grid.plain else f", device_ids=[{', '.join(map(str, grid.order))}]"
        module.preamble.append(f"sdy.mesh {known} = <[{sizes}]{ids}>")
    return known


def division(module: Module, grid: Grid, entries: Sequence[Entry], *, further: bool = False) -> str:
    """How a value is divided, ``<@mesh, [...]>``: what cuts each axis, None where the compiler may choose.

    ``further``: it may cut every axis by more.
    """
    more = ["?"] if further else []
    axes = ["{?}" if names is None else "{" + ", ".join([*[f'"{n}"' for n in names], *more]) + "}" for names in entries]
    return f"<{mesh(module, grid)}, [{', '.join(axes)}]>"


def padded(entries: Sequence[Entry], dtype: Any) -> list[Entry]:
    """A division of an array as one of what the compiler stores: keys of 128 bits have an axis more, which is whole."""
    return [*entries, ()] if is_wide(dtype) else list(entries)


def attribute(module: Module, grid: Grid, entries: Sequence[Entry]) -> str:
    """The same as an attribute of an argument or a result."""
    return f"sdy.sharding = #sdy.sharding{division(module, grid, entries)}"


def constraint(b: Builder, x: Value, grid: Grid, entries: Sequence[Entry]) -> Value:
    """Append the wish that ``x`` be divided so."""
    how = division(b.module, grid, padded(entries, x.dtype))
    return b.emit(x.aval, f"sdy.sharding_constraint {x.name} {how} : {x.type}")


def manual_computation(
    b: Builder,
    grid: Grid,
    manual: Sequence[str],
    operands: Sequence[Value],
    ins: Sequence[Sequence[Entry]],
    part_avals: Sequence[Aval],
    outs: Sequence[Sequence[Entry]],
    result_avals: Sequence[Aval],
    body: Callable[..., Any],
) -> tuple[Value, ...]:
    """Append a region that each device runs on its parts of the operands.

    Parameters
    ----------
    b : Builder
    grid : Grid
    manual : sequence of str
        The axes of the grid along which the region sees parts; along others the compiler divides the work.
    operands : sequence of Value
    ins, outs : a division for each operand and result
    part_avals : sequence of Aval
        Of the region's arguments.
    result_avals : sequence of Aval
        Of the whole results.
    body : callable
        ``body(b, *parts) -> parts``
    """
    module, within, order = b.module, body, b.order
    if order is not None:  # of side effects: each device has its own, which it begins with what came before
        operands, ins, part_avals = [*operands, order], [*ins, ()], [*part_avals, order.aval]
        outs, result_avals = [*outs, ()], [*result_avals, order.aval]
        body = lambda b, *parts: b.in_order(parts[-1], lambda: within(b, *parts[:-1]))
    saved = module.manual
    left = [name for name, _ in grid.axes] if saved is None else saved.free
    module.manual = dataclasses.replace(grid, free=tuple([name for name in left if name not in manual]))
    try:
        text, _ = b.region(part_avals, body)
    finally:
        module.manual = saved
    # `region` begins with the arguments of a block and ends in StableHLO's return; this region has its own forms.
    # Without arguments it names no block; one that is named then is that of a region within.
    if part_avals:
        arguments, _, lines = text.partition("^bb0(")[2].partition("):\n")
    else:
        arguments, lines = "", text.partition("{\n")[2]
    kept, _, returned = lines.rpartition("stablehlo.return")
    # The specs speak of the manual axes alone: by the others, values stay cut as the compiler has them.
    further = len(manual) < len(grid.axes)
    listed, given = (
        ", ".join([division(module, grid, padded(e, a.dtype), further=further) for e, a in zip(es, avals, strict=True)])
        for es, avals in ((ins, part_avals), (outs, result_avals))
    )
    axes = ", ".join([f'"{name}"' for name in manual])
    results = b.emit_many(
        result_avals,
        f"sdy.manual_computation({', '.join([v.name for v in operands])}) in_shardings=[{listed}] "
        f"out_shardings=[{given}] manual_axes={{{axes}}} ({arguments}) {{\n{kept}sdy.return{returned} : "
        f"({joined_types(operands)}) -> ({', '.join([type_of(a) for a in result_avals])})",
    )
    if order is None:
        return results
    b.order = results[-1]
    return results[:-1]


# -- collectives ----------------------------------------------------------------------------------------------------


def _dense(groups: np.ndarray) -> str:
    text = groups.tolist() if groups.size else ""
    return f"dense<{text}> : tensor<{groups.shape[0]}x{groups.shape[1]}xi64>"


def _channel(b: Builder) -> str:
    b.module.channels += 1
    return f"channel_handle = #stablehlo.channel_handle<handle = {b.module.channels}, type = 1>"


def all_reduce(b: Builder, x: Value, groups: np.ndarray, combine: str) -> Value:
    """Append the combination (``"add"``, ``"maximum"``, ...) of the parts of each group."""
    scalar = Aval((), x.dtype)
    text, _ = b.region([scalar, scalar], lambda b, x, y: b.binary(combine, x, y))
    words = f"{_channel(b)}, replica_groups = {_dense(groups)}, use_global_device_ids"
    [out] = b.generic("stablehlo.all_reduce", [x], [Aval(x.shape, x.dtype)], words, [text])
    return out


def all_gather(b: Builder, x: Value, groups: np.ndarray, axis: int) -> Value:
    """Append the parts of each group, laid one after the other along ``axis``."""
    shape = list(x.shape)
    shape[axis] *= groups.shape[1]
    words = f"all_gather_dim = {axis} : i64, {_channel(b)}, replica_groups = {_dense(groups)}, use_global_device_ids"
    [out] = b.generic("stablehlo.all_gather", [x], [Aval(tuple(shape), x.dtype)], words)
    return out


def reduce_scatter(b: Builder, x: Value, groups: np.ndarray, axis: int, combine: str) -> Value:
    """Append the combination of the parts of each group, of which each device gets its share of ``axis``."""
    shape = list(x.shape)
    shape[axis] //= groups.shape[1]
    scalar = Aval((), x.dtype)
    text, _ = b.region([scalar, scalar], lambda b, x, y: b.binary(combine, x, y))
    words = f"{_channel(b)}, replica_groups = {_dense(groups)}, scatter_dimension = {axis} : i64, use_global_device_ids"
    [out] = b.generic("stablehlo.reduce_scatter", [x], [Aval(tuple(shape), x.dtype)], words, [text])
    return out


def all_to_all(b: Builder, x: Value, groups: np.ndarray, split: int, joined: int) -> Value:
    """Append the exchange of shares: each device's cuts of axis ``split`` become pieces of axis ``joined``."""
    n, shape = groups.shape[1], list(x.shape)
    shape[split] //= n
    shape[joined] *= n
    words = (
        f"{_channel(b)}, concat_dimension = {joined} : i64, replica_groups = {_dense(groups)}, "
        f"split_count = {n} : i64, split_dimension = {split} : i64"
    )
    [out] = as_values(b.generic("stablehlo.all_to_all", [x], [Aval(tuple(shape), x.dtype)], words))
    return out


def collective_permute(b: Builder, x: Value, pairs: np.ndarray) -> Value:
    """Append the sending of parts from device to device; who gets nothing has zeros."""
    words = f"{_channel(b)}, source_target_pairs = {_dense(pairs)}"
    [out] = b.generic("stablehlo.collective_permute", [x], [Aval(x.shape, x.dtype)], words)
    return out


def place(b: Builder, grid: Grid, names: Sequence[str]) -> Value:
    """Append the number of the device, int32, within its group along the axes ``names``."""
    if grid.free:  # only where every axis is manual is a program one device's: a region within the region
        [here] = manual_computation(b, grid, grid.free, (), (), (), [()], [Aval((), np.dtype(np.int32))],
                                    lambda b: [place(b, b.module.manual, names)])  # fmt: skip
        return here
    number = b.convert(_partition_id(b), np.dtype(np.int32))
    return b.reshape(b.dynamic_slice(b.constant(grid.places(names)), [number], [1]), ())


def _partition_id(b: Builder) -> Value:
    return b.emit(Aval((), np.dtype(np.uint32)), "stablehlo.partition_id : tensor<ui32>")
