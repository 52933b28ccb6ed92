"""Adding tangents, and tangents that are zero: what every transformation needs of arithmetic.

``add_any`` is addition of two values of one aval, under a name of its own so that a reader of a differentiated program
sees which sums come from the derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, in_order, weak_scalar
from portax.core.dtypes import KeyDtype
from portax.core.primitive import registry
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.elementwise import Elementwise

add_any = registry.add(
    Elementwise(
        "add_any",
        np.add,
        arity=2,
        doc="Sum of two cotangents of one value. Both have the same shape and dtype.",
        kinds=("int", "uint", "float", "complex"),
        derivatives=(lambda t, out, x, y: t, lambda t, out, x, y: t),
        transpose=lambda ct, x, y: (ct, ct),
        linear_in=(0, 1),
        decompose=lambda x, y: registry["add"](x, y),
        stablehlo="add",
    )
)

_scalars: dict[Any, np.ndarray] = {}


def zero(dtype: Any) -> np.ndarray:
    """The scalar 0 of ``dtype``."""
    known = _scalars.get(dtype)
    if known is None:
        known = _scalars[dtype] = np.zeros((), dtype.storage if isinstance(dtype, KeyDtype) else dtype)
    return known


def zeros(aval: Aval) -> Any:
    """Zeros of ``aval``, in the current trace."""
    start = weak_scalar(0, aval.dtype) if aval.weak_type else zero(aval.dtype)
    out = broadcast_in_dim(start, shape=aval.shape, broadcast_dimensions=()) if aval.ndim else start
    return registry["pvary"](out, axes=in_order(aval.varying)) if aval.varying else out
