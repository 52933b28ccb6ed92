"""How the drivers on XLA find their devices in other processes: one service and one tie for all of them."""

from __future__ import annotations

from typing import Any

from portax.backend import Coordination, Place, Watch
from portax_pjrt.jaxlib import jobs


class XLACoordination(Coordination):
    """XLA's coordination service.

    Attributes
    ----------
    job : object or None
        jaxlib's client of the service, while this process is tied to it.
    place : Place or None
    watch : Watch or None
    """

    def __init__(self) -> None:
        self.job: Any = None
        self.place: Place | None = None
        self.watch: Watch | None = None
        self._service: Any = None

    def serve(self, place: Place) -> None:
        self._service = jobs.serve(place)

    def connect(self, place: Place, watch: Watch) -> None:
        self.job, self.place, self.watch = jobs.connect(place), place, watch

    def leave(self) -> None:
        job, service = self.job, self._service
        self.job = self._service = None
        if job is not None:
            jobs.end(job)
        if service is not None:
            jobs.end(service)


COORDINATION = XLACoordination()
