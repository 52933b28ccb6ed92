"""What a driver of the eager kind writes: how arrays come and go, and a table of functions of them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np


class Library(abc.ABC):
    """One device, as the eager way uses its library.

    Attributes
    ----------
    kind : str
        The product, as its maker calls it.
    dtypes : frozenset of str
        NumPy and ml_dtypes names of the dtypes that its arrays may have.
    table : mapping of str to callable
        By the name of a primitive the function that does it, of the library's own arrays. It has the primitive's
        operands by position and its parameters by keyword, and gives an array; a list of arrays where the primitive
        has several results. It changes no operand, and its result may share memory with one.

    Notes
    -----
    Parameters that say nothing of what is computed are left out: ``accuracy``, ``precision``, ``sharding``,
    ``out_sharding``, ``weak_type``, and those that are None where a primitive has them for the sake of JAX's signature
    (``dimensions`` of ``reshape``). Among the operands of elementwise functions there may be arrays of rank 0 beside
    others. NumPy's floating point warnings are off. Functions may be called from several threads at once.

    What a primitive means stands in its class and in the opset's reference; those that every driver must have are
    ``required`` there. A primitive that the table lacks is replaced by its decomposition, and programs called by
    others are written in their place; loops and branches run on the host.
    """

    kind: str = ""
    dtypes: ClassVar[frozenset[str]] | frozenset[str] = frozenset({"bool", "int32", "float32"})
    table: Mapping[str, Callable[..., Any]] = {}

    @abc.abstractmethod
    def put(self, array: np.ndarray) -> Any:
        """An array of the library's own with the contents of ``array``, which may change as soon as this returns.

        ``array`` is contiguous, of any rank and any of the dtypes declared.
        """

    @abc.abstractmethod
    def host(self, array: Any) -> np.ndarray:
        """The contents of one of the library's arrays. Waits for them, and raises what went wrong."""

    def wait(self, array: Any) -> None:
        """Return when an array is computed. For libraries whose functions return before that."""
        return None

    def ready(self, array: Any) -> bool:
        """Whether ``wait`` would return at once."""
        return True

    def shape_and_dtype(self, array: Any) -> tuple[Any, Any]:
        """What the library says of an array, None for what it cannot say in NumPy's terms.

        Results are compared with what the primitive means, so that a wrong function is found where it is wrong.
        """
        shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
        return None if shape is None else tuple(shape), dtype if isinstance(dtype, np.dtype) else None

    def memory_stats(self) -> Mapping[str, int]:
        """Memory of the device in bytes, such as ``'bytes_in_use'``. Empty when unknown."""
        return {}
