"""Kinds of memory that values can be asked to lie in."""

from __future__ import annotations

import enum


class Space(enum.Enum):
    """Where a value lies, as programs for devices with several memories say it.

    Examples
    --------
    >>> from portax import memory
    >>> [space.name for space in memory.Space]
    ['Device', 'Host', 'Any']
    """

    #: The device's own memory.
    Device = enum.auto()
    #: The host's memory, as the device sees it.
    Host = enum.auto()
    #: Either.
    Any = enum.auto()

    def __repr__(self) -> str:
        return f"Space.{self.name}"
