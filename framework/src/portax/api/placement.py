"""Where arrays live: devices, and moving values to and from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import tree
from portax.core.aval import aval_of
from portax.core.config import config
from portax.core.lazy import lazy
from portax.core.partition import PartitionSpec
from portax.core.trace import Tracer
from portax.runtime import devices as runtime_devices
from portax.runtime import eager, processes
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Backend, Device

constraint = lazy("portax.higher_order.constraint")
guards = lazy("portax.runtime.guards")


def devices(backend: str | None = None) -> list[Device]:
    """All devices of a backend.

    Parameters
    ----------
    backend : str, optional
        Such as ``"cpu"`` or ``"reference"``; by default the default device's.

    Raises
    ------
    UnknownBackendError
        None of that name is installed.

    Examples
    --------
    >>> import portax
    >>> portax.devices("reference")
    [reference:0]
    """
    return runtime_devices.devices(backend)


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Device]:
    """The devices of one process: this one, or the one with the number given. ``host_id`` is its older name.

    Examples
    --------
    >>> len(portax.local_devices()) == portax.local_device_count()
    True
    """
    found = devices(backend)
    mine = next((number for number in (process_index, host_id) if number is not None), found[0].backend.process_index)
    return [d for d in found if d.process_index == mine]


def device_count(backend: str | None = None) -> int:
    """How many devices a backend has.

    Examples
    --------
    >>> portax.device_count() >= 1
    True
    """
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """How many devices of a backend belong to this process.

    Examples
    --------
    >>> portax.local_device_count() >= 1
    True
    """
    return len(local_devices(backend=backend))


def process_index(backend: str | None = None) -> int:
    """The number of this process among those that work together: 0 where there is one.

    Examples
    --------
    >>> portax.process_index()
    0
    """
    return _of_processes(backend).process_index


def process_count(backend: str | None = None) -> int:
    """How many processes work together.

    Examples
    --------
    >>> portax.process_count()
    1
    """
    return _of_processes(backend).process_count


def _of_processes(backend: str | None) -> type[Backend] | Backend:
    """What to ask about processes: a backend, by default the default one. None is opened to say that there are none."""
    if backend is None and processes.here.watch is None:
        return Backend
    return runtime_devices.devices(backend)[0].backend


def default_backend() -> str:
    """The name of the backend where computations go by default.

    Examples
    --------
    >>> isinstance(portax.default_backend(), str)
    True
    """
    return runtime_devices.default_device().platform


def device_put(
    x: Any, device: Any = None, *, src: Any = None, donate: bool = False, may_alias: bool | None = None
) -> Any:
    """Copy a tree of arrays to a device, and commit them to it.

    Parameters
    ----------
    x : tree of arrays
    device : Device, str, Sharding, PartitionSpec, a tree of those that is a prefix of ``x``, or None
        A PartitionSpec is of the mesh that is set.
        None uses the default device and commits nothing.

    Returns
    -------
    tree of Arrays
        Computations on committed arrays run where they are.

    Examples
    --------
    >>> import portax
    >>> portax.device_put(1.0, portax.devices("reference")[0]).device
    reference:0
    """
    del src, donate, may_alias
    if device is not None and not isinstance(device, Device | str):
        return _put_as(x, device)
    target = None if device is None else runtime_devices.as_device(device)
    if not config.guarded:
        return tree.tree_map(lambda leaf: _put(leaf, target), x)
    with guards.explicitly():
        return tree.tree_map(lambda leaf: _put(leaf, target, told=True), x)


def _put_as(x: Any, given: Any) -> Any:
    """A tree of arrays, each where a sharding says: one for all, or a tree of them."""
    leaves, structure = tree.flatten(x)
    where = tree.prefix_to_leaves(
        given, structure, what="the second argument of device_put",
        is_leaf=lambda s: s is None or isinstance(s, Device | str | PartitionSpec) or hasattr(s, "device_list"),
    )  # fmt: skip
    outs: list[Any] = []
    for leaf, target in zip(leaves, where, strict=True):
        if isinstance(target, PartitionSpec):
            target = constraint.resolved(target, "device_put")
        if not hasattr(target, "device_list"):
            outs.append(_put(leaf, None if target is None else runtime_devices.as_device(target)))
        elif isinstance(leaf, Tracer):
            outs.append(constraint.constrain(leaf, target))
        else:
            array = leaf if type(leaf) is ConcreteArray else eager.asarray(leaf, copy=True)
            outs.append(constraint.placed(array, target))
    return tree.unflatten(structure, outs)


def _put(x: Any, target: Device | None, told: bool = False) -> Any:
    if isinstance(x, Tracer):
        return x  # a program has one device: where its operands are committed
    if told and type(x) is not ConcreteArray:
        guards.transfer("host_to_device", aval_of(x))
    array = x if type(x) is ConcreteArray else eager.asarray(x, copy=True)
    if target is None:
        return array
    return ConcreteArray(array.aval, None, array.buffer_on(target), target, True)


def device_get(x: Any) -> Any:
    """A tree of arrays as NumPy arrays in host memory.

    Examples
    --------
    >>> import portax
    >>> portax.device_get(portax.numpy.arange(3)).tolist()
    [0, 1, 2]
    """

    def get(leaf: Any) -> Any:
        return np.asarray(leaf) if isinstance(leaf, ConcreteArray) else np.asarray(leaf) if np.isscalar(leaf) else leaf

    if not config.guarded:
        return tree.tree_map(get, x)
    with guards.explicitly():
        return tree.tree_map(get, x)


def block_until_ready(x: Any) -> Any:
    """Wait until every array of a tree is computed; gives the tree.

    Examples
    --------
    >>> portax.block_until_ready({"x": pnp.ones(2)})
    {'x': Array([1., 1.], dtype=float32)}
    """
    for leaf in tree.leaves(x):
        wait = getattr(leaf, "block_until_ready", None)
        if wait is not None:
            wait()
    return x


def copy_to_host_async(x: Any) -> None:
    """Begin to copy a tree of arrays to the host; on host memory there is nothing to copy.

    Examples
    --------
    >>> portax.copy_to_host_async(pnp.ones(2))
    """
    for leaf in tree.leaves(x):
        if isinstance(leaf, ConcreteArray) and leaf.is_ready():
            leaf.host()
