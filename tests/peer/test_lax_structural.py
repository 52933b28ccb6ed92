"""Structural operations of lax beside real jax: values, dtypes, weak types and shapes at every dtype, also compiled.

A case is a line of text, run with jax.lax and with portax.lax on the same operands: ``x`` and ``y`` of shape (3, 4),
``v`` of (4,), ``s`` a scalar, ``z`` of (0, 4), ``t`` of (2, 3, 4), all of the dtype under test, ``p`` of bool, ``i`` of
int32. All cases of a dtype are compiled as one program of jax, so that hundreds of them take seconds.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
from jax import lax as peer

import portax
from portax import lax as ours
from portax.core import dtypes
from portax.core.config import override

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore::RuntimeWarning")]

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e3m4",
    "float8_e4m3", "bfloat16", "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
#: As those beside them, and left to the exhaustive run.
RARE = (
    "int16", "int64", "uint16", "uint32", "float8_e5m2", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "float8_e3m4",
    "float8_e4m3", "float64", "complex128",
)  # fmt: skip

CASES = """
lax.eq(x, y)
lax.ne(x, y)
lax.lt(x, y)
lax.le(x, y)
lax.gt(x, y)
lax.ge(x, y)
lax.eq(x, s)
lax.ge(s, x)
lax.lt(z, z)
lax.select(p, x, y)
lax.select(p[0, 0], x, y)
lax.select_n(p, x, y)
lax.select_n(i, x, y, y, x)
lax.select_n(i[0, 0], x, y, y, x)
lax.select_n(p[:0], z, z)
lax.select_n(p, x)
lax.clamp(s, x, y[0, 1])
lax.clamp(y, x, x)
lax.clamp(s, s, s)
lax.reduce_precision(x, 4, 3)
lax.reduce_precision(x, 5, 10)
lax.reduce_precision(x, 8, 7)
lax.reduce_precision(s, 2, 0)
lax.iota(x.dtype, 3)
lax.broadcasted_iota(x.dtype, (2, 3), 1)
lax.broadcasted_iota(x.dtype, (2, 0), 0)
lax.full((2, 3), s)
lax.full((), s, x.dtype)
lax.full_like(x, 1)
lax.full_like(x, 1.5)
lax.full_like(x, 2, dtype='float32', shape=(2,))
lax.broadcast(x, (2, 0))
lax.broadcast(s, (2, 3))
lax.broadcast_in_dim(v, (3, 4), (1,))
lax.broadcast_in_dim(x[:, :1], (3, 2, 5), (0, 2))
lax.broadcast_in_dim(s, (), ())
lax.broadcast_in_dim(z, (2, 0, 4), (1, 2))
lax.broadcast_like(v, x)
lax.broadcast_to_rank(v, 3)
lax.broadcast_to_rank(s, 2)
lax.reshape(x, (2, 6))
lax.reshape(x, (4, 3), (1, 0))
lax.reshape(x, (12,), dimensions=(1, 0))
lax.reshape(z, (4, 0))
lax.reshape(s, (1, 1))
lax.reshape(x, (2, -1))
lax.transpose(t, (2, 0, 1))
lax.transpose(x, (0, 1))
lax.transpose(z, (1, 0))
lax.squeeze(x[:1], (0,))
lax.squeeze(x[:1, :1], (-1, 0))
lax.squeeze(x, ())
lax.squeeze(x, (0,))
lax.expand_dims(x, (0, -1))
lax.expand_dims(s, (0,))
lax.expand_dims(x, (1, 2))
lax.collapse(t, 1)
lax.collapse(t, 0, 2)
lax.collapse(t, 1, 1)
lax.reduce_sum(t, (0, 2))
lax.reduce_sum(x, ())
lax.reduce_sum(z, (0,))
lax.reduce_sum(x, (-1,))
lax.reduce_prod(x, (1,))
lax.reduce_prod(z, (0,))
lax.reduce_max(t, (0, 2))
lax.reduce_max(z, (0,))
lax.reduce_min(x, (0, 1))
lax.reduce_min(z, (0,))
lax.reduce_and(x, (0,))
lax.reduce_and(z, (0,))
lax.reduce_or(x, (1,))
lax.reduce_or(z, (0,))
lax.reduce_xor(t, (1, 0))
lax.reduce_xor(z, (0,))
lax.argmax(x, 0, np.int32)
lax.argmax(x, -1, np.uint8)
lax.argmin(x, 1, np.int32)
lax.argmin(x, 1, np.int64)
lax.argmax(t, 1, np.int16)
lax.argmax(z, 1, np.int32)
lax.argmax(z, 0, np.int32)
lax.reduce(x, s, lax.add, (0,))
lax.reduce(x, s, lax.max, (1,))
lax.reduce(t, s, lax.min, (0, 2))
lax.reduce(x, s, lax.mul, (0, 1))
lax.reduce(x, s, lax.bitwise_or, (1,))
lax.reduce(x, s, lambda a, b: lax.max(a, b), (1,))
lax.reduce((x, i), (s, i[0, 0]), lambda a, b: (lax.max(a[0], b[0]), lax.add(a[1], b[1])), (1,))
lax.reduce(z, s, lax.max, (0,))
lax.pad(x, s, ((1, 2, 0), (0, 0, 0)))
lax.pad(x, s, ((1, -2, 1), (0, 3, 2)))
lax.pad(x, s, ((-1, 0, 0), (-2, -1, 0)))
lax.pad(x, s, ((-1, -1, 2), (2, -3, 1)))
lax.pad(z, s, ((1, 0, 3), (0, 0, 0)))
lax.pad(x, s, ((0, -4, 0), (0, 0, 0)))
lax.pad(x, 1, ((0, 1, 0), (0, 0, 0)))
lax.pad(s, s, ())
lax.slice(x, (0, 1), (2, 4))
lax.slice(x, (0, 1), (3, 4), (2, 2))
lax.slice(x, (1, 1), (1, 3))
lax.slice(x, (2, 1), (1, 3))
lax.slice(s, (), ())
lax.slice_in_dim(x, 1, None, 2, axis=1)
lax.slice_in_dim(x, -2, -1)
lax.slice_in_dim(x, None, None, -1)
lax.index_in_dim(x, -1)
lax.index_in_dim(x, 2, axis=1, keepdims=False)
lax.index_in_dim(x, 3)
lax.dynamic_slice(x, (1, 2), (2, 2))
lax.dynamic_slice(x, (-1, 3), (2, 2))
lax.dynamic_slice(x, (i[0, 0], -2), (1, 3))
lax.dynamic_slice(x, i[0, :2], (1, 3))
lax.dynamic_slice(x, (-1, -1), (2, 2), allow_negative_indices=False)
lax.dynamic_slice(x, (np.uint8(2), np.int64(-1)), (2, 2))
lax.dynamic_slice(s, (), ())
lax.dynamic_slice_in_dim(x, i[0, 1], 2, axis=1)
lax.dynamic_slice_in_dim(x, -2, 2)
lax.dynamic_index_in_dim(x, i[1, 1])
lax.dynamic_index_in_dim(x, -1, axis=1, keepdims=False)
lax.dynamic_update_slice(x, y[:2, :2], (i[0, 0], 1))
lax.dynamic_update_slice(x, y[:2, :2], (-1, 9))
lax.dynamic_update_slice_in_dim(x, y[:2], i[1, 2], 0)
lax.dynamic_update_slice_in_dim(x, y[:, :1], -1, axis=1)
lax.dynamic_update_index_in_dim(x, v, 1, 0)
lax.dynamic_update_index_in_dim(x, y[:, :1], i[0, 0], 1)
lax.dynamic_update_index_in_dim(x, s, 1, 0)
lax.concatenate([x, y], 0)
lax.concatenate([x, z, y[:1]], 0)
lax.concatenate((x, y, x), -1)
lax.concatenate([x], 0)
lax.rev(t, (0, 2))
lax.rev(x, (-1,))
lax.rev(x, ())
lax.rev(z, (0,))
lax.split(x, (1, 3), axis=1)
lax.split(x, (1, 0, 2))
lax.split(x, [1, 1])
lax.stack([x, y], axis=1)
lax.stack([s, s])
lax.unstack(x, axis=1)
lax.tile(x, (2, 1))
lax.tile(x, (0, 2))
lax.tile(s, ())
lax.tile(x, (2,))
lax.tile(x, (2, 1, 3))
lax.cumsum(x)
lax.cumsum(x, axis=1, reverse=True)
lax.cumsum(x, axis=-1)
lax.cumsum(z)
lax.cumprod(x, axis=1)
lax.cumprod(x, reverse=True)
lax.cummax(x, axis=1)
lax.cummax(x, reverse=True)
lax.cummin(t, axis=1)
lax.cummin(z, axis=0)
lax.cumlogsumexp(x, axis=1)
lax.cumlogsumexp(x, axis=0, reverse=True)
lax.sort(x)
lax.sort(x, dimension=0)
lax.sort(z)
lax.sort((x, i), num_keys=1)
lax.sort((i, x, y), dimension=0, num_keys=2)
lax.sort((p, x, i), dimension=1, num_keys=3)
lax.sort([x, y], dimension=-2, is_stable=False, num_keys=2)
lax.sort_key_val(x, i)
lax.sort_key_val(i, x, dimension=0)
lax.top_k(x, 2)
lax.top_k(x, 3, axis=0)
lax.top_k(x, 0)
lax.top_k(t, 2, axis=1)
lax.top_k(x, 5)
lax.dot(v, v)
lax.dot(x, v)
lax.dot(x, y.T)
lax.dot(v, y.T)
lax.dot(x, y)
lax.dot(z, v)
lax.dot(z.T, z)
lax.dot(x, y, dimension_numbers=(((1,), (1,)), ((0,), (0,))))
lax.dot(x, v, precision='highest')
lax.dot(x, v, precision=lax.Precision.HIGH, preferred_element_type=np.float32)
lax.dot(x, v, preferred_element_type=np.int32)
lax.dot(x, v, preferred_element_type=np.float64)
lax.dot(x, v, preferred_element_type=np.complex64)
lax.dot_general(t, x, (((2, 1), (1, 0)), ((), ())))
lax.dot_general(t, x, (((2,), (1,)), ((1,), (0,))))
lax.dot_general(s, x, (((), ()), ((), ())))
lax.dot_general(x, y, (((), ()), ((0, 1), (0, 1))))
lax.dot_general(x, i, (((1,), (1,)), ((), ())))
lax.dot_general(x, i, (((1,), (1,)), ((), ())), preferred_element_type=np.float32)
lax.dot_general(x, y, (((1,), (1,)), ((), ())), precision=('high', 'highest'))
lax.batch_matmul(t, lax.transpose(t, (0, 2, 1)))
lax.batch_matmul(x, v)
lax.optimization_barrier(x)
lax.optimization_barrier((x, [y, s]))
lax.stop_gradient(x)
lax.convert_element_type(x, np.float32)
lax.convert_element_type(x, np.int8)
lax.convert_element_type(x, np.uint8)
lax.convert_element_type(x, bool)
lax.convert_element_type(x, np.int64)
lax.convert_element_type(x, np.float16)
lax.convert_element_type(x, 'bfloat16')
lax.convert_element_type(x, 'float8_e4m3fn')
lax.convert_element_type(x, 'float8_e5m2')
lax.convert_element_type(x, 'float8_e4m3b11fnuz')
lax.convert_element_type(x, 'float8_e4m3fnuz')
lax.convert_element_type(x, 'float8_e5m2fnuz')
lax.convert_element_type(x, 'int4')
lax.convert_element_type(x, 'uint4')
lax.convert_element_type(x, float)
lax.convert_element_type(x, int)
lax.convert_element_type(x, complex)
lax.convert_element_type(x, np.complex64)
lax.convert_element_type(s, x.dtype)
lax.bitcast_convert_type(x, np.int8)
lax.bitcast_convert_type(x, np.uint8)
lax.bitcast_convert_type(x, np.int32)
lax.bitcast_convert_type(x, np.uint16)
lax.bitcast_convert_type(x, np.float32)
lax.bitcast_convert_type(x, 'bfloat16')
lax.bitcast_convert_type(x, np.float64)
lax.bitcast_convert_type(t, np.int64)
lax.bitcast_convert_type(x, x.dtype)
lax.bitcast_convert_type(s, np.int16)
lax.bitcast_convert_type(x, 'uint4')
lax.broadcast_shapes((2, 1), (3,), (1, 1, 1))
lax.dtype(x)
""".strip().splitlines()


def dtype_of(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, name))


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Elements of every kind a dtype has: extremes, zeros of both signs, NaN and infinities where there are any."""
    kind = dtypes.kind(dtype)
    if kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if kind in ("int", "uint"):
        info = dtypes.iinfo(dtype)
        wide = rng.choice(np.array([int(info.min), int(info.max), 0, 1], object), shape)
        small = rng.integers(max(int(info.min), -5), min(int(info.max), 5) + 1, shape).astype(object)
        return (
            np.asarray(np.where(rng.random(shape) < 0.3, wide, small))
            .astype(np.int64 if kind == "int" else np.uint64)
            .astype(dtype)
        )
    x = rng.normal(size=shape) * 2
    special = rng.choice(np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, 1.0]), shape)
    if kind == "complex":  # whose products and order with NaN and infinities differ from one compiler to the next
        special = rng.choice(np.array([0.0, 1.0, 1.0]), shape)
    x = np.where(rng.random(shape) < 0.25, special, x)
    if kind == "complex":
        return (x + 1j * rng.choice([0.0, 1.0, -1.0, 0.5], shape)).astype(dtype)
    with np.errstate(all="ignore"):
        return x.astype(dtype)


@functools.cache
def operands(name: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(DTYPES.index(name))
    dtype = dtype_of(name)
    shapes = {"x": (3, 4), "y": (3, 4), "v": (4,), "s": (), "z": (0, 4), "t": (2, 3, 4)}
    made = {k: drawn(rng, shape, dtype) for k, shape in shapes.items()}
    made["s"] = np.asarray(1).astype(dtype)
    return made | {"p": rng.random((3, 4)) < 0.5, "i": rng.integers(-1, 4, (3, 4)).astype(np.int32) % 4}


def run(text: str, lax: Any, xs: dict[str, Any]) -> Any:
    """What a case gives with a library; the exception it raises."""
    try:
        return eval(text, {"lax": lax, "np": np, **xs})
    except Exception as error:
        return error


@functools.cache
def wanted(name: str) -> dict[str, Any]:
    """Every case's result with jax, all of them compiled together."""
    with jax.enable_x64(True):
        return compiled(CASES, operands(name))


def compiled(cases: Sequence[str], xs: dict[str, Any]) -> dict[str, Any]:
    """The results of ``cases`` as one program; what the compiler refuses is looked for by halves."""
    plain: dict[str, Any] = {}

    def program(xs: dict[str, Any]) -> dict[str, Any]:
        outs = {text: run(text, peer, xs) for text in cases}
        for text, out in outs.items():
            if not all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(out)):
                plain[text] = out
        return {text: out for text, out in outs.items() if text not in plain}

    try:
        return plain | jax.jit(program)(xs)
    except Exception as error:
        if len(cases) == 1:
            return {cases[0]: error}
        half = len(cases) // 2
        return compiled(cases[:half], xs) | compiled(cases[half:], xs)


@pytest.fixture(autouse=True)
def _sixty_four_bits() -> Iterator[None]:
    with jax.enable_x64(True), override("enable_x64", True):
        yield


#: Where this library takes what jax refuses: nothing is changed for programs that run with jax.
WIDER = {
    "lax.reshape(x, (2, -1))": "one size may be left open",
    "lax.reduce_sum(x, (-1,))": "negative axes count from the end",
    "lax.argmax(x, -1, np.uint8)": "negative axes count from the end",
    "lax.concatenate((x, y, x), -1)": "negative axes count from the end",
    "lax.cumsum(x, axis=-1)": "negative axes count from the end",
    "lax.pad(x, 1, ((0, 1, 0), (0, 0, 0)))": "a Python number takes the dtype of the array beside it",
    "lax.dynamic_slice(x, (i[0, 0], -2), (1, 3))": "start indices may differ in dtype",
    "lax.dynamic_slice(x, (np.uint8(2), np.int64(-1)), (2, 2))": "start indices may differ in dtype",
    "lax.dynamic_update_slice(x, y[:2, :2], (i[0, 0], 1))": "start indices may differ in dtype",
}
WIDER_COMPLEX = ("lax.top_k", "lax.argmax", "lax.argmin")  # in lexicographic order
#: What jax itself gets wrong or leaves to its compiler, by the start of the case and the dtypes.
FNUZ = ("float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2fnuz")
THEIRS = (
    (("lax.sort", "lax.top_k"), FNUZ, "NaN of a dtype without a negative zero sorts before all numbers there"),
    (("lax.top_k",), ("float8_e4m3fn",), "NaN is not before all numbers there"),
    (("lax.cumlogsumexp",), ("float8_e4m3fn", *FNUZ), "all NaN there, where a dtype has no infinity"),
    (("lax.convert_element_type(x, bool)",), ("complex64", "complex128"), "only the real part is looked at there"),
    (("lax.clamp",), ("complex64", "complex128"), "neither limit holds there"),
)
#: What is missing here.
MISSING = (
    (
        ("lax.cumlogsumexp",),
        ("complex64", "complex128"),
        "running sums of exponentials of real numbers only",
    ),
)

#: Which zero of two signs is the lesser is left to the compiler.
ZEROS = ("max", "min", "clamp")
#: Rounded in the course of it: within some units in the last place of the greatest value.
ROUNDED = ("sum", "prod", "dot", "matmul", "cumlogsumexp", "lax.add", "lax.mul")


def assert_same(text: str, got: Any, want: Any) -> None:
    if isinstance(want, Exception):
        assert isinstance(got, Exception), f"jax refuses it: {want!r}"
        return
    assert not isinstance(got, Exception), f"refused: {got!r}"
    if isinstance(want, (list, tuple)):
        assert type(got) is type(want) and len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            assert_same(text, a, b)
        return
    if not isinstance(want, jax.Array):
        assert got == want
        return
    assert isinstance(got, portax.Array)
    assert (got.shape, str(got.dtype), got.weak_type) == (want.shape, str(want.dtype), want.weak_type)
    rounded, zeros = (any(word in text for word in words) for words in (ROUNDED, ZEROS))
    same_values(np.asarray(got), np.asarray(want), rounded, not zeros)


def same_values(got: np.ndarray, want: np.ndarray, rounded: bool, signs: bool) -> None:
    if not dtypes.is_inexact(got.dtype):
        np.testing.assert_array_equal(got.astype(object), want.astype(object))
        return
    wide = np.complex128 if dtypes.is_complex(got.dtype) else np.float64
    eps = float(dtypes.finfo(dtypes.real_dtype(got.dtype)).eps)
    got, want = got.astype(wide), want.astype(wide)
    if not rounded:
        np.testing.assert_array_equal(got, want)
        if signs:
            number = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(got.real) & number, np.signbit(want.real) & number)
        return
    scale = max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0.0)))
    np.testing.assert_allclose(got, want, rtol=0, atol=4 * eps * scale)


def belongs(text: str, name: str, rows: Any) -> str | None:
    """The reason why a case is listed, if it is."""
    for starts, names, reason in rows:
        if name in names and text.startswith(starts):
            return reason
    return None


def cases() -> Iterator[Any]:
    for name in DTYPES:
        for text in CASES:
            marks = [pytest.mark.exhaustive] if name in RARE else []
            reason = belongs(text, name, MISSING)
            if reason:
                marks.append(pytest.mark.xfail(reason=reason, strict=True))
            if not belongs(text, name, THEIRS):
                yield pytest.param(name, text, marks=marks, id=f"{name}-{text}")


@pytest.mark.parametrize(("name", "text"), list(cases()))
def test_an_operation_gives_what_jaxs_gives(name: str, text: str) -> None:
    xs = {k: portax.numpy.asarray(x) for k, x in operands(name).items()}
    got, want = run(text, ours, xs), wanted(name)[text]
    complex_order = dtypes.is_complex(dtype_of(name)) and text.startswith(WIDER_COMPLEX)
    if isinstance(want, Exception) and (text in WIDER or complex_order):
        return
    assert_same(text, got, want)
