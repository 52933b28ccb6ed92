"""Each thread of a processor's OpenCL device on a core of its own.

PoCL starts a thread for each core and lets them sleep between kernels. Linux, when it wakes two of them at once, often
puts both on the core of whoever woke them and moves one away only milliseconds later: of a kernel of 1.4 ms that is
waited for, every second run took 2.9 ms. To which core a thread belongs is told here, by what appeared in the list of
this process's threads while the device was looked for.

Invariant: a thread is moved only where there is exactly one for each core that this process may use. Where a user has
asked for fewer threads, or the list has others in it, all stay as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Set

__all__ = ["PIN", "keep_apart", "running"]

#: The environment variable that leaves threads where the system puts them.
PIN = "PORTAX_OPENCL_PIN"
_LISTED = "/proc/self/task"


def running() -> frozenset[int]:
    """The threads of this process; none where the system does not list them."""
    try:
        return frozenset(int(name) for name in os.listdir(_LISTED))
    except OSError:
        return frozenset()


def keep_apart(started: Set[int]) -> bool:
    """Give each of these threads a core; whether that was done."""
    if os.environ.get(PIN) == "0" or not hasattr(os, "sched_setaffinity"):
        return False
    cores = sorted(os.sched_getaffinity(0))
    if len(started) != len(cores):
        return False
    try:
        for thread, core in zip(sorted(started), cores):
            os.sched_setaffinity(thread, {core})
    except OSError:  # a thread that has ended since, or a sandbox's refusal
        for thread in started:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, cores)
        return False
    return True
