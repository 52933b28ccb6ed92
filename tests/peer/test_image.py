"""portax.image beside jax.image: methods, shapes, dtypes, derivatives with respect to images, scales and places."""

from __future__ import annotations

import re
from typing import Any

import hypothesis.strategies as st
import jax
import jax.image as peer
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import portax
from portax import errors, image

pytestmark = pytest.mark.peer

generated = settings(max_examples=25, deadline=None, derandomize=True, database=None)

METHODS = ("linear", "cubic", "lanczos3", "lanczos5")


def numbers(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    return (np.random.default_rng(int(np.prod(shape))).normal(size=shape) * 9).astype(dtype)


def assert_close(got: Any, expected: Any, tolerance: float = 3e-6) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert g.shape == e.shape, f"shape {g.shape}, the peer's {e.shape}"
    assert str(g.dtype) == str(e.dtype), f"dtype {g.dtype}, the peer's {e.dtype}"
    g, e = (a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in (g, e))
    np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * float(np.max(np.abs(e), initial=1.0)))


@generated
@given(
    shapes=st.tuples(*[st.tuples(st.integers(1, 9), st.integers(1, 9))] * 2),
    method=st.sampled_from((*METHODS, "nearest", "bilinear", "triangle", "bicubic", "area", "cubic-pytorch")),
    antialias=st.booleans(),
)  # fmt: skip
def test_images_are_resized_as_by_the_peer(shapes: Any, method: str, antialias: bool) -> None:
    x = numbers(shapes[0])
    got = image.resize(x, shapes[1], method, antialias)
    assert_close(got, jax.jit(lambda x: peer.resize(x, shapes[1], method, antialias))(x), 1e-5)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16", "bfloat16", "complex64"])
def test_each_dtype_gives_the_peers_values(dtype: str) -> None:
    x = numbers((4, 5)).astype(jnp.dtype(dtype))
    for method in ("linear", "nearest"):
        got = image.resize(x, (7, 3), method)
        tolerance = {"float16": 1e-3, "bfloat16": 1e-2}.get(dtype, 3e-6)
        assert_close(got, peer.resize(x, (7, 3), method), tolerance)


def test_images_in_batches_and_their_derivatives_are_the_peers() -> None:
    x = numbers((2, 6, 5, 3))

    def loss(image: Any, vmap: Any, x: Any) -> Any:
        return (vmap(lambda x: image.resize(x, (4, 9, 3), "cubic"))(x) ** 2).sum()

    got = portax.jit(portax.grad(lambda x: loss(image, portax.vmap, x)))(x)
    assert_close(got, jax.jit(jax.grad(lambda x: loss(peer, jax.vmap, x)))(x), 1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
def test_images_are_scaled_and_moved_as_by_the_peer(method: str, antialias: bool) -> None:
    x = numbers((6, 5, 2))
    scale, place = np.array([0.7, 1.6], np.float32), np.array([1.3, -2.2], np.float32)

    def loss(image: Any, x: Any, scale: Any, place: Any) -> Any:
        return image.scale_and_translate(x, (5, 8, 2), (0, 1), scale, place, method, antialias)

    expected = jax.jit(lambda *a: loss(peer, *a))(x, scale, place)
    assert_close(loss(image, x, scale, place), expected, 1e-5)
    got = portax.grad(lambda *a: (loss(image, *a) ** 2).sum(), (0, 1, 2))(x, scale, place)
    expected = jax.jit(jax.grad(lambda *a: (loss(peer, *a) ** 2).sum(), (0, 1, 2)))(x, scale, place)
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, 1e-4)


def test_methods_have_the_peers_names() -> None:
    assert [m.name for m in image.ResizeMethod] == [m.name for m in peer.ResizeMethod]
    for name in ("nearest", "trilinear", "tricubic", "lanczos5"):
        assert image.ResizeMethod.from_string(name).value == peer.ResizeMethod.from_string(name).value


def test_empty_images_are_the_peers() -> None:
    x = np.zeros((0, 3), np.float32)
    assert_close(image.resize(x, (0, 5), "linear"), peer.resize(x, (0, 5), "linear"))


ONE = np.ones(1, np.float32)
REFUSED = [
    ("image.resize(x, (2,), 'linear')", "was given shape (2,)"),
    ("image.resize(x, (2, 2), 'best')", "there is no resize method 'best'"),
    ("image.scale_and_translate(x, (2, 3), (0,), one, one, 'nearest')", "has no method NEAREST"),
    ("image.scale_and_translate(x, (2, 3), (2,), one, one, 'linear')", "axis 2"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    known = {"x": np.ones((3, 3), np.float32), "one": ONE}
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {**known, "image": peer})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {**known, "image": image})


def test_what_the_peer_leaves_unsaid_is_refused() -> None:
    """The peer ignores the length of an axis not named, and the scale where the method only stretches."""
    x = np.ones((3, 3), np.float32)
    with pytest.raises(errors.ShapeError, match=re.escape("cannot make shape (2, 4)")):
        image.scale_and_translate(x, (2, 4), (0,), ONE, ONE, "linear")
    for method in ("area", "cubic-pytorch"):
        with pytest.raises(errors.ArgumentError, match="scale_and_translate has no method"):
            image.scale_and_translate(x, (2, 3), (0,), ONE, ONE, method)


def test_scales_of_another_number_of_axes_are_refused() -> None:
    with pytest.raises(errors.ShapeError, match="was given scale: float32"):
        image.scale_and_translate(np.ones((3, 3)), (2, 3), (0,), np.ones(2), np.ones(2), "linear")
