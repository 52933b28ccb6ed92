"""How arrays lie on devices.

A sharding knows an ordered list of devices, and for arrays of each rank how they are cut among those (its ``tiling``).
All else (indices, shapes of parts, equivalence) follows from these two, once for all kinds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core.partition import Named, PartitionSpec, cutting, named
from portax.runtime.contract import Device, Tiling
from portax.runtime.meshes import Mesh, is_own

Index = tuple[slice, ...]


class Sharding:
    """How arrays lie on devices.

    Attributes
    ----------
    device_list : tuple of Device
        In the order of which ``tiling`` speaks.
    """

    device_list: tuple[Device, ...]
    _memory_kind: str | None = None

    def tiling(self, ndim: int) -> Tiling:
        """How arrays of ``ndim`` axes are cut."""
        raise NotImplementedError

    def check(self, shape: Sequence[int]) -> None:
        """Refuse to cut an array of that shape where its axes do not divide.

        Raises
        ------
        ShapeError
        """
        tiling = self.tiling(len(shape))
        for axis, (n, parts) in enumerate(zip(shape, tiling.parts, strict=True)):
            if n % parts:
                raise errors.ShapeError(
                    wrong=f"axis {axis} of an array of shape {tuple(shape)} is to be cut into {parts} parts by {self}, "
                    f"and {n} does not divide by it",
                    fix="Make the axis a multiple of it, or cut another axis",
                )

    def check_compatible_aval(self, aval_shape: Sequence[int]) -> None:
        """The same as ``check``, but whether axes divide."""
        self.tiling(len(aval_shape))

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of one part."""
        self.check(global_shape)
        parts = self.tiling(len(global_shape)).parts
        return tuple([n // k for n, k in zip(global_shape, parts, strict=True)])

    def devices_indices_map(self, global_shape: Sequence[int]) -> Mapping[Device, Index]:
        """For each device the part of an array of that shape it holds."""
        steps, tiling = self.shard_shape(global_shape), self.tiling(len(global_shape))
        return {
            device: tuple(
                [
                    slice(None) if k == 1 else slice(i * n, (i + 1) * n)
                    for i, n, k in zip(place, steps, tiling.parts, strict=True)
                ]
            )
            for device, place in zip(self.device_list, tiling.places(), strict=True)
        }

    def addressable_devices_indices_map(self, global_shape: Sequence[int]) -> Mapping[Device, Index]:
        """The same for the devices of this process."""
        return {d: index for d, index in self.devices_indices_map(global_shape).items() if is_own(d)}

    @property
    def device_set(self) -> set[Device]:
        """The devices."""
        return set(self.device_list)

    @property
    def num_devices(self) -> int:
        """How many devices there are."""
        return len(self.device_list)

    @property
    def addressable_devices(self) -> set[Device]:
        """The devices of this process."""
        return {d for d in self.device_list if is_own(d)}

    @property
    def has_addressable_devices(self) -> bool:
        """Whether any device is of this process."""
        return bool(self.addressable_devices)

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all devices are of this process."""
        return all([is_own(d) for d in self.device_list])

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device holds all of an array, whatever its rank."""
        raise NotImplementedError

    @property
    def memory_kind(self) -> str | None:
        """Which memory of its devices: ``"device"``, the only one there is."""
        return self._memory_kind or "device"

    def with_memory_kind(self, kind: str) -> Sharding:
        """The same in another memory of the devices.

        Raises
        ------
        ArgumentError
            The devices have no such memory.
        """
        if _memory_of(self.device_list, kind) != self._memory_kind:
            raise errors.ArgumentError(
                wrong=f"{self} was asked to be in the memory {kind!r}", fix="Use a NamedSharding, which can"
            )
        return self

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether arrays of ``ndim`` axes lie alike under both, on the same devices in the same order."""
        if self.memory_kind != other.memory_kind or self._positions() != other._positions():
            return False
        ndim = max(ndim, self._least_rank(), other._least_rank())
        mine, theirs = self.tiling(ndim), other.tiling(ndim)
        return mine.parts == theirs.parts and (mine.order == theirs.order or mine.places() == theirs.places())

    def _positions(self) -> Any:
        """What the positions in tilings count: the devices, or the places of a mesh that has none."""
        return self.device_list

    def _least_rank(self) -> int:
        """Of the arrays that can lie so."""
        return 0

    # Values: a copy of one is the one.
    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def _memory_of(devices: Sequence[Device], kind: str | None) -> str | None:
    """A kind of memory as shardings keep it: None for that of the device."""
    if kind not in (None, "device", "unpinned_host", "pinned_host"):
        raise errors.ArgumentError(
            wrong=f"no device has a memory of the kind {kind!r}",
            fix='Give "device", "pinned_host" or "unpinned_host"',
        )
    if kind is None or kind == "device":
        return None
    if not all(d.host_memory for d in devices):
        raise errors.GapError(
            wrong=f"arrays on {list(devices)} cannot be kept in the host's memory ({kind})",
            fix='Leave them in "device", or bring them to a device of the host',
        )
    return kind  # the device's memory is the host's


class NamedSharding(Sharding):
    """The axes of arrays are cut by the named axes of a mesh.

    Parameters
    ----------
    mesh : Mesh or AbstractMesh
    spec : PartitionSpec
    memory_kind : str, optional

    Raises
    ------
    ArgumentError
        The spec names an axis that the mesh does not have, or one twice.

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("data",)), P("data"))
    >>> rows.shard_shape((4, 3))
    (4, 3)
    """

    __slots__ = ("_hash", "_memory_kind", "_tilings", "_used", "mesh", "spec")

    mesh: Any
    spec: PartitionSpec

    def __init__(self, mesh: Any, spec: Any, memory_kind: str | None = None) -> None:
        if not isinstance(mesh, Named):
            raise errors.ArgumentError(
                wrong=f"NamedSharding was given {mesh!r} for a mesh", fix="Give a Mesh, as of portax.make_mesh"
            )
        if not isinstance(spec, PartitionSpec):
            raise errors.ArgumentError(
                wrong=f"NamedSharding was given {spec!r} for a spec",
                fix="Give a PartitionSpec, such as P('data', None)",
            )
        self.mesh, self.spec = mesh, spec
        self._memory_kind = _memory_of(mesh.device_list, memory_kind) if isinstance(mesh, Mesh) else memory_kind
        self._used = named(spec)
        _check_names(mesh, spec, self._used)
        self._tilings: dict[int, Tiling] = {}
        self._hash = hash((mesh, spec, self._memory_kind))

    @property
    def device_list(self) -> tuple[Device, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The devices of the mesh, in its order.

        Raises
        ------
        ArgumentError
            It is an AbstractMesh, which has none.
        """
        return tuple(self.mesh.devices.flat) if not isinstance(self.mesh, Mesh) else self.mesh.device_list

    @property
    def num_devices(self) -> int:
        """How many devices the mesh has, or is for."""
        return self.mesh.size

    @property
    def memory_kind(self) -> str | None:
        """Which memory of its devices; None where there are no devices to say."""
        return self._memory_kind or ("device" if isinstance(self.mesh, Mesh) else None)

    def _positions(self) -> Any:
        return self.mesh.device_list if isinstance(self.mesh, Mesh) else self.mesh

    def _least_rank(self) -> int:
        return len(self.spec)

    def check_compatible_aval(self, aval_shape: Sequence[int]) -> None:
        """Refuse an array of fewer axes than the spec has entries.

        Raises
        ------
        ShapeError
        """
        if len(self.spec) > len(aval_shape):
            raise self._too_long(len(aval_shape))

    def _too_long(self, ndim: int) -> errors.ShapeError:
        return errors.ShapeError(
            wrong=f"the spec {self.spec} has {len(self.spec)} entries, and the array {ndim} axes",
            fix="Give a spec no longer than the array has axes",
        )

    def tiling(self, ndim: int) -> Tiling:
        """How arrays of ``ndim`` axes are cut.

        Raises
        ------
        ShapeError
            The spec has more entries.
        """
        known = self._tilings.get(ndim)
        if known is not None:
            return known
        if len(self.spec) > ndim:
            raise self._too_long(ndim)
        if self.spec.unreduced:
            raise errors.GapError(
                wrong=f"under {self} what the devices hold must still be added up, which arrays of portax never do",
                fix="Use a spec without unreduced",
            )
        known = self._tilings[ndim] = _divided(self.mesh.shape_tuple, tuple(cutting(self.spec)), ndim)
        return known

    def check(self, shape: Sequence[int]) -> None:
        """Refuse to cut an array of that shape where its axes do not divide.

        Raises
        ------
        ShapeError
        """
        for axis, (n, parts) in enumerate(zip(shape, self.tiling(len(shape)).parts, strict=True)):
            if n % parts:
                by = " and ".join([f"{name!r} of size {self.mesh.shape[name]}" for name in cutting(self.spec)[axis]])
                raise errors.ShapeError(
                    wrong=f"axis {axis} of an array of shape {tuple(shape)} is to be cut into {parts} parts by {self} "
                    f"(by the mesh axis {by}), and {n} does not divide by it",
                    fix="Make the axis a multiple of it, or cut another axis",
                )

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device holds all of an array."""
        return not self.spec.unreduced and all(self.mesh.shape[name] == 1 for name in self._used)

    @property
    def replicated_axes(self) -> frozenset[Any]:
        """The mesh axes along which all devices hold the same."""
        return frozenset(self.mesh.axis_names) - {*self._used, *self.spec.unreduced, *self.spec.reduced}

    def update(self, **kwargs: Any) -> NamedSharding:
        """The sharding with ``mesh``, ``spec`` or ``memory_kind`` replaced."""
        fields: dict[str, Any] = {"mesh": self.mesh, "spec": self.spec, "memory_kind": self._memory_kind, **kwargs}
        return NamedSharding(**fields)

    def with_memory_kind(self, kind: str) -> NamedSharding:
        """The same in another memory of the devices."""
        return self.update(memory_kind=kind)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, NamedSharding)
            and self._hash == other._hash
            and (self.mesh, self.spec, self._memory_kind) == (other.mesh, other.spec, other._memory_kind)
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        memory = f", memory_kind={self.memory_kind}" if self.memory_kind else ""
        return f"NamedSharding(mesh={self.mesh}, spec={self.spec}{memory})"


def _check_names(mesh: Named, spec: PartitionSpec, used: Sequence[Any]) -> None:
    """Refuse a spec with an axis that the mesh does not have, or one twice."""
    for name in (*used, *spec.unreduced, *spec.reduced):
        if name not in mesh.shape:
            raise errors.ArgumentError(
                wrong=f"the spec {spec} names the axis {name!r}, and the mesh has {tuple(mesh.axis_names)}",
                fix="Use the names of the mesh's axes",
            )
    if len(set(used)) < len(used):
        twice = next(name for name in used if used.count(name) > 1)
        raise errors.ArgumentError(
            wrong=f"the spec {spec} names the mesh axis {twice!r} twice", fix="Cut one axis of the array with it"
        )
    wrong = (spec.unreduced | spec.reduced) - set(mesh.explicit_axes)
    if wrong:
        raise errors.ArgumentError(
            wrong=f"the spec {spec} has {sorted(map(str, wrong))} in unreduced or reduced, which are no Explicit axes "
            f"of {mesh}",
            fix="Leave them out",
        )


@functools.lru_cache(4096)
def _divided(shape: tuple[tuple[Any, int], ...], entries: tuple[tuple[Any, ...], ...], ndim: int) -> Tiling:
    """How the axes of a mesh of that shape cut an array of ``ndim`` axes."""
    names, sizes = [name for name, _ in shape], dict(shape)
    entries += ((),) * (ndim - len(entries))
    first = [names.index(name) for entry in entries for name in entry]
    rest = [i for i in range(len(names)) if i not in first]
    grid = np.arange(math.prod(sizes.values())).reshape(tuple(sizes.values())).transpose(first + rest)
    parts = tuple([math.prod([sizes[name] for name in entry]) for entry in entries])
    return Tiling(parts, tuple(grid.ravel().tolist()))


class SingleDeviceSharding(Sharding):
    """All of an array on one device.

    Parameters
    ----------
    device : Device
    memory_kind : str, optional
    """

    def __init__(self, device: Any, *, memory_kind: str | None = None) -> None:
        if not isinstance(device, Device):
            raise errors.ArgumentError(
                wrong=f"SingleDeviceSharding was given {device!r}", fix="Give a device, as of portax.devices()"
            )
        self.device_list, self._memory_kind = (device,), _memory_of((device,), memory_kind)

    def with_memory_kind(self, kind: str) -> SingleDeviceSharding:
        """The same in another memory of the device."""
        return SingleDeviceSharding(self.device_list[0], memory_kind=kind)

    def tiling(self, ndim: int) -> Tiling:
        """How arrays of ``ndim`` axes are cut: not at all."""
        return Tiling((1,) * ndim, (0,))

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device holds all of an array: the only one does."""
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SingleDeviceSharding) and (
            (self.device_list, self._memory_kind) == (other.device_list, other._memory_kind)
        )

    def __hash__(self) -> int:
        return hash((self.device_list, self._memory_kind))

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self.device_list[0]!r}, memory_kind={self.memory_kind})"


class GSPMDSharding(Sharding):
    """A division for which no mesh has names: what a compiler may choose for a result.

    Parameters
    ----------
    devices : sequence of Device
    tiling : Tiling
        For arrays of one rank; without parts, for arrays of any, all on every device.
    """

    def __init__(self, devices: Sequence[Device], tiling: Tiling) -> None:
        self.device_list, self._tiling = tuple(devices), tiling

    @classmethod
    def replicated(cls, devices: Sequence[Device]) -> GSPMDSharding:
        """All of an array on every device."""
        return cls(devices, Tiling((), tuple(range(len(devices)))))

    def tiling(self, ndim: int) -> Tiling:
        """How arrays of ``ndim`` axes are cut."""
        if not self._tiling.parts:
            return Tiling((1,) * ndim, self._tiling.order)
        if len(self._tiling.parts) != ndim:
            raise errors.ShapeError(
                wrong=f"{self} is for arrays of {len(self._tiling.parts)} axes, not {ndim}", fix="Use a NamedSharding"
            )
        return self._tiling

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device holds all of an array."""
        return all(n == 1 for n in self._tiling.parts)

    def _least_rank(self) -> int:
        return len(self._tiling.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GSPMDSharding) and (self.device_list, self._tiling) == (
            other.device_list, other._tiling,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.device_list, self._tiling))

    def __repr__(self) -> str:
        return f"GSPMDSharding(parts={self._tiling.parts}, devices={list(self.device_list)})"


class Shard:
    """One device's part of an array.

    Parameters
    ----------
    device : Device
    sharding : Sharding
    global_shape : tuple of int
        Of the whole array.
    data : Array, optional
        The part, on its device.
    """

    __slots__ = ("_shape", "_sharding", "data", "device")

    def __init__(self, device: Device, sharding: Sharding, global_shape: Sequence[int], data: Any = None) -> None:
        self.device, self.data = device, data
        self._sharding, self._shape = sharding, tuple(global_shape)

    @property
    def index(self) -> Index:
        """Its place in the whole: a slice for each axis."""
        return self._sharding.devices_indices_map(self._shape)[self.device]

    @property
    def replica_id(self) -> int:
        """The number of this copy among all copies of the part."""
        indices = self._sharding.devices_indices_map(self._shape)
        mine, before = indices[self.device], 0
        for device, index in indices.items():
            if device is self.device:
                break
            before += index == mine
        return before

    def __repr__(self) -> str:
        return f"Shard(device={self.device!r}, index={self.index}, replica_id={self.replica_id}, data={self.data})"


@functools.lru_cache(4096)
def spec_of(tiling: Tiling, mesh: Mesh) -> PartitionSpec | None:
    """The spec under which arrays are cut so by the axes of ``mesh``; None where there is none.

    One step along a mesh axis moves the part by a stride along one axis of the array, or not at all. That tells which
    axis it cuts; of several that cut the same, the one with the longest stride cuts slowest.
    """
    if len(tiling.order) != mesh.size:
        return None
    places = tiling.places()
    found: list[list[tuple[int, Any]]] = [[] for _ in tiling.parts]
    step = mesh.size
    for name, size in mesh.shape_tuple:
        step //= size
        if size > 1:
            for cuts, stride in zip(found, places[step], strict=True):
                if stride:
                    cuts.append((stride, name))
    entries = [tuple([name for _, name in sorted(cuts, key=lambda c: c[0], reverse=True)]) for cuts in found]
    used = [name for entry in entries for name in entry]
    if len(set(used)) < len(used):
        return None
    mine = _divided(mesh.shape_tuple, tuple(entries), len(entries))
    if mine.parts != tiling.parts or mine.places() != places:
        return None
    while entries and not entries[-1]:
        entries.pop()
    return PartitionSpec(*entries)
