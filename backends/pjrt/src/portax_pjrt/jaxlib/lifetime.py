"""Whether an array is there, whether it is ready, and the end of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from portax_pjrt.jaxlib.errors import check_alive, translate
from portax_pjrt.jaxlib.versions import XLAError


def is_deleted(array: Any) -> bool:
    """Whether the array was deleted, or donated."""
    return array.is_deleted()


def is_ready(array: Any) -> bool:
    """Whether the array is computed."""
    check_alive(array)
    return array.is_ready()


def wait(array: Any, where: str) -> None:
    """Wait until the array is computed, and raise what went wrong on the way."""
    check_alive(array)
    try:
        array.block_until_ready()
    except XLAError as error:
        raise translate(error, where, (array,)) from None


def wait_watching(array: Any, where: str, check: Callable[[], None]) -> None:
    """The same, with a look at something else now and then: ``check`` may raise."""
    check_alive(array)
    pause = 2e-5
    while not array.is_ready():
        check()
        time.sleep(pause)
        pause = min(1.5 * pause, 1e-3)
    wait(array, where)


def delete(array: Any) -> None:
    """Give the array's memory back. Twice is as good as once."""
    if not array.is_deleted():
        array.delete()
