"""Reducing axes to one value: reduce_max, reduce_min, reduce_prod, reduce_and, reduce_or, reduce_xor, argmax, argmin.

Sums live with broadcasting, their adjoint. The others are not linear; a product's derivative is taken through the tree
of its factors, so that it is right where factors are zero, and equal greatest elements share the tangent of the
greatest.
`fold` reduces by halves with any associative function, on several arrays at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import div, mul, neg
from portax.primitives.bits import not_, or_
from portax.primitives.broadcasting import broadcast_in_dim, reduce_sum, reduced_shape, reshape, transpose
from portax.primitives.comparison import eq, ne, select_n
from portax.primitives.elementwise import like
from portax.primitives.iota import iota
from portax.primitives.slicing import concatenate, part
from portax.primitives.zeros import add_any, zeros

Shape = tuple[int, ...]
Combine = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]


def fold(combine: Combine, xs: Sequence[Any], axes: Sequence[int]) -> list[Any]:
    """``xs``, arrays of one shape, reduced over ``axes``, which hold at least one element, by halves."""
    shape = aval_of(xs[0]).shape
    kept = tuple(d for d in range(len(shape)) if d not in axes)
    order = (*kept, *axes)
    out_shape = tuple(shape[d] for d in kept)
    n, last = math.prod(shape[d] for d in axes), len(kept)
    parts = list(xs)
    if order != tuple(range(len(shape))):
        parts = [transpose(x, permutation=order) for x in parts]
    parts = [reshape(x, new_sizes=(*out_shape, n), dimensions=None) for x in parts]
    while n > 1:
        half, rest = n // 2, (n + 1) // 2
        joined = combine([part(x, last, 0, half) for x in parts], [part(x, last, rest, n) for x in parts])
        if half != rest:
            joined = [
                concatenate(x, part(y, last, half, rest), dimension=last) for x, y in zip(joined, parts, strict=True)
            ]
        parts, n = list(joined), rest
    return [reshape(x, new_sizes=out_shape, dimensions=None) for x in parts]


def spread_back(x: Any, shape: Shape, axes: Sequence[int]) -> Any:
    """A reduced array repeated along the ``axes`` it lost."""
    return broadcast_in_dim(
        x, shape=shape, broadcast_dimensions=tuple([d for d in range(len(shape)) if d not in axes])
    )


class Reduction(Primitive):
    """What the reductions share.

    Attributes
    ----------
    ufunc : the NumPy function that joins two elements
    op : what StableHLO calls it
    rule : what joins two arrays in a decomposition
    """

    ufunc: Any
    op: str
    word: str

    def shape(self, x: Aval, *, axes: Any, out_sharding: Any = None) -> Shape:
        return reduced_shape(self.name, x, axes)

    def dtype(self, x: Aval, **_: Any) -> Any:
        if dtypes.kind(x.dtype) not in self.dtypes:
            raise DtypeError(
                wrong=f"{self.name} does not take {x}", fix=f"Give an operand of kind {', '.join(self.dtypes)}"
            )
        return x.dtype

    def identity(self, dtype: Any) -> Any:
        """What no elements reduce to."""
        raise NotImplementedError

    def reference(self, x: np.ndarray, *, axes: Any, out_sharding: Any = None) -> np.ndarray:
        initial = np.asarray(self.identity(x.dtype)).astype(x.dtype)
        if x.dtype == bool:
            return self.ufunc.reduce(x, axis=axes, initial=bool(initial))
        wide = dtypes.accumulator(x.dtype)
        if wide != x.dtype:
            x, dtype = x.astype(wide), x.dtype
            return self.ufunc.reduce(x, axis=axes, initial=initial.astype(wide)).astype(dtype)
        # NumPy computes with integers below a byte in bytes, whose low bits are the same.
        dtype = None if dtypes.is_narrow(x.dtype) else x.dtype
        return self.ufunc.reduce(x, axis=axes, initial=initial, dtype=dtype).astype(x.dtype, copy=False)

    def batch(self, batched: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        return self.bind(x, axes=tuple([d + 1 for d in axes]))

    def decompose(self, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        aval = aval_of(x)
        if not math.prod(aval.shape[d] for d in axes):
            unit = np.asarray(self.identity(aval.dtype)).astype(aval.dtype)
            shape = tuple(n for d, n in enumerate(aval.shape) if d not in axes)
            return broadcast_in_dim(unit, shape=shape, broadcast_dimensions=())
        join = registry[self.word]
        return fold(lambda a, b: [join(a[0], b[0])], [x], axes)[0]

    def stablehlo(self, b: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        return b.reduce(x, self.identity(x.aval.dtype), axes, self.op)

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3, 4)), axes=(1,), id="middle")
        yield Sample(make((2, 3)), axes=(0, 1), id="all")
        yield Sample(make((2, 5, 2)), axes=(0, 2), id="two")
        yield Sample(make((3, 0)), axes=(0,), id="empty")
        yield Sample(make((3,)), axes=(), id="no-axes")
        if np.isfinite(self.identity(make(()).dtype)):  # infinities have no differences to compare a tangent with
            yield Sample(make((0, 3)), axes=(0,), id="of-nothing")

    def refusals(self, make: Any) -> Any:
        yield Refusal(Sample(make((3,)), axes=(1,)), ShapeError, f"{self.name} has no axis 1")
        yield Refusal(Sample(make((3, 2)), axes=(0, 0)), ShapeError, "names an axis twice")


_EXTREME_DOC = """The {word} of ``operand`` over ``axes``.

    NaN if any element is NaN; of complex numbers the {word} in lexicographic order; of no elements {empty}. All
    elements that equal the {word} share its tangent.

    Parameters
    ----------
    operand : Array, any dtype
    axes : tuple of int, static, distinct, ``0 <= axis < operand.ndim``

    Returns
    -------
    Array without ``axes``, of the dtype of ``operand``
"""


def _shared_tangent(t: Any, out: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
    shape = aval_of(x).shape
    if not math.prod(shape[d] for d in axes):
        return None
    chosen = eq(x, spread_back(out, shape, axes))
    none = zeros(aval_of(t))
    ones = broadcast_in_dim(like(t, 1), shape=shape, broadcast_dimensions=())
    count = reduce_sum(select_n(chosen, none, ones), axes=axes)
    return div(reduce_sum(select_n(chosen, none, t), axes=axes), count)


def complex_extreme(direction: str) -> Any:
    """A body for StableHLO that chooses of two complex numbers the one ahead in lexicographic order."""

    def body(b: Any, x: Any, y: Any) -> Any:
        return b.select(_complex_before(b, x, y, direction), x, y)

    return body


def _complex_before(b: Any, x: Any, y: Any, direction: str) -> Any:
    """Whether ``x`` is chosen over ``y``: it is NaN, or ahead in lexicographic order."""
    xr, yr = b.real(x), b.real(y)
    tie = b.binary("and", b.compare(xr, yr, "EQ"), b.compare(b.imag(x), b.imag(y), direction))
    ahead = b.binary("or", b.compare(xr, yr, direction), tie)
    return b.binary("or", ahead, b.compare(x, x, "NE"))


def _joined(b: Any, how: Any, x: Any, y: Any) -> Any:
    return b.binary(how, x, y) if isinstance(how, str) else how(b, x, y)


def _twice(b: Any, x: Any, axes: Any, first: Any, second: Any, kept: Any) -> Any:
    """A reduction that XLA's devices cannot do between them, for several devices.

    Over a divided axis XLA lets devices add, multiply and compare what each has, and refuses all else. Of a reduction
    of two arrays it gathers what they have, and goes on with that. So the operand is reduced in another way beside.

    Parameters
    ----------
    first, second : (name or body, value of no elements)
    kept : name or body
        Takes both results and gives the first, whatever they are; XLA does not know that.
    """

    def body(b: Any, x: Any, i: Any, y: Any, j: Any) -> Any:
        return _joined(b, first[0], x, y), _joined(b, second[0], i, j)

    return _joined(b, kept, *b.reduce((x, x), (first[1], second[1]), axes, body))


def _for_several(b: Any, x: Any, axes: Any) -> bool:
    """Whether a program is for several devices, of which each may have some of the elements that are reduced."""
    return b.module.members is not None and math.prod(x.aval.shape[d] for d in axes) > 0


class ReduceMax(Reduction):
    __doc__ = _EXTREME_DOC.format(word="greatest element", empty="-inf, the least integer, or False")
    name = "reduce_max"
    required = True
    ufunc, op, word = np.maximum, "maximum", "max"
    derivatives = (_shared_tangent,)

    def identity(self, dtype: Any) -> Any:
        return lowest(dtype)

    def stablehlo(self, b: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        dtype = x.aval.dtype
        op = complex_extreme("GT") if dtypes.is_complex(dtype) else self.op
        if dtypes.is_complex(dtype) and _for_several(b, x, axes):
            return _twice(b, x, axes, (op, lowest(dtype)), (complex_extreme("LT"), highest(dtype)), op)
        return b.reduce(x, self.identity(dtype), axes, op)


class ReduceMin(Reduction):
    __doc__ = _EXTREME_DOC.format(word="least element", empty="inf, the greatest integer, or True")
    name = "reduce_min"
    ufunc, op, word = np.minimum, "minimum", "min"
    derivatives = (_shared_tangent,)

    def identity(self, dtype: Any) -> Any:
        return highest(dtype)

    def decompose(self, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        if dtypes.is_inexact(aval_of(x).dtype):
            return neg(reduce_max(neg(x), axes=axes))
        flip = not_  # reverses the order of integers and of bool
        return flip(reduce_max(flip(x), axes=axes))

    def stablehlo(self, b: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        dtype = x.aval.dtype
        op = complex_extreme("LT") if dtypes.is_complex(dtype) else self.op
        if dtypes.is_complex(dtype) and _for_several(b, x, axes):
            return _twice(b, x, axes, (op, highest(dtype)), (complex_extreme("GT"), lowest(dtype)), op)
        return b.reduce(x, self.identity(dtype), axes, op)


def lowest(dtype: Any) -> Any:
    """A number of ``dtype`` that no other is below: -inf where there is one."""
    return _bound(dtype, -np.inf, "min", False)


def highest(dtype: Any) -> Any:
    """A number of ``dtype`` that no other is above: inf where there is one."""
    return _bound(dtype, np.inf, "max", True)


def _bound(dtype: Any, infinity: float, field: str, boolean: bool) -> Any:
    kind = dtypes.kind(dtype)
    if kind == "bool":
        return boolean
    if kind in ("int", "uint"):
        return int(getattr(dtypes.iinfo(dtype), field))
    if dtypes.is_narrow(dtype) and not np.isinf(np.asarray(infinity).astype(dtype)):
        return float(getattr(dtypes.finfo(dtype), field))  # such as float8_e4m3fn, which has no infinity
    return infinity


class ReduceProd(Reduction):
    """Product of ``operand`` over ``axes``.

    Integers wrap. The product of no elements is 1. Floating point products are accumulated at least in float32. The
    derivative is exact where factors are zero.

    Parameters
    ----------
    operand : Array, any numeric dtype
    axes : tuple of int, static, distinct, ``0 <= axis < operand.ndim``

    Returns
    -------
    Array without ``axes``, of the dtype of ``operand``
    """

    name = "reduce_prod"
    dtypes = ("int", "uint", "float", "complex")
    ufunc, op, word = np.multiply, "multiply", "mul"
    budget = {"default": 8, "complex64": 32, "complex128": 32}

    def identity(self, dtype: Any) -> Any:
        return 1

    def jvp(self, primals: Any, tangents: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        (x,), (t,) = primals, tangents
        out = reduce_prod(x, axes=axes)
        if t is None:
            return out, None
        if not math.prod(aval_of(x).shape[d] for d in axes):
            return out, zeros(aval_of(out).strip_weak_type())

        def product_rule(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
            return [mul(a[0], b[0]), add_any(mul(a[1], b[0]), mul(a[0], b[1]))]

        return out, fold(product_rule, [x, t], axes)[1]


_LOGIC_DOC = """{word} of ``operand`` over ``axes``; bit by bit for integers. Of no elements {empty}.

    Parameters
    ----------
    operand : Array of bool or an integer dtype
    axes : tuple of int, static, distinct, ``0 <= axis < operand.ndim``

    Returns
    -------
    Array without ``axes``, of the dtype of ``operand``
"""


class ReduceAnd(Reduction):
    __doc__ = _LOGIC_DOC.format(word="Conjunction", empty="True, or all bits set")
    name = "reduce_and"
    dtypes = ("bool", "int", "uint")
    ufunc, op, word = np.bitwise_and, "and", "and"

    def weak_type(self, *avals: Aval, **params: Any) -> bool:
        return False

    def stablehlo(self, b: Any, x: Any, *, axes: Any, out_sharding: Any = None) -> Any:
        dtype = x.aval.dtype
        if _for_several(b, x, axes) and (dtype != dtypes.bool_ or self.op == "xor"):
            # A bit that is set in all is set in some; one that is set in an odd number is set in some.
            other, kept = (reduce_and, "or") if self.op == "or" else (reduce_or, "and")
            return _twice(b, x, axes, (self.op, self.identity(dtype)), (other.op, other.identity(dtype)), kept)
        return b.reduce(x, self.identity(dtype), axes, self.op)

    def identity(self, dtype: Any) -> Any:
        return True if dtype == dtypes.bool_ else -1 if dtypes.is_signed(dtype) else int(dtypes.iinfo(dtype).max)


class ReduceOr(ReduceAnd):
    __doc__ = _LOGIC_DOC.format(word="Disjunction", empty="False, or 0")
    name = "reduce_or"
    dtypes = ("bool", "int", "uint")
    ufunc, op, word = np.bitwise_or, "or", "or"

    def identity(self, dtype: Any) -> Any:
        return False if dtype == dtypes.bool_ else 0


class ReduceXor(ReduceOr):
    __doc__ = _LOGIC_DOC.format(word="Exclusive disjunction", empty="False, or 0")
    name = "reduce_xor"
    ufunc, op, word = np.bitwise_xor, "xor", "xor"


_ARG_DOC = """The place of the {word} element of ``operand`` along one axis.

    Of equal elements the first; the first NaN if there is one. Complex numbers are ordered lexicographically.

    Parameters
    ----------
    operand : Array, any dtype
    axes : tuple of one int, static; the axis must not be empty
    index_dtype : integer dtype, static

    Returns
    -------
    Array of ``index_dtype`` without that axis
"""


class ArgExtreme(Primitive):
    """What argmax and argmin share. ``direction`` is the comparison by which the winner stands to the others."""

    direction: str

    def abstract(self, x: Aval, *, axes: Any, index_dtype: Any) -> Aval:
        shape = reduced_shape(self.name, x, axes)
        if len(axes) != 1:
            raise ShapeError(wrong=f"{self.name} searches one axis, got axes={tuple(axes)}", fix="Give one axis")
        if not x.shape[axes[0]]:
            raise ShapeError(
                wrong=f"{self.name} finds nothing in axis {axes[0]} of x: {x}, which is empty",
                fix="Give an axis with at least one element",
            )
        if not dtypes.is_integer(index_dtype):
            raise DtypeError(wrong=f"{self.name} cannot count in {index_dtype}", fix="Give an integer index_dtype")
        return Aval(shape, index_dtype)

    def reference(self, x: np.ndarray, *, axes: Any, index_dtype: Any) -> np.ndarray:
        find = np.argmax if self.direction == "GT" else np.argmin
        return np.asarray(find(sortable(x), axis=axes[0])).astype(index_dtype)

    def batch(self, batched: Any, x: Any, *, axes: Any, index_dtype: Any) -> Any:
        return self.bind(x, axes=(axes[0] + 1,), index_dtype=index_dtype)

    def decompose(self, x: Any, *, axes: Any, index_dtype: Any) -> Any:
        aval = aval_of(x)
        best = (reduce_max if self.direction == "GT" else reduce_min)(x, axes=axes)
        hit = eq(x, spread_back(best, aval.shape, axes))
        if dtypes.is_inexact(aval.dtype):
            hit = or_(hit, ne(x, x))  # the best is NaN if any is, and then nothing equals it
        places = iota(dtype=index_dtype, shape=aval.shape, dimension=axes[0], sharding=None)
        nowhere = broadcast_in_dim(
            np.asarray(highest(index_dtype)).astype(index_dtype), shape=aval.shape, broadcast_dimensions=()
        )
        return reduce_min(select_n(hit, nowhere, places), axes=axes)

    def stablehlo(self, b: Any, x: Any, *, axes: Any, index_dtype: Any) -> Any:
        # Two reductions of one array each, as `decompose` writes them, are what compilers make vectors of: several
        # times quicker, but for whole numbers along the last axis.
        dtype = x.aval.dtype
        if dtypes.is_inexact(dtype) or axes[0] != x.aval.ndim - 1:
            return NotImplemented
        places = b.iota(x.aval.shape, axes[0], index_dtype)
        start = lowest(dtype) if self.direction == "GT" else highest(dtype)

        def better(b: Any, x: Any, i: Any, y: Any, j: Any) -> Any:
            ahead = b.compare(x, y, self.direction)
            first = b.binary("or", ahead, b.binary("and", b.compare(x, y, "EQ"), b.compare(i, j, "LT")))
            return b.select(ahead, x, y), b.select(first, i, j)

        return b.reduce((x, places), (start, 0), axes, better)[1]

    def samples(self, make: Any) -> Any:
        i32 = np.dtype(np.int32)
        yield Sample(make((3, 4)), axes=(1,), index_dtype=i32, id="last")
        yield Sample(make((3, 4)), axes=(0,), index_dtype=np.dtype(np.uint8), id="narrow-index")
        yield Sample(np.repeat(make((3,)), 2), axes=(0,), index_dtype=i32, id="ties")
        yield Sample(make((0, 2)), axes=(1,), index_dtype=i32, id="empty")

    def refusals(self, make: Any) -> Any:
        i32 = np.dtype(np.int32)
        yield Refusal(Sample(make((0,)), axes=(0,), index_dtype=i32), ShapeError, "which is empty")
        yield Refusal(Sample(make((2, 2)), axes=(0, 1), index_dtype=i32), ShapeError, "searches one axis")
        yield Refusal(Sample(make((2,)), axes=(0,), index_dtype=np.dtype(np.float32)), DtypeError, "cannot count in")


def sortable(x: np.ndarray) -> np.ndarray:
    """``x`` in a dtype whose order NumPy knows, NaN after all numbers."""
    if dtypes.is_integer(x.dtype):
        if dtypes.is_narrow(x.dtype):
            return x.astype(np.int8 if dtypes.is_signed(x.dtype) else np.uint8)
        return x
    return x.astype(np.float32) if dtypes.is_narrow(x.dtype) or x.dtype == dtypes.bfloat16 else x


class Argmax(ArgExtreme):
    __doc__ = _ARG_DOC.format(word="greatest")
    name = "argmax"
    direction = "GT"


class Argmin(ArgExtreme):
    __doc__ = _ARG_DOC.format(word="least")
    name = "argmin"
    direction = "LT"


reduce_max = registry.add(ReduceMax())
reduce_min = registry.add(ReduceMin())
reduce_prod = registry.add(ReduceProd())
reduce_and = registry.add(ReduceAnd())
reduce_or = registry.add(ReduceOr())
reduce_xor = registry.add(ReduceXor())
argmax = registry.add(Argmax())
argmin = registry.add(Argmin())
