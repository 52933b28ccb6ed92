"""Which arrays are alive. Nobody keeps a list of them, which every operation would pay for: the collector knows."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from portax.runtime.array import ConcreteArray


def arrays(among: Sequence[Any] | None = None) -> list[ConcreteArray]:
    """Arrays with a value, some of it on the devices given; what no device was chosen for is on the default device."""
    found = [x for x in gc.get_objects() if type(x) is ConcreteArray and _holds(x)]
    if among is None:
        return found
    return [x for x in found if not x.devices().isdisjoint(among)]


def _holds(x: ConcreteArray) -> bool:
    try:
        return not x.is_deleted()
    except AttributeError:  # being made
        return False
