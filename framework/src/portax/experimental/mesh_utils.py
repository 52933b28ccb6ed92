"""Devices laid out in a grid, for ``portax.sharding.Mesh``.

Which devices are near each other matters where some talk faster among themselves: those of one process, or of one
slice. Such a group is a granule. ``create_hybrid_device_mesh`` keeps each in one block of the grid, so that one factor
of every mesh axis lies within granules and the other between them. Within a granule the devices stay in the order
given: nothing that portax runs on tells how its devices are wired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.errors import ArgumentError
from portax.runtime import devices as runtime_devices
from portax.runtime.contract import Device


def create_device_mesh(
    mesh_shape: Sequence[int],
    devices: Sequence[Device] | None = None,
    *,
    contiguous_submeshes: bool = False,
    allow_split_physical_axes: bool = False,
) -> np.ndarray:
    """Devices in a grid of a given shape.

    Parameters
    ----------
    mesh_shape : sequence of int
    devices : sequence of Device, optional
        Exactly as many as the grid has places. Default: all of the default backend.
    contiguous_submeshes, allow_split_physical_axes : bool
        Of devices wired as a torus; without meaning elsewhere.

    Returns
    -------
    ndarray of Device, of shape ``mesh_shape``
        In the order in which the devices were given.

    Raises
    ------
    ArgumentError
        There are more or fewer devices than places.

    Examples
    --------
    >>> import portax
    >>> from portax.experimental import mesh_utils
    >>> mesh_utils.create_device_mesh((1, 1), portax.devices("reference")[:1])
    array([[reference:0]], dtype=object)
    """
    found = list(runtime_devices.devices() if devices is None else devices)
    shape = tuple(mesh_shape)
    if not all([n >= 1 for n in shape]) or math.prod(shape) != len(found):
        raise ArgumentError(
            wrong=f"a mesh of shape {shape} was asked for, and there are {len(found)} devices",
            fix=f"Give lengths whose product is {len(found)}, or other devices",
        )
    return _laid(found, shape)


def create_hybrid_device_mesh(
    mesh_shape: Sequence[int],
    dcn_mesh_shape: Sequence[int],
    devices: Sequence[Device] | None = None,
    *,
    process_is_granule: bool = False,
    should_sort_granules_by_key: bool = True,
    allow_split_physical_axes: bool = False,
) -> np.ndarray:
    """Devices in a grid whose blocks are granules: groups of devices with fast connections among themselves.

    Parameters
    ----------
    mesh_shape : sequence of int
        Of each granule.
    dcn_mesh_shape : sequence of int
        Of the grid of granules, with as many axes.
    devices : sequence of Device, optional
        Default: all of the default backend.
    process_is_granule : bool
        A granule is the devices of a process; otherwise, those with the same ``slice_index``.
    should_sort_granules_by_key : bool
        Granules come by their number; otherwise, as their first devices do.
    allow_split_physical_axes : bool
        As in ``create_device_mesh``.

    Returns
    -------
    ndarray of Device
        Its shape is the product of the two, axis by axis.

    Raises
    ------
    ArgumentError
        Shapes and devices do not belong together, or the devices have no ``slice_index``.

    Examples
    --------
    >>> import portax
    >>> from portax.experimental import mesh_utils
    >>> devices = portax.devices("reference")[:1]
    >>> mesh_utils.create_hybrid_device_mesh((1, 1), (1, 1), devices, process_is_granule=True).shape
    (1, 1)
    """
    found = list(runtime_devices.devices() if devices is None else devices)
    inner, outer = tuple(mesh_shape), tuple(dcn_mesh_shape)
    if len(inner) != len(outer):
        raise ArgumentError(
            wrong=f"mesh_shape {inner} has {len(inner)} axes, and dcn_mesh_shape {outer} has {len(outer)}",
            fix="Give both a length for each axis; 1 where it is not divided",
        )
    granules: dict[Any, list[Device]] = {}
    for device in found:
        granules.setdefault(_granule(device, process_is_granule), []).append(device)
    what = "processes" if process_is_granule else "slices"
    if not all([n >= 1 for n in outer]) or math.prod(outer) != len(granules):
        raise ArgumentError(
            wrong=f"dcn_mesh_shape is {outer}, and the devices are of {len(granules)} {what}",
            fix=f"Give lengths whose product is {len(granules)}",
        )
    keys = sorted(granules) if should_sort_granules_by_key else list(granules)
    blocks = np.empty((len(keys), *inner), dtype=object)
    for number, key in enumerate(keys):
        blocks[number] = create_device_mesh(inner, granules[key])
    # Of each axis first the place among granules, then the place within one.
    rank = len(inner)
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    whole = tuple([a * b for a, b in zip(outer, inner, strict=True)])
    return blocks.reshape(*outer, *inner).transpose(order).reshape(whole)


def _granule(device: Device, by_process: bool) -> Any:
    if by_process:
        return device.process_index
    found = getattr(device, "slice_index", None)
    if found is None:
        raise ArgumentError(wrong=f"the device {device} has no slice_index", fix="Give process_is_granule=True")
    return found


def _laid(devices: Sequence[Device], shape: tuple[int, ...]) -> np.ndarray:
    """A grid of devices, which NumPy must not take apart."""
    grid = np.empty(len(devices), dtype=object)
    grid[:] = devices
    return grid.reshape(shape)
