"""References to arrays: what a user reads from and writes to.

``Ref`` is a cell (see ``portax.core.refs``) with an index. What it holds is an immutable array, and to write is to hold
another one; so a value that was read stays what it is. A `View` is part of a reference: it holds nothing, and reads and
writes through.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import errors
from portax.core.aval import Aval, Described, aval_of
from portax.core.refs import AbstractRef, Cell
from portax.core.trace import Tracer
from portax.higher_order.closures import as_arrays
from portax.primitives.zeros import zeros
from portax.ref.indexing import fitting, replaced, take
from portax.runtime import eager


class Place(Described):
    """What references and parts of them share."""

    __slots__ = ()

    def read(self) -> Any:
        """The value."""
        raise NotImplementedError

    def write(self, value: Any) -> None:
        """Hold another value of the same shape and dtype."""
        raise NotImplementedError

    def __getitem__(self, idx: Any) -> Any:
        return take(self.read(), idx)

    def __setitem__(self, idx: Any, value: Any) -> None:
        set(self, idx, value)

    def addupdate(self, x: Any, idx: Any = ()) -> None:
        """Add ``x`` to the part that ``idx`` means, by default to all."""
        addupdate(self, idx, x)

    @property
    def at(self) -> At:
        """``ref.at[idx]``: part of the reference, to hand on or to index again."""
        return At(self)


class Ref(Cell, Place):
    """A mutable reference to an array. Made by ``new_ref``.

    ``ref[idx]`` reads, ``ref[idx] = x`` writes a value of the shape and dtype of the part, ``ref.at[idx]`` is the part
    as a reference. Functions may read and write references that they are given or close over, under any
    transformation; they may not return them.

    Attributes
    ----------
    aval : AbstractRef
    shape, ndim, size, dtype : of the array

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> ref = portax.new_ref(pnp.zeros(3))
    >>> @portax.jit
    ... def count(i):
    ...     ref[i] += 1
    >>> count(1), count(1)
    (None, None)
    >>> ref
    Ref([0., 2., 0.], dtype=float32)
    """

    __slots__ = ()

    @property
    def committed(self) -> bool:
        """Whether the user chose the device of what it holds."""
        return self.read().committed

    @property
    def sharding(self) -> Any:
        """Where what it holds lives."""
        return self.read().sharding

    @property
    def format(self) -> Any:
        """How what it holds lies in memory."""
        return self.read().format

    def unsafe_buffer_pointer(self) -> int:
        """Address of the first element of what it holds now."""
        return self.read().unsafe_buffer_pointer()

    def __len__(self) -> int:
        if not self.ndim:
            raise errors.ArgumentError(wrong=f"a reference ({self.aval}) has no length", fix="Read it: ref[...]")
        return self.shape[0]

    def __iter__(self) -> Any:
        return iter(self[...])

    def __repr__(self) -> str:
        if self.gone:
            return f"Ref({self.gone}, {self.aval.inner_aval})"
        value = self.read()
        return f"Ref({self.aval.inner_aval})" if isinstance(value, Tracer) else repr(value).replace("Array", "Ref", 1)


class At:
    """``ref.at``, which wants an index."""

    __slots__ = ("whole",)

    def __init__(self, whole: Place) -> None:
        self.whole = whole

    def __getitem__(self, idx: Any) -> View:
        return View(self.whole, idx)

    def __repr__(self) -> str:
        return f"{self.whole!r}.at"


class View(Place):
    """Part of a reference: ``ref.at[idx]``."""

    __slots__ = ("idx", "whole")

    def __init__(self, whole: Place, idx: Any) -> None:
        self.whole, self.idx = whole, idx
        self.read()  # an index out of range is told here

    def read(self) -> Any:
        return self.whole[self.idx]

    def write(self, value: Any) -> None:
        self.whole[self.idx] = value

    def get(self) -> Any:
        """The value."""
        return self.read()

    def set(self, value: Any) -> None:
        """Write all of it."""
        self.write(value)

    def swap(self, value: Any) -> Any:
        """Write all of it, and give what was there."""
        return swap(self, None, value)

    @property
    def aval(self) -> AbstractRef:
        """What is known of the part."""
        return AbstractRef(aval_of(self.read()))

    def __repr__(self) -> str:
        return f"{self.whole!r}.at[{self.idx!r}]"


def new_ref(init_val: Any, *, memory_space: Any = None, kind: str | None = None, pin: bool = False) -> Ref:
    """A mutable reference to an array.

    Parameters
    ----------
    init_val : array or number
        What it holds first; the array itself never changes.
    memory_space, kind, pin : optional
        Kept for programs that give them; a reference lives where its array does.

    Raises
    ------
    RefError
        ``init_val`` is a reference itself.
    ArgumentError
        ``init_val`` is no array.

    Examples
    --------
    >>> import portax
    >>> ref = portax.new_ref(1.0)
    >>> ref[...] = 2.0
    >>> ref
    Ref(2., dtype=float32, weak_type=True)
    """
    del pin
    if isinstance(init_val, np.ndarray):
        value: Any = eager.asarray(init_val, copy=True)  # its owner may write to it later
    else:
        [value] = as_arrays([init_val], "new_ref")
    return Ref(AbstractRef(aval_of(value), memory_space, kind), value)


def empty_ref(ty: Any, memory_space: Any = None) -> Ref:
    """A reference to an array whose values do not matter yet; they are zeros.

    Parameters
    ----------
    ty : ShapeDtypeStruct, or anything with ``shape`` and ``dtype``
    memory_space : optional
        Kept for programs that give it.

    Examples
    --------
    >>> import portax
    >>> portax.empty_ref(portax.ShapeDtypeStruct((2,), "float32")).shape
    (2,)
    """
    if isinstance(ty, AbstractRef):
        ty = ty.inner_aval
    if not hasattr(ty, "shape") or not hasattr(ty, "dtype"):
        raise errors.ArgumentError(
            wrong=f"empty_ref needs a shape and a dtype, got {ty!r}", fix='Give ShapeDtypeStruct((2,), "float32")'
        )
    value = as_arrays([zeros(Aval(tuple(ty.shape), ty.dtype))], "empty_ref")[0]
    return Ref(AbstractRef(aval_of(value), memory_space), value)


def _whole(what: str, ref: Any) -> Ref:
    if not isinstance(ref, Ref):
        raise errors.ArgumentError(wrong=f"{what} needs a reference, got {ref!r}", fix="Give what new_ref returned")
    return ref


def freeze(ref: Ref) -> Any:
    """The last value of a reference, which may not be used any more.

    Parameters
    ----------
    ref : Ref
        Made by the function that freezes it.

    Raises
    ------
    RefError
        It was frozen or freed before, or another function made it.

    Examples
    --------
    >>> import portax
    >>> ref = portax.new_ref(1.0)
    >>> float(portax.freeze(ref))
    1.0
    """
    return _whole("freeze", ref).give_up("frozen")


def free_ref(ref: Ref) -> None:
    """Give up a reference and what it holds: any later use is an error.

    Parameters
    ----------
    ref : Ref
        Made by the function that frees it.

    Raises
    ------
    RefError
        It was frozen or freed before, or another function made it.

    Examples
    --------
    >>> import portax
    >>> ref = portax.new_ref(1.0)
    >>> portax.free_ref(ref)
    >>> ref
    Ref(freed, float32[])
    """
    _whole("free_ref", ref).give_up("freed")


def _place(what: str, ref: Any) -> Any:
    if not isinstance(ref, Place):
        raise errors.ArgumentError(
            wrong=f"{what} needs a reference, got {ref!r}", fix="Give what new_ref returned, or a part of it, ref.at[i]"
        )
    return ref


def get(ref: Any, idx: Any = None) -> Any:
    """Read part of a reference, ``ref[idx]``; by default all of it.

    Parameters
    ----------
    ref : Ref, or part of one
    idx : index, optional

    Examples
    --------
    >>> import portax
    >>> int(portax.ref.get(portax.new_ref(portax.numpy.arange(3)), 2))
    2
    """
    return _place("get", ref)[idx]


def set(ref: Any, idx: Any, value: Any) -> None:  # the name is JAX's
    """Write part of a reference: ``ref[idx] = value``.

    Parameters
    ----------
    ref : Ref, or part of one
    idx : index, or None for all of it
    value : array of the shape and dtype of the part

    Raises
    ------
    ShapeError, DtypeError
        ``value`` has another shape or dtype.

    Examples
    --------
    >>> import portax
    >>> ref = portax.new_ref(portax.numpy.zeros(2))
    >>> portax.ref.set(ref, 0, 5.0)
    >>> ref
    Ref([5., 0.], dtype=float32)
    """
    swap(ref, idx, value, "set")


def swap(ref: Any, idx: Any, value: Any, _function_name: str = "swap") -> Any:
    """Write part of a reference, and give what was there.

    Parameters
    ----------
    ref : Ref, or part of one
    idx : index, or None for all of it
    value : array of the shape and dtype of the part

    Raises
    ------
    ShapeError, DtypeError
        ``value`` has another shape or dtype.

    Examples
    --------
    >>> import portax
    >>> ref = portax.new_ref(1.0)
    >>> float(portax.ref.swap(ref, None, 2.0))
    1.0
    """
    whole = _place(_function_name, ref).read()
    new = replaced(whole, idx, value, _function_name)
    ref.write(fitting(new, aval_of(whole), _function_name))
    return take(whole, idx) if _function_name != "set" else None


def addupdate(ref: Any, idx: Any, x: Any) -> None:
    """Add to part of a reference: ``ref[idx] += x``; once for every time the index names an element.

    Parameters
    ----------
    ref : Ref, or part of one
    idx : index, or None for all of it
    x : array of the shape and dtype of the part

    Raises
    ------
    ShapeError, DtypeError
        ``x`` has another shape or dtype.

    Examples
    --------
    >>> import portax
    >>> ref = portax.new_ref(1.0)
    >>> portax.ref.addupdate(ref, ..., 2.0)
    >>> ref
    Ref(3., dtype=float32, weak_type=True)
    """
    whole = _place("addupdate", ref).read()
    ref.write(fitting(replaced(whole, idx, x, "addupdate", add=True), aval_of(whole), "addupdate"))
