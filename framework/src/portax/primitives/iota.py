"""Counting: arrays whose elements are their own index. It has no operands, so it has no derivative and no batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError


class Iota(Primitive):
    """The array of ``shape`` whose elements are their index along ``dimension``.

    Parameters
    ----------
    dtype : dtype, static, any numeric one; an index too large for it wraps or rounds
    shape : tuple of int, static
    dimension : int, static, ``0 <= dimension < len(shape)``
    sharding : static, how the result lies on its devices

    Returns
    -------
    Array of ``shape`` and ``dtype``
    """

    name = "iota"
    shown_as_none = ("sharding",)
    required = True
    dtypes = ("int", "uint", "float", "complex")

    def abstract(self, *, dtype: Any, shape: Any, dimension: int, sharding: Any = None) -> Aval:
        if not 0 <= dimension < len(shape):
            raise ShapeError(
                wrong=f"iota cannot count along axis {dimension} of shape {tuple(shape)}",
                fix=f"Give 0 <= dimension < {len(shape)}",
            )
        if any(n < 0 for n in shape):
            raise ShapeError(
                wrong=f"iota cannot make an array of shape {tuple(shape)}", fix="Give lengths of 0 or more"
            )
        if dtype == np.bool_:
            raise DtypeError(wrong="iota cannot count in bool", fix="Give a numeric dtype")
        return Aval(tuple(shape), dtype)

    def reference(self, *, dtype: Any, shape: Any, dimension: int, sharding: Any = None) -> np.ndarray:
        n = shape[dimension]
        row = np.arange(n).astype(dtype)
        return np.broadcast_to(row.reshape([n if a == dimension else 1 for a in range(len(shape))]), shape)

    def stablehlo(self, b: Any, *, dtype: Any, shape: Any, dimension: int, sharding: Any = None) -> Any:
        return b.iota(shape, dimension, dtype)

    def samples(self, make: Any) -> Any:
        dtype = make(()).dtype
        yield Sample(dtype=dtype, shape=(5,), dimension=0, sharding=None, id="vector")
        yield Sample(dtype=dtype, shape=(2, 3, 4), dimension=1, sharding=None, id="middle")
        yield Sample(dtype=dtype, shape=(0, 3), dimension=1, sharding=None, id="empty")

    def refusals(self, make: Any) -> Any:
        dtype = make(()).dtype
        bad = Sample(dtype=dtype, shape=(5,), dimension=1, sharding=None)
        yield Refusal(bad, ShapeError, "cannot count along axis 1")
        negative = Sample(dtype=dtype, shape=(2, -1), dimension=0, sharding=None)
        yield Refusal(negative, ShapeError, "cannot make an array of shape (2, -1)")
        yield Refusal(Sample(dtype=np.dtype(bool), shape=(5,), dimension=0, sharding=None), DtypeError, "in bool")


iota = registry.add(Iota())
