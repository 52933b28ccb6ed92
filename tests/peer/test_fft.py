"""Fourier transforms beside jax: all types, lengths and norms, derivatives, batches, refusals."""

from __future__ import annotations

import re
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax as jlax
from jax.scipy import fft as peer_cosine

import portax
import portax.numpy as pnp
from portax import errors, lax
from portax.scipy import fft as cosine

pytestmark = pytest.mark.peer

generated = settings(max_examples=30, deadline=None, derandomize=True, database=None)
fewer = settings(max_examples=15, deadline=None, derandomize=True, database=None)


def numbers(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    draw = np.random.default_rng(int(np.prod(shape)) + len(shape))
    x = draw.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * draw.normal(size=shape)
    return x.astype(dtype)


def assert_close(got: Any, expected: Any, tolerance: float = 3e-6) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert g.shape == e.shape, f"shape {g.shape}, the peer's {e.shape}"
    assert str(g.dtype) == str(e.dtype), f"dtype {g.dtype}, the peer's {e.dtype}"
    scale = float(np.max(np.abs(e), initial=1.0))
    np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * scale)


SHAPES = [((6,), 1), ((7,), 1), ((1,), 1), ((2, 5), 1), ((3, 4), 2), ((2, 3, 5), 3), ((3, 2, 2, 2), 2)]
LONG = [((97,), 1), ((128,), 1), ((360,), 1), ((2, 131, 8), 2)]


@pytest.mark.parametrize(("shape", "rank"), SHAPES + LONG, ids=str)
def test_each_type_is_the_peers(shape: Any, rank: int) -> None:
    lengths = shape[-rank:]
    z, x = numbers(shape, np.complex64), numbers(shape)
    for kind, operand in (("FFT", z), ("IFFT", z), ("RFFT", x)):
        assert_close(lax.fft(operand, kind, lengths), jlax.fft(operand, kind, lengths))
    half = z[..., : shape[-1] // 2 + 1]
    assert_close(lax.fft(half, "irfft", lengths), jlax.fft(half, "irfft", lengths))


@pytest.mark.parametrize("compiled", [False, True], ids=["at-once", "compiled"])
@pytest.mark.parametrize(("shape", "rank"), SHAPES, ids=str)
def test_derivatives_are_the_peers(shape: Any, rank: int, compiled: bool) -> None:
    lengths = shape[-rank:]
    z, x = numbers(shape, np.complex64), numbers(shape)
    half = z[..., : shape[-1] // 2 + 1]
    for kind, operand in (("FFT", z), ("IFFT", z), ("RFFT", x), ("IRFFT", half)):
        out = jlax.fft(operand, kind, lengths)
        ct = numbers(out.shape, out.dtype)

        def back(x: Any, c: Any, kind: str = kind) -> Any:
            return portax.vjp(lambda x: lax.fft(x, kind, lengths), x)[1](c)[0]

        [expected] = jax.vjp(lambda x, kind=kind: jlax.fft(x, kind, lengths), operand)[1](ct)
        assert_close((portax.jit(back) if compiled else back)(operand, ct), expected)
        _, t = portax.jvp(lambda x, kind=kind: lax.fft(x, kind, lengths), (operand,), (operand[::-1].copy(),))
        assert_close(t, jlax.fft(operand[::-1], kind, lengths))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_batch_is_the_peers(axis: int) -> None:
    x = numbers((3, 4, 5))
    got = portax.vmap(pnp.fft.rfft, in_axes=axis, out_axes=1)(x)
    assert_close(got, jax.vmap(jnp.fft.rfft, in_axes=axis, out_axes=1)(x))


ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MANY = ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn")


@generated
@given(
    name=st.sampled_from(ONE), n=st.sampled_from([None, 1, 2, 5, 8]), axis=st.integers(-3, 2),
    norm=st.sampled_from([None, "backward", "ortho", "forward"]), dtype=st.sampled_from(["f4", "i4", "c8", "?", "u1"]),
)  # fmt: skip
def test_along_one_axis_numpys_functions_are_the_peers(name: str, n: Any, axis: int, norm: Any, dtype: str) -> None:
    if dtype == "c8" and name in ("rfft", "ihfft"):
        dtype = "f4"
    x = (numbers((4, 3, 6), "c8" if dtype == "c8" else "f4") * 3).astype(dtype)
    assert_close(getattr(pnp.fft, name)(x, n, axis, norm), getattr(jnp.fft, name)(x, n, axis, norm))


@generated
@given(name=st.sampled_from(MANY), data=st.data(), norm=st.sampled_from([None, "ortho", "forward"]))
def test_along_many_axes_numpys_functions_are_the_peers(name: str, data: Any, norm: Any) -> None:
    x = numbers((2, 4, 3, 2), np.complex64 if name[0] == "i" or name[0] == "f" else np.float32)
    count = 2 if name.endswith("2") else data.draw(st.integers(1, 4))
    axes = data.draw(st.permutations(range(-4, 0)))[:count]
    if not name.endswith("2") and data.draw(st.booleans()):
        axes = None
    s = data.draw(st.sampled_from([None, [3, 2, 4, 2][:count]]))
    params = {"s": s, "norm": norm} | ({} if axes is None and name.endswith("2") else {"axes": axes})
    assert_close(getattr(pnp.fft, name)(x, **params), getattr(jnp.fft, name)(x, **params))


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies_are_the_peers(name: str) -> None:
    for args in ((5,), (4,), (6, 2.0), (7, 3), (1,)):
        assert_close(getattr(pnp.fft, name)(*args), getattr(jnp.fft, name)(*args), 1e-7)
    got = getattr(pnp.fft, name)(5, dtype=np.float16)
    assert_close(got, getattr(jnp.fft, name)(5, dtype=np.float16), 1e-3)


@pytest.mark.parametrize("axes", [None, 0, -1, (1,), (0, 1)], ids=str)
@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts_are_the_peers(name: str, axes: Any) -> None:
    x = numbers((3, 4))
    assert_close(getattr(pnp.fft, name)(x, axes), getattr(jnp.fft, name)(x, axes), 0)


def test_of_float64_the_peers_values_come_in_float64() -> None:
    with portax.enable_x64(True), jax.enable_x64(True):
        x = numbers((3, 8), np.float64)
        for name in ("fft", "rfft", "irfft", "ihfft"):
            assert_close(getattr(pnp.fft, name)(x), getattr(jnp.fft, name)(x), 1e-14)
        assert_close(pnp.fft.fft(np.arange(4)), jnp.fft.fft(np.arange(4)), 1e-14)
        assert_close(pnp.fft.fftfreq(5), jnp.fft.fftfreq(5), 1e-16)


@fewer
@given(st.integers(1, 700))
def test_without_a_native_transform_every_length_gives_the_same(n: int) -> None:
    """Held to NumPy in double precision: it is how a device without a transform runs."""
    z = numbers((n,), np.complex64)
    with portax.default_device("reference"):
        got = np.asarray(portax.jit(lambda z: portax.primitives.fourier.fft.decompose(z, **_params(n)))(z))
    expected = np.fft.fft(z.astype(np.complex128))
    assert np.max(np.abs(got - expected)) <= 4e-6 * np.max(np.abs(expected))


def _params(n: int) -> dict[str, Any]:
    return {"fft_type": lax.FftType.FFT, "fft_lengths": (n,)}


def test_empty_arrays_are_the_peers() -> None:
    for shape in ((0, 4), (3, 0)):
        z = numbers(shape, np.complex64)
        assert_close(lax.fft(z, "FFT", shape[1:]), jlax.fft(z, "FFT", shape[1:]))
    assert_close(lax.fft(numbers((0, 4)), "RFFT", (4,)), jlax.fft(numbers((0, 4)), "RFFT", (4,)))


X = np.ones((3, 4), np.float32)
REFUSED = [
    ("fft.rfft(z)", "RFFT takes real numbers"),
    ("fft.rfft(x.astype(np.float16))", "RFFT takes float32 or float64"),
    ("fft.fft(x, 0)", "cannot have lengths (0,)"),
    ("fft.fft(x, norm='none')", "there is no norm 'none'"),
    ("fft.fft(x, axis=2)", "axis 2"),
    ("fft.fft(x, axis=(0, 1))", "works along one axis"),
    ("fft.fft2(x, axes=(0,))", "works along two axes"),
    ("fft.fftn(x, axes=(0, 0))", "one of them twice"),
    ("fft.fftn(x, s=(2,), axes=(0, 1))", "was given lengths (2,) for axes (0, 1)"),
    ("fft.fftn(x, s=(2, 3, 4))", "3 lengths for an array of 2 axes"),
    ("fft.fft([1, 2])", "takes arrays and numbers"),
    ("fft.fftfreq(5, [1, 2])", "takes one length and one spacing"),
    ("lax.fft(z, 'FFFT', (4,))", "there is no transform 'FFFT'"),
    ("lax.fft(z, 'FFT', (3,))", "needs last axes of (3,)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    known = {"x": X, "z": X.astype(np.complex64), "np": np}
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {**known, "fft": jnp.fft, "lax": jlax})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {**known, "fft": pnp.fft, "lax": lax})


# -- cosine transforms ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("norm", [None, "backward", "ortho"])
@pytest.mark.parametrize("name", ["dct", "idct"])
def test_cosine_transforms_are_the_peers(name: str, norm: Any) -> None:
    f, g = getattr(cosine, name), getattr(peer_cosine, name)
    for shape in ((1,), (6,), (2, 7)):
        assert_close(f(numbers(shape), norm=norm), g(numbers(shape), norm=norm))
    x = numbers((4, 6))
    for params in ({"n": 3}, {"n": 9}, {"axis": 0}, {"n": 5, "axis": 0}):
        assert_close(f(x, norm=norm, **params), g(x, norm=norm, **params))


@pytest.mark.parametrize("dtype", ["int32", "float16", "bfloat16", "complex64"])
def test_a_cosine_transform_of_each_dtype_is_the_peers(dtype: str) -> None:
    x = (numbers((6,)) * 5).astype(jnp.dtype(dtype))
    for name in ("dct", "idct"):
        got, expected = getattr(cosine, name)(x), getattr(peer_cosine, name)(x)
        # The peer rounds the factors of an inverse to a narrow dtype, though its result is wide.
        assert_close(got, expected, {"float16": 1e-3, "bfloat16": 5e-3}.get(dtype, 3e-6))


@pytest.mark.parametrize("name", ["dctn", "idctn"])
def test_cosine_transforms_along_many_axes_are_the_peers(name: str) -> None:
    x = numbers((2, 3, 4))
    f, g = getattr(cosine, name), getattr(peer_cosine, name)
    for params in ({}, {"axes": (0,)}, {"axes": (2, 0), "norm": "ortho"}, {"s": (3, 3)}, {"s": (3,), "axes": (1,)}):
        assert_close(f(x, **params), g(x, **params))


def test_derivatives_of_a_cosine_transform_are_the_peers() -> None:
    x = numbers((3, 5))
    got = portax.jit(portax.grad(lambda x: (cosine.dctn(x) ** 3).sum()))(x)
    assert_close(got, jax.jit(jax.grad(lambda x: (peer_cosine.dctn(x) ** 3).sum()))(x), 1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("fft.dct(x, 3)", "dct has no type 3"), ("fft.dct(x, norm='forward')", "dct has no norm 'forward'"),
        ("fft.idct(x, n=0)", "cannot transform 0 elements"),
        ("fft.dctn(x, axes=(0, 0))", "dctn was given an axis twice"),
    ],
)  # fmt: skip
def test_what_has_no_cosine_transform_is_refused_in_words(call: str, words: str) -> None:
    if "axes" not in call:
        with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
            eval(call, {"x": X, "fft": peer_cosine})
    with pytest.raises(errors.PortaxError, match=words):
        eval(call, {"x": X, "fft": cosine})


def test_lengths_that_are_not_those_of_the_axes_are_refused() -> None:
    with pytest.raises(errors.ShapeError, match="dctn was given lengths"):
        cosine.dctn(X, s=(3,), axes=(0, 1))
