"""Convolution: conv_general_dilated.

Each window of ``lhs`` is contracted with ``rhs``. It is bilinear and closed under transposition: the cotangent of
either operand is a convolution of the cotangent with the other one, strides and dilations having changed places. Where
axes lie is a parameter, so the rules move names instead of data.

Shapes here are written N C x for ``lhs`` (batch, feature, space), O I k for ``rhs`` (features out and in, space) and
N O y for the result, ``y * stride + k * rhs_dilation = x * lhs_dilation + low`` being the places that meet.

References
----------
Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016.
Chellapilla, Puri and Simard, High performance convolutional neural networks for document processing, 2006: windows as
rows of a matrix.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.broadcasting import reshape, transpose
from portax.primitives.contraction import Precision, dot_general, fits, other_way
from portax.primitives.conversion import convert
from portax.primitives.slicing import batch_size, pad, rev
from portax.primitives.windows import Axis, axes_of, check, counts_of, gathered, padded, reach
from portax.primitives.zeros import add_any, zero, zeros

Shape = tuple[int, ...]


class ConvDimensionNumbers(NamedTuple):
    """Where the axes of a convolution lie.

    Attributes
    ----------
    lhs_spec : tuple of int
        The axes of ``lhs`` for batch, feature, and each spatial axis.
    rhs_spec : tuple of int
        The axes of ``rhs`` for features out, features in, and each spatial axis.
    out_spec : tuple of int
        The axes of the result for batch, feature, and each spatial axis.
    """

    lhs_spec: Sequence[int]
    rhs_spec: Sequence[int]
    out_spec: Sequence[int]


class ConvGeneralDilated(Primitive):
    """Sums of products of ``rhs`` with every window of ``lhs``; the window is not flipped.

    ``out[n, o, y] = sum over c and k of lhs[n, c, y * stride + k * rhs_dilation - low] * rhs[o, c, k]``, where ``lhs``
    has ``lhs_dilation - 1`` zeros between neighbours and zeros around it. Integers wrap. Floating point products are
    summed at least in float32 and rounded once.

    Parameters
    ----------
    lhs, rhs : Arrays of one dtype and rank
    window_strides : tuple of positive int, static, one for each spatial axis
    padding : tuple of (low, high), static, one for each spatial axis; a negative one cuts off
    lhs_dilation, rhs_dilation : tuple of positive int, static, one for each spatial axis
    dimension_numbers : ConvDimensionNumbers, static
    feature_group_count : int, static
        The features of ``lhs`` and those out of ``rhs`` fall into so many groups, which do not see each other; it
        divides both.
    batch_group_count : int, static
        The batch of ``lhs`` and the features out of ``rhs`` fall into so many groups, which do not see each other; it
        divides both. One of the two counts is 1.
    precision : None or a pair of Precision, static; None is the precision of the dtypes
    preferred_element_type : dtype or None, static; of the result and of the sum
    out_sharding : static, how the result lies on its devices

    Returns
    -------
    Array of batch ``N / batch_group_count`` and as many features as ``rhs`` has out; a spatial axis has as many
    elements as windows fit.
    """

    name = "conv_general_dilated"
    accumulates = True
    budget = {"default": 16}
    numpy_until = 1 << 12  # a batch of 8 images of 28 x 28 takes NumPy twice as long as a compiled call

    # -- what comes out -----------------------------------------------------------------------------------------------
    def shape(
        self, x: Aval, w: Aval, *, window_strides: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any,
        dimension_numbers: Any, feature_group_count: int = 1, batch_group_count: int = 1, precision: Any = None,
        preferred_element_type: Any = None, out_sharding: Any = None,
    ) -> Shape:  # fmt: skip
        _check_ranks(x, w, dimension_numbers)
        lhs, rhs, out = dimension_numbers
        space = tuple([x.shape[d] for d in lhs[2:]])
        moves = {
            "window_strides": window_strides, "padding": padding, "lhs_dilation": lhs_dilation,
            "rhs_dilation": rhs_dilation,
        }  # fmt: skip
        check(self.name, space, **moves)
        n, c, o, i = x.shape[lhs[0]], x.shape[lhs[1]], w.shape[rhs[0]], w.shape[rhs[1]]
        _check_groups(n, c, o, i, feature_group_count, batch_group_count)
        axes = _axes(x.shape, w.shape, dimension_numbers, moves)
        shape = [0] * x.ndim
        for d, length in zip(out, (n // batch_group_count, o, *counts_of(self.name, axes)), strict=True):
            shape[d] = length
        return tuple(shape)

    def dtype(self, x: Aval, w: Aval, *, preferred_element_type: Any = None, **_: Any) -> Any:
        if x.dtype != w.dtype:
            raise DtypeError(
                wrong=f"conv_general_dilated needs operands of one dtype, got lhs: {x} and rhs: {w}",
                fix="Convert one with .astype",
            )
        wanted = preferred_element_type
        if wanted is None:
            return x.dtype
        if not fits(x.dtype, wanted) or dtypes.bits(wanted) < dtypes.bits(x.dtype):
            raise DtypeError(
                wrong=f"conv_general_dilated cannot sum products of {x} and {w} in {wanted}",
                fix="Give a preferred_element_type of the operands' kind that is no narrower, or convert the operands",
            )
        return wanted

    # -- the meaning --------------------------------------------------------------------------------------------------
    def reference(
        self, x: np.ndarray, w: np.ndarray, *, dimension_numbers: Any, feature_group_count: int = 1,
        batch_group_count: int = 1, preferred_element_type: Any = None, **params: Any,
    ) -> np.ndarray:  # fmt: skip
        lhs, rhs, out = dimension_numbers
        dtype = x.dtype if preferred_element_type is None else preferred_element_type
        wide = np.dtype(np.int32) if dtypes.is_narrow(dtype) and dtypes.is_integer(dtype) else dtypes.accumulator(dtype)
        axes = _axes(x.shape, w.shape, dimension_numbers, params)
        counts, sizes = tuple([a.count for a in axes]), tuple([a.size for a in axes])
        features, g = w.shape[rhs[0]], max(feature_group_count, batch_group_count)
        x = padded(x.transpose((lhs[0], *lhs[2:], lhs[1])).astype(wide, copy=False), [_ALONE, *axes, _ALONE], 0)
        n, c = x.shape[0], x.shape[-1]
        if batch_group_count > 1:
            x = x.reshape(g, n // g, *x.shape[1:])
        else:
            x = np.moveaxis(x.reshape(*x.shape[:-1], g, c // g), -2, 0)
        n, c = x.shape[1], x.shape[-1]
        w = w.transpose((*rhs[2:], rhs[1], rhs[0])).astype(wide, copy=False)
        w = np.moveaxis(w.reshape(*sizes, c, g, features // g), -2, 0)
        sums = _contract(np.ascontiguousarray(x), np.ascontiguousarray(w), axes, (g, n, *counts, features // g), wide)
        sums = np.moveaxis(sums, 0, -2).reshape(n, *counts, features).astype(dtype, copy=False)
        order = np.argsort((out[0], *out[2:], out[1]))
        return sums.transpose(order)

    # -- its derivatives ----------------------------------------------------------------------------------------------
    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        x, w = primals
        tx, tw = tangents
        out = conv_general_dilated(x, w, **params)
        total = None if tx is None else conv_general_dilated(tx, w, **params)
        if tw is not None:
            term = conv_general_dilated(x, tw, **params)
            total = term if total is None else add_any(total, term)
        return out, total

    def transpose(self, ct: Any, x: Any, w: Any, **params: Any) -> Any:
        aval = x.aval if type(x) is Undefined else w.aval
        other = w if type(x) is Undefined else x
        if not aval.size or not aval_of(ct).size or not aval_of(other).size:
            back = zeros(aval)
        else:
            wide = aval_of(ct).dtype
            back = (_to_lhs if type(x) is Undefined else _to_rhs)(ct, aval, convert(other, wide), **params)
            back = convert(back, aval.dtype)
        return (back, None) if type(x) is Undefined else (None, back)

    # -- its batches --------------------------------------------------------------------------------------------------
    def batch(
        self, batched: Any, x: Any, w: Any, *, dimension_numbers: Any, feature_group_count: int = 1,
        batch_group_count: int = 1, **params: Any,
    ) -> Any:  # fmt: skip
        size = batch_size(batched, (x, w))
        lhs, rhs, out = dimension_numbers
        fg, bg = feature_group_count, batch_group_count
        if not size:
            avals = [aval_of(v) for v in (x, w)]
            one = [a.update(shape=a.shape[1:]) if b else a for a, b in zip(avals, batched, strict=True)]
            shape = self.shape(*one, dimension_numbers=dimension_numbers, feature_group_count=fg,
                               batch_group_count=bg, **params)  # fmt: skip
            return zeros(Aval((0, *shape), self.dtype(*one, **params)))
        both = batched[0] and batched[1]
        # Inside the axis that is split into groups the new axis comes after them, unless it makes groups itself.
        if batched[0]:
            place, groups = (lhs[1], 1) if both and bg == 1 else (lhs[0], 1 if both else bg)
            x = _merge(x, place, groups)
        if batched[1]:
            w = _merge(w, rhs[0], 1 if both else max(fg, bg))
        if both:
            fg, bg = (fg, bg * size) if bg > 1 else (fg * size, 1)
        y = conv_general_dilated(
            x, w, dimension_numbers=dimension_numbers, feature_group_count=fg, batch_group_count=bg, **params
        )
        if not batched[1]:
            return _split(y, out[0], 1, size)
        return _split(y, out[1], 1 if both else max(fg, bg), size)

    # -- how it runs --------------------------------------------------------------------------------------------------
    def decompose(
        self, x: Any, w: Any, *, dimension_numbers: Any, feature_group_count: int = 1,
        batch_group_count: int = 1, precision: Any = None, preferred_element_type: Any = None,
        **params: Any,
    ) -> Any:  # fmt: skip
        """One contraction of all windows, each a row of a matrix."""
        lhs, rhs, out = dimension_numbers
        x_shape, w_shape = aval_of(x).shape, aval_of(w).shape
        axes = _axes(x_shape, w_shape, dimension_numbers, params)
        space, counts = len(axes), tuple([a.count for a in axes])
        n, c, o, i = x_shape[lhs[0]], x_shape[lhs[1]], w_shape[rhs[0]], w_shape[rhs[1]]
        fg, bg = feature_group_count, batch_group_count
        dtype = aval_of(x).dtype if preferred_element_type is None else preferred_element_type
        shape = (n // bg, o, *counts)
        order = tuple(int(d) for d in np.argsort(out))
        if not math.prod(shape) or not math.prod(w_shape):
            return zeros(Aval(tuple(shape[d] for d in order), dtype))
        # x: (groups of batch, batch, groups of features, features, then windows and places in them for each axis)
        x = transpose(x, permutation=tuple(lhs))
        config = ((0, 0, 0), (0, 0, 0), *[a.pads for a in axes])
        if any(p != (0, 0, 0) for p in config):
            x = pad(x, zero(aval_of(x).dtype), padding_config=config)
        for j, a in enumerate(axes):
            x = gathered(x, 2 + 2 * j, a)
        x = reshape(x, new_sizes=(bg, n // bg, fg, c // fg, *aval_of(x).shape[2:]), dimensions=None)
        w = transpose(w, permutation=tuple(rhs))
        w = reshape(w, new_sizes=(bg, fg, o // (bg * fg), i, *aval_of(w).shape[2:]), dimensions=None)
        inner = tuple(5 + 2 * j for j in range(space))
        y = dot_general(
            x, w, dimension_numbers=(((3, *inner), (3, *range(4, 4 + space))), ((0, 2), (0, 1))), precision=precision,
            preferred_element_type=preferred_element_type, out_sharding=None,
        )  # fmt: skip
        # y: (groups of batch, groups of features, batch, counts, features of a group)
        y = transpose(y, permutation=(2, 0, 1, 3 + space, *range(3, 3 + space)))
        y = reshape(y, new_sizes=shape, dimensions=None)
        return transpose(y, permutation=order)

    def stablehlo(
        self, b: Any, x: Any, w: Any, *, dimension_numbers: Any, feature_group_count: int = 1,
        batch_group_count: int = 1, precision: Any = None, preferred_element_type: Any = None,
        **params: Any,
    ) -> Any:  # fmt: skip
        shape = self.shape(x.aval, w.aval, dimension_numbers=dimension_numbers, batch_group_count=batch_group_count,
                           feature_group_count=feature_group_count, **params)  # fmt: skip
        dtype = self.dtype(x.aval, w.aval, preferred_element_type=preferred_element_type)
        if not math.prod(shape) or not x.aval.size or not w.aval.size:
            return b.full(shape, 0, dtype)
        return b.convolution(
            x, w, dimension_numbers, strides=params["window_strides"], padding=params["padding"],
            x_dilation=params["lhs_dilation"], kernel_dilation=params["rhs_dilation"],
            feature_groups=feature_group_count, batch_groups=batch_group_count, precision=precision, preferred=dtype,
        )  # fmt: skip

    # -- how it is tried ----------------------------------------------------------------------------------------------
    def samples(self, make: Any) -> Any:
        nhwc = ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
        image, kernel = make((2, 5, 4, 3)), make((2, 3, 3, 2))
        yield conv(image, kernel, padding=((0, 1), (1, 1)), dimension_numbers=nhwc, id="images")
        yield conv(make((1, 2, 6)), make((3, 2, 2)), (2,), ((1, 2),), id="strides")
        yield conv(make((1, 2, 4)), make((3, 2, 3)), (2,), ((2, 1),), (3,), (2,), id="dilated")
        yield conv(make((1, 2, 9)), make((2, 2, 2)), (1,), ((-2, -1),), (1,), (3,), id="cut")
        yield conv(make((1, 2, 3)), make((2, 2, 2)), (2,), ((-1, 3),), (2,), (1,), id="cut-and-dilated")
        yield conv(make((2, 4, 5)), make((6, 2, 3)), (1,), ((1, 1),), feature_group_count=2, id="feature-groups")
        yield conv(make((4, 2, 5)), make((6, 2, 3)), (1,), ((1, 1),), batch_group_count=2, id="batch-groups")
        scrambled = ConvDimensionNumbers((2, 0, 3, 1), (1, 3, 2, 0), (3, 1, 0, 2))
        yield conv(make((2, 4, 1, 5)), make((2, 3, 3, 2)), (1, 2), ((0, 1), (2, 0)), dimension_numbers=scrambled,
                   id="scrambled")  # fmt: skip
        yield conv(make((3, 2)), make((4, 2)), (), (), id="no-space")
        yield conv(make((1, 2, 3, 3, 2)), make((1, 2, 2, 3, 1)), (1, 1, 2), ((0, 0), (1, 1), (0, 0)), id="volumes")
        yield conv(make((0, 2, 3)), make((3, 2, 2)), (1,), ((0, 0),), id="empty-batch")
        yield conv(make((2, 0, 3)), make((3, 0, 2)), (1,), ((0, 0),), id="no-features")
        yield conv(make((1, 2, 2)), make((3, 2, 4)), (1,), ((0, 0),), id="no-window-fits")
        yield conv(make((1, 2, 0)), make((3, 2, 2)), (1,), ((2, 1),), id="all-padding")
        wide = {"int8": np.int32, "bfloat16": np.float32, "float16": np.float32, "float32": np.float32}
        x = make((2, 2, 4))
        if x.dtype.name in wide:
            preferred = np.dtype(wide[x.dtype.name])
            yield conv(x, make((3, 2, 2)), (1,), ((0, 0),), preferred_element_type=preferred, id="preferred")
        highest = (Precision.HIGHEST, Precision.HIGHEST)
        yield conv(x, make((3, 2, 2)), (1,), ((0, 0),), precision=highest, id="precision")

    def refusals(self, make: Any) -> Any:
        x, w = make((2, 4, 5)), make((3, 4, 2))

        def bad(words: str, x: Any = x, w: Any = w, error: Any = ShapeError, **params: Any) -> Refusal:
            return Refusal(conv(x, w, **{"window_strides": (1,), "padding": ((0, 0),), **params}), error, words)

        yield bad("operands of one rank", w=make((3, 4)))
        yield bad("are no order of 3 axes", dimension_numbers=ConvDimensionNumbers((0, 1, 1), (0, 1, 2), (0, 1, 2)))
        yield bad("needs window_strides for each of 1 axes", window_strides=(1, 1))
        yield bad("needs positive window_strides", window_strides=(0,))
        yield bad("needs positive rhs_dilation", rhs_dilation=(0,))
        yield bad("pads each axis before and after", padding=((1,),))
        yield bad("cuts more off than the 5 places", padding=((-3, -3),))
        yield bad("4 features of lhs in 1 groups of 3", w=make((3, 3, 2)))
        yield bad("2 groups of 3 features out", w=make((3, 2, 2)), feature_group_count=2)
        yield bad("3 groups of a batch of 2", batch_group_count=3)
        yield bad("in groups of features and of batches at once", w=make((4, 2, 2)), feature_group_count=2,
                  batch_group_count=2)  # fmt: skip
        yield bad("positive group counts", feature_group_count=0)
        other = make((3, 4, 2), dtype="float16" if x.dtype.name != "float16" else "float32")
        yield bad("operands of one dtype", w=other, error=DtypeError)
        yield bad("cannot sum products", preferred_element_type=np.dtype(np.int8), error=DtypeError)


#: An axis that no window moves along.
_ALONE = Axis(1, 1)


def conv(x: Any, w: Any, window_strides: Any = None, padding: Any = None, lhs_dilation: Any = None,
         rhs_dilation: Any = None, id: str = "", **more: Any) -> Sample:  # fmt: skip
    """A sample; what is not given is plain."""
    space = x.ndim - 2
    plain = (1,) * space
    order = tuple(range(x.ndim))
    params = {
        "window_strides": plain if window_strides is None else window_strides,
        "padding": ((0, 0),) * space if padding is None else padding,
        "lhs_dilation": plain if lhs_dilation is None else lhs_dilation,
        "rhs_dilation": plain if rhs_dilation is None else rhs_dilation,
        "dimension_numbers": ConvDimensionNumbers(order, order, order), "feature_group_count": 1,
        "batch_group_count": 1, "precision": None, "preferred_element_type": None, "out_sharding": None,
    }  # fmt: skip
    return Sample(x, w, id=id, **{**params, **more})


def _axes(x: Shape, w: Shape, dimension_numbers: Any, params: Any) -> list[Axis]:
    lhs, rhs, _ = dimension_numbers
    return axes_of(
        tuple([x[d] for d in lhs[2:]]), [w[d] for d in rhs[2:]], params["window_strides"], params["padding"],
        params["lhs_dilation"], params["rhs_dilation"],
    )  # fmt: skip


def _check_ranks(x: Aval, w: Aval, dimension_numbers: Any) -> None:
    if x.ndim != w.ndim or x.ndim < 2:
        raise ShapeError(
            wrong=f"conv_general_dilated needs operands of one rank, at least 2, got lhs: {x} and rhs: {w}",
            fix="Give both a batch or output axis, a feature axis, and the same number of spatial axes",
        )
    if _are_orders(dimension_numbers, x.ndim):
        return
    for what, spec in zip(("lhs", "rhs", "out"), dimension_numbers, strict=True):
        if sorted(spec) != list(range(x.ndim)):
            raise ShapeError(
                wrong=f"conv_general_dilated: the dimension numbers of {what}, {tuple(spec)}, are no order of "
                f"{x.ndim} axes",
                fix=f"Name each of 0 to {x.ndim - 1} once",
            )


@functools.lru_cache(maxsize=256)
def _are_orders(dimension_numbers: Any, ndim: int) -> bool:
    return all(sorted(spec) == list(range(ndim)) for spec in dimension_numbers)


def _check_groups(n: int, c: int, o: int, i: int, fg: int, bg: int) -> None:
    if fg < 1 or bg < 1:
        raise ShapeError(
            wrong=f"conv_general_dilated needs positive group counts, got {fg} of features and {bg} of batches",
            fix="Give 1 where there are no groups",
        )
    if fg > 1 and bg > 1:
        raise ShapeError(
            wrong=f"conv_general_dilated cannot work in groups of features and of batches at once, got {fg} and {bg}",
            fix="Leave one of the two counts at 1",
        )
    if c != fg * i:
        raise ShapeError(
            wrong=f"conv_general_dilated cannot see {c} features of lhs in {fg} groups of {i}, the features into rhs",
            fix="The features of lhs must be those into rhs times feature_group_count",
        )
    if o % fg or o % bg:
        raise ShapeError(
            wrong=f"conv_general_dilated cannot make {max(fg, bg)} groups of {o} features out of rhs",
            fix="The group counts must divide the features out of rhs",
        )
    if n % bg:
        raise ShapeError(
            wrong=f"conv_general_dilated cannot make {bg} groups of a batch of {n}",
            fix="batch_group_count must divide the batch of lhs",
        )


def _contract(x: np.ndarray, w: np.ndarray, axes: Sequence[Axis], shape: Shape, dtype: Any) -> np.ndarray:
    """(group, batch, counts, features out) from (group, batch, padded space, c) and (group, sizes, c, features out).

    A matrix product for each place of the window or for each window, whichever are fewer.
    """
    out = np.zeros(shape, dtype)
    if not out.size or not w.size:
        return out
    (g, n), counts, (c, o) = shape[:2], shape[2:-1], w.shape[-2:]
    sizes = w.shape[1:-2]
    if math.prod(sizes) <= math.prod(counts):
        rows = out.reshape(g, -1, o)
        for place in np.ndindex(*sizes):
            seen = tuple([_every(p * a.spread, a.stride, a.count) for p, a in zip(place, axes, strict=True)])
            rows += np.matmul(x[(_ALL, _ALL, *seen)].reshape(g, -1, c), w[(_ALL, *place)])
        return out
    columns = w.reshape(g, -1, o)
    for place in np.ndindex(*counts):
        seen = tuple([_every(p * a.stride, a.spread, a.size) for p, a in zip(place, axes, strict=True)])
        out[(_ALL, _ALL, *place)] = np.matmul(x[(_ALL, _ALL, *seen)].reshape(g, n, -1), columns)
    return out


_ALL = slice(None)


def _every(start: int, step: int, count: int) -> slice:
    return slice(start, start + (count - 1) * step + 1, step)


def _to_lhs(
    ct: Any, aval: Aval, w: Any, *, dimension_numbers: Any, feature_group_count: int, batch_group_count: int,
    precision: Any, preferred_element_type: Any = None, out_sharding: Any = None, **params: Any,
) -> Any:  # fmt: skip
    """The cotangent of ``lhs``: the kernel is turned round, its features change sides, stride and dilation too."""
    lhs, rhs, out = dimension_numbers
    axes = _axes(aval.shape, aval_of(w).shape, dimension_numbers, params)
    g = max(feature_group_count, batch_group_count)
    w = rev(w, dimensions=tuple(rhs[2:]))
    if g > 1:  # the groups of features out become groups of features in
        w = _merge(_split(w, rhs[0], 1, g), rhs[1], 1)
    padding = tuple([(a.adjoint.low, a.adjoint.high) for a in axes])
    back = conv_general_dilated(
        ct, w, window_strides=params["lhs_dilation"], padding=padding,
        lhs_dilation=params["window_strides"], rhs_dilation=params["rhs_dilation"],
        dimension_numbers=ConvDimensionNumbers(out, (rhs[1], rhs[0], *rhs[2:]), lhs), feature_group_count=g,
        batch_group_count=1, precision=precision, preferred_element_type=None, out_sharding=None,
    )  # fmt: skip
    return _merge(_split(back, lhs[1], 1, g), lhs[0], 1) if batch_group_count > 1 else back


def _to_rhs(
    ct: Any, aval: Aval, x: Any, *, dimension_numbers: Any, feature_group_count: int, batch_group_count: int,
    precision: Any, preferred_element_type: Any = None, out_sharding: Any = None, **params: Any,
) -> Any:  # fmt: skip
    """The cotangent of ``rhs``: of ``lhs``, whose batch is summed over, with the cotangent as the window."""
    lhs, rhs, out = dimension_numbers
    axes = _axes(aval_of(x).shape, aval.shape, dimension_numbers, params)
    high = [reach(a.size, a.spread) + reach(a.count, a.stride) - 1 - reach(a.n, a.base) - a.low for a in axes]
    padding = tuple([(a.low, h) for a, h in zip(axes, high, strict=True)])
    return conv_general_dilated(
        x, ct, window_strides=params["rhs_dilation"], padding=padding, lhs_dilation=params["lhs_dilation"],
        rhs_dilation=params["window_strides"],
        dimension_numbers=ConvDimensionNumbers(
            (lhs[1], lhs[0], *lhs[2:]), (out[1], out[0], *out[2:]), (rhs[1], rhs[0], *rhs[2:])
        ),
        feature_group_count=batch_group_count, batch_group_count=feature_group_count,
        precision=other_way(precision), preferred_element_type=None, out_sharding=None,
    )  # fmt: skip


def _merge(x: Any, place: int, groups: int) -> Any:
    """Axis 0 made part of the axis that is ``place`` without it: of each of its ``groups`` the outermost."""
    size, *rest = aval_of(x).shape
    n = rest[place]
    x = reshape(x, new_sizes=(size, *rest[:place], groups, n // groups, *rest[place + 1 :]), dimensions=None)
    rank = len(rest) + 2
    # (size, ..., groups, n / groups, ...) to (..., groups, size, n / groups, ...)
    order = (*range(1, place + 2), 0, *range(place + 2, rank))
    x = transpose(x, permutation=order)
    return reshape(x, new_sizes=(*rest[:place], n * size, *rest[place + 1 :]), dimensions=None)


def _split(x: Any, place: int, groups: int, size: int) -> Any:
    """What `_merge` merged, at axis 0 again."""
    shape = aval_of(x).shape
    n = shape[place] // (size * groups)
    x = reshape(x, new_sizes=(*shape[:place], groups, size, n, *shape[place + 1 :]), dimensions=None)
    order = (place + 1, *range(place + 1), *range(place + 2, len(shape) + 2))
    x = transpose(x, permutation=order)
    rest = (*shape[:place], groups * n, *shape[place + 1 :])
    return reshape(x, new_sizes=(size, *rest), dimensions=None)


conv_general_dilated = registry.add(ConvGeneralDilated())
