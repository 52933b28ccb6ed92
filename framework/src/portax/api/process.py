"""Processes by their older names, what is alive in this one, and what it runs on."""

from __future__ import annotations

import platform as machine
import sys
from typing import Any

import numpy as np

from portax.api.placement import local_devices, process_count, process_index
from portax.core.lazy import lazy
from portax.runtime import devices
from portax.version import __version__

live = lazy("portax.runtime.live")


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of the processes that work together.

    Examples
    --------
    >>> import portax
    >>> portax.process_indices()
    [0]
    """
    return list(range(process_count(backend)))


def host_count(backend: str | None = None) -> int:
    """The older name of ``process_count``.

    Examples
    --------
    >>> portax.host_count()
    1
    """
    return process_count(backend)


def host_id(backend: str | None = None) -> int:
    """The older name of ``process_index``.

    Examples
    --------
    >>> portax.host_id()
    0
    """
    return process_index(backend)


def host_ids(backend: str | None = None) -> list[int]:
    """The older name of ``process_indices``.

    Examples
    --------
    >>> portax.host_ids()
    [0]
    """
    return process_indices(backend)


def live_arrays(platform: str | None = None) -> list[Any]:
    """The arrays that have a value, and hold memory for it.

    Parameters
    ----------
    platform : str, optional
        Only those of this backend; left out, of all.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> x = pnp.ones(3)
    >>> any(y is x for y in portax.live_arrays())
    True
    """
    return live.arrays(None if platform is None else devices.devices(platform))


def print_environment_info(return_string: bool = False) -> str | None:
    """Print what a report of a fault should say: versions, devices, machine.

    Parameters
    ----------
    return_string : bool
        Give the text instead of printing it.

    Examples
    --------
    >>> import portax
    >>> portax.print_environment_info(return_string=True).split(":")[0]
    'portax'
    """
    device = devices.default_device()
    text = "\n".join(
        [
            f"portax: {__version__}",
            f"numpy: {np.__version__}",
            f"python: {sys.version}",
            f"devices: {len(local_devices())} of {device.platform} ({device.kind}), driver {device.backend.version}",
            f"processes: {process_count()}",
            f"machine: {machine.platform()}",
        ]
    )
    if return_string:
        return text
    print(text)
    return None
