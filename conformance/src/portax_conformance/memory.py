"""Memory comes back: calls over and over leave a process no larger than the first ones did."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import portax as px
import portax.numpy as pnp
from portax.runtime.contract import Device

#: Of an array, and how much the process may grow by over all calls but the first: much less than they handle.
BYTES, CALLS = 1 << 20, 48
SLACK = 16 << 20


def resident(pid: int | None = None) -> int:
    """The bytes of memory that a process holds; 0 where the system does not say.

    Parameters
    ----------
    pid : int, optional
        Default: this one.
    """
    try:
        with open(f"/proc/{pid or os.getpid()}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _steady(call: Callable[[], Any]) -> None:
    for _ in range(4):
        call()
    gc.collect()
    before = resident()
    for _ in range(CALLS):
        call()
    gc.collect()
    grown = resident() - before
    words = f"after {CALLS} calls on {BYTES >> 20} MB the process is {grown >> 20} MB larger, {SLACK >> 20} MB allowed"
    assert grown <= SLACK, words


def calls(device: Device) -> None:
    """Of a compiled program."""
    x = px.device_put(np.ones(BYTES // 4, np.float32), device)
    f = px.jit(lambda x: pnp.sin(x) + x, effort="fast")
    _steady(lambda: f(x).block_until_ready())


def transfers(device: Device) -> None:
    """Of arrays to the device and back."""
    x = np.ones(BYTES // 4, np.float32)
    _steady(lambda: np.asarray(px.device_put(x, device)))


def donations(device: Device) -> None:
    """Of arrays given away, call after call."""
    f = px.jit(lambda x: x * 2, donate_argnums=0, effort="fast")
    place = [px.device_put(np.ones(BYTES // 4, np.float32), device)]

    def call() -> None:
        place[0] = f(place[0]).block_until_ready()

    _steady(call)


CHECKS: tuple[tuple[str, Callable[[Device], None]], ...] = (
    ("calls", calls),
    ("transfers", transfers),
    ("donations", donations),
)
