"""A table of rules, by primitive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portax.core.primitive import Primitive


class Rules(dict[Primitive, Callable[..., Any]]):
    """A rule put here lands in a slot of its primitive.

    Parameters
    ----------
    install : callable
        ``(primitive, rule)``, fills the slot.
    """

    def __init__(self, install: Callable[[Primitive, Callable[..., Any]], None]) -> None:
        super().__init__()
        self._install = install

    def __setitem__(self, primitive: Primitive, rule: Callable[..., Any]) -> None:
        super().__setitem__(primitive, rule)
        self._install(primitive, rule)
        primitive.derived.clear()  # what transformations have found out about it so far
