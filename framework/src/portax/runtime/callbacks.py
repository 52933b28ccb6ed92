"""Programs that call Python: what a backend is told of the functions, and when a call of such a program returns.

A call of a program with effects returns when they have happened, so what a function raises is raised there. Of a
program on several devices a function must not fail within it: the other devices may be waiting for the one that
called, and XLA ends the process when that takes too long. So there the error is kept, the program goes on with zeros,
and the call raises what was kept when all devices are done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.runtime.contract import Buffer, Device, HostCallback

__all__ = ["host_callbacks", "refusal", "waiting", "waiting_together"]

Run = Callable[[list[Buffer]], list[Buffer]]
#: A function, and the avals of its results.
Called = tuple[Callable[..., Any], Sequence[Any]]


def refusal(name: str, device: Device) -> errors.GapError:
    """The error of a program that calls Python where programs cannot."""
    return errors.GapError(
        wrong=f"{name or 'a program'} calls Python, and programs on {device} cannot",
        fix="Run this part on another device, or take callbacks and prints out of it",
    )


def host_callbacks(called: Sequence[Called]) -> tuple[HostCallback, ...]:
    """The functions that a program's text calls, as a backend is given them."""
    return tuple([HostCallback(f, tuple([(a.shape, a.dtype) for a in avals])) for f, avals in called])


def waiting(run: Run, device: Device) -> Run:
    """Runs a program with side effects and waits for them: they happen in the order of the calls, and raise here.

    The last result of such a program is the order of its effects.
    """

    def run_and_wait(buffers: list[Buffer]) -> list[Buffer]:
        *outs, order = run(buffers)
        device.wait(order)
        return outs

    return run_and_wait


class Kept:
    """What the functions of one program raised, until a call of the program is done."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def keeping(self, called: Called) -> Called:
        """The function as one that never raises."""
        function, avals = called

        def call(*values: Any) -> Any:
            try:
                return function(*values)
            except BaseException as error:
                self.errors.append(error)
                return tuple([np.zeros(a.shape, a.dtype) for a in avals])

        return call, avals

    def tell(self) -> None:
        """Raise the first error, and forget the others."""
        found, self.errors = self.errors, []
        if found:
            raise found[0]


def waiting_together(run: Run, device: Device, kept: Kept, ordered: bool) -> Run:
    """The same of a program on several devices, with effects (``ordered``) or without; ``device`` is one of them."""

    def run_and_wait(buffers: list[Buffer]) -> list[Buffer]:
        outs = run(buffers)
        for x in outs:
            device.wait(x)
        kept.tell()
        return outs[:-1] if ordered else outs

    return run_and_wait
