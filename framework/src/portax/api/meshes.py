"""Meshes of the devices at hand, and moving arrays about on them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.partition import AxisType, PartitionSpec, names_of
from portax.higher_order.constraint import with_sharding_constraint
from portax.runtime import devices as runtime_devices
from portax.runtime import meshes
from portax.runtime.contract import Device
from portax.runtime.meshes import Mesh
from portax.runtime.shardings import NamedSharding, Sharding, SingleDeviceSharding


def make_mesh(
    axis_shapes: Sequence[int], axis_names: Sequence[Any], axis_types: Any = None, *, devices: Any = None
) -> Mesh:
    """A mesh of devices.

    Parameters
    ----------
    axis_shapes : sequence of int
    axis_names : sequence of names
    axis_types : AxisType or tuple of them, optional
        Default: all ``Auto``, the compiler decides. (JAX's default is ``Explicit``, where arrays' types say how they
        lie. portax leaves such axes to the compiler too.)
    devices : sequence of Device, optional
        Default: those of the default backend.

    Raises
    ------
    ArgumentError
        There are too few devices.

    Examples
    --------
    >>> import portax
    >>> portax.make_mesh((1, 1), ("data", "model")).axis_names
    ('data', 'model')
    """
    available = runtime_devices.devices() if devices is None else ()
    return meshes.make_mesh(axis_shapes, axis_names, axis_types, devices=devices, available=available)


def make_single_device_sharding(device: Device, *, memory_kind: str | None = None) -> SingleDeviceSharding:
    """The sharding of arrays that lie on one device.

    Examples
    --------
    >>> import portax
    >>> portax.sharding.make_single_device_sharding(portax.devices()[0]).num_devices
    1
    """
    return SingleDeviceSharding(device, memory_kind=memory_kind)


def reshard(xs: Any, out_shardings: Any) -> Any:
    """A tree of arrays, lying on their devices as shardings say.

    Parameters
    ----------
    xs : tree of arrays
    out_shardings : Sharding, PartitionSpec of the mesh that is set, or a tree of them that is a prefix of ``xs``

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",)), P("i"))
    >>> portax.reshard(portax.numpy.ones(2), rows).sharding.is_equivalent_to(rows, 1)
    True
    """
    return with_sharding_constraint(xs, out_shardings)


def auto_axes(f: Callable[..., Any] | None = None, /, *, axes: Any = None, out_sharding: Any = None) -> Any:
    """``f``, within which the compiler decides how arrays lie along some axes of the mesh; results lie as told.

    Parameters
    ----------
    f : callable
    axes : name or tuple of names, optional
        The axes of the mesh that are of type ``Auto`` within ``f``. Default: all.
    out_sharding : Sharding, PartitionSpec of the mesh that is set, or a tree of them that is a prefix of the results
        Where it is left out here, each call gives it: ``auto_axes(f)(x, out_sharding=...)``.

    Raises
    ------
    ArgumentError
        Nobody says how results lie, or the mesh has no such axis.

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",)), P("i"))
    >>> double = portax.sharding.auto_axes(lambda x: 2 * x, out_sharding=rows)
    >>> double(portax.numpy.ones(2)).tolist()
    [2.0, 2.0]
    """
    if f is None:
        return functools.partial(auto_axes, axes=axes, out_sharding=out_sharding)

    @functools.wraps(f)
    def placed(*args: Any, **kwargs: Any) -> Any:
        wanted = _told("auto_axes", "out_sharding", out_sharding, kwargs)
        with _typed(wanted, axes, AxisType.Auto, "auto_axes"):
            out = f(*args, **kwargs)
        return reshard(out, wanted)

    return placed


def explicit_axes(f: Callable[..., Any] | None = None, /, *, axes: Any = None, in_sharding: Any = None) -> Any:
    """``f``, whose positional arguments lie as told, and within which some axes of the mesh are of type ``Explicit``.

    Parameters
    ----------
    f : callable
    axes : name or tuple of names, optional
        Default: all axes of the mesh.
    in_sharding : Sharding, PartitionSpec of the mesh that is set, or a tree of them that is a prefix of the arguments
        Where it is left out here, each call gives it: ``explicit_axes(f)(x, in_sharding=...)``.

    Raises
    ------
    ArgumentError
        Nobody says how arguments lie, or the mesh has no such axis.

    Notes
    -----
    The compiler divides work along such axes as along others (see ``AxisType``).

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",)), P("i"))
    >>> double = portax.sharding.explicit_axes(lambda x: 2 * x, in_sharding=rows)
    >>> double(portax.numpy.ones(2)).tolist()
    [2.0, 2.0]
    """
    if f is None:
        return functools.partial(explicit_axes, axes=axes, in_sharding=in_sharding)

    @functools.wraps(f)
    def placed(*args: Any, **kwargs: Any) -> Any:
        wanted = _told("explicit_axes", "in_sharding", in_sharding, kwargs)
        args = tuple(reshard(args, wanted))
        with _typed(wanted, axes, AxisType.Explicit, "explicit_axes"):
            return f(*args, **kwargs)

    return placed


def _told(what: str, name: str, given: Any, kwargs: dict[str, Any]) -> Any:
    """What a decorator was given, or else its call, from whose keywords it is taken."""
    wanted = given if given is not None else kwargs.pop(name, None)
    if wanted is None:
        raise errors.ArgumentError(
            wrong=f"a function of {what} was called, and nobody said {name}",
            fix=f"Give {name} to {what}, or to each call of the function",
        )
    return wanted


def _typed(wanted: Any, axes: Any, kind: AxisType, what: str) -> contextlib.AbstractContextManager[Any]:
    """Within it, axes of the mesh that is set, or that shardings have, are of that type."""
    leaves = tree.leaves(wanted, is_leaf=lambda x: isinstance(x, PartitionSpec | Sharding))
    found = [x.mesh for x in leaves if isinstance(x, NamedSharding) and isinstance(x.mesh, Mesh)]
    mesh = meshes.current_mesh()
    mesh = found[0] if mesh is None and found else mesh
    if not isinstance(mesh, Mesh):
        return contextlib.nullcontext()
    names = mesh.axis_names if axes is None else names_of(axes)
    for name in names:
        if name not in mesh.shape:
            raise errors.ArgumentError(
                wrong=f"{what} was given the axis {name!r}, and the mesh has {mesh.axis_names}",
                fix="Give axes of the mesh, or leave axes out for all of them",
            )
    return meshes.with_types(mesh, dict.fromkeys(names, kind))
