"""``x.at[idx]``: reading where an index points, and updating a copy of an array there.

What is written, is written by a scatter; where the index takes everything, by the operation itself. On values in host
memory the simplest updates are NumPy's own, in the order in which the reference of the scatter would do them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, promotion
from portax.core.array import Array
from portax.core.aval import Aval
from portax.core.lazy import lazy
from portax.higher_order.while_loop import while_loop
from portax.numpy import ufuncs
from portax.numpy.index_entries import read
from portax.numpy.index_plans import VectorPlan, basic_plan, vector_plan
from portax.numpy.indexing import array_at_hand, get, rows_at_hand, take_vectors, value_at_hand
from portax.numpy.promotion import PYTHON_NUMBERS, as_array, literal
from portax.primitives import arithmetic, comparison
from portax.primitives.broadcasting import broadcast_in_dim, reshape
from portax.primitives.comparison import gt, select_n
from portax.primitives.conversion import convert, convert_element_type
from portax.primitives.indexing import CLIP, FILL_OR_DROP, GatherScatterMode, ScatterDimensionNumbers
from portax.primitives.reductions import reduce_max
from portax.primitives.scattering import scatter, scatter_add, scatter_max, scatter_min, scatter_mul, scatter_sub
from portax.primitives.slicing import rev
from portax.primitives.zeros import zeros
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import quietly
from portax.transforms.batch import batch

laying = lazy("portax.higher_order.laying")

#: Elements from which updates at rows given by an array are the device's business.
LARGE = 1 << 16


def _described(x: Any, name: str) -> tuple[Any, Any, bool]:
    """A value to write, its dtype, and whether it is weak."""
    if type(x) in PYTHON_NUMBERS:
        return x, dtypes.dtype_of_python_scalar(x), type(x) is not bool
    if isinstance(x, (list, tuple)):
        x = np.asarray(x)
    x = as_array(x, name)
    return x, x.aval.dtype, x.aval.weak_type


def _in(x: Any, dtype: Any) -> Any:
    return convert(x, dtype) if isinstance(x, Array) else literal(x, dtype)


def _update(
    word: str,
    primitive: Callable[..., Any],
    whole: Callable[[Any, Any], Any],
    x: Any,
    idx: Any,
    values: Any,
    indices_are_sorted: bool,
    unique_indices: bool,
    mode: Any,
    wrap: bool,
) -> Any:
    """``x`` with ``values`` written by a scatter where ``idx`` points."""
    way = FILL_OR_DROP if mode is None else GatherScatterMode.from_any(mode)
    aval: Aval = x.aval
    plan = _vector_plan(x, idx, wrap)
    name = f".at[...].{word}"
    y, y_dtype, y_weak = _described(values, name)
    own = aval.dtype
    dtype = own
    if not promotion.can_promote(y_dtype, y_weak, own, aval.weak_type):
        warnings.warn(
            f"{name} converts its values from {y_dtype.name} to {own.name}, which may lose what they are; in future "
            "this will be an error. Convert them with .astype.",
            FutureWarning,
            stacklevel=4,
        )
        if word != "set":
            dtype = promotion.promote(own, aval.weak_type, y_dtype, y_weak)[0]
    if dtype == dtypes.bool_ and word in ("add", "subtract", "multiply"):
        raise errors.DtypeError(wrong=f"{name} does not take bool: {aval}", fix="Use .max for or, .min for and")
    if not math.prod(plan.out):
        return x
    y = _spread_values(_in(y, dtype), plan, name)
    out = convert(x, dtype)
    if not plan.columns and plan.operand is None:
        out = whole(out, y)
    else:
        shape = aval.shape
        if plan.operand is not None:
            out = reshape(out, new_sizes=plan.operand, dimensions=None, sharding=None)
        out = primitive(
            out,
            plan.vectors(),
            y,
            dimension_numbers=ScatterDimensionNumbers(*plan.numbers),
            indices_are_sorted=indices_are_sorted or plan.ordered,
            unique_indices=unique_indices or plan.unique,
            mode=way,
            update_jaxpr=None,
            update_consts=(),
        )
        if plan.operand is not None:
            out = reshape(out, new_sizes=shape, dimensions=None, sharding=None)
    if out.dtype != own or out.weak_type != aval.weak_type:
        out = convert_element_type(out, new_dtype=own, weak_type=aval.weak_type, sharding=None)
    return out


def _vector_plan(x: Any, idx: Any, wrap: bool) -> VectorPlan:
    basic = basic_plan(x.aval, idx) if wrap else None
    if basic is not None:
        return basic.vectors(x.aval.shape)
    return vector_plan(x.aval.shape, read(x.aval.shape, idx), wrap)


def _spread_values(y: Any, plan: VectorPlan, name: str) -> Any:
    """Values in the shape of the windows."""
    shape: tuple[int, ...] = y.shape
    if shape != plan.shape:
        lead = len(plan.shape) - len(shape)
        if lead < 0 or any(n not in (1, m) for n, m in zip(shape, plan.shape[lead:], strict=True)):
            raise errors.ShapeError(
                wrong=f"{name} cannot write values of shape {shape} where the index takes shape {plan.shape}",
                fix="Give values of that shape, or of one that broadcasts to it",
            )
        if not shape:
            return broadcast_in_dim(y, shape=plan.out, broadcast_dimensions=(), sharding=None)
        y = broadcast_in_dim(
            y, shape=plan.shape, broadcast_dimensions=tuple(range(lead, len(plan.shape))), sharding=None
        )
    if plan.inserted:
        y = reshape(y, new_sizes=plan.out, dimensions=None, sharding=None)
    return rev(y, dimensions=plan.reversed) if plan.reversed else y


def _second(x: Any, y: Any) -> Any:
    return y


#: Python numbers a dtype's kind takes without loss of meaning.
_TAKES = {
    "bool": (bool,),
    "int": (bool, int),
    "uint": (bool, int),
    "float": (bool, int, float),
    "complex": (bool, int, float, complex),
}


def _updated_at_hand(x: ConcreteArray, idx: Any, values: Any, join: np.ufunc | None) -> Array | None:
    """An update of the simplest sort, in NumPy: None where it is not one.

    Values of the array's own kind go to places given by ints and slices, or to rows given by one array, all of them
    inside. What meets what, and in which order, is as in the reference of the scatter.
    """
    value = value_at_hand(x)
    if value is None:
        return None
    aval = x.aval
    kind = dtypes.kind(aval.dtype)
    if join is not None and kind not in ("int", "uint", "float"):
        return None
    plan = basic_plan(aval, idx)
    where: Any
    if plan is not None:
        if not plan.in_bounds:
            return None
        where, wanted = plan.host, plan.aval.shape
    else:
        i = array_at_hand(idx)
        if i is None or not aval.ndim or aval.size > LARGE:
            return None
        n = aval.shape[0]
        where = rows_at_hand(i, n)
        if where is None or ((where < 0) | (where >= n)).any():
            return None
        wanted = (*where.shape, *aval.shape[1:])
    given = type(values)
    if given in PYTHON_NUMBERS:
        if given not in _TAKES.get(kind, ()):
            return None
        new = literal(values, aval.dtype)._host  # pyright: ignore[reportPrivateUsage]
    elif given is ConcreteArray and values.aval.dtype == aval.dtype and not values.committed:
        new = values._host
        if new is None or (new.ndim and new.shape != wanted):
            return None
    else:
        return None
    out = value.copy()
    if join is None:
        out[where] = new
    elif plan is not None:
        out[where] = quietly(join, out[where], new)
    else:
        quietly(join.at, out, where, new)
    return ConcreteArray(aval, out, None, x._device, x.committed)  # pyright: ignore[reportPrivateUsage]


def _ones(x: Any) -> Any:
    one = np.ones((), x.dtype)
    return broadcast_in_dim(one, shape=x.shape, broadcast_dimensions=(), sharding=None)


def _method(word: str, primitive: Any, whole: Any, doc: str) -> Any:
    join = primitive.join

    def method(
        self: IndexUpdate,
        values: Any,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        out_sharding: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        if out_sharding is not None:
            return laying.laid(
                method(
                    self,
                    values,
                    indices_are_sorted=indices_are_sorted,
                    unique_indices=unique_indices,
                    mode=mode,
                    wrap_negative_indices=wrap_negative_indices,
                ),
                out_sharding,
            )
        x = self.array
        if type(x) is ConcreteArray and wrap_negative_indices and mode is None:
            out = _updated_at_hand(x, self.index, values, join)
            if out is not None:
                return out
        return _update(
            word, primitive, whole, x, self.index, values, indices_are_sorted, unique_indices, mode,
            wrap_negative_indices,
        )  # fmt: skip

    method.__name__, method.__qualname__, method.__doc__ = word, f"IndexUpdate.{word}", doc
    return method


def _apply(x: Any, idx: Any, func: Any, is_sorted: bool, unique: bool, mode: Any, wrap: bool) -> Any:
    plan = _vector_plan(x, idx, wrap)
    size = math.prod(plan.out)
    if not size:
        return x
    way = FILL_OR_DROP if mode is None else GatherScatterMode.from_any(mode)
    once = plan.unique or unique

    def applied(x: Any) -> Any:
        # What is out of range reads anything: it is not written back.
        old = take_vectors(x, plan, CLIP, None, is_sorted, once)
        flat = reshape(old, new_sizes=(size,), dimensions=None, sharding=None)
        (new,), (varies,) = batch(lambda v: [as_array(func(v), "the function given to .apply")], [flat], [True], size)
        if new.shape != ((size,) if varies else ()):
            raise errors.ShapeError(
                wrong=f"the function given to .apply maps a scalar to shape {new.shape[1:] if varies else new.shape}",
                fix="Give a function of one scalar that returns a scalar",
            )
        new = convert(new, x.dtype)
        return reshape(new, new_sizes=old.shape, dimensions=None, sharding=None) if varies else new

    def written(x: Any, values: Any) -> Any:
        return _update("set", scatter, _second, x, idx, values, is_sorted, unique, mode, wrap)

    if once:
        return written(x, applied(x))
    # An element named k times is changed in the first k rounds.
    none = zeros(Aval(x.shape, np.dtype(np.int32)))
    counts = _update("add", scatter_add, arithmetic.add, none, idx, 1, is_sorted, False, way, wrap)

    def body(carry: Any) -> Any:
        k, x = carry
        changed = written(x, applied(x))
        return arithmetic.add(k, np.int32(1)), select_n(gt(counts, k), x, changed)

    most = reduce_max(counts, axes=tuple(range(counts.ndim)), out_sharding=None)
    if isinstance(most, ConcreteArray):
        carry = (np.int32(0), x)
        for _ in range(int(most)):
            carry = body(carry)
        return carry[1]
    return while_loop(lambda c: comparison.lt(c[0], most), body, (np.int32(0), x))[1]


class IndexUpdater:
    """``x.at``: index it to say where, ``x.at[idx]``."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> IndexUpdate:
        return IndexUpdate(self.array, index)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.array!r})"


class IndexUpdate:
    """``x.at[idx]``: reads and updates where ``idx`` points, each giving a new array.

    Methods
    -------
    get, set, add, subtract, multiply (mul), divide, power, min, max, apply

    Notes
    -----
    All take, by keyword:

    mode : str, optional
        What an index out of range means: ``"clip"`` the nearest one, ``"fill"`` or ``"drop"`` nothing (reads give
        ``fill_value``, writes are left out), ``"promise_in_bounds"`` that there is none. By default reads clip and
        writes drop.
    indices_are_sorted, unique_indices : bool
        Promises that may make it faster. Breaking them gives any result.
    wrap_negative_indices : bool
        Whether negative indices count from the end.

    Where an index names an element several times, ``add`` and its kin take effect each time; of several ``set``, one
    wins.

    Examples
    --------
    >>> x = pnp.zeros(4)
    >>> x.at[1:3].set(5.0)
    Array([0., 5., 5., 0.], dtype=float32)
    >>> x.at[pnp.array([0, 0])].add(1.0)
    Array([2., 0., 0., 0.], dtype=float32)
    >>> x.at[9].get(mode="fill", fill_value=-1.0)
    Array(-1., dtype=float32)
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any) -> None:
        self.array, self.index = array, index

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.array!r}, {self.index!r})"

    def get(
        self,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        fill_value: Any = None,
        out_sharding: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        """The elements, ``x[idx]``; ``fill_value`` is read out of range under ``mode="fill"``."""
        if out_sharding is not None:
            return laying.laid(
                self.get(
                    indices_are_sorted=indices_are_sorted,
                    unique_indices=unique_indices,
                    mode=mode,
                    fill_value=fill_value,
                    wrap_negative_indices=wrap_negative_indices,
                ),
                out_sharding,
            )
        return get(
            self.array,
            self.index,
            indices_are_sorted=indices_are_sorted,
            unique_indices=unique_indices,
            mode=mode,
            fill_value=fill_value,
            wrap_negative_indices=wrap_negative_indices,
        )

    def set(
        self,
        values: Any,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        out_sharding: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        """``x`` with ``values`` in place of the elements: ``x[idx] = values``."""
        if out_sharding is not None:
            return laying.laid(
                self.set(
                    values,
                    indices_are_sorted=indices_are_sorted,
                    unique_indices=unique_indices,
                    mode=mode,
                    wrap_negative_indices=wrap_negative_indices,
                ),
                out_sharding,
            )
        x = self.array
        if type(x) is ConcreteArray and wrap_negative_indices and mode is None:
            out = _updated_at_hand(x, self.index, values, None)
            if out is not None:
                return out
        return _update(
            "set", scatter, _second, x, self.index, values, indices_are_sorted, unique_indices, mode,
            wrap_negative_indices,
        )  # fmt: skip

    add = _method(
        "add", scatter_add, arithmetic.add, "``x`` with ``values`` added to the elements: ``x[idx] += values``."
    )
    subtract = _method(
        "subtract",
        scatter_sub,
        arithmetic.sub,
        "``x`` with ``values`` subtracted from the elements: ``x[idx] -= values``.",
    )
    multiply = _method(
        "multiply",
        scatter_mul,
        arithmetic.mul,
        "``x`` with the elements multiplied by ``values``: ``x[idx] *= values``.",
    )
    mul = multiply
    min = _method(
        "min", scatter_min, arithmetic.min_, "``x`` with the lesser of each element and ``values`` in its place."
    )
    max = _method(
        "max", scatter_max, arithmetic.max_, "``x`` with the greater of each element and ``values`` in its place."
    )

    def apply(
        self,
        func: Callable[[Any], Any],
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        """``x`` with ``func`` of each element in its place; once for every time the index names it.

        ``func`` maps a scalar to a scalar.
        """
        return _apply(self.array, self.index, func, indices_are_sorted, unique_indices, mode, wrap_negative_indices)

    def divide(self, values: Any, **options: Any) -> Any:
        """``x`` with the elements divided by ``values``: ``x[idx] /= values``."""
        x = self.array
        return ufuncs.divide(x, IndexUpdate(_ones(x), self.index).multiply(values, **options))

    def power(self, values: Any, **options: Any) -> Any:
        """``x`` with the elements to the power ``values``: ``x[idx] **= values``."""
        x = self.array
        return ufuncs.power(x, IndexUpdate(_ones(x), self.index).multiply(values, **options))
