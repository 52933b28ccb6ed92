"""Windows reduced to one value each: sums, greatest and least elements; and what moves to and from the chosen element.

A sum over windows is linear, and its adjoint is a sum over windows with stride and dilation exchanged. The tangent of
the greatest element of a window is the tangent of the chosen one, which select_and_gather_add reads; its adjoint,
select_and_scatter_add, adds to the chosen ones. Of equal elements the first in row-major order is chosen, and the first
NaN if there is one; padding is never chosen.

All three join associatively and so axis by axis. Along an axis windows of ``2 k`` elements are two of ``k`` joined, so
log2(size) steps make windows of any size; what lies in a window is always joined in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import add, max_, min_
from portax.primitives.bits import and_, or_
from portax.primitives.broadcasting import reshape
from portax.primitives.comparison import ge, le, lt, ne, select_n
from portax.primitives.conversion import convert
from portax.primitives.indexing import GatherScatterMode, ScatterDimensionNumbers
from portax.primitives.iota import iota
from portax.primitives.reductions import highest, lowest
from portax.primitives.scattering import scatter_add
from portax.primitives.slicing import batch_size, pad, slice_, spread
from portax.primitives.windows import Axis, axes_of, check, counts_of, padded, view
from portax.primitives.zeros import zero, zeros

Shape = tuple[int, ...]
Combine = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
_INT32 = np.dtype(np.int32)


def slid(combine: Combine, xs: Sequence[Any], fills: Sequence[Any], axes: Sequence[Axis]) -> list[Any]:
    """All windows of arrays of one shape, joined by ``combine(earlier, later)``, which is associative.

    Parameters
    ----------
    combine : callable from two lists of arrays to one
    xs : arrays of one shape
    fills : scalars, what each is padded with
    axes : the windows along each axis; there is at least one of them along each
    """
    xs = list(xs)
    config = tuple([a.pads for a in axes])
    if any(p != (0, 0, 0) for p in config):
        xs = [pad(x, f, padding_config=config) for x, f in zip(xs, fills, strict=True)]
    for d in reversed(range(len(axes))):
        if axes[d].size > 1 or axes[d].stride > 1:
            xs = _slid_along(combine, xs, d, axes[d])
    return xs


def _slid_along(combine: Combine, xs: list[Any], d: int, a: Axis) -> list[Any]:
    joined: list[Any] | None = None
    seen, width, block = 0, 1, xs
    while True:
        if a.size & width:
            joined = block if joined is None else _joined(combine, joined, block, d, seen * a.spread)
            seen += width
        if seen == a.size:
            break
        block = _joined(combine, block, block, d, width * a.spread)
        width *= 2
    assert joined is not None
    return [_cut(x, d, 0, (a.count - 1) * a.stride + 1, a.stride) for x in joined]


def _joined(combine: Combine, xs: Sequence[Any], ys: Sequence[Any], d: int, offset: int) -> list[Any]:
    """``xs[i]`` with ``ys[i + offset]`` for all i there are."""
    n = min(aval_of(xs[0]).shape[d], aval_of(ys[0]).shape[d] - offset)
    return list(combine([_cut(x, d, 0, n) for x in xs], [_cut(y, d, offset, offset + n) for y in ys]))


def _cut(x: Any, d: int, start: int, stop: int, step: int = 1) -> Any:
    shape = aval_of(x).shape
    if (start, stop, step) == (0, shape[d], 1):
        return x
    starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[d], limits[d], strides[d] = start, stop, step
    return slice_(x, start_indices=tuple(starts), limit_indices=tuple(limits), strides=tuple(strides))


class _Windowed(Primitive):
    """What the windowed reductions share: their parameters."""

    def windows(self, shape: Shape, params: dict[str, Any]) -> list[Axis]:
        plain = (1,) * len(shape)
        return axes_of(
            shape, params["window_dimensions"], params["window_strides"], params["padding"],
            params.get("base_dilation", plain), params.get("window_dilation", plain),
        )  # fmt: skip

    def checked(self, shape: Shape, params: dict[str, Any]) -> Shape:
        """The shape of the result."""
        check(self.name, shape, **params)
        axes = self.windows(shape, params)
        return counts_of(self.name, axes)

    def check_kind(self, x: Aval) -> None:
        if dtypes.kind(x.dtype) not in self.dtypes:
            raise DtypeError(
                wrong=f"{self.name} does not take {x}", fix=f"Give an operand of kind {', '.join(self.dtypes)}"
            )


def _batched(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with an axis before the others along which no window extends."""
    return {
        name: value if name == "select_prim" else ((0, 0) if name == "padding" else 1, *value)
        for name, value in params.items()
    }


class ReduceWindow(_Windowed):
    """What reduce_window_sum, reduce_window_max and reduce_window_min share."""

    op: str
    ufunc: Any

    def shape(
        self, x: Aval, *, window_dimensions: Any, window_strides: Any, padding: Any, base_dilation: Any,
        window_dilation: Any,
    ) -> Shape:  # fmt: skip
        given = {
            "window_dimensions": window_dimensions, "window_strides": window_strides, "padding": padding,
            "base_dilation": base_dilation, "window_dilation": window_dilation,
        }  # fmt: skip
        return self.checked(x.shape, given)

    def dtype(self, x: Aval, **_: Any) -> Any:
        self.check_kind(x)
        return x.dtype

    def identity(self, dtype: Any) -> Any:
        raise NotImplementedError

    def join(self, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def reference(self, x: np.ndarray, **params: Any) -> np.ndarray:
        axes, dtype = self.windows(x.shape, params), x.dtype
        wide = dtypes.accumulator(dtype)
        unit = np.asarray(self.identity(dtype)).astype(wide)
        x = x.astype(wide, copy=False)
        for d, a in enumerate(axes):
            if a.trivial:
                continue
            alone = [a if d == e else Axis(n, 1) for e, n in enumerate(x.shape)]
            windows = view(padded(x, alone, unit), alone)
            windows = windows[(..., *[slice(None) if d == e else 0 for e in range(x.ndim)])]
            narrow = None if dtypes.is_narrow(wide) or wide == dtypes.bool_ else wide
            x = self.ufunc.reduce(windows, axis=-1, dtype=narrow).astype(wide, copy=False)
        return x.astype(dtype, copy=False)

    def batch(self, batched: Any, x: Any, **params: Any) -> Any:
        return self.bind(x, **_batched(params))

    def decompose(self, x: Any, **params: Any) -> Any:
        aval = aval_of(x)
        axes = self.windows(aval.shape, params)
        shape = tuple([a.count for a in axes])
        if not math.prod(shape):
            return zeros(Aval(shape, aval.dtype))
        wide = dtypes.accumulator(aval.dtype)
        unit = np.asarray(self.identity(aval.dtype)).astype(wide)
        [out] = slid(lambda a, b: [self.join(a[0], b[0])], [convert(x, wide)], [unit], axes)
        return convert(out, aval.dtype)

    def stablehlo(self, b: Any, x: Any, **params: Any) -> Any:
        axes, dtype = self.windows(x.aval.shape, params), x.aval.dtype
        shape = tuple([a.count for a in axes])
        if not math.prod(shape):
            return b.full(shape, 0, dtype)
        unit = self.identity(dtype)
        if not x.aval.size:
            return b.full(shape, unit, dtype)
        out = b.reduce_window(
            b.convert(x, dtypes.accumulator(dtype)), self.op, unit, params["window_dimensions"],
            params["window_strides"], params["padding"], params["base_dilation"], params["window_dilation"],
        )  # fmt: skip
        return b.convert(out, dtype)

    def samples(self, make: Any) -> Any:
        yield windowed(make((2, 5, 6, 3)), (1, 2, 3, 1), (1, 2, 1, 1), ((0, 0), (0, 1), (1, 1), (0, 0)), id="images")
        yield windowed(make((7,)), (3,), (2,), id="strides")
        yield windowed(make((4, 3)), (2, 2), (1, 1), ((1, 0), (0, 1)), (2, 1), (1, 2), id="dilated")
        yield windowed(make((9,)), (7,), id="wide")
        yield windowed(make((6,)), (2,), (1,), ((-1, -2),), id="cut")
        yield windowed(make((0, 3)), (1, 2), id="empty")
        yield windowed(make((2,)), (3,), id="no-window-fits")
        yield windowed(make(()), (), id="scalar")
        if np.isfinite(self.identity(make(()).dtype)):  # infinities have no differences to compare a tangent with
            yield windowed(make((0,)), (2,), (1,), ((2, 1),), id="all-padding")

    def refusals(self, make: Any) -> Any:
        def bad(words: str, *args: Any, **more: Any) -> Refusal:
            return Refusal(windowed(make((4,)), *args, **more), ShapeError, words)

        yield bad("needs window_dimensions for each of 1 axes", (2, 2))
        yield bad("needs positive window_strides", (2,), (0,))
        yield bad("cuts more off than the 4 places", (2,), (1,), ((-3, -2),))


def windowed(
    x: Any, window_dimensions: Any, window_strides: Any = None, padding: Any = None, base_dilation: Any = None,
    window_dilation: Any = None, id: str = "",
) -> Sample:  # fmt: skip
    """A sample; what is not given is plain."""
    plain = (1,) * len(window_dimensions)
    return Sample(
        x, window_dimensions=window_dimensions, window_strides=window_strides or plain,
        padding=padding or ((0, 0),) * len(plain), base_dilation=base_dilation or plain,
        window_dilation=window_dilation or plain, id=id,
    )  # fmt: skip


_DOC = """{what} of every window of ``operand``.

    {notes}

    Parameters
    ----------
    operand : Array, {kinds}
    window_dimensions, window_strides, base_dilation, window_dilation : tuples of positive int, static, for each axis
        The window's size, how far it moves, and how far elements and the window's places lie apart.
    padding : tuple of (low, high), static, for each axis; a negative one cuts off

    Returns
    -------
    Array of the dtype of ``operand``, with an element for each window
"""


class ReduceWindowSum(ReduceWindow):
    __doc__ = _DOC.format(
        what="The sum", kinds="any numeric dtype",
        notes="Integers wrap. Floating point sums are accumulated at least in float32. Padding counts as 0.",
    )  # fmt: skip
    name = "reduce_window_sum"
    dtypes = ("int", "uint", "float", "complex")
    linear_in = (0,)
    accumulates = True
    budget = {"default": 8}
    op, ufunc = "add", np.add

    def identity(self, dtype: Any) -> Any:
        return 0

    def join(self, x: Any, y: Any) -> Any:
        return add(x, y)

    def transpose(self, ct: Any, x: Any, **params: Any) -> Any:
        if not ct.size or not x.aval.size:
            return zeros(x.aval)
        axes = [a.adjoint for a in self.windows(x.shape, params)]
        return reduce_window_sum(
            ct, window_dimensions=params["window_dimensions"], window_strides=tuple([a.stride for a in axes]),
            padding=tuple([(a.low, a.high) for a in axes]), base_dilation=tuple([a.base for a in axes]),
            window_dilation=params["window_dilation"],
        )  # fmt: skip


def _chosen_tangent(select: Primitive) -> Callable[..., Any]:
    def derivative(t: Any, out: Any, x: Any, **params: Any) -> Any:
        return select_and_gather_add(t, x, select_prim=select, **params)

    return derivative


class ReduceWindowMax(ReduceWindow):
    __doc__ = _DOC.format(
        what="The greatest element", kinds="not complex",
        notes="NaN if any element is NaN. A window of padding alone gives -inf, the least integer, or False.",
    )  # fmt: skip
    name = "reduce_window_max"
    dtypes = ("bool", "int", "uint", "float")
    derivatives = (_chosen_tangent(ge),)
    op, ufunc = "maximum", np.maximum

    def identity(self, dtype: Any) -> Any:
        return lowest(dtype)

    def join(self, x: Any, y: Any) -> Any:
        return max_(x, y)


class ReduceWindowMin(ReduceWindow):
    __doc__ = _DOC.format(
        what="The least element", kinds="not complex",
        notes="NaN if any element is NaN. A window of padding alone gives inf, the greatest integer, or True.",
    )  # fmt: skip
    name = "reduce_window_min"
    dtypes = ("bool", "int", "uint", "float")
    derivatives = (_chosen_tangent(le),)
    op, ufunc = "minimum", np.minimum

    def identity(self, dtype: Any) -> Any:
        return highest(dtype)

    def join(self, x: Any, y: Any) -> Any:
        return min_(x, y)


# -- to and from the chosen elements ----------------------------------------------------------------------------------
def _chooser(select: Primitive) -> Combine:
    """Joins (values, places, ...): the earlier one stays if it stands to the later as ``select`` says, or is NaN."""
    nowhere = np.asarray(0, _INT32)

    def combine(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        x, y = a[0], b[0]
        stays = or_(select(x, y), lt(b[1], nowhere))
        if dtypes.is_float(aval_of(x).dtype):
            stays = or_(stays, ne(x, x))
        stays = and_(stays, ge(a[1], nowhere))
        return [select_n(stays, v, u) for u, v in zip(a, b, strict=True)]

    return combine


def _places(shape: Shape) -> Any:
    """The number of each element in row-major order."""
    return reshape(
        iota(dtype=_INT32, shape=(math.prod(shape),), dimension=0, sharding=None), new_sizes=shape, dimensions=None
    )


def _chosen(x: np.ndarray, axes: Sequence[Axis], select: Primitive) -> np.ndarray:
    """The number of the element that each window chooses, -1 where it covers none: in NumPy."""
    counts = tuple([a.count for a in axes])
    if not math.prod(counts):
        return np.empty(counts, np.int64)
    places = np.arange(x.size).reshape(x.shape)
    values = view(padded(x, axes, 0), axes).reshape(*counts, -1)
    numbers = view(padded(places, axes, -1), axes).reshape(*counts, -1)
    there = numbers >= 0
    if not there.any():
        return np.full(counts, -1)
    if select is ge:
        best = np.max(np.where(there, values, np.asarray(lowest(x.dtype), x.dtype)), axis=-1, keepdims=True)
    else:
        best = np.min(np.where(there, values, np.asarray(highest(x.dtype), x.dtype)), axis=-1, keepdims=True)
    hits = there & ((values == best) | (values != values))
    first = np.argmax(hits, axis=-1)[..., None]
    return np.where(there.any(-1), np.take_along_axis(numbers, first, -1)[..., 0], -1)


def _scattered(source: Any, operand: Any, axes: Sequence[Axis], select: Primitive) -> Any:
    """Zeros like ``operand``, to whose chosen elements ``source`` is added."""
    aval = aval_of(operand)
    if not aval_of(source).size or not aval.size:
        return zeros(aval)
    _, places = slid(
        _chooser(select), [operand, _places(aval.shape)], [zero(aval.dtype), np.asarray(-1, _INT32)], axes
    )
    flat = zeros(Aval((aval.size,), aval.dtype))
    numbers = ScatterDimensionNumbers((), (0,), (0,))
    count = aval_of(source).size
    out = scatter_add(
        flat, reshape(places, new_sizes=(count, 1), dimensions=None),
        reshape(source, new_sizes=(count,), dimensions=None), dimension_numbers=numbers, indices_are_sorted=False,
        unique_indices=False, mode=GatherScatterMode.FILL_OR_DROP,
    )  # fmt: skip
    return reshape(out, new_sizes=aval.shape, dimensions=None)


def _still(t: Any, out: Any, *operands: Any, **params: Any) -> None:
    """The derivative in what is only compared."""
    return


class SelectAndGatherAdd(_Windowed):
    """The element of ``tangents`` at the place that each window of ``operand`` chooses.

    With ``ge`` the greatest element is chosen, with ``le`` the least; of equal ones the first in row-major order, and
    the first NaN if there is one. A window of padding alone gives 0.

    Parameters
    ----------
    tangents, operand : Arrays of one shape and dtype, floating
    select_prim : the primitive ``ge`` or ``le``, static
    window_dimensions, window_strides, padding, base_dilation, window_dilation
        As for ``reduce_window_max``.

    Returns
    -------
    Array of the dtype of ``tangents``, with an element for each window
    """

    name = "select_and_gather_add"
    dtypes = ("float",)
    derivatives = (lambda t, out, tangents, x, **params: select_and_gather_add(t, x, **params), _still)

    def shape(
        self, t: Aval, x: Aval, *, select_prim: Any, window_dimensions: Any, window_strides: Any, padding: Any,
        base_dilation: Any, window_dilation: Any,
    ) -> Shape:  # fmt: skip
        given = {
            "window_dimensions": window_dimensions, "window_strides": window_strides, "padding": padding,
            "base_dilation": base_dilation, "window_dilation": window_dilation,
        }  # fmt: skip
        if t.shape != x.shape:
            raise ShapeError(
                wrong=f"select_and_gather_add needs operands of one shape, got tangents: {t} and operand: {x}",
                fix="The tangents are those of the operand",
            )
        return self.checked(x.shape, given)

    def dtype(self, t: Aval, x: Aval, **_: Any) -> Any:
        self.check_kind(x)
        if t.dtype != x.dtype:
            raise DtypeError(
                wrong=f"select_and_gather_add needs operands of one dtype, got tangents: {t} and operand: {x}",
                fix="Convert one with .astype",
            )
        return t.dtype

    def reference(self, t: np.ndarray, x: np.ndarray, *, select_prim: Any, **params: Any) -> np.ndarray:
        places = _chosen(x, self.windows(x.shape, params), select_prim)
        return np.append(t.ravel(), np.zeros(1, t.dtype))[places]

    def transpose(self, ct: Any, t: Any, x: Any, *, select_prim: Any, **params: Any) -> Any:
        if any(d != 1 for d in (*params["base_dilation"], *params["window_dilation"])):
            return _scattered(ct, x, self.windows(aval_of(x).shape, params), select_prim), None
        moves = {k: params[k] for k in ("window_dimensions", "window_strides", "padding")}
        return select_and_scatter_add(ct, x, select_prim=select_prim, **moves), None

    def batch(self, batched: Any, t: Any, x: Any, **params: Any) -> Any:
        size = batch_size(batched, (t, x))
        return self.bind(spread(t, batched[0], size), spread(x, batched[1], size), **_batched(params))

    def decompose(self, t: Any, x: Any, *, select_prim: Any, **params: Any) -> Any:
        aval = aval_of(t)
        axes = self.windows(aval.shape, params)
        shape = tuple([a.count for a in axes])
        if not math.prod(shape):
            return zeros(Aval(shape, aval.dtype))
        # What fills the places beyond the rim is never chosen, so that its tangent 0 shows where nothing else is.
        fills = [zero(aval.dtype), np.asarray(-1, _INT32), zero(aval.dtype)]
        return slid(_chooser(select_prim), [x, _places(aval.shape), t], fills, axes)[2]

    def samples(self, make: Any) -> Any:
        for select in (ge, le):
            for sample in reduce_window_max.samples(make):
                shape = sample.operands[0].shape
                yield Sample(make(shape), _apart(make, shape), select_prim=select, id=sample.id, **sample.params)
        rim = windowed(make((2,)), (1,), (1,), ((2, 1),)).params
        yield Sample(make((2,)), _apart(make, (2,)), select_prim=ge, id="windows-of-padding", **rim)

    def refusals(self, make: Any) -> Any:
        def bad(words: str, error: Any, t: Any, x: Any, size: Any = (2,)) -> Refusal:
            params = windowed(x, size).params
            return Refusal(Sample(t, x, select_prim=ge, **params), error, words)

        yield bad("operands of one shape", ShapeError, make((3,)), make((4,)))
        yield bad("operands of one dtype", DtypeError, make((4,), dtype="float16"), make((4,)))
        yield bad("needs window_dimensions for each of 1 axes", ShapeError, make((4,)), make((4,)), (2, 2))


class SelectAndScatterAdd(_Windowed):
    """Zeros like ``operand``, to which each element of ``source`` is added where its window of ``operand`` chooses.

    With ``ge`` the greatest element of the window is chosen, with ``le`` the least; of equal ones the first in
    row-major order, and the first NaN if there is one. What belongs to a window of padding alone is dropped.

    Parameters
    ----------
    source : Array with an element for each window
    operand : Array of the same floating dtype
    select_prim : the primitive ``ge`` or ``le``, static
    window_dimensions, window_strides, padding
        As for ``reduce_window_max``; nothing is dilated.

    Returns
    -------
    Array of the shape and dtype of ``operand``
    """

    name = "select_and_scatter_add"
    dtypes = ("float",)
    accumulates = True
    budget = {"default": 8}
    derivatives = (lambda t, out, source, x, **params: select_and_scatter_add(t, x, **params), _still)

    def shape(
        self, source: Aval, x: Aval, *, select_prim: Any, window_dimensions: Any, window_strides: Any, padding: Any
    ) -> Shape:
        given = {"window_dimensions": window_dimensions, "window_strides": window_strides, "padding": padding}
        counts = self.checked(x.shape, given)
        if source.shape != counts:
            raise ShapeError(
                wrong=f"select_and_scatter_add has {counts} windows in operand: {x}, got source: {source}",
                fix="Give a source with an element for each window",
            )
        return x.shape

    def dtype(self, source: Aval, x: Aval, **_: Any) -> Any:
        self.check_kind(x)
        if source.dtype != x.dtype:
            raise DtypeError(
                wrong=f"select_and_scatter_add needs operands of one dtype, got source: {source} and operand: {x}",
                fix="Convert one with .astype",
            )
        return x.dtype

    def reference(self, source: np.ndarray, x: np.ndarray, *, select_prim: Any, **params: Any) -> np.ndarray:
        places = _chosen(x, self.windows(x.shape, params), select_prim).ravel()
        out = np.zeros(x.size + 1, dtypes.accumulator(x.dtype))
        np.add.at(out, places, source.ravel().astype(out.dtype))
        return out[:-1].reshape(x.shape).astype(x.dtype)

    def transpose(self, ct: Any, source: Any, x: Any, *, select_prim: Any, **params: Any) -> Any:
        assert type(source) is Undefined
        plain = (1,) * aval_of(x).ndim
        return select_and_gather_add(
            ct, x, select_prim=select_prim, base_dilation=plain, window_dilation=plain, **params
        ), None

    def batch(self, batched: Any, source: Any, x: Any, **params: Any) -> Any:
        size = batch_size(batched, (source, x))
        return self.bind(spread(source, batched[0], size), spread(x, batched[1], size), **_batched(params))

    def decompose(self, source: Any, x: Any, *, select_prim: Any, **params: Any) -> Any:
        dtype = aval_of(x).dtype
        wide = dtypes.accumulator(dtype)
        axes = self.windows(aval_of(x).shape, params)
        return convert(_scattered(convert(source, wide), convert(x, wide), axes, select_prim), dtype)

    def stablehlo(self, b: Any, source: Any, x: Any, *, select_prim: Any, **params: Any) -> Any:
        aval = x.aval
        if not source.aval.size or not aval.size:
            return b.full(aval.shape, 0, aval.dtype)
        if not aval.ndim:
            return source  # jaxlib 0.10 aborts where there is no axis
        direction = "GE" if select_prim is ge else "LE"

        def select(b: Any, p: Any, q: Any) -> Any:
            return b.binary("or", b.compare(p, q, direction), b.compare(p, p, "NE"))

        wide = dtypes.accumulator(aval.dtype)
        cut = [(min(low, 0), min(high, 0), 0) for low, high in params["padding"]]
        operand = b.convert(x, wide)
        if any(c != (0, 0, 0) for c in cut):
            operand = b.pad(operand, b.full((), 0, wide), cut)
        out = b.select_and_scatter(
            operand, b.convert(source, wide), 0, select, "add", params["window_dimensions"], params["window_strides"],
            [(max(low, 0), max(high, 0)) for low, high in params["padding"]],
        )  # fmt: skip
        if any(c != (0, 0, 0) for c in cut):
            out = b.pad(out, b.full((), 0, wide), [(-low, -high, 0) for low, high, _ in cut])
        return b.convert(out, aval.dtype)

    def samples(self, make: Any) -> Any:
        for sample in reduce_window_max.samples(make):
            params = dict(sample.params)
            if any(d != 1 for d in (*params.pop("base_dilation"), *params.pop("window_dilation"))):
                continue
            shape = sample.operands[0].shape
            counts = tuple([a.count for a in self.windows(shape, params)])
            for select in (ge, le):
                yield Sample(make(counts), _apart(make, shape), select_prim=select, id=sample.id, **params)
        rim = {"window_dimensions": (1,), "window_strides": (1,), "padding": ((2, 1),)}
        yield Sample(make((5,)), _apart(make, (2,)), select_prim=ge, id="windows-of-padding", **rim)

    def refusals(self, make: Any) -> Any:
        def bad(words: str, error: Any, source: Any, x: Any) -> Refusal:
            params = {"window_dimensions": (2,), "window_strides": (1,), "padding": ((0, 0),)}
            return Refusal(Sample(source, x, select_prim=ge, **params), error, words)

        yield bad("has (3,) windows in operand", ShapeError, make((4,)), make((4,)))
        yield bad("operands of one dtype", DtypeError, make((3,), dtype="float16"), make((4,)))


def _apart(make: Any, shape: Shape) -> Any:
    """Numbers of which none are equal, nor so after a small step: the place of the greatest is then smooth."""
    order = np.argsort(make((math.prod(shape),), dtype="float64"), kind="stable").reshape(shape)
    return np.asarray(order - order.size // 2).astype(make(()).dtype)


reduce_window_sum = registry.add(ReduceWindowSum())
reduce_window_max = registry.add(ReduceWindowMax())
reduce_window_min = registry.add(ReduceWindowMin())
select_and_gather_add = registry.add(SelectAndGatherAdd())
select_and_scatter_add = registry.add(SelectAndScatterAdd())
