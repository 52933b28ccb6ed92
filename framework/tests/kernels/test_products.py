"""Products in tiles give the bits of sums in order, whatever the shape, and are computed once."""

from __future__ import annotations

import re

import numpy as np
import pytest
from kernels import plain_c

import portax as px
import portax.numpy as pnp
from portax.backend.kernels import products
from portax.runtime.programs import Options, prepare


def compiled(f, device, *xs):
    """The executable of a function at some operands."""
    return prepare(px.make_jaxpr(f)(*xs), device, Options("f", keep_unused=True)).executable


def run(f, device, *xs):
    """What a function gives on the device."""
    out = px.jit(lambda *xs: f(*xs))(*[px.device_put(x, device) for x in xs])
    return [np.asarray(y) for y in out] if isinstance(out, tuple) else np.asarray(out)


def in_order(x, y, dtype=None):
    """``x @ y`` with one accumulator for each element, ``k`` ascending."""
    x, y = (a.astype(dtype or a.dtype) for a in (x, y))
    total = np.zeros(np.broadcast_shapes(x.shape[:-2], y.shape[:-2]) + (x.shape[-2], y.shape[-1]), x.dtype)
    for k in range(x.shape[-1]):
        total = total + x[..., :, k, None] * y[..., k, None, :]
    return total


def notes(f, device, *xs):
    """What each kernel computes, whether it is launched with others or alone."""
    return [part.note for k in compiled(lambda *xs: f(*xs), device, *xs).kernels for part in k.parts or [k]]


def numbers(*shape, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 9).astype(dtype)


SIDES = [(1, 1, 1), (4, 3, 16), (5, 1, 17), (3, 7, 8), (9, 40, 33), (32, 5, 15), (66, 20, 31), (128, 4, 9), (37, 6, 65)]


@pytest.mark.parametrize("dtype", ["float32", "int8", "int32", "uint16"])
def test_every_edge_gives_the_bits_of_sums_in_order(device, everywhere, dtype):
    pairs = [(numbers(m, k, dtype=dtype), numbers(k, n, dtype=dtype, seed=1)) for m, k, n in SIDES]
    f = lambda *xs: tuple(x @ y for x, y in zip(xs[::2], xs[1::2], strict=True))
    xs = [x for pair in pairs for x in pair]
    assert sum("tiles" in note for note in notes(f, device, *xs)) == len(SIDES)
    for got, (x, y) in zip(run(f, device, *xs), pairs, strict=True):
        np.testing.assert_array_equal(got, in_order(x, y))


@pytest.mark.parametrize("tall", [1, 6, 8])
def test_how_tall_tiles_are_changes_no_bit(device, everywhere, monkeypatch, tall):
    monkeypatch.setattr(device.launcher.dialect, "tile", tall, raising=False)
    pairs = [(numbers(m, k), numbers(k, n, seed=1)) for m, k, n in [*SIDES, (523, 3, 17)]]
    f = lambda *xs: tuple(x @ y for x, y in zip(xs[::2], xs[1::2], strict=True))
    for got, (x, y) in zip(run(f, device, *[x for pair in pairs for x in pair]), pairs, strict=True):
        np.testing.assert_array_equal(got, in_order(x, y))


def test_rows_are_read_from_where_they_begin(device):
    """Where rows beyond the last repeat it, their places are not added up again for each product."""
    x, y = numbers(33, 40), numbers(40, 32, seed=1)
    text = compiled(lambda x, y: x @ y, device, x, y).text()
    assert len(re.findall(r"const float \*x\d = in\d \+ ", text)) == 5
    assert len(re.findall(r" = x\d\[k\d\];", text)) == 4


def test_few_rows_beyond_the_last_are_computed():
    for above in range(1, 500):
        near = products._near(above)
        assert near == above if above <= products.NEAR else products.NEAR // 2 <= near <= products.NEAR
        assert -(-above // near) * near - above <= above // 16


def test_numbers_of_64_bits_are_multiplied_in_tiles(device, everywhere):
    with px.enable_x64(True):
        for dtype in ("float64", "int64", "uint64"):
            x, y = numbers(13, 21, dtype=dtype), numbers(21, 19, dtype=dtype, seed=1)
            np.testing.assert_array_equal(run(lambda x, y: x @ y, device, x, y), in_order(x, y))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_numbers_of_16_bits_are_summed_as_float32(device, everywhere, dtype):
    dtype = pnp.dtype(dtype) if dtype == "float16" else px.numpy.bfloat16
    x, y = numbers(13, 21).astype(dtype), numbers(21, 19, seed=1).astype(dtype)
    wanted = in_order(x, y, np.float32).astype(dtype)
    np.testing.assert_array_equal(run(lambda x, y: x @ y, device, x, y), wanted)


def test_operands_in_any_order_of_their_axes_and_batches_are_packed(device, everywhere):
    x, y = numbers(6, 11, 9), numbers(6, 9, 21, seed=1)
    turned = [np.ascontiguousarray(np.swapaxes(a, 1, 2)) for a in (x, y)]
    last = [np.ascontiguousarray(np.moveaxis(a, 0, -1)) for a in (x, y)]

    def f(x, y, xt, yt, xl, yl):
        return (
            x @ y, pnp.swapaxes(xt, 1, 2) @ y, x @ pnp.swapaxes(yt, 1, 2),
            pnp.einsum("mkb,knb->bmn", xl, yl), pnp.einsum("bmk,bkn->nbm", x, y),
        )  # fmt: skip

    wanted = in_order(x, y)
    *same, other = run(f, device, x, y, *turned, *last)
    for got in same:
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(other, np.moveaxis(wanted, 2, 0))


def test_several_free_and_summed_axes_are_those_of_a_matrix(device, everywhere):
    x, w = numbers(3, 5, 4, 6), numbers(4, 6, 2, 9, seed=1)
    bias = numbers(2, 9, seed=2)
    wanted = in_order(x.reshape(15, 24), w.reshape(24, 18)).reshape(3, 5, 2, 9)
    f = lambda x, w: pnp.tensordot(x, w, 2)
    np.testing.assert_array_equal(run(f, device, x, w), wanted)
    g = lambda x, w, b: pnp.tensordot(x, w, 2) + b
    np.testing.assert_array_equal(run(g, device, x, w, bias), wanted + bias)


@pytest.mark.parametrize("items", [1, 3, 64])
@pytest.mark.parametrize("strided", [False, True])
def test_how_a_launch_is_divided_changes_no_bit(items, strided, everywhere):
    dialect = plain_c.SeveralItems()
    dialect.items, dialect.strided = items, strided

    class Other(plain_c.PlainCBackend):
        def launchers(self):
            return [plain_c.PlainC(dialect)]

    (device,) = Other({}).devices()
    x, y = numbers(130, 40), numbers(40, 77, seed=1)
    np.testing.assert_array_equal(run(lambda x, y: x @ y, device, x, y), in_order(x, y))


def test_a_product_too_small_for_tiles_gives_the_same_bits(device, monkeypatch):
    x, y = numbers(64, 120), numbers(120, 96, seed=1)
    tiled = run(lambda x, y: x @ y, device, x, y)
    monkeypatch.setattr(products, "LEAST_WORK", 1 << 60)
    assert not any("tiles" in note for note in notes(lambda x, y: x @ y, device, x, y))
    np.testing.assert_array_equal(tiled, run(lambda x, y: x @ y, device, x, y))


def test_what_follows_element_by_element_is_computed_with_the_product(device):
    def f(x, w, b):
        y = x @ w + b
        return pnp.maximum(y, 0), y > 0

    x, w, b = numbers(100, 90), numbers(90, 80, seed=1), numbers(80, seed=2)
    found = notes(f, device, x, w, b)
    assert len(found) == 2 and "dot_general_tiles" in found[-1]
    wanted = in_order(x, w) + b
    for got, right in zip(run(f, device, x, w, b), (np.maximum(wanted, 0), wanted > 0), strict=True):
        np.testing.assert_array_equal(got, right)


def test_a_product_that_a_reduction_reads_is_stored_first(device):
    f = lambda x: pnp.tanh(x @ x / 64).sum()
    x = numbers(96, 96)
    found = notes(f, device, x)
    assert sum("tiles" in note for note in found) == 1
    assert [note for note in found if "reduce_sum" in note and "tiles" not in note]
    np.testing.assert_allclose(run(f, device, x), np.tanh(x @ x / 64).sum(dtype=np.float64), rtol=1e-4, atol=1e-2)


def test_so_is_one_that_is_too_narrow_for_tiles(device):
    f = lambda x, w: pnp.tanh((x @ w).T / 64).sum()
    x, w = numbers(3, 200), numbers(200, 300, seed=1)
    first, last = notes(f, device, x, w)
    assert first == "dot_general" and "reduce_sum" in last
    np.testing.assert_allclose(run(f, device, x, w), np.tanh(x @ w / 64).sum(dtype=np.float64), rtol=1e-4)


def test_a_product_needed_at_two_places_is_computed_once(device):
    def f(x):
        y = x @ x
        return y + y.T, pnp.exp(-abs(y)).sum(0)

    x = numbers(96, 96)
    assert sum("tiles" in note for note in notes(f, device, x)) == 1
    y = in_order(x, x)
    both, _ = run(f, device, x)
    np.testing.assert_array_equal(both, y + y.T)


def test_products_of_one_shape_have_a_kernel_each(device):
    def f(x, y):
        return x @ y + 1, y @ x - 1, (x @ x) * (y @ y)

    x, y = numbers(96, 96), numbers(96, 96, seed=1)
    assert sum("tiles" in note for note in notes(f, device, x, y)) == 4
    wanted = in_order(x, y) + 1, in_order(y, x) - 1, in_order(x, x) * in_order(y, y)
    for got, right in zip(run(f, device, x, y), wanted, strict=True):
        np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("n", [20, 96])
def test_an_operand_that_is_dear_is_computed_once(device, n):
    f = lambda x, y: pnp.tanh(x) @ pnp.tanh(y)
    x, y = numbers(n, n), numbers(n, n, seed=1)
    found = notes(f, device, x, y)
    assert "tanh" not in found[-1]
    source = compiled(lambda x, y: f(x, y), device, x, y).text()
    last = source[source.index(f"void stage0_{len(found) - 1}(") : source.index("void stage0(")]
    assert "px_tanh" in source and "px_tanh" not in last
    np.testing.assert_allclose(run(f, device, x, y), np.tanh(x) @ np.tanh(y), rtol=1e-5, atol=1e-5)


def test_rows_that_would_fill_the_memory_are_read_in_place(device, monkeypatch):
    x, at, w = numbers(20, 72), np.arange(800, dtype=np.int32) % 20, numbers(72, 16, seed=1)
    f = lambda x, at, w: x[at] @ w
    stored = run(f, device, x, at, w)
    most = compiled(lambda *xs: f(*xs), device, x, at, w).memory_analysis().temp_size_in_bytes
    monkeypatch.setattr(products, "SPREAD", 1 << 10)
    read = compiled(lambda *xs: f(*xs), device, x, at, w)
    assert read.memory_analysis().temp_size_in_bytes < most / 2
    np.testing.assert_array_equal(run(f, device, x, at, w), stored)
