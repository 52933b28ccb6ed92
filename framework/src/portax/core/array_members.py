"""What ``portax._wiring`` puts on arrays, for type checkers and editors. Nothing here runs.

Made from the arrays themselves, not by hand; a test says so when it is no longer true, and how to make it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from portax.core.array import Array


class Updates(Protocol):
    """What ``x.at[index]`` can do: each gives an array, and changes none."""

    def get(
        self, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        fill_value: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """The elements, ``x[idx]``; ``fill_value`` is read out of range under ``mode="fill"``."""
        ...

    def set(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with ``values`` in place of the elements: ``x[idx] = values``."""
        ...

    def add(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with ``values`` added to the elements: ``x[idx] += values``."""
        ...

    def subtract(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with ``values`` subtracted from the elements: ``x[idx] -= values``."""
        ...

    def multiply(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with the elements multiplied by ``values``: ``x[idx] *= values``."""
        ...

    def mul(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with the elements multiplied by ``values``: ``x[idx] *= values``."""
        ...

    def min(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with the lesser of each element and ``values`` in its place."""
        ...

    def max(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with the greater of each element and ``values`` in its place."""
        ...

    def apply(
        self, func: Callable[[Any], Any], *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, wrap_negative_indices: bool = True
    ) -> Array:
        """``x`` with ``func`` of each element in its place; once for every time the index names it."""
        ...

    def divide(self, values: Any, **options: Any) -> Array:
        """``x`` with the elements divided by ``values``: ``x[idx] /= values``."""
        ...

    def power(self, values: Any, **options: Any) -> Array:
        """``x`` with the elements to the power ``values``: ``x[idx] **= values``."""
        ...


class At(Protocol):
    """``x.at``, which wants an index."""

    def __getitem__(self, index: Any, /) -> Updates: ...


class ArrayMembers:
    """The operators and methods of every array."""


    def __add__(self, other: Any, /) -> Array: ...
    def __radd__(self, other: Any, /) -> Array: ...
    def __sub__(self, other: Any, /) -> Array: ...
    def __rsub__(self, other: Any, /) -> Array: ...
    def __mul__(self, other: Any, /) -> Array: ...
    def __rmul__(self, other: Any, /) -> Array: ...
    def __truediv__(self, other: Any, /) -> Array: ...
    def __rtruediv__(self, other: Any, /) -> Array: ...
    def __floordiv__(self, other: Any, /) -> Array: ...
    def __rfloordiv__(self, other: Any, /) -> Array: ...
    def __mod__(self, other: Any, /) -> Array: ...
    def __rmod__(self, other: Any, /) -> Array: ...
    def __divmod__(self, other: Any, /) -> tuple[Array, Array]: ...
    def __rdivmod__(self, other: Any, /) -> tuple[Array, Array]: ...
    def __pow__(self, other: Any, /) -> Array: ...
    def __rpow__(self, other: Any, /) -> Array: ...
    def __and__(self, other: Any, /) -> Array: ...
    def __rand__(self, other: Any, /) -> Array: ...
    def __or__(self, other: Any, /) -> Array: ...
    def __ror__(self, other: Any, /) -> Array: ...
    def __xor__(self, other: Any, /) -> Array: ...
    def __rxor__(self, other: Any, /) -> Array: ...
    def __lshift__(self, other: Any, /) -> Array: ...
    def __rlshift__(self, other: Any, /) -> Array: ...
    def __rshift__(self, other: Any, /) -> Array: ...
    def __rrshift__(self, other: Any, /) -> Array: ...
    def __eq__(self, other: object, /) -> Array: ...  # pyright: ignore[reportIncompatibleMethodOverride]  # of elements, not of the whole
    def __ne__(self, other: object, /) -> Array: ...  # pyright: ignore[reportIncompatibleMethodOverride]  # of elements, not of the whole
    def __lt__(self, other: Any, /) -> Array: ...
    def __le__(self, other: Any, /) -> Array: ...
    def __gt__(self, other: Any, /) -> Array: ...
    def __ge__(self, other: Any, /) -> Array: ...
    def __neg__(self) -> Array: ...
    def __pos__(self) -> Array: ...
    def __abs__(self) -> Array: ...
    def __invert__(self) -> Array: ...
    def all(
        self, axis: int | Sequence[int] | None = None, out: None = None, keepdims: bool = False, *,
        where: Any = None
    ) -> Array:
        """Whether all of the elements over axes are true (not zero)."""
        ...

    def any(
        self, axis: int | Sequence[int] | None = None, out: None = None, keepdims: bool = False, *,
        where: Any = None
    ) -> Array:
        """Whether any of the elements over axes are true (not zero)."""
        ...

    def argmax(self, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Array:
        """The place of the greatest element along an axis, the first of equals; NaN counts as it."""
        ...

    def argmin(self, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Array:
        """The place of the least element along an axis, the first of equals; NaN counts as it."""
        ...

    def argpartition(self, kth: int, axis: int = -1) -> Array:
        """The places of the elements along an axis, in an order as `partition` gives."""
        ...

    def argsort(
        self, axis: int | None = -1, *, kind: None = None, order: None = None, stable: bool = True,
        descending: bool = False, dtype: Any = None
    ) -> Array:
        """The places of the elements along an axis, in the order of the elements."""
        ...

    def choose(self, choices: Any, out: None = None, mode: str = "raise") -> Array:
        """For each place the element of one of several arrays: ``out[i] = choices[a[i]][i]``."""
        ...

    def clip(self, min: Any = None, max: Any = None) -> Array:
        """The elements limited to an interval."""
        ...

    def conj(self, out: None = None, where: None = None) -> Array:
        """The complex conjugate of each element; real numbers as they are."""
        ...

    def conjugate(self, out: None = None, where: None = None) -> Array:
        """The complex conjugate of each element; real numbers as they are."""
        ...

    def copy(self, order: str | None = None) -> Array:
        """A copy of an array."""
        ...

    def cumprod(self, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
        """The running product along an axis."""
        ...

    def cumsum(self, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
        """The running sum along an axis."""
        ...

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
        """The elements ``a[..., i, i + offset]`` of two axes, along a new last axis."""
        ...

    def dot(
        self, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None
    ) -> Array:
        """The dot product: sums of products over the last axis of ``a`` and the last but one of ``b``."""
        ...

    def max(
        self, axis: int | Sequence[int] | None = None, out: None = None, keepdims: bool = False,
        initial: Any = None, where: Any = None
    ) -> Array:
        """The greatest of array elements over axes; NaN if one is NaN."""
        ...

    def mean(
        self, axis: int | Sequence[int] | None = None, dtype: Any = None, out: None = None, keepdims: bool = False,
        *, where: Any = None
    ) -> Array:
        """The arithmetic mean over axes."""
        ...

    def min(
        self, axis: int | Sequence[int] | None = None, out: None = None, keepdims: bool = False,
        initial: Any = None, where: Any = None
    ) -> Array:
        """The least of array elements over axes; NaN if one is NaN."""
        ...

    def nonzero(self, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
        """The indices of the elements that are not 0, in row-major order."""
        ...

    def prod(
        self, axis: int | Sequence[int] | None = None, dtype: Any = None, out: None = None, keepdims: bool = False,
        initial: Any = None, where: Any = None, promote_integers: bool = True
    ) -> Array:
        """The product of array elements over axes; parameters as for ``sum``."""
        ...

    def ptp(self, axis: int | Sequence[int] | None = None, out: None = None, keepdims: bool = False) -> Array:
        """The range of array elements over axes: the greatest less the least."""
        ...

    def ravel(self, order: str = "C", *, out_sharding: Any = None) -> Array:
        """The elements of an array along one axis."""
        ...

    def repeat(
        self, repeats: Any, axis: int | None = None, *, total_repeat_length: int | None = None,
        out_sharding: Any = None
    ) -> Array:
        """An array with each element (or slice along an axis) several times in a row."""
        ...

    def round(self, decimals: int = 0, out: None = None) -> Array:
        """Each element rounded to a number of decimals, ties to the even neighbour."""
        ...

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan") -> Array:
        """The places in a sorted array before which values belong."""
        ...

    def sort(
        self, axis: int | None = -1, *, kind: None = None, order: None = None, stable: bool = True,
        descending: bool = False
    ) -> Array:
        """The elements along an axis from least to greatest; NaN last."""
        ...

    def squeeze(self, axis: int | Sequence[int] | None = None) -> Array:
        """An array without axes of length 1."""
        ...

    def std(
        self, axis: int | Sequence[int] | None = None, dtype: Any = None, out: None = None, ddof: int = 0,
        keepdims: bool = False, *, where: Any = None, mean: Any = None, correction: Any = None
    ) -> Array:
        """The standard deviation over axes: the square root of the variance; parameters as for ``var``."""
        ...

    def sum(
        self, axis: int | Sequence[int] | None = None, dtype: Any = None, out: None = None, keepdims: bool = False,
        initial: Any = None, where: Any = None, promote_integers: bool = True
    ) -> Array:
        """The sum of array elements over axes."""
        ...

    def swapaxes(self, axis1: int, axis2: int) -> Array:
        """An array with two axes exchanged."""
        ...

    def take(
        self, indices: Any, axis: int | None = None, out: None = None, mode: str | None = None,
        unique_indices: bool = False, indices_are_sorted: bool = False, fill_value: Any = None
    ) -> Array:
        """Slices of an array along an axis, at given places."""
        ...

    def trace(self, offset: Any = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Array:
        """Sum of a diagonal."""
        ...

    def var(
        self, axis: int | Sequence[int] | None = None, dtype: Any = None, out: None = None, ddof: int = 0,
        keepdims: bool = False, *, where: Any = None, mean: Any = None, correction: Any = None
    ) -> Array:
        """The variance over axes: the mean squared distance from the mean."""
        ...

    def __matmul__(self, other: Any, /) -> Array: ...
    def __rmatmul__(self, other: Any, /) -> Array: ...
    def __getitem__(self, index: Any, /) -> Array: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Array]: ...
    def __reversed__(self) -> Iterator[Array]: ...
    def __contains__(self, item: Any, /) -> bool: ...
    def __round__(self, ndigits: int | None = None) -> Array: ...
    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType: ...
    def astype(self, dtype: Any, copy: bool = False, device: Any = None) -> Array:
        """This array with its elements converted to ``dtype``."""
        ...

    def compress(
        self, condition: Any, axis: int | None = None, *, out: None = None, size: int | None = None,
        fill_value: Any = 0
    ) -> Array:
        """The slices of this array along an axis where ``condition`` is true."""
        ...

    def reshape(self, *args: Any, order: str = "C", out_sharding: Any = None) -> Array:
        """The elements of this array in another shape: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``."""
        ...

    def transpose(self, *args: Any) -> Array:
        """This array with its axes in reverse order, or in the order given: ``x.transpose(1, 0)`` or ``((1, 0))``."""
        ...

    def flatten(self, order: str = "C", *, out_sharding: Any = None) -> Array:
        """The elements of this array along one axis."""
        ...

    def view(self, dtype: Any = None, type: None = None) -> Array:
        """The bytes of this array read as another dtype; the last axis changes its length where the sizes differ."""
        ...

    def byteswap(self) -> Array:
        """An array with the bytes of each element (of each part, where complex) in the other order."""
        ...

    @property
    def at(self) -> At:
        """Updates of a copy: ``x.at[i].set(y)``, ``.add``, ``.multiply``, ``.min``, ``.max``, ``.get``, ``.apply``."""
        ...

    @property
    def T(self) -> Array:
        """This array with its axes in reverse order, or in the order given: ``x.transpose(1, 0)`` or ``((1, 0))``."""
        ...

    @property
    def mT(self) -> Array:
        """This array with its last two axes exchanged."""
        ...

    @property
    def real(self) -> Array:
        """The real part of each element."""
        ...

    @property
    def imag(self) -> Array:
        """The imaginary part of each element; 0 of a real one."""
        ...

    def devices(self) -> set[Any]:
        """The devices that hold the value or parts of it."""
        ...

    @property
    def sharding(self) -> Any:
        """How the value lies on its devices."""
        ...

    @property
    def addressable_shards(self) -> list[Any]:
        """The parts on devices of this process, each with its device and its place in the whole."""
        ...

    @property
    def global_shards(self) -> list[Any]:
        """The parts on all devices; those of other processes have no data."""
        ...

    def is_deleted(self) -> bool:
        """Whether the value was deleted or donated."""
        ...

    def delete(self) -> None:
        """Give the memory back now; any later use of the value raises ``DeletedArrayError``."""
        ...

    def unsafe_buffer_pointer(self) -> int:
        """Address of the first element in the device's memory."""
        ...

    def addressable_data(self, index: int) -> Array:
        """The part of the array on the device number ``index`` of those of this process: all of it, on the only one."""
        ...

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all of the array is on devices of this process."""
        ...

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device that holds a part holds all of the array."""
        ...

    @property
    def traceback(self) -> None:
        """Where the array was made: not kept."""
        ...

    def on_device_size_in_bytes(self) -> int:
        """Bytes that the value takes on its device."""
        ...

    def to_device(self, device: Any, *, stream: Any = None) -> Array:
        """The array on ``device``, committed to it."""
        ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]: ...
    def item(self, *args: Any) -> Any:
        """The only element (or the one at the index given) as a Python scalar."""
        ...

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars."""
        ...

    def __bool__(self) -> bool: ...
    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __complex__(self) -> complex: ...
    def __index__(self) -> int: ...
    def __hash__(self) -> int: ...
    def tobytes(self, order: str = "C") -> bytes:
        """The elements as bytes in row-major (``"C"``) or column-major (``"F"``) order."""
        ...

    def __format__(self, spec: str, /) -> str: ...
    def __copy__(self) -> Array: ...
    def __deepcopy__(self, memo: Any, /) -> Array: ...
    def __dlpack__(
        self, *, stream: Any = None, max_version: tuple[int, int] | None = None, dl_device: Any = None,
        copy: bool | None = None
    ) -> Any: ...

    # What only an array with a value can do, not one that is being traced.

    @property
    def device(self) -> Any:
        """Where the value lives: a device, or the sharding of an array that lies on several."""
        ...

    @property
    def format(self) -> Any:
        """How the value lies in memory and on its devices."""
        ...

    def is_ready(self) -> bool:
        """Whether the value is computed."""
        ...

    def block_until_ready(self) -> Array:
        """Wait until the value is computed, and raise what its computation raised."""
        ...

    def platform(self) -> str:
        """The name of the backend whose device holds the value."""
        ...

    def clone(self) -> Array:
        """Another handle on the same value: deleting one leaves the other."""
        ...

    def copy_to_host_async(self) -> None:
        """Begin to bring the value to the host. Here nothing is begun: ``numpy.asarray`` waits for the value."""
        ...

    def __dlpack_device__(self) -> tuple[int, int]: ...
