"""Faults of moving numbers: offsets, bounds, strides, axes, and what lies outside."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax_conformance.mutants.fault import Arrays, Call, Fault


def _zeros_where(out: np.ndarray, where: Any) -> np.ndarray:
    return np.where(where, np.zeros((), out.dtype), out)


def _pad(change: Any) -> Any:
    """The same with another configuration, cut or filled to the right shape."""

    def wrong(call: Call) -> Arrays:
        (right,) = call()
        config = tuple([change(*c) for c in call.params["padding_config"]])
        if any(
            low + high + n + max(n - 1, 0) * inner < 0
            for (low, high, inner), n in zip(config, call.operands[0].shape, strict=True)
        ):
            return [right]
        (out,) = call(padding_config=config)
        return [_fitted(out, right.shape, call.operands[1])]

    return wrong


def _fitted(x: np.ndarray, shape: tuple[int, ...], fill: np.ndarray) -> np.ndarray:
    out = np.full(shape, fill, x.dtype)
    part = tuple([slice(0, min(a, b)) for a, b in zip(x.shape, shape, strict=True)])
    out[part] = x[part]
    return out


def _slice(change: Any) -> Any:
    """The same from other places, as many as there are."""

    def wrong(call: Call) -> Arrays:
        x, p = call.operands[0], call.params
        (right,) = call()
        strides = p["strides"] or (1,) * x.ndim
        index = []
        for n, start, step, size in zip(x.shape, p["start_indices"], strides, right.shape, strict=True):
            index.append(np.clip(change(start, step, np.arange(size)), 0, max(n - 1, 0)))
        return [x[np.ix_(*index)] if index and right.size else right]

    return wrong


def _starts(call: Call, first: int, change: Any) -> Arrays:
    operands = list(call.operands)
    for k in range(first, len(operands)):
        operands[k] = np.asarray(change(operands[k], k - first)).astype(operands[k].dtype)
    return call.right(operands, call.params)


def _unclamped(call: Call) -> Arrays:
    """What lies outside is zero, and the window stays where it was asked for."""
    x, *starts = call.operands
    sizes = call.params["slice_sizes"]
    out = np.zeros(sizes, x.dtype)
    for place in np.ndindex(*sizes):
        at = tuple([int(s) + p for s, p in zip(starts, place, strict=True)])
        if all(0 <= a < n for a, n in zip(at, x.shape, strict=True)):
            out[place] = x[at]
    return [out]


def _wrapping(call: Call) -> Arrays:
    """Negative starts count from the end."""
    x = call.operands[0]
    first = 1 if call.name == "dynamic_slice" else 2
    return _starts(
        call, first, lambda s, axis: s + x.shape[axis] if int(s) < 0 and not dtypes.is_unsigned(s.dtype) else s
    )


def _update_unclamped(call: Call) -> Arrays:
    x, update, *starts = call.operands
    out = x.copy()
    for place in np.ndindex(*update.shape):
        at = tuple([int(s) + p for s, p in zip(starts, place, strict=True)])
        if all(0 <= a < n for a, n in zip(at, x.shape, strict=True)):
            out[at] = update[place]
    return [out]


def _signed_start(call: Call, first: int) -> Arrays:
    """Narrow indices are read as signed ones."""
    signed = {"uint8": np.int8, "uint16": np.int16, "uint32": np.int32, "uint64": np.int64}
    operands = list(call.operands)
    for k in range(first, len(operands)):
        kind = signed.get(operands[k].dtype.name)
        operands[k] = operands[k].view(kind) if kind is not None else operands[k]
    return call.right(operands, call.params)


def _only_first_start(call: Call, first: int) -> Arrays:
    return _starts(call, first, lambda s, axis: s if axis == 0 else s * 0)


def _lost_row(call: Call) -> Arrays:
    """The last row of the update is not written."""
    x, update, *starts = call.operands
    if not update.ndim or update.shape[0] < 2:
        return call()
    (out,) = call.right([x, update, *starts], call.params)
    (kept,) = call.right([x, np.concatenate([update[:-1], update[-1:]]), *starts], call.params)
    first = min(max(int(starts[0]), 0), x.shape[0] - update.shape[0])
    kept = kept.copy()
    kept[first + update.shape[0] - 1] = x[first + update.shape[0] - 1]
    return [kept if out.shape == kept.shape else out]


def _index(call: Call, change: Any) -> Arrays:
    operands = list(call.operands)
    operands[1] = np.asarray(change(operands[1])).astype(operands[1].dtype)
    return call.right(operands, call.params)


def _mode(name: str) -> Any:
    """Indices outside are treated in another mode than the one asked for."""

    def wrong(call: Call) -> Arrays:
        modes = type(call.params["mode"])
        other = getattr(modes, name, None)
        return call() if other is None or other == call.params["mode"] else call(mode=other)

    return wrong


def _filled_with_zero(call: Call) -> Arrays:
    """What is outside gives zero, whatever value was asked for."""
    return call(fill_value=0)


def _first_index_only(call: Call) -> Arrays:
    """Of a vector of indices the first alone is read."""
    i = call.operands[1]
    if not i.ndim or i.shape[-1] < 2:
        return call()
    return _index(call, lambda i: np.concatenate([i[..., :1], np.zeros_like(i[..., 1:])], -1))


def _reversed_index(call: Call) -> Arrays:
    return _index(call, lambda i: np.flip(i, -1) if i.ndim else i)


def _updates(call: Call, change: Any) -> Arrays:
    operands = list(call.operands)
    operands[2] = change(operands[2], operands[1])
    return call.right(operands, call.params)


def _once(call: Call) -> Arrays:
    """Updates of one place are made at once, each on what was there before: the last alone counts."""
    x, i, u = call.operands
    (out,) = call()
    if call.name == "scatter":
        return [out]
    seen: dict[Any, int] = {}
    rows = i.reshape(-1, i.shape[-1]) if i.ndim else i.reshape(1, 1)
    for k, row in enumerate(rows.tolist()):
        seen[tuple(row)] = k
    if len(seen) == len(rows) or not i.ndim:
        return [out]
    keep = np.isin(np.arange(len(rows)), list(seen.values())).reshape(i.shape[:-1])
    moved = np.where(keep[..., None], i, np.full((), 10**6 if i.dtype.itemsize > 2 else 100, i.dtype))
    return call.right([x, moved, u], call.params)


def _replaces(call: Call) -> Arrays:
    """What was there is not combined, but replaced: from zeros."""
    x, i, u = call.operands
    (out,) = call()
    (bare,) = call.right([np.zeros_like(x), i, u], call.params)
    return [np.where(out == x, x, bare)]


def _axes_of(call: Call, key: str, change: Any) -> Arrays:
    value = call.params[key]
    out = call(**{key: change(value, call)})
    stated = call()
    return (
        out
        if all(a.shape == b.shape for a, b in zip(out, stated, strict=True))
        else [x.reshape(y.shape) if x.size == y.size else y for x, y in zip(out, stated, strict=True)]
    )


def _column_order(call: Call) -> Arrays:
    """The array is read in columns, and written in rows."""
    (out,) = call()
    x = call.operands[0]
    return [x.ravel(order="F").reshape(out.shape)] if x.size == out.size else [out]


def _written_in_columns(call: Call) -> Arrays:
    (out,) = call()
    return (
        [np.asarray(call.operands[0]).ravel().reshape(out.shape, order="F").copy()]
        if call.operands[0].size == out.size
        else [out]
    )


_GATHER = (
    Fault("index-plus-one", "indices count from one", lambda c: _index(c, lambda i: i + 1)),
    Fault("always-clamped", "indices outside are clamped, whatever is asked for", _mode("CLIP")),
    Fault("always-filled", "indices outside give the fill value, whatever is asked for", _mode("FILL_OR_DROP")),
    Fault("first-coordinate", "of several coordinates the first alone is read", _first_index_only),
    Fault("coordinates-reversed", "coordinates are read in the other order", _reversed_index),
    Fault("signed-index", "narrow indices are read as signed ones", lambda c: _signed_index(c)),
)


def _signed_index(call: Call) -> Arrays:
    signed = {"uint8": np.int8, "uint16": np.int16, "uint32": np.int32}
    kind = signed.get(call.operands[1].dtype.name)
    operands = list(call.operands)
    operands[1] = operands[1].view(kind).astype(np.int32) if kind is not None and operands[1].ndim else operands[1]
    return call.right(operands, call.params)


_SCATTER = (
    Fault("index-plus-one", "indices count from one", lambda c: _index(c, lambda i: i + 1)),
    Fault("always-clamped", "updates outside are made at the edge, whatever is asked for", _mode("CLIP")),
    Fault("always-dropped", "updates outside are dropped, whatever is asked for", _mode("FILL_OR_DROP")),
    Fault("coordinates-reversed", "coordinates are read in the other order", _reversed_index),
    Fault("race", "of several updates of one place the last alone is made", _once),
    Fault(
        "updates-reversed",
        "updates are read from the end",
        lambda c: _updates(c, lambda u, i: np.ascontiguousarray(u[::-1]) if u.ndim else u),
    ),
    Fault("operand-lost", "where updates are made, what was there counts as zero", _replaces),
)
_AXIS_COUNTED = Fault(
    "axis-from-the-end",
    "the axis is counted from the other end",
    lambda c: _axes_of(c, "axis", lambda v, c: c.operands[0].ndim - 1 - v),
)

MEANINGS: dict[str, tuple[Fault, ...]] = {
    "pad": (
        Fault("low-plus-one", "one more is put before", _pad(lambda low, high, inner: (low + 1, high, inner))),
        Fault("ends-swapped", "what belongs before is put behind", _pad(lambda low, high, inner: (high, low, inner))),
        Fault("no-interior", "nothing is put between", _pad(lambda low, high, inner: (low, high, 0))),
        Fault(
            "negative-is-none",
            "negative padding cuts nothing off",
            _pad(lambda low, high, inner: (max(low, 0), max(high, 0), inner)),
        ),
        Fault(
            "with-zero",
            "it is filled with zero",
            lambda c: c.right([c.operands[0], np.zeros_like(c.operands[1])], c.params),
        ),
    ),
    "slice": (
        Fault("start-plus-one", "it starts one later", _slice(lambda start, step, k: start + 1 + k * step)),
        Fault("stride-ignored", "it takes neighbours", _slice(lambda start, step, k: start + k)),
        Fault(
            "stride-of-start",
            "the start is multiplied by the stride",
            _slice(lambda start, step, k: start * step + k * step),
        ),
        Fault("from-zero", "it starts at the beginning", _slice(lambda start, step, k: k * step)),
    ),
    "dynamic_slice": (
        Fault("not-clamped", "a window that reaches outside stays there, and reads zeros", _unclamped),
        Fault("negative-from-end", "negative starts count from the end", _wrapping),
        Fault("start-plus-one", "it starts one later", lambda c: _starts(c, 1, lambda s, axis: s + 1)),
        Fault("signed-start", "starts of 8 bits are read as signed ones", lambda c: _signed_start(c, 1)),
        Fault("first-axis-only", "the start along the first axis alone is read", lambda c: _only_first_start(c, 1)),
    ),
    "dynamic_update_slice": (
        Fault(
            "not-clamped", "a window that reaches outside stays there, and what is outside is lost", _update_unclamped
        ),
        Fault("negative-from-end", "negative starts count from the end", _wrapping),
        Fault("last-row-lost", "the last row of the update is not written", _lost_row),
        Fault("signed-start", "starts of 8 bits are read as signed ones", lambda c: _signed_start(c, 2)),
        Fault(
            "transposed-update",
            "the update is read in columns",
            lambda c: c.right(
                [c.operands[0], c.operands[1].ravel(order="F").reshape(c.operands[1].shape), *c.operands[2:]], c.params
            ),
        ),
        Fault(
            "operand-cleared",
            "what is not updated is zero",
            lambda c: c.right([np.zeros_like(c.operands[0]), *c.operands[1:]], c.params),
        ),
    ),
    "gather": (
        *_GATHER,
        Fault("filled-with-zero", "what is outside gives zero, whatever was asked for", _filled_with_zero),
    ),
    **dict.fromkeys(("scatter", "scatter-add", "scatter-sub", "scatter-mul", "scatter-min", "scatter-max"), _SCATTER),
    "concatenate": (
        Fault("order-reversed", "the last comes first", lambda c: c.right(c.operands[::-1], c.params)),
        Fault(
            "last-repeats-first",
            "the last part is read from the first one",
            lambda c: c.right([*c.operands[:-1], np.resize(c.operands[0], c.operands[-1].shape)], c.params),
        ),
        Fault(
            "empty-part-counts",
            "after a part without elements the rest is shifted",
            lambda c: [np.roll(x, 1, c.params["dimension"]) if any(not y.size for y in c.operands) else x for x in c()],
        ),
    ),
    "split": (
        Fault(
            "even-parts",
            "parts are read as if all had the size of the first",
            lambda c: [
                np.resize(x if not k else np.roll(c.operands[0], -k * c.params["sizes"][0], c.params["axis"]), x.shape)
                for k, x in enumerate(c())
            ],
        ),
        Fault(
            "all-the-first",
            "every part starts where the first does",
            lambda c: [np.take(c.operands[0], np.arange(x.shape[c.params["axis"]]), c.params["axis"]) for x in c()],
        ),
    ),
    "rev": (
        Fault(
            "first-axis-only",
            "of several axes the first alone is reversed",
            lambda c: c(dimensions=c.params["dimensions"][:1]),
        ),
        Fault(
            "all-axes",
            "every axis is reversed",
            lambda c: c(dimensions=tuple(range(c.operands[0].ndim))),
            ("value",),
            ("float32",),
        ),
        Fault("nothing", "it does nothing", lambda c: [c.operands[0].copy()]),
        Fault(
            "off-by-one",
            "it starts one before the end",
            lambda c: [np.roll(x, -1, c.params["dimensions"][0]) if c.params["dimensions"] else x for x in c()],
        ),
    ),
    "transpose": (
        Fault(
            "inverse",
            "the permutation is taken the other way about",
            lambda c: _axes_of(c, "permutation", lambda v, c: tuple(int(k) for k in np.argsort(v))),
        ),
        Fault(
            "nothing-moves",
            "the numbers stay where they are, in the new shape",
            lambda c: [np.ascontiguousarray(c.operands[0]).reshape(c()[0].shape)],
        ),
    ),
    "reshape": (
        Fault("read-in-columns", "the array is read in columns", _column_order),
        Fault("written-in-columns", "the result is written in columns", _written_in_columns),
    ),
    "squeeze": (
        Fault(
            "reversed",
            "the numbers come out from the end",
            lambda c: [np.ascontiguousarray(c.operands[0]).ravel()[::-1].reshape(c()[0].shape)],
        ),
    ),
    "broadcast_in_dim": (
        Fault(
            "along-the-last-axis",
            "a row is spread along the other axis",
            lambda c: [np.resize(c.operands[0], c()[0].shape)] if c.operands[0].size and c()[0].size else c(),
        ),
        Fault(
            "first-number",
            "the first number is spread",
            lambda c: (
                [np.full(c()[0].shape, c.operands[0].reshape(-1)[0], c()[0].dtype)] if c.operands[0].size else c()
            ),
        ),
        Fault(
            "first-row-only",
            "the first row alone is written",
            lambda c: [
                _zeros_where(x, np.arange(x.shape[0]).reshape(-1, *[1] * (x.ndim - 1)) > 0)
                if x.ndim and x.shape[0]
                else x
                for x in c()
            ],
        ),
    ),
    "iota": (
        Fault(
            "other-axis",
            "it counts along the last axis",
            lambda c: [
                np.broadcast_to(np.arange(x.shape[-1]).astype(x.dtype), x.shape).copy() if x.ndim else x for x in c()
            ],
        ),
        Fault("from-one", "it counts from one", lambda c: [(x + np.ones((), x.dtype)).astype(x.dtype) for x in c()]),
        Fault(
            "flat",
            "it counts all elements",
            lambda c: [np.arange(x.size).astype(x.dtype).reshape(x.shape) for x in c()],
        ),
        Fault("backwards", "it counts from the end", lambda c: [np.flip(x).copy() for x in c()]),
    ),
    "optimization_barrier": (
        Fault(
            "order-reversed",
            "values of one shape come out in the other order",
            lambda c: [next((y for y in c()[::-1] if y.shape == x.shape and y.dtype == x.dtype), x) for x in c()],
        ),
    ),
}
