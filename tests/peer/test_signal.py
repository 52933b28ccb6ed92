"""portax.scipy.signal and the convolutions of portax.numpy beside jax: modes, dtypes, derivatives, spectra."""

from __future__ import annotations

import re
import warnings
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax.scipy import signal as peer

import portax
import portax.numpy as pnp
from portax import errors
from portax.scipy import signal

pytestmark = pytest.mark.peer

generated = settings(max_examples=25, deadline=None, derandomize=True, database=None)

MODES = ("full", "same", "valid")


def numbers(shape: Any, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng([int(np.prod(shape)), len(shape), seed])
    x = draw.integers(-5, 6, size=shape).astype(np.float64)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * draw.integers(-5, 6, size=shape)
    return x.astype(dtype)


def assert_close(got: Any, expected: Any, tolerance: float = 3e-6) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert g.shape == e.shape, f"shape {g.shape}, the peer's {e.shape}"
    assert str(g.dtype) == str(e.dtype), f"dtype {g.dtype}, the peer's {e.dtype}"
    scale = float(np.max(np.abs(e[np.isfinite(e)]), initial=1.0))
    np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * scale)


@generated
@given(
    n=st.integers(1, 6), k=st.integers(1, 6), mode=st.sampled_from(MODES),
    dtypes=st.tuples(*[st.sampled_from(["f4", "i4", "c8", "u1", "?", "f2"])] * 2),
    name=st.sampled_from(["convolve", "correlate"]),
)  # fmt: skip
def test_sequences_are_convolved_and_correlated_as_by_the_peer(
    n: int, k: int, mode: str, dtypes: Any, name: str
) -> None:
    a, v = numbers((n,), dtypes[0]), numbers((k,), dtypes[1], 1)
    assert_close(getattr(pnp, name)(a, v, mode), getattr(jnp, name)(a, v, mode))
    assert_close(getattr(signal, name)(a, v, mode), getattr(peer, name)(a, v, mode))


@generated
@given(
    shapes=st.integers(1, 3).flatmap(lambda r: st.tuples(*[st.tuples(*[st.integers(1, 5)] * r)] * 2)),
    mode=st.sampled_from(MODES), name=st.sampled_from(["convolve", "correlate", "fft", "fftconvolve"]),
    dtypes=st.tuples(*[st.sampled_from(["f4", "i4", "c8"])] * 2),
)  # fmt: skip
def test_arrays_are_convolved_and_correlated_as_by_the_peer(shapes: Any, mode: str, name: str, dtypes: Any) -> None:
    a, v = numbers(shapes[0], dtypes[0]), numbers(shapes[1], dtypes[1], 1)
    # The peer convolves directly only where one is inside the other.
    if not (all(np.less_equal(*shapes)) or all(np.greater_equal(*shapes))):
        return
    if name == "fft":
        for f in ("convolve", "correlate"):
            got = getattr(signal, f)(a, v, mode, method="fft")
            assert_close(got, getattr(peer, f)(a, v, mode, method="fft"), 1e-5)
    else:
        assert_close(getattr(signal, name)(a, v, mode), getattr(peer, name)(a, v, mode), 1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shapes", [((4, 5), (2, 3)), ((2, 3), (4, 5)), ((3, 3), (2, 2))], ids=str)
def test_arrays_of_two_axes_too(mode: str, shapes: Any) -> None:
    a, v = numbers(shapes[0]), numbers(shapes[1], np.complex64)
    for name in ("convolve2d", "correlate2d"):
        assert_close(getattr(signal, name)(a, v, mode), getattr(peer, name)(a, v, mode))


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 1), 0], ids=str)
def test_convolving_along_some_axes_is_the_peers(axes: Any) -> None:
    a, v = numbers((4, 5)), numbers((4, 5), seed=1)
    if axes == 0:
        with pytest.raises(TypeError):
            signal.fftconvolve(a, v, axes=axes)
        return
    for mode in MODES:
        assert_close(signal.fftconvolve(a, v, mode, axes), peer.fftconvolve(a, v, mode, axes), 1e-5)


@pytest.mark.parametrize("name", ["convolve", "correlate", "fftconvolve"])
def test_derivatives_and_batches_are_the_peers(name: str) -> None:
    a, v = numbers((3, 6)), numbers((3, 3), seed=1)

    def loss(module: Any, vmap: Any) -> Any:
        return lambda a, v: (vmap(getattr(module, name))(a, v) ** 2).sum()

    got = portax.jit(portax.grad(loss(signal, portax.vmap), (0, 1)))(a, v)
    expected = jax.jit(jax.grad(loss(peer, jax.vmap), (0, 1)))(a, v)
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, 1e-5)


# -- trends and spectra -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("params", [{}, {"type": "constant"}, {"bp": 3}, {"bp": [2, 5]}, {"axis": 0}], ids=str)
def test_trends_are_taken_off_as_by_the_peer(params: Any) -> None:
    for dtype in (np.float32, np.int32):
        x = numbers((6, 9), dtype)
        assert_close(signal.detrend(x, **params), peer.detrend(x, **params), 2e-5)


SPECTRA = [
    {}, {"nperseg": 16}, {"nperseg": 15, "noverlap": 4}, {"nperseg": 16, "nfft": 20}, {"fs": 8.0, "nperseg": 8},
    {"window": "hamming", "nperseg": 12}, {"window": ("tukey", 0.5), "nperseg": 12},
    {"window": ("kaiser", 3.0), "nperseg": 9}, {"window": "blackman", "nperseg": 8}, {"axis": 0, "nperseg": 2},
    {"window": np.hanning(9).astype("f4"), "nperseg": 9}, {"window": "boxcar", "nperseg": 7, "noverlap": 0},
    {"window": ("gaussian", 2.0), "nperseg": 12}, {"window": "bartlett", "nperseg": 11},
    {"window": "flattop", "nperseg": 8}, {"window": "triang", "nperseg": 8}, {"window": "triang", "nperseg": 9},
    {"window": "cosine", "nperseg": 8}, {"window": "bohman", "nperseg": 8}, {"window": "nuttall", "nperseg": 8},
    {"window": "blackmanharris", "nperseg": 8}, {"window": ("general_hamming", 0.7), "nperseg": 8},
]  # fmt: skip


def both(f: Any, g: Any, *args: Any, **params: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got, expected = f(*args, **params), jax.jit(lambda *xs: g(*xs, **params))(*args)
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert_close(a, b, 2e-5 if i == len(got) - 1 else 1e-6)


@pytest.mark.parametrize("params", SPECTRA, ids=lambda p: str({k: np.shape(v) or v for k, v in p.items()}))
def test_spectra_of_segments_are_the_peers(params: Any) -> None:
    x = numbers((3, 50))
    both(signal.stft, peer.stft, x, **params)
    both(signal.welch, peer.welch, x, **params)


@pytest.mark.parametrize("boundary", ["even", "odd", "constant", "zeros", None])
@pytest.mark.parametrize("padded", [True, False])
def test_both_ends_of_a_signal_go_on_as_at_the_peer(boundary: Any, padded: bool) -> None:
    both(signal.stft, peer.stft, numbers((43,)), nperseg=10, noverlap=3, boundary=boundary, padded=padded)


def test_other_spectra_are_the_peers() -> None:
    x, y, z = numbers((2, 40)), numbers((2, 33), seed=1), numbers((2, 40), np.complex64)
    both(signal.csd, peer.csd, x, y, nperseg=8)
    both(signal.csd, peer.csd, x, z, nperseg=8)
    both(signal.csd, peer.csd, x, None, nperseg=8, scaling="spectrum", average="median")
    both(signal.csd, peer.csd, x, y, nperseg=9, detrend="linear", return_onesided=False)
    both(signal.welch, peer.welch, z, nperseg=8, detrend=False)
    both(signal.welch, peer.welch, x.astype(np.int32), nperseg=8, average="median")
    both(signal.stft, peer.stft, z, nperseg=8, detrend="constant")
    both(signal.welch, peer.welch, x, nperseg=100)


CUTS = [{}, {"noverlap": 6}, {"window": "boxcar"}, {"nperseg": 9, "noverlap": 3, "nfft": 9}]


@pytest.mark.parametrize("params", CUTS, ids=str)
def test_a_signal_is_put_together_again_as_by_the_peer(params: Any) -> None:
    x = numbers((2, 40))
    params = {"nperseg": 8, **params}
    _, _, z = peer.stft(x, **params)
    z = np.asarray(z)
    both(signal.istft, peer.istft, z, **params)
    assert_close(signal.istft(z, **params)[1][..., :40], x, 1e-5)
    both(signal.istft, peer.istft, np.swapaxes(z, 0, 2), time_axis=0, freq_axis=1, **params)
    both(signal.istft, peer.istft, z, boundary=False, **params)


def test_two_sided_spectra_are_put_together_too() -> None:
    _, _, z = peer.stft(numbers((40,)), nperseg=8, return_onesided=False)
    both(signal.istft, peer.istft, np.asarray(z), nperseg=8, input_onesided=False)


def test_a_spectrums_derivative_is_the_peers() -> None:
    x = numbers((40,))
    got = portax.grad(lambda x: signal.welch(x, nperseg=8)[1].sum())(x)
    assert_close(got, jax.grad(lambda x: peer.welch(x, nperseg=8)[1].sum())(x), 1e-5)


A = np.ones(3, np.float32)
REFUSED = [
    ("jnp.convolve(a, a, 'all')", "convolve has no mode 'all'"),
    ("jnp.convolve(a[None], a)", "takes sequences of one axis"),
    ("jnp.convolve(a, a[:0])", "cannot take an empty sequence"),
    ("jnp.correlate([1, 2], a)", "takes arrays and numbers"),
    ("signal.convolve(a[None], a)", "needs operands of as many axes"),
    ("signal.convolve(a, a, method='no')", "has no method 'no'"),
    ("signal.convolve2d(a[None], a[None], boundary='wrap')", "has no boundary 'wrap'"),
    ("signal.convolve2d(a, a)", "takes arrays of two axes"),
    ("signal.convolve(x, np.ones((2, 5)), 'valid')", "finds neither"),
    ("signal.convolve(x, x[:0])", "cannot take an empty array"),
    ("signal.fftconvolve(x, x[:1], axes=(1,))", "needs other axes of equal length"),
    ("signal.fftconvolve(x, x, axes=(2,))", "fftconvolve has no axes (2,)"),
    ("signal.detrend(a, type='cubic')", "detrend has no type 'cubic'"),
    ("signal.detrend(a, bp=5)", "cannot break 3 elements"),
    ("signal.detrend(a, overwrite_data=True)", "overwrites nothing"),
    ("signal.stft(a, nperseg=2, noverlap=2)", "cannot overlap segments of 2 elements by 2"),
    ("signal.stft(a, nperseg=2, nfft=1)", "cannot transform segments of 2 elements in 1"),
    ("signal.stft(a, nperseg=0)", "needs a positive nperseg"),
    ("signal.stft(a, window='none', nperseg=2)", "the window 'none' is not known"),
    ("signal.stft(a, window=a[None])", "was given a window"),
    ("signal.stft(a, window=a, nperseg=2)", "nperseg = 2 and a window of 3 elements"),
    ("signal.welch(a[:2], window=a)", "a window of 3 elements for a signal of 2"),
    ("signal.stft(a, boundary='none')", "has no boundary 'none'"),
    ("signal.csd(a, a, scaling='power')", "has no scaling 'power'"),
    ("signal.csd(x, x, nperseg=2, average='mode')", "has no average 'mode'"),
    ("signal.istft(a)", "needs axes of frequency and time"),
    ("signal.istft(x, time_axis=0, freq_axis=0)", "for frequency and time"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
@pytest.mark.filterwarnings("ignore")
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    known = {"a": A, "np": np, "x": np.ones((3, 4), np.float32)}
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {**known, "jnp": jnp, "signal": peer})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {**known, "jnp": pnp, "signal": signal})
