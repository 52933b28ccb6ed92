"""Each thread of a processor's OpenCL device on a core of its own, while kernels are large.

PoCL starts a thread for each core and lets them sleep between kernels. Linux, when it wakes two of them at once, often
puts both on the core of whoever woke them and moves one away only milliseconds later: of a kernel of 1.4 ms that is
waited for, every second run took 2.9 ms. Small kernels are better off where the system puts them: beside a thread that
asks for one after the other, one that must not leave its core waits for it. So threads are kept apart from the first
large kernel on, until there have been many small ones.

Invariant: a thread is moved only where there is exactly one for each core that this process may use. Where a user has
asked for fewer threads, or the list has others in it, all stay as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Set

__all__ = ["PATIENCE", "PIN", "Threads", "running"]

#: The environment variable that leaves threads where the system puts them.
PIN = "PORTAX_OPENCL_PIN"
#: So many small kernels in a row let threads go again.
PATIENCE = 64
_LISTED = "/proc/self/task"


def running() -> frozenset[int]:
    """The threads of this process; none where the system does not list them."""
    try:
        return frozenset(int(name) for name in os.listdir(_LISTED))
    except OSError:
        return frozenset()


class Threads:
    """Those of the devices of one platform.

    Parameters
    ----------
    started : set of int
        What appeared in the list of this process's threads while the devices were looked for.

    Attributes
    ----------
    apart : bool
        Each is on a core of its own now.
    """

    def __init__(self, started: Set[int]) -> None:
        self.apart, self._small = False, 0
        self._cores: list[int] = []
        self._threads = sorted(started)
        if os.environ.get(PIN) != "0" and hasattr(os, "sched_setaffinity"):
            self._cores = sorted(os.sched_getaffinity(0))
        self.movable = bool(self._cores) and len(self._threads) == len(self._cores)

    def launched(self, large: bool) -> None:
        """A kernel is about to be launched, with work for all cores or not."""
        if not self.movable:
            return
        if large:
            self._small = 0
            if not self.apart:
                self._keep(apart=True)
        elif self.apart:
            self._small += 1
            if self._small == PATIENCE:
                self._keep(apart=False)

    def _keep(self, apart: bool) -> None:
        self.apart = apart
        try:
            for thread, core in zip(self._threads, self._cores):
                os.sched_setaffinity(thread, {core} if apart else self._cores)
        except OSError:  # a thread that has ended since, or a sandbox's refusal: from now on all stay
            self.apart = self.movable = False
            for thread in self._threads:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(thread, self._cores)
