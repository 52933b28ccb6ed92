"""Faults of adding up: in what dtype, how many, from where, and along which axis; products, windows and transforms."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax_conformance.mutants.fault import Arrays, Call, Fault

LONG = ("value", "long")
NARROW = ("bfloat16", "float16", "float32")


def _narrow(call: Call) -> Arrays:
    """bfloat16 and float16 are added up in themselves: a running sum stops growing."""
    x, (out,) = call.operands[0], call()
    axes = call.params["axes"]
    if x.dtype.name not in ("bfloat16", "float16") or not x.size or not axes:
        return [out]
    rows = np.transpose(x, [*[d for d in range(x.ndim) if d not in axes], *axes]).reshape(*out.shape, -1)
    total = np.zeros(out.shape, x.dtype)
    for k in range(rows.shape[-1]):
        total = (total + rows[..., k]).astype(x.dtype)
    return [total]


def _less_the_last(call: Call) -> Arrays:
    """The last element of the axis is left out where the length is no multiple of two."""
    axes, x = call.params["axes"], call.operands[0]
    if not axes or x.shape[axes[0]] % 2 == 0 or x.shape[axes[0]] < 2:
        return call()
    return call.right([np.take(x, np.arange(x.shape[axes[0]] - 1), axes[0])], call.params)


def _twice_the_last(call: Call) -> Arrays:
    """The last element of an odd length is read twice: with the block before it, and alone."""
    axes, x = call.params["axes"], call.operands[0]
    if not axes or x.shape[axes[0]] % 2 == 0 or x.shape[axes[0]] < 2:
        return call()
    return call.right([np.concatenate([x, np.take(x, [-1], axes[0])], axes[0])], call.params)


def _one_block(call: Call) -> Arrays:
    """Of an axis the first 256 elements alone are combined: there is no second level."""
    axes, x = call.params["axes"], call.operands[0]
    if not axes or x.shape[axes[0]] <= 256:
        return call()
    return call.right([np.take(x, np.arange(256), axes[0])], call.params)


def _one_axis(call: Call) -> Arrays:
    """Of several axes all but the first are read at their start alone."""
    axes, x = call.params["axes"], call.operands[0]
    if len(axes) < 2 or not x.size:
        return call()
    return call.right([np.take(x, [0], axes[1])], call.params)


def _of_nothing(value: float) -> Any:
    """Of no elements it is another number."""

    def wrong(call: Call) -> Arrays:
        x = call.operands[0]
        return [np.full_like(out, value) if not x.size and out.size else out for out in call()]

    return wrong


_SUMS = (
    Fault("odd-end-lost", "of an odd length the last element is left out", _less_the_last, LONG),
    Fault("odd-end-twice", "of an odd length the last element is counted twice", _twice_the_last, LONG),
    Fault("one-block", "of a long axis the first 256 elements alone are combined", _one_block, ("long",)),
    Fault("one-axis", "of several axes the first alone is reduced", _one_axis),
)


def _exclusive(call: Call) -> Arrays:
    """Each element is left out of its own result."""
    d, reverse = call.params["axis"], call.params["reverse"]
    return [np.roll(x, -1 if reverse else 1, d) for x in call()]


def _block_carry(call: Call) -> Arrays:
    """Blocks of 256 each start afresh."""
    d, x = call.params["axis"], call.operands[0]
    if not x.size or x.shape[d] <= 256:
        return call()
    blocks = [np.take(x, np.arange(k, min(k + 256, x.shape[d])), d) for k in range(0, x.shape[d], 256)]
    return [np.concatenate([call.right([b], call.params)[0] for b in blocks], d)]


def _other_axis(call: Call) -> Arrays:
    return call(axis=call.operands[0].ndim - 1 - call.params["axis"])


_RUNNING = (
    Fault("exclusive", "each element is left out of its own result", _exclusive, LONG),
    Fault("direction-ignored", "it always runs forward", lambda c: c(reverse=False), LONG),
    Fault("blocks-start-afresh", "blocks of 256 know nothing of those before", _block_carry, ("long",)),
    Fault("axis-from-the-end", "the axis is counted from the other end", _other_axis, LONG),
)


def _window(**changes: Any) -> Any:
    """The same with other windows, where results have the same shape; else moved to it."""

    def wrong(call: Call) -> Arrays:
        stated = call()
        try:
            outs = call(**{k: f(call.params[k]) for k, f in changes.items()})
        except (ValueError, IndexError, AssertionError):
            return stated
        return [
            a if a.shape == b.shape else b[tuple([slice(None, None, -1)] * b.ndim)].copy()
            for a, b in zip(outs, stated, strict=True)
        ]

    return wrong


def _ones(values: Any) -> Any:
    return tuple([1 for _ in values])


def _ends_swapped(padding: Any) -> Any:
    return tuple([(high, low) for low, high in padding])


def _padding_moved(padding: Any) -> Any:
    return tuple([(low + 1, high - 1) for low, high in padding])


_WINDOWS = (
    Fault("padding-moved", "windows start one earlier", _window(padding=_padding_moved)),
    Fault("padding-swapped", "what belongs before is put behind", _window(padding=_ends_swapped)),
    Fault("no-holes", "windows have no holes", _window(window_dilation=_ones)),
    Fault(
        "strides-reversed", "strides of axes are taken in the other order", _window(window_strides=lambda s: s[::-1])
    ),
    Fault("last-window-lost", "the last window is not computed", lambda c: [_last_lost(x) for x in c()]),
    Fault(
        "smaller-windows",
        "windows are one shorter",
        _window(
            window_dimensions=lambda d: tuple([max(n - 1, 1) for n in d]),
            padding=lambda p: tuple([(low, max(high - 1, 0)) for low, high in p]),
        ),
    ),
)


def _last_lost(x: np.ndarray) -> np.ndarray:
    out = np.array(x)
    if out.size:
        out.reshape(-1)[-1] = np.zeros((), x.dtype)
    return out


# -- products ---------------------------------------------------------------------------------------------------------
def _dot(change: Any) -> Any:
    """The same with other operands."""
    return lambda call: call.right([np.asarray(x) for x in change(*call.operands, call.params)], call.params)


def _tail_of_k(x: np.ndarray, y: np.ndarray, p: Any) -> Any:
    """What is beyond a multiple of two of the contracted axis is left out."""
    ((left, _), _) = p["dimension_numbers"]
    if not left or x.shape[left[0]] < 2 or x.shape[left[0]] % 2 == 0:
        return x, y
    index: list[Any] = [slice(None)] * x.ndim
    index[left[0]] = -1
    x = x.copy()
    x[tuple(index)] = np.zeros((), x.dtype)
    return x, y


def _first_batch(x: np.ndarray, y: np.ndarray, p: Any) -> Any:
    """Every matrix of a batch is multiplied with the first of the other's."""
    (_, (_, right)) = p["dimension_numbers"]
    if not right:
        return x, y
    return x, np.broadcast_to(np.take(y, [0], right[0]), y.shape).copy()


def _first_conjugated(x: np.ndarray, y: np.ndarray, p: Any) -> Any:
    return np.conj(x) if dtypes.is_complex(x.dtype) else x, y


def _imaginary_product_lost(call: Call) -> Arrays:
    """Of complex numbers the product of the imaginary parts is left out."""
    x, y = call.operands
    (out,) = call()
    if not dtypes.is_complex(x.dtype):
        return [out]
    (cross,) = call.right([(1j * np.imag(x)).astype(x.dtype), (1j * np.imag(y)).astype(y.dtype)], call.params)
    return [(out - cross).astype(out.dtype)]


def _accumulated_narrow(call: Call) -> Arrays:
    """Products are added up in half the bits."""
    outs = call()
    halves: dict[str, Any] = {"float32": ml_dtypes.bfloat16, "float64": np.float32}
    return [x.astype(halves[x.dtype.name]).astype(x.dtype) if x.dtype.name in halves else x for x in outs]


def _transposed_left(call: Call) -> Arrays:
    """The left operand is read in columns."""
    x, y = call.operands
    return call.right([x.ravel(order="F").reshape(x.shape), y], call.params)


def _output_transposed(call: Call) -> Arrays:
    return [x.ravel(order="F").reshape(x.shape) for x in call()]


_DOT = (
    Fault("odd-end-lost", "of an odd contracted length the last element is left out", _dot(_tail_of_k)),
    Fault("first-of-batch", "every matrix of a batch meets the first one", _dot(_first_batch)),
    Fault("left-conjugated", "the left operand is conjugated", _dot(_first_conjugated), ("value",), ("complex64",)),
    Fault(
        "imaginary-product-lost",
        "of complex numbers the product of the imaginary parts is left out",
        _imaginary_product_lost,
        ("value",),
        ("complex64",),
    ),
    Fault(
        "narrow-accumulator", "products are added up in half the bits", _accumulated_narrow, ("value",), ("float32",)
    ),
    Fault("left-in-columns", "the left operand is read in columns", _transposed_left),
    Fault("result-in-columns", "the result is written in columns", _output_transposed),
)


_CONVOLUTION = (
    Fault(
        "flipped",
        "the filter is turned around",
        lambda c: c.right([c.operands[0], np.ascontiguousarray(np.flip(c.operands[1]))], c.params),
    ),
    Fault("padding-swapped", "what belongs before is put behind", _window(padding=_ends_swapped)),
    Fault("no-filter-holes", "the filter has no holes", _window(rhs_dilation=_ones)),
    Fault("no-holes", "the operand has no holes", _window(lhs_dilation=_ones)),
    Fault(
        "strides-reversed", "strides of axes are taken in the other order", _window(window_strides=lambda s: s[::-1])
    ),
    Fault(
        "first-of-batch",
        "every sample is the first one",
        lambda c: c.right(
            [
                np.broadcast_to(
                    np.take(c.operands[0], [0], c.params["dimension_numbers"].lhs_spec[0]), c.operands[0].shape
                ).copy(),
                c.operands[1],
            ],
            c.params,
        ),
    ),
    Fault(
        "first-group",
        "of several groups all read the first one's channels",
        lambda c: (
            c() if c.params["feature_group_count"] == 1 else c.right([_first_channels(c), c.operands[1]], c.params)
        ),
    ),
    Fault(
        "last-channel-lost",
        "the last channel of the result is not written",
        lambda c: [_channel_lost(x, c) for x in c()],
    ),
    Fault(
        "narrow-accumulator", "products are added up in half the bits", _accumulated_narrow, ("value",), ("float32",)
    ),
)


def _first_channels(call: Call) -> np.ndarray:
    axis = call.params["dimension_numbers"].lhs_spec[1]
    x = call.operands[0]
    n = x.shape[axis] // call.params["feature_group_count"]
    return np.take(x, np.arange(x.shape[axis]) % max(n, 1), axis) if x.size else x


def _channel_lost(x: np.ndarray, call: Call) -> np.ndarray:
    axis = call.params["dimension_numbers"].out_spec[1]
    out = np.array(x)
    if out.size:
        out[tuple([-1 if d == axis else slice(None) for d in range(out.ndim)])] = np.zeros((), x.dtype)
    return out


def _scaled(f: Any) -> Any:
    def wrong(call: Call) -> Arrays:
        n = int(np.prod(call.params["fft_lengths"]))
        return [np.asarray(x * f(n)).astype(x.dtype) for x in call()]

    return wrong


MEANINGS: dict[str, tuple[Fault, ...]] = {
    "reduce_sum": (
        *_SUMS,
        Fault("narrow-accumulator", "narrow floats are added up in themselves", _narrow, ("long",), NARROW),
        Fault("one-of-nothing", "of no elements it is 1", _of_nothing(1)),
    ),
    "reduce_prod": (
        *_SUMS,
        Fault("zero-of-nothing", "of no elements it is 0", _of_nothing(0)),
        Fault("of-signs-lost", "it is that of magnitudes", lambda c: c.right([np.abs(c.operands[0])], c.params)),
    ),
    "reduce_and": (*_SUMS, Fault("zero-of-nothing", "of no elements it is 0", _of_nothing(0))),
    "reduce_or": (*_SUMS, Fault("ones-of-nothing", "of no elements it is 1", _of_nothing(1))),
    "reduce_xor": (
        *_SUMS,
        Fault(
            "or",
            "it is the other operation",
            lambda c: (
                [np.bitwise_or.reduce(c.operands[0], tuple(c.params["axes"])).astype(c()[0].dtype)]
                if c.params["axes"]
                else c()
            ),
        ),
    ),
    "cumsum": _RUNNING,
    "cumprod": _RUNNING,
    "cummax": _RUNNING[:1] + _RUNNING[2:],
    "cummin": _RUNNING[:1] + _RUNNING[2:],
    "cumlogsumexp": (
        *_RUNNING,
        Fault(
            "overflows",
            "exponentials are added up as they are",
            lambda c: (
                [
                    np.log(np.cumsum(np.exp(c.operands[0].astype(np.float64) + 800), c.params["axis"])).astype(
                        c()[0].dtype
                    )
                ]
                if not c.params["reverse"]
                else c()
            ),
        ),
    ),
    "reduce_window_sum": _WINDOWS,
    "reduce_window_max": _WINDOWS,
    "reduce_window_min": _WINDOWS,
    "reduce_window": _WINDOWS,
    "select_and_gather_add": (
        *_WINDOWS,
        Fault("other-selection", "the least is picked for the greatest", lambda c: [-x for x in c()]),
    ),
    "select_and_scatter_add": (
        *[f for f in _WINDOWS if f.name not in ("no-holes",)],
        Fault(
            "sources-reversed",
            "sources are read from the end",
            lambda c: c.right([np.ascontiguousarray(np.flip(c.operands[0])), *c.operands[1:]], c.params),
        ),
        Fault(
            "overwrites",
            "where windows overlap the last alone counts",
            lambda c: [
                np.where(
                    np.abs(x) > np.abs(c.operands[0]).max(initial=0),
                    np.sign(x) * np.abs(c.operands[0]).max(initial=0),
                    x,
                ).astype(x.dtype)
                for x in c()
            ],
        ),
    ),
    "dot_general": _DOT,
    "conv_general_dilated": _CONVOLUTION,
    "fft": (
        Fault("unscaled", "a transform and its inverse are scaled alike", _scaled(lambda n: n)),
        Fault("scaled-by-root", "it is scaled by the root of the length", _scaled(lambda n: 1 / np.sqrt(max(n, 1)))),
        Fault(
            "conjugated-input",
            "the operand is conjugated first",
            lambda c: c.right([np.conj(c.operands[0])], c.params) if dtypes.is_complex(c.operands[0].dtype) else c(),
            ("value",),
            ("complex64", "complex128"),
        ),
        Fault(
            "shifted",
            "frequencies start at the middle",
            lambda c: [np.roll(x, x.shape[-1] // 2, -1) if x.ndim else x for x in c()],
        ),
    ),
}
