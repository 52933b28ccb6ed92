"""Large results are written in blocks of whole lines, the same numbers at the same places."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c
from kernels.test_fusion import compiled, run

import portax as px
import portax.numpy as pnp
from portax.backend.kernels import streams


class Streaming(plain_c.SeveralItems):
    """Plain C that has a way past the caches for results from 4 KiB on, and counts how often it is gone."""

    vector, streamed, scratch = 64, 4096, 1 << 15
    preamble = (
        plain_c.SeveralItems.preamble
        + "static void px_stream(void *to, const void *from, long size) { memcpy(to, from, size); }\n"
    )

    def stream(self, to, block, count, dtype):
        return f"px_stream({to}, {block}, {count} * {dtype.itemsize});"


class Backend(plain_c.PlainCBackend):
    """The backend of it."""

    def launchers(self):
        return [plain_c.PlainC(Streaming())]


@pytest.fixture(scope="module")
def streaming():
    return Backend({}).devices()[0]


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def streamed(f, device, *xs):
    """How many results a program writes past the caches."""
    return compiled(f, device, *xs).text().count("px_stream(") - 1


def affine(x):
    return x * 2 + 1


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / (1 + x.max(-1, keepdims=True))


@pytest.mark.parametrize("size", [1024, 1025, 3000, 3 * streams.BLOCK, 3 * streams.BLOCK + 1, 10007])
def test_a_chain_is_written_in_blocks_whatever_its_length(streaming, device, size):
    x = numbers(size)
    assert streamed(affine, streaming, x) == 1
    np.testing.assert_array_equal(run(affine, streaming, x), run(affine, device, x))


@pytest.mark.parametrize("shape", [(40, 300), (3, 1024), (7, 2500), (2, 3, 1025)])
@pytest.mark.parametrize("f", [norm, lambda x: px.nn.softmax(x, axis=-1), lambda x: x + x[..., :1]])
def test_rows_are_written_in_blocks(streaming, device, shape, f):
    x = numbers(*shape)
    assert streamed(f, streaming, x) >= 1
    np.testing.assert_array_equal(run(f, streaming, x), run(f, device, x))


def test_several_results_of_a_loop_have_blocks_of_their_own(streaming, device):
    x = numbers(5000)
    f = lambda x: (x + 1, (x * 3).astype(np.int32), x < 0)
    assert streamed(f, streaming, x) == 3
    got, wanted = (px.jit(f)(px.device_put(x, d)) for d in (streaming, device))
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (affine, numbers(900)),  # small
        (pnp.tanh, numbers(5000)),  # its arithmetic takes longer than memory does
        (lambda x: x[::-1] + 1, numbers(5000)),  # backwards
        (lambda x: x * 2, numbers(5000).astype(np.complex64)),  # in pairs
        (lambda x: pnp.cumsum(x), numbers(5000)),
        (lambda x: x @ x, numbers(64, 64)),
    ],
)
def test_others_are_written_as_ever(streaming, device, f, x):
    assert streamed(f, streaming, x) == 0
    np.testing.assert_array_equal(run(f, streaming, x), run(f, device, x))


def test_a_dialect_that_does_not_say_how_is_told_so(device):
    with pytest.raises(NotImplementedError, match="SeveralItems sets `streamed`, and does not say how"):
        device.launcher.dialect.stream("to", "block", "count", np.dtype(np.float32))
