"""Meshes of the devices at hand, and moving arrays about on them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from portax.higher_order.constraint import with_sharding_constraint
from portax.runtime import devices as runtime_devices
from portax.runtime import meshes
from portax.runtime.contract import Device
from portax.runtime.meshes import Mesh
from portax.runtime.shardings import SingleDeviceSharding


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
    """``f``, within which the compiler decides how arrays lie; all axes of portax's meshes are so.

    Parameters
    ----------
    f : callable
    axes : name or names, optional
    out_sharding : sharding or PartitionSpec, optional
        Of the results.

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",)), P("i"))
    >>> double = portax.sharding.auto_axes(lambda x: 2 * x, out_sharding=rows)
    >>> double(portax.numpy.ones(2)).tolist()
    [2.0, 2.0]
    """
    del axes
    if f is None:
        return functools.partial(auto_axes, out_sharding=out_sharding)

    @functools.wraps(f)
    def placed(*args: Any, **kwargs: Any) -> Any:
        out = f(*args, **kwargs)
        return out if out_sharding is None else reshard(out, out_sharding)

    return placed


def explicit_axes(f: Callable[..., Any] | None = None, /, *, axes: Any = None, in_sharding: Any = None) -> Any:
    """``f``, whose arguments lie as ``in_sharding`` says; within it the compiler decides.

    Parameters
    ----------
    f : callable
    axes : name or names, optional
    in_sharding : sharding or PartitionSpec, optional
        Of the arguments.

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",)), P("i"))
    >>> double = portax.sharding.explicit_axes(lambda x: 2 * x, in_sharding=rows)
    >>> double(portax.numpy.ones(2)).tolist()
    [2.0, 2.0]
    """
    del axes
    if f is None:
        return functools.partial(explicit_axes, in_sharding=in_sharding)

    @functools.wraps(f)
    def placed(*args: Any, **kwargs: Any) -> Any:
        if in_sharding is not None:
            args = tuple(reshard(args, in_sharding))
        return f(*args, **kwargs)

    return placed
