"""Random keys as a driver's arrays have them: as numbers.

A key of 64 bits is a uint64, and arrays of keys are arrays of numbers of their shape. One of 128 bits is two, along a
last axis that the program does not know of; so what moves such keys is told of one axis more here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.dtypes import KeyDtype
from portax.errors import GapError

Params = dict[str, Any]


def stored(aval: Aval) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and dtype in which an array lies on a device."""
    dtype = aval.dtype
    if not isinstance(dtype, KeyDtype):
        return aval.shape, dtype
    return ((*aval.shape, 2), np.dtype(np.uint64)) if dtype.wide else (aval.shape, dtype.storage)


def is_wide(aval: Aval) -> bool:
    """It is of keys of 128 bits."""
    return isinstance(aval.dtype, KeyDtype) and aval.dtype.wide


def _sliced(p: Params, out: Aval) -> Params:
    strides = p["strides"]
    return {
        "start_indices": (*p["start_indices"], 0), "limit_indices": (*p["limit_indices"], 2),
        "strides": None if strides is None else (*strides, 1),
    }  # fmt: skip


#: By primitive: its parameters for arrays with one axis more at the end.
LONGER: dict[str, Callable[[Params, Aval], Params]] = {
    "reshape": lambda p, out: {"new_sizes": (*p["new_sizes"], 2)},
    "broadcast_in_dim": lambda p, out: {
        "shape": (*p["shape"], 2), "broadcast_dimensions": (*p["broadcast_dimensions"], out.ndim),
    },
    "transpose": lambda p, out: {"permutation": (*p["permutation"], out.ndim)},
    "slice": _sliced,
    "rev": lambda p, out: p,
    "concatenate": lambda p, out: p,
}  # fmt: skip


def longer(name: str, params: Params, avals: Sequence[Aval], outs: Sequence[Aval]) -> Params:
    """The parameters of an operation on arrays of which some are of wide keys; as they are where none is.

    Raises
    ------
    GapError
        The operation needs more than one axis more.
    """
    if not any(map(is_wide, (*avals, *outs))):
        return params
    if name not in LONGER:
        raise GapError(
            wrong=f"{name} of keys of 128 bits is nothing that drivers of the eager kind do",
            fix='Use keys of threefry2x32: random.key(seed, impl="threefry2x32")',
        )
    return LONGER[name](params, outs[0])
