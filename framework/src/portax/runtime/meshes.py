"""Meshes: devices in a grid with named axes, and which of them is set.

Meshes are interned: equal ones are the same object, so that a program is found by the mesh it was made for.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core.config import Override, mesh_context
from portax.core.partition import (
    AbstractDevice,
    AbstractMesh,
    AxisType,
    Named,
    axis_types_of,
    names_of,
)
from portax.runtime.contract import Device


class _Context(threading.local):
    """The meshes that are set in this thread.

    Attributes
    ----------
    mesh : Mesh or None
        Of ``set_mesh``.
    abstract : AbstractMesh or None
        Of ``set_mesh`` or ``use_abstract_mesh``.
    typed : AbstractMesh or None
        Of ``with_types``: the same with other types of axes.
    entered : tuple of Mesh
        Of ``with mesh:``, innermost last.

    Notes
    -----
    They change by ``set`` only, which tells the settings: a program that was staged under one mesh is none for another.
    """

    mesh: Mesh | None = None
    abstract: AbstractMesh | None = None
    typed: AbstractMesh | None = None
    entered: tuple[Mesh, ...] = ()
    _told: Override | None = None

    def set(self, **changes: Any) -> None:
        """Set some of the attributes."""
        for name, value in changes.items():
            setattr(self, name, value)
        if self._told is not None:
            self._told.__exit__()
            self._told = None
        mesh = current_mesh()
        if mesh is not None:
            self._told = mesh_context(mesh if self.typed is None else (mesh, self.typed))
            self._told.__enter__()


_context = _Context()


def current_mesh() -> Any:
    """The mesh that a PartitionSpec speaks of: a Mesh, an AbstractMesh, or None."""
    mesh, abstract = _context.mesh, _context.abstract
    if abstract is None:
        return _context.entered[-1] if _context.entered else None
    return mesh if mesh is not None and abstract is mesh.abstract_mesh else abstract


def is_own(device: Device) -> bool:
    """Whether a device belongs to this process."""
    return device.process_index == device.backend.process_index


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
    >>> portax.sharding.Mesh(np.array(portax.devices()[:1]), ("data",)).shape["data"]
    1
    """

    __slots__ = ("_abstract", "device_list", "devices")

    devices: np.ndarray
    device_list: tuple[Device, ...]
    _abstract: AbstractMesh | None

    def __new__(cls, devices: Any, axis_names: Any, axis_types: Any = None) -> Mesh:
        grid = _grid(devices)
        if grid is None:
            return EMPTY
        names = names_of(axis_names)
        if grid.ndim != len(names):
            raise errors.ArgumentError(
                wrong=f"a mesh of {grid.ndim} axes was given the names {names}",
                fix="Give one name for each axis of the array of devices, each another",
            )
        types = axis_types_of(axis_types, names)
        key = (tuple(grid.flat), grid.shape, names, types)
        # Of two threads that make the same mesh, both get the one that was first.
        return _meshes.get(key) or _meshes.setdefault(key, _new_mesh(grid, names, types))

    @property
    def size(self) -> int:
        """How many devices there are."""
        return len(self.device_list)

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
        return [d for d in self.device_list if is_own(d)]

    @property
    def local_mesh(self) -> Mesh:
        """The part of the mesh on devices of this process.

        Raises
        ------
        ArgumentError
            They are no block of the grid.
        """
        own = np.array([is_own(d) for d in self.device_list], bool).reshape(self.devices.shape)
        if own.all():
            return self
        block = np.ix_(*[np.unique(places) for places in own.nonzero()])
        if not own.any() or not own[block].all():
            raise errors.ArgumentError(
                wrong=f"the devices {self.local_devices} of this process are no block of {self}",
                fix="Lay the devices of each process side by side",
            )
        return Mesh(self.devices[block], self.axis_names, self.axis_types)

    @property
    def abstract_mesh(self) -> AbstractMesh:
        """The mesh without its devices."""
        if self._abstract is None:
            first = self.device_list[0]
            kind = AbstractDevice(first.kind, getattr(first, "num_cores", None), first.platform)
            self._abstract = AbstractMesh(self.axis_sizes, self.axis_names, self.axis_types, abstract_device=kind)
        return self._abstract

    def update(self, devices: Any = None, axis_names: Any = None, axis_types: Any = None) -> Mesh:
        """The mesh with some fields replaced."""
        return Mesh(
            self.devices if devices is None else devices,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
        )

    def __enter__(self) -> Mesh:
        _context.set(entered=(*_context.entered, self))
        return self

    def __exit__(self, *exc: object) -> None:
        _context.set(entered=_context.entered[:-1])

    def __reduce__(self) -> Any:
        return Mesh, (self.devices, self.axis_names, self.axis_types)

    def __repr__(self) -> str:
        types = f", axis_types={self.axis_types}" if self.device_list else ""
        return f"Mesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names}{types})"

    def __str__(self) -> str:
        return f"Mesh({self._words()})" if self.device_list else "Mesh()"


_meshes: weakref.WeakValueDictionary[Any, Mesh] = weakref.WeakValueDictionary()


def _grid(given: Any) -> np.ndarray | None:
    """Devices as an array that nobody may write to; None where there are none."""
    grid = np.array(given, dtype=object)
    if grid.size == 0 or (grid.ndim == 0 and grid.item() is None):
        return None
    for device in grid.flat:
        if not isinstance(device, Device):
            raise errors.ArgumentError(
                wrong=f"a mesh was given {device!r} for a device",
                fix="Give an array of devices, as of portax.devices()",
            )
    if len(set(grid.flat)) < grid.size:
        raise errors.ArgumentError(wrong=f"a mesh was given a device twice: {grid}", fix="Give each device once")
    grid.flags.writeable = False
    return grid


def _new_mesh(grid: np.ndarray, names: tuple[Any, ...], types: tuple[AxisType, ...]) -> Mesh:
    mesh = object.__new__(Mesh)
    mesh.devices, mesh.device_list, mesh._abstract = grid, tuple(grid.flat), None  # pyright: ignore[reportPrivateUsage]
    mesh._set_axes(grid.shape, names, types)  # pyright: ignore[reportPrivateUsage]
    return mesh


def _empty_mesh() -> Mesh:
    grid = np.empty((), dtype=object)
    grid.flags.writeable = False
    mesh = _new_mesh(grid, (), ())
    mesh.device_list, mesh._abstract = (), AbstractMesh((), ())  # pyright: ignore[reportPrivateUsage]
    return mesh


#: The mesh of no devices: what is set where none is.
EMPTY = _empty_mesh()


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


class set_mesh(contextlib.AbstractContextManager[Any]):
    """The mesh that PartitionSpecs refer to from now on, or within ``with``.

    Parameters
    ----------
    mesh : Mesh or None
        None: none is set. It holds for the calling thread.

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import PartitionSpec as P
    >>> with portax.set_mesh(portax.make_mesh((1,), ("data",))):
    ...     portax.jit(lambda x: x + 1, in_shardings=P("data"))(portax.numpy.ones(2)).tolist()
    [2.0, 2.0]
    """

    __slots__ = ("_typed", "prev_abstract_mesh", "prev_mesh")

    def __init__(self, mesh: Any) -> None:
        if mesh is not None and not isinstance(mesh, Mesh):
            raise errors.ArgumentError(
                wrong=f"set_mesh was given {mesh!r}", fix="Give a Mesh, as of make_mesh, or None for no mesh"
            )
        self.prev_mesh, self.prev_abstract_mesh, self._typed = _context.mesh, _context.abstract, _context.typed
        _context.set(mesh=mesh, abstract=None if mesh is None else mesh.abstract_mesh, typed=None)

    def __enter__(self) -> Any:
        return None

    def __exit__(self, *exc: object) -> None:
        _context.set(mesh=self.prev_mesh, abstract=self.prev_abstract_mesh, typed=self._typed)


@contextlib.contextmanager
def with_types(mesh: Mesh, types: Mapping[Any, AxisType]) -> Generator[None]:
    """Within it the mesh is set, and types of its axes are others: arrays lie on the mesh itself as before."""
    with set_mesh(mesh):
        _context.set(typed=mesh.abstract_mesh.update_axis_types(types))
        yield


class use_abstract_mesh(contextlib.AbstractContextManager[Any]):
    """Within ``with``, the mesh that PartitionSpecs refer to, known without its devices.

    Parameters
    ----------
    mesh : AbstractMesh
    """

    __slots__ = ("_typed", "mesh", "prev")

    def __init__(self, mesh: Any) -> None:
        if not isinstance(mesh, AbstractMesh):
            raise errors.ArgumentError(wrong=f"use_abstract_mesh was given {mesh!r}", fix="Give an AbstractMesh")
        self.mesh: AbstractMesh = mesh
        self.prev: AbstractMesh | None = None
        self._typed: AbstractMesh | None = None

    def __enter__(self) -> None:
        self.prev, self._typed = _context.abstract, _context.typed
        _context.set(abstract=self.mesh, typed=None)

    def __exit__(self, *exc: object) -> None:
        _context.set(abstract=self.prev, typed=self._typed)


def get_mesh() -> Mesh:
    """The mesh of ``set_mesh``; the empty one where none is set.

    Examples
    --------
    >>> import portax
    >>> with portax.set_mesh(portax.make_mesh((1,), ("i",))):
    ...     portax.sharding.get_mesh().size
    1
    """
    return EMPTY if _context.mesh is None else _context.mesh


def get_abstract_mesh() -> AbstractMesh:
    """The mesh of ``use_abstract_mesh`` or ``set_mesh``, without its devices; the empty one where none is set.

    Examples
    --------
    >>> import portax
    >>> with portax.set_mesh(portax.make_mesh((1,), ("i",))):
    ...     portax.sharding.get_abstract_mesh().axis_names
    ('i',)
    """
    abstract = _context.abstract if _context.typed is None else _context.typed
    return EMPTY.abstract_mesh if abstract is None else abstract
