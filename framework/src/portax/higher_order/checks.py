"""What a traced function may return."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import errors
from portax.core.array import Array
from portax.core.aval import aval_of


def check_output(x: Any, name: str) -> None:
    """Raise if a result of a traced function is not an array."""
    if isinstance(x, Array | np.ndarray | np.generic | bool | int | float | complex):
        return
    try:
        aval_of(x)
    except errors.DtypeError:
        raise errors.ArgumentError(
            wrong=f"{name} returned {x!r} of type {type(x).__name__}, which is not an array",
            fix="Return arrays, or trees of arrays",
        ) from None
