"""Convolutions in tiles read windows where they lie, and give the bits of their decomposition."""

from __future__ import annotations

import numpy as np
import pytest
from kernels.test_products import compiled, in_order, notes, numbers, run

import portax as px
import portax.numpy as pnp
from portax.backend.kernels import program

NHWC = ("NHWC", "HWIO", "NHWC")
SCRAMBLED = ("CWNH", "HOIW", "HNWC")


def conv(x, w, strides=(1, 1), padding="SAME", **more):
    return px.lax.conv_general_dilated(x, w, strides, padding, **more)


#: Shapes of both operands, and what else is said of the windows.
CASES = {
    "same": ((2, 8, 20, 20), (16, 8, 3, 3), {}),
    "ragged": ((1, 5, 13, 11), (19, 5, 3, 2), {}),
    "in-place": ((2, 4, 12, 9), (8, 4, 3, 3), {"padding": "VALID"}),
    "strides": ((2, 3, 17, 19), (9, 3, 3, 5), {"strides": (2, 3)}),
    "dilated": (
        (2, 3, 9, 9), (8, 3, 3, 3), {"rhs_dilation": (2, 1), "lhs_dilation": (1, 2), "padding": ((1, 2), (1, 1))},
    ),
    "cut": ((2, 4, 12, 12), (8, 4, 2, 3), {"padding": ((-2, 1), (3, -1))}),
    "feature-groups": ((2, 12, 9, 9), (24, 4, 3, 3), {"feature_group_count": 3}),
    "batch-groups": ((6, 4, 9, 9), (24, 4, 3, 3), {"batch_group_count": 3}),
    "one-row": ((2, 8, 1, 40), (16, 8, 1, 5), {}),
    "channels-last": ((2, 10, 12, 6), (3, 3, 6, 16), {"dimension_numbers": NHWC}),
    "scrambled": ((5, 9, 3, 10), (3, 11, 5, 2), {"dimension_numbers": SCRAMBLED}),
    "volume": ((2, 3, 6, 7, 5), (8, 3, 2, 3, 2), {"strides": (1, 2, 1)}),
}


def taken_apart(monkeypatch, f, device, *xs):
    """What the decomposition gives: a product whose rows are all windows."""
    here = compiled(lambda *xs: f(*xs), device, *xs).text()
    with monkeypatch.context() as inside:
        inside.delitem(program.REWRITTEN, "conv_general_dilated")
        assert compiled(lambda *xs: f(*xs), device, *xs).text() != here
        return run(f, device, *xs)


@pytest.mark.parametrize("case", CASES)
def test_the_bits_are_those_of_the_product_of_all_windows(device, everywhere, monkeypatch, case):
    left, right, more = CASES[case]
    f = lambda x, w: conv(x, w, **more)
    x, w = numbers(*left), numbers(*right, seed=1)
    assert notes(f, device, x, w)[-1] == "dot_general_tiles"
    np.testing.assert_array_equal(run(f, device, x, w), taken_apart(monkeypatch, f, device, x, w))


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint16", "float16", "bfloat16", "float64"])
def test_so_are_those_of_other_numbers(device, everywhere, monkeypatch, dtype):
    dtype = pnp.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    with px.enable_x64(True):
        x, w = numbers(2, 5, 9, 8).astype(dtype), numbers(17, 5, 3, 2, seed=1).astype(dtype)
        got = run(conv, device, x, w)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, taken_apart(monkeypatch, conv, device, x, w))


def test_small_integers_are_summed_in_the_dtype_that_is_wanted(device, everywhere, monkeypatch):
    x, w = numbers(2, 5, 9, 8, dtype=np.int8), numbers(8, 5, 3, 3, dtype=np.int8, seed=1)
    f = lambda x, w: conv(x, w, preferred_element_type=np.int32)
    got = run(f, device, x, w)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, taken_apart(monkeypatch, f, device, x, w))


@pytest.mark.parametrize(
    "more",
    [{}, {"strides": (2, 2)}, {"rhs_dilation": (2, 2)}, {"feature_group_count": 2}, {"dimension_numbers": NHWC}],
    ids=["same", "strides", "dilated", "groups", "channels-last"],
)
def test_so_are_those_of_its_gradients(device, everywhere, monkeypatch, more):
    last = "dimension_numbers" in more
    x = numbers(2, 10, 12, 6) if last else numbers(2, 6, 10, 12)
    features = 6 // more.get("feature_group_count", 1)
    w = numbers(3, 3, 6, 8, seed=1) if last else numbers(8, features, 3, 3, seed=1)
    f = px.grad(lambda x, w: (conv(x, w, **more) ** 2).sum(), (0, 1))
    assert sum("tiles" in note for note in notes(f, device, x, w)) == 3
    for got, wanted in zip(run(f, device, x, w), taken_apart(monkeypatch, f, device, x, w), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_only_what_is_padded_is_stored(device):
    x, w = numbers(2, 8, 20, 20), numbers(16, 8, 3, 3, seed=1)
    padded = compiled(conv, device, x, w).memory_analysis().temp_size_in_bytes
    assert padded < 2 * x.nbytes + w.nbytes
    valid = lambda x, w: conv(x, w, padding="VALID")
    assert compiled(valid, device, x, w).memory_analysis().temp_size_in_bytes < x.nbytes
    assert len(notes(conv, device, x, w)) == 3
    assert len(notes(valid, device, x, w)) == 2


def test_what_follows_is_computed_where_the_sums_are(device):
    f = lambda x, w, b: pnp.tanh(conv(pnp.tanh(x), w) + b[:, None, None])
    xs = numbers(2, 8, 20, 20), numbers(16, 8, 3, 3, seed=1), numbers(16, seed=2)
    found = notes(f, device, *xs)
    assert len(found) == 3 and found[-1] == "dot_general_tiles, tanh"
    np.testing.assert_allclose(run(f, device, *xs), f(*xs), rtol=1e-4, atol=1e-4)


def test_one_reshaped_is_stored_where_it_belongs(device):
    f = lambda x, w: pnp.maximum(conv(x, w), 0).reshape(2, -1)
    x, w = numbers(2, 8, 20, 20), numbers(16, 8, 3, 3, seed=1)
    assert len(notes(f, device, x, w)) == 3
    np.testing.assert_allclose(run(f, device, x, w), f(x, w), rtol=1e-4, atol=1e-3)


def test_windows_of_one_place_are_a_product_of_matrices(device):
    x, w = numbers(2, 32, 6, 6), numbers(16, 32, 1, 1, seed=1)
    wanted = in_order(x.reshape(2, 32, 36).transpose(0, 2, 1), w.reshape(16, 32).T)
    got = run(conv, device, x, w)
    np.testing.assert_array_equal(got, wanted.transpose(0, 2, 1).reshape(2, 16, 6, 6))


def test_an_image_without_elements_is_all_padding(device, everywhere):
    x, w = numbers(2, 3, 0, 4), numbers(8, 3, 3, 3, seed=1)
    f = lambda x, w: conv(x, w, padding=((3, 2), (1, 1)), lhs_dilation=(2, 1))
    np.testing.assert_array_equal(run(f, device, x, w), np.zeros((2, 8, 3, 4), np.float32))
