"""Sums of products: dot_general.

Every contraction of two arrays is a batched matrix product between transpositions. It is bilinear, and closed under
transposition: the cotangent of an operand is a contraction of the cotangent with the other operand.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.config import config
from portax.core.primitive import Primitive, Refusal, Sample, Undefined, registry
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.primitives.broadcasting import transpose
from portax.primitives.conversion import convert_element_type, reduce_precision
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset, needs_rounding, steps_of
from portax.primitives.zeros import add_any

Shape = tuple[int, ...]


class Precision(enum.Enum):
    """How exactly a device with fast low-precision multipliers is asked to multiply.

    ``HIGHEST`` is the dtype's own precision, which is also what no precision at all means. ``HIGH`` and ``DEFAULT``
    allow fewer bits where the device has a faster way.
    """

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    @classmethod
    def _missing_(cls, value: object) -> Precision | None:
        return _PRECISIONS.get(value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __str__(self) -> str:
        return self.name


_PRECISIONS: dict[object, Precision] = {
    None: Precision.DEFAULT,
    **dict.fromkeys(("default", "fastest", "bfloat16"), Precision.DEFAULT),
    **dict.fromkeys(("high", "bfloat16_3x", "tensorfloat32"), Precision.HIGH),
    **dict.fromkeys(("highest", "float32"), Precision.HIGHEST),
}


#: What the primitive's parameter ``precision`` may be besides None.
Canonical = tuple[Precision, Precision] | DotAlgorithm | DotAlgorithmPreset


def canonical_precision(precision: Any) -> Canonical | None:
    """A precision, its name, a pair of either, or None, as the pair that ``dot_general`` takes; or a dot algorithm.

    None is what the setting ``default_matmul_precision`` says.
    """
    if precision is None:
        precision = config.default_matmul_precision
        if precision is None:
            return None
    if isinstance(precision, str) and precision in DotAlgorithmPreset.__members__:
        precision = DotAlgorithmPreset[precision]
    if precision is DotAlgorithmPreset.DEFAULT:
        return Precision.DEFAULT, Precision.DEFAULT
    if isinstance(precision, DotAlgorithm | DotAlgorithmPreset):
        return precision
    if isinstance(precision, tuple | list):
        if len(precision) != 2:
            raise ArgumentError(
                wrong=f"a precision is for each of two operands, got {precision!r}", fix="Give one, or a pair"
            )
        first, second = precision
    else:
        first = second = precision
    try:
        return Precision(first), Precision(second)
    except ValueError:
        raise ArgumentError(
            wrong=f"there is no precision {precision!r}",
            fix="Give 'default', 'high', 'highest', a Precision, or the name of a dot algorithm",
        ) from None


def other_way(precision: Canonical | None) -> Canonical | None:
    """The precision of the factors exchanged."""
    if precision is None:
        return None
    if isinstance(precision, DotAlgorithm | DotAlgorithmPreset):
        return precision.swapped
    first, second = precision
    return second, first


def _rounded(x: np.ndarray, bits: tuple[int, int] | None, wide: Any) -> np.ndarray:
    needed = needs_rounding(x.dtype, bits)
    x = x.astype(wide, copy=False)
    if bits is None or not needed:
        return x
    return reduce_precision.reference(x, exponent_bits=bits[0], mantissa_bits=bits[1])


def _rounding(b: Any, x: Any, bits: tuple[int, int] | None, wide: Any) -> Any:
    needed = needs_rounding(x.aval.dtype, bits)
    x = b.convert(x, wide)
    return x if bits is None or not needed else b.reduce_precision(x, *bits)


@functools.lru_cache(1024)
def _plan(x: Shape, y: Shape, dimension_numbers: Any) -> tuple[Any, ...]:
    """How two arrays become a batch of matrices: the order of axes and the shape of each, and the result's shape."""
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    x_free, y_free = _free(len(x), x_sum, x_batch), _free(len(y), y_sum, y_batch)
    batch = [x[d] for d in x_batch]
    rows, columns = [x[d] for d in x_free], [y[d] for d in y_free]
    n = math.prod(x[d] for d in x_sum)
    return (
        (*x_batch, *x_free, *x_sum), (*batch, math.prod(rows), n),
        (*y_batch, *y_sum, *y_free), (*batch, n, math.prod(columns)),
        (*batch, *rows, *columns),
    )  # fmt: skip


class DotGeneral(Primitive):
    """The sum over contracting axes of the products of ``lhs`` and ``rhs``, for each element of the batch axes.

    ``out[b, i, j] = sum over k of lhs[b, i, k] * rhs[b, j, k]``, the axes arranged as ``dimension_numbers`` say.
    Integers wrap. Floating point products are summed at least in float32, and rounded once.

    Parameters
    ----------
    lhs, rhs : Arrays, any dtypes
    dimension_numbers : ((lhs contracting, rhs contracting), (lhs batch, rhs batch)), static; tuples of axes
    precision : None, a pair of Precision, DotAlgorithm or DotAlgorithmPreset, static
        None is the precision of the dtypes. An algorithm says what factors and sums are rounded to.
    preferred_element_type : dtype or None, static; of the result and of the sum
    out_sharding : static, how the result lies on its devices

    Returns
    -------
    Array of shape (batch, free axes of ``lhs``, free axes of ``rhs``)
    """

    name = "dot_general"
    accumulates = True
    required = True
    budget = {"default": 8}

    def shape(self, x: Aval, y: Aval, *, dimension_numbers: Any, **_: Any) -> Shape:
        (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
        for what, a, b in (("contracting", x_sum, y_sum), ("batch", x_batch, y_batch)):
            if len(a) != len(b):
                raise ShapeError(
                    wrong=f"dot_general pairs {what} axes, got {tuple(a)} and {tuple(b)}", fix="Give as many of each"
                )
        for aval, axes in ((x, (*x_sum, *x_batch)), (y, (*y_sum, *y_batch))):
            if axes and (min(axes) < 0 or max(axes) >= aval.ndim or len(set(axes)) != len(axes)):
                raise ShapeError(
                    wrong=f"dot_general cannot use axes {tuple(axes)} of {aval}",
                    fix=f"Name distinct axes below {aval.ndim}, each contracting or batch",
                )
        for what, a, b in (("contracting", x_sum, y_sum), ("batch", x_batch, y_batch)):
            for i, j in zip(a, b, strict=True):
                if x.shape[i] != y.shape[j]:
                    raise ShapeError(
                        wrong=f"dot_general cannot pair {what} axis {i} of lhs: {x} with axis {j} of rhs: {y}",
                        fix="Their lengths must be equal",
                    )
        x_free, y_free = _free(x.ndim, x_sum, x_batch), _free(y.ndim, y_sum, y_batch)
        return (*[x.shape[d] for d in (*x_batch, *x_free)], *[y.shape[d] for d in y_free])

    def dtype(self, x: Aval, y: Aval, *, preferred_element_type: Any = None, precision: Any = None, **_: Any) -> Any:
        if isinstance(precision, DotAlgorithm | DotAlgorithmPreset):
            steps_of(precision, x.dtype, y.dtype)
        if preferred_element_type is not None:
            wanted = preferred_element_type
            for given in (x, y):
                if not fits(given.dtype, wanted):
                    raise DtypeError(
                        wrong=f"dot_general cannot sum products of {x} and {y} in {wanted}",
                        fix="Give a preferred_element_type of the operands' kind, or convert the operands",
                    )
            return wanted
        return product_dtype(x.dtype, y.dtype)

    def reference(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        dimension_numbers: Any,
        precision: Any = None,
        preferred_element_type: Any = None,
        out_sharding: Any = None,
    ) -> np.ndarray:
        if preferred_element_type is not None:
            dtype = preferred_element_type
        else:
            dtype = product_dtype(x.dtype, y.dtype)
        if isinstance(precision, DotAlgorithm | DotAlgorithmPreset):
            steps = steps_of(precision, x.dtype, y.dtype)
            x, y = _rounded(x, steps.left, steps.wide), _rounded(y, steps.right, steps.wide)
            out = self.reference(x, y, dimension_numbers=dimension_numbers, preferred_element_type=steps.wide)
            return _rounded(out, steps.total, steps.wide).astype(dtype)
        # Narrow integers are summed in 32 bits and cut at the end, which gives the same low bits.
        wide = np.dtype(np.int32) if dtypes.is_narrow(dtype) and dtypes.is_integer(dtype) else dtypes.accumulator(dtype)
        x_order, x_shape, y_order, y_shape, shape = _plan(x.shape, y.shape, dimension_numbers)
        left = (x if x.dtype is wide else x.astype(wide)).transpose(x_order).reshape(x_shape)
        right = (y if y.dtype is wide else y.astype(wide)).transpose(y_order).reshape(y_shape)
        out = np.matmul(left, right).reshape(shape)
        return out if out.dtype is dtype else out.astype(dtype, copy=False)

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        x, y = primals
        tx, ty = tangents
        out = dot_general(x, y, **params)
        total = None if tx is None else dot_general(tx, y, **params)
        if ty is not None:
            term = dot_general(x, ty, **params)
            total = term if total is None else add_any(total, term)
        return out, total

    def transpose(
        self,
        ct: Any,
        x: Any,
        y: Any,
        *,
        dimension_numbers: Any,
        precision: Any = None,
        preferred_element_type: Any = None,
        out_sharding: Any = None,
    ) -> Any:
        (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
        if type(x) is Undefined:
            return _cotangent(ct, x.aval, y, x_sum, y_sum, x_batch, y_batch, precision, swapped=False), None
        back = other_way(precision)
        return None, _cotangent(ct, y.aval, x, y_sum, x_sum, y_batch, x_batch, back, swapped=True)

    def batch(self, batched: Any, x: Any, y: Any, *, dimension_numbers: Any, **params: Any) -> Any:
        (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
        x_up, y_up = batched
        moved_x = (_shift(x_sum, x_up), _shift(x_batch, x_up))
        moved_y = (_shift(y_sum, y_up), _shift(y_batch, y_up))
        if x_up and y_up:
            numbers = (moved_x[0], moved_y[0]), ((0, *moved_x[1]), (0, *moved_y[1]))
            return dot_general(x, y, dimension_numbers=numbers, **params)
        numbers = (moved_x[0], moved_y[0]), (moved_x[1], moved_y[1])
        out = dot_general(x, y, dimension_numbers=numbers, **params)
        # The batch axis is the first free axis of its operand: it comes after the others' batch axes.
        place = len(x_batch)
        if y_up:
            place += aval_of(x).ndim - len(x_sum) - len(x_batch)
        if place == 0:
            return out
        rank = aval_of(out).ndim
        return transpose(out, permutation=(place, *(d for d in range(rank) if d != place)))

    def stablehlo(
        self,
        b: Any,
        x: Any,
        y: Any,
        *,
        dimension_numbers: Any,
        precision: Any = None,
        preferred_element_type: Any = None,
        out_sharding: Any = None,
    ) -> Any:
        wanted = preferred_element_type
        if isinstance(precision, DotAlgorithm | DotAlgorithmPreset):
            dtype = self.dtype(x.aval, y.aval, preferred_element_type=wanted)
            steps = steps_of(precision, x.aval.dtype, y.aval.dtype)
            x, y = _rounding(b, x, steps.left, steps.wide), _rounding(b, y, steps.right, steps.wide)
            out = b.dot_general(x, y, dimension_numbers, None, steps.wide)
            return b.convert(_rounding(b, out, steps.total, steps.wide), dtype)
        if x.aval.dtype != y.aval.dtype:
            common = wanted
            if common is None:
                common = product_dtype(x.aval.dtype, y.aval.dtype)
            x, y = b.convert(x, common), b.convert(y, common)
        return b.dot_general(x, y, dimension_numbers, precision, x.aval.dtype if wanted is None else wanted)

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        contracting, batch = params["dimension_numbers"]
        pairs = tuple(tuple(list(axes) for axes in pair) for pair in (contracting, batch))
        return super().shown({**params, "dimension_numbers": pairs})

    def samples(self, make: Any) -> Any:
        def dot(x: Any, y: Any, x_sum: Any, y_sum: Any, x_batch: Any = (), y_batch: Any = (), **more: Any) -> Sample:
            numbers = ((x_sum, y_sum), (x_batch, y_batch))
            params = {"precision": None, "preferred_element_type": None, "out_sharding": None, **more}
            return Sample(x, y, dimension_numbers=numbers, **params)

        yield dot(make((2, 3)), make((3, 4)), (1,), (0,), id="matrices")
        yield dot(make((3,)), make((3,)), (0,), (0,), id="vectors")
        yield dot(make((2,)), make((3,)), (), (), id="outer")
        yield dot(make((2, 3, 4)), make((2, 4, 5)), (2,), (1,), (0,), (0,), id="batch")
        yield dot(make((3, 2, 5, 4)), make((4, 3, 2)), (3, 1), (0, 2), (0,), (1,), id="scrambled")
        yield dot(make((2, 3, 4)), make((4, 2, 3)), (0, 2), (1, 0), id="two-sums-crossed")
        yield dot(make((2, 0)), make((0, 3)), (1,), (0,), id="empty-sum")
        yield dot(make((2, 3)), make((3, 0)), (1,), (0,), id="empty")
        wide = {"int8": np.int32, "bfloat16": np.float32, "float16": np.float32, "float32": np.float32}
        x = make((2, 3))
        if x.dtype.name in wide:
            preferred = np.dtype(wide[x.dtype.name])
            yield dot(x, make((3, 2)), (1,), (0,), preferred_element_type=preferred, id="preferred")
        highest = (Precision.HIGHEST, Precision.HIGHEST)
        yield dot(x, make((3, 2)), (1,), (0,), precision=highest, id="precision")
        if dtypes.is_float(x.dtype):
            algorithms: list[Any] = [DotAlgorithmPreset.TF32_TF32_F32_X3, DotAlgorithmPreset.F64_F64_F64]
            if x.dtype != dtypes.float64:  # what is rounded has no differences to compare a tangent with
                algorithms += [DotAlgorithmPreset.BF16_BF16_F32, DotAlgorithmPreset.F16_F16_F16]
                algorithms += [DotAlgorithm(np.float16, dtypes.bfloat16, np.float32)]
            for algorithm in algorithms:
                yield dot(x, make((3, 2)), (1,), (0,), precision=algorithm, id="algorithm")

    def refusals(self, make: Any) -> Any:
        def dot(x: Any, y: Any, x_sum: Any, y_sum: Any, x_batch: Any = (), y_batch: Any = ()) -> Sample:
            numbers = ((x_sum, y_sum), (x_batch, y_batch))
            return Sample(x, y, dimension_numbers=numbers, precision=None, preferred_element_type=None)

        algorithm = dot(make((2, 3)), make((3, 2)), (1,), (0,))
        algorithm.params["precision"] = DotAlgorithmPreset.ANY_F8_ANY_F8_F32
        yield Refusal(algorithm, DtypeError, "is not made for factors of")
        algorithm = dot(make((2, 3)), make((3, 2)), (1,), (0,))
        algorithm.params["precision"] = DotAlgorithm(np.float32, np.int32, np.float32)
        yield Refusal(algorithm, DtypeError, "there is no dot algorithm of float32, int32, float32")
        yield Refusal(dot(make((2, 3)), make((2, 3)), (1,), (0,)), ShapeError, "cannot pair contracting axis 1")
        yield Refusal(dot(make((2, 3)), make((3,)), (1, 0), (0,)), ShapeError, "pairs contracting axes")
        yield Refusal(dot(make((2, 3)), make((3,)), (2,), (0,)), ShapeError, "cannot use axes (2,)")
        yield Refusal(dot(make((2, 3)), make((3, 3)), (1,), (0,), (0,), (1,)), ShapeError, "pair batch axis 0")


_RANKS = {"bool": 0, "uint": 1, "int": 1, "float": 2, "complex": 3}


def fits(given: Any, wanted: Any) -> bool:
    """Whether products of ``given`` may be summed in ``wanted``: the same kind, or one above it."""
    return _RANKS.get(dtypes.kind(given), 9) <= _RANKS.get(dtypes.kind(wanted), -1)


@functools.lru_cache(256)
def product_dtype(x: Any, y: Any) -> Any:
    """The dtype of a sum of products: of the two the higher kind, the wider, the signed, the one of wider range.

    Never a third one, so that eight bits times eight bits stay within what devices multiply natively.
    """

    def rank(dtype: Any) -> tuple[Any, ...]:
        kind = dtypes.kind(dtype)
        reach = kind == "int" if kind in ("bool", "int", "uint") else float(dtypes.finfo(dtypes.real_dtype(dtype)).max)
        return _RANKS[kind], dtypes.bits(dtype), reach

    return x if x == y else max(x, y, key=rank)


def _free(rank: int, *taken: Sequence[int]) -> tuple[int, ...]:
    gone = {d for axes in taken for d in axes}
    return tuple([d for d in range(rank) if d not in gone])


def _shift(axes: Sequence[int], by: bool) -> tuple[int, ...]:
    return tuple([d + by for d in axes])


def _cotangent(
    ct: Any,
    aval: Aval,
    other: Any,
    sums: Sequence[int],
    other_sums: Sequence[int],
    batch: Sequence[int],
    other_batch: Sequence[int],
    precision: Any,
    swapped: bool,
) -> Any:
    """The cotangent of the operand of ``aval``: a sum over the free axes of the other operand.

    ``swapped``: it was the second operand, so its free axes are the last of ``ct``.
    """
    free = _free(aval.ndim, sums, batch)
    other_rank = aval_of(other).ndim
    other_free = _free(other_rank, other_sums, other_batch)
    lead, mine, theirs = len(batch), len(free), len(other_free)
    ct_axes = tuple(range(lead, lead + theirs)) if swapped else tuple(range(lead + mine, lead + mine + theirs))
    numbers = (ct_axes, other_free), (tuple(range(lead)), tuple(other_batch))
    out = dot_general(
        ct, other, dimension_numbers=numbers, precision=precision,
        preferred_element_type=None if ct.dtype == aval_of(other).dtype else ct.dtype, out_sharding=None,
    )  # fmt: skip
    # out has the batch axes, the free axes, then the summed axes in the order they have in the other operand.
    order = sorted(range(len(sums)), key=lambda i: other_sums[i])
    places = (*batch, *free, *(sums[i] for i in order))
    if places != tuple(range(aval.ndim)):
        out = transpose(out, permutation=tuple(int(i) for i in np.argsort(places)))
    if out.dtype != aval.dtype:
        out = convert_element_type(out, new_dtype=aval.dtype, weak_type=False, sharding=None)
    return out


dot_general = registry.add(DotGeneral())
