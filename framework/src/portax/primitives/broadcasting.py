"""Moving values without changing them, and summing: broadcast, reduce_sum, reshape, transpose, squeeze.

The family is closed under transposition: what a broadcast repeats its adjoint adds up, and back. Everything else may
lean on it, so it leans on nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ShapeError


class BroadcastInDim(Primitive):
    """``x`` repeated to ``shape``, axis ``i`` of ``x`` becoming axis ``broadcast_dimensions[i]``.

    ``out[j] = x[i]`` where ``i[k] = j[broadcast_dimensions[k]]``, or 0 where ``x.shape[k] == 1``.

    Parameters
    ----------
    x : Array, any dtype
    shape : tuple of int, static
    broadcast_dimensions : tuple of int, static, strictly increasing, one for each axis of ``x``;
        ``x.shape[k]`` is 1 or ``shape[broadcast_dimensions[k]]``

    Returns
    -------
    Array of ``shape`` and the dtype of ``x``
    """

    name = "broadcast_in_dim"
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0,)

    def shape(self, x: Aval, *, shape: Any, broadcast_dimensions: Any, sharding: Any = None) -> tuple[int, ...]:
        dims = broadcast_dimensions
        if len(dims) != x.ndim or any(not a < b for a, b in zip(dims, dims[1:], strict=False)):
            raise ShapeError(
                wrong=f"broadcast_in_dim needs one increasing dimension for each axis of x: {x}, got {tuple(dims)}",
                fix=f"Give broadcast_dimensions of length {x.ndim}",
            )
        if any(not 0 <= d < len(shape) or n not in (1, shape[d]) for n, d in zip(x.shape, dims, strict=True)):
            raise ShapeError(
                wrong=f"broadcast_in_dim cannot spread x: {x} along dimensions {tuple(dims)} of shape {tuple(shape)}",
                fix="Each axis of x must have length 1 or the length of the axis it becomes",
            )
        return shape

    def dtype(self, x: Aval, **_: Any) -> Any:
        return x.dtype

    def reference(self, x: np.ndarray, *, shape: Any, broadcast_dimensions: Any, sharding: Any = None) -> np.ndarray:
        if x.ndim:
            lengths = [1] * len(shape)
            for n, d in zip(x.shape, broadcast_dimensions, strict=True):
                lengths[d] = n
            x = x.reshape(lengths)
        return np.broadcast_to(x, shape)

    def transpose(self, ct: Any, x: Any, *, shape: Any, broadcast_dimensions: Any, sharding: Any = None) -> Any:
        if not x.ndim:
            return reduce_sum(ct, axes=tuple(range(len(shape))))
        place = dict(zip(broadcast_dimensions, x.shape, strict=True))
        spread = tuple(d for d, n in enumerate(shape) if d not in place or place[d] != n)
        total = reduce_sum(ct, axes=spread) if spread else ct
        return total if total.shape == x.shape else reshape(total, new_sizes=x.shape, dimensions=None)

    def batch(
        self, batched: Any, x: Any, *, shape: Any, broadcast_dimensions: Any, sharding: Any = None
    ) -> Any:
        return broadcast_in_dim(
            x, shape=(x.shape[0], *shape), broadcast_dimensions=(0, *(d + 1 for d in broadcast_dimensions))
        )

    def stablehlo(self, b: Any, x: Any, *, shape: Any, broadcast_dimensions: Any, sharding: Any = None) -> Any:
        return b.broadcast_in_dim(x, shape, broadcast_dimensions)

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        # A scalar goes everywhere, and the shape stands at the result.
        dimensions = params["broadcast_dimensions"]
        return {"broadcast_dimensions": dimensions} if dimensions else {}

    def samples(self, make: Any) -> Any:
        yield Sample(make((3,)), shape=(2, 3), broadcast_dimensions=(1,), id="row")
        yield Sample(make((2, 1)), shape=(2, 3), broadcast_dimensions=(0, 1), id="stretch")
        yield Sample(make(()), shape=(2, 0), broadcast_dimensions=(), id="scalar-to-empty")
        yield Sample(make((2, 3)), shape=(2, 4, 3), broadcast_dimensions=(0, 2), id="middle")

    def refusals(self, make: Any) -> Any:
        bad = Sample(make((3,)), shape=(2, 4), broadcast_dimensions=(1,))
        yield Refusal(bad, ShapeError, "cannot spread x")
        bad = Sample(make((3,)), shape=(2, 3), broadcast_dimensions=())
        yield Refusal(bad, ShapeError, "one increasing dimension")


broadcast_in_dim = registry.add(BroadcastInDim())


class ReduceSum(Primitive):
    """Sum of ``operand`` over ``axes``.

    Integers wrap. The sum of no elements is 0. Floating point sums are accumulated at least in float32.

    Parameters
    ----------
    operand : Array, any numeric dtype
    axes : tuple of int, static, distinct, ``0 <= axis < operand.ndim``

    Returns
    -------
    Array without ``axes``, of the dtype of ``operand``
    """

    name = "reduce_sum"
    shown_as_none = ("out_sharding",)
    accumulates = True
    required = True
    linear_in = (0,)
    dtypes = ("int", "uint", "float", "complex")
    budget = {"default": 4}

    def shape(self, x: Aval, *, axes: Any, out_sharding: Any = None) -> tuple[int, ...]:
        return reduced_shape(self.name, x, axes)

    def dtype(self, x: Aval, **_: Any) -> Any:
        return x.dtype

    def reference(self, x: np.ndarray, *, axes: Any, out_sharding: Any = None) -> np.ndarray:
        wide = dtypes.accumulator(x.dtype)
        return np.add.reduce(x, axis=axes, dtype=wide).astype(x.dtype, copy=False)

    def transpose(self, ct: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        kept = tuple(d for d in range(x.ndim) if d not in axes)
        return broadcast_in_dim(ct, shape=x.shape, broadcast_dimensions=kept)

    def batch(self, batched: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        return reduce_sum(x, axes=tuple(d + 1 for d in axes))

    def stablehlo(self, b: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        return b.reduce(x, 0, axes, "add")

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3, 4)), axes=(1,), id="middle")
        yield Sample(make((2, 3)), axes=(0, 1), id="all")
        yield Sample(make((0, 3)), axes=(0,), id="empty")
        yield Sample(make((3,)), axes=(), id="none")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,)), axes=(1,)), ShapeError, "reduce_sum has no axis 1")
        yield Refusal(Sample(make((3, 2)), axes=(0, 0)), ShapeError, "names an axis twice")


def reduced_shape(name: str, x: Aval, axes: Sequence[int]) -> tuple[int, ...]:
    """The shape of ``x`` without ``axes``, which must be distinct axes of ``x``."""
    for axis in axes:
        if not 0 <= axis < x.ndim:
            raise ShapeError(wrong=f"{name} has no axis {axis} in x: {x}", fix=f"Give 0 <= axis < {x.ndim}")
    if len(set(axes)) != len(axes):
        raise ShapeError(wrong=f"{name} names an axis twice: {tuple(axes)}", fix="Name each axis once")
    return tuple(n for d, n in enumerate(x.shape) if d not in axes)


reduce_sum = registry.add(ReduceSum())


class Reshape(Primitive):
    """The elements of ``operand``, in row-major order, in another shape.

    Parameters
    ----------
    operand : Array, any dtype
    new_sizes : tuple of int, static, with the same product as ``operand.shape``
    dimensions : None; kept for programs that name it

    Returns
    -------
    Array of shape ``new_sizes``
    """

    name = "reshape"
    shown_as_none = ("dimensions", "sharding")
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0,)

    def shape(self, x: Aval, *, new_sizes: Any, dimensions: Any = None, sharding: Any = None) -> tuple[int, ...]:
        if math.prod(new_sizes) != x.size:
            raise ShapeError(
                wrong=f"reshape cannot put the {x.size} elements of x: {x} into shape {tuple(new_sizes)}",
                fix=f"Give a shape whose sizes multiply to {x.size}",
            )
        return new_sizes

    def dtype(self, x: Aval, **_: Any) -> Any:
        return x.dtype

    def reference(self, x: np.ndarray, *, new_sizes: Any, dimensions: Any = None, sharding: Any = None) -> np.ndarray:
        return x.reshape(new_sizes)

    def transpose(self, ct: Any, x: Any, *, new_sizes: Any, dimensions: Any = None, sharding: Any = None) -> Any:
        return reshape(ct, new_sizes=x.shape, dimensions=None)

    def batch(self, batched: Any, x: Any, *, new_sizes: Any, dimensions: Any = None, sharding: Any = None) -> Any:
        return reshape(x, new_sizes=(x.shape[0], *new_sizes), dimensions=None)

    def stablehlo(self, b: Any, x: Any, *, new_sizes: Any, dimensions: Any = None, sharding: Any = None) -> Any:
        return b.reshape(x, new_sizes)

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 6)), new_sizes=(3, 4), dimensions=None)
        yield Sample(make((1,)), new_sizes=(), dimensions=None, id="to-scalar")
        yield Sample(make((0, 3)), new_sizes=(5, 0), dimensions=None, id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((5,)), new_sizes=(2, 3), dimensions=None), ShapeError, "cannot put the 5 elements")


reshape = registry.add(Reshape())


class Transpose(Primitive):
    """``operand`` with its axes in the order ``permutation``: ``out.shape[i] = operand.shape[permutation[i]]``.

    Parameters
    ----------
    operand : Array, any dtype
    permutation : tuple of int, static, a permutation of ``range(operand.ndim)``
    """

    name = "transpose"
    dtypes = (*Primitive.dtypes, "key")
    required = True
    linear_in = (0,)

    def shape(self, x: Aval, *, permutation: Any) -> tuple[int, ...]:
        if sorted(permutation) != list(range(x.ndim)):
            raise ShapeError(
                wrong=f"transpose was given {tuple(permutation)}, which does not order the axes of x: {x}",
                fix=f"Give each of 0 to {x.ndim - 1} once",
            )
        return tuple(x.shape[p] for p in permutation)

    def dtype(self, x: Aval, *, permutation: Any) -> Any:
        return x.dtype

    def reference(self, x: np.ndarray, *, permutation: Any) -> np.ndarray:
        return x.transpose(permutation)

    def transpose(self, ct: Any, x: Any, *, permutation: Any) -> Any:
        return transpose(ct, permutation=tuple(int(p) for p in np.argsort(permutation)))

    def batch(self, batched: Any, x: Any, *, permutation: Any) -> Any:
        return transpose(x, permutation=(0, *(p + 1 for p in permutation)))

    def stablehlo(self, b: Any, x: Any, *, permutation: Any) -> Any:
        return b.transpose(x, permutation)

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3, 4)), permutation=(2, 0, 1))
        yield Sample(make((0, 3)), permutation=(1, 0), id="empty")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2, 3)), permutation=(0, 0)), ShapeError, "does not order the axes")


transpose = registry.add(Transpose())


class Squeeze(Primitive):
    """``array`` without the axes ``dimensions``, each of length 1.

    Parameters
    ----------
    array : Array, any dtype
    dimensions : tuple of int, static
    """

    name = "squeeze"
    dtypes = (*Primitive.dtypes, "key")
    linear_in = (0,)

    def shape(self, x: Aval, *, dimensions: Any) -> tuple[int, ...]:
        for d in dimensions:
            if not 0 <= d < x.ndim or x.shape[d] != 1:
                raise ShapeError(
                    wrong=f"squeeze cannot drop axis {d} of x: {x}", fix="Name axes of length 1 only"
                )
        return tuple(n for d, n in enumerate(x.shape) if d not in dimensions)

    def dtype(self, x: Aval, *, dimensions: Any) -> Any:
        return x.dtype

    def reference(self, x: np.ndarray, *, dimensions: Any) -> np.ndarray:
        return x.reshape([n for d, n in enumerate(x.shape) if d not in dimensions])

    def transpose(self, ct: Any, x: Any, *, dimensions: Any) -> Any:
        return reshape(ct, new_sizes=x.shape, dimensions=None)

    def batch(self, batched: Any, x: Any, *, dimensions: Any) -> Any:
        return squeeze(x, dimensions=tuple(d + 1 for d in dimensions))

    def decompose(self, x: Any, *, dimensions: Any) -> Any:
        sizes = tuple(n for d, n in enumerate(x.shape) if d not in dimensions)
        return reshape(x, new_sizes=sizes, dimensions=None)

    def samples(self, make: Any) -> Any:
        yield Sample(make((1, 3, 1)), dimensions=(0,))
        yield Sample(make((1, 3, 1)), dimensions=(0, 2), id="two")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((2, 1)), dimensions=(0,)), ShapeError, "cannot drop axis 0")


squeeze = registry.add(Squeeze())


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` spread to ``shape``, its axes aligned with the last axes of ``shape``; ``x`` itself if it fits."""
    aval = aval_of(x)
    if aval.shape == tuple(shape):
        return x
    lead = len(shape) - aval.ndim
    return broadcast_in_dim(x, shape=tuple(shape), broadcast_dimensions=tuple(range(lead, len(shape))))
