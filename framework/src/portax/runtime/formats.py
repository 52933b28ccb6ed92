"""How an array lies in memory: the order of its axes, and its parts on devices.

Every buffer that a driver is handed or hands out is dense and row-major, so formats are read and never asked for.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from portax import errors


@dataclasses.dataclass(frozen=True)
class Layout:
    """The order of an array's axes in memory.

    Attributes
    ----------
    major_to_minor : tuple of int
        The axes, outermost first.
    tiling : tuple
        Into which tiles it is cut; empty where into none.
    sub_byte_element_size_in_bits : int
        0 where elements are whole bytes, or one to a byte.
    """

    major_to_minor: tuple[int, ...]
    tiling: tuple[Any, ...] = ()
    sub_byte_element_size_in_bits: int = 0


@dataclasses.dataclass(frozen=True)
class Format:
    """How an array lies in memory and on devices.

    Attributes
    ----------
    layout : Layout or None
        None where it is not known.
    sharding : Sharding or None

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.ones((2, 3)).format.layout.major_to_minor
    (0, 1)
    """

    layout: Layout | None = None
    sharding: Any = None

    def __post_init__(self) -> None:
        given: Any = self.layout
        if given is not None and not isinstance(given, Layout):
            raise errors.ArgumentError(
                wrong=f"a Format was given the layout {self.layout!r}", fix="Give a Layout, or None"
            )


def row_major(ndim: int, sharding: Any) -> Format:
    """The format of arrays of ``ndim`` axes."""
    return Format(Layout(tuple(range(ndim))), sharding)
