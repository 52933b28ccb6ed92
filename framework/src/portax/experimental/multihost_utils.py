"""What processes that work together do as one; a process alone is all of them.

Every function here is called by all processes, in the same order: each waits for the others. What they send each other
is bytes, so it arrives bit for bit whatever its dtype.
"""

from __future__ import annotations

import functools
import zlib
from typing import Any

import numpy as np

from portax import errors
from portax import numpy as pnp
from portax.api.assembling import local_part, make_array_from_process_local_data
from portax.api.placement import devices, process_count, process_index
from portax.core import tree
from portax.core.dtypes import canonicalize_dtype
from portax.core.partition import PartitionSpec
from portax.higher_order.constraint import placed
from portax.runtime import processes
from portax.runtime.array import ConcreteArray
from portax.runtime.meshes import Mesh, mesh_of_devices
from portax.runtime.shardings import NamedSharding

_PROCESSES = "processes"


@functools.lru_cache(8)
def _mesh(found: tuple[Any, ...]) -> Mesh:
    """One device of each process."""
    first: dict[int, Any] = {}
    for device in found:
        first.setdefault(device.process_index, device)
    return mesh_of_devices([first[i] for i in sorted(first)], (_PROCESSES,))


def _of_all(mine: np.ndarray) -> np.ndarray:
    """The bytes that each process gives, equally many, in a row for each process."""
    if process_count() == 1:
        return mine[None]
    sharding = NamedSharding(_mesh(tuple(devices())), PartitionSpec(_PROCESSES))
    return _whole(make_array_from_process_local_data(sharding, mine[None]))


def _number_of_all(number: int) -> list[int]:
    """A number below 2**32 of each process."""
    return np.ascontiguousarray(_of_all(np.array([number], np.uint32).view(np.uint8))).view(np.uint32)[:, 0].tolist()


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _exchange(arrays: list[np.ndarray], what: str) -> list[np.ndarray]:
    """For each array those of all processes, along a new first axis."""
    described = [(array.shape, array.dtype.name) for array in arrays]
    _agree(
        zlib.crc32(repr(described).encode()),
        f"{what} was given arrays of other shapes or dtypes in other processes",
        f"Give arrays alike in all processes; here they are {described}",
    )
    rows = _of_all(np.concatenate([np.empty(0, np.uint8), *[_bytes(array) for array in arrays]]))
    found, start = [], 0
    for array in arrays:
        row = np.ascontiguousarray(rows[:, start : start + array.nbytes])
        found.append(row.view(array.dtype).reshape(len(rows), *array.shape))
        start += array.nbytes
    return found


def _agree(number: int, wrong: str, fix: str) -> None:
    numbers = _number_of_all(number)
    if len(set(numbers)) > 1:
        mine = numbers[process_index()]
        others = [i for i, n in enumerate(numbers) if n != mine]
        raise errors.DisagreementError(wrong=f"{wrong}: process {process_index()} is not alike with {others}", fix=fix)


def sync_global_devices(name: str) -> None:
    """Wait until all processes have come here.

    Parameters
    ----------
    name : str
        Of the place, the same in all processes.

    Raises
    ------
    DisagreementError
        Others are at a place with another name.

    Examples
    --------
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.sync_global_devices("the data are loaded")
    """
    if not isinstance(name, str):
        raise errors.ArgumentError(wrong=f"sync_global_devices was given {name!r} for a name", fix="Give a string")
    _agree(
        zlib.crc32(name.encode()),
        f"sync_global_devices was called as {name!r}, and otherwise in other processes",
        "Call it at the same places, with the same names, in all processes",
    )


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """A tree of arrays of one process, for all processes.

    Parameters
    ----------
    in_tree : tree of arrays
        Of the same shapes and dtypes in all processes.
    is_source : bool, optional
        Whether this process is the one. Default: the first is.

    Returns
    -------
    tree of NumPy arrays

    Raises
    ------
    ArgumentError
        No process is the source, or several are.

    Examples
    --------
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.broadcast_one_to_all({"step": 3})["step"].item()
    3
    """
    source = process_index() == 0 if is_source is None else bool(is_source)
    sources = [i for i, told in enumerate(_number_of_all(source)) if told]
    if len(sources) != 1:
        raise errors.ArgumentError(
            wrong=f"broadcast_one_to_all was told of {len(sources)} sources: the processes {sources}",
            fix="Leave is_source out, or give True in one process",
        )
    leaves, structure = tree.flatten(in_tree)
    found = _exchange([_local(x) for x in leaves], "broadcast_one_to_all")
    return tree.unflatten(structure, [x[sources[0]] for x in found])


def _local(x: Any) -> np.ndarray:
    """An array of this process, of a dtype that portax has."""
    array = np.asarray(x)
    return np.asarray(array, canonicalize_dtype(array.dtype))


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The arrays of all processes, for every process.

    Parameters
    ----------
    in_tree : tree of arrays
        Each of this process, of the same shape in all; or one that lies in several processes, which comes whole.
    tiled : bool
        Lay them one after the other along the first axis, instead of along a new one.

    Returns
    -------
    tree of NumPy arrays

    Raises
    ------
    ArgumentError
        An array lies in several processes, and ``tiled`` is not set.

    Examples
    --------
    >>> import numpy as np
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.process_allgather(np.ones(2)).shape
    (1, 2)
    """
    leaves, structure = tree.flatten(in_tree)
    own = [i for i, x in enumerate(leaves) if not _spans(x)]
    if len(own) < len(leaves) and not tiled:
        raise errors.ArgumentError(
            wrong="process_allgather was given an array that lies in several processes already",
            fix="Give tiled=True: it then comes whole",
        )
    outs = [None if i in own else _whole(x) for i, x in enumerate(leaves)]
    arrays = [_local(leaves[i]) for i in own]
    for i, found in zip(own, _exchange(arrays, "process_allgather") if arrays else [], strict=True):
        outs[i] = found.reshape(-1, *found.shape[2:]) if tiled and found.ndim > 1 else found
    return tree.unflatten(structure, outs)


def _spans(x: Any) -> bool:
    return isinstance(x, ConcreteArray) and not x.is_fully_addressable


def _whole(x: ConcreteArray) -> np.ndarray:
    """The value of an array that lies in several processes."""
    given = x.sharding
    mesh = given.mesh if isinstance(given, NamedSharding) else mesh_of_devices(given.device_list, (_PROCESSES,))
    return np.asarray(placed(x, NamedSharding(mesh, PartitionSpec())))


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Refuse to go on where processes have different values.

    Parameters
    ----------
    in_tree : tree of arrays
    fail_message : str
        Said of the difference.

    Raises
    ------
    DisagreementError
        A value is another in another process. It is an ``AssertionError``.

    Examples
    --------
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.assert_equal({"seed": 0}, "the seeds differ")
    """
    leaves, _ = tree.flatten(in_tree)
    arrays = [_local(x) for x in leaves if not _spans(x)]
    for array, found in zip(arrays, _exchange(arrays, "assert_equal"), strict=True):
        differ = [i for i, x in enumerate(found) if not np.array_equal(x, array)]
        if differ:
            said = f"{fail_message}: " if fail_message else ""
            raise errors.DisagreementError(
                wrong=f"{said}process {process_index()} has {array}, and process {differ[0]} has {found[differ[0]]}",
                fix="Compute it alike in all processes, or take it from one with broadcast_one_to_all",
            )


def host_local_array_to_global_array(local_inputs: Any, global_mesh: Mesh, pspecs: Any) -> Any:
    """A tree of arrays that lie in all processes, of what each has of them.

    Parameters
    ----------
    local_inputs : tree of arrays
        What this process has: along an axis that the mesh cuts, the parts of its devices. Arrays that lie in several
        processes are left as they are.
    global_mesh : Mesh
    pspecs : tree of PartitionSpec, a prefix of ``local_inputs``

    Returns
    -------
    tree of Arrays

    Examples
    --------
    >>> import portax
    >>> import numpy as np
    >>> from portax.experimental import multihost_utils
    >>> from portax.sharding import PartitionSpec as P
    >>> mesh = portax.make_mesh((1,), ("i",))
    >>> multihost_utils.host_local_array_to_global_array(np.arange(3), mesh, P("i")).sharding.spec
    P('i',)
    """
    return _by_specs(local_inputs, pspecs, "host_local_array_to_global_array", lambda x, spec: (
        x if _spans(x) else make_array_from_process_local_data(NamedSharding(global_mesh, spec), _local(x))
    ))  # fmt: skip


def global_array_to_host_local_array(global_inputs: Any, global_mesh: Mesh, pspecs: Any) -> Any:
    """The inverse of ``host_local_array_to_global_array``: what this process has, as arrays on its own devices.

    Parameters
    ----------
    global_inputs : tree of arrays
        Those that lie in this process only are left as they are.
    global_mesh : Mesh
    pspecs : tree of PartitionSpec, a prefix of ``global_inputs``

    Returns
    -------
    tree of Arrays

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> from portax.experimental import multihost_utils
    >>> from portax.sharding import PartitionSpec as P
    >>> mesh = portax.make_mesh((1,), ("i",))
    >>> multihost_utils.global_array_to_host_local_array(pnp.arange(3), mesh, P("i")).tolist()
    [0, 1, 2]
    """
    return _by_specs(global_inputs, pspecs, "global_array_to_host_local_array", lambda x, spec: (
        local_part(x, global_mesh, spec) if _spans(x) else pnp.asarray(x)
    ))  # fmt: skip


def _by_specs(given: Any, pspecs: Any, what: str, f: Any) -> Any:
    leaves, structure = tree.flatten(given)
    specs = tree.prefix_to_leaves(
        pspecs, structure, what=f"pspecs of {what}", is_leaf=lambda x: x is None or isinstance(x, PartitionSpec)
    )
    if None in specs:
        raise errors.ArgumentError(wrong=f"pspecs of {what} has None in it", fix="Give P() for what is not divided")
    return tree.unflatten(structure, [f(x, spec) for x, spec in zip(leaves, specs, strict=True)])


def reached_preemption_sync_point(step_id: int) -> bool:
    """Whether this is the step before which all processes are to save their work, because one is going to be stopped.

    Schedulers tell a process with SIGTERM that it has some seconds left. The processes agree on the first step that
    none of them has begun, and there each of them gets True.

    Parameters
    ----------
    step_id : int
        Of the step that is about to begin. All processes ask before each step; numbers grow by one.

    Returns
    -------
    bool
        False in a process that has not called ``portax.distributed.initialize``.

    Raises
    ------
    ArgumentError
        ``step_id`` is no number.
    ProcessError
        Another process has ended already.

    Notes
    -----
    From the first call on SIGTERM does not end this process: it is the notice, and the program ends when it has saved.

    Examples
    --------
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.reached_preemption_sync_point(100)
    False
    """
    if not isinstance(step_id, int | np.integer):
        raise errors.ArgumentError(
            wrong=f"reached_preemption_sync_point was given the step {step_id!r}", fix="Give the number of the step"
        )
    watch, coordination = processes.here.watch, processes.here.coordination
    if watch is None or coordination is None:
        return False
    watch.check()
    return coordination.stops_before(int(step_id))
