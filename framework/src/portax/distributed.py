"""Programs of several processes: how each finds the others.

The same program is started in every process, and calls ``initialize`` before it uses a device. From then on
``portax.devices()`` are the devices of all of them, and arrays and programs may lie on any.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from portax.errors import ArgumentError, ProcessError
from portax.runtime import plugins, processes, rollcall
from portax.runtime.clusters import Cluster, detect
from portax.runtime.processes import Place, Watch

__all__ = ["initialize", "is_initialized", "shutdown"]


#: What ``shutdown`` ends, with the coordination of ``processes.here``.
_roll: rollcall.Roll | None = None


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: int | Sequence[int] | None = None,
    cluster_detection_method: str | None = None,
    initialization_timeout: int = 300,
    heartbeat_timeout_seconds: int = 100,
    shutdown_timeout_seconds: int = 300,
    coordinator_bind_address: str | None = None,
    slice_index: int | None = None,
    partition_index: int | None = None,
) -> None:
    """Join the other processes of this program. Each of them calls it, before it uses a device.

    Parameters
    ----------
    coordinator_address : str, optional
        ``host:port`` of process 0; the port is one that is free there.
    num_processes : int, optional
    process_id : int, optional
        From 0 to ``num_processes - 1``, another in each.
    local_device_ids : int or sequence of int, optional
        Which of the machine's devices this process has; the cpu driver, whose devices are parts of a process, has no
        use for it.
    cluster_detection_method : str, optional
        ``"slurm"``, ``"ompi"`` or ``"k8s"``: what tells this process its place. ``"deactivate"``: nothing does.
        Default: whichever of them is seen to.
    initialization_timeout : int
        Seconds to wait for the others to come.
    heartbeat_timeout_seconds : int
        Seconds after which a process or a machine that gives no sign is taken to be gone.
    shutdown_timeout_seconds : int
        Seconds that a process which is done waits for the others to be.
    coordinator_bind_address : str, optional
        ``host:port`` at which process 0 listens. Default: the port of ``coordinator_address``, on all its addresses.
    slice_index, partition_index : int, optional
        The number of the group of devices with fast links among them that this process's devices belong to; the first
        is its older name.

    Raises
    ------
    ProcessError
        Something is not known, the processes do not agree, one does not come, or nobody is found at the address.
    ArgumentError
        An argument is no such number.

    Notes
    -----
    What is left out is taken from the variables ``PORTAX_COORDINATOR_ADDRESS``, ``PORTAX_NUM_PROCESSES``,
    ``PORTAX_PROCESS_ID``, ``PORTAX_LOCAL_DEVICE_IDS``, ``PORTAX_COORDINATOR_BIND_ADDRESS`` and
    ``PORTAX_PARTITION_INDEX``, and then from the scheduler that started the process (Slurm, Open MPI or Kubernetes),
    with the port of ``PORTAX_COORDINATOR_PORT`` if that is set.

    If a process ends before it is done, the others do not wait for it: what they wait for raises a ``ProcessError``
    that names it, and a process that makes no such call is ended after some seconds, with status 75.

    Examples
    --------
    In each of two processes, with its own ``process_id``::

        portax.distributed.initialize("10.0.0.1:1234", num_processes=2, process_id=0)

    A process alone may do so too, before it uses a device::

        portax.distributed.initialize("localhost:1234", num_processes=1, process_id=0)
    """
    global _roll
    if _roll is not None:
        raise ProcessError(
            wrong="portax.distributed.initialize was called a second time", fix="Call it once, at the program's start"
        )
    place = _place(
        os.environ, coordinator_address, num_processes, process_id, local_device_ids, cluster_detection_method,
        coordinator_bind_address, slice_index if partition_index is None else partition_index,
        _seconds("initialization_timeout", initialization_timeout),
        _seconds("heartbeat_timeout_seconds", heartbeat_timeout_seconds),
        _seconds("shutdown_timeout_seconds", shutdown_timeout_seconds),
    )  # fmt: skip
    coordination = plugins.installed().coordination()
    watch = Watch(place)
    roll = rollcall.roll(place, watch)
    roll.gather()
    if isinstance(roll, rollcall.Chair):
        try:
            coordination.serve(place)
        except BaseException as error:
            roll.refuse(error)
            raise
    roll.begin()
    coordination.connect(place, watch)
    processes.here.watch, processes.here.coordination = watch, coordination
    _roll = roll
    atexit.register(_at_exit)


def is_initialized() -> bool:
    """Whether this process has joined others, and not left them.

    Examples
    --------
    >>> portax.distributed.is_initialized()
    False
    """
    return _roll is not None


def shutdown() -> None:
    """Leave the other processes, when all are done: wait for them. Without others it does nothing.

    It is called when the program ends, so a program need not.

    Raises
    ------
    ProcessError
        One of them ended before it was done, or is not done for too long.

    Examples
    --------
    >>> portax.distributed.shutdown()
    """
    global _roll
    roll, watch, coordination = _roll, processes.here.watch, processes.here.coordination
    if roll is None or watch is None or coordination is None:
        return
    _roll = None
    watch.check()
    roll.leave(None)
    watch.check()
    watch.leave()
    processes.here.coordination = None
    coordination.leave()


def _at_exit() -> None:
    """Leave when the program ends, however it does; in a bounded time."""
    roll, watch = _roll, processes.here.watch
    if roll is None or watch is None:
        return
    failed = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    if failed is None and not watch.lost:
        try:
            shutdown()
        except ProcessError as error:
            sys.stderr.write(f"portax: {error.wrong}\n")
        return
    watch.leave()
    roll.leave(None if watch.lost else f"has ended with {type(failed).__name__}: {failed}".splitlines()[0])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    logging.shutdown()
    # Libraries would wait, when their objects go, for what never comes from others. So nothing more is ended in order.
    os._exit(1 if failed is not None else processes.ENDED)


def _place(
    environment: Mapping[str, str],
    address: str | None,
    count: int | None,
    index: int | None,
    devices: int | Sequence[int] | None,
    method: str | None,
    bind: str | None,
    partition: int | None,
    patience: float,
    heartbeat: float,
    farewell: float,
) -> Place:
    """The place of this process: as the arguments say, then the environment, then the scheduler."""
    address = address or environment.get("PORTAX_COORDINATOR_ADDRESS") or None
    count = _told(environment, "PORTAX_NUM_PROCESSES") if count is None else count
    index = _told(environment, "PORTAX_PROCESS_ID") if index is None else index
    partition = _told(environment, "PORTAX_PARTITION_INDEX") if partition is None else partition
    if devices is None and environment.get("PORTAX_LOCAL_DEVICE_IDS"):
        devices = [
            _number("PORTAX_LOCAL_DEVICE_IDS", part) for part in environment["PORTAX_LOCAL_DEVICE_IDS"].split(",")
        ]
    if method != "deactivate" and None in (address, count, index, devices):
        cluster = detect(method, environment)
        if cluster is not None:
            address = _address_of(cluster, environment) if address is None else address
            count = cluster.count() if count is None else count
            index = cluster.index() if index is None else index
            if devices is None and (local := cluster.local_index()) is not None:
                devices = [local]
    for name, value in (("coordinator_address", address), ("num_processes", count), ("process_id", index)):
        if value is None:
            raise ProcessError(
                wrong=f"portax.distributed.initialize does not know {name}: it was not given, PORTAX_{name.upper()} is "
                "not set, and no Slurm, Open MPI or Kubernetes is seen to tell it",
                fix=f"Give {name}=",
            )
    assert address is not None
    for name, value in (("num_processes", count), ("process_id", index)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ArgumentError(wrong=f"{name} is {value!r}", fix="Give a whole number")
    assert isinstance(count, int) and isinstance(index, int)
    if not 0 <= index < count:
        raise ArgumentError(
            wrong=f"process_id is {index} and num_processes {count}",
            fix="Give each process a process_id from 0 to num_processes - 1",
        )
    _, port = rollcall.split_address(address)
    return Place(
        coordinator=address,
        bind=bind or environment.get("PORTAX_COORDINATOR_BIND_ADDRESS") or f"[::]:{port}",
        index=index,
        count=count,
        devices=None if devices is None else (devices,) if isinstance(devices, int) else tuple(devices),
        partition=partition,
        patience=patience,
        heartbeat=heartbeat,
        farewell=farewell,
    )


def _address_of(cluster: Cluster, environment: Mapping[str, str]) -> str:
    port = _told(environment, "PORTAX_COORDINATOR_PORT")
    return f"{cluster.host()}:{cluster.port() if port is None else port}"


def _told(environment: Mapping[str, str], name: str) -> int | None:
    """The number that a variable holds; None where it is not set."""
    given = environment.get(name)
    return None if not given else _number(name, given)


def _number(name: str, given: str) -> int:
    if not given.strip().isdecimal():
        raise ProcessError(wrong=f"the variable {name} has {given!r} in it", fix="Set it to whole numbers")
    return int(given)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ArgumentError(wrong=f"{name} is {value!r}", fix="Give a number of seconds above 0")
    return float(value)
