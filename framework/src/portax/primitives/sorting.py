"""Order: sort and top_k.

A sort of several operands moves them together and compares the first ``num_keys``. Floating point numbers are in one
order in which nothing is missing: NaN comes last and the zeros of both signs are equal. top_k alone orders them by
their bits, IEEE 754's totalOrder, as the devices' own instruction for it does. The derivative of a sort is the same
permutation of the tangent; so the rules carry the places along as one more operand and gather.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ShapeError
from portax.primitives.bits import xor
from portax.primitives.comparison import lt, select_n
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.elementwise import like
from portax.primitives.indexing import take_along
from portax.primitives.iota import iota
from portax.primitives.reductions import sortable
from portax.primitives.slicing import batch_size, part, rev, spread

_INT32 = np.dtype(np.int32)


def _keys(x: np.ndarray) -> list[np.ndarray]:
    """The arrays to order by, the foremost first: a complex number has two."""
    return [np.real(x), np.imag(x)] if dtypes.is_complex(x.dtype) else [sortable(x)]


def _backwards(x: np.ndarray) -> np.ndarray:
    """Integers in the opposite of IEEE 754's totalOrder: NaN is first of all, 0.0 before -0.0, and -NaN last."""
    x = sortable(x)
    if dtypes.is_integer(x.dtype) or x.dtype == np.bool_:
        return ~x
    whole = np.dtype(f"i{x.dtype.itemsize}")
    # Bits of a float without its sign count up with its size, so those of negative ones are turned about.
    key = x.view(whole)
    return ~np.where(key < 0, key ^ np.iinfo(whole).max, key)


class Sort(Primitive):
    """``operands`` sorted together along ``dimension``, ascending by the first ``num_keys`` of them.

    NaN comes last, the zeros of both signs are equal, False comes before True. Complex numbers are ordered by their
    real, then their imaginary parts.

    Parameters
    ----------
    *operands : Arrays of one shape, any dtypes
    dimension : int, static
    is_stable : bool, static; equal elements keep their order. Without it they do here too, other devices may differ.
    num_keys : int, static, ``1 <= num_keys <= len(operands)``

    Returns
    -------
    list of Array
    """

    name = "sort"
    required = True
    multiple_results = True

    def abstract(self, *xs: Aval, dimension: int, is_stable: bool, num_keys: int) -> list[Aval]:
        if not xs or not 1 <= num_keys <= len(xs):
            raise ShapeError(
                wrong=f"sort cannot compare {num_keys} of {len(xs)} operands", fix="Give 1 <= num_keys <= operands"
            )
        if any(x.shape != xs[0].shape for x in xs):
            raise ShapeError(
                wrong=f"sort needs operands of one shape, got {', '.join(map(str, xs))}", fix="Broadcast them first"
            )
        if not 0 <= dimension < xs[0].ndim:
            raise ShapeError(
                wrong=f"sort has no axis {dimension} in {xs[0]}", fix=f"Give 0 <= dimension < {xs[0].ndim}"
            )
        return list(xs)

    def reference(self, *xs: np.ndarray, dimension: int, is_stable: bool, num_keys: int) -> list[np.ndarray]:
        keys = [k for x in xs[:num_keys] for k in _keys(x)]
        if len(keys) == 1:
            if len(xs) == 1 and keys[0] is xs[0]:
                return [np.sort(keys[0], axis=dimension, kind="stable")]
            order = np.argsort(keys[0], axis=dimension, kind="stable")
        else:
            order = np.lexsort(keys[::-1], axis=dimension)
        return [np.take_along_axis(x, order, dimension) for x in xs]

    def jvp(self, primals: Any, tangents: Any, *, dimension: int, is_stable: bool, num_keys: int) -> Any:
        shape = aval_of(primals[0]).shape
        places = iota(dtype=_INT32, shape=shape, dimension=dimension, sharding=None)
        *out, order = sort(*primals, places, dimension=dimension, is_stable=is_stable, num_keys=num_keys)
        return out, [None if t is None else take_along(t, order, dimension) for t in tangents]

    def batch(self, batched: Any, *xs: Any, dimension: int, is_stable: bool, num_keys: int) -> Any:
        size = batch_size(batched, xs)
        xs = tuple(spread(x, b, size) for x, b in zip(xs, batched, strict=True))
        out = sort(*xs, dimension=dimension + 1, is_stable=is_stable, num_keys=num_keys)
        return out, [True] * len(out)

    def stablehlo(self, b: Any, *xs: Any, dimension: int, is_stable: bool, num_keys: int) -> Any:
        return b.sort(xs, dimension, is_stable, keys=num_keys)

    def samples(self, make: Any) -> Any:
        x = make((3, 4))
        places = np.arange(12, dtype=np.int32).reshape(3, 4)
        twice = np.concatenate([x[:2], x[1:], x[:2]])
        rows = np.arange(24, dtype=np.int32).reshape(6, 4)
        yield Sample(x, dimension=1, is_stable=True, num_keys=1, id="one")
        yield Sample(x, places, dimension=0, is_stable=True, num_keys=1, id="carried")
        yield Sample(rows % 3, make((6, 4)), dimension=0, is_stable=True, num_keys=2, id="two-keys")
        if not dtypes.is_inexact(x.dtype):  # where elements are equal a sort has no derivative
            yield Sample(twice, rows, dimension=0, is_stable=True, num_keys=1, id="ties")
        yield Sample(make((0, 2)), dimension=0, is_stable=True, num_keys=1, id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2,)), dimension=1, is_stable=True, num_keys=1), ShapeError, "sort has no axis 1")
        yield Refusal(
            Sample(make((2,)), make((3,)), dimension=0, is_stable=True, num_keys=1), ShapeError, "operands of one shape"
        )
        yield Refusal(Sample(make((2,)), dimension=0, is_stable=True, num_keys=2), ShapeError, "cannot compare 2 of 1")


class TopK(Primitive):
    """The ``k`` greatest elements along ``axis``, descending, and their places.

    Equal elements keep their order. Floating point numbers are in IEEE 754's totalOrder: 0.0 is greater than -0.0, NaN
    than every number, and NaN with its sign set less than every number. Complex numbers are ordered by their real, then
    their imaginary parts, and zeros of theirs are equal.

    Parameters
    ----------
    operand : Array, any dtype
    k : int, static, ``0 <= k <= operand.shape[axis]``
    axis : int, static

    Returns
    -------
    list of two Arrays: the elements, of the dtype of ``operand``, and their places along ``axis``, int32
    """

    name = "top_k"
    multiple_results = True

    def abstract(self, x: Aval, *, k: int, axis: int) -> list[Aval]:
        if not 0 <= axis < x.ndim:
            raise ShapeError(wrong=f"top_k has no axis {axis} in x: {x}", fix=f"Give 0 <= axis < {x.ndim}")
        if not 0 <= k <= x.shape[axis]:
            raise ShapeError(
                wrong=f"top_k cannot take {k} of the {x.shape[axis]} elements along axis {axis} of x: {x}",
                fix=f"Give 0 <= k <= {x.shape[axis]}",
            )
        shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
        return [x.update(shape=shape), Aval(shape, _INT32, x.weak_type)]

    def reference(self, x: np.ndarray, *, k: int, axis: int) -> list[np.ndarray]:
        if dtypes.is_complex(x.dtype):
            order = np.lexsort([_backwards(part + 0) for part in (np.imag(x), np.real(x))], axis)
        else:
            order = np.argsort(_backwards(x), axis, kind="stable")
        order = np.take(order, range(k), axis)
        return [np.take_along_axis(x, order, axis), order.astype(np.int32)]

    def jvp(self, primals: Any, tangents: Any, *, k: int, axis: int) -> Any:
        values, places = top_k(*primals, k=k, axis=axis)
        t = tangents[0]
        return [values, places], [None if t is None else take_along(t, places, axis), None]

    def batch(self, batched: Any, x: Any, *, k: int, axis: int) -> Any:
        return top_k(x, k=k, axis=axis + 1), [True, True]

    def decompose(self, x: Any, *, k: int, axis: int) -> list[Any]:
        shape = aval_of(x).shape
        n, dtype = shape[axis], aval_of(x).dtype
        # Backwards, the last of equal elements comes first, which is where it is when all is turned about again.
        x = rev(x, dimensions=(axis,))
        key = x
        if dtypes.is_float(dtype):
            wide = convert(x, np.float32) if dtypes.is_narrow(dtype) else x
            bits = bitcast_convert_type(wide, new_dtype=np.dtype(f"i{aval_of(wide).dtype.itemsize}"))
            turned = xor(bits, like(bits, np.iinfo(aval_of(bits).dtype).max))
            key = select_n(lt(bits, like(bits, 0)), bits, turned)
        places = rev(iota(dtype=_INT32, shape=shape, dimension=axis, sharding=None), dimensions=(axis,))
        carried = [places] if key is x else [x, places]
        back = sort(key, *carried, dimension=axis, is_stable=True, num_keys=1)
        return [rev(part(v, axis, n - k, n), dimensions=(axis,)) for v in back[-2:]]

    def stablehlo(self, b: Any, x: Any, *, k: int, axis: int) -> Any:
        dtype, rank = x.aval.dtype, x.aval.ndim
        if not k or not x.aval.size or dtypes.is_complex(dtype) or dtypes.is_narrow(dtype):
            return NotImplemented
        order = [*[a for a in range(rank) if a != axis], axis]
        back = [order.index(a) for a in range(rank)]
        if axis != rank - 1:
            x = b.transpose(x, order)
        values, places = b.top_k(x, k)
        return (values, places) if axis == rank - 1 else (b.transpose(values, back), b.transpose(places, back))

    def samples(self, make: Any) -> Any:
        x = make((3, 4))
        yield Sample(x, k=2, axis=1, id="last")
        # Derivatives are tried in float64, and here are none.
        if dtypes.is_float(x.dtype) and x.dtype != dtypes.float64 and not dtypes.is_narrow(x.dtype):
            some = [np.nan, 0.0, -np.inf, -0.0, -np.nan, 1.0, -0.0, 0.0, np.nan, np.inf, 1.0, -1.0]
            yield Sample(np.array([some, some[::-1]], x.dtype), k=9, axis=1, id="special")
            yield Sample(np.array([some, some[::-1]], x.dtype).T.copy(), k=12, axis=0, id="special-columns")
        if not dtypes.is_inexact(x.dtype):
            yield Sample(np.concatenate([x, x]), k=5, axis=0, id="ties")
        yield Sample(x, k=0, axis=0, id="none")
        yield Sample(x, k=4, axis=1, id="all")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2,)), k=3, axis=0), ShapeError, "cannot take 3 of the 2 elements")
        yield Refusal(Sample(make((2,)), k=1, axis=1), ShapeError, "top_k has no axis 1")


sort = registry.add(Sort())
top_k = registry.add(TopK())
