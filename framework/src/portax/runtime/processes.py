"""Processes that work together: which of them this one is, and what it knows of the others.

A program of several processes runs in each of them, and XLA's collectives, which bring them together, wait for whoever
does not come. So the invariant here: **whoever loses another process learns of it, and ends in a bounded time.** A
:class:`Watch` is told of a loss by whoever finds out (``runtime.rollcall``). From then on every call that would wait
for a device raises, with the name of the process that is gone. Where nothing raises, because the main thread is inside
of a call that cannot be broken off, the watch ends the process itself: after `GRACE` seconds, with words, and with
the status `ENDED`.

No device library is met here. A driver that has a coordination service offers it as a :class:`Coordination`.
"""

from __future__ import annotations

import abc
import dataclasses
import os
import sys
import threading
from collections.abc import Callable

from portax.errors import ProcessError, user_frame_of

GRACE = 10.0
"""Seconds that a program has to notice, by a call that raises, that another process is gone."""

ENDED = 75
"""The exit status of a process that was ended because it did not notice. (EX_TEMPFAIL of sysexits: try again.)"""


@dataclasses.dataclass(frozen=True)
class Place:
    """The place of this process among those that work together.

    Attributes
    ----------
    coordinator : str
        ``host:port``, where all others find the first process.
    bind : str
        ``host:port`` at which the first process listens.
    index, count : int
        The number of this process, and how many there are.
    devices : tuple of int, or None
        Which of the machine's devices are this process's. None: all.
    partition : int or None
        Number of the group of devices with fast links among them that this process's devices belong to.
    patience, heartbeat, farewell : float
        Seconds: to wait for all to come, after which silence is death, and to wait for all to leave.
    """

    coordinator: str
    bind: str
    index: int
    count: int
    devices: tuple[int, ...] | None = None
    partition: int | None = None
    patience: float = 300.0
    heartbeat: float = 100.0
    farewell: float = 300.0


class Watch:
    """What a process knows of the others that work with it.

    Parameters
    ----------
    place : Place
    end : callable, optional
        Ends the process with a status. Tests give another.
    grace : float
    """

    def __init__(self, place: Place, end: Callable[[int], object] = os._exit, grace: float = GRACE) -> None:
        self.place, self.grace = place, grace
        self._end = end
        self._lost: dict[int, str] = {}
        self._known, self._noticed, self._leaving = threading.Event(), threading.Event(), False

    @property
    def lost(self) -> dict[int, str]:
        """The processes that are gone, each with what is known of why."""
        return dict(self._lost)

    def lose(self, index: int, why: str, *, all_is_lost: bool = False) -> None:
        """Note that a process is gone, unless that is known.

        Parameters
        ----------
        index : int
        why : str
            "has ended", and what else is known.
        all_is_lost : bool
            Without it no process can go on: the libraries that talk to it end this one in a moment, with worse words.
        """
        if index in self._lost:
            return
        self._lost[index] = why
        if all_is_lost and not self._leaving:
            self._end_now("it held what all of them are tied to")
        elif not self._known.is_set():
            self._known.set()
            threading.Thread(target=self._see_to_the_end, name="portax-watch", daemon=True).start()

    def check(self) -> None:
        """Do nothing as long as all processes are there.

        Raises
        ------
        ProcessError
            One is gone.
        """
        if self._lost:
            raise self.error()

    def check_within(self, seconds: float) -> None:
        """The same, after a failure that the loss of a process would explain: news of it may be on its way."""
        self._known.wait(seconds)
        self.check()

    def error(self) -> ProcessError:
        """The error that says which processes are gone. Whoever asks for it is going to raise it."""
        self._noticed.set()
        return ProcessError(
            wrong=f"{self._who()}, and this is process {self.place.index} of {self.place.count} that work together",
            fix="Look into its output for the reason, and start all of them again; what this process has computed is "
            "still there, so it may save it",
        )

    def leave(self) -> None:
        """From now on the end of others is nothing that anyone waits to hear of."""
        self._leaving = True

    def _who(self) -> str:
        return " and ".join([f"process {index} {why}" for index, why in sorted(self._lost.items())])

    def _see_to_the_end(self) -> None:
        """Wait for the program to notice, and end it if it does not."""
        if self._noticed.wait(self.grace) or self._leaving:
            return
        self._end_now(f"for {self.grace:g} seconds it made no call that could tell it so")

    def _end_now(self, why: str) -> None:
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        place = user_frame_of(frames.get(threading.main_thread().ident or 0))
        where = "" if place is None else f" It was at {place[0]}:{place[1]}, in {place[2]}."
        sys.stderr.write(
            f"portax: {self._who()}. Process {self.place.index} of {self.place.count} ends too (status {ENDED}): {why}."
            f"{where}\n"
        )
        sys.stderr.flush()
        self._end(ENDED)


class Coordination(abc.ABC):
    """What a driver has for processes that work together: a service in the first of them, and each one's tie to it.

    The core has called the roll before: all processes are there, and agree on how many they are. It calls ``serve`` in
    the first process, then ``connect`` in all, and ``leave`` in all when all are done. In between the driver's
    backends, when they are opened, find their devices in all processes.
    """

    @abc.abstractmethod
    def serve(self, place: Place) -> None:
        """Begin to serve at ``place.bind``, where nobody else listens."""

    @abc.abstractmethod
    def connect(self, place: Place, watch: Watch) -> None:
        """Tie this process to the service.

        From now on a wait for a device calls ``watch.check()`` again and again, and a failure that the end of another
        process would explain is followed by ``watch.check_within(seconds)``.
        """

    @abc.abstractmethod
    def leave(self) -> None:
        """Untie this process, and end the service if it serves. All others do the same now."""

    def stops_before(self, step: int) -> bool:
        """Whether all processes are to save their work before this step, for one of them is going to be stopped.

        All call it before each of their steps, whose numbers grow by one. Default: nobody hears of such a thing.
        """
        return False


class _Here:
    """What holds for this process, if it works with others.

    Attributes
    ----------
    watch : Watch or None
        Over those it works with.
    coordination : Coordination or None
        What ties it to them.
    """

    __slots__ = ("coordination", "watch")

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self.coordination: Coordination | None = None


here = _Here()
