"""Ops that carry programs: loops, branches, reductions, sorting, scattering.

A program is a callable ``body(b, *values)`` that writes with the builder it is given and returns a Value or a sequence
of them. The bodies of loops and branches may use any value of the function around them. The bodies of reductions,
scatters, sorts and windows may not: XLA takes them only closed, so constants are made anew inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.stablehlo.emitter import Body
from portax.core.stablehlo.shaping import Shaping
from portax.core.stablehlo.types import (
    Value,
    array_attribute,
    element_type,
    integers_of,
    is_wide,
    list_attribute,
    scalar_of,
    type_of,
)

__all__ = ["Control"]

_INT64 = np.dtype(np.int64)


def _many(values: Value | Sequence[Value]) -> tuple[Value, ...]:
    return (values,) if isinstance(values, Value) else tuple(values)


def _body_of(op: str | Body) -> Body:
    if callable(op):
        return op
    return lambda b, x, y: b.binary(op, x, y)


def _pairs_attribute(pairs: Sequence[Sequence[int]]) -> str:
    text = ", ".join([f"[{low}, {high}]" for low, high in pairs])
    return f"dense<[{text}]> : tensor<{len(pairs)}x2xi64>" if pairs else "dense<> : tensor<0x2xi64>"


def _per_axis(given: Mapping[int, Any] | Sequence[Any] | None, rank: int, default: Any) -> list[Any]:
    if given is None:
        return [default] * rank
    if isinstance(given, Mapping):
        return [given.get(axis, default) for axis in range(rank)]
    return list(given)


def _reduced(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[list[int], tuple[int, ...]]:
    gone = sorted(axes)
    return gone, tuple([n for axis, n in enumerate(shape) if axis not in gone])


@lru_cache(1 << 13)
def _reduction_form(aval: Aval, axes: tuple[int, ...], op: str) -> tuple[Aval, str]:
    gone, shape = _reduced(aval.shape, axes)
    out, scalar = Aval(shape, aval.dtype), scalar_of(aval)
    words = f" applies stablehlo.{op} across dimensions = {list_attribute(gone)}"
    return out, f"{words} : ({type_of(aval)}, {type_of(scalar)}) -> {type_of(out)}"


class Control(Shaping):
    """The ops of a `Builder` whose attribute is a program."""

    __slots__ = ()

    # ---------------------------------------------------------------------------------------------- reductions
    def reduce(self, operands: Value | Sequence[Value], inits: Any, axes: Sequence[int], body: str | Body) -> Any:
        """Append the reduction of one or several arrays of one shape over ``axes``.

        Parameters
        ----------
        operands : Value or sequence of Value
        inits : number, Value, or a sequence of them
            What the reduction starts from; an identity of ``body``.
        axes : sequence of int
        body : str or callable
            The name of a binary op, ``"add"``, or ``body(b, *accumulators, *elements) -> accumulators`` on rank-0
            values.

        Returns
        -------
        Value, or a tuple of them where ``operands`` is a sequence
        """
        xs = _many(operands)
        starts = self._inits(xs, inits)
        if isinstance(body, str) and len(xs) == 1:
            aval, after = _reduction_form(xs[0].aval, tuple(axes), body)
            out = self.emit(aval, f"stablehlo.reduce({xs[0].name} init: {starts[0].name}){after}")
            return out if isinstance(operands, Value) else (out,)
        gone, shape = _reduced(xs[0].aval.shape, axes)
        avals = [Aval(shape, x.aval.dtype) for x in xs]
        scalars = [scalar_of(x.aval) for x in xs]
        region, _ = self.region([*scalars, *scalars], _body_of(body))
        outs = self.generic(
            "stablehlo.reduce", [*xs, *starts], avals, f"dimensions = {array_attribute(gone)}", [region]
        )
        return outs[0] if isinstance(operands, Value) else outs

    def _inits(self, xs: Sequence[Value], inits: Any) -> list[Value]:
        given = inits if isinstance(inits, (tuple, list)) else [inits] * len(xs)
        return [self.scalar(init, x.aval.dtype) for init, x in zip(given, xs, strict=True)]

    def reduce_window(
        self,
        x: Value | Sequence[Value],
        body: str | Body,
        init: Any,
        window: Mapping[int, int] | Sequence[int],
        strides: Mapping[int, int] | Sequence[int] | None = None,
        padding: Mapping[int, tuple[int, int]] | Sequence[tuple[int, int]] | None = None,
        base_dilation: Mapping[int, int] | Sequence[int] | None = None,
        window_dilation: Mapping[int, int] | Sequence[int] | None = None,
    ) -> Any:
        """Append the reduction of every window of ``x``.

        Parameters
        ----------
        x : Value or sequence of Value
            Arrays of one shape.
        body : str or callable
            As for `reduce`.
        init : number or Value, or a sequence of them
        window, strides, base_dilation, window_dilation : mapping from axis to int, or one int for each axis
            Axes left out have 1.
        padding : mapping from axis to (low, high), or one pair for each axis
            Axes left out have none.
        """
        xs = _many(x)
        shape = xs[0].aval.shape
        rank = len(shape)
        sizes = _per_axis(window, rank, 1)
        steps = _per_axis(strides, rank, 1)
        pads = _per_axis(padding, rank, (0, 0))
        base = _per_axis(base_dilation, rank, 1)
        spread = _per_axis(window_dilation, rank, 1)
        out_shape = tuple(
            [_windows(n, *rest) for n, *rest in zip(shape, sizes, steps, pads, base, spread, strict=True)]
        )
        scalars = [scalar_of(v.aval) for v in xs]
        starts = self._inits(xs, init)
        region, _ = self.region([*scalars, *scalars], _body_of(body))
        outs = self.generic(
            "stablehlo.reduce_window",
            [*xs, *starts],
            [Aval(out_shape, v.aval.dtype) for v in xs],
            f"window_dimensions = {array_attribute(sizes)}, window_strides = {array_attribute(steps)}, "
            f"base_dilations = {array_attribute(base)}, window_dilations = {array_attribute(spread)}, "
            f"padding = {_pairs_attribute(pads)}",
            [region],
        )
        return outs[0] if isinstance(x, Value) else outs

    def select_and_scatter(
        self,
        x: Value,
        source: Value,
        init: Any,
        select: str | Body,
        scatter: str | Body,
        window: Mapping[int, int] | Sequence[int],
        strides: Mapping[int, int] | Sequence[int] | None = None,
        padding: Mapping[int, tuple[int, int]] | Sequence[tuple[int, int]] | None = None,
    ) -> Value:
        """Append an array like ``x`` where each element of ``source`` lands on the element its window selects.

        ``select`` is a comparison (``"GE"``) or a callable to bool, ``scatter`` joins what lands on one place
        (``"add"``).
        """
        rank = len(x.aval.shape)
        scalar = scalar_of(x.aval)
        choose = select if callable(select) else (lambda b, p, q: b.compare(p, q, select))
        chooser, _ = self.region([scalar, scalar], choose)
        joiner, _ = self.region([scalar, scalar], _body_of(scatter))
        [out] = self.generic(
            "stablehlo.select_and_scatter",
            (x, source, self.scalar(init, x.aval.dtype)),
            (x.aval,),
            f"window_dimensions = {array_attribute(_per_axis(window, rank, 1))}, "
            f"window_strides = {array_attribute(_per_axis(strides, rank, 1))}, "
            f"padding = {_pairs_attribute(_per_axis(padding, rank, (0, 0)))}",
            [chooser, joiner],
        )
        return out

    # ----------------------------------------------------------------------------------------- scatter and sort
    def scatter(
        self,
        x: Value | Sequence[Value],
        indices: Value,
        updates: Value | Sequence[Value],
        dimension_numbers: Any,
        body: str | Body | None = None,
        *,
        index_vector_dim: int | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Any:
        """Append ``x`` with ``updates`` written, or joined by ``body``, at ``indices``; what falls outside is dropped.

        Parameters
        ----------
        x, updates : Value, or sequences of them of equal length
        indices : Value of an integer dtype
        dimension_numbers : object
            With ``update_window_dims``, ``inserted_window_dims``, ``scatter_dims_to_operand_dims``, and where there is
            batching ``operand_batching_dims`` and ``scatter_indices_batching_dims``, as `lax.ScatterDimensionNumbers`.
        body : str, callable or None
            ``body(b, *old, *updates) -> new`` on rank-0 values, the name of a binary op, or None: the update wins.
        index_vector_dim : int, optional
            The axis of ``indices`` that holds one index into ``x``; default the last.
        """
        xs, news = _many(x), _many(updates)
        d = dimension_numbers
        update_window_dims, avals = d.update_window_dims, [v.aval for v in xs]
        if is_wide(avals[0].dtype):  # both integers of a key are in its window
            update_window_dims = (*update_window_dims, news[0].aval.ndim)
            xs, news = tuple(map(integers_of, xs)), tuple(map(integers_of, news))
        vector = len(indices.aval.shape) - 1 if index_vector_dim is None else index_vector_dim
        numbers = (
            f"#stablehlo.scatter<update_window_dims = {list_attribute(update_window_dims)}, "
            f"inserted_window_dims = {list_attribute(d.inserted_window_dims)}, "
            f"input_batching_dims = {list_attribute(getattr(d, 'operand_batching_dims', ()))}, "
            f"scatter_indices_batching_dims = {list_attribute(getattr(d, 'scatter_indices_batching_dims', ()))}, "
            f"scatter_dims_to_operand_dims = {list_attribute(d.scatter_dims_to_operand_dims)}, "
            f"index_vector_dim = {vector}>"
        )
        scalars = [scalar_of(v.aval) for v in xs]
        join: Body = (lambda _, *values: values[len(values) // 2 :]) if body is None else _body_of(body)
        region, _ = self.region([*scalars, *scalars], join)
        outs = self.generic(
            "stablehlo.scatter",
            [*xs, indices, *news],
            avals,
            f"scatter_dimension_numbers = {numbers}, indices_are_sorted = {str(indices_are_sorted).lower()}, "
            f"unique_indices = {str(unique_indices).lower()}",
            [region],
        )
        return outs[0] if isinstance(x, Value) else outs

    def sort(
        self,
        operands: Value | Sequence[Value],
        axis: int,
        stable: bool = True,
        comparator: Body | None = None,
        keys: int = 1,
    ) -> Any:
        """Append ``operands`` sorted together along ``axis``.

        Parameters
        ----------
        operands : Value or sequence of Value
        axis : int
        stable : bool
        comparator : callable, optional
            ``comparator(b, x0, y0, x1, y1, ...) -> bool``, a pair of rank-0 values for each operand. Default: ascending
            by the first ``keys`` operands, NaN last and all NaN alike, zeros of both signs alike, complex numbers by
            real, then imaginary part.
        keys : int
        """
        xs = _many(operands)
        pairs = [scalar for x in xs for scalar in [scalar_of(x.aval)] * 2]
        region, _ = self.region(pairs, comparator or (lambda b, *values: b.lexicographic(values[: 2 * keys])))
        outs = self.generic(
            "stablehlo.sort",
            xs,
            [x.aval for x in xs],
            f"dimension = {axis} : i64, is_stable = {str(stable).lower()}",
            [region],
        )
        return outs[0] if isinstance(operands, Value) else outs

    def lexicographic(self, values: Sequence[Value]) -> Value:
        """Append whether ``(x0, x1, ...)`` comes before ``(y0, y1, ...)``, given as ``x0, y0, x1, y1, ...``."""
        pairs: list[tuple[Value, Value]] = []
        for x, y in zip(values[::2], values[1::2], strict=True):
            if element_type(x.aval.dtype)[0] == "c":
                pairs.append((self.real(x), self.real(y)))
                pairs.append((self.imag(x), self.imag(y)))
            else:
                pairs.append((x, y))
        pairs = [(self.sort_key(x), self.sort_key(y)) for x, y in pairs]
        before = None
        for x, y in reversed(pairs):
            here = self.compare(x, y, "LT", total_order=True)
            if before is None:
                before = here
            else:
                tie = self.compare(x, y, "EQ", total_order=True)
                before = self.binary("or", here, self.binary("and", tie, before))
        assert before is not None
        return before

    def sort_key(self, x: Value) -> Value:
        """Append what the total order sorts as `x` is to be sorted: one zero, and one NaN above all numbers."""
        # The total order tells -0 from +0 and -NaN from NaN; a sort must not.
        if element_type(x.aval.dtype)[0] not in "fb":
            return x
        zero = self.full((), 0, x.aval.dtype)
        x = self.select(self.compare(x, zero, "EQ"), zero, x)
        return self.select(self.compare(x, x, "NE"), self.full((), np.nan, x.aval.dtype), x)

    def top_k(self, x: Value, k: int) -> tuple[Value, Value]:
        """Append the ``k`` largest elements along the last axis, descending, and their int32 indices.

        Ties keep their order.
        """
        shape = (*x.aval.shape[:-1], k)
        avals = Aval(shape, x.aval.dtype), Aval(shape, np.dtype(np.int32))
        values, indices = self.emit_many(
            avals, f"chlo.top_k({x.name}, k = {k}) : {x.type} -> ({', '.join([type_of(a) for a in avals])})"
        )
        return values, indices

    # ------------------------------------------------------------------------------------------ loops, branches
    def while_loop(self, inits: Sequence[Value], cond: Body, body: Body) -> tuple[Value, ...]:
        """Append ``while cond(values): values = body(values)``; gives the last values.

        ``cond(b, *values)`` gives a bool of rank 0, ``body(b, *values)`` as many values as there are, of the same
        types.
        """
        if self.order is not None:
            return self._ordered_while(inits, cond, body)
        avals = [v.aval for v in inits]
        condition, _ = self.region(avals, cond)
        step, _ = self.region(avals, body)
        return self.generic("stablehlo.while", inits, avals, regions=[condition, step])

    def _ordered_while(self, inits: Sequence[Value], cond: Body, body: Body) -> tuple[Value, ...]:
        """A loop that carries the order of side effects with its values."""
        assert self.order is not None
        avals = [*[v.aval for v in inits], self.order.aval]

        def condition(b: Any, *values: Value) -> Value:
            return self.in_order(values[-1], lambda: cond(b, *values[:-1]))[0]

        def step(b: Any, *values: Value) -> list[Value]:
            return self.in_order(values[-1], lambda: body(b, *values[:-1]))

        regions = [self.region(avals, condition)[0], self.region(avals, step)[0]]
        *outs, self.order = self.generic("stablehlo.while", [*inits, self.order], avals, regions=regions)
        return tuple(outs)

    def in_order(self, order: Value, write: Callable[[], Any]) -> list[Value]:
        """What ``write`` gives, where side effects so far end with ``order``; and what they end with after it."""
        outer, self.order = self.order, order
        try:
            values = _many(write())
            assert self.order is not None
            return [*values, self.order]
        finally:
            self.order = outer

    def case(
        self, index: Value, branches: Sequence[Callable[..., Any]], operands: Sequence[Value] = ()
    ) -> tuple[Value, ...]:
        """Append ``branches[index](b, *operands)``; an ``index`` out of range takes the last branch.

        All branches give values of the same types. ``index`` is an int32 of rank 0.
        """
        return self._chosen("stablehlo.case", index, branches, operands)

    def _chosen(
        self, op: str, which: Value, branches: Sequence[Callable[..., Any]], operands: Sequence[Value]
    ) -> tuple[Value, ...]:
        order = self.order

        def write(b: Any, branch: Callable[..., Any]) -> Any:
            return branch(b, *operands) if order is None else self.in_order(order, lambda: branch(b, *operands))

        made = [self.region((), lambda b, branch=branch: write(b, branch)) for branch in branches]
        outs = self.generic(op, (which,), [v.aval for v in made[0][1]], regions=[text for text, _ in made])
        if order is None:
            return outs
        self.order = outs[-1]
        return outs[:-1]

    def if_(
        self, which: Value, on_true: Callable[..., Any], on_false: Callable[..., Any], operands: Sequence[Value] = ()
    ) -> tuple[Value, ...]:
        """Append ``on_true(b, *operands)`` if the rank-0 bool ``which`` holds, else ``on_false(b, *operands)``."""
        return self._chosen("stablehlo.if", which, (on_true, on_false), operands)

    def map_scalars(self, xs: Sequence[Value], body: Body) -> Value:
        """Append ``body(b, *scalars)`` of the elements of arrays of one shape."""
        region, results = self.region([scalar_of(x.aval) for x in xs], body)
        shape = xs[0].aval.shape
        [out] = self.generic(
            "stablehlo.map",
            xs,
            (Aval(shape, results[0].aval.dtype),),
            f"dimensions = {array_attribute(range(len(shape)))}",
            [region],
        )
        return out


def _windows(n: int, size: int, step: int, pad: tuple[int, int], base: int, spread: int) -> int:
    padded = (0 if n == 0 else (n - 1) * base + 1) + pad[0] + pad[1]
    reach = 0 if size == 0 else (size - 1) * spread + 1
    return 0 if padded == 0 or reach > padded else (padded - reach) // step + 1
