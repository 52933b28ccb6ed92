"""Writing slices at computed places: scatter, and the scatters that add, subtract, multiply, or keep an extreme.

Every update window lands at ``base + offsets``, as gather reads it. Windows that reach outside are dropped whole, or
moved inside under ``CLIP``. Where several updates meet one element they take effect in the order of their index
vectors, row by row: so the last one wins a plain scatter, and its tangent is the last one's tangent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, NotDifferentiableError, ShapeError
from portax.primitives.arithmetic import add, div, mul, neg
from portax.primitives.bits import not_
from portax.primitives.broadcasting import broadcast_in_dim, reshape
from portax.primitives.comparison import eq, select_n
from portax.primitives.elementwise import like
from portax.primitives.indexing import (
    CLIP,
    FILL_OR_DROP,
    PROMISE_IN_BOUNDS,
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
    Windows,
    check_axes,
    check_indices,
    gather,
    index_limits,
    up,
    wide_indices,
)
from portax.primitives.iota import iota
from portax.primitives.slicing import spread
from portax.primitives.zeros import add_any, zeros

Shape = tuple[int, ...]


def window_sizes(operand: Shape, updates: Shape, d: ScatterDimensionNumbers) -> Shape:
    """The length of a window along each axis of the operand."""
    gone = {*d.inserted_window_dims, *d.operand_batching_dims}
    kept = iter(d.update_window_dims)
    return tuple([1 if a in gone else updates[next(kept)] for a in range(len(operand))])


def adjoint_of_scatter(d: ScatterDimensionNumbers) -> GatherDimensionNumbers:
    """The numbers of the gather that reads where this scatter writes."""
    return GatherDimensionNumbers(
        tuple(d.update_window_dims),
        tuple(d.inserted_window_dims),
        tuple(d.scatter_dims_to_operand_dims),
        tuple(d.operand_batching_dims),
        tuple(d.scatter_indices_batching_dims),
    )


@functools.lru_cache(1024)
def _scatter_plan(operand: Shape, indices: Shape, updates: Shape, d: ScatterDimensionNumbers) -> tuple[Windows, Any]:
    """The windows, and the permutation that puts the updates' window axes last (None if they are)."""
    gone = {*d.inserted_window_dims, *d.operand_batching_dims}
    kept = [a for a in range(len(operand)) if a not in gone]
    sizes = window_sizes(operand, updates, d)
    windows = Windows(
        operand, indices, sizes, kept, d.scatter_dims_to_operand_dims, d.operand_batching_dims,
        d.scatter_indices_batching_dims,
    )  # fmt: skip
    order = [a for a in range(len(updates)) if a not in d.update_window_dims] + list(d.update_window_dims)
    return windows, None if order == sorted(order) else tuple(order)


def _plan(x: Any, indices: Any, updates: Any, d: Any) -> tuple[Windows, Any]:
    try:
        return _scatter_plan(x.shape, indices.shape, updates.shape, d)
    except TypeError:  # numbers given as lists
        return _scatter_plan(x.shape, indices.shape, updates.shape, ScatterDimensionNumbers(*map(tuple, d)))


class Scattering(Primitive):
    """What the scatters share: their shapes, where they write, and batching.

    ``join`` is the NumPy function that meets an element with an update (None: the update wins), ``op`` what StableHLO
    calls it.
    """

    join: Any = None
    op: str | None = None
    accumulates = True

    def shape(self, x: Aval, indices: Aval, updates: Aval, *, dimension_numbers: Any, **_: Any) -> Shape:
        d = dimension_numbers
        check_axes(self.name, "inserted_window_dims", d.inserted_window_dims, x.ndim)
        check_axes(self.name, "operand_batching_dims", d.operand_batching_dims, x.ndim)
        check_axes(self.name, "update_window_dims", d.update_window_dims, updates.ndim)
        check_indices(
            self.name, x, indices, d.scatter_dims_to_operand_dims, d.operand_batching_dims,
            d.scatter_indices_batching_dims,
        )  # fmt: skip
        gone = {*d.inserted_window_dims, *d.operand_batching_dims}
        if len(gone) != len(d.inserted_window_dims) + len(d.operand_batching_dims):
            raise ShapeError(wrong=f"{self.name} inserts a batching axis", fix="Name each axis of the operand once")
        if len(d.update_window_dims) != x.ndim - len(gone):
            raise ShapeError(
                wrong=f"{self.name} needs {x.ndim - len(gone)} update_window_dims for operand: {x}, "
                f"got {tuple(d.update_window_dims)}",
                fix="Give one for each axis that is neither inserted nor batching",
            )
        lead = tuple(n for a, n in enumerate(updates.shape) if a not in d.update_window_dims)
        if lead != indices.shape[:-1]:
            raise ShapeError(
                wrong=f"{self.name} has updates: {updates} for indices: {indices}; their scatter axes {lead} and "
                f"{indices.shape[:-1]} differ",
                fix="Give one update for each index vector",
            )
        sizes = window_sizes(x.shape, updates.shape, d)
        if any(s > n for a, (s, n) in enumerate(zip(sizes, x.shape, strict=True)) if a not in gone):
            raise ShapeError(
                wrong=f"{self.name} has windows of {sizes}, larger than operand: {x}",
                fix="Give updates whose window axes are no longer than the operand's",
            )
        return x.shape

    def dtype(self, x: Aval, indices: Aval, updates: Aval, **_: Any) -> Any:
        if x.dtype != updates.dtype:
            raise DtypeError(
                wrong=f"{self.name} needs updates of the operand's dtype, got {updates} for {x}",
                fix="Convert the updates with .astype",
            )
        return x.dtype

    def weak_type(self, x: Aval, indices: Aval, updates: Aval, **_: Any) -> bool:
        return x.weak_type

    def reference(
        self, x: np.ndarray, indices: np.ndarray, updates: np.ndarray, *, dimension_numbers: Any, mode: Any, **_: Any
    ) -> np.ndarray:
        windows, order = _plan(x, indices, updates, dimension_numbers)
        if windows.count == 1:
            window, whole = windows.only(indices)
            out = x.copy()
            if whole or (mode is CLIP and (windows.limits >= 0).all()):
                updates = updates.reshape(windows.sizes)
                out[window] = updates if self.join is None else self.join(out[window], updates)
            return out
        starts = windows.starts(indices)
        if order is not None:
            updates = updates.transpose(order)
        updates = updates.reshape(windows.count, windows.offsets.size)
        if mode is CLIP and (windows.limits >= 0).all():
            places = windows.places(windows.clipped(starts))
        else:
            inside = windows.inside(starts)
            if inside.all():
                places = windows.places(starts)
            else:
                places, updates = windows.places(starts, inside), updates[inside]
        out = x.flatten()
        # One flat axis: NumPy then takes the updates in order, so the last of several wins.
        if self.join is None:
            out[places.reshape(-1)] = updates.reshape(-1)
        else:
            self.join.at(out, places.reshape(-1), updates.reshape(-1))
        return out.reshape(x.shape)

    def batch(self, batched: Any, x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, **params: Any) -> Any:
        size = next(aval_of(v).shape[0] for v, b in zip((x, indices, updates), batched, strict=True) if b)
        x, updates = spread(x, batched[0], size), spread(updates, batched[2], size)
        d = dimension_numbers
        window = up(d.update_window_dims)
        if not batched[1]:
            numbers = ScatterDimensionNumbers(
                (0, *window), up(d.inserted_window_dims), up(d.scatter_dims_to_operand_dims),
                up(d.operand_batching_dims), tuple(d.scatter_indices_batching_dims),
            )  # fmt: skip
        else:
            numbers = ScatterDimensionNumbers(
                window, up(d.inserted_window_dims), up(d.scatter_dims_to_operand_dims),
                (0, *up(d.operand_batching_dims)), (0, *up(d.scatter_indices_batching_dims)),
            )  # fmt: skip
            params["indices_are_sorted"] = False
        return self.bind(x, indices, updates, dimension_numbers=numbers, **params)

    def stablehlo(
        self,
        b: Any,
        x: Any,
        indices: Any,
        updates: Any,
        *,
        dimension_numbers: Any,
        mode: Any,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        **_: Any,
    ) -> Any:
        d = dimension_numbers
        indices = wide_indices(b, indices)
        if mode is CLIP and d.scatter_dims_to_operand_dims:
            sizes = window_sizes(x.aval.shape, updates.aval.shape, d)
            limits = [max(x.aval.shape[a] - sizes[a], 0) for a in d.scatter_dims_to_operand_dims]
            zero = b.full(indices.aval.shape, 0, indices.aval.dtype)
            indices = b.clamp(zero, indices, index_limits(b, indices, limits))
        return b.scatter(
            x, indices, updates, d, self.op, indices_are_sorted=indices_are_sorted, unique_indices=unique_indices
        )

    def samples(self, make: Any) -> Any:
        rows = ScatterDimensionNumbers((1,), (0,), (0,))
        points = ScatterDimensionNumbers((), (0, 1), (0, 1))
        windows = ScatterDimensionNumbers((0, 2), (), (0, 1))
        paired = ScatterDimensionNumbers((), (1,), (1,), (0,), (0,))
        once = np.array([[2], [0]], np.int32)
        wild = np.array([[1], [-1], [7]], np.int32)
        for mode in (CLIP, FILL_OR_DROP, PROMISE_IN_BOUNDS):
            unique = mode is PROMISE_IN_BOUNDS or not self.repeats
            yield _sample(make((4, 3)), once, make((2, 3)), rows, mode, unique, id=f"rows-{mode.name.lower()}")
        yield _sample(make((4, 3)), wild, make((3, 3)), rows, FILL_OR_DROP, True, id="dropped")
        yield _sample(make((4, 3)), np.array([[1, 2], [0, 0]], np.int8), make((2,)), points, CLIP, True, id="points")
        corners = np.array([[0, 2], [3, 0]], np.int32)
        yield _sample(make((5, 4)), corners, make((2, 2, 2)), windows, FILL_OR_DROP, True, id="windows")
        pairs = np.array([[[3], [1]], [[0], [2]]], np.uint8)
        yield _sample(make((2, 4)), pairs, make((2, 2)), paired, FILL_OR_DROP, True, id="paired")
        yield _sample(make((4, 0)), once, make((2, 0)), rows, CLIP, True, id="empty-rows")
        yield _sample(make((4, 3)), np.zeros((0, 1), np.int32), make((0, 3)), rows, CLIP, True, id="no-indices")
        if self.repeats:
            yield _sample(make((4, 3)), wild, make((3, 3)), rows, CLIP, False, id="clipped")
            yield _sample(
                make((3,)), np.array([[1], [1], [0]], np.int32), make((3,)),
                ScatterDimensionNumbers((), (0,), (0,)), FILL_OR_DROP, False, id="repeated",
            )  # fmt: skip
            yield _sample(
                make((4,)), np.array([[0], [1]], np.int32), make((3, 2)),
                ScatterDimensionNumbers((0,), (), (0,)), FILL_OR_DROP, False, id="overlapping",
            )  # fmt: skip

    #: Whether samples may write an element twice: not where there is no derivative then.
    repeats = True

    def refusals(self, make: Any) -> Any:
        rows = ScatterDimensionNumbers((1,), (0,), (0,))
        once = np.array([[2], [0]], np.int32)
        yield Refusal(_sample(make((4, 3)), once, make((3, 3)), rows, CLIP), ShapeError, "one update for each index")
        yield Refusal(_sample(make((4, 3)), once, make((2, 5)), rows, CLIP), ShapeError, "larger than operand")
        yield Refusal(
            _sample(make((4, 3)), once.astype(np.float32), make((2, 3)), rows, CLIP), DtypeError, "integer indices"
        )
        flat = ScatterDimensionNumbers((), (0,), (0,))
        yield Refusal(_sample(make((4, 3)), once, make((2,)), flat, CLIP), ShapeError, "needs 1 update_window_dims")


def _sample(
    x: Any, indices: Any, updates: Any, numbers: Any, mode: Any, unique: bool = False, id: str = ""
) -> Sample:
    return Sample(
        x, indices, updates, dimension_numbers=numbers, indices_are_sorted=False, unique_indices=unique, mode=mode,
        update_jaxpr=None, update_consts=(), id=id,
    )  # fmt: skip


def _read(x: Any, indices: Any, updates: Any, params: dict[str, Any]) -> Any:
    """What lies in ``x`` where the updates go, in the shape of the updates; 0 for those that are dropped."""
    d = params["dimension_numbers"]
    return gather(
        x,
        indices,
        dimension_numbers=adjoint_of_scatter(d),
        slice_sizes=window_sizes(x.shape, updates.shape, d),
        unique_indices=params["unique_indices"],
        indices_are_sorted=params["indices_are_sorted"],
        # A broken promise must not read an element that the scatter did not write.
        mode=FILL_OR_DROP if params["mode"] is PROMISE_IN_BOUNDS and not params["unique_indices"] else params["mode"],
        fill_value=0,
    )


_DOC = """

    Parameters
    ----------
    operand : Array, {kinds}
    scatter_indices : Array, any integer dtype; the last axis holds index vectors. A negative index is out of range.
    updates : Array of the dtype of ``operand``, one window for each index vector
    dimension_numbers : ScatterDimensionNumbers, static
    indices_are_sorted, unique_indices : bool, static, promises about the indices
    mode : GatherScatterMode, static
    update_jaxpr, update_consts : kept for programs that name them

    Returns
    -------
    Array of the shape and dtype of ``operand``
"""


class Scatter(Scattering):
    """``operand`` with ``updates`` in place of the windows at ``scatter_indices``; the last of several wins."""

    __doc__ = (__doc__ or "") + _DOC.format(kinds="any dtype")
    name = "scatter"
    dtypes = (*Primitive.dtypes, "key")
    required = True

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        x, indices, updates = primals
        tx, _, tu = tangents
        if tx is None and tu is None:
            return scatter(x, indices, updates, **params), None
        tx = zeros(aval_of(x).strip_weak_type()) if tx is None else tx
        tu = zeros(aval_of(updates).strip_weak_type()) if tu is None else tu
        if params["unique_indices"]:
            return scatter(x, indices, updates, **params), scatter(tx, indices, tu, **params)
        return scatter(x, indices, updates, **params), _winners_tangent(tx, indices, tu, params)

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
        back_x = back_u = None
        if type(x) is Undefined:
            back_x = scatter(ct, indices, zeros(aval_of(updates).strip_weak_type()), **params)
        if type(updates) is Undefined:
            back_u = _read(ct, indices, updates, params)
        return back_x, None, back_u


def _winners_tangent(tx: Any, indices: Any, tu: Any, params: dict[str, Any]) -> Any:
    """The tangent of a scatter in which updates may meet: each element moves with the update that won it.

    Every update gets a number from 1 on; scattering the numbers tells who won, gathering them tells each about itself.
    """
    d = params["dimension_numbers"]
    shape = tu.shape
    lead = tuple(a for a in range(len(shape)) if a not in d.update_window_dims)
    count = math.prod(shape[a] for a in lead)
    dtype = np.dtype(np.int32)
    numbers = iota(dtype=dtype, shape=(count,), dimension=0, sharding=None)
    numbers = add(numbers, np.ones((), dtype))
    numbers = reshape(numbers, new_sizes=tuple(shape[a] for a in lead), dimensions=None)
    numbers = broadcast_in_dim(numbers, shape=shape, broadcast_dimensions=lead)
    winner = scatter(zeros(Aval(tx.shape, dtype)), indices, numbers, **params)
    mine = eq(_read(winner, indices, tu, params), numbers)
    tx = select_n(eq(winner, np.zeros((), dtype)), zeros(aval_of(tx)), tx)
    tu = select_n(mine, zeros(aval_of(tu)), tu)
    return scatter_add(tx, indices, tu, **{**params, "update_jaxpr": None})


class ScatterAdd(Scattering):
    """``operand`` with ``updates`` added to the windows at ``scatter_indices``."""

    __doc__ = (__doc__ or "") + _DOC.format(kinds="any numeric dtype")
    name = "scatter-add"
    required = True
    dtypes = ("int", "uint", "float", "complex")
    join = np.add
    op = "add"
    linear_in = (0, 2)
    budget = {"default": 4}

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        x, indices, updates = primals
        out = self.bind(x, indices, updates, **params)
        tx, _, tu = tangents
        if tu is None:
            return out, tx
        tx = zeros(aval_of(x).strip_weak_type()) if tx is None else tx
        return out, self.bind(tx, indices, tu, **params)

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
        back = _read(ct, indices, updates, params) if type(updates) is Undefined else None
        return ct if type(x) is Undefined else None, None, back


class ScatterSub(ScatterAdd):
    """``operand`` with ``updates`` subtracted from the windows at ``scatter_indices``."""

    __doc__ = (__doc__ or "") + _DOC.format(kinds="any numeric dtype")
    name = "scatter-sub"
    required = False
    join = np.subtract
    op = "subtract"

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
        back = neg(_read(ct, indices, updates, params)) if type(updates) is Undefined else None
        return ct if type(x) is Undefined else None, None, back

    def decompose(self, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
        return scatter_add(x, indices, neg(updates), **{**params, "update_jaxpr": None})


class ScatterMul(Scattering):
    """``operand`` with the windows at ``scatter_indices`` multiplied by ``updates``.

    The derivative with respect to the updates needs ``unique_indices``.
    """

    __doc__ = (__doc__ or "") + _DOC.format(kinds="any numeric dtype")
    name = "scatter-mul"
    required = True
    dtypes = ("int", "uint", "float", "complex")
    join = np.multiply
    op = "multiply"
    repeats = False
    budget = {"default": 4, "complex64": 16, "complex128": 16}

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        x, indices, updates = primals
        out = scatter_mul(x, indices, updates, **params)
        tx, _, tu = tangents
        total = None if tx is None else scatter_mul(tx, indices, updates, **params)
        if tu is not None:
            _only_unique(params)
            spread = scatter_add(zeros(aval_of(x).strip_weak_type()), indices, tu, **{**params, "update_jaxpr": None})
            term = mul(x, spread)
            total = term if total is None else add_any(total, term)
        return out, total

    def transpose(self, ct: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
        if type(x) is Undefined:
            return scatter_mul(ct, indices, updates, **params), None, None
        _only_unique(params)
        return None, None, _read(mul(ct, x), indices, updates, params)


def _only_unique(params: dict[str, Any]) -> None:
    if not params["unique_indices"]:
        raise NotDifferentiableError(
            wrong="scatter-mul has a derivative with respect to its updates only if no element is multiplied twice",
            fix="Give unique_indices=True where that is so",
        )


def _extremal_doc(word: str) -> str:
    return f"""``operand`` with the {word} of itself and ``updates`` in the windows at ``scatter_indices``.

    NaN on either side gives NaN. All that equal the {word} share the tangent.""" + _DOC.format(
        kinds="bool, integers or real floating point"
    )


class ScatterExtreme(Scattering):
    dtypes = ("bool", "int", "uint", "float")

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> Any:
        x, indices, updates = primals
        out = self.bind(x, indices, updates, **params)
        tx, _, tu = tangents
        if tx is None and tu is None:
            return out, None
        mine, theirs = eq(x, out), eq(updates, _read(out, indices, updates, params))
        none_x, none_u = (zeros(aval_of(v).strip_weak_type()) for v in (x, updates))
        add = {**params, "update_jaxpr": None}
        one = like(out, 1)
        hits = select_n(mine, none_x, _full(one, none_x)), select_n(theirs, none_u, _full(one, none_u))
        count = scatter_add(hits[0], indices, hits[1], **add)
        tx = none_x if tx is None else select_n(mine, none_x, tx)
        tu = none_u if tu is None else select_n(theirs, none_u, tu)
        return out, div(scatter_add(tx, indices, tu, **add), count)


def _full(scalar: Any, like_what: Any) -> Any:
    return broadcast_in_dim(scalar, shape=like_what.shape, broadcast_dimensions=())


class ScatterMin(ScatterExtreme):
    __doc__ = _extremal_doc("lesser")
    name = "scatter-min"
    join = np.minimum
    op = "minimum"

    def decompose(self, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
        flip = neg if dtypes.is_inexact(x.dtype) else not_  # reverses the order
        return flip(scatter_max(flip(x), indices, flip(updates), **{**params, "update_jaxpr": None}))


class ScatterMax(ScatterExtreme):
    __doc__ = _extremal_doc("greater")
    name = "scatter-max"
    required = True
    join = np.maximum
    op = "maximum"


scatter: Callable[..., Any] = registry.add(Scatter())
scatter_add: Callable[..., Any] = registry.add(ScatterAdd())
scatter_sub: Callable[..., Any] = registry.add(ScatterSub())
scatter_mul: Callable[..., Any] = registry.add(ScatterMul())
scatter_min: Callable[..., Any] = registry.add(ScatterMin())
scatter_max: Callable[..., Any] = registry.add(ScatterMax())
