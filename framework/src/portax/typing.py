"""Types for annotations: what functions of portax take where they say array or dtype."""

from __future__ import annotations

from typing import Any, Protocol, Union, runtime_checkable

import numpy as np

from portax.core.array import Array

__all__ = ["ArrayLike", "DTypeLike", "SupportsDType"]


@runtime_checkable
class SupportsDType(Protocol):
    """Anything that has a dtype: an array, an aval, a ``ShapeDtypeStruct``."""

    @property
    def dtype(self) -> Any:
        """The element type."""
        ...


#: What is taken for an array: an array, or a scalar of Python or NumPy. Nested lists are not.
ArrayLike = Union[Array, np.ndarray, np.bool_, np.number, bool, int, float, complex]  # noqa: UP007 (isinstance too)

#: What names a dtype: its name, a scalar type, a dtype, or something that has one.
DTypeLike = Union[str, type[Any], np.dtype, SupportsDType]  # noqa: UP007
