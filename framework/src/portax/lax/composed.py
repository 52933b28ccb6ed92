"""Primitives of JAX's that portax composes of others, under JAX's names: ``tile_p``, ``stack_p``, ``lt_to_p`` ...

And two operations that are here for programs that have them: ``dce_sink``, which keeps what makes a value in the
program, and ``rng_uniform``, whose numbers nobody can ask for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.dtypes import is_inexact
from portax.core.evaluation import eval_closed
from portax.core.jaxpr import ClosedJaxpr, Effects
from portax.core.primitive import Primitive
from portax.core.trace import Tracer
from portax.errors import ArgumentError, ShapeError
from portax.higher_order.composed import Composed
from portax.higher_order.loops import fori_loop
from portax.lax.creation import full
from portax.lax.elementwise import bitcast_convert_type, eq, lt
from portax.lax.exchanges import ragged_all_to_all
from portax.lax.operands import as_operand
from portax.lax.ranking import approx_max_k, approx_min_k
from portax.lax.requests import after_all, create_token
from portax.lax.shaping import reshape, stack, tile
from portax.lax.slicing import unstack
from portax.runtime import devices, eager
from portax.runtime.array import ConcreteArray

tile_p = Composed("tile", lambda x, *, reps: tile(x, reps))
stack_p = Composed("stack", lambda *xs, axis=0: stack(xs, axis))
unstack_p = Composed("unstack", lambda x, *, axis=0: unstack(x, axis), multiple_results=True)
stage_p = Composed("stage", lambda x: x)
ragged_all_to_all_p = Composed("ragged_all_to_all", ragged_all_to_all)


def _approx_top_k(
    x: Any, *, k: int, reduction_dimension: int = -1, recall_target: float = 0.95, is_max_k: bool = True,
    reduction_input_size_override: int = -1, aggregate_to_topk: bool = True,
) -> Any:  # fmt: skip
    chosen = approx_max_k if is_max_k else approx_min_k
    return chosen(x, k, reduction_dimension, recall_target, reduction_input_size_override, aggregate_to_topk)


approx_top_k_p = Composed("approx_top_k", _approx_top_k, multiple_results=True)


# The total order of floating-point numbers: -NaN < -inf < ... < -0 < +0 < ... < inf < NaN.
def _ordered(x: Any) -> Any:
    """Integers in the total order of ``x``: the bits, those of negative numbers but the sign turned over."""
    dtype = aval_of(x).dtype
    if not is_inexact(dtype) or np.dtype(dtype).kind == "c":
        return x
    bits = bitcast_convert_type(x, f"int{8 * dtype.itemsize}")
    return bits ^ ((bits >> (8 * dtype.itemsize - 1)) & np.iinfo(bits.dtype).max)


def _both(name: str, compare: Any) -> Composed:
    return Composed(name, lambda x, y: compare(_ordered(as_operand(x, name)), _ordered(as_operand(y, name))))


eq_to_p = _both("eq_to", eq)
lt_to_p = _both("lt_to", lt)
le_to_p = _both("le_to", lambda x, y: lt(x, y) | eq(x, y))


# Moving to a device.
def _device_put(*xs: Any, devices: Sequence[Any] = (), srcs: Any = (), copy_semantics: Any = ()) -> list[Any]:
    del srcs, copy_semantics
    targets = list(devices) or [None] * len(xs)
    return [_moved(x, target) for x, target in zip(xs, targets, strict=True)]


def _moved(x: Any, target: Any) -> Any:
    if isinstance(x, Tracer):
        return x  # a program has one device: where its operands are committed
    array = x if type(x) is ConcreteArray else eager.asarray(x, copy=True)
    if target is None:
        return array
    device = devices.as_device(target)
    return ConcreteArray(array.aval, None, array.buffer_on(device), device, True)


device_put_p = Composed("device_put", _device_put, multiple_results=True)


class TokenMaker(Composed):
    """Gives a token, which is a value of Python's: an order of effects, which here is that of the program."""

    def bind(self, *operands: Any, **params: Any) -> Any:
        return self.write(*operands, **params)


create_token_p = TokenMaker("create_token", lambda *_: create_token())
after_all_p = TokenMaker("after_all", lambda *tokens: after_all(*tokens))


# Windows.
def _select_and_scatter(
    operand: Any, source: Any, init_value: Any, *, select_jaxpr: Any, select_consts: Sequence[Any] = (),
    scatter_jaxpr: Any, scatter_consts: Sequence[Any] = (), window_dimensions: Sequence[int],
    window_strides: Sequence[int], padding: Sequence[tuple[int, int]],
) -> Any:  # fmt: skip
    """Each element of ``source`` joins, in an array like ``operand``, the element that its window selects."""
    x, source = as_operand(operand, "select_and_scatter"), as_operand(source, "select_and_scatter")
    places, grid = _window_places(x.shape, window_dimensions, window_strides, padding)
    if grid != source.shape:
        raise ShapeError(
            wrong=f"select_and_scatter has {grid} windows in {x.aval}, and source is {source.aval}",
            fix=f"Give a source of shape {grid}",
        )
    select = lambda a, b: eval_closed(_closed(select_jaxpr, select_consts), a, b)[0]
    join = lambda a, b: eval_closed(_closed(scatter_jaxpr, scatter_consts), a, b)[0]
    flat, flowing = reshape(x, (-1,)), reshape(source, (-1,))
    start = full((flat.shape[0],), init_value, x.dtype)
    if not flat.shape[0] or not flowing.shape[0]:
        return reshape(start, x.shape)
    table = eager.asarray(places)

    def chosen(row: Any) -> Any:
        def better(k: Any, best: Any) -> Any:
            other = row[k]
            # The first place that is no padding is kept as long as it is selected.
            keep = (other < 0) | ((best >= 0) & select(flat[best], flat[other]))
            return keep * best + (~keep) * other

        return fori_loop(1, places.shape[1], better, row[0])

    def scattered(w: Any, out: Any) -> Any:
        best = chosen(table[w])
        return out.at[best].set(join(out[best], flowing[w]))

    return reshape(fori_loop(0, places.shape[0], scattered, start), x.shape)


def _closed(jaxpr: Any, consts: Sequence[Any]) -> ClosedJaxpr:
    return jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, list(consts))


def _window_places(
    shape: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """For each window the flat places of its elements, -1 where that is padding; and how many windows there are."""
    grid = tuple(
        max(0, (n + low + high - size) // step + 1)
        for n, size, step, (low, high) in zip(shape, window, strides, padding, strict=True)
    )
    starts = np.indices(grid).reshape(len(grid), -1, 1) * np.reshape(strides, (-1, 1, 1))
    at = starts + np.indices(tuple(window)).reshape(len(grid), 1, -1) - np.reshape([p[0] for p in padding], (-1, 1, 1))
    inside = np.all((at >= 0) & (at < np.reshape(shape, (-1, 1, 1))), axis=0)
    flat = np.zeros(at.shape[1:], np.int32)
    for n, place in zip(shape, at, strict=True):
        flat = flat * n + place
    return np.where(inside, flat, -1).astype(np.int32), grid


select_and_scatter_p = Composed("select_and_scatter", _select_and_scatter)


# Kept for what they do.
class _Kept:
    """The effect of what must not be dropped from a program."""

    def __repr__(self) -> str:
        return "Kept"


_KEPT = _Kept()


class DceSink(Primitive):
    """Does nothing with its operands, and is never dropped: so what makes them is not either.

    Parameters
    ----------
    *operands : Arrays
    prevent_mlir_dce : bool
        Keep it in the lowered program too, where a compiler would drop it.
    """

    name = "dce_sink"
    multiple_results = True
    memoize = False

    def abstract(self, *avals: Aval, **_: Any) -> list[Aval]:
        return []

    def effects(self, **_: Any) -> Effects:
        return frozenset({_KEPT})

    def impl(self, *operands: Any, **_: Any) -> list[Any]:
        return []

    def reference(self, *values: Any, **_: Any) -> list[Any]:
        return []

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[list[Any], list[Any]]:
        self.bind(*primals, **params)
        return [], []

    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> tuple[list[Any], list[bool]]:
        self.bind(*operands, **params)
        return [], []

    def stablehlo(self, b: Any, *values: Any, prevent_mlir_dce: bool = False) -> tuple[Any, ...]:
        if prevent_mlir_dce:
            b.optimization_barrier(*values)
        return ()


dce_sink_p = DceSink()


def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Keep what makes a value in the program, though nobody reads the value.

    Parameters
    ----------
    val : Array
    prevent_mlir_dce : bool
        In the lowered program too.

    Examples
    --------
    >>> import portax
    >>> from portax import lax
    >>> print(portax.make_jaxpr(lambda x: lax.dce_sink(x + 1))(1.0))
    { lambda ; a:f32[]. let
        b:f32[] = add a 1.0:f32[]
        dce_sink[prevent_mlir_dce=False] b
      in () }
    """
    dce_sink_p.bind(as_operand(val, "dce_sink"), prevent_mlir_dce=bool(prevent_mlir_dce))


class RngUniform(Primitive):
    """Uniform numbers in ``[a, b)``, others at each call.

    Parameters
    ----------
    a, b : Arrays of shape () and one floating or integer dtype
    shape : tuple of int
    """

    name = "rng_uniform"
    memoize = False

    def abstract(self, a: Aval, b: Aval, *, shape: tuple[int, ...]) -> Aval:
        if a.ndim or b.ndim or a.dtype != b.dtype or a.dtype.kind not in "iuf":
            raise ArgumentError(
                wrong=f"rng_uniform needs two numbers of one floating or integer dtype, got {a} and {b}",
                fix="Convert them, and give scalars",
            )
        return Aval(tuple(shape), a.dtype)

    def reference(self, a: Any, b: Any, *, shape: tuple[int, ...]) -> Any:
        generator = np.random.default_rng()
        if a.dtype.kind in "iu":
            return generator.integers(a, b, shape, dtype=a.dtype)
        drawn = (a + (b - a) * generator.random(shape)).astype(a.dtype)
        return np.minimum(drawn, np.nextafter(b, a))  # rounding may reach b

    def stablehlo(self, b: Any, low: Any, high: Any, *, shape: tuple[int, ...]) -> Any:
        sizes = b.constant(np.asarray(shape, np.int64), np.int64)
        attribute = "rng_distribution = #stablehlo<rng_distribution UNIFORM>"
        return b.generic("stablehlo.rng", (low, high, sizes), (Aval(tuple(shape), low.dtype),), attribute)[0]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, None]:
        return self.bind(*primals, **params), None


rng_uniform_p = RngUniform()


def rng_uniform(a: Any, b: Any, shape: Sequence[int]) -> Any:
    """Uniform numbers that differ from call to call, which no key can bring back; `portax.random` has those that can.

    Parameters
    ----------
    a, b : numbers of one dtype
        Numbers are at least ``a`` and less than ``b``.
    shape : tuple of int

    Examples
    --------
    >>> from portax import lax
    >>> x = lax.rng_uniform(0.0, 1.0, (100,))
    >>> bool((x >= 0).all() & (x < 1).all())
    True
    """
    return rng_uniform_p.bind(
        as_operand(a, "rng_uniform"), as_operand(b, "rng_uniform"), shape=tuple(int(n) for n in shape)
    )
