"""XLA's coordination service, by which clients in several processes find each other, and Gloo, by which they talk.

These calls end the process where others raise: a connection that fails, a port in use, a service that goes away.
Nothing on Python's side can prevent it (a callback is asked for, and called with a value that jaxlib cannot convert).
So they are made only when the core has called the roll and all is well.
"""

from __future__ import annotations

from typing import Any

from portax.backend import Place, ProcessError
from portax_pjrt.jaxlib.versions import XLAError, bindings


def serve(place: Place) -> Any:
    """The service, which lives as long as what this gives is not ended."""
    try:
        return bindings.get_distributed_runtime_service(
            place.bind, place.count, heartbeat_timeout=_whole(place.heartbeat),
            cluster_register_timeout=_whole(place.patience), shutdown_timeout=_whole(place.farewell),
        )  # fmt: skip
    except XLAError as error:
        raise _failed(f"XLA's coordination service did not start at {place.bind}", error) from None


def connect(place: Place) -> Any:
    """This process's tie to the service."""
    job = bindings.get_distributed_runtime_client(
        place.coordinator, place.index, init_timeout=_whole(place.patience), heartbeat_timeout=_whole(place.heartbeat),
        shutdown_timeout=_whole(place.farewell), shutdown_on_destruction=False, use_compression=True,
    )  # fmt: skip
    try:
        job.connect()
    except XLAError as error:
        raise _failed(f"process {place.index} found no coordination service at {place.coordinator}", error) from None
    return job


def gloo(job: Any) -> Any:
    """Collectives among the processors of all processes."""
    return bindings.make_gloo_tcp_collectives(distributed_client=job)


def notices(job: Any) -> Any:
    """What hears SIGTERM in any process from now on, where it ends none any more, and has all of them know of it."""
    manager = bindings.create_preemption_sync_manager()
    try:
        manager.initialize(job)
    except XLAError as error:
        raise _failed("the processes cannot tell each other that one is going to be stopped", error) from None
    return manager


def end(what: Any) -> None:
    """End a tie, the service, or what hears notices."""
    try:
        what.shutdown()
    except XLAError as error:
        raise _failed("the processes did not part", error) from None


def _whole(seconds: float) -> int:
    return max(1, round(seconds))


def _failed(what: str, error: Exception) -> ProcessError:
    return ProcessError(wrong=f"{what}: {error}", fix="Look into the output of the other processes for the reason")
