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
        self._notices: Any = None

    def serve(self, place: Place) -> None:
        self._service = jobs.serve(place)

    def connect(self, place: Place, watch: Watch) -> None:
        self.job, self.place, self.watch = jobs.connect(place), place, watch

    def leave(self) -> None:
        # What hears notices speaks through the job, and that to the service.
        ends = [what for what in (self._notices, self.job, self._service) if what is not None]
        self.job = self._service = self._notices = None
        for what in ends:
            jobs.end(what)

    def stops_before(self, step: int) -> bool:
        if self._notices is None:
            self._notices = jobs.notices(self.job)
        return bool(self._notices.reached_sync_point(step))


COORDINATION = XLACoordination()
