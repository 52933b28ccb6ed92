"""Reductions of windows beside jax.lax: values, dtypes, derivatives, batches, shapes, over generated parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax as jlax

import portax
import portax.numpy as pnp
from portax import errors, lax

pytestmark = pytest.mark.peer

generated = settings(max_examples=40, deadline=None, derandomize=True, database=None)
fewer = settings(max_examples=15, deadline=None, derandomize=True, database=None)


class Windows(NamedTuple):
    """A shape, and parameters of windows in it."""

    shape: tuple[int, ...]
    params: dict[str, Any]

    def operand(self, dtype: Any = np.float32) -> np.ndarray:
        """Whole numbers, none twice."""
        size = int(np.prod(self.shape))
        order = np.random.default_rng(size).permutation(size) - size // 2
        return order.reshape(self.shape).astype(dtype)


@st.composite
def windows(draw: Any, dilated: bool = True, least: int = 1) -> Windows:
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(least, 5)) for _ in range(rank))

    def each(most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(1, most)) for _ in range(rank))

    base, spread = (each(2), each(2)) if dilated else ((1,) * rank, (1,) * rank)
    padding = draw(st.sampled_from(["SAME", "VALID", "SAME_LOWER", None, None]))
    if padding is None:
        padding = [(draw(st.integers(0 if n < 2 else -1, 2)), draw(st.integers(0, 2))) for n in shape]
    params = {
        "window_dimensions": each(3), "window_strides": each(3), "padding": padding, "base_dilation": base,
        "window_dilation": spread,
    }  # fmt: skip
    return Windows(shape, params)


def assert_same(got: Any, expected: Any) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert g.shape == e.shape, f"shape {g.shape}, the peer's {e.shape}"
    assert str(g.dtype) == str(e.dtype), f"dtype {g.dtype}, the peer's {e.dtype}"
    np.testing.assert_array_equal(g, e)


FOLDS = {
    "sum": (0.0, lax.add, jlax.add), "max": (-np.inf, lax.max, jlax.max), "min": (np.inf, lax.min, jlax.min),
    "product": (1.0, lax.mul, jlax.mul), "from-one": (1.0, lax.add, jlax.add),
}  # fmt: skip


@generated
@given(windows(), st.sampled_from(sorted(FOLDS)))
def test_values_are_the_peers(windows: Windows, fold: str) -> None:
    init, f, g = FOLDS[fold]
    x = np.sign(windows.operand()) if fold == "product" else windows.operand()
    assert_same(lax.reduce_window(x, init, f, **windows.params), jlax.reduce_window(x, init, g, **windows.params))


@generated
@given(windows(dilated=False), st.sampled_from(["sum", "max", "min"]))
def test_cotangents_are_the_peers(windows: Windows, fold: str) -> None:
    init, f, g = FOLDS[fold]
    x = windows.operand()
    out, back = portax.vjp(lambda x: lax.reduce_window(x, init, f, **windows.params), x)
    ct = np.arange(out.size, dtype=np.float32).reshape(out.shape) % 5
    [expected] = jax.vjp(lambda x: jlax.reduce_window(x, init, g, **windows.params), x)[1](ct)
    assert_same(back(ct)[0], expected)


@fewer
@given(windows(), st.sampled_from(["sum", "max", "min", "product"]))
def test_tangents_are_the_peers(windows: Windows, fold: str) -> None:
    init, f, g = FOLDS[fold]
    x = windows.operand()
    if fold == "product":
        # The peer cannot differentiate a general fold over padding; ours is held to differences by its own laws.
        windows = windows._replace(params={**windows.params, "padding": "VALID", "base_dilation": (1,) * x.ndim})
    t = np.flip(x).copy()
    _, got = portax.jvp(lambda x: lax.reduce_window(x, init, f, **windows.params), (x,), (t,))
    _, expected = jax.jvp(lambda x: jlax.reduce_window(x, init, g, **windows.params), (x,), (t,))
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-5)


@fewer
@given(windows(), st.sampled_from(["sum", "max", "from-one"]))
def test_batches_and_their_derivatives_are_the_peers(windows: Windows, fold: str) -> None:
    init, f, g = FOLDS[fold]
    xs = np.stack([windows.operand(), -windows.operand()], axis=-1)
    got = portax.vmap(lambda x: lax.reduce_window(x, init, f, **windows.params), in_axes=-1)(xs)
    assert_same(got, jax.vmap(lambda x: jlax.reduce_window(x, init, g, **windows.params), in_axes=-1)(xs))


@fewer
@given(windows())
def test_the_adjoint_of_a_dilated_greatest_element_goes_to_where_it_is(windows: Windows) -> None:
    """The peer has none; the greatest elements are told apart, so the sum of cotangents of a place is known."""
    x = windows.operand()
    f = lambda x: lax.reduce_window(x, -np.inf, lax.max, **windows.params)
    out, back = portax.vjp(f, x)
    expected = np.zeros_like(x)
    for value in np.asarray(out).ravel():
        expected[x == value] += 1
    assert_same(back(np.ones(out.shape, np.float32))[0], expected)
    assert_same(portax.jit(portax.grad(lambda x: f(x).sum()))(x), expected)


DTYPES = ("bool", "int8", "uint8", "int32", "float16", "bfloat16", "float32", "complex64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["add", "max", "min", "bitwise_or"])
def test_each_dtype_gives_the_peers_values(dtype: str, name: str) -> None:
    kind = jnp.dtype(dtype).kind
    if (name == "bitwise_or") != (kind == "b") or (kind == "c" and name != "add"):
        return
    x = (np.arange(12).reshape(3, 4) % 7 - (0 if kind in "ub" else 3)).astype(jnp.dtype(dtype))
    init = {"add": 0, "bitwise_or": False}.get(name)
    if init is None:
        info = jnp.iinfo(dtype) if kind in "iu" else None
        init = (info.min if info else -np.inf) if name == "max" else (info.max if info else np.inf)
        init = np.asarray(init).astype(x.dtype)
    args = (2, 2), (1, 2), "SAME"
    got = lax.reduce_window(x, init, getattr(lax, name), *args)
    assert_same(got, jlax.reduce_window(x, init, getattr(jlax, name), *args))


def test_several_arrays_are_folded_together() -> None:
    x, y = np.arange(6, dtype=np.float32), np.arange(6, dtype=np.int32) % 4

    def f(max_: Any, where: Any) -> Any:
        def greater(a: Any, b: Any) -> Any:
            keep = a[0] >= b[0]
            return where(keep, a[0], b[0]), where(keep, a[1], b[1])

        return greater

    args = (3,), (1,), "SAME"
    got = lax.reduce_window((x, y), (np.float32(-np.inf), np.int32(-1)), f(lax.max, pnp.where), *args)
    expected = jlax.reduce_window((x, y), (np.float32(-np.inf), np.int32(-1)), f(jlax.max, jnp.where), *args)
    for g, e in zip(got, expected, strict=True):
        assert_same(g, e)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), ()], ids=str)
def test_empty_arrays_are_the_peers(shape: Any) -> None:
    x, window = np.ones(shape, np.float32), (2,) * len(shape)
    for fold in ("sum", "max", "product"):
        init, f, g = FOLDS[fold]
        for padding in ("VALID", "SAME", [(1, 2)] * len(shape)):
            got = lax.reduce_window(x, init, f, window, (1,) * len(shape), padding)
            assert_same(got, jlax.reduce_window(x, init, g, window, (1,) * len(shape), padding))


def test_pools_of_images_are_differentiated_as_by_the_peer() -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    window, strides = (1, 3, 3, 1), (1, 2, 2, 1)

    def loss(lax: Any, x: Any) -> Any:
        most = lax.reduce_window(x, -np.inf, lax.max, window, strides, "SAME")
        mean = lax.reduce_window(most, 0.0, lax.add, window, strides, "SAME") / 9
        return (mean**2).sum()

    got = portax.jit(portax.value_and_grad(lambda x: loss(lax, x)))(x)
    expected = jax.jit(jax.value_and_grad(lambda x: loss(jlax, x)))(x)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.asarray(g), np.asarray(e), rtol=1e-5, atol=1e-6)


def test_of_equal_greatest_elements_the_first_gets_the_cotangent_as_at_the_peer() -> None:
    x = np.zeros((4, 4), np.float32)
    args = (2, 2), (2, 2), "VALID"
    got = portax.grad(lambda x: lax.reduce_window(x, -np.inf, lax.max, *args).sum())(x)
    assert_same(got, jax.grad(lambda x: jlax.reduce_window(x, -np.inf, jlax.max, *args).sum())(x))


def test_shapes_are_the_peers() -> None:
    args = (2, 5, 3), (1, 2, 1), (1, 2, 1), ((0, 0), (1, 1), (0, 0))
    assert lax.reduce_window_shape_tuple(*args) == jlax.reduce_window_shape_tuple(*args)
    more = (1, 2, 1), (1, 3, 1)
    assert lax.reduce_window_shape_tuple(*args, *more) == jlax.reduce_window_shape_tuple(*args, *more)


REFUSED = [
    (lambda lax, x: lax.reduce_window(x, np.zeros(2, np.float32), lax.add, (2,)), "its init value"),
    (lambda lax, x: lax.reduce_window(x, 0.0, lax.add, (2, 2)), "for each of 1 axes"),
    (lambda lax, x: lax.reduce_window(x, 0.0, lax.add, (0,)), "needs positive window_dimensions"),
    (lambda lax, x: lax.reduce_window((x, x[1:]), (0.0, 0.0), lax.add, (1,)), "operands of one shape"),
    (lambda lax, x: lax.reduce_window((x, x), 0.0, lax.add, (1,)), "operands of structure"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: Any, words: str) -> None:
    x = np.ones(3, np.float32)
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        call(jlax, x)
    with pytest.raises(errors.PortaxError, match=words):
        call(lax, x)


def test_a_computation_that_closes_over_a_tracer_is_refused() -> None:
    def f(c: Any, x: Any) -> Any:
        return lax.reduce_window(x, 0.0, lambda a, b: a + b * c, (2,))

    with pytest.raises(errors.ArgumentError, match="closes over a traced or large array"):
        portax.jit(f)(2.0, np.ones(3, np.float32))
