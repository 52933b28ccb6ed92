"""The type of every array-like value: concrete arrays and tracers are both an ``Array``.

Nothing is computed here. The operators and methods a user sees on an array (``+``, ``[...]``, ``.sum()``) are put on
this class by ``portax._wiring``, because they belong to a higher floor; type checkers and editors read them in
``array_members``. A subclass provides ``aval``,
from which ``shape`` and ``dtype`` follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portax import errors
from portax.core.aval import Aval, Described

if TYPE_CHECKING:
    from portax.core.array_members import ArrayMembers
else:
    ArrayMembers = object


class Array(Described, ArrayMembers):
    """An immutable N-dimensional array, computed already or still being traced."""

    __slots__ = ()

    #: NumPy gives way to portax in mixed expressions such as ``numpy_array + portax_array``.
    __array_priority__ = 100

    aval: Aval

    @property
    def flat(self) -> Any:
        """NumPy's iterator over the elements, which arrays here do not have."""
        raise errors.GapError(wrong="arrays have no .flat", fix="Use .ravel(), or .reshape(-1), and index that")

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.aval.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.aval.size * self.aval.dtype.itemsize
