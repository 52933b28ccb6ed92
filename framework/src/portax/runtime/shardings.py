"""Meshes of devices, and how arrays lie on them.

A sharding knows an ordered list of devices, and for arrays of each rank how they are cut among those (its ``tiling``).
All else (indices, shapes of parts, equivalence) follows from these two, once for all kinds.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core.partition import AbstractMesh, Named, PartitionSpec, axis_types_of
from portax.runtime.contract import Device, Tiling

Index = tuple[slice, ...]


class _Context(threading.local):
    """The meshes that are set in this thread, innermost last."""

    stack: tuple[Any, ...] = ()


_context = _Context()


def current_mesh() -> Any:
    """The mesh that is set, or None."""
    return _context.stack[-1] if _context.stack else None


class Mesh(Named):
    """Devices in a grid with named axes.

    Parameters
    ----------
    devices : array of Device
    axis_names : name or tuple of names
        One for each axis of ``devices``.
    axis_types : AxisType or tuple of them, optional
        Default: all ``Auto``.

    Raises
    ------
    ArgumentError
        There are not as many names as axes, or one twice.

    Notes
    -----
    ``with mesh:`` sets it for the block, so that a PartitionSpec alone says how an array lies.

    Examples
    --------
    >>> import portax
    >>> import numpy as np
    >>> portax.sharding.Mesh(np.array(portax.devices()[:1]), ("data",)).shape
    {'data': 1}
    """

    def __init__(self, devices: Any, axis_names: Any, axis_types: Any = None) -> None:
        self.devices = np.array(devices, dtype=object)
        self.axis_names = (
            tuple(axis_names) if isinstance(axis_names, Iterable) and not isinstance(axis_names, str) else (axis_names,)
        )
        if self.devices.ndim != len(self.axis_names) or len(set(self.axis_names)) < len(self.axis_names):
            raise errors.ArgumentError(
                wrong=f"a mesh of {self.devices.ndim} axes was given the names {self.axis_names}",
                fix="Give one name for each axis of the array of devices, each another",
            )
        self.axis_sizes = self.devices.shape
        self.axis_types = axis_types_of(axis_types, self.axis_names)
        self.device_list: tuple[Device, ...] = tuple(self.devices.flat)
        self._key = (self.device_list, self.axis_sizes, self.axis_names, self.axis_types)
        self._hash = hash(self._key)

    @property
    def size(self) -> int:
        """How many devices there are."""
        return self.devices.size

    @property
    def is_scalar(self) -> bool:
        """Whether the mesh is of one device and has no axes."""
        return self.devices.ndim == 0

    @property
    def device_ids(self) -> np.ndarray:
        """The numbers of the devices, in the grid."""
        return np.array([d.id for d in self.device_list]).reshape(self.devices.shape)

    @property
    def is_multi_process(self) -> bool:
        """Whether the devices belong to several processes."""
        return len({d.process_index for d in self.device_list}) > 1

    @property
    def local_devices(self) -> list[Device]:
        """The devices of this process."""
        return list(self.device_list)

    @property
    def local_mesh(self) -> Mesh:
        """The part of the mesh on devices of this process."""
        return self

    @property
    def abstract_mesh(self) -> AbstractMesh:
        """The mesh without its devices."""
        return AbstractMesh(self.axis_sizes, self.axis_names, self.axis_types)

    def update(self, devices: Any = None, axis_names: Any = None, axis_types: Any = None) -> Mesh:
        """The mesh with some fields replaced."""
        return Mesh(
            self.devices if devices is None else devices,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
        )

    def __enter__(self) -> Mesh:
        _context.stack = (*_context.stack, self)
        return self

    def __exit__(self, *exc: object) -> None:
        _context.stack = _context.stack[:-1]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Mesh) and self._hash == other._hash and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Mesh({self._words()})"


def mesh_of_devices(devices: Sequence[Device], names: Sequence[Any]) -> Mesh:
    """A mesh of one axis."""
    grid = np.empty(len(devices), object)
    grid[:] = devices
    return Mesh(grid, tuple(names))


def make_mesh(
    axis_shapes: Sequence[int], axis_names: Sequence[Any], axis_types: Any = None, *, devices: Any = None,
    available: Sequence[Device] = (),
) -> Mesh:  # fmt: skip
    """A mesh of the first of the devices that are available."""
    count = math.prod(axis_shapes)
    found = list(available) if devices is None else list(devices)
    if count > len(found):
        raise errors.ArgumentError(
            wrong=f"a mesh of shape {tuple(axis_shapes)} needs {count} devices, and there are {len(found)}",
            fix="Make it smaller, or start with more devices (PORTAX_CPU_DEVICES=8 divides the cpu, "
            "PORTAX_REFERENCE_DEVICES=8 the reference device)",
        )
    grid = np.empty(count, object)
    grid[:] = found[:count]
    return Mesh(grid.reshape(tuple(axis_shapes)), axis_names, axis_types)


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
        return self.devices_indices_map(global_shape)

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
        return set(self.device_list)

    @property
    def has_addressable_devices(self) -> bool:
        """Whether any device is of this process."""
        return True

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all devices are of this process."""
        return len({d.process_index for d in self.device_list}) == 1

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
        if kind not in ("device", "unpinned_host", "pinned_host"):
            raise errors.ArgumentError(
                wrong=f"no device has a memory of the kind {kind!r}",
                fix='Give "device", "pinned_host" or "unpinned_host"',
            )
        if kind != "device" and not all(d.host_memory for d in self.device_list):
            raise errors.GapError(
                wrong=f"arrays on {list(self.device_list)} cannot be kept in the host's memory ({kind})",
                fix='Leave them in "device", or bring them to a device of the host',
            )
        return self  # the device's memory is the host's

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether arrays of ``ndim`` axes lie alike under both."""
        if set(self.device_list) != set(other.device_list):
            return False
        mine, theirs = self.tiling(ndim), other.tiling(ndim)
        if mine.parts != theirs.parts:
            return False
        places = dict(zip(other.device_list, theirs.places(), strict=True))
        return all(places[d] == place for d, place in zip(self.device_list, mine.places(), strict=True))


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

    def __init__(self, mesh: Any, spec: PartitionSpec, *, memory_kind: str | None = None) -> None:
        if not isinstance(spec, PartitionSpec):
            raise errors.ArgumentError(
                wrong=f"NamedSharding was given {spec!r} for a spec",
                fix="Give a PartitionSpec, such as P('data', None)",
            )
        self.mesh, self.spec, self._memory_kind = mesh, spec, memory_kind
        used: list[Any] = []
        for entry in spec:
            if entry is None or entry is PartitionSpec.UNCONSTRAINED:
                continue
            for name in entry if isinstance(entry, tuple) else (entry,):
                if name not in mesh.axis_names:
                    raise errors.ArgumentError(
                        wrong=f"the spec {spec} names the axis {name!r}, and the mesh has {tuple(mesh.axis_names)}",
                        fix="Use the names of the mesh's axes",
                    )
                if name in used:
                    raise errors.ArgumentError(
                        wrong=f"the spec {spec} names the mesh axis {name!r} twice",
                        fix="Cut one axis of the array with it",
                    )
                used.append(name)
        self._used = used
        self._tilings: dict[int, Tiling] = {}
        self._hash = hash((mesh, spec, memory_kind))
        if memory_kind is not None and isinstance(mesh, Mesh):
            self.with_memory_kind(memory_kind)

    @property
    def device_list(self) -> tuple[Device, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The devices of the mesh, in its order."""
        return tuple(self.mesh.devices.flat) if not isinstance(self.mesh, Mesh) else self.mesh.device_list

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
            raise errors.ShapeError(
                wrong=f"the spec {self.spec} has {len(self.spec)} entries, and the array {ndim} axes",
                fix="Give a spec no longer than the array has axes",
            )
        names, sizes = list(self.mesh.axis_names), self.mesh.shape
        entries = [
            () if e is None or e is PartitionSpec.UNCONSTRAINED else e if isinstance(e, tuple) else (e,)
            for e in self.spec
        ]
        entries += [()] * (ndim - len(entries))
        first = [names.index(name) for entry in entries for name in entry]
        rest = [i for i in range(len(names)) if i not in first]
        grid = np.arange(self.mesh.size).reshape(tuple(sizes.values())).transpose(first + rest)
        parts = tuple([math.prod([sizes[name] for name in entry]) for entry in entries])
        known = self._tilings[ndim] = Tiling(parts, tuple(grid.ravel().tolist()))
        return known

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device holds all of an array."""
        return all(self.mesh.shape[name] == 1 for name in self._used)

    def replicated_axes(self) -> frozenset[Any]:
        """The mesh axes that cut nothing."""
        return frozenset(self.mesh.axis_names) - set(self._used)

    def update(self, **changes: Any) -> NamedSharding:
        """The sharding with ``mesh``, ``spec`` or ``memory_kind`` replaced."""
        fields = {"mesh": self.mesh, "spec": self.spec, "memory_kind": self._memory_kind, **changes}
        return NamedSharding(fields["mesh"], fields["spec"], memory_kind=fields["memory_kind"])

    def with_memory_kind(self, kind: str) -> NamedSharding:
        """The same in another memory of the devices."""
        super().with_memory_kind(kind)
        return self if kind == self._memory_kind else self.update(memory_kind=kind)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, NamedSharding)
            and self._hash == other._hash
            and (self.mesh, self.spec, self._memory_kind) == (other.mesh, other.spec, other._memory_kind)
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"NamedSharding(mesh={self.mesh}, spec={self.spec}, memory_kind={self.memory_kind})"


class SingleDeviceSharding(Sharding):
    """All of an array on one device.

    Parameters
    ----------
    device : Device
    memory_kind : str, optional
    """

    def __init__(self, device: Device, *, memory_kind: str | None = None) -> None:
        self.device_list, self._memory_kind = (device,), memory_kind

    def tiling(self, ndim: int) -> Tiling:
        """How arrays of ``ndim`` axes are cut: not at all."""
        return Tiling((1,) * ndim, (0,))

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device holds all of an array: the only one does."""
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SingleDeviceSharding) and self.device_list == other.device_list

    def __hash__(self) -> int:
        return hash(self.device_list)

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
    """The spec under which arrays are cut so by the axes of ``mesh``; None where there is none."""
    sizes = mesh.shape
    names = [name for name in mesh.axis_names if sizes[name] > 1]
    choices = [
        [
            chosen
            for count in range(len(names) + 1)
            for chosen in itertools.permutations(names, count)
            if math.prod([sizes[name] for name in chosen]) == parts
        ]
        for parts in tiling.parts
    ]
    for chosen in itertools.product(*choices):
        used = [name for entry in chosen for name in entry]
        if len(set(used)) < len(used):
            continue
        entries = list(chosen)
        while entries and not entries[-1]:
            entries.pop()
        spec = PartitionSpec(*entries)
        if NamedSharding(mesh, spec).tiling(len(tiling.parts)).places() == tiling.places():
            return spec
    return None


class set_mesh(contextlib.AbstractContextManager[Any]):
    """The mesh that PartitionSpecs refer to from now on, or within ``with``.

    Parameters
    ----------
    mesh : Mesh

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import PartitionSpec as P
    >>> with portax.set_mesh(portax.make_mesh((1,), ("data",))):
    ...     portax.jit(lambda x: x + 1, in_shardings=P("data"))(portax.numpy.ones(2)).tolist()
    [2.0, 2.0]
    """

    def __init__(self, mesh: Any) -> None:
        if not isinstance(mesh, Named):
            raise errors.ArgumentError(wrong=f"set_mesh was given {mesh!r}", fix="Give a Mesh, as of make_mesh")
        self.prev_mesh = current_mesh()
        self.prev_abstract_mesh = get_abstract_mesh()
        self._saved = _context.stack
        _context.stack = (*_context.stack, mesh)

    def __enter__(self) -> Any:
        return current_mesh()

    def __exit__(self, *exc: object) -> None:
        _context.stack = self._saved


class use_abstract_mesh(contextlib.AbstractContextManager[Any]):
    """Within ``with``, the mesh that PartitionSpecs refer to, known without its devices.

    Parameters
    ----------
    mesh : AbstractMesh
    """

    def __init__(self, mesh: AbstractMesh) -> None:
        if not isinstance(mesh, AbstractMesh):
            raise errors.ArgumentError(wrong=f"use_abstract_mesh was given {mesh!r}", fix="Give an AbstractMesh")
        self.mesh, self.prev = mesh, get_abstract_mesh()

    def __enter__(self) -> AbstractMesh:
        self._saved = _context.stack
        _context.stack = (*_context.stack, self.mesh)
        return self.mesh

    def __exit__(self, *exc: object) -> None:
        _context.stack = self._saved


def get_mesh() -> Any:
    """The mesh that is set; an empty one where none is."""
    mesh = current_mesh()
    return mesh if isinstance(mesh, Mesh) else Mesh(np.empty((), object), ())


def get_abstract_mesh() -> AbstractMesh:
    """The mesh that is set, without its devices; an empty one where none is."""
    mesh = current_mesh()
    return AbstractMesh((), ()) if mesh is None else mesh.abstract_mesh
